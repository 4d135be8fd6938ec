/* SPDX-License-Identifier: Apache-2.0
 *
 * rcu.c - liburcu's memory-barrier flavour, and a list of what waits for a grace period.
 *
 * Deferring pushes to a list; on rcu_settle one grace period serves all that wait. Only the writer
 * pays, and says when.
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
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic isize long_readers;

void rcu_thread_start(void) { urcu_mb_register_thread(); }
void rcu_thread_stop(void) { urcu_mb_unregister_thread(); }
void rcu_read_begin(void) { urcu_mb_read_lock(); }

void rcu_read_end(void)
{
    brackets_closed();
    urcu_mb_read_unlock();
}

void rcu_read_long_begin(void)
{
    atomic_fetch_add(&long_readers, 1);
    rcu_read_begin();
}

void rcu_read_long_end(void)
{
    rcu_read_end();
    atomic_fetch_sub(&long_readers, 1);
}

bool rcu_read_long(void) { return atomic_load(&long_readers) > 0; }

void rcu_settle(void)
{
    pthread_mutex_lock(&lock);
    struct waiting *at = list.at;
    isize n = list.n;
    list.at = NULL;
    list.n = list.cap = 0;
    pthread_mutex_unlock(&lock);
    if (n == 0) return;
    urcu_mb_synchronize_rcu();
    brackets_waited_for();
    for (isize i = 0; i < n; i++) at[i].run(at[i].p);
    mem_free(at);
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
    isize n = list.n;
    pthread_mutex_unlock(&lock);
    return n;
}

void rcu_defer_free(void *p)
{
    if (p) rcu_defer(mem_free, p);
}
