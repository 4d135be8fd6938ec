/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: patterns match as RE2 says, in time linear in the text, and what they hold goes with their
 * arena. Method: a table; a pattern that ruins a backtracking matcher; counted deferrals (and the
 * leak checker under ASan). */
#include "base/regex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void patterns_are_found_anywhere_in_the_text(void **state)
{
    (void)state;
    static const struct { str pattern, text; bool found; } rows[] = {
        { S_INIT("b+c"), S_INIT("abbbc"), true },       { S_INIT("^b"), S_INIT("ab"), false },
        { S_INIT("(?i)ANNA"), S_INIT("anna"), true },   { S_INIT("^$"), S_INIT(""), true },
        { S_INIT(""), S_INIT("x"), true },              { S_INIT("^.$"), S_INIT("\xc3\xa5"), true },
        { S_INIT("a.c"), S_INIT("a\nc"), false },       { S_INIT("\\d{3}"), S_INIT("sku-12"), false },
    };
    arena a = { 0 };
    for (isize i = 0; i < countof(rows); i++) {
        struct regex *regex;
        struct diag diag = { .arena = &a };
        assert_int_equal(regex_new(&a, rows[i].pattern, &regex, &diag), ERR_OK);
        assert_int_equal(regex_finds(regex, rows[i].text), rows[i].found);
    }
    arena_fini(&a);
}

static void bad_and_huge_patterns_are_refused_with_the_reason(void **state)
{
    (void)state;
    arena a = { 0 };
    struct buf huge = { .arena = &a };
    for (int i = 0; i <= REGEX_BYTES_MAX; i++) buf_byte(&huge, 'a');
    const str rows[] = { S("a(b"),  S("[z-a]"),    S("(?=x)"), S("((a{100}){100}){100}"),
                         S("\xff"), buf_str(&huge) };
    for (isize i = 0; i < countof(rows); i++) {
        struct regex *regex;
        struct diag diag = { .arena = &a };
        assert_int_equal(regex_new(&a, rows[i], &regex, &diag), ERR_BAD_INPUT);
        assert_true(diag.what.len > 0);
    }
    arena_fini(&a);
}

/* (a*)*b over a thousand a's would take a backtracker longer than the world will last. */
static void a_hostile_pattern_ends(void **state)
{
    (void)state;
    arena a = { 0 };
    struct regex *regex;
    struct buf text = { .arena = &a };
    for (int i = 0; i < 1000; i++) buf_byte(&text, 'a');
    assert_int_equal(regex_new(&a, S("^((a*)*)*b$"), &regex, NULL), ERR_OK);
    assert_false(regex_finds(regex, buf_str(&text)));
    arena_fini(&a);
}

static int given_back[3], given_back_n;
static void note(void *what) { given_back[given_back_n++] = *(int *)what; }

static void an_arena_gives_back_what_was_deferred_newest_first(void **state)
{
    (void)state;
    static int one = 1, two = 2, three = 3;
    arena a = { 0 };
    arena_defer(&a, note, &one);
    struct arena_mark mark = arena_mark(&a);
    arena_defer(&a, note, &two);
    arena_defer(&a, note, &three);
    arena_reset(&a, mark);
    assert_int_equal(given_back_n, 2);
    assert_int_equal(given_back[0], 3);
    assert_int_equal(given_back[1], 2);
    arena_clear(&a);
    assert_int_equal(given_back_n, 3);
    arena_fini(&a);
    assert_int_equal(given_back_n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_found_anywhere_in_the_text),
        cmocka_unit_test(bad_and_huge_patterns_are_refused_with_the_reason),
        cmocka_unit_test(a_hostile_pattern_ends),
        cmocka_unit_test(an_arena_gives_back_what_was_deferred_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
