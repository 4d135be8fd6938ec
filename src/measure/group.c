/* SPDX-License-Identifier: Apache-2.0
 *
 * group.c - group sequential bounds by recursive integration.
 *
 * With information fraction t the score S(t) = Z sqrt(t) is a Brownian motion under "no effect"
 * (Lan, DeMets 1983). The density of S at a look, of those paths that no earlier look has stopped,
 * is kept on a mesh; each look's bound is where what leaves is what the spending function has for
 * this look, and the density goes on by one convolution with the normal step (Armitage, McPherson,
 * Rowe 1969; Jennison, Turnbull 2000, chapter 19).
 *
 * The mesh is Gauss-Legendre, eight nodes to a panel of one standard deviation of the shorter
 * neighbouring step: the integrand varies on that scale and no smaller, so eight nodes are good to
 * 1e-11. A bound is found by Newton's method on the logarithm of what leaves, which falls and is
 * concave: from the first step on it comes from above and cannot miss.
 */
#include <math.h>

#include "math/math.h"
#include "measure/stats.h"

enum { NODES = 8 };
/* Nobody is farther out: the normal density at 9 is 1e-18. */
static const f64 reach = 9;

static const f64 node_at[NODES] = { -0.9602898564975363, -0.7966664774136267, -0.5255324099163290,
                                    -0.1834346424956498, 0.1834346424956498,  0.5255324099163290,
                                    0.7966664774136267,  0.9602898564975363 };
static const f64 node_weight[NODES] = { 0.1012285362903763, 0.2223810344533745, 0.3137066458778873,
                                        0.3626837833783620, 0.3626837833783620, 0.3137066458778873,
                                        0.2223810344533745, 0.1012285362903763 };

/* mass: density times weight. */
struct mesh { f64 *at, *mass; isize n; };

f64 stats_spent(const struct stats_looks *looks, f64 alpha, f64 t)
{
    f64 sides = looks->one_sided ? 1 : 2;
    if (t >= 1) return alpha;
    if (!(t > 0)) return 0;
    switch (looks->spending) {
    case STATS_OBRIEN_FLEMING: return sides * 2 * normal_sf(-normal_quantile(alpha / sides / 2) / sqrt(t));
    case STATS_POCOCK: return alpha * log1p((exp(1) - 1) * t);
    case STATS_POWER: break;
    }
    return alpha * pow(t, looks->exponent);
}

static struct mesh mesh_new(arena *a, f64 low, f64 high, f64 panel)
{
    isize panels = (isize)ceil((high - low) / panel);
    if (panels < 1) panels = 1;
    f64 half = (high - low) / (f64)panels / 2;
    struct mesh m = { arena_new(a, f64, panels * NODES), arena_new(a, f64, panels * NODES), panels * NODES };
    for (isize i = 0; i < m.n; i++) {
        m.at[i] = low + half * (f64)(2 * (i / NODES) + 1) + half * node_at[i % NODES];
        m.mass[i] = half * node_weight[i % NODES];
    }
    return m;
}

/* What lies beyond x after a step of this sd, and (out) its density at x. */
static f64 beyond(const struct mesh *m, f64 x, f64 sd, f64 *density)
{
    f64 tail = 0;
    *density = 0;
    for (isize i = 0; i < m->n; i++) {
        f64 z = (x - m->at[i]) / sd;
        if (z > 40) continue;
        tail += m->mass[i] * normal_sf(z);
        *density += m->mass[i] * normal_pdf(z) / sd;
    }
    return tail;
}

static f64 bound_of(const struct mesh *m, f64 sd, f64 t, f64 leaves)
{
    f64 x = sqrt(t) * -normal_quantile(fmin(leaves, 0.5)), density;
    for (int i = 0; i < 60; i++) {
        f64 tail = beyond(m, x, sd, &density);
        if (!(tail > 0 && density > 0)) {
            x *= 0.9;                                   /* so far out that nothing can be told apart */
            continue;
        }
        f64 step = (log(tail) - log(leaves)) * tail / density;
        x += step;
        if (fabs(step) < 1e-12 * (1 + fabs(x))) break;
    }
    return x;
}

static void convolve(const struct mesh *from, struct mesh *to, f64 sd)
{
    isize first = 0;
    for (isize i = 0; i < to->n; i++) {
        f64 x = to->at[i], sum = 0;
        while (first < from->n && from->at[first] < x - reach * sd) first++;
        for (isize k = first; k < from->n && from->at[k] <= x + reach * sd; k++)
            sum += from->mass[k] * normal_pdf((x - from->at[k]) / sd);
        to->mass[i] *= sum / sd;
    }
}

/* Whoever stayed within the bound at look k, where the path came to since the look before; nothing
 * is known before the first. */
static struct mesh go_on(const struct stats_looks *looks, isize k, const struct mesh *before,
                         f64 bound, f64 sd, arena *a)
{
    const f64 *t = looks->information;
    f64 high = fmin(bound, reach * sqrt(t[k])), low = looks->one_sided ? -reach * sqrt(t[k]) : -high;
    struct mesh next = mesh_new(a, low, high, fmin(sd, sqrt(t[k + 1] - t[k])));
    if (k) {
        convolve(before, &next, sd);
    } else {
        for (isize i = 0; i < next.n; i++) next.mass[i] *= normal_pdf(next.at[i] / sd) / sd;
    }
    return next;
}

void stats_bounds(const struct stats_looks *looks, f64 alpha, f64 *bounds)
{
    arena a = { 0 };
    const f64 *t = looks->information;
    f64 spent = 0, tails = looks->one_sided ? 1 : 2;
    struct mesh m = { 0 };
    for (isize k = 0; k < looks->n; k++) {
        assert(t[k] > 0 && (k == 0 || t[k] > t[k - 1]));
        f64 all = stats_spent(looks, alpha, t[k]), leaves = (all - spent) / tails;
        f64 sd = sqrt(k ? t[k] - t[k - 1] : t[0]);
        f64 bound = (f64)INFINITY;
        if (leaves > 1e-300) {
            bound = k ? bound_of(&m, sd, t[k], leaves) : sqrt(t[0]) * -normal_quantile(leaves);
            spent = all;
        }
        bounds[k] = bound / sqrt(t[k]);
        if (k + 1 == looks->n) break;
        m = go_on(looks, k, &m, bound, sd, &a);
    }
    arena_fini(&a);
}

/* The mesh carries the density under "no effect". With a drift (the expected z at the end) a path
 * that is at s at t is exp(drift s - drift^2 t / 2) times as likely, whatever way it took
 * (Girsanov), so the same mesh serves. */
f64 stats_looks_power(const struct stats_looks *looks, const f64 *bounds, f64 drift, f64 *expected)
{
    arena a = { 0 };
    const f64 *t = looks->information;
    f64 power = 0, at = 0;
    struct mesh m = { 0 };
    for (isize k = 0; k < looks->n; k++) {
        f64 before = k ? t[k - 1] : 0, sd = sqrt(t[k] - before), bound = bounds[k] * sqrt(t[k]), leaves = 0;
        for (isize i = 0; i < (k ? m.n : 1); i++) {
            f64 s = k ? m.at[i] : 0,
                mass = k ? m.mass[i] * exp(drift * s - drift * drift * before / 2) : 1,
                mean = s + drift * (t[k] - before);
            leaves += mass * normal_sf((bound - mean) / sd);
            if (!looks->one_sided) leaves += mass * normal_sf((bound + mean) / sd);
        }
        power += leaves;
        at += leaves * t[k];
        if (k + 1 == looks->n) break;
        m = go_on(looks, k, &m, bound, sd, &a);
    }
    *expected = at + (1 - power) * t[looks->n - 1];
    arena_fini(&a);
    return power;
}

f64 stats_group_size(const struct stats_looks *looks, f64 effect, f64 variance, f64 alpha,
                     f64 power, f64 *expected)
{
    arena a = { 0 };
    f64 *bounds = arena_new(&a, f64, looks->n), low = 0, high = 20, share = 1;
    stats_bounds(looks, alpha, bounds);
    for (int i = 0; i < 60; i++) {
        f64 drift = (low + high) / 2;
        if (stats_looks_power(looks, bounds, drift, &share) < power) low = drift;
        else high = drift;
    }
    arena_fini(&a);
    f64 n = high * high * variance / (effect * effect);
    *expected = n * share;
    return n;
}

/* The last bound when all of alpha = 2 Phi(-x) may be spent, less the z reached. In x it is nearly a
 * straight line, so that halving with the false position (Illinois) ends in a few steps. */
static f64 short_of(const struct stats_looks *looks, f64 x, f64 z, f64 *bounds)
{
    stats_bounds(looks, 2 * normal_sf(x), bounds);
    return fmin(bounds[looks->n - 1], 100) - z;
}

f64 stats_bounds_p(const struct stats_looks *looks, f64 z)
{
    arena a = { 0 };
    f64 *bounds = arena_new(&a, f64, looks->n), reached = looks->one_sided ? z : fabs(z);
    f64 low = 1e-6, high = 12;                          /* p from 1 down to 1e-33 */
    f64 at_low = short_of(looks, low, reached, bounds),
        at_high = short_of(looks, high, reached, bounds), p = 1;
    if (at_high <= 0) p = 2 * normal_sf(high);
    for (int i = 0; at_low < 0 && at_high > 0 && i < 100; i++) {
        f64 x = high - at_high * (high - low) / (at_high - at_low),
            at_x = short_of(looks, x, reached, bounds);
        p = 2 * normal_sf(x);
        if (fabs(at_x) < 1e-10) break;
        if (at_x < 0) {
            low = x, at_low = at_x, at_high /= 2;
        } else {
            high = x, at_high = at_x, at_low /= 2;
        }
    }
    arena_fini(&a);
    return p;
}
