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
    NODE_TALLY,                     /* count, sum, average, min, max, distinct */
    NODE_SINCE,                     /* days_since(last …) and kin */
    NODE_AT,                        /* at(first …) */
};

enum op {
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN, OP_BETWEEN, OP_CONTAINS, OP_STARTS, OP_ENDS,
    OP_MATCHES, OP_UNDER, OP_KNOWN, OP_TRUE
};
extern const char *const rule_op_names[];   /* as printed, and in the JSON form; "is true" is never printed */

enum unit { UNIT_MINUTE, UNIT_HOUR, UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR, UNITS };
extern const char *const rule_unit_names[];
i64 rule_unit_ms(u8 unit);
bool rule_unit_of(str name, u8 *out);       /* "day" or "days" */

enum window_kind { WINDOW_ALL, WINDOW_LAST, WINDOW_AGO, WINDOW_SINCE, WINDOW_SESSION, WINDOW_TODAY };
struct window {
    u8 kind, unit;
    i64 near, far;                  /* in units: 0 and 30 for `last 30 days`, 7 and 14 for `between 7 and 14 …` */
    i64 day_ms;                     /* WINDOW_SINCE */
};

enum tally { TALLY_COUNT, TALLY_SUM, TALLY_AVERAGE, TALLY_MIN, TALLY_MAX, TALLY_DISTINCT, TALLIES };
extern const char *const rule_tally_names[];

enum field {
    FIELD_NONE, FIELD_CATEGORY, FIELD_BRAND, FIELD_PRODUCT, FIELD_PRICE, FIELD_QUANTITY, FIELD_VALUE,
    FIELD_CHANNEL, FIELD_CURRENCY,
    FIELD_OTHER                     /* asked of the item by its name */
};
enum field rule_field_of(str name);

struct node;

/* Which entries of the history are meant. */
struct scan {
    str event;                      /* as written, in its canonical spelling once checked */
    isize at, len;
    u16 type;
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

/* Is an entry of the kind that is asked for? A return that stands by itself (its order is not known) nets a sum of orders. */
static inline bool scan_of_type(const struct scan *s, const struct history_entry *e)
{
    if (e->type == s->type) return true;
    return s->nets_returns && s->type == EVENT_ORDER_COMPLETED && e->type == EVENT_ORDER_REFUNDED && e->value_minor < 0;
}

enum { SEQUENCE_STEPS_MAX = 8, LIST_MAX = 256, DISTINCT_MAX = 256, FORM_LEVELS_MAX = JSON_DEPTH_MAX - 8 };

struct node {
    u8 kind, op, unit;
    bool percent, date;             /* NODE_LITERAL: written with %, or as a date */
    bool quoted;                    /* NODE_TRAIT: written as trait("…"), so no guess at a slip */
    bool absent, same_product;      /* NODE_SEQUENCE: the last step must not come; all of one item */
    u8 field;                       /* NODE_FIELD */
    isize at, len;                  /* in the text */
    struct node **kids;
    struct node **order;            /* and, or: the kids, cheapest first */
    isize kids_n;
    str name;                       /* trait, context, item field, segment key, affinity's dimension, question */
    str key;                        /* value of an affinity */
    struct node *index;             /* item.stock[index] */
    segment_id segment;
    struct value literal;
    struct regex *regex;
    struct scan *scans;
    isize scans_n;
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
isize rule_form_levels(const struct node *node);

/* ---- running ------------------------------------------------------------------------------- */

enum { SESSION_GAP_MS = 30 * MINUTE_MS };

struct run {
    const struct rule_facts *facts;
    const struct history_entry *history;
    isize seen;                     /* entries at or before now */
};
struct run rule_run_begin(const struct rule_facts *facts);
/* What holds for the history as given: an entry dated after now is a change to come. */
i64 rule_run_later(const struct run *run, i64 next_ms);
struct rule_result rule_run_node(const struct run *run, const struct node *node);
struct rule_result rule_join(enum node_kind kind, struct rule_result sum, struct rule_result one);
static inline struct rule_result rule_join_start(enum node_kind kind)
{
    return (struct rule_result){ kind == NODE_AND ? TRI_TRUE : TRI_FALSE, TIME_NEVER };
}
/* The value of a leaf's left side, for explaining. */
struct value rule_left_value(const struct run *run, const struct node *test);
/* The newest entries that made a leaf what it is, at most `max` indexes into the history; the count. */
isize rule_leaf_entries(const struct run *run, const struct node *leaf, isize *out, isize max);
enum tri rule_where(const struct run *run, const struct node *where, const struct history_entry *entry);

#endif
