/* SPDX-License-Identifier: Apache-2.0
 *
 * together.c - what a shop assistant would add, and what instead.
 *
 *   bundles      pairs bought together: support (at least SUPPORT baskets) and lift (its lower
 *   bound above 1) are gates, the
 *                shrunk cosine is the order. Lift alone puts rumours first
 *   complements  of other leaf categories than the item's own: what baskets join, item by item; and
 *   where an item has too few
 *                baskets, the best sellers of the categories that its category is bought with more
 *                than chance would have it
 *   upsell       of the item's own leaf category and a higher tier: TIER_LEAST to TIER_MOST times
 *   its price, same currency, not
 *                for another gender; the more alike and the more sought the better
 *
 * Two things of one leaf category are substitutes: no bundle and no complement joins them. Baskets
 * are orders alone. */
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

enum { SUPPORT = 3, ROW = 50, CATEGORIES_JOINED = 6, OF_CATEGORY = 10, CATEGORIES_MOST = 4000 };
static const f64 tier_least = 1.1, tier_most = 2.5, below_baskets = .2;

struct joint { struct build *b; u32 *together, *touched; isize touched_n; f64 baskets; u32 *in; };

static bool fits(const struct good *a, const struct good *b)
{
    return !a->gender || !b->gender || a->gender == b->gender;
}
static bool substitutes(const struct good *a, const struct good *b)
{
    return a->category && a->category == b->category;
}

static void join(struct joint *j, u32 item)
{
    const struct model *m = j->b->m;
    j->touched_n = 0;
    for (u32 p = j->b->full_from[item]; p < j->b->full_from[item + 1]; p++) {
        u32 s = j->b->full[p];
        if (!j->b->spans[s].basket) continue;
        for (u32 at = m->session_from[s]; at < m->session_from[s + 1]; at++) {
            u32 other = m->session_items[at];
            if (other == item) continue;
            if (j->together[other]++ == 0) j->touched[j->touched_n++] = other;
        }
    }
}

struct rows { struct pair *at; isize n, cap; struct table *table; };

static void rows_open(struct rows *r, struct model *m, enum table_kind kind)
{
    r->table = &m->tables[kind];
    r->table->from = arena_new(&m->arena, u32, (isize)m->items + 1);
}

static void rows_add(struct rows *r, u32 item, struct topk *best)
{
    topk_finish(best);
    for (isize i = 0; i < best->n; i++)
        if (best->at[i].score > 0) vec_push(r, (struct pair){ best->at[i].id, (f32)best->at[i].score });
    r->table->from[item + 1] = (u32)r->n;
}

static void rows_close(struct rows *r, struct model *m)
{
    r->table->pairs = arena_new(&m->arena, struct pair, r->n + 1);
    if (r->n) memcpy(r->table->pairs, r->at, (size_t)r->n * sizeof *r->at);
    mem_free(r->at);
}

/* Categories bought with a category: by the lower bound of their lift, and the best sellers of each. */
struct categories {
    u32 n;                                              /* numbers below it */
    struct topk *joined;                                /* by category: categories */
    struct topk *best;                                  /* by category: items */
};

static struct categories read_categories(struct build *b, f64 baskets)
{
    struct model *m = b->m;
    struct categories c = { 0 };
    for (u32 i = 1; i < m->items; i++) c.n = b->goods[i].category >= c.n ? b->goods[i].category + 1 : c.n;
    /* a table of pairs: a taxonomy that big needs baskets item by item */
    if (c.n > CATEGORIES_MOST) c.n = 0;
    if (c.n == 0) return c;
    u32 *pairs = arena_new(&b->scratch, u32, (isize)c.n * c.n),
        *alone = arena_new(&b->scratch, u32, c.n), seen[64];
    for (isize s = 0; s < b->sessions; s++) {
        isize n = 0;
        for (u32 at = m->session_from[s];
             b->spans[s].basket && at < m->session_from[s + 1] && n < countof(seen); at++) {
            u32 category = b->goods[m->session_items[at]].category;
            isize k = 0;
            while (k < n && seen[k] != category) k++;
            if (category && k == n) seen[n++] = category;
        }
        for (isize x = 0; x < n; x++) {
            alone[seen[x]]++;
            for (isize y = 0; y < n; y++) pairs[(isize)seen[x] * c.n + seen[y]] += x != y;
        }
    }
    c.joined = arena_new(&b->scratch, struct topk, c.n);
    c.best = arena_new(&b->scratch, struct topk, c.n);
    for (u32 x = 1; x < c.n; x++) {
        c.joined[x] = topk_new(&b->scratch, CATEGORIES_JOINED);
        c.best[x] = topk_new(&b->scratch, OF_CATEGORY);
        for (u32 y = 1; y < c.n; y++) {
            f64 both = pairs[(isize)x * c.n + y];
            f64 lift = both >= SUPPORT ? (both - sqrt(both)) * baskets / ((f64)alone[x] * alone[y]) : 0;
            if (lift > 0) topk_add(&c.joined[x], y, lift);
        }
        topk_finish(&c.joined[x]);
    }
    for (u32 i = 1; i < m->items; i++)
        if (b->goods[i].category && b->goods[i].described)
            topk_add(&c.best[b->goods[i].category], i, (f64)m->ranked[RANKING_POPULAR][i] + 1e-9);
    return c;
}

static void complements_of(const struct joint *j, const struct categories *c, u32 item, struct topk *best)
{
    const struct build *b = j->b;
    const struct good *own = &b->goods[item];
    for (isize t = 0; t < j->touched_n; t++) {
        u32 other = j->touched[t];
        if (substitutes(own, &b->goods[other]) || !fits(own, &b->goods[other]) || !own->category
            || !b->goods[other].category)
            continue;
        topk_add(best, other, j->together[other] / (sqrt((f64)j->in[item] * j->in[other]) + 1));
    }
    if (!own->category || own->category >= c->n) return;
    const struct topk *joined = &c->joined[own->category];
    for (isize k = 0; k < joined->n; k++) {
        const struct topk *of = &c->best[joined->at[k].id];
        f64 tallest = 0;
        for (isize i = 0; i < of->n; i++) tallest = fmax(tallest, of->at[i].score);
        for (isize i = 0; i < of->n; i++) {
            u32 other = of->at[i].id;
            if (other == item || j->together[other] || !fits(own, &b->goods[other])) continue;
            topk_add(best, other,
                     below_baskets * joined->at[k].score / (1 + joined->at[0].score)
                         * (of->at[i].score / tallest));
        }
    }
}

static void bundles_of(const struct joint *j, u32 item, struct topk *best)
{
    const struct build *b = j->b;
    for (isize t = 0; t < j->touched_n; t++) {
        u32 other = j->touched[t];
        f64 both = j->together[other],
            lift = (both - sqrt(both)) * j->baskets / ((f64)j->in[item] * j->in[other]);
        if (both >= SUPPORT && lift > 1 && !substitutes(&b->goods[item], &b->goods[other]))
            topk_add(best, other, both / (sqrt((f64)j->in[item] * j->in[other]) + 1));
    }
}

static void upsell_of(const struct build *b, const u32 *of_category, isize n, u32 item, struct topk *best)
{
    const struct model *m = b->m;
    const struct good *own = &b->goods[item];
    const struct table *alike = &m->tables[TABLE_CONTENT];
    for (isize i = 0; own->minor > 0 && i < n; i++) {
        const struct good *g = &b->goods[of_category[i]];
        f64 tier = (f64)g->minor / (f64)own->minor;
        if (of_category[i] == item || g->currency != own->currency || tier < tier_least
            || tier > tier_most || !fits(own, g))
            continue;
        f64 close = .1;
        for (u32 p = alike->from ? alike->from[item] : 0; alike->from && p < alike->from[item + 1]; p++)
            if (alike->pairs[p].item == of_category[i]) close += (f64)alike->pairs[p].score;
        topk_add(best, of_category[i], close * log(2 + (f64)m->ranked[RANKING_POPULAR][of_category[i]]));
    }
}

static int by_category(const void *left, const void *right, void *ctx)
{
    const struct good *goods = ctx;
    u32 a = *(const u32 *)left, b = *(const u32 *)right;
    if (goods[a].category != goods[b].category) return goods[a].category < goods[b].category ? -1 : 1;
    return (a > b) - (a < b);
}

void build_together(struct build *b)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    u32 these = 1U << RECOMMENDER_COMPLEMENTS | 1U << RECOMMENDER_BUNDLES | 1U << RECOMMENDER_UPSELL
                | 1U << RECOMMENDER_OUTFIT;
    if (!builds_any(b, these) || items < 2) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    struct joint j = { .b = b,
                       .together = arena_new(&b->scratch, u32, items + 1),
                       .touched = arena_new(&b->scratch, u32, items + 1),
                       .in = arena_new(&b->scratch, u32, items + 1) };
    for (isize s = 0; s < b->sessions; s++) {
        j.baskets += b->spans[s].basket;
        for (u32 at = m->session_from[s]; b->spans[s].basket && at < m->session_from[s + 1]; at++)
            j.in[m->session_items[at]]++;
    }
    struct categories c = read_categories(b, j.baskets);
    u32 *order = arena_new(&b->scratch, u32, items), *place = arena_new(&b->scratch, u32, items + 1);
    isize order_n = 0;
    for (u32 i = 1; i < m->items; i++)
        if (b->goods[i].category && b->goods[i].described && !b->goods[i].content) order[order_n++] = i;
    qsort_r(order, (size_t)order_n, sizeof *order, by_category, b->goods);
    for (isize i = 0; i < order_n; i++) place[order[i]] = (u32)i + 1;
    struct rows bundles = { 0 }, complements = { 0 }, upsell = { 0 };
    rows_open(&bundles, m, TABLE_BUNDLES);
    rows_open(&complements, m, TABLE_COMPLEMENTS);
    rows_open(&upsell, m, TABLE_UPSELL);
    struct arena_mark inner = arena_mark(&b->scratch);
    for (u32 i = 0; i < m->items; i++) {
        arena_reset(&b->scratch, inner);
        struct topk bundled = topk_new(&b->scratch, ROW), completing = topk_new(&b->scratch, ROW),
                    higher = topk_new(&b->scratch, ROW);
        join(&j, i);
        bundles_of(&j, i, &bundled);
        complements_of(&j, &c, i, &completing);
        if (place[i]) {
            isize from = (isize)place[i] - 1, to = from;
            while (from > 0 && b->goods[order[from - 1]].category == b->goods[i].category) from--;
            while (to < order_n && b->goods[order[to]].category == b->goods[i].category) to++;
            upsell_of(b, order + from, min_isize(to - from, 1000), i, &higher);
        }
        rows_add(&bundles, i, &bundled);
        rows_add(&complements, i, &completing);
        rows_add(&upsell, i, &higher);
        for (isize t = 0; t < j.touched_n; t++) j.together[j.touched[t]] = 0;
    }
    rows_close(&bundles, m);
    rows_close(&complements, m);
    rows_close(&upsell, m);
    arena_reset(&b->scratch, mark);
}
