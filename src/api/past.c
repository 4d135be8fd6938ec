/* SPDX-License-Identifier: Apache-2.0
 *
 * past.c - segments as they stood at another instant, how they went since, and who came, who left and why.
 *
 * Today's rules are asked of everybody as they stood: what happened later is not there, a fact that
 * was said again since is read from the log (fold/facts.c; "facts_from" says how far back that
 * reaches), and with identity "then" who was joined since is asked apart. What is older than the
 * hot history is not seen: how many people that may touch is said with each count
 * ("beyond_history"). On the jobs thread, in short rcu brackets (segment/sweep.c) and with rules
 * compiled for the question, so that the fold never waits for an answer however long it takes. */
#include "api/admin.h"
#include "base/rcu.h"

enum { DIFF_ROWS_MAX = 1000, REASONS_MAX = 64, REASONS_A_ROW_MAX = 4, TREND_POINTS_MAX = 92 };

bool query_instant(struct call *call, const char *name, i64 otherwise, i64 *at_ms)
{
    str said = http_query(call->req, str_of(name), S(""));
    i64 now_ms = clock_now(call->api->clock);
    *at_ms = otherwise;
    if (said.len && !time_parse(said, at_ms)) {
        call_fail(call, ERR_BAD_INPUT, "%s is a time such as 2026-11-21T08:00:00Z", name);
        return false;
    }
    if (*at_ms <= now_ms) return true;
    call_fail(call, ERR_BAD_INPUT, "%s is still to come", name);
    return false;
}

/* ---- everybody as they stood ----------------------------------------------------------------- */

/* One question's own: the ledger at one or two instants, and the segments, as they are when it begins. */
struct standing_then {
    struct past_identity past, before;
    bool as_known, two;
    const struct segment_set *set;
    struct past_facts *facts, *facts_before;            /* owned: past_end() */
    /* what was last said before that is not known; 0: all is */
    i64 facts_from_ms;
};

/* What everybody lacks of the instant, read from the log. */
static struct past_facts *facts_of_all(struct call *call, i64 at_ms, i64 *from_ms)
{
    struct diag diag = { .arena = call->a };
    struct past_facts *facts = past_facts_new(at_ms);
    fold_want_facts(call->api->fold, facts);
    enum err err = fold_past_facts(call->api->fold, facts, from_ms, &diag);
    if (err) call_fail(call, err, "%.*s", STR_FMT(diag.what));
    return facts;
}

static void past_end(struct standing_then *s)
{
    past_facts_free(s->facts);
    past_facts_free(s->facts_before);
}

static void read_ledger(struct call *call, struct fold *fold)
{
    struct standing_then *s = call->context;
    const struct identity *identity = fold_live(fold)->identity;
    struct rule_names names = fold_names(fold);
    struct definition_errors errors = { 0 };
    if (segment_set_build(call->a, fold_definitions(fold), NULL, &names, &s->set, &errors)) {
        call_fail(call, ERR_REFUSED, "the published segments do not compile");
        return;
    }
    if (!s->as_known) {
        s->past = past_of(identity, s->past.at_ms, call->a);
        if (s->two) s->before = past_of(identity, s->before.at_ms, call->a);
    }
    past_owners(&s->past, identity, call->a);
}

/* ?identity=then (as the ledger had it) or now (as it is known today). `before_ms`: another instant
 * before it, or 0. */
static bool past_begin(struct call *call, struct standing_then *s, i64 at_ms, i64 before_ms)
{
    str identity = http_query(call->req, S("identity"), S("then"));
    *s = (struct standing_then){ .as_known = str_eq(identity, S("now")), .two = before_ms != 0 };
    s->past.at_ms = at_ms;
    s->before.at_ms = before_ms;
    if (!s->as_known && !str_eq(identity, S("then"))) {
        call_fail(call, ERR_BAD_INPUT, "identity is then or now");
        return false;
    }
    call->context = s;
    on_fold(call, read_ledger);
    return !call->err;
}

/* Facts as they were, when one of the chosen segments asks for any: reading the log takes its time.
 * Ends with past_end(). */
static bool read_facts(struct call *call, struct standing_then *s, const isize *chosen, isize n)
{
    u32 asks = 0;
    i64 before_from_ms = 0;
    for (isize i = 0; i < n; i++) asks |= s->set->at[chosen[i]].depends;
    if (!(asks & (RULE_ON_TRAITS | RULE_ON_QUIZ | RULE_ON_AFFINITY | RULE_ON_SEGMENTS))) return true;
    s->facts = facts_of_all(call, s->past.at_ms, &s->facts_from_ms);
    if (s->two && !call->err) s->facts_before = facts_of_all(call, s->before.at_ms, &before_from_ms);
    s->facts_from_ms = max_i64(s->facts_from_ms, before_from_ms);
    s->past.facts = s->facts;
    s->before.facts = s->facts_before;
    if (call->err) past_end(s);
    return !call->err;
}

static struct sweep everybody(struct call *call, const struct standing_then *s)
{
    const struct live *live = call->api->live;
    return (struct sweep){ .people = live->people, .identity = live->identity, .past = &s->past };
}

/* The index of a published segment among those of the question; -1 and the call has failed. */
static isize chosen_segment(struct call *call, const struct segment_set *set, const char *prefix, str key)
{
    segment_id id = segment_find(set, key);
    if (id.v) return set->by_id[id.v] - set->at;
    call_fail(call, ERR_NOT_FOUND, "%sthere is no published segment \"%.*s\"", prefix, STR_FMT(key));
    return -1;
}

void print_facts_from(struct jsonw *w, const struct past_facts *facts, i64 from_ms)
{
    /* null: what was said before is known whenever it was said */
    jsonw_key(w, S("facts_from"));
    if (from_ms) jsonw_time(w, from_ms);
    else jsonw_null(w);
    if (facts && past_facts_full(facts)) jsonw_key_int(w, "facts_most", PAST_FACTS_MAX);
}

static void print_limits(struct jsonw *w, const struct standing_then *s, i64 beyond)
{
    jsonw_key_str(w, "identity", s->as_known ? S("now") : S("then"));
    if (!s->as_known) {
        jsonw_key_int(w, "joined_since", s->past.joined_since);
        jsonw_key_int(w, "undone_since", s->past.undone_since);
    }
    jsonw_key_int(w, "beyond_history", beyond);
    print_facts_from(w, s->facts, s->facts_from_ms);
}

/* ---- counts ---------------------------------------------------------------------------------- */

void segments_then(struct call *call)
{
    i64 at_ms;
    struct standing_then s;
    str only = call->params_n ? call->params[0] : S("");
    if (!query_instant(call, "at", clock_now(call->api->clock), &at_ms)
        || !past_begin(call, &s, at_ms, 0))
        return;
    isize n = 0, *chosen = arena_new(call->a, isize, s.set->n + 1);
    if (only.len) chosen[n++] = chosen_segment(call, s.set, "", only);
    for (isize k = 0; only.len == 0 && k < s.set->n; k++) chosen[n++] = s.set->by_number[k];
    if (call->err || !read_facts(call, &s, chosen, n)) return;
    struct sweep people = everybody(call, &s);
    struct past_counts c = past_count(&people, s.set, call->api->live->catalog, chosen, n, false, call->a);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_time(w, "at", at_ms);
    jsonw_key_int(w, "people", c.people);
    print_limits(w, &s, c.beyond);
    jsonw_key_begin(w, "segments", '[');
    for (isize i = 0; i < n; i++) {
        const struct segment *segment = &s.set->at[chosen[i]];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", segment->key);
        jsonw_key_str(w, "title", segment->title);
        jsonw_key_str(w, "rule", rule_print(call->a, segment->rule));
        jsonw_key_int(w, "count", c.of[i]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    past_end(&s);
}

void overlap_then(struct call *call, const str *keys, isize n)
{
    i64 at_ms;
    struct standing_then s;
    if (!query_instant(call, "at", clock_now(call->api->clock), &at_ms)
        || !past_begin(call, &s, at_ms, 0))
        return;
    isize *chosen = arena_new(call->a, isize, n);
    for (isize i = 0; i < n && !call->err; i++) chosen[i] = chosen_segment(call, s.set, "keys: ", keys[i]);
    if (call->err || !read_facts(call, &s, chosen, n)) return;
    struct sweep people = everybody(call, &s);
    struct past_counts c = past_count(&people, s.set, call->api->live->catalog, chosen, n, true, call->a);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_time(w, "at", at_ms);
    print_limits(w, &s, c.beyond);
    jsonw_key_begin(w, "segments", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", keys[i]);
        jsonw_key_int(w, "count", c.of[i]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "pairs", '[');
    for (isize i = 0; i < n; i++)
        for (isize k = i + 1; k < n; k++) {
            jsonw_begin(w, '{');
            jsonw_key_begin(w, "keys", '[');
            jsonw_str(w, keys[i]);
            jsonw_str(w, keys[k]);
            jsonw_end(w, ']');
            jsonw_key_int(w, "count", c.pair[i * n + k]);
            jsonw_end(w, '}');
        }
    jsonw_end(w, ']');
    jsonw_key_int(w, "all", c.all);
    jsonw_end(w, '}');
    past_end(&s);
}

/* ---- how a segment went ---------------------------------------------------------------------- */

/* A point a day at the same hour as now, or more often when there are fewer days; the last is now.
 * "entered" and "left" are since the point before: who came and went between two of them is in
 * neither. Identity as it is known today. */
static void trend(struct call *call)
{
    i64 days = 30, now_ms = clock_now(call->api->clock);
    if (str_to_i64(http_query(call->req, S("days"), S("30")), &days) && (days < 1 || days > 365)) {
        call_fail(call, ERR_BAD_INPUT, "days is 1 to 365");
        return;
    }
    isize n = days < TREND_POINTS_MAX ? max_isize((isize)days, 12) + 1 : TREND_POINTS_MAX;
    struct standing_then s = { .as_known = true };
    call->context = &s;
    on_fold(call, read_ledger);
    isize at = call->err ? -1 : chosen_segment(call, s.set, "", call->params[0]);
    if (call->err) return;
    struct sweep people = everybody(call, &s);
    struct segment_point *points = arena_new(call->a, struct segment_point, n);
    for (isize i = 0; i < n; i++) points[i].at_ms = now_ms - days * DAY_MS * (n - 1 - i) / (n - 1);
    segment_course(&people, call->api->live->catalog, s.set->at[at].rule, s.set, points, n);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", call->params[0]);
    jsonw_key_begin(w, "points", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", points[i].at_ms);
        jsonw_key_int(w, "count", points[i].count);
        if (i > 0) jsonw_key_int(w, "entered", points[i].entered);
        if (i > 0) jsonw_key_int(w, "left", points[i].left);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void segment_trend(struct call *call) { ask_jobs(call, trend); }

/* ---- between two instants -------------------------------------------------------------------- */

struct reason { str rule, was, is; i64 people; };
struct moved_row { u32 person; bool entered; i64 at_ms; struct reason why[REASONS_A_ROW_MAX]; isize why_n; };
struct differing {
    i64 from_ms, to_ms;
    struct past_moved moved;
    struct reason entered_by[REASONS_MAX], left_by[REASONS_MAX];
    isize entered_by_n, left_by_n;
    struct moved_row *rows; isize rows_n, limit;
    u32 after_id;
    bool more;
};

static struct rule_facts facts_of(const struct as_of *at)
{
    struct rule_facts facts = facts_as_of(at);
    facts.no_timer = true;
    return facts;
}

static void tally(struct reason *list, isize *n, str rule, arena *a)
{
    for (isize i = 0; i < *n; i++)
        if (str_eq(list[i].rule, rule)) { list[i].people++; return; }
    if (*n < REASONS_MAX) list[(*n)++] = (struct reason){ .rule = arena_str(a, rule), .people = 1 };
    else list[REASONS_MAX - 1].people++;
}

/* The latest note of the fold itself that they came or went; 0: their history holds none. */
static i64 noted_at(const struct profile *p, segment_id id, bool entered, i64 from_ms, i64 to_ms)
{
    u16 type = entered ? EVENT_SEGMENT_ENTERED : EVENT_SEGMENT_LEFT;
    for (isize i = p->history_n - 1; i >= 0 && p->history[i].at_ms > from_ms; i--)
        if (p->history[i].type == type && p->history[i].quantity == id.v
            && p->history[i].at_ms <= to_ms)
            return p->history[i].at_ms;
    return 0;
}

static const struct rule_trace *trace_of(struct call *call, const struct segment_set *set,
                                         const struct rule *rule, const struct profile *then,
                                         i64 at_ms, arena *a)
{
    struct as_of at = { { .profile = then, .catalog = call->api->live->catalog, .now_ms = at_ms }, set, 0 };
    struct rule_facts facts = facts_of(&at);
    return then ? rule_explain(a, rule, &facts, 1) : NULL;
}

static void note_move(struct call *call, struct differing *d, const struct segment *segment,
                      const struct swept *who, bool entered, const struct rule_trace *was,
                      const struct rule_trace *is, arena *a)
{
    const struct turn *turns;
    isize n = rule_turns(was, is, a, &turns);
    struct reason *by = entered ? d->entered_by : d->left_by;
    isize *by_n = entered ? &d->entered_by_n : &d->left_by_n;
    if (!was) tally(by, by_n, S("was not there yet"), call->a);
    for (isize i = 0; was && i < n; i++)
        tally(by, by_n, turns[i].is ? turns[i].is->text : turns[i].was->text, call->a);
    if (who->id.v <= d->after_id) return;
    if (d->rows_n == d->limit) { d->more = true; return; }
    struct moved_row *row = &d->rows[d->rows_n++];
    *row = (struct moved_row){ who->id.v, entered, noted_at(who->now, segment->id, entered, d->from_ms, d->to_ms), .why_n = 0 };
    for (isize i = 0; i < min_isize(n, REASONS_A_ROW_MAX); i++)
        row->why[row->why_n++] = (struct reason){
            .rule = arena_str(call->a, turns[i].is ? turns[i].is->text : turns[i].was->text),
            .was = turns[i].was ? arena_str(call->a, turns[i].was->value) : S(""),
            .is = turns[i].is ? arena_str(call->a, turns[i].is->value) : S("") };
}

static void print_reasons(struct jsonw *w, const char *key, const struct reason *list, isize n)
{
    jsonw_key_begin(w, key, '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "rule", list[i].rule);
        jsonw_key_int(w, "people", list[i].people);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void answer_diff(struct call *call, struct fold *fold)
{
    const struct differing *d = call->own;
    const struct live *live = fold_live(fold);
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "people", '[');
    for (isize i = 0; i < d->rows_n; i++) {
        const struct moved_row *row = &d->rows[i];
        const struct profile *p = people_get(live->people, (person_id){ row->person }, call->a);
        if (!p) continue;
        jsonw_begin(w, '{');
        print_person_id(w, "person_id", p->id);
        jsonw_key_str(w, "display", person_display(live, p, call->a));
        jsonw_key_str(w, "moved", row->entered ? S("entered") : S("left"));
        jsonw_key_time(w, "at", row->at_ms);
        jsonw_key_begin(w, "why", '[');
        for (isize k = 0; k < row->why_n; k++) {
            jsonw_begin(w, '{');
            jsonw_key_str(w, "rule", row->why[k].rule);
            jsonw_key_str(w, "was", row->why[k].was);
            jsonw_key_str(w, "is", row->why[k].is);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key(w, S("next"));
    if (d->more && d->rows_n) jsonw_str(w, arena_printf(call->a, "p_%u", d->rows[d->rows_n - 1].person));
    else jsonw_null(w);
    jsonw_end(w, '}');
}

/* Who moved is asked once more, for the reasons; a bracket each. */
static void explain_moves(struct call *call, struct differing *d, const struct standing_then *s,
                          const struct segment *segment)
{
    const struct catalog *catalog = call->api->live->catalog;
    struct sweep people = everybody(call, s);
    arena a = { 0 };
    for (isize i = 0; i < d->moved.n; i++) {
        struct swept who;
        rcu_read_begin();
        if (sweep_meet(&people, d->moved.ids[i], &a, &who)) {
            const struct profile *before, *after;
            bool was = past_held(&s->before, s->set, catalog, segment->rule, &who, &a, &before);
            bool is = past_held(&s->past, s->set, catalog, segment->rule, &who, &a, &after);
            if (was != is)
                note_move(call, d, segment, &who, is,
                          trace_of(call, s->set, segment->rule, before, d->from_ms, &a),
                          trace_of(call, s->set, segment->rule, after, d->to_ms, &a), &a);
        }
        rcu_read_end();
        arena_clear(&a);
    }
    arena_fini(&a);
}

static void diff(struct call *call)
{
    struct differing *d = arena_new(call->a, struct differing, 1);
    struct standing_then s;
    i64 now_ms = clock_now(call->api->clock);
    person_id after;
    if (!query_instant(call, "from", now_ms - 7 * DAY_MS, &d->from_ms)
        || !query_instant(call, "to", now_ms, &d->to_ms))
        return;
    if (d->from_ms >= d->to_ms) { call_fail(call, ERR_BAD_INPUT, "from comes before to"); return; }
    if (!past_begin(call, &s, d->to_ms, d->from_ms)) return;
    d->limit = query_limit(call, 100, DIFF_ROWS_MAX);
    d->rows = arena_new(call->a, struct moved_row, d->limit);
    if (person_id_read(http_query(call->req, S("after"), S("")), &after)) d->after_id = after.v;
    struct jsonw *w = &call->w;
    isize at = chosen_segment(call, s.set, "", call->params[0]);
    if (call->err || !read_facts(call, &s, &at, 1)) return;
    struct sweep people = everybody(call, &s);
    d->moved = past_move(&people, &s.before, &s.past, s.set, call->api->live->catalog,
                         s.set->at[at].rule, call->a);
    explain_moves(call, d, &s, &s.set->at[at]);
    mem_free(d->moved.ids);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", call->params[0]);
    jsonw_key_time(w, "from", d->from_ms);
    jsonw_key_time(w, "to", d->to_ms);
    jsonw_key_str(w, "identity", s.as_known ? S("now") : S("then"));
    jsonw_key_int(w, "before", d->moved.before);
    jsonw_key_int(w, "after", d->moved.after);
    jsonw_key_int(w, "entered", d->moved.entered);
    jsonw_key_int(w, "left", d->moved.left);
    jsonw_key_int(w, "stayed", d->moved.stayed);
    print_reasons(w, "entered_because", d->entered_by, d->entered_by_n);
    print_reasons(w, "left_because", d->left_by, d->left_by_n);
    call->own = d;
    on_fold(call, answer_diff);
    past_end(&s);
}

void segment_diff(struct call *call) { ask_jobs(call, diff); }
