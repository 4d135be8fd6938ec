/* SPDX-License-Identifier: Apache-2.0
 *
 * The first letter says which shape the rest is read as: p PostHog, g GA4, o ODP, s Shopify, w
 * WooCommerce (both with the topic up to a line's end), q ODP's question, x a pixel's address. */
#include "ingest/ingest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void take(void *ctx, isize index, const struct event *e)
{
    struct buf bytes = { .arena = ctx };
    struct event again;
    assert(index >= 0);
    event_encode(e, &bytes);
    assert(event_decode(buf_str(&bytes), ctx, &again) == ERR_OK);
    assert(e->at_ms > 0 && e->said_at_ms >= 0);
    for (isize i = 0; i < e->identifiers_n; i++) assert(e->identifiers[i].value.len > 0);
}

static void refuse(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    struct buf out = { .arena = ctx };
    struct jsonw w = { .out = &out };
    assert(index >= 0 && err != ERR_OK && reason.len > 0);
    jsonw_value(&w, event);                             /* a dead letter is written as it came */
}

static void take_item(void *ctx, const struct item_change *change)
{
    struct buf bytes = { .arena = ctx };
    struct item_change again;
    item_change_encode(change, &bytes);
    assert(item_change_decode(buf_str(&bytes), ctx, &again) == ERR_OK);
    assert(again.item.key.len > 0);
}

static void inside(str body, str part) { assert(part.len == 0 || str_find(body, part) >= 0); }

static void ask(arena *a, str body)
{
    struct odp_question q[2];
    isize n = ingest_odp_question(a, body, q);
    assert(n >= 0 && n <= 2);
    for (isize i = 0; i < n; i++) {
        assert(q[i].name.len > 0 && q[i].subset_n <= ODP_SUBSET_MAX);
        if (i == 0 && str_find(body, S("\\\"")) >= 0) inside(body, q[i].id);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static arena a;
    const struct json *body;
    struct diag why = { .arena = &a };
    if (size == 0) return 0;
    str text = { (const char *)data + 1, (isize)size - 1 };
    struct ingest_envelope v = { .received_ms = 1795000000000,
                                 .source = S("fuzz"),
                                 .currency = currency_of(S("EUR")),
                                 .verified = true,
                                 .delivery = S("d-1") };
    struct ingest_sink sink = { &a, take, refuse, take_item };
    ingest_reader *reader = NULL;
    switch (data[0]) {
    case 'p': reader = ingest_posthog; break;
    case 'g': reader = ingest_ga4; break;
    case 'o': reader = ingest_odp; break;
    case 's': reader = ingest_shopify; break;
    case 'w': reader = ingest_woocommerce; break;
    case 'q': ask(&a, text); break;
    case 'x':
        if (ingest_pixel(&a, text, &body, &why) == ERR_OK)
            err_ignore(ingest_batch(&a, body, &v, &sink, &why), "any answer will do, a crash will not");
        break;
    default: break;
    }
    if (reader == ingest_shopify || reader == ingest_woocommerce) {
        struct str_cut cut = str_cut(text, '\n');
        v.type = cut.head;
        text = cut.tail;
    }
    if (reader && json_parse(&a, text, &body, &why) == ERR_OK)
        err_ignore(reader(&a, body, &v, &sink, &why), "any answer will do, a crash will not");
    arena_clear(&a);
    return 0;
}
