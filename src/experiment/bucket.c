/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket.c - from two ids to one of 10,000 buckets.
 *
 * MurmurHash3 x86 32-bit (Appleby, public domain algorithm), seed 1, over the UTF-8 bytes of the
 * bucketing id and then the experiment id; bucket = floor(hash / 2^32 * 10000). It is not the best
 * hash there is. It is the one that Optimizely's SDKs have built in, and the only choice that is
 * the same for every client without code of ours in it.
 *
 * The two texts are hashed as one without being copied together: a word that straddles the border
 * is put together in `carry`.
 */
#include "experiment/experiment.h"

#include "base/hash.h"

enum { SEED = 1, ID_DIGITS = 15 };
static const u64 id_least = 100000000000000u;           /* 10^14: the least of fifteen digits */

/* Below every id that experiment_id_of makes. */
const str holdout_experiment_id = S_INIT("100000000000000");

static inline u32 rotate(u32 x, int by)
{
    return x << by | x >> (32 - by);
}

struct murmur { u32 hash; u64 carry; int carried; };    /* carry: 0 to 3 bytes, lowest first */

static inline u32 mixed(u32 word)
{
    return rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static inline void murmur_word(struct murmur *m, u32 word)
{
    m->hash = rotate(m->hash ^ mixed(word), 13) * 5 + 0xe6546b64u;
}

static inline void murmur_add(struct murmur *m, str s)
{
    isize i = 0;
    for (; i + 4 <= s.len; i += 4) {
        m->carry |= (u64)load_u32le(s.ptr + i) << (8 * m->carried);
        murmur_word(m, (u32)m->carry);
        m->carry >>= 32;
    }
    for (; i < s.len; i++) {
        m->carry |= (u64)(u8)s.ptr[i] << (8 * m->carried);
        if (++m->carried < 4) continue;
        murmur_word(m, (u32)m->carry);
        m->carry = 0;
        m->carried = 0;
    }
}

u32 experiment_hash(struct bucket_key key)
{
    struct murmur m = { .hash = SEED };
    murmur_add(&m, key.bucketing_id);
    murmur_add(&m, key.experiment_id);
    u32 hash = m.hash;
    if (m.carried) hash ^= mixed((u32)m.carry);
    hash ^= (u32)(key.bucketing_id.len + key.experiment_id.len);
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

/* In integers what the SDKs do in doubles: 2^32 * 10000 is below 2^53, so both are exact. */
i32 experiment_bucket(struct bucket_key key)
{
    return (i32)((u64)experiment_hash(key) * BUCKETS >> 32);
}

str experiment_id_of(arena *a, str name)
{
    u64 above = hash64(name, 0) % (9 * id_least - 1);
    return arena_printf(a, "%0*" PRIu64, ID_DIGITS, id_least + 1 + above);
}

bool share_parse(str text, i32 *share)
{
    if (!str_ends(text, S("%"))) return false;
    struct str_cut number = str_cut(str_slice(text, 0, text.len - 1), '.');
    str whole = number.head, part = number.tail;
    if (whole.len == 0 || whole.len > 3 || (number.found && part.len == 0)) return false;
    i32 value = 0;
    for (isize i = 0; i < whole.len; i++) {
        if (whole.ptr[i] < '0' || whole.ptr[i] > '9') return false;
        value = value * 10 + (whole.ptr[i] - '0');
    }
    value *= 100;
    for (isize i = 0; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9') return false;
        if (i >= 2 && part.ptr[i] != '0') return false;         /* finer than a bucket */
        if (i < 2) value += (part.ptr[i] - '0') * (i == 0 ? 10 : 1);
    }
    if (value > BUCKETS) return false;
    *share = value;
    return true;
}

str share_print(arena *a, i32 share)
{
    assert(share >= 0 && share <= BUCKETS);
    i32 whole = share / 100, part = share % 100;
    if (part == 0) return arena_printf(a, "%" PRId32 "%%", whole);
    if (part % 10 == 0) return arena_printf(a, "%" PRId32 ".%" PRId32 "%%", whole, part / 10);
    return arena_printf(a, "%" PRId32 ".%02" PRId32 "%%", whole, part);
}

bool holdout_contains(str bucketing_id, i32 holdout_share)
{
    return holdout_scope_contains((struct bucket_key){ bucketing_id, holdout_experiment_id }, holdout_share);
}

bool holdout_scope_contains(struct bucket_key key, i32 holdout_share)
{
    return holdout_share > 0 && experiment_bucket(key) < holdout_share;
}
