/* SPDX-License-Identifier: Apache-2.0
 *
 * data.c - what is there: keys, the catalogue, links to look at a variation, and the counters for a
 * monitor.
 */
#include <stdio.h>

#include "api/admin.h"
#include "base/rcu.h"

/* ---- keys ----------------------------------------------------------------------------------- */

str api_key_make(arena *a, bool secret, str *prefix)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    u8 bytes[40];
    char text[41] = { 0 };
    static_assert(sizeof letters == 33, "five bits a letter");
    rng_system(bytes, sizeof bytes);
    for (isize i = 0; i < 40; i++) text[i] = letters[bytes[i] & 31];
    *prefix = arena_printf(a, "%s_%.8s", secret ? "om_secret" : "om_write", text);
    return arena_printf(a, "%.*s_%s", STR_FMT(*prefix), text + 8);
}

static struct key_use *use_of(struct api *api, u64 key)
{
    for (isize i = 0; i < KEY_USES_MAX; i++) {
        struct key_use *use = &api->key_uses[(isize)((key + (u64)i) & (KEY_USES_MAX - 1))];
        u64 there = atomic_load_explicit(&use->key, memory_order_relaxed);
        if (there == key) return use;
        if (there == 0 && (atomic_compare_exchange_strong(&use->key, &there, key) || there == key))
            return use;
    }
    return NULL;
}

/* A second is near enough, and keeps the loops from taking the line from each other with every request. */
void key_use(struct api *api, const struct api_key *key)
{
    struct key_use *use = use_of(api, key->hash.lo);
    i64 now_ms = clock_now(api->clock);
    if (use && now_ms - atomic_load_explicit(&use->at_ms, memory_order_relaxed) >= SECOND_MS)
        atomic_store_explicit(&use->at_ms, now_ms, memory_order_relaxed);
}

static i64 used_at(struct call *call, str prefix)
{
    const struct book *book = atomic_load(&call->api->live->book);
    const struct key_use *use = NULL;
    for (isize i = 0; i < book->keys_n && !use; i++)
        if (str_eq(book->keys[i].prefix, prefix)) use = use_of(call->api, book->keys[i].hash.lo);
    return use ? atomic_load_explicit(&use->at_ms, memory_order_relaxed) : 0;
}

static void answer_keys(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    const struct definition *def;
    bool revoked = str_eq(http_query(call->req, S("revoked"), S("")), S("true"));
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "keys", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("key"), &at));) {
        const struct json *doc;
        if (def->archived && !revoked) continue;
        if (def->published == 0
            || json_parse(call->a, def->revisions[def->published - 1].document, &doc, NULL))
            continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", def->key);
        jsonw_key_bool(w, "revoked", def->archived);
        jsonw_key_str(w, "kind", json_str(json_get(doc, S("kind")), S("")));
        jsonw_key_str(w, "source", json_str(json_get(doc, S("source")), S("")));
        jsonw_key_str(w, "owner", json_str(json_get(doc, S("owner")), S("")));
        jsonw_key_time(w, "created_at", def->revisions[0].at_ms);
        jsonw_key_bool(w, "paused", def->paused);
        /* since the start; null: not since then */
        jsonw_key_time(w, "used_at", used_at(call, def->key));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_time(w, "since", call->api->started_at_ms);
    jsonw_end(w, '}');
}

void keys_get(struct call *call) { ask_fold(call, answer_keys); }

static void make_key(struct call *call)
{
    str prefix, source = body_text(call, "source"), owner = body_text(call, "owner");
    bool secret = str_eq(body_text(call, "kind"), S("secret"));
    str key = api_key_make(call->a, secret, &prefix);
    rcu_read_begin();
    bool known = book_source(atomic_load(&call->api->live->book), source) != NULL;
    rcu_read_end();
    if (!known) {
        call_fail(call, ERR_REFUSED, "there is no published source \"%.*s\"", STR_FMT(source));
        return;
    }
    str document = key_document(call->a, key, secret, source, owner.len ? owner : call->author);
    struct definition_change changes[] = {
        { .op = DEFINITION_DRAFT,
          .kind = S("key"),
          .key = prefix,
          .document = document,
          .author = call->author },
        { .op = DEFINITION_PUBLISH, .kind = S("key"), .key = prefix, .author = call->author },
    };
    if (!define(call, changes, countof(changes))) return;
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "id", prefix);
    jsonw_key_str(&call->w, "key", key);
    jsonw_key_str(&call->w, "kind", secret ? S("secret") : S("write"));
    jsonw_key_str(&call->w, "source", source);
    jsonw_end(&call->w, '}');
}

/* {"kind": "write" or "secret", "source", "owner"}. The key stands in this answer and nowhere else. */
void keys_post(struct call *call)
{
    str kind = body_text(call, "kind");
    if (str_eq(kind, S("write")) || str_eq(kind, S("secret"))) ask_jobs(call, make_key);
    else reply_problem(call, ERR_BAD_INPUT, "expected {\"kind\": \"write\" or \"secret\", \"source\"}");
}

static void revoke_key(struct call *call)
{
    struct definition_change change = {
        .op = DEFINITION_ARCHIVE, .kind = S("key"), .key = call->params[0], .author = call->author
    };
    if (define(call, &change, 1)) buf_add(&call->out, S("{}"));
}

void keys_delete(struct call *call) { ask_jobs(call, revoke_key); }

/* ---- the catalogue -------------------------------------------------------------------------- */

static bool item_matches(const struct item *item, str q)
{
    if (q.len == 0 || str_holds_nocase(item->key, q) || str_holds_nocase(item->brand, q)
        || str_holds_nocase(item->category, q))
        return true;
    for (isize i = 0; i < item->titles_n; i++)
        if (str_holds_nocase(item->titles[i].value, q)) return true;
    return false;
}

static void print_item(struct call *call, const struct item *item)
{
    static const char *const kinds[] = { "seen", "product", "content" };
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    item_print(item, http_query(call->req, S("market"), S("")),
               http_query(call->req, S("locale"), S("en")), w);
    jsonw_key_str(w, "kind", str_of(kinds[item->kind]));
    if (item->hidden) jsonw_key_bool(w, "hidden", true);
    if (item->removed) jsonw_key_bool(w, "removed", true);
    jsonw_end(w, '}');
}

static void list_items(struct call *call)
{
    const struct catalog *catalog = call->api->live->catalog;
    str q = str_trim(http_query(call->req, S("q"), S("")));
    isize left = query_limit(call, 50, 1000);
    i64 after = 0;
    (void)str_to_i64(http_query(call->req, S("after"), S("")), &after);
    u32 id = (u32)max_i64(min_i64(after, UINT32_MAX - 1), 0);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "items", '[');
    while (left > 0 && id < (u32)catalog_count(catalog)) {
        rcu_read_begin();
        const struct item *item = catalog_item(catalog, (item_id){ ++id });
        bool found = item && !item->removed && item_matches(item, q);
        if (found) print_item(call, item);
        rcu_read_end();
        left -= found;
    }
    jsonw_end(&call->w, ']');
    jsonw_key(&call->w, S("next"));
    if (id < (u32)catalog_count(catalog)) jsonw_str(&call->w, arena_printf(call->a, "%u", id));
    else jsonw_null(&call->w);
    jsonw_end(&call->w, '}');
}

void items_get(struct call *call) { ask_jobs(call, list_items); }

void item_get(struct call *call)
{
    const struct catalog *catalog = call->api->live->catalog;
    rcu_read_begin();
    const struct item *item = catalog_item(catalog, catalog_find(catalog, call->params[0]));
    if (item) print_item(call, item);
    rcu_read_end();
    if (item) reply_json(call);
    else reply_problem(call, ERR_NOT_FOUND, "there is no item \"%.*s\"", STR_FMT(call->params[0]));
}

/* ---- a link to look at one variation -------------------------------------------------------- */

static str preview_token(struct call *call, const struct book *book)
{
    str experience = body_text(call, "experience"), variation = body_text(call, "variation"),
        placement = body_text(call, "placement");
    const struct campaign *c = book_campaign(book, body_text(call, "campaign"));
    bool here = c && (placement.len == 0 || str_eq(book->placements[c->placement].key, placement));
    for (isize x = 0; here && x < c->experiences_n; x++)
        for (isize v = 0;
             str_eq(c->experiences[x].key, experience) && v < c->experiences[x].variations_n; v++)
            if (str_eq(c->experiences[x].variations[v].key, variation))
                return preview_make(call->a, book->secret, c->id, (u8)x, (u8)v,
                                    clock_now(call->api->clock));
    return S("");
}

void preview_link(struct call *call)
{
    rcu_read_begin();
    str token = preview_token(call, atomic_load(&call->api->live->book));
    rcu_read_end();
    if (token.len == 0) {
        reply_problem(call, ERR_NOT_FOUND,
                      "no published campaign has that experience and variation there");
        return;
    }
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "token", token);
    jsonw_key_str(
        &call->w, "query",
        arena_printf(call->a, "opmaat_preview=%.*s", STR_FMT(percent_encode(call->a, token))));
    jsonw_end(&call->w, '}');
    reply_json(call);
}

/* ---- counters, in Prometheus' text form ----------------------------------------------------- */

static void metric(struct buf *out, const char *name, const char *type, const char *help, i64 value)
{
    buf_printf(out, "# HELP opmaat_%s %s\n# TYPE opmaat_%s %s\nopmaat_%s %lld\n", name, help, name,
               type, name, (long long)value);
}

static void print_http(struct buf *out, const struct http_counters *c)
{
    metric(out, "http_connections_total", "counter", "Connections accepted", (i64)c->connections);
    metric(out, "http_connections_open", "gauge", "Connections open now", (i64)c->connections_open);
    metric(out, "http_streams_open", "gauge", "Event streams open now", (i64)c->streams_open);
    metric(out, "http_requests_total", "counter", "Requests handed to a handler", (i64)c->requests);
    metric(out, "http_received_bytes_total", "counter", "Bytes received", (i64)c->bytes_in);
    metric(out, "http_sent_bytes_total", "counter", "Bytes sent", (i64)c->bytes_out);
    buf_add(
        out,
        S("# HELP opmaat_http_answers_total Answers by class of status\n# TYPE opmaat_http_answers_total counter\n"));
    for (int i = 0; i < 5; i++)
        buf_printf(out, "opmaat_http_answers_total{class=\"%dxx\"} %llu\n", i + 1,
                   (unsigned long long)c->answers[i]);
    buf_add(
        out,
        S("# HELP opmaat_http_refused_total Requests refused before a handler saw them\n# TYPE opmaat_http_refused_total counter\n"));
    for (int i = 0; i < HTTP_REFUSALS_N; i++)
        buf_printf(out, "opmaat_http_refused_total{why=\"%s\"} %llu\n",
                   http_refusal_name((enum http_refusal)i), (unsigned long long)c->refused[i]);
}

static void print_log(struct buf *out, struct log_totals log, struct log_writer_totals writer)
{
    metric(out, "log_records_total", "counter", "Records in the log", log.records);
    metric(out, "log_bytes", "gauge", "Bytes of the log", log.bytes);
    metric(out, "log_files", "gauge", "Files of the log", log.files);
    metric(out, "log_commits_total", "counter", "Group commits since the start", writer.commits);
    metric(out, "log_commit_us_total", "counter", "Microseconds spent in commits", writer.commit_us);
    metric(out, "log_commit_us_max", "gauge", "The longest commit, in microseconds", writer.commit_us_max);
    metric(out, "log_waiting", "gauge", "Appends that wait for the disk", writer.waiting);
    metric(out, "log_refused_total", "counter", "Appends refused", writer.refused);
}

static void answer_metrics(struct call *call, struct fold *fold)
{
    const struct totals *t = fold_totals(fold);
    const struct live *live = call->api->live;
    struct buf *out = &call->out;
    metric(out, "events_total", "counter", "Events taken", t->events);
    metric(out, "events_duplicate_total", "counter", "Events that had come before", t->duplicates);
    metric(out, "events_no_consent_total", "counter", "Events refused for want of consent", t->no_consent);
    metric(out, "events_dead_total", "counter", "Events that went to the dead letters", t->dead);
    metric(out, "unknown_keys_total", "counter", "Collecting calls with a key nobody knows",
           atomic_load(&call->api->unknown_keys));
    metric(out, "decisions_total", "counter", "Decisions recorded", t->decisions);
    metric(out, "orders_total", "counter", "Orders known", t->orders);
    metric(out, "people", "gauge", "Profiles", people_count(live->people));
    metric(out, "people_known", "gauge", "Profiles of known people", people_known(live->people));
    metric(out, "people_plain_bytes", "gauge", "What profiles take that are as they are read",
           people_bytes(live->people).plain);
    metric(out, "people_cold_bytes", "gauge", "What profiles take that are compressed",
           people_bytes(live->people).cold);
    metric(out, "items", "gauge", "Items of the catalogue", catalog_count(live->catalog));
    metric(out, "fold_ref", "counter", "The last entry folded", (i64)fold_ref(fold));
    metric(out, "uptime_seconds", "gauge", "Seconds since the start",
           (clock_now(call->api->clock) - call->api->started_at_ms) / SECOND_MS);
    print_log(out, fold_log_totals(fold), log_writer_totals(fold_writer(fold)));
    if (!call->api->server) return;
    struct http_counters http;
    http_server_counters(call->api->server, &http);
    print_http(out, &http);
}

void metrics_get(struct call *call)
{
    call->type = S("text/plain; version=0.0.4; charset=utf-8");
    ask_fold(call, answer_metrics);
}
