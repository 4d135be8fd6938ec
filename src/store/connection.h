/* SPDX-License-Identifier: Apache-2.0
 *
 * connection.h - what the files of this room share: the inside of a store.
 *
 *   reads    base/, SQLite
 *   feeds    store.c, statement.c, checkpoint.c, backup.c
 *   threads  as store.h says; totals and the checkpointer are shared
 *   memory   the store's */
#ifndef STORE_CONNECTION_H
#define STORE_CONNECTION_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "store/store.h"

enum { PAGE_BYTES = 4096, BUSY_MS = 5000, WAL_BYTES_MOST = 32 << 20 };

struct statement { sqlite3_stmt *stmt; const char *sql; struct store *store; };

struct checkpointer;

struct store {
    sqlite3 *db;
    char *path;
    bool reader, begun;             /* begun: by store_begin, and not committed or aborted since */
    struct {
        struct statement **slots;
        isize n, cap;
    } cache; /* by the address of the literal; cap a power of 2 */
    struct checkpointer *checkpointer;                              /* null for a reader */
    i64 restart_pages;              /* the writer's next RESTART is due above this many pages of WAL */
    _Atomic i64 most_pages;         /* store_wal_most */
    _Atomic i64 commits, wal_pages, checkpoints, checkpoints_failed, restarts, restarts_blocked;
};

/* A bare connection with the settings all of ours share. */
MUST_USE enum err connect_to(const char *path, int flags, sqlite3 **out, struct diag *diag);
enum err err_of(int code);
/* The error of `code`, and what the connection says about it. */
enum err store_fail(sqlite3 *db, int code, struct diag *diag);
MUST_USE enum err execute(sqlite3 *db, const char *sql, struct diag *diag);

MUST_USE enum err checkpointer_start(struct store *store, struct diag *diag);
void checkpointer_stop(struct store *store);
/* By the writer after a commit: a RESTART when the WAL has grown past its bound. */
void checkpoint_if_long(struct store *store);

void statements_free(struct store *store);

#endif
