/* SPDX-License-Identifier: Apache-2.0
 *
 * then.c - a person as they stood at another instant: what was said or done later is not there yet.
 *
 * A profile keeps the newest value of a fact with its time. One that was said again since is
 * unknown as of before that: what it was then stands in the log alone, and comes from there when
 * somebody has read it (facts.c). Nobody is copied of whom nothing is later. */
#include "profile/profile.h"

static bool has_node(const struct profile *p, u8 index, const u32 *nodes, isize n)
{
    if (!nodes) return true;
    for (isize i = 0; i < n; i++)
        if (index < p->nodes_n && p->nodes[index] == nodes[i]) return true;
    return false;
}

static bool is_node(u32 node, const u32 *nodes, isize n)
{
    for (isize i = 0; i < n; i++)
        if (nodes[i] == node) return true;
    return !nodes;
}

static bool all_by(const struct profile *p, i64 at_ms)
{
    if (p->history_n && p->history[p->history_n - 1].at_ms > at_ms) return false;
    for (isize i = 0; i < p->traits_n; i++)
        if (p->traits[i].at_ms > at_ms) return false;
    for (isize i = 0; i < p->consents_n; i++)
        if (p->consents[i].at_ms > at_ms) return false;
    return true;
}

const struct profile *profile_then_by(const struct profile *p, i64 at_ms, const u32 *nodes,
                                      isize nodes_n, const struct past_facts *facts, arena *a)
{
    if (p->created_at_ms > at_ms) return NULL;
    if (!nodes && all_by(p, at_ms)) return p;
    struct profile *then = arena_new(a, struct profile, 1);
    *then = *p;
    isize n = 0;
    if (nodes) {
        struct history_entry *history = arena_new(a, struct history_entry, p->history_n + 1);
        for (isize i = 0; i < p->history_n && p->history[i].at_ms <= at_ms; i++)
            if (has_node(p, p->history[i].node, nodes, nodes_n)) history[n++] = p->history[i];
        then->history = history;
        then->history_n = n;
    } else {
        while (then->history_n && then->history[then->history_n - 1].at_ms > at_ms) then->history_n--;
    }
    struct trait *traits = arena_new(a, struct trait, p->traits_n + 1);
    n = 0;
    for (isize i = 0; i < p->traits_n; i++) {
        if (is_node(p->traits[i].node, nodes, nodes_n)) {
            const struct trait *t =
                p->traits[i].at_ms <= at_ms ? &p->traits[i] : past_facts_get(facts, &p->traits[i]);
            if (t) traits[n++] = *t;
        }
    }
    then->traits = traits;
    then->traits_n = n;
    struct consent_entry *consents = arena_new(a, struct consent_entry, p->consents_n + 1);
    n = 0;
    for (isize i = 0; i < p->consents_n; i++)
        if (p->consents[i].at_ms <= at_ms) consents[n++] = p->consents[i];
    then->consents = consents;
    then->consents_n = n;
    then->memberships_n = 0;                              /* those are of now; rules say who was in what */
    if (then->scores && then->scores->at_ms > at_ms) then->scores = NULL;
    if (then->history_n) then->last_at_ms = then->history[then->history_n - 1].at_ms;
    else then->last_at_ms = min_i64(p->last_at_ms, at_ms);
    bool there = !nodes || then->history_n || then->traits_n;
    return there ? then : NULL;
}

const struct profile *profile_then(const struct profile *p, i64 at_ms, const u32 *nodes,
                                   isize nodes_n, arena *a)
{
    return profile_then_by(p, at_ms, nodes, nodes_n, NULL, a);
}
