/* SPDX-License-Identifier: Apache-2.0
 *
 * regulations.c - what people may ask for by law: to be forgotten, to be left alone, and to be told
 * what is held.
 *
 * Whoever asks, the privacy desk here, a shop system by its webhook, or `opmaat person erase`, it
 * is one way: fold_erase. The answer comes when the live state has them no more; log and store
 * follow, and the receipt says how far. A receipt names nobody: it holds a hash under the folder's
 * key, by which somebody who asks again can be told that it was done.
 *
 * Suppressing deletes nothing and needs no state of its own: it is their no to every purpose, said
 * by whoever answers for privacy, and for identifiers that nobody has yet the same keyed hashes
 * that a stranger's no leaves. A consent that comes later ends both. Its receipt stands among the
 * requests that shops pass on, as one that has been seen to.
 */
#include "api/admin.h"
#include "base/clock.h"

enum { RECEIPTS_MAX = 1000 };

/* ---- receipts -------------------------------------------------------------------------------- */

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
    jsonw_key_str(w, "whom",
                  arena_printf(call->a, "%016llx%016llx", (unsigned long long)e->whom.hi,
                               (unsigned long long)e->whom.lo));
    jsonw_key_time(w, "asked_at", e->at_ms);
    if (done) jsonw_key_time(w, "done_at", e->done_ms);
    else jsonw_key_num(w, "progress", (f64)fold_erase_progress(fold) / 1000);
    print_counts(w, &e->counts);
    jsonw_end(w, '}');
}

static void print_erasures(struct call *call, const struct fold *fold)
{
    const struct erasure **list = arena_new(call->a, const struct erasure *, RECEIPTS_MAX);
    isize n = fold_erasures(fold, list, RECEIPTS_MAX);
    for (isize i = 0; i < n; i++) print_erasure(call, fold, list[i]);
}

static void print_regulation(struct call *call, const struct definition *def)
{
    const struct json *doc;
    if (json_parse(call->a, definition_latest(def), &doc, NULL)) return;
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "id", def->key);
    jsonw_key_str(&call->w, "state", def->archived ? S("done") : S("waiting"));
    json_each(field, doc) {
        jsonw_key(&call->w, field->key);
        jsonw_value(&call->w, field);
    }
    jsonw_end(&call->w, '}');
}

void print_receipts(struct call *call, const struct fold *fold)
{
    const struct erasure **list = arena_new(call->a, const struct erasure *, INT16_MAX);
    isize n = fold_erasures(fold, list, INT16_MAX);
    const struct definition *def;
    for (isize i = n - 1; i >= 0; i--) {
        call->w.comma = false;
        print_erasure(call, fold, list[i]);
        buf_byte(&call->out, '\n');
    }
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("regulation"), &at));) {
        const struct json *doc;
        if (json_parse(call->a, definition_latest(def), &doc, NULL)
            || json_get_str(doc, "whom").len == 0)
            continue;
        call->w.comma = false;
        print_regulation(call, def);
        buf_byte(&call->out, '\n');
    }
}

static void answer_receipt(struct call *call, struct fold *fold)
{
    const struct erasure **list = arena_new(call->a, const struct erasure *, INT16_MAX);
    isize n = fold_erasures(fold, list, INT16_MAX);
    i64 ref = 0;
    if (str_starts(call->params[0], S("e_"))) (void)str_to_i64(str_from(call->params[0], 2), &ref);
    for (isize i = 0; i < n; i++)
        if (list[i]->ref == (u64)ref) { print_erasure(call, fold, list[i]); return; }
    const struct definition *def = definition_find(fold_definitions(fold), S("regulation"), call->params[0]);
    if (def) print_regulation(call, def);
    else call_fail(call, ERR_NOT_FOUND, "there is no such receipt");
}

void regulation_get(struct call *call) { ask_fold(call, answer_receipt); }

static void answer_regulations(struct call *call, struct fold *fold)
{
    const struct definition *def;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "regulations", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("regulation"), &at));)
        print_regulation(call, def);
    print_erasures(call, fold);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void regulations_get(struct call *call) { ask_fold(call, answer_regulations); }

static void finish_regulation(struct call *call)
{
    struct definition_change change = {
        .op = DEFINITION_ARCHIVE, .kind = S("regulation"), .key = call->params[0], .author = call->author
    };
    if (define(call, &change, 1)) buf_add(&call->out, S("{}"));
}

/* Somebody has seen to it; who and when stands in the audit. */
void regulation_done(struct call *call) { ask_jobs(call, finish_regulation); }

/* ---- erasing --------------------------------------------------------------------------------- */

/* On the fold's thread: any one identifier of the person leads to them. */
static void name_person(struct call *call, struct fold *fold)
{
    struct erase_request *r = call->own;
    const struct identity *identity = fold_live(fold)->identity;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    person_id id = { 0 };
    if (person_id_read(body_text(call, "person_id"), &id)
        && (isize)id.v <= identity_people(identity))
        id = identity_person(identity, id.v);
    isize n = identity_identifiers(identity, id, links, countof(links));
    if (n == 0) { call_fail(call, ERR_NOT_FOUND, "there is no such person"); return; }
    r->who[r->who_n++] =
        (struct identifier){ links[0].identifier.kind, links[0].identifier.verified,
                             arena_str(call->a, links[0].identifier.value) };
}

bool receipt_hash(str text, struct hash128 *out)
{
    u64 half[2] = { 0 };
    if (text.len != 32) return false;
    for (isize i = 0; i < 32; i++) {
        isize digit = str_find_char(S("0123456789abcdef"), text.ptr[i]);
        if (digit < 0) return false;
        half[i / 16] = half[i / 16] << 4 | (u64)digit;
    }
    *out = (struct hash128){ .hi = half[0], .lo = half[1] };
    return true;
}

/* Of a receipt from this folder's later days: whom its hash is of. A receipt that is known here was
 * carried out here. */
static void name_by_hash(struct call *call, struct fold *fold)
{
    struct erase_request *r = call->own;
    const struct live *live = fold_live(fold);
    const struct erasure **list = arena_new(call->a, const struct erasure *, INT16_MAX);
    isize n = fold_erasures(fold, list, INT16_MAX), people = identity_people(live->identity);
    struct hash128 whom;
    i64 asked_ms = 0;
    bool suppresses = str_eq(body_text(call, "regulation"), S("suppress"));
    if (!receipt_hash(body_text(call, "whom"), &whom)) {
        call_fail(call, ERR_BAD_INPUT, "whom: expected a receipt's 32 letters");
        return;
    }
    (void)time_parse(body_text(call, "asked_at"), &asked_ms);
    for (isize i = 0; i < n; i++) {
        if (!hash128_eq(list[i]->whom, whom) || list[i]->at_ms != asked_ms) continue;
        call_fail(call, ERR_NOT_FOUND, "this was done here: e_%llu", (unsigned long long)list[i]->ref);
        return;
    }
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    for (isize id = 1; id <= people && r->who_n < ERASE_WHO_MAX; id++) {
        isize links_n = identity_identifiers(live->identity, (person_id){ (u32)id }, links, countof(links));
        for (isize i = 0; i < links_n && r->who_n < ERASE_WHO_MAX; i++) {
            struct identifier v = links[i].identifier;
            if (hash128_eq(fold_whom(fold, v), whom)
                || (suppresses && hash128_eq(denial_hash(live->denial_key, v), whom)))
                r->who[r->who_n++] = (struct identifier){ v.kind, v.verified, arena_str(call->a, v.value) };
        }
    }
    if (r->who_n == 0) call_fail(call, ERR_NOT_FOUND, "nobody has that identifier");
}

/* False after call_fail(). */
static bool read_request(struct call *call, struct erase_request *r)
{
    call->own = r;
    json_each(field, call->body) {
        u8 kind;
        if (call->err) break;
        if (str_eq(field->key, S("whom"))) { on_fold(call, name_by_hash); continue; }
        if (str_eq(field->key, S("person_id"))) { on_fold(call, name_person); continue; }
        if (call->err || !identifier_kind_of(field->key, &kind)) continue;
        str value = ingest_identifier(call->a, kind, json_text(call->a, field));
        if (value.len && r->who_n < ERASE_WHO_MAX)
            r->who[r->who_n++] = (struct identifier){ kind, true, value };
    }
    if (!call->err && r->who_n == 0)
        call_fail(
            call, ERR_BAD_INPUT,
            "expected whom: {\"regulation\": \"erase\", \"email\": …}, or another identifier, or \"person_id\"");
    return call->err == ERR_OK;
}

/* From a job; false after call_fail(). What is written is the receipt's id. */
bool erase_now(struct call *call, const struct erase_request *request)
{
    u64 ref;
    struct diag diag = { .arena = call->a };
    enum err err = fold_erase(call->api->fold, request, 1, &ref, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return false; }
    note_deed(call->api->admin, clock_now(call->api->clock), request->by, "erase",
              arena_printf(call->a, "e_%llu", (unsigned long long)ref));
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

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(struct call *call)
{
    struct erase_request request = { 0 };
    if (!read_request(call, &request)) return;
    print_held(call, &request.who[0]);
    if (!call->err)
        note_deed(call->api->admin, clock_now(call->api->clock), call->author, "export",
                  S("what is held of a person"));
}

/* ---- suppressing ----------------------------------------------------------------------------- */

/* Nothing is taken of somebody until they consent: hashes of all their identifiers for what comes
 * in, and their no for what is there. */
struct suppressing {
    struct erase_request request;
    struct hash128 whom;
    struct { struct hash128 *at; isize n, cap; } denied;
    struct { struct entry *at; isize n, cap; } entries;
    isize people;
};

static const u16 all_but_necessary = (u16)(((1u << PURPOSES) - 1) & ~(1u << PURPOSE_NECESSARY));

static void deny(struct suppressing *s, const struct live *live, struct identifier v)
{
    struct hash128 who = denial_hash(live->denial_key, v);
    for (isize i = 0; i < s->denied.n; i++)
        if (hash128_eq(s->denied.at[i], who)) return;
    vec_push(&s->denied, who);
}

/* Under one identifier alone, since two in one event would say that they are one person. */
static void say_no(struct call *call, struct suppressing *s, struct identifier v)
{
    struct buf bytes = { .arena = call->a };
    const struct event said = { .type = EVENT_CONSENT_CHANGED,
                                .name = S("Consent Changed"),
                                .at_ms = clock_now(call->api->clock),
                                .source = call->source_key,
                                .identifiers = &v,
                                .identifiers_n = 1,
                                .flags = EVENT_CHECKED,
                                .consent_denied = all_but_necessary,
                                .consent_source = s->request.because };
    event_encode(&said, &bytes);
    vec_push(&s->entries, ((struct entry){ ENTRY_EVENT, buf_str(&bytes) }));
}

static void suppress_person(struct call *call, struct suppressing *s, const struct live *live,
                            struct identifier v)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    person_id person = identity_find(live->identity, v);
    deny(s, live, v);
    if (!people_has(live->people, person)) return;
    isize n = identity_identifiers(live->identity, person, links, countof(links));
    for (isize i = 0; i < n; i++) deny(s, live, links[i].identifier);
    say_no(call, s, (struct identifier){ v.kind, v.verified, arena_str(call->a, v.value) });
    s->people++;
}

static void find_suppressed(struct call *call, struct fold *fold)
{
    struct suppressing *s = call->context;
    const struct live *live = fold_live(fold);
    s->whom = denial_hash(live->denial_key, s->request.who[0]);
    for (isize i = 0; i < s->request.who_n; i++) {
        struct identifier v = s->request.who[i];
        suppress_person(call, s, live, v);
        v.verified = !v.verified;                       /* whoever merely claims that name */
        if (identifier_is_strong(v.kind)) suppress_person(call, s, live, v);
    }
}

static void add_denials(struct call *call, struct suppressing *s)
{
    for (isize i = 0; i < s->denied.n;) {
        struct refusal refusal = { 0 };
        struct buf bytes = { .arena = call->a };
        for (; i < s->denied.n && refusal.denials_n < countof(refusal.denials); i++) {
            refusal.denials[refusal.denials_n].who = s->denied.at[i];
            refusal.denials[refusal.denials_n++].denied = all_but_necessary;
        }
        refusal_encode(&refusal, &bytes);
        vec_push(&s->entries, ((struct entry){ ENTRY_REFUSAL, buf_str(&bytes) }));
    }
}

/* It is done as soon as it is written: a request by law that has been seen to. */
static void add_receipt(struct call *call, struct suppressing *s, str id)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    struct definition_change change = {
        .op = DEFINITION_DRAFT, .kind = S("regulation"), .key = id, .author = call->author
    };
    i64 now_ms = clock_now(call->api->clock);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "title", S("suppress"));
    jsonw_key_str(&w, "regulation", S("suppress"));
    jsonw_key_str(&w, "because", s->request.because);
    jsonw_key_str(&w, "by", s->request.by);
    jsonw_key_str(&w, "whom",
                  arena_printf(call->a, "%016llx%016llx", (unsigned long long)s->whom.hi,
                               (unsigned long long)s->whom.lo));
    jsonw_key_time(&w, "asked_at", now_ms);
    jsonw_key_time(&w, "done_at", now_ms);
    jsonw_key_begin(&w, "counts", '{');
    jsonw_key_int(&w, "people", s->people);
    jsonw_key_int(&w, "identifiers", s->denied.n);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    change.document = buf_str(&out);
    for (int i = 0; i < 2; i++) {
        struct buf bytes = { .arena = call->a };
        definition_change_encode(&change, &bytes);
        vec_push(&s->entries, ((struct entry){ ENTRY_DEFINITION, buf_str(&bytes) }));
        change.op = DEFINITION_ARCHIVE;
        change.document = S("");
    }
}

static void do_suppress(struct call *call, struct suppressing *s)
{
    on_fold(call, find_suppressed);
    jsonw_begin(&call->w, '{');
    if (json_bool(json_get(call->body, S("dry_run")), false)) {
        jsonw_key_bool(&call->w, "dry_run", true);
        jsonw_key_begin(&call->w, "counts", '{');
        jsonw_key_int(&call->w, "people", s->people);
        jsonw_key_int(&call->w, "identifiers", s->denied.n);
        jsonw_end(&call->w, '}');
    } else {
        u64 salt;
        rng_system(&salt, 1);
        str id = arena_printf(call->a, "s_%016llx", (unsigned long long)salt);
        add_denials(call, s);
        add_receipt(call, s, id);
        enum err err = fold_submit_wait(call->api->fold, s->entries.at, s->entries.n, NULL);
        if (err) { call_fail(call, err, "the log could not be written"); return; }
        note_deed(call->api->admin, clock_now(call->api->clock), s->request.by, "suppress", id);
        jsonw_key_str(&call->w, "id", id);
        jsonw_key_str(&call->w, "state", S("done"));
    }
    jsonw_end(&call->w, '}');
}

static void suppress(struct call *call)
{
    struct suppressing s = { .request = { .by = call->author, .because = S("POST /v1/regulations") } };
    if (!read_request(call, &s.request)) return;
    call->context = &s;
    do_suppress(call, &s);
    call->context = NULL;
    vec_fini(&s.denied);
    vec_fini(&s.entries);
}

/* {"regulation": "erase" | "suppress" | "export", "email": …, "dry_run": true}; "refuse" with a list: refusals.c */
void regulations_post(struct call *call)
{
    str regulation = json_str(json_get(call->body, S("regulation")), S(""));
    if (str_eq(regulation, S("erase"))) ask_jobs(call, erase);
    else if (str_eq(regulation, S("suppress"))) ask_jobs(call, suppress);
    else if (str_eq(regulation, S("export"))) ask_jobs(call, tell);
    else if (str_eq(regulation, S("refuse"))) ask_jobs(call, refuse_again);
    else reply_problem(call, ERR_BAD_INPUT, "regulation: expected \"erase\", \"suppress\" or \"export\"");
}
