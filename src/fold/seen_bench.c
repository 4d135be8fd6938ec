/* SPDX-License-Identifier: Apache-2.0
 *
 * seen_bench.c - ten million messageIds: what remembering one costs, and that none is mistaken for
 * another. */
#include <stdio.h>
#include <unistd.h>

#include "fold/inside.h"

enum { KEYS = 10 * 1000 * 1000, AGAIN = 100000 };

static i64 resident_bytes(void)
{
    char text[64] = { 0 };
    FILE *f = fopen("/proc/self/statm", "r");
    long long pages = 0;
    if (f && fgets(text, sizeof text, f) && sscanf(text, "%*s %lld", &pages) != 1) pages = 0;
    if (f) (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* As the SDKs make them: random, as UUIDs are. */
static str key_of(u64 number, char text[40])
{
    struct rng r = rng_seed(number);
    u64 a = rng_next(&r), b = rng_next(&r);
    int n =
        snprintf(text, 40, "%08x-%04x-%04x-%04x-%012llx", (u32)(a >> 32), (u32)(a >> 16) & 0xffff,
                 (u32)a & 0xffff, (u32)(b >> 48), (unsigned long long)(b & 0xffffffffffff));
    return (str){ text, n };
}

int main(void)
{
    struct config config = config_default();
    struct fold fold = { .config = &config };
    char text[40];
    i64 mistaken = 0, known = 0, before = resident_bytes(), began = clock_monotonic_us();
    seen_init(&fold.seen);
    for (u64 i = 0; i < KEYS; i++) {
        mistaken += !seen_put(&fold, seen_key(S("shop"), key_of(i, text)), 1764000000000);
        if (fold.seen.added.n == 100000) fold.seen.added.n = 0;     /* the flush took them */
    }
    i64 took_us = clock_monotonic_us() - began;
    i64 bytes = resident_bytes() - before;
    for (u64 i = 0; i < AGAIN; i++)
        known +=
            !seen_put(&fold, seen_key(S("shop"), key_of(i * (KEYS / AGAIN), text)), 1764000000000);
    printf("seen_ns %.0f ns a key, of %d random messageIds\n", (f64)took_us * 1000 / KEYS, KEYS);
    printf(
        "seen_bytes %.1f bytes resident a key; %lld taken for another, %lld of %d recognised when they came again\n",
        (f64)bytes / KEYS, (long long)mistaken, (long long)known, AGAIN);
    seen_fini(&fold.seen);
    return mistaken != 0 || known != AGAIN;
}
