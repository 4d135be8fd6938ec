/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - time and randomness are arguments. Only this room asks the system for either.
 *
 * Instants are milliseconds since 1970, UTC. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/arena.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };
#define DAY_MS ((i64)24 * HOUR_MS)
#define TIME_NEVER INT64_MAX

struct clock { i64 (*now_ms)(void *ctx); void *ctx; };
struct clock clock_system(void);
static inline i64 clock_now(struct clock c) { return c.now_ms(c.ctx); }
i64 clock_monotonic_us(void);                           /* for measuring spans, never stored */
/* what this process has used of the processors: for benches, where others work beside it */
i64 clock_cpu_us(void);

/* RFC 3339 with any offset, "YYYY-MM-DD", "YYYY-MM-DD hh:mm[:ss[.fff]]" (UTC), or a number of
 * epoch milliseconds (seconds when it has at most 10 characters). The day must exist, and the
 * year in UTC be 0000 to 9999; a second 60 is the next minute's first. */
bool time_parse(str s, i64 *out_ms);
str time_print(arena *a, i64 at_ms);                    /* "2026-11-21T08:00:00.000Z" */
struct civil { i32 year, month, day, hour, minute, second, weekday; };  /* month 1-12, Monday 1 */
struct civil time_civil(i64 at_ms, i32 offset_minutes);
i64 time_from_civil(struct civil c);                    /* weekday ignored */

/* xoshiro256**, Blackman and Vigna 2018: deterministic from one seed. */
struct rng { u64 s[4]; };
struct rng rng_seed(u64 seed);
u64 rng_next(struct rng *r);
f64 rng_unit(struct rng *r);                            /* [0, 1) */
u32 rng_below(struct rng *r, u32 n);                    /* 0 .. n-1, unbiased */
void rng_system(void *bytes, isize n);                  /* from the kernel: keys, ids */

#endif
