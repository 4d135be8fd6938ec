/* SPDX-License-Identifier: Apache-2.0
 *
 * shop.c - a shop as big as asked for: its definitions, its items, and the requests its systems would send.
 *
 * Segments are of eight shapes in turn, over a hundred categories, so that an event moves some of them and not
 * most: windows, counts, sums, a sequence, an affinity, a trait, a segment of segments. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bench.h"

enum { CATEGORIES = 100 };

static void write_text(const char *path, str text)
{
    FILE *f = fopen(path, "we");
    if (!f || (text.len && fwrite(text.ptr, 1, (size_t)text.len, f) != (size_t)text.len) || fclose(f)) give_up("%s cannot be written", path);
}

/* ---- definitions ----------------------------------------------------------------------------------- */

static void write_definition(arena *a, const char *folder, const char *kind, const char *key, const char *format, ...) PRINTF_LIKE(5, 6);

static void write_definition(arena *a, const char *folder, const char *kind, const char *key, const char *format, ...)
{
    char fields[4096];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(fields, sizeof fields, format, args);
    va_end(args);
    write_text(arena_printf(a, "%s/definitions/%s_%s.json", folder, kind, key).ptr,
               arena_printf(a, "{\"kind\":\"%s\",\"key\":\"%s\",%s}", kind, key, fields));
}

str shop_segment_rule(arena *a, isize i)
{
    isize category = i % CATEGORIES;
    switch (i % 8) {
    case 0: return arena_printf(a, "count(product_viewed where category under \\\"c%02lld\\\", last 30 days) >= 3", (long long)category);
    case 1: return arena_printf(a, "did(order_completed, last %lld days)", (long long)(7 + i));
    case 2: return arena_printf(a, "count(product_viewed, last %lld days) >= 5 and not did(order_completed, last 60 days)", (long long)(1 + i / 8));
    case 3: return arena_printf(a, "sum(order_completed.revenue, last 365 days) > %lld EUR", (long long)(10 + 5 * i));
    case 4: return arena_printf(a, "sequence(product_added then not order_completed within %lld hours)", (long long)(2 + i / 8));
    case 5: return arena_printf(a, "affinity(category, \\\"c%02lld\\\") > 0.3", (long long)category);
    case 6: return arena_printf(a, "city = \\\"town%02lld\\\" and did(product_viewed where category under \\\"c%02lld\\\", last 90 days)",
                                (long long)category, (long long)((category + 7) % CATEGORIES));
    default: return arena_printf(a, "in segment \\\"s%03lld\\\" and did(product_viewed, last 1 days)", (long long)(i - 7));
    }
}

static void write_segments(arena *a, const char *folder, isize n)
{
    for (isize i = 0; i < n; i++) {
        str rule = shop_segment_rule(a, i);
        write_definition(a, folder, "segment", arena_printf(a, "s%03lld", (long long)i).ptr,
                         "\"title\":\"Segment %lld\",\"rule\":\"%.*s\"", (long long)i, STR_FMT(rule));
    }
}

static void write_campaigns(arena *a, const char *folder, const struct shop *shop)
{
    write_definition(a, folder, "campaign", "test", "\"title\":\"An experiment\",\"placement\":\"banner\",\"owner\":\"shop@example.com\",\"goal\":\"find things quicker\",\"metric\":\"order_rate\",\"priority\":5,\"experiences\":[{\"key\":\"all\","
                     "\"choose\":\"experiment\",\"variations\":[{\"key\":\"as_before\",\"share\":\"50%%\",\"render\":\"passthrough\"},"
                     "{\"key\":\"new\",\"share\":\"50%%\",\"content\":{\"headline\":\"New\"}}]}]");
    for (isize i = 1; i < shop->campaigns; i++)
        write_definition(a, folder, "campaign", arena_printf(a, "c%02lld", (long long)i).ptr,
                         "\"title\":\"Campaign %lld\",\"placement\":\"hero\",\"owner\":\"shop@example.com\",\"goal\":\"find things quicker\",\"metric\":\"order_rate\",\"priority\":%lld,\"experiences\":[{\"key\":\"them\","
                         "\"target\":\"in segment \\\"s%03lld\\\"\",\"choose\":\"fixed\",\"variations\":[{\"key\":\"only\",\"content\":{\"headline\":\"Hello %lld\"}}]}]",
                         (long long)i, (long long)i, (long long)(i * 3 % shop->segments), (long long)i);
}

static void write_items(arena *a, const char *folder, isize n)
{
    struct buf out = { .arena = a };
    buf_add(&out, S("product_key,title,category,brand,price,currency,stock\n"));
    for (isize i = 0; i < n; i++)
        buf_printf(&out, "p%06lld,Thing number %lld,c%02lld > d%lld,Brand %lld,%lld.99,EUR,%lld\n", (long long)i, (long long)i,
                   (long long)(i * CATEGORIES / n), (long long)(i % 10), (long long)(i % 37), (long long)(5 + i % 200), (long long)(i % 11));
    write_text(arena_printf(a, "%s/items.csv", folder).ptr, buf_str(&out));
}

void shop_write(const struct shop *shop, const char *folder)
{
    arena a = { 0 };
    (void)mkdir(folder, 0700);
    (void)mkdir(arena_printf(&a, "%s/definitions", folder).ptr, 0700);
    write_definition(&a, folder, "settings", "shop", "\"holdout\":\"10%%\",\"currency\":\"EUR\"");
    write_definition(&a, folder, "strategy", "for_you", "\"title\":\"For you\",\"mix\":[\"session\",\"cooc\",\"trending\"],\"filter\":\"item.in_stock\","
                     "\"diversity\":{\"max_per_category\":4},\"fallback\":[\"trending\",\"bestsellers\"]");
    write_definition(&a, folder, "placement", "hero", "\"title\":\"Hero\",\"channel\":\"web\",\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":\"Welcome\"}");
    write_definition(&a, folder, "placement", "banner", "\"title\":\"Banner\",\"channel\":\"web\",\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":\"Welcome\"}");
    write_definition(&a, folder, "placement", "recs", "\"title\":\"Row\",\"channel\":\"web\",\"strategy\":\"for_you\",\"schema\":{\"headline\":\"text?\"},\"default\":{}");
    write_segments(&a, folder, shop->segments);
    write_campaigns(&a, folder, shop);
    write_items(&a, folder, shop->items);
    arena_fini(&a);
}

/* ---- requests ---------------------------------------------------------------------------------------- */

static str post(arena *a, const char *path, str key, str body)
{
    return arena_printf(a, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\n"
                        "User-Agent: analytics-node/2.0\r\nContent-Length: %lld\r\n\r\n%.*s", path, STR_FMT(key), (long long)body.len, STR_FMT(body));
}

#define PRODUCT "\"product_id\":\"p" AN_ITEM "\",\"price\":19.99,\"quantity\":1,\"name\":\"Thing\",\"currency\":\"EUR\""
#define CONTEXT "\"context\":{\"library\":{\"name\":\"analytics-node\",\"version\":\"2.0\"},\"locale\":\"en-GB\"," \
                "\"page\":{\"url\":\"https://shop.example/p/" AN_ITEM "\",\"title\":\"A page\"}}"

/* One call, without its braces. Of twenty: eleven views of products, four of pages, two adds to the cart, a search, an
 * identify, an order. */
static str call_body(arena *a, isize i, str now)
{
    const char *what;
    switch (i % 20) {
    case 0: what = "\"type\":\"track\",\"event\":\"Order Completed\",\"properties\":{\"order_id\":\"o" A_NUMBER "\",\"total\":39.98,\"revenue\":39.98,"
                   "\"currency\":\"EUR\",\"products\":[{" PRODUCT "},{" PRODUCT "}]}"; break;
    case 1: what = "\"type\":\"identify\",\"traits\":{\"city\":\"town07\",\"plan\":\"basic\"}"; break;
    case 2: what = "\"type\":\"track\",\"event\":\"Products Searched\",\"properties\":{\"query\":\"blue thing\"}"; break;
    case 3: case 4: what = "\"type\":\"track\",\"event\":\"Product Added\",\"properties\":{" PRODUCT "}"; break;
    case 5: case 6: case 7: case 8: what = "\"type\":\"page\",\"name\":\"Home\",\"properties\":{\"path\":\"/\"}"; break;
    default: what = "\"type\":\"track\",\"event\":\"Product Viewed\",\"properties\":{" PRODUCT "}"; break;
    }
    return arena_printf(a, "\"userId\":\"u" A_PERSON "\",%s,\"messageId\":\"node-" A_NUMBER "\",\"timestamp\":\"%.*s\"," CONTEXT, what, STR_FMT(now));
}

static str now_text(arena *a) { return time_print(a, clock_now(clock_system())); }

str request_batch(arena *a, str key)
{
    struct buf body = { .arena = a };
    str now = now_text(a);
    buf_add(&body, S("{\"batch\":["));
    for (isize i = 0; i < BATCH_EVENTS; i++) {
        str call = call_body(a, i, now);
        buf_printf(&body, "%s{%.*s}", i ? "," : "", STR_FMT(call));
    }
    buf_printf(&body, "],\"sentAt\":\"%.*s\"}", STR_FMT(now));
    return post(a, "/v1/batch", key, buf_str(&body));
}

str request_event(arena *a, str key)
{
    str call = call_body(a, 19, now_text(a));
    return post(a, "/v1/track", key, arena_printf(a, "{%.*s}", STR_FMT(call)));
}

#define ASK "\"placements\":[\"hero\",\"banner\",\"recs\"],\"limit\":10,\"context\":{\"locale\":\"en-GB\",\"product\":\"p" AN_ITEM "\"}"

str request_decide(arena *a, str key)
{
    return post(a, "/v1/decide", key, S("{\"person\":{\"user_id\":\"u" A_PERSON "\"}," ASK "}"));
}

str request_recommend(arena *a, str key)
{
    return post(a, "/v1/recommend", key, S("{\"person\":{\"user_id\":\"u" A_PERSON "\"},\"strategy\":\"for_you\",\"limit\":10,"
                                           "\"context\":{\"locale\":\"en-GB\",\"product\":\"p" AN_ITEM "\"}}"));
}

str request_decide_with_event(arena *a, str key)
{
    str body = arena_printf(a, "{\"person\":{\"user_id\":\"u" A_PERSON "\"},\"events\":[{\"type\":\"track\",\"event\":\"Product Viewed\","
                            "\"userId\":\"u" SAME_PERSON "\",\"messageId\":\"d-" A_NUMBER "\",\"properties\":{" PRODUCT "}}]," ASK "}");
    return post(a, "/v1/decide", key, body);
}
