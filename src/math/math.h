/* SPDX-License-Identifier: Apache-2.0
 *
 * math.h - numbers that know nothing about shops: distributions, bitsets, best-k, decay, sums, intervals.
 *
 *   reads    base/
 *   feeds    every room that counts, ranks or judges
 *   threads  pure functions; a bitset has one writer and any readers, a topk and a sum one owner
 *   memory   a bitset owns its words; a topk lives in the arena it was given
 *
 * Two kinds of number live here and must not be mixed. What the fold keeps (decay, sum) uses only
 * + - * / on doubles, which IEEE 754 rounds the same way on every machine. What is reported
 * (the distributions) goes through the C library and is right to the last digits, not bit-equal.
 */
#ifndef MATH_MATH_H
#define MATH_MATH_H

#include "base/arena.h"

/* ---- distributions (special.cc, over Boost.Math) ------------------------------------------ */
/* All give NaN where the function is not defined (df <= 0, p outside 0..1, NaN in); quantiles
 * give -inf and +inf at 0 and 1. Relative error below 1e-13 wherever the result is normal. */
f64 normal_pdf(f64 z);
f64 normal_cdf(f64 z);                                  /* P(Z <= z) */
f64 normal_sf(f64 z);                                   /* P(Z > z), exact in the far tail */
f64 normal_quantile(f64 p);
f64 chi_square_sf(f64 x, f64 df);
f64 student_t_cdf(f64 t, f64 df);                       /* df may be fractional, or infinite: normal */
f64 student_t_sf(f64 t, f64 df);
f64 student_t_quantile(f64 p, f64 df);
f64 gamma_log(f64 x);                                   /* ln |Gamma(x)| */
f64 gamma_regularised_lower(f64 a, f64 x);              /* P(a, x) */
f64 gamma_regularised_upper(f64 a, f64 x);              /* Q(a, x) */
f64 beta_regularised(f64 a, f64 b, f64 x);              /* I_x(a, b) */
f64 beta_log(f64 a, f64 b);                             /* ln B(a, b) */

/* Gauss's 2F1(a, b; c; z) for 0 <= z < 1 and c > 0, else NaN (hypergeometric.c). Relative error
 * below 1e-11 where a, b and c are within 0.001..1,000 and c - a - b is not far below 0. NaN where
 * 3,000 terms do not settle it (z within about 0.01 of 1). */
f64 hypergeometric_2f1(f64 a, f64 b, f64 c, f64 z);

/* ---- decay: bit-identical everywhere (decay.c) --------------------------------------------- */
/* 2^-x for x >= 0; below 2^-1000 it is 0. Error at most 1.1 units in the last place. */
f64 half_power(f64 x);

/* What is left of `value` after elapsed_ms when half of it goes every half_life_ms (> 0). A
 * negative elapsed is 0: nothing grows by waiting backwards. */
f64 decay(f64 value, i64 elapsed_ms, i64 half_life_ms);

/* ---- sums (sum.c) -------------------------------------------------------------------------- */
/* Compensated (Neumaier 1974): the error does not grow with the number of terms. */
struct sum { f64 total, lost; };
void sum_add(struct sum *s, f64 x);
static inline f64 sum_value(struct sum s) { return s.total + s.lost; }
/* Pairwise, for an array at hand: error grows as log n, four times quicker than compensated. */
f64 sum_pairwise(const f64 *at, isize n);

/* ---- bitset over dense ids (bitset.c) ------------------------------------------------------ */
struct bitset;
struct bitset *bitset_new(u32 ids);                     /* room for ids 0 .. ids-1, all clear */
void bitset_free(struct bitset *b);
/* The writer only. True when the bit was another before; set grows as needed. */
bool bitset_set(struct bitset *b, u32 id);
bool bitset_clear(struct bitset *b, u32 id);
void bitset_none(struct bitset *b);                     /* clears all */
void bitset_grow(struct bitset *b, u32 ids);            /* never shrinks */
/* Anyone, inside rcu_read_begin/end when a writer may be at work. */
bool bitset_test(const struct bitset *b, u32 id);
isize bitset_count(const struct bitset *b);             /* kept, not counted */
isize bitset_and_count(const struct bitset *const *sets, isize n);      /* in all of them */
enum { BITSET_AND_MAX = 16 };                           /* sets in one bitset_and_count, at least 1 */
/* The first set id >= from; -1 when there is none. */
i64 bitset_next(const struct bitset *b, u32 from);
/* Word i holds ids 64 i .. 64 i + 63, lowest bit first; 0 past the end. */
isize bitset_words(const struct bitset *b);
u64 bitset_word(const struct bitset *b, isize i);

/* ---- how sure a measure is (bootstrap.c) ---------------------------------------------------- */
struct estimate { f64 value, low, high; };              /* low, high: of a 95 % interval */
/* From n >= 1 values of the same measure on other draws; sorts them. */
struct estimate estimate_of(f64 value, f64 *drawn, isize n);
/* Takes all measures of a draw: times[i] says how often row i counts. `out` comes as zeros. */
typedef void bootstrap_measure(const void *ctx, const u32 *times, f64 *out);
/* Each measure's value, with percentiles of a seeded bootstrap over `rows` as its interval. */
void bootstrap(bootstrap_measure *measure, const void *ctx, isize rows, u64 seed, isize resamples,
               isize measures, struct estimate *out, arena *a);

/* ---- the best k (topk.c) ------------------------------------------------------------------- */
/* Higher score first; of equal scores the lower id. So the answer does not depend on the order
 * of arrival. NaN is never kept. */
struct scored { f64 score; u32 id; };
struct topk { struct scored *at; isize n, k; };

struct topk topk_new(arena *a, isize k);                /* k >= 1 */
void topk_add_slow(struct topk *t, u32 id, f64 score);
static inline void topk_add(struct topk *t, u32 id, f64 score)
{
    /* Nearly every candidate of a long scan stops here: the root of the heap is the worst kept. */
    if (t->n == t->k && !(score >= t->at[0].score)) return;
    topk_add_slow(t, id, score);
}
/* Sorts what was kept, best first, into t->at[0 .. n-1] and returns n. Add nothing after it. */
isize topk_finish(struct topk *t);

#endif
