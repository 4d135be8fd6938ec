/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of several learners the one that is right for the data is chosen, and what it says is what
 * was put in. Method: people drawn from known effects, visits whose outcome only trees can tell and
 * visits where they cannot do better, and CDNOW. Tolerances are some three standard errors of what
 * is estimated from so many people; every draw is seeded. */
#include "predict/inside.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static arena a;

static void is_near(const char *what, f64 got, f64 want, f64 tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s is %.6f, not %.6f within %g", what, got, want, tolerance);
}

/* ---- uplift ---------------------------------------------------------------------------------- */

enum { FEMALE = 1, MALE = 2 };

/* base and effect: of women, of men. */
static struct lift_rows draw_people(isize n, f64 base[2], f64 effect[2], u64 seed)
{
    struct lift_rows rows = { 0 };
    struct rng rng = rng_seed(seed);
    for (isize i = 0; i < n; i++) {
        struct lift_row row = { .treated = rng_unit(&rng) < .5 };
        for (int c = 0; c < LIFT_COLUMNS; c++) row.x[c] = (f32)rng_below(&rng, 40);
        row.x[LIFT_GENDER] = rng_unit(&rng) < .5 ? FEMALE : MALE;
        row.x[LIFT_DEVICE] = (f32)rng_below(&rng, 4);
        row.x[LIFT_CHANNEL] = (f32)rng_below(&rng, CHANNELS);
        row.x[LIFT_KNOWN] = (f32)rng_below(&rng, 2);
        row.x[LIFT_SINCE_ORDER] = rng_unit(&rng) < .3 ? __builtin_nanf("") : row.x[LIFT_SINCE_ORDER];
        int who = row.x[LIFT_GENDER] == (f32)FEMALE ? 0 : 1;
        row.outcome = rng_unit(&rng) < base[who] + (row.treated ? effect[who] : 0);
        vec_push(&rows, row);
    }
    return rows;
}

static f64 mean_of(const struct lift *m, const struct lift_rows *rows, int gender, f64 *spread)
{
    f64 n = 0, sum = 0, squares = 0;
    for (isize i = 0; i < rows->n; i++) {
        if (rows->at[i].x[LIFT_GENDER] != (f32)gender) continue;
        f64 said = (f64)lift_score(m, rows->at[i].x).value;
        n++;
        sum += said;
        squares += said * said;
    }
    *spread = sqrt(fmax(0, squares / n - sum / n * sum / n));
    return sum / n;
}

static f64 number_at(const struct json *card, const char *path)
{
    const struct json *v = json_path(card, path);
    if (!v) fail_msg("the card has no %s", path);
    return json_num(v, 0);
}

/* Women gain .15, men nothing, and men order more by themselves: by response alone the wrong half
 * would come first. */
static void who_is_worth_treating_is_found(void **state)
{
    (void)state;
    struct lift_rows rows = draw_people(12000, (f64[]){ .1, .4 }, (f64[]){ .15, 0 }, 3),
                     others = draw_people(2000, (f64[]){ .1, .4 }, (f64[]){ .15, 0 }, 4);
    struct lift *m, *again;
    struct lift_counts counts;
    assert_int_equal(lift_fit(&rows, &m, &counts, NULL), ERR_OK);
    assert_int_equal(counts.treated + counts.control, 12000);
    f64 spread;
    f64 women = mean_of(m, &others, FEMALE, &spread), men = mean_of(m, &others, MALE, &spread);
    /* the scale is drawn to the mean of .075 by as much as the scores are noise */
    is_near("of women", women, .15, .06);
    is_near("of men", men, 0, .06);
    assert_true(women - men > .04);
    struct buf text = { .arena = &a };
    struct jsonw w = { .out = &text };
    const struct json *card;
    lift_card(m, S("uplift.spring"), S("Spring"), 7, 1000, &w);
    assert_int_equal(json_parse(&a, buf_str(&text), &card, NULL), ERR_OK);
    assert_true(str_eq(json_str(json_get(card, S("model")), S("")), S("two_model")));
    assert_true(json_bool(json_get(card, S("sure")), false));
    assert_true(number_at(card, "measures.qini_two_model.low") > 0);
    is_near("the effect", number_at(card, "measures.effect.value"), .075, .025);
    f64 off = 0;
    isize bins = 0;
    json_each(bin, json_get(card, S("calibration"))) {
        bins++;
        off += fabs(number_at(bin, "predicted") - number_at(bin, "observed")) / CALIBRATION_BINS;
        assert_true(number_at(bin, "low") <= number_at(bin, "observed")
                    && number_at(bin, "observed") <= number_at(bin, "high"));
    }
    assert_int_equal(bins, CALIBRATION_BINS);
    assert_true(off < .04);                             /* a tenth is 1,200 people: its own error is .024 */
    assert_int_equal(json_len(json_get(card, S("qini"))), 21);
    isize reasons = 0;
    for (isize i = 0; i < others.n; i++) {
        struct uplift_score s = lift_score(m, others.at[i].x);
        reasons += strcmp(score_reason_name(s.because[0].code), "lift_gender") == 0;
    }
    assert_true(reasons > others.n * 3 / 4);
    assert_int_equal(lift_fit(&rows, &again, &counts, NULL), ERR_OK);
    for (isize i = 0; i < others.n; i++)
        assert_true(lift_score(m, others.at[i].x).value == lift_score(again, others.at[i].x).value);
    lift_free(m);
    lift_free(again);
    vec_fini(&rows);
    vec_fini(&others);
}

static void where_all_gain_alike_all_get_the_same(void **state)
{
    (void)state;
    struct lift_rows rows = draw_people(8000, (f64[]){ .2, .2 }, (f64[]){ .1, .1 }, 5);
    struct lift *m;
    struct lift_counts counts;
    f64 spread;
    assert_int_equal(lift_fit(&rows, &m, &counts, NULL), ERR_OK);
    is_near("of women", mean_of(m, &rows, FEMALE, &spread), .1, .03);
    assert_true(spread < .03);
    is_near("of men", mean_of(m, &rows, MALE, &spread), .1, .03);
    assert_true(spread < .03);
    lift_free(m);
    vec_fini(&rows);
}

static void too_few_say_how_many_are_needed(void **state)
{
    (void)state;
    struct lift_rows rows = draw_people(600, (f64[]){ .1, .1 }, (f64[]){ 0, 0 }, 6), none = { 0 };
    struct lift *m;
    struct lift_counts counts;
    struct diag diag = { .arena = &a };
    assert_int_equal(lift_fit(&rows, &m, &counts, &diag), ERR_REFUSED);
    assert_null(m);
    assert_true(str_find(diag.what, S("500 people and 50 outcomes of each are needed")) >= 0);
    assert_int_equal(lift_fit(&none, &m, &counts, &diag), ERR_REFUSED);
    assert_int_equal(counts.treated, 0);
    vec_fini(&rows);
}

/* ---- trees ----------------------------------------------------------------------------------- */

static void trees_tell_what_no_sum_can(void **state)
{
    (void)state;
    enum { N = 4000, WIDTH = 3 };
    struct rng rng = rng_seed(9);
    f32 *cells = arena_new(&a, f32, N * WIDTH), *labels = arena_new(&a, f32, N);
    for (isize i = 0; i < N; i++) {
        bool x = rng_unit(&rng) < .5, y = rng_unit(&rng) < .5;
        cells[i * WIDTH] = x;
        cells[i * WIDTH + 1] = y ? 5 : -5;
        cells[i * WIDTH + 2] = rng_unit(&rng) < .1 ? __builtin_nanf("") : (f32)rng_unit(&rng);
        labels[i] = rng_unit(&rng) < (x != y ? .8 : .1);
    }
    struct trees *t, *again;
    assert_int_equal(trees_grow(cells, labels, N, WIDTH, 1, &t, NULL), ERR_OK);
    assert_int_equal(trees_grow(cells, labels, N, WIDTH, 1, &again, NULL), ERR_OK);
    const f32 unknown = __builtin_nanf(""), rows[4][WIDTH] = {
        { 1, -5, unknown }, { 0, 5, .5f }, { 0, -5, .5f }, { 1, 5, unknown }
    };
    for (int r = 0; r < 4; r++) {
        f64 moved[WIDTH], said = trees_ask(t, rows[r]);
        is_near("the chance", said, r < 2 ? .8 : .1, .08);
        assert_true(said == trees_ask(again, rows[r]));
        trees_because(t, rows[r], moved);
        assert_true(fabs(moved[2]) < fabs(moved[0]) + fabs(moved[1]));
    }
    trees_free(t);
    trees_free(again);
}

/* A visit of some views, perhaps with a search; then an order or not. */
static isize draw_visit(struct rng *rng, i64 at_ms, bool crossed, struct history_entry *out)
{
    isize n = 0, views = 1 + rng_below(rng, 6);
    bool searched = rng_unit(rng) < .5, many = views > 3;
    f64 chance = crossed ? (many != searched ? .75 : .05) : 1 / (1 + exp(2 - 1.2 * searched));
    if (searched) out[n++] = (struct history_entry){ .at_ms = at_ms, .type = EVENT_PRODUCTS_SEARCHED };
    for (isize i = 0; i < views; i++)
        out[n++] = (struct history_entry){ .at_ms = at_ms + (i + 1) * 1000,
                                           .type = EVENT_PRODUCT_VIEWED,
                                           .item = 1 };
    if (rng_unit(rng) < chance)
        out[n++] = (struct history_entry){ .at_ms = at_ms + 60000, .type = EVENT_ORDER_COMPLETED };
    return n;
}

static void the_model_of_intent_is_the_one_that_forecasts_better(void **state)
{
    (void)state;
    for (int crossed = 0; crossed < 2; crossed++) {
        struct rng rng = rng_seed(8);
        struct intent_trainer *t = intent_trainer_new(30 * MINUTE_MS);
        struct history_entry visit[16];
        struct intent_card card;
        for (int i = 0; i < 4000; i++)
            intent_train(t, visit, draw_visit(&rng, (i64)i * HOUR_MS, crossed, visit), 5000LL * HOUR_MS);
        struct intent_model *m = intent_learn(t, &card);
        assert_non_null(m);
        assert_true(card.trees_tried);
        bool trees = strcmp(card.model, "boosted_trees") == 0;
        assert_true(trees || !crossed);
        assert_true(!trees || card.trees.log_loss < card.logistic.log_loss);
        assert_true(card.goodness.log_loss == (trees ? card.trees.log_loss : card.logistic.log_loss));
        assert_true(card.goodness.n == card.trees.n && card.trees.n == card.logistic.n);
        struct history_entry now[] = { { .at_ms = 1000, .type = EVENT_PRODUCTS_SEARCHED },
                                       { .at_ms = 2000, .type = EVENT_PRODUCT_VIEWED, .item = 1 } };
        struct intent_reason why[3];
        /* three in six more looks to come, and .75 or .05 */
        if (crossed) is_near("searched, one view", intent_of(m, now, 2, 2500), .43, .2);
        assert_true(intent_reasons(m, now, 2, 2500, why, 3) > 0);
        intent_free(m);
    }
}

/* ---- repeat buying --------------------------------------------------------------------------- */

/* Marsaglia and Tsang 2000, shape >= 1; below it by their boost */
static f64 draw_gamma(struct rng *rng, f64 shape)
{
    if (shape < 1)
        return draw_gamma(rng, shape + 1)
               * pow(rng_unit(rng), 1 / shape); // NOLINT(misc-no-recursion): once
    f64 d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        f64 x = sqrt(-2 * log(1 - rng_unit(rng))) * cos(2 * 3.14159265358979323846 * rng_unit(rng)),
            v = 1 + c * x;
        if (v > 0 && log(1 - rng_unit(rng)) < x * x / 2 + d - d * v * v * v + d * log(v * v * v))
            return d * v * v * v;
    }
}

/* Buyers who order at a rate of their own (gamma: r, alpha) and, with s > 0, leave at one of their
 * own (gamma: s, beta); in days. */
static struct buyers draw_buyers(isize n, f64 r, f64 alpha, f64 s, f64 beta, i32 days, u64 seed)
{
    struct buyers b = { .today = 20000 };
    struct rng rng = rng_seed(seed);
    for (isize i = 0; i < n; i++) {
        f64 rate = draw_gamma(&rng, r) / alpha,
            stays = s > 0 ? -log(1 - rng_unit(&rng)) / (draw_gamma(&rng, s) / beta) : 1e9;
        i32 first = 20000 - days + (i32)rng_below(&rng, (u32)days / 3);
        struct buyer who = { { (u32)i + 1 }, b.orders.n, 0 };
        vec_push(&b.orders, (struct buyer_order){ first, 5000 });
        for (f64 at = 0; (at += -log(1 - rng_unit(&rng)) / rate) < stays && first + at < 20000;)
            if ((i32)at + first > b.orders.at[b.orders.n - 1].day)
                vec_push(&b.orders, (struct buyer_order){ (i32)at + first, 5000 });
        who.n = b.orders.n - who.first;
        vec_push(&b.all, who);
    }
    return b;
}

static const struct json *card_of(const struct buyers *b)
{
    struct models *m = NULL;
    struct buf text = { .arena = &a };
    struct jsonw w = { .out = &text };
    const struct json *card;
    assert_int_equal(models_fit(b, 20000 * DAY_MS, &m, NULL), ERR_OK);
    models_card(m, 1, 1000, &w);
    models_free(m);
    assert_int_equal(json_parse(&a, buf_str(&text), &card, NULL), ERR_OK);
    return &card->list.at[0];
}

/* The chosen one stands, no other that stands said the hold-out better, and both figures are told of each. */
static void agrees(const struct json *card)
{
    f64 chosen = -1e9, best = -1e9;
    isize n = 0;
    json_each(one, json_path(card, "choice.of")) {
        f64 said = number_at(one, "log_likelihood");
        assert_true(number_at(one, "mae") > 0);
        n++;
        if (json_bool(json_get(one, S("chosen")), false)) {
            assert_null(json_get(one, S("edge")));
            assert_true(str_eq(json_str(json_get(one, S("model")), S("")),
                               json_str(json_get(card, S("model")), S("-"))));
            chosen = said;
        }
        if (!json_get(one, S("edge")) && said > best) best = said;
    }
    assert_int_equal(n, BUYING_MODELS);
    assert_true(chosen == best);
}

static void the_model_of_buying_is_the_one_that_says_the_hold_out_best(void **state)
{
    (void)state;
    struct buyers leaving = draw_buyers(4000, 1.2, 25, .9, 60, 400, 11),
                  staying = draw_buyers(4000, 1.2, 40, 0, 0, 400, 12);
    const struct json *card = card_of(&leaving);
    agrees(card);
    assert_true(str_eq(json_str(json_get(card, S("model")), S("")), S("pareto_nbd")));
    card = card_of(&staying);
    agrees(card);
    assert_true(str_eq(json_str(json_get(card, S("model")), S("")), S("nbd")));
    buyers_fini(&leaving);
    buyers_fini(&staying);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_worth_treating_is_found),
        cmocka_unit_test(where_all_gain_alike_all_get_the_same),
        cmocka_unit_test(too_few_say_how_many_are_needed),
        cmocka_unit_test(trees_tell_what_no_sum_can),
        cmocka_unit_test(the_model_of_intent_is_the_one_that_forecasts_better),
        cmocka_unit_test(the_model_of_buying_is_the_one_that_says_the_hold_out_best),
    };
    int failed = cmocka_run_group_tests_name("choice", tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
