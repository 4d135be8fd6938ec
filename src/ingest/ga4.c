/* SPDX-License-Identifier: Apache-2.0
 *
 * ga4.c - Google Analytics 4's Measurement Protocol, told in Segment's words.
 *
 *   {"client_id", "user_id", "timestamp_micros", "user_properties": {name: {"value"}},
 *    "consent": {"ad_user_data": "GRANTED"}, "events": [{"name", "params": {…, "items": […]}}]}
 *
 * client_id is the anonymousId, user_id the userId. GA4 gives its events no id of their own, so a
 * purchase sent twice is told apart by its transaction_id alone, which is our order.
 */
#include "ingest/telling.h"

static const struct { str theirs, ours; } names[] = {
    { S_INIT("view_item_list"), S_INIT("Product List Viewed") },
    { S_INIT("select_item"), S_INIT("Product Clicked") },
    { S_INIT("view_item"), S_INIT("Product Viewed") },
    { S_INIT("add_to_cart"), S_INIT("Product Added") },
    { S_INIT("remove_from_cart"), S_INIT("Product Removed") },
    { S_INIT("view_cart"), S_INIT("Cart Viewed") },
    { S_INIT("add_to_wishlist"), S_INIT("Product Added to Wishlist") },
    { S_INIT("begin_checkout"), S_INIT("Checkout Started") },
    { S_INIT("add_shipping_info"), S_INIT("Checkout Step Completed") },
    { S_INIT("add_payment_info"), S_INIT("Payment Info Entered") },
    { S_INIT("purchase"), S_INIT("Order Completed") },
    { S_INIT("refund"), S_INIT("Order Refunded") },
    { S_INIT("search"), S_INIT("Products Searched") },
    { S_INIT("view_search_results"), S_INIT("Products Searched") },
    { S_INIT("view_promotion"), S_INIT("Promotion Viewed") },
    { S_INIT("select_promotion"), S_INIT("Promotion Clicked") },
};

static str name_of(str theirs)
{
    for (isize i = 0; i < countof(names); i++)
        if (str_eq(theirs, names[i].theirs)) return names[i].ours;
    return theirs;
}

/* Google's word for a field, ours in the same place; what is not here keeps its name. */
static const char *property_of(str theirs)
{
    static const struct { str theirs; const char *ours; } same[] = {
        { S_INIT("transaction_id"), "order_id" }, { S_INIT("search_term"), "query" },
        { S_INIT("item_list_id"), "list_id" },    { S_INIT("item_list_name"), "category" },
        { S_INIT("page_location"), "url" },       { S_INIT("page_referrer"), "referrer" },
        { S_INIT("page_title"), "title" },        { S_INIT("item_id"), "product_id" },
        { S_INIT("item_name"), "name" },          { S_INIT("item_brand"), "brand" },
        { S_INIT("item_variant"), "variant" },    { S_INIT("index"), "position" },
    };
    for (isize i = 0; i < countof(same); i++)
        if (str_eq(theirs, same[i].theirs)) return same[i].ours;
    return NULL;
}

static void tell_fields(struct telling *t, const struct json *from)
{
    if (!json_is(from, JSON_OBJ)) return;
    json_each(one, from) {
        const char *ours = property_of(one->key);
        if (str_eq(one->key, S("items")) || str_starts(one->key, S("item_category"))) continue;
        if (!ours) { jsonw_key(&t->w, one->key); jsonw_value(&t->w, one); }
        else if (!json_get(from, str_of(ours))) { jsonw_key(&t->w, str_of(ours)); jsonw_value(&t->w, one); }
    }
}

static void tell_items(struct telling *t, const struct json *items)
{
    static const char *const levels[] = { "item_category", "item_category2", "item_category3",
                                          "item_category4", "item_category5" };
    jsonw_key_begin(&t->w, "products", '[');
    json_each(item, items) {
        jsonw_begin(&t->w, '{');
        tell_fields(t, item);
        if (json_get(item, S("item_category"))) jsonw_key_begin(&t->w, "category", '[');
        for (isize i = 0; i < countof(levels) && json_get(item, S("item_category")); i++) {
            str level = json_text(t->a, json_get(item, str_of(levels[i])));
            if (level.len) jsonw_str(&t->w, level);
        }
        if (json_get(item, S("item_category"))) jsonw_end(&t->w, ']');
        jsonw_end(&t->w, '}');
    }
    jsonw_end(&t->w, ']');
}

static void tell_who(struct telling *t, const struct json *body)
{
    tell_id(t, "userId", json_get(body, S("user_id")));
    tell_id(t, "anonymousId", json_get(body, S("client_id")));
    if (!json_get(body, S("client_id"))) tell_id(t, "anonymousId", json_get(body, S("app_instance_id")));
}

static void tell_time(struct telling *t, const struct json *body, const struct json *event)
{
    const struct json *micros = json_get(event, S("timestamp_micros"));
    if (!micros) micros = json_get(body, S("timestamp_micros"));
    i64 at = 0;
    if (!str_to_i64(json_text(t->a, micros), &at) || at <= 0) return;
    jsonw_key_time(&t->w, "timestamp", at / 1000);
}

static void tell_context(struct telling *t, const struct json *body, const struct json *params)
{
    static const struct told_field page[] = {
        { "url", "page_location" }, { "referrer", "page_referrer" }, { "title", "page_title" },
    }, campaign[] = {
        { "source", "source" }, { "medium", "medium" }, { "name", "campaign" }, { "gclid", "gclid" },
    };
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "context", '{');
    tell_id(t, "sessionId", json_get(params, S("session_id")));
    tell_value(t, "locale", json_get(params, S("language")));
    tell_value(t, "country", json_path(body, "user_location.country_id"));
    tell_value(t, "userAgent", json_get(body, S("user_agent")));
    tell_object(t, "page", params, page, countof(page));
    tell_object(t, "campaign", params, campaign, countof(campaign));
    tell_value(t, "consent", json_get(body, S("consent")));
    jsonw_end(w, '}');
}

static void tell_event(struct telling *t, const struct json *body, const struct json *event)
{
    str name = str_trim(json_str(json_get(event, S("name")), S("")));
    const struct json *params = json_get(event, S("params"));
    if (!json_is(event, JSON_OBJ) || name.len == 0) {
        tell_refused(t, event, "an event needs a name");
        return;
    }
    if (params && params->kind != JSON_OBJ) { tell_refused(t, event, "params must be an object"); return; }
    bool page = str_eq(name, S("page_view")), screen = str_eq(name, S("screen_view"));
    tell(t, page ? "page" : screen ? "screen" : "track", page || screen ? S("") : name_of(name));
    if (screen) tell_value(t, "name", json_get(params, S("screen_name")));
    tell_who(t, body);
    tell_time(t, body, event);
    tell_context(t, body, params);
    jsonw_key_begin(&t->w, "properties", '{');
    tell_fields(t, params);
    if (json_is(json_get(params, S("items")), JSON_ARR)) tell_items(t, json_get(params, S("items")));
    jsonw_end(&t->w, '}');
    tell_end(t);
}

static void tell_person(struct telling *t, const struct json *body, const struct json *traits)
{
    tell(t, "identify", S(""));
    tell_who(t, body);
    tell_time(t, body, NULL);
    tell_context(t, body, NULL);
    jsonw_key_begin(&t->w, "traits", '{');
    json_each(one, traits) {
        const struct json *value = json_get(one, S("value"));
        jsonw_key(&t->w, one->key);
        if (value) jsonw_value(&t->w, value);
        else jsonw_value(&t->w, one);
    }
    jsonw_end(&t->w, '}');
    tell_end(t);
}

enum err ingest_ga4(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                    const struct ingest_sink *sink, struct diag *why)
{
    struct calls calls;
    struct telling t = telling_of(a, envelope, sink);
    const struct json *events = json_get(body, S("events")), *traits = json_get(body, S("user_properties"));
    if (!events) return diag_set(why, ERR_BAD_INPUT, "expected {\"client_id\", \"events\": [events]}");
    enum err err = calls_of(body, events, envelope, &calls, why);
    if (err) return err;
    if (json_is(traits, JSON_OBJ) && json_len(traits)) tell_person(&t, body, traits);
    for (; t.index < calls.n; t.index++) tell_event(&t, body, &calls.at[t.index]);
    return ERR_OK;
}
