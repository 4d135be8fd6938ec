/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: EASE, SLIST and implicit ALS are what their formulas say. Method: small data. EASE and
 * SLIST against a direct inverse by Gauss-Jordan in double precision; ALS against the equations it
 * solves: at the end each side is where its own solve would leave it. Tolerances are what single
 * precision leaves, and for SLIST what its residues leave. */
#include "recommend/inside.h"

#include <cblas.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 12, SESSIONS = 60 };

static isize world(struct interaction *at, bool held[SESSIONS][ITEMS + 1])
{
    struct rng rng = rng_seed(11);
    isize n = 0;
    for (u32 s = 0; s < SESSIONS; s++)
        for (u32 i = 1; i <= ITEMS; i++) {
            held[s][i] = rng_below(&rng, i % 3 == s % 3 ? 2 : 6) == 0;
            if (held[s][i]) at[n++] = (struct interaction){ s + 1, i, 1000, s + 1, INTERACTION_VIEWED, 1, 0 };
        }
    return n;
}

static void invert(f64 m[ITEMS][2 * ITEMS])
{
    for (isize c = 0; c < ITEMS; c++) {
        f64 by = m[c][c];
        for (isize j = 0; j < 2 * ITEMS; j++) m[c][j] /= by;
        for (isize r = 0; r < ITEMS; r++) {
            f64 times = m[r][c];
            for (isize j = 0; r != c && j < 2 * ITEMS; j++) m[r][j] -= times * m[c][j];
        }
    }
}

static void ease_is_the_inverse_of_its_gram_matrix(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    isize n = world(at, held);
    struct recommend_options o = recommend_defaults();
    o.ease_lambda = 7;
    o.ease_decay_days = 0;
    o.ease_row = 0;
    struct model *m = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    f64 g[ITEMS][2 * ITEMS] = { 0 };
    for (isize i = 0; i < ITEMS; i++) {
        for (isize j = 0; j < ITEMS; j++)
            for (isize s = 0; s < SESSIONS; s++) g[i][j] += held[s][i + 1] && held[s][j + 1];
        g[i][i] += o.ease_lambda;
        g[i][ITEMS + i] = 1;
    }
    invert(g);
    const struct table *t = &m->tables[TABLE_EASE];
    for (u32 i = 1; i <= ITEMS; i++) {
        assert_int_equal(t->from[i + 1] - t->from[i], ITEMS - 1);
        for (u32 p = t->from[i]; p < t->from[i + 1]; p++) {
            u32 j = t->pairs[p].item;
            f64 want = -g[i - 1][ITEMS + j - 1] / g[j - 1][ITEMS + j - 1];
            if (fabs((f64)t->pairs[p].score - want) > 1e-4)
                fail_msg("B[%u][%u] is %g, not %g", i, j, (f64)t->pairs[p].score, want);
        }
    }
    model_free(m);
}

/* Sessions with repeats and ages. Rows and targets of the least squares are written out one by one,
 * and G B = R solved as it stands. */
static void slist_solves_its_normal_equations(void **state)
{
    (void)state;
    enum { N = 40, LENGTH_MAX = 9 };
    static struct interaction at[N * LENGTH_MAX];
    struct rng rng = rng_seed(29);
    isize n = 0;
    struct recommend_options o = recommend_defaults();
    o.slist_alpha = .3;
    o.slist_lambda = 4;
    o.slist_decay_days = 20;
    o.slist_row = ITEMS;
    static f64 m[ITEMS][2 * ITEMS], r[ITEMS][ITEMS];
    i64 now_ms = 100 * (i64)DAY_MS;
    for (u32 s = 1; s <= N; s++) {
        isize length = 2 + (isize)rng_below(&rng, LENGTH_MAX - 1), distinct = 0;
        f64 x[ITEMS] = { 0 }, w = exp(-(f64)(100 - (2 * s)) / o.slist_decay_days);
        u32 items[LENGTH_MAX];
        for (isize k = 0; k < length; k++) {
            items[k] = rng_below(&rng, ITEMS);
            distinct += x[items[k]] <= 0;
            x[items[k]] = 1;
            at[n++] = (struct interaction){
                s, items[k] + 1, (i64)(2 * s) * DAY_MS - (length - 1 - k), s, INTERACTION_VIEWED, 1,
                0
            };
        }
        for (isize i = 0; i < ITEMS; i++)
            for (isize j = 0; distinct > 1 && j < ITEMS; j++) {
                m[i][j] += o.slist_alpha * w * x[i] * x[j] / (f64)(distinct * distinct);
                r[i][j] += o.slist_alpha * w * x[i] * x[j] / (f64)distinct;
            }
        for (isize k = 0; k + 1 < length; k++) {
            m[items[k]][items[k]] += (1 - o.slist_alpha) * w;
            for (isize later = k + 1; later < length; later++)
                r[items[k]][items[later]] += (1 - o.slist_alpha) * w * exp(-(f64)(later - k - 1));
        }
    }
    for (isize i = 0; i < ITEMS; i++) {
        m[i][i] += o.slist_lambda;
        m[i][ITEMS + i] = 1;
    }
    invert(m);
    struct model *model = model_build(at, n, ITEMS + 1, now_ms, &o, NULL);
    const struct table *t = &model->tables[TABLE_SLIST];
    for (u32 i = 0; i < ITEMS; i++)
        for (u32 j = 0; j < ITEMS; j++) {
            f64 want = 0, got = 0;
            for (isize k = 0; k < ITEMS; k++) want += m[i][ITEMS + k] * r[k][j];
            for (u32 p = t->from[i + 1]; p < t->from[i + 2]; p++)
                if (t->pairs[p].item == j + 1) got = (f64)t->pairs[p].score;
            if (fabs(got - fmax(0, want)) > 2e-3) fail_msg("B[%u][%u] is %g, not %g", i, j, got, want);
        }
    model_free(model);
}

/* However little memory: every item keeps a row, of what stands beside it most. */
static void slist_has_a_row_for_every_item(void **state)
{
    (void)state;
    enum { MANY = 400 };
    static struct interaction at[MANY * 4];
    isize n = 0;
    for (u32 s = 0; s < MANY; s++)
        for (u32 k = 0; k < 4; k++)
            at[n++] = (struct interaction){
                s + 1, 1 + (k == 3 ? 0 : (s + k) % MANY), 1000 + k, s + 1, INTERACTION_VIEWED, 1, 0
            };
    struct recommend_options o = recommend_defaults();
    o.memory_bytes = 1;
    struct model *m = model_build(at, n, MANY + 1, 2000, &o, NULL);
    const struct table *t = &m->tables[TABLE_SLIST];
    for (u32 i = 1; i < MANY; i++) {
        u32 next = i == MANY ? 1 : i + 1;
        bool found = false;
        for (u32 p = t->from[i]; p < t->from[i + 1]; p++) found |= t->pairs[p].item == next;
        if (!found) fail_msg("%u does not lead to %u", i, next);
    }
    model_free(m);
}

static void a_head_that_does_not_fit_shrinks(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    isize n = world(at, held);
    struct recommend_options o = recommend_defaults();
    o.memory_bytes = 6 * 6 * 4;
    struct model *m = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    assert_int_equal(model_card(m).ease_items, 6);
    assert_int_equal(model_card(m).als_people, 0);      /* and factors that do not fit are left out */
    model_free(m);
}

/* A person's vector solves (alpha V'V + V_u'V_u + lambda I) u = V_u' 1. */
static void a_taste_solves_its_equations(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    isize n = world(at, held);
    struct recommend_options o = recommend_defaults();
    o.als_dims = 4;
    struct model *m = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    assert_int_equal(m->factors.d, 4);
    u32 seen[] = { 1, 4, 7 };
    f64 lambda = .3;
    arena a = { 0 };
    const f32 *u = factors_of_person(&m->factors, seen, countof(seen), lambda, &a);
    for (isize row = 0; row < 4; row++) {
        f64 left = lambda * (f64)u[row], right = 0;
        for (u32 i = 0; i <= ITEMS; i++) {
            const f32 *v = m->factors.items + (isize)i * 4;
            f64 dot = 0, times = m->factors.alpha;
            for (isize d = 0; d < 4; d++) dot += (f64)v[d] * (f64)u[d];
            for (isize s = 0; s < countof(seen); s++)
                if (seen[s] == i) { times += 1; right += (f64)v[row]; }
            left += times * dot * (f64)v[row];
        }
        if (fabs(left - right) > 1e-4) fail_msg("row %td: %g is not %g", row, left, right);
    }
    /* It likes what it has seen better than what it has not. */
    f32 scores[ITEMS + 1];
    factors_score(&m->factors, ITEMS + 1, u, scores);
    f64 liked = 0, others = 0;
    for (u32 i = 1; i <= ITEMS; i++) *(i % 3 == 1 ? &liked : &others) += (f64)scores[i];
    assert_true(liked / 4 > others / 8);
    arena_fini(&a);
    model_free(m);
}

/* Eigenvectors of a symmetric matrix in double precision, a column each (Jacobi's rotations). */
static void rotate_out(f64 c[ITEMS][ITEMS], f64 v[ITEMS][ITEMS])
{
    for (isize i = 0; i < ITEMS; i++)
        for (isize j = 0; j < ITEMS; j++) v[i][j] = i == j;
    for (int sweep = 0; sweep < 60; sweep++)
        for (isize p = 0; p < ITEMS; p++)
            for (isize q = p + 1; q < ITEMS; q++) {
                f64 turn = .5 * atan2(2 * c[p][q], c[q][q] - c[p][p]), co = cos(turn), si = sin(turn);
                for (isize k = 0; k < ITEMS; k++) {
                    f64 a = c[k][p], b = c[k][q];
                    c[k][p] = co * a - si * b;
                    c[k][q] = si * a + co * b;
                }
                for (isize k = 0; k < ITEMS; k++) {
                    f64 a = c[p][k], b = c[q][k];
                    c[p][k] = co * a - si * b;
                    c[q][k] = si * a + co * b;
                    a = v[k][p], b = v[k][q];
                    v[k][p] = co * a - si * b;
                    v[k][q] = si * a + co * b;
                }
            }
}

/* Against the same filter worked out in double precision. 1e-3: what six rounds of subspace
 * iteration leave of twelve directions. */
static void the_spectral_filter_is_the_projection_on_the_first_singular_vectors(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    enum { D = 3 };
    isize n = world(at, held);
    struct recommend_options o = recommend_defaults();
    o.spectral_dims = D;
    o.spectral_row = ITEMS;
    struct model *m = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    f64 by_item[ITEMS] = { 0 }, by_person[SESSIONS] = { 0 }, c[ITEMS][ITEMS] = { 0 }, v[ITEMS][ITEMS];
    for (isize s = 0; s < SESSIONS; s++)
        for (isize i = 0; i < ITEMS; i++) { by_item[i] += held[s][i + 1]; by_person[s] += held[s][i + 1]; }
    for (isize i = 0; i < ITEMS; i++)
        for (isize j = 0; j < ITEMS; j++)
            for (isize s = 0; s < SESSIONS; s++)
                if (held[s][i + 1] && held[s][j + 1])
                    c[i][j] += 1 / by_person[s] / sqrt(by_item[i] * by_item[j]);
    rotate_out(c, v);
    f64 bar = 0;                                        /* the D-th largest eigenvalue */
    for (isize k = 0; k < ITEMS; k++) {
        isize larger = 0;
        for (isize l = 0; l < ITEMS; l++) larger += c[l][l] > c[k][k];
        if (larger == D - 1) bar = c[k][k];
    }
    const struct table *t = &m->tables[TABLE_SPECTRAL];
    for (u32 i = 1; i <= ITEMS; i++) {
        u32 p = t->from[i];
        for (u32 j = 1; j <= ITEMS; j++) {
            f64 want = 0;
            for (isize k = 0; k < ITEMS; k++)
                if (c[k][k] >= bar) want += v[i - 1][k] * v[j - 1][k] * sqrt(by_item[j - 1] / by_item[i - 1]);
            bool stands = p < t->from[i + 1] && t->pairs[p].item == j;
            f64 got = stands ? (f64)t->pairs[p++].score : 0;
            if (i == j) want = 0;                       /* nothing leads to itself */
            if (fabs(got - fmax(0, want)) > 1e-3) fail_msg("[%u][%u] is %g, not %g", i, j, got, want);
        }
    }
    model_free(m);
}

/* As many threads as there may be, and one: the same digits. */
static void threads_change_nothing(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    isize n = world(at, held);
    struct recommend_options o = recommend_defaults();
    struct model *one = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    o.threads = 4;
    struct model *four = model_build(at, n, ITEMS + 1, 1000, &o, NULL);
    assert_memory_equal(one->factors.items, four->factors.items,
                        (ITEMS + 1) * (size_t)one->factors.d * sizeof(f32));
    const struct table *a = &one->tables[TABLE_SPECTRAL], *b = &four->tables[TABLE_SPECTRAL];
    assert_memory_equal(a->from, b->from, (ITEMS + 2) * sizeof(u32));
    assert_memory_equal(a->pairs, b->pairs, a->from[ITEMS + 1] * sizeof(struct pair));
    model_free(one);
    model_free(four);
}

/* Products of threads that ask the library at once, beside the same product of one: it must not
 * give two of them one working buffer. */
enum { SIDE = 16, PRODUCTS = 200000 };
struct products { const f32 *symmetric, *by, *expected; atomic_int wrong; };

static void multiply(void *ctx, isize from, isize to)
{
    struct products *p = ctx;
    _Alignas(64) f32 out[SIDE * SIDE];
    for (isize i = from; i < to; i++) {
        cblas_ssymm(CblasRowMajor, CblasRight, CblasLower, SIDE, SIDE, 1, p->symmetric, SIDE, p->by,
                    SIDE, 0, out, SIDE);
        if (memcmp(out, p->expected, sizeof out) != 0) atomic_fetch_add(&p->wrong, 1);
    }
}

static void each_thread_has_a_buffer_of_its_own(void **state)
{
    (void)state;
    struct rng rng = rng_seed(13);
    arena a = { 0 };
    f32 *symmetric = dense_new(&a, SIDE * SIDE), *by = dense_new(&a, SIDE * SIDE),
        *expected = dense_new(&a, SIDE * SIDE);
    for (isize i = 0; i < SIDE * SIDE; i++) {
        symmetric[i] = (f32)rng_unit(&rng);
        by[i] = (f32)rng_unit(&rng);
    }
    algebra_start();
    cblas_ssymm(CblasRowMajor, CblasRight, CblasLower, SIDE, SIDE, 1, symmetric, SIDE, by, SIDE, 0,
                expected, SIDE);
    struct products p = { symmetric, by, expected, 0 };
    share(PRODUCTS, 4, multiply, &p);
    assert_int_equal(atomic_load(&p.wrong), 0);
    arena_fini(&a);
}

static void the_same_data_gives_the_same_model(void **state)
{
    (void)state;
    static bool held[SESSIONS][ITEMS + 1];
    static struct interaction at[SESSIONS * ITEMS];
    isize n = world(at, held);
    struct model *one = model_build(at, n, ITEMS + 1, 1000, NULL, NULL),
                 *two = model_build(at, n, ITEMS + 1, 1000, NULL, NULL);
    for (isize t = 0; t < TABLES; t++) {
        if (!one->tables[t].from) continue;
        assert_memory_equal(one->tables[t].from, two->tables[t].from, (ITEMS + 2) * sizeof(u32));
        assert_memory_equal(one->tables[t].pairs, two->tables[t].pairs,
                            one->tables[t].from[ITEMS + 1] * sizeof(struct pair));
    }
    assert_memory_equal(one->factors.items, two->factors.items,
                        (ITEMS + 1) * (size_t)one->factors.d * sizeof(f32));
    model_free(one);
    model_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ease_is_the_inverse_of_its_gram_matrix),
        cmocka_unit_test(slist_solves_its_normal_equations),
        cmocka_unit_test(slist_has_a_row_for_every_item),
        cmocka_unit_test(a_head_that_does_not_fit_shrinks),
        cmocka_unit_test(a_taste_solves_its_equations),
        cmocka_unit_test(the_spectral_filter_is_the_projection_on_the_first_singular_vectors),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(each_thread_has_a_buffer_of_its_own),
        cmocka_unit_test(the_same_data_gives_the_same_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
