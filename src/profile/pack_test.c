/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_test.c - what went in comes out, whatever way the bytes came to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "profile/profile.h"

#define T0 1760000000000ll
enum { PEOPLE = 40, ROUNDS = 60, HISTORY_MOST = 100 };

/* Often what there was before, sometimes anything at all. */
static i64 any(struct rng *r, i64 most)
{
    if (rng_below(r, 50) == 0) return (i64)(rng_next(r) >> 2) - ((i64)1 << 60);
    return (i64)rng_below(r, (u32)most);
}

static struct history_entry any_entry(struct rng *r, i64 now_ms, u64 ref)
{
    static const u16 types[] = { EVENT_PAGE_VIEWED,
                                 EVENT_PRODUCT_VIEWED,
                                 EVENT_PRODUCT_ADDED,
                                 EVENT_ORDER_COMPLETED,
                                 EVENT_SEGMENT_ENTERED,
                                 EVENT_SEGMENT_LEFT,
                                 700 };
    struct history_entry e = { .at_ms = now_ms,
                               .ref = ref,
                               .type = types[rng_below(r, countof(types))],
                               .quantity = (i32)rng_below(r, 3) };
    if (rng_below(r, 2)) e.item = (u32)any(r, 20000);
    if (history_is_move(&e)) {
        e.quantity = (i32)any(r, 200);
        if (rng_below(r, 3) == 0) e.ref = 0;
        return e;
    }
    if (rng_below(r, 2)) { e.value_minor = any(r, 10000); e.currency = (u16)any(r, 4); }
    e.channel = (u8)rng_below(r, 3);
    if (rng_below(r, 30) == 0) e.at_ms = any(r, 1000);
    if (rng_below(r, 30) == 0) e.ref = rng_next(r);
    if (rng_below(r, 4) == 0) e.flags = (u16)any(r, 1 << 10);
    return e;
}

static void any_facts(struct rng *r, struct profile_edit *e, arena *a, i64 now_ms)
{
    static const char *const names[] = { "city", "language", "age", "plan" };
    str name = str_of(names[rng_below(r, countof(names))]);
    struct trait t = { .fact = { .name = name, .kind = FACT_TEXT, .text = S("Oslo") },
                       .source = rng_below(r, 3) ? S("shop") : S("app"),
                       .at_ms = now_ms,
                       .node = e->nodes.at[0],
                       .origin = (u8)rng_below(r, 3) };
    if (rng_below(r, 2))
        t.fact =
            (struct fact){ .name = name, .kind = FACT_NUMBER, .n = -0.5 * (f64)rng_below(r, 3) };
    edit_trait(e, a, t);
    if (rng_below(r, 5) == 0)
        edit_consent(e, a,
                     (struct consent_entry){ (u8)rng_below(r, PURPOSES), CONSENT_GRANTED,
                                             e->nodes.at[0], any(r, T0), S("tag") });
    isize n = rng_below(r, 30);
    struct membership *rows = arena_new(a, struct membership, n);
    for (isize i = 0; i < n; i++) {
        rows[i] = (struct membership){ (u16)(1 + 3 * i), rng_below(r, 2), 0, TIME_NEVER };
        if (rows[i].member) rows[i].entered_at_ms = now_ms - (i64)rng_below(r, 9) * DAY_MS;
        struct history_entry move = { .at_ms = rows[i].entered_at_ms - (rng_below(r, 9) == 0),
                                      .type = EVENT_SEGMENT_ENTERED,
                                      .quantity = rows[i].segment };
        if (rows[i].member && rng_below(r, 2)) edit_entry(e, a, move);
        if (rng_below(r, 3))
            rows[i].next_change_at_ms = rng_below(r, 9) ? now_ms + (i64)rng_below(r, 365) * DAY_MS
                                                        : (i64)rng_below(r, 1000000) - 500000;
    }
    e->memberships.at = rows;
    e->memberships.n = e->memberships.cap = n;
}

static void same_person(const struct profile *x, const struct profile *y)
{
    assert_int_equal(x->history_n, y->history_n);
    if (x->history_n) assert_memory_equal(x->history, y->history, (size_t)x->history_n * sizeof *x->history);
    assert_int_equal(x->memberships_n, y->memberships_n);
    for (isize i = 0; i < x->memberships_n; i++) {
        const struct membership *m = &x->memberships[i], *o = &y->memberships[i];
        assert_int_equal(m->segment, o->segment);
        assert_int_equal(m->member, o->member);
        assert_int_equal(m->entered_at_ms, o->entered_at_ms);
        assert_int_equal(m->next_change_at_ms, o->next_change_at_ms);
    }
    assert_int_equal(x->next_change_at_ms, y->next_change_at_ms);
    assert_int_equal(x->traits_n, y->traits_n);
    for (isize i = 0; i < x->traits_n; i++) {
        const struct trait *t = &x->traits[i], *o = &y->traits[i];
        assert_true(str_eq(t->fact.name, o->fact.name));
        assert_true(str_eq(t->fact.text, o->fact.text));
        assert_true(str_eq(t->source, o->source));
        assert_int_equal(t->fact.kind, o->fact.kind);
        assert_memory_equal(&t->fact.n, &o->fact.n, sizeof t->fact.n);
        assert_int_equal(t->at_ms, o->at_ms);
        assert_int_equal(t->node, o->node);
        assert_int_equal(t->origin, o->origin);
    }
    assert_int_equal(x->consents_n, y->consents_n);
    assert_int_equal(x->created_at_ms, y->created_at_ms);
    assert_int_equal(x->last_at_ms, y->last_at_ms);
    assert_int_equal(x->older_events, y->older_events);
    assert_int_equal(x->known, y->known);
    assert_true(str_eq(x->bucketing_id, y->bucketing_id));
}

/* The commit says what it made: what is read back, what is packed whole from that, and what another
 * table loads are the same. */
static void packed_as_it_was_made(void **state)
{
    (void)state;
    struct rng r = rng_seed(3);
    struct people *people = people_new(), *loaded = people_new();
    struct buf whole = { 0 }, kept = { 0 };
    arena a = { 0 };
    u64 ref = 1;
    for (int i = 0; i < PEOPLE * ROUNDS; i++) {
        struct profile_edit e;
        i64 now_ms = T0 + i * (i64)(1 + rng_below(&r, 2 * HOUR_MS));
        person_id id = { 1 + rng_below(&r, PEOPLE) };
        people_edit(people, id, &a, &e);
        (void)edit_node(&e, 4 + rng_below(&r, 3), &a);
        if (!e.created_at_ms) { e.created_at_ms = now_ms; e.bucketing_id = S("cookie"); }
        /* as when people are joined */
        if (rng_below(&r, 20) == 0) e.created_at_ms -= (i64)rng_below(&r, 9) * HOUR_MS;
        e.known |= rng_below(&r, 20) == 0;
        for (u32 k = rng_below(&r, 6); k > 0; k--) edit_entry(&e, &a, any_entry(&r, now_ms, ref++));
        if (rng_below(&r, 2)) any_facts(&r, &e, &a, now_ms);
        if (rng_below(&r, 20) == 0) edit_history(&e, &a);
        (void)people_draft(people, &e, HISTORY_MOST);
        for (u32 k = rng_below(&r, 3); k > 0; k--) people_follow(&e, any_entry(&r, now_ms, ref));
        const struct profile *made = people_commit(people, &e, HISTORY_MOST),
                             *got = people_get(people, id, &a);
        same_person(made, got);
        const struct profile *part = people_read(people, id, PEOPLE_HISTORY, &a);
        assert_true(part->memberships_n == 0 && part->next_change_at_ms == TIME_NEVER);
        people_read_on(part, &a);
        same_person(part, got);
        people_read_on(part, &a);
        same_person(part, got);
        const struct profile *said = people_consented(people, id, &a);
        assert_true(said ? said->consents_n == got->consents_n : got->consents_n == 0);
        whole.len = 0;
        profile_encode(got, &whole);
        if (rng_below(&r, 2)) people_digest(people);
        struct person_change *changed;
        for (isize n = people_take(people, &a, &changed); n-- > 0;) {
            str encoded = people_encode(people, &changed[n]);
            assert_true(n == 0 || changed[n - 1].id.v < changed[n].id.v);
            if (changed[n].id.v == id.v) assert_true(str_eq(buf_str(&whole), encoded));
        }
        for (struct history_page page; people_page_next(people, &page);) mem_free(page.entries);
        arena_clear(&a);
        rcu_settle();
    }
    for (u32 id = 1; id <= PEOPLE; id++) {
        const struct profile *p = people_get(people, (person_id){ id }, &a);
        if (!p) continue;
        kept.len = 0;
        profile_encode(p, &kept);
        /* what was cut off is not believed */
        for (isize cut = 0; cut < kept.len; cut += 1 + kept.len / 40)
            assert_int_equal(people_load(loaded, str_slice(buf_str(&kept), 0, cut), &a), ERR_DAMAGED);
        assert_int_equal(people_load(loaded, buf_str(&kept), &a), ERR_OK);
    }
    assert_true(hash128_eq(people_digest(people), people_digest(loaded)));
    buf_fini(&whole);
    buf_fini(&kept);
    arena_fini(&a);
    people_free(people);
    people_free(loaded);
}

/* Two tables of the same people, of whom one lets who rests go cold: nobody can tell, and neither
 * can the digest. */
static void cold_is_told_as_warm(void **state)
{
    (void)state;
    enum { MANY = 1500, TURNS = 6000, A_TURN = 40 };
    struct rng r = rng_seed(11);
    struct people *plain = people_new(), *cools = people_new(), *both[] = { plain, cools };
    arena a = { 0 };
    i64 colder = 0;
    isize wanted = 0;
    for (int i = 0; i < TURNS; i++) {
        i64 now_ms = T0 + i * (i64)MINUTE_MS / 20;
        person_id id = { i < MANY ? 1 + (u32)i : 1 + rng_below(&r, MANY) };
        struct rng same = r;
        for (isize k = 0; k < countof(both); k++) {
            r = same;
            if (i > MANY && rng_below(&r, 40) == 0) { people_remove(both[k], id); continue; }
            struct profile_edit e;
            people_edit(both[k], id, &a, &e);
            (void)edit_node(&e, id.v, &a);
            if (!e.created_at_ms) { e.created_at_ms = now_ms; e.bucketing_id = S("cookie"); }
            for (u32 n = rng_below(&r, 6); n > 0; n--) edit_entry(&e, &a, any_entry(&r, now_ms, (u64)i));
            any_facts(&r, &e, &a, now_ms);
            (void)people_commit(both[k], &e, HISTORY_MOST);
        }
        if (i % A_TURN == 0) {
            struct person_change *changed;
            for (isize n = people_take(cools, &a, &changed); n-- > 0;)
                (void)people_encode(cools, &changed[n]);
            (void)people_cool(cools, now_ms, 20000, 4 * A_TURN);
            people_learn(cools);
            person_id other = { 1 + rng_below(&r, MANY) };
            i64 before = people_bytes(cools).plain;
            people_want(cools, other);
            (void)people_cool(cools, now_ms, INT64_MAX, 0);
            wanted += people_bytes(cools).plain > before;
            const struct profile *x = people_get(plain, other, &a), *y = people_get(cools, other, &a);
            assert_true(!x == !y);
            if (x) same_person(x, y);
            assert_true(!people_consented(plain, other, &a) == !people_consented(cools, other, &a));
        }
        for (isize k = 0; k < countof(both); k++)
            for (struct history_page page; people_page_next(both[k], &page);) mem_free(page.entries);
        colder = people_bytes(cools).cold > colder ? people_bytes(cools).cold : colder;
        if (i % 1000 == 0) assert_true(hash128_eq(people_digest(plain), people_digest(cools)));
        arena_clear(&a);
        rcu_settle();
    }
    assert_true(wanted > 10);                           /* some were cold, and came back */
    assert_true(people_bytes(plain).cold == 0 && people_bytes(plain).plain > colder);
    struct person_change *changed;
    for (isize n = people_take(cools, &a, &changed); n-- > 0;) (void)people_encode(cools, &changed[n]);
    while (people_cool(cools, T0 + 90 * DAY_MS, 0, MANY)) {}
    assert_true(people_bytes(cools).plain < people_bytes(cools).cold);
    for (u32 id = 1; id <= MANY; id++) {
        const struct profile *x = people_get(plain, (person_id){ id }, &a),
                             *y = people_get(cools, (person_id){ id }, &a);
        assert_true(!x == !y);
        if (x) same_person(x, y);
        people_remove(plain, (person_id){ id });
        people_remove(cools, (person_id){ id });
        arena_clear(&a);
    }
    assert_true(hash128_eq(people_digest(plain), people_digest(cools)));
    assert_int_equal(people_bytes(plain).plain, 0);
    assert_int_equal(people_bytes(cools).plain + people_bytes(cools).cold, 0);
    rcu_settle();
    arena_fini(&a);
    people_free(plain);
    people_free(cools);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(packed_as_it_was_made),
                                        cmocka_unit_test(cold_is_told_as_warm) };
    rcu_thread_start();
    int failed = cmocka_run_group_tests_name("pack", tests, NULL, NULL);
    rcu_thread_stop();
    return failed;
}
