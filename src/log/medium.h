/* SPDX-License-Identifier: Apache-2.0
 *
 * medium.h - what holds the bytes of records: files or memory, inside this room. log.c knows the
 * chain and the numbers, a medium keeps what it is given and finds it again.
 *
 *   reads    base/, record.h
 *   feeds    log.c
 *   threads  put is called by one thread at a time; the rest from any thread at any time
 *   memory   a medium owns its own */
#ifndef LOG_MEDIUM_H
#define LOG_MEDIUM_H

#include "log/record.h"

struct medium;

/* Where the log ends, as found when it was opened. */
struct log_end { u64 tail, ordinal; struct hash128 hash; i64 at_ms, cut_bytes; };

/* One append: `bytes` holds `n` records, of which the places say where. */
struct place { u64 first; isize at; };
struct put {
    str bytes;
    const struct place *places;
    isize n;
    u64 next;
}; /* next: the number after its last entry */

struct medium_ops {
    enum log_appended (*put)(struct medium *m, const struct put *put);
    /* The whole record that holds entry `from`, which exists, as bytes in `a`, checked. */
    enum err (*get)(struct medium *m, u64 from, arena *a, str *bytes, struct diag *diag);
    enum err (*trim)(struct medium *m, u64 before);
    enum err (*rewrite)(struct medium *m, u64 tail, log_erase *erase, void *ctx, i64 *erased,
                        struct diag *diag);
    i64 (*disk_free)(struct medium *m);
    /* From now on puts are not synced; `false` syncs them, and later ones again each. */
    enum log_appended (*bulk)(struct medium *m, bool on);
    /* files, bytes, and what the first record kept is: its ordinal in records, its number in
     * entries. */
    struct log_totals (*totals)(struct medium *m);
    void (*close)(struct medium *m);
};
struct medium { const struct medium_ops *ops; };

MUST_USE enum err file_open(str dir, const struct config *config, struct medium **out,
                            struct log_end *end, struct diag *diag);
MUST_USE enum err file_verify(str dir, struct log_totals *totals, struct diag *diag);
MUST_USE enum err mem_open(str name, struct medium **out, struct log_end *end);
MUST_USE enum err mem_verify(str name, struct log_totals *totals, struct diag *diag);

/* What a record must be to come next. Any first record will do where `known` is false. */
struct chain { bool known; u64 tail, ordinal; struct hash128 hash; i64 at_ms; };
static inline struct chain chain_start(void)
{
    return (struct chain){ .known = true, .tail = 1, .ordinal = 0 };
}
static inline bool chain_fits(const struct chain *c, const struct record_head *h)
{
    return !c->known
           || (h->first == c->tail && h->ordinal == c->ordinal + 1
               && hash128_eq(h->before, c->hash));
}
static inline void chain_step(struct chain *c, const struct record_head *h)
{
    *c = (struct chain){ true, h->first + h->entries_n, h->ordinal, h->hash, h->at_ms };
}

/* Asks `erase` about each entry of a record that is below `tail` and not empty already; how many
 * are to go, told in gone[], and what stands in their places, made in scratch. */
isize erase_ask(str bytes, u64 tail, log_erase *erase, void *ctx, arena *scratch, bool **gone, str **stubs);

#endif
