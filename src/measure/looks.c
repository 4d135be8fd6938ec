/* SPDX-License-Identifier: Apache-2.0
 *
 * looks.c - a test that is judged at looks agreed on beforehand, from what people did.
 *
 * The plan is a number of people in all arms together and how many looks there are; look k is due
 * when so many people have come as k of the n equal parts make, and it is held at the end of the
 * day on which that is so. Days are the grain of what is kept (census_until), so that every look
 * can be worked out again at any time from the people, and nobody has to have been there to look.
 * When a day passes several looks at once the last of them is held and the others are not: what
 * they would have spent is left to it. The information at a look is its people over those planned;
 * over the plan it is 1, and the looks before are held against what there was (stats.h).
 *
 * With several variations each is tried at its part of alpha (Bonferroni): bounds of one variation
 * know nothing of the others. */
#include <math.h>

#include "measure/metric.h"

static f64 people_until(const struct judging *j, u8 experience, i32 day)
{
    struct stats_sums at[CENSUS_STRATA_MAX];
    const struct census_arm *arms;
    isize n = census_arms(j->census, &arms);
    f64 people = 0;
    for (isize i = 0; i < n; i++) {
        if (arms[i].experience != experience) continue;
        census_until(j->census, i, day, at);
        for (isize s = 0; s < census_strata(j->census, experience); s++) people += at[s].n;
    }
    return people;
}

static void hold(const struct judging *j, const struct judged *row, const struct look_plan *plan,
                 struct held_look *looks, isize n)
{
    f64 information[LOOKS_MAX], bounds[LOOKS_MAX];
    struct held_look *now = &looks[n - 1];
    f64 whole = fmax(plan->people, now->people);
    for (isize i = 0; i < n; i++) information[i] = looks[i].people / whole;
    const struct stats_looks all = { information, n, plan->spending, 0, false };
    stats_bounds(&all, plan->alpha, bounds);
    now->information = information[n - 1];
    now->bound = bounds[n - 1];
    now->spent = stats_spent(&all, plan->alpha, now->information);
    struct stats_effect absolute = judge_until(j, row, now->day, false),
                        lift = judge_until(j, row, now->day, true);
    struct stats_settings s = { .kind = j->metrics[row->metric]->kind, .alpha = plan->alpha };
    now->z = absolute.problem || !(absolute.se > 0) ? 0 : absolute.effect / absolute.se;
    now->stops = fabs(now->z) >= now->bound;
    now->estimate = absolute.effect;
    now->absolute = stats_group(&s, &absolute, &all);
    s.relative = true;
    now->lift = lift.effect;
    now->relative = stats_group(&s, &lift, &all);
}

isize judge_looks(const struct judging *j, const struct judged *row, const struct look_plan *plan,
                  i32 today, struct held_look *out)
{
    const struct census_arm *arms;
    const i32 *days;
    (void)census_arms(j->census, &arms);
    u8 experience = arms[row->arm].experience;
    isize days_n = census_days(j->census, experience, &days), n = 0, held = 0;
    assert(plan->people > 0 && plan->n >= 1 && plan->n <= LOOKS_MAX);
    for (isize d = 0; d < days_n && days[d] < today && held < plan->n; d++) {
        f64 people = people_until(j, experience, days[d]);
        isize due = people >= plan->people ? plan->n : (isize)(people / plan->people * (f64)plan->n);
        if (due <= held) continue;
        out[n++] = (struct held_look){ .number = held = due, .day = days[d], .people = people };
        hold(j, row, plan, out, n);
        if (out[n - 1].stops) break;
    }
    return n;
}

void look_bounds(const struct look_plan *plan, const struct held_look *held, isize n, f64 *bounds)
{
    f64 information[LOOKS_MAX];
    isize first = n ? held[n - 1].number : 0, all = n;
    for (isize i = 0; i < n; i++) information[i] = held[i].people / plan->people;
    for (isize k = first + 1; k <= plan->n; k++) information[all++] = (f64)k / (f64)plan->n;
    if (first == plan->n) return;                       /* nothing is ahead */
    f64 whole[LOOKS_MAX];
    stats_bounds(&(struct stats_looks){ information, all, plan->spending, 0, false }, plan->alpha, whole);
    for (isize k = n; k < all; k++) bounds[k - n] = whole[k];
}
