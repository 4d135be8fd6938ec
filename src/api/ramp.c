/* SPDX-License-Identifier: Apache-2.0
 *
 * ramp.c - experiments that start small and grow by themselves, or stop.
 *
 *   "ramp": {"steps": ["1%", "5%", "25%", "50%"], "every": "1 day", "guardrail": "order_rate"}
 *
 * stands in an experiment rule of a flag. Each arm has the share of the step it is at, so that they
 * stay comparable, and who is in none gets the default. When a step has lasted, the flag is
 * published with the shares of the next; ranges only ever grow, so nobody changes arms. When an arm
 * does significantly worse than the first on the guardrail (order_rate, click_rate,
 * revenue_per_person; by an interval that may be looked at all the time), the flag is paused, and
 * says why.
 *
 * Time and results are looked at here, once a second; what follows from them is a step of a
 * definition like any other: it stands in the log with `ramp` as its author, so that a replay needs
 * neither.
 */
#include "api/flags.h"
#include "api/results.h"
#include "base/logline.h"

enum { DUE_MAX = 16, STEPS_MAX = 50 };

struct due { str key, document, stop; };
struct ramps { struct api *api; arena a; struct due at[DUE_MAX]; isize n; };

/* The document with every variation of one rule at another share. */
static str with_share(arena *a, const struct json *doc, str rule, i32 share)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    json_each(field, doc) {
        jsonw_key(&w, field->key);
        if (!str_eq(field->key, S("rules"))) { jsonw_value(&w, field); continue; }
        jsonw_begin(&w, '[');
        json_each(r, field) {
            if (!str_eq(json_str(json_get(r, S("key")), S("")), rule)) { jsonw_value(&w, r); continue; }
            jsonw_begin(&w, '{');
            json_each(part, r) {
                jsonw_key(&w, part->key);
                if (!str_eq(part->key, S("variations"))) { jsonw_value(&w, part); continue; }
                jsonw_begin(&w, '[');
                json_each(v, part) {
                    jsonw_begin(&w, '{');
                    json_each(of, v) {
                        jsonw_key(&w, of->key);
                        if (str_eq(of->key, S("share"))) jsonw_str(&w, share_print(a, share));
                        else jsonw_value(&w, of);
                    }
                    jsonw_end(&w, '}');
                }
                jsonw_end(&w, ']');
            }
            jsonw_end(&w, '}');
        }
        jsonw_end(&w, ']');
    }
    jsonw_end(&w, '}');
    return buf_str(&out);
}

/* The arm that does significantly worse than the first; empty when none. */
static str worse_arm(struct ramps *ramps, struct fold *fold, const struct book_flag *flag,
                     isize rule, str guardrail)
{
    isize cells_n;
    const struct cell *cells = fold_cells(fold, &cells_n);
    const struct book *book = atomic_load(&ramps->api->live->book);
    struct result_arm *arms, *control = NULL;
    currency in = results_currency(cells, cells_n, flag->id, book->settings.currency);
    isize n = results_arms(cells, cells_n, flag->id, in, &ramps->a, &arms);
    int metric = 0;
    while (metric < METRICS && !str_eq(guardrail, str_of(metric_name(metric)))) metric++;
    for (isize i = 0; i < n; i++)
        if (arms[i].experience == rule && arms[i].variation == 0) control = &arms[i];
    for (isize i = 0; i < n && control && metric < METRICS; i++) {
        if (arms[i].experience != rule || arms[i].variation == 0
            || arms[i].variation >= flag->flag->rules[rule].variations_n)
            continue;
        struct comparison c = results_compare(metric, control, &arms[i]);
        if (!c.problem && c.significant && c.high < 0)
            return flag->flag->rules[rule].variations[arms[i].variation].key;
    }
    return S("");
}

static void look_at_rule(struct ramps *ramps, struct fold *fold, const struct book_flag *flag,
                         isize index, const struct json *from)
{
    const struct flag_rule *rule = &flag->flag->rules[index];
    const struct json *ramp = json_get(from, S("ramp")), *steps = json_get(ramp, S("steps"));
    const struct definition *def = definition_find(fold_definitions(fold), S("flag"), flag->key);
    str guardrail = json_str(json_get(ramp, S("guardrail")), S(""));
    i32 now = rule->variations[0].share, next = 0;
    i64 every;
    if (ramps->n == DUE_MAX || !def) return;
    str worse = guardrail.len ? worse_arm(ramps, fold, flag, index, guardrail) : S("");
    if (worse.len) {
        ramps->at[ramps->n++] =
            (struct due){ .key = arena_str(&ramps->a, flag->key),
                          .stop = arena_printf(&ramps->a, "ramp: %.*s is worse in %.*s",
                                               STR_FMT(worse), STR_FMT(guardrail)) };
        return;
    }
    json_each(step, steps) {                            /* the least step above where it stands */
        i32 share;
        if (share_parse(json_str(step, S("")), &share) && share > now
            && (next == 0 || share < next))
            next = share;
    }
    if (next == 0 || !period_read(json_str(json_get(ramp, S("every")), S("")), &every)) return;
    if (clock_now(ramps->api->clock) < def->changed_at_ms + every) return;
    ramps->at[ramps->n++] =
        (struct due){ .key = arena_str(&ramps->a, flag->key),
                      .document = with_share(&ramps->a, flag->document, rule->key, next) };
}

/* On the fold's thread. */
static void look(void *ctx, struct fold *fold)
{
    struct ramps *ramps = ctx;
    const struct book *book = atomic_load(&ramps->api->live->book);
    for (isize f = 0; f < book->flags_n; f++) {
        const struct book_flag *flag = &book->flags[f];
        const struct json *rules = json_get(flag->document, S("rules"));
        for (isize i = 0; i < flag->flag->rules_n && !flag->flag->paused; i++) {
            if (flag->flag->rules[i].kind != FLAG_EXPERIMENT
                || !json_get(&rules->list.at[i], S("ramp")))
                continue;
            isize before = ramps->n;
            look_at_rule(ramps, fold, flag, i, &rules->list.at[i]);
            if (ramps->n > before) break;               /* one step of a flag at a time */
        }
    }
}

static enum err stop(struct api *api, arena *a, const struct due *due)
{
    struct definition_change change = {
        .op = DEFINITION_PAUSE, .kind = S("flag"), .key = due->key, .author = due->stop
    };
    struct buf bytes = { .arena = a };
    definition_change_encode(&change, &bytes);
    struct entry entry = { ENTRY_DEFINITION, buf_str(&bytes) };
    return fold_submit_wait(api->fold, &entry, 1, NULL);
}

void flag_ramps(struct api *api)
{
    struct ramps ramps = { .api = api };
    struct diag diag = { .arena = &ramps.a };
    fold_ask_wait(api->fold, look, &ramps);
    for (isize i = 0; i < ramps.n; i++) {
        const struct due *due = &ramps.at[i];
        enum err err = due->stop.len ? stop(api, &ramps.a, due)
                                     : api_define(api->fold, S("flag"), due->key, due->document,
                                                  S("ramp"), &diag);
        if (err) log_error("ramp.failed flag=%.*s error=%s", STR_FMT(due->key), err_name(err));
        else log_note("ramp.%s flag=%.*s", due->stop.len ? "stopped" : "advanced", STR_FMT(due->key));
    }
    arena_fini(&ramps.a);
}
