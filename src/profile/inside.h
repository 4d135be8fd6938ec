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

/* Adds the person to out. `old`: null, or the version before, whose first `kept` entries of history
 * are those of p too. */
void profile_pack(const struct profile *p, const struct unpacked *old, isize kept, struct buf *out);
/* False when they are not such bytes. Strings stay in them, lists go to the arena; behind the
 * history there is room for `spare` entries. */
bool profile_unpack(str bytes, enum people_depth depth, isize spare, arena *a, struct unpacked *out);
/* the memberships, when they were passed over */
bool profile_unpack_rest(struct unpacked *u, arena *a);
void history_pack(struct history_coder *c, const struct history_entry *entries, isize n, struct buf *out);


/* cold.c: such bytes as a frame that is a third as long, by dictionaries of which one thread at a
 * time makes the next. */
struct cold;
struct cold *cold_new(void);
void cold_free(struct cold *cold);
int cold_dictionaries(const struct cold *cold);         /* that there are */
/* Of n samples one behind the other; some hundred milliseconds. False: there was nothing to learn,
 * or there are as many as there may be. */
bool cold_learn(struct cold *cold, const char *samples, const size_t *sizes, isize n);
/* the fold's, once there is a dictionary; false: it gains nothing */
bool cold_pack(struct cold *cold, str bytes, struct buf *out);
isize cold_len(str frame);                              /* of the bytes it becomes */
/* any thread; `to` has room for cold_len */
void cold_unpack(const struct cold *cold, str frame, char *to);

#endif
