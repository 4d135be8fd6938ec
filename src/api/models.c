/* SPDX-License-Identifier: Apache-2.0
 *
 * models.c - /v1/models: the card of what recommends now. What it learnt from, how good it was on what it had not seen, what it
 * costs. A reader's glance at one published struct: no job, no lock. */
#include "api/inside.h"
#include "base/rcu.h"

static void print_measure(struct jsonw *w, const struct model_card *card)
{
    jsonw_key_begin(w, "held_out", '{');
    jsonw_key_str(w, "protocol", S("Every prefix of the latest tenth of sessions and baskets (at most some hundreds of them) predicts its next "
                                   "item, by a model of the others. Full ranking; ties count against the model."));
    jsonw_key_int(w, "questions", card->questions);
    jsonw_key_num(w, "hr@20", card->hr20);
    jsonw_key_num(w, "mrr@20", card->mrr20);
    jsonw_key_num(w, "ndcg@20", card->ndcg20);
    jsonw_end(w, '}');
}

void models_get(struct call *call)
{
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct model *model = atomic_load(&call->api->live->model);
    struct model_card card = model ? model_card(model) : (struct model_card){ 0 };
    bool there = model != NULL;
    rcu_read_end();
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "models", '[');
    if (there) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", S("recommend"));
        jsonw_key_time(w, "from", card.from_ms);
        jsonw_key_time(w, "to", card.to_ms);
        jsonw_key_int(w, "interactions", card.interactions);
        jsonw_key_int(w, "sessions", card.sessions);
        jsonw_key_int(w, "items", card.items);
        jsonw_key_int(w, "ease_items", card.ease_items);
        jsonw_key_int(w, "factor_people", card.als_people);
        jsonw_key_int(w, "bytes", card.bytes);
        jsonw_key_num(w, "seconds", (f64)card.took_us / 1e6);
        if (card.questions) print_measure(w, &card);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    reply_json(call);
}

static void evaluate_now(struct call *call)
{
    struct placement_evaluation e;
    struct diag diag = { .arena = call->a };
    call->err = fold_evaluate(call->api->fold, call->params[0], call->a, &e, &diag);
    if (call->err) buf_add(&call->out, diag.what);
    else placement_evaluation_print(&e, &call->w);
}

/* As long as a training takes: on the jobs thread. */
void placement_evaluation_get(struct call *call) { ask_jobs(call, evaluate_now); }
