/* SPDX-License-Identifier: Apache-2.0
 *
 * skip.c - an entry that the fold did not survive twice is taken out of its way, aloud.
 *
 * The fold leaves a mark of the entry it is at in memory that outlives it; its parent reads there what
 * it died of. Before the third try the entry's place in the log is emptied, as an erasure does, so that every
 * replay from then on agrees; what it said goes to the dead letters, and a SKIP tells that it happened.
 * The letter is written first: dying in between costs a second letter and nothing else.
 */
#include "base/logline.h"
#include "fold/inside.h"

static bool is_it(void *ctx, u64 number, i64 at_ms, const struct entry *entry, struct buf *stub)
{
    (void)entry;
    (void)at_ms;
    (void)stub;
    return number == *(const u64 *)ctx;
}

static struct dead_letter letter_of(const struct entry *entry, i64 at_ms, arena *a)
{
    struct dead_letter letter = { .at_ms = at_ms,
                                  .source = S("(fold)"),
                                  .reason = S(
                                      "the server died twice of taking this in; it is set aside") };
    struct event e;
    struct buf raw = { .arena = a };
    struct jsonw w = { .out = &raw };
    if (entry->kind != ENTRY_EVENT || event_decode(entry->bytes, a, &e)) return letter;
    event_print(&e, &w);
    letter.source = e.source;
    letter.raw = buf_str(&raw);
    return letter;
}

enum err fold_skip(struct log *log, u64 ref, i64 now_ms, struct diag *diag)
{
    arena a = { 0 };
    struct record record;
    bool found = false;
    i64 erased;
    enum err err = log_read(log, ref, &a, &record, &found, diag);
    const struct entry *entry =
        !err && found && ref >= record.first && ref < record.first + (u64)record.entries_n
            ? &record.entries[ref - record.first]
            : NULL;
    if (!err && entry && entry->kind != ENTRY_ERASED) {
        struct buf letter = { .arena = &a };
        struct dead_letter dead = letter_of(entry, record.at_ms, &a);
        dead_letter_encode(&dead, &letter);
        str which = arena_printf(&a, "%llu", (unsigned long long)ref);
        struct entry told[] = { { ENTRY_SKIP, which }, { ENTRY_DEAD, buf_str(&letter) } };
        struct record last = { .at_ms = max_i64(now_ms, log_last_ms(log)),
                               .fold_version = 1,
                               .entries = told,
                               .entries_n = countof(told) };
        if (log_append(log, log_tail(log), &last, 1) != LOG_OK)
            err = diag_set(diag, ERR_DISK, "the log could not be written");
        if (!err) err = log_rewrite(log, is_it, &ref, &erased, diag);
        if (!err) log_error("fold.skipped ref=%llu kind=%u", (unsigned long long)ref, entry->kind);
    }
    arena_fini(&a);
    return err;
}
