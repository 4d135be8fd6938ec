/* SPDX-License-Identifier: Apache-2.0
 *
 * census_test.c - people made by hand, counted by arm, epoch and metric, and judged. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/measure.h"

static void near_at(f64 got, f64 want, f64 tolerance, int line)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("line %d: got %.12g, want %.12g", line, got, want);
}
#define near(got, want, tolerance) near_at((got), (want), (tolerance), __LINE__)

enum { CAMPAIGN = 7 };
static const struct segment_set no_segments;
static const struct settings settings = { .currency = { 100 }, .rates = { { { 200 }, 0.5 } }, .rates_n = 1 };

/* Of one who saw `variation` at this time and spent `minor` (0: nothing) an hour later. */
struct made { struct profile profile; struct exposure exposure; struct history_entry order; };

static void make(struct made *m, u8 variation, i64 at_ms, i64 minor, u16 in)
{
    *m = (struct made){ .exposure = { .campaign = CAMPAIGN,
                                      .variation = variation,
                                      .first_at_ms = at_ms,
                                      .views = 1 },
                        .order = { .at_ms = at_ms + HOUR_MS,
                                   .type = EVENT_ORDER_COMPLETED,
                                   .value_minor = minor,
                                   .currency = in } };
    m->profile = (struct profile){
        .exposures = &m->exposure, .exposures_n = 1, .history = &m->order, .history_n = minor > 0
    };
}

static struct metrics *core(void)
{
    struct definitions *none = definitions_new();
    struct definition_errors errors = { 0 };
    struct rule_names names = { 0 };
    struct metrics *metrics = NULL;
    assert_int_equal(metrics_build(none, NULL, &names, &metrics, &errors), ERR_OK);
    definitions_free(none);
    return metrics;
}

static struct census *counted(const struct census_ask *ask, struct made *people, isize n)
{
    struct census *t = census_new(ask);
    for (isize i = 0; i < n; i++) census_count(t, &people[i].profile);
    census_settle(t);
    for (isize i = 0; i < n; i++) census_sum(t, &people[i].profile);
    census_finish(t);
    return t;
}

/* Two epochs with a true lift of nothing: 10 % buy in the first, 20 % in the second, and shares go
 * from 50:50 to 10:90 between them. Added up blindly b wins by far; by epoch there is nothing.
 * Beside it the split is as it should be. */
static void R80_a_changed_share_biases_nothing(void **state)
{
    (void)state;
    enum { N = 8000 };
    arena a = { 0 };
    struct rng rng = rng_seed(80);
    struct made *people = arena_new(&a, struct made, N);
    for (isize i = 0; i < N; i++) {
        bool late = i >= N / 2;
        u8 variation = rng_unit(&rng) < (late ? .9 : .5);
        make(&people[i], variation, late ? 20 * DAY_MS : 10 * DAY_MS,
             rng_unit(&rng) < (late ? .2 : .1) ? 1000 : 0, 100);
    }
    struct metrics *metrics = core();
    const struct metric *asked[] = { metric_find(metrics, S("order_rate")) };
    struct census_epoch epochs[] = { { 0, { 5000, 5000 } }, { 15 * DAY_MS, { 1000, 9000 } } };
    struct census_ask ask = { .campaign = CAMPAIGN,
                              .metrics = asked,
                              .metrics_n = 1,
                              .epochs = { epochs },
                              .epochs_n = { 2 },
                              .set = &no_segments,
                              .settings = &settings,
                              .window_ms = 14 * DAY_MS,
                              .now_ms = 30 * DAY_MS };
    struct census *t = counted(&ask, people, N);
    assert_int_equal(census_strata(t, 0), 2);
    isize controls[] = { 0, 0 };
    u8 tiers[] = { TIER_PRIMARY };
    struct judging j = { .census = t,
                         .metrics = asked,
                         .metrics_n = 1,
                         .tiers = tiers,
                         .controls = controls,
                         .correction = STATS_BH,
                         .alpha = .05,
                         .tuning_n = 5000,
                         .power = .8 };
    struct judged *rows;
    assert_int_equal(judge(&j, &a, &rows), 1);
    assert_true(rows[0].absolute.low < 0 && rows[0].absolute.high > 0 && !rows[0].significant);
    struct stats_sums pooled[2] = { { .n = 0 }, { .n = 0 } };
    for (isize k = 0; k < 2; k++)
        for (isize s = 0; s < 2; s++) stats_sums_add(&pooled[k], &census_sums(t, k, 0, 0)[s]);
    struct stats_settings s = { .kind = STATS_PROPORTION, .alpha = .05, .tuning_n = 5000 };
    struct stats_effect blind = stats_effect(&s, (struct stats_arm){ &pooled[0], 1 },
                                             (struct stats_arm){ &pooled[1], 1 }, NULL, 0);
    assert_true(stats_sequential(&s, &blind).low > 0);  /* what a page without epochs would say */
    struct variation variations[2] = { { .share = 1000 }, { .share = 9000 } };
    struct experience x = { .variations = variations, .variations_n = 2 };
    assert_true(census_srm(t, 0, &x).p > .001);
    f64 lift;
    struct stats_interval last = judge_day(&j, &rows[0], 20, &lift);
    near(lift, rows[0].lift.effect, 1e-12);
    near(last.low, rows[0].relative.low, 1e-12);
    census_free(t);
    metrics_free(metrics);
    arena_fini(&a);
}

static void money_of_another_currency_counts_at_its_rate_or_is_said(void **state)
{
    (void)state;
    struct made people[3];
    make(&people[0], 0, DAY_MS, 1000, 100);
    make(&people[1], 0, DAY_MS, 1000, 200);
    make(&people[2], 0, DAY_MS, 1000, 300);
    struct metrics *metrics = core();
    const struct metric *asked[] = { metric_find(metrics, S("revenue_per_person")),
                                     metric_find(metrics, S("average_order_value")) };
    struct census_ask ask = { .campaign = CAMPAIGN,
                              .metrics = asked,
                              .metrics_n = 2,
                              .set = &no_segments,
                              .settings = &settings,
                              .window_ms = DAY_MS,
                              .now_ms = 9 * DAY_MS };
    struct census *t = counted(&ask, people, 3);
    near(census_sums(t, 0, 0, 0)[0].sum, 1500, 1e-9);
    near(census_sums(t, 0, 0, 1)[0].den_sum, 3, 0);
    assert_int_equal(census_unconverted(t), 2);         /* once for each metric of money */
    census_free(t);
    metrics_free(metrics);
}

/* Who was shown two variations is in neither, and an order after the window is nobody's. */
static void who_saw_both_is_left_out_and_a_late_order_does_not_count(void **state)
{
    (void)state;
    struct made people[2];
    make(&people[0], 0, DAY_MS, 1000, 100);
    people[0].order.at_ms = DAY_MS + 2 * DAY_MS;
    make(&people[1], 1, DAY_MS, 1000, 100);
    people[1].exposure.flags = EXPOSURE_MIXED;
    struct metrics *metrics = core();
    const struct metric *asked[] = { metric_find(metrics, S("order_rate")) };
    struct census_ask ask = { .campaign = CAMPAIGN,
                              .metrics = asked,
                              .metrics_n = 1,
                              .set = &no_segments,
                              .settings = &settings,
                              .window_ms = DAY_MS,
                              .now_ms = 9 * DAY_MS };
    struct census *t = counted(&ask, people, 2);
    const struct census_arm *arms;
    assert_int_equal(census_arms(t, &arms), 1);
    assert_int_equal(arms[0].people, 1);
    near(census_sums(t, 0, 0, 0)[0].sum, 0, 0);
    census_free(t);
    metrics_free(metrics);
}

/* Ten days of 400 people in two arms, of whom 20 and `others` of 200 buy; five looks over 4,000. */
static isize looked(isize others, const struct look_plan *plan, i32 today, struct held_look *held)
{
    enum { DAYS = 10, A_DAY = 400 };
    arena a = { 0 };
    struct made *people = arena_new(&a, struct made, DAYS * A_DAY);
    for (isize i = 0; i < DAYS * A_DAY; i++) {
        isize nth = i % A_DAY / 2;
        u8 variation = (u8)(i % 2);
        make(&people[i], variation, (1 + i / A_DAY) * DAY_MS,
             nth < (variation ? others : 20) ? 1000 : 0, 100);
    }
    struct metrics *metrics = core();
    const struct metric *asked[] = { metric_find(metrics, S("order_rate")) };
    struct census_ask ask = { .campaign = CAMPAIGN,
                              .metrics = asked,
                              .metrics_n = 1,
                              .set = &no_segments,
                              .settings = &settings,
                              .window_ms = 14 * DAY_MS,
                              .now_ms = 12 * DAY_MS };
    struct census *t = counted(&ask, people, DAYS * A_DAY);
    isize controls[] = { 0, 0 };
    u8 tiers[] = { TIER_PRIMARY };
    struct judging j = { .census = t,
                         .metrics = asked,
                         .metrics_n = 1,
                         .tiers = tiers,
                         .controls = controls,
                         .alpha = .05,
                         .tuning_n = 5000,
                         .power = .8 };
    struct judged *rows;
    assert_int_equal(judge(&j, &a, &rows), 1);
    isize n = judge_looks(&j, &rows[0], plan, today, held);
    census_free(t);
    metrics_free(metrics);
    arena_fini(&a);
    return n;
}

/* Bounds as published for five equal looks at .05 (Lan, DeMets 1983, by ldbounds): O'Brien and
 * Fleming's spending. */
static const f64 published[] = { 4.8769, 3.3570, 2.6803, 2.2898, 2.0310 };

static void looks_are_held_when_they_are_due_at_the_published_bounds(void **state)
{
    (void)state;
    const struct look_plan plan = { 4000, 5, STATS_OBRIEN_FLEMING, .05 };
    struct held_look held[LOOKS_MAX];
    f64 ahead[LOOKS_MAX];
    assert_int_equal(looked(20, &plan, 11, held), 5);
    for (isize k = 0; k < 5; k++) {
        assert_int_equal(held[k].number, k + 1);
        assert_int_equal(held[k].day, 2 * (k + 1));
        near(held[k].people, 800 * (f64)(k + 1), 0);
        near(held[k].bound, published[k], 1e-4);
        near(held[k].z, 0, 1e-12);
        assert_false(held[k].stops);
    }
    near(held[4].spent, .05, 1e-12);
    /* the fourth day is not over: its look is still to come */
    assert_int_equal(looked(20, &plan, 4, held), 1);
    look_bounds(&plan, held, 0, ahead);
    for (isize k = 0; k < 5; k++) near(ahead[k], published[k], 1e-4);
    look_bounds(&plan, held, 2, ahead);
    for (isize k = 2; k < 5; k++) near(ahead[k - 2], published[k], 1e-4);
}

static void the_first_look_beyond_its_bound_is_the_last(void **state)
{
    (void)state;
    const struct look_plan plan = { 4000, 5, STATS_OBRIEN_FLEMING, .05 };
    struct held_look held[LOOKS_MAX];
    /* 10 % and 15 %: z = .05 / sqrt((.09 + .1275) / people an arm) */
    isize n = looked(30, &plan, 11, held);
    assert_int_equal(n, 3);
    for (isize k = 0; k < n; k++) near(held[k].z, .05 / sqrt((.09 + .1275) / (400 * (f64)(k + 1))), .01);
    assert_false(held[1].stops);
    assert_true(held[2].stops);
    /* the interval and the bound say the same */
    assert_true(held[2].relative.low > 0 && held[1].relative.low < 0);
    near(held[2].lift, .5, 1e-9);
}

/* The whole of a short test may pass between two evenings: then there is one look, and it has all
 * of alpha. */
static void looks_that_were_passed_in_a_day_are_not_held(void **state)
{
    (void)state;
    const struct look_plan plan = { 500, 5, STATS_POCOCK, .05 };
    struct held_look held[LOOKS_MAX];
    /* 400 people: the fourth; 800: the fifth, over the plan */
    assert_int_equal(looked(20, &plan, 11, held), 2);
    assert_int_equal(held[0].number, 4);
    near(held[0].information, .8, 1e-12);
    assert_int_equal(held[1].number, 5);
    near(held[1].information, 1, 1e-12);
    near(held[1].spent, .05, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R80_a_changed_share_biases_nothing),
        cmocka_unit_test(money_of_another_currency_counts_at_its_rate_or_is_said),
        cmocka_unit_test(who_saw_both_is_left_out_and_a_late_order_does_not_count),
        cmocka_unit_test(looks_are_held_when_they_are_due_at_the_published_bounds),
        cmocka_unit_test(the_first_look_beyond_its_bound_is_the_last),
        cmocka_unit_test(looks_that_were_passed_in_a_day_are_not_held),
    };
    return cmocka_run_group_tests_name("measure/census", tests, NULL, NULL);
}
