/* SPDX-License-Identifier: Apache-2.0
 *
 * results.c - exposures, and the sums that every result is made of.
 *
 * A person's exposures say what they saw and what came of it; a cell sums one variation and day of
 * first exposure over people. When anything about a person changes (a view, an order, a refund, a
 * merge), what they put in is taken out whole and put in anew. So the sums are right after any
 * history, and a merge that joins two variations takes the person out of the analysis by itself.
 */
#include "fold/inside.h"

void cells_init(struct cells *cells) { cells->by_key = map_new(64); }

void cells_fini(struct cells *cells)
{
    vec_fini(&cells->all);
    vec_fini(&cells->dirty);
    map_free(cells->by_key);
}

static void codec_i128(struct codec *c, i128 *v)
{
    u64 low = (u64)*v;
    i64 high = (i64)(*v >> 64);
    codec_u64(c, &low);
    codec_i64(c, &high);
    *v = ((i128)high << 64) | low;
}

static void visit_cell(struct codec *c, struct cell *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_i32(c, &v->day);
    codec_u16(c, &v->currency);
    i64 *const sums[] = { &v->exposed, &v->clicked, &v->views,         &v->clicks,
                          &v->buyers,  &v->orders,  &v->revenue_minor, &v->orders_sq };
    for (isize i = 0; i < countof(sums); i++) codec_i64(c, sums[i]);
    codec_i128(c, &v->revenue_sq);
}

void cell_encode(const struct cell *cell, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct cell copy = *cell;
    visit_cell(&c, &copy);
}

/* Of whom all was taken out again: it counts as never made, as it is when those are erased and the
 * log is replayed. */
static bool is_empty(const struct cell *c)
{
    return !(c->exposed | c->clicked | c->views | c->clicks | c->buyers | c->orders
             | c->revenue_minor | c->orders_sq)
           && !c->revenue_sq;
}

static void digest(struct cells *cells, const struct cell *cell, bool add)
{
    if (is_empty(cell)) return;
    struct buf bytes = { 0 };
    cell_encode(cell, &bytes);
    struct hash128 h = hash128(buf_str(&bytes), 0);
    hash128_sum(&cells->digest, h, add);
    buf_fini(&bytes);
}

static struct hash128 cell_key(const struct cell *c)
{
    char key[12];
    store_u32le(key, c->campaign);
    store_u32le(key + 4, (u32)c->day);
    store_u16le(key + 8, (u16)(c->experience << 8 | c->variation));
    store_u16le(key + 10, c->currency);
    return hash128((str){ key, sizeof key }, 7);
}

static struct cell *cell_need(struct cells *cells, struct cell like, u32 *index)
{
    u64 at = map_get(cells->by_key, cell_key(&like), 0);
    if (at == 0) {
        vec_push(&cells->all, like);
        at = (u64)cells->all.n;
        map_put(cells->by_key, cell_key(&like), at);
        digest(cells, &cells->all.at[at - 1], true);
    }
    *index = (u32)at;
    return &cells->all.at[at - 1];
}

static void cell_add(struct cells *cells, const struct exposure *x, int sign)
{
    u32 index;
    struct cell *cell = cell_need(cells,
                                  (struct cell){ .campaign = x->campaign,
                                                 .experience = x->experience,
                                                 .variation = x->variation,
                                                 .day = (i32)(x->first_at_ms / DAY_MS),
                                                 .currency = x->currency },
                                  &index);
    digest(cells, cell, false);
    cell->exposed += sign;
    cell->clicked += sign * (x->clicks > 0);
    cell->views += sign * (i64)x->views;
    cell->clicks += sign * (i64)x->clicks;
    cell->buyers += sign * (x->orders > 0);
    cell->orders += sign * (i64)x->orders;
    cell->orders_sq += sign * (i64)x->orders * (i64)x->orders;
    cell->revenue_minor += sign * x->revenue_minor;
    cell->revenue_sq += sign * ((i128)x->revenue_minor * x->revenue_minor);
    digest(cells, cell, true);
    vec_push(&cells->dirty, index);
}

void cells_count(struct fold *fold, const struct exposure *exposures, isize n, int sign)
{
    for (isize i = 0; i < n;) {
        isize end = i + 1;
        while (end < n && exposures[end].campaign == exposures[i].campaign) end++;
        struct exposure whole;
        if (exposures_whole(exposures + i, end - i, &whole)) cell_add(&fold->cells, &whole, sign);
        else fold->totals.mixed += sign;
        i = end;
    }
}

/* Orders in the window after an exposure's first view: how many, and their worth. */
void exposures_recount(struct profile_edit *edit, const struct history_entry *history,
                       isize history_n, i64 window_ms)
{
    for (isize i = 0; i < edit->exposures.n; i++) {
        struct exposure *x = &edit->exposures.at[i];
        u32 orders = 0;
        i64 revenue = 0;
        u16 counted = 0;
        for (isize k = 0; k < history_n; k++) {
            const struct history_entry *e = &history[k];
            bool money = e->type == EVENT_ORDER_COMPLETED || e->type == EVENT_ORDER_REFUNDED;
            if (!money || e->at_ms < x->first_at_ms || e->at_ms - x->first_at_ms > window_ms) continue;
            if (counted == 0) counted = e->currency;
            if (counted != e->currency) continue;
            orders += e->type == EVENT_ORDER_COMPLETED;
            revenue += e->value_minor;
        }
        x->orders = orders;
        x->revenue_minor = revenue;
        x->currency = counted;
    }
}

static bool sorts_before(const struct exposure *a, const struct exposure *b)
{
    if (a->campaign != b->campaign) return a->campaign < b->campaign;
    return a->node < b->node;
}

static struct exposure *exposure_need(struct profile_edit *edit, arena *a, struct exposure like)
{
    isize i = 0;
    while (i < edit->exposures.n && sorts_before(&edit->exposures.at[i], &like)) i++;
    bool same = i < edit->exposures.n && edit->exposures.at[i].campaign == like.campaign
             && edit->exposures.at[i].node == like.node;
    if (same) {
        struct exposure *x = &edit->exposures.at[i];
        if (x->experience != like.experience || x->variation != like.variation) x->flags |= EXPOSURE_MIXED;
        return x;
    }
    isize n = edit->exposures.n;
    struct exposure *wide = arena_new(a, struct exposure, n + 1);
    for (isize k = 0; k < i; k++) wide[k] = edit->exposures.at[k];
    for (isize k = i; k < n; k++) wide[k + 1] = edit->exposures.at[k];
    wide[i] = like;
    edit->exposures.at = wide;
    edit->exposures.n = edit->exposures.cap = n + 1;
    return &wide[i];
}

static void exposure_see(struct profile_edit *edit, arena *a, struct exposure like, bool clicked)
{
    struct exposure *x = exposure_need(edit, a, like);
    x->last_at_ms = max_i64(x->last_at_ms, like.first_at_ms);
    if (clicked) x->clicks++;
    else x->views++;
}

void exposure_viewed(struct profile_edit *edit, arena *a, const struct ticket *ticket, u32 node,
                     i64 at_ms, bool clicked)
{
    struct exposure programme = {
        .campaign = 0, .variation = ticket->programme_holdout, .node = node, .first_at_ms = at_ms
    };
    exposure_see(edit, a, programme, clicked);
    if (!ticket->campaign) return;
    struct exposure own = { .campaign = ticket->campaign,
                            .experience = ticket->experience,
                            .variation = ticket->variation,
                            .node = node,
                            .first_at_ms = at_ms };
    exposure_see(edit, a, own, clicked);
}

enum err cells_load(struct cells *cells, str bytes)
{
    struct codec c = codec_reader(bytes, NULL);
    struct cell v = { 0 };
    visit_cell(&c, &v);
    if (c.failed || c.in.len) return ERR_DAMAGED;
    vec_push(&cells->all, v);
    map_put(cells->by_key, cell_key(&v), (u64)cells->all.n);
    digest(cells, &v, true);
    return ERR_OK;
}

u32 cells_dirty_next(struct cells *cells) { return cells->dirty.n ? cells->dirty.at[--cells->dirty.n] : 0; }
