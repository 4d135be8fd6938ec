/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share. */
#ifndef PREDICT_INSIDE_H
#define PREDICT_INSIDE_H

#include "math/math.h"
#include "predict/predict.h"

/* The model of repeat buying that serving uses: the likelier of MBG and BG that did not run to an
 * edge, else NBD. `tried` gets what was fitted, NBD included, by model. */
MUST_USE enum err buying_choose(const struct purchases *at, isize n, arena *a, struct buying *out,
                                struct buying tried[BUYING_MODELS], struct diag *diag);

f64 log_loss_of(f64 chance, f64 actual);                /* calibrate.c */

/* ---- judging (folds.c) ----------------------------------------------------------------------- */

enum { MEASURES_MAX = 12 };
struct estimates { const char *const *names; struct estimate at[MEASURES_MAX]; isize n; };
void draw_order(u32 *at, isize n, struct rng *rng);     /* 0 .. n - 1 */
/* Rows to folds, as drawn, so that each has its share of each of the four strata. */
void deal_folds(const u8 *strata, isize n, isize folds, u64 seed, u8 *fold, arena *a);

/* The logistic learner of propensity_run, to be asked later; and learning and asking in one.
 * propensity_run's l2 is 1 and its cuts the most there are; where rows are few, more of the one
 * draws weights towards 0, and less of the other makes fewer of them. */
struct logistic_taste { f64 l2; int cuts; };
struct ftrl *logistic_learn(const struct encoder *e, const struct sheet *s, const bool *label,
                            const u32 *train, isize n, u64 seed, f64 l2);
void logistic_run(const struct sheet *s, const bool *skip, const bool *label, const u32 *train,
                  isize train_n, const u32 *test, isize test_n, u64 seed,
                  struct logistic_taste taste, f64 *out);

/* ---- gradient-boosted trees (trees.c) -------------------------------------------------------- */

/* `cells`: n rows of `width` numbers, NaN for what is not known; labels 0 or 1. Immutable once
 * grown; asking is for any thread. */
struct trees;
MUST_USE enum err trees_grow(const f32 *cells, const f32 *labels, isize n, isize width, u64 seed,
                             struct trees **out, struct diag *diag);
void trees_free(struct trees *t);
f64 trees_ask(const struct trees *t, const f32 *row);   /* 0..1 */
/* by column: what it added, in log-odds */
void trees_because(const struct trees *t, const f32 *row, f64 *moved);

/* ---- which learner of uplift (uplift.c) ------------------------------------------------------ */

enum uplift_learner { UPLIFT_TWO_MODEL, UPLIFT_RESPONSE };
const char *uplift_learner_name(u8 learner);            /* "two_model", "response" */
/* Each fold is scored by models of the others; with one fold, 0 is scored and 1 learnt from. */
struct uplift_question {
    const struct sheet *sheet;
    const bool *skip, *treated, *outcome;
    const u8 *fold;
    isize folds;
    u64 seed;
    isize resamples;
    struct logistic_taste taste;
};
/* rows: as scored, by learner; order: best first. sure: the interval of the difference of Qini
 * leaves 0 out. */
struct uplift_judgement {
    struct uplift_row *rows[2];
    u32 *order[2];
    isize n;
    struct estimates measures;
    u8 chosen;
    bool sure;
};
struct uplift_judgement uplift_judge(const struct uplift_question *q, arena *a);

#endif
