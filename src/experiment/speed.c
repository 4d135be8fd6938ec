/* SPDX-License-Identifier: Apache-2.0
 *
 * speed.c - how many flag evaluations a second this core does, for `opmaat bench`.
 *
 * The flag is the budget's: a rollout that most people fall through and an experiment of two arms,
 * no targets. Ids are made before the clock starts, as a request has its id at hand. Values are
 * read so that nothing is optimised away. */
#include "experiment/experiment.h"

#include "base/clock.h"

enum { PEOPLE = 1024 };                                 /* 16 bytes each: stays in the first cache */

static const str definition = S_INIT(
    "{\"key\": \"speed\", \"type\": \"bool\", \"default\": false, \"rules\": ["
    "{\"key\": \"ramp\", \"kind\": \"rollout\", \"share\": \"10%\", \"value\": true},"
    "{\"key\": \"test\", \"kind\": \"experiment\", \"variations\": ["
    "{\"key\": \"control\", \"share\": \"50%\", \"value\": false},"
    "{\"key\": \"b\", \"share\": \"50%\", \"value\": true}]}]}");

f64 experiment_flag_speed(i64 span_us)
{
    arena a = { 0 };
    const struct json *json = NULL;
    const struct flag *flag = NULL;
    enum err err = json_parse(&a, definition, &json, NULL);
    if (!err) err = experiment_flag_compile(&a, json, 0, &flag, NULL);
    assert(!err);
    str *ids = arena_new(&a, str, PEOPLE);
    for (isize i = 0; i < PEOPLE; i++) ids[i] = arena_printf(&a, "person-%06td", i);

    i64 done = 0, seen = 0, began_us = clock_monotonic_us(), now_us = began_us;
    do {
        for (isize i = 0; i < PEOPLE; i++)
            seen += experiment_flag_evaluate(
                        flag, &(struct flag_asker){ .id = ids[i], .matches = NULL, .ctx = NULL })
                        .value.len;
        done += PEOPLE;
        now_us = clock_monotonic_us();
    } while (now_us - began_us < span_us);
    assert(seen >= 4 * done);                           /* "true" or "false" each time */
    arena_fini(&a);
    return now_us > began_us ? (f64)done * 1e6 / (f64)(now_us - began_us) : 0;
}
