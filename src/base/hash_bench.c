/* SPDX-License-Identifier: Apache-2.0
 *
 * bench: a lookup in the hash table, of a million keys and in no order.
 * Why it matters: each event looks up its key for de-duplication and each of its identifiers.
 * Budget: 200 ns, two misses of the cache; five of them are 1 us an event. */
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"

enum { KEYS = 1 << 20, CALLS = 1 << 20 };

static struct hash128 key_of(u64 n) { return hash128((str){ (const char *)&n, (isize)sizeof n }, 7); }

int main(void)
{
    struct map *m = map_new(0);
    i64 start = clock_monotonic_us();
    for (u64 n = 0; n < KEYS; n++) (void)map_put(m, key_of(n), n);
    f64 put = (f64)(clock_monotonic_us() - start) * 1000 / KEYS;

    u64 check = 0, n = 1;
    start = clock_monotonic_us();
    for (i64 i = 0; i < CALLS; i++) {
        n = n * 6364136223846793005u + 1442695040888963407u;
        check += map_get(m, key_of(n >> 44), 0);
    }
    f64 get = (f64)(clock_monotonic_us() - start) * 1000 / CALLS;
    printf("hash.put %.0f ns/key growing to %d keys\n", put, KEYS);
    printf("hash.get %.0f ns/key check %llu\n", get, (unsigned long long)check);
    map_free(m);
    return 0;
}
