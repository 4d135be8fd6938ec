/* SPDX-License-Identifier: Apache-2.0
 *
 * letters.c - dead letters: what was not taken, whole, with its reason.
 *
 * Every letter is an entry of the log, or follows from one (quality.c), and a row in SQLite. The
 * latest stay in RAM as well, until the next batch has written them: a search reads the file on a
 * thread of its own, and adds from RAM what the file does not have yet. A letter that was taken
 * after all is marked, never removed.
 */
#include "fold/inside.h"
#include "store/store.h"

static void visit_dead(struct codec *c, struct dead_letter *v)
{
    codec_i64(c, &v->at_ms);
    codec_str(c, &v->source);
    codec_str(c, &v->reason);
    codec_str(c, &v->raw);
    codec_bool(c, &v->replayed);
    codec_bool(c, &v->verified);
    codec_str(c, &v->key);
}

void dead_letter_encode(const struct dead_letter *letter, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct dead_letter copy = *letter;
    visit_dead(&c, &copy);
}

enum err dead_letter_decode(str bytes, struct dead_letter *out)
{
    struct codec c = codec_reader(bytes, NULL);
    *out = (struct dead_letter){ 0 };
    visit_dead(&c, out);
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

/* ---- folding --------------------------------------------------------------------------------- */

/* The letter may be older than what is kept in RAM, and is in the store then. */
static void letter_taken(struct fold *fold, str ref)
{
    i64 number;
    if (!str_to_i64(ref, &number)) return;
    for (isize i = fold->dead.n - 1; i >= 0; i--)
        if (fold->dead.at[i].ref == (u64)number) fold->dead.at[i].replayed = true;
    vec_push(&fold->dead_taken, (u64)number);
    fold->totals.dead_taken++;
    fold->rest_dirty = true;
}

static void letter_free(struct dead_letter *letter)
{
    mem_free_str(letter->source);
    mem_free_str(letter->reason);
    mem_free_str(letter->raw);
}

/* What the store has may go. */
static void letters_shed(struct fold *fold)
{
    isize n = fold->dead.n - DEAD_KEPT;
    if (fold->store) n = min_isize(n, fold->dead_stored);
    if (n < DEAD_KEPT) return;                          /* many at once, so that moving is seldom */
    for (isize i = 0; i < n; i++) letter_free(&fold->dead.at[i]);
    memmove(fold->dead.at, fold->dead.at + n, (size_t)(fold->dead.n - n) * sizeof *fold->dead.at);
    fold->dead.n -= n;
    fold->dead_flushed = max_isize(0, fold->dead_flushed - n);
    fold->dead_stored = max_isize(0, fold->dead_stored - n);
}

void letter_add(struct fold *fold, const struct dead_letter *letter)
{
    struct dead_letter kept = *letter;
    struct source_count *count = source_slot(fold, letter->source);
    count->dead++;
    count->last_at_ms = letter->at_ms;
    fold->totals.dead++;
    fold->rest_dirty = true;
    kept.source = mem_str(letter->source);
    kept.reason = mem_str(letter->reason);
    kept.raw = mem_str(letter->raw);
    kept.key = S("");
    vec_push(&fold->dead, kept);
    letters_shed(fold);
}

void letter_apply(struct fold *fold, str bytes, u64 ref, i64 now_ms)
{
    struct codec c = codec_reader(bytes, NULL);
    struct dead_letter v = { 0 };
    visit_dead(&c, &v);
    if (c.failed) return;
    v.ref = ref;
    v.at_ms = now_ms;
    if (v.key.len && !seen_put(fold, seen_key(v.source, v.key), now_ms)) return;
    if (v.replayed) letter_taken(fold, v.raw);
    else letter_add(fold, &v);
}

void letters_fini(struct fold *fold)
{
    for (isize i = 0; i < fold->dead.n; i++) letter_free(&fold->dead.at[i]);
    vec_fini(&fold->dead);
    vec_fini(&fold->dead_taken);
}

/* ---- searching ------------------------------------------------------------------------------- */

struct search {
    const struct letter_query *q;
    arena *a;
    u64 stored;                     /* the store is true for entries up to this one */
    struct letter_page *out;
};

static bool matches(const struct letter_query *q, const struct dead_letter *d)
{
    return (q->which == LETTERS_ALL || d->replayed == (q->which == LETTERS_TAKEN))
           && (q->source.len == 0 || str_eq(q->source, d->source))
           && (q->reason.len == 0 || str_holds_nocase(d->reason, q->reason))
           && (q->text.len == 0 || str_holds_nocase(d->raw, q->text)
               || str_holds_nocase(d->reason, q->text))
           && d->at_ms >= q->since_ms && (q->ref == 0 || d->ref == q->ref)
           && (q->before == 0 || d->ref < q->before);
}

static void page_add(struct search *s, const struct dead_letter *d)
{
    struct letter_page *page = s->out;
    page->total++;
    if (page->n == s->q->limit) return;
    page->at[page->n++] = (struct dead_letter){ d->ref,
                                                d->at_ms,
                                                arena_str(s->a, d->source),
                                                arena_str(s->a, d->reason),
                                                arena_str(s->a, d->raw),
                                                d->replayed,
                                                d->verified,
                                                S("") };
}

/* On the fold's thread: what is newer than the store. */
static void from_memory(void *ctx, struct fold *fold)
{
    struct search *s = ctx;
    for (isize i = fold->dead.n - 1; i >= 0 && (fold->dead.at[i].ref > s->stored || !fold->store); i--)
        if (matches(s->q, &fold->dead.at[i])) page_add(s, &fold->dead.at[i]);
}

#define WHERE                                                                                                                                     \
    " FROM dead_letter WHERE (?1 = 2 OR replayed = ?1) AND (?2 = '' OR source = ?2) AND (?3 = '' OR instr(lower(reason), lower(?3)))"                        \
    " AND (?4 = '' OR instr(lower(CAST(raw AS TEXT)), lower(?4)) OR instr(lower(reason), lower(?4))) AND at >= ?5 AND (?6 = 0 OR ref = ?6)"      \
    " AND (?7 = 0 OR ref < ?7)"

static struct statement *bound(struct store *store, const char *sql, const struct letter_query *q)
{
    struct statement *s = store_statement(store, sql);
    bind_i64(s, 1, q->which);
    bind_str(s, 2, q->source);
    bind_str(s, 3, q->reason);
    bind_str(s, 4, q->text);
    bind_i64(s, 5, q->since_ms);
    bind_i64(s, 6, (i64)q->ref);
    bind_i64(s, 7, (i64)q->before);
    return s;
}

static enum err read_stored_ref(struct store *store, u64 *ref)
{
    bool row;
    struct statement *s = store_statement(store, "SELECT value FROM meta WHERE key = 'ref'");
    enum err err = statement_step(s, &row);
    str value = !err && row ? column_blob(s, 0) : S("");
    *ref = 0;
    if (value.len == (isize)sizeof *ref) memcpy(ref, value.ptr, sizeof *ref);
    statement_reset(s);
    return err;
}

static enum err from_store(struct search *s, struct store *store)
{
    bool row;
    struct letter_page *page = s->out;
    struct statement *st = bound(store, "SELECT count(*)" WHERE, s->q);
    enum err err = statement_step(st, &row);
    if (!err && row) page->total += column_i64(st, 0);
    statement_reset(st);
    if (err || page->n == s->q->limit) return err;
    st = bound(store,
               "SELECT ref, at, source, reason, raw, replayed, verified" WHERE
               " ORDER BY ref DESC LIMIT ?8",
               s->q);
    bind_i64(st, 8, s->q->limit - page->n);
    i64 total = page->total;
    while (!(err = statement_step(st, &row)) && row) {
        struct dead_letter d = { (u64)column_i64(st, 0), column_i64(st, 1),
                                 column_str(st, 2),      column_str(st, 3),
                                 column_blob(st, 4),     column_i64(st, 5) != 0,
                                 column_i64(st, 6) != 0, S("") };
        page_add(s, &d);
    }
    page->total = total;
    if (err) return err;
    st = bound(store,
               "SELECT source, reason, count(*)" WHERE
               " GROUP BY source, reason ORDER BY count(*) DESC LIMIT 50",
               s->q);
    page->groups = arena_new(s->a, struct letter_group, 50);
    while (!(err = statement_step(st, &row)) && row)
        page->groups[page->groups_n++] =
            (struct letter_group){ arena_str(s->a, column_str(st, 0)),
                                   arena_str(s->a, column_str(st, 1)), column_i64(st, 2) };
    return err;
}

/* On the fold's thread: marks since the store was written. */
static void drop_taken(void *ctx, struct fold *fold)
{
    struct search *s = ctx;
    struct letter_page *page = s->out;
    isize n = 0;
    for (isize i = 0; i < page->n; i++) {
        bool taken = false;
        for (isize k = 0; k < fold->dead_taken.n; k++) taken |= fold->dead_taken.at[k] == page->at[i].ref;
        page->at[i].replayed |= taken;
        if (!taken || s->q->which != LETTERS_OPEN) page->at[n++] = page->at[i];
    }
    page->total -= page->n - n;
    page->n = n;
}

enum err fold_letters(struct fold *fold, const struct letter_query *q, arena *a,
                      struct letter_page *out, struct diag *diag)
{
    struct search s = { .q = q, .a = a, .out = out };
    struct store *store = NULL;
    enum err err = ERR_OK;
    *out = (struct letter_page){ .at = arena_new(a, struct dead_letter, q->limit) };
    if (fold->store_path) {
        err = store_open(fold->store_path, STORE_READER, &store, diag);
        if (!err) err = store_begin(store);             /* both questions see one state of the file */
        if (!err) err = read_stored_ref(store, &s.stored);
    }
    if (!err) fold_ask_wait(fold, from_memory, &s);
    if (!err && store) err = from_store(&s, store);
    if (store) {
        store_abort(store);
        store_close(store);
    }
    if (!err) fold_ask_wait(fold, drop_taken, &s);
    return err;
}
