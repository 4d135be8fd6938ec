/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c - what the names mean, and whether the sides of each test fit.
 *
 * Kinds are known before anything runs wherever the language knows them: counts are numbers, sums
 * of revenue are money, `at(…)` is a time. Facts of the shop's own (traits, context, answers, item
 * fields it made up) have the kind of whatever comes, so a test of one fits any literal and is
 * unknown for a value of another kind. Money never meets a bare number: 500 of what?
 *
 * A name nobody has yet is fine where it may come later (traits, item fields, categories), but not
 * when it is within two slips of the pen of a known one: then it is most likely that one. The
 * escape is to quote it: trait("wage"). Events and segments must exist.
 *
 * The checked tree is what runs: this file also orders the parts of each `and` and `or` so that
 * the cheap ones decide first, and gathers what the answer depends on. */
#include "rule/inside.h"

#include <math.h>

struct checker {
    arena *arena;
    struct rule *rule;
    const struct rule_names *names;
    struct rule_errors *errors;
    struct { const struct scan **at; isize n, cap; } scans;
    struct { segment_id *at; isize n, cap; } segments;
};

i64 rule_unit_ms(u8 unit)
{
    static const i64 minutes[] = { 1, 60, 1440, 7 * 1440, 30 * 1440, 365 * 1440 };
    return minutes[unit] * MINUTE_MS;
}

bool rule_unit_of(str name, u8 *out)
{
    if (name.len > 1 && (name.ptr[name.len - 1] | 32) == 's') name.len--;
    for (u8 i = 0; i < UNITS; i++)
        if (str_eq_nocase(name, str_of(rule_unit_names[i]))) { *out = i; return true; }
    return false;
}

static const struct { str name; enum field field; enum value_kind kind; } fields[] = {
    { S_INIT("category"), FIELD_CATEGORY, VALUE_TEXT }, { S_INIT("brand"), FIELD_BRAND, VALUE_TEXT },
    { S_INIT("product"), FIELD_PRODUCT, VALUE_TEXT },   { S_INIT("price"), FIELD_PRICE, VALUE_MONEY },
    { S_INIT("quantity"), FIELD_QUANTITY, VALUE_NUMBER }, { S_INIT("value"), FIELD_VALUE, VALUE_MONEY },
    { S_INIT("revenue"), FIELD_VALUE, VALUE_MONEY },    { S_INIT("channel"), FIELD_CHANNEL, VALUE_TEXT },
    { S_INIT("currency"), FIELD_CURRENCY, VALUE_TEXT },
    { S_INIT("cart"), FIELD_CART, VALUE_TEXT },          { S_INIT("segment"), FIELD_SEGMENT, VALUE_TEXT },
    { S_INIT("hour"), FIELD_HOUR, VALUE_NUMBER },        { S_INIT("weekday"), FIELD_WEEKDAY, VALUE_NUMBER },
};

enum field rule_field_of(str name)
{
    for (isize i = 0; i < countof(fields); i++)
        if (str_eq(name, fields[i].name)) return fields[i].field;
    return FIELD_OTHER;
}

static enum value_kind field_kind(enum field field)
{
    for (isize i = 0; i < countof(fields); i++)
        if (fields[i].field == field) return fields[i].kind;
    return VALUE_UNKNOWN;
}

static const struct { str name; enum value_kind kind; } item_fields[] = {
    { S_INIT("price"), VALUE_MONEY }, { S_INIT("brand"), VALUE_TEXT }, { S_INIT("category"), VALUE_TEXT },
    { S_INIT("product"), VALUE_TEXT }, { S_INIT("in_stock"), VALUE_BOOL }, { S_INIT("stock"), VALUE_NUMBER },
    { S_INIT("margin"), VALUE_NUMBER },
};

/* VALUE_UNKNOWN: of whatever kind comes. */
static enum value_kind kind_of(const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_LITERAL: return n->literal.kind;
    case NODE_CONTEXT:
        return str_eq(n->name, S("hour")) || str_eq(n->name, S("weekday")) ? VALUE_NUMBER : VALUE_UNKNOWN;
    case NODE_ITEM:
        for (isize i = 0; i < countof(item_fields); i++)
            if (str_eq(n->name, item_fields[i].name)) return item_fields[i].kind;
        return VALUE_UNKNOWN;
    case NODE_FIELD: return field_kind((enum field)n->field);
    case NODE_AFFINITY: case NODE_SINCE: case NODE_DISTANCE: return VALUE_NUMBER;
    case NODE_LADDER: return VALUE_TEXT;
    case NODE_TALLY:
        if (n->scans->tally == TALLY_COUNT || n->scans->tally == TALLY_DISTINCT) return VALUE_NUMBER;
        if (tally_any_kind(n->scans->tally)) return field_kind((enum field)n->scans->field);
        return n->scans->field == FIELD_OTHER ? VALUE_NUMBER : field_kind((enum field)n->scans->field);
    case NODE_AT: return VALUE_TIME;
    case NODE_PREDICTED: {
        u8 score;
        return score_of(n->name, &score) && score_is_money(score) ? VALUE_MONEY : VALUE_NUMBER;
    }
    case NODE_TRAIT: case NODE_QUIZ: return VALUE_UNKNOWN;
    case NODE_AND: case NODE_OR: case NODE_NOT: case NODE_TEST: case NODE_DID: case NODE_SEQUENCE:
    case NODE_SEGMENT: case NODE_ERROR: break;
    }
    return VALUE_UNKNOWN;
}

static void wrong(struct checker *c, const struct node *n, str message, str hint)
{
    rule_error_add(c->errors, n->at, n->len, message, hint);
}

/* ---- did you mean -------------------------------------------------------------------------- */

struct nearest { str name; isize distance; };

static void nearest_try(struct nearest *best, str wanted, str known)
{
    isize d = str_distance(wanted, known);
    if (d < best->distance) *best = (struct nearest){ known, d };
}

static void nearest_known(struct checker *c, struct nearest *best, str wanted, enum rule_name sort)
{
    str known;
    if (!c->names || !c->names->each) return;
    for (isize i = 0; c->names->each(c->names->ctx, sort, i, &known); i++) nearest_try(best, wanted, known);
}

/* As many slips as a name of its length may hold before it is rather another word. */
static isize slips(str name) { return name.len >= 5 ? 2 : name.len >= 3 ? 1 : 0; }

static bool is_known(struct checker *c, str wanted, enum rule_name sort, bool any_case)
{
    str known;
    if (!c->names || !c->names->each) return false;
    for (isize i = 0; c->names->each(c->names->ctx, sort, i, &known); i++)
        if (any_case ? str_eq_nocase(known, wanted) : str_eq(known, wanted)) return true;
    return false;
}

/* ---- events -------------------------------------------------------------------------------- */

/* Ours that are no events of their own. */
static const struct { str name; u16 type; enum open open; } pseudo[] = {
    { S_INIT("anything"), EVENT_NONE, OPEN_NO },
    { S_INIT("in_cart"), EVENT_PRODUCT_ADDED, OPEN_CART },
    { S_INIT("in_wishlist"), EVENT_WISHLIST_ADDED, OPEN_WISHLIST },
};

static bool check_pseudo(struct scan *s)
{
    for (isize i = 0; i < countof(pseudo); i++) {
        if (!str_eq_nocase(s->event, pseudo[i].name)) continue;
        s->event = pseudo[i].name;
        s->type = pseudo[i].type;
        s->open = (u8)pseudo[i].open;
        s->any = pseudo[i].open == OPEN_NO;
        return true;
    }
    return false;
}

static void check_event(struct checker *c, struct scan *s)
{
    if (check_pseudo(s)) return;
    u16 ours = event_type_of(s->event);
    if (ours != EVENT_NONE) {
        s->type = ours;
        s->event = str_of(event_type_name(ours));
        return;
    }
    i32 type = c->names && c->names->event_type ? c->names->event_type(c->names->ctx, s->event) : -1;
    if (type > 0 && type <= UINT16_MAX) { s->type = (u16)type; return; }
    struct nearest best = { S(""), max_isize(3, s->event.len / 2) };
    for (u16 i = 1; i < EVENT_TYPES; i++) nearest_try(&best, s->event, str_of(event_type_name(i)));
    for (isize i = 0; i < countof(pseudo); i++) nearest_try(&best, s->event, pseudo[i].name);
    nearest_known(c, &best, s->event, RULE_NAME_EVENT);
    rule_error_add(c->errors, s->at, s->len,
                   arena_printf(c->arena, "no event is called %.*s", STR_FMT(s->event)), best.name);
}

static void check_node(struct checker *c, struct node *n);

static void check_field(struct checker *c, struct scan *s)
{
    static const char *const amounts[] = { "revenue", "value", "quantity", "price" };
    if (tally_any_kind(s->tally) && (s->field == FIELD_CURRENCY || s->field == FIELD_SEGMENT)) {
        rule_error_add(c->errors, s->field_at, s->field_name.len,
                       arena_printf(c->arena, "%.*s is asked in a `where`", STR_FMT(s->field_name)), S(""));
        return;
    }
    if (s->tally == TALLY_COUNT || s->tally == TALLY_DISTINCT || tally_any_kind(s->tally)) return;
    enum value_kind kind = field_kind((enum field)s->field);
    struct nearest best = { S(""), 3 };
    for (isize i = 0; i < countof(amounts); i++) nearest_try(&best, s->field_name, str_of(amounts[i]));
    if (kind == VALUE_TEXT) {
        rule_error_add(
            c->errors, s->field_at, s->field_name.len,
            arena_printf(c->arena,
                         "%.*s is text; a %s is over revenue, quantity, price or a number of the item",
                         STR_FMT(s->field_name), rule_tally_names[s->tally]),
            S("revenue"));
        s->field = FIELD_QUANTITY;                      /* so that the comparison is not blamed as well */
    } else if (s->field == FIELD_OTHER && best.distance <= slips(s->field_name)) {
        rule_error_add(c->errors, s->field_at, s->field_name.len,
                       arena_printf(c->arena, "no event has a field called %.*s", STR_FMT(s->field_name)),
                       best.name);
        s->field = (u8)rule_field_of(best.name);
    }
}

static bool is_open(const struct node *n)
{
    if (n->kind == NODE_ITEM || n->kind == NODE_CONTEXT || n->kind == NODE_TRAIT) return true;
    for (isize i = 0; i < n->kids_n; i++)
        if (is_open(n->kids[i])) return true;
    return false;
}

/* What takes things out of a cart or off a wish list. */
static const u16 closing[] = {
    EVENT_PRODUCT_ADDED,    EVENT_PRODUCT_REMOVED,   EVENT_WISHLIST_ADDED,
    EVENT_WISHLIST_REMOVED, EVENT_PRODUCT_PURCHASED, EVENT_ORDER_COMPLETED,
};

static void check_scan(struct checker *c, struct scan *s)
{
    check_event(c, s);
    if (s->field_name.len) check_field(c, s);
    if (s->where) {
        check_node(c, s->where);
        s->open_where = is_open(s->where);
    }
    c->rule->types |= (u64)1 << (s->type & 63);
    c->rule->depends |= RULE_ON_HISTORY;
    if (s->where) c->rule->depends |= RULE_ON_ITEM;
    if (s->window.kind != WINDOW_ALL && s->window.kind != WINDOW_SINCE) c->rule->depends |= RULE_ON_TIME;
    if (s->window.kind == WINDOW_SESSION) c->rule->any_type = true;
    if (s->any) c->rule->any_type = true;
    if (s->open)
        for (isize i = 0; i < countof(closing); i++) c->rule->types |= (u64)1 << (closing[i] & 63);
    s->nets_returns |= s->tally == TALLY_SUM;
    if (s->nets_returns && s->type == EVENT_ORDER_COMPLETED)
        c->rule->types |= (u64)1 << (EVENT_ORDER_REFUNDED & 63);
    vec_push(&c->scans, s);
}

/* ---- tests --------------------------------------------------------------------------------- */

static const char *kind_text(enum value_kind kind)
{
    switch (kind) {
    case VALUE_UNKNOWN: return "a value";
    case VALUE_BOOL: return "true or false";
    case VALUE_NUMBER: return "a number";
    case VALUE_TEXT: return "text in quotes";
    case VALUE_MONEY: return "money";
    case VALUE_TIME: return "a date";
    case VALUE_LIST: return "a list";
    }
    return "";
}

static void wrong_kind(struct checker *c, const struct node *right, enum value_kind left)
{
    enum value_kind kind = kind_of(right);
    struct buf hint = { .arena = c->arena };
    if (left == VALUE_MONEY && kind == VALUE_NUMBER && right->kind == NODE_LITERAL && !right->percent) {
        rule_print_node(&hint, right);
        buf_add(&hint, S(" EUR"));
        wrong(c, right, arena_printf(c->arena, "write the currency: %.*s", STR_FMT(buf_str(&hint))),
              buf_str(&hint));
        return;
    }
    if (left == VALUE_TIME) buf_add(&hint, S("2026-01-31"));
    if (left == VALUE_TEXT && kind == VALUE_NUMBER) {
        buf_byte(&hint, '"');
        rule_print_node(&hint, right);
        buf_byte(&hint, '"');
    }
    wrong(c, right, arena_printf(c->arena, "expected %s, this is %s", kind_text(left), kind_text(kind)),
          buf_str(&hint));
}

static bool is_history(const struct node *n)
{
    return n->kind == NODE_TALLY || n->kind == NODE_SINCE || n->kind == NODE_AT;
}
static bool is_value(const struct node *n) { return n->kind >= NODE_LITERAL; }

static bool is_category(const struct node *n)
{
    return (n->kind == NODE_FIELD && n->field == FIELD_CATEGORY)
           || (n->kind == NODE_ITEM && str_eq(n->name, S("category")));
}

static void check_category(struct checker *c, const struct node *right)
{
    if (right->kind != NODE_LITERAL || right->literal.kind != VALUE_TEXT) return;
    str name = right->literal.s;
    struct nearest best = { S(""), 3 };
    if (is_known(c, name, RULE_NAME_CATEGORY, true)) return;
    nearest_known(c, &best, name, RULE_NAME_CATEGORY);
    if (name.len >= 5 && best.distance <= 2)
        wrong(c, right, arena_printf(c->arena, "no category is called %.*s", STR_FMT(name)), best.name);
}

static void check_channel(struct checker *c, const struct node *right)
{
    u8 channel;
    if (right->kind != NODE_LITERAL || right->literal.kind != VALUE_TEXT
        || channel_of(right->literal.s, &channel))
        return;
    struct nearest best = { S(""), 4 };
    for (u8 i = 0; i < CHANNELS; i++) nearest_try(&best, right->literal.s, str_of(channel_name(i)));
    wrong(c, right, arena_printf(c->arena, "no channel is called %.*s", STR_FMT(right->literal.s)),
          best.name);
}

/* `segment = "vip"` in a where: which of them is meant. */
static void check_segment_field(struct checker *c, struct node *right)
{
    if (right->kind != NODE_LITERAL || right->literal.kind != VALUE_TEXT) {
        wrong(c, right, S("the key of a segment in quotes"), S(""));
        return;
    }
    i32 id = c->names && c->names->segment ? c->names->segment(c->names->ctx, right->literal.s) : -1;
    struct nearest best = { S(""), max_isize(3, right->literal.s.len / 2) };
    if (id >= 0 && id <= UINT16_MAX) { right->segment = (segment_id){ (u16)id }; return; }
    nearest_known(c, &best, right->literal.s, RULE_NAME_SEGMENT);
    wrong(c, right,
          arena_printf(c->arena, "there is no segment \"%.*s\"", STR_FMT(right->literal.s)),
          best.name);
}

static void check_rung(struct checker *c, str ladder, const struct node *right)
{
    isize n;
    const struct rule_rung *rungs = rule_ladder(ladder, &n);
    struct nearest best = { S(""), 100 };
    if (right->kind != NODE_LITERAL || right->literal.kind != VALUE_TEXT) return;
    for (isize i = 0; i < n; i++) {
        if (str_eq_nocase(right->literal.s, rungs[i].word)) return;
        nearest_try(&best, right->literal.s, rungs[i].word);
    }
    wrong(c, right,
          arena_printf(c->arena, "no %.*s is called %.*s", STR_FMT(ladder),
                       STR_FMT(right->literal.s)),
          best.name);
}

static bool exact_op(enum op op) { return op == OP_EQ || op == OP_NE || op == OP_IN || op == OP_NOT_IN; }
static bool has_op(enum op op) { return op >= OP_HAS && op <= OP_HAS_NONE; }

static void check_right(struct checker *c, const struct node *test, struct node *right)
{
    const struct node *left = test->kids[0];
    enum op op = (enum op)test->op;
    enum value_kind l = kind_of(left), r = kind_of(right);
    bool exact = exact_op(op);
    bool textual =
        op == OP_CONTAINS || op == OP_STARTS || op == OP_ENDS || op == OP_MATCHES || op == OP_UNDER;
    if (right->kind == NODE_ERROR) return;
    if (left->kind == NODE_FIELD && left->field == FIELD_SEGMENT) { check_segment_field(c, right); return; }
    if (left->kind == NODE_LADDER && exact) check_rung(c, left->name, right);
    if (has_op(op)) {
        if (r == VALUE_MONEY || r == VALUE_TIME) wrong_kind(c, right, VALUE_TEXT);
        return;
    }
    if (right->version && !rule_is_version(right->literal.s)) {
        wrong(c, right, S("expected a version such as 2.10.0"), S("version \"2.10.0\""));
        return;
    }
    if (is_history(right)) {
        wrong(c, right, S("what is counted stands on the left of the comparison"), S(""));
        return;
    }
    if (textual && r != VALUE_TEXT && (r != VALUE_UNKNOWN || op == OP_MATCHES)) {
        wrong_kind(c, right, VALUE_TEXT);
        return;
    }
    if (l != VALUE_UNKNOWN && r != VALUE_UNKNOWN && l != r) { wrong_kind(c, right, l); return; }
    if (is_category(left) && (exact || op == OP_UNDER)) check_category(c, right);
    if (left->kind == NODE_FIELD && left->field == FIELD_CHANNEL && exact) check_channel(c, right);
    if (left->kind == NODE_TALLY && left->scans->tally == TALLY_DISTINCT
        && right->literal.kind == VALUE_NUMBER && right->literal.n > DISTINCT_MAX)
        wrong(c, right, arena_printf(c->arena, "distinct counts as far as %d", DISTINCT_MAX), S(""));
}

static void check_regex(struct checker *c, struct node *test)
{
    const struct node *right = test->kids[1];
    if (right->kind != NODE_LITERAL || right->literal.kind != VALUE_TEXT) {
        if (right->kind != NODE_ERROR) wrong(c, right, S("a pattern is text in quotes"), S("\"^sku-\""));
        return;
    }
    struct diag diag = { .arena = c->arena };
    if (regex_new(c->arena, right->literal.s, &test->regex, &diag)) wrong(c, right, diag.what, S(""));
}

/* Which comparisons a left side of this sort takes at all. */
static void check_op(struct checker *c, struct node *test)
{
    const struct node *left = test->kids[0];
    enum op op = (enum op)test->op;
    enum value_kind kind = kind_of(left);
    bool ordered = (op >= OP_LT && op <= OP_GE) || op == OP_BETWEEN;
    bool textual = op == OP_CONTAINS || op == OP_STARTS || op == OP_ENDS || op == OP_MATCHES;
    bool versions = test->kids_n > 1;
    for (isize i = 1; i < test->kids_n; i++) versions = versions && test->kids[i]->version;
    if (left->kind == NODE_FIELD && left->field == FIELD_SEGMENT && !exact_op(op))
        wrong(c, left, S("a segment is compared with = or in"), S("="));
    else if (has_op(op) && kind != VALUE_UNKNOWN && kind != VALUE_TEXT)
        wrong(c, left,
              arena_printf(c->arena, "`has` asks about a list, this is %s", kind_text(kind)),
              S("="));
    else if (op != OP_TRUE && left->kind == NODE_LITERAL)
        wrong(c, left, S("what is compared stands on the left, what it is compared with on the right"),
              S(""));
    else if (op == OP_TRUE && kind != VALUE_BOOL && (kind != VALUE_UNKNOWN || left->kind == NODE_QUIZ))
        wrong(c, left,
              arena_printf(c->arena, "this is %s; expected a comparison after it", kind_text(kind)),
              S(""));
    else if (op == OP_KNOWN
             && (left->kind == NODE_TALLY || left->kind == NODE_SINCE || left->kind == NODE_LITERAL))
        wrong(c, left, S("`is known` asks for a fact; did(…) asks whether something happened"), S("did"));
    else if (ordered && !versions && (kind == VALUE_TEXT || kind == VALUE_BOOL))
        wrong(c, left, arena_printf(c->arena, "%s has no order; expected = or in", kind_text(kind)), S("="));
    else if (textual && kind != VALUE_TEXT && kind != VALUE_UNKNOWN)
        wrong(c, left,
              arena_printf(c->arena, "`%s` asks about text, this is %s", rule_op_names[op],
                           kind_text(kind)),
              S(""));
    else if (op == OP_UNDER && !is_category(left))
        wrong(c, left, S("only a category is under another"), S("category under \"…\""));
    else if (!ordered && op != OP_TRUE && op != OP_KNOWN
             && (left->kind == NODE_SINCE || left->kind == NODE_AFFINITY || left->kind == NODE_DISTANCE))
        wrong(c, left, S("this changes all the time, so it is never exactly that; say between … and …"),
              S("between"));
}

static void check_between(struct checker *c, const struct node *test)
{
    const struct node *low = test->kids[1], *high = test->kids[2];
    const struct value *a = &low->literal, *b = &high->literal;
    if (low->kind != NODE_LITERAL || high->kind != NODE_LITERAL) return;
    if (a->kind != b->kind) { wrong_kind(c, high, a->kind); return; }
    bool turned = (a->kind == VALUE_NUMBER && a->n > b->n) || (a->kind == VALUE_TIME && a->at_ms > b->at_ms)
               || (a->kind == VALUE_MONEY && a->money.minor > b->money.minor);
    if ((a->kind == VALUE_TEXT && !(low->version && high->version)) || a->kind == VALUE_BOOL)
        wrong(c, low, arena_printf(c->arena, "%s has no order", kind_text(a->kind)), S(""));
    else if (a->kind == VALUE_MONEY && a->money.currency.v != b->money.currency.v)
        wrong(c, high, S("both ends are in one currency"), S(""));
    else if (turned)
        wrong(c, high, S("the lower end comes first"), S(""));
}

static void check_distance(struct checker *c, struct node *n)
{
    n->moment = c->rule->place != RULE_SEGMENT;
    c->rule->depends |= RULE_ON_TRAITS | (n->moment ? RULE_ON_CONTEXT : 0);
}

static void check_test(struct checker *c, struct node *test)
{
    for (isize i = 0; i < test->kids_n; i++) check_node(c, test->kids[i]);
    const struct node *left = test->kids[0];
    if (left->kind == NODE_ERROR) return;
    if (!is_value(left)) {
        wrong(c, left, S("expected a value to compare"), S(""));
        return;
    }
    isize before = c->errors->n;
    check_op(c, test);
    if (c->errors->n > before) return;
    for (isize i = 1; i < test->kids_n; i++) {
        bool ordered = (test->op >= OP_LT && test->op <= OP_GE) || test->op == OP_BETWEEN;
        enum value_kind r = kind_of(test->kids[i]);
        if (ordered && (r == VALUE_TEXT || r == VALUE_BOOL) && !test->kids[i]->version)
            wrong(c, test->kids[i], arena_printf(c->arena, "%s has no order", kind_text(r)), S(""));
        else
            check_right(c, test, test->kids[i]);
    }
    if (test->op == OP_BETWEEN) check_between(c, test);
    if (test->op == OP_MATCHES) check_regex(c, test);
}

/* ---- names --------------------------------------------------------------------------------- */

static void check_trait(struct checker *c, const struct node *n)
{
    static const char *const words[] = {
        "context", "exists", "segment", "sequence", "purchased", "affinity", "stage", "intent", "retention",
    };
    c->rule->depends |= RULE_ON_TRAITS;
    if (n->quoted || is_known(c, n->name, RULE_NAME_TRAIT, false)) return;
    struct nearest best = { S(""), 100 };
    nearest_known(c, &best, n->name, RULE_NAME_TRAIT);
    for (isize i = 0; i < countof(words); i++) nearest_try(&best, n->name, str_of(words[i]));
    for (isize i = 0; rule_alias_name(i).len; i++) nearest_try(&best, n->name, rule_alias_name(i));
    if (best.distance <= slips(n->name))
        wrong(c, n,
              arena_printf(c->arena,
                           "nobody has a trait called %.*s; if it is one, write trait(\"%.*s\")",
                           STR_FMT(n->name), STR_FMT(n->name)),
              best.name);
}

static void check_predicted(struct checker *c, const struct node *n)
{
    u8 score;
    c->rule->depends |= RULE_ON_TRAITS;
    if (str_starts(n->name, S(UPLIFT_PREFIX))) {
        str campaign = str_from(n->name, S(UPLIFT_PREFIX).len);
        struct nearest close = { S(""), 100 };
        if (!c->names || !c->names->each || is_known(c, campaign, RULE_NAME_UPLIFT, false)) return;
        nearest_known(c, &close, campaign, RULE_NAME_UPLIFT);
        wrong(c, n, arena_printf(c->arena, "there is no campaign called %.*s", STR_FMT(campaign)),
              close.name.len ? arena_printf(c->arena, UPLIFT_PREFIX "%.*s", STR_FMT(close.name)) : S(""));
        return;
    }
    if (!score_of(n->name, &score)) {
        struct nearest best = { S("churn"), 4 };
        for (int i = 0; i < SCORES; i++) nearest_try(&best, n->name, str_of(score_name(i)));
        wrong(c, n, arena_printf(c->arena, "nothing called %.*s is predicted", STR_FMT(n->name)), best.name);
    } else if (score == SCORE_INTENT && c->rule->place == RULE_SEGMENT) {
        wrong(
            c, n,
            S("a segment holds with nobody looking, so it cannot ask what the visit under way will come to"),
            S("churn"));
    }
}

static void check_context(struct checker *c, const struct node *n)
{
    c->rule->depends |= RULE_ON_CONTEXT;
    if (c->rule->place == RULE_SEGMENT)
        wrong(c, n,
              S("a segment holds with nobody looking, so it cannot ask about the moment (context.)"),
              S(""));
}

static void check_item(struct checker *c, struct node *n)
{
    c->rule->depends |= RULE_ON_ITEM;
    if (c->rule->place != RULE_FILTER)
        wrong(c, n, S("`item` is the one that would be shown; only filters and guards have one"), S(""));
    struct nearest best = { S(""), 100 };
    bool known = false;
    for (isize i = 0; i < countof(item_fields); i++) {
        known |= str_eq(n->name, item_fields[i].name);
        nearest_try(&best, n->name, item_fields[i].name);
    }
    if (!known && best.distance <= min_isize(1, slips(n->name)))
        wrong(c, n, arena_printf(c->arena, "items have no %.*s", STR_FMT(n->name)), best.name);
    if (!n->index) return;
    check_node(c, n->index);
    enum value_kind kind = kind_of(n->index);
    if (is_history(n->index) || (kind != VALUE_TEXT && kind != VALUE_UNKNOWN))
        wrong_kind(c, n->index, VALUE_TEXT);
}

static void check_segment(struct checker *c, struct node *n)
{
    c->rule->depends |= RULE_ON_SEGMENTS;
    i32 id = c->names && c->names->segment ? c->names->segment(c->names->ctx, n->name) : -1;
    if (id >= 0 && id <= UINT16_MAX) {
        n->segment = (segment_id){ (u16)id };
        vec_push(&c->segments, n->segment);
        return;
    }
    struct nearest best = { S(""), max_isize(3, n->name.len / 2) };
    nearest_known(c, &best, n->name, RULE_NAME_SEGMENT);
    wrong(c, n, arena_printf(c->arena, "there is no segment \"%.*s\"", STR_FMT(n->name)), best.name);
}

static void check_affinity(struct checker *c, const struct node *n)
{
    c->rule->depends |= RULE_ON_AFFINITY | RULE_ON_TIME;
    if (str_eq(n->name, S("category"))) {
        struct node key = *n;
        key.kind = NODE_LITERAL;
        key.literal = (struct value){ .kind = VALUE_TEXT, .s = n->key };
        check_category(c, &key);
    }
}

static void check_candidate(struct checker *c, const struct node *n)
{
    c->rule->depends |= RULE_ON_ITEM;
    if (c->rule->place != RULE_FILTER)
        wrong(c, n, S("`item` is the one that would be shown; only filters and guards have one"), S("did"));
}

static void check_absence(struct checker *c, const struct node *n)
{
    const struct window *w = &n->scans->window;
    c->rule->depends |= RULE_ON_TIME;
    bool ends = w->kind == WINDOW_LAST || w->kind == WINDOW_AGO;
    if (ends && w->far * rule_unit_ms(w->unit) <= n->within * rule_unit_ms(n->unit))
        wrong(c, n, S("this is never so: the window is over before the time to wait has passed"), S(""));
}

/* ---- cost and order ------------------------------------------------------------------------ */

enum { COST_ENTRY = 16 };                               /* a history question against one about a fact */

static i64 scan_cost(const struct scan *s)
{
    i64 one = COST_ENTRY + (s->where ? s->where->cost : 0);
    if (s->open) one *= 4;                              /* looks at what came after, too */
    return s->tally == TALLY_DISTINCT || s->tally == TALLY_COMMON ? one * 4
           : s->tally == TALLY_COUNT                              ? one
                                                                  : one * 2;
}

static i64 cost_of(const struct node *n)
{
    i64 cost = n->kind == NODE_LITERAL ? 0 : n->kind == NODE_ITEM || n->kind == NODE_AFFINITY ? 2 : 1;
    bool of_entry = n->field == FIELD_QUANTITY || n->field == FIELD_VALUE || n->field == FIELD_CHANNEL
                 || n->field == FIELD_CURRENCY;
    if (n->kind == NODE_FIELD) cost = of_entry ? 1 : 3;
    if (n->kind == NODE_TEST && n->op == OP_MATCHES) cost += 8;
    for (isize i = 0; i < n->kids_n; i++) cost += n->kids[i]->cost;
    for (isize i = 0; i < n->scans_n; i++) cost += scan_cost(&n->scans[i]);
    if (n->unless) cost += scan_cost(n->unless);
    if (n->kind == NODE_SEQUENCE) cost *= n->same_product || n->same_cart ? 4 : 2;
    if (n->index) cost += n->index->cost;
    return cost;
}

static void order_kids(struct checker *c, struct node *n)
{
    n->order = arena_new(c->arena, struct node *, n->kids_n);
    for (isize i = 0; i < n->kids_n; i++) {
        isize at = i;
        for (; at > 0 && n->order[at - 1]->cost > n->kids[i]->cost; at--) n->order[at] = n->order[at - 1];
        n->order[at] = n->kids[i];
    }
}

/* Of one type, of anything, in a window that ends now. */
static bool is_plain(const struct scan *s)
{
    bool ends_now = s->window.kind == WINDOW_ALL || s->window.kind == WINDOW_LAST;
    return ends_now && !s->any && !s->candidate && !s->open && !s->where && !s->nets_returns;
}

static void note_recent(struct node *n)
{
    const struct scan *s = n->kind == NODE_DID ? n->scans
                           : n->kind == NODE_TEST && n->kids[0]->kind == NODE_TALLY
                               ? n->kids[0]->scans
                               : NULL;
    if (n->kind == NODE_NOT && n->kids[0]->recent) {
        const struct node *kid = n->kids[0];
        n->recent = kid->recent == RECENT_AT_LEAST ? RECENT_FEWER : RECENT_AT_LEAST;
        n->recent_type = kid->recent_type;
        n->recent_least = kid->recent_least;
        n->recent_ms = kid->recent_ms;
        return;
    }
    if (!s || !is_plain(s)) return;
    bool negated = false;
    n->recent_least = 1;
    if (n->kind == NODE_TEST
        && (s->tally != TALLY_COUNT || !rule_is_at_least(n, &n->recent_least, &negated)))
        return;
    n->recent = negated ? RECENT_FEWER : RECENT_AT_LEAST;
    n->recent_type = s->type;
    n->recent_ms = s->window.kind == WINDOW_LAST ? s->window.far * rule_unit_ms(s->window.unit) : AGE_MAX;
}

static void check_node(struct checker *c, struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_AND: case NODE_OR: case NODE_NOT:
        for (isize i = 0; i < n->kids_n; i++) check_node(c, n->kids[i]);
        order_kids(c, n);
        break;
    case NODE_TEST: check_test(c, n); break;
    case NODE_DID:
        check_scan(c, &n->scans[0]);
        if (n->scans->candidate) check_candidate(c, n);
        break;
    case NODE_SEQUENCE:
        for (isize i = 0; i < n->scans_n; i++) check_scan(c, &n->scans[i]);
        if (n->unless) check_scan(c, n->unless);
        if (n->absent) check_absence(c, n);
        break;
    case NODE_TALLY: check_scan(c, &n->scans[0]); break;
    case NODE_SINCE:
        c->rule->depends |= RULE_ON_TIME;
        if (n->kids_n) check_node(c, n->kids[0]);
        else check_scan(c, &n->scans[0]);
        break;
    case NODE_LADDER:
        for (isize i = 0; i < n->kids_n; i++) check_node(c, n->kids[i]);
        break;
    case NODE_DISTANCE: check_distance(c, n); break;
    case NODE_AT: check_scan(c, &n->scans[0]); break;
    case NODE_SEGMENT: check_segment(c, n); break;
    case NODE_TRAIT: check_trait(c, n); break;
    case NODE_CONTEXT: check_context(c, n); break;
    case NODE_ITEM: check_item(c, n); break;
    case NODE_AFFINITY: check_affinity(c, n); break;
    case NODE_QUIZ: c->rule->depends |= RULE_ON_QUIZ; break;
    case NODE_PREDICTED: check_predicted(c, n); break;
    case NODE_FIELD: case NODE_LITERAL: case NODE_ERROR: break;
    }
    n->cost = cost_of(n);
    note_recent(n);
}

void rule_check(arena *a, struct rule *rule, const struct rule_names *names, struct rule_errors *errors)
{
    struct checker c = { .arena = a, .rule = rule, .names = names, .errors = errors };
    check_node(&c, rule->root);
    if (rule_form_levels(rule->root) > FORM_LEVELS_MAX)
        wrong(&c, rule->root, S("nested too deep"), S(""));
    rule->cost = rule->root->cost;
    if (rule->cost > RULE_COST_MAX)
        rule_error_add(
            errors, 0, 1,
            arena_printf(
                a,
                "this rule is too heavy: it costs %lld, the most is %d; ask fewer questions over the history",
                (long long)rule->cost, RULE_COST_MAX),
            S(""));
    rule->scans_n = c.scans.n;
    rule->scans = arena_new(a, const struct scan *, c.scans.n);
    if (c.scans.n) memcpy(rule->scans, c.scans.at, (size_t)c.scans.n * sizeof *c.scans.at);
    rule->segments_n = c.segments.n;
    rule->segments = arena_new(a, segment_id, c.segments.n);
    if (c.segments.n) memcpy(rule->segments, c.segments.at, (size_t)c.segments.n * sizeof *c.segments.at);
    vec_fini(&c.scans);
    vec_fini(&c.segments);
}
