/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: main effects and interactions are those of the design, whatever the shares. Method:
 * contrasts worked out by hand; a simulation with effects of known size, and one with none. */
#include "measure/factorial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

static const u8 two_by_two[] = { 2, 2 };

/* .10 .12 / .11 .16: A = ((.11 + .16) - (.10 + .12)) / 2, AB = .16 - .11 - .12 + .10; se of A: half
 * the root of the sum of the four. */
static void R81_effects_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    const struct factorial_arm arms[] = {
        { { 0, 0 }, 1000, .10, .09 }, { { 0, 1 }, 2000, .12, .1056 }, { { 1, 0 }, 1000, .11, .0979 }, { { 1, 1 }, 4000, .16, .1344 },
    };
    struct factorial_effect out[FACTORIAL_EFFECTS_MAX];
    assert_int_equal(factorial_effects(arms, 4, two_by_two, 2, .05, 5000, out, &memory), 3);
    assert_true(fabs(out[0].estimate - .025) <= 1e-12);
    assert_true(fabs(out[1].estimate - .035) <= 1e-12);
    assert_true(fabs(out[2].estimate - .03) <= 1e-12);
    f64 sum = .09 / 1000 + .1056 / 2000 + .0979 / 1000 + .1344 / 4000;
    assert_true(fabs(out[0].se - sqrt(sum) / 2) <= 1e-12);
    assert_true(fabs(out[2].se - sqrt(sum)) <= 1e-12);
    assert_int_equal(out[2].other, 1);
    assert_true(out[1].low < .035 && out[1].high > .035);
    assert_int_equal(factorial_effects(arms, 3, two_by_two, 2, .05, 5000, out, &memory), 0);
}

static struct factorial_arm drawn(struct rng *r, u8 a, u8 b, isize n, f64 chance)
{
    f64 hits = 0;
    for (isize i = 0; i < n; i++) hits += rng_unit(r) < chance;
    f64 mean = hits / (f64)n;
    return (struct factorial_arm){ { a, b }, (f64)n, mean, mean * (1 - mean) };
}

/* Effects .04 and .03 and none together, shares as uneven as 8 to 1: the estimates are theirs, and
 * nothing leaks into the interaction. */
static void R81_unequal_shares_do_not_mix_factors(void **state)
{
    (void)state;
    struct rng r = rng_seed(81);
    f64 a = 0, b = 0, ab = 0;
    enum { RUNS = 200 };
    isize false_alarms = 0;
    for (isize run = 0; run < RUNS; run++) {
        const struct factorial_arm arms[] = { drawn(&r, 0, 0, 4000, .10), drawn(&r, 0, 1, 500, .13),
                                              drawn(&r, 1, 0, 500, .14),
                                              drawn(&r, 1, 1, 4000, .17) };
        struct factorial_effect out[FACTORIAL_EFFECTS_MAX];
        assert_int_equal(factorial_effects(arms, 4, two_by_two, 2, .05, 5000, out, &memory), 3);
        a += out[0].estimate / RUNS;
        b += out[1].estimate / RUNS;
        ab += out[2].estimate / RUNS;
        false_alarms += out[2].p_corrected <= .05;
        arena_clear(&memory);
    }
    assert_true(fabs(a - .04) <= .003);                  /* four standard errors of a mean of 200 */
    assert_true(fabs(b - .03) <= .003);
    assert_true(fabs(ab - 0) <= .006);
    assert_true(false_alarms <= RUNS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(R81_effects_are_those_worked_out_by_hand, teardown),
        cmocka_unit_test_teardown(R81_unequal_shares_do_not_mix_factors, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
