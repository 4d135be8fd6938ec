/* SPDX-License-Identifier: Apache-2.0
 *
 * trees.c - gradient-boosted trees: grown by XGBoost, asked by us.
 *
 * Growing goes by XGBoost's C interface, one thread, so that a run repeats. What it grew is taken
 * out of its own JSON into one flat array of nodes: asking then takes no lock, no memory and no
 * library, and is the same on every thread. A node's value is the mean of the leaves below it, each
 * weighted by what it was learnt from; the step from a node's value to its child's is what the
 * column asked there contributed. */
#include <math.h>
#include <xgboost/c_api.h>

#include "predict/inside.h"

enum { ROUNDS = 180, NODES_MAX = 1 << 20 };

struct tree_node { u32 column, left, right; f32 below, value; bool left_if_missing, leaf; };
struct trees { struct tree_node *nodes; u32 *roots; isize nodes_n, roots_n, width; f32 base; };

static bool grow(BoosterHandle booster, DMatrixHandle train, u64 seed)
{
    static const char *const settings[][2] = {
        { "objective", "binary:logistic" }, { "tree_method", "hist" }, { "nthread", "1" }, { "verbosity", "0" }, { "eta", "0.05" },
        { "max_depth", "5" }, { "min_child_weight", "5" }, { "subsample", "0.8" }, { "colsample_bytree", "0.8" }, { "lambda", "2" },
    };
    char text[24];
    struct buf number = { 0 };
    buf_printf(&number, "%u", (u32)(seed & 0x7fffffff));
    memcpy(text, number.ptr, (size_t)number.len);
    text[number.len] = 0;
    buf_fini(&number);
    bool fine = XGBoosterSetParam(booster, "seed", text) == 0;
    for (isize i = 0; fine && i < countof(settings); i++)
        fine = XGBoosterSetParam(booster, settings[i][0], settings[i][1]) == 0;
    for (int round = 0; fine && round < ROUNDS; round++)
        fine = XGBoosterUpdateOneIter(booster, round, train) == 0;
    return fine;
}

/* ---- out of its JSON ------------------------------------------------------------------------- */

enum { LEFT, RIGHT, COLUMN, BELOW, MISSING, WEIGHT, LISTS };

/* Children stand behind their parents. */
static bool take_tree(struct trees *t, const struct json *tree, f64 *weight)
{
    static const char *const names[LISTS] = { "left_children",    "right_children", "split_indices",
                                              "split_conditions", "default_left",   "sum_hessian" };
    const struct json *at[LISTS];
    u32 root = (u32)t->nodes_n;
    isize n = json_len(json_get(tree, str_of(names[LEFT])));
    for (int k = 0; k < LISTS; k++) {
        const struct json *list = json_get(tree, str_of(names[k]));
        if (n == 0 || json_len(list) != n) return false;
        at[k] = list->list.at;
    }
    for (isize i = 0; i < n; i++) {
        struct tree_node *node = &t->nodes[t->nodes_n++];
        i64 left = json_int(&at[LEFT][i], -1), right = json_int(&at[RIGHT][i], -1);
        f32 number = (f32)json_num(&at[BELOW][i], 0);
        bool leaf = left < 0;
        if (!leaf
            && (left <= i || right <= i || left >= n || right >= n
                || json_int(&at[COLUMN][i], t->width) >= t->width))
            return false;
        *node = (struct tree_node){ .leaf = leaf,
                                    .value = leaf ? number : 0,
                                    .below = number,
                                    .column = leaf ? 0 : (u32)json_int(&at[COLUMN][i], 0),
                                    .left = leaf ? 0 : root + (u32)left,
                                    .right = leaf ? 0 : root + (u32)right,
                                    .left_if_missing = json_int(&at[MISSING][i], 0) != 0
                                                       || json_bool(&at[MISSING][i], false) };
        weight[i] = json_num(&at[WEIGHT][i], 0);
    }
    for (isize i = n - 1; i >= 0; i--) {
        struct tree_node *node = &t->nodes[root + i];
        if (node->leaf) continue;
        f64 l = weight[node->left - root], r = weight[node->right - root];
        f64 sum = l * (f64)t->nodes[node->left].value + r * (f64)t->nodes[node->right].value;
        node->value = l + r > 0 ? (f32)(sum / (l + r)) : 0;
    }
    t->roots[t->roots_n++] = root;
    return true;
}

static struct trees *take_trees(str text, isize width, arena *a)
{
    const struct json *doc, *list;
    f64 base = .5;
    isize nodes = 0, n;
    if (json_parse(a, text, &doc, NULL)) return NULL;
    list = json_path(doc, "learner.gradient_booster.model.trees");
    n = json_len(list);
    (void)str_to_f64(json_str(json_path(doc, "learner.learner_model_param.base_score"), S("0.5")), &base);
    json_each(tree, list) nodes += json_len(json_get(tree, S("left_children")));
    if (n == 0 || nodes > NODES_MAX || base <= 0 || base >= 1) return NULL;
    struct trees *t =
        mem_new((isize)sizeof *t + nodes * (isize)sizeof *t->nodes + n * (isize)sizeof *t->roots);
    t->nodes = (struct tree_node *)(t + 1);
    t->roots = (u32 *)(t->nodes + nodes);
    t->width = width;
    t->base = (f32)log(base / (1 - base));
    f64 *weight = arena_new(a, f64, nodes + 1);
    bool fine = true;
    json_each(tree, list) fine = fine && take_tree(t, tree, weight);
    if (fine) return t;
    mem_free(t);
    return NULL;
}

enum err trees_grow(const f32 *cells, const f32 *labels, isize n, isize width, u64 seed,
                    struct trees **out, struct diag *diag)
{
    static const f32 missing = __builtin_nanf("");
    arena a = { 0 };
    DMatrixHandle learn = NULL;
    BoosterHandle booster = NULL;
    const char *text = NULL;
    bst_ulong len = 0;
    *out = NULL;
    bool fine = XGDMatrixCreateFromMat(cells, (bst_ulong)n, (bst_ulong)width, missing, &learn) == 0
                && XGDMatrixSetFloatInfo(learn, "label", labels, (bst_ulong)n) == 0
                && XGBoosterCreate(&learn, 1, &booster) == 0 && grow(booster, learn, seed)
                && XGBoosterSaveModelToBuffer(booster, "{\"format\":\"json\"}", &len, &text) == 0;
    str why = fine ? S("what was grown could not be read")
                   : arena_str(&a, str_cut(str_of(XGBGetLastError()), '\n').head);
    if (fine) *out = take_trees((str){ text, (isize)len }, width, &a);
    if (booster) (void)XGBoosterFree(booster);
    if (learn) (void)XGDMatrixFree(learn);
    enum err err =
        *out ? ERR_OK
             : diag_set(diag, ERR_REFUSED, "the trees could not be grown: %.*s", STR_FMT(why));
    arena_fini(&a);
    return err;
}

void trees_free(struct trees *t) { mem_free(t); }

/* ---- asking ---------------------------------------------------------------------------------- */

static u32 step(const struct tree_node *node, f32 x)
{
    return (isnan(x) ? node->left_if_missing : x < node->below) ? node->left : node->right;
}

f64 trees_ask(const struct trees *t, const f32 *row)
{
    f32 sum = t->base;
    for (isize i = 0; i < t->roots_n; i++) {
        const struct tree_node *node = &t->nodes[t->roots[i]];
        while (!node->leaf) node = &t->nodes[step(node, row[node->column])];
        sum += node->value;
    }
    return 1 / (1 + exp(-(f64)sum));
}

void trees_because(const struct trees *t, const f32 *row, f64 *moved)
{
    for (isize i = 0; i < t->width; i++) moved[i] = 0;
    for (isize i = 0; i < t->roots_n; i++)
        for (const struct tree_node *node = &t->nodes[t->roots[i]]; !node->leaf;) {
            const struct tree_node *next = &t->nodes[step(node, row[node->column])];
            moved[node->column] += (f64)(next->value - node->value);
            node = next;
        }
}
