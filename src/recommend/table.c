/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - item to items, counted: what goes together, and what comes next.
 *
 *   cooc    c_ij = sum over sessions with both of fresh(s) / length(s); both directions are one number
 *   rules   r_ij = sum over sessions in which j follows i within the window of fresh(s) / gap
 *
 * fresh(s) = exp(-age/tau), double for baskets; length(s) = log2(1 + n) or n^p. With c_i the sum of
 * fresh(s) over the sessions that hold i, a row's score is
 *
 *   count_ij / (c_i^(1-norm) * c_j^norm + shrink)
 *
 * norm 1/2 is the cosine (Linden, Smith and York 2003, with shrinkage and time decay; for rules, Ludewig and
 * Jannach 2018 "sr"). With length n and norm 1/2 it is the linear graph filter (Shen et al. 2021, GF-CF).
 * A row holds the best of products and the best of content, best first.
 *
 * Rows are built item by item with one array of sums over all items: no table of pairs exists at any time, and
 * memory is a few words an interaction. */
#include "recommend/inside.h"

#include <math.h>

struct counting {
    enum table_kind kind;
    f64 shrink, norm;
    const f64 *weight, *alone;
    f64 *together;
    u32 *touched; isize touched_n;
};

static void count(struct counting *c, u32 other, f64 by)
{
    if (c->together[other] <= 0) c->touched[c->touched_n++] = other;
    c->together[other] += by;
}

static void count_session(struct counting *c, const struct model *m, u32 session, u32 item)
{
    u32 from = m->session_from[session], to = m->session_from[session + 1];
    f64 by = c->weight[session];
    if (c->kind == TABLE_COOC) {
        for (u32 at = from; at < to; at++)
            if (m->session_items[at] != item) count(c, m->session_items[at], by);
        return;
    }
    u32 at = from;
    while (m->session_items[at] != item) at++;
    for (u32 next = at + 1; next < to && next <= at + m->options.rules_window; next++)
        count(c, m->session_items[next], by / (f64)(next - at));
}

static bool stands_before(struct scored a, struct scored b)
{
    return a.score > b.score || (a.score >= b.score && a.id < b.id);
}

static void build_table(struct build *b, struct counting *c)
{
    struct model *m = b->m;
    struct table *table = &m->tables[c->kind];
    isize items = (isize)m->items;
    struct { struct pair *at; isize n, cap; } pairs = { 0 };
    table->from = arena_new(&m->arena, u32, items + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    for (isize i = 0; i < items; i++) {
        c->touched_n = 0;
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) count_session(c, m, b->full[p], (u32)i);
        arena_reset(&b->scratch, mark);
        struct topk best[2] = { topk_new(&b->scratch, m->options.cooc_row), topk_new(&b->scratch, m->options.cooc_row) };
        f64 own = pow(c->alone[i], 1 - c->norm);
        bool cosine = c->norm >= .5 && c->norm <= .5;
        for (isize t = 0; t < c->touched_n; t++) {
            u32 other = c->touched[t];
            f64 both = cosine ? sqrt(c->alone[i] * c->alone[other]) : own * pow(c->alone[other], c->norm);
            topk_add(&best[model_is_content(m, other)], other, c->together[other] / (both + c->shrink));
            c->together[other] = 0;
        }
        isize p = 0, q = 0, products = topk_finish(&best[0]), contents = topk_finish(&best[1]);
        while (p < products || q < contents) {
            bool first = q == contents || (p < products && stands_before(best[0].at[p], best[1].at[q]));
            struct scored next = first ? best[0].at[p++] : best[1].at[q++];
            vec_push(&pairs, (struct pair){ next.id, (f32)next.score });
        }
        table->from[i + 1] = (u32)pairs.n;
    }
    assert(pairs.n < (isize)UINT32_MAX);
    table->pairs = arena_new(&m->arena, struct pair, pairs.n + 1);
    if (pairs.n) memcpy(table->pairs, pairs.at, (size_t)pairs.n * sizeof *pairs.at);
    vec_fini(&pairs);
}

void build_tables(struct build *b)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    if (!builds(b, RECOMMENDER_COOC) && !builds(b, RECOMMENDER_RULES)) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    f64 *alone = arena_new(&b->scratch, f64, items + 1), *weight = arena_new(&b->scratch, f64, b->sessions + 1);
    for (isize i = 0; i < items; i++)
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) alone[i] += b->fresh[b->full[p]];
    for (isize s = 0; s < b->sessions; s++) {
        f64 n = (f64)(m->session_from[s + 1] - m->session_from[s]);
        weight[s] = b->fresh[s] / (m->options.cooc_length > 0 ? pow(n, m->options.cooc_length) : log2(1 + n));
    }
    struct counting c = { .alone = alone, .together = arena_new(&b->scratch, f64, items + 1),
                          .touched = arena_new(&b->scratch, u32, items + 1) };
    if (builds(b, RECOMMENDER_COOC)) {
        c.kind = TABLE_COOC;
        c.shrink = m->options.cooc_shrink;
        c.norm = m->options.cooc_norm;
        c.weight = weight;
        build_table(b, &c);
    }
    if (builds(b, RECOMMENDER_RULES)) {
        c.kind = TABLE_RULES;
        c.shrink = m->options.rules_shrink;
        c.norm = m->options.rules_norm;
        c.weight = b->fresh;
        build_table(b, &c);
    }
    arena_reset(&b->scratch, mark);
}
