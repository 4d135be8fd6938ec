/* SPDX-License-Identifier: Apache-2.0
 *
 * rule.c - the door: text in, a rule that can be asked out. */
#include "rule/rule.h"

#include "rule/inside.h"

/* What the rest may take for granted: few bytes, all of them text. */
static bool readable(str text, struct rule_errors *errors)
{
    if (text.len > RULE_BYTES_MAX)
        rule_error_add(errors, RULE_BYTES_MAX, 1, S("a rule has at most 8192 bytes"), S(""));
    else if (!str_is_utf8(text)) rule_error_add(errors, 0, 1, S("the rule is not UTF-8 text"), S(""));
    else if (str_find_char(text, 0) >= 0)
        rule_error_add(errors, str_find_char(text, 0), 1, S("a zero byte is no text"), S(""));
    return errors->n == 0;
}

static void sort_errors(struct rule_errors *errors)
{
    for (isize i = 1; i < errors->n; i++)
        for (isize j = i; j > 0 && errors->at[j - 1].column > errors->at[j].column; j--) {
            struct rule_error swap = errors->at[j];
            errors->at[j] = errors->at[j - 1];
            errors->at[j - 1] = swap;
        }
}

enum err rule_compile(arena *a, str text, enum rule_place place, const struct rule_names *names,
                      const struct rule **out, struct rule_errors *errors)
{
    *errors = (struct rule_errors){ 0 };
    *out = NULL;
    if (!readable(text, errors)) return ERR_BAD_INPUT;

    arena scratch = { 0 };
    struct tokens tokens;
    struct rule *rule = arena_new(a, struct rule, 1);
    rule->place = place;
    rule_lex(a, &scratch, arena_str(a, text), &tokens, errors);
    rule->root = rule_parse(a, tokens, errors);
    arena_fini(&scratch);
    rule_check(a, rule, names, errors);
    sort_errors(errors);
    if (errors->n) return ERR_BAD_INPUT;
    *out = rule;
    return ERR_OK;
}

u32 rule_depends_on(const struct rule *rule) { return rule->depends; }
i64 rule_cost(const struct rule *rule) { return rule->cost; }

static bool fields_pass(const struct node *n, bool (*fixed)(str field))
{
    if (n->kind == NODE_ITEM && !fixed(n->name)) return false;
    if (n->index && !fields_pass(n->index, fixed)) return false;
    for (isize i = 0; i < n->kids_n; i++)
        if (!fields_pass(n->kids[i], fixed)) return false;
    return true;
}

bool rule_is_of_item(const struct rule *rule, bool (*fixed)(str field))
{
    return rule->depends == RULE_ON_ITEM && fields_pass(rule->root, fixed);
}

isize rule_segments(const struct rule *rule, segment_id *out, isize max)
{
    for (isize i = 0; i < rule->segments_n && i < max; i++) out[i] = rule->segments[i];
    return rule->segments_n;
}

/* What an open `where` asks of the person or the candidate differs from one to the next: the type decides. */
static bool scan_touched(const struct run *run, const struct scan *s, const struct history_entry *e)
{
    if (s->open && e->type != s->type) {                /* it may take something out */
        bool cart = s->open == OPEN_CART
                    && (e->type == EVENT_PRODUCT_REMOVED || e->type == EVENT_ORDER_COMPLETED);
        bool wish = s->open == OPEN_WISHLIST && e->type == EVENT_WISHLIST_REMOVED;
        return cart || wish || e->type == EVENT_PRODUCT_PURCHASED;
    }
    if (!scan_of_type(s, e)) return false;
    if (s->open) return true;
    return !s->where || s->open_where || rule_where(run, s->where, e) != TRI_FALSE;
}

isize rule_categories(const struct rule *rule, str *out, isize max)
{
    isize n = 0;
    if (rule->any_type) return 0;
    for (isize i = 0; i < rule->scans_n; i++) {
        const struct scan *s = rule->scans[i];
        const struct node *w = s->where;
        bool plain = w && !s->open && !s->any && !s->open_where && w->kind == NODE_TEST && w->op == OP_UNDER
                  && w->kids[0]->kind == NODE_FIELD && w->kids[0]->field == FIELD_CATEGORY;
        for (isize k = 1; plain && k < w->kids_n; k++) {
            const struct node *name = w->kids[k];
            plain = name->kind == NODE_LITERAL && name->literal.kind == VALUE_TEXT && n < max;
            if (plain) out[n++] = name->literal.s;
        }
        if (!plain) return 0;
    }
    return n;
}

/* affinity(category, "…") > x, for an x that nothing does not reach. */
static bool must_like(const struct node *n, str *category)
{
    if (n->kind != NODE_TEST || (n->op != OP_GT && n->op != OP_GE)) return false;
    const struct node *left = n->kids[0], *right = n->kids[1];
    bool number = right->kind == NODE_LITERAL && right->literal.kind == VALUE_NUMBER;
    if (left->kind != NODE_AFFINITY || !str_eq(left->name, S("category")) || !number) return false;
    *category = left->key;
    return n->op == OP_GT ? right->literal.n >= 0 : right->literal.n > 0;
}

bool rule_must_like(const struct rule *rule, str *category)
{
    const struct node *n = rule->root;
    for (isize i = 0; n->kind == NODE_AND && i < n->kids_n; i++)
        if (must_like(n->kids[i], category)) return true;
    return must_like(n, category);
}

u64 rule_types(const struct rule *rule) { return rule->any_type ? UINT64_MAX : rule->types; }

bool rule_touched_by(const struct rule *rule, const struct history_entry *entry,
                     const struct rule_facts *facts)
{
    if (entry->flags & HISTORY_BOT) return false;
    if (rule->any_type) return true;
    if (!(rule->types >> (entry->type & 63) & 1)) return false;
    struct run run = { .facts = facts };
    for (isize i = 0; i < rule->scans_n; i++)
        if (scan_touched(&run, rule->scans[i], entry)) return true;
    return false;
}

bool rule_counts(const struct rule *rule, u16 type)
{
    assert(type < 64);
    for (isize i = 0; i < rule->scans_n; i++) {
        const struct scan *s = rule->scans[i];
        if (s->type == type && !s->any && (s->open || !s->where || s->open_where)) return true;
    }
    return rule->any_type;
}

/* ---- what must be there ---------------------------------------------------------------------- */

static struct rule_need scan_needs(const struct scan *s, i64 now_ms)
{
    struct rule_need need = { s->any ? UINT64_MAX : rule_type_bit(s->type), INT64_MIN };
    if (s->nets_returns) need.types |= rule_type_bit(EVENT_ORDER_REFUNDED);
    if (s->window.kind == WINDOW_LAST || s->window.kind == WINDOW_AGO)
        need.since_ms = now_ms - s->window.far * rule_unit_ms(s->window.unit);
    return need;
}

/* Nothing counts 0 and sums to 0, and is unknown to all other tallies: of those any answer needs
 * something. */
static bool holds_for_nothing(const struct node *test)
{
    u8 tally = test->kids[0]->scans->tally;
    if (tally != TALLY_COUNT && tally != TALLY_SUM && tally != TALLY_DISTINCT) return false;
    if ((test->op != OP_GT && test->op != OP_GE) || test->kids[1]->kind != NODE_LITERAL) return true;
    const struct value *v = &test->kids[1]->literal;
    if (v->kind != VALUE_NUMBER && v->kind != VALUE_MONEY) return true;
    f64 bound = v->kind == VALUE_NUMBER ? v->n : (f64)v->money.minor;
    return !(test->op == OP_GT ? bound >= 0 : bound > 0);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as rules nest, RULE_DEPTH_MAX at most
static struct rule_need node_needs(const struct node *n, i64 now_ms)
{
    struct rule_need nothing = { 0, INT64_MIN };
    if (n->kind == NODE_DID) return scan_needs(n->scans, now_ms);
    if (n->kind == NODE_SEQUENCE) return scan_needs(&n->scans[n->scans_n - 1 - n->absent], now_ms);
    if (n->kind == NODE_TEST) {
        const struct node *left = n->kids[0];
        bool of_history = left->kind == NODE_TALLY || left->kind == NODE_AT
                          || (left->kind == NODE_SINCE && left->kids_n == 0);
        if (!of_history || (left->kind == NODE_TALLY && holds_for_nothing(n))) return nothing;
        return scan_needs(left->scans, now_ms);
    }
    if (n->kind != NODE_AND && n->kind != NODE_OR) return nothing;
    struct rule_need all = nothing;
    for (isize i = 0; i < n->kids_n; i++) {
        struct rule_need one = node_needs(n->kids[i], now_ms);
        if (n->kind == NODE_OR) {
            if (!one.types) return nothing;
            all.since_ms = i == 0 ? one.since_ms : min_i64(all.since_ms, one.since_ms);
            all.types |= one.types;
            continue;
        }
        if (!one.types) continue;                       /* of an `and`, the rarest will do */
        int few = all.types ? __builtin_popcountll(one.types) - __builtin_popcountll(all.types) : -1;
        if (few < 0 || (few == 0 && one.since_ms > all.since_ms)) all = one;
    }
    return all;
}

struct rule_need rule_needs(const struct rule *rule, i64 now_ms) { return node_needs(rule->root, now_ms); }
