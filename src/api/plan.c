/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - how many people a test needs, and how long that takes: the statistics of measure/ asked
 * forwards. */
#include <math.h>

#include "api/admin.h"
#include "api/results.h"
#include "measure/measure.h"

enum { DAYS_SHOWN = 90, ARMS_MAX = 16 };

struct plan {
    f64 base, lift, arms, people_per_day, alpha, power, sd;
    isize looks;                        /* of a test that is judged by plan */
    bool mean;                          /* of money or counts: sd is given; else a rate */
};

static bool read_plan(struct call *call, struct plan *p)
{
    const struct json *b = call->body;
    *p = (struct plan){ .base = json_num(json_get(b, S("base")), 0),
                        .lift = json_num(json_get(b, S("lift")), 0.05),
                        .arms = json_num(json_get(b, S("arms")), 2),
                        .people_per_day = json_num(json_get(b, S("people_per_day")), 0),
                        .alpha = json_num(json_get(b, S("alpha")), RESULT_ALPHA),
                        .power = json_num(json_get(b, S("power")), 0.8),
                        .sd = json_num(json_get(b, S("sd")), 0),
                        .looks = (isize)json_int(json_get(b, S("looks")), 5) };
    p->mean = p->sd > 0;
    const char *wrong =
        !(p->base > 0) || (!p->mean && !(p->base < 1))
            ? "base is the control's value: a rate between 0 and 1, or a mean with its sd"
        : !(fabs(p->lift) > 0) || !(p->lift > -1)
            ? "lift is what should be seen, as a part of the base: 0.05 for 5 %"
        : !(p->arms >= 2 && p->arms <= ARMS_MAX) ? "arms is 2 to 16, the control among them"
        : p->looks < 1 || p->looks > LOOKS_MAX   ? "looks is 1 to 20"
        : !(p->alpha > 0 && p->alpha < 1 && p->power > 0 && p->power < 1)
            ? "alpha and power lie between 0 and 1"
            : NULL;
    if (wrong) reply_problem(call, ERR_BAD_INPUT, "%s", wrong);
    return !wrong;
}

static f64 unit_variance(const struct plan *p)
{
    f64 other = p->base * (1 + p->lift);
    if (p->mean) return 2 * p->sd * p->sd;
    other = fmin(other, 1);
    return p->base * (1 - p->base) + other * (1 - other);
}

static void print_method(struct jsonw *w, const char *name, f64 people, const struct plan *p)
{
    jsonw_key_begin(w, name, '{');
    jsonw_key_num(w, "people_per_arm", ceil(people));
    jsonw_key_num(w, "people", ceil(people) * p->arms);
    jsonw_key_num(w, "days", p->people_per_day > 0 ? people * p->arms / p->people_per_day : (f64)NAN);
    jsonw_end(w, '}');
}

/* Looks at equal distances, O'Brien and Fleming's spending: as a campaign's "looks" has it unless
 * it says otherwise. */
static void print_group(struct call *call, f64 effect, f64 variance, const struct plan *p)
{
    struct jsonw *w = &call->w;
    f64 *at = arena_new(call->a, f64, p->looks), expected;
    for (isize i = 0; i < p->looks; i++) at[i] = (f64)(i + 1) / (f64)p->looks;
    struct stats_looks looks = { at, p->looks, STATS_OBRIEN_FLEMING, 0, false };
    f64 people = stats_group_size(&looks, effect, variance, p->alpha, p->power, &expected);
    jsonw_key_begin(w, "group_sequential", '{');
    jsonw_key_num(w, "people_per_arm", ceil(people));
    jsonw_key_num(w, "people", ceil(people) * p->arms);
    jsonw_key_num(w, "days", p->people_per_day > 0 ? people * p->arms / p->people_per_day : (f64)NAN);
    jsonw_key_int(w, "looks", p->looks);
    /* when the lift is there: it mostly ends before the last look */
    jsonw_key_num(w, "people_expected", ceil(expected) * p->arms);
    jsonw_end(w, '}');
}

void plan_test(struct call *call)
{
    struct plan p;
    if (!need_body(call) || !read_plan(call, &p)) return;
    struct stats_settings s = { .kind = p.mean ? STATS_MEAN : STATS_PROPORTION,
                                .alpha = p.alpha,
                                .tuning_n = RESULT_TUNING_N };
    f64 effect = p.base * p.lift, variance = unit_variance(&p);
    f64 rho = stats_sequential_rho(p.alpha, RESULT_TUNING_N, STATS_TWO_SIDED);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    print_method(w, "fixed", stats_sample_size(effect, variance, p.alpha, p.power), &p);
    print_method(w, "sequential", stats_sequential_size(&s, effect, variance, p.power), &p);
    print_group(call, effect, variance, &p);
    /* The least lift that can be seen, as the test runs: what waiting buys. */
    jsonw_key_begin(w, "by_day", '[');
    for (int day = 1; p.people_per_day > 0 && day <= DAYS_SHOWN; day++) {
        f64 n = day * p.people_per_day / p.arms, se = sqrt(variance / n) / p.base;
        jsonw_begin(w, '{');
        jsonw_key_int(w, "day", day);
        jsonw_key_num(w, "fixed", stats_least_effect(se, p.alpha, p.power));
        jsonw_key_num(w, "sequential",
                      (stats_mixture_bound(2 * n, rho, p.alpha, false) + normal_quantile(p.power))
                          * se);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    reply_json(call);
}
