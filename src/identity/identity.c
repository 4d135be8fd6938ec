/* SPDX-License-Identifier: Apache-2.0
 *
 * identity.c - union by ledger.
 *
 * Nodes are numbered from 1. Two things are known of each: the person it belongs to (an atomic
 * word, since decisions read it) and the next node of the same person (a ring, so that a person's
 * nodes are a walk and joining two people is one swap). The ledger is the truth; rings and
 * persons are what it says. A split marks one merge undone and draws the rings of that person
 * anew from the merges that still hold.
 *
 * A line of the ledger is kept as the bytes that the store has. An identifier is found by a hash of
 * its kind and value, which leads to the lines that may have attached it; the line itself says
 * whether it did.
 *
 * Who decides, on an event that carries several identifiers: the strong ones that may speak
 * (verified) come first; weak ones (the browser's or device's own) join them unless the weak
 * one's person has already another of what there may only be one of, such as the user id. Then
 * somebody else uses the same browser, and the event is theirs alone. A strong identifier that is
 * new gets a node of its own even when the browser is known, so that a log-in can be undone.
 */
#include "identity/identity.h"

#include <stdatomic.h>

#include "base/finder.h"
#include "base/rcu.h"
#include "base/rows.h"

enum { CHUNK = 1 << 16, CHUNKS_MAX = 1 << 13 };

/* `lines`: those that stand on the node, in order. 0: none; two numbers of 31 bits behind a bit
 * that is set, the second may be 0; or a pointer. */
struct node { _Atomic u32 person, next; _Atomic u64 lines; };
struct lines { _Atomic u32 n; u32 cap, at[]; };

struct identity {
    u64 seed;
    struct finder *by_identifier;                       /* of the lines that attached them */
    _Atomic(struct node *) chunks[CHUNKS_MAX];
    u32 nodes;
    struct rows *links;
    struct buf work;
    struct { u32 *at; isize n, cap; } dirty;
    isize dirty_at;
    struct { u32 *at; isize n, cap; } loose;            /* lines that refuse an identifier nobody had */
    struct hash128 digest;
    /* what the entry under way had made that was erased */
    const struct burnt *burn; isize burn_n;
    u64 burn_ref;
};

struct identity *identity_new(u64 seed)
{
    struct identity *identity = mem_new(sizeof *identity);
    identity->seed = seed;
    identity->by_identifier = finder_new();
    identity->links = rows_new();
    return identity;
}

static struct node *node_at(const struct identity *identity, u32 id)
{
    assert(id > 0);
    struct node *chunk = atomic_load_explicit(&identity->chunks[id / CHUNK], memory_order_acquire);
    assert(chunk);
    return &chunk[id % CHUNK];
}

/* ---- lines of a node ----------------------------------------------------------------------- */

static struct lines *lines_of_word(u64 word) { return word & 1 ? NULL : (struct lines *)(uintptr_t)word; }

/* The ith from 0; 0 ends. */
static u32 line_on(const struct identity *identity, u32 node, isize i)
{
    u64 word = atomic_load_explicit(&node_at(identity, node)->lines, memory_order_acquire);
    const struct lines *many = lines_of_word(word);
    if (!many) return i == 0 ? (u32)(word >> 1) & INT32_MAX : i == 1 ? (u32)(word >> 33) : 0;
    return i < (isize)atomic_load_explicit(&many->n, memory_order_acquire) ? many->at[i] : 0;
}

static struct lines *lines_wider(const u32 *at, isize n)
{
    isize cap = n + n / 2 + 2;
    struct lines *wide = mem_new((isize)sizeof *wide + cap * (isize)sizeof *at);
    wide->cap = (u32)cap;
    memcpy(wide->at, at, (size_t)n * sizeof *at);
    atomic_init(&wide->n, (u32)n);
    return wide;
}

static void on_node(struct identity *identity, u32 node, u32 line)
{
    if (!node) return;
    struct node *to = node_at(identity, node);
    u64 word = atomic_load_explicit(&to->lines, memory_order_relaxed);
    struct lines *many = lines_of_word(word), *wide = many;
    assert(line <= INT32_MAX);
    if (!many && word >> 33 == 0) {
        word = word ? word | (u64)line << 33 : (u64)line << 1 | 1;
        atomic_store_explicit(&to->lines, word, memory_order_release);
        return;
    }
    if (!many) {
        const u32 two[] = { (u32)(word >> 1) & INT32_MAX, (u32)(word >> 33) };
        wide = lines_wider(two, 2);
    } else if (many->n == many->cap) {
        wide = lines_wider(many->at, many->n);
    }
    wide->at[wide->n] = line;
    atomic_store_explicit(&wide->n, wide->n + 1, memory_order_release);
    if (wide == many) return;
    atomic_store_explicit(&to->lines, (u64)(uintptr_t)wide, memory_order_release);
    rcu_defer_free(many);
}

static void off_node(struct node *node)
{
    rcu_defer_free(lines_of_word(atomic_exchange(&node->lines, 0)));
}

void identity_free(struct identity *identity)
{
    if (!identity) return;
    for (u32 id = 1; id <= identity->nodes; id++)
        mem_free(lines_of_word(atomic_load(&node_at(identity, id)->lines)));
    for (isize i = 0; i < CHUNKS_MAX; i++) mem_free(atomic_load(&identity->chunks[i]));
    rows_free(identity->links);
    buf_fini(&identity->work);
    vec_fini(&identity->dirty);
    vec_fini(&identity->loose);
    finder_free(identity->by_identifier);
    mem_free(identity);
}

/* What is merely claimed is another name than what is proved, though it is spelled the same. */
static struct hash128 identifier_hash(const struct identity *identity, struct identifier v)
{
    struct hash128 h = hash128(v.value, identity->seed);
    u64 kind = v.kind + (identifier_may_speak(v) ? 0 : 64u);
    /* into what comes out: hash.h says why not the seed */
    return (struct hash128){ h.hi, h.lo + kind * 0x9e3779b97f4a7c15u };
}

/* ---- the ledger ---------------------------------------------------------------------------- */

enum {
    LINE_KIND = 7,
    LINE_VERIFIED = 8,
    LINE_PROVED = 16,
    LINE_B = 32,
    LINE_UNDOES = 64,
    LINE_IDENTIFIER = 7,
    LINE_MEMO = 1 << 11,
    LINE_UNDONE = 1 << 12,
    LINE_REASON = 13
};

/* What an identifier is looked for by comes first. Most lines have one node, undo nothing and keep
 * nothing. */
static void visit_link(struct codec *c, struct link *v)
{
    bool writes = !codec_reads(c);
    u16 head = 0;
    if (writes) {
        assert(v->kind <= LINE_KIND && v->reason <= 7 && v->identifier.kind <= 15);
        head = (u16)(v->kind | (v->verified ? LINE_VERIFIED : 0)
                     | (v->identifier.verified ? LINE_PROVED : 0) | (v->b ? LINE_B : 0)
                     | (v->undoes ? LINE_UNDOES : 0) | v->identifier.kind << LINE_IDENTIFIER
                     | (v->memo.len ? LINE_MEMO : 0) | (v->undone ? LINE_UNDONE : 0)
                     | v->reason << LINE_REASON);
    }
    codec_u16(c, &head);
    codec_str(c, &v->identifier.value);
    codec_u32(c, &v->a);
    codec_u32(c, &v->id);
    if (head & LINE_B) codec_u32(c, &v->b);
    if (head & LINE_UNDOES) codec_u32(c, &v->undoes);
    codec_u64(c, &v->ref);
    codec_i64(c, &v->at_ms);
    codec_str(c, &v->source);
    if (head & LINE_MEMO) codec_str(c, &v->memo);
    if (writes) return;
    v->kind = head & LINE_KIND;
    v->verified = (head & LINE_VERIFIED) != 0;
    v->undone = (head & LINE_UNDONE) != 0;
    v->reason = (u8)(head >> LINE_REASON);
    v->identifier.kind = head >> LINE_IDENTIFIER & 15;
    v->identifier.verified = (head & LINE_PROVED) != 0;
}

void link_encode(const struct link *link, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct link copy = *link;
    visit_link(&c, &copy);
}

static struct link line_at(const struct identity *identity, u32 id)
{
    struct codec c = codec_reader(rows_get(identity->links, id), NULL);
    struct link link = { 0 };
    visit_link(&c, &link);
    assert(!c.failed);
    return link;
}

/* The line as it is from now on: a new one, or one that there is. */
static void line_put(struct identity *identity, const struct link *link)
{
    bool made = link->id == rows_n(identity->links) + 1;
    identity->work.len = 0;
    link_encode(link, &identity->work);
    if (!made) hash128_sum(&identity->digest, hash128(rows_get(identity->links, link->id), 0), false);
    hash128_sum(&identity->digest, hash128(buf_str(&identity->work), 0), true);
    if (made) (void)rows_add(identity->links, buf_str(&identity->work));
    else rows_set(identity->links, link->id, buf_str(&identity->work));
    if (made && link->kind == LINK_REFUSED && link->b == 0) vec_push(&identity->loose, link->id);
}

static void line_replace(struct identity *identity, const struct link *with)
{
    line_put(identity, with);
    vec_push(&identity->dirty, with->id);
}

/* ---- finding ------------------------------------------------------------------------------- */

/* As codec_u32, of bytes that are whole. */
static inline u32 get(const u8 **at)
{
    u32 v = 0;
    for (int shift = 0;; shift += 7) {
        u8 byte = *(*at)++;
        v |= (u32)(byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
}

/* The line that attached it; 0: none did, or it is erased. */
static u32 line_find(const struct identity *identity, struct identifier v, u32 *node)
{
    struct hash128 key = identifier_hash(identity, v);
    u32 id;
    for (struct finder_at at = { 0 }; (id = finder_next(identity->by_identifier, key, &at));) {
        const u8 *line = (const u8 *)rows_get(identity->links, id).ptr;
        u32 head = get(&line);
        isize n = get(&line);
        str value = { (const char *)line, n };
        line += n;
        *node = get(&line);
        struct identifier is = { head >> LINE_IDENTIFIER & 15, (head & LINE_PROVED) != 0, value };
        if ((head & LINE_KIND) == LINK_ATTACH && is.kind == v.kind
            && identifier_may_speak(is) == identifier_may_speak(v) && str_eq(is.value, v.value))
            return id;
    }
    *node = 0;
    return 0;
}

static u32 node_find(const struct identity *identity, struct identifier v)
{
    u32 node;
    (void)line_find(identity, v, &node);
    return node;
}

/* For who may ask about anybody: the proved person, else what was only ever claimed under that name. */
static u32 node_look_up(const struct identity *identity, struct identifier v)
{
    u32 node = node_find(identity, v);
    if (node || !v.verified || !identifier_is_strong(v.kind)) return node;
    v.verified = false;
    return node_find(identity, v);
}

static u32 person_of(const struct identity *identity, u32 node)
{
    return atomic_load_explicit(&node_at(identity, node)->person, memory_order_acquire);
}

void identity_call_for(const struct identity *identity, struct identifier identifier)
{
    finder_call_for(identity->by_identifier, identifier_hash(identity, identifier));
}

person_id identity_find(const struct identity *identity, struct identifier identifier)
{
    u32 node = node_look_up(identity, identifier);
    return (person_id){ node ? person_of(identity, node) : 0 };
}

u32 identity_node(const struct identity *identity, struct identifier identifier)
{
    return node_look_up(identity, identifier);
}

person_id identity_person(const struct identity *identity, u32 node)
{
    bool made = node > 0 && node / CHUNK < CHUNKS_MAX
             && atomic_load_explicit(&identity->chunks[node / CHUNK], memory_order_acquire);
    return (person_id){ made ? person_of(identity, node) : 0 };
}

/* ---- adding to the ledger ------------------------------------------------------------------ */

static u32 node_new(struct identity *identity);

/* A number that was used by somebody who is erased. */
static void burn_line(struct identity *identity, struct burnt burnt, u64 ref)
{
    struct link blank = { .id = burnt.link, .kind = LINK_ERASED, .a = burnt.node, .ref = ref };
    assert(burnt.link == rows_n(identity->links) + 1);
    if (burnt.node) {
        u32 node = node_new(identity);
        assert(node == burnt.node);
        atomic_store_explicit(&node_at(identity, node)->person, 0, memory_order_release);
    }
    line_replace(identity, &blank);
}

static void burn_due(struct identity *identity, bool all)
{
    while (identity->burn_n && (all || identity->burn->link == rows_n(identity->links) + 1)) {
        burn_line(identity, *identity->burn++, identity->burn_ref);
        identity->burn_n--;
    }
}

static u32 ledger_add(struct identity *identity, struct link link)
{
    burn_due(identity, false);
    link.id = rows_n(identity->links) + 1;
    line_replace(identity, &link);
    on_node(identity, link.a, link.id);
    if (link.b != link.a) on_node(identity, link.b, link.id);
    return link.id;
}

static u32 node_new(struct identity *identity)
{
    u32 id = ++identity->nodes;
    assert(id / CHUNK < CHUNKS_MAX);
    if (!atomic_load(&identity->chunks[id / CHUNK])) {
        struct node *chunk = mem_new(CHUNK * (isize)sizeof *chunk);
        atomic_store_explicit(&identity->chunks[id / CHUNK], chunk, memory_order_release);
    }
    struct node *node = node_at(identity, id);
    atomic_store_explicit(&node->next, id, memory_order_relaxed);
    atomic_store_explicit(&node->person, id, memory_order_release);
    return id;
}

/* ---- walking a person ---------------------------------------------------------------------- */

static int cmp_u32(u32 a, u32 b) { return (a > b) - (a < b); }

static void sort_u32(u32 *at, isize n)
{
    for (isize i = 1; i < n; i++)                       /* NODES_PER_PERSON_MAX at most */
        for (isize j = i; j > 0 && cmp_u32(at[j - 1], at[j]) > 0; j--) {
            u32 swap = at[j];
            at[j] = at[j - 1];
            at[j - 1] = swap;
        }
}

isize identity_nodes(const struct identity *identity, person_id person, u32 *out, isize max)
{
    if (person.v == 0 || person.v > identity->nodes) return 0;
    isize n = 0;
    u32 at = person.v;
    do {
        if (n < max) out[n] = at;
        n++;
        at = node_at(identity, at)->next;
    } while (at != person.v);
    n = min_isize(n, max);
    sort_u32(out, n);
    return n;
}

/* kind below 0: all, of which a merge stands on both its nodes and counts once. */
static isize links_of(const struct identity *identity, person_id person, int kind, struct link *out,
                      isize max)
{
    u32 nodes[NODES_PER_PERSON_MAX], line;
    isize nodes_n = identity_nodes(identity, person, nodes, NODES_PER_PERSON_MAX), n = 0;
    for (isize i = 0; i < nodes_n; i++)
        for (isize j = 0; n < max && (line = line_on(identity, nodes[i], j)); j++) {
            out[n] = line_at(identity, line);
            n += kind >= 0 ? out[n].kind == kind : out[n].a == nodes[i];
        }
    return n;
}

/* The same one by one and in no order: start with { 0 }; false ends. */
struct walk { u32 node; isize at; };

static bool walk_next(const struct identity *identity, person_id person, struct walk *w, int kind,
                      struct link *out)
{
    if (person.v == 0 || person.v > identity->nodes) return false;
    if (w->node == 0) w->node = person.v;
    for (;;) {
        u32 line = line_on(identity, w->node, w->at++);
        if (line) {
            *out = line_at(identity, line);
            if (out->kind == kind) return true;
            continue;
        }
        u32 next = node_at(identity, w->node)->next;
        if (next == person.v) return false;
        *w = (struct walk){ next, 0 };
    }
}

isize identity_identifiers(const struct identity *identity, person_id person, struct link *out, isize max)
{
    return links_of(identity, person, LINK_ATTACH, out, max);
}

isize identity_links(const struct identity *identity, person_id person, struct link *out, isize max)
{
    return links_of(identity, person, -1, out, max);
}

isize identity_people(const struct identity *identity) { return identity->nodes; }
isize identity_links_n(const struct identity *identity) { return rows_n(identity->links); }

bool identity_link(const struct identity *identity, u32 id, struct link *out)
{
    if (id == 0 || id > rows_n(identity->links)) return false;
    *out = line_at(identity, id);
    return true;
}

bool identity_began(const struct identity *identity, u32 node, struct link *out)
{
    u32 line;
    for (isize i = 0; (line = line_on(identity, node, i)); i++) {
        *out = line_at(identity, line);
        if (out->kind == LINK_ATTACH && out->a == node) return true;
    }
    return false;
}

static isize kind_count(const struct identity *identity, person_id person, u8 kind, isize *all)
{
    isize same = 0, n = 0;
    struct link link;
    for (struct walk w = { 0 }; walk_next(identity, person, &w, LINK_ATTACH, &link); n++)
        same += link.identifier.kind == kind;
    if (all) *all = n;
    return same;
}

/* ---- attaching and joining ----------------------------------------------------------------- */

struct cause { u64 ref; i64 at_ms; str source; };

static void refuse(struct identity *identity, u32 node, u32 other, struct identifier v, u8 reason,
                   struct cause cause)
{
    struct link old;
    isize n = 0;
    person_id person = { person_of(identity, node) };
    for (struct walk w = { 0 }; walk_next(identity, person, &w, LINK_REFUSED, &old); n++) {
        bool same = old.reason == reason && old.identifier.kind == v.kind
                    && str_eq(old.identifier.value, v.value);
        if (same) return;                               /* said once, it is known */
    }
    if (n >= IDENTIFIERS_PER_PERSON_MAX) return;
    (void)ledger_add(identity, (struct link){ .kind = LINK_REFUSED,
                                              .reason = reason,
                                              .a = node,
                                              .b = other,
                                              .ref = cause.ref,
                                              .at_ms = cause.at_ms,
                                              .identifier = v,
                                              .source = cause.source });
}

static void attach_anyway(struct identity *identity, u32 node, struct identifier v, struct cause cause)
{
    u32 line = ledger_add(identity, (struct link){ .kind = LINK_ATTACH,
                                                   .a = node,
                                                   .verified = v.verified,
                                                   .ref = cause.ref,
                                                   .at_ms = cause.at_ms,
                                                   .identifier = v,
                                                   .source = cause.source });
    finder_add(identity->by_identifier, identifier_hash(identity, v), line);
}

static bool attach(struct identity *identity, u32 node, struct identifier v, struct cause cause)
{
    isize all;
    person_id person = { person_of(identity, node) };
    isize same = kind_count(identity, person, v.kind, &all);
    if (same >= identifier_limit(v.kind) || all >= IDENTIFIERS_PER_PERSON_MAX) {
        refuse(identity, node, 0, v, LINK_OVER_LIMIT, cause);
        return false;
    }
    attach_anyway(identity, node, v, cause);
    return true;
}

/* Joins two rings under the lower person id; returns the person that ceased. */
static u32 join(struct identity *identity, u32 a, u32 b)
{
    u32 keep = person_of(identity, a), gone = person_of(identity, b);
    assert(keep != gone);
    if (gone < keep) {
        u32 swap = keep;
        keep = gone;
        gone = swap;
    }
    struct node *keep_node = node_at(identity, keep), *gone_node = node_at(identity, gone);
    u32 at = gone;
    do {
        struct node *node = node_at(identity, at);
        atomic_store_explicit(&node->person, keep, memory_order_release);
        at = node->next;
    } while (at != gone);
    u32 swap = keep_node->next;
    keep_node->next = gone_node->next;
    gone_node->next = swap;
    return gone;
}

/* Whether joining would give one person more of a kind than there may be. */
static bool over_limit(const struct identity *identity, person_id a, person_id b)
{
    for (u8 kind = 0; kind < IDENTIFIER_KINDS; kind++) {
        isize both = kind_count(identity, a, kind, NULL) + kind_count(identity, b, kind, NULL);
        if (both > identifier_limit(kind)) return true;
    }
    return false;
}

static isize nodes_count(const struct identity *identity, person_id person)
{
    u32 nodes[NODES_PER_PERSON_MAX + 1];
    return identity_nodes(identity, person, nodes, countof(nodes));
}

static int may_join(const struct identity *identity, person_id a, person_id b)
{
    if (nodes_count(identity, a) + nodes_count(identity, b) > NODES_PER_PERSON_MAX) return LINK_TOO_MANY;
    if (over_limit(identity, a, b)) return LINK_OTHER_PERSON;
    return -1;
}

static bool anyone_speaks(const struct event *e)
{
    for (isize i = 0; i < e->identifiers_n; i++)
        if (identifier_may_speak(e->identifiers[i])) return true;
    return false;
}

/* Which identifier speaks for an event: the strongest that may and is known, or the strongest that
 * may, where it is strong and the known one is not. When all are claims, the strongest claim, as
 * somebody of that name: their history is kept apart from whoever proves to bear it. */
static const struct identifier *spokesman(const struct event *e,
                                          bool (*known)(const void *ctx, struct identifier v),
                                          const void *ctx)
{
    const struct identifier *best = NULL, *best_known = NULL;
    bool claims_only = !anyone_speaks(e);
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct identifier *v = &e->identifiers[i];
        if (!identifier_may_speak(*v) && !claims_only) continue;
        if (!best || identifier_strength(v->kind) > identifier_strength(best->kind)) best = v;
        if ((!best_known || identifier_strength(v->kind) > identifier_strength(best_known->kind))
            && known(ctx, *v))
            best_known = v;
    }
    return best_known
                   && (identifier_is_strong(best_known->kind) || !identifier_is_strong(best->kind))
               ? best_known
               : best;
}

static bool has_node(const void *identity, struct identifier v) { return node_find(identity, v) != 0; }

/* Their node; a new one when nobody bore the identifier before. */
static u32 speaker(struct identity *identity, const struct event *e, struct cause cause, bool *created)
{
    const struct identifier *best = spokesman(e, has_node, identity);
    if (!best) return 0;
    u32 known = node_find(identity, *best);
    if (known) return known;
    u32 node = node_new(identity);
    *created = true;
    bool attached = attach(identity, node, *best, cause);
    assert(attached);
    return node;
}

/* As speaker(): once an event was resolved, its strongest identifier is known, as the node that
 * spoke or as one that did. */
u32 identity_speaks(const struct identity *identity, const struct event *e)
{
    const struct identifier *best = NULL;
    bool claims_only = !anyone_speaks(e);
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct identifier *v = &e->identifiers[i];
        if ((!identifier_may_speak(*v) && !claims_only) || node_find(identity, *v) == 0) continue;
        if (!best || identifier_strength(v->kind) > identifier_strength(best->kind)) best = v;
    }
    return best ? node_find(identity, *best) : 0;
}

static void merge_into(struct identity *identity, struct resolved *r, u32 other, struct identifier v, u8 why,
                       struct cause cause)
{
    person_id mine = { person_of(identity, r->node) }, theirs = { person_of(identity, other) };
    if (mine.v == theirs.v) return;
    int refused = may_join(identity, mine, theirs);
    /* that is what an alias says: two user ids, one person */
    if (refused == LINK_OTHER_PERSON && why == LINK_ALIAS) refused = -1;
    if (refused >= 0) {
        refuse(identity, r->node, other, v, (u8)refused, cause);
        return;
    }
    r->links[r->merged_n] = ledger_add(identity, (struct link){ .kind = LINK_MERGE,
                                                                .reason = why,
                                                                .a = r->node,
                                                                .b = other,
                                                                .verified = true,
                                                                .ref = cause.ref,
                                                                .at_ms = cause.at_ms,
                                                                .identifier = v,
                                                                .source = cause.source });
    r->merged[r->merged_n++] = (person_id){ join(identity, r->node, other) };
}

/* "previous" is a browser's id, or a user id of before: who sends it does not say which. One nobody
 * has met yet is both from now on, so that an alias that comes before its history does as much as
 * one that comes after. */
static void alias(struct identity *identity, struct resolved *r, const struct event *e, struct cause cause)
{
    struct identifier as_user = { IDENTIFIER_USER_ID, true, e->previous_id };
    struct identifier as_browser = { IDENTIFIER_ANONYMOUS_ID, true, e->previous_id };
    u32 user = node_find(identity, as_user), browser = node_find(identity, as_browser);
    if (browser) merge_into(identity, r, browser, as_browser, LINK_ALIAS, cause);
    if (user && r->merged_n < EVENT_IDENTIFIERS_MAX)
        merge_into(identity, r, user, as_user, LINK_ALIAS, cause);
    if (user || browser) return;
    attach_anyway(identity, r->node, as_user, cause);
    attach_anyway(identity, r->node, as_browser, cause);
}

struct resolved identity_resolve(struct identity *identity, const struct event *e, u64 ref, i64 at_ms)
{
    struct cause cause = { ref, at_ms, e->source };
    struct resolved r = { 0 };
    r.node = speaker(identity, e, cause, &r.created);
    if (r.node == 0) return r;
    bool verified_speaker = false;
    for (isize i = 0; i < e->identifiers_n; i++)
        verified_speaker |= e->identifiers[i].verified && identifier_is_strong(e->identifiers[i].kind);
    for (isize i = 0; i < e->identifiers_n; i++) {
        struct identifier v = e->identifiers[i];
        u32 known = node_find(identity, v);
        if (!identifier_may_speak(v)) {
            if (!anyone_speaks(e)) {
                if (!known) attach(identity, r.node, v, cause);
            } else if (!known || person_of(identity, known) != person_of(identity, r.node))
                refuse(identity, r.node, known, v, LINK_CLAIMED, cause);
        } else if (!known) {
            attach(identity, r.node, v, cause);
        } else if (verified_speaker || !identifier_is_strong(v.kind)) {
            merge_into(identity, &r, known, v, LINK_SAME_EVENT, cause);
        }
    }
    if (e->previous_id.len && verified_speaker && r.merged_n < EVENT_IDENTIFIERS_MAX)
        alias(identity, &r, e, cause);
    r.person = (person_id){ person_of(identity, r.node) };
    return r;
}

enum err identity_merge(struct identity *identity, person_id a, person_id b, u64 ref, i64 at_ms, str who,
                        struct resolved *out)
{
    *out = (struct resolved){ .node = a.v };
    person_id pa = identity_person(identity, a.v), pb = identity_person(identity, b.v);
    if (pa.v == 0 || pb.v == 0) return ERR_NOT_FOUND;
    out->person = pa;
    if (pa.v == pb.v) return ERR_OK;
    int refused = may_join(identity, pa, pb);
    /* a person's order may join two user ids, never too many nodes */
    if (refused == LINK_TOO_MANY) return ERR_REFUSED;
    out->links[out->merged_n] = ledger_add(identity, (struct link){ .kind = LINK_MERGE,
                                                                    .reason = LINK_ORDERED,
                                                                    .a = pa.v,
                                                                    .b = pb.v,
                                                                    .verified = true,
                                                                    .ref = ref,
                                                                    .at_ms = at_ms,
                                                                    .source = who });
    out->merged[out->merged_n++] = (person_id){ join(identity, pa.v, pb.v) };
    out->person = identity_person(identity, pa.v);
    return ERR_OK;
}

void identity_memo(struct identity *identity, u32 link, str memo)
{
    struct link with = line_at(identity, link);
    assert(with.kind == LINK_MERGE);
    with.memo = memo;
    line_replace(identity, &with);
}

/* ---- splitting ------------------------------------------------------------------------------ */

static isize index_of(const u32 *at, isize n, u32 v)
{
    for (isize i = 0; i < n; i++)
        if (at[i] == v) return i;
    return -1;
}

/* Parts of `nodes` that the merges still standing hold together; part[i] is the lowest index of
 * node i's part. */
static void draw_parts(const struct identity *identity, const u32 *nodes, isize n, isize *part)
{
    u32 line;
    for (isize i = 0; i < n; i++) part[i] = i;
    for (isize i = 0; i < n; i++)
        for (isize j = 0; (line = line_on(identity, nodes[i], j)); j++) {
            struct link link = line_at(identity, line);
            if (link.kind != LINK_MERGE || link.undone) continue;
            isize a = index_of(nodes, n, link.a), b = index_of(nodes, n, link.b);
            if (a < 0 || b < 0 || part[a] == part[b]) continue;
            isize low = min_isize(part[a], part[b]), high = max_isize(part[a], part[b]);
            for (isize k = 0; k < n; k++)
                if (part[k] == high) part[k] = low;
        }
}

static void redraw(struct identity *identity, const u32 *nodes, isize n, struct parting *out)
{
    isize part[NODES_PER_PERSON_MAX];
    draw_parts(identity, nodes, n, part);
    for (isize i = 0; i < n; i++) {
        struct node *node = node_at(identity, nodes[i]);
        u32 root = nodes[part[i]];
        if (part[i] == i) {
            node->next = nodes[i];
            out->people[out->n++] = (person_id){ nodes[i] };
        } else {
            struct node *head = node_at(identity, root);
            node->next = head->next;
            head->next = nodes[i];
        }
        atomic_store_explicit(&node->person, root, memory_order_release);
    }
}

enum err identity_split(struct identity *identity, u32 link_id, u64 ref, i64 at_ms, str who,
                        struct parting *out)
{
    *out = (struct parting){ 0 };
    struct link link;
    if (!identity_link(identity, link_id, &link) || link.kind != LINK_MERGE) return ERR_NOT_FOUND;
    if (link.undone) return ERR_CONFLICT;
    u32 nodes[NODES_PER_PERSON_MAX];
    isize n = identity_nodes(identity, (person_id){ person_of(identity, link.a) }, nodes, countof(nodes));
    link.undone = true;
    line_replace(identity, &link);
    redraw(identity, nodes, n, out);
    (void)ledger_add(identity, (struct link){ .kind = LINK_SPLIT,
                                              .reason = LINK_ORDERED,
                                              .a = link.a,
                                              .b = link.b,
                                              .undoes = link_id,
                                              .ref = ref,
                                              .at_ms = at_ms,
                                              .source = who });
    return ERR_OK;
}

/* ---- erasing --------------------------------------------------------------------------------- */

void identity_erase_link(struct identity *identity, u32 id)
{
    struct link old;
    if (!identity_link(identity, id, &old) || old.kind == LINK_ERASED) return;
    struct link blank = { .id = id, .kind = LINK_ERASED, .ref = old.ref };
    if (old.kind == LINK_ATTACH) {
        /* a node's first line is the one that made it */
        if (line_on(identity, old.a, 0) == id) blank.a = old.a;
        (void)finder_remove(identity->by_identifier, identifier_hash(identity, old.identifier), id);
    }
    line_replace(identity, &blank);
}

void identity_erase_node(struct identity *identity, u32 id)
{
    if (id == 0 || id > identity->nodes) return;
    struct node *node = node_at(identity, id);
    atomic_store_explicit(&node->person, 0, memory_order_release);
    atomic_store_explicit(&node->next, id, memory_order_relaxed);
    off_node(node);
}

void identity_burn(struct identity *identity, const struct burnt *list, isize n, u64 ref)
{
    assert(identity->burn_n == 0);
    identity->burn = list;
    identity->burn_n = n;
    identity->burn_ref = ref;
}

void identity_burnt(struct identity *identity) { burn_due(identity, true); }

isize identity_lines(const struct identity *identity, u32 id, u32 *out, isize max)
{
    isize n = 0;
    while (n < max && (out[n] = line_on(identity, id, n))) n++;
    return n;
}

isize identity_loose(const struct identity *identity, const u32 **out)
{
    *out = identity->loose.at;
    return identity->loose.n;
}

u64 identity_attached(const struct identity *identity, struct identifier v)
{
    u32 node, id = line_find(identity, v, &node);
    return id ? line_at(identity, id).ref : 0;
}

struct then { u64 ref, (*attached)(void *ctx, struct identifier v); void *ctx; };

static bool was_known(const void *ctx, struct identifier v)
{
    const struct then *then = ctx;
    u64 since = then->attached(then->ctx, v);
    return since && since < then->ref;
}

const struct identifier *identity_spoke(const struct event *e, u64 ref,
                                        u64 (*attached)(void *ctx, struct identifier v), void *ctx)
{
    return spokesman(e, was_known, &(struct then){ ref, attached, ctx });
}

/* ---- state ---------------------------------------------------------------------------------- */

enum err identity_load(struct identity *identity, str link_bytes)
{
    struct codec c = codec_reader(link_bytes, NULL);
    struct link link = { 0 };
    visit_link(&c, &link);
    if (c.failed || c.in.len || link.id != rows_n(identity->links) + 1) return ERR_DAMAGED;
    u32 highest = link.a > link.b ? link.a : link.b;
    bool makes = (link.kind == LINK_ATTACH || link.kind == LINK_ERASED) && highest == identity->nodes + 1;
    if (makes) node_new(identity);
    if (makes && link.kind == LINK_ERASED) {
        atomic_store_explicit(&node_at(identity, highest)->person, 0, memory_order_release);
        line_put(identity, &link);
        return ERR_OK;
    }
    if (highest > identity->nodes) return ERR_DAMAGED;
    line_put(identity, &link);
    on_node(identity, link.a, link.id);
    if (link.b != link.a) on_node(identity, link.b, link.id);
    if (link.kind == LINK_ATTACH)
        finder_add(identity->by_identifier, identifier_hash(identity, link.identifier), link.id);
    bool joins = link.kind == LINK_MERGE && !link.undone
                 && person_of(identity, link.a) != person_of(identity, link.b);
    if (joins) join(identity, link.a, link.b);
    return ERR_OK;
}

u32 identity_dirty_next(struct identity *identity)
{
    if (identity->dirty_at < identity->dirty.n) return identity->dirty.at[identity->dirty_at++];
    identity->dirty.n = identity->dirty_at = 0;
    return 0;
}

struct hash128 identity_digest(const struct identity *identity) { return identity->digest; }
