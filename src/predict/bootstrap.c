/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap.c - measures with intervals, and rows dealt to folds: what every judging of a model shares. */
#include <math.h>
#include <stdlib.h>

#include "predict/inside.h"

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

struct estimates bootstrap(measure *work, const void *ctx, isize n, const char *const *names, isize names_n, u64 seed, isize resamples,
                           arena *a)
{
    struct estimates e = { .n = names_n };
    struct rng rng = rng_seed(seed);
    u32 *times = arena_new(a, u32, n + 1);
    f64 *found = arena_new(a, f64, resamples * names_n), one[MEASURES_MAX] = { 0 };
    assert(names_n <= MEASURES_MAX);
    for (isize i = 0; i < n; i++) times[i] = 1;
    work(ctx, times, one);
    for (isize r = 0; r < resamples; r++) {
        f64 drawn[MEASURES_MAX] = { 0 };
        memset(times, 0, (size_t)n * sizeof *times);
        for (isize i = 0; i < n; i++) times[rng_below(&rng, (u32)n)]++;
        work(ctx, times, drawn);
        for (isize m = 0; m < names_n; m++) found[m * resamples + r] = drawn[m];
    }
    for (isize m = 0; m < names_n; m++) {
        f64 *at = found + m * resamples;
        qsort(at, (size_t)resamples, sizeof *at, ascending);
        e.at[m] = (struct estimate){ names[m], one[m], at[(isize)(.025 * (f64)(resamples - 1))],
                                     at[(isize)ceil(.975 * (f64)(resamples - 1))] };
    }
    return e;
}

void draw_order(u32 *at, isize n, struct rng *rng)
{
    for (isize i = 0; i < n; i++) at[i] = (u32)i;
    for (isize i = n - 1; i > 0; i--) {
        isize k = rng_below(rng, (u32)i + 1);
        u32 swap = at[i];
        at[i] = at[k];
        at[k] = swap;
    }
}

void deal_folds(const u8 *strata, isize n, isize folds, u64 seed, u8 *fold, arena *a)
{
    struct rng rng = rng_seed(seed);
    u32 *order = arena_new(a, u32, n + 1);
    isize dealt[4] = { 0 };
    draw_order(order, n, &rng);
    for (isize i = 0; i < n; i++) fold[order[i]] = (u8)(dealt[strata[order[i]]]++ % folds);
}
