/* SPDX-License-Identifier: Apache-2.0
 *
 * standing.c - where somebody stands: stage, intent and retention, what they are worth, what they wish for.
 *
 * All of it is worked out of the compact history when it is asked for, at any instant; nothing is
 * kept. The words are the rule language's (rule/known.c), so a person's page and a segment can
 * never disagree. */
#include "profile/profile.h"

bool profile_standing(const struct profile_world *world, str name, arena *a, struct standing *out)
{
    struct rule_facts facts = profile_facts(world);
    isize n;
    const struct rule_rung *rungs = rule_ladder(name, &n);
    *out = (struct standing){ .next_change_at_ms = TIME_NEVER };
    for (isize i = 0; i < n; i++) {
        const struct rule *rule;
        struct rule_errors errors;
        enum err err = rule_compile(a, rungs[i].rule, RULE_SEGMENT, NULL, &rule, &errors);
        assert(err == ERR_OK);
        struct rule_result r = rule_run(rule, &facts);
        out->next_change_at_ms = min_i64(out->next_change_at_ms, r.next_change_at_ms);
        if (!rule_holds(r)) continue;
        out->rung = &rungs[i];
        out->why = rule_explain(a, rule, &facts, 20);
        return true;
    }
    return false;
}

static bool is_order_return(const struct history_entry *e) { return e->value_minor < 0 || e->quantity < 0; }

static struct worth_in *worth_of(struct worth *w, u16 in)
{
    isize k = 0;
    while (k < w->n && w->in[k].currency.v != in) k++;
    if (k == countof(w->in)) return NULL;
    if (k == w->n) w->in[w->n++] = (struct worth_in){ .currency = { in } };
    return &w->in[k];
}

static i64 rounded(i64 sum, i64 n) { return (sum >= 0 ? sum + n / 2 : sum - n / 2) / n; }

struct worth profile_worth(const struct profile *p, i64 now_ms)
{
    struct worth w = { 0 };
    for (isize i = 0; i < p->history_n && p->history[i].at_ms <= now_ms; i++) {
        const struct history_entry *e = &p->history[i];
        bool order = e->type == EVENT_ORDER_COMPLETED;
        if ((!order && e->type != EVENT_ORDER_REFUNDED) || e->flags & HISTORY_BOT) continue;
        if (!order && !is_order_return(e)) continue;
        struct worth_in *in = worth_of(&w, e->currency);
        if (in) in->revenue_minor += e->value_minor;
        if (!order || is_order_return(e)) continue;
        if (in) in->orders++;
        if (w.orders++ == 0) w.first_at_ms = e->at_ms;
        w.last_at_ms = e->at_ms;
        w.orders_a_year += now_ms - e->at_ms < 365 * DAY_MS;
    }
    for (isize k = 0; k < w.n; k++)
        if (w.in[k].orders) w.in[k].average_minor = rounded(w.in[k].revenue_minor, w.in[k].orders);
    if (w.orders > 1)
        w.days_between = (f64)(w.last_at_ms - w.first_at_ms) / (f64)DAY_MS / (f64)(w.orders - 1);
    return w;
}

static bool grants(const struct history_entry *wish, const struct history_entry *e)
{
    if (e->item != wish->item || e->flags & HISTORY_BOT) return false;
    return e->type == EVENT_WISHLIST_ADDED || e->type == EVENT_WISHLIST_REMOVED
        || (e->type == EVENT_PRODUCT_PURCHASED && !is_order_return(e));
}

isize profile_wishes(const struct profile *p, i64 now_ms, arena *a, struct wish **out)
{
    isize end = p->history_n, n = 0;
    while (end > 0 && p->history[end - 1].at_ms > now_ms) end--;
    *out = arena_new(a, struct wish, end);
    for (isize i = end - 1; i >= 0; i--) {
        const struct history_entry *e = &p->history[i];
        if (e->type != EVENT_WISHLIST_ADDED || e->item == 0 || e->flags & HISTORY_BOT) continue;
        isize k = i + 1;
        while (k < end && !grants(e, &p->history[k])) k++;
        if (k == end) (*out)[n++] = (struct wish){ { e->item }, e->at_ms };
    }
    return n;
}
