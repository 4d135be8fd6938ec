/* SPDX-License-Identifier: Apache-2.0
 *
 * crowd.c - people as shops have them: most come once, a few come all the time.
 *
 * Visits a person follow a Pareto law (exponent 1.6, at most 300), deeds a visit a geometric one, so that a crowd of ten deeds a
 * person holds some with hundreds and most with three or four. More visits are recent than old. Seven of ten items looked at lie in
 * the person's own corner of the shop, the rest are what everybody looks at. A visit that put something into the cart ends in an order
 * one time in three. One person in three said who they are. A person's randomness is their own: as many people more, and the
 * others do the same. */
#include "know.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CROWD_NOW ((i64)1793491200000)                  /* 2026-11-01 */
#define EUR ((currency){ (5 << 10) | (21 << 5) | 18 })

enum { VISITS_MAX = 300, DEEDS_A_VISIT_MAX = 40, CART_MAX = 4, DEEDS_A_RECORD = 40 };

struct making { struct crowd *crowd; struct deed *at; isize n, cap; struct rng rng; f64 deeds_a_visit; u32 person, corner, orders; };

i32 crowd_price(u32 item) { return (i32)(499 + item * 2654435761u % 20000); }

static void add(struct making *m, i64 at_ms, u16 type, u32 item, i32 value_minor, u32 order)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 1 << 16;
        m->at = mem_grow(m->at, m->cap * (isize)sizeof *m->at);
    }
    m->at[m->n++] = (struct deed){ .at_ms = at_ms, .person = m->person, .item = item, .order = order, .value_minor = value_minor, .type = type,
                                   .quantity = type == EVENT_PRODUCT_PURCHASED || type == EVENT_PRODUCT_ADDED };
    m->crowd->calls += type != EVENT_PRODUCT_PURCHASED;
}

static u32 some_item(struct making *m)
{
    f64 far = rng_unit(&m->rng);
    u32 items = m->crowd->items;
    if (rng_below(&m->rng, 10) < 7) return 1 + (u32)((m->corner + (u64)(far * far * items / 50)) % (items - 1));
    return 1 + (u32)((u64)(far * far * far * items) * 7919 % (items - 1));
}

static isize geometric(struct making *m, f64 mean, isize most)
{
    isize n = 1 + (isize)(log(1 - rng_unit(&m->rng)) / log(1 - 1 / fmax(mean, 1.001)));
    return n < most ? n : most;
}

static void order(struct making *m, i64 at_ms, const u32 *cart, isize n)
{
    i32 value = 0;
    for (isize i = 0; i < n; i++) value += crowd_price(cart[i]);
    add(m, at_ms, EVENT_ORDER_COMPLETED, 0, value, ++m->orders);
    for (isize i = 0; i < n; i++) add(m, at_ms, EVENT_PRODUCT_PURCHASED, cart[i], crowd_price(cart[i]), m->orders);
}

static void visit(struct making *m)
{
    f64 back = pow(rng_unit(&m->rng), 1.4);             /* more of them lately */
    i64 at_ms = m->crowd->now_ms - HOUR_MS - (i64)(back * (f64)(CROWD_DAYS * DAY_MS));
    u32 cart[CART_MAX], item = 0;
    isize in_cart = 0, n = geometric(m, m->deeds_a_visit, DEEDS_A_VISIT_MAX);
    for (isize i = 0; i < n; i++) {
        u32 what = rng_below(&m->rng, 20);
        at_ms += 4000 + rng_below(&m->rng, 80000);
        if (i > 0 && item && what < 2) {
            add(m, at_ms, EVENT_PRODUCT_ADDED, item, crowd_price(item), 0);
            if (in_cart < CART_MAX) cart[in_cart++] = item;
        } else if (what < 4) {
            add(m, at_ms, EVENT_PRODUCTS_SEARCHED, 0, 0, 0);
        } else if (what < 8) {
            add(m, at_ms, EVENT_PAGE_VIEWED, 0, 0, 0);
        } else {
            item = some_item(m);
            add(m, at_ms, EVENT_PRODUCT_VIEWED, item, 0, 0);
        }
    }
    if (in_cart && rng_below(&m->rng, 3) == 0) order(m, at_ms + 60000 + rng_below(&m->rng, 60000), cart, in_cart);
}

static struct body some_body(struct rng *r)
{
    u32 sex = rng_below(r, 100), town = rng_below(r, 50);
    struct body b = { .known = rng_below(r, 3) == 0 };
    if (!b.known) return b;
    b.gender = (u8)(sex < 55 ? 1 : sex < 90 ? 2 : 0);
    b.town = (u8)(town * town / 50);
    b.age = (u8)(rng_below(r, 4) ? 18 + rng_below(r, 62) : 0);
    return b;
}

static int by_time(const void *x, const void *y)
{
    const struct deed *a = x, *b = y;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    if (a->person != b->person) return a->person < b->person ? -1 : 1;
    bool a_line = a->type == EVENT_PRODUCT_PURCHASED, b_line = b->type == EVENT_PRODUCT_PURCHASED;
    if (a_line != b_line) return a_line - b_line;
    return (a->item > b->item) - (a->item < b->item);
}

struct crowd crowd_make(u32 people, u32 items, isize calls, u64 seed, arena *a)
{
    struct crowd crowd = { .people = people, .items = items, .now_ms = CROWD_NOW };
    struct body *body = arena_new(a, struct body, (isize)people + 1);
    struct making m = { .crowd = &crowd, .deeds_a_visit = (f64)calls / people / 2.1 };
    for (u32 id = 1; id <= people; id++) {
        m.rng = rng_seed(seed + (u64)id * 0x9e3779b97f4a7c15ull);
        m.person = id;
        m.corner = rng_below(&m.rng, items);
        body[id] = some_body(&m.rng);
        f64 visits = floor(pow(1 - rng_unit(&m.rng), -1 / 1.6));
        for (isize i = 0; i < (isize)fmin(visits, VISITS_MAX); i++) visit(&m);
    }
    qsort(m.at, (size_t)m.n, sizeof *m.at, by_time);
    crowd.body = body;
    crowd.deed = m.at;                                  /* for as long as the program runs */
    crowd.deeds = m.n;
    return crowd;
}

/* ---- as a log ----------------------------------------------------------------------------------------------- */

struct writing { struct log *log; arena a; struct buf bytes; struct entry entry[DEEDS_A_RECORD]; isize offset[DEEDS_A_RECORD + 1]; isize n; i64 at_ms; };

static void write_record(struct writing *w)
{
    if (w->n == 0) return;
    for (isize i = 0; i < w->n; i++) w->entry[i].bytes = (str){ w->bytes.ptr + w->offset[i], w->offset[i + 1] - w->offset[i] };
    struct record record = { .at_ms = w->at_ms, .fold_version = 1, .entries = w->entry, .entries_n = w->n };
    if (log_append(w->log, log_tail(w->log), &record, 1) != LOG_OK) give_up("the log cannot be written");
    w->bytes.len = w->n = 0;
}

/* What was added to w->bytes since the last one is an entry. */
static void written(struct writing *w, u8 kind, i64 at_ms)
{
    w->at_ms = max_i64(w->at_ms, at_ms);
    w->entry[w->n] = (struct entry){ .kind = kind };
    w->offset[++w->n] = w->bytes.len;
    if (w->n == DEEDS_A_RECORD) write_record(w);
    arena_clear(&w->a);
}

static void define(struct writing *w, const char *kind, str key, str document, i64 at_ms)
{
    struct definition_change change = { .op = DEFINITION_DRAFT, .kind = str_of(kind), .key = key, .document = document, .author = S("bench") };
    definition_change_encode(&change, &w->bytes);
    w->at_ms = max_i64(w->at_ms, at_ms);
    w->entry[w->n] = (struct entry){ .kind = ENTRY_DEFINITION };
    w->offset[++w->n] = w->bytes.len;
    change = (struct definition_change){ .op = DEFINITION_PUBLISH, .kind = str_of(kind), .key = key, .author = S("bench"), .revision = 1 };
    definition_change_encode(&change, &w->bytes);
    w->entry[w->n] = (struct entry){ .kind = ENTRY_DEFINITION };
    w->offset[++w->n] = w->bytes.len;
    write_record(w);
    arena_clear(&w->a);
}

static void write_item(struct writing *w, const struct crowd *crowd, u32 i, i64 at_ms)
{
    struct text title = { S(""), arena_printf(&w->a, "Thing %u", i) };
    struct price price = { .currency = EUR, .minor = crowd_price(i) };
    struct stock stock = { S("web"), 5 };
    struct item_change put = { ITEM_PUT, { .kind = ITEM_PRODUCT, .key = arena_printf(&w->a, "p%06u", i), .brand = arena_printf(&w->a, "Brand %u", i % 37),
                               .titles = &title, .titles_n = 1, .category = arena_printf(&w->a, "c%02u > d%u", (u32)((u64)i * CROWD_CATEGORIES / crowd->items), i % 10),
                               .prices = &price, .prices_n = 1, .stock = &stock, .stock_n = 1 } };
    item_change_encode(&put, &w->bytes);
    written(w, ENTRY_CATALOG, at_ms);
}

static struct identifier who(struct writing *w, const struct crowd *crowd, u32 person)
{
    if (crowd->body[person].known) return (struct identifier){ IDENTIFIER_USER_ID, true, arena_printf(&w->a, "u%08u", person) };
    return (struct identifier){ IDENTIFIER_ANONYMOUS_ID, false, arena_printf(&w->a, "cookie-%08u", person) };
}

static void write_traits(struct writing *w, const struct crowd *crowd, u32 person, i64 at_ms)
{
    const struct body *b = &crowd->body[person];
    struct identifier id = who(w, crowd, person);
    struct fact facts[3] = { { .name = S("city"), .kind = FACT_TEXT, .text = arena_printf(&w->a, "town%02u", b->town) } };
    isize n = 1;
    if (b->gender) facts[n++] = (struct fact){ .name = S("gender"), .kind = FACT_TEXT, .text = b->gender == 1 ? S("female") : S("male") };
    if (b->age) facts[n++] = (struct fact){ .name = S("age"), .kind = FACT_NUMBER, .n = b->age };
    struct event e = { .type = EVENT_IDENTIFIED, .channel = CHANNEL_WEB, .at_ms = at_ms, .source = S("shop"), .key = arena_printf(&w->a, "i-%u", person),
                       .identifiers = &id, .identifiers_n = 1, .traits = facts, .traits_n = n };
    event_encode(&e, &w->bytes);
    written(w, ENTRY_EVENT, at_ms);
}

/* The deed at i; of an order with its lines. Returns where the next one stands. */
static isize write_deed(struct writing *w, const struct crowd *crowd, isize i)
{
    const struct deed *d = &crowd->deed[i];
    struct identifier id = who(w, crowd, d->person);
    struct event_item items[CART_MAX];
    struct event e = { .type = d->type, .channel = CHANNEL_WEB, .at_ms = d->at_ms, .source = S("shop"), .key = arena_printf(&w->a, "m-%lld", (long long)i),
                       .identifiers = &id, .identifiers_n = 1, .currency = EUR, .items = items };
    isize from = d->order ? i + 1 : i, to = d->order ? from : i + (d->item != 0);
    while (d->order && to < crowd->deeds && crowd->deed[to].order == d->order) to++;
    for (isize k = from; k < to; k++)
        items[e.items_n++] = (struct event_item){ .product_key = arena_printf(&w->a, "p%06u", crowd->deed[k].item), .priced = true,
                                                  .price_minor = crowd_price(crowd->deed[k].item), .quantity = crowd->deed[k].quantity };
    if (d->order) {
        e.order_key = arena_printf(&w->a, "o-%u", d->order);
        e.valued = true;
        e.value_minor = d->value_minor;
    }
    event_encode(&e, &w->bytes);
    written(w, ENTRY_EVENT, d->at_ms);
    return d->order ? to : i + 1;
}

static void define_segment(struct writing *w, str key, str rule, i64 at_ms)
{
    struct buf document = { .arena = &w->a };
    struct jsonw j = { .out = &document };
    jsonw_begin(&j, '{');
    jsonw_key_str(&j, "kind", S("segment"));
    jsonw_key_str(&j, "key", key);
    jsonw_key_str(&j, "rule", rule);
    jsonw_end(&j, '}');
    define(w, "segment", key, buf_str(&document), at_ms);
}

u64 crowd_log(const struct crowd *crowd, const char *folder, isize segments, isize calls, const str *keys, const str *rules, isize n)
{
    struct config config = config_default();
    struct writing w = { 0 };
    struct diag diag = { .arena = &w.a };
    i64 began = crowd->now_ms - (CROWD_DAYS + 1) * DAY_MS;
    if (log_open(arena_printf(&w.a, "file:%s", folder).ptr, &config, &w.log, &diag)) give_up("%.*s", STR_FMT(diag.what));
    if (log_bulk(w.log, true) != LOG_OK) give_up("the log cannot be written");
    define(&w, "settings", S("shop"), S("{\"kind\":\"settings\",\"key\":\"shop\",\"currency\":\"EUR\"}"), began);
    define(&w, "settings", S("secret"), arena_printf(&w.a, "{\"ticket\":\"%064d\",\"denial\":\"%064d\"}", 1, 2), began);
    for (isize i = 0; i < segments; i++) {
        str key = arena_printf(&w.a, "s%03lld", (long long)i);
        str rule = shop_segment_rule(&w.a, i);
        define(&w, "segment", key, arena_printf(&w.a, "{\"kind\":\"segment\",\"key\":\"%.*s\",\"rule\":\"%.*s\"}", STR_FMT(key), STR_FMT(rule)), began);
    }
    for (u32 i = 0; i < crowd->items; i++) write_item(&w, crowd, i, began);
    u8 *said = mem_new((isize)crowd->people + 1);
    isize done = 0;
    for (isize i = 0; i < crowd->deeds && done < calls; done++) {
        u32 person = crowd->deed[i].person;
        if (crowd->body[person].known && !said[person]) write_traits(&w, crowd, person, crowd->deed[i].at_ms);
        said[person] = 1;
        i = write_deed(&w, crowd, i);
    }
    write_record(&w);
    mem_free(said);
    for (isize i = 0; i < n; i++) define_segment(&w, keys[i], rules[i], crowd->now_ms);
    u64 last = log_tail(w.log) - 1;
    if (log_bulk(w.log, false) != LOG_OK) give_up("the log cannot be written");
    log_close(w.log);
    buf_fini(&w.bytes);
    arena_fini(&w.a);
    return last;
}

/* ---- as files for databases ------------------------------------------------------------------------------- */

static FILE *csv(const char *folder, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.csv", folder, name);
    FILE *f = fopen(path, "we");
    if (!f) give_up("%s cannot be written", path);
    return f;
}

void crowd_csv(const struct crowd *crowd, const char *folder)
{
    static const char *const genders[] = { "", "female", "male" };
    FILE *people = csv(folder, "person"), *items = csv(folder, "item"), *events = csv(folder, "event");
    for (u32 id = 1; id <= crowd->people; id++) {
        const struct body *b = &crowd->body[id];
        (void)fprintf(people, "%u,%s,", id, genders[b->gender]);
        if (b->known) (void)fprintf(people, "town%02u", b->town);
        if (b->age) (void)fprintf(people, ",%u\n", b->age);
        else (void)fputs(",\n", people);
    }
    for (u32 i = 0; i < crowd->items; i++)
        (void)fprintf(items, "%u,c%02u,d%u,Brand %u,%d\n", i, (u32)((u64)i * CROWD_CATEGORIES / crowd->items), i % 10, i % 37, crowd_price(i));
    for (isize i = 0; i < crowd->deeds; i++) {
        const struct deed *d = &crowd->deed[i];
        (void)fprintf(events, "%u,%lld,%u,%u,%u,%d\n", d->person, (long long)d->at_ms, d->type, d->item, d->quantity, d->value_minor);
    }
    if (fclose(people) || fclose(items) || fclose(events)) give_up("%s is full", folder);
}
