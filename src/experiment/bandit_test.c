/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_test.c - published values, hand-made vectors, and simulations of what a bandit is for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"
#include "experiment/experiment.h"

static void near_at(f64 got, f64 want, f64 tolerance, int line)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("line %d: got %.12g, want %.12g", line, got, want);
}
#define near(got, want, tolerance) near_at((got), (want), (tolerance), __LINE__)

/* Computed apart from this code by adaptive quadrature; printed with six decimals. */
static void best_arm_probabilities_are_the_integral(void **state)
{
    (void)state;
    static const struct { struct bandit_belief arms[3]; f64 best[3]; } rows[] = {
        { { { 0, .1 }, { .1, .1 }, { .2, .1 } }, { .047151, .224098, .728751 } },
        { { { 1, .5 }, { 2, .5 }, { 3, .5 } }, { .001325, .078338, .920337 } },
        { { { 0, .05 }, { .5, .5 }, { 1, 1.5 } }, { .040640, .343340, .616020 } },
    };
    for (isize i = 0; i < countof(rows); i++) {
        f64 best[3];
        bandit_best(rows[i].arms, 3, best);
        for (isize k = 0; k < 3; k++) near(best[k], rows[i].best[k], .51e-6);
    }
    f64 two[2], point[2];
    bandit_best((struct bandit_belief[]){ { 0, 3 }, { 1, 4 } }, 2, two);
    near(two[1], normal_cdf(0.2), 1e-9);
    bandit_best((struct bandit_belief[]){ { 0, 0 }, { 1, 0 } }, 2, point);
    near(point[1], 1, 1e-12);
}

static void R86_floors_control_and_rounding_hold(void **state)
{
    (void)state;
    struct rng rng = rng_seed(86);
    for (int round = 0; round < 500; round++) {
        isize n = 2 + (isize)rng_below(&rng, (u32)BANDIT_ARMS_MAX - 1);
        struct bandit_belief arms[BANDIT_ARMS_MAX];
        for (isize k = 0; k < n; k++)
            arms[k] = (struct bandit_belief){ rng_unit(&rng), .001 + rng_unit(&rng) * .2 };
        struct bandit_settings s = { .goal = (enum bandit_goal)(round & 1),
                                     .floor = .01 + .02 * rng_unit(&rng),
                                     .control = round % 3 ? (isize)rng_below(&rng, (u32)n) : -1,
                                     .control_share = round % 4 ? .2 : 0 };
        i32 shares[BANDIT_ARMS_MAX], all = 0;
        bandit_shares(&s, arms, n, shares);
        for (isize k = 0; k < n; k++) {
            assert_true(shares[k] >= (i32)floor(s.floor * BUCKETS) - 1);
            all += shares[k];
        }
        assert_int_equal(all, BUCKETS);
        if (s.control >= 0 && s.control_share > 0) assert_true(shares[s.control] >= 1999);
    }
    /* The floor is added, not cut to: above it shares stay in proportion. */
    struct bandit_settings s = { .floor = .05, .control = -1 };
    f64 best[3];
    i32 shares[3];
    struct bandit_belief arms[] = { { 0, .1 }, { .1, .1 }, { .2, .1 } };
    bandit_best(arms, 3, best);
    bandit_shares(&s, arms, 3, shares);
    for (isize k = 0; k < 3; k++) near(shares[k], 10000 * (.05 + .85 * best[k]), 1);
}

/* A shop of 20,000 visits, arms that convert 5 and 8 percent: shares are set anew each 200 visits
 * from what was seen. Nearly all of the last quarter goes to the better arm, the other never falls
 * under its floor, each choice's probability is logged, and by them the value of "always b" can be
 * told from the log (IPS within four standard errors of 0.08). */
static void R47_a_bandit_moves_traffic_to_the_better_arm_and_logs_each_probability(void **state)
{
    (void)state;
    struct rng rng = rng_seed(47);
    static const f64 rate[] = { .05, .08 };
    struct bandit_settings s = { .goal = BANDIT_REWARD, .floor = .05, .control = 0 };
    i32 shares[2] = { 5000, 5000 };
    f64 n[2] = { 0 }, sum[2] = { 0 }, ips = 0, ips_sq = 0;
    i64 late[2] = { 0 };
    enum { VISITS = 20000 };
    arena a = { 0 };
    struct allocation allocation;
    for (i64 i = 0; i < VISITS; i++) {
        if (i % 200 == 0) {
            if (i) {
                struct bandit_belief arms[2];
                for (isize k = 0; k < 2; k++) arms[k] = bandit_belief_of(n[k], sum[k], sum[k], true);
                bandit_shares(&s, arms, 2, shares);
            }
            assert_int_equal(experiment_allocate(&a, shares, 2, &allocation, NULL), ERR_OK);
        }
        struct buf name = { .arena = &a };
        buf_printf(&name, "p-%lld", (long long)i);
        struct assignment got = experiment_assign(
            (struct bucket_key){ buf_str(&name), S("000000000000047") }, allocation);
        assert_true(got.variation >= 0);
        near(got.propensity, shares[got.variation] / 1e4, 1e-12);      /* what is logged is what was done */
        assert_true(got.propensity >= .0499);
        f64 reward = rng_unit(&rng) < rate[got.variation];
        n[got.variation]++, sum[got.variation] += reward;
        if (got.variation == 1)
            ips += reward / got.propensity, ips_sq += reward / got.propensity / got.propensity;
        if (i >= VISITS * 3 / 4) late[got.variation]++;
    }
    assert_true(late[1] > 9 * late[0]);
    assert_true(late[0] > VISITS / 4 * .03);
    near(ips / VISITS, .08, 4 * sqrt(ips_sq / VISITS - .08 * .08) / sqrt(VISITS));
    arena_fini(&a);
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* GrowthBook's tree (MIT): two countries, two arms, 200 people each, means (1, 2) and (2, 1),
 * variance 1: the sum of squares falls from 996 to 796; one country alone has 398. */
static void a_split_takes_away_the_squares_it_should(void **state)
{
    (void)state;
    arena a = { 0 };
    enum { EACH = 200, ROWS = 4 * EACH };
    str *texts = arena_new(&a, str, ROWS);
    i32 *arms = arena_new(&a, i32, ROWS);
    f64 *rewards = arena_new(&a, f64, ROWS);
    f64 spread = sqrt(199.0 / 200);                     /* +-spread in halves: the sample variance is 1 */
    for (isize i = 0; i < ROWS; i++) {
        bool second = i / EACH & 1, other = i / (2 * EACH);
        texts[i] = other ? S("NO") : S("PL");
        arms[i] = second;
        rewards[i] = (second != other ? 2 : 1) + (i & 1 ? spread : -spread);
    }
    struct bandit_settings s = { .floor = .01, .control = -1 };
    struct bandit_tree_options o = { .units = 100, .leaves_max = 8, .gain = 4 };
    str names[] = { S("country") };
    struct bandit_data data = bandit_data_of(&a, names, 1, texts, arms, rewards, ROWS, 2, false);
    struct bandit_tree_options stump = o;
    stump.leaves_max = 1;
    near(bandit_tree_error(bandit_tree_learn(&a, &data, &s, &stump), &data), 996, 1e-6);
    struct bandit_policy *tree = bandit_tree_learn(&a, &data, &s, &o);
    near(bandit_tree_error(tree, &data), 796, 1e-6);
    assert_int_equal(tree->leaves_n, 2);
    struct bandit_data one = bandit_data_of(&a, names, 1, texts, arms, rewards, ROWS / 2, 2, false);
    near(bandit_tree_error(bandit_tree_learn(&a, &one, &s, &o), &one), 398, 1e-6);

    for (int other = 0; other < 2; other++) {
        f64 x[] = { bandit_code(&tree->features[0], other ? S("NO") : S("PL")) };
        i32 shares[2], leaf;
        bandit_policy_shares(tree, x, shares, &leaf);
        assert_true(shares[other ? 0 : 1] > 9800);
    }
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    assert_true(bandit_policy_leaves(tree, &w));
    assert_true(str_find(buf_str(&out), S("\"country\":{\"$in\":[")) >= 0
                && str_find(buf_str(&out), S("\"leafId\":-1")) >= 0);
    arena_fini(&a);
}

/* Noise alone gives no tree: of 100 made of ten useless categories at most a few split. */
static void noise_grows_no_tree(void **state)
{
    (void)state;
    struct rng rng = rng_seed(3);
    int split = 0;
    for (int round = 0; round < 100; round++) {
        arena a = { 0 };
        enum { ROWS = 3000 };
        str *texts = arena_new(&a, str, ROWS);
        i32 *arms = arena_new(&a, i32, ROWS);
        f64 *rewards = arena_new(&a, f64, ROWS);
        for (isize i = 0; i < ROWS; i++) {
            texts[i] = arena_printf(&a, "c%d", (int)rng_below(&rng, 6));
            arms[i] = (i32)rng_below(&rng, 2);
            rewards[i] = rng_unit(&rng) < .1;
        }
        str names[] = { S("c") };
        struct bandit_data data = bandit_data_of(&a, names, 1, texts, arms, rewards, ROWS, 2, true);
        struct bandit_settings s = { .floor = .01, .control = -1 };
        struct bandit_tree_options o = { .units = 100, .leaves_max = 8, .gain = 6 };
        split += bandit_tree_learn(&a, &data, &s, &o)->leaves_n > 1;
        arena_fini(&a);
    }
    assert_true(split <= 10);
}

/* Li et al. 2010, by hand: one update x = (1, 0), r = 1 gives theta (1/2, 0), and alpha 1 at (1, 0)
 * scores 1.2071068. */
static void a_linear_update_equals_the_hand_vector(void **state)
{
    (void)state;
    f64 theta[2] = { 0 }, inverse[4] = { 1, 0, 0, 1 }, x[2] = { 1, 0 };
    struct bandit_model m = { theta, inverse, 0 };
    bandit_linear_update(&m, 2, x, 1);
    near(theta[0], .5, 1e-15);
    near(theta[1], 0, 0);
    struct bandit_belief at = bandit_linear_belief(&m, 2, x);
    near(at.mean + at.sd, 1.2071067811865475, 1e-12);
}

/* Many updates, one at a time, are the ridge regression: (I + X'X) theta = X'r. */
static void sherman_morrison_is_the_ridge_regression(void **state)
{
    (void)state;
    struct rng rng = rng_seed(8);
    enum { D = 5 };
    f64 theta[D] = { 0 }, inverse[D * D] = { 0 }, normal[D * D] = { 0 }, right[D] = { 0 };
    for (isize i = 0; i < D; i++) inverse[i * D + i] = normal[i * D + i] = 1;
    struct bandit_model m = { theta, inverse, 0 };
    for (int n = 0; n < 500; n++) {
        f64 x[D], r = rng_unit(&rng);
        for (isize i = 0; i < D; i++) x[i] = rng_unit(&rng) - .5;
        bandit_linear_update(&m, D, x, r);
        for (isize i = 0; i < D; i++) {
            right[i] += r * x[i];
            for (isize k = 0; k < D; k++) normal[i * D + k] += x[i] * x[k];
        }
    }
    for (isize i = 0; i < D; i++) {
        f64 got = 0;
        for (isize k = 0; k < D; k++) got += normal[i * D + k] * theta[k];
        near(got, right[i], 1e-9);
    }
}

/* Phones like a, desktops like b. Each of three learners earns nearly what somebody would who knew
 * it, all of them more than the best single arm, and what is written to the log decides the same
 * when it is read back. */
static void R47_contextual_policies_find_whom_an_arm_is_for(void **state)
{
    (void)state;
    arena a = { 0 };
    struct rng rng = rng_seed(48);
    enum { ROWS = 6000 };
    str *texts = arena_new(&a, str, 2 * ROWS);
    i32 *arms = arena_new(&a, i32, ROWS);
    f64 *rewards = arena_new(&a, f64, ROWS);
    for (isize i = 0; i < ROWS; i++) {
        bool phone = rng_below(&rng, 2);
        f64 hour = floor(rng_unit(&rng) * 24);
        texts[2 * i] = phone ? S("mobile") : S("desktop");
        texts[2 * i + 1] = arena_printf(&a, "%g", hour);
        arms[i] = (i32)rng_below(&rng, 2);
        rewards[i] = rng_unit(&rng) < ((arms[i] == 0) == phone ? .3 : .1);
    }
    str names[] = { S("device"), S("hour") };
    struct bandit_data data = bandit_data_of(&a, names, 2, texts, arms, rewards, ROWS, 2, true);
    assert_true(data.features[1].numeric && !data.features[0].numeric);
    struct bandit_settings s = { .floor = .02, .control = -1 };
    struct bandit_tree_options o = { .units = 100, .leaves_max = 8, .gain = 6 };
    struct bandit_policy *policies[] = { bandit_tree_learn(&a, &data, &s, &o),
                                         bandit_linear_learn(&a, &data, &s, BANDIT_LINEAR_THOMPSON, 0),
                                         bandit_linear_learn(&a, &data, &s, BANDIT_LINEAR_UCB, .5) };
    for (isize p = 0; p < countof(policies); p++) {
        struct buf out = { .arena = &a };
        struct jsonw w = { .out = &out };
        const struct json *json = NULL;
        struct bandit_policy *back = NULL;
        bandit_policy_write(policies[p], &w);
        assert_int_equal(json_parse(&a, buf_str(&out), &json, NULL), ERR_OK);
        assert_int_equal(bandit_policy_read(&a, json, &back, NULL), ERR_OK);
        f64 earned = 0;
        for (int phone = 0; phone < 2; phone++)
            for (int hour = 0; hour < 24; hour++) {
                f64 x[] = { bandit_code(&back->features[0], phone ? S("mobile") : S("desktop")), hour };
                i32 shares[2], again[2], leaf;
                bandit_policy_shares(policies[p], x, shares, &leaf);
                bandit_policy_shares(back, x, again, &leaf);
                assert_memory_equal(shares, again, sizeof shares);
                earned += (shares[0] * (phone ? .3 : .1) + shares[1] * (phone ? .1 : .3)) / 1e4 / 48;
            }
        assert_true(earned > .28);
    }
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    str keys[] = { S("a"), S("b") };
    assert_true(bandit_policy_coefficients(policies[1], keys, &w));
    assert_true(str_find(buf_str(&out),
                         S("\"subjectCategoricalCoefficients\":[{\"attributeKey\":\"device\""))
                >= 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_arm_probabilities_are_the_integral),
        cmocka_unit_test(R86_floors_control_and_rounding_hold),
        cmocka_unit_test(R47_a_bandit_moves_traffic_to_the_better_arm_and_logs_each_probability),
        cmocka_unit_test(a_split_takes_away_the_squares_it_should),
        cmocka_unit_test(noise_grows_no_tree),
        cmocka_unit_test(a_linear_update_equals_the_hand_vector),
        cmocka_unit_test(sherman_morrison_is_the_ridge_regression),
        cmocka_unit_test(R47_contextual_policies_find_whom_an_arm_is_for),
    };
    return cmocka_run_group_tests_name("experiment/bandit", tests, NULL, NULL);
}
