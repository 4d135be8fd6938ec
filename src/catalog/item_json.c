/* SPDX-License-Identifier: Apache-2.0
 *
 * item_json.c - our NDJSON shape of a product or a content item -> a change.
 *
 *   {"product_key": "p-1",                                   or "content_key", which makes it content
 *    "title": "Slim jeans" | {"en": "…", "nb-NO": "…"},       "description" likewise
 *    "url": "…", "image": "…", "brand": "…", "colour": "…", "gender": "…",
 *    "category": "Women > Jeans" | ["Women", "Jeans"],
 *    "price": {"minor": 1999, "currency": "EUR"} | "19.99" (with "currency" beside it),
 *    "list": as price, "cost": as price,
 *    "prices": [{"market": "no", "price": …, "list": …}],
 *    "stock": 12 | {"web": 12, "oslo-1": 3},                  a bare number is the web shop's
 *    "variants": [{"variant_key": "p-1-m", "size": "M", "colour": "blue", "stock": …, "price": …, "list": …, "prices": …}],
 *    "attributes": {…}, "repurchase_days": 30, "published_at": "…", "hidden": false, "removed": false}
 *
 * A field we do not know becomes an attribute of its own name. "removed": true takes the item out
 * of sale (ITEM_REMOVE). What is wrong is named with its path: "variants[2].price".
 */
#include "base/clock.h"
#include "catalog/item.h"

#include <math.h>

enum { TEXT_BYTES_MAX = 20000, URL_BYTES_MAX = 2048, WORD_BYTES_MAX = 255 };

struct reader { arena *a; struct diag *diag; str currency; };

#define refuse(r, ...) diag_set((r)->diag, ERR_BAD_INPUT, __VA_ARGS__)

static bool absent(const struct json *v) { return !v || v->kind == JSON_NULL; }

/* A string, or a number as its text, of at most `most` bytes. */
static enum err read_word(struct reader *r, const struct json *v, const char *path, isize most, str *out)
{
    if (absent(v)) return ERR_OK;
    if (v->kind != JSON_STR && v->kind != JSON_INT && v->kind != JSON_NUM)
        return refuse(r, "%s must be text", path);
    *out = str_trim(json_text(r->a, v));
    if (out->len > most) return refuse(r, "%s is %td bytes, the limit is %td", path, out->len, most);
    return ERR_OK;
}

static enum err read_texts(struct reader *r, const struct json *v, const char *path,
                           struct text **out, isize *n)
{
    if (absent(v)) return ERR_OK;
    bool many = v->kind == JSON_OBJ;
    isize count = many ? v->list.n : 1;
    if (count > TEXTS_MAX) return refuse(r, "%s has %td languages, the limit is %d", path, count, TEXTS_MAX);
    struct text *texts = arena_new(r->a, struct text, count);
    for (isize i = 0; i < count; i++) {
        const struct json *one = many ? &v->list.at[i] : v;
        if (!json_is(one, JSON_STR))
            return refuse(r, "%s must be text, or an object of texts by language", path);
        if (one->s.len > TEXT_BYTES_MAX)
            return refuse(r, "%s is %td bytes, the limit is %d", path, one->s.len, TEXT_BYTES_MAX);
        texts[i] = (struct text){ many ? one->key : S(""), one->s };
        if (texts[i].locale.len > WORD_BYTES_MAX) return refuse(r, "%s names a language too long", path);
    }
    *out = texts;
    *n = count;
    return ERR_OK;
}

static enum err read_money(struct reader *r, const struct json *v, const char *path, struct money *out)
{
    if (absent(v)) return ERR_OK;
    str code = r->currency;
    const struct json *amount = v;
    bool is_minor = false;
    if (v->kind == JSON_OBJ) {
        const struct json *named = json_get(v, S("currency"));
        if (named) code = json_str(named, S(""));
        amount = json_get(v, S("minor"));
        is_minor = amount != NULL;
        if (!is_minor) amount = json_get(v, S("amount"));
    }
    out->currency = currency_of(code);
    if (out->currency.v == 0)
        return refuse(r, "%s has no currency: put \"currency\" (three letters) in or beside it",
                      path);
    if (is_minor) {
        out->minor = json_int(amount, -1);
        if (out->minor < 0)
            return refuse(r, "%s.minor must be a whole number of minor units, 0 or more", path);
        return ERR_OK;
    }
    if (!json_is(amount, JSON_STR) && !json_is(amount, JSON_INT) && !json_is(amount, JSON_NUM))
        return refuse(
            r, "%s must be {\"minor\": 1999, \"currency\": \"EUR\"} or a decimal like \"19.99\"",
            path);
    str text = str_trim(json_text(r->a, amount));
    if (!str_to_minor(text, currency_digits(out->currency), &out->minor) || out->minor < 0)
        return refuse(r, "%s \"%.*s\" is not a decimal amount", path, STR_FMT(text));
    return ERR_OK;
}

/* "price" and "list" of v as one price of a market. */
static enum err read_price(struct reader *r, const struct json *v, const char *path, str market,
                           struct price *out, bool *given)
{
    struct money price = { 0 }, list = { 0 };
    str before = r->currency;
    r->currency = json_str(json_get(v, S("currency")), r->currency);
    *given = !absent(json_get(v, S("price")));
    const char *of = path[0] ? "." : "";
    enum err err = read_money(r, json_get(v, S("price")),
                              arena_printf(r->a, "%s%sprice", path, of).ptr, &price);
    if (!err)
        err = read_money(r, json_get(v, S("list")), arena_printf(r->a, "%s%slist", path, of).ptr,
                         &list);
    r->currency = before;
    if (err) return err;
    if (list.minor && *given && list.currency.v != price.currency.v)
        return refuse(r, "%s%slist is in another currency than price", path, of);
    *out = (struct price){
        .market = market, .currency = price.currency, .minor = price.minor, .list_minor = list.minor
    };
    return ERR_OK;
}

static enum err read_prices(struct reader *r, const struct json *v, const char *path,
                            struct price **out, isize *n)
{
    const struct json *more = json_get(v, S("prices"));
    const char *of = path[0] ? "." : "";
    if (!absent(more) && more->kind != JSON_ARR) return refuse(r, "%s%sprices must be a list", path, of);
    if (json_len(more) >= PRICES_MAX)
        return refuse(r, "%s%sprices has %td entries, the limit is %d", path, of, json_len(more),
                      PRICES_MAX - 1);
    struct price *prices = arena_new(r->a, struct price, json_len(more) + 1);
    isize count = 0;
    bool given;
    enum err err = read_price(r, v, path, S(""), &prices[0], &given);
    if (err) return err;
    if (given) count++;
    isize i = 0;
    json_each(one, more) {
        const char *at = arena_printf(r->a, "%s%sprices[%td]", path, of, i++).ptr;
        str market = S("");
        err = read_word(r, json_get(one, S("market")), at, WORD_BYTES_MAX, &market);
        if (!err) err = read_price(r, one, at, market, &prices[count], &given);
        if (err) return err;
        if (!given) return refuse(r, "%s.price is missing", at);
        for (isize k = 0; k < count; k++)
            if (str_eq(prices[k].market, market))
                return refuse(r, "%s names the market \"%.*s\" a second time", at, STR_FMT(market));
        count++;
    }
    *out = prices;
    *n = count;
    return ERR_OK;
}

static enum err read_quantity(struct reader *r, const struct json *v, const char *path, i32 *out)
{
    i64 n;
    bool text = json_is(v, JSON_STR) && str_to_i64(str_trim(v->s), &n);
    if (!text) n = json_int(v, INT64_MIN);
    if (n < INT32_MIN || n > INT32_MAX - 1) return refuse(r, "%s must be a whole number", path);
    *out = (i32)n;
    return ERR_OK;
}

static enum err read_stock(struct reader *r, const struct json *v, const char *path,
                           struct stock **out, isize *n)
{
    if (absent(v)) return ERR_OK;
    bool many = v->kind == JSON_OBJ;
    isize count = many ? v->list.n : 1;
    if (count > STOCK_MAX) return refuse(r, "%s has %td stores, the limit is %d", path, count, STOCK_MAX);
    struct stock *stock = arena_new(r->a, struct stock, count);
    for (isize i = 0; i < count; i++) {
        const struct json *one = many ? &v->list.at[i] : v;
        stock[i].store = many ? one->key : S("web");
        if (stock[i].store.len > WORD_BYTES_MAX) return refuse(r, "%s names a store too long", path);
        enum err err = read_quantity(r, one, path, &stock[i].quantity);
        if (err) return err;
    }
    *out = stock;
    *n = count;
    return ERR_OK;
}

static bool is_ours(str field)
{
    static const str ours[] = {
        S_INIT("product_key"),     S_INIT("content_key"),  S_INIT("kind"),     S_INIT("title"),
        S_INIT("description"),     S_INIT("url"),          S_INIT("image"),    S_INIT("brand"),
        S_INIT("colour"),          S_INIT("color"),        S_INIT("gender"),   S_INIT("category"),
        S_INIT("price"),           S_INIT("list"),         S_INIT("cost"),     S_INIT("currency"),
        S_INIT("prices"),          S_INIT("stock"),        S_INIT("variants"), S_INIT("attributes"),
        S_INIT("repurchase_days"), S_INIT("published_at"), S_INIT("hidden"),   S_INIT("removed"),
    };
    for (isize i = 0; i < countof(ours); i++)
        if (str_eq(field, ours[i])) return true;
    return false;
}

static enum err read_attributes(struct reader *r, const struct json *doc, struct item *item)
{
    const struct json *named = json_get(doc, S("attributes"));
    if (!absent(named) && named->kind != JSON_OBJ) return refuse(r, "attributes must be an object");
    isize most = json_len(named) + json_len(doc), n = 0;
    struct fact *facts = arena_new(r->a, struct fact, most);
    json_each(one, named) facts[n++] = fact_read(r->a, one->key, one);
    json_each(field, doc)
        if (!is_ours(field->key)) facts[n++] = fact_read(r->a, field->key, field);
    if (item->kind == ITEM_CONTENT && !absent(json_get(doc, S("kind")))) {
        facts[n++] = fact_read(r->a, S("content_kind"), json_get(doc, S("kind")));
    }
    if (n > ATTRIBUTES_MAX) return refuse(r, "there are %td attributes, the limit is %d", n, ATTRIBUTES_MAX);
    for (isize i = 0; i < n; i++)
        if (facts[i].name.len > WORD_BYTES_MAX || facts[i].text.len > TEXT_BYTES_MAX)
            return refuse(r, "attribute \"%.*s\" is too long",
                          (int)min_isize(facts[i].name.len, 64), facts[i].name.ptr);
    item->attributes = facts;
    item->attributes_n = n;
    return ERR_OK;
}

static enum err read_category(struct reader *r, const struct json *v, str *out)
{
    if (!json_is(v, JSON_ARR)) return read_word(r, v, "category", URL_BYTES_MAX, out);
    struct buf path = { .arena = r->a };
    json_each(level, v) {
        if (!json_is(level, JSON_STR)) return refuse(r, "category must be a path or a list of names");
        if (str_find_char(level->s, '>') >= 0) {        /* a list of paths: the first is the item's own */
            if (path.len == 0) buf_add(&path, level->s);
            break;
        }
        if (path.len) buf_add(&path, S(" > "));
        buf_add(&path, str_trim(level->s));
    }
    *out = buf_str(&path);
    if (out->len > URL_BYTES_MAX)
        return refuse(r, "category is %td bytes, the limit is %d", out->len, URL_BYTES_MAX);
    return ERR_OK;
}

static enum err read_variants(struct reader *r, const struct json *v, struct item *item)
{
    if (absent(v)) return ERR_OK;
    if (v->kind != JSON_ARR) return refuse(r, "variants must be a list");
    if (v->list.n > VARIANTS_MAX)
        return refuse(r, "there are %td variants, the limit is %d", v->list.n, VARIANTS_MAX);
    item->variants = arena_new(r->a, struct variant, v->list.n);
    item->variants_n = v->list.n;
    for (isize i = 0; i < v->list.n; i++) {
        const struct json *from = &v->list.at[i];
        struct variant *to = &item->variants[i];
        const char *path = arena_printf(r->a, "variants[%td]", i).ptr;
        const struct json *colour = json_get(from, S("colour"));
        enum err err = read_word(r, json_get(from, S("variant_key")), path, ITEM_KEY_MAX, &to->key);
        if (!err && to->key.len == 0) return refuse(r, "%s.variant_key is missing", path);
        if (!err) err = read_word(r, json_get(from, S("size")), path, WORD_BYTES_MAX, &to->size);
        if (!err)
            err = read_word(r, colour ? colour : json_get(from, S("color")), path, WORD_BYTES_MAX,
                            &to->colour);
        if (!err)
            err = read_stock(r, json_get(from, S("stock")),
                             arena_printf(r->a, "%s.stock", path).ptr, &to->stock, &to->stock_n);
        if (!err) err = read_prices(r, from, path, &to->prices, &to->prices_n);
        if (err) return err;
    }
    return ERR_OK;
}

static enum err read_rest(struct reader *r, const struct json *doc, struct item *item)
{
    struct money cost = { 0 };
    enum err err = read_money(r, json_get(doc, S("cost")), "cost", &cost);
    if (err) return err;
    if (cost.minor && item->prices_n && cost.currency.v != item->prices[0].currency.v)
        return refuse(r, "cost is in another currency than price");
    item->cost_minor = cost.minor;

    const struct json *days = json_get(doc, S("repurchase_days"));
    i64 n = absent(days) ? 0 : json_int(days, -1);
    if (n < 0 || n > 36500) return refuse(r, "repurchase_days must be a whole number of days, 0 to 36500");
    item->repurchase_days = (i32)n;

    const struct json *at = json_get(doc, S("published_at"));
    if (!absent(at) && !time_parse(json_text(r->a, at), &item->published_at_ms))
        return refuse(r, "published_at \"%.*s\" is not a time", STR_FMT(json_text(r->a, at)));

    const struct json *hidden = json_get(doc, S("hidden"));
    if (!absent(hidden) && hidden->kind != JSON_BOOL) return refuse(r, "hidden must be true or false");
    item->hidden = json_bool(hidden, false);
    return ERR_OK;
}

enum err item_change_from_json(arena *a, const struct json *doc, struct item_change *out, struct diag *diag)
{
    struct reader reader = { a, diag, json_str(json_get(doc, S("currency")), S("")) };
    struct reader *r = &reader;
    *out = (struct item_change){ .kind = ITEM_PUT };
    struct item *item = &out->item;
    if (!json_is(doc, JSON_OBJ)) return refuse(r, "expected an object with product_key or content_key");

    bool content = absent(json_get(doc, S("product_key"))) && !absent(json_get(doc, S("content_key")));
    item->kind = content ? ITEM_CONTENT : ITEM_PRODUCT;
    const char *key_name = content ? "content_key" : "product_key";
    enum err err = read_word(r, json_get(doc, str_of(key_name)), key_name, ITEM_KEY_MAX, &item->key);
    if (err) return err;
    if (item->key.len == 0) return refuse(r, "product_key (or content_key) is missing");
    if (json_bool(json_get(doc, S("removed")), false)) {
        out->kind = ITEM_REMOVE;
        return ERR_OK;
    }
    const struct json *colour = json_get(doc, S("colour"));
    struct { const struct json *v; const char *name; isize most; str *to; } words[] = {
        { json_get(doc, S("url")), "url", URL_BYTES_MAX, &item->url },
        { json_get(doc, S("image")), "image", URL_BYTES_MAX, &item->image },
        { json_get(doc, S("brand")), "brand", WORD_BYTES_MAX, &item->brand },
        { colour ? colour : json_get(doc, S("color")), "colour", WORD_BYTES_MAX, &item->colour },
        { json_get(doc, S("gender")), "gender", WORD_BYTES_MAX, &item->gender },
    };
    for (isize i = 0; i < countof(words) && !err; i++)
        err = read_word(r, words[i].v, words[i].name, words[i].most, words[i].to);
    if (!err) err = read_texts(r, json_get(doc, S("title")), "title", &item->titles, &item->titles_n);
    if (!err)
        err = read_texts(r, json_get(doc, S("description")), "description", &item->descriptions,
                         &item->descriptions_n);
    if (!err) err = read_category(r, json_get(doc, S("category")), &item->category);
    if (!err) err = read_prices(r, doc, "", &item->prices, &item->prices_n);
    if (!err) err = read_stock(r, json_get(doc, S("stock")), "stock", &item->stock, &item->stock_n);
    if (!err) err = read_variants(r, json_get(doc, S("variants")), item);
    if (!err) err = read_attributes(r, doc, item);
    return err ? err : read_rest(r, doc, item);
}
