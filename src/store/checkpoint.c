/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.c - moving what was committed from the write-ahead log into the file, out of the
 * writer's way.
 *
 * A page that changes in every batch need not be moved after every batch. So a thread with a
 * connection of its own looks every 100 ms whether the WAL has come to three quarters of what it
 * may be, or whether nothing was committed for a while, and then runs a PASSIVE checkpoint: it
 * moves what it can and waits for nobody. When it has moved everything and nobody reads the WAL any
 * more, the next commit begins the WAL anew and it stays short. Under steady writing that moment
 * may never come; so above the bound (store_wal_most) the writer itself runs a RESTART, which waits
 * for the thread, should it be at it, and for readers a little. Measured, 2,000 events a second:
 * p99 of a commit 5 ms, where checkpoints by the writer alone gave 61 ms.
 *
 * The connection must have read something before its first checkpoint: SQLite does not know the
 * file is in WAL mode until then and the call does nothing, and says so to nobody. Without that
 * one read the WAL grew past 4 GB. */
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/logline.h"
#include "base/thread.h"
#include "store/connection.h"

enum { EVERY_MS = 100, QUIET_ROUNDS = 12, RESTART_BUSY_MS = 50 };

struct checkpointer {
    sqlite3 *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    /* held while the thread moves pages: a second checkpoint at that time is refused, not queued,
     * by SQLite */
    pthread_mutex_t moving;
};

/* False once it is to stop. */
static bool pause_a_while(struct checkpointer *c)
{
    struct timespec until;
    i64 us = clock_monotonic_us() + (i64)EVERY_MS * 1000;
    until = (struct timespec){ us / 1000000, (long)(us % 1000000) * 1000 };
    (void)pthread_mutex_lock(&c->lock);
    int came = 0;
    while (!c->stop && came == 0) came = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    bool go_on = !c->stop;
    (void)pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void *run(void *ctx)
{
    thread_is("checkpoint", THREAD_BEHIND);
    struct store *store = ctx;
    struct checkpointer *c = store->checkpointer;
    i64 done_for = -1, last = -1;
    int quiet = 0;
    while (pause_a_while(c)) {
        i64 commits = store->commits;
        quiet = commits == last ? quiet + 1 : 0;
        last = commits;
        bool due = quiet >= QUIET_ROUNDS || store->wal_pages >= store->most_pages / 4 * 3;
        if (commits == done_for || !due) continue;
        int in_wal = 0, moved = 0;
        (void)pthread_mutex_lock(&c->moving);
        int code = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
        (void)pthread_mutex_unlock(&c->moving);
        assert(in_wal >= 0 || code != SQLITE_OK);       /* -1: not in WAL mode, so it never read */
        bool whole = code == SQLITE_OK && in_wal == moved;
        if (code == SQLITE_OK) store->checkpoints++;
        if (whole) done_for = commits;
        if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) continue;
        if (store->checkpoints_failed++ == 0) log_error("store.checkpoint error=%s", sqlite3_errmsg(c->db));
    }
    return NULL;
}

enum err checkpointer_start(struct store *store, struct diag *diag)
{
    struct checkpointer *c = mem_new(sizeof *c);
    enum err err = connect_to(store->path, SQLITE_OPEN_READWRITE, &c->db, diag);
    if (!err) err = execute(c->db, "SELECT count(*) FROM sqlite_schema", diag);
    if (err) {
        (void)sqlite3_close(c->db);
        mem_free(c);
        return err;
    }
    pthread_condattr_t attr;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_mutex_init(&c->moving, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    store->checkpointer = c;
    int failed = pthread_create(&c->thread, NULL, run, store);
    assert(!failed);
    return ERR_OK;
}

void checkpointer_stop(struct store *store)
{
    struct checkpointer *c = store->checkpointer;
    if (!c) return;
    (void)pthread_mutex_lock(&c->lock);
    c->stop = true;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    (void)sqlite3_close(c->db);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_mutex_destroy(&c->moving);
    (void)pthread_cond_destroy(&c->wake);
    mem_free(c);
    store->checkpointer = NULL;
}

void checkpoint_if_long(struct store *store)
{
    i64 pages = store->wal_pages, bound = store->most_pages;
    if (pages < bound) store->restart_pages = bound;
    if (pages < store->restart_pages) return;
    struct checkpointer *c = store->checkpointer;
    (void)sqlite3_busy_timeout(store->db, RESTART_BUSY_MS);
    if (c) (void)pthread_mutex_lock(&c->moving);
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    if (c) (void)pthread_mutex_unlock(&c->moving);
    (void)sqlite3_busy_timeout(store->db, BUSY_MS);
    if (code == SQLITE_OK) {
        store->restarts++;
        return;
    }
    /* A reader looks at the past (a backup, say). Do not stall every commit for it: ask again an
     * eighth later. */
    store->restarts_blocked++;
    store->restart_pages = pages + bound / 8;
}

void store_wal_most(struct store *store, i64 bytes)
{
    store->most_pages = bytes / PAGE_BYTES;
    store->restart_pages = store->most_pages;
}

enum err store_wal_truncate(struct store *store, struct diag *diag)
{
    assert(store->checkpointer && !store->begun);
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code == SQLITE_OK) store->wal_pages = 0;
    return store_fail(store->db, code, diag);
}
