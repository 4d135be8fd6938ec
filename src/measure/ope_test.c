/* SPDX-License-Identifier: Apache-2.0
 *
 * ope_test.c - the Open Bandit data (Saito, Aihara, Matsutani, Narita, arXiv 2008.07146), and a
 * simulation in which the truth is known.
 *
 * The table's numbers were computed apart from this code from the same files; what is printed with ten
 * decimals is met to half the last one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/measure.h"

static void near_at(f64 got, f64 want, f64 tolerance, int line)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("line %d: got %.12g, want %.12g", line, got, want);
}
#define near(got, want, tolerance) near_at((got), (want), (tolerance), __LINE__)

static const struct json *evaluate(arena *a, const char *file, str policy)
{
    const char *shared = getenv("OPMAAT_SHARED"), *root = getenv("OPMAAT_ROOT");
    str path = shared ? arena_printf(a, "%s/data/open-bandit-sample/%s", shared, file)
                      : arena_printf(a, "%s/../shared/data/open-bandit-sample/%s", root ? root : ".", file);
    struct ope_options options = { .test = path.ptr, .policy = policy, .json = true };
    struct buf out = { .arena = a };
    struct diag diag = { .arena = a };
    const struct json *json = NULL;
    if (ope_run(&options, &out, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(json_parse(a, buf_str(&out), &json, &diag), ERR_OK);
    return json;
}

static f64 at(const struct json *json, const char *path) { return json_num(json_path(json, path), (f64)NAN); }

static void the_open_bandit_table_is_met(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        f64 logged, ips, snips, mean, ess, ess_tolerance, max, clipped, dm, dr;
    } rows[] = {
        { "bts_men.csv.gz", .0069, .0030086263, .0031894232, .943314, 655.710, .5e-3, 178.25,
          .0030086263, .0036190239, .0029227329 },
        { "bts_women.csv.gz", .0046, .0074375775, .0023730461, 3.134190, 2.078, .5e-3, 21739.13,
          .0043836692, .0029892837, .0077424234 },
    };
    arena a = { 0 };
    for (isize i = 0; i < countof(rows); i++) {
        const struct json *got = evaluate(&a, rows[i].file, S("uniform"));
        near(at(got, "metrics.logged.value"), rows[i].logged, 1e-12);
        near(at(got, "metrics.ips.value"), rows[i].ips, .5e-10);
        near(at(got, "metrics.snips.value"), rows[i].snips, .5e-10);
        near(at(got, "metrics.ips_clipped.value"), rows[i].clipped, .5e-10);
        near(at(got, "metrics.dm.value"), rows[i].dm, .5e-10);
        near(at(got, "metrics.dr.value"), rows[i].dr, .5e-10);
        near(at(got, "weights.mean"), rows[i].mean, .5e-6);
        near(at(got, "weights.effective_sample_size"), rows[i].ess, rows[i].ess_tolerance);
        near(at(got, "weights.max"), rows[i].max, .005);
    }
    static const struct { const char *file; f64 ips, snips; } sevens[] = {
        { "random_men.csv.gz", .0034, .0031645570 }, { "random_women.csv.gz", .0046, .0043290043 },
    };
    for (isize i = 0; i < countof(sevens); i++) {
        const struct json *got = evaluate(&a, sevens[i].file, S("always:7"));
        near(at(got, "metrics.ips.value"), sevens[i].ips, .5e-10);
        near(at(got, "metrics.snips.value"), sevens[i].snips, .5e-10);
    }
    arena_fini(&a);
}

static bool alarmed(const struct json *got, str word)
{
    json_each(alarm, json_get(got, S("alarms")))
        if (str_find(json_str(alarm, S("")), word) >= 0) return true;
    return false;
}

/* The women's log holds a propensity of one in a million: ten thousand rows are worth two. */
static void an_effective_sample_of_two_raises_every_alarm(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct json *women = evaluate(&a, "bts_women.csv.gz", S("uniform"));
    assert_true(alarmed(women, S("below 100")) && alarmed(women, S("hardly ever agree"))
                && alarmed(women, S("one row carries")));
    const struct json *random = evaluate(&a, "random_men.csv.gz", S("uniform"));
    assert_int_equal(json_len(json_get(random, S("alarms"))), 0);
    near(at(random, "weights.effective_sample_size"), 10000, 1e-6);
    arena_fini(&a);
}

/* Three actions worth 0.1, 0.2, 0.4, chosen 0.7, 0.2, 0.1; asked about: 0.1, 0.3, 0.6, worth 0.31. Of
 * 400 logs of 2,000 the intervals of IPS, SNIPS and DR cover it as often as they say (three standard
 * errors, and the normal's own error at this size: 0.92), and their mean is it. */
static void intervals_cover_what_the_other_policy_really_earns(void **state)
{
    (void)state;
    static const f64 worth[] = { .1, .2, .4 }, chosen[] = { .7, .2, .1 }, asked[] = { .1, .3, .6 };
    struct rng rng = rng_seed(37);
    static struct ope_row rows[2000];
    int covered[3] = { 0 };
    f64 sum[3] = { 0 };
    enum { LOGS = 400 };
    for (int log = 0; log < LOGS; log++) {
        for (isize i = 0; i < countof(rows); i++) {
            f64 u = rng_unit(&rng);
            u32 k = u < .7 ? 0 : u < .9 ? 1 : 2;
            rows[i] = (struct ope_row){ k,
                                        chosen[k],
                                        asked[k],
                                        rng_unit(&rng) < worth[k],
                                        .15 + .1 * k,
                                        .15 + .1 * (.3 + 2 * .6) };
        }
        struct ope o = ope_evaluate(rows, countof(rows), 1000, 0.05);
        const struct ope_value *all[] = { &o.ips, &o.snips, &o.dr };
        for (int k = 0; k < 3; k++) {
            covered[k] += all[k]->low <= .31 && .31 <= all[k]->high;
            sum[k] += all[k]->value / LOGS;
        }
        assert_false(o.alarms & OPE_SHIFTED && o.mean_weight_se < .01);
    }
    for (int k = 0; k < 3; k++) {
        assert_true(covered[k] > .92 * LOGS);
        near(sum[k], .31, .004);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_open_bandit_table_is_met),
        cmocka_unit_test(an_effective_sample_of_two_raises_every_alarm),
        cmocka_unit_test(intervals_cover_what_the_other_policy_really_earns),
    };
    return cmocka_run_group_tests_name("measure/ope", tests, NULL, NULL);
}
