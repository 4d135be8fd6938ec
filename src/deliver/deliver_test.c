/* SPDX-License-Identifier: Apache-2.0
 *
 * deliver_test.c - hashes as the platforms publish them, and rows in both formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "deliver/deliver.h"

static arena a;

/* sha256 of "test@example.com" and "+4712345678", by sha256sum. */
static void an_address_is_hashed_trimmed_and_in_lower_case(void **state)
{
    (void)state;
    str plain = ads_hash(&a, IDENTIFIER_EMAIL, S("test@example.com"), false);
    assert_true(str_eq(plain, S("973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b")));
    assert_true(str_eq(plain, ads_hash(&a, IDENTIFIER_EMAIL, S("  Test@Example.COM "), false)));
    assert_int_equal(ads_hash(&a, IDENTIFIER_EMAIL, S("no address"), false).len, 0);
    assert_int_equal(ads_hash(&a, IDENTIFIER_USER_ID, S("test@example.com"), false).len, 0);
}

static void dots_mean_nothing_in_googles_own_addresses_for_google_alone(void **state)
{
    (void)state;
    str without = ads_hash(&a, IDENTIFIER_EMAIL, S("janedoe@gmail.com"), true);
    assert_true(str_eq(without, ads_hash(&a, IDENTIFIER_EMAIL, S("Jane.Doe@GMail.com"), true)));
    assert_false(str_eq(without, ads_hash(&a, IDENTIFIER_EMAIL, S("jane.doe@gmail.com"), false)));
    assert_false(str_eq(ads_hash(&a, IDENTIFIER_EMAIL, S("a.b@shop.no"), true),
                        ads_hash(&a, IDENTIFIER_EMAIL, S("ab@shop.no"), true)));
}

static void a_number_needs_its_country(void **state)
{
    (void)state;
    str e164 = ads_hash(&a, IDENTIFIER_PHONE, S("+4712345678"), false);
    assert_int_equal(e164.len, 64);
    assert_true(str_eq(e164, ads_hash(&a, IDENTIFIER_PHONE, S("0047 (123) 45-678"), false)));
    assert_int_equal(ads_hash(&a, IDENTIFIER_PHONE, S("12345678"), false).len, 0);
    assert_int_equal(ads_hash(&a, IDENTIFIER_PHONE, S("+47"), false).len, 0);
    assert_int_equal(ads_hash(&a, IDENTIFIER_PHONE, S("+47 1234 x678"), false).len, 0);
}

/* ---- definitions ----------------------------------------------------------------------------- */

static struct segment vip = { .id = { 3 }, .key = S_INIT("vip") };
static struct segment_set *set(void)
{
    struct segment_set *s = arena_new(&a, struct segment_set, 1);
    s->at = &vip;
    s->n = 1;
    s->by_id[3] = &vip;
    static const u16 numbers[] = { 0 };
    s->by_number = numbers;
    return s;
}

static enum err read(const char *text, struct connector *out, struct diag *diag)
{
    const struct json *doc;
    *diag = (struct diag){ .arena = &a };
    assert_int_equal(json_parse(&a, str_of(text), &doc, diag), ERR_OK);
    return connector_read(doc, set(), out, diag);
}

static void a_connector_says_what_leaves_whither_and_why(void **state)
{
    (void)state;
    struct connector c;
    struct diag diag;
    assert_int_equal(
        read(
            "{\"type\":\"webhook\",\"url\":\"https://a.example/h\",\"events\":[\"Order Completed\",\"Bike Fitted\"],\"segments\":[\"vip\"],"
            "\"purpose\":\"analytics\",\"basis\":\"legitimate_interest\",\"batch\":5}",
            &c, &diag),
        ERR_OK);
    assert_int_equal(c.types[0], EVENT_ORDER_COMPLETED);
    assert_true(str_eq(c.names[0], S("Bike Fitted")));
    assert_int_equal(c.batch, 5);
    assert_true(connector_wants_event(&c, &(struct event){ .type = EVENT_ORDER_COMPLETED }));
    assert_true(connector_wants_event(
        &c, &(struct event){ .type = EVENT_CUSTOM_FIRST + 3, .name = S("Bike Fitted") }));
    assert_false(connector_wants_event(&c, &(struct event){ .type = EVENT_PRODUCT_VIEWED }));
    assert_false(connector_wants_event(
        &c, &(struct event){ .type = EVENT_ORDER_COMPLETED, .flags = EVENT_BOT }));
    assert_false(connector_wants_event(
        &c, &(struct event){ .type = EVENT_ORDER_COMPLETED, .flags = EVENT_IMPORTED }));
    assert_true(connector_wants_segment(&c, (segment_id){ 3 }));
    assert_false(connector_wants_segment(&c, (segment_id){ 4 }));
}

static void what_is_wrong_with_a_connector_is_said(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } wrong[] = {
        { "{\"type\":\"webhook\",\"events\":[\"*\"],\"purpose\":\"analytics\"}", "needs a url" },
        { "{\"type\":\"webhook\",\"url\":\"ftp://a\",\"events\":[\"*\"],\"purpose\":\"analytics\"}", "needs a url" },
        { "{\"type\":\"pigeon\",\"events\":[\"*\"],\"purpose\":\"analytics\"}", "pigeon" },
        { "{\"type\":\"poll\",\"events\":[\"*\"]}", "say the purpose" },
        { "{\"type\":\"poll\",\"purpose\":\"analytics\"}", "say what leaves" },
        { "{\"type\":\"poll\",\"segments\":[\"vap\"],\"purpose\":\"analytics\"}", "vap" },
        { "{\"type\":\"ads\",\"segments\":[\"vip\"],\"purpose\":\"analytics\"}", "only by consent" },
        { "{\"type\":\"ads\",\"segments\":[\"vip\"],\"basis\":\"contract\"}", "only by consent" },
        { "{\"type\":\"ads\",\"segments\":[\"vip\"],\"events\":[\"*\"]}", "nothing but segments" },
        { "{\"type\":\"poll\",\"events\":[\"*\"],\"purpose\":\"analytics\",\"batch\":0}", "batch" },
    };
    for (isize i = 0; i < countof(wrong); i++) {
        struct connector c;
        struct diag diag;
        assert_int_equal(read(wrong[i].text, &c, &diag), ERR_BAD_INPUT);
        if (str_find(diag.what, str_of(wrong[i].says)) < 0)
            fail_msg("%s: %.*s", wrong[i].text, STR_FMT(diag.what));
    }
}

#define TEST(f) cmocka_unit_test(f)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_hashed_trimmed_and_in_lower_case),
        TEST(dots_mean_nothing_in_googles_own_addresses_for_google_alone),
        TEST(a_number_needs_its_country),
        TEST(a_connector_says_what_leaves_whither_and_why),
        TEST(what_is_wrong_with_a_connector_is_said),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
