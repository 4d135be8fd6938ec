/* SPDX-License-Identifier: Apache-2.0
 *
 * regulations.c - what people may ask for by law: to be forgotten, and to be told what is held.
 *
 * Whoever asks, the privacy desk here, a shop system by its webhook, or `opmaat person erase`, it is one way: fold_erase. The answer comes when
 * the live state has them no more; log and store follow, and the receipt says how far. A receipt names nobody: it holds a
 * hash under the folder's key, by which somebody who asks again can be told that it was done.
 */
#include "api/admin.h"
#include "base/clock.h"

enum { RECEIPTS_MAX = 1000 };

/* ---- receipts ------------------------------------------------------------------------------------ */

static void print_counts(struct jsonw *w, const struct erase_counts *counts)
{
    jsonw_key_begin(w, "counts", '{');
#define COUNT(name) jsonw_key_int(w, #name, counts->name);
    ERASE_COUNTS(COUNT)
#undef COUNT
    jsonw_end(w, '}');
}

static void print_erasure(struct call *call, const struct fold *fold, const struct erasure *e)
{
    struct jsonw *w = &call->w;
    bool done = e->done_ms > 0;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", arena_printf(call->a, "e_%llu", (unsigned long long)e->ref));
    jsonw_key_str(w, "regulation", S("erase"));
    jsonw_key_str(w, "state", done ? S("done") : S("running"));
    jsonw_key_str(w, "because", e->because);
    jsonw_key_str(w, "by", e->by);
    jsonw_key_str(w, "whom", arena_printf(call->a, "%016llx%016llx", (unsigned long long)e->whom.hi, (unsigned long long)e->whom.lo));
    jsonw_key_time(w, "asked_at", e->at_ms);
    if (done) jsonw_key_time(w, "done_at", e->done_ms);
    else jsonw_key_num(w, "progress", (f64)fold_erase_progress(fold) / 1000);
    print_counts(w, &e->counts);
    jsonw_end(w, '}');
}

void print_erasures(struct call *call, const struct fold *fold)
{
    const struct erasure **list = arena_new(call->a, const struct erasure *, RECEIPTS_MAX);
    isize n = fold_erasures(fold, list, RECEIPTS_MAX);
    for (isize i = 0; i < n; i++) print_erasure(call, fold, list[i]);
}

static void answer_receipt(struct call *call, struct fold *fold)
{
    const struct erasure **list = arena_new(call->a, const struct erasure *, INT16_MAX);
    isize n = fold_erasures(fold, list, INT16_MAX);
    i64 ref = 0;
    if (str_starts(call->params[0], S("e_"))) (void)str_to_i64(str_from(call->params[0], 2), &ref);
    for (isize i = 0; i < n; i++)
        if (list[i]->ref == (u64)ref) { print_erasure(call, fold, list[i]); return; }
    call_fail(call, ERR_NOT_FOUND, "there is no such receipt");
}

void regulation_get(struct call *call) { ask_fold(call, answer_receipt); }

/* ---- erasing ------------------------------------------------------------------------------------- */

/* On the fold's thread: any one identifier of the person leads to them. */
static void name_person(struct call *call, struct fold *fold)
{
    struct erase_request *r = call->own;
    const struct identity *identity = fold_live(fold)->identity;
    const struct link *links[IDENTIFIERS_PER_PERSON_MAX];
    person_id id = { 0 };
    if (person_id_read(body_text(call, "person_id"), &id) && (isize)id.v <= identity_people(identity)) id = identity_person(identity, id.v);
    isize n = identity_identifiers(identity, id, links, countof(links));
    if (n == 0) { call_fail(call, ERR_NOT_FOUND, "there is no such person"); return; }
    r->who[r->who_n++] = (struct identifier){ links[0]->identifier.kind, true, arena_str(call->a, links[0]->identifier.value) };
}

/* False after call_fail(). */
static bool read_request(struct call *call, struct erase_request *r)
{
    call->own = r;
    json_each(field, call->body) {
        u8 kind;
        if (str_eq(field->key, S("person_id"))) { on_fold(call, name_person); continue; }
        if (call->err || !identifier_kind_of(field->key, &kind)) continue;
        str value = ingest_identifier(call->a, kind, json_text(call->a, field));
        if (value.len && r->who_n < ERASE_WHO_MAX) r->who[r->who_n++] = (struct identifier){ kind, true, value };
    }
    if (!call->err && r->who_n == 0)
        call_fail(call, ERR_BAD_INPUT, "expected whom: {\"regulation\": \"erase\", \"email\": …}, or another identifier, or \"person_id\"");
    return call->err == ERR_OK;
}

/* From a job; false after call_fail(). What is written is the receipt's id. */
bool erase_now(struct call *call, const struct erase_request *request)
{
    u64 ref;
    struct diag diag = { .arena = call->a };
    enum err err = fold_erase(call->api->fold, request, 1, &ref, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return false; }
    note_deed(call->api->admin, clock_now(call->api->clock), request->by, "erase", arena_printf(call->a, "e_%llu", (unsigned long long)ref));
    jsonw_key_str(&call->w, "id", arena_printf(call->a, "e_%llu", (unsigned long long)ref));
    return true;
}

static void erase(struct call *call)
{
    struct erase_request request = { .by = call->author, .because = S("POST /v1/regulations") };
    struct erase_counts counts;
    struct diag diag = { .arena = call->a };
    if (!read_request(call, &request)) return;
    jsonw_begin(&call->w, '{');
    if (json_bool(json_get(call->body, S("dry_run")), false)) {
        enum err err = fold_erase_try(call->api->fold, &request, &counts, &diag);
        if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
        jsonw_key_bool(&call->w, "dry_run", true);
        print_counts(&call->w, &counts);
    } else {
        if (!erase_now(call, &request)) return;
        jsonw_key_str(&call->w, "state", S("running"));
        call->status = 202;
    }
    jsonw_end(&call->w, '}');
}

/* ---- telling ------------------------------------------------------------------------------------- */

static void print_held(struct call *call, struct fold *fold)
{
    const struct erase_request *r = call->own;
    const struct live *live = fold_live(fold);
    const struct profile *p = people_get(live->people, identity_find(live->identity, r->who[0]), call->a);
    if (!p) { call_fail(call, ERR_NOT_FOUND, "nobody has that identifier"); return; }
    jsonw_begin(&call->w, '{');
    jsonw_key(&call->w, S("person"));
    print_person(call, fold, p);
    jsonw_key_begin(&call->w, "history", '[');
    for (isize i = 0; i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        jsonw_begin(&call->w, '{');
        jsonw_key_time(&call->w, "at", e->at_ms);
        jsonw_key_str(&call->w, "type", fold_event_name(fold, e->type));
        jsonw_key_str(&call->w, "channel", str_of(channel_name(e->channel)));
        const struct item *item = catalog_item(live->catalog, (item_id){ e->item });
        if (item) jsonw_key_str(&call->w, "item", item->key);
        if (e->quantity) jsonw_key_int(&call->w, "quantity", e->quantity);
        if (e->currency) {
            jsonw_key(&call->w, S("value"));
            print_money(&call->w, (struct money){ e->value_minor, { e->currency } });
        }
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    jsonw_key_int(&call->w, "older_events", p->older_events);
    jsonw_end(&call->w, '}');
}

static void tell(struct call *call)
{
    struct erase_request request = { 0 };
    if (read_request(call, &request)) on_fold(call, print_held);
}

/* {"regulation": "erase" | "export", "email": …, "dry_run": true} */
void regulations_post(struct call *call)
{
    str regulation = json_str(json_get(call->body, S("regulation")), S(""));
    if (str_eq(regulation, S("erase"))) ask_jobs(call, erase);
    else if (str_eq(regulation, S("export"))) ask_jobs(call, tell);
    else reply_problem(call, ERR_BAD_INPUT, "regulation: expected \"erase\" or \"export\"");
}
