/* SPDX-License-Identifier: Apache-2.0
 *
 * intent.c - will this visit end in an order? Asked anew with each event, of a logistic model that
 * learns online.
 *
 * A visit is a run of events without a pause of a session's gap, from its start or from the order
 * before. After each of its events it is one example: what was done so far and who is here, and
 * whether an order followed in the same visit. So that the early moments of a visit count as much
 * as the late ones, at most EXAMPLES_A_VISIT of them are learnt from, the last among them.
 *
 * Learning goes in the order visits ended. All moments of a visit are forecast before any is
 * learnt; the card judges the forecasts of the later half, so it shows what serving would have
 * said.
 *
 * From TREE_VISITS_MIN visits on boosted trees are tried besides, of the latest TREE_MOMENTS_MAX
 * moments of the earlier half, and take over where they forecast the later half better than chance
 * explains. The card has the figures of both. */
#include <math.h>
#include <stdlib.h>

#include "predict/inside.h"

enum {
    EXAMPLES_A_VISIT = 8,
    EXAMPLES_MAX = 4 << 20,
    FEATURES_MAX = 32,
    TREE_VISITS_MIN = 2000,
    TREE_MOMENTS_MAX = 50000
};

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
    AT_ALWAYS,
    AT_DEED,
    AT_LAST = AT_DEED + DEEDS * STEPS,
    AT_MINUTES = AT_LAST + DEEDS + 1,
    AT_ORDERS = AT_MINUTES + STEPS,
    AT_SINCE = AT_ORDERS + STEPS,
    AT_VISITS = AT_SINCE + STEPS,
    AT_CHANNEL = AT_VISITS + STEPS,
    DIMS = AT_CHANNEL + CHANNELS
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
    return e->flags & HISTORY_BOT || e->type == EVENT_DECISION_VIEWED
           || e->type == EVENT_DECISION_CLICKED || e->type == EVENT_SEGMENT_ENTERED
           || e->type == EVENT_SEGMENT_LEFT || e->type == EVENT_PRODUCT_PURCHASED
           || e->type == EVENT_ORDER_REFUNDED || e->type == EVENT_ORDER_CANCELLED
           || e->type == EVENT_ORDER_UPDATED;
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
    static const f64 counts[] = { 2, 3, 5, 9, 17 }, minutes[] = { 1, 3, 8, 20, 45 },
                     orders[] = { 1, 2, 3, 6, 12 };
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

/* The same for trees, which cut numbers by themselves. */
enum {
    CELL_DEED,
    CELL_LAST = CELL_DEED + DEEDS,
    CELL_MINUTES = CELL_LAST + DEEDS + 1,
    CELL_ORDERS,
    CELL_SINCE,
    CELL_VISITS,
    CELL_EVENTS,
    CELL_CHANNEL,
    CELLS = CELL_CHANNEL + CHANNELS
};

static void visit_cells(const struct visit *v, f32 out[CELLS])
{
    for (int i = 0; i < CELLS; i++) out[i] = 0;
    for (int d = 0; d < DEEDS; d++) out[CELL_DEED + d] = v->done[d];
    out[CELL_LAST + v->last] = 1;
    out[CELL_MINUTES] = (f32)(v->at_ms - v->from_ms) / (f32)MINUTE_MS;
    out[CELL_ORDERS] = (f32)v->orders;
    out[CELL_SINCE] = v->order_ms ? (f32)(v->at_ms - v->order_ms) / (f32)DAY_MS : __builtin_nanf("");
    out[CELL_VISITS] = (f32)v->visits;
    out[CELL_EVENTS] = (f32)v->events;
    if (v->channel < CHANNELS) out[CELL_CHANNEL + v->channel] = 1;
}

/* ---- learning -------------------------------------------------------------------------------- */

struct moment { struct visit visit; i64 ended_ms; u32 number; bool ordered; };
struct intent_trainer {
    i64 gap_ms;
    struct {
        struct moment *at;
        isize n, cap;
    } moments;
    u32 visits, orders;
};
/* trees: null unless they were chosen */
struct intent_model { struct ftrl *ftrl; struct trees *trees; i64 gap_ms; };

struct intent_trainer *intent_trainer_new(i64 session_gap_ms)
{
    struct intent_trainer *t = mem_new(sizeof *t);
    t->gap_ms = session_gap_ms;
    return t;
}

static void visit_end(struct intent_trainer *t, const struct visit *moments, isize n, i64 ended_ms,
                      bool ordered)
{
    if (n == 0 || t->moments.n + EXAMPLES_A_VISIT > EXAMPLES_MAX) return;
    t->visits++;
    t->orders += ordered;
    for (isize i = 0; i < n; i++)
        vec_push(&t->moments, (struct moment){ moments[i], ended_ms, t->visits, ordered });
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
        said[i] = (struct forecast){ ftrl_predict(f, x, visit_features(&at[i].visit, x)),
                                     at[i].ordered ? 1 : 0 };
    for (isize i = 0; i < n; i++) {
        isize width = visit_features(&at[i].visit, x);
        ftrl_learn(f, x, width, ftrl_predict(f, x, width), at[i].ordered);
    }
}

static struct trees *grow(const struct moment *at, isize n)
{
    struct trees *trees = NULL;
    isize from = n > TREE_MOMENTS_MAX ? n - TREE_MOMENTS_MAX : 0;
    f32 *cells = mem_new((n - from) * CELLS * (isize)sizeof *cells),
        *labels = mem_new((n - from) * (isize)sizeof *labels);
    for (isize i = from; i < n; i++) {
        visit_cells(&at[i].visit, cells + (i - from) * CELLS);
        labels[i - from] = at[i].ordered ? 1 : 0;
    }
    err_ignore(trees_grow(cells, labels, n - from, CELLS, 1, &trees, NULL), "then the logistic model stays");
    mem_free(cells);
    mem_free(labels);
    return trees;
}

/* Trees of the earlier half forecast the later, of which `said` has what the logistic model said
 * online. They are chosen when their loss is less by more than chance makes: the mean difference of
 * a visit is below 0 by two of its standard errors. */
static bool trees_earn_it(const struct moment *at, isize n, const struct forecast *said,
                          struct intent_card *card, struct forecast *forecast)
{
    struct trees *trees = grow(at, n / 2);
    f32 cells[CELLS];
    f64 visits = 0, sum = 0, squares = 0;
    if (!trees) return false;
    for (isize from = n / 2, to; from < n; from = to) {
        f64 less = 0;
        for (to = from;
             to < n && at[to].number == at[from].number && at[to].ended_ms == at[from].ended_ms;
             to++) {
            visit_cells(&at[to].visit, cells);
            forecast[to - n / 2] = (struct forecast){ trees_ask(trees, cells), said[to].actual };
            less += log_loss_of(forecast[to - n / 2].predicted, said[to].actual)
                    - log_loss_of(said[to].predicted, said[to].actual);
        }
        less /= (f64)(to - from);
        visits++;
        sum += less;
        squares += less * less;
    }
    trees_free(trees);
    f64 mean = sum / visits, error = sqrt(fmax(0, squares / visits - mean * mean) / visits);
    struct forecast *copy = mem_new((n - n / 2) * (isize)sizeof *copy);
    memcpy(copy, forecast, (size_t)(n - n / 2) * sizeof *copy);     /* judging sorts */
    card->trees = goodness(copy, n - n / 2);
    mem_free(copy);
    card->trees_tried = true;
    return mean + 2 * error < 0;
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
        *m = (struct intent_model){ ftrl_new(DIMS), NULL, t->gap_ms };
        for (isize from = 0, to; from < n; from = to) {
            for (to = from; to < n && at[to].number == at[from].number
                            && at[to].ended_ms == at[from].ended_ms;)
                to++;
            learn_visit(m->ftrl, at + from, to - from, said + from);
        }
        card->from_ms = at[0].ended_ms;
        card->to_ms = at[n - 1].ended_ms;
        struct forecast *forecast = mem_new((n - n / 2) * (isize)sizeof *forecast);
        bool better = t->visits >= TREE_VISITS_MIN && trees_earn_it(at, n, said, card, forecast);
        if (better) m->trees = grow(at, n);
        card->logistic = goodness(said + n / 2, n - n / 2);
        card->goodness = m->trees ? card->trees : card->logistic;
        card->calibration = calibrate(m->trees ? forecast : said + n / 2, n - n / 2, false);
        card->model = m->trees ? "boosted_trees" : "ftrl_logistic";
        mem_free(forecast);
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
    trees_free(m->trees);
    mem_free(m);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool visit_now(const struct intent_model *m, const struct history_entry *history, isize n,
                      i64 now_ms, struct visit *v)
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
    f32 cells[CELLS];
    if (!m || !visit_now(m, history, n, now_ms, &v)) return -1;
    if (m->trees) {
        visit_cells(&v, cells);
        return trees_ask(m->trees, cells);
    }
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

static const char *cell_name(int at)
{
    static const char *const names[] = { "how long the visit is", "how many orders so far",
                                         "when the last order was", "how many visits",
                                         "how much was done" };
    if (at >= CELL_CHANNEL) return "the channel";
    if (at >= CELL_MINUTES) return names[at - CELL_MINUTES];
    if (at >= CELL_LAST) return at - CELL_LAST < DEEDS ? deeds[at - CELL_LAST].name : "what was done last";
    return deeds[at].name;
}

struct moving { struct intent_reason at[CELLS + FEATURES_MAX]; isize n; };

/* One name once: its features together. */
static void moves(struct moving *m, const char *name, f64 weight)
{
    isize k = 0;
    while (k < m->n && strcmp(m->at[k].name, name) != 0) k++;
    if (k == m->n) m->at[m->n++] = (struct intent_reason){ name, 0 };
    m->at[k].weight += weight;
}

isize intent_reasons(const struct intent_model *m, const struct history_entry *history, isize n,
                     i64 now_ms, struct intent_reason *out, isize max)
{
    struct visit v;
    struct feature x[FEATURES_MAX];
    struct moving all = { .n = 0 };
    if (!m || !visit_now(m, history, n, now_ms, &v)) return 0;
    if (m->trees) {
        f32 cells[CELLS];
        f64 moved[CELLS];
        visit_cells(&v, cells);
        trees_because(m->trees, cells, moved);
        for (int i = 0; i < CELLS; i++)
            if (moved[i] != 0) moves(&all, cell_name(i), moved[i]);
    } else {
        isize width = visit_features(&v, x);
        for (isize i = 1; i < width; i++) moves(&all, feature_name(x[i].at), ftrl_weight(m->ftrl, x[i].at));
    }
    for (isize i = 1; i < all.n; i++)
        for (isize k = i; k > 0 && fabs(all.at[k - 1].weight) < fabs(all.at[k].weight); k--) {
            struct intent_reason swap = all.at[k];
            all.at[k] = all.at[k - 1];
            all.at[k - 1] = swap;
        }
    all.n = min_isize(all.n, max);
    memcpy(out, all.at, (size_t)all.n * sizeof *out);
    return all.n;
}
