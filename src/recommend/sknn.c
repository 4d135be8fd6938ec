/* SPDX-License-Identifier: Apache-2.0
 *
 * sknn.c - sessions like this one, and what else they held.
 *
 * V-SkNN (Ludewig and Jannach 2018) with the exponential decays of STAN (Garg et al. 2019), kept in the index of
 * VMIS-kNN (Kersbergen, Sprangers and Schelter 2022):
 *
 *   similarity(n) = age(n) * sum over shared items of w(p),  p items ago, w(p) = exp(-p / position_decay)
 *   score(i)      = sum over neighbours with i of similarity * w(p*) * exp(-distance / 5) * idf(i)
 *
 * p* is the latest shared item and `distance` how far i stands from it in the neighbour. Of the sessions that hold any item of this
 * one the newest sessions_per_item are met, found by number in a small hash table; a posting says where in the session its item
 * stands, so the first list that names a session, the latest item's, names p* and its place too. No table over all sessions is
 * needed: the cost is what is met, however large the shop.
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

enum { LINES_AHEAD = 4, LINE_POSTINGS = 64 / (int)sizeof(u32) };

/* Posting lists by the place of their item, each ascending: newest first. */
struct lists_met { struct { const u32 *next, *end; } at[CONTEXT_MAX]; isize n; };

/* Sessions below the number given back are at most `left`: the newest of all. Where more are ahead, each list is read no further than its
 * share of them, so some are left for the next time; at least one session is below. */
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
        u32 session = lists->at[p].next[each] + (each == 0);
        until = session < until ? session : until;
    }
    return until;
}

/* The k-th largest of n; `reach`: how many are no less. They are moved about. What runs through counts and copies and never jumps: which side
 * of the middle one is on nobody can guess. */
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

/* A session that was met. `anchor` is where in it the latest item it shares with the one asked about stands, `ago` how many items ago
 * that was. */
struct neighbour { u32 session; f32 similarity; u8 anchor, ago; };

/* Keeps the `wanted` likest where they stand, of the equally like the newest. Floats not below zero are ordered as their bits are. */
static isize likest(struct neighbour *met, isize n, isize wanted, arena *a)
{
    if (n <= wanted) return n;
    i32 *some = arena_room(a, i32, n);
    isize reach, kept = 0, equal = 0;
    for (isize i = 0; i < n; i++) memcpy(&some[i], &met[i].similarity, sizeof *some);
    i32 bar = bar_of(some, n, wanted, &reach);
    f32 least;
    memcpy(&least, &bar, sizeof least);
    u32 oldest = UINT32_MAX;
    if (reach > wanted) {                               /* many stand at the bar: the newest of them */
        for (isize i = 0; i < n; i++) {
            some[equal] = INT32_MAX - (i32)met[i].session;
            equal += met[i].similarity <= least && met[i].similarity >= least;
        }
        oldest = (u32)(INT32_MAX - bar_of(some, equal, wanted - (reach - equal), &reach));
    }
    for (isize i = 0; i < n; i++) {
        struct neighbour is = met[i];
        met[kept] = is;
        kept += is.similarity > least || (is.similarity >= least && is.session <= oldest);
    }
    return kept;
}

static struct stretch stretch_of(const struct model *m, const struct neighbour *near, const u32 *items)
{
    const u32 *bounds = &m->session_from[near->session], *held = m->session_items + bounds[0];
    isize held_n = (isize)(bounds[1] - bounds[0]), at = near->anchor;
    if (at == PLACE_FAR)                                /* a posting names only sessions that hold its item */
        while (held[at] != items[near->ago]) at++;
    isize from = max_isize(0, at - DISTANCE_MAX), to = min_isize(held_n, at + DISTANCE_MAX + 1);
    return (struct stretch){ held + from, m->distance_weight + DISTANCE_MAX - at + from, near->similarity * m->position_weight[near->ago],
                             (u8)(to - from), near->ago };
}

struct neighbours sknn_neighbours(const struct model *m, const u32 *items, isize n, isize wanted, arena *a)
{
    struct lists_met lists = { .n = min_isize(n, m->options.session_items) };
    isize longest = 0;
    /* Lists and sessions lie all over the memory: what will be read is sent for before, so that the waits are one wait. */
    for (isize p = 0; p < lists.n; p++) {
        bool known = items[p] < m->items;
        isize from = known ? m->posting_from[items[p]] : 0, end = known ? m->posting_from[items[p] + 1] : 0;
        lists.at[p].next = m->postings + from;
        lists.at[p].end = m->postings + end;
        longest += end - from;
        __builtin_prefetch(m->posting_place + from);
        __builtin_prefetch(m->posting_weight + from);
        __builtin_prefetch(m->posting_weight + from + LINE_POSTINGS);
        for (isize line = 0; line < LINES_AHEAD && from + line * LINE_POSTINGS < end; line++) __builtin_prefetch(m->postings + from + line * LINE_POSTINGS);
    }
    isize most = min_isize(longest, m->options.sessions_per_item), met_n = 0, slots = 64;
    while (slots < 2 * most) slots *= 2;
    u32 *slot = arena_new(a, u32, slots), mask = (u32)slots - 1;
    struct neighbour *met = arena_room(a, struct neighbour, most + 1);
    for (u32 until = 0; met_n < most && until < UINT32_MAX;) {
        until = met_until(&lists, most - met_n);
        for (isize p = 0; p < lists.n; p++) {
            const u32 *next = lists.at[p].next, *end = lists.at[p].end;
            const u8 *place = m->posting_place + (next - m->postings);
            const u16 *left = m->posting_weight + (next - m->postings);
            f32 weight = m->position_weight[p];
            for (; next < end && *next < until; next++, place++, left++) {
                u32 session = *next, i = item_hash(session) & mask, at;
                while ((at = slot[i]) && met[at - 1].session != session) i = (i + 1) & mask;
                f32 alike = weight * weight_unpacked(*left);
                if (at) { met[at - 1].similarity += alike; continue; }
                met[met_n++] = (struct neighbour){ session, alike, *place, (u8)p };
                slot[i] = (u32)met_n;
            }
            lists.at[p].next = next;
        }
    }
    assert(met_n <= most);
    met_n = likest(met, met_n, wanted, a);
    for (isize i = 0; i < met_n; i++) __builtin_prefetch(&m->session_from[met[i].session]);
    for (isize i = 0; i < met_n; i++) {
        const u32 *from = &m->session_from[met[i].session];
        __builtin_prefetch(m->session_items + from[0]);
        __builtin_prefetch(m->session_items + min_isize(from[1], from[0] + 2 * DISTANCE_MAX) - 1);
    }
    struct neighbours out = { .of = m, .at = arena_room(a, struct stretch, met_n), .n = met_n };
    for (isize i = 0; i < met_n; i++) {
        out.at[i] = stretch_of(m, &met[i], items);
        out.items += out.at[i].n;
    }
    return out;
}

/* `contents` is known where it is called: most shops have none, and then nobody looks. */
__attribute__((always_inline)) static inline void score(const struct model *m, const struct neighbours *near, bool contents, bool content,
                                                        struct adding *to)
{
    const f32 *idf = near->of->idf;
    for (isize i = 0; i < near->n; i++) {
        struct stretch s = near->at[i];
        u32 by = gift_from(RECOMMENDER_SESSION, s.ago);
        for (isize j = 0; j < s.n; j++) {
            u32 item = s.items[j];
            if (contents && model_is_content(m, item) != content) continue;
            pool_add(to, item, s.weight * s.distance[j] * idf[item], by);
        }
    }
}

void sknn_score(const struct model *m, const struct neighbours *near, bool content, struct pool *pool, isize column)
{
    if (content && m->contents == 0) return;
    pool_room(pool, near->items);
    struct adding to = pool_adding(pool, column);
    if (m->contents > 0) score(m, near, true, content, &to);
    else score(m, near, false, content, &to);
    pool_added(pool, to);
}
