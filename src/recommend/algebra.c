/* SPDX-License-Identifier: Apache-2.0
 *
 * algebra.c - the library's kernels for the processor there is.
 *
 * OpenBLAS picks its kernels by processor model when it is loaded. A processor newer than the library is a stranger to it and
 * gets kernels of 2004: an eighth of the speed, and Debian 12's fault on large triangular solves. So when it chose those though the
 * processor has wide vectors, it is told what the processor can do (OPENBLAS_CORETYPE, its own setting) and asked to
 * choose once more. A setting that somebody made stands. Another BLAS has none of these names, and then nothing is done. */
#include "recommend/inside.h"

#include <pthread.h>
#include <stdlib.h>

extern char *openblas_get_corename(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

static void choose(void)
{
#if defined(__x86_64__)
    if (!openblas_get_corename || !gotoblas_dynamic_init || !gotoblas_dynamic_quit || getenv("OPENBLAS_CORETYPE")) return;
    if (strcmp(openblas_get_corename(), "Prescott") != 0) return;
    const char *core = __builtin_cpu_supports("avx512vl") ? "SKYLAKEX" : __builtin_cpu_supports("avx2") ? "HASWELL" : NULL;
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
