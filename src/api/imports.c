/* SPDX-License-Identifier: Apache-2.0
 *
 * imports.c - files in by HTTP, one after the other on a thread of their own.
 *
 * A body is copied, answered with a job, and read through ingest's import_run as a file would be.
 * Its entries go to the log in chunks; when the log's queue is full the import waits, live traffic
 * does not. A job is kept until 64 newer ones are.
 */
#include <pthread.h>
#include <time.h>

#include "api/admin.h"
#include "base/rcu.h"

enum {
    JOBS_MAX = 64,
    WAITING_MAX = 4,
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
    char kind[16], source[DEFINITION_KEY_BYTES_MAX + 1], error[REASON_MAX], author[80];
    currency currency;
    str body, map;                  /* its own copies, until it has run */
    struct import_totals totals;
    struct gz_progress progress;
    i64 no_consent, written, began_ms, ended_ms;
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
};

/* What the thread holds of the job it runs. */
struct running {
    struct imports *imports;
    struct job *job;
    arena chunk;
    struct { struct entry *at; isize n, cap; } entries;
    isize bytes;
    struct basis_set basis;
    u16 source_number;
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
    if (r->err) return;
    item_change_encode(change, &bytes);
    add(r, ENTRY_CATALOG, buf_str(&bytes));
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
        if (known) r->basis = known->basis;
        rcu_read_end();
        if (known) return ERR_OK;
        enum err err =
            tries
                ? ERR_REFUSED
                : api_define(
                    r->imports->api->fold, S("source"), key,
                    S("{\"title\":\"Imported files\",\"channel\":\"server\",\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\","
                      "\"model_training\":\"contract\"}}"),
                    str_of(r->job->author), diag);
        if (err) return err;
    }
    return diag_set(diag, ERR_REFUSED, "the source \"%s\" does not compile", r->job->source);
}

static enum err run_import(struct running *r, arena *a, struct import_totals *totals, struct diag *diag)
{
    struct job *job = r->job;
    struct import import = { .kind = str_of(job->kind),
                             .source = str_of(job->source),
                             .currency = job->currency,
                             .received_ms = clock_now(r->imports->api->clock) };
    const struct import_sink sink = { r, take_event, take_item, take_refusal, take_progress };
    enum err err = job->map.len ? json_parse(a, job->map, &import.map, diag) : ERR_OK;
    if (!err) err = need_source(r, diag);
    if (err) return err;
    struct gz *gz = gz_memory(job->body);
    err = import_run(gz, &import, &sink, totals, diag);
    gz_close(gz);
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
    job->body = job->map = S("");
    pthread_mutex_unlock(&imports->lock);
    vec_fini(&r.entries);
    arena_fini(&r.chunk);
    arena_fini(&a);
}

static void *imports_thread(void *ctx)
{
    struct imports *imports = ctx;
    void *job;
    rcu_thread_start();
    while (queue_take(imports->queue, &job, 1, -1) >= 0) run(imports, job);
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

/* ?source=&currency=&map= (a mapping as JSON); the body is the file, gzipped or not. */
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
    if (!str_eq(mode, S("upsert"))) {
        reply_problem(call, ERR_REFUSED, "only mode=upsert is known");
        return;
    }
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
    pthread_mutex_lock(&imports->lock);
    struct job *job = place(imports);
    u64 id = 0;
    if (job) {
        *job = (struct job){ .id = ++imports->ids,
                             .currency = currency_of(code),
                             .body = keep(call->req->body),
                             .map = keep(map),
                             .began_ms = clock_now(call->api->clock),
                             .progress = { 0, call->req->body.len } };
        copy_z(job->kind, sizeof job->kind, kind);
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
        { "no_consent", job->no_consent },
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
