/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_tree.c - which people an arm is best for, as a tree small enough to read.
 *
 * A leaf predicts an arm's reward by its mean there. A split is as good as the sum of squares it takes
 * away, added up over arms; which categories go left is tried exhaustively, because with several arms
 * no single order of categories is right. Every side must have enough people in every arm, and the
 * gain must be beyond what splitting noise gains: an arm's sum of squares falls by about one residual
 * variance for each mean that is added, and the best of many splits by some more.
 */
#include <math.h>
#include <stdlib.h>

#include "experiment/bandit_inside.h"

enum { BINS = BANDIT_CATEGORIES_MAX + 1 };

struct sums { f64 n, sum, sum_sq; };

static f64 squares(const struct sums *s)
{
    return s->n > 0 ? fmax(0, s->sum_sq - s->sum * s->sum / s->n) : 0;
}

static isize bin_of(const struct bandit_feature *f, f64 x)
{
    if (!f->numeric) return (isize)x;
    isize bin = 0;
    while (bin < f->cuts_n && x > f->cuts[bin]) bin++;
    return bin;
}

static isize bins_of(const struct bandit_feature *f)
{
    return f->numeric ? f->cuts_n + 1 : f->categories_n + 1;
}

struct split { i32 feature; u32 codes; f64 gain; };
struct growing {
    arena *a;
    const struct bandit_data *data;
    const struct bandit_tree_options *options;
    struct bandit_policy *tree;
    f64 noise;                          /* residual variance of the whole */
};

static f64 error_of(const struct growing *g, const struct sums *arms)
{
    f64 error = 0;
    for (isize k = 0; k < g->data->arms; k++) error += squares(&arms[k]);
    return error;
}

/* The gain of sending the bins in `codes` left; below 0 when a side is too thin. */
static f64 gain_of(const struct growing *g, struct sums bins[BINS][BANDIT_ARMS_MAX], isize n,
                   u32 codes, f64 before)
{
    f64 after = 0;
    for (isize k = 0; k < g->data->arms; k++) {
        struct sums side[2] = { { .n = 0 }, { .n = 0 } };
        for (isize b = 0; b < n; b++) {
            struct sums *to = &side[codes >> b & 1];
            to->n += bins[b][k].n, to->sum += bins[b][k].sum, to->sum_sq += bins[b][k].sum_sq;
        }
        if (side[0].n < (f64)g->options->units || side[1].n < (f64)g->options->units) return -1;
        after += squares(&side[0]) + squares(&side[1]);
    }
    return before - after;
}

static struct split best_split(const struct growing *g, const i32 *rows, isize n)
{
    const struct bandit_data *data = g->data;
    struct split best = { .feature = -1 };
    for (i32 f = 0; f < data->features_n; f++) {
        struct sums bins[BINS][BANDIT_ARMS_MAX] = { 0 }, all[BANDIT_ARMS_MAX] = { 0 };
        const struct bandit_feature *feature = &data->features[f];
        isize bins_n = bins_of(feature);
        for (isize i = 0; i < n; i++) {
            const struct bandit_row *r = &data->rows[rows[i]];
            struct sums *const to[] = { &bins[bin_of(feature, r->x[f])][r->arm], &all[r->arm] };
            for (isize k = 0; k < countof(to); k++)
                to[k]->n++, to[k]->sum += r->reward, to[k]->sum_sq += r->reward * r->reward;
        }
        f64 before = error_of(g, all);
        for (u32 at = 1; at < (feature->numeric ? (u32)bins_n : 1U << (bins_n - 1)); at++) {
            /* the last bin is always right: half of all subsets */
            u32 codes = feature->numeric ? (1U << at) - 1 : at;
            f64 gain = gain_of(g, bins, bins_n, codes, before);
            if (gain > best.gain) best = (struct split){ f, codes, gain };
        }
    }
    return best;
}

static i32 add_leaf(struct growing *g, const i32 *rows, isize n)
{
    struct bandit_policy *tree = g->tree;
    struct sums arms[BANDIT_ARMS_MAX] = { 0 };
    struct bandit_leaf *leaf = &tree->leaves[tree->leaves_n];
    leaf->n = (f64)n;
    for (isize i = 0; i < n; i++) {
        const struct bandit_row *r = &g->data->rows[rows[i]];
        arms[r->arm].n++, arms[r->arm].sum += r->reward, arms[r->arm].sum_sq += r->reward * r->reward;
    }
    for (isize k = 0; k < g->data->arms; k++)
        leaf->arms[k] = bandit_belief_of(arms[k].n, arms[k].sum, arms[k].sum_sq, g->data->binary);
    bandit_shares(&tree->settings, leaf->arms, g->data->arms, leaf->shares);
    return (i32)tree->leaves_n++;
}

static i32 grow(struct growing *g, i32 *rows, isize n, isize leaves)
{
    struct bandit_policy *tree = g->tree;
    struct split s = leaves > 1 ? best_split(g, rows, n) : (struct split){ .feature = -1 };
    i32 at = (i32)tree->nodes_n++;
    struct bandit_node node = { .feature = -1 };
    if (s.feature < 0 || s.gain <= g->options->gain * g->noise * (f64)g->data->arms) {
        node.leaf = add_leaf(g, rows, n);
        tree->nodes[at] = node;
        return at;
    }
    const struct bandit_feature *feature = &g->data->features[s.feature];
    node.feature = s.feature;
    node.codes = s.codes;
    i32 *right = arena_new(g->a, i32, n);
    isize left_n = 0, right_n = 0, bin = 0;
    for (isize i = 0; i < n; i++) {
        if (s.codes >> bin_of(feature, g->data->rows[rows[i]].x[s.feature]) & 1) rows[left_n++] = rows[i];
        else right[right_n++] = rows[i];
    }
    while (s.codes >> (bin + 1) & 1) bin++;
    if (feature->numeric) node.cut = feature->cuts[bin];
    node.leaf = -1;
    node.left = grow(g, rows, left_n, (leaves + 1) / 2);
    node.right = grow(g, right, right_n, leaves / 2);
    tree->nodes[at] = node;
    return at;
}

struct bandit_policy *bandit_tree_learn(arena *a, const struct bandit_data *data,
                                        const struct bandit_settings *s,
                                        const struct bandit_tree_options *o)
{
    struct bandit_policy *tree = arena_new(a, struct bandit_policy, 1);
    isize leaves = max_isize(1, o->leaves_max);
    assert(data->arms >= 1 && data->arms <= BANDIT_ARMS_MAX && data->features_n <= BANDIT_FEATURES_MAX);
    *tree = (struct bandit_policy){ .kind = BANDIT_TREE, .settings = *s, .features = data->features, .features_n = data->features_n,
                                    .arms = data->arms, .nodes = arena_new(a, struct bandit_node, 2 * leaves),
                                    .leaves = arena_new(a, struct bandit_leaf, leaves + 1) };
    struct growing g = { a, data, o, tree, 0 };
    struct sums all[BANDIT_ARMS_MAX] = { 0 };
    i32 *rows = arena_new(a, i32, data->n + 1);
    for (isize i = 0; i < data->n; i++) {
        const struct bandit_row *r = &data->rows[i];
        rows[i] = (i32)i;
        all[r->arm].n++, all[r->arm].sum += r->reward, all[r->arm].sum_sq += r->reward * r->reward;
    }
    g.noise = data->n > data->arms ? error_of(&g, all) / (f64)(data->n - data->arms) : 0;
    (void)grow(&g, rows, data->n, leaves);
    return tree;
}

static i32 leaf_of(const struct bandit_policy *tree, const f64 *x)
{
    const struct bandit_node *node = tree->nodes;
    while (node->feature >= 0) {
        f64 v = x[node->feature];
        bool left = tree->features[node->feature].numeric ? v <= node->cut : node->codes >> (isize)v & 1;
        node = &tree->nodes[left ? node->left : node->right];
    }
    return node->leaf;
}

f64 bandit_tree_error(const struct bandit_policy *tree, const struct bandit_data *data)
{
    f64 error = 0;
    for (i32 leaf = 0; leaf < tree->leaves_n; leaf++) {
        struct sums arms[BANDIT_ARMS_MAX] = { 0 };
        for (isize i = 0; i < data->n; i++) {
            const struct bandit_row *r = &data->rows[i];
            if (leaf_of(tree, r->x) != leaf) continue;
            arms[r->arm].n++, arms[r->arm].sum += r->reward, arms[r->arm].sum_sq += r->reward * r->reward;
        }
        for (isize k = 0; k < data->arms; k++) error += squares(&arms[k]);
    }
    return error;
}

/* ---- rows from texts ------------------------------------------------------------------------- */

struct seen { str text; isize n; };

static int by_count(const void *x, const void *y)
{
    const struct seen *a = x, *b = y;
    return a->n != b->n ? (a->n > b->n ? -1 : 1) : str_cmp(a->text, b->text);
}

static int by_number(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return a < b ? -1 : a > b;
}

static void know_categories(arena *a, struct bandit_feature *f, struct seen *seen, isize n)
{
    qsort(seen, (size_t)n, sizeof *seen, by_count);
    f->categories_n = min_isize(n, BANDIT_CATEGORIES_MAX);
    f->categories = arena_new(a, str, f->categories_n);
    for (isize i = 0; i < f->categories_n; i++) f->categories[i] = arena_str(a, seen[i].text);
}

static void know_numbers(arena *a, struct bandit_feature *f, f64 *values, isize n)
{
    f64 sum = 0, squares_sum = 0;
    f->numeric = true;
    f->cuts = arena_new(a, f64, BANDIT_CATEGORIES_MAX);
    qsort(values, (size_t)n, sizeof *values, by_number);
    for (isize i = 0; i < n; i++) sum += values[i], squares_sum += values[i] * values[i];
    f->mean = sum / (f64)n;
    f->sd = sqrt(fmax(0, squares_sum / (f64)n - f->mean * f->mean));
    if (!(f->sd > 0)) f->sd = 1;
    for (isize i = 1; i <= BANDIT_CATEGORIES_MAX; i++) {
        f64 cut = values[(n - 1) * i / (BANDIT_CATEGORIES_MAX + 1)];
        if (f->cuts_n == 0 || cut > f->cuts[f->cuts_n - 1]) f->cuts[f->cuts_n++] = cut;
    }
}

/* Numbers of a few values (a flag, an hour's quarter) are categories: nothing says their order matters. */
static void know_feature(arena *a, struct bandit_feature *f, const str *texts, isize rows, isize stride)
{
    enum { DIFFERENT_MAX = 4096, NUMERIC_LEAST = 10 };
    struct seen *seen = arena_new(a, struct seen, DIFFERENT_MAX);
    f64 *values = arena_new(a, f64, rows + 1), value;
    isize different = 0, numbers = 0, there = 0;
    for (isize i = 0; i < rows; i++) {
        str text = texts[i * stride];
        if (text.len == 0) continue;
        there++;
        if (str_to_f64(text, &value) && isfinite(value)) values[numbers++] = value;
        isize k = 0;
        while (k < different && !str_eq(seen[k].text, text)) k++;
        if (k == different && different < DIFFERENT_MAX) seen[different++] = (struct seen){ text, 0 };
        if (k < different) seen[k].n++;
    }
    if (there && numbers == there && different > NUMERIC_LEAST) know_numbers(a, f, values, numbers);
    else know_categories(a, f, seen, different);
}

f64 bandit_code(const struct bandit_feature *f, str text)
{
    f64 value;
    if (f->numeric) return str_to_f64(text, &value) && isfinite(value) ? value : f->mean;
    for (isize i = 0; i < f->categories_n; i++)
        if (str_eq(f->categories[i], text)) return (f64)i;
    return (f64)f->categories_n;
}

struct bandit_data bandit_data_of(arena *a, const str *names, isize features_n, const str *texts,
                                  const i32 *arms, const f64 *rewards, isize rows, isize arms_n,
                                  bool binary)
{
    struct bandit_data data = { .features = arena_new(a, struct bandit_feature, features_n + 1),
                                .features_n = features_n,
                                .rows = arena_new(a, struct bandit_row, rows + 1),
                                .n = rows,
                                .arms = arms_n,
                                .binary = binary };
    assert(features_n <= BANDIT_FEATURES_MAX);
    for (isize f = 0; f < features_n; f++) {
        data.features[f].name = arena_str(a, names[f]);
        know_feature(a, &data.features[f], texts + f, rows, features_n);
    }
    for (isize i = 0; i < rows; i++) {
        data.rows[i] = (struct bandit_row){ .arm = arms[i], .reward = rewards[i] };
        for (isize f = 0; f < features_n; f++)
            data.rows[i].x[f] = bandit_code(&data.features[f], texts[i * features_n + f]);
    }
    return data;
}

/* ---- in a context ---------------------------------------------------------------------------- */

void bandit_tree_shares(const struct bandit_policy *tree, const f64 *x, i32 *shares, i32 *leaf)
{
    *leaf = leaf_of(tree, x);
    memcpy(shares, tree->leaves[*leaf].shares, (size_t)tree->arms * sizeof *shares);
}
