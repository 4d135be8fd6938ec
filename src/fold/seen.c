/* SPDX-License-Identifier: Apache-2.0
 *
 * seen.c - the same event twice is one event, for dedup_days.
 *
 * The key is source and messageId, as 128 bits, with the day it came. It is part of the fold's
 * state, so there is no gap between writing an event and knowing it was written. The store keeps all of a key; in RAM
 * there are 69 bits of it and the day in 8 bytes: 13 bits choose one of the parts, 56 stand in it. A new event is taken
 * for another of a hundred million with a chance below 2 in 10^13, and nobody who sends events can raise that.
 *
 * A part is an array without gaps: most of it in the order of its bits, which are as good as random, so that a key is near the place its bits
 * say; behind that, in no order, what came since. When there is no room for one more the two are made one anew, with room for some, and
 * without what is too old: each part at its own time, and nothing ever doubles at once. What is older than dedup_days is passed over from the moment a day
 * begins, and put away when its part is made anew or its turn comes: each day an eighth
 * of the parts is gone through. Of the digest there is a sum a day, so that a day goes out whole.
 */
#include <stdlib.h>

#include "fold/inside.h"

enum { PARTS_PER_DAY = SEEN_PARTS / 8, DAYS_TOLD = 255, ROOM_LEAST = 16, ROOM_SHARE = 32, PART_BITS = 13 };
static_assert(1 << PART_BITS == SEEN_PARTS, "the bits that choose a part");

void seen_init(struct seen *seen)
{
    seen->parts = mem_new(SEEN_PARTS * (isize)sizeof *seen->parts);
    seen->oldest = INT32_MIN;
}

void seen_fini(struct seen *seen)
{
    for (isize i = 0; i < SEEN_PARTS; i++) mem_free(seen->parts[i].at);
    mem_free(seen->parts);
    vec_fini(&seen->days);
    vec_fini(&seen->added);
}

static struct hash128 row_hash(struct hash128 key, i32 day)
{
    char row[20];
    store_u64le(row, key.hi);
    store_u64le(row + 8, key.lo);
    store_u32le(row + 16, (u32)day);
    return hash128((str){ row, sizeof row }, 0);
}

static void count(struct seen *seen, struct hash128 key, i32 day)
{
    struct hash128 h = row_hash(key, day);
    isize i = seen->days.n - 1;
    while (i >= 0 && seen->days.at[i].day != day) i--;
    if (i < 0) {
        vec_push(&seen->days, (struct seen_day){ .day = day });
        i = seen->days.n - 1;
    }
    hash128_sum(&seen->days.at[i].sum, h, true);
    hash128_sum(&seen->digest, h, true);
}

/* ---- a part -------------------------------------------------------------------------------------------- */

/* A slot: 56 bits of the key, and a byte that says the day, never 0. */
static u64 slot_of(struct hash128 key, i32 day) { return (key.lo & ~(u64)0xff) | (u64)((day % DAYS_TOLD + DAYS_TOLD) % DAYS_TOLD + 1); }

static i32 day_of(const struct seen *seen, u64 slot)
{
    i32 today = (seen->today % DAYS_TOLD + DAYS_TOLD) % DAYS_TOLD + 1, told = (i32)(slot & 0xff);
    return seen->today - (today - told + DAYS_TOLD) % DAYS_TOLD;
}

static u64 bits_of(u64 slot) { return slot >> 8; }

static u32 place_of(u64 bits, u32 n) { return (u32)((bits >> 24) * n >> 32); }

static int by_bits(const void *x, const void *y)
{
    u64 a = bits_of(*(const u64 *)x), b = bits_of(*(const u64 *)y);
    return (a > b) - (a < b);
}

/* As day_of() for many. */
static u32 live_ones(const struct seen *seen, u64 *at, u32 n)
{
    i32 today = (i32)(slot_of((struct hash128){ 0 }, seen->today) & 0xff);
    i64 most = (i64)seen->today - seen->oldest;
    u32 kept = 0;
    for (u32 i = 0; i < n; i++) {
        i32 age = today - (i32)(at[i] & 0xff);
        at[kept] = at[i];
        kept += (age < 0 ? age + DAYS_TOLD : age) <= most;
    }
    return kept;
}

/* Anew: in order, with room for more, and without what is too old. */
static void part_renew(const struct seen *seen, struct seen_part *part)
{
    u64 *old = part->at, *late = old + part->sorted;
    u32 late_n = live_ones(seen, late, part->n - part->sorted), old_n = live_ones(seen, old, part->sorted), live = old_n + late_n;
    if (late_n) qsort(late, late_n, sizeof *late, by_bits);
    *part = (struct seen_part){ .n = live, .sorted = live, .cap = live + live / ROOM_SHARE + ROOM_LEAST };
    part->at = mem_grow(NULL, (isize)part->cap * (isize)sizeof *part->at);
    for (u32 i = 0, j = 0, to = 0; to < live; to++)
        part->at[to] = j == late_n || (i < old_n && bits_of(old[i]) < bits_of(late[j])) ? old[i++] : late[j++];
    mem_free(old);
}

/* The first in order that is not below: from where it should be, by steps that double, then by halves. */
static u32 sorted_find(const struct seen_part *part, u64 bits)
{
    u32 n = part->sorted, low = place_of(bits, n), high = low, step = 8;
    if (n == 0) return 0;
    if (bits_of(part->at[low]) < bits) {
        for (; high < n && bits_of(part->at[high]) < bits; step *= 2) { low = high; high += step; }
        if (high > n) high = n;
    } else {
        for (; low > 0 && bits_of(part->at[low]) >= bits; step *= 2) { high = low; low = low > step ? low - step : 0; }
    }
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        if (bits_of(part->at[mid]) < bits) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* The slot of the key, of whatever day; null when it has none. */
static u64 *part_find(const struct seen_part *part, u64 slot)
{
    u32 i = sorted_find(part, bits_of(slot));
    if (i < part->sorted && bits_of(part->at[i]) == bits_of(slot)) return &part->at[i];
    for (i = part->sorted; i < part->n; i++)
        if (bits_of(part->at[i]) == bits_of(slot)) return &part->at[i];
    return NULL;
}

static bool key_put(struct seen *seen, struct hash128 key, i32 day)
{
    struct seen_part *part = &seen->parts[key.hi >> (64 - PART_BITS)];
    u64 slot = slot_of(key, day), *known = part_find(part, slot);
    if (known && day_of(seen, *known) >= seen->oldest) return false;
    if (known) { *known = slot; return true; }
    if (part->n == part->cap) part_renew(seen, part);
    part->at[part->n++] = slot;
    return true;
}

isize seen_count(const struct seen *seen)
{
    isize n = 0;
    for (isize i = 0; i < SEEN_PARTS; i++)
        for (u32 k = 0; k < seen->parts[i].n; k++) n += day_of(seen, seen->parts[i].at[k]) >= seen->oldest;
    return n;
}

/* ---- days ------------------------------------------------------------------------------------------------- */

static void sweep(struct seen *seen, i32 before, i32 oldest)
{
    isize kept = 0;
    bool all = before < oldest;                         /* nothing that was there stays */
    isize turns = all || seen->today - before >= 8 ? SEEN_PARTS : (seen->today - before) * (isize)PARTS_PER_DAY;
    seen->oldest = oldest;
    for (isize i = 0; i < seen->days.n; i++) {
        if (seen->days.at[i].day >= oldest) seen->days.at[kept++] = seen->days.at[i];
        else hash128_sum(&seen->digest, seen->days.at[i].sum, false);
    }
    seen->days.n = kept;
    for (; turns > 0; turns--) {
        struct seen_part *part = &seen->parts[seen->next_part];
        seen->next_part = (seen->next_part + 1) % SEEN_PARTS;
        if (all) { mem_free(part->at); *part = (struct seen_part){ 0 }; }
        else if (part->n) part_renew(seen, part);
    }
}

struct hash128 seen_key(str source, str key)
{
    struct hash128 s = hash128(source, 3), k = hash128(key, 4);
    return (struct hash128){ s.hi + k.hi, s.lo ^ k.lo };
}

void seen_day(struct fold *fold, i64 now_ms)
{
    struct seen *seen = &fold->seen;
    i32 day = (i32)(now_ms / DAY_MS), before = seen->today;
    if (day <= seen->today) return;
    seen->today = day;
    sweep(seen, before, day - (i32)fold->config->dedup_days);
}

void seen_call_for(const struct seen *seen, struct hash128 key)
{
    const struct seen_part *part = &seen->parts[key.hi >> (64 - PART_BITS)];
    if (part->cap) __builtin_prefetch(&part->at[place_of(bits_of(slot_of(key, 0)), part->sorted)]);
}

bool seen_put(struct fold *fold, struct hash128 key, i64 now_ms)
{
    struct seen *seen = &fold->seen;
    i32 day = (i32)(now_ms / DAY_MS);
    seen_day(fold, now_ms);
    if (!key_put(seen, key, day)) return false;
    count(seen, key, day);
    vec_push(&seen->added, (struct seen_key){ key, day });
    return true;
}

void seen_load(struct seen *seen, struct hash128 key, i32 day)
{
    if (day > seen->today) seen->today = day;
    if (key_put(seen, key, day)) count(seen, key, day);
}
