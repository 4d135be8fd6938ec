/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.c - groups of sixteen rows. A block: how many rows, their lengths (7 bits a byte, low first, the last without the high bit), the rows. */
#include "base/rows.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/rcu.h"

enum { GROUP = 16, CHUNK = 1 << 14, CHUNKS_MAX = 1 << 14 };
static_assert((i64)GROUP * CHUNK * CHUNKS_MAX == (i64)1 << 32, "every number has a place");

struct group { u8 n; u8 bytes[]; };
struct rows { _Atomic(_Atomic(struct group *) *) chunks[CHUNKS_MAX]; _Atomic u32 n; struct buf work; };

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
    buf_fini(&r->work);
    mem_free(r);
}

u32 rows_n(const struct rows *r) { return atomic_load_explicit(&r->n, memory_order_acquire); }

static _Atomic(struct group *) *group_of(const struct rows *r, u32 index)
{
    _Atomic(struct group *) *chunk = atomic_load_explicit(&r->chunks[index / GROUP / CHUNK], memory_order_acquire);
    return chunk ? &chunk[index / GROUP % CHUNK] : NULL;
}

static isize length_at(const u8 **at)
{
    isize n = 0;
    for (int shift = 0;; shift += 7) {
        u8 byte = *(*at)++;
        n |= (isize)(byte & 0x7f) << shift;
        if (byte < 0x80) return n;
    }
}

/* The row of that place; all of the group's when the place is behind them. */
static str row_at(const struct group *g, int place)
{
    const u8 *at = g->bytes;
    isize before = 0, len = 0;
    for (int i = 0; i < g->n; i++) {
        isize n = length_at(&at);
        if (i < place) before += n;
        if (i == place) len = n;
    }
    if (place >= g->n) return (str){ (const char *)at, before };
    return (str){ (const char *)at + before, len };
}

str rows_get(const struct rows *r, u32 number)
{
    assert(number > 0);
    const struct group *g = atomic_load_explicit(group_of(r, number - 1), memory_order_acquire);
    return row_at(g, (int)((number - 1) % GROUP));
}

static void put_length(struct buf *out, isize n)
{
    for (; n >= 0x80; n >>= 7) buf_byte(out, (char)(n | 0x80));
    buf_byte(out, (char)n);
}

/* The group with that row as it is to be; the last place of all may be a new one. */
static void group_put(struct rows *r, _Atomic(struct group *) *at, int place, str bytes)
{
    struct group *old = atomic_load_explicit(at, memory_order_relaxed), *g;
    struct buf *w = &r->work;
    int n = old ? old->n : 0, now = place == n ? n + 1 : n;
    assert(place <= n && now <= GROUP && bytes.len < 1 << 30);
    w->len = 0;
    buf_byte(w, (char)now);
    for (int i = 0; i < now; i++) put_length(w, i == place ? bytes.len : row_at(old, i).len);
    str whole = old ? row_at(old, GROUP) : S(""), row = place < n ? row_at(old, place) : (str){ whole.ptr + whole.len, 0 };
    isize before = old ? row.ptr - whole.ptr : 0;
    buf_add(w, (str){ whole.ptr, before });
    buf_add(w, bytes);
    if (old) buf_add(w, (str){ row.ptr + row.len, whole.len - before - row.len });
    g = mem_grow(NULL, w->len);
    memcpy(g, w->ptr, (size_t)w->len);
    atomic_store_explicit(at, g, memory_order_release);
    rcu_defer_free(old);
}

u32 rows_add(struct rows *r, str bytes)
{
    u32 index = atomic_load_explicit(&r->n, memory_order_relaxed);
    assert(index < UINT32_MAX);
    if (!group_of(r, index)) atomic_store_explicit(&r->chunks[index / GROUP / CHUNK], mem_new(CHUNK * (isize)sizeof(struct group *)), memory_order_release);
    group_put(r, group_of(r, index), (int)(index % GROUP), bytes);
    atomic_store_explicit(&r->n, index + 1, memory_order_release);
    return index + 1;
}

void rows_set(struct rows *r, u32 number, str bytes)
{
    assert(number > 0 && number <= rows_n(r));
    group_put(r, group_of(r, number - 1), (int)((number - 1) % GROUP), bytes);
}

i64 rows_bytes(const struct rows *r)
{
    i64 bytes = 0;
    for (u32 i = 0; i < rows_n(r); i += GROUP) bytes += row_at(atomic_load(group_of(r, i)), GROUP).len;
    return bytes;
}
