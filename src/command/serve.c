/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c - the server as two processes: one holds the socket, one works.
 *
 * The parent opens the listening sockets, the port and DATA/control for commands, and does nothing
 * but start a worker behind them, again whenever one ends that was not told to. While none runs,
 * connections wait in the sockets' queues: neither a kill -9 nor an upgrade refuses one. It also
 * holds DATA/serving, which tells commands to ask the server and not to take the folder. SIGHUP
 * ends the worker in good order and starts the next from the file on disk, which may be a newer
 * program; SIGTERM ends both.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/logline.h"
#include "command/inside.h"
#include "console/console.h"

enum { DRAIN_MS = 5000, CRASHES_IN_A_MINUTE_MAX = 30 };
#define LISTEN_ENV "_OPMAAT_LISTEN_FD"
#define CONTROL_ENV "_OPMAAT_CONTROL_FD"
#define MARKER_ENV "_OPMAAT_MARKER_FD"
#define SKIP_ENV "_OPMAAT_SKIP"

/* ---- the parent ------------------------------------------------------------------------------ */

static bool listen_address(struct args *args, str *host, i32 *port)
{
    str text = option(args, "listen", "127.0.0.1:8080");
    isize colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') colon--;
    i64 n;
    if (colon == 0 || !str_to_i64(str_from(text, colon), &n) || n < 0 || n > 65535) return false;
    *host = str_slice(text, 0, colon - 1);
    if (str_starts(*host, S("["))) *host = str_slice(*host, 1, host->len - 1);
    *port = (i32)n;
    return true;
}

/* What the worker was folding, in memory that it shares with us. */
struct marker { int fd; _Atomic u64 *at; u64 died_of, skip; };

static _Atomic u64 *marker_map(int fd)
{
    void *at = mmap(NULL, sizeof(u64), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void marker_open(struct marker *marker)
{
    *marker = (struct marker){ .fd = memfd_create("opmaat-marker", 0) };
    if (marker->fd >= 0 && ftruncate(marker->fd, sizeof(u64)) == 0) marker->at = marker_map(marker->fd);
}

/* The same entry twice, by a fault of its own: a kill says nothing of what was folded. */
static void marker_read(struct marker *marker, int signal_number)
{
    static const int faults[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    u64 ref = marker->at ? atomic_exchange(marker->at, 0) : 0;
    bool fault = false;
    for (isize i = 0; i < countof(faults); i++) fault |= faults[i] == signal_number;
    if (!fault || ref == 0) return;
    marker->skip = ref == marker->died_of ? ref : 0;
    marker->died_of = ref;
    log_error("worker.died_of ref=%llu%s", (unsigned long long)ref,
              marker->skip ? " again: it will be skipped" : "");
}

void watch(struct fold_options *options)
{
    const char *fd = getenv(MARKER_ENV), *skip = getenv(SKIP_ENV);
    i64 number;
    if (fd && str_to_i64(str_of(fd), &number)) options->marker = marker_map((int)number);
    if (skip && str_to_i64(str_of(skip), &number)) options->skip = (u64)number;
}

static void tell(const char *name, i64 number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    (void)setenv(name, text, 1);
}

/* What every worker is given: the port's socket and the folder's, on which whoever connects between
 * two of them waits for the next. */
struct given { int listen_fd, control_fd; struct marker marker; };

static void give(const char *name, int fd)
{
    tell(name, fd);
    (void)fcntl(fd, F_SETFD, 0);
}

static pid_t start_worker(struct args *args, const struct given *given)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) return pid;
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* a worker without its parent would keep the folder locked */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    give(LISTEN_ENV, given->listen_fd);
    if (given->control_fd >= 0) give(CONTROL_ENV, given->control_fd);
    if (given->marker.at) tell(MARKER_ENV, given->marker.fd);
    if (given->marker.skip) tell(SKIP_ENV, (i64)given->marker.skip);
    execv("/proc/self/exe", args->raw);
    execvp(args->program, args->raw);
    _exit(127);
}

static int hold(struct args *args, struct given *given)
{
    sigset_t watched;
    sigemptyset(&watched);
    const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
    for (isize i = 0; i < countof(signals); i++) sigaddset(&watched, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &watched, NULL);
    int sfd = signalfd(-1, &watched, SFD_CLOEXEC);
    if (sfd < 0) return command_fail(FAILED, "signals cannot be watched");
    marker_open(&given->marker);
    pid_t worker = start_worker(args, given);
    bool stopping = false, restarting = false;
    i64 crashes[CRASHES_IN_A_MINUTE_MAX] = { 0 };
    isize crashed = 0;
    for (;;) {
        struct signalfd_siginfo info;
        if (read(sfd, &info, sizeof info) != sizeof info) continue;
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            stopping = true;
            (void)kill(worker, SIGTERM);
        } else if (info.ssi_signo == SIGHUP) {
            restarting = true;
            (void)kill(worker, SIGTERM);
        }
        int status;
        if (waitpid(worker, &status, WNOHANG) != worker) continue;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
        if (stopping) return code;
        /* it said why: starting again would say it again */
        if (WIFEXITED(status) && !restarting) return code;
        if (!restarting) {
            i64 now = clock_monotonic_us();
            log_error("worker.died signal=%d", WTERMSIG(status));
            marker_read(&given->marker, WTERMSIG(status));
            i64 *slot = &crashes[crashed++ % CRASHES_IN_A_MINUTE_MAX];
            if (*slot && now - *slot < 60000000)
                return command_fail(FAILED, "the worker died %d times in a minute",
                                    CRASHES_IN_A_MINUTE_MAX);
            *slot = now;
        }
        restarting = false;
        worker = start_worker(args, given);
        if (worker < 0) return command_fail(FAILED, "no worker could be started");
    }
}

bool is_worker(void) { return getenv(LISTEN_ENV) != NULL; }

/* DATA/serving is locked for as long as this process lives, so that no command takes the folder
 * while one worker has ended and the next has not begun. When somebody else has it, the worker will
 * say so. */
static bool hold_folder(struct args *args, str path)
{
    int fd = folder_make(arena_z(args->a, path))
                 ? open(arena_printf(args->a, "%.*s/serving", STR_FMT(path)).ptr,
                        O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                 : -1;
    for (int i = 0; fd >= 0 && i < 50; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        (void)usleep(20000);                            /* a command looks at it for a moment */
    }
    return false;
}

int supervise(struct args *args)
{
    if (is_worker()) return -1;
    struct diag diag = { .arena = args->a };
    str host;
    i32 port;
    struct given given = { .control_fd = -1 };
    str path = option(args, "data", "data");
    if (!listen_address(args, &host, &port))
        return command_fail(USAGE, "--listen takes ADDRESS:PORT, such as 127.0.0.1:8080");
    if (http_listen(host, port, &given.listen_fd, &diag))
        return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (!hold_folder(args, path)) return hold(args, &given);
    if (control_open(args->a, path, &given.control_fd, &diag))
        return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    int code = hold(args, &given);
    control_remove(args->a, path);
    return code;
}

/* ---- the worker ------------------------------------------------------------------------------ */

static bool console_file(struct http_request *req)
{
    struct console_asset asset;
    if (req->method != METHOD_GET && req->method != METHOD_HEAD) return false;
    if (!console_asset(req->path, &asset)) return false;
    bool packed = asset.gzip.len > 0 && str_find(http_header(req, S("accept-encoding")), S("gzip")) >= 0;
    bool page = str_eq(req->path, S("/"));
    bool fresh = str_eq(http_header(req, S("if-none-match")), asset.etag);
    struct http_header extra[] = {
        { S("ETag"), asset.etag }, { S("Cache-Control"), asset.cache_control }, { S("X-Content-Type-Options"), S("nosniff") },
        { S("Access-Control-Allow-Origin"), S("*") }, { S("Vary"), S("Accept-Encoding") },
        { packed && !fresh ? S("Content-Encoding") : S("X-Robots-Tag"), packed && !fresh ? S("gzip") : S("noindex") },
        { page ? S("Content-Security-Policy") : S("Referrer-Policy"), page ? S(CONSOLE_CSP) : S("same-origin") },
    };
    http_reply(req, fresh ? 304 : 200, asset.content_type,
               fresh    ? S("")
               : packed ? asset.gzip
                        : asset.bytes,
               extra, countof(extra));
    return true;
}

static bool other(void *ctx, struct http_request *req)
{
    const struct serving *serving = ctx;
    if (serving->other && serving->other(serving->ctx, req)) return true;
    return console_file(req);
}

static void wait_for_the_word(void)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    int signal_number;
    (void)sigwait(&watched, &signal_number);
    log_note("serve.stopping signal=%d", signal_number);
}

/* ---- what leaves for other systems ----------------------------------------------------------- */

struct viewing { struct live *live; void (*run)(void *arg, const struct deliver_view *view); void *arg; };

static void run_view(void *ctx, struct fold *fold)
{
    struct viewing *v = ctx;
    (void)fold;
    struct deliver_view view = { atomic_load(&v->live->book), v->live->identity, v->live->people,
                                 clock_now(clock_system()) };
    v->run(v->arg, &view);
}

static bool ask_state(void *ctx, void (*run)(void *arg, const struct deliver_view *view), void *arg)
{
    struct viewing v = { fold_live(ctx), run, arg };
    fold_ask_wait(ctx, run_view, &v);
    return true;
}

static enum err start_delivering(const struct serving *serving, struct deliver **out, struct diag *diag)
{
    const struct folder *folder = serving->folder;
    struct deliver_options options = {
        .clock = clock_system(), .store_path = folder->options.store_path,
        .path = folder->options.deliver_path,
        .book = &fold_live(folder->fold)->book, .ask = ask_state, .ctx = folder->fold,
    };
    enum err err = deliver_open(&options, out, diag);
    if (!err) deliver_start(*out);
    return err;
}

/* A socket that we were given; -1: there is none. */
static int taken(const char *name)
{
    const char *number = getenv(name);
    i64 fd;
    if (!number || !str_to_i64(str_of(number), &fd)) return -1;
    (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

int serve_until_stopped(const struct serving *serving)
{
    struct args *args = serving->args;
    struct diag diag = { .arena = args->a };
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    /* before any thread: all inherit it, sigwait takes them */
    (void)sigprocmask(SIG_BLOCK, &watched, NULL);
    int fd = taken(LISTEN_ENV), control_fd = taken(CONTROL_ENV);
    if (fd < 0 || control_fd < 0) return command_fail(FAILED, "there is no socket to listen on");
    fold_start(serving->folder->fold);
    struct deliver *deliver = NULL;
    if (start_delivering(serving, &deliver, &diag)) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    struct api_options api_options = { .config = &args->config,
                                       .clock = clock_system(),
                                       .fold = serving->folder->fold,
                                       .deliver = deliver,
                                       .other = other,
                                       .ctx = (void *)(uintptr_t)serving };
    struct api *api = api_new(&api_options);
    struct http_options http = http_options(&args->config);
    http.listen_fd = fd;
    http.ctx = api;
    http.handle = api_handle;
    struct http_server *server;
    if (http_server_start(&http, &server, &diag)) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    struct http_server *control;
    if (!control_serve(&args->config, control_fd, api, &control, &diag))
        return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    api_server(api, server);
    api_ready(api, true);
    log_note("serve.listening port=%d data=%.*s", http_port(fd), STR_FMT(serving->folder->path));
    if (serving->started) serving->started(serving->ctx, api);
    wait_for_the_word();
    api_ready(api, false);
    if (serving->stopping) serving->stopping(serving->ctx);
    http_server_stop(control, DRAIN_MS);
    http_server_stop(server, DRAIN_MS);
    api_stop(api);
    deliver_stop(deliver);                              /* while the fold still answers it */
    fold_stop(serving->folder->fold);
    api_free(api);
    deliver_close(deliver);
    http_server_free(server);
    http_server_free(control);
    return DONE;
}

int command_serve(struct args *args)
{
    int code = supervise(args);
    if (code >= 0) return code;
    struct folder folder;
    if (!folder_open(args, &folder)) return FAILED;
    code = serve_until_stopped(&(struct serving){ .args = args, .folder = &folder });
    folder_close(&folder);
    return code;
}
