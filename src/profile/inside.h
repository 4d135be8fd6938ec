/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - a person as bytes, for the files of this room. */
#ifndef PROFILE_INSIDE_H
#define PROFILE_INSIDE_H

#include "profile/profile.h"

enum { HISTORY_SHAPES = 14, HISTORY_MAX = 1 << 24 };

/* What the next entry's bytes depend on. */
struct entry_shape { i32 quantity; u16 type, currency, flags; u8 channel, node; };
struct history_coder {
    i64 at_ms;
    u64 ref[2];                     /* the log's number of an event; the order's of an order */
    u32 item;
    bool timed;                     /* moves are of no ref */
    u16 move_type, move_segment;    /* of the entry before, when that was a move; type 0: it was none */
    u32 move_item;
    int shapes_n;
    struct entry_shape shapes[HISTORY_SHAPES];
};

/* A person unpacked, and the bytes that may stay as they are in the next version. */
struct unpacked { struct profile profile; str memberships, history; struct history_coder coder; bool whole; };

/* Adds the person to out. `old`: null, or the version before, whose first `kept` entries of history are those of p too. */
void profile_pack(const struct profile *p, const struct unpacked *old, isize kept, struct buf *out);
/* False when they are not such bytes. Strings stay in them, lists go to the arena; behind the history there is room for `spare` entries. */
/* Whether there is a consent or a refusal among such bytes; most people are never asked. */
bool profile_consented(str bytes);
bool profile_unpack(str bytes, enum people_depth depth, isize spare, arena *a, struct unpacked *out);
bool profile_unpack_rest(struct unpacked *u, arena *a);         /* the memberships, when they were passed over */
void history_pack(struct history_coder *c, const struct history_entry *entries, isize n, struct buf *out);

#endif
