/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a shopper reads why in their language, whole. Method: every sentence in every language, with a
 * name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "decide/decide.h"

static const char *const locales[] = { "en", "nb", "sv", "da", "de", "nl", "fr", "es", "it", "fi" };

static void a_locale_names_its_language(void **state)
{
    (void)state;
    static const struct { const char *locale; u8 language; } rows[] = {
        { "", 0 }, { "en-GB", 0 }, { "nb-NO", 1 }, { "no", 1 }, { "nn-NO", 1 }, { "sv_SE", 2 }, { "nl", 5 }, { "nld", 0 }, { "ja-JP", 0 }, { "fi-FI", 9 },
    };
    for (isize i = 0; i < countof(rows); i++)
        assert_int_equal(because_language(str_of(rows[i].locale)), rows[i].language);
}

static void every_sentence_has_its_name_in_every_language(void **state)
{
    (void)state;
    arena a = { 0 };
    for (int p = 0; p < PHRASES; p++) {
        bool named = str_find(because_phrase((enum phrase)p, 0, S("Slim jeans"), &a), S("Slim jeans")) >= 0;
        for (isize i = 0; i < countof(locales); i++) {
            str text = because_phrase((enum phrase)p, because_language(str_of(locales[i])),
                                      S("Slim jeans"), &a);
            assert_true(text.len > 0 && str_find(text, S("{}")) < 0);
            assert_int_equal(str_find(text, S("Slim jeans")) >= 0, named);
        }
    }
    assert_true(str_eq(because_phrase(PHRASE_VIEWED, because_language(S("de-DE")), S("X"), &a),
                       S("Weil Sie X angesehen haben")));
    assert_true(
        str_eq(because_phrase(PHRASE_BESTSELLER_STORE, because_language(S("nl")), S(""), &a),
               S("Bestseller in je winkel")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_locale_names_its_language),
        cmocka_unit_test(every_sentence_has_its_name_in_every_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
