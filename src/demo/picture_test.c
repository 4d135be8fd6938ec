/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void each_picture_is_small_whole_and_refers_to_nothing(void **state)
{
    (void)state;
    arena perm = { 0 }, scratch = { 0 };
    struct demo_catalogue c = demo_catalogue_new(&perm, 1, 1795000000000);
    for (isize i = 0; i < c.products_n; i++) {
        str svg = demo_picture(&scratch, &c.products[i]);
        assert_true(svg.len < 3000);
        assert_true(str_starts(svg, S("<svg xmlns='http://www.w3.org/2000/svg'")));
        assert_true(str_ends(svg, S("</svg>")));
        const char *const unwanted[] = { "$", "href", "url(", "script", "<text" };
        for (isize u = 0; u < countof(unwanted); u++) assert_int_equal(str_find(svg, str_of(unwanted[u])), -1);
        isize quotes = 0;
        for (isize at = 0; at < svg.len; at++) quotes += svg.ptr[at] == '\'';
        assert_int_equal(quotes % 2, 0);
        arena_clear(&scratch);
    }
    arena_fini(&scratch);
    arena_fini(&perm);
}

static void the_same_product_is_the_same_picture_and_styles_differ(void **state)
{
    (void)state;
    arena a = { 0 };
    struct demo_catalogue c = demo_catalogue_new(&a, 1, 1795000000000);
    assert_true(str_eq(demo_picture(&a, &c.products[0]), demo_picture(&a, &c.products[0])));
    assert_false(str_eq(demo_picture(&a, &c.products[0]), demo_picture(&a, &c.products[1])));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_picture_is_small_whole_and_refers_to_nothing),
        cmocka_unit_test(the_same_product_is_the_same_picture_and_styles_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
