/* SPDX-License-Identifier: Apache-2.0
 *
 * factorial.c - contrasts of cell means (Montgomery, Design and Analysis of Experiments, ch. 5-6):
 * an effect is the sum of c_i mean_i with the c_i of its kind, its variance the sum of c_i^2
 * variance_i / n_i. */
#include "measure/factorial.h"

#include <math.h>

#include "measure/stats.h"

struct contrast { i8 factor, level, other, other_level; };

/* How many cells agree with a level of one factor, or of two. */
static f64 cells(const u8 *levels, isize factors, isize but, isize but_too)
{
    f64 n = 1;
    for (isize i = 0; i < factors; i++)
        if (i != but && i != but_too) n *= levels[i];
    return n;
}

static f64 weight(const struct contrast *c, const struct factorial_arm *arm, const u8 *levels, isize factors)
{
    i32 a = arm->levels[c->factor], own = a == c->level ? 1 : a == 0 ? -1 : 0;
    if (c->other < 0) return own / cells(levels, factors, c->factor, -1);
    i32 b = arm->levels[c->other], theirs = b == c->other_level ? 1 : b == 0 ? -1 : 0;
    return own * theirs / cells(levels, factors, c->factor, c->other);
}

static bool whole(const struct factorial_arm *arms, isize n, const u8 *levels, isize factors)
{
    f64 all = cells(levels, factors, -1, -1);
    for (isize i = 0; i < n; i++) {
        if (arms[i].n < 2) return false;
        for (isize k = 0; k < i; k++)
            if (memcmp(arms[i].levels, arms[k].levels, (size_t)factors) == 0) return false;
    }
    return (f64)n == all;
}

static void estimate(const struct factorial_arm *arms, isize n, const u8 *levels, isize factors,
                     f64 alpha, f64 tuning_n, const struct contrast *c,
                     struct factorial_effect *out)
{
    f64 effect = 0, variance = 0, people = 0;
    for (isize i = 0; i < n; i++) {
        f64 w = weight(c, &arms[i], levels, factors);
        effect += w * arms[i].mean;
        variance += w * w * arms[i].variance / arms[i].n;
        people += arms[i].n;
    }
    f64 rho = stats_sequential_rho(alpha, tuning_n, STATS_TWO_SIDED), se = sqrt(variance);
    f64 half = se * stats_mixture_bound(people, rho, alpha, false);
    *out = (struct factorial_effect){ .factor = c->factor,
                                      .level = c->level,
                                      .other = c->other,
                                      .other_level = c->other_level,
                                      .estimate = effect,
                                      .se = se,
                                      .low = effect - half,
                                      .high = effect + half,
                                      .p = 1 };
    if (se > 0) out->p = fmin(1, exp(-stats_mixture_log(effect / se, people, rho, false)));
}

isize factorial_effects(const struct factorial_arm *arms, isize n, const u8 *levels, isize factors,
                        f64 alpha, f64 tuning_n, struct factorial_effect *out, arena *scratch)
{
    isize count = 0;
    if (factors < 2 || factors > FACTORS_MAX || !whole(arms, n, levels, factors)) return 0;
    for (i8 f = 0; f < factors; f++)
        for (i8 i = 1; i < levels[f] && count < FACTORIAL_EFFECTS_MAX; i++)
            estimate(arms, n, levels, factors, alpha, tuning_n, &(struct contrast){ f, i, -1, 0 },
                     &out[count++]);
    for (i8 f = 0; f < factors; f++)
        for (i8 g = (i8)(f + 1); g < factors; g++)
            for (i8 i = 1; i < levels[f]; i++)
                for (i8 j = 1; j < levels[g] && count < FACTORIAL_EFFECTS_MAX; j++)
                    estimate(arms, n, levels, factors, alpha, tuning_n,
                             &(struct contrast){ f, i, g, j }, &out[count++]);
    f64 *p = arena_new(scratch, f64, count);
    for (isize i = 0; i < count; i++) p[i] = out[i].p;
    stats_correct(p, count, STATS_HOLM, scratch);
    for (isize i = 0; i < count; i++) out[i].p_corrected = p[i];
    return count;
}
