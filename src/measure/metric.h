/* SPDX-License-Identifier: Apache-2.0
 *
 * metric.h - what is counted of a person, over whom it is added up, and what that says. Part of the
 * door measure/measure.h.
 *
 *     metrics_build        definitions of kind "metric", and the core ones  -> struct metrics
 *     census_*              people with their exposures                      -> sums by arm, stratum and metric
 *     judge                sums                                             -> comparisons that may be watched
 *
 * A person counts once, by their first exposure to the campaign: from then until the metric's
 * window is over. Who was shown two variations is left out. Money is added up in the shop's
 * currency, others by the table in settings ("rates"); what has no rate is counted and said. A
 * stratum is a time of constant shares.
 */
#ifndef MEASURE_METRIC_H
#define MEASURE_METRIC_H

#include "decide/decide.h"
#include "measure/stats.h"

enum {
    METRICS_MAX_OWN = 200,
    CENSUS_ARMS_MAX = 256,
    CENSUS_STRATA_MAX = 64,
    CENSUS_SEGMENTS_MAX = 20,
    CENSUS_SLICES_MAX = 1000
};

/* ---- definitions ----------------------------------------------------------------------------- */
enum part_of {
    PART_NONE,
    PART_ANY,
    PART_COUNT,
    PART_VALUE,
    PART_QUANTITY,
    PART_CLICKED,
    PART_WITHOUT,
    PART_RULE
};
/* What one person adds: events of a type in the window (any: 0 or 1; value: money), a click, events
 * of one type without one of another (a cart without an order), or a rule at the window's end. */
struct metric_part { u8 of; u16 type, without; const struct rule *rule; };
struct metric {
    str key, title, text;               /* text: its definition in words */
    enum stats_kind kind;
    struct metric_part top, bottom;     /* bottom: of ratios */
    bool down, money;                   /* down: less is better */
    f64 quantile, winsorise;            /* 0: not */
    i64 window_ms, before_ms;           /* window 0: the shop's; before: of CUPED's covariate, 0: none */
};
struct metrics { const struct metric *at; isize n; arena arena; };
/* {"kind": "metric", "key", "title", "type": "proportion|mean|ratio|quantile", "numerator": {"event", "of": "any|count|value|quantity",
 *  "without"?}, "denominator"?, "rule"?, "direction": "up|down", "quantile"?, "winsorise"?, "window": "7 days", "cuped": "14 days"}
 * The core metrics come first; a definition of the same key replaces one. ERR_REFUSED with reasons. */
MUST_USE enum err metrics_build(const struct definitions *definitions,
                                const struct definition_candidate *candidate,
                                const struct rule_names *names, struct metrics **out,
                                struct definition_errors *errors);
void metrics_free(struct metrics *metrics);
const struct metric *metric_find(const struct metrics *metrics, str key);

/* One document by itself, in `a`; ERR_REFUSED with reasons. */
MUST_USE enum err metric_read(arena *a, str key, const struct json *doc,
                              const struct rule_names *names, struct metric *out,
                              struct definition_errors *errors);
/* What one person adds to it between two instants, whatever they were shown; of a rule whether it
 * held at the second. A click belongs to a campaign: of clicks nothing. *unconverted counts money
 * without a rate. */
struct metric_world {
    const struct settings *settings;
    const struct catalog *catalog;
    const struct segment_set *set;
};
struct metric_share { f64 top, bottom; };
struct metric_share metric_share(const struct metric *m, const struct metric_world *world,
                                 const struct profile *p, i64 from_ms, i64 to_ms, i64 *unconverted);

/* ---- census ---------------------------------------------------------------------------------- */
struct census_epoch { i64 at_ms; i32 shares[EXPERIENCE_VARIATIONS_MAX]; };
struct census_ask {
    u32 campaign;                       /* 0: the programme */
    const struct metric *const *metrics; isize metrics_n;      /* the first is the one a series is made of */
    const struct census_epoch *epochs[EXPERIENCES_MAX]; isize epochs_n[EXPERIENCES_MAX];
    const segment_id *segments; isize segments_n;               /* as people stood at their first exposure */
    const struct segment_set *set;
    const struct catalog *catalog;
    const struct settings *settings;
    i64 window_ms, now_ms;
};
struct census;
/* First everybody is counted by epoch; then census_settle joins neighbouring epochs until each has
 * a hundred people in every arm there is; then everybody is summed. All strings and lists of `ask`
 * stay. */
struct census *census_new(const struct census_ask *ask);
void census_free(struct census *t);
void census_count(struct census *t, const struct profile *p);
void census_settle(struct census *t);
void census_sum(struct census *t, const struct profile *p);
void census_finish(struct census *t);

/* lately: first exposed in the last seven days */
struct census_arm { u8 experience, variation; i64 people, lately; };
isize census_arms(const struct census *t, const struct census_arm **out);  /* by experience, variation */
isize census_strata(const struct census *t, u8 experience);
/* group 0: everybody; 1 ..: the segments in their order. `strata` of them. */
const struct stats_sums *census_sums(const struct census *t, isize arm, isize group, isize metric);
i64 census_unconverted(const struct census *t);           /* events of money without a rate */
struct stats_srm census_srm(const struct census *t, u8 experience, const struct experience *x);
/* Everybody's sums of the first metric as they stood at the end of a day: strata of them. days:
 * ascending day numbers. */
isize census_days(const struct census *t, u8 experience, const i32 **days);
void census_until(const struct census *t, isize arm, i32 day, struct stats_sums *out);

/* ---- judging --------------------------------------------------------------------------------- */
enum tier { TIER_PRIMARY, TIER_GUARDRAIL, TIER_SECONDARY, TIER_SEGMENT };
struct judged {
    isize metric, arm, control, group;
    u8 tier;
    struct stats_effect effect, lift;
    struct stats_interval absolute, relative, absolute_adjusted, relative_adjusted;
    f64 p_adjusted, least_lift, people_per_arm, days;   /* NaN where there is none */
    struct stats_belief belief;                         /* of the lift, else of the effect */
    bool significant, cuped;
};
struct judging {
    const struct census *census;
    const struct metric *const *metrics; isize metrics_n;
    const u8 *tiers;                    /* of each metric */
    const isize *controls;              /* of each arm: its control's index, itself for a control */
    isize segments_n;
    enum stats_correction correction;
    f64 alpha, tuning_n, power, mde;    /* mde: of a lift; 0: none asked */
};
enum { PEOPLE_LEAST_TO_JUDGE = 100 };
/* Every arm against its control, for every metric; in segments the primary ones alone. Corrected
 * within each tier. */
isize judge(const struct judging *j, arena *a, struct judged **out);
struct stats_interval judge_day(const struct judging *j, const struct judged *row, i32 day, f64 *lift);
/* The effect as it stood at the end of a day; of the first metric, for everybody. */
struct stats_effect judge_until(const struct judging *j, const struct judged *row, i32 day, bool relative);

/* ---- looks by plan (looks.c) ----------------------------------------------------------------- */
enum { LOOKS_MAX = 20 };
/* people: of all arms, at the last of n looks */
struct look_plan { f64 people; isize n; enum stats_spending spending; f64 alpha; };
struct held_look {
    isize number; i32 day; f64 people;
    /* of the people planned; effect / se; |z| that stops; alpha spent by now */
    f64 information, z, bound, spent;
    f64 estimate, lift;
    struct stats_interval absolute, relative;           /* repeated intervals: valid at every look */
    bool stops;
};
/* The looks that were held on days before `today`, which is not over; the last one is the first that stops, and there are at most
 * plan->n of them. The primary metric's row, no quantile. */
isize judge_looks(const struct judging *j, const struct judged *row, const struct look_plan *plan,
                  i32 today, struct held_look *out);
/* Bounds of the looks that are still to come, if they are held when they are due: plan->n less the
 * last look's number. */
void look_bounds(const struct look_plan *plan, const struct held_look *held, isize n, f64 *bounds);

#endif
