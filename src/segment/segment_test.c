/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a question to everybody is answered as of one instant although people are joined, and say
 * and do things, while it is asked. Method: whoever asks changes the people from within, as the
 * fold would between two brackets; and another thread does so all the time. */
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

static struct identifier mail(arena *a, u32 person)
{
    return (struct identifier){ IDENTIFIER_EMAIL, true,
                                arena_printf(a, "p%u@example.com", person) };
}

static void does(struct profile_edit *edit, arena *a, u32 node, i64 at_ms)
{
    edit_entry(edit, a,
               (struct history_entry){ .at_ms = at_ms,
                                       .ref = (u64)at_ms,
                                       .type = EVENT_PRODUCT_VIEWED,
                                       .node = edit_node(edit, node, a) });
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
        struct event e = {
            .type = EVENT_IDENTIFIED, .identifiers = &id, .identifiers_n = 1, .at_ms = T0 - HOUR_MS
        };
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

/* While 1500 is asked, 1400 and 1600 are joined (one behind, one ahead), 2 and 3 (both behind),
 * 2998 and 2999 (both ahead). */
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
    struct sweep s = { .people = people,
                       .identity = identity,
                       .past = &past,
                       .answer_size = 1,
                       .each = ask_and_meddle,
                       .ctx = &m };
    assert_int_equal(sweep_run(&s, &a, answers), 1);
    assert_int_equal(m.met, PEOPLE);
    assert_int_equal(m.held, PEOPLE / 10);
    /* Asked again, of the same instant: by the ledger as it is now four are joined, and they are
     * told apart. */
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

/* ---- with the fold at work on another thread ------------------------------------------------- */

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
    struct segment_preview found =
        segment_preview(&s, catalog, rule_of(&a, "count(product_viewed) >= 10"), &none, T0);
    assert_int_equal(found.count, PEOPLE / 10);
    assert_int_equal(found.sample_n, 10);
    for (u32 i = 0; i < 10; i++) assert_int_equal(found.sample[i].v, 9 + 10 * i);
    arena_fini(&a);
}

/* ---- what an entry may move ------------------------------------------------------------------ */

static i32 event_of(const void *ctx, str name)
{
    (void)ctx;
    return event_type_of(name) ? (i32)event_type_of(name) : -1;
}
static i32 segment_of(const void *ctx, str key)
{
    const struct definition *d = definition_find(ctx, S("segment"), key);
    return d ? d->number : -1;
}
static bool name_of(const void *ctx, enum rule_name sort, isize at, str *out)
{
    (void)ctx, (void)sort, (void)at, (void)out;
    return false;
}

static void publish(struct definitions *definitions, arena *a, int i, str rule)
{
    str key = arena_printf(a, "s%02d", i);
    struct definition_change change = {
        .op = DEFINITION_DRAFT,
        .kind = S("segment"),
        .key = key,
        .author = S("test"),
        .document = arena_printf(a, "{\"kind\":\"segment\",\"key\":\"%.*s\",\"rule\":\"%.*s\"}",
                                 STR_FMT(key), STR_FMT(rule))
    };
    definition_apply(definitions, &change, T0);
    change = (struct definition_change){ .op = DEFINITION_PUBLISH,
                                         .kind = S("segment"),
                                         .key = key,
                                         .revision = 1,
                                         .author = S("test") };
    definition_apply(definitions, &change, T0);
}

static struct membership row_of(const struct profile_edit *edit, u16 segment)
{
    for (isize i = 0; i < edit->memberships.n; i++)
        if (edit->memberships.at[i].segment == segment) return edit->memberships.at[i];
    return (struct membership){ .segment = segment, .next_change_at_ms = TIME_NEVER };
}

/* `later`: an entry ahead of the clock stands in the history, and rules that it does not touch may
 * be asked again when it comes, for nothing: those instants may differ. */
static bool same_rows(const struct profile_edit *few, const struct profile_edit *all,
                      isize segments, bool later)
{
    for (u16 id = 1; id <= segments; id++) {
        struct membership x = row_of(few, id), y = row_of(all, id);
        if (x.member != y.member || x.entered_at_ms != y.entered_at_ms
            || (!later && x.next_change_at_ms != y.next_change_at_ms)) {
            print_message("segment %d: member %d %d, entered %lld %lld, next %lld %lld, later %d\n",
                          id, x.member, y.member, (long long)x.entered_at_ms,
                          (long long)y.entered_at_ms, (long long)x.next_change_at_ms,
                          (long long)y.next_change_at_ms, later);
            return false;
        }
    }
    return true;
}

/* Goal: only those segments are asked that an entry may move, and nobody's membership differs from
 * asking all of them. Method: people like, choose and buy things of a few categories at random,
 * some entries late and some ahead of the clock; after each of them all segments are asked again. */
static void asking_a_few_is_as_good_as_asking_all(void **state)
{
    static const str categories[] = { S_INIT("Clothes > Jeans"), S_INIT("Clothes > Sweaters"), S_INIT("Kitchen > Kettles"), S_INIT("Shoes"), S_INIT("Home > T-shirts") };
    static const str rules[] = {
        S_INIT("affinity(category, \\\"jeans\\\") > 0.3"), S_INIT("affinity(category, \\\"Clothes\\\") >= 0.5"), S_INIT("affinity(category, \\\"shoes\\\") < 0.2"),
        S_INIT("affinity(category, \\\"t-shirts\\\") > 0 and affinity(brand, \\\"Acme\\\") > 0.4"), S_INIT("not affinity(category, \\\"kettles\\\") > 0.1"),
        S_INIT("affinity(category, \\\"Kitchen > Kettles\\\") > 0.2"), S_INIT("affinity(category, \\\"kitchen\\\") > 0.2 or affinity(category, \\\"shoes\\\") > 0.2"),
        S_INIT("in segment \\\"s00\\\" and did(product_viewed, last 1 days)"), S_INIT("count(product_viewed where category under \\\"shoes\\\", last 30 days) >= 2"),
        S_INIT("affinity(category, \\\"shoes\\\") > 0.1 and not did(order_completed, last 7 days)"), S_INIT("affinity(category, \\\"jeans\\\") >= 0"),
    };
    static const u16 types[] = { EVENT_PRODUCT_VIEWED, EVENT_PRODUCT_VIEWED,
                                 EVENT_PRODUCT_ADDED,  EVENT_PRODUCT_PURCHASED,
                                 EVENT_PAGE_VIEWED,    EVENT_ORDER_COMPLETED };
    (void)state;
    struct definitions *definitions = definitions_new();
    struct definition_errors errors = { 0 };
    const struct segment_set *set;
    arena kept = { 0 }, a = { 0 };
    struct rng r = rng_seed(5);
    for (int i = 0; i < countof(rules); i++) publish(definitions, &kept, i, rules[i]);
    struct rule_names names = { definitions, event_of, segment_of, name_of };
    assert_int_equal(segment_set_build(&kept, definitions, NULL, &names, &set, &errors), ERR_OK);
    assert_int_equal(set->n, countof(rules));
    for (int i = 0; i < 40; i++)
        catalog_see(catalog,
                    &(struct event_item){ .product_key = arena_printf(&kept, "p-%d", i),
                                          .category = categories[i % countof(categories)],
                                          .brand = i % 3 ? S("Acme") : S("Other") },
                    (currency){ 0 }, T0, 1);
    i64 moved = 0;
    for (u32 n = 0; n < 400; n++) {
        person_id id = { PEOPLE + 1 + n };
        i64 now_ms = T0;
        for (int step = 0; step < 25; step++) {
            struct profile_edit edit, again;
            struct segment_change changes[countof(rules) + 1];
            struct history_entry entry = { .ref = n * 100 + (u64)step + 1,
                                           .type = types[rng_below(&r, countof(types))],
                                           .quantity = 1 };
            now_ms += (i64)rng_below(&r, 3 * DAY_MS);
            entry.at_ms = now_ms - (rng_below(&r, 5) ? 0 : (i64)rng_below(&r, DAY_MS))
                          + (rng_below(&r, 20) ? 0 : HOUR_MS);
            if (entry.type != EVENT_PAGE_VIEWED) entry.item = 1 + (n + rng_below(&r, 2)) % 40;
            people_edit(people, id, &a, &edit);
            bool chose = step > 3 && rng_below(&r, 12) == 0;
            entry.node = edit_node(&edit, id.v, &a);
            edit_entry(&edit, &a, entry);
            struct fact likes = { .name = S("preferences.category"),
                                  .kind = FACT_TEXT,
                                  .text = rng_below(&r, 2) ? S("Shoes") : S("T-shirts") };
            if (chose)
                edit_trait(&edit, &a,
                           (struct trait){ likes, S("shop"), now_ms, id.v, TRAIT_DECLARED });
            struct segment_ask ask = { .set = set,
                                       .catalog = catalog,
                                       .profile = people_draft(people, &edit, 1000),
                                       .now_ms = now_ms,
                                       .touched = &entry,
                                       .touched_n = 1,
                                       .all = !edit.before,
                                       .facts = chose };
            moved += segment_update(&ask, &a, &edit, changes);
            again = edit;
            ask.all = true;
            assert_int_equal(segment_update(&ask, &a, &again, changes), 0);
            assert_true(same_rows(&edit, &again, set->n, edit.made[edit.made_n - 1].at_ms > now_ms));
            people_commit(people, &edit, 1000);
            arena_clear(&a);
        }
    }
    assert_true(moved > 4000);
    rcu_settle();
    arena_fini(&a);
    arena_fini(&kept);
    definitions_free(definitions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_joined_meanwhile_is_met_once_as_they_were, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(counts_of_an_instant_stand_while_people_are_joined, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sample_holds_the_lowest_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_a_few_is_as_good_as_asking_all, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
