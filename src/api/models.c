/* SPDX-License-Identifier: Apache-2.0
 *
 * models.c - /v1/models: the card of what recommends now. What it learnt from, how good it was on
 * what it had not seen, what it costs; how far the next one is; and for each row of a placement
 * what its recommenders count, and why. A reader's glance at published structs: no job, no lock. */
#include <math.h>

#include "api/inside.h"
#include "base/rcu.h"

static void print_measure(struct jsonw *w, const struct model_card *card)
{
    jsonw_key_begin(w, "held_out", '{');
    jsonw_key_str(
        w, "protocol",
        S("Every prefix of the latest tenth of sessions and baskets (at most some hundreds of them) predicts its next "
          "item, by a model of the others. Full ranking; ties count against the model."));
    jsonw_key_int(w, "questions", card->questions);
    jsonw_key_num(w, "hr@20", card->hr20);
    jsonw_key_num(w, "mrr@20", card->mrr20);
    jsonw_key_num(w, "ndcg@20", card->ndcg20);
    jsonw_end(w, '}');
}

static void print_weights(struct jsonw *w, const char *name, const u8 *mix, isize n, const f64 *weight)
{
    f64 sum = 0;
    for (isize i = 0; i < n; i++) sum += weight[mix[i]];
    jsonw_key_begin(w, name, '{');
    for (isize i = 0; i < n; i++)
        jsonw_key_num(w, recommender_name(mix[i]), round(weight[mix[i]] / sum * 1e4) / 1e4);
    jsonw_end(w, '}');
}

static const struct lesson_of_mix *lesson_of(const struct lessons *lessons,
                                             const struct strategy *s, const struct placement *p)
{
    for (isize i = 0; lessons && i < lessons->n; i++) {
        const struct lesson_of_mix *l = &lessons->at[i];
        if (l->strategy == strategy_hash(s->key) && l->placement == p->number
            && l->mix == strategy_mix(s))
            return l;
    }
    return NULL;
}

static void print_learnt(struct jsonw *w, const struct learnt_mix *m)
{
    jsonw_key_begin(w, "learnt", '{');
    jsonw_key_int(w, "version", m->version);
    jsonw_key_time(w, "at", m->at_ms);
    jsonw_key_time(w, "from", m->from_ms);
    jsonw_key_time(w, "to", m->to_ms);
    jsonw_key_int(w, "impressions", m->showings);
    jsonw_key_int(w, "clicks", m->clicks);
    jsonw_key_num(w, "log_loss", m->loss_learnt);
    jsonw_key_num(w, "log_loss_defaults", m->loss_defaults);
    jsonw_key_num(w, "standard_errors", m->sureness);
    jsonw_end(w, '}');
}

static void print_lesson(struct jsonw *w, const struct lesson_of_mix *l)
{
    const struct weighing *g = &l->weighing;
    jsonw_key_begin(w, "latest", '{');
    jsonw_key_str(w, "verdict", str_of(weighing_name(g->verdict)));
    jsonw_key_time(w, "at", l->at_ms);
    jsonw_key_int(w, "impressions", g->showings);
    jsonw_key_int(w, "impressions_needed", SHOWINGS_LEAST);
    jsonw_key_int(w, "clicks", g->clicks);
    jsonw_key_int(w, "clicks_needed", CLICKS_LEAST);
    if (g->verdict != WEIGHING_TOO_LITTLE) {
        jsonw_key_num(w, "log_loss", g->loss_learnt);
        jsonw_key_num(w, "log_loss_defaults", g->loss_defaults);
        jsonw_key_num(w, "standard_errors", g->sureness);
        jsonw_key_int(w, "people_held_out", g->people_held);
    }
    jsonw_end(w, '}');
}

/* Whether the mix pays over its best recommender alone. */
static void print_mixed(struct jsonw *w, const struct mixed *m)
{
    jsonw_key_begin(w, "held_out", '{');
    jsonw_key_int(w, "questions", m->questions);
    jsonw_key_int(w, "questions_needed", GUARD_LEAST);
    jsonw_key_num(w, "ndcg@20", m->ndcg20);
    jsonw_key_str(w, "lead", str_of(recommender_name(m->lead)));
    jsonw_key_num(w, "lead_ndcg@20", m->lead_ndcg20);
    jsonw_key_bool(w, "lead_alone", m->alone);
    jsonw_end(w, '}');
}

/* What the recommenders of one placement's row count, where from. */
static void print_row(struct jsonw *w, const struct placement *p, const struct strategy *s,
                      const struct lessons *lessons, const struct model *model)
{
    f64 usual[RECOMMENDERS], now[RECOMMENDERS];
    const struct learnt_mix *m = strategy_learnt(s, p->number);
    const struct lesson_of_mix *lesson = s->learns ? lesson_of(lessons, s, p) : NULL;
    recommend_weights(s->query.mix, s->query.mix_n, s->query.weight, usual);
    const struct mixed *mixed =
        s->by_hand || s->query.content
            ? NULL
            : model_mixed(model, s->query.mix, s->query.mix_n, s->query.weight);
    bool alone = !m && mixed && mixed->alone;
    for (u8 r = 0; r < RECOMMENDERS; r++) now[r] = m ? m->parts[r] : alone ? r == mixed->lead : usual[r];
    jsonw_begin(w, '{');
    jsonw_key_str(w, "placement", p->key);
    jsonw_key_str(w, "strategy", s->key);
    jsonw_key_str(w, "weights",
                  m            ? S("learnt")
                  : s->by_hand ? S("by_hand")
                  : alone      ? S("lead_alone")
                               : S("defaults"));
    jsonw_key_bool(w, "learns", s->learns);
    print_weights(w, "in_force", s->query.mix, s->query.mix_n, now);
    print_weights(w, "defaults", s->query.mix, s->query.mix_n, usual);
    if (mixed) print_mixed(w, mixed);
    if (m) print_learnt(w, m);
    if (lesson) print_lesson(w, lesson);
    jsonw_end(w, '}');
}

static void print_rows(struct jsonw *w, const struct book *book, const struct lessons *lessons,
                       const struct model *model)
{
    jsonw_key_begin(w, "weights", '[');
    for (isize i = 0; i < book->placements_n; i++) {
        const struct strategy *s = book->placements[i].strategy.len
                                       ? book_strategy(book, book->placements[i].strategy)
                                       : NULL;
        if (s) print_row(w, &book->placements[i], s, lessons, model);
    }
    jsonw_end(w, ']');
}

/* What the builder is at, how far, and since when. */
static void print_training(struct jsonw *w, const struct live *live, i64 now_ms)
{
    static const char *const stages[] = { "idle", "reading_histories", "quick_model", "whole_model",
                                          "measuring" };
    struct training *t = (struct training *)(uintptr_t)&live->training;
    u32 stage = atomic_load(&t->stage);
    isize most = people_most(live->people);
    f64 done = stage == TRAINING_READING ? (most ? (f64)atomic_load(&t->people) / (f64)most : 1)
               : stage == TRAINING_QUICK || stage == TRAINING_WHOLE
                   ? (f64)atomic_load(&t->steps) / BUILD_STEPS
                   : 0;
    jsonw_key_begin(w, "training", '{');
    jsonw_key_bool(w, "running", stage != TRAINING_IDLE);
    jsonw_key_str(w, "stage", str_of(stages[stage]));
    if (stage != TRAINING_IDLE) {
        jsonw_key_num(w, "done", done > 1 ? 1 : done);
        jsonw_key_time(w, "since", now_ms - (clock_monotonic_us() - atomic_load(&t->since_us)) / 1000);
    }
    jsonw_end(w, '}');
}

/* What each recommender is: there, or not yet though it is named, or not asked for. */
static void print_built(struct jsonw *w, u32 built, u32 named)
{
    jsonw_key_begin(w, "recommenders", '{');
    for (u8 r = 0; r < RECOMMENDERS; r++)
        jsonw_key_str(w, recommender_name(r),
                      built >> r & 1   ? S("built")
                      : named >> r & 1 ? S("not built yet")
                                       : S("not asked for"));
    jsonw_end(w, '}');
}

void models_get(struct call *call)
{
    struct jsonw *w = &call->w;
    rcu_read_begin();
    const struct model *model = atomic_load(&call->api->live->model);
    struct model_card card = model ? model_card(model) : (struct model_card){ 0 };
    bool there = model != NULL;
    u32 named = atomic_load(&call->api->live->book)->recommenders | atomic_load(&call->api->live->wanted);
    jsonw_begin(w, '{');
    print_training(w, call->api->live, clock_now(call->api->clock));
    print_rows(w, atomic_load(&call->api->live->book), atomic_load(&call->api->live->lessons), model);
    rcu_read_end();
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
        print_built(w, card.built, named);
        jsonw_key_int(w, "countries", card.countries);
        jsonw_key_int(w, "stores", card.stores);
        jsonw_key_int(w, "bytes", card.bytes);
        jsonw_key_int(w, "memory_limit_bytes", card.memory_limit);
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
