/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the language is what docs/reference/rule-language.md says, at every instant, and what it
 * announces is so. Method: this file writes random rules from a tree of its own, prints them, and
 * answers them by reading that page: every entry of the history is looked at anew at every instant,
 * every chain of a sequence is tried, and nothing of this room but its door is used. For each
 * (rule, history, instant): the answers agree; they agree until one millisecond before the
 * announced change; where one exact question is asked, the answer is another one when the change is
 * due; and an entry that is said not to touch a rule may be taken away. TEST_LONG asks 100,000 of
 * them, else 10,000. */
#include "rule/rule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rule/rule_world.h"

static arena memory;

static int teardown(void **state)
{
    (void)state;
    arena_fini(&memory);
    return 0;
}

/* ---- the tree ------------------------------------------------------------------------------ */

enum sort {
    AND,
    OR,
    NOT,
    DID,
    HOLDS,
    TALLY,
    SINCE,
    SINCE_TRAIT,
    AT,
    SEQUENCE,
    SEGMENT,
    TRAIT,
    FIELD,
    ITEM,
    UNDER,
    CONTEXT,
    LIKING,
    ANSWER,
    SCORE,
    DISTANCE,
    LADDER,
};
enum how {
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    BETWEEN,
    IN,
    NOT_IN,
    HAS_PART,
    STARTS,
    ENDS,
    MATCHES,
    HAS,
    HAS_ANY,
    HAS_ALL,
    HAS_NONE,
    KNOWN,
    PLAIN
};
enum kind { UNKNOWN, TRUTH, NUMBER, TEXT, MONEY, INSTANT, LIST };
struct thing { enum kind kind; f64 n; i64 minor; u16 currency; const char *text; i64 at; };
enum right_kind { R_NUMBER, R_TEXT, R_MONEY, R_DATE, R_TRUTH, R_VERSION };
struct right { enum right_kind kind; f64 n; u16 currency; const char *text; i64 day; };

enum span { ALL_TIME, LAST, AGO, SINCE_DAY, SESSION, TODAY };
struct win { enum span span; u32 near, far, unit; bool not_since; i64 day; };
static const i64 unit_ms[] = { 60000, 3600000, 86400000 };
static const char *const unit_name[] = { "minutes", "hours", "days" };

struct part {                                           /* EVENT where … */
    const char *name;
    u16 type;
    bool any, candidate, nets, average_nets;
    /* 1 what lies in the cart, 2 what is on the wish list */
    int open;
    struct own *where;
};
struct own {
    enum sort sort;
    enum how how;
    struct own *kid[3];
    int kids;
    struct part part[4], unless;
    int parts, tally;
    bool absent, same_product, same_cart, first, has_unless;
    const char *name, *field;
    struct right right[3];
    int rights;
    u32 within, unit;
    struct win win;
    u16 segment;
};
enum { COUNT, SUM, AVERAGE, MIN, MAX, DISTINCT, FIRST, LAST_ONE, COMMON };
static const char *const tally_name[] = { "count",    "sum",   "average", "min",        "max",
                                          "distinct", "first", "last",    "most_common" };

struct at { const struct history_entry *h; isize n; i64 now; i32 zone; u32 candidate; };

/* ---- what the page says --------------------------------------------------------------------- */

static enum tri yes(bool b) { return b ? TRI_TRUE : TRI_FALSE; }

static enum tri answer(const struct at *x, const struct own *o);
static bool counts(const struct at *x, const struct part *p, isize i);

static bool is_bot(const struct history_entry *e) { return (e->flags & HISTORY_BOT) != 0; }
static bool is_move(const struct history_entry *e)
{
    return e->type == EVENT_SEGMENT_ENTERED || e->type == EVENT_SEGMENT_LEFT;
}
static bool is_back(const struct history_entry *e)
{
    if (e->type == EVENT_ORDER_REFUNDED) return e->value_minor < 0;
    return (e->type == EVENT_ORDER_COMPLETED || e->type == EVENT_PRODUCT_PURCHASED)
           && (e->value_minor < 0 || e->quantity < 0);
}

static const char *cart_name(const struct history_entry *e)
{
    static const char *const names[] = { NULL, "c-1", "c-2" };
    return names[e->ref % 3];
}

static struct thing number(f64 n) { return (struct thing){ .kind = NUMBER, .n = n }; }
static struct thing word(const char *s)
{
    return s ? (struct thing){ .kind = TEXT, .text = s } : (struct thing){ 0 };
}
static struct thing cash(i64 minor, u16 c)
{
    return c ? (struct thing){ .kind = MONEY, .minor = minor, .currency = c } : (struct thing){ 0 };
}

static const char *item_word(u32 item, str of)
{
    return item ? arena_printf(&memory, "%.*s", STR_FMT(of)).ptr : NULL;
}

static struct thing field_of(const struct at *x, const char *field, const struct history_entry *e)
{
    i64 minutes = (e->at_ms + x->zone * 60000LL) / 60000;
    if (!strcmp(field, "category")) return word(item_word(e->item, world_items[e->item].category));
    if (!strcmp(field, "brand")) return word(item_word(e->item, world_items[e->item].brand));
    if (!strcmp(field, "product")) return word(item_word(e->item, world_items[e->item].key));
    if (!strcmp(field, "price"))
        return e->item ? cash(world_items[e->item].price_minor, EUR) : (struct thing){ 0 };
    if (!strcmp(field, "quantity")) return number(e->quantity);
    if (!strcmp(field, "value") || !strcmp(field, "revenue")) return cash(e->value_minor, e->currency);
    if (!strcmp(field, "channel")) return word(channel_name(e->channel));
    if (!strcmp(field, "currency"))
        return word(e->currency == EUR ? "EUR" : e->currency == NOK ? "NOK" : NULL);
    if (!strcmp(field, "cart")) return word(cart_name(e));
    if (!strcmp(field, "hour")) return number((f64)(minutes / 60 % 24));
    /* 1970 began on a Thursday */
    if (!strcmp(field, "weekday")) return number((f64)((minutes / 1440 + 3) % 7 + 1));
    return (struct thing){ 0 };
}

static bool nocase(const char *a, const char *b, isize n)
{
    for (isize i = 0; i < n; i++) {
        char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i],
             y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
        if (x != y) return false;
        if (x == 0) return true;
    }
    return true;
}
static bool same_word(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && nocase(a, b, (isize)strlen(a));
}

static enum tri by_order(enum how how, int c)
{
    switch (how) {
    case EQ: case IN: return yes(c == 0);
    case NE: case NOT_IN: return yes(c != 0);
    case LT: return yes(c < 0);
    case LE: return yes(c <= 0);
    case GT: return yes(c > 0);
    case GE: return yes(c >= 0);
    default: return TRI_UNKNOWN;
    }
}

/* The three numbers of the versions this file writes, and whether it is a beta of it. */
static bool version_of(const char *s, i64 out[4])
{
    int n[3] = { 0, 0, 0 };
    if (sscanf(s + (*s == 'v'), "%d.%d.%d", &n[0], &n[1], &n[2]) < 1) return false;
    for (int i = 0; i < 3; i++) out[i] = n[i];
    out[3] = strstr(s, "-beta") ? 0 : 1;
    return true;
}

static enum tri one_test(const struct at *x, enum how how, struct thing l, const struct right *r)
{
    i64 a[4], b[4];
    if (l.kind == UNKNOWN) return TRI_UNKNOWN;
    if (r->kind == R_VERSION) {
        if (l.kind != TEXT || !version_of(l.text, a) || !version_of(r->text, b)) return TRI_UNKNOWN;
        int c = 0;
        for (int i = 0; i < 4 && !c; i++) c = (a[i] > b[i]) - (a[i] < b[i]);
        return by_order(how, c);
    }
    if (l.kind == TEXT && r->kind == R_NUMBER) {        /* text that holds a number compares as one */
        char *end;
        f64 n = strtod(l.text, &end);
        if (end == l.text || *end) return TRI_UNKNOWN;
        l = number(n);
    }
    if (l.kind == TEXT && r->kind == R_DATE) {
        int y, m, d;
        if (sscanf(l.text, "%d-%d-%d", &y, &m, &d) != 3) return TRI_UNKNOWN;
        l = (struct thing){ .kind = INSTANT,
                            .at = time_from_civil((struct civil){ .year = y, .month = m, .day = d })
                                  - x->zone * 60000LL };
    }
    switch (r->kind) {
    case R_NUMBER: return l.kind == NUMBER ? by_order(how, (l.n > r->n) - (l.n < r->n)) : TRI_UNKNOWN;
    case R_TRUTH: return l.kind == TRUTH ? by_order(how, (l.n != 0) - (r->n != 0)) : TRI_UNKNOWN;
    case R_MONEY:
        if (l.kind != MONEY || l.currency != r->currency) return TRI_UNKNOWN;
        return by_order(how, (l.minor > (i64)(r->n * 100)) - (l.minor < (i64)(r->n * 100)));
    case R_DATE: {
        if (l.kind != INSTANT) return TRI_UNKNOWN;
        i64 day = (l.at + x->zone * 60000LL) / 86400000, meant = r->day / 86400000;
        return by_order(how, (day > meant) - (day < meant));
    }
    case R_TEXT: break;
    case R_VERSION: break;
    }
    if (l.kind != TEXT) return TRI_UNKNOWN;
    isize n = (isize)strlen(l.text), m = (isize)strlen(r->text);
    switch (how) {
    case EQ: case IN: return yes(same_word(l.text, r->text));
    case NE: case NOT_IN: return yes(!same_word(l.text, r->text));
    case STARTS: return yes(m <= n && nocase(l.text, r->text, m));
    case ENDS: return yes(m <= n && nocase(l.text + n - m, r->text, m));
    case HAS_PART:
        for (isize i = 0; i + m <= n; i++)
            if (nocase(l.text + i, r->text, m)) return TRI_TRUE;
        return TRI_FALSE;
    case MATCHES:                                       /* the patterns written here are ^word or word */
        if (r->text[0] == '^') return yes(strncmp(l.text, r->text + 1, (size_t)m - 1) == 0);
        return yes(strstr(l.text, r->text) != NULL);
    default: return TRI_UNKNOWN;
    }
}

static bool list_holds(struct thing l, const struct right *r)
{
    static const char *const sizes[] = { "M", "L" };    /* and the number 40: the trait of rule_world.h */
    if (l.kind == NUMBER) return r->kind == R_NUMBER && l.n == r->n;
    if (l.kind == TEXT) return r->kind == R_TEXT && same_word(l.text, r->text);
    if (r->kind == R_NUMBER) return r->n == 40;
    for (isize i = 0; i < countof(sizes); i++)
        if (r->kind == R_TEXT && same_word(sizes[i], r->text)) return true;
    return false;
}

static enum tri list_test(enum how how, struct thing l, const struct right *r, int n)
{
    int found = 0;
    if (l.kind == UNKNOWN) return TRI_UNKNOWN;
    for (int i = 0; i < n; i++) found += list_holds(l, &r[i]);
    return yes(how == HAS_ALL ? found == n : how == HAS_NONE ? found == 0 : found > 0);
}

static enum tri test_of(const struct at *x, const struct own *o, struct thing l)
{
    if (o->how == KNOWN) return yes(l.kind != UNKNOWN);
    if (o->how == PLAIN) return l.kind == TRUTH ? yes(l.n != 0) : TRI_UNKNOWN;
    if (o->how >= HAS && o->how <= HAS_NONE) return list_test(o->how, l, o->right, o->rights);
    if (o->how == BETWEEN) {
        enum tri low = one_test(x, GE, l, &o->right[0]), high = one_test(x, LE, l, &o->right[1]);
        if (low == TRI_FALSE || high == TRI_FALSE) return TRI_FALSE;
        return low == TRI_TRUE && high == TRI_TRUE ? TRI_TRUE : TRI_UNKNOWN;
    }
    if (o->how != IN && o->how != NOT_IN) return one_test(x, o->how, l, &o->right[0]);
    enum tri is = TRI_FALSE;
    for (int i = 0; i < o->rights && is != TRI_TRUE; i++) {
        enum tri one = one_test(x, EQ, l, &o->right[i]);
        if (one != TRI_FALSE) is = one;
    }
    return is == TRI_UNKNOWN || o->how == IN ? is : yes(is == TRI_FALSE);
}

static bool is_under(u32 item, const char *name)
{
    return item
           && (str_eq(world_items[item].category, str_of(name))
               || str_eq(world_items[item].above, str_of(name)));
}

/* A condition of a `where`, of one entry. */
static enum tri where_is(const struct at *x, const struct own *o, const struct history_entry *e)
{
    enum tri a, b;
    switch (o->sort) {
    case NOT:
        a = where_is(x, o->kid[0], e);
        return a == TRI_UNKNOWN ? a : yes(a == TRI_FALSE);
    case AND: case OR:
        a = where_is(x, o->kid[0], e);
        b = where_is(x, o->kid[1], e);
        if (o->sort == AND)
            return a == TRI_FALSE || b == TRI_FALSE ? TRI_FALSE
                   : a == TRI_TRUE && b == TRI_TRUE ? TRI_TRUE
                                                    : TRI_UNKNOWN;
        return a == TRI_TRUE || b == TRI_TRUE     ? TRI_TRUE
               : a == TRI_FALSE && b == TRI_FALSE ? TRI_FALSE
                                                  : TRI_UNKNOWN;
    case UNDER: return e->item ? yes(is_under(e->item, o->right[0].text)) : TRI_UNKNOWN;
    case SEGMENT:
        if (!is_move(e)) return TRI_UNKNOWN;
        return yes((e->quantity == o->segment) == (o->how == EQ));
    default: return test_of(x, o, field_of(x, o->field, e));
    }
}

static bool taken_out(const struct at *x, int open, isize i)
{
    const struct history_entry *in = &x->h[i];
    for (isize j = i + 1; j < x->n && x->h[j].at_ms <= x->now; j++) {
        const struct history_entry *e = &x->h[j];
        bool same = in->item && e->item == in->item;
        if (is_bot(e) || is_back(e)) continue;
        if (open == 1 && e->type == EVENT_ORDER_COMPLETED) return true;
        if (same && e->type == EVENT_PRODUCT_PURCHASED) return true;
        if (same && open == 1
            && (e->type == EVENT_PRODUCT_ADDED || e->type == EVENT_PRODUCT_REMOVED))
            return true;
        if (same && open == 2
            && (e->type == EVENT_WISHLIST_ADDED || e->type == EVENT_WISHLIST_REMOVED))
            return true;
    }
    return false;
}

static bool counts(const struct at *x, const struct part *p, isize i)
{
    const struct history_entry *e = &x->h[i];
    if (e->at_ms > x->now || is_bot(e)) return false;
    if (p->any ? is_move(e)
               : e->type != p->type
                     && !(p->nets && p->type == EVENT_ORDER_COMPLETED
                          && e->type == EVENT_ORDER_REFUNDED && is_back(e)))
        return false;
    if (is_back(e) && e->type != EVENT_ORDER_REFUNDED && !p->nets) return false;
    if (p->candidate && e->item != x->candidate) return false;
    if (p->where && where_is(x, p->where, e) != TRI_TRUE) return false;
    return !p->open || !taken_out(x, p->open, i);
}

static bool in_session(const struct at *x, i64 at)
{
    i64 before = x->now;
    bool any = false;
    for (isize i = x->n - 1; i >= 0; i--) {
        const struct history_entry *e = &x->h[i];
        if (is_bot(e) || is_move(e) || e->at_ms > x->now) continue;
        if (before - e->at_ms >= 1800000) break;
        before = e->at_ms;
        any = true;
    }
    return any && at >= before;
}

static bool in_win(const struct at *x, const struct win *w, i64 at)
{
    i64 age = x->now - at, zone = x->zone * 60000LL;
    switch (w->span) {
    case ALL_TIME: return true;
    case LAST: return age < w->far * unit_ms[w->unit];
    case AGO: return age >= w->near * unit_ms[w->unit] && age < w->far * unit_ms[w->unit];
    case SINCE_DAY: return at + zone >= w->day;
    case SESSION: return in_session(x, at);
    case TODAY: return (at + zone) / 86400000 == (x->now + zone) / 86400000;
    }
    return false;
}

/* Whether entry i is one of those that are asked for. */
static bool is_asked(const struct at *x, const struct part *p, const struct win *w, isize i)
{
    if (!counts(x, p, i) || !in_win(x, w, x->h[i].at_ms)) return false;
    for (isize j = 0; w->not_since && j < x->n; j++)
        if (counts(x, p, j) && x->now - x->h[j].at_ms < w->near * unit_ms[w->unit]) return false;
    return true;
}

static bool same_of(const struct own *o, const struct history_entry *a, const struct history_entry *b)
{
    if (o->same_product) return a->item && a->item == b->item;
    if (o->same_cart) return cart_name(a) && cart_name(b) && !strcmp(cart_name(a), cart_name(b));
    return true;
}

/* Every way of laying the steps from `step` on behind entry `after`. */
static bool laid(const struct at *x, const struct own *o, int step, isize after, isize first)
{
    i64 span = o->within * unit_ms[o->unit];
    int last = o->parts - 1 - o->absent;
    for (isize i = after + 1; i < x->n; i++) {
        isize from = step ? first : i;
        if (!counts(x, &o->part[step], i) || x->h[i].at_ms - x->h[from].at_ms >= span
            || !same_of(o, &x->h[i], &x->h[from]))
            continue;
        if (step < last) {
            if (laid(x, o, step + 1, i, from)) return true;
            continue;
        }
        bool ok = in_win(x, &o->win, x->h[i].at_ms) && !(o->absent && x->now - x->h[i].at_ms < span);
        for (isize j = from + 1; ok && o->has_unless && j < x->n; j++)
            if ((o->absent || j < i) && j != i && counts(x, &o->unless, j)
                && same_of(o, &x->h[j], &x->h[i]))
                ok = false;
        for (isize j = i + 1; ok && o->absent && j < x->n; j++)
            if (counts(x, &o->part[last + 1], j) && same_of(o, &x->h[j], &x->h[i])) ok = false;
        if (ok) return true;
    }
    return false;
}

static bool same_thing(struct thing a, struct thing b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == TEXT) return same_word(a.text, b.text);
    return a.kind == MONEY ? a.minor == b.minor && a.currency == b.currency : a.n == b.n;
}

static struct thing tally_of(const struct at *x, const struct own *o)
{
    bool money = o->field
                 && (!strcmp(o->field, "revenue") || !strcmp(o->field, "value")
                     || !strcmp(o->field, "price"));
    u16 in = o->right[0].currency;
    struct thing seen[64], found = { 0 };
    int times[64] = { 0 }, seen_n = 0;
    i64 n = 0, orders = 0;
    f64 sum = 0;
    for (isize i = 0; i < x->n; i++) {
        if (!is_asked(x, &o->part[0], &o->win, i)) continue;
        n++;
        if (o->tally == COUNT) continue;
        struct thing v = field_of(x, o->field, &x->h[i]);
        if (o->tally == LAST_ONE || (o->tally == FIRST && n == 1)) found = v;
        if (o->tally >= FIRST && o->tally <= LAST_ONE) continue;
        if (money && o->tally < DISTINCT && (v.kind != MONEY || v.currency != in)) continue;
        if (v.kind == UNKNOWN) continue;
        f64 amount = v.kind == MONEY ? (f64)v.minor : v.n;
        if (!(o->part[0].nets && x->h[i].value_minor < 0)) orders++;
        sum += amount;
        if (o->tally == MIN
            && (found.kind == UNKNOWN
                || amount < (found.kind == MONEY ? (f64)found.minor : found.n)))
            found = v;
        if (o->tally == MAX
            && (found.kind == UNKNOWN
                || amount > (found.kind == MONEY ? (f64)found.minor : found.n)))
            found = v;
        int k = 0;
        while (k < seen_n && !same_thing(seen[k], v)) k++;
        if (k == seen_n) seen[seen_n++] = v;
        times[k]++;
        struct thing moved = seen[k];                   /* the list stands by the time a value was last met */
        int moved_times = times[k];
        for (; k + 1 < seen_n; k++) { seen[k] = seen[k + 1]; times[k] = times[k + 1]; }
        seen[seen_n - 1] = moved;
        times[seen_n - 1] = moved_times;
    }
    switch (o->tally) {
    case COUNT: return number((f64)n);
    case DISTINCT: return number(seen_n);
    case SUM: return money ? cash((i64)sum, in) : number(sum);
    case AVERAGE: {
        i64 by = o->part[0].average_nets ? orders : o->part[0].nets ? orders : n;
        if (money) by = orders;
        if (by == 0) return (struct thing){ 0 };
        return money ? cash((i64)(sum / (f64)by + (sum < 0 ? -0.5 : 0.5)), in) : number(sum / (f64)by);
    }
    case COMMON: {
        int best = -1;
        for (int k = 0; k < seen_n; k++)
            if (best < 0 || times[k] >= times[best]) best = k;
        return best < 0 ? (struct thing){ 0 } : seen[best];
    }
    default: return found;
    }
}

static i64 instant_of(const struct at *x, const struct own *o)
{
    i64 at = -1;
    for (isize i = 0; i < x->n; i++)
        if (counts(x, &o->part[0], i) && (at < 0 || !o->first)) at = x->h[i].at_ms;
    return at;
}

static struct thing trait_thing(const char *name)
{
    if (!strcmp(name, "gender")) return word("female");
    if (!strcmp(name, "age")) return number(34);
    if (!strcmp(name, "first_name")) return word("Ana \"Anchor\" Ås");
    if (!strcmp(name, "trait(\"shoe size\")")) return word("38");
    if (!strcmp(name, "born")) return word("1992-02-29");
    if (!strcmp(name, "subscribed")) return (struct thing){ .kind = TRUTH, .n = 1 };
    if (!strcmp(name, "sizes")) return (struct thing){ .kind = LIST };
    if (!strcmp(name, "app_version")) return word("2.10.1");
    if (!strcmp(name, "account.plan")) return word("gold");
    if (!strcmp(name, "context.weather")) return word("cold");
    if (!strcmp(name, "quiz(\"skin-type\")")) return word("dry");
    if (!strcmp(name, "predicted(\"churn\")")) return number(0.7);
    if (!strcmp(name, "predicted(\"clv_365\")")) return cash(25000, EUR);
    return (struct thing){ 0 };
}

static struct thing item_thing(const struct at *x, const char *name)
{
    u32 i = x->candidate;
    if (!strcmp(name, "item.price")) return cash(world_items[i].price_minor, EUR);
    if (!strcmp(name, "item.brand")) return word(item_word(i, world_items[i].brand));
    if (!strcmp(name, "item.margin")) return number(world_items[i].margin);
    if (!strcmp(name, "item.in_stock")) return (struct thing){ .kind = TRUTH, .n = world_items[i].in_stock };
    if (!strcmp(name, "item.stock[context.store]") || !strcmp(name, "item.stock[\"oslo-1\"]"))
        return number(world_items[i].stock);
    return (struct thing){ 0 };
}

static f64 liking_at(i64 now) { return 0.4 * exp2(-(f64)(now - WORLD_NOW) / (400 * 86400000.0)); }

/* Once around a ball of 6371.0088 km: the angle between two points by their scalar product. */
static f64 km_from_oslo(f64 lat, f64 lon)
{
    f64 d = 3.14159265358979323846 / 180, a = 59.9139 * d, b = lat * d;
    return 6371.0088 * acos(sin(a) * sin(b) + cos(a) * cos(b) * cos((lon - 10.7522) * d));
}

static bool did_ever(const struct at *x, u16 type, bool any, int open, f64 far_days, f64 near_days, int least)
{
    struct part p = { .type = type, .any = any, .open = open };
    int n = 0;
    for (isize i = 0; i < x->n; i++) {
        f64 age = (f64)(x->now - x->h[i].at_ms) / 86400000.0;
        n += counts(x, &p, i) && age < far_days && age >= near_days;
    }
    return n >= least;
}

static int views_of_products(const struct at *x, f64 days)
{
    struct part p = { .type = EVENT_PRODUCT_VIEWED };
    bool seen[5] = { false };
    for (isize i = 0; i < x->n; i++)
        if (counts(x, &p, i) && x->now - x->h[i].at_ms < (i64)(days * 86400000)) seen[x->h[i].item] = true;
    return seen[1] + seen[2] + seen[3] + seen[4];
}

/* The tables of the page. */
static const char *ladder_word(const struct at *x, const char *name)
{
    f64 ever = 1e9;
    if (!strcmp(name, "stage")) {
        if (did_ever(x, EVENT_ORDER_COMPLETED, false, 0, 365, 0, 3)) return "loyal";
        if (did_ever(x, EVENT_ORDER_COMPLETED, false, 0, 30, 0, 1)) return "purchase";
        if (did_ever(x, EVENT_PRODUCT_ADDED, false, 1, 14, 0, 1)
            || did_ever(x, EVENT_WISHLIST_ADDED, false, 2, 30, 0, 1)
            || did_ever(x, EVENT_CHECKOUT_STARTED, false, 0, 7, 0, 1))
            return "intent";
        if (did_ever(x, EVENT_PRODUCT_VIEWED, false, 0, 30, 0, 3)
            || did_ever(x, EVENT_PRODUCTS_SEARCHED, false, 0, 14, 0, 1))
            return "consideration";
        return did_ever(x, 0, true, 0, ever, 0, 1) ? "awareness" : NULL;
    }
    if (!strcmp(name, "intent")) {
        if (did_ever(x, EVENT_PRODUCT_ADDED, false, 1, 7, 0, 1)
            || did_ever(x, EVENT_CHECKOUT_STARTED, false, 0, 1, 0, 1))
            return "buy";
        if (views_of_products(x, 7) >= 3) return "compare";
        if (did_ever(x, EVENT_PRODUCTS_SEARCHED, false, 0, 1, 0, 1)) return "find";
        return did_ever(x, 0, true, 0, 7, 0, 1) ? "browse" : NULL;
    }
    bool year = did_ever(x, EVENT_ORDER_COMPLETED, false, 0, 365, 0, 1);
    if (year && did_ever(x, EVENT_ORDER_COMPLETED, false, 0, 730, 365, 1)) return "kept";
    if (year) return "new";
    return did_ever(x, EVENT_ORDER_COMPLETED, false, 0, ever, 0, 1) ? "lost" : NULL;
}

static enum tri elapsed_test(const struct own *o, i64 from, i64 now)
{
    f64 e = (f64)(now - from) / (f64)unit_ms[o->unit];
    struct at none = { 0 };
    return test_of(&none, o, number(e));
}

static enum tri answer(const struct at *x, const struct own *o)
{
    int no = 0, is = 0;
    i64 at;
    switch (o->sort) {
    case AND: case OR: case NOT:
        for (int i = 0; i < o->kids; i++) {
            enum tri one = answer(x, o->kid[i]);
            no += one == TRI_FALSE;
            is += one == TRI_TRUE;
        }
        if (o->sort == NOT) return is ? TRI_FALSE : no ? TRI_TRUE : TRI_UNKNOWN;
        if (o->sort == AND) return no ? TRI_FALSE : is == o->kids ? TRI_TRUE : TRI_UNKNOWN;
        return is ? TRI_TRUE : no == o->kids ? TRI_FALSE : TRI_UNKNOWN;
    case DID:
        for (isize i = 0; i < x->n; i++)
            if (is_asked(x, &o->part[0], &o->win, i)) return TRI_TRUE;
        return TRI_FALSE;
    case TALLY: return test_of(x, o, tally_of(x, o));
    case SINCE:
        at = instant_of(x, o);
        return at < 0 ? TRI_UNKNOWN : elapsed_test(o, at, x->now);
    case SINCE_TRAIT:
        return elapsed_test(o,
                            time_from_civil((struct civil){ .year = 2025, .month = 1, .day = 15 })
                                - x->zone * 60000LL,
                            x->now);
    case AT:
        at = instant_of(x, o);
        return test_of(x, o, at < 0 ? (struct thing){ 0 } : (struct thing){ .kind = INSTANT, .at = at });
    case SEQUENCE: return yes(laid(x, o, 0, -1, 0));
    case SEGMENT: return o->segment == 1 ? TRI_FALSE : o->segment == 2 ? TRI_TRUE : TRI_UNKNOWN;
    case TRAIT: case ANSWER: case SCORE: return test_of(x, o, trait_thing(o->name));
    case CONTEXT: {
        struct history_entry moment = { .at_ms = x->now };
        return test_of(x, o,
                       !strcmp(o->name, "context.weather") ? word("cold")
                                                           : field_of(x, o->name + 8, &moment));
    }
    case ITEM: return test_of(x, o, item_thing(x, o->name));
    case UNDER: return yes(is_under(x->candidate, o->right[0].text));
    case LIKING: return test_of(x, o, number(liking_at(x->now)));
    case DISTANCE: return test_of(x, o, number(km_from_oslo(60.39, 5.32)));
    case LADDER: return test_of(x, o, word(ladder_word(x, o->name)));
    case HOLDS: case FIELD: break;
    }
    return TRI_UNKNOWN;
}

/* ---- random trees --------------------------------------------------------------------------- */

static u32 below(struct rng *r, u32 n) { return rng_below(r, n); }

enum scale { HOURS, DAYS, YEARS, SCALES };
static const i64 scale_ms[SCALES] = { 40LL * 3600000, 40LL * 86400000, 900LL * 86400000 };
struct writer { struct rng *r; enum scale scale; bool moment; };

/* The number as it will be printed. */
static struct right r_number(f64 n)
{
    return (struct right){ .kind = R_NUMBER, .n = strtod(arena_printf(&memory, "%g", n).ptr, NULL) };
}
static struct right r_text(const char *s) { return (struct right){ .kind = R_TEXT, .text = s }; }
static struct right r_money(f64 n, u16 c) { return (struct right){ .kind = R_MONEY, .n = n, .currency = c }; }

static void put_right(struct buf *b, const struct right *r)
{
    struct civil c = time_civil(r->day, 0);
    switch (r->kind) {
    case R_NUMBER: buf_printf(b, "%g", r->n); break;
    case R_TEXT: buf_printf(b, "\"%s\"", r->text); break;
    case R_VERSION: buf_printf(b, "version \"%s\"", r->text); break;
    case R_MONEY: buf_printf(b, "%g %s", r->n, r->currency == EUR ? "EUR" : "NOK"); break;
    case R_DATE: buf_printf(b, "%04d-%02d-%02d", c.year, c.month, c.day); break;
    case R_TRUTH: buf_printf(b, "%s", r->n != 0 ? "true" : "false"); break;
    }
}

static void put_test(struct buf *b, const struct own *o)
{
    static const char *const names[] = {
        "=",          "!=",         "<",           "<=",          ">",         ">=",      "between",
        "in",         "not in",     "contains",    "starts with", "ends with", "matches", "has",
        "has any of", "has all of", "has none of", "is known",    ""
    };
    if (o->how == PLAIN) return;
    buf_printf(b, " %s ", names[o->how]);
    bool list = o->how == IN || o->how == NOT_IN || (o->how >= HAS_ANY && o->how <= HAS_NONE);
    if (list) buf_byte(b, '(');
    for (int i = 0; i < o->rights; i++) {
        if (i) buf_add(b, o->how == BETWEEN ? S(" and ") : S(", "));
        put_right(b, &o->right[i]);
    }
    if (list) buf_byte(b, ')');
}

static void put_where(struct buf *b, const struct own *o)
{
    switch (o->sort) {
    case NOT:
        buf_add(b, S("not "));
        put_where(b, o->kid[0]);
        break;
    case AND: case OR:
        buf_byte(b, '(');
        put_where(b, o->kid[0]);
        buf_add(b, o->sort == AND ? S(" and ") : S(" or "));
        put_where(b, o->kid[1]);
        buf_byte(b, ')');
        break;
    case UNDER: buf_printf(b, "category under \"%s\"", o->right[0].text); break;
    case SEGMENT:
        buf_printf(b, "segment %s \"%.*s\"",
                   o->how == EQ ? "=" : "!=", STR_FMT(world_segments[o->segment - 1]));
        break;
    default:
        buf_printf(b, "%s", o->field);
        put_test(b, o);
    }
}

static void put_part(struct buf *b, const struct part *p, const char *field)
{
    buf_printf(b, "%s", p->name);
    if (field) buf_printf(b, ".%s", field);
    if (!p->where) return;
    buf_add(b, S(" where "));
    put_where(b, p->where);
}

static void put_win(struct buf *b, const struct win *w)
{
    struct civil c = time_civil(w->day, 0);
    switch (w->span) {
    case ALL_TIME: break;
    case LAST: buf_printf(b, ", last %u %s", w->far, unit_name[w->unit]); break;
    case AGO:
        buf_printf(b, ", between %u and %u %s ago%s", w->near, w->far, unit_name[w->unit],
                   w->not_since ? ", not since" : "");
        break;
    case SINCE_DAY: buf_printf(b, ", since %04d-%02d-%02d", c.year, c.month, c.day); break;
    case SESSION: buf_add(b, S(", this session")); break;
    case TODAY: buf_add(b, S(", today")); break;
    }
}

static void put_sequence(struct buf *b, const struct own *o)
{
    buf_add(b, S("sequence("));
    for (int i = 0; i < o->parts; i++) {
        buf_printf(b, "%s%s", i ? " then " : "", o->absent && i == o->parts - 1 ? "not " : "");
        put_part(b, &o->part[i], NULL);
    }
    if (o->has_unless) {
        buf_add(b, S(" unless "));
        put_part(b, &o->unless, NULL);
    }
    buf_printf(b, " within %u %s%s", o->within, unit_name[o->unit],
               o->same_product ? " for the same product" : o->same_cart ? " for the same cart" : "");
    put_win(b, &o->win);
    buf_byte(b, ')');
}

static void put_own(struct buf *b, const struct own *o)
{
    static const char *const since[] = { "minutes_since", "hours_since", "days_since" };
    switch (o->sort) {
    case AND: case OR:
        buf_byte(b, '(');
        for (int i = 0; i < o->kids; i++) {
            if (i) buf_add(b, o->sort == AND ? S(" and ") : S(" or "));
            put_own(b, o->kid[i]);
        }
        buf_byte(b, ')');
        return;
    case NOT:
        buf_add(b, S("not "));
        put_own(b, o->kid[0]);
        return;
    case DID:
        buf_printf(b, "%s(", o->name);
        if (o->part[0].candidate) buf_add(b, S("item"));
        else put_part(b, &o->part[0], NULL);
        put_win(b, &o->win);
        buf_byte(b, ')');
        return;
    case SEQUENCE: put_sequence(b, o); return;
    case SEGMENT: buf_printf(b, "in segment \"%.*s\"", STR_FMT(world_segments[o->segment - 1])); return;
    case TALLY:
        if (o->name) {
            buf_printf(b, "%s", o->name);
            break;
        }
        buf_printf(b, "%s(", tally_name[o->tally]);
        put_part(b, &o->part[0], o->tally == COUNT ? NULL : o->field);
        put_win(b, &o->win);
        buf_byte(b, ')');
        break;
    case SINCE: case AT:
        buf_printf(b, "%s(%s ", o->sort == AT ? "at" : since[o->unit], o->first ? "first" : "last");
        put_part(b, &o->part[0], NULL);
        buf_byte(b, ')');
        break;
    case SINCE_TRAIT: buf_printf(b, "%s(member_since)", since[o->unit]); break;
    case UNDER: buf_printf(b, "item.category under \"%s\"", o->right[0].text); return;
    case LIKING: buf_add(b, S("affinity(category, \"jeans\")")); break;
    case DISTANCE: buf_add(b, S("distance_km(60.39, 5.32)")); break;
    case TRAIT: case ANSWER: case SCORE: case CONTEXT: case ITEM:
    case LADDER: buf_printf(b, "%s", o->name); break;
    case HOLDS: case FIELD: break;
    }
    put_test(b, o);
}

static struct own *new_own(enum sort sort)
{
    struct own *o = arena_new(&memory, struct own, 1);
    o->sort = sort;
    return o;
}

static void write_part(struct writer *w, struct part *p);

static void numbers(struct writer *w, struct own *o, u32 most, f64 step, bool exact)
{
    f64 a = below(w->r, most) * step, b = a + below(w->r, most) * step;
    o->how = exact ? (enum how)below(w->r, IN) : (enum how)(LT + below(w->r, BETWEEN - LT + 1));
    if (exact && below(w->r, 8) == 0) o->how = below(w->r, 2) ? IN : NOT_IN;
    o->right[0] = r_number(a);
    o->right[1] = r_number(b);
    o->rights = o->how == BETWEEN || o->how == IN || o->how == NOT_IN ? 2 : 1;
}

static void moneys(struct writer *w, struct own *o, u32 most)
{
    u16 c = below(w->r, 5) ? EUR : NOK;
    numbers(w, o, most, 1, true);
    for (int i = 0; i < 2; i++) o->right[i] = r_money(o->right[i].n, c);
}

static void words(struct writer *w, struct own *o, const char *const *list, u32 n)
{
    static const enum how hows[] = { EQ, EQ, NE, IN, NOT_IN, HAS_PART, STARTS, ENDS, MATCHES };
    o->how = hows[below(w->r, countof(hows))];
    o->rights = o->how == IN || o->how == NOT_IN ? 2 : 1;
    for (int i = 0; i < 2; i++) o->right[i] = r_text(list[below(w->r, n)]);
    if (o->how == HAS_PART || o->how == STARTS || o->how == ENDS)
        o->right[0] = r_text((const char *const[]){ "e", "A", "me", "an", "g" }[below(w->r, 5)]);
    if (o->how == MATCHES)
        o->right[0] = r_text((const char *const[]){ "e", "^A", "^fe", "ea" }[below(w->r, 4)]);
}

static struct own *write_where(struct writer *w, u16 type, int depth)
{
    static const char *const brands[] = { "Acme", "nordic", "Hearth" }, *const channels[] = {
        "web", "app", "pos"
    };
    struct own *o = new_own(FIELD);
    if (depth && below(w->r, 3) == 0) {
        o->sort = (enum sort)below(w->r, 3);
        o->kids = o->sort == NOT ? 1 : 2;
        for (int i = 0; i < o->kids; i++) o->kid[i] = write_where(w, type, depth - 1);
        return o;
    }
    if ((type == EVENT_SEGMENT_ENTERED || type == EVENT_SEGMENT_LEFT) && below(w->r, 2)) {
        o->sort = SEGMENT;
        o->segment = (u16)(1 + below(w->r, 3));
        o->how = below(w->r, 2) ? EQ : NE;
        return o;
    }
    switch (below(w->r, 11)) {
    case 0: o->field = "brand"; words(w, o, brands, 3); break;
    case 1: o->field = "quantity"; numbers(w, o, 4, 1, true); break;
    case 2: o->field = "value"; moneys(w, o, 80); break;
    case 3: o->field = "price"; moneys(w, o, 90); break;
    case 4: o->field = "hour"; numbers(w, o, 24, 1, true); break;
    case 5: o->field = "weekday"; numbers(w, o, 8, 1, true); break;
    case 6: o->field = "cart"; o->how = KNOWN; break;
    case 7:
        o->field = "cart";
        o->how = below(w->r, 2) ? EQ : NE;
        o->right[0] = r_text("c-1");
        o->rights = 1;
        break;
    case 8:
        o->field = "channel";
        o->how = below(w->r, 2) ? IN : NOT_IN;
        o->rights = 2;
        for (int i = 0; i < 2; i++) o->right[i] = r_text(channels[below(w->r, 3)]);
        break;
    case 9:
        o->field = "product";
        o->how = EQ;
        o->right[0] = r_text((const char *const[]){ "sku-1", "SKU-4" }[below(w->r, 2)]);
        o->rights = 1;
        break;
    default:
        o->sort = UNDER;
        o->right[0] =
            r_text((const char *const[]){ "jeans", "clothes", "kitchen" }[below(w->r, 3)]);
        o->rights = 1;
    }
    return o;
}

static void write_part(struct writer *w, struct part *p)
{
    static const struct part parts[] = {
        { .name = "product_viewed", .type = EVENT_PRODUCT_VIEWED }, { .name = "product_viewed", .type = EVENT_PRODUCT_VIEWED },
        { .name = "product_added", .type = EVENT_PRODUCT_ADDED }, { .name = "order_completed", .type = EVENT_ORDER_COMPLETED },
        { .name = "product_purchased", .type = EVENT_PRODUCT_PURCHASED }, { .name = "page_viewed", .type = EVENT_PAGE_VIEWED },
        { .name = "\"Newsletter Joined\"", .type = WORLD_CUSTOM }, { .name = "anything", .any = true },
        { .name = "in_cart", .type = EVENT_PRODUCT_ADDED, .open = 1 }, { .name = "in_wishlist", .type = EVENT_WISHLIST_ADDED, .open = 2 },
        { .name = "segment_entered", .type = EVENT_SEGMENT_ENTERED }, { .name = "segment_left", .type = EVENT_SEGMENT_LEFT },
        { .name = "wishlist_added", .type = EVENT_WISHLIST_ADDED }, { .name = "checkout_started", .type = EVENT_CHECKOUT_STARTED },
    };
    *p = parts[below(w->r, countof(parts))];
    if (below(w->r, 3) == 0) p->where = write_where(w, p->type, 1);
}

static u32 some_unit(struct writer *w)
{
    return w->scale == HOURS ? below(w->r, 2) : w->scale == DAYS ? 1 + below(w->r, 2) : 2;
}
static u32 some_span(struct writer *w, u32 unit)
{
    static const u32 most[SCALES][3] = { { 600, 30, 2 }, { 30000, 600, 30 }, { 1, 1, 800 } };
    return 1 + below(w->r, most[w->scale][unit]);
}

static void write_win(struct writer *w, struct win *out)
{
    *out = (struct win){ .unit = some_unit(w) };
    out->far = some_span(w, out->unit);
    switch (below(w->r, 8)) {
    case 0: out->span = ALL_TIME; break;
    case 1: case 2: out->span = LAST; break;
    case 3: case 4: case 5:
        out->span = AGO;
        out->near = below(w->r, out->far);
        out->not_since = out->near && below(w->r, 2);
        break;
    case 6: out->span = SINCE_DAY; out->day = (WORLD_NOW / 86400000 - below(w->r, 3)) * 86400000; break;
    default: out->span = below(w->r, 2) ? SESSION : TODAY;
    }
}

static struct own *write_alias(struct writer *w)
{
    static const struct {
        const char *name;
        int tally;
        const char *field;
        struct part part;
        struct win win;
    } known[] = {
        { "orders.count", COUNT, NULL, { .type = EVENT_ORDER_COMPLETED }, { 0 } },
        { "orders.revenue",
          SUM,
          "revenue",
          { .type = EVENT_ORDER_COMPLETED, .nets = true },
          { 0 } },
        { "orders.average",
          AVERAGE,
          "revenue",
          { .type = EVENT_ORDER_COMPLETED, .nets = true, .average_nets = true },
          { 0 } },
        { "orders.frequency",
          COUNT,
          NULL,
          { .type = EVENT_ORDER_COMPLETED },
          { .span = LAST, .far = 365, .unit = 2 } },
        { "orders.items",
          SUM,
          "quantity",
          { .type = EVENT_PRODUCT_PURCHASED, .nets = true },
          { 0 } },
        { "orders.largest", MAX, "revenue", { .type = EVENT_ORDER_COMPLETED }, { 0 } },
        { "cart.count", COUNT, NULL, { .type = EVENT_PRODUCT_ADDED, .open = 1 }, { 0 } },
        { "wishlist.count", COUNT, NULL, { .type = EVENT_WISHLIST_ADDED, .open = 2 }, { 0 } },
    };
    u32 k = below(w->r, countof(known));
    struct own *o = new_own(TALLY);
    o->name = known[k].name;
    o->tally = known[k].tally;
    o->field = known[k].field;
    o->part[0] = known[k].part;
    o->parts = 1;
    o->win = known[k].win;
    if (o->field && !strcmp(o->field, "revenue")) moneys(w, o, 150);
    else numbers(w, o, 5, 1, true);
    return o;
}

static struct own *write_tally(struct writer *w)
{
    static const char *const brands[] = { "Acme", "Nordic" }, *const kinds[] = { "jeans", "kettles",
                                                                                 "sweaters" };
    struct own *o = new_own(TALLY);
    o->tally = (int)below(w->r, 9);
    o->parts = 1;
    write_win(w, &o->win);
    write_part(w, &o->part[0]);
    o->part[0].nets = o->tally == SUM;
    switch (o->tally) {
    case COUNT: numbers(w, o, 5, 1, true); break;
    case DISTINCT:
        o->field = (const char *const[]){ "product", "brand", "channel", "quantity" }[below(w->r, 4)];
        numbers(w, o, 4, 1, true);
        break;
    case FIRST: case LAST_ONE: case COMMON:
        if (below(w->r, 3) == 0) { o->field = "value"; moneys(w, o, 60); break; }
        if (below(w->r, 3) == 0) { o->field = "quantity"; numbers(w, o, 4, 1, true); break; }
        o->field = below(w->r, 2) ? "brand" : "category";
        words(w, o, !strcmp(o->field, "brand") ? brands : kinds, !strcmp(o->field, "brand") ? 2 : 3);
        break;
    default:
        if (below(w->r, 2)) { o->field = "quantity"; numbers(w, o, 6, 1, true); }
        else { o->field = below(w->r, 3) ? "revenue" : "price"; moneys(w, o, 150); }
    }
    return o;
}

static struct own *write_sequence(struct writer *w)
{
    struct own *o = new_own(SEQUENCE);
    o->parts = 2 + (int)below(w->r, 2);
    o->absent = below(w->r, 2);
    o->unit = some_unit(w);
    o->within = some_span(w, o->unit);
    for (int i = 0; i < o->parts; i++) write_part(w, &o->part[i]);
    o->has_unless = below(w->r, 3) == 0;
    if (o->has_unless) write_part(w, &o->unless);
    o->same_product = below(w->r, 4) == 0;
    o->same_cart = !o->same_product && below(w->r, 4) == 0;
    write_win(w, &o->win);
    o->win.not_since = false;
    bool ends = o->win.span == LAST || o->win.span == AGO;
    bool never = o->absent && ends && o->win.far * unit_ms[o->win.unit] <= o->within * unit_ms[o->unit];
    if (never) o->win.span = ALL_TIME;                  /* the checker refuses what can never be */
    return o;
}

static struct own *write_fact(struct writer *w)
{
    static const char *const sexes[] = { "female", "MALE", "Ana" },
                             *const plans[] = { "gold", "silver" },
                             *const skins[] = { "dry", "oily" };
    static const char *const versions[] = { "2.9", "2.10.1", "v2.10.1-beta", "2.10.1+7", "3", "2.10" };
    struct own *o = new_own(TRAIT);
    switch (below(w->r, 16)) {
    case 0: o->name = "gender"; words(w, o, sexes, 3); break;
    case 1: o->name = "age"; numbers(w, o, 40, 1, true); break;
    case 2: o->name = "first_name"; words(w, o, sexes, 3); break;
    case 3: o->name = "trait(\"shoe size\")"; numbers(w, o, 45, 1, true); break;
    case 4:
        o->name = "born";
        o->how = (enum how)below(w->r, BETWEEN);
        o->right[0] = (struct right){
            .kind = R_DATE,
            .day =
                (time_from_civil((struct civil){ .year = 1992, .month = 2, .day = 28 }) / 86400000
                 + below(w->r, 3))
                * 86400000
        };
        o->rights = 1;
        break;
    case 5:
        o->name = "subscribed";
        o->how = below(w->r, 2) ? PLAIN : EQ;
        o->rights = 1;
        o->right[0] = (struct right){ .kind = R_TRUTH, .n = below(w->r, 2) };
        break;
    case 6: case 7:
        o->name = below(w->r, 4) ? "sizes" : below(w->r, 2) ? "gender" : "nobody_has";
        o->how = (enum how)(HAS + below(w->r, 4));
        o->rights = o->how == HAS ? 1 : 3;
        for (int i = 0; i < 3; i++)
            o->right[i] =
                below(w->r, 3)
                    ? r_text((const char *const[]){ "m", "L", "XL", "female" }[below(w->r, 4)])
                    : r_number(39 + below(w->r, 2));
        break;
    case 8: case 9:
        o->name = below(w->r, 5) ? "app_version" : "gender";
        o->how = (enum how)below(w->r, IN);
        o->rights = o->how == BETWEEN ? 2 : 1;
        for (int i = 0; i < 2; i++)
            o->right[i] = (struct right){ .kind = R_VERSION,
                                          .text = versions[below(w->r, countof(versions))] };
        break;
    case 10: o->name = "account.plan"; words(w, o, plans, 2); break;
    case 11:
        o->name = (const char *const[]){ "gender", "nobody_has", "account.plan" }[below(w->r, 3)];
        o->how = KNOWN;
        break;
    case 12: o->name = "quiz(\"skin-type\")"; o->sort = ANSWER; words(w, o, skins, 2); break;
    case 13: o->name = "predicted(\"churn\")"; o->sort = SCORE; numbers(w, o, 10, 0.1, false); break;
    case 14: o->name = "predicted(\"clv_365\")"; o->sort = SCORE; moneys(w, o, 400); break;
    default: o->name = "nobody_has"; numbers(w, o, 4, 1, true);
    }
    return o;
}

static struct own *write_here(struct writer *w)
{
    static const char *const brands[] = { "Acme", "Nordic" }, *const weathers[] = { "cold", "warm" };
    struct own *o = new_own(ITEM);
    switch (below(w->r, 9)) {
    case 0: o->name = "item.price"; moneys(w, o, 90); break;
    case 1: o->name = "item.brand"; words(w, o, brands, 2); break;
    case 2: o->name = "item.margin"; numbers(w, o, 10, 0.125, true); break;
    case 3: o->name = "item.in_stock"; o->how = PLAIN; break;
    case 4:
        o->name = below(w->r, 2) ? "item.stock[context.store]" : "item.stock[\"oslo-1\"]";
        numbers(w, o, 4, 1, true);
        break;
    case 5: o->sort = UNDER; o->right[0] = r_text(below(w->r, 2) ? "clothes" : "jeans"); break;
    case 6: o->sort = CONTEXT; o->name = "context.weather"; words(w, o, weathers, 2); break;
    case 7: o->sort = CONTEXT; o->name = "context.hour"; numbers(w, o, 24, 1, true); w->moment = true; break;
    default: o->sort = CONTEXT; o->name = "context.weekday"; numbers(w, o, 8, 1, true); w->moment = true;
    }
    return o;
}

static struct own *write_ladder(struct writer *w)
{
    static const struct { const char *name; const char *words[5]; u32 n; } known[] = {
        { "stage", { "loyal", "purchase", "intent", "consideration", "awareness" }, 5 },
        { "intent", { "buy", "compare", "find", "browse" }, 4 },
        { "retention", { "kept", "new", "lost" }, 3 },
    };
    struct own *o = new_own(LADDER);
    u32 k = below(w->r, 3);
    o->name = known[k].name;
    o->how = (enum how[]){ EQ, NE, IN, NOT_IN }[below(w->r, 4)];
    o->rights = o->how == IN || o->how == NOT_IN ? 2 : 1;
    for (int i = 0; i < 2; i++) o->right[i] = r_text(known[k].words[below(w->r, known[k].n)]);
    return o;
}

static struct own *write_leaf(struct writer *w)
{
    struct own *o;
    switch (below(w->r, 20)) {
    case 0: case 1: case 2:
        o = new_own(DID);
        o->name = "did";
        o->parts = 1;
        write_part(w, &o->part[0]);
        write_win(w, &o->win);
        return o;
    case 3: {
        static const struct { const char *name; u16 type; int open; } asked[] = {
            { "purchased", EVENT_PRODUCT_PURCHASED, 0 }, { "viewed", EVENT_PRODUCT_VIEWED, 0 },
            { "carted", EVENT_PRODUCT_ADDED, 1 }, { "wished", EVENT_WISHLIST_ADDED, 2 },
        };
        u32 k = below(w->r, 4);
        o = new_own(DID);
        o->name = asked[k].name;
        o->part[0] = (struct part){ .type = asked[k].type, .open = asked[k].open, .candidate = true };
        write_win(w, &o->win);
        return o;
    }
    case 4: case 5: case 6: case 7: return write_tally(w);
    case 8: return write_alias(w);
    case 9: case 10: return write_sequence(w);
    case 11: case 12:
        o = new_own(below(w->r, 2) ? SINCE : AT);
        o->first = below(w->r, 2);
        write_part(w, &o->part[0]);
        o->unit = some_unit(w);
        if (o->sort == SINCE) { numbers(w, o, some_span(w, o->unit) + 1, 1, false); return o; }
        o->how = (enum how)below(w->r, BETWEEN);
        o->right[0] =
            (struct right){ .kind = R_DATE,
                            .day = (WORLD_NOW / 86400000 - below(w->r, w->scale == HOURS ? 3 : 40))
                                   * 86400000 };
        o->rights = 1;
        return o;
    case 13:
        o = new_own(SINCE_TRAIT);
        o->unit = 1 + below(w->r, 2);
        o->how = (enum how)(LT + below(w->r, 4));
        o->rights = 1;
        o->right[0] = r_number(o->unit == 2 ? 550 + below(w->r, 20) : 13300 + below(w->r, 200));
        return o;
    case 14:
        o = new_own(SEGMENT);
        o->segment = (u16)(1 + below(w->r, 3));
        return o;
    case 15: return write_here(w);
    case 16: return write_ladder(w);
    case 17:
        o = new_own(below(w->r, 2) ? LIKING : DISTANCE);
        if (o->sort == LIKING) numbers(w, o, 40, 0.02, false);
        else numbers(w, o, 8, 100, false);
        return o;
    default: return write_fact(w);
    }
}

static struct own *write_rule(struct writer *w, int depth)
{
    if (depth == 0 || below(w->r, 3) == 0) return write_leaf(w);
    struct own *o = new_own((enum sort)below(w->r, 3));
    o->kids = o->sort == NOT ? 1 : 2 + (int)below(w->r, 2);
    for (int i = 0; i < o->kids; i++) o->kid[i] = write_rule(w, depth - 1);
    return o;
}

/* ---- random histories ------------------------------------------------------------------------ */

enum { ENTRIES_MAX = 26 };

static isize write_history(struct rng *r, enum scale scale, struct history_entry *h)
{
    static const u16 types[] = {
        EVENT_PRODUCT_VIEWED,   EVENT_PRODUCT_VIEWED,    EVENT_PRODUCT_VIEWED,
        EVENT_PRODUCT_ADDED,    EVENT_PRODUCT_ADDED,     EVENT_ORDER_COMPLETED,
        EVENT_ORDER_COMPLETED,  EVENT_PRODUCT_PURCHASED, EVENT_PAGE_VIEWED,
        WORLD_CUSTOM,           EVENT_SEGMENT_ENTERED,   EVENT_SEGMENT_LEFT,
        EVENT_ORDER_REFUNDED,   EVENT_PRODUCT_REMOVED,   EVENT_WISHLIST_ADDED,
        EVENT_WISHLIST_ADDED,   EVENT_WISHLIST_REMOVED,  EVENT_CHECKOUT_STARTED,
        EVENT_PRODUCTS_SEARCHED
    };
    isize n = below(r, ENTRIES_MAX + 1);
    bool dense = below(r, 3) == 0, whole = below(r, 2);
    i64 unit = scale == HOURS ? 60000 : scale == DAYS ? 3600000 : 86400000;
    for (isize i = 0; i < n; i++) {
        i64 back = (i64)(rng_unit(r) * (f64)(dense ? scale_ms[scale] / 10 : scale_ms[scale]));
        u16 type = types[below(r, countof(types))];
        bool move = type == EVENT_SEGMENT_ENTERED || type == EVENT_SEGMENT_LEFT;
        bool back_too = type == EVENT_ORDER_COMPLETED || type == EVENT_PRODUCT_PURCHASED
                        || type == EVENT_ORDER_REFUNDED;
        h[i] = (struct history_entry){
            .at_ms = WORLD_NOW - (whole ? back / unit * unit : back),
            .ref = (u64)i + 1,
            .type = type,
            .item = move ? 0 : below(r, 5),
            .quantity =
                move ? (i32)(1 + below(r, 3)) : (i32)below(r, 4) - (back_too && below(r, 4) == 0),
            .value_minor = move ? 0 : (i64)below(r, 9000) - (back_too ? 1000 : 0),
            .currency = below(r, 5) ? EUR : NOK,
            .channel = (u8)(1 + below(r, 3)),
            .flags = below(r, 14) ? 0 : HISTORY_BOT,
        };
        for (isize j = i; j > 0 && history_cmp(&h[j - 1], &h[j]) > 0; j--) {
            struct history_entry swap = h[j];
            h[j] = h[j - 1];
            h[j - 1] = swap;
        }
    }
    return n;
}

/* ---- the two beside each other --------------------------------------------------------------- */

static struct value cart_value(const void *ctx, const struct history_entry *e)
{
    (void)ctx;
    return cart_name(e) ? (struct value){ .kind = VALUE_TEXT, .s = str_of(cart_name(e)) }
                        : (struct value){ 0 };
}

static struct value liking_value(const void *ctx, str dimension, str value, i64 now_ms)
{
    (void)ctx, (void)dimension, (void)value;
    return (struct value){ .kind = VALUE_NUMBER, .n = liking_at(now_ms) };
}

static void wrong(const char *what, str text, const struct at *x, i64 at, enum tri engine)
{
    for (isize i = 0; i < x->n; i++)
        print_error(
            "  %+lld s type %d item %u quantity %d value %lld currency %d flags %d ref %llu\n",
            (long long)(x->h[i].at_ms - at) / 1000, x->h[i].type, x->h[i].item, x->h[i].quantity,
            (long long)x->h[i].value_minor, x->h[i].currency, x->h[i].flags,
            (unsigned long long)x->h[i].ref);
    fail_msg("%.*s\n  %s, %+lld ms from now; the engine says %d", STR_FMT(text), what,
             (long long)(at - WORLD_NOW), engine);
}

/* One question that announces its change exactly: not early. */
static bool is_exact(const struct own *o)
{
    if (o->sort == NOT) return is_exact(o->kid[0]);
    if (o->sort == AND || o->sort == OR || o->sort == LADDER || o->sort == CONTEXT) return false;
    if (o->sort == LIKING) return o->how != BETWEEN;    /* both bounds are waited for */
    return o->sort != TALLY || o->tally < MIN;
}

/* A rule that says it is not touched by an entry answers the same without it. */
static void untouched_is_the_same(struct rng *r, const struct rule *rule,
                                  const struct rule_facts *facts, struct rule_result with, str text,
                                  const struct at *x)
{
    struct history_entry less[ENTRIES_MAX];
    if (x->n == 0) return;
    isize gone = below(r, (u32)x->n);
    if (rule_touched_by(rule, &x->h[gone], facts)) return;
    if (x->h[gone].at_ms > facts->now_ms) return;       /* it bounds the answer, whatever it is */
    memcpy(less, x->h, (size_t)gone * sizeof *less);
    memcpy(less + gone, x->h + gone + 1, (size_t)(x->n - gone - 1) * sizeof *less);
    struct rule_facts without = *facts;
    without.history = less;
    without.history_n = x->n - 1;
    struct rule_result is = rule_run(rule, &without);
    if (is.is != with.is || is.next_change_at_ms != with.next_change_at_ms)
        wrong("touched after all", text, x, facts->now_ms, is.is);
}

/* What a rule is said to count whatever it is, touches it. */
static void counted_is_touching(const struct rule *rule, const struct rule_facts *facts, str text,
                                const struct at *x)
{
    for (isize i = 0; i < x->n; i++) {
        const struct history_entry *e = &x->h[i];
        bool counted = e->type < 64 && !(e->flags & HISTORY_BOT) && rule_counts(rule, e->type);
        if (counted && !rule_touched_by(rule, e, facts))
            wrong("counted and not touched", text, x, facts->now_ms, TRI_UNKNOWN);
    }
}

/* What lies under none of the categories that a rule is said to hear of does not touch it. */
static void elsewhere_is_untouched(const struct rule *rule, const struct rule_facts *facts,
                                   str text, const struct at *x)
{
    str names[8];
    isize n = rule_categories(rule, names, countof(names));
    for (isize i = 0; n && i < x->n; i++) {
        bool under = x->h[i].item == 0;
        for (isize k = 0; k < n; k++)
            under |= facts->item_under(facts->ctx, (item_id){ x->h[i].item }, names[k]);
        if (!under && rule_touched_by(rule, &x->h[i], facts))
            wrong("touched from elsewhere", text, x, facts->now_ms, TRI_UNKNOWN);
    }
}

/* An index of the history only saves walking. */
static void indexed_is_the_same(const struct rule *rule, const struct rule_facts *facts,
                                struct rule_result with, str text, const struct at *x)
{
    struct rule_index index;
    struct rule_facts indexed = *facts;
    const struct history_entry *made[8], *again[8];
    rule_index_build(facts->history, facts->history_n, &memory, &index);
    indexed.index = &index;
    struct rule_result is = rule_run(rule, &indexed);
    if (is.is != with.is || is.next_change_at_ms != with.next_change_at_ms)
        wrong("another answer with an index", text, x, facts->now_ms, is.is);
    isize n = rule_matched(rule, facts, made, countof(made)),
          m = rule_matched(rule, &indexed, again, countof(again));
    if (n != m || (n && memcmp(made, again, (size_t)n * sizeof *made) != 0))
        wrong("other entries with an index", text, x, facts->now_ms, is.is);
}

/* A rule that holds, now or later with nothing more, has in the history what it is said to need. */
static void needed_is_there(const struct rule *rule, i64 since_now, struct rule_result is, str text,
                            const struct at *x)
{
    struct rule_need need = rule_needs(rule, since_now);
    bool there = !need.types || !rule_holds(is);
    for (isize i = 0; i < x->n && !there; i++)
        there = need.types & rule_type_bit(x->h[i].type) && x->h[i].at_ms > need.since_ms;
    if (!there) wrong("holds without what it needs", text, x, since_now, is.is);
}

static bool one_triple(struct rng *r)
{
    struct history_entry h[ENTRIES_MAX];
    struct writer w = { .r = r, .scale = (enum scale)below(r, SCALES) };
    struct at x = { .h = h,
                    .n = write_history(r, w.scale, h),
                    .zone = (i32[]){ 0, 120, -300, 345 }[below(r, 4)],
                    .candidate = 1 + below(r, 4) };
    struct own *o = write_rule(&w, (int)below(r, 3));
    struct buf text = { .arena = &memory };
    const struct rule *rule;
    struct rule_errors errors;
    put_own(&text, o);
    if (rule_compile(&memory, buf_str(&text), RULE_FILTER, &world_names, &rule, &errors))
        fail_msg("%.*s\n%*s^ %.*s", STR_FMT(buf_str(&text)), (int)errors.at[0].column - 1, "",
                 STR_FMT(errors.at[0].message));
    struct rule_facts facts = world_facts();
    facts.cart = cart_value;
    facts.affinity = liking_value;
    facts.history = h;
    facts.history_n = x.n;
    facts.zone = (struct zone){ .minutes = x.zone };
    facts.candidate.v = x.candidate;
    i64 now = WORLD_NOW - (i64)(rng_unit(r) * (f64)scale_ms[w.scale] * 0.7)
              + (below(r, 3) ? 0 : scale_ms[w.scale] / 4);
    if (below(r, 3) == 0) now = now / 60000 * 60000;
    facts.now_ms = x.now = now;
    struct rule_result got = rule_run(rule, &facts);
    if (answer(&x, o) != got.is) wrong("not what the page says", buf_str(&text), &x, now, got.is);
    indexed_is_the_same(rule, &facts, got, buf_str(&text), &x);
    needed_is_there(rule, now, got, buf_str(&text), &x);
    counted_is_touching(rule, &facts, buf_str(&text), &x);
    elsewhere_is_untouched(rule, &facts, buf_str(&text), &x);
    facts.no_timer = true;
    struct rule_result bare = rule_run(rule, &facts);
    if (bare.is != got.is || bare.next_change_at_ms != TIME_NEVER)
        wrong("another answer without a timer", buf_str(&text), &x, now, bare.is);
    facts.no_timer = false;
    if (got.next_change_at_ms <= now) wrong("no progress", buf_str(&text), &x, now, got.is);
    untouched_is_the_same(r, rule, &facts, got, buf_str(&text), &x);
    if (w.moment) return false;
    i64 horizon = now + 2 * scale_ms[w.scale], until = min_i64(got.next_change_at_ms, horizon);
    for (int i = 0; i < 4; i++) {
        x.now = i ? now + (i64)(rng_unit(r) * (f64)(until - now)) : until - 1;
        if (answer(&x, o) != got.is)
            wrong("another answer before the announced change", buf_str(&text), &x, x.now, got.is);
    }
    if (until == horizon || !is_exact(o)) return until < horizon;
    for (isize i = 0; i < x.n; i++)
        if (h[i].at_ms == until)
            return true; /* an event to come: it may change the answer or not */
    x.now = until;
    if (answer(&x, o) == got.is) wrong("announced, and nothing changed", buf_str(&text), &x, until, got.is);
    facts.now_ms = until;
    needed_is_there(rule, now, rule_run(rule, &facts), buf_str(&text), &x);
    if (rule_run(rule, &facts).is != answer(&x, o))
        wrong("wrong when due", buf_str(&text), &x, until, got.is);
    return true;
}

static void every_answer_is_what_the_page_says_and_lasts_as_long_as_announced(void **state)
{
    (void)state;
    isize triples = getenv("TEST_LONG") ? 100000 : 10000, changes = 0;
    const char *seed = getenv("TEST_SEED");
    struct rng r = rng_seed(seed ? strtoull(seed, NULL, 10) : 27182818);
    for (isize i = 0; i < triples; i++) {
        struct arena_mark mark = arena_mark(&memory);
        changes += one_triple(&r);
        arena_reset(&memory, mark);
    }
    print_message("# %td triples, %td with a change to come, no difference\n", triples, changes);
    assert_true(changes > triples / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_answer_is_what_the_page_says_and_lasts_as_long_as_announced,
                                  teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
