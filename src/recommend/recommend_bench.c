/* SPDX-License-Identifier: Apache-2.0
 *
 * bench: what a question to session kNN costs, and what training costs.
 * Why it matters: the first is on the way of every answer, the second takes a core from the shop for as long as it lasts.
 * Budget: p99 of session kNN 66 us on the toy sessions and 300 us on ten times as many; EASE on 5,000 items 8 s; a round of
 * iALS beside the same machine's sgemm in the same run. Sessions are made: as many, as long and as skewed as the toy file's. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "recommend/inside.h"

enum { ITEMS = 15000, TOY_SESSIONS = 17000, QUESTIONS = 3000 };

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

/* Items in groups that go together, the first of a group most sought. */
static isize make(struct rng *rng, struct interaction *at, u32 sessions, u32 items, isize mean, bool people)
{
    isize n = 0;
    for (u32 s = 1; s <= sessions; s++) {
        isize length = 2 + (isize)(-log(1 - rng_unit(rng)) * (f64)(mean - 2));
        u32 group = rng_below(rng, items / 50);
        for (isize i = 0; i < length && i < 800; i++) {
            u32 of = rng_below(rng, 5) ? group : rng_below(rng, items / 50);
            f64 u = rng_unit(rng);
            u32 item = 1 + of * 50 + (u32)(50 * u * u);
            at[n++] = (struct interaction){ s, item, (i64)s * MINUTE_MS + i * SECOND_MS, people ? s : 0, INTERACTION_VIEWED, 1, 0 };
        }
    }
    return n;
}

/* Of this process: other work on the machine does not count. */
static f64 cpu_seconds(void) { return (f64)clock_cpu_us() / 1e6; }

static void session_knn(const char *name, u32 sessions)
{
    struct rng rng = rng_seed(3);
    struct interaction *at = mem_new((isize)sessions * 50 * (isize)sizeof *at);
    isize n = make(&rng, at, sessions, ITEMS, 7, false);
    struct recommend_options o = recommend_defaults();
    o.only = 1U << RECOMMENDER_SESSION;
    struct model *m = model_build(at, n, ITEMS + 1, (i64)(sessions + 1) * MINUTE_MS, &o, NULL);
    f64 *took = mem_new(QUESTIONS * (isize)sizeof *took);
    arena a = { 0 };
    struct ask ask = { .model = m, .task = TASK_SESSION, .mix = { RECOMMENDER_SESSION }, .mix_n = 1 };
    for (isize i = 0; i < QUESTIONS; i++) {
        u32 items[5];
        u32 group = rng_below(&rng, ITEMS / 50);
        for (isize k = 0; k < countof(items); k++) items[k] = 1 + group * 50 + (u32)(50 * rng_unit(&rng) * rng_unit(&rng));
        struct trial trial = { items, items, 1 + i % countof(items), 1, 0 };
        struct recommended *list;
        f64 start = cpu_seconds();
        (void)trial_ask(&ask, &trial, 21, &a, &list);
        took[i] = (cpu_seconds() - start) * 1e6;
        arena_clear(&a);
    }
    qsort(took, QUESTIONS, sizeof *took, ascending);
    printf("recommend.%s %.0f us p99, p95 %.0f us, p50 %.0f us of CPU, of %td clicks in %u sessions, built in %.2f s\n", name, took[QUESTIONS * 99 / 100], took[QUESTIONS * 95 / 100],
           took[QUESTIONS / 2], n, sessions, (f64)model_card(m).took_us / 1e6);
    arena_fini(&a);
    mem_free(took);
    mem_free(at);
    model_free(m);
}

static f64 sgemm_gflops(void)
{
    enum { N = 1024 };
    f32 *a = mem_new(N * N * (isize)sizeof *a), *b = mem_new(N * N * (isize)sizeof *b), *c = mem_new(N * N * (isize)sizeof *c);
    for (isize i = 0; i < N * N; i++) a[i] = b[i] = (f32)(i % 7);
    f64 best = 0;
    for (int round = 0; round < 5; round++) {
        f64 start = cpu_seconds();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        best = fmax(best, 2.0 * N * N * N / (cpu_seconds() - start) / 1e9);
    }
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return best;
}

/* As many people, items and interactions as MovieLens 1M with three stars and more. */
static void training(void)
{
    struct rng rng = rng_seed(5);
    struct interaction *at = mem_new((isize)4800000 * (isize)sizeof *at);
    isize n = make(&rng, at, 6000, 3600, 420, true);
    struct recommend_options o = recommend_defaults();
    o.kept = 1000;
    f64 seconds[2];
    isize entries = 0;
    for (int i = 0; i < 2; i++) {
        o.only = 1U << RECOMMENDER_ALS;
        o.als_rounds = i ? 11 : 1;
        f64 start = cpu_seconds();
        struct model *m = model_build(at, n, 3601, (i64)6001 * MINUTE_MS, &o, NULL);
        seconds[i] = cpu_seconds() - start;
        entries = (isize)m->session_from[m->card.sessions];
        model_free(m);
    }
    f64 round = (seconds[1] - seconds[0]) / 10, d = (f64)o.als_dims, peak = sgemm_gflops();
    /* A half round: 4 applications of 4 d flops an entry and 2 d^2 a row, one right-hand side, one syrk. */
    f64 flops = 2 * ((f64)entries * (16 * d + 2 * d)) + (6000 + 3600) * (4 * 2 * d * d + d * d);
    printf("recommend.als %.3f s of CPU a round, d %d, %td entries: %.1f GFLOP/s, %.2f of sgemm's %.1f\n", round, (int)d, entries, flops / round / 1e9,
           flops / round / 1e9 / peak, peak);
    n = make(&rng, at, 60000, 5000, 8, false);
    o = recommend_defaults();
    o.only = 1U << RECOMMENDER_EASE;
    struct model *m = model_build(at, n, 5001, (i64)60001 * MINUTE_MS, &o, NULL);
    printf("recommend.ease %.2f s on a head of %td items; budget 8\n", (f64)model_card(m).took_us / 1e6, m->card.ease_items);
    model_free(m);
    mem_free(at);
}

int main(void)
{
    algebra_start();
    session_knn("session_knn", TOY_SESSIONS);
    session_knn("session_knn_10x", 10 * TOY_SESSIONS);
    training();
    return 0;
}
