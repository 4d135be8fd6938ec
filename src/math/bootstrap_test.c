/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap_test.c - the interval of a mean against the normal's, and what a draw is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"

enum { ROWS = 400, RESAMPLES = 4000 };

struct sample { f64 at[ROWS]; isize asked; };

static void mean_and_total(const void *ctx, const u32 *times, f64 *out)
{
    const struct sample *s = ctx;
    f64 rows = 0;
    for (isize i = 0; i < ROWS; i++) {
        out[0] += times[i] * s->at[i] / ROWS;
        rows += times[i];
    }
    out[1] = rows;
}

/* A mean's error is normal at so many rows: its interval is the mean and 1.96 standard errors to
 * each side. With 4,000 draws a border is known to about a fortieth of the width. */
static void the_interval_of_a_mean_is_the_normals(void **state)
{
    (void)state;
    struct sample s;
    struct estimate e[2], again[2];
    struct rng rng = rng_seed(1);
    arena a = { 0 };
    f64 mean = 0, squares = 0;
    for (isize i = 0; i < ROWS; i++) {
        s.at[i] = 3 + rng_unit(&rng);
        mean += s.at[i] / ROWS;
    }
    for (isize i = 0; i < ROWS; i++) squares += (s.at[i] - mean) * (s.at[i] - mean);
    f64 error = sqrt(squares / ROWS / ROWS);
    bootstrap(mean_and_total, &s, ROWS, 7, RESAMPLES, 2, e, &a);
    assert_true(fabs(e[0].value - mean) < 1e-12);
    assert_true(fabs(e[0].low - (mean - 1.96 * error)) < 0.15 * error);
    assert_true(fabs(e[0].high - (mean + 1.96 * error)) < 0.15 * error);
    /* a draw has as many rows as the sample */
    assert_true(e[1].low >= ROWS && e[1].value <= ROWS && e[1].high <= ROWS);
    bootstrap(mean_and_total, &s, ROWS, 7, RESAMPLES, 2, again, &a);
    assert_memory_equal(e, again, sizeof e);            /* the seed is all the chance there is */
    arena_fini(&a);
}

static void an_estimate_is_the_middle_of_what_was_drawn(void **state)
{
    (void)state;
    f64 drawn[1001];
    for (int i = 0; i <= 1000; i++) drawn[i] = (i * 8) % 1001;
    struct estimate e = estimate_of(500, drawn, 1001);
    assert_true(fabs(e.value - 500) < 1e-12 && fabs(e.low - 25) < 1e-12 && fabs(e.high - 975) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_of_a_mean_is_the_normals),
        cmocka_unit_test(an_estimate_is_the_middle_of_what_was_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
