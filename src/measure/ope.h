/* SPDX-License-Identifier: Apache-2.0
 *
 * ope.h - off-policy evaluation: what another policy would have earned, from what this one did.
 * Part of the door measure/measure.h.
 *
 * A logged choice counts w = target's probability / logged probability times. That is right on
 * average as long as nothing the target does was impossible before, and it is worth no more than
 * the effective sample size says: one person with a weight of a thousand is one person.
 */
#ifndef MEASURE_OPE_H
#define MEASURE_OPE_H

#include "base/json.h"

struct ope_row {
    u32 action;
    f64 propensity;                     /* of this action when it was chosen: 0 < p <= 1 */
    f64 target;                         /* of this action under the policy asked about */
    f64 reward;
    f64 model, model_target;            /* reward expected of this action, and of the target's choice */
};

struct ope_value { f64 value, se, low, high; };         /* low, high: normal, at 1 - alpha */
enum ope_alarm {
    OPE_FEW = 1,                        /* effective sample size below 100 */
    OPE_UNLIKE = 2,                     /* ... below a tenth of the rows: the policies hardly meet */
    OPE_HEAVY = 4,                      /* one row carries more than a tenth of all weight */
    /* mean weight not 1 within three standard errors: propensities are not what was done */
    OPE_SHIFTED = 8,
    /* fewer than ten rewarded rows carry weight: a normal interval says too much */
    OPE_UNREWARDED = 16,
};
enum { OPE_ALARMS = 5 };
const char *ope_alarm_text(enum ope_alarm alarm);

struct ope {
    isize n, rewarded;                  /* rows; rows with a reward and a weight */
    struct ope_value logged;            /* what the policy of the log earned */
    struct ope_value ips, ips_clipped, snips, snips_clipped, dm, dr, dr_clipped;
    struct ope_value gain;              /* DR less logged, row by row: what the change would bring */
    f64 mean_weight, mean_weight_se, max_weight, ess, clip;
    u32 alarms;
};
/* IPS = mean w r; SNIPS = sum w r / sum w (Swaminathan, Joachims 2015); DM = mean of model_target; DR
 * = DM + mean w (r - model) (Dudik, Erhan, Langford, Li 2014); clipped: w at most `clip` (> 0), biased
 * towards nothing and far less nervous. Intervals: the sample variance of each mean's terms; SNIPS by
 * the delta method; DM has none: its error is the model's own. ESS = (sum w)^2 / sum w^2. */
struct ope ope_evaluate(const struct ope_row *rows, isize n, f64 clip, f64 alpha);

/* ---- `opmaat evaluate ope` ------------------------------------------------------------------- */
/* A CSV (or TSV) file with a header, plain or gzipped. Columns are found by name: action or item_id;
 * propensity, propensity_score or pscore; reward or click; or as the options say. */
struct ope_options {
    const char *test, *train;           /* train: what the reward model learns from; null: test */
    str action, propensity, reward;     /* column names; empty: by the usual names */
    /* "uniform", "always:ACTION", "column:NAME"; empty: uniform over the actions seen */
    str policy;
    f64 clip, alpha;                    /* 0: 10, 0.05 */
    bool json;
};
MUST_USE enum err ope_run(const struct ope_options *options, struct buf *out, struct diag *diag);
/* "metrics", "weights", "alarms" into the open object */
void ope_print(const struct ope *ope, struct jsonw *w);

#endif
