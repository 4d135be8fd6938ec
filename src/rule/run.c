/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - a checked tree and one person's facts -> yes, no or unknown, and until when.
 *
 * The second half of the answer is what makes time an event. With no new entry in the history, the
 * set of entries a window holds changes only at known instants: an entry of time t comes into
 * `between near and far ago` at t + near and goes at t + far. So every leaf can name the first
 * instant at which it may answer otherwise:
 *
 *   at least k in `last far`    yes until the k-th newest goes; if no, for ever
 *   counts, sums, averages      a walk over the comings and goings, in order of time, until the
 *                               comparison comes out otherwise: exact
 *   min, max, distinct          the first coming or going: never late, perhaps early
 *   today, this session         everything goes at midnight, or 30 minutes after the last entry
 *   days_since(…) > n           t + n days, to the millisecond
 *   affinity(…) > x             bisected, as a liking only fades (or only grows) between entries
 *   …, not since                nothing until the newest nearer entry has come into the window
 *   stage, intent, retention    when the first of the rules looked at may answer otherwise: perhaps early
 *
 * and a tree joins them: an `and` stays no at least as long as the longest of its noes stays, and
 * stays anything else until the first of its parts moves. `or` is its mirror. An answer is never
 * announced too late, and each instant announced lies ahead, so a timer always makes progress.
 *
 * Returns (entries with a negative quantity or value, of orders and purchases, and refunds whose
 * order is not known) are netted by sums and passed over by all other questions: a pair of shoes
 * sent back is no second purchase.
 *
 * Nothing here allocates, but for `has` on a list that comes as JSON. History is walked newest
 * first, along the entries of the type asked for when there is an index of them; windows are found
 * by bisection. */
#include "rule/inside.h"

#include <math.h>

__extension__ typedef __int128 i128;

/* ---- comparing ----------------------------------------------------------------------------- */

static enum tri tri_of(bool b) { return b ? TRI_TRUE : TRI_FALSE; }
static enum tri tri_not(enum tri t) { return t == TRI_UNKNOWN ? t : t == TRI_TRUE ? TRI_FALSE : TRI_TRUE; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool starts_nocase(str s, str part)
{
    if (part.len > s.len) return false;
    for (isize i = 0; i < part.len; i++)
        if (lower(s.ptr[i]) != lower(part.ptr[i])) return false;
    return true;
}

static bool contains_nocase(str s, str part)
{
    for (isize i = 0; i + part.len <= s.len; i++)
        if (starts_nocase(str_from(s, i), part)) return true;
    return false;
}

/* Text that came from a form or a feed may hold what the other side is: "35", "true", "1990-05-01". */
static struct value read_as(str text, enum value_kind kind, struct zone zone)
{
    struct value v = { .kind = kind };
    if (kind == VALUE_NUMBER && str_to_f64(str_trim(text), &v.n)) return v;
    if (kind == VALUE_BOOL && (str_eq_nocase(text, S("true")) || str_eq_nocase(text, S("false")))) {
        v.b = text.len == 4;
        return v;
    }
    if (kind == VALUE_TIME && text.len >= 10 && str_find_char(text, '-') == 4 && time_parse(text, &v.at_ms)) {
        if (text.len == 10) v.at_ms = zone_instant(zone, v.at_ms);
        return v;
    }
    return (struct value){ 0 };
}

static enum tri ordered(enum op op, int order)
{
    switch (op) {
    case OP_EQ: case OP_IN: return tri_of(order == 0);
    case OP_NE: case OP_NOT_IN: return tri_of(order != 0);
    case OP_LT: return tri_of(order < 0);
    case OP_LE: return tri_of(order <= 0);
    case OP_GT: return tri_of(order > 0);
    case OP_GE: return tri_of(order >= 0);
    case OP_BETWEEN: case OP_CONTAINS: case OP_STARTS: case OP_ENDS: case OP_MATCHES: case OP_UNDER:
    case OP_HAS: case OP_HAS_ANY: case OP_HAS_ALL: case OP_HAS_NONE: case OP_KNOWN: case OP_TRUE: break;
    }
    return TRI_UNKNOWN;
}

static int order_i64(i64 a, i64 b) { return (a > b) - (a < b); }

/* A date is the whole day in the market's zone: -1 before its first instant, 1 from the next day's on. */
static int order_date(i64 at_ms, i64 day_ms, struct zone zone)
{
    return at_ms < zone_instant(zone, day_ms) ? -1 : at_ms >= zone_instant(zone, day_ms + DAY_MS);
}

static enum tri compare_text(enum op op, str l, str r)
{
    switch (op) {
    case OP_EQ: case OP_IN: return tri_of(str_eq_nocase(l, r));
    case OP_NE: case OP_NOT_IN: return tri_of(!str_eq_nocase(l, r));
    case OP_CONTAINS: return tri_of(contains_nocase(l, r));
    case OP_STARTS: return tri_of(starts_nocase(l, r));
    case OP_ENDS: return tri_of(l.len >= r.len && starts_nocase(str_from(l, l.len - r.len), r));
    case OP_LT: case OP_LE: case OP_GT: case OP_GE: case OP_BETWEEN: case OP_MATCHES: case OP_UNDER:
    case OP_HAS: case OP_HAS_ANY: case OP_HAS_ALL: case OP_HAS_NONE: case OP_KNOWN: case OP_TRUE: break;
    }
    return TRI_UNKNOWN;
}

/* How the right side was written. */
enum written { WRITTEN_PLAIN, WRITTEN_DATE, WRITTEN_VERSION };
static enum written written(const struct node *n)
{
    return n->date ? WRITTEN_DATE : n->version ? WRITTEN_VERSION : WRITTEN_PLAIN;
}

static enum tri compare_versions(enum op op, struct value l, struct value r)
{
    int order;
    if (l.kind != VALUE_TEXT || r.kind != VALUE_TEXT || !rule_version_cmp(l.s, r.s, &order))
        return TRI_UNKNOWN;
    return ordered(op, order);
}

static enum tri compare(const struct run *run, enum op op, struct value l, struct value r, enum written how)
{
    struct zone zone = run->facts->zone;
    bool textual = op == OP_CONTAINS || op == OP_STARTS || op == OP_ENDS;
    if (how == WRITTEN_VERSION && !textual) return compare_versions(op, l, r);
    if (l.kind == VALUE_TEXT && r.kind != VALUE_TEXT) l = read_as(l.s, r.kind, zone);
    else if (r.kind == VALUE_TEXT && l.kind != VALUE_TEXT && !textual) r = read_as(r.s, l.kind, zone);
    if (l.kind != r.kind) return TRI_UNKNOWN;
    switch (l.kind) {
    case VALUE_UNKNOWN: case VALUE_LIST: break;
    case VALUE_BOOL:
        return op == OP_EQ || op == OP_NE || op == OP_IN || op == OP_NOT_IN ? ordered(op, l.b != r.b)
                                                                            : TRI_UNKNOWN;
    case VALUE_NUMBER: return isnan(l.n) || isnan(r.n) ? TRI_UNKNOWN : ordered(op, (l.n > r.n) - (l.n < r.n));
    case VALUE_TEXT: return compare_text(op, l.s, r.s);
    case VALUE_MONEY:
        if (l.money.currency.v != r.money.currency.v) return TRI_UNKNOWN;
        return ordered(op, order_i64(l.money.minor, r.money.minor));
    case VALUE_TIME:
        return ordered(op, how == WRITTEN_DATE ? order_date(l.at_ms, r.at_ms, zone)
                                               : order_i64(l.at_ms, r.at_ms));
    }
    return TRI_UNKNOWN;
}

/* ---- values -------------------------------------------------------------------------------- */

static struct value text_value(str s) { return (struct value){ .kind = VALUE_TEXT, .s = s }; }
static struct value number_value(f64 n) { return (struct value){ .kind = VALUE_NUMBER, .n = n }; }
static struct value money_value(i64 minor, u16 c)
{
    return c ? (struct value){ .kind = VALUE_MONEY, .money = { minor, { c } } } : (struct value){ 0 };
}

static struct civil local_civil(const struct run *run, i64 at_ms)
{
    return time_civil(at_ms, zone_minutes(run->facts->zone, at_ms));
}

static struct value item_value(const struct run *run, u32 item, str field, str key)
{
    if (!item || !run->facts->item) return (struct value){ 0 };
    return run->facts->item(run->facts->ctx, (item_id){ item }, field, key);
}

/* `code` has room for a currency's name. */
static struct value field_value(const struct run *run, enum field field, str name,
                                const struct history_entry *e, char code[4])
{
    switch (field) {
    case FIELD_CATEGORY: return item_value(run, e->item, S("category"), S(""));
    case FIELD_BRAND: return item_value(run, e->item, S("brand"), S(""));
    case FIELD_PRODUCT: return item_value(run, e->item, S("product"), S(""));
    case FIELD_PRICE: return item_value(run, e->item, S("price"), S(""));
    case FIELD_QUANTITY: return number_value(e->quantity);
    case FIELD_VALUE: return money_value(e->value_minor, e->currency);
    case FIELD_CHANNEL: return text_value(str_of(channel_name(e->channel)));
    case FIELD_CURRENCY:
        return e->currency ? text_value(currency_code((currency){ e->currency }, code)) : (struct value){ 0 };
    case FIELD_OTHER: return item_value(run, e->item, name, S(""));
    case FIELD_CART: return run->facts->cart ? run->facts->cart(run->facts->ctx, e) : (struct value){ 0 };
    case FIELD_HOUR: return number_value(local_civil(run, e->at_ms).hour);
    case FIELD_WEEKDAY: return number_value(local_civil(run, e->at_ms).weekday);
    /* by its number: what it is compared with is looked up when compiled */
    case FIELD_SEGMENT:
        return history_is_move(e) ? number_value(e->quantity) : (struct value){ 0 };
    case FIELD_NONE: break;
    }
    return (struct value){ 0 };
}

static struct value context_value(const struct run *run, str name)
{
    const struct rule_facts *f = run->facts;
    struct value v = f->context ? f->context(f->ctx, name) : (struct value){ 0 };
    if (v.kind != VALUE_UNKNOWN) return v;
    if (str_eq(name, S("hour"))) return number_value(local_civil(run, f->now_ms).hour);
    if (str_eq(name, S("weekday"))) return number_value(local_civil(run, f->now_ms).weekday);
    return v;
}

static bool place_of(const struct run *run, bool moment, const char *name, f64 *out)
{
    const struct rule_facts *f = run->facts;
    struct value v = moment && f->context ? f->context(f->ctx, str_of(name)) : (struct value){ 0 };
    if (v.kind == VALUE_UNKNOWN && f->trait) v = f->trait(f->ctx, str_of(name));
    if (v.kind == VALUE_TEXT) v = read_as(v.s, VALUE_NUMBER, (struct zone){ 0 });
    *out = v.n;
    return v.kind == VALUE_NUMBER && v.n >= -180 && v.n <= 180;
}

/* The haversine on a ball of 6371.0088 km (the mean radius of IUGG), to the metre: so that the last
 * bits of somebody's libm move nobody. */
static struct value distance_value(const struct run *run, const struct node *n)
{
    const f64 radian = 3.14159265358979323846 / 180;
    f64 lat, lon;
    if (!place_of(run, n->moment, "latitude", &lat) || !place_of(run, n->moment, "longitude", &lon))
        return (struct value){ 0 };
    f64 to_lat = n->kids[0]->literal.n, to_lon = n->kids[1]->literal.n;
    f64 across = sin((lat - to_lat) * radian / 2), along = sin((lon - to_lon) * radian / 2);
    f64 h = across * across + cos(lat * radian) * cos(to_lat * radian) * along * along;
    return number_value(round(2 * 6371008.8 * asin(sqrt(h < 1 ? h : 1))) / 1000);
}

/* One fact is asked; inside `where`, of an entry. */
struct asked { const struct run *run; const struct history_entry *entry; char code[4]; };

static struct value fact_value(struct asked *q, const struct node *n)
{
    const struct rule_facts *f = q->run->facts;
    str key = S("");
    switch ((enum node_kind)n->kind) {
    case NODE_LITERAL: return n->literal;
    case NODE_TRAIT: return f->trait ? f->trait(f->ctx, n->name) : (struct value){ 0 };
    case NODE_CONTEXT: return context_value(q->run, n->name);
    case NODE_ITEM:
        if (n->index) {
            const struct node *in = n->index;           /* itself without one: a name or a text */
            struct value v = in->kind == NODE_ITEM && in->index ? (struct value){ 0 } : fact_value(q, in);
            if (v.kind != VALUE_TEXT) return (struct value){ 0 };
            key = v.s;
        }
        return item_value(q->run, f->candidate.v, n->name, key);
    case NODE_FIELD: return field_value(q->run, (enum field)n->field, n->name, q->entry, q->code);
    case NODE_AFFINITY:
        return f->affinity ? f->affinity(f->ctx, n->name, n->key, f->now_ms) : (struct value){ 0 };
    case NODE_DISTANCE: return distance_value(q->run, n);
    case NODE_QUIZ: return f->quiz ? f->quiz(f->ctx, n->name) : (struct value){ 0 };
    case NODE_PREDICTED: {
        u8 score;
        if (str_starts(n->name, S(UPLIFT_PREFIX)))
            return f->uplift ? f->uplift(f->ctx, str_from(n->name, S(UPLIFT_PREFIX).len))
                             : (struct value){ 0 };
        return f->predicted && score_of(n->name, &score) ? f->predicted(f->ctx, score) : (struct value){ 0 };
    }
    case NODE_AND: case NODE_OR: case NODE_NOT: case NODE_TEST: case NODE_DID: case NODE_SEQUENCE:
    case NODE_SEGMENT: case NODE_ERROR: case NODE_TALLY: case NODE_SINCE: case NODE_AT:
    case NODE_LADDER: break;
    }
    return (struct value){ 0 };
}

static struct value right_value(const struct run *run, const struct node *n)
{
    if (n->kind == NODE_LITERAL) return n->literal;
    struct asked q = { .run = run };
    return fact_value(&q, n);
}

static enum tri test_between(const struct run *run, const struct node *t, struct value l)
{
    const struct node *low = t->kids[1], *high = t->kids[2];
    enum tri above = compare(run, OP_GE, l, right_value(run, low), written(low));
    enum tri below = compare(run, OP_LE, l, right_value(run, high), written(high));
    if (above == TRI_FALSE || below == TRI_FALSE) return TRI_FALSE;
    return above == TRI_TRUE && below == TRI_TRUE ? TRI_TRUE : TRI_UNKNOWN;
}

static enum tri test_in(const struct run *run, const struct node *t, struct value l)
{
    enum tri is = TRI_FALSE;
    for (isize i = 1; i < t->kids_n; i++) {
        enum tri one = compare(run, OP_EQ, l, right_value(run, t->kids[i]), written(t->kids[i]));
        if (one == TRI_TRUE) return TRI_TRUE;
        if (one == TRI_UNKNOWN) is = TRI_UNKNOWN;
    }
    return is;
}

static enum tri test_has(const struct run *run, const struct node *t, struct value l)
{
    struct value wanted[LIST_MAX];
    const struct json *list;
    arena a = { 0 };
    for (isize i = 1; i < t->kids_n; i++) wanted[i - 1] = right_value(run, t->kids[i]);
    enum tri is = rule_list_begin(&a, l, &list)
                      ? rule_list_test((enum op)t->op, list, wanted, t->kids_n - 1)
                      : TRI_UNKNOWN;
    arena_fini(&a);
    return is;
}

/* The whole test, given what its left side is. */
static enum tri test_value(const struct run *run, const struct node *t, struct value l)
{
    switch ((enum op)t->op) {
    case OP_KNOWN: return tri_of(l.kind != VALUE_UNKNOWN);
    case OP_TRUE:
        if (l.kind == VALUE_TEXT) l = read_as(l.s, VALUE_BOOL, (struct zone){ 0 });
        return l.kind == VALUE_BOOL ? tri_of(l.b) : TRI_UNKNOWN;
    case OP_IN: return test_in(run, t, l);
    case OP_NOT_IN: return tri_not(test_in(run, t, l));
    case OP_BETWEEN: return test_between(run, t, l);
    case OP_MATCHES: return l.kind == VALUE_TEXT ? tri_of(regex_finds(t->regex, l.s)) : TRI_UNKNOWN;
    case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE:
    case OP_CONTAINS: case OP_STARTS: case OP_ENDS:
        return compare(run, (enum op)t->op, l, right_value(run, t->kids[1]), written(t->kids[1]));
    case OP_HAS: case OP_HAS_ANY: case OP_HAS_ALL: case OP_HAS_NONE: return test_has(run, t, l);
    case OP_UNDER: break;
    }
    return TRI_UNKNOWN;
}

static enum tri test_under(const struct run *run, const struct node *t, u32 item)
{
    const struct rule_facts *f = run->facts;
    if (!item || !f->item_under) return TRI_UNKNOWN;
    for (isize i = 1; i < t->kids_n; i++) {
        struct value r = right_value(run, t->kids[i]);
        if (r.kind != VALUE_TEXT) return TRI_UNKNOWN;
        if (f->item_under(f->ctx, (item_id){ item }, r.s)) return TRI_TRUE;
    }
    return TRI_FALSE;
}

/* ---- where --------------------------------------------------------------------------------- */

static enum tri join(enum node_kind kind, enum tri sum, enum tri one)
{
    enum tri ends = kind == NODE_AND ? TRI_FALSE : TRI_TRUE;
    if (sum == ends || one == ends) return ends;
    return sum == TRI_UNKNOWN || one == TRI_UNKNOWN ? TRI_UNKNOWN : sum;
}

static enum tri test_segment_field(const struct node *t, const struct history_entry *e)
{
    if (!history_is_move(e)) return TRI_UNKNOWN;
    bool is = false;
    for (isize i = 1; i < t->kids_n; i++) is |= e->quantity == t->kids[i]->segment.v;
    return tri_of(t->op == OP_NE || t->op == OP_NOT_IN ? !is : is);
}

enum tri rule_where(const struct run *run, const struct node *n, const struct history_entry *e)
{
    if (n->kind == NODE_TEST) {
        struct asked q = { .run = run, .entry = e };
        if (n->op == OP_UNDER)
            return test_under(run, n, n->kids[0]->kind == NODE_ITEM ? run->facts->candidate.v : e->item);
        if (n->kids[0]->kind == NODE_FIELD && n->kids[0]->field == FIELD_SEGMENT)
            return test_segment_field(n, e);
        return test_value(run, n, fact_value(&q, n->kids[0]));
    }
    if (n->kind == NODE_NOT) return tri_not(rule_where(run, n->kids[0], e));
    if (n->kind != NODE_AND && n->kind != NODE_OR) return TRI_UNKNOWN;
    enum tri is = n->kind == NODE_AND ? TRI_TRUE : TRI_FALSE;
    for (isize i = 0; i < n->kids_n; i++) {
        is = join((enum node_kind)n->kind, is, rule_where(run, n->order[i], e));
        if (is == (n->kind == NODE_AND ? TRI_FALSE : TRI_TRUE)) return is;
    }
    return is;
}

/* ---- which entries ------------------------------------------------------------------------- */

static bool is_return(const struct history_entry *e)
{
    return (e->type == EVENT_ORDER_COMPLETED || e->type == EVENT_PRODUCT_PURCHASED)
           && (e->quantity < 0 || e->value_minor < 0);
}

/* What takes a thing out again. A return brings nothing back. */
static bool takes_out(enum open open, const struct history_entry *in, const struct history_entry *e)
{
    bool same = in->item != 0 && e->item == in->item;
    if (e->flags & HISTORY_BOT || is_return(e)) return false;
    if (open == OPEN_CART && e->type == EVENT_ORDER_COMPLETED) return true;
    if (!same) return false;
    if (e->type == EVENT_PRODUCT_PURCHASED) return true;
    return open == OPEN_CART ? e->type == EVENT_PRODUCT_ADDED || e->type == EVENT_PRODUCT_REMOVED
                             : e->type == EVENT_WISHLIST_ADDED || e->type == EVENT_WISHLIST_REMOVED;
}

static bool still_in(const struct run *run, enum open open, const struct history_entry *in)
{
    for (const struct history_entry *e = in + 1; e < run->history + run->seen; e++)
        if (takes_out(open, in, e)) return false;
    return true;
}

static bool scan_takes(const struct run *run, const struct scan *s, const struct history_entry *e)
{
    if (!scan_of_type(s, e) || e->flags & HISTORY_BOT) return false;
    if (!s->nets_returns && is_return(e)) return false;
    if (s->candidate && e->item != run->facts->candidate.v) return false;
    if (s->where && rule_where(run, s->where, e) != TRI_TRUE) return false;
    return !s->open || still_in(run, (enum open)s->open, e);
}

/* One question over the history: `scan` finds the entries that count; of a sequence, what completes it. */
struct leaf {
    const struct run *run;
    const struct node *node;
    const struct scan *scan;
    u16 currency;                   /* 0, or only entries of that currency */
    isize absent_at;                /* index of the newest entry that must not follow; -1 */
};

static bool same_cart(const struct run *run, const struct history_entry *a, const struct history_entry *b)
{
    struct value x = field_value(run, FIELD_CART, S(""), a, NULL),
                 y = field_value(run, FIELD_CART, S(""), b, NULL);
    return x.kind == VALUE_TEXT && y.kind == VALUE_TEXT && str_eq(x.s, y.s);
}

/* Of one product, or of one cart, when the sequence asks for it. */
static bool same_thing(const struct leaf *l, const struct history_entry *a, const struct history_entry *b)
{
    if (l->node->same_product) return a->item != 0 && a->item == b->item;
    return !l->node->same_cart || same_cart(l->run, a, b);
}

/* Something that the sequence must not meet, after its first step and before its last (or, waiting
 * for what must not come, before now). */
static bool meets_unless(const struct leaf *l, isize first, isize last)
{
    const struct history_entry *h = l->run->history;
    isize to = l->node->absent ? l->run->seen : last;
    for (isize j = first + 1; j < to; j++)
        if (j != last && same_thing(l, &h[j], &h[last])
            && scan_takes(l->run, l->node->unless, &h[j]))
            return true;
    return false;
}

/* The steps before entry i, each as late as it can be: then the first is as near to it as can be.
 * `out`: their indexes. */
static bool chain_holds(const struct leaf *l, isize i, isize *out)
{
    const struct history_entry *h = l->run->history;
    isize step = l->scan - l->node->scans;
    i64 span = l->node->within * rule_unit_ms(l->node->unit);
    isize first = i;
    if (!same_thing(l, &h[i], &h[i])) return false;     /* of no product, of no cart */
    if (out) out[step] = i;
    for (isize j = i - 1; step > 0 && j >= 0 && h[i].at_ms - h[j].at_ms < span; j--)
        if (scan_takes(l->run, &l->node->scans[step - 1], &h[j]) && same_thing(l, &h[j], &h[i])) {
            step--;
            first = j;
            if (out) out[step] = j;
        }
    return step == 0 && !(l->node->unless && meets_unless(l, first, i));
}

static bool nothing_after(const struct leaf *l, isize i)
{
    const struct history_entry *h = l->run->history;
    if (!l->node->absent) return true;
    /* it does not follow itself */
    if (!l->node->same_product && !l->node->same_cart) return i >= l->absent_at;
    const struct scan *not = &l->node->scans[l->node->scans_n - 1];
    for (isize j = i + 1; j < l->run->seen; j++)
        if (scan_takes(l->run, not, &h[j]) && same_thing(l, &h[j], &h[i])) return false;
    return true;
}

static bool leaf_takes(const struct leaf *l, isize i)
{
    const struct history_entry *e = &l->run->history[i];
    if (!scan_takes(l->run, l->scan, e)) return false;
    if (l->currency && l->scan->field == FIELD_VALUE && e->currency != l->currency) return false;
    if (l->node->kind != NODE_SEQUENCE) return true;
    return chain_holds(l, i, NULL) && nothing_after(l, i);
}

void rule_index_build(const struct history_entry *history, isize n, arena *a, struct rule_index *out)
{
    struct rule_neighbours *at = arena_room(a, struct rule_neighbours, n);
    for (isize k = 0; k < countof(out->newest); k++) out->newest[k] = out->oldest[k] = -1;
    for (isize i = 0; i < n; i++) {
        isize k = history[i].type & 63;
        at[i] = (struct rule_neighbours){ out->newest[k], (i32)n };
        if (out->newest[k] >= 0) at[out->newest[k]].after = (i32)i;
        else out->oldest[k] = (i32)i;
        out->newest[k] = (i32)i;
    }
    out->at = at;
}

/* The index, when a scan's entries are one chain of it. */
static const struct rule_index *index_for(const struct run *run, const struct scan *s)
{
    const struct rule_index *index = run->facts->index;
    if (!index || s->any) return NULL;
    return s->nets_returns && index->newest[EVENT_ORDER_REFUNDED & 63] >= 0 ? NULL : index;
}

/* Newest first, over entries that may be of a scan's type: the newest below `to`, then the next
 * older of one. Below 0: there is none. */
static isize newest_of(const struct run *run, const struct scan *s, isize to)
{
    const struct rule_index *index = index_for(run, s);
    if (!index) return to - 1;
    isize i = index->newest[s->type & 63];
    while (i >= to) i = index->at[i].before;
    return i;
}

static isize older_of(const struct run *run, const struct scan *s, isize i)
{
    const struct rule_index *index = index_for(run, s);
    return index ? index->at[i].before : i - 1;
}

static isize newer_of(const struct run *run, const struct scan *s, isize i)
{
    const struct rule_index *index = index_for(run, s);
    return index ? index->at[i].after : i + 1;
}

/* Nothing of that type stands in the history: there is nothing to walk for. */
static bool never(const struct run *run, const struct scan *s)
{
    const struct rule_index *index = index_for(run, s);
    return index && index->newest[s->type & 63] < 0;
}

static struct leaf leaf_of(const struct run *run, const struct node *n)
{
    struct leaf l = { .run = run, .node = n, .scan = n->scans, .absent_at = -1 };
    if (n->kind != NODE_SEQUENCE) return l;
    l.scan = &n->scans[n->scans_n - 1 - n->absent];
    if (!n->absent || n->same_product || n->same_cart) return l;
    const struct scan *not = &n->scans[n->scans_n - 1];
    for (isize i = newest_of(run, not, run->seen); i >= 0 && l.absent_at < 0; i = older_of(run, not, i))
        if (scan_takes(run, not, &run->history[i])) l.absent_at = i;
    return l;
}

/* ---- windows ------------------------------------------------------------------------------- */

/* Entries of time t stand in it while t >= low and t + near <= now < t + far; at `reset` all of them go. */
struct reach { i64 near, far, low, reset; };

static void reach_session(const struct run *run, struct reach *r)
{
    i64 next = run->facts->now_ms;
    r->low = INT64_MAX;
    for (isize i = run->seen - 1; i >= 0; i--) {
        const struct history_entry *e = &run->history[i];
        if (!entry_is_activity(e)) continue;
        if (next - e->at_ms >= SESSION_GAP_MS) break;
        if (r->low == INT64_MAX) r->reset = e->at_ms + SESSION_GAP_MS;
        r->low = next = e->at_ms;
    }
}

static i64 floor_to(i64 at, i64 step) { i64 rest = at % step; return at - (rest < 0 ? rest + step : rest); }

static struct reach reach_of(const struct run *run, const struct node *n)
{
    const struct window *w = &n->scans->window;
    struct reach r = { .near = 0, .far = AGE_MAX, .low = INT64_MIN, .reset = TIME_NEVER };
    struct zone zone = run->facts->zone;
    i64 today;
    switch ((enum window_kind)w->kind) {
    case WINDOW_ALL: break;
    case WINDOW_LAST: r.far = w->far * rule_unit_ms(w->unit); break;
    case WINDOW_AGO:
        r.near = w->near * rule_unit_ms(w->unit);
        r.far = w->far * rule_unit_ms(w->unit);
        break;
    case WINDOW_SINCE: r.low = zone_instant(zone, w->day_ms); break;
    case WINDOW_SESSION: reach_session(run, &r); break;
    case WINDOW_TODAY:
        today = floor_to(
            run->facts->now_ms + (i64)zone_minutes(zone, run->facts->now_ms) * MINUTE_MS, DAY_MS);
        r.low = zone_instant(zone, today);
        r.reset = zone_instant(zone, today + DAY_MS);
        break;
    }
    if (n->kind == NODE_SEQUENCE && n->absent) r.near = max_i64(r.near, n->within * rule_unit_ms(n->unit));
    return r;
}

/* The first index whose entry is at or after `at_ms`. */
static isize first_from(const struct run *run, i64 at_ms)
{
    isize lo = 0, hi = run->seen;
    while (lo < hi) {
        isize mid = lo + (hi - lo) / 2;
        if (run->history[mid].at_ms < at_ms) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

struct range { isize from, to; };

static struct range range_at(const struct run *run, const struct reach *r, i64 now)
{
    isize from = r->far == AGE_MAX ? 0 : first_from(run, now - r->far + 1);
    if (r->low != INT64_MIN) from = max_isize(from, first_from(run, r->low));
    isize to = r->near == 0 ? run->seen : first_from(run, now - r->near + 1);
    return (struct range){ from, max_isize(from, to) };
}

static struct range range_of(const struct run *run, const struct reach *r)
{
    return range_at(run, r, run->facts->now_ms);
}

/* The newest entry that is asked for, of whatever currency, and nearer than a window which must be
 * the last of it; -1: none. */
static isize nearer(const struct leaf *l, struct range in)
{
    if (!l->scan->window.not_since) return -1;
    for (isize i = newest_of(l->run, l->scan, l->run->seen); i >= in.to; i = older_of(l->run, l->scan, i))
        if (scan_takes(l->run, l->scan, &l->run->history[i])) return i;
    return -1;
}

/* What stands in the window now, for explaining. */
static struct range range_now(const struct leaf *l, const struct reach *r)
{
    struct range in = range_of(l->run, r);
    return nearer(l, in) >= 0 ? (struct range){ in.to, in.to } : in;
}

/* ---- tallies ------------------------------------------------------------------------------- */

/* What comes in can go out again, to the last unit: sums are integers. */
struct sums { i64 n; i128 sum; };

static bool is_exact(const struct node *left)
{
    const struct scan *s = left->scans;
    if (left->kind != NODE_TALLY || s->tally == TALLY_COUNT) return true;
    return (s->tally == TALLY_SUM || s->tally == TALLY_AVERAGE) && s->field != FIELD_OTHER;
}

/* The amount of one entry, as minor units or pieces; false when it has none in that currency. */
static bool exact_amount(const struct leaf *l, const struct history_entry *e, i64 *out)
{
    *out = 0;
    switch ((enum field)l->scan->field) {
    case FIELD_VALUE: *out = e->value_minor; return true;
    case FIELD_QUANTITY: *out = e->quantity; return true;
    case FIELD_PRICE: {
        struct value v = item_value(l->run, e->item, S("price"), S(""));
        if (v.kind != VALUE_MONEY || v.money.currency.v != l->currency) return false;
        *out = v.money.minor;
        return true;
    }
    case FIELD_NONE: case FIELD_CATEGORY: case FIELD_BRAND: case FIELD_PRODUCT: case FIELD_CHANNEL:
    case FIELD_CURRENCY: case FIELD_OTHER: case FIELD_CART: case FIELD_SEGMENT: case FIELD_HOUR:
    case FIELD_WEEKDAY: break;
    }
    return true;
}

/* Whether entry i counted. */
static bool sums_move(const struct leaf *l, struct sums *s, isize i, int sign)
{
    i64 amount;
    if (!leaf_takes(l, i) || !exact_amount(l, &l->run->history[i], &amount)) return false;
    bool back = l->scan->nets_returns && l->run->history[i].value_minor < 0;
    s->n += back ? 0 : sign;                            /* a return is no order less */
    s->sum += (i128)amount * sign;
    return true;
}

static i64 clamp_i64(i128 v) { return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (i64)v; }

static i64 rounded_mean(i128 sum, i64 n) { return clamp_i64((sum >= 0 ? sum + n / 2 : sum - n / 2) / n); }

static struct value sums_value(const struct leaf *l, const struct sums *s)
{
    bool money = l->scan->field == FIELD_VALUE || l->scan->field == FIELD_PRICE;
    if (l->scan->tally == TALLY_COUNT) return number_value((f64)s->n);
    if (l->scan->tally == TALLY_SUM)
        return money ? money_value(clamp_i64(s->sum), l->currency) : number_value((f64)s->sum);
    if (s->n == 0) return (struct value){ 0 };
    return money ? money_value(rounded_mean(s->sum, s->n), l->currency)
                 : number_value((f64)s->sum / (f64)s->n);
}

static enum tri sums_test(const struct leaf *l, const struct node *condition, const struct sums *s)
{
    return condition->kind == NODE_TEST ? test_value(l->run, condition, sums_value(l, s)) : tri_of(s->n > 0);
}

/* The first entry at or after `from` that may be of a scan's type; at or behind the last that is
 * seen: there is none. */
static isize first_of(const struct run *run, const struct scan *s, isize from)
{
    const struct rule_index *index = index_for(run, s);
    if (!index || index->newest[s->type & 63] < from) return index ? run->facts->history_n : from;
    isize i = index->newest[s->type & 63];
    while (index->at[i].before >= from) i = index->at[i].before;
    return i;
}

/* Plays the comings and goings forward until the condition comes out otherwise. */
static i64 sums_next(const struct leaf *l, const struct node *condition, struct reach r, struct range in,
                     struct sums s, enum tri is)
{
    const struct run *run = l->run;
    const struct history_entry *h = run->history;
    isize leaves = first_of(run, l->scan, in.from), comes = first_of(run, l->scan, in.to);
    while (true) {
        while (comes < run->seen && !scan_of_type(l->scan, &h[comes])) comes = newer_of(run, l->scan, comes);
        while (leaves < comes && leaves < run->seen && !scan_of_type(l->scan, &h[leaves]))
            leaves = newer_of(run, l->scan, leaves);
        i64 leave = r.far != AGE_MAX && leaves < comes && leaves < run->seen
                        ? h[leaves].at_ms + r.far
                        : TIME_NEVER;
        i64 come = comes < run->seen ? h[comes].at_ms + r.near : TIME_NEVER;
        i64 at = min_i64(min_i64(leave, come), r.reset);
        if (at == TIME_NEVER) return at;
        if (at == r.reset) return sums_test(l, condition, &(struct sums){ 0 }) != is ? at : TIME_NEVER;
        bool moved = false;
        for (; comes < run->seen && h[comes].at_ms + r.near == at; comes = newer_of(run, l->scan, comes))
            moved |= sums_move(l, &s, comes, 1);
        for (; r.far != AGE_MAX && leaves < comes && leaves < run->seen
               && h[leaves].at_ms + r.far == at;
             leaves = newer_of(run, l->scan, leaves))
            moved |= sums_move(l, &s, leaves, -1);
        if (moved && sums_test(l, condition, &s) != is) return at;
    }
}

/* The first coming or going of an entry that counts. */
static i64 first_move(const struct leaf *l, struct reach r, struct range in)
{
    i64 next = TIME_NEVER;
    isize i = in.from;
    while (i < in.to && !leaf_takes(l, i)) i++;
    if (i < in.to) next = r.far == AGE_MAX ? r.reset : min_i64(r.reset, l->run->history[i].at_ms + r.far);
    for (i = in.to; i < l->run->seen; i++) {
        i64 at = l->run->history[i].at_ms + r.near;
        if (at >= next) break;
        if (leaf_takes(l, i)) return at;
    }
    return next;
}

/* ---- min, max, distinct, and sums of a number the shop made up ------------------------------ */

static bool same_value(struct value a, struct value b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case VALUE_UNKNOWN: return true;
    case VALUE_LIST: return false;
    case VALUE_BOOL: return a.b == b.b;
    case VALUE_NUMBER: return a.n == b.n;
    case VALUE_TEXT: return str_eq_nocase(a.s, b.s);
    case VALUE_MONEY: return a.money.minor == b.money.minor && a.money.currency.v == b.money.currency.v;
    case VALUE_TIME: return a.at_ms == b.at_ms;
    }
    return false;
}

/* The value that tells one from another; a product and a currency by their number. */
static struct value distinct_value(const struct leaf *l, const struct history_entry *e)
{
    char code[4];
    if (l->scan->field == FIELD_PRODUCT) return e->item ? number_value(e->item) : (struct value){ 0 };
    if (l->scan->field == FIELD_CURRENCY)
        return e->currency ? number_value(e->currency) : (struct value){ 0 };
    return field_value(l->run, (enum field)l->scan->field, l->scan->field_name, e, code);
}

/* Of the values there are most of, the one met last. */
static struct value most_common(const struct leaf *l, struct range in)
{
    struct value known[DISTINCT_MAX];
    isize times[DISTINCT_MAX] = { 0 }, n = 0, best = -1;
    for (isize i = in.to - 1; i >= in.from; i--) {
        if (!leaf_takes(l, i)) continue;
        struct value v = field_value(l->run, (enum field)l->scan->field, l->scan->field_name,
                                     &l->run->history[i], NULL);
        if (v.kind == VALUE_UNKNOWN) continue;
        isize at = 0;
        while (at < n && !same_value(known[at], v)) at++;
        if (at == DISTINCT_MAX) continue;
        if (at == n) known[n++] = v;
        times[at]++;
    }
    for (isize i = 0; i < n; i++)
        if (best < 0 || times[i] > times[best]) best = i;
    return best < 0 ? (struct value){ 0 } : known[best];
}

/* The field of the first or the last entry that counts, whatever it is. */
static struct value one_value(const struct leaf *l, struct range in, bool first)
{
    for (isize k = 0; k < in.to - in.from; k++) {
        isize i = first ? in.from + k : in.to - 1 - k;
        if (leaf_takes(l, i))
            return field_value(l->run, (enum field)l->scan->field, l->scan->field_name,
                               &l->run->history[i], NULL);
    }
    return (struct value){ 0 };
}

static struct value distinct_count(const struct leaf *l, struct range in)
{
    struct value known[DISTINCT_MAX];
    isize n = 0;
    for (isize i = in.to - 1; i >= in.from; i--) {
        if (!leaf_takes(l, i)) continue;
        struct value v = distinct_value(l, &l->run->history[i]);
        if (v.kind == VALUE_UNKNOWN) continue;
        isize at = 0;
        while (at < n && !same_value(known[at], v)) at++;
        if (at < n) continue;
        if (n == DISTINCT_MAX) return number_value(DISTINCT_MAX + 1);      /* more than any rule may ask */
        known[n++] = v;
    }
    return number_value((f64)n);
}

/* One entry's amount as it is compared; unknown when there is none in the currency. */
static struct value soft_amount(const struct leaf *l, const struct history_entry *e)
{
    char code[4];
    struct value v = field_value(l->run, (enum field)l->scan->field, l->scan->field_name, e, code);
    if (v.kind == VALUE_MONEY) return v.money.currency.v == l->currency ? v : (struct value){ 0 };
    return v.kind == VALUE_NUMBER && isfinite(v.n) ? v : (struct value){ 0 };
}

static struct value soft_value(const struct leaf *l, struct range in)
{
    enum tally tally = (enum tally)l->scan->tally;
    if (tally == TALLY_DISTINCT) return distinct_count(l, in);
    if (tally == TALLY_COMMON) return most_common(l, in);
    if (tally_any_kind((u8)tally)) return one_value(l, in, tally == TALLY_FIRST);
    struct value best = { 0 };
    f64 sum = 0;
    i64 n = 0;
    for (isize i = in.from; i < in.to; i++) {
        if (!leaf_takes(l, i)) continue;
        struct value v = soft_amount(l, &l->run->history[i]);
        if (v.kind == VALUE_UNKNOWN) continue;
        enum tri better = compare(l->run, tally == TALLY_MIN ? OP_LT : OP_GT, v, best, WRITTEN_PLAIN);
        if (best.kind == VALUE_UNKNOWN || better == TRI_TRUE) best = v;
        if (v.kind == VALUE_NUMBER) { sum += v.n; n++; }
    }
    if (tally == TALLY_MIN || tally == TALLY_MAX) return best;
    if (tally == TALLY_SUM) return number_value(sum);
    return n ? number_value(sum / (f64)n) : (struct value){ 0 };
}

/* ---- leaves -------------------------------------------------------------------------------- */

static struct rule_result lasting(enum tri is) { return (struct rule_result){ is, TIME_NEVER }; }

/* A did(…) whose window does not end now: the first that counts decides. */
static bool any_in(const struct leaf *l, struct range in)
{
    for (isize i = newest_of(l->run, l->scan, in.to); i >= in.from; i = older_of(l->run, l->scan, i))
        if (leaf_takes(l, i)) return true;
    return false;
}

/* At least k entries in a window that ends now: newest first, and no further than needed. */
static struct rule_result at_least(const struct leaf *l, struct reach r, i64 k)
{
    if (k <= 0) return lasting(TRI_TRUE);
    const struct history_entry *h = l->run->history;
    i64 n = 0, since_ms = max_i64(r.low, l->run->facts->now_ms - r.far + 1);
    for (isize i = newest_of(l->run, l->scan, l->run->seen); i >= 0 && h[i].at_ms >= since_ms;
         i = older_of(l->run, l->scan, i))
        if (leaf_takes(l, i) && ++n == k) {
            i64 goes = r.far == AGE_MAX ? TIME_NEVER : h[i].at_ms + r.far;
            return (struct rule_result){ TRI_TRUE, min_i64(goes, r.reset) };
        }
    return lasting(TRI_FALSE);
}

/* Nothing counts until `newest` has come into the window; what does then, is known now. */
static struct rule_result run_quiet(const struct leaf *l, const struct node *condition,
                                    struct reach r, isize newest)
{
    struct sums s = { 0 };
    enum tri is = sums_test(l, condition, &s);
    if (l->run->facts->no_timer) return lasting(is);
    i64 then = l->run->history[newest].at_ms + r.near;
    struct range in = range_at(l->run, &r, then);
    for (isize i = in.from; i < in.to; i++) (void)sums_move(l, &s, i, 1);
    if (sums_test(l, condition, &s) != is) return (struct rule_result){ is, then };
    return (struct rule_result){ is, sums_next(l, condition, r, in, s, is) };
}

static struct rule_result run_moving(const struct leaf *l, const struct node *condition, struct reach r)
{
    struct sums s = { 0 };
    if (never(l->run, l->scan)) return lasting(sums_test(l, condition, &s));
    struct range in = range_of(l->run, &r);
    isize newest = nearer(l, in);
    if (newest >= 0) return run_quiet(l, condition, r, newest);
    if (l->run->facts->no_timer && condition->kind != NODE_TEST) return lasting(tri_of(any_in(l, in)));
    for (isize i = newest_of(l->run, l->scan, in.to); i >= in.from;
         i = older_of(l->run, l->scan, i))
        (void)sums_move(l, &s, i, 1);
    enum tri is = sums_test(l, condition, &s);
    if (l->run->facts->no_timer) return lasting(is);
    return (struct rule_result){ is, sums_next(l, condition, r, in, s, is) };
}

/* at_least, and its opposite, of a question that is known to be so plain. */
static struct rule_result run_recent(const struct run *run, const struct node *n)
{
    const struct history_entry *h = run->history;
    const struct rule_index *index = run->facts->index;
    enum tri yes = tri_of(n->recent == RECENT_AT_LEAST);
    i64 left = n->recent_least, since_ms = run->facts->now_ms - n->recent_ms + 1;
    if (left <= 0) return lasting(yes);
    for (isize i = index ? index->newest[n->recent_type & 63] : run->seen - 1; i >= 0;
         i = index ? index->at[i].before : i - 1) {
        if (i >= run->seen) continue;
        if (h[i].at_ms < since_ms) break;
        if (h[i].type != n->recent_type || h[i].flags & HISTORY_BOT || is_return(&h[i])
            || --left > 0)
            continue;
        return (struct rule_result){ yes, n->recent_ms == AGE_MAX ? TIME_NEVER : h[i].at_ms + n->recent_ms };
    }
    return lasting(tri_not(yes));
}

static struct rule_result run_happened(const struct run *run, const struct node *n)
{
    if (n->scans->candidate && !run->facts->candidate.v) return lasting(TRI_UNKNOWN);
    struct leaf l = leaf_of(run, n);
    struct reach r = reach_of(run, n);
    return r.near == 0 ? at_least(&l, r, 1) : run_moving(&l, n, r);
}

static bool is_at_least(u8 op, struct value v, i64 *k, bool *negated)
{
    if (op < OP_LT || op > OP_GE || v.kind != VALUE_NUMBER || !(fabs(v.n) < 1e9)) return false;
    bool beyond = op == OP_GT || op == OP_LE;
    *k = (i64)(beyond ? floor(v.n) + 1 : ceil(v.n));
    *negated = op == OP_LT || op == OP_LE;
    return true;
}

bool rule_is_at_least(const struct node *t, i64 *least, bool *negated)
{
    return t->kids_n == 2 && t->kids[1]->kind == NODE_LITERAL
           && is_at_least(t->op, t->kids[1]->literal, least, negated);
}

/* Money is counted in the currency it is compared in. */
static u16 currency_asked(const struct run *run, const struct node *t)
{
    for (isize i = 1; i < t->kids_n; i++) {
        struct value v = right_value(run, t->kids[i]);
        if (v.kind == VALUE_MONEY) return v.money.currency.v;
    }
    return 0;
}

static bool is_money(const struct scan *s)
{
    return s->tally != TALLY_COUNT && s->tally != TALLY_DISTINCT && !tally_any_kind(s->tally)
           && (s->field == FIELD_VALUE || s->field == FIELD_PRICE);
}

static struct rule_result run_tally(const struct run *run, const struct node *t)
{
    const struct node *left = t->kids[0];
    struct leaf l = leaf_of(run, left);
    struct reach r = reach_of(run, left);
    i64 k;
    bool negated;
    if (is_money(l.scan)) {
        l.currency = currency_asked(run, t);
        if (!l.currency) return lasting(TRI_UNKNOWN);
    }
    if (l.scan->tally == TALLY_COUNT && r.near == 0
        && is_at_least(t->op, right_value(run, t->kids[1]), &k, &negated)) {
        struct rule_result is = at_least(&l, r, k);
        return negated ? (struct rule_result){ tri_not(is.is), is.next_change_at_ms } : is;
    }
    if (is_exact(left)) return run_moving(&l, t, r);
    struct range in = range_of(run, &r);
    isize newest = nearer(&l, in);
    if (newest >= 0) {
        struct range none = { in.to, in.to };
        return (struct rule_result){ test_value(run, t, soft_value(&l, none)),
                                     run->history[newest].at_ms + r.near };
    }
    enum tri is = test_value(run, t, soft_value(&l, in));
    return run->facts->no_timer ? lasting(is) : (struct rule_result){ is, first_move(&l, r, in) };
}

static const struct history_entry *first_or_last(const struct run *run, const struct scan *s)
{
    isize i = s->first ? first_of(run, s, 0) : newest_of(run, s, run->seen);
    for (; i >= 0 && i < run->seen; i = s->first ? newer_of(run, s, i) : older_of(run, s, i))
        if (scan_takes(run, s, &run->history[i])) return &run->history[i];
    return NULL;
}

/* Elapsed time is compared in whole milliseconds, so that the instant of the change is one. */
static enum tri test_elapsed(enum op op, i64 elapsed, const i64 *ms)
{
    if (op == OP_BETWEEN) return tri_of(elapsed >= ms[0] && elapsed <= ms[1]);
    return ordered(op, order_i64(elapsed, ms[0]));
}

/* When that happened which time is counted from: an entry, or a date among the traits. */
static bool since_when(const struct run *run, const struct node *left, i64 *at_ms)
{
    if (left->kids_n) {
        struct value v = right_value(run, left->kids[0]);
        if (v.kind == VALUE_TEXT) v = read_as(v.s, VALUE_TIME, run->facts->zone);
        *at_ms = v.at_ms;
        return v.kind == VALUE_TIME;
    }
    const struct history_entry *e = first_or_last(run, left->scans);
    if (e) *at_ms = e->at_ms;
    return e != NULL;
}

static struct rule_result run_since(const struct run *run, const struct node *t)
{
    const struct node *left = t->kids[0];
    i64 ms[2] = { 0 }, from_ms;
    if (!since_when(run, left, &from_ms)) return lasting(TRI_UNKNOWN);
    for (isize i = 1; i < t->kids_n && i <= 2; i++) {
        struct value v = right_value(run, t->kids[i]);
        if (v.kind == VALUE_TEXT) v = read_as(v.s, VALUE_NUMBER, (struct zone){ 0 });
        if (v.kind != VALUE_NUMBER || !(fabs(v.n) < 1e6)) return lasting(TRI_UNKNOWN);
        ms[i - 1] = (i64)round(v.n * (f64)rule_unit_ms(left->unit));
    }
    i64 elapsed = run->facts->now_ms - from_ms;
    struct rule_result result = lasting(test_elapsed((enum op)t->op, elapsed, ms));
    for (isize i = 1; i < t->kids_n && i <= 2; i++)
        for (i64 after = 0; after <= 1; after++) {      /* it only turns as a bound is met, or just behind */
            i64 then = ms[i - 1] + after;
            if (then > elapsed && test_elapsed((enum op)t->op, then, ms) != result.is)
                result.next_change_at_ms = min_i64(result.next_change_at_ms, from_ms + then);
        }
    return result;
}

static enum tri affinity_at(const struct run *run, const struct node *t, enum op op,
                            const struct node *right, i64 at_ms)
{
    const struct rule_facts *f = run->facts;
    const struct node *left = t->kids[0];
    struct value v = f->affinity ? f->affinity(f->ctx, left->name, left->key, at_ms) : (struct value){ 0 };
    if (op == OP_KNOWN) return tri_of(v.kind != VALUE_UNKNOWN);
    return compare(run, op, v, right_value(run, right), WRITTEN_PLAIN);
}

/* A liking moves one way between entries, so it crosses a bound at most once: where, is found by halving. */
static struct rule_result affinity_crosses(const struct run *run, const struct node *t, enum op op,
                                           const struct node *right)
{
    i64 lo = run->facts->now_ms, hi = lo + 3650 * DAY_MS;
    enum tri is = affinity_at(run, t, op, right, lo);
    if (run->facts->affinity_lasts || run->facts->no_timer) return lasting(is);
    if (affinity_at(run, t, op, right, hi) == is) return lasting(is);
    while (hi - lo > 1) {
        i64 mid = lo + (hi - lo) / 2;
        if (affinity_at(run, t, op, right, mid) == is) lo = mid;
        else hi = mid;
    }
    return (struct rule_result){ is, hi };
}

static struct rule_result run_affinity(const struct run *run, const struct node *t)
{
    if (t->op != OP_BETWEEN)
        return affinity_crosses(run, t, (enum op)t->op, t->op == OP_KNOWN ? NULL : t->kids[1]);
    struct rule_result both = affinity_crosses(run, t, OP_GE, t->kids[1]);
    both = rule_join(NODE_AND, rule_join_start(NODE_AND), both);
    return rule_join(NODE_AND, both, affinity_crosses(run, t, OP_LE, t->kids[2]));
}

static struct value at_value(const struct run *run, const struct node *left)
{
    const struct history_entry *e = first_or_last(run, left->scans);
    return e ? (struct value){ .kind = VALUE_TIME, .at_ms = e->at_ms } : (struct value){ 0 };
}

isize rule_ladder_at(const struct run *run, const struct node *ladder, i64 *next_ms)
{
    *next_ms = TIME_NEVER;
    for (isize i = 0; i < ladder->kids_n; i++) {
        struct rule_result r = rule_run_node(run, ladder->kids[i]);
        *next_ms = min_i64(*next_ms, r.next_change_at_ms);
        if (r.is == TRI_TRUE) return i;
    }
    return ladder->kids_n;
}

static struct value rung_value(const struct node *ladder, isize at)
{
    isize n;
    const struct rule_rung *rungs = rule_ladder(ladder->name, &n);
    return at < n ? text_value(rungs[at].word) : (struct value){ 0 };
}

static struct rule_result run_ladder(const struct run *run, const struct node *t)
{
    i64 next_ms;
    isize at = rule_ladder_at(run, t->kids[0], &next_ms);
    return (struct rule_result){ test_value(run, t, rung_value(t->kids[0], at)), next_ms };
}

static struct rule_result run_test(const struct run *run, const struct node *t)
{
    const struct node *left = t->kids[0];
    struct asked q = { .run = run };
    if (left->kind == NODE_TALLY) return run_tally(run, t);
    if (left->kind == NODE_SINCE) return run_since(run, t);
    if (left->kind == NODE_AFFINITY) return run_affinity(run, t);
    if (left->kind == NODE_LADDER) return run_ladder(run, t);
    if (left->kind == NODE_AT) return lasting(test_value(run, t, at_value(run, left)));
    if (t->op == OP_UNDER) return lasting(test_under(run, t, run->facts->candidate.v));
    return lasting(test_value(run, t, fact_value(&q, left)));
}

/* ---- the tree ------------------------------------------------------------------------------ */

static inline struct rule_result join_results(enum node_kind kind, struct rule_result sum,
                                              struct rule_result one)
{
    enum tri ends = kind == NODE_AND ? TRI_FALSE : TRI_TRUE;
    i64 a = sum.next_change_at_ms, b = one.next_change_at_ms;
    struct rule_result r = { join(kind, sum.is, one.is), TIME_NEVER };
    if (sum.is == ends && one.is == ends) r.next_change_at_ms = max_i64(a, b);
    else if (sum.is == ends) r.next_change_at_ms = a;
    else if (one.is == ends) r.next_change_at_ms = b;
    else r.next_change_at_ms = min_i64(a, b);
    return r;
}

struct rule_result rule_join(enum node_kind kind, struct rule_result sum, struct rule_result one)
{
    return join_results(kind, sum, one);
}

/* Stops where nothing can change the answer any more; a part that decides only for a time is followed by
 * the others, because one of them may decide for longer and spare a timer. */
static struct rule_result run_joined(const struct run *run, const struct node *n)
{
    enum node_kind kind = (enum node_kind)n->kind;
    struct rule_result sum = rule_join_start(kind);
    enum tri ends = kind == NODE_AND ? TRI_FALSE : TRI_TRUE;
    for (isize i = 0; i < n->kids_n; i++) {
        sum = join_results(kind, sum, rule_run_node(run, n->order[i]));
        if (sum.is == ends && (sum.next_change_at_ms == TIME_NEVER || run->facts->no_timer)) break;
    }
    return sum;
}

/* Apart from the tree's own steps, which then need no room for what a leaf keeps. */
__attribute__((noinline)) static struct rule_result run_leaf(const struct run *run, const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_TEST: return run_test(run, n);
    case NODE_DID: case NODE_SEQUENCE: return run_happened(run, n);
    case NODE_AND: case NODE_OR: case NODE_NOT: case NODE_SEGMENT:
    case NODE_ERROR: case NODE_LITERAL: case NODE_TRAIT: case NODE_CONTEXT: case NODE_ITEM: case NODE_FIELD:
    case NODE_AFFINITY: case NODE_QUIZ: case NODE_PREDICTED: case NODE_TALLY: case NODE_SINCE:
    case NODE_AT: case NODE_DISTANCE: case NODE_LADDER: break;
    }
    assert(false);                                      /* the checker lets only conditions stand here */
    return lasting(TRI_UNKNOWN);
}

struct rule_result rule_run_node(const struct run *run, const struct node *n)
{
    struct rule_result r;
    if (n->recent) return run_recent(run, n);
    if (n->kind == NODE_AND || n->kind == NODE_OR) return run_joined(run, n);
    if (n->kind == NODE_SEGMENT)
        return lasting(run->facts->in_segment
                           ? run->facts->in_segment(run->facts->segment_ctx, n->segment)
                           : TRI_UNKNOWN);
    if (n->kind != NODE_NOT) return run_leaf(run, n);
    r = rule_run_node(run, n->kids[0]);
    r.is = tri_not(r.is);
    return r;
}

static inline struct run run_begin(const struct rule_facts *facts)
{
    struct run run = { .facts = facts, .history = facts->history, .seen = facts->history_n };
    if (run.seen && facts->history[run.seen - 1].at_ms > facts->now_ms)
        run.seen = first_from(&run, facts->now_ms + 1);
    return run;
}

struct run rule_run_begin(const struct rule_facts *facts) { return run_begin(facts); }

i64 rule_run_later(const struct run *run, i64 next_ms)
{
    return run->seen < run->facts->history_n ? min_i64(next_ms, run->history[run->seen].at_ms) : next_ms;
}

struct rule_result rule_run(const struct rule *rule, const struct rule_facts *facts)
{
    struct run run = run_begin(facts);
    struct rule_result r = rule_run_node(&run, rule->root);
    if (facts->no_timer) r.next_change_at_ms = TIME_NEVER;
    else if (rule->depends & RULE_ON_HISTORY) r.next_change_at_ms = rule_run_later(&run, r.next_change_at_ms);
    assert(r.next_change_at_ms > facts->now_ms);
    return r;
}

/* ---- what explain asks --------------------------------------------------------------------- */

struct value rule_left_value(const struct run *run, const struct node *n)
{
    const struct node *left = n->kind == NODE_TEST ? n->kids[0] : n;
    struct asked q = { .run = run };
    if (left->kind == NODE_AT) return at_value(run, left);
    if (left->kind == NODE_SINCE) {
        i64 from_ms;
        if (!since_when(run, left, &from_ms)) return (struct value){ 0 };
        return number_value((f64)(run->facts->now_ms - from_ms) / (f64)rule_unit_ms(left->unit));
    }
    if (left->kind == NODE_LADDER) {
        i64 next_ms;
        return rung_value(left, rule_ladder_at(run, left, &next_ms));
    }
    if (left->kind != NODE_TALLY && left->kind != NODE_DID && left->kind != NODE_SEQUENCE)
        return fact_value(&q, left);
    struct leaf l = leaf_of(run, left);
    struct reach r = reach_of(run, left);
    struct range in = range_now(&l, &r);
    if (is_money(l.scan)) l.currency = currency_asked(run, n);
    if (!is_exact(left)) return soft_value(&l, in);
    struct sums s = { 0 };
    for (isize i = in.from; i < in.to; i++) (void)sums_move(&l, &s, i, 1);
    return sums_value(&l, &s);
}

static isize chain_entries(const struct leaf *l, isize i, isize *out, isize max)
{
    isize steps[SEQUENCE_STEPS_MAX], n = 0;
    if (!chain_holds(l, i, steps)) return 0;
    for (isize step = l->scan - l->node->scans; step >= 0 && n < max; step--) out[n++] = steps[step];
    return n;
}

/* Those of the leaves that hold, of a condition that does. What stands under a `not` made nothing so. */
static isize holding_entries(const struct run *run, const struct node *n, isize *out, isize max)
{
    isize count = 0;
    if (max <= 0 || n->kind == NODE_NOT || rule_run_node(run, n).is != TRI_TRUE) return 0;
    if (n->kind != NODE_AND && n->kind != NODE_OR) return rule_leaf_entries(run, n, out, max);
    for (isize i = 0; i < n->kids_n; i++) count += holding_entries(run, n->kids[i], out + count, max - count);
    return count;
}

static isize ladder_entries(const struct run *run, const struct node *ladder, isize *out, isize max)
{
    i64 next_ms;
    isize at = rule_ladder_at(run, ladder, &next_ms);
    return at < ladder->kids_n ? holding_entries(run, ladder->kids[at], out, max) : 0;
}

static bool same_cause(const struct run *run, const struct history_entry *a, const struct history_entry *b)
{
    return a->item == b->item && (a->item || same_cart(run, a, b));
}

isize rule_matched(const struct rule *rule, const struct rule_facts *facts,
                   const struct history_entry **out, isize max)
{
    enum { LOOKED_AT = 32 };
    struct run run = rule_run_begin(facts);
    isize at[LOOKED_AT], count = 0, n = holding_entries(&run, rule->root, at, LOOKED_AT);
    for (isize i = 1; i < n; i++)                       /* newest first, whichever part they come from */
        for (isize j = i; j > 0 && at[j - 1] < at[j]; j--) {
            isize swap = at[j];
            at[j] = at[j - 1];
            at[j - 1] = swap;
        }
    for (isize i = 0; i < n && count < max; i++) {
        const struct history_entry *e = &run.history[at[i]];
        bool known = e->item == 0 && field_value(&run, FIELD_CART, S(""), e, NULL).kind == VALUE_UNKNOWN;
        for (isize k = 0; k < count && !known; k++) known = same_cause(&run, out[k], e);
        if (!known) out[count++] = e;
    }
    return count;
}

isize rule_leaf_entries(const struct run *run, const struct node *n, isize *out, isize max)
{
    const struct node *left = n->kind == NODE_TEST ? n->kids[0] : n;
    if (max > 0 && left->kind == NODE_LADDER) return ladder_entries(run, left, out, max);
    if (max <= 0 || left->scans_n == 0) return 0;
    if (left->kind == NODE_SINCE || left->kind == NODE_AT) {
        const struct history_entry *e = first_or_last(run, left->scans);
        if (e) out[0] = e - run->history;
        return e != NULL;
    }
    struct leaf l = leaf_of(run, left);
    struct reach r = reach_of(run, left);
    struct range in = range_now(&l, &r);
    isize count = 0;
    if (is_money(l.scan)) l.currency = currency_asked(run, n);
    for (isize i = newest_of(run, l.scan, in.to); i >= in.from && count < max; i = older_of(run, l.scan, i)) {
        if (!leaf_takes(&l, i)) continue;
        if (left->kind == NODE_SEQUENCE) return chain_entries(&l, i, out, max);
        out[count++] = i;
    }
    return count;
}
