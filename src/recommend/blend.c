/* SPDX-License-Identifier: Apache-2.0
 *
 * blend.c - from a question to a list.
 *
 * Each recommender asked becomes a feed: candidates, best first, drawn one at a time. A candidate
 * is put to the filters when it is drawn, so a feed is drawn from until enough eligible ones were
 * found or nothing is left; what is filtered never costs a place. An eligible candidate's part is
 *
 *   weight * 2 / (2 + rank)
 *
 * with its rank among the eligible of that feed; equal scores share the rank. Ranks rather than
 * scores, because scores of different recommenders have nothing in common. Parts are added,
 * divided by the sum of weights, multiplied by the boost and sorted; group caps act while places
 * are taken. If places stay empty, more is drawn. The mix is the first tier, each fallback is a
 * tier of its own below it.
 *
 * What the person did lately is the context, latest first: the product in view, the cart, then
 * history back to the first gap of 30 minutes (where that leaves nothing, the last few items). The
 * latest item is never recommended, except by "recently viewed"; earlier ones may be. */
#include "recommend/inside.h"

#include <math.h>

#define SESSION_GAP_MS (30 * (i64)MINUTE_MS)
enum { LAST_FEW = 3, DRAW_FIRST = 32, HISTORY_WALKED_MAX = 2000, COOC_CONTEXT = 20, RECENT_MAX = 200 };

static const f64 rank_half = 2;                         /* the third has half the part of the first */
static const f64 own_weight = 1;                        /* of recommenders that know the person */
static const f64 everyones_weight = .3;                 /* and of those that do not */
static const f64 preference_step = .5;                  /* the next of the mix counts half */
static const f64 cooc_step = .8;                        /* an item one step older */
static const f64 history_beside_cart = .3;

static const char *const names[RECOMMENDERS] = {
    [RECOMMENDER_SESSION] = "session",        [RECOMMENDER_COOC] = "cooc",
    [RECOMMENDER_TRENDING] = "trending",      [RECOMMENDER_BESTSELLERS] = "bestsellers",
    [RECOMMENDER_RECENT] = "recently_viewed", [RECOMMENDER_POPULAR] = "popular",
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
    return false;
}

/* ---- what the person did ------------------------------------------------------------------- */

struct context {
    u32 session[CONTEXT_MAX]; isize session_n;          /* latest first, distinct */
    struct { u32 item; f64 weight; } cooc[COOC_CONTEXT]; isize cooc_n;
    u32 recent[RECENT_MAX]; isize recent_n;
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

static void add_cooc(struct context *c, u32 item, f64 weight)
{
    for (isize i = 0; i < c->cooc_n; i++)
        if (c->cooc[i].item == item) return;
    if (c->cooc_n < COOC_CONTEXT) {
        c->cooc[c->cooc_n].item = item;
        c->cooc[c->cooc_n++].weight = weight;
    }
}

static void context_read(struct context *c, const struct recommend_query *q)
{
    memset(c, 0, sizeof *c);
    bool pointed = q->product != 0 || q->cart_n > 0;
    if (q->product) {
        add_session(c, q->product);
        add_cooc(c, q->product, 1);
    }
    for (isize i = q->cart_n; i-- > 0;) {
        if (q->cart[i] == 0) continue;
        add_session(c, q->cart[i]);
        add_cooc(c, q->cart[i], 1);
    }
    i64 later_ms = q->now_ms;
    bool same_session = true, last_few = false;
    f64 weight = pointed ? history_beside_cart : 1;
    for (isize i = q->history_n, walked = 0; i-- > 0 && walked < HISTORY_WALKED_MAX; walked++) {
        const struct history_entry *e = &q->history[i];
        if (e->at_ms > q->now_ms) continue;
        if (same_session && later_ms - e->at_ms > SESSION_GAP_MS) {
            same_session = false;
            last_few = c->session_n == 0;
        }
        later_ms = e->at_ms;
        if (!is_interest(e)) continue;
        if (same_session || (last_few && c->session_n < LAST_FEW)) add_session(c, e->item);
        add_cooc(c, e->item, weight);
        weight *= cooc_step;
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

struct feed {
    struct scored *at;
    isize n, next;                                      /* a heap shrinks at n; a list goes on at next */
    bool heap;
    isize taken;
    f64 score_before, rank;
    f64 weight;
    u8 recommender;
};

struct candidate {
    u32 item;
    bool asked, eligible, placed;
    isize place;
    f64 parts[RECOMMENDERS], boost, score;
};

struct kitchen {
    const struct model *m;
    const struct recommend_query *q;
    struct context context;
    struct neighbours near;
    arena *a;
    struct tally known; /* item -> index into candidates, by its place in the tally */
    struct candidate *candidates; isize cap;
    struct recommended *list; isize listed;
    f64 total_weight;
};

static bool is_before(struct scored a, struct scored b)
{
    return a.score > b.score || (a.score >= b.score && a.id < b.id);
}

static void heap_down(struct scored *at, isize n, isize i)
{
    if (n == 0) return;
    struct scored moving = at[i];
    for (isize child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_before(at[child + 1], at[child])) child++;
        if (!is_before(at[child], moving)) break;
        at[i] = at[child];
    }
    at[i] = moving;
}

static bool feed_draw(struct feed *f, struct scored *out)
{
    if (f->next == f->n) return false;
    if (!f->heap) { *out = f->at[f->next++]; return true; }
    *out = f->at[0];
    f->at[0] = f->at[--f->n];
    heap_down(f->at, f->n, 0);
    return true;
}

static struct feed heap_feed(u8 recommender, struct tally tally)
{
    struct feed f = { .at = tally.at, .n = tally.n, .heap = true, .recommender = recommender };
    for (isize i = tally.n / 2; i-- > 0;) heap_down(f.at, f.n, i);
    return f;
}

static struct tally cooc_score(const struct kitchen *k)
{
    const struct context *c = &k->context;
    isize most = 0;
    for (isize i = 0; i < c->cooc_n; i++) {
        u32 item = c->cooc[i].item;
        if (item < k->m->items) most += (isize)(k->m->row_from[item + 1] - k->m->row_from[item]);
    }
    struct tally tally = tally_new(k->a, min_isize(most, k->m->card.items));
    for (isize i = 0; i < c->cooc_n; i++) {
        u32 item = c->cooc[i].item;
        if (item >= k->m->items) continue;
        for (u32 r = k->m->row_from[item]; r < k->m->row_from[item + 1]; r++)
            if (model_is_content(k->m, k->m->rows[r].item) == k->q->content)
                tally_add(&tally, k->m->rows[r].item, c->cooc[i].weight * (f64)k->m->rows[r].score);
    }
    return tally;
}

static struct feed feed_open(struct kitchen *k, u8 recommender)
{
    const struct model *m = k->m;
    switch (recommender) {
    case RECOMMENDER_SESSION:
        if (!k->near.at) k->near = sknn_neighbours(m, k->context.session, k->context.session_n, k->a);
        return heap_feed(recommender, sknn_score(m, &k->near, k->context.session, k->q->content, k->a));
    case RECOMMENDER_COOC:
        return heap_feed(recommender, cooc_score(k));
    case RECOMMENDER_RECENT: {
        struct feed f = { .at = arena_new(k->a, struct scored, k->context.recent_n + 1),
                          .n = k->context.recent_n };
        for (isize i = 0; i < f.n; i++) f.at[i] = (struct scored){ (f64)(f.n - i), k->context.recent[i] };
        f.recommender = recommender;
        return f;
    }
    default: {
        static const u8 ranking_of[RECOMMENDERS] = {
            [RECOMMENDER_TRENDING] = RANKING_TRENDING, [RECOMMENDER_BESTSELLERS] = RANKING_BESTSELLERS,
            [RECOMMENDER_POPULAR] = RANKING_POPULAR,
        };
        assert(recommender < RECOMMENDERS);
        const struct ranking *r = &m->rankings[k->q->content][ranking_of[recommender]];
        return (struct feed){ .at = r->at, .n = r->n, .recommender = recommender };
    }
    }
}

/* ---- drawing and placing ------------------------------------------------------------------- */

static struct candidate *candidate_of(struct kitchen *k, u32 item)
{
    isize before = k->known.n;
    if (2 * (before + 1) > k->known.mask) {             /* twice the room, and everything found anew */
        struct tally bigger = tally_new(k->a, 2 * (before + 8));
        for (isize i = 0; i < before; i++) tally_add(&bigger, k->known.at[i].id, 0);
        struct candidate *moved = arena_new(k->a, struct candidate, (bigger.mask + 1) / 2 + 1);
        if (before) memcpy(moved, k->candidates, (size_t)before * sizeof *moved);
        k->known = bigger;
        k->candidates = moved;
    }
    tally_add(&k->known, item, 0);
    isize at = (isize)k->known.slots[tally_find(&k->known, item)] - 1;
    k->candidates[at].item = item;
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

/* Draws until `want` eligible ones were found in all. False when nothing is left. */
static bool feed_fill(struct kitchen *k, struct feed *f, isize want)
{
    struct scored drawn;
    while (f->taken < want) {
        if (!feed_draw(f, &drawn)) return false;
        if (drawn.id == k->context.latest && f->recommender != RECOMMENDER_RECENT) continue;
        struct candidate *c = candidate_of(k, drawn.id);
        if (!may_stand(k, c)) continue;
        if (f->taken == 0 || drawn.score < f->score_before) f->rank = (f64)f->taken;
        f->score_before = drawn.score;
        f->taken++;
        c->parts[f->recommender] = f->weight * rank_half / (rank_half + f->rank);
    }
    return true;
}

static bool group_is_full(const struct kitchen *k, u32 item)
{
    const struct recommend_query *q = k->q;
    if (!q->group || q->max_per_group <= 0) return false;
    u32 group = q->group(q->ctx, item);
    isize in = 0;
    for (isize i = 0; i < k->listed && group; i++) in += q->group(q->ctx, k->list[i].item) == group;
    return in >= q->max_per_group && group != 0;
}

/* Fills places from what the tier's feeds have brought so far. `below`: a fallback stays below. */
static void place(struct kitchen *k, const struct feed *feeds, isize feeds_n, bool below)
{
    struct scored *heap = arena_new(k->a, struct scored, k->known.n + 1);
    isize n = 0;
    for (isize i = 0; i < k->known.n; i++) {
        struct candidate *c = &k->candidates[i];
        f64 sum = 0;
        for (isize f = 0; f < feeds_n; f++) sum += c->parts[feeds[f].recommender];
        if (c->eligible && !c->placed && sum > 0)
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
        c->placed = true;
        c->place = k->listed++;
    }
}

static void serve_tier(struct kitchen *k, const u8 *recommenders, isize n, bool below)
{
    struct feed feeds[RECOMMENDERS];
    isize before = k->listed;
    assert(n <= RECOMMENDERS);
    k->total_weight = 0;
    for (isize i = 0; i < n; i++) {
        u8 r = recommenders[i];
        bool everyones =
            r == RECOMMENDER_TRENDING || r == RECOMMENDER_BESTSELLERS || r == RECOMMENDER_POPULAR;
        feeds[i] = feed_open(k, r);
        feeds[i].weight = k->q->weight[r] > 0 ? k->q->weight[r]
            : (everyones ? everyones_weight : own_weight) * pow(preference_step, (f64)i);
        k->total_weight += feeds[i].weight;
    }
    /* With one feed and nothing to reorder it, the first that are eligible are the list. */
    bool plain = n == 1 && !k->q->boost && !k->q->group;
    for (isize want = plain ? k->q->limit : max_isize(DRAW_FIRST, 2 * k->q->limit);; want *= 4) {
        bool more = false;
        for (isize i = 0; i < n; i++) more |= feed_fill(k, &feeds[i], want);
        while (k->listed > before) { /* what comes now may stand higher: places are taken anew */
            u32 item = k->list[--k->listed].item;
            candidate_of(k, item)->placed = false;
        }
        place(k, feeds, n, below);
        if (k->listed == k->q->limit || !more) return;
    }
}

/* ---- because ------------------------------------------------------------------------------- */

/* What each item of the context gave to each item of the list. `listed` has a bit for each item of the list, by its last
 * six: of the thousands that gave something, most are not on it. */
struct reasons { const struct kitchen *k; u64 listed; f64 (*session)[CONTEXT_MAX], (*cooc)[COOC_CONTEXT]; };

static isize place_of(const struct reasons *reasons, u32 item)  /* -1: not on the list */
{
    const struct kitchen *k = reasons->k;
    if (!(reasons->listed >> (item & 63) & 1)) return -1;
    u32 at = k->known.slots[tally_find(&k->known, item)];
    return at && k->candidates[at - 1].placed ? k->candidates[at - 1].place : -1;
}

static void session_gave(void *ctx, u32 item, isize ago, f64 score)
{
    struct reasons *reasons = ctx;
    isize place = place_of(reasons, item);
    if (place >= 0) reasons->session[place][ago] += score;
}

static void cooc_gave(struct reasons *reasons)
{
    const struct context *c = &reasons->k->context;
    const struct model *m = reasons->k->m;
    for (isize i = 0; i < c->cooc_n; i++) {
        if (c->cooc[i].item >= m->items) continue;
        for (u32 at = m->row_from[c->cooc[i].item]; at < m->row_from[c->cooc[i].item + 1]; at++) {
            isize place = place_of(reasons, m->rows[at].item);
            if (place >= 0) reasons->cooc[place][i] += c->cooc[i].weight * (f64)m->rows[at].score;
        }
    }
}

/* The two that gave most, each recommender's gifts scaled to the part it has in the item. */
static void name_reasons(const struct context *c, struct recommended *r, const f64 *session, const f64 *cooc)
{
    u32 item[CONTEXT_MAX + COOC_CONTEXT];
    f64 gave[CONTEXT_MAX + COOC_CONTEXT] = { 0 }, all = 0;
    isize n = 0;
    for (isize i = 0; i < c->session_n; i++) all += session[i];
    for (; n < c->session_n; n++) {
        item[n] = c->session[n];
        gave[n] = all > 0 ? session[n] / all * r->parts[RECOMMENDER_SESSION] : 0;
    }
    all = 0;
    for (isize i = 0; i < c->cooc_n; i++) all += cooc[i];
    for (isize i = 0; i < c->cooc_n && all > 0; i++) {
        isize at = 0;
        while (at < n && item[at] != c->cooc[i].item) at++;
        if (at == n) item[n++] = c->cooc[i].item;
        gave[at] += cooc[i] / all * r->parts[RECOMMENDER_COOC];
    }
    while (r->because_n < countof(r->because)) {
        isize most = -1;
        for (isize i = 0; i < n; i++)
            if (gave[i] > 0 && item[i] != r->item && (most < 0 || gave[i] > gave[most])) most = i;
        if (most < 0) return;
        r->because[r->because_n++] = item[most];
        gave[most] = 0;
    }
}

static void explain(struct kitchen *k)
{
    struct reasons reasons = { .k = k };
    reasons.session = arena_alloc(k->a, (isize)sizeof *reasons.session, (isize)_Alignof(f64), k->listed + 1);
    reasons.cooc = arena_alloc(k->a, (isize)sizeof *reasons.cooc, (isize)_Alignof(f64), k->listed + 1);
    bool by_session = false, by_cooc = false;
    for (isize i = 0; i < k->listed; i++) {
        reasons.listed |= (u64)1 << (k->list[i].item & 63);
        by_session |= k->list[i].parts[RECOMMENDER_SESSION] > 0;
        by_cooc |= k->list[i].parts[RECOMMENDER_COOC] > 0;
    }
    if (by_session) sknn_shares(k->m, &k->near, &reasons, session_gave);
    if (by_cooc) cooc_gave(&reasons);
    for (isize i = 0; i < k->listed; i++)
        name_reasons(&k->context, &k->list[i], reasons.session[i], reasons.cooc[i]);
}

isize recommend(const struct model *model, const struct recommend_query *query, arena *a,
                struct recommended **out)
{
    struct recommend_query bounded = *query;
    bounded.limit = min_isize(max_isize(query->limit, 0), LIMIT_MAX);
    query = &bounded;
    assert(query->mix_n <= RECOMMENDERS && query->fallback_n <= RECOMMENDERS);
    struct kitchen k = { .m = model, .q = query, .a = a };
    k.list = arena_new(a, struct recommended, query->limit + 1);
    *out = k.list;
    if (!model || query->limit == 0) return 0;
    k.known = tally_new(a, 2 * max_isize(DRAW_FIRST, 2 * query->limit));
    k.candidates = arena_new(a, struct candidate, (k.known.mask + 1) / 2 + 1);
    context_read(&k.context, query);

    serve_tier(&k, query->mix, query->mix_n, false);
    for (isize i = 0; i < query->fallback_n && k.listed < query->limit; i++)
        serve_tier(&k, &query->fallback[i], 1, true);
    explain(&k);
    return k.listed;
}
