/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.c - mem:NAME, the log in memory, for simulations.
 *
 * The same bytes as in a file (record.c), one run of them a record. They outlive log_close, as a
 * disk would, until the process ends, so that a simulated crash is a close without a stop; mem:
 * without a name is private and goes with its log. */
#include <pthread.h>

#include "log/medium.h"

struct kept { u64 first, ordinal; str bytes; };

struct mem_medium {
    struct medium medium;
    char *name;
    pthread_mutex_t lock;           /* everything below */
    bool open;
    struct { struct kept *at; isize n, cap; } records;
    i64 bytes;
};

static struct {
    pthread_mutex_t lock;
    struct { struct mem_medium **at; isize n, cap; } named;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static str copy(str s)
{
    char *p = mem_new(s.len);
    memcpy(p, s.ptr, (size_t)s.len);
    return (str){ p, s.len };
}

static void release(struct kept *kept) { mem_free((char *)(uintptr_t)kept->bytes.ptr); }

static enum log_appended mem_put(struct medium *medium, const struct put *put)
{
    struct mem_medium *m = (struct mem_medium *)medium;
    (void)pthread_mutex_lock(&m->lock);
    for (isize i = 0; i < put->n; i++) {
        isize to = i + 1 < put->n ? put->places[i + 1].at : put->bytes.len;
        struct record_head head;
        struct kept kept = { .bytes = copy(str_slice(put->bytes, put->places[i].at, to)) };
        bool one = record_peek(kept.bytes.ptr, &head);
        assert(one && head.bytes == kept.bytes.len);
        kept.first = head.first;
        kept.ordinal = head.ordinal;
        vec_push(&m->records, kept);
    }
    m->bytes += put->bytes.len;
    (void)pthread_mutex_unlock(&m->lock);
    return LOG_OK;
}

static enum err mem_get(struct medium *medium, u64 from, arena *a, str *bytes, struct diag *diag)
{
    struct mem_medium *m = (struct mem_medium *)medium;
    (void)pthread_mutex_lock(&m->lock);
    isize low = 0, high = m->records.n;
    while (low < high) {
        isize mid = low + (high - low) / 2;
        if (m->records.at[mid].first <= from) low = mid + 1;
        else high = mid;
    }
    if (low > 0) *bytes = arena_str(a, m->records.at[low - 1].bytes);
    (void)pthread_mutex_unlock(&m->lock);
    return low > 0 ? ERR_OK
                   : diag_set(diag, ERR_NOT_FOUND, "mem:%s: entry %" PRIu64 " was trimmed", m->name,
                              from);
}

/* A record stands for a file, except that files go only whole and the last one stays. */
static enum err mem_trim(struct medium *medium, u64 before)
{
    struct mem_medium *m = (struct mem_medium *)medium;
    (void)pthread_mutex_lock(&m->lock);
    isize gone = 0;
    while (gone + 1 < m->records.n && m->records.at[gone + 1].first <= before) {
        m->bytes -= m->records.at[gone].bytes.len;
        release(&m->records.at[gone++]);
    }
    m->records.n -= gone;
    if (gone > 0) memmove(m->records.at, m->records.at + gone, (size_t)m->records.n * sizeof *m->records.at);
    (void)pthread_mutex_unlock(&m->lock);
    return ERR_OK;
}

static enum err mem_rewrite(struct medium *medium, u64 tail, log_erase *erase, void *ctx,
                            i64 *erased, struct diag *diag)
{
    (void)diag;
    struct mem_medium *m = (struct mem_medium *)medium;
    arena scratch = { 0 };
    *erased = 0;
    (void)pthread_mutex_lock(&m->lock);
    for (isize i = 0; i < m->records.n; i++) {
        struct kept *kept = &m->records.at[i];
        bool *gone;
        str *stubs;
        arena_clear(&scratch);
        isize n = erase_ask(kept->bytes, tail, erase, ctx, &scratch, &gone, &stubs);
        if (n == 0) continue;
        struct buf out = { .arena = &scratch };
        record_erase(&out, kept->bytes, gone, stubs);
        m->bytes -= kept->bytes.len - out.len;
        memset((char *)(uintptr_t)kept->bytes.ptr, 0, (size_t)kept->bytes.len);
        release(kept);
        kept->bytes = copy(buf_str(&out));
        *erased += n;
    }
    (void)pthread_mutex_unlock(&m->lock);
    arena_fini(&scratch);
    return ERR_OK;
}

static i64 mem_disk_free(struct medium *medium)
{
    (void)medium;
    return INT64_MAX;
}

static struct log_totals mem_totals(struct medium *medium)
{
    struct mem_medium *m = (struct mem_medium *)medium;
    (void)pthread_mutex_lock(&m->lock);
    struct log_totals t = { .bytes = m->bytes, .files = 1 };
    if (m->records.n > 0) {
        t.records = (i64)m->records.at[0].ordinal;
        t.entries = (i64)m->records.at[0].first;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return t;
}

static void mem_close(struct medium *medium)
{
    struct mem_medium *m = (struct mem_medium *)medium;
    if (m->name[0]) {
        (void)pthread_mutex_lock(&m->lock);
        m->open = false;
        (void)pthread_mutex_unlock(&m->lock);
        return;
    }
    for (isize i = 0; i < m->records.n; i++) release(&m->records.at[i]);
    vec_fini(&m->records);
    (void)pthread_mutex_destroy(&m->lock);
    mem_free(m->name);
    mem_free(m);
}

/* Memory is never synced. */
static enum log_appended mem_bulk(struct medium *medium, bool on)
{
    (void)medium;
    (void)on;
    return LOG_OK;
}

static const struct medium_ops mem_ops = {
    mem_put, mem_get, mem_trim, mem_rewrite, mem_disk_free, mem_bulk, mem_totals, mem_close,
};

static struct mem_medium *named(str name)
{
    for (isize i = 0; i < all.named.n; i++)
        if (str_eq(str_of(all.named.at[i]->name), name)) return all.named.at[i];
    return NULL;
}

static enum err walk(struct mem_medium *m, struct chain *chain, bool prove, struct diag *diag)
{
    if (m->records.n == 0 || m->records.at[0].first == 1) *chain = chain_start();
    for (isize i = 0; i < m->records.n; i++) {
        struct record_head head;
        str bytes = m->records.at[i].bytes;
        if (record_check(bytes, &head) != RECORD_VALID || !chain_fits(chain, &head)
            || (prove && !record_prove(bytes)))
            return diag_set(diag, ERR_DAMAGED,
                            "mem:%s: the record of entry %" PRIu64 " is not what was written",
                            m->name, m->records.at[i].first);
        chain_step(chain, &head);
    }
    return ERR_OK;
}

enum err mem_open(str name, struct medium **out, struct log_end *end)
{
    (void)pthread_mutex_lock(&all.lock);
    struct mem_medium *m = name.len ? named(name) : NULL;
    if (!m) {
        m = mem_new(sizeof *m);
        m->medium.ops = &mem_ops;
        m->name = mem_new(name.len + 1);
        if (name.len) memcpy(m->name, name.ptr, (size_t)name.len);
        (void)pthread_mutex_init(&m->lock, NULL);
        if (name.len) vec_push(&all.named, m);
    }
    struct chain chain = { 0 };
    (void)pthread_mutex_lock(&m->lock);
    enum err err = m->open ? ERR_CONFLICT : walk(m, &chain, false, NULL);
    if (!err) m->open = true;
    (void)pthread_mutex_unlock(&m->lock);
    (void)pthread_mutex_unlock(&all.lock);
    *out = &m->medium;
    *end = (struct log_end){ chain.tail, chain.ordinal, chain.hash, chain.at_ms, 0 };
    return err;
}

enum err mem_verify(str name, struct log_totals *totals, struct diag *diag)
{
    *totals = (struct log_totals){ 0 };
    (void)pthread_mutex_lock(&all.lock);
    struct mem_medium *m = named(name);
    (void)pthread_mutex_unlock(&all.lock);
    if (!m) return ERR_OK;
    struct chain chain = { 0 };
    (void)pthread_mutex_lock(&m->lock);
    enum err err = walk(m, &chain, true, diag);
    *totals = (struct log_totals){ .bytes = m->bytes, .files = 1, .records = m->records.n };
    if (!err && m->records.n > 0) totals->entries = (i64)(chain.tail - m->records.at[0].first);
    (void)pthread_mutex_unlock(&m->lock);
    return err;
}
