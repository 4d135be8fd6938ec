/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: rules mean what the reference says.
 * Method: tables of (why, rule, answer) over the fixed world of rule_world.h; each rule also goes
 * through its printed text and its JSON form and must answer the same. */
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

static const struct rule *compiled(str text, enum rule_place place)
{
    const struct rule *rule;
    struct rule_errors errors;
    if (rule_compile(&memory, text, place, &world_names, &rule, &errors)) {
        for (isize i = 0; i < errors.n; i++)
            fail_msg("%.*s\n%*s^ %.*s [%.*s]", STR_FMT(text), (int)errors.at[i].column - 1, "",
                     STR_FMT(errors.at[i].message), STR_FMT(errors.at[i].hint));
    }
    return rule;
}

static str form(const struct rule *rule)
{
    struct buf out = { .arena = &memory };
    struct jsonw w = { .out = &out };
    rule_to_json(rule, &w);
    return buf_str(&out);
}

/* text -> rule -> text -> rule, and -> JSON -> text -> rule: all print the same. */
static void check_round_trip(const struct rule *rule, enum rule_place place)
{
    str printed = rule_print(&memory, rule), back;
    const struct json *tree;
    struct diag diag = { .arena = &memory };
    const struct rule *again = compiled(printed, place);
    if (!str_eq(rule_print(&memory, again), printed))
        fail_msg("prints as %.*s, then as %.*s", STR_FMT(printed),
                 STR_FMT(rule_print(&memory, again)));
    if (json_parse(&memory, form(rule), &tree, &diag))
        fail_msg("%.*s: %.*s", STR_FMT(form(rule)), STR_FMT(diag.what));
    if (rule_from_json(&memory, tree, &back, &diag))
        fail_msg("%.*s: %.*s", STR_FMT(form(rule)), STR_FMT(diag.what));
    if (!str_eq(back, printed)) fail_msg("%.*s came back from JSON as %.*s", STR_FMT(printed), STR_FMT(back));
    (void)compiled(back, place);
}

static const char *const answers[] = { "no", "yes", "unknown" };

static void check_answer(const char *why, str text, enum rule_place place, enum tri want)
{
    const struct rule *rule = compiled(text, place);
    struct rule_facts facts = world_facts();
    struct rule_result got = rule_run(rule, &facts);
    if (got.is != want)
        fail_msg("%s: %.*s is %s, expected %s", why, STR_FMT(text), answers[got.is], answers[want]);
    const struct rule_trace *trace = rule_explain(&memory, rule, &facts, 10);
    if (trace->is != want) fail_msg("%s: explain of %.*s says %s", why, STR_FMT(text), answers[trace->is]);
    check_round_trip(rule, place);
}

static void the_seven_examples_of_the_architecture_work(void **state)
{
    (void)state;
    static const struct { str text; enum rule_place place; enum tri want; } rows[] = {
        { S_INIT("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3"), RULE_SEGMENT, TRI_TRUE },
        { S_INIT("did(order_completed, last 14 days) and not in segment \"vip\""), RULE_SEGMENT, TRI_FALSE },
        { S_INIT("sum(order_completed.revenue, last 365 days) > 500 EUR and days_since(last order_completed) > 60"), RULE_SEGMENT, TRI_TRUE },
        { S_INIT("sequence(product_added then not order_completed within 2 hours)"), RULE_SEGMENT, TRI_TRUE },
        { S_INIT("context.hour between 8 and 11 and context.weather = \"cold\" and item.stock[context.store] > 0"), RULE_FILTER, TRI_FALSE },
        { S_INIT("affinity(category, \"jeans\") > 0.3 or quiz(\"skin-type\") = \"dry\""), RULE_SEGMENT, TRI_TRUE },
        { S_INIT("item.price < 50 EUR and item.brand in (\"Acme\", \"Nordic\") and not purchased(item, last 180 days)"), RULE_FILTER, TRI_TRUE },
    };
    for (isize i = 0; i < countof(rows); i++)
        check_answer("example", rows[i].text, rows[i].place, rows[i].want);
}


static void facts_are_compared_as_the_reference_says(void **state)
{
    (void)state;
    static const struct { const char *why; str text; enum tri want; } rows[] = {
        { "letter case of text does not matter", S_INIT("gender = 'FEMALE'"), TRI_TRUE },
        { "another text", S_INIT("gender != \"male\""), TRI_TRUE },
        { "a list", S_INIT("gender in (\"other\", \"female\")"), TRI_TRUE },
        { "not in a list", S_INIT("gender not in (\"other\", \"male\")"), TRI_TRUE },
        { "a number", S_INIT("age >= 34 and age < 34.5 and age <> 35"), TRI_TRUE },
        { "between takes both ends", S_INIT("age between 30 and 34"), TRI_TRUE },
        { "not between", S_INIT("age not between 30 and 34"), TRI_FALSE },
        { "a number that came as text", S_INIT("trait(\"shoe size\") > 37.5"), TRI_TRUE },
        { "a number is no text", S_INIT("age contains \"3\""), TRI_UNKNOWN },
        { "text is no number", S_INIT("gender > 3"), TRI_UNKNOWN },
        { "nobody has the trait", S_INIT("favourite_colour = \"red\""), TRI_UNKNOWN },
        { "not unknown is unknown", S_INIT("not favourite_colour = \"red\""), TRI_UNKNOWN },
        { "unknown and no", S_INIT("favourite_colour = \"red\" and age > 90"), TRI_FALSE },
        { "unknown or yes", S_INIT("favourite_colour = \"red\" or age > 9"), TRI_TRUE },
        { "unknown and yes", S_INIT("favourite_colour = \"red\" and age > 9"), TRI_UNKNOWN },
        { "in a list with the unknown", S_INIT("favourite_colour in (\"red\")"), TRI_UNKNOWN },
        { "a bare trait", S_INIT("subscribed and not (subscribed = false)"), TRI_TRUE },
        { "exists", S_INIT("exists gender and not exists favourite_colour"), TRI_TRUE },
        { "is known", S_INIT("gender is known and favourite_colour is unknown and favourite_colour is not known"), TRI_TRUE },
        { "contains", S_INIT("first_name contains \"ANCHOR\""), TRI_TRUE },
        { "escapes", S_INIT("first_name starts with \"ana \\\"A\" and first_name ends with \"\\u00c5s\""), TRI_TRUE },
        { "a pattern is found anywhere", S_INIT("first_name matches \"[A-Z]nc.or\""), TRI_TRUE },
        { "a pattern with its ends", S_INIT("first_name matches \"^Anchor$\""), TRI_FALSE },
        { "dates that came as text", S_INIT("born < 1992-03-01 and born = 1992-02-29 and born <= 1992-02-29"), TRI_TRUE },
        { "not before its own day", S_INIT("born < 1992-02-29 or born > 1992-02-29"), TRI_FALSE },
        { "everyone", S_INIT("true"), TRI_TRUE },
        { "segments are of three values", S_INIT("in segment \"lapsed\" and not in segment \"vip\""), TRI_TRUE },
        { "a segment nobody can tell", S_INIT("in segment \"newcomers\""), TRI_UNKNOWN },
        { "words in any letter case", S_INIT("favourite = 3 OR Not age > 99 AND gender = \"female\""), TRI_TRUE },
        { "and binds before or", S_INIT("true or true and false"), TRI_TRUE },
        { "parentheses", S_INIT("(true or true) and false"), TRI_FALSE },
        { "an answer", S_INIT("quiz(\"skin-type\") in (\"dry\", \"oily\")"), TRI_TRUE },
        { "an answer not given", S_INIT("quiz(\"hair\") = \"dry\""), TRI_UNKNOWN },
        { "what is predicted", S_INIT("predicted(\"churn\") > 60% and predicted(\"clv_365\") > 249 EUR"), TRI_TRUE },
        { "what is not predicted yet", S_INIT("predicted(\"alive\") > 0.5"), TRI_UNKNOWN },
        { "a share as a percentage", S_INIT("affinity(category, \"jeans\") between 79.9% and 80%"), TRI_TRUE },
    };
    for (isize i = 0; i < countof(rows); i++)
        check_answer(rows[i].why, rows[i].text, RULE_SEGMENT, rows[i].want);
}

static void history_is_counted_as_the_reference_says(void **state)
{
    (void)state;
    static const struct { const char *why; str text; enum tri want; } rows[] = {
        { "bots are not counted", S_INIT("count(product_viewed) = 4"), TRI_TRUE },
        { "any spelling of our events", S_INIT("did(ProductViewed) and did(\"Product Viewed\")"), TRI_TRUE },
        { "the shop's own event", S_INIT("did(\"Newsletter Joined\", last 30 days)"), TRI_TRUE },
        { "its window is over", S_INIT("did(\"Newsletter Joined\", last 9 days)"), TRI_FALSE },
        { "returns are passed over by counts", S_INIT("count(order_completed) = 2"), TRI_TRUE },
        { "and netted by sums", S_INIT("sum(order_completed.revenue) = 511.50 EUR"), TRI_TRUE },
        { "sums are of one currency", S_INIT("sum(order_completed.revenue) = 0 NOK"), TRI_TRUE },
        { "average", S_INIT("average(order_completed.value) = 285.25 EUR"), TRI_TRUE },
        { "average of none is unknown", S_INIT("average(order_completed.value, last 1 day) > 0 EUR"), TRI_UNKNOWN },
        { "min and max", S_INIT("min(order_completed.value) = 120.50 EUR and max(order_completed.value) = 450 EUR"), TRI_TRUE },
        { "pieces", S_INIT("sum(product_purchased.quantity) = 3 and max(product_purchased.quantity) = 2"), TRI_TRUE },
        { "the catalogue's price", S_INIT("max(product_viewed.price) = 89 EUR and sum(product_viewed.price, last 1 day) = 78 EUR"), TRI_TRUE },
        { "a number the shop made up", S_INIT("max(product_viewed.margin) = 0.5 and average(product_viewed.margin, today) between 29% and 31%"), TRI_TRUE },
        { "distinct products", S_INIT("distinct(product_viewed.product) = 3"), TRI_TRUE },
        { "distinct brands", S_INIT("distinct(product_viewed.brand, last 30 days) = 3"), TRI_TRUE },
        { "distinct channels", S_INIT("distinct(product_viewed.channel) = 2"), TRI_TRUE },
        { "where: under", S_INIT("count(product_viewed where category under \"clothes\") = 3"), TRI_TRUE },
        { "where: under one of", S_INIT("count(product_viewed where category under (\"clothes\", \"kitchen\")) = 4"), TRI_TRUE },
        { "where: itself only", S_INIT("count(product_viewed where category = \"clothes\") = 0"), TRI_TRUE },
        { "where: and, or, not", S_INIT("count(product_viewed where (brand = \"Acme\" or brand = \"Nordic\") and not channel = \"app\") = 2"), TRI_TRUE },
        { "where: product", S_INIT("count(product_viewed where product in (\"sku-2\", \"sku-4\")) = 2"), TRI_TRUE },
        { "where: price", S_INIT("count(product_viewed where price between 30 EUR and 89 EUR) = 3"), TRI_TRUE },
        { "where: value and currency", S_INIT("count(order_completed where value >= 120.50 EUR and currency = \"EUR\" and channel = \"pos\") = 1"), TRI_TRUE },
        { "where: other currency is unknown, so not counted", S_INIT("count(order_completed where not value > 1 NOK) = 0"), TRI_TRUE },
        { "where: field the shop made up", S_INIT("count(product_viewed where margin < 0.3) = 2"), TRI_TRUE },
        { "ago", S_INIT("count(product_viewed, between 10 and 21 days ago) = 2"), TRI_TRUE },
        { "ago: the near end is in, the far end is out", S_INIT("count(product_viewed, between 10 and 20 days ago) = 1"), TRI_TRUE },
        { "ago: from now", S_INIT("count(product_viewed, between 0 and 1 days ago) = 2"), TRI_TRUE },
        { "since a day", S_INIT("count(product_viewed, since 2026-07-16) = 3"), TRI_TRUE },
        { "this session", S_INIT("count(product_viewed, this session) = 1 and did(page_viewed, this session)"), TRI_TRUE },
        { "today", S_INIT("count(product_viewed, today) = 2"), TRI_TRUE },
        { "last without a number", S_INIT("count(product_viewed, last day) = 2"), TRI_TRUE },
        { "days since", S_INIT("days_since(last order_completed) between 70 and 71"), TRI_TRUE },
        { "since the first", S_INIT("days_since(first order_completed) >= 200 and not days_since(first order_completed) > 200"), TRI_TRUE },
        { "hours and minutes", S_INIT("hours_since(last product_added) <= 3 and minutes_since(last page_viewed) >= 10"), TRI_TRUE },
        { "since what never was", S_INIT("days_since(last order_refunded) > 3"), TRI_UNKNOWN },
        { "since with where", S_INIT("days_since(last order_completed where value > 200 EUR) > 199"), TRI_TRUE },
        { "at a date", S_INIT("at(last order_completed) = 2026-05-17 and at(last order_completed) <= 2026-05-17"), TRI_TRUE },
        { "at is known", S_INIT("at(last order_completed) is known and at(last order_refunded) is unknown"), TRI_TRUE },
    };
    for (isize i = 0; i < countof(rows); i++)
        check_answer(rows[i].why, rows[i].text, RULE_SEGMENT, rows[i].want);
}

static void sequences_are_found_and_missed(void **state)
{
    (void)state;
    static const struct { const char *why; str text; enum tri want; } rows[] = {
        { "in order, in time", S_INIT("sequence(product_viewed then product_added within 3 hours)"), TRI_TRUE },
        { "the span is less than the time", S_INIT("sequence(product_viewed then product_added within 2 hours)"), TRI_FALSE },
        { "not in the other order", S_INIT("sequence(product_added then order_completed within 5 hours)"), TRI_FALSE },
        { "three steps", S_INIT("sequence(product_viewed then product_added then page_viewed within 5 hours)"), TRI_TRUE },
        { "three steps, too slow", S_INIT("sequence(product_viewed then product_added then page_viewed within 290 minutes)"), TRI_FALSE },
        { "with where", S_INIT("sequence(product_viewed where brand = \"Hearth\" then product_added where category under \"kitchen\" within 1 day)"), TRI_TRUE },
        { "where that refuses", S_INIT("sequence(product_viewed where brand = \"Acme\" then product_added within 1 day)"), TRI_FALSE },
        { "the same product", S_INIT("sequence(product_viewed then product_added within 1 day for the same product)"), TRI_TRUE },
        { "not the same product", S_INIT("sequence(product_added then product_viewed within 1 day for the same product)"), TRI_FALSE },
        { "within a window", S_INIT("sequence(product_viewed then product_added within 1 day, last 4 hours)"), TRI_TRUE },
        { "that is over", S_INIT("sequence(product_viewed then product_added within 1 day, last 3 hours)"), TRI_FALSE },
        { "what did not follow", S_INIT("sequence(product_added then not order_completed within 3 hours)"), TRI_TRUE },
        { "may still follow", S_INIT("sequence(product_added then not order_completed within 4 hours)"), TRI_FALSE },
        { "what did follow, however late", S_INIT("sequence(product_added then not page_viewed within 1 hour)"), TRI_FALSE },
        { "followed for another product", S_INIT("sequence(product_added then not product_viewed within 1 hour for the same product)"), TRI_TRUE },
        { "two steps and nothing", S_INIT("sequence(product_viewed then product_added then not order_completed within 150 minutes)"), TRI_TRUE },
    };
    for (isize i = 0; i < countof(rows); i++)
        check_answer(rows[i].why, rows[i].text, RULE_SEGMENT, rows[i].want);
}

static void filters_ask_about_the_moment_and_the_item(void **state)
{
    (void)state;
    static const struct { const char *why; str text; enum tri want; } rows[] = {
        { "hour of the market's zone", S_INIT("context.hour = 14 and context.weekday = 7"), TRI_TRUE },
        { "the moment does not say", S_INIT("context.device = \"phone\""), TRI_UNKNOWN },
        { "fields", S_INIT("item.in_stock and item.margin >= 40% and item.price <= 49 EUR and item.brand = \"acme\""), TRI_TRUE },
        { "another currency", S_INIT("item.price < 500 NOK"), TRI_UNKNOWN },
        { "category of the item", S_INIT("item.category under \"clothes\" and item.category = \"jeans\""), TRI_TRUE },
        { "stock in one store", S_INIT("item.stock[\"oslo-1\"] > 2 and item.stock > 2"), TRI_TRUE },
        { "a store without the item", S_INIT("item.stock[\"nowhere\"] > 2"), TRI_UNKNOWN },
        { "bought it", S_INIT("purchased(item) and not purchased(item, last 180 days)"), TRI_TRUE },
        { "looked at it", S_INIT("viewed(item, last 1 hour)"), TRI_TRUE },
        { "the person's history with the item's brand", S_INIT("count(product_viewed where brand = item.brand) = 2"), TRI_TRUE },
        { "a trait on the right", S_INIT("context.hour < trait(\"shoe size\")"), TRI_TRUE },
    };
    for (isize i = 0; i < countof(rows); i++)
        check_answer(rows[i].why, rows[i].text, RULE_FILTER, rows[i].want);
    struct rule_facts nothing = { .now_ms = WORLD_NOW };
    assert_int_equal(rule_run(compiled(S("purchased(item)"), RULE_FILTER), &nothing).is, TRI_UNKNOWN);
    assert_int_equal(
        rule_run(
            compiled(
                S("item.price < 1 EUR or in segment \"vip\" or age > 3 or quiz(\"q\") = \"a\""),
                RULE_FILTER),
            &nothing)
            .is,
        TRI_UNKNOWN);
    assert_int_equal(
        rule_run(compiled(S("affinity(brand, \"Acme\") > 0.1"), RULE_FILTER), &nothing).is,
        TRI_UNKNOWN);
    assert_int_equal(rule_run(compiled(S("count(page_viewed) = 0"), RULE_FILTER), &nothing).is, TRI_TRUE);
}

static void rules_print_one_way(void **state)
{
    (void)state;
    static const struct { const char *why; str text, want; } rows[] = {
        { "spaces, quotes and signs", S_INIT("  gender=='x'  AND age<>3"), S_INIT("gender = \"x\" and age != 3") },
        { "parentheses only where needed", S_INIT("((true and (false and true))) or (not (true))"), S_INIT("true and false and true or not true") },
        { "and those that are", S_INIT("(true or false) and not (true or false)"), S_INIT("(true or false) and not (true or false)") },
        { "exists", S_INIT("exists gender"), S_INIT("gender is known") },
        { "is unknown", S_INIT("gender is unknown"), S_INIT("not gender is known") },
        { "events by our names", S_INIT("did(\"Order Completed\", LAST 1 DAYS)"), S_INIT("did(order_completed, last 1 day)") },
        { "events of the shop's own", S_INIT("did('Newsletter Joined',since 2026-01-31)"), S_INIT("did(\"Newsletter Joined\", since 2026-01-31)") },
        { "money", S_INIT("trait(\"a b\") > 49.9 NOK and trait('x') < -5.00 EUR"), S_INIT("trait(\"a b\") > 49.90 NOK and trait(\"x\") < -5 EUR") },
        { "predictions", S_INIT("predicted('clv_365')>=200.5 EUR"), S_INIT("predicted(\"clv_365\") >= 200.50 EUR") },
        { "numbers", S_INIT("age in (007, 0.50, 12.125%, 7%, 123456789012345)"), S_INIT("age in (7, 0.5, 12.125%, 7%, 123456789012345)") },
        { "escapes", S_INIT("gender = 'a\"\\'\\n\\u0007\\\\'"), S_INIT("gender = \"a\\\"'\\n\\u0007\\\\\"") },
    };
    for (isize i = 0; i < countof(rows); i++) {
        const struct rule *rule = compiled(rows[i].text, RULE_FILTER);
        str got = rule_print(&memory, rule);
        if (!str_eq(got, rows[i].want)) fail_msg("%s: %.*s", rows[i].why, STR_FMT(got));
        check_round_trip(rule, RULE_FILTER);
    }
}

static void explain_names_values_entries_and_instants(void **state)
{
    (void)state;
    struct rule_facts facts = world_facts();
    const struct rule *rule = compiled(
        S("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3"
          " and (sum(order_completed.revenue, last 365 days) > 500 EUR or in segment \"vip\")"),
        RULE_SEGMENT);
    const struct rule_trace *t = rule_explain(&memory, rule, &facts, 2);
    assert_int_equal(t->children_n, 3);
    assert_true(str_eq(t->value, S("")));
    assert_true(str_eq(t->children[0].text, S("gender = \"female\"")));
    assert_true(str_eq(t->children[0].value, S("female")));
    assert_true(str_eq(t->children[1].value, S("3")));
    assert_int_equal(t->children[1].events_n, 2);
    assert_int_equal(t->children[1].events[0].ref, 12);     /* newest first */
    assert_int_equal(t->children[1].events[1].ref, 7);
    assert_int_equal(t->children[1].next_change_at_ms, AGO(20, DAY_MS) + 30 * DAY_MS);
    assert_true(str_eq(t->children[2].children[0].value, S("511.50 EUR")));
    assert_true(str_eq(t->children[2].children[1].value, S("out")));
    assert_int_equal(t->next_change_at_ms, rule_run(rule, &facts).next_change_at_ms);

    rule = compiled(S("sequence(product_viewed then product_added within 3 hours)"), RULE_SEGMENT);
    t = rule_explain(&memory, rule, &facts, 5);
    assert_int_equal(t->events_n, 2);
    assert_int_equal(t->events[0].ref, 11);
    assert_int_equal(t->events[1].ref, 9);
    t = rule_explain(&memory, compiled(S("favourite_colour = \"red\""), RULE_SEGMENT), &facts, 5);
    assert_true(str_eq(t->value, S("unknown")));
    t = rule_explain(&memory, compiled(S("days_since(last product_added) > 1"), RULE_SEGMENT), &facts, 5);
    assert_true(str_eq(t->value, S("0.125")));
    assert_int_equal(t->events_n, 1);
}

static void a_rule_knows_what_touches_it(void **state)
{
    (void)state;
    static const struct { const char *why; str text; struct history_entry entry; bool want; } rows[] = {
        { "its type", S_INIT("did(product_viewed)"), { .type = EVENT_PRODUCT_VIEWED, .item = 1 }, true },
        { "another type", S_INIT("did(product_viewed)"), { .type = EVENT_PAGE_VIEWED }, false },
        { "a bot", S_INIT("did(product_viewed)"), { .type = EVENT_PRODUCT_VIEWED, .item = 1, .flags = HISTORY_BOT }, false },
        { "no history at all", S_INIT("gender = \"x\""), { .type = EVENT_PRODUCT_VIEWED, .item = 1 }, false },
        { "an item its where refuses", S_INIT("count(product_viewed where category under \"jeans\") > 2"), { .type = EVENT_PRODUCT_VIEWED, .item = 4 }, false },
        { "an item it takes", S_INIT("count(product_viewed where category under \"jeans\") > 2"), { .type = EVENT_PRODUCT_VIEWED, .item = 2 }, true },
        { "an item nobody knows", S_INIT("count(product_viewed where brand = \"Acme\") > 2"), { .type = EVENT_PRODUCT_VIEWED, .item = 99 }, true },
        { "the step that must not come", S_INIT("sequence(product_added then not order_completed within 2 hours)"), { .type = EVENT_ORDER_COMPLETED }, true },
        { "a session lasts by any event", S_INIT("did(product_viewed, this session)"), { .type = EVENT_PAGE_VIEWED }, true },
        { "a where of the candidate's", S_INIT("did(product_viewed where brand = item.brand)"), { .type = EVENT_PRODUCT_VIEWED, .item = 4 }, true },
        { "a custom type that shares a bit", S_INIT("did(\"Newsletter Joined\")"), { .type = WORLD_CUSTOM_2 }, false },
        { "a custom type", S_INIT("did(\"Newsletter Joined\")"), { .type = WORLD_CUSTOM }, true },
    };
    struct rule_facts facts = world_facts();
    for (isize i = 0; i < countof(rows); i++)
        if (rule_touched_by(compiled(rows[i].text, RULE_FILTER), &rows[i].entry, &facts)
            != rows[i].want)
            fail_msg("%s", rows[i].why);
}

static bool not_price(str field) { return !str_eq(field, S("price")); }

static void a_rule_says_what_it_depends_on(void **state)
{
    (void)state;
    static const struct { str text; u32 want; } rows[] = {
        { S_INIT("gender = \"x\""), RULE_ON_TRAITS },
        { S_INIT("did(page_viewed)"), RULE_ON_HISTORY },
        { S_INIT("did(page_viewed, last 3 days)"), RULE_ON_HISTORY | RULE_ON_TIME },
        { S_INIT("did(product_viewed where brand = \"a\")"), RULE_ON_HISTORY | RULE_ON_ITEM },
        { S_INIT("days_since(last page_viewed) > 3"), RULE_ON_HISTORY | RULE_ON_TIME },
        { S_INIT("in segment \"vip\" and quiz(\"a\") = \"b\""), RULE_ON_SEGMENTS | RULE_ON_QUIZ },
        { S_INIT("context.hour > 3 and item.price > 3 EUR"), RULE_ON_CONTEXT | RULE_ON_ITEM },
        { S_INIT("affinity(brand, \"Acme\") > 0.1"), RULE_ON_AFFINITY | RULE_ON_TIME },
    };
    for (isize i = 0; i < countof(rows); i++)
        assert_int_equal(rule_depends_on(compiled(rows[i].text, RULE_FILTER)), rows[i].want);
    static const struct { str text; bool alone; } of_item[] = {
        { S_INIT("item.in_stock and not (item.brand = \"Acme\" or item.stock[\"oslo\"] > 3)"), true },
        { S_INIT("item.category under \"Jeans\""), true },
        { S_INIT("item.in_stock and item.price < 20 EUR"), false },
        { S_INIT("item.stock[context.store] > 3"), false },
        { S_INIT("item.in_stock and gender = \"x\""), false },
        { S_INIT("item.in_stock and predicted(\"churn\") < 0.5"), false },
        { S_INIT("item.in_stock and not did(product_viewed where brand = \"a\")"), false },
        { S_INIT("not purchased(item)"), false },
        { S_INIT("context.weather = \"hot\""), false },
    };
    for (isize i = 0; i < countof(of_item); i++)
        if (rule_is_of_item(compiled(of_item[i].text, RULE_FILTER), not_price) != of_item[i].alone)
            fail_msg("%.*s", STR_FMT(of_item[i].text));
    segment_id ids[4];
    assert_int_equal(rule_segments(compiled(S("in segment \"vip\" or not in segment \"newcomers\""),
                                            RULE_SEGMENT),
                                   ids, 4),
                     2);
    assert_int_equal(ids[0].v, 1);
    assert_int_equal(ids[1].v, 3);
    i64 cheap = rule_cost(compiled(S("gender = \"x\""), RULE_SEGMENT));
    i64 dear = rule_cost(compiled(
        S("distinct(product_viewed.brand where category under \"jeans\") > 2"), RULE_SEGMENT));
    assert_true(cheap > 0 && dear > cheap * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_seven_examples_of_the_architecture_work, teardown),
        cmocka_unit_test_teardown(facts_are_compared_as_the_reference_says, teardown),
        cmocka_unit_test_teardown(history_is_counted_as_the_reference_says, teardown),
        cmocka_unit_test_teardown(sequences_are_found_and_missed, teardown),
        cmocka_unit_test_teardown(filters_ask_about_the_moment_and_the_item, teardown),
        cmocka_unit_test_teardown(rules_print_one_way, teardown),
        cmocka_unit_test_teardown(explain_names_values_entries_and_instants, teardown),
        cmocka_unit_test_teardown(a_rule_knows_what_touches_it, teardown),
        cmocka_unit_test_teardown(a_rule_says_what_it_depends_on, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
