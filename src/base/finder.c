/* SPDX-License-Identifier: Apache-2.0
 *
 * finder.c - open addressing, in which a slot is one word: 32 bits of the hash, and the number.
 *
 * Eight other bits choose the part. Within it a slot lies in the order of its 32 bits, as far as
 * its neighbours leave it, so that a table of any size is filled from one of another size without
 * the keys. A removed slot keeps a word that is no number, and may be given to any key: readers see
 * one word or the other, both of them true. */
#include "base/finder.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/rcu.h"

enum { PARTS = 256, PART_LEAST = 8 };
#define EMPTY UINT64_C(0)
#define REMOVED (UINT64_C(1) << 32)                     /* of number 0, like no other */

struct slots { u32 cap, used; _Atomic u64 at[]; };     /* used: removed ones too */
struct finder { _Atomic(struct slots *) parts[PARTS]; };

struct finder *finder_new(void) { return mem_new(sizeof(struct finder)); }

void finder_free(struct finder *f)
{
    for (int i = 0; f && i < PARTS; i++) mem_free(atomic_load(&f->parts[i]));
    mem_free(f);
}

static int part_of(struct hash128 key) { return (int)(key.hi >> 56); }
static u32 sign_of(struct hash128 key) { return (u32)(key.lo >> 32); }
static u32 place_of(u32 sign, u32 cap) { return (u32)((u64)sign * cap >> 32); }
static u32 after(const struct slots *s, u32 i) { return i + 1 == s->cap ? 0 : i + 1; }

static void slot_put(struct slots *s, u64 word)
{
    u32 i = place_of((u32)(word >> 32), s->cap);
    u64 was;
    while ((was = atomic_load_explicit(&s->at[i], memory_order_relaxed)) != EMPTY && was != REMOVED)
        i = after(s, i);
    s->used += was == EMPTY;
    atomic_store_explicit(&s->at[i], word, memory_order_release);
}

static bool in_use(u64 word) { return (u32)word != 0; }

static struct slots *renewed(const struct slots *old)
{
    u32 n = 0;
    for (u32 i = 0; old && i < old->cap; i++)
        n += in_use(atomic_load_explicit(&old->at[i], memory_order_relaxed));
    u32 cap = n + n / 2 + n / 16 + PART_LEAST;         /* 64 % in use, until 80 % are */
    struct slots *s = mem_new((isize)sizeof *s + (isize)cap * (isize)sizeof *s->at);
    s->cap = cap;
    for (u32 i = 0; old && i < old->cap; i++) {
        u64 word = atomic_load_explicit(&old->at[i], memory_order_relaxed);
        if (in_use(word)) slot_put(s, word);
    }
    return s;
}

void finder_add(struct finder *f, struct hash128 key, u32 number)
{
    assert(number > 0);
    _Atomic(struct slots *) *part = &f->parts[part_of(key)];
    struct slots *s = atomic_load_explicit(part, memory_order_relaxed);
    if (!s || s->used + 1 > s->cap - s->cap / 5) {
        struct slots *wide = renewed(s);
        atomic_store_explicit(part, wide, memory_order_release);
        rcu_defer_free(s);
        s = wide;
    }
    slot_put(s, (u64)sign_of(key) << 32 | number);
}

bool finder_remove(struct finder *f, struct hash128 key, u32 number)
{
    struct slots *s = atomic_load_explicit(&f->parts[part_of(key)], memory_order_relaxed);
    u64 word = (u64)sign_of(key) << 32 | number, at;
    for (u32 i = place_of(sign_of(key), s ? s->cap : 1);
         s && (at = atomic_load_explicit(&s->at[i], memory_order_relaxed)) != EMPTY;
         i = after(s, i)) {
        if (at != word) continue;
        atomic_store_explicit(&s->at[i], REMOVED, memory_order_release);
        return true;
    }
    return false;
}

u32 finder_next(const struct finder *f, struct hash128 key, struct finder_at *at)
{
    const struct slots *s = at->slots;
    if (!s) {
        at->slots = s = atomic_load_explicit(&f->parts[part_of(key)], memory_order_acquire);
        if (!s) return 0;
        at->at = place_of(sign_of(key), s->cap);
    }
    for (;;) {
        u64 word = atomic_load_explicit(&s->at[at->at], memory_order_acquire);
        if (word == EMPTY) return 0;
        at->at = after(s, at->at);
        if (in_use(word) && (u32)(word >> 32) == sign_of(key)) return (u32)word;
    }
}

void finder_call_for(const struct finder *f, struct hash128 key)
{
    const struct slots *s = atomic_load_explicit(&f->parts[part_of(key)], memory_order_acquire);
    if (s) __builtin_prefetch((const void *)(uintptr_t)&s->at[place_of(sign_of(key), s->cap)]);
}
