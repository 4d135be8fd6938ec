/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a str function says of hostile bytes is right at each edge. Method: tables of cases,
 * and for edit distance and numbers a comparison with the dull way. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"

static void comparing_is_by_bytes_and_then_by_length(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(S("a"), S("a")), 0);
    assert_true(str_cmp(S("a"), S("b")) < 0);
    assert_true(str_cmp(S("a"), S("aa")) < 0);
    assert_true(str_cmp(S("\xff"), S("a")) > 0);
    assert_int_equal(str_cmp((str){ 0 }, S("")), 0);
    assert_true(str_eq((str){ 0 }, S("")));
    assert_true(str_eq_nocase(S("Content-Length"), S("content-LENGTH")));
    assert_false(str_eq_nocase(S("a["), S("A{")));
    assert_true(str_holds_nocase(S("Anne Berg"), S("BERG")));
    assert_true(str_holds_nocase(S("Anne"), S("")));
    assert_false(str_holds_nocase(S("Ann"), S("Anne")));
}

static void searching_finds_the_first_and_says_when_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(str_find(S("abcabc"), S("ca")), 2);
    assert_int_equal(str_find(S("abc"), S("")), 0);
    assert_int_equal(str_find(S("ab"), S("abc")), -1);
    assert_int_equal(str_find((str){ 0 }, S("a")), -1);
    assert_int_equal(str_find_char((str){ "a\0b", 3 }, 'b'), 2);
    assert_int_equal(str_find_char((str){ 0 }, 'b'), -1);
    assert_true(str_starts(S("opmaat"), S("op")));
    assert_true(str_starts(S("opmaat"), S("")));
    assert_false(str_starts(S("op"), S("opmaat")));
    assert_true(str_ends(S("opmaat"), S("maat")));
    assert_false(str_ends(S("at"), S("maat")));
    assert_true(str_eq(str_trim(S(" \t\r\n a b \n")), S("a b")));
    assert_int_equal(str_trim(S(" \n ")).len, 0);
}

static void cutting_leaves_head_and_tail(void **state)
{
    (void)state;
    struct str_cut cut = str_cut(S("name=value=x"), '=');
    assert_true(cut.found);
    assert_true(str_eq(cut.head, S("name")));
    assert_true(str_eq(cut.tail, S("value=x")));
    cut = str_cut(S("name"), '=');
    assert_false(cut.found);
    assert_true(str_eq(cut.head, S("name")));
    assert_int_equal(cut.tail.len, 0);
    cut = str_cut(S("="), '=');
    assert_true(cut.found);
    assert_int_equal(cut.head.len + cut.tail.len, 0);
}

static void whole_numbers_are_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct { str in; bool taken; i64 out; } rows[] = {
        { S_INIT("0"), true, 0 },
        { S_INIT("-0"), true, 0 },
        { S_INIT("+17"), true, 17 },
        { S_INIT("007"), true, 7 },
        { S_INIT("9223372036854775807"), true, INT64_MAX },
        { S_INIT("-9223372036854775808"), true, INT64_MIN },
        { S_INIT("9223372036854775808"), false, 0 },
        { S_INIT("-9223372036854775809"), false, 0 },
        { S_INIT("99999999999999999999999"), false, 0 },
        { S_INIT(""), false, 0 },
        { S_INIT("-"), false, 0 },
        { S_INIT("+-1"), false, 0 },
        { S_INIT("1 "), false, 0 },
        { S_INIT("1.0"), false, 0 },
        { S_INIT("0x10"), false, 0 },
        { S_INIT("1\0"), false, 0 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        i64 got = 0;
        assert_int_equal(str_to_i64(rows[i].in, &got), rows[i].taken);
        if (rows[i].taken) assert_true(got == rows[i].out);
    }
}

static void decimal_numbers_are_finite_or_refused(void **state)
{
    (void)state;
    static const struct { str in; bool taken; f64 out; } rows[] = {
        { S_INIT("1.5"), true, 1.5 },
        { S_INIT("-2e3"), true, -2000 },
        { S_INIT(".5"), true, .5 },
        { S_INIT("1e308"), true, 1e308 },
        { S_INIT("1e309"), false, 0 },
        { S_INIT("nan"), false, 0 },
        { S_INIT("inf"), false, 0 },
        { S_INIT("0x1p3"), false, 0 },
        { S_INIT("1,5"), false, 0 },
        { S_INIT(""), false, 0 },
        { S_INIT("."), false, 0 },
        { S_INIT("1e"), false, 0 },
        { S_INIT("1 2"), false, 0 },
        { S_INIT("0.0000000000000000000000000000000000000000000000000000000000000001"), false, 0 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        f64 got = 0;
        assert_int_equal(str_to_f64(rows[i].in, &got), rows[i].taken);
        if (rows[i].taken) assert_true(got == rows[i].out);
    }
}

static void money_is_exact_and_rounds_half_away_from_zero(void **state)
{
    (void)state;
    static const struct { str in; int digits; bool taken; i64 out; } rows[] = {
        { S_INIT("19.99"), 2, true, 1999 },
        { S_INIT("19.9"), 2, true, 1990 },
        { S_INIT("19"), 2, true, 1900 },
        { S_INIT(".5"), 2, true, 50 },
        { S_INIT("5."), 2, true, 500 },
        { S_INIT("-0.01"), 2, true, -1 },
        { S_INIT("+3.20"), 2, true, 320 },
        { S_INIT("0.005"), 2, true, 1 },
        { S_INIT("0.0049999"), 2, true, 0 },
        { S_INIT("-0.005"), 2, true, -1 },
        { S_INIT("1.015"), 2, true, 102 },          /* as an f64 this would be 101 */
        { S_INIT("2.675"), 2, true, 268 },
        { S_INIT("9.5"), 0, true, 10 },
        { S_INIT("9.49"), 0, true, 9 },
        { S_INIT("1.234567"), 6, true, 1234567 },
        { S_INIT("92233720368547758.07"), 2, true, INT64_MAX },
        { S_INIT("92233720368547758.075"), 2, false, 0 },
        { S_INIT("92233720368547758.08"), 2, false, 0 },
        { S_INIT("92233720368547759"), 2, false, 0 },
        { S_INIT(""), 2, false, 0 },
        { S_INIT("."), 2, false, 0 },
        { S_INIT("-"), 2, false, 0 },
        { S_INIT("1.2.3"), 2, false, 0 },
        { S_INIT("1,20"), 2, false, 0 },
        { S_INIT("1e2"), 2, false, 0 },
        { S_INIT("\xe2\x82\xac""1"), 2, false, 0 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        i64 got = 0;
        bool taken = str_to_minor(rows[i].in, rows[i].digits, &got);
        if (taken != rows[i].taken || got != rows[i].out) print_error("%.*s\n", STR_FMT(rows[i].in));
        assert_int_equal(taken, rows[i].taken);
        assert_true(got == rows[i].out);
    }
}

static void text_is_strict_utf8(void **state)
{
    (void)state;
    static const struct { str in; bool valid; } rows[] = {
        { S_INIT(""), true },
        { S_INIT("a\0b"), true },
        { S_INIT("M\xc3\xa5l"), true },
        { S_INIT("\xe2\x82\xac"), true },
        { S_INIT("\xf0\x9f\x91\x97"), true },
        { S_INIT("\xf4\x8f\xbf\xbf"), true },               /* U+10FFFF, the last */
        { S_INIT("\xed\x9f\xbf"), true },                   /* the last before the surrogates */
        { S_INIT("\xee\x80\x80"), true },                   /* the first behind them */
        { S_INIT("\xc2\x80"), true },
        { S_INIT("\x80"), false },                          /* begins in the middle */
        { S_INIT("\xc3"), false },                          /* cut off */
        { S_INIT("\xe2\x82"), false },
        { S_INIT("\xf0\x9f\x91"), false },
        { S_INIT("\xc3("), false },
        { S_INIT("\xc0\xaf"), false },                      /* overlong */
        { S_INIT("\xc1\xbf"), false },
        { S_INIT("\xe0\x80\xaf"), false },
        { S_INIT("\xe0\x9f\xbf"), false },
        { S_INIT("\xf0\x80\x80\xaf"), false },
        { S_INIT("\xed\xa0\x80"), false },                  /* surrogates */
        { S_INIT("\xed\xbf\xbf"), false },
        { S_INIT("\xf4\x90\x80\x80"), false },              /* above U+10FFFF */
        { S_INIT("\xf5\x80\x80\x80"), false },
        { S_INIT("\xff"), false },
    };
    for (isize i = 0; i < countof(rows); i++) assert_int_equal(str_is_utf8(rows[i].in), rows[i].valid);
}

/* Every code point of a plane and a half, encoded the dull way. */
static void every_code_point_is_valid_and_no_surrogate_is(void **state)
{
    (void)state;
    for (u32 c = 0; c < 0x18000; c++) {
        char b[4];
        isize n = 0;
        if (c < 0x80) b[n++] = (char)c;
        else if (c < 0x800) b[n++] = (char)(0xc0 | c >> 6);
        else if (c < 0x10000) { b[n++] = (char)(0xe0 | c >> 12); b[n++] = (char)(0x80 | (c >> 6 & 63)); }
        else {
            b[n++] = (char)(0xf0 | c >> 18);
            b[n++] = (char)(0x80 | (c >> 12 & 63));
            b[n++] = (char)(0x80 | (c >> 6 & 63));
        }
        if (c >= 0x80) b[n++] = (char)(0x80 | (c & 63));
        assert_int_equal(str_is_utf8((str){ b, n }), c < 0xd800 || c > 0xdfff);
    }
}

static isize dull_distance(str a, str b)
{
    if (a.len == 0 || b.len == 0) return a.len + b.len;
    isize same = dull_distance(str_from(a, 1), str_from(b, 1));
    if (a.ptr[0] == b.ptr[0]) return same;
    isize drop = min_isize(dull_distance(str_from(a, 1), b), dull_distance(a, str_from(b, 1)));
    return 1 + min_isize(same, drop);
}

static void distance_agrees_with_the_dull_recursion(void **state)
{
    (void)state;
    struct rng rng = rng_seed(5);
    for (int round = 0; round < 300; round++) {
        char x[6], y[6];
        for (isize i = 0; i < 6; i++) {
            x[i] = (char)('a' + rng_below(&rng, 3));
            y[i] = (char)('a' + rng_below(&rng, 3));
        }
        str a = { x, rng_below(&rng, 7) }, b = { y, rng_below(&rng, 7) };
        assert_int_equal(str_distance(a, b), dull_distance(a, b));
    }
    assert_int_equal(str_distance(S("Product_Viewed"), S("product_viewed")), 0);
}

static void little_endian_loads_and_stores_agree(void **state)
{
    (void)state;
    u8 b[9] = { 0 };
    store_u64le(b + 1, 0x0807060504030201u);
    for (u8 i = 0; i < 8; i++) assert_int_equal(b[1 + i], i + 1);
    assert_true(load_u64le(b + 1) == 0x0807060504030201u);
    assert_int_equal(load_u32le(b + 2), 0x05040302);
    assert_int_equal(load_u16le(b + 3), 0x0403);
    store_u32le(b + 1, 7);
    store_u16le(b + 5, 9);
    assert_true(load_u64le(b + 1) == ((u64)0x0807 << 48 | (u64)9 << 32 | 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_is_by_bytes_and_then_by_length),
        cmocka_unit_test(searching_finds_the_first_and_says_when_there_is_none),
        cmocka_unit_test(cutting_leaves_head_and_tail),
        cmocka_unit_test(whole_numbers_are_taken_whole_or_not_at_all),
        cmocka_unit_test(decimal_numbers_are_finite_or_refused),
        cmocka_unit_test(money_is_exact_and_rounds_half_away_from_zero),
        cmocka_unit_test(text_is_strict_utf8),
        cmocka_unit_test(every_code_point_is_valid_and_no_surrogate_is),
        cmocka_unit_test(distance_agrees_with_the_dull_recursion),
        cmocka_unit_test(little_endian_loads_and_stores_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
