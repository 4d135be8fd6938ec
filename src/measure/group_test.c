/* SPDX-License-Identifier: Apache-2.0
 *
 * group_test.c - published bounds, a simulation of what they promise, and quantiles.
 *
 * Tolerances: half a unit of the last printed decimal. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"
#include "measure/measure.h"

static void near_at(f64 got, f64 want, f64 tolerance, int line)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("line %d: got %.12g, want %.12g", line, got, want);
}
#define near(got, want, tolerance) near_at((got), (want), (tolerance), __LINE__)

/* ldbounds (R), alpha = 0.05 two-sided, as tabled by its authors. */
static void bounds_equal_lan_and_demets(void **state)
{
    (void)state;
    static const struct { enum stats_spending spending; f64 t[5]; f64 want[5]; isize n; } rows[] = {
        { STATS_OBRIEN_FLEMING, { .2, .4, .6, .8, 1 }, { 4.8769, 3.3570, 2.6803, 2.2898, 2.0310 }, 5 },
        { STATS_OBRIEN_FLEMING, { .25, .5, .75, 1 }, { 4.3326, 2.9631, 2.3590, 2.0141 }, 4 },
        { STATS_POCOCK, { .2, .4, .6, .8, 1 }, { 2.4380, 2.4268, 2.4102, 2.3966, 2.3860 }, 5 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        f64 got[5];
        struct stats_looks looks = { rows[i].t, rows[i].n, rows[i].spending, 0, false };
        stats_bounds(&looks, 0.05, got);
        for (isize k = 0; k < rows[i].n; k++) near(got[k], rows[i].want[k], 0.51e-4);
    }
    static const f64 spent[] = { 1e-6, .000788, .007616, .024424, .05 };
    struct stats_looks obf = { rows[0].t, 5, STATS_OBRIEN_FLEMING, 0, false };
    for (isize k = 0; k < 5; k++) near(stats_spent(&obf, 0.05, rows[0].t[k]), spent[k], 0.51e-6);
}

/* Spotify confidence (Apache-2.0), tests/frequentist/test_bounds.py: planned for 300, looked at 250,
 * 450, 630 and 810 people, alpha 0.01 t^2. Its nominal levels. */
static void a_test_that_runs_over_its_plan_equals_spotify(void **state)
{
    (void)state;
    static const f64 t[] = { 250 / 810.0, 450 / 810.0, 630 / 810.0, 1 },
                     want[] = { .00095, .00241, .00410, .00636 };
    f64 got[4];
    struct stats_looks looks = { t, 4, STATS_POWER, 2, false };
    stats_bounds(&looks, 0.01, got);
    for (isize k = 0; k < 4; k++) near(2 * normal_sf(got[k]), want[k], 1e-4);
}

/* One look is a plain z test; a single planned end too. */
static void one_look_spends_everything(void **state)
{
    (void)state;
    f64 t = 1, got;
    struct stats_looks looks = { &t, 1, STATS_POCOCK, 0, false };
    stats_bounds(&looks, 0.05, &got);
    near(got, 1.959963984540054, 1e-9);
    near(stats_bounds_p(&looks, 1.959963984540054), 0.05, 1e-8);
    near(stats_bounds_p(&looks, -2.5758293035489), 0.01, 1e-8);
    looks.one_sided = true;
    stats_bounds(&looks, 0.05, &got);
    near(got, 1.6448536269514722, 1e-9);
    near(stats_bounds_p(&looks, 1.6448536269514722), 0.05, 1e-8);
}

static void the_repeated_p_is_below_alpha_exactly_when_a_look_stops(void **state)
{
    (void)state;
    static const f64 t[] = { .2, .45, .6, .85 };
    for (int spending = 0; spending < 3; spending++) {
        struct stats_looks looks = { t, 4, (enum stats_spending)spending, 1.5, false };
        f64 bounds[4];
        stats_bounds(&looks, 0.05, bounds);
        near(stats_bounds_p(&looks, bounds[3]), 0.05, 1e-7);
        assert_true(stats_bounds_p(&looks, bounds[3] + 0.01) < 0.05);
        assert_true(stats_bounds_p(&looks, bounds[3] - 0.01) > 0.05);
    }
}

/* 40,000 walks without an effect, looked at five and at a hundred times: as many stop as alpha says,
 * within three standard errors (0.0033). */
static void R82_looking_again_and_again_by_plan_keeps_the_level(void **state)
{
    (void)state;
    struct rng rng = rng_seed(82);
    static const isize plans[] = { 5, 100 };
    for (isize plan = 0; plan < countof(plans); plan++)
        for (int spending = 0; spending < 2; spending++) {
            isize n = plans[plan];
            f64 t[100], bounds[100];
            for (isize k = 0; k < n; k++) t[k] = (f64)(k + 1) / (f64)n;
            struct stats_looks looks = { t, n, (enum stats_spending)spending, 0, false };
            stats_bounds(&looks, 0.05, bounds);
            int stopped = 0;
            const int paths = n > 50 ? 10000 : 40000;
            for (int path = 0; path < paths; path++) {
                f64 s = 0;
                for (isize k = 0; k < n; k++) {
                    s += normal_quantile(rng_unit(&rng) * 0.9999999 + 5e-8) / sqrt((f64)n);
                    if (fabs(s) / sqrt(t[k]) >= bounds[k]) { stopped++; break; }
                }
            }
            near((f64)stopped / paths, 0.05, 3 * sqrt(0.05 * 0.95 / paths));
        }
}

/* ---- quantiles ------------------------------------------------------------------------------- */

/* gbstats 0.8: QuantileStatistic(n = 11054, nu = 0.9, 7.158, bounds 7.0988 to 7.2172) has a variance
 * of 10.0864 a person with divisor n - 1; ours has none. */
static void a_quantile_is_judged_as_gbstats_does(void **state)
{
    (void)state;
    f64 z = 1.959963984540054;
    struct stats_sums a = { .n = 11054, .quantile = 7.157987489967789,
                            .quantile_se = (7.217194843758751 - 7.098780136176828) / (2 * z) };
    struct stats_sums b = { .n = 10861, .quantile = 7.694499927525767,
                            .quantile_se = (7.747193868770344 - 7.64180598628119) / (2 * z) };
    near(a.quantile_se * a.quantile_se * (a.n - 1), 10.0864, 0.5e-4);
    struct stats_settings s = { .kind = STATS_QUANTILE, .alpha = 0.05, .tuning_n = 5000 };
    struct stats_effect e =
        stats_effect(&s, (struct stats_arm){ &a, 1 }, (struct stats_arm){ &b, 1 }, NULL, 0);
    near(e.effect, 0.536512437557978, 1e-12);
    near(e.se, hypot(a.quantile_se, b.quantile_se), 1e-15);
}

/* Of exponential values the median's interval covers ln 2 as often as it says, and its error is
 * 1 / sqrt n (density 1/2 at the median). 400 samples of 2,000. */
static void a_quantiles_error_is_what_theory_says(void **state)
{
    (void)state;
    struct rng rng = rng_seed(5);
    static struct stats_counted at[2000];
    int covered = 0;
    f64 se = 0;
    for (int round = 0; round < 400; round++) {
        for (isize i = 0; i < countof(at); i++) at[i] = (struct stats_counted){ -log1p(-rng_unit(&rng)), 1 };
        stats_counted_sort(at, countof(at));
        struct stats_sums got;
        assert_int_equal(stats_quantile(at, countof(at), 0.5, &got), STATS_FINE);
        covered += fabs(got.quantile - log(2)) < 1.96 * got.quantile_se;
        se += got.quantile_se / 400;
    }
    near(covered / 400.0, 0.95, 3 * sqrt(0.05 * 0.95 / 400));
    near(se * sqrt(2000), 1, 0.05);
}

static void a_quantile_that_cannot_be_told_says_so(void **state)
{
    (void)state;
    struct stats_counted same[] = { { 0, 900 }, { 5, 100 } }, few[] = { { 1, 5 }, { 2, 5 } };
    struct stats_sums got;
    assert_int_equal(stats_quantile(same, 2, 0.5, &got), STATS_BOUNDS_COLLAPSED);
    assert_int_equal(stats_quantile(few, 2, 0.9, &got), STATS_TOO_FEW);
    near(stats_value_at(same, 2, 0.9), 0, 0);
    near(stats_value_at(same, 2, 0.95), 5, 0);
}

/* ---- ratios with a covariate ----------------------------------------------------------------- */

/* Pages per visit, with the same ratio before the experiment: people differ in their own rate, so the
 * past explains much. The variance falls by the squared correlation of the linear parts, the effect
 * stays what it is. */
static void cuped_of_a_ratio_narrows_and_does_not_shift(void **state)
{
    (void)state;
    struct rng rng = rng_seed(9);
    struct stats_sums side[2] = { { .n = 0 }, { .n = 0 } };
    for (int i = 0; i < 40000; i++) {
        f64 rate = 2 + 2 * rng_unit(&rng), visits = 1 + floor(rng_unit(&rng) * 5),
            before = 1 + floor(rng_unit(&rng) * 5);
        f64 d = visits, z = before, x = before * (rate + rng_unit(&rng) - 0.5);
        f64 y = visits * (rate + rng_unit(&rng) - 0.5 + (i & 1 ? 0.1 : 0));
        struct stats_sums one = { 1,     y, y * y, d,     d * d, y * d, x, x * x, y * x,
                                  d * x, z, z * z, x * z, y * z, d * z, 0, 0 };
        stats_sums_add(&side[i & 1], &one);
    }
    struct stats_settings s = { .kind = STATS_RATIO, .alpha = 0.05, .tuning_n = 5000 };
    struct stats_arm arms[] = { { &side[0], 1 }, { &side[1], 1 } };
    f64 theta = stats_theta(STATS_RATIO, arms, 2);
    struct stats_effect plain = stats_effect(&s, arms[0], arms[1], NULL, 0),
                        cuped = stats_effect(&s, arms[0], arms[1], NULL, theta);
    assert_true(theta > 0.5 && theta < 1.1);
    near(plain.effect, 0.1, 4 * plain.se);
    near(cuped.effect, 0.1, 4 * cuped.se);
    /* Linear parts correlate by 9/11 (visits before and now are independent) of 0.8 (noise): 0.655. */
    near(cuped.se / plain.se, sqrt(1 - 0.655 * 0.655), 0.02);
    /* A covariate that is no ratio works by the same door. */
    for (int k = 0; k < 2; k++)
        side[k].pre_den_sum = side[k].pre_den_sum_sq = side[k].pre_den_cross =
            side[k].cross_pre_den = side[k].den_pre_den_cross = 0;
    theta = stats_theta(STATS_RATIO, arms, 2);
    struct stats_effect other = stats_effect(&s, arms[0], arms[1], NULL, theta);
    near(other.effect, 0.1, 4 * other.se);
    assert_true(other.se < plain.se && other.se > cuped.se);
}

/* What the size promises: of 400 tests with the effect planned for, read after each hundredth of it,
 * at least four fifths end in time (three standard errors: 0.06), and none of it is bought by alpha. */
static void a_planned_size_has_the_power_asked_for(void **state)
{
    (void)state;
    struct rng rng = rng_seed(12);
    struct stats_settings s = { .alpha = 0.05, .tuning_n = 5000 };
    f64 n = stats_sequential_size(&s, 0.1, 2, 0.8), fixed = stats_sample_size(0.1, 2, 0.05, 0.8);
    assert_true(n > fixed && n < 3 * fixed);
    f64 rho = stats_sequential_rho(0.05, 5000, STATS_TWO_SIDED);
    int ended = 0;
    for (int path = 0; path < 400; path++) {
        f64 sum = 0, step = n / 100;
        for (int k = 1; k <= 100; k++) {
            sum += step * 0.1 + sqrt(2 * step) * normal_quantile(rng_unit(&rng) * 0.9999999 + 5e-8);
            f64 at = step * k;
            if (fabs(sum / at) / sqrt(2 / at) >= stats_mixture_bound(2 * at, rho, 0.05, false)) {
                ended++;
                break;
            }
        }
    }
    assert_true(ended / 400.0 > 0.8 - 0.06);
}

/* A plain z test is one look; at no effect the looks reject as often as alpha says; a simulation of
 * 40,000 tests (standard error 0.002 at 0.8) agrees with the power and with when it ends; Jennison
 * and Turnbull's inflation factors for classic designs bracket those of the spending functions:
 * 1.028 (O'Brien, Fleming) and 1.229 (Pocock) for five looks at 0.05 and 0.8. */
static void a_size_for_looks_has_its_power(void **state)
{
    (void)state;
    static const f64 t[] = { .2, .4, .6, .8, 1 }, one[] = { 1 };
    struct stats_looks single = { one, 1, STATS_OBRIEN_FLEMING, 0, false };
    f64 bounds[5], expected, fixed = stats_sample_size(.01, .06, .05, .8);
    /* the other side counts here: 1e-6 of power */
    near(stats_group_size(&single, .01, .06, .05, .8, &expected) / fixed, 1, 1e-4);
    for (int which = 0; which < 2; which++) {
        struct stats_looks looks = { t, 5, which ? STATS_POCOCK : STATS_OBRIEN_FLEMING, 0, false };
        stats_bounds(&looks, .05, bounds);
        near(stats_looks_power(&looks, bounds, 0, &expected), .05, 1e-9);
        f64 n = stats_group_size(&looks, .01, .06, .05, .8, &expected), inflation = n / fixed,
            drift = .01 * sqrt(n / .06);
        assert_true(which ? inflation > 1.15 && inflation < 1.235 : inflation > 1.01 && inflation < 1.035);
        assert_true(expected < .85 * fixed);
        struct rng rng = rng_seed(7 + (u64)which);
        int stopped = 0;
        f64 ended = 0;
        for (int i = 0; i < 40000; i++) {
            f64 s = 0, at = 1;
            for (isize k = 0; k < 5; k++) {
                s += drift * .2 + sqrt(.2) * normal_quantile(rng_unit(&rng) * .9999999 + 5e-8);
                if (fabs(s) < bounds[k] * sqrt(t[k])) continue;
                stopped++;
                at = t[k];
                break;
            }
            ended += at;
        }
        near(stopped / 40000.0, .8, .007);
        near(ended / 40000.0, expected / n, .006);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_equal_lan_and_demets),
        cmocka_unit_test(a_test_that_runs_over_its_plan_equals_spotify),
        cmocka_unit_test(one_look_spends_everything),
        cmocka_unit_test(the_repeated_p_is_below_alpha_exactly_when_a_look_stops),
        cmocka_unit_test(R82_looking_again_and_again_by_plan_keeps_the_level),
        cmocka_unit_test(a_quantile_is_judged_as_gbstats_does),
        cmocka_unit_test(a_quantiles_error_is_what_theory_says),
        cmocka_unit_test(a_quantile_that_cannot_be_told_says_so),
        cmocka_unit_test(cuped_of_a_ratio_narrows_and_does_not_shift),
        cmocka_unit_test(a_planned_size_has_the_power_asked_for),
        cmocka_unit_test(a_size_for_looks_has_its_power),
    };
    return cmocka_run_group_tests_name("measure/group", tests, NULL, NULL);
}
