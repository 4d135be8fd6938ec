/* SPDX-License-Identifier: Apache-2.0
 *
 * past.c - everybody as they stood at an instant, and why an answer is another one now.
 *
 * The ledger's lines have the time they were written, so a join made after the instant did not hold then. Of each person joined since,
 * the joins that did hold are kept: their nodes fall into parts, each of which was somebody. */
#include <stdlib.h>

#include "segment/segment.h"

/* ---- who was who ------------------------------------------------------------------------------------- */

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
        const struct link *later = identity_link(identity, id);
        if (later->at_ms <= at_ms) break;               /* the ledger is in the order of the log, whose time never runs back */
        if (later->kind != LINK_MERGE) continue;
        if (later->undone) { past.undone_since++; continue; }
        past.joined_since++;
        u32 person = identity_person(identity, later->a).v;
        if (!map_put(people, (struct hash128){ person, 1 }, 1)) continue;
        const struct link *links[IDENTIFIERS_PER_PERSON_MAX];
        isize links_n = identity_links(identity, (person_id){ person }, links, countof(links));
        if (n + links_n + 1 > cap) {
            struct join *more = arena_new(a, struct join, 2 * (n + links_n + 1));
            memcpy(more, joins, (size_t)n * sizeof *joins);
            joins = more;
            cap = 2 * (n + links_n + 1);
        }
        joins[n++] = (struct join){ person, 0, 0 };
        for (isize i = 0; i < links_n; i++)
            if (links[i]->kind == LINK_MERGE && !links[i]->undone && links[i]->at_ms <= at_ms)
                joins[n++] = (struct join){ person, links[i]->a, links[i]->b };
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

isize past_people(const struct past_identity *past, const struct profile *p, arena *a, const struct profile **out, isize max)
{
    isize at = first_join(past, p->id.v);
    if (at == past->joins_n || past->joins[at].person != p->id.v) {
        out[0] = max > 0 ? profile_then(p, past->at_ms, NULL, 0, a) : NULL;
        return max > 0 && out[0] ? 1 : 0;
    }
    isize part[NODES_PER_PERSON_MAX], nodes_n = min_isize(p->nodes_n, NODES_PER_PERSON_MAX);
    for (isize i = 0; i < nodes_n; i++) part[i] = i;
    for (; at < past->joins_n && past->joins[at].person == p->id.v; at++) {
        isize x = -1, y = -1;
        for (isize i = 0; i < nodes_n; i++) {
            if (p->nodes[i] == past->joins[at].a) x = part[i];
            if (p->nodes[i] == past->joins[at].b) y = part[i];
        }
        for (isize i = 0; x >= 0 && y >= 0 && i < nodes_n; i++)
            if (part[i] == x) part[i] = y;
    }
    isize n = 0;
    for (isize k = 0; k < nodes_n && n < max; k++) {
        u32 *nodes = arena_new(a, u32, nodes_n);
        isize nodes_here = 0;
        for (isize i = 0; i < nodes_n; i++)
            if (part[i] == k) nodes[nodes_here++] = p->nodes[i];
        const struct profile *then = nodes_here ? profile_then(p, past->at_ms, nodes, nodes_here, a) : NULL;
        if (then) out[n++] = then;
    }
    return n;
}

/* ---- what they were in --------------------------------------------------------------------------------- */

struct standing_in { const struct segment_set *set; const bool *in; };

static enum tri found_in(const void *ctx, segment_id id)
{
    const struct standing_in *s = ctx;
    const struct segment *segment = id.v < SEGMENTS_MAX ? s->set->by_id[id.v] : NULL;
    return segment && s->in[segment - s->set->at] ? TRI_TRUE : TRI_FALSE;
}

void past_segments(const struct segment_set *set, const struct catalog *catalog, const struct profile *p, i64 at_ms, bool *in)
{
    struct profile_world world = { .profile = p, .catalog = catalog, .now_ms = at_ms, .zone = set->zone };
    struct standing_in standing = { set, in };
    struct rule_facts facts = profile_facts(&world);
    facts.segment_ctx = &standing;
    facts.in_segment = found_in;
    facts.no_timer = true;
    for (isize i = 0; i < set->n; i++) in[i] = false;
    for (isize i = 0; i < set->n; i++) in[i] = rule_holds(rule_run(set->at[i].rule, &facts));
}

/* ---- why it turned ---------------------------------------------------------------------------------------- */

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
