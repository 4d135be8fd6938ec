/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - connections, schema, transactions.
 *
 * The settings, and why: WAL, so that readers and the writer do not wait for each other.
 * synchronous=FULL: a commit is one sync of the WAL, and what was committed survives a power
 * cut, because the log may be trimmed below it. Automatic checkpoints off: they would stall
 * whoever commits (checkpoint.c does them). secure_delete: what is deleted is overwritten. No
 * mmap: reads beside a writer were slower with it (137 instead of 236 thousand a second), and a
 * bad pointer of ours could write to the file. 4 KiB pages: bigger ones write more per small
 * commit and gained nothing. trusted_schema off and cell_size_check on: the file may come from a
 * backup that somebody else had.
 *
 * Each connection belongs to one thread at a time, so SQLite's own mutex is off. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/logline.h"
#include "store/connection.h"

enum err err_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE: return ERR_OK;
    case SQLITE_BUSY: case SQLITE_LOCKED: return ERR_OVERLOADED;
    case SQLITE_FULL: case SQLITE_IOERR: case SQLITE_CANTOPEN: case SQLITE_PERM: case SQLITE_READONLY:
    case SQLITE_NOLFS: return ERR_DISK;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return ERR_DAMAGED;
    case SQLITE_CONSTRAINT: return ERR_CONFLICT;
    case SQLITE_TOOBIG: return ERR_TOO_BIG;
    default: return ERR_INTERNAL;
    }
}

enum err store_fail(sqlite3 *db, int code, struct diag *diag)
{
    enum err err = err_of(code);
    return err ? diag_set(diag, err, "%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(code)) : ERR_OK;
}

enum err execute(sqlite3 *db, const char *sql, struct diag *diag)
{
    return store_fail(db, sqlite3_exec(db, sql, NULL, NULL, NULL), diag);
}

enum err connect_to(const char *path, int flags, sqlite3 **out, struct diag *diag)
{
    *out = NULL;
    int code = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    enum err err = code == SQLITE_OK
                       ? ERR_OK
                       : diag_set(diag, err_of(code), "%s: %s", path, sqlite3_errstr(code));
    if (!err) {
        (void)sqlite3_extended_result_codes(*out, 1);
        (void)sqlite3_busy_timeout(*out, BUSY_MS);
        err = execute(
            *out,
            "PRAGMA mmap_size = 0; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
            "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0;",
            diag);
    }
    if (err) {
        (void)sqlite3_close(*out);
        *out = NULL;
    }
    return err;
}

/* Made before SQLite would, which lets the group and others read; its companion files take the
 * same mode. */
static enum err make_file(const char *path, struct diag *diag)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return diag_set(diag, ERR_DISK, "%s: %s", path, strerror(errno));
    (void)close(fd);
    return ERR_OK;
}

static int committed(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct store *store = ctx;
    (void)db;
    (void)name;
    store->wal_pages = pages;
    return SQLITE_OK;
}

/* Only a database in WAL mode answers "wal"; some file systems cannot. */
static enum err want_wal(struct store *store, struct diag *diag)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(store->db, "PRAGMA journal_mode = WAL", -1, &s, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(s);
    enum err err = store_fail(store->db, code, diag);
    if (!err && strcmp((const char *)sqlite3_column_text(s, 0), "wal") != 0)
        err = diag_set(diag, ERR_DISK, "%s: this file system cannot share memory between processes",
                       store->path);
    (void)sqlite3_finalize(s);
    return err;
}

enum err store_open(const char *path, enum store_mode mode, struct store **out, struct diag *diag)
{
    struct store *store = mem_new(sizeof *store);
    isize n = (isize)strlen(path) + 1;
    enum err err = ERR_OK;
    *out = NULL;
    store->path = mem_new(n);
    memcpy(store->path, path, (size_t)n);
    store->reader = mode == STORE_READER;
    store_wal_most(store, WAL_BYTES_MOST);
    if (store->reader && access(path, F_OK) < 0) err = diag_set(diag, ERR_NOT_FOUND, "%s is not there", path);
    if (!err && !store->reader) err = make_file(path, diag);
    /* A reader is opened for writing too: it may have to recover the WAL of a writer that was
     * killed. */
    if (!err) err = connect_to(path, SQLITE_OPEN_READWRITE, &store->db, diag);
    if (!err && !store->reader) {
        err = execute(
            store->db,
            "PRAGMA page_size = 4096; PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864",
            diag);
        if (!err) err = want_wal(store, diag);
        if (!err) err = checkpointer_start(store, diag);
        (void)sqlite3_wal_hook(store->db, committed, store);
    }
    if (!err && store->reader)
        err = execute(
            store->db,
            "PRAGMA query_only = ON; PRAGMA cache_size = -8192; SELECT count(*) FROM sqlite_schema",
            diag);
    if (err) {
        store_close(store);
        return err;
    }
    *out = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (!store) return;
    store_abort(store);
    checkpointer_stop(store);
    statements_free(store);
    int code = sqlite3_close(store->db);
    assert(code == SQLITE_OK);
    mem_free(store->path);
    mem_free(store);
}

/* ---- schema --------------------------------------------------------------------------------- */
i32 store_version(struct store *store)
{
    struct statement *s = store_statement(store, "PRAGMA user_version");
    bool row;
    i32 version = -1;
    if (!statement_step(s, &row) && row) version = (i32)column_i64(s, 0);
    statement_reset(s);
    return version;
}

static enum err migrate(struct store *store, const struct migration *row, struct diag *diag)
{
    char seal[64];
    (void)sqlite3_snprintf(sizeof seal, seal, "PRAGMA user_version = %d", row->version);
    enum err err = store_begin(store);
    if (!err) err = execute(store->db, row->sql, diag);
    if (!err) err = execute(store->db, seal, diag);
    if (!err) err = store_commit(store);
    if (err) store_abort(store);
    else log_note("store.migrate version=%d", row->version);
    return err;
}

enum err store_migrate(struct store *store, const struct migration *rows, isize n, struct diag *diag)
{
    i32 version = store_version(store);
    if (version < 0) return store_why(store, ERR_DISK, diag);
    for (isize i = 0; i < n; i++) assert(rows[i].version == i + 1);
    if (version > n)
        return diag_set(
            diag, ERR_REFUSED,
            "%s was written by a newer version: its schema is %d, this program knows %d",
            store->path, version, (int)n);
    for (isize i = version; i < n; i++) {
        enum err err = migrate(store, &rows[i], diag);
        if (err) return err;
    }
    return ERR_OK;
}

/* ---- transactions --------------------------------------------------------------------------- */
enum err store_begin(struct store *store)
{
    assert(!store->begun);
    enum err err = statement_run(store_statement(store, store->reader ? "BEGIN" : "BEGIN IMMEDIATE"));
    store->begun = !err;
    return err;
}

enum err store_commit(struct store *store)
{
    assert(store->begun);
    /* A failure within may have ended the transaction already: then nothing of it is in the
     * file, and this says so. */
    if (sqlite3_get_autocommit(store->db)) return ERR_DISK;
    enum err err = statement_run(store_statement(store, "COMMIT"));
    store->begun = err != ERR_OK;
    if (err || store->reader) return err;
    store->commits++;
    checkpoint_if_long(store);
    return ERR_OK;
}

void store_abort(struct store *store)
{
    store->begun = false;
    if (!store->db || sqlite3_get_autocommit(store->db)) return;
    err_ignore(statement_run(store_statement(store, "ROLLBACK")),
               "SQLite rolls back by itself when it cannot");
}

enum err store_run(struct store *store, const char *sql, struct diag *diag)
{
    return execute(store->db, sql, diag);
}
i64 store_last_id(struct store *store) { return sqlite3_last_insert_rowid(store->db); }
i64 store_changes(struct store *store) { return sqlite3_changes64(store->db); }

enum err store_why(struct store *store, enum err err, struct diag *diag)
{
    return diag_set(diag, err, "%s: %s", store->path, sqlite3_errmsg(store->db));
}

struct store_totals store_totals(struct store *store)
{
    return (struct store_totals){
        .commits = store->commits,
        .wal_bytes = store->wal_pages * (PAGE_BYTES + 24),
        .checkpoints = store->checkpoints,
        .checkpoints_failed = store->checkpoints_failed,
        .restarts = store->restarts,
        .restarts_blocked = store->restarts_blocked,
    };
}
