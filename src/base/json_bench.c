/* SPDX-License-Identifier: Apache-2.0
 *
 * bench: what JSON costs in and out.
 * Why it matters: each event is parsed once, each decision written once, on the loops' own time.
 * Budget: an event of 600 bytes under 2 us in, an answer of 1 KB under 5 us out; HTTP around it
 * costs some 5 us. */
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"

enum { ROUNDS = 5, CALLS = 20000 };

static const char event[] =
    "{\"type\":\"track\",\"messageId\":\"node-next-1763712000000-7a3f0c9e-5a52-4f1e-9d0c-2f4f4d1b7c55\","
    "\"userId\":\"ana-77\",\"anonymousId\":\"a1b2c3d4-0000-4000-8000-1234567890ab\",\"event\":\"Product Viewed\","
    "\"timestamp\":\"2026-11-21T08:00:00.123Z\",\"context\":{\"page\":{\"url\":\"https://shop.example/p/slim-jeans\","
    "\"referrer\":\"https://shop.example/c/jeans\"},\"locale\":\"nb-NO\",\"consent\":{\"categoryPreferences\":"
    "{\"analytics\":true,\"personalisation\":true,\"ads_sharing\":false}}},\"properties\":{\"product_id\":\"p-4\","
    "\"sku\":\"p-4-m-blue\",\"category\":\"jeans\",\"name\":\"Slim jeans\",\"brand\":\"Acme\",\"price\":599.5,\"currency\":\"NOK\"}}";

static f64 in_ns(arena *a, i64 *check)
{
    i64 start = clock_monotonic_us();
    for (int i = 0; i < CALLS; i++) {
        const struct json *v;
        enum err err = json_parse(a, S(event), &v, NULL);
        assert(err == ERR_OK);
        *check += json_path(v, "properties.price") ? json_len(v) : 0;
        arena_clear(a);
    }
    return (f64)(clock_monotonic_us() - start) * 1000 / CALLS;
}

static f64 out_ns(arena *a, const struct json *v, i64 *check)
{
    i64 start = clock_monotonic_us();
    for (int i = 0; i < CALLS; i++) {
        struct arena_mark mark = arena_mark(a);
        struct buf b = { .arena = a };
        struct jsonw w = { &b, false };
        jsonw_value(&w, v);
        *check += b.len;
        arena_reset(a, mark);
    }
    return (f64)(clock_monotonic_us() - start) * 1000 / CALLS;
}

int main(void)
{
    arena a = { 0 }, kept = { 0 };
    const struct json *v;
    enum err err = json_parse(&kept, S(event), &v, NULL);
    assert(err == ERR_OK);
    f64 in = 1e9, out = 1e9;
    i64 check = 0;
    for (int r = 0; r < ROUNDS; r++) {
        f64 ns = in_ns(&a, &check);
        if (ns < in) in = ns;
        ns = out_ns(&kept, v, &check);
        if (ns < out) out = ns;
    }
    printf("json.in %.0f ns/event best of %d, %d bytes\n", in, ROUNDS, (int)sizeof event - 1);
    printf("json.out %.0f ns/event best of %d check %lld\n", out, ROUNDS, (long long)check);
    arena_fini(&a);
    arena_fini(&kept);
    return 0;
}
