/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - what may be listed, gathered before anything is listed.
 *
 * A recommender that adds up what it finds does so in a column of its own; an item found by several has one row. So a row holds all
 * that is said for an item, the blend is a sum over columns that runs at the speed of memory, and nothing is looked up again. Who
 * gave what is written down as it is added, each gift pointing at the one before it of the same item: a reason costs a walk over what
 * that item was given and no second pass over everything.
 *
 * Arrays begin as large as is likely and double; a hash table of rows, half full at most, finds an item. */
#include "recommend/inside.h"

enum { ROWS_LEAST = 256 };

static f32 *column_room(struct pool *p) { return arena_room(p->a, f32, p->cap + POOL_BLOCK); }

static void pool_sized(struct pool *p, isize cap)
{
    u32 *item = arena_room(p->a, u32, cap), *gifts = arena_room(p->a, u32, cap);
    u8 *state = arena_new(p->a, u8, cap);
    p->cap = cap;
    for (isize c = 0; c < p->columns; c++) {
        f32 *column = column_room(p);
        memcpy(column, p->column[c], (size_t)p->n * sizeof *column);
        p->column[c] = column;
    }
    if (p->n) {
        memcpy(item, p->item, (size_t)p->n * sizeof *item);
        memcpy(gifts, p->gifts, (size_t)p->n * sizeof *gifts);
        memcpy(state, p->state, (size_t)p->n);
    }
    p->item = item;
    p->gifts = gifts;
    p->state = state;
    p->slots = arena_new(p->a, u32, 2 * cap);
    p->mask = 2 * cap - 1;
    for (isize row = 0; row < p->n; row++) {
        isize i = (isize)item_hash(item[row]) & p->mask;
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
    f32 *column = column_room(p);
    memset(column, 0, (size_t)p->n * sizeof *column);
    p->column[p->columns] = column;
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
    row = p->n++;
    p->slots[i] = (u32)p->n;
    p->item[row] = item;
    p->gifts[row] = p->state[row] = 0;
    for (isize c = 0; c < p->columns; c++) p->column[c][row] = 0;
    return row;
}

struct adding pool_adding(const struct pool *p, isize column)
{
    return (struct adding){ p->slots, p->item, p->gifts, p->column[column], p->silent ? NULL : p->gift, (u32)p->mask, (u32)p->n, (u32)p->gift_n };
}

void pool_added(struct pool *p, isize column, const struct adding *adding)
{
    for (isize c = 0; c < p->columns; c++)
        if (c != column) memset(p->column[c] + p->n, 0, (size_t)(adding->n - p->n) * sizeof **p->column);
    p->n = adding->n;
    p->gift_n = adding->gift_n;
}

/* ---- highest first ----------------------------------------------------------------------------- */

/* Half by half, so that the compiler takes four at a time. */
static f32 block_most(const f32 *at)
{
    f32 most[POOL_BLOCK / 2];
    for (isize i = 0; i < POOL_BLOCK / 2; i++) most[i] = at[i] > at[i + POOL_BLOCK / 2] ? at[i] : at[i + POOL_BLOCK / 2];
    for (isize i = 0; i < POOL_BLOCK / 4; i++) most[i] = most[i] > most[i + POOL_BLOCK / 4] ? most[i] : most[i + POOL_BLOCK / 4];
    for (isize i = 0; i < POOL_BLOCK / 8; i++) most[i] = most[i] > most[i + POOL_BLOCK / 8] ? most[i] : most[i + POOL_BLOCK / 8];
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
