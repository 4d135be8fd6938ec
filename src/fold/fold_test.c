/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the fold keeps its word: one id a person, merges that can be undone, memberships that move
 * by themselves, orders that stand once, no after a no; and the same log always gives the same
 * digest. Method: a fold that is not started is fed records by hand under a clock of our own, so
 * that every case is exact to the millisecond; random histories are replayed and compared; one test
 * runs the real threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#undef assert

#include <pthread.h>
#include <unistd.h>

#include "base/rcu.h"
#include "fold/inside.h"
#include "store/store.h"

#define T0 ((i64)1767261600000)                         /* 2026-01-01T10:00:00Z */

static struct config config;
static _Atomic i64 now;
static struct fold *fold;
static arena all;
static char log_name[64], folder[64];
static i32 logs, keys;

static i64 fake_now(void *ctx) { (void)ctx; return atomic_load(&now); }

static enum err open_fold(const char *log_uri, const char *store)
{
    struct diag diag = { .arena = &all };
    struct fold_options options = {
        .config = &config, .clock = { fake_now, NULL }, .log_uri = log_uri, .store_path = store
    };
    enum err err = fold_open(&options, &fold, &diag);
    if (err) fail_msg("fold_open: %.*s", STR_FMT(diag.what));
    return err;
}

static int set_up(void **state)
{
    (void)state;
    config = config_default();
    atomic_store(&now, T0);
    (void)snprintf(log_name, sizeof log_name, "mem:fold-%d", ++logs);
    return open_fold(log_name, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    fold_close(fold);
    fold = NULL;
    arena_fini(&all);
    return 0;
}

/* ---- feeding --------------------------------------------------------------------------------- */

static void put(const struct entry *entries, isize n)
{
    struct record record = { .at_ms = now,
                             .fold_version = 1,
                             .entries = (struct entry *)(uintptr_t)entries,
                             .entries_n = n };
    assert_int_equal(log_append(fold->log, log_tail(fold->log), &record, 1), LOG_OK);
    fold_apply(fold, &record);
}

static void put_one(u8 kind, struct buf *bytes)
{
    struct entry entry = { kind, buf_str(bytes) };
    put(&entry, 1);
    buf_fini(bytes);
}

/* What the thread does when nothing comes: a tick, if anything is due. True when one was. */
static bool wait_until(i64 at_ms)
{
    struct entry tick = { ENTRY_TICK, { "", 0 } };
    atomic_store(&now, at_ms);
    bool due = timers_next(&fold->timers) <= at_ms;
    if (due) put(&tick, 1);
    return due;
}

static struct identifier proved(u8 kind, const char *value)
{
    return (struct identifier){ kind, true, str_of(value) };
}
static struct identifier claimed(u8 kind, const char *value)
{
    return (struct identifier){ kind, false, str_of(value) };
}
static struct identifier cookie(const char *value) { return claimed(IDENTIFIER_ANONYMOUS_ID, value); }

/* An event of one or two identifiers; an empty value: none. */
static struct event event_of(u16 type, struct identifier first, struct identifier second)
{
    struct identifier *ids = arena_new(&all, struct identifier, 2);
    isize n = 0;
    if (first.value.len) ids[n++] = first;
    if (second.value.len) ids[n++] = second;
    return (struct event){ .type = type,
                           .at_ms = now,
                           .source = S("shop"),
                           .channel = CHANNEL_WEB,
                           .currency = currency_of(S("EUR")),
                           .identifiers = ids,
                           .identifiers_n = n,
                           .key = arena_printf(&all, "key-%d", ++keys) };
}

static void put_event(const struct event *e)
{
    struct buf bytes = { 0 };
    event_encode(e, &bytes);
    put_one(ENTRY_EVENT, &bytes);
}

static const struct identifier nobody;

static void happens(u16 type, struct identifier who)
{
    struct event e = event_of(type, who, nobody);
    put_event(&e);
}

static struct event_item *item(const char *key, i64 price, i32 quantity)
{
    struct event_item *it = arena_new(&all, struct event_item, 1);
    *it = (struct event_item){ .product_key = str_of(key), .category = S("Women > Jeans"), .priced = price != 0, .price_minor = price,
                               .quantity = quantity };
    return it;
}

static void views(struct identifier who, const char *key)
{
    struct event e = event_of(EVENT_PRODUCT_VIEWED, who, nobody);
    e.items = item(key, 4900, 0);
    e.items_n = 1;
    put_event(&e);
}

static void define(const char *kind, const char *key, const char *document)
{
    struct definition_change change = { .op = DEFINITION_DRAFT,
                                        .kind = str_of(kind),
                                        .key = str_of(key),
                                        .document = str_of(document),
                                        .author = S("test") };
    struct buf draft = { 0 }, publish = { 0 };
    definition_change_encode(&change, &draft);
    change.op = DEFINITION_PUBLISH;
    change.document = S("");
    definition_change_encode(&change, &publish);
    put_one(ENTRY_DEFINITION, &draft);
    put_one(ENTRY_DEFINITION, &publish);
    const struct definition *def = definition_find(fold->definitions, str_of(kind), str_of(key));
    assert_true(def && definition_published(def).len > 0);
}

static void order_people(u8 op, u32 a, u32 b, u32 link)
{
    struct people_order order = { .op = op, .a = a, .b = b, .link = link, .who = S("kari@shop.test") };
    struct buf bytes = { 0 };
    people_order_encode(&order, &bytes);
    put_one(ENTRY_PEOPLE, &bytes);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static person_id find(struct identifier who) { return identity_find(fold->live.identity, who); }
static const struct profile *profile(struct identifier who)
{
    return people_get(fold->live.people, find(who), &all);
}

static bool member(struct identifier who, const char *segment)
{
    const struct definition *def = definition_find(fold->definitions, S("segment"), str_of(segment));
    const struct profile *p = profile(who);
    const struct membership *m = p ? profile_membership(p, (segment_id){ def->number }) : NULL;
    return m && m->member;
}

static isize entries_of(struct identifier who, u16 type)
{
    const struct profile *p = profile(who);
    isize n = 0;
    for (isize i = 0; p && i < p->history_n; i++) n += p->history[i].type == type;
    return n;
}

static i64 worth(struct identifier who)
{
    const struct profile *p = profile(who);
    i64 sum = 0;
    for (isize i = 0; p && i < p->history_n; i++)
        if (p->history[i].type == EVENT_ORDER_COMPLETED
            || p->history[i].type == EVENT_ORDER_REFUNDED)
            sum += p->history[i].value_minor;
    return sum;
}

static str bytes_of(person_id id)
{
    struct buf bytes = { .arena = &all };
    const struct profile *p = people_get(fold->live.people, id, &all);
    if (p) profile_encode(p, &bytes);
    return buf_str(&bytes);
}

static bool same_digest(struct fold_digest a, struct fold_digest b)
{
    const char *names[] = { "all",         "identity", "people", "catalog", "denials",
                            "definitions", "orders",   "cells",  "rest" };
    const struct hash128 *pa = &a.all, *pb = &b.all;
    bool same = true;
    for (isize i = 0; i < countof(names); i++)
        if (!hash128_eq(pa[i], pb[i])) {
            print_message("# %s differs\n", names[i]);
            same = false;
        }
    return same;
}

/* The log again, from the first record, into fresh state. */
static struct fold_digest replayed(void)
{
    fold_close(fold);
    assert_int_equal(open_fold(log_name, NULL), ERR_OK);
    return fold_digest(fold);
}

/* ---- R18, R19: who is who -------------------------------------------------------------------- */

static void R18_mail_phone_card_cookie_and_erp_number_lead_to_one_id(void **state)
{
    (void)state;
    /* the web shop, unknown */
    views(cookie("c-1"), "jeans");
    struct event e = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_USER_ID, "ana"), cookie("c-1"));
    put_event(&e);
    e = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_USER_ID, "ana"),
                 proved(IDENTIFIER_EMAIL, "ana@example.com"));
    put_event(&e);
    e = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_EMAIL, "ana@example.com"),
                 proved(IDENTIFIER_PHONE, "+4790000000"));
    put_event(&e);                                                                   /* the newsletter */
    /* the till, before it knew */
    happens(EVENT_PRODUCT_ADDED, proved(IDENTIFIER_CARD, "card-77"));
    e = event_of(EVENT_ORDER_COMPLETED, proved(IDENTIFIER_CARD, "card-77"),
                 proved(IDENTIFIER_PHONE, "+4790000000"));
    e.order_key = S("t-1");
    put_event(&e);
    e = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_ERP_ID, "100042"), proved(IDENTIFIER_CARD, "card-77"));
    put_event(&e);                                                                   /* the accounts */
    person_id id = find(cookie("c-1"));
    assert_true(id.v > 0);
    assert_int_equal(find(proved(IDENTIFIER_USER_ID, "ana")).v, id.v);
    assert_int_equal(find(proved(IDENTIFIER_EMAIL, "ana@example.com")).v, id.v);
    assert_int_equal(find(proved(IDENTIFIER_PHONE, "+4790000000")).v, id.v);
    assert_int_equal(find(proved(IDENTIFIER_CARD, "card-77")).v, id.v);
    assert_int_equal(find(proved(IDENTIFIER_ERP_ID, "100042")).v, id.v);
    assert_int_equal(people_count(fold->live.people), 1);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_PRODUCT_VIEWED), 1);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_PRODUCT_ADDED), 1);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_ORDER_COMPLETED), 1);
}

static void what_is_only_claimed_opens_nobodys_history(void **state)
{
    (void)state;
    views(proved(IDENTIFIER_USER_ID, "ana"), "jeans");
    struct event e = event_of(EVENT_PRODUCT_VIEWED, claimed(IDENTIFIER_USER_ID, "ana"), cookie("thief"));
    e.items = item("ring", 100, 1);
    e.items_n = 1;
    put_event(&e);
    assert_int_not_equal(find(cookie("thief")).v, find(proved(IDENTIFIER_USER_ID, "ana")).v);
    assert_int_equal(entries_of(proved(IDENTIFIER_USER_ID, "ana"), EVENT_PRODUCT_VIEWED), 1);
}

static void set_scene(void)
{
    define(
        "segment", "jeans",
        "{\"rule\":\"count(product_viewed where category under \\\"Jeans\\\", last 30 days) >= 2\"}");
    define("segment", "buyers", "{\"rule\":\"did(order_completed, last 90 days)\"}");
    views(cookie("c-1"), "jeans");
    atomic_fetch_add(&now, HOUR_MS);
    views(cookie("c-1"), "jacket");
    struct event e = event_of(EVENT_CONSENT_CHANGED, cookie("c-1"), nobody);
    e.consent_granted = 1 << PURPOSE_ANALYTICS | 1 << PURPOSE_PERSONALISATION;
    put_event(&e);
    struct fact traits[] = { { .name = S("plan"), .kind = FACT_TEXT, .text = S("gold") } };
    e = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_USER_ID, "ana"), proved(IDENTIFIER_CARD, "card-77"));
    e.traits = traits;
    e.traits_n = 1;
    put_event(&e);
    atomic_fetch_add(&now, HOUR_MS);
    e = event_of(EVENT_ORDER_COMPLETED, proved(IDENTIFIER_CARD, "card-77"), nobody);
    e.order_key = S("till-1");
    e.items = item("belt", 2000, 2);
    e.items_n = 1;
    put_event(&e);
    atomic_fetch_add(&now, HOUR_MS);
}

static void R19_login_merges_history_and_undoing_it_restores_both_exactly(void **state)
{
    (void)state;
    set_scene();
    struct event login = event_of(EVENT_IDENTIFIED, proved(IDENTIFIER_USER_ID, "ana"), cookie("c-1"));
    struct event alone = login;
    alone.identifiers_n = 1;                            /* the same log-in from a browser we never met */
    put_event(&alone);
    str anonymous = bytes_of(find(cookie("c-1"))), known = bytes_of(find(proved(IDENTIFIER_USER_ID, "ana")));
    person_id was[2] = { find(cookie("c-1")), find(proved(IDENTIFIER_USER_ID, "ana")) };
    assert_int_not_equal(was[0].v, was[1].v);

    fold_close(fold);
    (void)snprintf(log_name, sizeof log_name, "mem:fold-%d", ++logs);
    atomic_store(&now, T0);
    keys = 0;
    assert_int_equal(open_fold(log_name, NULL), ERR_OK);
    set_scene();
    put_event(&login);
    assert_int_equal(find(cookie("c-1")).v, find(proved(IDENTIFIER_USER_ID, "ana")).v);
    assert_int_equal(people_count(fold->live.people), 1);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_PRODUCT_VIEWED), 2);
    assert_int_equal(worth(cookie("c-1")), 4000);
    assert_true(member(cookie("c-1"), "jeans") && member(cookie("c-1"), "buyers"));

    order_people(PEOPLE_SPLIT, 0, 0, (u32)identity_links_n(fold->live.identity));
    assert_int_equal(find(cookie("c-1")).v, was[0].v);
    assert_int_equal(find(proved(IDENTIFIER_USER_ID, "ana")).v, was[1].v);
    assert_true(str_eq(bytes_of(was[0]), anonymous));
    assert_true(str_eq(bytes_of(was[1]), known));
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

/* ---- chance: any history, merged and parted, replays to the same state ----------------------- */

static const u8 kinds[] = { IDENTIFIER_USER_ID, IDENTIFIER_EMAIL, IDENTIFIER_CARD, IDENTIFIER_ANONYMOUS_ID };

static struct identifier anyone(struct rng *rng)
{
    u8 kind = kinds[rng_below(rng, countof(kinds))];
    str value = arena_printf(&all, "%u", rng_below(rng, 12));
    return (struct identifier){ kind, kind != IDENTIFIER_ANONYMOUS_ID && rng_below(rng, 4) > 0, value };
}

static u32 late_days = 3;                               /* events come up to so many days late, less one */

static void something(struct rng *rng)
{
    static const u16 types[] = { EVENT_PRODUCT_VIEWED,  EVENT_PRODUCT_ADDED,   EVENT_IDENTIFIED,
                                 EVENT_ORDER_COMPLETED, EVENT_ORDER_UPDATED,   EVENT_ORDER_REFUNDED,
                                 EVENT_ORDER_CANCELLED, EVENT_CONSENT_CHANGED, EVENT_CUSTOM_FIRST,
                                 EVENT_ALIASED };
    static const char *const items[] = { "jeans", "jacket", "belt" };
    struct event e = event_of(types[rng_below(rng, countof(types))], anyone(rng),
                              rng_below(rng, 2) ? anyone(rng) : nobody);
    struct fact trait = { .name = rng_below(rng, 2) ? S("plan") : S("city"),
                          .kind = FACT_NUMBER,
                          .n = rng_below(rng, 5) };
    e.name = arena_printf(&all, "Custom %u", rng_below(rng, 3));
    e.at_ms = now - rng_below(rng, late_days) * DAY_MS;
    if (e.type == EVENT_IDENTIFIED) {
        e.traits = &trait;
        e.traits_n = 1;
    }
    if (e.type >= EVENT_CUSTOM_FIRST || rng_below(rng, 3) > 0) {
        e.items = item(items[rng_below(rng, countof(items))], 100 + rng_below(rng, 5000),
                       1 + (i32)rng_below(rng, 3));
        e.items_n = 1;
    }
    e.order_key = arena_printf(&all, "o-%u", rng_below(rng, 8));
    if (rng_below(rng, 4) == 0) e.consent_denied = 1 << PURPOSE_ANALYTICS;
    else if (rng_below(rng, 2) == 0) e.consent_granted = 1 << PURPOSE_ANALYTICS;
    if (e.type == EVENT_ALIASED) e.previous_id = arena_printf(&all, "%u", rng_below(rng, 12));
    if (rng_below(rng, 20) == 0) e.key = S("key-1");
    put_event(&e);
}

static person_id somebody(struct rng *rng)
{
    u32 most = (u32)people_most(fold->live.people);
    for (int tries = 0; most && tries < 50; tries++) {
        person_id id = { 1 + rng_below(rng, most) };
        if (people_has(fold->live.people, id)) return id;
    }
    return (person_id){ 0 };
}

/* What a profile is, for whoever reads why one differs. */
static void print_profile(const char *when, person_id id, str bytes)
{
    struct people *people = people_new();
    assert_int_equal(people_load(people, bytes, &all), ERR_OK);
    const struct profile *p = people_get(people, id, &all);
    print_message(
        "# %u %s: created %lld last %lld bucketing %.*s older %lld known %d nodes %d traits %d consents %d history %d exposures %d\n",
        id.v, when, (long long)p->created_at_ms, (long long)p->last_at_ms, STR_FMT(p->bucketing_id),
        (long long)p->older_events, p->known, (int)p->nodes_n, (int)p->traits_n, (int)p->consents_n,
        (int)p->history_n, (int)p->exposures_n);
    for (isize i = 0; i < p->memberships_n; i++)
        print_message("#   segment %d member %d entered %lld next %lld\n",
                      p->memberships[i].segment, p->memberships[i].member,
                      (long long)p->memberships[i].entered_at_ms,
                      (long long)p->memberships[i].next_change_at_ms);
    people_free(people);
}

/* A merge by order, undone at once, leaves both as they were, to the byte. */
static void merge_and_part(struct rng *rng)
{
    person_id a = somebody(rng), b = somebody(rng);
    if (a.v == 0 || a.v == b.v) return;
    str before_a = bytes_of(a), before_b = bytes_of(b);
    isize links = identity_links_n(fold->live.identity);
    order_people(PEOPLE_MERGE, a.v, b.v, 0);
    if (identity_links_n(fold->live.identity) == links) return;
    if (rng_below(rng, 3) == 0) return;                 /* stays joined */
    order_people(PEOPLE_SPLIT, 0, 0, (u32)links + 1);
    if (str_eq(bytes_of(a), before_a) && str_eq(bytes_of(b), before_b)) return;
    print_profile("was", a, before_a);
    print_profile("is", a, bytes_of(a));
    print_profile("was", b, before_b);
    print_profile("is", b, bytes_of(b));
    fail_msg("%u and %u are not what they were", a.v, b.v);
}

static void R19_whatever_is_merged_can_be_parted_and_replays_alike(void **state)
{
    (void)state;
    i32 rounds = getenv("TEST_LONG") ? 100 : 8;
    for (i32 round = 0; round < rounds; round++) {
        struct rng rng = rng_seed((u64)round + 7);
        set_scene();
        for (i32 i = 0; i < 300; i++) {
            u32 what = rng_below(&rng, 20);
            if (what == 0) merge_and_part(&rng);
            else if (what == 1)
                order_people(PEOPLE_SPLIT, 0, 0,
                             1 + rng_below(&rng, (u32)identity_links_n(fold->live.identity)));
            else if (what == 2) (void)wait_until(now + rng_below(&rng, 10) * DAY_MS);
            else something(&rng);
            atomic_fetch_add(&now, rng_below(&rng, 100000));
        }
        struct fold_digest live = fold_digest(fold);
        if (!same_digest(live, replayed())) fail_msg("round %d: the replay differs", round);
        fold_close(fold);
        arena_clear(&all);
        (void)snprintf(log_name, sizeof log_name, "mem:fold-%d", ++logs);
        atomic_store(&now, T0);
        assert_int_equal(open_fold(log_name, NULL), ERR_OK);
    }
}

/* ---- as of an instant: what the log cut there folds to --------------------------------------- */

/* Another fold of the first entries of this one's log. */
static struct fold *cut_at(u64 most)
{
    struct fold *whole = fold;
    char name[64];
    arena a = { 0 };
    struct diag diag = { .arena = &all };
    (void)snprintf(name, sizeof name, "mem:cut-%d", ++logs);
    struct fold_options options = { .config = &config, .clock = { fake_now, NULL }, .log_uri = name };
    struct fold *cut;
    if (fold_open(&options, &cut, &diag)) fail_msg("fold_open: %.*s", STR_FMT(diag.what));
    fold_close(cut);
    struct log *log;
    (void)snprintf(name, sizeof name, "mem:cut-%d", ++logs);
    assert_int_equal(log_open(name, &config, &log, &diag), ERR_OK);
    for (u64 at = 1; at <= most;) {
        struct record record;
        bool found;
        arena_clear(&a);
        assert_int_equal(log_read(whole->log, at, &a, &record, &found, &diag), ERR_OK);
        at = record.first + (u64)record.entries_n;
        assert_int_equal(log_append(log, log_tail(log), &record, 1), LOG_OK);
    }
    log_close(log);
    options.log_uri = name;
    if (fold_open(&options, &cut, &diag)) fail_msg("fold_open: %.*s", STR_FMT(diag.what));
    arena_fini(&a);
    return cut;
}

static bool same_trait(const struct trait *x, const struct trait *y)
{
    return str_eq(x->fact.name, y->fact.name) && x->node == y->node && x->origin == y->origin
           && x->at_ms == y->at_ms && x->fact.kind == y->fact.kind && x->fact.n == y->fact.n
           && str_eq(x->fact.text, y->fact.text) && str_eq(x->source, y->source);
}

/* But for orders, which later news corrects where they stand, and the fold's own notes of moves. */
static isize plain_history(const struct profile *p, struct history_entry *out)
{
    isize n = 0;
    for (isize i = 0; i < p->history_n; i++)
        if (!(p->history[i].flags & HISTORY_ORDER) && !history_is_move(&p->history[i]))
            out[n++] = p->history[i];
    return n;
}

static isize people_checked, facts_compared, facts_read, members_met;

static void is_as_it_was(const struct profile *then, const struct profile *was)
{
    struct history_entry *x = arena_new(&all, struct history_entry, then->history_n + 1),
                         *y = arena_new(&all, struct history_entry, was->history_n + 1);
    isize n = plain_history(then, x), m = plain_history(was, y);
    assert_int_equal(n, m);
    for (isize i = 0; i < n; i++)
        if (x[i].at_ms != y[i].at_ms || x[i].ref != y[i].ref || x[i].type != y[i].type
            || x[i].item != y[i].item || x[i].value_minor != y[i].value_minor)
            fail_msg("person %u: entry %td is another one", was->id.v, i);
    if (then->traits_n != was->traits_n)
        fail_msg("person %u: %td facts, not %td", was->id.v, then->traits_n, was->traits_n);
    for (isize i = 0; i < was->traits_n; i++)
        if (!same_trait(&then->traits[i], &was->traits[i]))
            fail_msg("person %u: %.*s is another one", was->id.v, STR_FMT(was->traits[i].fact.name));
    people_checked++;
    facts_compared += was->traits_n;
}

/* In the same segment by its window, which lapses without an event; the one of orders follows their
 * corrections. */
static void is_where_it_was(const struct profile *then, const struct profile *was,
                            const struct fold *cut, i64 at_ms)
{
    const struct segment_set *set = atomic_load(&fold->live.book)->segments,
                             *set_was = atomic_load(&cut->live.book)->segments;
    segment_id jeans = segment_find(set, S("jeans"));
    bool *in = arena_new(&all, bool, set->n + 1);
    past_segments(set, fold->live.catalog, then, at_ms, &all, in);
    bool is = in[set->by_id[jeans.v] - set->at],
         held = segment_member(set_was, cut->live.catalog, was, jeans, at_ms);
    if (is != held) fail_msg("person %u: %d in the segment, not %d", was->id.v, is, held);
    members_met += held;
}

static bool parted_since(u32 node, i64 at_ms)
{
    person_id person = identity_person(fold->live.identity, node);
    for (u32 id = 1; id <= (u32)identity_links_n(fold->live.identity); id++) {
        struct link l, undone;
        assert_true(identity_link(fold->live.identity, id, &l));
        if (l.kind != LINK_SPLIT || l.at_ms <= at_ms) continue;
        assert_true(identity_link(fold->live.identity, l.undoes, &undone));
        if (identity_person(fold->live.identity, undone.a).v == person.v
            || identity_person(fold->live.identity, undone.b).v == person.v)
            return true;
    }
    return false;
}

/* Everybody the cut fold knows, who was not parted since, is found among the parts of somebody of
 * now, as they were. */
static void compare_with_cut(u64 most, i64 at_ms)
{
    struct fold *cut = cut_at(most);
    struct past_facts *facts = past_facts_new(at_ms);
    struct diag diag = { .arena = &all };
    i64 from_ms;
    fold_want_facts(fold, facts);
    assert_int_equal(fold_past_facts(fold, facts, &from_ms, &diag), ERR_OK);
    assert_int_equal(from_ms, 0);
    struct past_identity past = past_of(fold->live.identity, at_ms, &all);
    past.facts = facts;
    facts_read += past_facts_found(facts);
    for (u32 id = 1; id <= (u32)people_most(cut->live.people); id++) {
        const struct profile *was = people_get(cut->live.people, (person_id){ id }, &all),
                             *parts[NODES_PER_PERSON_MAX], *then = NULL;
        if (!was || parted_since(id, at_ms)) continue;
        const struct profile *is =
            people_get(fold->live.people, identity_person(fold->live.identity, id), &all);
        if (!is) fail_msg("person %u is gone", id);
        isize n = past_people(&past, &(struct swept){ .id = is->id, .now = is }, &all, parts, countof(parts));
        u32 nodes[NODES_PER_PERSON_MAX];
        isize nodes_n = identity_nodes(cut->live.identity, (person_id){ id }, nodes, countof(nodes));
        for (isize i = 0; i < n && !then; i++)
            for (isize k = 0; k < parts[i]->traits_n + parts[i]->history_n && !then; k++) {
                u32 node = k < parts[i]->traits_n
                               ? parts[i]->traits[k].node
                               : is->nodes[parts[i]->history[k - parts[i]->traits_n].node];
                for (isize j = 0; j < nodes_n; j++)
                    if (nodes[j] == node) then = parts[i];
            }
        struct history_entry *some = arena_new(&all, struct history_entry, was->history_n + 1);
        if (then) is_as_it_was(then, was);
        if (then) is_where_it_was(then, was, cut, at_ms);
        else if (was->traits_n || plain_history(was, some)) fail_msg("person %u is not found", id);
    }
    past_facts_free(facts);
    fold_close(cut);
}

static void as_of_an_instant_is_what_the_log_cut_there_folds_to(void **state)
{
    (void)state;
    i32 rounds = getenv("TEST_LONG") ? 60 : 6;
    people_checked = facts_compared = facts_read = members_met = 0;
    /* what comes late belongs to the past, and not to the log cut there */
    late_days = 1;
    for (i32 round = 0; round < rounds; round++) {
        struct rng rng = rng_seed((u64)round + 77);
        u64 cuts[3];
        i64 instants[3];
        set_scene();
        for (i32 i = 0; i < 300; i++) {
            u32 what = rng_below(&rng, 40);
            if (what == 0) merge_and_part(&rng);
            else if (what == 1)
                order_people(PEOPLE_SPLIT, 0, 0,
                             1 + rng_below(&rng, (u32)identity_links_n(fold->live.identity)));
            else if (what == 2) (void)wait_until(now + rng_below(&rng, 10) * DAY_MS);
            else something(&rng);
            if (i % 80 == 60) {
                cuts[i / 80] = fold->ref;
                instants[i / 80] = now;
            }
            atomic_fetch_add(&now, 1 + rng_below(&rng, 100000));
        }
        for (isize c = 0; c < 3; c++) compare_with_cut(cuts[c], instants[c]);
        fold_close(fold);
        arena_clear(&all);
        (void)snprintf(log_name, sizeof log_name, "mem:fold-%d", ++logs);
        atomic_store(&now, T0);
        assert_int_equal(open_fold(log_name, NULL), ERR_OK);
    }
    late_days = 3;
    print_message(
        "# %td people as they were, %td facts, %td of them said again since, %td in a segment\n",
        people_checked, facts_compared, facts_read, members_met);
    assert_true(people_checked > 10 * rounds && facts_compared > 10 * rounds && facts_read > rounds
                && members_met > 0);
}

/* ---- R27, R28: segments that move by themselves ---------------------------------------------- */

static void R27_membership_flips_on_the_event_and_back_when_the_window_ends(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    define(
        "segment", "jeans",
        "{\"rule\":\"count(product_viewed where category under \\\"Jeans\\\", last 30 days) >= 2\"}");
    define("segment", "away", "{\"rule\":\"not in segment \\\"jeans\\\"\"}");
    views(ana, "jeans");
    assert_false(member(ana, "jeans"));
    atomic_store(&now, T0 + DAY_MS + 5000);
    views(ana, "jacket");
    assert_true(member(ana, "jeans"));                  /* on the event, not later */
    assert_false(member(ana, "away"));
    assert_false(wait_until(T0 + 30 * DAY_MS - 1));     /* nothing is due a millisecond before */
    assert_true(member(ana, "jeans"));
    assert_true(wait_until(T0 + 30 * DAY_MS));
    assert_false(member(ana, "jeans"));
    assert_true(member(ana, "away"));                   /* and what hangs on it */
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_VIEWED), 2);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));         /* time stands in the log */
    assert_false(member(ana, "jeans"));
}

/* The segment of a cart that was left, with the move itself in the history for another rule to hear
 * of, and all of it the same when the log is folded again. */
static void what_is_due_at_once_comes_in_turns_dated_when_it_was_due(void **state)
{
    (void)state;
    enum { MANY = 600, A_TURN = 256 };
    define(
        "segment", "today",
        "{\"kind\":\"segment\",\"key\":\"today\",\"rule\":\"did(product_viewed, last 1 days)\"}");
    for (int i = 0; i < MANY; i++) {
        atomic_store(&now, T0 + i);
        views(cookie(arena_printf(&all, "c%d", i).ptr), "p-1");
    }
    const struct book *book = atomic_load(&fold->live.book);
    segment_id today = segment_find(book->segments, S("today"));
    assert_int_equal(roll_count(fold->live.roll, today), MANY);
    i64 late = T0 + DAY_MS + MANY;
    for (isize left = MANY - A_TURN; left > 0; left -= A_TURN) {
        assert_true(wait_until(late));
        assert_int_equal(roll_count(fold->live.roll, today), left);
        /* whoever asks is told by the clock, whose turn it ever is */
        for (int i = 0; i < MANY; i += 7)
            assert_false(segment_member(book->segments, fold->live.catalog,
                                        profile(cookie(arena_printf(&all, "c%d", i).ptr)), today,
                                        late));
    }
    struct identifier mine = cookie("c599");
    /* any record brings the next on; this one comes back */
    views(mine, "p-2");
    assert_true(member(mine, "today"));
    assert_false(wait_until(late + 1000));
    assert_int_equal(roll_count(fold->live.roll, today), 1);
    for (int i = 0; i < MANY - 1; i++) {
        const struct profile *p = profile(cookie(arena_printf(&all, "c%d", i).ptr));
        assert_int_equal(p->history[p->history_n - 1].type, EVENT_SEGMENT_LEFT);
        assert_int_equal(p->history[p->history_n - 1].at_ms, T0 + i + DAY_MS);
    }
    assert_true(same_digest(fold_digest(fold), replayed()));
}

static void a_new_rule_touches_only_whom_it_concerns(void **state)
{
    (void)state;
    define("segment", "jeans",
           "{\"kind\":\"segment\",\"key\":\"jeans\",\"rule\":\"count(product_viewed) >= 2\"}");
    define(
        "segment", "both",
        "{\"kind\":\"segment\",\"key\":\"both\",\"rule\":\"in segment \\\"jeans\\\" and did(product_viewed)\"}");
    for (int i = 0; i < 30; i++)
        for (int k = 0; k <= i % 3; k++) views(cookie(arena_printf(&all, "c%d", i).ptr), "p-1");
    const struct profile *before[30];
    for (int i = 0; i < 30; i++) before[i] = profile(cookie(arena_printf(&all, "c%d", i).ptr));
    define("segment", "jeans",
           "{\"kind\":\"segment\",\"key\":\"jeans\",\"rule\":\"count(product_viewed) >= 3\"}");
    for (int i = 0; i < 30; i++) {
        struct identifier who = cookie(arena_printf(&all, "c%d", i).ptr);
        assert_int_equal(member(who, "jeans"), i % 3 == 2);
        assert_int_equal(member(who, "both"), i % 3 == 2);      /* who depends on it follows */
        /* it stands in the version's own block */
        assert_int_equal(profile(who)->bucketing_id.ptr != before[i]->bucketing_id.ptr, i % 3 == 1);
    }
    assert_true(same_digest(fold_digest(fold), replayed()));
}

static void moves_are_history_that_rules_hear_of_and_replays_repeat(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    define(
        "segment", "left",
        "{\"rule\":\"sequence(product_added then not order_completed within 1 hour for the same cart, last 1 day)\"}");
    define("segment", "twice", "{\"rule\":\"count(segment_entered where segment = \\\"left\\\") >= 2\"}");
    for (int i = 1; i <= 2; i++) {
        struct event e = event_of(EVENT_PRODUCT_ADDED, ana, nobody);
        e.items = item("belt", 1000, 1);
        e.items_n = 1;
        e.cart = i == 1 ? S("c-1") : S("c-2");
        put_event(&e);
        i64 added = atomic_load(&now);
        assert_false(member(ana, "left"));
        assert_true(wait_until(added + HOUR_MS));
        assert_true(member(ana, "left"));
        const struct profile *p = profile(ana);
        const struct segment_set *set = atomic_load(&fold_live(fold)->book)->segments;
        struct match made[MATCHES_PER_SEGMENT_MAX];
        assert_int_equal(segment_matches(set, fold_live(fold)->catalog, p,
                                         segment_find(set, S("left")), now, made),
                         1);
        assert_true(str_eq(profile_cart(p, made->node, made->cart, made->at_ms),
                           i == 1 ? S("c-1") : S("c-2")));
        assert_int_equal(entries_of(ana, EVENT_SEGMENT_ENTERED), i == 1 ? 1 : 3);
        assert_int_equal(member(ana, "twice"), i == 2);
        assert_true(wait_until(added + DAY_MS));
        assert_false(member(ana, "left"));
        assert_int_equal(entries_of(ana, EVENT_SEGMENT_LEFT), i);
    }
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
    assert_true(member(ana, "twice"));
}

static void R28_three_views_in_a_session_place_a_stranger_in_a_segment(void **state)
{
    (void)state;
    define(
        "segment", "hot",
        "{\"rule\":\"count(product_viewed where category under \\\"Jeans\\\", this session) >= 3\"}");
    for (int i = 0; i < 3; i++) {
        assert_false(member(cookie("c-1"), "hot"));
        views(cookie("c-1"), "jeans");
        atomic_fetch_add(&now, MINUTE_MS);
    }
    assert_true(member(cookie("c-1"), "hot"));          /* for the next page */
    assert_false(profile(cookie("c-1"))->known);
    i64 last = now - MINUTE_MS;
    (void)wait_until(last + 29 * MINUTE_MS);
    assert_true(member(cookie("c-1"), "hot"));
    (void)wait_until(last + 30 * MINUTE_MS);
    (void)wait_until(last + 30 * MINUTE_MS + SECOND_MS);
    assert_false(member(cookie("c-1"), "hot"));         /* the visit is over */
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void orders_say(u16 type, struct identifier who, const char *key, i64 price, i32 quantity)
{
    struct event e = event_of(type, who, nobody);
    e.order_key = str_of(key);
    if (quantity) {
        e.items = item("belt", price, quantity);
        e.items_n = 1;
    }
    put_event(&e);
}

static void an_order_stands_once_whatever_is_said_of_it(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    orders_say(EVENT_ORDER_COMPLETED, ana, "1", 1000, 3);
    orders_say(EVENT_ORDER_COMPLETED, ana, "1", 1000, 3);
    assert_int_equal(worth(ana), 3000);
    assert_int_equal(entries_of(ana, EVENT_ORDER_COMPLETED), 1);
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_PURCHASED), 1);
    orders_say(EVENT_ORDER_UPDATED, ana, "1", 1000, 2);
    assert_int_equal(worth(ana), 2000);
    orders_say(EVENT_ORDER_REFUNDED, ana, "1", 1000, 1);
    assert_int_equal(worth(ana), 1000);
    assert_int_equal(fold->totals.revenue[0].minor, 1000);
    orders_say(EVENT_ORDER_REFUNDED, ana, "1", 0, 0);   /* the rest */
    assert_int_equal(worth(ana), 0);
    orders_say(EVENT_ORDER_COMPLETED, ana, "2", 500, 1);
    orders_say(EVENT_ORDER_CANCELLED, ana, "2", 0, 0);
    assert_int_equal(worth(ana), 0);
    assert_int_equal(entries_of(ana, EVENT_ORDER_COMPLETED), 1);
    assert_int_equal(orders_n(&fold->orders), 2);
    assert_int_equal(fold->totals.orders, 2);
    assert_int_equal(fold->totals.revenue[0].minor, 0);
    orders_say(EVENT_ORDER_REFUNDED, ana, "3", 700, 1); /* of an order nobody told us of */
    assert_int_equal(worth(ana), -700);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

static void what_is_said_of_an_order_without_a_person_reaches_its_owner(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    orders_say(EVENT_ORDER_COMPLETED, ana, "1", 1000, 1);
    orders_say(EVENT_ORDER_REFUNDED, nobody, "1", 0, 0);
    assert_int_equal(worth(ana), 0);
    assert_int_equal(fold->totals.revenue[0].minor, 0);
}

static void an_order_that_turns_out_to_be_anothers_is_counted_once(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    orders_say(EVENT_ORDER_COMPLETED, nobody, "guest", 400, 1);
    assert_int_equal(fold->totals.revenue[0].minor, 400);
    orders_say(EVENT_ORDER_UPDATED, ana, "guest", 400, 1);
    assert_int_equal(worth(ana), 400);
    orders_say(EVENT_ORDER_COMPLETED, cookie("c-1"), "1", 1000, 1);
    orders_say(EVENT_ORDER_UPDATED, ana, "1", 900, 1);
    assert_int_equal(worth(cookie("c-1")), 0);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_PRODUCT_PURCHASED), 0);
    assert_int_equal(worth(ana), 1300);
    assert_int_equal(fold->totals.revenue[0].minor, 1300);
}

/* ---- consent --------------------------------------------------------------------------------- */

static void after_a_no_nothing_more_is_folded_until_a_yes(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    views(ana, "jeans");                                /* on the basis of contract: nobody asked */
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_VIEWED), 1);
    struct event e = event_of(EVENT_CONSENT_CHANGED, ana, nobody);
    e.consent_denied = 1 << PURPOSE_ANALYTICS;
    put_event(&e);
    assert_int_equal(profile_consent(profile(ana), PURPOSE_ANALYTICS), CONSENT_DENIED);
    i64 before = fold->totals.no_consent;
    /* had passed the gate before the no came: refused here */
    views(ana, "jacket");
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_VIEWED), 1);
    assert_int_equal(fold->totals.no_consent, before + 1);
    orders_say(EVENT_ORDER_COMPLETED, ana, "1", 1000, 1);
    assert_int_equal(worth(ana), 0);                    /* the shop knows that it was sold, not to whom */
    assert_int_equal(fold->totals.revenue[0].minor, 1000);
    e = event_of(EVENT_CONSENT_CHANGED, ana, nobody);
    e.consent_granted = 1 << PURPOSE_ANALYTICS;
    put_event(&e);
    views(ana, "jacket");
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_VIEWED), 2);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

static void a_strangers_no_leaves_one_keyed_hash_and_a_yes_lifts_it(void **state)
{
    (void)state;
    struct hash128 who = denial_hash(fold->live.denial_key, cookie("c-1"));
    struct refusal refusal = {
        .source = 1, .no_consent = 3, .denials = { { who, 1 << PURPOSE_ANALYTICS } }, .denials_n = 1
    };
    struct buf bytes = { 0 };
    refusal_encode(&refusal, &bytes);
    put_one(ENTRY_REFUSAL, &bytes);
    assert_int_equal(people_count(fold->live.people), 0);
    assert_int_equal(denials_get(fold->live.denials, who), 1 << PURPOSE_ANALYTICS);
    assert_int_equal(fold->totals.no_consent, 3);
    views(cookie("c-1"), "jeans");                      /* said nothing itself: the no stands */
    assert_int_equal(people_count(fold->live.people), 0);
    struct event e = event_of(EVENT_PRODUCT_VIEWED, cookie("c-1"), nobody);
    e.consent_granted = 1 << PURPOSE_ANALYTICS;
    put_event(&e);
    assert_int_equal(denials_get(fold->live.denials, who), 0);
    assert_int_equal(entries_of(cookie("c-1"), EVENT_PRODUCT_VIEWED), 1);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

static isize taught(void)
{
    rcu_thread_start();
    struct lessons_of_all lessons = builder_interactions(fold);
    rcu_thread_stop();
    lessons_of_all_free(&lessons);
    return lessons.n;
}

static void says_of_training(struct identifier who, bool yes)
{
    struct event e = event_of(EVENT_CONSENT_CHANGED, who, nobody);
    if (yes) e.consent_granted = 1 << PURPOSE_MODEL_TRAINING;
    else e.consent_denied = 1 << PURPOSE_MODEL_TRAINING;
    put_event(&e);
}

/* What the builder appends between two builds: visits that went on since, of those whose visits may
 * be learnt from. */
static void a_product_launched_since_the_build_is_recommended(void **state)
{
    (void)state;
    static const char *const people[] = { "c-1", "c-2", "c-3" };
    define("source", "shop", "{\"basis\":{\"analytics\":\"contract\",\"model_training\":\"contract\"}}");
    for (isize i = 0; i < countof(people); i++) {
        views(cookie(people[i]), "jeans");
        views(cookie(people[i]), "belt");
    }
    rcu_thread_start();
    fold_train(fold);
    now += HOUR_MS;
    for (isize i = 0; i < countof(people); i++) {
        views(cookie(people[i]), "jeans");
        views(cookie(people[i]), "cap");
    }
    u32 jeans = catalog_find(fold->live.catalog, S("jeans")).v,
        cap = catalog_find(fold->live.catalog, S("cap")).v;
    struct recommend_query q = {
        .product = jeans, .now_ms = now, .mix = { RECOMMENDER_SESSION }, .mix_n = 1, .limit = 10
    };
    for (int round = 0; round < 4; round++) {           /* before, after, after a no, and in the next build */
        if (round == 1 || round == 2) fold_freshen(fold);
        if (round == 3) fold_train(fold);
        struct recommended *list;
        isize n = recommend(atomic_load(&fold->live.model), &q, &all, &list), caps = 0;
        for (isize i = 0; i < n; i++) caps += list[i].item == cap;
        assert_int_equal(caps, round == 1 || round == 3);
        for (isize i = 0; round == 1 && i < countof(people); i++) says_of_training(cookie(people[i]), false);
        for (isize i = 0; round == 2 && i < countof(people); i++) says_of_training(cookie(people[i]), true);
    }
    rcu_thread_stop();
    assert_true(same_digest(fold_digest(fold), replayed()));
}

static void models_learn_from_nobody_who_was_not_asked_unless_the_source_says_why(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana"), ben = proved(IDENTIFIER_USER_ID, "ben");
    define("source", "shop", "{\"basis\":{\"analytics\":\"contract\",\"model_training\":\"consent\"}}");
    views(ana, "jeans");
    views(ben, "jeans");
    orders_say(EVENT_ORDER_COMPLETED, ana, "1", 1000, 1);
    assert_int_equal(taught(), 0);                      /* nobody was asked */
    says_of_training(ana, true);
    assert_int_equal(taught(), 2);                      /* a yes is for what was before, too */
    define("source", "shop",
           "{\"basis\":{\"analytics\":\"contract\",\"model_training\":\"legitimate_interest\"}}");
    views(ben, "jacket");
    orders_say(EVENT_ORDER_COMPLETED, ben, "2", 1000, 1);
    /* his later doings, not what came when the basis was consent */
    assert_int_equal(taught(), 4);
    says_of_training(ben, false);
    assert_int_equal(taught(), 2);                      /* he objects: nothing of his */
    says_of_training(ana, false);
    assert_int_equal(taught(), 0);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

static void learning_goes_with_analytics_where_the_source_says_nothing_of_it(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana"), ben = proved(IDENTIFIER_USER_ID, "ben");
    define("source", "shop", "{}");
    struct event e = event_of(EVENT_CONSENT_CHANGED, ana, nobody);
    e.consent_granted = 1 << PURPOSE_ANALYTICS;
    put_event(&e);
    views(ana, "jeans");
    orders_say(EVENT_ORDER_COMPLETED, ben, "1", 1000, 1);
    assert_int_equal(entries_of(ben, EVENT_PRODUCT_PURCHASED), 1);
    /* she said yes to being counted; he was not asked: his order is the shop's alone */
    assert_int_equal(taught(), 1);
    says_of_training(ana, false);
    assert_int_equal(taught(), 0);
    assert_true(same_digest(fold_digest(fold), replayed()));
}

/* ---- duplicates ------------------------------------------------------------------------------ */

static void a_key_is_remembered_for_the_window_and_then_forgotten(void **state)
{
    (void)state;
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana");
    struct event e = event_of(EVENT_PRODUCT_VIEWED, ana, nobody), other = e;
    put_event(&e);
    put_event(&e);
    assert_int_equal(fold->totals.duplicates, 1);
    other.source = S("app");                            /* another source's key is another key */
    put_event(&other);
    assert_int_equal(fold->totals.duplicates, 1);
    (void)wait_until(T0 + config.dedup_days * DAY_MS);
    put_event(&e);
    assert_int_equal(fold->totals.duplicates, 2);
    (void)wait_until(T0 + (config.dedup_days + 1) * DAY_MS);
    put_event(&e);
    assert_int_equal(fold->totals.duplicates, 2);
    assert_int_equal(entries_of(ana, EVENT_PRODUCT_VIEWED), 3);
    struct fold_digest live = fold_digest(fold);
    assert_true(same_digest(live, replayed()));
}

/* ---- the store ------------------------------------------------------------------------------- */

static char log_uri[96], store_path[96];

static int set_up_folder(void **state)
{
    (void)state;
    config = config_default();
    config.log_file_bytes = 1 << 20;
    atomic_store(&now, T0);
    (void)snprintf(folder, sizeof folder, "/tmp/fold-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(log_uri, sizeof log_uri, "file:%s/log", folder);
    (void)snprintf(store_path, sizeof store_path, "%s/opmaat.db", folder);
    return open_fold(log_uri, store_path);
}

static int tear_down_folder(void **state)
{
    char command[128];
    (void)tear_down(state);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void chance(u64 seed, i32 n)
{
    struct rng rng = rng_seed(seed);
    for (i32 i = 0; i < n; i++) {
        if (rng_below(&rng, 15) == 0) merge_and_part(&rng);
        else something(&rng);
        atomic_fetch_add(&now, rng_below(&rng, 3) * HOUR_MS);
    }
}

static void what_was_flushed_is_read_back_to_the_same_digest(void **state)
{
    (void)state;
    set_scene();
    for (u64 round = 1; round <= 4; round++) {
        chance(round, 150);
        save_tick(fold, true);
        struct fold_digest live = fold_digest(fold);
        u64 ref = fold->ref;
        fold_close(fold);
        assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
        assert_int_equal(fold->ref, ref);
        if (!same_digest(live, fold_digest(fold))) fail_msg("round %d", (int)round);
    }
}

/* Stubs in the log, and how many of them still hold the hash of a key: the second byte of one has
 * flags, of which 2 says so (forget.c). */
static isize stubs(isize *hashed)
{
    isize n = 0;
    bool found = true;
    struct diag diag = { .arena = &all };
    *hashed = 0;
    for (u64 at = 1; found;) {
        struct record record;
        assert_int_equal(fold_read(fold, at, &all, &record, &found, &diag), ERR_OK);
        for (isize i = 0; found && i < record.entries_n; i++) {
            if (record.entries[i].kind != ENTRY_ERASED) continue;
            n++;
            *hashed += record.entries[i].bytes.len > 1 && record.entries[i].bytes.ptr[1] & 2;
        }
        if (found) at = record.first + (u64)record.entries_n;
    }
    return n;
}

static void erase_one(struct identifier who)
{
    u64 ref;
    struct diag diag = { .arena = &all };
    const struct erase_request request = {
        .who = { who }, .who_n = 1, .by = S("kari"), .because = S("test")
    };
    assert_int_equal(fold_erase(fold, &request, 1, &ref, &diag), ERR_OK);
}

/* A stub tells a repeat from something new for as long as one may come; the first pass after that
 * leaves nothing of the key. */
static void a_stub_keeps_the_hash_of_its_key_while_repeats_may_come(void **state)
{
    (void)state;
    isize hashed;
    set_scene();
    struct identifier ana = proved(IDENTIFIER_USER_ID, "ana"),
                      ben = proved(IDENTIFIER_USER_ID, "ben"),
                      cid = proved(IDENTIFIER_USER_ID, "cid");
    for (int i = 0; i < 3; i++) happens(EVENT_PRODUCT_VIEWED, ana);
    erase_one(ana);
    isize hers = stubs(&hashed);
    assert_true(hers >= 3 && hashed == hers);
    (void)wait_until(T0 + (config.dedup_days - 1) * DAY_MS);
    happens(EVENT_PRODUCT_VIEWED, ben);
    erase_one(ben);
    isize both = stubs(&hashed);
    assert_true(both > hers && hashed == both);
    (void)wait_until(T0 + (config.dedup_days + 2) * DAY_MS);
    happens(EVENT_PRODUCT_VIEWED, cid);
    erase_one(cid);
    isize three = stubs(&hashed);
    assert_true(three > both);
    assert_int_equal(hashed, three - hers);             /* of ben and cid repeats may come still */
    struct fold_digest live = fold_digest(fold);
    fold_close(fold);
    assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
    assert_true(same_digest(live, fold_digest(fold)));
}

static void a_crash_between_append_and_flush_replays_to_the_same_digest(void **state)
{
    (void)state;
    set_scene();
    for (u64 round = 1; round <= 4; round++) {
        chance(round + 100, 60);
        save_tick(fold, true);
        chance(round + 200, 60);                        /* on disk and folded, not flushed */
        struct fold_digest live = fold_digest(fold);
        fold_close(fold);
        assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
        if (!same_digest(live, fold_digest(fold))) fail_msg("round %d", (int)round);
    }
    fold_close(fold);
    fold = NULL;
    struct diag diag = { .arena = &all };
    struct buf report = { 0 };
    struct fold_options options = {
        .config = &config, .clock = { fake_now, NULL }, .log_uri = log_uri, .store_path = store_path
    };
    assert_int_equal(fold_verify(&options, &report, &diag), ERR_OK);
    buf_fini(&report);
}

static void meta_of(const char *sql)
{
    struct store *store;
    assert_int_equal(store_open(store_path, STORE_WRITER, &store, NULL), ERR_OK);
    assert_int_equal(store_run(store, sql, NULL), ERR_OK);
    store_close(store);
}

/* People of bytes that this program cannot read, as another form would have them. */
static void state_of_an_older_form_is_folded_anew(void **state)
{
    static const char *const older[] = { "DELETE FROM meta WHERE key = 'form'",
                                         "UPDATE meta SET value = x'01' WHERE key = 'form'" };
    (void)state;
    set_scene();
    for (isize i = 0; i < countof(older); i++) {
        chance((u64)i + 300, 80);
        save_tick(fold, true);
        struct fold_digest live = fold_digest(fold);
        u64 ref = fold->ref;
        fold_close(fold);
        meta_of(older[i]);
        meta_of(
            "UPDATE person SET bytes = x'02' || bytes; INSERT INTO denial(who, purposes) VALUES(x'00', 7)");
        assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
        assert_true(fold->ref == ref && same_digest(live, fold_digest(fold)));
        /* nothing was flushed: what is kept is as it was, and folded anew again */
        fold_close(fold);
        assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
        save_tick(fold, true);
        fold_close(fold);
        assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
        /* read, not folded */
        assert_true(fold->flushed_ref == ref && same_digest(live, fold_digest(fold)));
    }
    save_tick(fold, true);
    fold_close(fold);
    fold = NULL;
    struct diag diag = { .arena = &all };
    struct fold_options options = {
        .config = &config, .clock = { fake_now, NULL }, .log_uri = log_uri, .store_path = store_path
    };
    struct fold *refused;
    meta_of("UPDATE meta SET value = x'7f' WHERE key = 'form'");
    assert_int_equal(fold_open(&options, &refused, &diag), ERR_REFUSED);
    assert_true(str_find(diag.what, S("newer")) >= 0);
    fold_close(refused);
}

/* ---- with its threads ------------------------------------------------------------------------ */

struct asked { bool member; i64 accepted; u64 ref; };

static void ask_member(void *ctx, struct fold *of)
{
    struct asked *asked = ctx;
    assert_ptr_equal(of, fold);
    asked->member = member(proved(IDENTIFIER_USER_ID, "ana"), "jeans");
    asked->accepted = fold_totals(fold)->events;
    asked->ref = fold_ref(fold);
}

static void the_threads_take_keep_and_tick_by_themselves(void **state)
{
    (void)state;
    config.flush_ms = 50;
    define("segment", "jeans", "{\"rule\":\"count(product_viewed, last 1 day) >= 40\"}");
    fold_start(fold);
    struct asked asked = { 0 };
    for (int i = 0; i < 50; i++) {
        struct event e = event_of(EVENT_PRODUCT_VIEWED, proved(IDENTIFIER_USER_ID, "ana"), nobody);
        struct buf bytes = { 0 };
        u64 first;
        event_encode(&e, &bytes);
        struct entry entry = { ENTRY_EVENT, buf_str(&bytes) };
        assert_int_equal(fold_submit_wait(fold, &entry, 1, &first), ERR_OK);
        fold_ask_wait(fold, ask_member, &asked);
        assert_int_equal(asked.accepted, i + 1);        /* acknowledged: folded */
        assert_int_equal(asked.ref, first);
        assert_int_equal(asked.member, i >= 39);
        buf_fini(&bytes);
    }
    /* nobody says anything; the fold's own tick is enough */
    atomic_fetch_add(&now, DAY_MS);
    for (int i = 0; i < 500 && asked.member; i++) {
        (void)usleep(10000);
        fold_ask_wait(fold, ask_member, &asked);
    }
    assert_false(asked.member);
    fold_stop(fold);
    struct fold_digest live = fold_digest(fold);
    fold_close(fold);
    assert_int_equal(open_fold(log_uri, store_path), ERR_OK);
    assert_true(same_digest(live, fold_digest(fold)));
}

int main(void)
{
#define on_log(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define on_disk(test) cmocka_unit_test_setup_teardown(test, set_up_folder, tear_down_folder)
    const struct CMUnitTest tests[] = {
        on_log(R18_mail_phone_card_cookie_and_erp_number_lead_to_one_id),
        on_log(what_is_only_claimed_opens_nobodys_history),
        on_log(R19_login_merges_history_and_undoing_it_restores_both_exactly),
        on_log(R19_whatever_is_merged_can_be_parted_and_replays_alike),
        on_log(as_of_an_instant_is_what_the_log_cut_there_folds_to),
        on_log(R27_membership_flips_on_the_event_and_back_when_the_window_ends),
        on_log(what_is_due_at_once_comes_in_turns_dated_when_it_was_due),
        on_log(a_new_rule_touches_only_whom_it_concerns),
        on_log(moves_are_history_that_rules_hear_of_and_replays_repeat),
        on_log(R28_three_views_in_a_session_place_a_stranger_in_a_segment),
        on_log(an_order_stands_once_whatever_is_said_of_it),
        on_log(what_is_said_of_an_order_without_a_person_reaches_its_owner),
        on_log(an_order_that_turns_out_to_be_anothers_is_counted_once),
        on_log(after_a_no_nothing_more_is_folded_until_a_yes),
        on_log(a_strangers_no_leaves_one_keyed_hash_and_a_yes_lifts_it),
        on_log(a_product_launched_since_the_build_is_recommended),
        on_log(models_learn_from_nobody_who_was_not_asked_unless_the_source_says_why),
        on_log(learning_goes_with_analytics_where_the_source_says_nothing_of_it),
        on_log(a_key_is_remembered_for_the_window_and_then_forgotten),
        on_disk(what_was_flushed_is_read_back_to_the_same_digest),
        on_disk(a_stub_keeps_the_hash_of_its_key_while_repeats_may_come),
        on_disk(a_crash_between_append_and_flush_replays_to_the_same_digest),
        on_disk(state_of_an_older_form_is_folded_anew),
        on_disk(the_threads_take_keep_and_tick_by_themselves),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
