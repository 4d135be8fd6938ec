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
 * An identifier is found by the 128-bit hash of its kind and value.
 *
 * Who decides, on an event that carries several identifiers: the strong ones that may speak
 * (verified) come first; weak ones (the browser's or device's own) join them unless the weak
 * one's person has already another of what there may only be one of, such as the user id. Then
 * somebody else uses the same browser, and the event is theirs alone. A strong identifier that is
 * new gets a node of its own even when the browser is known, so that a log-in can be undone.
 */
#include "identity/identity.h"

#include <stdatomic.h>

#include "base/rcu.h"

enum { CHUNK = 1 << 16, CHUNKS_MAX = 1 << 13 };

struct node { _Atomic u32 person; u32 next; struct { u32 *at; isize n, cap; } links; };

struct identity {
    u64 seed;
    struct map *nodes_by_identifier;
    _Atomic(struct node *) chunks[CHUNKS_MAX];
    u32 nodes;
    struct { struct link **at; isize n, cap; } links;
    struct { u32 *at; isize n, cap; } dirty;
    isize dirty_at;
    struct { u32 *at; isize n, cap; } loose;            /* lines that refuse an identifier nobody had */
    struct hash128 digest;
    const struct burnt *burn; isize burn_n;             /* what the entry under way had made that was erased */
    u64 burn_ref;
};

struct identity *identity_new(u64 seed)
{
    struct identity *identity = mem_new(sizeof *identity);
    identity->seed = seed;
    identity->nodes_by_identifier = map_new(1024);
    return identity;
}

static struct node *node_at(const struct identity *identity, u32 id)
{
    assert(id > 0);
    struct node *chunk = atomic_load_explicit(&identity->chunks[id / CHUNK], memory_order_acquire);
    assert(chunk);
    return &chunk[id % CHUNK];
}

void identity_free(struct identity *identity)
{
    if (!identity) return;
    for (u32 id = 1; id <= identity->nodes; id++) mem_free(node_at(identity, id)->links.at);
    for (isize i = 0; i < CHUNKS_MAX; i++) mem_free(atomic_load(&identity->chunks[i]));
    for (isize i = 0; i < identity->links.n; i++) mem_free(identity->links.at[i]);
    vec_fini(&identity->links);
    vec_fini(&identity->dirty);
    vec_fini(&identity->loose);
    map_free(identity->nodes_by_identifier);
    mem_free(identity);
}

/* What is merely claimed is another name than what is proved, though it is spelled the same. */
static struct hash128 identifier_hash(const struct identity *identity, struct identifier v)
{
    struct hash128 h = hash128(v.value, identity->seed);
    u64 kind = v.kind + (identifier_may_speak(v) ? 0 : 64u);
    return (struct hash128){ h.hi, h.lo + kind * 0x9e3779b97f4a7c15u };         /* into what comes out: hash.h says why not the seed */
}

static u32 node_find(const struct identity *identity, struct identifier v)
{
    return (u32)map_get(identity->nodes_by_identifier, identifier_hash(identity, v), 0);
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

person_id identity_find(const struct identity *identity, struct identifier identifier)
{
    u32 node = node_look_up(identity, identifier);
    return (person_id){ node ? person_of(identity, node) : 0 };
}

u32 identity_node(const struct identity *identity, struct identifier identifier) { return node_look_up(identity, identifier); }

person_id identity_person(const struct identity *identity, u32 node)
{
    bool made = node > 0 && node / CHUNK < CHUNKS_MAX
             && atomic_load_explicit(&identity->chunks[node / CHUNK], memory_order_acquire);
    return (person_id){ made ? person_of(identity, node) : 0 };
}

/* ---- the ledger ---------------------------------------------------------------------------- */

static void visit_link(struct codec *c, struct link *v)
{
    codec_u32(c, &v->id);
    codec_u8(c, &v->kind);
    codec_u8(c, &v->reason);
    codec_bool(c, &v->verified);
    codec_bool(c, &v->undone);
    codec_u32(c, &v->a);
    codec_u32(c, &v->b);
    codec_u32(c, &v->undoes);
    codec_u64(c, &v->ref);
    codec_i64(c, &v->at_ms);
    codec_u8(c, &v->identifier.kind);
    codec_bool(c, &v->identifier.verified);
    codec_str(c, &v->identifier.value);
    codec_str(c, &v->source);
    codec_str(c, &v->memo);
}

void link_encode(const struct link *link, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct link copy = *link;
    visit_link(&c, &copy);
}

static struct hash128 link_hash(const struct link *link)
{
    struct buf bytes = { 0 };
    link_encode(link, &bytes);
    struct hash128 h = hash128(buf_str(&bytes), 0);
    buf_fini(&bytes);
    return h;
}

/* A copy with its strings behind it, in one block. */
static struct link *link_copy(const struct link *from)
{
    struct link *link = mem_new((isize)sizeof *from + from->identifier.value.len + from->source.len + from->memo.len);
    *link = *from;
    str *const strings[] = { &link->identifier.value, &link->source, &link->memo };
    char *text = (char *)(link + 1);
    for (isize i = 0; i < countof(strings); i++) {
        if (strings[i]->len) memcpy(text, strings[i]->ptr, (size_t)strings[i]->len);
        strings[i]->ptr = text;
        text += strings[i]->len;
    }
    return link;
}

static struct link *link_keep(struct identity *identity, const struct link *from)
{
    struct link *link = link_copy(from);
    vec_push(&identity->links, link);
    assert(link->id == (u32)identity->links.n);
    hash128_sum(&identity->digest, link_hash(link), true);
    if (link->kind == LINK_REFUSED && link->b == 0) vec_push(&identity->loose, link->id);
    return link;
}

static void on_node(struct identity *identity, u32 node, u32 link)
{
    if (node) vec_push(&node_at(identity, node)->links, link);
}

static u32 node_new(struct identity *identity);

/* A number that was used by somebody who is erased. */
static void burn_line(struct identity *identity, struct burnt burnt, u64 ref)
{
    struct link blank = { .id = burnt.link, .kind = LINK_ERASED, .a = burnt.node, .ref = ref };
    assert(burnt.link == (u32)identity->links.n + 1);
    if (burnt.node) {
        u32 node = node_new(identity);
        assert(node == burnt.node);
        atomic_store_explicit(&node_at(identity, node)->person, 0, memory_order_release);
    }
    link_keep(identity, &blank);
    vec_push(&identity->dirty, blank.id);
}

static void burn_due(struct identity *identity, bool all)
{
    while (identity->burn_n && (all || identity->burn->link == (u32)identity->links.n + 1)) {
        burn_line(identity, *identity->burn++, identity->burn_ref);
        identity->burn_n--;
    }
}

static struct link *ledger_add(struct identity *identity, struct link link)
{
    burn_due(identity, false);
    link.id = (u32)identity->links.n + 1;
    struct link *kept = link_keep(identity, &link);
    on_node(identity, link.a, link.id);
    if (link.b != link.a) on_node(identity, link.b, link.id);
    vec_push(&identity->dirty, link.id);
    return kept;
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
    node->next = id;
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

static isize links_of(const struct identity *identity, person_id person, int kind, const struct link **out, isize max)
{
    u32 nodes[NODES_PER_PERSON_MAX];
    isize nodes_n = identity_nodes(identity, person, nodes, NODES_PER_PERSON_MAX);
    isize n = 0;
    for (isize i = 0; i < nodes_n; i++) {
        const struct node *node = node_at(identity, nodes[i]);
        for (isize j = 0; j < node->links.n && n < max; j++) {
            const struct link *link = identity->links.at[node->links.at[j] - 1];
            bool first_mention = link->a == nodes[i];   /* a merge stands on both its nodes */
            if (kind >= 0 ? link->kind == kind : first_mention) out[n++] = link;
        }
    }
    return n;
}

isize identity_identifiers(const struct identity *identity, person_id person, const struct link **out, isize max)
{
    return links_of(identity, person, LINK_ATTACH, out, max);
}

isize identity_links(const struct identity *identity, person_id person, const struct link **out, isize max)
{
    return links_of(identity, person, -1, out, max);
}

isize identity_people(const struct identity *identity) { return identity->nodes; }
isize identity_links_n(const struct identity *identity) { return identity->links.n; }

const struct link *identity_link(const struct identity *identity, u32 id)
{
    return id > 0 && id <= (u32)identity->links.n ? identity->links.at[id - 1] : NULL;
}

static isize kind_count(const struct identity *identity, person_id person, u8 kind, isize *all)
{
    const struct link *links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(identity, person, links, countof(links));
    isize same = 0;
    for (isize i = 0; i < n; i++) same += links[i]->identifier.kind == kind;
    if (all) *all = n;
    return same;
}

/* ---- attaching and joining ----------------------------------------------------------------- */

struct cause { u64 ref; i64 at_ms; str source; };

static void refuse(struct identity *identity, u32 node, u32 other, struct identifier v, u8 reason, struct cause cause)
{
    const struct link *links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = links_of(identity, (person_id){ person_of(identity, node) }, LINK_REFUSED, links, countof(links));
    for (isize i = 0; i < n; i++) {
        const struct link *old = links[i];
        bool same = old->reason == reason && old->identifier.kind == v.kind && str_eq(old->identifier.value, v.value);
        if (same) return;                               /* said once, it is known */
    }
    if (n == countof(links)) return;
    ledger_add(identity, (struct link){ .kind = LINK_REFUSED, .reason = reason, .a = node, .b = other, .ref = cause.ref,
                                        .at_ms = cause.at_ms, .identifier = v, .source = cause.source });
}

static void attach_anyway(struct identity *identity, u32 node, struct identifier v, struct cause cause)
{
    map_put(identity->nodes_by_identifier, identifier_hash(identity, v), node);
    ledger_add(identity, (struct link){ .kind = LINK_ATTACH, .a = node, .verified = v.verified, .ref = cause.ref,
                                        .at_ms = cause.at_ms, .identifier = v, .source = cause.source });
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

/* Which identifier speaks for an event: the strongest that may and is known, or the strongest that may, where it is strong and the known one is
 * not. When all are claims, the strongest claim, as somebody of that name: their history is kept apart from whoever proves to bear it. */
static const struct identifier *spokesman(const struct event *e, bool (*known)(const void *ctx, struct identifier v), const void *ctx)
{
    const struct identifier *best = NULL, *best_known = NULL;
    bool claims_only = !anyone_speaks(e);
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct identifier *v = &e->identifiers[i];
        if (!identifier_may_speak(*v) && !claims_only) continue;
        if (!best || identifier_strength(v->kind) > identifier_strength(best->kind)) best = v;
        if ((!best_known || identifier_strength(v->kind) > identifier_strength(best_known->kind)) && known(ctx, *v)) best_known = v;
    }
    return best_known && (identifier_is_strong(best_known->kind) || !identifier_is_strong(best->kind)) ? best_known : best;
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

/* As speaker(): once an event was resolved, its strongest identifier is known, as the node that spoke or as one that did. */
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
    if (refused == LINK_OTHER_PERSON && why == LINK_ALIAS) refused = -1;    /* that is what an alias says: two user ids, one person */
    if (refused >= 0) {
        refuse(identity, r->node, other, v, (u8)refused, cause);
        return;
    }
    ledger_add(identity, (struct link){ .kind = LINK_MERGE, .reason = why, .a = r->node, .b = other, .verified = true,
                                        .ref = cause.ref, .at_ms = cause.at_ms, .identifier = v, .source = cause.source });
    r->links[r->merged_n] = (u32)identity->links.n;
    r->merged[r->merged_n++] = (person_id){ join(identity, r->node, other) };
}

/* "previous" is a browser's id, or a user id of before: who sends it does not say which. One nobody has met yet is both from now on, so that
 * an alias that comes before its history does as much as one that comes after. */
static void alias(struct identity *identity, struct resolved *r, const struct event *e, struct cause cause)
{
    struct identifier as_user = { IDENTIFIER_USER_ID, true, e->previous_id };
    struct identifier as_browser = { IDENTIFIER_ANONYMOUS_ID, true, e->previous_id };
    u32 user = node_find(identity, as_user), browser = node_find(identity, as_browser);
    if (browser) merge_into(identity, r, browser, as_browser, LINK_ALIAS, cause);
    if (user && r->merged_n < EVENT_IDENTIFIERS_MAX) merge_into(identity, r, user, as_user, LINK_ALIAS, cause);
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
    if (e->previous_id.len && verified_speaker && r.merged_n < EVENT_IDENTIFIERS_MAX) alias(identity, &r, e, cause);
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
    if (refused == LINK_TOO_MANY) return ERR_REFUSED;   /* a person's order may join two user ids, never too many nodes */
    ledger_add(identity, (struct link){ .kind = LINK_MERGE, .reason = LINK_ORDERED, .a = pa.v, .b = pb.v, .verified = true,
                                        .ref = ref, .at_ms = at_ms, .source = who });
    out->links[out->merged_n] = (u32)identity->links.n;
    out->merged[out->merged_n++] = (person_id){ join(identity, pa.v, pb.v) };
    out->person = identity_person(identity, pa.v);
    return ERR_OK;
}

static void link_replace(struct identity *identity, u32 id, const struct link *with);

void identity_memo(struct identity *identity, u32 link, str memo)
{
    const struct link *old = identity->links.at[link - 1];
    struct link with = *old;
    assert(old->kind == LINK_MERGE);
    with.memo = memo;
    link_replace(identity, link, &with);
}

/* ---- splitting ------------------------------------------------------------------------------ */

static isize index_of(const u32 *at, isize n, u32 v)
{
    for (isize i = 0; i < n; i++)
        if (at[i] == v) return i;
    return -1;
}

/* Parts of `nodes` that the merges still standing hold together; part[i] is the lowest index of node i's part. */
static void draw_parts(const struct identity *identity, const u32 *nodes, isize n, isize *part)
{
    for (isize i = 0; i < n; i++) part[i] = i;
    for (isize i = 0; i < n; i++) {
        const struct node *node = node_at(identity, nodes[i]);
        for (isize j = 0; j < node->links.n; j++) {
            const struct link *link = identity->links.at[node->links.at[j] - 1];
            if (link->kind != LINK_MERGE || link->undone) continue;
            isize a = index_of(nodes, n, link->a), b = index_of(nodes, n, link->b);
            if (a < 0 || b < 0 || part[a] == part[b]) continue;
            isize low = min_isize(part[a], part[b]), high = max_isize(part[a], part[b]);
            for (isize k = 0; k < n; k++)
                if (part[k] == high) part[k] = low;
        }
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

enum err identity_split(struct identity *identity, u32 link_id, u64 ref, i64 at_ms, str who, struct parting *out)
{
    *out = (struct parting){ 0 };
    if (link_id == 0 || link_id > (u32)identity->links.n) return ERR_NOT_FOUND;
    struct link *link = identity->links.at[link_id - 1];
    if (link->kind != LINK_MERGE) return ERR_NOT_FOUND;
    if (link->undone) return ERR_CONFLICT;
    u32 nodes[NODES_PER_PERSON_MAX];
    isize n = identity_nodes(identity, (person_id){ person_of(identity, link->a) }, nodes, countof(nodes));
    hash128_sum(&identity->digest, link_hash(link), false);
    link->undone = true;
    hash128_sum(&identity->digest, link_hash(link), true);
    vec_push(&identity->dirty, link_id);
    redraw(identity, nodes, n, out);
    ledger_add(identity, (struct link){ .kind = LINK_SPLIT, .reason = LINK_ORDERED, .a = link->a, .b = link->b,
                                        .undoes = link_id, .ref = ref, .at_ms = at_ms, .source = who });
    return ERR_OK;
}

/* ---- erasing --------------------------------------------------------------------------------- */

static void link_replace(struct identity *identity, u32 id, const struct link *with)
{
    struct link *old = identity->links.at[id - 1];
    hash128_sum(&identity->digest, link_hash(old), false);
    identity->links.at[id - 1] = link_copy(with);
    hash128_sum(&identity->digest, link_hash(identity->links.at[id - 1]), true);
    vec_push(&identity->dirty, id);
    mem_free(old);
}

void identity_erase_link(struct identity *identity, u32 id)
{
    if (id == 0 || id > (u32)identity->links.n) return;
    const struct link *old = identity->links.at[id - 1];
    if (old->kind == LINK_ERASED) return;
    struct link blank = { .id = id, .kind = LINK_ERASED, .ref = old->ref };
    if (old->kind == LINK_ATTACH) {
        const struct node *node = node_at(identity, old->a);
        if (node->links.n && node->links.at[0] == id) blank.a = old->a;         /* a node's first line is the one that made it */
        if (node_find(identity, old->identifier) == old->a)
            map_remove(identity->nodes_by_identifier, identifier_hash(identity, old->identifier));
    }
    link_replace(identity, id, &blank);
}

void identity_erase_node(struct identity *identity, u32 id)
{
    if (id == 0 || id > identity->nodes) return;
    struct node *node = node_at(identity, id);
    atomic_store_explicit(&node->person, 0, memory_order_release);
    node->next = id;
    vec_fini(&node->links);
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
    const struct node *node = node_at(identity, id);
    isize n = min_isize(node->links.n, max);
    if (n) memcpy(out, node->links.at, (size_t)n * sizeof *out);
    return n;
}

isize identity_loose(const struct identity *identity, const u32 **out)
{
    *out = identity->loose.at;
    return identity->loose.n;
}

u64 identity_attached(const struct identity *identity, struct identifier v)
{
    u32 at = node_find(identity, v);
    const struct node *node = at ? node_at(identity, at) : NULL;
    for (isize i = 0; node && i < node->links.n; i++) {
        const struct link *link = identity->links.at[node->links.at[i] - 1];
        bool same = link->kind == LINK_ATTACH && link->identifier.kind == v.kind && str_eq(link->identifier.value, v.value);
        if (same && identifier_may_speak(link->identifier) == identifier_may_speak(v)) return link->ref;
    }
    return 0;
}

struct then { u64 ref, (*attached)(void *ctx, struct identifier v); void *ctx; };

static bool was_known(const void *ctx, struct identifier v)
{
    const struct then *then = ctx;
    u64 since = then->attached(then->ctx, v);
    return since && since < then->ref;
}

const struct identifier *identity_spoke(const struct event *e, u64 ref, u64 (*attached)(void *ctx, struct identifier v), void *ctx)
{
    return spokesman(e, was_known, &(struct then){ ref, attached, ctx });
}

/* ---- state ---------------------------------------------------------------------------------- */

enum err identity_load(struct identity *identity, str link_bytes)
{
    struct codec c = codec_reader(link_bytes, NULL);
    struct link link = { 0 };
    visit_link(&c, &link);
    if (c.failed || c.in.len || link.id != (u32)identity->links.n + 1) return ERR_DAMAGED;
    u32 highest = link.a > link.b ? link.a : link.b;
    bool makes = (link.kind == LINK_ATTACH || link.kind == LINK_ERASED) && highest == identity->nodes + 1;
    if (makes) node_new(identity);
    if (makes && link.kind == LINK_ERASED) {
        atomic_store_explicit(&node_at(identity, highest)->person, 0, memory_order_release);
        link_keep(identity, &link);
        return ERR_OK;
    }
    if (highest > identity->nodes) return ERR_DAMAGED;
    link_keep(identity, &link);
    on_node(identity, link.a, link.id);
    if (link.b != link.a) on_node(identity, link.b, link.id);
    if (link.kind == LINK_ATTACH)
        map_put(identity->nodes_by_identifier, identifier_hash(identity, link.identifier), link.a);
    bool joins = link.kind == LINK_MERGE && !link.undone && person_of(identity, link.a) != person_of(identity, link.b);
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
