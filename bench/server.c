/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - the processes this program starts, by id, and what the kernel says of them. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { READY_MS_MAX = 120000 };

static pid_t started[16];
static isize started_n;

void end_later(pid_t pid)
{
    assert(started_n < countof(started));
    started[started_n++] = pid;
}

static void ended(pid_t pid)
{
    for (isize i = 0; i < started_n; i++)
        if (started[i] == pid) started[i] = started[--started_n];
}

_Noreturn void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    for (isize i = 0; i < started_n; i++) (void)kill(started[i], SIGKILL);
    exit(1);
}

/* ---- /proc ----------------------------------------------------------------------------------------- */

static str read_proc(pid_t pid, const char *what, char *to, isize cap)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    isize n = fd < 0 ? 0 : read(fd, to, (size_t)cap - 1);
    if (fd >= 0) (void)close(fd);
    to[max_isize(n, 0)] = 0;
    return (str){ to, max_isize(n, 0) };
}

f64 cpu_s(pid_t pid)
{
    char text[1024];
    str stat = read_proc(pid, "stat", text, sizeof text);
    const char *at = strrchr(stat.ptr, ')');
    long user = 0, system = 0;
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2)
        give_up("process %d is gone", pid);
    return (f64)(user + system) / (f64)sysconf(_SC_CLK_TCK);
}

f64 builder_cpu_s(pid_t pid)
{
    enum { LOWEST_PRIORITY = 19 };
    char path[64], what[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    f64 used = 0;
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        long user = 0, system = 0, nice = 0;
        (void)snprintf(what, sizeof what, "task/%.20s/stat", task->d_name);
        str stat = read_proc(pid, what, text, sizeof text);
        const char *at = strrchr(stat.ptr, ')');
        if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld %*d %*d %*d %ld", &user, &system, &nice) != 3) continue;
        if (nice == LOWEST_PRIORITY) used += (f64)(user + system) / (f64)sysconf(_SC_CLK_TCK);
    }
    if (tasks) (void)closedir(tasks);
    return used;
}

f64 resident_mb(pid_t pid)
{
    char text[4096];
    str status = read_proc(pid, "status", text, sizeof text);
    isize at = str_find(status, S("VmRSS:"));
    return at < 0 ? 0 : (f64)strtoll(status.ptr + at + 6, NULL, 10) / 1024;
}

/* The server's parent holds the socket; its one child works. */
static pid_t only_child(pid_t pid)
{
    char text[256], what[64];
    (void)snprintf(what, sizeof what, "task/%d/children", pid);
    return (pid_t)strtol(read_proc(pid, what, text, sizeof text).ptr, NULL, 10);
}

/* ---- programs -------------------------------------------------------------------------------------- */

str run_program(arena *a, const char *const *argv)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC)) give_up("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(ends[1]);
    struct buf out = { .arena = a };
    char block[4096];
    for (isize n; (n = read(ends[0], block, sizeof block)) > 0 || (n < 0 && errno == EINTR);)
        if (n > 0) buf_add(&out, (str){ block, n });
    (void)close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status) give_up("%s %s failed", argv[0], argv[1]);
    return buf_str(&out);
}

static i32 free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || getsockname(fd, (struct sockaddr *)&at, &len)) give_up("no port is free");
    (void)close(fd);
    return ntohs(at.sin_port);
}

static bool is_ready(i32 port)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((u16)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval limit = { 1, 0 };
    char answer[16] = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, request, sizeof request - 1) > 0
           && read(fd, answer, 12) == 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
    (void)close(fd);
    return ok;
}

/* A virtual processor with nothing to do is given back to its host, and on a busy host it is milliseconds until it runs again: a bare epoll loop
 * asked 400 times a second had a p99 of 2 to 3 ms, and of .08 ms beside threads that only keep the processors from halting. They run at
 * SCHED_IDLE: whoever else wants to run does so at once. */
_Noreturn static void *idle_on(void *none)
{
    for (volatile u64 turns = 0;; turns++) (void)none;
}

void keep_processors_awake(void)
{
    static bool done;
    if (done) return;
    done = true;
    pid_t pid = fork();
    if (pid) {
        end_later(pid);
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
    for (long i = sysconf(_SC_NPROCESSORS_ONLN); i > 1; i--) {
        pthread_t thread;
        (void)pthread_create(&thread, NULL, idle_on, NULL);
    }
    (void)idle_on(NULL);
}

f64 server_start(struct server *server)
{
    char address[32];
    server->port = free_port();
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", server->port);
    i64 began = clock_monotonic_us();
    server->parent = fork();
    if (server->parent == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setpgid(0, 0);
        execl(server->program, server->program, "serve", "--data", server->folder, "--listen", address, (char *)NULL);
        _exit(127);
    }
    end_later(server->parent);
    while (!is_ready(server->port)) {
        if (waitpid(server->parent, NULL, WNOHANG) != 0) give_up("the server ended by itself");
        if (clock_monotonic_us() - began > READY_MS_MAX * 1000ll) give_up("the server does not get ready");
        (void)usleep(2000);
    }
    f64 ms = (f64)(clock_monotonic_us() - began) / 1e3;
    server->worker = only_child(server->parent);
    return ms;
}

void server_stop(struct server *server)
{
    (void)kill(server->parent, SIGTERM);
    (void)waitpid(server->parent, NULL, 0);
    ended(server->parent);
}

void server_kill(struct server *server)
{
    (void)kill(-server->parent, SIGKILL);
    (void)waitpid(server->parent, NULL, 0);
    ended(server->parent);
}
