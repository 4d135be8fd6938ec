/* SPDX-License-Identifier: Apache-2.0
 *
 * judge.c - sums become what may be said aloud, at any time and many at once.
 *
 * Every comparison is always valid by itself (stats_sequential, epochs as strata). Many of them at
 * once are corrected within their tier: the metric a test was made for is not paid for by the many
 * that are watched; guardrails share one correction, secondary metrics one, and everything in
 * segments one, because whoever cuts into twenty segments finds something.
 */
#include <math.h>

#include "measure/metric.h"

static struct stats_settings settings_of(const struct judging *j, const struct metric *m, bool relative)
{
    return (struct stats_settings){
        .kind = m->kind, .relative = relative, .alpha = j->alpha, .tuning_n = j->tuning_n
    };
}

/* A stratum weighs by the people of all arms of the experience in it. */
static void weigh(const struct judging *j, u8 experience, isize group, isize metric, isize strata,
                  f64 *weights)
{
    const struct census_arm *arms;
    isize n = census_arms(j->census, &arms);
    f64 all = 0;
    for (isize s = 0; s < strata; s++) weights[s] = 0;
    for (isize i = 0; i < n; i++)
        for (isize s = 0; s < strata && arms[i].experience == experience; s++)
            weights[s] += census_sums(j->census, i, group, metric)[s].n;
    for (isize s = 0; s < strata; s++) all += weights[s];
    for (isize s = 0; s < strata; s++) weights[s] = all > 0 ? weights[s] / all : 1 / (f64)strata;
}

static f64 theta_of(const struct judging *j, u8 experience, isize group, isize metric, isize strata)
{
    const struct census_arm *arms;
    struct stats_arm at[CENSUS_ARMS_MAX];
    isize n = census_arms(j->census, &arms), m = 0;
    if (j->metrics[metric]->before_ms == 0) return 0;
    for (isize i = 0; i < n; i++)
        if (arms[i].experience == experience)
            at[m++] = (struct stats_arm){ census_sums(j->census, i, group, metric), strata };
    return stats_theta(j->metrics[metric]->kind, at, m);
}

static f64 people_of(const struct stats_sums *sums, isize strata)
{
    f64 n = 0;
    for (isize s = 0; s < strata; s++) n += sums[s].n;
    return n;
}

static void compare(const struct judging *j, struct judged *row)
{
    const struct census_arm *arms;
    (void)census_arms(j->census, &arms);
    const struct metric *m = j->metrics[row->metric];
    u8 experience = arms[row->arm].experience;
    isize strata = m->kind == STATS_QUANTILE ? 1 : census_strata(j->census, experience);
    f64 weights[CENSUS_STRATA_MAX], theta = theta_of(j, experience, row->group, row->metric, strata);
    weigh(j, experience, row->group, row->metric, strata, weights);
    const struct stats_sums *a = census_sums(j->census, row->control, row->group, row->metric),
                            *b = census_sums(j->census, row->arm, row->group, row->metric);
    struct stats_settings s = settings_of(j, m, false), r = settings_of(j, m, true);
    row->effect = stats_effect(&s, (struct stats_arm){ a, strata }, (struct stats_arm){ b, strata },
                               weights, theta);
    row->lift = stats_effect(&r, (struct stats_arm){ a, strata }, (struct stats_arm){ b, strata },
                             weights, theta);
    row->absolute = stats_sequential(&s, &row->effect);
    row->relative = stats_sequential(&r, &row->lift);
    row->cuped = theta > 0 || theta < 0;
    row->least_lift = row->people_per_arm = row->days = (f64)NAN;
    row->belief = row->lift.problem ? stats_bayes(&s, &row->effect) : stats_bayes(&r, &row->lift);
    bool enough = fmin(people_of(a, strata), people_of(b, strata)) >= PEOPLE_LEAST_TO_JUDGE;
    row->significant = enough;                          /* and more, once corrected */
    if (row->lift.problem) return;
    /* What could be seen with the people there are: the bound of a watched interval, and the power
     * asked for. */
    f64 rho = stats_sequential_rho(j->alpha, j->tuning_n, STATS_TWO_SIDED);
    row->least_lift =
        (stats_mixture_bound(row->lift.n, rho, j->alpha, false) + normal_quantile(j->power))
        * row->lift.se;
    if (!(j->mde > 0)) return;
    row->people_per_arm = stats_sequential_size(&r, j->mde, row->lift.unit_variance, j->power);
    f64 pace = (f64)(arms[row->arm].lately + arms[row->control].lately) / 7;
    f64 left = fmax(0, 2 * row->people_per_arm - row->lift.n);
    row->days = left > 0 ? pace > 0 ? left / pace : (f64)INFINITY : 0;
}

static void correct(const struct judging *j, struct judged *rows, isize n, u8 tier, arena *a)
{
    f64 *p = arena_new(a, f64, n + 1);
    for (isize i = 0; i < n; i++)
        p[i] = rows[i].tier == tier && !rows[i].effect.problem ? rows[i].absolute.p : (f64)NAN;
    stats_correct(p, n, j->correction, a);
    for (isize i = 0; i < n; i++) {
        struct judged *row = &rows[i];
        if (row->tier != tier) continue;
        row->p_adjusted = p[i];
        row->absolute_adjusted = row->absolute;
        row->relative_adjusted = row->relative;
        row->significant &= !row->effect.problem && p[i] <= j->alpha;
        if (row->effect.problem || !(p[i] > row->absolute.p)) continue;
        struct stats_settings s = settings_of(j, j->metrics[row->metric], false);
        s.tuning_alpha = s.alpha;
        s.alpha = fmax(s.alpha * row->absolute.p / p[i], 1e-300);
        row->absolute_adjusted = stats_sequential(&s, &row->effect);
        s.relative = true;
        row->relative_adjusted = stats_sequential(&s, &row->lift);
    }
}

isize judge(const struct judging *j, arena *a, struct judged **out)
{
    const struct census_arm *arms;
    isize arms_n = census_arms(j->census, &arms), n = 0;
    struct judged *rows = arena_new(a, struct judged, arms_n * j->metrics_n * (1 + j->segments_n) + 1);
    for (isize g = 0; g <= j->segments_n; g++)
        for (isize m = 0; m < j->metrics_n; m++)
            for (isize k = 0; k < arms_n; k++) {
                if (j->controls[k] == k || j->controls[k] < 0
                    || (g > 0 && j->tiers[m] == TIER_SECONDARY))
                    continue;
                rows[n] = (struct judged){ .metric = m, .arm = k, .control = j->controls[k], .group = g,
                                           .tier = g ? TIER_SEGMENT : j->tiers[m] };
                compare(j, &rows[n++]);
            }
    for (u8 tier = 0; tier <= TIER_SEGMENT; tier++) correct(j, rows, n, tier, a);
    *out = rows;
    return n;
}

struct stats_effect judge_until(const struct judging *j, const struct judged *row, i32 day, bool relative)
{
    struct stats_sums a[CENSUS_STRATA_MAX], b[CENSUS_STRATA_MAX];
    const struct census_arm *arms;
    f64 weights[CENSUS_STRATA_MAX], all = 0;
    (void)census_arms(j->census, &arms);
    isize strata = census_strata(j->census, arms[row->arm].experience);
    census_until(j->census, row->control, day, a);
    census_until(j->census, row->arm, day, b);
    for (isize s = 0; s < strata; s++) all += a[s].n + b[s].n;
    for (isize s = 0; s < strata; s++) weights[s] = all > 0 ? (a[s].n + b[s].n) / all : 0;
    struct stats_settings s = settings_of(j, j->metrics[row->metric], relative);
    return stats_effect(&s, (struct stats_arm){ a, strata }, (struct stats_arm){ b, strata }, weights, 0);
}

struct stats_interval judge_day(const struct judging *j, const struct judged *row, i32 day, f64 *lift)
{
    struct stats_settings r = settings_of(j, j->metrics[row->metric], true);
    struct stats_effect e = judge_until(j, row, day, true);
    *lift = e.effect;
    return stats_sequential(&r, &e);
}
