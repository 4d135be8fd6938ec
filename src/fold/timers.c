/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.c - when somebody's membership can next change by itself.
 *
 * A binary heap of (instant, person), earliest first, ties by person so that replays agree. A
 * person whose instant moved is pushed again and the stale one found out when it comes: only what
 * the profile itself says is due. Derived from the profiles: not state of its own, and whoever loads
 * them has no stale ones, so those must not count for anything.
 */
#include "fold/inside.h"

static bool before(struct due a, struct due b)
{
    return a.at_ms != b.at_ms ? a.at_ms < b.at_ms : a.person < b.person;
}

void timers_push(struct timers *timers, i64 at_ms, u32 person)
{
    if (at_ms == TIME_NEVER) return;
    vec_push(timers, (struct due){ at_ms, person });
    struct due *heap = timers->at;
    for (isize i = timers->n - 1; i > 0 && before(heap[i], heap[(i - 1) / 2]); i = (i - 1) / 2) {
        struct due swap = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = swap;
    }
}

i64 timers_next(const struct timers *timers) { return timers->n ? timers->at[0].at_ms : TIME_NEVER; }

static void sift(struct due *heap, isize n)
{
    for (isize i = 0;;) {
        isize least = i, left = 2 * i + 1, right = left + 1;
        if (left < n && before(heap[left], heap[least])) least = left;
        if (right < n && before(heap[right], heap[least])) least = right;
        if (least == i) return;
        struct due swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

bool timers_pop(struct timers *timers, i64 now_ms, struct due *out)
{
    if (timers_next(timers) > now_ms) return false;
    *out = timers->at[0];
    timers->at[0] = timers->at[--timers->n];
    sift(timers->at, timers->n);
    return true;
}
