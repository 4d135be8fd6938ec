/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - how well a placement's strategy would have guessed what people of this shop did next.
 *
 * The log is cut by time: nine tenths of the visits begin before the cut. A model is made of what
 * was done before it and nothing else; of each visit that begins after it every next item is asked
 * for, with what was done before in that visit as the history. Beside the strategy stand the
 * engine's own mix and what is popular, on the same questions and the same model. What
 * merchandisers wish (filter, stock, pins, boosts) is of today and not of then, so it is left out:
 * this measures the mix.
 *
 * hr@10: the item is on a list of ten; mrr@10: one over its place. Ties count against us. Intervals
 * are 2.5 and 97.5 per cent of a bootstrap over visits (questions of one visit go together),
 * seeded: the same log gives the same numbers.
 */
#include <stdlib.h>

#include "base/rcu.h"
#include "fold/inside.h"

enum { LIST = 10, QUESTIONS_MAX = 5000, RESAMPLES = 400, LEAST_VISITS = 20 };

struct visit { isize from, to; f64 hr[PLACEMENT_ROWS], mrr[PLACEMENT_ROWS]; isize questions; };
struct visits { const struct visit *at; isize n; };

static int by_session(const void *left, const void *right)
{
    const struct interaction *a = left, *b = right;
    if (a->session != b->session) return a->session < b->session ? -1 : 1;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

static int by_time(const void *left, const void *right)
{
    i64 a = *(const i64 *)left, b = *(const i64 *)right;
    return a < b ? -1 : a > b;
}

/* The instant before which nine tenths of the visits begin. */
static i64 cut_of(const struct interaction *all, isize n, arena *a)
{
    i64 *begins = arena_new(a, i64, n);
    isize visits = 0;
    for (isize i = 0; i < n; i++)
        if (i == 0 || all[i].session != all[i - 1].session) begins[visits++] = all[i].at_ms;
    qsort(begins, (size_t)visits, sizeof *begins, by_time);
    return visits ? begins[visits * 9 / 10] : 0;
}

static void ask_visit(const struct model *model, const struct recommend_query *rows,
                      const struct lessons_of_all *lessons, struct visit *v, arena *a)
{
    const struct interaction *all = lessons->at;
    struct place where = lessons->places[all[v->from].place];
    struct history_entry *history = arena_new(a, struct history_entry, v->to - v->from);
    isize n = 0;
    for (isize i = v->from; i < v->to; i++) {
        bool content = all[i].kind == INTERACTION_CONTENT;
        if (n && history[n - 1].item == all[i].item) continue;
        bool wanted = content == rows[0].content;
        for (isize r = 0; n && wanted && r < PLACEMENT_ROWS; r++) {
            struct arena_mark mark = arena_mark(a);
            struct recommend_query q = rows[r];
            struct recommended *list;
            q.history = history;
            q.history_n = n;
            q.now_ms = all[i].at_ms;
            q.store = where.store;
            q.country = where.country;
            isize found = recommend(model, &q, a, &list), at = 0, place = 0;
            while (at < found && list[at].item != all[i].item) at++;
            for (isize k = 0; at < found && k < found; k++) place += list[k].score >= list[at].score;
            if (place) { v->hr[r] += 1; v->mrr[r] += 1 / (f64)place; }
            arena_reset(a, mark);
        }
        v->questions += n && wanted;
        history[n++] =
            (struct history_entry){ .at_ms = all[i].at_ms,
                                    .item = all[i].item,
                                    .quantity = 1,
                                    .type = content ? EVENT_CONTENT_VIEWED : EVENT_PRODUCT_VIEWED };
    }
}

/* Rows' hit rates, then their reciprocal ranks. */
static void take_means(const void *ctx, const u32 *times, f64 *out)
{
    const struct visits *v = ctx;
    f64 questions = 0;
    for (isize i = 0; i < v->n; i++) {
        questions += (f64)times[i] * (f64)v->at[i].questions;
        for (isize r = 0; r < PLACEMENT_ROWS; r++) {
            out[r] += times[i] * v->at[i].hr[r];
            out[PLACEMENT_ROWS + r] += times[i] * v->at[i].mrr[r];
        }
    }
    for (isize m = 0; m < 2 * PLACEMENT_ROWS && questions > 0; m++) out[m] /= questions;
}

/* The strategy's mix, the engine's own, and popularity; false when there is no such placement or it
 * names no strategy. */
static bool read_rows(const struct live *live, str placement, struct recommend_query *rows,
                      arena *a, str *strategy, bool *by_hand)
{
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    const struct placement *p = book_placement(book, placement);
    const struct strategy *s = p && p->strategy.len ? book_strategy(book, p->strategy) : NULL;
    bool found = p && p->strategy.len;
    if (found) *strategy = arena_str(a, p->strategy);
    *by_hand = s && (s->by_hand || s->query.content);
    struct recommend_query own = s ? s->query : (struct recommend_query){ 0 };
    rcu_read_end();
    struct recommend_query usual = { .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC,
                                              RECOMMENDER_TRENDING },
                                     .mix_n = 3,
                                     .content = own.content };
    struct recommend_query popular = { .mix = { RECOMMENDER_POPULAR }, .mix_n = 1, .content = own.content };
    rows[PLACEMENT_OWN] = own.mix_n ? own : usual;
    rows[PLACEMENT_USUAL] = usual;
    rows[PLACEMENT_POPULAR] = popular;
    for (isize r = 0; r < PLACEMENT_ROWS; r++) {
        rows[r].limit = LIST;
        rows[r].unexplained = true;
        for (isize g = 0; g < GROUPINGS; g++) rows[r].max_per_group[g] = 0;
    }
    return found;
}

/* As decisions have it: a mix that does not pay on the latest tenth of what the model knows leaves
 * its place to its lead. */
static void keep_leads(struct model *model, bool by_hand, struct recommend_query *rows,
                       const struct interaction *before, isize n)
{
    struct mixed mixes[PLACEMENT_ROWS] = { 0 };
    for (isize r = 0; r < PLACEMENT_ROWS; r++) {
        mixes[r].mix_n = rows[r].mix_n;
        memcpy(mixes[r].mix, rows[r].mix, sizeof mixes[r].mix);
        memcpy(mixes[r].weight, rows[r].weight, sizeof mixes[r].weight);
    }
    model_measure(model, before, n, mixes, PLACEMENT_ROWS, NULL);
    for (isize r = by_hand ? PLACEMENT_USUAL : PLACEMENT_OWN; r < PLACEMENT_ROWS; r++)
        model_keep_lead(model, &rows[r]);
}

enum err fold_evaluate(struct fold *fold, str placement, arena *a, struct placement_evaluation *out,
                       struct diag *diag)
{
    struct recommend_query rows[PLACEMENT_ROWS];
    bool by_hand;
    *out = (struct placement_evaluation){ .placement = placement };
    if (!read_rows(&fold->live, placement, rows, a, &out->strategy, &by_hand))
        return diag_set(diag, ERR_NOT_FOUND, "there is no placement \"%.*s\" with a strategy",
                        STR_FMT(placement));
    struct lessons_of_all lessons = builder_interactions(fold);
    struct interaction *all = lessons.at;
    isize n = lessons.n;
    qsort(all, (size_t)n, sizeof *all, by_session);
    out->cut_ms = cut_of(all, n, a);
    struct visit *visits = arena_new(a, struct visit, n + 1);
    struct interaction *before = arena_new(a, struct interaction, n + 1);
    isize visits_n = 0;
    for (isize i = 0, next; i < n; i = next) {
        for (next = i; next < n && all[next].session == all[i].session; next++) {}
        if (all[i].at_ms >= out->cut_ms && all[i].kind != INTERACTION_PURCHASED) {
            if (next - i > 1) visits[visits_n++] = (struct visit){ .from = i, .to = next };
            continue;
        }
        for (isize k = i; k < next; k++)
            if (all[k].at_ms < out->cut_ms) before[out->train++] = all[k];
    }
    u32 items = (u32)catalog_count(fold->live.catalog) + 1;
    struct recommend_options options = recommend_defaults();
    options.memory_bytes = (isize)fold->config->train_mb << 20;
    options.places = lessons.places;
    options.places_n = lessons.places_n;
    for (isize r = 0; r < PLACEMENT_ROWS; r++) options.only |= query_recommenders(&rows[r]);
    struct model *model =
        visits_n >= LEAST_VISITS
            ? model_build(before, out->train, items, out->cut_ms, &options, fold->live.catalog)
            : NULL;
    if (model) keep_leads(model, by_hand, rows, before, out->train);
    for (isize i = 0; model && i < visits_n && out->questions < QUESTIONS_MAX; i++) {
        ask_visit(model, rows, &lessons, &visits[i], a);
        out->questions += visits[i].questions;
        out->visits++;
    }
    model_free(model);
    lessons_of_all_free(&lessons);
    if (out->questions == 0)
        return diag_set(diag, ERR_REFUSED,
                        "%td visits of two items or more after the cut, at least %d are needed",
                        visits_n, LEAST_VISITS);
    struct estimate measures[2 * PLACEMENT_ROWS];
    struct visits asked = { visits, out->visits };
    bootstrap(take_means, &asked, asked.n, 1, RESAMPLES, countof(measures), measures, a);
    memcpy(out->hr10, measures, sizeof out->hr10);
    memcpy(out->mrr10, measures + PLACEMENT_ROWS, sizeof out->mrr10);
    return ERR_OK;
}

static const char *const names[PLACEMENT_ROWS] = { "strategy", "usual_mix", "popular" };
static void print_measure(struct jsonw *w, const char *name, const struct estimate *m)
{
    jsonw_key_begin(w, name, '{');
    jsonw_key_num(w, "value", m->value);
    jsonw_key_num(w, "low", m->low);
    jsonw_key_num(w, "high", m->high);
    jsonw_end(w, '}');
}

void placement_evaluation_print(const struct placement_evaluation *e, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(
        w, "protocol",
        S("Split by time: nine tenths of the visits begin before the cut and are learnt from. In each later visit every next item "
          "is asked for, among all items, with that visit so far as the history. Filters, stock, pins and boosts are left out. "
          "Ties count against the list. Intervals: bootstrap over visits."));
    jsonw_key_str(w, "placement", e->placement);
    jsonw_key_str(w, "strategy", e->strategy);
    jsonw_key_time(w, "cut", e->cut_ms);
    jsonw_key_int(w, "train_interactions", e->train);
    jsonw_key_int(w, "test_visits", e->visits);
    jsonw_key_int(w, "questions", e->questions);
    jsonw_key_begin(w, "metrics", '{');
    for (isize r = 0; r < PLACEMENT_ROWS; r++) {
        jsonw_key_begin(w, names[r], '{');
        print_measure(w, "hr@10", &e->hr10[r]);
        print_measure(w, "mrr@10", &e->mrr10[r]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}
