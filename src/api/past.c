/* SPDX-License-Identifier: Apache-2.0
 *
 * past.c - segments as they stood at another instant, how they went since, and who came, who left and why.
 *
 * Today's rules are asked of everybody as they stood: what happened later is not there, a fact that was said again since is unknown
 * before that, and with identity "then" who was joined since is asked apart. What is older than the hot history is not seen: how many
 * people that may touch is said with each count ("beyond_history"). On the jobs thread; one rcu bracket, as long as it takes.
 */
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

/* ---- everybody as they stood -------------------------------------------------------------------------- */

struct standing_then { struct past_identity past; i64 at_ms; bool as_known; arena *a; };

static void read_ledger(struct call *call, struct fold *fold)
{
    struct standing_then *s = call->context;
    s->past = past_of(fold_live(fold)->identity, s->at_ms, s->a);
}

/* ?identity=then (as the ledger had it) or now (as it is known today). */
static bool past_begin(struct call *call, struct standing_then *s, i64 at_ms)
{
    str identity = http_query(call->req, S("identity"), S("then"));
    *s = (struct standing_then){ .at_ms = at_ms, .as_known = str_eq(identity, S("now")), .a = call->a };
    s->past.at_ms = at_ms;
    if (!s->as_known && !str_eq(identity, S("then"))) {
        call_fail(call, ERR_BAD_INPUT, "identity is then or now");
        return false;
    }
    if (s->as_known) return true;
    call->context = s;
    on_fold(call, read_ledger);
    return true;
}

static void print_limits(struct jsonw *w, const struct standing_then *s, i64 beyond)
{
    jsonw_key_str(w, "identity", s->as_known ? S("now") : S("then"));
    if (!s->as_known) {
        jsonw_key_int(w, "joined_since", s->past.joined_since);
        jsonw_key_int(w, "undone_since", s->past.undone_since);
    }
    jsonw_key_int(w, "beyond_history", beyond);
}

/* Whether what moved out of the hot history may have mattered at that instant: of what it holds now nothing is older. */
static bool beyond_history(const struct profile *p, i64 at_ms)
{
    return p->older_events > 0 && (p->history_n == 0 || p->history[0].at_ms > at_ms - 365 * DAY_MS);
}

typedef void seen_then(void *ctx, const struct profile *now, const struct profile *then, const bool *in);

/* Each person as they stood, with the segments they were in; inside the caller's bracket. Returns whose history was cut. */
static i64 walk_then(struct call *call, const struct standing_then *s, const struct segment_set *set, seen_then *seen, void *ctx)
{
    const struct live *live = call->api->live;
    bool *in = arena_new(call->a, bool, set->n + 1);
    arena a = { 0 };
    i64 beyond = 0;
    u32 most = (u32)people_most(live->people);
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_get(live->people, (person_id){ id }), *parts[NODES_PER_PERSON_MAX];
        if (!p || p->created_at_ms > s->at_ms) continue;
        isize n = past_people(&s->past, p, &a, parts, countof(parts));
        beyond += n > 0 && beyond_history(p, s->at_ms);
        for (isize i = 0; i < n; i++) {
            past_segments(set, live->catalog, parts[i], s->at_ms, in);
            seen(ctx, p, parts[i], in);
        }
        arena_clear(&a);
    }
    arena_fini(&a);
    return beyond;
}

/* ---- counts --------------------------------------------------------------------------------------------- */

struct counts { const struct segment_set *set; i64 *of, *pair, people, all; const isize *chosen; isize chosen_n; };

static void count_in(void *ctx, const struct profile *now, const struct profile *then, const bool *in)
{
    struct counts *c = ctx;
    (void)now;
    (void)then;
    c->people++;
    for (isize i = 0; i < c->set->n; i++) c->of[i] += in[i];
    isize n = 0;
    for (isize i = 0; i < c->chosen_n; i++) {
        n += in[c->chosen[i]];
        for (isize k = i + 1; k < c->chosen_n; k++)
            if (in[c->chosen[i]] && in[c->chosen[k]]) c->pair[i * c->chosen_n + k]++;
    }
    c->all += c->chosen_n && n == c->chosen_n;
}

static void print_counts(struct call *call, const struct counts *c, str only)
{
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "segments", '[');
    for (isize k = 0; k < c->set->n; k++) {
        isize i = c->set->by_number[k];
        const struct segment *s = &c->set->at[i];
        if (only.len && !str_eq(s->key, only)) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", s->key);
        jsonw_key_str(w, "title", s->title);
        jsonw_key_str(w, "rule", rule_print(call->a, s->rule));
        jsonw_key_int(w, "count", c->of[i]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

void segments_then(struct call *call)
{
    i64 at_ms;
    struct standing_then s;
    str only = call->params_n ? call->params[0] : S("");
    if (!query_instant(call, "at", clock_now(call->api->clock), &at_ms) || !past_begin(call, &s, at_ms)) return;
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    struct counts c = { .set = book->segments, .of = arena_new(call->a, i64, book->segments->n + 1) };
    if (only.len && !segment_find(book->segments, only).v)
        call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(only));
    if (!call->err) {
        i64 beyond = walk_then(call, &s, c.set, count_in, &c);
        jsonw_begin(&call->w, '{');
        jsonw_key_time(&call->w, "at", at_ms);
        jsonw_key_int(&call->w, "people", c.people);
        print_limits(&call->w, &s, beyond);
        print_counts(call, &c, only);
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
}

void overlap_then(struct call *call, const str *keys, isize n)
{
    i64 at_ms;
    struct standing_then s;
    if (!query_instant(call, "at", clock_now(call->api->clock), &at_ms) || !past_begin(call, &s, at_ms)) return;
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    const struct segment_set *set = book->segments;
    isize *chosen = arena_new(call->a, isize, n);
    for (isize i = 0; i < n && !call->err; i++) {
        segment_id id = segment_find(set, keys[i]);
        if (id.v) chosen[i] = set->by_id[id.v] - set->at;
        else call_fail(call, ERR_NOT_FOUND, "keys: there is no published segment \"%.*s\"", STR_FMT(keys[i]));
    }
    struct counts c = { .set = set, .of = arena_new(call->a, i64, set->n + 1), .pair = arena_new(call->a, i64, n * n),
                        .chosen = chosen, .chosen_n = n };
    if (!call->err) {
        i64 beyond = walk_then(call, &s, set, count_in, &c);
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", at_ms);
        print_limits(w, &s, beyond);
        jsonw_key_begin(w, "segments", '[');
        for (isize i = 0; i < n; i++) {
            jsonw_begin(w, '{');
            jsonw_key_str(w, "key", keys[i]);
            jsonw_key_int(w, "count", c.of[chosen[i]]);
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
    }
    rcu_read_end();
}

/* ---- how a segment went ------------------------------------------------------------------------------- */

/* A point a day at the same hour as now, or more often when there are fewer days; the last is now. Identity as it is known today. */
static void trend(struct call *call)
{
    i64 days = 30, now_ms = clock_now(call->api->clock);
    if (str_to_i64(http_query(call->req, S("days"), S("30")), &days) && (days < 1 || days > 365)) {
        call_fail(call, ERR_BAD_INPUT, "days is 1 to 365");
        return;
    }
    isize points = days < TREND_POINTS_MAX ? max_isize((isize)days, 12) : TREND_POINTS_MAX - 1;
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    segment_id id = segment_find(book->segments, call->params[0]);
    if (!id.v) call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(call->params[0]));
    if (id.v) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", call->params[0]);
        jsonw_key_begin(w, "points", '[');
        for (isize i = points; i >= 0; i--) {
            i64 at_ms = now_ms - days * DAY_MS * i / points;
            struct segment_preview found = segment_preview(call->api->live->people, call->api->live->catalog,
                                                           book->segments->by_id[id.v]->rule, book->segments, at_ms);
            jsonw_begin(w, '{');
            jsonw_key_time(w, "at", at_ms);
            jsonw_key_int(w, "count", found.count);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    rcu_read_end();
}

void segment_trend(struct call *call) { ask_jobs(call, trend); }

/* ---- between two instants ------------------------------------------------------------------------------ */

struct reason { str rule, was, is; i64 people; };
struct moved_row { u32 person; bool entered; i64 at_ms; struct reason why[REASONS_A_ROW_MAX]; isize why_n; };
struct differing {
    i64 from_ms, to_ms, entered, left, stayed, before, after;
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
        if (p->history[i].type == type && p->history[i].quantity == id.v && p->history[i].at_ms <= to_ms) return p->history[i].at_ms;
    return 0;
}

static const struct profile *who_holds(struct call *call, const struct segment_set *set, const struct rule *rule,
                                       const struct standing_then *s, const struct profile *p, arena *a, bool *holds)
{
    const struct profile *parts[NODES_PER_PERSON_MAX];
    isize n = p->created_at_ms > s->at_ms ? 0 : past_people(&s->past, p, a, parts, countof(parts));
    *holds = false;
    for (isize i = 0; i < n; i++) {
        struct as_of at = { { .profile = parts[i], .catalog = call->api->live->catalog, .now_ms = s->at_ms }, set, 0 };
        struct rule_facts facts = facts_of(&at);
        *holds = rule_holds(rule_run(rule, &facts));
        if (*holds) return parts[i];
    }
    return n ? parts[0] : NULL;
}

static const struct rule_trace *trace_of(struct call *call, const struct segment_set *set, const struct rule *rule,
                                         const struct profile *then, i64 at_ms, arena *a)
{
    struct as_of at = { { .profile = then, .catalog = call->api->live->catalog, .now_ms = at_ms }, set, 0 };
    struct rule_facts facts = facts_of(&at);
    return then ? rule_explain(a, rule, &facts, 1) : NULL;
}

static void note_move(struct call *call, struct differing *d, const struct segment *segment, const struct profile *p, bool entered,
                      const struct rule_trace *was, const struct rule_trace *is, arena *a)
{
    const struct turn *turns;
    isize n = rule_turns(was, is, a, &turns);
    struct reason *by = entered ? d->entered_by : d->left_by;
    isize *by_n = entered ? &d->entered_by_n : &d->left_by_n;
    if (!was) tally(by, by_n, S("was not there yet"), call->a);
    for (isize i = 0; was && i < n; i++) tally(by, by_n, turns[i].is ? turns[i].is->text : turns[i].was->text, call->a);
    if (p->id.v <= d->after_id) return;
    if (d->rows_n == d->limit) { d->more = true; return; }
    struct moved_row *row = &d->rows[d->rows_n++];
    *row = (struct moved_row){ p->id.v, entered, noted_at(p, segment->id, entered, d->from_ms, d->to_ms), .why_n = 0 };
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
        const struct profile *p = people_get(live->people, (person_id){ row->person });
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

static void compare(struct call *call, struct differing *d, const struct segment_set *set, const struct segment *segment,
                    const struct standing_then *from, const struct standing_then *to)
{
    const struct people *people = call->api->live->people;
    u32 most = (u32)people_most(people);
    arena a = { 0 };
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_get(people, (person_id){ id });
        if (!p || p->created_at_ms > to->at_ms) continue;
        bool was, is;
        const struct profile *before = who_holds(call, set, segment->rule, from, p, &a, &was);
        const struct profile *after = who_holds(call, set, segment->rule, to, p, &a, &is);
        d->before += was;
        d->after += is;
        d->stayed += was && is;
        d->entered += is && !was;
        d->left += was && !is;
        if (was != is)
            note_move(call, d, segment, p, is, trace_of(call, set, segment->rule, before, from->at_ms, &a),
                      trace_of(call, set, segment->rule, after, to->at_ms, &a), &a);
        arena_clear(&a);
    }
    arena_fini(&a);
}

static void diff(struct call *call)
{
    struct differing *d = arena_new(call->a, struct differing, 1);
    struct standing_then from, to;
    i64 now_ms = clock_now(call->api->clock);
    person_id after;
    if (!query_instant(call, "from", now_ms - 7 * DAY_MS, &d->from_ms) || !query_instant(call, "to", now_ms, &d->to_ms)) return;
    if (d->from_ms >= d->to_ms) { call_fail(call, ERR_BAD_INPUT, "from comes before to"); return; }
    if (!past_begin(call, &from, d->from_ms) || !past_begin(call, &to, d->to_ms)) return;
    d->limit = query_limit(call, 100, DIFF_ROWS_MAX);
    d->rows = arena_new(call->a, struct moved_row, d->limit);
    if (person_id_read(http_query(call->req, S("after"), S("")), &after)) d->after_id = after.v;
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    segment_id id = segment_find(book->segments, call->params[0]);
    if (!id.v) call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(call->params[0]));
    if (id.v) compare(call, d, book->segments, book->segments->by_id[id.v], &from, &to);
    rcu_read_end();
    if (call->err) return;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", call->params[0]);
    jsonw_key_time(w, "from", d->from_ms);
    jsonw_key_time(w, "to", d->to_ms);
    jsonw_key_str(w, "identity", from.as_known ? S("now") : S("then"));
    jsonw_key_int(w, "before", d->before);
    jsonw_key_int(w, "after", d->after);
    jsonw_key_int(w, "entered", d->entered);
    jsonw_key_int(w, "left", d->left);
    jsonw_key_int(w, "stayed", d->stayed);
    print_reasons(w, "entered_because", d->entered_by, d->entered_by_n);
    print_reasons(w, "left_because", d->left_by, d->left_by_n);
    call->own = d;
    on_fold(call, answer_diff);
}

void segment_diff(struct call *call) { ask_jobs(call, diff); }
