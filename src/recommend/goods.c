/* SPDX-License-Identifier: Apache-2.0
 *
 * goods.c - what the catalogue says of each item, as numbers; and which items are alike by it.
 *
 * A token is the hash of "name=value": of the category and each one above it, the brand, the
 * colour, the gender, each attribute and each word of a title. Two items are alike by the cosine of
 * their tokens, each weighing log(items / items with it): a new item has neighbours from the minute
 * the feed describes it. Tokens that POSTING_MAX items share tell nothing and are left out of that.
 *
 * Facets (all but words of titles) are kept item by item list: what a quiz's answers are looked up
 * in (quiz_score).
 *
 * Read inside rcu brackets, some items at a time, into the build's own memory. */
#include "base/hash.h"
#include "base/rcu.h"
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

enum { PER_BRACKET = 1000, TOKENS_MAX = 48, WORD_MAX = 64, POSTING_MAX = 2000, ALIKE = 50 };

u64 recommend_facet(str name, str value)
{
    char text[256];
    isize n = 0;
    for (isize part = 0; part < 2; part++) {
        str s = part ? value : name;
        for (isize i = 0; i < s.len && n < countof(text) - 1; i++) {
            char c = s.ptr[i];
            text[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        if (!part) text[n++] = '=';
    }
    u64 hash = hash64((str){ text, n }, 17);
    return hash ? hash : 1;
}

struct token { u64 hash; u32 item; bool facet; };
struct reader { struct token *at; isize n, cap; u32 item; isize of_item; };

static void say(struct reader *r, str name, str value, bool facet)
{
    if (value.len == 0 || r->of_item >= TOKENS_MAX) return;
    r->of_item++;
    vec_push(r, (struct token){ recommend_facet(name, value), r->item, facet });
}

static void say_words(struct reader *r, str text)
{
    isize from = 0;
    for (isize i = 0; i <= text.len; i++) {
        bool inside = i < text.len && ((text.ptr[i] & 0x80) || (text.ptr[i] >= '0' && text.ptr[i] <= '9')
                                       || ((text.ptr[i] | 32) >= 'a' && (text.ptr[i] | 32) <= 'z'));
        if (inside) continue;
        if (i - from >= 3 && i - from <= WORD_MAX) say(r, S("word"), str_slice(text, from, i), false);
        from = i + 1;
    }
}

static void say_attribute(struct reader *r, const struct fact *f, arena *a)
{
    const struct json *list;
    if (f->kind == FACT_TEXT) say(r, f->name, f->text, true);
    if (f->kind == FACT_BOOL) say(r, f->name, f->b ? S("true") : S("false"), true);
    if (f->kind != FACT_JSON || json_parse(a, f->text, &list, NULL)) return;
    json_each(one, list) say(r, f->name, json_str(one, S("")), true);
}

static void read_item(struct build *b, struct reader *r, const struct catalog *catalog,
                      const struct item *item)
{
    struct good *g = &b->goods[item->id.v];
    r->item = item->id.v;
    r->of_item = 0;
    g->category = item->category_id.v;
    g->described = item->kind != ITEM_SEEN;
    g->content = item->kind == ITEM_CONTENT;
    g->repurchase_days = item->repurchase_days;
    g->gender = item->gender.len ? (u32)recommend_facet(S("gender"), item->gender) : 0;
    if (str_eq_nocase(item->gender, S("unisex"))) g->gender = 0;
    if (item->prices_n) { g->minor = item->prices[0].minor; g->currency = item->prices[0].currency.v; }
    for (category_id c = item->category_id; c.v; c = catalog_category_parent(catalog, c))
        say(r, S("category"), catalog_category_name(catalog, c), true);
    say(r, S("brand"), item->brand, true);
    say(r, S("colour"), item->colour, true);
    say(r, S("gender"), item->gender, true);
    for (isize i = 0; i < item->attributes_n; i++) say_attribute(r, &item->attributes[i], &b->scratch);
    if (item->titles_n) say_words(r, item->titles[0].value);
}

static int by_hash(const void *left, const void *right)
{
    const struct token *a = left, *b = right;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return (a->item > b->item) - (a->item < b->item);
}

/* Facets to items, the hashes ascending. */
static void keep_facets(struct model *m, const struct token *at, isize n)
{
    isize values = 0, entries = 0;
    for (isize i = 0; i < n; i++) {
        if (!at[i].facet) continue;
        entries++;
        values += i == 0 || at[i].hash != at[i - 1].hash;
    }
    m->facets = (struct facets){ 0, arena_new(&m->arena, u64, values + 1),
                                 arena_new(&m->arena, u32, values + 2),
                                 arena_new(&m->arena, u32, entries + 1) };
    isize used = 0;
    for (isize i = 0; i < n; i++) {
        if (!at[i].facet) continue;
        if (i == 0 || at[i].hash != at[i - 1].hash) m->facets.hash[m->facets.n++] = at[i].hash;
        m->facets.items[used++] = at[i].item;
        m->facets.from[m->facets.n] = (u32)used;
    }
}

static void build_alike(struct build *b, const struct token *at, isize n)
{
    struct model *m = b->m;
    isize items = (isize)m->items, described = 0;
    /* Tokens by item, and for each where its run starts. */
    u32 *from = arena_new(&b->scratch, u32, items + 2),
        *run_of = arena_new(&b->scratch, u32, n + 1),
        *fill = arena_new(&b->scratch, u32, items + 1);
    u32 *run_to = arena_new(&b->scratch, u32, n + 1);
    f32 *idf = arena_new(&b->scratch, f32, n + 1), *length = arena_new(&b->scratch, f32, items + 1);
    for (isize i = 0; i < items; i++) described += b->goods[i].described;
    for (isize i = 0, to; i < n; i = to) {
        for (to = i; to < n && at[to].hash == at[i].hash;) to++;
        run_to[i] = (u32)to;
        idf[i] = to - i > 1 && to - i <= POSTING_MAX ? (f32)log((f64)(described + 1) / (f64)(to - i)) : 0;
        for (isize k = i; k < to; k++) { from[at[k].item + 1]++; length[at[k].item] += idf[i] * idf[i]; }
    }
    for (isize i = 0; i < items; i++) from[i + 1] += from[i];
    for (isize i = 0, to; i < n; i = to)
        for (to = i; to < (isize)run_to[i]; to++) run_of[from[at[to].item] + fill[at[to].item]++] = (u32)i;
    f32 *together = arena_new(&b->scratch, f32, items + 1);
    u32 *touched = arena_new(&b->scratch, u32, items + 1);
    struct { struct pair *at; isize n, cap; } pairs = { 0 };
    struct table *table = &m->tables[TABLE_CONTENT];
    table->from = arena_new(&m->arena, u32, items + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    for (isize i = 0; i < items; i++) {
        isize touched_n = 0;
        arena_reset(&b->scratch, mark);
        for (u32 t = from[i]; t < from[i + 1]; t++) {
            u32 run = run_of[t];
            for (u32 k = run; idf[run] > 0 && k < run_to[run]; k++) {
                u32 other = at[k].item;
                if (other == (u32)i) continue;
                if (together[other] <= 0) touched[touched_n++] = other;
                together[other] += idf[run] * idf[run];
            }
        }
        struct topk best = topk_new(&b->scratch, ALIKE);
        for (isize t = 0; t < touched_n; t++) {
            f64 both = sqrt((f64)length[i] * (f64)length[touched[t]]);
            if (b->goods[touched[t]].described) topk_add(&best, touched[t], (f64)together[touched[t]] / both);
            together[touched[t]] = 0;
        }
        topk_finish(&best);
        for (isize k = 0; k < best.n; k++)
            vec_push(&pairs, (struct pair){ best.at[k].id, (f32)best.at[k].score });
        table->from[i + 1] = (u32)pairs.n;
    }
    table->pairs = arena_new(&m->arena, struct pair, pairs.n + 1);
    if (pairs.n) memcpy(table->pairs, pairs.at, (size_t)pairs.n * sizeof *pairs.at);
    vec_fini(&pairs);
}

void build_goods(struct build *b, const struct catalog *catalog)
{
    struct model *m = b->m;
    struct reader r = { 0 };
    b->goods = arena_new(&b->scratch, struct good, (isize)m->items + 1);
    m->role = arena_new(&m->arena, u32, (isize)m->items + 1);
    if (!catalog) return;
    for (u32 id = 1; id < m->items;) {
        rcu_read_begin();
        for (u32 end = id + PER_BRACKET; id < end && id < m->items; id++) {
            const struct item *item = catalog_item(catalog, (item_id){ id });
            if (item && !item->removed) read_item(b, &r, catalog, item);
        }
        rcu_read_end();
    }
    for (u32 i = 1; i < m->items; i++) {
        m->role[i] = b->goods[i].category;
        if (b->goods[i].content && bitset_set(m->content, i)) m->contents++;
    }
    if (r.n) qsort(r.at, (size_t)r.n, sizeof *r.at, by_hash);
    isize n = 0;                                        /* a word said twice is said once */
    for (isize i = 0; i < r.n; i++)
        if (n == 0 || r.at[n - 1].hash != r.at[i].hash || r.at[n - 1].item != r.at[i].item)
            r.at[n++] = r.at[i];
    keep_facets(m, r.at, n);
    struct arena_mark mark = arena_mark(&b->scratch);
    if (builds(b, RECOMMENDER_CONTENT)) build_alike(b, r.at, n);
    arena_reset(&b->scratch, mark);
    vec_fini(&r);
}

/* Items that answer, each answer weighing by how few do; `gave` says which answer weighed most,
 * counted from 1. */
struct tally quiz_score(const struct model *m, const u64 *facets, isize n, bool content, arena *a)
{
    isize most = 0;
    for (int count = 1; count >= 0; count--) {
        struct tally tally = count ? (struct tally){ 0 } : tally_new(a, min_isize(most, (isize)m->items));
        for (isize f = 0; f < n; f++) {
            isize low = 0, high = m->facets.n;
            while (low < high) {
                isize middle = (low + high) / 2;
                if (m->facets.hash[middle] < facets[f]) low = middle + 1;
                else high = middle;
            }
            if (low == m->facets.n || m->facets.hash[low] != facets[f]) continue;
            u32 from = m->facets.from[low], to = m->facets.from[low + 1];
            if (count) { most += (isize)(to - from); continue; }
            f64 weight = log(1 + (f64)m->items / (f64)(to - from));
            for (u32 i = from; i < to; i++) {
                u32 item = m->facets.items[i];
                if (model_is_content(m, item) != content) continue;
                /* Among equals what sells stands first. */
                f64 liked = (f64)m->ranked[RANKING_POPULAR][item];
                tally_add(&tally, item, weight * (1 + .1 * liked / (1 + liked)));
            }
        }
        if (!count) return tally;
    }
    return (struct tally){ 0 };
}

isize quiz_reason(const struct model *m, const u64 *facets, isize n, u32 item)
{
    isize least = -1;
    u32 fewest = UINT32_MAX;
    for (isize f = 0; f < n; f++)
        for (isize v = 0; v < m->facets.n; v++) {
            if (m->facets.hash[v] != facets[f]) continue;
            u32 from = m->facets.from[v], to = m->facets.from[v + 1];
            for (u32 i = from; i < to; i++)
                if (m->facets.items[i] == item && to - from < fewest) { fewest = to - from; least = f; }
        }
    return least;
}
