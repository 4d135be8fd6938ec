/* SPDX-License-Identifier: Apache-2.0
 *
 * hypergeometric_test.c - 2F1 against mpmath 1.3 at 40 digits, and against closed forms (DLMF 15.4).
 *
 * Tolerance: relative 1e-11, which is what the door promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/math.h"

static void near(f64 got, f64 want)
{
    if (!(fabs(got - want) <= 1e-11 * fabs(want))) fail_msg("got %.17g, not %.17g", got, want);
}

static void it_matches_mpmath(void **state)
{
    (void)state;
    static const struct { f64 a, b, c, z, want; } rows[] = {
        { 1, 1, 2, 0.5, 1.3862943611198906 },
        { 3.2426, 5.4259, 5.2188, 0.9, 2566.2063867257892 },
        { 1.3, 1.6062, 2.3, 0.05, 1.0475536770608596 },
        { 10.55, 1.6062, 11.55, 0.7, 5.3609987116134224 },
        { 40.2, -0.2, 43.1, 0.97, 0.61792005682359804 },
        { 0.5, 0.5, 1.5, 0.97, 1.4181475093525079 },
    };
    for (isize i = 0; i < countof(rows); i++)
        near(hypergeometric_2f1(rows[i].a, rows[i].b, rows[i].c, rows[i].z), rows[i].want);
}

static void it_agrees_with_closed_forms(void **state)
{
    (void)state;
    for (f64 z = .01; z < .99; z += .07) {
        near(hypergeometric_2f1(1, 1, 2, z), -log1p(-z) / z);
        near(hypergeometric_2f1(2.5, 3, 3, z), pow(1 - z, -2.5));
        near(hypergeometric_2f1(.5, .5, 1.5, z * z), asin(z) / z);
    }
    assert_true(hypergeometric_2f1(3, 4, 5, 0) == 1);
    assert_true(isnan(hypergeometric_2f1(1, 1, 2, 1)) && isnan(hypergeometric_2f1(1, 1, 2, -.1))
                && isnan(hypergeometric_2f1(1, 1, 0, .5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_matches_mpmath),
                                        cmocka_unit_test(it_agrees_with_closed_forms) };
    return cmocka_run_group_tests_name("math/hypergeometric", tests, NULL, NULL);
}
