/* SPDX-License-Identifier: Apache-2.0
 *
 * segments.c - groups of people: counts, members, overlaps, and rules tried before they stand. */
#include "api/admin.h"
#include "base/rcu.h"

static void print_segment(struct call *call, const struct definition *def)
{
    struct jsonw *w = &call->w;
    const struct json *doc = NULL;
    str text = definition_published(def).len ? definition_published(def) : definition_latest(def);
    if (json_parse(call->a, text, &doc, NULL)) doc = NULL;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", def->key);
    jsonw_key_str(w, "title", json_str(json_get(doc, S("title")), def->key));
    jsonw_key_str(w, "rule", json_str(json_get(doc, S("rule")), S("")));
    jsonw_key_int(w, "count",
                  definition_published(def).len
                      ? roll_count(call->api->live->roll, (segment_id){ def->number })
                      : 0);
    jsonw_key_str(w, "state", definition_state(def));
    jsonw_key_bool(w, "paused", def->paused);
    jsonw_key_int(w, "revision", def->revisions_n);
    if (def->published) jsonw_key_int(w, "published_revision", def->published);
    jsonw_key_str(
        w, "owner",
        json_str(json_get(doc, S("owner")), def->revisions_n ? def->revisions[0].author : S("")));
    jsonw_end(w, '}');
}

static void answer_all(struct call *call, struct fold *fold)
{
    const struct definition *def;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "segments", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("segment"), &at));)
        if (!def->archived) print_segment(call, def);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

/* With ?at= as they stood, which asks everybody. */
static bool asks_past(struct call *call) { return http_query(call->req, S("at"), S("")).len > 0; }

void segments_list(struct call *call)
{
    if (asks_past(call)) ask_jobs(call, segments_then);
    else ask_fold(call, answer_all);
}

static void answer_one(struct call *call, struct fold *fold)
{
    const struct definition *def = definition_find(fold_definitions(fold), S("segment"), call->params[0]);
    if (def) print_segment(call, def);
    else call_fail(call, ERR_NOT_FOUND, "there is no segment \"%.*s\"", STR_FMT(call->params[0]));
}

void segment_get(struct call *call)
{
    if (asks_past(call)) ask_jobs(call, segments_then);
    else ask_fold(call, answer_one);
}

/* ---- members: NDJSON or CSV, one page a fold question, so that it is never held up long ------ */

enum { MEMBERS_AT_ONCE = 1000, MEMBERS_MAX = 200000 };

struct members { segment_id id; u32 next; isize left; bool more, csv; str q; };

/* Whether ?q= is part of their name or of one of their identifiers. */
static bool is_called(const struct live *live, const struct profile *p, str q, arena *a)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    if (q.len == 0 || str_holds_nocase(person_display(live, p, a), q)) return true;
    if (str_eq_nocase(q, arena_printf(a, "p_%u", p->id.v))) return true;
    isize n = identity_identifiers(live->identity, p->id, links, countof(links));
    for (isize i = 0; i < n; i++)
        if (str_holds_nocase(links[i].identifier.value, q)) return true;
    return false;
}

/* Quoted when it must be (RFC 4180); what a spreadsheet would take for a formula gets an apostrophe
 * before it. */
static void csv_field(struct buf *out, str s, bool last)
{
    bool formula = s.len && str_find_char(S("=+-@\t\r"), s.ptr[0]) >= 0, quote = formula;
    for (isize i = 0; i < s.len && !quote; i++) quote = str_find_char(S(",\"\r\n"), s.ptr[i]) >= 0;
    if (quote) buf_byte(out, '"');
    if (formula) buf_byte(out, '\'');
    for (isize i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') buf_byte(out, '"');
        buf_byte(out, s.ptr[i]);
    }
    if (quote) buf_byte(out, '"');
    buf_add(out, last ? S("\r\n") : S(","));
}

static void member_csv(struct call *call, const struct live *live, const struct profile *p,
                       const struct membership *of)
{
    csv_field(&call->out, arena_printf(call->a, "p_%u", p->id.v), false);
    csv_field(&call->out, person_display(live, p, call->a), false);
    csv_field(&call->out, of && of->entered_at_ms ? time_print(call->a, of->entered_at_ms) : S(""), false);
    csv_field(&call->out, time_print(call->a, p->last_at_ms), true);
}

static void answer_members(struct call *call, struct fold *fold)
{
    struct members *m = call->own;
    const struct live *live = fold_live(fold);
    isize n = MEMBERS_AT_ONCE;
    i64 at = roll_next(live->roll, m->id, m->next);
    for (; at > 0 && n > 0 && m->left > 0; at = roll_next(live->roll, m->id, (u32)at + 1)) {
        const struct profile *p = people_get(live->people, (person_id){ (u32)at }, call->a);
        m->next = (u32)at + 1;
        n--;
        if (!p || !is_called(live, p, m->q, call->a)) continue;
        const struct membership *of = profile_membership(p, m->id);
        m->left--;
        if (m->csv) { member_csv(call, live, p, of); continue; }
        struct jsonw w = { .out = &call->out };
        jsonw_begin(&w, '{');
        print_person_id(&w, "person_id", p->id);
        jsonw_key_str(&w, "display", person_display(live, p, call->a));
        jsonw_key_time(&w, "entered_at", of ? of->entered_at_ms : 0);
        print_matches(live, p, m->id, clock_now(call->api->clock), &w);
        jsonw_key_time(&w, "last_at", p->last_at_ms);
        jsonw_end(&w, '}');
        buf_byte(&call->out, '\n');
    }
    m->more = at > 0;
}

static void find_segment(struct call *call, struct fold *fold)
{
    struct members *m = call->own;
    const struct book *book = atomic_load(&fold_live(fold)->book);
    m->id = segment_find(book->segments, call->params[0]);
    if (!m->id.v)
        call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"",
                  STR_FMT(call->params[0]));
}

static void list_members(struct call *call)
{
    struct members m = { .next = 1, .left = query_limit(call, MEMBERS_MAX, MEMBERS_MAX),
                         .q = str_trim(http_query(call->req, S("q"), S(""))) };
    person_id after;
    call->own = &m;
    if (person_id_read(http_query(call->req, S("after"), S("")), &after)) m.next = after.v + 1;
    on_fold(call, find_segment);
    if (call->err) return;
    str format = http_query(call->req, S("format"), S("ndjson"));
    m.csv = str_eq(format, S("csv"));
    if (!m.csv && !str_eq(format, S("ndjson"))) {
        call_fail(call, ERR_BAD_INPUT, "format is csv or ndjson");
        return;
    }
    call->type = m.csv ? S("text/csv; charset=utf-8") : S("application/x-ndjson");
    if (m.csv) buf_add(&call->out, S("person_id,display,entered_at,last_at\r\n"));
    do on_fold(call, answer_members); while (m.more && m.left > 0);
}

void segment_members(struct call *call) { ask_jobs(call, list_members); }

/* ---- rules tried ---------------------------------------------------------------------------- */

struct trying {
    str text, segment;              /* a rule, or whose */
    i64 at_ms;
    const struct rule *rule;
    const struct segment_set *set;
    struct past_identity past;
    struct rule_errors errors;
    enum err err;
};

static void print_rule_errors(struct jsonw *w, const struct rule_errors *errors)
{
    jsonw_key_begin(w, "errors", '[');
    for (isize i = 0; i < errors->n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "column", errors->at[i].column);
        jsonw_key_int(w, "length", errors->at[i].length);
        jsonw_key_str(w, "message", errors->at[i].message);
        if (errors->at[i].hint.len) jsonw_key_str(w, "hint", errors->at[i].hint);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void answer_check(struct call *call, struct fold *fold)
{
    static const str places[] = { S_INIT("segment"), S_INIT("target"), S_INIT("filter") };
    struct rule_names names = fold_names(fold);
    struct rule_errors errors = { 0 };
    const struct rule *rule;
    str in = body_text(call, "in");
    isize place = 0;
    while (place < countof(places) && !str_eq(in, places[place])) place++;
    if (place == countof(places)) place = RULE_SEGMENT;
    enum err err = rule_compile(call->a, body_text(call, "rule"), (enum rule_place)place, &names,
                                &rule, &errors);
    jsonw_begin(&call->w, '{');
    jsonw_key_bool(&call->w, "ok", err == ERR_OK);
    if (err) print_rule_errors(&call->w, &errors);
    else {
        jsonw_key_str(&call->w, "text", rule_print(call->a, rule));
        jsonw_key_int(&call->w, "cost", rule_cost(rule));
        jsonw_key_int(&call->w, "cost_max", RULE_COST_MAX);
        jsonw_key(&call->w, S("tree"));
        rule_to_json(rule, &call->w);
    }
    jsonw_end(&call->w, '}');
}

void rules_check(struct call *call) { ask_fold(call, answer_check); }

static void compile(struct call *call, struct fold *fold)
{
    struct trying *t = call->own;
    struct rule_names names = fold_names(fold);
    struct definition_errors errors = { 0 };
    if (t->segment.len) {
        const struct definition *def = definition_find(fold_definitions(fold), S("segment"), t->segment);
        const struct json *doc = NULL;
        if (definition_published(def).len == 0
            || json_parse(call->a, definition_published(def), &doc, NULL)) {
            call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(t->segment));
            return;
        }
        t->text = json_get_str(doc, "rule");
    }
    t->err = rule_compile(call->a, t->text, RULE_SEGMENT, &names, &t->rule, &t->errors);
    if (!t->err) t->err = segment_set_build(call->a, fold_definitions(fold), NULL, &names, &t->set, &errors);
    if (!t->err) past_owners(&t->past, fold_live(fold)->identity, call->a);
}

static void answer_sample(struct call *call, struct fold *fold)
{
    const struct segment_preview *found = call->own;
    const struct live *live = fold_live(fold);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "count", found->count);
    jsonw_key_begin(w, "sample", '[');
    for (isize i = 0; i < found->sample_n; i++) {
        const struct profile *p = people_get(live->people, found->sample[i], call->a);
        if (!p) continue;
        jsonw_begin(w, '{');
        print_person_id(w, "person_id", p->id);
        jsonw_key_str(w, "display", person_display(live, p, call->a));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "took_us", found->took_us);
    jsonw_end(w, '}');
}

struct listed { struct { u32 *at; isize n, cap; } ids; isize next; };

static void list_one(void *ctx, person_id id)
{
    struct listed *listed = ctx;
    vec_push(&listed->ids, id.v);
}

static void answer_listed(struct call *call, struct fold *fold)
{
    struct listed *listed = call->own;
    const struct identity *identity = fold_live(fold)->identity;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    for (isize n = 0; n < MEMBERS_AT_ONCE && listed->next < listed->ids.n; n++) {
        struct jsonw w = { .out = &call->out };
        person_id id = { listed->ids.at[listed->next++] };
        isize links_n = identity_identifiers(identity, id, links, countof(links));
        jsonw_begin(&w, '{');
        print_person_id(&w, "person_id", id);
        jsonw_key_begin(&w, "identifiers", '{');
        for (isize i = 0; i < links_n; i++)
            jsonw_key_str(&w, identifier_name(links[i].identifier.kind), links[i].identifier.value);
        jsonw_end(&w, '}');
        jsonw_end(&w, '}');
        buf_byte(&call->out, '\n');
    }
}

/* Whoever a rule holds for, a line each with their identifiers. */
static void list_of_rule(struct call *call, const struct trying *t)
{
    const struct live *live = call->api->live;
    struct listed listed = { 0 };
    rcu_read_begin();
    (void)segment_walk(live->people, live->catalog, t->rule, t->set, t->at_ms, list_one, &listed);
    rcu_read_end();
    call->own = &listed;
    call->type = S("application/x-ndjson");
    while (listed.next < listed.ids.n) on_fold(call, answer_listed);
    vec_fini(&listed.ids);
}

/* Everybody is asked, on the jobs thread; the segments that the rule names are compiled with it, for as long as that takes.
 * {"rule" or "segment", "at": another instant, "members": true for a line each} */
static void preview(struct call *call)
{
    struct trying t = { .text = body_text(call, "rule"),
                        .segment = body_text(call, "segment"),
                        .at_ms = clock_now(call->api->clock) };
    str at = body_text(call, "at");
    if (at.len && !time_parse(at, &t.at_ms)) { call_fail(call, ERR_BAD_INPUT, "at is no time"); return; }
    call->own = &t;
    on_fold(call, compile);
    if (call->err) return;
    if (t.err) {
        struct jsonw *w = &call->w;
        call->status = err_http(ERR_REFUSED);
        jsonw_begin(w, '{');
        jsonw_key_str(w, "type", S("/problems/refused"));
        jsonw_key_str(w, "title", str_of(err_title(ERR_REFUSED)));
        jsonw_key_int(w, "status", call->status);
        jsonw_key_str(w, "detail", t.errors.n ? t.errors.at[0].message : S("the rule does not compile"));
        print_rule_errors(w, &t.errors);
        jsonw_end(w, '}');
        return;
    }
    if (json_bool(json_get(call->body, S("members")), false)) { list_of_rule(call, &t); return; }
    const struct live *live = call->api->live;
    struct sweep people = { .people = live->people, .identity = live->identity, .past = &t.past };
    struct segment_preview found = segment_preview(&people, live->catalog, t.rule, t.set, t.at_ms);
    call->own = &found;
    on_fold(call, answer_sample);
}

void segments_preview(struct call *call) { ask_jobs(call, preview); }
