/* SPDX-License-Identifier: Apache-2.0
 *
 * scores.c - one run over all buyers: fit, judge on the latest weeks, score everybody.
 *
 * The models are fitted twice: on what was known before the hold-out (the last 90 days, or a third
 * of what there is), to see how they would have done, and on everything, to score. The model of
 * repeat buying is the one that said best what the hold-out held, of those that did not run to an
 * edge; when it does run to one on everything, or nothing can be held out, the likelier of MBG and
 * BG. The chance of an order in the hold-out is brought in line with what happened by a logistic
 * curve over the model's own chance, the silence and the number of orders; its chart is made
 * crosswise, each half of the people by the curve of the other half. Days are the unit, money is in
 * minor units of the shop's currency. */
#include <math.h>
#include <stdlib.h>

#include "predict/inside.h"

enum {
    SAMPLE_MAX = 50000,
    CHOICE_MAX = 10000,
    SPAN_DAYS_MIN = 30,
    CURVE = 4,
    CURVE_PEOPLE_MIN = 200,
    CURVE_PASSES = 20,
    FIFTHS = 4
};

void buyers_fini(struct buyers *b)
{
    vec_fini(&b->all);
    vec_fini(&b->orders);
}

void buyers_add(struct buyers *b, const struct profile *p, currency in, i64 now_ms)
{
    isize first = b->orders.n;
    b->currency = in;
    b->today = (i32)(now_ms / DAY_MS);
    for (isize i = 0; i < p->history_n && p->history[i].at_ms <= now_ms; i++) {
        const struct history_entry *e = &p->history[i];
        bool order = e->type == EVENT_ORDER_COMPLETED, refund = e->type == EVENT_ORDER_REFUNDED;
        if (!(order || refund) || e->flags & HISTORY_BOT) continue;
        i32 day = (i32)(e->at_ms / DAY_MS);
        f64 value = e->currency == in.v ? (f64)e->value_minor : 0;
        bool same = b->orders.n > first && b->orders.at[b->orders.n - 1].day == day;
        if (order && !same) vec_push(&b->orders, (struct buyer_order){ day, 0 });
        if (b->orders.n > first) b->orders.at[b->orders.n - 1].value += value;
    }
    if (b->orders.n > first) vec_push(&b->all, (struct buyer){ p->id, first, b->orders.n - first });
}

/* ---- one buyer as of a day ------------------------------------------------------------------- */

/* worth: of all orders, a mean */
struct tally { struct purchases p; struct spending spending; f64 worth; isize orders; };

/* False when there was no order yet. */
static bool tally_at(const struct buyers *b, const struct buyer *of, i32 day, struct tally *out)
{
    const struct buyer_order *o = b->orders.at + of->first;
    f64 repeat_value = 0, value = 0;
    *out = (struct tally){ 0 };
    for (isize i = 0; i < of->n && o[i].day <= day; i++) {
        out->orders++;
        value += o[i].value;
        if (i > 0) repeat_value += o[i].value;
        out->p.last = o[i].day - o[0].day;
    }
    if (out->orders == 0) return false;
    out->p.repeats = (i32)(out->orders - 1);
    out->p.seen = day - o[0].day;
    out->worth = value / (f64)out->orders;
    if (out->p.repeats && repeat_value > 0)
        out->spending = (struct spending){ repeat_value / out->p.repeats, out->p.repeats };
    return true;
}

static void ahead_of(const struct buyers *b, const struct buyer *of, i32 after, i32 until,
                     f64 *orders, f64 *value)
{
    *orders = *value = 0;
    for (isize i = 0; i < of->n; i++) {
        const struct buyer_order *o = &b->orders.at[of->first + i];
        if (o->day <= after || o->day > until) continue;
        ++*orders;
        *value += o->value;
    }
}

/* ---- fitting --------------------------------------------------------------------------------- */

struct choice { bool tried, stands; const char *edge; f64 log_likelihood, mae; };
struct models {
    struct buying buying;
    struct choice choices[BUYING_MODELS];   /* by model: on the hold-out */
    struct spend spend;
    bool spent, curved;
    const char *edge;               /* why NBD stands in; null: it does not */
    f64 curve[CURVE];
    f64 recency[FIFTHS], frequency[FIFTHS], monetary[FIFTHS];
    isize buyers, repeaters, judged;
    i32 today, hold_days;
    currency currency;
    struct goodness goodness;
    struct calibration churn, orders, value;
    /* the chance of those who ordered once to order within the horizon, a mean */
    f64 back_once;
};

struct fit { struct buying buying; struct spend spend; bool spent; const char *edge; };

/* `model`: BUYING_MODELS for the likelier one that did not run to an edge. */
static enum err fit_at(const struct buyers *b, i32 day, u8 model, arena *a, struct fit *out,
                       struct diag *diag)
{
    isize step = b->all.n / SAMPLE_MAX + 1, n = 0, spent_n = 0;
    struct purchases *all = arena_new(a, struct purchases, b->all.n / step + 1);
    struct spending *spent = arena_new(a, struct spending, b->all.n / step + 1);
    struct buying tried[BUYING_MODELS];
    for (isize i = 0; i < b->all.n; i += step) {
        struct tally s;
        if (!tally_at(b, &b->all.at[i], day, &s)) continue;
        all[n++] = s.p;
        if (s.spending.orders) spent[spent_n++] = s.spending;
    }
    *out = (struct fit){ 0 };
    enum err err = model < BUYING_MODELS ? buying_fit(model, all, n, a, &out->buying, diag) : ERR_OK;
    bool choose = model == BUYING_MODELS || (!err && out->buying.edge && model != BUYING_NBD);
    if (choose) err = buying_choose(all, n, a, &out->buying, tried, diag);
    if (err) return err;
    if (choose && out->buying.model == BUYING_NBD) out->edge = tried[BUYING_MBG].edge;
    out->spent = spend_fit(spent, spent_n, &out->spend, NULL) == ERR_OK;
    return ERR_OK;
}

static isize curve_features(f64 chance, const struct purchases *p, struct feature out[CURVE])
{
    f64 held = fmin(fmax(chance, 1e-6), 1 - 1e-6);
    out[0] = (struct feature){ 0, 1 };
    out[1] = (struct feature){ 1, (f32)(log(held / (1 - held)) / 2) };
    out[2] = (struct feature){ 2, (f32)(log1p(p->seen - p->last) / 5) };
    out[3] = (struct feature){ 3, (f32)log1p(p->repeats) };
    return CURVE;
}

struct judged { struct purchases p; f64 chance, orders, value, expected, expected_value; };

/* half: 0 or 1 learns from every other one, 2 from all. */
static struct ftrl *curve_learn(const struct judged *at, isize n, isize half)
{
    struct ftrl *f = ftrl_new(CURVE);
    struct feature x[CURVE];
    f->l2 = .01;
    for (int pass = 0; pass < CURVE_PASSES; pass++)
        for (isize i = 0; i < n; i++) {
            if (i % 2 != half && half < 2) continue;
            isize width = curve_features(at[i].chance, &at[i].p, x);
            ftrl_learn(f, x, width, ftrl_predict(f, x, width), at[i].orders > 0);
        }
    return f;
}

static f64 curve_ask(const struct ftrl *f, f64 chance, const struct purchases *p)
{
    struct feature x[CURVE];
    isize width = curve_features(chance, p, x);
    return ftrl_predict(f, x, width);
}

static void judge(struct models *m, struct judged *at, isize n, arena *a)
{
    struct forecast *churn = arena_new(a, struct forecast, n + 1),
                    *orders = arena_new(a, struct forecast, n + 1);
    struct forecast *value = arena_new(a, struct forecast, n + 1);
    struct ftrl *halves[2] = { NULL, NULL };
    m->judged = n;
    m->curved = n >= CURVE_PEOPLE_MIN;
    for (int h = 0; m->curved && h < 2; h++) halves[h] = curve_learn(at, n, h);
    for (isize i = 0; i < n; i++) {
        f64 chance = m->curved ? curve_ask(halves[1 - i % 2], at[i].chance, &at[i].p) : at[i].chance;
        churn[i] = (struct forecast){ 1 - chance, at[i].orders == 0 ? 1 : 0 };
        orders[i] = (struct forecast){ at[i].expected, at[i].orders };
        value[i] = (struct forecast){ at[i].expected_value, at[i].value };
    }
    if (m->curved) {
        struct ftrl *all = curve_learn(at, n, 2);
        for (u32 i = 0; i < CURVE; i++) m->curve[i] = ftrl_weight(all, i);
        ftrl_free(all);
    }
    ftrl_free(halves[0]);
    ftrl_free(halves[1]);
    m->goodness = goodness(churn, n);
    m->churn = calibrate(churn, n, false);
    m->orders = calibrate(orders, n, true);
    if (m->spent) m->value = calibrate(value, n, true);
}

/* Every model that did not run to an edge, fitted on what was known before the hold-out, is asked
 * of the hold-out: the log-likelihood of what each buyer did in it given what they had done before,
 * a mean over buyers, and how far expected orders were off. */
static u8 choose_model(struct models *m, const struct buyers *b, arena *a)
{
    isize step = b->all.n / CHOICE_MAX + 1, n = 0;
    i32 until = m->today - m->hold_days;
    struct purchases *before = arena_new(a, struct purchases, b->all.n / step + 1),
                     *after = arena_new(a, struct purchases, b->all.n / step + 1);
    f64 *orders = arena_new(a, f64, b->all.n / step + 1), value;
    u8 best = BUYING_MODELS;
    for (isize i = 0; i < b->all.n; i += step) {
        struct tally was, is;
        if (!tally_at(b, &b->all.at[i], until, &was) || !tally_at(b, &b->all.at[i], m->today, &is)) continue;
        before[n] = was.p;
        after[n] = is.p;
        ahead_of(b, &b->all.at[i], until, m->today, &orders[n], &value);
        n++;
    }
    for (u8 k = 0; k < BUYING_MODELS; k++) {
        struct buying fitted;
        struct choice *c = &m->choices[k];
        if (buying_fit(k, before, n, a, &fitted, NULL)) continue;
        *c = (struct choice){ .tried = true, .edge = fitted.edge };
        c->log_likelihood =
            (buying_log_likelihood(k, fitted.param, after, n) - fitted.log_likelihood) / (f64)n;
        for (isize i = 0; i < n; i++)
            c->mae += fabs(buying_expected(&fitted, &before[i], m->hold_days) - orders[i]) / (f64)n;
        c->stands = !fitted.edge && isfinite(c->log_likelihood) && isfinite(c->mae);
        if (c->stands
            && (best == BUYING_MODELS || c->log_likelihood > m->choices[best].log_likelihood))
            best = k;
    }
    return best;
}

static void hold_out(struct models *m, const struct buyers *b, arena *a)
{
    struct fit before;
    i32 until = m->today - m->hold_days;
    if (fit_at(b, until, m->buying.model, a, &before, NULL)) return;     /* then there are no charts yet */
    struct judged *at = arena_new(a, struct judged, b->all.n + 1);
    isize n = 0;
    for (isize i = 0; i < b->all.n; i++) {
        struct tally s;
        struct judged *j = &at[n];
        if (!tally_at(b, &b->all.at[i], until, &s)) continue;
        j->p = s.p;
        j->chance = 1 - buying_none(&before.buying, &s.p, m->hold_days);
        j->expected = buying_expected(&before.buying, &s.p, m->hold_days);
        j->expected_value = before.spent ? j->expected * spend_expected(&before.spend, s.spending) : 0;
        ahead_of(b, &b->all.at[i], until, m->today, &j->orders, &j->value);
        n++;
    }
    judge(m, at, n, a);
}

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

static void fifths(f64 *at, isize n, f64 cuts[FIFTHS])
{
    qsort(at, (size_t)n, sizeof *at, ascending);
    for (int k = 0; k < FIFTHS; k++) cuts[k] = at[n * (k + 1) / 5];
}

static f64 fifth_of(f64 value, const f64 cuts[FIFTHS])
{
    int k = 0;
    while (k < FIFTHS && value >= cuts[k]) k++;
    return k + 1;
}

static f64 chance_of_order(const struct models *m, const struct purchases *p)
{
    f64 chance = 1 - buying_none(&m->buying, p, SCORE_HORIZON_DAYS), sum = 0;
    struct feature x[CURVE];
    if (!m->curved) return chance;
    (void)curve_features(chance, p, x);
    for (int i = 0; i < CURVE; i++) sum += m->curve[i] * (f64)x[i].value;
    return 1 / (1 + exp(-sum));
}

static void describe(struct models *m, const struct buyers *b, arena *a)
{
    f64 *recency = arena_new(a, f64, b->all.n), *frequency = arena_new(a, f64, b->all.n),
        *monetary = arena_new(a, f64, b->all.n), once = 0;
    isize n = 0;
    for (isize i = 0; i < b->all.n; i++) {
        struct tally s;
        if (!tally_at(b, &b->all.at[i], m->today, &s)) continue;
        recency[n] = s.p.last - s.p.seen;               /* below 0: later is more */
        frequency[n] = (f64)s.orders;
        monetary[n++] = s.worth;
        m->repeaters += s.p.repeats > 0;
        if (s.p.repeats) continue;
        once++;
        m->back_once += chance_of_order(m, &s.p);
    }
    m->buyers = n;
    if (once > 0) m->back_once /= once;
    fifths(recency, n, m->recency);
    fifths(frequency, n, m->frequency);
    fifths(monetary, n, m->monetary);
}

enum err models_fit(const struct buyers *b, i64 now_ms, struct models **out, struct diag *diag)
{
    arena a = { 0 };
    struct fit now;
    i32 today = (i32)(now_ms / DAY_MS), first = today;
    for (isize i = 0; i < b->orders.n; i++) first = b->orders.at[i].day < first ? b->orders.at[i].day : first;
    if (b->all.n && today - first < SPAN_DAYS_MIN)
        return diag_set(diag, ERR_REFUSED, "not enough data: orders of %d days; %d are needed",
                        today - first, SPAN_DAYS_MIN);
    struct models *m = mem_new(sizeof *m);
    *m = (struct models){ .today = today, .currency = b->currency };
    m->hold_days = (today - first) / 3 < SCORE_HORIZON_DAYS ? (today - first) / 3 : SCORE_HORIZON_DAYS;
    enum err err = fit_at(b, today, choose_model(m, b, &a), &a, &now, diag);
    if (err) {
        mem_free(m);
    } else {
        m->buying = now.buying;
        m->spend = now.spend;
        m->spent = now.spent;
        m->edge = now.edge;
        hold_out(m, b, &a);
        describe(m, b, &a);
        *out = m;
    }
    arena_fini(&a);
    return err;
}

void models_free(struct models *m) { mem_free(m); }

/* ---- scoring --------------------------------------------------------------------------------- */

static void say(struct scores *s, u8 score, f64 value)
{
    if (!isfinite(value)) return;
    s->known = (u16)(s->known | 1 << score);
    s->value[score] = (f32)value;
}

static void because(struct scores *s, u8 score, u8 code, f64 number)
{
    if (s->reasons_n < SCORE_REASONS_MAX)
        s->reasons[s->reasons_n++] = (struct score_reason){ score, code, (f32)number };
}

static void reasons_for(const struct models *m, const struct tally *at, struct scores *s)
{
    f64 silent = at->p.seen - at->p.last, gap = at->p.repeats ? at->p.last / at->p.repeats : 0;
    bool quick = gap > 0 && silent <= gap;
    if (gap > 0 && silent > 1.5 * gap) because(s, SCORE_CHURN, REASON_CODE_OVERDUE, silent / gap);
    because(s, SCORE_CHURN, quick || silent < 30 ? REASON_CODE_RECENT : REASON_CODE_LONG_SILENT, silent);
    if (at->p.repeats == 0) because(s, SCORE_CHURN, REASON_CODE_ORDERED_ONCE, 100 * m->back_once);
    if (!(s->known >> SCORE_CLV_365 & 1)) return;
    because(s, SCORE_CLV_365, REASON_CODE_ORDERS, (f64)at->orders);
    f64 minor = pow(10, currency_digits(m->currency));
    /* 0: other currencies, without a rate */
    if (at->worth > 0) because(s, SCORE_CLV_365, REASON_CODE_ORDER_WORTH, at->worth / minor);
    if (m->buying.model != BUYING_NBD)
        because(s, SCORE_CLV_365, REASON_CODE_ALIVE, 100 * buying_alive(&m->buying, &at->p));
}

struct scores models_score(const struct models *m, const struct buyers *b, const struct buyer *of)
{
    struct scores s = { .currency = m->currency.v };
    struct tally at;
    if (!tally_at(b, of, b->today, &at)) return s;
    f64 expected = buying_expected(&m->buying, &at.p, 365), next = buying_next(&m->buying, &at.p, 3650);
    say(&s, SCORE_CHURN, 1 - chance_of_order(m, &at.p));
    if (m->buying.model != BUYING_NBD) say(&s, SCORE_ALIVE, buying_alive(&m->buying, &at.p));
    say(&s, SCORE_ORDERS_365, expected);
    if (m->spent) say(&s, SCORE_CLV_365, round(expected * spend_expected(&m->spend, at.spending)));
    if (next >= 0) say(&s, SCORE_NEXT_ORDER_DAYS, next);
    say(&s, SCORE_RECENCY, fifth_of(at.p.last - at.p.seen, m->recency));
    say(&s, SCORE_FREQUENCY, fifth_of((f64)at.orders, m->frequency));
    say(&s, SCORE_MONETARY, fifth_of(at.worth, m->monetary));
    reasons_for(m, &at, &s);
    return s;
}

bool scores_differ(const struct scores *a, const struct scores *b)
{
    if (a->known != b->known || a->currency != b->currency || b->at_ms - a->at_ms > 30 * DAY_MS) return true;
    for (int i = 0; i < SCORE_INTENT; i++) {
        f64 x = (f64)a->value[i], y = (f64)b->value[i], apart = fabs(x - y);
        bool chance = i == SCORE_CHURN || i == SCORE_ALIVE;
        if (a->known >> i & 1 && (chance ? apart > .02 : apart > .05 * fmax(fabs(x), fabs(y)))) return true;
    }
    if (a->uplifts_n != b->uplifts_n) return true;
    for (isize i = 0; i < a->uplifts_n; i++)
        if (a->uplifts[i].campaign != b->uplifts[i].campaign
            || fabsf(a->uplifts[i].value - b->uplifts[i].value) > .005f)
            return true;
    return false;
}

/* ---- the card -------------------------------------------------------------------------------- */

static void card_head(const struct models *m, u8 score, const char *model, u32 version, i64 at_ms,
                      struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", str_of(score_name(score)));
    jsonw_key_str(w, "title", str_of(score_text(score)));
    jsonw_key_bool(w, "enough", true);
    jsonw_key_str(w, "model", str_of(model));
    jsonw_key_int(w, "version", version);
    jsonw_key_time(w, "made_at", at_ms);
    jsonw_key_begin(w, "learnt_from", '{');
    jsonw_key_int(w, "buyers", m->buyers);
    jsonw_key_int(w, "repeat_buyers", m->repeaters);
    jsonw_end(w, '}');
    if (m->edge && score != SCORE_RECENCY)
        jsonw_key_str(
            w, "fallback",
            str_of("what is known of leaving runs to an edge, so nbd, without leaving, stands in"));
    if (m->edge && score != SCORE_RECENCY) jsonw_key_str(w, "edge", str_of(m->edge));
}

static void card_chart(const struct models *m, const struct calibration *chart, const char *of,
                       struct jsonw *w)
{
    jsonw_key_str(w, "chart_of", str_of(of));
    jsonw_key_int(w, "hold_out_days", m->hold_days);
    jsonw_key_int(w, "judged", m->judged);
    jsonw_key(w, S("calibration"));
    calibration_print(chart, w);
}

static void card_parameters(const struct models *m, struct jsonw *w)
{
    static const char *const names[BUYING_MODELS][4] = { { "r", "alpha", "a", "b" },
                                                         { "r", "alpha", "a", "b" },
                                                         { "r", "alpha", "s", "beta" },
                                                         { "r", "alpha" } };
    jsonw_key_begin(w, "parameters", '{');
    for (int i = 0; i < 4 && names[m->buying.model][i]; i++)
        jsonw_key_num(w, names[m->buying.model][i], m->buying.param[i]);
    jsonw_key_num(w, "log_likelihood", m->buying.log_likelihood);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "choice", '{');
    jsonw_key_str(
        w, "by",
        S("log-likelihood of what a buyer did in the hold-out, given what they had done before; a mean"));
    jsonw_key_begin(w, "of", '[');
    for (u8 k = 0; k < BUYING_MODELS; k++) {
        const struct choice *c = &m->choices[k];
        if (!c->tried) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "model", str_of(buying_name(k)));
        jsonw_key_num(w, "log_likelihood", c->log_likelihood);
        jsonw_key_num(w, "mae", c->mae);
        if (c->edge) jsonw_key_str(w, "edge", str_of(c->edge));
        jsonw_key_bool(w, "chosen", k == m->buying.model);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void models_card(const struct models *m, u32 version, i64 at_ms, struct jsonw *w)
{
    const char *model = buying_name(m->buying.model);
    jsonw_begin(w, '[');
    card_head(m, SCORE_CHURN, model, version, at_ms, w);
    card_parameters(m, w);
    jsonw_key_begin(w, "measures", '{');
    jsonw_key_num(w, "auc", m->goodness.auc);
    jsonw_key_num(w, "brier", m->goodness.brier);
    jsonw_key_num(w, "brier_base", m->goodness.base_brier);
    jsonw_key_num(w, "rate", m->goodness.rate);
    jsonw_end(w, '}');
    card_chart(m, &m->churn, "the chance of no order in the hold-out, and the share that did not order", w);
    jsonw_end(w, '}');
    if (m->buying.model != BUYING_NBD) {
        card_head(m, SCORE_ALIVE, model, version, at_ms, w);
        jsonw_key_str(
            w, "note",
            S("never seen, only followed from the model; the chart is churn's, which rests on it"));
        card_chart(m, &m->churn,
                   "the chance of no order in the hold-out, and the share that did not order", w);
        jsonw_end(w, '}');
    }
    card_head(m, SCORE_ORDERS_365, model, version, at_ms, w);
    card_chart(m, &m->orders, "orders in the hold-out, a buyer", w);
    jsonw_end(w, '}');
    card_head(m, SCORE_NEXT_ORDER_DAYS, model, version, at_ms, w);
    card_chart(
        m, &m->churn,
        "the chance of no order in the hold-out, which the days follow from, and the share that did not order",
        w);
    jsonw_end(w, '}');
    if (m->spent) {
        char code[4];
        card_head(m, SCORE_CLV_365, "gamma_gamma", version, at_ms, w);
        jsonw_key_str(w, "currency", currency_code(m->currency, code));
        card_chart(m, &m->value, "money spent in the hold-out, a buyer, in minor units", w);
        jsonw_end(w, '}');
    }
    card_head(m, SCORE_RECENCY, "rfm", version, at_ms, w);
    jsonw_key_str(w, "note", S("recency, frequency and monetary are places among all buyers, not forecasts"));
    jsonw_end(w, '}');
    jsonw_end(w, ']');
}
