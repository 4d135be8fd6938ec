/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: measures are what their definitions say, learners find what was put in, and the shared data
 * sets reach what is published. Method: answers worked out by hand; data made from known chances;
 * Online Shoppers by the protocol of its README. */
#include "predict/predict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void is_near(const char *what, f64 got, f64 want, f64 tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s is %.8f, not %.8f within %g", what, got, want, tolerance);
}

/* Three yes at .9 .6 .4, two no at .6 .1. Pairs won: .9 both, .6 one and a half, .4 one: 4.5 of 6.
 * Average precision, from the top, ties together: 1/3 (1 + 2/3 + 3/4). */
static void measures_are_what_they_say(void **state)
{
    (void)state;
    struct forecast at[] = { { .6, 1 }, { .1, 0 }, { .9, 1 }, { .6, 0 }, { .4, 1 } };
    struct goodness g = goodness(at, 5);
    is_near("auc", g.auc, 4.5 / 6, 1e-12);
    is_near("average precision", g.average_precision, (1 + 2.0 / 3 + .75) / 3, 1e-12);
    is_near("brier", g.brier, (.16 + .01 + .01 + .36 + .36) / 5, 1e-12);
    is_near("log loss", g.log_loss, -(log(.6) + log(.9) + log(.9) + log(.4) + log(.4)) / 5, 1e-12);
    is_near("rate", g.rate, .6, 1e-12);
    is_near("base", g.base_brier, .24, 1e-12);
    assert_int_equal(goodness(at, 0).n, 0);
}

/* Wilson's interval of 1 in 10: .0179 to .4042 (Newcombe 1998, table I gives .0179, .4041 by the
 * same formula, to rounding). */
static void charts_have_bins_with_counts(void **state)
{
    (void)state;
    struct forecast at[100];
    for (int i = 0; i < 100; i++) at[99 - i] = (struct forecast){ i / 100.0, i % 10 == 3 };
    struct calibration c = calibrate(at, 100, false);
    assert_int_equal(c.bins_n, CALIBRATION_BINS);
    for (int b = 0; b < 10; b++) {
        assert_int_equal(c.bins[b].n, 10);
        is_near("predicted", c.bins[b].predicted, b / 10.0 + .045, 1e-12);
        is_near("observed", c.bins[b].observed, .1, 1e-12);
        is_near("low", c.bins[b].low, .0179, 1e-4);
        is_near("high", c.bins[b].high, .4042, 1e-4);
    }
    assert_int_equal(calibrate(at, 3, true).bins_n, 3);
}

/* One example, by hand from the algorithm: first the chance is a half, so z = -.5 and n = .25; the
 * weight is .5 / ((1 + .5) / .1 + 1). */
static void one_step_of_ftrl_is_by_the_book(void **state)
{
    (void)state;
    struct ftrl *f = ftrl_new(2);
    struct feature x[] = { { 1, 1 } };
    is_near("before", ftrl_predict(f, x, 1), .5, 1e-15);
    ftrl_learn(f, x, 1, .5, true);
    is_near("weight", ftrl_weight(f, 1), .5 / 16, 1e-15);
    is_near("after", ftrl_predict(f, x, 1), 1 / (1 + exp(-.5 / 16)), 1e-15);
    is_near("never met", ftrl_weight(f, 0), 0, 0);
    ftrl_free(f);
}

static void ftrl_finds_the_chances(void **state)
{
    (void)state;
    struct ftrl *f = ftrl_new(4);
    struct rng rng = rng_seed(3);
    struct feature x[2] = { { 0, 1 } };
    for (int i = 0; i < 200000; i++) {
        u32 kind = 1 + rng_below(&rng, 3);
        x[1] = (struct feature){ kind, 1 };
        ftrl_learn(f, x, 2, ftrl_predict(f, x, 2), rng_unit(&rng) < .1 * kind * kind);
    }
    for (u32 kind = 1; kind <= 3; kind++) {
        x[1].at = kind;
        is_near("chance", ftrl_predict(f, x, 2), .1 * kind * kind, .03);
    }
    ftrl_free(f);
}

/* Rows best first: treated yes, untreated no, treated yes, untreated yes, treated no, untreated no.
 * Extra outcomes after each: 1, 1, 2, 1, .5, 1. Trapezoids over 6 rows less half the end, an end of
 * 1, 3 treated: ((.5+1+1.5+1.5+.75+.75) / 6 - .5) / 3. */
static void qini_is_by_hand(void **state)
{
    (void)state;
    const struct uplift_row at[] = { { 6, true, true },  { 5, false, false }, { 4, true, true },
                                     { 3, false, true }, { 2, true, false },  { 1, false, false } };
    const u32 order[] = { 0, 1, 2, 3, 4, 5 }, twice[] = { 2, 2, 2, 2, 2, 2 };
    is_near("qini", qini(at, 6, order, NULL), (6.0 / 6 - .5) / 3, 1e-12);
    is_near("the same people twice", qini(at, 6, order, twice), qini(at, 6, order, NULL), 1e-12);
    is_near("effect of all", uplift_at(at, 6, order, NULL, 1), 2.0 / 3 - 1.0 / 3, 1e-12);
    is_near("of the first half", uplift_at(at, 6, order, NULL, .5), 1, 1e-12);
}

/* ---- files ----------------------------------------------------------------------------------- */

static arena a;

static const char *file_of(struct buf *text)
{
    const char *folder = getenv("TMPDIR");
    char *name = (char *)(uintptr_t)arena_printf(&a, "%s/predict_test_XXXXXX", folder ? folder : "/tmp").ptr;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text->ptr, (size_t)text->len), text->len);
    assert_int_equal(close(fd), 0);
    return name;
}

typedef enum err evaluation(const struct predict_evaluation *options, struct buf *out, struct diag *diag);

static const struct json *report(evaluation *run, struct predict_evaluation o)
{
    struct diag diag = { .arena = &a };
    struct buf out = { .arena = &a };
    const struct json *json;
    o.json = true;
    if (run(&o, &out, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(json_parse(&a, buf_str(&out), &json, &diag), ERR_OK);
    return json;
}

static str refusal(evaluation *run, struct predict_evaluation o)
{
    struct diag diag = { .arena = &a };
    struct buf out = { .arena = &a };
    assert_int_not_equal(run(&o, &out, &diag), ERR_OK);
    return diag.what;
}

static f64 metric(const struct json *r, const char *name, const char *part)
{
    return json_num(json_get(json_get(json_get(r, S("metrics")), str_of(name)), str_of(part)), -9);
}

/* README of the data: 5 stratified folds, seed 0; logistic .890, .747 without PageValues; boosting .932. */
static void online_shoppers_is_reached(void **state)
{
    (void)state;
    const char *folder = getenv("OPMAAT_SHARED");
    const char *path = arena_printf(&a, "%s/data/online-shoppers/online_shoppers_intention.csv.gz",
                                    folder ? folder : "../shared")
                           .ptr;
    struct predict_evaluation o = { .train = path, .label = S("Revenue"), .resamples = 20 };
    const struct json *with = report(evaluate_propensity, o);
    assert_true(metric(with, "auc", "value") >= .885);
    assert_true(metric(with, "brier", "value") < .7 * metric(with, "brier_base", "value"));
    assert_int_equal(json_int(json_path(with, "test.rows"), 0), 12330);
    json_each(bin, json_get(with, S("calibration")))    /* calibrated: no tenth is further off than this */
        is_near("a bin", json_num(json_get(bin, S("observed")), -1),
                json_num(json_get(bin, S("predicted")), -2), .06);
    o.skip = S("PageValues");
    assert_true(metric(report(evaluate_propensity, o), "auc", "value") >= .745);
    o.skip = S("");
    o.algorithm = S("trees");
    assert_true(metric(report(evaluate_propensity, o), "auc", "value") >= .93);
}

/* Treatment helps those of kind b alone, who buy less without it; so ranking by response misleads,
 * and two models do not. */
static const char *uplift_file(bool heterogeneous)
{
    struct buf text = { .arena = &a };
    struct rng rng = rng_seed(21);
    buf_printf(&text, "kind,noise,treated,bought\n");
    for (int i = 0; i < 20000; i++) {
        bool b = rng_below(&rng, 2), treated = rng_below(&rng, 2);
        f64 chance = heterogeneous ? (b ? .05 + .15 * treated : .4) : (b ? .3 : .1) * (treated ? 1.5 : 1);
        buf_printf(&text, "%s,%.3f,%d,%d\n", b ? "b" : "a", rng_unit(&rng), treated, rng_unit(&rng) < chance);
    }
    return file_of(&text);
}

static void uplift_picks_the_learner_that_holds(void **state)
{
    (void)state;
    struct predict_evaluation o = { .train = uplift_file(true),
                                    .treatment = S("treated"),
                                    .outcome = S("bought"),
                                    .resamples = 200 };
    const struct json *r = report(evaluate_uplift, o);
    assert_true(str_eq(json_str(json_get(r, S("algorithm")), S("")), S("two_model")));
    assert_true(json_bool(json_get(r, S("sure")), false));
    assert_true(metric(r, "qini_difference", "low") > 0);
    is_near("uplift in the best 30 %", metric(r, "uplift@30_two_model", "value"), .15, .03);
    is_near("effect of all", metric(r, "effect", "value"), .075, .02);
    assert_int_equal(unlink(o.train), 0);
    o.train = uplift_file(false);
    r = report(evaluate_uplift, o);
    assert_true(metric(r, "qini_response", "low") > 0); /* effects go with the response: both rank */
    assert_int_equal(unlink(o.train), 0);
}

static void files_that_will_not_do_say_why(void **state)
{
    (void)state;
    struct buf text = { .arena = &a };
    buf_printf(&text, "x,y\n1,maybe\n2,yes\n3,no\n");
    struct predict_evaluation o = { .train = file_of(&text), .label = S("y") };
    assert_true(str_find(refusal(evaluate_propensity, o), S("should hold 1 and 0")) >= 0);
    o.label = S("z");
    assert_true(str_find(refusal(evaluate_propensity, o), S("no column \"z\"")) >= 0);
    o.label = S("x");
    assert_true(str_find(refusal(evaluate_propensity, o), S("should hold 1 and 0")) >= 0);
    assert_true(str_find(refusal(evaluate_clv, o), S("customer_id, date and value")) >= 0);
    assert_int_equal(unlink(o.train), 0);
    text.len = 0;
    buf_printf(&text, "customer_id,date,value\na,2026-01-01,5\na,2026-03-01,x\n");
    o.train = file_of(&text);
    assert_true(str_find(refusal(evaluate_clv, o), S("line 3")) >= 0);
    assert_int_equal(unlink(o.train), 0);
    text.len = 0;
    buf_printf(&text, "customer_id\tdate\tvalue\na\t2026-01-01\t5\na\t2026-03-01\t7\nb\t20260102\t1\n");
    o.train = file_of(&text);
    assert_true(str_find(refusal(evaluate_clv, o), S("50 and 20 are needed")) >= 0);
    assert_int_equal(unlink(o.train), 0);
}

/* ---- intent ---------------------------------------------------------------------------------- */

static isize visit_of(struct rng *rng, i64 at_ms, struct history_entry *out)
{
    isize n = 0;
    bool buys = rng_below(rng, 4) == 0;
    for (u32 i = 0; i <= rng_below(rng, 4); i++)
        out[n++] = (struct history_entry){ .at_ms = at_ms += 9000,
                                           .type = EVENT_PRODUCT_VIEWED,
                                           .item = 1 };
    if (buys || rng_below(rng, 5) == 0)
        out[n++] = (struct history_entry){ .at_ms = at_ms += 9000,
                                           .type = EVENT_PRODUCT_ADDED,
                                           .item = 1 };
    if (buys)
        out[n++] = (struct history_entry){ .at_ms = at_ms + 9000,
                                           .type = EVENT_ORDER_COMPLETED,
                                           .flags = HISTORY_ORDER };
    return n;
}

static void intent_learns_from_visits_and_moves_with_each_event(void **state)
{
    (void)state;
    struct rng rng = rng_seed(8);
    struct intent_trainer *t = intent_trainer_new(30 * MINUTE_MS);
    struct history_entry visit[16];
    struct intent_card card;
    for (int i = 0; i < 3000; i++) {
        isize n = visit_of(&rng, (i64)i * HOUR_MS, visit);
        intent_train(t, visit, n, 4000LL * HOUR_MS);
    }
    struct intent_model *m = intent_learn(t, &card);
    assert_non_null(m);
    assert_int_equal(card.visits, 3000);
    assert_true(card.goodness.brier < card.goodness.base_brier);
    assert_true(card.goodness.log_loss < card.goodness.base_log_loss);
    struct history_entry now[] = { { .at_ms = 1000, .type = EVENT_PRODUCT_VIEWED, .item = 1 },
                                   { .at_ms = 2000, .type = EVENT_PRODUCT_ADDED, .item = 1 },
                                   { .at_ms = 3000, .type = EVENT_ORDER_COMPLETED } };
    f64 looked = intent_of(m, now, 1, 1500), added = intent_of(m, now, 2, 2500);
    assert_true(looked > 0 && added > looked + .2);
    is_near("an event to come is not seen", intent_of(m, now, 2, 1500), looked, 0);
    assert_true(intent_of(m, now, 3, 3500) < 0);        /* ordered: the visit is over */
    assert_true(intent_of(m, now, 2, 2 * HOUR_MS) < 0);
    assert_true(intent_of(m, now, 0, 1000) < 0 && intent_of(NULL, now, 1, 1500) < 0);
    struct intent_reason why[2];
    assert_int_equal(intent_reasons(m, now, 2, 2500, why, 2), 2);
    assert_string_equal(why[0].name, "added to cart");
    intent_free(m);
    assert_null(intent_learn(intent_trainer_new(1000), &card));
}

static void what_is_logged_reads_back(void **state)
{
    (void)state;
    struct prediction p = { .person = { 7 },
                            .scores = { .at_ms = 5,
                                        .version = 3,
                                        .known = 1 << SCORE_CHURN | 1 << SCORE_CLV_365,
                                        .currency = 9,
                                        .reasons = { { 0, REASON_CODE_OVERDUE, 3.25f } },
                                        .reasons_n = 1 } },
                      back;
    p.scores.value[SCORE_CHURN] = .5f;
    p.scores.value[SCORE_CLV_365] = 12345;
    struct buf bytes = { .arena = &a };
    prediction_encode(&p, &bytes);
    assert_int_equal(prediction_decode(buf_str(&bytes), &a, &back), ERR_OK);
    assert_int_equal(back.person.v, 7);
    assert_false(scores_differ(&p.scores, &back.scores));
    assert_true(str_eq(score_reason_text(&a, back.scores.reasons[0], (currency){ 0 }),
                       S("silent for 3.2 times the usual gap between orders")));
    const struct { u8 code; f32 number; const char *words; } said[] = {
        { REASON_CODE_LIFT_DEVICE, 0, "device not known" },
        { REASON_CODE_LIFT_DEVICE, 3, "on a tablet" },
        { REASON_CODE_LIFT_KNOWN, 1, "known by name" },
        { REASON_CODE_LIFT_CHANNEL, CHANNEL_ADS, "latest come from an ad" },
        { REASON_CODE_LIFT_ORDER_VALUE, 47400, "an order is worth NOK 474.00 on average" },
        { REASON_CODE_ORDER_WORTH, 474, "an order is worth NOK 474.00 on average" },
    };
    for (isize i = 0; i < countof(said); i++) {
        struct score_reason reason = { 0, said[i].code, said[i].number };
        assert_true(str_eq(score_reason_text(&a, reason, currency_of(S("NOK"))), str_of(said[i].words)));
    }
    for (isize cut = 0; cut < bytes.len; cut++)
        assert_int_equal(prediction_decode((str){ bytes.ptr, cut }, &a, &back), ERR_DAMAGED);
    back = p;
    back.scores.value[SCORE_CHURN] = .6f;
    assert_true(scores_differ(&p.scores, &back.scores));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_are_what_they_say),
        cmocka_unit_test(charts_have_bins_with_counts),
        cmocka_unit_test(one_step_of_ftrl_is_by_the_book),
        cmocka_unit_test(ftrl_finds_the_chances),
        cmocka_unit_test(qini_is_by_hand),
        cmocka_unit_test(online_shoppers_is_reached),
        cmocka_unit_test(uplift_picks_the_learner_that_holds),
        cmocka_unit_test(files_that_will_not_do_say_why),
        cmocka_unit_test(intent_learns_from_visits_and_moves_with_each_event),
        cmocka_unit_test(what_is_logged_reads_back),
    };
    int failed = cmocka_run_group_tests_name("predict", tests, NULL, NULL);
    arena_fini(&a);
    return failed;
}
