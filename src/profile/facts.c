/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c - what a fact was at an instant, when it was said again since.
 *
 * A profile keeps the newest of each fact: what it was before stands in the log. A question about
 * the past notes which facts it lacks (past_facts_want), somebody reads the log and offers what was
 * said there (past_facts_offer), and profile_then_by fills them in. A fact is one by name, origin
 * and the part of a person it belongs to, as in a profile; of those said by the instant the latest
 * counts, by the time it was said, and of equal times the one that came last. So taking in events
 * costs nothing for it. */
#include "profile/profile.h"

struct past_fact { struct trait trait; u64 ref; bool found; };
struct past_facts {
    i64 at_ms;
    struct map *by_key;
    struct { struct past_fact *at; isize n, cap; } all;
    isize found;
    bool full;
};

struct past_facts *past_facts_new(i64 at_ms)
{
    struct past_facts *f = mem_new(sizeof *f);
    f->at_ms = at_ms;
    f->by_key = map_new(64);
    return f;
}

static void forget(struct trait *t)
{
    mem_free_str(t->fact.text);
    mem_free_str(t->source);
}

void past_facts_free(struct past_facts *f)
{
    if (!f) return;
    for (isize i = 0; i < f->all.n; i++) {
        mem_free_str(f->all.at[i].trait.fact.name);
        if (f->all.at[i].found) forget(&f->all.at[i].trait);
    }
    vec_fini(&f->all);
    map_free(f->by_key);
    mem_free(f);
}

static struct hash128 key_of(const struct trait *t)
{
    return hash128(t->fact.name, (u64)t->node << 8 | t->origin);
}

void past_facts_want(struct past_facts *f, const struct profile *p)
{
    for (isize i = 0; i < p->traits_n; i++) {
        const struct trait *t = &p->traits[i];
        if (t->at_ms <= f->at_ms || map_get(f->by_key, key_of(t), 0)) continue;
        f->full |= f->all.n == PAST_FACTS_MAX;
        if (f->full) return;
        struct trait wanted = { .fact = { .name = mem_str(t->fact.name) },
                                .node = t->node,
                                .origin = t->origin };
        vec_push(&f->all, (struct past_fact){ .trait = wanted });
        (void)map_put(f->by_key, key_of(t), (u64)f->all.n);
    }
}

void past_facts_offer(struct past_facts *f, const struct trait *t, u64 ref)
{
    u64 at = t->at_ms <= f->at_ms ? map_get(f->by_key, key_of(t), 0) : 0;
    struct past_fact *kept = at ? &f->all.at[at - 1] : NULL;
    if (!kept || !str_eq(kept->trait.fact.name, t->fact.name)) return;
    bool newer = !kept->found || t->at_ms > kept->trait.at_ms
                 || (t->at_ms == kept->trait.at_ms && ref > kept->ref);
    if (!newer) return;
    str name = kept->trait.fact.name;
    if (kept->found) forget(&kept->trait);
    f->found += !kept->found;
    kept->trait = *t;
    kept->trait.fact.name = name;
    kept->trait.fact.text = mem_str(t->fact.text);
    kept->trait.source = mem_str(t->source);
    kept->ref = ref;
    kept->found = true;
}

const struct trait *past_facts_get(const struct past_facts *f, const struct trait *now)
{
    u64 at = f ? map_get(f->by_key, key_of(now), 0) : 0;
    return at && f->all.at[at - 1].found ? &f->all.at[at - 1].trait : NULL;
}

isize past_facts_wanted(const struct past_facts *f) { return f->all.n; }
isize past_facts_found(const struct past_facts *f) { return f->found; }
bool past_facts_full(const struct past_facts *f) { return f->full; }
i64 past_facts_at(const struct past_facts *f) { return f->at_ms; }
