/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - what may be listed, gathered before anything is listed.
 *
 * A recommender that adds up what it finds does so in a column of its own; an item found by several
 * has one row. So a row holds all that is said for an item, the blend is a sum over columns that
 * runs at the speed of memory, and nothing is looked up again. Who gave what is written down as it
 * is added, each gift pointing at the one before it of the same item: a reason costs a walk over
 * what that item was given and no second pass over everything.
 *
 * Arrays begin as large as is likely and double; a hash table of rows, half full at most, finds an item. */
#include "recommend/inside.h"

enum { ROWS_LEAST = 256 };

/* A copy of the first n with room for cap and a block, zero from there. */
static void *widened(struct pool *p, const void *at, isize n, isize cap, isize size)
{
    u8 *wide = arena_take(p->a, size, 16, cap + POOL_BLOCK);
    if (n) memcpy(wide, at, (size_t)(n * size));
    memset(wide + n * size, 0, (size_t)((cap + POOL_BLOCK - n) * size));
    return wide;
}

static void pool_sized(struct pool *p, isize cap)
{
    p->cap = cap;
    u32 *item = arena_room(p->a, u32, 1 + cap + POOL_BLOCK);
    if (p->n) memcpy(item + 1, p->item, (size_t)p->n * sizeof *item);
    p->item = item + 1;
    p->gifts = widened(p, p->gifts, p->n, cap, (isize)sizeof *p->gifts);
    p->state = widened(p, p->state, p->n, cap, (isize)sizeof *p->state);
    for (isize c = 0; c < p->columns; c++)
        p->column[c] = widened(p, p->column[c], p->n, cap, (isize)sizeof **p->column);
    p->slots = arena_new(p->a, u32, 2 * cap);
    p->mask = 2 * cap - 1;
    for (isize row = 0; row < p->n; row++) {
        isize i = (isize)item_hash(p->item[row]) & p->mask;
        while (p->slots[i]) i = (i + 1) & p->mask;
        p->slots[i] = (u32)row + 1;
    }
}

struct pool pool_new(arena *a, isize expected, bool silent)
{
    struct pool p = { .a = a, .silent = silent };
    isize cap = ROWS_LEAST;
    while (cap < expected) cap *= 2;
    pool_sized(&p, cap);
    return p;
}

void pool_forget(struct pool *p)
{
    p->gift_n = 0;
    memset(p->gifts, 0, (size_t)p->n * sizeof *p->gifts);
}

isize pool_open(struct pool *p)
{
    assert(p->columns < RECOMMENDERS);
    p->column[p->columns] = widened(p, NULL, 0, p->cap, (isize)sizeof **p->column);
    return p->columns++;
}

void pool_room(struct pool *p, isize rows)
{
    isize cap = p->cap;
    while (cap < p->n + rows) cap *= 2;
    if (cap > p->cap) pool_sized(p, cap);
    if (p->silent || p->gift_n + rows <= p->gift_cap) return;
    p->gift_cap = max_isize(2 * p->gift_cap, p->gift_n + max_isize(rows, 2 * p->cap));
    struct gift *gift = arena_room(p->a, struct gift, p->gift_cap);
    if (p->gift_n) memcpy(gift, p->gift, (size_t)p->gift_n * sizeof *gift);
    p->gift = gift;
}

isize pool_find(const struct pool *p, u32 item)
{
    for (isize i = (isize)item_hash(item) & p->mask;; i = (i + 1) & p->mask) {
        isize row = (isize)p->slots[i] - 1;
        if (row < 0 || p->item[row] == item) return row;
    }
}

isize pool_row(struct pool *p, u32 item)
{
    isize row = pool_find(p, item);
    if (row >= 0) return row;
    pool_room(p, 1);
    isize i = (isize)item_hash(item) & p->mask;
    while (p->slots[i]) i = (i + 1) & p->mask;
    p->item[p->n] = item;
    p->slots[i] = (u32)++p->n;
    return p->n - 1;
}

/* ---- highest first --------------------------------------------------------------------------- */

/* Half by half, so that the compiler takes four at a time. */
static f32 block_most(const f32 *at)
{
    f32 most[POOL_BLOCK / 2];
    for (isize i = 0; i < POOL_BLOCK / 2; i++)
        most[i] = at[i] > at[i + POOL_BLOCK / 2] ? at[i] : at[i + POOL_BLOCK / 2];
    for (isize i = 0; i < POOL_BLOCK / 4; i++)
        most[i] = most[i] > most[i + POOL_BLOCK / 4] ? most[i] : most[i + POOL_BLOCK / 4];
    for (isize i = 0; i < POOL_BLOCK / 8; i++)
        most[i] = most[i] > most[i + POOL_BLOCK / 8] ? most[i] : most[i + POOL_BLOCK / 8];
    for (isize i = 1; i < POOL_BLOCK / 8; i++) most[0] = most[i] > most[0] ? most[i] : most[0];
    return most[0];
}

struct heights heights_of(f32 *at, isize n, const u32 *item, arena *a)
{
    struct heights h = { at, NULL, (n + POOL_BLOCK - 1) / POOL_BLOCK, item };
    h.tallest = arena_room(a, f32, h.blocks + 1);
    memset(at + n, 0, (size_t)(h.blocks * POOL_BLOCK - n) * sizeof *at);
    for (isize b = 0; b < h.blocks; b++) h.tallest[b] = block_most(at + b * POOL_BLOCK);
    return h;
}

isize heights_top(const struct heights *h, f32 *score)
{
    f32 most = 0;
    isize top = -1;
    for (isize b = 0; b < h->blocks; b++) most = h->tallest[b] > most ? h->tallest[b] : most;
    *score = most;
    if (!(most > 0)) return -1;
    for (isize b = 0; b < h->blocks; b++) {
        if (h->tallest[b] < most) continue;
        const f32 *at = h->at + b * POOL_BLOCK;
        i32 equal = 0;
        for (isize i = 0; i < POOL_BLOCK; i++) equal += at[i] >= most;
        for (isize i = 0; equal > 0; i++) {
            if (at[i] < most) continue;
            equal--;
            if (top < 0 || (h->item && h->item[b * POOL_BLOCK + i] < h->item[top])) top = b * POOL_BLOCK + i;
        }
    }
    return top;
}

void heights_drop(struct heights *h, isize place)
{
    isize b = place / POOL_BLOCK;
    h->at[place] = 0;
    h->tallest[b] = block_most(h->at + b * POOL_BLOCK);
}
