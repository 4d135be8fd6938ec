/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h - hashes (XXH3), and the one hash table: 128-bit key -> u64.
 *
 * Keys that strangers choose are hashed with a seed of this process or data folder, so that
 * nobody can aim at one slot. 128 bits stand for the key itself: two different keys of the
 * 10^10 we may meet agree with probability below 10^-18.
 *
 * A seed chooses another function and is no place for a part of the key: up to 16 bytes are XORed
 * with it before they are mixed, so that two short texts under two seeds that lie close together
 * agree far more often than chance has it. What a key is made of goes into the bytes, or is mixed
 * into the hash that comes out.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

struct hash128 { u64 hi, lo; };

u64 hash64(str s, u64 seed);
struct hash128 hash128(str s, u64 seed);
/* A digest kept as a sum: putting a part in and taking it out again leaves what was. */
static inline void hash128_sum(struct hash128 *sum, struct hash128 part, bool add)
{
    sum->hi += add ? part.hi : -part.hi;
    sum->lo += add ? part.lo : -part.lo;
}
static inline bool hash128_eq(struct hash128 a, struct hash128 b) { return a.hi == b.hi && a.lo == b.lo; }

/* map - open addressing, one writer, readers without locks.
 *
 * The writer may put, set and remove at any time; readers on other threads may call map_get
 * inside rcu_read_begin/end. Growing builds a new table and publishes it by one pointer; the old
 * one is given back after a grace period. Values are u64 and below UINT64_MAX - 1. */
struct map;
struct map *map_new(isize expected);
void map_free(struct map *m);
u64 map_get(const struct map *m, struct hash128 key, u64 otherwise);
bool map_put(struct map *m, struct hash128 key, u64 value);     /* true when the key is new */
bool map_remove(struct map *m, struct hash128 key);
isize map_count(const struct map *m);
/* Writer only; *at starts at 0; false at the end. Removing while walking is allowed. */
bool map_next(const struct map *m, isize *at, struct hash128 *key, u64 *value);

#endif
