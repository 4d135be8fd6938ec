/* SPDX-License-Identifier: Apache-2.0
 *
 * save.c - state to SQLite behind the fold, and back at start-up.
 *
 * The fold's thread takes what changed since last time into one batch, true for one entry of the
 * log: people as the versions they are (most of what changes, and dear to encode), the rest as
 * rows. The flush thread encodes the people, so that no event waits for that, and writes the batch
 * and that entry's number in one transaction. Until they are encoded nothing that was replaced is
 * given back (save_reads). One batch is under way at a time, so a slow disk makes batches bigger
 * and nothing waits. Start-up reads the rows and replays the log from the entry after. The rows'
 * bytes are what counts; the columns beside them are for people with `sqlite3`.
 *
 * The rows say which form they are of. Those of an older one are not read: what an older program
 * made of an event may not be what this one makes of it, even where its bytes could still be told.
 * The log has everything, so all of it is folded again, and the first batch puts the new rows in
 * the place of the old in one transaction.
 */
#include <stdlib.h>

#include "base/logline.h"
#include "base/thread.h"
#include "fold/inside.h"
#include "store/store.h"

static const struct migration schema[] = {
    { 1,
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE person(id INTEGER PRIMARY KEY, last_at INTEGER, known INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE history_page(id INTEGER PRIMARY KEY, person INTEGER, first_at INTEGER, last_at INTEGER, entries BLOB NOT NULL);"
    "CREATE INDEX history_page_person ON history_page(person, last_at);"
    "CREATE TABLE identity_link(id INTEGER PRIMARY KEY, node INTEGER, kind INTEGER, identifier_kind TEXT, identifier TEXT, bytes BLOB NOT NULL);"
    "CREATE TABLE item(id INTEGER PRIMARY KEY, key TEXT, bytes BLOB NOT NULL);"
    "CREATE TABLE shop_order(id INTEGER PRIMARY KEY, key TEXT, node INTEGER, at INTEGER, value_minor INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE definition(id INTEGER PRIMARY KEY, kind TEXT, key TEXT, published INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE cell(id INTEGER PRIMARY KEY, campaign INTEGER, day INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE denial(who BLOB PRIMARY KEY, purposes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE seen(key BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX seen_day ON seen(day);"
    "CREATE TABLE dead_letter(ref INTEGER PRIMARY KEY, at INTEGER, source TEXT, reason TEXT, raw TEXT, replayed INTEGER);"
    "CREATE TABLE decision(ref INTEGER PRIMARY KEY, key INTEGER, person INTEGER, at INTEGER, placement INTEGER, campaign INTEGER,"
    " experience INTEGER, variation INTEGER, reason TEXT, viewed INTEGER, clicked INTEGER, bytes BLOB NOT NULL);"
    "CREATE INDEX decision_person ON decision(person, at);" },
    /* Keys come by the thousand, in no order, and are never looked up here: a row for each cost
     * more than the people did. */
    { 2,
    "CREATE TABLE seen_page(id INTEGER PRIMARY KEY, day INTEGER NOT NULL, keys BLOB NOT NULL);"
    "CREATE INDEX seen_page_day ON seen_page(day);"
    "INSERT INTO seen_page(day, keys) SELECT day, key FROM seen;"
    "DROP TABLE seen;" },
    { 3,
    "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, connector INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL, ref INTEGER,"
    " person INTEGER, segment INTEGER, body BLOB);"
    "CREATE INDEX outbox_connector ON outbox(connector, seq);"
    "CREATE INDEX outbox_at ON outbox(at);" },
    { 4,
    "ALTER TABLE dead_letter ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX dead_letter_source ON dead_letter(source, reason);" },
    { 5,
    "ALTER TABLE decision ADD COLUMN clicks INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE decision ADD COLUMN teaches INTEGER NOT NULL DEFAULT 0;" },
    { 6,
    "CREATE TABLE erasure(ref INTEGER PRIMARY KEY, at INTEGER NOT NULL, done INTEGER NOT NULL, bytes BLOB NOT NULL);" },
    /* Decisions come in the order they were taken and of people in none: the index was two thirds
     * of what a row cost, and only erasing asked it. */
    { 7,
    "DROP INDEX decision_person;" } };

enum table {
    META,
    PERSON,
    PERSON_GONE,
    PAGE,
    LINK,
    ITEM,
    ORDER,
    DEFINITION,
    CELL,
    DENIALS_CLEAR,
    DENIAL,
    SEEN,
    SEEN_OLD,
    DEAD,
    DEAD_TAKEN,
    DECISION,
    DECISION_MARK,
    OUTBOX,
    OUTBOX_OLD,
    PAGES_GONE,
    ERASURE
};

static const char *const statements[] = {
    [META] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?5, ?6)",
    [PERSON] = "INSERT OR REPLACE INTO person(id, last_at, known, bytes) VALUES(?1, ?2, ?3, ?6)",
    [PERSON_GONE] = "DELETE FROM person WHERE id = ?1",
    [PAGE] = "INSERT INTO history_page(person, first_at, last_at, entries) VALUES(?1, ?2, ?3, ?6)",
    [LINK] =
        "INSERT OR REPLACE INTO identity_link(id, node, kind, identifier_kind, identifier, bytes) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [ITEM] = "INSERT OR REPLACE INTO item(id, key, bytes) VALUES(?1, ?5, ?6)",
    [ORDER] =
        "INSERT OR REPLACE INTO shop_order(id, node, at, value_minor, key, bytes) VALUES(?1, ?2, ?3, ?7, ?5, ?6)",
    [DEFINITION] =
        "INSERT OR REPLACE INTO definition(id, published, kind, key, bytes) VALUES(?1, ?2, ?4, ?5, ?6)",
    [CELL] = "INSERT OR REPLACE INTO cell(id, campaign, day, bytes) VALUES(?1, ?2, ?3, ?6)",
    [DENIALS_CLEAR] = "DELETE FROM denial",
    [DENIAL] = "INSERT OR REPLACE INTO denial(who, purposes) VALUES(?6, ?1)",
    [SEEN] = "INSERT INTO seen_page(day, keys) VALUES(?1, ?6)",
    [SEEN_OLD] = "DELETE FROM seen_page WHERE day < ?1",
    [DEAD] =
        "INSERT OR REPLACE INTO dead_letter(ref, at, replayed, source, reason, raw, verified) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [DEAD_TAKEN] = "UPDATE dead_letter SET replayed = 1 WHERE ref = ?1",
    [DECISION] =
        "INSERT OR REPLACE INTO decision(ref, key, person, at, placement, campaign, experience, variation, reason, viewed, clicked, bytes)"
        " VALUES(?1, ?2, ?3, ?7, ?8, ?9, ?10, ?11, ?4, ?12, ?13, ?6)",
    [DECISION_MARK] =
        "UPDATE decision SET viewed = ?2, clicked = ?3, person = ?7, clicks = ?8, teaches = ?9 WHERE ref = ?1",
    [OUTBOX] =
        "INSERT OR REPLACE INTO outbox(seq, connector, kind, at, ref, person, segment, body) VALUES(?1, ?2, ?3, ?7, ?8, ?9, ?10, ?6)",
    [OUTBOX_OLD] = "DELETE FROM outbox WHERE at < ?1",
    [PAGES_GONE] = "DELETE FROM history_page WHERE person = ?1",
    [ERASURE] = "INSERT OR REPLACE INTO erasure(ref, at, done, bytes) VALUES(?1, ?2, ?3, ?6)",
};

static const char empty_all[] =
    "DELETE FROM meta; DELETE FROM person; DELETE FROM history_page; DELETE FROM identity_link; DELETE FROM item; DELETE FROM shop_order;"
    "DELETE FROM definition; DELETE FROM cell; DELETE FROM denial; DELETE FROM seen_page; DELETE FROM dead_letter; DELETE FROM decision;"
    "DELETE FROM outbox; DELETE FROM erasure";

/* Who comes twice between two batches is written once, and a page of the store once for all that
 * are on it: so a batch of a busy shop waits until it is a large one, as long as nothing in it is
 * for others to read (the outbox). What is not in the store is folded again after a kill, and what
 * is encoded waits in memory: so many entries are 50 MB, and about a second's folding. */
enum { BATCH_FEW = 16384, BATCH_MANY = 65536, BATCH_WAITS = 4 };

/* In the order of the parameters: ?1 to ?3, ?4, ?5, ?6, and from ?7 on. */
struct row { u8 table; i64 n[3]; str kind, key, bytes; i64 more[7]; };

/* Some three batches of a busy shop: a tenth of a second when it opens after a kill. */
enum { WAL_BYTES_MOST = 192 << 20 };

struct batch {
    arena a;
    struct purge *purge;            /* what the store is searched for once this is written */
    struct { struct row *at; isize n, cap; } rows;
    struct person_change *people; isize people_n;       /* not rows yet */
    struct fold_digest digest;      /* without the people, until they are rows */
    u64 ref;
    bool anew;                      /* in the place of all there is */
};

struct flush {
    struct fold *fold;
    struct store *store;
    struct queue *queue;
    pthread_t thread;
    bool started;
    _Atomic bool busy, stopping;
    _Atomic bool encoding;          /* people of the batch, of versions that may have been replaced */
    bool behind;                    /* a batch was left to the log */
    struct batch batch;
    struct hash128 denials;         /* digest of what the store has */
    i32 swept;
};

enum err save_open(struct fold *fold, const char *path, struct diag *diag)
{
    enum err err = store_open(path, STORE_WRITER, &fold->store, diag);
    if (!err) err = store_migrate(fold->store, schema, countof(schema), diag);
    if (err) return err;
    store_wal_most(fold->store, WAL_BYTES_MOST);
    fold->flush = mem_new(sizeof *fold->flush);
    fold->flush->store = fold->store;
    fold->flush->fold = fold;
    return ERR_OK;
}

/* ---- out ------------------------------------------------------------------------------------- */

static struct row *row_add(struct batch *b, u8 table)
{
    vec_push(&b->rows, (struct row){ .table = table });
    return &b->rows.at[b->rows.n - 1];
}

static str encoded(struct batch *b, struct buf *scratch)
{
    str copy = arena_str(&b->a, buf_str(scratch));
    scratch->len = 0;
    return copy;
}

static void meta_add(struct batch *b, const char *key, struct buf *value)
{
    struct row *row = row_add(b, META);
    row->key = str_of(key);
    row->bytes = encoded(b, value);
}

static void visit_source(struct codec *c, struct source_count *v)
{
    codec_u16(c, &v->source);
    codec_i64(c, &v->accepted);
    codec_i64(c, &v->duplicates);
    codec_i64(c, &v->no_consent);
    codec_i64(c, &v->dead);
    codec_i64(c, &v->warnings);
    codec_i64(c, &v->last_at_ms);
    codec_i64(c, &v->behind_ms);
}

static void visit_warning(struct codec *c, struct warning *v)
{
    codec_u16(c, &v->source);
    codec_str(c, &v->what);
    codec_i64(c, &v->count);
    codec_i64(c, &v->first_at_ms);
    codec_i64(c, &v->last_at_ms);
    codec_u64(c, &v->ref);
}

static void visit_totals(struct codec *c, struct totals *v)
{
    i64 *const counts[] = { &v->events,     &v->duplicates, &v->no_consent, &v->dead,
                            &v->dead_taken, &v->decisions,  &v->orders,     &v->records,
                            &v->ticks,      &v->mixed,      &v->last_at_ms };
    for (isize i = 0; i < countof(counts); i++) codec_i64(c, counts[i]);
    v->revenues_n = codec_count(c, v->revenues_n, countof(v->revenue));
    for (isize i = 0; i < v->revenues_n; i++) {
        codec_i64(c, &v->revenue[i].minor);
        codec_u16(c, &v->revenue[i].currency.v);
    }
}

void rest_encode(const struct fold *fold, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct totals totals = fold->totals;
    u64 outbox[] = { fold->outbox.seq, fold->outbox.digest.hi, fold->outbox.digest.lo };
    isize sources = codec_count(&c, fold->sources.n, UINT16_MAX);
    for (isize i = 0; i < sources; i++) visit_source(&c, &fold->sources.at[i]);
    isize warnings = codec_count(&c, fold->warnings.n, 2 * WARNINGS_MAX);
    for (isize i = 0; i < warnings; i++) visit_warning(&c, &fold->warnings.at[i]);
    visit_totals(&c, &totals);
    for (isize i = 0; i < countof(outbox); i++) codec_u64(&c, &outbox[i]);
}

enum err rest_load(struct fold *fold, str bytes, arena *a)
{
    struct codec c = codec_reader(bytes, a);
    struct totals totals = fold->totals;
    u64 *const outbox[] = { &fold->outbox.seq, &fold->outbox.digest.hi, &fold->outbox.digest.lo };
    isize n = codec_count(&c, 0, UINT16_MAX);
    fold->sources.n = 0;
    for (isize i = 0; i < n && !c.failed; i++) {
        struct source_count source = { 0 };
        visit_source(&c, &source);
        vec_push(&fold->sources, source);
    }
    n = codec_count(&c, 0, 2 * WARNINGS_MAX);
    warnings_fini(fold);
    fold->warnings_by_key = map_new(64);
    for (isize i = 0; i < n && !c.failed; i++) {
        struct warning v = { 0 };
        visit_warning(&c, &v);
        struct warning *kept = warning_put(fold, v.source, v.what);
        v.what = kept->what;
        *kept = v;
    }
    visit_totals(&c, &totals);
    fold->totals = totals;
    for (isize i = 0; i < countof(outbox); i++) codec_u64(&c, outbox[i]);
    fold->sources_dirty = fold->warnings_dirty = fold->rest_dirty = true;
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

enum { CALLED_AHEAD = 4 };

/* By rising id: the store takes rows best in the order they lie in. */
static void encode_people(struct people *people, struct batch *b)
{
    struct buf t = { 0 };
    for (isize i = 0; i < b->people_n; i++) {
        if (i + CALLED_AHEAD < b->people_n) people_call_for(people, b->people[i + CALLED_AHEAD].id);
        str bytes = arena_str(&b->a, people_encode(people, &b->people[i]));
        const struct profile *p = profile_read(bytes, PEOPLE_CONSENTS, &b->a);
        struct row *row = row_add(b, p ? PERSON : PERSON_GONE);
        row->n[0] = b->people[i].id.v;
        if (!p) continue;
        row->n[1] = p->last_at_ms;
        row->n[2] = p->known;
        row->bytes = bytes;
    }
    b->people_n = 0;
    b->digest.people = people_digest_taken(people);
    fold_digest_seal(&b->digest, b->ref);
    buf_add(&t, (str){ (const char *)&b->digest, sizeof b->digest });
    meta_add(b, "digest", &t);
    buf_fini(&t);
}

static void gather_pages(struct fold *fold, struct batch *b)
{
    struct history_page page;
    while (people_page_next(fold->live.people, &page)) {
        struct row *row = row_add(b, PAGE);
        row->n[0] = page.person.v;
        row->n[1] = page.entries[0].at_ms;
        row->n[2] = page.entries[page.entries_n - 1].at_ms;
        row->bytes = arena_str(&b->a, (str){ (const char *)page.entries,
                                             page.entries_n * (isize)sizeof *page.entries });
        mem_free(page.entries);
    }
}

/* Behind whatever else the batch says of them. */
static void gather_gone(struct fold *fold, struct batch *b, struct buf *t)
{
    /* decisions: purge_run */
    for (isize i = 0; i < fold->gone.n; i++) row_add(b, PAGES_GONE)->n[0] = fold->gone.at[i];
    fold->gone.n = 0;
    for (; fold->erasures_dirty < fold->erasures.n; fold->erasures_dirty++) {
        const struct erasure *e = fold->erasures.at[fold->erasures_dirty];
        struct row *row = row_add(b, ERASURE);
        row->n[0] = (i64)e->ref;
        row->n[1] = e->at_ms;
        row->n[2] = e->done_ms;
        erasure_encode(e, t);
        row->bytes = encoded(b, t);
    }
}

static void gather_tables(struct fold *fold, struct batch *b, struct buf *t)
{
    for (u32 id; (id = identity_dirty_next(fold->live.identity));) {
        struct link line, *link = &line;
        if (!identity_link(fold->live.identity, id, link)) continue;
        struct row *row = row_add(b, LINK);
        row->n[0] = id;
        row->n[1] = link->a;
        row->n[2] = link->kind;
        row->kind = str_of(identifier_name(link->identifier.kind));
        row->key = arena_str(&b->a, link->identifier.value);
        link_encode(link, t);
        row->bytes = encoded(b, t);
    }
    for (item_id id; (id = catalog_dirty_next(fold->live.catalog)).v;) {
        struct row *row = row_add(b, ITEM);
        row->n[0] = id.v;
        row->key = arena_str(&b->a, catalog_item(fold->live.catalog, id)->key);
        item_encode(fold->live.catalog, id, t);
        row->bytes = encoded(b, t);
    }
    for (u32 id; (id = orders_dirty_next(&fold->orders));) {
        const struct order *o = orders_get(&fold->orders, (order_id){ id }, &b->a);
        struct row *row = row_add(b, ORDER);
        row->n[0] = id;
        row->n[1] = o->node;
        row->n[2] = o->at_ms;
        row->more[0] = o->value_minor - o->refunded_minor;
        row->key = arena_str(&b->a, o->key);
        row->bytes = arena_str(&b->a, rows_get(fold->orders.all, id));
    }
    for (u32 id; (id = definition_dirty_next(fold->definitions));) {
        const struct definition *def = definition_by_id(fold->definitions, id);
        struct row *row = row_add(b, DEFINITION);
        row->n[0] = id;
        row->n[1] = def->published;
        row->kind = def->kind;
        row->key = def->key;
        definition_encode(def, t);
        row->bytes = encoded(b, t);
    }
    for (u32 id; (id = cells_dirty_next(&fold->cells));) {
        const struct cell *cell = &fold->cells.all.at[id - 1];
        struct row *row = row_add(b, CELL);
        row->n[0] = id;
        row->n[1] = cell->campaign;
        row->n[2] = cell->day;
        cell_encode(cell, t);
        row->bytes = encoded(b, t);
    }
}

/* A row holds the keys of one day that came since the last flush. */
static void gather_seen(struct fold *fold, struct batch *b)
{
    const struct seen_key *keys = fold->seen.added.at;
    for (isize from = 0, to; from < fold->seen.added.n; from = to) {
        i32 day = keys[from].day;
        for (to = from + 1; to < fold->seen.added.n && keys[to].day == day;) to++;
        struct row *row = row_add(b, SEEN);
        row->n[0] = (i64)day;
        struct hash128 *of_day = arena_room(&b->a, struct hash128, to - from);
        for (isize i = from; i < to; i++) of_day[i - from] = keys[i].key;
        row->bytes = (str){ (const char *)of_day, (to - from) * (isize)sizeof *of_day };
    }
    fold->seen.added.n = 0;
}

static void gather_keys(struct fold *fold, struct batch *b)
{
    struct flush *flush = fold->flush;
    gather_seen(fold, b);
    if (fold->seen.today != flush->swept) {
        row_add(b, SEEN_OLD)->n[0] = fold->seen.today - fold->config->dedup_days;
        row_add(b, OUTBOX_OLD)->n[0] = fold->now_ms - fold->config->outbox_days * DAY_MS;
        flush->swept = fold->seen.today;
    }
    struct hash128 denials = denials_digest(fold->live.denials), who;
    if (hash128_eq(denials, flush->denials)) return;
    flush->denials = denials;
    row_add(b, DENIALS_CLEAR);
    u16 purposes;
    for (isize at = 0; denials_next(fold->live.denials, &at, &who, &purposes);) {
        struct row *row = row_add(b, DENIAL);
        row->n[0] = purposes;
        row->bytes = arena_str(&b->a, (str){ (const char *)&who, sizeof who });
    }
}

static void gather_outbox(struct fold *fold, struct batch *b, struct buf *t)
{
    struct outbox *outbox = &fold->outbox;
    for (isize i = 0; i < outbox->added.n; i++) {
        const struct outbox_row *o = &outbox->added.at[i];
        struct row *row = row_add(b, OUTBOX);
        row->n[0] = (i64)o->seq;
        row->n[1] = o->connector;
        row->n[2] = o->kind;
        const i64 more[] = { o->at_ms, (i64)o->ref, o->person.v, o->segment.v };
        memcpy(row->more, more, sizeof more);
        row->bytes = arena_str(&b->a, o->body);
        mem_free_str(o->body);
    }
    if (outbox->added.n) {
        buf_add(t, (str){ (const char *)&outbox->seq, sizeof outbox->seq });
        buf_add(t, (str){ (const char *)&outbox->digest, sizeof outbox->digest });
        meta_add(b, "outbox", t);
    }
    outbox->added.n = 0;
}

static void decision_row(struct batch *b, const struct decided *d)
{
    struct row *row = row_add(b, DECISION);
    row->n[0] = (i64)d->ref;
    row->n[1] = (i64)d->decision.key;
    row->n[2] = d->decision.person.v;
    const i64 more[] = { d->decision.at_ms,
                         d->decision.placement,
                         d->decision.campaign,
                         d->decision.experience,
                         d->decision.variation,
                         d->viewed,
                         d->clicked };
    memcpy(row->more, more, sizeof more);
    row->kind = str_of(decide_reason_name(d->decision.reason));
    row->bytes = arena_str(&b->a, d->bytes);
}

static void gather_rest(struct fold *fold, struct batch *b, struct buf *t)
{
    isize oldest = max_isize(fold->decided_flushed, fold->decided_n - DECIDED_MAX);
    for (isize i = oldest; i < fold->decided_n; i++)
        if (fold->decided[i % DECIDED_MAX].ref)
            decision_row(b, &fold->decided[i % DECIDED_MAX]); /* else it is erased */
    fold->decided_flushed = fold->decided_n;
    for (isize i = 0; i < fold->decided_touched.n; i++) {
        const struct decided *d = fold_decided(fold, fold->decided_touched.at[i]);
        if (!d) continue;
        struct row *row = row_add(b, DECISION_MARK);
        row->n[0] = (i64)d->ref;
        row->n[1] = d->viewed;
        row->n[2] = d->clicked;
        const i64 more[] = { d->decision.person.v, (i64)d->clicks, d->teaches };
        memcpy(row->more, more, sizeof more);
    }
    fold->decided_touched.n = 0;
    fold->dead_stored = fold->dead_flushed;             /* the batch before this one is written */
    for (; fold->dead_flushed < fold->dead.n; fold->dead_flushed++) {
        const struct dead_letter *d = &fold->dead.at[fold->dead_flushed];
        struct row *row = row_add(b, DEAD);
        row->n[0] = (i64)d->ref;
        row->n[1] = d->at_ms;
        row->n[2] = d->replayed;
        row->more[0] = d->verified;
        row->kind = arena_str(&b->a, d->source);
        row->key = arena_str(&b->a, d->reason);
        row->bytes = arena_str(&b->a, d->raw);
    }
    isize marks = 0;
    for (isize i = fold->dead_taken_flushed; i < fold->dead_taken.n; i++) {
        row_add(b, DEAD_TAKEN)->n[0] = (i64)fold->dead_taken.at[i];
        fold->dead_taken.at[marks++] = fold->dead_taken.at[i];
    }
    fold->dead_taken.n = fold->dead_taken_flushed = marks;
    struct codec c = codec_writer(t);
    if (fold->warnings_dirty) {
        for (isize i = 0; i < fold->warnings.n; i++) visit_warning(&c, &fold->warnings.at[i]);
        meta_add(b, "warnings", t);
    }
    fold->warnings_dirty = false;
    if (fold->names_dirty) {
        for (isize i = 0; i < fold->names.n; i++) {
            codec_str(&c, &fold->names.at[i]);
            codec_u64(&c, &fold->name_refs.at[i]);
        }
        meta_add(b, "names", t);
    }
    if (fold->sources_dirty) {
        for (isize i = 0; i < fold->sources.n; i++) visit_source(&c, &fold->sources.at[i]);
        meta_add(b, "sources", t);
    }
    if (fold->cards_dirty) {
        for (isize i = 0; i < fold->cards.n; i++) {
            codec_u32(&c, &fold->cards.at[i].version);
            codec_str(&c, &fold->cards.at[i].json);
        }
        meta_add(b, "cards", t);
    }
    if (fold->trials_dirty) {
        trials_encode(fold, t);
        meta_add(b, "trials", t);
    }
    if (fold->weights_dirty) {
        weights_encode(fold, t);
        meta_add(b, "weights", t);
    }
    struct totals totals = fold->totals;
    visit_totals(&c, &totals);
    meta_add(b, "totals", t);
    fold->names_dirty = fold->sources_dirty = fold->cards_dirty = fold->trials_dirty =
        fold->weights_dirty = fold->rest_dirty = false;
}

static void gather(struct fold *fold)
{
    struct batch *b = &fold->flush->batch;
    struct buf t = { 0 };
    b->ref = fold->ref;
    b->people_n = people_take(fold->live.people, &b->a, &b->people);
    gather_pages(fold, b);
    gather_tables(fold, b, &t);
    gather_keys(fold, b);
    gather_outbox(fold, b, &t);
    gather_rest(fold, b, &t);
    gather_gone(fold, b, &t);
    if (!b->purge) b->purge = atomic_exchange(&fold->purge, NULL);
    b->digest = fold_digest_parts(fold);
    buf_add(&t, (str){ (const char *)&fold->ref, sizeof fold->ref });
    meta_add(b, "ref", &t);
    buf_add(&t, (str){ (const char *)&fold->book_ref, sizeof fold->book_ref });
    meta_add(b, "book", &t);
    buf_add(&t, (str){ (const char *)&fold->now_ms, sizeof fold->now_ms });
    meta_add(b, "now", &t);
    u32 form = STATE_FORM;
    struct codec c = codec_writer(&t);
    codec_u32(&c, &form);
    meta_add(b, "form", &t);
    buf_fini(&t);
}

/* What a statement does not name among its parameters is bound for nothing. */
static enum err row_write(struct store *store, const struct row *row)
{
    struct statement *s = store_statement(store, statements[row->table]);
    int most = statement_parameters(s);
    for (int i = 1; i <= min_isize(most, 3); i++) bind_i64(s, i, row->n[i - 1]);
    if (most >= 4) bind_str(s, 4, row->kind);
    if (most >= 5) bind_str(s, 5, row->key);
    if (most >= 6) bind_blob(s, 6, row->bytes);
    for (int i = 7; i <= most; i++) bind_i64(s, i, row->more[i - 7]);
    return statement_run(s);
}

static enum err batch_try(struct store *store, struct batch *b)
{
    enum err err = store_begin(store);
    if (!err && b->anew) err = store_run(store, empty_all, NULL);
    for (isize i = 0; !err && i < b->rows.n; i++) err = row_write(store, &b->rows.at[i]);
    if (!err) err = store_commit(store);
    if (err) store_abort(store);
    return err;
}

/* A full disk passes: the rows wait here, what changes meanwhile is in the log and goes with the
 * next batch. False: told to stop first. What the rows say is in the log then, too. Any other
 * failure would let the store drift behind for ever, unseen. */
static bool batch_write(struct flush *flush, struct batch *b)
{
    enum err err;
    bool said = false;
    while ((err = batch_try(flush->store, b)) == ERR_DISK && !atomic_load(&flush->stopping)) {
        struct timespec pause = { 0, 200000000 };
        if (!said) log_error("flush.waiting err=%s ref=%llu", err_name(err), (unsigned long long)b->ref);
        said = true;
        (void)nanosleep(&pause, NULL);
    }
    if (err && err != ERR_DISK) {
        log_error("flush.failed err=%s ref=%llu", err_name(err), (unsigned long long)b->ref);
        abort();
    }
    if (said) log_note("flush.%s ref=%llu", err ? "left_to_the_log" : "goes_on", (unsigned long long)b->ref);
    if (!err && b->purge && !purge_run(b->purge, flush->store)) {
        struct purge *none = NULL;
        (void)atomic_compare_exchange_strong(&flush->fold->purge, &none, b->purge);
    }
    if (!err) b->purge = NULL;
    b->rows.n = 0;
    b->anew = b->anew && err;
    arena_clear(&b->a);
    return err == ERR_OK;
}

static void *flush_thread(void *ctx)
{
    thread_is("flush", THREAD_BEHIND);
    struct flush *flush = ctx;
    void *batch;
    while (queue_take(flush->queue, &batch, 1, -1) >= 0) {
        encode_people(flush->fold->live.people, batch);
        atomic_store(&flush->encoding, false);
        if (!batch_write(flush, batch)) flush->behind = true;
        atomic_store(&flush->busy, false);
    }
    return NULL;
}

void save_start(struct fold *fold)
{
    if (!fold->flush) return;
    fold->flush->queue = queue_new(4);
    fold->flush->started = true;
    pthread_create(&fold->flush->thread, NULL, flush_thread, fold->flush);
}

static void flush_end(struct flush *flush)
{
    atomic_store(&flush->stopping, true);
    if (!flush->started) return;
    queue_close(flush->queue);
    pthread_join(flush->thread, NULL);
    queue_free(flush->queue);
    flush->started = false;
}

bool save_reads(const struct fold *fold) { return fold->flush && atomic_load(&fold->flush->encoding); }

void save_read_wait(const struct fold *fold)
{
    const struct timespec moment = { 0, 100000 };
    while (save_reads(fold)) (void)nanosleep(&moment, NULL);
}

static bool batch_due(const struct fold *fold, i64 waited_us)
{
    i64 often_us = fold->config->flush_ms * 1000;
    u64 entries = fold->ref - fold->flushed_ref;
    bool small = entries < BATCH_FEW || fold->outbox.added.n > 0;
    return entries >= BATCH_MANY || waited_us >= (small ? often_us : BATCH_WAITS * often_us);
}

void save_tick(struct fold *fold, bool now)
{
    struct flush *flush = fold->flush;
    if (!flush) return;
    if (now) {
        flush_end(flush);                               /* what is under way ends first */
        /* a batch after one that is missing would not be true */
        if ((fold->flushed_ref == fold->ref && !atomic_load(&fold->purge)) || flush->behind) return;
        gather(fold);
        encode_people(fold->live.people, &flush->batch);
        if (batch_write(flush, &flush->batch)) fold->flushed_ref = fold->ref;
        return;
    }
    i64 us = clock_monotonic_us();
    if (!batch_due(fold, us - fold->flushed_at_us)
        || (fold->ref == fold->flushed_ref && !atomic_load(&fold->purge))
        || atomic_load(&flush->busy))
        return;
    gather(fold);
    fold->flushed_ref = fold->ref;
    fold->flushed_at_us = us;
    atomic_store(&flush->busy, true);
    atomic_store(&flush->encoding, true);
    bool queued = queue_push(flush->queue, &flush->batch);
    assert(queued);
}

void save_stop(struct fold *fold)
{
    struct flush *flush = fold->flush;
    if (!flush) return;
    flush_end(flush);
    arena_fini(&flush->batch.a);
    vec_fini(&flush->batch.rows);
    store_close(flush->store);
    mem_free(flush);
    fold->flush = NULL;
    fold->store = NULL;
}

/* ---- in -------------------------------------------------------------------------------------- */

struct loading {
    struct fold *fold;
    struct statement *s;
    arena a;
    struct fold_digest digest;
    bool signed_off;
};

static enum err load_link(struct loading *l)
{
    return identity_load(l->fold->live.identity, column_blob(l->s, 0));
}
static enum err load_item(struct loading *l)
{
    return catalog_load(l->fold->live.catalog, column_blob(l->s, 0));
}
static enum err load_person(struct loading *l)
{
    return people_load(l->fold->live.people, column_blob(l->s, 0), &l->a);
}
static enum err load_order(struct loading *l)
{
    return orders_load(&l->fold->orders, column_blob(l->s, 0), &l->a);
}
static enum err load_definition(struct loading *l)
{
    return definition_load(l->fold->definitions, column_blob(l->s, 0), &l->a);
}
static enum err load_cell(struct loading *l) { return cells_load(&l->fold->cells, column_blob(l->s, 0)); }

static struct hash128 key_of(str bytes)
{
    struct hash128 key = { 0 };
    if (bytes.len == (isize)sizeof key) memcpy(&key, bytes.ptr, sizeof key);
    return key;
}

static enum err load_denial(struct loading *l)
{
    denials_set(l->fold->live.denials, key_of(column_blob(l->s, 0)), (u16)column_i64(l->s, 1));
    return ERR_OK;
}

static enum err load_seen(struct loading *l)
{
    str keys = column_blob(l->s, 0);
    for (isize each = (isize)sizeof(struct hash128); keys.len >= each; keys = str_from(keys, each))
        seen_load(&l->fold->seen, key_of(str_slice(keys, 0, each)), (i32)column_i64(l->s, 1));
    return keys.len ? ERR_DAMAGED : ERR_OK;
}

static enum err load_decision(struct loading *l)
{
    struct fold *fold = l->fold;
    struct decision d;
    str bytes = column_blob(l->s, 1);
    if (decision_decode(bytes, &l->a, &d)) return ERR_DAMAGED;
    if (!fold->decided) {
        fold->decided = mem_new(DECIDED_MAX * (isize)sizeof *fold->decided);
        fold->decided_by_key = map_new(1024);
    }
    struct decided *slot = &fold->decided[fold->decided_n % DECIDED_MAX];
    *slot = (struct decided){ .decision = d, .bytes = mem_str(bytes), .ref = (u64)column_i64(l->s, 0),
                              .viewed = column_i64(l->s, 2) != 0, .clicked = column_i64(l->s, 3) != 0,
                              .clicks = (u64)column_i64(l->s, 5), .teaches = column_i64(l->s, 6) != 0 };
    slot->decision.person.v = (u32)column_i64(l->s, 4);
    slot->decision.considered = NULL;
    slot->decision.items = NULL;
    slot->decision.context = NULL;
    slot->decision.heights = S("");
    slot->decision.considered_n = slot->decision.items_n = slot->decision.context_n = 0;
    map_put(fold->decided_by_key, (struct hash128){ d.key, d.key }, (u64)++fold->decided_n);
    fold->decided_flushed = fold->decided_n;
    return ERR_OK;
}

static enum err load_meta(struct loading *l)
{
    struct fold *fold = l->fold;
    str key = column_str(l->s, 0), value = column_blob(l->s, 1);
    struct codec c = codec_reader(value, &l->a);
    if (str_eq(key, S("ref")) && value.len == (isize)sizeof fold->ref)
        memcpy(&fold->ref, value.ptr, sizeof fold->ref);
    if (str_eq(key, S("book")) && value.len == (isize)sizeof fold->book_ref)
        memcpy(&fold->book_ref, value.ptr, sizeof fold->book_ref);
    if (str_eq(key, S("now")) && value.len == (isize)sizeof fold->now_ms)
        memcpy(&fold->now_ms, value.ptr, sizeof fold->now_ms);
    if (str_eq(key, S("outbox"))
        && value.len == (isize)(sizeof fold->outbox.seq + sizeof fold->outbox.digest)) {
        memcpy(&fold->outbox.seq, value.ptr, sizeof fold->outbox.seq);
        memcpy(&fold->outbox.digest, value.ptr + sizeof fold->outbox.seq, sizeof fold->outbox.digest);
    }
    if (str_eq(key, S("trials"))) return trials_load(fold, value, &l->a);
    if (str_eq(key, S("weights"))) return weights_load(fold, value);
    if (str_eq(key, S("digest")) && value.len == (isize)sizeof l->digest) {
        memcpy(&l->digest, value.ptr, sizeof l->digest);
        l->signed_off = true;
    }
    if (str_eq(key, S("totals"))) visit_totals(&c, &fold->totals);
    while (str_eq(key, S("names")) && c.in.len && !c.failed) {
        str name = { 0 };
        u64 ref = 0;
        codec_str(&c, &name);
        codec_u64(&c, &ref);
        (void)fold_name_of(fold, name, ref);
    }
    while (str_eq(key, S("warnings")) && c.in.len && !c.failed) {
        struct warning v = { 0 };
        visit_warning(&c, &v);
        struct warning *kept = warning_put(fold, v.source, v.what);
        v.what = kept->what;
        *kept = v;
    }
    while (str_eq(key, S("sources")) && c.in.len && !c.failed) {
        struct source_count source = { 0 };
        visit_source(&c, &source);
        vec_push(&fold->sources, source);
    }
    while (str_eq(key, S("cards")) && c.in.len && !c.failed) {
        struct card card = { 0 };
        codec_u32(&c, &card.version);
        codec_str(&c, &card.json);
        vec_push(&fold->cards, (struct card){ card.version, mem_str(card.json) });
    }
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

static enum err load_erasure(struct loading *l)
{
    return erasures_load(l->fold, column_blob(l->s, 0), &l->a);
}

static enum err load_table(struct loading *l, const char *sql, enum err (*load)(struct loading *l),
                           struct diag *diag)
{
    bool row;
    enum err err;
    l->s = store_statement(l->fold->store, sql);
    while (!(err = statement_step(l->s, &row)) && row) {
        err = load(l);
        if (err) {
            statement_reset(l->s);
            return diag_set(diag, ERR_DAMAGED, "the store has a row that cannot be read: %s", sql);
        }
        if (l->a.used > 1 << 20) arena_clear(&l->a);
    }
    return err;
}

/* Every row counted in the digest that was written with it: a bit that turned on the disk is found here. */
static enum err check_digest(struct loading *l, struct diag *diag)
{
    struct fold_digest now = fold_digest(l->fold);
    if (!l->signed_off || hash128_eq(now.all, l->digest.all)) return ERR_OK;
    const struct { const char *name; struct hash128 then, now; } parts[] = {
        { "identity", l->digest.identity, now.identity }, { "people", l->digest.people, now.people },
        { "catalog", l->digest.catalog, now.catalog }, { "denials", l->digest.denials, now.denials },
        { "definitions", l->digest.definitions, now.definitions }, { "orders", l->digest.orders, now.orders },
        { "results", l->digest.cells, now.cells }, { "totals", l->digest.rest, now.rest },
    };
    const char *which = "the whole";
    for (isize i = countof(parts) - 1; i >= 0; i--)
        if (!hash128_eq(parts[i].then, parts[i].now)) which = parts[i].name;
    return diag_set(
        diag, ERR_DAMAGED,
        "opmaat.db does not hold what was written to it (%s): move it away, and the next start makes it anew from the log",
        which);
}

/* 0: nothing is kept; 1: by a program that did not say. */
static enum err form_of(struct fold *fold, u32 *form, struct diag *diag)
{
    bool row;
    struct statement *s = store_statement(
        fold->store,
        "SELECT key = 'form', value FROM meta WHERE key IN ('form', 'ref') ORDER BY key LIMIT 1");
    enum err err = statement_step(s, &row);
    *form = 0;
    if (!err && row) {
        struct codec c = codec_reader(column_blob(s, 1), NULL);
        *form = 1;
        if (column_i64(s, 0)) codec_u32(&c, form);
        if (c.failed)
            err = diag_set(
                diag, ERR_DAMAGED,
                "opmaat.db does not tell its form: move it away, and the next start makes it anew from the log");
        if (*form > STATE_FORM)
            err = diag_set(diag, ERR_REFUSED,
                           "opmaat.db is of a newer program: its form is %u, this one writes %u",
                           *form, STATE_FORM);
    }
    statement_reset(s);
    return err;
}

static enum err load_all(struct loading *l, struct diag *diag)
{
    static const struct { const char *sql; enum err (*load)(struct loading *l); } tables[] = {
        { "SELECT key, value FROM meta", load_meta },
        { "SELECT bytes FROM definition ORDER BY id", load_definition },
        { "SELECT bytes FROM item ORDER BY id", load_item },
        { "SELECT bytes FROM identity_link ORDER BY id", load_link },
        { "SELECT bytes FROM person ORDER BY id", load_person },
        { "SELECT bytes FROM shop_order ORDER BY id", load_order },
        { "SELECT bytes FROM cell ORDER BY id", load_cell },
        { "SELECT who, purposes FROM denial", load_denial },
        { "SELECT bytes FROM erasure ORDER BY ref", load_erasure },
        { "SELECT keys, day FROM seen_page", load_seen },
        { "SELECT ref, bytes, viewed, clicked, person, clicks, teaches FROM (SELECT * FROM decision ORDER BY ref DESC LIMIT 100000) ORDER BY ref", load_decision },
    };
    enum err err = ERR_OK;
    for (isize i = 0; !err && i < countof(tables); i++)
        err = load_table(l, tables[i].sql, tables[i].load, diag);
    return err ? err : check_digest(l, diag);
}

enum err save_load(struct fold *fold, struct diag *diag)
{
    struct loading l = { .fold = fold };
    u32 form;
    enum err err = form_of(fold, &form, diag);
    if (!err && form > 0 && form < STATE_FORM) {
        log_note("fold.anew why=form was=%u is=%u: the whole log is folded again", form, STATE_FORM);
        fold->flush->batch.anew = true;
    } else if (!err) {
        err = load_all(&l, diag);
    }
    fold->names_dirty = fold->sources_dirty = false;
    fold->flushed_ref = fold->ref;
    fold->flush->denials = denials_digest(fold->live.denials);
    fold->flush->swept = fold->seen.today;
    struct person_change *loaded;
    (void)people_take(fold->live.people, &l.a, &loaded);    /* as the store has them */
    arena_fini(&l.a);
    while (catalog_dirty_next(fold->live.catalog).v) continue;
    return err;
}
