/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a results page says follows from the cells, by hand and by `opmaat stats`. Method: a
 * few cells with sums that can be checked on paper; intervals against measure_stats_json, which
 * reads the same sums by another way. */
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#undef assert

#include <math.h>

#include "api/results.h"

#define EUR ((5 << 10) | (21 << 5) | 18)
#define NOK ((14 << 10) | (15 << 5) | 11)

#define near(value, expected, by) assert_true(fabs((value) - (expected)) <= (by))

/* Campaign 7: a is variation 0 of experience 0, b its variation 1, over two days and, of b, two
 * currencies. */
static const struct cell cells[] = {
    { .campaign = 7, .day = 100, .currency = 0, .exposed = 900, .clicked = 20, .clicks = 30 },
    { .campaign = 7,
      .day = 100,
      .currency = EUR,
      .exposed = 60,
      .clicked = 5,
      .clicks = 6,
      .buyers = 60,
      .orders = 70,
      .revenue_minor = 60000,
      .revenue_sq = (i128)60 * 1000 * 1000 },
    { .campaign = 7,
      .day = 101,
      .currency = EUR,
      .exposed = 40,
      .buyers = 40,
      .orders = 40,
      .revenue_minor = 40000,
      .revenue_sq = (i128)40 * 1000 * 1000 },
    { .campaign = 7,
      .variation = 1,
      .day = 100,
      .currency = 0,
      .exposed = 850,
      .clicked = 60,
      .clicks = 60 },
    { .campaign = 7,
      .variation = 1,
      .day = 100,
      .currency = EUR,
      .exposed = 140,
      .buyers = 140,
      .orders = 140,
      .revenue_minor = 140000,
      .revenue_sq = (i128)140 * 1000 * 1000 },
    { .campaign = 7,
      .variation = 1,
      .day = 101,
      .currency = NOK,
      .exposed = 10,
      .buyers = 10,
      .orders = 10,
      .revenue_minor = 99999,
      .revenue_sq = (i128)1 << 40 },
    { .campaign = 8,
      .day = 100,
      .currency = NOK,
      .exposed = 5,
      .buyers = 5,
      .orders = 5,
      .revenue_minor = 500 },
};

static isize arms_of(arena *a, struct result_arm **arms)
{
    return results_arms(cells, countof(cells), 7, (currency){ EUR }, a, arms);
}

static void arms_are_the_cells_of_one_campaign_summed(void **state)
{
    arena a = { 0 };
    struct result_arm *arms;
    (void)state;
    assert_int_equal(arms_of(&a, &arms), 2);
    assert_int_equal(arms[0].exposed, 1000);
    assert_int_equal(arms[0].clicked, 25);
    assert_int_equal(arms[0].clicks, 36);
    assert_int_equal(arms[0].buyers, 100);
    assert_int_equal(arms[0].orders, 110);
    assert_int_equal(arms[0].revenue_minor, 100000);
    assert_int_equal(arms[0].revenue_sq, 100000000);
    assert_int_equal(arms[1].exposed, 1000);
    assert_int_equal(arms[1].buyers, 150);
    arena_fini(&a);
}

static void money_of_another_currency_is_not_added_to_ours(void **state)
{
    arena a = { 0 };
    struct result_arm *arms;
    (void)state;
    (void)arms_of(&a, &arms);
    assert_int_equal(arms[1].revenue_minor, 140000);
    assert_int_equal(arms[1].other_currency, 10);
    assert_int_equal(results_currency(cells, countof(cells), 7, (currency){ NOK }).v, EUR);
    assert_int_equal(results_currency(cells, countof(cells), 8, (currency){ EUR }).v, NOK);
    assert_int_equal(results_currency(cells, countof(cells), 9, (currency){ NOK }).v, NOK);
    arena_fini(&a);
}

static void the_metrics_are_people_by_people_and_money_by_people(void **state)
{
    arena a = { 0 };
    struct result_arm *arms, nobody = { 0 };
    (void)state;
    (void)arms_of(&a, &arms);
    near(metric_value(&arms[0], METRIC_ORDER_RATE), 0.1, 1e-15);     /* 100 people, not 110 orders */
    near(metric_value(&arms[1], METRIC_ORDER_RATE), 0.15, 1e-15);
    near(metric_value(&arms[0], METRIC_CLICK_RATE), 0.025, 1e-15);
    near(metric_value(&arms[0], METRIC_REVENUE), 100, 1e-12);
    near(metric_value(&nobody, METRIC_REVENUE), 0, 0);
    arena_fini(&a);
}

static f64 answered(const struct json *out, const char *field)
{
    const struct json *metric = &json_get(out, S("metrics"))->list.at[0];
    return json_num(json_get(&json_get(metric, S("comparisons"))->list.at[0], str_of(field)), (f64)NAN);
}

/* The same sums through `opmaat stats`. */
static void agrees_with_stats(arena *a, const char *kind, bool relative,
                              const struct result_arm arms[2], int metric, f64 effect, f64 low,
                              f64 high, f64 p)
{
    struct buf out = { .arena = a };
    struct diag diag = { .arena = a };
    const struct json *in, *answer;
    f64 sums[2] = { metric_value(&arms[0], metric) * 1000, metric_value(&arms[1], metric) * 1000 };
    str text = arena_printf(
        a,
        "{\"method\":\"sequential\",\"alpha\":0.05,\"relative\":%s,\"tuning_n\":5000,\"metrics\":[{\"key\":\"m\",\"kind\":\"%s\",\"arms\":["
        "{\"key\":\"a\",\"n\":1000,\"sum\":%.17g,\"sum_sq\":%.17g},{\"key\":\"b\",\"n\":1000,\"sum\":%.17g,\"sum_sq\":%.17g}]}]}",
        relative ? "true" : "false", kind, sums[0], arms[0].revenue_sq, sums[1],
        arms[1].revenue_sq);
    assert_int_equal(json_parse(a, text, &in, &diag), ERR_OK);
    assert_int_equal(measure_stats_json(in, &out, &diag), ERR_OK);
    assert_int_equal(json_parse(a, buf_str(&out), &answer, &diag), ERR_OK);
    near(answered(answer, "effect"), effect, 1e-9);
    near(answered(answer, "low"), low, 1e-9);
    near(answered(answer, "high"), high, 1e-9);
    near(answered(answer, "p"), p, 1e-9);
}

static void a_comparison_is_the_difference_in_the_metrics_unit_and_of_the_control(void **state)
{
    arena a = { 0 };
    struct result_arm *arms;
    (void)state;
    (void)arms_of(&a, &arms);
    struct comparison rate = results_compare(METRIC_ORDER_RATE, &arms[0], &arms[1]);
    assert_int_equal(rate.problem, STATS_FINE);
    near(rate.estimate, 0.05, 1e-12);
    near(rate.relative, 0.5, 1e-12);
    assert_true(rate.low < 0.05 && 0.05 < rate.high);
    agrees_with_stats(&a, "proportion", false, arms, METRIC_ORDER_RATE, rate.estimate, rate.low,
                      rate.high, rate.p);
    agrees_with_stats(&a, "proportion", true, arms, METRIC_ORDER_RATE, rate.relative,
                      rate.relative_low, rate.relative_high, rate.p);
    struct comparison money = results_compare(METRIC_REVENUE, &arms[0], &arms[1]);
    near(money.estimate, 40, 1e-9);
    agrees_with_stats(&a, "mean", false, arms, METRIC_REVENUE, money.estimate, money.low,
                      money.high, money.p);
    arena_fini(&a);
}

static void significant_means_that_the_interval_leaves_out_no_difference(void **state)
{
    (void)state;
    for (i64 buyers = 100; buyers <= 260; buyers += 4) {
        struct result_arm a = { .exposed = 1000, .buyers = 100 }, b = { .exposed = 1000, .buyers = buyers };
        struct comparison c = results_compare(METRIC_ORDER_RATE, &a, &b);
        assert_int_equal(c.significant, c.low > 0 || c.high < 0);
    }
}

static void with_few_people_nothing_is_significant(void **state)
{
    (void)state;
    struct result_arm a = { .exposed = 99, .buyers = 1 }, b = { .exposed = 5000, .buyers = 4000 };
    assert_false(results_compare(METRIC_ORDER_RATE, &a, &b).significant);
    a.exposed = 100;
    assert_true(results_compare(METRIC_ORDER_RATE, &a, &b).significant);
}

static void what_cannot_be_judged_says_why(void **state)
{
    (void)state;
    struct result_arm none = { 0 }, some = { .exposed = 100, .buyers = 10 }, silent = { .exposed = 100 };
    assert_int_equal(results_compare(METRIC_ORDER_RATE, &none, &some).problem, STATS_TOO_FEW);
    assert_int_equal(results_compare(METRIC_ORDER_RATE, &silent, &silent).problem, STATS_NO_VARIANCE);
    struct comparison from_nothing = results_compare(METRIC_ORDER_RATE, &silent, &some);
    assert_int_equal(from_nothing.problem, STATS_FINE);
    near(from_nothing.estimate, 0.1, 1e-12);
    assert_true(isnan(from_nothing.relative));           /* ten per cent of nothing */
}

static void the_split_is_held_against_the_shares(void **state)
{
    (void)state;
    struct result_arm a = { .exposed = 5000 }, b = { .exposed = 5200 };
    const struct result_arm *arms[] = { &a, &b };
    struct stats_srm even = results_srm(arms, (const i32[]){ 5000, 5000 }, 2);
    near(even.chi_square, 2 * 100.0 * 100.0 / 5100.0, 1e-9);
    assert_true(even.p > 0.04 && even.p < 0.05);
    assert_true(even.p_sequential > RESULT_SRM_ALARM);
    b.exposed = 6000;
    assert_true(results_srm(arms, (const i32[]){ 5000, 5000 }, 2).p_sequential < RESULT_SRM_ALARM);
    assert_true(results_srm(arms, (const i32[]){ 5000, 6000 }, 2).p_sequential > 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arms_are_the_cells_of_one_campaign_summed),
        cmocka_unit_test(money_of_another_currency_is_not_added_to_ours),
        cmocka_unit_test(the_metrics_are_people_by_people_and_money_by_people),
        cmocka_unit_test(a_comparison_is_the_difference_in_the_metrics_unit_and_of_the_control),
        cmocka_unit_test(significant_means_that_the_interval_leaves_out_no_difference),
        cmocka_unit_test(with_few_people_nothing_is_significant),
        cmocka_unit_test(what_cannot_be_judged_says_why),
        cmocka_unit_test(the_split_is_held_against_the_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
