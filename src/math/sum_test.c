/* SPDX-License-Identifier: Apache-2.0
 *
 * sum_test.c - sums against exact integer arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"

/* 1 + 1e100 + 1 - 1e100 is 2; a plain or a Kahan sum says 0. */
static void compensation_survives_a_term_larger_than_the_total(void **state)
{
    (void)state;
    static const f64 terms[] = { 1, 1e100, 1, -1e100 };
    struct sum s = { 0 };
    for (isize i = 0; i < countof(terms); i++) sum_add(&s, terms[i]);
    assert_true(sum_value(s) == 2);
}

/* A million prices in cents, exact as integers. Compensated: half a unit in the last place of the
 * true sum. Pairwise: 1e-14 relative (64 + log2(n/64) roundings of 1.1e-16). */
static void a_million_prices_add_up(void **state)
{
    (void)state;
    enum { N = 1000003 };
    struct rng rng = rng_seed(5);
    f64 *at = mem_new(N * (isize)sizeof *at);
    struct sum s = { 0 };
    i64 cents = 0;
    for (isize i = 0; i < N; i++) {
        i64 price = (i64)rng_below(&rng, 5000000);
        cents += price;
        at[i] = (f64)price / 100;
        sum_add(&s, at[i]);
    }
    f64 want = (f64)cents / 100;
    assert_true(fabs(sum_value(s) - want) <= want * 0x1p-52);
    assert_true(fabs(sum_pairwise(at, N) - want) <= want * 1e-14);
    mem_free(at);
}

static void pairwise_takes_every_length(void **state)
{
    (void)state;
    f64 at[700];
    for (int i = 0; i < 700; i++) at[i] = i + 1;
    for (isize n = 0; n <= 700; n++) assert_true(sum_pairwise(at, n) == (f64)(n * (n + 1) / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compensation_survives_a_term_larger_than_the_total),
        cmocka_unit_test(a_million_prices_add_up),
        cmocka_unit_test(pairwise_takes_every_length),
    };
    return cmocka_run_group_tests_name("math/sum", tests, NULL, NULL);
}
