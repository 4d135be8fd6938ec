/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the instants that are announced are right to the millisecond. Method: a table of rules over
 * the history of rule_world.h. That any rule at any instant is right is the business of
 * differential_test.c. */
#include "rule/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "rule/rule_world.h"

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

static const struct rule *compiled(str text, enum rule_place place)
{
    const struct rule *rule;
    struct rule_errors errors;
    if (rule_compile(&memory, text, place, &world_names, &rule, &errors))
        fail_msg("%.*s\n%*s^ %.*s", STR_FMT(text), (int)errors.at[0].column - 1, "",
                 STR_FMT(errors.at[0].message));
    return rule;
}

static void timers_are_right_to_the_millisecond(void **state)
{
    (void)state;
    static const struct { const char *why; str text; enum tri is; i64 next; } rows[] = {
        { "the third newest goes", S_INIT("count(product_viewed where category under \"jeans\", last 30 days) >= 3"), TRI_TRUE, AGO(20, DAY_MS) + 30 * DAY_MS },
        { "never without an event", S_INIT("count(product_viewed, last 30 days) >= 9"), TRI_FALSE, TIME_NEVER },
        { "no window, no timer", S_INIT("did(product_viewed)"), TRI_TRUE, TIME_NEVER },
        { "the first order goes", S_INIT("sum(order_completed.revenue, last 365 days) > 500 EUR"), TRI_TRUE, AGO(200, DAY_MS) + 365 * DAY_MS },
        { "a return comes in, and the sum shrinks", S_INIT("sum(order_completed.revenue, between 66 and 75 days ago) > 100 EUR"), TRI_TRUE, AGO(65, DAY_MS) + 66 * DAY_MS },
        { "an order goes before its return", S_INIT("sum(order_completed.revenue, last 75 days) < 0 EUR"), TRI_FALSE, AGO(70, DAY_MS) + 75 * DAY_MS },
        { "more than some days", S_INIT("days_since(last order_completed) > 80"), TRI_FALSE, AGO(70, DAY_MS) + 80 * DAY_MS + 1 },
        { "at least some days", S_INIT("days_since(last order_completed) >= 80"), TRI_FALSE, AGO(70, DAY_MS) + 80 * DAY_MS },
        { "between some days", S_INIT("days_since(last order_completed) between 60 and 80"), TRI_TRUE, AGO(70, DAY_MS) + 80 * DAY_MS + 1 },
        { "waiting for what may follow", S_INIT("sequence(product_added then not order_completed within 4 hours)"), TRI_FALSE, AGO(3, HOUR_MS) + 4 * HOUR_MS },
        { "missed for good", S_INIT("sequence(product_added then not order_completed within 3 hours)"), TRI_TRUE, TIME_NEVER },
        { "missed, within a window", S_INIT("sequence(product_added then not order_completed within 1 hour, last 1 day)"), TRI_TRUE, AGO(3, HOUR_MS) + DAY_MS },
        { "midnight in Oslo", S_INIT("did(product_viewed, today)"), TRI_TRUE, WORLD_NOW + 10 * HOUR_MS },
        { "half an hour after the last page", S_INIT("did(product_viewed, this session)"), TRI_TRUE, WORLD_NOW + 20 * MINUTE_MS },
        { "comes into the window", S_INIT("did(product_added, between 4 and 6 hours ago)"), TRI_FALSE, AGO(3, HOUR_MS) + 4 * HOUR_MS },
        { "a liking fades", S_INIT("affinity(category, \"jeans\") > 0.4"), TRI_TRUE, WORLD_NOW + 7 * DAY_MS },
        { "the no that stays longer", S_INIT("hours_since(last product_added) > 4 and hours_since(last product_added) > 5"), TRI_FALSE, AGO(3, HOUR_MS) + 5 * HOUR_MS + 1 },
        { "the view comes into the window", S_INIT("did(product_viewed, between 1 and 15 days ago, not since)"), TRI_FALSE, AGO(20, MINUTE_MS) + DAY_MS },
        { "nothing nearer, until it goes", S_INIT("did(order_completed, between 60 and 90 days ago, not since)"), TRI_TRUE, AGO(70, DAY_MS) + 90 * DAY_MS },
        { "one cart, waited for", S_INIT("sequence(product_added then not order_completed within 4 hours for the same cart)"), TRI_FALSE, AGO(3, HOUR_MS) + 4 * HOUR_MS },
        { "a date among the traits", S_INIT("days_since(member_since) >= 600"), TRI_FALSE, (i64)1736899200000 - 120 * MINUTE_MS + 600 * DAY_MS },
        { "a wish grows old", S_INIT("did(in_wishlist, last 20 days)"), TRI_TRUE, AGO(15, DAY_MS) + 20 * DAY_MS },
        { "a no for ever", S_INIT("hours_since(last product_added) > 4 and gender = \"male\""), TRI_FALSE, TIME_NEVER },
        { "a yes for ever", S_INIT("did(product_added, last 4 hours) or gender = \"female\""), TRI_TRUE, TIME_NEVER },
    };
    for (isize i = 0; i < countof(rows); i++) {
        struct rule_facts facts = world_facts();
        struct rule_result got = rule_run(compiled(rows[i].text, RULE_SEGMENT), &facts);
        if (got.is != rows[i].is || got.next_change_at_ms != rows[i].next)
            fail_msg("%s: %d until +%" PRId64 " min", rows[i].why, got.is,
                     (got.next_change_at_ms - WORLD_NOW) / MINUTE_MS);
    }
}

/* The night on which clocks go forward has 23 hours, and a date begins when the shop's clocks say so. */
static void a_day_is_as_long_as_clocks_make_it(void **state)
{
    (void)state;
    i64 now;
    assert_true(time_parse(S("2026-03-28T23:30:00Z"), &now));       /* half past midnight in Oslo, the 29th */
    struct history_entry seen = {
        .at_ms = now - 10 * MINUTE_MS, .ref = 1, .type = EVENT_PRODUCT_VIEWED, .item = 1
    };
    struct rule_facts facts = world_facts();
    facts.history = &seen;
    facts.history_n = 1;
    facts.now_ms = now;
    assert_true(zone_of(S("Europe/Oslo"), &facts.zone));
    struct rule_result got = rule_run(compiled(S("did(product_viewed, today)"), RULE_SEGMENT), &facts);
    assert_int_equal(got.is, TRI_TRUE);
    assert_int_equal(got.next_change_at_ms, now + 22 * HOUR_MS + 30 * MINUTE_MS);
    static const struct { str text; enum tri is; } rows[] = {
        { S_INIT("at(last product_viewed) = 2026-03-29"), TRI_TRUE }, { S_INIT("did(product_viewed, since 2026-03-29)"), TRI_TRUE },
        { S_INIT("did(product_viewed where hour = 0 and weekday = 7)"), TRI_TRUE }, { S_INIT("did(product_viewed, since 2026-03-30)"), TRI_FALSE },
    };
    for (isize i = 0; i < countof(rows); i++)
        assert_int_equal(rule_run(compiled(rows[i].text, RULE_SEGMENT), &facts).is, rows[i].is);
}

static void entries_after_now_are_not_seen_but_bound_the_answer(void **state)
{
    (void)state;
    struct rule_facts facts = world_facts();
    facts.now_ms = AGO(3, HOUR_MS) - 1;
    struct rule_result got = rule_run(compiled(S("did(product_added)"), RULE_SEGMENT), &facts);
    assert_int_equal(got.is, TRI_FALSE);
    assert_int_equal(got.next_change_at_ms, AGO(3, HOUR_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(timers_are_right_to_the_millisecond, teardown),
        cmocka_unit_test_teardown(a_day_is_as_long_as_clocks_make_it, teardown),
        cmocka_unit_test_teardown(entries_after_now_are_not_seen_but_bound_the_answer, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
