/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.c - the budgets of the architecture, measured: bench --opmaat PROGRAM --work FOLDER [--tiny] [NAME…].
 *
 *   ingest     batches of 40, and one event a request
 *   decide     three placements, with and without events
 *   recommend  ten items of a strategy
 *   build      decisions while models are built, beside as many while none is
 *   import     one event a request while a million lines of orders come in
 *   start      after a clean stop, after kill -9; bytes an event, memory a person
 *   session    neighbours of a session, on the shared example sessions (--shared FOLDER)
 *
 * Every number is the median of its rounds, with the least and the most. A ratio is to the reference of the same round;
 * the server's CPU stands beside the rate because the sender has its share of the same cores. --tiny runs all of it in
 * seconds, to see that it runs; its numbers mean nothing. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "http/http.h"

enum { ROUNDS_MAX = 15, CONNECTIONS = 64, BUILD_MAX_US = 180000000,
    WAITING = 256,                                      /* connections where an answer waits for a commit, or a request for its time */
    SYNC_BYTES = 4096, BATCH_SYNC_BYTES = 256 << 10 };

struct size { struct shop shop; i64 round_us; isize rounds, warm_events; };

static const struct size full = { { 20000, 100000, 200, 20 }, 2000000, 3, 1000000 };
static const struct size tiny = { { 200, 100, 16, 4 }, 60000, 1, 400 };

struct bench {
    arena a;
    struct size size;
    const char *work, *shared;
    struct server server;
    str key;
    pid_t reference;
    i32 reference_port;
    f64 empty_mb;
};

/* ---- the report ---------------------------------------------------------------------------------- */

struct series { f64 at[ROUNDS_MAX]; isize n; };

static void add(struct series *s, f64 v)
{
    isize at = s->n++;
    assert(s->n <= ROUNDS_MAX);
    for (; at > 0 && s->at[at - 1] > v; at--) s->at[at] = s->at[at - 1];
    s->at[at] = v;
}

static f64 median(const struct series *s) { return s->at[s->n / 2]; }

static void report(const char *name, const struct series *s, const char *unit, const char *format, ...) PRINTF_LIKE(4, 5);

/* "name median unit (least..most of n) notes" */
static void report(const char *name, const struct series *s, const char *unit, const char *format, ...)
{
    int digits = median(s) >= 1000 ? 0 : median(s) >= 10 ? 1 : 3;
    va_list args;
    (void)printf("%s %.*f %s (%.*f..%.*f of %lld) ", name, digits, median(s), unit, digits, s->at[0], digits, s->at[s->n - 1], (long long)s->n);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* ---- one measurement -------------------------------------------------------------------------------- */

struct measured { struct loaded load; f64 cpu_us; };

/* `rate` 0 is the closed loop, with one request under way on each of `connections`. */
static struct measured measure(struct bench *b, str request, i32 port, pid_t pid, f64 rate, isize connections)
{
    struct load load = { request, port, connections, b->size.round_us, rate,
                         (u32)b->size.shop.people, (u32)b->size.shop.items };
    f64 before = cpu_s(pid);
    struct measured m = { .load = load_run(&load, &b->a) };
    m.cpu_us = (cpu_s(pid) - before) * 1e6 / (f64)max_i64(m.load.done, 1);
    if (m.load.refused) give_up("%lld of %lld requests were refused", (long long)m.load.refused, (long long)m.load.done);
    return m;
}


struct rates { struct series rate, cpu_us, ratio, reference_rate, reference_cpu_us; };

/* As many as it takes, beside the epoll loop that gets the same bytes. */
static struct rates measure_rate(struct bench *b, str request, isize connections)
{
    struct rates r = { 0 };
    for (isize i = 0; i < b->size.rounds; i++) {
        struct measured reference = measure(b, request, b->reference_port, b->reference, 0, connections);
        struct measured ours = measure(b, request, b->server.port, b->server.worker, 0, connections);
        add(&r.rate, ours.load.rate);
        add(&r.cpu_us, ours.cpu_us);
        add(&r.ratio, ours.load.rate / reference.load.rate);
        add(&r.reference_rate, reference.load.rate);
        add(&r.reference_cpu_us, reference.cpu_us);
    }
    return r;
}

struct latencies { struct series p50_ms, p99_ms, cpu_us, reference_p99_ms, sync_p99_ms; };

static struct latencies measure_latency(struct bench *b, str request, f64 rate, bool durable)
{
    struct latencies l = { 0 };
    for (isize i = 0; i < b->size.rounds; i++) {
        struct measured reference = measure(b, request, b->reference_port, b->reference, rate, WAITING);
        if (durable) add(&l.sync_p99_ms, reference_sync(b->work, SYNC_BYTES, b->size.round_us / 4, &b->a).p99_ms);
        struct measured ours = measure(b, request, b->server.port, b->server.worker, rate, WAITING);
        add(&l.p50_ms, ours.load.p50_ms);
        add(&l.p99_ms, ours.load.p99_ms);
        add(&l.cpu_us, ours.cpu_us);
        add(&l.reference_p99_ms, reference.load.p99_ms);
    }
    return l;
}

static void report_rate(const char *name, const struct rates *r, const char *budget)
{
    report(name, &r->rate, "requests/s", "server CPU %.1f us, %.2f of the epoll loop's %.0f (CPU %.1f us); budget %s", median(&r->cpu_us), median(&r->ratio),
           median(&r->reference_rate), median(&r->reference_cpu_us), budget);
}

static void report_latency(const char *name, const struct latencies *l, f64 rate, const char *budget)
{
    char sync[64] = "";
    if (l->sync_p99_ms.n) (void)snprintf(sync, sizeof sync, ", one sync's p99 %.2f ms", median(&l->sync_p99_ms));
    report(name, &l->p99_ms, "ms", "p99 at %.0f/s, p50 %.2f ms, server CPU %.1f us; epoll loop's p99 %.2f ms%s; budget %s", rate, median(&l->p50_ms),
           median(&l->cpu_us), median(&l->reference_p99_ms), sync, budget);
}

/* ---- setting up --------------------------------------------------------------------------------------- */

static str models_card(struct bench *b)
{
    struct http_header key = { S("Authorization"), arena_printf(&b->a, "Bearer %.*s", STR_FMT(b->key)) };
    struct http_fetch ask = { .url = arena_printf(&b->a, "http://127.0.0.1:%d/v1/models", b->server.port), .headers = &key, .headers_n = 1,
                              .bytes_max = 1 << 20, .timeout_ms = 10000, .method = METHOD_GET };
    struct http_fetched card;
    struct diag diag = { .arena = &b->a };
    return http_fetch(&ask, &b->a, &card, &diag) == ERR_OK ? card.body : S("");
}

/* Until the recommenders have learnt: a row of bestsellers is quicker than what is measured here; and until they are not at it again, for
 * the CPU of that is no request's. The builder steps aside for everything else, so this may take a while. */
static void wait_for_model(struct bench *b)
{
    i64 began = clock_monotonic_us();
    while (clock_monotonic_us() - began < BUILD_MAX_US) {
        str card = models_card(b);
        isize at = str_find(card, S("\"interactions\":"));
        bool resting = str_find(card, S("\"running\":false")) >= 0;
        if (resting && at >= 0 && strtoll(card.ptr + at + 15, NULL, 10) > 0) return;
        (void)usleep(200000);
    }
    give_up("no model was built in three minutes");
}

static void load_people(struct bench *b)
{
    i64 batches = b->size.warm_events / BATCH_EVENTS + 1, sent = 0, began = clock_monotonic_us();
    struct load load = { request_batch(&b->a, b->key), b->server.port, CONNECTIONS, b->size.round_us, 0, (u32)b->size.shop.people, (u32)b->size.shop.items };
    while (sent < batches && clock_monotonic_us() - began < 100000000) {
        struct loaded l = load_run(&load, &b->a);
        if (l.refused) give_up("%lld batches were refused", (long long)l.refused);
        sent += l.done;
    }
    (void)usleep(b->size.round_us > 1000000 ? 7000000 : 100000);        /* the flush settles */
    wait_for_model(b);
    (void)printf("# shop: %lld people, %lld items, %lld segments, %lld campaigns, %lld events in %.0f s\n", (long long)b->size.shop.people,
                 (long long)b->size.shop.items, (long long)b->size.shop.segments, (long long)b->size.shop.campaigns, (long long)(sent * BATCH_EVENTS),
                 (f64)(clock_monotonic_us() - began) / 1e6);
}

static void set_up(struct bench *b)
{
    const char *program = b->server.program, *data = b->server.folder;
    shop_write(&b->size.shop, b->work);
    str key = run_program(&b->a, (const char *const[]){ program, "key", "create", "--data", data, "--kind", "secret", "--source", "shop",
                                                        "--basis", "analytics=contract,personalisation=contract,model_training=contract", NULL });
    b->key = str_trim(key);
    (void)run_program(&b->a, (const char *const[]){ program, "import", "products", arena_printf(&b->a, "%s/items.csv", b->work).ptr, "--data", data, NULL });
    (void)run_program(&b->a, (const char *const[]){ program, "apply", arena_printf(&b->a, "%s/definitions", b->work).ptr, "--data", data, NULL });
    b->reference = reference_http(&b->reference_port);
    (void)server_start(&b->server);
    b->empty_mb = resident_mb(b->server.worker);
    load_people(b);
}

/* ---- the benches ---------------------------------------------------------------------------------------- */

static void bench_ingest(struct bench *b)
{
    struct rates batch = measure_rate(b, request_batch(&b->a, b->key), CONNECTIONS);
    struct series events = { 0 }, synced = { 0 };
    for (isize i = 0; i < batch.rate.n; i++) add(&events, batch.rate.at[i] * BATCH_EVENTS);
    for (isize i = 0; i < b->size.rounds; i++) add(&synced, reference_sync(b->work, BATCH_SYNC_BYTES, b->size.round_us / 4, &b->a).per_s * BATCH_SYNC_BYTES / 1e6);
    report("ingest_batch_events", &events, "events/s", "server CPU %.2f us an event; %.2f of the epoll loop's %.0f batches/s (CPU %.1f us); append+fdatasync %.0f MB/s; budget 100000",
           median(&batch.cpu_us) / BATCH_EVENTS, median(&batch.ratio), median(&batch.reference_rate), median(&batch.reference_cpu_us), median(&synced));

    str request = request_event(&b->a, b->key);
    struct rates one = measure_rate(b, request, WAITING);
    report_rate("ingest_single", &one, "40000");
    f64 half = median(&one.rate) / 2;
    struct latencies l = measure_latency(b, request, half, true);
    report_latency("ingest_single_p99", &l, half, "10 ms");
}

static void bench_decide(struct bench *b)
{
    str request = request_decide(&b->a, b->key);
    struct rates r = measure_rate(b, request, CONNECTIONS);
    report_rate("decide", &r, "20000");
    f64 half = median(&r.rate) / 2;
    struct latencies l = measure_latency(b, request, half, false);
    report_latency("decide_p99", &l, half, "1 ms");

    request = request_decide_with_event(&b->a, b->key);
    r = measure_rate(b, request, WAITING);
    report_rate("decide_with_event", &r, "none");
    half = median(&r.rate) / 2;
    l = measure_latency(b, request, half, true);
    report_latency("decide_with_event_p99", &l, half, "10 ms");
}

static void bench_recommend(struct bench *b)
{
    str request = request_recommend(&b->a, b->key);
    struct rates r = measure_rate(b, request, CONNECTIONS);
    report_rate("recommend", &r, "30000");
    f64 half = median(&r.rate) / 2;
    struct latencies l = measure_latency(b, request, half, false);
    report_latency("recommend_p99", &l, half, "1 ms");
}

struct building { struct series p50_ms, p99_ms, reference_p99_ms, busy; };

/* Decisions are news, so models are built anew again and again while they are asked for; each round is counted by what the builder did in it.
 * Those in which it began or ended are left out. */
static void bench_build(struct bench *b)
{
    static const f64 builds = .25, rests = .05;         /* of a core: it has what all others leave */
    struct building beside = { 0 }, alone = { 0 };
    isize wanted = max_isize(b->size.rounds, 5), most = b->size.rounds > 1 ? 60 : 1;
    str request = request_decide(&b->a, b->key);
    f64 half = measure(b, request, b->server.port, b->server.worker, 0, CONNECTIONS).load.rate / 2;
    for (isize i = 0; i < most && (beside.busy.n < wanted || alone.busy.n < wanted); i++) {
        f64 before = builder_cpu_s(b->server.worker);
        struct measured ours = measure(b, request, b->server.port, b->server.worker, half, WAITING);
        f64 busy = (builder_cpu_s(b->server.worker) - before) / ours.load.seconds;
        struct building *of = busy >= builds ? &beside : busy <= rests ? &alone : NULL;
        if (!of || of->busy.n == wanted) continue;
        add(&of->busy, busy);
        add(&of->p50_ms, ours.load.p50_ms);
        add(&of->p99_ms, ours.load.p99_ms);
        add(&of->reference_p99_ms, measure(b, request, b->reference_port, b->reference, half, WAITING).load.p99_ms);
    }
    if (beside.busy.n == 0 || alone.busy.n == 0) {
        (void)printf("# decide_during_build: %lld rounds with a build and %lld without, which tells nothing\n", (long long)beside.busy.n, (long long)alone.busy.n);
        return;
    }
    report("decide_during_build_p99", &beside.p99_ms, "ms", "p99 at %.0f/s while models are built (%.0f%% of a core), p50 %.2f ms, epoll loop's p99 %.2f ms; while none is: "
           "%.3f ms (%.3f..%.3f of %lld), p50 %.2f ms, epoll loop's p99 %.2f ms", half, 100 * median(&beside.busy), median(&beside.p50_ms), median(&beside.reference_p99_ms),
           median(&alone.p99_ms), alone.p99_ms.at[0], alone.p99_ms.at[alone.p99_ms.n - 1], (long long)alone.p99_ms.n, median(&alone.p50_ms), median(&alone.reference_p99_ms));
}

/* A file of orders is sent and folded while shoppers go on. */
static void bench_import(struct bench *b)
{
    const char *path = arena_printf(&b->a, "%s/orders.csv", b->work).ptr;
    i64 lines = b->size.warm_events, began = clock_monotonic_us();
    FILE *f = fopen(path, "w");
    if (!f) give_up("%s cannot be written", path);
    (void)fputs("order_key,at,user_id,product_key,quantity,price\n", f);
    for (i64 i = 0; i < lines; i++)
        (void)fprintf(f, "imported-%lld,2026-%02lld-%02lldT12:00:00Z,u%08lld,p%06lld,1,%lld.90\n", (long long)i / 2, (long long)(1 + i % 9), (long long)(1 + i % 28),
                      (long long)(i / 2 % b->size.shop.people), (long long)(i * 7 % b->size.shop.items), (long long)(5 + i % 90));
    if (fclose(f)) give_up("%s cannot be written", path);
    str request = request_event(&b->a, b->key);
    f64 half = measure(b, request, b->server.port, b->server.worker, 0, WAITING).load.rate / 2;
    struct latencies alone = measure_latency(b, request, half, false);
    pid_t sender = fork();
    if (sender == 0) {
        execlp("curl", "curl", "-s", "-o", "/dev/null", "-H", arena_printf(&b->a, "Authorization: Bearer %.*s", STR_FMT(b->key)).ptr, "-H", "Expect:", "-T", path, "-X", "POST",
               arena_printf(&b->a, "http://127.0.0.1:%d/v1/import/orders", b->server.port).ptr, NULL);
        _exit(127);
    }
    end_later(sender);
    struct latencies beside = measure_latency(b, request, half, false);
    int status = 0;
    if (waitpid(sender, &status, 0) != sender || status) give_up("the orders could not be sent");
    report("import_p99", &beside.p99_ms, "ms", "p99 of single events at %.0f/s while %lld lines of orders come in; %.2f ms without; %.0f s in all", half, (long long)lines,
           median(&alone.p99_ms), (f64)(clock_monotonic_us() - began) / 1e6);
}

static i64 number_after(str text, const char *word)
{
    isize at = str_find(text, str_of(word));
    return at < 0 ? 0 : strtoll(text.ptr + at + strlen(word), NULL, 10);
}

static void bench_start(struct bench *b)
{
    struct series clean = { 0 }, killed = { 0 };
    struct series memory = { 0 }, bytes = { 0 };
    add(&memory, (resident_mb(b->server.worker) - b->empty_mb) * 1e6 / (f64)b->size.shop.people);
    str batch = request_batch(&b->a, b->key);
    for (isize i = 0; i < min_isize(b->size.rounds, 3); i++) {
        server_stop(&b->server);
        add(&clean, server_start(&b->server));
        (void)measure(b, batch, b->server.port, b->server.worker, 0, CONNECTIONS);              /* something to recover */
        server_kill(&b->server);
        add(&killed, server_start(&b->server));
    }
    server_stop(&b->server);
    str stat = run_program(&b->a, (const char *const[]){ b->server.program, "log", "stat", "--data", b->server.folder, NULL });
    add(&bytes, (f64)number_after(stat, "bytes") / (f64)max_i64(number_after(stat, "entries"), 1));
    (void)server_start(&b->server);
    report("start_clean", &clean, "ms", "until /readyz; budget 1000 for a million people");
    report("start_after_kill", &killed, "ms", "until /readyz, killed under load; budget 2000 for a million people");
    report("log_bytes_per_entry", &bytes, "bytes", "%lld entries", (long long)number_after(stat, "entries"));
    report("memory_per_person", &memory, "bytes", "resident, after all the benches before; %.0f MB without people", b->empty_mb);
}

static void bench_session(struct bench *b)
{
    const char *folder = arena_printf(&b->a, "%s/data/session-toy", b->shared).ptr;
    struct series p99 = { 0 };
    f64 p50 = 0;
    for (isize i = 0; i < min_isize(b->size.rounds, 3); i++) {
        str out = run_program(&b->a, (const char *const[]){ b->server.program, "evaluate", "session", "--train", arena_printf(&b->a, "%s/train.txt.gz", folder).ptr,
                                                            "--test", arena_printf(&b->a, "%s/test.txt.gz", folder).ptr, NULL });
        add(&p99, (f64)number_after(out, "p99"));
        p50 = (f64)number_after(out, "p50");
    }
    report("session_p99", &p99, "us", "one prediction of 20 items, p50 %.0f us", p50);
}

/* ---- main -------------------------------------------------------------------------------------------------- */

static const struct { const char *name; void (*run)(struct bench *b); bool shop; } benches[] = {
    { "ingest", bench_ingest, true }, { "decide", bench_decide, true }, { "recommend", bench_recommend, true }, { "build", bench_build, true }, { "import", bench_import, true }, { "start", bench_start, true }, { "session", bench_session, false },
};

static bool wanted(char **names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (str_eq(str_of(names[i]), str_of(name))) return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    struct bench b = { .size = full, .shared = getenv("OPMAAT_SHARED") };
    int at = 1;
    bool set = false;
    (void)signal(SIGPIPE, SIG_IGN);
    for (; at < argc && argv[at][0] == '-'; at++) {
        str option = str_of(argv[at]);
        if (str_eq(option, S("--tiny"))) b.size = tiny;
        else if (at + 1 == argc) give_up("%s needs a value", argv[at]);
        else if (str_eq(option, S("--opmaat"))) b.server.program = argv[++at];
        else if (str_eq(option, S("--work"))) b.work = argv[++at];
        else if (str_eq(option, S("--shared"))) b.shared = argv[++at];
        else if (str_eq(option, S("--people"))) b.size.warm_events = 10 * (b.size.shop.people = strtoll(argv[++at], NULL, 10));
        else if (str_eq(option, S("--rounds"))) b.size.rounds = min_i64(ROUNDS_MAX, max_i64(1, strtoll(argv[++at], NULL, 10)));
        else give_up("there is no option %s", argv[at]);
    }
    if (!b.server.program || !b.work) give_up("usage: bench --opmaat PROGRAM --work FOLDER [--shared FOLDER] [--tiny] [--people N] [--rounds N] [NAME…]");
    for (int i = at; i < argc; i++) {
        isize k = 0;
        while (k < countof(benches) && !str_eq(str_of(argv[i]), str_of(benches[k].name))) k++;
        if (k == countof(benches)) give_up("there is no bench %s", argv[i]);
    }
    b.server.folder = arena_printf(&b.a, "%s/data", b.work).ptr;
    for (isize i = 0; i < countof(benches); i++) {
        if (!wanted(argv + at, argc - at, benches[i].name)) continue;
        if (benches[i].shop && !set) set_up(&b);
        set |= benches[i].shop;
        benches[i].run(&b);
    }
    if (set) {
        server_stop(&b.server);
        (void)kill(b.reference, SIGKILL);
    }
    arena_fini(&b.a);
    return 0;
}
