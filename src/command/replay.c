/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c - `opmaat replay`: what a changed campaign would have earned, before it is published. */
#include <stdio.h>

#include "base/rcu.h"
#include "command/inside.h"

static void print_text(const struct whatif *ask, const struct whatif_answer *answer)
{
    const struct ope *o = &answer->ope;
    const struct { const char *name; struct ope_value v; } rows[] = {
        { "as it was", o->logged }, { "as changed", o->dr }, { "the change", o->gain }, { "by weights alone", o->snips },
    };
    (void)printf("campaign %.*s, %.*s: %td people\n\n", STR_FMT(ask->campaign), STR_FMT(answer->metric), answer->people);
    for (isize i = 0; i < countof(rows); i++)
        (void)printf("%-18s %10.6f   %10.6f to %.6f\n", rows[i].name, rows[i].v.value, rows[i].v.low, rows[i].v.high);
    (void)printf("\neffective sample size %.1f of %td, largest weight %.3g; %.1f%% of what it would show was shown\n", o->ess, o->n, o->max_weight,
                 100 * answer->covered);
    for (u32 i = 0; i < OPE_ALARMS; i++)
        if (o->alarms >> i & 1) (void)printf("alarm: %s\n", ope_alarm_text((enum ope_alarm)(1U << i)));
}

int command_replay(struct args *args)
{
    struct folder folder;
    struct diag diag = { .arena = args->a };
    struct whatif_answer answer;
    struct whatif ask = { .campaign = option(args, "campaign", "") };
    str since = option(args, "since", ""), with = option(args, "with", "");
    bool found = true;
    if (ask.campaign.len == 0) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (since.len && !time_parse(since, &ask.since_ms))
        return command_fail(USAGE, "--since %.*s is no time: expected RFC 3339, such as 2026-11-01", STR_FMT(since));
    if (with.len) ask.document = read_file(args->a, arena_z(args->a, with), &found);
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(with));
    if (!folder_open(args, &folder)) return FAILED;
    rcu_thread_start();
    enum err err = fold_whatif(folder.fold, &ask, args->a, &answer, &diag);
    rcu_thread_stop();
    folder_close(&folder);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (!flag(args, "json")) {
        print_text(&ask, &answer);
        return DONE;
    }
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    whatif_print(&ask, &answer, &w);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    return DONE;
}
