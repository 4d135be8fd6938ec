/* SPDX-License-Identifier: Apache-2.0
 *
 * window.h - reading records out of a log file, inside this room.
 *
 *   reads    base/, record.h
 *   feeds    file.c
 *   threads  a window belongs to one
 *   memory   the window's, until buf_fini(&held); a record seen through it until the next look */
#ifndef LOG_WINDOW_H
#define LOG_WINDOW_H

#include "log/record.h"

/* `size`: nothing at or after it is looked at. `failed`: the disk could not be read, and nothing
 * said after that means anything. */
struct window { int fd; i64 size, at; struct buf held; bool failed; };

/* The record at `at`, which is within the file: VALID, NEWER, or INVALID when it is not whole. */
enum record_state window_record(struct window *w, i64 at, struct record_head *head, str *bytes);
/* Where the last byte that is not zero stands after `at`, plus one; `at` when there is none. */
i64 window_used(struct window *w, i64 at);
/* Whether a whole record of an append later than entry `tail`'s stands at or after `at`. */
bool window_holds_later(struct window *w, i64 at, u64 tail);

/* False when the file ends before, or the disk fails. */
bool read_all(int fd, char *to, isize n, i64 at);

#endif
