/* SPDX-License-Identifier: Apache-2.0
 *
 * sknn.c - sessions like this one, and what else they held.
 *
 * V-SkNN (Ludewig and Jannach 2018) with the exponential decays of STAN (Garg et al. 2019), kept in
 * the index of VMIS-kNN (Kersbergen, Sprangers and Schelter 2022):
 *
 *   similarity(n) = age(n) * sum over shared items of w(p),  p items ago, w(p) = exp(-p / position_decay)
 *   score(i)      = sum over neighbours with i of similarity * w(p*) * exp(-distance / 5) * idf(i)
 *
 * p* is the latest shared item and `distance` how far i stands from it in the neighbour. Of the
 * sessions that hold any item of this one the newest sessions_per_item are met, found by number in
 * a small hash table; a posting says where in the session its item stands, so the first list that
 * names a session, the latest item's, names p* and its place too. No table over all sessions is
 * needed: the cost is what is met, however large the shop.
 *
 * Only the latest item is left out. One next click in three goes back to an item seen earlier in
 * the session; to hide those costs more than half of all hits. */
#include "recommend/inside.h"

struct tally tally_new(arena *a, isize expected)
{
    isize slots = 16;
    while (slots < 2 * expected) slots *= 2;
    return (struct tally){ arena_new(a, u32, slots), slots - 1,
                           arena_room(a, struct scored, slots / 2 + 1), 0, a };
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

enum { LINES_AHEAD = 6, LINE_POSTINGS = 64 / (int)sizeof(struct posting) };

/* Posting lists by the place of their item, each ascending: newest first. */
struct lists_met { struct { const struct posting *next, *end; } at[CONTEXT_MAX]; isize n, postings; };

/* Sessions that start below what is given back are at most `left`: the newest of all. Where more
 * are ahead, each list is read no further than its share of them, so some are left for the next
 * time; at least one session is below. */
static u32 met_until(const struct lists_met *lists, isize left)
{
    isize ahead = 0, some = 0;
    for (isize p = 0; p < lists->n; p++) {
        ahead += lists->at[p].end - lists->at[p].next;
        some += lists->at[p].next < lists->at[p].end;
    }
    if (ahead <= left) return UINT32_MAX;
    isize each = left / some;
    u32 until = UINT32_MAX;
    for (isize p = 0; p < lists->n; p++) {
        if (lists->at[p].end - lists->at[p].next <= each) continue;
        u32 from = lists->at[p].next[each].from + (each == 0);
        until = from < until ? from : until;
    }
    return until;
}

/* The k-th largest of n; `reach`: how many are no less. They are moved about. What runs through
 * counts and copies and never jumps: which side of the middle one is on nobody can guess. */
static i32 bar_of(i32 *at, isize n, isize k, isize *reach)
{
    for (*reach = 0;;) {
        i32 a = at[0], b = at[n / 2], c = at[n - 1], low = a < b ? a : b, high = a < b ? b : a;
        i32 middle = c < low ? low : c > high ? high : c, above = 0, below = 0;
        for (isize i = 0; i < n; i++) above += at[i] > middle;
        for (isize i = 0; i < n; i++) below += at[i] < middle;
        bool up = above >= k;
        if (!up && n - below >= k) {
            *reach += n - below;
            return middle;
        }
        isize kept = 0;
        if (!up) {
            *reach += n - below;
            k -= n - below;
        }
        for (isize i = 0; i < n; i++) {
            i32 is = at[i];
            at[kept] = is;
            kept += up ? is > middle : is < middle;
        }
        n = kept;
    }
}

/* The `wanted` of n that are most alike, by place, in order; of the equally alike the first, which
 * are the newest of a list. Floats not below zero are ordered as their bits are. */
static isize likest(const f32 *alike, isize n, isize wanted, u32 *out, arena *a)
{
    /* spare: so many more are no less alike than the last that is wanted */
    isize to = min_isize(n, wanted), spare = 0;
    f32 least = 0;
    if (n > wanted) {
        i32 *some = arena_room(a, i32, n);
        memcpy(some, alike, (size_t)n * sizeof *some);
        i32 bar = bar_of(some, n, wanted, &spare);
        memcpy(&least, &bar, sizeof least);
        spare -= wanted;
    }
    for (isize i = n; to > 0;) {
        out[to - 1] = (u32)--i;
        bool reaches = alike[i] >= least, drop = reaches & (alike[i] <= least) & (spare > 0);
        spare -= drop;
        to -= reaches & !drop;
    }
    return min_isize(n, wanted);
}

/* Where in a session that was met the latest item it shares with the one asked about stands, as its
 * posting says, and how many items ago that was. */
struct meeting { u8 place, after, ago; };

/* Everybody met: a row each, and how alike it is. What was found since the build is an index of its
 * own, whose sessions are named as if they came after those of the build. */
struct meetings { struct pool met; isize column; struct adding to; struct meeting *at; isize most; };

static u32 entries_of(const struct model *m) { return m->session_from[m->card.sessions]; }

static struct lists_met lists_of(const struct model *m, const u32 *items, isize n)
{
    struct lists_met lists = { .n = n };
    /* Lists and sessions lie all over the memory: what will be read is sent for before, so that the
     * waits are one wait. */
    for (isize p = 0; p < n; p++) {
        bool known = items[p] < m->items;
        isize from = known ? m->posting_from[items[p]] : 0, end = known ? m->posting_from[items[p] + 1] : 0;
        lists.at[p].next = m->postings + from;
        lists.at[p].end = m->postings + end;
        lists.postings += end - from;
        for (isize line = 0; line < LINES_AHEAD && from + line * LINE_POSTINGS < end; line++)
            __builtin_prefetch(m->postings + from + line * LINE_POSTINGS);
    }
    return lists;
}

static void meet(struct meetings *all, const struct model *m, struct lists_met *lists, u32 named_from)
{
    struct adding to = all->to;
    for (u32 until = 0; (isize)to.n < all->most && until < UINT32_MAX;) {
        until = met_until(lists, all->most - (isize)to.n);
        for (isize p = 0; p < lists->n; p++) {
            const struct posting *next = lists->at[p].next, *end = lists->at[p].end;
            f32 weight = m->position_weight[p];
            for (; next < end && next->from < until; next++) {
                /* of the next row: stays if it is one */
                all->at[to.n] = (struct meeting){ next->place, next->after, (u8)p };
                pool_add(&to, named_from + next->from, weight * weight_unpacked(next->weight), 0);
            }
            lists->at[p].next = next;
        }
    }
    all->to = to;
}

static struct stretch stretch_of(const struct model *m, u32 from, f32 alike, struct meeting met,
                                 const u32 *items)
{
    const u32 *held = m->session_items + from;
    isize at = met.place;
    if (at == PLACE_FAR)                                /* a posting names only sessions that hold its item */
        while (held[at] != items[met.ago]) at++;
    isize before = min_isize(at, DISTANCE_MAX);
    return (struct stretch){ held + at - before,
                             m->distance_weight + DISTANCE_MAX - before,
                             m->idf,
                             alike * m->position_weight[met.ago],
                             (u8)(before + 1 + met.after),
                             met.ago };
}

struct neighbours sknn_neighbours(const struct model *m, const struct model *fresh,
                                  const u32 *items, isize n, isize wanted, arena *a)
{
    n = min_isize(n, m->options.session_items);
    u32 old = entries_of(m);
    struct lists_met latest = fresh ? lists_of(fresh, items, n) : (struct lists_met){ 0 },
                     lists = lists_of(m, items, n);
    isize most = min_isize(latest.postings + lists.postings, m->options.sessions_per_item);
    struct meetings all = { .met = pool_new(a, most, true),
                            .at = arena_room(a, struct meeting, most + 1),
                            .most = most };
    all.column = pool_open(&all.met);
    all.to = pool_adding(&all.met, all.column);
    if (fresh) meet(&all, fresh, &latest, old);
    meet(&all, m, &lists, 0);
    pool_added(&all.met, all.to);
    assert(all.met.n <= most);
    const f32 *alike = all.met.column[all.column];
    u32 *row = arena_room(a, u32, min_isize(all.met.n, wanted));
    struct neighbours out = { .n = likest(alike, all.met.n, wanted, row, a) };
    out.at = arena_room(a, struct stretch, out.n);
    for (isize i = 0; i < out.n; i++) {
        u32 named = all.met.item[row[i]];
        bool is_new = named >= old;
        struct stretch s = out.at[i] = stretch_of(is_new ? fresh : m, is_new ? named - old : named,
                                                  alike[row[i]], all.at[row[i]], items);
        __builtin_prefetch(s.items);
        __builtin_prefetch(s.items + s.n - 1);
        out.items += s.n;
    }
    return out;
}

/* `contents` is known where it is called: most shops have none, and then nobody looks. */
__attribute__((always_inline)) static inline void score(const struct model *m,
                                                        const struct neighbours *near,
                                                        bool contents, bool content,
                                                        struct adding *to)
{
    for (isize i = 0; i < near->n; i++) {
        struct stretch s = near->at[i];
        u32 by = gift_from(RECOMMENDER_SESSION, s.ago);
        for (isize j = 0; j < s.n; j++) {
            u32 item = s.items[j];
            if (contents && model_is_content(m, item) != content) continue;
            pool_add(to, item, s.weight * s.distance[j] * s.idf[item], by);
        }
    }
}

void sknn_score(const struct model *m, const struct neighbours *near, bool content,
                struct pool *pool, isize column)
{
    if (content && m->contents == 0) return;
    pool_room(pool, near->items);
    struct adding to = pool_adding(pool, column);
    if (m->contents > 0) score(m, near, true, content, &to);
    else score(m, near, false, content, &to);
    pool_added(pool, to);
}
