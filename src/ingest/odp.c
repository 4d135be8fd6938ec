/* SPDX-License-Identifier: Apache-2.0
 *
 * odp.c - Optimizely Data Platform: its events told in Segment's words, and its question about a
 * customer's audiences.
 *
 *   [{"type", "action", "identifiers": {"fs_user_id", "vuid", "email", …}, "data": {"idempotence_id", …}}]
 *
 * vuid is a browser's own and our anonymousId; fs_user_id, customer_id and user_id are the userId;
 * any other identifier goes by its name. Events carry no time of their own unless data.ts says it.
 *
 * The question. Optimizely's client puts its GraphQL text together by hand and does not escape the
 * user id, so an id with a quote or a backslash in it makes a body that is no JSON. What stands
 * before and after the id is fixed, so it is found between them, whatever it holds:
 *
 *   …customer(fs_user_id : \"ID\") {audiences(subset: [\"a\",\"b\"]) {edges …
 *
 * A body that is JSON is also read as JSON, for clients that escape properly; the two readings
 * differ only for ids with quotes or backslashes, and the caller may try both.
 */
#include "ingest/telling.h"

static const struct { str type, action, ours; } names[] = {
    { S_INIT("product"), S_INIT("detail"), S_INIT("Product Viewed") },
    { S_INIT("product"), S_INIT("view"), S_INIT("Product Viewed") },
    { S_INIT("product"), S_INIT("add_to_cart"), S_INIT("Product Added") },
    { S_INIT("product"), S_INIT("remove_from_cart"), S_INIT("Product Removed") },
    { S_INIT("product"), S_INIT("add_to_wishlist"), S_INIT("Product Added to Wishlist") },
    { S_INIT("product"), S_INIT("remove_from_wishlist"), S_INIT("Product Removed from Wishlist") },
    { S_INIT("order"), S_INIT("purchase"), S_INIT("Order Completed") },
    { S_INIT("order"), S_INIT("refund"), S_INIT("Order Refunded") },
    { S_INIT("order"), S_INIT("return"), S_INIT("Order Refunded") },
    { S_INIT("order"), S_INIT("cancel"), S_INIT("Order Cancelled") },
    { S_INIT("navigation"), S_INIT("search"), S_INIT("Products Searched") },
};

static str name_of(struct telling *t, str type, str action)
{
    for (isize i = 0; i < countof(names); i++)
        if (str_eq(type, names[i].type) && str_eq(action, names[i].action)) return names[i].ours;
    if (str_eq(type, S("fullstack")) && action.len) return action;
    return action.len ? arena_printf(t->a, "%.*s %.*s", STR_FMT(type), STR_FMT(action)) : type;
}

/* "FS-User-ID" -> "fs_user_id". */
static str plain(arena *a, str name)
{
    char *text = arena_new(a, char, name.len + 1);
    for (isize i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == '-' ? '_' : c;
    }
    return (str){ text, name.len };
}

static bool is_user_id(str name)
{
    return str_eq(name, S("fs_user_id")) || str_eq(name, S("customer_id")) || str_eq(name, S("user_id"));
}

static void tell_identifiers(struct telling *t, const struct json *list)
{
    struct jsonw *w = &t->w;
    bool user = false;
    json_each(one, list) {
        str name = plain(t->a, one->key);
        if (str_eq(name, S("vuid"))) tell_id(t, "anonymousId", one);
        if (is_user_id(name) && !user && json_text(t->a, one).len) { tell_id(t, "userId", one); user = true; }
    }
    jsonw_key_begin(w, "context", '{');
    jsonw_key_begin(w, "externalIds", '[');
    user = false;
    json_each(one, list) {
        str name = plain(t->a, one->key);
        if (str_eq(name, S("vuid"))) continue;
        if (is_user_id(name) && !user && json_text(t->a, one).len) { user = true; continue; }
        jsonw_begin(w, '{');
        jsonw_key_str(w, "type", is_user_id(name) ? S("user_id") : name);
        tell_id(t, "id", one);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void tell_order(struct telling *t, const struct json *order)
{
    static const struct { const char *ours, *theirs; } fields[] = {
        { "order_id", "order_id" }, { "total", "total" }, { "subtotal", "subtotal" }, { "tax", "tax" },
        { "shipping", "shipping" }, { "discount", "discount" }, { "coupon", "coupon_code" }, { "currency", "currency" },
    };
    for (isize i = 0; i < countof(fields); i++)
        tell_value(t, fields[i].ours, json_get(order, str_of(fields[i].theirs)));
    if (json_is(json_get(order, S("items")), JSON_ARR))
        tell_value(t, "products", json_get(order, S("items")));
}

static void tell_event(struct telling *t, const struct json *event)
{
    str type = str_trim(json_str(json_get(event, S("type")), S("")));
    str action = str_trim(json_str(json_get(event, S("action")), S("")));
    const struct json *who = json_get(event, S("identifiers")), *data = json_get(event, S("data"));
    if (!json_is(event, JSON_OBJ)) { tell_refused(t, event, "an event must be an object"); return; }
    if (type.len == 0) { tell_refused(t, event, "type is missing"); return; }
    if (!json_is(who, JSON_OBJ) || json_len(who) == 0) {
        tell_refused(t, event, "identifiers is missing");
        return;
    }
    bool identified = str_eq(action, S("identified")) || str_eq(type, S("customer"));
    bool page = str_eq(type, S("pageview"));
    tell(t,
         identified ? "identify"
         : page     ? "page"
                    : "track",
         identified || page ? S("") : name_of(t, type, action));
    tell_identifiers(t, who);
    static const struct told_field address[] = { { "url", "page" }, { "referrer", "referrer" } };
    if (page) tell_object(t, "page", data, address, countof(address));
    tell_value(t, "userAgent", json_get(data, S("user_agent")));
    jsonw_end(&t->w, '}');                              /* of the context */
    tell_id(t, "messageId", json_get(data, S("idempotence_id")));
    tell_value(t, "timestamp", json_get(data, S("ts")));
    jsonw_key_begin(&t->w, identified ? "traits" : "properties", '{');
    if (json_is(data, JSON_OBJ))
        json_each(one, data) {
            static const str machinery[] = { S_INIT("idempotence_id"), S_INIT("data_source"), S_INIT("data_source_type"),
                                             S_INIT("data_source_version"), S_INIT("ts"), S_INIT("order") };
            bool skip = false;
            for (isize i = 0; i < countof(machinery); i++) skip |= str_eq(one->key, machinery[i]);
            if (skip) continue;
            jsonw_key(&t->w, str_eq(one->key, S("search_term")) ? S("query") : one->key);
            jsonw_value(&t->w, one);
        }
    if (!identified) tell_order(t, json_get(data, S("order")));
    jsonw_end(&t->w, '}');
    tell_end(t);
}

enum err ingest_odp(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                    const struct ingest_sink *sink, struct diag *why)
{
    struct calls calls;
    struct telling t = telling_of(a, envelope, sink);
    enum err err = calls_of(body, NULL, envelope, &calls, why);
    for (; !err && t.index < calls.n; t.index++) tell_event(&t, &calls.at[t.index]);
    return err;
}

/* ---- the question ---------------------------------------------------------------------------- */

static str skip_blank(str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t' || s.ptr[0] == '\n' || s.ptr[0] == '\r'))
        s = str_from(s, 1);
    return s;
}

static isize find_last(str s, str needle)
{
    for (isize i = s.len - needle.len; i >= 0; i--)
        if (str_starts(str_from(s, i), needle)) return i;
    return -1;
}

static void read_subset(str list, str quote, struct odp_question *out)
{
    isize open;
    while (out->subset_n < ODP_SUBSET_MAX && (open = str_find(list, quote)) >= 0) {
        list = str_from(list, open + quote.len);
        isize close = str_find(list, quote);
        if (close < 0) return;
        out->subset[out->subset_n++] = str_slice(list, 0, close);
        list = str_from(list, close + quote.len);
    }
}

/* `quote` is how a quotation mark stands in the text: \" in a body as it was sent, " in a query
 * that was unescaped. */
static bool read_question(str text, str quote, struct odp_question *out)
{
    *out = (struct odp_question){ 0 };
    isize at = str_find(text, S("customer("));
    if (at < 0) return false;
    text = skip_blank(str_from(text, at + 9));
    isize colon = str_find_char(text, ':');
    if (colon < 0) return false;
    out->name = str_trim(str_slice(text, 0, colon));
    text = skip_blank(str_from(text, colon + 1));
    if (!str_starts(text, quote)) return false;
    text = str_from(text, quote.len);
    /* The list is behind the last place where "audiences" begins: an id may hold anything, also that. */
    isize audiences = find_last(text, S("audiences"));
    if (audiences < 0) return false;
    isize end = find_last(str_slice(text, 0, audiences), quote);
    if (end < 0) return false;
    out->id = str_slice(text, 0, end);
    str list = str_from(text, audiences);
    isize open = str_find_char(list, '['), close = str_find_char(list, ']');
    out->all = open < 0 || close < open;
    if (!out->all) read_subset(str_slice(list, open + 1, close), quote, out);
    return out->name.len > 0;
}

isize ingest_odp_question(arena *a, str body, struct odp_question out[2])
{
    const struct json *doc;
    isize n = 0;
    if (read_question(body, S("\\\""), &out[n])) n++;
    if (json_parse(a, body, &doc, NULL) == ERR_OK
        && read_question(json_str(json_get(doc, S("query")), S("")), S("\""), &out[n])
        && (n == 0 || !str_eq(out[0].id, out[n].id)))
        n++;
    return n;
}
