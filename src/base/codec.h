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

void codec_u8(struct codec *c, u8 *v);
void codec_u16(struct codec *c, u16 *v);
void codec_u32(struct codec *c, u32 *v);
void codec_u64(struct codec *c, u64 *v);
void codec_word(struct codec *c, u64 *v);               /* its 8 bytes: for hashes, which are never small */
void codec_i32(struct codec *c, i32 *v);
void codec_i64(struct codec *c, i64 *v);
void codec_f64(struct codec *c, f64 *v);                /* its 8 bytes */
void codec_bool(struct codec *c, bool *v);
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
