/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c - product feeds -> item changes.
 *
 * A record of a feed (a line of CSV or TSV, an entry of XML) is turned into the JSON object that
 * our NDJSON would have held, and that is read by item_change_from_json: one place knows what an
 * item may say and how to complain. Columns are known by our names and by Google Merchant's:
 *
 *   ours     product_key variant_key title description url image brand category gender colour size
 *            price list cost currency stock repurchase_days published_at hidden removed
 *            "title:nb-NO" a language, "price:no" a market, "stock:oslo-1" a store
 *   Google   id item_group_id title description link image_link brand product_type
 *            google_product_category gender color size price sale_price
 *            sale_price_effective_date availability quantity cost_of_goods_sold
 *
 * Every other column is an attribute. Google's item_group_id is our product, its id the variant;
 * the rows of one product may stand anywhere, so they are held until the feed ends. A sale price in
 * force becomes the price and the price the list price. "In stock" without a number is one piece in
 * the web shop, because a feed that says no more still means that it can be bought; out of stock is
 * none; preorder and backorder can be bought.
 *
 * For the kinds prices and stock the change is ITEM_PRICES or ITEM_STOCK, by variant where one is
 * named.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "ingest/rows.h"

enum { COLUMNS_MAX = CSV_COLUMNS_MAX, HELD_BYTES_MAX = 1 << 30 };

struct members { struct json *at; isize n, cap; };
struct group { struct json doc; struct members variants; i64 line, lines; };

struct feed {
    struct importing *im;
    struct map *known;
    struct { struct group *at; isize n, cap; } groups;
};

struct feed *feed_new(struct importing *im)
{
    struct feed *feed = mem_new(sizeof *feed);
    feed->im = im;
    feed->known = map_new(64);
    return feed;
}

void feed_free(struct feed *feed)
{
    if (!feed) return;
    for (isize i = 0; i < feed->groups.n; i++) vec_fini(&feed->groups.at[i].variants);
    vec_fini(&feed->groups);
    map_free(feed->known);
    mem_free(feed);
}

/* ---- JSON, built --------------------------------------------------------------------------- */

static struct json *member(struct members *m, arena *a, str key)
{
    if (m->n == m->cap) {
        isize cap = m->cap ? m->cap * 2 : 16;
        struct json *wide = arena_new(a, struct json, cap);
        for (isize i = 0; i < m->n; i++) wide[i] = m->at[i];
        m->at = wide;
        m->cap = cap;
    }
    m->at[m->n] = (struct json){ .key = key };
    return &m->at[m->n++];
}

static void add_text(struct members *m, arena *a, const char *key, str text)
{
    struct json *v = member(m, a, str_of(key));
    v->kind = JSON_STR;
    v->s = text;
}

static void add_list(struct members *m, arena *a, const char *key, enum json_kind kind,
                     const struct members *list)
{
    struct json *v = member(m, a, str_of(key));
    v->kind = kind;
    v->list.at = list->at;
    v->list.n = list->n;
}

/* ---- names --------------------------------------------------------------------------------- */

/* "g:image link" -> "image_link". */
static str plain_name(arena *a, str name)
{
    if (str_starts(name, S("g:")) || str_starts(name, S("c:"))) name = str_from(name, 2);
    char *text = arena_new(a, char, name.len + 1);
    for (isize i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        text[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == ' ' || c == '-' ? '_' : c;
    }
    return (str){ text, name.len };
}

struct entry { arena *a; const struct record *record; str names[COLUMNS_MAX]; bool used[COLUMNS_MAX]; };

static str take(struct entry *e, const char *name)
{
    str found = S("");
    for (isize i = 0; i < e->record->n; i++) {
        if (!str_eq(e->names[i], str_of(name))) continue;
        e->used[i] = true;
        if (found.len == 0) found = str_trim(e->record->values[i]);
    }
    return found;
}

static str either(str a, str b) { return a.len ? a : b; }

/* "title:nb-NO" after "title": its language, market or store, in the header's own case. */
static bool scoped(struct entry *e, isize i, const char *name, str *scope)
{
    str prefix = str_of(name), column = e->names[i];
    if (!str_starts(column, prefix) || column.len <= prefix.len + 1
        || column.ptr[prefix.len] != ':')
        return false;
    str original = e->record->names[i];
    *scope = str_trim(str_from(original, original.len - (column.len - prefix.len - 1)));
    e->used[i] = true;
    return true;
}

/* ---- money --------------------------------------------------------------------------------- */

/* "19.99 EUR", "EUR 19.99", "19.99", "19,99 EUR". */
static void add_money(struct members *m, arena *a, const char *key, str text, str currency_beside)
{
    str amount = text, code = currency_beside;
    isize space = str_find_char(text, ' ');
    if (space > 0) {
        str head = str_slice(text, 0, space), tail = str_trim(str_from(text, space));
        bool code_first = currency_of(head).v != 0;
        amount = code_first ? tail : head;
        code = code_first ? head : tail;
    }
    if (str_find_char(amount, '.') < 0) {
        isize comma = str_find_char(amount, ',');
        if (comma >= 0 && comma == amount.len - 3) {
            char *dotted = arena_new(a, char, amount.len);
            memcpy(dotted, amount.ptr, (size_t)amount.len);
            dotted[comma] = '.';
            amount.ptr = dotted;
        }
    }
    struct members money = { 0 };
    add_text(&money, a, "amount", amount);
    if (code.len) add_text(&money, a, "currency", code);
    add_list(m, a, key, JSON_OBJ, &money);
}

/* "2026-11-01T00:00+0100/2026-11-30T23:59+0100"; always in force when it says nothing. */
static bool in_force(str dates, i64 now_ms)
{
    struct str_cut cut = str_cut(dates, '/');
    i64 from_ms, to_ms;
    if (!cut.found || !time_parse(str_trim(cut.head), &from_ms)
        || !time_parse(str_trim(cut.tail), &to_ms))
        return true;
    return now_ms >= from_ms && now_ms <= to_ms;
}

static void add_prices(struct entry *e, struct members *out, i64 now_ms, str beside)
{
    str price = take(e, "price"), list = take(e, "list"), sale = take(e, "sale_price"),
        dates = take(e, "sale_price_effective_date");
    if (sale.len && in_force(dates, now_ms)) {
        list = either(list, price);
        price = sale;
    }
    if (price.len) add_money(out, e->a, "price", price, beside);
    if (list.len) add_money(out, e->a, "list", list, beside);
    struct members markets = { 0 };
    for (isize i = 0; i < e->record->n; i++) {
        str market, other;
        str value = str_trim(e->record->values[i]);
        if (!scoped(e, i, "price", &market) || value.len == 0) continue;
        struct members one = { 0 };
        add_text(&one, e->a, "market", market);
        add_money(&one, e->a, "price", value, beside);
        for (isize k = 0; k < e->record->n; k++)
            if (scoped(e, k, "list", &other) && str_eq(other, market) && str_trim(e->record->values[k]).len)
                add_money(&one, e->a, "list", str_trim(e->record->values[k]), beside);
        struct json *v = member(&markets, e->a, S(""));
        v->kind = JSON_OBJ;
        v->list.at = one.at;
        v->list.n = one.n;
    }
    if (markets.n) add_list(out, e->a, "prices", JSON_ARR, &markets);
}

/* ---- stock --------------------------------------------------------------------------------- */

static str pieces_of(str availability)
{
    static const struct { str said, pieces;
    } words[] = {
        { S_INIT("in_stock"), S_INIT("1") },     { S_INIT("in stock"), S_INIT("1") },
        { S_INIT("preorder"), S_INIT("1") },     { S_INIT("backorder"), S_INIT("1") },
        { S_INIT("out_of_stock"), S_INIT("0") }, { S_INIT("out of stock"), S_INIT("0") },
    };
    for (isize i = 0; i < countof(words); i++)
        if (str_eq_nocase(availability, words[i].said)) return words[i].pieces;
    return S("");
}

static void add_stock(struct entry *e, struct members *out)
{
    str number = either(take(e, "stock"), either(take(e, "quantity"), take(e, "inventory")));
    str availability = pieces_of(take(e, "availability"));
    if (number.len == 0 || str_eq(availability, S("0"))) number = availability;
    struct members stores = { 0 };
    if (number.len) add_text(&stores, e->a, "web", number);
    for (isize i = 0; i < e->record->n; i++) {
        str store, value = str_trim(e->record->values[i]);
        if (!scoped(e, i, "stock", &store) || value.len == 0) continue;
        struct json *v = member(&stores, e->a, store);
        v->kind = JSON_STR;
        v->s = value;
    }
    if (stores.n) add_list(out, e->a, "stock", JSON_OBJ, &stores);
}

/* ---- an entry ------------------------------------------------------------------------------ */

static void add_texts(struct entry *e, struct members *out, const char *name)
{
    struct members texts = { 0 };
    str general = take(e, name);
    if (general.len) add_text(&texts, e->a, "", general);
    for (isize i = 0; i < e->record->n; i++) {
        str locale, value = str_trim(e->record->values[i]);
        if (!scoped(e, i, name, &locale) || value.len == 0) continue;
        struct json *v = member(&texts, e->a, locale);
        v->kind = JSON_STR;
        v->s = value;
    }
    if (texts.n) add_list(out, e->a, name, JSON_OBJ, &texts);
}

static void add_word(struct entry *e, struct members *out, const char *key, const char *other)
{
    str text = either(take(e, key), other ? take(e, other) : S(""));
    if (text.len) add_text(out, e->a, key, text);
}

/* Google's own taxonomy may be a bare number, which is no name. */
static void add_category(struct entry *e, struct members *out)
{
    str own = either(take(e, "category"), take(e, "product_type"));
    str google = S("");
    for (isize i = 0; i < e->record->n && own.len == 0; i++)
        if (str_eq(e->names[i], S("google_product_category"))) google = str_trim(e->record->values[i]);
    i64 number;
    if (own.len == 0 && !str_to_i64(google, &number)) own = google;
    if (own.len) add_text(out, e->a, "category", own);
}

static bool yes(str text)
{
    return str_eq_nocase(text, S("true")) || str_eq_nocase(text, S("yes")) || str_eq(text, S("1"));
}

static void add_flag(struct entry *e, struct members *out, const char *key)
{
    str text = take(e, key);
    if (text.len == 0) return;
    struct json *v = member(out, e->a, str_of(key));
    v->kind = JSON_BOOL;
    v->b = yes(text);
}

static void add_attributes(struct entry *e, struct members *out)
{
    struct members list = { 0 };
    for (isize i = 0; i < e->record->n; i++) {
        str value = str_trim(e->record->values[i]);
        if (e->used[i] || value.len == 0 || e->names[i].len == 0) continue;
        struct json *v = member(&list, e->a, e->names[i]);
        v->kind = JSON_STR;
        v->s = value;
    }
    if (list.n) add_list(out, e->a, "attributes", JSON_OBJ, &list);
}

/* What is the product's. The variant's own (size, colour, stock, price) go to `variant` when there is one. */
static void add_product(struct entry *e, struct members *out, i64 now_ms, str beside, bool grouped)
{
    add_texts(e, out, "title");
    add_texts(e, out, "description");
    add_word(e, out, "url", "link");
    add_word(e, out, "image", "image_link");
    add_word(e, out, "brand", NULL);
    add_word(e, out, "gender", NULL);
    add_category(e, out);
    str cost = either(take(e, "cost"), take(e, "cost_of_goods_sold"));
    if (cost.len) add_money(out, e->a, "cost", cost, beside);
    str days = take(e, "repurchase_days");
    i64 n;
    if (days.len) {
        struct json *v = member(out, e->a, S("repurchase_days"));
        v->kind = JSON_INT;
        v->i = str_to_i64(days, &n) ? n : -1;
    }
    str at = take(e, "published_at");
    if (at.len) add_text(out, e->a, "published_at", at);
    add_flag(e, out, "hidden");
    add_flag(e, out, "removed");
    if (grouped) return;
    add_word(e, out, "colour", "color");
    add_prices(e, out, now_ms, beside);
    add_stock(e, out);
}

/* ---- out ----------------------------------------------------------------------------------- */

static void doc_take(struct feed *feed, const struct json *doc, i64 line, i64 lines)
{
    struct importing *im = feed->im;
    struct item_change change;
    str kind = im->import->kind;
    enum err err = item_change_from_json(im->scratch, doc, &change, im->diag);
    str wrong = err ? im->diag->what : S("");
    if (!err && change.kind == ITEM_PUT && str_eq(kind, S("prices"))) {
        change.kind = ITEM_PRICES;
        if (change.item.prices_n == 0) wrong = S("the line has no price");
    } else if (!err && change.kind == ITEM_PUT && str_eq(kind, S("stock"))) {
        change.kind = ITEM_STOCK;
        if (change.item.stock_n == 0) wrong = S("the line has no stock");
    } else if (!err && str_eq(kind, S("content"))) {
        change.item.kind = ITEM_CONTENT;
    }
    for (i64 i = 0; wrong.len && i < lines; i++) import_refuse(im, line, wrong, 0);
    if (wrong.len) return;
    im->totals->accepted += lines;
    import_item(im, &change);
}

static struct json json_keep(arena *a, const struct json *v)
{
    struct json copy = *v;
    copy.key = arena_str(a, v->key);
    if (v->kind == JSON_STR) copy.s = arena_str(a, v->s);
    if (v->kind != JSON_ARR && v->kind != JSON_OBJ) return copy;
    struct json *list = arena_new(a, struct json, v->list.n);
    for (isize i = 0; i < v->list.n; i++)
        list[i] = json_keep(a, &v->list.at[i]); /* built here: three levels */
    copy.list.at = list;
    return copy;
}

static void group_take(struct feed *feed, str product, const struct members *doc,
                       const struct members *variant, i64 line)
{
    arena *keep = feed->im->keep;
    struct hash128 h = hash128(product, 0);
    u64 at = map_get(feed->known, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        at = (u64)feed->groups.n;
        (void)map_put(feed->known, h, at);
        struct json object = { .kind = JSON_OBJ, .list = { doc->at, doc->n } };
        vec_push(&feed->groups, (struct group){ .doc = json_keep(keep, &object), .line = line });
    }
    struct group *group = &feed->groups.at[at];
    struct json object = { .kind = JSON_OBJ, .list = { variant->at, variant->n } };
    vec_push(&group->variants, json_keep(keep, &object));
    group->lines++;
}

void feed_take(struct feed *feed, const struct record *record)
{
    struct importing *im = feed->im;
    im->totals->lines++;
    if (record->n > COLUMNS_MAX) {
        import_refuse(im, record->line, S("the entry has more than 1,000 fields"), 0);
        return;
    }
    if (im->keep->used > HELD_BYTES_MAX) {
        import_refuse(im, record->line, S("the feed's variants do not fit in memory"), 0);
        return;
    }
    struct entry *e = arena_new(im->scratch, struct entry, 1);
    e->a = im->scratch;
    e->record = record;
    for (isize i = 0; i < record->n; i++) e->names[i] = plain_name(e->a, record->names[i]);

    str id = take(e, "id"), parent = take(e, "item_group_id");
    str product = either(take(e, "product_key"), either(take(e, "content_key"), either(parent, id)));
    str variant = either(take(e, "variant_key"), parent.len ? id : S(""));
    bool own = str_eq(im->import->kind, S("products"));
    bool grouped = own && variant.len > 0 && product.len > 0;
    if (!own && variant.len) product = variant;         /* prices and stock go to the variant itself */
    char code[4];
    str beside = either(take(e, "currency"), currency_code(import_currency(im), code));
    beside = arena_str(e->a, beside);

    struct members doc = { 0 }, sku = { 0 };
    add_text(&doc, e->a, str_eq(im->import->kind, S("content")) ? "content_key" : "product_key", product);
    add_product(e, &doc, im->import->received_ms, beside, grouped);
    if (grouped) {
        add_text(&sku, e->a, "variant_key", variant);
        add_word(e, &sku, "size", NULL);
        add_word(e, &sku, "colour", "color");
        add_prices(e, &sku, im->import->received_ms, beside);
        add_stock(e, &sku);
        if (beside.len) add_text(&sku, e->a, "currency", beside);
    }
    add_attributes(e, &doc);
    if (grouped) {
        group_take(feed, product, &doc, &sku, record->line);
        return;
    }
    struct json object = { .kind = JSON_OBJ, .list = { doc.at, doc.n } };
    doc_take(feed, &object, record->line, 1);
}

void feed_end(struct feed *feed)
{
    arena *a = feed->im->scratch;
    for (isize i = 0; i < feed->groups.n; i++) {
        struct group *group = &feed->groups.at[i];
        struct members doc = { 0 };
        json_each(field, &group->doc) *member(&doc, a, field->key) = *field;
        struct members variants = { group->variants.at, group->variants.n, group->variants.cap };
        add_list(&doc, a, "variants", JSON_ARR, &variants);
        struct json object = { .kind = JSON_OBJ, .list = { doc.at, doc.n } };
        doc_take(feed, &object, group->line, group->lines);
        arena_clear(a);
    }
}

enum err import_items(struct importing *im, struct rows *rows)
{
    struct feed *feed = feed_new(im);
    enum err err = ERR_OK;
    while (!err) {
        struct record record;
        bool found;
        im->record = &record;
        err = rows_next(rows, im->scratch, &record, &found, im->diag);
        if (!found || (err && err != ERR_BAD_INPUT)) break;
        if (err || record.doc) im->totals->lines++;
        if (err) import_refuse(im, record.line, im->diag->what, 0);
        else if (record.doc) doc_take(feed, record.doc, record.line, 1);
        else feed_take(feed, &record);
        err = ERR_OK;
        arena_clear(im->scratch);
        import_progress(im);
    }
    im->record = NULL;
    if (!err) feed_end(feed);
    feed_free(feed);
    return err;
}
