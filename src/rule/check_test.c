/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whoever writes a wrong rule is told where, what was expected and what was probably meant.
 * Method: a table of wrong rules with the column, a piece of the message and the hint of each
 * mistake in turn. */
#include "rule/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "rule/rule_world.h"

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

struct mistake { isize column; const char *says, *hint; };
struct wrong { const char *why; str text; enum rule_place place; struct mistake at[4]; };

static void check(const struct wrong *row)
{
    const struct rule *rule;
    struct rule_errors errors;
    enum err err = rule_compile(&memory, row->text, row->place, &world_names, &rule, &errors);
    if (err != ERR_BAD_INPUT) fail_msg("%s: taken", row->why);
    isize n = 0;
    while (n < countof(row->at) && row->at[n].column) n++;
    for (isize i = 0; i < min_isize(n, errors.n); i++) {
        const struct rule_error *e = &errors.at[i];
        bool same = e->column == row->at[i].column && str_find(e->message, str_of(row->at[i].says)) >= 0
                 && (!row->at[i].hint || str_eq(e->hint, str_of(row->at[i].hint)));
        if (!same)
            fail_msg("%s: %td: %.*s [%.*s]", row->why, e->column, STR_FMT(e->message),
                     STR_FMT(e->hint));
    }
    if (errors.n != n) {
        for (isize i = 0; i < errors.n; i++)
            (void)printf("# %td: %.*s [%.*s]\n", errors.at[i].column, STR_FMT(errors.at[i].message),
                         STR_FMT(errors.at[i].hint));
        fail_msg("%s: %td mistakes, not %td", row->why, errors.n, n);
    }
}

/* 200 questions over the history are too many for one rule; the reason says how much and how much may be. */
static void what_is_too_heavy_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct buf text = { .arena = &memory };
    const struct rule *rule;
    struct rule_errors errors;
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "%scount(page_viewed, last %d days) > 1", i ? " or " : "", i + 1);
    assert_true(text.len < RULE_BYTES_MAX);
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors), ERR_OK);
    assert_true(rule_cost(rule) <= RULE_COST_MAX);
    text.len = 0;
    for (int i = 0; i < 150; i++)
        buf_printf(&text, "%sdistinct(page_viewed.product, last %d days) > 1", i ? " or " : "",
                   i + 1);
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_true(str_find(errors.at[0].message, S("too heavy")) >= 0);
    assert_int_equal(errors.at[0].column, 1);
}

static void what_cannot_be_read_is_told_with_its_column(void **state)
{
    (void)state;
    static const struct wrong rows[] = {
        { "nothing", S_INIT(""), RULE_SEGMENT, { { 1, "expected a condition", "" } } },
        { "nothing but space", S_INIT("  \n"), RULE_SEGMENT, { { 4, "expected a condition", "" } } },
        { "ends too soon", S_INIT("age > 3 and"), RULE_SEGMENT, { { 12, "the rule ends here", "" } } },
        { "a slip in and", S_INIT("age > 3 adn age < 9"), RULE_SEGMENT, { { 9, "expected a comparison, `and`", "and" } } },
        { "a slip in contains", S_INIT("gender contians \"x\""), RULE_SEGMENT, { { 8, "expected a comparison", "contains" } } },
        { "another language's and", S_INIT("age > 3 && age < 9"), RULE_SEGMENT, { { 9, "means nothing", "and" } } },
        { "another language's not", S_INIT("!subscribed"), RULE_SEGMENT, { { 1, "means nothing", "not" } } },
        { "curly quotes", S_INIT("gender = \xe2\x80\x9c""female\""), RULE_SEGMENT, { { 10, "means nothing", "\"" }, { 19, "not closed", "\"" } } },
        { "text not closed", S_INIT("gender = \"fem"), RULE_SEGMENT, { { 10, "not closed", "\"" } } },
        { "an unknown escape", S_INIT("gender = \"a\\q\""), RULE_SEGMENT, { { 12, "after a backslash", "\\\\" } } },
        { "a parenthesis missing", S_INIT("(age > 3 and (age < 9)"), RULE_SEGMENT, { { 23, "expected `)`", ")" } } },
        { "a parenthesis too many", S_INIT("age > 3) and age < 9"), RULE_SEGMENT, { { 8, "closes nothing", "" } } },
        { "text without quotes", S_INIT("gender = female"), RULE_SEGMENT, { { 10, "text stands in quotes", "\"female\"" } } },
        { "an unknown question", S_INIT("cuont(page_viewed) > 3"), RULE_SEGMENT, { { 1, "no question called cuont", "count" } } },
        { "days of no such month", S_INIT("at(last page_viewed) > 2026-02-30"), RULE_SEGMENT, { { 24, "no such day", "2026-01-31" } } },
        { "no unit", S_INIT("did(page_viewed, last 30)"), RULE_SEGMENT, { { 25, "expected minutes, hours", "days" } } },
        { "no space before the unit", S_INIT("did(page_viewed, last 30days)"), RULE_SEGMENT, { { 23, "without a space", "30 days" } } },
        { "no window", S_INIT("did(page_viewed, yesterday)"), RULE_SEGMENT, { { 18, "expected a window", "last 30 days" } } },
        { "the window turned round", S_INIT("did(page_viewed, between 14 and 7 days ago)"), RULE_SEGMENT, { { 26, "nearer end", "between 7 and 14" } } },
        { "a trait without a name", S_INIT("trait(\"\") = 3"), RULE_SEGMENT, { { 7, "expected a name in quotes", "\"first_name\"" } } },
        { "a condition for a value", S_INIT("age >= did(page_viewed)"), RULE_SEGMENT, { { 8, "this is a condition", "and" } } },
        { "no field", S_INIT("sum(order_completed) > 3 EUR"), RULE_SEGMENT, { { 20, "a dot and the field", "." } } },
        { "not since what", S_INIT("did(page_viewed, between 3 and 7 days ago, not)"), RULE_SEGMENT, { { 47, "`since`", "since" } } },
        { "not since now", S_INIT("did(page_viewed, between 0 and 7 days ago, not since)"), RULE_SEGMENT, { { 26, "ends before now", "between 1 and" } } },
        { "a cart or a product", S_INIT("sequence(product_added then page_viewed within 1 day for the same order)"), RULE_SEGMENT, { { 67, "for the same cart", "for the same product" } } },
        { "no such latitude", S_INIT("distance_km(100, 5) < 3"), RULE_SEGMENT, { { 13, "a latitude is", "" } } },
        { "since what", S_INIT("days_since(5) > 3"), RULE_SEGMENT, { { 12, "`first` or `last`", "last order_completed" } } },
        { "a sequence of one", S_INIT("sequence(page_viewed within 2 hours)"), RULE_SEGMENT, { { 22, "`then`", "then" } } },
        { "a sequence that begins with nothing", S_INIT("sequence(not page_viewed then product_added within 2 hours)"), RULE_SEGMENT, { { 10, "begins with something", "" } } },
        { "not in the middle", S_INIT("sequence(page_viewed then not product_added then page_viewed within 1 day)"), RULE_SEGMENT, { { 50, "only the last step", "within" } } },
        { "a history question inside where", S_INIT("did(page_viewed where count(page_viewed) > 3)"), RULE_SEGMENT, { { 23, "fields of the event", "category" } } },
        { "more digits than the currency has", S_INIT("sum(order_completed.value) > 5.001 EUR"), RULE_SEGMENT, { { 30, "EUR has 2 digits", "" } } },
        { "every mistake is found", S_INIT("age >> 3 and (gender = ) and did(nothing_at_all) or age = 3 4"), RULE_SEGMENT,
          { { 6, "expected a value", "" }, { 24, "expected a value", "" }, { 34, "no event", NULL }, { 61, "expected a comparison", "" } } },
    };
    for (isize i = 0; i < countof(rows); i++) check(&rows[i]);
}

static void names_that_do_not_exist_are_told_with_the_nearest(void **state)
{
    (void)state;
    static const struct wrong rows[] = {
        { "an event", S_INIT("did(order_complete, last 3 days)"), RULE_SEGMENT, { { 5, "no event is called order_complete", "order_completed" } } },
        { "an event of the shop's own", S_INIT("did('Newsleter Joined')"), RULE_SEGMENT, { { 5, "no event", "Newsletter Joined" } } },
        { "an event like nothing", S_INIT("did(xyz)"), RULE_SEGMENT, { { 5, "no event", "" } } },
        { "a segment", S_INIT("true and not in segment \"vipp\""), RULE_SEGMENT, { { 25, "no segment \"vipp\"", "vip" } } },
        { "one of our own names", S_INIT("did(in_wishlst)"), RULE_SEGMENT, { { 5, "no event", "in_wishlist" } } },
        { "a rung", S_INIT("stage = \"considration\""), RULE_SEGMENT, { { 9, "no stage is called considration", "consideration" } } },
        { "an alias", S_INIT("orders.cuont > 3"), RULE_SEGMENT, { { 1, "nobody has a trait called orders.cuont", "orders.count" } } },
        { "a segment in a where", S_INIT("did(segment_left where segment = \"lapsd\")"), RULE_SEGMENT, { { 34, "no segment \"lapsd\"", "lapsed" } } },
        { "a segment by its order", S_INIT("did(segment_left where segment > \"vip\")"), RULE_SEGMENT, { { 24, "= or in", "=" } } },
        { "no version", S_INIT("app_version >= version \"two\""), RULE_SEGMENT, { { 16, "a version such as", "version \"2.10.0\"" } } },
        { "a list that is a number", S_INIT("orders.count has 3"), RULE_SEGMENT, { { 1, "asks about a list", "=" } } },
        { "a trait", S_INIT("gendr = \"female\""), RULE_SEGMENT, { { 1, "nobody has a trait called gendr", "gender" } } },
        { "a trait in another letter case", S_INIT("Gender = \"female\""), RULE_SEGMENT, { { 1, "nobody has a trait called Gender", "gender" } } },
        { "a category", S_INIT("did(product_viewed where category under \"jaens\")"), RULE_SEGMENT, { { 41, "no category", "jeans" } } },
        { "a category liked", S_INIT("affinity(category, \"sweater\") > 0.2"), RULE_SEGMENT, { { 1, "no category", "sweaters" } } },
        { "a channel", S_INIT("did(page_viewed where channel = \"app store\")"), RULE_SEGMENT, { { 33, "no channel", NULL } } },
        { "a field", S_INIT("sum(order_completed.revenu) > 3 EUR"), RULE_SEGMENT, { { 21, "no event has a field called revenu", "revenue" } } },
        { "a field of the item", S_INIT("item.pricee < 3 EUR"), RULE_FILTER, { { 1, "items have no pricee", "price" } } },
    };
    for (isize i = 0; i < countof(rows); i++) check(&rows[i]);
    const struct rule *rule;
    struct rule_errors errors;
    assert_int_equal(rule_compile(&memory, S("trait(\"gendr\") = \"x\" and wholly_new = 3"),
                                  RULE_SEGMENT, &world_names, &rule, &errors),
                     ERR_OK);
    assert_int_equal(rule_compile(&memory, S("age = 3"), RULE_SEGMENT, NULL, &rule, &errors), ERR_OK);
    assert_int_equal(
        rule_compile(&memory, S("in segment \"vip\""), RULE_SEGMENT, NULL, &rule, &errors),
        ERR_BAD_INPUT);
}

static void sides_that_do_not_fit_are_told(void **state)
{
    (void)state;
    static const struct wrong rows[] = {
        { "money without currency", S_INIT("sum(order_completed.revenue) > 500"), RULE_SEGMENT, { { 32, "write the currency: 500 EUR", "500 EUR" } } },
        { "a price without currency", S_INIT("item.price < 49.90"), RULE_FILTER, { { 14, "write the currency", "49.9 EUR" } } },
        { "inside where", S_INIT("did(order_completed where value > 50)"), RULE_SEGMENT, { { 35, "write the currency", "50 EUR" } } },
        { "a count of money", S_INIT("count(order_completed) > 5 EUR"), RULE_SEGMENT, { { 26, "expected a number, this is money", "" } } },
        { "a date for a number", S_INIT("count(page_viewed) > 2026-01-01"), RULE_SEGMENT, { { 22, "expected a number", "" } } },
        { "a number for a time", S_INIT("at(last page_viewed) > 3"), RULE_SEGMENT, { { 24, "expected a date", "2026-01-31" } } },
        { "a number for text", S_INIT("item.brand = 7"), RULE_FILTER, { { 14, "expected text in quotes", "\"7\"" } } },
        { "text has no order", S_INIT("age > \"3\""), RULE_SEGMENT, { { 7, "has no order", "" } } },
        { "nor has a brand", S_INIT("item.brand > \"A\""), RULE_FILTER, { { 1, "has no order", "=" } } },
        { "two currencies", S_INIT("item.price between 3 EUR and 30 NOK"), RULE_FILTER, { { 30, "one currency", "" } } },
        { "between turned round", S_INIT("age between 30 and 20"), RULE_SEGMENT, { { 20, "lower end", "" } } },
        { "exactly some days", S_INIT("days_since(last page_viewed) = 3"), RULE_SEGMENT, { { 1, "between … and …", "between" } } },
        { "a count alone", S_INIT("count(page_viewed) and age > 3"), RULE_SEGMENT, { { 1, "expected a comparison after it", "" } } },
        { "is a count known", S_INIT("count(page_viewed) is known"), RULE_SEGMENT, { { 1, "did(…)", "did" } } },
        { "a literal first", S_INIT("3 < age"), RULE_SEGMENT, { { 1, "stands on the left", "" }, { 5, "text stands in quotes", NULL } } },
        { "a count on the right", S_INIT("age > count(page_viewed)"), RULE_SEGMENT, { { 7, "stands on the left", "" } } },
        { "under of a brand", S_INIT("item.brand under \"x\""), RULE_FILTER, { { 1, "only a category", NULL } } },
        { "a bad pattern", S_INIT("gender matches \"a(b\""), RULE_SEGMENT, { { 16, "missing )", "" } } },
        { "the sum of a brand", S_INIT("sum(product_viewed.brand) > 3"), RULE_SEGMENT, { { 20, "is text", "revenue" } } },
        { "a window shorter than the wait", S_INIT("sequence(product_added then not order_completed within 2 days, last 48 hours)"), RULE_SEGMENT, { { 1, "never so", "" } } },
        { "distinct beyond its end", S_INIT("distinct(product_viewed.product) > 257"), RULE_SEGMENT, { { 36, "as far as 256", "" } } },
    };
    for (isize i = 0; i < countof(rows); i++) check(&rows[i]);
}

static void names_are_only_said_where_they_mean_something(void **state)
{
    (void)state;
    static const struct wrong rows[] = {
        { "the moment in a segment", S_INIT("age > 3 and context.hour > 8"), RULE_SEGMENT, { { 13, "nobody looking", "" } } },
        { "an item in a segment", S_INIT("item.price > 3 EUR"), RULE_SEGMENT, { { 1, "only filters and guards", "" } } },
        { "an item in a target", S_INIT("context.hour > 3 and purchased(item)"), RULE_TARGET, { { 22, "only filters and guards", "did" } } },
        { "a place inside a place", S_INIT("context.hour > 3 and item.stock[context.store] > 1"), RULE_TARGET, { { 22, "only filters", "" } } },
    };
    for (isize i = 0; i < countof(rows); i++) check(&rows[i]);
}

static void what_is_too_much_is_refused(void **state)
{
    (void)state;
    const struct rule *rule;
    struct rule_errors errors;
    struct buf text = { .arena = &memory };
    for (int i = 0; i < 9; i++) buf_add(&text, S("not ("));
    buf_add(&text, S("true"));
    for (int i = 0; i < 9; i++) buf_add(&text, S(")"));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors), ERR_OK);

    text.len = 0;
    for (int i = 0; i < 40; i++) buf_add(&text, S("("));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_true(str_find(errors.at[0].message, S("nested more than")) >= 0);

    text.len = 0;                                       /* each level costs the JSON form four */
    for (int i = 0; i < 20; i++) buf_add(&text, S("true or false and (false and true or "));
    buf_add(&text, S("true"));
    for (int i = 0; i < 20; i++) buf_add(&text, S(")"));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_true(str_find(errors.at[0].message, S("nested too deep")) >= 0);

    text.len = 0;
    while (text.len <= RULE_BYTES_MAX) buf_add(&text, S("true and "));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_int_equal(
        rule_compile(&memory, S("gender = \"\xff\""), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);

    text.len = 0;
    for (int i = 0; i < 30; i++) buf_add(&text, S("did(nothing_like_it) and "));
    buf_add(&text, S("true"));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_int_equal(errors.n, RULE_ERRORS_MAX);

    text.len = 0;
    buf_add(&text, S("age in (0"));
    for (int i = 0; i < 256; i++) buf_printf(&text, ",%d", i);
    buf_add(&text, S(")"));
    assert_int_equal(
        rule_compile(&memory, buf_str(&text), RULE_SEGMENT, &world_names, &rule, &errors),
        ERR_BAD_INPUT);
    assert_true(str_find(errors.at[0].message, S("at most 256")) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_too_heavy_is_refused_with_the_reason, teardown),
        cmocka_unit_test_teardown(what_cannot_be_read_is_told_with_its_column, teardown),
        cmocka_unit_test_teardown(names_that_do_not_exist_are_told_with_the_nearest, teardown),
        cmocka_unit_test_teardown(sides_that_do_not_fit_are_told, teardown),
        cmocka_unit_test_teardown(names_are_only_said_where_they_mean_something, teardown),
        cmocka_unit_test_teardown(what_is_too_much_is_refused, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
