/* SPDX-License-Identifier: Apache-2.0
 *
 * ofrep.c - flags in OpenFeature's words.
 *
 * OFREP 0.3 knows an evaluation and nothing of exposures. One flag asked for by itself is about to
 * be used, so it counts as an exposure; all flags at once are a prefetch and count as none, until
 * the client tells us (GrowthBook's and Optimizely's reports, or a ticket).
 *
 * A client asks for all flags at every page. What can be said of a flag is known when the book is
 * made (a value of each rule and arm, for a reason or two), so all of it is printed then, and an
 * answer is copied together. The ETag covers configuration and context both: while no flag asks
 * about anything but the context, it is a hash of what was asked and of the book, and who has that
 * answer already is told so before any flag is looked at. Else it is a hash of the answer.
 */
#include "api/flags.h"

#include "base/hash.h"
#include "base/rcu.h"

enum {
    SAID_BYTES_MAX = 64 << 20,
    SAID_OF_DEFAULT = 0,
    SAID_OF_PAUSE,
    SAID_OF_HOLDOUT,
    SAID_OF_RULES,
    SAID_HOLDOUT_RULE = 0,
    SAID_ANSWER,
    SAID_ARMS
};

/* Of one flag: what is said without a rule, then of each rule: its holdout, its value, each arm by
 * chance, each arm forced. */
struct ofrep_said { const str *at; const i32 *rules; };

/* ---- printing -------------------------------------------------------------------------------- */

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

/* One of hundreds in an answer: what is fixed is copied as it is. A flag's key needs no escapes
 * (definition_check). */
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

/* ---- ahead ----------------------------------------------------------------------------------- */

static const str *said_of(const struct ofrep_said *said, const struct flag *flag,
                          const struct flag_answer *answer)
{
    if (!said || !said->at) return NULL;
    if (answer->rule_index < 0) {
        switch (answer->reason) {
        case FLAG_BY_DEFAULT: return &said->at[SAID_OF_DEFAULT];
        case FLAG_BY_PAUSE: return &said->at[SAID_OF_PAUSE];
        case FLAG_BY_HOLDOUT: return &said->at[SAID_OF_HOLDOUT];
        default: return NULL;
        }
    }
    const str *rule = &said->at[said->rules[answer->rule_index]];
    switch (answer->reason) {
    case FLAG_BY_HOLDOUT: return rule + SAID_HOLDOUT_RULE;
    case FLAG_BY_TARGET: case FLAG_BY_ROLLOUT: return rule + SAID_ANSWER;
    case FLAG_BY_EXPERIMENT: return rule + SAID_ARMS + answer->variation_index;
    case FLAG_BY_FORCE:
        return rule + SAID_ARMS + flag->rules[answer->rule_index].variations_n
               + answer->variation_index;
    default: return NULL;                               /* a preview is rare */
    }
}

static str print_ahead(arena *a, const struct book_flag *flag, const struct flag_answer *answer)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    ofrep_flag(&w, flag, answer);
    return buf_str(&out);
}

static void say_rule(arena *a, const struct book_flag *of, isize index, str *out)
{
    const struct flag_rule *rule = &of->flag->rules[index];
    struct flag_answer answer = { .value = of->flag->value,
                                  .reason = FLAG_BY_HOLDOUT,
                                  .rule = rule->key,
                                  .rule_index = (i32)index,
                                  .variation_index = -1 };
    out[SAID_HOLDOUT_RULE] = print_ahead(a, of, &answer);
    answer.value = rule->value;
    answer.reason = rule->kind == FLAG_FORCE ? FLAG_BY_TARGET : FLAG_BY_ROLLOUT;
    if (rule->kind != FLAG_EXPERIMENT) out[SAID_ANSWER] = print_ahead(a, of, &answer);
    answer.experiment_id = rule->id;
    for (isize i = 0; i < 2 * rule->variations_n; i++) {
        bool forced = i >= rule->variations_n;
        answer.variation_index = (i32)(i % rule->variations_n);
        answer.value = rule->variations[answer.variation_index].value;
        answer.variation = rule->variations[answer.variation_index].key;
        answer.reason = forced ? FLAG_BY_FORCE : FLAG_BY_EXPERIMENT;
        if (!forced || rule->forced_n) out[SAID_ARMS + i] = print_ahead(a, of, &answer);
    }
}

static struct ofrep_said say(arena *a, const struct book_flag *of)
{
    static const enum flag_reason bare[] = { [SAID_OF_DEFAULT] = FLAG_BY_DEFAULT,
                                             [SAID_OF_PAUSE] = FLAG_BY_PAUSE,
                                             [SAID_OF_HOLDOUT] = FLAG_BY_HOLDOUT };
    i32 *rules = arena_new(a, i32, of->flag->rules_n), n = SAID_OF_RULES;
    for (isize i = 0; i < of->flag->rules_n; i++) {
        rules[i] = n;
        n += SAID_ARMS + 2 * (i32)of->flag->rules[i].variations_n;
    }
    str *at = arena_new(a, str, n);
    for (isize i = 0; i < countof(bare); i++) {
        struct flag_answer answer = {
            .value = of->flag->value, .reason = bare[i], .rule_index = -1, .variation_index = -1
        };
        at[i] = print_ahead(a, of, &answer);
    }
    for (isize i = 0; i < of->flag->rules_n; i++) say_rule(a, of, i, at + rules[i]);
    return (struct ofrep_said){ at, rules };
}

static bool asks_context_only(const struct book_flag *of)
{
    for (isize i = 0; i < of->flag->rules_n; i++) {
        if (of->flag->rules[i].sticky) return false;
        if (of->targets[i] && rule_depends_on(of->targets[i]) & ~(u32)RULE_ON_CONTEXT) return false;
    }
    return true;
}

void ofrep_prepare(struct flag_payload *p, const struct book *book)
{
    struct ofrep_said *said = arena_new(&p->arena, struct ofrep_said, book->flags_n);
    isize before = p->arena.used;
    p->context_only = true;
    for (isize i = 0; i < book->flags_n; i++) {
        p->context_only &= asks_context_only(&book->flags[i]);
        if (p->arena.used - before < SAID_BYTES_MAX) said[i] = say(&p->arena, &book->flags[i]);
    }
    p->said = said;
}

/* `p` is null when it is not of this book. */
static void print_flag(struct jsonw *w, const struct book *book, const struct flag_payload *p,
                       const struct book_flag *flag, const struct flag_answer *answer)
{
    const str *ahead = said_of(p ? &p->said[flag - book->flags] : NULL, flag->flag, answer);
    if (!ahead || ahead->len == 0) { ofrep_flag(w, flag, answer); return; }
    buf_reserve(w->out, ahead->len + 1);
    if (w->comma) w->out->ptr[w->out->len++] = ',';
    memcpy(w->out->ptr + w->out->len, ahead->ptr, (size_t)ahead->len);
    w->out->len += ahead->len;
    w->comma = true;
}

static const struct flag_payload *payload_of(struct call *call, const struct book *book)
{
    const struct flag_payload *p = flag_payload(call->api);
    return p->version == book->version ? p : NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void ofrep_file_flag(struct jsonw *w, const struct file_answer *answer)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", answer->flag);
    jsonw_key(w, S("value"));
    if (answer->value) jsonw_value(w, answer->value);
    else jsonw_null(w);
    jsonw_key_str(w, "reason",
                  answer->variation.len ? S("SPLIT")
                  : answer->rule.len    ? S("TARGETING_MATCH")
                                        : S("STATIC"));
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
        print_flag(&call->w, asked.world.book, payload_of(call, asked.world.book), flag, &answer);
        flag_exposed(call, flag, &answer, id);
    } else if (file) {
        struct file_request request = file_request(context, id);
        struct file_answer said = flag_file_evaluate(file, key, &request, call->a);
        ofrep_file_flag(&call->w, &said);
    }
    rcu_read_end();
    if (lacks_id)
        ofrep_error(
            call, 400, key, "TARGETING_KEY_MISSING",
            S("a rule of this flag divides people, and there is no targetingKey to divide by"));
    else if (!flag && !file)
        ofrep_error(call, 404, key, "FLAG_NOT_FOUND", S("there is no published flag by that name"));
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
            struct file_answer said =
                flag_file_evaluate(book->flag_files[f].file, flags[i], &request, call->a);
            ofrep_file_flag(&call->w, &said);
        }
    }
}

/* Of everything that an answer can depend on when flags ask about the context alone. The clock is
 * in it by the quarter of an hour, which is what hours and weekdays begin with in every zone. */
static u64 asked_hash(struct call *call, const struct flag_call *asked)
{
    const struct live *live = call->api->live;
    const struct profile *known =
        asked->request.identifiers_n
            ? people_read(live->people, identity_find(live->identity, asked->identifiers[0]),
                          PEOPLE_CONSENTS, call->a)
            : NULL;
    str parts[] = { call->req->body, call->source_key, own_host(call), known ? known->bucketing_id : S("") };
    u64 numbers[countof(parts) + 3] = { asked->world.book->version, call->secret,
                                        (u64)(asked->request.now_ms / (15 * MINUTE_MS)) };
    for (isize i = 0; i < countof(parts); i++) numbers[3 + i] = hash64(parts[i], 0);
    return hash64((str){ (const char *)numbers, sizeof numbers }, 0);
}

static void print_all(struct call *call, struct flag_call *asked, const struct flag_payload *p,
                      const struct json *context, str id, str configuration)
{
    struct jsonw *w = &call->w;
    const struct book *book = asked->world.book;
    buf_reserve(&call->out, 1024 + book->flags_n * 128);
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "flags", '[');
    for (isize i = 0; i < book->flags_n; i++) {
        struct flag_answer answer = decide_flag(&asked->asking, &book->flags[i]);
        print_flag(w, book, p, &book->flags[i], &answer);
    }
    print_files(call, asked, context, id);
    jsonw_end(w, ']');
    jsonw_key_begin(w, "metadata", '{');
    jsonw_key(w, S("flagConfigEtag"));
    jsonw_raw(w, configuration);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "eventStreams", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "type", S("sse"));
    jsonw_key_str(w, "url", arena_printf(call->a, "%.*s/ofrep/v1/stream", STR_FMT(own_host(call))));
    jsonw_key_int(w, "inactivityDelaySec", 120);
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void ofrep_bulk(struct call *call)
{
    const struct json *context;
    str id;
    struct flag_call asked;
    if (!ofrep_context(call, S(""), &context, &id)) return;
    str wanted = http_query(call->req, S("flagConfigEtag"), S("")),
        had = header_of(call, S("if-none-match")), etag = S("");
    rcu_read_begin();
    flag_call_init(call, id, context, &asked);
    const struct flag_payload *payload = flag_payload(call->api),
                              *p = payload->version == asked.world.book->version ? payload : NULL;
    str configuration = arena_str(call->a, payload->etag);
    /* A client that was told of a newer configuration is never sent back to what it has. */
    bool may_have = had.len && (wanted.len == 0 || str_find(configuration, wanted) >= 0);
    if (p && p->context_only && asked.request.preview.len == 0)
        etag = arena_printf(call->a, "\"%016llx\"", (unsigned long long)asked_hash(call, &asked));
    bool fresh = etag.len && may_have && str_eq(had, etag);
    if (!fresh) print_all(call, &asked, p, context, id, configuration);
    rcu_read_end();
    if (etag.len == 0) {
        etag = arena_printf(call->a, "\"%016llx\"", (unsigned long long)hash64(buf_str(&call->out), 1));
        fresh = may_have && str_eq(had, etag);
    }
    const struct http_header extra[] = { { S("ETag"), etag }, { S("Cache-Control"), S("private, no-cache") },
        { S("Access-Control-Allow-Origin"), S("*") }, { S("Access-Control-Expose-Headers"), S("ETag, Retry-After") } };
    http_reply(call->req, fresh ? 304 : 200, fresh ? S("") : S("application/json"),
               fresh ? S("") : buf_str(&call->out), extra, countof(extra));
}

void ofrep_stream(struct call *call) { flag_stream(call, STREAM_OFREP); }
