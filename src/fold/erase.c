/* SPDX-License-Identifier: Apache-2.0
 *
 * erase.c - somebody is forgotten: who that is, what it does to the state, and the receipt.
 *
 * An erasure is an entry of the log. It names nobody: it holds the numbers of the nodes, lines and
 * orders that were theirs, and hashes of their identifiers under the folder's key, by which the log
 * can be gone through afterwards (forget.c) and by which whatever comes under them is refused until
 * it brings a consent. Folding it takes them out of everything; what is gone already stays gone, so
 * it does not matter whether their events still stood in the log when it was replayed.
 *
 * Numbers stay taken: a node, a line of the ledger, an order is blank from then on and keeps its
 * place, since decisions, predictions and other people's histories go by numbers. Whatever counts
 * without them stays as well: how many events a source brought, what the shop took in. A replay
 * without them would count less, so the entry says those counts as they were right before it. That
 * is why it is written while nothing else is (log_writer_hold).
 */
#include <sodium.h>
#include <stdlib.h>

#include "base/logline.h"
#include "fold/inside.h"

enum { LIST_MAX = 1 << 24, WORDS_BYTES_MAX = 512, BATCH_MAX = 256 };

/* ---- hashes under the folder's key ----------------------------------------------------------- */

/* What is merely claimed is another name than what is proved: identity.c. */
struct hash128 erase_hash(const struct fold *fold, struct identifier v)
{
    struct hash128 h = denial_hash(fold->live.denial_key, v);
    if (!identifier_may_speak(v)) h.lo += 0x9e3779b97f4a7c15u;
    return h;
}

struct hash128 fold_whom(const struct fold *fold, struct identifier identifier)
{
    return erase_hash(fold, identifier);
}

static struct hash128 keyed(const struct fold *fold, u8 what, str text)
{
    crypto_generichash_state state;
    u8 out[16];
    crypto_generichash_init(&state, fold->live.denial_key, 32, sizeof out);
    crypto_generichash_update(&state, &what, 1);
    crypto_generichash_update(&state, (const u8 *)text.ptr, (unsigned long long)text.len);
    crypto_generichash_final(&state, out, sizeof out);
    return (struct hash128){ load_u64le(out), load_u64le(out + 8) };
}

/* However its letters are cased. */
struct hash128 erase_word(const struct fold *fold, str text)
{
    char lower[WORDS_BYTES_MAX];
    isize n = min_isize(text.len, (isize)sizeof lower);
    for (isize i = 0; i < n; i++) {
        char c = text.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
    }
    return keyed(fold, 254, (str){ lower, n });
}

struct hash128 erase_order_key(const struct fold *fold, str key) { return keyed(fold, 253, key); }

/* ---- bytes ----------------------------------------------------------------------------------- */

static void visit_u32(struct codec *c, u32 *v) { codec_u32(c, v); }

static void visit_hash(struct codec *c, struct hash128 *v)
{
    codec_u64(c, &v->hi);
    codec_u64(c, &v->lo);
}

static void visit_theirs(struct codec *c, struct theirs *v)
{
    visit_hash(c, &v->hash);
    codec_u64(c, &v->since);
    codec_bool(c, &v->denied);
}

static void visit_counts(struct codec *c, struct erase_counts *v)
{
#define COUNT(name) codec_i64(c, &v->name);
    ERASE_COUNTS(COUNT)
#undef COUNT
}

static void visit_erasing(struct codec *c, struct erasing *v)
{
    u8 op = PEOPLE_ERASE;
    codec_u8(c, &op);
    codec_i64(c, &v->is.at_ms);
    visit_hash(c, &v->is.whom);
    codec_str(c, &v->is.by);
    codec_str(c, &v->is.because);
    visit_counts(c, &v->is.counts);
    codec_list(c, u32, v->nodes, v->nodes_n, LIST_MAX, visit_u32);
    codec_list(c, u32, v->links, v->links_n, LIST_MAX, visit_u32);
    codec_list(c, u32, v->orders, v->orders_n, LIST_MAX, visit_u32);
    codec_list(c, struct theirs, v->theirs, v->theirs_n, LIST_MAX, visit_theirs);
    codec_list(c, struct hash128, v->words, v->words_n, LIST_MAX, visit_hash);
    codec_list(c, struct hash128, v->order_keys, v->order_keys_n, LIST_MAX, visit_hash);
    codec_str(c, &v->rest);
}

enum err erasing_read(str bytes, arena *a, struct erasing *out)
{
    struct codec c = codec_reader(bytes, a);
    *out = (struct erasing){ 0 };
    visit_erasing(&c, out);
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

static void visit_erasure(struct codec *c, struct erasure *v)
{
    codec_u64(c, &v->ref);
    codec_i64(c, &v->at_ms);
    codec_i64(c, &v->done_ms);
    visit_hash(c, &v->whom);
    codec_str(c, &v->by);
    codec_str(c, &v->because);
    visit_counts(c, &v->counts);
    codec_str(c, &v->bytes);
}

void erasure_encode(const struct erasure *erasure, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct erasure copy = *erasure;
    visit_erasure(&c, &copy);
}

static struct erasure *erasure_keep(struct fold *fold, const struct erasure *from)
{
    struct erasure *kept = mem_new(sizeof *kept);
    *kept = *from;
    str *const texts[] = { &kept->by, &kept->because, &kept->bytes };
    for (isize i = 0; i < countof(texts); i++) *texts[i] = mem_str(*texts[i]);
    vec_push(&fold->erasures, kept);
    return kept;
}

enum err erasures_load(struct fold *fold, str bytes, arena *a)
{
    struct codec c = codec_reader(bytes, a);
    struct erasure v = { 0 };
    visit_erasure(&c, &v);
    if (c.failed) return ERR_DAMAGED;
    (void)erasure_keep(fold, &v);
    fold->erasures_dirty = fold->erasures.n;
    return ERR_OK;
}

void erasures_fini(struct fold *fold)
{
    for (isize i = 0; i < fold->erasures.n; i++) {
        struct erasure *e = fold->erasures.at[i];
        mem_free_str(e->by);
        mem_free_str(e->because);
        mem_free_str(e->bytes);
        mem_free(e);
    }
    vec_fini(&fold->erasures);
    vec_fini(&fold->gone);
}

isize fold_erasures(const struct fold *fold, const struct erasure **out, isize max)
{
    isize n = min_isize(max, fold->erasures.n);
    for (isize i = 0; i < n; i++) out[i] = fold->erasures.at[fold->erasures.n - 1 - i];
    return n;
}

i32 fold_erase_progress(const struct fold *fold) { return atomic_load(&fold->erase_progress); }

/* ---- who that is ----------------------------------------------------------------------------- */

/* What is found of somebody, before it is known how much that is. */
struct finding {
    const struct fold *fold;
    arena *a;
    struct map *nodes, *links;                          /* as sets */
    struct { u32 *at; isize n, cap; } node_list, link_list, order_list;
    struct { struct theirs *at; isize n, cap; } theirs;
    struct { struct hash128 *at; isize n, cap; } words, order_keys;
    struct erase_counts counts;
};

static struct hash128 number(u32 v) { return (struct hash128){ v, v * 0x9e3779b97f4a7c15u }; }

static void add_theirs(struct finding *f, struct identifier v, u64 since, bool denied)
{
    struct theirs one = { erase_hash(f->fold, v), since, denied };
    for (isize i = 0; i < f->theirs.n; i++) {
        if (!hash128_eq(f->theirs.at[i].hash, one.hash)) continue;
        f->theirs.at[i].denied |= denied;
        if (since) f->theirs.at[i].since = since;
        return;
    }
    vec_push(&f->theirs, one);
    vec_push(&f->words, erase_word(f->fold, v.value));
}

static void count_profile(struct finding *f, person_id person)
{
    const struct profile *p = people_get(f->fold->live.people, person, f->a);
    if (!p) return;
    f->counts.people++;
    f->counts.history += p->history_n + p->older_events;
    for (isize i = 0; i < p->memberships_n; i++) f->counts.segments += p->memberships[i].member;
}

/* A person with all their parts. Only what was proved, or is a browser's own, is refused from now
 * on: somebody else may truly bear a name that was merely claimed. */
static void add_person(struct finding *f, person_id person, bool denies)
{
    const struct identity *identity = f->fold->live.identity;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    u32 nodes[NODES_PER_PERSON_MAX];
    if (person.v == 0 || !map_put(f->nodes, number(person.v), 1)) return;
    count_profile(f, person);
    isize n = identity_nodes(identity, person, nodes, countof(nodes));
    for (isize i = 0; i < n; i++) {
        (void)map_put(f->nodes, number(nodes[i]), 1);
        vec_push(&f->node_list, nodes[i]);
    }
    n = identity_identifiers(identity, person, links, countof(links));
    f->counts.identifiers += n;
    for (isize i = 0; i < n; i++) {
        struct identifier v = links[i].identifier;
        add_theirs(f, v, links[i].ref, denies && identifier_may_speak(v));
    }
}

/* Whoever only ever claimed to bear one of their names. */
static void add_claimed(struct finding *f, person_id person)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(f->fold->live.identity, person, links, countof(links));
    for (isize i = 0; i < n; i++) {
        struct identifier claim = links[i].identifier;
        if (!claim.verified || !identifier_is_strong(claim.kind)) continue;
        claim.verified = false;
        add_theirs(f, claim, identity_attached(f->fold->live.identity, claim), false);
        add_person(f, identity_find(f->fold->live.identity, claim), false);
    }
}

static void add_line(struct finding *f, u32 id)
{
    struct link l;
    if (identity_link(f->fold->live.identity, id, &l) && l.kind != LINK_ERASED
        && map_put(f->links, number(id), 1))
        vec_push(&f->link_list, id);
}

static void find_lines(struct finding *f)
{
    const struct identity *identity = f->fold->live.identity;
    for (isize i = 0; i < f->node_list.n; i++) {
        isize most = identity_links_n(identity);
        u32 few[1024], *lines = few;
        isize n = identity_lines(identity, f->node_list.at[i], few, countof(few));
        if (n == countof(few)) {
            lines = arena_new(f->a, u32, most);
            n = identity_lines(identity, f->node_list.at[i], lines, most);
        }
        for (isize k = 0; k < n; k++) add_line(f, lines[k]);
    }
    const u32 *loose;
    isize n = identity_loose(identity, &loose);
    for (isize i = 0; i < n; i++) {
        struct link l;
        bool refused = identity_link(identity, loose[i], &l) && l.kind == LINK_REFUSED;
        struct hash128 hash = refused ? erase_hash(f->fold, l.identifier) : (struct hash128){ 0 };
        for (isize k = 0; k < f->theirs.n && refused; k++)
            if (hash128_eq(hash, f->theirs.at[k].hash)) add_line(f, loose[i]);
    }
}

static void find_orders(struct finding *f)
{
    const struct orders *orders = &f->fold->orders;
    for (u32 id = 1; id <= (u32)orders_n(orders); id++) {
        u32 node = orders_node(orders, (order_id){ id });
        if (node == 0 || !map_get(f->nodes, number(node), 0)) continue;
        vec_push(&f->order_list, id);
        vec_push(&f->order_keys, erase_order_key(f->fold, orders_get(orders, (order_id){ id }, f->a)->key));
    }
    f->counts.orders = f->order_list.n;
}

static void *in_arena(arena *a, const void *at, isize bytes)
{
    void *copy = arena_alloc(a, 1, 16, bytes);
    if (bytes) memcpy(copy, at, (size_t)bytes);
    return copy;
}

void erase_collect(const struct fold *fold, const struct erase_request *request, arena *a,
                   struct erasing *out)
{
    struct finding f = { .fold = fold, .a = a, .nodes = map_new(64), .links = map_new(64) };
    const struct identity *identity = fold->live.identity;
    for (isize i = 0; i < request->who_n; i++) {
        struct identifier v = request->who[i];
        if (request->proved) {
            add_theirs(&f, v, identity_attached(identity, v), false);
            add_person(&f, identity_find(identity, v), false);
            continue;
        }
        v.verified = true;
        add_theirs(&f, v, identity_attached(identity, v), true);
        person_id person = identity_find(identity, v);
        add_person(&f, person, true);
        add_claimed(&f, person);
        v.verified = false;
        if (!identifier_is_strong(v.kind)) continue;
        add_theirs(&f, v, identity_attached(identity, v), false);
        add_person(&f, identity_find(identity, v), false);
    }
    find_lines(&f);
    find_orders(&f);
    *out = (struct erasing){ .nodes_n = f.node_list.n, .links_n = f.link_list.n, .orders_n = f.order_list.n, .theirs_n = f.theirs.n,
                             .words_n = f.words.n, .order_keys_n = f.order_keys.n };
    out->nodes = in_arena(a, f.node_list.at, f.node_list.n * (isize)sizeof(u32));
    out->links = in_arena(a, f.link_list.at, f.link_list.n * (isize)sizeof(u32));
    out->orders = in_arena(a, f.order_list.at, f.order_list.n * (isize)sizeof(u32));
    out->theirs = in_arena(a, f.theirs.at, f.theirs.n * (isize)sizeof(struct theirs));
    out->words = in_arena(a, f.words.at, f.words.n * (isize)sizeof(struct hash128));
    out->order_keys = in_arena(a, f.order_keys.at, f.order_keys.n * (isize)sizeof(struct hash128));
    out->is = (struct erasure){ .counts = f.counts, .by = request->by, .because = request->because };
    if (request->who_n) out->is.whom = erase_hash(fold, request->who[0]);
    vec_fini(&f.node_list);
    vec_fini(&f.link_list);
    vec_fini(&f.order_list);
    vec_fini(&f.theirs);
    vec_fini(&f.words);
    vec_fini(&f.order_keys);
    map_free(f.nodes);
    map_free(f.links);
}

enum err erase_submit(struct fold *fold, const struct erase_request *requests, isize n, u64 *refs)
{
    arena a = { 0 };
    struct buf rest = { .arena = &a };
    assert(n > 0 && n <= BATCH_MAX);
    while (fold->writer && !log_writer_hold(fold->writer)) fold_drain(fold);
    u64 first = log_tail(fold->log);
    assert(first == fold->ref + 1);
    struct entry *entries = arena_new(&a, struct entry, n);
    struct record record = { .at_ms = max_i64(clock_now(fold->clock), log_last_ms(fold->log)),
                             .fold_version = 1,
                             .entries = entries,
                             .entries_n = n };
    rest_encode(fold, &rest);
    for (isize i = 0; i < n; i++) {
        struct erasing e;
        struct buf bytes = { .arena = &a };
        struct codec c = codec_writer(&bytes);
        erase_collect(fold, &requests[i], &a, &e);
        e.is.at_ms = record.at_ms;
        if (i == n - 1) e.rest = buf_str(&rest);
        visit_erasing(&c, &e);
        entries[i] = (struct entry){ ENTRY_PEOPLE, buf_str(&bytes) };
        if (refs) refs[i] = first + (u64)i;
    }
    enum log_appended did = log_append(fold->log, first, &record, 1);
    if (did == LOG_FATAL) {
        log_error("erase.append what is on disk is not known");
        abort();
    }
    if (did == LOG_OK) fold_apply(fold, &record);
    if (fold->writer) log_writer_go(fold->writer);
    arena_fini(&a);
    return did == LOG_OK ? ERR_OK : ERR_DISK;
}

/* ---- what it does to the state --------------------------------------------------------------- */

static void drop_profile(struct fold *fold, person_id person)
{
    const struct profile *p = people_get(fold->live.people, person, &fold->scratch);
    if (!p) return;
    cells_count(fold, p->exposures, p->exposures_n, -1);
    for (isize i = 0; i < p->memberships_n; i++)
        roll_put(fold->live.roll, (segment_id){ p->memberships[i].segment }, person, false);
    people_remove(fold->live.people, person);
}

static void drop_decisions(struct fold *fold, const struct map *nodes)
{
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX);
    for (isize i = oldest; i < fold->decided_n; i++) {
        struct decided *d = &fold->decided[i % DECIDED_MAX];
        if (d->decision.person.v == 0 || !map_get(nodes, number(d->decision.person.v), 0)) continue;
        map_remove(fold->decided_by_key, (struct hash128){ d->decision.key, d->decision.key });
        mem_free_str(d->bytes);
        *d = (struct decided){ 0 };
    }
    for (isize i = 0; i < LATEST_MAX; i++)
        if (map_get(nodes, number(fold->latest[i].person.v), 0)) fold->latest[i].person.v = 0;
}

void apply_erase(struct fold *fold, str bytes, u64 ref, i64 now_ms)
{
    struct erasing e;
    if (erasing_read(bytes, &fold->scratch, &e)) {
        log_error("fold.undecodable ref=%llu", (unsigned long long)ref);
        return;
    }
    struct map *nodes = map_new(64);
    const u16 all_purposes = (u16)(((1u << PURPOSES) - 1) & ~(1u << PURPOSE_NECESSARY));
    for (isize i = 0; i < e.nodes_n; i++) {
        (void)map_put(nodes, number(e.nodes[i]), 1);
        vec_push(&fold->gone, e.nodes[i]);
        drop_profile(fold, (person_id){ e.nodes[i] });
    }
    for (isize i = 0; i < e.orders_n; i++) {
        order_gone(fold, (order_id){ e.orders[i] }, now_ms);
        orders_erase(&fold->orders, (order_id){ e.orders[i] });
    }
    for (isize i = 0; i < e.links_n; i++) identity_erase_link(fold->live.identity, e.links[i]);
    for (isize i = 0; i < e.nodes_n; i++) identity_erase_node(fold->live.identity, e.nodes[i]);
    for (isize i = 0; i < e.theirs_n; i++)
        if (e.theirs[i].denied) denials_set(fold->live.denials, e.theirs[i].hash, all_purposes);
    drop_decisions(fold, nodes);
    map_free(nodes);
    if (e.rest.len && rest_load(fold, e.rest, &fold->scratch))
        log_error("fold.undecodable ref=%llu", (unsigned long long)ref);
    e.is.ref = ref;
    e.is.bytes = bytes;
    (void)erasure_keep(fold, &e.is);
    fold->rest_dirty = true;
}

/* All that was to be done is done: by whom it asked is told with the counts. */
struct erased { u64 ref; i64 at_ms; struct erase_counts counts; };

static void visit_erased(struct codec *c, struct erased *v)
{
    u8 op = PEOPLE_ERASED;
    codec_u8(c, &op);
    codec_u64(c, &v->ref);
    codec_i64(c, &v->at_ms);
    visit_counts(c, &v->counts);
}

void erased_encode(const struct erasure *of, i64 at_ms, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct erased done = { of->ref, at_ms, of->counts };
    visit_erased(&c, &done);
}

void apply_erased(struct fold *fold, str bytes)
{
    struct codec c = codec_reader(bytes, NULL);
    struct erased done = { 0 };
    visit_erased(&c, &done);
    for (isize i = fold->erasures.n - 1; i >= 0 && !c.failed; i--) {
        struct erasure *e = fold->erasures.at[i];
        if (e->ref != done.ref) continue;
        mem_free_str(e->bytes);
        e->bytes = mem_str(S(""));
        e->done_ms = done.at_ms;
        e->counts = done.counts;
        fold->erasures_dirty = min_isize(fold->erasures_dirty, i);
        fold->rest_dirty = true;
        return;
    }
}
