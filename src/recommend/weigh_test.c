/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: weights are what the showings say and no more: the optimum of the stated objective (an
 * oracle of another kind, plain projected gradient descent, agrees), places do not pass for
 * quality, chance moves nothing, little data moves nothing, steps are bounded. Method: showings
 * drawn from a known law, seeded. The fit is asked for through the file itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef assert

#include "recommend/weigh.c"

enum { N = 20000, ROW = 8 };
static const u8 mix[] = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING };
static const f64 defaults[RECOMMENDERS] = {
    [RECOMMENDER_SESSION] = 1, [RECOMMENDER_COOC] = .7, [RECOMMENDER_TRENDING] = .147
};
static struct shown_item showings[N];

/* Rows of eight, more or less ordered by the session's height; clicked by this law of the heights
 * and the place. */
static void draw(u64 seed, isize n, f64 base, f64 session, f64 cooc, f64 trending, f64 place)
{
    struct rng rng = rng_seed(seed);
    for (isize i = 0; i < n; i++) {
        struct shown_item *s = &showings[i];
        *s = (struct shown_item){ .person = (u32)(1 + i / ROW % 500), .at_ms = i / ROW * 1000, .place = (u8)(i % ROW) };
        s->heights[RECOMMENDER_SESSION] = (u8)(140 - 15 * (i % ROW) + (isize)rng_below(&rng, 115));
        s->heights[RECOMMENDER_COOC] = (u8)rng_below(&rng, 256);
        s->heights[RECOMMENDER_TRENDING] = (u8)rng_below(&rng, 256);
        f64 logit = base + (session * s->heights[RECOMMENDER_SESSION] + cooc * s->heights[RECOMMENDER_COOC]
                            + trending * s->heights[RECOMMENDER_TRENDING]) / 255 - place * (f64)s->place;
        s->clicked = rng_unit(&rng) < 1 / (1 + exp(-logit));
    }
}

static void the_fit_is_the_optimum_that_gradient_descent_finds(void **state)
{
    (void)state;
    /* trending tells against a click: its weight stays at 0 */
    draw(1, 600, -1.5, 0, 1.5, -1, .1);
    f64 usual[] = { .5, .4, .1 }, g[UNKNOWNS_MAX], h[UNKNOWNS_MAX][UNKNOWNS_MAX];
    struct data d = { showings, 600, mix, 3, NULL };
    struct fit f = fit_free(d, usual), slow = f;
    memset(slow.at, 0, sizeof slow.at);
    for (isize i = 0; i < 10000; i++) {
        slopes(&slow, &d, g, h);
        for (isize j = 0; j < 3 + 1 + PLACES; j++) {
            slow.at[j] -= g[j] / 300;                   /* below 2 over the greatest curvature */
            if (j < 3) slow.at[j] = fmax(0, slow.at[j]);
        }
    }
    for (isize j = 0; j < 3 + 1 + PLACES; j++) assert_true(fabs(f.at[j] - slow.at[j]) < 1e-3);
    assert_true(objective(&f, &d, f.at) <= objective(&slow, &d, slow.at) + 1e-9);
    /* at the optimum nothing pulls, but towards what is not allowed */
    slopes(&f, &d, g, h);
    for (isize j = 0; j < 3 + 1 + PLACES; j++)
        assert_true(j < 3 && f.at[j] <= 0 ? g[j] > -1e-6 : fabs(g[j]) < 1e-6);
    assert_true(f.at[1] > 1 && f.at[2] < 1e-9);
}

static void one_feature_that_is_there_or_not_gives_the_log_of_the_odds_ratio(void **state)
{
    (void)state;
    for (isize i = 0; i < 400; i++) {
        showings[i] = (struct shown_item){ .person = (u32)i, .at_ms = i };
        showings[i].heights[RECOMMENDER_SESSION] = i < 200 ? 255 : 0;
        /* 60 of 200 where it is, 20 of 200 where not */
        showings[i].clicked = i < 200 ? i < 60 : i < 220;
    }
    f64 one[] = { 1 };
    struct data d = { showings, 400, mix, 1, NULL };
    struct fit f = fit_along(d, one);
    assert_true(fabs(f.at[0] - log(60. / 140 / (20. / 180))) < 1e-3);
}

static struct weighing weigh(isize n, const f64 *now)
{
    struct weighing w;
    recommend_weigh(showings, n, mix, countof(mix), defaults, now, &w);
    return w;
}

static void what_is_clicked_rises_by_a_bounded_step_at_a_time(void **state)
{
    (void)state;
    draw(2, N, -3, 0, 3, 0, .1);
    struct weighing w = weigh(N, defaults);
    f64 before = .7 / 1.847;
    assert_int_equal(w.verdict, WEIGHING_LEARNT);
    assert_true(w.loss_learnt < w.loss_defaults && w.sureness > 3);
    assert_true(w.weight[RECOMMENDER_COOC] > before
                && w.weight[RECOMMENDER_COOC] < before + step_most + 1e-9);
    for (isize i = 0; i < 10; i++) {
        f64 now[RECOMMENDERS];
        memcpy(now, w.weight, sizeof now);
        w = weigh(N, now);
        assert_true(w.weight[RECOMMENDER_COOC] >= now[RECOMMENDER_COOC] - 1e-9);
    }
    assert_true(w.weight[RECOMMENDER_COOC] > .8);       /* where it goes in the end */
    struct weighing again = weigh(N, defaults);
    struct weighing twice = weigh(N, defaults);
    assert_memory_equal(&again, &twice, sizeof again);
}

static void a_good_place_is_no_merit(void **state)
{
    (void)state;
    /* the first places are clicked, whoever stands there; session ordered the rows */
    draw(3, N, -1, 0, 0, 0, .5);
    assert_int_equal(weigh(N, defaults).verdict, WEIGHING_NO_BETTER);
}

static void chance_and_little_data_move_nothing(void **state)
{
    (void)state;
    isize learnt = 0;
    f64 usual = 1 / 1.847;
    for (u64 seed = 10; seed < 30; seed++) {
        draw(seed, N, -2, 0, 0, 0, 0);
        struct weighing w = weigh(N, defaults);
        learnt += w.verdict == WEIGHING_LEARNT;
        if (w.verdict != WEIGHING_LEARNT) assert_true(fabs(w.weight[RECOMMENDER_SESSION] - usual) < 1e-12);
    }
    assert_true(learnt <= 1);                           /* of 20; each is a one-in-700 affair */
    draw(4, 1000, -2, 0, 3, 0, 0);
    struct weighing w = weigh(1000, defaults);
    assert_int_equal(w.verdict, WEIGHING_TOO_LITTLE);
    assert_true(fabs(w.weight[RECOMMENDER_SESSION] - usual) < 1e-12);
    assert_int_equal(weigh(0, defaults).verdict, WEIGHING_TOO_LITTLE);
}

static void what_no_longer_holds_goes_back_to_the_defaults(void **state)
{
    (void)state;
    f64 was[RECOMMENDERS] = {
        [RECOMMENDER_SESSION] = .05, [RECOMMENDER_COOC] = .9, [RECOMMENDER_TRENDING] = .05
    };
    draw(5, N, -2, 3, 2.1, .44, 0);                     /* just as the defaults have it */
    struct weighing w = weigh(N, was);
    if (w.sureness <= 0) assert_true(w.weight[RECOMMENDER_COOC] < .9);
    if (w.verdict == WEIGHING_NO_BETTER && w.sureness > 0)
        assert_true(fabs(w.weight[RECOMMENDER_COOC] - .9) < 1e-9);
}

/* ---- whether a mix pays over its lead -------------------------------------------------------- */

/* Each session is two clicks: an item of a ring and the one after it; or, every other one where
 * `strangers`, an item nobody else looks at and then item 1. The ring is known by rules, item 1 is
 * what is popular. */
static struct model *measured(isize sessions, bool strangers, const struct mixed *mixes, isize n)
{
    enum { RING = 40, SECOND_OF_RING = 2 };
    arena a = { 0 };
    struct interaction *at = arena_new(&a, struct interaction, 2 * sessions);
    struct rng rng = rng_seed(5);
    for (isize s = 0; s < sessions; s++) {
        u32 ring = (u32)rng_below(&rng, RING), next = (ring + 1) % RING;
        bool strange = strangers && s % 2;
        u32 first = strange ? (u32)(100 + s) : SECOND_OF_RING + ring,
            second = strange ? 1 : SECOND_OF_RING + next;
        for (isize k = 0; k < 2; k++)
            at[2 * s + k] = (struct interaction){ .session = (u32)s + 1,
                                                  .item = k ? second : first,
                                                  .at_ms = (2 * s + k) * MINUTE_MS,
                                                  .weight = 1 };
    }
    struct model *m =
        model_build(at, 2 * sessions, (u32)(101 + sessions), 2 * sessions * MINUTE_MS, NULL, NULL);
    model_measure(m, at, 2 * sessions, mixes, n, NULL);
    arena_fini(&a);
    return m;
}

static const struct mixed rules_and_popular = { .mix = { RECOMMENDER_POPULAR, RECOMMENDER_RULES },
                                                .mix_n = 2 };

static void a_mix_that_adds_nothing_leaves_its_lead_alone(void **state)
{
    (void)state;
    struct model *m = measured(6000, false, &rules_and_popular, 1);
    const struct mixed *mixed = model_mixed(m, rules_and_popular.mix, 2, rules_and_popular.weight);
    assert_non_null(mixed);
    assert_int_equal(mixed->lead, RECOMMENDER_RULES);
    assert_int_equal(mixed->questions, 600);
    assert_true(mixed->lead_ndcg20 > .999);             /* what comes next on the ring is certain */
    assert_true(mixed->alone);
    struct recommend_query q = { .mix = { RECOMMENDER_POPULAR, RECOMMENDER_RULES }, .mix_n = 2 };
    model_keep_lead(m, &q);
    assert_true(q.weight[RECOMMENDER_RULES] >= 1);
    assert_true(q.weight[RECOMMENDER_POPULAR] > 0 && q.weight[RECOMMENDER_POPULAR] < 1e-5);
    struct recommend_query other = { .mix = { RECOMMENDER_RULES, RECOMMENDER_POPULAR }, .mix_n = 2 };
    model_keep_lead(m, &other);                         /* another order is another mix: nobody measured it */
    assert_true(other.weight[RECOMMENDER_RULES] <= 0);
    model_free(m);
}

static void a_mix_that_pays_serves_as_it_is(void **state)
{
    (void)state;
    struct model *m = measured(6000, true, &rules_and_popular, 1);
    const struct mixed *mixed = model_mixed(m, rules_and_popular.mix, 2, rules_and_popular.weight);
    assert_non_null(mixed);
    assert_false(mixed->alone);
    assert_true(mixed->ndcg20 > 1.004 * mixed->lead_ndcg20);
    model_free(m);
}

static void little_is_not_judged_by_and_neither_is_what_has_a_purpose(void **state)
{
    (void)state;
    struct mixed mixes[] = {
        rules_and_popular, { .mix = { RECOMMENDER_COMPLEMENTS, RECOMMENDER_UPSELL }, .mix_n = 2 }
    };
    struct model *m = measured(1000, false, mixes, 2);  /* a hundred questions */
    const struct mixed *mixed = model_mixed(m, mixes[0].mix, 2, mixes[0].weight);
    assert_non_null(mixed);
    assert_int_equal(mixed->questions, 100);
    assert_false(mixed->alone);
    assert_null(model_mixed(m, mixes[1].mix, 2, mixes[1].weight));
    assert_null(model_mixed(NULL, mixes[0].mix, 2, mixes[0].weight));
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fit_is_the_optimum_that_gradient_descent_finds),
        cmocka_unit_test(one_feature_that_is_there_or_not_gives_the_log_of_the_odds_ratio),
        cmocka_unit_test(what_is_clicked_rises_by_a_bounded_step_at_a_time),
        cmocka_unit_test(a_good_place_is_no_merit),
        cmocka_unit_test(chance_and_little_data_move_nothing),
        cmocka_unit_test(what_no_longer_holds_goes_back_to_the_defaults),
        cmocka_unit_test(a_mix_that_adds_nothing_leaves_its_lead_alone),
        cmocka_unit_test(a_mix_that_pays_serves_as_it_is),
        cmocka_unit_test(little_is_not_judged_by_and_neither_is_what_has_a_purpose),
    };
    return cmocka_run_group_tests_name("weigh", tests, NULL, NULL);
}
