/* SPDX-License-Identifier: Apache-2.0
 *
 * results.h - from the fold's cells to arms and comparisons; between the files of this room.
 *
 * The three metrics are defined here once:
 *   order_rate           people who ordered inside the exposure window / people exposed
 *   click_rate           people who clicked / people exposed
 *   revenue_per_person   revenue inside the window / people exposed, in minor units of one currency */
#ifndef API_RESULTS_H
#define API_RESULTS_H

#include "fold/fold.h"
#include "measure/measure.h"

/* below so many an arm nothing is called significant (stats.h) */
enum { RESULT_ARMS_MAX = 256, RESULT_PEOPLE_MIN = 100 };
#define RESULT_ALPHA 0.05
#define RESULT_TUNING_N 5000.0
#define RESULT_SRM_ALARM 0.001

struct result_arm {
    u8 experience, variation;
    i64 exposed, clicked, clicks, buyers, orders, revenue_minor;
    f64 revenue_sq;
    /* orders' people whose money is of another currency: counted, their revenue not */
    i64 other_currency;
};
/* One campaign's cells summed over days, by experience and variation. */
isize results_arms(const struct cell *cells, isize n, u32 campaign, currency in, arena *a,
                   struct result_arm **out);
/* The currency most people of these cells paid in; `otherwise` when none did. */
currency results_currency(const struct cell *cells, isize n, u32 campaign, currency otherwise);

enum cell_metric { METRIC_ORDER_RATE, METRIC_CLICK_RATE, METRIC_REVENUE, METRICS };
const char *metric_name(int metric);
f64 metric_value(const struct result_arm *arm, int metric);    /* 0 when nobody was exposed */

/* estimate, low, high in the metric's unit; relative of the control's value. */
struct comparison {
    enum stats_problem problem;
    f64 estimate, relative, low, high, relative_low, relative_high, p;
    bool significant;
};
struct comparison results_compare(int metric, const struct result_arm *control,
                                  const struct result_arm *variation);

/* people[i] against shares[i]. p: chi-square; the alarm is by the sequential p, which may be looked
 * at any day. */
struct stats_srm results_srm(const struct result_arm *const *arms, const i32 *shares, isize n);

/* What has results: a campaign of that key, or a flag, whose rules stand for experiences (flags.c).
 * Null: neither. */
const struct definition *results_definition(const struct fold *fold, str key);
/* null: archived */
const struct campaign *results_compiled(const struct book *book, const struct definition *def, arena *a);

#endif
