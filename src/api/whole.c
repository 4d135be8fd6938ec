/* SPDX-License-Identifier: Apache-2.0
 *
 * whole.c - the shop as a whole, for tools: what its log comes to, entry by entry and in one
 * digest, and a changed campaign tried on it.
 *
 * The digest is of one instant: the entries, the counts and the digest are read together on the
 * fold's thread. A log's export through that entry (GET /v1/export/log?through=) comes to the same
 * state, unless somebody was erased in between: "erasures" tells.
 */
#include "api/admin.h"

enum { LOG_ENTRIES_MAX = 100000, LOG_BYTES_MAX = 16 << 20, ERASURES_MAX = INT16_MAX };

static isize definitions_count(const struct fold *fold)
{
    isize n = 0;
    while (definition_by_id(fold_definitions(fold), (u32)n + 1)) n++;
    return n;
}

static isize running(const struct erasure **list, isize n)
{
    isize count = 0;
    for (isize i = 0; i < n; i++) count += list[i]->done_ms == 0;
    return count;
}

static void print_whole(struct call *call, struct fold *fold)
{
    const struct totals *t = fold_totals(fold);
    const struct live *live = fold_live(fold);
    struct jsonw *w = &call->w;
    const struct erasure **erasures = arena_new(call->a, const struct erasure *, ERASURES_MAX);
    isize erasures_n = fold_erasures(fold, erasures, ERASURES_MAX);
    struct log_totals log = fold_log_totals(fold);
    struct hash128 digest = fold_digest(fold).all;
    const struct { const char *name; i64 n; } counts[] = {
        { "entries", (i64)fold_ref(fold) }, { "events", t->events },         { "people", people_count(live->people) },
        { "orders", fold_orders(fold) },    { "items", catalog_count(live->catalog) },
        { "decisions", t->decisions },      { "dead_letters", t->dead },     { "definitions", definitions_count(fold) },
    };
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "counts", '{');
    for (isize i = 0; i < countof(counts); i++) jsonw_key_int(w, counts[i].name, counts[i].n);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "settings", '{');
    jsonw_key_int(w, "dedup_days", call->api->config->dedup_days);
    jsonw_key_int(w, "history_events", call->api->config->history_events);
    jsonw_key_int(w, "exposure_days", call->api->config->exposure_days);
    jsonw_end(w, '}');
    jsonw_key_str(w, "digest",
                  arena_printf(call->a, "%016llx%016llx", (unsigned long long)digest.hi,
                               (unsigned long long)digest.lo));
    jsonw_key_begin(w, "log", '{');
    jsonw_key_int(w, "records", log.records);
    jsonw_key_int(w, "entries", log.entries);
    jsonw_key_int(w, "bytes", log.bytes);
    jsonw_key_int(w, "files", log.files);
    jsonw_end(w, '}');
    jsonw_key_int(w, "erasures", erasures_n);
    jsonw_key_int(w, "erasures_running", running(erasures, erasures_n));
    jsonw_end(w, '}');
}

void digest_get(struct call *call) { ask_fold(call, print_whole); }

/* ---- entry by entry -------------------------------------------------------------------------- */

static void print_entry(struct jsonw *w, arena *a, u64 number, i64 at_ms, const struct entry *e)
{
    struct event event;
    struct definition_change change;
    struct item_change item;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "ref", (i64)number);
    jsonw_key_time(w, "at", at_ms);
    jsonw_key_str(w, "kind", str_of(entry_kind_name(e->kind)));
    if (e->kind == ENTRY_EVENT && event_decode(e->bytes, a, &event) == ERR_OK) {
        jsonw_key(w, S("event"));
        event_print(&event, w);
    } else if (e->kind == ENTRY_DEFINITION && definition_change_decode(e->bytes, &change) == ERR_OK) {
        jsonw_key_str(w, "of", change.kind);
        jsonw_key_str(w, "key", change.key);
        jsonw_key_str(w, "document", change.document);
    } else if (e->kind == ENTRY_CATALOG && item_change_decode(e->bytes, a, &item) == ERR_OK) {
        jsonw_key_str(w, "item", item.item.key);
    } else {
        jsonw_key_str(w, "bytes", e->bytes);
    }
    jsonw_end(w, '}');
}

static void print_log(struct call *call)
{
    struct diag diag = { .arena = call->a };
    i64 from = 1, left = query_limit(call, LOG_ENTRIES_MAX, LOG_ENTRIES_MAX);
    bool found = true;
    arena a = { 0 };
    enum err err = ERR_OK;
    (void)str_to_i64(http_query(call->req, S("from"), S("1")), &from);
    u64 at = (u64)max_i64(from, 1);
    call->type = S("application/x-ndjson");
    while (!err && found && left > 0 && call->out.len < LOG_BYTES_MAX) {
        struct record record;
        arena_clear(&a);
        err = fold_read(call->api->fold, at, &a, &record, &found, &diag);
        for (isize i = 0; !err && found && left > 0 && i < record.entries_n; i++) {
            if (record.first + (u64)i < at) continue;
            struct jsonw w = { .out = &call->out };
            print_entry(&w, &a, at, record.at_ms, &record.entries[i]);
            buf_byte(&call->out, '\n');
            at++;
            left--;
        }
    }
    arena_fini(&a);
    if (err) call_fail(call, err, "%.*s", STR_FMT(diag.what));
    else if (found) buf_printf(&call->out, "{\"next\":%llu}\n", (unsigned long long)at);
}

void log_get(struct call *call) { ask_jobs(call, print_log); }

/* ---- a changed campaign ---------------------------------------------------------------------- */

static void replay(struct call *call)
{
    struct whatif *ask = call->own;
    struct whatif_answer answer;
    struct diag diag = { .arena = call->a };
    if (fold_whatif(call->api->fold, ask, call->a, &answer, &diag)) {
        call_fail(call, ERR_REFUSED, "%.*s", STR_FMT(diag.what));
        return;
    }
    whatif_print(ask, &answer, &call->w);
}

void replay_post(struct call *call)
{
    struct whatif *ask = arena_new(call->a, struct whatif, 1);
    const struct json *document = json_get(call->body, S("document"));
    str since = body_text(call, "since");
    ask->campaign = body_text(call, "campaign");
    if (document) ask->document = json_print(call->a, document);
    if (ask->campaign.len == 0 || (since.len && !time_parse(since, &ask->since_ms))) {
        reply_problem(call, ERR_BAD_INPUT, "expected {\"campaign\", \"since\": a time}");
        return;
    }
    call->own = ask;
    ask_jobs(call, replay);
}
