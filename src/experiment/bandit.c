/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit.c - from what is believed of arms to their shares.
 *
 * The chance that arm k is the best is the integral of its density times the distribution functions
 * of the others. In units of its own sd the integrand is as smooth as the narrowest other arm, so the
 * trapezoid rule with half that step is as good as exact (it converges exponentially for such
 * functions), and the number of steps is bounded.
 */
#include "experiment/bandit.h"

#include <math.h>

#include "experiment/experiment.h"
#include "math/math.h"

static const f64 reach = 8, step_most = 0.25, step_least = 0.01;

static f64 best_of(const struct bandit_belief *arms, isize n, isize k)
{
    f64 step = step_most, sum = 0, mass = 0;
    for (isize j = 0; j < n; j++)
        if (j != k) step = fmin(step, 0.5 * arms[j].sd / arms[k].sd);
    step = fmax(step, step_least);
    isize steps = (isize)(reach / step);
    for (isize i = -steps; i <= steps; i++) {
        f64 z = (f64)i * step, weight = normal_pdf(z), value = arms[k].mean + arms[k].sd * z;
        mass += weight;
        for (isize j = 0; j < n && weight > 0; j++)
            if (j != k) weight *= normal_cdf((value - arms[j].mean) / arms[j].sd);
        sum += weight;
    }
    return sum / mass;
}

void bandit_best(const struct bandit_belief *arms, isize n, f64 *best)
{
    assert(n >= 1 && n <= BANDIT_ARMS_MAX);
    struct bandit_belief at[BANDIT_ARMS_MAX];
    f64 widest = 0, all = 0;
    for (isize k = 0; k < n; k++) widest = fmax(widest, arms[k].sd);
    for (isize k = 0; k < n; k++) {                     /* a point is a very narrow arm */
        at[k] = arms[k];
        at[k].sd = fmax(at[k].sd, widest > 0 ? widest * 1e-6 : 1e-12);
    }
    for (isize k = 0; k < n; k++) all += best[k] = best_of(at, n, k);
    for (isize k = 0; k < n; k++) best[k] = all > 0 ? best[k] / all : 1 / (f64)n;
}

/* Half of the time the best, half of the time the best of the others. */
static void top_two(const f64 *best, isize n, f64 *weights)
{
    for (isize k = 0; k < n; k++) {
        weights[k] = best[k] / 2;
        for (isize i = 0; i < n; i++)
            if (i != k && best[i] < 1) weights[k] += best[i] / 2 * best[k] / (1 - best[i]);
    }
}

void bandit_round(const f64 *weights, isize n, i32 *shares)
{
    f64 all = 0, left[BANDIT_ARMS_MAX];
    i32 given = 0;
    assert(n >= 1 && n <= BANDIT_ARMS_MAX);
    for (isize k = 0; k < n; k++) all += weights[k];
    for (isize k = 0; k < n; k++) {
        f64 exact = weights[k] / all * BUCKETS;
        shares[k] = (i32)floor(exact);
        left[k] = exact - floor(exact);
        given += shares[k];
    }
    for (; given < BUCKETS; given++) {
        isize most = 0;
        for (isize k = 1; k < n; k++)
            if (left[k] > left[most]) most = k;
        shares[most]++;
        left[most] = -1;
    }
}

/* Among `n` arms of `beliefs` into p: what Thompson or top-two Thompson gives. */
static void weigh(enum bandit_goal goal, const struct bandit_belief *beliefs, isize n, f64 *p)
{
    f64 best[BANDIT_ARMS_MAX];
    bandit_best(beliefs, n, best);
    if (goal == BANDIT_LEARNING && n > 1) top_two(best, n, p);
    else memcpy(p, best, (size_t)n * sizeof *p);
}

void bandit_shares(const struct bandit_settings *s, const struct bandit_belief *arms, isize n, i32 *shares)
{
    f64 p[BANDIT_ARMS_MAX], others[BANDIT_ARMS_MAX], control = -1, floor = fmin(s->floor, 1 / (f64)n);
    struct bandit_belief rest[BANDIT_ARMS_MAX];
    isize c = s->control < n && n > 1 ? s->control : -1, m = 0;
    assert(n >= 1 && n <= BANDIT_ARMS_MAX);
    weigh(s->goal, arms, n, p);
    for (isize k = 0; k < n; k++) p[k] = floor + (1 - (f64)n * floor) * p[k];
    if (c >= 0 && s->goal == BANDIT_LEARNING) {
        for (isize k = 0; k < n; k++)
            if (k != c) rest[m++] = arms[k];
        weigh(s->goal, rest, m, others);
        f64 most = 0;
        for (isize k = 0; k < m; k++) most = fmax(most, others[k]);
        control = most / (1 + most);
    } else if (c >= 0 && p[c] < s->control_share) {
        control = s->control_share;
        for (isize k = 0; k < n; k++)
            if (k != c) others[m++] = p[k];
    }
    if (control >= 0) {
        f64 all = 0, room;
        control = fmin(fmax(fmax(control, s->control_share), floor), 1 - (f64)m * floor);
        room = 1 - control - (f64)m * floor;
        for (isize k = 0; k < m; k++) all += others[k];
        m = 0;
        for (isize k = 0; k < n; k++) p[k] = k == c ? control : floor + room * others[m++] / all;
    }
    bandit_round(p, n, shares);
}

struct bandit_belief bandit_belief_of(f64 n, f64 sum, f64 sum_sq, bool binary)
{
    if (binary) {
        f64 mean = (sum + 0.5) / (n + 1);
        return (struct bandit_belief){ mean, sqrt(mean * (1 - mean) / (n + 1)) };
    }
    if (n < 2) return (struct bandit_belief){ n > 0 ? sum / n : 0, (f64)INFINITY };
    f64 variance = fmax(0, (sum_sq - sum * sum / n) / (n - 1));
    return (struct bandit_belief){ sum / n, sqrt(variance / n) };
}
