/* SPDX-License-Identifier: Apache-2.0
 *
 * Each case: what a sender sends, and our event as event_print writes it. */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

#define RECEIVED 1795000000000                          /* 2026-11-18T10:26:40Z */

static arena a;
static struct ingest_counts counts;

static const struct json *parse(const char *text)
{
    const struct json *doc;
    struct diag diag = { .arena = &a };
    if (json_parse(&a, str_of(text), &doc, &diag)) fail_msg("%s: %.*s", text, STR_FMT(diag.what));
    return doc;
}

static struct ingest_envelope envelope(void)
{
    counts = (struct ingest_counts){ 0 };
    return (struct ingest_envelope){ .received_ms = RECEIVED,
                                     .source = S("shop"),
                                     .currency = currency_of(S("EUR")),
                                     .counts = &counts };
}

static struct event read_with(const char *text, const struct ingest_envelope *v)
{
    struct event e;
    struct diag why = { .arena = &a };
    if (ingest_event(&a, parse(text), v, &e, &why)) fail_msg("%s\nrefused: %.*s", text, STR_FMT(why.what));
    return e;
}

static struct event read(const char *text)
{
    struct ingest_envelope v = envelope();
    return read_with(text, &v);
}

static str refusal(const char *text)
{
    struct event e;
    struct diag why = { .arena = &a };
    struct ingest_envelope v = envelope();
    if (!ingest_event(&a, parse(text), &v, &e, &why)) fail_msg("taken: %s", text);
    return why.what;
}

static void check(str is, const char *expected)
{
    if (str_eq(is, str_of(expected))) return;
    fail_msg("\n  is       %.*s\n  expected %s", STR_FMT(is), expected);
}

static str printed(const struct event *e)
{
    struct buf out = { .arena = &a };
    struct jsonw w = { .out = &out };
    event_print(e, &w);
    return buf_str(&out);
}

struct example { const char *sent, *ours; };

#define TRACK(name) \
    "{\"type\":\"track\",\"event\":\"" name \
    "\",\"messageId\":\"m1\",\"anonymousId\":\"a1\",\"userId\":null,\"properties\":"

static const struct example examples[] = {
#include "ingest/segment_spec_cases.h"
};

static void each_payload_becomes_the_event_beside_it(void **state)
{
    (void)state;
    bool show = getenv("SHOW_CASES") != NULL;
    for (isize i = 0; i < countof(examples); i++) {
        struct event e = read(examples[i].sent);
        if (show) printf("%.*s\n", STR_FMT(printed(&e)));
        else check(printed(&e), examples[i].ours);
        arena_clear(&a);
    }
}

static void null_empty_and_absent_user_ids_are_one(void **state)
{
    (void)state;
    static const char *const sent[] = {
        "{\"type\":\"page\",\"messageId\":\"m\",\"anonymousId\":\"a1\",\"userId\":null}",
        "{\"type\":\"page\",\"messageId\":\"m\",\"anonymousId\":\"a1\",\"userId\":\"\"}",
        "{\"type\":\"page\",\"messageId\":\"m\",\"anonymousId\":\"a1\"}",
        "{\"type\":\"page\",\"messageId\":\"m\",\"anonymousId\":\" a1 \",\"userId\":\"  \",\"properties\":null}",
    };
    struct buf first = { .arena = &a };
    struct event e = read(sent[0]);
    event_encode(&e, &first);
    for (isize i = 1; i < countof(sent); i++) {
        struct buf bytes = { .arena = &a };
        e = read(sent[i]);
        event_encode(&e, &bytes);
        assert_true(str_eq(buf_str(&first), buf_str(&bytes)));
        assert_int_equal(counts.ids_illegal, 0);
    }
}

static void the_time_is_corrected_by_the_senders_own_clock(void **state)
{
    (void)state;
    struct ingest_envelope v = envelope();
    /* the sender's clock is an hour ahead; the event waited 10 s */
    struct event e = read_with(
        "{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"timestamp\":\"2026-11-18T12:06:30Z\",\"sentAt\":\"2026-11-18T12:06:40Z\"}",
        &v);
    assert_int_equal(e.at_ms, RECEIVED - 10000);
    assert_int_equal(e.flags, 0);
    e = read_with(
        "{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"originalTimestamp\":\"2020-01-01T00:00:00Z\",\"timestamp\":\"1999-01-01\",\"sentAt\":\"2020-01-01T00:00:05Z\"}",
        &v);
    assert_int_equal(e.at_ms, RECEIVED - 5000);
    v.sent_at_ms = RECEIVED + 1000;                     /* the batch's */
    e = read_with("{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"timestamp\":1794999999000}", &v);
    assert_int_equal(e.at_ms, RECEIVED - 2000);
    v.sent_at_ms = 0;
    e = read_with("{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"timestamp\":\"2026-11-01\"}", &v);
    assert_true(e.at_ms < RECEIVED - 10 * DAY_MS);      /* no sentAt: taken as it is */
    e = read_with("{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"timestamp\":\"2031-01-01\"}", &v);
    assert_int_equal(e.at_ms, RECEIVED);
    assert_int_equal(e.flags, EVENT_CLAMPED);
    assert_int_equal(counts.clocks_clamped, 1);
    check(refusal(
              "{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"timestamp\":\"yesterday\"}"),
          "timestamp \"yesterday\" is not a time");
}

static void ids_that_name_nobody_are_dropped_and_counted(void **state)
{
    (void)state;
    static const char *const bad[] = { "\"guest\"",
                                       "\"anonymous\"",
                                       "\"null\"",
                                       "\"undefined\"",
                                       "0",
                                       "\"0\"",
                                       "\"NaN\"",
                                       "\"[object Object]\"",
                                       "\"'null'\"",
                                       "\"\\\"Guest\\\"\"",
                                       "\"00000000-0000-0000-0000-000000000000\"",
                                       "\"-1\"",
                                       "{\"a\":1}",
                                       "true",
                                       "\"NONE\"" };
    for (isize i = 0; i < countof(bad); i++) {
        struct event e = read(
            arena_printf(
                &a, "{\"type\":\"track\",\"event\":\"x\",\"anonymousId\":\"a1\",\"userId\":%s}",
                bad[i])
                .ptr);
        assert_int_equal(e.identifiers_n, 1);
        assert_int_equal(e.identifiers[0].kind, IDENTIFIER_ANONYMOUS_ID);
        assert_int_equal(counts.ids_illegal, 1);
    }
    char longest[400];
    memset(longest, 'x', sizeof longest);
    longest[300] = 0;
    struct event e = read(
        arena_printf(
            &a, "{\"type\":\"track\",\"event\":\"x\",\"anonymousId\":\"a1\",\"userId\":\"%s\"}",
            longest)
            .ptr);
    assert_int_equal(e.identifiers_n, 1);
    assert_int_equal(counts.ids_long, 1);
    check(ingest_identifier(&a, IDENTIFIER_EMAIL, S(" Ana@Shop.NO ")), "ana@shop.no");
    check(ingest_identifier(&a, IDENTIFIER_EMAIL, S("not an address")), "");
    check(ingest_identifier(&a, IDENTIFIER_PHONE, S("0047 (90) 12-34-56")), "+4790123456");
    check(ingest_identifier(&a, IDENTIFIER_PHONE, S("call me")), "");
}

static bool proves(const void *ctx, str user_id, str hash)
{
    (void)ctx;
    return str_eq(user_id, S("ana")) && str_eq(hash, S("good"));
}

static void only_a_secret_key_or_a_proof_makes_an_identity_verified(void **state)
{
    (void)state;
    struct ingest_envelope v = envelope();
    v.proves = proves;
    struct event e = read_with(
        "{\"type\":\"identify\",\"userId\":\"ana\",\"anonymousId\":\"a1\",\"traits\":{\"email\":\"A@b.c\"},\"context\":{\"user_hash\":\"bad\"}}",
        &v);
    assert_false(e.identifiers[0].verified);
    e = read_with(
        "{\"type\":\"identify\",\"userId\":\"ana\",\"anonymousId\":\"a1\",\"traits\":{\"email\":\"A@b.c\"},\"context\":{\"user_hash\":\"good\"}}",
        &v);
    assert_true(e.identifiers[0].verified);
    assert_false(e.identifiers[1].verified);
    assert_false(e.identifiers[2].verified);            /* the hash vouches for the user id alone */
    v.verified = true;
    e = read_with(
        "{\"type\":\"identify\",\"userId\":\"ana\",\"traits\":{\"email\":\"A@b.c\",\"phone\":\"+47 90123456\"},"
        "\"context\":{\"externalIds\":[{\"id\":\"L-7\",\"type\":\"member_id\"},{\"id\":\"x\",\"type\":\"shoe_size\"}]}}",
        &v);
    assert_int_equal(e.identifiers_n, 4);
    for (isize i = 0; i < e.identifiers_n; i++) assert_true(e.identifiers[i].verified);
    assert_int_equal(counts.ids_surplus, 1);
}

struct consent_case { const char *context; u16 granted, denied; const char *source; bool gpc; };
#define P(x) (1 << PURPOSE_##x)

static void consent_objects_of_every_dialect_are_understood(void **state)
{
    (void)state;
    static const struct consent_case cases[] = {
        { "{}", 0, 0, "", false },
        { "{}", 0, P(ADS_SHARING), "gpc", true },
        { "{\"consent\":{\"categoryPreferences\":{\"analytics\":true,\"personalisation\":true,\"ads_sharing\":false}}}",
          P(ANALYTICS) | P(PERSONALISATION), P(ADS_SHARING), "segment", false },
        { "{\"consent\":{\"categoryPreferences\":{\"Analytics\":true,\"Functional\":true,\"Advertising\":true,\"Weather\":true}}}",
          P(ANALYTICS) | P(PERSONALISATION), P(ADS_SHARING), "segment", true },
        { "{\"consent\":{\"categoryPreferences\":{\"C0001\":true,\"C0002\":false,\"C0004\":false}}}",
          P(NECESSARY), P(ANALYTICS) | P(ADS_SHARING), "segment", false },
        { "{\"consentManagement\":{\"provider\":\"custom\",\"allowedConsentIds\":[\"analytics\",\"marketing_email\"],\"deniedConsentIds\":[\"advertising\"]}}",
          P(ANALYTICS) | P(MARKETING_EMAIL), P(ADS_SHARING), "rudderstack", false },
        { "{\"consent\":{\"google\":{\"ad_storage\":\"granted\",\"ad_user_data\":\"denied\",\"ad_personalization\":\"granted\",\"analytics_storage\":\"granted\"}}}",
          P(ANALYTICS), P(ADS_SHARING), "google", false },
        { "{\"library\":{\"name\":\"opmaat-tag\"},\"consent\":{\"categoryPreferences\":{\"analytics\":false}}}",
          0, P(ANALYTICS), "tag", false },
        { "{\"consent\":{\"categoryPreferences\":{\"statistics\":true,\"performance\":false}}}", 0,
          P(ANALYTICS), "segment", false },
    };
    for (isize i = 0; i < countof(cases); i++) {
        struct ingest_envelope v = envelope();
        v.sec_gpc = cases[i].gpc;
        struct event e =
            read_with(arena_printf(&a, "{\"type\":\"page\",\"anonymousId\":\"a1\",\"context\":%s}",
                                   cases[i].context)
                          .ptr,
                      &v);
        if (e.consent_granted != cases[i].granted || e.consent_denied != cases[i].denied)
            fail_msg("%s: granted %x denied %x", cases[i].context, (unsigned)e.consent_granted,
                     (unsigned)e.consent_denied);
        check(e.consent_source, cases[i].source);
    }
}

static void an_order_knows_its_worth_whatever_it_is_called(void **state)
{
    (void)state;
    struct event e = read(TRACK(
        "Order Completed") "{\"order_id\":\"o1\",\"total\":\"30.00\",\"revenue\":25.5,\"tax\":\"4.5\",\"shipping\":5,\"discount\":1.25,"
                           "\"coupon\":\"C\",\"currency\":\"NOK\",\"products\":[{\"sku\":\"s\",\"price\":\"12.75\",\"quantity\":\"2\"}]}}");
    assert_int_equal(e.value_minor, 2550);
    assert_int_equal(e.tax_minor, 450);
    assert_int_equal(e.shipping_minor, 500);
    assert_int_equal(e.discount_minor, 125);
    e = read(TRACK("Order Completed") "{\"orderId\":77,\"total\":\"30.00\"}}");
    assert_int_equal(e.value_minor, 3000);
    check(e.order_key, "77");
    e = read(TRACK(
        "order completed") "{\"order_id\":\"o\",\"products\":[{\"product_id\":\"p\",\"price\":10,\"quantity\":3},{\"product_id\":\"q\",\"price\":\"0.5\"}]}}");
    assert_int_equal(e.value_minor, 3050);
    e = read(TRACK("Order Refunded") "{\"order_id\":\"o\"}}");
    assert_false(e.valued);
    e = read(TRACK("Checkout Started") "{\"value\":10,\"revenue\":9}}");
    assert_int_equal(e.value_minor, 1000);
    e = read(TRACK("Order Completed") "{\"order_id\":\"o\",\"revenue\":1500,\"currency\":\"JPY\"}}");
    assert_int_equal(e.value_minor, 1500);
    e = read(TRACK("my own") "{\"value\":\"very high\"}}");
    assert_false(e.valued);
}

static void pages_campaigns_and_devices_are_read_from_the_context(void **state)
{
    (void)state;
    struct event e = read(
        "{\"type\":\"page\",\"anonymousId\":\"a1\",\"context\":{\"page\":{\"url\":\"https://s/x?utm_source=news%20letter&gclid=abc#top\",\"referrer\":\"$direct\"},"
        "\"campaign\":{\"name\":\"spring\"},\"locale\":\"nb-NO\",\"sessionId\":1700000000123,\"userAgent\":\"Mozilla/5.0 (iPhone; CPU iPhone OS) Mobile/15E\","
        "\"market\":\"no\",\"library\":{\"name\":\"@segment/analytics-next\"}}}");
    check(e.utm_source, "news letter");
    check(e.utm_campaign, "spring");
    check(e.click_id, "gclid=abc");
    check(e.referrer, "");
    check(e.session, "1700000000123");
    check(e.device, "mobile");
    check(e.market, "no");
    assert_int_equal(e.channel, CHANNEL_WEB);
    e = read(
        "{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"channel\":\"server\",\"context\":{\"library\":{\"name\":\"@rudderstack/rudder-sdk-node\"}}}");
    assert_int_equal(e.channel, CHANNEL_SERVER);
    e = read(
        "{\"type\":\"track\",\"event\":\"Order Completed\",\"userId\":\"u\",\"properties\":{\"order_id\":\"1\",\"channel\":\"phone\"}}");
    assert_int_equal(e.channel, CHANNEL_PHONE);
    e = read("{\"type\":\"screen\",\"name\":\"Home\",\"userId\":\"u\"}");
    assert_int_equal(e.channel, CHANNEL_APP);
    assert_true(ingest_is_bot(S("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")));
    assert_true(ingest_is_bot(S("Mozilla/5.0 GPTBot")));
    assert_false(ingest_is_bot(S("Mozilla/5.0 (Linux; Android 9; CUBOT X19) Mobile Safari")));
    assert_false(ingest_is_bot(S("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120")));
    assert_false(ingest_is_bot(S("analytics-node-next/latest")));
}

static void what_is_refused_says_why(void **state)
{
    (void)state;
    check(refusal("[]"), "an event must be an object");
    check(refusal("{\"event\":\"x\",\"userId\":\"u\"}"), "type is missing");
    check(refusal("{\"type\":\"shout\",\"userId\":\"u\"}"),
          "type \"shout\" is none of track, identify, page, screen, group, alias");
    check(refusal("{\"type\":\"track\",\"userId\":\"u\"}"), "event (the name of what happened) is missing");
    check(refusal("{\"type\":\"track\",\"event\":\"x\",\"userId\":null}"),
          "userId or anonymousId is missing");
    check(refusal("{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"properties\":[1]}"),
          "properties must be an object");
    check(refusal(TRACK("Order Completed") "{\"revenue\":1}}"), "properties.order_id is missing");
    check(refusal(TRACK("Product Viewed") "{\"product_id\":\"p\",\"price\":\"cheap\"}}"),
          "properties.price \"cheap\" is not an amount");
    check(refusal(TRACK(
              "Cart Viewed") "{\"products\":[{\"sku\":\"a\"},{\"sku\":\"b\",\"quantity\":1.5}]}}"),
          "properties.products[1].quantity must be a whole number");
    check(refusal(TRACK("Product Viewed") "{\"currency\":\"EURO\"}}"),
          "properties.currency \"EURO\" is not a currency code");
    check(refusal("{\"type\":\"alias\",\"userId\":\"u\",\"previousId\":\"null\"}"),
          "previousId is missing, too long or names nobody");
    check(refusal("{\"type\":\"group\",\"userId\":\"u\",\"groupId\":\"\"}"), "groupId is missing");
    check(
        refusal(
            "{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"integrations\":{\"Opmaat\":false}}"),
        "its integrations.Opmaat is false");
    struct buf big = { .arena = &a };
    buf_add(&big, S("{\"type\":\"track\",\"event\":\"x\",\"userId\":\"u\",\"properties\":{\"t\":\""));
    for (int i = 0; i < 33000; i++) buf_byte(&big, 'x');
    buf_add(&big, S("\"}}"));
    buf_byte(&big, 0);
    assert_true(str_starts(refusal(big.ptr), S("the event is 330")));
}

struct seen { isize events, refused; isize refused_at; u8 channel; str locale; };

static void take(void *ctx, isize index, const struct event *e)
{
    (void)index;
    struct seen *seen = ctx;
    seen->events++;
    seen->locale = e->locale;
}

static void refuse(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    struct seen *seen = ctx;
    assert_true(err != ERR_OK);
    assert_true(reason.len > 0);
    assert_non_null(event);
    seen->refused++;
    seen->refused_at = index;
}

static void a_poisonous_event_does_not_harm_its_batch(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct ingest_envelope v = envelope();
    struct ingest_sink sink = { .ctx = &seen, .event = take, .refused = refuse };
    struct diag why = { .arena = &a };
    const struct json *body = parse(
        "{\"writeKey\":\"wk\",\"context\":{\"locale\":\"nb\",\"page\":{\"url\":\"/\"}},\"sentAt\":\"2026-11-18T11:06:40Z\",\"batch\":["
        "{\"type\":\"track\",\"event\":\"a\",\"userId\":\"u\"},{\"type\":\"track\"},{\"type\":\"track\",\"event\":\"b\",\"userId\":\"u\",\"context\":{\"locale\":\"sv\"}},"
        "{\"type\":\"track\",\"event\":\"c\",\"userId\":\"u\",\"context\":{\"ip\":\"::1\"}}]}");
    assert_int_equal(ingest_batch(&a, body, &v, &sink, &why), ERR_OK);
    assert_int_equal(seen.events, 3);
    assert_int_equal(seen.refused, 1);
    assert_int_equal(seen.refused_at, 1);
    check(seen.locale, "nb");                           /* merged from the batch's context */
    check(ingest_write_key(body), "wk");
    check(ingest_write_key(parse("{\"batch\":[{\"writeKey\":\"inner\"}]}")), "inner");

    v.batch_events = 3;
    seen = (struct seen){ 0 };
    assert_int_equal(ingest_batch(&a, body, &v, &sink, &why), ERR_TOO_BIG);
    check(why.what, "the batch has 4 events, the limit is 3");
    assert_int_equal(seen.events, 0);
    v.batch_events = 0;
    v.type = S("t");                                    /* the route says the type */
    assert_int_equal(ingest_batch(&a, parse("{\"event\":\"a\",\"userId\":\"u\"}"), &v, &sink, &why), ERR_OK);
    assert_int_equal(seen.events, 1);
    assert_int_equal(ingest_batch(&a, parse("\"x\""), &v, &sink, &why), ERR_BAD_INPUT);
    assert_int_equal(ingest_batch(&a, parse("{\"batch\":7}"), &v, &sink, &why), ERR_BAD_INPUT);
}

static void a_click_is_forgotten_wherever_it_stands(void **state)
{
    (void)state;
    struct event e = {
        .click_id = S("gclid=77"),
        .url = S("https://shop/?a=1&gclid=77&b=2#top"),
        .referrer = S("https://ads/?fbclid=88"),
        .properties = S(
            "{\"url\":\"https://shop/?gclid=77\",\"gclid\": \"77\",\"note\":\"my gclid=5 stays\",\"n\":1}"),
    };
    ingest_forget_click(&a, &e);
    check(e.click_id, "");
    check(e.url, "https://shop/?a=1&gclid=&b=2#top");
    check(e.referrer, "https://ads/?fbclid=");
    check(
        e.properties,
        "{\"url\":\"https://shop/?gclid=\",\"gclid\": \"\",\"note\":\"my gclid=5 stays\",\"n\":1}");
    struct event none = { .url = S("https://shop/?gclid=77") };
    ingest_forget_click(&a, &none);                     /* read_query would have found it */
    check(none.url, "https://shop/?gclid=77");
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
        TEST(each_payload_becomes_the_event_beside_it),
        TEST(null_empty_and_absent_user_ids_are_one),
        TEST(the_time_is_corrected_by_the_senders_own_clock),
        TEST(ids_that_name_nobody_are_dropped_and_counted),
        TEST(only_a_secret_key_or_a_proof_makes_an_identity_verified),
        TEST(consent_objects_of_every_dialect_are_understood),
        TEST(an_order_knows_its_worth_whatever_it_is_called),
        TEST(pages_campaigns_and_devices_are_read_from_the_context),
        TEST(a_click_is_forgotten_wherever_it_stands),
        TEST(what_is_refused_says_why),
        TEST(a_poisonous_event_does_not_harm_its_batch),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
