/* SPDX-License-Identifier: Apache-2.0
 *
 * arrange.c - what a shop and a person's taste do to a list: groups that are capped, likings that
 * lift, variety, stores.
 *
 * Variety is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): places are filled
 * one by one with the item of greatest lambda * score - (1 - lambda) * likeness to the most alike
 * already placed. Scores are divided by the highest, so that both terms are 0 to 1. Likeness is
 * what a shopper sees at a glance: half for the same category, a quarter each for brand and colour.
 * Caps act before, while candidates are found; any part of a capped list is capped.
 */
#include "decide/inside.h"

u32 arrange_group(const struct catalog *catalog, u32 id, isize grouping)
{
    const struct item *item = catalog_item(catalog, (item_id){ id });
    if (!item) return 0;
    if (grouping == 0) return item->category_id.v;
    str of = item->brand;
    if (grouping == 2) {
        struct item_field seller = item_field(catalog, item, S("seller"), S(""), S(""), 0);
        of = seller.kind == FACT_TEXT ? seller.text : S("");
    }
    return of.len ? (u32)hash64(of, (u64)grouping) | 1 : 0;
}

bool arrange_in_store(const struct item *item, str store)
{
    if (store.len == 0) return item_in_stock(item);
    bool by_store = false;
    for (isize i = 0; i < item->stock_n; i++) {
        if (str_eq(item->stock[i].store, store)) return item->stock[i].quantity > 0;
        by_store |= !str_eq(item->stock[i].store, S("web"));
    }
    return !by_store && item_in_stock(item);    /* the feed knows no stores */
}

static str value_of(const struct item *item, isize taste)
{
    switch ((enum taste)taste) {
    case TASTE_CATEGORY: return item->category;
    case TASTE_BRAND: return item->brand;
    case TASTE_COLOUR: return item->colour;
    case TASTE_GENDER: return item->gender;
    case TASTES: break;
    }
    return S("");
}

str taste_name(isize taste)
{
    static const char *const names[TASTES] = { "category", "brand", "colour", "gender" };
    assert(taste >= 0 && taste < TASTES);
    return str_of(names[taste]);
}

f64 arrange_lift(const struct strategy *s, const struct affinity *likings, isize n,
                 const struct item *item, u8 *as, str *liked)
{
    f64 lift = 1, most = 0;
    for (isize t = 0; t < TASTES; t++) {
        str value = s->tastes[t] > 0 ? value_of(item, t) : S("");
        if (value.len == 0) continue;
        for (isize i = 0; i < n; i++) {
            if (!str_eq(likings[i].dimension, taste_name(t))
                || !str_eq_nocase(likings[i].value, value))
                continue;
            f64 by = s->tastes[t] * likings[i].score;
            lift *= 1 + by;
            if (by > most) { most = by; *as = (u8)t; *liked = value; }
        }
    }
    return lift;
}

static f64 likeness(const struct item *a, const struct item *b)
{
    return (a->category_id.v && a->category_id.v == b->category_id.v ? .5 : 0)
           + (a->brand.len && str_eq(a->brand, b->brand) ? .25 : 0)
           + (a->colour.len && str_eq_nocase(a->colour, b->colour) ? .25 : 0);
}

isize arrange_diverse(const struct catalog *catalog, struct decided_item *items, isize n,
                      isize limit, f64 lambda)
{
    f64 like[ARRANGED_MAX] = { 0 }, top = 0;
    assert(n <= ARRANGED_MAX);
    for (isize i = 0; i < n; i++) top = items[i].score > top ? items[i].score : top;
    limit = min_isize(limit, n);
    for (isize place = 0; place < limit; place++) {
        isize best = place;
        f64 best_worth = -2;
        for (isize i = place; i < n; i++) {
            f64 worth = lambda * (top > 0 ? items[i].score / top : 0) - (1 - lambda) * like[i];
            if (worth > best_worth) { best_worth = worth; best = i; }
        }
        struct decided_item chosen = items[best];
        f64 its = like[best];
        memmove(items + place + 1, items + place, (size_t)(best - place) * sizeof *items);
        memmove(like + place + 1, like + place, (size_t)(best - place) * sizeof *like);
        items[place] = chosen;
        like[place] = its;
        const struct item *a = catalog_item(catalog, chosen.item);
        for (isize i = place + 1; a && i < n; i++) {
            const struct item *b = catalog_item(catalog, items[i].item);
            f64 alike = b ? likeness(a, b) : 0;
            if (alike > like[i]) like[i] = alike;
        }
    }
    return limit;
}
