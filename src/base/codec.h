/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.h - one description of a byte layout that both writes and reads it.
 *
 * A struct's layout is one function that visits its fields in order; handed a writing codec it
 * encodes, handed a reading one it decodes, so the two cannot disagree. Integers are LEB128
 * varints (signed ones zigzag), strings a length and their bytes. Reading borrows from the input;
 * a reader that runs out of bytes sets `failed` and yields zeros from there on.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/arena.h"

struct codec { struct buf *out; str in; arena *arena; bool failed; };

static inline struct codec codec_writer(struct buf *out) { return (struct codec){ .out = out }; }
static inline struct codec codec_reader(str in, arena *a) { return (struct codec){ .in = in, .arena = a }; }
static inline bool codec_reads(const struct codec *c) { return c->out == NULL; }

enum { CODEC_U64_BYTES_MAX = 10 };                      /* seven bits a byte */
u64 codec_get_long(struct codec *c);                    /* codec_get of more than one byte, or of none */

static inline void codec_put(struct codec *c, u64 v)
{
    buf_reserve(c->out, CODEC_U64_BYTES_MAX);
    char *at = c->out->ptr + c->out->len;
    for (; v >= 0x80; v >>= 7) *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    c->out->len = at - c->out->ptr;
}

static inline u64 codec_get(struct codec *c)
{
    u8 byte = c->in.len > 0 ? (u8)*c->in.ptr : 0x80;
    if (byte >= 0x80) return codec_get_long(c);
    c->in = str_from(c->in, 1);
    return byte;
}

static inline u64 codec_get_most(struct codec *c, u64 most)
{
    u64 v = codec_get(c);
    if (v <= most) return v;
    c->failed = true;
    return 0;
}

static inline u64 codec_zigzag(i64 v) { return ((u64)v << 1) ^ (u64)(v >> 63); }
static inline i64 codec_unzigzag(u64 v) { return (i64)(v >> 1) ^ -(i64)(v & 1); }

/* What is written may be read by others at this moment, so writing stores nothing: not even the
 * same value. */
#define CODEC_UNSIGNED(name, T, most)                                                       \
    static inline void name(struct codec *c, T *v)                                          \
    {                                                                                       \
        if (c->out) codec_put(c, *v);                                                       \
        else *v = (T)codec_get_most(c, most);                                               \
    }
CODEC_UNSIGNED(codec_u8, u8, UINT8_MAX)
CODEC_UNSIGNED(codec_u16, u16, UINT16_MAX)
CODEC_UNSIGNED(codec_u32, u32, UINT32_MAX)
CODEC_UNSIGNED(codec_u64, u64, UINT64_MAX)
CODEC_UNSIGNED(codec_bool, bool, 1)
#undef CODEC_UNSIGNED

static inline void codec_i64(struct codec *c, i64 *v)
{
    if (c->out) codec_put(c, codec_zigzag(*v));
    else *v = codec_unzigzag(codec_get(c));
}
void codec_i32(struct codec *c, i32 *v);
void codec_word(struct codec *c, u64 *v);               /* its 8 bytes: for hashes, which are never small */
void codec_f64(struct codec *c, f64 *v);                /* its 8 bytes */
void codec_str(struct codec *c, str *v);
/* A count, at most `most`, and when reading, zeroed room for it in the codec's arena. */
isize codec_count(struct codec *c, isize n, isize most);

#define codec_list(c, T, list, count, most, visit)                                          \
    do {                                                                                    \
        isize n_ = codec_count((c), (count), (most));                                       \
        if (codec_reads(c)) { (list) = n_ ? arena_new((c)->arena, T, n_) : NULL; (count) = n_; } \
        for (isize i_ = 0; i_ < n_; i_++) visit((c), &(list)[i_]);                          \
    } while (0)

#endif
