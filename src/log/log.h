/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - the truth: one append-only log that every fact enters by.
 *
 * A record is a batch: everything received in one group commit. Its entries are numbered without
 * gaps from 1; an entry's number is what the rest of the program calls its ref. 200 to a client
 * means: its record is on disk (fdatasync) and folded.
 *
 *   reads    base/, event/
 *   feeds    fold/
 *   threads  one writer thread owns the files; log_submit from any thread; log_read from the fold
 *   memory   records live in their group until the fold releases it
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/clock.h"
#include "base/config.h"
#include "base/err.h"
#include "base/hash.h"

enum entry_kind {
    /* what stood here was erased; its salted hash keeps the chain whole. Bytes: what was left in
     * its place */
    ENTRY_ERASED,
    ENTRY_EVENT,      /* event_encode */
    ENTRY_TICK,       /* time passed: nothing in it, the record's time is the message */
    ENTRY_DEFINITION, /* something people author changed */
    ENTRY_CATALOG,    /* an item, its prices or its stock changed */
    ENTRY_DECISION,   /* what we answered */
    ENTRY_REFUSAL, /* counts of what the consent gate refused, and keyed hashes of denials; no identifiers */
    ENTRY_DEAD,   /* an event that could not be taken, with its reason */
    ENTRY_PEOPLE, /* merge, split, erase, suppress: what was ordered about people */
    ENTRY_SKIP,   /* a record that the fold could not survive is passed over */
    ENTRY_DIGEST, /* the state's digest after the entry before */
    ENTRY_PREDICTION, /* one person's scores, or the card of the models that make them */
    ENTRY_ALLOTMENT, /* shares a bandit was found to give, or its policy */
    /* items of a file that a source brought, counted: catalogue entries do not say whose they are */
    ENTRY_DELIVERY,
    ENTRY_WEIGHTS,  /* what the recommenders of a mix were found to be worth in a placement */
    ENTRY_KINDS
};

const char *entry_kind_name(u8 kind);                   /* "event"; "unknown" beyond the table */

struct entry { u8 kind; str bytes; };

struct record {
    u64 first;                      /* number of entries[0] */
    i64 at_ms;                      /* stamped by the writer; never runs backwards */
    u32 partition, epoch, fold_version;
    struct hash128 hash;            /* chain: over the record before and this record's entry hashes */
    struct entry *entries;
    isize entries_n;
};

/* ---- storage: file:DIR keeps files, mem: keeps it in memory (for simulation) ---------------- */
struct log;
enum log_appended { LOG_OK, LOG_CONFLICT, LOG_UNKNOWN, LOG_RETRY, LOG_FATAL };

/* Opens or creates. An invalid tail with nothing valid after it is cut and the bytes dropped are
 * said (cut_bytes, and a log line); any other damage is ERR_DAMAGED and diag names the file and
 * record. */
MUST_USE enum err log_open(const char *uri, const struct config *config, struct log **out, struct diag *diag);
void log_close(struct log *log);
u64 log_tail(const struct log *log);                    /* number of the next entry; 1 when empty */
i64 log_cut_bytes(const struct log *log);
i64 log_last_ms(const struct log *log);                 /* at_ms of the last record; 0 when there is none */
i64 log_disk_free(const struct log *log);               /* bytes; INT64_MAX in memory */
struct log_totals { i64 records, entries, bytes, files; };
struct log_totals log_totals(const struct log *log);    /* from any thread */

/* Appends several records and makes them durable with one fdatasync, if the tail is still `tail`
 * (else LOG_CONFLICT). Fills first, hash. An fdatasync error is LOG_FATAL: the caller aborts,
 * nobody retries. */
MUST_USE enum log_appended log_append(struct log *log, u64 tail, struct record *records, isize n);

/* The record that holds entry `from` or, at the tail, nothing: *found false. Strings live in
 * `a`. */
MUST_USE enum err log_read(struct log *log, u64 from, arena *a, struct record *out, bool *found,
                           struct diag *diag);

/* While on, appends are written but not synced: for making a folder that is thrown away if that does
 * not come to its end. Off syncs all of them and is LOG_OK or LOG_FATAL, as an append is. */
MUST_USE enum log_appended log_bulk(struct log *log, bool on);

/* Files that hold nothing at or after `before` may go. The last file with a record in it stays. */
MUST_USE enum err log_trim(struct log *log, u64 before);

/* Replaces the bytes of the entries for which `erase` says so by what it adds to `stub`, often
 * nothing (kind ENTRY_ERASED), file by file: new file, fsync, rename. The chain of hashes stays
 * valid: it was made of what stood there, so what stands there now is guarded by its checksum
 * alone. Asked in order of their numbers, and again of stubs that hold something. `erased` counts. */
typedef bool log_erase(void *ctx, u64 number, i64 at_ms, const struct entry *entry, struct buf *stub);
MUST_USE enum err log_rewrite(struct log *log, log_erase *erase, void *ctx, i64 *erased, struct diag *diag);

/* Checks every byte of every record and the chain; ERR_DAMAGED names file and record. */
MUST_USE enum err log_verify(const char *uri, const struct config *config,
                             struct log_totals *totals, struct diag *diag);

/* ---- as NDJSON, an entry a line, exact (archive.c) ------------------------------------------- */

/* A record's lines. */
void archive_print(const struct record *record, struct buf *out);
/* Lines back into a log, records as they were. One thread; nobody else appends meanwhile. */
struct archive;
struct archive *archive_new(struct log *log);
void archive_free(struct archive *archive);
/* ERR_BAD_INPUT: no line of an archive, or not the one that comes next. ERR_DISK. */
MUST_USE enum err archive_take(struct archive *archive, str line, struct diag *diag);
MUST_USE enum err archive_end(struct archive *archive, struct diag *diag);     /* what is left is written */

/* ---- the writer ----------------------------------------------------------------------------- */

/* One caller's entries. The bytes must stay until `done` has been called. `done` runs on the
 * thread that calls log_group_release (the fold), after the record is durable and folded;
 * `first` is the number the first entry got. Only when the disk had no room does it run on the
 * writer's thread, with ERR_DISK: then nothing of it is in the log. */
struct append {
    const struct entry *entries;
    isize entries_n;
    void (*done)(struct append *append, enum err err,
                 u64 first); /* null: nobody waits (decisions, pixels) */
    void *ctx;
    u64 first;
};

struct log_writer;
struct log_writer_totals {
    i64 commits, records, appends, entries, refused, retried, waiting, commit_us, commit_us_max;
};
/* Starts the writer thread. Durable groups are handed to `fold` in order, on the writer's
 * thread: it should only queue them (a bounded queue: while it is full the writer waits). The
 * group is given back with log_group_release. */
struct log_group { struct record record; struct append **appends; isize appends_n; arena arena; };
struct log_writer *log_writer_start(struct log *log, const struct config *config, struct clock clock,
                                    void (*fold)(void *ctx, struct log_group *group), void *ctx);
/* Queues without blocking. Waiting appends (done != null) make a commit after commit_wait_us or
 * commit_bytes; those nobody waits for are written with the next commit, within a second at
 * most; they and their bytes are copied at once. ERR_OVERLOADED when the queue is full or,
 * except for ticks, definitions, orders about people, skips and digests, when the disk has less
 * than disk_free_bytes; ERR_TOO_BIG above 64 MiB; ERR_NOT_READY once stopping. */
MUST_USE enum err log_submit(struct log_writer *writer, struct append *append);
void log_group_release(struct log_writer *writer, struct log_group *group);
/* From any thread: counts since the start, what waits now, and how long commits took (sum and
 * longest). */
struct log_writer_totals log_writer_totals(struct log_writer *writer);
/* From now on nothing is written, though all may be handed in; true once all that was written has
 * been released. Asked again until it is, and then let go: in between the log's end is the
 * caller's. One caller at a time. */
bool log_writer_hold(struct log_writer *writer);
void log_writer_go(struct log_writer *writer);
/* Takes over the settings that may change while running. */
void log_writer_reload(struct log_writer *writer, const struct config *config);
/* Commits what is queued, waits until the fold has released every group, ends the thread. */
void log_writer_stop(struct log_writer *writer);

#endif
