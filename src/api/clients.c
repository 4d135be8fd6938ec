/* SPDX-License-Identifier: Apache-2.0
 *
 * clients.c - the routes other products' clients call, beside Segment's: RudderStack's source
 * configuration, pixels, PostHog, Google's Measurement Protocol, Optimizely's ODP.
 *
 * What a client reads of an answer it gets in its own shape; what it sends goes the way of all
 * events (collect.c). What a body is, is told by its bytes and never by its Content-Type: three of
 * these clients label theirs wrongly.
 */
#include "api/inside.h"
#include "base/clock.h"
#include "base/rcu.h"

/* ---- RudderStack's browser client ------------------------------------------------------------ */

/* It sends nothing until this answers. Like the settings for Segment's client it answers whatever the key. */
void source_config_get(struct call *call)
{
    struct jsonw *w = &call->w;
    recognise(call);
    str source = call->source_key.len ? call->source_key : S("unknown"), key, password;
    str query = http_query(call->req, S("writeKey"), S(""));
    if (query.len == 0 && http_basic(call->req, &key, &password)) query = key;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "source", '{');
    jsonw_key_str(w, "id", source);
    jsonw_key_str(w, "name", source);
    jsonw_key_str(w, "workspaceId", S("opmaat"));
    jsonw_key_str(w, "writeKey", query);
    jsonw_key_bool(w, "enabled", true);
    jsonw_key(w, S("config"));
    jsonw_raw(w, S("{\"statsCollection\":{\"errors\":{\"enabled\":false},\"metrics\":{\"enabled\":false}}}"));
    jsonw_key(w, S("dataplanes"));
    jsonw_raw(w, S("{}"));
    jsonw_key(w, S("destinations"));
    jsonw_raw(w, S("[]"));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    reply_json(call);
}

/* ---- pixels ---------------------------------------------------------------------------------- */

void reply_gif(struct call *call)
{
    static const char gif[] =
        "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
        "\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02"
        "D\x01\x00;";
    reply_bytes(call, 200, S("image/gif"), (str){ gif, sizeof gif - 1 });
}

/* A picture is answered whatever becomes of the call in its address, and does not wait for the disk. */
void pixel_get(struct call *call)
{
    struct diag diag = { .arena = call->a };
    struct collected c;
    if (ingest_pixel(call->a, call->req->query, &call->body, &diag) == ERR_OK) {
        recognise(call);
        if (call->source_key.len == 0) atomic_fetch_add(&call->api->unknown_keys, 1);
        else if (collect_events(call, call->params[0], call->body, &c, &diag) == ERR_OK && c.entries_n) {
            struct append append = { .entries = c.entries, .entries_n = c.entries_n };
            err_ignore(fold_submit(call->api->fold, &append),
                       "a pixel is answered whatever becomes of its record");
        }
    }
    reply_gif(call);
}

/* ---- PostHog --------------------------------------------------------------------------------- */

/* Browsers pack the body and do not say so, or put base64 into a form's field `data`. */
static enum err unpack(struct call *call, str *body, struct diag *diag)
{
    static const char gzip[] = "\x1f\x8b";
    if (str_starts(*body, (str){ gzip, 2 })) {
        struct buf out = { .arena = call->a };
        struct gz *gz = gz_memory(*body);
        isize got = 1, most = (isize)call->api->config->http_body_bytes;
        enum err err = ERR_OK;
        while (!err && got > 0) {
            if (out.len > most) {
                err = diag_set(diag, ERR_TOO_BIG, "the body is over %td bytes once unpacked", most);
                break;
            }
            buf_reserve(&out, 64 << 10);
            err = gz_read(gz, out.ptr + out.len, 64 << 10, &got, diag);
            if (!err) out.len += got;
        }
        gz_close(gz);
        *body = buf_str(&out);
        return err;
    }
    if (!str_starts(*body, S("data="))) return ERR_OK;
    str text = str_cut(str_from(*body, 5), '&').head;
    if (!percent_decode(call->a, text, false, &text) || !base64_decode(call->a, text, body))
        return diag_set(diag, ERR_BAD_INPUT, "data is not base64");
    return ERR_OK;
}

static bool read_posthog(struct call *call)
{
    struct diag diag = { .arena = call->a };
    str body = call->req->body;
    enum err err = unpack(call, &body, &diag);
    if (!err) err = json_parse(call->a, body, &call->body, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return false; }
    recognise(call);
    return true;
}

static void posthog_taken(struct call *call)
{
    buf_add(&call->out, S("{\"status\":\"Ok\"}"));
    reply_json(call);
}

void posthog_capture(struct call *call)
{
    if (read_posthog(call)) collect_by(call, ingest_posthog, S(""), posthog_taken);
}

/* No flag of ours is told in PostHog's words yet; a client that asks hears that there is none, and
 * goes by its own defaults. */
void posthog_flags(struct call *call)
{
    struct jsonw *w = &call->w;
    u64 id[2];
    if (!read_posthog(call)) return;
    if (call->source_key.len == 0) { collect_no_key(call); return; }
    rng_system(id, sizeof id);
    jsonw_begin(w, '{');
    jsonw_key(w, S("flags"));
    jsonw_raw(w, S("{}"));
    jsonw_key(w, S("featureFlags"));
    jsonw_raw(w, S("{}"));
    jsonw_key(w, S("featureFlagPayloads"));
    jsonw_raw(w, S("{}"));
    jsonw_key_bool(w, "errorsWhileComputingFlags", false);
    jsonw_key_str(w, "requestId",
                  arena_printf(call->a, "%016llx%016llx", (unsigned long long)id[0],
                               (unsigned long long)id[1]));
    jsonw_end(w, '}');
    reply_json(call);
}

/* ---- Google's Measurement Protocol ----------------------------------------------------------- */

static void ga4_taken(struct call *call) { reply_bytes(call, 204, S(""), S("")); }

void ga4_collect(struct call *call) { collect_by(call, ingest_ga4, S(""), ga4_taken); }

/* ---- Optimizely Data Platform ---------------------------------------------------------------- */

static bool odp_forbidden(struct call *call)
{
    recognise(call);
    if (call->source_key.len) return false;
    atomic_fetch_add(&call->api->unknown_keys, 1);
    call->status = 403;
    call->type = S("application/json");
    buf_add(&call->out, S("{\"message\":\"Forbidden\"}"));
    reply_json(call);
    return true;
}

static void odp_taken(struct call *call)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "title", S("Accepted"));
    jsonw_key_int(w, "status", 202);
    jsonw_key_time(w, "timestamp", clock_now(call->api->clock));
    jsonw_end(w, '}');
    call->status = 202;
    reply_json(call);
}

static void odp_refused(struct call *call, str reason)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "title", S("Bad Request"));
    jsonw_key_int(w, "status", 400);
    jsonw_key_time(w, "timestamp", clock_now(call->api->clock));
    jsonw_key_begin(w, "detail", '{');
    jsonw_key_begin(w, "invalids", '[');
    jsonw_begin(w, '{');
    jsonw_key_int(w, "event", 0);
    jsonw_key_str(w, "message", reason);
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    call->status = 400;
    call->type = S("application/json");
    reply_json(call);
}

void odp_events(struct call *call)
{
    struct diag diag = { .arena = call->a };
    if (odp_forbidden(call)) return;
    if (json_parse(call->a, call->req->body, &call->body, &diag)) { odp_refused(call, diag.what); return; }
    collect_by(call, ingest_odp, S(""), odp_taken);
}

static bool odp_kind(str name, u8 *kind)
{
    if (str_eq(name, S("fs_user_id")) || str_eq(name, S("customer_id"))) {
        *kind = IDENTIFIER_USER_ID;
        return true;
    }
    if (str_eq(name, S("vuid"))) { *kind = IDENTIFIER_ANONYMOUS_ID; return true; }
    return identifier_kind_of(name, kind);
}

static void odp_edge(struct jsonw *w, str name)
{
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "node", '{');
    jsonw_key_str(w, "name", name);
    jsonw_key_str(w, "state", S("qualified"));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

/* Which of the segments asked for somebody is in, as a decision would see it: with a public key a
 * claimed name shows what was claimed under it, and where consent is missing nobody is in anything. */
static void odp_edges(struct call *call, const struct odp_question *q, struct identifier who)
{
    struct decide_world world = live_world(call->api->live);
    struct decide_request request = {
        .identifiers = &who,
        .identifiers_n = 1,
        .source = book_source(world.book, call->source_key),
        .secret = call->secret,
        .now_ms = clock_now(call->api->clock),
    };
    struct rule_facts facts = decide_facts(&world, &request, call->a);
    const struct segment_set *set = world.book->segments;
    for (isize i = 0; q->all && i < set->n; i++)
        if (facts.in_segment(facts.segment_ctx, set->at[i].id) == TRI_TRUE)
            odp_edge(&call->w, set->at[i].key);
    for (isize i = 0; !q->all && i < q->subset_n; i++) {
        segment_id id = segment_find(set, q->subset[i]);
        if (id.v && facts.in_segment(facts.segment_ctx, id) == TRI_TRUE) odp_edge(&call->w, q->subset[i]);
    }
}

static void odp_error(struct call *call, str message, str code)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "errors", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "message", message);
    jsonw_key(w, S("locations"));
    jsonw_raw(w, S("[{\"line\":1,\"column\":8}]"));
    jsonw_key(w, S("path"));
    jsonw_raw(w, S("[\"customer\"]"));
    jsonw_key_begin(w, "extensions", '{');
    if (code.len) jsonw_key_str(w, "code", code);
    jsonw_key_str(w, "classification", S("DataFetchingException"));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_key(w, S("data"));
    jsonw_raw(w, S("{\"customer\":null}"));
    jsonw_end(w, '}');
    reply_json(call);
}

/* Somebody nobody knows has no audiences: an empty list, which is no error. */
void odp_graphql(struct call *call)
{
    struct odp_question q[2];
    u8 kind;
    if (odp_forbidden(call)) return;
    isize n = ingest_odp_question(call->a, call->req->body, q);
    if (n == 0) {
        odp_error(
            call,
            S("expected query {customer(fs_user_id : \"…\") {audiences(subset: [\"…\"]) {edges {node {name state}}}}}"),
            S(""));
        return;
    }
    if (!odp_kind(q[0].name, &kind)) {
        str message = arena_printf(call->a, "there is no identifier \"%.*s\"",
                                   (int)min_isize(q[0].name.len, 80), q[0].name.ptr);
        odp_error(call, message, S("INVALID_IDENTIFIER_EXCEPTION"));
        return;
    }
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "data", '{');
    jsonw_key_begin(w, "customer", '{');
    jsonw_key_begin(w, "audiences", '{');
    jsonw_key_begin(w, "edges", '[');
    rcu_read_begin();
    for (isize i = 0; i < n; i++) {
        struct identifier who = { kind, call->secret, ingest_identifier(call->a, kind, q[i].id) };
        if (who.value.len == 0 || identity_find(call->api->live->identity, who).v == 0) continue;
        odp_edges(call, &q[i], who);
        break;
    }
    rcu_read_end();
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    reply_json(call);
}
