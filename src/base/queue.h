/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.h - a bounded queue of pointers between threads. Full is an answer, not growth. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/base.h"

struct queue;
struct queue *queue_new(isize cap);
void queue_free(struct queue *q);
bool queue_push(struct queue *q, void *item);           /* false when full or closed */
/* Everything there is, oldest first, at most `max`. Waits up to wait_ms for the first one
 * (-1: for ever). 0 means nothing came; once closed and empty it returns -1. */
isize queue_take(struct queue *q, void **items, isize max, i64 wait_ms);
void queue_close(struct queue *q);
isize queue_count(struct queue *q);

#endif
