/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.c - the thread that makes things durable, many at a time.
 *
 * Appends are put straight into the group that will be written: an array of entries and of
 * appends, and an arena for the bytes of those that nobody waits for. One mutex guards it; a
 * hand-in is a few copies under it and no allocation, so HTTP threads queue there for less than
 * a microsecond. The writer takes the whole list of groups at once, makes each a record, and
 * writes all of them with one append and one sync. While it is in the sync the next groups fill:
 * the slower the disk, the bigger the groups, which is the point of a group commit.
 *
 *   nobody waits             it looks every IDLE_US, and writes what lies there
 *   one append waits         commit_wait_us after it came, or once commit_bytes are there
 *   a group has GROUP_BYTES  the next append begins another, so that acks flow
 *
 * Time: only this thread stamps it. A clock that goes backwards stands still until it has caught
 * up, also over a restart.
 *
 * When the disk has no room for an append (LOG_RETRY) its appends fail with ERR_DISK and nothing
 * of them is in the log. When the disk fails, or somebody else wrote to our log, what is on disk
 * is not known: abort, and let recovery find out.
 *
 * The disk is looked at once a second. Below disk_free_bytes, what strangers send is refused;
 * what we or the operator must write to get out of there (time, definitions, orders to erase) is
 * not. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/logline.h"
#include "base/thread.h"
#include "log/log.h"

enum {
    GROUP_BYTES = 1 << 20, IDLE_US = 500 * 1000, LOOK_US = 1000 * 1000, GROUPS_KEPT = 8, GROUPS_MAX = 32,
    APPEND_BYTES_MAX = 64 << 20, WAITING_BYTES_MAX = 128 << 20, COMMIT_BYTES_MAX = 16 << 20,
};

struct group {
    struct log_group is;            /* first: what the fold gets */
    struct { struct entry *at; isize n, cap; } entries;
    struct { struct append **at; isize n, cap; } appends;
    i64 bytes;
    struct group *next;
};

struct log_writer {
    struct log *log;
    struct clock clock;
    void (*fold)(void *ctx, struct log_group *group);
    void *ctx;
    pthread_t thread;

    pthread_mutex_t lock;           /* all that follows */
    pthread_cond_t work, released;
    i64 commit_wait_us, commit_bytes, queue, disk_free_bytes;
    struct group *head, *tail;      /* what waits, oldest first */
    isize waiting;                  /* appends in it, and how many of them somebody waits for */
    isize waited_for;
    i64 bytes, first_us;            /* bytes in it; when the oldest append that somebody waits for came */
    struct group *spare;
    isize spares;
    isize outstanding;              /* groups with the fold */
    /* held: the thread waits at its gate, and nothing is being written */
    bool stopping, disk_full, asleep, holding, held;
    struct log_writer_totals totals;
};

/* ---- groups --------------------------------------------------------------------------------- */
static void group_free(struct group *group)
{
    vec_fini(&group->entries);
    vec_fini(&group->appends);
    arena_fini(&group->is.arena);
    mem_free(group);
}

/* With the lock held. */
static struct group *group_begin(struct log_writer *w)
{
    struct group *group = w->spare;
    if (group) {
        w->spare = group->next;
        w->spares--;
        group->next = NULL;
    } else {
        group = mem_new(sizeof *group);
    }
    if (w->tail) w->tail->next = group;
    else w->head = group;
    w->tail = group;
    return group;
}

/* Empties a group and keeps it, or gives it back. */
static void group_end(struct log_writer *w, struct group *group)
{
    bool big = group->bytes > 2 * GROUP_BYTES;
    if (!big) {
        arena_clear(&group->is.arena);
        group->entries.n = group->appends.n = 0;
        group->bytes = 0;
    }
    (void)pthread_mutex_lock(&w->lock);
    bool keep = !big && w->spares < GROUPS_KEPT;
    if (keep) {
        group->next = w->spare;
        w->spare = group;
        w->spares++;
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (!keep) group_free(group);
}

/* ---- handing in ----------------------------------------------------------------------------- */
static bool from_strangers(const struct append *append)
{
    for (isize i = 0; i < append->entries_n; i++)
        switch (append->entries[i].kind) {
        case ENTRY_TICK: case ENTRY_DEFINITION: case ENTRY_PEOPLE: case ENTRY_SKIP: case ENTRY_DIGEST: break;
        default: return true;
        }
    return false;
}

/* With the lock held. */
static void take(struct log_writer *w, struct append *append, i64 bytes)
{
    struct group *group = w->tail && w->tail->bytes < GROUP_BYTES ? w->tail : group_begin(w);
    arena *a = &group->is.arena;
    if (!append->done) {
        struct append *kept = arena_new(a, struct append, 1);
        *kept = *append;
        append = kept;
    }
    for (isize i = 0; i < append->entries_n; i++) {
        struct entry entry = append->entries[i];
        if (!append->done && entry.bytes.len > 0) entry.bytes = arena_str(a, entry.bytes);
        vec_push(&group->entries, entry);
    }
    if (!append->done) append->entries = NULL;          /* the caller's; the group has its own */
    vec_push(&group->appends, append);
    group->bytes += bytes;
    w->bytes += bytes;
    w->waiting++;
}

enum err log_submit(struct log_writer *w, struct append *append)
{
    assert(append->entries_n > 0);
    i64 bytes = 0;
    for (isize i = 0; i < append->entries_n; i++) bytes += append->entries[i].bytes.len + 64;
    if (bytes > APPEND_BYTES_MAX) return ERR_TOO_BIG;
    bool strange = from_strangers(append), waits = append->done != NULL, wake = false;
    i64 now = waits ? clock_monotonic_us() : 0;

    enum err err = ERR_OK;
    (void)pthread_mutex_lock(&w->lock);
    if (w->stopping) {
        err = ERR_NOT_READY;
    } else if (w->waiting >= w->queue || (w->waiting > 0 && w->bytes + bytes > WAITING_BYTES_MAX)
               || (w->disk_full && strange)) {
        err = ERR_OVERLOADED;
        w->totals.refused++;
    } else {
        bool was_enough = w->bytes >= w->commit_bytes;
        take(w, append, bytes);
        if (waits && w->waited_for++ == 0) {
            w->first_us = now;
            wake = true;
        }
        wake |= !was_enough && w->bytes >= w->commit_bytes;
        wake &= w->asleep;
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (wake) (void)pthread_cond_signal(&w->work);
    return err;
}

/* ---- the thread ----------------------------------------------------------------------------- */
static void sleep_until(struct log_writer *w, i64 us)
{
    struct timespec until = { us / 1000000, (long)(us % 1000000) * 1000 };
    w->asleep = true;
    (void)pthread_cond_timedwait(&w->work, &w->lock, &until);
    w->asleep = false;
}

static void look_at_disk(struct log_writer *w)
{
    i64 free_bytes = log_disk_free(w->log);
    (void)pthread_mutex_lock(&w->lock);
    bool full = free_bytes < w->disk_free_bytes, changed = full != w->disk_full;
    w->disk_full = full;
    (void)pthread_mutex_unlock(&w->lock);
    if (changed && full) log_error("log.disk free_bytes=%" PRId64 " collecting=refused", free_bytes);
    if (changed && !full) log_note("log.disk free_bytes=%" PRId64 " collecting=taken", free_bytes);
}

/* Everything there is, once it is time. Null: the disk is to be looked at, or (*done) all is
 * written. */
static struct group *wait_for_work(struct log_writer *w, i64 look_us, bool *done)
{
    struct group *groups = NULL;
    (void)pthread_mutex_lock(&w->lock);
    i64 idle_us = clock_monotonic_us() + IDLE_US;
    for (;;) {
        while (w->holding && !w->stopping) {
            w->held = true;
            (void)pthread_cond_wait(&w->work, &w->lock);
        }
        w->held = false;
        i64 now = clock_monotonic_us();
        i64 due = w->waited_for > 0 ? w->first_us + w->commit_wait_us : idle_us;
        bool ready = w->stopping || w->bytes >= w->commit_bytes || now >= due;
        if (ready && w->head) break;
        *done = w->stopping;
        if (*done || now >= look_us || now >= idle_us) break;
        sleep_until(w, min_i64(due, look_us));
    }
    if (w->head && !*done) {
        groups = w->head;
        w->head = w->tail = NULL;
        w->waiting = w->waited_for = 0;
        w->bytes = 0;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return groups;
}

static void hand_back(struct log_writer *w, struct group *group, enum err err)
{
    for (isize i = 0; i < group->appends.n; i++) {
        struct append *append = group->appends.at[i];
        if (append->done) append->done(append, err, err ? 0 : append->first);
    }
    group_end(w, group);
}

static void hand_on(struct log_writer *w, struct group *group)
{
    u64 first = group->is.record.first;
    for (isize i = 0; i < group->appends.n; i++) {
        group->appends.at[i]->first = first;
        first += (u64)group->appends.at[i]->entries_n;
    }
    group->is.appends = group->appends.at;
    group->is.appends_n = group->appends.n;
    (void)pthread_mutex_lock(&w->lock);
    w->outstanding++;
    (void)pthread_mutex_unlock(&w->lock);
    w->fold(w->ctx, &group->is);
}

/* The first of `groups` as records, by one append. What is left. */
static struct group *commit(struct log_writer *w, struct group *groups)
{
    struct record records[GROUPS_MAX];
    struct group *list[GROUPS_MAX];
    isize n = 0;
    i64 entries = 0, appends = 0, bytes = 0;
    i64 at_ms = max_i64(clock_now(w->clock), log_last_ms(w->log));
    for (; groups && n < GROUPS_MAX && bytes < COMMIT_BYTES_MAX; groups = groups->next) {
        list[n] = groups;
        records[n++] = (struct record){ .at_ms = at_ms,
                                        .entries = groups->entries.at,
                                        .entries_n = groups->entries.n };
        entries += groups->entries.n;
        appends += groups->appends.n;
        bytes += groups->bytes;
    }
    i64 began = clock_monotonic_us();
    enum log_appended did = log_append(w->log, log_tail(w->log), records, n);
    i64 took = clock_monotonic_us() - began;
    if (did != LOG_OK && did != LOG_RETRY) {
        log_error("log.append outcome=%d what is on disk is not known", (int)did);
        abort();
    }
    (void)pthread_mutex_lock(&w->lock);
    w->totals.commit_us += took;
    w->totals.commit_us_max = max_i64(w->totals.commit_us_max, took);
    w->totals.commits++;
    if (did == LOG_RETRY) {
        w->totals.retried++;
        /* until the disk is looked at again: no need to try for each call */
        w->disk_full = true;
    } else {
        w->totals.records += n;
        w->totals.entries += entries;
        w->totals.appends += appends;
    }
    (void)pthread_mutex_unlock(&w->lock);
    for (isize i = 0; i < n; i++) {
        list[i]->next = NULL;
        list[i]->is.record = records[i];
        if (did == LOG_OK) hand_on(w, list[i]);
        else hand_back(w, list[i], ERR_DISK);
    }
    return groups;
}

static void *run(void *writer)
{
    thread_is("log", THREAD_ANSWERS);
    struct log_writer *w = writer;
    i64 look_us = clock_monotonic_us() + LOOK_US;
    for (bool done = false; !done;) {
        struct group *groups = wait_for_work(w, look_us, &done);
        while (groups) groups = commit(w, groups);
        if (clock_monotonic_us() < look_us) continue;
        look_at_disk(w);
        look_us = clock_monotonic_us() + LOOK_US;
    }
    return NULL;
}

/* ---- the door ------------------------------------------------------------------------------- */
void log_writer_reload(struct log_writer *w, const struct config *config)
{
    (void)pthread_mutex_lock(&w->lock);
    w->commit_wait_us = config->commit_wait_us;
    w->commit_bytes = config->commit_bytes;
    w->disk_free_bytes = config->disk_free_bytes;
    (void)pthread_mutex_unlock(&w->lock);
}

struct log_writer *log_writer_start(struct log *log, const struct config *config, struct clock clock,
                                    void (*fold)(void *ctx, struct log_group *group), void *ctx)
{
    struct log_writer *w = mem_new(sizeof *w);
    *w = (struct log_writer){ .log = log, .clock = clock, .fold = fold, .ctx = ctx };
    w->queue = config->log_queue;
    pthread_condattr_t attr;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->work, &attr);
    (void)pthread_cond_init(&w->released, NULL);
    (void)pthread_condattr_destroy(&attr);
    log_writer_reload(w, config);
    look_at_disk(w);
    int failed = pthread_create(&w->thread, NULL, run, w);
    assert(!failed);
    return w;
}

struct log_writer_totals log_writer_totals(struct log_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    struct log_writer_totals t = w->totals;
    t.waiting = w->waiting;
    (void)pthread_mutex_unlock(&w->lock);
    return t;
}

void log_group_release(struct log_writer *w, struct log_group *group)
{
    hand_back(w, (struct group *)group, ERR_OK);
    (void)pthread_mutex_lock(&w->lock);
    assert(w->outstanding > 0);
    if (--w->outstanding == 0) (void)pthread_cond_broadcast(&w->released);
    (void)pthread_mutex_unlock(&w->lock);
}

bool log_writer_hold(struct log_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->holding = true;
    (void)pthread_cond_signal(&w->work);
    bool still = w->held && w->outstanding == 0;
    (void)pthread_mutex_unlock(&w->lock);
    return still;
}

void log_writer_go(struct log_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->holding = w->held = false;
    (void)pthread_cond_signal(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
}

void log_writer_stop(struct log_writer *w)
{
    if (!w) return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_signal(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_mutex_lock(&w->lock);
    while (w->outstanding > 0) (void)pthread_cond_wait(&w->released, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);

    while (w->spare) {
        struct group *group = w->spare;
        w->spare = group->next;
        group_free(group);
    }
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->work);
    (void)pthread_cond_destroy(&w->released);
    mem_free(w);
}
