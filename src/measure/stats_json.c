/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_json.c - `opmaat stats`: sums in, judgements out, as one pure function of JSON.
 *
 * In:  {"metrics": [{"key", "kind": "mean|proportion|ratio|quantile", "tier"?, "mde"?, "quantile"?,
 *        "winsorise"?, "people_per_day"?,
 *        "arms": [{"key", "n", "sum", "sum_sq", "den_sum", "den_sum_sq", "cross", "pre_sum",
 *                  "pre_sum_sq", "pre_cross", "den_pre_cross", "pre_den_sum", "pre_den_sum_sq",
 *                  "pre_den_cross", "cross_pre_den", "den_pre_den_cross",
 *                  "values"? | "counts"? | "quantile_hat", "quantile_lower", "quantile_upper",
 *                  "share"?, "epochs"?: [{the same, without key}]}]}],
 *       "method": "sequential|fixed|bayes|group_sequential", "alpha", "relative",
 *       "tail": "two|greater|less",
 *       "tuning_n", "prior": null | "proper" | {"mean", "variance", "scale": "relative|absolute"},
 *       "correction": "bh|holm|none", "power", "compat": null | "gbstats",
 *       "spending": "obrien_fleming|pocock|power", "exponent", "looks"?, "planned_n"? |
 *       "information"?, "look"?}
 *
 * The first arm is the control; each other is compared with it. CUPED is used when every arm has
 * the three pre_ sums. With "epochs" the arm's own sums are those of its epochs. A share is a
 * percentage ("33.5%") or any weight; without shares arms are expected to be equal. Corrections go
 * over all comparisons of one tier: a primary metric is not paid for by the many that are watched.
 *
 * Values (a list of numbers) or counts (a list of [value, people]) stand for their own n, sum and
 * sum_sq; a quantile needs one of them, or itself with the order statistics 1.96 standard errors to
 * either side. "winsorise": 0.99 cuts values at that quantile of all arms together.
 *
 * A ratio's covariate is x with den_pre_cross, or a ratio x / z with the five sums of z beside it.
 *
 * Group sequential: "looks" are the people in all arms at each look until now, "planned_n" the
 * people planned for; or "information" has the fractions themselves, past and to come, and "look"
 * says which one is now (from 1; the last). Run over its plan, a test is measured by what it has.
 *
 * An interval stands beside its correction: `low`, `high` at alpha, `low_adjusted`,
 * `high_adjusted` at alpha * p / p_adjusted, so that it leaves out 0 exactly when the adjusted p is
 * below alpha.
 */
#include "measure/stats.h"

#include <math.h>

#include "experiment/experiment.h"
#include "math/math.h"

enum { METRICS_MAX = 1000, EPOCHS_MAX = 1000 };
enum method { SEQUENTIAL, FIXED, BAYES, GROUP };

#define DEFAULT_ALPHA 0.05
#define DEFAULT_TUNING_N 5000.0
#define DEFAULT_POWER 0.8
#define PROPER_VARIANCE 0.09                            /* N(0, 0.3^2) of the relative lift */
#define SRM_ALARM 0.001

struct arm { str key; struct stats_sums *epochs; f64 *shares; };
struct metric {
    str key, tier;
    enum stats_kind kind;
    struct arm *arms;
    isize arms_n, epochs_n;
    bool cuped;
    f64 mde;                                            /* 0: not asked */
    f64 nu, winsorise, cap;                             /* winsorise 0: not asked, and the cap infinite */
    f64 people_per_day;                                 /* 0: not said */
    enum stats_problem problem;                         /* of a quantile's arm */
};
struct comparison {
    const struct metric *metric;
    isize arm;
    struct stats_effect effect;
    struct stats_interval interval;
    f64 p_adjusted;
};
struct request {
    arena *a;
    struct diag *diag;
    enum method method;
    enum stats_correction correction;
    struct stats_settings settings;                     /* kind is the metric's */
    f64 power;
    struct stats_looks looks;                           /* of `now`, at the present look; n 0: not said */
    f64 *information; isize information_n;
    f64 planned_n;
    struct metric *metrics;
    isize metrics_n;
};

static const str method_names[] = { S_INIT("sequential"), S_INIT("fixed"), S_INIT("bayes"), S_INIT("group_sequential") };
static const str kind_names[] = { S_INIT("mean"), S_INIT("proportion"), S_INIT("ratio"), S_INIT("quantile") };
static const str spending_names[] = { S_INIT("obrien_fleming"), S_INIT("pocock"), S_INIT("power") };
static const str tail_names[] = { S_INIT("two"), S_INIT("greater"), S_INIT("less") };
static const str correction_names[] = { S_INIT("none"), S_INIT("holm"), S_INIT("bh") };

/* The position of v's text in names; `otherwise` when v is absent; -1 when it is none of them. */
static isize named(const struct json *v, const str *names, isize n, isize otherwise)
{
    if (!v || v->kind == JSON_NULL) return otherwise;
    for (isize i = 0; i < n; i++) {
        if (str_eq(json_str(v, S("")), names[i])) return i;
    }
    return -1;
}

/* ---- in -------------------------------------------------------------------------------------- */

static enum err read_prior(struct request *r, const struct json *v)
{
    struct stats_prior *prior = &r->settings.prior;
    if (!v || v->kind == JSON_NULL) return ERR_OK;
    if (str_eq(json_str(v, S("")), S("proper"))) {
        *prior = (struct stats_prior){ .proper = true, .variance = PROPER_VARIANCE };
        return ERR_OK;
    }
    static const str scales[] = { S_INIT("relative"), S_INIT("absolute") };
    isize scale = named(json_get(v, S("scale")), scales, countof(scales), 0);
    *prior = (struct stats_prior){ .proper = true, .absolute = scale == 1,
                                   .mean = json_num(json_get(v, S("mean")), 0),
                                   .variance = json_num(json_get(v, S("variance")), 0) };
    if (scale >= 0 && prior->variance > 0) return ERR_OK;
    return diag_set(
        r->diag, ERR_BAD_INPUT,
        "prior is null, \"proper\", or an object with mean, a variance above 0 and scale relative or absolute");
}

static enum err read_looks(struct request *r, const struct json *in)
{
    struct diag *diag = r->diag;
    isize found = named(json_get(in, S("spending")), spending_names, countof(spending_names),
                        STATS_OBRIEN_FLEMING);
    if (found < 0) return diag_set(diag, ERR_BAD_INPUT, "spending is obrien_fleming, pocock or power");
    r->looks = (struct stats_looks){ .spending = (enum stats_spending)found,
                                     .one_sided = r->settings.tail != STATS_TWO_SIDED,
                                     .exponent = json_num(json_get(in, S("exponent")), 2) };
    if (!(r->looks.exponent > 0)) return diag_set(diag, ERR_BAD_INPUT, "exponent is above 0");
    r->planned_n = json_num(json_get(in, S("planned_n")), 0);
    const struct json *information = json_get(in, S("information")), *looks = json_get(in, S("looks"));
    const struct json *given = information ? information : looks;
    isize n = json_len(given);
    if (n > STATS_LOOKS_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "there are at most %d looks", STATS_LOOKS_MAX);
    r->information = arena_new(r->a, f64, n + 1);
    f64 last = 0;
    json_each(v, given) {
        f64 t = json_num(v, 0);
        r->information[r->information_n++] = t;
        last = t;
    }
    f64 whole = information ? 1 : fmax(last, r->planned_n);
    for (isize k = 0; k < n; k++) {
        r->information[k] /= whole;
        f64 before = k ? r->information[k - 1] : 0;
        if (!(r->information[k] - before >= 1e-4))
            return diag_set(
                diag, ERR_BAD_INPUT,
                "looks grow by at least a ten-thousandth of the whole; look %td does not", k + 1);
        if (r->information[k] > 1)
            return diag_set(
                diag, ERR_BAD_INPUT,
                "information is a share of all there will be, at most 1; give looks and planned_n instead");
    }
    i64 look = json_int(json_get(in, S("look")), n);
    if (n && (look < 1 || look > n)) return diag_set(diag, ERR_BAD_INPUT, "look is 1 to %td", n);
    r->looks.information = r->information;
    r->looks.n = (isize)look;
    return ERR_OK;
}

static enum err read_settings(struct request *r, const struct json *in)
{
    struct diag *diag = r->diag;
    const struct json *method = json_get(in, S("method"));
    isize found = named(method, method_names, countof(method_names), SEQUENTIAL);
    if (found < 0)
        return diag_set(diag, ERR_BAD_INPUT,
                        "method is sequential, fixed, bayes or group_sequential");
    r->method = (enum method)found;
    found = named(json_get(in, S("correction")), correction_names, countof(correction_names), STATS_NONE);
    if (found < 0) return diag_set(diag, ERR_BAD_INPUT, "correction is bh, holm or none");
    r->correction = (enum stats_correction)found;
    found = named(json_get(in, S("tail")), tail_names, countof(tail_names), STATS_TWO_SIDED);
    if (found < 0) return diag_set(diag, ERR_BAD_INPUT, "tail is two, greater or less");
    r->settings.tail = (enum stats_tail)found;
    static const str compats[] = { S_INIT("gbstats") };
    found = named(json_get(in, S("compat")), compats, countof(compats), 1);
    if (found < 0) return diag_set(diag, ERR_BAD_INPUT, "compat is null or gbstats");
    r->settings.gbstats = found == 0;
    r->settings.relative = json_bool(json_get(in, S("relative")), true);
    r->settings.alpha = json_num(json_get(in, S("alpha")), DEFAULT_ALPHA);
    if (!(r->settings.alpha > 0 && r->settings.alpha < 1)) {
        return diag_set(diag, ERR_BAD_INPUT, "alpha lies between 0 and 1");
    }
    r->settings.tuning_n = json_num(json_get(in, S("tuning_n")), DEFAULT_TUNING_N);
    if (!(r->settings.tuning_n >= 1)) return diag_set(diag, ERR_BAD_INPUT, "tuning_n is at least 1");
    r->power = json_num(json_get(in, S("power")), DEFAULT_POWER);
    if (!(r->power > 0 && r->power < 1)) return diag_set(diag, ERR_BAD_INPUT, "power lies between 0 and 1");
    enum err err = r->method == GROUP ? read_looks(r, in) : ERR_OK;
    return err ? err : read_prior(r, json_get(in, S("prior")));
}

/* One number of an arm; absent is 0 and not given. */
static bool number(const struct json *v, str name, f64 *out)
{
    *out = json_num(json_get(v, name), (f64)NAN);
    bool given = *out == *out;
    if (!given) *out = 0;
    return given;
}

/* Sums that no data can have made are refused: what they would give looks like a result. Not the
 * denominators': published test data of ratios breaks that rule, and must be able to pass. */
static enum err check_sums(struct request *r, const struct metric *m, str arm, const struct stats_sums *s)
{
    const char *wrong = NULL;
    f64 slack = 1e-9;
    if (!(s->n >= 0)) {
        wrong = "n is below 0";
    } else if (m->kind == STATS_PROPORTION && !(s->sum >= 0 && s->sum <= s->n)) {
        wrong = "the sum of a proportion lies between 0 and n";
    } else if (m->kind == STATS_QUANTILE && !(s->quantile_se >= 0)) {
        wrong = "quantile_lower is above quantile_upper";
    } else if (m->kind != STATS_PROPORTION && s->sum_sq * s->n < s->sum * s->sum * (1 - slack)) {
        wrong = "sum_sq is too small for the sum";
    } else if (s->pre_sum_sq * s->n < s->pre_sum * s->pre_sum * (1 - slack)) {
        wrong = "pre_sum_sq is too small for pre_sum";
    }
    if (!wrong) return ERR_OK;
    return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s, arm %.*s: %s", STR_FMT(m->key), STR_FMT(arm),
                    wrong);
}

/* Values as a distribution, in order. */
static isize read_values(struct request *r, const struct json *v, struct stats_counted **out)
{
    const struct json *values = json_get(v, S("values")), *counts = json_get(v, S("counts"));
    isize n = 0;
    struct stats_counted *at = arena_new(r->a, struct stats_counted, json_len(values) + json_len(counts));
    json_each(x, values) at[n++] = (struct stats_counted){ json_num(x, 0), 1 };
    json_each(pair, counts) {
        if (json_len(pair) != 2) continue;
        at[n++] = (struct stats_counted){ json_num(&pair->list.at[0], 0),
                                          fmax(0, json_num(&pair->list.at[1], 0)) };
    }
    stats_counted_sort(at, n);
    *out = at;
    return n;
}

static void sum_values(const struct stats_counted *at, isize n, f64 cap, struct stats_sums *out)
{
    struct sum sum = { 0 }, squares = { 0 };
    for (isize i = 0; i < n; i++) {
        f64 x = fmin(at[i].value, cap);
        out->n += at[i].people;
        sum_add(&sum, x * at[i].people);
        sum_add(&squares, x * x * at[i].people);
    }
    out->sum = sum_value(sum);
    out->sum_sq = sum_value(squares);
}

/* The cap of winsorised values: a quantile of all arms together, so that it favours none. */
static f64 cap_of(struct request *r, const struct metric *m, const struct json *arms)
{
    if (!(m->winsorise > 0)) return (f64)INFINITY;
    isize n = 0;
    json_each(arm, arms) n += json_len(json_get(arm, S("values"))) + json_len(json_get(arm, S("counts")));
    struct stats_counted *all = arena_new(r->a, struct stats_counted, n);
    n = 0;
    json_each(arm, arms) {
        struct stats_counted *at;
        isize more = read_values(r, arm, &at);
        if (more) memcpy(all + n, at, (size_t)more * sizeof *at);
        n += more;
    }
    stats_counted_sort(all, n);
    return n ? stats_value_at(all, n, m->winsorise) : (f64)INFINITY;
}

static enum err read_quantile(struct request *r, struct metric *m, str arm, const struct json *v,
                              struct stats_sums *out)
{
    struct stats_counted *at;
    isize n = read_values(r, v, &at);
    if (n) {
        enum stats_problem problem = stats_quantile(at, n, m->nu, out);
        if (problem) m->problem = problem;
        return ERR_OK;
    }
    f64 low, high;
    bool whole = number(v, S("n"), &out->n) && number(v, S("quantile_hat"), &out->quantile);
    whole = number(v, S("quantile_lower"), &low) && whole;
    whole = number(v, S("quantile_upper"), &high) && whole;
    if (!whole)
        return diag_set(r->diag, ERR_BAD_INPUT,
                        "metric %.*s, arm %.*s: a quantile needs values, counts, or n, quantile_hat, quantile_lower and "
                        "quantile_upper; sums do not hold it", STR_FMT(m->key), STR_FMT(arm));
    out->quantile_se = (high - low) / (2 * -normal_quantile(0.025));
    if (!(out->quantile_se > 0)) m->problem = STATS_BOUNDS_COLLAPSED;
    return check_sums(r, m, arm, out);
}

static enum err read_sums(struct request *r, struct metric *m, str arm, const struct json *v,
                          struct stats_sums *out)
{
    if (m->kind == STATS_QUANTILE) return read_quantile(r, m, arm, v, out);
    struct stats_counted *at;
    isize values = read_values(r, v, &at);
    if (values) {
        m->cuped = false;
        if (m->kind == STATS_RATIO)
            return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: a ratio is given by its sums",
                            STR_FMT(m->key));
        sum_values(at, values, m->cap, out);
        return check_sums(r, m, arm, out);
    }
    if (m->winsorise > 0)
        return diag_set(
            r->diag, ERR_BAD_INPUT,
            "metric %.*s, arm %.*s: winsorise needs values or counts; sums are past cutting",
            STR_FMT(m->key), STR_FMT(arm));
    bool n = number(v, S("n"), &out->n), sum = number(v, S("sum"), &out->sum);
    bool squares = number(v, S("sum_sq"), &out->sum_sq), ratio = number(v, S("den_sum"), &out->den_sum);
    ratio = number(v, S("den_sum_sq"), &out->den_sum_sq) && ratio;
    ratio = number(v, S("cross"), &out->cross) && ratio;
    bool pre = number(v, S("pre_sum"), &out->pre_sum), pre_sq = number(v, S("pre_sum_sq"), &out->pre_sum_sq);
    if (!number(v, S("pre_cross"), &out->pre_cross) || !pre || !pre_sq) m->cuped = false;
    if (!number(v, S("den_pre_cross"), &out->den_pre_cross) && m->kind == STATS_RATIO) m->cuped = false;
    bool past = number(v, S("pre_den_sum"), &out->pre_den_sum),
         whole = number(v, S("pre_den_sum_sq"), &out->pre_den_sum_sq);
    whole = number(v, S("pre_den_cross"), &out->pre_den_cross) && whole;
    whole = number(v, S("cross_pre_den"), &out->cross_pre_den) && whole;
    whole = number(v, S("den_pre_den_cross"), &out->den_pre_den_cross) && whole;
    const char *missing = NULL;
    if (!n || !sum) {
        missing = "n and sum";
    } else if (m->kind != STATS_PROPORTION && !squares) {
        missing = "sum_sq";
    } else if (m->kind == STATS_RATIO && !ratio) {
        missing = "den_sum, den_sum_sq and cross";
    } else if (past && !whole) {
        missing = "pre_den_sum_sq, pre_den_cross, cross_pre_den and den_pre_den_cross";
    }
    if (missing) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s, arm %.*s: %s needed", STR_FMT(m->key),
                        STR_FMT(arm), missing);
    }
    return check_sums(r, m, arm, out);
}

static enum err read_share(struct request *r, const struct metric *m, str arm, const struct json *v,
                           f64 otherwise, f64 *out)
{
    i32 share;
    *out = json_num(v, otherwise);
    if (json_is(v, JSON_STR)) *out = share_parse(json_str(v, S("")), &share) ? (f64)share : -1;
    if (*out >= 0) return ERR_OK;
    return diag_set(r->diag, ERR_BAD_INPUT,
                    "metric %.*s, arm %.*s: share is a percentage (\"33.5%%\") or a weight",
                    STR_FMT(m->key), STR_FMT(arm));
}

static enum err read_arm(struct request *r, struct metric *m, const struct json *v, struct arm *arm)
{
    arm->key = json_str(json_get(v, S("key")), S(""));
    if (arm->key.len == 0)
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: an arm has no key", STR_FMT(m->key));
    const struct json *epochs = json_get(v, S("epochs"));
    isize n = json_len(epochs) ? json_len(epochs) : 1;
    if (m->epochs_n == 0) m->epochs_n = n;
    if (n != m->epochs_n || n > EPOCHS_MAX) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: every arm has the same epochs, at most %d",
                        STR_FMT(m->key), EPOCHS_MAX);
    }
    arm->epochs = arena_new(r->a, struct stats_sums, n);
    arm->shares = arena_new(r->a, f64, n);
    f64 share;
    enum err err = read_share(r, m, arm->key, json_get(v, S("share")), 1, &share);
    if (err || json_len(epochs) == 0) {
        arm->shares[0] = share;
        return err ? err : read_sums(r, m, arm->key, v, &arm->epochs[0]);
    }
    isize e = 0;
    json_each(epoch, epochs) {
        err = read_share(r, m, arm->key, json_get(epoch, S("share")), share, &arm->shares[e]);
        if (!err) err = read_sums(r, m, arm->key, epoch, &arm->epochs[e]);
        if (err) return err;
        e++;
    }
    return ERR_OK;
}

static enum err read_metric(struct request *r, const struct json *v, struct metric *m)
{
    m->key = json_str(json_get(v, S("key")), S(""));
    if (m->key.len == 0) return diag_set(r->diag, ERR_BAD_INPUT, "a metric has no key");
    const struct json *kind = json_get(v, S("kind"));
    isize found = named(kind, kind_names, countof(kind_names), STATS_MEAN);
    if (found < 0) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: kind is mean, proportion, ratio or quantile",
                        STR_FMT(m->key));
    }
    m->kind = (enum stats_kind)found;
    m->tier = json_str(json_get(v, S("tier")), S("primary"));
    m->mde = json_num(json_get(v, S("mde")), 0);
    m->people_per_day = json_num(json_get(v, S("people_per_day")), 0);
    m->nu = json_num(json_get(v, S("quantile")), 0.5);
    m->winsorise = json_num(json_get(v, S("winsorise")), 0);
    if (!(m->nu > 0 && m->nu < 1) || !(m->winsorise >= 0 && m->winsorise < 1))
        return diag_set(r->diag, ERR_BAD_INPUT,
                        "metric %.*s: quantile and winsorise lie between 0 and 1", STR_FMT(m->key));
    m->cuped = m->kind != STATS_QUANTILE;
    const struct json *arms = json_get(v, S("arms"));
    isize n = json_len(arms);
    if (!json_is(arms, JSON_ARR) || n < 2 || n > STATS_ARMS_MAX) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: arms is a list of 2 to %d", STR_FMT(m->key),
                        STATS_ARMS_MAX);
    }
    m->cap = cap_of(r, m, arms);
    m->arms = arena_new(r->a, struct arm, n);
    json_each(arm, arms) {
        enum err err = read_arm(r, m, arm, &m->arms[m->arms_n++]);
        if (err) return err;
    }
    return ERR_OK;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* An epoch weighs as the people of all its arms do, so that every comparison has the same weights. */
static f64 *weights_of(arena *a, const struct metric *m)
{
    f64 *weights = arena_new(a, f64, m->epochs_n), all = 0;
    for (isize e = 0; e < m->epochs_n; e++) {
        for (isize k = 0; k < m->arms_n; k++) weights[e] += m->arms[k].epochs[e].n;
        all += weights[e];
    }
    for (isize e = 0; e < m->epochs_n && all > 0; e++) weights[e] /= all;
    return weights;
}

/* Without a list of looks this is the first: of what was planned, or the only one. */
static struct stats_interval grouped(const struct request *r, const struct stats_settings *s,
                                     const struct stats_effect *e)
{
    struct stats_looks looks = r->looks;
    f64 only = e->problem || !(r->planned_n > e->n) ? 1 : e->n / r->planned_n;
    if (looks.n == 0) {
        looks.information = &only;
        looks.n = 1;
    }
    return stats_group(s, e, &looks);
}

static struct stats_interval judged(const struct request *r, const struct stats_settings *s,
                                    const struct stats_effect *e)
{
    switch (r->method) {
    case SEQUENTIAL: return stats_sequential(s, e);
    case FIXED: return stats_fixed(s, e);
    case GROUP: return grouped(r, s, e);
    case BAYES: break;
    }
    struct stats_belief belief = stats_bayes(s, e);
    return (struct stats_interval){ belief.low, belief.high, (f64)NAN };
}

/* Comparisons of one tier share one correction. */
static void correct(const struct request *r, struct comparison *at, isize n)
{
    f64 *p = arena_new(r->a, f64, n);
    bool *done = arena_new(r->a, bool, n);
    for (isize i = 0; i < n; i++) {
        if (done[i]) continue;
        for (isize k = 0; k < n; k++) {
            bool same = str_eq(at[k].metric->tier, at[i].metric->tier);
            p[k] = same && !at[k].effect.problem ? at[k].interval.p : (f64)NAN;
        }
        stats_correct(p, n, r->correction, r->a);
        for (isize k = 0; k < n; k++) {
            if (!str_eq(at[k].metric->tier, at[i].metric->tier)) continue;
            at[k].p_adjusted = p[k];
            done[k] = true;
        }
    }
}

/* ---- out ------------------------------------------------------------------------------------- */

static void write_interval(struct jsonw *w, const char *low, const char *high, struct stats_interval i)
{
    jsonw_key_num(w, low, i.low);
    jsonw_key_num(w, high, i.high);
}

static void write_comparison(struct jsonw *w, const struct request *r, const struct comparison *c)
{
    const struct metric *m = c->metric;
    const struct stats_effect *e = &c->effect;
    struct stats_settings s = r->settings;
    s.kind = m->kind;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "arm", m->arms[c->arm].key);
    jsonw_key_str(w, "control", m->arms[0].key);
    if (e->problem) {
        jsonw_key_str(w, "problem", str_of(stats_problem_text(e->problem)));
        jsonw_end(w, '}');
        return;
    }
    jsonw_key_num(w, "effect", e->effect);
    jsonw_key_num(w, "se", e->se);
    jsonw_key_num(w, "df", e->df);
    write_interval(w, "low", "high", c->interval);
    struct stats_belief belief = stats_bayes(&s, e);
    bool significant;
    if (r->method == BAYES) {
        significant = belief.low > 0 || belief.high < 0;
    } else {
        jsonw_key_num(w, "p", c->interval.p);
        jsonw_key_num(w, "p_adjusted", c->p_adjusted);
        significant = c->p_adjusted <= s.alpha;
        if (c->p_adjusted > c->interval.p) {
            struct stats_settings wider = s;
            wider.alpha = fmax(s.alpha * c->interval.p / c->p_adjusted, 1e-300);
            wider.tuning_alpha = s.alpha;               /* the same mixture, read at another level */
            write_interval(w, "low_adjusted", "high_adjusted", judged(r, &wider, e));
        } else {
            write_interval(w, "low_adjusted", "high_adjusted", c->interval);
        }
    }
    jsonw_key_bool(w, "significant", significant);
    jsonw_key_num(w, "chance_to_win", belief.chance_to_win);
    jsonw_key_begin(w, "expected_loss", '{');
    jsonw_key_num(w, "if_chosen", belief.loss_if_chosen);
    jsonw_key_num(w, "if_not", belief.loss_if_not);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "posterior", '{');
    jsonw_key_num(w, "mean", belief.mean);
    jsonw_key_num(w, "sd", belief.sd);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "power", '{');
    jsonw_key_num(w, "wanted", r->power);
    jsonw_key_num(w, "least_effect", stats_least_effect(e->se, s.alpha, r->power));
    if (m->mde > 0) {
        jsonw_key_num(w, "mde", m->mde);
        jsonw_key_num(w, "of_mde", stats_power(m->mde, e->se, s.alpha));
        f64 people = r->method == SEQUENTIAL ? stats_sequential_size(&s, m->mde, e->unit_variance, r->power)
                                             : stats_sample_size(m->mde, e->unit_variance, s.alpha, r->power);
        jsonw_key_num(w, "people_per_arm", stats_sample_size(m->mde, e->unit_variance, s.alpha, r->power));
        jsonw_key_num(w, "people_per_arm_by_method", people);
        if (m->people_per_day > 0) {                    /* of all arms, in equal parts from here on */
            f64 arms = (f64)m->arms_n, left = fmax(0, arms * people - e->n * arms / 2);
            jsonw_key_num(w, "days_to_decision", left / m->people_per_day);
        }
    }
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static void write_arms(struct jsonw *w, const struct metric *m)
{
    jsonw_key_begin(w, "arms", '[');
    for (isize k = 0; k < m->arms_n; k++) {
        f64 n = 0, sum = 0, den = 0;
        if (m->kind == STATS_QUANTILE) {
            jsonw_begin(w, '{');
            jsonw_key_str(w, "key", m->arms[k].key);
            jsonw_key_num(w, "n", m->arms[k].epochs[0].n);
            jsonw_key_num(w, "quantile", m->arms[k].epochs[0].quantile);
            jsonw_key_num(w, "quantile_se", m->arms[k].epochs[0].quantile_se);
            jsonw_end(w, '}');
            continue;
        }
        for (isize e = 0; e < m->epochs_n; e++) {
            n += m->arms[k].epochs[e].n;
            sum += m->arms[k].epochs[e].sum;
            den += m->arms[k].epochs[e].den_sum;
        }
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", m->arms[k].key);
        jsonw_key_num(w, "n", n);
        jsonw_key_num(w, "mean", sum / (m->kind == STATS_RATIO ? den : n));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void write_srm(struct jsonw *w, arena *a, const struct metric *m)
{
    f64 *people = arena_new(a, f64, m->arms_n * m->epochs_n),
        *shares = arena_new(a, f64, m->arms_n * m->epochs_n);
    for (isize e = 0; e < m->epochs_n; e++) {
        for (isize k = 0; k < m->arms_n; k++) {
            people[e * m->arms_n + k] = m->arms[k].epochs[e].n;
            shares[e * m->arms_n + k] = m->arms[k].shares[e];
        }
    }
    struct stats_srm srm = stats_srm(people, shares, m->arms_n, m->epochs_n);
    jsonw_key_begin(w, "srm", '{');
    jsonw_key_num(w, "chi_square", srm.chi_square);
    jsonw_key_num(w, "df", srm.df);
    jsonw_key_num(w, "p", srm.p);
    jsonw_key_num(w, "p_sequential", srm.p_sequential);
    jsonw_key_bool(w, "alarm", srm.p_sequential < SRM_ALARM);
    jsonw_end(w, '}');
}

static void write_looks(struct jsonw *w, const struct request *r)
{
    struct stats_looks all = r->looks;
    all.n = r->information_n;
    f64 *bounds = arena_new(r->a, f64, all.n);
    stats_bounds(&all, r->settings.alpha, bounds);
    jsonw_key_begin(w, "group_sequential", '{');
    jsonw_key_str(w, "spending", spending_names[all.spending]);
    jsonw_key_int(w, "look", r->looks.n);
    jsonw_key_begin(w, "looks", '[');
    for (isize k = 0; k < all.n; k++) {
        jsonw_begin(w, '{');
        jsonw_key_num(w, "information", all.information[k]);
        jsonw_key_num(w, "alpha_spent", stats_spent(&all, r->settings.alpha, all.information[k]));
        jsonw_key_num(w, "bound", bounds[k]);
        jsonw_key_num(w, "nominal", (all.one_sided ? 1 : 2) * normal_sf(bounds[k]));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void write_answer(struct jsonw *w, const struct request *r, const struct comparison *at)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "method", method_names[r->method]);
    jsonw_key_num(w, "alpha", r->settings.alpha);
    jsonw_key_bool(w, "relative", r->settings.relative);
    jsonw_key_str(w, "tail", tail_names[r->settings.tail]);
    if (r->method == SEQUENTIAL) {
        jsonw_key_num(w, "tuning_n", r->settings.tuning_n);
        jsonw_key_num(w, "rho",
                      stats_sequential_rho(r->settings.alpha, r->settings.tuning_n, r->settings.tail));
    }
    if (r->method == GROUP && r->information_n) write_looks(w, r);
    jsonw_key_str(w, "correction", correction_names[r->correction]);
    jsonw_key_begin(w, "metrics", '[');
    for (isize i = 0; i < r->metrics_n; i++) {
        const struct metric *m = &r->metrics[i];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", m->key);
        jsonw_key_str(w, "kind", kind_names[m->kind]);
        jsonw_key_str(w, "tier", m->tier);
        jsonw_key_bool(w, "cuped", m->cuped);
        write_arms(w, m);
        jsonw_key_begin(w, "comparisons", '[');
        for (isize k = 1; k < m->arms_n; k++) write_comparison(w, r, at++);
        jsonw_end(w, ']');
        write_srm(w, r->a, m);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static enum err answer(struct request *r, const struct json *in, struct buf *out)
{
    enum err err = read_settings(r, in);
    if (err) return err;
    const struct json *metrics = json_get(in, S("metrics"));
    isize n = json_len(metrics), comparisons = 0;
    if (!json_is(metrics, JSON_ARR) || n < 1 || n > METRICS_MAX) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metrics is a list of 1 to %d", METRICS_MAX);
    }
    r->metrics = arena_new(r->a, struct metric, n);
    json_each(metric, metrics) {
        struct metric *m = &r->metrics[r->metrics_n++];
        err = read_metric(r, metric, m);
        if (err) return err;
        comparisons += m->arms_n - 1;
    }
    struct comparison *at = arena_new(r->a, struct comparison, comparisons), *next = at;
    for (isize i = 0; i < r->metrics_n; i++) {
        struct metric *m = &r->metrics[i];
        struct stats_arm *arms = arena_new(r->a, struct stats_arm, m->arms_n);
        for (isize k = 0; k < m->arms_n; k++) arms[k] = (struct stats_arm){ m->arms[k].epochs, m->epochs_n };
        f64 theta = m->cuped ? stats_theta(m->kind, arms, m->arms_n) : 0;
        const f64 *weights = weights_of(r->a, m);
        r->settings.kind = m->kind;
        for (isize k = 1; k < m->arms_n; k++) {
            *next = (struct comparison){ .metric = m, .arm = k };
            next->effect = stats_effect(&r->settings, arms[0], arms[k], weights, theta);
            if (m->problem) next->effect.problem = m->problem;
            next->interval = judged(r, &r->settings, &next->effect);
            next++;
        }
    }
    correct(r, at, comparisons);
    struct jsonw w = { .out = out };
    write_answer(&w, r, at);
    return ERR_OK;
}

enum err measure_stats_json(const struct json *in, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct request r = { .a = &a, .diag = diag };
    enum err err = answer(&r, in, out);
    arena_fini(&a);
    return err;
}
