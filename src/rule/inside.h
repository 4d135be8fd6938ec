/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - the tree of a rule, shared by the files of this room only.
 *
 * One tree serves all: the parser makes it, the checker fills in what names mean, run walks it,
 * print and the JSON form write it back. Nothing a printer needs is ever resolved away, so text
 * and tree say the same. Two sorts of node: conditions (NODE_AND … NODE_SEGMENT), which are
 * yes, no or unknown, and values (NODE_LITERAL … NODE_AT), which stand on either side of a test.
 */
#ifndef RULE_INSIDE_H
#define RULE_INSIDE_H

#include "base/clock.h"
#include "base/regex.h"
#include "rule/rule.h"

/* ---- tokens -------------------------------------------------------------------------------- */

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_DATE, TOKEN_SIGN, TOKEN_BAD };
struct token {
    enum token_kind kind;
    isize at, len;                  /* in the text, from 0 */
    str text;                       /* as written; of TOKEN_TEXT what it stands for */
    f64 number;
    i64 day_ms;                     /* TOKEN_DATE: midnight UTC of that day */
};
struct tokens { const struct token *at; isize n; };

/* Tokens in `scratch`, what they spell in `a`. Errors are gathered; the list always ends with TOKEN_END. */
void rule_lex(arena *a, arena *scratch, str text, struct tokens *out, struct rule_errors *errors);
bool rule_is_reserved(str name);            /* may not be the bare name of a trait */
bool rule_is_name(str name);                /* reads as one TOKEN_NAME */
bool rule_is_dotted(str name);              /* the same, or several with dots between */

/* Columns are made here: `at` counts from 0. After RULE_ERRORS_MAX, no more are kept. */
void rule_error_add(struct rule_errors *errors, isize at, isize len, str message, str hint);

/* ---- the tree ------------------------------------------------------------------------------ */

enum node_kind {
    NODE_AND, NODE_OR, NODE_NOT,
    NODE_TEST,                      /* kids[0] op kids[1…] */
    NODE_DID,                       /* also purchased(item) and viewed(item): scans[0].candidate */
    NODE_SEQUENCE,
    NODE_SEGMENT,
    NODE_ERROR,                     /* what could not be read; its error is known */
    NODE_LITERAL, NODE_TRAIT, NODE_CONTEXT, NODE_ITEM, NODE_FIELD, NODE_AFFINITY, NODE_QUIZ, NODE_PREDICTED,
    NODE_DISTANCE,                  /* distance_km(latitude, longitude): kids[0], kids[1] */
    NODE_LADDER,                    /* stage, intent: kids are the conditions of its rungs, first to last */
    /* count, sum, average …; with a name it was written as that: orders.count */
    NODE_TALLY,
    NODE_SINCE,                     /* days_since(last …) and kin; of a trait when it has a kid */
    NODE_AT,                        /* at(first …) */
};

enum op {
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN, OP_BETWEEN, OP_CONTAINS, OP_STARTS, OP_ENDS,
    OP_MATCHES, OP_UNDER, OP_HAS, OP_HAS_ANY, OP_HAS_ALL, OP_HAS_NONE, OP_KNOWN, OP_TRUE
};
extern const char *const rule_op_names[];   /* as printed, and in the JSON form; "is true" is never printed */

enum unit { UNIT_MINUTE, UNIT_HOUR, UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR, UNITS };
extern const char *const rule_unit_names[];
i64 rule_unit_ms(u8 unit);
bool rule_unit_of(str name, u8 *out);       /* "day" or "days" */

enum window_kind { WINDOW_ALL, WINDOW_LAST, WINDOW_AGO, WINDOW_SINCE, WINDOW_SESSION, WINDOW_TODAY };
struct window {
    u8 kind, unit;
    bool not_since;                 /* WINDOW_AGO: nothing if there is one nearer than the window */
    /* in units: 0 and 30 for `last 30 days`, 7 and 14 for `between 7 and 14 …` */
    i64 near, far;
    i64 day_ms;                     /* WINDOW_SINCE */
};

enum tally {
    TALLY_COUNT, TALLY_SUM, TALLY_AVERAGE, TALLY_MIN, TALLY_MAX, TALLY_DISTINCT,
    TALLY_FIRST, TALLY_LAST, TALLY_COMMON,                  /* of whatever kind the field is */
    TALLIES
};
static inline bool tally_any_kind(u8 tally) { return tally >= TALLY_FIRST; }
extern const char *const rule_tally_names[];

enum field {
    FIELD_NONE, FIELD_CATEGORY, FIELD_BRAND, FIELD_PRODUCT, FIELD_PRICE, FIELD_QUANTITY, FIELD_VALUE,
    FIELD_CHANNEL, FIELD_CURRENCY, FIELD_CART, FIELD_SEGMENT, FIELD_HOUR, FIELD_WEEKDAY,
    FIELD_OTHER                     /* asked of the item by its name */
};
enum field rule_field_of(str name);

struct node;

/* The commonest of all questions: whether there were so many of one type lately, whatever they were
 * of. Known when checked, so that an event which is asked of many rules costs a few steps along its
 * type's entries for each. */
enum recent { RECENT_NO, RECENT_AT_LEAST, RECENT_FEWER };

/* Things still lying in the cart or on the wish list: what put them there, when nothing took them
 * out since. */
enum open { OPEN_NO, OPEN_CART, OPEN_WISHLIST };

/* Which entries of the history are meant. */
struct scan {
    str event;                      /* as written, in its canonical spelling once checked */
    isize at, len;
    u16 type;
    u8 open;                        /* enum open */
    bool any;                       /* `anything`: whatever the person did */
    bool candidate;                 /* only of the candidate item */
    bool first;                     /* NODE_SINCE, NODE_AT: the first rather than the last */
    bool open_where;                /* `where` asks more than the entry and its item */
    bool nets_returns;              /* a sum takes returns in, all else passes them over */
    u8 tally, field;
    str field_name;
    isize field_at;
    struct node *where;
    struct window window;
};

/* What our own engine notes of a person is not what the person did. */
static inline bool entry_is_activity(const struct history_entry *e)
{
    return !(e->flags & HISTORY_BOT) && !history_is_move(e);
}

/* Is an entry of the kind that is asked for? A return that stands by itself (its order is not
 * known) nets a sum of orders. */
static inline bool scan_of_type(const struct scan *s, const struct history_entry *e)
{
    if (e->type == s->type) return true;
    if (s->any) return entry_is_activity(e);
    return s->nets_returns && s->type == EVENT_ORDER_COMPLETED && e->type == EVENT_ORDER_REFUNDED
           && e->value_minor < 0;
}

enum { SEQUENCE_STEPS_MAX = 8, LIST_MAX = 256, DISTINCT_MAX = 256, FORM_LEVELS_MAX = JSON_DEPTH_MAX - 8 };

struct node {
    u8 kind, op, unit;
    bool percent, date;             /* NODE_LITERAL: written with %, or as a date */
    bool quoted;                    /* NODE_TRAIT: written as trait("…"), so no guess at a slip */
    bool version;                   /* NODE_LITERAL: written as version "…" */
    bool moment;                    /* NODE_DISTANCE: the request may say where they are */
    bool absent, same_product;      /* NODE_SEQUENCE: the last step must not come; all of one item */
    bool same_cart;                 /* all of one cart */
    u8 field;                       /* NODE_FIELD */
    isize at, len;                  /* in the text */
    struct node **kids;
    struct node **order;            /* and, or: the kids, cheapest first */
    isize kids_n;
    /* trait, context, item field, segment key, affinity's dimension, question */
    str name;
    str key;                        /* value of an affinity */
    struct node *index;             /* item.stock[index] */
    /* enum recent, of a condition: at least, or fewer than, so many in the last recent_ms */
    u8 recent; u16 recent_type;
    i64 recent_least, recent_ms;
    segment_id segment;
    struct value literal;
    struct regex *regex;
    struct scan *scans;
    isize scans_n;
    struct scan *unless;            /* NODE_SEQUENCE: what must not come in between; null */
    i64 within;                     /* NODE_SEQUENCE, in `unit` */
    i64 cost;
};

struct rule {
    enum rule_place place;
    u32 depends;
    u64 types;                      /* bit (type & 63) of each type a leaf looks at */
    bool any_type;                  /* a session ends with any entry, so all of them touch it */
    struct node *root;
    const struct scan **scans;
    isize scans_n;
    segment_id *segments;
    isize segments_n;
    i64 cost;
};

/* Never null; holes are NODE_ERROR. */
struct node *rule_parse(arena *a, struct tokens tokens, struct rule_errors *errors);
/* Resolves names, checks types and fills the rest of `rule`. */
void rule_check(arena *a, struct rule *rule, const struct rule_names *names, struct rule_errors *errors);
void rule_print_node(struct buf *out, const struct node *node);
const char *rule_candidate_word(str event);  /* product_viewed -> "viewed", as in viewed(item) */
/* A question of the shop's words for one that the language has already: orders.count is
 * count(order_completed). Null: no such name. */
struct node *rule_alias(arena *a, str name);
str rule_alias_name(isize at);              /* walks them; empty ends */
/* The rungs of a ladder, parsed and not yet checked; null when nothing is called so. */
struct node *rule_ladder_parse(arena *a, str name);
isize rule_form_levels(const struct node *node);

/* ---- running ------------------------------------------------------------------------------- */

enum { SESSION_GAP_MS = 30 * MINUTE_MS };
#define AGE_MAX (INT64_MAX / 4)                         /* a window without a far end */

struct run {
    const struct rule_facts *facts;
    const struct history_entry *history;
    isize seen;                     /* entries at or before now */
};
struct run rule_run_begin(const struct rule_facts *facts);
/* What holds for the history as given: an entry dated after now is a change to come. */
i64 rule_run_later(const struct run *run, i64 next_ms);
/* count(…) >= x and kin, with an x that is written: how many it asks at least for; negated: or
 * fewer than that. */
bool rule_is_at_least(const struct node *test, i64 *least, bool *negated);
struct rule_result rule_run_node(const struct run *run, const struct node *node);
struct rule_result rule_join(enum node_kind kind, struct rule_result sum, struct rule_result one);
static inline struct rule_result rule_join_start(enum node_kind kind)
{
    return (struct rule_result){ kind == NODE_AND ? TRI_TRUE : TRI_FALSE, TIME_NEVER };
}
/* The value of a leaf's left side, for explaining. */
struct value rule_left_value(const struct run *run, const struct node *test);
/* Which rung of a ladder the person stands on: its index, the number of rungs when on none. */
isize rule_ladder_at(const struct run *run, const struct node *ladder, i64 *next_change_at_ms);
/* The newest entries that made a leaf what it is, at most `max` indexes into the history; the count. */
isize rule_leaf_entries(const struct run *run, const struct node *leaf, isize *out, isize max);

/* text.c. A value as a list, perhaps of one; false when it is none. What is made lives in `a`. */
bool rule_list_begin(arena *a, struct value v, const struct json **list);
enum tri rule_list_test(enum op op, const struct json *list, const struct value *wanted, isize n);
bool rule_is_version(str s);
/* -1, 0 or 1; false when one of them is no version. */
bool rule_version_cmp(str a, str b, int *order);
enum tri rule_where(const struct run *run, const struct node *where, const struct history_entry *entry);

#endif
