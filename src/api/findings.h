/* SPDX-License-Identifier: Apache-2.0
 *
 * findings.h - a campaign's results from people themselves: every metric, by epoch and segment;
 * between the files of this room. */
#ifndef API_FINDINGS_H
#define API_FINDINGS_H

#include "api/inside.h"
#include "measure/measure.h"

enum { FINDINGS_METRICS_MAX = 64 };
struct findings {
    u32 campaign;
    str key;
    struct census *census;
    /* copies */
    const struct metric *metrics[FINDINGS_METRICS_MAX]; u8 tiers[FINDINGS_METRICS_MAX]; isize metrics_n;
    str segments[CENSUS_SEGMENTS_MAX]; segment_id segment_ids[CENSUS_SEGMENTS_MAX]; isize segments_n;
    struct census_epoch *epochs[EXPERIENCES_MAX]; isize epochs_n[EXPERIENCES_MAX];
    isize controls[CENSUS_ARMS_MAX];
    str arm_keys[CENSUS_ARMS_MAX], experience_keys[CENSUS_ARMS_MAX];
    struct judging judging;
    struct judged *rows; isize rows_n;
    struct look_plan looks;             /* n 0: judged at any time */
    /* of the primary metric's rows */
    struct planned { isize row; struct held_look held[LOOKS_MAX]; isize held_n; } *planned; isize planned_n;
    f64 srm_p, srm_sequential; isize srm_n;             /* the worst of the experiences, paid for being it */
    f64 mde;
    currency currency;                  /* that money is added up in: the shop's */
    bool self_check;                    /* an A/A test: whatever is significant is a fault */
};
/* From a job: counts and judges campaign call->params[0]; false after call_fail. findings_free()
 * after printing. */
bool findings_of(struct call *call, struct findings *out);
void findings_free(struct findings *w);
/* Into an open object: "comparisons", "waiting", "metrics", "epochs", "segments",
 * "series_intervals". On any thread. */
void findings_print(struct call *call, const struct findings *w);
/* One metric (call->params[0]) over the programme and every published campaign. A job. */
void findings_metric(struct call *call);
/* One line a comparison, the same numbers. */
void findings_csv(const struct findings *w, struct buf *out);

#endif
