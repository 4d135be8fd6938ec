/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rcu.h"

#define NOW 1795000000000

static arena a;

struct heard { struct catalog *catalog; struct buf refusals, events; };

static void on_item(void *ctx, const struct item_change *change)
{
    struct heard *h = ctx;
    (void)catalog_apply(h->catalog, change, NOW);
}

static void on_refused(void *ctx, i64 line, str reason, i64 amount_micro)
{
    (void)amount_micro;
    struct heard *h = ctx;
    buf_printf(&h->refusals, "%lld: %.*s\n", (long long)line, STR_FMT(reason));
}

static void on_event(void *ctx, const struct event *e)
{
    struct heard *h = ctx;
    struct jsonw w = { .out = &h->events };
    event_print(e, &w);
    buf_byte(&h->events, '\n');
}

static struct heard listen(void) { return (struct heard){ catalog_new(), { .arena = &a }, { .arena = &a } }; }

static enum err load(struct heard *h, const char *kind, str bytes, struct import_totals *totals,
                     struct diag *diag)
{
    struct gz *gz = gz_memory(bytes);
    struct import import = { .kind = str_of(kind), .received_ms = NOW, .source = S("feed") };
    struct import_sink sink = { h, on_event, on_item, on_refused, NULL, NULL };
    enum err err = import_run(gz, &import, &sink, totals, diag);
    gz_close(gz);
    return err;
}

static struct import_totals loaded(struct heard *h, const char *kind, str bytes)
{
    struct import_totals totals;
    struct diag diag = { .arena = &a };
    if (load(h, kind, bytes, &totals, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(totals.lines, totals.accepted + totals.refused);
    return totals;
}

static str failure(const char *kind, str bytes)
{
    struct heard h = listen();
    struct import_totals totals;
    struct diag diag = { .arena = &a };
    assert_int_equal(load(&h, kind, bytes, &totals, &diag), ERR_BAD_INPUT);
    catalog_free(h.catalog);
    return diag.what;
}

static void check(str is, const char *expected)
{
    if (!str_eq(is, str_of(expected))) fail_msg("\n  is       %.*s\n  expected %s", STR_FMT(is), expected);
}

static str shown(const struct heard *h, const char *key)
{
    const struct item *it = catalog_item(h->catalog, catalog_find(h->catalog, str_of(key)));
    if (!it) return S("none");
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    item_print(it, S(""), S("en"), &w);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void ndjson_lines_are_items(void **state)
{
    (void)state;
    struct heard h = listen();
    struct import_totals t = loaded(
        &h, "products",
        S("{\"product_key\":\"a\",\"title\":\"A\"}\n\n{\"title\":\"keyless\"}\nnot json\n{\"content_key\":\"c\",\"title\":\"C\"}\n"));
    assert_int_equal(t.accepted, 2);
    assert_true(str_starts(buf_str(&h.refusals),
                           S("3: product_key (or content_key) is missing\n4: this is not JSON: ")));
    assert_int_equal(catalog_item(h.catalog, catalog_find(h.catalog, S("c")))->kind, ITEM_CONTENT);
    catalog_free(h.catalog);
}

static void our_own_columns_carry_languages_markets_and_stores(void **state)
{
    (void)state;
    struct heard h = listen();
    loaded(
        &h, "products",
        S("product_key;title;title:nb-NO;price;currency;price:no;stock;stock:oslo-1;category;fit\n"
          "j-1;Jeans;Bukse;49,90;EUR;599 NOK;12;3;Women > Jeans;slim\n"));
    check(
        shown(&h, "j-1"),
        "{\"product_key\":\"j-1\",\"title\":\"Jeans\",\"category\":\"Women > Jeans\",\"in_stock\":true,"
        "\"price\":{\"price\":{\"minor\":4990,\"currency\":\"EUR\"}}}");
    const struct item *it = catalog_item(h.catalog, catalog_find(h.catalog, S("j-1")));
    check(item_text(it->titles, it->titles_n, S("nb-NO")), "Bukse");
    assert_int_equal(item_price(it, S("no"))->minor, 59900);
    assert_int_equal(item_stock(it, S("oslo-1")), 3);
    check(item_field(h.catalog, it, S("fit"), S(""), S(""), NOW).text, "slim");
    catalog_free(h.catalog);
}

#define GOOGLE_TSV \
    "id\ttitle\tdescription\tlink\timage link\tprice\tsale price\tavailability\tbrand\titem group id\tcolor\tsize\tproduct type\tgtin\n"

static void a_google_feed_in_tsv_groups_its_variants(void **state)
{
    (void)state;
    struct heard h = listen();
    struct import_totals t = loaded(
        &h, "products",
        S(GOOGLE_TSV
          "s-1-m\tShirt\tSoft\thttps://s/1\thttps://s/1.jpg\t29.99 EUR\t19.99 EUR\tin_stock\tAcme\ts-1\tblue\tM\tMen > Shirts\t123\n"
          "hat\tHat\tWarm\thttps://s/2\thttps://s/2.jpg\t9.00 EUR\t\tout of stock\tAcme\t\tred\t\tMen > Hats\t\n"
          "s-1-l\tShirt\tSoft\thttps://s/1\thttps://s/1.jpg\t29.99 EUR\t\tout_of_stock\tAcme\ts-1\tblue\tL\tMen > Shirts\t124\n"
          "bad\tX\tY\thttps://s/3\t\tfree\t\tin_stock\t\t\t\t\t\t\n"
          "short\tline\n"));
    assert_int_equal(t.lines, 5);
    assert_int_equal(t.items, 2);
    check(
        shown(&h, "s-1"),
        "{\"product_key\":\"s-1\",\"title\":\"Shirt\",\"description\":\"Soft\",\"url\":\"https://s/1\",\"image\":\"https://s/1.jpg\","
        "\"brand\":\"Acme\",\"category\":\"Men > Shirts\",\"in_stock\":true,\"price\":{\"price\":{\"minor\":1999,\"currency\":\"EUR\"},\"list\":{\"minor\":2999,\"currency\":\"EUR\"}}}");
    assert_int_equal(catalog_find(h.catalog, S("s-1-l")).v, catalog_find(h.catalog, S("s-1")).v);
    assert_int_equal(item_stock(catalog_item(h.catalog, catalog_find(h.catalog, S("hat"))), S("")), 0);
    check(
        buf_str(&h.refusals),
        "5: price has no currency: put \"currency\" (three letters) in or beside it\n6: the line has 2 fields, the header 14\n");
    catalog_free(h.catalog);
}

static const char rss[] =
    "<?xml version=\"1.0\"?><rss version=\"2.0\" xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>Shop</title><link>https://s</link>\n"
    "<item><g:id>a1</g:id><title>Caf\xc3\xa9 &amp; cups</title><link>https://s/a1</link><description><![CDATA[Nice <b>cups</b>]]></description>"
    "<g:price>12.50 EUR</g:price><g:availability>in_stock</g:availability><g:shipping><g:country>NO</g:country><g:price>99 EUR</g:price></g:shipping>"
    "<g:product_type>Kitchen &gt; Cups</g:product_type></item>\n"
    "<item><title>No id</title></item></channel></rss>";

static const char atom[] =
    "<feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:g=\"http://base.google.com/ns/1.0\"><title>Shop</title>"
    "<entry><g:id>b1</g:id><title>Lamp</title><link rel=\"alternate\" href=\"https://s/b1\"/><summary>Light</summary>"
    "<g:price>40 EUR</g:price><g:sale_price>30 EUR</g:sale_price><g:sale_price_effective_date>2020-01-01T00:00Z/2020-02-01T00:00Z</g:sale_price_effective_date></entry></feed>";

static void rss_and_atom_feeds_are_read(void **state)
{
    (void)state;
    struct heard h = listen();
    loaded(&h, "products", str_of(rss));
    check(
        shown(&h, "a1"),
        "{\"product_key\":\"a1\",\"title\":\"Caf\xc3\xa9 & cups\",\"description\":\"Nice <b>cups</b>\",\"url\":\"https://s/a1\","
        "\"category\":\"Kitchen > Cups\",\"in_stock\":true,\"price\":{\"price\":{\"minor\":1250,\"currency\":\"EUR\"}}}");
    check(buf_str(&h.refusals), "3: product_key (or content_key) is missing\n");
    loaded(&h, "products", str_of(atom));
    check(
        shown(&h, "b1"),
        "{\"product_key\":\"b1\",\"title\":\"Lamp\",\"description\":\"Light\",\"url\":\"https://s/b1\",\"in_stock\":true,"
        "\"price\":{\"price\":{\"minor\":4000,\"currency\":\"EUR\"}}}");
    catalog_free(h.catalog);
}

static void xml_that_would_explode_or_breaks_off_is_refused(void **state)
{
    (void)state;
    check(
        failure(
            "products",
            S("<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><rss><channel><item><title>&b;</title></item></channel></rss>")),
        "the XML declares entities, which is refused");
    check(failure("products", S("<rss><channel><item>")), "the XML is broken: no element found");
    check(failure("orders", S("<rss/>")), "only product feeds come as XML");
    check(failure("products", S("")), "the file is empty");
    check(failure("products", S("a,a\n1,2\n")), "the column \"a\" stands in the header twice");
    check(failure("sausages", S("a\n1\n")), "there is no import kind \"sausages\"");
}

static void prices_and_stock_have_feeds_of_their_own(void **state)
{
    (void)state;
    struct heard h = listen();
    loaded(
        &h, "products",
        S(GOOGLE_TSV "s-1-m\tShirt\tSoft\t\t\t29.99 EUR\t\tin_stock\tAcme\ts-1\tblue\tM\tMen\t\n"));
    loaded(&h, "prices", S("variant_key,price,currency\ns-1-m,25.00,EUR\n"));
    loaded(&h, "stock", S("product_key,variant_key,stock,stock:oslo-1\ns-1,s-1-m,7,2\n"));
    const struct item *it = catalog_item(h.catalog, catalog_find(h.catalog, S("s-1")));
    check(item_text(it->titles, it->titles_n, S("")), "Shirt");
    assert_int_equal(item_price(it, S(""))->minor, 2500);
    assert_int_equal(item_stock(it, S("")), 7);
    assert_int_equal(item_stock(it, S("oslo-1")), 2);
    loaded(&h, "stock", S("product_key,stock\ns-1,\n"));
    check(buf_str(&h.refusals), "2: the line has no stock\n");
    catalog_free(h.catalog);
}

static void people_and_calls_are_imported_too(void **state)
{
    (void)state;
    struct heard h = listen();
    struct import_totals t = loaded(&h, "customers", S("user_id,email,phone,First name,zip,age,vip,at\n"
        "u1,Ana@X.no,+47 900 11 222,Ana,0150,34,true,2024-01-01\n,,,nobody,,,,\nguest,,,x,,,,\n"));
    assert_int_equal(t.accepted, 1);
    check(buf_str(&h.refusals), "3: the line has no identifier\n4: user_id \"guest\" identifies nobody\n");
    str said = buf_str(&h.events);
    assert_true(str_find(said, S("\"at\":\"2024-01-01T00:00:00.000Z\"")) > 0);
    assert_true(
        str_find(said,
                 S("\"traits\":{\"First name\":\"Ana\",\"zip\":\"0150\",\"age\":34,\"vip\":true}"))
        > 0);
    assert_true(str_find(said, S("{\"kind\":\"email\",\"value\":\"ana@x.no\",\"verified\":true}")) > 0);

    h.events.len = 0;
    loaded(
        &h, "events",
        S("{\"type\":\"track\",\"event\":\"Product Viewed\",\"userId\":\"u1\",\"timestamp\":\"2019-01-01T00:00:00Z\",\"sentAt\":\"2019-01-01T00:00:09Z\","
          "\"properties\":{\"product_id\":\"p\"}}\n{\"type\":\"track\"}\n"));
    said = buf_str(&h.events);
    assert_true(str_find(said, S("\"at\":\"2019-01-01T00:00:00.000Z\"")) > 0);
    assert_true(str_find(said, S("\"event_key\":\"")) > 0);
    catalog_free(h.catalog);
}

static int tear_down(void **state)
{
    (void)state;
    rcu_settle();
    arena_clear(&a);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(ndjson_lines_are_items),
        TEST(our_own_columns_carry_languages_markets_and_stores),
        TEST(a_google_feed_in_tsv_groups_its_variants),
        TEST(rss_and_atom_feeds_are_read),
        TEST(xml_that_would_explode_or_breaks_off_is_refused),
        TEST(prices_and_stock_have_feeds_of_their_own),
        TEST(people_and_calls_are_imported_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
