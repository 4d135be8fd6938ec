/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit.h - shares that follow what was learnt. Part of the door experiment/experiment.h.
 *
 * Nothing here draws: a policy is turned into shares, shares are bucketed like any experiment's, and
 * so the same person gets the same arm, every choice has a probability that can be logged, and what
 * came of it can be judged epoch by epoch. Thompson sampling's share of an arm is the chance that it
 * is the best one, which is an integral in one dimension.
 *
 *   bandit_best, bandit_shares       arms' means          -> shares
 *   bandit_tree_*                    rows of (context, arm, reward) -> leaves, each with its shares
 *   bandit_linear_*                  the same rows        -> a linear model an arm, shares at a point
 *
 * Pure functions, any thread; results in the arena given.
 */
#ifndef EXPERIMENT_BANDIT_H
#define EXPERIMENT_BANDIT_H

#include "base/json.h"

enum {
    BANDIT_ARMS_MAX = 16,
    BANDIT_FEATURES_MAX = 10,
    BANDIT_CATEGORIES_MAX = 15,
    BANDIT_DIMENSIONS_MAX = 48
};

/* What is believed of one arm's reward: normal. */
struct bandit_belief { f64 mean, sd; };

/* Chance of each arm to be the best; sums to 1. Arms with sd 0 are points. */
void bandit_best(const struct bandit_belief *arms, isize n, f64 *best);

/* REWARD: Thompson sampling. LEARNING: top-two Thompson (Russo 2016, beta = 1/2) among the variations,
 * and as many people in the control as in the largest of them, because each is judged against it:
 * the shortest way to a variation that can be told from the control. */
enum bandit_goal { BANDIT_REWARD, BANDIT_LEARNING };
struct bandit_settings {
    enum bandit_goal goal;
    f64 floor;                          /* every arm has at least this share; n floor <= 1 */
    isize control;                      /* its index; -1: none */
    f64 control_share;                  /* the control has at least this; 0: the floor */
};
/* The floor is additive (p = f + (1 - n f) w), so that shares stay in proportion above it. Shares are
 * parts of 10,000 and sum to that. */
void bandit_shares(const struct bandit_settings *s, const struct bandit_belief *arms, isize n, i32 *shares);
/* Weights above 0 in any unit -> parts of 10,000 that sum to it, by largest remainder. */
void bandit_round(const f64 *weights, isize n, i32 *shares);

/* A mean of n rewards with this sum and sum of squares, with half an observation of each end of the
 * unit interval when they are zeros and ones, so that a first hundred without a reward is not
 * certainty. */
struct bandit_belief bandit_belief_of(f64 n, f64 sum, f64 sum_sq, bool binary);

/* ---- contexts ------------------------------------------------------------------------------- */
/* A feature is a text (a category) or a number. Rows hold category codes or numbers; what a code
 * stands for is in the feature. */
struct bandit_feature {
    str name;
    bool numeric;
    /* the most frequent; the rest are one more code, categories_n */
    str *categories; isize categories_n;
    f64 mean, sd;                       /* numeric: of the training rows */
    f64 *cuts; isize cuts_n;            /* numeric: where it may be split, rising */
};
struct bandit_row { f64 x[BANDIT_FEATURES_MAX]; i32 arm; f64 reward; };
struct bandit_data {
    struct bandit_feature *features; isize features_n;
    struct bandit_row *rows; isize n;
    isize arms;
    bool binary;
};
/* From texts: texts[row * features_n + feature], empty when missing. A feature is numeric when
 * every text that is there is a number and there are more than ten different ones. arm and reward
 * as given. */
struct bandit_data bandit_data_of(arena *a, const str *names, isize features_n, const str *texts,
                                  const i32 *arms, const f64 *rewards, isize rows, isize arms_n,
                                  bool binary);
f64 bandit_code(const struct bandit_feature *feature, str text);        /* of one value, as rows have it */

enum bandit_kind { BANDIT_TREE, BANDIT_LINEAR_THOMPSON, BANDIT_LINEAR_UCB };
/* A tree's node. left: codes of the left branch as bits, or numeric: x <= cut. feature -1: a leaf. */
struct bandit_node { i32 feature, left, right; u32 codes; f64 cut; i32 leaf; };
struct bandit_leaf { f64 n; struct bandit_belief arms[BANDIT_ARMS_MAX]; i32 shares[BANDIT_ARMS_MAX]; };
/* An arm's ridge regression: theta and the inverse of A = I + sum x x', d by d. */
struct bandit_model { f64 *theta, *inverse; f64 n; };
struct bandit_policy {
    enum bandit_kind kind;
    struct bandit_settings settings;
    struct bandit_feature *features; isize features_n, arms;
    struct bandit_node *nodes; isize nodes_n;
    struct bandit_leaf *leaves; isize leaves_n;
    struct bandit_model models[BANDIT_ARMS_MAX]; isize dimensions;
    f64 exploration;                    /* linear: standard deviations of a reward (Thompson), alpha of UCB */
};

/* Greedy splits by the sum of squares that is left within arm and leaf, exact over subsets of
 * categories; each side keeps at least `units` people an arm; a split must explain more than noise
 * would (its gain above `gain` residual variances). */
struct bandit_tree_options { isize units, leaves_max; f64 gain; };
struct bandit_policy *bandit_tree_learn(arena *a, const struct bandit_data *data,
                                        const struct bandit_settings *s,
                                        const struct bandit_tree_options *o);
/* sum of squares within arm and leaf */
f64 bandit_tree_error(const struct bandit_policy *tree, const struct bandit_data *data);

/* One ridge regression an arm (Li et al. 2010, algorithm 1; Agrawal, Goyal 2013). */
struct bandit_policy *bandit_linear_learn(arena *a, const struct bandit_data *data,
                                          const struct bandit_settings *s, enum bandit_kind kind,
                                          f64 exploration);
/* One observation into a model, by Sherman-Morrison, O(d^2). */
void bandit_linear_update(struct bandit_model *model, isize d, const f64 *x, f64 reward);
/* theta'x, sqrt(x' A^-1 x) */
struct bandit_belief bandit_linear_belief(const struct bandit_model *model, isize d, const f64 *x);

/* Shares in a context: x as rows have it. leaf: of a tree, or -1. UCB gives everything above the
 * floors to the best arm. */
void bandit_policy_shares(const struct bandit_policy *policy, const f64 *x, i32 *shares, i32 *leaf);

/* A policy in a log entry and in other systems' payloads: one JSON object, which reads back. */
void bandit_policy_write(const struct bandit_policy *policy, struct jsonw *w);
MUST_USE enum err bandit_policy_read(arena *a, const struct json *json, struct bandit_policy **out,
                                     struct diag *diag);
/* Leaves in GrowthBook's form: {"contexts": [{"leafId", "condition", "weights"}]}, the aggregate last. A linear policy has none. */
bool bandit_policy_leaves(const struct bandit_policy *policy, struct jsonw *w);
/* Coefficients an arm, as Eppo's model JSON has them: intercept, and a coefficient a category or
 * number. A tree has none. */
bool bandit_policy_coefficients(const struct bandit_policy *policy, const str *arms, struct jsonw *w);

#endif
