/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share: words, and the parts of an index. */
#ifndef SEARCH_INSIDE_H
#define SEARCH_INSIDE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "math/math.h"
#include "search/search.h"

/* ---- words.c: text -> words ------------------------------------------------------------------ */

enum {
    WORD_BYTES_MAX = 64,
    SPELLED_MAX = 32 /* longer words are not corrected */,
    WORDS_PER_TEXT_MAX = 4000,
    LANGUAGES_MAX = 16
};

enum word_flag {
    WORD_NUMBER = 1,            /* digits only */
    WORD_ENDS = 2,              /* ends a run of words: what follows is no noun it could belong to */
    /* stands after "for", "with" …: says what the thing goes with, not what it is */
    WORD_RELATES = 4,
    WORD_EXTRA = 8,             /* another way to write the word before it; takes no place of its own */
    WORD_CONTAINS_DIGIT = 16,
    WORD_BEFORE_COLOUR = 32,    /* what follows may be a colour: `next` says which word */
};
struct word { str text, term; u16 at; u8 flags; str next; };    /* text: folded as written; term: its stem */
struct words { struct word *at; isize n, places; };

/* Stemmers by language, made when first asked for. Not shared between threads. */
struct languages { void *stemmers[LANGUAGES_MAX]; str codes[LANGUAGES_MAX]; isize n; arena *arena; };
void languages_init(struct languages *languages, arena *a);
/* Lower case, accents taken off, in runs of letters and digits; "15,6 inch" and "16GB" also as one
 * word in a base unit. */
struct words words_of(struct languages *languages, str text, str locale, arena *a);
/* lower case, accents off, spaces single: to compare whole questions */
str word_fold(arena *a, str text);
u64 word_letters(str text);                           /* a bit a letter it is made of */
bool word_measure(str number, str unit, arena *a, str *out);

/* ---- part.c: one part of an index ------------------------------------------------------------ */

enum field { FIELD_TITLE, FIELD_BRAND, FIELD_DESCRIPTION, FIELD_ATTRIBUTES, FIELDS };
/* bits of a mask: one stays clear between the two */
enum { TITLE_PLACES = 19, DESCRIPTION_PLACES = 11, DESCRIPTION_SHIFT = 20 };

enum posting_flag { POSTING_TITLE_HEAD = 1, POSTING_TEXT_HEAD = 2 };
/* impact: the BM25F weight of the word here, without its rarity, in 65,535ths. mask: where it
 * stands, for neighbours. */
struct posting { u32 doc; u16 impact; u8 flags, spare; u32 mask; };
static_assert(sizeof(struct posting) == 12, "tens of millions of them");
struct postings { const struct posting *at; isize n; };

enum doc_flag { DOC_SHOWABLE = 1, DOC_IN_STOCK = 2 };
struct doc {
    u32 item, category, brand, colour;
    i64 price_minor, published_ms;
    f32 popularity;
    u8 flags;
    u16 currency;
};

/* A word as it is written, the stem it has, and letters it is made of (for typing errors). */
struct written { str text; u32 term, uses; u64 letters; };

struct part {
    arena arena;
    _Atomic i32 users;
    struct doc *docs; isize docs_n;
    u32 *from;                                          /* terms + 1: where a term's postings start */
    struct posting *postings;
    isize terms;
    struct map *by_term;                                /* hash of a term -> its number */
    struct written *words; isize words_n;               /* by text */
    /* Words without digits, by length: what a slip may have meant. Model numbers are most of a
     * catalogue's words. */
    u32 *spelled; u64 *spelled_letters; u32 spelled_from[SPELLED_MAX + 2];
    struct map *by_item;                                /* item -> doc + 1; of the small part alone */
    str *brands, *colours; isize brands_n, colours_n;   /* [0] is none */
    f64 average[FIELDS];
    bool markets;                                       /* some item has a price of a market's own */
    u64 changes;                                        /* of the catalogue, when reading began */
    isize bytes;
    i64 took_us;
};

struct search_index {
    struct part *large, *small;                         /* small: null when nothing changed */
    struct bitset *replaced;                            /* items of the small part, by id */
    str language;
    char language_text[16];
};

struct part_source {
    const struct catalog *catalog;
    str language;
    const u32 *items; isize items_n;                    /* null: all */
    const f32 *popularity; isize popularity_n;
    /* take field lengths from there, as a small part does; null: its own */
    const struct part *like;
};
struct part *part_build(const struct part_source *source);
void part_drop(struct part *part);                      /* one user less; the last frees it */
/* enum doc_flag, as the item is now */
u8 doc_flags(const struct catalog *catalog, const struct item *item);
struct postings part_postings(const struct part *part, str term);
struct hash128 term_hash(str term);

/* ---- query.c: a question, read --------------------------------------------------------------- */

enum { ALTERNATIVES_MAX = 48 };
/* lists: of the large and the small part; weight: rarity included */
struct alternative { struct postings lists[2]; f32 weight; };
struct unit {
    struct alternative at[ALTERNATIVES_MAX]; isize n;
    f32 rarity;                                         /* what it counts for in coverage */
    /* joined: must stand right behind the one before it (a phrase) */
    bool excluded, joined;
    str text;
};
struct query {
    struct unit units[SEARCH_WORDS_MAX]; isize n, positive;
    str corrected;
    f64 rarity;                                         /* sum over units that are not excluded */
};
void query_read(const struct search_index *index, const struct search_request *request, arena *a,
                struct query *out);

#endif
