/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void on_item(void *ctx, const struct item_change *change)
{
    struct buf bytes = { .arena = ctx };
    struct item_change again;
    item_change_encode(change, &bytes);
    assert(item_change_decode(buf_str(&bytes), ctx, &again) == ERR_OK);
}

static void on_event(void *ctx, const struct event *e)
{
    struct buf bytes = { .arena = ctx };
    struct event again;
    event_encode(e, &bytes);
    assert(event_decode(buf_str(&bytes), ctx, &again) == ERR_OK);
}

/* Any file of any kind: every line is accepted or refused, or the file as a whole is. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const char *const kinds[] = { "products", "prices",    "stock", "content",
                                         "orders",   "customers", "events" };
    if (size == 0) return 0;
    static arena a;
    struct gz *gz = gz_memory((str){ (const char *)data + 1, (isize)size - 1 });
    struct import import = { .kind = str_of(kinds[data[0] % countof(kinds)]),
                             .received_ms = 1795000000000,
                             .currency = currency_of(S("EUR")) };
    struct import_sink sink = { &a, on_event, on_item, NULL, NULL };
    struct import_totals totals;
    struct diag diag = { .arena = &a };
    enum err err = import_run(gz, &import, &sink, &totals, &diag);
    if (!err) assert(totals.lines == totals.accepted + totals.refused);
    gz_close(gz);
    arena_clear(&a);
    return 0;
}
