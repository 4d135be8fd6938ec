/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a question to everybody is answered as of one instant although people are joined, and say and do things, while it is asked. Method:
 * whoever asks changes the people from within, as the fold would between two brackets; and another thread does so all the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef assert

#include <pthread.h>
#include <stdatomic.h>

#include "base/rcu.h"
#include "segment/segment.h"

#define T0 1760000000000ll
enum { PEOPLE = 3000 };

static struct identity *identity;
static struct people *people;
static struct catalog *catalog;
static struct segment_set none;

static struct identifier mail(arena *a, u32 person) { return (struct identifier){ IDENTIFIER_EMAIL, true, arena_printf(a, "p%u@example.com", person) }; }

static void does(struct profile_edit *edit, arena *a, u32 node, i64 at_ms)
{
    edit_entry(edit, a, (struct history_entry){ .at_ms = at_ms, .ref = (u64)at_ms, .type = EVENT_PRODUCT_VIEWED, .node = edit_node(edit, node, a) });
}

/* Each person views one thing more than the last figure of their number says, in the hour before T0. */
static int set_up(void **state)
{
    (void)state;
    arena a = { 0 };
    identity = identity_new(7);
    people = people_new();
    catalog = catalog_new();
    for (u32 i = 1; i <= PEOPLE; i++) {
        struct identifier id = mail(&a, i);
        struct event e = { .type = EVENT_IDENTIFIED, .identifiers = &id, .identifiers_n = 1, .at_ms = T0 - HOUR_MS };
        struct resolved who = identity_resolve(identity, &e, i, T0 - HOUR_MS);
        struct profile_edit edit;
        assert_int_equal(who.person.v, i);
        people_edit(people, who.person, &a, &edit);
        edit.created_at_ms = T0 - HOUR_MS;
        (void)edit_node(&edit, i, &a);
        for (u32 k = 0; k <= i % 10; k++) does(&edit, &a, i, T0 - (i64)(k + 1) * MINUTE_MS);
        people_commit(people, &edit, 1000);
        arena_clear(&a);
    }
    arena_fini(&a);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rcu_settle();
    people_free(people);
    catalog_free(catalog);
    identity_free(identity);
    return 0;
}

/* What the fold does: one ceases, the other is both; and both look at something more. */
static void join(u32 x, u32 y, i64 at_ms)
{
    arena a = { 0 };
    struct identifier ids[] = { mail(&a, x), mail(&a, y) };
    struct event e = { .type = EVENT_IDENTIFIED, .identifiers = ids, .identifiers_n = 2, .at_ms = at_ms };
    struct resolved who = identity_resolve(identity, &e, (u64)at_ms, at_ms);
    struct profile_edit edit;
    people_edit(people, who.person, &a, &edit);
    for (isize i = 0; i < who.merged_n; i++) {
        const struct profile *gone = people_get(people, who.merged[i], &a);
        if (!gone || who.merged[i].v == who.person.v) continue;
        edit_absorb(&edit, gone, &a);
        people_remove(people, who.merged[i]);
    }
    does(&edit, &a, x, at_ms);
    does(&edit, &a, y, at_ms);
    people_commit(people, &edit, 1000);
    arena_fini(&a);
}

static const struct rule *rule_of(arena *a, const char *text)
{
    const struct rule *rule;
    struct rule_errors errors = { 0 };
    assert_int_equal(rule_compile(a, str_of(text), RULE_SEGMENT, NULL, &rule, &errors), ERR_OK);
    return rule;
}

struct meddling { const struct past_identity *past; const struct rule *rule; i64 now_ms, met, held; };

/* While 1500 is asked, 1400 and 1600 are joined (one behind, one ahead), 2 and 3 (both behind), 2998 and 2999 (both ahead). */
static void ask_and_meddle(void *ctx, void *answer, const struct swept *who, arena *a)
{
    struct meddling *m = ctx;
    const struct profile *as;
    (void)answer;
    m->met++;
    m->held += past_held(m->past, &none, catalog, m->rule, who, a, &as);
    if (who->id.v != 1500) return;
    join(1400, 1600, T0 + 1000);
    join(2, 3, T0 + 2000);
    join(2998, 2999, T0 + 3000);
    join(1600, 2998, T0 + 4000);
}

static void who_is_joined_meanwhile_is_met_once_as_they_were(void **state)
{
    (void)state;
    arena a = { 0 };
    struct past_identity past = past_of(identity, T0, &a);
    past_owners(&past, identity, &a);
    struct meddling m = { &past, rule_of(&a, "count(product_viewed) >= 10"), T0, 0, 0 };
    void *answers[SWEEP_ANSWERS_MAX];
    struct sweep s = { .people = people, .identity = identity, .past = &past, .answer_size = 1, .each = ask_and_meddle, .ctx = &m };
    assert_int_equal(sweep_run(&s, &a, answers), 1);
    assert_int_equal(m.met, PEOPLE);
    assert_int_equal(m.held, PEOPLE / 10);
    /* Asked again, of the same instant: by the ledger as it is now four are joined, and they are told apart. */
    past = past_of(identity, T0, &a);
    past_owners(&past, identity, &a);
    assert_int_equal(past.joined_since, 4);
    struct segment ten = { .rule = m.rule };
    struct segment_set set = { .at = &ten, .n = 1 };
    const isize first = 0;
    s.past = &past;
    struct past_counts c = past_count(&s, &set, catalog, &first, 1, false, &a);
    assert_int_equal(c.people, PEOPLE);
    assert_int_equal(c.of[0], PEOPLE / 10);
    /* And of a moment later, whoever was joined is one. */
    past = past_of(identity, T0 + 5000, &a);
    past_owners(&past, identity, &a);
    assert_int_equal(past_count(&s, &set, catalog, &first, 1, false, &a).people, PEOPLE - 4);
    arena_fini(&a);
}

/* ---- with the fold at work on another thread --------------------------------------------------------------- */

static atomic_bool asking;

static void *join_all_the_time(void *ctx)
{
    i64 at_ms = T0 + 1;
    (void)ctx;
    rcu_thread_start();
    for (u32 i = 1; i + 50 <= PEOPLE && atomic_load(&asking); i++) {
        join(i, PEOPLE + 1 - i, at_ms++);
        if (i % 8 == 0) join(i, i - 7, at_ms++);
        rcu_settle();
    }
    rcu_thread_stop();
    return NULL;
}

static void counts_of_an_instant_stand_while_people_are_joined(void **state)
{
    (void)state;
    arena a = { 0 };
    struct segment ten = { .rule = rule_of(&a, "count(product_viewed) >= 10") };
    struct segment_set set = { .at = &ten, .n = 1 };
    const isize first = 0;
    pthread_t thread;
    struct past_identity past = past_of(identity, T0, &a);
    past_owners(&past, identity, &a);
    struct sweep s = { .people = people, .identity = identity, .past = &past };
    rcu_thread_start();
    atomic_store(&asking, true);
    assert_int_equal(pthread_create(&thread, NULL, join_all_the_time, NULL), 0);
    for (int round = 0; round < 40; round++) {
        struct past_counts c = past_count(&s, &set, catalog, &first, 1, false, &a);
        assert_int_equal(c.people, PEOPLE);
        assert_int_equal(c.of[0], PEOPLE / 10);
        assert_int_equal(segment_preview(&s, catalog, ten.rule, &none, T0).count, PEOPLE / 10);
    }
    atomic_store(&asking, false);
    (void)pthread_join(thread, NULL);
    rcu_thread_stop();
    arena_fini(&a);
}

static void a_sample_holds_the_lowest_ids(void **state)
{
    (void)state;
    arena a = { 0 };
    struct sweep s = { .people = people };
    struct segment_preview found = segment_preview(&s, catalog, rule_of(&a, "count(product_viewed) >= 10"), &none, T0);
    assert_int_equal(found.count, PEOPLE / 10);
    assert_int_equal(found.sample_n, 10);
    for (u32 i = 0; i < 10; i++) assert_int_equal(found.sample[i].v, 9 + 10 * i);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_joined_meanwhile_is_met_once_as_they_were, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_of_an_instant_stand_while_people_are_joined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sample_holds_the_lowest_ids, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
