/* SPDX-License-Identifier: Apache-2.0
 *
 * statement.c - one prepared statement a call site, found by the address of its SQL.
 *
 * Preparing costs ten times what running does. The literal's address is the key, so that finding
 * one is a hash of eight bytes; the statement remembers its text, and another text at the same
 * address (a buffer that was used again) asserts. */
#include "base/hash.h"
#include "store/connection.h"

static isize slot_of(struct store *store, const char *sql)
{
    uintptr_t address = (uintptr_t)sql;
    isize mask = store->cache.cap - 1;
    isize at = (isize)(hash64((str){ (const char *)&address, sizeof address }, 0) & (u64)mask);
    while (store->cache.slots[at] && store->cache.slots[at]->sql != sql) at = (at + 1) & mask;
    return at;
}

static void grow(struct store *store)
{
    struct statement **before = store->cache.slots;
    isize cap = store->cache.cap;
    store->cache.cap = cap ? cap * 2 : 64;
    store->cache.slots = mem_new(store->cache.cap * (isize)sizeof(struct statement *));
    for (isize i = 0; i < cap; i++)
        if (before[i]) store->cache.slots[slot_of(store, before[i]->sql)] = before[i];
    mem_free(before);
}

struct statement *store_statement(struct store *store, const char *sql)
{
    if (store->cache.n * 2 >= store->cache.cap) grow(store);
    isize at = slot_of(store, sql);
    struct statement *s = store->cache.slots[at];
    if (!s) {
        s = mem_new(sizeof *s);
        *s = (struct statement){ .sql = sql, .store = store };
        int code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
        /* The disk may fail while the schema is read; then the first step says so. Anything else
         * is our mistake. */
        assert(code == SQLITE_OK || err_of(code) != ERR_INTERNAL);
        if (code != SQLITE_OK) {
            mem_free(s);
            static _Thread_local struct statement failed;
            failed = (struct statement){ .sql = sql, .store = store };
            return &failed;
        }
        store->cache.slots[at] = s;
        store->cache.n++;
    }
    assert(strcmp(sqlite3_sql(s->stmt), sql) == 0);
    assert(!sqlite3_stmt_busy(s->stmt));
    (void)sqlite3_clear_bindings(s->stmt);
    return s;
}

void statements_free(struct store *store)
{
    for (isize i = 0; i < store->cache.cap; i++)
        if (store->cache.slots[i]) {
            (void)sqlite3_finalize(store->cache.slots[i]->stmt);
            mem_free(store->cache.slots[i]);
        }
    mem_free(store->cache.slots);
}

static void bound(struct statement *s, int code) { assert(!s->stmt || code == SQLITE_OK); }

void bind_i64(struct statement *s, int at, i64 v) { bound(s, sqlite3_bind_int64(s->stmt, at, v)); }
void bind_f64(struct statement *s, int at, f64 v) { bound(s, sqlite3_bind_double(s->stmt, at, v)); }
void bind_null(struct statement *s, int at) { bound(s, sqlite3_bind_null(s->stmt, at)); }

int statement_parameters(const struct statement *s) { return sqlite3_bind_parameter_count(s->stmt); }

void bind_str(struct statement *s, int at, str v)
{
    bound(s, sqlite3_bind_text64(s->stmt, at, v.len ? v.ptr : "", (u64)v.len, SQLITE_STATIC, SQLITE_UTF8));
}

void bind_blob(struct statement *s, int at, str v)
{
    bound(s, sqlite3_bind_blob64(s->stmt, at, v.len ? v.ptr : "", (u64)v.len, SQLITE_STATIC));
}

enum err statement_step(struct statement *s, bool *row)
{
    *row = false;
    if (!s->stmt) return ERR_DISK;
    int code = sqlite3_step(s->stmt);
    *row = code == SQLITE_ROW;
    if (!*row) (void)sqlite3_reset(s->stmt);
    enum err err = err_of(code);
    assert(code != SQLITE_MISUSE && code != SQLITE_RANGE);
    return err;
}

enum err statement_run(struct statement *s)
{
    bool row;
    enum err err = statement_step(s, &row);
    assert(!row);
    return err;
}

void statement_reset(struct statement *s) { (void)sqlite3_reset(s->stmt); }

i64 column_i64(struct statement *s, int at) { return sqlite3_column_int64(s->stmt, at); }
f64 column_f64(struct statement *s, int at) { return sqlite3_column_double(s->stmt, at); }
bool column_null(struct statement *s, int at) { return sqlite3_column_type(s->stmt, at) == SQLITE_NULL; }

str column_str(struct statement *s, int at)
{
    const char *p = (const char *)sqlite3_column_text(s->stmt, at);
    return p ? (str){ p, sqlite3_column_bytes(s->stmt, at) } : (str){ "", 0 };
}

str column_blob(struct statement *s, int at)
{
    const char *p = sqlite3_column_blob(s->stmt, at);
    return p ? (str){ p, sqlite3_column_bytes(s->stmt, at) } : (str){ "", 0 };
}
