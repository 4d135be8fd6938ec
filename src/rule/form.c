/* SPDX-License-Identifier: Apache-2.0
 *
 * form.c - the JSON form of the tree, which the console's builder edits, and back to text.
 *
 *   condition  {"and": [c…]} {"or": [c…]} {"not": c}
 *              {"test": "<=", "left": v, "right": v}     right: [v…] for in, not in, under, has … of, [v, v] for between;
 *                                                        none for "is known" and "is true"
 *              {"did": scan} {"purchased": {"window": w}}, viewed, carted, wished   {"in_segment": "vip"}
 *              {"sequence": {"steps": [scan + "not": true on the last…], "within": 2, "unit": "hour",
 *                            "unless": scan, "same_product": true, "same_cart": true, "window": w}}
 *   value      12.5  "text"  true  {"money": "49.90 NOK"} {"date": "2026-01-31"} {"percent": 40}
 *              {"trait": "age"} ("quoted": true: as trait("age")) {"context": "hour"}
 *              {"item": "stock", "key": v} {"field": "category"} {"quiz": "skin-type"} {"predicted": "churn"}
 *              {"affinity": "category", "value": "jeans"} {"count": scan} {"sum": scan} …
 *              {"days_since": scan or a trait} {"hours_since": …} {"minutes_since": …} {"at": scan}
 *              {"version": "2.10.0"} {"distance_km": [59.91, 10.75]}   stage, orders.count and kin are traits
 *   scan       {"event": "product_viewed", "field": "revenue", "pick": "first", "where": c, "window": w}
 *   window     {"last": 30, "unit": "day"} {"near": 7, "far": 14, "unit": "day"} {"since": "2026-01-31"}
 *              {"session": true} {"today": true}
 *
 * Reading back builds the same tree and prints it, so there is one printer; the text is then
 * compiled like any other, and all that the checker has to say is said there. */
#include "rule/inside.h"

/* ---- out ----------------------------------------------------------------------------------- */

static void node_to_json(const struct node *n, struct jsonw *w);

static void printed_to_json(const char *key, const struct node *n, struct jsonw *w)
{
    char text[64];
    struct buf out = { .ptr = text, .cap = sizeof text };   /* money and dates are short */
    rule_print_node(&out, n);
    jsonw_key_str(w, key, buf_str(&out));
}

static void window_to_json(const struct window *win, struct jsonw *w)
{
    if (win->kind == WINDOW_ALL) return;
    jsonw_key_begin(w, "window", '{');
    switch ((enum window_kind)win->kind) {
    case WINDOW_ALL: break;
    case WINDOW_LAST: jsonw_key_int(w, "last", win->far); break;
    case WINDOW_AGO:
        jsonw_key_int(w, "near", win->near);
        jsonw_key_int(w, "far", win->far);
        if (win->not_since) jsonw_key_bool(w, "not_since", true);
        break;
    case WINDOW_SINCE: {
        struct node day = { .kind = NODE_LITERAL, .date = true };
        day.literal = (struct value){ .kind = VALUE_TIME, .at_ms = win->day_ms };
        printed_to_json("since", &day, w);
        break;
    }
    case WINDOW_SESSION: jsonw_key_bool(w, "session", true); break;
    case WINDOW_TODAY: jsonw_key_bool(w, "today", true); break;
    }
    if (win->kind == WINDOW_LAST || win->kind == WINDOW_AGO)
        jsonw_key_str(w, "unit", str_of(rule_unit_names[win->unit]));
    jsonw_end(w, '}');
}

static void scan_keys(const struct scan *s, bool window, struct jsonw *w)
{
    jsonw_key_str(w, "event", s->event);
    if (s->field_name.len) jsonw_key_str(w, "field", s->field_name);
    if (s->first) jsonw_key_str(w, "pick", S("first"));
    if (s->where) {
        jsonw_key(w, S("where"));
        node_to_json(s->where, w);
    }
    if (window) window_to_json(&s->window, w);
}

static void scan_to_json(const char *key, const struct scan *s, struct jsonw *w)
{
    jsonw_key_begin(w, key, '{');
    scan_keys(s, true, w);
    jsonw_end(w, '}');
}

static void did_to_json(const struct scan *s, struct jsonw *w)
{
    if (!s->candidate) { scan_to_json("did", s, w); return; }
    jsonw_key_begin(w, rule_candidate_word(s->event), '{');
    window_to_json(&s->window, w);
    jsonw_end(w, '}');
}

static void sequence_to_json(const struct node *n, struct jsonw *w)
{
    jsonw_key_begin(w, "sequence", '{');
    jsonw_key_begin(w, "steps", '[');
    for (isize i = 0; i < n->scans_n; i++) {
        jsonw_begin(w, '{');
        if (n->absent && i == n->scans_n - 1) jsonw_key_bool(w, "not", true);
        scan_keys(&n->scans[i], false, w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "within", n->within);
    jsonw_key_str(w, "unit", str_of(rule_unit_names[n->unit]));
    if (n->unless) {
        jsonw_key_begin(w, "unless", '{');
        scan_keys(n->unless, false, w);
        jsonw_end(w, '}');
    }
    if (n->same_product) jsonw_key_bool(w, "same_product", true);
    if (n->same_cart) jsonw_key_bool(w, "same_cart", true);
    window_to_json(&n->scans[0].window, w);
    jsonw_end(w, '}');
}

static bool is_list_op(isize op) { return op >= OP_HAS_ANY && op <= OP_HAS_NONE; }

static void test_to_json(const struct node *n, struct jsonw *w)
{
    bool list = n->op == OP_IN || n->op == OP_NOT_IN || n->op == OP_BETWEEN || is_list_op(n->op)
                || n->kids_n > 2;
    jsonw_key_str(w, "test", str_of(rule_op_names[n->op]));
    jsonw_key(w, S("left"));
    node_to_json(n->kids[0], w);
    if (n->kids_n == 1) return;
    jsonw_key(w, S("right"));
    if (list) jsonw_begin(w, '[');
    for (isize i = 1; i < n->kids_n; i++) node_to_json(n->kids[i], w);
    if (list) jsonw_end(w, ']');
}

/* True when it wrote a bare JSON value. */
static bool bare_literal(const struct node *n, struct jsonw *w)
{
    switch (n->literal.kind) {
    case VALUE_BOOL: jsonw_bool(w, n->literal.b); return true;
    case VALUE_TEXT:
        if (n->version) return false;
        jsonw_str(w, n->literal.s);
        return true;
    case VALUE_NUMBER:
        if (n->percent) return false;
        jsonw_num(w, n->literal.n);
        return true;
    case VALUE_UNKNOWN: case VALUE_MONEY: case VALUE_TIME: case VALUE_LIST: break;
    }
    return false;
}

static void literal_keys(const struct node *n, struct jsonw *w)
{
    if (n->version) { jsonw_key_str(w, "version", n->literal.s); return; }
    if (n->literal.kind == VALUE_NUMBER) {              /* the number as it is printed before the sign */
        struct buf text = { 0 };
        rule_print_node(&text, n);
        f64 percent = 0;
        assert(str_to_f64((str){ text.ptr, text.len - 1 }, &percent));
        jsonw_key_num(w, "percent", percent);
        buf_fini(&text);
        return;
    }
    printed_to_json(n->literal.kind == VALUE_MONEY ? "money" : "date", n, w);
}

static void joined_to_json(const char *key, const struct node *n, struct jsonw *w)
{
    jsonw_key_begin(w, key, '[');
    for (isize i = 0; i < n->kids_n; i++) node_to_json(n->kids[i], w);
    jsonw_end(w, ']');
}

static void item_to_json(const struct node *n, struct jsonw *w)
{
    jsonw_key_str(w, "item", n->name);
    if (!n->index) return;
    jsonw_key(w, S("key"));
    node_to_json(n->index, w);
}

static void since_to_json(const struct node *n, struct jsonw *w)
{
    static const char *const names[] = { "minutes_since", "hours_since", "days_since" };
    if (n->kids_n == 0) { scan_to_json(names[n->unit], n->scans, w); return; }
    jsonw_key(w, str_of(names[n->unit]));
    node_to_json(n->kids[0], w);
}

static void node_to_json(const struct node *n, struct jsonw *w)
{
    if (n->kind == NODE_LITERAL && bare_literal(n, w)) return;
    jsonw_begin(w, '{');
    switch ((enum node_kind)n->kind) {
    case NODE_AND: joined_to_json("and", n, w); break;
    case NODE_OR: joined_to_json("or", n, w); break;
    case NODE_NOT: jsonw_key(w, S("not")); node_to_json(n->kids[0], w); break;
    case NODE_TEST: test_to_json(n, w); break;
    case NODE_DID: did_to_json(n->scans, w); break;
    case NODE_SEQUENCE: sequence_to_json(n, w); break;
    case NODE_SEGMENT: jsonw_key_str(w, "in_segment", n->name); break;
    case NODE_ERROR: break;
    case NODE_LITERAL: literal_keys(n, w); break;
    case NODE_TRAIT:
        jsonw_key_str(w, "trait", n->name);
        if (n->quoted && rule_is_dotted(n->name)) jsonw_key_bool(w, "quoted", true);
        break;
    case NODE_CONTEXT: jsonw_key_str(w, "context", n->name); break;
    case NODE_ITEM: item_to_json(n, w); break;
    case NODE_FIELD: jsonw_key_str(w, "field", n->name); break;
    case NODE_AFFINITY: jsonw_key_str(w, "affinity", n->name); jsonw_key_str(w, "value", n->key); break;
    case NODE_QUIZ: jsonw_key_str(w, "quiz", n->name); break;
    case NODE_PREDICTED: jsonw_key_str(w, "predicted", n->name); break;
    case NODE_LADDER: jsonw_key_str(w, "trait", n->name); break;
    case NODE_DISTANCE: joined_to_json("distance_km", n, w); break;
    case NODE_TALLY:
        if (n->name.len) jsonw_key_str(w, "trait", n->name);
        else scan_to_json(rule_tally_names[n->scans->tally], n->scans, w);
        break;
    case NODE_SINCE: since_to_json(n, w); break;
    case NODE_AT:
        if (n->name.len) jsonw_key_str(w, "trait", n->name);
        else scan_to_json("at", n->scans, w);
        break;
    }
    jsonw_end(w, '}');
}

/* Levels of brackets the form of a node takes: a rule too deep to be read back is refused when compiled. */
isize rule_form_levels(const struct node *n)
{
    isize most = 0;
    for (isize i = 0; i < n->kids_n; i++) most = max_isize(most, rule_form_levels(n->kids[i]));
    for (isize i = 0; i < n->scans_n; i++)
        if (n->scans[i].where) most = max_isize(most, 1 + rule_form_levels(n->scans[i].where));
    if (n->index) most = max_isize(most, rule_form_levels(n->index));
    if (n->unless && n->unless->where) most = max_isize(most, 1 + rule_form_levels(n->unless->where));
    if (n->kind == NODE_LADDER) most = 0;               /* it is written as one word */
    if (n->scans_n) most = max_isize(most, 2);
    bool list = n->kind == NODE_AND || n->kind == NODE_OR || n->kind == NODE_TEST;
    return most + 1 + list + (n->kind == NODE_SEQUENCE ? 2 : 0);
}

void rule_to_json(const struct rule *rule, struct jsonw *w) { node_to_json(rule->root, w); }

/* ---- in ------------------------------------------------------------------------------------ */

/* `path` is where we are ("/and/0/left"), for the one error told. */
struct reader { arena *arena; struct diag *diag; enum err err; int depth; struct buf path; };

static struct node *refuse(struct reader *r, const char *expected)
{
    if (!r->err)
        r->err = diag_set(r->diag, ERR_BAD_INPUT, "at %.*s: expected %s",
                          STR_FMT(r->path.len ? buf_str(&r->path) : S("/")), expected);
    struct node *n = arena_new(r->arena, struct node, 1);
    n->kind = NODE_ERROR;
    return n;
}

static struct node *read_condition(struct reader *r, const struct json *j);
static struct node *read_value(struct reader *r, const struct json *j);

static isize enter(struct reader *r, const char *key)
{
    isize before = r->path.len;
    buf_printf(&r->path, "/%s", key);
    return before;
}

static isize enter_at(struct reader *r, isize at)
{
    isize before = r->path.len;
    buf_printf(&r->path, "/%td", at);
    return before;
}

static struct node *new_node(struct reader *r, enum node_kind kind)
{
    struct node *n = arena_new(r->arena, struct node, 1);
    n->kind = (u8)kind;
    return n;
}

static void read_number(struct reader *r, const struct json *j, const char *key, i64 *out)
{
    const struct json *v = json_get(j, str_of(key));
    isize before = enter(r, key);
    *out = json_int(v, -1);
    if (*out < 0 || *out > 100000) (void)refuse(r, "a whole number up to 100000");
    r->path.len = before;
}

static void read_unit(struct reader *r, const struct json *j, u8 *unit)
{
    if (rule_unit_of(json_str(json_get(j, S("unit")), S("")), unit)) return;
    isize before = enter(r, "unit");
    (void)refuse(r, "minute, hour, day, week, month or year");
    r->path.len = before;
}

static void read_day(struct reader *r, const struct json *j, const char *key, i64 *out)
{
    str s = json_str(json_get(j, str_of(key)), S(""));
    isize before = enter(r, key);
    if (s.len != 10 || str_find_char(s, '-') != 4 || !time_parse(s, out))
        (void)refuse(r, "a date such as \"2026-01-31\"");
    r->path.len = before;
}

static void read_window(struct reader *r, const struct json *scan, struct window *w)
{
    const struct json *j = json_get(scan, S("window"));
    if (!j) return;
    isize before = enter(r, "window");
    if (json_get(j, S("last"))) {
        w->kind = WINDOW_LAST;
        read_number(r, j, "last", &w->far);
        read_unit(r, j, &w->unit);
    } else if (json_get(j, S("far"))) {
        w->kind = WINDOW_AGO;
        read_number(r, j, "near", &w->near);
        read_number(r, j, "far", &w->far);
        read_unit(r, j, &w->unit);
        w->not_since = json_bool(json_get(j, S("not_since")), false);
    } else if (json_get(j, S("since"))) {
        w->kind = WINDOW_SINCE;
        read_day(r, j, "since", &w->day_ms);
    } else if (json_bool(json_get(j, S("session")), false)) {
        w->kind = WINDOW_SESSION;
    } else if (json_bool(json_get(j, S("today")), false)) {
        w->kind = WINDOW_TODAY;
    } else {
        (void)refuse(r, "a window: last, near and far, since, session or today");
    }
    r->path.len = before;
}

static void read_scan(struct reader *r, const struct json *j, struct scan *s)
{
    s->event = json_str(json_get(j, S("event")), S(""));
    s->field_name = json_str(json_get(j, S("field")), S(""));
    s->first = str_eq(json_str(json_get(j, S("pick")), S("")), S("first"));
    if (s->event.len == 0) (void)refuse(r, "an object with the name of an event");
    if (s->field_name.len && !rule_is_name(s->field_name))
        (void)refuse(r, "a field of letters, digits and _");
    const struct json *where = json_get(j, S("where"));
    if (where) {
        isize before = enter(r, "where");
        s->where = read_condition(r, where);
        r->path.len = before;
    }
    read_window(r, j, &s->window);
}

static struct node *read_scan_node(struct reader *r, enum node_kind kind, const struct json *j)
{
    struct node *n = new_node(r, kind);
    n->scans_n = 1;
    n->scans = arena_new(r->arena, struct scan, 1);
    read_scan(r, j, n->scans);
    return n;
}

static struct node *read_candidate(struct reader *r, const struct json *j, str event)
{
    struct node *n = new_node(r, NODE_DID);
    n->scans_n = 1;
    n->scans = arena_new(r->arena, struct scan, 1);
    *n->scans = (struct scan){ .event = event, .candidate = true };
    read_window(r, j, &n->scans->window);
    return n;
}

static struct node *read_sequence(struct reader *r, const struct json *j)
{
    struct node *n = new_node(r, NODE_SEQUENCE);
    const struct json *steps = json_get(j, S("steps"));
    isize count = json_is(steps, JSON_ARR) ? json_len(steps) : 0;
    if (count < 2 || count > SEQUENCE_STEPS_MAX) return refuse(r, "2 to 8 steps");
    n->scans = arena_new(r->arena, struct scan, count);
    json_each(step, steps) {
        isize before = enter_at(r, n->scans_n);
        bool not = json_bool(json_get(step, S("not")), false);
        if (not && n->scans_n != count - 1) (void)refuse(r, "`not` on the last step only");
        n->absent |= not;
        read_scan(r, step, &n->scans[n->scans_n++]);
        r->path.len = before;
    }
    read_number(r, j, "within", &n->within);
    read_unit(r, j, &n->unit);
    const struct json *unless = json_get(j, S("unless"));
    if (unless) {
        isize before = enter(r, "unless");
        n->unless = arena_new(r->arena, struct scan, 1);
        read_scan(r, unless, n->unless);
        n->unless->window = (struct window){ 0 };
        r->path.len = before;
    }
    n->same_product = json_bool(json_get(j, S("same_product")), false);
    n->same_cart = !n->same_product && json_bool(json_get(j, S("same_cart")), false);
    read_window(r, j, &n->scans[0].window);
    return n;
}

static bool parses_as(struct reader *r, str text, enum value_kind kind, struct node **out)
{
    struct tokens tokens;
    struct rule_errors errors = { 0 };
    if (text.len > 64) return false;
    rule_lex(r->arena, r->arena, text, &tokens, &errors);
    struct node *test = rule_parse(r->arena, tokens, &errors);      /* a value alone reads as a test of it */
    if (errors.n || test->kind != NODE_TEST || test->op != OP_TRUE) return false;
    *out = test->kids[0];
    return (*out)->kind == NODE_LITERAL && (*out)->literal.kind == kind;
}

static struct node *read_literal(struct reader *r, const struct json *j)
{
    struct node *n = new_node(r, NODE_LITERAL);
    const struct json *v;
    if (json_is(j, JSON_BOOL)) n->literal = (struct value){ .kind = VALUE_BOOL, .b = j->b };
    else if (json_is(j, JSON_STR)) n->literal = (struct value){ .kind = VALUE_TEXT, .s = j->s };
    else if (json_is(j, JSON_INT) || json_is(j, JSON_NUM))
        n->literal = (struct value){ .kind = VALUE_NUMBER, .n = json_num(j, 0) };
    else if ((v = json_get(j, S("version")))) {
        n->version = true;
        n->literal = (struct value){ .kind = VALUE_TEXT, .s = json_str(v, S("")) };
    } else if ((v = json_get(j, S("percent")))) {
        n->percent = true;
        n->literal = (struct value){ .kind = VALUE_NUMBER, .n = json_num(v, 1e99) / 100 };
    } else if ((v = json_get(j, S("money")))) {
        if (!parses_as(r, json_str(v, S("")), VALUE_MONEY, &n))
            return refuse(r, "money such as \"49.90 NOK\"");
        return n;
    } else {
        if (!parses_as(r, json_str(json_get(j, S("date")), S("")), VALUE_TIME, &n))
            return refuse(r, "a date such as \"2026-01-31\"");
        return n;
    }
    f64 most = n->percent ? 1e13 : 1e15;
    if (n->literal.kind == VALUE_NUMBER && !(n->literal.n > -most && n->literal.n < most))
        return refuse(r, "a number below 10^15");
    return n;
}

static struct node *read_named(struct reader *r, enum node_kind kind, str name, bool any_text)
{
    struct node *n = new_node(r, kind);
    if (name.len == 0
        || (!any_text && (!rule_is_name(name) || (kind == NODE_FIELD && rule_is_reserved(name)))))
        return refuse(r, "a name of letters, digits and _");
    n->name = name;
    n->quoted = kind == NODE_TRAIT ? !rule_is_dotted(name) : !rule_is_name(name);
    return n;
}

static struct node *read_item(struct reader *r, const struct json *j)
{
    struct node *n = read_named(r, NODE_ITEM, json_str(json_get(j, S("item")), S("")), false);
    const struct json *key = json_get(j, S("key"));
    if (!key || n->kind == NODE_ERROR) return n;
    isize before = enter(r, "key");
    n->index = read_value(r, key);
    if (n->index->kind == NODE_TRAIT) n->index->quoted = true;
    r->path.len = before;
    return n;
}

static struct node *read_history(struct reader *r, const struct json *j)
{
    static const char *const since[] = { "minutes_since", "hours_since", "days_since" };
    struct node *n;
    const struct json *v;
    for (isize i = 0; i < TALLIES; i++) {
        if (!(v = json_get(j, str_of(rule_tally_names[i])))) continue;
        isize before = enter(r, rule_tally_names[i]);
        n = read_scan_node(r, NODE_TALLY, v);
        n->scans->tally = (u8)i;
        if ((i == TALLY_COUNT) != (n->scans->field_name.len == 0))
            (void)refuse(r, "a field, but for a count");
        r->path.len = before;
        return n;
    }
    for (isize i = 0; i < countof(since); i++) {
        if (!(v = json_get(j, str_of(since[i])))) continue;
        isize before = enter(r, since[i]);
        if (json_get(v, S("trait"))) {
            n = new_node(r, NODE_SINCE);
            n->kids = arena_new(r->arena, struct node *, 1);
            n->kids[n->kids_n++] = read_value(r, v);
        } else {
            n = read_scan_node(r, NODE_SINCE, v);
        }
        r->path.len = before;
        n->unit = (u8)i;
        return n;
    }
    if ((v = json_get(j, S("at")))) return read_scan_node(r, NODE_AT, v);
    return refuse(r, "a value");
}

static struct node *read_distance(struct reader *r, const struct json *j)
{
    struct node *n = new_node(r, NODE_DISTANCE);
    if (!json_is(j, JSON_ARR) || json_len(j) != 2) return refuse(r, "a latitude and a longitude");
    n->kids = arena_new(r->arena, struct node *, 2);
    json_each(degrees, j) n->kids[n->kids_n++] = read_literal(r, degrees);
    return n;
}

static struct node *read_value(struct reader *r, const struct json *j)
{
    const struct json *v;
    if (!json_is(j, JSON_OBJ) || json_get(j, S("money")) || json_get(j, S("date"))
        || json_get(j, S("percent")) || json_get(j, S("version")))
        return j && j->kind != JSON_NULL && j->kind != JSON_ARR ? read_literal(r, j) : refuse(r, "a value");
    if ((v = json_get(j, S("trait")))) {
        struct node *n = read_named(r, NODE_TRAIT, json_str(v, S("")), true);
        n->quoted |= json_bool(json_get(j, S("quoted")), false);
        return n;
    }
    if ((v = json_get(j, S("context")))) return read_named(r, NODE_CONTEXT, json_str(v, S("")), false);
    if (json_get(j, S("item"))) return read_item(r, j);
    if ((v = json_get(j, S("field")))) return read_named(r, NODE_FIELD, json_str(v, S("")), false);
    if ((v = json_get(j, S("quiz")))) return read_named(r, NODE_QUIZ, json_str(v, S("")), true);
    if ((v = json_get(j, S("predicted")))) return read_named(r, NODE_PREDICTED, json_str(v, S("")), true);
    if ((v = json_get(j, S("affinity")))) {
        struct node *n = read_named(r, NODE_AFFINITY, json_str(v, S("")), false);
        n->key = json_str(json_get(j, S("value")), S(""));
        return n;
    }
    if ((v = json_get(j, S("distance_km")))) return read_distance(r, v);
    return read_history(r, j);
}

static struct node *read_test(struct reader *r, const struct json *j)
{
    struct node *n = new_node(r, NODE_TEST);
    const struct json *right = json_get(j, S("right"));
    str name = json_str(json_get(j, S("test")), S(""));
    isize op = 0;
    while (op <= OP_TRUE && !str_eq(name, str_of(rule_op_names[op]))) op++;
    if (op > OP_TRUE)
        return refuse(r, "a comparison: = != < <= > >= in, between, contains, starts with, ends with, "
                         "matches, under, has, has any of, has all of, has none of, is known, is true");
    n->op = (u8)op;
    bool list = json_is(right, JSON_ARR), none = op == OP_KNOWN || op == OP_TRUE;
    isize count = none ? 0 : list ? json_len(right) : 1;
    bool takes_list = op == OP_IN || op == OP_NOT_IN || op == OP_BETWEEN || op == OP_UNDER || is_list_op(op);
    if (count > LIST_MAX || (list && !takes_list) || (op == OP_BETWEEN && count != 2)
        || (!none && count == 0))
        return refuse(r, "as many values on the right as the comparison takes");
    n->kids = arena_new(r->arena, struct node *, count + 1);
    isize before = enter(r, "left");
    n->kids[n->kids_n++] = read_value(r, json_get(j, S("left")));
    r->path.len = before;
    for (isize i = 0; i < count; i++) {
        before = enter(r, "right");
        if (list) (void)enter_at(r, i);
        struct node *v = read_value(r, list ? &right->list.at[i] : right);
        if (v->kind == NODE_TRAIT) v->quoted = true;    /* only the left side may go without quotes */
        n->kids[n->kids_n++] = v;
        r->path.len = before;
    }
    return n;
}

static struct node *read_joined(struct reader *r, enum node_kind kind, const struct json *list)
{
    struct node *n = new_node(r, kind);
    if (!json_is(list, JSON_ARR) || json_len(list) == 0) return refuse(r, "a list of conditions");
    n->kids = arena_new(r->arena, struct node *, json_len(list));
    json_each(kid, list) {
        isize before = enter_at(r, n->kids_n);
        n->kids[n->kids_n++] = read_condition(r, kid);
        r->path.len = before;
    }
    return n->kids_n == 1 ? n->kids[0] : n;
}

static struct node *read_condition_here(struct reader *r, const struct json *j)
{
    static const struct { const char *key; enum node_kind kind; str event; } keys[] = {
        { "and", NODE_AND, S_INIT("") }, { "or", NODE_OR, S_INIT("") }, { "not", NODE_NOT, S_INIT("") },
        { "did", NODE_DID, S_INIT("") }, { "purchased", NODE_DID, S_INIT("product_purchased") },
        { "viewed", NODE_DID, S_INIT("product_viewed") }, { "carted", NODE_DID, S_INIT("in_cart") },
        { "wished", NODE_DID, S_INIT("in_wishlist") }, { "sequence", NODE_SEQUENCE, S_INIT("") },
        { "in_segment", NODE_SEGMENT, S_INIT("") },
    };
    struct node *n = NULL;
    if (json_get(j, S("test"))) return read_test(r, j);
    for (isize i = 0; i < countof(keys); i++) {
        const struct json *v = json_get(j, str_of(keys[i].key));
        if (!v) continue;
        isize before = enter(r, keys[i].key);
        if (keys[i].kind == NODE_AND || keys[i].kind == NODE_OR) {
            n = read_joined(r, keys[i].kind, v);
        } else if (keys[i].kind == NODE_NOT) {
            n = new_node(r, NODE_NOT);
            n->kids = arena_new(r->arena, struct node *, 1);
            n->kids[n->kids_n++] = read_condition(r, v);
        } else if (keys[i].kind == NODE_SEQUENCE) {
            n = read_sequence(r, v);
        } else if (keys[i].kind == NODE_SEGMENT) {
            n = read_named(r, NODE_SEGMENT, json_str(v, S("")), true);
        } else {
            n = keys[i].event.len ? read_candidate(r, v, keys[i].event) : read_scan_node(r, NODE_DID, v);
        }
        r->path.len = before;
        return n;
    }
    return refuse(
        r,
        "a condition: and, or, not, test, did, sequence, purchased, viewed, carted, wished or in_segment");
}

static struct node *read_condition(struct reader *r, const struct json *j)
{
    if (++r->depth > JSON_DEPTH_MAX) return refuse(r, "fewer levels");
    struct node *n = read_condition_here(r, j);
    r->depth--;
    return n;
}

enum err rule_from_json(arena *a, const struct json *tree, str *text, struct diag *diag)
{
    struct reader r = { .arena = a, .diag = diag, .path = { .arena = a } };
    struct node *root = read_condition(&r, tree);
    if (r.err) return r.err;
    struct buf out = { .arena = a };
    rule_print_node(&out, root);
    *text = buf_str(&out);
    return ERR_OK;
}
