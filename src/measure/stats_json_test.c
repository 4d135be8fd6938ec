/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_json_test.c - `opmaat stats` as a function of text: the published numbers through the whole of
 * it, and what it refuses. Tolerances as in stats_test.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/math.h"
#include "measure/measure.h"

static enum err run(arena *a, str text, const struct json **out, struct diag *diag)
{
    const struct json *in = NULL;
    diag->arena = a;
    assert_int_equal(json_parse(a, text, &in, diag), ERR_OK);
    struct buf b = { .arena = a };
    enum err err = measure_stats_json(in, &b, diag);
    if (!err) assert_int_equal(json_parse(a, buf_str(&b), out, diag), ERR_OK);
    return err;
}

static const struct json *answer(arena *a, str text)
{
    struct diag diag = { 0 };
    const struct json *out = NULL;
    enum err err = run(a, text, &out, &diag);
    if (err) fail_msg("%.*s", STR_FMT(diag.what));
    return out;
}

static const struct json *metric(const struct json *out, isize i)
{
    return &json_get(out, S("metrics"))->list.at[i];
}

static const struct json *comparison(const struct json *out, isize i, isize k)
{
    return &json_get(metric(out, i), S("comparisons"))->list.at[k];
}

static void near_at(const struct json *v, const char *path, f64 want, f64 tolerance, int line)
{
    f64 got = json_num(json_path(v, path), (f64)NAN);
    if (!(fabs(got - want) <= tolerance)) fail_msg("line %d: %s is %.12g, want %.12g", line, path, got, want);
}
#define near(v, path, want, tolerance) near_at((v), (path), (want), (tolerance), __LINE__)

#define REVENUE                                                                                          \
    "{\"key\": \"revenue\", \"kind\": \"mean\", \"mde\": 0.5, \"arms\": ["                               \
    "{\"key\": \"a\", \"n\": 3407, \"sum\": 1396.87, \"sum_sq\": 52377.9767},"                           \
    "{\"key\": \"b\", \"n\": 3461, \"sum\": 2422.7, \"sum_sq\": 134698.29}]}"

/* gbstats 0.8, tests/frequentist. */
static void R80_a_result_has_an_interval_and_a_sample_ratio_check(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *out = answer(&a, S("{\"method\": \"fixed\", \"metrics\": [" REVENUE "]}"));
    const struct json *c = comparison(out, 0, 0);
    near(c, "effect", 0.70732, 0.5e-5);
    near(c, "se", 0.37879, 0.5e-5);
    near(c, "low", -0.03526, 0.5e-5);
    near(c, "high", 1.44989, 0.5e-5);
    near(c, "p", 0.06191, 0.5e-5);
    near(c, "p_adjusted", 0.06191, 0.5e-5);
    near(c, "chance_to_win", normal_cdf(0.70732 / 0.37879), 1e-5);
    assert_false(json_bool(json_get(c, S("significant")), true));
    assert_true(str_eq(json_str(json_get(c, S("control")), S("")), S("a")));
    const struct json *srm = json_get(metric(out, 0), S("srm"));
    near(srm, "chi_square", 54.0 * 54 / 6868, 1e-9);
    assert_false(json_bool(json_get(srm, S("alarm")), true));
    near(c, "power.least_effect", 2.8015852 * 0.37879, 2e-5);
    near(c, "power.of_mde", 0.2613, 0.005);
    near(&json_get(metric(out, 0), S("arms"))->list.at[1], "mean", 2422.7 / 3461, 1e-12);
    arena_fini(&a);
}

static void absolute_sequential_cuped_ratio_and_bayes_come_through(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *c = comparison(
        answer(&a, S("{\"method\": \"fixed\", \"relative\": false, \"metrics\": [" REVENUE "]}")), 0, 0);
    near(c, "low", 0.04538, 0.5e-5);
    near(c, "p", 0.02016, 0.5e-5);
    c = comparison(
        answer(&a,
               S("{\"tuning_n\": 1000, \"compat\": \"gbstats\", \"metrics\": [{\"key\": \"r\", \"arms\": ["
                 "{\"key\": \"a\", \"n\": 3000, \"sum\": 1396.87, \"sum_sq\": 52377.9767},"
                 "{\"key\": \"b\", \"n\": 3461, \"sum\": 2422.7, \"sum_sq\": 134698.29}]}]}")),
        0, 0);
    near(c, "low", -0.55844, 0.5e-5);
    near(c, "high", 1.56516, 0.5e-5);
    near(c, "p", 1, 0);
    const struct json *out = answer(
        &a,
        S("{\"method\": \"fixed\", \"compat\": \"gbstats\", \"metrics\": [{\"key\": \"x\", "
          "\"arms\": [{\"key\": \"a\", \"n\": 3001, \"sum\": 300, \"sum_sq\": 600, \"pre_sum\": 210, \"pre_sum_sq\": 415, "
          "\"pre_cross\": -20}, {\"key\": \"b\", \"n\": 3000, \"sum\": 222, \"sum_sq\": 555, \"pre_sum\": 120, "
          "\"pre_sum_sq\": 405, \"pre_cross\": -10}]}]}"));
    assert_true(json_bool(json_get(metric(out, 0), S("cuped")), false));
    near(comparison(out, 0, 0), "effect", -0.281707154, 0.5e-9);
    near(comparison(out, 0, 0), "se", 0.0971049, 0.5e-7);
    c = comparison(
        answer(
            &a,
            S("{\"method\": \"bayes\", \"metrics\": [{\"key\": \"x\", \"kind\": \"ratio\", \"arms\": ["
              "{\"key\": \"a\", \"n\": 100, \"sum\": 270, \"sum_sq\": 848.79, \"den_sum\": 510, \"den_sum_sq\": 810, "
              "\"cross\": -900}, {\"key\": \"b\", \"n\": 120, \"sum\": 300, \"sum_sq\": 869, \"den_sum\": 500, "
              "\"den_sum_sq\": 800, \"cross\": -905}]}]}")),
        0, 0);
    near(c, "effect", 0.133333333, 0.5e-9);
    near(c, "chance_to_win", 0.694926359, 0.5e-9);
    near(c, "expected_loss.if_chosen", 0.050934045, 0.5e-9);
    assert_null(json_get(c, S("p")));
    c = comparison(
        answer(
            &a,
            S("{\"method\": \"bayes\", \"prior\": {\"mean\": 0.1, \"variance\": 0.1}, \"metrics\": ["
              "{\"key\": \"x\", \"arms\": [{\"key\": \"a\", \"n\": 10, \"sum\": 100, \"sum_sq\": 1002.25}, "
              "{\"key\": \"b\", \"n\": 10, \"sum\": 105, \"sum_sq\": 1111.5}]}]}")),
        0, 0);
    near(c, "posterior.mean", 0.05063, 0.5e-5);
    near(c, "chance_to_win", 0.92315, 0.5e-5);
    arena_fini(&a);
}

/* Two primary comparisons are corrected together, the monitoring one by itself; and an adjusted
 * interval leaves out 0 exactly when the adjusted p is below alpha. */
static void corrections_go_by_tier_and_reach_the_intervals(void **state)
{
    (void)state;
    arena a = { 0 };
    static const char *methods[] = { "fixed", "sequential" };
    for (isize way = 0; way < countof(methods); way++) {
        for (int more = 0; more < 400; more += 10) {
            str text = arena_printf(
                &a,
                "{\"method\": \"%s\", \"relative\": false, \"correction\": \"holm\", \"metrics\": ["
                "{\"key\": \"x\", \"kind\": \"proportion\", \"arms\": [{\"key\": \"a\", \"n\": 5000, \"sum\": 1000}, "
                "{\"key\": \"b\", \"n\": 5000, \"sum\": %d}, {\"key\": \"c\", \"n\": 5000, \"sum\": %d}]},"
                "{\"key\": \"y\", \"tier\": \"monitoring\", \"kind\": \"proportion\", \"arms\": ["
                "{\"key\": \"a\", \"n\": 5000, \"sum\": 1000}, {\"key\": \"b\", \"n\": 5000, \"sum\": %d}]}]}",
                methods[way], 1000 + more, 1000 + more / 2, 1000 + more);
            const struct json *out = answer(&a, text);
            f64 b = json_num(json_path(comparison(out, 0, 0), "p"), 9);
            f64 c = json_num(json_path(comparison(out, 0, 1), "p"), 9);
            near(comparison(out, 0, 0), "p_adjusted", fmin(1, b < c ? 2 * b : fmax(2 * c, b)), 1e-12);
            near(comparison(out, 1, 0), "p_adjusted", b, 1e-15);
            for (isize k = 0; k < 2; k++) {
                const struct json *at = comparison(out, 0, k);
                f64 low = json_num(json_get(at, S("low_adjusted")), (f64)NAN);
                bool significant = json_bool(json_get(at, S("significant")), false);
                assert_int_equal(low > 0, significant);
                assert_true(low <= json_num(json_get(at, S("low")), (f64)NAN));
            }
        }
    }
    arena_fini(&a);
}

/* An allocation that changed and a rate that rose: no lift, no alarm. */
static void epochs_and_their_shares_are_read(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *out = answer(
        &a,
        S("{\"metrics\": [{\"key\": \"x\", \"kind\": \"proportion\", \"arms\": ["
          "{\"key\": \"a\", \"epochs\": [{\"n\": 5000, \"sum\": 500, \"share\": \"50%\"}, {\"n\": 1000, \"sum\": 200, \"share\": \"10%\"}]},"
          "{\"key\": \"b\", \"epochs\": [{\"n\": 5000, \"sum\": 500, \"share\": \"50%\"}, {\"n\": 9000, \"sum\": 1800, \"share\": \"90%\"}]}"
          "]}]}"));
    near(comparison(out, 0, 0), "effect", 0, 1e-15);
    near(json_get(metric(out, 0), S("srm")), "p", 1, 1e-9);
    near(&json_get(metric(out, 0), S("arms"))->list.at[1], "n", 14000, 0);
    arena_fini(&a);
}

static void a_comparison_that_cannot_be_made_says_why_and_the_rest_stands(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *out = answer(
        &a,
        S("{\"correction\": \"bh\", \"metrics\": [{\"key\": \"x\", \"kind\": \"proportion\", \"arms\": ["
          "{\"key\": \"a\", \"n\": 50, \"sum\": 0}, {\"key\": \"b\", \"n\": 50, \"sum\": 3}]}, " REVENUE
          "]}"));
    assert_true(str_find(json_str(json_get(comparison(out, 0, 0), S("problem")), S("")), S("control is 0"))
                >= 0);
    near(comparison(out, 1, 0), "effect", 0.70732, 0.5e-5);
    arena_fini(&a);
}

/* ldbounds' third look of five; what is planned for and run over is measured by what there is. */
static void group_sequential_has_its_bounds_and_runs_over_its_plan(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *out = NULL;
    str text = S(
        "{\"method\": \"group_sequential\", \"information\": [0.2, 0.4, 0.6, 0.8, 1], \"look\": 3, \"relative\": false,"
        " \"metrics\": [{\"key\": \"m\", \"kind\": \"proportion\", \"arms\": [{\"key\": \"a\", \"n\": 3000, \"sum\": 300},"
        " {\"key\": \"b\", \"n\": 3000, \"sum\": 370}]}]}");
    out = answer(&a, text);
    const struct json *looks = json_path(out, "group_sequential.looks");
    assert_int_equal(json_len(looks), 5);
    near(&looks->list.at[2], "bound", 2.6803, 0.51e-4);
    f64 bound = json_num(json_get(&looks->list.at[2], S("bound")), 0),
        se = json_num(json_get(comparison(out, 0, 0), S("se")), 0);
    near(comparison(out, 0, 0), "low", 70.0 / 3000 - bound * se, 1e-12);
    assert_true(json_bool(json_get(comparison(out, 0, 0), S("significant")), false));

    text = S(
        "{\"method\": \"group_sequential\", \"alpha\": 0.01, \"spending\": \"power\", \"planned_n\": 300,"
        " \"looks\": [250, 450, 630, 810], \"metrics\": [{\"key\": \"m\", \"kind\": \"proportion\", \"arms\":"
        " [{\"key\": \"a\", \"n\": 405, \"sum\": 100}, {\"key\": \"b\", \"n\": 405, \"sum\": 150}]}]}");
    out = answer(&a, text);
    looks = json_path(out, "group_sequential.looks");
    near(&looks->list.at[0], "nominal", .00095, 1e-4);
    near(&looks->list.at[3], "nominal", .00636, 1e-4);
    arena_fini(&a);
}

/* Values are their own sums; cutting them at a quantile of both arms touches the largest only. */
static void values_quantiles_and_winsorised_means_come_through(void **state)
{
    (void)state;
    arena a = { 0 };
    struct buf text = { .arena = &a };
    buf_printf(&text, "{\"relative\": false, \"method\": \"fixed\", \"metrics\": [");
    for (int m = 0; m < 3; m++) {
        buf_printf(&text, "%s{\"key\": \"m%d\"%s, \"arms\": [", m ? "," : "", m,
                   m == 0   ? ""
                   : m == 1 ? ", \"winsorise\": 0.9"
                            : ", \"kind\": \"quantile\", \"quantile\": 0.5");
        for (int arm = 0; arm < 2; arm++) {
            buf_printf(&text, "%s{\"key\": \"%c\", \"values\": [", arm ? "," : "", 'a' + arm);
            for (int i = 0; i < 100; i++)
                buf_printf(&text, "%s%d", i ? "," : "", i == 99 ? 10000 : i + arm * 5);
            buf_printf(&text, "]}");
        }
        buf_printf(&text, "]}");
    }
    buf_printf(&text, "]}");
    const struct json *out = NULL;
    out = answer(&a, buf_str(&text));
    near(comparison(out, 0, 0), "effect", 4.95, 1e-9);
    near(comparison(out, 2, 0), "effect", 5, 1e-9);
    f64 wide = json_num(json_get(comparison(out, 0, 0), S("se")), 0),
        cut = json_num(json_get(comparison(out, 1, 0), S("se")), 0);
    assert_true(wide > 100 && cut < 5);
    arena_fini(&a);
}

static void what_is_wrong_is_said_by_name(void **state)
{
    (void)state;
    static const struct { str text, says; enum err err;
    } rows[] = {
        { S_INIT("{}"), S_INIT("metrics is a list"), ERR_BAD_INPUT },
        { S_INIT("{\"method\": \"magic\"}"), S_INIT("method is"), ERR_BAD_INPUT },
        { S_INIT("{\"method\": \"group_sequential\", \"information\": [0.5, 0.4]}"), S_INIT("look 2 does not"), ERR_BAD_INPUT },
        { S_INIT("{\"method\": \"group_sequential\", \"information\": [0.5, 1], \"look\": 3}"), S_INIT("look is 1 to 2"), ERR_BAD_INPUT },
        { S_INIT("{\"method\": \"group_sequential\", \"spending\": \"all\"}"), S_INIT("spending is"), ERR_BAD_INPUT },
        { S_INIT("{\"alpha\": 1}"), S_INIT("alpha"), ERR_BAD_INPUT },
        { S_INIT("{\"prior\": {\"mean\": 1}}"), S_INIT("prior is"), ERR_BAD_INPUT },
        { S_INIT("{\"correction\": \"sidak\"}"), S_INIT("correction is"), ERR_BAD_INPUT },
        { S_INIT("{\"metrics\": [{\"key\": \"q\", \"kind\": \"quantile\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 1}, {}]}]}"),
          S_INIT("sums do not hold it"), ERR_BAD_INPUT },
        { S_INIT("{\"metrics\": [{\"key\": \"q\", \"winsorise\": 0.9, \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 1}, {}]}]}"),
          S_INIT("winsorise needs values"), ERR_BAD_INPUT },
        { S_INIT("{\"metrics\": [{\"key\": \"q\", \"arms\": [{\"key\": \"a\"}]}]}"), S_INIT("2 to 100"),
          ERR_BAD_INPUT },
        { S_INIT(
              "{\"metrics\": [{\"key\": \"q\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 1}, {}]}]}"),
          S_INIT("metric q, arm a: sum_sq needed"), ERR_BAD_INPUT },
        { S_INIT(
              "{\"metrics\": [{\"key\": \"q\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 9, \"sum_sq\": 1}, {}]}]}"),
          S_INIT("too small"), ERR_BAD_INPUT },
        { S_INIT(
              "{\"metrics\": [{\"key\": \"q\", \"kind\": \"proportion\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 9}, {}]}]}"),
          S_INIT("between 0 and n"), ERR_BAD_INPUT },
        { S_INIT(
              "{\"metrics\": [{\"key\": \"q\", \"kind\": \"ratio\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 1, "
              "\"sum_sq\": 1}, {}]}]}"),
          S_INIT("den_sum, den_sum_sq and cross"), ERR_BAD_INPUT },
        { S_INIT(
              "{\"metrics\": [{\"key\": \"q\", \"kind\": \"proportion\", \"arms\": [{\"key\": \"a\", \"n\": 3, \"sum\": 1, "
              "\"share\": \"half\"}, {}]}]}"),
          S_INIT("share is"), ERR_BAD_INPUT },
    };
    arena a = { 0 };
    for (isize i = 0; i < countof(rows); i++) {
        struct diag diag = { 0 };
        const struct json *out = NULL;
        assert_int_equal(run(&a, rows[i].text, &out, &diag), rows[i].err);
        if (str_find(diag.what, rows[i].says) < 0) fail_msg("row %td says: %.*s", i, STR_FMT(diag.what));
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R80_a_result_has_an_interval_and_a_sample_ratio_check),
        cmocka_unit_test(absolute_sequential_cuped_ratio_and_bayes_come_through),
        cmocka_unit_test(corrections_go_by_tier_and_reach_the_intervals),
        cmocka_unit_test(epochs_and_their_shares_are_read),
        cmocka_unit_test(a_comparison_that_cannot_be_made_says_why_and_the_rest_stands),
        cmocka_unit_test(group_sequential_has_its_bounds_and_runs_over_its_plan),
        cmocka_unit_test(values_quantiles_and_winsorised_means_come_through),
        cmocka_unit_test(what_is_wrong_is_said_by_name),
    };
    return cmocka_run_group_tests_name("measure/stats_json", tests, NULL, NULL);
}
