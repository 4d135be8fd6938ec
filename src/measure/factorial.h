/* SPDX-License-Identifier: Apache-2.0
 *
 * factorial.h - tests of several things at once: what each does, and what they do together.
 *
 * Every arm is a level of each factor. Effects are contrasts of the arms' means, each cell of the
 * design weighing the same, so that unequal shares do not mix one factor into another:
 *
 *   main effect of level i of F       mean over all cells with F = i, less that over all cells with F = 0
 *   interaction of i of F, j of G     (ij - i0) - (0j - 00), averaged over the other factors' levels
 *
 * Intervals are always valid, as stats_sequential's are; p is corrected over all effects by Holm. */
#ifndef MEASURE_FACTORIAL_H
#define MEASURE_FACTORIAL_H

#include "base/arena.h"

enum { FACTORS_MAX = 4, FACTORIAL_EFFECTS_MAX = 512 };

/* variance of one person's value */
struct factorial_arm { u8 levels[FACTORS_MAX]; f64 n, mean, variance; };
struct factorial_effect {
    i8 factor, level, other, other_level;       /* other: -1 for a main effect */
    f64 estimate, se, low, high, p, p_corrected;
};
/* levels[i]: how many factor i has. The number of effects; 0 when a cell of the design has no arm
 * or fewer than 2 people. */
isize factorial_effects(const struct factorial_arm *arms, isize n, const u8 *levels, isize factors,
                        f64 alpha, f64 tuning_n, struct factorial_effect *out, arena *scratch);

#endif
