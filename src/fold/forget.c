/* SPDX-License-Identifier: Apache-2.0
 *
 * forget.c - the log and the store without somebody who was erased (erase.c).
 *
 * The log is gone through once, from its beginning, for all erasures that wait. An entry of theirs
 * becomes a stub. A stub says nothing of what was done and by whom; it holds what a replay needs so
 * that nobody else gets other numbers:
 *
 *   u8    format, 1
 *   u8    flags: 1 it had a key that tells it from a repeat; 2 the hash of that key follows, while
 *   repeats may still come
 *         (the first pass after that takes it out); 4 it was a decision, which takes a place among
 *         those kept; 8 an event follows, of somebody else, without them
 *   lines of the ledger and nodes that it made (struct burnt), how many orders
 *   a custom event's name, if it said that one first; items, if it was the first to describe them
 *
 * An event is theirs when the identifier that spoke for it is (identity_spoke): what several
 * people's identifiers stand on is looked up in the ledger, by when each became known. An event of
 * somebody else that merely names them loses their identifiers. An order is theirs by its key, too,
 * and a pixel's view by the decision it belongs to. A dead letter is theirs when one of its words
 * is one of their identifiers, however cased; that may take a letter too many.
 *
 * The store goes first: the batch that has them gone is written, the tables that hold texts are
 * searched, and the write-ahead log is emptied, before the log is touched; then what connectors
 * could not deliver, which lies in a file of its own. So a start after a crash in between finds the
 * erasure in the store and does the rest, and a replay never begins in a log of which half was
 * rewritten. Files are replaced one by one; doing it again does no harm.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "fold/inside.h"
#include "store/store.h"

enum { STUB_FORMAT = 1, STUB_KEYED = 1, STUB_HASHED = 2, STUB_DECISION = 4, STUB_EVENT = 8 };
enum { BURNT_MAX = 100000, OTHERS_MAX = 1 << 20, AGAIN_MS = 60 * 1000, RESTS_MAX = 3000, LETTER_TRIES = 100 };

/* ---- stubs ----------------------------------------------------------------------------------- */

struct stub {
    u8 flags;
    struct hash128 key;
    struct burnt *burnt; isize burnt_n;
    u32 orders;
    str name;
    currency currency;
    i64 items_at_ms;
    struct event_item *items; isize items_n;
    str event;
};

static void visit_burnt(struct codec *c, struct burnt *v)
{
    codec_u32(c, &v->link);
    codec_u32(c, &v->node);
}

static void visit_seen_item(struct codec *c, struct event_item *v)
{
    str *const texts[] = { &v->product_key, &v->variant_key, &v->title, &v->category,
                           &v->brand,       &v->url,         &v->image };
    for (isize i = 0; i < countof(texts); i++) codec_str(c, texts[i]);
    codec_bool(c, &v->priced);
    codec_i64(c, &v->price_minor);
}

static void visit_stub(struct codec *c, struct stub *v)
{
    u8 format = STUB_FORMAT;
    codec_u8(c, &format);
    if (format != STUB_FORMAT) c->failed = true;
    codec_u8(c, &v->flags);
    if (v->flags & STUB_HASHED) {
        codec_u64(c, &v->key.hi);
        codec_u64(c, &v->key.lo);
    }
    codec_list(c, struct burnt, v->burnt, v->burnt_n, BURNT_MAX, visit_burnt);
    codec_u32(c, &v->orders);
    codec_str(c, &v->name);
    codec_u16(c, &v->currency.v);
    codec_i64(c, &v->items_at_ms);
    codec_list(c, struct event_item, v->items, v->items_n, EVENT_ITEMS_MAX, visit_seen_item);
    if (v->flags & STUB_EVENT) codec_str(c, &v->event);
}

static enum err stub_decode(str bytes, arena *a, struct stub *out)
{
    struct codec c = codec_reader(bytes, a);
    *out = (struct stub){ 0 };
    visit_stub(&c, out);
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

enum err stub_check(str bytes, arena *a)
{
    struct stub s;
    return bytes.len ? stub_decode(bytes, a, &s) : ERR_OK;
}

void apply_stub(struct fold *fold, str bytes, u64 ref, i64 now_ms)
{
    struct stub s;
    if (bytes.len == 0) return;
    if (stub_decode(bytes, &fold->scratch, &s)) {
        log_error("fold.undecodable ref=%llu", (unsigned long long)ref);
        return;
    }
    if (s.flags & STUB_HASHED) (void)seen_put(fold, s.key, now_ms);
    else if (s.flags & STUB_KEYED) seen_day(fold, now_ms);
    if (s.name.len) (void)fold_name_of(fold, s.name, ref);
    for (isize i = 0; i < s.items_n; i++)
        (void)catalog_see(fold->live.catalog, &s.items[i], s.currency, s.items_at_ms, ref);
    for (u32 i = 0; i < s.orders; i++) orders_burn(&fold->orders, ref);
    if (s.flags & STUB_DECISION) decided_blank(fold);
    identity_burn(fold->live.identity, s.burnt, s.burnt_n, ref);
    if (s.flags & STUB_EVENT) apply_event(fold, s.event, ref, now_ms);
    identity_burnt(fold->live.identity);
}

/* ---- what is looked for ---------------------------------------------------------------------- */

struct line { u64 ref; struct burnt is; };
struct sought { u64 since; i32 whose; };                /* whose: of the erasures under way */

/* What the store is searched for. */
struct purge { const struct fold *fold; struct map *theirs, *words, *nodes; _Atomic bool done; };

/* One pass over the log. Maps hold 1 + an index. */
struct pass {
    struct fold *fold;
    struct purge purge;
    arena a, scratch;
    struct erasing *all; isize n;
    struct map *theirs, *words, *orders, *nodes, *decisions, *others;
    struct { struct sought *at; isize n, cap; } sought;
    struct { struct line *at; isize n, cap; } lines;    /* of the ledger, by entry */
    struct { u64 *at; isize n, cap; } order_refs, name_refs;
    /* a repeat may still come of what came on that day or later */
    i32 repeats_day;
    u64 tail;
    bool only_counts;
    /* what is theirs is told, and stays; null: it is not asked for */
    const struct held_sink *tells;
};

static struct hash128 number(u64 v) { return (struct hash128){ v, v * 0x9e3779b97f4a7c15u }; }

static int line_order(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    if (a->ref != b->ref) return a->ref < b->ref ? -1 : 1;
    return (a->is.link > b->is.link) - (a->is.link < b->is.link);
}

static int ref_order(const void *x, const void *y)
{
    u64 a = *(const u64 *)x, b = *(const u64 *)y;
    return (a > b) - (a < b);
}

/* On the fold's thread. What the ledger says of each line's entry stays with it when it is erased. */
static void pass_add(struct pass *p, isize whose)
{
    struct fold *fold = p->fold;
    const struct erasing *e = &p->all[whose];
    arena a = { 0 };
    for (isize i = 0; i < e->theirs_n; i++) {
        vec_push(&p->sought, ((struct sought){ e->theirs[i].since, (i32)whose }));
        (void)map_put(p->theirs, e->theirs[i].hash, (u64)p->sought.n);
    }
    for (isize i = 0; i < e->words_n; i++) (void)map_put(p->words, e->words[i], (u64)whose + 1);
    for (isize i = 0; i < e->order_keys_n; i++) (void)map_put(p->orders, e->order_keys[i], (u64)whose + 1);
    for (isize i = 0; i < e->nodes_n; i++) (void)map_put(p->nodes, number(e->nodes[i]), (u64)whose + 1);
    for (isize i = 0; i < e->links_n; i++) {
        struct link l;
        if (identity_link(fold->live.identity, e->links[i], &l))
            vec_push(&p->lines,
                     ((struct line){ l.ref, { l.id, l.kind == LINK_ERASED ? l.a : 0 } }));
    }
    for (isize i = 0; i < e->orders_n; i++) {
        const struct order *o = fold_order(fold, (order_id){ e->orders[i] }, &a);
        if (o) vec_push(&p->order_refs, o->ref);
        arena_clear(&a);
    }
    arena_fini(&a);
}

static void pass_sort(struct pass *p)
{
    struct fold *fold = p->fold;
    for (isize i = 0; i < fold->name_refs.n; i++) vec_push(&p->name_refs, fold->name_refs.at[i]);
    if (p->lines.n) qsort(p->lines.at, (size_t)p->lines.n, sizeof *p->lines.at, line_order);
    if (p->order_refs.n)
        qsort(p->order_refs.at, (size_t)p->order_refs.n, sizeof *p->order_refs.at, ref_order);
    if (p->name_refs.n) qsort(p->name_refs.at, (size_t)p->name_refs.n, sizeof *p->name_refs.at, ref_order);
    p->repeats_day = fold->seen.today - (i32)fold->config->dedup_days;
    p->tail = fold->ref + 1;
}

static struct pass *pass_new(struct fold *fold)
{
    struct pass *p = mem_new(sizeof *p);
    p->fold = fold;
    struct map **const maps[] = { &p->theirs, &p->words, &p->orders, &p->nodes, &p->decisions, &p->others };
    for (isize i = 0; i < countof(maps); i++) *maps[i] = map_new(64);
    return p;
}

static void pass_free(struct pass *p)
{
    struct map *const maps[] = { p->theirs, p->words, p->orders, p->nodes, p->decisions, p->others };
    for (isize i = 0; i < countof(maps); i++) map_free(maps[i]);
    vec_fini(&p->sought);
    vec_fini(&p->lines);
    vec_fini(&p->order_refs);
    vec_fini(&p->name_refs);
    arena_fini(&p->a);
    arena_fini(&p->scratch);
    mem_free(p);
}

static const struct sought *sought_for(const struct pass *p, struct identifier v)
{
    u64 at = map_get(p->theirs, erase_hash(p->fold, v), 0);
    return at ? &p->sought.at[at - 1] : NULL;
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c & 0x80)
           || (c && strchr("@._+-~|=%", c));
}

/* 1 + whose, by a word or by what stands in quotes; 0: nobody's. */
static u64 words_of(const struct fold *fold, const struct map *words, str text)
{
    isize began = -1, quoted = -1;
    for (isize i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.ptr[i] : 0;
        u64 at = 0;
        if (is_word_byte(c)) { if (began < 0) began = i; continue; }
        if (began >= 0 && i - began <= IDENTIFIER_BYTES_MAX)
            at = map_get(words, erase_word(fold, str_slice(text, began, i)), 0);
        began = -1;
        if (!at && c == '"') {
            if (quoted >= 0 && i - quoted <= IDENTIFIER_BYTES_MAX)
                at = map_get(words, erase_word(fold, str_slice(text, quoted, i)), 0);
            quoted = i + 1;
        }
        if (at) return at;
    }
    return 0;
}

/* ---- whose an entry is ----------------------------------------------------------------------- */

struct attached_ask { struct identifier v; u64 since; };

static void ask_attached(void *ctx, struct fold *fold)
{
    struct attached_ask *ask = ctx;
    ask->since = identity_attached(fold->live.identity, ask->v);
}

static u64 attached(void *ctx, struct identifier v)
{
    struct pass *p = ctx;
    const struct sought *sought = sought_for(p, v);
    if (sought) return sought->since;
    struct hash128 hash = erase_hash(p->fold, v);
    u64 known = map_get(p->others, hash, 0);
    if (known) return known - 1;
    struct attached_ask ask = { v, 0 };
    fold_ask_wait(p->fold, ask_attached, &ask);
    if (map_count(p->others) >= OTHERS_MAX) {
        map_free(p->others);
        p->others = map_new(64);
    }
    (void)map_put(p->others, hash, ask.since + 1);
    return ask.since;
}

static bool is_order(u16 type)
{
    return type == EVENT_ORDER_COMPLETED || type == EVENT_ORDER_UPDATED
           || type == EVENT_ORDER_REFUNDED || type == EVENT_ORDER_CANCELLED;
}

static u64 order_of(struct pass *p, const struct event *e, u64 ref)
{
    if (!is_order(e->type) || map_count(p->orders) == 0) return 0;
    str key =
        e->order_key.len
            ? arena_printf(&p->scratch, "%.*s:%.*s", STR_FMT(e->source), STR_FMT(e->order_key))
            : arena_printf(&p->scratch, "%.*s:#%llu", STR_FMT(e->source), (unsigned long long)ref);
    return map_get(p->orders, erase_order_key(p->fold, key), 0);
}

static const struct sought *previous_of(struct pass *p, const struct event *e)
{
    const struct sought *as_user =
        e->previous_id.len
            ? sought_for(p, (struct identifier){ IDENTIFIER_USER_ID, true, e->previous_id })
            : NULL;
    return as_user || !e->previous_id.len
               ? as_user
               : sought_for(p,
                            (struct identifier){ IDENTIFIER_ANONYMOUS_ID, true, e->previous_id });
}

/* NAMES: it is somebody else's, and names them. */
enum part { NOBODYS, NAMES, THEIRS };

static enum part whose_event(struct pass *p, const struct event *e, u64 ref, isize *whose)
{
    isize named = 0;
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct sought *s = sought_for(p, e->identifiers[i]);
        if (s) { *whose = s->whose; named++; }
    }
    const struct sought *previous = previous_of(p, e);
    if (previous) *whose = previous->whose;
    if (named) {
        if (named == e->identifiers_n) return THEIRS;
        const struct identifier *spoke = identity_spoke(e, ref, attached, p);
        return spoke && sought_for(p, *spoke) ? THEIRS : NAMES;
    }
    if (e->identifiers_n) return previous ? NAMES : NOBODYS;
    struct ticket ticket;
    u64 at = order_of(p, e, ref);
    if (!at && e->ticket.len && ticket_read(p->fold->live.secret, e->ticket, &ticket))
        at = map_get(p->decisions, number(ticket.decision_key), 0);
    if (!at) return previous ? NAMES : NOBODYS;
    *whose = (isize)at - 1;
    return THEIRS;
}

/* ---- making a stub --------------------------------------------------------------------------- */

static bool holds_ref(const u64 *at, isize n, u64 ref)
{
    return n && bsearch(&ref, at, (size_t)n, sizeof ref, ref_order);
}

static void burn_of(struct pass *p, u64 ref, struct stub *s)
{
    isize low = 0, high = p->lines.n;
    while (low < high) {
        isize mid = low + (high - low) / 2;
        if (p->lines.at[mid].ref < ref) low = mid + 1;
        else high = mid;
    }
    isize n = 0;
    while (low + n < p->lines.n && p->lines.at[low + n].ref == ref) n++;
    struct burnt *both = arena_new(&p->scratch, struct burnt, s->burnt_n + n);
    /* by number, with those that stand in the stub already */
    isize at = 0, old = 0, fresh = 0;
    while (old < s->burnt_n || fresh < n) {
        bool first = fresh == n
                     || (old < s->burnt_n && s->burnt[old].link < p->lines.at[low + fresh].is.link);
        both[at++] = first ? s->burnt[old++] : p->lines.at[low + fresh++].is;
    }
    s->burnt = both;
    s->burnt_n = at;
}

static void keyed(struct pass *p, struct stub *s, str source, str key, i64 at_ms)
{
    if (key.len == 0) return;
    s->flags |= STUB_KEYED;
    if (at_ms / DAY_MS < p->repeats_day) return;
    s->flags |= STUB_HASHED;
    s->key = seen_key(source, key);
}

/* What the event was the first to say of items. */
static void items_of(struct pass *p, const struct event *e, u64 ref, struct stub *s)
{
    const struct catalog *catalog = p->fold->live.catalog;
    s->items = arena_new(&p->scratch, struct event_item, e->items_n);
    rcu_read_begin();
    for (isize i = 0; i < e->items_n; i++) {
        const struct event_item *item = &e->items[i];
        item_id id = catalog_find(catalog, item->product_key.len ? item->product_key : item->variant_key);
        if (id.v == 0) id = catalog_find(catalog, item->variant_key);
        u64 said;
        bool first = false;
        for (isize k = 0; catalog_said(catalog, id, k, &said); k++) first |= said == ref;
        if (first) s->items[s->items_n++] = *item;
    }
    rcu_read_end();
    if (s->items_n == 0) return;
    s->currency = e->currency;
    s->items_at_ms = e->at_ms;
}

static void put_stub(struct stub *s, struct buf *out)
{
    struct codec c = codec_writer(out);
    bool bare = !s->flags && !s->burnt_n && !s->orders && !s->name.len && !s->items_n;
    if (!bare) visit_stub(&c, s);
}

static void orders_of(struct pass *p, u64 ref, struct stub *s)
{
    for (isize i = 0; i < p->order_refs.n; i++) s->orders += p->order_refs.at[i] == ref;
}

static void stub_of_event(struct pass *p, const struct event *e, u64 ref, i64 at_ms, struct stub *s)
{
    keyed(p, s, e->source, e->key, at_ms);
    burn_of(p, ref, s);
    if (is_order(e->type) && holds_ref(p->order_refs.at, p->order_refs.n, ref)) orders_of(p, ref, s);
    if ((e->type == EVENT_NONE || e->type >= EVENT_CUSTOM_FIRST)
        && holds_ref(p->name_refs.at, p->name_refs.n, ref))
        s->name = e->name;
    if (e->items_n) items_of(p, e, ref, s);
}

/* What is left of an event that names them and is somebody else's. */
static void without_them(struct pass *p, struct event *e, struct stub *s)
{
    struct buf left = { .arena = &p->scratch };
    isize n = 0;
    for (isize i = 0; i < e->identifiers_n; i++)
        if (!sought_for(p, e->identifiers[i])) e->identifiers[n++] = e->identifiers[i];
    e->identifiers_n = n;
    if (previous_of(p, e)) e->previous_id = S("");
    if (words_of(p->fold, p->words, e->properties)) e->properties = S("");
    isize kept = 0;
    for (isize i = 0; i < e->traits_n; i++)
        if (!words_of(p->fold, p->words, e->traits[i].text)) e->traits[kept++] = e->traits[i];
    e->traits_n = kept;
    event_encode(e, &left);
    s->flags |= STUB_EVENT;
    s->event = arena_str(&p->scratch, buf_str(&left));
}

static bool forget_event(struct pass *p, str bytes, u64 ref, i64 at_ms, struct stub *s, struct buf *out)
{
    struct event e;
    isize whose = 0;
    if (event_decode(bytes, &p->scratch, &e)) return false;
    enum part is = whose_event(p, &e, ref, &whose);
    if (is == NOBODYS) return false;
    if (p->tells) {
        if (is == THEIRS) p->tells->event(p->tells->ctx, &e);
        return false;
    }
    s->flags = 0;
    s->event = S("");
    if (is == THEIRS) {
        p->all[whose].is.counts.events++;
        stub_of_event(p, &e, ref, at_ms, s);
    } else {
        p->all[whose].is.counts.others++;
        burn_of(p, ref, s);
        without_them(p, &e, s);
    }
    put_stub(s, out);
    return true;
}

static bool forget_stub(struct pass *p, str bytes, u64 ref, i64 at_ms, struct buf *out)
{
    struct stub s;
    if (stub_decode(bytes, &p->scratch, &s)) return false;
    bool over = (s.flags & STUB_HASHED) && at_ms / DAY_MS < p->repeats_day;     /* no repeat comes any more */
    if (over) s.flags &= (u8)~STUB_HASHED;
    if ((s.flags & STUB_EVENT) && forget_event(p, s.event, ref, at_ms, &s, out)) return true;
    if (over) put_stub(&s, out);
    return over;
}

static bool forget_people(struct pass *p, u64 ref, struct buf *out)
{
    struct stub s = { 0 };
    burn_of(p, ref, &s);
    if (s.burnt_n == 0) return false;
    p->all[0].is.counts.others++;
    put_stub(&s, out);
    return true;
}

static bool forget_decision(struct pass *p, str bytes, struct buf *out)
{
    struct decision d;
    struct stub s = { .flags = STUB_DECISION };
    if (decision_decode(bytes, &p->scratch, &d) || d.person.v == 0) return false;
    u64 at = map_get(p->nodes, number(d.person.v), 0);
    if (!at) return false;
    (void)map_put(p->decisions, number(d.key), at);
    p->all[at - 1].is.counts.decisions++;
    if (p->tells) p->tells->decision(p->tells->ctx, bytes);
    put_stub(&s, out);
    return true;
}

static bool forget_prediction(struct pass *p, str bytes)
{
    struct prediction prediction;
    if (prediction_decode(bytes, &p->scratch, &prediction) || prediction.person.v == 0) return false;
    u64 at = map_get(p->nodes, number(prediction.person.v), 0);
    if (at) p->all[at - 1].is.counts.predictions++;
    return at > 0;
}

static bool forget_letter(struct pass *p, str bytes, i64 at_ms, struct buf *out)
{
    struct dead_letter letter;
    struct stub s = { 0 };
    if (dead_letter_decode(bytes, &letter) || letter.replayed) return false;
    u64 at = words_of(p->fold, p->words, letter.raw);
    if (!at) at = words_of(p->fold, p->words, letter.reason);
    if (!at) return false;
    p->all[at - 1].is.counts.letters++;
    keyed(p, &s, letter.source, letter.key, at_ms);
    put_stub(&s, out);
    return true;
}

static bool forget_entry(void *ctx, u64 ref, i64 at_ms, const struct entry *entry, struct buf *out)
{
    struct pass *p = ctx;
    bool theirs = false;
    struct stub s = { 0 };
    arena_clear(&p->scratch);
    atomic_store_explicit(&p->fold->erase_progress, (i32)((f64)ref / (f64)p->tail * 1000),
                          memory_order_relaxed);
    switch ((enum entry_kind)entry->kind) {
    case ENTRY_EVENT: theirs = forget_event(p, entry->bytes, ref, at_ms, &s, out); break;
    case ENTRY_ERASED: theirs = forget_stub(p, entry->bytes, ref, at_ms, out); break;
    case ENTRY_DECISION: theirs = forget_decision(p, entry->bytes, out); break;
    case ENTRY_DEAD: theirs = forget_letter(p, entry->bytes, at_ms, out); break;
    case ENTRY_PREDICTION: theirs = forget_prediction(p, entry->bytes); break;
    case ENTRY_PEOPLE:
        if (entry->bytes.len
            && (entry->bytes.ptr[0] == PEOPLE_MERGE || entry->bytes.ptr[0] == PEOPLE_SPLIT))
            theirs = forget_people(p, ref, out);
        break;
    default: break;
    }
    return theirs && !p->only_counts;
}

static enum err go_through(struct pass *p, i64 *erased, struct diag *diag)
{
    if (!p->fold->started) rcu_thread_start();          /* else on a thread that is known to rcu */
    enum err err = log_rewrite(p->fold->log, forget_entry, p, erased, diag);
    if (!p->fold->started) rcu_thread_stop();
    atomic_store(&p->fold->erase_progress, 0);
    return err;
}

/* ---- the store ------------------------------------------------------------------------------- */

static bool names_them(const struct purge *purge, str body, arena *a)
{
    struct event e;
    if (body.len == 0 || event_decode(body, a, &e)) return false;
    for (isize i = 0; i < e.identifiers_n; i++)
        if (map_get(purge->theirs, erase_hash(purge->fold, e.identifiers[i]), 0)) return true;
    return false;
}

struct keys { i64 *at; isize n, cap; };

static enum err drop_rows(struct store *store, struct statement *delete, const struct keys *keys)
{
    enum err err = ERR_OK;
    (void)store;
    for (isize i = 0; i < keys->n && !err; i++) {
        bind_i64(delete, 1, keys->at[i]);
        err = statement_run(delete);
    }
    return err;
}

static enum err purge_tables(struct purge *purge, struct store *store)
{
    struct keys letters = { 0 }, rows = { 0 }, decisions = { 0 };
    arena a = { 0 };
    bool row;
    struct statement *s = store_statement(store, "SELECT ref, reason, raw FROM dead_letter");
    enum err err = ERR_OK;
    while (!(err = statement_step(s, &row)) && row)
        if (words_of(purge->fold, purge->words, column_str(s, 1))
            || words_of(purge->fold, purge->words, column_blob(s, 2)))
            vec_push(&letters, column_i64(s, 0));
    if (!err) {
        s = store_statement(store, "SELECT seq, person, body FROM outbox");
        while (!(err = statement_step(s, &row)) && row) {
            bool theirs = map_get(purge->nodes, number((u64)column_i64(s, 1)), 0) != 0;
            if (theirs || names_them(purge, column_blob(s, 2), &a)) vec_push(&rows, column_i64(s, 0));
            arena_clear(&a);
        }
    }
    if (!err) {
        s = store_statement(store, "SELECT ref, person FROM decision WHERE person > 0");
        while (!(err = statement_step(s, &row)) && row)
            if (map_get(purge->nodes, number((u64)column_i64(s, 1)), 0))
                vec_push(&decisions, column_i64(s, 0));
    }
    if (!err) err = store_begin(store);
    if (!err)
        err = drop_rows(store, store_statement(store, "DELETE FROM decision WHERE ref = ?1"),
                        &decisions);
    if (!err)
        err = drop_rows(store, store_statement(store, "DELETE FROM dead_letter WHERE ref = ?1"),
                        &letters);
    if (!err) err = drop_rows(store, store_statement(store, "DELETE FROM outbox WHERE seq = ?1"), &rows);
    if (!err) err = store_commit(store);
    if (err) store_abort(store);
    vec_fini(&letters);
    vec_fini(&rows);
    vec_fini(&decisions);
    arena_fini(&a);
    return err;
}

bool purge_run(struct purge *purge, struct store *store)
{
    struct diag diag = { 0 };
    enum err err = purge_tables(purge, store);
    /* a reader that looks at the past holds it for a moment */
    if (!err) err = store_wal_truncate(store, &diag);
    if (err && err != ERR_OVERLOADED) log_error("erase.store err=%s", err_name(err));
    if (err) return false;
    atomic_store(&purge->done, true);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void take_waiting(void *ctx, struct fold *fold)
{
    struct pass *p = ctx;
    p->all = arena_new(&p->a, struct erasing, fold->erasures.n);
    for (isize i = 0; i < fold->erasures.n; i++) {
        const struct erasure *e = fold->erasures.at[i];
        struct erasing *one = &p->all[p->n];
        if (e->bytes.len == 0 || erasing_read(arena_str(&p->a, e->bytes), &p->a, one)) continue;
        one->is.ref = e->ref;
        pass_add(p, p->n++);
    }
    pass_sort(p);
    for (isize i = 0; i < fold->dead.n && p->n; i++) {
        struct dead_letter *d = &fold->dead.at[i];
        if (!words_of(fold, p->words, d->raw) && !words_of(fold, p->words, d->reason)) continue;
        mem_free_str(d->raw);
        mem_free_str(d->reason);
        d->raw = mem_str(S(""));
        d->reason = mem_str(S("erased"));
        d->replayed = true;
    }
}

static void flush_now(void *ctx, struct fold *fold)
{
    (void)ctx;
    fold->flushed_at_us = 0;
}

static enum err purge_store(struct pass *p)
{
    struct fold *fold = p->fold;
    struct purge *purge = &p->purge, *mine = purge;
    if (!fold->store) return ERR_OK;
    *purge = (struct purge){ fold, p->theirs, p->words, p->nodes, false };
    atomic_store(&fold->purge, purge);
    for (int i = 0; i < RESTS_MAX && !atomic_load(&purge->done); i++) {
        struct timespec pause = { 0, 10000000 };
        if (!fold->started) save_tick(fold, true);
        else fold_ask_wait(fold, flush_now, NULL);
        if (!atomic_load(&purge->done)) (void)nanosleep(&pause, NULL);
    }
    if (atomic_load(&purge->done)) return ERR_OK;
    /* On its way to a disk that is full, it may still be looked into. */
    return atomic_compare_exchange_strong(&fold->purge, &mine, NULL) ? ERR_OVERLOADED : ERR_DISK;
}

/* What could not be delivered, with what its receiver said to it. */
static bool is_their_letter(void *ctx, const struct outbox_row *row, str reason)
{
    const struct purge *purge = ctx;
    arena a = { 0 };
    bool theirs = map_get(purge->nodes, number(row->person.v), 0)
                  || words_of(purge->fold, purge->words, reason)
                  || names_them(purge, row->body, &a);
    arena_fini(&a);
    return theirs;
}

static enum err purge_letters(struct pass *p, struct diag *diag)
{
    struct fold *fold = p->fold;
    struct purge purge = { fold, p->theirs, p->words, p->nodes, false };
    enum err err = ERR_OK;
    if (!fold->store || !fold->deliver_path) return ERR_OK;
    for (int i = 0; i < LETTER_TRIES; i++) {
        struct timespec pause = { 0, 10000000 };
        err = deliver_forget(fold->deliver_path, is_their_letter, &purge, diag);
        if (err != ERR_OVERLOADED) return err;
        (void)nanosleep(&pause, NULL);
    }
    return err;
}

static enum err say_done(struct pass *p)
{
    struct fold *fold = p->fold;
    struct entry *entries = arena_new(&p->a, struct entry, p->n);
    for (isize i = 0; i < p->n; i++) {
        struct buf bytes = { .arena = &p->a };
        erased_encode(&p->all[i].is, clock_now(fold->clock), &bytes);
        entries[i] = (struct entry){ ENTRY_PEOPLE, buf_str(&bytes) };
    }
    if (fold->started) return fold_submit_wait(fold, entries, p->n, NULL);
    struct record record = { .at_ms = max_i64(clock_now(fold->clock), log_last_ms(fold->log)),
                             .fold_version = 1,
                             .entries = entries,
                             .entries_n = p->n };
    if (log_append(fold->log, log_tail(fold->log), &record, 1) != LOG_OK) return ERR_DISK;
    fold_apply(fold, &record);
    if (fold->store) save_tick(fold, true);
    return ERR_OK;
}

enum err erase_finish(struct fold *fold, struct diag *diag)
{
    struct pass *p = pass_new(fold);
    i64 erased = 0, began = clock_monotonic_us();
    enum err err = ERR_OK;
    fold_ask_wait(fold, take_waiting, p);
    if (p->n) {
        err = purge_store(p);
        /* what it may look into stays */
        if (err == ERR_DISK) return diag_set(diag, err, "the store could not be written");
        if (err) err = diag_set(diag, err, "the store could not be emptied of who was erased");
        if (!err) err = purge_letters(p, diag);
        if (!err) err = go_through(p, &erased, diag);
        if (!err) err = say_done(p);
        log_note("erase.done people=%td entries=%lld ms=%lld err=%s", p->n, (long long)erased,
                 (long long)(clock_monotonic_us() - began) / 1000, err_name(err));
    }
    pass_free(p);
    return err;
}

struct trying { struct pass *p; const struct erase_request *request; };

static void collect_one(void *ctx, struct fold *fold)
{
    struct trying *t = ctx;
    struct pass *p = t->p;
    p->all = arena_new(&p->a, struct erasing, 1);
    erase_collect(fold, t->request, &p->a, &p->all[p->n]);
    pass_add(p, p->n++);
    pass_sort(p);
}

enum err fold_erase_try(struct fold *fold, const struct erase_request *request,
                        struct erase_counts *out, struct diag *diag)
{
    struct pass *p = pass_new(fold);
    struct trying t = { p, request };
    i64 erased;
    p->only_counts = true;
    fold_ask_wait(fold, collect_one, &t);
    enum err err = go_through(p, &erased, diag);
    *out = p->all[0].is.counts;
    pass_free(p);
    return err;
}

enum err fold_held(struct fold *fold, const struct erase_request *request,
                   const struct held_sink *sink, struct diag *diag)
{
    struct pass *p = pass_new(fold);
    struct trying t = { p, request };
    i64 none;
    p->only_counts = true;
    p->tells = sink;
    fold_ask_wait(fold, collect_one, &t);
    enum err err = go_through(p, &none, diag);
    pass_free(p);
    return err;
}

/* ---- the thread ------------------------------------------------------------------------------ */

struct eraser { pthread_t thread; struct queue *asked; };

struct submitting { const struct erase_request *requests; isize n; u64 *refs; enum err err; };

static void submit(void *ctx, struct fold *fold)
{
    struct submitting *s = ctx;
    s->err = erase_submit(fold, s->requests, s->n, s->refs);
}

enum err fold_erase(struct fold *fold, const struct erase_request *requests, isize n, u64 *refs,
                    struct diag *diag)
{
    static char word;
    struct submitting s = { requests, n, refs, ERR_OK };
    fold_ask_wait(fold, submit, &s);
    if (s.err) return diag_set(diag, s.err, "the log could not be written");
    if (!fold->eraser) return erase_finish(fold, diag);
    (void)queue_push(fold->eraser->asked, &word);       /* full: it has been told */
    return ERR_OK;
}

static void *eraser_thread(void *ctx)
{
    thread_is("eraser", THREAD_BEHIND);
    struct fold *fold = ctx;
    void *words[64];
    i64 wait_ms = 0;
    rcu_thread_start();
    while (queue_take(fold->eraser->asked, words, countof(words), wait_ms) >= 0) {
        arena a = { 0 };
        struct diag diag = { .arena = &a };
        enum err err = erase_finish(fold, &diag);
        if (err)
            log_error("erase.failed err=%s why=\"%.*s\" again_ms=%d", err_name(err),
                      STR_FMT(diag.what), AGAIN_MS);
        arena_fini(&a);
        wait_ms = err ? AGAIN_MS : -1;
    }
    rcu_thread_stop();
    return NULL;
}

void eraser_start(struct fold *fold)
{
    fold->eraser = mem_new(sizeof *fold->eraser);
    fold->eraser->asked = queue_new(64);
    pthread_create(&fold->eraser->thread, NULL, eraser_thread, fold);
}

void eraser_stop(struct fold *fold)
{
    queue_close(fold->eraser->asked);
    pthread_join(fold->eraser->thread, NULL);
    queue_free(fold->eraser->asked);
    mem_free(fold->eraser);
    fold->eraser = NULL;
}
