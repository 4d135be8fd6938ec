/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c - flags asked of the server: OFREP, /v1/decide, and what the console's editor needs.
 *
 * OFREP 0.3 knows an evaluation and nothing of exposures. One flag asked for by itself is about to be used, so it counts as an
 * exposure; all flags at once are a prefetch and count as none, until the client tells us (GrowthBook's and Optimizely's reports,
 * or a ticket). The ETag of all flags covers the answer's bytes: the configuration and the context both.
 */
#include "api/flags.h"
#include "api/results.h"

#include <math.h>

#include "base/hash.h"
#include "base/rcu.h"

enum { OFREP_FLAGS_MAX = 4096, EXPOSURES_REMEMBERED = 1 << 15 };

/* ---- who asks -------------------------------------------------------------------------------------------------- */

void flag_call_init(struct call *call, str id, const struct json *context, struct flag_call *out)
{
    *out = (struct flag_call){ .world = live_world(call->api->live) };
    out->request = (struct decide_request){ .identifiers = out->identifiers, .secret = call->secret, .context = context,
        .market = json_str(json_get(context, S("market")), S("")), .preview = json_str(json_get(context, S("opmaat_preview")), S("")),
        .now_ms = clock_now(call->api->clock) };
    out->request.source = book_source(out->world.book, call->source_key);
    if (!out->request.source && out->world.book->sources_n) out->request.source = &out->world.book->sources[0];
    if (id.len > 0 && id.len <= IDENTIFIER_BYTES_MAX) {
        bool proven = call->secret || verify_user(out->request.source, id, json_str(json_get(context, S("user_hash")), S("")));
        out->identifiers[0] = (struct identifier){ proven ? IDENTIFIER_USER_ID : IDENTIFIER_ANONYMOUS_ID, proven, id };
        out->request.identifiers_n = 1;
    }
    out->asking = (struct flag_asking){ .world = &out->world, .request = &out->request, .id = id, .a = call->a };
}

/* ---- exposures --------------------------------------------------------------------------------------------------- */

/* Of one person, arm and hour; all of it in the bytes that are hashed (hash.h says why not in the seed). */
static struct hash128 exposure_hash(arena *a, const struct book_flag *flag, const struct flag_answer *answer, str id, i64 now_ms)
{
    return hash128(arena_printf(a, "%u/%d/%d/%lld/%.*s", (unsigned)flag->id, (int)answer->rule_index, (int)answer->variation_index,
                                (long long)(now_ms / HOUR_MS), STR_FMT(id)), 0);
}

/* Lossy on purpose: who falls out is told again, and counted once all the same. */
static bool told_before(struct hash128 what)
{
    static _Atomic u64 seen[EXPOSURES_REMEMBERED];
    return atomic_exchange_explicit(&seen[what.lo % EXPOSURES_REMEMBERED], what.hi, memory_order_relaxed) == what.hi;
}

static void print_exposure(struct call *call, const struct book_flag *flag, const struct flag_answer *answer, str id, str key, i64 now_ms,
                           struct buf *out)
{
    struct ticket ticket = { .decision_key = next_seed(call->api), .campaign = flag->id, .experience = (u8)answer->rule_index,
                             .variation = (u8)answer->variation_index, .reason = REASON_EXPERIMENT, .at_ms = now_ms };
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '[');
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "type", S("track"));
    jsonw_key_str(&w, "event", S("Decision Viewed"));
    jsonw_key_str(&w, "messageId", key);
    jsonw_key_str(&w, call->secret ? "userId" : "anonymousId", id);
    jsonw_key_begin(&w, "properties", '{');
    jsonw_key_str(&w, "ticket", ticket_make(call->a, call->api->live->secret, &ticket));
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_end(&w, ']');
}

void flag_exposed(struct call *call, const struct book_flag *flag, const struct flag_answer *answer, str id)
{
    if (answer->variation_index < 0 || answer->reason == FLAG_BY_PREVIEW || id.len == 0 || call->source_key.len == 0) return;
    i64 now_ms = clock_now(call->api->clock);
    struct hash128 what = exposure_hash(call->a, flag, answer, id, now_ms);
    if (told_before(what)) return;
    struct buf text = { .arena = call->a };
    struct collected collected = { 0 };
    struct diag diag = { .arena = call->a };
    const struct json *events;
    print_exposure(call, flag, answer, id, arena_printf(call->a, "flag-%016llx%016llx", (unsigned long long)what.hi, (unsigned long long)what.lo), now_ms, &text);
    if (json_parse(call->a, buf_str(&text), &events, NULL)) return;
    if (collect_events(call, S(""), events, &collected, &diag) || collected.entries_n == 0) return;
    struct append append = { .entries = collected.entries, .entries_n = collected.entries_n };
    err_ignore(fold_submit(call->api->fold, &append), "an answer is not refused because its exposure is");
}

/* ---- OFREP ------------------------------------------------------------------------------------------------------- */

static str ofrep_reason(const struct flag_answer *answer)
{
    switch (answer->reason) {
    case FLAG_BY_DEFAULT: return S("STATIC");
    case FLAG_BY_TARGET: case FLAG_BY_FORCE: case FLAG_BY_PREVIEW: return S("TARGETING_MATCH");
    case FLAG_BY_ROLLOUT: case FLAG_BY_EXPERIMENT: case FLAG_BY_HOLDOUT: return S("SPLIT");
    case FLAG_BY_PAUSE: return S("DISABLED");
    }
    return S("UNKNOWN");
}

/* One of hundreds in an answer: what is fixed is copied as it is. A flag's key needs no escapes (definition_check). */
static void ofrep_flag(struct jsonw *w, const struct book_flag *flag, const struct flag_answer *answer)
{
    struct buf *out = w->out;
    buf_reserve(out, 400 + flag->key.len + answer->value.len);
    if (w->comma) buf_byte(out, ',');
    buf_add(out, S("{\"key\":\""));
    buf_add(out, flag->key);
    buf_add(out, S("\",\"value\":"));
    buf_add(out, answer->value);
    buf_add(out, S(",\"reason\":\""));
    buf_add(out, ofrep_reason(answer));
    buf_add(out, S("\",\"variant\":"));
    w->comma = false;
    jsonw_str(w, answer->variation.len ? answer->variation : answer->rule.len ? answer->rule : S("default"));
    buf_add(out, S(",\"metadata\":{\"why\":\""));
    buf_add(out, flag_reason_name(answer->reason));
    buf_byte(out, '"');
    w->comma = true;
    if (answer->rule.len) jsonw_key_str(w, "rule", answer->rule);
    if (answer->experiment_id.len) jsonw_key_str(w, "experimentId", answer->experiment_id);
    if (answer->variation.len) jsonw_key_str(w, "variationId", answer->variation);
    buf_add(out, S("}}"));
    w->comma = true;
}

static void ofrep_file_flag(struct jsonw *w, const struct file_answer *answer)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", answer->flag);
    jsonw_key(w, S("value"));
    if (answer->value) jsonw_value(w, answer->value);
    else jsonw_null(w);
    jsonw_key_str(w, "reason", answer->variation.len ? S("SPLIT") : answer->rule.len ? S("TARGETING_MATCH") : S("STATIC"));
    if (answer->variation.len) jsonw_key_str(w, "variant", answer->variation);
    jsonw_key_begin(w, "metadata", '{');
    jsonw_key_str(w, "why", answer->reason);
    if (answer->experiment.len) jsonw_key_str(w, "experimentId", answer->experiment);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static void ofrep_error(struct call *call, i32 status, str key, const char *code, str details)
{
    struct jsonw w = { .out = &call->out };
    jsonw_begin(&w, '{');
    if (key.len) jsonw_key_str(&w, "key", key);
    jsonw_key_str(&w, "errorCode", str_of(code));
    jsonw_key_str(&w, "errorDetails", details);
    jsonw_end(&w, '}');
    reply_bytes(call, status, S("application/json"), buf_str(&call->out));
}

/* The request's context and targeting key; answers and is false when it is not what the protocol has. */
static bool ofrep_context(struct call *call, str key, const struct json **context, str *id)
{
    struct diag diag = { .arena = call->a };
    const struct json *body = NULL;
    if (call->req->body.len && json_parse(call->a, call->req->body, &body, &diag)) {
        ofrep_error(call, 400, key, "PARSE_ERROR", diag.what);
        return false;
    }
    *context = json_get(body, S("context"));
    const struct json *target = json_get(*context, S("targetingKey"));
    *id = json_str(target, S(""));
    if (*context && !json_is(*context, JSON_OBJ) && !json_is(*context, JSON_NULL)) {
        ofrep_error(call, 400, key, "INVALID_CONTEXT", S("context is an object"));
        return false;
    }
    if (target && !json_is(target, JSON_STR)) {
        ofrep_error(call, 400, key, "INVALID_CONTEXT", S("targetingKey is a string"));
        return false;
    }
    return true;
}

/* Keys may hold slashes that a client did not escape. */
static str whole_key(struct call *call)
{
    struct buf out = { .arena = call->a };
    for (isize i = 0; i < call->params_n; i++) {
        if (i > 0) buf_byte(&out, '/');
        buf_add(&out, call->params[i]);
    }
    return buf_str(&out);
}

static struct file_request file_request(const struct json *context, str id)
{
    return (struct file_request){ .attributes = context, .user_id = id };
}

/* An imported flag of that key; null when there is none. */
static const struct flag_file *file_with(const struct book *book, str key)
{
    const str *flags;
    for (isize f = 0; f < book->flag_files_n; f++) {
        isize n = flag_file_flags(book->flag_files[f].file, &flags);
        for (isize i = 0; i < n; i++)
            if (str_eq(flags[i], key)) return book->flag_files[f].file;
    }
    return NULL;
}

void ofrep_single(struct call *call)
{
    const struct json *context;
    str id, key = whole_key(call);
    struct flag_call asked;
    if (!ofrep_context(call, key, &context, &id)) return;
    rcu_read_begin();
    flag_call_init(call, id, context, &asked);
    const struct book_flag *flag = book_flag(asked.world.book, key);
    const struct flag_file *file = flag ? NULL : file_with(asked.world.book, key);
    struct flag_answer answer = { .value = S("null") };
    if (flag) answer = decide_flag(&asked.asking, flag);
    bool lacks_id = flag && answer.no_bucketing_id && answer.reason == FLAG_BY_DEFAULT;
    if (flag && !lacks_id) {
        ofrep_flag(&call->w, flag, &answer);
        flag_exposed(call, flag, &answer, id);
    } else if (file) {
        struct file_request request = file_request(context, id);
        struct file_answer said = flag_file_evaluate(file, key, &request, call->a);
        ofrep_file_flag(&call->w, &said);
    }
    rcu_read_end();
    if (lacks_id) ofrep_error(call, 400, key, "TARGETING_KEY_MISSING", S("a rule of this flag divides people, and there is no targetingKey to divide by"));
    else if (!flag && !file) ofrep_error(call, 404, key, "FLAG_NOT_FOUND", S("there is no published flag by that name"));
    else reply_bytes(call, 200, S("application/json"), buf_str(&call->out));
}

static void print_files(struct call *call, const struct flag_call *asked, const struct json *context, str id)
{
    const struct book *book = asked->world.book;
    struct file_request request = file_request(context, id);
    for (isize f = 0; f < book->flag_files_n; f++) {
        const str *flags;
        isize n = flag_file_flags(book->flag_files[f].file, &flags);
        for (isize i = 0; i < n; i++) {
            if (book_flag(book, flags[i])) continue;
            struct file_answer said = flag_file_evaluate(book->flag_files[f].file, flags[i], &request, call->a);
            ofrep_file_flag(&call->w, &said);
        }
    }
}

void ofrep_bulk(struct call *call)
{
    const struct json *context;
    str id;
    struct flag_call asked;
    if (!ofrep_context(call, S(""), &context, &id)) return;
    rcu_read_begin();
    flag_call_init(call, id, context, &asked);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "flags", '[');
    for (isize i = 0; i < asked.world.book->flags_n; i++) {
        struct flag_answer answer = decide_flag(&asked.asking, &asked.world.book->flags[i]);
        ofrep_flag(&call->w, &asked.world.book->flags[i], &answer);
    }
    print_files(call, &asked, context, id);
    jsonw_end(&call->w, ']');
    const struct flag_payload *payload = flag_payload(call->api);
    str configuration = arena_str(call->a, payload->etag);
    rcu_read_end();
    jsonw_key_begin(&call->w, "metadata", '{');
    jsonw_key(&call->w, S("flagConfigEtag"));
    jsonw_raw(&call->w, configuration);
    jsonw_end(&call->w, '}');
    jsonw_key_begin(&call->w, "eventStreams", '[');
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "type", S("sse"));
    jsonw_key_str(&call->w, "url", arena_printf(call->a, "%.*s/ofrep/v1/stream", STR_FMT(own_host(call))));
    jsonw_key_int(&call->w, "inactivityDelaySec", 120);
    jsonw_end(&call->w, '}');
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
    str etag = arena_printf(call->a, "\"%016llx\"", (unsigned long long)hash64(buf_str(&call->out), 1));
    str wanted = http_query(call->req, S("flagConfigEtag"), S("")), had = header_of(call, S("if-none-match"));
    /* A client that was told of a newer configuration is never sent back to what it has. */
    bool fresh = had.len && str_eq(had, etag) && (wanted.len == 0 || str_eq(wanted, configuration) || str_find(configuration, wanted) >= 0);
    const struct http_header extra[] = { { S("ETag"), etag }, { S("Cache-Control"), S("private, no-cache") },
        { S("Access-Control-Allow-Origin"), S("*") }, { S("Access-Control-Expose-Headers"), S("ETag, Retry-After") } };
    http_reply(call->req, fresh ? 304 : 200, fresh ? S("") : S("application/json"), fresh ? S("") : buf_str(&call->out), extra, countof(extra));
}

void ofrep_stream(struct call *call) { flag_stream(call, STREAM_OFREP); }

/* ---- /v1/decide ----------------------------------------------------------------------------------------------------- */

static void decided_flag(struct call *call, const struct book_flag *flag, const struct flag_answer *answer)
{
    struct jsonw *w = &call->w;
    jsonw_key(w, flag->key);
    jsonw_begin(w, '{');
    jsonw_key(w, S("value"));
    jsonw_raw(w, answer->value);
    if (answer->variation.len) jsonw_key_str(w, "variation", answer->variation);
    if (answer->rule.len) jsonw_key_str(w, "rule", answer->rule);
    jsonw_key_str(w, "reason", flag_reason_name(answer->reason));
    jsonw_end(w, '}');
}

void print_decide_flags(struct call *call, const struct decide_world *world, const struct decide_request *request, const struct json *keys)
{
    const struct json *person = json_get(call->body, S("person"));
    str id = json_text(call->a, json_get(person, S("user_id")));
    if (id.len == 0) id = json_text(call->a, json_get(person, S("anonymous_id")));
    struct flag_asking asking = { .world = world, .request = request, .id = id, .a = call->a };
    jsonw_key_begin(&call->w, "flags", '{');
    json_each(key, keys) {
        const struct book_flag *flag = book_flag(world->book, json_str(key, S("")));
        if (!flag) continue;
        struct flag_answer answer = decide_flag(&asking, flag);
        decided_flag(call, flag, &answer);
        if (request->exposed && request->record) flag_exposed(call, flag, &answer, id);
    }
    jsonw_end(&call->w, '}');
}

/* A flag's rules are to its results what experiences are to a campaign's: its exposures count under the same three numbers. */
static const struct campaign *flag_as_campaign(arena *a, const struct book_flag *flag)
{
    if (!flag) return NULL;
    struct campaign *c = arena_new(a, struct campaign, 1);
    *c = (struct campaign){ .id = flag->id, .number = flag->number, .key = flag->key, .title = flag->title, .paused = flag->paused };
    c->experiences_n = min_isize(flag->flag->rules_n, EXPERIENCES_MAX);
    c->experiences = arena_new(a, struct experience, c->experiences_n);
    for (isize i = 0; i < c->experiences_n; i++) {
        const struct flag_rule *rule = &flag->flag->rules[i];
        struct experience *x = &c->experiences[i];
        *x = (struct experience){ .key = rule->key, .choose = rule->kind == FLAG_EXPERIMENT ? CHOOSE_EXPERIMENT : CHOOSE_FIXED,
                                  .experiment_key = rule->id, .holdout = rule->holdout_share, .allocation = rule->allocation };
        x->variations = arena_new(a, struct variation, rule->variations_n);
        x->variations_n = rule->variations_n;
        for (isize v = 0; v < rule->variations_n; v++)
            x->variations[v] = (struct variation){ .key = rule->variations[v].key, .share = rule->variations[v].share, .control = v == 0 };
    }
    return c;
}

const struct definition *results_definition(const struct fold *fold, str key)
{
    const struct definition *def = definition_find(fold_definitions(fold), S("campaign"), key);
    return def ? def : definition_find(fold_definitions(fold), S("flag"), key);
}

const struct campaign *results_compiled(const struct book *book, const struct definition *def, arena *a)
{
    if (str_eq(def->kind, S("campaign"))) return book_campaign(book, def->key);
    return flag_as_campaign(a, book_flag(book, def->key));
}

/* ---- for the editor ---------------------------------------------------------------------------------------------------- */

static void print_notes(struct jsonw *w, const char *key, const struct export_notes *notes, str flag)
{
    jsonw_key_begin(w, key, '[');
    for (isize i = 0; i < notes->n; i++) {
        const struct export_note *n = &notes->at[i];
        if (flag.len && !str_eq(n->flag, flag)) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "flag", n->flag);
        if (n->rule.len) jsonw_key_str(w, "rule", n->rule);
        jsonw_key_str(w, "kind", str_of(n->kind));
        jsonw_key_str(w, "text", n->text);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* What each protocol cannot say of the published flags, or of ?flag=. OFREP asks the server, so it can say all. */
void flags_lint(struct call *call)
{
    struct export_notes growthbook = { 0 }, optimizely = { 0 };
    struct buf text = { .arena = call->a };
    struct jsonw w = { .out = &text };
    struct export_where where = { .revision = S("0") };
    str flag = http_query(call->req, S("flag"), S(""));
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    book_export_growthbook(book, call->a, &w, &growthbook);
    w = (struct jsonw){ .out = &text };
    book_export_optimizely(book, call->a, &where, &w, &optimizely);
    jsonw_begin(&call->w, '{');
    print_notes(&call->w, "optimizely", &optimizely, flag);
    print_notes(&call->w, "growthbook", &growthbook, flag);
    jsonw_key_begin(&call->w, "ofrep", '[');
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
    rcu_read_end();
    reply_json(call);
}

/* The ranges of each experiment as they stand, for the bar: {"rules": [{"key", "id", "ranges": […]}]}. */
void flag_ranges(struct call *call)
{
    rcu_read_begin();
    const struct book_flag *flag = book_flag(atomic_load(&call->api->live->book), call->params[0]);
    if (flag) {
        jsonw_begin(&call->w, '{');
        jsonw_key_int(&call->w, "id", flag->id);
        jsonw_key_begin(&call->w, "rules", '[');
        for (isize i = 0; i < flag->flag->rules_n; i++) {
            const struct flag_rule *rule = &flag->flag->rules[i];
            jsonw_begin(&call->w, '{');
            jsonw_key_str(&call->w, "key", rule->key);
            jsonw_key_str(&call->w, "id", rule->id);
            if (rule->kind == FLAG_EXPERIMENT) {
                jsonw_key(&call->w, S("ranges"));
                experiment_allocation_write(&call->w, rule->allocation);
            }
            jsonw_end(&call->w, '}');
        }
        jsonw_end(&call->w, ']');
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
    if (flag) reply_json(call);
    else reply_problem(call, ERR_NOT_FOUND, "there is no published flag by that name");
}

/* {"flag", "rule", "variation"} -> a token that shows the variation for a day, as `opmaat_preview` in the context. */
void flag_preview(struct call *call)
{
    str token = S(""), key = json_str(json_get(call->body, S("flag")), S("")), rule = json_str(json_get(call->body, S("rule")), S(""));
    str variation = json_str(json_get(call->body, S("variation")), S(""));
    rcu_read_begin();
    const struct book_flag *flag = book_flag(atomic_load(&call->api->live->book), key);
    for (isize i = 0; flag && i < min_isize(flag->flag->rules_n, 256); i++)
        for (isize k = 0; str_eq(flag->flag->rules[i].key, rule) && k < flag->flag->rules[i].variations_n; k++)
            if (str_eq(flag->flag->rules[i].variations[k].key, variation))
                token = preview_make(call->a, call->api->live->secret, flag->id, (u8)i, (u8)k, clock_now(call->api->clock));
    rcu_read_end();
    if (token.len == 0) { reply_problem(call, ERR_NOT_FOUND, "no published flag has that rule and variation"); return; }
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "token", token);
    jsonw_key_str(&call->w, "query", arena_printf(call->a, "opmaat_preview=%.*s", STR_FMT(percent_encode(call->a, token))));
    jsonw_end(&call->w, '}');
    reply_json(call);
}
