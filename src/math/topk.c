/* SPDX-License-Identifier: Apache-2.0
 *
 * topk.c - a heap of the k best, the worst of them at the root.
 *
 * One pass over n candidates costs n comparisons and about k ln(n/k) sifts, and no memory but the
 * k. The order is total (score, then id), so any order of arrival ends in the same k. */
#include "math/math.h"

/* a comes after b in the answer. */
static bool is_worse(struct scored a, struct scored b)
{
    if (a.score < b.score || a.score > b.score) return a.score < b.score;
    return a.id > b.id;
}

static void sift_down(struct scored *at, isize n, isize i)
{
    struct scored moving = at[i];
    for (;;) {
        isize child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && is_worse(at[child + 1], at[child])) child++;
        if (!is_worse(at[child], moving)) break;
        at[i] = at[child];
        i = child;
    }
    at[i] = moving;
}

struct topk topk_new(arena *a, isize k)
{
    assert(k >= 1);
    return (struct topk){ .at = arena_new(a, struct scored, k), .k = k };
}

void topk_add_slow(struct topk *t, u32 id, f64 score)
{
    struct scored item = { score, id };
    if (score != score) return;
    if (t->n == t->k) {
        if (!is_worse(t->at[0], item)) return;
        t->at[0] = item;
        sift_down(t->at, t->n, 0);
        return;
    }
    isize i = t->n++;
    for (; i > 0 && is_worse(item, t->at[(i - 1) / 2]); i = (i - 1) / 2) t->at[i] = t->at[(i - 1) / 2];
    t->at[i] = item;
}

isize topk_finish(struct topk *t)
{
    for (isize n = t->n; n > 1; n--) {                  /* the worst goes last, again and again */
        struct scored worst = t->at[0];
        t->at[0] = t->at[n - 1];
        t->at[n - 1] = worst;
        sift_down(t->at, n - 1, 0);
    }
    return t->n;
}
