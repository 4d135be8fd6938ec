/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate.c - how good chances and amounts are, on people that were not learnt from. */
#include <math.h>
#include <stdlib.h>

#include "predict/inside.h"

static int by_predicted(const void *left, const void *right)
{
    f64 a = ((const struct forecast *)left)->predicted, b = ((const struct forecast *)right)->predicted;
    return (a > b) - (a < b);
}

#define Z 1.959963984540054

/* Wilson 1927. */
static void share_interval(struct bin *b)
{
    f64 n = (f64)b->n, mid = b->observed + Z * Z / (2 * n),
        half = Z * sqrt(b->observed * (1 - b->observed) / n + Z * Z / (4 * n * n));
    b->low = fmax(0, (mid - half) / (1 + Z * Z / n));
    b->high = fmin(1, (mid + half) / (1 + Z * Z / n));
}

static struct bin bin_of(const struct forecast *at, isize n, bool amounts)
{
    struct bin b = { .n = n };
    f64 squares = 0;
    for (isize i = 0; i < n; i++) {
        b.predicted += at[i].predicted / (f64)n;
        b.observed += at[i].actual / (f64)n;
    }
    for (isize i = 0; i < n; i++) squares += (at[i].actual - b.observed) * (at[i].actual - b.observed);
    if (amounts) {
        f64 half = n > 1 ? Z * sqrt(squares / (f64)(n - 1) / (f64)n) : 0;
        b.low = b.observed - half;
        b.high = b.observed + half;
    } else {
        share_interval(&b);
    }
    return b;
}

struct calibration calibrate(struct forecast *at, isize n, bool amounts)
{
    struct calibration c = { 0 };
    if (n) qsort(at, (size_t)n, sizeof *at, by_predicted);
    for (isize i = 0; i < CALIBRATION_BINS; i++) {
        isize from = n * i / CALIBRATION_BINS, to = n * (i + 1) / CALIBRATION_BINS;
        if (to > from) c.bins[c.bins_n++] = bin_of(at + from, to - from, amounts);
    }
    return c;
}

void calibration_print(const struct calibration *c, struct jsonw *w)
{
    jsonw_begin(w, '[');
    for (isize i = 0; i < c->bins_n; i++) {
        const struct bin *b = &c->bins[i];
        jsonw_begin(w, '{');
        jsonw_key_num(w, "predicted", b->predicted);
        jsonw_key_num(w, "observed", b->observed);
        jsonw_key_num(w, "low", b->low);
        jsonw_key_num(w, "high", b->high);
        jsonw_key_int(w, "n", b->n);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

f64 log_loss_of(f64 chance, f64 actual)
{
    f64 p = fmin(fmax(chance, 1e-15), 1 - 1e-15);
    return -(actual * log(p) + (1 - actual) * log1p(-p));
}

struct goodness goodness(struct forecast *at, isize n)
{
    struct goodness g = { .n = n };
    f64 hits = 0;
    if (n == 0) return g;
    qsort(at, (size_t)n, sizeof *at, by_predicted);
    for (isize i = 0; i < n; i++) {
        hits += at[i].actual;
        g.log_loss += log_loss_of(at[i].predicted, at[i].actual) / (f64)n;
        g.brier += (at[i].predicted - at[i].actual) * (at[i].predicted - at[i].actual) / (f64)n;
    }
    g.rate = hits / (f64)n;
    g.base_brier = g.rate * (1 - g.rate);
    g.base_log_loss = hits > 0 && g.rate < 1
                          ? g.rate * log_loss_of(g.rate, 1) + (1 - g.rate) * log_loss_of(g.rate, 0)
                          : 0;
    /* From the highest down, ties together: pairs won for the AUC, precision at each hit for the
     * average precision. */
    f64 won = 0, above = 0, misses = (f64)n - hits;
    for (isize to = n, from; to > 0; to = from) {
        f64 here = 0;
        for (from = to; from > 0 && at[from - 1].predicted == at[to - 1].predicted; from--)
            here += at[from - 1].actual;
        f64 missed = (f64)(to - from) - here, seen_misses = (f64)(n - to) - above;
        won += here * (misses - seen_misses - missed / 2);
        above += here;
        g.average_precision += here * above / (f64)(n - from);
    }
    g.auc = hits > 0 && misses > 0 ? won / hits / misses : .5;
    if (hits > 0) g.average_precision /= hits;
    return g;
}
