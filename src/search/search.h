/* SPDX-License-Identifier: Apache-2.0
 *
 * search.h - which items a few words mean, best first, and how many of each kind there are.
 *
 * An index is made in the background from the catalogue and published by one pointer swap. It has
 * a large part, made seldom, and a small one with the items that changed since, made several times
 * a second; together they are one immutable snapshot. What an item costs, and whether it may be
 * shown at all, is asked of the live catalogue, so that a price, a stock level or a hidden item
 * acts on the next request.
 *
 * A person moves what they like up, as far as the dial says. The dial changes order and never
 * which items are found.
 *
 *   reads    base/, math/, event/, rule/, definition/, catalog/, profile/, segment/ (its definition errors)
 *   feeds    decide/ (what the shop says of search is compiled with all else), fold/, api/
 *   threads  one builder makes indexes; search_run from any thread inside rcu brackets
 *   memory   a part in its own arena; an answer in the request's
 */
#ifndef SEARCH_SEARCH_H
#define SEARCH_SEARCH_H

#include "catalog/catalog.h"
#include "rule/rule.h"
#include "segment/segment.h"

enum {
    SEARCH_QUERY_MAX = 256,
    SEARCH_WORDS_MAX = 16,
    SEARCH_LIMIT_MAX = 1000,
    SEARCH_FACETS_MAX = 8,
    SEARCH_FACET_VALUES_MAX = 50
};

/* ---- what the shop says: definitions of kind "search" ---------------------------------------------
 *
 * {"language": "en",                                  of texts that name none, and of questions without a locale
 *  "synonyms": [["laptop", "notebook"], …],           each stands for the others
 *  "redirects": [{"query": "returns", "url": "/help/returns"}],
 *  "pins": [{"query": "jeans", "item": "p-4", "position": 1}, {"category": "Women > Jeans", "item": "p-9", "position": 1}],
 *  "boosts": [{"rule": "item.margin > 0.4", "by": 1.2}],
 *  "dial": 50}                                        how far a person's liking moves the order: 0 to 100
 *
 * Several definitions are read in the order they were made, and their lists joined. */
struct search_synonyms { str *texts; isize n; };
struct search_redirect { str query, url; };
struct search_pin { str query, category, item; i32 position; };
struct search_boost { const struct rule *rule; f64 by; };
struct search_rules {
    str language;
    i32 dial;
    struct search_synonyms *synonyms; isize synonyms_n;
    struct search_redirect *redirects; isize redirects_n;
    struct search_pin *pins; isize pins_n;
    struct search_boost *boosts; isize boosts_n;
};
MUST_USE enum err search_rules_build(arena *a, const struct definitions *definitions,
                                     const struct definition_candidate *candidate,
                                     const struct rule_names *names,
                                     const struct search_rules **out,
                                     struct definition_errors *errors);
/* Groups of words that the catalogue itself writes as one ("Grey/Gray", "solid state drive (SSD)"),
 * most seen first: for an editor to take or leave. */
struct search_suggestion { str a, b; isize items; };
isize search_suggest_synonyms(const struct catalog *catalog, arena *a,
                              struct search_suggestion *out, isize max);

/* ---- the index ------------------------------------------------------------------------------- */
struct search_index;
/* Every item that may be found; reads the catalogue in rcu brackets of its own, a few hundred items
 * at a time. `language` as in the rules; empty: "en". popularity: one number an item id, 0 to 1, or
 * null. */
struct search_index *search_build(const struct catalog *catalog, str language,
                                  const f32 *popularity, isize popularity_n);
/* The same index with what changed since it was made; shares the large part. Null: too much
 * changed, build anew. */
struct search_index *search_refresh(const struct search_index *index, const struct catalog *catalog);
void search_free(struct search_index *index);
/* Is there anything that the index does not know of yet? */
bool search_stale(const struct search_index *index, const struct catalog *catalog);
/* fresh: items in the small part */
struct search_card { isize items, words, terms, postings, bytes, fresh; i64 took_us; };
struct search_card search_card(const struct search_index *index);

/* ---- a question ------------------------------------------------------------------------------ */
enum search_sort { SORT_RANK, SORT_PRICE_UP, SORT_PRICE_DOWN, SORT_NEWEST };
/* What a person likes: a share 0..1 of what they dealt with, by dimension ("category", "brand",
 * "colour") and value. */
struct search_liking { str dimension, value; f64 share; };
struct search_request {
    str text;                                           /* empty: everything, as on a category page */
    str locale, market;
    const struct catalog *catalog;
    const struct search_rules *rules;                   /* null: none */
    /* Asked of each item that was found, before it counts; null: all may. */
    bool (*eligible)(void *ctx, u32 item);
    f64 (*boost)(void *ctx, u32 item);                  /* null: none */
    void *ctx;
    str category;                                       /* only items under it; empty: all */
    bool in_stock_only;
    /* "category", "brand", "colour", "price", or an attribute's name */
    const str *facets; isize facets_n;
    u8 sort;                                            /* enum search_sort */
    bool typing;                                        /* the last word may be unfinished */
    const struct search_liking *likings; isize likings_n;
    i32 dial;                                           /* 0..100 */
    isize limit, offset;
    i64 now_ms;
};

/* What made a hit's score: text x coverage x head x phrase x popularity x boost x personal. */
struct search_parts { f64 text, coverage, head, phrase, popularity, boost, personal; };
struct search_hit { u32 item; f64 score; bool pinned, partial; struct search_parts parts; };
/* of price: from <= price < to, in major units; value empty */
struct search_count { str value; i64 n; f64 from, to; };
struct search_facet { str name; struct search_count *at; isize n; };
struct search_answer {
    i64 total;
    struct search_hit *hits; isize hits_n;
    struct search_facet *facets; isize facets_n;
    /* the words that were looked for, when other than typed */
    str corrected;
    str redirect;
    /* too few items hold every word, so some that hold not all are among them */
    bool partial;
};
/* A null index finds nothing. */
void search_run(const struct search_index *index, const struct search_request *request, arena *a,
                struct search_answer *out);

/* Words that begin so, most used first: for a search box. */
isize search_complete(const struct search_index *index, str text, arena *a, str *out, isize max);

/* ---- offline evaluation (evaluate.c) --------------------------------------------------------- */
/* Products of a file, one JSON object a line (.gz accepted), into a catalogue that nobody else
 * reads; other shops' usual words for our fields are understood, what has no word of ours becomes
 * an attribute. */
MUST_USE enum err search_read_products(const char *path, struct catalog *catalog, isize *products,
                                       struct diag *diag);
struct search_evaluate {
    /* NDJSON of products; "query docid rating", tab separated, with a header; .gz accepted */
    const char *catalogue, *judgments;
    bool json;
    u64 seed; isize resamples;                          /* of the intervals, over queries; 0: 1 and 1,000 */
};
MUST_USE enum err search_evaluate_run(const struct search_evaluate *options, struct buf *out,
                                      struct diag *diag);

#endif
