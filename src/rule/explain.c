/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c - the whole tree with what each part came to, for a person to read.
 *
 * The same functions answer here as in a run; only nothing is left out because the rest was
 * decided already. */
#include "rule/inside.h"

#include <math.h>

static str value_text(arena *a, const struct value *v)
{
    struct buf out = { .arena = a };
    struct node literal = { .kind = NODE_LITERAL, .literal = *v };
    switch (v->kind) {
    case VALUE_UNKNOWN: return S("unknown");
    case VALUE_LIST: return S("a list");
    case VALUE_TEXT: return arena_str(a, v->s);
    case VALUE_TIME: return time_print(a, v->at_ms);
    case VALUE_NUMBER:                                  /* days since … have no end of digits */
        if (!(fabs(v->n) < 1e15)) return arena_printf(a, "%g", v->n);
        if (v->n != (f64)(i64)v->n) literal.literal.n = round(v->n * 1000) / 1000;
        break;
    case VALUE_BOOL: case VALUE_MONEY: break;
    }
    rule_print_node(&out, &literal);
    return buf_str(&out);
}

static str print(arena *a, const struct node *n)
{
    struct buf out = { .arena = a };
    rule_print_node(&out, n);
    return buf_str(&out);
}

static void add_entries(arena *a, const struct run *run, const struct node *n, isize max,
                        struct rule_trace *t)
{
    enum { MOST = 256 };
    isize at[MOST];
    isize count = rule_leaf_entries(run, n, at, min_isize(max, MOST));
    struct history_entry *entries = arena_new(a, struct history_entry, count);
    for (isize i = 0; i < count; i++) entries[i] = run->history[at[i]];
    t->events = entries;
    t->events_n = count;
}

static struct rule_trace explain(arena *a, const struct run *run, const struct node *n, isize max)
{
    struct rule_trace t = { .text = print(a, n), .value = S("") };
    struct rule_result r;
    bool joined = n->kind == NODE_AND || n->kind == NODE_OR || n->kind == NODE_NOT;
    if (joined) {
        enum node_kind kind = n->kind == NODE_NOT ? NODE_AND : (enum node_kind)n->kind;
        struct rule_trace *children = arena_new(a, struct rule_trace, n->kids_n);
        r = rule_join_start(kind);
        for (isize i = 0; i < n->kids_n; i++) {
            children[i] = explain(a, run, n->kids[i], max);
            r = rule_join(kind, r, (struct rule_result){ children[i].is, children[i].next_change_at_ms });
        }
        if (n->kind == NODE_NOT) r = rule_run_node(run, n);
        t.children = children;
        t.children_n = n->kids_n;
    } else {
        struct value v;
        r = rule_run_node(run, n);
        v = n->kind == NODE_SEGMENT ? (struct value){ 0 } : rule_left_value(run, n);
        if (n->kind == NODE_SEGMENT)
            t.value = r.is == TRI_UNKNOWN ? S("unknown") : r.is == TRI_TRUE ? S("in") : S("out");
        else t.value = value_text(a, &v);
        add_entries(a, run, n, max, &t);
        if (t.events_n || n->scans_n || (n->kind == NODE_TEST && n->kids[0]->scans_n))
            r.next_change_at_ms = rule_run_later(run, r.next_change_at_ms);
    }
    t.is = r.is;
    t.next_change_at_ms = r.next_change_at_ms;
    return t;
}

const struct rule_trace *rule_explain(arena *a, const struct rule *rule, const struct rule_facts *facts,
                                      isize events_max)
{
    struct run run = rule_run_begin(facts);
    struct rule_trace *root = arena_new(a, struct rule_trace, 1);
    *root = explain(a, &run, rule->root, events_max);
    return root;
}
