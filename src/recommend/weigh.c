/* SPDX-License-Identifier: Apache-2.0
 *
 * weigh.c - how much each recommender of a mix should count, from what was shown and what was clicked.
 *
 * A row's item says how high each recommender of the mix placed it (recommended.heights), where it
 * stood, and whether it was clicked. The chance of a click is modelled as
 *
 *   logit P(click) = place_k + sum over the mix of w_r * height_r,   w_r >= 0
 *
 * What stands first is seen first, so every place has a constant of its own, and a recommender is
 * not praised for what the place did. w goes into the blend, where only its proportions count, so
 * it is divided by its sum.
 *
 * With little data w stays at s * the defaults: s, one number, is learnt first, and w pays half
 * SHRINK for each squared step away from there, as if that many informative showings had spoken for
 * the defaults. The last fifth in time is held out of the learning; new weights are adopted only
 * when they guess it better than the defaults do, by more than SURE standard errors of the
 * difference, people counting as units. Each learning goes towards there until some weight has
 * moved by STEP_MOST.
 *
 * The objective is convex and small (a weight for each recommender, a constant for each place):
 * Newton's method, each step a quadratic with bounds, solved coordinate by coordinate, halved until
 * it helps. The same showings give the same digits. */
#include "recommend/inside.h"

#include <stdlib.h>

enum {
    PLACES = 12,
    UNKNOWNS_MAX = RECOMMENDERS + 1 + PLACES,
    ROUNDS_MAX = 60,
    SWEEPS_MAX = 500,
    PEOPLE_HELD_LEAST = 100
};
static const f64 shrink = 10, place_shrink = 1, tiny = 1e-6, sure = 3, step_most = .1, held_out = .2;

static const char *const verdicts[] = { "too_little_data", "no_better", "learnt" };
const char *weighing_name(u8 verdict) { return verdicts[verdict]; }

/* Of k features; then the constant, then that of each place beside it. */
struct fit { isize k; f64 prior[RECOMMENDERS], penalty, at[UNKNOWNS_MAX]; };

static isize place_of(const struct shown_item *s) { return min_isize((isize)s->place, PLACES - 1); }

static void features(const struct shown_item *s, const u8 *mix, isize k, const f64 *along, f64 *x)
{
    if (along) x[0] = 0;
    for (isize i = 0; i < k; i++) {
        f64 height = s->heights[mix[i]] / 255.;
        /* one number for all: how much the present blend says */
        if (along) x[0] += along[i] * height;
        else x[i] = height;
    }
}

static f64 log_loss(f64 logit, bool clicked)
{
    f64 z = clicked ? -logit : logit;
    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

struct data { const struct shown_item *at; isize n; const u8 *mix; isize mix_n; const f64 *along; };

static f64 logit_of(const struct fit *f, const f64 *at, const struct shown_item *s, const f64 *x)
{
    f64 sum = at[f->k] + at[f->k + 1 + place_of(s)];
    for (isize i = 0; i < f->k; i++) sum += at[i] * x[i];
    return sum;
}

static f64 penalty_of(const struct fit *f, isize j)
{
    return j < f->k ? f->penalty : j == f->k ? tiny : place_shrink;
}

static f64 objective(const struct fit *f, const struct data *d, const f64 *at)
{
    f64 sum = 0, x[RECOMMENDERS];
    for (isize i = 0; i < d->n; i++) {
        features(&d->at[i], d->mix, d->mix_n, d->along, x);
        sum += log_loss(logit_of(f, at, &d->at[i], x), d->at[i].clicked);
    }
    for (isize j = 0; j < f->k + 1 + PLACES; j++) {
        f64 off = at[j] - (j < f->k ? f->prior[j] : 0);
        sum += .5 * penalty_of(f, j) * off * off;
    }
    return sum;
}

static void slopes(const struct fit *f, const struct data *d, f64 *g, f64 (*h)[UNKNOWNS_MAX])
{
    isize all = f->k + 1 + PLACES;
    f64 x[RECOMMENDERS];
    for (isize j = 0; j < all; j++) {
        g[j] = penalty_of(f, j) * (f->at[j] - (j < f->k ? f->prior[j] : 0));
        for (isize l = 0; l < all; l++) h[j][l] = j == l ? penalty_of(f, j) : 0;
    }
    for (isize i = 0; i < d->n; i++) {
        const struct shown_item *s = &d->at[i];
        features(s, d->mix, d->mix_n, d->along, x);
        f64 p = 1 / (1 + exp(-logit_of(f, f->at, s, x))), off = p - s->clicked, v = p * (1 - p);
        isize ones[2] = { f->k, f->k + 1 + place_of(s) };
        for (isize j = 0; j < f->k; j++) {
            g[j] += off * x[j];
            for (isize l = 0; l <= j; l++) h[j][l] += v * x[j] * x[l];
            for (isize o = 0; o < 2; o++) h[ones[o]][j] += v * x[j];
        }
        for (isize o = 0; o < 2; o++) { g[ones[o]] += off; h[ones[o]][ones[o]] += v; }
        h[ones[1]][ones[0]] += v;
    }
    for (isize j = 0; j < all; j++)
        for (isize l = 0; l < j; l++) h[l][j] = h[j][l];
}

/* The step that a quadratic of these slopes asks for, the first k staying at 0 or above. */
static void best_step(const struct fit *f, const f64 *g, f64 (*h)[UNKNOWNS_MAX], f64 *step)
{
    isize all = f->k + 1 + PLACES;
    f64 slope[UNKNOWNS_MAX];
    memset(step, 0, (size_t)all * sizeof *step);
    memcpy(slope, g, (size_t)all * sizeof *slope);
    for (isize sweep = 0; sweep < SWEEPS_MAX; sweep++) {
        f64 most = 0;
        for (isize j = 0; j < all; j++) {
            f64 to = step[j] - slope[j] / h[j][j];
            if (j < f->k) to = fmax(to, -f->at[j]);
            f64 by = to - step[j];
            for (isize l = 0; l < all; l++) slope[l] += by * h[j][l];
            step[j] = to;
            most = fmax(most, fabs(by));
        }
        if (most < 1e-12) return;
    }
}

static void fit_solve(struct fit *f, const struct data *d)
{
    isize all = f->k + 1 + PLACES;
    f64 g[UNKNOWNS_MAX], h[UNKNOWNS_MAX][UNKNOWNS_MAX], step[UNKNOWNS_MAX], to[UNKNOWNS_MAX];
    f64 now = objective(f, d, f->at);
    for (isize round = 0; round < ROUNDS_MAX; round++) {
        f64 most = 0, then = now, by = 1;
        slopes(f, d, g, h);
        best_step(f, g, h, step);
        for (; by > 1e-6; by /= 2) {
            for (isize j = 0; j < all; j++) to[j] = f->at[j] + by * step[j];
            then = objective(f, d, to);
            if (then <= now) break;
        }
        if (then > now) return;
        for (isize j = 0; j < all; j++) {
            most = fmax(most, fabs(to[j] - f->at[j]));
            f->at[j] = j < f->k ? fmax(0, to[j]) : to[j];
        }
        now = then;
        if (most < 1e-9) return;
    }
}

/* How much the blend with these weights says, as one number. */
static struct fit fit_along(struct data d, const f64 *weights)
{
    struct fit f = { .k = 1, .penalty = tiny };
    d.along = weights;
    fit_solve(&f, &d);
    return f;
}

static struct fit fit_free(struct data d, const f64 *defaults)
{
    struct fit f = { .k = d.mix_n, .penalty = shrink };
    /* from where it is almost right: far away every chance is 0 or 1 and shows no way */
    struct fit usual = fit_along(d, defaults);
    for (isize i = 0; i < f.k; i++) f.at[i] = f.prior[i] = usual.at[0] * defaults[i];
    memcpy(f.at + f.k, usual.at + usual.k, (1 + PLACES) * sizeof *f.at);
    d.along = NULL;
    fit_solve(&f, &d);
    return f;
}

static f64 lost(const struct fit *f, struct data d, const f64 *along, const struct shown_item *s)
{
    f64 x[RECOMMENDERS];
    features(s, d.mix, d.mix_n, along, x);
    return log_loss(logit_of(f, f->at, s, x), s->clicked);
}

static int by_time(const void *left, const void *right)
{
    const struct shown_item *a = left, *b = right;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    if (a->person != b->person) return a->person < b->person ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static int by_person(const void *left, const void *right)
{
    const struct shown_item *a = left, *b = right;
    return a->person != b->person ? (a->person < b->person ? -1 : 1) : by_time(left, right);
}

/* Is the free fit better on what was held out than the defaults, beyond doubt? */
static void compare(struct weighing *w, struct data train, struct data held, const f64 *defaults)
{
    struct fit usual = fit_along(train, defaults), own = fit_free(train, defaults);
    f64 sum = 0, squares = 0;
    qsort((void *)(uintptr_t)held.at, (size_t)held.n, sizeof *held.at, by_person);
    for (isize i = 0, to; i < held.n; i = to) {
        f64 gain = 0;
        for (to = i; to < held.n && held.at[to].person == held.at[i].person; to++) {
            f64 was = lost(&usual, held, defaults, &held.at[to]), is = lost(&own, held, NULL, &held.at[to]);
            w->loss_defaults += was / (f64)held.n;
            w->loss_learnt += is / (f64)held.n;
            gain += was - is;
        }
        sum += gain;
        squares += gain * gain;
        w->people_held++;
    }
    f64 error = sqrt(fmax(0, squares - sum * sum / (f64)w->people_held));
    w->sureness = error > 0 ? sum / error : 0;
}

void recommend_weigh(struct shown_item *showings, isize n, const u8 *mix, isize mix_n,
                     const f64 *defaults, const f64 *now, struct weighing *out)
{
    f64 usual[RECOMMENDERS], present[RECOMMENDERS], all_usual = 0, all_present = 0;
    assert(mix_n > 0 && mix_n <= RECOMMENDERS);
    *out = (struct weighing){ .verdict = WEIGHING_TOO_LITTLE, .showings = n };
    for (isize i = 0; i < mix_n; i++) { all_usual += defaults[mix[i]]; all_present += now[mix[i]]; }
    for (isize i = 0; i < mix_n; i++) {
        usual[i] = defaults[mix[i]] / all_usual;
        present[i] = now[mix[i]] / all_present;
        out->weight[mix[i]] = present[i];
    }
    if (n) qsort(showings, (size_t)n, sizeof *showings, by_time);
    for (isize i = 0; i < n; i++) out->clicks += showings[i].clicked;
    if (n) { out->from_ms = showings[0].at_ms; out->to_ms = showings[n - 1].at_ms; }
    if (n < SHOWINGS_LEAST || out->clicks < CLICKS_LEAST || mix_n < 2) return;
    isize cut = (isize)((1 - held_out) * (f64)n);
    while (cut < n && showings[cut].at_ms == showings[cut - 1].at_ms) cut++;    /* a row stays together */
    struct data train = { showings, cut, mix, mix_n, NULL },
                held = { showings + cut, n - cut, mix, mix_n, NULL };
    compare(out, train, held, usual);
    if (out->people_held < PEOPLE_HELD_LEAST) return;
    out->verdict = WEIGHING_NO_BETTER;
    const f64 *target = usual;
    f64 learnt[RECOMMENDERS], sum = 0;
    if (out->sureness > sure) {
        struct data all = { showings, n, mix, mix_n, NULL };
        struct fit f = fit_free(all, usual);
        for (isize i = 0; i < mix_n; i++) sum += f.at[i];
        for (isize i = 0; i < mix_n; i++) learnt[i] = sum > 0 ? f.at[i] / sum : usual[i];
        target = learnt;
        out->verdict = WEIGHING_LEARNT;
    } else if (out->sureness > 0) {
        target = present;                               /* it may be so and may be not: what is stays */
    }
    f64 furthest = 0;
    for (isize i = 0; i < mix_n; i++) furthest = fmax(furthest, fabs(target[i] - present[i]));
    f64 by = furthest > step_most ? step_most / furthest : 1;
    for (isize i = 0; i < mix_n; i++) out->weight[mix[i]] = present[i] + by * (target[i] - present[i]);
}
