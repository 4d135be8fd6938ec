/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"

#define T0 1700000000000
#define check_str(is, text) do { str is_ = (is); assert_int_equal(is_.len, (isize)sizeof(text) - 1); \
    assert_memory_equal(is_.ptr, text, sizeof(text) - 1); } while (0)

static arena a;

static item_id put(struct catalog *c, const char *text, i64 at_ms)
{
    const struct json *doc;
    struct item_change change, again;
    struct diag diag = { .arena = &a };
    assert_int_equal(json_parse(&a, str_of(text), &doc, &diag), ERR_OK);
    if (item_change_from_json(&a, doc, &change, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    struct buf bytes = { .arena = &a };
    item_change_encode(&change, &bytes);                /* as it goes through the log */
    assert_int_equal(item_change_decode(buf_str(&bytes), &a, &again), ERR_OK);
    return catalog_apply(c, &again, at_ms);
}

static str refusal(const char *text)
{
    const struct json *doc;
    struct item_change change;
    struct diag diag = { .arena = &a };
    assert_int_equal(json_parse(&a, str_of(text), &doc, &diag), ERR_OK);
    assert_int_equal(item_change_from_json(&a, doc, &change, &diag), ERR_BAD_INPUT);
    return diag.what;
}

static const char jeans[] =
    "{\"product_key\":\"p-1\",\"title\":{\"en\":\"Slim jeans\",\"nb-NO\":\"Smal bukse\"},\"description\":\"Blue denim\","
    "\"url\":\"/p/p-1\",\"image\":\"/i/p-1.svg\",\"brand\":\"Acme\",\"category\":[\"Women\",\"Jeans\"],\"gender\":\"female\","
    "\"colour\":\"blue\",\"price\":{\"minor\":4999,\"currency\":\"EUR\"},\"list\":{\"minor\":5999,\"currency\":\"EUR\"},"
    "\"cost\":{\"minor\":2000,\"currency\":\"EUR\"},\"prices\":[{\"market\":\"no\",\"price\":{\"minor\":59900,\"currency\":\"NOK\"}}],"
    "\"attributes\":{\"fit\":\"slim\",\"stretch\":2},\"material\":\"denim\",\"repurchase_days\":0,\"published_at\":\"2023-11-01\","
    "\"variants\":[{\"variant_key\":\"p-1-s\",\"size\":\"S\",\"stock\":{\"web\":5,\"oslo-1\":1}},"
    "{\"variant_key\":\"p-1-m\",\"size\":\"M\",\"colour\":\"navy\",\"stock\":{\"web\":7}}]}";

static void a_product_is_read_whole(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(c, jeans, T0);
    const struct item *it = catalog_item(c, id);
    check_str(it->key, "p-1");
    check_str(item_text(it->titles, it->titles_n, S("nb-NO")), "Smal bukse");
    check_str(item_text(it->titles, it->titles_n, S("de")), "Slim jeans");
    check_str(it->category, "Women > Jeans");
    assert_int_equal(item_price(it, S("no"))->minor, 59900);
    assert_int_equal(item_price(it, S("se"))->minor, 4999);
    assert_int_equal(item_price(it, S(""))->list_minor, 5999);
    assert_int_equal(it->attributes_n, 3);
    assert_int_equal(item_field(c, it, S("stretch"), S(""), S(""), T0).n, 2);
    check_str(item_field(c, it, S("material"), S(""), S(""), T0).text, "denim");
    assert_true(item_field(c, it, S("margin"), S(""), S(""), T0).n > 0.59);
    assert_true(item_field(c, it, S("nothing"), S(""), S(""), T0).kind == FACT_NULL);
    assert_true(catalog_find(c, S("p-1-m")).v == id.v);
    assert_true(catalog_find(c, S("p-2")).v == 0);
    assert_null(catalog_item(c, (item_id){ 0 }));
    catalog_free(c);
}

static void stock_of_variants_sums_into_the_items(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(c, jeans, T0);
    assert_int_equal(item_stock(catalog_item(c, id), S("")), 12);
    assert_int_equal(item_stock(catalog_item(c, id), S("oslo-1")), 1);
    assert_int_equal(item_stock(catalog_item(c, id), S("bergen")), 0);

    struct stock zero[] = { { S("web"), 0 } };
    struct item_change change = { ITEM_STOCK, { .key = S("p-1-m"), .stock = zero, .stock_n = 1 } };
    assert_int_equal(catalog_apply(c, &change, T0 + 1).v, id.v);
    assert_int_equal(item_stock(catalog_item(c, id), S("")), 5);
    put(c, "{\"product_key\":\"p-9\",\"title\":\"Untracked\"}", T0);
    assert_int_equal(item_stock(catalog_item(c, catalog_find(c, S("p-9"))), S("")), INT32_MAX);
    put(c, "{\"product_key\":\"p-9\",\"title\":\"Tracked\",\"stock\":12}", T0);
    assert_int_equal(item_stock(catalog_item(c, catalog_find(c, S("p-9"))), S("")), 12);
    put(c, "{\"product_key\":\"p-9\",\"title\":\"Silent about stock\"}", T0);
    assert_int_equal(item_stock(catalog_item(c, catalog_find(c, S("p-9"))), S("")), 12);
    catalog_free(c);
}

static i64 lowest(struct catalog *c, item_id id) { return catalog_item(c, id)->prices[0].lowest_30d_minor; }

static item_id price(struct catalog *c, i64 minor, i64 list, i64 day)
{
    return put(
        c,
        arena_printf(&a,
                     "{\"product_key\":\"x\",\"price\":{\"minor\":%lld,\"currency\":\"EUR\"},"
                     "\"list\":{\"minor\":%lld,\"currency\":\"EUR\"}}",
                     (long long)minor, (long long)list)
            .ptr,
        T0 + day * DAY_MS);
}

static void the_lowest_price_of_30_days_before_the_present_one_is_kept(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id x = price(c, 10000, 0, 0);
    assert_int_equal(lowest(c, x), 0);                  /* nothing before it */
    price(c, 8000, 0, 40);
    assert_int_equal(lowest(c, x), 10000);
    price(c, 9000, 0, 50);
    assert_int_equal(lowest(c, x), 8000);
    price(c, 7000, 9000, 60);
    assert_int_equal(lowest(c, x), 8000);               /* 8000 stood within the 30 days before day 60 */
    price(c, 7000, 9000, 90);
    assert_int_equal(lowest(c, x), 8000);               /* the same price again announces nothing */
    price(c, 9500, 0, 100);
    assert_int_equal(lowest(c, x), 7000);
    price(c, 9000, 9500, 131);
    assert_int_equal(lowest(c, x), 9500);               /* 7000 ended 31 days before */
    price(c, 9000, 9900, 132);
    assert_int_equal(lowest(c, x),
                     9000); /* a list price beside an unchanged price is an announcement */
    catalog_free(c);
}

static void a_category_is_found_by_path_name_and_slug(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    put(c, jeans, T0);
    put(c, "{\"product_key\":\"t\",\"category\":\"Men > Tops > T-Shirts & Polos\"}", T0);
    const struct item *t = catalog_item(c, catalog_find(c, S("t")));
    assert_int_equal(catalog_categories(c), 5);
    assert_true(catalog_category(c, S("men>tops")).v != 0);
    assert_true(catalog_category(c, S("Tops")).v == 0);
    check_str(catalog_category_name(c, t->category_id), "T-Shirts & Polos");
    check_str(catalog_category_name(c, catalog_category_parent(c, t->category_id)), "Tops");
    check_str(catalog_category_path(c, t->category_id), "Men > Tops > T-Shirts & Polos");
    assert_true(item_under(c, t, S("men")));
    assert_true(item_under(c, t, S("t-shirts-polos")));
    assert_true(item_under(c, t, S("Men > Tops")));
    assert_false(item_under(c, t, S("Jeans")));
    assert_false(item_under(c, t, S("Women > Tops")));
    assert_false(item_under(c, t, S("")));
    catalog_free(c);
}

static void an_event_may_name_a_product_before_its_description_comes(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    struct event_item seen = { .product_key = S("new-1"),
                               .title = S("Seen"),
                               .url = S("javascript:alert(1)"),
                               .priced = true,
                               .price_minor = 500 };
    item_id id = catalog_see(c, &seen, currency_of(S("EUR")), T0, 1);
    const struct item *it = catalog_item(c, id);
    assert_int_equal(it->kind, ITEM_SEEN);
    assert_int_equal(it->url.len, 0);
    assert_int_equal(it->prices[0].minor, 500);
    assert_true(item_showable(c, it));
    assert_int_equal(catalog_see(c, &seen, currency_of(S("EUR")), T0 + 5, 1).v, id.v);

    put(c, "{\"product_key\":\"other\",\"title\":\"Described\"}", T0);
    assert_true(catalog_described(c));
    assert_false(item_showable(c, catalog_item(c, id)));
    assert_int_equal(put(c, "{\"product_key\":\"new-1\",\"title\":\"Real\"}", T0 + 9).v, id.v);
    assert_true(item_showable(c, catalog_item(c, id)));
    check_str(item_text(catalog_item(c, id)->titles, 1, S("en")), "Real");
    catalog_free(c);
}

static void a_variant_named_first_by_an_event_ends_at_its_product(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id sku = catalog_see(c, &(struct event_item){ .product_key = S("p-1-m") }, (currency){ 0 }, T0, 1);
    item_id id = put(c, jeans, T0);
    assert_true(sku.v != id.v);
    assert_int_equal(catalog_find(c, S("p-1-m")).v, id.v);
    assert_int_equal(
        catalog_see(c, &(struct event_item){ .product_key = S("507f"), .variant_key = S("p-1-s") },
                    (currency){ 0 }, T0, 1)
            .v,
        id.v);
    item_id taken = put(c, "{\"product_key\":\"p-2\",\"variants\":[{\"variant_key\":\"p-1-m\"}]}", T0 + 1);
    assert_int_equal(catalog_find(c, S("p-1-m")).v, taken.v);
    assert_int_equal(catalog_item(c, id)->variants_n, 1);
    catalog_free(c);
}

static void removing_and_hiding_act_at_once_and_ids_stay(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(c, jeans, T0);
    put(c, "{\"product_key\":\"p-1\",\"removed\":true}", T0 + 1);
    assert_false(item_showable(c, catalog_item(c, id)));
    assert_int_equal(catalog_find(c, S("p-1")).v, id.v);
    assert_int_equal(put(c, jeans, T0 + 2).v, id.v);
    assert_true(item_showable(c, catalog_item(c, id)));
    put(c, "{\"product_key\":\"p-1\",\"hidden\":true}", T0 + 3);
    assert_false(item_showable(c, catalog_item(c, id)));
    assert_int_equal(
        catalog_apply(c, &(struct item_change){ ITEM_REMOVE, { .key = S("unknown") } }, T0).v, 0);
    catalog_free(c);
}

static void prices_change_by_themselves_and_variants_set_the_from_price(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(
        c,
        "{\"product_key\":\"v\",\"currency\":\"EUR\",\"variants\":[{\"variant_key\":\"v-1\",\"price\":\"30.00\"},"
        "{\"variant_key\":\"v-2\",\"price\":\"20.00\"}]}",
        T0);
    assert_int_equal(item_price(catalog_item(c, id), S(""))->minor, 2000);
    struct price up[] = { { .currency = currency_of(S("EUR")), .minor = 4000 } };
    struct item_change change = { ITEM_PRICES, { .key = S("v-2"), .prices = up, .prices_n = 1 } };
    catalog_apply(c, &change, T0 + DAY_MS);
    assert_int_equal(item_price(catalog_item(c, id), S(""))->minor, 3000);
    assert_int_equal(lowest(c, id), 2000);
    assert_int_equal(catalog_item(c, id)->variants[1].prices[0].lowest_30d_minor, 2000);
    catalog_free(c);
}

/* Everything that can be said, then saved in any order and loaded: the same bytes, digest and answers. */
static void a_remark_goes_with_the_item_as_it_was(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(c, jeans, T0);
    struct hash128 digest = catalog_digest(c);
    assert_int_equal(item_remark(catalog_item(c, id)), 0);
    item_remark_set(catalog_item(c, id), UINT64_MAX);
    assert_true(item_remark(catalog_item(c, id)) == UINT64_MAX);
    assert_true(hash128_eq(catalog_digest(c), digest));

    struct stock zero[] = { { S("web"), 0 } };
    struct price dear[] = { { .currency = currency_of(S("EUR")), .minor = 9999 } };
    struct item_change changes[] = { { ITEM_STOCK, { .key = S("p-1-m"), .stock = zero, .stock_n = 1 } },
                                     { ITEM_PRICES, { .key = S("p-1"), .prices = dear, .prices_n = 1 } },
                                     { ITEM_REMOVE, { .key = S("p-1") } } };
    for (isize i = 0; i < countof(changes); i++) {
        assert_int_equal(catalog_apply(c, &changes[i], T0 + 1 + i).v, id.v);
        assert_int_equal(item_remark(catalog_item(c, id)), 0);
        item_remark_set(catalog_item(c, id), 7);
    }
    put(c, jeans, T0 + 9);
    assert_int_equal(item_remark(catalog_item(c, id)), 0);
    item_remark_set(catalog_item(c, id), 7);
    put(c,
        "{\"product_key\":\"p-2\",\"title\":\"Takes a variant away\",\"variants\":[{\"variant_key\":\"p-1-m\"}]}",
        T0 + 10);
    assert_int_equal(item_remark(catalog_item(c, id)), 0);
    catalog_free(c);
}

static void a_loaded_catalogue_is_the_one_that_was_folded(void **state)
{
    (void)state;
    struct catalog *c = catalog_new(), *loaded = catalog_new();
    catalog_see(c, &(struct event_item){ .product_key = S("p-1-m"), .category = S("Women > Old") },
                (currency){ 0 }, T0, 1);
    put(c, jeans, T0);
    put(c,
        "{\"content_key\":\"guide\",\"kind\":\"article\",\"title\":\"How to wash\",\"category\":\"Women > Jeans\"}",
        T0);
    price(c, 10000, 0, 0);
    price(c, 8000, 9000, 3);
    put(c,
        "{\"product_key\":\"p-1\",\"category\":\"Sale\",\"variants\":[{\"variant_key\":\"p-1-s\"}]}",
        T0 + 9);
    put(c, "{\"product_key\":\"p-3\",\"category\":\"Sale > Last chance\"}", T0 + 9);
    put(c,
        "{\"content_key\":\"guide\",\"title\":\"Moved\",\"category\":\"Sale > Last chance > Reading\"}",
        T0 + 9);

    isize seen = 0;
    for (item_id id; (id = catalog_dirty_next(c)).v;) {
        seen++;
        struct buf bytes = { .arena = &a };
        item_encode(c, id, &bytes);
        assert_int_equal(catalog_load(loaded, buf_str(&bytes)), ERR_OK);
    }
    assert_int_equal(seen, catalog_count(c));
    assert_int_equal(catalog_count(loaded), catalog_count(c));
    assert_true(hash128_eq(catalog_digest(loaded), catalog_digest(c)));
    assert_int_equal(catalog_categories(loaded), catalog_categories(c));
    for (u32 i = 1; i <= catalog_categories(c); i++) {
        str path = catalog_category_path(c, (category_id){ i });
        assert_true(str_eq(path, catalog_category_path(loaded, (category_id){ i })));
        assert_int_equal(catalog_category(loaded, path).v, i);
        assert_int_equal(catalog_category_parent(loaded, (category_id){ i }).v,
                         catalog_category_parent(c, (category_id){ i }).v);
    }
    static const char *const keys[] = { "p-1", "p-1-m", "p-1-s", "x", "guide", "p-3" };
    for (isize i = 0; i < countof(keys); i++)
        assert_int_equal(catalog_find(loaded, str_of(keys[i])).v, catalog_find(c, str_of(keys[i])).v);
    assert_int_equal(catalog_load(loaded, S("\x01\x02garbage")), ERR_DAMAGED);

    price(c, 7000, 9000, 8);                            /* and both go on alike */
    price(loaded, 7000, 9000, 8);
    assert_true(hash128_eq(catalog_digest(loaded), catalog_digest(c)));
    catalog_free(c);
    catalog_free(loaded);
}

static void any_field_that_changes_changes_the_digest(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "\"title\":\"b\"",
        "\"description\":\"b\"",
        "\"url\":\"/b\"",
        "\"image\":\"/b\"",
        "\"brand\":\"b\"",
        "\"colour\":\"b\"",
        "\"gender\":\"b\"",
        "\"category\":\"b\"",
        "\"price\":{\"minor\":2,\"currency\":\"EUR\"}",
        "\"stock\":3",
        "\"variants\":[{\"variant_key\":\"v\"}]",
        "\"fit\":\"b\"",
        "\"repurchase_days\":2",
        "\"hidden\":true",
        "\"published_at\":\"2020-01-01\"",
    };
    struct catalog *plain = catalog_new();
    put(plain, "{\"product_key\":\"k\"}", T0);
    for (isize i = 0; i < countof(fields); i++) {
        struct catalog *c = catalog_new();
        put(c, arena_printf(&a, "{\"product_key\":\"k\",%s}", fields[i]).ptr, T0);
        assert_false(hash128_eq(catalog_digest(c), catalog_digest(plain)));
        catalog_free(c);
    }
    catalog_free(plain);
}

static void what_is_wrong_with_an_item_is_named(void **state)
{
    (void)state;
    check_str(refusal("{\"title\":\"x\"}"), "product_key (or content_key) is missing");
    check_str(refusal("{\"product_key\":\"x\",\"price\":\"19.99\"}"),
              "price has no currency: put \"currency\" (three letters) in or beside it");
    check_str(refusal("{\"product_key\":\"x\",\"currency\":\"EUR\",\"price\":\"cheap\"}"),
              "price \"cheap\" is not a decimal amount");
    check_str(refusal("{\"product_key\":\"x\",\"variants\":[{\"variant_key\":\"a\"},{}]}"),
              "variants[1].variant_key is missing");
    check_str(refusal("{\"product_key\":\"x\",\"prices\":[{\"market\":\"no\"}]}"),
              "prices[0].price is missing");
    check_str(refusal("{\"product_key\":\"x\",\"stock\":{\"web\":\"many\"}}"),
              "stock must be a whole number");
    check_str(refusal("{\"product_key\":\"x\",\"title\":[1]}"),
              "title must be text, or an object of texts by language");
    check_str(refusal("{\"product_key\":\"x\",\"published_at\":\"soon\"}"),
              "published_at \"soon\" is not a time");
    check_str(refusal("[]"), "expected an object with product_key or content_key");
}

static void an_item_prints_as_the_api_says(void **state)
{
    (void)state;
    struct catalog *c = catalog_new();
    item_id id = put(
        c,
        "{\"product_key\":\"x\",\"title\":\"T\",\"url\":\"/x\",\"currency\":\"EUR\",\"price\":19.99,\"list\":\"25\",\"stock\":1}",
        T0);
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    item_print(catalog_item(c, id), S(""), S("en"), &w);
    jsonw_end(&w, '}');
    check_str(
        buf_str(&out),
        "{\"product_key\":\"x\",\"title\":\"T\",\"url\":\"/x\",\"in_stock\":true,"
        "\"price\":{\"price\":{\"minor\":1999,\"currency\":\"EUR\"},\"list\":{\"minor\":2500,\"currency\":\"EUR\"}}}");
    catalog_free(c);
}

static str printed(const struct catalog *c, item_id id, const char *market, const char *locale)
{
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    item_print(catalog_item(c, id), str_of(market), str_of(locale), &w);
    jsonw_key_bool(&w, "more", true);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

/* What was printed before is kept by market and language, a few of them, and is gone once the item
 * changes. */
static void an_item_prints_the_same_again_and_anew_when_it_changed(void **state)
{
    (void)state;
    static const char *const languages[] = { "en", "nb", "nl", "de", "fr", "en", "nb", "nl", "de", "fr" };
    static const char *const titles[] = { "Blue", "Blå", "Blauw", "Blau", "Bleu" };
    struct catalog *c = catalog_new();
    item_id id = put(
        c,
        "{\"product_key\":\"x\",\"title\":{\"en\":\"Blue\",\"nb\":\"Blå\",\"nl\":\"Blauw\",\"de\":\"Blau\",\"fr\":\"Bleu\"},\"stock\":1}",
        T0);
    for (isize i = 0; i < countof(languages); i++)
        assert_true(str_eq(
            printed(c, id, "", languages[i]),
            arena_printf(&a,
                         "{\"product_key\":\"x\",\"title\":\"%s\",\"in_stock\":true,\"more\":true}",
                         titles[i % countof(titles)])));
    put(c,
        "{\"product_key\":\"x\",\"price\":\"3\",\"currency\":\"EUR\",\"prices\":[{\"market\":\"no\",\"price\":\"5\",\"currency\":\"NOK\"}]}",
        T0);
    for (int again = 0; again < 2; again++) {
        assert_true(str_find(printed(c, id, "no", "en"), S("\"minor\":500,\"currency\":\"NOK\"")) > 0);
        assert_true(str_find(printed(c, id, "", "en"), S("\"minor\":300,\"currency\":\"EUR\"")) > 0);
    }
    put(c, "{\"product_key\":\"x\",\"stock\":0}", T0);
    assert_true(str_find(printed(c, id, "no", "en"), S("\"in_stock\":false")) > 0);
    catalog_free(c);
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
        TEST(a_product_is_read_whole),
        TEST(stock_of_variants_sums_into_the_items),
        TEST(the_lowest_price_of_30_days_before_the_present_one_is_kept),
        TEST(a_category_is_found_by_path_name_and_slug),
        TEST(an_event_may_name_a_product_before_its_description_comes),
        TEST(a_variant_named_first_by_an_event_ends_at_its_product),
        TEST(removing_and_hiding_act_at_once_and_ids_stay),
        TEST(prices_change_by_themselves_and_variants_set_the_from_price),
        TEST(a_remark_goes_with_the_item_as_it_was),
        TEST(a_loaded_catalogue_is_the_one_that_was_folded),
        TEST(any_field_that_changes_changes_the_digest),
        TEST(what_is_wrong_with_an_item_is_named),
        TEST(an_item_prints_as_the_api_says),
        TEST(an_item_prints_the_same_again_and_anew_when_it_changed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
