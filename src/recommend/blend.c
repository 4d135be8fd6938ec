/* SPDX-License-Identifier: Apache-2.0
 *
 * blend.c - from a question to a list.
 *
 * Each recommender asked becomes a feed. What adds up what it finds (like sessions, rows of a
 * table) puts it all into a column of the pool (pool.c); of what has a score for every item,
 * rankings and factors, the top is drawn. An item's part is
 *
 *   weight * score / best
 *
 * with the best score of an eligible one in that feed: scores of different recommenders have
 * nothing in common but where their best stands. What any feed brought gets its part from every
 * other, drawn there or not. Parts are added and divided by the sum of weights; items take their
 * places in that order, each asked then whether it is eligible, so that what is filtered never
 * costs a place and few are asked; group caps act as places are taken. What nobody drew yet stands
 * no higher than what was drawn last of each feed (Fagin, Lotem and Naor 2001): while that is above
 * the last of the list, or places are empty, more is drawn. A boost could lift anything: where
 * there is one, the eligible top of each feed is boosted before places are taken. The mix is the
 * first tier, each fallback is a tier of its own below it.
 *
 * What the person did lately is the context, latest first: the product in view, the cart, then
 * history back to the first gap of 30 minutes (where that leaves nothing, the last few items). The
 * latest item is never recommended, except by "recently viewed"; earlier ones may be. */
#include "recommend/inside.h"

#include <math.h>

#define SESSION_GAP_MS (30 * (i64)MINUTE_MS)
enum {
    LAST_FEW = 3,
    DRAW_FIRST = 32,
    HISTORY_WALKED_MAX = 2 * HEARD_MAX,
    RECENT_MAX = 200,
    FURTHER = 5,
    FIRST_SPARE = 4,
    LIKELY_FOUND = 1000
};

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

/* `ago` steps of the history; 0 for what is in view or in the cart */
struct heard { u32 item; isize ago; f64 weight; bool pointed, wished; };
struct context {
    u32 session[CONTEXT_MAX]; isize session_n;          /* latest first, distinct */
    struct heard *heard; isize heard_n, heard_most;     /* the same, further back: for tables and factors */
    u32 recent[RECENT_MAX]; isize recent_n;
    /* taken off the wish list: what was wished before that no longer counts */
    u32 dropped[RECENT_MAX]; isize dropped_n;
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

/* Into one that is empty. */
static void context_read(struct context *c, const struct model *m, const struct recommend_query *q, arena *a)
{
    isize most = min_isize(m->options.heard, q->history_n + q->cart_n + 1);
    c->heard = arena_room(a, struct heard, most);
    c->heard_most = most;
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
        if (e->type == EVENT_WISHLIST_REMOVED && c->dropped_n < RECENT_MAX)
            c->dropped[c->dropped_n++] = e->item;
        if (!is_interest(e)
            || (e->type == EVENT_WISHLIST_ADDED && holds(c->dropped, c->dropped_n, e->item)))
            continue;
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

/* What a recommender has to say: a column of the pool, a list by falling scores with scores by item
 * beside it, or scores of all items. */
enum feed_kind { FEED_EMPTY, FEED_COLUMN, FEED_LIST, FEED_ALL };
struct feed {
    u8 kind, recommender;
    f64 weight;
    /* best: of an eligible one; 0: none is known. last: what was not drawn is not above */
    f64 best, last;
    isize taken;
    isize column;
    const struct scored *at; isize n, next;             /* a list */
    /* scores of so many; null: of a list that is found by */
    const f32 *by_item; u32 items;
    const struct tally *found;
    /* of all items, or of a column: what is not yet drawn; blocks 0: not begun */
    struct heights left;
};

struct kitchen {
    const struct model *m;
    const struct recommend_query *q;
    struct context context;
    struct neighbours near;                             /* at null: not looked for yet */
    isize near_most;                                    /* so many of them */
    arena *a;
    struct pool pool;
    struct recommended *list; isize listed;
    u32 (*groups)[GROUPINGS];                           /* of what is listed */
    f32 *boosts;                                        /* by row, of what was named; grows with the pool */
    isize boosts_n;
    /* recommenders whose tables filled arrays: what they gave was not written down */
    u32 tables_dense;
    f64 total_weight, scale;                            /* of a tier; scale: 0: not known yet */
};

static f64 feed_score(const struct kitchen *k, const struct feed *f, isize row)
{
    u32 item = k->pool.item[row];
    f64 score = 0;
    if (f->kind == FEED_COLUMN) score = (f64)k->pool.column[f->column][row];
    else if (f->found) {
        isize at = tally_find(f->found, item);
        score = at < 0 ? 0 : f->found->at[at].score;
    } else if (f->by_item) score = item < f->items ? (f64)f->by_item[item] : 0;
    return score > 0 ? score : 0;
}

/* What was drawn of a list is known to more digits than what is looked up: where nothing else is
 * added, it is told so. */
static f64 feed_score_alone(const struct kitchen *k, const struct feed *f, isize row)
{
    for (isize i = 0; f->kind == FEED_LIST && i < f->next; i++)
        if (f->at[i].id == k->pool.item[row]) return f->at[i].score;
    return feed_score(k, f, row);
}

/* The latest item is nobody's to give but theirs who say what was there before. */
static bool may_give_latest(u8 recommender)
{
    return recommender == RECOMMENDER_RECENT || recommender == RECOMMENDER_REPLENISH;
}

static struct feed column_feed(struct kitchen *k, u8 recommender)
{
    return (struct feed){ .kind = FEED_COLUMN, .recommender = recommender, .column = pool_open(&k->pool) };
}

/* The latest one's score goes when it may not be given. */
static void column_end(struct kitchen *k, const struct feed *f)
{
    isize latest = may_give_latest(f->recommender) ? -1 : pool_find(&k->pool, k->context.latest);
    if (latest >= 0) k->pool.column[f->column][latest] = 0;
}

/* A few that are found already. */
static struct feed few_feed(struct kitchen *k, u8 recommender, const struct scored *at, isize n)
{
    struct feed f = column_feed(k, recommender);
    for (isize i = 0; i < n; i++) {
        isize row = pool_row(&k->pool, at[i].id);
        k->pool.column[f.column][row] = (f32)at[i].score;
    }
    column_end(k, &f);
    return f;
}

static struct feed all_feed(const struct kitchen *k, u8 recommender, const f32 *by_item)
{
    const struct model *m = k->m;
    isize items = (isize)m->items;
    struct feed f = { .kind = FEED_ALL, .recommender = recommender, .by_item = by_item, .items = m->items };
    f32 *left = arena_room(k->a, f32, items + POOL_BLOCK);
    memcpy(left, by_item, (size_t)items * sizeof *by_item);
    left[0] = 0;
    if (m->contents > 0)
        for (u32 i = 1; i < m->items; i++)
            if (model_is_content(m, i) != k->q->content) left[i] = 0;
    f.left = heights_of(left, items, NULL, k->a);
    return f;
}

static bool may_stand(struct kitchen *k, isize row)
{
    const struct recommend_query *q = k->q;
    u8 *state = &k->pool.state[row];
    if (!(*state & ROW_ASKED)) {
        u32 item = k->pool.item[row];
        bool is = item != q->product && !holds(q->cart, q->cart_n, item)
                  && (!q->eligible || q->eligible(q->ctx, item));
        *state |= ROW_ASKED | (is ? ROW_ELIGIBLE : 0);
    }
    return *state & ROW_ELIGIBLE;
}

static const u8 table_of[RECOMMENDERS] = {
    /* + 1 */
    [RECOMMENDER_COOC] = TABLE_COOC + 1,          [RECOMMENDER_RULES] = TABLE_RULES + 1,
    [RECOMMENDER_EASE] = TABLE_EASE + 1,          [RECOMMENDER_SLIST] = TABLE_SLIST + 1,
    [RECOMMENDER_CONTENT] = TABLE_CONTENT + 1,    [RECOMMENDER_BUNDLES] = TABLE_BUNDLES + 1,
    [RECOMMENDER_UPSELL] = TABLE_UPSELL + 1,      [RECOMMENDER_COMPLEMENTS] = TABLE_COMPLEMENTS + 1,
    [RECOMMENDER_OUTFIT] = TABLE_COMPLEMENTS + 1, [RECOMMENDER_SPECTRAL] = TABLE_SPECTRAL + 1,
};

static f64 step_of(const struct model *m, u8 recommender)
{
    const struct recommend_options *o = &m->options;
    return recommender == RECOMMENDER_RULES      ? o->rules_step
           : recommender == RECOMMENDER_EASE     ? o->ease_step
           : recommender == RECOMMENDER_SLIST    ? o->slist_step
           : recommender == RECOMMENDER_ALS      ? o->als_step
           : recommender == RECOMMENDER_SPECTRAL ? o->spectral_step
                                                 : o->cooc_step;
}

/* Adds to what somebody chose, rather than to their taste: asked of the product in view and the
 * cart, of the wish list, else of the latest item alone. What stands in a role already taken is no
 * addition. */
static bool completes(u8 recommender)
{
    return recommender == RECOMMENDER_BUNDLES || recommender == RECOMMENDER_COMPLEMENTS
           || recommender == RECOMMENDER_OUTFIT;
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
        if (completes(recommender) || recommender == RECOMMENDER_UPSELL)
            weight[i] = is_anchor(c, i, recommender);
        if (weight[i] < too_faint || c->heard[i].item >= k->m->items) weight[i] = 0;
    }
    return weight;
}

static u32 role_of(const struct kitchen *k, u32 item) { return item < k->m->items ? k->m->role[item] : 0; }

/* An addition is never of a role that what it is added to has. */
static bool role_is_taken(const struct kitchen *k, u8 recommender, u32 item)
{
    u32 role = role_of(k, item);
    const struct context *c = &k->context;
    for (isize i = 0; role && i < c->heard_n; i++)
        if (role_of(k, c->heard[i].item) == role && is_anchor(c, i, recommender)) return true;
    return false;
}

/* Leaves of what completes only what does: of roles not taken, and of an outfit one of each role,
 * the best that is eligible. */
static void keep_completing(struct kitchen *k, const struct feed *f)
{
    struct pool *p = &k->pool;
    f32 *column = p->column[f->column], *left = arena_room(k->a, f32, p->n + POOL_BLOCK), score;
    for (isize row = 0; row < p->n; row++)
        if (column[row] > 0 && role_is_taken(k, f->recommender, p->item[row])) column[row] = 0;
    if (f->recommender != RECOMMENDER_OUTFIT) return;
    if (p->n) memcpy(left, column, (size_t)p->n * sizeof *left);
    struct heights best = heights_of(left, p->n, p->item, k->a);
    u32 *filled = arena_room(k->a, u32, p->n + 1);
    isize filled_n = 0;
    for (isize row; (row = heights_top(&best, &score)) >= 0; heights_drop(&best, row)) {
        u32 role = role_of(k, p->item[row]);
        if (role && holds(filled, filled_n, role)) column[row] = 0;
        else if (role && may_stand(k, row)) filled[filled_n++] = role;
    }
}

/* Sends for the rows that will be read, while others work. A call of what has no effect but that
 * would be left out: no call, then. */
__attribute__((always_inline)) static inline void table_expect(const struct kitchen *k, u8 recommender)
{
    enum { ROWS = 8, LINES = 12, LINE_PAIRS = 64 / (int)sizeof(struct pair) };
    const struct table *t = &k->m->tables[table_of[recommender] - 1];
    const struct context *c = &k->context;
    for (isize i = 0; t->from && i < min_isize(c->heard_n, ROWS); i++) {
        if (c->heard[i].item >= k->m->items) continue;
        u32 from = t->from[c->heard[i].item], to = t->from[c->heard[i].item + 1];
        for (isize line = 0; line < LINES && from + line * LINE_PAIRS < to; line++)
            __builtin_prefetch(t->pairs + from + line * LINE_PAIRS);
    }
}

/* Adds a row of a table; `contents` as in sknn.c. */
__attribute__((always_inline)) static inline void add_row(const struct kitchen *k,
                                                          const struct pair *row, isize n, f32 by,
                                                          bool contents, u32 from,
                                                          struct adding *to)
{
    const bool content = k->q->content;
    for (isize i = 0; i < n; i++) {
        if (contents && model_is_content(k->m, row[i].item) != content) continue;
        pool_add(to, row[i].item, by * row[i].score, from);
    }
}

static struct feed table_feed(struct kitchen *k, u8 recommender)
{
    const struct table *t = &k->m->tables[table_of[recommender] - 1];
    const struct context *c = &k->context;
    if (!t->from) return (struct feed){ .recommender = recommender };
    const f64 *weight = heard_weights(k, recommender);
    isize most = 0;
    for (isize i = 0; i < c->heard_n; i++)
        if (weight[i] > 0) most += (isize)(t->from[c->heard[i].item + 1] - t->from[c->heard[i].item]);
    /* Many long rows fill one array of all items faster than they find themselves in a table. */
    if (most > 2 * (isize)k->m->items && !completes(recommender)) {
        f32 *dense = arena_new(k->a, f32, (isize)k->m->items);
        for (isize i = 0; i < c->heard_n; i++)
            for (u32 r = t->from[c->heard[i].item]; weight[i] > 0 && r < t->from[c->heard[i].item + 1]; r++)
                dense[t->pairs[r].item] += (f32)weight[i] * t->pairs[r].score;
        k->tables_dense |= 1U << recommender;
        return all_feed(k, recommender, dense);
    }
    struct feed f = column_feed(k, recommender);
    const bool contents = k->m->contents > 0;
    for (isize i = 0; i < c->heard_n && (contents || !k->q->content); i++) {
        if (weight[i] <= 0) continue;
        u32 from = t->from[c->heard[i].item], to = t->from[c->heard[i].item + 1];
        f32 by = (f32)weight[i];
        pool_room(&k->pool, (isize)(to - from));
        struct adding adding = pool_adding(&k->pool, f.column);
        if (contents)
            add_row(k, t->pairs + from, (isize)(to - from), by, true, gift_from(recommender, i),
                    &adding);
        else add_row(k, t->pairs + from, (isize)(to - from), by, false, gift_from(recommender, i), &adding);
        pool_added(&k->pool, adding);
    }
    column_end(k, &f);
    if (completes(recommender)) keep_completing(k, &f);
    return f;
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
    return all_feed(k, RECOMMENDER_ALS, scores);
}

static const u8 ranking_of[RECOMMENDERS] = {
    [RECOMMENDER_TRENDING] = RANKING_TRENDING,
    [RECOMMENDER_BESTSELLERS] = RANKING_BESTSELLERS,
    [RECOMMENDER_POPULAR] = RANKING_POPULAR,
    [RECOMMENDER_TRENDING_HERE] = RANKING_TRENDING,
    [RECOMMENDER_BESTSELLERS_HERE] = RANKING_BESTSELLERS,
    [RECOMMENDER_POPULAR_HERE] = RANKING_POPULAR,
};

static struct feed ranking_feed(const struct kitchen *k, u8 recommender)
{
    const struct ranking *r = &k->m->rankings[k->q->content][ranking_of[recommender]];
    return (struct feed){ .kind = FEED_LIST,
                          .recommender = recommender,
                          .at = r->at,
                          .n = r->n,
                          .by_item = k->m->ranked[ranking_of[recommender]],
                          .items = k->m->items };
}

bool recommender_is_here(u8 recommender)
{
    return recommender == RECOMMENDER_TRENDING_HERE || recommender == RECOMMENDER_BESTSELLERS_HERE
           || recommender == RECOMMENDER_POPULAR_HERE;
}

/* The store's, else the country's, else everybody's. */
static struct feed here_feed(const struct kitchen *k, u8 recommender)
{
    const struct local *local = local_find(k->m, k->q->store, k->q->country);
    if (!local) return ranking_feed(k, recommender);
    const struct tally *found = &local->lists[k->q->content][ranking_of[recommender]].found;
    return (struct feed){ .kind = FEED_LIST,
                          .recommender = recommender,
                          .at = found->at,
                          .n = found->n,
                          .found = found };
}

static struct feed recent_feed(struct kitchen *k)
{
    isize n = k->context.recent_n;
    struct scored *at = arena_room(k->a, struct scored, n);
    for (isize i = 0; i < n; i++) at[i] = (struct scored){ (f64)(n - i), k->context.recent[i] };
    return few_feed(k, RECOMMENDER_RECENT, at, n);
}

/* What was bought and is due again, most due first: a want rises to its day, stays for a while and
 * is then forgotten. */
static struct feed replenish_feed(struct kitchen *k)
{
    enum { DUE_MOST = 200 };
    static const f64 early = .95, forgotten = 4;
    const struct recommend_query *q = k->q;
    u32 *asked = arena_new(k->a, u32, DUE_MOST);
    struct tally due = tally_new(k->a, DUE_MOST);
    isize asked_n = 0;
    for (isize i = q->history_n; i-- > 0 && asked_n < DUE_MOST;) {
        const struct history_entry *e = &q->history[i];
        if (e->type != EVENT_PRODUCT_PURCHASED || e->quantity <= 0 || e->at_ms > q->now_ms
            || holds(asked, asked_n, e->item))
            continue;
        asked[asked_n++] = e->item;                     /* the latest purchase of it counts */
        f64 days = model_repurchase_days(k->m, e->item),
            share = days > 0 ? (f64)(q->now_ms - e->at_ms) / (f64)DAY_MS / days : 0;
        if (share >= early && share <= forgotten) tally_add(&due, e->item, exp(-fabs(share - 1)));
    }
    return few_feed(k, RECOMMENDER_REPLENISH, due.at, due.n);
}

static struct feed session_feed(struct kitchen *k)
{
    const struct context *c = &k->context;
    const struct model *fresh = atomic_load_explicit(&k->m->fresh, memory_order_acquire);
    if (!k->near.at)
        k->near = sknn_neighbours(k->m, fresh, c->session, c->session_n, k->near_most, k->a);
    struct feed f = column_feed(k, RECOMMENDER_SESSION);
    sknn_score(k->m, &k->near, k->q->content, &k->pool, f.column);
    column_end(k, &f);
    return f;
}

static struct feed quiz_feed(struct kitchen *k)
{
    struct tally found = quiz_score(k->m, k->q->answers, min_isize(k->q->answers_n, 64), k->q->content, k->a);
    return few_feed(k, RECOMMENDER_QUIZ, found.at, found.n);
}

static struct feed feed_open(struct kitchen *k, u8 recommender)
{
    assert(recommender < RECOMMENDERS);
    switch ((enum recommender)recommender) {
    case RECOMMENDER_SESSION:
        return session_feed(k);
    case RECOMMENDER_COOC: case RECOMMENDER_RULES: case RECOMMENDER_EASE: case RECOMMENDER_SLIST:
    case RECOMMENDER_CONTENT: case RECOMMENDER_BUNDLES:
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
        return quiz_feed(k);
    case RECOMMENDERS: break;
    }
    return (struct feed){ .recommender = recommender };
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* The next of what is not yet drawn of a feed: its row, made where there is none. False when
 * nothing is left. */
static bool feed_draw(struct kitchen *k, struct feed *f, isize *row, f64 *score)
{
    if (f->kind == FEED_EMPTY) return false;
    if (f->kind == FEED_LIST) {
        if (f->next == f->n || !(f->at[f->next].score > 0)) return false;
        *score = f->at[f->next].score;
        *row = pool_row(&k->pool, f->at[f->next++].id);
        return true;
    }
    f32 most;
    isize at = heights_top(&f->left, &most);
    if (at < 0) return false;
    heights_drop(&f->left, at);
    *score = (f64)most;
    *row = f->kind == FEED_ALL ? pool_row(&k->pool, (u32)at) : at;
    return true;
}

/* Of a column nothing is drawn but its best; where a boost may lift what stands lower, so many of
 * it as of the others. */
static void column_begin(struct kitchen *k, struct feed *f)
{
    struct pool *p = &k->pool;
    f32 *left = arena_room(k->a, f32, p->n + POOL_BLOCK);
    if (p->n) memcpy(left, p->column[f->column], (size_t)p->n * sizeof *left);
    f->left = heights_of(left, p->n, p->item, k->a);
}

static void boost_row(struct kitchen *k, isize row)
{
    if (!k->q->boost || k->pool.state[row] & ROW_NAMED) return;
    if (k->boosts_n < k->pool.cap) {
        f32 *more = arena_room(k->a, f32, k->pool.cap);
        if (k->boosts_n) memcpy(more, k->boosts, (size_t)k->boosts_n * sizeof *more);
        k->boosts = more;
        k->boosts_n = k->pool.cap;
    }
    k->boosts[row] = (f32)k->q->boost(k->q->ctx, k->pool.item[row]);
    k->pool.state[row] |= ROW_NAMED;
}

/* Draws `want` of them, eligible ones where there is a boost. False when nothing is left to draw. */
static bool feed_fill(struct kitchen *k, struct feed *f, isize want)
{
    if (f->kind == FEED_COLUMN && !f->left.at) column_begin(k, f);
    if (f->kind == FEED_COLUMN && !k->q->boost) want = f->best > 0 ? 0 : 1;
    while (f->taken < want) {
        isize row;
        f64 score;
        bool there = feed_draw(k, f, &row, &score);
        f->last = there ? score : 0;
        if (!there) return false;
        if (k->pool.item[row] == k->context.latest && !may_give_latest(f->recommender)) continue;
        if ((k->q->boost || !(f->best > 0)) && !may_stand(k, row)) continue;
        if (!(f->best > 0)) f->best = score;
        boost_row(k, row);
        f->taken++;
    }
    /* all of it stands in the pool */
    if (f->kind == FEED_COLUMN && !k->q->boost) { f->last = 0; return false; }
    return true;
}

/* ---- placing --------------------------------------------------------------------------------- */

/* What is below zero says nothing. */
static void add_column(f32 *restrict sum, const f32 *restrict column, isize n, f32 by)
{
    for (isize row = 0; row < n; row++) sum[row] += by * (column[row] > 0 ? column[row] : 0);
}

static void add_scores(f32 *restrict sum, const f32 *restrict by_item, u32 items,
                       const u32 *restrict item, isize n, f32 by)
{
    for (isize row = 0; row < n; row++) {
        f32 score = item[row] < items ? by_item[item[row]] : 0;
        sum[row] += by * (score > 0 ? score : 0);
    }
}

/* What all the feeds say of each row: divided by the best of each, times its weight, added. */
static struct heights blended(struct kitchen *k, const struct feed *feeds, isize feeds_n)
{
    struct pool *p = &k->pool;
    f32 *sum = arena_room(k->a, f32, p->n + POOL_BLOCK);
    memset(sum, 0, (size_t)p->n * sizeof *sum);
    for (isize f = 0; f < feeds_n; f++) {
        if (!(feeds[f].best > 0)) continue;
        f32 by = (f32)(feeds[f].weight / feeds[f].best);
        if (feeds[f].kind == FEED_COLUMN) add_column(sum, p->column[feeds[f].column], p->n, by);
        else if (feeds[f].by_item) add_scores(sum, feeds[f].by_item, feeds[f].items, p->item, p->n, by);
        else
            for (isize row = 0; row < p->n; row++) sum[row] += by * (f32)feed_score(k, &feeds[f], row);
    }
    isize latest = k->context.latest ? pool_find(p, k->context.latest) : -1;
    if (latest >= 0) sum[latest] = 0;
    for (isize f = 0; f < feeds_n && latest >= 0; f++)
        if (may_give_latest(feeds[f].recommender) && feeds[f].best > 0)
            sum[latest] +=
                (f32)(feeds[f].weight / feeds[f].best * feed_score(k, &feeds[f], latest));
    for (isize row = 0; k->q->boost && row < p->n; row++)
        sum[row] = p->state[row] & ROW_NAMED ? sum[row] * k->boosts[row] : 0;
    return heights_of(sum, p->n, p->item, k->a);
}

/* Notes the groups of what would be listed next. */
static bool group_is_full(const struct kitchen *k, u32 item)
{
    const struct recommend_query *q = k->q;
    for (isize g = 0; q->group && g < GROUPINGS; g++) {
        if (q->max_per_group[g] <= 0) continue;
        u32 group = q->group(q->ctx, g, item);
        isize in = 0;
        for (isize i = 0; i < k->listed && group; i++) in += k->groups[i][g] == group;
        if (in >= q->max_per_group[g] && group != 0) return true;
        k->groups[k->listed][g] = group;
    }
    return false;
}

/* Rows come in the order of sums of few digits; what is told has more, and never stands above the
 * one before it. */
static void list_row(struct kitchen *k, const struct feed *feeds, isize feeds_n, isize row, bool below)
{
    struct recommended *r = &k->list[k->listed];
    *r = (struct recommended){ .item = k->pool.item[row] };
    bool latest = r->item == k->context.latest;
    f64 sum = 0;
    for (isize f = 0; f < feeds_n; f++) {
        u8 by = feeds[f].recommender;
        if (!(feeds[f].best > 0) || (latest && !may_give_latest(by))) continue;
        f64 score =
                feeds_n == 1 ? feed_score_alone(k, &feeds[f], row) : feed_score(k, &feeds[f], row),
            share = fmin(1, score / feeds[f].best);
        sum += r->parts[by] = feeds[f].weight * share;
        if (!below) r->heights[by] = (u8)(255 * share + .5);
        if (r->parts[by] > r->parts[r->source]) r->source = by;
    }
    r->score = sum / k->total_weight * (k->q->boost ? (f64)k->boosts[row] : 1);
    /* a tier's first says how far all of it stands down */
    if (below) {
        if (!(k->scale > 0)) k->scale = k->listed > 0 ? fmin(1, k->list[k->listed - 1].score / r->score) : 1;
        r->score *= k->scale;
    }
    if (k->listed > 0) r->score = fmin(r->score, k->list[k->listed - 1].score);
    k->pool.state[row] |= ROW_PLACED;
    k->listed++;
}

/* Fills places from what the tier's feeds have brought so far. `below`: a fallback stays below. */
static void place(struct kitchen *k, const struct feed *feeds, isize feeds_n, bool below)
{
    struct heights left = blended(k, feeds, feeds_n);
    isize batch = k->q->limit - k->listed + FIRST_SPARE, *row = arena_room(k->a, isize, batch), n = 0;
    u32 *item = arena_room(k->a, u32, batch);
    f32 score;
    k->scale = 0;
    do {
        batch = k->q->limit - k->listed + FIRST_SPARE;
        for (n = 0; n < batch && (row[n] = heights_top(&left, &score)) >= 0; n++) {
            item[n] = k->pool.item[row[n]];
            heights_drop(&left, row[n]);
        }
        if (k->q->expect) k->q->expect(k->q->ctx, item, n);
        for (isize i = 0; i < n && k->listed < k->q->limit; i++) {
            if (k->pool.state[row[i]] & ROW_PLACED || !may_stand(k, row[i])
                || group_is_full(k, item[i]))
                continue;
            list_row(k, feeds, feeds_n, row[i], below);
        }
    } while (n == batch && k->listed < k->q->limit);
}

/* Of its mix: each next counts less, and less what is everybody's. */
static f64 weight_of(const struct recommend_query *q, u8 r, isize place)
{
    bool everyones = r == RECOMMENDER_TRENDING || r == RECOMMENDER_BESTSELLERS
                     || r == RECOMMENDER_POPULAR || recommender_is_here(r);
    return q->weight[r] > 0
               ? q->weight[r]
               : (everyones ? everyones_weight : own_weight) * pow(preference_step, (f64)place);
}

void recommend_weights(const u8 *mix, isize mix_n, const f64 *given, f64 *out)
{
    struct recommend_query q = { 0 };
    memcpy(q.weight, given, sizeof q.weight);
    memset(out, 0, sizeof q.weight);
    for (isize i = 0; i < mix_n; i++) out[mix[i]] = weight_of(&q, mix[i], i);
}

/* Whether nothing that was not drawn yet could take a place: what stands below the last drawn of
 * every feed does not add up to the last of the list. Nothing is known of that where a boost may
 * lift anything. */
static bool is_settled(const struct kitchen *k, const struct feed *feeds, isize n)
{
    f64 most = 0;
    for (isize i = 0; i < n; i++)
        most += feeds[i].best > 0 ? feeds[i].weight * feeds[i].last / feeds[i].best : 0;
    return k->listed == k->q->limit && !k->q->boost && k->list[k->listed - 1].score > most / k->total_weight;
}

static void unplace(struct kitchen *k, isize listed)
{
    while (k->listed > listed) {
        isize row = pool_find(&k->pool, k->list[--k->listed].item);
        k->pool.state[row] &= (u8)~ROW_PLACED;
    }
}

static void serve_tier(struct kitchen *k, const u8 *recommenders, isize n, bool below)
{
    struct feed *feeds = arena_room(k->a, struct feed, n);
    isize before = k->listed;
    assert(n <= RECOMMENDERS);
    k->total_weight = 0;
    k->pool.columns = 0;                                /* those of the tier above have served */
    for (isize i = 0; i < n; i++)
        if (table_of[recommenders[i]]) table_expect(k, recommenders[i]);
    for (isize i = 0; i < n; i++) {
        u8 r = recommenders[i];
        feeds[i] = feed_open(k, r);
        feeds[i].weight = weight_of(k->q, r, i);
        k->total_weight += feeds[i].weight;
    }
    /* Twice as many as are wanted are a list. Where columns fill it a few are enough most times,
     * and then it is known that they are. */
    isize whole = max_isize(DRAW_FIRST, 2 * k->q->limit), want = k->q->boost || n == 1 ? whole : FIRST_SPARE;
    for (;; want = want < whole ? whole : 4 * want) {
        bool more = false;
        for (isize i = 0; i < n; i++) more |= feed_fill(k, &feeds[i], want);
        /* what comes now may stand higher: places are taken anew */
        unplace(k, before);
        place(k, feeds, n, below);
        if (!more || (k->listed == k->q->limit && (k->q->boost || is_settled(k, feeds, n)))) return;
    }
}

/* What the likest sessions hold is a list nearly always. Where a filter leaves too little of it
 * there are more of them. */
static bool may_look_further(const struct kitchen *k)
{
    return k->listed < k->q->limit && k->near.n == k->near_most;
}

static void look_further(struct kitchen *k)
{
    k->near.at = NULL;
    k->near_most *= FURTHER;
    unplace(k, 0);
    pool_forget(&k->pool);
    serve_tier(k, k->q->mix, k->q->mix_n, false);
}

/* Where people look at one thing twice running, that is the likeliest next thing of all. */
static void place_latest(struct kitchen *k)
{
    const struct recommend_query *q = k->q;
    struct recommended latest = { .item = k->context.latest,
                                  .score = q->latest_score,
                                  .source = RECOMMENDER_RECENT };
    if (q->latest_score <= 0 || !latest.item) return;
    if (k->m->again && latest.item < k->m->items)
        latest.score *= pow((f64)k->m->again[latest.item], k->m->options.again_power);
    isize row = pool_row(&k->pool, latest.item);
    if (k->pool.state[row] & ROW_PLACED || !may_stand(k, row)) return;
    isize at = k->listed;
    while (at > 0 && k->list[at - 1].score < latest.score) at--;
    if (at == q->limit) return;
    k->listed += k->listed < q->limit;
    memmove(k->list + at + 1, k->list + at, (size_t)(k->listed - at - 1) * sizeof *k->list);
    latest.parts[RECOMMENDER_RECENT] = latest.score;
    k->list[at] = latest;
}

/* ---- because ------------------------------------------------------------------------------- */

/* What each item heard gave to an item of the list. Where a table filled an array of all items
 * nothing was written down: looks into its rows again. */
static void table_gave(const struct kitchen *k, const struct recommended *r, u8 recommender, f64 *now)
{
    const struct context *c = &k->context;
    const struct table *t = &k->m->tables[table_of[recommender] - 1];
    const f64 *weight = heard_weights(k, recommender);
    for (isize i = 0; i < c->heard_n; i++)
        for (u32 at = t->from[c->heard[i].item]; weight[i] > 0 && at < t->from[c->heard[i].item + 1]; at++)
            if (t->pairs[at].item == r->item) now[i] += weight[i] * fmax(0, (f64)t->pairs[at].score);
}

/* A taste is a sum of items, so what lies closest to the one recommended brought it. */
static void factors_gave(const struct kitchen *k, const struct recommended *r, f64 *now)
{
    const struct context *c = &k->context;
    const struct factors *f = &k->m->factors;
    const f64 *weight = heard_weights(k, RECOMMENDER_ALS);
    for (isize i = 0; i < c->heard_n; i++) {
        if (weight[i] <= 0 || r->item >= k->m->items) continue;
        const f32 *mine = f->items + (isize)c->heard[i].item * f->d, *its = f->items + (isize)r->item * f->d;
        f64 dot = 0;
        for (isize d = 0; d < f->d; d++) dot += (f64)(mine[d] * its[d]);
        now[i] += weight[i] * fmax(0, dot);
    }
}

/* What each reason gave: items of the session first, then what else was heard; as: the reason that
 * an item heard is. */
struct reasons { isize n; u32 *item; isize *as; f64 *gave, *now; };

/* What one recommender's gifts were, by item of the session or by item heard: scaled to the part it
 * has in the item. */
static void take_gifts(struct reasons *reasons, const isize *as, isize n, f64 part)
{
    f64 all = 0;
    for (isize i = 0; i < n; i++) all += reasons->now[i];
    f64 by = all > 0 ? part / all : 0;
    for (isize i = 0; i < n; i++) {
        reasons->gave[as ? as[i] : i] += reasons->now[i] * by;
        reasons->now[i] = 0;
    }
}

/* What was written down as it was added: one recommender's after the other's. */
static void walk_gifts(const struct kitchen *k, const struct recommended *r, struct reasons *reasons)
{
    const struct context *c = &k->context;
    const struct pool *p = &k->pool;
    isize row = pool_find(p, r->item);
    for (u32 at = row < 0 ? 0 : p->gifts[row]; at;) {
        u8 by = (u8)(p->gift[at - 1].from >> 16);
        for (; at && p->gift[at - 1].from >> 16 == by; at = p->gift[at - 1].before) {
            const struct gift *g = &p->gift[at - 1];
            if (g->much > 0) reasons->now[g->from & UINT16_MAX] += (f64)g->much;
        }
        if (by == RECOMMENDER_SESSION) take_gifts(reasons, NULL, c->session_n, r->parts[by]);
        else take_gifts(reasons, reasons->as, c->heard_n, r->parts[by]);
    }
}

/* The two that gave most. */
static void name_reasons(const struct kitchen *k, struct recommended *r, struct reasons *reasons)
{
    isize heard_n = k->context.heard_n;
    f64 *gave = reasons->gave;
    memset(gave, 0, (size_t)reasons->n * sizeof *gave);
    walk_gifts(k, r, reasons);
    if (r->parts[RECOMMENDER_ALS] > 0) {
        factors_gave(k, r, reasons->now);
        take_gifts(reasons, reasons->as, heard_n, r->parts[RECOMMENDER_ALS]);
    }
    for (u32 dense = k->tables_dense; dense; dense &= dense - 1) {
        u8 by = (u8)__builtin_ctz(dense);
        if (!(r->parts[by] > 0)) continue;
        table_gave(k, r, by, reasons->now);
        take_gifts(reasons, reasons->as, heard_n, r->parts[by]);
    }
    while (r->because_n < countof(r->because)) {
        isize most = 0;
        for (isize i = 0; i < reasons->n; i++) {
            if (reasons->item[i] == r->item) gave[i] = 0;
            most = gave[i] > gave[most] ? i : most;
        }
        if (reasons->n == 0 || gave[most] <= 0) break;
        r->because[r->because_n++] = reasons->item[most];
        gave[most] = 0;
    }
}

static void explain(struct kitchen *k)
{
    const struct context *c = &k->context;
    isize most = c->session_n + c->heard_n;
    struct reasons reasons = { c->session_n, arena_room(k->a, u32, most),
                               arena_room(k->a, isize, c->heard_n), arena_room(k->a, f64, most),
                               arena_new(k->a, f64, most) };
    for (isize i = 0; i < c->session_n; i++) reasons.item[i] = c->session[i];
    for (isize i = 0; i < c->heard_n; i++) {
        isize as = 0;
        while (as < c->session_n && c->session[as] != c->heard[i].item) as++;
        if (as == c->session_n) reasons.item[as = reasons.n++] = c->heard[i].item;
        reasons.as[i] = as;
    }
    for (isize i = 0; i < k->listed; i++) {
        if (k->list[i].parts[RECOMMENDER_QUIZ] > 0)
            k->list[i].answer =
                (u8)(1
                     + quiz_reason(k->m, k->q->answers, min_isize(k->q->answers_n, 64),
                                   k->list[i].item));
        name_reasons(k, &k->list[i], &reasons);
    }
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
    k.list = arena_room(a, struct recommended, query->limit + 1);
    *out = k.list;
    if (!model || query->limit == 0) return 0;
    k.pool = pool_new(a, LIKELY_FOUND, query->unexplained);
    k.groups = arena_alloc(a, (isize)sizeof *k.groups, (isize) _Alignof(u32),
                           query->group ? query->limit + 1 : 0);
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
