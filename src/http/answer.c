/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - what a handler calls to answer, and the life of an exchange.
 *
 * A handler may answer at once, or hold and answer when it likes; the client may leave at any time.
 * So an exchange outlives its connection: exchange_gone cuts the two, after which all answering is
 * a no-op, and whoever holds it still ends it. The gone callback is posted rather than called, so that it
 * never runs inside another call about the same request.
 */
#include "http/conn.h"

#include <stdio.h>

#include "base/json.h"
#include "base/logline.h"

enum { SPARE_EXCHANGES = 256, SPARE_SCRATCH_BYTES = 256 << 10 };

/* ---- exchanges ----------------------------------------------------------------------------- */
struct exchange *exchange_take(struct http_loop *loop)
{
    struct exchange *ex = loop->spare_exchanges;
    if (ex) {
        loop->spare_exchanges = ex->next;
        loop->spare_exchanges_n--;
        memset(ex, 0, offsetof(struct exchange, scratch));
    } else {
        ex = mem_new((isize)sizeof *ex);
    }
    ex->req.loop = loop;
    ex->req.loop_state = loop->state;
    ex->req.clock = loop->options->clock;
    ex->req.scratch = &ex->scratch;
    ex->next = loop->exchanges;
    if (ex->next) ex->next->prev = ex;
    loop->exchanges = ex;
    return ex;
}

static void exchange_free(struct exchange *ex)
{
    arena_fini(&ex->scratch);
    mem_free(ex);
}

void exchange_give(struct exchange *ex)
{
    struct http_loop *loop = ex->req.loop;
    assert(!ex->conn);
    ex->ended = true;
    if (ex->telling) return;                            /* tell_gone comes back to this */

    if (ex->held) count(&loop->counters.held, (u64)-1);
    if (ex->stream) count(&loop->counters.streams_open, (u64)-1);
    block_give(loop, ex->body);
    block_give(loop, ex->input);
    if (ex->prev) ex->prev->next = ex->next; else loop->exchanges = ex->next;
    if (ex->next) ex->next->prev = ex->prev;
    arena_clear(&ex->scratch);
    if (loop->spare_exchanges_n == SPARE_EXCHANGES) {
        exchange_free(ex);
        return;
    }
    if (ex->scratch.end - ex->scratch.at > SPARE_SCRATCH_BYTES) arena_fini(&ex->scratch);
    ex->next = loop->spare_exchanges;
    loop->spare_exchanges = ex;
    loop->spare_exchanges_n++;
}

static void tell_gone(void *arg)
{
    struct exchange *ex = arg;
    ex->telling = false;
    if (ex->ended) {
        exchange_give(ex);
        return;
    }
    void (*gone)(void *ctx, struct http_request *req) = ex->gone;
    ex->gone = NULL;
    gone(ex->gone_ctx, &ex->req);
}

static void tell(struct exchange *ex)
{
    if (ex->conn || ex->ended || ex->telling || !ex->gone) return;
    ex->telling = http_post(ex->req.loop, tell_gone, ex);
}

void exchange_gone(struct exchange *ex)
{
    ex->conn = NULL;
    tell(ex);
}

void exchanges_free(struct http_loop *loop)
{
    while (loop->exchanges) {
        struct exchange *next = loop->exchanges->next;
        block_give(loop, loop->exchanges->body);
        block_give(loop, loop->exchanges->input);
        exchange_free(loop->exchanges);
        loop->exchanges = next;
    }
    while (loop->spare_exchanges) {
        struct exchange *next = loop->spare_exchanges->next;
        exchange_free(loop->spare_exchanges);
        loop->spare_exchanges = next;
    }
}

void exchange_strip(struct exchange *ex)
{
    struct http_request *req = &ex->req;
    req->path = req->query = req->body = S("");
    req->headers = NULL;
    req->headers_n = 0;
    block_give(req->loop, ex->body);
    ex->body = NULL;
    arena_fini(&ex->scratch);
}

/* The request has had its answer: its connection goes on without it. */
static void finish(struct exchange *ex)
{
    struct conn *c = ex->conn;
    bool keep_alive = ex->req.keep_alive;
    if (c) {
        c->exchange = NULL;
        c->at += c->wire.consumed;
        c->begun = c->continued = false;
    }
    ex->conn = NULL;
    exchange_give(ex);
    if (!c) return;
    if (keep_alive) conn_advance(c);
    else conn_end(c);
}

static struct exchange *exchange_of(struct http_request *req)
{
    struct exchange *ex = (struct exchange *)req;
    assert(!ex->ended);
    assert(pthread_equal(pthread_self(), req->loop->self));
    return ex;
}

/* ---- heads --------------------------------------------------------------------------------- */
static str reason_of(i32 status)
{
    switch (status) {
    case 200: return S("OK");
    case 201: return S("Created");
    case 202: return S("Accepted");
    case 204: return S("No Content");
    case 206: return S("Partial Content");
    case 301: return S("Moved Permanently");
    case 302: return S("Found");
    case 303: return S("See Other");
    case 304: return S("Not Modified");
    case 307: return S("Temporary Redirect");
    case 308: return S("Permanent Redirect");
    case 400: return S("Bad Request");
    case 401: return S("Unauthorized");
    case 403: return S("Forbidden");
    case 404: return S("Not Found");
    case 405: return S("Method Not Allowed");
    case 406: return S("Not Acceptable");
    case 408: return S("Request Timeout");
    case 409: return S("Conflict");
    case 410: return S("Gone");
    case 412: return S("Precondition Failed");
    case 413: return S("Content Too Large");
    case 415: return S("Unsupported Media Type");
    case 417: return S("Expectation Failed");
    case 422: return S("Unprocessable Content");
    case 429: return S("Too Many Requests");
    case 431: return S("Request Header Fields Too Large");
    case 500: return S("Internal Server Error");
    case 501: return S("Not Implemented");
    case 503: return S("Service Unavailable");
    case 505: return S("HTTP Version Not Supported");
    default: return S("");                              /* RFC 9112 4: a client ignores it anyway */
    }
}

static bool header_is_safe(str s)
{
    for (isize i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static void add_header(struct buf *out, struct http_header header)
{
    if (!header_is_safe(header.name) || !header_is_safe(header.value)) {
        log_error("http.header_left_out name=%.*s why=control_character",
                  header_is_safe(header.name) ? (int)header.name.len : 0, header.name.ptr);
        return;
    }
    buf_add(out, header.name);
    buf_add(out, S(": "));
    buf_add(out, header.value);
    buf_add(out, S("\r\n"));
}

/* What every answer begins with. */
static void add_status(struct buf *out, const struct http_loop *loop, i32 status, str type)
{
    assert(status >= 200 && status <= 599);
    buf_reserve(out, 512);
    buf_add(out, S("HTTP/1.1 "));
    buf_int(out, status);
    buf_byte(out, ' ');
    buf_add(out, reason_of(status));
    buf_add(out, S("\r\nDate: "));
    buf_add(out, (str){ loop->date, loop->date_len });
    buf_add(out, S("\r\n"));
    if (type.len > 0) add_header(out, (struct http_header){ S("Content-Type"), type });
}

static void add_connection(struct buf *out, const struct conn *c, bool keep_alive)
{
    if (!keep_alive) buf_add(out, S("Connection: close\r\n"));
    else if (c->wire.minor_0) buf_add(out, S("Connection: keep-alive\r\n"));
}

/* ---- whole answers ------------------------------------------------------------------------- */
void http_hold(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    if (ex->held) return;
    ex->held = true;
    count(&req->loop->counters.held, 1);
}

void http_reply(struct http_request *req, i32 status, str type, str body,
                const struct http_header *extra, isize extra_n)
{
    struct exchange *ex = exchange_of(req);
    assert(!ex->stream);
    struct conn *c = ex->conn;
    count(&req->loop->counters.answers[status / 100 - 1], 1);
    if (c) {
        if (req->loop->stopping) req->keep_alive = false;
        struct buf *out = conn_out(c);
        add_status(out, req->loop, status, type);
        if (status != 204 && status != 304) {
            buf_add(out, S("Content-Length: "));
            buf_int(out, body.len);
            buf_add(out, S("\r\n"));
        }
        add_connection(out, c, req->keep_alive);
        for (isize i = 0; i < extra_n; i++) add_header(out, extra[i]);
        buf_add(out, S("\r\n"));
        bool mute = req->method == METHOD_HEAD || status == 204 || status == 304;
        ex->ended = true;                               /* a write that fails tells nobody */
        conn_flush(c, mute ? S("") : body);
    }
    finish(ex);
}

static void problem(struct buf *out, enum err err, i32 status, str detail)
{
    struct jsonw w = { .out = out };
    char type[64];
    (void)snprintf(type, sizeof type, "/problems/%s", err_name(err));
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "type", str_of(type));
    jsonw_key_str(&w, "title", str_of(err_title(err)));
    jsonw_key_int(&w, "status", status);
    if (detail.len > 0) jsonw_key_str(&w, "detail", detail);
    jsonw_end(&w, '}');
}

void http_reply_problem(struct http_request *req, enum err err, str detail,
                        const struct http_header *extra, isize extra_n)
{
    struct buf body = { .arena = req->scratch };
    problem(&body, err, err_http(err), detail);
    http_reply(req, err_http(err), S("application/problem+json"), buf_str(&body), extra, extra_n);
}

static const struct { i32 status; enum err err; const char *name, *why; } refusals[] = {
#define REFUSAL(name, counter, http, err, why) { http, err, counter, why },
#include "http/refusal.def"
#undef REFUSAL
};

const char *http_refusal_name(enum http_refusal refusal)
{
    assert(refusal >= 0 && refusal < HTTP_REFUSALS_N);
    return refusals[refusal].name;
}

void answer_refusal(struct conn *c, enum http_refusal refusal)
{
    struct http_loop *loop = c->loop;
    i32 status = refusals[refusal].status;
    count(&loop->counters.answers[status / 100 - 1], 1);

    struct buf body = { 0 };
    problem(&body, refusals[refusal].err, status, str_of(refusals[refusal].why));
    struct buf *out = conn_out(c);
    add_status(out, loop, status, S("application/problem+json"));
    buf_add(out, S("Content-Length: "));
    buf_int(out, body.len);
    buf_add(out, S("\r\nConnection: close\r\n"));
    if (status == 503) buf_add(out, S("Retry-After: 1\r\n"));
    buf_add(out, S("\r\n"));
    conn_flush(c, buf_str(&body));
    buf_fini(&body);
}

/* ---- answers in pieces --------------------------------------------------------------------- */
void http_stream_begin(struct http_request *req, i32 status, str type,
                       const struct http_header *extra, isize extra_n)
{
    struct exchange *ex = exchange_of(req);
    assert(!ex->stream);
    http_hold(req);
    ex->stream = true;
    count(&req->loop->counters.streams_open, 1);
    count(&req->loop->counters.answers[status / 100 - 1], 1);
    struct conn *c = ex->conn;
    if (!c) return;

    ex->mute = req->method == METHOD_HEAD || status == 204 || status == 304;
    ex->chunks = !ex->mute && !c->wire.minor_0;
    if (c->wire.minor_0 || req->loop->stopping) req->keep_alive = false;     /* 1.0: the end is the close */
    struct buf *out = conn_out(c);
    add_status(out, req->loop, status, type);
    if (ex->chunks) buf_add(out, S("Transfer-Encoding: chunked\r\n"));
    add_connection(out, c, req->keep_alive);
    for (isize i = 0; i < extra_n; i++) add_header(out, extra[i]);
    buf_add(out, S("\r\n"));
    (void)uv_tcp_keepalive(&c->tcp, 1, 60);             /* a peer that fell silent is noticed */
    conn_flush(c, S(""));
    if (ex->conn && c->eof) conn_close(c);
}

bool http_stream_write(struct http_request *req, str bytes)
{
    struct exchange *ex = exchange_of(req);
    assert(ex->stream);
    struct conn *c = ex->conn;
    if (!c) return false;
    if (ex->mute || bytes.len == 0) return true;

    struct buf *out = conn_out(c);
    if (ex->chunks) buf_printf(out, "%tx\r\n", bytes.len);
    buf_add(out, bytes);
    if (ex->chunks) buf_add(out, S("\r\n"));
    conn_flush(c, S(""));
    if (c->flying.len + c->pending.len > req->loop->options->stream_bytes_max) {
        count(&req->loop->counters.slow_readers, 1);
        conn_close(c);
    }
    return ex->conn != NULL;
}

void http_stream_bare(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    assert(ex->stream);
    ex->bare = true;
}

void http_stream_end(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    assert(ex->stream);
    struct conn *c = ex->conn;
    if (c && ex->chunks) {
        buf_add(conn_out(c), S("0\r\n\r\n"));
        ex->ended = true;
        conn_flush(c, S(""));
    }
    finish(ex);
}

void http_on_gone(struct http_request *req, void (*gone)(void *ctx, struct http_request *req), void *ctx)
{
    struct exchange *ex = exchange_of(req);
    assert(!ex->telling);
    ex->gone = gone;
    ex->gone_ctx = ctx;
    tell(ex);
}

bool http_is_gone(const struct http_request *req) { return ((const struct exchange *)req)->conn == NULL; }
