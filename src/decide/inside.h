/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share. */
#ifndef DECIDE_INSIDE_H
#define DECIDE_INSIDE_H

#include "decide/decide.h"

/* building.c: what compiles definitions into a book holds while it does. */
struct building {
    struct book *book;
    arena *a;                       /* the book's */
    const struct definitions *definitions;
    const struct definition_candidate *candidate;
    const struct rule_names *names;
    struct definition_errors *errors;
    const struct definition *def;   /* the one being compiled */
    bool failed;
    struct map *known;              /* flags.c: what a target says -> its number, from 1; and by number */
    struct { const struct rule **at; isize n, cap; } targets;
};
/* One thing wrong with the definition at hand; `path` within it, column from 1 in a rule, 0 elsewhere. */
void PRINTF_LIKE(4, 5)
    building_refuse(struct building *b, const char *path, isize column, const char *format, ...);
/* How many documents of a kind stand, at most max; more are refused. */
isize building_room(struct building *b, const char *kind, isize max);
/* Walks the documents of a kind that stand, the candidate in place of its own; refuses what is no
 * object. Null ends. */
const struct json *building_next(struct building *b, const char *kind, isize *at);
/* Null when it was refused. */
const struct rule *building_rule(struct building *b, str text, enum rule_place place, const char *path);
/* null text: null */
const struct rule *building_rule_of(struct building *b, const struct json *text,
                                    enum rule_place place, const char *path);
/* of BUCKETS, from "34%" */
i32 building_share(struct building *b, const struct json *v, i32 otherwise, const char *path);

/* Each fills its part of the book, in the order book.c says. */
void settings_build(struct building *b);
void blocked_build(struct building *b);
void sources_build(struct building *b);
void mappings_build(struct building *b);
void feeds_build(struct building *b);
void keys_build(struct building *b);
void placements_build(struct building *b);
void campaigns_build(struct building *b);
void flags_build(struct building *b);
void strategy_build(struct building *b, const struct json *doc, struct strategy *s);

/* export.c: adds one that is not there yet. */
void export_note(struct export_notes *notes, arena *a, struct export_note note);
/* cmab.c: the datafile's experiments and features of what campaigns learn. */
void cmab_export(const struct book *book, arena *a, struct jsonw *experiments,
                 struct jsonw *features, struct export_notes *notes);

/* arrange.c: what is done to a list besides scoring it. */
enum { ARRANGED_MAX = 300 };
/* By grouping: category, brand, seller (an attribute of that name); 0: in none. */
u32 arrange_group(const struct catalog *catalog, u32 item, isize grouping);
/* In stock where the person is. A store the item's feed says nothing of has none of it, unless that
 * feed names no store at all. */
bool arrange_in_store(const struct item *item, str store);
/* The factor the person's likings give an item, at least 1; *as and *liked name the one that gave
 * most, if any. */
f64 arrange_lift(const struct strategy *s, const struct affinity *likings, isize n,
                 const struct item *item, u8 *as, str *liked);
/* Fills the first `limit` places for variety. At most ARRANGED_MAX items. Returns how many places
 * were filled. */
/* rows.c: in place; at most limit. */
isize rows_arrange(const struct catalog *catalog, const struct strategy *s,
                   struct decided_item *items, isize n, isize limit, arena *a);
isize arrange_diverse(const struct catalog *catalog, struct decided_item *items, isize n,
                      isize limit, f64 lambda);

#endif
