/* SPDX-License-Identifier: Apache-2.0
 *
 * parse.c - tokens -> tree, by recursive descent; the only recursion, and RULE_DEPTH_MAX deep.
 *
 *   rule      = all { "or" all }
 *   all       = denial { "and" denial }
 *   denial    = "not" denial | test
 *   test      = "(" rule ")" | "did" "(" scan [ "," window ] ")"
 *             | ( "purchased" | "viewed" | "carted" | "wished" ) "(" "item" [ "," window ] ")"
 *             | "sequence" "(" step { "then" step } [ "unless" scan ] "within" number unit
 *               [ "for" "the" "same" ( "product" | "cart" ) ] [ "," window ] ")"
 *             | "in" "segment" text | "exists" value | value [ comparison ]
 *   comparison= ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value | [ "not" ] "in" "(" value { "," value } ")"
 *             | [ "not" ] "between" value "and" value | "contains" text | ( "starts" | "ends" ) "with" text
 *             | "matches" text | "under" ( text | "(" text { "," text } ")" )
 *             | "has" ( text | ( "any" | "all" | "none" ) "of" "(" value { "," value } ")" )
 *             | "is" [ "not" ] "known" | "is" "unknown"
 *   value     = [ "-" ] number [ "%" | CURRENCY ] | text | date | "version" text | "true" | "false"
 *   | name { "." name }
 *             | "trait" "(" text ")" | "context" "." name | "item" "." name [ "[" value "]" ] |
 *             "affinity" "(" name "," text ")" | "quiz" "(" text ")" | "predicted" "(" text ")" |
 *             "count" "(" scan [ "," window ] ")" | "distance_km" "(" [ "-" ] number "," [ "-" ]
 *             number ")" | ( "sum" | "average" | "min" | "max" | "distinct" | "first" | "last" |
 *             "most_common" ) "(" event "." name [ "where" rule ]
 *               [ "," window ] ")"
 *             | ( "days_since" | "hours_since" | "minutes_since" | "at" ) "(" ( "first" | "last" ) scan ")"
 *             | ( "days_since" | "hours_since" | "minutes_since" ) "(" ( name | "trait" "(" text ")" ) ")"
 *   scan      = event [ "where" rule ]          names in it are fields of the entry and its item
 *   step      = [ "not" ] scan
 *   event     = name | text
 *   window    = "last" [ number ] unit | "between" number "and" number unit "ago" [ "," "not"
 *   "since" ] | "since" date
 *             | "this" "session" | "today"
 *
 * After a mistake the parser skips to the next `and`, `or` or closing parenthesis of the same level
 * and goes on, so that one run finds them all. Words are taken in any letter case. */
#include "rule/inside.h"

struct parser {
    arena *arena;
    const struct token *at;
    struct rule_errors *errors;
    int depth;
    bool in_where, on_right;
};

static bool is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_NAME && str_eq_nocase(t->text, str_of(word));
}
static bool is_sign(const struct token *t, const char *sign)
{
    return t->kind == TOKEN_SIGN && str_eq(t->text, str_of(sign));
}
static bool take_word(struct parser *p, const char *word)
{
    if (!is_word(p->at, word)) return false;
    p->at++;
    return true;
}
static bool take_sign(struct parser *p, const char *sign)
{
    if (!is_sign(p->at, sign)) return false;
    p->at++;
    return true;
}

static struct node *node_new(struct parser *p, enum node_kind kind)
{
    struct node *n = arena_new(p->arena, struct node, 1);
    n->kind = (u8)kind;
    n->at = p->at->at;
    return n;
}

static isize last_end(const struct parser *p) { return p->at[-1].at + p->at[-1].len; }

/* `hint` may be empty. What the lexer refused has been told already. */
static void expected(struct parser *p, const char *what, const char *hint)
{
    if (p->at->kind == TOKEN_BAD) return;
    str message = p->at->kind == TOKEN_END ? arena_printf(p->arena, "the rule ends here; expected %s", what)
                                           : arena_printf(p->arena, "expected %s", what);
    rule_error_add(p->errors, p->at->at, p->at->len, message, str_of(hint));
}

/* To the next `and`, `or`, `,` or `)` that belongs to this level. */
static void skip(struct parser *p)
{
    for (int depth = 0; p->at->kind != TOKEN_END; p->at++) {
        bool close = is_sign(p->at, ")"), open = is_sign(p->at, "(");
        if (depth == 0 && (close || is_sign(p->at, ",") || is_word(p->at, "and") || is_word(p->at, "or")))
            return;
        depth += open - close;
    }
}

static struct node *mistake(struct parser *p, const char *what, const char *hint)
{
    expected(p, what, hint);
    struct node *n = node_new(p, NODE_ERROR);
    skip(p);
    return n;
}

static bool want_sign(struct parser *p, const char *sign, const char *what)
{
    if (take_sign(p, sign)) return true;
    expected(p, what, sign);
    return false;
}

static bool deeper(struct parser *p)
{
    if (++p->depth <= RULE_DEPTH_MAX) return true;
    rule_error_add(p->errors, p->at->at, p->at->len,
                   arena_printf(p->arena, "nested more than %d deep", RULE_DEPTH_MAX), S(""));
    while (p->at->kind != TOKEN_END) p->at++;
    return false;
}

static struct node *parse_any(struct parser *p);
static struct node *parse_number(struct parser *p);
static void add_kid(struct parser *p, struct node *n, struct node *kid);
static struct node *parse_value(struct parser *p);
static struct node *parse_operand(struct parser *p);

/* ---- windows and scans --------------------------------------------------------------------- */

/* A whole number of units, at least `least`; a missing number is one where `one` allows it. */
static bool parse_count(struct parser *p, i64 least, i64 *out)
{
    const struct token *t = p->at;
    if (t->kind != TOKEN_NUMBER || t->number != (f64)(i64)t->number || t->number < (f64)least
        || t->number > 100000) {
        expected(p, "a whole number up to 100000", "30");
        return false;
    }
    *out = (i64)t->number;
    p->at++;
    return true;
}

static bool parse_unit(struct parser *p, u8 *unit)
{
    if (p->at->kind == TOKEN_NAME && rule_unit_of(p->at->text, unit)) { p->at++; return true; }
    expected(p, "minutes, hours, days, weeks, months or years", "days");
    return false;
}

static bool parse_ago(struct parser *p, struct window *w)
{
    w->kind = WINDOW_AGO;
    const struct token *near = p->at;
    if (!parse_count(p, 0, &w->near)) return false;
    if (!take_word(p, "and")) { expected(p, "`and`", "and"); return false; }
    if (!parse_count(p, 1, &w->far) || !parse_unit(p, &w->unit)) return false;
    if (!take_word(p, "ago")) { expected(p, "`ago`", "ago"); return false; }
    if (w->near >= w->far) {
        rule_error_add(p->errors, near->at, near->len, S("the nearer end of the window comes first"),
                       arena_printf(p->arena, "between %" PRId64 " and %" PRId64, w->far, w->near));
        return false;
    }
    if (!is_sign(p->at, ",") || !is_word(p->at + 1, "not")) return true;
    p->at += 2;
    if (!take_word(p, "since")) { expected(p, "`since`", "since"); return false; }
    w->not_since = true;
    if (w->near > 0) return true;
    rule_error_add(p->errors, near->at, near->len, S("`not since` needs a window that ends before now"),
                   S("between 1 and"));
    return false;
}

static bool parse_window(struct parser *p, struct window *w)
{
    if (take_word(p, "last")) {
        w->kind = WINDOW_LAST;
        w->far = 1;
        if (p->at->kind != TOKEN_NAME && !parse_count(p, 1, &w->far)) return false;
        return parse_unit(p, &w->unit);
    }
    if (take_word(p, "between")) return parse_ago(p, w);
    if (take_word(p, "since")) {
        w->kind = WINDOW_SINCE;
        if (p->at->kind != TOKEN_DATE) { expected(p, "a date", "2026-01-31"); return false; }
        w->day_ms = p->at++->day_ms;
        return true;
    }
    if (take_word(p, "today")) { w->kind = WINDOW_TODAY; return true; }
    if (take_word(p, "this")) {
        w->kind = WINDOW_SESSION;
        if (take_word(p, "session")) return true;
        expected(p, "`session`", "session");
        return false;
    }
    expected(p,
             "a window: last 30 days, between 7 and 14 days ago, since 2026-01-31, this session or today",
             "last 30 days");
    return false;
}

static bool parse_where(struct parser *p, struct scan *s)
{
    const struct token *where = p->at;
    if (!take_word(p, "where")) return true;
    if (p->in_where) {
        rule_error_add(p->errors, where->at, where->len, S("a `where` stands inside another"), S(""));
        return false;
    }
    bool outer = p->on_right;
    p->in_where = true;
    p->on_right = false;
    s->where = parse_any(p);
    p->in_where = false;
    p->on_right = outer;
    return true;
}

static bool parse_event(struct parser *p, struct scan *s)
{
    const struct token *t = p->at;
    if (t->kind != TOKEN_TEXT && (t->kind != TOKEN_NAME || rule_is_reserved(t->text))) {
        expected(p, "the name of an event", "product_viewed");
        return false;
    }
    s->event = t->text;
    s->at = t->at;
    s->len = t->len;
    p->at++;
    return true;
}

static bool parse_field(struct parser *p, struct scan *s, const char *hint)
{
    if (!want_sign(p, ".", "a dot and the field of the event that is counted")) return false;
    if (p->at->kind != TOKEN_NAME) { expected(p, "the name of a field", hint); return false; }
    s->field_at = p->at->at;
    s->field_name = p->at->text;
    s->field = (u8)rule_field_of(s->field_name);
    p->at++;
    return true;
}

/* What stands between the parentheses of a history question; takes the closing one too. */
static bool parse_rest(struct parser *p, struct scan *s)
{
    if (!parse_where(p, s)) return false;
    if (take_sign(p, ",") && !parse_window(p, &s->window)) return false;
    return want_sign(p, ")", s->where || s->window.kind ? "`)`" : "`where`, a comma and a window, or `)`");
}

/* A mistake inside parentheses costs the whole question: go on behind its closing one. */
static struct node *lost(struct parser *p, struct node *n)
{
    n->kind = NODE_ERROR;
    for (int depth = 0; p->at->kind != TOKEN_END; p->at++) {
        if (is_sign(p->at, "(")) depth++;
        if (is_sign(p->at, ")") && depth-- == 0) { p->at++; break; }
    }
    return n;
}

static struct node *parse_did(struct parser *p)
{
    struct node *n = node_new(p, NODE_DID);
    p->at += 2;
    n->scans_n = 1;
    n->scans = arena_new(p->arena, struct scan, 1);
    if (!parse_event(p, n->scans) || !parse_rest(p, n->scans)) return lost(p, n);
    return n;
}

static struct node *parse_candidate(struct parser *p, str event)
{
    struct node *n = node_new(p, NODE_DID);
    p->at += 2;
    n->scans_n = 1;
    n->scans = arena_new(p->arena, struct scan, 1);
    *n->scans = (struct scan){ .event = event, .candidate = true, .at = p->at->at, .len = p->at->len };
    if (!take_word(p, "item")) {
        expected(p, "`item`, the one that would be shown", "item");
        return lost(p, n);
    }
    if (take_sign(p, ",") && !parse_window(p, &n->scans->window)) return lost(p, n);
    if (!want_sign(p, ")", "a comma and a window, or `)`")) return lost(p, n);
    return n;
}

static bool parse_step(struct parser *p, struct node *n)
{
    if (n->scans_n == SEQUENCE_STEPS_MAX) {
        rule_error_add(p->errors, p->at->at, p->at->len,
                       arena_printf(p->arena, "a sequence has at most %d steps", SEQUENCE_STEPS_MAX), S(""));
        return false;
    }
    const struct token *not = p->at;
    if (n->absent) {
        expected(p, "`within`: only the last step of a sequence may be `not`", "within");
        return false;
    }
    n->absent = take_word(p, "not");
    if (n->absent && n->scans_n == 0) {
        rule_error_add(p->errors, not->at, not->len,
                       S("a sequence begins with something that happened"), S(""));
        return false;
    }
    struct scan *s = &n->scans[n->scans_n++];
    return parse_event(p, s) && parse_where(p, s);
}

static bool parse_sequence_rest(struct parser *p, struct node *n)
{
    if (!parse_step(p, n)) return false;
    if (!is_word(p->at, "then")) { expected(p, "`then` and what comes next", "then"); return false; }
    while (take_word(p, "then"))
        if (!parse_step(p, n)) return false;
    if (take_word(p, "unless")) {
        n->unless = arena_new(p->arena, struct scan, 1);
        if (!parse_event(p, n->unless) || !parse_where(p, n->unless)) return false;
    }
    if (!take_word(p, "within")) {
        expected(p, n->unless ? "`within`" : "`then`, `unless` or `within`", "within 2 hours");
        return false;
    }
    if (!parse_count(p, 1, &n->within) || !parse_unit(p, &n->unit)) return false;
    if (take_word(p, "for")) {
        bool same = take_word(p, "the") && take_word(p, "same");
        n->same_product = same && take_word(p, "product");
        n->same_cart = same && !n->same_product && take_word(p, "cart");
        if (!n->same_product && !n->same_cart) {
            expected(p, "`for the same product` or `for the same cart`", "for the same product");
            return false;
        }
    }
    const struct token *window = p->at + 1;
    if (take_sign(p, ",") && !parse_window(p, &n->scans[0].window)) return false;
    if (n->scans[0].window.not_since) {
        rule_error_add(p->errors, window->at, window->len,
                       S("a sequence cannot end in `not since`; say `then not …`"), S(""));
        return false;
    }
    return want_sign(p, ")", "`for the same product`, a comma and a window, or `)`");
}

static struct node *parse_sequence(struct parser *p)
{
    struct node *n = node_new(p, NODE_SEQUENCE);
    p->at += 2;
    n->scans = arena_new(p->arena, struct scan, SEQUENCE_STEPS_MAX);
    return parse_sequence_rest(p, n) ? n : lost(p, n);
}

/* ---- values -------------------------------------------------------------------------------- */

static bool is_currency(const struct token *t)
{
    if (t->kind != TOKEN_NAME || t->text.len != 3 || rule_is_reserved(t->text)) return false;
    for (isize i = 0; i < 3; i++)
        if (t->text.ptr[i] < 'A' || t->text.ptr[i] > 'Z') return false;
    return true;
}

static void parse_money(struct parser *p, struct node *n, str digits, bool minus)
{
    currency c = currency_of(p->at->text);
    isize point = str_find_char(digits, '.');
    i64 minor = 0;
    if ((point >= 0 && digits.len - point - 1 > currency_digits(c))
        || !str_to_minor(digits, currency_digits(c), &minor))
        rule_error_add(p->errors, n->at, digits.len,
                       arena_printf(p->arena, "%.*s has %d digits after the point", STR_FMT(p->at->text),
                                    currency_digits(c)),
                       S(""));
    n->literal = (struct value){ .kind = VALUE_MONEY, .money = { minus ? -minor : minor, c } };
    p->at++;
}

static struct node *parse_number(struct parser *p)
{
    struct node *n = node_new(p, NODE_LITERAL);
    bool minus = take_sign(p, "-");
    if (p->at->kind != TOKEN_NUMBER) return mistake(p, "a number", "");
    str digits = p->at->text;
    f64 number = minus && p->at->number != 0 ? -p->at->number : p->at->number;
    p->at++;
    n->literal = (struct value){ .kind = VALUE_NUMBER, .n = number };
    if (is_currency(p->at)) {
        parse_money(p, n, digits, minus);
    } else if (take_sign(p, "%")) {
        n->percent = true;
        n->literal.n = number / 100;
    }
    return n;
}

static struct node *parse_text_call(struct parser *p, enum node_kind kind, const char *hint)
{
    struct node *n = node_new(p, kind);
    p->at += 2;
    if (p->at->kind != TOKEN_TEXT || p->at->text.len == 0) {
        expected(p, "a name in quotes", hint);
        return lost(p, n);
    }
    n->name = p->at++->text;
    n->quoted = true;
    if (!want_sign(p, ")", "`)`")) return lost(p, n);
    return n;
}

static struct node *parse_affinity(struct parser *p)
{
    struct node *n = node_new(p, NODE_AFFINITY);
    p->at += 2;
    if (p->at->kind != TOKEN_NAME) {
        expected(p, "what the liking is for: category or brand", "category");
        return lost(p, n);
    }
    n->name = p->at++->text;
    if (!want_sign(p, ",", "a comma")) return lost(p, n);
    if (p->at->kind != TOKEN_TEXT) { expected(p, "text in quotes", "\"jeans\""); return lost(p, n); }
    n->key = p->at++->text;
    if (!want_sign(p, ")", "`)`")) return lost(p, n);
    return n;
}

static struct node *parse_tally(struct parser *p, enum tally tally)
{
    struct node *n = node_new(p, NODE_TALLY);
    p->at += 2;
    n->scans_n = 1;
    n->scans = arena_new(p->arena, struct scan, 1);
    n->scans->tally = (u8)tally;
    if (!parse_event(p, n->scans)) return lost(p, n);
    if (tally != TALLY_COUNT
        && !parse_field(p, n->scans,
                        tally == TALLY_DISTINCT     ? "product"
                        : tally_any_kind((u8)tally) ? "category"
                                                    : "revenue"))
        return lost(p, n);
    return parse_rest(p, n->scans) ? n : lost(p, n);
}

/* days_since(born): of a trait that is a date. */
static struct node *parse_since_trait(struct parser *p, struct node *n)
{
    struct node *trait = parse_value(p);
    add_kid(p, n, trait);
    if (trait->kind == NODE_ERROR) return lost(p, n);
    if (trait->kind != NODE_TRAIT) {
        rule_error_add(p->errors, trait->at, trait->len,
                       S("expected `first` or `last` and an event, or a trait that is a date"),
                       S("last order_completed"));
        return lost(p, n);
    }
    return want_sign(p, ")", "`)`") ? n : lost(p, n);
}

static struct node *parse_instant(struct parser *p, enum node_kind kind, enum unit unit)
{
    struct node *n = node_new(p, kind);
    p->at += 2;
    n->unit = (u8)unit;
    bool event = is_word(p->at, "first") || is_word(p->at, "last");
    if (kind == NODE_SINCE && !event && p->at->kind == TOKEN_NAME && !rule_is_reserved(p->at->text))
        return parse_since_trait(p, n);
    n->scans_n = 1;
    n->scans = arena_new(p->arena, struct scan, 1);
    n->scans->first = is_word(p->at, "first");
    if (!n->scans->first && !is_word(p->at, "last")) {
        expected(p, "`first` or `last` and an event", "last order_completed");
        return lost(p, n);
    }
    p->at++;
    if (!parse_event(p, n->scans) || !parse_where(p, n->scans)) return lost(p, n);
    return want_sign(p, ")", "`where` or `)`") ? n : lost(p, n);
}

static struct node *parse_distance(struct parser *p)
{
    static const f64 most[] = { 90, 180 };
    struct node *n = node_new(p, NODE_DISTANCE);
    p->at += 2;
    for (isize i = 0; i < countof(most); i++) {
        if (i && !want_sign(p, ",", "a comma and the longitude")) return lost(p, n);
        struct node *degrees = parse_number(p);
        bool plain = degrees->kind == NODE_LITERAL && degrees->literal.kind == VALUE_NUMBER
                     && !degrees->percent;
        if (!plain || !(degrees->literal.n >= -most[i] && degrees->literal.n <= most[i])) {
            rule_error_add(p->errors, degrees->at, 1,
                           i ? S("a longitude is a number from -180 to 180")
                             : S("a latitude is a number from -90 to 90"),
                           S(""));
            return lost(p, n);
        }
        add_kid(p, n, degrees);
    }
    return want_sign(p, ")", "`)`") ? n : lost(p, n);
}

static struct node *parse_dotted(struct parser *p, enum node_kind kind)
{
    struct node *n = node_new(p, kind);
    p->at += 2;
    if (p->at->kind != TOKEN_NAME) return mistake(p, "a name", kind == NODE_ITEM ? "price" : "hour");
    n->name = p->at++->text;
    if (kind == NODE_ITEM && take_sign(p, "[")) {
        if (!deeper(p)) return n;
        bool outer = p->on_right;
        p->on_right = true;
        n->index = parse_operand(p);
        p->on_right = outer;
        p->depth--;
        (void)want_sign(p, "]", "`]`");
    }
    return n;
}

enum { CANDIDATE_CART = -1, CANDIDATE_WISHLIST = -2 };

static const struct { const char *word; enum node_kind kind; int detail; } calls[] = {
    { "did", NODE_DID, 0 },
    { "sequence", NODE_SEQUENCE, 0 },
    { "purchased", NODE_DID, EVENT_PRODUCT_PURCHASED },
    { "viewed", NODE_DID, EVENT_PRODUCT_VIEWED },
    { "carted", NODE_DID, CANDIDATE_CART },
    { "wished", NODE_DID, CANDIDATE_WISHLIST },
    { "count", NODE_TALLY, TALLY_COUNT },
    { "sum", NODE_TALLY, TALLY_SUM },
    { "average", NODE_TALLY, TALLY_AVERAGE },
    { "min", NODE_TALLY, TALLY_MIN },
    { "max", NODE_TALLY, TALLY_MAX },
    { "distinct", NODE_TALLY, TALLY_DISTINCT },
    { "first", NODE_TALLY, TALLY_FIRST },
    { "last", NODE_TALLY, TALLY_LAST },
    { "most_common", NODE_TALLY, TALLY_COMMON },
    { "distance_km", NODE_DISTANCE, 0 },
    { "days_since", NODE_SINCE, UNIT_DAY },
    { "hours_since", NODE_SINCE, UNIT_HOUR },
    { "minutes_since", NODE_SINCE, UNIT_MINUTE },
    { "at", NODE_AT, 0 },
    { "trait", NODE_TRAIT, 0 },
    { "quiz", NODE_QUIZ, 0 },
    { "predicted", NODE_PREDICTED, 0 },
    { "affinity", NODE_AFFINITY, 0 },
};

static struct node *unknown_call(struct parser *p)
{
    struct node *n = node_new(p, NODE_ERROR);
    isize best = 4;
    str hint = S("");
    for (isize i = 0; i < countof(calls); i++) {
        isize d = str_distance(p->at->text, str_of(calls[i].word));
        if (d < best) { best = d; hint = str_of(calls[i].word); }
    }
    rule_error_add(p->errors, p->at->at, p->at->len,
                   arena_printf(p->arena, "there is no question called %.*s", STR_FMT(p->at->text)), hint);
    p->at += 2;
    return lost(p, n);
}

static str candidate_event(int detail)
{
    if (detail == CANDIDATE_CART) return S("in_cart");
    if (detail == CANDIDATE_WISHLIST) return S("in_wishlist");
    return str_of(event_type_name((u16)detail));
}

static struct node *parse_call_of(struct parser *p, isize call)
{
    switch (calls[call].kind) {
    case NODE_DID:
        return calls[call].detail ? parse_candidate(p, candidate_event(calls[call].detail)) : parse_did(p);
    case NODE_SEQUENCE: return parse_sequence(p);
    case NODE_TALLY: return parse_tally(p, (enum tally)calls[call].detail);
    case NODE_SINCE: return parse_instant(p, NODE_SINCE, (enum unit)calls[call].detail);
    case NODE_AT: return parse_instant(p, NODE_AT, UNIT_DAY);
    case NODE_TRAIT: return parse_text_call(p, NODE_TRAIT, "\"first_name\"");
    case NODE_QUIZ: return parse_text_call(p, NODE_QUIZ, "\"skin-type\"");
    case NODE_PREDICTED: return parse_text_call(p, NODE_PREDICTED, "\"churn\"");
    case NODE_AFFINITY: return parse_affinity(p);
    case NODE_DISTANCE: return parse_distance(p);
    case NODE_LADDER:
    case NODE_AND: case NODE_OR: case NODE_NOT: case NODE_TEST: case NODE_SEGMENT: case NODE_ERROR:
    case NODE_LITERAL: case NODE_CONTEXT: case NODE_ITEM: case NODE_FIELD: break;
    }
    assert(false);                                      /* no other kind is in the table */
    return NULL;
}

static struct node *parse_call(struct parser *p)
{
    if (p->in_where && !is_word(p->at, "trait")) {
        rule_error_add(p->errors, p->at->at, p->at->len,
                       S("inside `where` stand fields of the event and its item"), S("category"));
        struct node *n = node_new(p, NODE_ERROR);
        p->at += 2;
        return lost(p, n);
    }
    for (isize i = 0; i < countof(calls); i++)
        if (is_word(p->at, calls[i].word)) return parse_call_of(p, i);
    return unknown_call(p);
}

static struct node *parse_bare_name(struct parser *p)
{
    struct node *n = node_new(p, p->in_where ? NODE_FIELD : NODE_TRAIT), *ours = NULL;
    n->name = p->at->text;
    n->field = (u8)rule_field_of(n->name);
    for (; !p->in_where && !p->on_right && is_sign(p->at + 1, ".") && p->at[2].kind == TOKEN_NAME; p->at += 2)
        n->name = arena_printf(p->arena, "%.*s.%.*s", STR_FMT(n->name), STR_FMT(p->at[2].text));
    if (!p->in_where && !p->on_right) ours = rule_alias(p->arena, n->name);
    if (!p->in_where && !p->on_right && !ours) ours = rule_ladder_parse(p->arena, n->name);
    if (ours) {
        ours->at = n->at;
        n = ours;
    } else if (p->on_right) {
        rule_error_add(p->errors, p->at->at, p->at->len,
                       S("text stands in quotes; another trait is written trait(\"…\")"),
                       arena_printf(p->arena, "\"%.*s\"", STR_FMT(n->name)));
        n->kind = NODE_ERROR;
    }
    p->at++;
    return n;
}

static struct node *parse_value_here(struct parser *p)
{
    const struct token *t = p->at;
    struct node *n;
    switch (t->kind) {
    case TOKEN_NUMBER: return parse_number(p);
    case TOKEN_TEXT:
        n = node_new(p, NODE_LITERAL);
        n->literal = (struct value){ .kind = VALUE_TEXT, .s = t->text };
        p->at++;
        return n;
    case TOKEN_DATE:
        n = node_new(p, NODE_LITERAL);
        n->literal = (struct value){ .kind = VALUE_TIME, .at_ms = t->day_ms };
        n->date = true;
        p->at++;
        return n;
    case TOKEN_NAME:
        if (is_word(t, "true") || is_word(t, "false")) {
            n = node_new(p, NODE_LITERAL);
            n->literal = (struct value){ .kind = VALUE_BOOL, .b = is_word(t, "true") };
            p->at++;
            return n;
        }
        if (is_word(t, "version") && t[1].kind == TOKEN_TEXT && p->on_right) {
            n = node_new(p, NODE_LITERAL);
            n->literal = (struct value){ .kind = VALUE_TEXT, .s = p->at[1].text };
            p->at += 2;
            n->version = true;
            return n;
        }
        if (is_word(t, "context") && is_sign(t + 1, ".")) return parse_dotted(p, NODE_CONTEXT);
        if (is_word(t, "item") && is_sign(t + 1, ".")) return parse_dotted(p, NODE_ITEM);
        if (rule_is_reserved(t->text)) break;
        if (is_sign(t + 1, "(")) return parse_call(p);
        return parse_bare_name(p);
    case TOKEN_SIGN:
        if (is_sign(t, "-")) return parse_number(p);
        break;
    case TOKEN_END: case TOKEN_BAD: break;
    }
    return mistake(p, p->on_right ? "a value: a number, money, a date or text in quotes" : "a condition", "");
}

static struct node *parse_value(struct parser *p)
{
    isize at = p->at->at;
    struct node *n = parse_value_here(p);
    if (n->kind != NODE_ERROR) n->len = last_end(p) - at;
    return n;
}

static bool stands_alone(const struct node *n) { return n->kind == NODE_DID || n->kind == NODE_SEQUENCE; }

/* A value that is part of something: of a comparison, of `exists`, of an index. */
static struct node *parse_operand(struct parser *p)
{
    struct node *n = parse_value(p);
    if (!stands_alone(n)) return n;
    rule_error_add(p->errors, n->at, n->len,
                   S("expected a value; this is a condition and stands alone"), S("and"));
    n->kind = NODE_ERROR;
    return n;
}

/* ---- conditions ---------------------------------------------------------------------------- */

static void add_kid(struct parser *p, struct node *n, struct node *kid)
{
    if ((n->kids_n & (n->kids_n - 1)) == 0) {           /* 0, 1, 2, 4 …: room for twice as many */
        struct node **more = arena_new(p->arena, struct node *, n->kids_n ? n->kids_n * 2 : 1);
        if (n->kids_n) memcpy(more, n->kids, (size_t)n->kids_n * sizeof *more);
        n->kids = more;
    }
    n->kids[n->kids_n++] = kid;
}

static struct node *parse_right(struct parser *p)
{
    bool outer = p->on_right;
    p->on_right = true;
    struct node *n = parse_operand(p);
    p->on_right = outer;
    return n;
}

static struct node *parse_list(struct parser *p, struct node *test)
{
    if (!want_sign(p, "(", "a list in parentheses")) { skip(p); return test; }
    do {
        if (test->kids_n > LIST_MAX) {
            rule_error_add(p->errors, p->at->at, p->at->len,
                           arena_printf(p->arena, "a list has at most %d values", LIST_MAX), S(""));
            return lost(p, test);
        }
        add_kid(p, test, parse_right(p));
    } while (take_sign(p, ","));
    if (!want_sign(p, ")", "a comma or `)`")) return lost(p, test);
    return test;
}

static struct node *negate(struct parser *p, struct node *of)
{
    struct node *n = node_new(p, NODE_NOT);
    n->at = of->at;
    add_kid(p, n, of);
    return n;
}

static struct node *parse_has(struct parser *p, struct node *test)
{
    static const struct { const char *word; enum op op; } of[] = {
        { "any", OP_HAS_ANY }, { "all", OP_HAS_ALL }, { "none", OP_HAS_NONE },
    };
    for (isize i = 0; i < countof(of); i++) {
        if (!is_word(p->at, of[i].word) || !is_word(p->at + 1, "of")) continue;
        p->at += 2;
        test->op = (u8)of[i].op;
        return parse_list(p, test);
    }
    test->op = OP_HAS;
    add_kid(p, test, parse_right(p));
    return test;
}

static struct node *parse_between(struct parser *p, struct node *test)
{
    test->op = OP_BETWEEN;
    add_kid(p, test, parse_right(p));
    if (!take_word(p, "and")) {
        expected(p, "`and` and the upper end", "and");
        skip(p);
        test->kind = NODE_ERROR;
        return test;
    }
    add_kid(p, test, parse_right(p));
    return test;
}

static struct node *parse_is(struct parser *p, struct node *test)
{
    test->op = OP_KNOWN;
    bool no = take_word(p, "not");
    if (take_word(p, "known")) return no ? negate(p, test) : test;
    if (!no && take_word(p, "unknown")) return negate(p, test);
    return mistake(p, "`known` or `unknown`", "known");
}

static struct node *parse_text_op(struct parser *p, struct node *test, enum op op)
{
    test->op = (u8)op;
    if (op == OP_STARTS || op == OP_ENDS)
        if (!take_word(p, "with")) return mistake(p, "`with`", "with");
    if (op == OP_UNDER && is_sign(p->at, "(")) return parse_list(p, test);
    add_kid(p, test, parse_right(p));
    return test;
}

static struct node *parse_comparison(struct parser *p, struct node *left)
{
    static const struct { const char *word; enum op op; } words[] = {
        { "contains", OP_CONTAINS }, { "starts", OP_STARTS }, { "ends", OP_ENDS },
        { "matches", OP_MATCHES }, { "under", OP_UNDER },
    };
    struct node *test = node_new(p, NODE_TEST);
    test->at = left->at;
    add_kid(p, test, left);
    if (p->at->kind == TOKEN_SIGN)
        for (enum op op = OP_EQ; op <= OP_GE; op++)
            if (take_sign(p, rule_op_names[op])) {
                test->op = (u8)op;
                add_kid(p, test, parse_right(p));
                return test;
            }
    for (isize i = 0; i < countof(words); i++)
        if (take_word(p, words[i].word)) return parse_text_op(p, test, words[i].op);
    if (take_word(p, "is")) return parse_is(p, test);
    if (take_word(p, "has")) return parse_has(p, test);
    if (take_word(p, "between")) return parse_between(p, test);
    test->op = OP_IN;
    if (take_word(p, "in")) return parse_list(p, test);
    if (is_word(p->at, "not")) {
        p->at++;
        if (take_word(p, "between")) return negate(p, parse_between(p, test));
        test->op = OP_NOT_IN;
        if (take_word(p, "in")) return parse_list(p, test);
        return mistake(p, "`in` or `between`", "in");
    }
    test->op = OP_TRUE;
    return test;
}

/* A value is followed by something that may follow one, or by a slip of the pen. */
static void check_follow(struct parser *p)
{
    static const char *const may_follow[] = { "and", "or", "then", "unless", "within", "for" };
    static const char *const meant[] = {
        "and", "or", "between", "contains", "starts with", "ends with", "matches", "under", "has", "is known",
    };
    if (p->at->kind == TOKEN_END || is_sign(p->at, ")") || is_sign(p->at, ",")) return;
    for (isize i = 0; i < countof(may_follow); i++)
        if (is_word(p->at, may_follow[i])) return;
    const char *hint = "";
    isize best = 3;
    for (isize i = 0; p->at->kind == TOKEN_NAME && i < countof(meant); i++) {
        isize d = str_distance(p->at->text, str_of(meant[i]));
        if (d < best && d < (isize)strlen(meant[i])) { best = d; hint = meant[i]; }
    }
    expected(p, "a comparison, `and`, `or` or the end", hint);
    skip(p);
}

static struct node *parse_segment(struct parser *p)
{
    struct node *n = node_new(p, NODE_SEGMENT);
    p->at++;
    if (!take_word(p, "segment")) return mistake(p, "`segment` and its key in quotes", "segment");
    if (p->at->kind != TOKEN_TEXT) return mistake(p, "the key of a segment in quotes", "");
    n->name = p->at->text;
    n->at = p->at->at;
    n->len = p->at->len;
    p->at++;
    return n;
}

static struct node *parse_group(struct parser *p)
{
    p->at++;
    if (!deeper(p)) return node_new(p, NODE_ERROR);
    struct node *n = parse_any(p);
    p->depth--;
    if (!take_sign(p, ")")) {
        expected(p, "`)`", ")");
        if (p->at->kind != TOKEN_END) p->at++;
    }
    return n;
}

static struct node *parse_test(struct parser *p)
{
    isize at = p->at->at;
    struct node *n;
    if (is_sign(p->at, "(")) {
        n = parse_group(p);
    } else if (is_word(p->at, "in") && !p->in_where) {
        n = parse_segment(p);
    } else if (is_word(p->at, "exists")) {
        p->at++;
        n = node_new(p, NODE_TEST);
        n->op = OP_KNOWN;
        add_kid(p, n, parse_operand(p));
    } else {
        n = parse_value(p);
        if (n->kind == NODE_ERROR && p->at->kind != TOKEN_END) skip(p);
        else if (!stands_alone(n) && n->kind != NODE_ERROR) n = parse_comparison(p, n);
    }
    if (n->len == 0 && p->at->at > at) { n->at = at; n->len = last_end(p) - at; }
    check_follow(p);
    return n;
}

static struct node *parse_denial(struct parser *p)
{
    if (!is_word(p->at, "not")) return parse_test(p);
    struct node *n = node_new(p, NODE_NOT);
    p->at++;
    if (!deeper(p)) return node_new(p, NODE_ERROR);
    add_kid(p, n, parse_denial(p));
    p->depth--;
    n->len = last_end(p) - n->at;
    return n;
}

/* a and (b and c) is a and b and c. */
static void add_flat(struct parser *p, struct node *n, struct node *kid)
{
    if (kid->kind != n->kind) { add_kid(p, n, kid); return; }
    for (isize i = 0; i < kid->kids_n; i++) add_kid(p, n, kid->kids[i]);
}

static struct node *parse_all(struct parser *p)
{
    struct node *first = parse_denial(p);
    if (!is_word(p->at, "and")) return first;
    struct node *n = node_new(p, NODE_AND);
    n->at = first->at;
    add_flat(p, n, first);
    while (take_word(p, "and")) add_flat(p, n, parse_denial(p));
    n->len = last_end(p) - n->at;
    return n;
}

static struct node *parse_any(struct parser *p)
{
    struct node *first = parse_all(p);
    if (!is_word(p->at, "or")) return first;
    struct node *n = node_new(p, NODE_OR);
    n->at = first->at;
    add_flat(p, n, first);
    while (take_word(p, "or")) add_flat(p, n, parse_all(p));
    n->len = last_end(p) - n->at;
    return n;
}

struct node *rule_parse(arena *a, struct tokens tokens, struct rule_errors *errors)
{
    struct parser p = { .arena = a, .at = tokens.at, .errors = errors };
    if (p.at->kind == TOKEN_END) return mistake(&p, "a condition", "");
    struct node *root = parse_any(&p);
    while (p.at->kind != TOKEN_END) {
        expected(&p,
                 is_sign(p.at, ")") ? "`and`, `or` or the end: this `)` closes nothing"
                                    : "`and`, `or` or the end",
                 "");
        p.at++;
        if (is_word(p.at, "and") || is_word(p.at, "or")) p.at++;
        if (p.at->kind != TOKEN_END) (void)parse_any(&p);
    }
    return root;
}
