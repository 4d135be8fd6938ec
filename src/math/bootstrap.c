/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap.c - how sure a measure of a sample is, when no formula says it.
 *
 * Rows are drawn from the sample as often as there are rows, a row put back each time, and all
 * measures taken of the draw; again and again. The middle 95 % of what came out is the interval
 * (percentile method: Efron 1979). A draw is handed over as how often each row counts, so that a
 * measure that needs the rows in some order sorts them once. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "math/math.h"

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

struct estimate estimate_of(f64 value, f64 *drawn, isize n)
{
    assert(n > 0);
    qsort(drawn, (size_t)n, sizeof *drawn, ascending);
    return (struct estimate){ value, drawn[(isize)(.025 * (f64)(n - 1))],
                              drawn[(isize)ceil(.975 * (f64)(n - 1))] };
}

void bootstrap(bootstrap_measure *measure, const void *ctx, isize rows, u64 seed, isize resamples,
               isize measures, struct estimate *out, arena *a)
{
    struct rng rng = rng_seed(seed);
    struct arena_mark mark = arena_mark(a);
    u32 *times = arena_new(a, u32, rows + 1);
    f64 *value = arena_new(a, f64, measures), *one = arena_new(a, f64, measures),
        *drawn = arena_new(a, f64, resamples * measures);
    for (isize i = 0; i < rows; i++) times[i] = 1;
    measure(ctx, times, value);
    for (isize r = 0; r < resamples; r++) {
        memset(times, 0, (size_t)rows * sizeof *times);
        memset(one, 0, (size_t)measures * sizeof *one);
        for (isize i = 0; i < rows; i++) times[rng_below(&rng, (u32)rows)]++;
        measure(ctx, times, one);
        for (isize m = 0; m < measures; m++) drawn[m * resamples + r] = one[m];
    }
    for (isize m = 0; m < measures; m++) out[m] = estimate_of(value[m], drawn + m * resamples, resamples);
    arena_reset(a, mark);
}
