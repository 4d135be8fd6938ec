/* SPDX-License-Identifier: Apache-2.0
 *
 * people.c - every person's profile, in RAM, and the making of the next version of one.
 *
 * A version is one block: struct profile, its arrays, then their strings. The history stands in a
 * block of its own with room to spare: a version that only adds at the end writes behind the
 * count its readers know and shares the block; any other change makes a new one. Old blocks are
 * given back after a grace period.
 *
 * The digest is the sum of each person's hash; a changed person is on the dirty list, and the sum
 * is brought up to date when somebody asks, so ten events of one visit cost one hash.
 */
#include "profile/profile.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/rcu.h"

enum { CHUNK = 1 << 14, CHUNKS_MAX = 1 << 15, HISTORY_SPARE = 4 };

/* `types` and `newest_ms` are a skim of the history, in one row with everybody else's: bits of what it holds (types 64 apart share one; what moved
 * out of it stays), and the time of its last entry. Questions to everybody pass over most people by it. */
struct slot { _Atomic(const struct profile *) profile; _Atomic u64 types; _Atomic i64 newest_ms; struct hash128 digest; bool dirty, stale; };
struct history { isize cap; struct history_entry entries[]; };

struct people {
    _Atomic(struct slot *) chunks[CHUNKS_MAX];
    _Atomic u32 most;
    _Atomic i64 count, known;
    struct { person_id *at; isize n, cap; } dirty, stale;
    isize page_at;
    struct { struct history_page *at; isize n, cap; } pages;
    struct hash128 digest;
};

struct people *people_new(void) { return mem_new(sizeof(struct people)); }

static struct history *history_of(const struct profile *p)
{
    return (struct history *)(void *)((char *)(uintptr_t)p->history - offsetof(struct history, entries));
}

static void profile_free(void *p)
{
    mem_free(history_of(p));
    mem_free(p);
}

static struct slot *slot_at(const struct people *people, person_id id)
{
    if (id.v == 0 || id.v / CHUNK >= CHUNKS_MAX) return NULL;
    struct slot *chunk = atomic_load_explicit(&people->chunks[id.v / CHUNK], memory_order_acquire);
    return chunk ? &chunk[id.v % CHUNK] : NULL;
}

void people_free(struct people *people)
{
    if (!people) return;
    for (isize i = 0; i < CHUNKS_MAX; i++) {
        struct slot *chunk = atomic_load(&people->chunks[i]);
        for (isize j = 0; chunk && j < CHUNK; j++) {
            const struct profile *p = atomic_load(&chunk[j].profile);
            if (p) profile_free((void *)(uintptr_t)p);
        }
        mem_free(chunk);
    }
    for (; people->page_at < people->pages.n; people->page_at++) mem_free(people->pages.at[people->page_at].entries);
    vec_fini(&people->dirty);
    vec_fini(&people->stale);
    vec_fini(&people->pages);
    mem_free(people);
}

const struct profile *people_get(const struct people *people, person_id id)
{
    struct slot *slot = slot_at(people, id);
    return slot ? atomic_load_explicit(&slot->profile, memory_order_acquire) : NULL;
}

bool people_may(const struct people *people, person_id id, u64 types, i64 since_ms)
{
    const struct slot *slot = slot_at(people, id);
    return slot && atomic_load_explicit(&slot->types, memory_order_relaxed) & types
        && atomic_load_explicit(&slot->newest_ms, memory_order_relaxed) > since_ms;
}

isize people_most(const struct people *people) { return atomic_load(&people->most); }
isize people_count(const struct people *people) { return atomic_load(&people->count); }
isize people_known(const struct people *people) { return atomic_load(&people->known); }

/* ---- editing -------------------------------------------------------------------------------- */

#define edit_list(list, T, from, from_n, a)                                                 \
    do {                                                                                    \
        (list).n = (from_n);                                                                \
        (list).cap = (from_n) + 4;                                                          \
        (list).at = arena_new((a), T, (list).cap);                                          \
        if ((from_n) > 0) memcpy((list).at, (from), (size_t)(from_n) * sizeof(T));          \
    } while (0)

#define edit_push(list, a, T, ...)                                                          \
    do {                                                                                    \
        if ((list).n == (list).cap) {                                                       \
            isize cap_ = (list).cap ? (list).cap * 2 : 8;                                   \
            T *wide_ = arena_new((a), T, cap_);                                             \
            if ((list).n) memcpy(wide_, (list).at, (size_t)(list).n * sizeof(T));           \
            (list).at = wide_;                                                              \
            (list).cap = cap_;                                                              \
        }                                                                                   \
        (list).at[(list).n++] = (__VA_ARGS__);                                              \
    } while (0)

void people_edit(struct people *people, person_id id, arena *a, struct profile_edit *out)
{
    assert(id.v > 0);
    const struct profile *p = people_get(people, id);
    *out = (struct profile_edit){ .id = id, .before = p };
    if (!p) return;
    out->created_at_ms = p->created_at_ms;
    out->last_at_ms = p->last_at_ms;
    out->older_events = p->older_events;
    out->bucketing_id = p->bucketing_id;
    out->known = p->known;
    if (p->scores) edit_scores(out, a, p->scores);
    edit_list(out->nodes, u32, p->nodes, p->nodes_n, a);
    edit_list(out->traits, struct trait, p->traits, p->traits_n, a);
    edit_list(out->consents, struct consent_entry, p->consents, p->consents_n, a);
    edit_list(out->memberships, struct membership, p->memberships, p->memberships_n, a);
    edit_list(out->exposures, struct exposure, p->exposures, p->exposures_n, a);
}

void edit_scores(struct profile_edit *edit, arena *a, const struct scores *scores)
{
    edit->scores = arena_new(a, struct scores, 1);
    *edit->scores = *scores;
}

void edit_history(struct profile_edit *edit, arena *a)
{
    if (edit->history_replaced) return;
    edit->history_replaced = true;
    if (edit->before) edit_list(edit->history, struct history_entry, edit->before->history, edit->before->history_n, a);
}

static void renumber(struct history_entry *at, isize n, isize from_index)
{
    for (isize i = 0; i < n; i++)
        if (at[i].node >= from_index) at[i].node++;
}

/* Nodes stay ascending, so that the same facts always have the same bytes; a node that comes in between moves the
 * numbers behind it. */
u8 edit_node(struct profile_edit *edit, u32 node, arena *a)
{
    isize i = 0;
    while (i < edit->nodes.n && edit->nodes.at[i] < node) i++;
    if (i < edit->nodes.n && edit->nodes.at[i] == node) return (u8)i;
    assert(edit->nodes.n < NODES_PER_PERSON_MAX);
    bool between = i < edit->nodes.n;
    edit_push(edit->nodes, a, u32, 0);
    memmove(edit->nodes.at + i + 1, edit->nodes.at + i, (size_t)(edit->nodes.n - 1 - i) * sizeof(u32));
    edit->nodes.at[i] = node;
    if (between) {
        edit_history(edit, a);
        renumber(edit->history.at, edit->history.n, i);
        renumber(edit->added.at, edit->added.n, i);
    }
    return (u8)i;
}

static int trait_cmp(const struct trait *x, const struct trait *y)
{
    int c = str_cmp(x->fact.name, y->fact.name);
    if (c) return c;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return (int)x->origin - (int)y->origin;
}

void edit_trait(struct profile_edit *edit, arena *a, struct trait trait)
{
    isize i = 0;
    while (i < edit->traits.n && trait_cmp(&edit->traits.at[i], &trait) < 0) i++;
    bool same = i < edit->traits.n && trait_cmp(&edit->traits.at[i], &trait) == 0;
    if (same) {
        if (edit->traits.at[i].at_ms <= trait.at_ms) edit->traits.at[i] = trait;
        return;
    }
    if (edit->traits.n >= EVENT_TRAITS_MAX) return;
    edit_push(edit->traits, a, struct trait, trait);
    memmove(edit->traits.at + i + 1, edit->traits.at + i, (size_t)(edit->traits.n - 1 - i) * sizeof trait);
    edit->traits.at[i] = trait;
}

static int consent_cmp(const struct consent_entry *x, const struct consent_entry *y)
{
    if (x->purpose != y->purpose) return x->purpose - y->purpose;
    return x->node < y->node ? -1 : x->node > y->node;
}

void edit_consent(struct profile_edit *edit, arena *a, struct consent_entry entry)
{
    isize i = 0;
    while (i < edit->consents.n && consent_cmp(&edit->consents.at[i], &entry) < 0) i++;
    bool same = i < edit->consents.n && consent_cmp(&edit->consents.at[i], &entry) == 0;
    if (same) {
        if (edit->consents.at[i].at_ms <= entry.at_ms) edit->consents.at[i] = entry;
        return;
    }
    edit_push(edit->consents, a, struct consent_entry, entry);
    memmove(edit->consents.at + i + 1, edit->consents.at + i, (size_t)(edit->consents.n - 1 - i) * sizeof entry);
    edit->consents.at[i] = entry;
}

void edit_entry(struct profile_edit *edit, arena *a, struct history_entry entry)
{
    edit_push(edit->added, a, struct history_entry, entry);
    if (!history_is_move(&entry)) edit->last_at_ms = max_i64(edit->last_at_ms, entry.at_ms);
}

void edit_absorb(struct profile_edit *into, const struct profile *other, arena *a)
{
    u8 index[NODES_PER_PERSON_MAX];
    for (isize i = 0; i < other->nodes_n; i++) (void)edit_node(into, other->nodes[i], a);
    for (isize i = 0; i < other->nodes_n; i++) index[i] = edit_node(into, other->nodes[i], a);
    for (isize i = 0; i < other->history_n; i++) {
        struct history_entry entry = other->history[i];
        entry.node = index[entry.node];
        edit_entry(into, a, entry);
    }
    for (isize i = 0; i < other->traits_n; i++) edit_trait(into, a, other->traits[i]);
    for (isize i = 0; i < other->consents_n; i++) edit_consent(into, a, other->consents[i]);
    for (isize i = 0; i < other->exposures_n; i++) edit_push(into->exposures, a, struct exposure, other->exposures[i]);
    bool first = into->created_at_ms == 0 || other->created_at_ms < into->created_at_ms;
    if (first) into->created_at_ms = other->created_at_ms;
    if (into->bucketing_id.len == 0) into->bucketing_id = other->bucketing_id;
    if (!into->scores && other->scores) edit_scores(into, a, other->scores);      /* until the next run */
    into->older_events += other->older_events;
    into->known |= other->known;
    into->last_at_ms = max_i64(into->last_at_ms, other->last_at_ms);
}

static isize node_index(const u32 *nodes, isize n, u32 node)
{
    for (isize i = 0; i < n; i++)
        if (nodes[i] == node) return i;
    return -1;
}

static isize keep_entries(struct profile_edit *edit, struct history_entry *at, isize n, const u32 *keep, isize keep_n)
{
    isize kept = 0;
    for (isize i = 0; i < n; i++) {
        struct history_entry entry = at[i];
        isize index = node_index(keep, keep_n, edit->nodes.at[entry.node]);
        if (index < 0) continue;
        entry.node = (u8)index;
        at[kept++] = entry;
        if (!history_is_move(&entry)) edit->last_at_ms = max_i64(edit->last_at_ms, entry.at_ms);
    }
    return kept;
}

void edit_keep_nodes(struct profile_edit *edit, const u32 *keep, isize keep_n, arena *a)
{
    isize n;
    edit_history(edit, a);
    edit->last_at_ms = 0;
    edit->history.n = keep_entries(edit, edit->history.at, edit->history.n, keep, keep_n);
    edit->added.n = keep_entries(edit, edit->added.at, edit->added.n, keep, keep_n);       /* what was absorbed lies there */
    n = 0;
    for (isize i = 0; i < edit->traits.n; i++)
        if (node_index(keep, keep_n, edit->traits.at[i].node) >= 0) edit->traits.at[n++] = edit->traits.at[i];
    edit->traits.n = n;
    n = 0;
    for (isize i = 0; i < edit->consents.n; i++)
        if (node_index(keep, keep_n, edit->consents.at[i].node) >= 0) edit->consents.at[n++] = edit->consents.at[i];
    edit->consents.n = n;
    n = 0;
    for (isize i = 0; i < edit->exposures.n; i++)
        if (node_index(keep, keep_n, edit->exposures.at[i].node) >= 0) edit->exposures.at[n++] = edit->exposures.at[i];
    edit->exposures.n = n;
    edit->scores = NULL;                                /* they were of the whole person */
    edit->nodes.n = 0;
    for (isize i = 0; i < keep_n; i++) edit_push(edit->nodes, a, u32, keep[i]);
}

/* ---- committing ------------------------------------------------------------------------------ */

static int entry_order(const void *x, const void *y) { return history_cmp(x, y); }

static struct history *history_new(isize n)
{
    isize cap = n + max_isize(HISTORY_SPARE, n / 4);
    struct history *h = mem_new((isize)sizeof *h + cap * (isize)sizeof h->entries[0]);
    h->cap = cap;
    return h;
}

/* Old and added, both in order, into one. */
static struct history *history_merge(const struct history_entry *old, isize old_n,
                                     const struct history_entry *added, isize added_n)
{
    struct history *h = history_new(old_n + added_n);
    isize i = 0, j = 0, n = 0;
    while (i < old_n || j < added_n) {
        bool take_old = j == added_n || (i < old_n && history_cmp(&old[i], &added[j]) <= 0);
        h->entries[n++] = take_old ? old[i++] : added[j++];
    }
    return h;
}

static bool adds_at_end(const struct profile_edit *edit, const struct history *h)
{
    const struct profile *p = edit->before;
    if (p->history_n + edit->added.n > h->cap) return false;
    bool after = p->history_n == 0 || edit->added.n == 0
              || history_cmp(&p->history[p->history_n - 1], &edit->added.at[0]) <= 0;
    return after;
}

static void page_out(struct people *people, person_id id, struct history *h, isize *n, isize most, i64 *older)
{
    if (*n <= most) return;
    isize gone = *n - most * 3 / 4;
    struct history_entry *entries = mem_new(gone * (isize)sizeof *entries);
    memcpy(entries, h->entries, (size_t)gone * sizeof *entries);
    vec_push(&people->pages, (struct history_page){ id, entries, gone });
    memmove(h->entries, h->entries + gone, (size_t)(*n - gone) * sizeof *entries);
    *n -= gone;
    *older += gone;
}

static struct history *history_next(struct people *people, struct profile_edit *edit, isize history_max, isize *n)
{
    if (edit->added.n > 1)
        qsort(edit->added.at, (size_t)edit->added.n, sizeof *edit->added.at, entry_order);
    const struct history_entry *old = edit->history_replaced ? edit->history.at
                                    : edit->before ? edit->before->history : NULL;
    isize old_n = edit->history_replaced ? edit->history.n : edit->before ? edit->before->history_n : 0;
    *n = old_n + edit->added.n;
    if (edit->before && !edit->history_replaced) {
        struct history *h = history_of(edit->before);
        if (adds_at_end(edit, h) && *n <= history_max) {
            if (edit->added.n)
                memcpy(h->entries + old_n, edit->added.at, (size_t)edit->added.n * sizeof *edit->added.at);
            return h;
        }
    }
    if (edit->history_replaced && old_n > 1) qsort(edit->history.at, (size_t)old_n, sizeof *old, entry_order);
    struct history *h = history_merge(old, old_n, edit->added.at, edit->added.n);
    page_out(people, edit->id, h, n, history_max, &edit->older_events);
    return h;
}

static isize strings_bytes(const struct profile_edit *edit)
{
    isize bytes = edit->bucketing_id.len;
    for (isize i = 0; i < edit->traits.n; i++) {
        const struct trait *t = &edit->traits.at[i];
        bytes += t->fact.name.len + t->fact.text.len + t->source.len;
    }
    for (isize i = 0; i < edit->consents.n; i++) bytes += edit->consents.at[i].source.len;
    return bytes;
}

static void take_str(char **at, str *s)
{
    if (s->len) memcpy(*at, s->ptr, (size_t)s->len);
    s->ptr = *at;
    *at += s->len;
}

static void *take(char **at, const void *from, isize bytes)
{
    void *to = *at;
    if (bytes) memcpy(to, from, (size_t)bytes);
    *at += bytes;
    return to;
}

static struct profile *profile_make(const struct profile_edit *edit)
{
    isize traits = edit->traits.n * (isize)sizeof(struct trait);
    isize consents = edit->consents.n * (isize)sizeof(struct consent_entry);
    isize memberships = edit->memberships.n * (isize)sizeof(struct membership);
    isize exposures = edit->exposures.n * (isize)sizeof(struct exposure);
    isize nodes = edit->nodes.n * (isize)sizeof(u32);
    isize scores = edit->scores ? (isize)sizeof *edit->scores : 0;
    struct profile *p = mem_new((isize)sizeof *p + scores + traits + consents + memberships + exposures + nodes
                                + strings_bytes(edit));
    char *at = (char *)(p + 1);
    const struct scores *s = scores ? take(&at, edit->scores, scores) : NULL;
    struct trait *t = take(&at, edit->traits.at, traits);
    struct consent_entry *c = take(&at, edit->consents.at, consents);
    const struct membership *m = take(&at, edit->memberships.at, memberships);
    const struct exposure *x = take(&at, edit->exposures.at, exposures);
    const u32 *node = take(&at, edit->nodes.at, nodes);
    for (isize i = 0; i < edit->traits.n; i++) {
        take_str(&at, &t[i].fact.name);
        take_str(&at, &t[i].fact.text);
        take_str(&at, &t[i].source);
    }
    for (isize i = 0; i < edit->consents.n; i++) take_str(&at, &c[i].source);
    *p = (struct profile){
        .id = edit->id, .created_at_ms = edit->created_at_ms, .last_at_ms = edit->last_at_ms,
        .bucketing_id = edit->bucketing_id, .nodes = node, .nodes_n = edit->nodes.n, .traits = t,
        .traits_n = edit->traits.n, .consents = c, .consents_n = edit->consents.n, .history = edit->made,
        .history_n = edit->made_n, .memberships = m, .memberships_n = edit->memberships.n,
        .exposures = x, .exposures_n = edit->exposures.n, .scores = s, .next_change_at_ms = TIME_NEVER, .older_events = edit->older_events,
        .known = edit->known,
    };
    take_str(&at, &p->bucketing_id);
    for (isize i = 0; i < p->memberships_n; i++)
        p->next_change_at_ms = min_i64(p->next_change_at_ms, m[i].next_change_at_ms);
    return p;
}

static struct slot *slot_need(struct people *people, person_id id)
{
    assert(id.v / CHUNK < CHUNKS_MAX);
    if (!atomic_load(&people->chunks[id.v / CHUNK])) {
        struct slot *chunk = mem_new(CHUNK * (isize)sizeof *chunk);
        atomic_store_explicit(&people->chunks[id.v / CHUNK], chunk, memory_order_release);
    }
    if (id.v > atomic_load(&people->most)) atomic_store(&people->most, id.v);
    return slot_at(people, id);
}

static void mark(struct people *people, person_id id, struct slot *slot)
{
    if (!slot->dirty) vec_push(&people->dirty, id);
    if (!slot->stale) vec_push(&people->stale, id);
    slot->dirty = slot->stale = true;
}

static void history_settle(struct people *people, struct profile_edit *edit, isize history_max)
{
    if (edit->made) return;
    isize n;
    edit->made = history_next(people, edit, history_max, &n)->entries;
    edit->made_n = n;
}

const struct profile *people_draft(struct people *people, struct profile_edit *edit, isize history_max, arena *a)
{
    history_settle(people, edit, history_max);
    struct profile *p = arena_new(a, struct profile, 1);
    *p = (struct profile){
        .id = edit->id, .created_at_ms = edit->created_at_ms, .last_at_ms = edit->last_at_ms,
        .bucketing_id = edit->bucketing_id, .nodes = edit->nodes.at, .nodes_n = edit->nodes.n,
        .traits = edit->traits.at, .traits_n = edit->traits.n, .consents = edit->consents.at,
        .consents_n = edit->consents.n, .history = edit->made, .history_n = edit->made_n,
        .memberships = edit->memberships.at, .memberships_n = edit->memberships.n,
        .exposures = edit->exposures.at, .exposures_n = edit->exposures.n, .scores = edit->scores, .known = edit->known,
        .older_events = edit->older_events, .next_change_at_ms = TIME_NEVER,
    };
    return p;
}

/* In place when it stands last and there is room, or when the block is nobody else's yet; else in a block of its own. */
void people_follow(struct profile_edit *edit, struct history_entry entry)
{
    assert(edit->made);
    struct history *h = history_of(&(struct profile){ .history = edit->made });
    isize n = edit->made_n, at = n;
    while (at > 0 && history_cmp(&h->entries[at - 1], &entry) > 0) at--;
    bool shared = edit->before && history_of(edit->before) == h;
    if (n == h->cap || (shared && at < n)) {
        struct history *wide = history_new(n + 1);
        memcpy(wide->entries, h->entries, (size_t)n * sizeof *h->entries);
        if (!shared) mem_free(h);
        h = wide;
    }
    memmove(h->entries + at + 1, h->entries + at, (size_t)(n - at) * sizeof *h->entries);
    h->entries[at] = entry;
    edit->made = h->entries;
    edit->made_n = n + 1;
    edit->followed |= rule_type_bit(entry.type);
}

static void skim(struct slot *slot, const struct profile_edit *edit)
{
    bool whole = !edit->before || edit->history_replaced;
    const struct history_entry *at = whole ? edit->made : edit->added.at;
    u64 types = whole ? 0 : atomic_load_explicit(&slot->types, memory_order_relaxed) | edit->followed;
    for (isize i = 0; i < (whole ? edit->made_n : edit->added.n); i++) types |= rule_type_bit(at[i].type);
    atomic_store_explicit(&slot->types, types, memory_order_relaxed);
    atomic_store_explicit(&slot->newest_ms, edit->made_n ? edit->made[edit->made_n - 1].at_ms : INT64_MIN, memory_order_relaxed);
}

const struct profile *people_commit(struct people *people, struct profile_edit *edit, isize history_max)
{
    history_settle(people, edit, history_max);
    struct profile *p = profile_make(edit);
    struct history *h = history_of(p);
    struct slot *slot = slot_need(people, edit->id);
    const struct profile *before = atomic_load(&slot->profile);
    assert(before == edit->before);
    skim(slot, edit);
    atomic_store_explicit(&slot->profile, p, memory_order_release);
    mark(people, edit->id, slot);
    people->count += !before;
    people->known += (p->known ? 1 : 0) - (before && before->known ? 1 : 0);
    if (before) {
        if (history_of(before) != h) rcu_defer_free(history_of(before));
        rcu_defer_free((void *)(uintptr_t)before);
    }
    return p;
}

void people_remove(struct people *people, person_id id)
{
    struct slot *slot = slot_at(people, id);
    const struct profile *p = slot ? atomic_load(&slot->profile) : NULL;
    if (!p) return;
    atomic_store_explicit(&slot->profile, NULL, memory_order_release);
    mark(people, id, slot);
    people->count--;
    people->known -= p->known;
    rcu_defer(profile_free, (void *)(uintptr_t)p);
}

/* ---- state ----------------------------------------------------------------------------------- */

enum { FORMAT = 3 };

static void visit_trait(struct codec *c, struct trait *v)
{
    codec_str(c, &v->fact.name);
    codec_u8(c, &v->fact.kind);
    codec_bool(c, &v->fact.b);
    codec_f64(c, &v->fact.n);
    codec_str(c, &v->fact.text);
    codec_str(c, &v->source);
    codec_i64(c, &v->at_ms);
    codec_u32(c, &v->node);
    codec_u8(c, &v->origin);
}

static void visit_consent(struct codec *c, struct consent_entry *v)
{
    codec_u8(c, &v->purpose);
    codec_u8(c, &v->state);
    codec_u32(c, &v->node);
    codec_i64(c, &v->at_ms);
    codec_str(c, &v->source);
}

static void visit_membership(struct codec *c, struct membership *v)
{
    codec_u16(c, &v->segment);
    codec_bool(c, &v->member);
    codec_i64(c, &v->entered_at_ms);
    codec_i64(c, &v->next_change_at_ms);
}

void memberships_visit(struct codec *c, struct membership **at, isize *n)
{
    codec_list(c, struct membership, *at, *n, 1 << 16, visit_membership);
}

static void visit_exposure(struct codec *c, struct exposure *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_u8(c, &v->flags);
    codec_u32(c, &v->node);
    codec_i64(c, &v->first_at_ms);
    codec_i64(c, &v->last_at_ms);
    codec_u32(c, &v->views);
    codec_u32(c, &v->clicks);
    codec_u32(c, &v->orders);
    codec_i64(c, &v->revenue_minor);
    codec_u16(c, &v->currency);
}

static void visit_f32(struct codec *c, f32 *v)
{
    u32 bits = 0;
    if (!codec_reads(c)) memcpy(&bits, v, sizeof bits);
    codec_u32(c, &bits);
    if (codec_reads(c)) memcpy(v, &bits, sizeof bits);
}

void scores_visit(struct codec *c, struct scores *v)
{
    codec_i64(c, &v->at_ms);
    codec_u32(c, &v->version);
    codec_u16(c, &v->known);
    codec_u16(c, &v->currency);
    for (isize i = 0; i < countof(v->value); i++)
        if (v->known >> i & 1) visit_f32(c, &v->value[i]);
    v->reasons_n = (u8)codec_count(c, v->reasons_n, countof(v->reasons));
    for (isize i = 0; i < v->reasons_n; i++) {
        codec_u8(c, &v->reasons[i].score);
        codec_u8(c, &v->reasons[i].code);
        visit_f32(c, &v->reasons[i].number);
    }
    if (codec_reads(c) ? c->in.len == 0 : v->uplifts_n == 0) return;    /* last, and only when there are any */
    v->uplifts_n = codec_count(c, v->uplifts_n, countof(v->uplifts));
    for (isize i = 0; i < v->uplifts_n; i++) {
        struct uplift_score *u = &v->uplifts[i];
        codec_u32(c, &u->campaign);
        visit_f32(c, &u->value);
        for (isize k = 0; k < countof(u->because); k++) {
            codec_u8(c, &u->because[k].code);
            visit_f32(c, &u->because[k].number);
        }
    }
}

static void visit_edit(struct codec *c, struct profile_edit *v, str *history)
{
    u8 format = FORMAT;
    codec_u8(c, &format);
    if (format != FORMAT) c->failed = true;
    codec_u32(c, &v->id.v);
    codec_i64(c, &v->created_at_ms);
    codec_i64(c, &v->last_at_ms);
    codec_i64(c, &v->older_events);
    codec_str(c, &v->bucketing_id);
    codec_bool(c, &v->known);
    codec_list(c, u32, v->nodes.at, v->nodes.n, NODES_PER_PERSON_MAX, codec_u32);
    codec_list(c, struct trait, v->traits.at, v->traits.n, 1 << 16, visit_trait);
    codec_list(c, struct consent_entry, v->consents.at, v->consents.n, 1 << 16, visit_consent);
    memberships_visit(c, &v->memberships.at, &v->memberships.n);
    codec_list(c, struct exposure, v->exposures.at, v->exposures.n, 1 << 16, visit_exposure);
    codec_str(c, history);
    if (codec_reads(c) && c->in.len > 0 && !c->failed) v->scores = arena_new(c->arena, struct scores, 1);
    if (v->scores) scores_visit(c, v->scores);          /* last, and only when there are any */
}

void profile_encode(const struct profile *p, struct buf *out)
{
    struct profile_edit edit = {
        .id = p->id, .created_at_ms = p->created_at_ms, .last_at_ms = p->last_at_ms,
        .older_events = p->older_events, .bucketing_id = p->bucketing_id, .known = p->known,
        .nodes = { (u32 *)(uintptr_t)p->nodes, p->nodes_n, 0 },
        .traits = { (struct trait *)(uintptr_t)p->traits, p->traits_n, 0 },
        .consents = { (struct consent_entry *)(uintptr_t)p->consents, p->consents_n, 0 },
        .memberships = { (struct membership *)(uintptr_t)p->memberships, p->memberships_n, 0 },
        .exposures = { (struct exposure *)(uintptr_t)p->exposures, p->exposures_n, 0 },
        .scores = (struct scores *)(uintptr_t)p->scores,
    };
    str history = { (const char *)p->history, p->history_n * (isize)sizeof *p->history };
    struct codec c = codec_writer(out);
    visit_edit(&c, &edit, &history);
}

/* What a changed person counts for in the sum; zero: nothing any more. */
static void count_digest(struct people *people, struct slot *slot, struct hash128 now)
{
    people->digest.hi += now.hi - slot->digest.hi;
    people->digest.lo += now.lo - slot->digest.lo;
    slot->digest = now;
}

enum err people_load(struct people *people, str bytes, arena *scratch)
{
    struct codec c = codec_reader(bytes, scratch);
    struct profile_edit edit = { 0 };
    str history = { 0 };
    visit_edit(&c, &edit, &history);
    isize n = history.len / (isize)sizeof(struct history_entry);
    bool whole = !c.failed && c.in.len == 0 && edit.id.v > 0
              && n * (isize)sizeof(struct history_entry) == history.len;
    if (!whole || people_get(people, edit.id)) return ERR_DAMAGED;
    edit.history_replaced = true;
    edit.history.at = arena_new(scratch, struct history_entry, n);
    edit.history.n = n;
    if (n) memcpy(edit.history.at, history.ptr, (size_t)history.len);
    people_commit(people, &edit, INT32_MAX);
    struct slot *slot = slot_at(people, edit.id);
    count_digest(people, slot, hash128(bytes, 0));      /* of this format, so what encoding would give */
    slot->stale = false;
    return ERR_OK;
}

isize people_dirty(const struct people *people) { return people->dirty.n; }

/* From here on they count as encoded, so that the fold may mark them again meanwhile. */
isize people_take(struct people *people, arena *a, struct person_change **out)
{
    isize n = people->dirty.n, kept = 0;
    struct person_change *at = arena_room(a, struct person_change, n + 1);
    for (isize i = 0; i < n; i++) {
        struct slot *slot = slot_at(people, people->dirty.at[i]);
        at[i] = (struct person_change){ people->dirty.at[i], atomic_load_explicit(&slot->profile, memory_order_relaxed) };
        slot->dirty = slot->stale = false;
    }
    people->dirty.n = 0;
    for (isize i = 0; i < people->stale.n; i++)
        if (slot_at(people, people->stale.at[i])->stale) people->stale.at[kept++] = people->stale.at[i];
    people->stale.n = kept;
    *out = at;
    return n;
}

bool people_page_next(struct people *people, struct history_page *out)
{
    if (people->page_at == people->pages.n) {
        people->pages.n = people->page_at = 0;
        return false;
    }
    *out = people->pages.at[people->page_at++];
    return true;
}

void people_encode(struct people *people, const struct person_change *change, struct buf *out)
{
    out->len = 0;
    if (change->now) profile_encode(change->now, out);
    count_digest(people, slot_at(people, change->id), change->now ? hash128(buf_str(out), 0) : (struct hash128){ 0 });
}

struct hash128 people_digest_taken(const struct people *people) { return people->digest; }

struct hash128 people_digest(struct people *people)
{
    struct buf bytes = { 0 };
    for (isize i = 0; i < people->stale.n; i++) {
        struct slot *slot = slot_at(people, people->stale.at[i]);
        if (!slot->stale) continue;                     /* it stands here twice */
        people_encode(people, &(struct person_change){ people->stale.at[i], atomic_load(&slot->profile) }, &bytes);
        slot->stale = false;
    }
    people->stale.n = 0;
    buf_fini(&bytes);
    return people->digest;
}
