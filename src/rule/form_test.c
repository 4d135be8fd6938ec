/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the console's builder may send any JSON: it gets the text of the rule, or the path of what
 * is wrong. Method: tables both ways. (That every rule survives its own JSON form is checked where
 * the rules are: rule_test, run_test.) */
#include "rule/rule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

static void a_tree_becomes_text(void **state)
{
    (void)state;
    static const struct { str json, text; } rows[] = {
        { S_INIT("{\"and\":[{\"test\":\"=\",\"left\":{\"trait\":\"gender\"},\"right\":\"female\"},{\"test\":\">=\",\"left\":{\"count\":{\"event\":\"product_viewed\","
                 "\"where\":{\"test\":\"under\",\"left\":{\"field\":\"category\"},\"right\":\"jeans\"},\"window\":{\"last\":30,\"unit\":\"day\"}}},\"right\":3}]}"),
          S_INIT("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3") },
        { S_INIT("{\"or\":[{\"and\":[{\"not\":{\"in_segment\":\"vip\"}}]},{\"did\":{\"event\":\"Newsletter Joined\",\"window\":{\"since\":\"2026-01-31\"}}}]}"),
          S_INIT("not in segment \"vip\" or did(\"Newsletter Joined\", since 2026-01-31)") },
        { S_INIT("{\"test\":\"between\",\"left\":{\"item\":\"stock\",\"key\":{\"context\":\"store\"}},\"right\":[1,{\"percent\":12.5}]}"),
          S_INIT("item.stock[context.store] between 1 and 12.5%") },
        { S_INIT("{\"sequence\":{\"steps\":[{\"event\":\"product_added\"},{\"event\":\"order_completed\",\"not\":true}],\"within\":2,\"unit\":\"hours\","
                 "\"window\":{\"near\":0,\"far\":7,\"unit\":\"days\"}}}"),
          S_INIT("sequence(product_added then not order_completed within 2 hours, between 0 and 7 days ago)") },
        { S_INIT("{\"test\":\"in\",\"left\":{\"trait\":\"shoe size\"},\"right\":[{\"trait\":\"a\"},{\"money\":\"5 EUR\"},{\"date\":\"2026-01-31\"},true]}"),
          S_INIT("trait(\"shoe size\") in (trait(\"a\"), 5 EUR, 2026-01-31, true)") },
        { S_INIT("{\"test\":\"is known\",\"left\":{\"at\":{\"event\":\"page_viewed\",\"pick\":\"first\"}}}"), S_INIT("at(first page_viewed) is known") },
        { S_INIT("{\"test\":\"is true\",\"left\":{\"item\":\"in_stock\"}}"), S_INIT("item.in_stock") },
        { S_INIT("{\"wished\":{}}"), S_INIT("wished(item)") },
        { S_INIT("{\"test\":\"has all of\",\"left\":{\"trait\":\"sizes\"},\"right\":[\"M\",40]}"), S_INIT("sizes has all of (\"M\", 40)") },
        { S_INIT("{\"test\":\"has any of\",\"left\":{\"trait\":\"sizes\"},\"right\":[\"M\"]}"), S_INIT("sizes has any of (\"M\")") },
        { S_INIT("{\"test\":\">\",\"left\":{\"trait\":\"app_version\"},\"right\":{\"version\":\"2.9\"}}"), S_INIT("app_version > version \"2.9\"") },
        { S_INIT("{\"test\":\">\",\"left\":{\"trait\":\"orders.count\"},\"right\":2}"), S_INIT("orders.count > 2") },
        { S_INIT("{\"test\":\">\",\"left\":{\"days_since\":{\"trait\":\"member_since\"}},\"right\":2}"), S_INIT("days_since(member_since) > 2") },
        { S_INIT("{\"test\":\"<\",\"left\":{\"distance_km\":[59.91,-10.75]},\"right\":25}"), S_INIT("distance_km(59.91, -10.75) < 25") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"last\":{\"event\":\"product_viewed\",\"field\":\"brand\"}},\"right\":\"Acme\"}"), S_INIT("last(product_viewed.brand) = \"Acme\"") },
        { S_INIT("{\"sequence\":{\"steps\":[{\"event\":\"product_added\"},{\"event\":\"order_completed\"}],\"unless\":{\"event\":\"product_removed\"},"
                 "\"within\":2,\"unit\":\"hours\",\"same_cart\":true}}"),
          S_INIT("sequence(product_added then order_completed unless product_removed within 2 hours for the same cart)") },
        { S_INIT("{\"did\":{\"event\":\"anything\",\"window\":{\"near\":30,\"far\":90,\"unit\":\"day\",\"not_since\":true}}}"),
          S_INIT("did(anything, between 30 and 90 days ago, not since)") },
        { S_INIT("{\"viewed\":{\"window\":{\"session\":true}}}"), S_INIT("viewed(item, this session)") },
    };
    for (isize i = 0; i < countof(rows); i++) {
        const struct json *tree;
        struct diag diag = { .arena = &memory };
        str text;
        assert_int_equal(json_parse(&memory, rows[i].json, &tree, &diag), ERR_OK);
        if (rule_from_json(&memory, tree, &text, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
        if (!str_eq(text, rows[i].text)) fail_msg("%.*s", STR_FMT(text));
    }
}

static void what_is_no_tree_is_told_with_its_path(void **state)
{
    (void)state;
    static const struct { str json, says; } rows[] = {
        { S_INIT("3"), S_INIT("at /: expected a condition") },
        { S_INIT("{}"), S_INIT("at /: expected a condition") },
        { S_INIT("{\"and\":[]}"), S_INIT("at /and: expected a list of conditions") },
        { S_INIT("{\"and\":[{\"not\":{\"tset\":\"=\"}}]}"), S_INIT("at /and/0/not: expected a condition") },
        { S_INIT("{\"test\":\"~\",\"left\":{\"trait\":\"a\"},\"right\":1}"), S_INIT("expected a comparison") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"trait\":\"a\"}}"), S_INIT("at /right: expected a value") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"trait\":\"a\"},\"right\":[1]}"), S_INIT("as many values") },
        { S_INIT("{\"test\":\"between\",\"left\":{\"trait\":\"a\"},\"right\":[1]}"), S_INIT("as many values") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"trait\":\"a\"},\"right\":{\"money\":\"five\"}}"), S_INIT("at /right: expected money") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"trait\":\"a\"},\"right\":{\"money\":\"5 EUR or true\"}}"), S_INIT("at /right: expected money") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"trait\":\"a\"},\"right\":1e300}"), S_INIT("at /right: expected a number") },
        { S_INIT("{\"test\":\"=\",\"left\":{\"context\":\"a b\"},\"right\":1}"), S_INIT("at /left: expected a name") },
        { S_INIT("{\"did\":{\"event\":\"\"}}"), S_INIT("at /did: expected an object with the name of an event") },
        { S_INIT("{\"did\":{\"event\":\"a\",\"window\":{\"last\":0.5,\"unit\":\"day\"}}}"), S_INIT("at /did/window/last: expected a whole number") },
        { S_INIT("{\"did\":{\"event\":\"a\",\"window\":{\"last\":5,\"unit\":\"aeon\"}}}"), S_INIT("at /did/window/unit: expected minute") },
        { S_INIT("{\"did\":{\"event\":\"a\",\"window\":{}}}"), S_INIT("at /did/window: expected a window") },
        { S_INIT("{\"sequence\":{\"steps\":[{\"event\":\"a\"}]}}"), S_INIT("at /sequence: expected 2 to 8 steps") },
        { S_INIT("{\"test\":\">\",\"left\":{\"sum\":{\"event\":\"a\"}},\"right\":1}"), S_INIT("at /left/sum: expected a field") },
    };
    for (isize i = 0; i < countof(rows); i++) {
        const struct json *tree;
        struct diag diag = { .arena = &memory };
        str text;
        assert_int_equal(json_parse(&memory, rows[i].json, &tree, &diag), ERR_OK);
        assert_int_equal(rule_from_json(&memory, tree, &text, &diag), ERR_BAD_INPUT);
        if (str_find(diag.what, rows[i].says) < 0)
            fail_msg("%.*s: %.*s", STR_FMT(rows[i].json), STR_FMT(diag.what));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_tree_becomes_text, teardown),
        cmocka_unit_test_teardown(what_is_no_tree_is_told_with_its_path, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
