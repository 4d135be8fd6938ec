/* SPDX-License-Identifier: Apache-2.0
 *
 * orders.c - an order is an entity, not an event.
 *
 * Senders repeat themselves: completed, updated, completed again, refunded in part. Whatever comes,
 * the order stands once, keyed by source and order key, with what was said of it last; the
 * person's history holds the entries that stand for it now. So a second delivery changes nothing and
 * a correction corrects, and nobody's lifetime value is counted twice.
 */
#include "fold/inside.h"

#include <stdlib.h>

void orders_init(struct orders *orders)
{
    *orders = (struct orders){ .all = rows_new(), .by_number = finder_new() };
}

void orders_fini(struct orders *orders)
{
    rows_free(orders->all);
    finder_free(orders->by_number);
    buf_fini(&orders->work);
    vec_fini(&orders->dirty);
}

static struct hash128 number_key(str order_key) { return hash128(order_key, 11); }

static void visit_line(struct codec *c, struct order_line *v)
{
    codec_u32(c, &v->item);
    codec_i32(c, &v->quantity);
    codec_i64(c, &v->value_minor);
}

static void visit_order(struct codec *c, struct order *v)
{
    codec_u32(c, &v->id.v);
    codec_u32(c, &v->node);
    codec_str(c, &v->key);
    codec_u8(c, &v->state);
    codec_u8(c, &v->channel);
    codec_u8(c, &v->cart);
    codec_u16(c, &v->currency.v);
    codec_i64(c, &v->at_ms);
    codec_i64(c, &v->value_minor);
    codec_i64(c, &v->refunded_minor);
    codec_i64(c, &v->said_at_ms);
    codec_i64(c, &v->refund_at_ms);
    codec_word(c, &v->content);
    codec_u32(c, &v->place.country);
    codec_u32(c, &v->place.store);
    codec_u64(c, &v->ref);
    codec_list(c, struct order_line, v->lines, v->lines_n, EVENT_ITEMS_MAX, visit_line);
}

void order_encode(const struct order *order, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct order copy = *order;
    visit_order(&c, &copy);
}

isize orders_n(const struct orders *orders) { return rows_n(orders->all); }

static struct order *read_order(const struct orders *orders, u32 id, arena *a)
{
    struct order *o = arena_new(a, struct order, 1);
    struct codec c = codec_reader(rows_get(orders->all, id), a);
    visit_order(&c, o);
    assert(!c.failed);
    return o;
}

const struct order *orders_get(const struct orders *orders, order_id id, arena *a)
{
    return id.v > 0 && id.v <= rows_n(orders->all) ? read_order(orders, id.v, a) : NULL;
}

u32 orders_node(const struct orders *orders, order_id id)
{
    struct codec c = codec_reader(rows_get(orders->all, id.v), NULL);
    u32 node = 0;
    codec_u32(&c, &id.v);
    codec_u32(&c, &node);
    return node;
}

isize orders_numbered(const struct orders *orders, str order_key, arena *a, const struct order ***out)
{
    struct hash128 key = number_key(order_key);
    const struct order **list = NULL;
    isize n = 0, cap = 0;
    for (struct finder_at at = { 0 }; ;) {
        u32 id = finder_next(orders->by_number, key, &at);
        if (id == 0) break;
        const struct order *o = read_order(orders, id, a);
        if (!str_eq(str_cut(o->key, ':').tail, order_key)) continue;
        if (n == cap) {
            const struct order **wide = arena_room(a, const struct order *, cap = cap * 2 + 4);
            if (n) memcpy(wide, list, (size_t)n * sizeof(struct order *));
            list = wide;
        }
        isize k = n++;
        for (; k > 0 && list[k - 1]->id.v < id; k--) list[k] = list[k - 1];
        list[k] = o;
    }
    *out = list;
    return n;
}

static struct order *order_of(const struct orders *orders, str key, arena *a)
{
    struct hash128 number = number_key(str_cut(key, ':').tail);
    u32 id;
    for (struct finder_at at = { 0 }; (id = finder_next(orders->by_number, number, &at));) {
        struct order *o = read_order(orders, id, a);
        if (str_eq(o->key, key)) return o;
    }
    return NULL;
}

/* As it is from now on. Its number is its place: that of a new one, or of one that there is. */
static void order_put(struct orders *orders, const struct order *o)
{
    bool made = o->id.v == rows_n(orders->all) + 1;
    if (!made) hash128_sum(&orders->digest, hash128(rows_get(orders->all, o->id.v), 0), false);
    orders->work.len = 0;
    order_encode(o, &orders->work);
    hash128_sum(&orders->digest, hash128(buf_str(&orders->work), 0), true);
    if (made) (void)rows_add(orders->all, buf_str(&orders->work));
    else rows_set(orders->all, o->id.v, buf_str(&orders->work));
    /* without a key: erased */
    if (made && o->key.len) finder_add(orders->by_number, number_key(str_cut(o->key, ':').tail), o->id.v);
}

static int by_item(const void *x, const void *y)
{
    const struct order_line *a = x, *b = y;
    if (a->item != b->item) return a->item < b->item ? -1 : 1;
    return (a->value_minor > b->value_minor) - (a->value_minor < b->value_minor);
}

/* One line an item, in the order of items: what was bought, not how it was keyed in. */
static isize lines_of(const struct event *e, const u32 *items, arena *a, struct order_line **out)
{
    struct order_line *lines = arena_new(a, struct order_line, e->items_n);
    for (isize i = 0; i < e->items_n; i++) {
        i32 quantity = e->items[i].quantity ? e->items[i].quantity : 1;
        i64 value = e->items[i].priced ? e->items[i].price_minor * quantity : 0;
        lines[i] = (struct order_line){ items[i], quantity, value };
    }
    qsort(lines, (size_t)e->items_n, sizeof *lines, by_item);
    isize n = 0;
    for (isize i = 0; i < e->items_n; i++) {
        if (n && lines[n - 1].item == lines[i].item) {
            lines[n - 1].quantity += lines[i].quantity;
            lines[n - 1].value_minor += lines[i].value_minor;
        } else {
            lines[n++] = lines[i];
        }
    }
    *out = lines;
    return n;
}

static void order_lines(struct order *o, struct order_line *lines, isize n)
{
    o->lines = lines;
    o->lines_n = n;
}

static i64 sum_lines(const struct order_line *lines, isize n)
{
    i64 total = 0;
    for (isize i = 0; i < n; i++) total += lines[i].value_minor;
    return total;
}

/* What the sender said, as one number: whoever says the same again says nothing new. */
static u64 content_of(const struct event *e, const struct order_line *lines, isize n, u32 node)
{
    struct buf bytes = { 0 };
    struct order said = {
        .state = (u8)e->type,
        .channel = e->channel,
        .currency = e->currency,
        .at_ms = e->at_ms,
        .node = node,
        .value_minor = e->valued ? e->value_minor : sum_lines(lines, n),
        .place = { recommend_place(e->country), recommend_place(e->store) },
        .lines = (struct order_line *)(uintptr_t)lines,
        .lines_n = n,
    };
    order_encode(&said, &bytes);
    u64 h = hash64(buf_str(&bytes), 6);
    buf_fini(&bytes);
    return h;
}

/* A refund of an order we know: of the lines it names, of an amount, or of the whole. */
static void refund(struct order *o, const struct event *e, const struct order_line *lines, isize n)
{
    for (isize i = 0; i < n; i++)
        for (isize j = 0; j < o->lines_n; j++) {
            struct order_line *line = &o->lines[j];
            if (line->item != lines[i].item || line->quantity == 0) continue;
            i32 back = abs(lines[i].quantity) < line->quantity ? abs(lines[i].quantity) : line->quantity;
            i64 value = line->value_minor * back / line->quantity;
            line->quantity -= back;
            line->value_minor -= value;
            if (!e->valued) o->refunded_minor += value;
        }
    if (e->valued) o->refunded_minor += llabs(e->value_minor);
    if (n == 0 && !e->valued) {
        o->refunded_minor = o->value_minor;
        order_lines(o, NULL, 0);
    }
    o->refunded_minor = min_i64(o->refunded_minor, o->value_minor);
    isize kept = 0;
    for (isize j = 0; j < o->lines_n; j++)
        if (o->lines[j].quantity != 0) o->lines[kept++] = o->lines[j];
    o->lines_n = kept;
}

static void make_return(struct order *o, const struct event *e, struct order_line *lines, isize n)
{
    for (isize i = 0; i < n; i++) {
        lines[i].quantity = -abs(lines[i].quantity);
        lines[i].value_minor = -llabs(lines[i].value_minor);
    }
    o->state = ORDER_RETURN;
    o->value_minor = e->valued ? -llabs(e->value_minor) : sum_lines(lines, n);
    order_lines(o, lines, n);
}

/* Senders that say how new their word is may send it twice and out of turn. A whole statement
 * stands as the order is after its refunds, so a refund that is not newer is in it already; and a
 * statement older than what is known would undo it. */
static bool is_stale(const struct order *o, const struct event *e)
{
    if (e->said_at_ms == 0) return false;
    if (e->type == EVENT_ORDER_REFUNDED) return o->state != ORDER_RETURN && e->said_at_ms <= o->said_at_ms;
    return e->said_at_ms < o->said_at_ms || (o->state != ORDER_RETURN && e->said_at_ms < o->refund_at_ms);
}

struct order_effect orders_apply(struct fold *fold, const struct event *e, const u32 *items,
                                 struct whose whose, u64 ref, arena *a)
{
    u32 node = whose.node;
    struct orders *orders = &fold->orders;
    struct order_line *lines;
    str key = arena_printf(a, "%.*s:%.*s", STR_FMT(e->source), STR_FMT(e->order_key));
    if (e->order_key.len == 0)
        key = arena_printf(a, "%.*s:#%llu", STR_FMT(e->source), (unsigned long long)ref);
    isize n = lines_of(e, items, a, &lines);
    u64 content = content_of(e, lines, n, node);
    struct order *o = order_of(orders, key, a);
    struct order_effect effect = { .order = o };
    i64 returned;
    if (o && (o->content == content || is_stale(o, e))) return effect;
    effect.changed = true;
    effect.created = !o;
    if (o) {
        effect.before = *o;
        effect.before.lines = arena_room(a, struct order_line, o->lines_n);
        if (o->lines_n) memcpy(effect.before.lines, o->lines, (size_t)o->lines_n * sizeof *lines);
    } else {
        o = arena_new(a, struct order, 1);
        *o = (struct order){ .id = { rows_n(orders->all) + 1 }, .key = key, .ref = ref, .at_ms = e->at_ms, .currency = e->currency, .channel = e->channel };
    }
    if (whose.cart || (node && node != o->node)) o->cart = whose.cart;
    if (node) o->node = node;
    if (e->country.len) o->place.country = recommend_place(e->country);
    if (e->store.len) o->place.store = recommend_place(e->store);
    o->content = content;
    i64 *newest = e->type == EVENT_ORDER_REFUNDED ? &o->refund_at_ms : &o->said_at_ms;
    *newest = max_i64(*newest, e->said_at_ms);
    switch (e->type) {
    case EVENT_ORDER_CANCELLED: o->state = ORDER_CANCELLED; break;
    case EVENT_ORDER_REFUNDED:
        if (effect.created || o->state == ORDER_RETURN) make_return(o, e, lines, n);
        else refund(o, e, lines, n);
        break;
    default:
        returned = o->state == ORDER_RETURN && e->said_at_ms && e->said_at_ms < o->refund_at_ms
                       ? -o->value_minor
                       : 0;
        o->state = ORDER_COMPLETED;
        o->currency = e->currency;
        o->channel = e->channel;
        if (e->type == EVENT_ORDER_COMPLETED) o->at_ms = e->at_ms;
        if (n > 0 || e->type == EVENT_ORDER_COMPLETED) order_lines(o, lines, n);
        if (e->valued || n > 0) o->value_minor = e->valued ? e->value_minor : sum_lines(lines, n);
        /* the refund had overtaken the order it is of */
        o->refunded_minor = min_i64(returned, o->value_minor);
    }
    effect.order = o;
    order_put(orders, o);
    vec_push(&orders->dirty, o->id.v);
    return effect;
}

/* What stands in the place of an order of somebody who is erased: its number, and the entry that made it. */
static void put_nothing(struct orders *orders, u32 id, u64 ref)
{
    struct order nothing = { .id = { id }, .state = ORDER_CANCELLED, .ref = ref };
    order_put(orders, &nothing);
    vec_push(&orders->dirty, id);
}

void orders_erase(struct orders *orders, order_id id)
{
    arena a = { 0 };
    const struct order *o = orders_get(orders, id, &a);
    if (o && o->key.len) {
        (void)finder_remove(orders->by_number, number_key(str_cut(o->key, ':').tail), id.v);
        put_nothing(orders, id.v, o->ref);
    }
    arena_fini(&a);
}

void orders_burn(struct orders *orders, u64 ref) { put_nothing(orders, rows_n(orders->all) + 1, ref); }

bool fold_order_known(const struct fold *fold, str source, str order_key)
{
    arena a = { 0 };
    const struct order **list;
    isize n = orders_numbered(&fold->orders, order_key, &a, &list);
    bool known = false;
    for (isize i = 0; i < n; i++) known |= str_eq(str_cut(list[i]->key, ':').head, source);
    arena_fini(&a);
    return known;
}

isize order_entries(const struct order *o, u8 node, arena *a, struct history_entry **out)
{
    struct history_entry *entries = arena_new(a, struct history_entry, o->lines_n + 1);
    if (o->state == ORDER_CANCELLED) return 0;
    struct history_entry common = { .at_ms = o->at_ms,
                                    .ref = o->id.v,
                                    .currency = o->currency.v,
                                    .channel = o->channel,
                                    .node = node,
                                    .flags = (u16)(HISTORY_ORDER | o->cart << HISTORY_CART_SHIFT) };
    entries[0] = common;
    entries[0].type = o->state == ORDER_RETURN ? EVENT_ORDER_REFUNDED : EVENT_ORDER_COMPLETED;
    entries[0].value_minor = o->value_minor - o->refunded_minor;
    for (isize i = 0; i < o->lines_n; i++) {
        entries[i + 1] = common;
        entries[i + 1].type = EVENT_PRODUCT_PURCHASED;
        entries[i + 1].item = o->lines[i].item;
        entries[i + 1].quantity = o->lines[i].quantity;
        entries[i + 1].value_minor = o->lines[i].value_minor;
    }
    *out = entries;
    return o->lines_n + 1;
}

enum err orders_load(struct orders *orders, str bytes, arena *scratch)
{
    struct codec c = codec_reader(bytes, scratch);
    struct order v = { 0 };
    visit_order(&c, &v);
    if (c.failed || c.in.len || v.id.v != rows_n(orders->all) + 1) return ERR_DAMAGED;
    order_put(orders, &v);
    return ERR_OK;
}

u32 orders_dirty_next(struct orders *orders)
{
    if (orders->dirty_at == orders->dirty.n) {
        orders->dirty.n = orders->dirty_at = 0;
        return 0;
    }
    return orders->dirty.at[orders->dirty_at++];
}
