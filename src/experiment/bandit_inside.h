/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_inside.h - between the bandit files of this room. */
#ifndef EXPERIMENT_BANDIT_INSIDE_H
#define EXPERIMENT_BANDIT_INSIDE_H

#include "experiment/bandit.h"

void bandit_tree_shares(const struct bandit_policy *tree, const f64 *x, i32 *shares, i32 *leaf);
void bandit_linear_shares(const struct bandit_policy *policy, const f64 *x, i32 *shares);

#endif
