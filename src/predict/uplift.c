/* SPDX-License-Identifier: Apache-2.0
 *
 * uplift.c - how much of what happens was caused, among the people taken first.
 *
 * Of the first k by score, with t treated and c not, extra outcomes are hits_t - hits_c * t / c (Radcliffe 2007): what was had
 * with treatment less what as many would have given without. Qini is the mean height of that curve over the straight line to its
 * end, in outcomes a treated person. */
#include "predict/predict.h"

struct taken { f64 treated, others, hits, other_hits; };

static void take_some(struct taken *t, const struct uplift_row *row, u32 times)
{
    if (row->treated) { t->treated += times; t->hits += row->outcome ? times : 0; }
    else { t->others += times; t->other_hits += row->outcome ? times : 0; }
}

static f64 extra(const struct taken *t) { return t->hits - (t->others > 0 ? t->other_hits * t->treated / t->others : 0); }

f64 qini(const struct uplift_row *at, isize n, const u32 *order, const u32 *times)
{
    struct taken t = { 0 };
    f64 area = 0, taken = 0;
    for (isize i = 0; i < n; i++) {
        u32 here = times ? times[order[i]] : 1;
        f64 before = extra(&t);
        take_some(&t, &at[order[i]], here);
        area += here * (before + extra(&t)) / 2;
        taken += here;
    }
    if (taken == 0 || t.treated == 0) return 0;
    return (area / taken - extra(&t) / 2) / t.treated;
}

f64 uplift_at(const struct uplift_row *at, isize n, const u32 *order, const u32 *times, f64 share)
{
    struct taken t = { 0 };
    f64 most = 0, taken = 0;
    for (isize i = 0; i < n; i++) most += times ? times[i] : 1;
    for (isize i = 0; i < n && taken < most * share; i++) {
        u32 here = times ? times[order[i]] : 1;
        take_some(&t, &at[order[i]], here);
        taken += here;
    }
    return t.treated > 0 && t.others > 0 ? t.hits / t.treated - t.other_hits / t.others : 0;
}
