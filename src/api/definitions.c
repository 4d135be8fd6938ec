/* SPDX-License-Identifier: Apache-2.0
 *
 * definitions.c - drafts, publishing that may be refused, pausing, revisions and their
 * differences; the audit.
 *
 * A step is tried on the fold's thread against all that is published, then appended, and answered
 * once it is folded: from then on it holds. All steps go through the one jobs thread, so nothing
 * changes between the trial and the step.
 *
 * Accounts, keys and the data folder's secrets are definitions too, and are not shown here. Secrets
 * within a document are not shown either (definition.h).
 */
#include <stdlib.h>

#include "api/admin.h"

str definition_state(const struct definition *def)
{
    return def->archived ? S("archived") : def->published ? S("published") : S("draft");
}

/* ---- a step --------------------------------------------------------------------------------- */

struct steps {
    struct call *call;
    const struct definition_change *changes;
    isize n;
    u32 expected;
    enum err err;
    struct definition_errors errors;
    struct diag diag;
};

/* Rules are compiled against the names that stand, so of a segment that leaves it is asked who
 * names it. */
static bool names_segment(const struct rule *rule, u16 segment)
{
    segment_id named[64];
    isize n = rule ? rule_segments(rule, named, countof(named)) : 0;
    for (isize i = 0; i < n; i++)
        if (named[i].v == segment) return true;
    return false;
}

static void needs(struct steps *s, const char *kind, str key)
{
    str message = arena_printf(s->diag.arena, "%s \"%.*s\" refers to it", kind, STR_FMT(key));
    if (s->errors.n < countof(s->errors.at))
        s->errors.at[s->errors.n++] = (struct definition_error){
            .kind = str_of(kind), .key = arena_str(s->diag.arena, key), .message = message
        };
}

static void who_names_segment(struct steps *s, const struct book *book, u16 number)
{
    for (isize i = 0; i < book->segments->n; i++)
        if (names_segment(book->segments->at[i].rule, number))
            needs(s, "segment", book->segments->at[i].key);
    for (isize i = 0; i < book->campaigns_n; i++)
        for (isize k = 0; k < book->campaigns[i].experiences_n; k++)
            if (names_segment(book->campaigns[i].experiences[k].target, number))
                needs(s, "campaign", book->campaigns[i].key);
    for (isize i = 0; i < book->strategies_n; i++) {
        bool names = names_segment(book->strategies[i].filter, number);
        for (isize k = 0; k < book->strategies[i].boosts_n; k++)
            names |= names_segment(book->strategies[i].boosts[k].rule, number);
        if (names) needs(s, "strategy", book->strategies[i].key);
    }
}

/* Does what refers to it still compile without it? "null" is a document that is none. */
static void try_leaving(struct steps *s, struct fold *fold, const struct definition *def)
{
    struct definition_change gone = s->changes[0];
    struct definition_errors errors = { 0 };
    if (str_eq(def->kind, S("segment"))) {
        who_names_segment(s, atomic_load(&fold_live(fold)->book), def->number);
    } else {
        gone.document = S("null");
        err_ignore(fold_try(fold, &gone, &errors, s->diag.arena), "that it is missing itself is meant");
    }
    for (isize i = 0; i < errors.n; i++) {
        bool own = str_eq(errors.at[i].kind, gone.kind) && str_eq(errors.at[i].key, gone.key);
        if (!own && s->errors.n < countof(s->errors.at)) s->errors.at[s->errors.n++] = errors.at[i];
    }
    if (s->errors.n) s->err = ERR_REFUSED;
}

static void try_steps(void *ctx, struct fold *fold)
{
    struct steps *s = ctx;
    const struct definitions *definitions = fold_definitions(fold);
    bool drafts = s->changes[0].op == DEFINITION_DRAFT;
    for (isize i = 0; i < s->n && !s->err; i++) {
        const struct definition_change *c = &s->changes[i];
        if (i > 0 && drafts) break;                     /* the draft before it is not there yet */
        s->err = definition_check(definitions, c, s->expected, &s->diag);
        const struct definition *def = definition_find(definitions, c->kind, c->key);
        if (!s->err && c->op == DEFINITION_PUBLISH) s->err = fold_try(fold, c, &s->errors, s->diag.arena);
        if (!s->err && c->op == DEFINITION_ARCHIVE && definition_published(def).len)
            try_leaving(s, fold, def);
    }
}

static void print_refusal(struct call *call, const struct steps *s)
{
    struct jsonw *w = &call->w;
    call->status = err_http(ERR_REFUSED);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "type", S("/problems/refused"));
    jsonw_key_str(w, "title", str_of(err_title(ERR_REFUSED)));
    jsonw_key_int(w, "status", call->status);
    jsonw_key_str(w, "detail", s->errors.n ? s->errors.at[0].message : s->diag.what);
    jsonw_key_begin(w, "errors", '[');
    for (isize i = 0; i < s->errors.n; i++) {
        const struct definition_error *e = &s->errors.at[i];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "kind", e->kind);
        jsonw_key_str(w, "key", e->key);
        jsonw_key_str(w, "path", e->path);
        jsonw_key_str(w, "message", e->message);
        if (e->column) jsonw_key_int(w, "column", e->column);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static enum err take_steps(struct fold *fold, const struct definition_change *changes, isize n, arena *a)
{
    struct entry *entries = arena_new(a, struct entry, n);
    for (isize i = 0; i < n; i++) {
        struct buf bytes = { .arena = a };
        definition_change_encode(&changes[i], &bytes);
        entries[i] = (struct entry){ ENTRY_DEFINITION, buf_str(&bytes) };
    }
    return fold_submit_wait(fold, entries, n, NULL);
}

static u32 if_match(struct call *call)
{
    str said = http_header(call->req, S("if-match"));
    i64 revision;
    if (said.len >= 2 && said.ptr[0] == '"') said = str_slice(said, 1, said.len - 1);
    return str_to_i64(said, &revision) && revision > 0 ? (u32)min_i64(revision, UINT32_MAX) : 0;
}

static const char *const op_names[] = { "draft", "publish", "pause", "resume", "archive" };

bool define(struct call *call, const struct definition_change *changes, isize n)
{
    struct steps s = { .call = call,
                       .changes = changes,
                       .n = n,
                       .expected = if_match(call),
                       .diag = { .arena = call->a } };
    fold_ask_wait(call->api->fold, try_steps, &s);
    if (s.err == ERR_REFUSED && s.errors.n) { print_refusal(call, &s); return false; }
    if (!s.err && take_steps(call->api->fold, changes, n, call->a)) {
        s.err = ERR_DISK;
        s.diag.what = S("the log could not take it; nothing changed");
    }
    if (s.err) { call_fail(call, s.err, "%.*s", STR_FMT(s.diag.what)); return false; }
    for (isize i = 0; i < n; i++) {
        if (changes[i].op == DEFINITION_DRAFT) continue;            /* its revision says so itself */
        note_deed(call->api->admin, clock_now(call->api->clock), call->author, op_names[changes[i].op],
                  arena_printf(call->a, "%.*s/%.*s", STR_FMT(changes[i].kind), STR_FMT(changes[i].key)));
    }
    return true;
}

enum err api_define(struct fold *fold, str kind, str key, str document, str author, struct diag *diag)
{
    arena a = { 0 };
    struct definition_change draft = {
        .op = DEFINITION_DRAFT, .kind = kind, .key = key, .document = document, .author = author
    };
    struct definition_change publish = {
        .op = DEFINITION_PUBLISH, .kind = kind, .key = key, .author = author
    };
    struct steps first = { .changes = &draft, .n = 1, .diag = { .arena = &a } },
                 then = { .changes = &publish, .n = 1, .diag = { .arena = &a } };
    struct steps *at = &first;
    fold_ask_wait(fold, try_steps, at);
    enum err err = at->err ? at->err : take_steps(fold, &draft, 1, &a);
    if (!err) {
        at = &then;
        fold_ask_wait(fold, try_steps, at);
        err = at->err ? at->err : take_steps(fold, &publish, 1, &a);
    }
    if (err && at->errors.n) {
        const struct definition_error *e = &at->errors.at[0];
        err =
            diag_set(diag, err, "%.*s/%.*s %.*s: %.*s (column %lld)", STR_FMT(e->kind),
                     STR_FMT(e->key), STR_FMT(e->path), STR_FMT(e->message), (long long)e->column);
    } else if (err) {
        err = diag_set(diag, err, "%.*s", STR_FMT(at->diag.what));
    }
    arena_fini(&a);
    return err;
}

/* ---- showing -------------------------------------------------------------------------------- */

static void print_document(struct call *call, str text)
{
    const struct json *doc;
    if (text.len == 0 || json_parse(call->a, text, &doc, NULL)) { jsonw_null(&call->w); return; }
    if (!json_is(doc, JSON_OBJ)) { jsonw_value(&call->w, doc); return; }
    definition_print(doc, &call->w);
}

void print_definition(struct call *call, const struct definition *def)
{
    struct jsonw *w = &call->w;
    u32 latest = (u32)def->revisions_n;
    str standing = def->published ? def->revisions[def->published - 1].document : definition_latest(def);
    const struct json *doc = NULL;
    if (json_parse(call->a, definition_latest(def), &doc, NULL)) doc = NULL;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "id", def->id);
    jsonw_key_str(w, "kind", def->kind);
    jsonw_key_str(w, "key", def->key);
    jsonw_key_str(w, "title", json_str(json_get(doc, S("title")), def->key));
    jsonw_key_str(w, "state", definition_state(def));
    jsonw_key_bool(w, "paused", def->paused);
    jsonw_key_int(w, "revision", latest);
    if (def->published) jsonw_key_int(w, "published_revision", def->published);
    jsonw_key_str(w, "owner",
                  json_str(json_get(doc, S("owner")), latest ? def->revisions[0].author : S("")));
    jsonw_key_time(w, "updated_at", def->changed_at_ms);
    jsonw_key(w, S("document"));
    print_document(call, standing);
    if (def->published && def->published != latest) {
        jsonw_key(w, S("draft"));
        print_document(call, definition_latest(def));
    }
    jsonw_end(w, '}');
}

static void print_all(struct call *call, struct fold *fold)
{
    str kind = http_query(call->req, S("kind"), S(""));
    bool archived = str_eq(http_query(call->req, S("archived"), S("")), S("true"));
    const struct definition *def;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "definitions", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), kind, &at));)
        if (!definition_is_hidden(def->kind, def->key) && (archived || !def->archived))
            print_definition(call, def);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void definitions_get(struct call *call) { ask_fold(call, print_all); }

static const struct definition *named(struct call *call, struct fold *fold)
{
    const struct definition *def =
        definition_is_hidden(call->params[0], call->params[1])
            ? NULL
            : definition_find(fold_definitions(fold), call->params[0], call->params[1]);
    if (!def)
        call_fail(call, ERR_NOT_FOUND, "there is no %.*s \"%.*s\"", STR_FMT(call->params[0]),
                  STR_FMT(call->params[1]));
    return def;
}

static void print_one(struct call *call, struct fold *fold)
{
    const struct definition *def = named(call, fold);
    if (def) print_definition(call, def);
}

void definition_get(struct call *call) { ask_fold(call, print_one); }

static void print_revisions(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    const struct definition *def = named(call, fold);
    if (!def) return;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "revisions", '[');
    for (isize i = def->revisions_n - 1; i >= 0; i--) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "revision", i + 1);
        jsonw_key_time(w, "at", def->revisions[i].at_ms);
        jsonw_key_str(w, "by", def->revisions[i].author);
        jsonw_key_str(w, "state", def->published == (u32)i + 1 ? S("published") : S("draft"));
        jsonw_key(w, S("document"));
        print_document(call, def->revisions[i].document);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void definition_revisions(struct call *call) { ask_fold(call, print_revisions); }

/* ---- differences: lines of the documents as they are read ----------------------------------- */

static void print_diff(struct call *call, struct fold *fold)
{
    const struct definition *def = named(call, fold);
    i64 from = 0, to = 0;
    if (!def) return;
    if (!str_to_i64(http_query(call->req, S("from"), S("")), &from)) from = def->published;
    if (!str_to_i64(http_query(call->req, S("to"), S("")), &to)) to = def->revisions_n;
    if (from < 1 || to < 1 || from > def->revisions_n || to > def->revisions_n) {
        call_fail(call, ERR_NOT_FOUND, "%.*s has the revisions 1 to %lld", STR_FMT(def->key),
                  (long long)def->revisions_n);
        return;
    }
    const struct json *before = NULL, *after = NULL;
    struct diff_line *lines;
    err_ignore(json_parse(call->a, def->revisions[from - 1].document, &before, NULL),
               "what does not parse has no lines");
    err_ignore(json_parse(call->a, def->revisions[to - 1].document, &after, NULL), "likewise");
    isize n = definition_lines(call->a, before, after, &lines);
    jsonw_begin(&call->w, '{');
    jsonw_key_int(&call->w, "from", from);
    jsonw_key_int(&call->w, "to", to);
    jsonw_key_begin(&call->w, "lines", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "op", (str){ &lines[i].op, 1 });
        jsonw_key_str(&call->w, "text", lines[i].text);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void definition_diff(struct call *call) { ask_fold(call, print_diff); }

/* ---- beside files: what stands, and what they say -------------------------------------------- */

static const struct json *standing(arena *a, const struct definition *def)
{
    const struct json *doc = NULL;
    if (!def || definition_published(def).len == 0
        || json_parse(a, definition_published(def), &doc, NULL))
        return NULL;
    return definition_as_file(a, def->kind, def->key, doc);
}

/* What the file would publish: secrets that it keeps stand in it. */
static const struct json *meant(arena *a, str kind, str key, const struct json *doc,
                                const struct json *before)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    const struct json *parsed = NULL;
    definition_print_kept(definition_as_file(a, kind, key, doc), before, &w);
    err_ignore(json_parse(a, buf_str(&out), &parsed, NULL), "what was just printed parses");
    return parsed;
}

static str pretty(arena *a, const struct json *doc)
{
    struct buf out = { .arena = a };
    if (doc) json_pretty(doc, &out);
    return buf_str(&out);
}

static void print_compared(struct call *call, str kind, str key, const struct json *before,
                           const struct json *after)
{
    struct jsonw *w = &call->w;
    arena *a = call->a;
    struct diff_line *lines;
    bool same = before && after && str_eq(pretty(a, before), pretty(a, after));
    isize n = before && after && !same ? definition_lines(a, before, after, &lines) : 0;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "kind", kind);
    jsonw_key_str(w, "key", key);
    jsonw_key_str(w, "state", same ? S("same") : !before ? S("new") : !after ? S("absent") : S("differs"));
    jsonw_key_begin(w, "lines", '[');
    for (isize i = 0; i < n; i++) {
        if (lines[i].op == ' ') continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "op", (str){ &lines[i].op, 1 });
        jsonw_key_str(w, "text", lines[i].text);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static bool among_sent(const struct json *list, const struct definition *def)
{
    json_each(doc, list)
        if (str_eq(json_get_str(doc, "kind"), def->kind)
            && str_eq(json_get_str(doc, "key"), def->key))
            return true;
    return false;
}

static void print_comparison(struct call *call, struct fold *fold)
{
    const struct json *list = json_get(call->body, S("definitions"));
    const struct definition *def;
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "definitions", '[');
    json_each(doc, list) {
        str kind = json_get_str(doc, "kind"), key = json_get_str(doc, "key");
        const struct json *before = standing(call->a, definition_find(fold_definitions(fold), kind, key));
        print_compared(call, kind, key, before, meant(call->a, kind, key, doc, before));
    }
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S(""), &at));) {
        if (definition_published(def).len == 0 || definition_is_hidden(def->kind, def->key)
            || among_sent(list, def))
            continue;
        print_compared(call, def->kind, def->key, standing(call->a, def), NULL);
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

/* {"definitions": [documents]}: of each whether what is published says the same, and what is published and not among them. */
void definitions_compare(struct call *call)
{
    bool whole = json_is(json_get(call->body, S("definitions")), JSON_ARR);
    json_each(doc, json_get(call->body, S("definitions")))
        whole &= json_is(doc, JSON_OBJ)
                 && !definition_is_hidden(json_get_str(doc, "kind"), json_get_str(doc, "key"));
    if (whole) ask_fold(call, print_comparison);
    else reply_problem(call, ERR_BAD_INPUT, "expected {\"definitions\": [{\"kind\", \"key\", …}]}");
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Sources and settings say what may be kept of people, connectors what leaves: an admin's. */
static bool may_change(struct call *call)
{
    bool guarded = str_eq(call->params[0], S("source")) || str_eq(call->params[0], S("settings"))
                   || str_eq(call->params[0], S("connector"));
    if (definition_is_hidden(call->params[0], call->params[1])) {
        reply_problem(call, ERR_NOT_FOUND, "there is no kind \"%.*s\" to write here",
                      STR_FMT(call->params[0]));
        return false;
    }
    if (!guarded || call->who == WHO_ADMIN) return true;
    reply_problem(call, ERR_FORBIDDEN, "a %.*s is changed by an admin", STR_FMT(call->params[0]));
    return false;
}

static void find_before(struct call *call, struct fold *fold)
{
    const struct definition *def =
        definition_find(fold_definitions(fold), call->params[0], call->params[1]);
    const struct json **before = call->own;
    if (!def || json_parse(call->a, definition_latest(def), before, NULL)) *before = NULL;
}

static str document_of(struct call *call)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    const struct json *before = NULL;
    call->own = &before;
    on_fold(call, find_before);
    definition_print_kept(call->body, before, &w);
    return buf_str(&out);
}

static struct definition_change change_of(struct call *call, enum definition_op op)
{
    return (struct definition_change){
        .op = (u8)op, .kind = call->params[0], .key = call->params[1], .author = call->author
    };
}

static void change_and_show(struct call *call, struct definition_change change)
{
    if (define(call, &change, 1)) on_fold(call, print_one);
}

static void draft(struct call *call)
{
    struct definition_change change = change_of(call, DEFINITION_DRAFT);
    change.document = document_of(call);
    change_and_show(call, change);
}

void definition_put(struct call *call)
{
    str kind = body_text(call, "kind"), key = body_text(call, "key");
    if (!may_change(call)) return;
    if (!json_is(call->body, JSON_OBJ)) {
        reply_problem(call, ERR_BAD_INPUT, "expected the definition as a JSON object");
        return;
    }
    bool other = (kind.len && !str_eq(kind, call->params[0])) || (key.len && !str_eq(key, call->params[1]));
    if (other) {
        reply_problem(call, ERR_BAD_INPUT, "the document says %.*s/%.*s, the path says otherwise",
                      STR_FMT(kind), STR_FMT(key));
        return;
    }
    ask_jobs(call, draft);
}

static void publish(struct call *call) { change_and_show(call, change_of(call, DEFINITION_PUBLISH)); }
static void pause_it(struct call *call) { change_and_show(call, change_of(call, DEFINITION_PAUSE)); }
static void resume(struct call *call) { change_and_show(call, change_of(call, DEFINITION_RESUME)); }
static void archive(struct call *call) { change_and_show(call, change_of(call, DEFINITION_ARCHIVE)); }

static void rollback(struct call *call)
{
    struct definition_change change = change_of(call, DEFINITION_PUBLISH);
    change.revision = (u32)json_int(json_get(call->body, S("revision")), 0);
    change_and_show(call, change);
}

void definition_publish(struct call *call) { if (may_change(call)) ask_jobs(call, publish); }
void definition_pause(struct call *call) { if (may_change(call)) ask_jobs(call, pause_it); }
void definition_resume(struct call *call) { if (may_change(call)) ask_jobs(call, resume); }
void definition_archive(struct call *call) { if (may_change(call)) ask_jobs(call, archive); }

void definition_rollback(struct call *call)
{
    i64 revision = json_int(json_get(call->body, S("revision")), 0);
    if (!may_change(call)) return;
    if (revision < 1 || revision > REVISIONS_MAX) {
        reply_problem(call, ERR_BAD_INPUT, "expected {\"revision\": 1 …}");
        return;
    }
    ask_jobs(call, rollback);
}

/* Would this document compile? Nothing is kept. What is not drafted yet is tried as it would stand. */
static void validate(struct call *call, struct fold *fold)
{
    struct steps s = { .call = call, .diag = { .arena = call->a } };
    struct buf text = { .arena = call->a };
    struct jsonw w = { .out = &text };
    jsonw_value(&w, call->body);
    struct definition_change change = { .op = DEFINITION_PUBLISH,
                                        .kind = body_text(call, "kind"),
                                        .key = body_text(call, "key"),
                                        .document = buf_str(&text) };
    bool drafted = definition_find(fold_definitions(fold), change.kind, change.key) != NULL;
    if (!drafted) {
        call_fail(call, ERR_NOT_FOUND, "draft %.*s/%.*s first", STR_FMT(change.kind),
                  STR_FMT(change.key));
        return;
    }
    if (fold_try(fold, &change, &s.errors, call->a)) print_refusal(call, &s);
    else buf_add(&call->out, S("{\"ok\":true}"));
}

void definition_validate(struct call *call)
{
    if (definition_is_hidden(body_text(call, "kind"), body_text(call, "key")))
        reply_problem(call, ERR_BAD_INPUT, "expected a document with its kind and key");
    else ask_fold(call, validate);
}

/* ---- the audit: revisions (for ever), and steps and log-ins since the start ----------------- */

struct line { i64 at_ms; str who, what, object; };

static int newest_first(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    return (a->at_ms < b->at_ms) - (a->at_ms > b->at_ms);
}

static void print_audit(struct call *call, struct fold *fold)
{
    const struct deed *deeds;
    struct { struct line *at; isize n, cap; } lines = { 0 };
    isize deeds_n = deeds_of(call->api->admin, call->a, &deeds);
    const struct definition *def;
    for (isize i = 0; i < deeds_n; i++)
        vec_push(&lines, (struct line){ deeds[i].at_ms, str_of(deeds[i].who), str_of(deeds[i].what),
                                        str_of(deeds[i].object) });
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S(""), &at));) {
        str object = arena_printf(call->a, "%.*s/%.*s", STR_FMT(def->kind), STR_FMT(def->key));
        for (isize i = 0; i < def->revisions_n; i++) {
            bool new_key = str_eq(def->kind, S("key"));
            str what = new_key ? S("create_key") : i == 0 ? S("create") : S("edit");
            vec_push(&lines, (struct line){ def->revisions[i].at_ms, def->revisions[i].author, what,
                                            object });
        }
    }
    if (lines.n) qsort(lines.at, (size_t)lines.n, sizeof *lines.at, newest_first);
    isize n = min_isize(lines.n, query_limit(call, 100, 1000));
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "entries", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", lines.at[i].at_ms);
        jsonw_key_str(w, "who", lines.at[i].who);
        jsonw_key_str(w, "what", lines.at[i].what);
        jsonw_key_str(w, "object", lines.at[i].object);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "total", lines.n);
    jsonw_end(w, '}');
    vec_fini(&lines);
}

void audit_get(struct call *call) { ask_fold(call, print_audit); }
