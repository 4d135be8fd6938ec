/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c - everything that can be known before anybody asks.
 *
 * Interactions are sorted (session, time, item and the rest) before anything is counted, so the
 * order they came in does not matter, not even in the last digit. Of each session the latest
 * `kept` distinct items are kept. From these sessions come
 *
 *   postings    item -> sessions, newest first, capped: what session kNN walks (sknn.c)
 *   tables      item -> items that go with it (table.c, ease.c, slist.c)
 *   factors     items as vectors (als.c)
 *   rankings    trending, best-sellers, popular; of products and of content; of countries and
 *   stores (places.c)
 *
 * Popular is a count with a half-life of 14 days, weighted by what was done. Trending compares the
 * rate of the last days (half-life 2 days) with the long one: with a Gamma(a, a) prior on their ratio
 * the posterior mean is (a + s) / (a + e), s the short count and e what the long rate promised. The
 * ratio alone puts rumours first, so it is multiplied by log(1 + s + e).
 *
 * The working space goes when the model stands. */
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

#define POPULAR_HALF_LIFE_MS (14 * DAY_MS)
#define TRENDING_HALF_LIFE_MS (2 * DAY_MS)
static const f64 kind_weight[] = {
    [INTERACTION_VIEWED] = 1, [INTERACTION_ADDED] = 3, [INTERACTION_PURCHASED] = 5, [INTERACTION_CONTENT] = 1,
};
static const f64 basket_weight = 2;                     /* bought together says more than seen together */

struct recommend_options recommend_defaults(void)
{
    return (struct recommend_options){
        .sessions_per_item = 1000,
        .neighbours = 100,
        .session_items = 10,
        .kept = 100,
        .session_decay_days = 30,
        .idf = 1,
        .position_decay = 3,
        .distance_decay = 5,
        .heard = 100,
        .cooc_row = 100,
        .cooc_decay_days = 90,
        .cooc_shrink = 1,
        .cooc_norm = .5,
        .cooc_step = .6,
        .rules_window = 5,
        .rules_norm = .5,
        .rules_step = .6,
        .ease_items = 5000,
        .ease_row = 200,
        .ease_lambda = 100,
        .ease_decay_days = 90,
        .ease_step = .6,
        .slist_row = 200,
        .slist_alpha = .4,
        .slist_lambda = 10,
        .slist_decay_days = 30,
        .slist_step = .4,
        .als_dims = 64,
        .als_rounds = 10,
        .als_unseen = 400,
        .als_lambda = .003,
        .als_step = 1,
        .spectral_dims = 64,
        .spectral_row = 100,
        .spectral_step = .6,
        .memory_bytes = (isize)512 << 20,
        .seed = 1,
    };
}

/* ---- order --------------------------------------------------------------------------------- */

static int by_session(const void *left, const void *right)
{
    const struct interaction *a = left, *b = right;
    if (a->session != b->session) return a->session < b->session ? -1 : 1;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    if (a->item != b->item) return a->item < b->item ? -1 : 1;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->weight != b->weight) return a->weight < b->weight ? -1 : 1;
    if (a->person != b->person) return a->person < b->person ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static int newest_first(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    if (a->last_ms != b->last_ms) return a->last_ms > b->last_ms ? -1 : 1;
    return a->session > b->session ? -1 : a->session < b->session;
}

static int best_first(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    if (a->score > b->score || a->score < b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* ---- sessions and postings ----------------------------------------------------------------- */

/* The distinct items of a span into `out`, in the order of their last appearance. */
static isize span_items(const struct interaction *all, struct span span, isize most, u32 *seen_in,
                        u32 mark, u32 *out)
{
    isize n = 0;
    for (isize i = span.to; i-- > span.from && n < most;) {
        if (seen_in[all[i].item] == mark) continue;
        seen_in[all[i].item] = mark;
        out[n++] = all[i].item;
    }
    for (isize i = 0; i < n / 2; i++) {
        u32 swap = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    return n;
}

static void build_sessions(struct build *b, i64 now_ms)
{
    struct model *m = b->m;
    b->spans = arena_new(&b->scratch, struct span, b->n + 1);
    for (isize i = 0; i < b->n;) {
        isize to = i;
        while (to < b->n && b->all[to].session == b->all[i].session) to++;
        b->spans[b->sessions++] = (struct span){ b->all[to - 1].at_ms,
                                                 b->all[i].session,
                                                 b->all[i].person,
                                                 i,
                                                 to,
                                                 b->all[i].kind == INTERACTION_PURCHASED };
        i = to;
    }
    qsort(b->spans, (size_t)b->sessions, sizeof *b->spans, newest_first);

    u32 *seen_in = arena_new(&b->scratch, u32, (isize)m->items + 1);
    u32 *kept = arena_new(&b->scratch, u32, b->n + 1);
    m->session_from = arena_new(&m->arena, u32, b->sessions + 1);
    b->weight = arena_new(&b->scratch, u16, b->sessions + 1);
    b->fresh = arena_new(&b->scratch, f64, b->sessions + 1);
    isize used = 0;
    for (isize s = 0; s < b->sessions; s++) {
        struct span span = b->spans[s];
        isize n = span_items(b->all, span, m->options.kept, seen_in, (u32)s + 1, kept + used);
        i64 age_ms = now_ms - span.last_ms;
        used += n;
        m->session_from[s + 1] = (u32)used;
        b->weight[s] = weight_packed((f32)(faded(age_ms, m->options.session_decay_days)
                                           / pow((f64)n, m->options.session_length)));
        b->fresh[s] = faded(age_ms, m->options.cooc_decay_days) * (span.basket ? basket_weight : 1);
    }
    m->session_items = arena_new(&m->arena, u32, used + 1);
    memcpy(m->session_items, kept, (size_t)used * sizeof *kept);
    m->card.sessions = b->sessions;
}

static void build_postings(struct build *b)
{
    struct model *m = b->m;
    isize items = (isize)m->items, entries = (isize)m->session_from[b->sessions];
    b->full_from = arena_new(&b->scratch, u32, items + 2);
    b->full = arena_new(&b->scratch, u32, entries + 1);
    struct posting *postings = arena_new(&b->scratch, struct posting, entries + 1);
    for (isize i = 0; i < entries; i++) b->full_from[m->session_items[i] + 1]++;
    for (isize i = 0; i < items; i++) b->full_from[i + 1] += b->full_from[i];
    u32 *at = arena_new(&b->scratch, u32, items + 1);
    for (isize s = 0; s < b->sessions; s++)
        for (u32 i = m->session_from[s]; i < m->session_from[s + 1]; i++) {
            u32 item = m->session_items[i], from = m->session_from[s],
                after = m->session_from[s + 1] - i - 1, to = b->full_from[item] + at[item]++;
            b->full[to] = (u32)s;
            postings[to] = (struct posting){ from, b->weight[s], (u8)min_isize(i - from, PLACE_FAR),
                                             (u8)min_isize(after, DISTANCE_MAX) };
        }

    m->posting_from = arena_new(&m->arena, u32, items + 1);
    m->idf = arena_new(&m->arena, f32, items + 1);
    for (isize i = 0; i < items; i++) {
        isize in = (isize)(b->full_from[i + 1] - b->full_from[i]);
        m->posting_from[i + 1] = m->posting_from[i] + (u32)min_isize(in, m->options.sessions_per_item);
        if (in > 0) m->idf[i] = (f32)pow(1 + log((f64)b->sessions / (f64)in), m->options.idf);
        m->card.items += in > 0;
    }
    m->postings = arena_new(&m->arena, struct posting, (isize)m->posting_from[items] + 1);
    for (isize i = 0; i < items; i++) {
        size_t n = m->posting_from[i + 1] - m->posting_from[i];
        memcpy(m->postings + m->posting_from[i], postings + b->full_from[i], n * sizeof *m->postings);
    }
}

/* A rate of few looks is pulled towards that of all. */
static void build_again(struct build *b)
{
    static const f64 prior = 20;
    struct model *m = b->m;
    f64 looks = 0, twice = 0;
    struct arena_mark mark = arena_mark(&b->scratch);
    u32 *looked = arena_new(&b->scratch, u32, (isize)m->items + 1),
        *again = arena_new(&b->scratch, u32, (isize)m->items + 1);
    for (isize i = 0; i + 1 < b->n; i++) {
        if (b->all[i].session != b->all[i + 1].session) continue;
        looks++;
        looked[b->all[i].item]++;
        again[b->all[i].item] += b->all[i].item == b->all[i + 1].item;
        twice += b->all[i].item == b->all[i + 1].item;
    }
    if (twice > 0) {
        m->again = arena_new(&m->arena, f32, (isize)m->items + 1);
        for (u32 i = 0; i < m->items; i++)
            m->again[i] = (f32)((again[i] + prior * twice / looks) / (looked[i] + prior) / (twice / looks));
    }
    arena_reset(&b->scratch, mark);
}

/* ---- lists for everybody ------------------------------------------------------------------- */

struct counts counts_room(arena *a, isize items)
{
    return (struct counts){ arena_new(a, f64, items + 1),
                            arena_new(a, f64, items + 1),
                            arena_new(a, f64, items + 1),
                            { 0 },
                            { 0 } };
}

void counts_clear(struct counts *c, isize items)
{
    f64 *const lists[] = { c->popular, c->bought, c->lately };
    for (isize k = 0; k < countof(lists); k++) memset(lists[k], 0, (size_t)(items + 1) * sizeof **lists);
    for (isize content = 0; content < 2; content++) c->all_popular[content] = c->all_lately[content] = 0;
}

void count_one(const struct model *m, const struct interaction *it, i64 now_ms, struct counts *into)
{
    f64 weight = kind_weight[it->kind] * (it->weight ? it->weight : 1);
    f64 is = decay(weight, now_ms - it->at_ms, POPULAR_HALF_LIFE_MS);
    f64 was = decay(weight, now_ms - it->at_ms, TRENDING_HALF_LIFE_MS);
    bool content = model_is_content(m, it->item);
    into->popular[it->item] += is;
    into->lately[it->item] += was;
    into->all_popular[content] += is;
    into->all_lately[content] += was;
    if (it->kind == INTERACTION_PURCHASED) into->bought[it->item] += is;
}

static void build_rankings(struct build *b, i64 now_ms)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    struct counts c = counts_room(&b->scratch, items);
    for (isize i = 0; i < b->n; i++) count_one(m, &b->all[i], now_ms, &c);
    b->counts = c;
    struct arena_mark mark = arena_mark(&b->scratch);
    for (int kind = 0; kind < RANKINGS; kind++) m->ranked[kind] = arena_new(&m->arena, f32, items + 1);
    for (int content = 0; content < 2; content++)
        for (int kind = 0; kind < RANKINGS; kind++) {
            arena_reset(&b->scratch, mark);
            struct scored *list = arena_new(&b->scratch, struct scored, items + 1);
            isize n = 0;
            for (isize i = 1; i < items; i++) {
                if (b->full_from[i] == b->full_from[i + 1] ||
                    model_is_content(m, (u32)i) != (bool)content)
                    continue;
                f64 score = c.popular[i];
                if (kind == RANKING_BESTSELLERS) {
                    if (c.bought[i] <= 0) continue;     /* what nobody bought sells not at all */
                    score = c.bought[i];
                }
                if (kind == RANKING_TRENDING) {
                    f64 promised = c.all_popular[content] > 0 ? c.popular[i] * c.all_lately[content]
                                                                    / c.all_popular[content]
                                                              : 0;
                    score = (trending_prior + c.lately[i]) / (trending_prior + promised)
                            * log1p(c.lately[i] + promised);
                }
                list[n++] = (struct scored){ score, (u32)i };
            }
            qsort(list, (size_t)n, sizeof *list, best_first);
            struct ranking *into = &m->rankings[content][kind];
            into->at = arena_new(&m->arena, struct scored, n + 1);
            into->n = n;
            memcpy(into->at, list, (size_t)n * sizeof *list);
            for (isize i = 0; i < n; i++) m->ranked[kind][list[i].id] = (f32)list[i].score;
        }
}

void model_ask_anew(struct model *m)
{
    for (isize i = 0; i < CONTEXT_MAX; i++)
        m->position_weight[i] = (f32)exp(-(f64)i / m->options.position_decay);
    for (isize i = 0; i <= DISTANCE_MAX; i++)
        m->distance_weight[DISTANCE_MAX - i] = m->distance_weight[DISTANCE_MAX + i] =
            (f32)exp(-(f64)i / m->options.distance_decay);
}

static void step_done(const struct model *m)
{
    if (m->options.progress) atomic_fetch_add_explicit(m->options.progress, 1, memory_order_relaxed);
}

static void bitset_give_back(void *b) { bitset_free(b); }

struct model *model_build(const struct interaction *interactions, isize n, u32 items, i64 now_ms,
                          const struct recommend_options *options, const struct catalog *catalog)
{
    return model_build_for(interactions, n, items, now_ms, options, catalog, NULL);
}

struct model *model_build_for(const struct interaction *interactions, isize n, u32 items,
                              i64 now_ms, const struct recommend_options *options,
                              const struct catalog *catalog, const struct bitset *asked)
{
    i64 started_us = clock_monotonic_us();
    arena own = { 0 };
    algebra_start();
    struct model *m = arena_new(&own, struct model, 1);
    m->arena = own;
    m->items = items;
    m->options = options ? *options : recommend_defaults();
    assert(m->options.sessions_per_item > 0 && m->options.neighbours > 0 && m->options.cooc_row > 0);
    assert(m->options.session_items > 0 && m->options.kept > 0 && m->options.heard > 0);
    m->options.heard = min_isize(m->options.heard, HEARD_MAX);
    m->options.session_items = min_isize(m->options.session_items, CONTEXT_MAX);
    m->content = bitset_new(items + 1);
    arena_defer(&m->arena, bitset_give_back, m->content);

    struct build b = { .m = m, .asked = asked };
    b.all = arena_new(&b.scratch, struct interaction, n + 1);
    for (isize i = 0; i < n; i++) {
        struct interaction it = interactions[i];
        if (it.item == 0 || it.item >= items) continue;
        if (m->options.places_n == 0) it.place = 0;
        assert(it.kind <= INTERACTION_CONTENT && (it.place == 0 || it.place < m->options.places_n));
        if (it.kind == INTERACTION_CONTENT) bitset_set(m->content, it.item);
        b.all[b.n++] = it;
    }
    assert(b.n < INT32_MAX);
    m->contents = bitset_count(m->content);
    qsort(b.all, (size_t)b.n, sizeof *b.all, by_session);

    m->card = (struct model_card){ .built_at_ms = now_ms, .interactions = b.n };
    for (isize i = 0; i < b.n; i++) {
        if (i == 0 || b.all[i].at_ms < m->card.from_ms) m->card.from_ms = b.all[i].at_ms;
        if (i == 0 || b.all[i].at_ms > m->card.to_ms) m->card.to_ms = b.all[i].at_ms;
    }
    model_ask_anew(m);

    build_sessions(&b, now_ms);
    step_done(m);
    build_postings(&b);
    build_again(&b);
    step_done(m);
    build_rankings(&b, now_ms);
    step_done(m);
    build_places(&b, now_ms);
    step_done(m);
    build_goods(&b, catalog);
    step_done(m);
    build_together(&b);
    step_done(m);
    build_replenish(&b);
    step_done(m);
    build_tables(&b);
    step_done(m);
    build_slist(&b);
    step_done(m);
    build_ease(&b);
    step_done(m);
    build_factors(&b);
    step_done(m);
    build_spectral(&b);
    step_done(m);
    arena_fini(&b.scratch);
    m->options.progress = NULL;                         /* the model outlives whoever asked */
    m->options.stop = NULL;
    m->options.places = NULL;
    m->options.places_n = 0;
    m->card.built = (m->options.only ? m->options.only | RECOMMENDERS_ALWAYS : UINT32_MAX)
                    & ((1U << RECOMMENDERS) - 1);
    m->card.memory_limit = m->options.memory_bytes;
    m->card.bytes = m->arena.used + (isize)(items / 8);
    m->card.took_us = clock_monotonic_us() - started_us;
    return m;
}

void model_free(struct model *model)
{
    if (!model) return;
    model_free((struct model *)(uintptr_t)atomic_load(&model->fresh));
    arena own = model->arena;                           /* the model stands in its own arena */
    arena_fini(&own);
}

struct model_card model_card(const struct model *model) { return model->card; }

void model_popularity(const struct model *model, f32 *out, isize n)
{
    const struct ranking *popular = &model->rankings[0][RANKING_POPULAR];
    memset(out, 0, (size_t)n * sizeof *out);
    f64 most = popular->n ? log1p(popular->at[0].score) : 0;
    for (isize i = 0; i < popular->n && most > 0; i++)
        if ((isize)popular->at[i].id < n) out[popular->at[i].id] = (f32)(log1p(popular->at[i].score) / most);
}
