/* SPDX-License-Identifier: Apache-2.0
 *
 * share.c - one long loop on several cores.
 *
 * The loop is cut into stretches, several a thread, taken in turn: a slow stretch holds nobody up.
 * In serving the builder has one thread, since the others answer people; evaluation has the machine
 * to itself. The library's own threads are off (they fight with ours), so this is the only way
 * dense work spreads. */
#include "recommend/inside.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS_MAX = 64, STRETCHES = 16 };

struct shared {
    isize n, stretch;
    atomic_ptrdiff_t next;
    void (*each)(void *ctx, isize from, isize to);
    void *ctx;
};

static void *take(void *arg)
{
    struct shared *s = arg;
    for (;;) {
        isize from = (isize)atomic_fetch_add(&s->next, s->stretch);
        if (from >= s->n) return NULL;
        s->each(s->ctx, from, min_isize(s->n, from + s->stretch));
    }
}

void share(isize n, isize threads, void (*each)(void *ctx, isize from, isize to), void *ctx)
{
    pthread_t others[THREADS_MAX];
    threads = min_isize(min_isize(threads, n), THREADS_MAX);
    if (threads < 2) {
        if (n > 0) each(ctx, 0, n);
        return;
    }
    struct shared s = {
        .n = n, .stretch = max_isize(1, n / (threads * STRETCHES)), .each = each, .ctx = ctx
    };
    isize started = 0;
    while (started < threads - 1 && pthread_create(&others[started], NULL, take, &s) == 0) started++;
    (void)take(&s);                                     /* and if none could be had, all of it here */
    for (isize i = 0; i < started; i++) (void)pthread_join(others[i], NULL);
}
