/* SPDX-License-Identifier: Apache-2.0
 *
 * preferences.c - what shoppers say of themselves when asked: quizzes, and a page where they choose.
 *
 * A choice is the trait preferences.NAME, declared, and so before anything inferred. It is sent as
 * an identify event through the consent gate like any other. Of the names, category, brand, colour,
 * gender and price are what items are chosen by; any other is for the shop's own rules:
 * preferences.layout = "calm".
 *
 * Who asks is shown what their own identifiers may speak for, and nobody else's: a public key with
 * a claimed user id sees what this browser chose (decide_who).
 */
#include "api/inside.h"
#include "base/rcu.h"

enum {
    PREFERENCES_MAX = 32,
    PREFERENCE_VALUES_MAX = 32,
    PREFERENCE_NAME_BYTES_MAX = 40,
    PREFERENCE_TEXT_BYTES_MAX = 200
};

void quiz_get(struct call *call)
{
    rcu_read_begin();
    const struct quiz *quiz = book_quiz(live_world(call->api->live).book, call->params[0]);
    bool shown = quiz && !quiz->paused;
    if (shown) quiz_print(quiz, http_query(call->req, S("locale"), S("")), &call->w);
    rcu_read_end();
    if (shown) reply_json(call);
    else reply_problem(call, ERR_NOT_FOUND, "there is no published quiz \"%.*s\"", STR_FMT(call->params[0]));
}

/* ---- reading a choice ------------------------------------------------------------------------ */

static bool is_name(str name)
{
    for (isize i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return name.len > 0 && name.len <= PREFERENCE_NAME_BYTES_MAX;
}

static bool is_text(const struct json *v)
{
    return json_is(v, JSON_STR) && v->s.len <= PREFERENCE_TEXT_BYTES_MAX;
}

static bool is_value(const struct json *v)
{
    if (!json_is(v, JSON_ARR))
        return is_text(v) || json_is(v, JSON_BOOL) || json_is(v, JSON_INT) || json_is(v, JSON_NUM)
               || json_is(v, JSON_NULL);
    json_each(one, v)
        if (!is_text(one)) return false;
    return json_len(v) <= PREFERENCE_VALUES_MAX;
}

static enum err check(const struct json *chosen, struct diag *diag)
{
    if (!json_is(chosen, JSON_OBJ) || json_len(chosen) < 1 || json_len(chosen) > PREFERENCES_MAX)
        return diag_set(diag, ERR_BAD_INPUT,
                        "expected {\"preferences\": {\"brand\": [\"Acme\"], …}} with 1 to %d names",
                        PREFERENCES_MAX);
    json_each(v, chosen) {
        if (!is_name(v->key))
            return diag_set(diag, ERR_BAD_INPUT, "\"%.*s\": a name is 1 to %d of a-z, 0-9 and _",
                            STR_FMT(v->key), PREFERENCE_NAME_BYTES_MAX);
        if (!is_value(v))
            return diag_set(
                diag, ERR_BAD_INPUT,
                "%.*s: a choice is a text of at most %d bytes, a number, true or false, null, or at most %d texts",
                STR_FMT(v->key), PREFERENCE_TEXT_BYTES_MAX, PREFERENCE_VALUES_MAX);
    }
    return ERR_OK;
}

static str event_of(struct call *call, const struct json *chosen)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    const struct json *person = json_get(call->body, S("person")),
                      *context = json_get(call->body, S("context"));
    str hash = json_text(call->a, json_get(person, S("user_hash")));
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, "batch", '[');
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "type", S("identify"));
    jsonw_key_str(&w, "anonymousId", json_text(call->a, json_get(person, S("anonymous_id"))));
    jsonw_key_str(&w, "userId", json_text(call->a, json_get(person, S("user_id"))));
    jsonw_key_begin(&w, "context", '{');
    json_each(one, context) { jsonw_key(&w, one->key); jsonw_value(&w, one); }
    if (hash.len) jsonw_key_str(&w, "user_hash", hash);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "traits", '{');
    jsonw_key(&w, S("preferences"));
    jsonw_value(&w, chosen);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    return buf_str(&out);
}

/* ---- answering ------------------------------------------------------------------------------- */

static void print_choice(struct call *call, const struct trait *t)
{
    const struct json *list;
    struct jsonw *w = &call->w;
    jsonw_key(w, str_from(t->fact.name, S(PREFERENCE_TRAIT).len));
    switch (t->fact.kind) {
    case FACT_TEXT: jsonw_str(w, t->fact.text); return;
    case FACT_BOOL: jsonw_bool(w, t->fact.b); return;
    case FACT_NUMBER: jsonw_num(w, t->fact.n); return;
    case FACT_JSON:
        if (json_parse(call->a, t->fact.text, &list, NULL) == ERR_OK) { jsonw_value(w, list); return; }
        break;
    default: break;
    }
    jsonw_null(w);
}

static void answer(struct call *call)
{
    struct asked asked = { 0 };
    struct diag diag = { .arena = call->a };
    const struct collected *c = call->own;
    enum err err = ask_read(call, &asked, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    ask_bind(call, &asked, world.book);
    const struct profile *p = decide_who(&world, &asked.request, call->a).profile;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "preferences", '{');
    for (isize i = 0; p && i < p->traits_n; i++) {
        const struct trait *t = &p->traits[i];
        bool is = str_starts(t->fact.name, S(PREFERENCE_TRAIT)) && t->fact.kind != FACT_NULL;
        if (is && profile_trait(p, t->fact.name) == t) print_choice(call, t);
    }
    jsonw_end(&call->w, '}');
    if (c && c->no_consent) jsonw_key_int(&call->w, "no_consent", c->no_consent);
    jsonw_end(&call->w, '}');
    rcu_read_end();
    reply_json(call);
}

void preferences_get(struct call *call)
{
    static const char *const names[] = { "anonymous_id", "user_id", "user_hash", "email" };
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    struct diag diag = { .arena = call->a };
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, "person", '{');
    for (isize i = 0; i < countof(names); i++) {
        str v = http_query(call->req, str_of(names[i]), S(""));
        if (v.len) jsonw_key_str(&w, names[i], v);
    }
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    enum err err = json_parse(call->a, buf_str(&out), &call->body, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    answer(call);
}

void preferences_post(struct call *call)
{
    struct diag diag = { .arena = call->a };
    struct collected *c = arena_new(call->a, struct collected, 1);
    const struct json *chosen = json_get(call->body, S("preferences")), *event;
    if (call->source_key.len == 0) { collect_no_key(call); return; }
    enum err err = check(chosen, &diag);
    if (!err) err = json_parse(call->a, event_of(call, chosen), &event, &diag);
    if (!err) err = collect_events(call, S(""), event, c, &diag);
    if (!err && c->refused) err = diag_set(&diag, ERR_BAD_INPUT, "%.*s", STR_FMT(c->reasons[0].reason));
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    call->own = c;
    if (c->entries_n == 0) answer(call);
    else submit_then(call, c->entries, c->entries_n, answer);
}
