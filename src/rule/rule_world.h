/* SPDX-License-Identifier: Apache-2.0
 *
 * rule_world.h - a small shop and one person, for the tests of this room.
 *
 * Four items (jeans under clothes, a sweater, a kettle under kitchen), three segments, a handful of
 * traits. Everything is a table, so that a test can be read beside it. */
#ifndef RULE_WORLD_H
#define RULE_WORLD_H

#include "base/clock.h"
#include "rule/rule.h"

#define WORLD_NOW ((i64)1785067200000)                  /* 2026-07-26T12:00:00Z, a Sunday */
#define WORLD_ZONE 120                                  /* Oslo in summer: 14:00 there */
#define EUR ((5 << 10) | (21 << 5) | 18)
#define NOK ((14 << 10) | (15 << 5) | 11)

enum { WORLD_CUSTOM = EVENT_CUSTOM_FIRST, WORLD_CUSTOM_2 };

static const struct {
    str key, category, above, brand;
    i64 price_minor;
    f64 margin, stock;
    bool in_stock;
} world_items[] = {
    { S_INIT(""), S_INIT(""), S_INIT(""), S_INIT(""), 0, 0, 0, false },
    { S_INIT("sku-1"), S_INIT("jeans"), S_INIT("clothes"), S_INIT("Acme"), 4900, 0.5, 3, true },
    { S_INIT("sku-2"), S_INIT("jeans"), S_INIT("clothes"), S_INIT("Nordic"), 8900, 0.25, 0, false },
    { S_INIT("sku-3"), S_INIT("sweaters"), S_INIT("clothes"), S_INIT("Acme"), 5900, 0.4, 9, true },
    { S_INIT("sku-4"), S_INIT("kettles"), S_INIT("kitchen"), S_INIT("Hearth"), 2900, 0.1, 1, true },
};
static const str world_segments[] = { S_INIT("vip"), S_INIT("lapsed"), S_INIT("newcomers") };
static const str world_traits[] = { S_INIT("gender"), S_INIT("age"), S_INIT("first_name"), S_INIT("subscribed"), S_INIT("born"),
                                   S_INIT("sizes"), S_INIT("app_version"), S_INIT("account.plan") };
static const str world_categories[] = { S_INIT("jeans"), S_INIT("clothes"), S_INIT("sweaters"), S_INIT("kettles"), S_INIT("kitchen") };
static const str world_events[] = { S_INIT("Newsletter Joined"), S_INIT("Store Entered") };

static i32 world_event_type(const void *ctx, str name)
{
    (void)ctx;
    for (isize i = 0; i < countof(world_events); i++)
        if (str_eq(name, world_events[i])) return (i32)(WORLD_CUSTOM + i);
    return -1;
}

static i32 world_segment(const void *ctx, str key)
{
    (void)ctx;
    for (isize i = 0; i < countof(world_segments); i++)
        if (str_eq(key, world_segments[i])) return (i32)(i + 1);
    return -1;
}

static bool world_each(const void *ctx, enum rule_name sort, isize at, str *out)
{
    (void)ctx;
    const str *list = sort == RULE_NAME_SEGMENT ? world_segments : sort == RULE_NAME_TRAIT ? world_traits
                    : sort == RULE_NAME_CATEGORY ? world_categories : world_events;
    isize n = sort == RULE_NAME_SEGMENT    ? countof(world_segments)
              : sort == RULE_NAME_TRAIT    ? countof(world_traits)
              : sort == RULE_NAME_CATEGORY ? countof(world_categories)
                                           : countof(world_events);
    if (at >= n) return false;
    *out = list[at];
    return true;
}

static const struct rule_names world_names = { NULL, world_event_type, world_segment, world_each };

static struct value world_text(str s) { return (struct value){ .kind = VALUE_TEXT, .s = s }; }
static struct value world_number(f64 n) { return (struct value){ .kind = VALUE_NUMBER, .n = n }; }

static struct value world_trait(const void *ctx, str name)
{
    (void)ctx;
    if (str_eq(name, S("gender"))) return world_text(S("female"));
    if (str_eq(name, S("age"))) return world_number(34);
    if (str_eq(name, S("first_name"))) return world_text(S("Ana \"Anchor\" Ås"));
    if (str_eq(name, S("shoe size"))) return world_text(S("38"));
    if (str_eq(name, S("born"))) return world_text(S("1992-02-29"));
    if (str_eq(name, S("sizes"))) return world_text(S("[\"M\",\"L\",40]"));
    if (str_eq(name, S("app_version"))) return world_text(S("2.10.1"));
    if (str_eq(name, S("account.plan"))) return world_text(S("gold"));
    if (str_eq(name, S("member_since"))) return world_text(S("2025-01-15"));
    if (str_eq(name, S("latitude"))) return world_number(59.9139);
    if (str_eq(name, S("longitude"))) return world_number(10.7522);
    if (str_eq(name, S("subscribed"))) return (struct value){ .kind = VALUE_BOOL, .b = true };
    return (struct value){ 0 };
}

static enum tri world_in_segment(const void *ctx, segment_id segment)
{
    (void)ctx;
    return segment.v == 1 ? TRI_FALSE : segment.v == 2 ? TRI_TRUE : TRI_UNKNOWN;
}

static struct value world_context(const void *ctx, str name)
{
    (void)ctx;
    if (str_eq(name, S("weather"))) return world_text(S("cold"));
    if (str_eq(name, S("store"))) return world_text(S("oslo-1"));
    return (struct value){ 0 };
}

/* 0.8 now, half of it a week later. */
static struct value world_affinity(const void *ctx, str dimension, str value, i64 now_ms)
{
    (void)ctx;
    if (!str_eq(dimension, S("category")) || !str_eq(value, S("jeans"))) return world_number(0);
    f64 weeks = (f64)(now_ms - WORLD_NOW) / (f64)(7 * DAY_MS);
    return world_number(0.8 / (1 + weeks));
}

static struct value world_quiz(const void *ctx, str question)
{
    (void)ctx;
    return str_eq(question, S("skin-type")) ? world_text(S("dry")) : (struct value){ 0 };
}

static struct value world_predicted(const void *ctx, u8 score)
{
    (void)ctx;
    if (score == SCORE_CLV_365) return (struct value){ .kind = VALUE_MONEY, .money = { 25000, { EUR } } };
    return score == SCORE_CHURN ? world_number(0.7) : (struct value){ 0 };
}

/* What is in the cart now was put there, and looked at, in one. */
static struct value world_cart(const void *ctx, const struct history_entry *entry)
{
    (void)ctx;
    return entry->ref == 11 || entry->ref == 12 ? world_text(S("c-1")) : (struct value){ 0 };
}

static struct value world_item(const void *ctx, item_id item, str field, str key)
{
    (void)ctx;
    if (item.v == 0 || item.v >= countof(world_items)) return (struct value){ 0 };
    if (str_eq(field, S("product"))) return world_text(world_items[item.v].key);
    if (str_eq(field, S("category"))) return world_text(world_items[item.v].category);
    if (str_eq(field, S("brand"))) return world_text(world_items[item.v].brand);
    if (str_eq(field, S("margin"))) return world_number(world_items[item.v].margin);
    if (str_eq(field, S("in_stock")))
        return (struct value){ .kind = VALUE_BOOL, .b = world_items[item.v].in_stock };
    if (str_eq(field, S("price")))
        return (struct value){ .kind = VALUE_MONEY, .money = { world_items[item.v].price_minor, { EUR } } };
    if (str_eq(field, S("stock")))
        return key.len == 0 || str_eq(key, S("oslo-1")) ? world_number(world_items[item.v].stock)
                                                        : (struct value){ 0 };
    return (struct value){ 0 };
}

static bool world_item_under(const void *ctx, item_id item, str category)
{
    (void)ctx;
    if (item.v == 0 || item.v >= countof(world_items)) return false;
    return str_eq_nocase(world_items[item.v].category, category)
           || str_eq_nocase(world_items[item.v].above, category);
}

#define AGO(n, unit) (WORLD_NOW - (i64)(n) * (unit))

/* Oldest first. */
static const struct history_entry world_history[] = {
    { .at_ms = AGO(200, DAY_MS), .ref = 1, .type = EVENT_ORDER_COMPLETED, .value_minor = 45000, .currency = EUR, .flags = HISTORY_ORDER, .channel = CHANNEL_WEB },
    { .at_ms = AGO(200, DAY_MS), .ref = 2, .type = EVENT_PRODUCT_PURCHASED, .item = 1, .quantity = 1, .value_minor = 4900, .currency = EUR, .channel = CHANNEL_WEB },
    { .at_ms = AGO(70, DAY_MS), .ref = 3, .type = EVENT_ORDER_COMPLETED, .value_minor = 12050, .currency = EUR, .flags = HISTORY_ORDER, .channel = CHANNEL_POS },
    { .at_ms = AGO(70, DAY_MS), .ref = 4, .type = EVENT_PRODUCT_PURCHASED, .item = 3, .quantity = 2, .value_minor = 11800, .currency = EUR, .channel = CHANNEL_POS },
    { .at_ms = AGO(65, DAY_MS), .ref = 5, .type = EVENT_ORDER_COMPLETED, .value_minor = -5900, .currency = EUR, .flags = HISTORY_ORDER, .channel = CHANNEL_POS },
    { .at_ms = AGO(20, DAY_MS), .ref = 6, .type = EVENT_PRODUCT_VIEWED, .item = 1, .channel = CHANNEL_WEB },
    { .at_ms = AGO(15, DAY_MS), .ref = 14, .type = EVENT_WISHLIST_ADDED, .item = 2, .quantity = 1, .channel = CHANNEL_APP },
    { .at_ms = AGO(14, DAY_MS), .ref = 15, .type = EVENT_WISHLIST_ADDED, .item = 4, .quantity = 1, .channel = CHANNEL_APP },
    { .at_ms = AGO(13, DAY_MS), .ref = 16, .type = EVENT_WISHLIST_REMOVED, .item = 4, .channel = CHANNEL_APP },
    { .at_ms = AGO(12, DAY_MS), .ref = 17, .type = EVENT_SEGMENT_ENTERED, .quantity = 1 },
    { .at_ms = AGO(11, DAY_MS), .ref = 18, .type = EVENT_SEGMENT_LEFT, .quantity = 1 },
    { .at_ms = AGO(10, DAY_MS), .ref = 7, .type = EVENT_PRODUCT_VIEWED, .item = 2, .channel = CHANNEL_APP },
    { .at_ms = AGO(9, DAY_MS), .ref = 8, .type = WORLD_CUSTOM, .channel = CHANNEL_WEB },
    { .at_ms = AGO(5, HOUR_MS), .ref = 9, .type = EVENT_PRODUCT_VIEWED, .item = 4, .channel = CHANNEL_WEB },
    { .at_ms = AGO(5, HOUR_MS) + 1, .ref = 10, .type = EVENT_PRODUCT_VIEWED, .item = 1, .flags = HISTORY_BOT, .channel = CHANNEL_WEB },
    { .at_ms = AGO(3, HOUR_MS), .ref = 11, .type = EVENT_PRODUCT_ADDED, .item = 4, .quantity = 1, .value_minor = 2900, .currency = EUR, .channel = CHANNEL_WEB },
    { .at_ms = AGO(20, MINUTE_MS), .ref = 12, .type = EVENT_PRODUCT_VIEWED, .item = 1, .channel = CHANNEL_WEB },
    { .at_ms = AGO(10, MINUTE_MS), .ref = 13, .type = EVENT_PAGE_VIEWED, .channel = CHANNEL_WEB },
};

/* The candidate item is sku-1. */
static inline struct rule_facts world_facts(void)
{
    return (struct rule_facts){
        .now_ms = WORLD_NOW,
        .zone = { .minutes = WORLD_ZONE },
        .history = world_history,
        .history_n = countof(world_history),
        .candidate = { 1 },
        .trait = world_trait,
        .in_segment = world_in_segment,
        .context = world_context,
        .affinity = world_affinity,
        .quiz = world_quiz,
        .predicted = world_predicted,
        .cart = world_cart,
        .item = world_item,
        .item_under = world_item_under,
    };
}

#endif
