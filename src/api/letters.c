/* SPDX-License-Identifier: Apache-2.0
 *
 * letters.c - dead letters: look for them, mend them, send them in again, one or many.
 *
 * A replay is a call like the one the letter came in by, through the same gate and the same checks,
 * and believed as much. What an editor has written is the editor's word: identities in it are
 * believed. With "accept" the checks of the source are passed over too: somebody looked, and takes
 * it.
 */
#include "api/admin.h"

enum { REPLAY_MOST = 1000, REASONS_SHOWN = 20 };

static str letter_id(struct call *call, u64 ref)
{
    return arena_printf(call->a, "dl_%llu", (unsigned long long)ref);
}

static bool id_read(str id, u64 *ref)
{
    i64 n;
    bool named = str_starts(id, S("dl_")) && str_to_i64(str_from(id, 3), &n) && n > 0;
    if (named) *ref = (u64)n;
    return named;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void print_letter(struct call *call, const struct dead_letter *letter)
{
    struct jsonw *w = &call->w;
    const struct json *event;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", letter_id(call, letter->ref));
    jsonw_key_time(w, "at", letter->at_ms);
    jsonw_key_str(w, "source", letter->source);
    jsonw_key_str(w, "reason", letter->reason);
    if (letter->replayed) jsonw_key_bool(w, "replayed", true);
    jsonw_key(w, S("event"));
    if (letter->raw.len == 0) jsonw_str(w, S("(not kept: there was no consent to)"));
    else if (json_parse(call->a, letter->raw, &event, NULL) == ERR_OK) jsonw_value(w, event);
    else jsonw_str(w, letter->raw);
    jsonw_end(w, '}');
}

static bool read_since(struct call *call, str text, i64 *at_ms)
{
    *at_ms = 0;
    if (text.len == 0 || time_parse(text, at_ms)) return true;
    call_fail(call, ERR_BAD_INPUT, "since is no time: expected RFC 3339 or epoch milliseconds");
    return false;
}

static void list_letters(struct call *call)
{
    struct letter_query q = { .source = http_query(call->req, S("source"), S("")),
                              .reason = http_query(call->req, S("reason"), S("")),
                              .text = http_query(call->req, S("q"), S("")),
                              .limit = query_limit(call, 50, 1000),
                              .which =
                                  str_eq(http_query(call->req, S("replayed"), S("")), S("true"))
                                      ? LETTERS_TAKEN
                                      : LETTERS_OPEN };
    struct letter_page page;
    struct diag diag = { .arena = call->a };
    struct jsonw *w = &call->w;
    str before = http_query(call->req, S("before"), S(""));
    if (!read_since(call, http_query(call->req, S("since"), S("")), &q.since_ms)) return;
    if (before.len && !id_read(before, &q.before)) {
        call_fail(call, ERR_BAD_INPUT, "before is a letter's id");
        return;
    }
    enum err err = fold_letters(call->api->fold, &q, call->a, &page, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "dead_letters", '[');
    for (isize i = 0; i < page.n; i++) print_letter(call, &page.at[i]);
    jsonw_end(w, ']');
    jsonw_key_int(w, "total", page.total);
    jsonw_key_begin(w, "groups", '[');
    for (isize i = 0; i < page.groups_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "source", page.groups[i].source);
        jsonw_key_str(w, "reason", page.groups[i].reason);
        jsonw_key_int(w, "count", page.groups[i].n);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key(w, S("next"));
    if (page.total > page.n && page.n) jsonw_str(w, letter_id(call, page.at[page.n - 1].ref));
    else jsonw_null(w);
    jsonw_end(w, '}');
}

/* ?source= ?reason= (words of it) ?q= (words anywhere in it) ?since= ?before= (the last page's
 * next) ?replayed=true ?limit= */
void dead_letters_get(struct call *call) { ask_jobs(call, list_letters); }

/* ---- sending in again ------------------------------------------------------------------------ */

/* A call to /v1/track had its type in the path. */
static str type_of(const struct json *event)
{
    if (json_get(event, S("type")) || json_get(event, S("batch"))) return S("");
    return json_get(event, S("event"))    ? S("track")
           : json_get(event, S("traits")) ? S("identify")
                                          : S("page");
}

struct replayed { isize accepted, no_consent; };

static enum err take_letter(struct call *call, const struct dead_letter *letter, const struct collected *c)
{
    struct buf mark = { .arena = call->a };
    struct entry *entries = arena_new(call->a, struct entry, c->entries_n + 1);
    struct dead_letter taken = { .source = letter->source, .reason = call->author, .replayed = true,
                                 .raw = arena_printf(call->a, "%llu", (unsigned long long)letter->ref) };
    dead_letter_encode(&taken, &mark);
    if (c->entries_n) memcpy(entries, c->entries, (size_t)c->entries_n * sizeof *entries);
    entries[c->entries_n] = (struct entry){ ENTRY_DEAD, buf_str(&mark) };
    return fold_submit_wait(call->api->fold, entries, c->entries_n + 1, NULL);
}

struct whether { str source, key; bool known; };

static void ask_order(void *ctx, struct fold *fold)
{
    struct whether *w = ctx;
    w->known = fold_order_known(fold, w->source, w->key);
}

/* A line of a file. Of an order whose other lines were taken it cannot come alone: it would stand
 * for the whole. */
static enum err replay_row(struct call *call, const struct dead_letter *letter, str kind,
                           const struct json *row, struct replayed *out, struct diag *diag)
{
    struct buf text = { .arena = call->a };
    struct jsonw w = { .out = &text };
    struct collected none = { 0 };
    struct whether order = { letter->source, json_text(call->a, json_get(row, S("order_key"))), false };
    i64 accepted = 0;
    if (str_eq(kind, S("orders"))) fold_ask_wait(call->api->fold, ask_order, &order);
    if (order.known)
        return diag_set(
            diag, ERR_REFUSED,
            "the order %.*s has other lines: import its file again, mended; what was taken changes nothing",
            STR_FMT(order.key));
    jsonw_value(&w, row);
    enum err err = import_again(call->api, letter->source, kind, buf_str(&text), call->author,
                                &accepted, diag);
    if (err) return err == ERR_BAD_INPUT ? ERR_REFUSED : err;
    out->accepted += (isize)accepted;
    return take_letter(call, letter, &none) ? diag_set(diag, ERR_DISK, "the log could not take it") : ERR_OK;
}

/* `mended`: null, or what stands in the letter's place. */
static enum err replay(struct call *call, const struct dead_letter *letter,
                       const struct json *mended, bool accept, struct replayed *out,
                       struct diag *diag)
{
    const struct json *event = mended;
    struct collected *c = arena_new(call->a, struct collected, 1);
    if (letter->replayed) return diag_set(diag, ERR_CONFLICT, "it was taken already");
    if (!event && letter->raw.len == 0)
        return diag_set(diag, ERR_REFUSED, "nothing of it was kept: there was no consent to");
    enum err err = event ? ERR_OK : json_parse(call->a, letter->raw, &event, diag);
    if (err) return ERR_REFUSED;
    str kind;
    const struct json *row;
    if (import_row(event, &kind, &row)) return replay_row(call, letter, kind, row, out, diag);
    /* A call of its own: what this request's headers say is of the person at the console. */
    struct call own = { .api = call->api,
                        .a = call->a,
                        .source_key = letter->source,
                        .accepts = accept,
                        .strict = !accept,
                        .secret = mended || letter->verified };
    err = collect_events(&own, type_of(event), event, c, diag);
    if (err) return err == ERR_BAD_INPUT ? ERR_REFUSED : err;
    if (c->refused) return diag_set(diag, ERR_REFUSED, "%.*s", STR_FMT(c->reasons[0].reason));
    if (take_letter(call, letter, c)) return diag_set(diag, ERR_DISK, "the log could not take it");
    out->accepted += c->accepted;
    out->no_consent += c->no_consent;
    return ERR_OK;
}

static void replay_one(struct call *call)
{
    struct letter_query q = { .limit = 1, .which = LETTERS_ALL };
    struct letter_page page;
    struct replayed outcome = { 0 };
    struct diag diag = { .arena = call->a };
    bool named = id_read(call->params[0], &q.ref);
    enum err err = named ? fold_letters(call->api->fold, &q, call->a, &page, &diag) : ERR_OK;
    if (!err && (!named || page.n == 0))
        err = diag_set(&diag, ERR_NOT_FOUND, "there is no dead letter \"%.*s\"",
                       STR_FMT(call->params[0]));
    if (!err)
        err = replay(call, &page.at[0], json_get(call->body, S("event")),
                     json_bool(json_get(call->body, S("accept")), false), &outcome, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, "replay", call->params[0]);
    jsonw_begin(&call->w, '{');
    jsonw_key_int(&call->w, "accepted", outcome.accepted);
    jsonw_key_int(&call->w, "no_consent", outcome.no_consent);
    jsonw_end(&call->w, '}');
}

/* As it lies there, or mended: {"event": …}; {"accept": true} passes over the source's checks. */
void dead_letter_replay(struct call *call) { ask_jobs(call, replay_one); }

/* ---- many ------------------------------------------------------------------------------------ */

/* The letter with each of {"properties.currency": "EUR"} put in; what is not there is made. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the JSON parser let it be
static void print_set(struct jsonw *w, const struct json *v, const struct json *set, str path, arena *a)
{
    jsonw_begin(w, '{');
    json_each(field, v) {
        str at = path.len ? arena_printf(a, "%.*s.%.*s", STR_FMT(path), STR_FMT(field->key)) : field->key;
        const struct json *to = json_get(set, at);
        bool inside = false;
        json_each (one, set)
            inside |=
                one->key.len > at.len && str_starts(one->key, at) && one->key.ptr[at.len] == '.';
        jsonw_key(w, field->key);
        if (to) jsonw_value(w, to);
        else if (inside && field->kind == JSON_OBJ) print_set(w, field, set, at, a);
        else jsonw_value(w, field);
    }
    json_each(one, set) {                               /* new fields of this very object */
        bool here = path.len ? str_starts(one->key, path) && one->key.len > path.len + 1
                                   && one->key.ptr[path.len] == '.'
                             : true;
        str name = here && path.len ? str_from(one->key, path.len + 1) : one->key;
        if (!here || str_find_char(name, '.') >= 0 || json_get(v, name)) continue;
        jsonw_key(w, name);
        jsonw_value(w, one);
    }
    jsonw_end(w, '}');
}

static enum err mend(struct call *call, const struct dead_letter *letter, const struct json *set,
                     const struct json **out, struct diag *diag)
{
    const struct json *event;
    struct buf text = { .arena = call->a };
    struct jsonw w = { .out = &text };
    *out = NULL;
    if (!set) return ERR_OK;
    if (json_parse(call->a, letter->raw, &event, NULL) || event->kind != JSON_OBJ)
        return diag_set(diag, ERR_REFUSED, "it is no object, so nothing can be set in it");
    print_set(&w, event, set, S(""), call->a);
    return json_parse(call->a, buf_str(&text), out, diag);
}

static void replay_many(struct call *call)
{
    const struct json *body = call->body, *set = json_get(body, S("set")), *ids = json_get(body, S("ids"));
    struct letter_query q = { .source = body_text(call, "source"),
                              .reason = body_text(call, "reason"),
                              .text = body_text(call, "q"),
                              .limit = (isize)max_i64(
                                  1, min_i64(json_int(json_get(body, S("limit")), REPLAY_MOST),
                                             REPLAY_MOST)) };
    struct letter_page page;
    struct replayed outcome = { 0 };
    struct jsonw *w = &call->w;
    isize taken = 0, refused = 0;
    if (!read_since(call, body_text(call, "since"), &q.since_ms)) return;
    if (set && set->kind != JSON_OBJ) {
        call_fail(call, ERR_BAD_INPUT, "set is an object: {\"properties.currency\": \"EUR\"}");
        return;
    }
    struct diag diag = { .arena = call->a };
    enum err err = fold_letters(call->api->fold, &q, call->a, &page, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "refusals", '[');
    for (isize i = page.n - 1; i >= 0; i--) {           /* oldest first, as they came */
        const struct dead_letter *letter = &page.at[i];
        const struct json *mended = NULL;
        bool wanted = !ids;
        str id = letter_id(call, letter->ref);
        json_each(one, ids) wanted |= str_eq(json_str(one, S("")), id);
        if (!wanted) continue;
        err = mend(call, letter, set, &mended, &diag);
        if (!err)
            err = replay(call, letter, mended, json_bool(json_get(body, S("accept")), false),
                         &outcome, &diag);
        taken += !err;
        refused += err != ERR_OK;
        if (!err || refused > REASONS_SHOWN) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", id);
        jsonw_key_str(w, "reason", diag.what);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "replayed", taken);
    jsonw_key_int(w, "refused", refused);
    jsonw_key_int(w, "accepted", outcome.accepted);
    jsonw_key_int(w, "no_consent", outcome.no_consent);
    jsonw_key_int(w, "left", page.total - taken);
    jsonw_end(w, '}');
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, "replay",
              arena_printf(call->a, "%td letters%s%.*s", taken, q.source.len ? " of " : "",
                           STR_FMT(q.source)));
}

/* {"source", "reason", "q", "since", "ids": […], "set": {path: value}, "accept", "limit"}: the newest `limit` of those that match. */
void dead_letters_replay(struct call *call) { ask_jobs(call, replay_many); }
