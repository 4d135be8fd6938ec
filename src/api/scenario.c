/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c - POST /v1/segments/{segment}/scenario: what another rule would have done. {"rule": …, "days":
 * 28} */
#include "api/admin.h"

static void print_change(struct jsonw *w, const struct scenario_campaign *c, f64 times)
{
    jsonw_begin(w, '{');
    if (c->key.len) jsonw_key_str(w, "campaign", c->key);
    jsonw_key_num(w, "was", times * (f64)c->was);
    jsonw_key_num(w, "would", times * (f64)c->would);
    jsonw_key_num(w, "change", times * (f64)(c->would - c->was));
    jsonw_key_num(w, "low", times * c->low);
    jsonw_key_num(w, "high", times * c->high);
    jsonw_end(w, '}');
}

static void scenario(struct call *call)
{
    struct scenario_answer *answer = arena_new(call->a, struct scenario_answer, 1);
    struct diag diag = { .arena = call->a };
    i64 now_ms = clock_now(call->api->clock), days = json_int(json_get(call->body, S("days")), 28);
    str rule = body_text(call, "rule");
    if (rule.len == 0) { call_fail(call, ERR_BAD_INPUT, "rule: expected the rule as it might be"); return; }
    if (days < 1 || days > 365) { call_fail(call, ERR_BAD_INPUT, "days is 1 to 365"); return; }
    struct buf document = { .arena = call->a };
    struct jsonw d = { .out = &document };
    jsonw_begin(&d, '{');
    jsonw_key_str(&d, "kind", S("segment"));
    jsonw_key_str(&d, "key", call->params[0]);
    jsonw_key_str(&d, "rule", rule);
    jsonw_end(&d, '}');
    struct scenario ask = { call->params[0], buf_str(&document), now_ms - days * DAY_MS, now_ms };
    enum err err = fold_scenario(call->api->fold, &ask, call->a, answer, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", call->params[0]);
    jsonw_key_int(w, "days", days);
    jsonw_key_begin(w, "now", '{');
    jsonw_key_int(w, "was", answer->points[answer->points_n - 1].was);
    jsonw_key_int(w, "would", answer->points[answer->points_n - 1].would);
    jsonw_key_int(w, "come", answer->come);
    jsonw_key_int(w, "go", answer->go);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "points", '[');
    for (isize i = 0; i < answer->points_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", answer->points[i].at_ms);
        jsonw_key_int(w, "was", answer->points[i].was);
        jsonw_key_int(w, "would", answer->points[i].would);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "decisions_asked_again", answer->decisions);
    jsonw_key_int(w, "people", answer->people);
    jsonw_key_int(w, "changed", answer->changed);
    jsonw_key_num(w, "seen_share", answer->seen_share);
    jsonw_key(w, S("decisions"));
    print_change(w, &answer->all, 1);
    jsonw_key(w, S("contacts"));
    print_change(w, &answer->all, answer->seen_share);
    jsonw_key_begin(w, "campaigns", '[');
    for (isize i = 0; i < answer->campaigns_n; i++)
        if (answer->campaigns[i].was || answer->campaigns[i].would) print_change(w, &answer->campaigns[i], 1);
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void segment_scenario(struct call *call) { ask_jobs(call, scenario); }
