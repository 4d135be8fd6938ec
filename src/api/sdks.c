/* SPDX-License-Identifier: Apache-2.0
 *
 * sdks.c - the routes that unmodified GrowthBook and Optimizely SDKs ask, and what they report back.
 *
 * The SDK key is a write key of ours, in the path. Reports become events of ours and take the way
 * of all events: an impression is `Decision Viewed` with a ticket, a conversion is an event of its
 * own name. A report of a rule that is no experiment is answered and let go: a delivery is no
 * exposure.
 */
#include "api/flags.h"
#include "base/hash.h"
#include "base/rcu.h"

enum { REPORTED_MAX = 2500, PREDICTED_MAX = 32 };

/* ---- payloads -------------------------------------------------------------------------------- */

static void put_replaced(struct buf *out, str text, str host, str key)
{
    const struct { str mark, with; } marks[] = { { S(PAYLOAD_HOST), host }, { S(PAYLOAD_KEY), key } };
    while (text.len > 0) {
        isize at = str_find(text, S("@@opmaat-")), which = 0;
        if (at < 0) break;
        buf_add(out, str_slice(text, 0, at));
        text = str_from(text, at);
        while (which < countof(marks) && !str_starts(text, marks[which].mark)) which++;
        buf_add(out, which < countof(marks) ? marks[which].with : S("@@"));
        text = str_from(text, which < countof(marks) ? marks[which].mark.len : 2);
    }
    buf_add(out, text);
}

/* /datafiles/KEY.json. The client compares nothing but the date's text, so neither do we. */
void optimizely_datafile(struct call *call)
{
    str key = call->params[0];
    if (str_ends(key, S(".json"))) key = str_slice(key, 0, key.len - 5);
    if (!path_key(call, key)) return;
    rcu_read_begin();
    const struct flag_payload *p = flag_payload(call->api);
    str modified = http_date(call->a, p->modified_s), etag = arena_str(call->a, p->etag);
    bool fresh = str_eq(header_of(call, S("if-modified-since")), modified);
    if (!fresh)
        put_replaced(&call->out, p->datafile,
                     arena_printf(call->a, "%.*s/optimizely", STR_FMT(own_host(call))), key);
    rcu_read_end();
    const struct http_header extra[] = { { S("Last-Modified"), modified },
                                         { S("ETag"), etag },
                                         { S("Cache-Control"), S("no-cache") },
                                         { S("Access-Control-Allow-Origin"), S("*") } };
    http_reply(call->req, fresh ? 304 : 200, fresh ? S("") : S("application/json"),
               buf_str(&call->out), extra, countof(extra));
}

void growthbook_features(struct call *call)
{
    if (!path_key(call, call->params[0])) return;
    rcu_read_begin();
    const struct flag_payload *p = flag_payload(call->api);
    buf_add(&call->out, p->growthbook);
    rcu_read_end();
    const struct http_header extra[] = { { S("x-sse-support"), S("enabled") },
                                         { S("Cache-Control"), S("no-cache") },
                                         { S("Access-Control-Allow-Origin"), S("*") },
                                         { S("Access-Control-Expose-Headers"),
                                           S("x-sse-support") } };
    http_reply(call->req, 200, S("application/json"), buf_str(&call->out), extra, countof(extra));
}

void growthbook_stream(struct call *call)
{
    if (path_key(call, call->params[0])) flag_stream(call, STREAM_GROWTHBOOK);
}

/* ---- GrowthBook's remote evaluation ---------------------------------------------------------- */

static void print_tracks(struct jsonw *w, str experiment, str flag, str variation, i32 index,
                         isize variations, str value, str attribute, str id)
{
    jsonw_key_begin(w, "tracks", '[');
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "experiment", '{');
    jsonw_key_str(w, "key", experiment);
    jsonw_key_begin(w, "variations", '[');
    for (isize i = 0; i < variations; i++) {            /* what others were given is nobody's business here */
        if (i == index) jsonw_raw(w, value);
        else jsonw_null(w);
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    jsonw_key_begin(w, "result", '{');
    jsonw_key_str(w, "key", variation);
    jsonw_key_int(w, "variationId", index);
    jsonw_key(w, S("value"));
    jsonw_raw(w, value);
    jsonw_key_bool(w, "inExperiment", true);
    jsonw_key_bool(w, "hashUsed", true);
    jsonw_key_str(w, "hashAttribute", attribute);
    jsonw_key_str(w, "hashValue", id);
    jsonw_key_str(w, "featureId", flag);
    jsonw_key_bool(w, "stickyBucketUsed", false);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_end(w, ']');
}

static void begin_resolved(struct jsonw *w, str key, str value, str rule)
{
    jsonw_key(w, key);
    jsonw_begin(w, '{');
    jsonw_key(w, S("defaultValue"));
    jsonw_raw(w, value);
    jsonw_key_begin(w, "rules", '[');
    if (rule.len == 0) return;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", rule);
    jsonw_key(w, S("force"));
    jsonw_raw(w, value);
}

static void end_resolved(struct jsonw *w, str rule)
{
    if (rule.len) jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void resolve_own(struct call *call, struct flag_call *asked, const struct book_flag *flag,
                        const struct json *forced)
{
    struct jsonw *w = &call->w;
    struct flag_answer answer = decide_flag(&asked->asking, flag);
    bool chosen = false;                                /* by the caller's forcedVariations, for a look */
    for (isize i = 0; i < flag->flag->rules_n && !chosen; i++) {
        const struct flag_rule *rule = &flag->flag->rules[i];
        i64 which = json_int(json_get(forced, rule->id), -1);
        if (rule->kind != FLAG_EXPERIMENT || which < 0 || which >= rule->variations_n) continue;
        answer = (struct flag_answer){ .value = rule->variations[which].value, .rule = rule->key };
        chosen = true;
    }
    begin_resolved(w, flag->key, answer.value, answer.rule);
    if (!chosen && answer.variation.len && answer.reason != FLAG_BY_PREVIEW)
        print_tracks(w, answer.experiment_id, flag->key, answer.variation, answer.variation_index,
                     flag->flag->rules[answer.rule_index].variations_n, answer.value, S("id"),
                     asked->asking.id);
    end_resolved(w, answer.rule);
}

static void resolve_files(struct call *call, const struct book *book, const struct file_request *request)
{
    for (isize f = 0; f < book->flag_files_n; f++) {
        const str *flags;
        isize n = flag_file_flags(book->flag_files[f].file, &flags);
        for (isize i = 0; i < n; i++) {
            if (book_flag(book, flags[i])) continue;
            struct file_answer said =
                flag_file_evaluate(book->flag_files[f].file, flags[i], request, call->a);
            struct buf value = { .arena = call->a };
            struct jsonw v = { .out = &value };
            if (said.value) jsonw_value(&v, said.value);
            else jsonw_null(&v);
            str rule = said.rule.len || said.variation.len || str_eq(said.reason, S("force"))
                           ? arena_printf(call->a, "%.*s",
                                          STR_FMT(said.rule.len ? said.rule : said.reason))
                           : S("");
            begin_resolved(&call->w, flags[i], buf_str(&value), rule);
            if (said.hashed)
                print_tracks(&call->w, said.experiment, flags[i], said.variation,
                             said.variation_index, said.variation_index + 1, buf_str(&value),
                             said.hash_attribute, said.hash_value);
            end_resolved(&call->w, rule);
        }
    }
}

/* {attributes, forcedVariations, forcedFeatures, url} -> the payload with every rule decided. */
void growthbook_eval(struct call *call)
{
    if (!path_key(call, call->params[0])) return;
    const struct json *attributes = json_get(call->body, S("attributes")),
                      *forced = json_get(call->body, S("forcedVariations"));
    struct flag_call asked;
    rcu_read_begin();
    flag_call_init(call, json_text(call->a, json_get(attributes, S("id"))), attributes, &asked);
    struct file_request request = { .attributes = attributes,
                                    .url = json_str(json_get(call->body, S("url")), S("")),
                                    .forced_variations = forced,
                                    .forced_flags = json_get(call->body, S("forcedFeatures")),
                                    .user_id = asked.asking.id,
                                    .sticky =
                                        json_get(call->body, S("stickyBucketAssignmentDocs")) };
    const struct book *book = asked.world.book;
    jsonw_begin(&call->w, '{');
    jsonw_key_int(&call->w, "status", 200);
    jsonw_key_begin(&call->w, "features", '{');
    for (isize i = 0; i < book->flags_n; i++) resolve_own(call, &asked, &book->flags[i], forced);
    resolve_files(call, book, &request);
    jsonw_end(&call->w, '}');
    jsonw_key_str(&call->w, "dateUpdated", time_print(call->a, flag_payload(call->api)->modified_s * 1000));
    jsonw_end(&call->w, '}');
    rcu_read_end();
    reply_json(call);
}

/* ---- reports --------------------------------------------------------------------------------- */

struct report { struct call *call; struct jsonw w; struct buf text; isize n; };

static void report_begin(struct report *r, struct call *call)
{
    *r = (struct report){ .call = call, .text = { .arena = call->a } };
    r->w = (struct jsonw){ .out = &r->text };
    jsonw_begin(&r->w, '[');
}

static bool event_begin(struct report *r, str name, str id, str key, const struct json *timestamp)
{
    if (id.len == 0 || r->n == REPORTED_MAX) return false;
    r->n++;
    jsonw_begin(&r->w, '{');
    jsonw_key_str(&r->w, "type", S("track"));
    jsonw_key_str(&r->w, "event", name);
    jsonw_key_str(&r->w, r->call->secret ? "userId" : "anonymousId", id);
    if (key.len) jsonw_key_str(&r->w, "messageId", key);
    if (timestamp) jsonw_key_time(&r->w, "timestamp", json_int(timestamp, 0));
    return true;
}

static void reported(struct call *call)
{
    call->out.len = 0;
    reply_bytes(call, 204, S(""), S(""));
}

/* Into the log, then 204. */
static void report_end(struct report *r)
{
    struct call *call = r->call;
    struct collected *c = arena_new(call->a, struct collected, 1);
    struct diag diag = { .arena = call->a };
    const struct json *events;
    jsonw_end(&r->w, ']');
    if (r->n == 0) { reported(call); return; }
    enum err err = json_parse(call->a, buf_str(&r->text), &events, &diag);
    if (!err) err = collect_events(call, S(""), events, c, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    if (c->entries_n == 0) reported(call);
    else submit_then(call, c->entries, c->entries_n, reported);
}

/* Decision Viewed, when what was reported is an arm of an experiment of ours. */
/* ids of the datafile; prediction: the cmab_uuid, if any */
struct shown { str rule, variation, prediction; };

static void report_exposure(struct report *r, struct shown shown, str id, str key,
                            const struct json *timestamp)
{
    const struct book *book;
    const struct campaign *campaign;
    const struct book_flag *flag;
    isize index, arm;
    rcu_read_begin();
    struct ticket ticket = { .decision_key = next_seed(r->call->api), .reason = REASON_EXPERIMENT };
    book = atomic_load(&r->call->api->live->book);
    bool ours = book_flag_arm(book, r->call->a, shown.rule, shown.variation, &flag, &index, &arm)
                && flag->flag->rules[index].kind == FLAG_EXPERIMENT && index < 256;
    if (ours) {
        ticket.campaign = flag->id;
        ticket.experience = (u8)index;
        ticket.variation = (u8)arm;
    } else if (book_cmab_rule(book, shown.rule, &campaign, &index)) {
        const struct experience *x = &campaign->experiences[index];
        for (arm = 0;
             arm < x->variations_n
             && !str_eq(book_cmab_variation(r->call->a, campaign, x, arm), shown.variation);)
            arm++;
        ours = arm < x->variations_n;
        ticket.campaign = campaign->id;
        ticket.experience = (u8)index;
        ticket.variation = (u8)arm;
        ticket.reason = REASON_BANDIT;
        if (shown.prediction.len) ticket.decision_key = hash64(shown.prediction, 0);
    }
    rcu_read_end();
    ticket.at_ms = json_int(timestamp, clock_now(r->call->api->clock));
    if (!ours || !event_begin(r, S("Decision Viewed"), id, key, timestamp)) return;
    struct ticket_key sign = ticket_key(r->call->api->live->secret);
    jsonw_key_begin(&r->w, "properties", '{');
    jsonw_key_str(&r->w, "ticket", ticket_make(r->call->a, &sign, &ticket));
    jsonw_end(&r->w, '}');
    jsonw_end(&r->w, '}');
}

/* The account id of a datafile of ours is its SDK key, so a report says by itself whose it is; a
 * dispatcher may say it in a header, too. */
static bool report_key(struct call *call, const struct json *body)
{
    str key = header_of(call, S("x-optimizely-sdk-key"));
    if (key.len == 0) key = http_query(call->req, S("write_key"), S(""));
    if (key.len == 0) key = json_text(call->a, json_get(body, S("account_id")));
    return path_key(call, key);
}

static void conversion(struct report *r, const struct json *event, str id)
{
    const struct json *tags = json_get(event, S("tags")), *revenue = json_get(event, S("revenue")),
                      *value = json_get(event, S("value"));
    if (!event_begin(r, json_str(json_get(event, S("key")), S("custom")), id,
                     json_text(r->call->a, json_get(event, S("uuid"))),
                     json_get(event, S("timestamp"))))
        return;
    jsonw_key_begin(&r->w, "properties", '{');
    json_each(tag, tags) {
        if (str_eq(tag->key, S("revenue")) || str_eq(tag->key, S("value"))) continue;
        jsonw_key(&r->w, tag->key);
        jsonw_value(&r->w, tag);
    }
    if (revenue) jsonw_key_num(&r->w, "revenue", json_num(revenue, 0) / 100);   /* it is told in cents */
    if (value) jsonw_key_num(&r->w, "value", json_num(value, 0));
    jsonw_end(&r->w, '}');
    jsonw_end(&r->w, '}');
}

void optimizely_events(struct call *call)
{
    struct report r;
    if (!report_key(call, call->body)) return;
    report_begin(&r, call);
    json_each(visitor, json_get(call->body, S("visitors"))) {
        str id = json_text(call->a, json_get(visitor, S("visitor_id")));
        json_each(snapshot, json_get(visitor, S("snapshots"))) {
            const struct json *decisions = json_get(snapshot, S("decisions")),
                              *events = json_get(snapshot, S("events"));
            const struct json *first = json_len(events) ? &events->list.at[0] : NULL;
            json_each(d, decisions)
                report_exposure(
                    &r,
                    (struct shown){ json_text(call->a, json_get(d, S("experiment_id"))),
                                    json_text(call->a, json_get(d, S("variation_id"))),
                                    json_str(json_path(d, "metadata.cmab_uuid"), S("")) },
                    id, json_text(call->a, json_get(first, S("uuid"))),
                    json_get(first, S("timestamp")));
            json_each(event, json_len(decisions) ? NULL : events) conversion(&r, event, id);
        }
    }
    report_end(&r);
}

/* A JSON array of {event_name, properties_json, user_id, device_id, …} as text/plain. */
void growthbook_track(struct call *call)
{
    struct report r;
    str key = http_query(call->req, S("client_key"), S(""));
    if (!path_key(call, key)) return;
    report_begin(&r, call);
    json_each(event, json_is(call->body, JSON_ARR) ? call->body : NULL) {
        const struct json *properties = json_get(event, S("properties_json"));
        struct diag diag = { .arena = call->a };
        if (json_is(properties, JSON_STR) && json_parse(call->a, properties->s, &properties, &diag)) continue;
        str name = json_str(json_get(event, S("event_name")), S("")),
            id = json_text(call->a, json_get(event, S("user_id")));
        if (id.len == 0) id = json_text(call->a, json_get(event, S("device_id")));
        if (str_eq(name, S("Experiment Viewed"))) {
            str hashed = json_text(call->a, json_get(properties, S("hashValue")));
            report_exposure(
                &r,
                (struct shown){ json_text(call->a, json_get(properties, S("experimentId"))),
                                json_text(call->a, json_get(properties, S("variationId"))), S("") },
                hashed.len ? hashed : id, S(""), NULL);
        } else if (!str_eq(name, S("Feature Evaluated")) && event_begin(&r, name, id, S(""), NULL)) {
            jsonw_key(&r.w, S("properties"));
            if (json_is(properties, JSON_OBJ)) jsonw_value(&r.w, properties);
            else jsonw_raw(&r.w, S("{}"));
            jsonw_end(&r.w, '}');
        }
    }
    report_end(&r);
}

/* ---- what Optimizely's SDK asks of a contextual bandit's endpoint ---------------------------- */

struct predicted {
    const struct campaign *campaign;
    const struct experience *experience;
    isize arm;
    struct decision decision;
};

/* The arm of a bandit for one visitor: the one they have seen while it lives, else by the policy
 * and what they say of themselves. */
static bool predict_arm(struct call *call, const struct json *instance, struct predicted *out)
{
    struct flag_call asked;
    isize index;
    i32 leaf;
    str id = json_text(call->a, json_get(instance, S("visitorId")));
    const struct book *book = live_world(call->api->live).book;
    if (id.len == 0 || !book_cmab_rule(book, call->params[0], &out->campaign, &index)) return false;
    const struct campaign *c = out->campaign;
    const struct experience *x = out->experience = &c->experiences[index];
    flag_call_init(call, id, book_cmab_context(x, json_get(instance, S("attributes")), call->a), &asked);
    i64 now_ms = asked.request.now_ms;
    if (c->paused || (c->starts_at_ms && now_ms < c->starts_at_ms)
        || (c->ends_at_ms && now_ms >= c->ends_at_ms))
        return false;
    person_id person = identity_find(call->api->live->identity, asked.identifiers[0]);
    const struct profile *p = people_get(call->api->live->people, person, call->a);
    struct decision *d = &out->decision;
    *d = (struct decision){ .key = hash64(json_str(json_get(instance, S("cmabUUID")), S("")), 0),
                            .person = person,
                            .at_ms = now_ms,
                            .book_version = book->version,
                            .placement = book->placements[c->placement].number,
                            .campaign = c->id,
                            .experience = (u8)index,
                            .reason = REASON_BANDIT,
                            .personal = true,
                            .recorded = true,
                            .placed = &book->placements[c->placement],
                            .context_n = x->adaptive->context_n };
    d->context = arena_new(call->a, str, d->context_n);
    for (isize i = 0; i < d->context_n; i++)
        d->context[i] = adaptive_fact(x->adaptive->context[i], &asked.request, p,
                                      book->settings.zone_minutes, call->a);
    out->arm = adaptive_choose(
        x,
        (struct bucket_key){ p && p->bucketing_id.len ? p->bucketing_id : id, x->experiment_key },
        d->context, &d->propensity, &leaf);
    for (isize i = 0; p && i < p->exposures_n; i++) {
        const struct exposure *seen = &p->exposures[i];
        if (seen->campaign != c->id || seen->experience != index
            || seen->variation >= x->variations_n || x->variations[seen->variation].share == 0)
            continue;
        if (out->arm != seen->variation) d->propensity = x->variations[seen->variation].share;
        out->arm = seen->variation;
        break;
    }
    d->variation = (u8)max_isize(out->arm, 0);
    return out->arm >= 0;
}

/* {"instances": [{visitorId, experimentId, attributes, cmabUUID}]} -> {"predictions": [{"variation_id"}]}, by the rule in the path. With a
 * key (?write_key=) the choice is recorded with its probability and context, so that the bandit learns from what comes of
 * it. */
void optimizely_predict(struct call *call)
{
    struct decision decisions[PREDICTED_MAX];
    isize n = 0;
    str key = http_query(call->req, S("write_key"), S(""));
    if (key.len && !path_key(call, key)) return;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "predictions", '[');
    rcu_read_begin();
    json_each(instance, json_get(call->body, S("instances"))) {
        struct predicted told;
        if (n == PREDICTED_MAX || !predict_arm(call, instance, &told)) break;
        decisions[n++] = told.decision;
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "variation_id",
                      book_cmab_variation(call->a, told.campaign, told.experience, told.arm));
        jsonw_end(&call->w, '}');
    }
    if (key.len) log_decisions(call, decisions, n);
    rcu_read_end();
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
    if (n) reply_json(call);
    else reply_problem(call, ERR_NOT_FOUND, "no bandit with that rule id takes this visitor");
}
