/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c - a segment's rule as it might be, tried on the last days before it is published.
 *
 * Counts: everybody is asked both rules at a point a day, as they stood (profile/then.c).
 * Decisions: each that was made in those days and is kept is asked again, by the campaigns as they
 * are now, once with the segment as it is and once as it would be: which campaign would have spoken
 * in that placement. Both sides are answered anew, so that the difference is the rule's alone. What
 * a request's context said is not kept, and what depends on it does not hold. Contacts are those
 * decisions times the share of the placement's that were seen.
 *
 * The interval is over people, who may have many decisions each: the total over n people has
 * variance n s^2 with s that of a person's sum among all people who were decided for (the usual
 * cluster-robust error), so it tells how much the next days may differ from these.
 */
#include <math.h>

#include "base/rcu.h"
#include "fold/inside.h"

enum { CELLS_MAX = 1 << 26 };

struct row { u32 person; i64 at_ms; u16 placement; bool seen; };
struct trying {
    const struct scenario *ask;
    struct scenario_answer *answer;
    arena *a;
    struct diag *diag;
    enum err err;
    struct book *now, *then;
    struct past_identity past;                          /* who is who while everybody is asked */
    struct row *rows; isize rows_n;
};

static struct book *built(struct fold *fold, const struct definition_candidate *candidate, struct trying *t)
{
    struct definition_errors errors = { 0 };
    struct rule_names names = fold_names(fold);
    struct book *book = NULL;
    if (book_build(fold->definitions, candidate, &names, fold->live.secret, fold->ref, &book,
                   &errors)
        == ERR_OK)
        return book;
    const struct definition_error *e = &errors.at[0];
    t->err = diag_set(t->diag, ERR_REFUSED, "%.*s \"%.*s\", column %lld: %.*s", STR_FMT(e->kind),
                      STR_FMT(e->key), (long long)e->column, STR_FMT(e->message));
    book_free(book);
    return NULL;
}

static void gather(void *ctx, struct fold *fold)
{
    struct trying *t = ctx;
    const struct definition *def = definition_find(fold->definitions, S("segment"), t->ask->segment);
    if (!def || definition_published(def).len == 0) {
        t->err = diag_set(t->diag, ERR_NOT_FOUND, "there is no published segment \"%.*s\"",
                          STR_FMT(t->ask->segment));
        return;
    }
    struct definition_candidate candidate = { S("segment"), def->key, t->ask->document };
    t->now = built(fold, NULL, t);
    if (t->now) t->then = built(fold, &candidate, t);
    if (!t->then) return;
    past_owners(&t->past, fold->live.identity, t->a);
    const struct decided *d;
    t->rows = arena_new(t->a, struct row, DECIDED_MAX);
    for (isize back = 0; (d = fold_decided_at(fold, back)) && d->decision.at_ms >= t->ask->since_ms; back++) {
        u8 why = d->decision.reason;
        bool asked = d->decision.person.v && !d->decision.programme_holdout && why != REASON_PREVIEW
                     && why != REASON_UNKNOWN_PLACEMENT;
        if (!asked) continue;
        u32 person = identity_person(fold->live.identity, d->decision.person.v).v;
        t->rows[t->rows_n++] = (struct row){ person, d->decision.at_ms, d->decision.placement,
                                             d->viewed || d->clicked };
    }
}

/* The campaign that would have spoken, as the campaigns stand: -1 for none. */
static isize speaker(const struct fold *fold, const struct book *book, const struct profile *then,
                     i64 at_ms, u16 placement)
{
    const struct placement *at = NULL;
    for (isize i = 0; i < book->placements_n; i++)
        if (book->placements[i].number == placement) at = &book->placements[i];
    for (isize i = 0; at && i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        if (c->paused || !str_eq(book->placements[c->placement].family, at->family)) continue;
        struct as_of as_of = { .world = { .profile = then,
                                          .catalog = fold->live.catalog,
                                          .now_ms = at_ms,
                                          .market = c->market },
                               .set = book->segments };
        struct rule_facts facts = facts_as_of(&as_of);
        facts.no_timer = true;
        for (isize k = 0; k < c->experiences_n; k++)
            if (!c->experiences[k].target || rule_holds(rule_run(c->experiences[k].target, &facts))) return i;
    }
    return -1;
}

static void decisions(struct trying *t, struct fold *fold)
{
    struct scenario_answer *out = t->answer;
    isize n = min_isize(t->now->campaigns_n, t->then->campaigns_n);
    out->campaigns = arena_new(t->a, struct scenario_campaign, n + 1);
    out->campaigns_n = n;
    u32 most = (u32)people_most(fold->live.people);
    i32 *all = arena_new(t->a, i32, most + 1);
    bool *there = arena_new(t->a, bool, most + 1);
    f64 seen = 0;
    arena a = { 0 };
    for (isize i = 0; i < n; i++) out->campaigns[i].key = arena_str(t->a, t->now->campaigns[i].key);
    isize cells = (isize)(most + 1) * max_isize(n, 1);
    /* else the campaigns go without an interval of their own */
    bool told = cells <= CELLS_MAX;
    i32 *each = arena_new(t->a, i32, told ? cells : 1);
    for (isize i = 0; i < t->rows_n; i++) {
        const struct row *row = &t->rows[i];
        if (row->person > most) continue;
        rcu_read_begin();
        const struct profile *p = people_get(fold->live.people, (person_id){ row->person }, &a);
        const struct profile *then = p ? profile_then(p, row->at_ms, NULL, 0, &a) : NULL;
        isize was = then ? speaker(fold, t->now, then, row->at_ms, row->placement) : -1,
              would = then ? speaker(fold, t->then, then, row->at_ms, row->placement) : -1;
        rcu_read_end();
        arena_clear(&a);
        out->decisions++;
        seen += row->seen;
        there[row->person] = true;
        if (was >= 0 && was < n) out->campaigns[was].was++;
        if (would >= 0 && would < n) out->campaigns[would].would++;
        all[row->person] += (would >= 0) - (was >= 0);
        out->was += was >= 0;
        out->would += would >= 0;
        out->changed += was != would;
        if (told && was >= 0 && was < n) each[(isize)row->person * n + was]--;
        if (told && would >= 0 && would < n) each[(isize)row->person * n + would]++;
    }
    arena_fini(&a);
    for (u32 id = 1; id <= most; id++) out->people += there[id];
    out->seen_share = out->decisions ? seen / (f64)out->decisions : 0;
    for (isize k = -1; k < n; k++) {
        f64 sum = 0, square = 0, people = (f64)out->people;
        for (u32 id = 1; id <= most; id++) {
            if (!there[id]) continue;
            f64 x = k < 0 ? (f64)all[id] : told ? (f64)each[(isize)id * n + k] : 0;
            sum += x;
            square += x * x;
        }
        f64 variance = people > 1 ? (square - sum * sum / people) / (people - 1) : 0,
            error = 1.959963984540054 * sqrt(people * variance);
        struct scenario_campaign *c = k < 0 ? &out->all : &out->campaigns[k];
        c->low = k >= 0 && !told ? (f64)NAN : sum - error;
        c->high = k >= 0 && !told ? (f64)NAN : sum + error;
    }
    out->all.was = out->was;
    out->all.would = out->would;
}

struct turning { const struct trying *t; const struct rule *was, *would; const struct catalog *catalog; };
struct turned { i64 come, go; };

static void turn_person(void *ctx, void *answer, const struct swept *who, arena *a)
{
    const struct turning *q = ctx;
    struct turned *out = answer;
    i64 now_ms = q->t->ask->now_ms;
    const struct profile *p = profile_then(who->now, now_ms, who->nodes, who->nodes_n, a);
    if (!p) return;
    struct as_of at = { .world = { .profile = p, .catalog = q->catalog, .now_ms = now_ms },
                        .set = q->t->now->segments };
    struct rule_facts facts = facts_as_of(&at);
    facts.no_timer = true;
    bool in = rule_holds(rule_run(q->was, &facts));
    at.set = q->t->then->segments;
    facts = facts_as_of(&at);
    facts.no_timer = true;
    bool would_be = rule_holds(rule_run(q->would, &facts));
    out->come += would_be && !in;
    out->go += in && !would_be;
}

static void counts(struct trying *t, struct fold *fold)
{
    struct scenario_answer *out = t->answer;
    const struct catalog *catalog = fold->live.catalog;
    segment_id id = segment_find(t->now->segments, t->ask->segment);
    const struct segment *was = t->now->segments->by_id[id.v], *would = t->then->segments->by_id[id.v];
    isize days = (isize)max_i64(1, (t->ask->now_ms - t->ask->since_ms) / DAY_MS);
    struct turning q = { t, was->rule, would->rule, catalog };
    struct sweep people = { .people = fold->live.people,
                            .identity = fold->live.identity,
                            .past = &t->past,
                            .answer_size = sizeof(struct turned),
                            .each = turn_person,
                            .ctx = &q };
    void *answers[SWEEP_ANSWERS_MAX];
    out->points_n = min_isize(days, SCENARIO_POINTS_MAX - 1) + 1;
    for (isize i = 0; i < out->points_n; i++) {
        i64 at_ms = t->ask->since_ms + (t->ask->now_ms - t->ask->since_ms) * i / (out->points_n - 1);
        out->points[i] = (struct scenario_point){
            at_ms, segment_preview(&people, catalog, was->rule, t->now->segments, at_ms).count,
            segment_preview(&people, catalog, would->rule, t->then->segments, at_ms).count
        };
    }
    isize n = sweep_run(&people, t->a, answers);
    for (isize i = 0; i < n; i++) {
        out->come += ((struct turned *)answers[i])->come;
        out->go += ((struct turned *)answers[i])->go;
    }
}

enum err fold_scenario(struct fold *fold, const struct scenario *ask, arena *a,
                       struct scenario_answer *out, struct diag *diag)
{
    struct trying t = { .ask = ask, .answer = out, .a = a, .diag = diag };
    *out = (struct scenario_answer){ 0 };
    fold_ask_wait(fold, gather, &t);
    if (!t.err) {
        counts(&t, fold);
        decisions(&t, fold);
    }
    book_free(t.now);
    book_free(t.then);
    return t.err;
}
