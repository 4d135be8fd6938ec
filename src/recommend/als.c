/* SPDX-License-Identifier: Apache-2.0
 *
 * als.c - people and items as vectors: implicit-feedback alternating least squares.
 *
 *   sum over seen (1 - u'v)^2 + alpha * sum over all (u'v)^2 + sum lambda_u |u|^2 + sum lambda_v |v|^2
 *
 * (Hu, Koren and Volinsky 2008), with regularisation scaled by frequency, lambda_u = lambda (|I_u|
 * + alpha |I|), and small starting vectors (Rendle et al. 2022). alpha is als_unseen / |I|: what is
 * not seen weighs the same as a whole in a small catalogue and in a large one; the same alpha for
 * 3,600 and for 41,000 items leaves nothing of the second. Half a round solves for every person u
 *
 *   (alpha V'V + V_u'V_u + lambda_u I) u = V_u' 1
 *
 * by three steps of conjugate gradient from where u stood (Takacs, Pilaszy and Tikk 2011); then
 * items likewise. V'V is one syrk. People are solved BATCH at a time: alpha V'V times all their
 * directions is one product of matrices, and V_u'V_u times a direction is one walk over the
 * person's rows of V, each read once, multiplied, and added while it is at hand (hear). That walk
 * is nearly all of the work; it is compiled for the processor's widest vectors too, since no
 * library has both halves of it in one, and two calls a person for rows of 64 numbers cost more
 * than the numbers do.
 *
 * Somebody the model has never seen is one such solve (factors_of_person), so the last click counts at once
 * and vectors of people are not kept. */
#include "recommend/inside.h"

#include <cblas.h>
#include <math.h>

enum { STEPS = 3, STEPS_ALONE = 12, BATCH = 128, LANES = 16 };

/* ---- one person's rows ----------------------------------------------------------------------- */

typedef f32 lanes __attribute__((vector_size(LANES * sizeof(f32)), aligned(4), may_alias));

/* out += sum over rows v of at[]: (from + sign v'x) v; x and out of d numbers. Written once,
 * compiled for each kind of processor as a whole: vectors wider than a function's processor has are
 * cut up before anything is inlined. With 64 numbers, four vectors, direction and sum stay in
 * registers. */
typedef void hearing(const f32 *v, isize d, const u32 *at, isize n, f32 from, f32 sign,
                     const f32 *x, f32 *out);
#define HEARING(name)                                                                                                     \
    static void name(const f32 *v, isize d, const u32 *at, isize n, f32 from, f32 sign, const f32 *x, f32 *out)          \
    {                                                                                                                     \
        const lanes *xs = (const lanes *)x;                                                                               \
        lanes *outs = (lanes *)out;                                                                                       \
        bool four = d == 4 * LANES;                                                                                       \
        lanes x0, x1, x2, x3, o0, o1, o2, o3;                                                                             \
        if (four) { x0 = xs[0]; x1 = xs[1]; x2 = xs[2]; x3 = xs[3]; o0 = outs[0]; o1 = outs[1]; o2 = outs[2]; o3 = outs[3]; } \
        else { x0 = x1 = x2 = x3 = o0 = o1 = o2 = o3 = (lanes){ 0 }; }                                                    \
        for (isize i = 0; i < n; i++) {                                                                                   \
            const f32 *row = v + (isize)at[i] * d;                                                                        \
            const lanes *rows = (const lanes *)row;                                                                       \
            lanes sum = { 0 };                                                                                            \
            isize k = 0;                                                                                                  \
            f32 rest = 0;                                                                                                 \
            if (i + 4 < n) {                                                                                              \
                const f32 *ahead = v + (isize)at[i + 4] * d;                                                              \
                for (isize line = 0; line < d; line += LANES) __builtin_prefetch(ahead + line);                           \
            }                                                                                                             \
            if (four) sum = (rows[0] * x0 + rows[1] * x1) + (rows[2] * x2 + rows[3] * x3);                                \
            else {                                                                                                        \
                for (; k + LANES <= d; k += LANES) sum += rows[k / LANES] * xs[k / LANES];                                \
                for (; k < d; k++) rest += row[k] * x[k];                                                                 \
            }                                                                                                             \
            sum += __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);               \
            sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);               \
            sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);               \
            f32 by = from + sign * (sum[0] + sum[1] + rest);                                                              \
            if (four) { o0 += by * rows[0]; o1 += by * rows[1]; o2 += by * rows[2]; o3 += by * rows[3]; continue; }       \
            for (k = 0; k + LANES <= d; k += LANES) outs[k / LANES] += by * rows[k / LANES];                              \
            for (; k < d; k++) out[k] += by * row[k];                                                                     \
        }                                                                                                                 \
        if (four) { outs[0] = o0; outs[1] = o1; outs[2] = o2; outs[3] = o3; }                                             \
    }

HEARING(hear_any)
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) HEARING(hear_avx2)
__attribute__((target("avx512f,avx512vl,avx512dq,fma"))) HEARING(hear_avx512)
#endif

static hearing *hearing_here(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq"))
        return hear_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return hear_avx2;
#endif
    return hear_any;
}

/* ---- solving --------------------------------------------------------------------------------- */

static f32 dot(const f32 *a, const f32 *b, isize d) { return cblas_sdot((int)d, a, 1, b, 1); }

struct solver { isize d; const f32 *v, *gram; hearing *hear; f32 *r, *p, *ap, *left; };

static struct solver solver_new(arena *a, isize d, const f32 *v, const f32 *gram, isize rows)
{
    return (struct solver){ d, v, gram, hearing_here(), dense_new(a, rows * d), dense_new(a, rows * d),
                            dense_new(a, rows * d), dense_new(a, rows) };
}

/* out = alpha V'V times each of n vectors */
static void times_gram(const struct solver *s, isize n, const f32 *x, f32 *out)
{
    int d = (int)s->d;
    if (n == 1) cblas_ssymv(CblasRowMajor, CblasLower, d, 1, s->gram, d, x, 1, 0, out, 1);
    else cblas_ssymm(CblasRowMajor, CblasRight, CblasLower, (int)n, d, 1, s->gram, d, x, d, 0, out, d);
}

/* Rows 0 .. n-1 of x, row i from the columns at[from[i]] .. at[from[i + 1] - 1]; whoever has none
 * is nowhere. */
static void solve(struct solver *s, const u32 *at, const isize *from, isize n, const f32 *lambda,
                  int steps, f32 *x)
{
    isize d = s->d;
    times_gram(s, n, x, s->ap);
    for (isize i = 0; i < n; i++) {
        f32 *xi = x + i * d, *r = s->r + i * d, *ap = s->ap + i * d;
        for (isize k = 0; k < d; k++) r[k] = -ap[k] - lambda[i] * xi[k];
        s->hear(s->v, d, at + from[i], from[i + 1] - from[i], 1, -1, xi, r);
        if (from[i] == from[i + 1]) {
            memset(xi, 0, (size_t)d * sizeof *xi);
            memset(r, 0, (size_t)d * sizeof *r);
        }
        memcpy(s->p + i * d, r, (size_t)d * sizeof *r);
        s->left[i] = dot(r, r, d);
    }
    for (int step = 0; step < steps; step++) {
        times_gram(s, n, s->p, s->ap);
        for (isize i = 0; i < n; i++) {
            if (s->left[i] <= 1e-20F) continue;
            f32 *xi = x + i * d, *r = s->r + i * d, *p = s->p + i * d, *ap = s->ap + i * d;
            for (isize k = 0; k < d; k++) ap[k] += lambda[i] * p[k];
            s->hear(s->v, d, at + from[i], from[i + 1] - from[i], 0, 1, p, ap);
            f32 by = s->left[i] / dot(p, ap, d);
            for (isize k = 0; k < d; k++) {
                xi[k] += by * p[k];
                r[k] -= by * ap[k];
            }
            f32 now = dot(r, r, d), turn = now / s->left[i];
            for (isize k = 0; k < d; k++) p[k] = r[k] + turn * p[k];
            s->left[i] = now;
        }
    }
}

static void gram_of(const f32 *v, isize n, isize d, f64 alpha, f32 *out)
{
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, (f32)alpha, v, (int)d, 0, out, (int)d);
}

struct half { const struct lists *rows; const f32 *v, *gram; f64 lambda, everybody; isize d; f32 *x; };

static void solve_batches(void *ctx, isize from, isize to)
{
    const struct half *h = ctx;
    arena a = { 0 };
    f32 lambda[BATCH];
    struct solver s = solver_new(&a, h->d, h->v, h->gram, BATCH);
    for (isize batch = from; batch < to; batch++) {
        isize r = batch * BATCH, n = min_isize(BATCH, h->rows->n - r);
        for (isize i = 0; i < n; i++)
            lambda[i] =
                (f32)(h->lambda
                      * ((f64)(h->rows->from[r + i + 1] - h->rows->from[r + i]) + h->everybody));
        solve(&s, h->rows->at, h->rows->from + r, n, lambda, STEPS, h->x + r * h->d);
    }
    arena_fini(&a);
}

/* Every row of x anew, from the v_n rows of v as they stand. */
static void half_round(const struct recommend_options *o, const struct lists *rows, const f32 *v,
                       isize v_n, f64 alpha, isize d, f32 *x, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    f32 *gram = dense_new(a, d * d);
    gram_of(v, v_n, d, alpha, gram);
    struct half half = { rows, v, gram, o->als_lambda, alpha * (f64)v_n, d, x };
    share((rows->n + BATCH - 1) / BATCH, o->threads, solve_batches, &half);
    arena_reset(a, mark);
}

struct lists people_lists(struct build *b)
{
    const struct model *m = b->m;
    u32 most = 0;
    for (isize s = 0; s < b->sessions; s++) most = b->spans[s].person > most ? b->spans[s].person : most;
    u32 *row_of = arena_new(&b->scratch, u32, (isize)most + 1),
        *row = arena_new(&b->scratch, u32, b->sessions + 1);
    struct lists l = { 0 };
    for (isize s = 0; s < b->sessions; s++) {
        u32 person = b->spans[s].person;
        if (person == 0) row[s] = (u32)l.n++;
        else if (row_of[person]) row[s] = row_of[person] - 1;
        else { row[s] = (u32)l.n++; row_of[person] = (u32)l.n; }
    }
    isize entries = (isize)m->session_from[b->sessions];
    isize *from = arena_new(&b->scratch, isize, l.n + 2), *fill = arena_new(&b->scratch, isize, l.n + 1);
    for (isize s = 0; s < b->sessions; s++)
        from[row[s] + 1] += (isize)(m->session_from[s + 1] - m->session_from[s]);
    for (isize r = 0; r < l.n; r++) from[r + 1] += from[r];
    u32 *at = arena_new(&b->scratch, u32, entries + 1);
    for (isize s = 0; s < b->sessions; s++)
        for (u32 i = m->session_from[s]; i < m->session_from[s + 1]; i++)
            at[from[row[s]] + fill[row[s]]++] = m->session_items[i];
    /* Each once: what is seen a second time is closed up. */
    u32 *seen_by = arena_new(&b->scratch, u32, (isize)m->items + 1);
    l.from = arena_new(&b->scratch, isize, l.n + 2);
    isize used = 0;
    for (isize r = 0; r < l.n; r++) {
        for (isize i = from[r]; i < from[r + 1]; i++) {
            if (seen_by[at[i]] == (u32)r + 1) continue;
            seen_by[at[i]] = (u32)r + 1;
            at[used++] = at[i];
        }
        l.from[r + 1] = used;
    }
    l.at = at;
    return l;
}

struct lists turned(const struct lists *l, isize columns, arena *a)
{
    struct lists t = { columns, arena_new(a, isize, columns + 2), arena_new(a, u32, l->from[l->n] + 1) };
    isize *fill = arena_new(a, isize, columns + 1);
    for (isize i = 0; i < l->from[l->n]; i++) t.from[l->at[i] + 1]++;
    for (isize c = 0; c < columns; c++) t.from[c + 1] += t.from[c];
    for (isize r = 0; r < l->n; r++)
        for (isize i = l->from[r]; i < l->from[r + 1]; i++)
            t.at[t.from[l->at[i]] + fill[l->at[i]]++] = (u32)r;
    return t;
}

void build_factors(struct build *b)
{
    struct model *m = b->m;
    const struct recommend_options *o = &m->options;
    if (!builds(b, RECOMMENDER_ALS) || o->als_dims < 1 || b->sessions == 0) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    struct lists people = people_lists(b), items = turned(&people, (isize)m->items, &b->scratch);
    isize d = o->als_dims;
    if ((people.n + (isize)m->items) * d * (isize)sizeof(f32) <= o->memory_bytes) {
        f32 *u = dense_new(&b->scratch, people.n * d), *v = dense_new(&m->arena, (isize)m->items * d);
        struct rng rng = rng_seed(o->seed);
        f64 spread = .1 / sqrt((f64)d), alpha = o->als_unseen / (f64)max_isize(1, m->card.items);
        for (isize i = 0; i < (isize)m->items; i++)
            for (isize k = 0; k < d && items.from[i + 1] > items.from[i]; k++)
                v[i * d + k] = (f32)(spread * 3.4641016151377544
                                     * (rng_unit(&rng) - .5)); /* uniform, that deviation */
        for (isize round = 0; round < o->als_rounds && !told_to_stop(b); round++) {
            half_round(o, &people, v, (isize)m->items, alpha, d, u, &b->scratch);
            half_round(o, &items, u, people.n, alpha, d, v, &b->scratch);
        }
        m->factors = (struct factors){ d, alpha, v, arena_new(&m->arena, f32, d * d) };
        gram_of(v, (isize)m->items, d, alpha, m->factors.gram);
        m->card.als_people = people.n;
    }
    arena_reset(&b->scratch, mark);
}

const f32 *factors_of_person(const struct factors *f, const u32 *items, isize n, f64 lambda, arena *a)
{
    f32 *x = dense_new(a, f->d), given = (f32)lambda;
    isize from[2] = { 0, n };
    struct solver s = solver_new(a, f->d, f->items, f->gram, 1);
    solve(&s, items, from, 1, &given, STEPS_ALONE, x);
    return x;
}

void factors_score(const struct factors *f, u32 items, const f32 *person, f32 *out)
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)items, (int)f->d, 1, f->items, (int)f->d, person,
                1, 0, out, 1);
}
