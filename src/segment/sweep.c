/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.c - a question to everybody, a few at a time.
 *
 * Whoever reads inside a bracket keeps the fold from giving back what it replaced, and the fold
 * waits for them when there is much of it. A question to a million people takes as long as it
 * takes, so it is asked in brackets of BRACKET_US each, by one thread a core, who take the next
 * CHUNK of people when they are done with one. Those threads step behind whoever answers requests.
 *
 * Between two brackets the fold goes on, and the answer is still that of one instant. Entries, facts and people later than the instant
 * asked about are not seen (profile/then.c). Who is joined to somebody meanwhile would be met twice, or never: therefore it is the
 * people of the ledger as it was read at the start who are met (past->owner), each once, wherever their nodes stand by now, and of
 * somebody they were joined to only those nodes are theirs. Who was split meanwhile is met as the part that still bears their name;
 * who was erased is gone. */
#include "segment/segment.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rcu.h"

enum {
    CHUNK = 4096,
    BRACKET_US = 2000,
    BETWEEN_LOOKS = 32,
    PEOPLE_A_THREAD = 20000,
    BEHIND = 10,
    CALLED_AHEAD = 8,
    TRIES = 10000
};

struct sweeping { const struct sweep *ask; _Atomic u32 next; u32 most; };
struct sweeper { struct sweeping *all; void *answer; pthread_t thread; bool started; };

/* Of a person's nodes those that were `id`'s when owners were read; False when there are none. */
static bool own_nodes(const struct past_identity *past, u32 id, const struct profile *p, arena *a,
                      struct swept *out)
{
    u32 *nodes = arena_room(a, u32, p->nodes_n);
    isize n = 0;
    for (isize i = 0; i < p->nodes_n; i++)
        if (p->nodes[i] <= past->people && past->owner[p->nodes[i]] == id) nodes[n++] = p->nodes[i];
    *out = (struct swept){ .id = { id }, .now = p };
    if (n == p->nodes_n) return true;
    out->nodes = nodes;
    out->nodes_n = n;
    return n > 0;
}

static enum people_depth depth_of(const struct sweep *s)
{
    return s->memberships ? PEOPLE_WHOLE : PEOPLE_HISTORY;
}

bool sweep_meet(const struct sweep *s, u32 id, arena *a, struct swept *out)
{
    const u32 *owner = s->past ? s->past->owner : NULL;
    if (!owner) {
        *out = (struct swept){ .id = { id }, .now = people_read(s->people, (person_id){ id }, depth_of(s), a) };
        return out->now != NULL;
    }
    if (id > s->past->people || owner[id] != id) return false;
    for (int tries = 0; tries < TRIES; tries++) {
        u32 now = identity_person(s->identity, id).v;
        const struct profile *p = people_read(s->people, (person_id){ now }, depth_of(s), a);
        if (p && own_nodes(s->past, id, p, a, out)) return true;
        if (now == id) return false;                    /* erased, or never more than a name */
        /* joined this moment: the fold takes one profile away before it shows the other */
        (void)sched_yield();
    }
    return false;
}

/* Nothing of theirs is read but a row of the table. Who was joined to somebody has no row any more,
 * and is met as usual. */
static bool passes(const struct sweep *s, u32 id)
{
    return people_has(s->people, (person_id){ id })
           && !people_may(s->people, (person_id){ id }, s->need.types, s->need.since_ms);
}

static void sweep_chunk(const struct sweep *s, void *answer, u32 from, u32 to, arena *a)
{
    if (!s->still) rcu_read_begin();
    i64 began = clock_monotonic_us();
    for (u32 id = from; id < to; id++) {
        struct swept who;
        if (s->need.types && passes(s, id)) continue;
        /* somewhere in memory, while others are asked */
        people_call_for(s->people, (person_id){ id + CALLED_AHEAD });
        if (sweep_meet(s, id, a, &who)) s->each(s->ctx, answer, &who, a);
        arena_clear(a);
        if (s->still || (id - from + 1) % BETWEEN_LOOKS
            || clock_monotonic_us() - began < BRACKET_US)
            continue;
        rcu_read_end();
        rcu_read_begin();
        began = clock_monotonic_us();
    }
    if (!s->still) rcu_read_end();
}

static void sweep_all(struct sweeper *w)
{
    struct sweeping *all = w->all;
    arena a = { 0 };
    for (u32 from; (from = atomic_fetch_add(&all->next, CHUNK)) <= all->most;) {
        u32 to = from + (u32)min_i64(CHUNK, (i64)all->most - from + 1);
        sweep_chunk(all->ask, w->answer, from, to, &a);
    }
    arena_fini(&a);
}

static void *sweep_thread(void *arg)
{
    if (((struct sweeper *)arg)->all->ask->still) {
        sweep_all(arg);
        return NULL;
    }
    rcu_thread_start();
    /* of this thread alone, as Linux has it */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), BEHIND);
    sweep_all(arg);
    rcu_thread_stop();
    return NULL;
}

isize sweep_run(const struct sweep *s, arena *a, void **answers)
{
    struct sweeping all = { .ask = s,
                            .next = 1,
                            .most = s->past && s->past->owner ? s->past->people
                                                              : (u32)people_most(s->people) };
    struct sweeper sweepers[SWEEP_ANSWERS_MAX];
    isize cores = max_isize((isize)sysconf(_SC_NPROCESSORS_ONLN), 1),
          n = min_isize(min_isize(cores, SWEEP_ANSWERS_MAX), 1 + all.most / PEOPLE_A_THREAD);
    for (isize i = 0; i < n; i++) {
        answers[i] = arena_alloc(a, s->answer_size, 16, 1);
        sweepers[i] = (struct sweeper){ .all = &all, .answer = answers[i] };
        sweepers[i].started =
            i > 0 && pthread_create(&sweepers[i].thread, NULL, sweep_thread, &sweepers[i]) == 0;
    }
    sweep_all(&sweepers[0]);
    for (isize i = 1; i < n; i++)
        if (sweepers[i].started) (void)pthread_join(sweepers[i].thread, NULL);
    return n;
}
