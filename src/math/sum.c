/* SPDX-License-Identifier: Apache-2.0
 *
 * sum.c - sums that do not lose what they are given.
 *
 * Revenue over a million orders in plain doubles loses its cents. Neumaier's variant of Kahan's
 * sum keeps what each addition rounded away in a second number; unlike Kahan's it is right also
 * when a term is larger than the total so far. */
#include "math/math.h"

#include <math.h>

enum { PAIRWISE_LEAF = 64 };                            /* plain below: the loop vectorises nowhere else */

void sum_add(struct sum *s, f64 x)
{
    f64 total = s->total + x;
    if (fabs(s->total) >= fabs(x)) {
        s->lost += (s->total - total) + x;
    } else {
        s->lost += (x - total) + s->total;
    }
    s->total = total;
}

/* Sums of 64, then a binary counter of partial sums: the tree of halves without recursion. Level i
 * holds the sum of 2^i leaves when bit i of the number of leaves is set. */
f64 sum_pairwise(const f64 *at, isize n)
{
    f64 levels[64] = { 0 };
    u64 leaves = 0;
    for (isize from = 0; from < n; from += PAIRWISE_LEAF) {
        isize to = min_isize(from + PAIRWISE_LEAF, n);
        f64 leaf = 0;
        for (isize i = from; i < to; i++) leaf += at[i];
        int level = 0;
        for (; leaves >> level & 1; level++) leaf += levels[level];
        levels[level] = leaf;
        leaves++;
    }
    f64 total = 0;
    for (int level = 0; level < 64; level++) {
        if (leaves >> level & 1) total += levels[level];
    }
    return total;
}
