/* SPDX-License-Identifier: Apache-2.0
 *
 * buying.c - how often people come back, and what an order is worth: models with few parameters, by
 * maximum likelihood.
 *
 *   bg_nbd      Fader, Hardie and Lee 2005: orders while alive are Poisson, rates gamma(r, alpha)
 *   over people; after each repeat a
 *               person leaves for good with a chance of their own, beta(a, b). Who never repeated
 *               cannot have left: a known flaw.
 *   mbg_nbd     Batislam, Denizel and Filiztekin 2007: the same, and one may leave after the first order too.
 *   pareto_nbd  Schmittlein, Morrison and Colombo 1987, as in Fader and Hardie's note of 2005:
 *   leaving is in time, gamma(s, beta).
 *   nbd         Ehrenberg 1959: nobody leaves. What remains when the data says nothing of leaving.
 *   spend       Gamma-Gamma, Fader and Hardie 2013.
 *
 * Parameters are looked for as logarithms, by NLopt's Nelder-Mead from two starts, between bounds.
 * A likelihood that is flat towards an end ("nobody ever leaves": a to 0, b to infinity) runs to a
 * bound; that is found and told (struct buying's edge), since the numbers would look like any
 * others. Likelihoods count equal people once. */
#include <math.h>
#include <nlopt.h>
#include <stdlib.h>

#include "math/math.h"
#include "predict/inside.h"

static const char *const names[BUYING_MODELS] = { "bg_nbd", "mbg_nbd", "pareto_nbd", "nbd" };
const char *buying_name(u8 model) { return names[model]; }

static f64 log_add(f64 a, f64 b)
{
    f64 most = fmax(a, b), least = fmin(a, b);
    return most == -HUGE_VAL ? most : most + log1p(exp(least - most));
}

/* ---- one person's likelihood ----------------------------------------------------------------- */

/* ln of the weight of having left at the last order, against that of being here still; -inf: cannot
 * have left. */
static f64 log_left(u8 model, const f64 k[4], const struct purchases *p)
{
    f64 x = p->repeats, r = k[0], alpha = k[1], a = k[2], b = k[3];
    if (model == BUYING_BG && x == 0) return -HUGE_VAL;
    f64 odds = model == BUYING_BG ? a / (b + x - 1) : a / (b + x);
    return log(odds) + (r + x) * (log(alpha + p->seen) - log(alpha + p->last));
}

/* Gauss and Legendre, ten points: the positive five. */
static const struct { f64 at, weight; } gauss[] = {
    { 0.97390652851717172, 0.066671344308688138 },
    { 0.86506336668898451, 0.14945134915058059 },
    { 0.67940956829902441, 0.21908636251598204 },
    { 0.43339539412924719, 0.26926671930999636 },
    { 0.14887433898163121, 0.29552422471475287 },
};

/* ln of the weight of having left between the last order and the end: s times the integral over y
 * of ((alpha+T)/(alpha+y))^(r+x) ((beta+T)/(beta+y))^s / (beta+y). The published form has 2F1,
 * which crawls where alpha and beta are far apart; over ln(alpha+y) Gauss and Legendre's ten
 * points, twice, are as exact and always as quick. */
static f64 log_left_pareto(const f64 k[4], const struct purchases *p)
{
    enum { PANELS = 2 };
    f64 u = k[0] + p->repeats, alpha = k[1], s = k[2], beta = k[3];
    f64 from = log(alpha + p->last), to = log(alpha + p->seen), beta_end = log(beta + p->seen);
    f64 most = u * (to - from) + s * (beta_end - log(beta + p->last)), sum = 0,
        half = (to - from) / (2 * PANELS);
    if (!(to > from)) return -HUGE_VAL;
    for (int panel = 0; panel < PANELS; panel++)
        for (isize i = 0; i < countof(gauss); i++)
            for (int side = -1; side <= 1; side += 2) {
                f64 w = from + half * (2 * panel + 1 + side * gauss[i].at), y = exp(w) - alpha;
                sum += gauss[i].weight * (y + alpha) / (y + beta)
                       * exp(u * (to - w) + s * (beta_end - log(beta + y)) - most);
            }
    return most + log(s * sum * half);
}

/* The part that depends on the number of repeats alone: dear, and the same for many. */
static f64 part_of_repeats(u8 model, const f64 k[4], f64 x)
{
    f64 part = gamma_log(k[0] + x) - gamma_log(k[0]) + k[0] * log(k[1]);
    if (model == BUYING_BG) part += beta_log(k[2], k[3] + x) - beta_log(k[2], k[3]);
    if (model == BUYING_MBG) part += beta_log(k[2], k[3] + x + 1) - beta_log(k[2], k[3]);
    return part;
}

static f64 part_of_times(u8 model, const f64 k[4], const struct purchases *p)
{
    f64 here = -(k[0] + p->repeats) * log(k[1] + p->seen);
    if (model == BUYING_NBD) return here;
    if (model == BUYING_PARETO)
        return here + k[2] * (log(k[3]) - log(k[3] + p->seen)) + log_add(0, log_left_pareto(k, p));
    return here + log_add(0, log_left(model, k, p));
}

struct like { struct purchases p; f64 times; };

/* Quick when those of equal repeats stand together. */
static f64 likelihood_of(u8 model, const f64 k[4], const struct like *at, isize n)
{
    struct sum sum = { 0 };
    f64 part = 0;
    for (isize i = 0; i < n; i++) {
        if (i == 0 || at[i].p.repeats != at[i - 1].p.repeats)
            part = part_of_repeats(model, k, at[i].p.repeats);
        sum_add(&sum, at[i].times * (part + part_of_times(model, k, &at[i].p)));
    }
    return sum_value(sum);
}

f64 buying_log_likelihood(u8 model, const f64 param[4], const struct purchases *at, isize n)
{
    struct sum sum = { 0 };
    for (isize i = 0; i < n; i++) sum_add(&sum, likelihood_of(model, param, &(struct like){ at[i], 1 }, 1));
    return sum_value(sum);
}

/* ---- looking for parameters ------------------------------------------------------------------ */

#define LOG_LEAST (-9.0)
#define LOG_MOST 14.0
enum { EVALUATIONS_MAX = 3000 };

struct buying_problem { u8 model; const struct like *at; isize n; };

static f64 buying_objective(unsigned n, const f64 *x, f64 *slope, void *ctx)
{
    const struct buying_problem *problem = ctx;
    f64 param[4] = { 1, 1, 1, 1 };
    (void)slope;
    for (unsigned i = 0; i < n; i++) param[i] = exp(x[i]);
    f64 found = likelihood_of(problem->model, param, problem->at, problem->n);
    return isfinite(found) ? found : -1e300;            /* also where 2F1 cannot be told: no fit goes there */
}

/* The best of several starts; each is gone on from where it stopped, as a simplex may collapse early. */
static f64 climb(nlopt_func objective, void *problem, unsigned n, const f64 (*starts)[4],
                 isize starts_n, f64 *best)
{
    f64 highest = -HUGE_VAL;
    nlopt_opt opt = nlopt_create(NLOPT_LN_NELDERMEAD, n);
    assert(opt);
    (void)nlopt_set_max_objective(opt, objective, problem);
    (void)nlopt_set_lower_bounds1(opt, LOG_LEAST);
    (void)nlopt_set_upper_bounds1(opt, LOG_MOST);
    (void)nlopt_set_ftol_rel(opt, 1e-11);
    (void)nlopt_set_xtol_rel(opt, 1e-7);
    (void)nlopt_set_maxeval(opt, EVALUATIONS_MAX);
    for (isize s = 0; s < starts_n; s++) {
        f64 x[4], reached = -HUGE_VAL;
        memcpy(x, starts[s], sizeof x);
        for (int again = 0; again < 2; again++) (void)nlopt_optimize(opt, x, &reached);
        if (reached > highest) {
            highest = reached;
            memcpy(best, x, n * sizeof *x);
        }
    }
    nlopt_destroy(opt);
    return highest;
}

static int purchases_order(const void *left, const void *right)
{
    const struct purchases *a = &((const struct like *)left)->p, *b = &((const struct like *)right)->p;
    if (a->repeats != b->repeats) return a->repeats < b->repeats ? -1 : 1;
    if (a->last != b->last) return a->last < b->last ? -1 : 1;
    return (a->seen > b->seen) - (a->seen < b->seen);
}

static struct like *likes_of(const struct purchases *at, isize n, f64 scale, arena *a, isize *out_n)
{
    struct like *likes = arena_new(a, struct like, n);
    isize kept = 0;
    for (isize i = 0; i < n; i++)
        likes[i] = (struct like){ { at[i].repeats, at[i].last / scale, at[i].seen / scale }, 1 };
    qsort(likes, (size_t)n, sizeof *likes, purchases_order);
    for (isize i = 0; i < n; i++) {
        if (kept && purchases_order(&likes[kept - 1], &likes[i]) == 0) likes[kept - 1].times++;
        else likes[kept++] = likes[i];
    }
    *out_n = kept;
    return likes;
}

/* Where the numbers stop meaning what they are called. */
static const char *edge_of(const struct buying *b, f64 scale)
{
    const f64 *k = b->param;
    f64 leaving = k[2] / (k[2] + k[3]), lasting = k[3] / scale / k[2];
    if (b->model == BUYING_BG || b->model == BUYING_MBG) {
        if (leaving < 1e-3) return "nobody ever leaves";
        if (leaving > 1 - 1e-3) return "everybody leaves at once";
        if (k[2] + k[3] > 1e4) return "all leave with the same chance";
    }
    if (b->model == BUYING_PARETO) {
        if (lasting > 100) return "nobody ever leaves";
        if (lasting < 1e-3) return "everybody leaves at once";
        if (k[2] > 1e4) return "all leave at the same rate";
    }
    if (k[0] > 1e4) return "all order at the same rate";
    if (k[0] < 1e-3) return "hardly anybody orders again";
    return NULL;
}

enum err buying_fit(u8 model, const struct purchases *at, isize n, arena *a, struct buying *out,
                    struct diag *diag)
{
    /* Time is measured in the mean time people were seen, so that starts and bounds fit days and
     * weeks alike. */
    static const f64 starts[][4] = { { -0.7, -1, 0, 1 }, { 0.7, 0.7, -0.7, 0 } };
    isize repeaters = 0;
    f64 scale = 0;
    for (isize i = 0; i < n; i++) {
        assert(at[i].repeats >= 0 && at[i].last >= 0 && at[i].last <= at[i].seen);
        repeaters += at[i].repeats > 0;
        scale += at[i].seen / (f64)n;
    }
    if (n < BUYING_PEOPLE_MIN || repeaters < BUYING_REPEATERS_MIN || scale <= 0)
        return diag_set(
            diag, ERR_REFUSED,
            "not enough data: %td buyers of whom %td ordered again on another day; %d and %d are needed",
            n, repeaters, BUYING_PEOPLE_MIN, BUYING_REPEATERS_MIN);
    struct arena_mark mark = arena_mark(a);
    struct buying_problem problem = { .model = model };
    problem.at = likes_of(at, n, scale, a, &problem.n);
    f64 x[4] = { 0 };
    unsigned params = model == BUYING_NBD ? 2 : 4;
    (void)climb(buying_objective, &problem, params, starts, countof(starts), x);
    *out = (struct buying){ .model = model, .people = n };
    for (unsigned i = 0; i < params; i++) out->param[i] = exp(x[i]);
    out->param[1] *= scale;                             /* rates and times back in the caller's unit */
    if (model == BUYING_PARETO) out->param[3] *= scale;
    out->log_likelihood = buying_log_likelihood(model, out->param, at, n);
    out->edge = edge_of(out, scale);
    arena_reset(a, mark);
    return ERR_OK;
}

/* ---- what follows ---------------------------------------------------------------------------- */

f64 buying_alive(const struct buying *b, const struct purchases *p)
{
    if (b->model == BUYING_NBD) return 1;
    f64 left = b->model == BUYING_PARETO ? log_left_pareto(b->param, p) : log_left(b->model, b->param, p);
    return 1 / (1 + exp(left));
}

/* Orders within `ahead` of one who is still here, over BG and MBG: E = c0/(a-1) (1 - (1-z)^(a-1)
 * F(c-u, a-1; c; z)), with z = t/(alpha+T+t); by Euler's transformation of the published form, in
 * which the powers would cancel. */
static f64 expected_here(const struct buying *b, const struct purchases *p, f64 ahead)
{
    f64 x = p->repeats, r = b->param[0], alpha = b->param[1], a = b->param[2], top = b->param[3] + x;
    f64 c = b->model == BUYING_BG ? a + top - 1 : a + top;
    f64 u = r + x, z = ahead / (alpha + p->seen + ahead);
    if (fabs(a - 1) < 1e-7) a = 1 + 1e-7;               /* there it is 0/0; its limit is as near */
    f64 power = exp((a - 1) * log1p(-z)) * hypergeometric_2f1(c - u, a - 1, c, z);
    return c / (a - 1) * (1 - power);
}

f64 buying_expected(const struct buying *b, const struct purchases *p, f64 ahead)
{
    f64 x = p->repeats, r = b->param[0], alpha = b->param[1], s = b->param[2], beta = b->param[3];
    if (ahead <= 0) return 0;
    switch ((enum buying_model)b->model) {
    case BUYING_BG: case BUYING_MBG: return buying_alive(b, p) * expected_here(b, p, ahead);
    case BUYING_PARETO: {
        f64 shrink = log(beta + p->seen) - log(beta + p->seen + ahead);
        f64 spans = fabs(s - 1) < 1e-9 ? -shrink : -expm1((s - 1) * shrink) / (s - 1);
        return buying_alive(b, p) * (r + x) * (beta + p->seen) / (alpha + p->seen) * spans;
    }
    case BUYING_NBD: case BUYING_MODELS: break;
    }
    return (r + x) / (alpha + p->seen) * ahead;
}

/* With BG and MBG nobody leaves before the next order, so it is the gamma mixture of exponentials.
 * Under Pareto the next order races with leaving: the integral over t of u/(from+t)
 * (from/(from+t))^u (left/(left+t))^s, over ln(from+t). */
f64 buying_none(const struct buying *b, const struct purchases *p, f64 ahead)
{
    enum { PANELS = 8 };
    f64 u = b->param[0] + p->repeats, from = b->param[1] + p->seen, alive = buying_alive(b, p);
    if (b->model != BUYING_PARETO) return 1 - alive * -expm1(u * (log(from) - log(from + ahead)));
    f64 s = b->param[2], left = b->param[3] + p->seen, sum = 0,
        half = (log(from + ahead) - log(from)) / (2 * PANELS);
    for (int panel = 0; panel < PANELS; panel++)
        for (isize i = 0; i < countof(gauss); i++)
            for (int side = -1; side <= 1; side += 2) {
                f64 w = half * (2 * panel + 1 + side * gauss[i].at), t = from * expm1(w);
                sum += gauss[i].weight * exp(-u * w + s * (log(left) - log(left + t)));
            }
    return 1 - alive * u * sum * half;
}

f64 buying_next(const struct buying *b, const struct purchases *p, f64 most)
{
    f64 low = 0, high = most;
    if (buying_none(b, p, most) > .5) return -1;
    while (high - low > most * 1e-6) {
        f64 mid = (low + high) / 2;
        if (buying_none(b, p, mid) > .5) low = mid;
        else high = mid;
    }
    return high;
}

/* ---- what an order is worth ------------------------------------------------------------------ */

static f64 person_spend(f64 p, f64 q, f64 v, const struct spending *s)
{
    f64 x = s->orders, px = p * x;
    return gamma_log(px + q) - gamma_log(px) - gamma_log(q) + q * log(v) + (px - 1) * log(s->mean)
           + px * log(x) - (px + q) * log(x * s->mean + v);
}

f64 spend_log_likelihood(f64 p, f64 q, f64 v, const struct spending *at, isize n)
{
    struct sum sum = { 0 };
    for (isize i = 0; i < n; i++) sum_add(&sum, person_spend(p, q, v, &at[i]));
    return sum_value(sum);
}

struct spend_problem { const struct spending *at; isize n; };

static f64 spend_objective(unsigned n, const f64 *x, f64 *slope, void *ctx)
{
    const struct spend_problem *problem = ctx;
    (void)n;
    (void)slope;
    f64 found = spend_log_likelihood(exp(x[0]), exp(x[1]), exp(x[2]), problem->at, problem->n);
    return isfinite(found) ? found : -1e300;
}

enum err spend_fit(const struct spending *at, isize n, struct spend *out, struct diag *diag)
{
    f64 typical = 0, x[4] = { 0 };
    for (isize i = 0; i < n; i++) {
        assert(at[i].mean > 0 && at[i].orders > 0);
        typical += at[i].mean / (f64)n;
    }
    if (n < BUYING_REPEATERS_MIN)
        return diag_set(
            diag, ERR_REFUSED,
            "not enough data: %td buyers with repeat orders of some worth; %d are needed", n,
            BUYING_REPEATERS_MIN);
    const f64 starts[][4] = { { 1.5, 1.3, log(typical) - .5, 0 }, { 0, 1, log(typical), 0 } };
    struct spend_problem problem = { at, n };
    (void)climb(spend_objective, &problem, 3, starts, countof(starts), x);
    *out = (struct spend){ exp(x[0]), exp(x[1]), exp(x[2]), 0, n };
    out->log_likelihood = spend_log_likelihood(out->p, out->q, out->v, at, n);
    return ERR_OK;
}

/* The mean of all weighs as much as the person's orders say little. Without a mean (q <= 1) the
 * person's own stands. */
f64 spend_expected(const struct spend *s, struct spending of)
{
    f64 px = s->p * of.orders;
    if (px + s->q <= 1) return of.mean;
    return s->p * (s->v + of.orders * of.mean) / (px + s->q - 1);
}

/* ---- which one ------------------------------------------------------------------------------- */

enum err buying_choose(const struct purchases *at, isize n, arena *a, struct buying *out,
                       struct buying tried[BUYING_MODELS], struct diag *diag)
{
    static const u8 models[] = { BUYING_MBG, BUYING_BG, BUYING_NBD };
    enum err err = ERR_OK;
    for (isize i = 0; !err && i < countof(models); i++)
        err = buying_fit(models[i], at, n, a, &tried[models[i]], diag);
    if (err) return err;
    *out = tried[BUYING_NBD];
    for (isize i = 0; i < 2; i++) {
        const struct buying *b = &tried[models[i]];
        bool better = !b->edge && (out->model == BUYING_NBD || b->log_likelihood > out->log_likelihood);
        if (better) *out = *b;
    }
    return ERR_OK;
}
