/* SPDX-License-Identifier: Apache-2.0
 *
 * predict.h - what a person will do next: order again, spend, stay away, buy in this visit.
 *
 * Models of repeat buying (BG/NBD and kin) and of spend are fitted to all buyers; intent is a
 * logistic model that learns online from visits; propensity and uplift learn from tables. Each
 * model has a card: version, date, what it learnt from and a calibration chart on data it had not
 * seen. Where there is too little to learn from it says how much is needed.
 *
 *   reads    base/, math/, event/, profile/; ingest/ (evaluation reads its files by it)
 *   feeds    decide/ (intent), fold/ (applies logged scores, trains), api/, command/
 *   threads  pure functions of their arguments; a published intent model is immutable, readable
 *            inside rcu brackets
 *   memory   the caller's arena; models that are published own theirs
 */
#ifndef PREDICT_PREDICT_H
#define PREDICT_PREDICT_H

#include "base/arena.h"
#include "base/json.h"
#include "profile/profile.h"

/* ---- what stands in the log (entry.c) -------------------------------------------------------- */

/* One person's scores, or with person 0 the card of the models (its version in scores.version). */
struct prediction { person_id person; struct scores scores; str card; };
void prediction_encode(const struct prediction *prediction, struct buf *out);
MUST_USE enum err prediction_decode(str bytes, arena *a, struct prediction *out);

enum score_reason_code {
#define REASON(id, name, words) REASON_CODE_##id,
#include "predict/reason.def"
#undef REASON
    REASON_CODES
};
const char *score_reason_name(u8 code);                 /* "overdue" */
/* "silent for 3.2 times the usual gap between orders"; money is in the scores' currency, 0: not said. */
str score_reason_text(arena *a, struct score_reason reason, currency in);

/* ---- repeat buying (buying.c) ---------------------------------------------------------------- */

/* One buyer, in any unit of time, the same throughout: repeats is the number of orders after the
 * first (those of one day are one), last how long after the first the latest came (0 without
 * repeats), seen how long after the first the observation ends. */
struct purchases { i32 repeats; f64 last, seen; };

enum buying_model { BUYING_BG, BUYING_MBG, BUYING_PARETO, BUYING_NBD, BUYING_MODELS };
const char *buying_name(u8 model);                      /* "bg_nbd", "mbg_nbd", "pareto_nbd", "nbd" */
/* Parameters: BG and MBG r, alpha, a, b; Pareto r, alpha, s, beta; NBD r, alpha. `edge` names the
 * parameter that ran to where the model means something else than it says ("nobody ever leaves"),
 * null: none did. */
struct buying { u8 model; f64 param[4]; f64 log_likelihood; isize people; const char *edge; };
enum { BUYING_PEOPLE_MIN = 50, BUYING_REPEATERS_MIN = 20 };
/* By maximum likelihood. ERR_REFUSED with the number needed in diag when there are fewer than
 * BUYING_PEOPLE_MIN buyers or BUYING_REPEATERS_MIN who ordered again. */
MUST_USE enum err buying_fit(u8 model, const struct purchases *at, isize n, arena *a,
                             struct buying *out, struct diag *diag);
f64 buying_log_likelihood(u8 model, const f64 param[4], const struct purchases *at, isize n);
/* the chance of still being a customer */
f64 buying_alive(const struct buying *b, const struct purchases *p);
/* orders in the next `ahead` */
f64 buying_expected(const struct buying *b, const struct purchases *p, f64 ahead);
/* the chance of no order in it; Pareto to 1e-6 */
f64 buying_none(const struct buying *b, const struct purchases *p, f64 ahead);
/* When the chance of an order reaches a half; below 0: never within `most`. */
f64 buying_next(const struct buying *b, const struct purchases *p, f64 most);

/* What an order is worth: Gamma-Gamma over the mean of a buyer's orders (Fader and Hardie 2013).
 * `mean` > 0 is over `orders` of them. */
struct spending { f64 mean; i32 orders; };
struct spend { f64 p, q, v, log_likelihood; isize people; };
MUST_USE enum err spend_fit(const struct spending *at, isize n, struct spend *out, struct diag *diag);
f64 spend_log_likelihood(f64 p, f64 q, f64 v, const struct spending *at, isize n);
/* of one order; orders 0: what is known of nobody */
f64 spend_expected(const struct spend *s, struct spending of);

/* ---- how good is a chance (calibrate.c) ------------------------------------------------------ */

enum { CALIBRATION_BINS = 10 };
/* Of forecasts in order, cut into tenths of equal count: their mean, what came of them (a share, or
 * a mean), how many. */
struct calibration {
    struct bin {
        f64 predicted, observed, low, high;
        isize n;
    } bins[CALIBRATION_BINS];
    isize bins_n;
};
/* actual: 0 or 1 for a chance, an amount for an amount */
struct forecast { f64 predicted, actual; };
/* Sorts `at` by what was predicted. Intervals are 95 %: Wilson's for shares, of the normal mean for
 * amounts. */
struct calibration calibrate(struct forecast *at, isize n, bool amounts);
struct goodness { f64 auc, average_precision, log_loss, brier, base_brier, base_log_loss, rate; isize n; };
/* base_: of always saying the rate. Sorts `at`. Ties in the AUC count a half. */
struct goodness goodness(struct forecast *at, isize n);
/* [{"predicted","observed","low","high","n"}, …] */
void calibration_print(const struct calibration *c, struct jsonw *w);

/* ---- logistic, online (ftrl.c) --------------------------------------------------------------- */

/* FTRL-Proximal (McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm
 * 1), one weight a coordinate. */
struct feature { u32 at; f32 value; };
struct ftrl { f64 alpha, beta, l1, l2; isize dims; f64 *z, *n; };
struct ftrl *ftrl_new(isize dims);                      /* owns itself; alpha .1, beta 1, l1 0, l2 1 */
void ftrl_free(struct ftrl *f);
f64 ftrl_predict(const struct ftrl *f, const struct feature *x, isize n);   /* 0..1 */
/* chance: what ftrl_predict said */
void ftrl_learn(struct ftrl *f, const struct feature *x, isize n, f64 chance, bool label);
f64 ftrl_weight(const struct ftrl *f, u32 at);

/* ---- intent: will this visit end in an order (intent.c) -------------------------------------- */

struct intent_model;
enum { INTENT_VISITS_MIN = 500, INTENT_ORDERS_MIN = 30 };
struct intent_trainer;
struct intent_trainer *intent_trainer_new(i64 session_gap_ms);
/* The finished visits of one person. Any order of persons; those of one person oldest first. */
void intent_train(struct intent_trainer *t, const struct history_entry *history, isize n, i64 now_ms);
/* Learns in the order visits ended, saying its forecast before it sees the outcome; frees the
 * trainer. Null model with `card` when there were fewer than INTENT_VISITS_MIN visits or
 * INTENT_ORDERS_MIN of them with an order. */
/* goodness and calibration are of the model that was chosen; `trees` when they were tried. */
struct intent_card {
    isize visits, orders;
    const char *model;              /* "ftrl_logistic", "boosted_trees" */
    struct goodness goodness, logistic, trees;
    struct calibration calibration;
    i64 from_ms, to_ms;
    bool trees_tried;
};
struct intent_model *intent_learn(struct intent_trainer *t, struct intent_card *card);
void intent_free(struct intent_model *m);
/* The same by a person, as profile_world asks it: model may be null. */
f64 intent_of_person(const void *model, const struct profile *p, i64 now_ms);
/* The chance that the visit under way at now_ms ends in an order; below 0: no model, or no visit
 * under way. */
f64 intent_of(const struct intent_model *m, const struct history_entry *history, isize n, i64 now_ms);
/* What moved it most, strongest first, at most `max`; names like "added to cart". */
struct intent_reason { const char *name; f64 weight; };
isize intent_reasons(const struct intent_model *m, const struct history_entry *history, isize n, i64 now_ms,
                     struct intent_reason *out, isize max);

/* ---- a run over all buyers (scores.c) -------------------------------------------------------- */

enum { SCORE_HORIZON_DAYS = 90 };
/* What is known of one buyer: his orders oldest first, in whole days since 1970, and their values
 * in the shop's currency. */
struct buyer { person_id person; isize first, n; };     /* into buyers.orders */
struct buyer_order { i32 day; f64 value; };
struct buyers {
    struct { struct buyer *at; isize n, cap; } all;
    struct { struct buyer_order *at; isize n, cap; } orders;
    currency currency;              /* the one most orders are in; others are left out of money */
    i32 today;
};
void buyers_fini(struct buyers *b);
/* Adds a person by his history; who never ordered is not added. */
void buyers_add(struct buyers *b, const struct profile *p, currency in, i64 now_ms);

struct models;                      /* fitted: repeat buying, spend, the fifths, calibration */
/* ERR_REFUSED when there is not enough, with what is needed in diag. Fits on at most 50,000 buyers. */
MUST_USE enum err models_fit(const struct buyers *b, i64 now_ms, struct models **out, struct diag *diag);
void models_free(struct models *m);
/* Which scores it has, and what they are for this buyer. `version` and at_ms are left to the caller. */
struct scores models_score(const struct models *m, const struct buyers *b, const struct buyer *of);
/* {"models": {…}} : for the log and GET /v1/predictions. */
void models_card(const struct models *m, u32 version, i64 at_ms, struct jsonw *w);
/* Whether the second says something else than the first by more than is worth a line in the log. */
bool scores_differ(const struct scores *a, const struct scores *b);

/* ---- sheets, propensity and uplift (sheet.c, propensity.c, uplift.c) ------------------------- */

/* A CSV or TSV with a header, gzipped or not. A column in which every value is a number is numeric,
 * else categorical. */
/* categorical: kinds from 0; yes: the one that says so, or the last */
struct column { str name; bool numeric; f64 *values; u32 kinds, yes; };
/* first: how many rows are the first file's */
struct sheet { struct column *columns; isize columns_n, rows, first; };
/* `more` may be null: a second file with the same columns, whose rows follow. */
MUST_USE enum err sheet_read(const char *path, const char *more, arena *a, struct sheet *out,
                             struct diag *diag);
isize sheet_column(const struct sheet *t, str name);    /* -1: none */

/* Features from columns: a number by its place among so many equal parts of what was learnt from,
 * and by its size; a kind by itself. */
enum { ENCODER_CUTS_MAX = 20 };
struct encoder;
struct encoder *encoder_new(const struct sheet *t, const bool *skip, const u32 *rows, isize n,
                            int cuts, arena *a);
isize encoder_dims(const struct encoder *e);
isize encoder_width(const struct encoder *e);           /* the most features a row has */
/* of the sheet; -1: feature 0, which is always there */
isize encoder_column(const struct encoder *e, u32 feature);
isize encode_row(const struct encoder *e, const struct sheet *t, isize row, struct feature *out);

enum propensity { PROPENSITY_LOGISTIC, PROPENSITY_TREES };
/* Learns on rows `train`, says chances for rows `test`. The trees are XGBoost's; the seed is for
 * the order of learning. */
MUST_USE enum err propensity_run(u8 learner, const struct sheet *t, const bool *skip,
                                 const bool *label, const u32 *train, isize train_n,
                                 const u32 *test, isize test_n, u64 seed, f64 *out,
                                 struct diag *diag);

/* Qini: the area between the curve of extra outcomes, people taken best first, and that of taking
 * them at random, over the number of people (Radcliffe 2007). */
struct uplift_row { f64 score; bool treated, outcome; };
/* order: rows by score, best first; times: how often each row counts (a bootstrap's draw), null: once. */
f64 qini(const struct uplift_row *at, isize n, const u32 *order, const u32 *times);
/* effect among the best share */
f64 uplift_at(const struct uplift_row *at, isize n, const u32 *order, const u32 *times, f64 share);

/* ---- uplift of a campaign, in serving (lift.c) ----------------------------------------------- */

/* What is known of a person before treatment; NaN: not known. */
enum {
    LIFT_ORDERS,
    LIFT_SINCE_ORDER,
    LIFT_ORDER_VALUE,
    LIFT_EVENTS_30,
    LIFT_VIEWS_30,
    LIFT_ADDED_30,
    LIFT_SINCE_FIRST,
    LIFT_SINCE_LAST,
    LIFT_AGE,
    LIFT_GENDER,
    LIFT_DEVICE,
    LIFT_CHANNEL,
    LIFT_KNOWN,
    LIFT_COLUMNS
};
struct lift_row { bool treated, outcome; f32 x[LIFT_COLUMNS]; };
struct lift_rows { struct lift_row *at; isize n, cap; };
enum { LIFT_PEOPLE_MIN = 500, LIFT_OUTCOMES_MIN = 50, LIFT_ROWS_MAX = 100000 };
/* `then`: as they stood at at_ms (profile_then). */
void lift_features(const struct profile *then, i64 at_ms, f32 x[LIFT_COLUMNS]);

struct lift;                        /* fitted: the chosen learner, its scale, its charts */
struct lift_counts { isize treated, control, treated_outcomes, control_outcomes; };
/* ERR_REFUSED when either arm has too few, with the numbers needed in diag. `counts` always. */
MUST_USE enum err lift_fit(const struct lift_rows *rows, struct lift **out,
                           struct lift_counts *counts, struct diag *diag);
void lift_free(struct lift *m);
/* By how much treatment raises the chance of the outcome, -1 to 1, and why; `campaign` is left to
 * the caller. */
struct uplift_score lift_score(const struct lift *m, const f32 x[LIFT_COLUMNS]);
/* {"score", …}: for the log and GET /v1/predictions. */
void lift_card(const struct lift *m, str score, str title, u32 version, i64 at_ms, struct jsonw *w);
void lift_counts_print(const struct lift_counts *c, struct jsonw *w);       /* "learnt_from": {…} */

/* ---- offline evaluation (evaluate.c) --------------------------------------------------------- */

struct predict_evaluation {
    const char *train, *test;       /* test null: held out of train, by folds or by time */
    bool json;
    u64 seed; isize resamples;      /* 0: 1 and 1,000 */
    isize folds;                    /* 0: 5 */
    str label, treatment, outcome, algorithm, skip;     /* columns; skip: names apart by commas */
    /* clv: calibrate to this day, hold out to that; empty: the first two thirds */
    str until, end;
};
MUST_USE enum err evaluate_clv(const struct predict_evaluation *options, struct buf *out, struct diag *diag);
MUST_USE enum err evaluate_propensity(const struct predict_evaluation *options, struct buf *out,
                                      struct diag *diag);
MUST_USE enum err evaluate_uplift(const struct predict_evaluation *options, struct buf *out,
                                  struct diag *diag);

#endif
