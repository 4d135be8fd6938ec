/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a text becomes the words it can be found by, whatever its spelling, language and units.
 * Method: tables of texts with the words written out by hand. */
#include "search/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static arena a;

/* "scan|scan" - terms in order, extras in brackets. */
static str terms_of(str text, str locale)
{
    struct languages languages;
    struct buf out = { .arena = &a };
    languages_init(&languages, &a);
    struct words w = words_of(&languages, text, locale, &a);
    for (isize i = 0; i < w.n; i++)
        buf_printf(&out, w.at[i].flags & WORD_EXTRA ? "%s[%.*s]" : "%s%.*s", i ? " " : "",
                   STR_FMT(w.at[i].term));
    return buf_str(&out);
}

static void texts_become_terms(void **state)
{
    static const struct { str text, locale, terms; } rows[] = {
        { S_INIT("Running shoes"), S_INIT("en"), S_INIT("run shoe") },
        { S_INIT("RUNNING  Shoe!"), S_INIT("en-GB"), S_INIT("run shoe") },
        { S_INIT("Bukser og kjoler"), S_INIT("nb-NO"), S_INIT("buks og kjol") },
        { S_INIT("Caf\xc3\xa9 cr\xc3\xa8me"), S_INIT("xx"), S_INIT("cafe creme") },
        { S_INIT("bl\xc3\xa5 \xc3\x98l"), S_INIT("xx"), S_INIT("bla ol") },
        { S_INIT("Stra\xc3\x9f" "e"), S_INIT("xx"), S_INIT("strasse") },
        { S_INIT("16 GB"), S_INIT("en"), S_INIT("16 gb [16000000kb]") },
        { S_INIT("16GB"), S_INIT("en"), S_INIT("16gb [16000000kb]") },
        { S_INIT("15,6 inch"), S_INIT("en"), S_INIT("15.6 inch [15.6inch]") },
        { S_INIT("15.6\" screen"), S_INIT("en"), S_INIT("15.6 [15.6inch] screen") },
        { S_INIT("1,024 MB"), S_INIT("en"), S_INIT("1024 mb [1024000kb]") },
        { S_INIT("2 m"), S_INIT("en"), S_INIT("2 m [2000mm]") },
        { S_INIT("200cm"), S_INIT("en"), S_INIT("200cm [2000mm]") },
        { S_INIT("TN-2110"), S_INIT("xx"), S_INIT("tn 2110 [tn2110]") },
        { S_INIT("wi-fi"), S_INIT("xx"), S_INIT("wi fi [wifi]") },
        { S_INIT("\xe6\x9d\xb1\xe4\xba\xac"), S_INIT("ja"), S_INIT("\xe6\x9d\xb1 \xe4\xba\xac") },
        { S_INIT(""), S_INIT("en"), S_INIT("") },
        { S_INIT(" -- !! "), S_INIT("en"), S_INIT("") },
        { S_INIT("\xff\xfe" "ab"), S_INIT("xx"), S_INIT("ab") },
    };
    (void)state;
    for (isize i = 0; i < countof(rows); i++) {
        str got = terms_of(rows[i].text, rows[i].locale);
        if (!str_eq(got, rows[i].terms))
            print_error("%.*s: got \"%.*s\", want \"%.*s\"\n", STR_FMT(rows[i].text), STR_FMT(got),
                        STR_FMT(rows[i].terms));
        assert_true(str_eq(got, rows[i].terms));
    }
    arena_clear(&a);
}

/* The words that end a run and relate to nothing: what a title is about. */
static void the_head_of_a_title_is_its_last_noun(void **state)
{
    static const struct { str title, heads; } rows[] = {
        { S_INIT("HP L2683A scanner 600 x 600 DPI"), S_INIT("hp scanner x dpi") },
        { S_INIT("Lexmark Scanner Shelf"), S_INIT("shelf") },
        { S_INIT("Roller for scanner"), S_INIT("roller") },
        { S_INIT("Wide jeans, blue"), S_INIT("jeans blue") },
        { S_INIT("Drum"), S_INIT("drum") },
    };
    (void)state;
    for (isize i = 0; i < countof(rows); i++) {
        struct languages languages;
        struct buf out = { .arena = &a };
        languages_init(&languages, &a);
        struct words w = words_of(&languages, rows[i].title, S("xx"), &a);
        for (isize k = 0; k < w.n; k++)
            if ((w.at[k].flags & WORD_ENDS) && !(w.at[k].flags & (WORD_RELATES | WORD_CONTAINS_DIGIT)))
                buf_printf(&out, "%s%.*s", out.len ? " " : "", STR_FMT(w.at[k].text));
        if (!str_eq(buf_str(&out), rows[i].heads))
            print_error("%.*s: %.*s\n", STR_FMT(rows[i].title), STR_FMT(buf_str(&out)));
        assert_true(str_eq(buf_str(&out), rows[i].heads));
    }
    arena_clear(&a);
}

static void a_folded_question_has_one_form(void **state)
{
    (void)state;
    assert_true(str_eq(word_fold(&a, S("  Blue   JEANS! ")), S("blue jeans")));
    assert_true(str_eq(word_fold(&a, S("Cr\xc3\xa8me")), S("creme")));
    arena_clear(&a);
}

static int done(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_terms),
        cmocka_unit_test(the_head_of_a_title_is_its_last_noun),
        cmocka_unit_test(a_folded_question_has_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
