/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <stdatomic.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/rcu.h"

u64 hash64(str s, u64 seed) { return XXH3_64bits_withSeed(s.ptr, (size_t)s.len, seed); }

struct hash128 hash128(str s, u64 seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(s.ptr, (size_t)s.len, seed);
    return (struct hash128){ h.high64, h.low64 };
}

/* A slot is empty, in use, or removed. The writer fills key and value, then releases the state;
 * a reader that sees IN_USE sees them whole. A removed slot keeps its key and is never given to
 * another key, so a reader never meets a half-changed key: growing sweeps removed slots out. */
enum { EMPTY, IN_USE, REMOVED };

struct slot { u64 hi, lo; _Atomic u64 value; _Atomic u32 state; };
struct slots { isize cap; struct slot at[]; };
struct map { _Atomic(struct slots *) slots; isize used, count; };

static struct slots *slots_new(isize cap)
{
    struct slots *s = mem_new((isize)sizeof *s + cap * (isize)sizeof(struct slot));
    s->cap = cap;
    return s;
}

struct map *map_new(isize expected)
{
    isize cap = 16;
    while (cap * 3 / 4 < expected) cap *= 2;
    struct map *m = mem_new(sizeof *m);
    atomic_init(&m->slots, slots_new(cap));
    return m;
}

void map_free(struct map *m)
{
    if (!m) return;
    mem_free(atomic_load(&m->slots));
    mem_free(m);
}

/* The slot that holds key, or the empty one where it would go. */
static struct slot *slot_find(struct slots *s, struct hash128 key)
{
    isize mask = s->cap - 1;
    for (isize i = (isize)(key.lo & (u64)mask);; i = (i + 1) & mask) {
        struct slot *slot = &s->at[i];
        u32 state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == EMPTY || (slot->lo == key.lo && slot->hi == key.hi)) return slot;
    }
}

u64 map_get(const struct map *m, struct hash128 key, u64 otherwise)
{
    struct slots *s = atomic_load_explicit(&m->slots, memory_order_acquire);
    struct slot *slot = slot_find(s, key);
    if (atomic_load_explicit(&slot->state, memory_order_acquire) != IN_USE) return otherwise;
    /* Empty a moment ago, it may have been given to another key since. */
    if (slot->lo != key.lo || slot->hi != key.hi) return otherwise;
    return atomic_load_explicit(&slot->value, memory_order_acquire);
}

static void slots_fill(struct slots *to, struct slots *from)
{
    for (isize i = 0; i < from->cap; i++) {
        struct slot *old = &from->at[i];
        if (atomic_load(&old->state) != IN_USE) continue;
        struct slot *slot = slot_find(to, (struct hash128){ old->hi, old->lo });
        slot->hi = old->hi;
        slot->lo = old->lo;
        atomic_store(&slot->value, atomic_load(&old->value));
        atomic_store(&slot->state, IN_USE);
    }
}

static void map_grow(struct map *m)
{
    struct slots *old = atomic_load(&m->slots);
    isize cap = m->count * 2 > old->cap ? old->cap * 2 : old->cap;
    struct slots *wide = slots_new(cap);
    slots_fill(wide, old);
    m->used = m->count;
    atomic_store_explicit(&m->slots, wide, memory_order_release);
    rcu_defer_free(old);
}

bool map_put(struct map *m, struct hash128 key, u64 value)
{
    assert(value != UINT64_MAX);
    struct slots *s = atomic_load(&m->slots);
    if (m->used >= s->cap * 3 / 4) {
        map_grow(m);
        s = atomic_load(&m->slots);
    }
    struct slot *slot = slot_find(s, key);
    u32 state = atomic_load(&slot->state);
    if (state == EMPTY) {
        slot->hi = key.hi;
        slot->lo = key.lo;
        m->used++;
    }
    atomic_store_explicit(&slot->value, value, memory_order_release);
    if (state == IN_USE) return false;
    atomic_store_explicit(&slot->state, IN_USE, memory_order_release);
    m->count++;
    return true;
}

bool map_remove(struct map *m, struct hash128 key)
{
    struct slot *slot = slot_find(atomic_load(&m->slots), key);
    if (atomic_load(&slot->state) != IN_USE) return false;
    atomic_store_explicit(&slot->state, REMOVED, memory_order_release);
    m->count--;
    return true;
}

isize map_count(const struct map *m) { return m->count; }

bool map_next(const struct map *m, isize *at, struct hash128 *key, u64 *value)
{
    struct slots *s = atomic_load(&m->slots);
    for (; *at < s->cap; (*at)++) {
        struct slot *slot = &s->at[*at];
        if (atomic_load(&slot->state) != IN_USE) continue;
        *key = (struct hash128){ slot->hi, slot->lo };
        *value = atomic_load(&slot->value);
        (*at)++;
        return true;
    }
    return false;
}
