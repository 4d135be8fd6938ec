/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static arena a;

/* Every row as field|field, rows and errors separated by a line break. */
static str read_all(str bytes, char separator)
{
    struct gz *gz = gz_memory(bytes);
    struct csv *csv = csv_new(gz);
    csv_separator(csv, separator);
    struct buf out = { .arena = &a };
    for (;;) {
        struct csv_row row;
        struct diag diag = { .arena = &a };
        bool found;
        enum err err = csv_next(csv, &a, &row, &found, &diag);
        if (!found) {
            if (err) buf_printf(&out, "!%.*s\n", STR_FMT(diag.what));
            break;
        }
        if (err) buf_printf(&out, "%lld!%.*s\n", (long long)diag.line, STR_FMT(diag.what));
        else {
            buf_printf(&out, "%lld:", (long long)row.line);
            for (isize i = 0; i < row.n; i++)
                buf_printf(&out, "%s%.*s", i ? "|" : "", STR_FMT(row.fields[i]));
            buf_byte(&out, '\n');
        }
    }
    csv_free(csv);
    gz_close(gz);
    return buf_str(&out);
}

static void check(str is, const char *expected)
{
    if (!str_eq(is, str_of(expected))) fail_msg("\n  is       %.*s\n  expected %s", STR_FMT(is), expected);
}

static void rows_are_read_as_rfc_4180_says(void **state)
{
    (void)state;
    check(read_all(S("a,b,c\r\n1,2,3\r\n"), ','), "1:a|b|c\n2:1|2|3\n");
    check(read_all(S("a,b\n1,2"), ','), "1:a|b\n2:1|2\n");
    check(read_all(S("\xef\xbb\xbf" "a,b\n,\n"), ','), "1:a|b\n2:|\n");
    check(read_all(S("\"a,1\",\"say \"\"hi\"\"\",\"two\nlines\"\nx,y,z\n"), ','),
          "1:a,1|say \"hi\"|two\nlines\n3:x|y|z\n");
    check(read_all(S("\"\",\"\"\"\"\n"), ','), "1:|\"\n");
    check(read_all(S("5\" pipe,2\" nail\n"), ','), "1:5\" pipe|2\" nail\n");
    check(read_all(S("a\tb\tc\n\"x\ty\"\t\t2\n"), '\t'), "1:a|b|c\n2:x\ty||2\n");
    check(read_all(S("a;b\n1,5;2\n"), ';'), "1:a|b\n2:1,5|2\n");
    check(read_all(S(""), ','), "");
    check(read_all(S("\n\na\n"), ','), "1:\n2:\n3:a\n");
}

static void a_broken_row_costs_one_line(void **state)
{
    (void)state;
    check(read_all(S("a,b\n\"open,1\nc,d\n"), ','), "1:a|b\n2!a quote is opened and never closed\n3:c|d\n");
    check(read_all(S("\"a\"b,1\nc,d\n"), ','), "1!there is text after a closing quote\n2:c|d\n");
    check(read_all(S("a\xff,1\nc,d\n"), ','), "1!the line is not UTF-8\n2:c|d\n");
    struct buf big = { .arena = &a };
    buf_add(&big, S("x\n\""));
    for (isize i = 0; i < CSV_ROW_BYTES_MAX + 10; i++) buf_byte(&big, 'y');
    buf_add(&big, S("\nz\n"));
    check(read_all(buf_str(&big), ','), "1:x\n2!the row is longer than 1 MiB; a quote may be missing\n3:z\n");
}

static str packed(str plain)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    isize cap = plain.len + 1000;
    char *out = arena_new(&a, char, cap);
    u8 *in = arena_new(&a, u8, plain.len);
    memcpy(in, plain.ptr, (size_t)plain.len);
    z.next_in = in;
    z.avail_in = (uInt)plain.len;
    z.next_out = (u8 *)out;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    (void)deflateEnd(&z);
    return (str){ out, cap - (isize)z.avail_out };
}

static void gzip_is_told_by_its_first_bytes_and_members_follow_each_other(void **state)
{
    (void)state;
    str one = packed(S("a,b\n1,")), two = packed(S("2\n3,4\n"));
    struct buf both = { .arena = &a };
    buf_add(&both, one);
    buf_add(&both, two);
    check(read_all(buf_str(&both), ','), "1:a|b\n2:1|2\n3:3|4\n");
    check(read_all(str_slice(two, 0, two.len - 9), ','), "1:2\n2:3|4\n!the gzip file is cut short\n");
    struct buf broken = { .arena = &a };
    buf_add(&broken, two);
    broken.ptr[12] ^= 0x55;
    str said = read_all(buf_str(&broken), ',');
    assert_true(str_find(said, S("the gzip file is damaged")) >= 0);
}

static void rows_longer_than_the_window_are_whole(void **state)
{
    (void)state;
    struct buf text = { .arena = &a };
    for (int row = 0; row < 4; row++) {
        buf_byte(&text, '"');
        for (int i = 0; i < 300000; i++) buf_byte(&text, (char)('a' + row));
        buf_add(&text, S("\",end\n"));
    }
    struct gz *gz = gz_memory(packed(buf_str(&text)));
    struct csv *csv = csv_new(gz);
    for (int row = 0; row < 4; row++) {
        struct csv_row r;
        bool found;
        struct diag diag = { .arena = &a };
        assert_int_equal(csv_next(csv, &a, &r, &found, &diag), ERR_OK);
        assert_int_equal(r.n, 2);
        assert_int_equal(r.fields[0].len, 300000);
        assert_int_equal(r.fields[0].ptr[299999], 'a' + row);
    }
    assert_int_equal(gz_progress(gz).done, gz_progress(gz).total);
    csv_free(csv);
    gz_close(gz);
}

static void a_file_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct gz *gz;
    struct diag diag = { .arena = &a };
    assert_int_equal(gz_open("/nowhere/at/all.csv", &gz, &diag), ERR_NOT_FOUND);
    assert_int_equal(gz_open("/", &gz, &diag), ERR_BAD_INPUT);
}

static void local_times_become_utc(void **state)
{
    (void)state;
    i64 july = 1309521600000, january = 1294056000000;  /* 2011-07-01 and 2011-01-03, 12:00 UTC */
    assert_int_equal(zone_to_utc(S("Europe/London"), july), july - 3600000);
    assert_int_equal(zone_to_utc(S("Europe/London"), january), january);
    assert_int_equal(zone_to_utc(S("Europe/Oslo"), july), july - 7200000);
    assert_int_equal(zone_to_utc(S("America/New_York"), january), january + 5 * 3600000);
    assert_int_equal(zone_to_utc(S("America/New_York"), july), july + 4 * 3600000);
    assert_int_equal(zone_to_utc(S("+05:30"), july), july - 19800000);
    /* 27 March 2011: 00:59 is winter, 02:00 summer; 30 October: 01:30 is read as its first, summer */
    assert_int_equal(zone_to_utc(S("Europe/London"), 1301187540000), 1301187540000);
    assert_int_equal(zone_to_utc(S("Europe/London"), 1301191200000), 1301187600000);
    assert_int_equal(zone_to_utc(S("Europe/London"), 1319938200000), 1319934600000);
    assert_int_equal(zone_to_utc(S("Europe/London"), 1319940000000), 1319940000000);
    assert_true(zone_known(S("UTC")));
    assert_false(zone_known(S("Mars/Olympus")));
}

static int tear_down(void **state)
{
    (void)state;
    arena_clear(&a);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(rows_are_read_as_rfc_4180_says),
        TEST(a_broken_row_costs_one_line),
        TEST(gzip_is_told_by_its_first_bytes_and_members_follow_each_other),
        TEST(rows_longer_than_the_window_are_whole),
        TEST(a_file_that_is_not_there_is_said),
        TEST(local_times_become_utc),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
