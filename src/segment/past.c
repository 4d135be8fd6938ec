/* SPDX-License-Identifier: Apache-2.0
 *
 * past.c - everybody as they stood at an instant, and why an answer is another one now.
 *
 * The ledger's lines have the time they were written, so a join made after the instant did not hold
 * then. Of each person joined since, the joins that did hold are kept: their nodes fall into parts,
 * each of which was somebody. */
#include <stdlib.h>

#include "segment/segment.h"

/* ---- who was who ----------------------------------------------------------------------------- */

static int join_cmp(const void *x, const void *y)
{
    const struct join *a = x, *b = y;
    return a->person < b->person ? -1 : a->person > b->person;
}

struct past_identity past_of(const struct identity *identity, i64 at_ms, arena *a)
{
    struct past_identity past = { .at_ms = at_ms };
    struct map *people = map_new(64);
    isize n = 0, cap = 64;
    struct join *joins = arena_new(a, struct join, cap);
    for (u32 id = (u32)identity_links_n(identity); id >= 1; id--) {
        struct link line, made, *later = &line;
        /* the ledger is in the order of the log, whose time never runs back */
        if (!identity_link(identity, id, later) || later->at_ms <= at_ms) break;
        /* A split undoes a join that held then if it was made by then; one made later and undone is
         * as if it never was. */
        if (later->kind == LINK_SPLIT && identity_link(identity, later->undoes, &made)
            && made.at_ms <= at_ms)
            past.undone_since++;
        if (later->kind != LINK_MERGE || later->undone) continue;
        past.joined_since++;
        u32 person = identity_person(identity, later->a).v;
        if (!map_put(people, (struct hash128){ person, 1 }, 1)) continue;
        struct link links[IDENTIFIERS_PER_PERSON_MAX];
        isize links_n = identity_links(identity, (person_id){ person }, links, countof(links));
        if (n + links_n + 1 > cap) {
            struct join *more = arena_new(a, struct join, 2 * (n + links_n + 1));
            memcpy(more, joins, (size_t)n * sizeof *joins);
            joins = more;
            cap = 2 * (n + links_n + 1);
        }
        joins[n++] = (struct join){ person, 0, 0 };
        for (isize i = 0; i < links_n; i++)
            if (links[i].kind == LINK_MERGE && !links[i].undone && links[i].at_ms <= at_ms)
                joins[n++] = (struct join){ person, links[i].a, links[i].b };
    }
    map_free(people);
    qsort(joins, (size_t)n, sizeof *joins, join_cmp);
    past.joins = joins;
    past.joins_n = n;
    return past;
}

static isize first_join(const struct past_identity *past, u32 person)
{
    isize low = 0, high = past->joins_n;
    while (low < high) {
        isize mid = low + (high - low) / 2;
        if (past->joins[mid].person < person) low = mid + 1;
        else high = mid;
    }
    return low;
}

void past_owners(struct past_identity *past, const struct identity *identity, arena *a)
{
    past->people = (u32)identity_people(identity);
    u32 *owner = arena_room(a, u32, (isize)past->people + 1);
    owner[0] = 0;
    for (u32 node = 1; node <= past->people; node++) owner[node] = identity_person(identity, node).v;
    past->owner = owner;
}

isize past_people(const struct past_identity *past, const struct swept *who, arena *a,
                  const struct profile **out, isize max)
{
    const struct profile *p = who->now;
    isize at = first_join(past, who->id.v);
    if (at == past->joins_n || past->joins[at].person != who->id.v) {
        out[0] = max > 0 ? profile_then_by(p, past->at_ms, who->nodes, who->nodes_n, past->facts, a) : NULL;
        return max > 0 && out[0] ? 1 : 0;
    }
    const u32 *of = who->nodes ? who->nodes : p->nodes;
    isize part[NODES_PER_PERSON_MAX],
        nodes_n = min_isize(who->nodes ? who->nodes_n : p->nodes_n, NODES_PER_PERSON_MAX);
    for (isize i = 0; i < nodes_n; i++) part[i] = i;
    for (; at < past->joins_n && past->joins[at].person == who->id.v; at++) {
        isize x = -1, y = -1;
        for (isize i = 0; i < nodes_n; i++) {
            if (of[i] == past->joins[at].a) x = part[i];
            if (of[i] == past->joins[at].b) y = part[i];
        }
        for (isize i = 0; x >= 0 && y >= 0 && i < nodes_n; i++)
            if (part[i] == x) part[i] = y;
    }
    isize n = 0;
    for (isize k = 0; k < nodes_n && n < max; k++) {
        u32 *nodes = arena_new(a, u32, nodes_n);
        isize nodes_here = 0;
        for (isize i = 0; i < nodes_n; i++)
            if (part[i] == k) nodes[nodes_here++] = of[i];
        const struct profile *then =
            nodes_here ? profile_then_by(p, past->at_ms, nodes, nodes_here, past->facts, a) : NULL;
        if (then) out[n++] = then;
    }
    return n;
}

/* ---- what they were in ----------------------------------------------------------------------- */

struct standing_in { const struct segment_set *set; const bool *in; };

static enum tri found_in(const void *ctx, segment_id id)
{
    const struct standing_in *s = ctx;
    const struct segment *segment = id.v < SEGMENTS_MAX ? s->set->by_id[id.v] : NULL;
    return segment && s->in[segment - s->set->at] ? TRI_TRUE : TRI_FALSE;
}

void past_segments(const struct segment_set *set, const struct catalog *catalog,
                   const struct profile *p, i64 at_ms, arena *a, bool *in)
{
    struct likings likings = profile_likings(p, catalog, at_ms, a);
    struct rule_index index;
    likings.names = likings_names(&likings, catalog, a);
    struct profile_world world = {
        .profile = p, .catalog = catalog, .now_ms = at_ms, .zone = set->zone, .likings = &likings
    };
    struct standing_in standing = { set, in };
    struct rule_facts facts = profile_facts(&world);
    rule_index_build(facts.history, facts.history_n, a, &index);
    facts.index = &index;
    facts.segment_ctx = &standing;
    facts.in_segment = found_in;
    facts.no_timer = true;
    for (isize i = 0; i < set->n; i++) in[i] = false;
    for (isize i = 0; i < set->n; i++) in[i] = rule_holds(rule_run(set->at[i].rule, &facts));
}

/* ---- how many were in what ------------------------------------------------------------------- */

struct counting {
    const struct past_identity *past;
    const struct segment_set *set;
    const struct catalog *catalog;
    const isize *chosen;
    isize n;
    bool pairs;
};
struct counted { i64 people, beyond, all, at[]; };      /* in each, then in each two */

/* Whether what moved out of the hot history may have mattered at that instant: of what it holds now
 * nothing is older. */
static bool beyond_history(const struct profile *p, i64 at_ms)
{
    return p->older_events > 0 && (p->history_n == 0 || p->history[0].at_ms > at_ms - 365 * DAY_MS);
}

static void chosen_in(const struct counting *c, const struct profile *then, bool *in)
{
    struct as_of at = { { .profile = then, .catalog = c->catalog, .now_ms = c->past->at_ms }, c->set, 0 };
    struct rule_facts facts = facts_as_of(&at);
    facts.no_timer = true;
    for (isize i = 0; i < c->n; i++) in[i] = rule_holds(rule_run(c->set->at[c->chosen[i]].rule, &facts));
}

static void count_person(void *ctx, void *answer, const struct swept *who, arena *a)
{
    const struct counting *c = ctx;
    struct counted *out = answer;
    const struct profile *parts[NODES_PER_PERSON_MAX];
    if (who->now->created_at_ms > c->past->at_ms) return;
    isize n = past_people(c->past, who, a, parts, countof(parts));
    bool *in = arena_new(a, bool, c->n + c->set->n + 1), *all = in + c->n;
    out->beyond += n > 0 && beyond_history(who->now, c->past->at_ms);
    for (isize k = 0; k < n; k++) {
        if (c->n < c->set->n) {
            chosen_in(c, parts[k], in);
        } else { /* each is asked anyway: those that others name, once */
            past_segments(c->set, c->catalog, parts[k], c->past->at_ms, a, all);
            for (isize i = 0; i < c->n; i++) in[i] = all[c->chosen[i]];
        }
        isize holds = 0;
        out->people++;
        for (isize i = 0; i < c->n; i++) {
            if (!in[i]) continue;
            holds++;
            out->at[i]++;
            for (isize j = i + 1; c->pairs && j < c->n; j++) out->at[c->n + i * c->n + j] += in[j];
        }
        out->all += holds == c->n;
    }
}

struct past_counts past_count(const struct sweep *people, const struct segment_set *set,
                              const struct catalog *catalog, const isize *chosen, isize n,
                              bool pairs, arena *a)
{
    struct past_counts sum = { .of = arena_new(a, i64, n + 1), .pair = arena_new(a, i64, pairs ? n * n : 1) };
    struct counting c = { people->past, set, catalog, chosen, n, pairs };
    struct sweep s = *people;
    void *answers[SWEEP_ANSWERS_MAX];
    s.answer_size = (isize)sizeof(struct counted) + (pairs ? n + n * n : n) * (isize)sizeof(i64);
    s.each = count_person;
    s.ctx = &c;
    isize answers_n = sweep_run(&s, a, answers);
    for (isize k = 0; k < answers_n; k++) {
        const struct counted *one = answers[k];
        sum.people += one->people;
        sum.beyond += one->beyond;
        sum.all += one->all;
        for (isize i = 0; i < n; i++) sum.of[i] += one->at[i];
        for (isize i = 0; pairs && i < n * n; i++) sum.pair[i] += one->at[n + i];
    }
    return sum;
}

/* ---- who moved ------------------------------------------------------------------------------- */

struct moving {
    const struct past_identity *from, *to;
    const struct segment_set *set;
    const struct catalog *catalog;
    const struct rule *rule;
};
struct moved { struct past_moved sum; isize cap; };

bool past_held(const struct past_identity *past, const struct segment_set *set,
               const struct catalog *catalog, const struct rule *rule, const struct swept *who,
               arena *a, const struct profile **as)
{
    const struct profile *parts[NODES_PER_PERSON_MAX];
    isize n = who->now->created_at_ms > past->at_ms ? 0 : past_people(past, who, a, parts, countof(parts));
    *as = n ? parts[0] : NULL;
    for (isize i = 0; i < n; i++) {
        struct as_of at = { { .profile = parts[i], .catalog = catalog, .now_ms = past->at_ms }, set, 0 };
        struct rule_facts facts = facts_as_of(&at);
        facts.no_timer = true;
        if (!rule_holds(rule_run(rule, &facts))) continue;
        *as = parts[i];
        return true;
    }
    return false;
}

static void move_person(void *ctx, void *answer, const struct swept *who, arena *a)
{
    const struct moving *m = ctx;
    struct moved *out = answer;
    const struct profile *as;
    bool was = past_held(m->from, m->set, m->catalog, m->rule, who, a, &as),
         is = past_held(m->to, m->set, m->catalog, m->rule, who, a, &as);
    out->sum.before += was;
    out->sum.after += is;
    out->sum.stayed += was && is;
    out->sum.entered += is && !was;
    out->sum.left += was && !is;
    if (was == is) return;
    if (out->sum.n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        out->sum.ids = mem_grow(out->sum.ids, out->cap * (isize)sizeof *out->sum.ids);
    }
    out->sum.ids[out->sum.n++] = who->id.v;
}

static int id_cmp(const void *x, const void *y)
{
    u32 a = *(const u32 *)x, b = *(const u32 *)y;
    return (a > b) - (a < b);
}

struct past_moved past_move(const struct sweep *people, const struct past_identity *from,
                            const struct past_identity *to, const struct segment_set *set,
                            const struct catalog *catalog, const struct rule *rule, arena *a)
{
    struct moving m = { from, to, set, catalog, rule };
    struct past_moved sum = { 0 };
    struct sweep s = *people;
    void *answers[SWEEP_ANSWERS_MAX];
    s.past = to;
    s.answer_size = sizeof(struct moved);
    s.each = move_person;
    /* of the earlier: what it needs may be older */
    s.need = rule_needs(rule, min_i64(from->at_ms, to->at_ms));
    s.ctx = &m;
    isize n = sweep_run(&s, a, answers);
    for (isize k = 0; k < n; k++) sum.n += ((struct moved *)answers[k])->sum.n;
    sum.ids = mem_new(max_isize(sum.n, 1) * (isize)sizeof *sum.ids);
    sum.n = 0;
    for (isize k = 0; k < n; k++) {
        struct past_moved one = ((struct moved *)answers[k])->sum;
        sum.before += one.before;
        sum.after += one.after;
        sum.stayed += one.stayed;
        sum.entered += one.entered;
        sum.left += one.left;
        if (one.n) memcpy(sum.ids + sum.n, one.ids, (size_t)one.n * sizeof *one.ids);
        sum.n += one.n;
        mem_free(one.ids);
    }
    qsort(sum.ids, (size_t)sum.n, sizeof *sum.ids, id_cmp);
    return sum;
}

/* ---- why it turned --------------------------------------------------------------------------- */

struct turns { struct turn *at; isize n, cap; };
enum { TURNS_MAX = 16 };

// NOLINTNEXTLINE(misc-no-recursion): as deep as rules nest, RULE_DEPTH_MAX at most
static void turn(struct turns *t, const struct rule_trace *was, const struct rule_trace *is)
{
    if (t->n == t->cap || (was && is && was->is == is->is)) return;
    isize n = max_isize(was ? was->children_n : 0, is ? is->children_n : 0);
    if (n == 0) t->at[t->n++] = (struct turn){ was, is };
    for (isize i = 0; i < n; i++) {
        const struct rule_trace *before = was && i < was->children_n ? &was->children[i] : NULL;
        const struct rule_trace *after = is && i < is->children_n ? &is->children[i] : NULL;
        turn(t, before, after);
    }
}

isize rule_turns(const struct rule_trace *was, const struct rule_trace *is, arena *a, const struct turn **out)
{
    struct turns t = { arena_new(a, struct turn, TURNS_MAX), 0, TURNS_MAX };
    turn(&t, was, is);
    *out = t.at;
    return t.n;
}
