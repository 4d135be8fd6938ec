/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_linear.c - a ridge regression an arm, and what follows from it at one point.
 *
 * A point is an intercept, one coordinate a category (1 or 0; the code for "any other" has none), and
 * numbers in standard units. The inverse of A = I + sum x x' is kept, not A: Sherman-Morrison adds an
 * observation in d^2, and both the mean and its error at a point are read straight off.
 *
 * Thompson sampling needs no draws here either: arms are independent normals at the point, so the
 * chance that a draw of an arm is the largest is bandit_best's integral, and that is its share.
 */
#include <math.h>

#include "experiment/bandit_inside.h"
#include "experiment/experiment.h"

static isize dimensions_of(const struct bandit_feature *features, isize n)
{
    isize d = 1;
    for (isize f = 0; f < n; f++) d += features[f].numeric ? 1 : features[f].categories_n;
    return d;
}

/* x as rows have it -> a point of d coordinates. */
static void point_of(const struct bandit_policy *p, const f64 *x, f64 *point)
{
    isize at = 1;
    memset(point, 0, (size_t)p->dimensions * sizeof *point);
    point[0] = 1;
    for (isize f = 0; f < p->features_n; f++) {
        const struct bandit_feature *feature = &p->features[f];
        if (feature->numeric) {
            point[at++] = (x[f] - feature->mean) / feature->sd;
            continue;
        }
        if (x[f] < (f64)feature->categories_n) point[at + (isize)x[f]] = 1;
        at += feature->categories_n;
    }
}

void bandit_linear_update(struct bandit_model *m, isize d, const f64 *x, f64 reward)
{
    f64 ax[BANDIT_DIMENSIONS_MAX], size = 1, miss = reward;
    assert(d <= BANDIT_DIMENSIONS_MAX);
    for (isize i = 0; i < d; i++) {
        ax[i] = 0;
        for (isize k = 0; k < d; k++) ax[i] += m->inverse[i * d + k] * x[k];
        miss -= m->theta[i] * x[i];
    }
    for (isize i = 0; i < d; i++) size += x[i] * ax[i];
    for (isize i = 0; i < d; i++) {
        for (isize k = 0; k < d; k++) m->inverse[i * d + k] -= ax[i] * ax[k] / size;
        m->theta[i] += ax[i] / size * miss;
    }
    m->n++;
}

struct bandit_belief bandit_linear_belief(const struct bandit_model *m, isize d, const f64 *x)
{
    struct bandit_belief b = { 0, 0 };
    f64 square = 0;
    for (isize i = 0; i < d; i++) {
        f64 ax = 0;
        for (isize k = 0; k < d; k++) ax += m->inverse[i * d + k] * x[k];
        square += x[i] * ax;
        b.mean += m->theta[i] * x[i];
    }
    b.sd = sqrt(fmax(0, square));
    return b;
}

static struct bandit_model model_new(arena *a, isize d)
{
    struct bandit_model m = { .theta = arena_new(a, f64, d), .inverse = arena_new(a, f64, d * d) };
    for (isize i = 0; i < d; i++) m.inverse[i * d + i] = 1;
    return m;
}

struct bandit_policy *bandit_linear_learn(arena *a, const struct bandit_data *data,
                                          const struct bandit_settings *s, enum bandit_kind kind,
                                          f64 exploration)
{
    struct bandit_policy *p = arena_new(a, struct bandit_policy, 1);
    struct bandit_feature *features = arena_new(a, struct bandit_feature, data->features_n + 1);
    if (data->features_n) memcpy(features, data->features, (size_t)data->features_n * sizeof *features);
    /* the feature with most categories gives one up */
    while (dimensions_of(features, data->features_n) > BANDIT_DIMENSIONS_MAX) {
        isize widest = 0;
        for (isize f = 1; f < data->features_n; f++)
            if (features[f].categories_n > features[widest].categories_n) widest = f;
        features[widest].categories_n--;
    }
    *p = (struct bandit_policy){ .kind = kind,
                                 .settings = *s,
                                 .features = features,
                                 .features_n = data->features_n,
                                 .arms = data->arms,
                                 .exploration = exploration,
                                 .dimensions = dimensions_of(features, data->features_n) };
    f64 point[BANDIT_DIMENSIONS_MAX], sum = 0, sum_sq = 0, n = (f64)data->n;
    for (isize k = 0; k < data->arms; k++) p->models[k] = model_new(a, p->dimensions);
    for (isize i = 0; i < data->n; i++) {
        f64 x[BANDIT_FEATURES_MAX];
        for (isize f = 0; f < data->features_n; f++) {
            x[f] = data->rows[i].x[f];
            if (!features[f].numeric) x[f] = fmin(x[f], (f64)features[f].categories_n);
        }
        point_of(p, x, point);
        bandit_linear_update(&p->models[data->rows[i].arm], p->dimensions, point, data->rows[i].reward);
        sum += data->rows[i].reward;
        sum_sq += data->rows[i].reward * data->rows[i].reward;
    }
    if (exploration <= 0 && data->n > 1) p->exploration = sqrt(fmax(0, (sum_sq - sum * sum / n) / (n - 1)));
    return p;
}

void bandit_linear_shares(const struct bandit_policy *p, const f64 *x, i32 *shares)
{
    f64 point[BANDIT_DIMENSIONS_MAX];
    struct bandit_belief beliefs[BANDIT_ARMS_MAX];
    point_of(p, x, point);
    for (isize k = 0; k < p->arms; k++) {
        beliefs[k] = bandit_linear_belief(&p->models[k], p->dimensions, point);
        beliefs[k].sd *= p->exploration;
        if (p->kind != BANDIT_LINEAR_UCB) continue;
        beliefs[k].mean += beliefs[k].sd;               /* optimism in place of chance */
        beliefs[k].sd = 0;
    }
    bandit_shares(&p->settings, beliefs, p->arms, shares);
}

void bandit_policy_shares(const struct bandit_policy *policy, const f64 *x, i32 *shares, i32 *leaf)
{
    *leaf = -1;
    if (policy->kind == BANDIT_TREE) {
        bandit_tree_shares(policy, x, shares, leaf);
        return;
    }
    f64 known[BANDIT_FEATURES_MAX];
    for (isize f = 0; f < policy->features_n; f++) {
        const struct bandit_feature *feature = &policy->features[f];
        known[f] = feature->numeric ? x[f] : fmin(x[f], (f64)feature->categories_n);
    }
    bandit_linear_shares(policy, known, shares);
}
