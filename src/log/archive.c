/* SPDX-License-Identifier: Apache-2.0
 *
 * archive.c - a log as NDJSON, an entry a line, and back.
 *
 *   {"ref":17,"record":15,"at_ms":1763712000000,"version":1,"kind":"event","bytes":"BASE64"}
 *
 * Everything a fold may look at is in the line: the entry's number, which record it stands in, the
 * record's time and fold version, and the entry's bytes as they are. So the same lines give the
 * same records, and those the same state. What is not in it, and differs in the copy: how records
 * lie in files, their salts, and so the chain of hashes.
 */
#include <sodium.h>

#include "base/json.h"
#include "log/log.h"

enum { RECORDS_AT_ONCE = 256, BYTES_AT_ONCE = 8 << 20 };

static const char *const kinds[ENTRY_KINDS] = {
    [ENTRY_ERASED] = "erased",       [ENTRY_EVENT] = "event",
    [ENTRY_TICK] = "tick",           [ENTRY_DEFINITION] = "definition",
    [ENTRY_CATALOG] = "catalog",     [ENTRY_DECISION] = "decision",
    [ENTRY_REFUSAL] = "refusal",     [ENTRY_DEAD] = "dead",
    [ENTRY_PEOPLE] = "people",       [ENTRY_SKIP] = "skip",
    [ENTRY_DIGEST] = "digest",       [ENTRY_PREDICTION] = "prediction",
    [ENTRY_ALLOTMENT] = "allotment", [ENTRY_DELIVERY] = "delivery",
    [ENTRY_WEIGHTS] = "weights",
};

const char *entry_kind_name(u8 kind) { return kind < ENTRY_KINDS ? kinds[kind] : "unknown"; }

static bool kind_of(str name, u8 *out)
{
    for (u8 i = 0; i < ENTRY_KINDS; i++)
        if (str_eq(name, str_of(kinds[i]))) { *out = i; return true; }
    return false;
}

/* ---- out ------------------------------------------------------------------------------------ */

void archive_print(const struct record *record, struct buf *out)
{
    struct jsonw w = { .out = out };
    for (isize i = 0; i < record->entries_n; i++) {
        const struct entry *e = &record->entries[i];
        w.comma = false;
        jsonw_begin(&w, '{');
        jsonw_key_int(&w, "ref", (i64)record->first + i);
        jsonw_key_int(&w, "record", (i64)record->first);
        jsonw_key_int(&w, "at_ms", record->at_ms);
        jsonw_key_int(&w, "version", record->fold_version);
        if (record->partition) jsonw_key_int(&w, "partition", record->partition);
        if (record->epoch) jsonw_key_int(&w, "epoch", record->epoch);
        jsonw_key_str(&w, "kind", str_of(entry_kind_name(e->kind)));
        jsonw_key(&w, S("bytes"));
        buf_byte(out, '"');
        size_t room = sodium_base64_ENCODED_LEN((size_t)e->bytes.len, sodium_base64_VARIANT_ORIGINAL);
        buf_reserve(out, (isize)room);
        sodium_bin2base64(out->ptr + out->len, room, (const u8 *)e->bytes.ptr, (size_t)e->bytes.len,
                          sodium_base64_VARIANT_ORIGINAL);
        out->len += (isize)room - 1;                    /* without its final zero */
        buf_byte(out, '"');
        w.comma = true;
        jsonw_end(&w, '}');
        buf_byte(out, '\n');
    }
}

/* ---- in ------------------------------------------------------------------------------------- */

struct archive {
    struct log *log;
    arena a;                        /* the records that wait to be appended */
    arena line;
    struct { struct record *at; isize n, cap; } records;
    struct { struct entry *at; isize n, cap; } entries;     /* of the record under way, the last */
    u64 next, record;
    i64 at_ms;
};

struct archive *archive_new(struct log *log)
{
    struct archive *ar = mem_new(sizeof *ar);
    ar->log = log;
    ar->next = log_tail(log);
    ar->at_ms = log_last_ms(log);
    return ar;
}

void archive_free(struct archive *ar)
{
    if (!ar) return;
    vec_fini(&ar->records);
    vec_fini(&ar->entries);
    arena_fini(&ar->a);
    arena_fini(&ar->line);
    mem_free(ar);
}

/* The record under way has all its entries. */
static void record_close(struct archive *ar)
{
    if (ar->entries.n == 0) return;
    struct record *record = &ar->records.at[ar->records.n - 1];
    record->entries = arena_new(&ar->a, struct entry, ar->entries.n);
    record->entries_n = ar->entries.n;
    memcpy(record->entries, ar->entries.at, (size_t)ar->entries.n * sizeof *record->entries);
    ar->entries.n = 0;
}

static enum err write_records(struct archive *ar, struct diag *diag)
{
    if (ar->records.n == 0) return ERR_OK;
    enum log_appended did = log_append(ar->log, log_tail(ar->log), ar->records.at, ar->records.n);
    ar->records.n = 0;
    arena_clear(&ar->a);
    return did == LOG_OK ? ERR_OK : diag_set(diag, ERR_DISK, "the log could not be written");
}

static bool bytes_of(arena *a, const struct json *v, str *out)
{
    if (!json_is(v, JSON_STR)) return false;
    u8 *bytes = arena_new(a, u8, v->s.len / 4 * 3 + 3);
    size_t n;
    const char *end;
    bool whole = sodium_base642bin(bytes, (size_t)(v->s.len / 4 * 3 + 3), v->s.ptr,
                                   (size_t)v->s.len, NULL, &n, &end, sodium_base64_VARIANT_ORIGINAL)
                     == 0
                 && end == v->s.ptr + v->s.len;
    *out = (str){ (const char *)bytes, (isize)n };
    return whole;
}

enum err archive_take(struct archive *ar, str line, struct diag *diag)
{
    const struct json *doc;
    struct entry entry = { 0 };
    arena_clear(&ar->line);
    enum err err = json_parse(&ar->line, line, &doc, diag);
    if (err) return err;
    i64 ref = json_int(json_get(doc, S("ref")), 0), of = json_int(json_get(doc, S("record")), 0),
        at_ms = json_int(json_get(doc, S("at_ms")), 0);
    if (!kind_of(json_str(json_get(doc, S("kind")), S("")), &entry.kind))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "the entry is of no kind that this program knows; it may come from a newer one");
    if ((u64)ref != ar->next)
        return diag_set(diag, ERR_BAD_INPUT, "expected entry %" PRIu64 ", found %" PRIi64, ar->next,
                        ref);
    bool begins = of == ref;
    if (!begins && (ar->entries.n == 0 || (u64)of != ar->record))
        return diag_set(diag, ERR_BAD_INPUT,
                        "entry %" PRIi64 " belongs to record %" PRIi64 ", which did not begin", ref,
                        of);
    if (at_ms < ar->at_ms || (!begins && at_ms != ar->at_ms))
        return diag_set(diag, ERR_BAD_INPUT, "time runs backwards at entry %" PRIi64, ref);
    if (begins) {
        record_close(ar);
        if (ar->records.n >= RECORDS_AT_ONCE || ar->a.used >= BYTES_AT_ONCE) err = write_records(ar, diag);
        if (err) return err;
        vec_push(&ar->records,
                 (struct record){ .at_ms = at_ms,
                                  .partition = (u32)json_int(json_get(doc, S("partition")), 0),
                                  .epoch = (u32)json_int(json_get(doc, S("epoch")), 0),
                                  .fold_version = (u32)json_int(json_get(doc, S("version")), 0) });
        ar->record = (u64)of;
    }
    if (!bytes_of(&ar->a, json_get(doc, S("bytes")), &entry.bytes))
        return diag_set(diag, ERR_BAD_INPUT, "the bytes of entry %" PRIi64 " are no base64", ref);
    vec_push(&ar->entries, entry);
    ar->at_ms = at_ms;
    ar->next++;
    return ERR_OK;
}

enum err archive_end(struct archive *ar, struct diag *diag)
{
    record_close(ar);
    return write_records(ar, diag);
}
