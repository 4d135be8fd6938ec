/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c - `opmaat replay`: what a changed campaign would have earned, before it is published. */
#include <stdio.h>

#include "command/inside.h"

static void print_text(const struct json *answer)
{
    const struct json *metrics = json_get(answer, S("metrics")), *weights = json_get(answer, S("weights"));
    static const struct { const char *name, *key; } rows[] = {
        { "as it was", "logged" }, { "as changed", "dr" }, { "the change", "gain" }, { "by weights alone", "snips" },
    };
    (void)printf("campaign %.*s, %.*s: %lld people\n\n", STR_FMT(json_get_str(answer, "campaign")),
                 STR_FMT(json_get_str(answer, "metric")),
                 (long long)json_int(json_get(answer, S("people")), 0));
    for (isize i = 0; i < countof(rows); i++) {
        const struct json *v = json_get(metrics, str_of(rows[i].key));
        (void)printf("%-18s %10.6f   %10.6f to %.6f\n", rows[i].name,
                     json_num(json_get(v, S("value")), 0), json_num(json_get(v, S("low")), 0),
                     json_num(json_get(v, S("high")), 0));
    }
    (void)printf(
        "\neffective sample size %.1f of %lld, largest weight %.3g; %.1f%% of what it would show was shown\n",
        json_num(json_get(weights, S("effective_sample_size")), 0),
        (long long)json_int(json_get(answer, S("rows")), 0),
        json_num(json_get(weights, S("max")), 0),
        100 * json_num(json_get(answer, S("covered")), 0));
    json_each (alarm, json_get(answer, S("alarms")))
        (void)printf("alarm: %.*s\n", STR_FMT(json_str(alarm, S(""))));
}

int command_replay(struct args *args)
{
    struct server server;
    struct answer answer;
    struct diag diag = { .arena = args->a };
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    const struct json *document = NULL;
    str campaign = option(args, "campaign", ""), since = option(args, "since", ""),
        with = option(args, "with", ""), text = S("");
    bool found = true;
    i64 since_ms;
    if (campaign.len == 0) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (since.len && !time_parse(since, &since_ms))
        return command_fail(USAGE, "--since %.*s is no time: expected RFC 3339, such as 2026-11-01",
                            STR_FMT(since));
    if (with.len) text = read_file(args->a, arena_z(args->a, with), &found);
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(with));
    if (text.len && json_parse(args->a, text, &document, &diag))
        return command_fail(FAILED, "%.*s: %.*s", STR_FMT(with), STR_FMT(diag.what));
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "campaign", campaign);
    if (since.len) jsonw_key_str(&w, "since", since);
    if (document) { jsonw_key(&w, S("document")); jsonw_value(&w, document); }
    jsonw_end(&w, '}');
    if (!server_reach(args, &server, 0)) return FAILED;
    bool ok = server_post(&server, S("/v1/replay"), buf_str(&out), &answer);
    server_leave(&server);
    if (!ok) return FAILED;
    if (flag(args, "json")) (void)printf("%.*s\n", STR_FMT(answer.body));
    else print_text(answer.json);
    return DONE;
}
