/* SPDX-License-Identifier: Apache-2.0
 *
 * print.c - tree -> the one canonical text.
 *
 * Parentheses only where the tree needs them, text in double quotes, units in the plural that the
 * number asks for, our own events by their own names. Printing, compiling and printing again
 * changes nothing. */
#include "rule/inside.h"

const char *const rule_op_names[] = {
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "between", "contains", "starts with", "ends with",
    "matches", "under", "has", "has any of", "has all of", "has none of", "is known", "is true",
};
const char *const rule_unit_names[] = { "minute", "hour", "day", "week", "month", "year" };
const char *const rule_tally_names[] = { "count",    "sum",   "average", "min",        "max",
                                         "distinct", "first", "last",    "most_common" };

static void put(struct buf *out, const char *z) { buf_add(out, str_of(z)); }

static void print_text(struct buf *out, str s)
{
    buf_byte(out, '"');
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '"' || c == '\\') { buf_byte(out, '\\'); buf_byte(out, c); }
        else if (c == '\n') put(out, "\\n");
        else if (c == '\t') put(out, "\\t");
        else if ((u8)c < 0x20) buf_printf(out, "\\u%04x", c);
        else buf_byte(out, c);
    }
    buf_byte(out, '"');
}

/* The fewest digits after the point that read back as the same number; nine will do for any that was read. */
static void print_number(struct buf *out, f64 v, bool percent)
{
    for (int after = 0; after <= 9; after++) {
        char text[64];
        struct buf one = { .ptr = text, .cap = sizeof text };
        buf_printf(&one, "%.*f", after, percent ? v * 100 : v);
        f64 again = 0;
        bool same = str_to_f64(buf_str(&one), &again) && (percent ? again / 100 : again) == v;
        if (!same && after < 9) continue;
        buf_add(out, buf_str(&one));
        return;
    }
}

static void print_money(struct buf *out, struct money m)
{
    char code[4];
    int digits = currency_digits(m.currency);
    i64 scale = 1;
    for (int i = 0; i < digits; i++) scale *= 10;
    u64 minor = m.minor < 0 ? 0 - (u64)m.minor : (u64)m.minor;
    if (m.minor < 0) buf_byte(out, '-');
    buf_printf(out, "%" PRIu64, minor / (u64)scale);
    if (minor % (u64)scale) buf_printf(out, ".%0*" PRIu64, digits, minor % (u64)scale);
    buf_byte(out, ' ');
    buf_add(out, currency_code(m.currency, code));
}

static void print_day(struct buf *out, i64 day_ms)
{
    struct civil c = time_civil(day_ms, 0);
    buf_printf(out, "%04d-%02d-%02d", c.year, c.month, c.day);
}

static void print_span(struct buf *out, i64 n, u8 unit)
{
    buf_printf(out, "%" PRId64 " %s%s", n, rule_unit_names[unit], n == 1 ? "" : "s");
}

static void print_window(struct buf *out, const struct window *w)
{
    switch ((enum window_kind)w->kind) {
    case WINDOW_ALL: return;
    case WINDOW_LAST:
        put(out, ", last ");
        print_span(out, w->far, w->unit);
        return;
    case WINDOW_AGO:
        buf_printf(out, ", between %" PRId64 " and ", w->near);
        print_span(out, w->far, w->unit);
        put(out, w->not_since ? " ago, not since" : " ago");
        return;
    case WINDOW_SINCE:
        put(out, ", since ");
        print_day(out, w->day_ms);
        return;
    case WINDOW_SESSION: put(out, ", this session"); return;
    case WINDOW_TODAY: put(out, ", today"); return;
    }
}

static void print_event(struct buf *out, str event)
{
    if (rule_is_name(event) && !rule_is_reserved(event)) buf_add(out, event);
    else print_text(out, event);
}

static void print_where(struct buf *out, const struct scan *s)
{
    print_event(out, s->event);
    if (s->field_name.len) { buf_byte(out, '.'); buf_add(out, s->field_name); }
    if (!s->where) return;
    put(out, " where ");
    rule_print_node(out, s->where);
}

static void print_call(struct buf *out, const char *name, const struct scan *s)
{
    put(out, name);
    buf_byte(out, '(');
    print_where(out, s);
    print_window(out, &s->window);
    buf_byte(out, ')');
}

static const struct { str event; const char *word; } candidates[] = {
    { S_INIT("product_purchased"), "purchased" }, { S_INIT("product_viewed"), "viewed" },
    { S_INIT("in_cart"), "carted" }, { S_INIT("in_wishlist"), "wished" },
};

const char *rule_candidate_word(str event)
{
    for (isize i = 0; i < countof(candidates); i++)
        if (str_eq(event, candidates[i].event)) return candidates[i].word;
    return "purchased";
}

static void print_did(struct buf *out, const struct scan *s)
{
    if (!s->candidate) { print_call(out, "did", s); return; }
    buf_printf(out, "%s(item", rule_candidate_word(s->event));
    print_window(out, &s->window);
    buf_byte(out, ')');
}

static void print_sequence(struct buf *out, const struct node *n)
{
    put(out, "sequence(");
    for (isize i = 0; i < n->scans_n; i++) {
        if (i) put(out, " then ");
        if (n->absent && i == n->scans_n - 1) put(out, "not ");
        print_where(out, &n->scans[i]);
    }
    if (n->unless) { put(out, " unless "); print_where(out, n->unless); }
    put(out, " within ");
    print_span(out, n->within, n->unit);
    if (n->same_product) put(out, " for the same product");
    if (n->same_cart) put(out, " for the same cart");
    print_window(out, &n->scans[0].window);
    buf_byte(out, ')');
}

static void print_literal(struct buf *out, const struct node *n)
{
    const struct value *v = &n->literal;
    switch (v->kind) {
    case VALUE_UNKNOWN: break;
    case VALUE_BOOL: put(out, v->b ? "true" : "false"); break;
    case VALUE_NUMBER:
        print_number(out, v->n, n->percent);
        if (n->percent) buf_byte(out, '%');
        break;
    case VALUE_TEXT:
        if (n->version) put(out, "version ");
        print_text(out, v->s);
        break;
    case VALUE_LIST: put(out, "a list"); break;
    case VALUE_MONEY: print_money(out, v->money); break;
    case VALUE_TIME: print_day(out, v->at_ms); break;
    }
}

static void print_quoted_call(struct buf *out, const char *name, str text)
{
    put(out, name);
    buf_byte(out, '(');
    print_text(out, text);
    buf_byte(out, ')');
}

static bool bare_trait(str name)
{
    return rule_is_dotted(name) && !rule_is_reserved(name);
}

static void print_instant(struct buf *out, const struct node *n)
{
    if (n->kind == NODE_AT) put(out, "at(");
    else buf_printf(out, "%ss_since(", rule_unit_names[n->unit]);
    if (n->kids_n) {
        rule_print_node(out, n->kids[0]);
        buf_byte(out, ')');
        return;
    }
    put(out, n->scans->first ? "first " : "last ");
    print_where(out, n->scans);
    buf_byte(out, ')');
}

static void print_list(struct buf *out, struct node *const *kids, isize n)
{
    buf_byte(out, '(');
    for (isize i = 0; i < n; i++) {
        if (i) put(out, ", ");
        rule_print_node(out, kids[i]);
    }
    buf_byte(out, ')');
}

static void print_pair(struct buf *out, const struct node *n) { print_list(out, n->kids, n->kids_n); }

static void print_test(struct buf *out, const struct node *n)
{
    enum op op = (enum op)n->op;
    rule_print_node(out, n->kids[0]);
    if (op == OP_TRUE) return;
    buf_printf(out, " %s", rule_op_names[op]);
    if (op == OP_KNOWN) return;
    buf_byte(out, ' ');
    if (op == OP_BETWEEN) {
        rule_print_node(out, n->kids[1]);
        put(out, " and ");
        rule_print_node(out, n->kids[2]);
    } else if (op == OP_IN || op == OP_NOT_IN || op >= OP_HAS_ANY || n->kids_n > 2) {
        print_list(out, n->kids + 1, n->kids_n - 1);
    } else {
        rule_print_node(out, n->kids[1]);
    }
}

/* An `or` inside an `and`, and either inside a `not`, need their parentheses. */
static void print_kid(struct buf *out, const struct node *n, const struct node *kid)
{
    bool group = n->kind == NODE_NOT ? kid->kind == NODE_AND || kid->kind == NODE_OR : kid->kind == NODE_OR;
    if (group) buf_byte(out, '(');
    rule_print_node(out, kid);
    if (group) buf_byte(out, ')');
}

static void print_joined(struct buf *out, const struct node *n)
{
    for (isize i = 0; i < n->kids_n; i++) {
        if (i) put(out, n->kind == NODE_AND ? " and " : " or ");
        print_kid(out, n, n->kids[i]);
    }
}

void rule_print_node(struct buf *out, const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_AND: case NODE_OR: print_joined(out, n); break;
    case NODE_NOT: put(out, "not "); print_kid(out, n, n->kids[0]); break;
    case NODE_TEST: print_test(out, n); break;
    case NODE_DID: print_did(out, n->scans); break;
    case NODE_SEQUENCE: print_sequence(out, n); break;
    case NODE_SEGMENT: put(out, "in segment "); print_text(out, n->name); break;
    case NODE_ERROR: put(out, "?"); break;
    case NODE_LITERAL: print_literal(out, n); break;
    case NODE_TRAIT:
        if (!n->quoted && bare_trait(n->name)) buf_add(out, n->name);
        else print_quoted_call(out, "trait", n->name);
        break;
    case NODE_CONTEXT: put(out, "context."); buf_add(out, n->name); break;
    case NODE_ITEM:
        put(out, "item.");
        buf_add(out, n->name);
        if (!n->index) break;
        buf_byte(out, '[');
        rule_print_node(out, n->index);
        buf_byte(out, ']');
        break;
    case NODE_FIELD: buf_add(out, n->name); break;
    case NODE_AFFINITY:
        buf_printf(out, "affinity(%.*s, ", STR_FMT(n->name));
        print_text(out, n->key);
        buf_byte(out, ')');
        break;
    case NODE_QUIZ: print_quoted_call(out, "quiz", n->name); break;
    case NODE_PREDICTED: print_quoted_call(out, "predicted", n->name); break;
    case NODE_TALLY:
        if (n->name.len) buf_add(out, n->name);
        else print_call(out, rule_tally_names[n->scans->tally], n->scans);
        break;
    case NODE_AT: if (n->name.len) { buf_add(out, n->name); break; }    /* fall through */
    case NODE_SINCE: print_instant(out, n); break;
    case NODE_LADDER: buf_add(out, n->name); break;
    case NODE_DISTANCE: put(out, "distance_km"); print_pair(out, n); break;
    }
}

str rule_print(arena *a, const struct rule *rule)
{
    struct buf out = { .arena = a };
    rule_print_node(&out, rule->root);
    return buf_str(&out);
}
