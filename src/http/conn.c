/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.c - one connection.
 *
 *   idle --first byte--> request --last byte--> exchange --answered--> idle, or the next one that
 *                           |                                          was pipelined behind it
 *                           +--refused, or "close"--> sent --> lingering --> closed
 *
 * Requests are answered one at a time, in order; what a client pipelines behind one waits in the
 * block, and once that is full, in its socket. A request is not begun while answers lie unsent:
 * a client that does not read gets nothing more worked out for it.
 *
 * After an answer that ends the connection we stop sending and read on for a moment, throwing away:
 * closing with bytes unread would make the kernel reset the connection, and the client would
 * never see why it was refused (RFC 9112 9.6).
 *
 * Answers made while the block is being worked through are gathered and leave in one write. Those of
 * a few connections leave one after the other, before the loop waits again: a client on this machine
 * that runs as soon as it is written to takes the core from us, for each answer anew. Whose answers
 * are gathered has nothing else under way.
 */
#include "http/conn.h"

#include <unistd.h>

enum { GATHER_BYTES = 64 << 10, KEEP_OUT_BYTES = 1 << 20, SPARE_CONNS = 1024 };

static struct wire_limits limits_of(const struct http_loop *loop)
{
    return (struct wire_limits){ loop->options->header_bytes_max, loop->options->body_bytes_max };
}

/* ---- ending -------------------------------------------------------------------------------- */
static void on_closed(uv_handle_t *handle)
{
    struct conn *c = (struct conn *)handle;
    struct http_loop *loop = c->loop;
    if (c->prev) c->prev->next = c->next; else loop->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    buf_fini(&c->flying);
    buf_fini(&c->pending);
    if (loop->spare_conns_n < SPARE_CONNS) {
        c->next = loop->spare_conns;
        loop->spare_conns = c;
        loop->spare_conns_n++;
    } else {
        mem_free(c);
    }
    loop_conn_freed(loop);
}

void conn_close(struct conn *c)
{
    if (c->gathered) conns_send(c->loop);
    if (c->closing) return;
    c->closing = true;
    loop_wait(c, WAIT_NOTHING);
    if (c->exchange) {
        c->exchange->input = c->in;
        exchange_gone(c->exchange);
        c->exchange = NULL;
    } else {
        block_give(c->loop, c->in);
    }
    c->in = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct conn *c = (struct conn *)shutdown->handle;
    if (status < 0 && !c->closing) conn_close(c);
}

static void read_on(struct conn *c);

static void linger(struct conn *c)
{
    if (c->eof || uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0) {
        conn_close(c);
        return;
    }
    c->lingering = true;
    c->at = c->len = 0;
    loop_wait(c, WAIT_LINGER);
    read_on(c);
}

void conn_end(struct conn *c)
{
    if (c->closing) return;
    c->ending = true;
    if (!c->is_flying && !c->advancing) linger(c);
}

/* ---- sending ------------------------------------------------------------------------------- */
static void fly(struct conn *c);

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = (struct conn *)write->handle;
    if (c->closing) return;
    if (status < 0) {
        conn_close(c);
        return;
    }
    count(&c->loop->counters.bytes_out, (u64)c->flying.len);
    c->is_flying = false;
    c->flying.len = 0;
    if (c->pending.len > 0) {
        struct buf empty = c->flying;
        c->flying = c->pending;
        c->pending = empty;
        fly(c);
        return;
    }
    buf_fini(&c->flying);
    buf_fini(&c->pending);
    loop_wait(c, WAIT_NOTHING);
    if (c->ending) linger(c);
    else conn_advance(c);
}

static void fly(struct conn *c)
{
    uv_buf_t piece = uv_buf_init(c->flying.ptr, (unsigned)c->flying.len);
    c->is_flying = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &piece, 1, on_written) < 0) {
        conn_close(c);
        return;
    }
    c->unsent = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    loop_wait(c, WAIT_TAKEN);
}

static void send_now(struct conn *c, str bytes, str tail)
{
    assert(!c->is_flying);
    uv_buf_t pieces[2] = {
        uv_buf_init((char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len),
        uv_buf_init((char *)(uintptr_t)tail.ptr, (unsigned)tail.len),
    };
    isize total = bytes.len + tail.len;
    int sent = total == 0 ? 0 : uv_try_write((uv_stream_t *)&c->tcp, pieces, tail.len > 0 ? 2 : 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    isize done = max_isize(sent, 0);
    count(&c->loop->counters.bytes_out, (u64)done);
    if (done == total) return;
    buf_add(&c->flying, str_from(bytes, min_isize(done, bytes.len)));
    buf_add(&c->flying, str_from(tail, max_isize(done - bytes.len, 0)));
    fly(c);
}

/* tail: borrowed; the last one's. */
static void send_gathered(struct http_loop *loop, str tail)
{
    isize n = loop->gathered_n;
    struct buf *out = &loop->out;
    for (isize i = 0; i < n; i++) loop->gathered[i].conn->gathered = false;
    for (isize i = 0; i < n; i++) {
        isize from = loop->gathered[i].from, to = i + 1 < n ? loop->gathered[i + 1].from : out->len;
        send_now(loop->gathered[i].conn, (str){ out->ptr + from, to - from }, i + 1 < n ? S("") : tail);
    }
    assert(loop->gathered_n == n);
    loop->gathered_n = 0;
    if (out->cap > KEEP_OUT_BYTES) buf_fini(out);
    out->len = 0;
}

void conns_send(struct http_loop *loop) { send_gathered(loop, S("")); }

struct buf *conn_out(struct conn *c)
{
    assert(!c->closing);
    if (c->is_flying) return &c->pending;
    struct http_loop *loop = c->loop;
    if (!c->gathered) {
        if (loop->gathered_n == countof(loop->gathered)) conns_send(loop);
        loop->gathered[loop->gathered_n++] = (struct gathered){ c, loop->out.len };
        c->gathered = true;
    }
    assert(loop->gathered[loop->gathered_n - 1].conn == c);
    return &loop->out;
}

void conn_flush(struct conn *c, str tail)
{
    if (c->closing) return;
    struct buf *out = conn_out(c);
    bool later = c->is_flying || (c->advancing && out->len + tail.len <= GATHER_BYTES);
    if (later) buf_add(out, tail);
    else send_gathered(c->loop, tail);
}

/* ---- requests ------------------------------------------------------------------------------ */
static void refuse(struct conn *c, enum http_refusal refusal)
{
    loop_wait(c, WAIT_NOTHING);
    count(&c->loop->counters.refused[refusal], 1);
    answer_refusal(c, refusal);
    conn_end(c);
}

/* The file's own word is believed for the first try; many members, or a lie, cost a second one with
 * all the room there may be. */
static enum http_refusal gunzip(struct exchange *ex, isize room_max)
{
    struct http_loop *loop = ex->req.loop;
    room_max = max_isize(room_max, 1);
    isize room = max_isize(1, min_isize(wire_gunzip_hint(ex->req.body), room_max));
    for (;;) {
        isize n;
        ex->body = block_take(loop, room);
        if (!ex->body) return REFUSED_MEMORY;
        enum err err = wire_gunzip(loop->inflate, ex->req.body, ex->body->bytes, room, &n);
        if (err == ERR_OK) {
            ex->req.body = (str){ ex->body->bytes, n };
            return HTTP_REFUSALS_N;
        }
        if (err != ERR_TOO_BIG) return REFUSED_GZIP;
        if (room == room_max) return REFUSED_BODY_SIZE;
        block_give(loop, ex->body);
        ex->body = NULL;
        room = room_max;
    }
}

static struct exchange *begin_exchange(struct conn *c)
{
    struct exchange *ex = exchange_take(c->loop);
    ex->conn = c;
    c->exchange = ex;
    memcpy(ex->peer, c->peer, PEER_BYTES);
    ex->req.peer = str_of(ex->peer);
    wire_request(&c->wire, c->in->bytes + c->at,
                 arena_new(&ex->scratch, struct http_header, c->wire.headers_n), &ex->req);
    if (c->loop->stopping) ex->req.keep_alive = false;
    return ex;
}

static void drop_exchange(struct conn *c)
{
    struct exchange *ex = c->exchange;
    c->exchange = NULL;
    ex->conn = NULL;
    exchange_give(ex);
}

/* A stream that needs its request no more holds none of it. What was pipelined behind it keeps the block. */
static void strip(struct conn *c)
{
    exchange_strip(c->exchange);
    c->at += c->wire.consumed;
    c->wire.consumed = 0;
    if (c->at < c->len) return;
    block_give(c->loop, c->in);
    c->in = NULL;
    c->at = c->len = 0;
}

static void hand_over(struct conn *c)
{
    struct http_loop *loop = c->loop;
    loop_wait(c, WAIT_NOTHING);
    struct exchange *ex = begin_exchange(c);
    ex->req.began_us = clock_monotonic_us();
    if (c->wire.gzip && ex->req.body.len > 0) {
        enum http_refusal refusal = gunzip(ex, c->wire.limits.body_bytes_max);
        if (refusal != HTTP_REFUSALS_N) {
            drop_exchange(c);
            refuse(c, refusal);
            return;
        }
    }
    count(&loop->counters.requests, 1);
    loop->options->handle(loop->options->ctx, &ex->req);
    assert(c->exchange != ex || ex->held);              /* the handler answered, or holds */
    if (c->exchange == ex && ex->bare) strip(c);
}

/* The one look at a request before its body is taken. */
static void look_at_head(struct conn *c)
{
    struct http_loop *loop = c->loop;
    if (!loop->options->body_limit || (!c->wire.chunked && c->wire.content_length == 0)) return;
    struct exchange *ex = begin_exchange(c);
    ex->req.body = S("");
    isize limit = loop->options->body_limit(loop->options->ctx, &ex->req);
    assert(c->exchange == ex);
    assert(limit >= 0);
    c->wire.limits.body_bytes_max = limit;
    drop_exchange(c);
}

/* Makes room for more of a request that has not arrived whole. */
static void make_room(struct conn *c)
{
    if (c->at > 0) {
        memmove(c->in->bytes, c->in->bytes + c->at, (size_t)(c->len - c->at));
        c->len -= c->at;
        c->at = 0;
    }
    if (c->len < c->in->cap) return;
    isize need = max_isize(wire_need(&c->wire), c->len + 1);
    struct block *bigger = block_take(c->loop, min_isize(need, c->in->cap * 2));
    if (!bigger) {
        refuse(c, REFUSED_MEMORY);
        return;
    }
    memcpy(bigger->bytes, c->in->bytes, (size_t)c->len);
    block_give(c->loop, c->in);
    c->in = bigger;
}

static void advance(struct conn *c)
{
    while (!c->exchange && !c->ending && !c->closing && !c->is_flying && c->at < c->len) {
        if (!c->begun) {
            c->begun = true;
            wire_begin(&c->wire, limits_of(c->loop));
            loop_wait(c, WAIT_REQUEST);
        }
        isize n = c->len - c->at;
        enum wire_state state = wire_feed(&c->wire, c->in->bytes + c->at, &n);
        if (state == WIRE_HEAD) {
            look_at_head(c);
        } else if (state == WIRE_REFUSED) {
            refuse(c, c->wire.refusal);
        } else if (state == WIRE_READY) {
            hand_over(c);
        } else {
            c->len = c->at + n;
            if (c->wire.expects_continue && !c->continued) {
                c->continued = true;
                buf_add(conn_out(c), S("HTTP/1.1 100 Continue\r\n\r\n"));
            }
            if (c->waiting == WAIT_NOTHING) loop_wait(c, WAIT_REQUEST);
            make_room(c);
            return;
        }
    }
}

void conn_advance(struct conn *c)
{
    if (c->advancing || c->closing) return;
    c->advancing = true;
    advance(c);
    c->advancing = false;
    bool full = c->loop->gathered_n == countof(c->loop->gathered);
    if (c->gathered && (full || c->exchange || c->ending || c->eof)) conns_send(c->loop);
    if (c->closing) return;
    if (c->ending) {
        if (!c->is_flying && !c->lingering) linger(c);
        return;
    }
    if (c->eof && !c->exchange && !c->is_flying) {
        conn_close(c);
        return;
    }
    if (!c->exchange && c->at == c->len) {
        block_give(c->loop, c->in);
        c->in = NULL;
        c->at = c->len = 0;
        if (c->waiting == WAIT_NOTHING) loop_wait(c, WAIT_IDLE);
    }
    read_on(c);
}

/* ---- reading ------------------------------------------------------------------------------- */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = (struct conn *)handle;
    if (!c->in) c->in = block_take(c->loop, BLOCK_BYTES);
    *buf = c->in ? uv_buf_init(c->in->bytes + c->len, (unsigned)(c->in->cap - c->len)) : uv_buf_init(NULL, 0);
}

static void on_eof(struct conn *c)
{
    c->eof = true;
    if (c->exchange && !c->exchange->stream) {          /* it may still want its answer */
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    } else if (c->is_flying && !c->exchange) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    } else {
        conn_close(c);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct conn *c = (struct conn *)stream;
    if (c->gathered) conns_send(c->loop);
    if (c->closing) return;
    if (n > 0) {
        count(&c->loop->counters.bytes_in, (u64)n);
        if (c->lingering) return;                       /* len stays 0: thrown away */
        c->len += n;
        if (c->exchange || c->is_flying) read_on(c);
        else conn_advance(c);
        return;
    }
    if (n == UV_ENOBUFS && !c->lingering) {
        refuse(c, REFUSED_MEMORY);
    } else if (n == UV_EOF) {
        on_eof(c);
    } else if (n < 0) {
        conn_close(c);
    } else if (c->in && c->len == 0) {
        block_give(c->loop, c->in);
        c->in = NULL;
    }
}

/* Reads while there is room: a block that a held request stands in does not move. */
static void read_on(struct conn *c)
{
    bool want = !c->closing && !c->eof && (!c->in || c->len < c->in->cap);
    if (want == c->reading) return;
    c->reading = want;
    if (!want) uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) conn_close(c);
}

/* ---- deadlines ----------------------------------------------------------------------------- */
void conn_late(struct conn *c)
{
    if (c->gathered) conns_send(c->loop);
    if (c->closing) return;
    switch (c->waiting) {
    case WAIT_IDLE:
        count(&c->loop->counters.connections_idle_closed, 1);
        conn_close(c);
        return;
    case WAIT_REQUEST:
        refuse(c, REFUSED_SLOW);
        return;
    case WAIT_TAKEN: {
        size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
        if (unsent < c->unsent) {                       /* slow, but it does read */
            c->unsent = unsent;
            loop_wait(c, WAIT_TAKEN);
            return;
        }
        count(&c->loop->counters.slow_readers, 1);
        conn_close(c);
        return;
    }
    case WAIT_LINGER:
        conn_close(c);
        return;
    case WAIT_NOTHING:
    case WAITS_N:
        assert(false);
    }
}

/* ---- beginning ----------------------------------------------------------------------------- */
void conn_start(struct http_loop *loop, int fd, const char *peer)
{
    struct conn *c = loop->spare_conns;
    if (c) {
        loop->spare_conns = c->next;
        loop->spare_conns_n--;
        memset(c, 0, offsetof(struct conn, wire));
    } else {
        c = mem_new((isize)sizeof *c);
    }
    c->loop = loop;
    (void)strncpy(c->peer, peer, PEER_BYTES - 1);
    int failed = uv_tcp_init(&loop->uv, &c->tcp);
    assert(!failed);
    c->next = loop->conns;
    if (c->next) c->next->prev = c;
    loop->conns = c;
    loop->conns_n++;

    if (uv_tcp_open(&c->tcp, fd) < 0) {
        (void)close(fd);
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    loop_wait(c, WAIT_IDLE);
    read_on(c);
}

void conns_free(struct http_loop *loop)
{
    assert(!loop->conns);
    while (loop->spare_conns) {
        struct conn *next = loop->spare_conns->next;
        mem_free(loop->spare_conns);
        loop->spare_conns = next;
    }
}
