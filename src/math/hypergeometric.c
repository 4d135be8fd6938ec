/* SPDX-License-Identifier: Apache-2.0
 *
 * hypergeometric.c - Gauss's 2F1 on [0, 1), where models of repeat buying need it.
 *
 * The plain series, of whichever of the two forms joined by Euler's transformation F(a,b;c;z) =
 * (1-z)^(c-a-b) F(c-a,c-b;c;z) has the smaller c-a-b's growth at 1 (DLMF 15.2.1, 15.8.1). Boost has
 * a pFq of its own, but in 1.74 it is some hundred times slower and gives up sooner; fits call this
 * a million times. */
#include <math.h>

#include "math/math.h"

enum { TERMS_MAX = 3000 };

static f64 series(f64 a, f64 b, f64 c, f64 z)
{
    f64 term = 1, sum = 1;
    for (int n = 0; n < TERMS_MAX; n++) {
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z;
        f64 before = sum;
        sum += term;
        /* Terms may grow before they fall: it has settled once they fall and no longer count. */
        f64 ratio = fabs((a + n + 1) * (b + n + 1) / ((c + n + 1) * (n + 2)) * z);
        if (term == 0
            || (ratio < 1 && (sum == before || fabs(term) < 1e-17 * fabs(sum) * (1 - ratio))))
            return sum;
    }
    return NAN;
}

f64 hypergeometric_2f1(f64 a, f64 b, f64 c, f64 z)
{
    if (!(z >= 0 && z < 1) || !(c > 0)) return NAN;
    /* The transformed series has c-a-b's sign turned: the one that converges at 1 itself is the quick one. */
    bool euler = c - a - b < 0;
    return euler ? exp((c - a - b) * log1p(-z)) * series(c - a, c - b, c, z) : series(a, b, c, z);
}
