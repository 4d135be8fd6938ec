/* SPDX-License-Identifier: Apache-2.0
 *
 * rcu.h - readers that never wait, behind a seam over liburcu.
 *
 * A thread that reads published pointers registers once, and brackets each read. What a writer has
 * replaced is handed to rcu_defer_*; it is given back after every bracket open at that moment has
 * closed: by rcu_settle, which a writer calls where it holds no old pointer itself (between two
 * records), never in the middle of a change. Publishing itself is a C11 release store by the writer
 * and an acquire load by the reader, which ThreadSanitizer can follow.
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H

#include "base/base.h"

void rcu_thread_start(void);
void rcu_thread_stop(void);
void rcu_read_begin(void);
void rcu_read_end(void);
void rcu_defer_free(void *p);                           /* mem_free, later; null is fine */
void rcu_defer(void (*run)(void *), void *p);
isize rcu_waiting(void);                                /* deferred and not yet run */
void rcu_settle(void);                                  /* waits until all that was deferred has run */
/* The same little by little, by the same writer, for calling often: nobody is waited for, and at
 * most so many run at once. True: of what was there when this began, some has not run. On a thread
 * that is registered. */
bool rcu_settle_some(isize most);

#endif
