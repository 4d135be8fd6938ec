/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/json.h"
#include "event/event.h"

#include <cmocka.h>

static arena a;

static const struct plan *plan_of(const char *text)
{
    const struct json *doc;
    const struct plan *plan;
    struct diag diag = { .arena = &a };
    assert_int_equal(json_parse(&a, str_of(text), &doc, &diag), ERR_OK);
    if (plan_read(&a, doc, &plan, &diag)) { print_message("%.*s\n", STR_FMT(diag.what)); return NULL; }
    return plan;
}

#define SAYS(plan, e, words) assert_true(str_eq(plan_check((plan), (e), &a), str_of(words)))

static void finds_what_is_outside(void **state)
{
    (void)state;
    const struct plan *plan = plan_of(
        "{\"events\":{"
        "\"Product Viewed\":{\"owner\":\"web\",\"purpose\":\"recommend\",\"properties\":{\"product_id\":\"text\",\"list\":\"text?\","
        "\"price\":{\"type\":\"number?\",\"min\":0,\"max\":1000},\"size\":{\"type\":\"text\",\"optional\":true,\"one_of\":[\"S\",\"M\"]}}},"
        "\"Lamp Rubbed\":{\"owner\":\"web\",\"purpose\":\"wishes\",\"properties\":{\"times\":\"whole\",\"at\":\"time?\",\"who\":\"list?\"}},"
        "\"identify\":{\"owner\":\"crm\",\"purpose\":\"greet\",\"properties\":{\"first_name\":\"text\",\"vip\":\"bool?\"}}}}");
    assert_non_null(plan);
    assert_false(plan_refuses(plan));
    struct event e = { .type = EVENT_PRODUCT_VIEWED,
                       .name = S("product_viewed"),
                       .properties =
                           S("{\"product_id\":\"p\",\"price\":\"19.90\",\"other\":[1]}") };
    SAYS(plan, &e, "");
    static const struct { const char *properties, *says; } rows[] = {
        { "{}", "Product Viewed: product_id is missing" },
        { "{\"product_id\":null}", "Product Viewed: product_id is missing" },
        { "{\"product_id\":7}", "" },
        { "{\"product_id\":[]}", "Product Viewed: product_id is not a text" },
        { "{\"product_id\":\"p\",\"price\":-0.01}", "Product Viewed: price is below 0" },
        { "{\"product_id\":\"p\",\"price\":1000.5}", "Product Viewed: price is above 1000" },
        { "{\"product_id\":\"p\",\"price\":\"cheap\"}", "Product Viewed: price is not a number" },
        { "{\"product_id\":\"p\",\"price\":1000,\"size\":\"M\"}", "" },
        { "{\"product_id\":\"p\",\"size\":\"XL\"}", "Product Viewed: size is none of the values in the plan" },
    };
    for (isize i = 0; i < countof(rows); i++) {
        e.properties = str_of(rows[i].properties);
        SAYS(plan, &e, rows[i].says);
    }
    struct event own = { .type = EVENT_CUSTOM_FIRST,
                         .name = S("lamp rubbed"),
                         .properties = S("{\"times\":3.0,\"at\":\"2026-01-01\",\"who\":[1]}") };
    SAYS(plan, &own, "");
    own.properties = S("{\"times\":3.5}");
    SAYS(plan, &own, "Lamp Rubbed: times is not a whole number");
    own.name = S("Lamp Dropped");
    SAYS(plan, &own, "Lamp Dropped is not in the plan");
    struct fact facts[] = { { .name = S("first_name"), .kind = FACT_TEXT, .text = S("Ana") },
                            { .name = S("vip"), .kind = FACT_TEXT, .text = S("yes") } };
    struct event who = { .type = EVENT_IDENTIFIED, .traits = facts, .traits_n = 1 };
    SAYS(plan, &who, "");
    who.traits_n = 2;
    SAYS(plan, &who, "identify: vip is not true or false");
    struct event page = { .type = EVENT_PAGE_VIEWED, .name = S("Home") };
    SAYS(plan, &page, "page is not in the plan");
    SAYS(NULL, &page, "");
    arena_fini(&a);
}

static void refuses_a_plan_that_says_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{}", "[]", "{\"events\":[]}", "{\"events\":{\"A\":{}}}", "{\"events\":{\"A\":{\"owner\":\"x\"}}}",
        "{\"events\":{\"A\":{\"owner\":\"x\",\"purpose\":\"y\",\"properties\":{\"p\":\"word\"}}}}",
        "{\"events\":{\"A\":{\"owner\":\"x\",\"purpose\":\"y\",\"properties\":{\"p\":{\"type\":\"text\",\"one_of\":3}}}}}",
        "{\"outside\":\"shout\",\"events\":{}}",
    };
    for (isize i = 0; i < countof(wrong); i++) assert_null(plan_of(wrong[i]));
    assert_true(plan_refuses(plan_of("{\"outside\":\"refuse\",\"events\":{}}")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_what_is_outside),
                                        cmocka_unit_test(refuses_a_plan_that_says_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
