/* SPDX-License-Identifier: Apache-2.0
 *
 * woocommerce.c - WooCommerce's webhooks, told in Segment's words; products as changes of the
 * catalogue.
 *
 * The topic ("order.updated") comes as envelope->type. As with Shopify an order is told whole, with
 * date_modified_gmt to say how new that is.
 *
 *   status    processing, completed, on-hold and refunded are orders; pending and checkout-draft a
 *             checkout; cancelled, failed and trash end the order
 *   revenue   the sum of line_items[].total: goods after discounts, without tax and shipping; what
 *             was refunded (whose sum holds tax and shipping) takes its share of that away
 *   channel   created_via "admin" is an order somebody wrote by hand, so phone; "pos…" is pos
 *   person    customer_id (0: a guest), billing e-mail and phone; our tag's anonymous id comes as
 *             meta data "anonymous_id"
 *   campaign  WooCommerce's own order attribution, from the meta data
 *
 * Times come without a zone and are UTC.
 */
#include "ingest/telling.h"

static str text_at(struct telling *t, const struct json *from, const char *dotted)
{
    return str_trim(json_text(t->a, json_path(from, dotted)));
}

static void tell_key(struct telling *t)
{
    if (t->envelope.delivery.len) jsonw_key_str(&t->w, "messageId", t->envelope.delivery);
}

static void tell_time(struct telling *t, const char *key, const struct json *from, const char *name)
{
    str text = text_at(t, from, name);
    if (text.len == 0) return;
    jsonw_key_str(&t->w, key, str_ends(text, S("Z")) ? text : arena_printf(t->a, "%.*sZ", STR_FMT(text)));
}

static str meta(struct telling *t, const struct json *order, const char *name)
{
    json_each(one, json_get(order, S("meta_data"))) {
        str key = json_str(json_get(one, S("key")), S(""));
        if (key.len && key.ptr[0] == '_') key = str_from(key, 1);
        if (str_eq(key, str_of(name))) return text_at(t, one, "value");
    }
    return S("");
}

static i64 micro(struct telling *t, const struct json *v)
{
    i64 out;
    return str_to_minor(str_trim(json_text(t->a, v)), 6, &out) ? out : 0;
}

static void tell_micro(struct telling *t, const char *key, i64 amount)
{
    jsonw_key_str(&t->w, key,
                  arena_printf(t->a, "%lld.%06lld", (long long)(amount / 1000000),
                               (long long)(amount % 1000000)));
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void tell_who(struct telling *t, const struct json *order)
{
    str id = text_at(t, order, "customer_id");
    if (!str_eq(id, S("0"))) tell_text(t, "userId", id);
    tell_text(t, "anonymousId", meta(t, order, "anonymous_id"));
}

static void tell_context(struct telling *t, const struct json *order)
{
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "context", '{');
    jsonw_key_begin(w, "traits", '{');
    tell_value(t, "email", json_path(order, "billing.email"));
    tell_value(t, "phone", json_path(order, "billing.phone"));
    jsonw_end(w, '}');
    str entry = meta(t, order, "wc_order_attribution_session_entry");
    if (entry.len) {
        jsonw_key_begin(w, "page", '{');
        jsonw_key_str(w, "url", entry);
        tell_text(t, "referrer", meta(t, order, "wc_order_attribution_referrer"));
        jsonw_end(w, '}');
    }
    jsonw_key_begin(w, "campaign", '{');
    tell_text(t, "source", meta(t, order, "wc_order_attribution_utm_source"));
    tell_text(t, "medium", meta(t, order, "wc_order_attribution_utm_medium"));
    tell_text(t, "name", meta(t, order, "wc_order_attribution_utm_campaign"));
    jsonw_end(w, '}');
    tell_value(t, "userAgent", json_get(order, S("customer_user_agent")));
    tell_value(t, "country", json_path(order, "billing.country"));
    jsonw_end(w, '}');
}

/* Goods after discounts, less their share of what was given back. */
static i64 revenue_of(struct telling *t, const struct json *order)
{
    i64 goods = 0, back = 0, total = micro(t, json_get(order, S("total")));
    json_each(line, json_get(order, S("line_items"))) goods += micro(t, json_get(line, S("total")));
    json_each(refund, json_get(order, S("refunds"))) {
        i64 one = micro(t, json_get(refund, S("total")));
        back += one < 0 ? -one : one;
    }
    if (back <= 0 || total <= 0) return goods;
    if (back >= total) return 0;
    return (i64)((i128)goods * (total - back) / total);
}

static void tell_lines(struct telling *t, const struct json *lines)
{
    jsonw_key_begin(&t->w, "products", '[');
    json_each(line, lines) {
        i64 n = json_int(json_get(line, S("quantity")), 0);
        str variation = text_at(t, line, "variation_id");
        if (n <= 0) continue;
        jsonw_begin(&t->w, '{');
        tell_id(t, "product_id", json_get(line, S("product_id")));
        tell_text(t, "variant_id", str_eq(variation, S("0")) ? S("") : variation);
        tell_value(t, "name", json_get(line, S("name")));
        tell_micro(t, "price", micro(t, json_get(line, S("total"))) / n);
        jsonw_key_int(&t->w, "quantity", n);
        jsonw_end(&t->w, '}');
    }
    jsonw_end(&t->w, ']');
}

static const char *channel_of_order(struct telling *t, const struct json *order)
{
    str via = text_at(t, order, "created_via");
    if (str_eq(via, S("admin"))) return "phone";
    if (str_starts(via, S("pos"))) return "pos";
    return via.len == 0 || str_eq(via, S("checkout")) || str_eq(via, S("store-api")) ? "web" : "";
}

static str name_of_status(str status)
{
    if (str_eq(status, S("cancelled")) || str_eq(status, S("failed")) || str_eq(status, S("trash")))
        return S("Order Cancelled");
    if (str_eq(status, S("pending")) || str_eq(status, S("checkout-draft"))) return S("Checkout Started");
    return S("Order Completed");
}

static void tell_order(struct telling *t, const struct json *order)
{
    struct jsonw *w = &t->w;
    str coupon = S(""), channel = meta(t, order, "channel");
    json_each(one, json_get(order, S("coupon_lines")))
        if (coupon.len == 0) coupon = text_at(t, one, "code");
    tell(t, "track", name_of_status(text_at(t, order, "status")));
    tell_key(t);
    tell_who(t, order);
    tell_time(t, "timestamp", order, "date_created_gmt");
    tell_context(t, order);
    jsonw_key_begin(w, "properties", '{');
    tell_id(t, "order_id", json_get(order, S("id")));
    tell_id(t, "order_name", json_get(order, S("number")));
    tell_time(t, "updated_at", order, "date_modified_gmt");
    tell_value(t, "currency", json_get(order, S("currency")));
    tell_micro(t, "revenue", revenue_of(t, order));
    tell_value(t, "tax", json_get(order, S("total_tax")));
    tell_value(t, "shipping", json_get(order, S("shipping_total")));
    tell_value(t, "discount", json_get(order, S("discount_total")));
    tell_text(t, "coupon", coupon);
    tell_value(t, "status", json_get(order, S("status")));
    tell_text(t, "channel", channel.len ? channel : str_of(channel_of_order(t, order)));
    bool all_back = str_eq(text_at(t, order, "status"), S("refunded"));
    if (!all_back) tell_lines(t, json_get(order, S("line_items")));
    else { jsonw_key_begin(w, "products", '['); jsonw_end(w, ']'); }
    jsonw_end(w, '}');
    tell_end(t);
}

static void tell_order_deleted(struct telling *t, const struct json *order)
{
    tell(t, "track", S("Order Cancelled"));
    tell_key(t);
    jsonw_key_begin(&t->w, "properties", '{');
    tell_id(t, "order_id", json_get(order, S("id")));
    jsonw_key_time(&t->w, "updated_at", t->envelope.received_ms);
    jsonw_end(&t->w, '}');
    tell_end(t);
}

/* ---- customers ------------------------------------------------------------------------------- */

static void tell_customer(struct telling *t, const struct json *customer)
{
    static const char *const same[] = { "email", "first_name", "last_name", "username",
                                        "is_paying_customer" };
    static const struct told_field address[] = {
        { "city", "billing.city" }, { "postal_code", "billing.postcode" }, { "country", "billing.country" },
    };
    struct jsonw *w = &t->w;
    tell(t, "identify", S(""));
    tell_key(t);
    tell_id(t, "userId", json_get(customer, S("id")));
    tell_time(t, "timestamp", customer, "date_modified_gmt");
    jsonw_key_begin(w, "traits", '{');
    for (isize i = 0; i < countof(same); i++) tell_value(t, same[i], json_get(customer, str_of(same[i])));
    tell_value(t, "phone", json_path(customer, "billing.phone"));
    tell_time(t, "created_at", customer, "date_created_gmt");
    tell_object(t, "address", customer, address, countof(address));
    jsonw_end(w, '}');
    tell_end(t);
}

static void tell_customer_deleted(struct telling *t, const struct json *customer)
{
    tell(t, "track", S("Customer Deleted"));
    tell_key(t);
    tell_id(t, "userId", json_get(customer, S("id")));
    tell_end(t);
}

/* ---- products -------------------------------------------------------------------------------- */

static void item_begin(struct telling *t)
{
    t->text = (struct buf){ .arena = t->a };
    t->w = (struct jsonw){ .out = &t->text };
    jsonw_begin(&t->w, '{');
}

/* Only what is counted has a number; what is not has a word. */
static void tell_stock(struct telling *t, const struct json *product)
{
    const struct json *n = json_get(product, S("stock_quantity"));
    str status = text_at(t, product, "stock_status");
    bool on_order = str_eq(status, S("onbackorder"));
    if (str_eq(status, S("outofstock"))) jsonw_key_int(&t->w, "stock", 0);
    else if (json_bool(json_get(product, S("manage_stock")), false) && json_is(n, JSON_INT) && !on_order)
        jsonw_key_int(&t->w, "stock", n->i > 0 ? n->i : 0);
}

static void tell_product(struct telling *t, const struct json *product)
{
    struct jsonw *w = &t->w;
    char code[4];
    if (str_eq(text_at(t, product, "type"), S("variation"))) {
        tell_refused(t, product, "a variation by itself is not taken: its product's own webhook, "
                                 "or a product feed, brings it");
        return;
    }
    const struct json *images = json_get(product, S("images")),
                      *categories = json_get(product, S("categories"));
    item_begin(t);
    tell_id(t, "product_key", json_get(product, S("id")));
    tell_value(t, "title", json_get(product, S("name")));
    tell_value(t, "url", json_get(product, S("permalink")));
    if (json_is(images, JSON_ARR) && images->list.n)
        tell_value(t, "image", json_get(images->list.at, S("src")));
    if (json_is(categories, JSON_ARR) && categories->list.n)
        tell_value(t, "category", json_get(categories->list.at, S("name")));
    if (t->envelope.currency.v) jsonw_key_str(w, "currency", currency_code(t->envelope.currency, code));
    tell_value(t, "price", json_get(product, S("price")));
    if (json_bool(json_get(product, S("on_sale")), false))
        tell_value(t, "list", json_get(product, S("regular_price")));
    tell_stock(t, product);
    if (!str_eq(text_at(t, product, "status"), S("publish"))) jsonw_key_bool(w, "hidden", true);
    tell_time(t, "published_at", product, "date_created_gmt");
    jsonw_key_begin(w, "attributes", '{');
    tell_value(t, "sku", json_get(product, S("sku")));
    json_each(one, json_get(product, S("attributes"))) {
        str name = text_at(t, one, "name");
        if (name.len) tell_value(t, arena_z(t->a, name), json_get(one, S("options")));
    }
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    tell_item(t, product);
}

static void tell_product_deleted(struct telling *t, const struct json *product)
{
    item_begin(t);
    tell_id(t, "product_key", json_get(product, S("id")));
    jsonw_key_bool(&t->w, "removed", true);
    jsonw_end(&t->w, '}');
    tell_item(t, product);
}

/* ---- topics ---------------------------------------------------------------------------------- */

static const struct topic topics[] = {
    { S_INIT("order.created"), tell_order },
    { S_INIT("order.updated"), tell_order },
    { S_INIT("order.restored"), tell_order },
    { S_INIT("order.deleted"), tell_order_deleted },
    { S_INIT("customer.created"), tell_customer },
    { S_INIT("customer.updated"), tell_customer },
    { S_INIT("customer.deleted"), tell_customer_deleted },
    { S_INIT("product.created"), tell_product },
    { S_INIT("product.updated"), tell_product },
    { S_INIT("product.restored"), tell_product },
    { S_INIT("product.deleted"), tell_product_deleted },
};

enum err ingest_woocommerce(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                            const struct ingest_sink *sink, struct diag *why)
{
    struct telling t = telling_of(a, envelope, sink);
    return tell_by_topic(&t, topics, countof(topics), body, why);
}
