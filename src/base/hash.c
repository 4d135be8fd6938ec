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

/* A slot is empty, in use, or removed, and its word says which: in use it is the value and one. The
 * writer fills the key, then releases the word; a reader that sees one that is in use sees the key
 * whole. A removed slot keeps its key and is never given to another key, so a reader never meets a
 * half-changed key: growing sweeps removed slots out. */
#define EMPTY UINT64_C(0)
#define REMOVED UINT64_MAX
static bool in_use(u64 word) { return word != EMPTY && word != REMOVED; }

struct slot { u64 hi, lo; _Atomic u64 word; };
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

/* Any number of slots will do, and keys that are numbers, in one half or twice the same, are spread too. */
static isize place_of(const struct slots *s, struct hash128 key)
{
    u64 mixed = (key.lo ^ key.hi * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
    return (isize)((mixed >> 32) * (u64)s->cap >> 32);
}

/* The slot that holds key, or the empty one where it would go. */
static struct slot *slot_find(struct slots *s, struct hash128 key)
{
    for (isize i = place_of(s, key);; i = i + 1 == s->cap ? 0 : i + 1) {
        struct slot *slot = &s->at[i];
        u64 word = atomic_load_explicit(&slot->word, memory_order_acquire);
        if (word == EMPTY || (slot->lo == key.lo && slot->hi == key.hi)) return slot;
    }
}

u64 map_get(const struct map *m, struct hash128 key, u64 otherwise)
{
    struct slots *s = atomic_load_explicit(&m->slots, memory_order_acquire);
    struct slot *slot = slot_find(s, key);
    u64 word = atomic_load_explicit(&slot->word, memory_order_acquire);
    /* Empty a moment ago, it may have been given to another key since. */
    if (!in_use(word) || slot->lo != key.lo || slot->hi != key.hi) return otherwise;
    return word - 1;
}

static void slots_fill(struct slots *to, struct slots *from)
{
    for (isize i = 0; i < from->cap; i++) {
        struct slot *old = &from->at[i];
        u64 word = atomic_load(&old->word);
        if (!in_use(word)) continue;
        struct slot *slot = slot_find(to, (struct hash128){ old->hi, old->lo });
        slot->hi = old->hi;
        slot->lo = old->lo;
        atomic_store(&slot->word, word);
    }
}

static void map_grow(struct map *m)
{
    struct slots *old = atomic_load(&m->slots);
    isize cap = m->count * 2 > old->cap ? old->cap + old->cap / 2 : old->cap;
    struct slots *wide = slots_new(cap);
    slots_fill(wide, old);
    m->used = m->count;
    atomic_store_explicit(&m->slots, wide, memory_order_release);
    rcu_defer_free(old);
}

bool map_put(struct map *m, struct hash128 key, u64 value)
{
    assert(value < UINT64_MAX - 1);
    struct slots *s = atomic_load(&m->slots);
    if (m->used >= s->cap * 3 / 4) {
        map_grow(m);
        s = atomic_load(&m->slots);
    }
    struct slot *slot = slot_find(s, key);
    u64 before = atomic_load(&slot->word);
    if (before == EMPTY) {
        slot->hi = key.hi;
        slot->lo = key.lo;
        m->used++;
    }
    atomic_store_explicit(&slot->word, value + 1, memory_order_release);
    m->count += !in_use(before);
    return !in_use(before);
}

bool map_remove(struct map *m, struct hash128 key)
{
    struct slot *slot = slot_find(atomic_load(&m->slots), key);
    if (!in_use(atomic_load(&slot->word))) return false;
    atomic_store_explicit(&slot->word, REMOVED, memory_order_release);
    m->count--;
    return true;
}

isize map_count(const struct map *m) { return m->count; }

bool map_next(const struct map *m, isize *at, struct hash128 *key, u64 *value)
{
    struct slots *s = atomic_load(&m->slots);
    for (; *at < s->cap; (*at)++) {
        struct slot *slot = &s->at[*at];
        u64 word = atomic_load(&slot->word);
        if (!in_use(word)) continue;
        *key = (struct hash128){ slot->hi, slot->lo };
        *value = word - 1;
        (*at)++;
        return true;
    }
    return false;
}
