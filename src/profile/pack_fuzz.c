/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_fuzz.c - any bytes as a person of the store: they read, to every depth, or they do not, and
 * nothing is read outside them. */
#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t n);

int LLVMFuzzerTestOneInput(const u8 *data, size_t n)
{
    arena a = { 0 };
    char *copy = mem_new(max_isize((isize)n, 1));       /* its own block, so that a step outside is seen */
    memcpy(copy, data, n);
    bool deeper = true;
    for (int depth = PEOPLE_CONSENTS; depth <= PEOPLE_WHOLE; depth++) {
        const struct profile *p = profile_read((str){ copy, (isize)n }, (enum people_depth)depth, &a);
        assert(deeper || !p);                           /* what does not read does not read further */
        deeper = p != NULL;
        assert(!p || (p->nodes_n >= 0 && p->history_n >= 0 && p->memberships_n >= 0));
    }
    mem_free(copy);
    arena_fini(&a);
    return 0;
}
