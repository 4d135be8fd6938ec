/* SPDX-License-Identifier: Apache-2.0
 *
 * als.c - people and items as vectors: implicit-feedback alternating least squares.
 *
 *   sum over seen (1 - u'v)^2 + alpha * sum over all (u'v)^2 + sum lambda_u |u|^2 + sum lambda_v |v|^2
 *
 * (Hu, Koren and Volinsky 2008), with regularisation scaled by frequency, lambda_u = lambda (|I_u| + alpha |I|),
 * and small starting vectors (Rendle et al. 2022). Half a round solves for every person u
 *
 *   (alpha V'V + V_u'V_u + lambda_u I) u = V_u' 1
 *
 * by three steps of conjugate gradient from where u stood (Takacs, Pilaszy and Tikk 2011); then items likewise. V'V is
 * one syrk. The rows of V that belong to a person are copied side by side first, so that each step is two
 * matrix-vector products out of the cache, in the library's own kernels for this processor.
 *
 * Somebody the model has never seen is one such solve (factors_of_person), so the last click counts at once
 * and vectors of people are not kept. */
#include "recommend/inside.h"

#include <cblas.h>
#include <math.h>

enum { STEPS = 3, STEPS_ALONE = 12 };

/* Rows in lists: row r has the columns at[from[r]] .. at[from[r + 1] - 1]. */
struct lists { isize n; isize *from; u32 *at; };

struct solver { isize d; const f32 *v, *gram; f32 *rows, *times, *r, *p, *ap; };

static struct solver solver_new(arena *a, isize d, const f32 *v, const f32 *gram, isize longest)
{
    return (struct solver){ d, v, gram, arena_new(a, f32, longest * d + 1), arena_new(a, f32, longest + 1),
                            arena_new(a, f32, d), arena_new(a, f32, d), arena_new(a, f32, d) };
}

/* out = (alpha V'V + V_u'V_u + lambda) x */
static void apply(struct solver *s, isize n, f32 lambda, const f32 *x, f32 *out)
{
    int d = (int)s->d;
    memcpy(out, x, (size_t)d * sizeof *out);
    cblas_ssymv(CblasRowMajor, CblasLower, d, 1, s->gram, d, x, 1, lambda, out, 1);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, d, 1, s->rows, d, x, 1, 0, s->times, 1);
    cblas_sgemv(CblasRowMajor, CblasTrans, (int)n, d, 1, s->rows, d, s->times, 1, 1, out, 1);
}

static void solve(struct solver *s, const u32 *at, isize n, f32 lambda, int steps, f32 *x)
{
    int d = (int)s->d;
    size_t bytes = (size_t)d * sizeof(f32);
    if (n == 0) { memset(x, 0, bytes); return; }
    for (isize i = 0; i < n; i++) {
        memcpy(s->rows + i * d, s->v + (isize)at[i] * d, bytes);
        s->times[i] = 1;
    }
    apply(s, n, lambda, x, s->ap);
    for (isize i = 0; i < n; i++) s->times[i] = 1;
    cblas_sgemv(CblasRowMajor, CblasTrans, (int)n, d, 1, s->rows, d, s->times, 1, 0, s->r, 1);
    for (int i = 0; i < d; i++) s->r[i] -= s->ap[i];
    memcpy(s->p, s->r, bytes);
    f32 left = cblas_sdot(d, s->r, 1, s->r, 1);
    for (int step = 0; step < steps && left > 1e-20F; step++) {
        apply(s, n, lambda, s->p, s->ap);
        f32 by = left / cblas_sdot(d, s->p, 1, s->ap, 1);
        cblas_saxpy(d, by, s->p, 1, x, 1);
        cblas_saxpy(d, -by, s->ap, 1, s->r, 1);
        f32 now = cblas_sdot(d, s->r, 1, s->r, 1);
        cblas_sscal(d, now / left, s->p, 1);
        cblas_saxpy(d, 1, s->r, 1, s->p, 1);
        left = now;
    }
}

static void gram_of(const f32 *v, isize n, isize d, f64 alpha, f32 *out)
{
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, (f32)alpha, v, (int)d, 0, out, (int)d);
}

static f64 lambda_of(const struct recommend_options *o, isize seen, isize all)
{
    return o->als_lambda * ((f64)seen + o->als_alpha * (f64)all);
}

/* Every row of x anew, from v as it stands. */
static void half_round(const struct recommend_options *o, const struct lists *rows, const f32 *v, isize v_n, f32 *x, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    isize d = o->als_dims, longest = 0;
    f32 *gram = arena_new(a, f32, d * d);
    for (isize r = 0; r < rows->n; r++) longest = max_isize(longest, rows->from[r + 1] - rows->from[r]);
    gram_of(v, v_n, d, o->als_alpha, gram);
    struct solver s = solver_new(a, d, v, gram, longest);
    for (isize r = 0; r < rows->n; r++) {
        isize n = rows->from[r + 1] - rows->from[r];
        solve(&s, rows->at + rows->from[r], n, (f32)lambda_of(o, n, v_n), STEPS, x + r * d);
    }
    arena_reset(a, mark);
}

/* People and what they dealt with, each item once; a session of nobody's is a person of its own. */
static struct lists people_lists(struct build *b)
{
    const struct model *m = b->m;
    u32 most = 0;
    for (isize s = 0; s < b->sessions; s++) most = b->spans[s].person > most ? b->spans[s].person : most;
    u32 *row_of = arena_new(&b->scratch, u32, (isize)most + 1), *row = arena_new(&b->scratch, u32, b->sessions + 1);
    struct lists l = { 0 };
    for (isize s = 0; s < b->sessions; s++) {
        u32 person = b->spans[s].person;
        if (person == 0) row[s] = (u32)l.n++;
        else if (row_of[person]) row[s] = row_of[person] - 1;
        else { row[s] = (u32)l.n++; row_of[person] = (u32)l.n; }
    }
    isize entries = (isize)m->session_from[b->sessions];
    isize *from = arena_new(&b->scratch, isize, l.n + 2), *fill = arena_new(&b->scratch, isize, l.n + 1);
    for (isize s = 0; s < b->sessions; s++) from[row[s] + 1] += (isize)(m->session_from[s + 1] - m->session_from[s]);
    for (isize r = 0; r < l.n; r++) from[r + 1] += from[r];
    u32 *at = arena_new(&b->scratch, u32, entries + 1);
    for (isize s = 0; s < b->sessions; s++)
        for (u32 i = m->session_from[s]; i < m->session_from[s + 1]; i++) at[from[row[s]] + fill[row[s]]++] = m->session_items[i];
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

static struct lists turned(const struct lists *l, isize columns, arena *a)
{
    struct lists t = { columns, arena_new(a, isize, columns + 2), arena_new(a, u32, l->from[l->n] + 1) };
    isize *fill = arena_new(a, isize, columns + 1);
    for (isize i = 0; i < l->from[l->n]; i++) t.from[l->at[i] + 1]++;
    for (isize c = 0; c < columns; c++) t.from[c + 1] += t.from[c];
    for (isize r = 0; r < l->n; r++)
        for (isize i = l->from[r]; i < l->from[r + 1]; i++) t.at[t.from[l->at[i]] + fill[l->at[i]]++] = (u32)r;
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
        f32 *u = arena_new(&b->scratch, f32, people.n * d), *v = arena_new(&m->arena, f32, (isize)m->items * d);
        struct rng rng = rng_seed(o->seed);
        f64 spread = .1 / sqrt((f64)d);
        for (isize i = 0; i < (isize)m->items; i++)
            for (isize k = 0; k < d && items.from[i + 1] > items.from[i]; k++)
                v[i * d + k] = (f32)(spread * 3.4641016151377544 * (rng_unit(&rng) - .5));  /* uniform, that deviation */
        for (isize round = 0; round < o->als_rounds; round++) {
            half_round(o, &people, v, (isize)m->items, u, &b->scratch);
            half_round(o, &items, u, people.n, v, &b->scratch);
        }
        m->factors = (struct factors){ d, v, arena_new(&m->arena, f32, d * d) };
        gram_of(v, (isize)m->items, d, o->als_alpha, m->factors.gram);
        m->card.als_people = people.n;
    }
    arena_reset(&b->scratch, mark);
}

const f32 *factors_of_person(const struct factors *f, const u32 *items, isize n, f64 lambda, arena *a)
{
    f32 *x = arena_new(a, f32, f->d);
    struct solver s = solver_new(a, f->d, f->items, f->gram, n);
    solve(&s, items, n, (f32)lambda, STEPS_ALONE, x);
    return x;
}

void factors_score(const struct factors *f, u32 items, const f32 *person, f32 *out)
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)items, (int)f->d, 1, f->items, (int)f->d, person, 1, 0, out, 1);
}
