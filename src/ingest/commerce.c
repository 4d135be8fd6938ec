/* SPDX-License-Identifier: Apache-2.0
 *
 * commerce.c - what an event says of products, money and orders (Segment's e-commerce spec v2).
 *
 * Prices come as numbers or strings, keys as product_id or sku or both, quantities as strings,
 * and the worth of an order as revenue, total or value, each event in its own way:
 *
 *   orders       revenue, else total, value, subtotal, else the sum of the lines
 *   the others   value, else revenue, total
 *
 * updated_at of an order says how new the statement is: an older one that comes late changes nothing.
 *
 * An amount that cannot be read refuses the event: a wrong number is worse than a dead letter.
 */
#include "base/clock.h"
#include "ingest/reading.h"

/* Where a value stands, put in words only when it is wrong. */
struct path {
    isize line;
    const char *field;
}; /* line -1: properties.field; else properties.products[line].field */

static const char *path_text(struct reading *r, struct path p)
{
    return p.line < 0 ? arena_printf(r->a, "properties.%s", p.field).ptr
                      : arena_printf(r->a, "properties.products[%td].%s", p.line, p.field).ptr;
}

static enum err read_amount(struct reading *r, const struct json *v, struct path path, i64 *out, bool *given)
{
    *given = false;
    if (!v || v->kind == JSON_NULL || (v->kind == JSON_STR && str_trim(v->s).len == 0)) return ERR_OK;
    str text = text_of(r, v);
    int digits = r->out->currency.v ? currency_digits(r->out->currency) : 2;
    f64 wide;                                           /* "1.5e3" is a number too */
    bool read = str_to_minor(text, digits, out);
    if (!read && str_to_f64(text, &wide)
        && (str_find_char(text, 'e') >= 0 || str_find_char(text, 'E') >= 0) && wide > -1e12
        && wide < 1e12)
        read = str_to_minor(arena_printf(r->a, "%.6f", wide), digits, out);
    if (!read)
        return reading_refuse(r, "%s \"%.*s\" is not an amount", path_text(r, path),
                              (int)min_isize(text.len, 40), text.ptr);
    *given = true;
    return ERR_OK;
}

static enum err read_whole(struct reading *r, const struct json *v, struct path path, i32 *out)
{
    if (!v || v->kind == JSON_NULL || (v->kind == JSON_STR && str_trim(v->s).len == 0)) return ERR_OK;
    i64 n;
    bool whole = (json_is(v, JSON_STR) && str_to_i64(str_trim(v->s), &n))
                 || ((n = json_int(v, INT64_MIN)) != INT64_MIN);
    if (!whole || n < INT32_MIN || n > INT32_MAX)
        return reading_refuse(r, "%s must be a whole number", path_text(r, path));
    *out = (i32)n;
    return ERR_OK;
}

/* "Women", ["Women", "Jeans"] or "Women > Jeans". */
static str category_text(struct reading *r, const struct json *v)
{
    if (!json_is(v, JSON_ARR)) return text_of(r, v);
    struct buf path = { .arena = r->a };
    json_each(level, v) {
        if (path.len) buf_add(&path, S(" > "));
        buf_add(&path, text_of(r, level));
    }
    return buf_str(&path);
}

/* A product object, or the properties of a product event. `found` false when it names no product. */
static enum err read_item(struct reading *r, const struct json *from, isize line,
                          struct event_item *out, bool *found)
{
    *out = (struct event_item){ 0 };
    str product = text_of(r, json_any(from, "product_id productId product_key content_key content_id"));
    str sku = text_of(r, json_any(from, "variant_key variant_id variantId sku"));
    *found = product.len > 0 || sku.len > 0;
    if (!*found) return ERR_OK;
    out->product_key = product.len ? product : sku;
    if (!str_eq(out->product_key, sku)) out->variant_key = sku;
    if (out->product_key.len > IDENTIFIER_BYTES_MAX || out->variant_key.len > IDENTIFIER_BYTES_MAX)
        return reading_refuse(r, "%s is longer than %d bytes",
                              path_text(r, (struct path){ line, "product_id or sku" }),
                              IDENTIFIER_BYTES_MAX);
    out->title = text_of(r, json_any(from, "name title product_name productName"));
    out->category = category_text(r, json_get(from, S("category")));
    out->brand = text_of(r, json_get(from, S("brand")));
    out->url = text_of(r, json_get(from, S("url")));
    out->image = text_of(r, json_any(from, "image_url imageUrl image"));
    enum err err = read_amount(r, json_get(from, S("price")), (struct path){ line, "price" },
                               &out->price_minor, &out->priced);
    if (!err)
        err = read_whole(r, json_get(from, S("quantity")), (struct path){ line, "quantity" },
                         &out->quantity);
    i64 position;                                       /* a promotion's may be words: "top of the page" */
    const struct json *at = json_get(from, S("position"));
    if (!(json_is(at, JSON_STR) && str_to_i64(str_trim(at->s), &position))) position = json_int(at, 0);
    if (position >= INT32_MIN && position <= INT32_MAX) out->position = (i32)position;
    return err;
}

static enum err read_items(struct reading *r)
{
    struct event *e = r->out;
    const struct json *list = json_any(r->properties, "products items");
    if (list && list->kind != JSON_ARR) return reading_refuse(r, "properties.products must be a list");
    if (json_len(list) > EVENT_ITEMS_MAX)
        return reading_refuse(r, "properties.products has %td entries, the limit is %d",
                              json_len(list), EVENT_ITEMS_MAX);
    bool found;
    if (!list) {
        e->items = arena_new(r->a, struct event_item, 1);
        enum err err = read_item(r, r->properties, -1, &e->items[0], &found);
        e->items_n = found;
        return err;
    }
    e->items = arena_new(r->a, struct event_item, json_len(list));
    isize i = 0;
    json_each(one, list) {
        enum err err = read_item(r, one, i++, &e->items[e->items_n], &found);
        if (err) return err;
        if (found) e->items_n++;
        else count_one(r, lines_without_product);
    }
    return ERR_OK;
}

static bool is_order(u16 type) { return type >= EVENT_ORDER_COMPLETED && type <= EVENT_ORDER_CANCELLED; }
static_assert(EVENT_ORDER_CANCELLED == EVENT_ORDER_COMPLETED + 3, "the four order events stand together");

static enum err sum_of_lines(struct reading *r)
{
    struct event *e = r->out;
    i64 sum = 0;
    for (isize i = 0; i < e->items_n; i++) {
        i64 line;
        const struct event_item *it = &e->items[i];
        if (!it->priced) return ERR_OK;                 /* a part of the truth is no total */
        if (__builtin_mul_overflow(it->price_minor, it->quantity ? it->quantity : 1, &line)
            || __builtin_add_overflow(sum, line, &sum))
            return reading_refuse(r, "properties.products adds up to more than can be counted");
    }
    e->valued = e->items_n > 0;
    e->value_minor = sum;
    return ERR_OK;
}

static enum err read_worth(struct reading *r)
{
    static const char *const of_order[] = { "revenue", "total", "value", "subtotal" };
    static const char *const of_others[] = { "value", "revenue", "total" };
    struct event *e = r->out;
    bool order = is_order(e->type);
    const char *const *names = order ? of_order : of_others;
    isize n = order ? countof(of_order) : countof(of_others);
    for (isize i = 0; i < n && !e->valued; i++) {
        struct path path = { -1, names[i] };
        enum err err = read_amount(r, json_get(r->properties, str_of(names[i])), path,
                                   &e->value_minor, &e->valued);
        if (err && !order && e->type >= EVENT_CUSTOM_FIRST) {
            e->valued = false;
            continue;
        } /* "value" of a shop's own event may be any word */
        if (err) return err;
    }
    return order && !e->valued ? sum_of_lines(r) : ERR_OK;
}

static enum err read_order(struct reading *r)
{
    struct event *e = r->out;
    struct { const char *name; i64 *to; } amounts[] = {
        { "tax", &e->tax_minor }, { "shipping", &e->shipping_minor }, { "discount", &e->discount_minor },
    };
    bool given;
    for (isize i = 0; i < countof(amounts); i++) {
        enum err err = read_amount(r, json_get(r->properties, str_of(amounts[i].name)),
                                   (struct path){ -1, amounts[i].name }, amounts[i].to, &given);
        if (err) return err;
    }
    e->order_key = text_of(r, json_any(r->properties, "order_id orderId order_number"));
    if (e->order_key.len > EVENT_KEY_BYTES_MAX)
        return reading_refuse(r, "properties.order_id is longer than %d bytes",
                              EVENT_KEY_BYTES_MAX);
    if (is_order(e->type) && e->order_key.len == 0)
        return reading_refuse(r, "properties.order_id is missing");
    if (!is_order(e->type)) return ERR_OK;
    str said = text_of(r, json_any(r->properties, "updated_at updatedAt"));
    if (said.len && (!time_parse(said, &e->said_at_ms) || e->said_at_ms < 0)) e->said_at_ms = 0;
    return ERR_OK;
}

/* Words of a search: a string, or an object that has them somewhere. */
static str query_text(struct reading *r, const struct json *v)
{
    if (!json_is(v, JSON_OBJ)) return text_of(r, v);
    str inside = text_of(r, json_any(v, "query q text term keyword"));
    if (inside.len) return inside;
    struct buf out = { .arena = r->a };
    struct jsonw w = { .out = &out };
    jsonw_value(&w, v);
    return buf_str(&out);
}

static enum err read_currency(struct reading *r)
{
    str code = text_of(r, json_any(r->properties, "currency currencyCode currency_code"));
    r->out->currency = code.len ? currency_of(code) : r->envelope->currency;
    if (code.len && r->out->currency.v == 0)
        return reading_refuse(r, "properties.currency \"%.*s\" is not a currency code",
                              (int)min_isize(code.len, 40), code.ptr);
    return ERR_OK;
}

static bool about_commerce(const struct event *e)
{
    return e->type != EVENT_IDENTIFIED && e->type != EVENT_GROUPED && e->type != EVENT_ALIASED;
}

enum err read_commerce(struct reading *r)
{
    struct event *e = r->out;
    if (!about_commerce(e)) return ERR_OK;
    bool custom = e->type >= EVENT_CUSTOM_FIRST;
    enum err err = read_currency(r);
    if (!err) err = read_items(r);
    if (!err) err = read_worth(r);
    if (!err && !custom) err = read_order(r);
    if (err) return err;
    const struct json *p = r->properties;
    if (custom) e->order_key = text_of(r, json_any(p, "order_id orderId"));
    if (e->order_key.len > EVENT_KEY_BYTES_MAX) e->order_key = S("");
    e->coupon = text_of(r, json_any(p, "coupon coupon_id coupon_code"));
    e->cart = text_of(r, json_any(p, "cart_id cartId"));
    e->ticket = text_of(r, json_get(p, S("ticket")));
    e->query = query_text(r, json_any(p, "query search_query q"));
    bool list = e->type == EVENT_PRODUCT_LIST_VIEWED || e->type == EVENT_PRODUCT_LIST_FILTERED
                || e->type == EVENT_PAGE_VIEWED || e->type == EVENT_SCREEN_VIEWED || custom;
    if (list)
        e->category = category_text(
            r, json_either(json_get(p, S("category")), json_get(r->event, S("category"))));
    if (e->category.len == 0 && e->type == EVENT_PRODUCT_LIST_VIEWED)
        e->category = text_of(r, json_get(p, S("list_id")));
    return ERR_OK;
}
