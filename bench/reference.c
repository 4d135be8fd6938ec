/* SPDX-License-Identifier: Apache-2.0
 *
 * reference.c - the least that anything could cost: HTTP without a parser, durability without a record. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { THREADS = 2, FDS_MAX = 4096, REQUEST_MAX = 64 << 10, SYNC_FILE_BYTES = 64 << 20 };

/* ---- HTTP ---------------------------------------------------------------------------------------- */

struct taken { isize n; char bytes[REQUEST_MAX]; };

/* The whole request at the front, 0 while it is not whole. */
static isize request_length(const struct taken *t)
{
    static const char field[] = "Content-Length: ";
    const char *end = memmem(t->bytes, (size_t)t->n, "\r\n\r\n", 4);
    if (!end) return 0;
    const char *at = memmem(t->bytes, (size_t)(end - t->bytes), field, sizeof field - 1);
    isize all = end + 4 - t->bytes + (at ? strtoll(at + sizeof field - 1, NULL, 10) : 0);
    return all <= t->n ? all : 0;
}

static void serve_one(int fd, struct taken *t)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"success\":true}";
    isize n = read(fd, t->bytes + t->n, (size_t)(REQUEST_MAX - t->n));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { (void)close(fd); t->n = 0; return; }
    t->n += n;
    for (isize used; (used = request_length(t)) > 0;) {
        if (write(fd, answer, sizeof answer - 1) < 0) break;
        memmove(t->bytes, t->bytes + used, (size_t)(t->n - used));
        t->n -= used;
    }
}

static void *http_loop(void *ctx)
{
    int listener = *(int *)ctx, epoll = epoll_create1(EPOLL_CLOEXEC);
    struct taken **taken = mem_new(FDS_MAX * (isize)sizeof *taken);
    struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener }, events[256];
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, countof(events), -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) { serve_one(fd, taken[fd]); continue; }
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 || fd >= FDS_MAX) continue;
            if (!taken[fd]) taken[fd] = mem_new(sizeof **taken);
            event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
            (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
    return NULL;
}

pid_t reference_http(i32 *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024) || getsockname(fd, (struct sockaddr *)&at, &len))
        give_up("no socket for the reference");
    *port = ntohs(at.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t threads[THREADS];
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, http_loop, &fd);
        pthread_join(threads[0], NULL);
        _exit(0);
    }
    (void)close(fd);
    end_later(pid);
    return pid;
}

/* ---- append and fdatasync -------------------------------------------------------------------------- */

static int ascending(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return (a > b) - (a < b);
}

/* On space that was there before, as our log does, so that a sync writes data and no sizes. */
struct synced reference_sync(const char *folder, isize bytes, i64 us, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    const char *path = arena_printf(a, "%s/reference", folder).ptr;
    char *block = arena_alloc(a, 1, 1, bytes);
    struct { f64 *at; isize n, cap; } took = { 0 };
    rng_system(block, min_isize(bytes, 256));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, SYNC_FILE_BYTES) || fsync(fd)) give_up("%s cannot be written", path);
    i64 began = clock_monotonic_us(), now = began, at = 0;
    while (now - began < us) {
        if (pwrite(fd, block, (size_t)bytes, at) != bytes || fdatasync(fd)) give_up("%s cannot be written", path);
        at = at + 2 * bytes > SYNC_FILE_BYTES ? 0 : at + bytes;
        i64 then = clock_monotonic_us();
        vec_push(&took, (f64)(then - now) / 1e3);
        now = then;
    }
    (void)close(fd);
    (void)unlink(path);
    qsort(took.at, (size_t)took.n, sizeof *took.at, ascending);
    struct synced out = { (f64)took.n / ((f64)(now - began) / 1e6), took.at[took.n / 2], took.at[(took.n - 1) * 99 / 100] };
    vec_fini(&took);
    arena_reset(a, mark);
    return out;
}
