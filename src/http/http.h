/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h - an HTTP/1.1 server: sockets and framing, no routes.
 *
 * Bytes become struct http_request, and a handler answers. Whatever is ambiguous on the wire (two
 * lengths, a bare line feed, a folded header, a chunk without its CRLF, ...) is refused and the
 * connection closed, so that nothing in front of us can be made to disagree with us about where
 * a request ends.
 *
 *   reads    base/
 *   feeds    api/ (handlers, event streams, counters)
 *   threads  one loop a core. A request belongs to its loop: http_reply, http_hold and
 *            http_stream_* are called there, and only http_post is for other threads
 *   memory   a request and all it points to live until it is answered, in blocks and arenas the
 *            loop reuses: nothing is allocated in the steady state
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/clock.h"
#include "base/config.h"
#include "base/err.h"
#include "http/sender.h"

struct http_server;
struct http_loop;

enum http_method {
    METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE, METHOD_OPTIONS,
};
str http_method_name(enum http_method method);

struct http_header { str name, value; };

/* ---- a request ---------------------------------------------------------------------------- */
struct http_request {
    enum http_method method;
    str path, query;                    /* as sent, not percent-decoded; query without the '?' */
    const struct http_header *headers;  /* as sent, in order; http_header() looks one up */
    isize headers_n;
    str body;                           /* whole, un-chunked and un-gzipped */
    str peer;                           /* "203.0.113.7", of whoever holds the socket: maybe a proxy */
    bool keep_alive;
    arena *scratch;                     /* emptied once the request is answered */
    struct clock clock;
    i64 began_us;                       /* clock_monotonic_us() when it had arrived whole */
    struct http_loop *loop;
    void *loop_state;                   /* what options.loop_start returned */
    void *own;                          /* the handler's; null at first */
};

/* The handler answers before it returns, or calls http_hold and sees to it that the request is
 * answered later on the same loop. Each request is ended exactly once, by http_reply or by
 * http_stream_end; then it is gone. When its client has left in between, ending it is still due
 * and does nothing else. */
void http_hold(struct http_request *req);

/* type may be empty when there is no body. `body` and `extra` are only borrowed. Content-Length, Date
 * and Connection are made here; an extra header with a control character in it is left out.
 * HEAD, 204 and 304 send no body. */
void http_reply(struct http_request *req, i32 status, str type, str body,
                const struct http_header *extra, isize extra_n);
/* Also for an answer of an error alone: a problem document (RFC 9457) of err, with `detail`. */
void http_reply_problem(struct http_request *req, enum err err, str detail,
                        const struct http_header *extra, isize extra_n);

/* An answer in pieces (server-sent events). Begin also holds. Write is false once the client has gone;
 * a client that lets more than options.stream_bytes_max pile up is closed. */
void http_stream_begin(struct http_request *req, i32 status, str type,
                       const struct http_header *extra, isize extra_n);
bool http_stream_write(struct http_request *req, str bytes);
/* For streams that stay open by the thousand: when the handler that began it returns, the request's
 * bytes, headers and scratch are given back, and `own` and `loop` are all that is left of it. An
 * idle stream then holds under 4 KB. */
void http_stream_bare(struct http_request *req);
void http_stream_end(struct http_request *req);

/* Runs on the loop, at most once, when the client of a held request or stream goes away (or the
 * server stops under it) before it is ended. It may end the request itself. */
void http_on_gone(struct http_request *req, void (*gone)(void *ctx, struct http_request *req), void *ctx);
bool http_is_gone(const struct http_request *req);

/* ---- looking things up; what has to be decoded is made in scratch -------------------------- */
str http_header(const struct http_request *req, str name);      /* empty when absent; ASCII case ignored */
/* The first parameter of that name, percent-decoded, '+' as space; `otherwise` when absent or when
 * the escapes are broken. */
str http_query(const struct http_request *req, str name, str otherwise);
str http_cookie(const struct http_request *req, str name);      /* empty when absent */
/* Authorization: Basic; a missing colon means an empty password. False when there is none. */
bool http_basic(const struct http_request *req, str *name, str *password);
str http_bearer(const struct http_request *req);                /* empty when absent */

/* False on an escape that is none. Without escapes the result is `s` itself. */
bool percent_decode(arena *a, str s, bool plus_is_space, str *out);
/* Unreserved characters of RFC 3986 stay, all others are escaped. */
str percent_encode(arena *a, str s);
/* Standard and URL-safe alphabet, padding optional. False on anything else. */
bool base64_decode(arena *a, str s, str *out);
str base64_encode(arena *a, str s);                             /* standard alphabet, padded */

/* ---- the server --------------------------------------------------------------------------- */
struct http_options {
    int listen_fd;                      /* borrowed: each loop listens on a duplicate of it */
    isize loops;                        /* 0: one a core */
    isize header_bytes_max;             /* request line and headers together */
    isize body_bytes_max;               /* as sent, and again after un-gzipping */
    isize connections_max;              /* of all loops together; one more is closed at once */
    isize stream_bytes_max;             /* unsent bytes of one stream */
    isize memory_bytes_max;             /* request bytes held by all loops; beyond it 503 */
    i64 request_ms;                     /* from a request's first byte to its last, or 408 */
    i64 idle_ms;                        /* between requests */
    struct clock clock;

    void *ctx;                          /* handed to each of these */
    void (*handle)(void *ctx, struct http_request *req);
    /* Optional, on the loop's own thread, which is registered with rcu. */
    void *(*loop_start)(void *ctx, struct http_loop *loop);
    void (*loop_stop)(void *ctx, void *loop_state);
    /* Optional: the body cap of this one request, whose head has arrived. */
    isize (*body_limit)(void *ctx, const struct http_request *head);
};

/* Everything but listen_fd, ctx and the functions. */
struct http_options http_options(const struct config *config);

/* A listening socket on "127.0.0.1", "::1", "0.0.0.0", ...; port 0 takes a free one. The caller
 * owns it, and may keep it while servers come and go. */
MUST_USE enum err http_listen(str address, i32 port, int *fd, struct diag *diag);
/* A listening socket that is a file, for its owner and root alone: the file's mode says so, and
 * each caller is asked who they are. What lay there is replaced. */
MUST_USE enum err http_listen_file(const char *path, int *fd, struct diag *diag);
i32 http_port(int fd);                                  /* 0 of a file */

MUST_USE enum err http_server_start(const struct http_options *options, struct http_server **out,
                                    struct diag *diag);
/* Stops accepting, closes what is idle and all streams, lets running requests finish for at most
 * `wait_ms`, then closes them too, and waits for the loops to end. From then on http_post answers
 * false. Requests that nobody ended are given back by http_server_free. */
void http_server_stop(struct http_server *server, i64 wait_ms);
void http_server_free(struct http_server *server);

/* Runs `run(arg)` on the loop soon, in the order posted. From any thread. False, and it will not run,
 * when the loop has stopped. */
bool http_post(struct http_loop *loop, void (*run)(void *arg), void *arg);
isize http_loop_number(const struct http_loop *loop);           /* 0 .. loops-1 */
isize http_server_loops(const struct http_server *server);
struct http_loop *http_server_loop(struct http_server *server, isize number);

/* ---- asking somebody else (client.c) --------------------------------------------------------- */
/* Any method of an http or https address; redirects are followed for GET. An answer of any status
 * is ERR_OK. ERR_TOO_BIG over bytes_max, ERR_TIMEOUT, ERR_REFUSED with the reason when there is no
 * answer. Blocks: not on an HTTP loop. */
struct http_fetch {
    enum http_method method;
    str url, body;
    const struct http_header *headers; isize headers_n;
    isize bytes_max;                    /* of the answer, unpacked */
    i64 timeout_ms;                     /* for all of it */
    /* the socket to go by, instead of what the address names; null: none */
    const char *file;
};
struct http_fetched { i32 status; str body; };
MUST_USE enum err http_fetch(const struct http_fetch *ask, arena *a, struct http_fetched *out,
                             struct diag *diag);

/* ---- counters ------------------------------------------------------------------------------ */
/* Why a request was refused before a handler saw it: refusal.def. */
enum http_refusal {
#define REFUSAL(name, counter, http, err, why) REFUSED_##name,
#include "http/refusal.def"
#undef REFUSAL
    HTTP_REFUSALS_N
};
const char *http_refusal_name(enum http_refusal refusal);       /* "head-size" */

struct http_counters {
    u64 connections;                    /* accepted, ever */
    u64 connections_open, streams_open, held;
    u64 connections_refused;            /* over connections_max */
    u64 connections_idle_closed;
    u64 slow_readers;                   /* closed because they did not take their answer */
    u64 requests;                       /* handed to the handler */
    u64 answers[5];                     /* by status: 2xx at [1] .. 5xx at [4]; refusals included */
    u64 bytes_in, bytes_out;
    u64 refused[HTTP_REFUSALS_N];
};
void http_server_counters(const struct http_server *server, struct http_counters *out);

#endif
