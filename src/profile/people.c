/* SPDX-License-Identifier: Apache-2.0
 *
 * people.c - every person's profile, in RAM, and the making of the next version of one.
 *
 * A version is one block of bytes (pack.c), the same that the store has. Readers unpack it; the fold
 * unpacks it into an edit, and the next version is a new block, in which what did not change is copied
 * as bytes. Old blocks are given back after a grace period.
 *
 * Who was not written to for half an hour may be kept cold (cold.c): as soon as those who are not
 * cold take more than they are to, whoever is not stands in a queue, and is made cold when their
 * turn comes and they rest; who does not rest, or waits for the flush, goes to its end. So each
 * visit costs one packing at most and one unpacking. The fold makes somebody warm again before it
 * writes to them, and when whoever decides asks for it (people_want), so that one request of a
 * visit pays, and not all of them.
 *
 * The digest is the sum of each person's hash; a changed person is marked, and the sum is brought
 * up to date when somebody asks, so ten events of one visit cost two hashes. It is kept as two
 * sums, of what came and of what went: a version goes when it is replaced, by the fold, and comes
 * when it is encoded, on the flush thread.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "base/rcu.h"
#include "math/math.h"
#include "profile/inside.h"

enum { CHUNK = 1 << 14, CHUNKS_MAX = 1 << 15, HISTORY_SPARE = 32, CALLED_FOR = 512, CACHE_LINE = 64 };
enum { RESTS_MINUTES = 30, WANTED = 64, LEARN_PEOPLE = 1000, LEARN_BYTES = 1 << 20, LEARN_AGAIN = 8 };

struct packed { u32 n : 31, cold : 1; char bytes[]; };

/* `types` and `newest_s` are a skim of the history, in one row with everybody else's: bits of what
 * it holds (types 64 apart share one; what moved out of it stays), and the time of its last entry,
 * in whole seconds and never too early. Questions to everybody pass over most people by it. */
/* `touched`: the minute of the last commit, its low bits. `queued`: among those who may be made cold. */
struct slot {
    _Atomic(const struct packed *) packed;
    _Atomic u64 types;
    i64 due_ms;
    _Atomic u32 newest_s;
    u16 touched;
    bool known : 1, queued : 1;
    _Atomic bool consented;
};
static_assert(sizeof(struct slot) == 32, "two to a cache line");

struct people {
    _Atomic(struct slot *) chunks[CHUNKS_MAX];
    _Atomic u32 most;
    _Atomic i64 count, known;
    /* not taken since they changed; and not in the digest yet, which is some of those */
    struct bitset *dirty, *stale;
    isize page_at;
    struct { struct history_page *at; isize n, cap; } pages;
    /* the digest is what came without what went; went_taken: when people were taken */
    struct hash128 came, went, went_taken;
    struct buf work;                                    /* the version being made */
    struct cold *cold;
    /* a ring of who is not cold, in the order they came */
    struct { u32 *at; isize first, n, cap; } queue;
    u16 minute;                                         /* of the latest people_cool */
    _Atomic i64 plain_bytes, cold_bytes;
    /* people there were when the last dictionary was made */
    isize learnt_of;
    _Atomic bool learns;                                /* a dictionary is wanted */
    struct wanted *wanted;
};

/* Whom somebody would have warm, written by any thread; who is overwritten is asked for again. */
struct wanted { _Atomic bool any; _Atomic u32 at[WANTED]; };

struct people *people_new(void)
{
    struct people *people = mem_new(sizeof *people);
    people->dirty = bitset_new(CHUNK);
    people->stale = bitset_new(CHUNK);
    people->cold = cold_new();
    people->wanted = mem_new(sizeof *people->wanted);
    return people;
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
        for (isize j = 0; chunk && j < CHUNK; j++) mem_free((void *)(uintptr_t)atomic_load(&chunk[j].packed));
        mem_free(chunk);
    }
    for (; people->page_at < people->pages.n; people->page_at++)
        mem_free(people->pages.at[people->page_at].entries);
    bitset_free(people->dirty);
    bitset_free(people->stale);
    vec_fini(&people->pages);
    buf_fini(&people->work);
    cold_free(people->cold);
    mem_free(people->queue.at);
    mem_free(people->wanted);
    mem_free(people);
}

static const struct packed *packed_at(const struct people *people, person_id id)
{
    const struct slot *slot = slot_at(people, id);
    return slot ? atomic_load_explicit(&slot->packed, memory_order_acquire) : NULL;
}

/* Of one that is not cold: as whoever waits for the flush or the digest is. */
static str packed_str(const struct packed *packed)
{
    assert(!packed->cold);
    return (str){ packed->bytes, packed->n };
}

static str frame_of(const struct packed *packed) { return (str){ packed->bytes, packed->n }; }

static str plain_bytes(const struct people *people, const struct packed *packed, arena *a)
{
    if (!packed->cold) return packed_str(packed);
    str frame = frame_of(packed);
    isize n = cold_len(frame);
    char *to = arena_room(a, char, n);
    cold_unpack(people->cold, frame, to);
    return (str){ to, n };
}

static const struct unpacked *unpack(const struct people *people, person_id id,
                                     enum people_depth depth, isize spare, arena *a)
{
    const struct packed *packed = packed_at(people, id);
    if (!packed) return NULL;
    struct unpacked *out = arena_room(a, struct unpacked, 1);
    bool whole = profile_unpack(plain_bytes(people, packed, a), depth, spare, a, out);
    assert(whole);
    return out;
}

const struct profile *profile_read(str bytes, enum people_depth depth, arena *a)
{
    struct unpacked *u = arena_room(a, struct unpacked, 1);
    return bytes.len && profile_unpack(bytes, depth, 0, a, u) ? &u->profile : NULL;
}

const struct profile *people_read(const struct people *people, person_id id,
                                  enum people_depth depth, arena *a)
{
    const struct unpacked *u = unpack(people, id, depth, 0, a);
    return u ? &u->profile : NULL;
}

void people_read_on(const struct profile *p, arena *a)
{
    /* the profile is the first of it */
    struct unpacked *u = (struct unpacked *)(uintptr_t)p;
    bool whole = profile_unpack_rest(u, a);
    assert(whole);
}

const struct profile *people_get(const struct people *people, person_id id, arena *a)
{
    return people_read(people, id, PEOPLE_WHOLE, a);
}
bool people_has(const struct people *people, person_id id) { return packed_at(people, id) != NULL; }

const struct profile *people_consented(const struct people *people, person_id id, arena *a)
{
    const struct slot *slot = slot_at(people, id);
    return slot && atomic_load_explicit(&slot->consented, memory_order_acquire)
               ? people_read(people, id, PEOPLE_CONSENTS, a)
               : NULL;
}

enum consent_state people_consent(const struct people *people, person_id id, int purpose)
{
    arena a = { 0 };
    const struct profile *p = people_consented(people, id, &a);
    enum consent_state said = p ? profile_consent(p, purpose) : CONSENT_UNKNOWN;
    arena_fini(&a);
    return said;
}

i64 people_due(const struct people *people, person_id id)
{
    const struct slot *slot = slot_at(people, id);
    return slot && atomic_load(&slot->packed) ? slot->due_ms : TIME_NEVER;
}

void people_call(const struct people *people, person_id id) { __builtin_prefetch(slot_at(people, id)); }

void people_call_for(const struct people *people, person_id id)
{
    const char *packed = (const char *)packed_at(people, id);
    for (int i = 0; packed && i < CALLED_FOR; i += CACHE_LINE) __builtin_prefetch(packed + i);
}

static u32 seconds_of(i64 at_ms)
{
    if (at_ms <= 0) return 0;
    return at_ms / SECOND_MS >= UINT32_MAX ? UINT32_MAX : (u32)((at_ms + SECOND_MS - 1) / SECOND_MS);
}

bool people_may(const struct people *people, person_id id, u64 types, i64 since_ms)
{
    const struct slot *slot = slot_at(people, id);
    if (!slot || !(atomic_load_explicit(&slot->types, memory_order_relaxed) & types)) return false;
    u32 newest_s = atomic_load_explicit(&slot->newest_s, memory_order_relaxed);
    return newest_s == UINT32_MAX || newest_s * (i64)SECOND_MS > since_ms;
}

isize people_most(const struct people *people) { return atomic_load(&people->most); }
isize people_count(const struct people *people) { return atomic_load(&people->count); }
isize people_known(const struct people *people) { return atomic_load(&people->known); }

/* ---- warm and cold -------------------------------------------------------------------------- */

static struct packed *packed_new(isize bytes)
{
    struct packed *packed = mem_grow(NULL, (isize)sizeof *packed + bytes);
    assert(bytes <= INT32_MAX);
    packed->n = (u32)bytes & INT32_MAX;
    packed->cold = 0;
    return packed;
}

static void count_bytes(struct people *people, const struct packed *packed, int sign)
{
    if (packed)
        *(packed->cold ? &people->cold_bytes : &people->plain_bytes) +=
            sign * (isize)(sizeof *packed + packed->n);
}

/* The same person in another form: no new version. */
static void put_form(struct people *people, struct slot *slot, const struct packed *packed)
{
    const struct packed *before = atomic_load_explicit(&slot->packed, memory_order_relaxed);
    atomic_store_explicit(&slot->packed, packed, memory_order_release);
    count_bytes(people, before, -1);
    count_bytes(people, packed, 1);
    rcu_defer_free((void *)(uintptr_t)before);
}

static void queue_put(struct people *people, u32 id)
{
    if (people->queue.n == people->queue.cap) {
        isize cap = people->queue.cap ? 2 * people->queue.cap : CHUNK,
              whole = people->queue.cap - people->queue.first;
        u32 *at = mem_grow(NULL, cap * (isize)sizeof *at);
        if (whole) memcpy(at, people->queue.at + people->queue.first, (size_t)whole * sizeof *at);
        if (people->queue.first)
            memcpy(at + whole, people->queue.at, (size_t)people->queue.first * sizeof *at);
        mem_free(people->queue.at);
        people->queue.at = at;
        people->queue.cap = cap;
        people->queue.first = 0;
    }
    people->queue.at[(people->queue.first + people->queue.n++) % people->queue.cap] = id;
}

static u32 queue_take_first(struct people *people)
{
    u32 id = people->queue.at[people->queue.first];
    people->queue.first = (people->queue.first + 1) % people->queue.cap;
    people->queue.n--;
    return id;
}

static void queue_once(struct people *people, person_id id, struct slot *slot)
{
    if (!slot->queued) queue_put(people, id.v);
    slot->queued = true;
}

static void make_warm(struct people *people, person_id id)
{
    struct slot *slot = slot_at(people, id);
    const struct packed *packed = slot ? atomic_load_explicit(&slot->packed, memory_order_relaxed) : NULL;
    if (!packed || !packed->cold) return;
    struct packed *warm = packed_new(cold_len(frame_of(packed)));
    cold_unpack(people->cold, frame_of(packed), warm->bytes);
    put_form(people, slot, warm);
    slot->touched = people->minute;
    queue_once(people, id, slot);
}

static bool make_cold(struct people *people, struct slot *slot)
{
    const struct packed *packed = atomic_load_explicit(&slot->packed, memory_order_relaxed);
    people->work.len = 0;
    if (!cold_pack(people->cold, packed_str(packed), &people->work)) return false;
    struct packed *cold = packed_new(people->work.len);
    cold->cold = 1;
    memcpy(cold->bytes, people->work.ptr, (size_t)people->work.len);
    put_form(people, slot, cold);
    return true;
}

void people_want(const struct people *people, person_id id)
{
    const struct packed *packed = packed_at(people, id);
    if (!packed || !packed->cold) return;
    atomic_store_explicit(&people->wanted->at[id.v % WANTED], id.v, memory_order_relaxed);
    atomic_store_explicit(&people->wanted->any, true, memory_order_release);
}

static void warm_wanted(struct people *people)
{
    if (!atomic_load_explicit(&people->wanted->any, memory_order_relaxed)) return;
    atomic_store(&people->wanted->any, false);
    for (isize i = 0; i < WANTED; i++) {
        u32 id = atomic_exchange_explicit(&people->wanted->at[i], 0, memory_order_relaxed);
        if (id) make_warm(people, (person_id){ id });
    }
}

/* Waits for a dictionary where there is none yet, and asks for a better one when there are many
 * more people. */
static bool can_cool(struct people *people)
{
    isize count = atomic_load(&people->count);
    if (count >= LEARN_PEOPLE && count / LEARN_AGAIN >= people->learnt_of) {
        people->learnt_of = count;
        atomic_store(&people->learns, true);
    }
    return cold_dictionaries(people->cold) > 0;
}

bool people_cool(struct people *people, i64 now_ms, i64 plain_most, isize looks)
{
    people->minute = (u16)(now_ms / MINUTE_MS);
    warm_wanted(people);
    if (people->plain_bytes <= plain_most || !can_cool(people)) return false;
    bool any = false;
    for (looks = min_isize(looks, people->queue.n); looks > 0 && people->plain_bytes > plain_most; looks--) {
        person_id id = { queue_take_first(people) };
        struct slot *slot = slot_at(people, id);
        const struct packed *packed = atomic_load_explicit(&slot->packed, memory_order_relaxed);
        slot->queued = false;
        if (!packed || packed->cold) continue;
        bool rests = (u16)(people->minute - slot->touched) >= RESTS_MINUTES
                     && !bitset_test(people->dirty, id.v);
        if (rests && make_cold(people, slot)) { any = true; continue; }
        if (rests) slot->touched = people->minute;      /* it gained nothing: not soon again */
        queue_once(people, id, slot);
    }
    return any && people->plain_bytes > plain_most;
}

void people_learn(struct people *people)
{
    if (!atomic_exchange(&people->learns, false)) return;
    struct buf samples = { 0 };
    struct { size_t *at; isize n, cap; } sizes = { 0 };
    arena a = { 0 };
    u32 most = atomic_load(&people->most), step = most / LEARN_PEOPLE / 2 + 1;
    for (u32 id = 1; id <= most && samples.len < LEARN_BYTES; id += step) {
        rcu_read_begin();
        const struct packed *packed = packed_at(people, (person_id){ id });
        if (packed) {
            str bytes = plain_bytes(people, packed, &a);
            buf_add(&samples, bytes);
            vec_push(&sizes, (size_t)bytes.len);
        }
        rcu_read_end();
        arena_clear(&a);
    }
    if (sizes.n) (void)cold_learn(people->cold, samples.ptr, sizes.at, sizes.n);
    arena_fini(&a);
    vec_fini(&sizes);
    buf_fini(&samples);
}

struct people_bytes people_bytes(const struct people *people)
{
    return (struct people_bytes){ people->plain_bytes, people->cold_bytes };
}

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
    make_warm(people, id);
    const struct unpacked *u = unpack(people, id, PEOPLE_WHOLE, HISTORY_SPARE, a);
    *out = (struct profile_edit){ .id = id, .arena = a, .unpacked = u, .before = u ? &u->profile : NULL };
    if (!u) return;
    const struct profile *p = &u->profile;
    out->created_at_ms = p->created_at_ms;
    out->last_at_ms = p->last_at_ms;
    out->older_events = p->older_events;
    out->bucketing_id = p->bucketing_id;
    out->known = p->known;
    if (p->scores) edit_scores(out, a, p->scores);
    edit_list(out->nodes, u32, p->nodes, p->nodes_n, a);
    edit_list(out->traits, struct trait, p->traits, p->traits_n, a);
    edit_list(out->consents, struct consent_entry, p->consents, p->consents_n, a);
    /* segments make another list */
    out->memberships.at = (struct membership *)(uintptr_t)p->memberships;
    out->memberships.n = out->memberships.cap = p->memberships_n;
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
    if (edit->before)
        edit_list(edit->history, struct history_entry, edit->before->history,
                  edit->before->history_n, a);
}

static void renumber(struct history_entry *at, isize n, isize from_index)
{
    for (isize i = 0; i < n; i++)
        if (at[i].node >= from_index) at[i].node++;
}

/* Nodes stay ascending, so that the same facts always have the same bytes; a node that comes in
 * between moves the numbers behind it. */
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
    memmove(edit->consents.at + i + 1, edit->consents.at + i,
            (size_t)(edit->consents.n - 1 - i) * sizeof entry);
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
    for (isize i = 0; i < other->exposures_n; i++)
        edit_push(into->exposures, a, struct exposure, other->exposures[i]);
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

static isize keep_entries(struct profile_edit *edit, struct history_entry *at, isize n,
                          const u32 *keep, isize keep_n)
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
    /* what was absorbed lies there */
    edit->added.n = keep_entries(edit, edit->added.at, edit->added.n, keep, keep_n);
    n = 0;
    for (isize i = 0; i < edit->traits.n; i++)
        if (node_index(keep, keep_n, edit->traits.at[i].node) >= 0) edit->traits.at[n++] = edit->traits.at[i];
    edit->traits.n = n;
    n = 0;
    for (isize i = 0; i < edit->consents.n; i++)
        if (node_index(keep, keep_n, edit->consents.at[i].node) >= 0)
            edit->consents.at[n++] = edit->consents.at[i];
    edit->consents.n = n;
    n = 0;
    for (isize i = 0; i < edit->exposures.n; i++)
        if (node_index(keep, keep_n, edit->exposures.at[i].node) >= 0)
            edit->exposures.at[n++] = edit->exposures.at[i];
    edit->exposures.n = n;
    edit->scores = NULL;                                /* they were of the whole person */
    edit->nodes.n = 0;
    for (isize i = 0; i < keep_n; i++) edit_push(edit->nodes, a, u32, keep[i]);
}

/* ---- committing ------------------------------------------------------------------------------ */

static int entry_order(const void *x, const void *y) { return history_cmp(x, y); }

static struct history_entry *wider(struct profile_edit *edit, const struct history_entry *from,
                                   isize n, isize most)
{
    edit->made_cap = most + HISTORY_SPARE;
    struct history_entry *to = arena_room(edit->arena, struct history_entry, edit->made_cap);
    if (n) memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

/* Old and added, both in order, into one. */
static void history_merge(struct profile_edit *edit, const struct history_entry *old, isize old_n)
{
    const struct history_entry *added = edit->added.at;
    struct history_entry *to = wider(edit, NULL, 0, old_n + edit->added.n);
    isize i = 0, j = 0, n = 0;
    while (i < old_n || j < edit->added.n) {
        bool take_old = j == edit->added.n || (i < old_n && history_cmp(&old[i], &added[j]) <= 0);
        to[n++] = take_old ? old[i++] : added[j++];
    }
    edit->made = to;
    edit->made_n = n;
}

static bool adds_at_end(const struct profile_edit *edit)
{
    const struct profile *p = edit->before;
    return p->history_n == 0 || edit->added.n == 0
           || history_cmp(&p->history[p->history_n - 1], &edit->added.at[0]) <= 0;
}

static void page_out(struct people *people, struct profile_edit *edit, isize most)
{
    isize gone = edit->made_n > most ? edit->made_n - most * 3 / 4 : 0;
    if (gone == 0) return;
    struct history_entry *entries = mem_new(gone * (isize)sizeof *entries);
    memcpy(entries, edit->made, (size_t)gone * sizeof *entries);
    vec_push(&people->pages, (struct history_page){ edit->id, entries, gone });
    edit->made += gone;
    edit->made_n -= gone;
    edit->made_cap -= gone;
    edit->older_events += gone;
    edit->kept = 0;
}

/* The whole history of the next version. What only adds at the end keeps the bytes there are. */
static void history_settle(struct people *people, struct profile_edit *edit, isize history_max)
{
    if (edit->made) return;
    struct history_entry *old =
        (struct history_entry *)(uintptr_t)(edit->history_replaced ? edit->history.at
                                            : edit->before         ? edit->before->history
                                                                   : NULL);
    isize old_n = edit->history_replaced ? edit->history.n : edit->before ? edit->before->history_n : 0;
    if (edit->added.n > 1) qsort(edit->added.at, (size_t)edit->added.n, sizeof *edit->added.at, entry_order);
    if (edit->before && !edit->history_replaced && adds_at_end(edit)) {
        bool room = edit->added.n <= HISTORY_SPARE;
        edit->made_cap = old_n + HISTORY_SPARE;
        edit->made = room ? old : wider(edit, old, old_n, old_n + edit->added.n);
        edit->made_n = old_n + edit->added.n;
        edit->kept = old_n;
        if (edit->added.n) memcpy(edit->made + old_n, edit->added.at, (size_t)edit->added.n * sizeof *old);
    } else {
        if (edit->history_replaced && old_n > 1) qsort(old, (size_t)old_n, sizeof *old, entry_order);
        history_merge(edit, old, old_n);
    }
    page_out(people, edit, history_max);
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

/* Before it is another version. */
static void mark(struct people *people, person_id id, const struct slot *slot)
{
    const struct packed *counted = atomic_load_explicit(&slot->packed, memory_order_relaxed);
    (void)bitset_set(people->dirty, id.v);
    if (bitset_set(people->stale, id.v) && counted)
        hash128_sum(&people->went, hash128(packed_str(counted), 0), true);
}

const struct profile *people_draft(struct people *people, struct profile_edit *edit, isize history_max)
{
    history_settle(people, edit, history_max);
    struct profile *p = arena_new(edit->arena, struct profile, 1);
    *p = (struct profile){
        .id = edit->id,
        .created_at_ms = edit->created_at_ms,
        .last_at_ms = edit->last_at_ms,
        .bucketing_id = edit->bucketing_id,
        .nodes = edit->nodes.at,
        .nodes_n = edit->nodes.n,
        .traits = edit->traits.at,
        .traits_n = edit->traits.n,
        .consents = edit->consents.at,
        .consents_n = edit->consents.n,
        .history = edit->made,
        .history_n = edit->made_n,
        .memberships = edit->memberships.at,
        .memberships_n = edit->memberships.n,
        .exposures = edit->exposures.at,
        .exposures_n = edit->exposures.n,
        .scores = edit->scores,
        .known = edit->known,
        .older_events = edit->older_events,
        .next_change_at_ms = TIME_NEVER,
    };
    for (isize i = 0; i < p->memberships_n; i++)
        p->next_change_at_ms = min_i64(p->next_change_at_ms, p->memberships[i].next_change_at_ms);
    return p;
}

/* The version before stays as it was read: what comes between its entries goes into a copy. */
void people_follow(struct profile_edit *edit, struct history_entry entry)
{
    assert(edit->made);
    isize n = edit->made_n, at = n;
    while (at > 0 && history_cmp(&edit->made[at - 1], &entry) > 0) at--;
    if (n == edit->made_cap || at < edit->kept) edit->made = wider(edit, edit->made, n, n + 1);
    if (at < edit->kept) edit->kept = 0;
    memmove(edit->made + at + 1, edit->made + at, (size_t)(n - at) * sizeof *edit->made);
    edit->made[at] = entry;
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
    atomic_store_explicit(&slot->newest_s,
                          edit->made_n ? seconds_of(edit->made[edit->made_n - 1].at_ms) : 0,
                          memory_order_relaxed);
}

static void put(struct people *people, person_id id, struct slot *slot, str bytes, const struct profile *p)
{
    struct packed *packed = bytes.len ? packed_new(bytes.len) : NULL;
    const struct packed *before = atomic_load(&slot->packed);
    if (packed) memcpy(packed->bytes, bytes.ptr, (size_t)bytes.len);
    mark(people, id, slot);
    put_form(people, slot, packed);
    atomic_store_explicit(&slot->consented, p && p->consents_n > 0, memory_order_release);
    if (packed) queue_once(people, id, slot);
    slot->touched = people->minute;
    people->count += (packed ? 1 : 0) - (before ? 1 : 0);
    people->known += (p && p->known ? 1 : 0) - (slot->known ? 1 : 0);
    slot->known = p && p->known;
    slot->due_ms = p ? p->next_change_at_ms : TIME_NEVER;
}

const struct profile *people_commit(struct people *people, struct profile_edit *edit, isize history_max)
{
    const struct profile *p = people_draft(people, edit, history_max);
    struct slot *slot = slot_need(people, edit->id);
    people->work.len = 0;
    profile_pack(p, edit->unpacked, edit->kept, &people->work);
    skim(slot, edit);
    put(people, edit->id, slot, buf_str(&people->work), p);
    return p;
}

void people_remove(struct people *people, person_id id)
{
    make_warm(people, id);
    if (people_has(people, id)) put(people, id, slot_at(people, id), S(""), NULL);
}

/* ---- state ----------------------------------------------------------------------------------- */

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
    /* last, and only when there are any */
    if (codec_reads(c) ? c->in.len == 0 : v->uplifts_n == 0) return;
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

/* Of a version that counts from now on; empty: nothing does. */
static void count_digest(struct people *people, str bytes)
{
    if (bytes.len) hash128_sum(&people->came, hash128(bytes, 0), true);
}

enum err people_load(struct people *people, str bytes, arena *scratch)
{
    struct unpacked u;
    if (!profile_unpack(bytes, PEOPLE_WHOLE, 0, scratch, &u)) return ERR_DAMAGED;
    const struct profile *p = &u.profile;
    if (p->id.v == 0 || p->id.v / CHUNK >= CHUNKS_MAX || people_has(people, p->id)) return ERR_DAMAGED;
    for (isize i = 0; i < p->history_n; i++)
        if (p->history[i].node >= p->nodes_n) return ERR_DAMAGED;
    struct profile_edit edit = { .made = (struct history_entry *)(uintptr_t)p->history,
                                 .made_n = p->history_n };
    struct slot *slot = slot_need(people, p->id);
    skim(slot, &edit);
    put(people, p->id, slot, bytes, p);
    slot->touched = (u16)(p->last_at_ms / MINUTE_MS);
    count_digest(people, bytes);
    (void)bitset_clear(people->stale, p->id.v);
    return ERR_OK;
}

isize people_dirty(const struct people *people) { return bitset_count(people->dirty); }

/* From here on they count as encoded, so that the fold may mark them again meanwhile. Their bytes
 * are not looked at: that is for whoever encodes them. */
isize people_take(struct people *people, arena *a, struct person_change **out)
{
    isize n = 0;
    struct person_change *at = arena_room(a, struct person_change, bitset_count(people->dirty) + 1);
    for (isize w = 0; w < bitset_words(people->dirty); w++)
        for (u64 left = bitset_word(people->dirty, w); left; left &= left - 1) {
            person_id id = { (u32)(w * 64 + __builtin_ctzll(left)) };
            bool counted = !bitset_test(people->stale, id.v);
            at[n++] = (struct person_change){
                id, atomic_load_explicit(&slot_at(people, id)->packed, memory_order_relaxed),
                counted
            };
        }
    bitset_none(people->dirty);
    bitset_none(people->stale);
    people->went_taken = people->went;
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

str people_encode(struct people *people, const struct person_change *change)
{
    str bytes = change->packed ? packed_str(change->packed) : S("");
    if (!change->counted) count_digest(people, bytes);
    return bytes;
}

static struct hash128 difference(struct hash128 came, struct hash128 went)
{
    hash128_sum(&came, went, false);
    return came;
}

struct hash128 people_digest_taken(const struct people *people)
{
    return difference(people->came, people->went_taken);
}

struct hash128 people_digest(struct people *people)
{
    for (i64 id = bitset_next(people->stale, 0); id >= 0; id = bitset_next(people->stale, (u32)id + 1)) {
        struct slot *slot = slot_at(people, (person_id){ (u32)id });
        const struct packed *packed = atomic_load(&slot->packed);
        if (packed) count_digest(people, packed_str(packed));
    }
    bitset_none(people->stale);
    return difference(people->came, people->went);
}
