/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all: they are a rule that prints to text which compiles to the same text, also by
 * way of its JSON form, and that runs with an instant ahead of now; or they are told at least one
 * mistake that lies within them. And any JSON is refused with a reason or becomes text. */
#include "rule/rule.h"

#include <stdlib.h>

#include "rule/rule_world.h"

static void check_rule(arena *a, const struct rule *rule, enum rule_place place)
{
    struct rule_errors errors;
    const struct rule *again;
    const struct json *tree;
    struct diag diag = { .arena = a };
    struct buf form = { .arena = a };
    struct jsonw w = { .out = &form };
    str once = rule_print(a, rule), back;
    if (once.len <= RULE_BYTES_MAX) {                   /* units and escapes may have made it longer */
        assert(rule_compile(a, once, place, &world_names, &again, &errors) == ERR_OK);
        assert(str_eq(once, rule_print(a, again)));
        assert(rule_depends_on(rule) == rule_depends_on(again));
    }
    rule_to_json(rule, &w);
    assert(json_parse(a, buf_str(&form), &tree, &diag) == ERR_OK);
    assert(rule_from_json(a, tree, &back, &diag) == ERR_OK);
    assert(str_eq(once, back));

    struct rule_facts facts = world_facts();
    struct rule_result is = rule_run(rule, &facts);
    assert(is.next_change_at_ms > facts.now_ms);
    const struct rule_trace *trace = rule_explain(a, rule, &facts, 3);
    assert(trace->is == is.is);
    for (isize i = 0; i < facts.history_n; i++) (void)rule_touched_by(rule, &facts.history[i], &facts);
    assert(rule_cost(rule) >= 0);
}

static void check_json(arena *a, str text)
{
    const struct json *tree;
    struct diag diag = { .arena = a };
    str out;
    if (json_parse(a, text, &tree, &diag)) return;
    if (rule_from_json(a, tree, &out, &diag)) assert(diag.what.len > 0);
    else assert(out.len > 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    if (len == 0) return 0;
    arena a = { 0 };
    enum rule_place place = (enum rule_place)(data[0] % 3);
    str text = { (const char *)data + 1, (isize)len - 1 };
    const struct rule *rule;
    struct rule_errors errors;
    enum err err = rule_compile(&a, text, place, &world_names, &rule, &errors);
    if (err == ERR_OK) {
        assert(errors.n == 0);
        check_rule(&a, rule, place);
    } else {
        assert(err == ERR_BAD_INPUT);
        assert(errors.n >= 1);
        for (isize i = 0; i < errors.n; i++) {
            assert(errors.at[i].column >= 1 && errors.at[i].column <= text.len + 1);
            assert(i == 0 || errors.at[i - 1].column < errors.at[i].column);
            assert(errors.at[i].message.len > 0);
        }
    }
    check_json(&a, text);
    arena_fini(&a);
    return 0;
}
