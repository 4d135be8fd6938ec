/* SPDX-License-Identifier: Apache-2.0
 *
 * sknn.c - sessions like this one, and what else they held.
 *
 * V-SkNN (Ludewig and Jannach 2018) with the exponential decays of STAN (Garg et al. 2019) and the
 * walk of VMIS-kNN (Kersbergen, Sprangers and Schelter 2022):
 *
 *   similarity(n) = age(n) * sum over shared items of w(p),  p items ago, w(p) = exp(-p / position_decay)
 *   score(i)      = sum over neighbours with i of similarity * w(p*) * exp(-distance / 5) * idf(i)
 *
 * p* is the latest shared item and `distance` how far i stands from it in the neighbour. The posting
 * lists of the session's items are merged; all run newest first, so the merge meets sessions newest
 * first with all their shared items at once, and stops after sessions_per_item of them. No table over
 * all sessions is needed: the cost is what is met, however large the shop.
 *
 * Only the latest item is left out. One next click in three goes back to an item seen earlier in
 * the session; to hide those costs more than half of all hits. */
#include "recommend/inside.h"

struct tally tally_new(arena *a, isize expected)
{
    isize slots = 16;
    while (slots < 2 * expected) slots *= 2;
    return (struct tally){ arena_new(a, u32, slots), slots - 1, arena_room(a, struct scored, slots / 2 + 1), 0, a };
}

struct tally tally_grown(struct tally t)
{
    struct tally bigger = tally_new(t.a, t.mask + 1);
    memcpy(bigger.at, t.at, (size_t)t.n * sizeof *t.at);
    bigger.n = t.n;
    for (isize k = 0; k < t.n; k++) {
        isize i = tally_slot(&bigger, t.at[k].id);
        while (bigger.slots[i]) i = (i + 1) & bigger.mask;
        bigger.slots[i] = (u32)k + 1;
    }
    return bigger;
}

/* Where in the neighbour's items the latest shared one stands, and how recent that is for us. */
static void find_anchor(const struct model *m, struct neighbour *near, const u32 *items)
{
    near->ago = (u32)__builtin_ctz(near->shared);
    u32 from = m->session_from[near->session], to = m->session_from[near->session + 1], at = from;
    while (at < to && m->session_items[at] != items[near->ago]) at++;
    assert(at < to);                                    /* a posting names only sessions that hold its item */
    near->anchor = at - from;
}

/* Posting lists that are being merged, by the place of their item. In the queue stand the next session of each, above its list's place,
 * falling: the newest is the last. */
struct merge { struct { const u32 *next, *end; } lists[CONTEXT_MAX]; u64 queue[CONTEXT_MAX]; isize n; };
enum { PLACE_BITS = 8 };

static void merge_put(struct merge *g, isize place)
{
    if (g->lists[place].next == g->lists[place].end) return;
    u64 key = (u64)*g->lists[place].next << PLACE_BITS | (u64)place;
    isize i = g->n++;
    for (; i > 0 && g->queue[i - 1] < key; i--) g->queue[i] = g->queue[i - 1];
    g->queue[i] = key;
}

static u32 merge_session(const struct merge *g) { return (u32)(g->queue[g->n - 1] >> PLACE_BITS); }

static isize merge_take(struct merge *g)
{
    isize place = (isize)(g->queue[--g->n] & ((1 << PLACE_BITS) - 1));
    g->lists[place].next++;
    merge_put(g, place);
    return place;
}

/* Keeps the `wanted` likest where they stand, of the equally like the newest; `alike` has the likenesses, to be moved about. */
static isize likest(struct neighbour *met, isize n, f32 *alike, isize wanted)
{
    if (n <= wanted) return n;
    f32 least = largest(alike, n, wanted);
    isize kept = 0, equals = wanted;
    for (isize i = 0; i < n; i++) equals -= (f32)met[i].similarity > least;
    for (isize i = 0; i < n; i++) {
        f32 is = (f32)met[i].similarity;
        if (is >= least && (is > least || equals-- > 0)) met[kept++] = met[i];
    }
    return kept;
}

struct neighbours sknn_neighbours(const struct model *m, const u32 *items, isize n, isize wanted, arena *a)
{
    struct merge g = { .n = 0 };
    isize longest = 0;
    for (isize p = 0; p < min_isize(n, m->options.session_items); p++) {
        if (items[p] >= m->items) continue;
        g.lists[p].next = m->postings + m->posting_from[items[p]];
        g.lists[p].end = m->postings + m->posting_from[items[p] + 1];
        longest += g.lists[p].end - g.lists[p].next;
        merge_put(&g, p);
    }
    isize most = min_isize(longest, m->options.sessions_per_item), met_n = 0;
    struct neighbour *met = arena_room(a, struct neighbour, most + 1);
    /* Sessions lie all over the memory: what is read of each is sent for before, so that the waits are one wait. */
    while (g.n > 0 && met_n < most) {
        struct neighbour *near = &met[met_n];
        *near = (struct neighbour){ .session = merge_session(&g) };
        while (g.n > 0 && merge_session(&g) == near->session) {
            isize place = merge_take(&g);
            near->shared |= 1U << place;
            near->similarity += m->position_weight[place];
        }
        __builtin_prefetch(&m->session_weight[near->session]);
        met_n++;
    }
    f32 *alike = arena_room(a, f32, met_n + 1);
    for (isize i = 0; i < met_n; i++) {
        met[i].similarity *= (f64)m->session_weight[met[i].session];
        alike[i] = (f32)met[i].similarity;
    }
    struct neighbours out = { m, met, likest(met, met_n, alike, wanted) };
    for (isize i = 0; i < out.n; i++) __builtin_prefetch(&m->session_from[out.at[i].session]);
    for (isize i = 0; i < out.n; i++) __builtin_prefetch(&m->session_items[m->session_from[out.at[i].session]]);
    for (isize i = 0; i < out.n; i++) find_anchor(m, &out.at[i], items);
    return out;
}

/* The part of a neighbour that is read: up to DISTANCE_MAX items either side of where it meets us.
 * A basket of a hundred lines is not a hundred times as telling, and would cost so. */
struct stretch { const u32 *items; isize from, to, at; f64 weight; };

static struct stretch stretch_of(const struct model *m, const struct neighbour *near)
{
    u32 from = m->session_from[near->session];
    isize held = (isize)(m->session_from[near->session + 1] - from), at = (isize)near->anchor;
    return (struct stretch){
        m->session_items + from, max_isize(0, at - DISTANCE_MAX), min_isize(held, at + DISTANCE_MAX + 1), at,
        near->similarity * m->position_weight[near->ago],
    };
}

static f64 stretch_score(const struct model *m, const struct stretch *s, isize j)
{
    isize distance = j < s->at ? s->at - j : j - s->at;
    return s->weight * m->distance_weight[distance] * (f64)m->idf[s->items[j]];
}

struct tally sknn_score(const struct model *m, const struct neighbours *near, isize sets, u32 latest, bool content, arena *a)
{
    isize most = 0, items = 0;
    for (isize set = 0; set < sets; set++) {
        items += near[set].of->card.items;
        for (isize i = 0; i < near[set].n; i++) {
            struct stretch s = stretch_of(near[set].of, &near[set].at[i]);
            most += s.to - s.from;
        }
    }
    struct tally tally = tally_new(a, min_isize(most, items));
    const bool contents = m->contents > 0;
    for (isize set = 0; set < sets; set++) {
        const struct model *of = near[set].of;
        const f32 *idf = of->idf;
        for (isize i = 0; i < near[set].n; i++) {
            struct stretch s = stretch_of(of, &near[set].at[i]);
            for (isize j = s.from; j < s.to; j++) {
                u32 item = s.items[j];
                if (item != latest && (contents && model_is_content(m, item)) == content)
                    tally_add(&tally, item, s.weight * of->distance_weight[j < s.at ? s.at - j : j - s.at] * (f64)idf[item]);
            }
        }
    }
    return tally;
}

void sknn_shares(const struct neighbours *near, u64 wanted, void *ctx,
                 void (*gave)(void *ctx, u32 item, isize ago, f64 score))
{
    const struct model *m = near->of;
    for (isize i = 0; i < near->n; i++) {
        struct stretch s = stretch_of(m, &near->at[i]);
        for (isize j = s.from; j < s.to; j++)
            if (wanted >> (s.items[j] & 63) & 1) gave(ctx, s.items[j], (isize)near->at[i].ago, stretch_score(m, &s, j));
    }
}
