/* SPDX-License-Identifier: Apache-2.0
 *
 * rank.c - a question asked of an index: which items, in what order, how many of each kind.
 *
 *     score = text * coverage * head * phrase * popularity * boost * personal
 *
 *   text        sum over units of the best alternative's rarity x impact (part.c)
 *   coverage    the share of the units' rarity that the item holds
 *   head        1.25 when the last word of the question is what the title is about (words.c), 1.12 when
 *               it is what the description is about: "monitor" means a monitor, not a monitor arm
 *   phrase      up to 1.25, by the share of neighbours in the question that are neighbours in the item
 *   popularity  up to 1.15, from what everybody does
 *   boost       the shop's rules
 *   personal    up to 2 at dial 100, from what the person deals with
 *
 * Items that hold every unit are the answer. When there are fewer than ENOUGH, those that hold at
 * least half of the rarity join them, ranked by the same score times a coverage below one, behind.
 *
 * Items are worked through in blocks of BLOCK, all lists of one unit after another within a block, so
 * that what is known of a block's items stays in the nearest cache whatever the catalogue's size, and
 * no state as long as the catalogue is needed. Each item that stands at the end of a block is counted
 * into facets and offered to the best k.
 */
#include "search/inside.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

enum { BLOCK = 4096, ENOUGH = 10, CHANGED_MAX = 4096 };
enum { PRICES_SAMPLED = 4096, PRICE_STEPS = 5, ATTRIBUTE_VALUES_MAX = 512 };
static const f64 head_title = 0.25, head_text = 0.125, phrase_most = 0.25, popularity_most = 0.15,
                 least_coverage = 0.5;

/* What is known of an item while a block is at work. */
struct met { f32 text, unit_best, coverage; u32 mask, before; u8 unit, units, beside, beside_unit, head; };

struct facet_counts { struct search_facet *facet; u8 kind; u32 *at; isize n; };
enum facet_kind { FACET_CATEGORY, FACET_BRAND, FACET_COLOUR, FACET_PRICE, FACET_ATTRIBUTE };

struct tallied { str value; i64 n; };
struct ranking {
    const struct search_index *index;
    const struct search_request *r;
    const struct query *q;
    arena *a;
    struct category_name category;
    /* open table of items changed since; a power of two, 0 is free */
    const u32 *changed; isize changed_n;
    bool market;
    u8 facet_kind[SEARCH_FACETS_MAX]; isize facets_n;
    /* of the part at work */
    const struct part *part;
    int part_index;
    isize categories_n;
    struct liked { f32 *category, *brand, *colour; } liked[2];      /* shares by code, of each part */
    u32 *count_category;
    struct { u32 *brand, *colour; } count[2];           /* by code, of each part, over both runs */
    u8 *in_category;                                    /* by category id: 0 not asked yet, 1 in, 2 not */
    struct met *met;
    u64 *touched;
    struct { isize at[2]; } *cursors;
    /* over all parts */
    struct topk full, partial;
    i64 full_n, partial_n;
    bool counting_partial;
    struct { f64 *at; isize n; i64 seen; } prices;
    struct { struct tallied *at; isize n; struct map *by_value; } tallies[SEARCH_FACETS_MAX];
    bool likes;
    /* of those that are not excluded: what the question is about */
    isize last_unit;
};

/* ---- is this item one of those --------------------------------------------------------------- */

static bool has_changed(const struct ranking *k, u32 item)
{
    if (k->changed_n == 0) return false;
    isize mask = k->changed_n - 1;
    for (isize i = (isize)(item * 2654435761U) & mask; k->changed[i]; i = (i + 1) & mask)
        if (k->changed[i] == item) return true;
    return false;
}

/* What changed since the index was made, at most the latest CHANGED_MAX of it. */
static void know_changes(struct ranking *k)
{
    const struct part *newest = k->index->small ? k->index->small : k->index->large;
    u64 now = catalog_changes(k->r->catalog), since = newest->changes;
    if (now == since) return;
    if (now - since > CHANGED_MAX) since = now - CHANGED_MAX;
    isize size = 2;
    while (size < 2 * (isize)(now - since)) size *= 2;
    u32 *table = arena_new(k->a, u32, size);
    for (u64 c = since + 1; c <= now; c++) {
        u32 item = catalog_change(k->r->catalog, c).v;
        if (item == 0) continue;
        isize i = (isize)(item * 2654435761U) & (size - 1);
        while (table[i] && table[i] != item) i = (i + 1) & (size - 1);
        table[i] = item;
    }
    k->changed = table;
    k->changed_n = size;
}

static bool within_category(struct ranking *k, const struct doc *d)
{
    if (k->r->category.len == 0) return true;
    u8 *known = (isize)d->category < k->categories_n ? &k->in_category[d->category] : NULL;
    if (known && *known) return *known == 1;
    const struct item *item = catalog_item(k->r->catalog, (item_id){ d->item });
    bool in = item && item_within(k->r->catalog, item, &k->category);
    if (known) *known = in ? 1 : 2;
    return in;
}

static bool may_show(struct ranking *k, const struct doc *d)
{
    u8 flags = d->flags;
    if (k->part_index == 0 && k->index->replaced && bitset_test(k->index->replaced, d->item)) return false;
    if (has_changed(k, d->item)) {
        const struct item *item = catalog_item(k->r->catalog, (item_id){ d->item });
        if (!item) return false;
        flags = doc_flags(k->r->catalog, item);
    }
    if (!(flags & DOC_SHOWABLE)) return false;
    if (k->r->in_stock_only && !(flags & DOC_IN_STOCK)) return false;
    return within_category(k, d) && (!k->r->eligible || k->r->eligible(k->r->ctx, d->item));
}

/* ---- the score ------------------------------------------------------------------------------- */

static f64 price_of(const struct ranking *k, const struct doc *d)
{
    if (!k->market && !has_changed(k, d->item)) return (f64)d->price_minor;
    const struct item *item = catalog_item(k->r->catalog, (item_id){ d->item });
    const struct price *price = item ? item_price(item, k->r->market) : NULL;
    return price ? (f64)price->minor : 0;
}

static struct search_parts parts_of(const struct ranking *k, const struct doc *d, const struct met *m)
{
    const struct query *q = k->q;
    struct search_parts p = { 1, 1, 1, 1, 1, 1, 1 };
    if (q->positive) {
        p.text = (f64)m->text;
        p.coverage = fmin(1, (f64)m->coverage / q->rarity);
        p.head = 1
                 + (m->head & POSTING_TITLE_HEAD  ? head_title
                    : m->head & POSTING_TEXT_HEAD ? head_text
                                                  : 0);
        p.phrase = q->positive > 1 ? 1 + phrase_most * m->beside / (f64)(q->positive - 1) : 1;
    }
    /* Without words popularity is all there is: then it counts whole, and an item nobody knows yet
     * counts a little. */
    p.popularity = q->positive ? 1 + popularity_most * (f64)d->popularity : 0.1 + (f64)d->popularity;
    if (k->r->boost) p.boost = k->r->boost(k->r->ctx, d->item);
    if (k->likes) {
        f64 like = 0;
        if ((isize)d->category < k->categories_n)
            like += 0.4 * (f64)k->liked[k->part_index].category[d->category];
        like += 0.4 * (f64)k->liked[k->part_index].brand[d->brand]
                + 0.2 * (f64)k->liked[k->part_index].colour[d->colour];
        p.personal = 1 + like * k->r->dial / 100.0;
    }
    return p;
}

static f64 product_of(struct search_parts p)
{
    return p.text * p.coverage * p.head * p.phrase * p.popularity * p.boost * p.personal;
}

static f64 order_of(const struct ranking *k, const struct doc *d, const struct met *m)
{
    switch ((enum search_sort)k->r->sort) {
    case SORT_PRICE_UP: return -price_of(k, d);
    case SORT_PRICE_DOWN: return price_of(k, d);
    case SORT_NEWEST: return (f64)d->published_ms;
    case SORT_RANK: break;
    }
    return product_of(parts_of(k, d, m));
}

/* ---- facets ---------------------------------------------------------------------------------- */

static int facet_kind_of(str name)
{
    static const char *const names[] = { "category", "brand", "colour", "price" };
    for (int i = 0; i < countof(names); i++)
        if (str_eq(name, str_of(names[i]))) return i;
    return FACET_ATTRIBUTE;
}

static void tally(struct ranking *k, isize facet, str value)
{
    if (value.len == 0) return;
    struct hash128 h = term_hash(value);
    u64 at = map_get(k->tallies[facet].by_value, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        if (k->tallies[facet].n == ATTRIBUTE_VALUES_MAX) return;
        at = (u64)k->tallies[facet].n++;
        k->tallies[facet].at[at] = (struct tallied){ arena_str(k->a, value), 0 };
        (void)map_put(k->tallies[facet].by_value, h, at);
    }
    k->tallies[facet].at[at].n++;
}

static void count_facets(struct ranking *k, const struct doc *d)
{
    for (isize f = 0; f < k->facets_n; f++)
        switch ((enum facet_kind)k->facet_kind[f]) {
        case FACET_CATEGORY:
            if ((isize)d->category < k->categories_n) k->count_category[d->category]++;
            break;
        case FACET_BRAND: k->count[k->part_index].brand[d->brand]++; break;
        case FACET_COLOUR: k->count[k->part_index].colour[d->colour]++; break;
        case FACET_PRICE: {
            /* Every so many: enough to lay the borders by; counts are made exact by scale. */
            f64 price = price_of(k, d);
            i64 seen = k->prices.seen++;
            if (k->prices.n < PRICES_SAMPLED) k->prices.at[k->prices.n++] = price;
            else {
                /* A reservoir, its chance by the count alone. */
                u64 slot = ((u64)seen * 0x9e3779b97f4a7c15U >> 20) % (u64)(seen + 1);
                if (slot < PRICES_SAMPLED) k->prices.at[slot] = price;
            }
            break;
        }
        case FACET_ATTRIBUTE: {
            const struct item *item = catalog_item(k->r->catalog, (item_id){ d->item });
            if (!item) break;
            struct item_field v =
                item_field(k->r->catalog, item, k->r->facets[f], S(""), k->r->market, k->r->now_ms);
            if (v.kind == FACT_TEXT) tally(k, f, v.text);
            else if (v.kind == FACT_BOOL) tally(k, f, v.b ? S("true") : S("false"));
            else if (v.kind == FACT_NUMBER && !v.is_money) tally(k, f, arena_printf(k->a, "%.10g", v.n));
            break;
        }
        }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void meet(struct ranking *k, const struct unit *u, isize unit, const struct posting *p,
                 f32 weight, isize base)
{
    isize slot = (isize)p->doc - base;
    struct met *m = &k->met[slot];
    u64 bit = (u64)1 << (slot & 63);
    if (!(k->touched[slot >> 6] & bit)) {
        k->touched[slot >> 6] |= bit;
        memset(m, 0, sizeof *m);
        m->unit = m->beside_unit = 0xff;
    }
    if (m->unit != unit) {
        m->before = m->unit == unit - 1 ? m->mask : 0;
        m->unit = (u8)unit;
        m->units++;
        m->coverage += u->rarity;
        m->unit_best = 0;
        m->mask = 0;
    }
    f32 value = weight * (f32)p->impact * (1.0F / 65535);
    if (value > m->unit_best) { m->text += value - m->unit_best; m->unit_best = value; }
    m->mask |= p->mask;
    if (m->before && ((m->before << 1) & p->mask) && m->beside_unit != unit) {
        m->beside++;
        m->beside_unit = (u8)unit;
    }
    if (unit == k->last_unit) m->head |= p->flags;
}

/* A unit behind a minus, and a phrase that is not one, take an item out: their units never count again. */
static void run_unit(struct ranking *k, isize unit, isize base, isize end)
{
    const struct unit *u = &k->q->units[unit];
    for (isize i = 0; i < u->n; i++) {
        struct postings list = u->at[i].lists[k->part_index];
        isize *at = &k->cursors[unit * ALTERNATIVES_MAX + i].at[k->part_index];
        for (; *at < list.n && (isize)list.at[*at].doc < end; ++*at) {
            const struct posting *p = &list.at[*at];
            isize slot = (isize)p->doc - base;
            if (!u->excluded) { meet(k, u, unit, p, u->at[i].weight, base); continue; }
            k->touched[slot >> 6] &= ~((u64)1 << (slot & 63));
        }
    }
    if (!u->joined) return;
    for (isize slot = 0; slot < end - base; slot++) {
        const struct met *m = &k->met[slot];
        if (!(k->touched[slot >> 6] >> (slot & 63) & 1)) continue;
        if (m->unit != unit || m->beside_unit != unit) k->touched[slot >> 6] &= ~((u64)1 << (slot & 63));
    }
}

static u32 hit_id(const struct ranking *k, isize doc) { return (u32)doc << 1 | (u32)k->part_index; }

static void take(struct ranking *k, isize doc, const struct met *m)
{
    const struct doc *d = &k->part->docs[doc];
    bool full = m->units >= k->q->positive;
    if (!full && (!k->counting_partial || (f64)m->coverage < least_coverage * k->q->rarity)) return;
    if (full && k->counting_partial) return;            /* counted in the first run */
    if (!may_show(k, d)) return;
    if (full) k->full_n++;
    else k->partial_n++;
    count_facets(k, d);
    topk_add(full ? &k->full : &k->partial, hit_id(k, doc), order_of(k, d, m));
}

static void run_block(struct ranking *k, isize base, isize end)
{
    static const struct met nothing = { 0 };
    if (k->q->positive == 0) {
        memset(k->touched, 0xff, BLOCK / 8);
    } else memset(k->touched, 0, BLOCK / 8);
    for (isize unit = 0; unit < k->q->n; unit++)
        if (!k->q->units[unit].excluded) run_unit(k, unit, base, end);
    for (isize unit = 0; unit < k->q->n; unit++)
        if (k->q->units[unit].excluded) run_unit(k, unit, base, end);
    for (isize word = 0; word < (end - base + 63) / 64; word++)
        for (u64 bits = k->touched[word]; bits; bits &= bits - 1) {
            isize slot = word * 64 + __builtin_ctzll(bits);
            if (slot < end - base) take(k, base + slot, k->q->positive ? &k->met[slot] : &nothing);
        }
}

/* ---- a part ---------------------------------------------------------------------------------- */

static f32 share_of(const struct search_request *r, const char *dimension, str value)
{
    for (isize i = 0; i < r->likings_n; i++)
        if (str_eq(r->likings[i].dimension, str_of(dimension)) && str_eq_nocase(r->likings[i].value, value))
            return (f32)r->likings[i].share;
    return 0;
}

static void know_likings(struct ranking *k)
{
    const struct search_request *r = k->r;
    struct liked *l = &k->liked[k->part_index];
    k->likes = r->dial > 0 && r->likings_n > 0;
    if (!k->likes || l->category) return;
    l->category = arena_new(k->a, f32, k->categories_n);
    l->brand = arena_new(k->a, f32, k->part->brands_n);
    l->colour = arena_new(k->a, f32, k->part->colours_n);
    for (isize c = 1; c < k->categories_n; c++) {
        category_id id = { (u32)c };
        f32 path = share_of(r, "category", catalog_category_path(r->catalog, id));
        f32 name = share_of(r, "category", catalog_category_name(r->catalog, id));
        l->category[c] = path > name ? path : name;
    }
    for (isize i = 1; i < k->part->brands_n; i++) l->brand[i] = share_of(r, "brand", k->part->brands[i]);
    for (isize i = 1; i < k->part->colours_n; i++) l->colour[i] = share_of(r, "colour", k->part->colours[i]);
}

static void run_part(struct ranking *k, int part_index)
{
    const struct part *part = part_index ? k->index->small : k->index->large;
    if (!part) return;
    k->part = part;
    k->part_index = part_index;
    k->market = part->markets && k->r->market.len > 0;
    know_likings(k);
    for (isize unit = 0; unit < k->q->n * ALTERNATIVES_MAX; unit++) k->cursors[unit].at[part_index] = 0;
    for (isize base = 0; base < part->docs_n; base += BLOCK)
        run_block(k, base, min_isize(base + BLOCK, part->docs_n));
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int most_first(const void *x, const void *y)
{
    const struct search_count *a = x, *b = y;
    if (a->n != b->n) return a->n > b->n ? -1 : 1;
    return str_cmp(a->value, b->value);
}

static int rising(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return (a > b) - (a < b);
}

/* 1, 2 or 5 times a power of ten, the nearest from above. */
static f64 round_step(f64 v)
{
    if (v <= 0) return 1;
    f64 power = pow(10, floor(log10(v)));
    for (int i = 0; i < 3; i++) {
        static const f64 nice[] = { 1, 2, 5 };
        if (v <= nice[i] * power) return nice[i] * power;
    }
    return 10 * power;
}

/* Borders at round numbers near every fifth of the items. */
static void finish_prices(struct ranking *k, struct search_facet *facet)
{
    isize n = k->prices.n;
    if (n == 0) return;
    qsort(k->prices.at, (size_t)n, sizeof *k->prices.at, rising);
    facet->at = arena_new(k->a, struct search_count, PRICE_STEPS);
    f64 from = 0;
    isize at = 0;
    for (isize step = 1; step <= PRICE_STEPS && at < n; step++) {
        isize last = n * step / PRICE_STEPS - (n * step / PRICE_STEPS > 0);
        f64 to = step == PRICE_STEPS ? k->prices.at[n - 1] / 100 + 1 : round_step(k->prices.at[last] / 100);
        if (to <= from) continue;
        isize first = at;
        while (at < n && k->prices.at[at] / 100 < to) at++;
        if (at == first) continue;
        f64 counted = (f64)(at - first) * (f64)k->prices.seen / (f64)n;
        facet->at[facet->n++] = (struct search_count){ .from = from, .to = to, .n = (i64)llround(counted) };
        from = to;
    }
}

static void finish_category(struct ranking *k, struct search_facet *facet)
{
    /* a category counts what stands under it: parents were made first */
    for (isize c = k->categories_n - 1; c > 0; c--) {
        category_id up = catalog_category_parent(k->r->catalog, (category_id){ (u32)c });
        if (up.v && up.v < (u32)c) k->count_category[up.v] += k->count_category[c];
    }
    isize n = 0;
    for (isize c = 1; c < k->categories_n; c++) n += k->count_category[c] > 0;
    facet->at = arena_new(k->a, struct search_count, n);
    for (isize c = 1; c < k->categories_n; c++) {
        if (k->count_category[c] == 0) continue;
        str path = catalog_category_path(k->r->catalog, (category_id){ (u32)c });
        facet->at[facet->n++] = (struct search_count){ .value = path, .n = k->count_category[c] };
    }
}

/* Brands or colours of both parts, each value once, as the large part writes it: a part has codes
 * of its own. */
static void finish_codes(struct ranking *k, struct search_facet *facet, bool brand)
{
    const struct part *parts[] = { k->index->large, k->index->small };
    struct map *by_value = map_new(64);
    isize most = 0;
    for (int p = 0; p < 2; p++)
        if (parts[p]) most += brand ? parts[p]->brands_n : parts[p]->colours_n;
    facet->at = arena_new(k->a, struct search_count, most);
    /* the small part first: where it has nothing, nothing need be looked up */
    for (int p = 1; p >= 0; p--) {
        if (!parts[p]) continue;
        const u32 *counts = brand ? k->count[p].brand : k->count[p].colour;
        const str *values = brand ? parts[p]->brands : parts[p]->colours;
        isize fresh = facet->n;
        for (isize i = 1; i < (brand ? parts[p]->brands_n : parts[p]->colours_n); i++) {
            if (counts[i] == 0) continue;
            isize at = facet->n;
            if (p == 1) (void)map_put(by_value, term_hash(word_fold(k->a, values[i])), (u64)at);
            else if (fresh) at = (isize)map_get(by_value, term_hash(word_fold(k->a, values[i])), (u64)at);
            if (at == facet->n) facet->n++;
            facet->at[at].value = values[i];
            facet->at[at].n += counts[i];
        }
    }
    map_free(by_value);
}

static void finish_attribute(struct ranking *k, struct search_facet *facet, isize f)
{
    facet->at = arena_new(k->a, struct search_count, k->tallies[f].n);
    for (isize i = 0; i < k->tallies[f].n; i++) {
        const struct tallied *t = &k->tallies[f].at[i];
        facet->at[facet->n++] = (struct search_count){ .value = t->value, .n = t->n };
    }
    map_free(k->tallies[f].by_value);
}

static void finish_facets(struct ranking *k, struct search_answer *out)
{
    out->facets = arena_new(k->a, struct search_facet, k->facets_n);
    for (isize f = 0; f < k->facets_n; f++) {
        struct search_facet *facet = &out->facets[out->facets_n++];
        facet->name = k->r->facets[f];
        switch ((enum facet_kind)k->facet_kind[f]) {
        case FACET_PRICE: finish_prices(k, facet); continue;        /* in their own order */
        case FACET_CATEGORY: finish_category(k, facet); break;
        case FACET_BRAND: case FACET_COLOUR: finish_codes(k, facet, k->facet_kind[f] == FACET_BRAND); break;
        case FACET_ATTRIBUTE: finish_attribute(k, facet, f); break;
        }
        qsort(facet->at, (size_t)facet->n, sizeof *facet->at, most_first);
        facet->n = min_isize(facet->n, SEARCH_FACET_VALUES_MAX);
    }
}

/* What a hit's score is made of, by meeting the item once more, alone. */
static struct search_parts explain(struct ranking *k, isize doc, int part_index)
{
    k->part_index = part_index;
    k->part = part_index ? k->index->small : k->index->large;
    isize base = doc / BLOCK * BLOCK;
    memset(k->touched, 0, BLOCK / 8);
    for (isize unit = 0; unit < k->q->n; unit++) {
        const struct unit *u = &k->q->units[unit];
        for (isize i = 0; i < u->n && !u->excluded; i++) {
            struct postings list = u->at[i].lists[part_index];
            isize low = 0, high = list.n;
            while (low < high) {
                isize middle = low + (high - low) / 2;
                if ((isize)list.at[middle].doc < doc) low = middle + 1;
                else high = middle;
            }
            if (low < list.n && (isize)list.at[low].doc == doc)
                meet(k, u, unit, &list.at[low], u->at[i].weight, base);
        }
    }
    static const struct met nothing = { 0 };
    return parts_of(k, &k->part->docs[doc], k->q->positive ? &k->met[doc - base] : &nothing);
}

static void finish_hits(struct ranking *k, struct search_answer *out)
{
    isize full = topk_finish(&k->full), partial = k->counting_partial ? topk_finish(&k->partial) : 0;
    const struct search_request *r = k->r;
    out->hits = arena_new(k->a, struct search_hit, r->limit + 1);
    for (isize i = r->offset; i < full + partial && out->hits_n < r->limit; i++) {
        bool is_partial = i >= full;
        struct scored s = is_partial ? k->partial.at[i - full] : k->full.at[i];
        const struct part *part = s.id & 1 ? k->index->small : k->index->large;
        struct search_parts parts = explain(k, (isize)(s.id >> 1), (int)(s.id & 1));
        out->hits[out->hits_n++] = (struct search_hit){ .item = part->docs[s.id >> 1].item,
                                                        .score = product_of(parts),
                                                        .partial = is_partial,
                                                        .parts = parts };
    }
}

/* ---- what the shop says of a question -------------------------------------------------------- */

static bool same_question(arena *a, str folded, str rule)
{
    return rule.len > 0 && str_eq(folded, word_fold(a, rule));
}

static void put_pin(struct search_answer *out, const struct search_request *r, u32 item, isize position)
{
    isize at = 0, place = position - 1 - r->offset;
    if (place < 0 || place >= r->limit) return;
    while (at < out->hits_n && out->hits[at].item != item) at++;
    struct search_hit hit = at < out->hits_n ? out->hits[at] : (struct search_hit){ .item = item };
    if (at < out->hits_n)
        memmove(out->hits + at, out->hits + at + 1,
                (size_t)(--out->hits_n - at) * sizeof *out->hits);
    else out->total++;
    place = min_isize(place, out->hits_n);
    out->hits_n = min_isize(out->hits_n, r->limit - 1);
    memmove(out->hits + place + 1, out->hits + place,
            (size_t)max_isize(0, out->hits_n - place) * sizeof *out->hits);
    hit.pinned = true;
    out->hits[place] = hit;
    out->hits_n++;
}

static void apply_rules(const struct search_request *r, arena *a, struct search_answer *out)
{
    const struct search_rules *rules = r->rules;
    if (!rules) return;
    str folded = word_fold(a, r->text);
    for (isize i = 0; i < rules->redirects_n; i++)
        if (same_question(a, folded, rules->redirects[i].query)) out->redirect = rules->redirects[i].url;
    for (isize i = 0; i < rules->pins_n && r->sort == SORT_RANK; i++) {
        const struct search_pin *pin = &rules->pins[i];
        bool meant = folded.len ? same_question(a, folded, pin->query)
                                : pin->category.len && str_eq_nocase(pin->category, r->category);
        const struct item *item =
            meant ? catalog_item(r->catalog, catalog_find(r->catalog, pin->item)) : NULL;
        bool may = item && item_showable(r->catalog, item) && item->kind != ITEM_CONTENT
                   && (!r->in_stock_only || item_in_stock(item))
                   && (!r->eligible || r->eligible(r->ctx, item->id.v));
        if (may) put_pin(out, r, item->id.v, pin->position);
    }
}

static void run_all(struct ranking *k)
{
    for (int p = 0; p < 2; p++) run_part(k, p);
}

void search_run(const struct search_index *index, const struct search_request *request, arena *a,
                struct search_answer *out)
{
    *out = (struct search_answer){ 0 };
    struct search_request r = *request;
    r.limit = max_isize(0, min_isize(r.limit, SEARCH_LIMIT_MAX));
    r.offset = max_isize(0, min_isize(r.offset, SEARCH_LIMIT_MAX));
    r.dial = (i32)max_i64(0, min_i64(r.dial, 100));
    r.facets_n = min_isize(r.facets_n, SEARCH_FACETS_MAX);
    if (!index) return;
    struct query *q = arena_new(a, struct query, 1);
    query_read(index, &r, a, q);
    struct ranking k = { .index = index, .r = &r, .q = q, .a = a, .facets_n = r.facets_n,
                         .category = catalog_name(r.catalog, r.category) };
    bool words = str_trim(r.text).len > 0;
    for (isize i = 0; i < q->n; i++)
        if (!q->units[i].excluded) k.last_unit = i;
    k.met = arena_new(a, struct met, BLOCK);
    k.touched = arena_alloc(a, sizeof(u64), 8, BLOCK / 64);
    k.cursors = arena_alloc(a, sizeof *k.cursors, 8, SEARCH_WORDS_MAX * ALTERNATIVES_MAX);
    k.categories_n = catalog_categories(r.catalog) + 1;
    k.in_category = arena_new(a, u8, k.categories_n);
    k.count_category = arena_new(a, u32, k.categories_n);
    k.prices.at = arena_new(a, f64, PRICES_SAMPLED);
    for (isize f = 0; f < k.facets_n; f++) {
        k.facet_kind[f] = (u8)facet_kind_of(r.facets[f]);
        if (k.facet_kind[f] != FACET_ATTRIBUTE) continue;
        k.tallies[f].at = arena_new(a, struct tallied, ATTRIBUTE_VALUES_MAX);
        k.tallies[f].by_value = map_new(64);
    }
    for (int p = 0; p < 2; p++) {
        const struct part *part = p ? index->small : index->large;
        k.count[p].brand = part ? arena_new(a, u32, part->brands_n) : NULL;
        k.count[p].colour = part ? arena_new(a, u32, part->colours_n) : NULL;
    }
    isize keep = max_isize(1, r.limit + r.offset);
    k.full = topk_new(a, keep);
    know_changes(&k);
    if (q->positive || !words || q->n > q->positive) run_all(&k);
    if (q->positive > 1 && k.full_n < ENOUGH) {
        k.partial = topk_new(a, keep);
        k.counting_partial = true;
        run_all(&k);
    }
    out->total = k.full_n + k.partial_n;
    out->partial = k.partial_n > 0;
    out->corrected = q->corrected;
    finish_facets(&k, out);
    finish_hits(&k, out);
    apply_rules(&r, a, out);
}
