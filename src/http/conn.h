/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.h - inside the room: a loop, its connections, and the exchange each may be in.
 *
 *   loop.c    server, threads, accepting, posts, blocks, deadlines, counters
 *   conn.c    one connection: read, parse, hand over, time out, close
 *   answer.c  what the handler calls: replies, streams, holding
 *
 * An idle connection holds nothing but itself. Its bytes stand in a block from the first one of a
 * request until it is answered; from its last byte on the request lives in an exchange. Blocks,
 * exchanges and connections come from the loop's own stock and go back there.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "http/wire.h"

enum { BLOCK_BYTES = 16 << 10, BLOCK_SIZES = 18, PEER_BYTES = 48, GATHERED_MOST = 4 };

struct block { struct block *next; isize cap; i32 size; char bytes[]; };

struct exchange {
    struct http_request req;                    /* first: a request is its exchange */
    struct conn *conn;                          /* null once the client is gone */
    struct exchange *prev, *next;               /* all of a loop that are in use */
    bool held, stream, chunks, mute, ended;
    bool bare;                                  /* http_stream_bare was called */
    bool telling;                               /* tell_gone is posted, and needs this alive */
    void (*gone)(void *ctx, struct http_request *req);
    void *gone_ctx;
    struct block *input;                        /* owned once the connection is gone */
    struct block *body;                         /* owned; when un-gzipped */
    arena scratch;
    char peer[PEER_BYTES];
};

/* What a connection waits for. Each list has one duration, so that it stays in the order of its
 * deadlines, and only its head needs looking at. */
enum waiting { WAIT_NOTHING, WAIT_IDLE, WAIT_REQUEST, WAIT_TAKEN, WAIT_LINGER, WAITS_N };

struct conn {
    uv_tcp_t tcp;                               /* first: a handle is its connection */
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct http_loop *loop;
    struct conn *prev, *next;                   /* all of the loop */
    struct conn *wait_prev, *wait_next;
    enum waiting waiting;
    i64 deadline;

    struct block *in;                           /* bytes[at .. len): not answered yet */
    isize at, len;
    struct exchange *exchange;
    struct buf flying;                          /* with the kernel, until `written` */
    struct buf pending;                         /* after that */
    size_t unsent;                              /* when its reader was last looked at */
    bool reading, begun, continued, advancing;
    bool is_flying, gathered, ending, lingering, eof, closing;
    char peer[PEER_BYTES];
    struct wire wire;
};

struct loop_counters {
#define LOOP_COUNTERS(X)                                                                        \
    X(connections) X(connections_open) X(streams_open) X(held) X(connections_refused)           \
    X(connections_idle_closed) X(slow_readers) X(requests) X(bytes_in) X(bytes_out)
#define X(name) _Atomic u64 name;
    LOOP_COUNTERS(X)
#undef X
    _Atomic u64 answers[5], refused[HTTP_REFUSALS_N];
};

/* The loop is the only writer but of connections_open, which whoever accepts raises. */
static inline void count(_Atomic u64 *counter, u64 more)
{
    u64 now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

struct post { void (*run)(void *arg); void *arg; };

struct http_loop {
    struct http_server *server;
    const struct http_options *options;
    isize number;
    pthread_t thread, self;                     /* the starter's handle, and its own */
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    uv_prepare_t before_wait;
    uv_poll_t listener;
    int listen_fd;                              /* owned: a duplicate */
    bool accept_paused;
    void *state;

    pthread_mutex_t lock;                       /* posts and closed */
    struct { struct post *at; isize n, cap; } posts, running;
    bool closed;

    struct { struct conn *first, *last; } waits[WAITS_N];
    struct conn *conns, *spare_conns;
    struct exchange *exchanges, *spare_exchanges;
    isize conns_n, spare_exchanges_n, spare_conns_n;
    struct block *spare_blocks[BLOCK_SIZES];
    isize spare_bytes, block_bytes, block_bytes_max;
    struct libdeflate_decompressor *inflate;

    struct buf out;                             /* answers not sent yet: of each of `gathered`, in turn */
    struct gathered { struct conn *conn; isize from; } gathered[GATHERED_MOST];
    isize gathered_n;
    char date[32];                              /* of now: "Sat, 21 Nov 2026 08:00:00 GMT" */
    isize date_len;

    bool stopping;
    i64 stop_at, idle_stop_at;
    struct loop_counters counters;
};

/* loop.c */
struct block *block_take(struct http_loop *loop, isize bytes);         /* null when over the budget */
void block_give(struct http_loop *loop, struct block *block);           /* null is fine */
void loop_wait(struct conn *c, enum waiting waiting);                   /* from now on */
void loop_conn_freed(struct http_loop *loop);

/* conn.c */
void conn_start(struct http_loop *loop, int fd, const char *peer);
void conn_close(struct conn *c);
void conn_end(struct conn *c);                  /* once all is sent */
void conn_late(struct conn *c);                 /* the deadline of what it waits for has passed */
void conn_advance(struct conn *c);
/* Where bytes for this client go; they leave with the next flush. */
struct buf *conn_out(struct conn *c);
void conn_flush(struct conn *c, str tail);      /* tail is borrowed */
void conns_send(struct http_loop *loop);        /* what is gathered */
void conns_free(struct http_loop *loop);

/* answer.c */
void answer_refusal(struct conn *c, enum http_refusal refusal);
struct exchange *exchange_take(struct http_loop *loop);
void exchange_give(struct exchange *ex);
void exchange_gone(struct exchange *ex);        /* its connection closes */
void exchange_strip(struct exchange *ex);       /* the request's own memory goes; it is still to be ended */
void exchanges_free(struct http_loop *loop);

#endif
