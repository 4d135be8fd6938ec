/* SPDX-License-Identifier: Apache-2.0
 *
 * connectors.c - what leaves for other systems, seen from the console: how it goes, what could not be
 * delivered, sending again; polling; and files for advertising platforms.
 */
#include "api/admin.h"
#include "base/rcu.h"

enum { POLL_MOST = 1000 };

/* The connector named in the path, copied: its texts are good for the call. Fails the call when
 * there is none. */
static bool connector_here(struct call *call, struct connector *out)
{
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    const struct connector *c = book_connector(book, call->params[0]);
    if (c) {
        *out = *c;
        out->key = arena_str(call->a, c->key);
        out->url = arena_str(call->a, c->url);
        out->title = out->owner = out->secret = out->authorization = S("");
    }
    rcu_read_end();
    if (!c)
        call_fail(call, ERR_NOT_FOUND, "there is no published connector \"%.*s\"",
                  STR_FMT(call->params[0]));
    return c != NULL;
}

/* ---- how it goes ----------------------------------------------------------------------------- */

static str standing(const struct connector *c, const struct delivery_state *state)
{
    if (c->paused) return S("paused");
    return state->problem[0] && state->attempts ? S("red") : state->dead ? S("yellow") : S("green");
}

static void print_connector(struct call *call, const struct book *book, const struct connector *c)
{
    struct delivery_state state = deliver_state(call->api->options.deliver, c->number);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", c->key);
    jsonw_key_str(w, "title", c->title.len ? c->title : c->key);
    jsonw_key_str(w, "owner", c->owner);
    jsonw_key_str(w, "type", str_of(connector_type_name(c->type)));
    jsonw_key_str(w, "url", c->url);
    jsonw_key_str(w, "purpose", str_of(purpose_name(c->purpose)));
    jsonw_key_str(w, "basis", str_of(basis_name(c->basis)));
    jsonw_key_begin(w, "segments", '[');
    for (isize i = 0; i < c->segments_n; i++) {
        const struct segment *s = book->segments->by_id[c->segments[i].v];
        if (s) jsonw_str(w, s->key);
    }
    jsonw_end(w, ']');
    jsonw_key_str(w, "state", standing(c, &state));
    jsonw_key_int(w, "delivered", state.delivered);
    jsonw_key_int(w, "withheld", state.withheld);
    jsonw_key_int(w, "waiting", state.waiting);
    jsonw_key_int(w, "dead", state.dead);
    jsonw_key_time(w, "waiting_since", state.oldest_at_ms);
    jsonw_key_int(w, "attempts", state.attempts);
    jsonw_key_time(w, "next_at", state.next_at_ms);
    jsonw_key_time(w, "last_at", state.last_at_ms);
    jsonw_key_int(w, "status", state.status);
    jsonw_key_str(w, "problem", str_of(state.problem));
    jsonw_end(w, '}');
}

static void answer_connectors(struct call *call, struct fold *fold)
{
    (void)fold;
    const struct book *book = atomic_load(&call->api->live->book);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "connectors", '[');
    for (isize i = 0; i < book->connectors_n; i++) print_connector(call, book, &book->connectors[i]);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

static void list_connectors(struct call *call) { on_fold(call, answer_connectors); }
void connectors_get(struct call *call) { ask_jobs(call, list_connectors); }

/* ---- what could not be delivered ------------------------------------------------------------- */

static void list_dead(struct call *call)
{
    struct connector c;
    const struct undelivered *list;
    if (!connector_here(call, &c)) return;
    isize n = deliver_dead(call->api->options.deliver, c.number, query_limit(call, 50, 1000), call->a, &list);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "dead_letters", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "id", list[i].id);
        jsonw_key_int(w, "sequence", (i64)list[i].seq);
        jsonw_key_str(w, "kind", str_of(outbox_kind_name(list[i].kind)));
        jsonw_key_time(w, "at", list[i].at_ms);
        jsonw_key_time(w, "given_up_at", list[i].died_at_ms);
        if (list[i].person.v) print_person_id(w, "person_id", list[i].person);
        jsonw_key_str(w, "reason", list[i].reason);
        jsonw_key_bool(w, "again", list[i].again);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "total", deliver_state(call->api->options.deliver, c.number).dead);
    jsonw_end(w, '}');
}

void connector_dead_get(struct call *call) { ask_jobs(call, list_dead); }

static void done(struct call *call, enum err err, const char *what, str object)
{
    if (err) { call_fail(call, err, "256 orders to connectors wait already"); return; }
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, what, object);
    call->status = 202;
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "state", S("queued"));
    jsonw_end(&call->w, '}');
}

static void again(struct call *call)
{
    struct connector c;
    i64 id = 0;
    if (!connector_here(call, &c)) return;
    bool all = str_eq(call->params[1], S("all"));
    if (!all && (!str_to_i64(call->params[1], &id) || id < 1)) {
        call_fail(call, ERR_BAD_INPUT, "expected the id of a dead letter, or all");
        return;
    }
    done(call, deliver_dead_again(call->api->options.deliver, c.number, id), "send_again", c.key);
}

void connector_dead_replay(struct call *call) { ask_jobs(call, again); }

static void replay(struct call *call)
{
    struct connector c;
    i64 since_ms = 0;
    if (!connector_here(call, &c)) return;
    const struct json *since = json_get(call->body, S("since"));
    if (json_is(since, JSON_INT)) since_ms = since->i;
    else if (!time_parse(json_str(since, S("")), &since_ms)) {
        call_fail(call, ERR_BAD_INPUT, "expected {\"since\": \"2026-11-21T08:00:00Z\"}");
        return;
    }
    enum err err = deliver_replay(call->api->options.deliver, c.number, since_ms);
    if (err == ERR_NOT_FOUND) {
        call_fail(call, err,
                  "nothing is kept since then; rows are kept for outbox_days = %lld days",
                  (long long)call->api->config->outbox_days);
        return;
    }
    done(call, err, "replay", c.key);
}

void connector_replay(struct call *call) { ask_jobs(call, replay); }

/* ---- fetching -------------------------------------------------------------------------------- */

static void poll_rows(struct call *call)
{
    struct connector c;
    i64 after = 0;
    u64 next = 0;
    struct buf rows = { .arena = call->a };
    if (!connector_here(call, &c)) return;
    str text = http_query(call->req, S("after"), S("0"));
    if (!str_to_i64(text, &after) || after < 0) {
        call_fail(call, ERR_BAD_INPUT, "after is the number `next` of the answer before, from 0");
        return;
    }
    enum err err = deliver_poll(call->api->options.deliver, &c, (u64)after,
                                query_limit(call, 100, POLL_MOST), call->a, &rows, &next);
    if (err) { call_fail(call, err, "the outbox cannot be read now"); return; }
    jsonw_begin(&call->w, '{');
    jsonw_key_int(&call->w, "next", (i64)next);
    jsonw_key(&call->w, S("page"));
    jsonw_raw(&call->w, buf_str(&rows));
    jsonw_end(&call->w, '}');
}

void connector_poll(struct call *call) { ask_jobs(call, poll_rows); }

/* ---- files for advertising platforms --------------------------------------------------------- */

static void answer_ads(struct call *call, struct fold *fold)
{
    (void)fold;
    const struct live *live = call->api->live;
    const struct book *book = atomic_load(&live->book);
    struct deliver_view view = { book, live->identity, live->people, clock_now(call->api->clock) };
    const struct connector *c = book_connector(book, call->params[0]);
    str key = http_query(call->req, S("segment"), S("")),
        format = http_query(call->req, S("format"), S("google"));
    segment_id segment = key.len              ? segment_find(book->segments, key)
                         : c && c->segments_n ? c->segments[0]
                                              : (segment_id){ 0 };
    bool google = str_eq(format, S("google"));
    if (!c || c->type != CONNECTOR_ADS) {
        call_fail(call, ERR_NOT_FOUND, "there is no connector of type ads \"%.*s\"",
                  STR_FMT(call->params[0]));
        return;
    }
    if (!connector_wants_segment(c, segment)) {
        call_fail(call, ERR_REFUSED, "the connector does not name the segment \"%.*s\"",
                  STR_FMT(key));
        return;
    }
    if (!google && !str_eq(format, S("meta"))) {
        call_fail(call, ERR_BAD_INPUT, "format is google or meta");
        return;
    }
    call->type = S("text/csv; charset=utf-8");
    (void)ads_file(&view, live->roll, segment, google ? ADS_GOOGLE : ADS_META, &call->out);
}

static void make_ads(struct call *call) { on_fold(call, answer_ads); }
void connector_ads_file(struct call *call) { ask_jobs(call, make_ads); }
