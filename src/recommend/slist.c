/* SPDX-License-Identifier: Apache-2.0
 *
 * slist.c - the linear model of a session: what stands beside an item there, and what follows it.
 *
 * SLIST (Choi et al. 2021) is least squares with a closed form. Two kinds of rows are learnt from at once:
 *
 *   alike    one a session, share alpha: x, 1/n for each of its n items, shall give 1 for each of them
 *   next     one a click that is followed, share 1 - alpha: the item alone shall give exp(-gap) for
 *   what follows, gap 0 for the next
 *
 * each weighted by exp(-age/tau). With G = sum of w x x' + lambda I and R = sum of w x t', B = G^-1
 * R, and what is heard gives score_j = sum over i of step^ago * B_ij. B_ii is left as it comes out:
 * people go back to what they saw.
 *
 * The authors invert G; that is N^3 flops, 4 N^2 bytes and so a head of the catalogue. But a row of
 * the second kind holds one item: it adds to the diagonal alone, and a row of the first kind is
 * scaled down by its length. G is a sparse matrix with most of its weight on the diagonal, of which
 * the rows wanted can be solved one by one:
 *
 *   G y = e_i by steps on the largest residues (Gauss-Southwell, which ends for any positive
 *   definite G), then B_i = R' y, the best slist_row of it kept
 *
 * y lives on the neighbours of i and theirs. Every item has its row, the rarest too, in seconds; a
 * residue below `faint` is left, which moves a score in its third digit. Of each row of G and R as
 * many cells are held as memory_bytes allow, those of the largest R: the tail of a best-seller's
 * thousands of companions goes first. */
#include "recommend/inside.h"

#include <math.h>

enum { GAP_MAX = 8, CLICKS_MAX = 400, CELLS_MAX = 1000, CELLS_LEAST = 16, STEPS_MAX = 4000 };
static const f64 faint = 3e-4;

struct cell { u32 item; f32 gram, aim; };               /* G_ij and R_ij, i not j */

struct equations {
    struct build *b;
    f64 alpha, follows[GAP_MAX + 1], *weight;           /* by gap; by session */
    u32 *from;                                          /* items + 1: where an item's cells start */
    struct { struct cell *at; isize n, cap; } cells;
    f64 *gram, *aim;                                    /* G_ii, R_ii */
    /* one row while it is counted, or solved: residue and y */
    f64 *row_gram, *row_aim;
    u32 *touched; isize touched_n;
    bool *is_touched;
};

static void touch(struct equations *e, u32 item)
{
    if (e->is_touched[item]) return;
    e->is_touched[item] = true;
    e->touched[e->touched_n++] = item;
}

static void untouch(struct equations *e)
{
    for (isize t = 0; t < e->touched_n; t++) {
        u32 item = e->touched[t];
        e->is_touched[item] = false;
        e->row_gram[item] = e->row_aim[item] = 0;
    }
    e->touched_n = 0;
}

/* What one session says of one of its items. */
static void count_session(struct equations *e, u32 session, u32 item)
{
    const struct build *b = e->b;
    const struct model *m = b->m;
    const struct span *span = &b->spans[session];
    u32 from = m->session_from[session], to = m->session_from[session + 1];
    f64 w = e->weight[session], n = (f64)(to - from);
    for (u32 at = from; to - from > 1 && at < to; at++) {
        u32 other = m->session_items[at];
        touch(e, other);
        e->row_gram[other] += e->alpha * w / (n * n);
        e->row_aim[other] += e->alpha * w / n;
    }
    if (span->basket) return;                           /* lines of an order follow nothing */
    for (isize i = max_isize(span->from, span->to - CLICKS_MAX); i + 1 < span->to; i++) {
        if (b->all[i].item != item) continue;
        touch(e, item);
        e->row_gram[item] += (1 - e->alpha) * w;
        for (isize next = i + 1; next < span->to && next - i <= GAP_MAX; next++) {
            touch(e, b->all[next].item);
            e->row_aim[b->all[next].item] += (1 - e->alpha) * w * e->follows[next - i - 1];
        }
    }
}

static void count_rows(struct equations *e)
{
    struct build *b = e->b;
    struct model *m = b->m;
    isize held = m->options.memory_bytes / (isize)sizeof(struct cell) / max_isize(1, m->card.items);
    isize most = min_isize(max_isize(held, CELLS_LEAST), CELLS_MAX);
    struct arena_mark mark = arena_mark(&b->scratch);
    for (u32 i = 0; i < m->items; i++) {
        for (u32 p = b->full_from[i]; p < b->full_from[i + 1]; p++) count_session(e, b->full[p], i);
        e->gram[i] = e->row_gram[i] + m->options.slist_lambda;
        e->aim[i] = e->row_aim[i];
        if (e->touched_n <= most) {
            for (isize t = 0; t < e->touched_n; t++) {
                u32 j = e->touched[t];
                if (j != i) vec_push(&e->cells, (struct cell){ j, (f32)e->row_gram[j], (f32)e->row_aim[j] });
            }
        } else {
            struct topk best = topk_new(&b->scratch, most);
            for (isize t = 0; t < e->touched_n; t++)
                if (e->touched[t] != i) topk_add(&best, e->touched[t], e->row_aim[e->touched[t]]);
            for (isize k = 0; k < best.n; k++) {
                u32 j = best.at[k].id;
                vec_push(&e->cells, (struct cell){ j, (f32)e->row_gram[j], (f32)e->row_aim[j] });
            }
            arena_reset(&b->scratch, mark);
        }
        assert(e->cells.n < (isize)UINT32_MAX);
        e->from[i + 1] = (u32)e->cells.n;
        untouch(e);
    }
}

/* G y = e_i: y into row_aim, the residues into row_gram. Each item waits in `queue` at most once. */
static void solve(struct equations *e, u32 item, u32 *queue, bool *waits)
{
    isize items = (isize)e->b->m->items, first = 0, waiting = 1, steps = 0;
    touch(e, item);
    e->row_gram[item] = 1;
    queue[0] = item;
    waits[item] = true;
    for (; waiting > 0 && steps < STEPS_MAX; steps++, waiting--) {
        u32 k = queue[first];
        first = first + 1 == items ? 0 : first + 1;
        waits[k] = false;
        f64 step = e->row_gram[k] / e->gram[k];
        e->row_gram[k] = 0;
        e->row_aim[k] += step;
        for (u32 c = e->from[k]; c < e->from[k + 1]; c++) {
            const struct cell *cell = &e->cells.at[c];
            touch(e, cell->item);
            f64 *left = &e->row_gram[cell->item];
            *left -= (f64)cell->gram * step;
            if (waits[cell->item] || fabs(*left) <= faint) continue;
            waits[cell->item] = true;
            isize last = first + waiting - 1;           /* k still counts as waiting */
            queue[last < items ? last : last - items] = cell->item;
            waiting++;
        }
    }
    for (; waiting > 0; waiting--, first = first + 1 == items ? 0 : first + 1) waits[queue[first]] = false;
}

static void solve_rows(struct equations *e)
{
    struct build *b = e->b;
    struct model *m = b->m;
    isize items = (isize)m->items;
    struct table *table = &m->tables[TABLE_SLIST];
    struct { struct pair *at; isize n, cap; } pairs = { 0 };
    table->from = arena_new(&m->arena, u32, items + 1);
    u32 *queue = arena_new(&b->scratch, u32, items + 1), *given = arena_new(&b->scratch, u32, items + 1);
    bool *waits = arena_new(&b->scratch, bool, items + 1);
    f64 *score = arena_new(&b->scratch, f64, items + 1);
    struct arena_mark mark = arena_mark(&b->scratch);
    for (u32 i = 0; i < m->items; i++) {
        table->from[i + 1] = (u32)pairs.n;
        if (b->full_from[i] == b->full_from[i + 1] || !is_asked(b, i) || told_to_stop(b)) continue;
        solve(e, i, queue, waits);
        isize given_n = 0;
        for (isize t = 0; t < e->touched_n; t++) {
            u32 k = e->touched[t];
            f64 y = e->row_aim[k];
            if (y <= 0 && y >= 0) continue;
            if (score[k] <= 0 && score[k] >= 0) given[given_n++] = k;
            score[k] += y * e->aim[k];
            for (u32 c = e->from[k]; c < e->from[k + 1]; c++) {
                u32 j = e->cells.at[c].item;
                if (score[j] <= 0 && score[j] >= 0) given[given_n++] = j;
                score[j] += y * (f64)e->cells.at[c].aim;
            }
        }
        struct topk best = topk_new(&b->scratch, m->options.slist_row);
        for (isize g = 0; g < given_n; g++) {
            if (score[given[g]] > 0) topk_add(&best, given[g], score[given[g]]);
            score[given[g]] = 0;
        }
        topk_finish(&best);
        for (isize k = 0; k < best.n; k++)
            vec_push(&pairs, (struct pair){ best.at[k].id, (f32)best.at[k].score });
        table->from[i + 1] = (u32)pairs.n;
        arena_reset(&b->scratch, mark);
        untouch(e);
    }
    assert(pairs.n < (isize)UINT32_MAX);
    table->pairs = arena_new(&m->arena, struct pair, pairs.n + 1);
    if (pairs.n) memcpy(table->pairs, pairs.at, (size_t)pairs.n * sizeof *pairs.at);
    vec_fini(&pairs);
}

void build_slist(struct build *b)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    if (!builds(b, RECOMMENDER_SLIST) || b->sessions == 0) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    struct equations e = {
        .b = b, .alpha = m->options.slist_alpha, .weight = arena_new(&b->scratch, f64, b->sessions + 1),
        .from = arena_new(&b->scratch, u32, items + 1), .gram = arena_new(&b->scratch, f64, items + 1),
        .aim = arena_new(&b->scratch, f64, items + 1), .row_gram = arena_new(&b->scratch, f64, items + 1),
        .row_aim = arena_new(&b->scratch, f64, items + 1), .touched = arena_new(&b->scratch, u32, items + 1),
        .is_touched = arena_new(&b->scratch, bool, items + 1),
    };
    for (isize gap = 0; gap <= GAP_MAX; gap++) e.follows[gap] = exp(-(f64)gap);
    for (isize s = 0; s < b->sessions; s++)
        e.weight[s] = faded(m->card.built_at_ms - b->spans[s].last_ms, m->options.slist_decay_days);
    count_rows(&e);
    solve_rows(&e);
    vec_fini(&e.cells);
    arena_reset(&b->scratch, mark);
}
