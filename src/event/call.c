/* SPDX-License-Identifier: Apache-2.0
 *
 * call.c - an event as the call that would send it again: Segment's shape, which ingest reads.
 *
 * For what has to be looked at, mended and sent in once more. Properties go out as they came in;
 * an event from a file had none, and gets the ones that say the same.
 */
#include "base/clock.h"
#include "base/json.h"
#include "event/event.h"

static str amount(arena *a, i64 minor, currency c)
{
    int digits = currency_digits(c);
    i64 unit = 1;
    for (int i = 0; i < digits; i++) unit *= 10;
    i64 whole = minor / unit, part = minor % unit;
    if (digits == 0) return arena_printf(a, "%" PRIi64, minor);
    return arena_printf(a, "%s%" PRIi64 ".%0*" PRIi64, minor < 0 ? "-" : "",
                        whole < 0 ? -whole : whole, digits, part < 0 ? -part : part);
}

static void text(struct jsonw *w, const char *key, str v)
{
    if (v.len) jsonw_key_str(w, key, v);
}

static void print_properties(const struct event *e, arena *a, struct jsonw *w)
{
    char code[4];
    jsonw_begin(w, '{');
    text(w, "order_id", e->order_key);
    if (e->currency.v) jsonw_key_str(w, "currency", currency_code(e->currency, code));
    if (e->valued)
        jsonw_key_str(w, e->order_key.len ? "revenue" : "value",
                      amount(a, e->value_minor, e->currency));
    text(w, "coupon", e->coupon);
    text(w, "query", e->query);
    if (e->channel) jsonw_key_str(w, "channel", str_of(channel_name(e->channel)));
    text(w, "store", e->store);
    if (e->items_n) jsonw_key_begin(w, "products", '[');
    for (isize i = 0; i < e->items_n; i++) {
        const struct event_item *item = &e->items[i];
        jsonw_begin(w, '{');
        text(w, "product_id", item->product_key);
        text(w, "sku", item->variant_key);
        text(w, "name", item->title);
        text(w, "category", item->category);
        text(w, "brand", item->brand);
        if (item->priced) jsonw_key_str(w, "price", amount(a, item->price_minor, e->currency));
        if (item->quantity) jsonw_key_int(w, "quantity", item->quantity);
        jsonw_end(w, '}');
    }
    if (e->items_n) jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void print_traits(const struct event *e, struct jsonw *w)
{
    jsonw_key_begin(w, "traits", '{');
    for (isize i = 0; i < e->traits_n; i++) fact_print(&e->traits[i], w);
    jsonw_end(w, '}');
}

static void print_consent(const struct event *e, struct jsonw *w)
{
    if (!(e->consent_granted | e->consent_denied)) return;
    jsonw_key_begin(w, "consent", '{');
    jsonw_key_begin(w, "categoryPreferences", '{');
    for (int p = 0; p < PURPOSES; p++)
        if ((e->consent_granted | e->consent_denied) >> p & 1)
            jsonw_key_bool(w, purpose_name(p), !(e->consent_denied >> p & 1));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

void event_print_call(const struct event *e, str key, arena *a, struct jsonw *w)
{
    static const struct { u16 type; const char *call; } calls[] = {
        { EVENT_IDENTIFIED, "identify" }, { EVENT_PAGE_VIEWED, "page" }, { EVENT_SCREEN_VIEWED, "screen" }, { EVENT_ALIASED, "alias" },
    };
    const char *call = "track";
    for (isize i = 0; i < countof(calls); i++)
        if (calls[i].type == e->type) call = calls[i].call;
    bool track = str_eq(str_of(call), S("track"));
    jsonw_begin(w, '{');
    jsonw_key_str(w, "type", str_of(call));
    if (track) jsonw_key_str(w, "event", e->name.len ? e->name : str_of(event_type_name(e->type)));
    else text(w, "name", e->name);
    text(w, "messageId", key);
    jsonw_key_time(w, "timestamp", e->at_ms);
    text(w, "previousId", e->previous_id);
    const struct identifier *first[IDENTIFIER_KINDS] = { 0 };
    for (isize i = e->identifiers_n - 1; i >= 0; i--) first[e->identifiers[i].kind] = &e->identifiers[i];
    if (first[IDENTIFIER_USER_ID]) jsonw_key_str(w, "userId", first[IDENTIFIER_USER_ID]->value);
    if (first[IDENTIFIER_ANONYMOUS_ID])
        jsonw_key_str(w, "anonymousId", first[IDENTIFIER_ANONYMOUS_ID]->value);
    jsonw_key_begin(w, "context", '{');
    jsonw_key_begin(w, "externalIds", '[');
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct identifier *v = &e->identifiers[i];
        if (v == first[IDENTIFIER_USER_ID] || v == first[IDENTIFIER_ANONYMOUS_ID]) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "type", str_of(identifier_name(v->kind)));
        jsonw_key_str(w, "id", v->value);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    print_consent(e, w);
    jsonw_end(w, '}');
    if (e->type == EVENT_IDENTIFIED && e->traits_n) print_traits(e, w);
    jsonw_key(w, S("properties"));
    if (e->properties.len) jsonw_raw(w, e->properties);
    else print_properties(e, a, w);
    jsonw_end(w, '}');
}
