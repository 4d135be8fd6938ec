/* SPDX-License-Identifier: Apache-2.0
 *
 * quantile.c - a quantile and how sure it is, from values in order.
 *
 * Sums do not hold a quantile; an ordered list does, and a list of (value, how many) as well. The
 * standard error is the half width between two order statistics, over z: no density has to be
 * estimated (Yao, Li, Lu, arXiv 2401.14549, algorithm 1; Deng, Knoblich, Lu, KDD 2018).
 */
#include <math.h>
#include <stdlib.h>

#include "math/math.h"
#include "measure/stats.h"

static int by_value(const void *x, const void *y)
{
    const struct stats_counted *a = x, *b = y;
    return a->value < b->value ? -1 : a->value > b->value;
}

void stats_counted_sort(struct stats_counted *at, isize n)
{
    if (n) qsort(at, (size_t)n, sizeof *at, by_value);
}

/* The value of rank k of n, counted from 1. */
static f64 at_rank(const struct stats_counted *at, isize n, f64 k)
{
    f64 below = 0;
    for (isize i = 0; i < n; i++) {
        below += at[i].people;
        if (below >= k) return at[i].value;
    }
    return n ? at[n - 1].value : (f64)NAN;
}

f64 stats_value_at(const struct stats_counted *at, isize n, f64 nu)
{
    f64 all = 0;
    for (isize i = 0; i < n; i++) all += at[i].people;
    return at_rank(at, n, fmax(1, ceil(all * nu)));
}

enum stats_problem stats_quantile(const struct stats_counted *at, isize n, f64 nu, struct stats_sums *out)
{
    f64 all = 0;
    for (isize i = 0; i < n; i++) all += at[i].people;
    *out = (struct stats_sums){ .n = all, .quantile = stats_value_at(at, n, nu) };
    f64 z = -normal_quantile(0.025), half = z * sqrt(nu * (1 - nu) / all);
    if (!(all > z * z * fmax(nu / (1 - nu), (1 - nu) / nu))) return STATS_TOO_FEW;
    f64 low = at_rank(at, n, fmax(1, floor(all * (nu - half)))),
        high = at_rank(at, n, fmin(all, ceil(all * (nu + half)) + 1));
    if (!(high > low)) return STATS_BOUNDS_COLLAPSED;
    out->quantile_se = (high - low) / (2 * z);
    return STATS_FINE;
}
