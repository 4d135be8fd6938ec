/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.c - groups of sixteen rows. A block: how many rows, the width of what follows, where each
 * row ends (16 bits, or 32 where those would not do), the rows. */
#include "base/rows.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/rcu.h"

enum { GROUP = 16, CHUNK = 1 << 14, CHUNKS_MAX = 1 << 14 };
static_assert((i64)GROUP * CHUNK * CHUNKS_MAX == (i64)1 << 32, "every number has a place");

struct group { u8 n, width; u8 bytes[]; };
struct rows { _Atomic(_Atomic(struct group *) *) chunks[CHUNKS_MAX]; _Atomic u32 n; };

struct rows *rows_new(void) { return mem_new(sizeof(struct rows)); }

void rows_free(struct rows *r)
{
    if (!r) return;
    for (isize i = 0; i < CHUNKS_MAX; i++) {
        _Atomic(struct group *) *chunk = atomic_load(&r->chunks[i]);
        if (!chunk) break;
        for (isize k = 0; k < CHUNK; k++) mem_free(atomic_load(&chunk[k]));
        mem_free(chunk);
    }
    mem_free(r);
}

u32 rows_n(const struct rows *r) { return atomic_load_explicit(&r->n, memory_order_acquire); }

static _Atomic(struct group *) *group_of(const struct rows *r, u32 index)
{
    _Atomic(struct group *) *chunk =
        atomic_load_explicit(&r->chunks[index / GROUP / CHUNK], memory_order_acquire);
    return chunk ? &chunk[index / GROUP % CHUNK] : NULL;
}

/* Where the rows before that place end. */
static isize end_at(const struct group *g, int place)
{
    u16 narrow;
    u32 wide;
    if (place == 0) return 0;
    if (g->width == sizeof narrow) {
        memcpy(&narrow, g->bytes + (size_t)(place - 1) * sizeof narrow, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, g->bytes + (size_t)(place - 1) * sizeof wide, sizeof wide);
    return wide;
}

static const char *rows_of(const struct group *g) { return (const char *)g->bytes + g->n * g->width; }

static str row_at(const struct group *g, int place)
{
    isize from = end_at(g, place);
    return (str){ rows_of(g) + from, end_at(g, place + 1) - from };
}

str rows_get(const struct rows *r, u32 number)
{
    assert(number > 0);
    const struct group *g = atomic_load_explicit(group_of(r, number - 1), memory_order_acquire);
    return row_at(g, (int)((number - 1) % GROUP));
}

/* The group with that row as it is to be; the last place of all may be a new one. */
static void group_put(_Atomic(struct group *) *at, int place, str bytes)
{
    const struct group *old = atomic_load_explicit(at, memory_order_relaxed);
    int n = old ? old->n : 0, now = place == n ? n + 1 : n;
    isize whole = old ? end_at(old, n) : 0, from = old ? end_at(old, place) : 0,
          to = place < n ? end_at(old, place + 1) : whole;
    isize grows = bytes.len - (to - from);
    u8 width = whole + grows <= UINT16_MAX ? sizeof(u16) : sizeof(u32);
    struct group *g;
    assert(place <= n && now <= GROUP && whole + grows < UINT32_MAX);
    g = mem_grow(NULL, (isize)sizeof *g + now * width + whole + grows);
    g->n = (u8)now;
    g->width = width;
    for (int i = 0; i < now; i++) {
        u32 end = (u32)((i < n ? end_at(old, i + 1) : whole) + (i >= place ? grows : 0));
        memcpy(g->bytes + i * width, &end, width);      /* low bytes first, on all that we run on */
    }
    char *rows = (char *)g->bytes + now * width;
    if (from) memcpy(rows, rows_of(old), (size_t)from);
    if (bytes.len) memcpy(rows + from, bytes.ptr, (size_t)bytes.len);
    if (whole > to) memcpy(rows + from + bytes.len, rows_of(old) + to, (size_t)(whole - to));
    atomic_store_explicit(at, g, memory_order_release);
    rcu_defer_free((void *)(uintptr_t)old);
}

u32 rows_add(struct rows *r, str bytes)
{
    u32 index = atomic_load_explicit(&r->n, memory_order_relaxed);
    assert(index < UINT32_MAX);
    if (!group_of(r, index))
        atomic_store_explicit(&r->chunks[index / GROUP / CHUNK],
                              mem_new(CHUNK * (isize)sizeof(struct group *)), memory_order_release);
    group_put(group_of(r, index), (int)(index % GROUP), bytes);
    atomic_store_explicit(&r->n, index + 1, memory_order_release);
    return index + 1;
}

void rows_set(struct rows *r, u32 number, str bytes)
{
    assert(number > 0 && number <= rows_n(r));
    group_put(group_of(r, number - 1), (int)((number - 1) % GROUP), bytes);
}

i64 rows_bytes(const struct rows *r)
{
    i64 bytes = 0;
    for (u32 i = 0; i < rows_n(r); i += GROUP) {
        const struct group *g = atomic_load(group_of(r, i));
        bytes += end_at(g, g->n);
    }
    return bytes;
}
