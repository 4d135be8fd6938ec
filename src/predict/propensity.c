/* SPDX-License-Identifier: Apache-2.0
 *
 * propensity.c - the chance of a yes, from a row of a sheet, by one of two learners.
 *
 * The logistic one goes over the rows a few times in a drawn order, learning online as it would in the server. The trees are
 * XGBoost's, by its C interface: one thread, so that a run repeats. */
#include <xgboost/c_api.h>

#include "predict/predict.h"

enum { PASSES = 5, ROUNDS = 180 };

static void shuffle(u32 *at, isize n, struct rng *rng)
{
    for (isize i = n - 1; i > 0; i--) {
        isize k = rng_below(rng, (u32)i + 1);
        u32 swap = at[i];
        at[i] = at[k];
        at[k] = swap;
    }
}

static void run_logistic(const struct sheet *s, const bool *skip, const bool *label, const u32 *train, isize train_n, const u32 *test,
                         isize test_n, u64 seed, f64 *out)
{
    arena a = { 0 };
    struct rng rng = rng_seed(seed);
    struct encoder *e = encoder_new(s, skip, train, train_n, &a);
    struct feature *x = arena_new(&a, struct feature, encoder_width(e));
    u32 *order = arena_new(&a, u32, train_n + 1);
    struct ftrl *f = ftrl_new(encoder_dims(e));
    if (train_n) memcpy(order, train, (size_t)train_n * sizeof *order);
    for (int pass = 0; pass < PASSES; pass++) {
        shuffle(order, train_n, &rng);
        for (isize i = 0; i < train_n; i++) {
            isize n = encode_row(e, s, order[i], x);
            ftrl_learn(f, x, n, ftrl_predict(f, x, n), label[order[i]]);
        }
    }
    for (isize i = 0; i < test_n; i++) out[i] = ftrl_predict(f, x, encode_row(e, s, test[i], x));
    ftrl_free(f);
    arena_fini(&a);
}

/* ---- trees --------------------------------------------------------------------------------------------- */

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

static bool grow(BoosterHandle booster, DMatrixHandle train, u64 seed)
{
    static const char *const settings[][2] = {
        { "objective", "binary:logistic" }, { "tree_method", "hist" }, { "nthread", "1" }, { "verbosity", "0" }, { "eta", "0.05" },
        { "max_depth", "5" }, { "min_child_weight", "5" }, { "subsample", "0.8" }, { "colsample_bytree", "0.8" }, { "lambda", "2" },
    };
    char text[24];
    struct buf number = { 0 };
    buf_printf(&number, "%u", (u32)(seed & 0x7fffffff));
    memcpy(text, number.ptr, (size_t)number.len);
    text[number.len] = 0;
    buf_fini(&number);
    bool fine = XGBoosterSetParam(booster, "seed", text) == 0;
    for (isize i = 0; fine && i < countof(settings); i++) fine = XGBoosterSetParam(booster, settings[i][0], settings[i][1]) == 0;
    for (int round = 0; fine && round < ROUNDS; round++) fine = XGBoosterUpdateOneIter(booster, round, train) == 0;
    return fine;
}

static enum err run_trees(const struct sheet *s, const bool *skip, const bool *label, const u32 *train, isize train_n, const u32 *test,
                          isize test_n, u64 seed, f64 *out, struct diag *diag)
{
    static const f32 missing = __builtin_nanf("");
    arena a = { 0 };
    isize width;
    DMatrixHandle learn = NULL, ask = NULL;
    BoosterHandle booster = NULL;
    const f32 *said;
    bst_ulong said_n = 0;
    const f32 *x = dense(s, skip, train, train_n, &width, &a), *y = dense(s, skip, test, test_n, &width, &a);
    f32 *labels = arena_new(&a, f32, train_n + 1);
    for (isize i = 0; i < train_n; i++) labels[i] = label[train[i]] ? 1 : 0;
    bool fine = XGDMatrixCreateFromMat(x, (bst_ulong)train_n, (bst_ulong)width, missing, &learn) == 0
             && XGDMatrixSetFloatInfo(learn, "label", labels, (bst_ulong)train_n) == 0
             && XGDMatrixCreateFromMat(y, (bst_ulong)test_n, (bst_ulong)width, missing, &ask) == 0
             && XGBoosterCreate(&learn, 1, &booster) == 0 && grow(booster, learn, seed)
             && XGBoosterPredict(booster, ask, 0, 0, 0, &said_n, &said) == 0;
    for (isize i = 0; fine && i < (isize)said_n; i++) out[i] = (f64)said[i];
    str why = fine ? S("") : arena_str(&a, str_cut(str_of(XGBGetLastError()), '\n').head);
    if (booster) (void)XGBoosterFree(booster);
    if (learn) (void)XGDMatrixFree(learn);
    if (ask) (void)XGDMatrixFree(ask);
    enum err err = fine ? ERR_OK : diag_set(diag, ERR_REFUSED, "the trees could not be grown: %.*s", STR_FMT(why));
    arena_fini(&a);
    return err;
}

enum err propensity_run(u8 learner, const struct sheet *s, const bool *skip, const bool *label, const u32 *train, isize train_n,
                        const u32 *test, isize test_n, u64 seed, f64 *out, struct diag *diag)
{
    if (learner == PROPENSITY_TREES) return run_trees(s, skip, label, train, train_n, test, test_n, seed, out, diag);
    run_logistic(s, skip, label, train, train_n, test, test_n, seed, out);
    return ERR_OK;
}
