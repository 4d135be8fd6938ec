/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is said of a group names nobody, says each thing once, and keeps to the days asked about.
 * Method: profiles written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef assert

#include "segment/segment.h"

#define T0 1760000000000ll

static arena a;
static struct attributes *t;
static struct catalog *catalog;

static struct trait text(const char *name, str value)
{
    return (struct trait){ .fact = { .name = str_of(name), .kind = FACT_TEXT, .text = value },
                           .at_ms = T0 };
}
static struct trait number(const char *name, f64 n)
{
    return (struct trait){ .fact = { .name = str_of(name), .kind = FACT_NUMBER, .n = n },
                           .at_ms = T0 };
}

static isize ask(const struct trait *traits, isize n, const struct history_entry *history,
                 isize history_n, const u32 **out)
{
    struct profile p = {
        .id = { 1 }, .traits = traits, .traits_n = n, .history = history, .history_n = history_n
    };
    return attributes_of(t, catalog, &p, T0 - 10 * DAY_MS, T0, out);
}

static bool is(u32 at, const char *words)
{
    struct attribute x;
    return attribute_at(t, at, &x) && str_eq(attribute_print(&a, x), str_of(words));
}

static int set_up(void **state)
{
    (void)state;
    catalog = catalog_new();
    t = attributes_new(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    attributes_free(t);
    catalog_free(catalog);
    arena_fini(&a);
    return 0;
}

static void traits_are_told_in_bands_and_name_nobody(void **state)
{
    (void)state;
    const u32 *of;
    const struct trait traits[] = { number("age", 34), text("city", S("Oslo")),
                                    text("email", S("ana@shop.example")),
                                    text("first_name", S("Ana")), text("ip", S("127.0.0.1")) };
    assert_int_equal(ask(traits, 5, NULL, 0, &of), 2);
    assert_true(is(of[0], "age: 25 to 34") && is(of[1], "city: Oslo"));
    assert_true(str_eq(age_band(24.9), S("under 25")) && str_eq(age_band(65), S("65 and over")));
}

static void a_name_with_more_values_than_can_be_read_is_given_up(void **state)
{
    (void)state;
    const u32 *of;
    for (u32 i = 0; i < 41; i++) {
        struct trait one = text("club", arena_printf(&a, "c%u", i));
        struct attribute x;
        isize n = ask(&one, 1, NULL, 0, &of);
        assert_int_equal(n, i < 40 ? 1 : 0);
        if (i < 40) assert_true(attribute_at(t, of[0], &x));
    }
    struct attribute x;
    assert_false(attribute_at(t, 0, &x));               /* what was met before is given up with it */
}

static void deeds_count_once_and_within_the_days(void **state)
{
    (void)state;
    const u32 *of;
    struct event_item seen = {
        .product_key = S("p-1"), .category = S("Women > Jeans"), .brand = S("Acme"), .quantity = 1
    };
    u32 jeans = catalog_see(catalog, &seen, currency_of(S("EUR")), T0 - 20 * DAY_MS, 1).v;
    const struct history_entry history[] = {
        /* before */
        { .at_ms = T0 - 11 * DAY_MS, .type = EVENT_PRODUCT_PURCHASED, .item = jeans, .quantity = 1, .channel = CHANNEL_WEB },
        { .at_ms = T0 - 5 * DAY_MS, .type = EVENT_PRODUCT_VIEWED, .item = jeans, .channel = CHANNEL_WEB },
        { .at_ms = T0 - 4 * DAY_MS, .type = EVENT_PRODUCT_VIEWED, .item = jeans, .channel = CHANNEL_WEB },
        { .at_ms = T0 - 3 * DAY_MS, .type = EVENT_SEGMENT_ENTERED, .item = jeans },
        /* after */
        { .at_ms = T0 + DAY_MS, .type = EVENT_PRODUCT_PURCHASED, .item = jeans, .quantity = 1 },
    };
    isize n = ask(NULL, 0, history, 5, &of), found = 0;
    for (isize i = 0; i < n; i++)
        found += is(of[i], "viewed category: Jeans") || is(of[i], "viewed brand: Acme")
                 || is(of[i], "came by web");
    assert_int_equal(n, 3);
    assert_int_equal(found, 3);
    struct attributes *all = t;
    t = attributes_new(true);                           /* of behaviour alone: no traits */
    struct trait city = text("city", S("Oslo"));
    assert_int_equal(ask(&city, 1, history, 5, &of), 3);
    attributes_free(t);
    t = all;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(traits_are_told_in_bands_and_name_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_with_more_values_than_can_be_read_is_given_up,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(deeds_count_once_and_within_the_days, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("attributes", tests, NULL, NULL);
}
