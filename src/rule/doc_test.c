/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what the reference page says of the language is so. Method: every block of
 * docs/reference/rule-language.md is compiled for the place it names and run in the world of
 * rule_world.h; the word after the place is the answer. */
#include "rule/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rule/rule_world.h"

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

static str page(void)
{
    const char *root = getenv("OPMAAT_ROOT");
    str path = arena_printf(&memory, "%s/docs/reference/rule-language.md", root ? root : ".");
    FILE *f = fopen(path.ptr, "rb");
    if (!f) fail_msg("no %.*s", STR_FMT(path));
    char *text = arena_new(&memory, char, 1 << 20);
    isize n = (isize)fread(text, 1, 1 << 20, f);
    (void)fclose(f);
    return (str){ text, n };
}

static const char *answer_of(str text, str place)
{
    static const char *const answers[] = { "no", "yes", "unknown" };
    enum rule_place at = str_eq(place, S("segment"))  ? RULE_SEGMENT
                         : str_eq(place, S("target")) ? RULE_TARGET
                                                      : RULE_FILTER;
    const struct rule *rule;
    struct rule_errors errors;
    struct rule_facts facts = world_facts();
    if (rule_compile(&memory, text, at, &world_names, &rule, &errors)) return "error";
    return answers[rule_run(rule, &facts).is];
}

static void every_block_of_the_reference_gives_its_answer(void **state)
{
    (void)state;
    isize blocks = 0;
    for (str rest = page(); rest.len > 0;) {
        struct str_cut line = str_cut(rest, '\n');
        rest = line.tail;
        if (!str_starts(line.head, S("```rule"))) continue;
        struct str_cut info = str_cut(str_from(line.head, S("```rule ").len), ' ');
        isize end = str_find(rest, S("\n```"));
        if (end < 0) fail_msg("a block is not closed");
        str text = str_slice(rest, 0, end);
        const char *got = answer_of(text, info.head);
        if (!str_eq(str_of(got), info.tail))
            fail_msg("%.*s: %s, the page says %.*s", STR_FMT(text), got, STR_FMT(info.tail));
        rest = str_from(rest, end + 4);
        blocks++;
    }
    assert_true(blocks >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_block_of_the_reference_gives_its_answer, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
