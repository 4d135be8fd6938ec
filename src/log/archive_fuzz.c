/* SPDX-License-Identifier: Apache-2.0
 *
 * archive_fuzz.c - any lines: what is taken comes out again as the same lines, what is not is
 * refused with a reason. */
#include <stdio.h>

#include "log/log.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n)
{
    static int logs;
    char name[32];
    struct config config = config_default();
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct log *log;
    (void)snprintf(name, sizeof name, "mem:fuzz-%d", ++logs);
    if (log_open(name, &config, &log, &diag)) return 0;
    struct archive *archive = archive_new(log);
    str rest = { (const char *)bytes, (isize)n };
    enum err err = ERR_OK;
    while (!err && rest.len) {
        struct str_cut cut = str_cut(rest, '\n');
        err = archive_take(archive, cut.head, &diag);
        rest = cut.tail;
    }
    if (!err) err = archive_end(archive, &diag);
    assert(!err || diag.what.len > 0);
    bool found = true;
    for (u64 at = 1; found;) {
        struct record record;
        struct buf out = { .arena = &a };
        enum err read = log_read(log, at, &a, &record, &found, &diag);
        assert(read == ERR_OK);
        if (!found) break;
        archive_print(&record, &out);
        assert(out.len > 0 && out.ptr[out.len - 1] == '\n');
        at = record.first + (u64)record.entries_n;
    }
    archive_free(archive);
    log_close(log);
    arena_fini(&a);
    return 0;
}
