/* SPDX-License-Identifier: Apache-2.0
 *
 * blend.c - from a question to a list.
 *
 * Each recommender asked becomes a feed: candidates, best first, drawn one at a time. A candidate
 * is put to the filters when it is drawn, so a feed is drawn from until enough eligible ones were
 * found or nothing is left; what is filtered never costs a place. An eligible candidate's part is
 *
 *   weight * score / best
 *
 * with the best score of an eligible one in that feed: scores of different recommenders have nothing
 * in common but where their best stands. What any feed brought gets its part from every other, drawn there
 * or not. Parts are added, divided by the sum of weights, multiplied by the boost and sorted; group
 * caps act while places are taken. If places stay empty, more is drawn. The mix is the first tier, each
 * fallback is a tier of its own below it.
 *
 * What the person did lately is the context, latest first: the product in view, the cart, then
 * history back to the first gap of 30 minutes (where that leaves nothing, the last few items). The
 * latest item is never recommended, except by "recently viewed"; earlier ones may be. */
#include "recommend/inside.h"

#include <math.h>

#define SESSION_GAP_MS (30 * (i64)MINUTE_MS)
enum { BLOCK = 64, LAST_FEW = 3, DRAW_FIRST = 32, AHEAD_FIRST = 64, SAMPLED = 64, HISTORY_WALKED_MAX = 2 * HEARD_MAX, RECENT_MAX = 200,
    FURTHER = 5, FIRST_SPARE = 4 };

static const f64 own_weight = 1;                        /* of recommenders that know the person */
static const f64 everyones_weight = .3;                 /* and of those that do not */
static const f64 preference_step = .7;                  /* the next of the mix counts so much */
static const f64 too_faint = .03;                       /* what counts so little is not looked up */
static const f64 history_beside_cart = .3;

static const char *const names[RECOMMENDERS] = {
    [RECOMMENDER_SESSION] = "session",        [RECOMMENDER_COOC] = "cooc",
    [RECOMMENDER_TRENDING] = "trending",      [RECOMMENDER_BESTSELLERS] = "bestsellers",
    [RECOMMENDER_RECENT] = "recently_viewed", [RECOMMENDER_POPULAR] = "popular",
    [RECOMMENDER_RULES] = "rules",            [RECOMMENDER_EASE] = "ease",
    [RECOMMENDER_ALS] = "als",                [RECOMMENDER_CONTENT] = "content",
    [RECOMMENDER_BUNDLES] = "bundles",        [RECOMMENDER_COMPLEMENTS] = "complements",
    [RECOMMENDER_UPSELL] = "upsell",          [RECOMMENDER_OUTFIT] = "outfit",
    [RECOMMENDER_REPLENISH] = "replenish",    [RECOMMENDER_QUIZ] = "quiz",
    [RECOMMENDER_SLIST] = "slist",             [RECOMMENDER_SPECTRAL] = "spectral",
    [RECOMMENDER_TRENDING_HERE] = "trending_here", [RECOMMENDER_BESTSELLERS_HERE] = "bestsellers_here",
    [RECOMMENDER_POPULAR_HERE] = "popular_here",
};

const char *recommender_name(u8 recommender)
{
    assert(recommender < RECOMMENDERS);
    return names[recommender];
}

bool recommender_of(str name, u8 *out)
{
    for (u8 i = 0; i < RECOMMENDERS; i++)
        if (str_eq(name, str_of(names[i]))) { *out = i; return true; }
    *out = RECOMMENDER_COMPLEMENTS;
    return str_eq(name, S("crosssell"));
}

/* ---- what the person did ------------------------------------------------------------------- */

struct heard { u32 item; isize ago; f64 weight; bool pointed, wished; };       /* `ago` steps of the history; 0 for what is in view or in the cart */
struct context {
    u32 session[CONTEXT_MAX]; isize session_n;          /* latest first, distinct */
    struct heard *heard; isize heard_n, heard_most;     /* the same, further back: for tables and factors */
    u32 recent[RECENT_MAX]; isize recent_n;
    u32 dropped[RECENT_MAX]; isize dropped_n;           /* taken off the wish list: what was wished before that no longer counts */
    u32 latest;                                         /* 0: nothing is known */
};

static bool is_interest(const struct history_entry *e)
{
    if (e->item == 0 || (e->flags & HISTORY_BOT) || e->quantity < 0) return false;
    switch (e->type) {
    case EVENT_PRODUCT_VIEWED:
    case EVENT_PRODUCT_CLICKED:
    case EVENT_PRODUCT_ADDED:
    case EVENT_WISHLIST_ADDED:
    case EVENT_WISHLIST_CARTED:
    case EVENT_PRODUCT_SHARED:
    case EVENT_PRODUCT_PURCHASED:
    case EVENT_PRODUCT_REVIEWED:
    case EVENT_CONTENT_VIEWED:
        return true;
    default:
        return false;
    }
}

static bool holds(const u32 *items, isize n, u32 item)
{
    for (isize i = 0; i < n; i++)
        if (items[i] == item) return true;
    return false;
}

static void add_session(struct context *c, u32 item)
{
    if (c->session_n < CONTEXT_MAX && !holds(c->session, c->session_n, item))
        c->session[c->session_n++] = item;
}

static void add_heard(struct context *c, struct heard heard)
{
    for (isize i = 0; i < c->heard_n; i++)
        if (c->heard[i].item == heard.item) { c->heard[i].wished |= heard.wished; return; }
    if (c->heard_n < c->heard_most) c->heard[c->heard_n++] = heard;
}

static void context_read(struct context *c, const struct model *m, const struct recommend_query *q, arena *a)
{
    isize most = min_isize(m->options.heard, q->history_n + q->cart_n + 1);
    *c = (struct context){ .heard = arena_new(a, struct heard, most), .heard_most = most };
    bool pointed = q->product != 0 || q->cart_n > 0;
    if (q->product) {
        add_session(c, q->product);
        add_heard(c, (struct heard){ q->product, 0, 1, .pointed = true });
    }
    for (isize i = q->cart_n; i-- > 0;) {
        if (q->cart[i] == 0) continue;
        add_session(c, q->cart[i]);
        add_heard(c, (struct heard){ q->cart[i], 0, 1, .pointed = true });
    }
    i64 later_ms = q->now_ms;
    bool same_session = true, last_few = false;
    f64 weight = pointed ? history_beside_cart : 1;
    isize ago = 0;
    for (isize i = q->history_n, walked = 0; i-- > 0 && walked < HISTORY_WALKED_MAX; walked++) {
        const struct history_entry *e = &q->history[i];
        if (e->at_ms > q->now_ms) continue;
        if (same_session && later_ms - e->at_ms > SESSION_GAP_MS) {
            same_session = false;
            last_few = c->session_n == 0;
        }
        later_ms = e->at_ms;
        if (e->type == EVENT_WISHLIST_REMOVED && c->dropped_n < RECENT_MAX) c->dropped[c->dropped_n++] = e->item;
        if (!is_interest(e) || (e->type == EVENT_WISHLIST_ADDED && holds(c->dropped, c->dropped_n, e->item))) continue;
        if (same_session || (last_few && c->session_n < LAST_FEW)) add_session(c, e->item);
        add_heard(c, (struct heard){ e->item, ago++, weight, .wished = e->type == EVENT_WISHLIST_ADDED });
        bool content = (e->flags & HISTORY_CONTENT) || e->type == EVENT_CONTENT_VIEWED;
        bool looked = e->type == EVENT_PRODUCT_VIEWED || e->type == EVENT_PRODUCT_CLICKED ||
                      e->type == EVENT_CONTENT_VIEWED;
        if (looked && content == q->content && c->recent_n < RECENT_MAX &&
            !holds(c->recent, c->recent_n, e->item))
            c->recent[c->recent_n++] = e->item;
    }
    if (c->session_n) c->latest = c->session[0];
}

/* ---- feeds --------------------------------------------------------------------------------- */

/* Few of the many that were found are drawn, so they are not all sorted: of those that score below the last that were taken
 * ahead, about `ahead` of the best are put on a heap whenever it is empty. */
struct feed {
    struct scored *at;
    isize n, next;                                      /* a heap shrinks at n; a list goes on at next */
    bool heap;
    isize ahead;
    f64 below;
    isize taken;
    f64 weight, best, last;                             /* best: of an eligible one; 0: none was drawn. last: nothing left is above */
    u8 recommender;
    struct tally found;                                 /* what a heap is filled from, and scores by item: these, or */
    const f32 *by_item; u32 items;                      /* these, of so many */
    f32 *left, *tallest; isize blocks;                  /* or an array of all items: what is not yet drawn, and the most in each block */
};

static f64 feed_score(const struct feed *f, u32 item)
{
    if (f->by_item) return item < f->items ? (f64)f->by_item[item] : 0;
    if (f->found.slots) {
        isize at = tally_find(&f->found, item);
        return at < 0 ? 0 : f->found.at[at].score;
    }
    for (isize i = 0; i < f->n; i++)                    /* a short list */
        if (f->at[i].id == item) return f->at[i].score;
    return 0;
}

struct candidate {
    u32 item;
    bool asked, eligible, placed;
    f64 parts[RECOMMENDERS], boost;
};

struct kitchen {
    const struct model *m;
    const struct recommend_query *q;
    struct context context;
    struct neighbours near[2]; isize near_sets;         /* of the model, and of its fresh part */
    isize near_most;                                    /* so many of each */
    arena *a;
    struct tally known; /* item -> index into candidates, by its place in the tally */
    struct candidate *candidates; isize cap;
    struct recommended *list; isize listed;
    f64 total_weight;
};

/* Nobody can guess which of two it is, the processor neither: so nothing branches on it. */
static bool is_before(struct scored a, struct scored b)
{
    return (int)(a.score > b.score) | ((int)(a.score >= b.score) & (int)(a.id < b.id));
}

static void heap_down(struct scored *at, isize n, isize i)
{
    if (n == 0) return;
    struct scored moving = at[i];
    for (isize child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n) child += is_before(at[child + 1], at[child]);
        if (!is_before(at[child], moving)) break;
        at[i] = at[child];
    }
    at[i] = moving;
}

static f32 block_most(const f32 *at)
{
    f32 most[8] = { 0 };
    for (isize i = 0; i < BLOCK; i += 8)
        for (isize k = 0; k < 8; k++) most[k] = at[i + k] > most[k] ? at[i + k] : most[k];
    for (isize k = 1; k < 8; k++) most[0] = most[k] > most[0] ? most[k] : most[0];
    return most[0];
}

static bool block_draw(struct feed *f, struct scored *out)
{
    isize b = 0, i = 0;
    for (isize other = 1; other < f->blocks; other++)
        if (f->tallest[other] > f->tallest[b]) b = other;
    f32 most = f->tallest[b], *at = f->left + b * BLOCK;
    if (!(most > 0)) return false;
    while (at[i] < most) i++;
    *out = (struct scored){ (f64)most, (u32)(b * BLOCK + i) };
    at[i] = 0;
    f->tallest[b] = block_most(at);
    return true;
}

/* A score that about `want` of those below f->below reach, as some of them say; 0: all do. */
static f64 score_reached(const struct feed *f, isize want)
{
    f64 best[SAMPLED];
    isize step = f->found.n / SAMPLED + 1, looked = (f->found.n + step - 1) / step, place = want * looked / max_isize(f->found.n, 1), n = 0;
    if (place >= looked) return 0;
    for (isize i = 0; i < f->found.n; i += step) {
        f64 score = f->found.at[i].score;
        if (!(score > 0 && score < f->below) || (n > place && score <= best[place])) continue;
        isize at = n > place ? place : n++;
        for (; at > 0 && best[at - 1] < score; at--) best[at] = best[at - 1];
        best[at] = score;
    }
    return place < n ? best[place] : 0;
}

/* The upper rows of a heap hold nearly all that is drawn next. */
static void expect_upper(const struct kitchen *k, const struct feed *f)
{
    enum { UPPER = 31 };
    u32 items[UPPER];
    isize n = min_isize(f->n, UPPER);
    for (isize i = 0; i < n; i++) items[i] = f->at[i].id;
    if (k->q->expect) k->q->expect(k->q->ctx, items, n);
}

static bool heap_fill(const struct kitchen *k, struct feed *f)
{
    if (!(f->below > 0)) return false;
    f64 least = score_reached(f, f->ahead);
    const struct scored *all = f->found.at;
    for (isize i = 0; i < f->found.n; i++)
        if (all[i].score >= least && all[i].score < f->below && all[i].score > 0) f->at[f->n++] = all[i];
    for (isize i = f->n / 2; i-- > 0;) heap_down(f->at, f->n, i);
    expect_upper(k, f);
    f->below = least;
    f->ahead *= 4;
    return f->n > 0;
}

static bool feed_draw(const struct kitchen *k, struct feed *f, struct scored *out)
{
    if (f->left) return block_draw(f, out);
    if (f->heap) {
        if (f->n == 0 && !heap_fill(k, f)) return false;
        *out = f->at[0];
        f->at[0] = f->at[--f->n];
        heap_down(f->at, f->n, 0);
        return true;
    }
    if (f->next == f->n) return false;
    *out = f->at[f->next++];
    return true;
}

static struct feed heap_feed(const struct kitchen *k, u8 recommender, struct tally tally)
{
    return (struct feed){ .at = arena_room(k->a, struct scored, tally.n + 1), .heap = true, .ahead = AHEAD_FIRST, .below = HUGE_VAL,
                          .recommender = recommender, .found = tally };
}

/* Of all items: a few are drawn, so they are not sorted. Each draw looks for the tallest block, and for the item in it. */
static struct feed scores_feed(const struct kitchen *k, u8 recommender, const f32 *by_item)
{
    const struct model *m = k->m;
    isize items = (isize)m->items;
    struct feed f = { .blocks = (items + BLOCK - 1) / BLOCK, .recommender = recommender, .by_item = by_item, .items = m->items };
    f.left = arena_new(k->a, f32, f.blocks * BLOCK);
    f.tallest = arena_new(k->a, f32, f.blocks);
    memcpy(f.left, by_item, (size_t)items * sizeof *by_item);
    f.left[0] = 0;
    if (m->contents > 0)
        for (u32 i = 1; i < m->items; i++)
            if (model_is_content(m, i) != k->q->content) f.left[i] = 0;
    for (isize b = 0; b < f.blocks; b++) f.tallest[b] = block_most(f.left + b * BLOCK);
    return f;
}

static const u8 table_of[RECOMMENDERS] = {              /* + 1 */
    [RECOMMENDER_COOC] = TABLE_COOC + 1, [RECOMMENDER_RULES] = TABLE_RULES + 1, [RECOMMENDER_EASE] = TABLE_EASE + 1,
    [RECOMMENDER_SLIST] = TABLE_SLIST + 1, [RECOMMENDER_CONTENT] = TABLE_CONTENT + 1, [RECOMMENDER_BUNDLES] = TABLE_BUNDLES + 1,
    [RECOMMENDER_UPSELL] = TABLE_UPSELL + 1, [RECOMMENDER_COMPLEMENTS] = TABLE_COMPLEMENTS + 1, [RECOMMENDER_OUTFIT] = TABLE_COMPLEMENTS + 1,
    [RECOMMENDER_SPECTRAL] = TABLE_SPECTRAL + 1,
};

static f64 step_of(const struct model *m, u8 recommender)
{
    const struct recommend_options *o = &m->options;
    return recommender == RECOMMENDER_RULES ? o->rules_step : recommender == RECOMMENDER_EASE ? o->ease_step
         : recommender == RECOMMENDER_SLIST ? o->slist_step
         : recommender == RECOMMENDER_ALS ? o->als_step : recommender == RECOMMENDER_SPECTRAL ? o->spectral_step
         : o->cooc_step;
}

/* Adds to what somebody chose, rather than to their taste: asked of the product in view and the cart, of the wish list, else of
 * the latest item alone. What stands in a role already taken is no addition. */
static bool completes(u8 recommender)
{
    return recommender == RECOMMENDER_BUNDLES || recommender == RECOMMENDER_COMPLEMENTS || recommender == RECOMMENDER_OUTFIT;
}

static bool is_anchor(const struct context *c, isize i, u8 recommender)
{
    if (c->heard[i].pointed || (recommender == RECOMMENDER_OUTFIT && c->heard[i].wished)) return true;
    for (isize k = 0; k < c->heard_n; k++)
        if (c->heard[k].pointed || (recommender == RECOMMENDER_OUTFIT && c->heard[k].wished)) return false;
    return i == 0;
}

/* What each heard item counts for this recommender. */
static f64 *heard_weights(const struct kitchen *k, u8 recommender)
{
    const struct context *c = &k->context;
    f64 *weight = arena_new(k->a, f64, c->heard_n + 1), step = step_of(k->m, recommender), by = 1;
    for (isize i = 0, ago = 0; i < c->heard_n; i++) {
        for (; ago < c->heard[i].ago; ago++) by *= step;
        weight[i] = c->heard[i].weight * by;
        if (completes(recommender) || recommender == RECOMMENDER_UPSELL) weight[i] = is_anchor(c, i, recommender);
        if (weight[i] < too_faint || c->heard[i].item >= k->m->items) weight[i] = 0;
    }
    return weight;
}

static struct feed table_feed(const struct kitchen *k, u8 recommender)
{
    const struct table *t = &k->m->tables[table_of[recommender] - 1];
    const struct context *c = &k->context;
    if (!t->from) return (struct feed){ .recommender = recommender };
    const f64 *weight = heard_weights(k, recommender);
    isize most = 0;
    for (isize i = 0; i < c->heard_n; i++)
        if (weight[i] > 0) most += (isize)(t->from[c->heard[i].item + 1] - t->from[c->heard[i].item]);
    /* Many long rows fill one array of all items faster than they find themselves in a table. */
    f32 *dense = most > 2 * (isize)k->m->items ? arena_new(k->a, f32, (isize)k->m->items) : NULL;
    struct tally tally = tally_new(k->a, dense ? 0 : min_isize(most / 2, (isize)k->m->items));
    bool contents = k->m->contents > 0;
    for (isize i = 0; i < c->heard_n; i++) {
        if (weight[i] <= 0) continue;
        u32 item = c->heard[i].item;
        for (u32 r = t->from[item]; r < t->from[item + 1]; r++) {
            const struct pair *p = &t->pairs[r];
            if (dense) dense[p->item] += (f32)(weight[i] * (f64)p->score);
            else if ((contents && model_is_content(k->m, p->item)) == k->q->content) tally_add(&tally, p->item, weight[i] * (f64)p->score);
        }
    }
    return dense ? scores_feed(k, recommender, dense) : heap_feed(k, recommender, tally);
}

static struct feed factors_feed(const struct kitchen *k)
{
    const struct model *m = k->m;
    const struct context *c = &k->context;
    const f64 *weight = heard_weights(k, RECOMMENDER_ALS);
    u32 *items = arena_new(k->a, u32, c->heard_n + 1);
    isize n = 0;
    for (isize i = 0; i < c->heard_n; i++)
        if (weight[i] > 0) items[n++] = c->heard[i].item;
    if (!m->factors.d || n == 0) return (struct feed){ .recommender = RECOMMENDER_ALS };
    f32 *scores = arena_new(k->a, f32, (isize)m->items);
    f64 lambda = m->options.als_lambda * ((f64)n + m->factors.alpha * (f64)m->items);
    factors_score(&m->factors, m->items, factors_of_person(&m->factors, items, n, lambda, k->a), scores);
    return scores_feed(k, RECOMMENDER_ALS, scores);
}

static const u8 ranking_of[RECOMMENDERS] = {
    [RECOMMENDER_TRENDING] = RANKING_TRENDING, [RECOMMENDER_BESTSELLERS] = RANKING_BESTSELLERS, [RECOMMENDER_POPULAR] = RANKING_POPULAR,
    [RECOMMENDER_TRENDING_HERE] = RANKING_TRENDING, [RECOMMENDER_BESTSELLERS_HERE] = RANKING_BESTSELLERS,
    [RECOMMENDER_POPULAR_HERE] = RANKING_POPULAR,
};

static struct feed ranking_feed(const struct kitchen *k, u8 recommender)
{
    const struct ranking *r = &k->m->rankings[k->q->content][ranking_of[recommender]];
    return (struct feed){ .at = r->at, .n = r->n, .recommender = recommender, .by_item = k->m->ranked[ranking_of[recommender]],
                          .items = k->m->items };
}

bool recommender_is_here(u8 recommender)
{
    return recommender == RECOMMENDER_TRENDING_HERE || recommender == RECOMMENDER_BESTSELLERS_HERE || recommender == RECOMMENDER_POPULAR_HERE;
}

/* The store's, else the country's, else everybody's. */
static struct feed here_feed(const struct kitchen *k, u8 recommender)
{
    const struct local *local = local_find(k->m, k->q->store, k->q->country);
    if (!local) return ranking_feed(k, recommender);
    struct tally found = local->lists[k->q->content][ranking_of[recommender]].found;
    return (struct feed){ .at = found.at, .n = found.n, .recommender = recommender, .found = found };
}

static struct feed recent_feed(const struct kitchen *k)
{
    struct feed f = { .at = arena_new(k->a, struct scored, k->context.recent_n + 1), .n = k->context.recent_n,
                      .recommender = RECOMMENDER_RECENT };
    for (isize i = 0; i < f.n; i++) f.at[i] = (struct scored){ (f64)(f.n - i), k->context.recent[i] };
    return f;
}

/* What was bought and is due again, most due first: a want rises to its day, stays for a while and is then forgotten. */
static struct feed replenish_feed(const struct kitchen *k)
{
    enum { DUE_MOST = 200 };
    static const f64 early = .95, forgotten = 4;
    const struct recommend_query *q = k->q;
    u32 *asked = arena_new(k->a, u32, DUE_MOST);
    struct tally due = tally_new(k->a, DUE_MOST);
    isize asked_n = 0;
    for (isize i = q->history_n; i-- > 0 && asked_n < DUE_MOST;) {
        const struct history_entry *e = &q->history[i];
        if (e->type != EVENT_PRODUCT_PURCHASED || e->quantity <= 0 || e->at_ms > q->now_ms || holds(asked, asked_n, e->item)) continue;
        asked[asked_n++] = e->item;                     /* the latest purchase of it counts */
        f64 days = model_repurchase_days(k->m, e->item), share = days > 0 ? (f64)(q->now_ms - e->at_ms) / (f64)DAY_MS / days : 0;
        if (share >= early && share <= forgotten) tally_add(&due, e->item, exp(-fabs(share - 1)));
    }
    return heap_feed(k, RECOMMENDER_REPLENISH, due);
}

static struct feed session_feed(struct kitchen *k)
{
    const struct context *c = &k->context;
    const struct model *fresh = atomic_load_explicit(&k->m->fresh, memory_order_acquire);
    if (!k->near_sets) {
        k->near[k->near_sets++] = sknn_neighbours(k->m, c->session, c->session_n, k->near_most, k->a);
        if (fresh) k->near[k->near_sets++] = sknn_neighbours(fresh, c->session, c->session_n, k->near_most, k->a);
    }
    return heap_feed(k, RECOMMENDER_SESSION, sknn_score(k->m, k->near, k->near_sets, c->latest, k->q->content, k->a));
}

static struct feed feed_open(struct kitchen *k, u8 recommender)
{
    assert(recommender < RECOMMENDERS);
    switch ((enum recommender)recommender) {
    case RECOMMENDER_SESSION:
        return session_feed(k);
    case RECOMMENDER_COOC: case RECOMMENDER_RULES: case RECOMMENDER_EASE: case RECOMMENDER_SLIST: case RECOMMENDER_CONTENT: case RECOMMENDER_BUNDLES:
    case RECOMMENDER_COMPLEMENTS: case RECOMMENDER_UPSELL: case RECOMMENDER_OUTFIT: case RECOMMENDER_SPECTRAL:
        return table_feed(k, recommender);
    case RECOMMENDER_ALS:
        return factors_feed(k);
    case RECOMMENDER_RECENT:
        return recent_feed(k);
    case RECOMMENDER_TRENDING: case RECOMMENDER_BESTSELLERS: case RECOMMENDER_POPULAR:
        return ranking_feed(k, recommender);
    case RECOMMENDER_TRENDING_HERE: case RECOMMENDER_BESTSELLERS_HERE: case RECOMMENDER_POPULAR_HERE:
        return here_feed(k, recommender);
    case RECOMMENDER_REPLENISH:
        return replenish_feed(k);
    case RECOMMENDER_QUIZ:
        return heap_feed(k, recommender, quiz_score(k->m, k->q->answers, min_isize(k->q->answers_n, 64), k->q->content, k->a));
    case RECOMMENDERS: break;
    }
    return (struct feed){ .recommender = recommender };
}

/* ---- drawing and placing ------------------------------------------------------------------- */

static struct candidate *candidate_of(struct kitchen *k, u32 item)
{
    isize at = tally_find(&k->known, item), room = k->known.mask;
    if (at >= 0) return &k->candidates[at];
    at = k->known.n;
    tally_add(&k->known, item, 0);
    if (k->known.mask != room) {                        /* as it grows, so do they */
        struct candidate *moved = arena_room(k->a, struct candidate, (k->known.mask + 1) / 2 + 1);
        memcpy(moved, k->candidates, (size_t)at * sizeof *moved);
        k->candidates = moved;
    }
    k->candidates[at] = (struct candidate){ .item = item };
    return &k->candidates[at];
}

static bool may_stand(struct kitchen *k, struct candidate *c)
{
    if (c->asked) return c->eligible;
    const struct recommend_query *q = k->q;
    c->asked = true;
    c->eligible = c->item != q->product && !holds(q->cart, q->cart_n, c->item)
        && (!q->eligible || q->eligible(q->ctx, c->item));
    c->boost = c->eligible && q->boost ? q->boost(q->ctx, c->item) : 1;
    return c->eligible;
}

static u32 role_of(const struct kitchen *k, u32 item) { return item < k->m->items ? k->m->role[item] : 0; }

/* Of an outfit each role is filled once; an addition is never of a role that what it is added to has. */
static bool role_is_taken(const struct kitchen *k, const struct feed *f, u32 item)
{
    u32 role = role_of(k, item);
    const struct context *c = &k->context;
    if (!role || !completes(f->recommender)) return false;
    for (isize i = 0; i < c->heard_n; i++)
        if (role_of(k, c->heard[i].item) == role && is_anchor(c, i, f->recommender)) return true;
    for (isize i = 0; f->recommender == RECOMMENDER_OUTFIT && i < k->known.n; i++) {
        const struct candidate *other = &k->candidates[i];
        if (other->item != item && other->parts[RECOMMENDER_OUTFIT] > 0 && role_of(k, other->item) == role) return true;
    }
    return false;
}

/* Draws until `want` eligible ones were found in all. False when nothing is left. */
static bool feed_fill(struct kitchen *k, struct feed *f, isize want)
{
    struct scored drawn;
    while (f->taken < want) {
        bool there = feed_draw(k, f, &drawn) && drawn.score > 0;
        f->last = there ? drawn.score : 0;
        if (!there) return false;
        if (drawn.id == k->context.latest && f->recommender != RECOMMENDER_RECENT && f->recommender != RECOMMENDER_REPLENISH) continue;
        struct candidate *c = candidate_of(k, drawn.id);
        if (!may_stand(k, c) || role_is_taken(k, f, drawn.id)) continue;
        if (f->taken++ == 0) f->best = drawn.score;
        c->parts[f->recommender] = f->weight * drawn.score / f->best;
    }
    return true;
}

static bool group_is_full(const struct kitchen *k, u32 item)
{
    const struct recommend_query *q = k->q;
    for (isize g = 0; q->group && g < GROUPINGS; g++) {
        if (q->max_per_group[g] <= 0) continue;
        u32 group = q->group(q->ctx, g, item);
        isize in = 0;
        for (isize i = 0; i < k->listed && group; i++) in += q->group(q->ctx, g, k->list[i].item) == group;
        if (in >= q->max_per_group[g] && group != 0) return true;
    }
    return false;
}

/* Fills places from what the tier's feeds have brought so far. `below`: a fallback stays below. */
static void place(struct kitchen *k, const struct feed *feeds, isize feeds_n, bool below)
{
    struct scored *heap = arena_room(k->a, struct scored, k->known.n + 1);
    isize n = 0;
    for (isize i = 0; i < k->known.n; i++) {
        struct candidate *c = &k->candidates[i];
        f64 sum = 0;
        if (!c->eligible || c->placed) continue;
        for (isize f = 0; f < feeds_n; f++) {
            f64 *part = &c->parts[feeds[f].recommender];
            u8 by = feeds[f].recommender;
            bool hushed = c->item == k->context.latest && by != RECOMMENDER_RECENT && by != RECOMMENDER_REPLENISH;
            if (feeds_n > 1 && feeds[f].best > 0 && !hushed && !completes(feeds[f].recommender))
                *part = feeds[f].weight * fmin(1, fmax(0, feed_score(&feeds[f], c->item) / feeds[f].best));
            sum += *part;
        }
        if (sum > 0)
            heap[n++] = (struct scored){ sum / k->total_weight * c->boost, c->item };
    }
    for (isize i = n / 2; i-- > 0;) heap_down(heap, n, i);
    f64 scale = 1;
    if (below && k->listed > 0 && n > 0 && heap[0].score > k->list[k->listed - 1].score)
        scale = k->list[k->listed - 1].score / heap[0].score;
    for (; n > 0 && k->listed < k->q->limit; heap[0] = heap[--n], heap_down(heap, n, 0)) {
        if (group_is_full(k, heap[0].id)) continue;
        struct candidate *c = candidate_of(k, heap[0].id);
        struct recommended *r = &k->list[k->listed];
        *r = (struct recommended){ .item = c->item, .score = heap[0].score * scale };
        f64 most = 0;
        for (u8 p = 0; p < RECOMMENDERS; p++) {
            r->parts[p] = c->parts[p];
            if (c->parts[p] > most) { most = c->parts[p]; r->source = p; }
        }
        for (isize f = 0; f < feeds_n && !below; f++)
            r->heights[feeds[f].recommender] = (u8)lround(255 * fmin(1, c->parts[feeds[f].recommender] / feeds[f].weight));
        c->placed = true;
        k->listed++;
    }
}

/* Of its mix: each next counts less, and less what is everybody's. */
static f64 weight_of(const struct recommend_query *q, u8 r, isize place)
{
    bool everyones = r == RECOMMENDER_TRENDING || r == RECOMMENDER_BESTSELLERS || r == RECOMMENDER_POPULAR || recommender_is_here(r);
    return q->weight[r] > 0 ? q->weight[r] : (everyones ? everyones_weight : own_weight) * pow(preference_step, (f64)place);
}

void recommend_weights(const u8 *mix, isize mix_n, const f64 *given, f64 *out)
{
    struct recommend_query q = { 0 };
    memcpy(q.weight, given, sizeof q.weight);
    memset(out, 0, sizeof q.weight);
    for (isize i = 0; i < mix_n; i++) out[mix[i]] = weight_of(&q, mix[i], i);
}

/* Whether what nobody drew yet is worth no more than its scores say: a boost may lift anything, and what completes gives its part only to what
 * is drawn of it. */
static bool can_settle(const struct kitchen *k, const struct feed *feeds, isize n)
{
    bool can = !k->q->boost;
    for (isize i = 0; i < n; i++) can &= !completes(feeds[i].recommender);
    return can;
}

/* Whether nothing that was not drawn yet could take a place: what stands below the last drawn of every feed does not add up to the last of
 * the list. */
static bool is_settled(const struct kitchen *k, const struct feed *feeds, isize n)
{
    f64 most = 0;
    for (isize i = 0; i < n; i++) most += feeds[i].best > 0 ? feeds[i].weight * feeds[i].last / feeds[i].best : 0;
    return k->list[k->listed - 1].score > most / k->total_weight;
}

static void serve_tier(struct kitchen *k, const u8 *recommenders, isize n, bool below)
{
    struct feed feeds[RECOMMENDERS];
    isize before = k->listed;
    assert(n <= RECOMMENDERS);
    k->total_weight = 0;
    for (isize i = 0; i < n; i++) {
        u8 r = recommenders[i];
        feeds[i] = feed_open(k, r);
        feeds[i].weight = weight_of(k->q, r, i);
        k->total_weight += feeds[i].weight;
    }
    /* With one feed and nothing to reorder it, the first that are eligible are the list. */
    bool plain = n == 1 && !k->q->boost && !k->q->group;
    /* Twice as many as are wanted are a list. Half as many again are enough most times, and then it is known that they are. */
    isize whole = max_isize(DRAW_FIRST, 2 * k->q->limit), want = whole;
    if (plain) want = k->q->limit;
    else if (!below && can_settle(k, feeds, n)) want = min_isize(whole, FIRST_SPARE + k->q->limit * 3 / 2);
    for (;; want = want < whole ? whole : 4 * want) {
        bool more = false;
        for (isize i = 0; i < n; i++) more |= feed_fill(k, &feeds[i], want);
        while (k->listed > before) { /* what comes now may stand higher: places are taken anew */
            u32 item = k->list[--k->listed].item;
            candidate_of(k, item)->placed = false;
        }
        place(k, feeds, n, below);
        if (!more || (k->listed == k->q->limit && (plain || want >= whole || is_settled(k, feeds, n)))) return;
    }
}

/* What the likest sessions hold is a list nearly always. Where a filter leaves too little of it there are more of them. */
static bool may_look_further(const struct kitchen *k)
{
    for (isize set = 0; set < k->near_sets && k->listed < k->q->limit; set++)
        if (k->near[set].n == k->near_most) return true;
    return false;
}

static void look_further(struct kitchen *k)
{
    k->near_sets = 0;
    k->near_most *= FURTHER;
    k->listed = 0;
    for (isize i = 0; i < k->known.n; i++) {
        k->candidates[i].placed = false;
        memset(k->candidates[i].parts, 0, sizeof k->candidates[i].parts);
    }
    serve_tier(k, k->q->mix, k->q->mix_n, false);
}

/* Where people look at one thing twice running, that is the likeliest next thing of all. */
static void place_latest(struct kitchen *k)
{
    const struct recommend_query *q = k->q;
    struct recommended latest = { .item = k->context.latest, .score = q->latest_score, .source = RECOMMENDER_RECENT };
    if (q->latest_score <= 0 || !latest.item) return;
    if (k->m->again && latest.item < k->m->items) latest.score *= pow((f64)k->m->again[latest.item], k->m->options.again_power);
    struct candidate *c = candidate_of(k, latest.item);
    if (c->placed || !may_stand(k, c)) return;
    isize at = k->listed;
    while (at > 0 && k->list[at - 1].score < latest.score) at--;
    if (at == q->limit) return;
    k->listed += k->listed < q->limit;
    memmove(k->list + at + 1, k->list + at, (size_t)(k->listed - at - 1) * sizeof *k->list);
    latest.parts[RECOMMENDER_RECENT] = latest.score;
    k->list[at] = latest;
}

/* ---- because ------------------------------------------------------------------------------- */

/* What each item of the context gave to each item of the list. `listed` has a bit for each item of the list, by its last
 * six: of the thousands that gave something, most are not on it. */
enum { CHAINS = 256 };
struct reasons {
    const struct kitchen *k;
    u64 listed;
    i16 first[CHAINS], *next;       /* places by their item's last eight bits; -1: no more */
    f64 (*session)[CONTEXT_MAX];    /* place by item of the session */
    f64 *heard, *now;               /* place by item heard: of all tables; of the one looked at */
};

static isize place_of(const struct reasons *reasons, u32 item)  /* -1: not on the list */
{
    isize at = reasons->first[item % CHAINS];
    while (at >= 0 && reasons->k->list[at].item != item) at = reasons->next[at];
    return at;
}

static void session_gave(void *ctx, u32 item, isize ago, f64 score)
{
    struct reasons *reasons = ctx;
    isize place = place_of(reasons, item);
    if (place >= 0) reasons->session[place][ago] += score;
}

static void table_gave(struct reasons *reasons, u8 recommender)
{
    const struct kitchen *k = reasons->k;
    const struct context *c = &k->context;
    const struct table *t = &k->m->tables[table_of[recommender] - 1];
    const f64 *weight = heard_weights(k, recommender);
    for (isize i = 0; i < c->heard_n; i++) {
        if (weight[i] <= 0) continue;
        for (u32 at = t->from[c->heard[i].item]; at < t->from[c->heard[i].item + 1]; at++) {
            isize place = place_of(reasons, t->pairs[at].item);
            if (place >= 0) reasons->now[place * c->heard_n + i] += weight[i] * fmax(0, (f64)t->pairs[at].score);
        }
    }
}

/* A taste is a sum of items, so what lies closest to the one recommended brought it. */
static void factors_gave(struct reasons *reasons)
{
    const struct kitchen *k = reasons->k;
    const struct context *c = &k->context;
    const struct factors *f = &k->m->factors;
    const f64 *weight = heard_weights(k, RECOMMENDER_ALS);
    for (isize l = 0; l < k->listed; l++)
        for (isize i = 0; i < c->heard_n; i++) {
            if (weight[i] <= 0 || k->list[l].item >= k->m->items) continue;
            const f32 *mine = f->items + (isize)c->heard[i].item * f->d, *its = f->items + (isize)k->list[l].item * f->d;
            f64 dot = 0;
            for (isize d = 0; d < f->d; d++) dot += (f64)(mine[d] * its[d]);
            reasons->now[l * c->heard_n + i] += weight[i] * fmax(0, dot);
        }
}

/* Gifts of one recommender, scaled to the part it has in the item. */
static void add_gifts(struct reasons *reasons, u8 recommender)
{
    const struct kitchen *k = reasons->k;
    isize n = k->context.heard_n;
    for (isize l = 0; l < k->listed; l++) {
        f64 all = 0, *now = reasons->now + l * n;
        for (isize i = 0; i < n; i++) all += now[i];
        for (isize i = 0; i < n; i++) {
            if (all > 0) reasons->heard[l * n + i] += now[i] / all * k->list[l].parts[recommender];
            now[i] = 0;
        }
    }
}

/* The two that gave most. */
static void name_reasons(const struct context *c, struct recommended *r, const f64 *session, const f64 *heard, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    u32 *item = arena_new(a, u32, c->session_n + c->heard_n + 1);
    f64 *gave = arena_new(a, f64, c->session_n + c->heard_n + 1), all = 0;
    isize n = 0;
    for (isize i = 0; i < c->session_n; i++) all += session[i];
    for (; n < c->session_n; n++) {
        item[n] = c->session[n];
        gave[n] = all > 0 ? session[n] / all * r->parts[RECOMMENDER_SESSION] : 0;
    }
    for (isize i = 0; i < c->heard_n; i++) {
        if (heard[i] <= 0) continue;
        isize at = 0;
        while (at < n && item[at] != c->heard[i].item) at++;
        if (at == n) item[n++] = c->heard[i].item;
        gave[at] += heard[i];
    }
    while (r->because_n < countof(r->because)) {
        isize most = -1;
        for (isize i = 0; i < n; i++)
            if (gave[i] > 0 && item[i] != r->item && (most < 0 || gave[i] > gave[most])) most = i;
        if (most < 0) break;
        r->because[r->because_n++] = item[most];
        gave[most] = 0;
    }
    arena_reset(a, mark);
}

static void explain(struct kitchen *k)
{
    isize n = k->context.heard_n;
    struct reasons reasons = { .k = k, .heard = arena_new(k->a, f64, k->listed * n + 1), .now = arena_new(k->a, f64, k->listed * n + 1) };
    reasons.session = arena_alloc(k->a, (isize)sizeof *reasons.session, (isize)_Alignof(f64), k->listed + 1);
    reasons.next = arena_room(k->a, i16, k->listed + 1);
    memset(reasons.first, -1, sizeof reasons.first);
    u32 by = 0;
    for (isize i = 0; i < k->listed; i++) {
        reasons.listed |= (u64)1 << (k->list[i].item & 63);
        reasons.next[i] = reasons.first[k->list[i].item % CHAINS];
        reasons.first[k->list[i].item % CHAINS] = (i16)i;
        for (u8 r = 0; r < RECOMMENDERS; r++) by |= (u32)(k->list[i].parts[r] > 0) << r;
    }
    for (isize set = 0; set < k->near_sets && (by >> RECOMMENDER_SESSION & 1); set++)
        sknn_shares(&k->near[set], reasons.listed, &reasons, session_gave);
    for (u8 r = 0; r < RECOMMENDERS; r++) {
        if (!(by >> r & 1) || (!table_of[r] && r != RECOMMENDER_ALS)) continue;
        if (table_of[r]) table_gave(&reasons, r);
        else factors_gave(&reasons);
        add_gifts(&reasons, r);
    }
    for (isize i = 0; i < k->listed; i++)
        if (k->list[i].parts[RECOMMENDER_QUIZ] > 0)
            k->list[i].answer = (u8)(1 + quiz_reason(k->m, k->q->answers, min_isize(k->q->answers_n, 64), k->list[i].item));
    for (isize i = 0; i < k->listed; i++)
        name_reasons(&k->context, &k->list[i], reasons.session[i], reasons.heard + i * n, k->a);
}

/* How near the people were who brought it. */
static void name_places(struct kitchen *k)
{
    const struct local *local = local_find(k->m, k->q->store, k->q->country);
    for (isize i = 0; local && i < k->listed; i++) {
        if (!recommender_is_here(k->list[i].source)) continue;
        const struct local_list *list = &local->lists[k->q->content][ranking_of[k->list[i].source]];
        isize at = tally_find(&list->found, k->list[i].item);
        if (at >= 0) k->list[i].near = list->near[at];
    }
}

isize recommend(const struct model *model, const struct recommend_query *query, arena *a,
                struct recommended **out)
{
    struct recommend_query bounded = *query;
    bounded.limit = min_isize(max_isize(query->limit, 0), LIMIT_MAX);
    query = &bounded;
    assert(query->mix_n <= RECOMMENDERS && query->fallback_n <= RECOMMENDERS);
    struct kitchen k = { .m = model, .q = query, .near_most = model ? model->options.neighbours : 0, .a = a };
    k.list = arena_new(a, struct recommended, query->limit + 1);
    *out = k.list;
    if (!model || query->limit == 0) return 0;
    k.known = tally_new(a, 4 * max_isize(DRAW_FIRST, 2 * query->limit));
    k.candidates = arena_room(a, struct candidate, (k.known.mask + 1) / 2 + 1);
    context_read(&k.context, model, query, a);

    serve_tier(&k, query->mix, query->mix_n, false);
    if (may_look_further(&k)) look_further(&k);
    for (isize i = 0; i < query->fallback_n && k.listed < query->limit; i++)
        serve_tier(&k, &query->fallback[i], 1, true);
    place_latest(&k);
    if (!query->unexplained) name_places(&k);
    if (!query->unexplained) explain(&k);
    return k.listed;
}
