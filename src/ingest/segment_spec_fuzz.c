/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void take(void *ctx, isize index, const struct event *e)
{
    (void)index;
    struct buf bytes = { .arena = ctx };
    struct event again;
    event_encode(e, &bytes);
    assert(event_decode(buf_str(&bytes), ctx, &again) == ERR_OK);
    assert(e->at_ms > 0);
    for (isize i = 0; i < e->identifiers_n; i++) assert(e->identifiers[i].value.len > 0);
}

static void refuse(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    (void)ctx; (void)index; (void)event;
    assert(err != ERR_OK);
    assert(reason.len > 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static arena a;
    const struct json *body;
    struct diag why = { .arena = &a };
    if (json_parse(&a, (str){ (const char *)data, (isize)size }, &body, &why) == ERR_OK) {
        struct ingest_envelope v = { .received_ms = 1795000000000,
                                     .source = S("fuzz"),
                                     .type = S("track"),
                                     .currency = currency_of(S("EUR")) };
        struct ingest_sink sink = { &a, take, refuse };
        err_ignore(ingest_batch(&a, body, &v, &sink, &why), "any answer will do, a crash will not");
    }
    arena_clear(&a);
    return 0;
}
