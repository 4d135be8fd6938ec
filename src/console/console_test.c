/* SPDX-License-Identifier: Apache-2.0 */
#include "console/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/arena.h"

static void the_console_is_at_the_root(void **state)
{
    (void)state;
    struct console_asset a;
    assert_true(console_asset(S("/"), &a));
    assert_true(str_starts(a.bytes, S("<!doctype html>")));
    assert_true(str_starts(a.content_type, S("text/html")));
    assert_true(console_asset(S("/assets/console.js"), &a));
    assert_true(console_asset(S("/assets/console.css"), &a));
}

static void the_page_holds_no_script_or_style_that_its_policy_forbids(void **state)
{
    (void)state;
    struct console_asset a;
    assert_true(console_asset(S("/"), &a));
    assert_true(str_find(a.bytes, S("<style")) < 0);
    assert_true(str_find(a.bytes, S("style=")) < 0);
    assert_true(str_find(a.bytes, S("<script>")) < 0);
    assert_true(str_find(a.bytes, S("onload")) < 0);
}

static void R65_the_tag_as_served_is_at_most_6_kilobytes_gzipped(void **state)
{
    (void)state;
    struct console_asset a;
    assert_true(console_asset(S("/tag.js"), &a));
    assert_true(a.gzip.len > 0 && a.gzip.len <= 6 * 1024);
    assert_true(str_starts(a.cache_control, S("public")));
    assert_true(str_starts(a.content_type, S("text/javascript")));
}

static void what_is_gzipped_is_the_same_file(void **state)
{
    (void)state;
    struct console_asset a;
    assert_true(console_asset(S("/assets/console.js"), &a));
    char *back = mem_new(a.bytes.len + 1);
    z_stream z = { .next_in = (Bytef *)(uintptr_t)a.gzip.ptr, .avail_in = (uInt)a.gzip.len,
        .next_out = (Bytef *)back, .avail_out = (uInt)a.bytes.len + 1 };
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_true(str_eq((str){ back, (isize)z.total_out }, a.bytes));
    inflateEnd(&z);
    mem_free(back);
}

static void a_path_that_is_not_there_is_said_not_to_be(void **state)
{
    (void)state;
    struct console_asset a;
    assert_false(console_asset(S("/index.htm"), &a));
    assert_false(console_asset(S(""), &a));
    assert_false(console_asset(S("/assets/../tag.js"), &a));
}

static void etags_are_quoted_and_differ(void **state)
{
    (void)state;
    struct console_asset a, b;
    assert_true(console_asset(S("/"), &a));
    assert_true(console_asset(S("/tag.js"), &b));
    assert_int_equal(a.etag.len, 18);
    assert_int_equal(a.etag.ptr[0], '"');
    assert_false(str_eq(a.etag, b.etag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_console_is_at_the_root),
        cmocka_unit_test(the_page_holds_no_script_or_style_that_its_policy_forbids),
        cmocka_unit_test(R65_the_tag_as_served_is_at_most_6_kilobytes_gzipped),
        cmocka_unit_test(what_is_gzipped_is_the_same_file),
        cmocka_unit_test(a_path_that_is_not_there_is_said_not_to_be),
        cmocka_unit_test(etags_are_quoted_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
