/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is learnt from each interaction is worth something: the reward of a model that goes on
 * learning rises along the log, and draws ahead of one that was frozen. Method: real clicks
 * replayed in the order they came, in six parts of equal length. Before each part the learning
 * model is made of all that came before; the frozen one is of the first part. Both rank for the
 * same moments of the same visits (every twelfth visit); the reward is 1 when the next click stands
 * among the first twenty. The interval is a bootstrap over visits. */
#include "recommend/recommend.h"

#include "base/hash.h"
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PARTS = 6, EVERY = 12, TOP = 20, RESAMPLES = 400 };

struct clicks { struct interaction *at; isize n, cap; };

static int by_time(const void *left, const void *right)
{
    const struct interaction *a = left, *b = right;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return (a->session > b->session) - (a->session < b->session);
}

static int by_visit(const void *left, const void *right)
{
    const struct interaction *a = left, *b = right;
    return a->session != b->session ? (a->session < b->session ? -1 : 1) : by_time(left, right);
}

static struct clicks read_clicks(arena *a, u32 *items)
{
    const char *folder = getenv("OPMAAT_SHARED");
    struct gz *gz = NULL;
    struct diag diag = { .arena = a };
    struct csv_row row;
    bool found;
    struct clicks all = { 0 };
    struct map *names = map_new(1024);
    assert_int_equal(
        gz_open(
            arena_printf(a, "%s/data/session-toy/train.txt.gz", folder ? folder : "../shared").ptr,
            &gz, &diag),
        ERR_OK);
    struct csv *csv = csv_new(gz);
    csv_separator(csv, '\t');
    assert_int_equal(csv_next(csv, a, &row, &found, &diag), ERR_OK);
    for (struct arena_mark mark = arena_mark(a);
         csv_next(csv, a, &row, &found, &diag) == ERR_OK && found; arena_reset(a, mark)) {
        i64 session;
        f64 seconds;
        assert_true(row.n >= 3 && str_to_i64(row.fields[0], &session) && str_to_f64(row.fields[2], &seconds));
        u64 item = map_get(names, hash128(row.fields[1], 0), 0);
        if (item == 0) (void)map_put(names, hash128(row.fields[1], 0), item = ++*items);
        vec_push(&all, (struct interaction){ .session = (u32)session,
                                             .item = (u32)item,
                                             .at_ms = (i64)(seconds * 1000),
                                             .kind = INTERACTION_VIEWED,
                                             .weight = 1 });
    }
    csv_free(csv);
    gz_close(gz);
    map_free(names);
    return all;
}

static struct model *learnt(const struct interaction *at, isize n, u32 items, arena *a)
{
    struct interaction *copy = arena_new(a, struct interaction, n);
    struct recommend_options options = recommend_defaults();
    options.memory_bytes = 1 << 20;                     /* no dense algebra: six models are made */
    memcpy(copy, at, (size_t)n * sizeof *copy);
    return model_build(copy, n, items, at[n - 1].at_ms, &options, NULL);
}

static bool hits(const struct model *model, const struct interaction *visit, isize seen, u32 next, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    struct history_entry *history = arena_new(a, struct history_entry, seen);
    struct recommended *list;
    bool hit = false;
    for (isize i = 0; i < seen; i++)
        history[i] = (struct history_entry){ .at_ms = visit[0].at_ms + i * 1000,
                                             .item = visit[i].item,
                                             .quantity = 1,
                                             .type = EVENT_PRODUCT_VIEWED };
    struct recommend_query query = { .history = history,
                                     .history_n = seen,
                                     .now_ms = history[seen - 1].at_ms,
                                     .mix_n = 3,
                                     .limit = TOP,
                                     .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC,
                                              RECOMMENDER_TRENDING } };
    isize n = recommend(model, &query, a, &list);
    for (isize i = 0; i < n; i++) hit |= list[i].item == next;
    arena_reset(a, mark);
    return hit;
}

struct tried { f64 moments, learning, frozen; };
struct part { struct { struct tried *at; isize n, cap; } visits; };

static struct tried total(const struct part *p, struct rng *rng)
{
    struct tried sum = { 0 };
    for (isize i = 0; i < p->visits.n; i++) {
        const struct tried *t = &p->visits.at[rng ? rng_below(rng, (u32)p->visits.n) : (u32)i];
        sum.moments += t->moments;
        sum.learning += t->learning;
        sum.frozen += t->frozen;
    }
    return sum;
}

static void replay_part(struct part *p, struct interaction *at, isize n,
                        const struct model *learning, const struct model *frozen, arena *a)
{
    qsort(at, (size_t)n, sizeof *at, by_visit);
    for (isize from = 0, to, visit = 0; from < n; from = to, visit++) {
        struct tried t = { 0 };
        for (to = from; to < n && at[to].session == at[from].session;) to++;
        for (isize seen = 1; visit % EVERY == 0 && from + seen < to; seen++) {
            t.moments++;
            t.learning += hits(learning, at + from, seen, at[from + seen].item, a);
            t.frozen += hits(frozen, at + from, seen, at[from + seen].item, a);
        }
        if (t.moments > 0) vec_push(&p->visits, t);
    }
}

static void R38_reward_rises_along_the_log_against_a_frozen_model(void **state)
{
    (void)state;
    arena a = { 0 };
    u32 items = 0;
    struct part parts[PARTS] = { 0 };
    struct clicks all = read_clicks(&a, &items);
    qsort(all.at, (size_t)all.n, sizeof *all.at, by_time);
    struct model *frozen = learnt(all.at, all.n / PARTS, items + 1, &a);
    for (isize k = 1; k < PARTS; k++) {
        isize from = all.n * k / PARTS, to = all.n * (k + 1) / PARTS;
        struct model *learning = learnt(all.at, from, items + 1, &a);
        struct interaction *copy = arena_new(&a, struct interaction, to - from);
        memcpy(copy, all.at + from, (size_t)(to - from) * sizeof *copy);
        replay_part(&parts[k], copy, to - from, learning, frozen, &a);
        model_free(learning);
        struct tried t = total(&parts[k], NULL);
        print_message("# part %td: learning %.4f, frozen %.4f, of %.0f moments\n", k,
                      t.learning / t.moments, t.frozen / t.moments, t.moments);
    }
    /* The last two parts against the first two after the frozen model was made. */
    struct rng rng = rng_seed(1);
    isize rises = 0, draws_ahead = 0;
    for (int r = 0; r < RESAMPLES; r++) {
        f64 reward[2] = { 0 }, ahead[2] = { 0 };
        for (isize k = 0; k < 2; k++)
            for (int late = 0; late < 2; late++) {
                struct tried t = total(&parts[late ? PARTS - 1 - k : 1 + k], &rng);
                reward[late] += t.learning / t.moments;
                ahead[late] += (t.learning - t.frozen) / t.moments;
            }
        rises += reward[1] > reward[0];
        draws_ahead += ahead[1] > ahead[0] && ahead[0] > 0;
    }
    assert_true(rises >= RESAMPLES * 975 / 1000);
    assert_true(draws_ahead >= RESAMPLES * 975 / 1000);
    for (isize k = 0; k < PARTS; k++) vec_fini(&parts[k].visits);
    model_free(frozen);
    vec_fini(&all);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        R38_reward_rises_along_the_log_against_a_frozen_model) };
    return cmocka_run_group_tests_name("learning", tests, NULL, NULL);
}
