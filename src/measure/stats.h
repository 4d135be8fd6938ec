/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.h - the statistics of experiments, from sums alone. Part of the door measure/measure.h.
 *
 * Everything follows from what a metric keeps of each arm: n, the sum, the sum of squares, and the
 * cross products with a denominator (ratios) or with the same person's past (CUPED). Three steps:
 *
 *     stats_theta, stats_effect        sums       -> effect and its standard error
 *     stats_fixed, _sequential, _bayes effect     -> interval and p, or chance to win
 *     stats_correct                    many p     -> p that may be read side by side
 *
 * Pure functions, no memory, any thread. y is a person's value of the metric, d of the ratio's
 * denominator, x of the covariate from before the experiment.
 */
#ifndef MEASURE_STATS_H
#define MEASURE_STATS_H

#include "base/json.h"

enum stats_kind { STATS_MEAN, STATS_PROPORTION, STATS_RATIO, STATS_QUANTILE };
enum stats_tail { STATS_TWO_SIDED, STATS_GREATER, STATS_LESS };
enum stats_problem {
    STATS_FINE,
    STATS_TOO_FEW,                      /* an arm has fewer than two people */
    STATS_NO_VARIANCE,                  /* nothing varies: there is no scale to judge by */
    STATS_NO_BASELINE,                  /* relative to a control of 0 */
    STATS_NO_DENOMINATOR,               /* a ratio to 0 */
    STATS_BOUNDS_COLLAPSED,             /* a quantile among equal values: its error cannot be told */
};
const char *stats_problem_text(enum stats_problem problem);

/* One arm in one epoch (a time of constant allocation). Unused fields are 0. */
struct stats_sums {
    f64 n;                              /* people, not events */
    f64 sum, sum_sq;                    /* of y; of a proportion only the sum is read */
    f64 den_sum, den_sum_sq, cross;     /* of d, and of y d */
    f64 pre_sum, pre_sum_sq, pre_cross; /* of x, and of y x */
    f64 den_pre_cross;                  /* of d x: ratios with a covariate */
    /* Ratios whose covariate is a ratio too, x / z: of z, x z, y z, d z. */
    f64 pre_den_sum, pre_den_sum_sq, pre_den_cross, cross_pre_den, den_pre_den_cross;
    f64 quantile, quantile_se;          /* a quantile and its standard error (stats_quantile) */
};
/* One arm: `epochs` of them. Both arms of a comparison have the same number. */
struct stats_arm { const struct stats_sums *at; isize epochs; };
/* of everything that is a sum */
void stats_sums_add(struct stats_sums *to, const struct stats_sums *s);

/* What is believed before the data: normal, of the relative lift unless `absolute`. Not proper means
 * no opinion (an infinitely wide prior). It is rescaled to the effect asked for. */
struct stats_prior { bool proper, absolute; f64 mean, variance; };

struct stats_settings {
    enum stats_kind kind;
    bool relative;                      /* effect / |control|, else in units of the metric */
    bool gbstats;                       /* as gbstats 0.8: CUPED's relative variance, sequential lifts */
    enum stats_tail tail;
    f64 alpha;                          /* 0 < alpha < 1 */
    f64 tuning_n;                       /* people at which a sequential interval is tightest */
    f64 tuning_alpha;                   /* ... at this level; 0: alpha */
    struct stats_prior prior;
};

/* ---- effect --------------------------------------------------------------------------------- */
struct stats_effect {
    enum stats_problem problem;
    f64 control, variation;             /* weighted means of y, unadjusted */
    f64 effect, se, df;                 /* Welch-Satterthwaite, of the absolute difference */
    f64 n;                              /* people in both arms */
    f64 unit_variance;                  /* se^2 = unit_variance / m for two arms of m people each */
    /* For the lift's own interval: difference(r) = top - r * control, and its variance
     * r^2 v_square - 2 r v_cross + v_rest. r = 1 is "no effect". */
    f64 top, v_square, v_cross, v_rest;
};

/* The covariate's coefficient, pooled over all arms and epochs: cov(y, x) / var(x) (Deng, Xu,
 * Kohavi, Walker, WSDM 2013). 0 when x does not vary. A ratio stands for its linear part,
 * (y - R d) / mean d, and so does a covariate that is a ratio (Deng, Knoblich, Lu, KDD 2018).
 * Quantiles take none: 0. */
f64 stats_theta(enum stats_kind kind, const struct stats_arm *arms, isize n);

/* weights: one per epoch (people of the epoch / people), or null for one epoch; epochs in which
 * either arm has fewer than two people are left out and the rest weigh for them. The
 * difference is taken inside each epoch and then weighted, so an allocation that follows a trend
 * biases nothing. Variances: sample variance, p(1-p), or the delta method for ratios (Deng,
 * Knoblich, Lu, KDD 2018) and for relative effects. */
struct stats_effect stats_effect(const struct stats_settings *s, struct stats_arm control,
                                 struct stats_arm variation, const f64 *weights, f64 theta);

/* ---- judgement ------------------------------------------------------------------------------ */
/* One-sided intervals have an infinite end. With a problem: NaN, and p = 1. */
struct stats_interval { f64 low, high, p; };

/* Welch's t. To be read once, at the size planned. */
struct stats_interval stats_fixed(const struct stats_settings *s, const struct stats_effect *e);

/* Always valid: may be read after every person. The normal mixture, which is mSPRT (Johari,
 * Pekelis, Walsh 2022) and the asymptotic confidence sequence (Waudby-Smith et al., arXiv
 * 2103.06476v7, eq. 9) at once: rho^2 = tau^2 / V. Valid from about 100 people an arm on.
 *
 * A relative effect is judged by the difference itself: p is that of "no difference", and a lift is
 * in the interval when y_b - (1 + lift) y_a is compatible with 0 (Fieller 1954). The delta method
 * is not good enough here: a lift is skewed while conversions are few, and somebody who watches from
 * the start meets that moment for certain (2,000 A/A tests at 10 %, watched from 100 people an arm:
 * 7.7 % rejected against 2.5 %). settings.gbstats gives the delta method. An end is infinite while
 * the control cannot be told from 0. */
struct stats_interval stats_sequential(const struct stats_settings *s, const struct stats_effect *e);
/* rho that makes the interval tightest at tuning_n (ibid., eq. 161; one-sided: with 2 alpha). */
f64 stats_sequential_rho(f64 alpha, f64 tuning_n, enum stats_tail tail);
/* ln of the mixture likelihood ratio at z = effect / se after n people; p = min(1, exp(-it)). The
 * one-sided mixture is over a half normal (Howard, Ramdas, McAuliffe, Sekhon 2021). */
f64 stats_mixture_log(f64 z, f64 n, f64 rho, bool one_sided);
/* |z| at which the mixture reaches 1/alpha. */
f64 stats_mixture_bound(f64 n, f64 rho, f64 alpha, bool one_sided);

/* ---- group sequential (group.c) -------------------------------------------------------------- */
enum stats_spending { STATS_OBRIEN_FLEMING, STATS_POCOCK, STATS_POWER };
/* The looks so far, and the planned ones if there are any, as fractions of the information there
 * will be at the end, rising, 0 < t. What is over 1 was not planned for: nothing is left to spend,
 * so divide by the larger of plan and fact. exponent: of STATS_POWER, alpha t^exponent. */
enum { STATS_LOOKS_MAX = 500 };
struct stats_looks {
    const f64 *information;
    isize n;
    enum stats_spending spending;
    f64 exponent;
    bool one_sided;
};
/* alpha spent until t: 2 - 2 Phi(z(alpha/2) / sqrt t), of two sides for each side's half as ldbounds
 * has it; alpha ln(1 + (e - 1) t); alpha t^exponent (Lan, DeMets 1983; Kim, DeMets 1987). */
f64 stats_spent(const struct stats_looks *looks, f64 alpha, f64 t);
/* |z| (one-sided: z) at which each look stops; infinite where there is nothing to spend. */
void stats_bounds(const struct stats_looks *looks, f64 alpha, f64 *bounds);
/* The chance to stop at one of the looks when z at the end is expected to be `drift`; *expected:
 * the information there will be on the average when it ends, stopped or not (Jennison, Turnbull
 * 2000, chapter 19). */
f64 stats_looks_power(const struct stats_looks *looks, const f64 *bounds, f64 drift, f64 *expected);
/* People an arm at the last look, for that power at this effect; `variance` as in
 * stats_sample_size. *expected: on the average. */
f64 stats_group_size(const struct stats_looks *looks, f64 effect, f64 variance, f64 alpha,
                     f64 power, f64 *expected);
/* The least alpha at which the last look would have stopped at z: the repeated p-value. */
f64 stats_bounds_p(const struct stats_looks *looks, f64 z);
/* The repeated confidence interval at the last of `looks` (Jennison, Turnbull 1989): valid at every
 * look, whether or not one stops. Lifts as in stats_sequential. */
struct stats_interval stats_group(const struct stats_settings *s, const struct stats_effect *e,
                                  const struct stats_looks *looks);

/* ---- quantiles (quantile.c) ------------------------------------------------------------------ */
struct stats_counted { f64 value, people; };            /* a list of them, by value, is a distribution */
void stats_counted_sort(struct stats_counted *at, isize n);
/* The least value that a share nu of people does not exceed. NaN of nobody. */
f64 stats_value_at(const struct stats_counted *at, isize n, f64 nu);
/* n, quantile and quantile_se of an arm. STATS_TOO_FEW below z^2 nu / (1 - nu) people,
 * STATS_BOUNDS_COLLAPSED when the order statistics to either side are equal. */
enum stats_problem stats_quantile(const struct stats_counted *at, isize n, f64 nu, struct stats_sums *out);

/* ---- Bayesian -------------------------------------------------------------------------------- */
/* Posterior of the effect, and what each choice is expected to lose in its units. */
struct stats_belief { f64 mean, sd, low, high, chance_to_win, loss_if_chosen, loss_if_not; };
struct stats_belief stats_bayes(const struct stats_settings *s, const struct stats_effect *e);
struct stats_belief stats_posterior(f64 mean, f64 sd, f64 alpha);

/* ---- many comparisons ----------------------------------------------------------------------- */
enum stats_correction { STATS_NONE, STATS_HOLM, STATS_BH };
/* Adjusts p in place, input order kept. Holm 1979 (family-wise), Benjamini and Hochberg 1995 (false
 * discovery). Those that are NaN are left and not counted. */
void stats_correct(f64 *p, isize n, enum stats_correction how, arena *scratch);
/* The interval at 1 - alpha of an effect whose two-sided normal p is p (as gbstats widens intervals
 * after a correction). */
struct stats_interval stats_interval_of_p(f64 effect, f64 p, f64 alpha);

/* Two-sided p that two shares are one, by the pooled score test (the square root of Pearson's
 * chi-square on the 2 x 2 table): holds up where one share is 0 or 1 and a standard error of its
 * own would vanish. 1 when nothing varies or nobody is there. */
f64 stats_shares_p(f64 with, f64 n, f64 other_with, f64 other_n);

/* ---- sample ratio --------------------------------------------------------------------------- */
enum { STATS_ARMS_MAX = 100 };
struct stats_srm { f64 chi_square, df, p, p_sequential; };
/* people[epoch * arms + arm], shares likewise and in any unit. Expected counts are summed over epochs, so a
 * changed allocation is no alarm. p: chi-square, df = arms with a share - 1, to be read once; an
 * alarm is below 0.001. p_sequential: multinomial mixture with a Dirichlet prior, may be read at
 * any time (its running minimum is valid too). */
struct stats_srm stats_srm(const f64 *people, const f64 *shares, isize arms, isize epochs);

/* ---- power ---------------------------------------------------------------------------------- */
/* Chance that a two-sided test at alpha sees an effect of this size with this standard error. */
f64 stats_power(f64 effect, f64 se, f64 alpha);
/* People per arm for that chance, two equal arms; unit_variance is the sum of the two variances. */
f64 stats_sample_size(f64 effect, f64 unit_variance, f64 alpha, f64 power);
/* The least effect seen with that chance. */
f64 stats_least_effect(f64 se, f64 alpha, f64 power);
/* People per arm at which an always-valid interval, read at any time, leaves out 0 with that chance
 * (at the latest then: a lucky test is over before). */
f64 stats_sequential_size(const struct stats_settings *s, f64 effect, f64 unit_variance, f64 power);

/* ---- `opmaat stats` -------------------------------------------------------------------------- */
/* One JSON object in (docs: the stats command), one out, all digits. ERR_BAD_INPUT names the metric
 * and arm; ERR_REFUSED for what sums cannot answer (quantiles). */
MUST_USE enum err measure_stats_json(const struct json *in, struct buf *out, struct diag *diag);

#endif
