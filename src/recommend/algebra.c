/* SPDX-License-Identifier: Apache-2.0
 *
 * algebra.c - the library's kernels for the processor there is, and a buffer for each thread that asks it.
 *
 * OpenBLAS picks its kernels by processor model when it is loaded. A processor newer than the
 * library is a stranger to it and gets kernels of 2004: an eighth of the speed, and Debian 12's
 * fault on large triangular solves. So when it chose those though the processor has wide vectors,
 * it is told what the processor can do (OPENBLAS_CORETYPE, its own setting) and asked to choose
 * once more. A setting that somebody made stands. Another BLAS has none of these names, and then
 * nothing is done. */
#include "recommend/inside.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* The serial library of Debian 12 (0.3.21) looks for a free working buffer after it has let go of
 * its lock, so that two threads that ask at once may be given the same one, and both their products
 * are wrong: 44 of 1,620 models built by three threads were others. Its calls of this go by name,
 * so ours stands before it, and finding a buffer is one thread's at a time: a few instructions. */
void *blas_memory_alloc(int kind);
void *blas_memory_alloc(int kind)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    static void *(*theirs)(int kind);
    pthread_mutex_lock(&one_at_a_time);
    if (!theirs) {
        void *found = dlsym(RTLD_NEXT, "blas_memory_alloc");
        assert(found);
        memcpy(&theirs, &found, sizeof theirs);
    }
    void *buffer = theirs(kind);
    pthread_mutex_unlock(&one_at_a_time);
    return buffer;
}

extern char *openblas_get_corename(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

static void choose(void)
{
#if defined(__x86_64__)
    if (!openblas_get_corename || !gotoblas_dynamic_init || !gotoblas_dynamic_quit
        || getenv("OPENBLAS_CORETYPE"))
        return;
    if (strcmp(openblas_get_corename(), "Prescott") != 0) return;
    const char *core = __builtin_cpu_supports("avx512vl") ? "SKYLAKEX"
                       : __builtin_cpu_supports("avx2")   ? "HASWELL"
                                                          : NULL;
    if (!core) return;
    (void)setenv("OPENBLAS_CORETYPE", core, 0);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
#endif
}

void algebra_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, choose);
}
