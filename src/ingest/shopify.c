/* SPDX-License-Identifier: Apache-2.0
 *
 * shopify.c - Shopify's webhooks, told in Segment's words; products as changes of the catalogue.
 *
 * The topic stands in a header and comes as envelope->type. Deliveries repeat and overtake each
 * other, so nothing here is a step from one state to the next: an order is told whole, as it stands
 * after its refunds, with updated_at to say how new that is (the fold lets an older statement pass),
 * and under the day it was placed. A refund is told as well, under its own time: whichever of the
 * two comes first, the order ends up the same.
 *
 *   revenue   current_subtotal_price: goods after discounts and refunds, without shipping. It holds
 *             VAT when the shop's prices do; tax stands beside it
 *   lines     current_quantity of each, at the price paid for one: less the discounts allotted to it
 *   channel   by source_name: web; pos; a draft order is one a sales person wrote, so phone
 *   person    customer.id is the userId; e-mail and phone beside it; our tag's anonymous id comes
 *             as a note attribute "anonymous_id"
 */
#include "base/clock.h"
#include "ingest/telling.h"

static str text_at(struct telling *t, const struct json *from, const char *dotted)
{
    return str_trim(json_text(t->a, json_path(from, dotted)));
}

static bool given(const struct json *v)
{
    return v && v->kind != JSON_NULL && !(v->kind == JSON_STR && v->s.len == 0);
}

/* The first of two dotted fields that says something. */
static void tell_either(struct telling *t, const char *key, const struct json *from, const char *a,
                        const char *b)
{
    const struct json *v = json_path(from, a);
    tell_value(t, key, given(v) ? v : json_path(from, b));
}

static void tell_key(struct telling *t, const char *what)
{
    if (t->envelope.delivery.len)
        jsonw_key_str(&t->w, "messageId", arena_printf(t->a, "%.*s%s", STR_FMT(t->envelope.delivery), what));
}

/* ---- who ------------------------------------------------------------------------------------- */

static str note(struct telling *t, const struct json *order, const char *name)
{
    json_each(one, json_get(order, S("note_attributes")))
        if (str_eq(json_str(json_get(one, S("name")), S("")), str_of(name))) return text_at(t, one, "value");
    return S("");
}

static str first_of(str a, str b) { return a.len ? a : b; }

static void tell_who(struct telling *t, const struct json *order)
{
    tell_id(t, "userId", json_path(order, "customer.id"));
    tell_text(t, "anonymousId", first_of(note(t, order, "anonymous_id"), note(t, order, "_anonymous_id")));
}

static void tell_contact(struct telling *t, const struct json *from)
{
    const struct json *customer = json_get(from, S("customer"));
    str email = first_of(text_at(t, from, "email"), text_at(t, from, "contact_email"));
    str phone = first_of(text_at(t, from, "phone"), text_at(t, customer, "phone"));
    jsonw_key_begin(&t->w, "traits", '{');
    tell_text(t, "email", first_of(email, text_at(t, customer, "email")));
    tell_text(t, "phone", phone);
    jsonw_end(&t->w, '}');
}

/* landing_site is the path they came in by, with what an advertisement wrote behind it. */
static void tell_context(struct telling *t, const struct json *order)
{
    static const struct told_field page[] = { { "url", "landing_site" }, { "referrer", "referring_site" } };
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "context", '{');
    tell_contact(t, order);
    tell_object(t, "page", order, page, countof(page));
    tell_value(t, "userAgent", json_path(order, "client_details.user_agent"));
    tell_value(t, "locale", json_get(order, S("customer_locale")));
    tell_value(t, "country", json_path(order, "shipping_address.country_code"));
    jsonw_end(w, '}');
}

static const char *channel_of_order(struct telling *t, const struct json *order)
{
    str source = text_at(t, order, "source_name");
    if (str_eq(source, S("pos")) || str_eq(source, S("iphone")) || str_eq(source, S("android"))) return "pos";
    if (str_eq(source, S("shopify_draft_order"))) return "phone";
    return source.len == 0 || str_eq(source, S("web")) ? "web" : "";
}

/* ---- orders ---------------------------------------------------------------------------------- */

/* Millionths of a unit of money: unit prices of a discounted line stay exact. */
static i64 micro(struct telling *t, const struct json *v)
{
    i64 out;
    return str_to_minor(str_trim(json_text(t->a, v)), 6, &out) ? out : 0;
}

static void tell_micro(struct telling *t, const char *key, i64 amount)
{
    i64 whole = amount / 1000000, rest = amount % 1000000;
    bool below = amount < 0;
    jsonw_key_str(&t->w, key,
                  arena_printf(t->a, "%s%lld.%06lld", below ? "-" : "",
                               (long long)(below ? -whole : whole),
                               (long long)(below ? -rest : rest)));
}

static void tell_product(struct telling *t, const struct json *line)
{
    str product = text_at(t, line, "product_id"), sku = text_at(t, line, "sku"),
        variant = text_at(t, line, "variant_id");
    if (product.len) tell_text(t, "product_id", product);
    tell_text(t, "variant_id", variant.len && product.len ? variant : sku);
    tell_value(t, "name", json_get(line, S("title")));
    tell_value(t, "brand", json_get(line, S("vendor")));
}

static i64 quantity_left(const struct json *line)
{
    const struct json *now = json_get(line, S("current_quantity"));
    return json_int(now && now->kind != JSON_NULL ? now : json_get(line, S("quantity")), 0);
}

static void tell_lines(struct telling *t, const struct json *lines)
{
    jsonw_key_begin(&t->w, "products", '[');
    json_each(line, lines) {
        i64 sold = json_int(json_get(line, S("quantity")), 0), left = quantity_left(line), off = 0;
        if (left <= 0 || sold <= 0) continue;
        json_each(one, json_get(line, S("discount_allocations"))) off += micro(t, json_get(one, S("amount")));
        if (json_len(json_get(line, S("discount_allocations"))) == 0)
            off = micro(t, json_get(line, S("total_discount")));
        jsonw_begin(&t->w, '{');
        tell_product(t, line);
        tell_micro(t, "price", micro(t, json_get(line, S("price"))) - off / sold);
        jsonw_key_int(&t->w, "quantity", left);
        jsonw_end(&t->w, '}');
    }
    jsonw_end(&t->w, ']');
}

/* What is left of the goods; older versions of the API say no current_subtotal_price. */
static void tell_revenue(struct telling *t, const struct json *order)
{
    const struct json *now = json_get(order, S("current_subtotal_price"));
    if (given(now)) { tell_value(t, "revenue", now); return; }
    i64 left = micro(t, json_get(order, S("subtotal_price")));
    json_each(refund, json_get(order, S("refunds")))
        json_each (line, json_get(refund, S("refund_line_items")))
            left -= micro(t, json_get(line, S("subtotal")));
    tell_micro(t, "revenue", left > 0 ? left : 0);
}

static void tell_order(struct telling *t, const struct json *order)
{
    bool cancelled = given(json_get(order, S("cancelled_at")))
                     || str_eq(text_at(t, order, "financial_status"), S("voided"));
    if (json_bool(json_get(order, S("test")), false)) {
        tell_refused(t, order, "it is a test order of the shop");
        return;
    }
    tell(t, "track", cancelled ? S("Order Cancelled") : S("Order Completed"));
    tell_key(t, "");
    tell_who(t, order);
    tell_either(t, "timestamp", order, "processed_at", "created_at");
    tell_context(t, order);
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "properties", '{');
    tell_id(t, "order_id", json_get(order, S("id")));
    tell_value(t, "order_name", json_get(order, S("name")));
    tell_value(t, "updated_at", json_get(order, S("updated_at")));
    tell_value(t, "currency", json_get(order, S("currency")));
    tell_revenue(t, order);
    tell_either(t, "tax", order, "current_total_tax", "total_tax");
    tell_value(t, "shipping", json_path(order, "total_shipping_price_set.shop_money.amount"));
    tell_either(t, "discount", order, "current_total_discounts", "total_discounts");
    const struct json *codes = json_get(order, S("discount_codes"));
    if (json_is(codes, JSON_ARR) && codes->list.n)
        tell_value(t, "coupon", json_get(codes->list.at, S("code")));
    tell_value(t, "cart_id", json_get(order, S("cart_token")));
    tell_value(t, "financial_status", json_get(order, S("financial_status")));
    tell_id(t, "store", json_get(order, S("location_id")));
    str channel = first_of(note(t, order, "channel"), str_of(channel_of_order(t, order)));
    tell_text(t, "channel", channel);
    tell_lines(t, json_get(order, S("line_items")));
    jsonw_end(w, '}');
    tell_end(t);
}

static void tell_refund(struct telling *t, const struct json *refund)
{
    const struct json *lines = json_get(refund, S("refund_line_items")),
                      *paid = json_get(refund, S("transactions"));
    const struct json *first = json_is(paid, JSON_ARR) && paid->list.n ? paid->list.at : NULL;
    i64 amount = 0;
    json_each(line, lines) amount += micro(t, json_get(line, S("subtotal")));
    if (json_len(lines) == 0)                           /* money alone, without goods */
        json_each(one, paid)
            if (str_eq(json_str(json_get(one, S("kind")), S("")), S("refund")))
                amount += micro(t, json_get(one, S("amount")));
    tell(t, "track", S("Order Refunded"));
    str id = text_at(t, refund, "id");
    if (id.len) jsonw_key_str(&t->w, "messageId", arena_printf(t->a, "shopify-refund-%.*s", STR_FMT(id)));
    tell_either(t, "timestamp", refund, "processed_at", "created_at");
    jsonw_key_begin(&t->w, "properties", '{');
    tell_id(t, "order_id", json_get(refund, S("order_id")));
    tell_either(t, "updated_at", refund, "processed_at", "created_at");
    tell_value(t, "currency", json_get(first, S("currency")));
    tell_micro(t, "revenue", amount);
    jsonw_key_begin(&t->w, "products", '[');
    json_each(line, lines) {
        jsonw_begin(&t->w, '{');
        tell_product(t, json_get(line, S("line_item")));
        tell_value(t, "quantity", json_get(line, S("quantity")));
        jsonw_end(&t->w, '}');
    }
    jsonw_end(&t->w, ']');
    jsonw_end(&t->w, '}');
    tell_end(t);
}

/* A checkout is told of once, when it names somebody: it is sent again at each keystroke. */
static void tell_checkout(struct telling *t, const struct json *checkout)
{
    tell(t, "track", S("Checkout Started"));
    str token = first_of(text_at(t, checkout, "token"), text_at(t, checkout, "id"));
    if (token.len)
        jsonw_key_str(&t->w, "messageId",
                      arena_printf(t->a, "shopify-checkout-%.*s", STR_FMT(token)));
    tell_who(t, checkout);
    tell_value(t, "timestamp", json_get(checkout, S("created_at")));
    tell_context(t, checkout);
    jsonw_key_begin(&t->w, "properties", '{');
    tell_value(t, "cart_id", json_get(checkout, S("cart_token")));
    tell_value(t, "currency", json_get(checkout, S("currency")));
    tell_value(t, "value", json_get(checkout, S("subtotal_price")));
    tell_text(t, "channel", str_of(channel_of_order(t, checkout)));
    tell_lines(t, json_get(checkout, S("line_items")));
    jsonw_end(&t->w, '}');
    tell_end(t);
}

/* ---- customers ------------------------------------------------------------------------------- */

/* "not_subscribed" is nobody's no: they were never asked. */
static void tell_leave(struct telling *t, const char *purpose, const struct json *consent)
{
    str state = json_str(json_get(consent, S("state")), S(""));
    if (str_eq(state, S("subscribed"))) jsonw_key_bool(&t->w, purpose, true);
    if (str_eq(state, S("unsubscribed")) || str_eq(state, S("redacted")))
        jsonw_key_bool(&t->w, purpose, false);
}

static void tell_leaves(struct telling *t, const struct json *customer)
{
    jsonw_key_begin(&t->w, "consent", '{');
    jsonw_key_begin(&t->w, "categoryPreferences", '{');
    tell_leave(t, "marketing_email", json_get(customer, S("email_marketing_consent")));
    tell_leave(t, "marketing_sms", json_get(customer, S("sms_marketing_consent")));
    jsonw_end(&t->w, '}');
    jsonw_end(&t->w, '}');
}

static void tell_customer(struct telling *t, const struct json *customer)
{
    static const char *const same[] = { "email",      "phone", "first_name", "last_name",
                                        "created_at", "tags",  "note" };
    static const struct told_field address[] = { { "city", "city" },
                                                 { "postal_code", "zip" },
                                                 { "country", "country_code" } };
    struct jsonw *w = &t->w;
    tell(t, "identify", S(""));
    tell_key(t, "");
    tell_id(t, "userId", json_get(customer, S("id")));
    tell_value(t, "timestamp", json_get(customer, S("updated_at")));
    jsonw_key_begin(w, "context", '{');
    tell_leaves(t, customer);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "traits", '{');
    for (isize i = 0; i < countof(same); i++) tell_value(t, same[i], json_get(customer, str_of(same[i])));
    tell_object(t, "address", json_get(customer, S("default_address")), address, countof(address));
    jsonw_end(w, '}');
    tell_end(t);
}

static void tell_consent_change(struct telling *t, const struct json *said)
{
    tell(t, "track", S("Segment Consent Preference Updated"));
    tell_key(t, "");
    tell_id(t, "userId", json_get(said, S("customer_id")));
    jsonw_key_begin(&t->w, "context", '{');
    jsonw_key_begin(&t->w, "traits", '{');
    tell_value(t, "email", json_get(said, S("email_address")));
    tell_value(t, "phone", json_get(said, S("phone")));
    jsonw_end(&t->w, '}');
    tell_leaves(t, said);
    jsonw_end(&t->w, '}');
    tell_end(t);
}

/* ---- products -------------------------------------------------------------------------------- */

/* Text of HTML: what stands between the tags, a blank for each. */
static str without_tags(arena *a, str html)
{
    char *text = arena_new(a, char, html.len + 1);
    isize n = 0;
    bool tag = false;
    for (isize i = 0; i < html.len; i++) {
        char c = html.ptr[i];
        if (c == '<') tag = true;
        if (!tag && !(c == ' ' && n > 0 && text[n - 1] == ' ')) text[n++] = c;
        if (c == '>') { tag = false; if (n > 0 && text[n - 1] != ' ') text[n++] = ' '; }
    }
    return str_trim((str){ text, n });
}

static void tell_price(struct telling *t, const struct json *variant)
{
    tell_value(t, "price", json_get(variant, S("price")));
    tell_value(t, "list", json_get(variant, S("compare_at_price")));
}

/* Which option is the size and which the colour, by its name; -1: none. */
static int option_named(const struct json *product, const char *a, const char *b)
{
    int i = 0;
    json_each(option, json_get(product, S("options"))) {
        i++;
        str name = json_str(json_get(option, S("name")), S(""));
        if (str_eq_nocase(name, str_of(a)) || str_eq_nocase(name, str_of(b))) return i;
    }
    return -1;
}

static void tell_option(struct telling *t, const char *key, const struct json *variant, int option)
{
    if (option > 0) tell_value(t, key, json_get(variant, arena_printf(t->a, "option%d", option)));
}

/* Sold whatever the shelf says: not counted, or on order. */
static bool always_sold(const struct json *variant)
{
    return !given(json_get(variant, S("inventory_management")))
        || str_eq(json_str(json_get(variant, S("inventory_policy")), S("")), S("continue"));
}

static void tell_stock(struct telling *t, const struct json *variant)
{
    i64 left = json_int(json_get(variant, S("inventory_quantity")), 0);
    if (!always_sold(variant)) jsonw_key_int(&t->w, "stock", left > 0 ? left : 0);
}

static void tell_product_page(struct telling *t, const struct json *product)
{
    struct jsonw *w = &t->w;
    const struct json *variants = json_get(product, S("variants"));
    const struct json *first = json_is(variants, JSON_ARR) && variants->list.n ? variants->list.at : NULL;
    str status = json_str(json_get(product, S("status")), S("active")),
        handle = text_at(t, product, "handle");
    char code[4];
    t->text = (struct buf){ .arena = t->a };
    t->w = (struct jsonw){ .out = &t->text };
    jsonw_begin(w, '{');
    tell_id(t, "product_key", json_get(product, S("id")));
    tell_value(t, "title", json_get(product, S("title")));
    tell_text(t, "description", without_tags(t->a, json_str(json_get(product, S("body_html")), S(""))));
    if (handle.len) jsonw_key_str(w, "url", arena_printf(t->a, "/products/%.*s", STR_FMT(handle)));
    tell_value(t, "image", json_path(product, "image.src"));
    tell_value(t, "brand", json_get(product, S("vendor")));
    tell_value(t, "category", json_get(product, S("product_type")));
    tell_value(t, "published_at", json_get(product, S("published_at")));
    if (!str_eq(status, S("active")) || !given(json_get(product, S("published_at"))))
        jsonw_key_bool(w, "hidden", true);
    if (t->envelope.currency.v) jsonw_key_str(w, "currency", currency_code(t->envelope.currency, code));
    tell_price(t, first);
    int size = option_named(product, "size", "storlek"), colour = option_named(product, "color", "colour");
    jsonw_key_begin(w, "variants", '[');
    json_each(variant, variants) {
        jsonw_begin(w, '{');
        tell_id(t, "variant_key", json_get(variant, S("id")));
        tell_option(t, "size", variant, size);
        tell_option(t, "colour", variant, colour);
        tell_price(t, variant);
        tell_stock(t, variant);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "attributes", '{');
    tell_value(t, "tags", json_get(product, S("tags")));
    tell_value(t, "handle", json_get(product, S("handle")));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    tell_item(t, product);
}

static void tell_removal(struct telling *t, const struct json *product)
{
    t->text = (struct buf){ .arena = t->a };
    t->w = (struct jsonw){ .out = &t->text };
    jsonw_begin(&t->w, '{');
    tell_id(t, "product_key", json_get(product, S("id")));
    jsonw_key_bool(&t->w, "removed", true);
    jsonw_end(&t->w, '}');
    tell_item(t, product);
}

/* ---- topics ---------------------------------------------------------------------------------- */

static const struct topic topics[] = {
    { S_INIT("orders/create"), tell_order },
    { S_INIT("orders/paid"), tell_order },
    { S_INIT("orders/updated"), tell_order },
    { S_INIT("orders/edited"), tell_order },
    { S_INIT("orders/fulfilled"), tell_order },
    { S_INIT("orders/partially_fulfilled"), tell_order },
    { S_INIT("orders/cancelled"), tell_order },
    { S_INIT("refunds/create"), tell_refund },
    { S_INIT("checkouts/create"), tell_checkout },
    { S_INIT("checkouts/update"), tell_checkout },
    { S_INIT("customers/create"), tell_customer },
    { S_INIT("customers/update"), tell_customer },
    { S_INIT("customers/enable"), tell_customer },
    { S_INIT("customers_email_marketing_consent/update"), tell_consent_change },
    { S_INIT("customers_marketing_consent/update"), tell_consent_change },
    { S_INIT("products/create"), tell_product_page },
    { S_INIT("products/update"), tell_product_page },
    { S_INIT("products/delete"), tell_removal },
};

enum err ingest_shopify(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                        const struct ingest_sink *sink, struct diag *why)
{
    struct telling t = telling_of(a, envelope, sink);
    return tell_by_topic(&t, topics, countof(topics), body, why);
}
