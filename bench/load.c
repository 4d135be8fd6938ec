/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c - one thread, one epoll, keep-alive connections with one request each under way. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { SLOTS_MAX = 512, ANSWER_MAX = 256 << 10, GRACE_US = 2000000, CORNER_ITEMS = 400 };

struct slot { isize at, width; char kind; };
struct connection { int fd; bool busy; i64 due_us; isize got, want; char *answer; };

struct run {
    const struct load *load;
    arena *a;
    char *text;
    struct slot slots[SLOTS_MAX];
    isize slots_n;
    struct rng rng;
    struct connection *all, **idle;
    isize idle_n;
    int epoll;
    struct { u32 *at; isize n, cap; } took_us;
    i64 sent, refused;
};

/* ---- requests ---------------------------------------------------------------------------------- */

static void find_slots(struct run *r)
{
    str text = r->load->request;
    r->text = arena_alloc(r->a, 1, 1, text.len);
    memcpy(r->text, text.ptr, (size_t)text.len);
    for (isize i = 0; i < text.len;) {
        char kind = text.ptr[i];
        isize from = i++;
        if (kind < 1 || kind > 4) continue;
        while (i < text.len && text.ptr[i] == kind) i++;
        assert(r->slots_n < SLOTS_MAX);
        r->slots[r->slots_n++] = (struct slot){ from, i - from, kind };
    }
}

static void put_number(char *to, isize width, u64 n)
{
    for (isize i = width - 1; i >= 0; i--, n /= 10) to[i] = (char)('0' + n % 10);
}

/* Everybody has a corner of the shop, and goes less often the further from it. */
static u32 item_for(struct run *r, u32 person)
{
    f64 far = rng_unit(&r->rng);
    u32 corner = person * 2654435761u;
    return (u32)(((u64)corner + (u64)(far * far * CORNER_ITEMS)) % r->load->items);
}

static void fill_slots(struct run *r)
{
    static u64 number;
    u32 person = 0;
    if (number == 0) rng_system(&number, sizeof number);
    for (isize i = 0; i < r->slots_n; i++) {
        struct slot s = r->slots[i];
        u64 n = 0;
        if (s.kind == 1) n = person = rng_below(&r->rng, r->load->people);
        if (s.kind == 2) n = item_for(r, person);
        if (s.kind == 3) n = number++;
        if (s.kind == 4) n = person;
        put_number(r->text + s.at, s.width, n);
    }
}

static void send_request(struct run *r, struct connection *c, i64 due_us)
{
    fill_slots(r);
    c->busy = true;
    c->due_us = due_us;
    c->got = c->want = 0;
    r->sent++;
    for (isize at = 0; at < r->load->request.len;) {
        isize n = write(c->fd, r->text + at, (size_t)(r->load->request.len - at));
        if (n > 0) at += n;
        else if (errno == EAGAIN) (void)poll(&(struct pollfd){ .fd = c->fd, .events = POLLOUT }, 1, 1000);
        else if (errno != EINTR) give_up("a connection was lost while sending");
    }
}

/* ---- answers ------------------------------------------------------------------------------------- */

/* The bytes the answer has in all, 0 while its head is not whole. */
static isize answer_length(const struct connection *c)
{
    const char *end = memmem(c->answer, (size_t)c->got, "\r\n\r\n", 4);
    if (!end) return 0;
    static const char field[] = "content-length:";
    for (const char *p = c->answer; p < end; p++)
        if (*p == '\n' && str_eq_nocase((str){ p + 1, sizeof field - 1 }, S("content-length:")))
            return end + 4 - c->answer + strtoll(p + sizeof field, NULL, 10);
    give_up("an answer says no length: %.*s", (int)(end - c->answer), c->answer);
}

static void answered(struct run *r, struct connection *c, i64 now_us)
{
    if (memcmp(c->answer, "HTTP/1.1 200", 12) != 0 && r->refused++ == 0)
        dprintf(STDERR_FILENO, "refused: %.*s\n", (int)min_isize(c->got, 300), c->answer);
    c->busy = false;
    r->idle[r->idle_n++] = c;
    vec_push(&r->took_us, (u32)(now_us - c->due_us));
}

static void receive(struct run *r, struct connection *c)
{
    isize n = read(c->fd, c->answer + c->got, (size_t)(ANSWER_MAX - c->got));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) give_up("the server closed a connection");
    c->got += n;
    if (!c->want) c->want = answer_length(c);
    if (c->want > ANSWER_MAX) give_up("an answer has %lld bytes", (long long)c->want);
    if (c->want && c->got >= c->want) answered(r, c, clock_monotonic_us());
}

/* ---- the run --------------------------------------------------------------------------------------- */

static void connect_all(struct run *r)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((u16)r->load->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->all = arena_new(r->a, struct connection, r->load->connections);
    r->idle = arena_new(r->a, struct connection *, r->load->connections);
    for (isize i = 0; i < r->load->connections; i++) {
        struct connection *c = &r->all[i];
        c->answer = arena_alloc(r->a, 1, 1, ANSWER_MAX);
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) give_up("nobody listens on port %d", r->load->port);
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
        (void)epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event);
        r->idle[r->idle_n++] = c;
    }
}

/* Sends what is due; returns when the next is, or `until_us`. */
static i64 send_due(struct run *r, i64 began_us, i64 until_us)
{
    const struct load *load = r->load;
    for (;;) {
        i64 now = clock_monotonic_us();
        i64 due = load->rate > 0 ? began_us + (i64)((f64)r->sent * 1e6 / load->rate) : now;
        if (due >= until_us || due > now || r->idle_n == 0) return min_i64(due, until_us);
        send_request(r, r->idle[--r->idle_n], due);
    }
}

static void wait_until(struct run *r, i64 until_us)
{
    struct epoll_event events[256];
    i64 left = max_i64(0, until_us - clock_monotonic_us());
    struct timespec wait = { left / 1000000, (long)(left % 1000000) * 1000 };
    int n = epoll_pwait2(r->epoll, events, countof(events), &wait, NULL);
    for (int i = 0; i < n; i++) receive(r, events[i].data.ptr);
}

static int ascending(const void *x, const void *y)
{
    u32 a = *(const u32 *)x, b = *(const u32 *)y;
    return (a > b) - (a < b);
}

static f64 quantile_ms(const struct run *r, f64 p)
{
    return r->took_us.n ? r->took_us.at[(isize)(p * (f64)(r->took_us.n - 1))] / 1e3 : 0;
}

struct loaded load_run(const struct load *load, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    struct run r = { .load = load, .a = a };
    u64 seed;
    rng_system(&seed, sizeof seed);
    r.rng = rng_seed(seed);
    find_slots(&r);
    connect_all(&r);
    i64 began = clock_monotonic_us(), until = began + load->us;
    while (clock_monotonic_us() < until) {
        i64 next = send_due(&r, began, until);
        wait_until(&r, r.idle_n ? next : until);
    }
    struct loaded out = { .done = r.took_us.n, .seconds = (f64)(clock_monotonic_us() - began) / 1e6 };
    while (r.idle_n < load->connections && clock_monotonic_us() < until + GRACE_US) wait_until(&r, until + GRACE_US);
    if (r.idle_n < load->connections) give_up("%lld requests were never answered", (long long)(load->connections - r.idle_n));
    /* What was due and found no free connection waited at least until now. */
    for (i64 due; load->rate > 0 && (due = began + (i64)((f64)r.sent * 1e6 / load->rate)) < until; r.sent++)
        vec_push(&r.took_us, (u32)(clock_monotonic_us() - due));
    for (isize i = 0; i < load->connections; i++) (void)close(r.all[i].fd);
    (void)close(r.epoll);
    if (r.took_us.n) qsort(r.took_us.at, (size_t)r.took_us.n, sizeof *r.took_us.at, ascending);
    out.refused = r.refused;
    out.rate = (f64)out.done / out.seconds;
    out.p50_ms = quantile_ms(&r, .50);
    out.p99_ms = quantile_ms(&r, .99);
    vec_fini(&r.took_us);
    arena_reset(a, mark);
    return out;
}
