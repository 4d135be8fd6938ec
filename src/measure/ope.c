/* SPDX-License-Identifier: Apache-2.0
 *
 * ope.c - the estimators; formulas and sources: ope.h. */
#include "measure/ope.h"

#include <math.h>

#include "math/math.h"

const char *ope_alarm_text(enum ope_alarm alarm)
{
    switch (alarm) {
    case OPE_FEW: return "the effective sample size is below 100: this says next to nothing";
    case OPE_UNLIKE:
        return "the effective sample size is below a tenth of the rows: the two policies hardly ever agree";
    case OPE_HEAVY: return "one row carries more than a tenth of all weight: read the clipped values";
    case OPE_SHIFTED:
        return "the mean weight is not 1: the propensities are not those the choices were made with";
    case OPE_UNREWARDED: return "fewer than ten rewarded rows count: the interval is too narrow";
    }
    return "";
}

/* Mean and standard error of terms that are made one at a time. */
struct terms { struct sum sum, squares; f64 n; };

static void term(struct terms *t, f64 x)
{
    sum_add(&t->sum, x);
    sum_add(&t->squares, x * x);
    t->n++;
}

static f64 mean_of(const struct terms *t) { return sum_value(t->sum) / t->n; }

static f64 se_of(const struct terms *t)
{
    f64 mean = mean_of(t), variance = (sum_value(t->squares) - t->n * mean * mean) / (t->n - 1);
    return t->n > 1 && variance > 0 ? sqrt(variance / t->n) : 0;
}

static struct ope_value value_of(f64 value, f64 se, f64 alpha)
{
    f64 half = -normal_quantile(alpha / 2) * se;
    return (struct ope_value){ value, se, value - half, value + half };
}

static struct ope_value valued(const struct terms *t, f64 alpha)
{
    return value_of(mean_of(t), se_of(t), alpha);
}

/* Self-normalised, with the error of a ratio of two means. */
static struct ope_value self_normalised(const struct ope_row *rows, isize n, f64 clip, f64 alpha)
{
    struct terms w = { 0 }, wr = { 0 }, rest = { 0 };
    for (isize i = 0; i < n; i++) {
        f64 weight = fmin(rows[i].target / rows[i].propensity, clip);
        term(&w, weight);
        term(&wr, weight * rows[i].reward);
    }
    f64 value = mean_of(&w) > 0 ? mean_of(&wr) / mean_of(&w) : (f64)NAN;
    for (isize i = 0; i < n; i++)
        term(&rest, fmin(rows[i].target / rows[i].propensity, clip) * (rows[i].reward - value));
    return value_of(value, se_of(&rest) / mean_of(&w), alpha);
}

struct ope ope_evaluate(const struct ope_row *rows, isize n, f64 clip, f64 alpha)
{
    assert(clip > 0 && alpha > 0 && alpha < 1);
    struct ope o = { .n = n, .clip = clip };
    struct terms logged = { 0 }, weights = { 0 }, ips = { 0 }, cut = { 0 }, dm = { 0 }, dr = { 0 },
                 dr_cut = { 0 }, gain = { 0 };
    for (isize i = 0; i < n; i++) {
        const struct ope_row *r = &rows[i];
        assert(r->propensity > 0);
        f64 w = r->target / r->propensity, c = fmin(w, clip);
        term(&logged, r->reward);
        term(&weights, w);
        term(&ips, w * r->reward);
        term(&cut, c * r->reward);
        term(&dm, r->model_target);
        term(&dr, r->model_target + w * (r->reward - r->model));
        term(&gain, r->model_target + w * (r->reward - r->model) - r->reward);
        term(&dr_cut, r->model_target + c * (r->reward - r->model));
        o.max_weight = fmax(o.max_weight, w);
        o.rewarded += w > 0 && (r->reward > 0 || r->reward < 0);
    }
    if (n == 0) return o;
    o.logged = valued(&logged, alpha);
    o.ips = valued(&ips, alpha);
    o.ips_clipped = valued(&cut, alpha);
    o.snips = self_normalised(rows, n, (f64)INFINITY, alpha);
    o.snips_clipped = self_normalised(rows, n, clip, alpha);
    /* its error is the model's, which no row shows */
    o.dm = (struct ope_value){ mean_of(&dm), (f64)NAN, (f64)NAN, (f64)NAN };
    o.dr = valued(&dr, alpha);
    o.gain = valued(&gain, alpha);
    o.dr_clipped = valued(&dr_cut, alpha);
    o.mean_weight = mean_of(&weights);
    o.mean_weight_se = se_of(&weights);
    f64 total = sum_value(weights.sum);
    o.ess = total > 0 ? total * total / sum_value(weights.squares) : 0;
    o.alarms |= o.ess < 100 ? OPE_FEW : 0;
    o.alarms |= o.ess < 0.1 * (f64)n ? OPE_UNLIKE : 0;
    o.alarms |= o.max_weight > 0.1 * total ? OPE_HEAVY : 0;
    o.alarms |= fabs(o.mean_weight - 1) > 3 * o.mean_weight_se + 1e-9 ? OPE_SHIFTED : 0;
    o.alarms |= o.rewarded < 10 ? OPE_UNREWARDED : 0;
    return o;
}

static void print_value(struct jsonw *w, const char *name, struct ope_value v)
{
    jsonw_key_begin(w, name, '{');
    jsonw_key_num(w, "value", v.value);
    jsonw_key_num(w, "low", v.low);
    jsonw_key_num(w, "high", v.high);
    jsonw_key_num(w, "se", v.se);
    jsonw_end(w, '}');
}

void ope_print(const struct ope *ope, struct jsonw *w)
{
    jsonw_key_begin(w, "metrics", '{');
    print_value(w, "logged", ope->logged);
    print_value(w, "ips", ope->ips);
    print_value(w, "snips", ope->snips);
    print_value(w, "ips_clipped", ope->ips_clipped);
    print_value(w, "snips_clipped", ope->snips_clipped);
    print_value(w, "dm", ope->dm);
    print_value(w, "dr", ope->dr);
    print_value(w, "dr_clipped", ope->dr_clipped);
    print_value(w, "gain", ope->gain);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "weights", '{');
    jsonw_key_num(w, "mean", ope->mean_weight);
    jsonw_key_num(w, "max", ope->max_weight);
    jsonw_key_num(w, "effective_sample_size", ope->ess);
    jsonw_key_num(w, "clip", ope->clip);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "alarms", '[');
    for (u32 i = 0; i < OPE_ALARMS; i++)
        if (ope->alarms >> i & 1) jsonw_str(w, str_of(ope_alarm_text((enum ope_alarm)(1U << i))));
    jsonw_end(w, ']');
}
