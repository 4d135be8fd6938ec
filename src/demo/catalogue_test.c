/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include "catalog/catalog.h"
#include "demo/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const i64 now_ms = 1795000000000;                /* 2026-11-18 */

static struct demo_catalogue make(arena *a, u64 seed) { return demo_catalogue_new(a, seed, now_ms); }

static str written(arena *a, const struct demo_catalogue *c)
{
    struct buf out = { .arena = a };
    demo_catalogue_write(c, &out);
    return buf_str(&out);
}

static void the_same_seed_gives_the_same_catalogue(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue one = make(&a, 7), two = make(&a, 7), other = make(&a, 8);
    assert_true(str_eq(written(&a, &one), written(&a, &two)));
    assert_false(str_eq(written(&a, &one), written(&a, &other)));
    arena_fini(&a);
}

static void each_line_is_a_product_with_the_fields_of_the_contract(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = make(&a, 1);
    str rest = written(&a, &c);
    isize lines = 0;
    for (; rest.len > 0; lines++) {
        struct arena_mark mark = arena_mark(&a);
        struct str_cut cut = str_cut(rest, '\n');
        const struct json *p;
        assert_int_equal(json_parse(&a, cut.head, &p, NULL), ERR_OK);
        assert_true(str_eq(json_str(json_get(p, S("product_key")), S("")), c.products[lines].key));
        assert_true(json_str(json_path(p, "title.nb-NO"), S("")).len > 0);
        assert_true(json_str(json_path(p, "description.en"), S("")).len > 40);
        assert_int_equal(json_len(json_get(p, S("category"))), 2);
        i64 price = json_int(json_path(p, "price.minor"), 0), stock = 0;
        assert_true(price >= 390);
        assert_true(json_int(json_path(p, "list.minor"), price + 1) > price);
        assert_true(json_int(json_path(p, "cost.minor"), 0) < price);
        json_each(v, json_get(p, S("variants"))) stock += json_int(json_path(v, "stock.web"), 0);
        assert_int_equal(stock, json_int(json_path(p, "stock.web"), -1));
        assert_true(json_len(json_get(p, S("variants"))) >= 1);
        rest = cut.tail;
        arena_reset(&a, mark);
    }
    assert_int_equal(lines, 2000);
    arena_fini(&a);
}

static void titles_differ_within_a_category_and_variant_keys_within_a_product(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = make(&a, 3);
    for (isize i = 0; i < c.products_n; i++) {
        const struct demo_product *p = &c.products[i];
        for (isize j = i + 1; j < c.products_n && c.products[j].kind == p->kind; j++)
            for (isize language = 0; language < DEMO_LANGUAGES; language++)
                assert_false(str_eq(p->title[language], c.products[j].title[language]));
        for (isize v = 0; v < p->variants_n; v++)
            for (isize w = v + 1; w < p->variants_n; w++)
                assert_false(str_eq(p->variants[v].key, p->variants[w].key));
    }
    arena_fini(&a);
}

static void no_placeholder_is_left_in_a_sentence(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = make(&a, 5);
    str text = written(&a, &c);
    assert_int_equal(str_find(text, S("{m}")), -1);
    assert_int_equal(str_find(text, S("{b}")), -1);
    assert_int_equal(str_find(text, S("%s")), -1);
    arena_fini(&a);
}

static void a_product_is_found_by_its_key_and_by_nothing_else(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = make(&a, 1);
    assert_ptr_equal(demo_product_by_key(&c, S("p-1")), &c.products[0]);
    assert_ptr_equal(demo_product_by_key(&c, S("p-2000")), &c.products[1999]);
    const char *const wrong[] = { "",       "p-",   "p-0",
                                  "p-2001", "p-01", "q-1",
                                  "p-1x",   "p--1", "p-99999999999999999999" };
    for (isize i = 0; i < countof(wrong); i++) assert_null(demo_product_by_key(&c, str_of(wrong[i])));
    arena_fini(&a);
}

static void some_is_reduced_some_is_new_some_is_sold_out(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = make(&a, 1);
    isize reduced = 0, fresh = 0, sold_out = 0, consumable = 0;
    for (isize i = 0; i < c.products_n; i++) {
        const struct demo_product *p = &c.products[i];
        reduced += p->money[DEMO_EUR].list_minor > 0;
        fresh += p->published_at_ms > now_ms - 22 * DAY_MS;
        sold_out += p->stock[DEMO_WEB] == 0;
        consumable += p->repurchase_days > 0;
        assert_true(p->published_at_ms < now_ms);
    }
    assert_in_range(reduced, 200, 700);
    assert_in_range(fresh, 120, 300);
    assert_in_range(sold_out, 50, 300);
    assert_int_equal(consumable, 400);
    arena_fini(&a);
}

static void each_article_is_content_in_both_languages(void **state)
{
    (void)state;
    arena a = { 0 };
    struct buf out = { .arena = &a };
    demo_content_write(&a, &out);
    isize n = 0;
    for (str rest = buf_str(&out); rest.len > 0; n++) {
        struct str_cut cut = str_cut(rest, '\n');
        const struct json *item;
        assert_int_equal(json_parse(&a, cut.head, &item, NULL), ERR_OK);
        assert_true(json_str(json_path(item, "title.nb-NO"), S("")).len > 0);
        assert_true(str_starts(json_str(json_get(item, S("url")), S("")), S("/shop/guide/a-")));
        rest = cut.tail;
    }
    assert_int_equal(n, CONTENTS);
    arena_fini(&a);
}

static void the_engine_reads_every_product_and_article(void **state)
{
    (void)state;
    arena a = { 0 }, scratch = { 0 };
    struct demo_catalogue c = make(&a, 1);
    struct buf out = { .arena = &a };
    demo_catalogue_write(&c, &out);
    demo_content_write(&scratch, &out);
    struct catalog *catalog = catalog_new();
    for (str rest = buf_str(&out); rest.len > 0;) {
        struct str_cut cut = str_cut(rest, '\n');
        const struct json *doc;
        struct item_change change;
        struct diag why = { .arena = &scratch };
        assert_int_equal(json_parse(&scratch, cut.head, &doc, &why), ERR_OK);
        if (item_change_from_json(&scratch, doc, &change, &why)) fail_msg("%.*s", STR_FMT(why.what));
        catalog_apply(catalog, &change, now_ms);
        rest = cut.tail;
        arena_clear(&scratch);
    }
    for (isize i = 0; i < c.products_n; i++) {
        const struct demo_product *p = &c.products[i];
        const struct item *item = catalog_item(catalog, catalog_find(catalog, p->key));
        assert_non_null(item);
        assert_int_equal(item->variants_n, p->variants_n);
        assert_true(item_under(catalog, item, str_of(kinds[p->kind].path[1].in[DEMO_EN])));
        assert_int_equal(item_price(item, S("no"))->minor, p->money[DEMO_NOK].price_minor);
        assert_int_equal(item_price(item, S("eu"))->minor, p->money[DEMO_EUR].price_minor);
        for (isize place = 0; place < DEMO_PLACES; place++)
            assert_int_equal(item_stock(item, str_of(demo_place_keys[place])), p->stock[place]);
        assert_true(str_eq(item_text(item->titles, item->titles_n, S("nb-NO")), p->title[DEMO_NB]));
    }
    assert_int_equal(catalog_item(catalog, catalog_find(catalog, S("a-1")))->kind, ITEM_CONTENT);
    catalog_free(catalog);
    arena_fini(&scratch);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_catalogue),
        cmocka_unit_test(each_line_is_a_product_with_the_fields_of_the_contract),
        cmocka_unit_test(titles_differ_within_a_category_and_variant_keys_within_a_product),
        cmocka_unit_test(no_placeholder_is_left_in_a_sentence),
        cmocka_unit_test(a_product_is_found_by_its_key_and_by_nothing_else),
        cmocka_unit_test(some_is_reduced_some_is_new_some_is_sold_out),
        cmocka_unit_test(the_engine_reads_every_product_and_article),
        cmocka_unit_test(each_article_is_content_in_both_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
