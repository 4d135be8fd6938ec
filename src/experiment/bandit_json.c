/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_json.c - a policy as JSON: for the log and back, and as other products' clients take it.
 *
 * Numbers are written as the shortest text that reads back, so what the log holds decides exactly as
 * what was learnt.
 */
#include <math.h>

#include "experiment/bandit_inside.h"
#include "experiment/experiment.h"

static const str kind_names[] = { S_INIT("tree"), S_INIT("linear_thompson"), S_INIT("linear_ucb") };
static const str goal_names[] = { S_INIT("reward"), S_INIT("learning") };
enum { NODES_MAX = 256 };

static void write_numbers(struct jsonw *w, const char *name, const f64 *at, isize n)
{
    jsonw_key_begin(w, name, '[');
    for (isize i = 0; i < n; i++) jsonw_num(w, at[i]);
    jsonw_end(w, ']');
}

static void write_feature(struct jsonw *w, const struct bandit_feature *f)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "name", f->name);
    if (f->numeric) {
        jsonw_key_num(w, "mean", f->mean);
        jsonw_key_num(w, "sd", f->sd);
    } else {
        jsonw_key_begin(w, "categories", '[');
        for (isize i = 0; i < f->categories_n; i++) jsonw_str(w, f->categories[i]);
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

static void write_tree(const struct bandit_policy *p, struct jsonw *w)
{
    jsonw_key_begin(w, "nodes", '[');
    for (isize i = 0; i < p->nodes_n; i++) {
        const struct bandit_node *n = &p->nodes[i];
        jsonw_begin(w, '{');
        jsonw_key_int(w, "feature", n->feature);
        if (n->feature < 0) {
            jsonw_key_int(w, "leaf", n->leaf);
        } else {
            jsonw_key_int(w, "left", n->left);
            jsonw_key_int(w, "right", n->right);
            jsonw_key_int(w, "codes", n->codes);
            jsonw_key_num(w, "cut", n->cut);
        }
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "leaves", '[');
    for (isize i = 0; i < p->leaves_n; i++) {
        const struct bandit_leaf *leaf = &p->leaves[i];
        jsonw_begin(w, '{');
        jsonw_key_num(w, "n", leaf->n);
        jsonw_key_begin(w, "shares", '[');
        for (isize k = 0; k < p->arms; k++) jsonw_int(w, leaf->shares[k]);
        jsonw_end(w, ']');
        jsonw_key_begin(w, "means", '[');
        for (isize k = 0; k < p->arms; k++) jsonw_num(w, leaf->arms[k].mean);
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

void bandit_policy_write(const struct bandit_policy *p, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "kind", kind_names[p->kind]);
    jsonw_key_str(w, "goal", goal_names[p->settings.goal]);
    jsonw_key_num(w, "floor", p->settings.floor);
    jsonw_key_int(w, "control", p->settings.control);
    jsonw_key_num(w, "control_share", p->settings.control_share);
    jsonw_key_int(w, "arms", p->arms);
    jsonw_key_begin(w, "features", '[');
    for (isize f = 0; f < p->features_n; f++) write_feature(w, &p->features[f]);
    jsonw_end(w, ']');
    if (p->kind == BANDIT_TREE) {
        write_tree(p, w);
    } else {
        jsonw_key_num(w, "exploration", p->exploration);
        jsonw_key_begin(w, "models", '[');
        for (isize k = 0; k < p->arms; k++) {
            jsonw_begin(w, '{');
            jsonw_key_num(w, "n", p->models[k].n);
            write_numbers(w, "theta", p->models[k].theta, p->dimensions);
            write_numbers(w, "inverse", p->models[k].inverse, p->dimensions * p->dimensions);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

/* ---- back ------------------------------------------------------------------------------------ */

static isize named(const struct json *v, const str *names, isize n)
{
    for (isize i = 0; i < n; i++)
        if (str_eq(json_str(v, S("")), names[i])) return i;
    return -1;
}

static bool read_numbers(arena *a, const struct json *v, isize n, f64 **out)
{
    if (json_len(v) != n) return false;
    *out = arena_new(a, f64, n);
    isize i = 0;
    json_each(x, v) (*out)[i++] = json_num(x, (f64)NAN);
    for (i = 0; i < n; i++)
        if (!isfinite((*out)[i])) return false;
    return true;
}

static bool read_features(arena *a, const struct json *v, struct bandit_policy *p)
{
    if (json_len(v) > BANDIT_FEATURES_MAX) return false;
    p->features = arena_new(a, struct bandit_feature, json_len(v) + 1);
    p->dimensions = 1;
    json_each(f, v) {
        struct bandit_feature *to = &p->features[p->features_n++];
        const struct json *categories = json_get(f, S("categories"));
        *to =
            (struct bandit_feature){ .name = arena_str(a, json_str(json_get(f, S("name")), S(""))),
                                     .numeric = !categories,
                                     .mean = json_num(json_get(f, S("mean")), 0),
                                     .sd = json_num(json_get(f, S("sd")), 1) };
        if (to->name.len == 0 || !(to->sd > 0) || json_len(categories) > BANDIT_CATEGORIES_MAX) return false;
        to->categories = arena_new(a, str, json_len(categories) + 1);
        json_each(c, categories) to->categories[to->categories_n++] = arena_str(a, json_str(c, S("")));
        p->dimensions += to->numeric ? 1 : to->categories_n;
    }
    return true;
}

/* A node's children come after it, so that a walk ends. */
static bool read_tree(arena *a, const struct json *json, struct bandit_policy *p)
{
    const struct json *nodes = json_get(json, S("nodes")), *leaves = json_get(json, S("leaves"));
    isize n = json_len(nodes), leaves_n = json_len(leaves);
    if (n < 1 || n > NODES_MAX || leaves_n < 1 || leaves_n > NODES_MAX) return false;
    p->nodes = arena_new(a, struct bandit_node, n);
    p->leaves = arena_new(a, struct bandit_leaf, leaves_n);
    json_each(v, nodes) {
        struct bandit_node *node = &p->nodes[p->nodes_n];
        *node = (struct bandit_node){
            (i32)json_int(json_get(v, S("feature")), -1), (i32)json_int(json_get(v, S("left")), 0),
            (i32)json_int(json_get(v, S("right")), 0),    (u32)json_int(json_get(v, S("codes")), 0),
            json_num(json_get(v, S("cut")), 0),           (i32)json_int(json_get(v, S("leaf")), -1)
        };
        bool leaf = node->feature < 0;
        if (leaf && (node->leaf < 0 || node->leaf >= leaves_n)) return false;
        if (!leaf
            && (node->feature >= p->features_n || node->left <= p->nodes_n
                || node->right <= p->nodes_n || node->left >= n || node->right >= n))
            return false;
        p->nodes_n++;
    }
    json_each(v, leaves) {
        struct bandit_leaf *leaf = &p->leaves[p->leaves_n++];
        const struct json *shares = json_get(v, S("shares")), *means = json_get(v, S("means"));
        i64 all = 0;
        if (json_len(shares) != p->arms || json_len(means) != p->arms) return false;
        leaf->n = json_num(json_get(v, S("n")), 0);
        for (isize k = 0; k < p->arms; k++) {
            i64 share = json_int(&shares->list.at[k], -1);
            if (share < 0 || share > BUCKETS) return false;
            leaf->shares[k] = (i32)share;
            leaf->arms[k].mean = json_num(&means->list.at[k], 0);
            all += share;
        }
        if (all != BUCKETS) return false;
    }
    return true;
}

static bool read_models(arena *a, const struct json *json, struct bandit_policy *p)
{
    const struct json *models = json_get(json, S("models"));
    p->exploration = json_num(json_get(json, S("exploration")), -1);
    if (json_len(models) != p->arms || p->dimensions > BANDIT_DIMENSIONS_MAX
        || !(p->exploration >= 0))
        return false;
    for (isize k = 0; k < p->arms; k++) {
        const struct json *m = &models->list.at[k];
        p->models[k].n = json_num(json_get(m, S("n")), 0);
        if (!read_numbers(a, json_get(m, S("theta")), p->dimensions, &p->models[k].theta)) return false;
        if (!read_numbers(a, json_get(m, S("inverse")), p->dimensions * p->dimensions,
                          &p->models[k].inverse))
            return false;
    }
    return true;
}

enum err bandit_policy_read(arena *a, const struct json *json, struct bandit_policy **out, struct diag *diag)
{
    struct bandit_policy *p = arena_new(a, struct bandit_policy, 1);
    isize kind = named(json_get(json, S("kind")), kind_names, countof(kind_names));
    isize goal = named(json_get(json, S("goal")), goal_names, countof(goal_names));
    *out = p;
    p->arms = json_int(json_get(json, S("arms")), 0);
    p->settings = (struct bandit_settings){ goal == 1 ? BANDIT_LEARNING : BANDIT_REWARD,
                                            json_num(json_get(json, S("floor")), 0),
                                            json_int(json_get(json, S("control")), -1),
                                            json_num(json_get(json, S("control_share")), 0) };
    bool sound = kind >= 0 && goal >= 0 && p->arms >= 1 && p->arms <= BANDIT_ARMS_MAX
                 && p->settings.floor >= 0 && p->settings.floor <= 1
                 && p->settings.control_share >= 0 && p->settings.control_share <= 1;
    if (sound) p->kind = (enum bandit_kind)kind;
    sound = sound && read_features(a, json_get(json, S("features")), p);
    sound = sound && (p->kind == BANDIT_TREE ? read_tree(a, json, p) : read_models(a, json, p));
    return sound ? ERR_OK : diag_set(diag, ERR_BAD_INPUT, "this is no policy of ours");
}

/* ---- for other products' clients ------------------------------------------------------------- */

/* The way to a leaf, as conditions a client can evaluate: what is not named is "any other". */
static void write_condition(const struct bandit_policy *p, const isize *path, const bool *went_left,
                            isize depth, struct jsonw *w)
{
    jsonw_key_begin(w, "condition", '{');
    jsonw_key_begin(w, "$and", '[');
    for (isize i = 0; i < depth; i++) {
        const struct bandit_node *n = &p->nodes[path[i]];
        const struct bandit_feature *f = &p->features[n->feature];
        jsonw_begin(w, '{');
        jsonw_key(w, f->name);
        jsonw_begin(w, '{');
        if (f->numeric) {
            jsonw_key_num(w, went_left[i] ? "$lte" : "$gt", n->cut);
        } else {
            jsonw_key_begin(w, went_left[i] ? "$in" : "$nin", '[');
            for (isize c = 0; c < f->categories_n; c++)
                if (n->codes >> c & 1) jsonw_str(w, f->categories[c]);
            jsonw_end(w, ']');
        }
        jsonw_end(w, '}');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void write_weights(const struct bandit_policy *p, const i32 *shares, struct jsonw *w)
{
    jsonw_key_begin(w, "weights", '[');
    for (isize k = 0; k < p->arms; k++) jsonw_num(w, (f64)shares[k] / BUCKETS);
    jsonw_end(w, ']');
}

static void write_leaves(const struct bandit_policy *p, isize at, isize *path, bool *went_left,
                         isize depth, struct jsonw *w)
{
    const struct bandit_node *n = &p->nodes[at];
    if (n->feature < 0) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "leafId", n->leaf);
        write_condition(p, path, went_left, depth, w);
        write_weights(p, p->leaves[n->leaf].shares, w);
        jsonw_end(w, '}');
        return;
    }
    path[depth] = at;
    for (int side = 0; side < 2; side++) {
        went_left[depth] = side == 0;
        write_leaves(p, side ? n->right : n->left, path, went_left, depth + 1, w);
    }
}

bool bandit_policy_leaves(const struct bandit_policy *p, struct jsonw *w)
{
    isize path[NODES_MAX];
    bool went_left[NODES_MAX];
    f64 all[BANDIT_ARMS_MAX] = { 0 };
    i32 shares[BANDIT_ARMS_MAX];
    if (p->kind != BANDIT_TREE) return false;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "contexts", '[');
    write_leaves(p, 0, path, went_left, 0, w);
    for (isize i = 0; i < p->leaves_n; i++)
        for (isize k = 0; k < p->arms; k++) all[k] += p->leaves[i].shares[k] * fmax(p->leaves[i].n, 1);
    bandit_round(all, p->arms, shares);
    jsonw_begin(w, '{');
    jsonw_key_int(w, "leafId", -1);
    jsonw_key_begin(w, "condition", '{');
    jsonw_end(w, '}');
    write_weights(p, shares, w);
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    return true;
}

static void write_arm(const struct bandit_policy *p, const f64 *theta, str arm, struct jsonw *w)
{
    f64 intercept = theta[0];
    isize at = 1;
    for (isize f = 0; f < p->features_n; f++) {
        if (p->features[f].numeric) intercept -= theta[at] * p->features[f].mean / p->features[f].sd;
        at += p->features[f].numeric ? 1 : p->features[f].categories_n;
    }
    jsonw_key(w, arm);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "actionKey", arm);
    jsonw_key_num(w, "intercept", intercept);
    for (int numeric = 1; numeric >= 0; numeric--) {
        jsonw_key_begin(w, numeric ? "subjectNumericCoefficients" : "subjectCategoricalCoefficients", '[');
        at = 1;
        for (isize f = 0; f < p->features_n; f++) {
            const struct bandit_feature *feature = &p->features[f];
            if (feature->numeric == (numeric == 1)) {
                jsonw_begin(w, '{');
                jsonw_key_str(w, "attributeKey", feature->name);
                jsonw_key_num(w, "missingValueCoefficient",
                              numeric ? theta[at] * feature->mean / feature->sd : 0);
                if (numeric) {
                    jsonw_key_num(w, "coefficient", theta[at] / feature->sd);
                } else {
                    jsonw_key_begin(w, "valueCoefficients", '{');
                    for (isize c = 0; c < feature->categories_n; c++) {
                        jsonw_key(w, feature->categories[c]);
                        jsonw_num(w, theta[at + c]);
                    }
                    jsonw_end(w, '}');
                }
                jsonw_end(w, '}');
            }
            at += feature->numeric ? 1 : feature->categories_n;
        }
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

bool bandit_policy_coefficients(const struct bandit_policy *p, const str *arms, struct jsonw *w)
{
    if (p->kind == BANDIT_TREE) return false;
    jsonw_begin(w, '{');
    jsonw_key_num(w, "actionProbabilityFloor", p->settings.floor);
    jsonw_key_begin(w, "coefficients", '{');
    for (isize k = 0; k < p->arms; k++) write_arm(p, p->models[k].theta, arms[k], w);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    return true;
}
