/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all: reading them as a record stays within them, and a record that is taken can
 * be erased from and is still one. The checksum would stop nearly every input at the door, so
 * each is tried once as it is and once with its checksum put right. */
#include "log/record.h"

static void put_right(char *p, isize n)
{
    if (n < RECORD_HEADER + ENTRY_HEADER) return;
    store_u32le(p, 0xfe504fffu);
    store_u16le(p + 4, RECORD_FORMAT);
    store_u16le(p + 6, 1);
    store_u32le(p + 88, (u32)n);
    store_u64le(p + 96, hash64((str){ p + RECORD_HEADER, n - RECORD_HEADER }, hash64((str){ p, 96 }, 0)));
}

static void take(str bytes)
{
    struct record_head head, after;
    enum record_state state = record_check(bytes, &head);
    if (state != RECORD_VALID) return;
    arena a = { 0 };
    struct record record;
    str whole = str_slice(bytes, 0, head.bytes);
    bool read = record_read(whole, &a, &record);
    assert(read && record.entries_n == head.entries_n && record_size(&record) == head.bytes);
    (void)record_prove(whole);
    bool *gone = arena_new(&a, bool, record.entries_n);
    for (isize i = 0; i < record.entries_n; i += 2) gone[i] = true;
    struct buf out = { .arena = &a };
    record_erase(&out, whole, gone, NULL);
    assert(record_check(buf_str(&out), &after) == RECORD_VALID);
    assert(after.entries_n == head.entries_n && after.first == head.first
           && hash128_eq(after.hash, head.hash));
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    char *copy = mem_new(max_isize((isize)len, 1));     /* its own block, so that a step outside is seen */
    if (len) memcpy(copy, data, len);
    take((str){ copy, (isize)len });
    put_right(copy, (isize)len);
    take((str){ copy, (isize)len });
    mem_free(copy);
    return 0;
}
