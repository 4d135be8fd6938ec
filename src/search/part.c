/* SPDX-License-Identifier: Apache-2.0
 *
 * part.c - one part of an index: words to items, as arrays that are never changed.
 *
 * The score of a word in an item is BM25F (Robertson, Zaragoza, Taylor 2004): occurrences in each
 * field, divided by how long that field is against the average, are weighted by field and summed,
 * and only the sum saturates:
 *
 *     x = sum over fields of weight_f * count_f / (1 - b + b * length_f / average_f)
 *     impact = x / (k1 + x),   k1 = 1.2, b = 0.75        (the values of the first papers, not fitted)
 *
 * so that a word in the title and again in the description is not two finds. What a word weighs
 * beside others, its rarity log(1 + (N - n + 0.5) / (n + 0.5)), is multiplied in when a question is
 * asked. Weights: title 5, brand 3, description 2, attributes 1.
 *
 * Built in two passes over the items' words: the first numbers terms and lays (term, counts, places)
 * down in the order of items, the second sorts them by term (a counting sort, so that items stay in
 * order) and computes impacts, for which the averages must be known.
 *
 * A posting says in which of the first places of title and description its word stands (a bit each),
 * which is enough to see neighbours by a shift and an and.
 */
#include "base/clock.h"
#include "base/rcu.h"
#include "search/inside.h"

#include <math.h>
#include <stdlib.h>

enum { ITEMS_PER_BRACKET = 256, COUNT_MAX = 255 };
static const f64 weights[FIELDS] = { 5, 3, 2, 1 };
static const f64 k1 = 1.2, b_length = 0.75;

struct laid { u32 term, mask; u8 count[FIELDS]; u8 flags; };

struct building {
    struct part *part;
    const struct part_source *source;
    struct languages languages;
    arena scratch;                                      /* one item */
    arena own;                                          /* the whole build */
    struct { struct laid *at; isize n, cap; } laid;
    struct { isize *at; isize n, cap; } laid_from;      /* by doc */
    struct { u32 *at; isize n, cap; } lengths;          /* FIELDS a doc */
    struct { struct doc *at; isize n, cap; } docs;
    struct { struct written *at; isize n, cap; } words;
    struct map *by_word, *colour_words;
    struct { str *at; isize n, cap; } brands, colours;
    struct map *brand_codes, *colour_codes;
    /* term -> where it was laid for this doc, + 1; else from before it */
    struct { u32 *at; isize n, cap; } term_in_doc;
    u64 total[FIELDS];
};

struct hash128 term_hash(str term) { return hash128(term, 0x5ea7c4); }

/* ---- words of one item ----------------------------------------------------------------------- */

static u32 term_number(struct building *b, str term)
{
    struct part *p = b->part;
    struct hash128 h = term_hash(term);
    u64 found = map_get(p->by_term, h, UINT64_MAX);
    if (found != UINT64_MAX) return (u32)found;
    u32 number = (u32)p->terms++;
    (void)map_put(p->by_term, h, number);
    vec_push(&b->term_in_doc, 0);
    return number;
}

static void note_word(struct building *b, str text, u32 term)
{
    struct hash128 h = term_hash(text);
    u64 found = map_get(b->by_word, h, UINT64_MAX);
    if (found == UINT64_MAX) {
        found = (u64)b->words.n;
        (void)map_put(b->by_word, h, found);
        vec_push(&b->words,
                 (struct written){ arena_str(&b->part->arena, text), term, 0, word_letters(text) });
    }
    b->words.at[found].uses++;
}

static bool is_colour(const struct building *b, str word)
{
    return word.len > 0 && map_get(b->colour_words, term_hash(word), 0) > (u64)(b->part->docs_n / 4000);
}

/* `from`: places used in this field so far, when it is made of several texts. Returns places used
 * after it. */
static isize add_words(struct building *b, u32 doc, enum field field, str text, str locale, isize from)
{
    if (text.len == 0) return from;
    isize first = b->laid_from.at[doc];
    struct words words = words_of(&b->languages, text, locale, &b->scratch);
    for (isize i = 0; i < words.n; i++) {
        const struct word *w = &words.at[i];
        u32 term = term_number(b, w->term);
        isize at = (isize)b->term_in_doc.at[term] - 1;
        if (at < first) {                               /* not laid for this doc yet */
            at = b->laid.n;
            vec_push(&b->laid, (struct laid){ .term = term });
            b->term_in_doc.at[term] = (u32)at + 1;
            if (!(w->flags & WORD_EXTRA)) note_word(b, w->text, term);
        }
        struct laid *laid = &b->laid.at[at];
        if (laid->count[field] < COUNT_MAX) laid->count[field]++;
        isize place = from + w->at;
        if (field == FIELD_TITLE && place < TITLE_PLACES) laid->mask |= 1U << place;
        if (field == FIELD_DESCRIPTION && place < DESCRIPTION_PLACES)
            laid->mask |= 1U << (DESCRIPTION_SHIFT + place);
        bool ends = (w->flags & WORD_ENDS) || is_colour(b, w->next);
        bool head = ends && !(w->flags & (WORD_RELATES | WORD_CONTAINS_DIGIT));
        if (head && field == FIELD_TITLE) laid->flags |= POSTING_TITLE_HEAD;
        if (head && field == FIELD_DESCRIPTION) laid->flags |= POSTING_TEXT_HEAD;
    }
    /* a gap: the next text's first word is no neighbour */
    return from + words.places + 1;
}

static str language_of(const struct building *b, str locale)
{
    return locale.len ? locale : b->source->language;
}

static bool is_true(const struct fact *f)
{
    return (f->kind == FACT_BOOL && f->b)
           || (f->kind == FACT_TEXT && str_eq_nocase(f->text, S("true")));
}

static str fact_name(const struct building *b, str name, arena *a)
{
    str out = arena_str(a, name);
    (void)b;
    for (isize i = 0; i < out.len; i++)
        if (out.ptr[i] == '_') ((char *)(uintptr_t)out.ptr)[i] = ' ';
    return out;
}

static void add_item_words(struct building *b, u32 doc, const struct item *item)
{
    isize used[FIELDS] = { 0 };
    str language = b->source->language;
    for (isize i = 0; i < item->titles_n; i++)
        used[FIELD_TITLE] = add_words(b, doc, FIELD_TITLE, item->titles[i].value,
                                      language_of(b, item->titles[i].locale), used[FIELD_TITLE]);
    used[FIELD_BRAND] = add_words(b, doc, FIELD_BRAND, item->brand, language, 0);
    for (isize i = 0; i < item->descriptions_n; i++)
        used[FIELD_DESCRIPTION] =
            add_words(b, doc, FIELD_DESCRIPTION, item->descriptions[i].value,
                      language_of(b, item->descriptions[i].locale), used[FIELD_DESCRIPTION]);
    isize n = add_words(b, doc, FIELD_ATTRIBUTES, item->category, language, 0);
    n = add_words(b, doc, FIELD_ATTRIBUTES, item->colour, language, n);
    n = add_words(b, doc, FIELD_ATTRIBUTES, item->key, S("xx"), n);
    for (isize i = 0; i < item->variants_n; i++) {
        n = add_words(b, doc, FIELD_ATTRIBUTES, item->variants[i].key, S("xx"), n);
        n = add_words(b, doc, FIELD_ATTRIBUTES, item->variants[i].colour, language, n);
    }
    for (isize i = 0; i < item->attributes_n; i++) {
        const struct fact *f = &item->attributes[i];
        if (is_true(f))
            n = add_words(b, doc, FIELD_ATTRIBUTES, fact_name(b, f->name, &b->scratch), language,
                          n);
        else if (f->kind == FACT_TEXT && !str_eq_nocase(f->text, S("false")))
            n = add_words(b, doc, FIELD_ATTRIBUTES, f->text, language, n);
    }
    used[FIELD_ATTRIBUTES] = n;
    for (int f = 0; f < FIELDS; f++) {
        vec_push(&b->lengths, (u32)used[f]);
        b->total[f] += (u64)used[f];
    }
}

/* ---- the rest of an item --------------------------------------------------------------------- */

static u32 code_of(struct building *b, struct map *codes, str value, bool brand)
{
    if (value.len == 0) return 0;
    struct hash128 h = term_hash(word_fold(&b->scratch, value));
    u64 found = map_get(codes, h, 0);
    if (found) return (u32)found;
    str copy = arena_str(&b->part->arena, value);
    if (brand) vec_push(&b->brands, copy);
    else vec_push(&b->colours, copy);
    found = (u64)(brand ? b->brands.n : b->colours.n) - 1;
    (void)map_put(codes, h, found);
    return (u32)found;
}

u8 doc_flags(const struct catalog *catalog, const struct item *item)
{
    return (u8)((item_showable(catalog, item) ? DOC_SHOWABLE : 0) | (item_in_stock(item) ? DOC_IN_STOCK : 0));
}

static void add_item(struct building *b, const struct item *item)
{
    const struct part_source *s = b->source;
    if (item->kind == ITEM_CONTENT || item->removed) return;
    const struct price *price = item_price(item, S(""));
    for (isize i = 0; i < item->prices_n; i++) b->part->markets |= item->prices[i].market.len > 0;
    str colour = item->colour.len || item->variants_n == 0 ? item->colour : item->variants[0].colour;
    u32 doc = (u32)b->docs.n;
    vec_push(&b->docs, (struct doc){ .item = item->id.v,
                                     .category = item->category_id.v,
                                     .brand = code_of(b, b->brand_codes, item->brand, true),
                                     .colour = code_of(b, b->colour_codes, colour, false),
                                     .price_minor = price ? price->minor : 0,
                                     .currency = price ? price->currency.v : 0,
                                     .published_ms = item->published_at_ms,
                                     .flags = doc_flags(s->catalog, item),
                                     .popularity = (isize)item->id.v < s->popularity_n
                                                       ? s->popularity[item->id.v]
                                                       : 0 });
    vec_push(&b->laid_from, b->laid.n);
    add_item_words(b, doc, item);
    arena_clear(&b->scratch);
}

/* ---- passes over all ------------------------------------------------------------------------- */

static void each_item(struct building *b, void (*take)(struct building *, const struct item *))
{
    const struct part_source *s = b->source;
    isize n = s->items ? s->items_n : catalog_count(s->catalog);
    for (isize i = 0; i < n;) {
        rcu_read_begin();
        for (isize end = i + ITEMS_PER_BRACKET; i < n && i < end; i++) {
            const struct item *item =
                catalog_item(s->catalog, (item_id){ s->items ? s->items[i] : (u32)i + 1 });
            if (item) take(b, item);
        }
        rcu_read_end();
    }
}

static void note_colour(struct building *b, str text)
{
    struct words words = words_of(&b->languages, text, S("xx"), &b->scratch);
    for (isize i = 0; i < words.n; i++) {
        struct hash128 h = term_hash(words.at[i].text);
        (void)map_put(b->colour_words, h, map_get(b->colour_words, h, 0) + 1);
    }
}

static void note_colours(struct building *b, const struct item *item)
{
    b->part->docs_n++;
    note_colour(b, item->colour);
    for (isize i = 0; i < item->variants_n; i++) note_colour(b, item->variants[i].colour);
    for (isize i = 0; i < item->attributes_n; i++) {
        const struct fact *f = &item->attributes[i];
        bool colour = str_find(f->name, S("colour")) >= 0 || str_find(f->name, S("color")) >= 0
                      || str_find(f->name, S("farge")) >= 0;
        if (colour && f->kind == FACT_TEXT) note_colour(b, f->text);
    }
    arena_clear(&b->scratch);
}

static u16 impact_of(const struct part *p, const struct laid *l, const u32 *lengths)
{
    f64 x = 0;
    for (int f = 0; f < FIELDS; f++)
        if (l->count[f])
            x += weights[f] * l->count[f] / (1 - b_length + b_length * lengths[f] / p->average[f]);
    return (u16)lrint(65535 * x / (k1 + x));
}

static void sort_by_term(struct building *b)
{
    struct part *p = b->part;
    p->from = arena_new(&p->arena, u32, p->terms + 2);
    for (isize i = 0; i < b->laid.n; i++) p->from[b->laid.at[i].term + 1]++;
    for (isize t = 0; t < p->terms; t++) p->from[t + 1] += p->from[t];
    p->postings = arena_new(&p->arena, struct posting, b->laid.n + 1);
    u32 *next = arena_new(&b->own, u32, p->terms + 1);
    memcpy(next, p->from, (size_t)p->terms * sizeof *next);
    for (isize d = 0; d < p->docs_n; d++) {
        isize to = d + 1 < p->docs_n ? b->laid_from.at[d + 1] : b->laid.n;
        for (isize i = b->laid_from.at[d]; i < to; i++) {
            const struct laid *l = &b->laid.at[i];
            p->postings[next[l->term]++] =
                (struct posting){ .doc = (u32)d,
                                  .impact = impact_of(p, l, b->lengths.at + d * FIELDS),
                                  .flags = l->flags,
                                  .mask = l->mask };
        }
    }
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(((const struct written *)x)->text, ((const struct written *)y)->text);
}

static bool is_spelled(str text)
{
    bool digit = false;
    for (isize i = 0; i < text.len; i++) digit |= text.ptr[i] >= '0' && text.ptr[i] <= '9';
    return !digit && text.len <= SPELLED_MAX;
}

static void settle_spelled(struct part *p)
{
    u32 next[SPELLED_MAX + 2] = { 0 };
    for (isize i = 0; i < p->words_n; i++)
        if (is_spelled(p->words[i].text)) p->spelled_from[p->words[i].text.len + 1]++;
    for (isize i = 0; i <= SPELLED_MAX; i++) p->spelled_from[i + 1] += p->spelled_from[i];
    memcpy(next, p->spelled_from, sizeof next);
    p->spelled = arena_new(&p->arena, u32, (isize)p->spelled_from[SPELLED_MAX + 1]);
    p->spelled_letters = arena_new(&p->arena, u64, (isize)p->spelled_from[SPELLED_MAX + 1]);
    for (isize i = 0; i < p->words_n; i++) {
        if (!is_spelled(p->words[i].text)) continue;
        u32 at = next[p->words[i].text.len]++;
        p->spelled[at] = (u32)i;
        p->spelled_letters[at] = p->words[i].letters;
    }
}

static void settle(struct building *b)
{
    struct part *p = b->part;
    p->docs_n = b->docs.n;
    p->docs = arena_new(&p->arena, struct doc, b->docs.n + 1);
    if (b->docs.n) memcpy(p->docs, b->docs.at, (size_t)b->docs.n * sizeof *p->docs);
    for (int f = 0; f < FIELDS; f++) {
        p->average[f] = p->docs_n ? fmax(1, (f64)b->total[f] / (f64)p->docs_n) : 1;
        if (b->source->like) p->average[f] = b->source->like->average[f];
    }
    sort_by_term(b);
    p->words_n = b->words.n;
    p->words = arena_new(&p->arena, struct written, b->words.n + 1);
    if (b->words.n) memcpy(p->words, b->words.at, (size_t)b->words.n * sizeof *p->words);
    qsort(p->words, (size_t)p->words_n, sizeof *p->words, by_text);
    settle_spelled(p);
    p->brands_n = b->brands.n;
    p->brands = arena_new(&p->arena, str, b->brands.n);
    memcpy(p->brands, b->brands.at, (size_t)b->brands.n * sizeof *p->brands);
    p->colours_n = b->colours.n;
    p->colours = arena_new(&p->arena, str, b->colours.n);
    memcpy(p->colours, b->colours.at, (size_t)b->colours.n * sizeof *p->colours);
    p->by_item = map_new(b->source->items ? p->docs_n : 1);
    for (isize d = 0; b->source->items && d < p->docs_n; d++)
        (void)map_put(p->by_item, (struct hash128){ p->docs[d].item, p->docs[d].item }, (u64)d + 1);
}

struct part *part_build(const struct part_source *source)
{
    i64 began = clock_monotonic_us();
    struct part *p = mem_new(sizeof *p);
    struct building b = { .part = p,
                          .source = source,
                          .by_word = map_new(4096),
                          .colour_words = map_new(256),
                          .brand_codes = map_new(256),
                          .colour_codes = map_new(256) };
    atomic_init(&p->users, 1);
    p->by_term = map_new(4096);
    languages_init(&b.languages, &b.own);
    vec_push(&b.brands, S(""));
    vec_push(&b.colours, S(""));
    each_item(&b, note_colours);
    each_item(&b, add_item);
    settle(&b);
    p->bytes = p->arena.used + (isize)sizeof *p;
    vec_fini(&b.laid);
    vec_fini(&b.laid_from);
    vec_fini(&b.lengths);
    vec_fini(&b.docs);
    vec_fini(&b.words);
    vec_fini(&b.brands);
    vec_fini(&b.colours);
    vec_fini(&b.term_in_doc);
    map_free(b.by_word);
    map_free(b.colour_words);
    map_free(b.brand_codes);
    map_free(b.colour_codes);
    arena_fini(&b.scratch);
    arena_fini(&b.own);
    p->took_us = clock_monotonic_us() - began;
    return p;
}

void part_drop(struct part *part)
{
    if (!part || atomic_fetch_sub(&part->users, 1) > 1) return;
    map_free(part->by_term);
    map_free(part->by_item);
    arena_fini(&part->arena);
    mem_free(part);
}

struct postings part_postings(const struct part *p, str term)
{
    u64 t = p ? map_get(p->by_term, term_hash(term), UINT64_MAX) : UINT64_MAX;
    if (t == UINT64_MAX) return (struct postings){ 0 };
    return (struct postings){ p->postings + p->from[t], (isize)(p->from[t + 1] - p->from[t]) };
}
