/* SPDX-License-Identifier: Apache-2.0
 *
 * seen.c - the same event twice is one event, for dedup_days.
 *
 * The key is source and messageId, as 128 bits, with the day it came. It is part of the fold's
 * state, so there is no gap between writing an event and knowing it was written. The store keeps
 * all of a key; in RAM there are 64 bits of it: 13 choose one of the parts, 51 tell it there. A new
 * event is taken for another of a hundred million with a chance below 6 in 10^12, and nobody who
 * sends events can raise that.
 *
 * A part is most of its keys in the order of their bits, packed. As those are as good as random,
 * the first of them only say which of its groups of some twenty a key is in; what is left of it
 * stands in so many bits, with so many for its age on the day they were packed. With twelve
 * thousand keys to a part and a week's ages that is 45 bits a key. Beside them, in no order and
 * eight bytes each, is what came since. When there is no room for one more all are packed anew,
 * with room for some, and without what is too old: each part at its own time, and nothing ever
 * doubles at once.
 *
 * What is older than dedup_days is passed over from the moment a day begins, and put away when its
 * part is made anew or its turn comes: each day an eighth of the parts is gone through. A key that
 * comes again after its days is among what came since, whatever is packed. Of the digest there is
 * a sum a day, so that a day goes out whole.
 */
#include <stdlib.h>

#include "fold/inside.h"

enum { PARTS_PER_DAY = SEEN_PARTS / 8, DAYS_TOLD = 255, ROOM_LEAST = 8, ROOM_SHARE = 32, PART_BITS = 13 };
enum { KEY_BITS = 51, DAY_BITS = 8, GROUP_LEAST = 16, GROUP_BITS_LEAST = 3, READ_BYTES = 8 };
static_assert(1 << PART_BITS == SEEN_PARTS, "the bits that choose a part");

void seen_init(struct seen *seen)
{
    seen->parts = mem_new(SEEN_PARTS * (isize)sizeof *seen->parts);
    seen->oldest = INT32_MIN;
}

void seen_fini(struct seen *seen)
{
    for (isize i = 0; i < SEEN_PARTS; i++) mem_free(seen->parts[i].late);
    mem_free(seen->parts);
    vec_fini(&seen->work);
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

/* ---- a part ---------------------------------------------------------------------------------- */

/* A slot, as what came since is kept: the key's bits, and a byte that says the day, never 0. */
static u64 slot_of(struct hash128 key, i32 day)
{
    return key.lo >> (64 - KEY_BITS) << DAY_BITS
           | (u64)((day % DAYS_TOLD + DAYS_TOLD) % DAYS_TOLD + 1);
}

static i32 day_of(const struct seen *seen, u64 slot)
{
    i32 today = (seen->today % DAYS_TOLD + DAYS_TOLD) % DAYS_TOLD + 1, told = (i32)(slot & 0xff);
    return seen->today - (today - told + DAYS_TOLD) % DAYS_TOLD;
}

/* today: a slot's byte of it. */
static u32 age_of(u64 slot, u32 today)
{
    u32 told = (u32)(slot & 0xff);
    return today >= told ? today - told : today + DAYS_TOLD - told;
}

static u64 bits_of(u64 slot) { return slot >> DAY_BITS; }

static int by_bits(const void *x, const void *y)
{
    u64 a = bits_of(*(const u64 *)x), b = bits_of(*(const u64 *)y);
    return (a > b) - (a < b);
}

/* A part's block: room for what came since, where each group begins and the last ends, the packed
 * ones, and bytes that may be read behind them. */
static u32 *groups_of(const struct seen_part *part) { return (u32 *)(void *)(part->late + part->cap); }
static u8 *packed_of(const struct seen_part *part)
{
    return (u8 *)(groups_of(part) + (1u << part->group_bits) + 1);
}
static int rest_bits(const struct seen_part *part) { return KEY_BITS - part->group_bits; }
/* 56 at most: with a byte's 7 one word */
static int width_of(const struct seen_part *part) { return rest_bits(part) + part->age_bits; }

static u64 packed_get(const struct seen_part *part, u32 i)
{
    u64 at = (u64)i * (u64)width_of(part), word;
    memcpy(&word, packed_of(part) + at / 8, sizeof word);
    return word >> at % 8 & ((UINT64_C(1) << width_of(part)) - 1);
}

static i32 packed_day(const struct seen_part *part, u64 v)
{
    return part->packed_on - (i32)(v & ((1u << part->age_bits) - 1));
}

static bool lives(const struct seen *seen, i32 day) { return day >= seen->oldest; }

/* The packed ones that still count, as slots and in their order. */
static void unpack(struct seen *seen, struct seen_part part)
{
    u64 days[1 << DAY_BITS];                            /* a slot's day, by the age; 0: too old */
    for (i32 age = 0; age < 1 << part.age_bits; age++)
        days[age] = lives(seen, part.packed_on - age)
                        ? slot_of((struct hash128){ 0 }, part.packed_on - age)
                        : 0;
    if (seen->work.cap < part.packed + part.late_n) {
        seen->work.cap = part.packed + part.late_n;
        seen->work.at = mem_grow(seen->work.at, seen->work.cap * (isize)sizeof *seen->work.at);
    }
    u64 *to = seen->work.at;
    for (u32 group = 0, i = 0; i < part.packed; group++)
        for (u32 end = groups_of(&part)[group + 1]; i < end; i++) {
            u64 v = packed_get(&part, i), day = days[v & ((1u << part.age_bits) - 1)];
            *to = ((u64)group << rest_bits(&part) | v >> part.age_bits) << DAY_BITS | day;
            to += day != 0;
        }
    seen->work.n = to - seen->work.at;
}

/* What came since, in order, among the others. */
static void merge(struct seen *seen, u64 *late, u32 n)
{
    u32 live = 0;
    for (u32 i = 0; i < n; i++)
        if (lives(seen, day_of(seen, late[i]))) late[live++] = late[i];
    if (live) qsort(late, live, sizeof *late, by_bits);
    isize i = seen->work.n - 1, j = (isize)live - 1, to = i + j + 1;
    seen->work.n = to + 1;                              /* there is room: unpack() saw to it */
    for (; j >= 0; to--) {
        bool old = i >= 0 && bits_of(seen->work.at[i]) > bits_of(late[j]);
        seen->work.at[to] = old ? seen->work.at[i--] : late[j--];
    }
}

static int bits_for(u32 v) { return v ? 32 - __builtin_clz(v) : 0; }

/* Anew: in order, with room for more, and without what is too old. */
static void part_renew(struct seen *seen, struct seen_part *part)
{
    unpack(seen, *part);
    merge(seen, part->late, part->late_n);
    u32 n = (u32)seen->work.n, oldest = 0, today = (u32)slot_of((struct hash128){ 0 }, seen->today);
    for (u32 i = 0; i < n; i++)
        oldest =
            age_of(seen->work.at[i], today) > oldest ? age_of(seen->work.at[i], today) : oldest;
    mem_free(part->late);
    struct seen_part made = { .packed = n,
                              .cap = n / ROOM_SHARE + ROOM_LEAST,
                              .packed_on = seen->today,
                              .age_bits = (u8)bits_for(oldest),
                              .group_bits = (u8)(n / GROUP_LEAST >> GROUP_BITS_LEAST
                                                     ? bits_for(n / GROUP_LEAST) - 1
                                                     : GROUP_BITS_LEAST) };
    isize groups = ((isize)1 << made.group_bits) + 1, bits = (isize)n * width_of(&made);
    made.late = mem_grow(NULL, (isize)made.cap * (isize)sizeof *made.late
                                   + groups * (isize)sizeof(u32) + bits / 8 + READ_BYTES + 1);
    memset(groups_of(&made), 0, (size_t)groups * sizeof(u32));
    u8 *to = packed_of(&made);
    u64 word = 0;
    /* of a byte that is not full the rest comes with the next */
    for (u32 i = 0, held = 0; i < n; i++) {
        u64 slot = seen->work.at[i], rest = bits_of(slot) & ((UINT64_C(1) << rest_bits(&made)) - 1);
        groups_of(&made)[(bits_of(slot) >> rest_bits(&made)) + 1] = i + 1;
        word |= (rest << made.age_bits | age_of(slot, today)) << held;
        memcpy(to, &word, sizeof word);                 /* low bytes first, on all that we run on */
        held += (u32)width_of(&made);
        to += held / 8;
        word >>= held / 8 * 8;
        held %= 8;
    }
    for (isize g = 1; g < groups; g++)
        if (groups_of(&made)[g] == 0) groups_of(&made)[g] = groups_of(&made)[g - 1];
    *part = made;
}

/* Whether it counts among the packed ones. */
static bool packed_has(const struct seen *seen, const struct seen_part *part, u64 bits)
{
    if (part->packed == 0) return false;
    u64 group = bits >> rest_bits(part), rest = bits & ((UINT64_C(1) << rest_bits(part)) - 1);
    for (u32 i = groups_of(part)[group]; i < groups_of(part)[group + 1]; i++) {
        u64 v = packed_get(part, i);
        if (v >> part->age_bits < rest) continue;
        return v >> part->age_bits == rest && lives(seen, packed_day(part, v));
    }
    return false;
}

static bool key_put(struct seen *seen, struct hash128 key, i32 day)
{
    struct seen_part *part = &seen->parts[key.hi >> (64 - PART_BITS)];
    u64 slot = slot_of(key, day);
    if (packed_has(seen, part, bits_of(slot))) return false;
    for (u32 i = 0; i < part->late_n; i++) {
        if (bits_of(part->late[i]) != bits_of(slot)) continue;
        bool lived = lives(seen, day_of(seen, part->late[i]));
        if (!lived) part->late[i] = slot;
        return !lived;
    }
    if (part->late_n == part->cap) part_renew(seen, part);
    part->late[part->late_n++] = slot;
    return true;
}

isize seen_count(const struct seen *seen)
{
    isize n = 0;
    for (isize i = 0; i < SEEN_PARTS; i++) {
        const struct seen_part *part = &seen->parts[i];
        for (u32 k = 0; k < part->packed; k++) n += lives(seen, packed_day(part, packed_get(part, k)));
        for (u32 k = 0; k < part->late_n; k++) n += lives(seen, day_of(seen, part->late[k]));
    }
    return n;
}

/* ---- days ------------------------------------------------------------------------------------ */

static void sweep(struct seen *seen, i32 before, i32 oldest)
{
    isize kept = 0;
    bool all = before < oldest;                         /* nothing that was there stays */
    isize turns = all || seen->today - before >= 8 ? SEEN_PARTS
                                                   : (seen->today - before) * (isize)PARTS_PER_DAY;
    seen->oldest = oldest;
    for (isize i = 0; i < seen->days.n; i++) {
        if (seen->days.at[i].day >= oldest) seen->days.at[kept++] = seen->days.at[i];
        else hash128_sum(&seen->digest, seen->days.at[i].sum, false);
    }
    seen->days.n = kept;
    for (; turns > 0; turns--) {
        struct seen_part *part = &seen->parts[seen->next_part];
        seen->next_part = (seen->next_part + 1) % SEEN_PARTS;
        if (all) { mem_free(part->late); *part = (struct seen_part){ 0 }; }
        else if (part->packed + part->late_n) part_renew(seen, part);
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
    if (part->packed == 0) return;
    u64 bits = bits_of(slot_of(key, 0)), about = (bits >> (KEY_BITS - 32)) * part->packed >> 32;
    __builtin_prefetch(&groups_of(part)[bits >> rest_bits(part)]);
    __builtin_prefetch(packed_of(part) + about * (u64)width_of(part) / 8);
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
