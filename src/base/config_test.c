/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a setting is taken within its bounds or the program refuses to start, saying why; and the
 * tables of settings and errors are sound. Method: walk every row of both tables, then cases. */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void every_default_is_within_its_bounds(void **state)
{
    (void)state;
    struct config c = config_default();
    for (isize i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        assert_true(row->least <= row->value && row->value <= row->most);
        assert_true(config_get(&c, i) == row->value);
        assert_true(strlen(row->text) > 0);
    }
    assert_true(c.http_body_bytes == 4 << 20);
    assert_true(c.learn_ms == config_rows[config_rows_n - 1].value);
}

static void every_setting_takes_its_bounds_and_nothing_beyond(void **state)
{
    (void)state;
    arena a = { 0 };
    struct config c = config_default();
    for (isize i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        struct diag diag = { .arena = &a };
        assert_int_equal(config_set(&c, str_of(row->name),
                                    arena_printf(&a, " %lld ", (long long)row->least), &diag),
                         ERR_OK);
        assert_true(config_get(&c, i) == row->least);
        assert_int_equal(config_set(&c, str_of(row->name),
                                    arena_printf(&a, "%lld", (long long)row->most), &diag),
                         ERR_OK);
        assert_true(config_get(&c, i) == row->most);
        const str bad[] = {
            arena_printf(&a, "%lld", (long long)row->least - 1),
            arena_printf(&a, "%lld", (long long)row->most + 1),
            S(""),
            S("many"),
            S("1.5"),
            S("99999999999999999999"),
        };
        for (isize j = 0; j < countof(bad); j++) {
            diag.what = (str){ 0 };
            assert_int_equal(config_set(&c, str_of(row->name), bad[j], &diag), ERR_BAD_INPUT);
            assert_true(str_find(diag.what, str_of(row->name)) >= 0);
            assert_true(config_get(&c, i) == row->most);        /* as it was */
        }
    }
    arena_fini(&a);
}

static void an_unknown_name_is_refused_with_the_nearest_one(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct config c = config_default();
    assert_int_equal(config_set(&c, S("exposure_dayz"), S("1"), &diag), ERR_BAD_INPUT);
    assert_true(str_find(diag.what, S("exposure_days?")) >= 0);
    arena_fini(&a);
}

static void a_file_is_lines_with_comments(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct config c = config_default();
    assert_int_equal(
        config_file(&c, S("# a comment\n\n  http_loops = 2  # two\r\nflush_ms=100"), &diag),
        ERR_OK);
    assert_true(c.http_loops == 2 && c.flush_ms == 100);
    assert_int_equal(config_file(&c, S("\nhttp_loops 3\n"), &diag), ERR_BAD_INPUT);
    assert_int_equal(diag.line, 2);
    assert_int_equal(config_file(&c, S("http_loops=1\n#\nhttp_loops=-1\n"), &diag), ERR_BAD_INPUT);
    assert_int_equal(diag.line, 3);
    arena_fini(&a);
}

static void the_environment_counts_when_it_names_us(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct config c = config_default();
    char path[] = "PATH=/bin", loops[] = "OPMAAT_HTTP_LOOPS=5", wrong[] = "OPMAAT_LOOPS=5", odd[] = "nothing";
    char *good[] = { path, odd, loops, NULL };
    assert_int_equal(config_environment(&c, good, &diag), ERR_OK);
    assert_true(c.http_loops == 5);
    char *bad[] = { path, wrong, NULL };
    assert_int_equal(config_environment(&c, bad, &diag), ERR_BAD_INPUT);
    char lengthy[200] = "OPMAAT_";
    memset(lengthy + 7, 'A', 150);
    char *lengthy_one[] = { lengthy, NULL };
    assert_int_equal(config_environment(&c, lengthy_one, &diag), ERR_BAD_INPUT);
    arena_fini(&a);
}

static void every_error_has_a_status_and_a_sentence(void **state)
{
    (void)state;
    for (enum err err = ERR_OK; err <= ERR_NOT_READY; err++) {
        int http = err_http(err);
        assert_true(err == ERR_OK ? http == 200 : http >= 400 && http < 600);
        assert_true(strlen(err_title(err)) > 3);
        for (const char *p = err_name(err); *p; p++) assert_true((*p >= 'a' && *p <= 'z') || *p == '-');
    }
    assert_string_equal(err_name(ERR_TOO_BIG), "too-big");
    assert_true(err_retry(ERR_OVERLOADED));
    assert_false(err_retry(ERR_BAD_INPUT));
}

static void a_diagnosis_is_kept_and_never_overflows(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    static char big[5000];
    memset(big, 'x', sizeof big - 1);
    assert_int_equal(diag_set(&diag, ERR_REFUSED, "it is %s", big), ERR_REFUSED);
    assert_true(str_starts(diag.what, S("it is xxx")));
    assert_int_equal(diag.what.len, 1023);
    assert_int_equal(diag_set(NULL, ERR_DISK, "nobody asked"), ERR_DISK);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_within_its_bounds),
        cmocka_unit_test(every_setting_takes_its_bounds_and_nothing_beyond),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest_one),
        cmocka_unit_test(a_file_is_lines_with_comments),
        cmocka_unit_test(the_environment_counts_when_it_names_us),
        cmocka_unit_test(every_error_has_a_status_and_a_sentence),
        cmocka_unit_test(a_diagnosis_is_kept_and_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
