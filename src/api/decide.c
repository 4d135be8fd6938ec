/* SPDX-License-Identifier: Apache-2.0
 *
 * decide.c - what to show: /v1/decide, and tickets that come back as pixels and redirects.
 *
 * A decide without events waits for nothing. With events it waits for their commit, then reads what they
 * changed: one round trip from a click to its effect.
 */
#include "api/flags.h"
#include "base/rcu.h"

enum { PLACEMENTS_PER_CALL_MAX = 50, KEYS_PER_LIST_MAX = 200 };

static isize strings(struct call *call, const struct json *list, const str **out)
{
    isize n = min_isize(json_len(list), KEYS_PER_LIST_MAX);
    str *at = arena_new(call->a, str, n);
    for (isize i = 0; i < n; i++) at[i] = json_text(call->a, &list->list.at[i]);
    *out = at;
    return n;
}

static void add_identifier(struct asked *asked, struct identifier *list, u8 kind, str value, bool verified)
{
    if (value.len == 0 || value.len > IDENTIFIER_BYTES_MAX
        || asked->request.identifiers_n == EVENT_IDENTIFIERS_MAX)
        return;
    list[asked->request.identifiers_n++] = (struct identifier){ kind, verified, value };
}

static u32 person_number(str id)
{
    i64 n;
    return str_starts(id, S("p_")) && str_to_i64(str_from(id, 2), &n) && n > 0 && n <= UINT32_MAX
               ? (u32)n
               : 0;
}

/* A person by our own number: by all that leads to them. */
static void add_identifiers_of(struct call *call, struct asked *asked, struct identifier *list, u32 id)
{
    struct link links[EVENT_IDENTIFIERS_MAX];
    const struct identity *identity = call->api->live->identity;
    isize n = identity_identifiers(identity, identity_person(identity, id), links, countof(links));
    for (isize i = 0; i < n; i++)
        add_identifier(asked, list, links[i].identifier.kind, links[i].identifier.value, true);
}

/* {"user_id", "user_hash", "anonymous_id", "email", …}: with a secret key all are believed. */
static void read_person(struct call *call, struct asked *asked, const struct json *person,
                        const struct source *source)
{
    struct identifier *list = arena_new(call->a, struct identifier, EVENT_IDENTIFIERS_MAX);
    str hash = json_str(json_get(person, S("user_hash")), S(""));
    asked->request.identifiers = list;
    u32 id = call->secret ? person_number(json_str(json_get(person, S("person_id")), S(""))) : 0;
    if (id) add_identifiers_of(call, asked, list, id);
    json_each(field, person) {
        u8 kind;
        if (!identifier_kind_of(field->key, &kind)) continue;
        str value = ingest_identifier(call->a, kind, json_text(call->a, field));
        bool verified = call->secret || (kind == IDENTIFIER_USER_ID && verify_user(source, value, hash));
        add_identifier(asked, list, kind, value, verified);
    }
}

static enum err read_now(struct call *call, struct decide_request *r)
{
    const struct json *now = json_get(r->context, S("now"));
    i64 present = clock_now(call->api->clock);
    r->now_ms = present;
    if (!now || !call->secret) return ERR_OK;
    i64 at = json_int(now, 0);
    if (at == 0 && !time_parse(json_str(now, S("")), &at)) return ERR_BAD_INPUT;
    r->now_ms = at;
    r->as_of = at < present - MINUTE_MS || at > present + MINUTE_MS;
    return ERR_OK;
}

static str context_text(struct call *call, const struct json *context, const char *name)
{
    return json_text(call->a, json_get(context, str_of(name)));
}

enum err ask_read(struct call *call, struct asked *asked, struct diag *diag)
{
    const struct json *body = call->body;
    struct decide_request *r = &asked->request;
    r->context = json_get(body, S("context"));
    r->placements_n = strings(call, json_get(body, S("placements")), &r->placements);
    r->exclude_n = strings(call, json_get(body, S("exclude")), &r->exclude);
    r->cart_n = strings(call, json_get(r->context, S("cart")), &r->cart);
    r->product = context_text(call, r->context, "product");
    r->market = context_text(call, r->context, "market");
    r->locale = context_text(call, r->context, "locale");
    r->channel = context_text(call, r->context, "channel");
    r->device = context_text(call, r->context, "device");
    r->store = context_text(call, r->context, "store");
    r->country = context_text(call, r->context, "country");
    r->preview = context_text(call, r->context, "preview");
    r->limit = json_int(json_get(body, S("limit")), 0);
    r->exposed = json_bool(json_get(body, S("exposed")), false);
    r->record = json_bool(json_get(body, S("record")), true);
    r->explain = json_bool(json_get(body, S("explain")), false);
    r->secret = call->secret;
    r->decision_seed = next_seed(call->api);
    (void)ingest_consent(r->context, &r->consent_granted, &r->consent_denied);
    if (str_eq(header_of(call, S("sec-gpc")), S("1"))) r->consent_denied |= 1 << PURPOSE_ADS_SHARING;
    if (read_now(call, r))
        return diag_set(diag, ERR_BAD_INPUT,
                        "context.now is no time: use RFC 3339 or epoch milliseconds");
    if (r->as_of) r->record = false;                    /* another instant is a question, not a decision */
    if (r->placements_n > PLACEMENTS_PER_CALL_MAX)
        return diag_set(diag, ERR_TOO_BIG, "at most %d placements in one call, these are %lld",
                        PLACEMENTS_PER_CALL_MAX, (long long)r->placements_n);
    return ERR_OK;
}

/* Inside the bracket: what points into the book. A console session decides as the first source there is. */
void ask_bind(struct call *call, struct asked *asked, const struct book *book)
{
    asked->request.source = book_source(book, call->source_key);
    if (!asked->request.source && book->sources_n) asked->request.source = &book->sources[0];
    read_person(call, asked, json_get(call->body, S("person")), asked->request.source);
}

void log_decisions(struct call *call, const struct decision *decisions, isize n)
{
    struct entry *entries = arena_new(call->a, struct entry, n);
    isize count = 0;
    for (isize i = 0; i < n; i++) {
        if (!decisions[i].recorded || !decisions[i].placed) continue;
        struct buf bytes = { .arena = call->a };
        decision_encode(&decisions[i], &bytes);
        entries[count++] = (struct entry){ ENTRY_DECISION, buf_str(&bytes) };
    }
    if (count == 0) return;
    struct append append = { .entries = entries, .entries_n = count };
    err_ignore(fold_submit(call->api->fold, &append), "a decision is not refused because its record is");
}

/* `found` is who was decided for, already read; they may not be the one whom the first identifier
 * leads to. */
static void print_person(struct call *call, const struct decide_world *world,
                         const struct asked *asked, const struct profile *found)
{
    if (!call->secret) return;
    person_id person = { 0 };
    for (isize i = 0; i < asked->request.identifiers_n && !person.v; i++)
        person = identity_find(world->identity, asked->request.identifiers[i]);
    const struct profile *p =
        found && found->id.v == person.v ? found : people_get(world->people, person, call->a);
    if (!p) return;
    struct buf name = { .arena = call->a };
    buf_add(&name, S("p_"));
    buf_int(&name, person.v);
    jsonw_key_str(&call->w, "person_id", buf_str(&name));
    jsonw_key_begin(&call->w, "segments", '[');
    const struct segment_set *set = world->book->segments;
    bool in[SEGMENTS_MAX] = { false };
    if (asked->request.as_of) {                         /* of another instant: worked out from the history */
        struct rule_facts then = decide_facts(world, &asked->request, call->a);
        for (isize i = 0; i < set->n; i++)
            in[set->at[i].id.v] = then.in_segment(then.segment_ctx, set->at[i].id) == TRI_TRUE;
    } else {
        people_read_on(p, call->a);
        for (isize i = 0; i < p->memberships_n; i++) {
            const struct membership *m = &p->memberships[i];
            if (m->segment < SEGMENTS_MAX)
                in[m->segment] = segment_stands(set, world->catalog, p, m, asked->request.now_ms);
        }
    }
    for (isize i = 0; i < set->n; i++)
        if (in[set->at[i].id.v]) jsonw_str(&call->w, set->at[i].key);
    jsonw_end(&call->w, ']');
}

/* Writes the answer and hands the decisions to the log. */
static void decide_answer(struct call *call)
{
    struct asked *asked = call->own;
    isize n = asked->request.placements_n;
    struct decision *decisions = arena_new(call->a, struct decision, n);
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    asked->request.identifiers_n = 0;
    ask_bind(call, asked, world.book);
    const struct profile *found = decide(&world, &asked->request, call->a, decisions);
    jsonw_begin(&call->w, '{');
    jsonw_key(&call->w, S("decisions"));
    decide_print(&world, &asked->request, decisions, n, call->a, &call->w);
    const struct json *flags = json_get(call->body, S("flags"));
    if (flags) print_decide_flags(call, &world, &asked->request, flags);
    print_person(call, &world, asked, found);
    jsonw_end(&call->w, '}');
    rcu_read_end();
    log_decisions(call, decisions, n);
}

static void decide_now(struct call *call)
{
    decide_answer(call);
    reply_json(call);
}

enum err api_decide(const struct api_inside *inside, const struct json *body, i64 at_ms, arena *a,
                    struct buf *out, struct diag *diag)
{
    struct api api;
    struct call call;
    struct asked asked = { 0 };
    struct api_taken taken;
    const struct json *events = json_get(body, S("events"));
    call_inside(inside, body, a, &api, &call);
    call.own = &asked;
    enum err err = json_len(events) ? api_collect(inside, events, a, &taken, diag) : ERR_OK;
    if (!err) err = ask_read(&call, &asked, diag);
    if (err) return err;
    if (at_ms) {
        asked.request.now_ms = at_ms;
        asked.request.as_of = true;
        asked.request.record = json_bool(json_get(body, S("record")), true);
    }
    decide_answer(&call);
    buf_add(out, buf_str(&call.out));
    return ERR_OK;
}

void decide_post(struct call *call)
{
    struct diag diag = { .arena = call->a };
    struct asked *asked = arena_new(call->a, struct asked, 1);
    call->own = asked;
    if (!call->body) {
        reply_problem(call, ERR_BAD_INPUT, "expected {\"person\": …, \"placements\": […]}");
        return;
    }
    enum err err = ask_read(call, asked, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    const struct json *events = json_get(call->body, S("events"));
    if (json_len(events) == 0 || call->source_key.len == 0) { decide_now(call); return; }
    err = collect_events(call, S(""), events, &asked->collected, &diag);
    if (err) { reply_problem(call, err, "events: %.*s", STR_FMT(diag.what)); return; }
    if (asked->collected.entries_n == 0) decide_now(call);
    else submit_then(call, asked->collected.entries, asked->collected.entries_n, decide_now);
}

/* ---- tickets that come back by themselves ---------------------------------------------------- */

/* A ticket proves that we answered; who opens it is not said: it counts for whoever it was decided
 * for, while that is still known. */
static void ticket_event(struct call *call, u16 type, const struct ticket *t)
{
    rcu_read_begin();
    const struct decide_world world = live_world(call->api->live);
    str source = world.book->sources_n ? arena_str(call->a, world.book->sources[0].key) : S("ticket");
    rcu_read_end();
    struct event e = { .type = type,
                       .name = str_of(event_type_name(type)),
                       .source = source,
                       .ticket = call->params[0],
                       .at_ms = clock_now(call->api->clock),
                       .channel = CHANNEL_EMAIL,
                       .key = arena_printf(call->a, "ticket-%016llx-%u-%u",
                                           (unsigned long long)t->decision_key, type, t->item) };
    struct buf bytes = { .arena = call->a };
    event_encode(&e, &bytes);
    struct entry entry = { ENTRY_EVENT, buf_str(&bytes) };
    struct append append = { .entries = &entry, .entries_n = 1 };
    err_ignore(fold_submit(call->api->fold, &append), "a pixel is answered whatever becomes of its record");
}

void ticket_seen(struct call *call)
{
    struct ticket t;
    if (ticket_read(call->api->live->secret, call->params[0], &t))
        ticket_event(call, EVENT_DECISION_VIEWED, &t);
    reply_gif(call);
}

static str destination(struct call *call, const struct ticket *t)
{
    str url = S("/");
    rcu_read_begin();
    const struct item *item = catalog_item(call->api->live->catalog, (item_id){ t->item });
    if (item && item->url.len) url = arena_str(call->a, item->url);
    rcu_read_end();
    return url;
}

void ticket_clicked(struct call *call)
{
    struct ticket t;
    if (!ticket_read(call->api->live->secret, call->params[0], &t)) {
        reply_problem(call, ERR_NOT_FOUND, "this ticket is not one of ours");
        return;
    }
    ticket_event(call, EVENT_DECISION_CLICKED, &t);
    struct http_header extra[] = { { S("Location"), destination(call, &t) },
                                   { S("Cache-Control"), S("private, no-store") } };
    http_reply(call->req, 302, S(""), S(""), extra, countof(extra));
}
