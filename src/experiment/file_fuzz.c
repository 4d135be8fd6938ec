/* SPDX-License-Identifier: Apache-2.0
 *
 * file_fuzz.c - any text as another product's flag file: refused with a reason, or every flag of it
 * answers. The first line may hold the attributes. */
#include "experiment/experiment.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void ask(arena *a, enum flag_dialect dialect, const struct json *from, const struct json *attributes)
{
    struct diag diag = { .arena = a };
    const struct flag_file *file = NULL;
    const str *flags;
    if (flag_file_read(a, dialect, from, &file, &diag)) {
        assert(diag.what.len > 0);
        return;
    }
    struct file_request request = {
        .attributes = attributes, .user_id = S("ana-77"), .url = S("/?a=1"), .sticky = attributes
    };
    isize n = flag_file_flags(file, &flags);
    for (isize i = 0; i < n && i < 50; i++) {
        struct file_answer answer = flag_file_evaluate(file, flags[i], &request, a);
        struct buf out = { .arena = a };
        struct jsonw w = { .out = &out };
        flag_file_print(file, &answer, &w);
        assert(answer.reason.len > 0 && out.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    arena a = { 0 };
    struct str_cut cut = str_cut((str){ (const char *)data, (isize)size }, '\n');
    const struct json *from = NULL, *attributes = NULL;
    if (!cut.found || json_parse(&a, cut.head, &attributes, NULL)) attributes = NULL;
    if (json_parse(&a,
                   cut.found && attributes ? cut.tail : (str){ (const char *)data, (isize)size },
                   &from, NULL)
        == ERR_OK) {
        ask(&a, DIALECT_GROWTHBOOK, from, attributes);
        ask(&a, DIALECT_OPTIMIZELY, from, attributes);
    }
    arena_fini(&a);
    return 0;
}
