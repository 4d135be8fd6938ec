/* SPDX-License-Identifier: Apache-2.0
 *
 * rcu.c - liburcu's memory-barrier flavour, and a list of what waits for a grace period.
 *
 * Deferring pushes to a list; on rcu_settle one grace period serves all that wait. Only the writer
 * pays, and says when. A writer that others wait for cannot stop for the slowest reader nor give
 * back thousands of blocks in one go: rcu_settle_some sets what there is aside, lets the library's
 * thread wait, and gives back some at a time.
 *
 * The library is not built for ThreadSanitizer, which therefore would not see that a grace period
 * ends after the brackets it waited for: in such a build closing a bracket and settling say so.
 */
#include "base/rcu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <urcu/urcu-mb.h>

#include "base/arena.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char brackets;
#define brackets_closed() __tsan_release(&brackets)
#define brackets_waited_for() __tsan_acquire(&brackets)
#else
#define brackets_closed() ((void)0)
#define brackets_waited_for() ((void)0)
#endif

struct waiting { void (*run)(void *); void *p; };
static struct { struct waiting *at; isize n, cap; } list;
static struct { struct waiting *at; isize n, cap, done; } aside;     /* the writer's alone */
enum { GRACE_NONE, GRACE_ASKED, GRACE_OVER };
static _Atomic int grace;                               /* of what was set aside */
static struct rcu_head asked;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void rcu_thread_start(void) { urcu_mb_register_thread(); }
void rcu_thread_stop(void) { urcu_mb_unregister_thread(); }
void rcu_read_begin(void) { urcu_mb_read_lock(); }

void rcu_read_end(void)
{
    brackets_closed();
    urcu_mb_read_unlock();
}

static void run_some(isize most)
{
    isize until = min_isize(aside.n, aside.done + most);
    for (; aside.done < until; aside.done++) aside.at[aside.done].run(aside.at[aside.done].p);
    if (aside.done == aside.n) aside.n = aside.done = 0;
}

/* What was deferred since goes aside. */
static void take_aside(void)
{
    assert(aside.n == 0);
    struct waiting *at = aside.at;
    isize cap = aside.cap;
    pthread_mutex_lock(&lock);
    aside.at = list.at;
    aside.n = list.n;
    aside.cap = list.cap;
    list.at = at;
    list.n = 0;
    list.cap = cap;
    pthread_mutex_unlock(&lock);
}

static void grace_over(struct rcu_head *head)
{
    (void)head;
    atomic_store(&grace, GRACE_OVER);
}

bool rcu_settle_some(isize most)
{
    if (atomic_load(&grace) == GRACE_ASKED) return true;
    if (aside.n > 0) {
        brackets_waited_for();
        run_some(most);
        return aside.n > 0;
    }
    take_aside();
    if (aside.n == 0) return false;
    atomic_store(&grace, GRACE_ASKED);
    urcu_mb_call_rcu(&asked, grace_over);
    return true;
}

void rcu_settle(void)
{
    for (int i = 0; i < 2; i++) {                       /* what is aside, and what came since */
        if (aside.n == 0) take_aside();
        if (aside.n == 0) return;
        urcu_mb_synchronize_rcu();
        brackets_waited_for();
        run_some(aside.n);
    }
}

void rcu_defer(void (*run)(void *), void *p)
{
    pthread_mutex_lock(&lock);
    vec_push(&list, (struct waiting){ run, p });
    pthread_mutex_unlock(&lock);
}

isize rcu_waiting(void)
{
    pthread_mutex_lock(&lock);
    isize n = list.n + aside.n - aside.done;
    pthread_mutex_unlock(&lock);
    return n;
}

void rcu_defer_free(void *p)
{
    if (p) rcu_defer(mem_free, p);
}
