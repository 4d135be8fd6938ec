/* SPDX-License-Identifier: Apache-2.0
 *
 * flag_test.c - definitions compiled, rules in order, and the holdout before all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "experiment/experiment.h"

static const struct flag *compile(arena *a, str text, i32 holdout_share)
{
    const struct json *json = NULL;
    const struct flag *flag = NULL;
    struct diag diag = { .arena = a };
    assert_int_equal(json_parse(a, text, &json, &diag), ERR_OK);
    enum err err = experiment_flag_compile(a, json, holdout_share, &flag, &diag);
    if (err) fail_msg("%.*s", STR_FMT(diag.what));
    return flag;
}

static bool rule_is(void *ctx, isize rule, str target)
{
    (void)rule;
    return str_eq(target, str_of(ctx));
}

static const str checkout = S_INIT(
    "{\"kind\": \"flag\", \"key\": \"checkout\", \"owner\": \"kari\", \"type\": \"string\", \"default\": \"old\", \"rules\": ["
    "{\"key\": \"staff\", \"kind\": \"force\", \"target\": \"in segment \\\"staff\\\"\", \"value\": \"next\"},"
    "{\"key\": \"ramp\", \"kind\": \"rollout\", \"share\": \"20%\", \"value\": \"new\"},"
    "{\"key\": \"test\", \"kind\": \"experiment\", \"id\": \"1886780721\", \"variations\": ["
    "{\"key\": \"control\", \"share\": \"25%\", \"value\": \"old\"},"
    "{\"key\": \"b\", \"share\": \"25%\", \"value\": \"one page\"}]}]}");

static void the_first_rule_that_applies_answers(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct flag *flag = compile(&a, checkout, 0);
    char staff[] = "in segment \"staff\"";
    isize by[6] = { 0 };
    for (int i = 0; i < 20000; i++) {
        struct arena_mark mark = arena_mark(&a);
        str who = arena_printf(&a, "p-%d", i);
        struct flag_answer got = experiment_flag_evaluate(
            flag, &(struct flag_asker){ .id = who, .matches = rule_is, .ctx = staff });
        assert_true(str_eq(got.value, S("\"next\"")) && got.reason == FLAG_BY_TARGET
                    && str_eq(got.rule, S("staff")));
        assert_true(got.bucket == -1 && got.propensity == 1);

        got = experiment_flag_evaluate(flag, &(struct flag_asker){ .id = who, .matches = NULL, .ctx = NULL });
        by[got.reason]++;
        i32 ramp = experiment_bucket((struct bucket_key){ who, flag->rules[1].id });
        i32 test = experiment_bucket((struct bucket_key){ who, S("1886780721") });
        if (ramp < 2000) {
            assert_true(got.reason == FLAG_BY_ROLLOUT && str_eq(got.value, S("\"new\""))
                        && got.propensity == 0.2);
        } else if (test < 2500) {
            assert_true(got.reason == FLAG_BY_EXPERIMENT && str_eq(got.variation, S("control")));
            assert_true(got.bucket == test && got.propensity == 0.25
                        && str_eq(got.experiment_id, S("1886780721")));
        } else if (test >= 5000 && test < 7500) {
            assert_true(str_eq(got.variation, S("b")) && str_eq(got.value, S("\"one page\"")));
        } else {
            assert_true(got.reason == FLAG_BY_DEFAULT && str_eq(got.value, S("\"old\""))
                        && got.rule.len == 0);
        }
        arena_reset(&a, mark);
    }
    assert_true(by[FLAG_BY_ROLLOUT] && by[FLAG_BY_EXPERIMENT] && by[FLAG_BY_DEFAULT]);
    arena_fini(&a);
}

static void without_an_id_only_what_needs_no_hash_applies(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct flag *flag = compile(&a, checkout, 500);
    struct flag_answer got = experiment_flag_evaluate(
        flag, &(struct flag_asker){ .id = S(""), .matches = NULL, .ctx = NULL });
    assert_true(got.reason == FLAG_BY_DEFAULT && got.no_bucketing_id);
    char staff[] = "in segment \"staff\"";
    got = experiment_flag_evaluate(
        flag, &(struct flag_asker){ .id = S(""), .matches = rule_is, .ctx = staff });
    assert_true(got.reason == FLAG_BY_TARGET && !got.no_bucketing_id);
    arena_fini(&a);
}

static void a_paused_flag_says_its_default(void **state)
{
    (void)state;
    arena a = { 0 };
    const struct flag *flag =
        compile(&a,
                S("{\"key\": \"x\", \"type\": \"number\", \"default\": 1.5, \"paused\": true, "
                  "\"rules\": [{\"key\": \"all\", \"kind\": \"force\", \"value\": 2}]}"),
                0);
    struct flag_answer got = experiment_flag_evaluate(
        flag, &(struct flag_asker){ .id = S("p"), .matches = NULL, .ctx = NULL });
    assert_true(got.reason == FLAG_BY_PAUSE && str_eq(got.value, S("1.5")));
    assert_true(str_eq(flag_reason_name(got.reason), S("paused")));
    arena_fini(&a);
}

/* Flags made at random, with rules that try to reach everybody: those held out get the default from
 * each of them, and it is the same people for all flags. */
static void R105_no_flag_rule_reaches_a_person_in_the_holdout(void **state)
{
    (void)state;
    arena a = { 0 };
    struct rng rng = rng_seed(9);
    char every[] = "everyone";
    for (int round = 0; round < 200; round++) {
        arena_clear(&a);
        struct buf b = { .arena = &a };
        buf_printf(&b, "{\"key\": \"f%d\", \"type\": \"bool\", \"default\": false, \"rules\": [", round);
        isize n = 1 + rng_below(&rng, 4);
        for (isize i = 0; i < n; i++) {
            const char *target = rng_below(&rng, 2) ? ", \"target\": \"everyone\"" : "";
            buf_printf(&b, "%s{\"key\": \"r%td\"%s, ", i ? "," : "", i, target);
            switch (rng_below(&rng, 3)) {
            case 0: buf_add(&b, S("\"kind\": \"force\", \"value\": true}")); break;
            case 1: buf_add(&b, S("\"kind\": \"rollout\", \"share\": \"100%\", \"value\": true}")); break;
            default: buf_add(&b, S("\"kind\": \"experiment\", \"variations\": "
                                   "[{\"key\": \"a\", \"share\": \"100%\", \"value\": true}]}")); break;
            }
        }
        buf_add(&b, S("]}"));
        const struct flag *flag = compile(&a, buf_str(&b), 500);
        isize held = 0;
        for (int i = 0; i < 2000; i++) {
            str who = arena_printf(&a, "person-%d", i);
            struct flag_answer got = experiment_flag_evaluate(
                flag, &(struct flag_asker){ .id = who, .matches = rule_is, .ctx = every });
            bool in = holdout_contains(who, 500);
            assert_true(in == (got.reason == FLAG_BY_HOLDOUT));
            assert_true(str_eq(got.value, in ? S("false") : S("true")));
            assert_true(!in || (got.rule.len == 0 && got.experiment_id.len == 0));
            held += in;
        }
        assert_true(held > 50 && held < 150);
    }
    arena_fini(&a);
}

static void what_is_wrong_is_said_by_name(void **state)
{
    (void)state;
    static const struct { str text, says;
    } rows[] = {
        { S_INIT("{}"), S_INIT("key") },
        { S_INIT("{\"key\": \"x\", \"type\": \"boolean\", \"default\": true}"), S_INIT("type is") },
        { S_INIT("{\"key\": \"x\", \"type\": \"bool\"}"),
          S_INIT("the default: the value of a bool flag is true or false") },
        { S_INIT("{\"key\": \"x\", \"type\": \"bool\", \"default\": 1}"), S_INIT("the default") },
        { S_INIT("{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": {}}"),
          S_INIT("rules is a list") },
        { S_INIT("{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{}]}"),
          S_INIT("rule 1 has no key") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"maybe\"}]}"),
          S_INIT("rule r: kind is") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"force\"}]}"),
          S_INIT("rule r: the value") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"rollout\", "
              "\"shares\": \"5%\", \"value\": true}]}"),
          S_INIT("did you mean \"share\"") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"rollout\", "
              "\"share\": 5, \"value\": true}]}"),
          S_INIT("percentage in quotes") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"force\", "
              "\"value\": true}, {\"key\": \"r\", \"kind\": \"force\", \"value\": true}]}"),
          S_INIT("two rules") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"rollout\", "
              "\"id\": \"abc\", \"share\": \"5%\", \"value\": true}]}"),
          S_INIT("decimal digits") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"experiment\", "
              "\"variations\": []}]}"),
          S_INIT("variations is a list") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"experiment\", "
              "\"variations\": [{\"key\": \"a\", \"share\": \"60%\", \"value\": true}, {\"key\": \"b\", \"share\": \"60%\", "
              "\"value\": true}]}]}"),
          S_INIT("120%") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"experiment\", "
              "\"variations\": [{\"key\": \"a\", \"share\": \"60%\", \"value\": true}, {\"key\": \"a\", \"share\": \"10%\", "
              "\"value\": true}]}]}"),
          S_INIT("key of its own") },
        { S_INIT(
              "{\"key\": \"x\", \"type\": \"bool\", \"default\": true, \"rules\": [{\"key\": \"r\", \"kind\": \"experiment\", "
              "\"ranges\": [{\"start\": 0, \"end\": 10, \"variation\": 0}], "
              "\"variations\": [{\"key\": \"a\", \"share\": \"60%\", \"value\": true}]}]}"),
          S_INIT("do not add up") },
    };
    arena a = { 0 };
    for (isize i = 0; i < countof(rows); i++) {
        struct diag diag = { .arena = &a };
        const struct json *json = NULL;
        const struct flag *flag = NULL;
        assert_int_equal(json_parse(&a, rows[i].text, &json, &diag), ERR_OK);
        assert_int_equal(experiment_flag_compile(&a, json, 0, &flag, &diag), ERR_BAD_INPUT);
        if (str_find(diag.what, rows[i].says) < 0) {
            fail_msg("row %td says: %.*s", i, STR_FMT(diag.what));
        }
    }
    arena_fini(&a);
}

static void values_of_every_type_come_back_as_json(void **state)
{
    (void)state;
    arena a = { 0 };
    static const struct { str type, value; } rows[] = {
        { S_INIT("bool"), S_INIT("true") }, { S_INIT("string"), S_INIT("\"\xC3\xA5 \\\"quoted\\\"\"") },
        { S_INIT("number"), S_INIT("42") }, { S_INIT("number"), S_INIT("0.1") },
        { S_INIT("json"), S_INIT("{\"a\":[1,null,{\"b\":false}]}") }, { S_INIT("json"), S_INIT("null") },
    };
    for (isize i = 0; i < countof(rows); i++) {
        const struct flag *flag =
            compile(&a,
                    arena_printf(&a, "{\"key\": \"x\", \"type\": \"%.*s\", \"default\": %.*s}",
                                 STR_FMT(rows[i].type), STR_FMT(rows[i].value)),
                    0);
        struct flag_answer got = experiment_flag_evaluate(
            flag, &(struct flag_asker){ .id = S("p"), .matches = NULL, .ctx = NULL });
        assert_true(str_eq(got.value, rows[i].value));
    }
    arena_fini(&a);
}

static void the_bench_runs(void **state)
{
    (void)state;
    assert_true(experiment_flag_speed(1000) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_applies_answers),
        cmocka_unit_test(without_an_id_only_what_needs_no_hash_applies),
        cmocka_unit_test(a_paused_flag_says_its_default),
        cmocka_unit_test(R105_no_flag_rule_reaches_a_person_in_the_holdout),
        cmocka_unit_test(what_is_wrong_is_said_by_name),
        cmocka_unit_test(values_of_every_type_come_back_as_json),
        cmocka_unit_test(the_bench_runs),
    };
    return cmocka_run_group_tests_name("experiment/flag", tests, NULL, NULL);
}
