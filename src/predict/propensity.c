/* SPDX-License-Identifier: Apache-2.0
 *
 * propensity.c - the chance of a yes, from a row of a sheet, by one of two learners.
 *
 * The logistic one goes over the rows a few times in a drawn order, learning online as it would in
 * the server. The trees are in trees.c. */
#include "predict/inside.h"

enum { PASSES = 5 };

static void shuffle(u32 *at, isize n, struct rng *rng)
{
    for (isize i = n - 1; i > 0; i--) {
        isize k = rng_below(rng, (u32)i + 1);
        u32 swap = at[i];
        at[i] = at[k];
        at[k] = swap;
    }
}

struct ftrl *logistic_learn(const struct encoder *e, const struct sheet *s, const bool *label,
                            const u32 *train, isize n, u64 seed, f64 l2)
{
    arena a = { 0 };
    struct rng rng = rng_seed(seed);
    struct feature *x = arena_new(&a, struct feature, encoder_width(e));
    u32 *order = arena_new(&a, u32, n + 1);
    struct ftrl *f = ftrl_new(encoder_dims(e));
    f->l2 = l2;
    if (n) memcpy(order, train, (size_t)n * sizeof *order);
    for (int pass = 0; pass < PASSES; pass++) {
        shuffle(order, n, &rng);
        for (isize i = 0; i < n; i++) {
            isize width = encode_row(e, s, order[i], x);
            ftrl_learn(f, x, width, ftrl_predict(f, x, width), label[order[i]]);
        }
    }
    arena_fini(&a);
    return f;
}

void logistic_run(const struct sheet *s, const bool *skip, const bool *label, const u32 *train,
                  isize train_n, const u32 *test, isize test_n, u64 seed,
                  struct logistic_taste taste, f64 *out)
{
    arena a = { 0 };
    struct encoder *e = encoder_new(s, skip, train, train_n, taste.cuts, &a);
    struct feature *x = arena_new(&a, struct feature, encoder_width(e));
    struct ftrl *f = logistic_learn(e, s, label, train, train_n, seed, taste.l2);
    for (isize i = 0; i < test_n; i++) out[i] = ftrl_predict(f, x, encode_row(e, s, test[i], x));
    ftrl_free(f);
    arena_fini(&a);
}

/* ---- trees ----------------------------------------------------------------------------------- */

/* Numbers as they are; a kind as a column of its own, 0 or 1. */
static f32 *dense(const struct sheet *s, const bool *skip, const u32 *rows, isize n, isize *width, arena *a)
{
    *width = 0;
    for (isize i = 0; i < s->columns_n; i++)
        if (!skip[i]) *width += s->columns[i].numeric ? 1 : (isize)s->columns[i].kinds;
    f32 *cells = arena_new(a, f32, n * *width + 1);
    for (isize k = 0; k < n; k++) {
        f32 *at = cells + k * *width;
        for (isize i = 0; i < s->columns_n; i++) {
            const struct column *c = &s->columns[i];
            if (skip[i]) continue;
            if (c->numeric) { *at++ = (f32)c->values[rows[k]]; continue; }
            at[(isize)c->values[rows[k]]] = 1;
            at += c->kinds;
        }
    }
    return cells;
}

static enum err run_trees(const struct sheet *s, const bool *skip, const bool *label,
                          const u32 *train, isize train_n, const u32 *test, isize test_n, u64 seed,
                          f64 *out, struct diag *diag)
{
    arena a = { 0 };
    isize width;
    struct trees *t = NULL;
    const f32 *x = dense(s, skip, train, train_n, &width, &a), *y = dense(s, skip, test, test_n, &width, &a);
    f32 *labels = arena_new(&a, f32, train_n + 1);
    for (isize i = 0; i < train_n; i++) labels[i] = label[train[i]] ? 1 : 0;
    enum err err = trees_grow(x, labels, train_n, width, seed, &t, diag);
    for (isize i = 0; !err && i < test_n; i++) out[i] = trees_ask(t, y + i * width);
    trees_free(t);
    arena_fini(&a);
    return err;
}

enum err propensity_run(u8 learner, const struct sheet *s, const bool *skip, const bool *label,
                        const u32 *train, isize train_n, const u32 *test, isize test_n, u64 seed,
                        f64 *out, struct diag *diag)
{
    if (learner == PROPENSITY_TREES)
        return run_trees(s, skip, label, train, train_n, test, test_n, seed, out, diag);
    logistic_run(s, skip, label, train, train_n, test, test_n, seed,
                 (struct logistic_taste){ 1, ENCODER_CUTS_MAX }, out);
    return ERR_OK;
}
