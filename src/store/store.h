/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - SQLite behind one door: where flushed state lives, so that a start need not replay
 * the whole log.
 *
 * A store is one connection to one file. The writer makes the file, keeps its write-ahead log
 * (WAL) short and is the only one that writes; readers each open their own and see the last
 * commit at the moment their first statement begins. Everything is durable when store_commit has
 * returned. Any admin can open the file with `sqlite3` at any time.
 *
 *   reads    base/
 *   feeds    profile/, identity/, consent/, catalog/, console accounts: whoever keeps rows
 *   threads  a store belongs to one thread at a time; the writer has a checkpoint thread of its own inside
 *   memory   the store's; what a column gives is valid until the statement's next step or reset
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"

struct store;
struct statement;

enum store_mode {
    STORE_WRITER, /* creates the file (0600) when it is not there; runs the checkpoint thread */
    STORE_READER, /* reads only; ERR_NOT_FOUND when there is no file */
};

/* ERR_DISK: cannot be opened or made. ERR_DAMAGED: is no database, or a broken one. */
MUST_USE enum err store_open(const char *path, enum store_mode mode, struct store **out, struct diag *diag);
void store_close(struct store *store);                  /* a transaction that is open is given up */

/* ---- schema --------------------------------------------------------------------------------- */
struct migration {
    i32 version;
    const char *sql;
}; /* 1, 2, 3 ... without gaps; sql may be several statements */

/* Runs the rows that the file has not seen, each in a transaction of its own. A row, once
 * released, is never changed. A file from a newer program is ERR_REFUSED and left as it is. */
MUST_USE enum err store_migrate(struct store *store, const struct migration *rows, isize n,
                                struct diag *diag);
i32 store_version(struct store *store);

/* ---- transactions --------------------------------------------------------------------------- */
/* Begin takes the write lock at once (a reader: fixes what it sees). Commit returns when it is
 * on disk; when it fails, and after any failed statement within, call abort. ERR_DISK: no room,
 * or the disk failed; nothing of it is in the file. */
MUST_USE enum err store_begin(struct store *store);
MUST_USE enum err store_commit(struct store *store);
void store_abort(struct store *store);                  /* nothing happens when no transaction is open */

/* Statements without parameters or results. */
MUST_USE enum err store_run(struct store *store, const char *sql, struct diag *diag);

/* ---- statements ----------------------------------------------------------------------------- */
/* The statement of this call site, ready to be bound: prepared at the first call and kept. `sql`
 * is a literal: the store knows it by its address. SQL that does not prepare is our mistake, and
 * asserts. */
struct statement *store_statement(struct store *store, const char *sql);

/* Parameters count from 1. Bytes are borrowed until the statement is run, stepped to its end or
 * reset. */
void bind_i64(struct statement *s, int at, i64 v);
void bind_f64(struct statement *s, int at, f64 v);
void bind_str(struct statement *s, int at, str v);
void bind_blob(struct statement *s, int at, str v);
void bind_null(struct statement *s, int at);
int statement_parameters(const struct statement *s);    /* the highest number of one */

/* For what returns no rows. ERR_CONFLICT: a constraint; ERR_DISK; ERR_DAMAGED; ERR_OVERLOADED:
 * another writer held the file longer than the busy timeout. */
MUST_USE enum err statement_run(struct statement *s);
/* while (!(err = statement_step(s, &row)) && row) ...; at the end it is reset. */
MUST_USE enum err statement_step(struct statement *s, bool *row);
void statement_reset(struct statement *s);              /* for who stops before the end */

/* Columns count from 0. */
i64 column_i64(struct statement *s, int at);
f64 column_f64(struct statement *s, int at);
str column_str(struct statement *s, int at);
str column_blob(struct statement *s, int at);
bool column_null(struct statement *s, int at);

i64 store_last_id(struct store *store);                 /* rowid of the last insert */
i64 store_changes(struct store *store);                 /* rows the last statement changed */
/* What the database said about the last failure, into diag; gives `err` back. */
enum err store_why(struct store *store, enum err err, struct diag *diag);

/* ---- keeping -------------------------------------------------------------------------------- */
/* The WAL may grow to so many bytes (32 MiB where nobody says) before the writer waits for it to be
 * moved. A long one is less work, as a page that changes again before it is moved is moved once;
 * but opening after a kill reads all of it. */
void store_wal_most(struct store *store, i64 bytes);

/* Writer, outside a transaction: moves all of the WAL into the file and empties it, so that what
 * was deleted is gone from both. ERR_OVERLOADED while a reader still looks at the past. */
MUST_USE enum err store_wal_truncate(struct store *store, struct diag *diag);

/* A copy of the file as it is at one moment, made beside running reads and writes: to path.new,
 * synced, renamed. `progress` may be null; false stops it, with ERR_CONFLICT and no file. From
 * any thread: it opens a connection of its own. */
struct store_progress { bool (*report)(void *ctx, i64 pages_done, i64 pages); void *ctx; };
MUST_USE enum err store_backup(struct store *store, const char *path,
                               struct store_progress progress, struct diag *diag);

/* From any thread. Waits are of the checkpoints the writer itself had to make. */
struct store_totals { i64 commits, wal_bytes, checkpoints, checkpoints_failed, restarts, restarts_blocked; };
struct store_totals store_totals(struct store *store);

#endif
