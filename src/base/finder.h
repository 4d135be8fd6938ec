/* SPDX-License-Identifier: Apache-2.0
 *
 * finder.h - which things may have a key, in 8 bytes a key: 128-bit hash -> numbers.
 *
 * For things that know their own key: the table keeps 32 bits of the hash and the number, so what
 * it tells are candidates, of which the caller takes the one whose key it is. Several things may
 * have one key. One writer, readers without locks: as map (hash.h). It is in parts, each of which
 * grows by a quarter at its own time, so that nothing ever doubles at once.
 */
#ifndef BASE_FINDER_H
#define BASE_FINDER_H

#include "base/hash.h"

struct finder;
struct finder *finder_new(void);
void finder_free(struct finder *f);
void finder_add(struct finder *f, struct hash128 key, u32 number);      /* number > 0; writer only */
/* false: it is not there; writer only */
bool finder_remove(struct finder *f, struct hash128 key, u32 number);

/* The candidates, in no order: start with { 0 } and the same key each time; 0 ends. On other
 * threads than the writer's inside rcu_read_begin/end, from the first to the last. */
struct finder_at { const void *slots; u32 at; };
u32 finder_next(const struct finder *f, struct hash128 key, struct finder_at *at);
/* into the cache: it is asked for soon */
void finder_call_for(const struct finder *f, struct hash128 key);

#endif
