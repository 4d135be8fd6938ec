/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - the bytes of one record, inside this room. The layout stands in record.c.
 *
 *   reads    base/, log.h
 *   feeds    file.c, mem.c, log.c
 *   threads  pure functions
 *   memory   the caller's */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include "log/log.h"

enum { RECORD_HEADER = 104, ENTRY_HEADER = 33, RECORD_FORMAT = 1, RECORD_BYTES_MAX = 256 << 20 };

/* What the header says, without the entries. */
struct record_head {
    u64 first, ordinal, commit;     /* ordinal: counts records from 1; commit: first entry of its append */
    i64 at_ms;
    u32 partition, epoch, fold_version, entries_n, bytes;
    struct hash128 before, hash;
};

enum record_state {
    RECORD_VALID,
    RECORD_SHORT,                   /* could be one, if there were more bytes: head->bytes says how many */
    RECORD_INVALID,
    RECORD_NEWER,                   /* whole, in a format this program does not know */
};

/* Where a record goes in the chain. */
struct record_link { struct hash128 before; u64 ordinal, commit; };

/* Bytes that record_write will take. */
i64 record_size(const struct record *record);
/* Adds the bytes to `out`, which takes salts from `salts` (8 bytes an entry), and sets
 * record->hash. */
void record_write(struct buf *out, struct record *record, struct record_link link, const u8 *salts);
/* Whether `bytes` begin with a whole record whose checksum agrees, and its header. */
enum record_state record_check(str bytes, struct record_head *head);
/* Whether the header alone could be one; needs RECORD_HEADER bytes. The checksum is not looked
 * at. */
bool record_peek(const char *bytes, struct record_head *head);
/* The bytes of a valid record as entries that point into them, in `a`. False when the lengths of
 * the entries do not add up, which a valid record's always do. */
bool record_read(str bytes, arena *a, struct record *out);
/* Checks each entry's hash and the record's own, slower than the checksum. False when one does
 * not agree. */
bool record_prove(str bytes);
/* Adds to `out` the record with stubs[i] in the place of the entries for which gone[i]; their
 * hashes and all others' stay. `stubs` may be null: nothing stands there. */
void record_erase(struct buf *out, str bytes, const bool *gone, const str *stubs);

static inline bool record_begins(const char *p)
{
    return load_u32le(p) == 0xfe504fffu;                /* FF 4F 50 FE */
}

#endif
