/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.c - when somebody's membership can next change by itself.
 *
 * A binary heap of (instant, person), earliest first, ties by person so that replays agree. A
 * person stands in it once, no later than they are due: whose instant moves on stays where they are
 * and is pushed again when that comes; whose instant comes sooner is pushed anew, and the later one
 * is passed over, or put away when a fifth of the heap is such. Derived from the profiles: not
 * state of its own, and whoever loads them has nobody too early, so that must not count for
 * anything.
 */
#include "fold/inside.h"

enum { LATER_LEAST = 64 };

static i64 at_of(struct due_place p) { return (i64)((u64)p.high << 32 | p.low); }

static bool before(struct due_place a, struct due_place b)
{
    return at_of(a) != at_of(b) ? at_of(a) < at_of(b) : a.person < b.person;
}

/* By a quarter at a time: both lists are as long as there are people. */
#define room_for_one(v)                                                                     \
    do {                                                                                    \
        if ((v)->n < (v)->cap) break;                                                       \
        (v)->cap += (v)->cap / 4 + 64;                                                      \
        (v)->at = mem_grow((v)->at, (v)->cap * (isize)sizeof *(v)->at);                     \
    } while (0)

static void sift(struct due_place *heap, isize n, isize i)
{
    for (;;) {
        isize least = i, left = 2 * i + 1, right = left + 1;
        if (left < n && before(heap[left], heap[least])) least = left;
        if (right < n && before(heap[right], heap[least])) least = right;
        if (least == i) return;
        struct due_place swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

/* Without those that are passed over. */
static void put_away(struct timers *timers)
{
    isize n = 0;
    for (isize i = 0; i < timers->n; i++)
        if (timers->queued.at[timers->at[i].person] == at_of(timers->at[i])) timers->at[n++] = timers->at[i];
    timers->n = n;
    timers->later = 0;
    for (isize i = n / 2 - 1; i >= 0; i--) sift(timers->at, n, i);
}

void timers_push(struct timers *timers, i64 at_ms, u32 person)
{
    if (at_ms == TIME_NEVER) return;
    while (timers->queued.n <= person) {
        room_for_one(&timers->queued);
        timers->queued.at[timers->queued.n++] = TIME_NEVER;
    }
    if (timers->queued.at[person] <= at_ms) return;
    timers->later += timers->queued.at[person] != TIME_NEVER;
    timers->queued.at[person] = at_ms;
    if (timers->later > timers->n / 5 + LATER_LEAST) put_away(timers);
    room_for_one(timers);
    timers->at[timers->n++] = (struct due_place){ (u32)at_ms, (u32)((u64)at_ms >> 32), person };
    struct due_place *heap = timers->at;
    for (isize i = timers->n - 1; i > 0 && before(heap[i], heap[(i - 1) / 2]); i = (i - 1) / 2) {
        struct due_place swap = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = swap;
    }
}

i64 timers_next(const struct timers *timers) { return timers->n ? at_of(timers->at[0]) : TIME_NEVER; }

bool timers_pop(struct timers *timers, i64 now_ms, struct due *out)
{
    while (timers_next(timers) <= now_ms) {
        *out = (struct due){ timers_next(timers), timers->at[0].person };
        timers->at[0] = timers->at[--timers->n];
        sift(timers->at, timers->n, 0);
        if (timers->queued.at[out->person] == out->at_ms) {
            timers->queued.at[out->person] = TIME_NEVER;
            return true;
        }
        timers->later--;
    }
    return false;
}
