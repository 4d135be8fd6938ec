/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

void thread_is(const char *name, enum thread_kind kind)
{
    static const int nice_of[] = { [THREAD_ANSWERS] = 0, [THREAD_BEHIND] = 5, [THREAD_ASIDE] = 19 };
    (void)pthread_setname_np(pthread_self(), name);
    if (kind == THREAD_ASIDE) (void)sched_setscheduler(gettid(), SCHED_IDLE, &(struct sched_param){ 0 });
    /* of this thread alone, as Linux has it */
    if (kind != THREAD_ANSWERS) (void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice_of[kind]);
}
