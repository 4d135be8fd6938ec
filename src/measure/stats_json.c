/* SPDX-License-Identifier: Apache-2.0
 *
 * stats_json.c - `opmaat stats`: sums in, judgements out, as one pure function of JSON.
 *
 * In:  {"metrics": [{"key", "kind": "mean|proportion|ratio", "tier"?, "mde"?,
 *        "arms": [{"key", "n", "sum", "sum_sq", "den_sum", "den_sum_sq", "cross", "pre_sum",
 *                  "pre_sum_sq", "pre_cross", "share"?, "epochs"?: [{the same, without key}]}]}],
 *       "method": "sequential|fixed|bayes", "alpha", "relative", "tail": "two|greater|less",
 *       "tuning_n", "prior": null | "proper" | {"mean", "variance", "scale": "relative|absolute"},
 *       "correction": "bh|holm|none", "power", "compat": null | "gbstats"}
 *
 * The first arm is the control; each other is compared with it. CUPED is used when every arm has
 * the three pre_ sums. With "epochs" the arm's own sums are those of its epochs. A share is a
 * percentage ("33.5%") or any weight; without shares arms are expected to be equal. Corrections go
 * over all comparisons of one tier: a primary metric is not paid for by the many that are watched.
 *
 * An interval stands beside its correction: `low`, `high` at alpha, `low_adjusted`,
 * `high_adjusted` at alpha * p / p_adjusted, so that it leaves out 0 exactly when the adjusted p is
 * below alpha.
 */
#include "measure/stats.h"

#include <math.h>

#include "experiment/experiment.h"

enum { METRICS_MAX = 1000, EPOCHS_MAX = 1000 };
enum method { SEQUENTIAL, FIXED, BAYES };

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
    struct metric *metrics;
    isize metrics_n;
};

static const str method_names[] = { S_INIT("sequential"), S_INIT("fixed"), S_INIT("bayes") };
static const str kind_names[] = { S_INIT("mean"), S_INIT("proportion"), S_INIT("ratio") };
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

/* ---- in --------------------------------------------------------------------------------------- */

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

static enum err read_settings(struct request *r, const struct json *in)
{
    struct diag *diag = r->diag;
    const struct json *method = json_get(in, S("method"));
    isize found = named(method, method_names, countof(method_names), SEQUENTIAL);
    if (str_eq(json_str(method, S("")), S("group_sequential"))) {
        return diag_set(diag, ERR_REFUSED,
                        "group_sequential is not computed here; sequential may be read at any time");
    }
    if (found < 0) return diag_set(diag, ERR_BAD_INPUT, "method is sequential, fixed or bayes");
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
    return read_prior(r, json_get(in, S("prior")));
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
    } else if (m->kind != STATS_PROPORTION && s->sum_sq * s->n < s->sum * s->sum * (1 - slack)) {
        wrong = "sum_sq is too small for the sum";
    } else if (s->pre_sum_sq * s->n < s->pre_sum * s->pre_sum * (1 - slack)) {
        wrong = "pre_sum_sq is too small for pre_sum";
    }
    if (!wrong) return ERR_OK;
    return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s, arm %.*s: %s", STR_FMT(m->key), STR_FMT(arm),
                    wrong);
}

static enum err read_sums(struct request *r, struct metric *m, str arm, const struct json *v,
                          struct stats_sums *out)
{
    bool n = number(v, S("n"), &out->n), sum = number(v, S("sum"), &out->sum);
    bool squares = number(v, S("sum_sq"), &out->sum_sq), ratio = number(v, S("den_sum"), &out->den_sum);
    ratio = number(v, S("den_sum_sq"), &out->den_sum_sq) && ratio;
    ratio = number(v, S("cross"), &out->cross) && ratio;
    bool pre = number(v, S("pre_sum"), &out->pre_sum), pre_sq = number(v, S("pre_sum_sq"), &out->pre_sum_sq);
    if (!number(v, S("pre_cross"), &out->pre_cross) || !pre || !pre_sq) m->cuped = false;
    const char *missing = NULL;
    if (!n || !sum) {
        missing = "n and sum";
    } else if (m->kind != STATS_PROPORTION && !squares) {
        missing = "sum_sq";
    } else if (m->kind == STATS_RATIO && !ratio) {
        missing = "den_sum, den_sum_sq and cross";
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
    if (str_eq(json_str(kind, S("")), S("quantile"))) {
        return diag_set(r->diag, ERR_REFUSED,
                        "metric %.*s: quantiles need the values in order; sums do not hold them",
                        STR_FMT(m->key));
    }
    if (found < 0) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: kind is mean, proportion or ratio",
                        STR_FMT(m->key));
    }
    m->kind = (enum stats_kind)found;
    m->tier = json_str(json_get(v, S("tier")), S("primary"));
    m->mde = json_num(json_get(v, S("mde")), 0);
    m->cuped = m->kind != STATS_RATIO;
    const struct json *arms = json_get(v, S("arms"));
    isize n = json_len(arms);
    if (!json_is(arms, JSON_ARR) || n < 2 || n > STATS_ARMS_MAX) {
        return diag_set(r->diag, ERR_BAD_INPUT, "metric %.*s: arms is a list of 2 to %d", STR_FMT(m->key),
                        STATS_ARMS_MAX);
    }
    m->arms = arena_new(r->a, struct arm, n);
    json_each(arm, arms) {
        enum err err = read_arm(r, m, arm, &m->arms[m->arms_n++]);
        if (err) return err;
    }
    return ERR_OK;
}

/* ---- judging ----------------------------------------------------------------------------------- */

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

static struct stats_interval judged(const struct request *r, const struct stats_settings *s,
                                    const struct stats_effect *e)
{
    switch (r->method) {
    case SEQUENTIAL: return stats_sequential(s, e);
    case FIXED: return stats_fixed(s, e);
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

/* ---- out --------------------------------------------------------------------------------------- */

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
        jsonw_key_num(w, "people_per_arm", stats_sample_size(m->mde, e->unit_variance, s.alpha, r->power));
    }
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static void write_arms(struct jsonw *w, const struct metric *m)
{
    jsonw_key_begin(w, "arms", '[');
    for (isize k = 0; k < m->arms_n; k++) {
        f64 n = 0, sum = 0, den = 0;
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
