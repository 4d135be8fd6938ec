/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.h - measuring a whole server from outside.
 *
 * One program: it makes a shop, starts an `opmaat serve` on it, sends requests, and measures. Beside each number
 * stands the same load on a reference of the same minute: a bare epoll loop that answers every request with a
 * small body (reference.c), or a bare loop of append and fdatasync. A machine that is busy slows both.
 *
 *   load.c       sends requests on one thread: closed (as many as it takes) or open (paced, by the clock)
 *   reference.c  the two references
 *   shop.c       the shop: definitions, items, requests
 *   server.c     the process under test: start, wait, CPU, memory, end
 *   bench.c      the benches and their report
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/clock.h"

_Noreturn void give_up(const char *format, ...) PRINTF_LIKE(1, 2);      /* ends what was started, then this program */

/* ---- load ------------------------------------------------------------------------------------------------- */

/* In a request's text a run of one of these bytes is a number, written anew for each request, as wide as the run. */
#define A_PERSON "\1\1\1\1\1\1\1\1"                     /* anybody */
#define SAME_PERSON "\4\4\4\4\4\4\4\4"                  /* whom the last A_PERSON was */
#define AN_ITEM "\2\2\2\2\2\2"                          /* to the taste of the last A_PERSON: near their own corner of the shop */
#define A_NUMBER "\3\3\3\3\3\3\3\3\3\3\3\3\3\3\3"       /* never the same twice */

struct load {
    str request;                                        /* whole, head and body */
    i32 port;
    isize connections;
    i64 us;
    f64 rate;                                           /* 0: closed loop; else requests a second, by the clock */
    u32 people, items;
};

/* In the open loop a request's latency runs from when it was due, not from when a connection was free for it. */
struct loaded { i64 done, refused; f64 seconds, rate, p50_ms, p99_ms; };
struct loaded load_run(const struct load *load, arena *a);

/* ---- references ------------------------------------------------------------------------------------------- */

pid_t reference_http(i32 *port);                        /* two threads, as many as the server has on two cores */
struct synced { f64 per_s, p50_ms, p99_ms; };
struct synced reference_sync(const char *folder, isize bytes, i64 us, arena *a);

/* ---- the shop --------------------------------------------------------------------------------------------- */

struct shop { isize items, people, segments, campaigns; };
enum { BATCH_EVENTS = 40 };

void shop_write(const struct shop *shop, const char *folder);           /* folder/definitions/…, folder/items.csv */
str shop_segment_rule(arena *a, isize i);               /* of the i-th segment, escaped for JSON */
str request_batch(arena *a, str key);                   /* BATCH_EVENTS calls of a Segment client */
str request_event(arena *a, str key);                   /* one */
str request_decide(arena *a, str key);                  /* three placements */
str request_recommend(arena *a, str key);               /* ten items */
str request_decide_with_event(arena *a, str key);

/* ---- the server ------------------------------------------------------------------------------------------- */

struct server { const char *program, *folder; pid_t parent, worker; i32 port; };

str run_program(arena *a, const char *const *argv);     /* what it printed; anything but success gives up */
f64 server_start(struct server *server);                /* ms until /readyz answers */
void server_stop(struct server *server);                /* SIGTERM, and waits */
void server_kill(struct server *server);                /* SIGKILL to both processes, and waits */
f64 cpu_s(pid_t pid);                                   /* of all its threads, so far */
f64 builder_cpu_s(pid_t pid);                           /* of those that stand back for all others: what builds models */
f64 resident_mb(pid_t pid);
void keep_processors_awake(void);                       /* from now on; for loads so low that processors would sleep between requests */
void end_later(pid_t pid);                              /* give_up ends it too */

#endif
