/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_test.c - every published number we know for these formulas, and simulations of what they
 * promise.
 *
 * Tolerances: where a source prints k decimals, half a unit of the last one; where a number was
 * recomputed at 30 digits, relative 1e-9 (our sums of squares lose up to seven digits of sixteen). */
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
#define D5 0.5000001e-5                                 /* printed with five decimals */
#define D9 0.5000001e-9

static struct stats_effect effect_of(const struct stats_settings *s, const struct stats_sums *a,
                                     const struct stats_sums *b)
{
    return stats_effect(s, (struct stats_arm){ a, 1 }, (struct stats_arm){ b, 1 }, NULL, 0);
}

static const struct stats_settings settings = { .relative = true, .alpha = 0.05, .tuning_n = 5000 };

/* gbstats 0.8 (MIT), tests/frequentist: the revenue fixture used throughout. */
static const struct stats_sums revenue_a = { .n = 3407, .sum = 1396.87, .sum_sq = 52377.9767 };
static const struct stats_sums revenue_a3000 = { .n = 3000, .sum = 1396.87, .sum_sq = 52377.9767 };
static const struct stats_sums revenue_b = { .n = 3461, .sum = 2422.7, .sum_sq = 134698.29 };

/* ---- fixed horizon: gbstats frequentist tests ------------------------------------------------ */

static void R80_welch_relative_and_absolute_equal_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    struct stats_effect e = effect_of(&s, &revenue_a, &revenue_b);
    struct stats_interval i = stats_fixed(&s, &e);
    near(e.effect, 0.70732, D5);
    near(e.se, 0.37879, D5);
    near(e.df, 5841.742, 0.5e-3);
    near(i.low, -0.03526, D5);
    near(i.high, 1.44989, D5);
    near(i.p, 0.06191, D5);
    s.relative = false;
    e = effect_of(&s, &revenue_a, &revenue_b);
    i = stats_fixed(&s, &e);
    near(e.effect, 0.29, D5);
    near(e.se, 0.12478, D5);
    near(i.low, 0.04538, D5);
    near(i.high, 0.53462, D5);
    near(i.p, 0.02016, D5);
}

static void proportions_equal_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    struct stats_sums a = { .n = 28, .sum = 14 }, b = { .n = 30, .sum = 16 };
    struct stats_effect e = effect_of(&s, &a, &b);
    struct stats_interval i = stats_fixed(&s, &e);
    near(e.effect, 0.06667, D5);
    near(e.se, 0.2717, D5);
    near(i.low, -0.47767, D5);
    near(i.high, 0.61101, D5);
    near(i.p, 0.80707, D5);
}

static void one_sided_tests_equal_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.tail = STATS_GREATER;
    struct stats_effect e = effect_of(&s, &revenue_a3000, &revenue_b);
    struct stats_interval i = stats_fixed(&s, &e);
    near(i.p, 0.0655826287, 0.5e-10);
    near(i.low, -0.0451366759, 0.5e-10);
    assert_true(isinf(i.high) && i.high > 0);
    s.relative = false;
    e = effect_of(&s, &revenue_a3000, &revenue_b);
    i = stats_fixed(&s, &e);
    near(i.p, 0.0355427249, 0.5e-10);
    near(i.low, 0.0207914801, 0.5e-10);
    s.tail = STATS_LESS;
    struct stats_interval less = stats_fixed(&s, &e);
    near(less.p, 1 - i.p, 1e-12);
    near(less.high - e.effect, e.effect - i.low, 1e-12);
}

/* ---- always valid ---------------------------------------------------------------------------- */

static void sequential_equals_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.gbstats = true;
    s.tuning_n = 1000;
    struct stats_effect e = effect_of(&s, &revenue_a3000, &revenue_b);
    struct stats_interval i = stats_sequential(&s, &e);
    near(e.effect, 0.50336, D5);
    near(i.low, -0.55844, D5);
    near(i.high, 1.56516, D5);
    near(i.p, 1, 0);
    s.tuning_n = 5000;
    s.kind = STATS_PROPORTION;
    struct stats_sums a = { .n = 3000, .sum = 1396 }, b = { .n = 3461, .sum = 2422 };
    e = effect_of(&s, &a, &b);
    i = stats_sequential(&s, &e);
    near(i.low, 0.40098, D5);
    near(i.high, 0.60675, D5);
    near(i.p, 0, D5);
}

/* mSPRT of Johari, Pekelis, Walsh (arXiv 1512.04922) for V = 2, n = 5000, tau^2 = 0.0004, evaluated
 * from its own formula; the confidence sequence must be the same thing by rho^2 = tau^2 / V. */
static void sequential_is_msprt(void **state)
{
    (void)state;
    const f64 v = 2, n = 5000, tau_sq = 0.0004;
    f64 rho = sqrt(tau_sq / v), se = sqrt(v / n);
    static const struct { f64 delta, lambda, p; } rows[] = {
        { 0.02, 0.9079430794, 1 }, { 0.05, 3.3734177842, 0.2964352665 }, { 0.1, 366.2903811, 0.0027300744 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        f64 lambda = exp(stats_mixture_log(rows[i].delta / se, n, rho, false));
        near(lambda, rows[i].lambda, rows[i].lambda * 1e-9);
        near(fmin(1, 1 / lambda), rows[i].p, 0.5e-9);
    }
    near(stats_mixture_bound(n, rho, 0.05, false) * se, 0.0731278974, 0.5e-10);
}

/* confseq (MIT), its R reference: v = 100, alpha = 0.05, tuned at v = 100. */
static void mixture_bounds_equal_confseq(void **state)
{
    (void)state;
    f64 two = stats_sequential_rho(0.05, 100, STATS_TWO_SIDED),
        one = stats_sequential_rho(0.05, 100, STATS_GREATER);
    near(1 / (two * two), 12.60056, D5);
    near(stats_mixture_bound(100, two, 0.05, false) * 10, 30.35209, D5);
    near(stats_mixture_log(1, 100, two, false), -0.6510052, 0.5e-7);
    near(stats_mixture_bound(100, one, 0.05, true) * 10, 27.66071, D5);
    near(stats_mixture_log(1, 100, one, true), -0.06502391, 0.5e-8);
}

/* How much wider than fixed horizon, N* = 5000, alpha = 0.05: computed with 30 digits. */
static void width_penalty_is_as_computed(void **state)
{
    (void)state;
    static const struct { f64 n, penalty; } rows[] = {
        { 500, 1.967 }, { 1000, 1.716 }, { 5000, 1.549 }, { 1e4, 1.562 }, { 5e4, 1.654 }, { 5e5, 1.817 },
    };
    f64 rho = stats_sequential_rho(0.05, 5000, STATS_TWO_SIDED);
    for (isize i = 0; i < countof(rows); i++) {
        near(stats_mixture_bound(rows[i].n, rho, 0.05, false) / 1.959963984540054, rows[i].penalty, 0.5e-3);
    }
}

static void an_interval_leaves_out_zero_exactly_when_p_is_below_alpha(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    for (int tail = 0; tail < 3; tail++) {
        s.tail = (enum stats_tail)tail;
        for (int way = 0; way < 8; way++) {
            s.relative = way & 1;
            f64 base = way & 4 ? 0.02 : 4;              /* a control that can be told from 0, or not */
            if (way & 2) base = -base;
            for (f64 z = -8; z <= 8; z += 0.01) {
                f64 mean = base + z * 0.1;
                struct stats_sums a = { .n = 2000, .sum = 2000 * base, .sum_sq = 2000 * (base * base + 10) };
                struct stats_sums b = { .n = 2000, .sum = 2000 * mean, .sum_sq = 2000 * (mean * mean + 10) };
                struct stats_effect e = effect_of(&s, &a, &b);
                struct stats_interval i = stats_sequential(&s, &e);
                if (fabs(i.p - s.alpha) < 1e-6) continue;
                assert_int_equal(i.low > 0 || i.high < 0, i.p < s.alpha);
                i = stats_fixed(&s, &e);
                if (fabs(i.p - s.alpha) > 1e-6) assert_int_equal(i.low > 0 || i.high < 0, i.p < s.alpha);
            }
        }
    }
}

/* With a control far from 0 Fieller's interval and the delta method's are the same thing to second
 * order: here the control is 100 standard errors from 0. */
static void a_lift_is_near_the_delta_method_when_the_control_is_known_well(void **state)
{
    (void)state;
    struct stats_settings s = settings, delta = settings;
    delta.gbstats = true;
    struct stats_sums a = { .n = 10000, .sum = 10000, .sum_sq = 20000 },
                      b = { .n = 10000, .sum = 10200, .sum_sq = 20500 };
    struct stats_effect e = effect_of(&s, &a, &b);
    struct stats_interval i = stats_sequential(&s, &e), j = stats_sequential(&delta, &e);
    near(i.low, j.low, 0.05 * (j.high - j.low));
    near(i.high, j.high, 0.05 * (j.high - j.low));
    /* The two ends are where the test of that lift is just at its bound. */
    f64 bound = stats_mixture_bound(e.n, stats_sequential_rho(0.05, 5000, STATS_TWO_SIDED), 0.05, false);
    for (int end = 0; end < 2; end++) {
        f64 r = 1 + (end ? i.high : i.low);
        f64 z = (1.02 - r) / sqrt((20500.0 / 10000 - 1.02 * 1.02) / 9999 + r * r * 1.0 / 9999);
        near(fabs(z), bound, 1e-6);
    }
}

/* ---- CUPED: gbstats fixtures ----------------------------------------------------------------- */

static const struct stats_sums cuped_a = { .n = 3001, .sum = 300, .sum_sq = 600, .pre_sum = 210,
                                           .pre_sum_sq = 415, .pre_cross = -20 };
static const struct stats_sums cuped_b = { .n = 3000, .sum = 222, .sum_sq = 555, .pre_sum = 120,
                                           .pre_sum_sq = 405, .pre_cross = -10 };

static void cuped_equals_gbstats_and_the_full_delta_method(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    struct stats_arm arms[] = { { &cuped_a, 1 }, { &cuped_b, 1 } };
    f64 theta = stats_theta(STATS_MEAN, arms, 2);
    near(theta, -0.0732119, 0.5e-7);
    s.gbstats = true;
    struct stats_effect e = stats_effect(&s, arms[0], arms[1], NULL, theta);
    near(e.effect, -0.281707154, D9);
    near(e.se, 0.0971049, 0.5e-7);
    near(stats_fixed(&s, &e).p, 0.003732549, 1e-8);     /* theirs is of a rounded standard error */
    s.gbstats = false;
    e = stats_effect(&s, arms[0], arms[1], NULL, theta);
    near(e.effect, -0.281707154, D9);
    near(e.se, 0.0960622, 0.5e-7);
    near(stats_fixed(&s, &e).p, 0.0033746, 0.6e-7);
}

static void cuped_of_a_proportion_equals_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    s.gbstats = true;
    struct stats_sums a = cuped_a, b = cuped_b;
    a.pre_sum_sq = a.pre_sum;                           /* zeros and ones */
    b.pre_sum_sq = b.pre_sum;
    struct stats_arm arms[] = { { &a, 1 }, { &b, 1 } };
    f64 theta = stats_theta(s.kind, arms, 2);
    struct stats_effect e = stats_effect(&s, arms[0], arms[1], NULL, theta);
    near(e.effect, -0.31620216, 0.5e-8);
    near(stats_fixed(&s, &e).p, 3.53e-7, 0.5e-9);
}

/* Pairs with correlation 0.8: the variance falls by 1 - rho^2 (Deng et al. 2013, eq. 4). 40,000
 * people: the ratio is within 2 %. */
static void cuped_cuts_the_variance_by_the_squared_correlation(void **state)
{
    (void)state;
    struct rng rng = rng_seed(77);
    struct stats_sums side[2] = { { .n = 0 }, { .n = 0 } };
    for (int i = 0; i < 40000; i++) {
        f64 x = normal_quantile(rng_unit(&rng) * 0.999999 + 5e-7);
        f64 y = 10 + 0.8 * x + 0.6 * normal_quantile(rng_unit(&rng) * 0.999999 + 5e-7);
        struct stats_sums *s = &side[i & 1];
        s->n++;
        s->sum += y, s->sum_sq += y * y, s->pre_sum += x, s->pre_sum_sq += x * x, s->pre_cross += x * y;
    }
    struct stats_settings s = settings;
    s.relative = false;
    struct stats_arm arms[] = { { &side[0], 1 }, { &side[1], 1 } };
    f64 plain = stats_effect(&s, arms[0], arms[1], NULL, 0).se;
    f64 cuped = stats_effect(&s, arms[0], arms[1], NULL, stats_theta(STATS_MEAN, arms, 2)).se;
    near(cuped * cuped / (plain * plain), 1 - 0.64, 0.02 * 0.36 + 0.005);
}

/* ---- ratio: gbstats fixture ------------------------------------------------------------------ */

static void ratio_equals_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_RATIO;
    struct stats_sums a = {
        .n = 100, .sum = 270, .sum_sq = 848.79, .den_sum = 510, .den_sum_sq = 810, .cross = -900
    };
    struct stats_sums b = {
        .n = 120, .sum = 300, .sum_sq = 869, .den_sum = 500, .den_sum_sq = 800, .cross = -905
    };
    struct stats_effect e = effect_of(&s, &a, &b);
    near(e.control, 0.529411765, D9);
    near(e.variation, 0.6, D9);
    near(e.effect, 0.133333333, D9);
    struct stats_belief belief = stats_bayes(&s, &e);
    near(belief.chance_to_win, 0.694926359, D9);
    near(belief.loss_if_chosen, 0.050934045, D9);
}

/* ---- Bayesian: gbstats tests ----------------------------------------------------------------- */

static void bayesian_equals_gbstats(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    struct stats_sums a = { .n = 100, .sum = 49 }, b = { .n = 100, .sum = 51 };
    struct stats_effect e = effect_of(&s, &a, &b);
    struct stats_belief got = stats_bayes(&s, &e);
    near(got.mean, 0.04082, D5);
    near(got.sd, 0.14725, D5);
    near(got.low, -0.24779, D5);
    near(got.high, 0.32943, D5);
    near(got.chance_to_win, 0.60918, D5);
    near(got.loss_if_not, 0.0814, D5);
    near(got.loss_if_chosen, 0.04058, D5);

    s.kind = STATS_MEAN;
    struct stats_sums c = { .n = 10, .sum = 100, .sum_sq = 1002.25 },
                      d = { .n = 10, .sum = 105, .sum_sq = 1111.5 };
    e = effect_of(&s, &c, &d);
    got = stats_bayes(&s, &e);
    near(got.mean, 0.05, D5);
    near(got.sd, 0.03572, D5);
    near(got.chance_to_win, 0.91923, D5);
    near(got.loss_if_not, 0.05131, D5);
    near(got.loss_if_chosen, 0.00131, D5);
    s.prior = (struct stats_prior){ .proper = true, .mean = 0.1, .variance = 0.1 };
    got = stats_bayes(&s, &e);
    near(got.mean, 0.05063, D5);
    near(got.sd, 0.03549, D5);
    near(got.chance_to_win, 0.92315, D5);
    near(got.loss_if_not, 0.05186, D5);
    near(got.loss_if_chosen, 0.00123, D5);

    got = stats_posterior(0.1, 0.05, 0.05);             /* get_risk */
    near(got.loss_if_not, 0.1004245351, 0.5e-10);
    near(got.loss_if_chosen, 0.0004245351, 0.5e-10);
    got = stats_posterior(0.01, 4.5e-9, 0.05);
    near(got.loss_if_not, 0.01, 1e-12);
    near(got.loss_if_chosen, 0, 1e-12);
}

/* Beta(50,52) against Beta(52,50): P(B > A) = 0.6107705 exactly. The normal model of as
 * many people must come within 0.002. */
static void the_normal_model_is_near_the_exact_beta_binomial(void **state)
{
    (void)state;
    /* By quadrature, the definition itself: integral of the density of B times P(A < x). */
    f64 sum = 0;
    const int steps = 20000;
    for (int i = 0; i < steps; i++) {
        f64 x = (i + 0.5) / steps;
        f64 density = exp(51 * log(x) + 49 * log1p(-x) - beta_log(52, 50));
        sum += density * beta_regularised(50, 52, x) / steps;
    }
    near(sum, 0.6107705, 0.5e-7);
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    s.relative = false;
    struct stats_sums a = { .n = 102, .sum = 50 }, b = { .n = 102, .sum = 52 };
    struct stats_effect e = effect_of(&s, &a, &b);
    near(stats_bayes(&s, &e).chance_to_win, sum, 0.002);
}

/* A prior on the lift judges the absolute and the relative effect alike (without this, changing the
 * display would change the verdict). Not exact, because the variance of a lift has one term more. */
static void a_prior_is_rescaled_to_the_effect_asked_for(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.prior = (struct stats_prior){ .proper = true, .mean = 0, .variance = 0.0001 };
    struct stats_sums c = { .n = 10000, .sum = 100000, .sum_sq = 1100000 };
    struct stats_sums d = { .n = 10000, .sum = 100500, .sum_sq = 1110500 };
    struct stats_effect relative = effect_of(&s, &c, &d);
    f64 chance = stats_bayes(&s, &relative).chance_to_win;
    s.relative = false;
    struct stats_effect absolute = effect_of(&s, &c, &d);
    near(stats_bayes(&s, &absolute).chance_to_win, chance, 1e-3);
    s.prior = (struct stats_prior){ .proper = true, .absolute = true, .mean = 0, .variance = 0.01 };
    f64 absolute_prior = stats_bayes(&s, &absolute).chance_to_win;
    near(absolute_prior, chance, 1e-3);
    s.relative = true;
    near(stats_bayes(&s, &relative).chance_to_win, chance, 1e-12);
}

/* ---- many comparisons: GrowthBook packages/shared/test/experiments.test.ts (MIT) ------------- */

static void corrections_equal_growthbook(void **state)
{
    (void)state;
    arena a = { 0 };
    f64 bh[] = { .898, .138, .007, .964, .538, .006, .138 };
    static const f64 bh_want[] = { .964, .2415, .0245, .964, .7532, .0245, .2415 };
    stats_correct(bh, countof(bh), STATS_BH, &a);
    for (isize i = 0; i < countof(bh); i++) near(bh[i], bh_want[i], 1e-9);
    f64 holm[] = { .01, .04, .03, .005, .55, .6 };
    static const f64 holm_want[] = { .05, .12, .12, .03, 1, 1 };
    stats_correct(holm, countof(holm), STATS_HOLM, &a);
    for (isize i = 0; i < countof(holm); i++) near(holm[i], holm_want[i], 1e-12);
    f64 pair[] = { .025, .03 }, again[] = { .025, .03 };
    stats_correct(pair, 2, STATS_HOLM, &a);
    stats_correct(again, 2, STATS_BH, &a);
    near(pair[0], .05, 1e-15);
    near(pair[1], .05, 1e-15);
    near(again[0], .03, 1e-15);
    near(again[1], .03, 1e-15);
    f64 with_none[] = { .02, (f64)NAN, .04 };
    stats_correct(with_none, 3, STATS_HOLM, &a);
    near(with_none[0], .04, 1e-15);
    assert_true(isnan(with_none[1]));
    struct stats_interval i = stats_interval_of_p(.1, .05, .05);
    near(i.low, 0, 1e-12);
    near(i.high, .2, 1e-12);
    arena_fini(&a);
}

/* ---- sample ratio ---------------------------------------------------------------------------- */

static void R80_sample_ratio_check_equals_published_numbers(void **state)
{
    (void)state;
    static const struct {
        f64 people[3], shares[3];
        isize arms;
        f64 chi, chi_tolerance, p, p_tolerance;
    } rows[] = {
        /* An encyclopaedia's example; PostHog issue 84351 (prints 2.40e-149); Kohavi, Tang, Xu. */
        { { 600, 400 }, { 50, 50 }, 2, 40, 1e-9, 2.54e-10, 0.5e-12 },
        { { 4072, 2035 }, { 80, 20 }, 2, 676.5, 1, 2.402e-149, 0.0005e-149 },
        { { 821588, 815482 }, { 1, 1 }, 2, 22.774, 0.5e-3, 1.822e-6, 0.5e-9 },
        { { 1000, 1050, 950 }, { 1, 1, 1 }, 3, 5, 1e-9, .0820850, 0.5e-7 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        struct stats_srm srm = stats_srm(rows[i].people, rows[i].shares, rows[i].arms, 1);
        near(srm.p, rows[i].p, rows[i].p_tolerance);
        near(srm.chi_square, rows[i].chi, rows[i].chi_tolerance);
        assert_true(srm.df == (f64)rows[i].arms - 1);
    }
    f64 nobody[] = { 0, 0 }, odd[] = { 10, 1 }, shares[] = { 1, 1 }, closed[] = { 1, 0 };
    near(stats_srm(nobody, shares, 2, 1).p, 1, 0);
    near(stats_srm(nobody, shares, 2, 1).p_sequential, 1, 0);
    struct stats_srm sent_nobody = stats_srm(odd, closed, 2, 1);
    near(sent_nobody.p, 0, 0);
    near(sent_nobody.p_sequential, 0, 0);
}

/* A ramp from 50:50 to 90:10 with each epoch in its ratio: summed without epochs it looks broken. */
static void R80_a_changed_allocation_raises_no_alarm(void **state)
{
    (void)state;
    f64 people[] = { 5000, 5000, 9000, 1000 }, shares[] = { 50, 50, 90, 10 };
    struct stats_srm srm = stats_srm(people, shares, 2, 2);
    near(srm.chi_square, 0, 1e-9);
    assert_true(srm.p > 0.999 && srm.p_sequential == 1);
    f64 blind[] = { 14000, 6000 }, now[] = { 90, 10 };
    assert_true(stats_srm(blind, now, 2, 1).p < 1e-12);
}

/* 2,000 sound experiments watched after each of 2,000 people: below 1 % (three standard errors over)
 * ever alarm at 0.01; one that loses a tenth of an arm is found. */
static void the_sequential_sample_ratio_check_may_be_watched(void **state)
{
    (void)state;
    struct rng rng = rng_seed(4);
    f64 shares[] = { 50, 50 };
    int alarms = 0, found = 0;
    for (int path = 0; path < 2000; path++) {
        f64 people[2] = { 0 };
        for (int i = 0; i < 2000; i++) {
            people[rng_next(&rng) >> 63]++;
            if (i % 5 == 4 && stats_srm(people, shares, 2, 1).p_sequential < 0.01) {
                alarms++;
                break;
            }
        }
    }
    assert_true(alarms <= 0.01 * 2000 + 3 * sqrt(2000 * 0.01 * 0.99));
    for (int path = 0; path < 100; path++) {
        f64 people[2] = { 0 };
        for (int i = 0; i < 20000; i++) people[rng_unit(&rng) < 0.9 / 1.9]++;
        found += stats_srm(people, shares, 2, 1).p_sequential < 0.01;
    }
    assert_true(found >= 95);
}

/* ---- power ----------------------------------------------------------------------------------- */

static void power_equals_published_numbers(void **state)
{
    (void)state;
    /* The well-known sample-size calculator: 20 % base, 5 points, prints 1,030 (exactly 1030.22): it
     * takes the null variance for the size and both for the power. */
    f64 p = 0.2, q = 0.25, z_alpha = -normal_quantile(0.025), z_power = normal_quantile(0.8);
    f64 theirs = z_alpha * sqrt(2 * p * (1 - p)) + z_power * sqrt(p * (1 - p) + q * (1 - q));
    near(theirs * theirs / (0.05 * 0.05), 1030.22, 0.5e-2);
    /* Ours takes the variances of both arms for both; then the rule of 16. */
    near(stats_sample_size(0.05, p * (1 - p) + q * (1 - q), 0.05, 0.8), 1090.8, 1);
    near(16 * 0.0475 / (0.0025 * 0.0025), 121600, 1e-6);
    near(stats_sample_size(0.0025, 2 * 0.0475, 0.05, 0.8) / 121600, 1, 0.02);
    /* Spotify confidence (Apache-2.0), checked there against G*Power: totals, 0.5 %, power 0.85. */
    near(2 * stats_sample_size(0.3, 200, 0.05, 0.85) / 39906, 1, 0.005);
    f64 v = 2 * 0.34 * 0.66;
    near(2 * stats_sample_size(0.003, v, 0.05, 0.85) / 897348, 1, 0.005);
    near(2 * stats_sample_size(0.003, v, 0.14, 0.85) / 630710, 1, 0.005);
    near(2 * stats_sample_size(0.003, v, 0.14, 0.67) / 366424, 1, 0.005);
    /* The three agree with each other; the other tail is below 1e-6 here. */
    f64 n = stats_sample_size(0.3, 200, 0.05, 0.85), se = sqrt(200 / n);
    near(stats_power(0.3, se, 0.05), 0.85, 1e-6);
    near(stats_least_effect(se, 0.05, 0.85), 0.3, 1e-12);
    near(stats_power(0, 1, 0.05), 0.05, 1e-12);
}

/* ---- epochs ---------------------------------------------------------------------------------- */

/* True lift 0, base rate 10 % then 20 %, allocation 50:50 then 10:90: Simpson's paradox in the sums,
 * nothing in the stratified difference. Expected counts, so the answer is exact. */
static void epochs_take_away_the_bias_of_a_changed_allocation(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    struct stats_sums a[] = { { .n = 5000, .sum = 500 }, { .n = 1000, .sum = 200 } };
    struct stats_sums b[] = { { .n = 5000, .sum = 500 }, { .n = 9000, .sum = 1800 } };
    f64 weights[] = { 0.5, 0.5 };
    struct stats_effect e =
        stats_effect(&s, (struct stats_arm){ a, 2 }, (struct stats_arm){ b, 2 }, weights, 0);
    near(e.effect, 0, 1e-15);
    near(e.control, 0.15, 1e-15);
    struct stats_sums all_a = { .n = 6000, .sum = 700 }, all_b = { .n = 14000, .sum = 2300 };
    assert_true(effect_of(&s, &all_a, &all_b).effect > 0.4);
    s.relative = false;
    e = stats_effect(&s, (struct stats_arm){ a, 2 }, (struct stats_arm){ b, 2 }, weights, 0);
    f64 want = 0.25 * (0.09 / 5000 + 0.09 / 5000 + 0.16 / 1000 + 0.16 / 9000);
    near(e.se * e.se, want, want * 1e-9);
}

static void an_arm_added_later_is_judged_in_the_epochs_it_was_in(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    struct stats_sums a[] = { { .n = 5000, .sum = 500 }, { .n = 1000, .sum = 200 } };
    struct stats_sums b[] = { { 0 }, { .n = 9000, .sum = 1800 } };
    f64 weights[] = { 0.3, 0.7 };
    struct stats_effect e =
        stats_effect(&s, (struct stats_arm){ a, 2 }, (struct stats_arm){ b, 2 }, weights, 0);
    struct stats_effect second = effect_of(&s, &a[1], &b[1]);
    near(e.effect, second.effect, 1e-15);
    near(e.se, second.se, 1e-15);
    near(e.control, 0.2, 1e-15);
}

static void what_cannot_be_judged_says_why(void **state)
{
    (void)state;
    struct stats_settings s = settings;
    struct stats_sums fine = { .n = 10, .sum = 10, .sum_sq = 20 }, one = { .n = 1, .sum = 1, .sum_sq = 1 };
    struct stats_sums flat = { .n = 10, .sum = 10, .sum_sq = 10 }, zero = { .n = 10, .sum = 0, .sum_sq = 20 };
    assert_int_equal(effect_of(&s, &one, &fine).problem, STATS_TOO_FEW);
    assert_int_equal(effect_of(&s, &fine, &one).problem, STATS_TOO_FEW);
    assert_int_equal(effect_of(&s, &flat, &flat).problem, STATS_NO_VARIANCE);
    assert_int_equal(effect_of(&s, &zero, &fine).problem, STATS_NO_BASELINE);
    s.kind = STATS_RATIO;
    struct stats_effect e = effect_of(&s, &fine, &fine);
    assert_int_equal(e.problem, STATS_NO_DENOMINATOR);
    assert_true(stats_fixed(&s, &e).p == 1 && isnan(stats_sequential(&s, &e).low));
    assert_true(isnan(stats_bayes(&s, &e).chance_to_win));
}

/* ---- A/A ------------------------------------------------------------------------------------- */

enum { PATHS = 2000, PEOPLE = 3000, LOOK_FROM = 100 };

/* One A/A test of a conversion rate of 10 %, looked at after every pair of people from the 100th on.
 * Returns whether any look was below alpha. */
static bool ever_rejects(struct rng *rng, const struct stats_settings *s,
                         struct stats_interval (*interval)(const struct stats_settings *,
                                                        const struct stats_effect *))
{
    struct stats_sums a = { 0 }, b = { 0 };
    for (int i = 1; i <= PEOPLE; i++) {
        a.sum += rng_unit(rng) < 0.1;
        b.sum += rng_unit(rng) < 0.1;
        a.n = b.n = i;
        if (i < LOOK_FROM) continue;
        struct stats_effect e = effect_of(s, &a, &b);
        if (!e.problem && interval(s, &e).p < s->alpha) return true;
    }
    return false;
}

/* 2,000 experiments in which nothing differs, watched after every person. Always-valid p-values may
 * reject at most alpha of them (plus three Monte-Carlo standard errors, 0.0146); that the watching
 * is real is shown by the fixed-horizon test, which under it rejects several times as many. */
static void R82_watching_an_a_a_test_keeps_false_positives_at_the_nominal_rate(void **state)
{
    (void)state;
    struct rng rng = rng_seed(2026);
    struct stats_settings s = settings;
    s.kind = STATS_PROPORTION;
    s.tuning_n = 2000;
    int always_valid = 0, fixed = 0;
    for (int path = 0; path < PATHS; path++) always_valid += ever_rejects(&rng, &s, stats_sequential);
    for (int path = 0; path < PATHS / 10; path++) fixed += ever_rejects(&rng, &s, stats_fixed);
    f64 allowed = 0.05 + 3 * sqrt(0.05 * 0.95 / PATHS);
    if (always_valid > allowed * PATHS) fail_msg("%d of %d rejected", always_valid, PATHS);
    if (fixed < 0.2 * PATHS / 10) fail_msg("peeking was not real: %d of %d", fixed, PATHS / 10);
}

/* The same for revenue: most pay nothing, few pay much. One-sided, absolute, every 20. */
static void R82_watching_holds_for_skewed_revenue_and_one_side_too(void **state)
{
    (void)state;
    struct rng rng = rng_seed(7);
    struct stats_settings s = settings;
    s.relative = false;
    s.tail = STATS_GREATER;
    int rejected = 0;
    for (int path = 0; path < PATHS; path++) {
        struct stats_sums side[2] = { { .n = 0 }, { .n = 0 } };
        for (int i = 0; i < PEOPLE; i++) {
            for (int k = 0; k < 2; k++) {
                f64 y = rng_unit(&rng) < 0.2 ? -50 * log(1 - rng_unit(&rng)) : 0;
                side[k].n++;
                side[k].sum += y;
                side[k].sum_sq += y * y;
            }
            if (i < LOOK_FROM || i % 20) continue;
            struct stats_effect e = effect_of(&s, &side[0], &side[1]);
            if (!e.problem && stats_sequential(&s, &e).p < s.alpha) {
                rejected++;
                break;
            }
        }
    }
    f64 allowed = 0.05 + 3 * sqrt(0.05 * 0.95 / PATHS);
    if (rejected > allowed * PATHS) fail_msg("%d of %d rejected", rejected, PATHS);
}

/* Read once at the end, fixed horizon is at its level: between 3.5 and 6.5 %, three standard errors. */
static void an_a_a_test_read_once_rejects_alpha(void **state)
{
    (void)state;
    struct rng rng = rng_seed(15);
    struct stats_settings s = settings;
    int rejected = 0, covered = 0;
    for (int path = 0; path < PATHS; path++) {
        struct stats_sums side[2] = { { .n = 0 }, { .n = 0 } };
        for (int i = 0; i < 2 * 400; i++) {
            f64 y = 3 + normal_quantile(rng_unit(&rng) * 0.999999 + 5e-7);
            side[i & 1].n++;
            side[i & 1].sum += y;
            side[i & 1].sum_sq += y * y;
        }
        struct stats_effect e = effect_of(&s, &side[0], &side[1]);
        struct stats_interval i = stats_fixed(&s, &e);
        rejected += i.p < 0.05;
        covered += i.low <= 0 && i.high >= 0;
    }
    near(rejected / (f64)PATHS, 0.05, 0.015);
    assert_int_equal(rejected + covered, PATHS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R80_welch_relative_and_absolute_equal_gbstats),
        cmocka_unit_test(proportions_equal_gbstats),
        cmocka_unit_test(one_sided_tests_equal_gbstats),
        cmocka_unit_test(sequential_equals_gbstats),
        cmocka_unit_test(sequential_is_msprt),
        cmocka_unit_test(mixture_bounds_equal_confseq),
        cmocka_unit_test(width_penalty_is_as_computed),
        cmocka_unit_test(an_interval_leaves_out_zero_exactly_when_p_is_below_alpha),
        cmocka_unit_test(a_lift_is_near_the_delta_method_when_the_control_is_known_well),
        cmocka_unit_test(cuped_equals_gbstats_and_the_full_delta_method),
        cmocka_unit_test(cuped_of_a_proportion_equals_gbstats),
        cmocka_unit_test(cuped_cuts_the_variance_by_the_squared_correlation),
        cmocka_unit_test(ratio_equals_gbstats),
        cmocka_unit_test(bayesian_equals_gbstats),
        cmocka_unit_test(the_normal_model_is_near_the_exact_beta_binomial),
        cmocka_unit_test(a_prior_is_rescaled_to_the_effect_asked_for),
        cmocka_unit_test(corrections_equal_growthbook),
        cmocka_unit_test(R80_sample_ratio_check_equals_published_numbers),
        cmocka_unit_test(R80_a_changed_allocation_raises_no_alarm),
        cmocka_unit_test(the_sequential_sample_ratio_check_may_be_watched),
        cmocka_unit_test(power_equals_published_numbers),
        cmocka_unit_test(epochs_take_away_the_bias_of_a_changed_allocation),
        cmocka_unit_test(an_arm_added_later_is_judged_in_the_epochs_it_was_in),
        cmocka_unit_test(what_cannot_be_judged_says_why),
        cmocka_unit_test(R82_watching_an_a_a_test_keeps_false_positives_at_the_nominal_rate),
        cmocka_unit_test(R82_watching_holds_for_skewed_revenue_and_one_side_too),
        cmocka_unit_test(an_a_a_test_read_once_rejects_alpha),
    };
    return cmocka_run_group_tests_name("measure/stats", tests, NULL, NULL);
}
