/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - the numbers and the chain, over a medium that keeps the bytes.
 *
 * The whole of an append is built in one buffer, kept from call to call, and handed to the
 * medium at once. */
#include "log/log.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "log/medium.h"

enum { OUT_KEPT = 4 << 20 };

struct log {
    struct medium *medium;
    i64 cut_bytes;
    pthread_mutex_t append;         /* what follows; one append at a time */
    struct buf out, salts, places;
    struct hash128 hash;            /* of the last record */
    _Atomic u64 tail, ordinal;      /* read by anyone; ordinal: how many records there are */
    _Atomic i64 at_ms;              /* of the last record */
};

enum err log_open(const char *uri, const struct config *config, struct log **out, struct diag *diag)
{
    struct medium *medium = NULL;
    struct log_end end = { 0 };
    str where = str_of(uri);
    enum err err;
    *out = NULL;
    if (sodium_init() < 0) return diag_set(diag, ERR_INTERNAL, "libsodium does not start");
    if (str_starts(where, S("file:")) && where.len > 5)
        err = file_open(str_from(where, 5), config, &medium, &end, diag);
    else if (str_starts(where, S("mem:"))) err = mem_open(str_from(where, 4), &medium, &end);
    else return diag_set(diag, ERR_BAD_INPUT, "a log is file:FOLDER or mem:NAME, not %s", uri);
    if (err) return err;

    struct log *log = mem_new(sizeof *log);
    log->medium = medium;
    log->cut_bytes = end.cut_bytes;
    log->hash = end.hash;
    (void)pthread_mutex_init(&log->append, NULL);
    atomic_init(&log->tail, end.tail);
    atomic_init(&log->ordinal, end.ordinal);
    atomic_init(&log->at_ms, end.at_ms);
    *out = log;
    return ERR_OK;
}

void log_close(struct log *log)
{
    if (!log) return;
    log->medium->ops->close(log->medium);
    (void)pthread_mutex_destroy(&log->append);
    buf_fini(&log->out);
    buf_fini(&log->salts);
    buf_fini(&log->places);
    mem_free(log);
}

u64 log_tail(const struct log *log) { return atomic_load(&log->tail); }
i64 log_last_ms(const struct log *log) { return atomic_load(&log->at_ms); }
i64 log_cut_bytes(const struct log *log) { return log->cut_bytes; }
i64 log_disk_free(const struct log *log) { return log->medium->ops->disk_free(log->medium); }
enum log_appended log_bulk(struct log *log, bool on) { return log->medium->ops->bulk(log->medium, on); }

struct log_totals log_totals(const struct log *log)
{
    struct log_totals t = log->medium->ops->totals(log->medium);
    u64 ordinal = atomic_load(&log->ordinal), tail = atomic_load(&log->tail);
    t.entries = t.records > 0 ? (i64)tail - t.entries : 0;
    t.records = t.entries > 0 ? (i64)ordinal - t.records + 1 : 0;
    return t;
}

static void fill_salts(struct log *log, struct record *records, isize n)
{
    isize entries = 0;
    for (isize i = 0; i < n; i++) entries += records[i].entries_n;
    log->salts.len = 0;
    buf_reserve(&log->salts, 8 * entries);
    /* Up to 256 bytes the kernel gives whole, whatever signal comes. */
    for (isize at = 0; at < 8 * entries; at += 256)
        rng_system(log->salts.ptr + at, min_isize(256, 8 * entries - at));
}

static enum log_appended append(struct log *log, struct record *records, isize n)
{
    u64 tail = log->tail, ordinal = log->ordinal;
    struct record_link link = { .before = log->hash, .commit = tail };
    const u8 *salts;
    fill_salts(log, records, n);
    salts = (const u8 *)log->salts.ptr;
    log->out.len = log->places.len = 0;
    buf_reserve(&log->places, n * (isize)sizeof(struct place));
    struct place *places = (struct place *)(void *)log->places.ptr;
    for (isize i = 0; i < n; i++) {
        records[i].first = tail;
        places[i] = (struct place){ tail, log->out.len };
        link.ordinal = ++ordinal;
        record_write(&log->out, &records[i], link, salts);
        salts += 8 * records[i].entries_n;
        tail += (u64)records[i].entries_n;
        link.before = records[i].hash;
    }
    struct put put = { buf_str(&log->out), places, n, tail };
    enum log_appended did = log->medium->ops->put(log->medium, &put);
    if (did == LOG_OK) {
        log->hash = link.before;
        atomic_store(&log->at_ms, records[n - 1].at_ms);
        atomic_store(&log->ordinal, ordinal);
        atomic_store(&log->tail, tail);
    }
    if (log->out.cap > OUT_KEPT) buf_fini(&log->out);
    return did;
}

enum log_appended log_append(struct log *log, u64 tail, struct record *records, isize n)
{
    assert(n > 0);
    (void)pthread_mutex_lock(&log->append);
    enum log_appended did = tail == log->tail ? append(log, records, n) : LOG_CONFLICT;
    (void)pthread_mutex_unlock(&log->append);
    return did;
}

enum err log_read(struct log *log, u64 from, arena *a, struct record *out, bool *found, struct diag *diag)
{
    assert(from > 0);
    *found = false;
    if (from >= log_tail(log)) return ERR_OK;
    str bytes;
    enum err err = log->medium->ops->get(log->medium, from, a, &bytes, diag);
    if (err) return err;
    *found = record_read(bytes, a, out);
    assert(*found);
    return ERR_OK;
}

enum err log_trim(struct log *log, u64 before)
{
    return log->medium->ops->trim(log->medium, before);
}

enum err log_rewrite(struct log *log, log_erase *erase, void *ctx, i64 *erased, struct diag *diag)
{
    return log->medium->ops->rewrite(log->medium, log_tail(log), erase, ctx, erased, diag);
}

enum err log_verify(const char *uri, const struct config *config, struct log_totals *totals,
                    struct diag *diag)
{
    (void)config;
    str where = str_of(uri);
    if (sodium_init() < 0) return diag_set(diag, ERR_INTERNAL, "libsodium does not start");
    if (str_starts(where, S("file:")) && where.len > 5) return file_verify(str_from(where, 5), totals, diag);
    if (str_starts(where, S("mem:"))) return mem_verify(str_from(where, 4), totals, diag);
    return diag_set(diag, ERR_BAD_INPUT, "a log is file:FOLDER or mem:NAME, not %s", uri);
}
