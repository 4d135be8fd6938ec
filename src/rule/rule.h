/* SPDX-License-Identifier: Apache-2.0
 *
 * rule.h - one language for segments, targets, item filters, guards and metrics.
 *
 * Plain text, one expression, typed, total. A rule is compiled once against the names that exist,
 * then asked about one person (and perhaps one candidate item) at one instant. It knows fields,
 * handed to it as a table of questions (struct rule_facts), and nothing else of the shop.
 *
 *   lex -> parse -> check -> compile -> run | explain | print
 *
 *   reads    base/, event/ (types and the compact history)
 *   feeds    segment/, decide/, api/
 *   threads  a compiled rule is immutable; run and explain from anywhere
 *   memory   rule_compile's arena holds all of the rule
 *
 * Three values: a fact nobody knows makes its condition unknown; `and`, `or`, `not` are Kleene's.
 * At the root, unknown counts as no (rule_holds).
 */
#ifndef RULE_RULE_H
#define RULE_RULE_H

#include "base/err.h"
#include "base/json.h"
#include "base/zone.h"
#include "event/event.h"

enum tri { TRI_FALSE, TRI_TRUE, TRI_UNKNOWN };

/* A list that was not parsed yet is VALUE_TEXT that begins with [: `has` reads it. */
enum value_kind { VALUE_UNKNOWN, VALUE_BOOL, VALUE_NUMBER, VALUE_TEXT, VALUE_MONEY, VALUE_TIME, VALUE_LIST };
struct value {
    enum value_kind kind;
    union { bool b; f64 n; str s; struct money money; i64 at_ms; const struct json *list; };
};

/* Where a rule will be used decides which names it may say: `item.` only in filters and guards,
 * `context.` everywhere but in segments (a segment must be computable with nobody looking). */
enum rule_place { RULE_SEGMENT, RULE_TARGET, RULE_FILTER };

/* The names that exist while compiling. Lookups answer -1 for "no such name". `each` walks the known names
 * of one sort for "did you mean" (false ends). */
/* uplift: a campaign, in force or not */
enum rule_name { RULE_NAME_EVENT, RULE_NAME_SEGMENT, RULE_NAME_TRAIT, RULE_NAME_CATEGORY, RULE_NAME_UPLIFT };
#define UPLIFT_PREFIX "uplift."                            /* predicted("uplift.CAMPAIGN") */
struct rule_names {
    const void *ctx;
    /* a shop's own event name -> its u16; ours are known already */
    i32 (*event_type)(const void *ctx, str name);
    i32 (*segment)(const void *ctx, str key);
    bool (*each)(const void *ctx, enum rule_name sort, isize at, str *out);
};

/* One mistake in a rule: where (column from 1, in bytes; length of the offending text), what was
 * expected, the nearest known name. */
struct rule_error { isize column, length; str message, hint; };
enum { RULE_ERRORS_MAX = 8, RULE_DEPTH_MAX = 24, RULE_BYTES_MAX = 8192 };
struct rule_errors { struct rule_error at[RULE_ERRORS_MAX]; isize n; };

struct rule;

/* ERR_BAD_INPUT and at least one error; all errors found, first to last. Text, names and errors
 * live in `a`. */
MUST_USE enum err rule_compile(arena *a, str text, enum rule_place place, const struct rule_names *names,
                               const struct rule **out, struct rule_errors *errors);

/* Where each type of event stands in a history, for asking many rules about it. Types 64 apart
 * share a chain. */
struct rule_index {
    i32 newest[64], oldest[64];             /* by type & 63; -1: there is none */
    /* by entry: the next of its chain; -1, history_n: there is none */
    const struct rule_neighbours { i32 before, after; } *at;
};
void rule_index_build(const struct history_entry *history, isize n, arena *a, struct rule_index *out);

/* What a rule may ask, about whom. Functions answer VALUE_UNKNOWN for what is not known. A null
 * function makes all of its questions unknown. */
struct rule_facts {
    i64 now_ms;                             /* windows end here; entries after it are not seen */
    struct zone zone;                       /* the market's, for hours and dates */
    const struct history_entry *history;    /* oldest first by history_cmp */
    isize history_n;
    const struct rule_index *index;         /* of that history; null: it is walked whole */
    /* only the answer is asked for: next_change_at_ms is TIME_NEVER, and the work for it is spared */
    bool no_timer;
    item_id candidate;                      /* what `item` means; 0 when there is none */
    const void *ctx, *segment_ctx;          /* ctx for all questions but in_segment, which gets segment_ctx */
    /* gender, age, first_name … */
    struct value (*trait)(const void *ctx, str name);
    enum tri (*in_segment)(const void *ctx, segment_id segment);
    /* context.weather; context.hour is answered here if unknown there: from now_ms */
    struct value (*context)(const void *ctx, str name);
    /* May be asked of instants to come: with no event it only fades, or only grows, so that the
     * instant it crosses a bound can be found. */
    struct value (*affinity)(const void *ctx, str dimension, str value, i64 now_ms);
    /* or: only an event moves it, no instant does */
    bool affinity_lasts;
    struct value (*quiz)(const void *ctx, str question);
    /* enum score: a number, or money */
    struct value (*predicted)(const void *ctx, u8 score);
    struct value (*uplift)(const void *ctx, str campaign);
    /* the key of the cart it was done with */
    struct value (*cart)(const void *ctx, const struct history_entry *entry);
    /* item.price, item.stock["oslo-1"] (key), item.brand, item.in_stock, item.margin …; a `where`
     * over the history also asks for `product` (its key), `category` (its name), `brand` and
     * `price`. */
    struct value (*item)(const void *ctx, item_id item, str field, str key);
    /* the item's category or one above it bears this name or key */
    bool (*item_under)(const void *ctx, item_id item, str category);
};

/* next_change_at_ms: before it the answer cannot change with no event; always after now, TIME_NEVER
 * for never. Of a single question it is exact, but early at times for min, max and distinct; of a
 * tree it may be early. Questions about the moment (context.) set no timer. Entries of `history`
 * dated after now_ms are not seen, but the first of them bounds it. */
struct rule_result { enum tri is; i64 next_change_at_ms; };

struct rule_result rule_run(const struct rule *rule, const struct rule_facts *facts);
static inline bool rule_holds(struct rule_result r) { return r.is == TRI_TRUE; }

/* What the answer depends on, so that the fold asks again only when it must. */
enum rule_depends {
    RULE_ON_HISTORY = 1, RULE_ON_TRAITS = 2, RULE_ON_SEGMENTS = 4, RULE_ON_CONTEXT = 8, RULE_ON_ITEM = 16,
    RULE_ON_AFFINITY = 32, RULE_ON_QUIZ = 64, RULE_ON_TIME = 128,
};
u32 rule_depends_on(const struct rule *rule);
/* True when the rule asks of nothing but the candidate, and of no fields of it but those that
 * `fixed` lets pass: who asks and when is all one. */
bool rule_is_of_item(const struct rule *rule, bool (*fixed)(str field));
/* A bit for each type of event that may touch the rule; types 64 apart share one. Quicker than
 * asking for each entry. */
u64 rule_types(const struct rule *rule);
static inline u64 rule_type_bit(u16 type) { return (u64)1 << (type & 63); }
/* What must be in somebody's history for the rule to hold at now_ms, or at any later instant if
 * nothing more happens: an entry of one of these types (their bits; 0: nothing need be there) later
 * than since_ms. Necessary, never enough: for passing over most people unread. */
struct rule_need { u64 types; i64 since_ms; };
struct rule_need rule_needs(const struct rule *rule, i64 now_ms);
/* False only when adding (or taking away) this entry cannot change the rule's answer for anyone: no
 * leaf over the history counts its type, or every such leaf's `where` on the item refuses it.
 * Cheap: called for each event and segment. */
bool rule_touched_by(const struct rule *rule, const struct history_entry *entry,
                     const struct rule_facts *facts);
/* Whether any entry of exactly that type touches it, but for bots': then nobody need ask. Types below 64. */
bool rule_counts(const struct rule *rule, u16 type);
/* When only entries of items under certain categories may touch the rule (and those of no item at
 * all): their names as the rule spells them, at most `max`. 0: others may too, or there are more. */
isize rule_categories(const struct rule *rule, str *out, isize max);
/* Whether it holds for nobody who likes nothing of a category, and did not choose it; its name. */
bool rule_must_like(const struct rule *rule, str *category);
/* The segments it refers to, for ordering and cycle checks; count returned. */
isize rule_segments(const struct rule *rule, segment_id *out, isize max);

/* Explain: the tree with each leaf's value, the entries that made it so (at most `events_max` a
 * leaf), and when it can next change. */
struct rule_trace {
    str text;                               /* this part of the rule, printed */
    enum tri is;
    str value;                              /* "3", "120.50 EUR", "unknown"; empty for and/or/not */
    i64 next_change_at_ms;
    const struct history_entry *events;
    isize events_n;
    const struct rule_trace *children;
    isize children_n;
};
const struct rule_trace *rule_explain(arena *a, const struct rule *rule,
                                      const struct rule_facts *facts, isize events_max);

/* Canonical text (parses back to the same rule), and the JSON form of the same tree for the
 * console's builder. */
str rule_print(arena *a, const struct rule *rule);
void rule_to_json(const struct rule *rule, struct jsonw *w);
/* JSON form -> text, to be compiled. ERR_BAD_INPUT with the path in diag. */
MUST_USE enum err rule_from_json(arena *a, const struct json *tree, str *text, struct diag *diag);

/* A rough cost of one run, in leaves x history entries looked at per entry of history: shown before
 * publishing. One that costs more than RULE_COST_MAX does not compile: each event may ask it of
 * somebody, and a preview asks it of everybody. */
enum { RULE_COST_MAX = 4000 };
i64 rule_cost(const struct rule *rule);

/* The newest entries that make the rule hold and name an item or a cart, without repeating either, at most `max`; the count. What
 * stands under a `not` made nothing so. Entries are of facts->history. */
isize rule_matched(const struct rule *rule, const struct rule_facts *facts,
                   const struct history_entry **out, isize max);

/* ---- ladders: facts that the language derives by its own rules --------------------------------
 *
 * `stage` (how far somebody is on the way to buying) and `intent` (what they seem to be here for) are
 * the word of the first rung whose rule holds. Unknown when none does. */
/* help: how to support somebody who stands there, in one sentence */
struct rule_rung { str word, rule, help; };
const struct rule_rung *rule_ladder(str name, isize *n);    /* null when nothing is called so */

#endif
