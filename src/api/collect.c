/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.c - events in: parse, gate, append, and 200 once they are on disk and folded.
 *
 * The consent gate stands here, before the log: what it refuses is counted, and of a stranger who
 * said no there remains one keyed hash. What cannot be taken for its form goes to the dead letters
 * with its reason, and its batch is taken all the same; X-Strict-Mode: 1 turns that round.
 */
#include <sodium.h>
#include <stdio.h>

#include "api/inside.h"
#include "base/rcu.h"

/* ---- identity proofs ------------------------------------------------------------------------- */

/* user_hash is the lower-case hex HMAC-SHA256 of the user id under the source's identity secret. */
bool verify_user(const struct source *source, str user_id, str hash)
{
    if (!source || source->identity_secret.len < 16 || hash.len != 64 || user_id.len == 0) return false;
    u8 mac[crypto_auth_hmacsha256_BYTES];
    char hex[65];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const u8 *)source->identity_secret.ptr,
                                (size_t)source->identity_secret.len);
    crypto_auth_hmacsha256_update(&state, (const u8 *)user_id.ptr, (unsigned long long)user_id.len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    return sodium_memcmp(hex, hash.ptr, 64) == 0;
}

static bool proves(const void *ctx, str user_id, str hash) { return verify_user(ctx, user_id, hash); }

/* ---- the gate -------------------------------------------------------------------------------- */

/* Whoever an event's identifiers lead to, found once for all that is asked of them. */
struct met {
    const struct profile *profile[EVENT_IDENTIFIERS_MAX];
    u16 denied[EVENT_IDENTIFIERS_MAX];
    isize n;
};

static void meet(struct api *api, const struct event *e, arena *a, struct met *met)
{
    bool any_denial = denials_count(api->live->denials) > 0;
    met->n = e->identifiers_n;
    for (isize i = 0; i < e->identifiers_n; i++) {
        met->profile[i] = people_consented(
            api->live->people, identity_find(api->live->identity, e->identifiers[i]), a);
        met->denied[i] = any_denial
                             ? denials_get(api->live->denials,
                                           denial_hash(api->live->denial_key, e->identifiers[i]))
                             : 0;
    }
}

/* No beats yes. */
static enum consent_state met_said(const struct met *met, int purpose)
{
    enum consent_state state = CONSENT_UNKNOWN;
    for (isize i = 0; i < met->n; i++) {
        enum consent_state own =
            met->profile[i] ? profile_consent(met->profile[i], purpose) : CONSENT_UNKNOWN;
        if (own == CONSENT_UNKNOWN && met->denied[i] >> purpose & 1) own = CONSENT_DENIED;
        if (own == CONSENT_DENIED) return own;
        if (own == CONSENT_GRANTED) state = own;
    }
    return state;
}

enum consent_state said_before(struct api *api, const struct event *e, int purpose)
{
    struct met met;
    arena a = { 0 };
    meet(api, e, &a, &met);
    enum consent_state said = met_said(&met, purpose);
    arena_fini(&a);
    return said;
}

static void entry_add(struct collected *c, u8 kind, str bytes)
{
    if (c->entries_n == c->entries_cap) {
        isize cap = c->entries_cap ? c->entries_cap * 2 : 64;
        struct entry *wide = arena_new(c->call->a, struct entry, cap);
        if (c->entries_n) memcpy(wide, c->entries, (size_t)c->entries_n * sizeof *wide);
        c->entries = wide;
        c->entries_cap = cap;
    }
    c->entries[c->entries_n++] = (struct entry){ kind, bytes };
}

static void event_add(struct collected *c, const struct event *e)
{
    struct buf bytes = { .arena = c->call->a };
    event_encode(e, &bytes);
    entry_add(c, ENTRY_EVENT, buf_str(&bytes));
}

/* Somebody said no. Whom we know already, we remember to have said so; of a stranger only the keyed
 * hash is kept. */
static void remember_denial(struct collected *c, const struct event *e)
{
    struct live *live = c->call->api->live;
    bool known = false;
    for (isize i = 0; i < e->identifiers_n; i++) {
        person_id person = identity_find(live->identity, e->identifiers[i]);
        if (!people_has(live->people, person)) continue;
        known = true;
        if (people_consent(live->people, person, PURPOSE_ANALYTICS) == CONSENT_DENIED) return;
    }
    if (known) {
        struct event said = { .type = EVENT_CONSENT_CHANGED,
                              .name = S("Consent Changed"),
                              .at_ms = e->at_ms,
                              .source = e->source,
                              .channel = e->channel,
                              .identifiers = e->identifiers,
                              .identifiers_n = e->identifiers_n,
                              .consent_granted = e->consent_granted,
                              .consent_denied = e->consent_denied,
                              .consent_source = e->consent_source };
        event_add(c, &said);
        return;
    }
    for (isize i = 0; i < e->identifiers_n && c->refusal.denials_n < countof(c->refusal.denials); i++) {
        struct hash128 who = denial_hash(live->denial_key, e->identifiers[i]);
        if ((denials_get(live->denials, who) & e->consent_denied) == e->consent_denied) continue;
        isize k = 0;
        while (k < c->refusal.denials_n && !hash128_eq(c->refusal.denials[k].who, who)) k++;
        if (k == c->refusal.denials_n) c->refusal.denials[c->refusal.denials_n++].who = who;
        c->refusal.denials[k].denied |= e->consent_denied;
    }
}

/* Whose ad somebody came from is told and kept only with their leave. */
static bool may_share(const struct collected *c, const struct event *e, const struct met *met)
{
    enum consent_state said = consent_said(e, PURPOSE_ADS_SHARING);
    if (said == CONSENT_UNKNOWN) said = met_said(met, PURPOSE_ADS_SHARING);
    return consent_allows(c->source->basis.of[PURPOSE_ADS_SHARING], said);
}

/* What the fold will find too, and count or quarantine; here so that the sender hears of it, and in
 * strict mode is refused. */
static str outside(struct collected *c, const struct event *e)
{
    str what = plan_check(c->source->plan, e, c->call->a);
    if (what.len || !c->call->strict || !c->source->checks.unknown_products) return what;
    str key = catalog_lacks(c->call->api->live->catalog, e);
    if (key.len)
        what = arena_printf(c->call->a, "the catalogue has no product \"%.*s\"",
                            (int)min_isize(key.len, 100), key.ptr);
    return what;
}

static void note_reason(struct collected *c, isize index, str reason)
{
    c->refused++;
    if (c->reasons_n == countof(c->reasons)) return;
    c->reasons[c->reasons_n].index = index;
    c->reasons[c->reasons_n++].reason = arena_str(c->call->a, reason);
}

static void take(void *ctx, isize index, const struct event *event)
{
    struct collected *c = ctx;
    struct event e = *event;
    str what = c->call->accepts ? S("") : outside(c, &e);
    if (c->call->accepts) e.flags |= EVENT_CHECKED;
    if (what.len && c->call->strict) { note_reason(c, index, what); return; }
    if (what.len && c->warnings_n < countof(c->warnings)) {
        c->warnings[c->warnings_n].index = index;
        c->warnings[c->warnings_n++].what = what;
    }
    if (e.key.len == 0) {
        u64 id[2];
        rng_system(id, sizeof id);
        e.key = arena_printf(c->call->a, "om-%016llx%016llx", (unsigned long long)id[0],
                             (unsigned long long)id[1]);
    }
    struct met met;
    meet(c->call->api, &e, c->call->a, &met);
    if (!may_share(c, &e, &met)) ingest_forget_click(c->call->a, &e);
    enum consent_state analytics = met_said(&met, PURPOSE_ANALYTICS);
    enum consent_state necessary = met_said(&met, PURPOSE_NECESSARY);
    switch (consent_collect(&c->source->basis, &e, analytics, necessary)) {
    case COLLECT_WHOLE:
        event_add(c, &e);
        c->accepted++;
        return;
    case COLLECT_WITHOUT_PERSON:
        e.identifiers_n = e.traits_n = 0;
        e.previous_id = e.session = e.url = e.referrer = e.click_id = e.properties = S("");
        event_add(c, &e);
        c->accepted++;
        return;
    case COLLECT_NOTHING:
        if (consent_said(&e, PURPOSE_ANALYTICS) == CONSENT_DENIED) remember_denial(c, &e);
        c->refusal.no_consent++;
        c->no_consent++;
        return;
    }
}

static void refuse(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    struct collected *c = ctx;
    struct buf raw = { .arena = c->call->a }, bytes = { .arena = c->call->a };
    struct jsonw w = { .out = &raw };
    (void)err;
    jsonw_value(&w, event);
    /* The gate comes first for a dead letter too: what may not be collected may not lie there either. */
    u16 granted = 0, denied = 0;
    (void)ingest_consent(json_get(event, S("context")), &granted, &denied);
    struct event e = { .consent_granted = granted, .consent_denied = denied };
    bool may_keep = consent_collect(&c->source->basis, &e, CONSENT_UNKNOWN, CONSENT_UNKNOWN) == COLLECT_WHOLE;
    struct dead_letter letter = { .source = c->source->key,
                                  .reason = reason,
                                  .raw = may_keep ? buf_str(&raw) : S(""),
                                  .verified = c->call->secret };
    dead_letter_encode(&letter, &bytes);
    entry_add(c, ENTRY_DEAD, buf_str(&bytes));
    note_reason(c, index, reason);
}

static void take_item(void *ctx, const struct item_change *change)
{
    struct collected *c = ctx;
    struct buf bytes = { .arena = c->call->a };
    item_change_encode(change, &bytes);
    entry_add(c, ENTRY_CATALOG, buf_str(&bytes));
    c->items++;
    c->accepted++;
}

static i64 sent_at(const struct call *call, const struct json *body)
{
    i64 at = 0;
    const struct json *said = json_get(body, S("sentAt"));
    if (!said) said = json_get(body, S("sent_at"));
    str text = json_str(said, header_of(call, S("sentat")));
    if (text.len) (void)time_parse(text, &at);
    return at;
}

enum err collect_read(struct call *call, ingest_reader *reader, str type, const struct json *body,
                      struct collected *out, struct diag *diag)
{
    *out = (struct collected){ .call = call };
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    out->source = book_source(book, call->source_key);
    enum err err = ERR_OK;
    if (!out->source) {
        err = diag_set(diag, ERR_UNAUTHORISED, "the key's source \"%.*s\" is gone",
                       STR_FMT(call->source_key));
    } else {
        struct ingest_envelope envelope = {
            .type = type,
            .context = json_get(body, S("context")),
            .integrations = json_get(body, S("integrations")),
            .sent_at_ms = sent_at(call, body),
            .received_ms = clock_now(call->api->clock),
            .source = out->source->key,
            .currency = out->source->currency,
            .channel = out->source->channel,
            .verified = call->secret,
            .test = out->source->test,
            .sec_gpc = str_eq(header_of(call, S("sec-gpc")), S("1")),
            .user_agent = header_of(call, S("user-agent")),
            .event_bytes = call->api->config->event_bytes,
            .batch_events = call->api->config->batch_events,
            .proves = proves,
            .ctx = out->source,
            .imported = call->imported,
            .delivery = call->delivery,
            .clock_ahead_ms = call->accepts ? 0 : out->source->checks.clock_ahead_ms,
            .clock_behind_ms = call->accepts ? 0 : out->source->checks.clock_behind_ms,
        };
        struct ingest_sink sink = { out, take, refuse, take_item };
        out->refusal.source = out->source->number;
        err = reader(call->a, body, &envelope, &sink, diag);
        if (out->items) {
            struct buf bytes = { .arena = call->a };
            delivery_encode(&(struct delivery){ out->source->key, out->items }, &bytes);
            entry_add(out, ENTRY_DELIVERY, buf_str(&bytes));
        }
        if (out->refusal.no_consent) {
            struct buf bytes = { .arena = call->a };
            refusal_encode(&out->refusal, &bytes);
            entry_add(out, ENTRY_REFUSAL, buf_str(&bytes));
        }
    }
    out->source = NULL;                                 /* it belongs to the book, and the bracket ends */
    rcu_read_end();
    return err;
}

enum err collect_events(struct call *call, str type, const struct json *body, struct collected *out,
                        struct diag *diag)
{
    return collect_read(call, ingest_batch, type, body, out, diag);
}

str header_of(const struct call *call, str name) { return call->req ? http_header(call->req, name) : S(""); }

enum err api_collect(const struct api_inside *inside, const struct json *body, arena *a,
                     struct api_taken *out, struct diag *diag)
{
    struct api api;
    struct call call;
    struct collected c;
    call_inside(inside, NULL, a, &api, &call);
    *out = (struct api_taken){ 0 };
    enum err err = collect_events(&call, S(""), body, &c, diag);
    if (err) return err;
    *out = (struct api_taken){ c.accepted, c.refused, c.no_consent, c.reasons_n ? c.reasons[0].reason : S("") };
    return c.entries_n ? fold_submit_wait(inside->fold, c.entries, c.entries_n, NULL) : ERR_OK;
}

struct after { void (*then)(void *ctx, struct http_request *req); void *ctx; };

static void run_after(void *arg)
{
    struct call *call = arg;
    const struct after *after = call->own;
    after->then(after->ctx, call->req);
}

static void collected_after(struct append *append, enum err err, u64 first)
{
    struct call *call = append->ctx;
    (void)err;
    (void)first;
    (void)http_post(call->req->loop, run_after, call);
}

void api_collect_then(struct api *api, struct http_request *req, str body, str source,
                      void (*then)(void *ctx, struct http_request *req), void *ctx)
{
    struct call *call = arena_new(req->scratch, struct call, 1);
    struct after *after = arena_new(req->scratch, struct after, 1);
    struct collected *c = arena_new(req->scratch, struct collected, 1);
    struct diag diag = { .arena = req->scratch };
    *after = (struct after){ then, ctx };
    *call = (struct call){ .api = api, .a = req->scratch, .source_key = source, .secret = true, .own = after };
    enum err err = json_parse(call->a, body, &call->body, &diag);
    if (!err) err = collect_events(call, S(""), call->body, c, &diag);
    call->req = req;
    if (!err && c->entries_n) {
        call->append = (struct append){
            .entries = c->entries, .entries_n = c->entries_n, .done = collected_after, .ctx = call
        };
        http_hold(req);
        err = fold_submit(api->fold, &call->append);
        if (!err) return;
    }
    then(ctx, req);
}

/* ---- the routes ------------------------------------------------------------------------------ */

static void answer(struct call *call)
{
    const struct collected *c = call->own;
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_bool(w, "success", true);
    jsonw_key_int(w, "accepted", c->accepted);
    if (c->no_consent) jsonw_key_int(w, "no_consent", c->no_consent);
    if (c->refused) {
        jsonw_key_int(w, "refused", c->refused);
        jsonw_key_begin(w, "reasons", '[');
        for (isize i = 0; i < c->reasons_n; i++) {
            jsonw_begin(w, '{');
            jsonw_key_int(w, "index", c->reasons[i].index);
            jsonw_key_str(w, "reason", c->reasons[i].reason);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
    }
    if (c->warnings_n) jsonw_key_begin(w, "warnings", '[');
    for (isize i = 0; i < c->warnings_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "index", c->warnings[i].index);
        jsonw_key_str(w, "what", c->warnings[i].what);
        jsonw_end(w, '}');
    }
    if (c->warnings_n) jsonw_end(w, ']');
    jsonw_end(w, '}');
    reply_json(call);
}

/* A key nobody knows. Some clients end the process they live in when they are told 401, so a shop
 * may choose that they are not. */
void collect_no_key(struct call *call)
{
    rcu_read_begin();
    bool ignore = ((const struct book *)atomic_load(&call->api->live->book))->settings.ignore_unknown_keys;
    rcu_read_end();
    atomic_fetch_add(&call->api->unknown_keys, 1);
    if (!ignore) {
        reply_problem(call, ERR_UNAUTHORISED,
                      "this call needs a write key or a secret key, and this one is not known");
        return;
    }
    call->own = arena_new(call->a, struct collected, 1);
    answer(call);
}

void collect_by(struct call *call, ingest_reader *reader, str type, void (*then)(struct call *call))
{
    struct diag diag = { .arena = call->a };
    struct collected *c = arena_new(call->a, struct collected, 1);
    if (call->source_key.len == 0) { collect_no_key(call); return; }
    if (!call->body) { reply_problem(call, ERR_BAD_INPUT, "expected a JSON body"); return; }
    call->strict = str_eq(header_of(call, S("x-strict-mode")), S("1"))
                   || json_bool(json_get(call->body, S("strict")), false);
    enum err err = collect_read(call, reader, type, call->body, c, &diag);
    if (!err && call->strict && c->refused)
        err = diag_set(&diag, ERR_BAD_INPUT, "event %lld: %.*s; nothing was taken",
                       (long long)c->reasons[0].index, STR_FMT(c->reasons[0].reason));
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    call->own = c;
    if (c->entries_n == 0) then(call);
    else submit_then(call, c->entries, c->entries_n, then);
}

static void collect(struct call *call, str type) { collect_by(call, ingest_batch, type, answer); }

void collect_batch(struct call *call) { collect(call, S("")); }
void collect_track(struct call *call) { collect(call, S("track")); }
void collect_identify(struct call *call) { collect(call, S("identify")); }
void collect_page(struct call *call) { collect(call, S("page")); }
void collect_screen(struct call *call) { collect(call, S("screen")); }
void collect_group(struct call *call) { collect(call, S("group")); }
void collect_alias(struct call *call) { collect(call, S("alias")); }

void collect_discard(struct call *call)
{
    buf_add(&call->out, S("{\"success\":true}"));
    reply_json(call);
}

/* Segment's browser client sends nothing until this answers; so it answers whatever the key. */
void collect_settings(struct call *call)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "integrations", '{');
    jsonw_key_begin(w, "Segment.io", '{');
    jsonw_key_str(w, "apiKey", call->params[0]);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_key(w, S("metrics"));
    jsonw_raw(w, S("{\"sampleRate\":0}"));
    jsonw_key(w, S("plan"));
    jsonw_raw(w, S("{}"));
    jsonw_end(w, '}');
    reply_json(call);
}
