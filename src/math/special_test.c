/* SPDX-License-Identifier: Apache-2.0
 *
 * special_test.c - the distributions against mpmath 1.3 at 50 digits.
 *
 * Tolerance: relative 1e-13 (quantiles 1e-13 too), which is what the door promises; subnormal
 * results 1e-6, because a subnormal has that many digits or fewer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/math.h"

static void near(f64 got, f64 want, f64 tolerance)
{
    f64 scale = want != 0 ? fabs(want) : 1;
    if (!(fabs(got - want) <= tolerance * scale)) {
        fail_msg("got %.17g, want %.17g, relative error %.3g", got, want, fabs(got - want) / scale);
    }
}
#define TIGHT 1e-13

static void normal_tails_match_mpmath(void **state)
{
    (void)state;
    static const struct { f64 z, cdf, sf; } rows[] = {
        { 0, 0.5, 0.5 },
        { 0.5, 6.914624612740131e-1, 3.085375387259869e-1 },
        { -1.959963984540054, 2.5000000000000011e-2, 9.7499999999999999e-1 },
        { -8.5, 9.4795348222033184e-18, 1 },
        { 3.25, 9.9942297495760923e-1, 5.7702504239076704e-4 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        near(normal_cdf(rows[i].z), rows[i].cdf, TIGHT);
        near(normal_sf(rows[i].z), rows[i].sf, TIGHT);
        near(normal_sf(-rows[i].z), rows[i].cdf, TIGHT);
    }
    near(normal_cdf(-38), 2.8854283600687843e-316, 1e-6);
    near(normal_pdf(0), 0.3989422804014327, TIGHT);
}

static void normal_quantile_matches_mpmath(void **state)
{
    (void)state;
    static const struct { f64 p, z; } rows[] = {
        { 0.975, 1.9599639845400539 }, { 0.5, 0 }, { 1e-10, -6.3613409024040562 },
        { 1e-300, -3.7047096299361199e+1 }, { 0.2, -8.4162123357291417e-1 }, { 0.999, 3.0902323061678133 },
    };
    for (isize i = 0; i < countof(rows); i++) near(normal_quantile(rows[i].p), rows[i].z, TIGHT);
}

static void chi_square_tail_matches_mpmath(void **state)
{
    (void)state;
    static const struct { f64 x, df, sf; } rows[] = {
        { 3.841458820694124, 1, 5.0000000000000057e-2 }, { 5, 2, 8.2084998623898795e-2 },
        { 22.774, 1, 1.8221425580850137e-6 }, { 40, 1, 2.539628589470865e-10 },
        { 700, 3, 2.0991308534204088e-151 }, { 0, 4, 1 }, { 120.5, 100, 7.9668603325415824e-2 },
    };
    for (isize i = 0; i < countof(rows); i++) near(chi_square_sf(rows[i].x, rows[i].df), rows[i].sf, TIGHT);
}

static void student_tail_matches_mpmath(void **state)
{
    (void)state;
    static const struct { f64 t, df, sf; } rows[] = {
        { 2.0, 5, 5.0969739414929178e-2 }, { -1.5, 3.7, 8.9320091539899323e-1 },
        { 1.867, 5841.742, 3.0975819745725739e-2 }, { 0, 1, 0.5 }, { 30, 10, 1.9808961710156621e-11 },
        { 12.5, 1, 2.5410673666115896e-2 }, { 1000.0, 2, 4.9999925000125e-7 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        near(student_t_sf(rows[i].t, rows[i].df), rows[i].sf, TIGHT);
        near(student_t_cdf(-rows[i].t, rows[i].df), rows[i].sf, TIGHT);
    }
    /* At ten million degrees of freedom the argument of the beta is rounded: 1e-11. */
    near(student_t_sf(4.5, 1e7), 3.3977113360255018e-6, 1e-11);
    near(student_t_sf(1.25, (f64)INFINITY), normal_sf(1.25), TIGHT);
}

static void student_quantile_matches_mpmath(void **state)
{
    (void)state;
    static const struct { f64 p, df, t; } rows[] = {
        { 0.975, 10, 2.2281388519862742 }, { 0.975, 5841.742, 1.9603701569567128 },
        { 0.9999, 2.5, 3.4867969321116311e+1 }, { 0.3, 4, -5.6864906304970548e-1 },
        { 1e-08, 20, -8.9428832599350371 },
    };
    for (isize i = 0; i < countof(rows); i++)
        near(student_t_quantile(rows[i].p, rows[i].df), rows[i].t, 1e-12);
}

static void gamma_and_beta_match_mpmath(void **state)
{
    (void)state;
    near(gamma_log(0.5), 5.7236494292470009e-1, TIGHT);
    near(gamma_log(1e-5), 1.1512919692895826e+1, TIGHT);
    near(gamma_log(3), 6.9314718055994531e-1, TIGHT);
    near(gamma_log(171.5), 7.0914316303092824e+2, TIGHT);
    near(gamma_log(1e6), 1.2815504569147612e+7, TIGHT);
    near(gamma_log(-0.5), 1.2655121234846454, TIGHT);
    static const struct { f64 a, x, lower, upper; } gammas[] = {
        { 0.5, 0.2, 4.7291074313446193e-1, 5.2708925686553807e-1 },
        { 3, 2.5, 4.5618688411667048e-1, 5.4381311588332952e-1 },
        { 100, 90, 1.5822098918643017e-1, 8.4177901081356983e-1 },
        { 1e4, 10200.0, 9.767126778664012e-1, 2.3287322133598804e-2 },
        { 2, 1e-08, 4.999999966666667e-17, 1 },
    };
    for (isize i = 0; i < countof(gammas); i++) {
        near(gamma_regularised_lower(gammas[i].a, gammas[i].x), gammas[i].lower, 1e-12);
        near(gamma_regularised_upper(gammas[i].a, gammas[i].x), gammas[i].upper, 1e-12);
    }
    static const struct { f64 a, b, x, value; } betas[] = {
        { 2, 3, 0.4, 0.5248 }, { 50, 52, 0.5, 5.7880895074612799e-1 },
        { 0.5, 0.5, 0.1, 2.0483276469913346e-1 }, { 1e3, 2e3, 0.31, 3.066591993426546e-3 },
        { 300.25, 0.75, 0.9999, 9.225397421568146e-1 },
    };
    for (isize i = 0; i < countof(betas); i++) {
        near(beta_regularised(betas[i].a, betas[i].b, betas[i].x), betas[i].value, 1e-12);
    }
    static const struct { f64 a, b, value; } logs[] = {
        { 2, 3, -2.4849066497880003 }, { 1e6, 1e6, -1.3863000033629211e+6 },
        { 0.5, 1e8, -8.6379754278014826 }, { 25, 1e12, -6.3599079850040139e+2 },
        { 31, 31, -4.3422574590184574e+1 }, { 1e-3, 4, 6.9059226258172821 },
    };
    for (isize i = 0; i < countof(logs); i++) {
        near(beta_log(logs[i].a, logs[i].b), logs[i].value, 1e-12);
        near(beta_log(logs[i].b, logs[i].a), logs[i].value, 1e-12);
    }
}

static void outside_the_domain_is_nan_and_at_the_edge_a_limit(void **state)
{
    (void)state;
    f64 inf = (f64)INFINITY, none = (f64)NAN;
    assert_true(isnan(normal_cdf(none)) && isnan(normal_quantile(1.5)) && isnan(normal_quantile(none)));
    assert_true(isnan(student_t_sf(1, 0)) && isnan(student_t_sf(none, 3))
                && isnan(student_t_quantile(0.5, -1)));
    assert_true(isnan(chi_square_sf(1, 0)) && isnan(chi_square_sf(none, 1)));
    assert_true(isnan(gamma_regularised_upper(-1, 1)) && isnan(beta_regularised(1, 0, 0.5)));
    assert_true(isnan(beta_regularised(1, 1, 1.5)) && isnan(gamma_log(none)) && isnan(beta_log(0, 1)));
    assert_true(normal_quantile(0) == -inf && normal_quantile(1) == inf);
    assert_true(normal_cdf(inf) == 1 && normal_cdf(-inf) == 0 && normal_sf(inf) == 0);
    assert_true(student_t_sf(inf, 3) == 0 && student_t_cdf(inf, 3) == 1 && student_t_sf(-inf, 3) == 1);
    assert_true(student_t_quantile(0, 3) == -inf && student_t_quantile(1, 3) == inf);
    assert_true(chi_square_sf(inf, 3) == 0 && chi_square_sf(-1, 3) == 1);
    assert_true(beta_regularised(2, 2, 0) == 0 && beta_regularised(2, 2, 1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_tails_match_mpmath),
        cmocka_unit_test(normal_quantile_matches_mpmath),
        cmocka_unit_test(chi_square_tail_matches_mpmath),
        cmocka_unit_test(student_tail_matches_mpmath),
        cmocka_unit_test(student_quantile_matches_mpmath),
        cmocka_unit_test(gamma_and_beta_match_mpmath),
        cmocka_unit_test(outside_the_domain_is_nan_and_at_the_edge_a_limit),
    };
    return cmocka_run_group_tests_name("math/special", tests, NULL, NULL);
}
