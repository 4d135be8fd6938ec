/* SPDX-License-Identifier: Apache-2.0
 *
 * folds.c - rows in a drawn order, and dealt to folds: what every judging of a model shares. */
#include "predict/inside.h"

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
