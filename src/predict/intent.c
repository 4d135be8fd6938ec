/* SPDX-License-Identifier: Apache-2.0
 *
 * intent.c - will this visit end in an order? Asked anew with each event, of a logistic model that learns online.
 *
 * A visit is a run of events without a pause of a session's gap, from its start or from the order before. After each of its events
 * it is one example: what was done so far and who is here, and whether an order followed in the same visit. So that the early
 * moments of a visit count as much as the late ones, at most EXAMPLES_A_VISIT of them are learnt from, the last among them.
 *
 * Learning goes in the order visits ended. All moments of a visit are forecast before any is learnt; the card judges the forecasts
 * of the later half, so it shows what serving would have said. */
#include <math.h>
#include <stdlib.h>

#include "predict/predict.h"

enum { EXAMPLES_A_VISIT = 8, EXAMPLES_MAX = 4 << 20, FEATURES_MAX = 32 };

static const struct { const char *name; u16 types[4]; } deeds[] = {
    { "looked at products", { EVENT_PRODUCT_VIEWED, EVENT_PRODUCT_CLICKED } },
    { "added to cart", { EVENT_PRODUCT_ADDED, EVENT_WISHLIST_CARTED } },
    { "took out of the cart", { EVENT_PRODUCT_REMOVED } },
    { "searched", { EVENT_PRODUCTS_SEARCHED } },
    { "went through lists", { EVENT_PRODUCT_LIST_VIEWED, EVENT_PRODUCT_LIST_FILTERED } },
    { "looked at the cart", { EVENT_CART_VIEWED } },
    { "started checkout", { EVENT_CHECKOUT_STARTED, EVENT_CHECKOUT_STEP_VIEWED, EVENT_CHECKOUT_STEP_COMPLETED } },
    { "entered payment", { EVENT_PAYMENT_INFO_ENTERED } },
    { "used a coupon", { EVENT_COUPON_ENTERED, EVENT_COUPON_APPLIED } },
    { "wished for products", { EVENT_WISHLIST_ADDED } },
    { "read pages", { EVENT_PAGE_VIEWED, EVENT_SCREEN_VIEWED, EVENT_CONTENT_VIEWED } },
};
enum { DEEDS = (int)countof(deeds), STEPS = 6, OTHER = DEEDS };
enum {
    AT_ALWAYS, AT_DEED, AT_LAST = AT_DEED + DEEDS * STEPS, AT_MINUTES = AT_LAST + DEEDS + 1, AT_ORDERS = AT_MINUTES + STEPS,
    AT_SINCE = AT_ORDERS + STEPS, AT_VISITS = AT_SINCE + STEPS, AT_CHANNEL = AT_VISITS + STEPS, DIMS = AT_CHANNEL + CHANNELS
};

static int deed_of(u16 type)
{
    for (int d = 0; d < DEEDS; d++)
        for (isize k = 0; k < countof(deeds[d].types); k++)
            if (deeds[d].types[k] && deeds[d].types[k] == type) return d;
    return OTHER;
}

/* Not something the person does in a visit. */
static bool passes_by(const struct history_entry *e)
{
    return e->flags & HISTORY_BOT || e->type == EVENT_DECISION_VIEWED || e->type == EVENT_DECISION_CLICKED || e->type == EVENT_SEGMENT_ENTERED
        || e->type == EVENT_SEGMENT_LEFT || e->type == EVENT_PRODUCT_PURCHASED || e->type == EVENT_ORDER_REFUNDED
        || e->type == EVENT_ORDER_CANCELLED || e->type == EVENT_ORDER_UPDATED;
}

struct visit { i64 from_ms, at_ms, order_ms; i32 events, orders, visits; u16 done[DEEDS]; u8 last, channel; };

static void visit_begin(struct visit *v, i64 at_ms)
{
    *v = (struct visit){ .from_ms = at_ms, .at_ms = at_ms, .order_ms = v->order_ms, .orders = v->orders, .visits = v->visits + 1 };
}

static void visit_take(struct visit *v, const struct history_entry *e)
{
    int deed = deed_of(e->type);
    v->events++;
    v->at_ms = e->at_ms;
    v->last = (u8)deed;
    v->channel = e->channel;
    if (deed < DEEDS && v->done[deed] < 1000) v->done[deed]++;
}

/* 0 for below the first bound, and so on. */
static u32 step_of(f64 value, const f64 bounds[STEPS - 1])
{
    u32 step = 0;
    while (step < STEPS - 1 && value >= bounds[step]) step++;
    return step;
}

static isize visit_features(const struct visit *v, struct feature *out)
{
    static const f64 counts[] = { 2, 3, 5, 9, 17 }, minutes[] = { 1, 3, 8, 20, 45 }, orders[] = { 1, 2, 3, 6, 12 };
    static const f64 days[] = { 7, 30, 90, 365, 36500 }, visits[] = { 2, 3, 5, 9, 20 };
    isize n = 0;
    out[n++] = (struct feature){ AT_ALWAYS, 1 };
    for (u32 d = 0; d < DEEDS; d++)
        if (v->done[d]) out[n++] = (struct feature){ AT_DEED + d * STEPS + step_of(v->done[d], counts), 1 };
    f64 since = v->order_ms ? (f64)(v->at_ms - v->order_ms) / (f64)DAY_MS : 1e6;
    out[n++] = (struct feature){ AT_LAST + v->last, 1 };
    out[n++] = (struct feature){ AT_MINUTES + step_of((f64)(v->at_ms - v->from_ms) / MINUTE_MS, minutes), 1 };
    out[n++] = (struct feature){ AT_ORDERS + step_of(v->orders, orders), 1 };
    out[n++] = (struct feature){ AT_SINCE + step_of(since, days), 1 };
    out[n++] = (struct feature){ AT_VISITS + step_of(v->visits, visits), 1 };
    if (v->channel < CHANNELS) out[n++] = (struct feature){ AT_CHANNEL + v->channel, 1 };
    assert(n <= FEATURES_MAX);
    return n;
}

/* ---- learning ------------------------------------------------------------------------------------------- */

struct moment { struct visit visit; i64 ended_ms; u32 number; bool ordered; };
struct intent_trainer { i64 gap_ms; struct { struct moment *at; isize n, cap; } moments; u32 visits, orders; };
struct intent_model { struct ftrl *ftrl; i64 gap_ms; };

struct intent_trainer *intent_trainer_new(i64 session_gap_ms)
{
    struct intent_trainer *t = mem_new(sizeof *t);
    t->gap_ms = session_gap_ms;
    return t;
}

static void visit_end(struct intent_trainer *t, const struct visit *moments, isize n, i64 ended_ms, bool ordered)
{
    if (n == 0 || t->moments.n + EXAMPLES_A_VISIT > EXAMPLES_MAX) return;
    t->visits++;
    t->orders += ordered;
    for (isize i = 0; i < n; i++) vec_push(&t->moments, (struct moment){ moments[i], ended_ms, t->visits, ordered });
}

void intent_train(struct intent_trainer *t, const struct history_entry *history, isize n, i64 now_ms)
{
    struct visit v = { 0 }, moments[EXAMPLES_A_VISIT];
    isize kept = 0;
    for (isize i = 0; i < n && history[i].at_ms <= now_ms; i++) {
        const struct history_entry *e = &history[i];
        if (passes_by(e)) continue;
        if (v.visits == 0 || e->at_ms - v.at_ms > t->gap_ms) {
            visit_end(t, moments, kept, v.at_ms, false);
            visit_begin(&v, e->at_ms);
            kept = 0;
        }
        if (e->type == EVENT_ORDER_COMPLETED) {
            visit_end(t, moments, kept, e->at_ms, true);
            v.orders++;
            v.order_ms = e->at_ms;
            visit_begin(&v, e->at_ms);
            kept = 0;
            continue;
        }
        visit_take(&v, e);
        moments[kept < EXAMPLES_A_VISIT ? kept++ : EXAMPLES_A_VISIT - 1] = v;
    }
    if (v.visits && now_ms - v.at_ms > t->gap_ms) visit_end(t, moments, kept, v.at_ms, false);
}

static int moment_order(const void *left, const void *right)
{
    const struct moment *a = left, *b = right;
    if (a->ended_ms != b->ended_ms) return a->ended_ms < b->ended_ms ? -1 : 1;
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    return (a->visit.events > b->visit.events) - (a->visit.events < b->visit.events);
}

static void learn_visit(struct ftrl *f, const struct moment *at, isize n, struct forecast *said)
{
    struct feature x[FEATURES_MAX];
    for (isize i = 0; i < n; i++)
        said[i] = (struct forecast){ ftrl_predict(f, x, visit_features(&at[i].visit, x)), at[i].ordered ? 1 : 0 };
    for (isize i = 0; i < n; i++) {
        isize width = visit_features(&at[i].visit, x);
        ftrl_learn(f, x, width, ftrl_predict(f, x, width), at[i].ordered);
    }
}

struct intent_model *intent_learn(struct intent_trainer *t, struct intent_card *card)
{
    struct intent_model *m = NULL;
    *card = (struct intent_card){ .visits = t->visits, .orders = t->orders };
    if (t->visits >= INTENT_VISITS_MIN && t->orders >= INTENT_ORDERS_MIN) {
        isize n = t->moments.n;
        const struct moment *at = t->moments.at;
        struct forecast *said = mem_new(n * (isize)sizeof *said);
        qsort(t->moments.at, (size_t)n, sizeof *t->moments.at, moment_order);
        m = mem_new(sizeof *m);
        *m = (struct intent_model){ ftrl_new(DIMS), t->gap_ms };
        for (isize from = 0, to; from < n; from = to) {
            for (to = from; to < n && at[to].number == at[from].number && at[to].ended_ms == at[from].ended_ms;) to++;
            learn_visit(m->ftrl, at + from, to - from, said + from);
        }
        card->from_ms = at[0].ended_ms;
        card->to_ms = at[n - 1].ended_ms;
        card->goodness = goodness(said + n / 2, n - n / 2);
        card->calibration = calibrate(said + n / 2, n - n / 2, false);
        mem_free(said);
    }
    vec_fini(&t->moments);
    mem_free(t);
    return m;
}

void intent_free(struct intent_model *m)
{
    if (!m) return;
    ftrl_free(m->ftrl);
    mem_free(m);
}

/* ---- asking ----------------------------------------------------------------------------------------------- */

static bool visit_now(const struct intent_model *m, const struct history_entry *history, isize n, i64 now_ms, struct visit *v)
{
    *v = (struct visit){ 0 };
    for (isize i = 0; i < n && history[i].at_ms <= now_ms; i++) {
        const struct history_entry *e = &history[i];
        if (passes_by(e)) continue;
        if (v->visits == 0 || e->at_ms - v->at_ms > m->gap_ms) visit_begin(v, e->at_ms);
        if (e->type != EVENT_ORDER_COMPLETED) { visit_take(v, e); continue; }
        v->orders++;
        v->order_ms = e->at_ms;
        visit_begin(v, e->at_ms);
    }
    return v->events > 0 && now_ms - v->at_ms <= m->gap_ms;
}

f64 intent_of(const struct intent_model *m, const struct history_entry *history, isize n, i64 now_ms)
{
    struct visit v;
    struct feature x[FEATURES_MAX];
    if (!m || !visit_now(m, history, n, now_ms, &v)) return -1;
    return ftrl_predict(m->ftrl, x, visit_features(&v, x));
}

f64 intent_of_person(const void *model, const struct profile *p, i64 now_ms)
{
    return intent_of(model, p->history, p->history_n, now_ms);
}

static const char *feature_name(u32 at)
{
    if (at >= AT_CHANNEL) return "the channel";
    if (at >= AT_VISITS) return "how many visits";
    if (at >= AT_SINCE) return "when the last order was";
    if (at >= AT_ORDERS) return "how many orders so far";
    if (at >= AT_MINUTES) return "how long the visit is";
    if (at >= AT_LAST) return at - AT_LAST < DEEDS ? deeds[at - AT_LAST].name : "what was done last";
    return at >= AT_DEED ? deeds[(at - AT_DEED) / STEPS].name : "";
}

isize intent_reasons(const struct intent_model *m, const struct history_entry *history, isize n, i64 now_ms, struct intent_reason *out,
                     isize max)
{
    struct visit v;
    struct feature x[FEATURES_MAX];
    struct intent_reason all[FEATURES_MAX];
    isize found = 0;
    if (!m || !visit_now(m, history, n, now_ms, &v)) return 0;
    isize width = visit_features(&v, x);
    for (isize i = 1; i < width; i++) {                 /* one name once: its features together */
        f64 weight = ftrl_weight(m->ftrl, x[i].at);
        isize k = 0;
        while (k < found && strcmp(all[k].name, feature_name(x[i].at)) != 0) k++;
        if (k == found) all[found++] = (struct intent_reason){ feature_name(x[i].at), 0 };
        all[k].weight += weight;
    }
    for (isize i = 1; i < found; i++)
        for (isize k = i; k > 0 && fabs(all[k - 1].weight) < fabs(all[k].weight); k--) {
            struct intent_reason swap = all[k];
            all[k] = all[k - 1];
            all[k - 1] = swap;
        }
    found = min_isize(found, max);
    memcpy(out, all, (size_t)found * sizeof *out);
    return found;
}
