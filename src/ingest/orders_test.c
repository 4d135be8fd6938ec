/* SPDX-License-Identifier: Apache-2.0
 *
 * Order lines: the rules on small files, then the whole of the Online Retail file. */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

#define NOW 1795000000000

static arena a;

struct heard {
    struct buf keys, printed, refusals;
    bool print;
    i64 value_minor, items, services, lines_refused;
    isize events;
    struct hash128 sum;
    i64 last_at_ms;
};

static void on_event(void *ctx, const struct event *e)
{
    struct heard *h = ctx;
    struct buf bytes = { 0 };
    event_encode(e, &bytes);
    struct hash128 one = hash128(buf_str(&bytes), 0);
    buf_fini(&bytes);
    h->sum.hi = h->sum.hi * 31 + one.hi;                /* what came out, and in which order */
    h->sum.lo = h->sum.lo * 31 + one.lo;
    h->events++;
    h->value_minor += e->value_minor;
    h->items += e->items_n;
    assert_true(e->at_ms >= h->last_at_ms);
    h->last_at_ms = e->at_ms;
    assert_int_equal(e->flags, EVENT_IMPORTED | EVENT_REPLACES);
    if (!h->print) return;
    buf_printf(&h->keys, "%.*s %.*s\n", STR_FMT(e->order_key), STR_FMT(e->key));
    struct jsonw w = { .out = &h->printed };
    event_print(e, &w);
    buf_byte(&h->printed, '\n');
}

static void on_item(void *ctx, const struct item_change *change)
{
    struct heard *h = ctx;
    assert_true(change->item.hidden);
    h->services++;
}

static void on_refused(void *ctx, i64 line, str reason, i64 amount_micro)
{
    struct heard *h = ctx;
    assert_true(reason.len > 0);
    h->lines_refused++;
    if (h->print)
        buf_printf(&h->refusals, "%lld %lld %.*s\n", (long long)line, (long long)amount_micro,
                   STR_FMT(reason));
}

static str file(const char *path)
{
    struct gz *gz;
    struct diag diag = { .arena = &a };
    if (gz_open(path, &gz, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    struct buf out = { .arena = &a };
    for (isize got = 1; got > 0; out.len += got) {
        buf_reserve(&out, 1 << 20);
        assert_int_equal(gz_read(gz, out.ptr + out.len, 1 << 20, &got, &diag), ERR_OK);
    }
    gz_close(gz);
    return buf_str(&out);
}

static const struct json *parse(str text)
{
    const struct json *doc;
    struct diag diag = { .arena = &a };
    if (json_parse(&a, text, &doc, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    return doc;
}

static const struct json *online_retail_map(void)
{
    const char *root = getenv("OPMAAT_ROOT");
    return parse(file(arena_printf(&a, "%s/maps/online-retail.json", root ? root : ".").ptr));
}

static const char *shared(const char *name)
{
    const char *at = getenv("OPMAAT_SHARED"), *root = getenv("OPMAAT_ROOT");
    return at ? arena_printf(&a, "%s/%s", at, name).ptr
              : arena_printf(&a, "%s/../shared/%s", root ? root : ".", name).ptr;
}

static enum err run(struct gz *gz, const struct json *map, struct heard *h,
                    struct import_totals *totals, struct diag *diag)
{
    struct import import = { .kind = S("orders"), .map = map, .received_ms = NOW };
    struct import_sink sink = { h, on_event, on_item, on_refused, NULL, NULL };
    enum err err = import_run(gz, &import, &sink, totals, diag);
    gz_close(gz);
    return err;
}

static struct import_totals loaded(str text, const struct json *map, struct heard *h)
{
    struct import_totals totals;
    struct diag diag = { .arena = &a };
    if (run(gz_memory(text), map, h, &totals, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(totals.lines, totals.accepted + totals.refused);
    assert_int_equal(h->lines_refused, totals.refused);
    return totals;
}

static struct heard listen(void)
{
    return (struct heard){ .keys = { .arena = &a },
                           .printed = { .arena = &a },
                           .refusals = { .arena = &a },
                           .print = true };
}

static void check(str is, const char *expected)
{
    if (!str_eq(is, str_of(expected))) fail_msg("\n  is       %.*s\n  expected %s", STR_FMT(is), expected);
}

#define HEADER "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
#define L1 "536365,85123a,\"HEART, HOLDER\",6,2011-07-01 08:26:00,2.55,17850.0,United Kingdom\n"
#define L2 "536365,71053,LANTERN,6,2011-07-01 08:27:00,3.39,17850.0,United Kingdom\n"
#define L3 "536365,POST,POSTAGE,1,2011-07-01 08:26:00,0.001,17850.0,United Kingdom\n"
#define C1 "C536366,71053,LANTERN,-2,2011-07-02 09:00:00,3.39,17850.0,United Kingdom\n"
#define G1 "536367,71053,LANTERN,1,2011-07-03 09:00:00,7.00,,France\n"

static void lines_become_one_event_an_order(void **state)
{
    (void)state;
    struct heard h = listen();
    struct import_totals t = loaded(
        S(HEADER C1 L1 G1 L2 L1 L3 "A1,B,Adjust,1,2011-07-03 09:00:00,-11062.06,,United Kingdom\n"
                                   "536368,22,damaged,-10,2011-07-03 09:00:00,0.0,,United Kingdom\n"
                                   "536369,22,X,many,2011-07-03 09:00:00,1.0,,United Kingdom\n"
                                   "536369,22,X,1,soon,1.0,,UK\n"
                                   "536369,22\n"),
        online_retail_map(), &h);
    check(
        buf_str(&h.printed),
        "{\"type\":\"order_completed\",\"name\":\"Order Completed\",\"event_key\":\"02ec26633239a6c69b3c82c4a3e3a321\",\"source\":\"online-retail\","
        "\"at\":\"2011-07-01T07:26:00.000Z\",\"channel\":\"web\",\"identifiers\":[{\"kind\":\"user_id\",\"value\":\"17850\",\"verified\":true}],"
        "\"order_key\":\"536365\",\"currency\":\"GBP\",\"value_minor\":5094,\"items\":[{\"product_key\":\"71053\",\"title\":\"LANTERN\",\"price_minor\":339,\"quantity\":6},"
        "{\"product_key\":\"85123A\",\"title\":\"HEART, HOLDER\",\"price_minor\":255,\"quantity\":6},{\"product_key\":\"85123A\",\"title\":\"HEART, HOLDER\",\"price_minor\":255,\"quantity\":6},"
        "{\"product_key\":\"POST\",\"title\":\"POSTAGE\",\"price_minor\":0,\"quantity\":1}],\"traits\":{\"country\":\"United Kingdom\"}}\n"
        "{\"type\":\"order_refunded\",\"name\":\"Order Refunded\",\"event_key\":\"e6802f88aa929af068807d7758b031a8\",\"source\":\"online-retail\",\"at\":\"2011-07-02T08:00:00.000Z\",\"channel\":\"web\","
        "\"identifiers\":[{\"kind\":\"user_id\",\"value\":\"17850\",\"verified\":true}],\"order_key\":\"C536366\",\"currency\":\"GBP\",\"value_minor\":-678,"
        "\"items\":[{\"product_key\":\"71053\",\"title\":\"LANTERN\",\"price_minor\":339,\"quantity\":-2}],\"traits\":{\"country\":\"United Kingdom\"}}\n"
        "{\"type\":\"order_completed\",\"name\":\"Order Completed\",\"event_key\":\"dbf6c32c3f84712173d399b10ed81d5c\",\"source\":\"online-retail\",\"at\":\"2011-07-03T08:00:00.000Z\",\"channel\":\"web\","
        "\"identifiers\":[],\"order_key\":\"536367\",\"currency\":\"GBP\",\"value_minor\":700,\"items\":[{\"product_key\":\"71053\",\"title\":\"LANTERN\",\"price_minor\":700,\"quantity\":1}]}\n");
    check(
        buf_str(&h.refusals),
        "8 -11062060000 an adjustment of the books, not an order\n9 0 a note of the stock room: nobody bought it and nothing was paid\n"
        "10 0 quantity \"many\" is not a whole number\n11 1000000 at \"soon\" is not a time\n12 0 the line has 2 fields, the header 8\n");
    assert_int_equal(t.repeated, 1);
    assert_int_equal(t.accepted_micro, 2 * 15300000 + 20340000 + 1000 - 6780000 + 7000000);
    assert_int_equal(t.people, 1);
    assert_int_equal(t.guests, 1);
    assert_int_equal(h.services, 1);
}

static void shuffled_lines_give_the_same_events_and_one_more_changes_one(void **state)
{
    (void)state;
    struct heard h1 = listen(), h2 = listen(), h3 = listen();
    const struct json *map = online_retail_map();
    loaded(S(HEADER L1 L2 L1 L3 C1 G1), map, &h1);
    loaded(S(HEADER G1 L1 L3 C1 L1 L2), map, &h2);
    assert_true(str_eq(buf_str(&h1.printed), buf_str(&h2.printed)));
    assert_true(hash128_eq(h1.sum, h2.sum));
    loaded(S(HEADER G1 L1 L3 C1 L1 L2 L2), map, &h3);
    str before = buf_str(&h1.keys), after = buf_str(&h3.keys);
    isize changed = 0, n = 0;
    while (before.len > 0) {
        struct str_cut one = str_cut(before, '\n'), other = str_cut(after, '\n');
        changed += !str_eq(one.head, other.head);
        if (!str_eq(one.head, other.head)) assert_true(str_starts(other.head, S("536365 ")));
        before = one.tail;
        after = other.tail;
        n++;
    }
    assert_int_equal(n, 3);
    assert_int_equal(changed, 1);
}

static str failure(const char *text, const char *map)
{
    struct heard h = listen();
    struct import_totals totals;
    struct diag diag = { .arena = &a };
    assert_int_equal(run(gz_memory(str_of(text)), parse(str_of(map)), &h, &totals, &diag), ERR_BAD_INPUT);
    return diag.what;
}

static void a_map_that_does_not_fit_is_explained(void **state)
{
    (void)state;
    check(
        failure(HEADER, "{\"columns\":{\"order_key\":\"Invoice\"}}"),
        "the file has no column \"Invoice\"; it has InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country");
    check(failure(HEADER, "{\"columns\":{\"orderkey\":\"InvoiceNo\"}}"),
          "map: there is no field \"orderkey\"; did you mean order_key?");
    check(failure(HEADER, "{\"columns\":{\"order_key\":\"InvoiceNo\"}}"),
          "no column for product_key: name it in the map's columns");
    check(failure("order_key,product_key,quantity,at,price\n", "{\"time_zone\":\"Mars\"}"),
          "map: time_zone \"Mars\" is not known; an offset like \"+01:00\" always is");
}

/* Figures of the file's own description, and 4,372 people. */
static void real_order_lines_are_all_accounted_for(void **state)
{
    (void)state;
    struct heard h = { 0 };
    struct gz *gz;
    struct import_totals t;
    struct diag diag = { .arena = &a };
    if (gz_open(shared("data/online-retail/online_retail.csv.gz"), &gz, &diag))
        fail_msg("%.*s", STR_FMT(diag.what));
    if (run(gz, online_retail_map(), &h, &t, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(t.lines, 541909);
    assert_int_equal(t.accepted + t.refused, 541909);
    assert_int_equal(t.accepted_micro + t.refused_micro,
                     9747747934000); /* four prices have three decimals */
    assert_int_equal((t.accepted_micro + t.refused_micro + 5000) / 10000, 974774793);
    assert_int_equal(t.people, 4372);
    assert_int_equal(t.repeated, 5268);
    assert_int_equal(
        t.refused_micro,
        -11062060000); /* three adjustments; the stock room's notes are worth nothing */
    assert_int_equal(h.value_minor, 974774793 + 1106206);
    assert_int_equal(h.items, t.accepted);
    assert_int_equal(h.events, t.orders + t.refunds);
    printf("# orders=%lld refunds=%lld guests=%lld refused=%lld services=%lld\n",
           (long long)t.orders, (long long)t.refunds, (long long)t.guests, (long long)t.refused,
           (long long)h.services);
}

static void a_real_sample_shuffled_gives_the_same_events(void **state)
{
    (void)state;
    enum { LINES = 30000 };
    str text = file(shared("data/online-retail/online_retail.csv.gz"));
    struct str_cut cut = str_cut(text, '\n');
    str header = cut.head, *lines = arena_new(&a, str, LINES);
    for (isize i = 0; i < LINES; i++) {
        cut = str_cut(cut.tail, '\n');
        lines[i] = cut.head;
    }
    struct hash128 sums[2];
    struct import_totals totals[2];
    struct rng rng = rng_seed(7);
    for (isize pass = 0; pass < 2; pass++) {
        struct buf out = { .arena = &a };
        buf_printf(&out, "%.*s\n", STR_FMT(header));
        for (isize i = 0; i < LINES; i++) buf_printf(&out, "%.*s\n", STR_FMT(lines[i]));
        struct heard h = { 0 };
        totals[pass] = loaded(buf_str(&out), online_retail_map(), &h);
        sums[pass] = h.sum;
        for (u32 i = LINES - 1; i > 0; i--) {
            u32 k = rng_below(&rng, i + 1);
            str swap = lines[i];
            lines[i] = lines[k];
            lines[k] = swap;
        }
    }
    assert_true(hash128_eq(sums[0], sums[1]));
    assert_memory_equal(&totals[0], &totals[1], sizeof totals[0]);
    assert_true(totals[0].orders > 1000);
}

static int tear_down(void **state)
{
    (void)state;
    arena_clear(&a);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(lines_become_one_event_an_order),
        TEST(shuffled_lines_give_the_same_events_and_one_more_changes_one),
        TEST(a_map_that_does_not_fit_is_explained),
        TEST(real_order_lines_are_all_accounted_for),
        TEST(a_real_sample_shuffled_gives_the_same_events),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
