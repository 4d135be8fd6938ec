/* SPDX-License-Identifier: Apache-2.0
 *
 * item.c - one item: its byte form, its block, its price history, and the questions about it.
 *
 * Byte form: a format number and the fields in order (base/codec.h), the same for a change in the
 * log and for the state in the store; the state adds the price history and the categories the
 * item named first.
 *
 * lowest_30d. Directive 98/6/EC, article 6a: the prior price is the lowest price the trader
 * applied during at least 30 days before the reduction. Exactly, here: let T be the instant at
 * which the present pair of price and list price took effect (the announcement); lowest_30d is
 * the lowest price in effect at any moment of [T - 30 days, T), per market and currency, and per
 * variant where variants have prices of their own; 0 when nothing was offered then. A list price
 * put beside an unchanged price is an announcement too, so it cannot turn yesterday's everyday
 * price into a bargain. Moments of not being on offer do not count. A series keeps at most
 * SERIES_POINTS_MAX steps; beyond that the two oldest become one at the lower price.
 */
#include "catalog/item.h"

#include <math.h>

#include "base/clock.h"

enum { FORMAT = 1 };

/* ---- byte form ----------------------------------------------------------------------------- */

static void visit_text(struct codec *c, struct text *v)
{
    codec_str(c, &v->locale);
    codec_str(c, &v->value);
}

static void visit_price(struct codec *c, struct price *v)
{
    codec_str(c, &v->market);
    codec_u16(c, &v->currency.v);
    codec_i64(c, &v->minor);
    codec_i64(c, &v->list_minor);
    codec_i64(c, &v->lowest_30d_minor);
}

static void visit_stock(struct codec *c, struct stock *v)
{
    codec_str(c, &v->store);
    codec_i32(c, &v->quantity);
}

static void visit_variant(struct codec *c, struct variant *v)
{
    codec_str(c, &v->key);
    codec_str(c, &v->size);
    codec_str(c, &v->colour);
    codec_list(c, struct stock, v->stock, v->stock_n, STOCK_MAX, visit_stock);
    codec_list(c, struct price, v->prices, v->prices_n, PRICES_MAX, visit_price);
}

static void visit_fact(struct codec *c, struct fact *v)
{
    codec_str(c, &v->name);
    codec_u8(c, &v->kind);
    if (v->kind > FACT_JSON) c->failed = true;
    if (v->kind == FACT_BOOL) codec_bool(c, &v->b);
    if (v->kind == FACT_NUMBER) codec_f64(c, &v->n);
    if (v->kind == FACT_TEXT || v->kind == FACT_JSON) codec_str(c, &v->text);
}

static void visit_item(struct codec *c, struct item *v)
{
    codec_u32(c, &v->id.v);
    codec_u8(c, &v->kind);
    if (v->kind > ITEM_CONTENT) c->failed = true;
    codec_bool(c, &v->hidden);
    codec_bool(c, &v->removed);
    str *const fields[] = { &v->key, &v->url, &v->image, &v->brand, &v->colour, &v->gender, &v->category };
    for (isize i = 0; i < countof(fields); i++) codec_str(c, fields[i]);
    codec_u32(c, &v->category_id.v);
    codec_list(c, struct text, v->titles, v->titles_n, TEXTS_MAX, visit_text);
    codec_list(c, struct text, v->descriptions, v->descriptions_n, TEXTS_MAX, visit_text);
    codec_list(c, struct price, v->prices, v->prices_n, PRICES_MAX, visit_price);
    codec_list(c, struct stock, v->stock, v->stock_n, STOCK_MAX, visit_stock);
    codec_list(c, struct variant, v->variants, v->variants_n, VARIANTS_MAX, visit_variant);
    codec_list(c, struct fact, v->attributes, v->attributes_n, ATTRIBUTES_MAX, visit_fact);
    codec_i64(c, &v->cost_minor);
    codec_i32(c, &v->repurchase_days);
    codec_i64(c, &v->published_at_ms);
}

static void visit_point(struct codec *c, struct price_point *v)
{
    codec_str(c, &v->variant);
    codec_str(c, &v->market);
    codec_u16(c, &v->currency.v);
    codec_i64(c, &v->from_ms);
    codec_i64(c, &v->minor);
    codec_i64(c, &v->list_minor);
}

static void visit_born(struct codec *c, struct born *v)
{
    codec_u32(c, &v->id.v);
    codec_u32(c, &v->parent.v);
    codec_str(c, &v->path);
}

static void visit_format(struct codec *c)
{
    u8 format = FORMAT;
    codec_u8(c, &format);
    if (format != FORMAT) c->failed = true;
}

void item_state_visit(struct codec *c, struct item_state *state)
{
    visit_format(c);
    visit_item(c, &state->item);
    codec_list(c, struct price_point, state->points, state->points_n, POINTS_MAX, visit_point);
    codec_list(c, struct born, state->born, state->born_n, CATEGORY_DEPTH_MAX * 4096, visit_born);
    codec_u8(c, &state->said_n);
    if (state->said_n > SAID_MAX) { c->failed = true; state->said_n = 0; }
    for (int i = 0; i < state->said_n; i++) codec_u64(c, &state->said[i]);
}

void item_change_encode(const struct item_change *change, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct item_change copy = *change; /* the visitor takes it writable; writing leaves it be */
    visit_format(&c);
    codec_u8(&c, &copy.kind);
    visit_item(&c, &copy.item);
}

enum err item_change_decode(str bytes, arena *a, struct item_change *out)
{
    struct codec c = codec_reader(bytes, a);
    *out = (struct item_change){ 0 };
    visit_format(&c);
    codec_u8(&c, &out->kind);
    visit_item(&c, &out->item);
    bool sound = !c.failed && c.in.len == 0 && out->kind <= ITEM_REMOVE && out->item.key.len > 0;
    return sound ? ERR_OK : ERR_DAMAGED;
}

/* ---- the block ----------------------------------------------------------------------------- */

/* Laid out twice: first without memory, to learn the size; then into it. */
struct room { u8 *base; isize used; };

static void *room_take(struct room *r, const void *from, isize size)
{
    isize at = (r->used + 7) & ~(isize)7;
    r->used = at + size;
    if (!r->base) return NULL;
    if (size) memcpy(r->base + at, from, (size_t)size);
    return r->base + at;
}

static void move_str(struct room *r, str *s)
{
    isize at = r->used;
    r->used += s->len;
    if (!r->base) return;
    if (s->len) memcpy(r->base + at, s->ptr, (size_t)s->len);
    s->ptr = (const char *)r->base + at;
}

#define move_list(r, T, list, n, move)                                                      \
    do {                                                                                    \
        T *moved_ = room_take((r), (list), (n) * (isize)sizeof(T));                         \
        for (isize i_ = 0; i_ < (n); i_++) {                                                \
            T one_ = (list)[i_];                                                            \
            move((r), &one_);                                                               \
            if (moved_) moved_[i_] = one_;                                                  \
        }                                                                                   \
        if (moved_) (list) = moved_;                                                        \
    } while (0)

static void move_text(struct room *r, struct text *v) { move_str(r, &v->locale); move_str(r, &v->value); }
static void move_price(struct room *r, struct price *v) { move_str(r, &v->market); }
static void move_stock(struct room *r, struct stock *v) { move_str(r, &v->store); }
static void move_fact(struct room *r, struct fact *v) { move_str(r, &v->name); move_str(r, &v->text); }
static void move_point(struct room *r, struct price_point *v)
{
    move_str(r, &v->variant);
    move_str(r, &v->market);
}
static void move_born(struct room *r, struct born *v) { move_str(r, &v->path); }

static void move_variant(struct room *r, struct variant *v)
{
    move_str(r, &v->key);
    move_str(r, &v->size);
    move_str(r, &v->colour);
    move_list(r, struct stock, v->stock, v->stock_n, move_stock);
    move_list(r, struct price, v->prices, v->prices_n, move_price);
}

static void move_state(struct room *r, struct item_state *state)
{
    struct item *v = &state->item;
    str *const fields[] = { &v->key, &v->url, &v->image, &v->brand, &v->colour, &v->gender, &v->category };
    for (isize i = 0; i < countof(fields); i++) move_str(r, fields[i]);
    move_list(r, struct text, v->titles, v->titles_n, move_text);
    move_list(r, struct text, v->descriptions, v->descriptions_n, move_text);
    move_list(r, struct price, v->prices, v->prices_n, move_price);
    move_list(r, struct stock, v->stock, v->stock_n, move_stock);
    move_list(r, struct variant, v->variants, v->variants_n, move_variant);
    move_list(r, struct fact, v->attributes, v->attributes_n, move_fact);
    move_list(r, struct price_point, state->points, state->points_n, move_point);
    move_list(r, struct born, state->born, state->born_n, move_born);
}

struct held *item_hold(const struct item_state *state)
{
    struct item_state measured = *state;
    struct room room = { .used = (isize)sizeof(struct held) };
    move_state(&room, &measured);
    isize size = room.used;
    struct held *held = mem_new(size);
    held->state = *state;
    room = (struct room){ (u8 *)held, (isize)sizeof *held };
    move_state(&room, &held->state);
    assert(room.used == size);
    held->in_stock = item_stock(&held->state.item, S("")) > 0;
    return held;
}

/* ---- price history ------------------------------------------------------------------------- */

#define LOWEST_WINDOW_MS (30 * DAY_MS)

struct points { struct price_point *at; isize n, cap; };

static bool same_series(const struct price_point *a, const struct price_point *b)
{
    return a->currency.v == b->currency.v && str_eq(a->market, b->market) && str_eq(a->variant, b->variant);
}

static isize series_next(const struct points *p, const struct price_point *of, isize from)
{
    while (from < p->n && !same_series(&p->at[from], of)) from++;
    return from;
}

static struct price_point *series_last(struct points *p, const struct price_point *of)
{
    for (isize i = p->n - 1; i >= 0; i--)
        if (same_series(&p->at[i], of)) return &p->at[i];
    return NULL;
}

static void point_drop(struct points *p, isize at)
{
    for (isize i = at + 1; i < p->n; i++) p->at[i - 1] = p->at[i];
    p->n--;
}

/* What ended 30 days before the present price began is never asked for again: a later price's
 * window begins later. */
static void series_trim(struct points *p, const struct price_point *of, i64 since_ms)
{
    isize steps = 0;
    for (isize i = series_next(p, of, 0); i < p->n; i = series_next(p, of, i + 1)) steps++;
    isize first = series_next(p, of, 0);
    for (; steps > 1; steps--) {
        isize second = series_next(p, of, first + 1);
        bool over = p->at[second].from_ms <= since_ms - LOWEST_WINDOW_MS;
        if (!over && steps <= SERIES_POINTS_MAX) return;
        i64 kept = p->at[first].minor, next = p->at[second].minor;
        if (!over) {                                    /* too many steps: one at the lower price */
            p->at[second].from_ms = p->at[first].from_ms;
            if (kept >= 0 && (next < 0 || kept < next)) p->at[second].minor = kept;
        }
        point_drop(p, first);
        first = series_next(p, of, 0);
    }
}

/* The price stands from at_ms on; says since when and the lowest of the 30 days before that. */
static i64 series_settle(struct points *p, const struct price_point *now)
{
    struct price_point *last = series_last(p, now);
    bool same = last && last->minor == now->minor && last->list_minor == now->list_minor;
    if (!same && last && last->from_ms >= now->from_ms) {
        last->minor = now->minor; /* changed twice in one instant: the first never stood */
        last->list_minor = now->list_minor;
    } else if (!same) {
        assert(p->n < p->cap);
        p->at[p->n++] = *now;
    }
    i64 since_ms = series_last(p, now)->from_ms;
    series_trim(p, now, since_ms);
    i64 lowest = 0;
    for (isize i = series_next(p, now, 0), next; (next = series_next(p, now, i + 1)) < p->n; i = next) {
        i64 minor = p->at[i].minor;
        if (minor > 0 && (lowest == 0 || minor < lowest))
            lowest = minor; /* free is no price to compare with */
    }
    return lowest;
}

static void prices_settle(struct points *p, str variant, struct price *prices, isize n, i64 at_ms)
{
    for (isize i = p->n - 1; i >= 0;
         i--) { /* what was offered and no longer is; trimming shifts what is behind i */
        struct price_point *it = &p->at[i];
        if (it->minor < 0 || !str_eq(it->variant, variant) || series_last(p, it) != it) continue;
        bool offered = false;
        for (isize k = 0; k < n; k++)
            offered |= prices[k].currency.v == it->currency.v && str_eq(prices[k].market, it->market);
        struct price_point gone = *it;
        gone.from_ms = at_ms;
        gone.minor = -1;
        gone.list_minor = 0;
        if (!offered) (void)series_settle(p, &gone);
    }
    for (isize k = 0; k < n; k++) {
        struct price_point now = { variant, prices[k].market, prices[k].currency, at_ms, prices[k].minor,
                                   prices[k].list_minor };
        prices[k].lowest_30d_minor = series_settle(p, &now);
    }
}

void item_prices_settle(struct item_state *state, i64 at_ms, arena *a)
{
    struct item *it = &state->item;
    isize more = it->prices_n;
    for (isize i = 0; i < it->variants_n; i++) more += it->variants[i].prices_n;
    struct points p = { .n = state->points_n, .cap = state->points_n * 2 + more };
    if (p.cap == 0) return;
    p.at = arena_new(a, struct price_point, p.cap);
    for (isize i = 0; i < p.n; i++) p.at[i] = state->points[i];
    for (isize i = p.n - 1; i >= 0; i--) {              /* a variant that is gone takes its history along */
        bool known = p.at[i].variant.len == 0;
        for (isize k = 0; k < it->variants_n && !known; k++)
            known = str_eq(it->variants[k].key, p.at[i].variant);
        if (!known) point_drop(&p, i);
    }
    prices_settle(&p, S(""), it->prices, it->prices_n, at_ms);
    for (isize i = 0; i < it->variants_n; i++)
        prices_settle(&p, it->variants[i].key, it->variants[i].prices, it->variants[i].prices_n, at_ms);
    state->points = p.at;
    state->points_n = p.n;
}

/* ---- questions ----------------------------------------------------------------------------- */

i32 item_stock(const struct item *item, str store)
{
    if (item->stock_n == 0) return INT32_MAX;
    bool web = store.len == 0;
    for (isize i = 0; i < item->stock_n; i++) {
        str at = item->stock[i].store;
        if (web ? str_eq(at, S("web")) : str_eq(at, store)) return item->stock[i].quantity;
    }
    return 0;
}

const struct price *item_price(const struct item *item, str market)
{
    const struct price *general = NULL;
    for (isize i = 0; i < item->prices_n; i++) {
        const struct price *p = &item->prices[i];
        if (market.len && str_eq(p->market, market)) return p;
        if (p->market.len == 0) general = p;
    }
    return general;
}

static const struct text *text_of(const struct text *texts, isize n, str locale)
{
    for (isize i = 0; i < n; i++)
        if (str_eq_nocase(texts[i].locale, locale)) return &texts[i];
    return NULL;
}

str item_text(const struct text *texts, isize n, str locale)
{
    if (n == 0) return S("");
    if (n == 1) return texts[0].value;
    isize dash = str_find_char(locale, '-');
    if (dash < 0) dash = str_find_char(locale, '_');
    const struct text *found = locale.len ? text_of(texts, n, locale) : NULL;
    if (!found && dash > 0) found = text_of(texts, n, str_slice(locale, 0, dash));
    if (!found) found = text_of(texts, n, S(""));
    if (!found) found = text_of(texts, n, S("en"));
    return found ? found->value : texts[0].value;
}

static const char *kind_name(u8 kind)
{
    static const char *const names[] = { "seen", "product", "content" };
    return kind < countof(names) ? names[kind] : "seen";
}

static struct item_field field_money(i64 minor, currency c)
{
    return (struct item_field){
        .kind = FACT_NUMBER, .is_money = true, .money = { minor, c }, .n = (f64)minor
    };
}

static struct item_field field_number(f64 n) { return (struct item_field){ .kind = FACT_NUMBER, .n = n }; }
static struct item_field field_bool(bool b) { return (struct item_field){ .kind = FACT_BOOL, .b = b }; }

static struct item_field field_text(str s)
{
    return s.len ? (struct item_field){ .kind = FACT_TEXT, .text = s } : (struct item_field){ 0 };
}

static struct item_field field_price(const struct item *item, str name, str market)
{
    const struct price *p = item_price(item, market);
    if (!p) return (struct item_field){ 0 };
    if (str_eq(name, S("price"))) return field_money(p->minor, p->currency);
    if (str_eq(name, S("list_price")))
        return field_money(p->list_minor ? p->list_minor : p->minor, p->currency);
    if (str_eq(name, S("lowest_30d")))
        return p->lowest_30d_minor ? field_money(p->lowest_30d_minor, p->currency) : (struct item_field){ 0 };
    if (str_eq(name, S("discount"))) {
        bool reduced = p->list_minor > p->minor;
        return field_number(reduced ? (f64)(p->list_minor - p->minor) / (f64)p->list_minor : 0);
    }
    bool known = item->cost_minor > 0 && p->minor > 0 && p->currency.v == item->prices[0].currency.v;
    return known ? field_number((f64)(p->minor - item->cost_minor) / (f64)p->minor)
                 : (struct item_field){ 0 };
}

static bool is_price_field(str name)
{
    static const str names[] = { S_INIT("price"), S_INIT("list_price"), S_INIT("lowest_30d"),
                                 S_INIT("discount"), S_INIT("margin") };
    for (isize i = 0; i < countof(names); i++)
        if (str_eq(name, names[i])) return true;
    return false;
}

struct item_field item_field(const struct catalog *catalog, const struct item *item, str name,
                             str key, str market, i64 now_ms)
{
    (void)catalog;
    if (is_price_field(name)) return field_price(item, name, market);
    if (str_eq(name, S("stock")))
        return item->stock_n ? field_number((f64)item_stock(item, key)) : (struct item_field){ 0 };
    if (str_eq(name, S("in_stock"))) return field_bool(item_stock(item, key) > 0);
    if (str_eq(name, S("brand"))) return field_text(item->brand);
    if (str_eq(name, S("colour")) || str_eq(name, S("color"))) return field_text(item->colour);
    if (str_eq(name, S("gender"))) return field_text(item->gender);
    if (str_eq(name, S("category"))) return field_text(item->category);
    if (str_eq(name, S("title"))) return field_text(item_text(item->titles, item->titles_n, key));
    if (str_eq(name, S("kind"))) return field_text(str_of(kind_name(item->kind)));
    if (str_eq(name, S("product")) || str_eq(name, S("key"))) return field_text(item->key);
    if (str_eq(name, S("url"))) return field_text(item->url);
    if (str_eq(name, S("repurchase_days"))) return field_number((f64)item->repurchase_days);
    if (str_eq(name, S("age_days"))) {
        if (item->published_at_ms == 0) return (struct item_field){ 0 };
        return field_number(floor((f64)(now_ms - item->published_at_ms) / (f64)DAY_MS));
    }
    for (isize i = 0; i < item->attributes_n; i++) {
        const struct fact *f = &item->attributes[i];
        if (str_eq(f->name, name))
            return (struct item_field){ .kind = f->kind, .n = f->n, .b = f->b, .text = f->text };
    }
    return (struct item_field){ 0 };
}

bool item_field_is_fixed(str name) { return !is_price_field(name) && !str_eq(name, S("age_days")); }

/* Of an item in its block, at whose head it stands. */
static struct held *held_with(const struct item *item)
{
    return (struct held *)((uintptr_t)item - offsetof(struct held, state.item));
}

bool item_in_stock(const struct item *item) { return held_with(item)->in_stock; }
u64 item_remark(const struct item *item)
{
    return atomic_load_explicit(&held_with(item)->remark, memory_order_relaxed);
}

void item_remark_set(const struct item *item, u64 remark)
{
    atomic_store_explicit(&held_with(item)->remark, remark, memory_order_relaxed);
}

static void print_money(struct jsonw *w, const char *key, i64 minor, currency c)
{
    char code[4];
    jsonw_key_begin(w, key, '{');
    jsonw_key_int(w, "minor", minor);
    jsonw_key_str(w, "currency", currency_code(c, code));
    jsonw_end(w, '}');
}

static void print_text(struct jsonw *w, const char *key, str v)
{
    if (v.len) jsonw_key_str(w, key, v);
}

void item_print_named(const struct catalog *catalog, item_id item, struct jsonw *w)
{
    const struct item *i = catalog_item(catalog, item);
    if (!i) return;
    jsonw_key_str(w, "item", i->key);
    str title = item_text(i->titles, i->titles_n, S("en"));
    if (title.len) jsonw_key_str(w, "title", title);
}

/* What was printed of an item is kept with it until it changes: a shop shows the same items over
 * and over. A few markets and locales of each, none that is long, and of all items no more than
 * PRINTED_BYTES_MAX. */
enum { PRINTED_MOST = 4, PRINTED_TEXT_MAX = 4 << 10, PRINTED_BYTES_MAX = 64 << 20 };
struct printed { struct printed *next; str market, locale, text; isize bytes; };
static _Atomic isize printed_bytes;

static str placed(char **at, str s)
{
    str copy = { *at, s.len };
    if (s.len) memcpy(*at, s.ptr, (size_t)s.len);
    *at += s.len;
    return copy;
}

static const struct printed *printed_find(struct printed *first, str market, str locale)
{
    const struct printed *p = first;
    while (p && (!str_eq(p->locale, locale) || !str_eq(p->market, market))) p = p->next;
    return p;
}

/* Threads that print it at once may each lose what the other kept: it is printed again. */
static void printed_keep(struct held *held, struct printed *first, str market, str locale, str text)
{
    isize there = 0, bytes = (isize)sizeof(struct printed) + market.len + locale.len + text.len;
    for (const struct printed *p = first; p; p = p->next) there++;
    if (there == PRINTED_MOST || bytes > PRINTED_TEXT_MAX
        || atomic_load(&printed_bytes) + bytes > PRINTED_BYTES_MAX)
        return;
    struct printed *p = mem_new(bytes);
    char *at = (char *)(p + 1);
    *p = (struct printed){ first, placed(&at, market), placed(&at, locale), placed(&at, text), bytes };
    atomic_fetch_add(&printed_bytes, bytes);
    if (atomic_compare_exchange_strong(&held->printed, &first, p)) return;
    atomic_fetch_sub(&printed_bytes, bytes);
    mem_free(p);
}

void held_free(void *what)
{
    struct held *held = what;
    if (!held) return;
    for (struct printed *p = atomic_load(&held->printed), *next; p; p = next) {
        next = p->next;
        atomic_fetch_sub(&printed_bytes, p->bytes);
        mem_free(p);
    }
    mem_free(held);
}

static void print_fields(const struct item *item, str market, str locale, struct jsonw *w)
{
    jsonw_key_str(w, item->kind == ITEM_CONTENT ? "content_key" : "product_key", item->key);
    jsonw_key_str(w, "title", item_text(item->titles, item->titles_n, locale));
    print_text(w, "description", item_text(item->descriptions, item->descriptions_n, locale));
    print_text(w, "url", item->url);
    print_text(w, "image", item->image);
    print_text(w, "brand", item->brand);
    print_text(w, "category", item->category);
    print_text(w, "colour", item->colour);
    print_text(w, "gender", item->gender);
    if (item->kind != ITEM_CONTENT) jsonw_key_bool(w, "in_stock", item_in_stock(item));
    const struct price *p = item_price(item, market);
    if (!p) return;
    jsonw_key_begin(w, "price", '{');
    print_money(w, "price", p->minor, p->currency);
    if (p->list_minor) print_money(w, "list", p->list_minor, p->currency);
    if (p->lowest_30d_minor) print_money(w, "lowest_30d", p->lowest_30d_minor, p->currency);
    print_text(w, "price_list", p->market);
    jsonw_end(w, '}');
}

void item_print_expect(const struct item *item)
{
    enum { LINES = 6, LINE_BYTES = 64 };                /* most are no longer */
    const char *at = (const char *)atomic_load_explicit(&held_with(item)->printed, memory_order_acquire);
    for (isize i = 0; at && i < LINES; i++) __builtin_prefetch(at + i * LINE_BYTES);
}

void item_print(const struct item *item, str market, str locale, struct jsonw *w)
{
    struct held *held = held_with(item);
    struct printed *first = atomic_load_explicit(&held->printed, memory_order_acquire);
    const struct printed *kept = printed_find(first, market, locale);
    if (kept) { jsonw_raw(w, kept->text); return; }
    isize from = w->out->len + w->comma;
    print_fields(item, market, locale, w);
    printed_keep(held, first, market, locale, str_from(buf_str(w->out), from));
}
