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
 * Rows are built item by item with one array of sums over all items: no table of pairs exists at
 * any time, and memory is a few words an interaction. */
#include "recommend/inside.h"

#include <math.h>

struct counting {
    enum table_kind kind;
    f64 shrink;
    const f64 *weight;
    f64 *own, *its;                                     /* c_i^(1-norm), c_j^norm */
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

/* A place of a row while it is chosen, ascending by this number: high scores first, of equal ones
 * the lower item. */
static u64 place_of(f32 score, u32 item)
{
    u32 bits;
    memcpy(&bits, &score, sizeof bits);
    /* scores are not below zero, and such floats are ordered as their bits are */
    return (u64)~bits << 32 | item;
}

static struct pair pair_of(u64 place)
{
    u32 bits = ~(u32)(place >> 32);
    struct pair p = { .item = (u32)place };
    memcpy(&p.score, &bits, sizeof bits);
    return p;
}

static isize split(u64 *at, isize n)
{
    u64 a = at[0], b = at[n / 2], c = at[n - 1];
    u64 middle = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    isize low = 0, high = n - 1;
    for (;; low++, high--) {
        while (at[low] < middle) low++;
        while (at[high] > middle) high--;
        if (low >= high) return high + 1;
        u64 swap = at[low];
        at[low] = at[high];
        at[high] = swap;
    }
}

/* Sorts the first k of n, all different; what comes after them is in no order. */
static void sort_first(u64 *at, isize n, isize k)
{
    while (n > 16 && k > 0) {
        isize left = split(at, n);
        if (k > left) sort_first(at + left, n - left, k - left);
        n = left;
    }
    for (isize i = 1; i < n && k > 0; i++) {
        u64 moving = at[i];
        isize to = i;
        for (; to > 0 && at[to - 1] > moving; to--) at[to] = at[to - 1];
        at[to] = moving;
    }
}

static void build_table(struct build *b, struct counting *c)
{
    struct model *m = b->m;
    struct table *table = &m->tables[c->kind];
    isize items = (isize)m->items, most = m->options.cooc_row;
    struct { struct pair *at; isize n, cap; } pairs = { 0 };
    table->from = arena_new(&m->arena, u32, items + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    u64 *row = arena_new(&b->scratch, u64, items + 1);
    for (isize i = 0; i < items; i++) {
        table->from[i + 1] = (u32)pairs.n;
        if (!is_asked(b, i)) continue;
        c->touched_n = 0;
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) count_session(c, m, b->full[p], (u32)i);
        /* Products from the front, content from the back, the best of each; then both as one row. */
        isize products = 0, contents = 0;
        for (isize t = 0; t < c->touched_n; t++) {
            u32 other = c->touched[t];
            u64 place = place_of((f32)(c->together[other] / (c->own[i] * c->its[other] + c->shrink)), other);
            if (model_is_content(m, other)) row[items - ++contents] = place;
            else row[products++] = place;
            c->together[other] = 0;
        }
        sort_first(row, products, min_isize(products, most));
        sort_first(row + items - contents, contents, min_isize(contents, most));
        isize at = 0, also = items - contents;
        products = min_isize(products, most);
        contents = also + min_isize(contents, most);
        while (at < products || also < contents) {
            bool first = also == contents || (at < products && row[at] < row[also]);
            vec_push(&pairs, pair_of(first ? row[at++] : row[also++]));
        }
        table->from[i + 1] = (u32)pairs.n;
    }
    assert(pairs.n < (isize)UINT32_MAX);
    table->pairs = arena_new(&m->arena, struct pair, pairs.n + 1);
    if (pairs.n) memcpy(table->pairs, pairs.at, (size_t)pairs.n * sizeof *pairs.at);
    vec_fini(&pairs);
    arena_reset(&b->scratch, mark);
}

static void raise_to_norm(struct counting *c, const f64 *alone, isize items, f64 norm)
{
    bool cosine = norm >= .5 && norm <= .5;
    for (isize i = 0; i < items; i++) {
        c->own[i] = cosine ? sqrt(alone[i]) : pow(alone[i], 1 - norm);
        c->its[i] = cosine ? c->own[i] : pow(alone[i], norm);
    }
}

void build_tables(struct build *b)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    if (!builds(b, RECOMMENDER_COOC) && !builds(b, RECOMMENDER_RULES)) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    f64 *alone = arena_new(&b->scratch, f64, items + 1),
        *weight = arena_new(&b->scratch, f64, b->sessions + 1);
    for (isize i = 0; i < items; i++)
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) alone[i] += b->fresh[b->full[p]];
    for (isize s = 0; s < b->sessions; s++) {
        f64 n = (f64)(m->session_from[s + 1] - m->session_from[s]);
        weight[s] = b->fresh[s] / (m->options.cooc_length > 0 ? pow(n, m->options.cooc_length) : log2(1 + n));
    }
    struct counting c = { .own = arena_new(&b->scratch, f64, items + 1),
                          .its = arena_new(&b->scratch, f64, items + 1),
                          .together = arena_new(&b->scratch, f64, items + 1),
                          .touched = arena_new(&b->scratch, u32, items + 1) };
    if (builds(b, RECOMMENDER_COOC)) {
        c.kind = TABLE_COOC;
        c.shrink = m->options.cooc_shrink;
        raise_to_norm(&c, alone, items, m->options.cooc_norm);
        c.weight = weight;
        build_table(b, &c);
    }
    if (builds(b, RECOMMENDER_RULES)) {
        c.kind = TABLE_RULES;
        c.shrink = m->options.rules_shrink;
        raise_to_norm(&c, alone, items, m->options.rules_norm);
        c.weight = b->fresh;
        build_table(b, &c);
    }
    arena_reset(&b->scratch, mark);
}
