/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.c - what this machine can do, before it is bought or filled: the real server on a scratch
 * folder, asked for a few seconds each.
 *
 * A server of this program is started on a folder made in --disk (the disk that is measured), with
 * a small shop in it: two thousand items, twenty segments, a campaign. One thread here asks it over
 * a few connections, the next question when the answer is there, so the two share the processors;
 * the server's own processor time a request is read from /proc and told beside the rate. The
 * budgets are the design's, for two cores and a million people: a small shop must do better, and
 * one that does not tells that the machine is slower than that. What a shop of its own size and
 * rules needs is measured by bench/ in the sources, which is built from them and not installed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "command/inside.h"

enum {
    ITEMS = 2000,
    SEGMENTS = 20,
    PEOPLE = 20000,
    BATCH = 40,
    CONNECTIONS_MAX = 64,
    ANSWER_MAX = 1 << 20,
    TIMES_MAX = 1 << 20,
    READY_TRIES = 500,
};

struct ask { const char *path; void (*body)(struct buf *out, u64 n); };

/* ---- questions ------------------------------------------------------------------------------- */

static void event(struct buf *out, u64 n)
{
    buf_printf(
        out,
        "{\"messageId\":\"b-%llu\",\"userId\":\"u-%llu\",\"type\":\"track\",\"event\":\"Product Viewed\",\"properties\":{\"product_id\":\"p-%llu\"}}",
        (unsigned long long)n, (unsigned long long)(n * 7919 % PEOPLE),
        (unsigned long long)(n * n % ITEMS));
}

static void one_event(struct buf *out, u64 n) { event(out, n + (1ULL << 40)); }

static void batch(struct buf *out, u64 n)
{
    buf_add(out, S("{\"batch\":["));
    for (u64 i = 0; i < BATCH; i++) {
        if (i) buf_byte(out, ',');
        event(out, n * BATCH + i);
    }
    buf_add(out, S("]}"));
}

static void ask_recommend(struct buf *out, u64 n)
{
    buf_printf(out,
               "{\"person\":{\"user_id\":\"u-%llu\"},\"placement\":\"home_recs\",\"limit\":10}",
               (unsigned long long)(n * 7919 % PEOPLE));
}

static void ask_decide(struct buf *out, u64 n)
{
    buf_printf(
        out,
        "{\"person\":{\"user_id\":\"u-%llu\"},\"placements\":[\"home_hero\",\"home_recs\",\"footer\"],\"limit\":10}",
        (unsigned long long)(n * 7919 % PEOPLE));
}

static void ask_search(struct buf *out, u64 n)
{
    static const char *const words[] = { "red jeans", "wool swter", "black boot", "linen",
                                         "summer dress size 4" };
    buf_printf(out, "{\"q\":\"%s\",\"facets\":[\"brand\",\"category\"],\"limit\":20}",
               words[n % countof(words)]);
}

static const struct measure {
    const char *name;
    struct ask ask;
    isize connections;
    i64 worth;
    const char *unit, *budget;
} measures[] = {
    { "events, batches of 40", { "/v1/batch", batch }, 8, BATCH, "events/s", "100,000" },
    { "events, one a request", { "/v1/track", one_event }, 64, 1, "requests/s", "40,000" },
    { "recommend, 10 items", { "/v1/recommend", ask_recommend }, 16, 1, "requests/s", "30,000" },
    { "decide, 3 placements", { "/v1/decide", ask_decide }, 16, 1, "requests/s", "20,000" },
    { "search, with facets", { "/v1/search", ask_search }, 8, 1, "requests/s", "p99 2 ms" },
};

/* ---- a load of one thread -------------------------------------------------------------------- */

struct line { int fd; i64 asked_us; isize got; char *answer; };
struct load {
    struct line lines[CONNECTIONS_MAX];
    isize n;
    str key;
    i32 port;
    u64 asked, answered, refused;
    struct {
        i32 *at;
        isize n, cap;
    } times;
};
struct result { f64 rate, p50_ms, p99_ms, cpu_us; u64 refused; };

static int dial(i32 port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((u16)port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0
        && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
        return fd;
    if (fd >= 0) (void)close(fd);
    return -1;
}

static bool send_one(struct load *load, struct line *line, const struct ask *ask, arena *a)
{
    struct buf body = { .arena = a }, out = { .arena = a };
    ask->body(&body, load->asked++);
    buf_printf(
        &out,
        "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\nContent-Length: %td\r\n\r\n",
        ask->path, STR_FMT(load->key), body.len);
    buf_add(&out, buf_str(&body));
    line->asked_us = clock_monotonic_us();
    line->got = 0;
    bool whole = send(line->fd, out.ptr, (size_t)out.len, MSG_NOSIGNAL) == out.len;
    arena_clear(a);
    return whole;
}

/* Whether an answer is whole: its head says how long its body is. */
static bool is_whole(const struct line *line)
{
    str text = { line->answer, line->got };
    isize head = str_find(text, S("\r\n\r\n")), at = str_find(text, S("Content-Length: "));
    i64 n = 0;
    if (head < 0 || at < 0) return false;
    str rest = str_from(text, at + 16);
    return str_to_i64(str_slice(rest, 0, str_find_char(rest, '\r')), &n) && line->got >= head + 4 + n;
}

static bool take(struct load *load, struct line *line, const struct ask *ask, arena *a, bool more)
{
    isize n = recv(line->fd, line->answer + line->got, (size_t)(ANSWER_MAX - line->got), 0);
    if (n <= 0) return false;
    line->got += n;
    if (!is_whole(line)) return line->got < ANSWER_MAX;
    load->answered++;
    load->refused += !str_starts((str){ line->answer, line->got }, S("HTTP/1.1 200"));
    if (load->times.n < TIMES_MAX)
        vec_push(&load->times, (i32)min_i64(clock_monotonic_us() - line->asked_us, INT32_MAX));
    line->asked_us = 0;
    return !more || send_one(load, line, ask, a);
}

static int by_time(const void *x, const void *y)
{
    return (*(const i32 *)x > *(const i32 *)y) - (*(const i32 *)x < *(const i32 *)y);
}

static f64 quantile_ms(const struct load *load, f64 q)
{
    return load->times.n ? load->times.at[(isize)(q * (f64)(load->times.n - 1))] / 1e3 : 0;
}

/* User and system time of a process so far, microseconds. */
static i64 cpu_us(pid_t pid)
{
    char path[64];
    bool found;
    arena a = { 0 };
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    str text = read_file(&a, path, &found);
    isize at = str_find(text, S(") "));
    str rest = at < 0 ? S("") : str_from(text, at + 2);
    i64 ticks[2] = { 0 };
    for (int i = 0; i < 13 && rest.len; i++) {          /* fields 14 and 15, after the name in brackets */
        struct str_cut cut = str_cut(rest, ' ');
        if (i >= 11) (void)str_to_i64(cut.head, &ticks[i - 11]);
        rest = cut.tail;
    }
    arena_fini(&a);
    return (ticks[0] + ticks[1]) * (1000000 / sysconf(_SC_CLK_TCK));
}

static bool run(struct load *load, const struct measure *m, pid_t worker, i64 lasts_us, struct result *out)
{
    arena a = { 0 };
    struct pollfd fds[CONNECTIONS_MAX];
    bool ok = true;
    load->answered = load->refused = 0;
    load->times.n = 0;
    i64 began_us = clock_monotonic_us(), cpu_began = cpu_us(worker), waiting = 0;
    for (load->n = 0; ok && load->n < m->connections; load->n++) {
        struct line *line = &load->lines[load->n];
        line->fd = dial(load->port);
        if (!line->answer) line->answer = mem_new(ANSWER_MAX);
        ok = line->fd >= 0 && send_one(load, line, &m->ask, &a);
        fds[load->n] = (struct pollfd){ line->fd, POLLIN, 0 };
    }
    for (bool more = true; ok && (more || waiting > 0);) {
        more = clock_monotonic_us() - began_us < lasts_us;
        ok = poll(fds, (nfds_t)load->n, 1000) >= 0;
        waiting = 0;
        for (isize i = 0; ok && i < load->n; i++) {
            if (fds[i].revents) ok = take(load, &load->lines[i], &m->ask, &a, more);
            waiting += load->lines[i].asked_us != 0;
        }
    }
    i64 took_us = clock_monotonic_us() - began_us;
    for (isize i = 0; i < load->n; i++) (void)close(load->lines[i].fd);
    arena_fini(&a);
    if (load->times.n) qsort(load->times.at, (size_t)load->times.n, sizeof *load->times.at, by_time);
    *out =
        (struct result){ (f64)load->answered * (f64)m->worth * 1e6 / (f64)took_us,
                         quantile_ms(load, .5), quantile_ms(load, .99),
                         (f64)(cpu_us(worker) - cpu_began) / (f64)max_i64((i64)load->answered, 1),
                         load->refused };
    return ok;
}

/* Appends of 4 KB that are made durable one by one, a second long: what a group commit costs here. */
static f64 syncs_per_second(arena *a, str folder)
{
    str path = arena_printf(a, "%.*s/sync", STR_FMT(folder));
    int fd = open(path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    static const char block[4096];
    i64 began_us = clock_monotonic_us();
    isize n = 0;
    while (fd >= 0 && clock_monotonic_us() - began_us < 1000000
           && write(fd, block, sizeof block) == (isize)sizeof block && fdatasync(fd) == 0)
        n++;
    f64 rate = (f64)n * 1e6 / (f64)(clock_monotonic_us() - began_us);
    if (fd >= 0) (void)close(fd);
    (void)unlink(path.ptr);
    return rate;
}

/* ---- the shop and its server ----------------------------------------------------------------- */

static str products(arena *a)
{
    static const char *const words[][5] = { { "red", "black", "blue", "white", "green" },
                                            { "wool", "linen", "cotton", "denim", "silk" },
                                            { "sweater", "jeans", "boot", "dress", "shirt" } };
    struct buf out = { .arena = a };
    buf_add(&out, S("id,title,brand,category,price,availability\n"));
    for (u64 i = 0; i < ITEMS; i++)
        buf_printf(&out, "p-%llu,%s %s %s %llu,Brand %llu,Clothes > %s,%llu.00 EUR,in stock\n",
                   (unsigned long long)i, words[0][i % 5], words[1][i / 5 % 5],
                   words[2][i / 25 % 5], (unsigned long long)i, (unsigned long long)(i % 20),
                   words[2][i / 25 % 5], (unsigned long long)(10 + i % 90));
    return buf_str(&out);
}

static bool found_shop(struct server *s, str *key)
{
    arena *a = s->args->a;
    struct answer answer;
    bool ok =
        server_publish(
            s, S("source"), S("bench"),
            S("{\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\",\"model_training\":\"contract\"}}"))
        && server_publish(
            s, S("strategy"), S("for_you"),
            S("{\"mix\":[\"session\",\"cooc\",\"ease\",\"trending\"],\"fallback\":[\"bestsellers\"]}"))
        && server_publish(
            s, S("placement"), S("home_hero"),
            S("{\"channel\":\"web\",\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":{\"en\":\"Hello\"}}}"))
        && server_publish(
            s, S("placement"), S("footer"),
            S("{\"channel\":\"web\",\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":{\"en\":\"Bye\"}}}"))
        && server_publish(s, S("placement"), S("home_recs"),
                          S("{\"channel\":\"web\",\"strategy\":\"for_you\"}"));
    for (i64 i = 0; ok && i < SEGMENTS; i++)
        ok = server_publish(
            s, S("segment"), arena_printf(a, "s%02lld", (long long)i),
            arena_printf(a, "{\"rule\":\"count(product_viewed, last %lld days) >= %lld\"}",
                         (long long)(i + 1), (long long)(i % 5 + 2)));
    ok =
        ok
        && server_publish(
            s, S("campaign"), S("spring"),
            S("{\"placement\":\"home_hero\",\"owner\":\"bench\",\"goal\":\"measure this machine\",\"metric\":\"order_rate\",\"experiences\":[{\"key\":\"all\",\"target\":\"in segment \\\"s03\\\"\","
              "\"choose\":\"experiment\",\"variations\":[{\"key\":\"a\",\"share\":\"50%\",\"content\":{\"headline\":{\"en\":\"A\"}}},"
              "{\"key\":\"b\",\"share\":\"50%\",\"content\":{\"headline\":{\"en\":\"B\"}}}]}]}"));
    ok = ok && server_post(s, S("/v1/import/products?source=bench"), products(a), &answer);
    str job = ok ? json_get_str(answer.json, "job") : S("");
    for (bool done = false; ok && !done;) {
        ok = server_get(s, arena_printf(a, "/v1/jobs/%.*s", STR_FMT(job)), &answer);
        done = ok && !str_eq(json_get_str(answer.json, "state"), S("running"))
               && !str_eq(json_get_str(answer.json, "state"), S("waiting"));
        if (!done) (void)usleep(20000);
    }
    ok = ok && server_post(s, S("/v1/keys"), S("{\"kind\":\"secret\",\"source\":\"bench\"}"), &answer);
    *key = ok ? json_get_str(answer.json, "key") : S("");
    return ok;
}

static i32 free_port(void)
{
    struct diag diag = { 0 };
    int fd;
    if (http_listen(S("127.0.0.1"), 0, &fd, &diag)) return 0;
    i32 port = http_port(fd);
    (void)close(fd);
    return port;
}

static pid_t start_server(struct args *args, str folder, i32 port)
{
    char *argv[] = { (char *)(uintptr_t) "opmaat",
                     (char *)(uintptr_t) "serve",
                     (char *)(uintptr_t)arena_printf(args->a, "--data=%.*s", STR_FMT(folder)).ptr,
                     (char *)(uintptr_t)arena_printf(args->a, "--listen=127.0.0.1:%d", port).ptr,
                     (char *)(uintptr_t) "--train_ms=1000",
                     NULL };
    pid_t pid = fork();
    if (pid != 0) return pid;
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) { (void)dup2(null, STDOUT_FILENO); (void)dup2(null, STDERR_FILENO); }
    execv("/proc/self/exe", argv);
    _exit(127);
}

/* The worker behind the process that holds the port. */
static pid_t worker_of(struct args *args, pid_t pid)
{
    bool found;
    i64 child = 0;
    str text = read_file(args->a,
                         arena_printf(args->a, "/proc/%d/task/%d/children", (int)pid, (int)pid).ptr,
                         &found);
    return str_to_i64(str_cut(str_trim(text), ' ').head, &child) ? (pid_t)child : pid;
}

static bool wait_ready(struct args *args, i32 port)
{
    struct diag diag = { .arena = args->a };
    struct http_fetched got;
    for (int i = 0; i < READY_TRIES; i++) {
        struct http_fetch ask = { .method = METHOD_GET,
                                  .url = arena_printf(args->a, "http://127.0.0.1:%d/readyz", port),
                                  .bytes_max = 1 << 16,
                                  .timeout_ms = 1000 };
        if (http_fetch(&ask, args->a, &got, &diag) == ERR_OK && got.status == 200) return true;
        (void)usleep(20000);
    }
    return command_fail(false, "the server did not start");
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_json(const struct result *results, f64 syncs, i64 seconds)
{
    struct buf out = { 0 };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_int(&w, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    jsonw_key_int(&w, "seconds", seconds);
    jsonw_key_num(&w, "syncs_per_second", syncs);
    jsonw_key_begin(&w, "measures", '[');
    for (isize i = 0; i < countof(measures); i++) {
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "name", str_of(measures[i].name));
        jsonw_key_num(&w, "rate", results[i].rate);
        jsonw_key_str(&w, "unit", str_of(measures[i].unit));
        jsonw_key_num(&w, "p50_ms", results[i].p50_ms);
        jsonw_key_num(&w, "p99_ms", results[i].p99_ms);
        jsonw_key_num(&w, "server_cpu_us", results[i].cpu_us);
        jsonw_key_int(&w, "refused", (i64)results[i].refused);
        jsonw_key_str(&w, "budget", str_of(measures[i].budget));
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    buf_fini(&out);
}

static void print_table(const struct result *results, f64 syncs, i64 seconds)
{
    (void)printf(
        "%ld cores; the disk makes %.0f appends a second durable, one by one; %lld s each\n\n%-24s %12s %-11s %9s %9s %14s   %s\n",
        sysconf(_SC_NPROCESSORS_ONLN), syncs, (long long)seconds, "", "rate", "", "p50 ms",
        "p99 ms", "server us each", "budget");
    for (isize i = 0; i < countof(measures); i++) {
        (void)printf("%-24s %12.0f %-11s %9.2f %9.2f %14.1f   %s\n", measures[i].name,
                     results[i].rate, measures[i].unit, results[i].p50_ms, results[i].p99_ms,
                     results[i].cpu_us, measures[i].budget);
        if (results[i].refused)
            (void)printf("%24s %llu were refused\n", "", (unsigned long long)results[i].refused);
    }
    (void)puts(
        "\nThe load is made on the same machine and takes its share; \"server us each\" is the server's own processor time a request.\n"
        "Budgets are for two cores and a shop of a million people, this one has 20,000 and 2,000 items.");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool measure_all(struct args *args, str folder, str key, i64 seconds, struct result *results)
{
    struct load load = { .key = key, .port = free_port() };
    pid_t pid = start_server(args, folder, load.port);
    bool ok = pid > 0 && wait_ready(args, load.port);
    pid_t worker = ok ? worker_of(args, pid) : 0;
    for (isize i = 0; ok && i < countof(measures); i++) {
        if (i == 2) (void)usleep(2500000);              /* a model of what came in is made meanwhile */
        if (isatty(STDERR_FILENO)) (void)fprintf(stderr, "\r%-40s", measures[i].name);
        ok = run(&load, &measures[i], worker, seconds * 1000000, &results[i])
             || command_fail(false, "%s: the connection broke", measures[i].name);
    }
    if (isatty(STDERR_FILENO)) (void)fprintf(stderr, "\r%-40s\r", "");
    if (pid > 0) {
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
    }
    for (isize i = 0; i < countof(load.lines); i++) mem_free(load.lines[i].answer);
    vec_fini(&load.times);
    return ok;
}

int command_bench(struct args *args)
{
    struct server server;
    struct result results[countof(measures)] = { 0 };
    str at = option(args, "disk", "."), key = S("");
    i64 seconds = 3;
    if (args->words_n
        || (option(args, "seconds", "").len
            && (!str_to_i64(option(args, "seconds", ""), &seconds) || seconds < 1 || seconds > 60)))
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    char *folder = (char *)(uintptr_t)arena_printf(args->a, "%.*s/opmaat-bench-XXXXXX", STR_FMT(at)).ptr;
    if (!mkdtemp(folder))
        return command_fail(FAILED, "no folder can be made in %.*s: %s", STR_FMT(at),
                            strerror(errno));
    args->options[args->options_n].name = S("data");
    args->options[args->options_n++].value = str_of(folder);
    f64 syncs = syncs_per_second(args->a, str_of(folder));
    bool ok = server_reach(args, &server, REACH_MAKES);
    if (ok) {
        ok = found_shop(&server, &key);
        server_leave(&server);
    }
    ok = ok && measure_all(args, str_of(folder), key, seconds, results);
    backup_remove(args, str_of(folder));
    if (!ok) return FAILED;
    if (flag(args, "json")) print_json(results, syncs, seconds);
    else print_table(results, syncs, seconds);
    return DONE;
}
