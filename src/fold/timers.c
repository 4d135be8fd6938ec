/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.c - when somebody's membership can next change by itself.
 *
 * A binary heap of (instant, person), earliest first, ties by person so that replays agree. A
 * person stands in it once, no later than they are due: whose instant moves on stays where they are and
 * is pushed again when that comes; whose instant comes sooner is pushed anew, and the later one is
 * passed over. Derived from the profiles: not state of its own, and whoever loads them has nobody too
 * early, so that must not count for anything.
 */
#include "fold/inside.h"

static bool before(struct due a, struct due b)
{
    return a.at_ms != b.at_ms ? a.at_ms < b.at_ms : a.person < b.person;
}

void timers_push(struct timers *timers, i64 at_ms, u32 person)
{
    if (at_ms == TIME_NEVER) return;
    while (timers->queued.n <= person) vec_push(&timers->queued, TIME_NEVER);
    if (timers->queued.at[person] <= at_ms) return;
    timers->queued.at[person] = at_ms;
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
    while (timers_next(timers) <= now_ms) {
        *out = timers->at[0];
        timers->at[0] = timers->at[--timers->n];
        sift(timers->at, timers->n);
        if (timers->queued.at[out->person] != out->at_ms) continue;
        timers->queued.at[out->person] = TIME_NEVER;
        return true;
    }
    return false;
}
