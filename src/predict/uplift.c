/* SPDX-License-Identifier: Apache-2.0
 *
 * uplift.c - how much of what happens was caused, among the people taken first.
 *
 * Of the first k by score, with t treated and c not, extra outcomes are hits_t - hits_c * t / c
 * (Radcliffe 2007): what was had with treatment less what as many would have given without. Qini is
 * the mean height of that curve over the straight line to its end, in outcomes a treated person. */
#include <stdlib.h>

#include "predict/inside.h"

struct taken { f64 treated, others, hits, other_hits; };

static void take_some(struct taken *t, const struct uplift_row *row, u32 times)
{
    if (row->treated) { t->treated += times; t->hits += row->outcome ? times : 0; }
    else { t->others += times; t->other_hits += row->outcome ? times : 0; }
}

static f64 extra(const struct taken *t)
{
    return t->hits - (t->others > 0 ? t->other_hits * t->treated / t->others : 0);
}

f64 qini(const struct uplift_row *at, isize n, const u32 *order, const u32 *times)
{
    struct taken t = { 0 };
    f64 area = 0, taken = 0;
    for (isize i = 0; i < n; i++) {
        u32 here = times ? times[order[i]] : 1;
        f64 before = extra(&t);
        take_some(&t, &at[order[i]], here);
        area += here * (before + extra(&t)) / 2;
        taken += here;
    }
    if (taken == 0 || t.treated == 0) return 0;
    return (area / taken - extra(&t) / 2) / t.treated;
}

f64 uplift_at(const struct uplift_row *at, isize n, const u32 *order, const u32 *times, f64 share)
{
    struct taken t = { 0 };
    f64 most = 0, taken = 0;
    for (isize i = 0; i < n; i++) most += times ? times[i] : 1;
    for (isize i = 0; i < n && taken < most * share; i++) {
        u32 here = times ? times[order[i]] : 1;
        take_some(&t, &at[order[i]], here);
        taken += here;
    }
    return t.treated > 0 && t.others > 0 ? t.hits / t.treated - t.other_hits / t.others : 0;
}

/* ---- which learner --------------------------------------------------------------------------- */

enum { QINI_TWO, QINI_RESPONSE, DIFFERENCE, TOP_TWO, TOP_RESPONSE, EFFECT, UPLIFT_MEASURES };
static const char *const measure_names[] = { "qini_two_model",     "qini_response",
                                             "qini_difference",    "uplift@30_two_model",
                                             "uplift@30_response", "effect" };

const char *uplift_learner_name(u8 learner) { return learner == UPLIFT_TWO_MODEL ? "two_model" : "response"; }

static void uplift_measure(const void *ctx, const u32 *times, f64 *out)
{
    const struct uplift_judgement *j = ctx;
    out[QINI_TWO] = qini(j->rows[UPLIFT_TWO_MODEL], j->n, j->order[UPLIFT_TWO_MODEL], times);
    out[QINI_RESPONSE] = qini(j->rows[UPLIFT_RESPONSE], j->n, j->order[UPLIFT_RESPONSE], times);
    out[DIFFERENCE] = out[QINI_TWO] - out[QINI_RESPONSE];
    out[TOP_TWO] = uplift_at(j->rows[UPLIFT_TWO_MODEL], j->n, j->order[UPLIFT_TWO_MODEL], times, .3);
    out[TOP_RESPONSE] = uplift_at(j->rows[UPLIFT_RESPONSE], j->n, j->order[UPLIFT_RESPONSE], times, .3);
    out[EFFECT] = uplift_at(j->rows[UPLIFT_TWO_MODEL], j->n, j->order[UPLIFT_TWO_MODEL], times, 1);
}

struct ranked_row { f64 score; u32 drawn, row; };

static int best_first(const void *left, const void *right)
{
    const struct ranked_row *a = left, *b = right;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return (a->drawn > b->drawn) - (a->drawn < b->drawn);
}

/* Rows by score, best first; a tie as drawn, so that no order of the rows helps. */
static u32 *order_of(const struct uplift_row *at, isize n, u64 seed, arena *a)
{
    struct rng rng = rng_seed(seed);
    u32 *order = arena_new(a, u32, n + 1);
    struct ranked_row *by = arena_new(a, struct ranked_row, n + 1);
    draw_order(order, n, &rng);
    for (isize i = 0; i < n; i++) by[i] = (struct ranked_row){ at[order[i]].score, (u32)i, order[i] };
    if (n) qsort(by, (size_t)n, sizeof *by, best_first);
    for (isize i = 0; i < n; i++) order[i] = by[i].row;
    return order;
}

static void judge_folds(const struct uplift_question *q, struct uplift_judgement *j, arena *a)
{
    isize n = q->sheet->rows;
    u32 *with = arena_new(a, u32, n + 1), *without = arena_new(a, u32, n + 1),
        *test = arena_new(a, u32, n + 1);
    f64 *said_with = arena_new(a, f64, n + 1), *said_without = arena_new(a, f64, n + 1);
    for (isize k = 0; k < q->folds; k++) {
        isize with_n = 0, without_n = 0, test_n = 0;
        for (isize i = 0; i < n; i++) {
            if (q->fold[i] == k) test[test_n++] = (u32)i;
            else if (q->treated[i]) with[with_n++] = (u32)i;
            else without[without_n++] = (u32)i;
        }
        logistic_run(q->sheet, q->skip, q->outcome, with, with_n, test, test_n, q->seed, q->taste, said_with);
        logistic_run(q->sheet, q->skip, q->outcome, without, without_n, test, test_n, q->seed,
                     q->taste, said_without);
        for (isize i = 0; i < test_n; i++) {
            u32 row = test[i];
            j->rows[UPLIFT_TWO_MODEL][j->n] =
                (struct uplift_row){ said_with[i] - said_without[i], q->treated[row],
                                     q->outcome[row] };
            j->rows[UPLIFT_RESPONSE][j->n++] =
                (struct uplift_row){ said_with[i], q->treated[row], q->outcome[row] };
        }
    }
}

struct uplift_judgement uplift_judge(const struct uplift_question *q, arena *a)
{
    struct uplift_judgement j = { 0 };
    for (int l = 0; l < 2; l++) j.rows[l] = arena_new(a, struct uplift_row, q->sheet->rows + 1);
    judge_folds(q, &j, a);
    for (int l = 0; l < 2; l++) j.order[l] = order_of(j.rows[l], j.n, q->seed, a);
    j.measures = (struct estimates){ .names = measure_names, .n = UPLIFT_MEASURES };
    bootstrap(uplift_measure, &j, j.n, q->seed, q->resamples, j.measures.n, j.measures.at, a);
    const struct estimate *difference = &j.measures.at[DIFFERENCE];
    j.chosen = difference->value > 0 ? UPLIFT_TWO_MODEL : UPLIFT_RESPONSE;
    j.sure = difference->low > 0 || difference->high < 0;
    return j;
}
