/* SPDX-License-Identifier: Apache-2.0
 *
 * Other products' calls: what each sends, and what we took it for, a line an event:
 *
 *   type key who… {traits} order=… value CUR said=… [product/variant xN @price] url channel
 *
 * who: kind=value, with ! when it is verified. Refusals are "- reason". */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

#define RECEIVED 1795000000000                          /* 2026-11-18T11:06:40Z */

static arena a;

static void print_event(void *ctx, isize index, const struct event *e)
{
    struct buf *out = ctx;
    (void)index;
    buf_printf(out, "%s", e->type < EVENT_CUSTOM_FIRST ? event_type_name(e->type) : arena_z(&a, e->name));
    if (e->key.len) buf_printf(out, " %.*s", STR_FMT(e->key));
    if (e->at_ms != RECEIVED) buf_printf(out, " at-%lld", (long long)(RECEIVED - e->at_ms) / 1000);
    for (isize i = 0; i < e->identifiers_n; i++)
        buf_printf(out, " %s=%.*s%s", identifier_name(e->identifiers[i].kind),
                   STR_FMT(e->identifiers[i].value), e->identifiers[i].verified ? "!" : "");
    if (e->previous_id.len) buf_printf(out, " was=%.*s", STR_FMT(e->previous_id));
    for (isize i = 0; i < e->traits_n; i++)
        buf_printf(out, " {%.*s=%.*s}", STR_FMT(e->traits[i].name), STR_FMT(e->traits[i].text));
    if (e->order_key.len) buf_printf(out, " order=%.*s", STR_FMT(e->order_key));
    if (e->valued) {
        char code[4];
        buf_printf(out, " %lld %.*s", (long long)e->value_minor, STR_FMT(currency_code(e->currency, code)));
    }
    if (e->said_at_ms) buf_printf(out, " said-%lld", (long long)(RECEIVED - e->said_at_ms) / 1000);
    for (isize i = 0; i < e->items_n; i++) {
        const struct event_item *it = &e->items[i];
        buf_printf(out, " [%.*s", STR_FMT(it->product_key));
        if (it->variant_key.len) buf_printf(out, "/%.*s", STR_FMT(it->variant_key));
        if (it->quantity) buf_printf(out, " x%d", it->quantity);
        if (it->priced) buf_printf(out, " @%lld", (long long)it->price_minor);
        if (it->category.len) buf_printf(out, " in %.*s", STR_FMT(it->category));
        buf_add(out, S("]"));
    }
    if (e->query.len) buf_printf(out, " q=%.*s", STR_FMT(e->query));
    if (e->coupon.len) buf_printf(out, " coupon=%.*s", STR_FMT(e->coupon));
    if (e->url.len) buf_printf(out, " %.*s", STR_FMT(e->url));
    if (e->utm_source.len) buf_printf(out, " from=%.*s", STR_FMT(e->utm_source));
    if (e->channel) buf_printf(out, " %s", channel_name(e->channel));
    for (int p = 0; p < PURPOSES; p++) {
        if (e->consent_granted >> p & 1) buf_printf(out, " +%s", purpose_name(p));
        if (e->consent_denied >> p & 1) buf_printf(out, " -%s", purpose_name(p));
    }
    buf_byte(out, '\n');
}

static void print_refusal(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    (void)index; (void)err; (void)event;
    buf_printf(ctx, "- %.*s\n", STR_FMT(reason));
}

static void print_item(void *ctx, const struct item_change *c)
{
    const struct item *it = &c->item;
    buf_printf(ctx, "item %.*s%s", STR_FMT(it->key),
               c->kind == ITEM_REMOVE ? " removed"
               : it->hidden           ? " hidden"
                                      : "");
    if (it->titles_n) buf_printf(ctx, " \"%.*s\"", STR_FMT(it->titles[0].value));
    if (it->descriptions_n) buf_printf(ctx, " (%.*s)", STR_FMT(it->descriptions[0].value));
    if (it->prices_n)
        buf_printf(ctx, " @%lld/%lld", (long long)it->prices[0].minor,
                   (long long)it->prices[0].list_minor);
    if (it->stock_n) buf_printf(ctx, " stock %d", it->stock[0].quantity);
    for (isize i = 0; i < it->variants_n; i++) {
        const struct variant *v = &it->variants[i];
        buf_printf(ctx, " [%.*s %.*s %.*s", STR_FMT(v->key), STR_FMT(v->size), STR_FMT(v->colour));
        if (v->stock_n) buf_printf(ctx, " stock %d", v->stock[0].quantity);
        buf_add(ctx, S("]"));
    }
    buf_byte(ctx, '\n');
}

struct example { ingest_reader *reader; const char *topic, *sent, *ours; };

static void check(const struct example *example, bool verified)
{
    const struct json *body;
    struct buf out = { .arena = &a };
    struct diag why = { .arena = &a };
    struct ingest_envelope v = { .received_ms = RECEIVED,
                                 .source = S("shop"),
                                 .currency = currency_of(S("EUR")),
                                 .verified = verified,
                                 .type = str_of(example->topic),
                                 .delivery = example->topic ? S("d1") : S("") };
    struct ingest_sink sink = { &out, print_event, print_refusal, print_item };
    if (json_parse(&a, str_of(example->sent), &body, &why))
        fail_msg("%s: %.*s", example->sent, STR_FMT(why.what));
    if (example->reader(&a, body, &v, &sink, &why)) buf_printf(&out, "! %.*s\n", STR_FMT(why.what));
    if (!str_eq(buf_str(&out), str_of(example->ours)))
        fail_msg("\n%s\n  is\n%.*s  expected\n%s", example->sent, STR_FMT(buf_str(&out)), example->ours);
    arena_clear(&a);
}

static const struct example posthog[] = {
    { NULL, NULL, "{\"event\":\"Product Viewed\",\"uuid\":\"u1\",\"distinct_id\":\"ana\",\"properties\":{\"product_id\":\"p\",\"price\":\"4.5\",\"$lib\":\"posthog-node\"}}",
      "product_viewed u1 user_id=ana [p @450] server\n" },
    { NULL, NULL, "[{\"event\":\"$identify\",\"distinct_id\":\"ana\",\"properties\":{\"$anon_distinct_id\":\"x\",\"$set\":{\"email\":\"A@b.c\"},\"$set_once\":{\"email\":\"old\",\"plan\":\"gold\"}}}]",
      "identified user_id=ana anonymous_id=x email=a@b.c {email=A@b.c} {plan=gold}\n" },
    { NULL, NULL, "{\"batch\":[{\"event\":\"x\",\"properties\":{\"distinct_id\":\"d\",\"$device_id\":\"d\"},\"offset\":60000},"
      "{\"event\":\"x\",\"properties\":{\"distinct_id\":\"ana\",\"$device_id\":\"d\"}},"
      "{\"event\":\"x\",\"distinct_id\":\"r\",\"properties\":{\"$process_person_profile\":false}},"
      "{\"event\":\"x\",\"distinct_id\":\"r\",\"properties\":{\"$is_identified\":false}}]}",
      "x at-60 anonymous_id=d\nx user_id=ana anonymous_id=d\nx anonymous_id=r\nx anonymous_id=r\n" },
    { NULL, NULL, "{\"event\":\"bought\",\"uuid\":\"u\",\"distinct_id\":\"ana\",\"properties\":{\"$set\":{\"vip\":\"yes\"}}}",
      "bought u user_id=ana\nidentified u-set user_id=ana {vip=yes}\n" },
    { NULL, NULL, "{\"event\":\"$create_alias\",\"distinct_id\":\"ana\",\"properties\":{\"alias\":\"before\"}}", "aliased user_id=ana was=before\n" },
    { NULL, NULL, "{\"event\":\"$groupidentify\",\"distinct_id\":\"ana\",\"properties\":{\"$group_type\":\"c\",\"$group_key\":\"g\",\"$group_set\":{\"n\":1}}}", "grouped user_id=ana\n" },
    { NULL, NULL, "{\"event\":\"$pageview\",\"distinct_id\":\"ana\",\"timestamp\":\"2026-11-18T11:06:30Z\",\"properties\":{\"$current_url\":\"https://s/?utm_source=q\"}}",
      "page_viewed at-10 user_id=ana https://s/?utm_source=q from=q web\n" },
    { NULL, NULL, "{\"batch\":[7,{},{\"event\":\"x\"},{\"event\":\"x\",\"distinct_id\":\"ana\",\"properties\":[]}]}",
      "- an event must be an object\n- event (the name of what happened) is missing\n- userId or anonymousId is missing\nx user_id=ana\n" },
    { NULL, NULL, "{\"batch\":{}}", "! expected a list of events\n" },
};

static const struct example ga4[] = {
    { NULL, NULL, "{\"client_id\":\"1.2\",\"timestamp_micros\":1794999990000000,\"events\":[{\"name\":\"view_item\",\"params\":{\"items\":[{\"item_id\":\"p\",\"item_category\":\"A\",\"item_category2\":\"B\",\"price\":4.5,\"index\":3}]}}]}",
      "product_viewed at-10 anonymous_id=1.2 [p @450 in A > B]\n" },
    { NULL, NULL, "{\"client_id\":\"1.2\",\"user_id\":\"ana\",\"events\":[{\"name\":\"purchase\",\"params\":{\"transaction_id\":\"t\",\"value\":9,\"currency\":\"EUR\",\"coupon\":\"C\",\"items\":[{\"item_id\":\"p\",\"quantity\":2,\"price\":4.5}]}},"
      "{\"name\":\"refund\",\"params\":{\"transaction_id\":\"t\"}},{\"name\":\"search\",\"params\":{\"search_term\":\"jeans\"}},{\"name\":\"spun\",\"params\":{}}]}",
      "order_completed user_id=ana anonymous_id=1.2 order=t 900 EUR [p x2 @450] coupon=C\norder_refunded user_id=ana anonymous_id=1.2 order=t\n"
      "products_searched user_id=ana anonymous_id=1.2 q=jeans\nspun user_id=ana anonymous_id=1.2\n" },
    { NULL, NULL, "{\"client_id\":\"1.2\",\"user_properties\":{\"plan\":{\"value\":\"gold\"}},\"consent\":{\"ad_user_data\":\"DENIED\"},\"events\":[]}",
      "identified anonymous_id=1.2 {plan=gold} -ads_sharing\n" },
    { NULL, NULL, "{\"client_id\":\"1.2\",\"events\":[{\"name\":\"\"},4,{\"name\":\"x\",\"params\":3}]}",
      "- an event needs a name\n- an event needs a name\n- params must be an object\n" },
    { NULL, NULL, "{\"events\":[{\"name\":\"x\"}]}", "- userId or anonymousId is missing\n" },
    { NULL, NULL, "{}", "! expected {\"client_id\", \"events\": [events]}\n" },
};

static const struct example odp[] = {
    { NULL, NULL, "[{\"type\":\"fullstack\",\"action\":\"identified\",\"identifiers\":{\"fs_user_id\":\"ana\",\"vuid\":\"v\"},\"data\":{\"idempotence_id\":\"i\",\"data_source\":\"sdk\"}}]",
      "identified i user_id=ana anonymous_id=v\n" },
    { NULL, NULL, "[{\"type\":\"fullstack\",\"action\":\"client_initialized\",\"identifiers\":{\"vuid\":\"v\"}},{\"type\":\"pageview\",\"identifiers\":{\"vuid\":\"v\"},\"data\":{\"page\":\"https://s/\"}}]",
      "client_initialized anonymous_id=v\npage_viewed anonymous_id=v https://s/ web\n" },
    { NULL, NULL, "{\"type\":\"order\",\"action\":\"purchase\",\"identifiers\":{\"FS-USER-ID\":\"ana\",\"email\":\"a@b.c\"},\"data\":{\"order\":{\"order_id\":\"o\",\"total\":\"2.50\",\"items\":[{\"product_id\":\"p\",\"quantity\":1,\"price\":2.5}]}}}",
      "order_completed user_id=ana email=a@b.c order=o 250 EUR [p x1 @250]\n" },
    { NULL, NULL, "[{\"type\":\"x\"},{\"identifiers\":{\"vuid\":\"v\"}},3,{\"type\":\"x\",\"action\":\"y\",\"identifiers\":{\"shoe\":\"44\"}}]",
      "- identifiers is missing\n- type is missing\n- an event must be an object\n- userId or anonymousId is missing\n" },
};

#define ORDER(more) "{\"id\":5,\"created_at\":\"2026-11-18T10:06:40Z\",\"updated_at\":\"2026-11-18T11:05:00Z\",\"currency\":\"EUR\"," more "}"
#define LINE(n, left, off) "{\"product_id\":1,\"variant_id\":2,\"quantity\":" n ",\"current_quantity\":" left ",\"price\":\"4.00\",\"discount_allocations\":[{\"amount\":\"" off "\"}]}"

static const struct example shopify[] = {
    { NULL, "orders/create", ORDER("\"current_subtotal_price\":\"7.00\",\"customer\":{\"id\":7,\"email\":\"A@b.c\"},\"source_name\":\"web\",\"discount_codes\":[{\"code\":\"C\"}],"
      "\"landing_site\":\"/?utm_source=q\",\"line_items\":[" LINE("2", "2", "1.00") "]"),
      "order_completed d1 at-3600 user_id=7! email=a@b.c! order=5 700 EUR said-100 [1/2 x2 @350] coupon=C /?utm_source=q from=q web\n" },
    { NULL, "orders/updated", ORDER("\"subtotal_price\":\"8.00\",\"refunds\":[{\"refund_line_items\":[{\"subtotal\":\"3.50\"}]}],\"source_name\":\"pos\",\"line_items\":[" LINE("2", "1", "0") "," LINE("1", "0", "0") "]"),
      "order_completed d1 at-3600 order=5 450 EUR said-100 [1/2 x1 @400] pos\n" },
    { NULL, "orders/cancelled", ORDER("\"cancelled_at\":\"2026-11-18T11:05:00Z\",\"source_name\":\"shopify_draft_order\",\"email\":\"x@y.z\""),
      "order_cancelled d1 at-3600 email=x@y.z! order=5 0 EUR said-100 phone\n" },
    { NULL, "orders/create", ORDER("\"test\":true"), "- it is a test order of the shop\n" },
    { NULL, "orders/create", "{\"line_items\":3}", "- properties.order_id is missing\n" },
    { NULL, "refunds/create", "{\"id\":6,\"order_id\":5,\"processed_at\":\"2026-11-18T11:05:00Z\",\"refund_line_items\":[{\"quantity\":1,\"subtotal\":\"3.50\",\"line_item\":{\"product_id\":1,\"variant_id\":2}}],\"transactions\":[{\"kind\":\"refund\",\"amount\":\"9.00\",\"currency\":\"EUR\"}]}",
      "order_refunded shopify-refund-6 at-100 order=5 350 EUR said-100 [1/2 x1]\n" },
    { NULL, "refunds/create", "{\"id\":6,\"order_id\":5,\"created_at\":\"2026-11-18T11:05:00Z\",\"transactions\":[{\"kind\":\"refund\",\"amount\":\"9.00\",\"currency\":\"EUR\"},{\"kind\":\"void\",\"amount\":\"1\"}]}",
      "order_refunded shopify-refund-6 at-100 order=5 900 EUR said-100\n" },
    { NULL, "customers/update", "{\"id\":7,\"email\":\"a@b.c\",\"first_name\":\"Ana\",\"email_marketing_consent\":{\"state\":\"subscribed\"},\"sms_marketing_consent\":{\"state\":\"unsubscribed\"}}",
      "identified d1 user_id=7! email=a@b.c! {email=a@b.c} {first_name=Ana} +marketing_email -marketing_sms\n" },
    { NULL, "customers/update", "{\"id\":7,\"email_marketing_consent\":{\"state\":\"not_subscribed\"}}", "identified d1 user_id=7!\n" },
    { NULL, "checkouts/create", "{\"token\":\"t\",\"email\":\"a@b.c\",\"subtotal_price\":\"4.00\",\"currency\":\"EUR\",\"line_items\":[{\"product_id\":1,\"quantity\":1,\"price\":\"4.00\"}]}",
      "checkout_started shopify-checkout-t email=a@b.c! 400 EUR [1 x1 @400] web\n" },
    { NULL, "products/update", "{\"id\":9,\"title\":\"T\",\"body_html\":\"<p>a<br>b</p>\",\"status\":\"active\",\"published_at\":\"2026-11-18T09:00:00Z\",\"options\":[{\"name\":\"Color\"},{\"name\":\"Size\"}],"
      "\"variants\":[{\"id\":1,\"price\":\"2.00\",\"compare_at_price\":\"3.00\",\"option1\":\"red\",\"option2\":\"S\",\"inventory_management\":\"shopify\",\"inventory_quantity\":-1}]}",
      "item 9 \"T\" (a b) @200/300 [1 S red stock 0]\n" },
    { NULL, "products/update", "{\"id\":9,\"title\":\"T\",\"status\":\"draft\",\"variants\":[]}", "item 9 hidden \"T\"\n" },
    { NULL, "products/delete", "{\"id\":9}", "item 9 removed\n" },
    { NULL, "fulfillments/create", "{}", "- the topic \"fulfillments/create\" is none that is used here\n" },
    { NULL, "orders/create", "[]", "! expected an object\n" },
};

#define WOO(more) "{\"id\":5,\"currency\":\"EUR\",\"total\":\"13.00\",\"date_created_gmt\":\"2026-11-18T10:06:40\",\"date_modified_gmt\":\"2026-11-18T11:05:00\"," \
    "\"line_items\":[{\"product_id\":1,\"variation_id\":0,\"quantity\":2,\"total\":\"10.00\"}]," more "}"

static const struct example woocommerce[] = {
    { NULL, "order.created", WOO("\"status\":\"processing\",\"customer_id\":7,\"billing\":{\"email\":\"a@b.c\"},\"created_via\":\"checkout\",\"coupon_lines\":[{\"code\":\"C\"}]"),
      "order_completed d1 at-3600 user_id=7! email=a@b.c! order=5 1000 EUR said-100 [1 x2 @500] coupon=C web\n" },
    { NULL, "order.updated", WOO("\"status\":\"completed\",\"customer_id\":0,\"created_via\":\"admin\",\"refunds\":[{\"total\":\"-6.50\"}]"),
      "order_completed d1 at-3600 order=5 500 EUR said-100 [1 x2 @500] phone\n" },
    { NULL, "order.updated", WOO("\"status\":\"refunded\",\"refunds\":[{\"total\":\"-13.00\"}]"), "order_completed d1 at-3600 order=5 0 EUR said-100 web\n" },
    { NULL, "order.updated", WOO("\"status\":\"cancelled\",\"customer_id\":7"), "order_cancelled d1 at-3600 user_id=7! order=5 1000 EUR said-100 [1 x2 @500] web\n" },
    { NULL, "order.created", WOO("\"status\":\"pending\",\"customer_id\":7,\"meta_data\":[{\"key\":\"_anonymous_id\",\"value\":\"x\"},{\"key\":\"_wc_order_attribution_utm_source\",\"value\":\"q\"}]"),
      "checkout_started d1 at-3600 user_id=7! anonymous_id=x! order=5 1000 EUR [1 x2 @500] from=q web\n" },
    { NULL, "order.deleted", "{\"id\":5}", "order_cancelled d1 order=5 said-0\n" },
    { NULL, "customer.deleted", "{\"id\":7}", "Customer Deleted d1 user_id=7!\n" },
    { NULL, "product.updated", "{\"id\":9,\"name\":\"T\",\"type\":\"simple\",\"status\":\"publish\",\"price\":\"2.00\",\"regular_price\":\"3.00\",\"on_sale\":true,\"manage_stock\":true,\"stock_quantity\":4}",
      "item 9 \"T\" @200/300 stock 4\n" },
    { NULL, "product.updated", "{\"id\":9,\"name\":\"T\",\"status\":\"draft\",\"stock_status\":\"outofstock\"}", "item 9 hidden \"T\" stock 0\n" },
    { NULL, "product.updated", "{\"id\":9,\"parent_id\":3,\"type\":\"variation\"}", "- a variation by itself is not taken: its product's own webhook, or a product feed, brings it\n" },
    { NULL, "product.deleted", "{\"id\":9}", "item 9 removed\n" },
};

static void all(const struct example *list, isize n, ingest_reader *reader, bool verified)
{
    for (isize i = 0; i < n; i++) {
        struct example one = list[i];
        one.reader = reader;
        check(&one, verified);
    }
}

static void posthog_calls(void **state)
{
    (void)state;
    all(posthog, countof(posthog), ingest_posthog, false);
}
static void measurement_protocol_calls(void **state)
{
    (void)state;
    all(ga4, countof(ga4), ingest_ga4, false);
}
static void odp_calls(void **state) { (void)state; all(odp, countof(odp), ingest_odp, false); }
static void shopify_deliveries(void **state)
{
    (void)state;
    all(shopify, countof(shopify), ingest_shopify, true);
}
static void woocommerce_deliveries(void **state)
{
    (void)state;
    all(woocommerce, countof(woocommerce), ingest_woocommerce, true);
}

/* ---- ODP's question -------------------------------------------------------------------------- */

#define SENT(id) "{\"query\" : \"query {customer(fs_user_id : \\\"" id "\\\") {audiences(subset: [\\\"a\\\",\\\"b c\\\"]) {edges {node {name state}}}}}\"}"

static void the_question_is_read_whatever_the_id_holds(void **state)
{
    static const struct { const char *sent, *id, *other; } cases[] = {
        { SENT("ana"), "ana", NULL },
        { SENT(""), "", NULL },
        { SENT("q\"t"), "q\"t", NULL },                 /* not JSON */
        { SENT("b\\s"), "b\\s", NULL },                 /* JSON has no \s */
        { SENT("b\\n"), "b\\n", "b\n" },                /* it has this one: two readings */
        { SENT("\\\\\\\""), "\\\\\\\"", "\\\"" },       /* escaped as it should be */
        { SENT("\") {audiences(subset: ["), "\") {audiences(subset: [", NULL },
        { SENT("\\\") {audiences(subset: [\\\"x\\\"]"), "\\\") {audiences(subset: [\\\"x\\\"]", "\") {audiences(subset: [\"x\"]" },
    };
    (void)state;
    for (isize i = 0; i < countof(cases); i++) {
        struct odp_question q[2];
        isize n = ingest_odp_question(&a, str_of(cases[i].sent), q);
        if (n != 1 + (cases[i].other != NULL)) fail_msg("%s: %td readings", cases[i].sent, n);
        if (!str_eq(q[0].id, str_of(cases[i].id))) fail_msg("%s: %.*s", cases[i].sent, STR_FMT(q[0].id));
        if (n == 2 && !str_eq(q[1].id, str_of(cases[i].other)))
            fail_msg("%s: %.*s", cases[i].sent, STR_FMT(q[1].id));
        assert_true(str_eq(q[0].name, S("fs_user_id")));
        assert_int_equal(q[0].subset_n, 2);
        assert_true(str_eq(q[0].subset[1], S("b c")));
    }
    struct odp_question q[2];
    static const char *const none[] = { "",
                                        "{}",
                                        "{\"query\":\"{me}\"}",
                                        "customer(",
                                        "customer(vuid",
                                        "customer(vuid : \\\"x",
                                        "customer(vuid : \\\"x\\\")" };
    for (isize i = 0; i < countof(none); i++)
        assert_int_equal(ingest_odp_question(&a, str_of(none[i]), q), 0);
    assert_int_equal(
        ingest_odp_question(
            &a, S("{\"query\":\"{customer(vuid: \\\"v\\\") {audiences {edges {node {name}}}}}\"}"),
            q),
        1);
    assert_true(q[0].all);
    arena_clear(&a);
}

/* ---- pixels ---------------------------------------------------------------------------------- */

static void a_pixels_address_is_a_call(void **state)
{
    static const struct { const char *query, *call; } cases[] = {
        { "writeKey=k&userId=a&event=Product+Viewed&properties.product_id=p%201&loose=1&context.locale=nb",
          "{\"userId\":\"a\",\"event\":\"Product Viewed\",\"properties\":{\"product_id\":\"p 1\",\"loose\":\"1\"},\"traits\":{},\"context\":{\"locale\":\"nb\"}}" },
        { "", "{\"properties\":{},\"traits\":{},\"context\":{}}" },
        { "a=%zz&=x&userId=", "{\"properties\":{},\"traits\":{},\"context\":{}}" },
        { "data=eyJhIjoxfQ==", "{\"a\":1}" },
        { "x=1&data=eyJhIjoxfQ", "{\"a\":1}" },
    };
    (void)state;
    for (isize i = 0; i < countof(cases); i++) {
        const struct json *call;
        struct diag why = { .arena = &a };
        struct buf out = { .arena = &a };
        struct jsonw w = { .out = &out };
        if (ingest_pixel(&a, str_of(cases[i].query), &call, &why))
            fail_msg("%s: %.*s", cases[i].query, STR_FMT(why.what));
        jsonw_value(&w, call);
        if (!str_eq(buf_str(&out), str_of(cases[i].call)))
            fail_msg("%s\n  is %.*s", cases[i].query, STR_FMT(buf_str(&out)));
    }
    const struct json *call;
    assert_int_equal(ingest_pixel(&a, S("data=%25%25"), &call, NULL), ERR_BAD_INPUT);
    assert_int_equal(ingest_pixel(&a, S("data=e30x"), &call, NULL), ERR_BAD_INPUT);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posthog_calls),
        cmocka_unit_test(measurement_protocol_calls),
        cmocka_unit_test(odp_calls),
        cmocka_unit_test(shopify_deliveries),
        cmocka_unit_test(woocommerce_deliveries),
        cmocka_unit_test(the_question_is_read_whatever_the_id_holds),
        cmocka_unit_test(a_pixels_address_is_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
