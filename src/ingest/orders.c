/* SPDX-License-Identifier: Apache-2.0
 *
 * orders.c - order lines of a file -> one event an order, the same whatever the lines' order.
 *
 * What identifies a line is its content: the mapped columns' texts, in our order of fields, joined
 * by a byte no text holds. An order's lines are sorted by content; identical ones stay, each an
 * item of its own. The event's key is the hash of the sorted contents. So a second import, lines
 * shuffled, gives the same events with the same keys (the fold drops them as known, and were
 * they too old to be known, EVENT_REPLACES makes them change nothing), and one line more gives
 * one other event.
 *
 * Amounts are exact: a price is read in millionths (a seventh decimal refuses the line), times
 * the quantity in 64 bits; accepted and refused amounts are summed in that unit. Only the event's
 * value_minor, the whole order's sum, is rounded to minor units.
 *
 * A refund (its key has the map's prefix, or every line is negative) is an order_refunded event of
 * its own with negative quantities and a negative value. Lines that are corrections of the books
 * ("adjustments") are refused, with their amount. Codes that are not goods (postage, fees,
 * vouchers) stay in the order as items, and are put into the catalogue hidden, with the attribute
 * service = true, so that nothing ever recommends them.
 *
 * All lines are held in memory until the file ends, at most LINES_BYTES_MAX of text.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "ingest/rows.h"

#include <stdlib.h>

enum field {
    ORDER_KEY,
    PRODUCT_KEY,
    VARIANT_KEY,
    TITLE,
    CATEGORY,
    BRAND,
    QUANTITY,
    AT,
    PRICE,
    CURRENCY,
    USER_ID,
    EMAIL,
    PHONE,
    MEMBER_ID,
    ANONYMOUS_ID,
    COUNTRY,
    CHANNEL,
    STORE,
    COUPON,
    /* these came later, and add nothing to the content of a line without them: keys stay */
    CARD,
    ERP_ID,
    FIELDS
};
static const char *const names[FIELDS] = {
    "order_key",    "product_key", "variant_key", "title",   "category", "brand", "quantity",
    "at",           "price",       "currency",    "user_id", "email",    "phone", "member_id",
    "anonymous_id", "country",     "channel",     "store",   "coupon",
    "card",         "erp_id",
};
const char *const *order_fields(isize *n)
{
    *n = FIELDS;
    return names;
}

#define LINES_BYTES_MAX ((isize)4 << 30)

struct line { str content; i64 number, at_ms, price_micro, amount_micro; i32 quantity; u32 order; };
struct order { str key; u32 first, n; i64 at_ms; };
struct service { str key, title; };

struct orders {
    struct importing *im;
    struct column columns[FIELDS];
    str zone, refund_prefix, adjustment_prefix;
    const struct json *not_goods;
    bool refuse_unpaid_strangers;
    currency currency;
    struct map *known, *contents, *people, *services_known;
    struct { struct line *at; isize n, cap; } lines;
    struct { struct order *at; isize n, cap; } orders;
    struct { struct service *at; isize n, cap; } services;
};

/* ---- the map ------------------------------------------------------------------------------- */

static enum err map_read(struct orders *o, const struct rows *rows)
{
    struct importing *im = o->im;
    const struct json *map = im->import->map;
    enum err err = columns_read(im, rows, names, FIELDS, false, o->columns);
    if (err) return err;
    static const enum field needed[] = { ORDER_KEY, PRODUCT_KEY, QUANTITY, AT, PRICE };
    for (isize i = 0; i < countof(needed); i++)
        if (!o->columns[needed[i]].given)
            return diag_set(im->diag, ERR_BAD_INPUT,
                            "no column for %s: name it in the map's columns", names[needed[i]]);
    o->zone = json_str(json_get(map, S("time_zone")), S("UTC"));
    if (!zone_known(o->zone))
        return diag_set(im->diag, ERR_BAD_INPUT,
                        "map: time_zone \"%.*s\" is not known; an offset like \"+01:00\" always is",
                        STR_FMT(o->zone));
    o->refund_prefix = json_str(json_path(map, "refunds.order_key_prefix"), S(""));
    o->adjustment_prefix = json_str(json_path(map, "adjustments.order_key_prefix"), S(""));
    o->not_goods = json_get(map, S("not_goods"));
    str unpaid = json_str(json_get(map, S("unpaid_without_person")), S("accept"));
    o->refuse_unpaid_strangers = str_eq(unpaid, S("refuse"));
    if (!o->refuse_unpaid_strangers && !str_eq(unpaid, S("accept")))
        return diag_set(im->diag, ERR_BAD_INPUT, "map: unpaid_without_person is accept or refuse");
    o->currency = import_currency(im);
    return ERR_OK;
}

/* A code, or with a * at its end the beginning of one; any case. */
static bool is_service(const struct orders *o, str key)
{
    if (!json_is(o->not_goods, JSON_ARR)) return false;
    json_each(one, o->not_goods) {
        str pattern = json_str(one, S(""));
        if (str_ends(pattern, S("*"))) {
            pattern.len--;
            if (key.len >= pattern.len && str_eq_nocase(str_slice(key, 0, pattern.len), pattern)) return true;
        } else if (pattern.len && str_eq_nocase(key, pattern)) {
            return true;
        }
    }
    return false;
}

/* ---- one line ------------------------------------------------------------------------------ */

static bool read_quantity(str text, i32 *out)
{
    i64 n;
    isize dot = str_find_char(text, '.');
    if (dot >= 0) {                                     /* "6.0" is six */
        for (isize i = dot + 1; i < text.len; i++)
            if (text.ptr[i] != '0') return false;
        text.len = dot;
    }
    if (!str_to_i64(text, &n) || n < INT32_MIN || n > INT32_MAX) return false;
    *out = (i32)n;
    return true;
}

static bool read_micro(str text, i64 *out)
{
    isize dot = str_find_char(text, '.');
    for (isize i = dot + 7; dot >= 0 && i < text.len; i++)
        if (text.ptr[i] != '0') return false;           /* finer than can be kept exactly */
    return str_to_minor(text, 6, out);
}

/* With an offset or Z in it the text says all; otherwise it is local time. */
static bool read_at(str text, str zone, i64 *out)
{
    if (!time_parse(text, out)) return false;
    bool digits_only = true, offset = false;
    for (isize i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        digits_only &= c >= '0' && c <= '9';
        offset |= c == 'Z' || c == 'z' || c == '+' || (c == '-' && i > 10);
    }
    if (!digits_only && !offset) *out = zone_to_utc(zone, *out);
    return true;
}

static bool has_person(const str *f)
{
    return f[USER_ID].len || f[EMAIL].len || f[PHONE].len || f[MEMBER_ID].len || f[CARD].len
           || f[ERP_ID].len || f[ANONYMOUS_ID].len;
}

/* Empty when the line can be taken. Fills the amount as soon as it can be known. */
static str line_check(struct orders *o, const str *f, struct line *line)
{
    arena *a = o->im->scratch;
    if (f[ORDER_KEY].len == 0) return S("the order's key is empty");
    if (f[ORDER_KEY].len > EVENT_KEY_BYTES_MAX) return S("the order's key is longer than 255 bytes");
    bool quantified = read_quantity(f[QUANTITY], &line->quantity),
         priced = read_micro(f[PRICE], &line->price_micro);
    if (quantified && priced
        && __builtin_mul_overflow(line->price_micro, (i64)line->quantity, &line->amount_micro)) {
        line->amount_micro = 0;
        return S("price times quantity is more than can be counted");
    }
    if (!quantified) return arena_printf(a, "quantity \"%.*s\" is not a whole number", STR_FMT(f[QUANTITY]));
    if (!priced)
        return arena_printf(a, "price \"%.*s\" is not an amount of at most 6 decimals",
                            STR_FMT(f[PRICE]));
    if (!read_at(f[AT], o->zone, &line->at_ms) || line->at_ms <= 0)
        return arena_printf(a, "at \"%.*s\" is not a time", STR_FMT(f[AT]));
    if (line->at_ms > o->im->import->received_ms)
        return arena_printf(a, "at \"%.*s\" lies in the future", STR_FMT(f[AT]));
    if (f[PRODUCT_KEY].len == 0) return S("the product's key is empty");
    if (f[PRODUCT_KEY].len > IDENTIFIER_BYTES_MAX || f[VARIANT_KEY].len > IDENTIFIER_BYTES_MAX)
        return S("the product's key is longer than 255 bytes");
    if (o->adjustment_prefix.len && str_starts(f[ORDER_KEY], o->adjustment_prefix))
        return S("an adjustment of the books, not an order");
    if (o->refuse_unpaid_strangers && line->price_micro == 0 && !has_person(f))
        return S("a note of the stock room: nobody bought it and nothing was paid");
    if (f[CURRENCY].len && currency_of(f[CURRENCY]).v == 0)
        return arena_printf(a, "currency \"%.*s\" is not a currency code", STR_FMT(f[CURRENCY]));
    if (f[CURRENCY].len == 0 && o->currency.v == 0) return S("no currency: name it in the map");
    return S("");
}

static void line_fields(str content, str *f)
{
    for (isize i = 0; i < FIELDS; i++) {
        struct str_cut cut = str_cut(content, '\x1f');
        f[i] = cut.head;
        content = cut.tail;
    }
}

static void service_note(struct orders *o, const str *f)
{
    struct hash128 h = hash128(f[PRODUCT_KEY], 0);
    u64 at = map_get(o->services_known, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        at = (u64)o->services.n;
        (void)map_put(o->services_known, h, at);
        vec_push(&o->services, (struct service){ f[PRODUCT_KEY], f[TITLE] });
    }
    str *title =
        &o->services.at[at].title; /* the first in the alphabet, whatever the lines' order */
    if (f[TITLE].len && (title->len == 0 || str_cmp(f[TITLE], *title) < 0)) *title = f[TITLE];
}

static void line_keep(struct orders *o, struct line *line)
{
    str f[FIELDS];
    line->content = arena_str(o->im->keep, line->content);
    line_fields(line->content, f);
    struct hash128 h = hash128(f[ORDER_KEY], 0);
    u64 at = map_get(o->known, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        at = (u64)o->orders.n;
        (void)map_put(o->known, h, at);
        vec_push(&o->orders, (struct order){ .key = f[ORDER_KEY], .at_ms = line->at_ms });
    }
    line->order = (u32)at;
    struct order *order = &o->orders.at[at];
    order->n++;
    order->at_ms = min_i64(order->at_ms, line->at_ms);
    vec_push(&o->lines, *line);
}

static void line_take(struct orders *o, const struct record *record)
{
    arena *a = o->im->scratch;
    struct buf content = { .arena = a };
    bool later = column_text(&o->columns[CARD], record, a).len
                 || column_text(&o->columns[ERP_ID], record, a).len;
    for (isize i = 0; i < (later ? FIELDS : CARD); i++) {
        str text = column_text(&o->columns[i], record, a);
        if (i) buf_byte(&content, '\x1f');
        for (isize k = 0; k < text.len; k++) buf_byte(&content, text.ptr[k] == '\x1f' ? ' ' : text.ptr[k]);
    }
    str f[FIELDS];
    struct line line = { .content = buf_str(&content), .number = record->line };
    line_fields(line.content, f);
    if (!map_put(o->contents, hash128(line.content, 0), 1)) o->im->totals->repeated++;
    str wrong = line_check(o, f, &line);
    if (wrong.len) import_refuse(o->im, line.number, wrong, line.amount_micro);
    else line_keep(o, &line);
}

/* ---- one order ----------------------------------------------------------------------------- */

static int line_cmp(const void *pa, const void *pb)
{
    const struct line *a = pa, *b = pb;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    int c = str_cmp(a->content, b->content);
    return c ? c : (a->number > b->number) - (a->number < b->number);
}

static int order_cmp(const void *pa, const void *pb)
{
    const struct order *a = pa, *b = pb;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return str_cmp(a->key, b->key);
}

static bool same_person(const str *a, const str *b)
{
    for (enum field i = USER_ID; i <= ANONYMOUS_ID; i++)
        if (!str_eq(a[i], b[i])) return false;
    return str_eq(a[CARD], b[CARD]) && str_eq(a[ERP_ID], b[ERP_ID]);
}

/* Half away from zero, as str_to_minor rounds. */
static i64 minor_of(i64 micro, currency c)
{
    i64 unit = IMPORT_MICRO;
    for (int i = 0; i < currency_digits(c); i++) unit /= 10;
    i64 half = unit / 2;
    return (micro + (micro < 0 ? -half : half)) / unit;
}

static void order_identify(struct orders *o, const str *f, struct event *e)
{
    static const struct { enum field field; u8 kind; } ids[] = {
        { USER_ID, IDENTIFIER_USER_ID }, { MEMBER_ID, IDENTIFIER_MEMBER_ID }, { EMAIL, IDENTIFIER_EMAIL },
        { PHONE, IDENTIFIER_PHONE }, { CARD, IDENTIFIER_CARD }, { ERP_ID, IDENTIFIER_ERP_ID }, { ANONYMOUS_ID, IDENTIFIER_ANONYMOUS_ID },
    };
    arena *a = o->im->scratch;
    e->identifiers = arena_new(a, struct identifier, countof(ids));
    for (isize i = 0; i < countof(ids); i++) {
        str value = ingest_identifier(a, ids[i].kind, f[ids[i].field]);
        if (value.len && value.len <= IDENTIFIER_BYTES_MAX)
            e->identifiers[e->identifiers_n++] = (struct identifier){ ids[i].kind, true, value };
    }
    if (e->identifiers_n == 0) { o->im->totals->guests++; return; }
    struct hash128 h = hash128(event_strongest(e)->value, event_strongest(e)->kind);
    if (map_put(o->people, h, 1)) o->im->totals->people++;
    if (f[COUNTRY].len == 0) return;
    e->traits = arena_new(a, struct fact, 1);
    e->traits[0] = (struct fact){ .name = S("country"), .kind = FACT_TEXT, .text = f[COUNTRY] };
    e->traits_n = 1;
}

static struct event_item item_of(const str *f, const struct line *line, currency c)
{
    return (struct event_item){
        .product_key = f[PRODUCT_KEY],
        .variant_key = str_eq(f[VARIANT_KEY], f[PRODUCT_KEY]) ? S("") : f[VARIANT_KEY],
        .title = line->price_micro ? f[TITLE]
                                   : S(""), /* beside a price of nothing stand notes, not titles */
        .category = f[CATEGORY],
        .brand = f[BRAND],
        .priced = true,
        .price_minor = minor_of(line->price_micro, c),
        .quantity = line->quantity,
    };
}

/* The part of an order's lines that agree with its first on person and currency. */
static void order_emit(struct orders *o, const struct order *order)
{
    struct importing *im = o->im;
    arena *a = im->scratch;
    const struct line *lines = &o->lines.at[order->first];
    str first[FIELDS], f[FIELDS];
    line_fields(lines[0].content, first);
    currency c = first[CURRENCY].len ? currency_of(first[CURRENCY]) : o->currency;
    struct event e = {
        .flags = EVENT_IMPORTED | EVENT_REPLACES | (im->import->test ? EVENT_TEST : 0), .at_ms = order->at_ms,
        .source = import_source(im), .order_key = order->key, .currency = c, .valued = true,
        .coupon = first[COUPON], .store = first[STORE], .country = first[COUNTRY],
    };
    if (!channel_of(first[CHANNEL], &e.channel)) e.channel = CHANNEL_UNKNOWN;
    e.items = arena_new(a, struct event_item, order->n);
    struct buf content = { .arena = a };
    i64 sum = 0;
    bool negative = true;
    for (u32 i = 0; i < order->n; i++) {
        const struct line *line = &lines[i];
        line_fields(line->content, f);
        str wrong = S("");
        i64 with;
        if (!same_person(f, first)) wrong = S("the order belongs to another person");
        else if (!str_eq(f[CURRENCY], first[CURRENCY])) wrong = S("the order is in another currency");
        else if (e.items_n == EVENT_ITEMS_MAX) wrong = S("the order has more than 20,000 lines");
        else if (__builtin_add_overflow(sum, line->amount_micro, &with))
            wrong = S("the order's sum is more than can be counted");
        if (wrong.len) {
            import_refuse(im, line->number, wrong, line->amount_micro);
            continue;
        }
        sum = with;
        negative &= line->quantity < 0;
        e.items[e.items_n++] = item_of(f, line, c);
        if (is_service(o, f[PRODUCT_KEY])) service_note(o, f);
        buf_add(&content, line->content);
        buf_byte(&content, '\n');
        im->totals->accepted++;
        im->totals->accepted_micro += line->amount_micro;
    }
    bool refund = o->refund_prefix.len ? str_starts(order->key, o->refund_prefix) : negative;
    e.type = refund ? EVENT_ORDER_REFUNDED : EVENT_ORDER_COMPLETED;
    e.name = refund ? S("Order Refunded") : S("Order Completed");
    e.value_minor = minor_of(sum, c);
    struct hash128 h = hash128(buf_str(&content), 0);
    e.key = arena_printf(a, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
    order_identify(o, first, &e);
    if (refund) im->totals->refunds++;
    else im->totals->orders++;
    import_event(im, &e);
}

static void services_emit(struct orders *o)
{
    for (isize i = 0; i < o->services.n; i++) {
        struct text title = { S(""), o->services.at[i].title };
        struct fact service = { .name = S("service"), .kind = FACT_BOOL, .b = true };
        struct item_change change = { ITEM_PUT,
                                      { .kind = ITEM_PRODUCT,
                                        .hidden = true,
                                        .key = o->services.at[i].key,
                                        .titles = &title,
                                        .titles_n = title.value.len ? 1 : 0,
                                        .attributes = &service,
                                        .attributes_n = 1 } };
        import_item(o->im, &change);
    }
}

static void orders_emit(struct orders *o)
{
    if (o->lines.n) qsort(o->lines.at, (size_t)o->lines.n, sizeof *o->lines.at, line_cmp);
    for (isize i = 0, at = 0; i < o->orders.n; at += o->orders.at[i++].n) o->orders.at[i].first = (u32)at;
    if (o->orders.n) qsort(o->orders.at, (size_t)o->orders.n, sizeof *o->orders.at, order_cmp);
    for (isize i = 0; i < o->orders.n; i++) {
        order_emit(o, &o->orders.at[i]);
        arena_clear(o->im->scratch);
    }
    services_emit(o);
}

static enum err read_all(struct orders *o, struct rows *rows)
{
    struct importing *im = o->im;
    enum err err = map_read(o, rows);
    im->columns = o->columns;
    im->fields = names;
    im->fields_n = FIELDS;
    while (!err) {
        struct record record;
        bool found;
        im->record = &record;
        err = rows_next(rows, im->scratch, &record, &found, im->diag);
        if (!found) return err;
        im->totals->lines++;
        if (err == ERR_BAD_INPUT) import_refuse(im, record.line, im->diag->what, 0);
        else if (err) return err;
        else line_take(o, &record);
        err = ERR_OK;
        arena_clear(im->scratch);
        import_progress(im);
        if (im->keep->used > LINES_BYTES_MAX || o->lines.n >= INT32_MAX)
            return diag_set(im->diag, ERR_TOO_BIG,
                            "the file holds more lines than fit in memory; split it by date");
    }
    return err;
}

enum err import_orders(struct importing *im, struct rows *rows)
{
    struct orders o = { .im = im,
                        .known = map_new(1024),
                        .contents = map_new(1024),
                        .people = map_new(1024),
                        .services_known = map_new(16) };
    enum err err = read_all(&o, rows);
    im->record = NULL;
    if (!err) orders_emit(&o);
    im->columns = NULL;
    im->fields_n = 0;
    map_free(o.known);
    map_free(o.contents);
    map_free(o.people);
    map_free(o.services_known);
    vec_fini(&o.lines);
    vec_fini(&o.orders);
    vec_fini(&o.services);
    return err;
}
