/* SPDX-License-Identifier: Apache-2.0
 *
 * poison.c - a server that dies of one event: loaded before it, this ends the process when an event of the name
 * "Poison Pill" is folded (its name is hashed there, and nowhere else). For testing what the parent does then. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint64_t low, high; } hash;
hash XXH3_128bits_withSeed(const void *bytes, size_t n, uint64_t seed);

hash XXH3_128bits_withSeed(const void *bytes, size_t n, uint64_t seed)
{
    static hash (*real)(const void *bytes, size_t n, uint64_t seed);
    static const char pill[] = "Poison Pill";
    if (n == sizeof pill - 1 && memcmp(bytes, pill, n) == 0) abort();
    if (!real) {
        void *found = dlsym(RTLD_NEXT, "XXH3_128bits_withSeed");
        memcpy(&real, &found, sizeof real);
    }
    return real(bytes, n, seed);
}
