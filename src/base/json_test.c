/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: JSON is taken exactly as RFC 8259 allows and refused otherwise, and what we write reads
 * back as what was meant. Method: tables of texts, and random trees sent there and back. */
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/clock.h"

static arena a;

static int empty(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

static bool taken(str text, const struct json **out)
{
    struct diag diag = { .arena = &a };
    enum err err = json_parse(&a, text, out, &diag);
    if (err == ERR_OK) return true;
    assert_int_equal(err, ERR_BAD_INPUT);
    assert_true(diag.what.len > 0);
    return false;
}

static void a_tree_has_what_the_text_said(void **state)
{
    (void)state;
    const struct json *v;
    assert_true(taken(
        S(" {\"s\":\"a\\u00e5\\n\",\"i\":-7,\"n\":2.5,\"t\":true,\"z\":null,\"o\":{\"deep\":[1,[],{}]},"
          "\"i\":8} \n"),
        &v));
    assert_int_equal(json_len(v), 7);
    assert_true(str_eq(json_str(json_get(v, S("s")), S("")), S("a\xc3\xa5\n")));
    assert_int_equal(json_int(json_get(v, S("i")), 0), -7);     /* of a repeated key the first */
    assert_true(json_num(json_get(v, S("n")), 0) == 2.5);
    assert_true(json_bool(json_get(v, S("t")), false));
    assert_true(json_is(json_get(v, S("z")), JSON_NULL));
    const struct json *deep = json_path(v, "o.deep");
    assert_int_equal(json_len(deep), 3);
    assert_int_equal(json_int(&deep->list.at[0], 0), 1);
    assert_null(json_path(v, "o.deep.x"));
    assert_null(json_path(v, "x.y"));
    isize n = 0;
    json_each(child, v) n += child->key.len;
    assert_int_equal(n, 7);
    json_each(child, json_get(v, S("none"))) fail();
}

static void absent_and_of_another_kind_are_the_same(void **state)
{
    (void)state;
    const struct json *v;
    assert_true(taken(S("{\"s\":\"5\",\"i\":5,\"n\":3.0,\"h\":3.5,\"big\":1e300}"), &v));
    assert_int_equal(json_int(json_get(v, S("s")), 9), 9);
    assert_true(json_num(json_get(v, S("s")), 9) == 9);
    assert_true(str_eq(json_str(json_get(v, S("i")), S("x")), S("x")));
    assert_true(json_bool(json_get(v, S("i")), true));
    assert_int_equal(json_int(json_get(v, S("n")), 9), 3);
    assert_int_equal(json_int(json_get(v, S("h")), 9), 9);
    assert_int_equal(json_int(json_get(v, S("big")), 9), 9);
    assert_true(json_num(json_get(v, S("i")), 9) == 5);
    assert_null(json_get(NULL, S("x")));
    assert_int_equal(json_int(NULL, 4), 4);
    assert_int_equal(json_len(NULL), 0);
    assert_true(str_eq(json_text(&a, json_get(v, S("i"))), S("5")));
    assert_true(str_eq(json_text(&a, json_get(v, S("h"))), S("3.5")));
    assert_true(str_eq(json_text(&a, json_get(v, S("s"))), S("5")));
    assert_int_equal(json_text(&a, v).len, 0);
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const str rows[] = {
        S_INIT(""), S_INIT("  \n"), S_INIT("{"), S_INIT("}"), S_INIT("[1,]"), S_INIT("{\"a\":1,}"), S_INIT("{a:1}"),
        S_INIT("{\"a\" 1}"), S_INIT("{\"a\":}"), S_INIT("[1 2]"), S_INIT("\"a"), S_INIT("'a'"), S_INIT("nul"),
        S_INIT("True"), S_INIT("NaN"), S_INIT("[Infinity]"), S_INIT("01"), S_INIT("1."), S_INIT(".5"), S_INIT("+1"),
        S_INIT("1e"), S_INIT("0x1"), S_INIT("--1"), S_INIT("\"\\x\""), S_INIT("\"\\u12\""), S_INIT("\"\n\""),
        S_INIT("\"\x01\""), S_INIT("[\"a\0\"]"), S_INIT("{\"a\":1}}"), S_INIT("{\"a\":1} {\"b\":2}"), S_INIT("1 2"),
        S_INIT("[]]"), S_INIT("{\"a\":1}\0{}"), S_INIT("[1]\0"), S_INIT("\0"), S_INIT("/* c */ 1"), S_INIT("[1] // c"),
        S_INIT("\"\x80\""), S_INIT("\"\xc3\""), S_INIT("\"\xc0\xaf\""), S_INIT("\"\xed\xa0\x80\""),
        S_INIT("\"\xf4\x90\x80\x80\""), S_INIT("\"\\ud800\""), S_INIT("\"\\udc00\""), S_INIT("\"\\ud800\\u0041\""),
        S_INIT("{\"skipped\":[1,{\"x\":tru}],\"ok\":1}"), S_INIT("1e999"), S_INIT("-1e999"),
        S_INIT("18446744073709551616"), S_INIT("99999999999999999999999"),
    };
    for (isize i = 0; i < countof(rows); i++) {
        const struct json *v;
        bool took = taken(rows[i], &v);
        if (took) print_error("row %d was taken: %.*s\n", (int)i, STR_FMT(rows[i]));
        assert_false(took);
    }
}

static void numbers_keep_all_their_digits(void **state)
{
    (void)state;
    const struct json *v;
    assert_true(taken(S("[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615,"
                        "1e308,5e-324,1e-999,-0,0.1]"), &v));
    const struct json *at = v->list.at;
    assert_true(at[0].kind == JSON_INT && at[0].i == INT64_MAX);
    assert_true(at[1].kind == JSON_INT && at[1].i == INT64_MIN);
    assert_true(at[2].kind == JSON_NUM && at[2].n == 0x1p63);
    assert_true(at[3].kind == JSON_NUM && at[3].n == 0x1p64);
    assert_true(at[4].kind == JSON_NUM && at[4].n == 1e308);
    assert_true(at[5].kind == JSON_NUM && at[5].n == 5e-324);
    assert_true(at[6].kind == JSON_NUM && at[6].n == 0);
    assert_true(json_num(&at[7], 1) == 0);
    assert_true(at[8].n == 0.1);
    assert_int_equal(json_int(&at[2], 7), 7);
}

static void depth_has_a_limit_and_up_to_it_all_is_well(void **state)
{
    (void)state;
    for (isize depth = 1; depth <= JSON_DEPTH_MAX + 2; depth++) {
        struct buf b = { .arena = &a };
        for (isize i = 0; i < depth; i++) buf_add(&b, i % 2 ? S("[") : S("{\"a\":"));
        buf_byte(&b, '1');
        for (isize i = depth - 1; i >= 0; i--) buf_byte(&b, i % 2 ? ']' : '}');
        const struct json *v;
        bool took = taken(buf_str(&b), &v);
        if (depth < JSON_DEPTH_MAX) assert_true(took);
        if (depth > JSON_DEPTH_MAX) assert_false(took);
    }
    struct buf b = { .arena = &a };
    for (int i = 0; i < 100000; i++) buf_byte(&b, '[');
    const struct json *v;
    assert_false(taken(buf_str(&b), &v));
}

/* Whatever a key begins with and however long it is; what is not there is not found. */
static void every_key_is_found(void **state)
{
    (void)state;
    static const char *const begins[] = {
        "", "\xc3\xa6", "Z", "z", "zzz", "_-", "a long one, longer than most: "
    };
    struct rng rng = rng_seed(8);
    for (int round = 0; round < 300; round++) {
        struct buf b = { .arena = &a };
        struct jsonw w = { &b, false };
        str keys[40];
        isize n = rng_below(&rng, countof(keys));
        jsonw_begin(&w, '{');
        for (isize i = 0; i < n; i++) {
            keys[i] = arena_printf(&a, "%s%d", begins[rng_below(&rng, countof(begins))], (int)i);
            jsonw_key(&w, keys[i]);
            jsonw_int(&w, i);
        }
        jsonw_end(&w, '}');
        const struct json *v;
        assert_true(taken(buf_str(&b), &v));
        for (isize i = 0; i < n; i++) {
            assert_int_equal(json_int(json_get(v, keys[i]), -1), i);
            assert_null(json_get(v, arena_printf(&a, "%.*sx", STR_FMT(keys[i]))));
        }
        arena_clear(&a);
    }
}

/* What comes in is no longer needed once the tree stands. */
static void a_tree_outlives_its_text(void **state)
{
    (void)state;
    char text[] = "{\"key\":[\"value\"]}";
    const struct json *v;
    assert_true(taken((str){ text, (isize)sizeof text - 1 }, &v));
    memset(text, 'x', sizeof text);
    assert_true(str_eq(json_get(v, S("key"))->list.at[0].s, S("value")));
}

static void writing_makes_the_commas_and_escapes(void **state)
{
    (void)state;
    struct buf b = { .arena = &a };
    struct jsonw w = { &b, false };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "s", (str){ "a\"\\\n\r\t\x01\x1f\x7f\xc3\xa5", 11 });
    jsonw_key_int(&w, "min", INT64_MIN);
    jsonw_key_num(&w, "tenth", 0.1);
    jsonw_key_num(&w, "whole", 12);
    jsonw_key_num(&w, "nan", NAN);
    jsonw_key_bool(&w, "t", true);
    jsonw_key_begin(&w, "list", '[');
    jsonw_null(&w);
    jsonw_begin(&w, '{');
    jsonw_end(&w, '}');
    jsonw_raw(&w, S("[1,2]"));
    jsonw_end(&w, ']');
    jsonw_key_time(&w, "at", 951782400001);
    jsonw_key_time(&w, "never", TIME_NEVER);
    jsonw_end(&w, '}');
    assert_true(str_eq(buf_str(&b), S(
        "{\"s\":\"a\\\"\\\\\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa5\",\"min\":-9223372036854775808,\"tenth\":0.1,\"whole\":12,"
        "\"nan\":null,\"t\":true,\"list\":[null,{},[1,2]],\"at\":\"2000-02-29T00:00:00.001Z\",\"never\":null}")));
}

static void bytes_that_are_no_text_become_a_mark(void **state)
{
    (void)state;
    struct buf b = { .arena = &a };
    struct jsonw w = { &b, false };
    jsonw_str(&w, S("a\xff""b"));
    assert_true(str_eq(buf_str(&b), S("\"a\xef\xbf\xbd""b\"")));
    const struct json *v;
    assert_true(taken(buf_str(&b), &v));
}

/* The writer takes eight plain bytes at a time: no byte may hide among seven others. */
static void every_byte_at_every_place_reads_back(void **state)
{
    (void)state;
    enum { LEN = 20 };
    for (int c = 0; c < 256; c++) {
        for (isize at = 0; at < LEN; at++) {
            char text[LEN];
            memset(text, 'x', sizeof text);
            text[at] = (char)c;
            assert_int_equal(str_is_utf8((str){ text, LEN }), c < 0x80);
            struct buf b = { .arena = &a };
            struct jsonw w = { &b, false };
            jsonw_str(&w, (str){ text, LEN });
            const struct json *v;
            assert_true(taken(buf_str(&b), &v));
            if (c < 0x80) assert_true(str_eq(v->s, (str){ text, LEN }));
            else assert_int_equal(v->s.len, LEN - 1 + 3);       /* U+FFFD in its place */
            arena_clear(&a);
        }
    }
}

/* ---- random trees, there and back ---------------------------------------------------------- */

static void random_value(struct rng *rng, struct json *v, int depth)
{
    v->kind = (enum json_kind)rng_below(rng, depth > 4 ? JSON_ARR : JSON_OBJ + 1);
    switch (v->kind) {
    case JSON_NULL: break;
    case JSON_BOOL: v->b = rng_below(rng, 2); break;
    case JSON_INT: v->i = (i64)(rng_next(rng) >> rng_below(rng, 64)) * (rng_below(rng, 2) ? 1 : -1); break;
    case JSON_NUM:
        do {
            u64 bits = rng_next(rng);
            memcpy(&v->n, &bits, sizeof bits);
        } while (!isfinite(v->n) || (v->n == floor(v->n) && fabs(v->n) < 0x1p64));
        break;
    case JSON_STR: {
        struct buf b = { .arena = &a };
        for (u32 n = rng_below(rng, 12); n > 0; n--) {
            if (rng_below(rng, 4) == 0) buf_add(&b, S("\xf0\x9f\x91\x97"));
            else buf_byte(&b, (char)rng_below(rng, 128));
        }
        v->s = buf_str(&b);
        break;
    }
    case JSON_ARR: case JSON_OBJ: {
        isize n = rng_below(rng, 5);
        struct json *at = arena_new(&a, struct json, n + 1);
        for (isize i = 0; i < n; i++) {
            random_value(rng, &at[i], depth + 1);
            at[i].key = arena_printf(&a, "k\"%d", (int)i);
        }
        v->list.at = at;
        v->list.n = n;
        break;
    }
    }
}

static bool same(const struct json *x, const struct json *y)
{
    if (x->kind != y->kind) return false;
    switch (x->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL: return x->b == y->b;
    case JSON_INT: return x->i == y->i;
    case JSON_NUM: return x->n == y->n;
    case JSON_STR: return str_eq(x->s, y->s);
    case JSON_ARR: case JSON_OBJ: break;
    }
    if (x->list.n != y->list.n) return false;
    for (isize i = 0; i < x->list.n; i++) {
        if (x->kind == JSON_OBJ && !str_eq(x->list.at[i].key, y->list.at[i].key)) return false;
        if (!same(&x->list.at[i], &y->list.at[i])) return false;
    }
    return true;
}

static void random_trees_come_back_the_same(void **state)
{
    (void)state;
    struct rng rng = rng_seed(6);
    for (int round = 0; round < 3000; round++) {
        struct json v = { 0 };
        random_value(&rng, &v, 0);
        struct buf b = { .arena = &a };
        struct jsonw w = { &b, false };
        jsonw_value(&w, &v);
        const struct json *back;
        assert_true(taken(buf_str(&b), &back));
        if (!same(&v, back)) print_error("%.*s\n", STR_FMT(buf_str(&b)));
        assert_true(same(&v, back));
        arena_clear(&a);
    }
}

/* Rounding and printing at once gives the text of the rounded number, whatever its size and sign. */
static void a_decimal_is_the_rounded_number(void **state)
{
    (void)state;
    static const f64 fixed[] = { 0,
                                 -0.0,
                                 1,
                                 -1,
                                 .5,
                                 .05,
                                 1e-4,
                                 9.9e-5,
                                 5e-7,
                                 4e-7,
                                 99999999.9999996,
                                 1e8,
                                 1e14,
                                 1e300,
                                 -.000001,
                                 123456.654321,
                                 INFINITY,
                                 NAN };
    struct rng rng = rng_seed(12);
    for (isize i = 0; i < 200000; i++) {
        f64 v = i < countof(fixed) ? fixed[i] : (rng_unit(&rng) - .2) * pow(10, rng_unit(&rng) * 20 - 8);
        int decimals = (int)(rng_below(&rng, 7));
        f64 power = pow(10, decimals);
        struct buf x = { .arena = &a }, y = { .arena = &a };
        struct jsonw one = { &x, i % 2 == 0 }, two = { &y, i % 2 == 0 };
        jsonw_decimal(&one, v, decimals);
        jsonw_num(&two, round(v * power) / power);
        if (!str_eq(buf_str(&x), buf_str(&y)))
            print_error("%.17g to %d: %.*s, %.*s\n", v, decimals, STR_FMT(buf_str(&x)),
                        STR_FMT(buf_str(&y)));
        assert_true(str_eq(buf_str(&x), buf_str(&y)));
        arena_clear(&a);
    }
}

static void a_text_in_parts_is_the_text(void **state)
{
    (void)state;
    const str whole = S("Goes with \"Côte\" \\ d'azur\n, and you like blue"),
              parts[] = { str_slice(whole, 0, 10), str_slice(whole, 10, 20), S(""),
                          str_from(whole, 20) };
    struct buf x = { .arena = &a }, y = { .arena = &a };
    struct jsonw one = { &x, true }, two = { &y, true };
    jsonw_strs(&one, parts, countof(parts));
    jsonw_str(&two, whole);
    assert_true(str_eq(buf_str(&x), buf_str(&y)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_tree_has_what_the_text_said, empty),
        cmocka_unit_test_teardown(absent_and_of_another_kind_are_the_same, empty),
        cmocka_unit_test_teardown(what_is_not_json_is_refused, empty),
        cmocka_unit_test_teardown(numbers_keep_all_their_digits, empty),
        cmocka_unit_test_teardown(depth_has_a_limit_and_up_to_it_all_is_well, empty),
        cmocka_unit_test_teardown(a_tree_outlives_its_text, empty),
        cmocka_unit_test_teardown(every_key_is_found, empty),
        cmocka_unit_test_teardown(writing_makes_the_commas_and_escapes, empty),
        cmocka_unit_test_teardown(bytes_that_are_no_text_become_a_mark, empty),
        cmocka_unit_test_teardown(every_byte_at_every_place_reads_back, empty),
        cmocka_unit_test_teardown(random_trees_come_back_the_same, empty),
        cmocka_unit_test_teardown(a_decimal_is_the_rounded_number, empty),
        cmocka_unit_test_teardown(a_text_in_parts_is_the_text, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
