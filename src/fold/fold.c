/* SPDX-License-Identifier: Apache-2.0
 *
 * fold.c - the thread: groups from the log in order, questions in between, time when it is due.
 *
 * The queue holds both durable groups and questions; a question runs between two records. When
 * nothing comes, the thread wakes for the next instant at which somebody's membership can change
 * and submits a tick: time enters the log like everything else, and a replay needs no clock.
 */
#include "fold/inside.h"

#include <stdlib.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"

enum { QUEUE = 4096, WAITING_MAX = 2048, WAITING_MOST = 200000, SETTLE_LEAST = 256, COOLED_AT_ONCE = 16 };

/* What the queue carries. */
enum work_kind { WORK_GROUP, WORK_ASK, WORK_STOP };
struct work { u8 kind; struct log_group *group; void (*ask)(void *ctx, struct fold *fold); void *ctx; };

struct decide_world live_world(const struct live *live)
{
    const struct outlook *outlook = atomic_load_explicit(&live->outlook, memory_order_acquire);
    return (struct decide_world){
        .book = atomic_load_explicit(&live->book, memory_order_acquire),
        .identity = live->identity,
        .people = live->people,
        .catalog = live->catalog,
        .denials = live->denials,
        .denial_key = live->denial_key,
        .model = atomic_load_explicit(&live->model, memory_order_acquire),
        .search = atomic_load_explicit(&live->search, memory_order_acquire),
        .caps = live->caps,
        .intent = outlook ? outlook->intent : NULL,
        .wanted = (_Atomic u32 *)(uintptr_t)&live->wanted,
    };
}

/* ---- reading state (on the fold's thread) ---------------------------------------------------- */

struct live *fold_live(struct fold *fold) { return &fold->live; }
struct log_writer *fold_writer(struct fold *fold) { return fold->writer; }
const struct definitions *fold_definitions(const struct fold *fold) { return fold->definitions; }
const struct totals *fold_totals(const struct fold *fold) { return &fold->totals; }
isize fold_orders(const struct fold *fold) { return orders_n(&fold->orders); }
u64 fold_ref(const struct fold *fold) { return fold->ref; }

static int by_cost(const void *x, const void *y)
{
    const f32 *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

f64 fold_tag_ms(const struct fold *fold)
{
    f32 sorted[TAG_PAGES_MAX];
    isize n = min_isize(fold->tag_pages, TAG_PAGES_MAX);
    if (n == 0) return -1;
    memcpy(sorted, fold->tag_ms, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_cost);
    return (f64)sorted[n / 2];
}
struct log_totals fold_log_totals(const struct fold *fold) { return log_totals(fold->log); }

enum err fold_read(const struct fold *fold, u64 from, arena *a, struct record *out, bool *found,
                   struct diag *diag)
{
    return log_read(fold->log, from, a, out, found, diag);
}

const struct source_count *fold_sources(const struct fold *fold, isize *n)
{
    *n = fold->sources.n;
    return fold->sources.at;
}

const struct warning *fold_warnings(const struct fold *fold, isize *n)
{
    *n = fold->warnings.n;
    return fold->warnings.at;
}

const struct cell *fold_cells(const struct fold *fold, isize *n)
{
    *n = fold->cells.all.n;
    return fold->cells.all.at;
}

const struct order *fold_order(const struct fold *fold, order_id id, arena *a)
{
    return orders_get(&fold->orders, id, a);
}
u32 fold_order_node(const struct fold *fold, order_id id) { return orders_node(&fold->orders, id); }

const struct decided *fold_decided(const struct fold *fold, u64 key)
{
    u64 at = fold->decided_by_key ? map_get(fold->decided_by_key, (struct hash128){ key, key }, 0) : 0;
    const struct decided *d = at ? &fold->decided[(at - 1) % DECIDED_MAX] : NULL;
    return d && d->decision.key == key ? d : NULL;
}

isize fold_decided_of(const struct fold *fold, person_id person, const struct decided **out, isize max)
{
    isize n = 0;
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX);
    for (isize i = fold->decided_n - 1; i >= oldest && n < max; i--) {
        const struct decided *d = &fold->decided[i % DECIDED_MAX];
        if (identity_person(fold->live.identity, d->decision.person.v).v == person.v) out[n++] = d;
    }
    return n;
}

const struct decided *fold_decided_at(const struct fold *fold, isize back)
{
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX), i = fold->decided_n - 1 - back;
    return i >= oldest ? &fold->decided[i % DECIDED_MAX] : NULL;
}

i64 fold_decided_since(const struct fold *fold, i64 at_ms)
{
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX), i = fold->decided_n;
    while (i > oldest && fold->decided[(i - 1) % DECIDED_MAX].decision.at_ms >= at_ms) i--;
    return fold->decided_n - i;
}

str fold_event_name(const struct fold *fold, u16 type)
{
    if (type < EVENT_CUSTOM_FIRST) return str_of(event_type_name(type));
    isize at = type - EVENT_CUSTOM_FIRST;
    return at < fold->names.n ? fold->names.at[at] : S("other");
}

isize fold_latest(const struct fold *fold, struct latest *out, isize max)
{
    isize n = min_isize(min_isize(fold->latest_n, LATEST_MAX), max);
    for (isize i = 0; i < n; i++) out[i] = fold->latest[(fold->latest_n - 1 - i) % LATEST_MAX];
    return n;
}

const struct card *fold_cards(const struct fold *fold, isize *n)
{
    *n = fold->cards.n;
    return fold->cards.at;
}

static struct hash128 rest_digest(const struct fold *fold)
{
    struct buf bytes = { 0 };
    struct codec c = codec_writer(&bytes);
    struct totals t = fold->totals;
    i64 *const counts[] = { &t.events,    &t.duplicates, &t.no_consent, &t.dead,      &t.dead_taken,
                            &t.decisions, &t.orders,     &t.mixed,      &t.last_at_ms };
    for (isize i = 0; i < countof(counts); i++) codec_i64(&c, counts[i]);
    /* so that no list can pass for the next */
    i64 lengths[] = { fold->now_ms,  t.revenues_n,   fold->names.n,   fold->sources.n,
                      fold->cards.n, fold->trials.n, fold->weights.n, fold->warnings.n };
    for (isize i = 0; i < countof(lengths); i++) codec_i64(&c, &lengths[i]);
    for (isize i = 0; i < t.revenues_n; i++) {
        codec_i64(&c, &t.revenue[i].minor);
        codec_u16(&c, &t.revenue[i].currency.v);
    }
    u64 numbers[] = { fold->book_ref, fold->outbox.seq, fold->outbox.digest.hi, fold->outbox.digest.lo };
    for (isize i = 0; i < countof(numbers); i++) codec_u64(&c, &numbers[i]);
    for (isize i = 0; i < fold->names.n; i++) {
        codec_str(&c, &fold->names.at[i]);
        codec_u64(&c, &fold->name_refs.at[i]);
    }
    for (isize i = 0; i < fold->sources.n; i++) {
        struct source_count s = fold->sources.at[i];
        codec_u16(&c, &s.source);
        i64 *const of[] = { &s.accepted, &s.duplicates, &s.no_consent, &s.dead,
                            &s.warnings, &s.last_at_ms, &s.behind_ms };
        for (isize k = 0; k < countof(of); k++) codec_i64(&c, of[k]);
    }
    for (isize i = 0; i < fold->cards.n; i++) codec_str(&c, &fold->cards.at[i].json);
    trials_encode(fold, &bytes);
    weights_encode(fold, &bytes);
    for (isize i = 0; i < fold->warnings.n; i++) {
        struct warning w = fold->warnings.at[i];
        codec_u16(&c, &w.source);
        codec_str(&c, &w.what);
        codec_i64(&c, &w.count);
        codec_i64(&c, &w.first_at_ms);
        codec_i64(&c, &w.last_at_ms);
        codec_u64(&c, &w.ref);
    }
    struct hash128 h = hash128(buf_str(&bytes), 9);
    buf_fini(&bytes);
    return (struct hash128){ h.hi + fold->seen.digest.hi, h.lo + fold->seen.digest.lo };
}

struct fold_digest fold_digest_parts(const struct fold *fold)
{
    return (struct fold_digest){
        .identity = identity_digest(fold->live.identity),
        .catalog = catalog_digest(fold->live.catalog),
        .denials = denials_digest(fold->live.denials),
        .definitions = definitions_digest(fold->definitions),
        .orders = fold->orders.digest,
        .cells = fold->cells.digest,
        .rest = rest_digest(fold),
    };
}

void fold_digest_seal(struct fold_digest *d, u64 ref)
{
    const struct hash128 parts[] = { d->identity,    d->people, d->catalog, d->denials,
                                     d->definitions, d->orders, d->cells,   d->rest };
    d->all = hash128((str){ (const char *)parts, sizeof parts }, ref);
}

struct fold_digest fold_digest(struct fold *fold)
{
    struct fold_digest d = fold_digest_parts(fold);
    save_read_wait(fold);
    d.people = people_digest(fold->live.people);
    fold_digest_seal(&d, fold->ref);
    return d;
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct fold *state_new(const struct fold_options *options)
{
    struct fold *fold = mem_new(sizeof *fold);
    fold->config = options->config;
    fold->clock = options->clock;
    fold->marker = options->marker;
    fold->live.identity = identity_new(0);
    fold->live.people = people_new();
    fold->live.catalog = catalog_new();
    fold->live.denials = denials_new();
    fold->live.caps = caps_new();
    fold->live.roll = roll_new();
    fold->definitions = definitions_new();
    fold->names_by_text = map_new(64);
    fold->warnings_by_key = map_new(64);
    fold->store_path = options->store_path;
    fold->deliver_path = options->deliver_path;
    orders_init(&fold->orders);
    cells_init(&fold->cells);
    seen_init(&fold->seen);
    return fold;
}

static void state_free(struct fold *fold)
{
    model_free((struct model *)(uintptr_t)atomic_load(&fold->live.model));
    search_free((struct search_index *)(uintptr_t)atomic_load(&fold->live.search));
    outlook_free(fold);
    book_free((struct book *)(uintptr_t)atomic_load(&fold->live.book));
    metrics_free((struct metrics *)(uintptr_t)atomic_load(&fold->live.metrics));
    identity_free(fold->live.identity);
    people_free(fold->live.people);
    catalog_free(fold->live.catalog);
    denials_free(fold->live.denials);
    caps_free(fold->live.caps);
    roll_free(fold->live.roll);
    definitions_free(fold->definitions);
    map_free(fold->names_by_text);
    orders_fini(&fold->orders);
    cells_fini(&fold->cells);
    seen_fini(&fold->seen);
    outbox_fini(&fold->outbox);
    vec_fini(&fold->timers.queued);
    vec_fini(&fold->timers);
    vec_fini(&fold->sources);
    for (isize i = 0; i < fold->names.n; i++) mem_free_str(fold->names.at[i]);
    vec_fini(&fold->names);
    vec_fini(&fold->name_refs);
    for (isize i = 0; i < fold->cards.n; i++) mem_free_str(fold->cards.at[i].json);
    vec_fini(&fold->cards);
    trials_fini(fold);
    weights_fini(fold);
    erasures_fini(fold);
    letters_fini(fold);
    warnings_fini(fold);
    for (isize i = 0; fold->decided && i < DECIDED_MAX; i++) mem_free_str(fold->decided[i].bytes);
    mem_free(fold->decided);
    map_free(fold->decided_by_key);
    vec_fini(&fold->decided_touched);
    arena_fini(&fold->scratch);
    arena_fini(&fold->ahead);
    arena_fini(&fold->batch);
    mem_free(fold);
}

/* A replaced book is megabytes where a profile is one kilobyte. */
static bool much_waits(const struct fold *fold) { return rcu_waiting() > WAITING_MAX || fold->book_replaced; }

static void settle(struct fold *fold)
{
    if (!much_waits(fold)) return;
    rcu_settle();
    fold->book_replaced = false;
}

/* While others read: what waits may grow to some hundred megabytes, for as long as somebody reads
 * everybody in one bracket or the flush what it took, before events wait for them. */
static void settle_some(struct fold *fold)
{
    if (!much_waits(fold) && !fold->settling) return;
    isize waiting = rcu_waiting();
    bool enough = waiting > WAITING_MOST;
    if (save_reads(fold) && !enough) return;
    save_read_wait(fold);
    if (enough) rcu_settle();
    if (!fold->settling) fold->book_replaced = false;   /* it is among what is settled from here on */
    fold->settling = !enough && rcu_settle_some(max_isize(SETTLE_LEAST, waiting / 8));
}

static enum err replay(struct fold *fold, u64 until, struct diag *diag)
{
    arena a = { 0 };
    enum err err = ERR_OK;
    bool found = true;
    while (!err && fold->ref < until) {
        struct record record;
        arena_clear(&a);
        err = log_read(fold->log, fold->ref + 1, &a, &record, &found, diag);
        if (err || !found) break;
        u64 skip = fold->ref + 1 - record.first;        /* the store may be true for the middle of a record */
        record.entries += skip;
        record.entries_n -= (isize)skip;
        record.first += skip;
        if (record.first + (u64)record.entries_n > until + 1)
            record.entries_n = (isize)(until + 1 - record.first);
        fold_apply(fold, &record);
        settle(fold);
    }
    arena_fini(&a);
    return err;
}

static str secret_document(arena *a)
{
    static const char hex[] = "0123456789abcdef";
    u8 bytes[64];
    char text[128];
    rng_system(bytes, sizeof bytes);
    for (isize i = 0; i < 64; i++) {
        text[2 * i] = hex[bytes[i] >> 4];
        text[2 * i + 1] = hex[bytes[i] & 15];
    }
    return arena_printf(a, "{\"ticket\":\"%.64s\",\"denial\":\"%.64s\"}", text, text + 64);
}

/* A new data folder: its secrets are the first thing in the log. */
static enum err found_folder(struct fold *fold, struct diag *diag)
{
    arena a = { 0 };
    struct buf draft = { .arena = &a }, publish = { .arena = &a };
    struct definition_change change = { .op = DEFINITION_DRAFT, .kind = S("settings"), .key = S("secret"),
                                        .document = secret_document(&a), .author = S("opmaat") };
    definition_change_encode(&change, &draft);
    change.op = DEFINITION_PUBLISH;
    change.document = S("");
    change.revision = 1;
    definition_change_encode(&change, &publish);
    struct entry entries[] = { { ENTRY_DEFINITION, buf_str(&draft) },
                               { ENTRY_DEFINITION, buf_str(&publish) } };
    struct record record = {
        .at_ms = clock_now(fold->clock), .fold_version = 1, .entries = entries, .entries_n = 2
    };
    enum log_appended done = log_append(fold->log, 1, &record, 1);
    arena_fini(&a);
    if (done != LOG_OK) return diag_set(diag, ERR_DISK, "the log could not be written");
    return replay(fold, 2, diag);
}

static void rebuild_derived(struct fold *fold)
{
    u32 most = (u32)people_most(fold->live.people);
    for (u32 id = 1; id <= most; id++) {
        arena_clear(&fold->scratch);
        const struct profile *p = people_get(fold->live.people, (person_id){ id }, &fold->scratch);
        if (!p) continue;
        timers_push(&fold->timers, p->next_change_at_ms, id);
        for (isize i = 0; i < p->memberships_n; i++)
            if (p->memberships[i].member)
                roll_put(fold->live.roll, (segment_id){ p->memberships[i].segment }, p->id, true);
    }
}

enum err fold_open(const struct fold_options *options, struct fold **out, struct diag *diag)
{
    struct fold *fold = state_new(options);
    *out = fold;
    i64 began = clock_monotonic_us();
    enum err err = log_open(options->log_uri, options->config, &fold->log, diag);
    if (err) return err;
    if (options->store_path) err = save_open(fold, options->store_path, diag);
    if (!err && fold->store) err = save_load(fold, diag);
    if (err) return err;
    if (options->skip > fold->ref) err = fold_skip(fold->log, options->skip, clock_now(fold->clock), diag);
    if (err) return err;
    fold_rebuild_book(fold);
    rebuild_derived(fold);
    u64 loaded = fold->ref, tail = log_tail(fold->log);
    if (loaded >= tail && !(loaded == 0 && tail == 1))
        return diag_set(
            diag, ERR_DAMAGED,
            "the store holds entry %llu, but the log ends before it: log files are missing",
            (unsigned long long)loaded);
    err = tail == 1 ? found_folder(fold, diag) : replay(fold, tail - 1, diag);
    if (err) return err;
    /* what came whole from the store is folded too: models are built from it */
    atomic_store(&fold->live.folded, fold->ref);
    log_note("fold.open entries=%llu loaded=%llu people=%lld ms=%lld", (unsigned long long)fold->ref,
             (unsigned long long)loaded, (long long)people_count(fold->live.people),
             (long long)(clock_monotonic_us() - began) / 1000);
    return ERR_OK;
}

void fold_close(struct fold *fold)
{
    if (!fold) return;
    assert(!fold->started);
    save_stop(fold);
    if (fold->log) log_close(fold->log);
    rcu_settle();
    state_free(fold);
}

/* ---- running --------------------------------------------------------------------------------- */

static void work_push(struct fold *fold, struct work work)
{
    struct work *w = mem_new(sizeof *w);
    *w = work;
    while (!queue_push(fold->queue, w)) {
        struct timespec moment = { 0, 100000 };
        (void)nanosleep(&moment, NULL);
    }
}

/* On the writer's thread. */
static void take_group(void *ctx, struct log_group *group)
{
    work_push(ctx, (struct work){ WORK_GROUP, .group = group });
}

static void run_group(struct fold *fold, struct log_group *group)
{
    fold_apply(fold, &group->record);
    log_group_release(fold->writer, group);             /* acknowledges: folded and durable */
}

static void tick_done(struct append *append, enum err err, u64 first)
{
    (void)err;
    (void)first;
    ((struct fold *)append->ctx)->tick_asked = false;
}

static void tick_when_due(struct fold *fold)
{
    static const struct entry tick = { ENTRY_TICK, { "", 0 } };
    bool due = timers_next(&fold->timers) <= clock_now(fold->clock);
    if (!due || fold->tick_asked || fold->still) return;
    fold->tick_append = (struct append){ .entries = &tick, .entries_n = 1, .done = tick_done, .ctx = fold };
    fold->tick_asked = log_submit(fold->writer, &fold->tick_append) == ERR_OK;
}

static i64 wait_for(struct fold *fold)
{
    i64 until_due = timers_next(&fold->timers) == TIME_NEVER
                        ? 1000
                        : timers_next(&fold->timers) - clock_now(fold->clock);
    /* due: the tick is on its way, or could not be taken */
    return min_i64(until_due > 0 ? until_due : 5, fold->config->flush_ms);
}

/* May be asked for by a piece of work, and then does what came with that piece, too. */
static void work_off(struct fold *fold)
{
    while (fold->taken_at < fold->taken_n) {
        struct work *w = fold->taken[fold->taken_at++];
        switch ((enum work_kind)w->kind) {
        case WORK_GROUP: run_group(fold, w->group); break;
        case WORK_ASK: w->ask(w->ctx, fold); break;
        case WORK_STOP: fold->told_to_stop = true; break;
        }
        mem_free(w);
    }
}

static void take_work(struct fold *fold, i64 wait_ms)
{
    work_off(fold);
    fold->taken_n = queue_take(fold->queue, fold->taken, countof(fold->taken), wait_ms);
    fold->taken_at = 0;
    work_off(fold);
    settle_some(fold);
}

void fold_drain(struct fold *fold) { take_work(fold, 1); }

/* A few at a time, since events wait for it; while the flush reads what was replaced, nothing more is. */
static bool cool_some(struct fold *fold)
{
    return !save_reads(fold)
           && people_cool(fold->live.people, fold->now_ms, fold->config->people_plain_mb << 20,
                          COOLED_AT_ONCE);
}

static void *fold_thread(void *ctx)
{
    thread_is("fold", THREAD_ANSWERS);
    struct fold *fold = ctx;
    rcu_thread_start();                                 /* it asks for grace periods */
    fold->told_to_stop = false;
    for (bool more = false; !fold->told_to_stop; more = cool_some(fold)) {
        tick_when_due(fold);
        take_work(fold, more ? 0 : wait_for(fold));
        save_tick(fold, false);
    }
    rcu_thread_stop();
    return NULL;
}

static void start(struct fold *fold, bool still)
{
    assert(!fold->started);
    fold->still = still;
    fold->queue = queue_new(QUEUE);
    save_start(fold);
    fold->started = true;
    pthread_create(&fold->thread, NULL, fold_thread, fold);
    fold->writer = log_writer_start(fold->log, fold->config, fold->clock, take_group, fold);
    eraser_start(fold);
    if (still) return;
    builder_start(fold);
    learner_start(fold);
    indexer_start(fold);
}

void fold_start(struct fold *fold) { start(fold, false); }
void fold_start_still(struct fold *fold) { start(fold, true); }

void fold_stop(struct fold *fold)
{
    if (!fold->started) return;
    eraser_stop(fold);
    if (!fold->still) {
        learner_stop(fold);
        builder_stop(fold);
        indexer_stop(fold);
    }
    log_writer_stop(fold->writer);                      /* waits until every group was folded */
    work_push(fold, (struct work){ .kind = WORK_STOP });
    pthread_join(fold->thread, NULL);
    fold->started = false;
    fold->writer = NULL;
    queue_free(fold->queue);
    save_tick(fold, true);
    save_stop(fold);
}

bool fold_ask(struct fold *fold, void (*ask)(void *ctx, struct fold *fold), void *ctx)
{
    if (!fold->started) return false;
    work_push(fold, (struct work){ WORK_ASK, .ask = ask, .ctx = ctx });
    return true;
}

/* ---- waiting, for tools and jobs ------------------------------------------------------------- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool done;
    enum err err;
    u64 first;
    void (*ask)(void *ctx, struct fold *fold);
    void *ctx;
};

static void waiting_done(struct waiting *w)
{
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->ready);
    pthread_mutex_unlock(&w->lock);
}

static void waiting_wait(struct waiting *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->done) pthread_cond_wait(&w->ready, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void submitted(struct append *append, enum err err, u64 first)
{
    struct waiting *w = append->ctx;
    w->err = err;
    w->first = first;
    waiting_done(w);
}

enum err fold_submit_wait(struct fold *fold, const struct entry *entries, isize n, u64 *first)
{
    struct waiting w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .done = false };
    struct append append = { .entries = entries, .entries_n = n, .done = submitted, .ctx = &w };
    enum err err = fold_submit(fold, &append);
    if (err) return err;
    waiting_wait(&w);
    if (first) *first = w.first;
    return w.err;
}

static void asked(void *ctx, struct fold *fold)
{
    struct waiting *w = ctx;
    w->ask(w->ctx, fold);
    waiting_done(w);
}

void fold_ask_wait(struct fold *fold, void (*ask)(void *ctx, struct fold *fold), void *ctx)
{
    if (!fold->started) {
        ask(ctx, fold);
        return;
    }
    struct waiting w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .ask = ask, .ctx = ctx };
    fold_ask(fold, asked, &w);
    waiting_wait(&w);
}

void fold_bulk(struct fold *fold, bool on)
{
    struct config config = *fold->config;
    if (on) config.commit_wait_us = 0;
    log_writer_reload(fold->writer, &config);
    if (log_bulk(fold->log, on) == LOG_OK) return;
    log_error("fold.bulk what is on disk is not known");
    abort();
}

/* ---- verify ---------------------------------------------------------------------------------- */

static void print_digest(struct buf *out, const char *name, struct hash128 h)
{
    buf_printf(out, "%-12s %016llx%016llx\n", name, (unsigned long long)h.hi, (unsigned long long)h.lo);
}

static enum err digest_of(const struct fold_options *options, struct fold_digest *digest, u64 *ref,
                          struct diag *diag)
{
    struct fold *fold = NULL;
    enum err err = fold_open(options, &fold, diag);
    /* a replay needs a log that is of one piece */
    if (!err && options->store_path) err = erase_finish(fold, diag);
    if (!err) {
        *digest = fold_digest(fold);
        *ref = fold->ref;
    }
    fold_close(fold);
    return err;
}

enum err fold_verify(const struct fold_options *options, struct buf *report, struct diag *diag)
{
    struct fold_options kept = *options, fresh = *options;
    struct log_totals totals = { 0 };
    fresh.store_path = NULL;
    enum err err = log_verify(options->log_uri, options->config, &totals, diag);
    struct fold_digest a = { 0 }, b = { 0 };
    u64 refs[2] = { 0 };
    if (!err) err = digest_of(&kept, &a, &refs[0], diag);
    if (!err) err = digest_of(&fresh, &b, &refs[1], diag);
    if (!err) {
        buf_printf(report, "entries      %llu\nrecords      %lld\nbytes        %lld\n",
                   (unsigned long long)refs[0], (long long)totals.records, (long long)totals.bytes);
        const char *names[] = { "identity",    "people", "catalog", "denials",
                                "definitions", "orders", "cells",   "rest" };
        const struct hash128 *sa = &a.identity, *sb = &b.identity;
        for (isize i = 0; i < countof(names); i++) {
            print_digest(report, names[i], sa[i]);
            if (!hash128_eq(sa[i], sb[i])) print_digest(report, "  replayed", sb[i]);
        }
        print_digest(report, "state", a.all);
        bool same = hash128_eq(a.all, b.all);
        if (!same) err = diag_set(diag, ERR_DAMAGED, "the stored state differs from a replay of the log");
    }
    return err;
}
