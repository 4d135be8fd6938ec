/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_json_fuzz.c - any text as the input of `opmaat stats`: refused with a reason, or answered with
 * JSON, and the same JSON again. */
#include "measure/measure.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    const struct json *in = NULL, *out = NULL;
    if (!json_parse(&a, (str){ (const char *)data, (isize)size }, &in, &diag)) {
        struct buf first = { .arena = &a }, second = { .arena = &a };
        enum err err = measure_stats_json(in, &first, &diag);
        if (err) {
            assert(diag.what.len > 0);
        } else {
            assert(!json_parse(&a, buf_str(&first), &out, &diag));
            assert(!measure_stats_json(in, &second, &diag));
            assert(str_eq(buf_str(&first), buf_str(&second)));
        }
    }
    arena_fini(&a);
    return 0;
}
