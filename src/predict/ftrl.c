/* SPDX-License-Identifier: Apache-2.0
 *
 * ftrl.c - logistic regression that learns one example at a time: FTRL-Proximal with a rate of its
 * own for each coordinate (McMahan et al., KDD 2013, algorithm 1). A weight is worked out from two
 * sums when it is needed, so what was never met weighs nothing and costs nothing. */
#include <math.h>

#include "predict/predict.h"

struct ftrl *ftrl_new(isize dims)
{
    struct ftrl *f = mem_new((isize)sizeof *f + 2 * dims * (isize)sizeof(f64));
    *f = (struct ftrl){ .alpha = .1, .beta = 1, .l1 = 0, .l2 = 1, .dims = dims, .z = (f64 *)(f + 1) };
    f->n = f->z + dims;
    return f;
}

void ftrl_free(struct ftrl *f) { mem_free(f); }

f64 ftrl_weight(const struct ftrl *f, u32 at)
{
    assert((isize)at < f->dims);
    f64 z = f->z[at];
    if (fabs(z) <= f->l1) return 0;
    return -(z - copysign(f->l1, z)) / ((f->beta + sqrt(f->n[at])) / f->alpha + f->l2);
}

f64 ftrl_predict(const struct ftrl *f, const struct feature *x, isize n)
{
    f64 sum = 0;
    for (isize i = 0; i < n; i++) sum += ftrl_weight(f, x[i].at) * (f64)x[i].value;
    return 1 / (1 + exp(-fmax(-35, fmin(35, sum))));
}

void ftrl_learn(struct ftrl *f, const struct feature *x, isize n, f64 chance, bool label)
{
    for (isize i = 0; i < n; i++) {
        f64 slope = (chance - (label ? 1 : 0)) * (f64)x[i].value, *seen = &f->n[x[i].at];
        f64 step = (sqrt(*seen + slope * slope) - sqrt(*seen)) / f->alpha;
        f->z[x[i].at] += slope - step * ftrl_weight(f, x[i].at);
        *seen += slope * slope;
    }
}
