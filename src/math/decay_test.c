/* SPDX-License-Identifier: Apache-2.0
 *
 * decay_test.c - values against mpmath at 50 digits and the C library, bits against a record. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"

/* Two roundings (the power, then the product): 2^-52 relative, doubled for the quotient's. */
static void values_match_mpmath(void **state)
{
    (void)state;
    static const struct { f64 value; i64 elapsed, half_life; f64 want; } rows[] = {
        { 1, 1, 3, 7.9370052598409974e-1 },
        { 7.25, 123456789, 86400000, 2.6927550035906504 },
        { 3.5, 7776000000, 2592000000, 0.4375 },
        { 0.1, 1, 2592000000, 9.9999999973258216e-2 },
        { 123.456, 2591999999, 2592000000, 6.1728000016507173e+1 },
        { 5, 1000000000000, 86400000, 0 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        f64 got = decay(rows[i].value, rows[i].elapsed, rows[i].half_life);
        assert_true(fabs(got - rows[i].want) <= 4.5e-16 * rows[i].want);
    }
}

/* exp2l of the C library has 64 bits on x86, so what differs is ours: half
 * a unit of the table, half of the last addition, and a little of the polynomial. */
static void half_power_is_within_1_1_units_in_the_last_place(void **state)
{
    (void)state;
    struct rng rng = rng_seed(11);
    f64 worst = 0;
    for (int i = 0; i < 400000; i++) {
        f64 x = rng_unit(&rng) * (i % 2 ? 1 : 990);
        f64 got = half_power(x);
        long double want = exp2l(-(long double)x);
        f64 unit = ldexp(1, ilogb((f64)want) - 52);
        f64 error = (f64)(fabsl((long double)got - want) / (long double)unit);
        if (error > worst) worst = error;
    }
    if (worst > 1.1) fail_msg("worst error %.3f units", worst);
}

#define RECORD_GRID 0x639a6a327c1c6f57
#define RECORD_COUNTER 0x406df4a71f2a05f6

/* The bits on record: hash of half_power over a fixed grid and of decay over a fixed sequence. If
 * this fails, every digest of state in the world would change: that is a new fold version. */
static void bits_are_the_bits_on_record(void **state)
{
    (void)state;
    u64 mixed = 1469598103934665603u;
    for (int i = 0; i < 100000; i++) {
        f64 value = half_power((f64)i * 0x1.1p-9);
        u64 bits;
        memcpy(&bits, &value, sizeof bits);
        mixed = (mixed ^ bits) * 1099511628211u;
    }
    f64 counter = 0;
    for (i64 i = 1; i <= 100000; i++) counter = decay(counter, i * 7919 % 1000003, 86400000) + 1;
    u64 bits;
    memcpy(&bits, &counter, sizeof bits);
    if (mixed != RECORD_GRID || bits != RECORD_COUNTER) {
        fail_msg("grid 0x%" PRIx64 ", counter 0x%" PRIx64, mixed, bits);
    }
}

static void edges(void **state)
{
    (void)state;
    assert_true(half_power(0) == 1 && half_power(1) == 0.5 && half_power(999) == ldexp(1, -999));
    assert_true(half_power(1000) == 0 && half_power(1e300) == 0 && half_power((f64)INFINITY) == 0);
    assert_true(decay(8, 0, 5) == 8 && decay(8, -100, 5) == 8 && decay(8, 15, 5) == 1);
    assert_true(decay(-3, 5, 5) == -1.5);
    assert_true(decay(1, INT64_MAX, 1) == 0);
    f64 nearly = decay(1, INT64_MAX - 1, INT64_MAX);
    assert_true(nearly >= 0.5 && nearly <= 0.5000001);
}

static void never_grows_with_time(void **state)
{
    (void)state;
    f64 before = 1;
    for (i64 t = 0; t < 2000000; t += 13) {
        f64 now = decay(1, t, 86400);
        assert_true(now <= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_match_mpmath),
        cmocka_unit_test(half_power_is_within_1_1_units_in_the_last_place),
        cmocka_unit_test(bits_are_the_bits_on_record),
        cmocka_unit_test(edges),
        cmocka_unit_test(never_grows_with_time),
    };
    return cmocka_run_group_tests_name("math/decay", tests, NULL, NULL);
}
