/* SPDX-License-Identifier: Apache-2.0
 *
 * words.h - the vocabulary of the demo shop: what its categories sell and how that is said.
 *
 * Inside the room only. Every phrase stands in English and in Norwegian side by side, already
 * inflected, so that the generator joins whole phrases and never has to know grammar. In a
 * sentence {m} is the material, {b} the brand and {n} the product's given name. */
#ifndef DEMO_WORDS_H
#define DEMO_WORDS_H

#include "base/base.h"

enum { KINDS = 20, STYLES_MAX = 6, MATERIALS_MAX = 4, SENTENCES = 3, KIND_COLOURS_MAX = 8, NAMES = 25 };

struct phrase { const char *in[2]; };                   /* English, Norwegian */
/* A noun phrase, the value of the kind's attribute, and which of its materials it may be made of. */
struct style { const char *in[2], *value, *made_of; };

enum sizing { SIZE_NONE, SIZE_WAIST, SIZE_LETTER, SIZE_SHOE_WOMEN, SIZE_SHOE_MEN, SIZE_JAR, SIZE_BAG, SIZE_BINDING };
enum naming { NAME_WOMAN, NAME_MAN, NAME_PLACE, NAME_BOOK };
enum care { CARE_CLOTHES, CARE_SHOES, CARE_HOME, CARE_SPORT, CARE_BEAUTY, CARE_TOY, CARE_BOOK, CARE_TASTE };
enum { CARES = 8, CARE_SENTENCES = 3, CONTENTS = 24 };

struct kind {
    const char *slug, *parent_slug;
    struct phrase path[2];                              /* parent, leaf */
    const char *gender;                                 /* female, male, unisex */
    enum sizing sizing;
    enum naming naming;
    enum care care;
    i32 price_low, price_high;                          /* EUR minor units */
    i32 repurchase_days;                                /* 0: bought once */
    i32 weight;                                         /* how often people come for it, relative */
    const char *attribute;                              /* what a style's value is a value of */
    const char *colours;                                /* colour keys, separated by spaces */
    struct style styles[STYLES_MAX];
    struct phrase materials[MATERIALS_MAX];
    struct phrase openers[SENTENCES], details[SENTENCES];
    const char *brands[4];
};

struct colour { const char *key; struct phrase name; u32 rgb; };
struct article { i32 kind; struct phrase title, teaser; };

extern const struct kind kinds[KINDS];
extern const struct colour colours[];
extern const isize colours_n;
extern const struct phrase care_sentences[CARES][CARE_SENTENCES];
extern const char *const names_woman[NAMES], *const names_man[NAMES], *const names_place[NAMES];
extern const struct phrase book_openings[10];
extern const char *const book_places[10];
extern const struct article articles[CONTENTS];

#endif
