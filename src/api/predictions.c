/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.c - the cards of what is predicted, and a person's scores with their reasons.
 *
 * A card was written when its models were fitted and stands in the log, so it is answered as it was
 * written. Intent is learnt online and has its card in memory. What there is too little data for
 * says how much is needed. */
#include <math.h>
#include <stdio.h>

#include "api/admin.h"

#include "base/rcu.h"

static void print_choice(struct jsonw *w, const char *model, const struct goodness *g, bool chosen)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "model", str_of(model));
    jsonw_key_num(w, "auc", g->auc);
    jsonw_key_num(w, "log_loss", g->log_loss);
    jsonw_key_bool(w, "chosen", chosen);
    jsonw_end(w, '}');
}

static void print_intent_card(const struct outlook *o, struct jsonw *w)
{
    const struct intent_card *c = &o->intent_card;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", S("intent"));
    jsonw_key_str(w, "title", str_of(score_text(SCORE_INTENT)));
    jsonw_key_bool(w, "enough", o->intent != NULL);
    if (!o->intent) {
        char why[160];
        (void)snprintf(
            why, sizeof why,
            "not enough data: %td visits of which %td ended in an order; %d and %d are needed",
            c->visits, c->orders, INTENT_VISITS_MIN, INTENT_ORDERS_MIN);
        jsonw_key_str(w, "why", str_of(why));
        jsonw_end(w, '}');
        return;
    }
    jsonw_key_str(w, "model", str_of(c->model));
    jsonw_key_int(w, "version", o->made_ms);
    jsonw_key_time(w, "made_at", o->made_ms);
    jsonw_key_begin(w, "learnt_from", '{');
    jsonw_key_int(w, "visits", c->visits);
    jsonw_key_int(w, "orders", c->orders);
    jsonw_key_time(w, "from", c->from_ms);
    jsonw_key_time(w, "to", c->to_ms);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "measures", '{');
    jsonw_key_num(w, "auc", c->goodness.auc);
    jsonw_key_num(w, "brier", c->goodness.brier);
    jsonw_key_num(w, "brier_base", c->goodness.base_brier);
    jsonw_key_num(w, "log_loss", c->goodness.log_loss);
    jsonw_key_num(w, "log_loss_base", c->goodness.base_log_loss);
    jsonw_key_num(w, "rate", c->goodness.rate);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "choice", '{');
    jsonw_key_str(
        w, "by",
        c->trees_tried ? S(
            "log-loss in the later half of visits, of which the trees saw none and the logistic model each once it was over")
                       : S("boosted trees are tried from 2,000 visits on"));
    jsonw_key_begin(w, "of", '[');
    print_choice(w, "ftrl_logistic", &c->logistic, strcmp(c->model, "ftrl_logistic") == 0);
    if (c->trees_tried) print_choice(w, "boosted_trees", &c->trees, strcmp(c->model, "boosted_trees") == 0);
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    jsonw_key_str(
        w, "chart_of",
        S("the chance of an order in the visit, said before it was known, in the later half of visits"));
    jsonw_key_int(w, "judged", c->goodness.n);
    jsonw_key(w, S("calibration"));
    calibration_print(&c->calibration, w);
    jsonw_end(w, '}');
}

static void print_missing(struct jsonw *w, str why)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", S("churn"));
    jsonw_key_str(w, "title", str_of(score_text(SCORE_CHURN)));
    jsonw_key_bool(w, "enough", false);
    jsonw_key_str(w, "why", why);
    jsonw_end(w, '}');
}

/* Campaigns whose uplift is learnt: the card in force, or what is missing. */
static void print_uplifts(struct call *call, const struct card *cards, isize n, const struct outlook *o)
{
    struct jsonw *w = &call->w;
    const struct book *book = atomic_load(&call->api->live->book);
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        const struct missing_uplift *missing = NULL;
        const struct json *card = NULL;
        if (!c->uplift.wanted) continue;
        str score = arena_printf(call->a, UPLIFT_PREFIX "%.*s", STR_FMT(c->key));
        for (isize k = 0; o && k < o->missing_n; k++)
            if (str_eq(o->missing[k].key, c->key)) missing = &o->missing[k];
        for (isize k = n - 1; !missing && !card && k >= 0; k--) {
            bool of_one = str_starts(cards[k].json, S("{"))
                          && json_parse(call->a, cards[k].json, &card, NULL) == ERR_OK;
            if (!of_one || !str_eq(json_str(json_get(card, S("score")), S("")), score)) card = NULL;
        }
        if (card) { jsonw_value(w, card); continue; }
        jsonw_begin(w, '{');
        jsonw_key_str(w, "score", score);
        jsonw_key_str(w, "title", c->title);
        jsonw_key_bool(w, "enough", false);
        jsonw_key_str(w, "why", missing ? missing->why : S("the first run has not ended yet"));
        if (missing) lift_counts_print(&missing->counts, w);
        jsonw_end(w, '}');
    }
}

static void answer_predictions(struct call *call, struct fold *fold)
{
    isize n, at;
    struct jsonw *w = &call->w;
    const struct card *cards = fold_cards(fold, &n);
    const struct json *latest = NULL;
    rcu_read_begin();
    const struct outlook *o = atomic_load_explicit(&call->api->live->outlook, memory_order_acquire);
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "predictions", '[');
    for (at = n - 1; at >= 0 && !str_starts(cards[at].json, S("["));) at--;
    if (at >= 0 && json_parse(call->a, cards[at].json, &latest, NULL) == ERR_OK)
        json_each (card, latest) jsonw_value(w, card);
    else print_missing(w, o && o->why.len ? o->why : S("the first run has not ended yet"));
    if (o) print_intent_card(o, w);
    print_uplifts(call, cards, n, o);
    jsonw_end(w, ']');
    jsonw_key_int(w, "versions", n);
    jsonw_end(w, '}');
    rcu_read_end();
}

void predictions_get(struct call *call) { ask_fold(call, answer_predictions); }

/* ---- a person's ------------------------------------------------------------------------------ */

static void print_score(struct call *call, const struct scores *s, u8 score)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", str_of(score_name(score)));
    jsonw_key_str(w, "title", str_of(score_text(score)));
    jsonw_key(w, S("value"));
    if (score_is_money(score)) print_money(w, (struct money){ (i64)s->value[score], { s->currency } });
    else jsonw_num(w, round((f64)s->value[score] * 1e4) / 1e4);
    jsonw_key_time(w, "at", s->at_ms);
    jsonw_key_int(w, "version", s->version);
    jsonw_key_begin(w, "reasons", '[');
    for (isize i = 0; i < s->reasons_n; i++) {
        if (s->reasons[i].score != score) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "code", str_of(score_reason_name(s->reasons[i].code)));
        jsonw_key_str(w, "text", score_reason_text(call->a, s->reasons[i], (currency){ s->currency }));
        jsonw_key_num(w, "number", (f64)s->reasons[i].number);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void print_uplift_scores(struct call *call, const struct scores *s)
{
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    for (isize i = 0; i < s->uplifts_n; i++) {
        const struct uplift_score *u = &s->uplifts[i];
        const struct campaign *c = NULL;
        for (isize k = 0; k < book->campaigns_n && !c; k++)
            if (uplift_campaign(book->campaigns[k].key) == u->campaign) c = &book->campaigns[k];
        if (!c) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "score", arena_printf(call->a, UPLIFT_PREFIX "%.*s", STR_FMT(c->key)));
        jsonw_key_str(w, "title", c->title);
        jsonw_key_num(w, "value", round((f64)u->value * 1e4) / 1e4);
        jsonw_key_time(w, "at", s->at_ms);
        jsonw_key_int(w, "version", s->version);
        jsonw_key_begin(w, "reasons", '[');
        for (isize k = 0; k < countof(u->because); k++) {
            struct score_reason reason = { 0, u->because[k].code, u->because[k].number };
            if (k && reason.code == u->because[0].code) continue;
            jsonw_begin(w, '{');
            jsonw_key_str(w, "code", str_of(score_reason_name(reason.code)));
            jsonw_key_str(w, "text", score_reason_text(call->a, reason, (currency){ s->currency }));
            jsonw_key_num(w, "number", (f64)reason.number);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    rcu_read_end();
}

static void print_intent(struct call *call, const struct profile *p)
{
    struct jsonw *w = &call->w;
    struct intent_reason reasons[4];
    i64 now_ms = clock_now(call->api->clock);
    rcu_read_begin();
    const struct outlook *o = atomic_load_explicit(&call->api->live->outlook, memory_order_acquire);
    f64 chance = o ? intent_of(o->intent, p->history, p->history_n, now_ms) : -1;
    isize n = chance < 0 ? 0
                         : intent_reasons(o->intent, p->history, p->history_n, now_ms, reasons,
                                          countof(reasons));
    i64 version = o ? o->made_ms : 0;
    rcu_read_end();
    if (chance < 0) return;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", S("intent"));
    jsonw_key_str(w, "title", str_of(score_text(SCORE_INTENT)));
    jsonw_key_num(w, "value", round(chance * 1e4) / 1e4);
    jsonw_key_time(w, "at", now_ms);
    jsonw_key_int(w, "version", version);
    jsonw_key_begin(w, "reasons", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "code", S("did"));
        jsonw_key_str(w, "text",
                      arena_printf(call->a, "%s: %s", reasons[i].name,
                                   reasons[i].weight > 0 ? "more likely" : "less likely"));
        jsonw_key_num(w, "number", reasons[i].weight);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void print_predictions(struct call *call, const struct profile *p)
{
    jsonw_key_begin(&call->w, "predictions", '[');
    for (u8 i = 0; p->scores && i < SCORE_INTENT; i++)
        if (p->scores->known >> i & 1) print_score(call, p->scores, i);
    if (p->scores) print_uplift_scores(call, p->scores);
    print_intent(call, p);
    jsonw_end(&call->w, ']');
}
