/* SPDX-License-Identifier: Apache-2.0
 *
 * recommend.h - what this person may like, and why.
 *
 * A model is built in the background from what people did, and published by one pointer swap.
 * Serving blends recommenders over a person's own recent history, so the last click counts at
 * once. Filters act inside candidate generation: a list is as long as asked whenever enough
 * eligible items exist. Every item says which recommender brought it and because of what.
 *
 *   reads    base/, math/, event/, catalog/; ingest/ (evaluation reads its files by it)
 *   feeds    decide/, api/
 *   threads  the builder makes a model; a published model is immutable but for what the builder
 *            appends by a pointer swap,
 *            readable inside rcu brackets
 *   memory   a model has its own arena
 */
#ifndef RECOMMEND_RECOMMEND_H
#define RECOMMEND_RECOMMEND_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "event/event.h"

/* One thing somebody did with an item. Sessions are dense numbers; baskets (one order's lines)
 * share a session and PURCHASED. */
/* person 0: the session's own; place: of the options' */
struct interaction { u32 session, item; i64 at_ms; u32 person; u8 kind, weight; u16 place; };
/* Where something was done, by recommend_place of the names; 0: not known. */
struct place { u32 country, store; };
/* The hash of a country's or a store's name, letters in any case; 0 of an empty one. */
u32 recommend_place(str name);
enum interaction_kind { INTERACTION_VIEWED, INTERACTION_ADDED, INTERACTION_PURCHASED, INTERACTION_CONTENT };

/* Tunable numbers with defaults that hold untuned (recommend.md §1.2, §2). A decay of 0 days: what
 * is old counts as what is new. */
struct recommend_options {
    /* session neighbours (sknn.c) */
    isize sessions_per_item, neighbours, session_items;
    isize kept;                     /* distinct items kept of one session or basket; the latest */
    f64 session_decay_days, idf, position_decay, distance_decay;
    f64 session_length;             /* a neighbour of n items counts 1 / n^this */
    /* item to items (table.c, ease.c). step: an item one place older in the history counts so much */
    isize heard;                    /* items of the history that are looked at */
    isize cooc_row;                 /* places in a row */
    f64 cooc_decay_days, cooc_shrink;
    f64 cooc_length;                /* a session of n items counts 1 / n^this; 0: 1 / log2(1 + n) */
    f64 cooc_norm;                  /* .5: cosine; 0: how often given the item; 1: given the other */
    f64 cooc_step;
    isize rules_window;
    f64 rules_shrink, rules_norm, rules_step;
    isize ease_items, ease_row;     /* the head: most dealt with; places in a row */
    f64 ease_lambda, ease_decay_days, ease_step;
    isize slist_row;                /* slist.c: places in a row */
    f64 slist_alpha, slist_lambda, slist_decay_days, slist_step;
    /* factors (als.c) */
    isize als_dims, als_rounds;
    f64 als_unseen;                     /* all unseen items together weigh like so many seen ones */
    f64 als_lambda, als_step;
    /* the low-pass filter (spectral.c) */
    isize spectral_dims, spectral_row;
    f64 spectral_step;
    /* that build; 0 and 1: the caller's alone, as beside a shop that serves */
    isize threads;
    /* how far latest_score follows how often people look at that very item twice running; 0: not */
    f64 again_power;
    /* what building may take at most for dense algebra: the head shrinks to it */
    isize memory_bytes;
    u64 seed;
    _Atomic u32 *progress;          /* null, or where steps done are counted, of BUILD_STEPS */
    /* null, or: true ends a build early; what comes back then is not whole, to be freed */
    const atomic_bool *stop;
    u32 only;                       /* bit set over enum recommender: build no more than these; 0: all */
    /* what interactions' places number; the first is nowhere. Read while building */
    const struct place *places; isize places_n;
};
enum { BUILD_STEPS = 12 };
struct recommend_options recommend_defaults(void);

struct model;
/* `interactions` in any order; sorted inside. A weight of 0 counts as 1; item 0 and ids not below
 * `items` are left out. now_ms: what decays are measured from. options null: the defaults. catalog
 * null: nothing is known of items but what people did; it is read inside rcu brackets of its own. */
struct model *model_build(const struct interaction *interactions, isize n, u32 items, i64 now_ms,
                          const struct recommend_options *options, const struct catalog *catalog);
/* Sessions since then, in place of what was appended before: session kNN finds them beside its own,
 * with items below `items` that the model knows nothing else of. At any time, by one thread.
 * Milliseconds. */
void model_append(struct model *model, const struct interaction *interactions, isize n, u32 items);
void model_free(struct model *model);
struct model_card {
    i64 built_at_ms, from_ms, to_ms;                    /* the data's end and its span */
    isize interactions, sessions, items, bytes, ease_items, als_people;
    isize memory_limit;                                 /* what dense algebra might take while it was built */
    /* recommenders that can answer, a bit set; the others were not asked for */
    u32 built;
    isize countries, stores;                            /* with lists of their own (places.c) */
    i64 took_us;
    /* next items of the latest tenth of sessions, asked of a model of the others */
    isize questions;
    f64 hr20, mrr20, ndcg20;                            /* of the default mix there */
};
struct model_card model_card(const struct model *model);
/* How much everybody does lately with each product, by id, beside the one most is done with: 0 to
 * 1, logarithms; fills out[0 .. n-1]. */
void model_popularity(const struct model *model, f32 *out, isize n);
/* Days until somebody who bought the item wants it again: as the catalogue says, else as orders
 * show; 0: not known to be. Null: 0. */
f64 model_repurchase_days(const struct model *model, u32 item);

/* The numbers stand in the log, in every decision ever recorded: append only, before RECOMMENDERS.
 * None is changed, taken out or given to another, and there are never more than 64: what is not a
 * recommender (a pin) counts from there. */
enum recommender {
    RECOMMENDER_SESSION = 0,
    RECOMMENDER_COOC = 1,
    RECOMMENDER_TRENDING = 2,
    RECOMMENDER_BESTSELLERS = 3,
    RECOMMENDER_RECENT = 4,
    RECOMMENDER_POPULAR = 5,
    RECOMMENDER_RULES = 6,
    RECOMMENDER_EASE = 7,
    RECOMMENDER_ALS = 8,
    RECOMMENDER_CONTENT = 9,
    RECOMMENDER_BUNDLES = 10,
    RECOMMENDER_COMPLEMENTS = 11,
    RECOMMENDER_UPSELL = 12,
    RECOMMENDER_OUTFIT = 13,
    RECOMMENDER_REPLENISH = 14,
    RECOMMENDER_QUIZ = 15,
    RECOMMENDER_SLIST = 16,
    RECOMMENDER_SPECTRAL = 17,
    RECOMMENDER_TRENDING_HERE = 18,
    RECOMMENDER_BESTSELLERS_HERE = 19,
    RECOMMENDER_POPULAR_HERE = 20,
    RECOMMENDERS
};
_Static_assert(RECOMMENDERS <= 64, "from 64 on a source is no recommender");
/* There in every model: what the engine's own mix and fallbacks ask, and what nothing is built for. */
enum {
    RECOMMENDERS_ALWAYS = 1 << RECOMMENDER_SESSION | 1 << RECOMMENDER_COOC
                          | 1 << RECOMMENDER_TRENDING | 1 << RECOMMENDER_BESTSELLERS
                          | 1 << RECOMMENDER_RECENT | 1 << RECOMMENDER_POPULAR
                          | 1 << RECOMMENDER_REPLENISH | 1 << RECOMMENDER_QUIZ
};
/* Without dense algebra: seconds at most. */
enum {
    RECOMMENDERS_QUICK = 1 << RECOMMENDER_SESSION | 1 << RECOMMENDER_COOC | 1 << RECOMMENDER_RULES
                         | 1 << RECOMMENDER_CONTENT | 1 << RECOMMENDER_COMPLEMENTS
                         | 1 << RECOMMENDER_BUNDLES | 1 << RECOMMENDER_UPSELL
                         | 1 << RECOMMENDER_OUTFIT | 1 << RECOMMENDER_TRENDING_HERE
                         | 1 << RECOMMENDER_BESTSELLERS_HERE | 1 << RECOMMENDER_POPULAR_HERE
};
/* "session", "cooc", "trending", "bestsellers", "recently_viewed", … */
const char *recommender_name(u8 recommender);
bool recommender_of(str name, u8 *out);                 /* "crosssell" is another word for "complements" */

bool recommender_is_here(u8 recommender);               /* asks where the person is: "trending_here" … */
/* Of what brought it by a list of a place: where it was dealt with, nearest first; elsewhere
 * PLACE_EVERYWHERE. */
enum place_kind { PLACE_EVERYWHERE, PLACE_COUNTRY, PLACE_STORE };
/* A candidate with its part from each recommender, and what brought it. */
struct recommended {
    u32 item;
    f64 score, parts[RECOMMENDERS];
    u8 source;                                          /* the recommender that gave most */
    /* of the mix: where it stands with each, 255 for the best; 0 where a fallback brought it */
    u8 heights[RECOMMENDERS];
    /* of the query's, counted from 1: what brought it; 0: none */
    u8 answer;
    /* enum place_kind, of a list of places ("trending_here" …) */
    u8 near;
    /* items of the person's history that led here; for cart, of the cart */
    u32 because[2]; isize because_n;
};

enum { GROUPINGS = 3 };
struct recommend_query {
    /* the person's own, oldest first; entries after now_ms are not seen */
    const struct history_entry *history; isize history_n;
    const u32 *cart; isize cart_n;                      /* and the product in view: stronger than history */
    u32 product;
    /* recommend_facet of what a quiz was answered; at most 64 are heard */
    const u64 *answers; isize answers_n;
    /* recommend_place of where the person is; 0: not known */
    u32 store, country;
    i64 now_ms;
    u8 mix[RECOMMENDERS]; isize mix_n;                  /* recommenders to blend, in order of preference */
    u8 fallback[RECOMMENDERS]; isize fallback_n;        /* asked in turn while the list is short */
    /* the latest item of history takes a place too, with this score; 0: it has none */
    f64 latest_score;
    /* 0: the default: each next of the mix counts a fifth */
    f64 weight[RECOMMENDERS];
    bool content;                                       /* content items rather than products */
    bool unexplained;                                   /* because stays empty */
    isize limit;
    /* Called for each candidate before it may take a place; false keeps it out (stock, filter rule,
     * just bought, repeated …). */
    bool (*eligible)(void *ctx, u32 item);
    /* null: nobody cares; told of what it is likely asked of next, to send for it */
    void (*expect)(void *ctx, const u32 *items, isize n);
    f64 (*boost)(void *ctx, u32 item);                  /* null: 1 for all; multiplies the score */
    /* null: none; its category, its brand …; 0: in no group of that kind */
    u32 (*group)(void *ctx, isize grouping, u32 item);
    isize max_per_group[GROUPINGS];                     /* by grouping; 0: no cap */
    void *ctx;
};

/* The hash of an attribute's name and value, letters in any case: "skin-type", "dry". Never 0. */
u64 recommend_facet(str name, str value);

/* Best first, at most query->limit (and 1,000), no item twice, never an ineligible one, never `product` nor what stands in the
 * cart, nor the latest item of history (but "recently viewed" may hold that, or latest_score). Scores fall along the list; before boosts they are
 * 0..1 and say how high an item stands in the blend. A null model gives an empty list. Returns how many. */
isize recommend(const struct model *model, const struct recommend_query *query, arena *a,
                struct recommended **out);

/* ---- what each of a mix should count (weigh.c) ----------------------------------------------- */

/* As given where that is above 0, else the default by what it is and its place in the mix; 0 for
 * what is not in it. */
void recommend_weights(const u8 *mix, isize mix_n, const f64 *given, f64 *out);

/* How a mix guesses the next item on the held-out tail, beside the best of its recommenders alone.
 * A blend that does not pay for itself there is dilution: then `alone`, and the lead is what
 * serves. Nothing is said of fewer than GUARD_LEAST questions. */
enum { MIXES_MAX = 32, GUARD_LEAST = 500 };
struct mixed {
    u8 mix[RECOMMENDERS]; isize mix_n;
    f64 weight[RECOMMENDERS];                           /* as in struct recommend_query */
    u8 lead; bool alone;
    isize questions;                                    /* 0: not measured */
    f64 ndcg20, lead_ndcg20;
};
/* Puts the measures on a held-out tail onto the card, and measures these mixes, at most MIXES_MAX:
 * one more model is built for it, with a short head. Before publishing. Mixes with a purpose of
 * their own (complements …) are not measured. */
void model_measure(struct model *model, const struct interaction *interactions, isize n,
                   const struct mixed *mixes, isize mixes_n,
                   const atomic_bool *stop); /* null, or: true ends it early, with less measured */
/* What was measured of exactly this mix; null: nothing. */
const struct mixed *model_mixed(const struct model *model, const u8 *mix, isize mix_n, const f64 *weight);
/* Where that mix does not pay, its lead counts for all of it: the others are asked still, so that
 * weights can be learnt from what they would have placed, and fill what the lead leaves empty. */
void model_keep_lead(const struct model *model, struct recommend_query *query);

/* One item that somebody saw in a row. place counts from 0; heights as in struct recommended. */
struct shown_item { u32 person; i64 at_ms; u8 place, heights[RECOMMENDERS]; bool clicked; };
enum weighing_verdict { WEIGHING_TOO_LITTLE, WEIGHING_NO_BETTER, WEIGHING_LEARNT };
enum { SHOWINGS_LEAST = 2000, CLICKS_LEAST = 50 };
/* weight: what to use from now on, adding up to 1. Losses are the mean log-loss on the last fifth
 * in time, of the defaults and of what was learnt from the rest; sureness: standard errors between
 * them, people as units. */
struct weighing {
    u8 verdict;
    f64 weight[RECOMMENDERS], loss_defaults, loss_learnt, sureness;
    isize showings, clicks, people_held;
    i64 from_ms, to_ms;
};
const char *weighing_name(u8 verdict);                  /* "too_little_data", "no_better", "learnt" */
/* Sorts the showings. `now`: the weights in force; they move by a tenth at most. Seconds for a
 * million showings. */
void recommend_weigh(struct shown_item *showings, isize n, const u8 *mix, isize mix_n,
                     const f64 *defaults, const f64 *now, struct weighing *out);

/* ---- offline evaluation (evaluate.c) --------------------------------------------------------- */

/* Tab-separated files with a header, plain or gzipped: SessionId, UserId or BasketId by the kind,
 * ItemId, perhaps Time. recommend() itself answers, as in serving; but its numbers and weights are
 * chosen on a slice of the training file, as a strategy's may be set. */
struct evaluate_options {
    str kind;                                           /* session, sequence, basket, topn; empty: session */
    /* paths; sequence: without test the last of everybody is left out */
    const char *train, *test;
    /* sknn, cooc, rules, slist, ease, als, pop, blend; empty: blend, of all that may help */
    str algorithm;
    bool json;                                          /* else text for a terminal */
    u64 seed;                                           /* of the intervals and of training; 0: 1 */
    isize resamples;                                    /* for the intervals; 0: 1,000 */
    /* told what is being done next; null: nobody is */
    void (*said)(void *ctx, const char *what); void *ctx;
};
/* Writes protocol, sizes, metrics with 95 % intervals, timings. ERR_NOT_FOUND, ERR_BAD_INPUT (with
 * the file and line in diag) or ERR_REFUSED (no such algorithm; nothing to predict). */
MUST_USE enum err evaluate_run(const struct evaluate_options *options, struct buf *out, struct diag *diag);

#endif
