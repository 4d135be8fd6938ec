/* SPDX-License-Identifier: Apache-2.0
 *
 * spectral.c - the broad strokes of what goes together: an ideal low-pass filter over the graph of
 * people and items.
 *
 *   N = D_people^(-1/2) R D_items^(-1/2)          R: who dealt with what, each once; D: how often
 *   score_j = sum over i held of  d_i^(-1/2) (V V')_ij d_j^(1/2)
 *
 * with V the first right singular vectors of N (Shen et al. 2021, GF-CF; its other half, the linear
 * filter, is co-occurrence with length 1 and norm 1/2). What neighbours of neighbours have in
 * common is found even where no two items were ever held together; it costs a factorisation and no
 * training, and unlike EASE no N^2 memory: catalogues of any size.
 *
 * V comes from subspace iteration (Halko, Martinsson and Tropp 2011): a random start, ITERATIONS
 * times N'N and made orthonormal again, then the best directions of what that spans. Made
 * orthonormal by the eigenvectors of Z'Z: all is products of matrices, and a direction that has no
 * length left is dropped. As a table it is looked up like any other: of each row the spectral_row
 * highest scores above zero, in the order of items. */
#include "recommend/inside.h"

#include <cblas.h>
#include <math.h>

enum { ITERATIONS = 6, SPARE = 32, ROWS = 64 };
static const f32 no_length = 1e-6F;                     /* of the longest direction squared */

extern void ssyev_(const char *job, const char *uplo, const int *n, f32 *a, const int *lda,
                   f32 *values, f32 *work, const int *room, int *info);

struct spreading { const struct lists *rows; const f32 *row_scale, *column_scale, *in; isize k; f32 *out; };

static void spread_rows(void *ctx, isize from, isize to)
{
    const struct spreading *s = ctx;
    memset(s->out + from * s->k, 0, (size_t)((to - from) * s->k) * sizeof *s->out);
    for (isize r = from; r < to; r++)
        for (isize i = s->rows->from[r]; i < s->rows->from[r + 1]; i++)
            cblas_saxpy((int)s->k, s->row_scale[r] * s->column_scale[s->rows->at[i]],
                        s->in + (isize)s->rows->at[i] * s->k, 1, s->out + r * s->k, 1);
}

/* out, a row a list: scale of the row times the sum of its columns' scaled rows of `in`. */
static void spread(const struct lists *rows, const f32 *row_scale, const f32 *column_scale,
                   const f32 *in, isize k, isize threads, f32 *out)
{
    struct spreading s = { rows, row_scale, column_scale, in, k, out };
    share(rows->n, threads, spread_rows, &s);
}

/* Eigenvectors of z'z, a row each, the largest eigenvalue last; false when the library gives up. */
static bool directions(const f32 *z, isize n, isize k, f32 *vectors, f32 *values, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    int size = (int)k, room = (int)(k * 35), failed = 0;
    f32 *work = dense_new(a, room);
    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, size, (int)n, 1, z, size, 0, vectors, size);
    /* upper by rows is lower by columns */
    ssyev_("V", "L", &size, vectors, &size, values, work, &room, &failed);
    arena_reset(a, mark);
    return failed == 0;
}

static bool orthonormal(f32 *z, isize n, isize k, f32 *into, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    f32 *vectors = dense_new(a, k * k), *values = dense_new(a, k);
    bool found = directions(z, n, k, vectors, values, a);
    for (isize j = 0; found && j < k; j++) {
        f32 by = values[j] > no_length * values[k - 1] ? 1 / sqrtf(values[j]) : 0;
        cblas_sscal((int)k, by, vectors + j * k, 1);
    }
    if (found)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)k, (int)k, 1, z, (int)k,
                    vectors, (int)k, 0, into, (int)k);
    arena_reset(a, mark);
    return found;
}

static f32 *scales(const struct lists *l, arena *a)
{
    f32 *scale = dense_new(a, l->n + 1);
    for (isize r = 0; r < l->n; r++)
        if (l->from[r + 1] > l->from[r]) scale[r] = 1 / sqrtf((f32)(l->from[r + 1] - l->from[r]));
    return scale;
}

/* Items by d, in the build's scratch arena; null when there is nothing to find. */
static const f32 *singular(struct build *b, const struct lists *people, const struct lists *items,
                           const f32 *by_person, const f32 *by_item, isize d)
{
    arena *a = &b->scratch;
    isize k = d + SPARE;
    f32 *v = dense_new(a, items->n * d), *q = dense_new(a, items->n * k), *z = dense_new(a, items->n * k);
    f32 *y = dense_new(a, people->n * k), *vectors = dense_new(a, k * k), *values = dense_new(a, k);
    struct rng rng = rng_seed(b->m->options.seed);
    for (isize i = 0; i < items->n; i++)
        for (isize c = 0; c < k && by_item[i] > 0; c++) z[i * k + c] = (f32)(rng_unit(&rng) - .5);
    for (int round = 0; round < ITERATIONS; round++) {
        if (told_to_stop(b) || !orthonormal(z, items->n, k, q, a)) return NULL;
        spread(people, by_person, by_item, q, k, b->m->options.threads, y);
        spread(items, by_item, by_person, y, k, b->m->options.threads, z);
    }
    if (!orthonormal(z, items->n, k, q, a)) return NULL;
    spread(people, by_person, by_item, q, k, b->m->options.threads, y);
    if (!directions(y, people->n, k, vectors, values, a)) return NULL;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)items->n, (int)d, (int)k, 1, q,
                (int)k, vectors + (k - d) * k, (int)k, 0, v, (int)d);
    return v;
}

/* What is at least so high that about `want` of n are: by every sixteenth of them. */
static f32 about(const f32 *at, isize n, isize want, f32 *sample)
{
    isize taken = 0;
    for (isize i = 0; i < n; i += 16)
        if (at[i] > 0) sample[taken++] = at[i];
    isize rank = want / 16 + want / 64 + 2;
    return rank < taken ? largest(sample, taken, rank) : 0;
}

/* The highest `most` of a row's scores, in the order of items. */
static isize keep_row(const f32 *scores, isize items, isize self, isize most, f32 *sample,
                      f32 *high, struct pair *into)
{
    f32 bar = about(scores, items, most, sample);
    isize n = 0, used = 0;
    for (;; bar = 0, n = 0) {
        for (isize j = 1; j < items; j++)
            if (scores[j] > bar && j != self) high[n++] = scores[j];
        if (n >= most || bar <= 0) break;
    }
    bool all = n <= most;
    f32 last = all ? bar : largest(high, n, most);
    isize above = 0;
    for (isize i = 0; i < n; i++) above += high[i] > last;
    for (isize j = 1, level = all ? 0 : most - above; j < items; j++) {
        if (!(scores[j] >= last) || j == self || !(scores[j] > 0)) continue;
        if (scores[j] > last || level-- > 0) into[used++] = (struct pair){ (u32)j, scores[j] };
    }
    return used;
}

struct keeping {
    struct build *b;
    isize d, most, *ids;                                /* the items whose rows are kept */
    const f32 *by_item, *v, *to;                        /* to: V with each row over by_item */
    /* `most` places a row, and how many of them are taken */
    struct pair *pairs; isize *found;
};

static void keep_blocks(void *ctx, isize from, isize to)
{
    const struct keeping *k = ctx;
    arena a = { 0 };
    isize items = (isize)k->b->m->items, d = k->d;
    f32 *given = dense_new(&a, ROWS * d), *scores = dense_new(&a, ROWS * items);
    f32 *sample = dense_new(&a, items / 16 + 1), *high = dense_new(&a, items);
    for (isize at = from, n; at < to; at += n) {
        n = min_isize(ROWS, to - at);
        for (isize r = 0; r < n; r++)
            for (isize c = 0; c < d; c++)
                given[r * d + c] = k->v[k->ids[at + r] * d + c] * k->by_item[k->ids[at + r]];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)items, (int)d, 1, given,
                    (int)d, k->to, (int)d, 0, scores, (int)items);
        for (isize r = 0; r < n; r++)
            k->found[at + r] = keep_row(scores + r * items, items, k->ids[at + r], k->most, sample,
                                        high, k->pairs + (at + r) * k->most);
    }
    arena_fini(&a);
}

static void keep_rows(struct build *b, const f32 *v, const f32 *by_item, isize d)
{
    struct model *m = b->m;
    arena *a = &b->scratch;
    isize items = (isize)m->items, asked = 0, used = 0;
    struct table *table = &m->tables[TABLE_SPECTRAL];
    f32 *to = dense_new(a, items * d);
    struct keeping k = { .b = b,
                         .d = d,
                         .most = min_isize(m->options.spectral_row, items),
                         .ids = arena_new(a, isize, items + 1),
                         .by_item = by_item,
                         .v = v,
                         .to = to };
    for (isize i = 0; i < items; i++) {
        if (!(by_item[i] > 0)) continue;
        for (isize c = 0; c < d; c++) to[i * d + c] = v[i * d + c] / by_item[i];
        if (is_asked(b, i)) k.ids[asked++] = i;
    }
    k.found = arena_new(a, isize, asked + 1);
    k.pairs = arena_room(a, struct pair, asked * k.most + 1);
    share(asked, m->options.threads, keep_blocks, &k);
    for (isize r = 0; r < asked; r++) used += k.found[r];
    assert(used < (isize)UINT32_MAX);
    table->from = arena_new(&m->arena, u32, items + 1);
    table->pairs = arena_new(&m->arena, struct pair, used + 1);
    used = 0;
    for (isize i = 0, r = 0; i < items; i++) {
        if (r < asked && k.ids[r] == i) {
            memcpy(table->pairs + used, k.pairs + r * k.most, (size_t)k.found[r] * sizeof *table->pairs);
            used += k.found[r++];
        }
        table->from[i + 1] = (u32)used;
    }
}

void build_spectral(struct build *b)
{
    const struct recommend_options *o = &b->m->options;
    if (!builds(b, RECOMMENDER_SPECTRAL) || o->spectral_dims < 1 || b->sessions == 0) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    struct lists people = people_lists(b), items = turned(&people, (isize)b->m->items, &b->scratch);
    isize d = min_isize(o->spectral_dims, min_isize(people.n, b->m->card.items) / 2), wide = d + SPARE;
    isize needed = ((people.n + 4 * items.n) * wide + ROWS * items.n) * (isize)sizeof(f32)
                 + b->m->card.items * min_isize(o->spectral_row, items.n) * (isize)sizeof(struct pair);
    if (d >= 1 && needed <= o->memory_bytes) {          /* else there is none */
        const f32 *by_person = scales(&people, &b->scratch), *by_item = scales(&items, &b->scratch);
        const f32 *v = singular(b, &people, &items, by_person, by_item, d);
        if (v) keep_rows(b, v, by_item, d);
    }
    arena_reset(&b->scratch, mark);
}
