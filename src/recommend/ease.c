/* SPDX-License-Identifier: Apache-2.0
 *
 * ease.c - the best linear model of a basket: EASE (Steck 2019) on the head of the catalogue.
 *
 *   G = sum over sessions and baskets of exp(-age/tau) x x'      x: which items it holds
 *   P = (G + lambda I)^-1        B_ij = -P_ij / P_jj, B_ii = 0     score_j = sum over i held of B_ij
 *
 * What co-occurrence counts twice, because a third item explains both, is taken out here; that is
 * worth half as much again on big baskets. It costs N^3 flops and 4 N^2 bytes once, so N is the
 * head alone: the items most dealt with lately, as many as ease_items and the memory allow. Of each
 * row the ease_row weights furthest from zero are kept, in the order of items; below zero they say
 * "not with this".
 *
 * P by Cholesky (spotrf, spotri) in single precision: lambda keeps the smallest eigenvalue far from zero. */
#include "recommend/inside.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

extern void spotrf_(const char *uplo, const int *n, f32 *a, const int *lda, int *info);
extern void spotri_(const char *uplo, const int *n, f32 *a, const int *lda, int *info);

/* The items of the head in `id`, ascending; head: their number there + 1, by item. */
static isize choose_head(struct build *b, const f64 *weight, u32 *head, u32 **id)
{
    const struct model *m = b->m;
    isize most = min_isize(m->options.ease_items, (isize)sqrt((f64)m->options.memory_bytes / sizeof(f32)));
    if (most < 2) return 0;
    struct topk best = topk_new(&b->scratch, most);
    for (isize i = 1; i < (isize)m->items; i++) {
        f64 dealt = 0;
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) dealt += weight[b->full[p]];
        if (dealt > 0) topk_add(&best, (u32)i, dealt);
    }
    for (isize i = 0; i < best.n; i++) head[best.at[i].id] = 1;
    *id = arena_new(&b->scratch, u32, best.n + 1);
    isize n = 0;
    for (isize i = 0; i < (isize)m->items; i++)
        if (head[i]) { (*id)[n++] = (u32)i; head[i] = (u32)n; }
    return n;
}

/* Lower triangle, column by column: g[j * n + i] for i >= j. */
static void gram(const struct build *b, const f64 *weight, const u32 *head, f32 *g, isize n)
{
    const struct model *m = b->m;
    u32 *in = arena_new(&((struct build *)(uintptr_t)b)->scratch, u32, m->options.kept + 1);
    for (isize s = 0; s < b->sessions; s++) {
        isize k = 0;
        for (u32 at = m->session_from[s]; at < m->session_from[s + 1]; at++)
            if (head[m->session_items[at]]) in[k++] = head[m->session_items[at]] - 1;
        f32 w = (f32)weight[s];
        for (isize x = 0; x < k; x++)
            for (isize y = 0; y <= x; y++) {
                u32 low = in[x] < in[y] ? in[x] : in[y], high = in[x] < in[y] ? in[y] : in[x];
                g[(isize)low * n + high] += w;
            }
    }
}

static void mirror(f32 *g, isize n)
{
    enum { BLOCK = 64 };
    for (isize jb = 0; jb < n; jb += BLOCK)
        for (isize ib = jb; ib < n; ib += BLOCK)
            for (isize j = jb; j < min_isize(jb + BLOCK, n); j++)
                for (isize i = max_isize(ib, j + 1); i < min_isize(ib + BLOCK, n); i++)
                    g[i * n + j] = g[j * n + i];
}

f32 largest(f32 *at, isize n, isize k)
{
    isize from = 0, to = n - 1;
    while (from < to) {
        f32 middle = at[from + (to - from) / 2];
        isize low = from, high = to;
        while (low <= high) {
            while (at[low] > middle) low++;
            while (at[high] < middle) high--;
            if (low > high) break;
            f32 swap = at[low];
            at[low++] = at[high];
            at[high--] = swap;
        }
        if (k - 1 <= high) to = high;
        else if (k - 1 >= low) from = low;
        else return middle;
    }
    return at[k - 1];
}

static void keep_rows(struct build *b, const f32 *p, const u32 *id, isize n)
{
    struct model *m = b->m;
    struct table *table = &m->tables[TABLE_EASE];
    isize row = min_isize(m->options.ease_row > 0 ? m->options.ease_row : n, n - 1), used = 0, at = 0;
    table->from = arena_new(&m->arena, u32, (isize)m->items + 1);
    struct pair *pairs = arena_new(&m->arena, struct pair, n * row + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    f32 *by = dense_new(&b->scratch, n), *w = dense_new(&b->scratch, n), *far = dense_new(&b->scratch, n);
    for (isize j = 0; j < n; j++) by[j] = -1 / p[j * n + j];
    for (isize i = 0; i < (isize)m->items; i++) {
        bool in_head = at < n && id[at] == (u32)i;
        if (in_head && is_asked(b, i)) {
            for (isize j = 0; j < n; j++) w[j] = p[at * n + j] * by[j];
            w[at] = 0;
            for (isize j = 0; j < n; j++) far[j] = fabsf(w[j]);
            f32 bar = largest(far, n, row);
            isize over = 0, first = used;
            for (isize j = 0; j < n; j++) over += fabsf(w[j]) > bar;
            for (isize j = 0, level = row - over; j < n && used - first < row; j++) {
                bool on = fabsf(w[j]) > bar;
                if (on || (j != at && fabsf(w[j]) >= bar && level-- > 0))
                    pairs[used++] = (struct pair){ id[j], w[j] };
            }
        }
        at += in_head;
        table->from[i + 1] = (u32)used;
    }
    table->pairs = pairs;
    arena_reset(&b->scratch, mark);
}

void build_ease(struct build *b)
{
    struct model *m = b->m;
    if (!builds(b, RECOMMENDER_EASE)) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    f64 *weight = arena_new(&b->scratch, f64, b->sessions + 1);
    u32 *head = arena_new(&b->scratch, u32, (isize)m->items + 1), *id;
    for (isize s = 0; s < b->sessions; s++) {
        f64 age_days = (f64)(m->card.built_at_ms - b->spans[s].last_ms) / (f64)DAY_MS;
        weight[s] = m->options.ease_decay_days > 0 && age_days > 0
                        ? exp(-age_days / m->options.ease_decay_days)
                        : 1;
    }
    isize n = choose_head(b, weight, head, &id);
    if (n >= 2) {
        f32 *g = mem_new(n * n * (isize)sizeof *g);
        gram(b, weight, head, g, n);
        for (isize i = 0; i < n; i++) g[i * n + i] += (f32)m->options.ease_lambda;
        int size = (int)n, failed = 0;
        spotrf_("L", &size, g, &size, &failed);
        if (!failed) spotri_("L", &size, g, &size, &failed);
        if (!failed) {
            mirror(g, n);
            keep_rows(b, g, id, n);
            m->card.ease_items = n;
        }
        mem_free(g);
    }
    arena_reset(&b->scratch, mark);
}
