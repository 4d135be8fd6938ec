/* SPDX-License-Identifier: Apache-2.0
 *
 * replenish.c - when what was used up is wanted again.
 *
 * The catalogue may say it (repurchase_days). Where it does not, it is learnt: the gaps between one
 * person's orders of an item, their median drawn towards the median of the item's category as if
 * PRIOR gaps of that had been seen. An item bought once a lifetime has a gap now and then, too:
 * learnt is only what at least GAPS_LEAST gaps and REPEAT_LEAST of its buyers show. */
#include "recommend/inside.h"

#include <stdlib.h>

enum { GAPS_LEAST = 3, PRIOR = 3 };
static const f64 repeat_least = .15;

struct bought { u32 item, person; i64 at_ms; };
struct gap { u32 item, category; f32 days; };

static int by_person(const void *left, const void *right)
{
    const struct bought *a = left, *b = right;
    if (a->item != b->item) return a->item < b->item ? -1 : 1;
    if (a->person != b->person) return a->person < b->person ? -1 : 1;
    return (a->at_ms > b->at_ms) - (a->at_ms < b->at_ms);
}

static int by_days(const struct gap *a, const struct gap *b)
{
    return (a->days > b->days) - (a->days < b->days);
}
static int gaps_by_category(const void *left, const void *right)
{
    const struct gap *a = left, *b = right;
    return a->category != b->category ? (a->category < b->category ? -1 : 1) : by_days(a, b);
}
static int gaps_by_item(const void *left, const void *right)
{
    const struct gap *a = left, *b = right;
    return a->item != b->item ? (a->item < b->item ? -1 : 1) : by_days(a, b);
}

void build_replenish(struct build *b)
{
    struct model *m = b->m;
    m->repurchase_days = arena_new(&m->arena, f32, (isize)m->items + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    struct bought *at = arena_new(&b->scratch, struct bought, b->n + 1);
    isize n = 0, gaps_n = 0;
    for (isize i = 0; i < b->n; i++)
        if (b->all[i].kind == INTERACTION_PURCHASED && b->all[i].person)
            at[n++] = (struct bought){ b->all[i].item, b->all[i].person, b->all[i].at_ms };
    qsort(at, (size_t)n, sizeof *at, by_person);
    struct gap *gaps = arena_new(&b->scratch, struct gap, n + 1);
    u32 *buyers = arena_new(&b->scratch, u32, (isize)m->items + 1),
        *again = arena_new(&b->scratch, u32, (isize)m->items + 1);
    for (isize i = 0, counted = 0; i < n; i++) {
        bool first = i == 0 || at[i].item != at[i - 1].item || at[i].person != at[i - 1].person;
        if (first) { buyers[at[i].item]++; counted = 0; continue; }
        f64 days = (f64)(at[i].at_ms - at[i - 1].at_ms) / (f64)DAY_MS;
        if (days < 1) continue;                         /* two orders of one day are one want */
        again[at[i].item] += counted++ == 0;
        gaps[gaps_n++] = (struct gap){ at[i].item, b->goods[at[i].item].category, (f32)days };
    }
    u32 categories = 0;
    for (isize i = 0; i < gaps_n; i++)
        categories = gaps[i].category >= categories ? gaps[i].category + 1 : categories;
    f32 *usual = arena_new(&b->scratch, f32, (isize)categories + 1);
    qsort(gaps, (size_t)gaps_n, sizeof *gaps, gaps_by_category);
    for (isize i = 0, to; i < gaps_n; i = to) {
        for (to = i; to < gaps_n && gaps[to].category == gaps[i].category;) to++;
        usual[gaps[i].category] = gaps[i + (to - i) / 2].days;
    }
    qsort(gaps, (size_t)gaps_n, sizeof *gaps, gaps_by_item);
    for (isize i = 0, to; i < gaps_n; i = to) {
        for (to = i; to < gaps_n && gaps[to].item == gaps[i].item;) to++;
        u32 item = gaps[i].item;
        if (to - i < GAPS_LEAST || again[item] < repeat_least * buyers[item]) continue;
        f64 own = (f64)gaps[i + (to - i) / 2].days, all = (f64)usual[gaps[i].category], seen = (f64)(to - i);
        m->repurchase_days[item] = (f32)((seen * own + PRIOR * all) / (seen + PRIOR));
    }
    for (u32 i = 1; i < m->items; i++)
        if (b->goods[i].repurchase_days > 0) m->repurchase_days[i] = (f32)b->goods[i].repurchase_days;
    arena_reset(&b->scratch, mark);
}

f64 model_repurchase_days(const struct model *m, u32 item)
{
    return m && item < m->items ? (f64)m->repurchase_days[item] : 0;
}
