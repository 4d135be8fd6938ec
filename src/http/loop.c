/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.c - the server: one thread and one libuv loop a core.
 *
 * All loops poll duplicates of one listening socket and accept for themselves. Whoever wakes first would
 * then own most connections, so an accepted one is given to the loop with the fewest, when that
 * one has at least two fewer. Deadlines are coarse: one timer a loop looks at the heads of a few lists, and
 * each list has one duration, so nothing is sorted.
 *
 * Other threads reach a loop by its posts only. Stopping is a post, too: no more accepting, idle
 * connections and streams are closed, requests are waited for; once the last connection is gone the
 * loop closes its posts and ends.
 */
#include "http/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"

enum {
    BACKLOG = 4096, ACCEPTS_A_WAKE = 32, LINGER_MS = 1000, LOOPS_MAX = 64,
    SPARE_BLOCK_BYTES = 8 << 20, TICK_MS_LEAST = 10, TICK_MS_MOST = 250, IDLE_STOP_MS = 200,
};

struct http_server {
    struct http_options options;
    isize loops_n;
    bool stopped;
    i64 stop_wait_ms;
    struct http_loop loops[];
};

/* ---- blocks -------------------------------------------------------------------------------- */
struct block *block_take(struct http_loop *loop, isize bytes)
{
    i32 size = 0;
    while (((isize)BLOCK_BYTES << size) < bytes) size++;
    assert(size < BLOCK_SIZES);
    isize cap = (isize)BLOCK_BYTES << size;
    if (loop->block_bytes + cap > loop->block_bytes_max) return NULL;
    loop->block_bytes += cap;

    struct block *block = loop->spare_blocks[size];
    if (block) {
        loop->spare_blocks[size] = block->next;
        loop->spare_bytes -= cap;
        return block;
    }
    block = mem_grow(NULL, (isize)sizeof *block + cap);         /* not zeroed: it is only read as written */
    block->cap = cap;
    block->size = size;
    return block;
}

void block_give(struct http_loop *loop, struct block *block)
{
    if (!block) return;
    loop->block_bytes -= block->cap;
    assert(loop->block_bytes >= 0);
    if (loop->spare_bytes + block->cap > SPARE_BLOCK_BYTES) {
        mem_free(block);
        return;
    }
    loop->spare_bytes += block->cap;
    block->next = loop->spare_blocks[block->size];
    loop->spare_blocks[block->size] = block;
}

static void blocks_free(struct http_loop *loop)
{
    for (isize i = 0; i < BLOCK_SIZES; i++) {
        while (loop->spare_blocks[i]) {
            struct block *next = loop->spare_blocks[i]->next;
            mem_free(loop->spare_blocks[i]);
            loop->spare_blocks[i] = next;
        }
    }
}

/* ---- deadlines ----------------------------------------------------------------------------- */
static i64 duration_of(const struct http_loop *loop, enum waiting waiting)
{
    switch (waiting) {
    case WAIT_IDLE: return loop->options->idle_ms;
    case WAIT_REQUEST: return loop->options->request_ms;
    case WAIT_TAKEN: return loop->options->request_ms;
    case WAIT_LINGER: return LINGER_MS;
    case WAIT_NOTHING:
    case WAITS_N: break;
    }
    assert(false);
}

void loop_wait(struct conn *c, enum waiting waiting)
{
    struct http_loop *loop = c->loop;
    if (c->waiting != WAIT_NOTHING) {
        if (c->wait_prev) c->wait_prev->wait_next = c->wait_next;
        else loop->waits[c->waiting].first = c->wait_next;
        if (c->wait_next) c->wait_next->wait_prev = c->wait_prev;
        else loop->waits[c->waiting].last = c->wait_prev;
    }
    c->waiting = waiting;
    if (waiting == WAIT_NOTHING) return;
    c->deadline = (i64)uv_now(&loop->uv) + duration_of(loop, waiting);
    c->wait_next = NULL;
    c->wait_prev = loop->waits[waiting].last;
    if (c->wait_prev) c->wait_prev->wait_next = c;
    else loop->waits[waiting].first = c;
    loop->waits[waiting].last = c;
}

/* IMF-fixdate, RFC 9110 5.6.7. */
static void set_date(struct http_loop *loop)
{
    static const char days[] = "MonTueWedThuFriSatSun", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil t = time_civil(clock_now(loop->options->clock), 0);
    int n = snprintf(loop->date, sizeof loop->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                     days + 3 * (t.weekday - 1), t.day, months + 3 * (t.month - 1), t.year, t.hour,
                     t.minute, t.second);
    loop->date_len = min_isize(n, (isize)sizeof loop->date - 1);
}

/* ---- posts --------------------------------------------------------------------------------- */
bool http_post(struct http_loop *loop, void (*run)(void *arg), void *arg)
{
    pthread_mutex_lock(&loop->lock);
    bool open = !loop->closed;
    if (open) {
        vec_push(&loop->posts, (struct post){ run, arg });
        if (loop->posts.n == 1) (void)uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&loop->lock);
    return open;
}

static void run_posts(struct http_loop *loop)
{
    assert(loop->running.n == 0);
    pthread_mutex_lock(&loop->lock);
    struct post *at = loop->running.at;
    isize cap = loop->running.cap;
    loop->running.at = loop->posts.at;
    loop->running.n = loop->posts.n;
    loop->running.cap = loop->posts.cap;
    loop->posts.at = at;
    loop->posts.n = 0;
    loop->posts.cap = cap;
    pthread_mutex_unlock(&loop->lock);
    for (isize i = 0; i < loop->running.n; i++) loop->running.at[i].run(loop->running.at[i].arg);
    loop->running.n = 0;
}

static void on_wake(uv_async_t *wake) { run_posts(wake->data); }

/* ---- accepting ----------------------------------------------------------------------------- */
struct newcomer { struct http_loop *loop; int fd; char peer[PEER_BYTES]; };

static u64 connections_open(const struct http_loop *loop)
{
    return atomic_load_explicit(&loop->counters.connections_open, memory_order_relaxed);
}

static struct http_loop *least_loaded(struct http_loop *self)
{
    struct http_loop *best = self;
    for (isize i = 0; i < self->server->loops_n; i++) {
        struct http_loop *other = &self->server->loops[i];
        if (connections_open(other) + 1 < connections_open(best)) best = other;
    }
    return best;
}

static void receive(void *arg)
{
    struct newcomer *new = arg;
    /* also when stopping: it was accepted, so it is answered */
    conn_start(new->loop, new->fd, new->peer);
    mem_free(new);
}

static void peer_name(const struct sockaddr_storage *address, char *out)
{
    const void *ip = NULL;
    if (address->ss_family == AF_INET) {
        ip = &((const struct sockaddr_in *)address)->sin_addr;
    } else if (address->ss_family == AF_INET6) {
        ip = &((const struct sockaddr_in6 *)address)->sin6_addr;
    }
    out[0] = '\0';
    if (!ip || !inet_ntop(address->ss_family, ip, out, PEER_BYTES)) return;
    str mapped = S("::ffff:");                          /* IPv4 on an IPv6 socket */
    str name = str_of(out);
    if (str_starts(name, mapped) && str_find_char(name, '.') >= 0) {
        memmove(out, out + mapped.len, (size_t)(name.len - mapped.len) + 1);
    }
}

/* Of a socket that is a file; the file's mode has kept others out already, where the system heeds it. */
static bool is_owner(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void welcome(struct http_loop *self, int fd, const struct sockaddr_storage *address)
{
    u64 open = 0;
    if (address->ss_family == AF_UNIX && !is_owner(fd)) {
        (void)close(fd);
        return;
    }
    for (isize i = 0; i < self->server->loops_n; i++) open += connections_open(&self->server->loops[i]);
    if (open >= (u64)self->options->connections_max) {
        count(&self->counters.connections_refused, 1);
        (void)close(fd);
        return;
    }
    count(&self->counters.connections, 1);
    struct http_loop *loop = least_loaded(self);
    atomic_fetch_add_explicit(&loop->counters.connections_open, 1, memory_order_relaxed);
    char peer[PEER_BYTES];
    peer_name(address, peer);
    if (loop == self) {
        conn_start(loop, fd, peer);
        return;
    }
    struct newcomer *new = mem_new((isize)sizeof *new);
    *new = (struct newcomer){ .loop = loop, .fd = fd };
    memcpy(new->peer, peer, sizeof peer);
    if (!http_post(loop, receive, new)) {               /* it has just stopped */
        atomic_fetch_sub_explicit(&loop->counters.connections_open, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&self->counters.connections_open, 1, memory_order_relaxed);
        mem_free(new);
        conn_start(self, fd, peer);
    }
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct http_loop *loop = poll->data;
    for (int i = 0; status == 0 && i < ACCEPTS_A_WAKE; i++) {
        struct sockaddr_storage address = { 0 };
        socklen_t len = sizeof address;
        int fd = accept4(loop->listen_fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(loop, fd, &address);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) {                          /* out of descriptors: try again at the next tick */
            log_error("http.accept failed=%s", uv_err_name(-errno));
            loop->accept_paused = true;
            (void)uv_poll_stop(poll);
        }
        return;
    }
}

static void accept_on(struct http_loop *loop)
{
    loop->accept_paused = false;
    int failed = uv_poll_start(&loop->listener, UV_READABLE, on_connections);
    assert(!failed);
}

/* ---- ticking and stopping ------------------------------------------------------------------ */
static void end_if_empty(struct http_loop *loop)
{
    if (!loop->stopping || loop->conns || connections_open(loop) > 0 || loop->closed) return;
    pthread_mutex_lock(&loop->lock);
    loop->closed = true;
    pthread_mutex_unlock(&loop->lock);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    uv_close((uv_handle_t *)&loop->before_wait, NULL);
}

void loop_conn_freed(struct http_loop *loop)
{
    atomic_fetch_sub_explicit(&loop->counters.connections_open, 1, memory_order_relaxed);
    end_if_empty(loop);
}

static bool is_idle(const struct conn *c)
{
    return !c->exchange && !c->is_flying && !c->lingering && c->at == c->len;
}

static void on_tick(uv_timer_t *tick)
{
    struct http_loop *loop = tick->data;
    i64 now = (i64)uv_now(&loop->uv);
    set_date(loop);
    for (isize i = WAIT_IDLE; i < WAITS_N; i++) {
        while (loop->waits[i].first && loop->waits[i].first->deadline <= now) {
            conn_late(loop->waits[i].first);
        }
    }
    if (loop->accept_paused && !loop->stopping) accept_on(loop);
    for (struct conn *c = loop->stopping && now >= loop->idle_stop_at ? loop->conns : NULL; c; c = c->next)
        if (now >= loop->stop_at || is_idle(c)) conn_close(c);
    end_if_empty(loop);
}

static void on_before_wait(uv_prepare_t *before_wait) { conns_send(before_wait->data); }

/* A connection without a request may have one under way to us: it is left a moment to arrive, and
 * is answered with "Connection: close". Closed at once it would be cut off, which a client cannot
 * tell from a crash. */
static void begin_stop(void *arg)
{
    struct http_loop *loop = arg;
    loop->stopping = true;
    uv_update_time(&loop->uv);
    i64 now = (i64)uv_now(&loop->uv);
    loop->stop_at = now + loop->server->stop_wait_ms;
    loop->idle_stop_at = now + min_i64(loop->server->stop_wait_ms, IDLE_STOP_MS);
    uv_close((uv_handle_t *)&loop->listener, NULL);
    (void)uv_timer_start(&loop->tick, on_tick, TICK_MS_LEAST, TICK_MS_LEAST);
    for (struct conn *c = loop->conns; c; c = c->next)
        if (c->exchange && c->exchange->stream) conn_close(c);
    end_if_empty(loop);
}

static void *loop_run(void *arg)
{
    struct http_loop *loop = arg;
    const struct http_options *options = loop->options;
    char name[16];
    (void)snprintf(name, sizeof name, "http%d", (int)loop->number);
    thread_is(name, THREAD_ANSWERS);
    loop->self = pthread_self();
    rcu_thread_start();
    if (options->loop_start) loop->state = options->loop_start(options->ctx, loop);
    accept_on(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    assert(loop->closed);
    run_posts(loop);                                    /* what was posted before that is kept */
    if (options->loop_stop) options->loop_stop(options->ctx, loop->state);
    rcu_thread_stop();
    return NULL;
}

/* ---- the server ---------------------------------------------------------------------------- */
struct http_options http_options(const struct config *config)
{
    return (struct http_options){
        .listen_fd = -1,
        .loops = (isize)config->http_loops,
        .header_bytes_max = (isize)config->http_header_bytes,
        .body_bytes_max = (isize)config->http_body_bytes,
        .connections_max = (isize)config->http_connections,
        .stream_bytes_max = 256 << 10,
        .memory_bytes_max = max_isize((isize)512 << 20, 16 * (isize)config->http_body_bytes),
        .request_ms = config->http_request_ms,
        .idle_ms = config->http_idle_ms,
        .clock = clock_system(),
    };
}

static enum err system_failed(struct diag *diag, const char *what)
{
    return diag_set(diag, ERR_INTERNAL, "%s: %s", what, uv_strerror(-errno));
}

enum err http_listen(str address, i32 port, int *fd, struct diag *diag)
{
    char text[64];
    struct sockaddr_storage bound = { 0 };
    struct sockaddr_in *v4 = (struct sockaddr_in *)&bound;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&bound;
    bool fits = address.len < (isize)sizeof text && port >= 0 && port <= 65535;
    (void)snprintf(text, sizeof text, "%.*s", STR_FMT(address));
    socklen_t len = sizeof *v4;
    if (fits && uv_ip4_addr(text, port, v4) != 0) {
        len = sizeof *v6;
        fits = uv_ip6_addr(text, port, v6) == 0;
    }
    if (!fits) {
        return diag_set(diag, ERR_BAD_INPUT, "\"%.*s\" port %d is no address to listen on: 127.0.0.1, "
                        "::1, 0.0.0.0 and the like are", STR_FMT(address), port);
    }
    *fd = socket(bound.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) return system_failed(diag, "socket");
    int on = 1;
    bool ok = setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0
           && bind(*fd, (struct sockaddr *)&bound, len) == 0 && listen(*fd, BACKLOG) == 0;
    if (ok) return ERR_OK;
    enum err err = diag_set(diag, ERR_INTERNAL, "cannot listen on %s port %d: %s", text, port,
                            uv_strerror(-errno));
    (void)close(*fd);
    *fd = -1;
    return err;
}

enum err http_listen_file(const char *path, int *fd, struct diag *diag)
{
    struct sockaddr_un bound = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof bound.sun_path)
        return diag_set(diag, ERR_TOO_BIG, "%s is too long for a socket's name", path);
    (void)snprintf(bound.sun_path, sizeof bound.sun_path, "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) return system_failed(diag, "socket");
    (void)unlink(path);
    /* The mode of the descriptor becomes that of the file: there is no moment at which it is
     * anybody else's. */
    if (fchmod(*fd, 0600) == 0 && bind(*fd, (struct sockaddr *)&bound, sizeof bound) == 0
        && listen(*fd, BACKLOG) == 0)
        return ERR_OK;
    enum err err = diag_set(diag, ERR_INTERNAL, "cannot listen on %s: %s", path, uv_strerror(-errno));
    (void)close(*fd);
    *fd = -1;
    return err;
}

i32 http_port(int fd)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t len = sizeof bound;
    int failed = getsockname(fd, (struct sockaddr *)&bound, &len);
    assert(!failed);
    if (bound.ss_family == AF_UNIX) return 0;
    return bound.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&bound)->sin6_port)
                                       : ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

/* Failing means being out of descriptors as the program starts. It then ends, and what was opened
 * up to there ends with it. */
static enum err loop_open(struct http_loop *loop, struct http_server *server, isize number,
                          struct diag *diag)
{
    const struct http_options *options = &server->options;
    loop->server = server;
    loop->options = options;
    loop->number = number;
    loop->block_bytes_max = options->memory_bytes_max / server->loops_n;
    loop->listen_fd = fcntl(options->listen_fd, F_DUPFD_CLOEXEC, 0);
    if (loop->listen_fd < 0) return system_failed(diag, "the listening socket");

    int failed = pthread_mutex_init(&loop->lock, NULL);
    assert(!failed);
    loop->inflate = libdeflate_alloc_decompressor();
    assert(loop->inflate);
    failed = uv_loop_init(&loop->uv);
    if (!failed) failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (!failed) failed = uv_timer_init(&loop->uv, &loop->tick);
    if (!failed) failed = uv_prepare_init(&loop->uv, &loop->before_wait);
    if (!failed) failed = uv_prepare_start(&loop->before_wait, on_before_wait);
    if (!failed) failed = uv_poll_init(&loop->uv, &loop->listener, loop->listen_fd);
    i64 shortest = min_i64(options->request_ms, options->idle_ms);
    u64 tick_ms = (u64)max_i64(TICK_MS_LEAST, min_i64(shortest / 8, TICK_MS_MOST));
    if (!failed) failed = uv_timer_start(&loop->tick, on_tick, tick_ms, tick_ms);
    if (failed) return diag_set(diag, ERR_INTERNAL, "an HTTP loop cannot start: %s", uv_strerror(failed));
    loop->wake.data = loop->tick.data = loop->before_wait.data = loop->listener.data = loop;
    set_date(loop);
    return ERR_OK;
}

static void loop_close(struct http_loop *loop)
{
    conns_free(loop);
    exchanges_free(loop);
    blocks_free(loop);
    buf_fini(&loop->out);
    vec_fini(&loop->posts);
    vec_fini(&loop->running);
    libdeflate_free_decompressor(loop->inflate);
    int failed = uv_loop_close(&loop->uv);
    assert(!failed);
    (void)close(loop->listen_fd);
    (void)pthread_mutex_destroy(&loop->lock);
}

enum err http_server_start(const struct http_options *options, struct http_server **out, struct diag *diag)
{
    assert(options->handle);
    assert(options->header_bytes_max > 0 && options->body_bytes_max >= 0);
    assert(options->request_ms > 0 && options->idle_ms > 0 && options->connections_max > 0);
    assert(options->stream_bytes_max > 0 && options->memory_bytes_max > 0);
    assert(options->clock.now_ms);

    isize loops_n = options->loops > 0 ? options->loops : (isize)uv_available_parallelism();
    loops_n = min_isize(loops_n, LOOPS_MAX);
    struct http_server *server = mem_new((isize)sizeof *server + loops_n * (isize)sizeof server->loops[0]);
    server->options = *options;
    server->loops_n = loops_n;
    for (isize i = 0; i < loops_n; i++) {
        enum err err = loop_open(&server->loops[i], server, i, diag);
        if (err) return err;
    }

    /* A client that leaves is a failed write, not a signal; and signals are for the main thread. */
    (void)signal(SIGPIPE, SIG_IGN);
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (isize i = 0; i < loops_n; i++) {
        int failed = pthread_create(&server->loops[i].thread, NULL, loop_run, &server->loops[i]);
        assert(!failed);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http_port(options->listen_fd))
        log_note("http.start port=%d loops=%d", http_port(options->listen_fd), (int)loops_n);
    *out = server;
    return ERR_OK;
}

void http_server_stop(struct http_server *server, i64 wait_ms)
{
    assert(wait_ms >= 0);
    if (server->stopped) return;
    server->stopped = true;
    server->stop_wait_ms = wait_ms;
    for (isize i = 0; i < server->loops_n; i++) {
        bool posted = http_post(&server->loops[i], begin_stop, &server->loops[i]);
        assert(posted);
    }
    for (isize i = 0; i < server->loops_n; i++) (void)pthread_join(server->loops[i].thread, NULL);
    log_note("http.stop");
}

void http_server_free(struct http_server *server)
{
    if (!server) return;
    assert(server->stopped);
    for (isize i = 0; i < server->loops_n; i++) loop_close(&server->loops[i]);
    mem_free(server);
}

isize http_loop_number(const struct http_loop *loop) { return loop->number; }
isize http_server_loops(const struct http_server *server) { return server->loops_n; }

struct http_loop *http_server_loop(struct http_server *server, isize number)
{
    assert(number >= 0 && number < server->loops_n);
    return &server->loops[number];
}

void http_server_counters(const struct http_server *server, struct http_counters *out)
{
    *out = (struct http_counters){ 0 };
    for (isize i = 0; i < server->loops_n; i++) {
        const struct loop_counters *c = &server->loops[i].counters;
#define X(name) out->name += atomic_load_explicit(&c->name, memory_order_relaxed);
        LOOP_COUNTERS(X)
#undef X
        for (isize k = 0; k < countof(out->answers); k++) {
            out->answers[k] += atomic_load_explicit(&c->answers[k], memory_order_relaxed);
        }
        for (isize k = 0; k < HTTP_REFUSALS_N; k++) {
            out->refused[k] += atomic_load_explicit(&c->refused[k], memory_order_relaxed);
        }
    }
}
