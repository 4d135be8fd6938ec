/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/arena.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t came;
    isize cap, n, head;
    bool closed;
    void **ring;
};

struct queue *queue_new(isize cap)
{
    assert(cap > 0);
    struct queue *q = mem_new(sizeof *q);
    q->ring = mem_new(cap * (isize)sizeof *q->ring);
    q->cap = cap;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->came, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

void queue_free(struct queue *q)
{
    if (!q) return;
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->came);
    mem_free(q->ring);
    mem_free(q);
}

bool queue_push(struct queue *q, void *item)
{
    pthread_mutex_lock(&q->lock);
    bool room = q->n < q->cap && !q->closed;
    if (room) {
        q->ring[(q->head + q->n++) % q->cap] = item;
        if (q->n == 1) pthread_cond_signal(&q->came);
    }
    pthread_mutex_unlock(&q->lock);
    return room;
}

static void wait_for_one(struct queue *q, i64 wait_ms)
{
    if (wait_ms < 0) {
        while (q->n == 0 && !q->closed) pthread_cond_wait(&q->came, &q->lock);
        return;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (q->n == 0 && !q->closed)
        if (pthread_cond_timedwait(&q->came, &q->lock, &until) == ETIMEDOUT) return;
}

isize queue_take(struct queue *q, void **items, isize max, i64 wait_ms)
{
    assert(max > 0);
    pthread_mutex_lock(&q->lock);
    wait_for_one(q, wait_ms);
    isize n = min_isize(q->n, max);
    for (isize i = 0; i < n; i++) items[i] = q->ring[(q->head + i) % q->cap];
    q->head = (q->head + n) % q->cap;
    q->n -= n;
    if (q->n > 0) pthread_cond_signal(&q->came);        /* another taker may be waiting still */
    if (n == 0 && q->closed) n = -1;
    pthread_mutex_unlock(&q->lock);
    return n;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->came);
    pthread_mutex_unlock(&q->lock);
}

isize queue_count(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    isize n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}
