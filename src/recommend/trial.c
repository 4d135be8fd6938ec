/* SPDX-License-Identifier: Apache-2.0
 *
 * trial.c - one question whose answer is known, put the way serving would be asked.
 *
 * A session's prefix is a history a second apart; a basket is a cart; a sequence and a long history
 * are histories whose items may not come back. What is measured is recommend() itself. */
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

struct asked { const u32 *barred; isize barred_n; };

static int ascending(const void *left, const void *right)
{
    u32 a = *(const u32 *)left, b = *(const u32 *)right;
    return (a > b) - (a < b);
}

static bool is_not_barred(void *ctx, u32 item)
{
    const struct asked *asked = ctx;
    isize low = 0, high = asked->barred_n;
    while (low < high) {
        isize middle = (low + high) / 2;
        if (asked->barred[middle] < item) low = middle + 1;
        else high = middle;
    }
    return low == asked->barred_n || asked->barred[low] != item;
}

isize trial_ask(const struct ask *ask, const struct trial *trial, isize limit, arena *a,
                struct recommended **out)
{
    struct recommend_query q = { .now_ms = DAY_MS,
                                 .limit = limit,
                                 .unexplained = true,
                                 .mix_n = ask->mix_n,
                                 .latest_score = ask->latest_score };
    memcpy(q.mix, ask->mix, (size_t)ask->mix_n);
    memcpy(q.weight, ask->weight, sizeof q.weight);
    struct asked asked = { 0 };
    if (ask->task == TASK_BASKET) {
        q.cart = trial->context;
        q.cart_n = trial->context_n;
        return recommend(ask->model, &q, a, out);
    }
    struct history_entry *history = arena_new(a, struct history_entry, trial->context_n);
    for (isize i = 0; i < trial->context_n; i++)
        history[i] = (struct history_entry){ .at_ms = q.now_ms - (trial->context_n - i) * SECOND_MS,
                                             .item = trial->context[i],
                                             .quantity = 1,
                                             .type = EVENT_PRODUCT_VIEWED };
    q.history = history;
    q.history_n = trial->context_n;
    if (ask->task != TASK_SESSION) {
        u32 *barred = arena_new(a, u32, trial->context_n + 1);
        if (trial->context_n) memcpy(barred, trial->context, (size_t)trial->context_n * sizeof *barred);
        qsort(barred, (size_t)trial->context_n, sizeof *barred, ascending);
        asked = (struct asked){ barred, trial->context_n };
        q.eligible = is_not_barred;
        q.ctx = &asked;
    }
    return recommend(ask->model, &q, a, out);
}

void trial_ranks(const struct trial *trial, const struct recommended *list, isize n, isize *ranks)
{
    for (isize t = 0; t < trial->targets_n; t++) {
        isize at = 0;
        while (at < n && list[at].item != trial->targets[t]) at++;
        ranks[t] = 0;
        /* itself, and all that are no worse */
        for (isize i = 0; at < n && i < n; i++) ranks[t] += list[i].score >= list[at].score;
    }
}

f64 trial_ndcg(const struct trial *trial, const isize *ranks, isize k)
{
    f64 gain = 0, ideal = 0;
    for (isize t = 0; t < trial->targets_n; t++)
        if (ranks[t] > 0 && ranks[t] <= k) gain += 1 / log2(1 + (f64)ranks[t]);
    for (isize i = 1; i <= min_isize(k, trial->targets_n); i++) ideal += 1 / log2(1 + (f64)i);
    return ideal > 0 ? gain / ideal : 0;
}
