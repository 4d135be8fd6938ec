/* SPDX-License-Identifier: Apache-2.0
 *
 * thread.h - what a thread is called, and how it stands to those that somebody waits for.
 *
 * A shopper waits for the threads that answer. On two cores anything else that runs for some
 * milliseconds in the same class takes a core from them for as long (measured: p99 of 8 ms beside
 * two busy threads, under 3 ms where those have a nice value of 5 or more), so what nobody waits
 * for says so when it begins. A nice value alone keeps a thread its slice of milliseconds once it
 * has begun, and a core where it runs is not one that a thread which wakes is sent to; SCHED_IDLE
 * gives way at once, and its core counts as free. It still runs where all cores are taken, some
 * thousandths of the time, so what it holds (an RCU bracket, a lock of the allocator) is held
 * shortly.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

enum thread_kind {
    THREAD_ANSWERS,                 /* somebody waits for what it does: HTTP, log, fold */
    /* has to keep up, but a little later will do: flush, checkpoint, jobs, what is sent to others */
    THREAD_BEHIND,
    THREAD_ASIDE,                   /* takes what is left, of every moment: models */
};

/* Of the calling thread, and of the threads it starts. The name, at most 15 letters, is what top -H
 * and perf show. */
void thread_is(const char *name, enum thread_kind kind);

#endif
