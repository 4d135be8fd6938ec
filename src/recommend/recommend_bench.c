/* SPDX-License-Identifier: Apache-2.0
 *
 * bench: what a question to session kNN costs, what a whole row costs, and what training costs. Why
 * it matters: the first two are on the way of every answer, the third takes a core from the shop
 * for as long as it lasts. Budget: p99 of session kNN 66 us on the toy sessions and 300 us on ten
 * times as many; a row of the usual mix 20 us; EASE on 5,000 items 8 s; a round of iALS beside the
 * same machine's sgemm in the same run. Sessions are made: as many, as long and as skewed as the
 * toy file's. The row is asked of a shop as bench/shop.c makes it, as its requests ask for it.
 *
 *   recommend_bench [rows [HOW_MANY]]        all of it; rows alone, for callgrind too, and what
 *   they were, in one number */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
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
            at[n++] = (struct interaction){
                s, item, (i64)s * MINUTE_MS + i * SECOND_MS, people ? s : 0, INTERACTION_VIEWED,
                1, 0
            };
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
        for (isize k = 0; k < countof(items); k++)
            items[k] = 1 + group * 50 + (u32)(50 * rng_unit(&rng) * rng_unit(&rng));
        struct trial trial = { items, items, 1 + i % countof(items), 1, 0 };
        struct recommended *list;
        f64 start = cpu_seconds();
        (void)trial_ask(&ask, &trial, 21, &a, &list);
        took[i] = (cpu_seconds() - start) * 1e6;
        arena_clear(&a);
    }
    qsort(took, QUESTIONS, sizeof *took, ascending);
    printf(
        "recommend.%s %.0f us p99, p95 %.0f us, p50 %.0f us of CPU, of %td clicks in %u sessions, built in %.2f s\n",
        name, took[QUESTIONS * 99 / 100], took[QUESTIONS * 95 / 100], took[QUESTIONS / 2], n,
        sessions, (f64)model_card(m).took_us / 1e6);
    arena_fini(&a);
    mem_free(took);
    mem_free(at);
    model_free(m);
}

/* ---- a row ----------------------------------------------------------------------------------- */

/* As bench/shop.c: everybody has a corner of the shop and goes less often the further from it; an
 * item in eleven is sold out. */
enum { PEOPLE = 100000, WARES = 20000, CORNER = 400, EVENTS = 1040000, PAST_MOST = 32, CATEGORIES = 100 };
struct past { struct history_entry at[PAST_MOST]; isize n; };
struct shop { struct past *people; u32 category[WARES + 1]; bool sold_out[WARES + 1]; };

static u32 ware_of(struct rng *rng, u32 person)
{
    f64 far = rng_unit(rng);
    return 1 + (u32)(((u64)(person * 2654435761U) + (u64)(far * far * CORNER)) % WARES);
}

static void past_add(struct past *past, struct history_entry e)
{
    if (past->n < PAST_MOST) past->at[past->n++] = e;
}

/* Fifteen of twenty events deal with an item, an order with two; the rest are pages. Each has its
 * millisecond. */
static isize make_shop(struct rng *rng, struct shop *shop, struct interaction *at)
{
    isize n = 0;
    u32 orders = PEOPLE;
    for (u32 i = 1; i <= WARES; i++) {
        shop->category[i] = 1 + (i - 1) * CATEGORIES / WARES * 10 + (i - 1) % 10;
        shop->sold_out[i] = (i - 1) % 11 == 0;
    }
    for (u32 e = 0; e < EVENTS; e++) {
        u32 person = rng_below(rng, PEOPLE), kind = e % 20;
        struct past *past = &shop->people[person];
        if (kind == 0) orders++;
        for (u32 k = 0; k < (kind == 0 ? 2u : kind < 3 || (kind >= 5 && kind <= 8) ? 0u : 1u); k++) {
            u32 item = ware_of(rng, person);
            bool added = kind == 3 || kind == 4;
            past_add(past, (struct history_entry){ .at_ms = e / 20,
                                                   .quantity = 1,
                                                   .item = item,
                                                   .type = kind == 0 ? EVENT_PRODUCT_PURCHASED
                                                           : added   ? EVENT_PRODUCT_ADDED
                                                                     : EVENT_PRODUCT_VIEWED });
            at[n++] = (struct interaction){ kind == 0 ? orders : person,
                                            item,
                                            e / 20,
                                            person + 1,
                                            kind == 0 ? INTERACTION_PURCHASED
                                            : added   ? INTERACTION_ADDED
                                                      : INTERACTION_VIEWED,
                                            kind == 0 ? 5
                                            : added   ? 3
                                                      : 1,
                                            0 };
        }
        if (kind < 3 || (kind >= 5 && kind <= 8))
            past_add(past, (struct history_entry){ .at_ms = e / 20, .type = EVENT_PAGE_VIEWED });
    }
    return n;
}

static bool is_in_stock(void *ctx, u32 item)
{
    const struct shop *shop = ctx;
    return !shop->sold_out[item];
}

static u32 category_of(void *ctx, isize grouping, u32 item)
{
    const struct shop *shop = ctx;
    return grouping == 0 ? shop->category[item] : 0;
}

static void rows(isize asked)
{
    struct rng rng = rng_seed(9);
    struct shop *shop = mem_new(sizeof *shop);
    shop->people = mem_new(PEOPLE * (isize)sizeof *shop->people);
    struct interaction *at = mem_new(EVENTS * (isize)sizeof *at);
    struct recommend_options o = recommend_defaults();
    o.only = RECOMMENDERS_ALWAYS;
    struct model *m = model_build(at, make_shop(&rng, shop, at), WARES + 1, EVENTS / 20, &o, NULL);
    mem_free(at);
    f64 *took = mem_new(asked * (isize)sizeof *took), whole = cpu_seconds();
    u64 seen = 0;
    arena a = { 0 };
    for (isize i = 0; i < asked; i++) {
        u32 person = rng_below(&rng, PEOPLE);
        struct recommend_query q = {
            .history = shop->people[person].at,
            .history_n = shop->people[person].n,
            .product = ware_of(&rng, person),
            .now_ms = EVENTS / 20 + MINUTE_MS,
            .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING },
            .mix_n = 3,
            .fallback = { RECOMMENDER_TRENDING, RECOMMENDER_BESTSELLERS },
            .fallback_n = 2,
            .limit = 10,
            .eligible = is_in_stock,
            .group = category_of,
            .max_per_group = { 4 },
            .ctx = shop,
        };
        struct recommended *list;
        f64 start = cpu_seconds();
        isize n = recommend(m, &q, &a, &list);
        took[i] = (cpu_seconds() - start) * 1e6;
        for (isize k = 0; k < n; k++) {
            struct {
                u32 item, because[2];
                u8 source;
            } r = { list[k].item, { list[k].because[0], list[k].because[1] }, list[k].source };
            seen = hash64((str){ (const char *)&r, sizeof r }, seen);
        }
        arena_clear(&a);
    }
    whole = cpu_seconds() - whole;
    enum { BATCH = 500 };
    f64 least = whole * 1e6 / (f64)asked;               /* of the machine's quietest moment */
    for (isize i = 0; i + BATCH <= asked; i += BATCH) {
        f64 sum = 0;
        for (isize k = i; k < i + BATCH; k++) sum += took[k];
        least = fmin(least, sum / BATCH);
    }
    qsort(took, (size_t)asked, sizeof *took, ascending);
    printf(
        "recommend.row %.1f us of CPU (p50 %.0f, p99 %.0f, least of batches %.1f), of %td; session, cooc, trending, ten of them, explained; %016llx\n",
        whole * 1e6 / (f64)asked, took[asked / 2], took[asked * 99 / 100], least, asked,
        (unsigned long long)seen);
    arena_fini(&a);
    mem_free(took);
    model_free(m);
    mem_free(shop->people);
    mem_free(shop);
}

static f64 sgemm_gflops(void)
{
    enum { N = 1024 };
    f32 *a = mem_new(N * N * (isize)sizeof *a), *b = mem_new(N * N * (isize)sizeof *b),
        *c = mem_new(N * N * (isize)sizeof *c);
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
    printf(
        "recommend.als %.3f s of CPU a round, d %d, %td entries: %.1f GFLOP/s, %.2f of sgemm's %.1f\n",
        round, (int)d, entries, flops / round / 1e9, flops / round / 1e9 / peak, peak);
    n = make(&rng, at, 60000, 5000, 8, false);
    o = recommend_defaults();
    o.only = 1U << RECOMMENDER_EASE;
    struct model *m = model_build(at, n, 5001, (i64)60001 * MINUTE_MS, &o, NULL);
    printf("recommend.ease %.2f s on a head of %td items; budget 8\n",
           (f64)model_card(m).took_us / 1e6, m->card.ease_items);
    model_free(m);
    mem_free(at);
}

int main(int argc, char **argv)
{
    i64 asked = 20000;
    algebra_start();
    if (argc > 2 && (!str_to_i64(str_of(argv[2]), &asked) || asked < 1)) return 1;
    rows((isize)asked);
    if (argc > 1) return 0;
    session_knn("session_knn", TOY_SESSIONS);
    session_knn("session_knn_10x", 10 * TOY_SESSIONS);
    training();
    return 0;
}
