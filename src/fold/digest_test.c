/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: no field of the state can change without the digest changing, or `opmaat verify` would not see it.
 * Method: one sample of each kind of state with every field set; one field at a time is changed by one bit (a
 * text by one letter), and the digest must differ from the sample's and from that of every other change. The
 * sizes are asserted, so that a new member fails to compile until it stands here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#undef assert

#include "fold/inside.h"

/* ---- changing one thing ---------------------------------------------------------------------- */

enum { FIELDS_MAX = 256 };
struct fields { struct { const char *name; void *at; isize size; bool text; } at[FIELDS_MAX]; isize n; };

static void field_add(struct fields *f, const char *name, void *at, isize size, bool text)
{
    assert_true(f->n < FIELDS_MAX);
    f->at[f->n].name = name;
    f->at[f->n].at = at;
    f->at[f->n].size = size;
    f->at[f->n++].text = text;
}

#define FIELD(x) field_add(f, #x, &(x), (isize)sizeof(x), false)
#define TEXT(x) field_add(f, #x, &(x), (isize)sizeof(x), true)

static void field_change(const struct fields *f, isize i)
{
    if (f->at[i].text) {
        str *s = f->at[i].at;
        *s = str_eq(*s, S("changed")) ? S("altered") : S("changed");
        return;
    }
    *(u8 *)f->at[i].at ^= 1;
}

/* Digests met so far in one test: each must be new. */
static struct { struct hash128 at[FIELDS_MAX + 8]; isize n; } met;

static void is_new(struct hash128 digest, const char *what)
{
    for (isize i = 0; i < met.n; i++)
        if (hash128_eq(met.at[i], digest))
            fail_msg("changing %s does not change the digest (like %d)", what, (int)i);
    met.at[met.n++] = digest;
}

/* digest_of builds the state with its `i`th field changed (-1: none) and says how many fields there are. */
static void each_field_counts(struct hash128 (*digest_of)(isize i, struct fields *f, arena *a))
{
    arena a = { 0 };
    struct fields f = { 0 };
    met.n = 0;
    is_new(digest_of(-1, &f, &a), "nothing");
    isize n = f.n;
    assert_true(n > 0);
    for (isize i = 0; i < n; i++) {
        f.n = 0;
        struct hash128 digest = digest_of(i, &f, &a);
        is_new(digest, f.at[i].name);
    }
    f.n = 0;
    assert_true(hash128_eq(digest_of(-1, &f, &a), met.at[0]));
    arena_fini(&a);
}

/* ---- a person -------------------------------------------------------------------------------- */

static_assert(sizeof(struct profile) == 168 && sizeof(struct scores) == 208
                  && sizeof(struct uplift_score) == 24 && sizeof(struct trait) == 80
                  && sizeof(struct consent_entry) == 32 && sizeof(struct membership) == 24
                  && sizeof(struct exposure) == 64 && sizeof(struct history_entry) == 40,
              "a new member belongs into profile_fields");

static void profile_fields(struct fields *f, struct profile_edit *e)
{
    FIELD(e->id.v);
    FIELD(e->created_at_ms);
    FIELD(e->last_at_ms);
    FIELD(e->older_events);
    TEXT(e->bucketing_id);
    FIELD(e->known);
    for (isize i = 0; i < e->nodes.n; i++) FIELD(e->nodes.at[i]);
    struct trait *t = &e->traits.at[1];
    TEXT(t->fact.name);
    FIELD(t->fact.kind);
    FIELD(t->fact.b);
    FIELD(t->fact.n);
    TEXT(t->fact.text);
    TEXT(t->source);
    FIELD(t->at_ms);
    FIELD(t->node);
    FIELD(t->origin);
    struct consent_entry *c = &e->consents.at[1];
    FIELD(c->purpose);
    FIELD(c->state);
    FIELD(c->node);
    FIELD(c->at_ms);
    TEXT(c->source);
    struct membership *m = &e->memberships.at[1];
    FIELD(m->segment);
    FIELD(m->member);
    FIELD(m->entered_at_ms);
    FIELD(m->next_change_at_ms);
    struct exposure *x = &e->exposures.at[1];
    FIELD(x->campaign);
    FIELD(x->experience);
    FIELD(x->variation);
    FIELD(x->flags);
    FIELD(x->node);
    FIELD(x->first_at_ms);
    FIELD(x->last_at_ms);
    FIELD(x->views);
    FIELD(x->clicks);
    FIELD(x->orders);
    FIELD(x->revenue_minor);
    FIELD(x->currency);
    struct history_entry *h = &e->history.at[1];
    FIELD(h->at_ms);
    FIELD(h->ref);
    FIELD(h->value_minor);
    FIELD(h->item);
    FIELD(h->quantity);
    FIELD(h->type);
    FIELD(h->currency);
    FIELD(h->channel);
    FIELD(h->node);
    FIELD(h->flags);
    FIELD(e->scores->at_ms);
    FIELD(e->scores->version);
    FIELD(e->scores->known);
    FIELD(e->scores->currency);
    for (isize i = 0; i < countof(e->scores->value); i++) FIELD(e->scores->value[i]);
    FIELD(e->scores->reasons[1].score);
    FIELD(e->scores->reasons[1].code);
    FIELD(e->scores->reasons[1].number);
    FIELD(e->scores->reasons_n);
    FIELD(e->scores->uplifts[1].campaign);
    FIELD(e->scores->uplifts[1].value);
    FIELD(e->scores->uplifts[1].because[1].code);
    FIELD(e->scores->uplifts[1].because[1].number);
    FIELD(e->scores->uplifts_n);
    FIELD(e->traits.n);                                 /* one less, or one that was not there */
    FIELD(e->consents.n);
    FIELD(e->memberships.n);
    FIELD(e->exposures.n);
    FIELD(e->history.n);
    FIELD(e->nodes.n);
}

#define SAMPLE(T, n, ...) (T *)arena_copy(a, (T[n])__VA_ARGS__, (isize)((n) * sizeof(T)))

static void *arena_copy(arena *a, const void *from, isize bytes)
{
    u64 *to = arena_new(a, u64, bytes / 8 + 1);
    memcpy(to, from, (size_t)bytes);
    return to;
}

/* Lists of two, of which the length is told as 3 with a third behind it, so that a length changed
 * by one bit is 2. */
static struct hash128 profile_digest(isize i, struct fields *f, arena *a)
{
    struct profile_edit e = { .arena = a,
                              .id = { 6 },
                              .created_at_ms = 100,
                              .last_at_ms = 900,
                              .older_events = 4,
                              .bucketing_id = S("cookie"),
                              .known = true,
                              .history_replaced = true };
    e.nodes.at = SAMPLE(u32, 3, { 4, 6, 8 });
    e.traits.at = SAMPLE(struct trait, 3,
                         { { .fact = { .name = S("age"), .kind = FACT_NUMBER, .n = 34 },
                             .source = S("shop"),
                             .node = 4 },
                           { .fact = { .name = S("city"), .kind = FACT_TEXT, .text = S("Oslo") },
                             .source = S("shop"),
                             .at_ms = 300,
                             .node = 6,
                             .origin = TRAIT_DECLARED },
                           { .fact = { .name = S("plan"), .kind = FACT_BOOL, .b = true } } });
    e.consents.at = SAMPLE(
        struct consent_entry, 3,
        { { 0, 1, 4, 200, S("tag") }, { 2, 2, 6, 300, S("gpc") }, { 4, 1, 6, 300, S("tag") } });
    e.memberships.at =
        SAMPLE(struct membership, 3,
               { { 2, true, 200, 900 }, { 4, false, 300, 800 }, { 6, true, 10, 20 } });
    e.exposures.at = SAMPLE(struct exposure, 3,
                            { { .campaign = 2, .node = 4 },
                              { 4, 2, 2, 0, 6, 300, 400, 4, 2, 2, 5000, 7 },
                              { .campaign = 6 } });
    e.history.at = SAMPLE(struct history_entry, 3,
                          { { .at_ms = 100, .ref = 10 },
                            { 200, 20, 4900, 6, 2, 4, 8, 2, 0, 2 },
                            { .at_ms = 900, .ref = 90 } });
    e.scores = SAMPLE(struct scores, 1,
                      { { .at_ms = 700,
                          .version = 8,
                          .known = (1 << SCORE_INTENT) - 1,
                          .currency = 6,
                          .value = { .5f, .25f, 3, 9000, 40, 2, 4, 2 },
                          .reasons = { { 0, 2, 3 }, { 2, 4, 6 }, { 4, 6, 8 } },
                          .reasons_n = 3,
                          .uplifts = { { 7, .5f, { { 1, 2 }, { 3, 4 } } },
                                       { 9, .25f, { { 2, 4 }, { 6, 8 } } },
                                       { .campaign = 5 } },
                          .uplifts_n = 3 } });
    e.nodes.n = e.traits.n = e.consents.n = e.memberships.n = e.exposures.n = e.history.n = 3;
    profile_fields(f, &e);
    if (i >= 0) field_change(f, i);
    struct people *people = people_new();
    people_commit(people, &e, 4096);
    struct hash128 digest = people_digest(people);
    people_free(people);
    return digest;
}

static void changing_any_field_of_a_person_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(profile_digest);
}

/* ---- an order -------------------------------------------------------------------------------- */

static_assert(sizeof(struct order) == 120 && sizeof(struct order_line) == 16,
              "a new member belongs into order_digest");

static struct hash128 order_digest(isize i, struct fields *f, arena *a)
{
    struct order o = { .id = { 1 },
                       .key = S("web:1001"),
                       .node = 4,
                       .state = ORDER_RETURN,
                       .channel = 2,
                       .currency = { 8 },
                       .at_ms = 100,
                       .value_minor = 5000,
                       .refunded_minor = 100,
                       .said_at_ms = 700,
                       .refund_at_ms = 600,
                       .content = 2,
                       .place = { 2, 4 },
                       .lines_n = 3 };
    o.lines = SAMPLE(struct order_line, 3, { { 2, 1, 1000 }, { 4, 2, 2000 }, { 6, 1, 10 } });
    TEXT(o.key);
    FIELD(o.node);
    FIELD(o.state);
    FIELD(o.channel);
    FIELD(o.cart);
    FIELD(o.currency);
    FIELD(o.at_ms);
    FIELD(o.value_minor);
    FIELD(o.refunded_minor);
    FIELD(o.said_at_ms);
    FIELD(o.refund_at_ms);
    FIELD(o.content);
    FIELD(o.place.country);
    FIELD(o.place.store);
    FIELD(o.ref);
    FIELD(o.lines[1].item);
    FIELD(o.lines[1].quantity);
    FIELD(o.lines[1].value_minor);
    FIELD(o.lines_n);
    if (i >= 0) field_change(f, i);
    struct orders orders = { 0 };
    struct buf bytes = { .arena = a };
    order_encode(&o, &bytes);
    orders_init(&orders);
    assert_int_equal(orders_load(&orders, buf_str(&bytes), a), ERR_OK);
    struct hash128 digest = orders.digest;
    /* the id is its place: another is refused, and says other bytes */
    if (i < 0) {
        struct buf other = { .arena = a };
        o.id.v = 7;
        order_encode(&o, &other);
        assert_false(str_eq(buf_str(&bytes), buf_str(&other)));
        assert_int_equal(orders_load(&orders, buf_str(&other), a), ERR_DAMAGED);
    }
    orders_fini(&orders);
    return digest;
}

static void changing_any_field_of_an_order_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(order_digest);
}

/* ---- a cell of results ----------------------------------------------------------------------- */

static_assert(sizeof(struct cell) == 112, "a new member belongs into cell_digest");

static struct hash128 cell_digest(isize i, struct fields *f, arena *a)
{
    struct cell c = { .campaign = 2,
                      .experience = 2,
                      .variation = 2,
                      .day = 100,
                      .exposed = 2,
                      .clicked = 4,
                      .views = 6,
                      .clicks = 8,
                      .buyers = 10,
                      .orders = 12,
                      .revenue_minor = 14,
                      .revenue_sq = (i128)1 << 70,
                      .orders_sq = 16,
                      .currency = 18 };
    u64 *halves = (u64 *)(void *)&c.revenue_sq;
    FIELD(c.campaign);
    FIELD(c.experience);
    FIELD(c.variation);
    FIELD(c.day);
    FIELD(c.exposed);
    FIELD(c.clicked);
    FIELD(c.views);
    FIELD(c.clicks);
    FIELD(c.buyers);
    FIELD(c.orders);
    FIELD(c.revenue_minor);
    FIELD(halves[0]);
    FIELD(halves[1]);
    FIELD(c.orders_sq);
    FIELD(c.currency);
    if (i >= 0) field_change(f, i);
    struct cells cells = { 0 };
    struct buf bytes = { .arena = a };
    cell_encode(&c, &bytes);
    cells_init(&cells);
    assert_int_equal(cells_load(&cells, buf_str(&bytes)), ERR_OK);
    struct hash128 digest = cells.digest;
    cells_fini(&cells);
    return digest;
}

static void changing_any_field_of_a_cell_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(cell_digest);
}

/* ---- a definition ---------------------------------------------------------------------------- */

static_assert(sizeof(struct definition) == 96 && sizeof(struct revision) == 40,
              "a new member belongs into definition_digest");

static struct hash128 definition_digest(isize i, struct fields *f, arena *a)
{
    struct revision *revisions = SAMPLE(struct revision, 3,
                                        { { S("{}"), S("kari"), 100 },
                                          { S("{\"a\":1}"), S("ola"), 200 },
                                          { S("{}"), S("kari"), 300 } });
    u32 *publishes = SAMPLE(u32, 3, { 1, 2, 3 });
    struct definition d = { .id = 1,
                            .number = 1,
                            .kind = S("segment"),
                            .key = S("jeans"),
                            .revisions = revisions,
                            .revisions_n = 3,
                            .published = 3,
                            .publishes = publishes,
                            .publishes_n = 3,
                            .archived = false,
                            .paused = true,
                            .changed_at_ms = 400 };
    /* id and number are its place: another does not load */
    TEXT(d.kind);
    TEXT(d.key);
    TEXT(revisions[1].document);
    TEXT(revisions[1].author);
    FIELD(revisions[1].at_ms);
    FIELD(d.published);
    FIELD(publishes[1]);
    FIELD(d.archived);
    FIELD(d.paused);
    FIELD(d.changed_at_ms);
    if (i >= 0) field_change(f, i);
    struct definitions *all = definitions_new();
    struct buf bytes = { .arena = a };
    definition_encode(&d, &bytes);
    if (definition_load(all, buf_str(&bytes), a)) fail_msg("field %d does not load", (int)i);
    struct hash128 digest = definitions_digest(all);
    definitions_free(all);
    return digest;
}

static void changing_any_field_of_a_definition_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(definition_digest);
}

/* ---- an item --------------------------------------------------------------------------------- */

static_assert(sizeof(struct item) == 248 && sizeof(struct variant) == 80
                  && sizeof(struct price) == 48 && sizeof(struct stock) == 24
                  && sizeof(struct text) == 32 && sizeof(struct fact) == 48,
              "a new member belongs into item_digest");

static struct hash128 item_digest(isize i, struct fields *f, arena *a)
{
    struct item it = { .kind = ITEM_PRODUCT,
                       .key = S("jeans-1"),
                       .url = S("/j"),
                       .image = S("/j.jpg"),
                       .brand = S("Acme"),
                       .colour = S("blue"),
                       .gender = S("female"),
                       .category = S("Women > Jeans"),
                       .cost_minor = 1000,
                       .repurchase_days = 30,
                       .published_at_ms = 50 };
    it.titles = SAMPLE(struct text, 1, { { S("en"), S("Slim jeans") } });
    it.descriptions = SAMPLE(struct text, 1, { { S("en"), S("Made to last") } });
    it.prices =
        SAMPLE(struct price, 1,
               { { .market = S("no"), .currency = { 8 }, .minor = 4900, .list_minor = 5900 } });
    it.variants = SAMPLE(struct variant, 1,
                         { { .key = S("jeans-1-32"), .size = S("32"), .colour = S("navy") } });
    it.variants[0].stock = SAMPLE(struct stock, 1, { { S("web"), 4 } });
    it.variants[0].stock_n = 1;
    it.variants[0].prices =
        SAMPLE(struct price, 1,
               { { .market = S("se"), .currency = { 8 }, .minor = 4800, .list_minor = 5800 } });
    it.variants[0].prices_n = 1;
    it.attributes = SAMPLE(struct fact, 1, { { .name = S("fit"), .kind = FACT_TEXT, .text = S("slim") } });
    it.titles_n = it.descriptions_n = it.prices_n = it.variants_n = it.attributes_n = 1;
    FIELD(it.hidden);
    str *const texts[] = { &it.key, &it.url, &it.image, &it.brand, &it.colour, &it.gender, &it.category };
    for (isize k = 0; k < countof(texts); k++) TEXT(*texts[k]);
    TEXT(it.titles[0].locale);
    TEXT(it.titles[0].value);
    TEXT(it.descriptions[0].locale);
    TEXT(it.descriptions[0].value);
    TEXT(it.prices[0].market);
    FIELD(it.prices[0].currency);
    FIELD(it.prices[0].minor);
    FIELD(it.prices[0].list_minor);
    TEXT(it.variants[0].key);
    TEXT(it.variants[0].size);
    TEXT(it.variants[0].colour);
    TEXT(it.variants[0].stock[0].store);
    FIELD(it.variants[0].stock[0].quantity);
    TEXT(it.variants[0].prices[0].market);
    FIELD(it.variants[0].prices[0].minor);
    TEXT(it.attributes[0].name);
    TEXT(it.attributes[0].text);
    FIELD(it.cost_minor);
    FIELD(it.repurchase_days);
    FIELD(it.published_at_ms);
    if (i >= 0) field_change(f, i);
    struct catalog *catalog = catalog_new();
    struct item_change change = { ITEM_PUT, it };
    assert_true(catalog_apply(catalog, &change, 1000).v > 0);
    struct hash128 digest = catalog_digest(catalog);
    if (i < 0) {                                        /* what has a change of its own */
        struct item_change gone = { ITEM_REMOVE, { .key = it.key } };
        (void)catalog_apply(catalog, &gone, 1000);
        assert_false(hash128_eq(digest, catalog_digest(catalog)));
    }
    catalog_free(catalog);
    return digest;
}

static void changing_any_field_of_an_item_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(item_digest);
}

/* ---- a line of the ledger -------------------------------------------------------------------- */

static_assert(sizeof(struct link) == 96, "a new member belongs into link_digest");

static struct hash128 link_digest(isize i, struct fields *f, arena *a)
{
    struct link first = {
        .id = 1, .kind = LINK_ATTACH, .a = 1, .identifier = { IDENTIFIER_EMAIL, true, S("a@b.no") }
    };
    struct link second = {
        .id = 2, .kind = LINK_ATTACH, .a = 2, .identifier = { IDENTIFIER_EMAIL, true, S("c@b.no") }
    };
    struct link third = {
        .id = 3, .kind = LINK_ATTACH, .a = 3, .identifier = { IDENTIFIER_EMAIL, true, S("d@b.no") }
    };
    struct link l = { .id = 4,
                      .kind = LINK_REFUSED,
                      .reason = LINK_CLAIMED,
                      .a = 2,
                      .b = 3,
                      .undoes = 2,
                      .ref = 100,
                      .at_ms = 200,
                      .identifier = { IDENTIFIER_PHONE, false, S("+47") },
                      .source = S("shop"),
                      .memo = S("memo") };
    FIELD(l.kind);                                      /* a split */
    FIELD(l.reason);
    FIELD(l.verified);
    FIELD(l.undone);
    FIELD(l.a);
    FIELD(l.b);
    FIELD(l.undoes);
    FIELD(l.ref);
    FIELD(l.at_ms);
    FIELD(l.identifier.kind);
    FIELD(l.identifier.verified);
    TEXT(l.identifier.value);
    TEXT(l.source);
    TEXT(l.memo);
    if (i >= 0) field_change(f, i);
    struct identity *identity = identity_new(0);
    struct link *const links[] = { &first, &second, &third, &l };
    for (isize k = 0; k < countof(links); k++) {
        struct buf bytes = { .arena = a };
        link_encode(links[k], &bytes);
        if (identity_load(identity, buf_str(&bytes))) fail_msg("field %d does not load", (int)i);
    }
    struct hash128 digest = identity_digest(identity);
    identity_free(identity);
    return digest;
}

static void changing_any_line_of_the_ledger_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(link_digest);
}

/* ---- a denial -------------------------------------------------------------------------------- */

static struct hash128 denial_digest(isize i, struct fields *f, arena *a)
{
    (void)a;
    struct hash128 who = { 10, 20 };
    u16 purposes = 6;
    FIELD(who.hi);
    FIELD(who.lo);
    FIELD(purposes);
    if (i >= 0) field_change(f, i);
    struct denials *denials = denials_new();
    denials_set(denials, who, purposes);
    struct hash128 digest = denials_digest(denials);
    denials_set(denials, who, 0);
    assert_true(hash128_eq(denials_digest(denials), (struct hash128){ 0 }));
    denials_free(denials);
    return digest;
}

static void changing_any_denial_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(denial_digest);
}

/* ---- counts, names, keys seen ---------------------------------------------------------------- */

static i64 noon(void *ctx) { (void)ctx; return (i64)1767261600000; }

static struct hash128 rest_digest(isize i, struct fields *f, arena *a)
{
    struct config config = config_default();
    struct diag diag = { .arena = a };
    struct fold *fold;
    struct fold_options options = { .config = &config, .clock = { noon, NULL }, .log_uri = "mem:" };
    assert_int_equal(fold_open(&options, &fold, &diag), ERR_OK);
    fold->ref = 2;
    vec_push(&fold->sources, (struct source_count){ 2, 4, 6, 8, 10, 12, 14, 16 });
    vec_push(&fold->sources, (struct source_count){ 4, 4, 6, 8, 10, 12, 14, 16 });
    str name = S("Shelf Scanned");
    u64 name_ref = 6;
    struct hash128 key = { 100, 200 };
    i32 day = 20000;
    struct totals *t = &fold->totals;
    *t = (struct totals){ .events = 2, .revenues_n = 1, .revenue = { { 500, { 8 } } } };
    struct source_count *s = &fold->sources.at[1];
    struct warning w = { .source = 2,
                         .what = S("page is not in the plan"),
                         .count = 2,
                         .first_at_ms = 4,
                         .last_at_ms = 6,
                         .ref = 8 };
    FIELD(fold->ref);
    FIELD(fold->now_ms);
    FIELD(s->source);
    FIELD(s->accepted);
    FIELD(s->duplicates);
    FIELD(s->no_consent);
    FIELD(s->dead);
    FIELD(s->warnings);
    FIELD(s->last_at_ms);
    FIELD(s->behind_ms);
    FIELD(fold->sources.n);
    FIELD(w.count);
    FIELD(w.first_at_ms);
    FIELD(w.last_at_ms);
    FIELD(w.ref);
    TEXT(w.what);
    FIELD(t->dead_taken);
    FIELD(t->events);
    FIELD(t->duplicates);
    FIELD(t->no_consent);
    FIELD(t->dead);
    FIELD(t->decisions);
    FIELD(t->orders);
    FIELD(t->mixed);
    FIELD(t->last_at_ms);
    FIELD(t->revenue[0].minor);
    FIELD(t->revenue[0].currency);
    FIELD(t->revenues_n);
    TEXT(name);
    FIELD(name_ref);
    FIELD(key.hi);
    FIELD(key.lo);
    FIELD(day);
    if (i >= 0) field_change(f, i);
    (void)fold_name_of(fold, name, name_ref);
    struct warning *kept = warning_put(fold, w.source, w.what);
    w.what = kept->what;
    *kept = w;
    seen_load(&fold->seen, key, day);
    /* The folder's own secrets are drawn anew each time: only what is not a definition is compared. */
    struct fold_digest d = fold_digest(fold);
    const struct hash128 parts[] = { d.rest, d.orders, d.people, { fold->ref, 0 } };
    struct hash128 digest = hash128((str){ (const char *)parts, sizeof parts }, 0);
    fold_close(fold);
    return digest;
}

static void changing_any_count_name_or_key_changes_the_digest(void **state)
{
    (void)state;
    each_field_counts(rest_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_any_field_of_a_person_changes_the_digest),
        cmocka_unit_test(changing_any_field_of_an_order_changes_the_digest),
        cmocka_unit_test(changing_any_field_of_a_cell_changes_the_digest),
        cmocka_unit_test(changing_any_field_of_a_definition_changes_the_digest),
        cmocka_unit_test(changing_any_field_of_an_item_changes_the_digest),
        cmocka_unit_test(changing_any_line_of_the_ledger_changes_the_digest),
        cmocka_unit_test(changing_any_denial_changes_the_digest),
        cmocka_unit_test(changing_any_count_name_or_key_changes_the_digest),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
