/* SPDX-License-Identifier: Apache-2.0
 *
 * undo.h - what the shim writes down and the rollback reads: how to take back every write not
 * yet synced.
 *
 * The undo folder, DIR.undo beside DIR unless UNSYNCED_UNDO names another on the same file
 * system, holds
 *
 *   lock        one byte a slot, locked while a file of that slot or (the last byte) a name is changed
 *   INODE       for each file changed since its last sync: a BASE record with its size at that sync,
 *               then for each change what stood there. Taken back last to first, then cut to the
 *               base size. Removed by a sync of the file
 *   names       one line a change of a name since the last sync of its folder, fields by tabs:
 *                   C folder path                   made              back: removed, with its inside
 *                   U folder path saved             removed           the saved link gets its name
 *                   R folder inode from to saved|-  renamed           what stood at `to` returns too
 *                   D folder path                   folder removed    made again
 *   saved-...   hard links that keep removed and replaced files
 *
 * Each line and record is written before the change it takes back. A kill in between leaves one
 * too many; taking back a change that was not made changes nothing. An unfinished record or line
 * at the end is not looked at. */
#ifndef SHIM_UNDO_H
#define SHIM_UNDO_H

#include <stdint.h>
#include <string.h>

enum { UNDO_MAGIC = 0x4f444e55, UNDO_CHUNK = 64 << 10, UNDO_LINE = 16 << 10 };
enum undo_kind {
    UNDO_BASE,
    UNDO_OLD,
    UNDO_ZERO
}; /* OLD: `length` bytes follow; ZERO: zeros stood there */
struct undo { uint32_t magic, kind; uint64_t offset, length; };

/* Memory shared between processes, made anew from the WAL whenever it is missing: not a thing to
 * keep. */
static inline int undo_derived(const char *name)
{
    size_t n = strlen(name);
    return n >= 4 && strcmp(name + n - 4, "-shm") == 0;
}

#endif
