/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: look-ups in a request and the two encodings, on good input and bad.
 * Method: tables of cases on requests built by hand. */
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#undef assert

#include "http/http.h"

static arena scratch;

static struct http_request request(const struct http_header *headers, isize n, str query)
{
    return (struct http_request){ .headers = headers, .headers_n = n, .query = query, .scratch = &scratch };
}

static void is(str got, const char *want) { assert_string_equal(arena_z(&scratch, got), want); }

static void headers_are_found_in_any_case(void **state)
{
    (void)state;
    struct http_header headers[] = {
        { S("Content-TYPE"), S("a") }, { S("x-a"), S("b") }, { S("X-A"), S("c") },
    };
    struct http_request req = request(headers, 3, S(""));
    is(http_header(&req, S("content-type")), "a");
    is(http_header(&req, S("X-a")), "b");
    is(http_header(&req, S("x-b")), "");
}

static void query_parameters_are_decoded(void **state)
{
    (void)state;
    static const struct { str query; const char *want; } rows[] = {
        { S_INIT("a=1"), "1" }, { S_INIT("b=2&a=1"), "1" }, { S_INIT("a"), "" }, { S_INIT("a="), "" },
        { S_INIT("a=x%20y+z"), "x y z" }, { S_INIT("%61=1"), "1" },
        { S_INIT("a=1&a=2"), "1" },
        { S_INIT("a=b=c"), "b=c" },
        { S_INIT("aa=1"), "none" }, { S_INIT(""), "none" }, { S_INIT("a=%"), "none" },
        { S_INIT("a=%4"), "none" },
        { S_INIT("a=%4g"), "none" }, { S_INIT("&&=x&a=1"), "1" }, { S_INIT("a=%C3%A6"), "\xc3\xa6" },
    };
    for (isize i = 0; i < countof(rows); i++) {
        struct http_request req = request(NULL, 0, rows[i].query);
        is(http_query(&req, S("a"), S("none")), rows[i].want);
    }
}

static void cookies_are_found(void **state)
{
    (void)state;
    struct http_header headers[] = { { S("Cookie"), S("a=1; b=\"two\";c=3=3") }, { S("cookie"), S("d=4") } };
    struct http_request req = request(headers, 2, S(""));
    is(http_cookie(&req, S("a")), "1");
    is(http_cookie(&req, S("b")), "two");
    is(http_cookie(&req, S("c")), "3=3");
    is(http_cookie(&req, S("d")), "4");
    is(http_cookie(&req, S("A")), "");
}

static void keys_are_read_from_authorization(void **state)
{
    (void)state;
    static const struct { str header; bool basic; const char *name, *password, *bearer; } rows[] = {
        { S_INIT("Basic a2V5Og=="), true, "key", "", "" },
        { S_INIT("basic  a2V5"), true, "key", "", "" },             /* no colon */
        { S_INIT("Basic a2V5OnA6cQ"), true, "key", "p:q", "" },     /* no padding */
        { S_INIT("Basic !!!!"), false, "", "", "" },
        { S_INIT("Basic"), false, "", "", "" },
        { S_INIT("Bearer sk_1"), false, "", "", "sk_1" },
        { S_INIT("bearer  sk_1 "), false, "", "", "sk_1" },
        { S_INIT("Digest x"), false, "", "", "" },
    };
    for (isize i = 0; i < countof(rows); i++) {
        struct http_header header = { S("authorization"), rows[i].header };
        struct http_request req = request(&header, 1, S(""));
        str name = S(""), password = S("");
        assert_int_equal(http_basic(&req, &name, &password), rows[i].basic);
        is(name, rows[i].name);
        is(password, rows[i].password);
        is(http_bearer(&req), rows[i].bearer);
    }
}

static void base64_reads_back_what_it_wrote(void **state)
{
    (void)state;
    struct rng rng = rng_seed(7);
    for (isize n = 0; n < 200; n++) {
        char *bytes = arena_new(&scratch, char, n + 1);
        for (isize i = 0; i < n; i++) bytes[i] = (char)rng_next(&rng);
        str in = { bytes, n }, out;
        str text = base64_encode(&scratch, in);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_true(base64_decode(&scratch, text, &out));
        assert_true(str_eq(in, out));
    }
    /* RFC 4648 section 10. */
    is(base64_encode(&scratch, S("foobar")), "Zm9vYmFy");
    is(base64_encode(&scratch, S("fooba")), "Zm9vYmE=");
    is(base64_encode(&scratch, S("foob")), "Zm9vYg==");
    str bad[] = { S("Z"), S("Zm9v="), S("Zm9vYg="), S("Zm9vYh=="), S("Zm 9"), S("===="), S("Zm9vY===") }, out;
    for (isize i = 0; i < countof(bad); i++) assert_false(base64_decode(&scratch, bad[i], &out));
    assert_true(base64_decode(&scratch, S("-_8"), &out));
    assert_true(str_eq(out, S("\xfb\xff")));
}

static void percent_encoding_reads_back(void **state)
{
    (void)state;
    str in = S("a b/\xc3\xa6~%\0x"), out;
    str text = percent_encode(&scratch, in);
    is(text, "a%20b%2F%C3%A6~%25%00x");
    assert_true(percent_decode(&scratch, text, false, &out));
    assert_true(str_eq(in, out));
    assert_true(percent_decode(&scratch, S("a+b"), false, &out));
    is(out, "a+b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_in_any_case), cmocka_unit_test(query_parameters_are_decoded),
        cmocka_unit_test(cookies_are_found), cmocka_unit_test(keys_are_read_from_authorization),
        cmocka_unit_test(base64_reads_back_what_it_wrote), cmocka_unit_test(percent_encoding_reads_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&scratch);
    return failed;
}
