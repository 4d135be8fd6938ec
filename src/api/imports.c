/* SPDX-License-Identifier: Apache-2.0
 *
 * imports.c - files in by HTTP, one after the other on a thread of their own.
 *
 * A body is copied, answered with a job, and read through ingest's import_run as a file would be. Feeds
 * (kind "feed") are fetched here too, when they are due. What is refused goes to the dead letters.
 * Its entries go to the log in chunks; when the log's queue is full the import waits, live traffic
 * does not. A job is kept until 64 newer ones are.
 */
#include <pthread.h>
#include <time.h>

#include "api/admin.h"
#include "base/rcu.h"
#include "base/thread.h"

enum {
    JOBS_MAX = 64,
    WAITING_MAX = 4,
    FEED_BYTES_MAX = 256 << 20,
    FEED_MS = 120000,
    FEEDS_MAX = 256,
    FEED_LOOK_MS = 500,
    REFUSALS_MAX = 100,
    REASON_MAX = 200,
    CHUNK_ENTRIES = 500,
    CHUNK_BYTES = 1 << 20
};

enum state { JOB_WAITS, JOB_RUNS, JOB_DONE, JOB_FAILED };
static const char *const state_names[] = { "waiting", "running", "done", "failed" };

struct job {
    u64 id;                         /* 0: none here yet */
    u8 state;
    char kind[16], mode[8], source[DEFINITION_KEY_BYTES_MAX + 1], error[REASON_MAX], author[80];
    currency currency;
    bool forced;                    /* a replacement may drop as much as it likes */
    bool again;                     /* a dead letter once more: refused, it stays the letter it is */
    /* its own copies, until it has run; url: the body is fetched from there */
    str body, map, url;
    struct import_totals totals;
    struct gz_progress progress;
    i64 no_consent, written, dropped, began_ms, ended_ms;
    struct { i64 line; char reason[REASON_MAX]; } refusals[REFUSALS_MAX]; isize refusals_n;
};

struct imports {
    struct api *api;
    struct queue *queue;
    pthread_t thread;
    pthread_mutex_t lock;           /* over the jobs */
    struct job jobs[JOBS_MAX];
    u64 ids;
    isize waiting;
    _Atomic bool stopping;
    /* by hash of the feed's key; its thread alone */
    struct { u32 key; i64 tried_ms; } feeds[FEEDS_MAX]; isize feeds_n;
};

/* What the thread holds of the job it runs. */
struct running {
    struct imports *imports;
    struct job *job;
    arena chunk;
    struct { struct entry *at; isize n, cap; } entries;
    isize bytes;
    i64 items;                      /* of this chunk */
    struct basis_set basis;
    currency currency;
    enum err err;
};

static void copy_z(char *to, isize size, str s)
{
    isize n = min_isize(s.len, size - 1);
    if (n) memcpy(to, s.ptr, (size_t)n);
    to[n] = 0;
}

static str keep(str s)
{
    char *copy = mem_new(s.len + 1);
    if (s.len) memcpy(copy, s.ptr, (size_t)s.len);
    return (str){ copy, s.len };
}

/* ---- running one ---------------------------------------------------------------------------- */

static void commit(struct running *r)
{
    struct timespec moment = { 0, 50000000 };
    if (r->items) {
        struct delivery delivery = { str_of(r->job->source), r->items };
        struct buf bytes = { .arena = &r->chunk };
        delivery_encode(&delivery, &bytes);
        vec_push(&r->entries, (struct entry){ ENTRY_DELIVERY, buf_str(&bytes) });
        r->items = 0;
    }
    for (;;) {
        if (r->entries.n == 0 || r->err) break;
        if (atomic_load(&r->imports->stopping)) { r->err = ERR_NOT_READY; break; }
        r->err = fold_submit_wait(r->imports->api->fold, r->entries.at, r->entries.n, NULL);
        if (r->err != ERR_OVERLOADED) break;
        r->err = ERR_OK;
        (void)nanosleep(&moment, NULL);
    }
    pthread_mutex_lock(&r->imports->lock);
    if (!r->err) r->job->written += r->entries.n;
    pthread_mutex_unlock(&r->imports->lock);
    r->entries.n = 0;
    r->bytes = 0;
    arena_clear(&r->chunk);
}

static void add(struct running *r, u8 kind, str bytes)
{
    vec_push(&r->entries, (struct entry){ kind, bytes });
    r->bytes += bytes.len;
    if (r->entries.n >= CHUNK_ENTRIES || r->bytes >= CHUNK_BYTES) commit(r);
}

static void take_event(void *ctx, const struct event *event)
{
    struct running *r = ctx;
    struct event e = *event;
    struct buf bytes = { .arena = &r->chunk };
    if (r->err) return;
    rcu_read_begin();
    enum consent_state analytics = said_before(r->imports->api, &e, PURPOSE_ANALYTICS);
    enum consent_state necessary = said_before(r->imports->api, &e, PURPOSE_NECESSARY);
    enum consent_state ads = consent_said(&e, PURPOSE_ADS_SHARING);
    if (ads == CONSENT_UNKNOWN) ads = said_before(r->imports->api, &e, PURPOSE_ADS_SHARING);
    rcu_read_end();
    if (!consent_allows(r->basis.of[PURPOSE_ADS_SHARING], ads)) ingest_forget_click(&r->chunk, &e);
    switch (consent_collect(&r->basis, &e, analytics, necessary)) {
    case COLLECT_NOTHING: r->job->no_consent++; return;
    case COLLECT_WITHOUT_PERSON:
        e.identifiers_n = e.traits_n = 0;
        e.previous_id = e.session = e.url = e.referrer = e.click_id = e.properties = S("");
        break;
    case COLLECT_WHOLE: break;
    }
    event_encode(&e, &bytes);
    add(r, ENTRY_EVENT, buf_str(&bytes));
}

static void take_item(void *ctx, const struct item_change *change)
{
    struct running *r = ctx;
    struct buf bytes = { .arena = &r->chunk };
    struct item_change said = *change;
    if (r->err) return;
    if (str_eq(str_of(r->job->mode), S("delta"))) {
        /* a product may stand in the file twice: each adds to what is there */
        if (r->entries.n) commit(r);
        import_delta(r->imports->api->live->catalog, &said, &r->chunk);
    }
    item_change_encode(&said, &bytes);
    r->items++;
    add(r, ENTRY_CATALOG, buf_str(&bytes));
}

static void take_letter(void *ctx, i64 line, str reason, str raw)
{
    struct running *r = ctx;
    struct buf bytes = { .arena = &r->chunk }, said = { .arena = &r->chunk };
    if (r->err || r->job->again) return;
    buf_add(&said, raw);
    buf_add(&said, reason);
    struct hash128 h = hash128(buf_str(&said), 0);
    struct dead_letter letter = {
        .source = str_of(r->job->source),
        .raw = raw,
        .verified = true,
        .reason = arena_printf(&r->chunk, "line %lld: %.*s", (long long)line, STR_FMT(reason)),
        .key = arena_printf(&r->chunk, "line-%016" PRIx64 "%016" PRIx64, h.hi, h.lo)
    };
    dead_letter_encode(&letter, &bytes);
    add(r, ENTRY_DEAD, buf_str(&bytes));
}

static void take_refusal(void *ctx, i64 line, str reason, i64 amount_micro)
{
    struct running *r = ctx;
    struct job *job = r->job;
    (void)amount_micro;
    if (job->refusals_n == REFUSALS_MAX) return;
    pthread_mutex_lock(&r->imports->lock);
    job->refusals[job->refusals_n].line = line;
    copy_z(job->refusals[job->refusals_n++].reason, REASON_MAX, reason);
    pthread_mutex_unlock(&r->imports->lock);
}

static void take_progress(void *ctx, struct gz_progress at)
{
    struct running *r = ctx;
    pthread_mutex_lock(&r->imports->lock);
    r->job->progress = at;
    pthread_mutex_unlock(&r->imports->lock);
}

/* A source nobody declared is declared by its first file, on the basis of contract: these are the
 * shop's own books. */
static enum err need_source(struct running *r, struct diag *diag)
{
    str key = str_of(r->job->source);
    for (int tries = 0; tries < 2; tries++) {
        rcu_read_begin();
        const struct source *known = book_source(atomic_load(&r->imports->api->live->book), key);
        if (known) {
            r->basis = known->basis;
            r->currency = known->currency;
        }
        rcu_read_end();
        if (known) return ERR_OK;
        enum err err =
            tries
                ? ERR_REFUSED
                : api_define(
                    r->imports->api->fold, S("source"), key,
                    S("{\"title\":\"Imported files\",\"channel\":\"server\",\"expected_every\":\"never\",\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\","
                      "\"model_training\":\"contract\"}}"),
                    str_of(r->job->author), diag);
        if (err) return err;
    }
    return diag_set(diag, ERR_REFUSED, "the source \"%s\" does not compile", r->job->source);
}

/* A feed's body, from where it lies. */
static enum err fetch(struct job *job, arena *a, struct diag *diag)
{
    struct http_fetch ask = {
        .method = METHOD_GET, .url = job->url, .bytes_max = FEED_BYTES_MAX, .timeout_ms = FEED_MS
    };
    struct http_fetched got;
    enum err err = http_fetch(&ask, a, &got, diag);
    if (err) return err;
    if (got.status != 200)
        return diag_set(diag, ERR_REFUSED, "%.*s answered %d", STR_FMT(job->url), got.status);
    if (got.body.len == 0) return diag_set(diag, ERR_REFUSED, "%.*s is empty", STR_FMT(job->url));
    job->body = keep(got.body);
    job->progress.total = got.body.len;
    return ERR_OK;
}

/* What a replacement takes away, once it is known to be little enough. */
static enum err look_for_dropped(struct running *r, const struct import *import, arena *a,
                                 struct replacement *out, struct diag *diag)
{
    *out = (struct replacement){ 0 };
    if (!str_eq(str_of(r->job->mode), S("replace"))) return ERR_OK;
    struct gz *gz = gz_memory(r->job->body);
    enum err err = import_replacement(gz, import, r->imports->api->live->catalog, r->job->forced, a,
                                      out, diag);
    gz_close(gz);
    return err;
}

static enum err run_import(struct running *r, arena *a, struct import_totals *totals, struct diag *diag)
{
    struct job *job = r->job;
    struct replacement dropped;
    struct import import = { .kind = str_of(job->kind),
                             .source = str_of(job->source),
                             .currency = job->currency,
                             .received_ms = clock_now(r->imports->api->clock) };
    const struct import_sink sink = { r, take_event, take_item, take_refusal, take_progress, take_letter };
    enum err err = job->url.len ? fetch(job, a, diag) : ERR_OK;
    if (!err && job->map.len) err = json_parse(a, job->map, &import.map, diag);
    if (!err) err = need_source(r, diag);
    if (!import.currency.v && !json_get(import.map, S("currency"))) import.currency = r->currency;
    if (!err) err = look_for_dropped(r, &import, a, &dropped, diag);
    if (err) return err;
    struct gz *gz = gz_memory(job->body);
    err = import_run(gz, &import, &sink, totals, diag);
    gz_close(gz);
    for (isize i = 0; !err && i < dropped.n; i++) take_item(r, &dropped.at[i]);
    job->dropped = err ? 0 : dropped.n;
    commit(r); /* what was read stands, even when the file ends in the middle */
    if (!err && r->err)
        err = diag_set(diag, r->err, "the log took only a part; the same file can be sent again");
    return err;
}

static void run(struct imports *imports, struct job *job)
{
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct import_totals totals = { 0 };
    struct running r = { .imports = imports, .job = job };
    pthread_mutex_lock(&imports->lock);
    job->state = JOB_RUNS;
    imports->waiting--;
    pthread_mutex_unlock(&imports->lock);
    enum err err = run_import(&r, &a, &totals, &diag);
    pthread_mutex_lock(&imports->lock);
    job->state = err ? JOB_FAILED : JOB_DONE;
    job->totals = totals;
    job->ended_ms = clock_now(imports->api->clock);
    if (err) copy_z(job->error, sizeof job->error, diag.what);
    mem_free((void *)(uintptr_t)job->body.ptr);
    mem_free((void *)(uintptr_t)job->map.ptr);
    mem_free((void *)(uintptr_t)job->url.ptr);
    job->body = job->map = job->url = (str){ 0 };
    pthread_mutex_unlock(&imports->lock);
    vec_fini(&r.entries);
    arena_fini(&r.chunk);
    arena_fini(&a);
}

/* ---- feeds, when they are due ---------------------------------------------------------------- */

static i64 *feed_tried(struct imports *imports, str key)
{
    u32 h = (u32)hash64(key, 0);
    isize i = 0;
    while (i < imports->feeds_n && imports->feeds[i].key != h) i++;
    if (i == FEEDS_MAX) return NULL;
    if (i == imports->feeds_n) {
        imports->feeds[imports->feeds_n].tried_ms = 0;
        imports->feeds[imports->feeds_n++].key = h;
    }
    return &imports->feeds[i].tried_ms;
}

struct last_seen { u16 source; i64 at_ms; };

static void ask_last(void *ctx, struct fold *fold)
{
    struct last_seen *last = ctx;
    isize n;
    const struct source_count *counts = fold_sources(fold, &n);
    for (isize i = 0; i < n; i++)
        if (counts[i].source == last->source) last->at_ms = counts[i].last_at_ms;
}

/* One that is due, as a job to run; null when none is. After a start a feed counts as fetched when
 * its source last brought something. */
static struct job *feed_due(struct imports *imports)
{
    i64 now_ms = clock_now(imports->api->clock);
    struct job *job = NULL;
    rcu_read_begin();
    const struct book *book = atomic_load(&imports->api->live->book);
    isize n = book ? book->feeds_n : 0;
    rcu_read_end();
    for (isize i = 0; !job && i < n; i++) {
        rcu_read_begin();
        book = atomic_load(&imports->api->live->book);
        const struct feed *feed = i < book->feeds_n ? &book->feeds[i] : NULL;
        i64 *tried = feed && !feed->paused && feed->every_ms != TIME_NEVER
                         ? feed_tried(imports, feed->key)
                         : NULL;
        const struct source *source = tried ? book_source(book, feed->source) : NULL;
        struct last_seen last = { source ? source->number : 0, 0 };
        i64 every_ms = tried ? feed->every_ms : 0;
        bool due = tried && (*tried == 0 || now_ms - *tried >= every_ms);
        if (due && *tried != 0 && source) job = mem_new(sizeof *job);
        if (job) {
            const struct mapping *map = feed->map.len ? book_mapping(book, feed->map) : NULL;
            *job = (struct job){ .url = keep(feed->url), .began_ms = now_ms };
            struct buf text = { 0 };
            struct jsonw w = { .out = &text };
            if (map) jsonw_value(&w, map->doc);
            job->map = text.len ? keep(buf_str(&text)) : (str){ 0 };
            buf_fini(&text);
            copy_z(job->kind, sizeof job->kind, feed->of);
            copy_z(job->mode, sizeof job->mode, feed->mode);
            copy_z(job->source, sizeof job->source, feed->source);
            copy_z(job->author, sizeof job->author, feed->key);
            *tried = now_ms;
        }
        rcu_read_end();
        if (due && !job && tried) {                     /* seen for the first time since the start */
            fold_ask_wait(imports->api->fold, ask_last, &last);
            *tried = last.at_ms && now_ms - last.at_ms < every_ms ? last.at_ms : 1;
        }
    }
    return job;
}

static struct job *place(struct imports *imports);

static void pull_feeds(struct imports *imports)
{
    struct job *due = feed_due(imports);
    if (!due) return;
    pthread_mutex_lock(&imports->lock);
    struct job *job = place(imports);
    if (job) {
        *job = *due;
        job->id = ++imports->ids;
        imports->waiting++;
    }
    pthread_mutex_unlock(&imports->lock);
    mem_free(due);
    if (job) run(imports, job);
}

static void *imports_thread(void *ctx)
{
    thread_is("imports", THREAD_BEHIND);
    struct imports *imports = ctx;
    void *job;
    isize n;
    rcu_thread_start();
    while ((n = queue_take(imports->queue, &job, 1, FEED_LOOK_MS)) >= 0) {
        if (n) run(imports, job);
        else if (atomic_load(&imports->api->ready))
            pull_feeds(imports); /* not for a command's moment */
    }
    rcu_thread_stop();
    return NULL;
}

struct imports *imports_new(struct api *api)
{
    struct imports *imports = mem_new(sizeof *imports);
    imports->api = api;
    imports->queue = queue_new(WAITING_MAX + 1);
    pthread_mutex_init(&imports->lock, NULL);
    pthread_create(&imports->thread, NULL, imports_thread, imports);
    return imports;
}

/* What waits is not read any more: its job ends as failed. */
void imports_stop(struct imports *imports)
{
    atomic_store(&imports->stopping, true);
    queue_close(imports->queue);
    pthread_join(imports->thread, NULL);
}

enum err import_again(struct api *api, str source, str kind, str row, str author, i64 *accepted,
                      struct diag *diag)
{
    arena a = { 0 };
    struct diag why = { .arena = &a };
    struct import_totals totals = { 0 };
    struct job *job = mem_new(sizeof *job);
    *job = (struct job){ .body = row, .again = true };
    copy_z(job->kind, sizeof job->kind, kind);
    copy_z(job->mode, sizeof job->mode, S("upsert"));
    copy_z(job->source, sizeof job->source, source);
    copy_z(job->author, sizeof job->author, author);
    struct running r = { .imports = api->admin->imports, .job = job };
    enum err err = run_import(&r, &a, &totals, &why);
    if (!err && job->refusals_n) err = diag_set(&why, ERR_REFUSED, "%s", job->refusals[0].reason);
    if (err) err = diag_set(diag, err, "%.*s", STR_FMT(why.what));
    *accepted = totals.accepted;
    vec_fini(&r.entries);
    arena_fini(&r.chunk);
    arena_fini(&a);
    mem_free(job);
    return err;
}

void imports_free(struct imports *imports)
{
    queue_free(imports->queue);
    pthread_mutex_destroy(&imports->lock);
    mem_free(imports);
}

/* ---- the routes ----------------------------------------------------------------------------- */

static bool key_fits(str key)
{
    for (isize i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return false;
    }
    return key.len > 0 && key.len <= DEFINITION_KEY_BYTES_MAX;
}

/* The oldest job's place; null while too many wait. */
static struct job *place(struct imports *imports)
{
    if (imports->waiting >= WAITING_MAX) return NULL;
    return &imports->jobs[imports->ids % JOBS_MAX];
}

/* A saved mapping by its key, or one as JSON. False after a problem was answered. */
static bool read_map(struct call *call, str said, str *text)
{
    *text = said;
    if (said.len == 0 || said.ptr[0] == '{') return true;
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    rcu_read_begin();
    const struct mapping *map = book_mapping(atomic_load(&call->api->live->book), said);
    if (map) jsonw_value(&w, map->doc);
    rcu_read_end();
    *text = buf_str(&out);
    if (!map) reply_problem(call, ERR_NOT_FOUND, "there is no published mapping \"%.*s\"", STR_FMT(said));
    return map != NULL;
}

static void preview(struct call *call)
{
    struct diag diag = { .arena = call->a };
    struct import import = { .kind = call->params[0],
                             .source = http_query(call->req, S("source"), S("import")),
                             .currency = currency_of(http_query(call->req, S("currency"), S(""))),
                             .received_ms = clock_now(call->api->clock) };
    str *map = call->own;
    enum err err = map->len ? json_parse(call->a, *map, &import.map, &diag) : ERR_OK;
    rcu_read_begin();
    const struct source *source = book_source(atomic_load(&call->api->live->book), import.source);
    if (source && !import.currency.v && !json_get(import.map, S("currency")))
        import.currency = source->currency;
    rcu_read_end();
    struct gz *gz = gz_memory(call->req->body);
    if (!err) err = import_preview(gz, &import, call->a, &call->w, &diag);
    gz_close(gz);
    if (err) call_fail(call, err, "%.*s", STR_FMT(diag.what));
}

/* ?source=&currency=&map= (a mapping's key, or one as
 * JSON)&mode=upsert|replace|delta&force=true&preview=true; the body is the file, gzipped or not. */
void import_post(struct call *call)
{
    struct imports *imports = call->api->admin->imports;
    str kind = call->params[0], source = http_query(call->req, S("source"), S("import")),
        map = http_query(call->req, S("map"), S(""));
    str mode = http_query(call->req, S("mode"), S("upsert")),
        code = http_query(call->req, S("currency"), S(""));
    if (!import_kind_known(kind)) {
        reply_problem(call, ERR_NOT_FOUND, "there is no import kind \"%.*s\"", STR_FMT(kind));
        return;
    }
    if (!str_eq(mode, S("upsert")) && !str_eq(mode, S("replace")) && !str_eq(mode, S("delta"))) {
        reply_problem(call, ERR_BAD_INPUT, "mode is upsert, replace or delta");
        return;
    }
    bool catalogue = str_eq(kind, S("products")) || str_eq(kind, S("content")) || str_eq(kind, S("stock"));
    if ((str_eq(mode, S("replace")) && !catalogue)
        || (str_eq(mode, S("delta")) && !str_eq(kind, S("stock")))) {
        reply_problem(
            call, ERR_REFUSED,
            "mode=replace is for products, content and stock, mode=delta for stock: what happened stays");
        return;
    }
    if (!read_map(call, map, &map)) return;
    if (!key_fits(source)) {
        reply_problem(call, ERR_BAD_INPUT, "a source's key is a-z 0-9 _ - .");
        return;
    }
    if (code.len && !currency_of(code).v) {
        reply_problem(call, ERR_BAD_INPUT, "currency is three letters such as EUR");
        return;
    }
    if (call->req->body.len == 0) {
        reply_problem(call, ERR_BAD_INPUT, "the body is the file, and it is empty");
        return;
    }
    if (str_eq(http_query(call->req, S("preview"), S("")), S("true"))) {
        str *kept = arena_new(call->a, str, 1);
        *kept = map;
        call->own = kept;
        ask_jobs(call, preview);
        return;
    }
    pthread_mutex_lock(&imports->lock);
    struct job *job = place(imports);
    u64 id = 0;
    if (job) {
        *job = (struct job){ .id = ++imports->ids,
                             .currency = currency_of(code),
                             .body = keep(call->req->body),
                             .map = keep(map),
                             .forced = str_eq(http_query(call->req, S("force"), S("")), S("true")),
                             .began_ms = clock_now(call->api->clock),
                             .progress = { 0, call->req->body.len } };
        copy_z(job->kind, sizeof job->kind, kind);
        copy_z(job->mode, sizeof job->mode, mode);
        copy_z(job->source, sizeof job->source, source);
        copy_z(job->author, sizeof job->author, call->author);
        id = job->id;
        imports->waiting++;
        bool taken = queue_push(imports->queue, job);
        assert(taken);
    }
    pthread_mutex_unlock(&imports->lock);
    if (!id) { reply_problem(call, ERR_OVERLOADED, "%d imports wait already", WAITING_MAX); return; }
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, "import", kind);
    call->status = 202;
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "job", arena_printf(call->a, "j_%llu", (unsigned long long)id));
    jsonw_end(&call->w, '}');
    reply_json(call);
}

static void print_job(struct call *call, const struct job *job)
{
    struct jsonw *w = &call->w;
    const struct import_totals *t = &job->totals;
    f64 share = job->progress.total > 0 ? (f64)job->progress.done / (f64)job->progress.total : 0;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "job", arena_printf(call->a, "j_%llu", (unsigned long long)job->id));
    jsonw_key_str(w, "kind", str_of(job->kind));
    jsonw_key_str(w, "source", str_of(job->source));
    jsonw_key_str(w, "state", str_of(state_names[job->state]));
    jsonw_key_num(w, "progress", job->state == JOB_DONE ? 1 : share);
    jsonw_key_time(w, "began_at", job->began_ms);
    jsonw_key_time(w, "ended_at", job->ended_ms);
    if (job->error[0]) jsonw_key_str(w, "error", str_of(job->error));
    const struct { const char *name; i64 n;
    } numbers[] = {
        { "written", job->written },       { "lines", t->lines },   { "accepted", t->accepted },
        { "refused", t->refused },         { "orders", t->orders }, { "refunds", t->refunds },
        { "people", t->people },           { "events", t->events }, { "items", t->items },
        { "no_consent", job->no_consent },  { "dropped", job->dropped },
    };
    for (isize i = 0; i < countof(numbers); i++) jsonw_key_int(w, numbers[i].name, numbers[i].n);
    jsonw_key_begin(w, "refusals", '[');
    for (isize i = 0; i < job->refusals_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "line", job->refusals[i].line);
        jsonw_key_str(w, "reason", str_of(job->refusals[i].reason));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void job_get(struct call *call)
{
    struct imports *imports = call->api->admin->imports;
    str id = call->params[0];
    i64 number = 0;
    bool named = str_starts(id, S("j_")) && str_to_i64(str_from(id, 2), &number) && number > 0;
    bool found = false;
    pthread_mutex_lock(&imports->lock);
    const struct job *job = named ? &imports->jobs[(number - 1) % JOBS_MAX] : NULL;
    if (job && job->id == (u64)number) {
        found = true;
        print_job(call, job);
    }
    pthread_mutex_unlock(&imports->lock);
    if (found) reply_json(call);
    else
        reply_problem(call, ERR_NOT_FOUND, "there is no job \"%.*s\" (the latest %d are kept)",
                      STR_FMT(id), JOBS_MAX);
}

void jobs_get(struct call *call)
{
    struct imports *imports = call->api->admin->imports;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "jobs", '[');
    pthread_mutex_lock(&imports->lock);
    for (u64 id = imports->ids; id > 0 && id + JOBS_MAX > imports->ids; id--)
        print_job(call, &imports->jobs[(id - 1) % JOBS_MAX]);
    pthread_mutex_unlock(&imports->lock);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
    reply_json(call);
}
