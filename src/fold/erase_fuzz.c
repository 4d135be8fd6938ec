/* SPDX-License-Identifier: Apache-2.0
 *
 * erase_fuzz.c - any bytes as a stub of the log or as an erasure's entry: they read, or are damaged, and
 * nothing is read outside them. The first byte says which. */
#include "fold/inside.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t n);

int LLVMFuzzerTestOneInput(const u8 *data, size_t n)
{
    arena a = { 0 };
    struct erasing erasing;
    if (n == 0) return 0;
    char *copy = mem_new(max_isize((isize)n - 1, 1));   /* its own block, so that a step outside is seen */
    memcpy(copy, data + 1, n - 1);
    str bytes = { copy, (isize)n - 1 };
    if (data[0] % 2) {
        enum err err = stub_check(bytes, &a);
        assert(err == ERR_OK || err == ERR_DAMAGED);
    } else {
        enum err err = erasing_read(bytes, &a, &erasing);
        assert(err == ERR_OK || err == ERR_DAMAGED);
        assert(err || (erasing.is.by.len >= 0 && erasing.rest.len <= bytes.len));
    }
    mem_free(copy);
    arena_fini(&a);
    return 0;
}
