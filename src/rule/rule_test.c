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

#include "rule_world.h"

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
            fail_msg("%.*s\n%*s^ %.*s [%.*s]", STR_FMT(text), (int)errors.at[i].column - 1, "", STR_FMT(errors.at[i].message),
                     STR_FMT(errors.at[i].hint));
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
    if (!str_eq(rule_print(&memory, again), printed)) fail_msg("prints as %.*s, then as %.*s", STR_FMT(printed), STR_FMT(rule_print(&memory, again)));
    if (json_parse(&memory, form(rule), &tree, &diag)) fail_msg("%.*s: %.*s", STR_FMT(form(rule)), STR_FMT(diag.what));
    if (rule_from_json(&memory, tree, &back, &diag)) fail_msg("%.*s: %.*s", STR_FMT(form(rule)), STR_FMT(diag.what));
    if (!str_eq(back, printed)) fail_msg("%.*s came back from JSON as %.*s", STR_FMT(printed), STR_FMT(back));
    (void)compiled(back, place);
}

static const char *const answers[] = { "no", "yes", "unknown" };

static void check_answer(const char *why, str text, enum rule_place place, enum tri want)
{
    const struct rule *rule = compiled(text, place);
    struct rule_facts facts = world_facts();
    struct rule_result got = rule_run(rule, &facts);
    if (got.is != want) fail_msg("%s: %.*s is %s, expected %s", why, STR_FMT(text), answers[got.is], answers[want]);
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
    for (isize i = 0; i < countof(rows); i++) check_answer("example", rows[i].text, rows[i].place, rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_seven_examples_of_the_architecture_work, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
