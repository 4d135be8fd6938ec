/* SPDX-License-Identifier: Apache-2.0
 *
 * bitset.c - one bit an id, 64 to a word.
 *
 * Plain words, not a compressed form: person ids are dense and segments hold whole percents of
 * everyone, where roaring bitmaps measured 12 to 23 times slower at `and`. A million people are
 * 122 KiB.
 *
 * One writer, readers without locks. Words are read and written as relaxed atomics (plain moves on
 * every machine we know); a count taken while the writer works is one that was true of each word
 * at some moment. Growing copies the words into a new table, publishes it with one release store
 * and gives the old one back after the readers' grace period.
 */
#include "math/math.h"

#include <stdatomic.h>

#include "base/rcu.h"

struct table { isize words; _Atomic u64 word[]; };

struct bitset {
    struct table *_Atomic table;
    _Atomic isize count;
};

static struct table *table_new(isize words)
{
    struct table *t = mem_new((isize)sizeof *t + words * (isize)sizeof(u64));
    t->words = words;
    return t;
}

static const struct table *table_of(const struct bitset *b)
{
    return atomic_load_explicit(&b->table, memory_order_acquire);
}

static u64 word_at(const struct table *t, isize i)
{
    return i < t->words ? atomic_load_explicit(&t->word[i], memory_order_relaxed) : 0;
}

struct bitset *bitset_new(u32 ids)
{
    struct bitset *b = mem_new((isize)sizeof *b);
    atomic_init(&b->table, table_new(max_isize(((isize)ids + 63) / 64, 1)));
    return b;
}

void bitset_free(struct bitset *b)
{
    if (!b) return;
    mem_free(atomic_load_explicit(&b->table, memory_order_relaxed));
    mem_free(b);
}

void bitset_grow(struct bitset *b, u32 ids)
{
    struct table *old = atomic_load_explicit(&b->table, memory_order_relaxed);
    isize words = ((isize)ids + 63) / 64;
    if (words <= old->words) return;
    struct table *grown = table_new(words);
    for (isize i = 0; i < old->words; i++) {
        atomic_store_explicit(&grown->word[i], word_at(old, i), memory_order_relaxed);
    }
    atomic_store_explicit(&b->table, grown, memory_order_release);
    rcu_defer_free(old);
}

static bool put(struct bitset *b, u32 id, bool on)
{
    struct table *t = atomic_load_explicit(&b->table, memory_order_relaxed);
    u64 bit = (u64)1 << (id & 63);
    u64 word = word_at(t, id / 64);                     /* 0 past the end: nothing to clear there */
    if (((word & bit) != 0) == on) return false;
    atomic_store_explicit(&t->word[id / 64], word ^ bit, memory_order_relaxed);
    isize count = atomic_load_explicit(&b->count, memory_order_relaxed) + (on ? 1 : -1);
    assert(count >= 0);
    atomic_store_explicit(&b->count, count, memory_order_relaxed);
    return true;
}

bool bitset_set(struct bitset *b, u32 id)
{
    isize words = atomic_load_explicit(&b->table, memory_order_relaxed)->words;
    if ((isize)id / 64 >= words) {
        isize ids = max_isize((isize)id + 1, words * 64 * 3 / 2);       /* so that growing is rare */
        bitset_grow(b, (u32)(ids > UINT32_MAX ? UINT32_MAX : ids));
    }
    return put(b, id, true);
}

bool bitset_clear(struct bitset *b, u32 id)
{
    return put(b, id, false);
}

void bitset_none(struct bitset *b)
{
    struct table *t = atomic_load_explicit(&b->table, memory_order_relaxed);
    for (isize i = 0; i < t->words; i++) atomic_store_explicit(&t->word[i], 0, memory_order_relaxed);
    atomic_store_explicit(&b->count, 0, memory_order_relaxed);
}

bool bitset_test(const struct bitset *b, u32 id)
{
    return word_at(table_of(b), id / 64) >> (id & 63) & 1;
}

isize bitset_count(const struct bitset *b)
{
    return atomic_load_explicit(&b->count, memory_order_relaxed);
}

/* Words that are in all of n tables, each of at least `words`. */
static inline __attribute__((always_inline)) isize and_count(const struct table *const *tables, isize n,
                                                             isize words)
{
    isize count = 0;
    for (isize i = 0; i < words; i++) {
        u64 word = atomic_load_explicit(&tables[0]->word[i], memory_order_relaxed);
        for (isize s = 1; s < n; s++) {
            word &= atomic_load_explicit(&tables[s]->word[i], memory_order_relaxed);
        }
        count += (isize)__builtin_popcountll(word);
    }
    return count;
}

/* Plain x86-64 promises no popcnt and the builtin then calls a function, so it is asked for at run
 * time (1 M people, two sets: 8 us, without it 35). */
#if defined(__x86_64__)
__attribute__((target("popcnt")))
static isize and_count_popcnt(const struct table *const *tables, isize n, isize words)
{
    return n == 2 ? and_count(tables, 2, words) : and_count(tables, n, words);
}
#endif

isize bitset_and_count(const struct bitset *const *sets, isize n)
{
    assert(n >= 1 && n <= BITSET_AND_MAX);
    const struct table *tables[BITSET_AND_MAX];
    isize words = INT32_MAX;
    for (isize s = 0; s < n; s++) {
        tables[s] = table_of(sets[s]);
        words = min_isize(words, tables[s]->words);
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) return and_count_popcnt(tables, n, words);
#endif
    return and_count(tables, n, words);
}

i64 bitset_next(const struct bitset *b, u32 from)
{
    const struct table *t = table_of(b);
    for (isize i = from / 64; i < t->words; i++) {
        u64 word = word_at(t, i);
        if (i == (isize)(from / 64)) word &= ~(u64)0 << (from & 63);
        if (word) return (i64)i * 64 + __builtin_ctzll(word);
    }
    return -1;
}

isize bitset_words(const struct bitset *b)
{
    return table_of(b)->words;
}

u64 bitset_word(const struct bitset *b, isize i)
{
    assert(i >= 0);
    return word_at(table_of(b), i);
}
