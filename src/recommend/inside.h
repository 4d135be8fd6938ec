/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share: the inside of a model, and lists of candidates. */
#ifndef RECOMMEND_INSIDE_H
#define RECOMMEND_INSIDE_H

#include "math/math.h"
#include "recommend/recommend.h"

enum {
    SESSION_ITEMS_MAX = 100,        /* distinct items kept of one session or basket; the latest */
    CONTEXT_MAX = 32,               /* items of the asking person that are looked at */
    DISTANCE_MAX = 15,              /* how far from the shared item a neighbour is read; e^-3 is left there */
    LIMIT_MAX = 1000,
};

/* Lists that do not depend on who asks. */
enum ranking_kind { RANKING_TRENDING, RANKING_BESTSELLERS, RANKING_POPULAR, RANKINGS };
struct ranking { struct scored *at; isize n; };

struct cooc { u32 item; f32 score; };

/* Sessions are numbered anew, newest first, so that an ascending posting list is newest first. */
struct model {
    arena arena;
    struct model_card card;
    struct recommend_options options;
    u32 items;
    u32 *session_from;              /* sessions + 1: where a session's items start */
    u32 *session_items;             /* distinct, in the order of their last appearance */
    f32 *session_weight;            /* what age leaves of it */
    u32 *posting_from;              /* items + 1 */
    u32 *postings;                  /* sessions that hold the item, newest first, capped */
    f32 *idf;
    u32 *row_from;                  /* items + 1 */
    struct cooc *rows;              /* best first */
    struct bitset *content;
    isize contents;                 /* how many; most shops have none, and then nobody looks */
    struct ranking rankings[2][RANKINGS];       /* [1]: of content */
    f64 position_weight[CONTEXT_MAX];           /* by how many items ago */
    f64 distance_weight[DISTANCE_MAX + 1];      /* by how far apart in the neighbour */
};

static inline bool model_is_content(const struct model *m, u32 item)
{
    return m->contents > 0 && bitset_test(m->content, item);
}

/* Candidates found by item, each once. */
struct tally { u32 *slots; isize mask; struct scored *at; isize n; };
struct tally tally_new(arena *a, isize most);
static inline isize tally_find(const struct tally *t, u32 item)     /* the slot it has, or may have */
{
    isize i = (isize)((item * 2654435761U) >> 7) & t->mask;
    while (t->slots[i] && t->at[t->slots[i] - 1].id != item) i = (i + 1) & t->mask;
    return i;
}
static inline void tally_add(struct tally *t, u32 item, f64 score)
{
    isize slot = tally_find(t, item);
    if (!t->slots[slot]) {
        t->at[t->n] = (struct scored){ 0, item };
        t->slots[slot] = (u32)++t->n;
    }
    t->at[t->slots[slot] - 1].score += score;
}

/* A session like the one asked about. `shared` has bit p when it holds the item of p items ago;
 * `anchor` is where in the neighbour the latest of these stands, `ago` its p. */
struct neighbour { u32 session, shared; f64 similarity; u32 anchor, ago; };
struct neighbours { struct neighbour *at; isize n; };

/* `items`: what the session asked about holds, latest first, distinct. */
struct neighbours sknn_neighbours(const struct model *m, const u32 *items, isize n, arena *a);
/* Every item of the neighbours but the latest, scored, in no order. */
struct tally sknn_score(const struct model *m, const struct neighbours *near, const u32 *items,
                        bool content, arena *a);
/* The same scores in their parts: what each neighbour gives each of its items, by way of the item
 * of `ago` items ago. For reasons. */
void sknn_shares(const struct model *m, const struct neighbours *near, void *ctx,
                 void (*gave)(void *ctx, u32 item, isize ago, f64 score));

#endif
