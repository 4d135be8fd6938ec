/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.c - effects, intervals and p-values from sums.
 *
 * An arm is first reduced to five numbers: the mean of y and of x, and the variances and covariance
 * of those means. Everything after is linear in them, so one path serves means, proportions and
 * ratios, one epoch or many, with CUPED (theta != 0) or without. Formulas and published numbers to
 * test against: the functions' comments and stats_test.c.
 *
 * Sums of squares are centred before use (sum_sq - sum^2/n). That loses digits when the mean is
 * large against the spread; the sums are kept compensated, and what is left over is far below the
 * noise of any experiment that can be run.
 */
#include "measure/stats.h"

#include <math.h>

#include "math/math.h"

static const f64 none = (f64)NAN;

const char *stats_problem_text(enum stats_problem problem)
{
    switch (problem) {
    case STATS_FINE: return "none";
    case STATS_TOO_FEW: return "an arm has fewer than two people";
    case STATS_NO_VARIANCE: return "nothing varies, so there is no scale to judge by";
    case STATS_NO_BASELINE: return "the control is 0, so nothing can be told relative to it";
    case STATS_NO_DENOMINATOR: return "the denominator of the ratio is 0";
    case STATS_BOUNDS_COLLAPSED: return "so many values are equal that the quantile's error cannot be told";
    }
    return "";
}

/* ---- sums to means -------------------------------------------------------------------------- */

/* Means, and (co)variances of the means. */
struct means { f64 y, x, vy, vx, c; f64 n; };

/* Of one person; divisor n - 1, or n where y is 0 or 1. */
static f64 centred(f64 product, f64 a, f64 b, f64 n, f64 divisor)
{
    return (product - a * b / n) / divisor;
}

void stats_sums_add(struct stats_sums *to, const struct stats_sums *s)
{
    to->n += s->n;
    to->sum += s->sum;
    to->sum_sq += s->sum_sq;
    to->den_sum += s->den_sum;
    to->den_sum_sq += s->den_sum_sq;
    to->cross += s->cross;
    to->pre_sum += s->pre_sum;
    to->pre_sum_sq += s->pre_sum_sq;
    to->pre_cross += s->pre_cross;
    to->den_pre_cross += s->den_pre_cross;
    to->pre_den_sum += s->pre_den_sum;
    to->pre_den_sum_sq += s->pre_den_sum_sq;
    to->pre_den_cross += s->pre_den_cross;
    to->cross_pre_den += s->cross_pre_den;
    to->den_pre_den_cross += s->den_pre_den_cross;
}

/* The covariate of a ratio R = y / d: with its linear part (y - R d) / mean d it covaries by
 * cov(y, x) - R cov(d, x). A covariate that is a ratio x / z has a linear part too. */
static void means_of_covariate(const struct stats_sums *s, f64 bottom, struct means *m)
{
    f64 n = s->n, divisor = n - 1, scale = 1, past = 0;
    if (s->pre_den_sum > 0 || s->pre_den_sum < 0) {
        past = s->pre_sum / s->pre_den_sum;
        scale = n / s->pre_den_sum;
        m->x = past;
    }
    f64 vx = centred(s->pre_sum_sq, s->pre_sum, s->pre_sum, n, divisor);
    f64 vz = centred(s->pre_den_sum_sq, s->pre_den_sum, s->pre_den_sum, n, divisor);
    f64 xz = centred(s->pre_den_cross, s->pre_sum, s->pre_den_sum, n, divisor);
    f64 yx = centred(s->pre_cross, s->sum, s->pre_sum, n, divisor);
    f64 dx = centred(s->den_pre_cross, s->den_sum, s->pre_sum, n, divisor);
    f64 yz = centred(s->cross_pre_den, s->sum, s->pre_den_sum, n, divisor);
    f64 dz = centred(s->den_pre_den_cross, s->den_sum, s->pre_den_sum, n, divisor);
    m->vx = (vx - 2 * past * xz + past * past * vz) * scale * scale / n;
    m->c = (yx - m->y * dx - past * yz + m->y * past * dz) * scale / bottom / n;
}

static enum stats_problem means_of(enum stats_kind kind, const struct stats_sums *s, struct means *out)
{
    f64 n = s->n, divisor = kind == STATS_PROPORTION ? n : n - 1;
    struct means m = { .n = n, .x = s->pre_sum / n };
    m.vx = centred(s->pre_sum_sq, s->pre_sum, s->pre_sum, n, divisor) / n;
    m.c = centred(s->pre_cross, s->sum, s->pre_sum, n, divisor) / n;
    if (kind == STATS_QUANTILE) {
        m = (struct means){ .n = n, .y = s->quantile, .vy = s->quantile_se * s->quantile_se };
    } else if (kind == STATS_RATIO) {
        f64 top = s->sum / n, bottom = s->den_sum / n;
        if (!(bottom > 0 || bottom < 0)) return STATS_NO_DENOMINATOR;
        f64 vt = centred(s->sum_sq, s->sum, s->sum, n, divisor);
        f64 vb = centred(s->den_sum_sq, s->den_sum, s->den_sum, n, divisor);
        f64 c = centred(s->cross, s->sum, s->den_sum, n, divisor);
        m.y = top / bottom;
        m.vy = (vt - 2 * c * m.y + vb * m.y * m.y) / (bottom * bottom) / n;
        means_of_covariate(s, bottom, &m);
    } else {
        f64 squares = kind == STATS_PROPORTION ? s->sum : s->sum_sq;
        m.y = s->sum / n;
        m.vy = centred(squares, s->sum, s->sum, n, divisor) / n;
    }
    *out = m;
    return STATS_FINE;
}

f64 stats_theta(enum stats_kind kind, const struct stats_arm *arms, isize n)
{
    if (kind == STATS_QUANTILE) return 0;
    struct stats_sums all = { 0 };
    for (isize i = 0; i < n; i++)
        for (isize e = 0; e < arms[i].epochs; e++) stats_sums_add(&all, &arms[i].at[e]);
    struct means m;
    if (means_of(kind == STATS_RATIO ? kind : STATS_MEAN, &all, &m)) return 0;
    return m.vx > 0 ? m.c / m.vx : 0;
}

/* One arm over its epochs, and what Welch-Satterthwaite needs of it. */
struct side { struct means m; f64 spread; };

static f64 adjusted(const struct means *m, f64 theta)
{
    return m->vy + theta * theta * m->vx - 2 * theta * m->c;
}

/* An epoch in which one of the two arms has nobody to speak of says nothing about their difference
 * (an arm that was added later); the others then weigh for it. */
static bool is_shared(struct stats_arm a, struct stats_arm b, isize epoch)
{
    return a.at[epoch].n >= 2 && b.at[epoch].n >= 2;
}

static enum stats_problem side_of(enum stats_kind kind, struct stats_arm arm, struct stats_arm other,
                                  const f64 *weights, f64 theta, struct side *out)
{
    struct side total = { 0 };
    f64 whole = 0;
    for (isize e = 0; e < arm.epochs; e++) {
        if (is_shared(arm, other, e)) whole += weights ? weights[e] : 1;
    }
    for (isize e = 0; e < arm.epochs; e++) {
        if (!is_shared(arm, other, e)) continue;
        f64 w = (weights ? weights[e] : 1) / whole;
        struct means m;
        enum stats_problem problem = means_of(kind, &arm.at[e], &m);
        if (problem) return problem;
        total.m.n += m.n;
        total.m.y += w * m.y;
        total.m.x += w * m.x;
        total.m.vy += w * w * m.vy;
        total.m.vx += w * w * m.vx;
        total.m.c += w * w * m.c;
        f64 v = w * w * adjusted(&m, theta);
        total.spread += v * v / (m.n - 1);
    }
    *out = total;
    return total.m.n > 0 ? STATS_FINE : STATS_TOO_FEW;
}

struct stats_effect stats_effect(const struct stats_settings *s, struct stats_arm control,
                                 struct stats_arm variation, const f64 *weights, f64 theta)
{
    assert(control.epochs == variation.epochs && control.epochs >= 1);
    assert(weights || control.epochs == 1);
    struct stats_effect e = { .effect = none, .se = none, .df = none, .unit_variance = none };
    struct side a, b;
    e.problem = side_of(s->kind, control, variation, weights, theta, &a);
    if (!e.problem) e.problem = side_of(s->kind, variation, control, weights, theta, &b);
    if (e.problem) return e;

    e.control = a.m.y;
    e.variation = b.m.y;
    e.n = a.m.n + b.m.n;
    f64 difference = (b.m.y - theta * b.m.x) - (a.m.y - theta * a.m.x);
    f64 va = adjusted(&a.m, theta), vb = adjusted(&b.m, theta);
    if (!(va + vb > 0)) {
        e.problem = STATS_NO_VARIANCE;
        return e;
    }
    e.df = (va + vb) * (va + vb) / (a.spread + b.spread);
    e.effect = difference;
    e.top = a.m.y + difference;
    e.v_square = a.m.vy;
    e.v_cross = theta * a.m.c;
    e.v_rest = vb + theta * theta * a.m.vx;
    if (s->relative) {
        if (!(a.m.y > 0 || a.m.y < 0)) {
            e.problem = STATS_NO_BASELINE;
            return e;
        }
        /* difference / y_a is a function of four means; its gradient in y_a is -(y_a + difference) /
         * y_a^2 and in x_a theta / y_a. gbstats takes the first at the unadjusted mean of b. */
        f64 y = a.m.y, top = s->gbstats ? b.m.y : y + difference;
        f64 by_y = -top / (y * y), by_x = theta / y;
        va = by_y * by_y * a.m.vy + by_x * by_x * a.m.vx + 2 * by_y * by_x * a.m.c;
        vb /= y * y;
        e.effect = difference / fabs(y);
    }
    e.se = sqrt(va + vb);
    e.unit_variance = va * a.m.n + vb * b.m.n;
    return e;
}

/* ---- fixed horizon -------------------------------------------------------------------------- */

static struct stats_interval no_interval(void)
{
    return (struct stats_interval){ none, none, 1 };
}

/* effect +- half, cut to the side asked for. */
static struct stats_interval interval_of(f64 effect, f64 half, enum stats_tail tail, f64 p)
{
    f64 far = (f64)INFINITY;
    return (struct stats_interval){ tail == STATS_LESS ? -far : effect - half,
                                    tail == STATS_GREATER ? far : effect + half, p };
}

struct stats_interval stats_fixed(const struct stats_settings *s, const struct stats_effect *e)
{
    if (e->problem) return no_interval();
    f64 t = e->effect / e->se, p = none, tails = 1;
    switch (s->tail) {
    case STATS_TWO_SIDED: p = 2 * student_t_sf(fabs(t), e->df), tails = 2; break;
    case STATS_GREATER: p = student_t_sf(t, e->df); break;
    case STATS_LESS: p = student_t_cdf(t, e->df); break;
    }
    return interval_of(e->effect, -student_t_quantile(s->alpha / tails, e->df) * e->se, s->tail, p);
}

/* ---- always valid --------------------------------------------------------------------------- */

f64 stats_sequential_rho(f64 alpha, f64 tuning_n, enum stats_tail tail)
{
    assert(alpha > 0 && alpha < 1 && tuning_n > 0);
    f64 a = tail == STATS_TWO_SIDED ? alpha : 2 * alpha;
    /* Above e^-1/2 the formula has no root; nobody tests there, but it must not be NaN. */
    f64 twice = -2 * log(a < 0.5 ? a : 0.5);
    return sqrt((twice + log(1 + twice)) / tuning_n);
}

f64 stats_mixture_log(f64 z, f64 n, f64 rho, bool one_sided)
{
    f64 spread = n * rho * rho, k = spread / (spread + 1);
    f64 value = 0.5 * (z * z * k - log1p(spread));
    if (!one_sided) return value;
    f64 below = normal_cdf(z * sqrt(k));
    return below > 0 ? value + log(2) + log(below) : -(f64)INFINITY;
}

/* Two-sided it can be solved; one-sided the log mixture grows with z, so halving finds it. The
 * one-sided bound lies below the two-sided one of the same alpha, except where alpha > 1/2. */
f64 stats_mixture_bound(f64 n, f64 rho, f64 alpha, bool one_sided)
{
    f64 spread = n * rho * rho;
    f64 two_sided = sqrt((spread + 1) / spread * (log1p(spread) - 2 * log(alpha)));
    if (!one_sided) return two_sided;
    f64 low = -two_sided, high = two_sided + 1;
    for (int i = 0; i < 200 && low < high; i++) {
        f64 middle = low + (high - low) / 2;
        if (!(middle > low && middle < high)) break;
        if (stats_mixture_log(middle, n, rho, true) < -log(alpha)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

/* The lifts whose difference(r) lies within `bound` standard errors of 0: a quadratic in r. While it
 * is open to both sides of r = 0 its set is what lies outside two roots, of which only the ray on the
 * side of the effect has means of one sign. */
static struct stats_interval lifts(const struct stats_settings *s, const struct stats_effect *e, f64 bound,
                                   f64 p)
{
    f64 far = (f64)INFINITY, square = bound * bound, sign = e->control > 0 ? 1 : -1;
    f64 a = e->control * e->control - square * e->v_square;
    f64 half_b = e->top * e->control - square * e->v_cross, c = e->top * e->top - square * e->v_rest;
    f64 inside = half_b * half_b - a * c;
    struct stats_interval i = { -far, far, p };
    if (a > 0 && inside >= 0) {
        f64 one = sign * ((half_b - sqrt(inside)) / a - 1), two = sign * ((half_b + sqrt(inside)) / a - 1);
        i.low = fmin(one, two);
        i.high = fmax(one, two);
    } else if (a < 0 && inside > 0 && p < s->alpha) {
        f64 one = sign * ((half_b - sqrt(inside)) / a - 1), two = sign * ((half_b + sqrt(inside)) / a - 1);
        if (e->effect > 0) i.low = fmax(one, two);
        if (e->effect < 0) i.high = fmin(one, two);
    }
    if (s->tail == STATS_LESS) i.low = -far;
    if (s->tail == STATS_GREATER) i.high = far;
    return i;
}

/* What is watched is the difference itself, unless gbstats' way is asked for (stats.h). */
static bool as_lift(const struct stats_settings *s) { return s->relative && !s->gbstats; }

static f64 watched_z(const struct stats_settings *s, const struct stats_effect *e)
{
    if (!as_lift(s)) return e->effect / e->se;
    return (e->top - e->control) / sqrt(e->v_square - 2 * e->v_cross + e->v_rest);
}

static struct stats_interval watched_interval(const struct stats_settings *s,
                                              const struct stats_effect *e, f64 bound, f64 p)
{
    return as_lift(s) ? lifts(s, e, bound, p) : interval_of(e->effect, bound * e->se, s->tail, p);
}

struct stats_interval stats_sequential(const struct stats_settings *s, const struct stats_effect *e)
{
    if (e->problem) return no_interval();
    bool one_sided = s->tail != STATS_TWO_SIDED;
    f64 rho = stats_sequential_rho(s->tuning_alpha > 0 ? s->tuning_alpha : s->alpha, s->tuning_n, s->tail);
    f64 z = watched_z(s, e);
    f64 p = exp(-stats_mixture_log(s->tail == STATS_LESS ? -z : z, e->n, rho, one_sided));
    if (!(p < 1)) p = 1;
    return watched_interval(s, e, stats_mixture_bound(e->n, rho, s->alpha, one_sided), p);
}

struct stats_interval stats_group(const struct stats_settings *s, const struct stats_effect *e,
                                  const struct stats_looks *looks)
{
    if (e->problem) return no_interval();
    assert(looks->n >= 1 && looks->n <= STATS_LOOKS_MAX && looks->one_sided == (s->tail != STATS_TWO_SIDED));
    f64 bounds[STATS_LOOKS_MAX], z = watched_z(s, e);
    stats_bounds(looks, s->alpha, bounds);
    return watched_interval(s, e, bounds[looks->n - 1],
                            stats_bounds_p(looks, s->tail == STATS_LESS ? -z : z));
}

/* ---- Bayesian ------------------------------------------------------------------------------- */

/* E max(d, 0) for a normal d: mu Phi(mu/sd) + sd phi(mu/sd). */
static f64 expected_above(f64 mean, f64 sd)
{
    f64 value = mean * normal_cdf(mean / sd) + sd * normal_pdf(mean / sd);
    return value > 0 ? value : 0;                       /* the two terms cancel in the far tail */
}

struct stats_belief stats_posterior(f64 mean, f64 sd, f64 alpha)
{
    f64 half = -normal_quantile(alpha / 2) * sd;
    return (struct stats_belief){
        .mean = mean, .sd = sd, .low = mean - half, .high = mean + half,
        .chance_to_win = normal_cdf(mean / sd),
        .loss_if_chosen = expected_above(-mean, sd), .loss_if_not = expected_above(mean, sd),
    };
}

struct stats_belief stats_bayes(const struct stats_settings *s, const struct stats_effect *e)
{
    if (e->problem) return (struct stats_belief){ none, none, none, none, none, none, none };
    f64 mean = e->effect, variance = e->se * e->se;
    if (s->prior.proper) {
        f64 scale = 1;
        if (s->prior.absolute && s->relative) scale = 1 / fabs(e->control);
        if (!s->prior.absolute && !s->relative) scale = fabs(e->control);
        f64 prior_variance = s->prior.variance * scale * scale;
        if (prior_variance > 0) {                       /* a control of 0 leaves no relative opinion */
            f64 data = 1 / variance, prior = 1 / prior_variance;
            mean = (e->effect * data + s->prior.mean * scale * prior) / (data + prior);
            variance = 1 / (data + prior);
        }
    }
    return stats_posterior(mean, sqrt(variance), s->alpha);
}

/* ---- many comparisons ----------------------------------------------------------------------- */

/* Insertion sort of positions by p: a results page has tens of comparisons. */
static isize ordered(const f64 *p, isize n, isize *at)
{
    isize count = 0;
    for (isize i = 0; i < n; i++) {
        if (p[i] != p[i]) continue;
        isize k = count++;
        for (; k > 0 && p[at[k - 1]] > p[i]; k--) at[k] = at[k - 1];
        at[k] = i;
    }
    return count;
}

void stats_correct(f64 *p, isize n, enum stats_correction how, arena *scratch)
{
    if (how == STATS_NONE || n == 0) return;
    struct arena_mark mark = arena_mark(scratch);
    isize *at = arena_new(scratch, isize, n);
    isize m = ordered(p, n, at);
    if (how == STATS_HOLM) {
        f64 most = 0;
        for (isize k = 0; k < m; k++) {
            most = fmax(most, fmin(1, (f64)(m - k) * p[at[k]]));
            p[at[k]] = most;
        }
    } else {
        f64 least = 1;
        for (isize k = m - 1; k >= 0; k--) {
            least = fmin(least, (f64)m / (f64)(k + 1) * p[at[k]]);
            p[at[k]] = least;
        }
    }
    arena_reset(scratch, mark);
}

struct stats_interval stats_interval_of_p(f64 effect, f64 p, f64 alpha)
{
    f64 z = -normal_quantile(p / 2), half = -normal_quantile(alpha / 2) * fabs(effect) / z;
    return (struct stats_interval){ effect - half, effect + half, p };
}

/* ---- sample ratio --------------------------------------------------------------------------- */

/* ln of the Dirichlet-multinomial likelihood of the counts over their likelihood under the shares.
 * The prior is centred on the shares with the weight of 100 people: wide enough to find a 60:40 in a
 * few hundred, and at a million people it costs ln(10000)/2 = 4.6 a degree of freedom. */
static f64 srm_mixture_log(const f64 *people, const f64 *shares, isize arms, f64 all, f64 whole)
{
    const f64 weight = 100;
    f64 value = gamma_log(weight) - gamma_log(weight + all);
    for (isize k = 0; k < arms; k++) {
        f64 share = shares[k] / whole;
        if (!(share > 0)) {
            if (people[k] > 0) return (f64)INFINITY;
            continue;
        }
        f64 prior = weight * share;
        value += gamma_log(prior + people[k]) - gamma_log(prior) - people[k] * log(share);
    }
    return value;
}

struct stats_srm stats_srm(const f64 *people, const f64 *shares, isize arms, isize epochs)
{
    assert(arms >= 1 && arms <= STATS_ARMS_MAX);
    f64 seen[STATS_ARMS_MAX] = { 0 }, expected[STATS_ARMS_MAX] = { 0 }, mixture = 0;
    for (isize e = 0; e < epochs; e++) {
        const f64 *got = people + e * arms, *share = shares + e * arms;
        f64 all = 0, whole = 0;
        for (isize k = 0; k < arms; k++) all += got[k], whole += share[k];
        if (!(whole > 0)) continue;
        for (isize k = 0; k < arms; k++) {
            seen[k] += got[k];
            expected[k] += all * share[k] / whole;
        }
        mixture += srm_mixture_log(got, share, arms, all, whole);
    }
    struct stats_srm srm = { .df = -1, .p = 1, .p_sequential = fmin(1, exp(-mixture)) };
    for (isize k = 0; k < arms; k++) {
        if (expected[k] > 0) {
            srm.chi_square += (seen[k] - expected[k]) * (seen[k] - expected[k]) / expected[k];
            srm.df++;
        } else if (seen[k] > 0) {
            srm.chi_square = (f64)INFINITY;             /* somebody is where nobody was sent */
        }
    }
    if (srm.df < 0) srm.df = 0;
    if (isinf(srm.chi_square)) {
        srm.p = 0;
    } else if (srm.df > 0) {
        srm.p = chi_square_sf(srm.chi_square, srm.df);
    }
    return srm;
}

/* ---- power ---------------------------------------------------------------------------------- */

f64 stats_power(f64 effect, f64 se, f64 alpha)
{
    f64 z = -normal_quantile(alpha / 2), shift = fabs(effect) / se;
    return normal_sf(z - shift) + normal_cdf(-z - shift);
}

f64 stats_sample_size(f64 effect, f64 unit_variance, f64 alpha, f64 power)
{
    f64 z = normal_quantile(power) - normal_quantile(alpha / 2);
    return z * z * unit_variance / (effect * effect);
}

f64 stats_least_effect(f64 se, f64 alpha, f64 power)
{
    return (normal_quantile(power) - normal_quantile(alpha / 2)) * se;
}

f64 stats_sequential_size(const struct stats_settings *s, f64 effect, f64 unit_variance, f64 power)
{
    f64 rho = stats_sequential_rho(s->alpha, s->tuning_n, s->tail), low = 1, high = 1e12;
    if (!(fabs(effect) > 0 && unit_variance > 0)) return none;
    for (int i = 0; i < 200 && high / low > 1 + 1e-9; i++) {
        f64 n = sqrt(low * high);                       /* an arm; the mixture counts both */
        f64 bound = stats_mixture_bound(2 * n, rho, s->alpha, s->tail != STATS_TWO_SIDED);
        if (fabs(effect) / sqrt(unit_variance / n) - bound >= normal_quantile(power)) high = n;
        else low = n;
    }
    return high;
}

f64 stats_shares_p(f64 with, f64 n, f64 other_with, f64 other_n)
{
    f64 share = n + other_n > 0 ? (with + other_with) / (n + other_n) : 0;
    if (n <= 0 || other_n <= 0 || share <= 0 || share >= 1) return 1;
    f64 z = (with / n - other_with / other_n) / sqrt(share * (1 - share) * (1 / n + 1 / other_n));
    return erfc(fabs(z) / sqrt(2));
}
