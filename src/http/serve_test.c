/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a client sees of the server, on real sockets, good and hostile clients alike.
 * Method: a server on 127.0.0.1 with a handler that echoes, holds or streams by path; a blocking client
 * that sends the exact bytes of each case. Deadlines are short, waits for them generous. */
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#undef assert

#include <arpa/inet.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

/* ---- the server under test ----------------------------------------------------------------- */
enum { HELD_MAX = 64, BODY_MAX = 64 << 10, HEAD_MAX = 8 << 10, BIG = 32 << 20 };

static struct {
    struct http_server *server;
    int listen_fd;
    pthread_mutex_t lock;
    struct http_request *held[HELD_MAX];
    isize held_n;
    _Atomic isize gone, states_begun, states_ended;
} t;

static void sleep_ms(i64 ms)
{
    struct timespec span = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&span, NULL);
}

static void remember(struct http_request *req)
{
    pthread_mutex_lock(&t.lock);
    assert_true(t.held_n < HELD_MAX);
    t.held[t.held_n++] = req;
    pthread_mutex_unlock(&t.lock);
}

/* Waits for the handler to have held a request. */
static struct http_request *take_held(void)
{
    for (i32 i = 0; i < 500; i++) {
        struct http_request *req = NULL;
        pthread_mutex_lock(&t.lock);
        if (t.held_n > 0) req = t.held[--t.held_n];
        pthread_mutex_unlock(&t.lock);
        if (req) return req;
        sleep_ms(10);
    }
    fail_msg("no request was held");
    return NULL;
}

static void on_gone(void *ctx, struct http_request *req)
{
    (void)ctx;
    atomic_fetch_add(&t.gone, 1);
    /* a bare one has no path left */
    if (str_eq(req->path, S("/stream")) || req->path.len == 0) http_stream_end(req);
}

static void handle(void *ctx, struct http_request *req)
{
    assert_ptr_equal(ctx, &t);
    assert_non_null(req->loop_state);
    str text = S("text/plain");
    if (str_eq(req->path, S("/hold"))) {
        http_hold(req);
        http_on_gone(req, on_gone, NULL);
        remember(req);
    } else if (str_eq(req->path, S("/stream")) || str_eq(req->path, S("/bare"))) {
        if (str_eq(req->path, S("/bare"))) arena_new(req->scratch, char, 100 << 10);
        http_stream_begin(req, 200, S("text/event-stream"), NULL, 0);
        if (str_eq(req->path, S("/bare"))) http_stream_bare(req);
        http_on_gone(req, on_gone, NULL);
        remember(req);
    } else if (str_eq(req->path, S("/nothing"))) {
        http_reply(req, 204, S(""), S(""), NULL, 0);
    } else if (str_eq(req->path, S("/problem"))) {
        http_reply_problem(req, ERR_CONFLICT, S("it is \"so\""), NULL, 0);
    } else if (str_eq(req->path, S("/big"))) {
        isize n = BIG;
        char *bytes = arena_new(req->scratch, char, n);
        memset(bytes, 'b', (size_t)n);
        http_reply(req, 200, text, (str){ bytes, n }, NULL, 0);
    } else if (str_eq(req->path, S("/headers"))) {
        struct http_header extra[] = { { S("X-Good"), S("1") }, { S("X-Bad"), S("a\r\nX-Split: 1") } };
        http_reply(req, 200, text, S("ok"), extra, countof(extra));
    } else {
        str body = arena_printf(req->scratch, "%.*s %.*s?%.*s [%.*s]", STR_FMT(http_method_name(req->method)),
                                STR_FMT(req->path), STR_FMT(req->query), STR_FMT(req->body));
        http_reply(req, 200, text, body, NULL, 0);
    }
}

static void *loop_start(void *ctx, struct http_loop *loop)
{
    (void)ctx;
    atomic_fetch_add(&t.states_begun, 1);
    return loop;
}

static void loop_stop(void *ctx, void *state)
{
    (void)ctx;
    assert_non_null(state);
    atomic_fetch_add(&t.states_ended, 1);
}

/* Only these two paths may carry another amount than the default. */
static isize body_limit(void *ctx, const struct http_request *head)
{
    (void)ctx;
    if (str_eq(head->path, S("/small"))) return 10;
    return str_eq(head->path, S("/large")) ? 1 << 20 : BODY_MAX;
}

static struct http_options usual(void)
{
    struct config config = config_default();
    struct http_options options = http_options(&config);
    options.loops = 2;
    options.body_bytes_max = BODY_MAX;
    options.header_bytes_max = HEAD_MAX;
    options.request_ms = 5000;
    options.idle_ms = 5000;
    options.ctx = &t;
    options.handle = handle;
    options.loop_start = loop_start;
    options.loop_stop = loop_stop;
    return options;
}

static void start(struct http_options options)
{
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    t.held_n = 0;
    t.gone = t.states_begun = t.states_ended = 0;
    assert_int_equal(http_listen(S("127.0.0.1"), 0, &t.listen_fd, &diag), ERR_OK);
    options.listen_fd = t.listen_fd;
    assert_int_equal(http_server_start(&options, &t.server, &diag), ERR_OK);
    arena_fini(&a);
}

static void stop(void)
{
    http_server_stop(t.server, 100);
    assert_int_equal(t.states_begun, http_server_loops(t.server));
    assert_int_equal(t.states_ended, http_server_loops(t.server));
    http_server_free(t.server);
    (void)close(t.listen_fd);
}

static struct http_counters counters(void)
{
    struct http_counters c;
    http_server_counters(t.server, &c);
    return c;
}

/* ---- the client ---------------------------------------------------------------------------- */
struct client { int fd; struct buf in; };
struct reply { i32 status; str head, body; bool whole; };

static struct client dial(void)
{
    struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((u16)http_port(t.listen_fd)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval wait = { .tv_sec = 10 };
    (void)setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return c;
}

static void hang_up(struct client *c)
{
    (void)close(c->fd);
    buf_fini(&c->in);
}

/* False when the server has closed. */
static bool say(struct client *c, str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(c->fd, bytes.ptr, (size_t)bytes.len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes = str_from(bytes, n);
    }
    return true;
}

/* False at the end of what the server sends. */
static bool hear(struct client *c)
{
    char bytes[16 << 10];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    buf_add(&c->in, (str){ bytes, n });
    return true;
}

static void hear_until(struct client *c, str what)
{
    while (str_find(buf_str(&c->in), what) < 0) assert_true(hear(c));
}

static bool closes(struct client *c)
{
    char byte;
    return recv(c->fd, &byte, 1, 0) <= 0;
}

static str header_of(str head, str name)
{
    while (head.len > 0) {
        struct str_cut line = str_cut(head, '\n');
        head = line.tail;
        struct str_cut part = str_cut(line.head, ':');
        if (part.found && str_eq_nocase(part.head, name)) return str_trim(part.tail);
    }
    return S("");
}

/* One answer with a Content-Length; what comes after it stays. In `a`. */
static struct reply get_reply(struct client *c, arena *a, bool with_body)
{
    struct reply r = { 0 };
    isize end;
    while ((end = str_find(buf_str(&c->in), S("\r\n\r\n"))) < 0) {
        if (!hear(c)) return r;
    }
    r.head = arena_str(a, str_slice(buf_str(&c->in), 0, end + 2));
    i64 status, length = 0;
    assert_true(str_to_i64(str_slice(r.head, 9, 12), &status));
    r.status = (i32)status;
    str text = header_of(r.head, S("content-length"));
    if (with_body && text.len > 0) assert_true(str_to_i64(text, &length));
    while (c->in.len < end + 4 + length) {
        if (!hear(c)) return r;
    }
    r.body = arena_str(a, str_slice(buf_str(&c->in), end + 4, end + 4 + (isize)length));
    isize used = end + 4 + (isize)length;
    memmove(c->in.ptr, c->in.ptr + used, (size_t)(c->in.len - used));
    c->in.len -= used;
    r.whole = true;
    return r;
}

#define expect_reply(c, a, want_status, want_body)                                              \
    do {                                                                                        \
        struct reply r_ = get_reply((c), (a), true);                                            \
        assert_true(r_.whole);                                                                  \
        assert_int_equal(r_.status, (want_status));                                             \
        assert_string_equal(arena_z((a), r_.body), (want_body));                                \
    } while (0)

static str gzip(arena *a, str in)
{
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_gzip_compress_bound(z, (size_t)in.len);
    char *out = arena_new(a, char, (isize)room);
    size_t n = libdeflate_gzip_compress(z, in.ptr, (size_t)in.len, out, room);
    assert_true(n > 0);
    libdeflate_free_compressor(z);
    return (str){ out, (isize)n };
}

static str post(arena *a, const char *path, const char *headers, str body)
{
    struct buf b = { .arena = a };
    buf_printf(&b, "POST %s HTTP/1.1\r\nHost: shop\r\n%sContent-Length: %td\r\n\r\n", path, headers,
               body.len);
    buf_add(&b, body);
    return buf_str(&b);
}

static str repeat(arena *a, char c, isize n)
{
    char *text = arena_new(a, char, n);
    memset(text, c, (size_t)n);
    return (str){ text, n };
}

/* ---- good clients -------------------------------------------------------------------------- */
static void a_connection_serves_many_requests(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    for (i32 i = 0; i < 3; i++) {
        say(&c, S("GET /a/b?x=1&y=2 HTTP/1.1\r\nHost: shop\r\n\r\n"));
        expect_reply(&c, &a, 200, "GET /a/b?x=1&y=2 []");
        say(&c, post(&a, "/p", "", S("hello")));
        expect_reply(&c, &a, 200, "POST /p? [hello]");
    }
    assert_int_equal(counters().connections, 1);
    assert_int_equal(counters().connections_open, 1);
    assert_int_equal(counters().requests, 6);
    assert_int_equal(counters().answers[1], 6);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void answer_later(void *req) { http_reply(req, 200, S("text/plain"), S("later"), NULL, 0); }

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("GET /1 HTTP/1.1\r\nHost: s\r\n\r\nGET /hold HTTP/1.1\r\nHost: s\r\n\r\n"
              "POST /3 HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
              "GET /4 HTTP/1.1\r\nHost: s\r\n\r\n"));
    expect_reply(&c, &a, 200, "GET /1? []");
    struct http_request *req = take_held();
    sleep_ms(50);
    assert_int_equal(counters().requests, 2);           /* the third waits for the second */
    assert_int_equal(counters().held, 1);
    assert_true(http_post(req->loop, answer_later, req));
    expect_reply(&c, &a, 200, "later");
    expect_reply(&c, &a, 200, "POST /3? [abc]");
    expect_reply(&c, &a, 200, "GET /4? []");
    assert_int_equal(counters().held, 0);

    /* More of them than a block holds. */
    struct buf many = { .arena = &a };
    for (i32 i = 0; i < 2000; i++) buf_printf(&many, "GET /%d HTTP/1.1\r\nHost: s\r\n\r\n", i);
    assert_true(say(&c, buf_str(&many)));
    for (i32 i = 0; i < 2000; i++) {
        char want[64];
        (void)snprintf(want, sizeof want, "GET /%d? []", i);
        expect_reply(&c, &a, 200, want);
    }
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void sleep_there(void *arg)
{
    (void)arg;
    sleep_ms(200);
}

/* All of it lies ready while the only loop sleeps, so it is answered without a wait between: plain
 * ones, pipelined ones, more than a block holds, the last of a connection, one whose client is gone,
 * one whose client says no more; the last of all is held. */
static void connections_that_are_answered_together_get_their_own_answers(void **state)
{
    (void)state;
    enum { CLIENTS = 24 };
    static const isize asks[6] = { 1, 600, 2, 1, 1, 1 };       /* of each sixth client, so many at once */
    arena a = { 0 };
    struct http_options options = usual();
    options.loops = 1;
    start(options);
    struct client c[CLIENTS];
    for (isize i = 0; i < CLIENTS; i++) {
        c[i] = dial();
        say(&c[i], S("GET /before HTTP/1.1\r\nHost: s\r\n\r\n"));
        expect_reply(&c[i], &a, 200, "GET /before? []");
    }
    assert_true(http_post(http_server_loop(t.server, 0), sleep_there, NULL));
    sleep_ms(50);
    for (isize i = 0; i < CLIENTS; i++) {
        struct buf ask = { .arena = &a };
        for (isize k = 0; k < asks[i % 6]; k++)
            buf_printf(&ask, "GET %s/%td HTTP/1.1\r\nHost: s\r\n%s\r\n", i == CLIENTS - 1 ? "/hold?" : "", i,
                       i % 6 == 3 ? "Connection: close\r\n" : "");
        assert_true(say(&c[i], buf_str(&ask)));
        struct linger reset = { .l_onoff = 1 };
        if (i % 6 == 4) (void)setsockopt(c[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (i % 6 == 4) hang_up(&c[i]);
        if (i % 6 == 5) (void)shutdown(c[i].fd, SHUT_WR);
    }
    for (isize i = 0; i < CLIENTS - 1; i++) {
        if (i % 6 == 4) continue;
        const char *want = arena_printf(&a, "GET /%td? []", i).ptr;
        for (isize k = 0; k < asks[i % 6]; k++) expect_reply(&c[i], &a, 200, want);
        if (i % 6 == 3 || i % 6 == 5) assert_true(closes(&c[i]));
        hang_up(&c[i]);
    }
    struct http_request *req = take_held();
    assert_true(http_post(req->loop, answer_later, req));
    expect_reply(&c[CLIENTS - 1], &a, 200, "later");
    hang_up(&c[CLIENTS - 1]);
    arena_fini(&a);
    stop();
}

static void bytes_may_come_one_at_a_time(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    str bytes = S("POST /drip HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "a\r\n0123456789\r\n1\r\nX\r\n0\r\n\r\nGET /n HTTP/1.1\r\nHost: s\r\n\r\n");
    for (isize i = 0; i < bytes.len; i++) {
        assert_true(say(&c, str_slice(bytes, i, i + 1)));
        if (i % 8 == 0) sleep_ms(1);
    }
    expect_reply(&c, &a, 200, "POST /drip? [0123456789X]");
    expect_reply(&c, &a, 200, "GET /n? []");
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void a_body_may_be_bigger_than_a_block(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    str body = repeat(&a, 'x', BODY_MAX);
    say(&c, post(&a, "/p", "", body));
    struct reply r = get_reply(&c, &a, true);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, BODY_MAX + (isize)sizeof "POST /p? []" - 1);

    struct buf chunked = { .arena = &a };
    buf_add(&chunked, S("POST /p HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (isize i = 0; i < BODY_MAX; i++) buf_add(&chunked, S("1\r\ny\r\n"));
    buf_add(&chunked, S("0\r\n\r\n"));
    say(&c, buf_str(&chunked));
    r = get_reply(&c, &a, true);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, BODY_MAX + (isize)sizeof "POST /p? []" - 1);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void gzip_is_undone_whatever_the_content_type_says(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    str body = gzip(&a, S("{\"batch\":[]}"));
    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\nContent-Type: text/plain\r\n", body));
    expect_reply(&c, &a, 200, "POST /p? [{\"batch\":[]}]");

    struct buf two = { .arena = &a };
    buf_add(&two, gzip(&a, repeat(&a, 'a', 3)));
    buf_add(&two, gzip(&a, S("b")));
    say(&c, post(&a, "/p", "content-encoding: GZIP\r\n", buf_str(&two)));
    expect_reply(&c, &a, 200, "POST /p? [aaab]");

    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", S("")));
    expect_reply(&c, &a, 200, "POST /p? []");

    str whole = gzip(&a, repeat(&a, 'z', BODY_MAX));
    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", whole));
    struct reply r = get_reply(&c, &a, true);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, BODY_MAX + (isize)sizeof "POST /p? []" - 1);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void a_head_answer_has_a_length_and_no_body(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("HEAD /h HTTP/1.1\r\nHost: s\r\n\r\nGET /nothing HTTP/1.1\r\nHost: s\r\n\r\n"
              "GET /headers HTTP/1.1\r\nHost: s\r\n\r\nGET /problem HTTP/1.1\r\nHost: s\r\n\r\n"));
    struct reply r = get_reply(&c, &a, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(arena_z(&a, header_of(r.head, S("content-length"))), "11");
    assert_true(str_ends(header_of(r.head, S("date")), S(" GMT")));
    r = get_reply(&c, &a, true);
    assert_int_equal(r.status, 204);
    assert_int_equal(header_of(r.head, S("content-length")).len, 0);
    r = get_reply(&c, &a, true);
    assert_true(str_eq(header_of(r.head, S("x-good")), S("1")));
    /* the one that would cut the head is left out */
    assert_int_equal(str_find(r.head, S("Split")), -1);
    expect_reply(&c, &a, 409, "{\"type\":\"/problems/conflict\",\"title\":\"somebody changed it in between; "
                 "read it again\",\"status\":409,\"detail\":\"it is \\\"so\\\"\"}");
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void expecting_100_continue_is_answered_before_the_body(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("POST /p HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
    hear_until(&c, S("HTTP/1.1 100 Continue\r\n\r\n"));
    c.in.len = 0;
    say(&c, S("abc"));
    expect_reply(&c, &a, 200, "POST /p? [abc]");
    hang_up(&c);

    c = dial();                                         /* too big is said before it is sent */
    say(&c, S("POST /p HTTP/1.1\r\nHost: s\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"));
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

/* ---- hostile bytes ------------------------------------------------------------------------- */
static void requests_of_every_legal_form_are_taken(void **state)
{
    (void)state;
    static const struct { const char *why; str in; const char *want; } rows[] = {
        { "plain", S_INIT("GET / HTTP/1.1\r\nHost: s\r\n\r\n"), "GET /? []" },
        { "1.0 without a host", S_INIT("GET / HTTP/1.0\r\n\r\n"), "GET /? []" },
        { "an empty line before", S_INIT("\r\nGET / HTTP/1.1\r\nHost: s\r\n\r\n"), "GET /? []" },
        { "absolute form", S_INIT("GET http://s:80/p?q HTTP/1.1\r\nHost: s\r\n\r\n"), "GET /p?q []" },
        { "absolute form, no path", S_INIT("GET http://s HTTP/1.1\r\nHost: s\r\n\r\n"), "GET /? []" },
        { "asterisk form", S_INIT("OPTIONS * HTTP/1.1\r\nHost: s\r\n\r\n"), "OPTIONS *? []" },
        { "IPv6 host", S_INIT("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "GET /? []" },
        { "no space after the colon", S_INIT("GET / HTTP/1.1\r\nHost:s\r\n\r\n"), "GET /? []" },
        { "empty header", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX:\r\nY: \r\n\r\n"), "GET /? []" },
        { "upgrade is ignored",
          S_INIT("GET / HTTP/1.1\r\nHost: s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                 "HTTP2-Settings: AA\r\n\r\n"), "GET /? []" },
        { "PUT", S_INIT("PUT /x HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\nz"), "PUT /x? [z]" },
        { "PATCH", S_INIT("PATCH /x HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\nz"), "PATCH /x? [z]" },
        { "DELETE", S_INIT("DELETE /x HTTP/1.1\r\nHost: s\r\n\r\n"), "DELETE /x? []" },
        { "GET with a body", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\nhi"), "GET /? [hi]" },
        { "empty chunked body",
          S_INIT("POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"), "POST /? []" },
        { "chunk size in capitals and with zeros",
          S_INIT("POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "000A\r\n0123456789\r\n0\r\n\r\n"), "POST /? [0123456789]" },
        { "binary body", S_INIT("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\n\r\n\n\r\t"), "POST /? [\n\r\t]" },
    };
    arena a = { 0 };
    start(usual());
    for (isize i = 0; i < countof(rows); i++) {
        struct client c = dial();
        say(&c, rows[i].in);
        struct reply r = get_reply(&c, &a, true);
        if (r.status != 200 || !str_eq(r.body, str_of(rows[i].want))) {
            fail_msg("%s: %d %.*s", rows[i].why, r.status, STR_FMT(r.body));
        }
        hang_up(&c);
    }
    arena_fini(&a);
    stop();
}

#define HOST "Host: s\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct probe { const char *why; str in; enum http_refusal want; } probes[] = {
    /* Where does the body end? */
    { "length and chunked", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\n"), REFUSED_LENGTH },
    { "chunked and length", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
      "0\r\n\r\n"), REFUSED_LENGTH },
    { "two lengths that differ", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
      REFUSED_LENGTH },
    { "two lengths that agree", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
      REFUSED_LENGTH },
    { "a list of lengths", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na"), REFUSED_LENGTH },
    { "length +8", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: +8\r\n\r\n12345678"), REFUSED_LENGTH },
    { "length -1", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"), REFUSED_LENGTH },
    { "length 0x8", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x8\r\n\r\n12345678"), REFUSED_LENGTH },
    { "length 1 0", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 0\r\n\r\n1234567890"), REFUSED_LENGTH },
    { "empty length", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), REFUSED_LENGTH },
    { "length beyond 64 bits", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n"),
      REFUSED_LENGTH },
    { "length beyond 63 bits", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n"),
      REFUSED_LENGTH },
    { "an encoding other than chunked", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n"),
      REFUSED_LENGTH },
    { "chunked is not the last", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n"
      "0\r\n\r\n"), REFUSED_LENGTH },
    { "chunked is not alone", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
      REFUSED_LENGTH },
    { "chunked twice", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
      "\r\n\r\n0\r\n\r\n"), REFUSED_LENGTH },
    { "xchunked", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), REFUSED_LENGTH },
    { "quoted chunked", S_INIT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
      REFUSED_LENGTH },
    { "chunked with 1.0", S_INIT("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      REFUSED_LENGTH },

    /* What is a line, what is a header? */
    { "space before the colon", S_INIT("GET / HTTP/1.1\r\nHost : s\r\n\r\n"), REFUSED_SYNTAX },
    { "space before the colon of a length", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n12345"),
      REFUSED_SYNTAX },
    { "bare LF everywhere", S_INIT("GET / HTTP/1.1\nHost: s\n\n"), REFUSED_LINE_END },
    { "bare LF after a header", S_INIT("GET / HTTP/1.1\r\nHost: s\nX: 1\r\n\r\n"), REFUSED_LINE_END },
    { "bare LF at the end of the head", S_INIT("GET / HTTP/1.1\r\nHost: s\r\n\n"), REFUSED_LINE_END },
    { "bare CR in a header", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\rb\r\n\r\n"), REFUSED_LINE_END },
    { "bare CR between headers", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\rContent-Length: 5\r\n\r\n"),
      REFUSED_LINE_END },
    { "bare CR in the request line", S_INIT("GET /\r HTTP/1.1\r\nHost: s\r\n\r\n"), REFUSED_LINE_END },
    { "CR CR LF", S_INIT("GET / HTTP/1.1\r\nHost: s\r\r\n\r\n"), REFUSED_LINE_END },
    { "CR LF CR x", S_INIT("GET / HTTP/1.1\r\nHost: s\r\n\rX: 1\r\n\r\n"), REFUSED_LINE_END },
    { "NUL in a value", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\0b\r\n\r\n"), REFUSED_LINE_END },
    { "NUL in a name", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX\0: a\r\n\r\n"), REFUSED_LINE_END },
    { "NUL in the target", S_INIT("GET /\0 HTTP/1.1\r\nHost: s\r\n\r\n"), REFUSED_LINE_END },
    { "another control character", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\x0b" "b\r\n\r\n"), REFUSED_LINE_END },
    { "DEL", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\x7f\r\n\r\n"), REFUSED_LINE_END },
    { "TLS", S_INIT("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), REFUSED_LINE_END },
    { "folded with a space", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\r\n b\r\n\r\n"), REFUSED_FOLDED },
    { "folded with a tab", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX: a\r\n\tb\r\n\r\n"), REFUSED_FOLDED },
    { "folded length", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n 5\r\n\r\n12345"), REFUSED_FOLDED },
    { "a blank before the first header", S_INIT("GET / HTTP/1.1\r\n Host: s\r\n\r\n"), REFUSED_FOLDED },
    { "a header without a colon", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX\r\n\r\n"), REFUSED_SYNTAX },
    { "a header without a name", S_INIT("GET / HTTP/1.1\r\nHost: s\r\n: x\r\n\r\n"), REFUSED_SYNTAX },
    { "a name that is no token", S_INIT("GET / HTTP/1.1\r\nHost: s\r\nX(y): x\r\n\r\n"), REFUSED_SYNTAX },
    { "a name with eight bits", S_INIT("GET / HTTP/1.1\r\nHost: s\r\n\xc3\xa6: x\r\n\r\n"), REFUSED_SYNTAX },

    /* The request line. */
    { "HTTP/0.9", S_INIT("GET /\r\n\r\n"), REFUSED_SYNTAX },
    { "HTTP/0.9 by name", S_INIT("GET / HTTP/0.9\r\n\r\n"), REFUSED_VERSION },
    { "HTTP/1.2", S_INIT("GET / HTTP/1.2\r\n" HOST "\r\n"), REFUSED_VERSION },
    { "HTTP/2.0", S_INIT("GET / HTTP/2.0\r\n" HOST "\r\n"), REFUSED_VERSION },
    { "the HTTP/2 preface", S_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), REFUSED_VERSION },
    { "http in small letters", S_INIT("GET / http/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "another protocol", S_INIT("GET / RTSP/1.0\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "a space after the version", S_INIT("GET / HTTP/1.1 \r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "two spaces", S_INIT("GET  / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "tabs", S_INIT("GET\t/\tHTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "a space before", S_INIT(" GET / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "two empty lines before", S_INIT("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "a method nobody knows", S_INIT("BREW / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_METHOD },
    { "a method in small letters", S_INIT("get / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_METHOD },
    { "TRACE", S_INIT("TRACE / HTTP/1.1\r\n" HOST "\r\n"), REFUSED_METHOD },
    { "CONNECT", S_INIT("CONNECT s:443 HTTP/1.1\r\n" HOST "\r\n"), REFUSED_METHOD },
    { "a target that is no path", S_INIT("GET p HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "an asterisk for GET", S_INIT("GET * HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },
    { "a fragment", S_INIT("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), REFUSED_SYNTAX },

    /* Host. */
    { "no host", S_INIT("GET / HTTP/1.1\r\nX: 1\r\n\r\n"), REFUSED_HOST },
    { "two hosts", S_INIT("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), REFUSED_HOST },
    { "two equal hosts with 1.0", S_INIT("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), REFUSED_HOST },
    { "a host with a path", S_INIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), REFUSED_HOST },
    { "a list of hosts", S_INIT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), REFUSED_HOST },

    /* Chunks. */
    { "chunk size 0x8", S_INIT(CHUNKED "0x8\r\n12345678\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk size +8", S_INIT(CHUNKED "+8\r\n12345678\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk size -1", S_INIT(CHUNKED "-1\r\n\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "no chunk size", S_INIT(CHUNKED "\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "a space before the chunk size", S_INIT(CHUNKED " 3\r\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "a space after the chunk size", S_INIT(CHUNKED "3 \r\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "bare LF after the chunk size", S_INIT(CHUNKED "3\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "bare CR after the chunk size", S_INIT(CHUNKED "3\rabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk data without CR LF", S_INIT(CHUNKED "3\r\nabc0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk data with two other bytes", S_INIT(CHUNKED "3\r\nabcXX0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk data with a bare LF", S_INIT(CHUNKED "3\r\nabc\n0\r\n\r\n"), REFUSED_CHUNK },
    { "chunk data longer than said", S_INIT(CHUNKED "3\r\nabcdef\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "a chunk extension", S_INIT(CHUNKED "3;a=b\r\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "a nameless chunk extension", S_INIT(CHUNKED "3;\r\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "an extension of the last chunk", S_INIT(CHUNKED "0;a\r\n\r\n"), REFUSED_CHUNK },
    { "a trailer", S_INIT(CHUNKED "0\r\nX: 1\r\n\r\n"), REFUSED_CHUNK },
    { "a folded trailer", S_INIT(CHUNKED "0\r\n X: 1\r\n\r\n"), REFUSED_CHUNK },
    { "bare LF after the last chunk", S_INIT(CHUNKED "0\r\n\n"), REFUSED_CHUNK },
    { "bare LFs at the end", S_INIT(CHUNKED "0\n\n"), REFUSED_CHUNK },
    { "a chunk size beyond 64 bits", S_INIT(CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n"), REFUSED_CHUNK },
    { "a chunk of 2^64 - 1", S_INIT(CHUNKED "ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), REFUSED_BODY_SIZE },

    /* Encodings and expectations. */
    { "br", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Encoding: br\r\nContent-Length: 1\r\n\r\na"), REFUSED_ENCODING },
    { "gzip twice", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\na"),
      REFUSED_ENCODING },
    { "no gzip at all", S_INIT("POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
      REFUSED_GZIP },
    { "another expectation", S_INIT("POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n"),
      REFUSED_EXPECTATION },
};

/* A second request behind each probe must never be taken for one: the connection is dead. */
static void every_ambiguous_request_is_refused_and_the_connection_closed(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    for (isize i = 0; i < 2 * countof(probes); i++) {
        const struct probe *probe = &probes[i / 2];
        u64 before = counters().refused[probe->want];
        struct client c = dial();
        if (i % 2 == 0) {
            say(&c, probe->in);
            say(&c, S("GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"));
        } else {                                        /* the same in pieces */
            for (isize k = 0; k < probe->in.len; k += 7) {
                if (!say(&c, str_slice(probe->in, k, min_isize(k + 7, probe->in.len)))) break;
            }
        }
        struct reply r = get_reply(&c, &a, true);
        if (!r.whole || r.status < 400) fail_msg("%s: answered %d", probe->why, r.status);
        if (!str_eq(header_of(r.head, S("connection")), S("close"))) fail_msg("%s: stays open", probe->why);
        if (!closes(&c)) fail_msg("%s: not closed", probe->why);
        if (counters().refused[probe->want] != before + 1) {
            struct http_counters now = counters();
            for (isize k = 0; k < HTTP_REFUSALS_N; k++) {
                print_message("# %s %d\n", http_refusal_name((enum http_refusal)k), (int)now.refused[k]);
            }
            fail_msg("%s: not counted as %s: %.*s", probe->why, http_refusal_name(probe->want),
                     STR_FMT(r.body));
        }
        hang_up(&c);
    }
    assert_int_equal(counters().requests, 0);
    arena_fini(&a);
    stop();
}

static void limits_are_answered_431_and_413(void **state)
{
    (void)state;
    arena a = { 0 };
    struct http_options options = usual();
    options.body_limit = body_limit;
    start(options);

    struct buf b = { .arena = &a };
    buf_printf(&b, "GET /%.*s", STR_FMT(repeat(&a, 'x', HEAD_MAX)));
    struct client c = dial();
    say(&c, buf_str(&b));                               /* not even an end of line */
    assert_int_equal(get_reply(&c, &a, true).status, 431);
    assert_true(closes(&c));
    hang_up(&c);

    b.len = 0;
    buf_add(&b, S("GET / HTTP/1.1\r\nHost: s\r\n"));
    for (i32 i = 0; i < 200; i++) buf_printf(&b, "X-%d: 1\r\n", i);
    buf_add(&b, S("\r\n"));
    c = dial();
    say(&c, buf_str(&b));                               /* few bytes, many headers */
    assert_int_equal(get_reply(&c, &a, true).status, 431);
    hang_up(&c);

    static const struct { const char *path; isize bytes; i32 want; } rows[] = {
        { "/p", BODY_MAX, 200 }, { "/p", BODY_MAX + 1, 413 }, { "/small", 10, 200 }, { "/small", 11, 413 },
        { "/large", 1 << 20, 200 }, { "/large", (1 << 20) + 1, 413 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        c = dial();
        (void)say(&c, post(&a, rows[i].path, "", repeat(&a, 'x', rows[i].bytes)));
        assert_int_equal(get_reply(&c, &a, true).status, rows[i].want);
        hang_up(&c);
    }

    c = dial();
    say(&c, S(CHUNKED "10001\r\n"));                    /* one more than 64 KiB, said in advance */
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    hang_up(&c);
    c = dial();
    say(&c, S(CHUNKED "10000\r\n"));
    say(&c, repeat(&a, 'x', 0x10000));
    say(&c, S("\r\n1\r\nx\r\n0\r\n\r\n"));              /* one more, chunk by chunk */
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    hang_up(&c);
    assert_int_equal(counters().refused[REFUSED_HEAD_SIZE], 2);
    assert_int_equal(counters().refused[REFUSED_BODY_SIZE], 5);
    arena_fini(&a);
    stop();
}

static void a_gzip_bomb_is_refused_by_its_unpacked_size(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    str bomb = gzip(&a, repeat(&a, 0, 32 << 20));
    assert_true(bomb.len < BODY_MAX);
    struct client c = dial();
    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", bomb));
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    assert_true(closes(&c));
    hang_up(&c);

    char *liar = (char *)(uintptr_t)bomb.ptr;           /* the same, saying it is 5 bytes long */
    store_u32le(liar + bomb.len - 4, 5);
    c = dial();
    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", bomb));
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    hang_up(&c);

    struct buf many = { .arena = &a };                  /* many members, each small */
    str member = gzip(&a, repeat(&a, 'm', 60000));
    for (i32 i = 0; i < 3; i++) buf_add(&many, member);
    c = dial();
    say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", buf_str(&many)));
    assert_int_equal(get_reply(&c, &a, true).status, 413);
    hang_up(&c);

    str good = gzip(&a, S("good"));
    struct buf garbage = { .arena = &a };
    buf_add(&garbage, good);
    buf_add(&garbage, S("garbage"));
    str bad[] = { str_slice(good, 0, good.len - 1), buf_str(&garbage), str_slice(good, 0, 3) };
    for (isize i = 0; i < countof(bad); i++) {
        c = dial();
        say(&c, post(&a, "/p", "Content-Encoding: gzip\r\n", bad[i]));
        assert_int_equal(get_reply(&c, &a, true).status, 400);
        hang_up(&c);
    }
    assert_int_equal(counters().requests, 0);
    arena_fini(&a);
    stop();
}

/* ---- slow and vanishing clients ------------------------------------------------------------ */
static void a_request_that_drips_is_ended_by_its_deadline(void **state)
{
    (void)state;
    arena a = { 0 };
    struct http_options options = usual();
    options.request_ms = 200;
    start(options);
    str begins[] = {
        S("G"),
        S("GET / HTTP/1.1\r\nHost: s\r\n"),
        S("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 9999\r\n\r\nab"),
        S(CHUNKED "ff\r\na"),
    };
    for (isize i = 0; i < countof(begins); i++) {
        struct client c = dial();
        i64 from = clock_monotonic_us();
        say(&c, begins[i]);
        for (i32 k = 0; k < 4; k++) {                   /* each byte is in time, all of them are not */
            sleep_ms(40);
            (void)say(&c, S("X"));
        }
        assert_int_equal(get_reply(&c, &a, true).status, 408);
        assert_true(closes(&c));
        i64 took_ms = (clock_monotonic_us() - from) / 1000;
        assert_true(took_ms < 5000);
        hang_up(&c);
    }
    assert_int_equal(counters().refused[REFUSED_SLOW], countof(begins));
    arena_fini(&a);
    stop();
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    arena a = { 0 };
    struct http_options options = usual();
    options.idle_ms = 1000;
    start(options);
    struct client fresh = dial(), used = dial();
    say(&used, S("GET / HTTP/1.1\r\nHost: s\r\n\r\n"));
    expect_reply(&used, &a, 200, "GET /? []");
    assert_true(closes(&fresh));
    assert_true(closes(&used));
    assert_int_equal(counters().connections_idle_closed, 2);
    for (i32 i = 0; i < 500 && counters().connections_open > 0; i++) sleep_ms(10);
    assert_int_equal(counters().connections_open, 0);
    hang_up(&fresh);
    hang_up(&used);
    arena_fini(&a);
    stop();
}

static void one_connection_too_many_is_closed_at_once(void **state)
{
    (void)state;
    arena a = { 0 };
    struct http_options options = usual();
    options.connections_max = 3;
    start(options);
    struct client c[4];
    for (isize i = 0; i < 3; i++) {
        c[i] = dial();
        say(&c[i], S("GET / HTTP/1.1\r\nHost: s\r\n\r\n"));
        expect_reply(&c[i], &a, 200, "GET /? []");
    }
    c[3] = dial();
    assert_true(closes(&c[3]));
    assert_int_equal(counters().connections_refused, 1);
    for (isize i = 0; i < 4; i++) hang_up(&c[i]);
    arena_fini(&a);
    stop();
}

static void a_client_may_leave_while_its_request_is_held(void **state)
{
    (void)state;
    start(usual());
    struct client c = dial();
    say(&c, S("GET /hold HTTP/1.1\r\nHost: s\r\nX-Key: remembered\r\n\r\n"));
    struct http_request *req = take_held();
    struct linger reset = { .l_onoff = 1 };
    (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    hang_up(&c);
    for (i32 i = 0; i < 500 && t.gone == 0; i++) sleep_ms(10);
    assert_int_equal(t.gone, 1);
    for (i32 i = 0; i < 500 && counters().connections_open > 0; i++) sleep_ms(10);
    assert_int_equal(counters().connections_open, 0);
    assert_int_equal(counters().held, 1);
    assert_true(str_eq(http_header(req, S("x-key")), S("remembered")));     /* it is still whole */
    assert_true(http_post(req->loop, answer_later, req));
    for (i32 i = 0; i < 500 && counters().held > 0; i++) sleep_ms(10);
    assert_int_equal(counters().held, 0);

    /* One that only stops sending still gets its answer. */
    arena a = { 0 };
    c = dial();
    say(&c, S("GET /hold HTTP/1.1\r\nHost: s\r\n\r\nGET /next HTTP/1.1\r\nHost: s\r\n\r\n"));
    (void)shutdown(c.fd, SHUT_WR);
    req = take_held();
    sleep_ms(20);
    assert_true(http_post(req->loop, answer_later, req));
    expect_reply(&c, &a, 200, "later");
    expect_reply(&c, &a, 200, "GET /next? []");
    assert_true(closes(&c));
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void an_answer_bigger_than_the_socket_arrives_whole(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("GET /big HTTP/1.1\r\nHost: s\r\n\r\nGET /after HTTP/1.1\r\nHost: s\r\n\r\n"));
    sleep_ms(50);
    assert_int_equal(counters().requests, 1);           /* the second waits until the first is taken */
    struct reply r = get_reply(&c, &a, true);
    assert_true(r.whole);
    assert_int_equal(r.body.len, BIG);
    for (isize i = 0; i < r.body.len; i++) if (r.body.ptr[i] != 'b') fail();
    expect_reply(&c, &a, 200, "GET /after? []");
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void a_client_that_does_not_read_its_answer_is_closed(void **state)
{
    (void)state;
    struct http_options options = usual();
    options.request_ms = 200;
    start(options);
    struct client c = dial();
    say(&c, S("GET /big HTTP/1.1\r\nHost: s\r\n\r\n"));
    for (i32 i = 0; i < 500 && counters().slow_readers == 0; i++) sleep_ms(10);
    assert_int_equal(counters().slow_readers, 1);
    hang_up(&c);
    stop();
}

/* ---- streams and other threads ------------------------------------------------------------- */
struct piece { struct http_request *req; str bytes; bool end; _Atomic int done; };

static void stream_piece(void *arg)
{
    struct piece *piece = arg;
    bool open = http_stream_write(piece->req, piece->bytes);
    if (piece->end) http_stream_end(piece->req);
    piece->done = open ? 1 : 2;
}

static bool stream(struct http_request *req, str bytes, bool end)
{
    struct piece piece = { .req = req, .bytes = bytes, .end = end };
    assert_true(http_post(req->loop, stream_piece, &piece));
    while (!piece.done) sleep_ms(1);
    return piece.done == 1;
}

static void a_stream_arrives_in_chunks_and_the_connection_goes_on(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n"));
    hear_until(&c, S("\r\n\r\n"));
    assert_true(str_find(buf_str(&c.in), S("Transfer-Encoding: chunked\r\n")) > 0);
    assert_true(str_find(buf_str(&c.in), S("Content-Type: text/event-stream\r\n")) > 0);
    struct http_request *req = take_held();
    assert_int_equal(counters().streams_open, 1);
    c.in.len = 0;
    assert_true(stream(req, S("data: 1\n\n"), false));
    hear_until(&c, S("9\r\ndata: 1\n\n\r\n"));
    assert_true(stream(req, S("data: twenty-three\n\n"), true));
    hear_until(&c, S("14\r\ndata: twenty-three\n\n\r\n0\r\n\r\n"));
    assert_int_equal(counters().streams_open, 0);
    c.in.len = 0;
    say(&c, S("GET /next HTTP/1.1\r\nHost: s\r\n\r\n"));
    expect_reply(&c, &a, 200, "GET /next? []");
    assert_int_equal(t.gone, 0);
    hang_up(&c);

    c = dial();                                         /* 1.0 knows no chunks: the end is the close */
    say(&c, S("GET /stream HTTP/1.0\r\n\r\n"));
    req = take_held();
    assert_true(stream(req, S("data: 1\n\n"), true));
    while (hear(&c)) { }
    assert_true(str_ends(buf_str(&c.in), S("\r\n\r\ndata: 1\n\n")));
    assert_int_equal(str_find(buf_str(&c.in), S("chunked")), -1);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

/* Both what came with the stream's request and what comes while it is open wait until it ends. */
static void a_bare_stream_holds_nothing_of_its_request(void **state)
{
    (void)state;
    static const char *const said[] = {
        "GET /bare HTTP/1.1\r\nHost: s\r\n\r\n",
        "GET /bare HTTP/1.1\r\nHost: s\r\n\r\nGET /next HTTP/1.1\r\nHost: s\r\n\r\n"
    };
    start(usual());
    for (i32 with = 0; with < 2; with++) {
        struct client c = dial();
        say(&c, str_of(said[with]));
        hear_until(&c, S("\r\n\r\n"));
        struct http_request *req = take_held();
        assert_true(stream(req, S("data: 1\n\n"), false));
        assert_int_equal(req->headers_n, 0);
        assert_int_equal(req->path.len, 0);
        assert_int_equal(req->scratch->used, 0);
        if (!with) say(&c, S("GET /next HTTP/1.1\r\nHost: s\r\n\r\n"));
        hear_until(&c, S("9\r\ndata: 1\n\n\r\n"));
        c.in.len = 0;
        assert_true(stream(req, S("data: 2\n\n"), true));
        hear_until(&c, S("9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
        hear_until(&c, S("GET /next? []"));
        hang_up(&c);
    }
    struct client c = dial();
    say(&c, str_of(said[0]));
    (void)take_held();
    hang_up(&c);
    for (i32 i = 0; i < 500 && counters().streams_open > 0; i++) sleep_ms(10);
    assert_int_equal(counters().streams_open, 0);
    stop();
}

static void a_stream_hears_that_its_client_has_gone(void **state)
{
    (void)state;
    start(usual());
    struct client c = dial();
    say(&c, S("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n"));
    hear_until(&c, S("\r\n\r\n"));
    (void)take_held();
    hang_up(&c);
    for (i32 i = 0; i < 500 && t.gone == 0; i++) sleep_ms(10);
    assert_int_equal(t.gone, 1);
    for (i32 i = 0; i < 500 && counters().streams_open > 0; i++) sleep_ms(10);
    assert_int_equal(counters().streams_open, 0);
    stop();
}

static void a_stream_whose_reader_sleeps_is_closed_at_its_bound(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client c = dial();
    say(&c, S("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n"));
    struct http_request *req = take_held();
    str lot = repeat(&a, 's', 64 << 10);
    i32 written = 0;
    while (written < 1000 && stream(req, lot, false)) written++;
    assert_true(written < 1000);
    for (i32 i = 0; i < 500 && t.gone == 0; i++) sleep_ms(10);
    assert_int_equal(t.gone, 1);
    assert_int_equal(counters().slow_readers, 1);
    hang_up(&c);
    arena_fini(&a);
    stop();
}

static void *answer_all(void *arg)
{
    isize n = *(isize *)arg;
    for (isize i = 0; i < n; i++) {
        struct http_request *req = take_held();
        assert_true(http_post(req->loop, answer_later, req));
    }
    return NULL;
}

static void another_thread_answers_what_is_held(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    isize n = 32;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, &n), 0);
    struct client c[32];
    for (isize i = 0; i < n; i++) {
        c[i] = dial();
        say(&c[i], S("POST /hold HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\nok"));
    }
    for (isize i = 0; i < n; i++) {
        expect_reply(&c[i], &a, 200, "later");
        hang_up(&c[i]);
    }
    (void)pthread_join(thread, NULL);
    arena_fini(&a);
    stop();
}

/* ---- stopping ------------------------------------------------------------------------------ */
static void *stop_patiently(void *arg)
{
    (void)arg;
    http_server_stop(t.server, 5000);
    return NULL;
}

static void stopping_lets_running_requests_finish(void **state)
{
    (void)state;
    arena a = { 0 };
    start(usual());
    struct client idle = dial(), busy = dial(), streaming = dial();
    say(&streaming, S("GET /stream HTTP/1.1\r\nHost: s\r\n\r\n"));
    (void)take_held();
    say(&busy, S("GET /hold HTTP/1.1\r\nHost: s\r\n\r\n"));
    struct http_request *req = take_held();
    struct http_loop *loop = req->loop;

    pthread_t thread;
    i64 from = clock_monotonic_us();
    assert_int_equal(pthread_create(&thread, NULL, stop_patiently, NULL), 0);
    assert_true(closes(&idle));
    while (hear(&streaming)) { }                        /* ended */
    assert_true(http_post(loop, answer_later, req));
    struct reply r = get_reply(&busy, &a, true);
    assert_int_equal(r.status, 200);
    assert_true(str_eq(header_of(r.head, S("connection")), S("close")));
    hang_up(&busy);
    (void)pthread_join(thread, NULL);
    assert_true(clock_monotonic_us() - from < 4000000);
    assert_false(http_post(loop, answer_later, req));

    struct client waiting = dial();                     /* the socket is ours: the next server takes it */
    struct http_server *old = t.server;
    struct http_options options = usual();
    options.listen_fd = t.listen_fd;
    assert_int_equal(http_server_start(&options, &t.server, NULL), ERR_OK);
    say(&waiting, S("GET / HTTP/1.1\r\nHost: s\r\n\r\n"));
    expect_reply(&waiting, &a, 200, "GET /? []");
    http_server_free(old);
    hang_up(&idle);
    hang_up(&streaming);
    hang_up(&waiting);
    t.states_begun -= 2;
    t.states_ended -= 2;
    arena_fini(&a);
    stop();
}

static void stopping_ends_at_its_deadline(void **state)
{
    (void)state;
    start(usual());
    struct client held = dial(), half = dial();
    say(&held, S("GET /hold HTTP/1.1\r\nHost: s\r\n\r\n"));
    say(&half, S("GET / HT"));
    (void)take_held();
    i64 from = clock_monotonic_us();
    stop();                                             /* waits 100 ms; the request is given back by free */
    assert_true(clock_monotonic_us() - from < 3000000);
    assert_true(closes(&held));
    hang_up(&held);
    hang_up(&half);
}

static void memory_for_requests_is_bounded(void **state)
{
    (void)state;
    arena a = { 0 };
    struct http_options options = usual();
    options.loops = 1;
    options.memory_bytes_max = 64 << 10;
    start(options);
    struct client c[5];
    for (isize i = 0; i < 5; i++) {
        c[i] = dial();
        say(&c[i], S("GET / HT"));
        for (i32 k = 0; i < 4 && k < 500 && counters().bytes_in < 8 * (u64)(i + 1); k++) sleep_ms(10);
    }
    assert_int_equal(get_reply(&c[4], &a, true).status, 503);
    for (isize i = 0; i < 5; i++) hang_up(&c[i]);
    assert_int_equal(counters().refused[REFUSED_MEMORY], 1);
    arena_fini(&a);
    stop();
}

static void an_address_that_is_none_is_refused_with_a_reason(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    int fd = -1;
    assert_int_equal(http_listen(S("shop.example"), 80, &fd, &diag), ERR_BAD_INPUT);
    assert_true(diag.what.len > 0);
    assert_int_equal(http_listen(S("127.0.0.1"), 70000, &fd, &diag), ERR_BAD_INPUT);
    assert_int_equal(http_listen(S("::1"), 0, &fd, &diag), ERR_OK);
    assert_true(http_port(fd) > 0);
    (void)close(fd);
    arena_fini(&a);
}

int main(void)
{
    (void)pthread_mutex_init(&t.lock, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(connections_that_are_answered_together_get_their_own_answers),
        cmocka_unit_test(bytes_may_come_one_at_a_time),
        cmocka_unit_test(a_body_may_be_bigger_than_a_block),
        cmocka_unit_test(gzip_is_undone_whatever_the_content_type_says),
        cmocka_unit_test(a_head_answer_has_a_length_and_no_body),
        cmocka_unit_test(expecting_100_continue_is_answered_before_the_body),
        cmocka_unit_test(requests_of_every_legal_form_are_taken),
        cmocka_unit_test(every_ambiguous_request_is_refused_and_the_connection_closed),
        cmocka_unit_test(limits_are_answered_431_and_413),
        cmocka_unit_test(a_gzip_bomb_is_refused_by_its_unpacked_size),
        cmocka_unit_test(a_request_that_drips_is_ended_by_its_deadline),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(one_connection_too_many_is_closed_at_once),
        cmocka_unit_test(a_client_may_leave_while_its_request_is_held),
        cmocka_unit_test(an_answer_bigger_than_the_socket_arrives_whole),
        cmocka_unit_test(a_client_that_does_not_read_its_answer_is_closed),
        cmocka_unit_test(a_stream_arrives_in_chunks_and_the_connection_goes_on),
        cmocka_unit_test(a_bare_stream_holds_nothing_of_its_request),
        cmocka_unit_test(a_stream_hears_that_its_client_has_gone),
        cmocka_unit_test(a_stream_whose_reader_sleeps_is_closed_at_its_bound),
        cmocka_unit_test(another_thread_answers_what_is_held),
        cmocka_unit_test(stopping_lets_running_requests_finish),
        cmocka_unit_test(stopping_ends_at_its_deadline),
        cmocka_unit_test(memory_for_requests_is_bounded),
        cmocka_unit_test(an_address_that_is_none_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
