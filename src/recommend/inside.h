/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share: the inside of a model, and lists of candidates. */
#ifndef RECOMMEND_INSIDE_H
#define RECOMMEND_INSIDE_H

#include <math.h>
#include <stdatomic.h>

#include "math/math.h"
#include "recommend/recommend.h"

enum {
    CONTEXT_MAX = 32,               /* items of the session asked about that are looked at */
    HEARD_MAX = 5000,               /* items of a person's history that tables and factors may hear */
    DISTANCE_MAX = 15,              /* how far from the shared item a neighbour is read; e^-3 is left there */
    LIMIT_MAX = 1000,
};

/* Lists that do not depend on who asks. */
enum ranking_kind { RANKING_TRENDING, RANKING_BESTSELLERS, RANKING_POPULAR, RANKINGS };
struct ranking { struct scored *at; isize n; };

/* The top of a ranking in one country or store, best first, and how near each item was dealt with:
 * enum place_kind (places.c). */
enum { COUNTRIES_MAX = 250, STORES_MAX = 500, LOCAL_MOST = 300 };
struct tally { u32 *slots; isize mask; struct scored *at; isize n; arena *a; };
struct local_list { struct tally found; u8 *near; };
struct local { u32 hash; bool store; struct local_list lists[2][RANKINGS]; };       /* [1]: of content */

/* Item -> items, best first: what is looked up rather than worked out when somebody asks. */
enum table_kind {
    TABLE_COOC,
    TABLE_RULES,
    TABLE_EASE,
    TABLE_SLIST,
    TABLE_CONTENT,
    TABLE_BUNDLES,
    TABLE_COMPLEMENTS,
    TABLE_UPSELL,
    TABLE_SPECTRAL,
    TABLES
};
struct pair { u32 item; f32 score; };
struct table { u32 *from; struct pair *pairs; };        /* from: items + 1 places; null: not built */

/* Items as vectors of d numbers, and alpha times the sum of their outer products (als.c). */
struct factors { isize d; f64 alpha; f32 *items, *gram; };

/* Hashes of "name=value", ascending, and the items of each (goods.c). */
struct facets { isize n; u64 *hash; u32 *from, *items; };

enum { PLACE_FAR = 255 };
/* A weight of 0 to 1 to a thousandth, however small it is: the upper bits of its float, rounded,
 * but those that no such number has. */
enum { WEIGHT_BITS_OFF = 14 };
static inline u16 weight_packed(f32 weight)
{
    u32 bits;
    memcpy(&bits, &weight, sizeof bits);
    return (u16)((bits + (1U << (WEIGHT_BITS_OFF - 1))) >> WEIGHT_BITS_OFF);
}
static inline f32 weight_unpacked(u16 packed)
{
    u32 bits = (u32)packed << WEIGHT_BITS_OFF;
    f32 weight;
    memcpy(&weight, &bits, sizeof weight);
    return weight;
}

/* A session that holds an item, and all that is asked before it is read: so no session is looked at
 * that is not read. `from`: where in session_items it starts, which tells it from the others; it
 * stands `place` further on (PLACE_FAR: there or beyond), and behind it as many as `after`, or
 * DISTANCE_MAX. weight: what age and length leave of the session. */
struct posting { u32 from; u16 weight; u8 place, after; };

/* Sessions are numbered anew, newest first, so that an ascending posting list is newest first. */
struct model {
    arena arena;
    struct model_card card;
    struct recommend_options options;
    u32 items;
    /* sessions since (fresh.c): what session kNN asks of it, no more; null: none */
    _Atomic(const struct model *) fresh;
    u32 *session_from;              /* sessions + 1: where a session's items start */
    u32 *session_items;             /* distinct, in the order of their last appearance */
    u32 *posting_from;              /* items + 1 */
    struct posting *postings;       /* of the item, newest first, capped */
    f32 *idf;
    /* by item: how often it is looked at twice running, 1 for as often as any; null: nothing ever
     * is */
    f32 *again;
    struct table tables[TABLES];
    struct factors factors;
    struct facets facets;
    u32 *role;                      /* leaf category, by item; 0: none said */
    f32 *repurchase_days;           /* by item; 0: nobody buys it again */
    struct bitset *content;
    isize contents;                 /* how many; most shops have none, and then nobody looks */
    struct ranking rankings[2][RANKINGS];       /* [1]: of content */
    f32 *ranked[RANKINGS];                      /* the same by item */
    struct local *locals; isize locals_n;       /* stores by hash, then countries */
    struct mixed *mixes; isize mixes_n;         /* measured */
    f32 position_weight[CONTEXT_MAX];           /* by how many items ago */
    /* by how far apart in the neighbour, from that far before to that far behind */
    f32 distance_weight[2 * DISTANCE_MAX + 1];
};

static inline bool model_is_content(const struct model *m, u32 item)
{
    return m->contents > 0 && bitset_test(m->content, item);
}

/* What a model is built from, while it is built (model.c). Sessions as in the model: newest first. */
struct span { i64 last_ms; u32 session, person; isize from, to; bool basket; };
struct good {                       /* what the catalogue says of an item (goods.c) */
    u32 category, gender;           /* leaf; 0: none, for anybody */
    i64 minor; u16 currency;
    i32 repurchase_days;
    bool described, content;
};
/* What everybody, or everybody at a place, did with each item, by item: of all time with a
 * half-life of two weeks, bought, and lately. */
/* all of: [1]: of content */
struct counts { f64 *popular, *bought, *lately, all_popular[2], all_lately[2]; };
static const f64 trending_prior = 5;
struct counts counts_room(arena *a, isize items);       /* model.c */
void counts_clear(struct counts *c, isize items);
void count_one(const struct model *m, const struct interaction *it, i64 now_ms, struct counts *into);
struct build {
    struct model *m;
    struct good *goods;             /* by item */
    arena scratch;
    struct interaction *all;
    isize n;
    const struct bitset *asked;     /* items whose rows will be looked up; null: all */
    struct span *spans;
    isize sessions;
    u32 *full_from, *full;          /* item -> all its sessions, newest first */
    struct counts counts;           /* of everybody */
    f64 *fresh;                     /* by session: what age leaves of it, baskets counting double */
    /* by session: what age and length leave of it for those like it, packed */
    u16 *weight;
};
static inline bool told_to_stop(const struct build *b)
{
    return b->m->options.stop && atomic_load(b->m->options.stop);
}
static inline bool builds(const struct build *b, enum recommender r)
{
    return (b->m->options.only == 0 || b->m->options.only >> r & 1) && !told_to_stop(b);
}
static inline bool builds_any(const struct build *b, u32 of)
{
    return (b->m->options.only == 0 || b->m->options.only & of) && !told_to_stop(b);
}
/* What age leaves of a session: old is little, but in order. Of 0 days: all. */
static inline f64 faded(i64 age_ms, f64 days)
{
    if (age_ms <= 0 || days <= 0) return 1;
    return fmax(exp(-(f64)age_ms / (days * (f64)DAY_MS)), 1e-30);
}
static inline bool is_asked(const struct build *b, isize item)
{
    return !b->asked || bitset_test(b->asked, (u32)item);
}
/* model_build, with no rows but of items that will be asked about: enough to try numbers on known
 * questions. */
struct model *model_build_for(const struct interaction *interactions, isize n, u32 items,
                              i64 now_ms, const struct recommend_options *options,
                              const struct catalog *catalog, const struct bitset *asked);
/* After a change of options that act when somebody asks: neighbours, how far postings are read,
 * steps and decays by place. */
void model_ask_anew(struct model *m);
/* goods.c: facets, and what is alike */
void build_goods(struct build *b, const struct catalog *catalog);
void build_together(struct build *b);                   /* together.c: bundles, complements, upsell */
void build_replenish(struct build *b);                  /* replenish.c */
void build_places(struct build *b, i64 now_ms);         /* places.c; after the rankings */
/* The store's lists, where there are any; else the country's; else null: those of everybody. */
const struct local *local_find(const struct model *m, u32 store, u32 country);
void build_tables(struct build *b);                     /* table.c: cooc and rules */
void build_slist(struct build *b);                      /* slist.c */
void build_ease(struct build *b);                       /* ease.c */
void build_factors(struct build *b);                    /* als.c */
void build_spectral(struct build *b);                   /* spectral.c */
/* Rows in lists: row r has the columns at[from[r]] .. at[from[r + 1] - 1]. */
struct lists { isize n; isize *from; u32 *at; };
/* People and what they dealt with, each item once; a session of nobody's is a person of its own
 * (als.c). In the build's scratch. */
struct lists people_lists(struct build *b);
struct lists turned(const struct lists *l, isize columns, arena *a);
/* the k-th largest of n; they are moved about (ease.c) */
f32 largest(f32 *at, isize n, isize k);
/* Calls each(ctx, from, to) for stretches of 0 .. n-1 that together are all of it, on so many
 * threads, this one too (share.c). What a stretch writes must be its own: then the outcome is the
 * same whoever does it. */
void share(isize n, isize threads, void (*each)(void *ctx, isize from, isize to), void *ctx);
/* Room for what the algebra library works on, zeroed. It sums in another order where an array
 * begins elsewhere in its cache line, and an eigenvector that is hardly there turns that last digit
 * into its first: at a line's beginning always, so that it is one order. */
static inline f32 *dense_new(arena *a, isize n) { return arena_alloc(a, (isize)sizeof(f32), 64, n); }
void algebra_start(void);                               /* algebra.c; before anything dense */

/* The taste of somebody who dealt with these items: d numbers. */
const f32 *factors_of_person(const struct factors *f, const u32 *items, isize n, f64 lambda, arena *a);
/* The dot product of that taste with every item. */
void factors_score(const struct factors *f, u32 items, const f32 *person, f32 *out);

/* ---- questions whose answers are known (trial.c), and what is learnt from them (tune.c) ------ */
enum task { TASK_SESSION, TASK_SEQUENCE, TASK_BASKET, TASK_TOPN };
/* context: oldest first. group: trials of one group go together in a bootstrap. */
struct trial { const u32 *context, *targets; isize context_n, targets_n; u32 group; };
struct ask {
    const struct model *model;
    enum task task;
    u8 mix[RECOMMENDERS];
    isize mix_n;
    f64 weight[RECOMMENDERS], latest_score;
};
/* In a session only the latest item is left out, unless it has a score; else all of the context is. */
isize trial_ask(const struct ask *ask, const struct trial *trial, isize limit, arena *a,
                struct recommended **out);
/* The rank of each target, ties against it; 0: not on the list. */
void trial_ranks(const struct trial *trial, const struct recommended *list, isize n, isize *ranks);
f64 trial_ndcg(const struct trial *trial, const isize *ranks, isize k);

/* A file of them, by group and time (clicks.c). Names are numbered from 1; the same names in a
 * second file are the same numbers. */
struct click { u32 session, item; i64 at_ms; isize line; };
struct clicks { struct click *at; isize n, cap; isize groups; bool timed; };
struct names { struct map *sessions, *items; u32 sessions_n, items_n; };
/* group: the name of the first column, "SessionId". ERR_NOT_FOUND, ERR_BAD_INPUT with file and line
 * in diag. */
MUST_USE enum err clicks_read(const char *path, str group, struct names *names, struct clicks *into,
                              struct diag *diag);

struct recommend_options task_options(enum task task);  /* where tuning starts */
u32 task_recommenders(enum task task);                  /* what may help there: bit set */
/* Numbers and blend weights that suit these interactions, by session and time. only: bit set of
 * recommenders, 0: all of the task. said, unless null, is told what is being done next. */
struct tune_options {
    u32 only;
    u64 seed;
    isize threads;
    void (*said)(void *ctx, const char *what);
    void *ctx;
};
struct tuning { struct recommend_options options; f64 weight[RECOMMENDERS], latest_score; isize trials; };
struct tuning recommend_tune(enum task task, const struct interaction *all, isize n, u32 items,
                             const struct tune_options *options);

/* Candidates found by item, each once: a hash table of places in a list, which grows. */
struct tally tally_new(arena *a, isize expected);
struct tally tally_grown(struct tally t);               /* the same with twice the room */
static inline isize tally_slot(const struct tally *t, u32 item)
{
    return (isize)((item * 2654435761U) >> 7) & t->mask;
}
/* Where in the list it stands; -1: nowhere. */
static inline isize tally_find(const struct tally *t, u32 item)
{
    for (isize i = tally_slot(t, item);; i = (i + 1) & t->mask) {
        isize at = (isize)t->slots[i] - 1;
        if (at < 0 || t->at[at].id == item) return at;
    }
}
static inline void tally_add(struct tally *t, u32 item, f64 score)
{
    for (isize i = tally_slot(t, item);; i = (i + 1) & t->mask) {
        u32 place = t->slots[i];
        if (!place) {
            t->at[t->n] = (struct scored){ score, item };
            t->slots[i] = (u32)++t->n;
            if (2 * t->n > t->mask) *t = tally_grown(*t);
            return;
        }
        if (t->at[place - 1].id != item) continue;
        t->at[place - 1].score += score;
        return;
    }
}

/* Items that bear any of these facets, rare facets counting most; and which of them an item bears,
 * the rarest; -1: none. */
struct tally quiz_score(const struct model *m, const u64 *facets, isize n, bool content, arena *a);
isize quiz_reason(const struct model *m, const u64 *facets, isize n, u32 item);

/* ---- what may be listed (pool.c) ------------------------------------------------------------- */

/* What something of the person's gave an item by way of one recommender. `from`: gift_from;
 * `before`: the one before it of the same item, counted from 1. */
struct gift { f32 much; u32 before, from; };
/* who: of a session items ago, else of heard. */
static inline u32 gift_from(u8 by, isize who) { return (u32)by << 16 | (u32)who; }

/* The rows of a table: an item each, found by item, and a column of scores for each recommender
 * that adds up what it finds. Arrays have room for whole blocks; past the last row they are zero,
 * but for the items. */
enum { POOL_BLOCK = 32 };
enum row_state { ROW_ASKED = 1, ROW_ELIGIBLE = 2, ROW_PLACED = 4, ROW_NAMED = 8 };
struct pool {
    arena *a;
    u32 *slots; isize mask;                             /* row + 1 */
    isize n, cap;
    /* by row, item[-1] is nobody's; gifts: the last one, counted from 1; 0: none */
    u32 *item, *gifts;
    u8 *state;
    f32 *column[RECOMMENDERS]; isize columns;
    struct gift *gift; isize gift_n, gift_cap;
    bool silent;                                        /* nobody asks who gave what */
};
struct pool pool_new(arena *a, isize expected, bool silent);
void pool_forget(struct pool *p);                       /* who gave what */
isize pool_open(struct pool *p);                        /* one more column, of zeros */
void pool_room(struct pool *p, isize rows);             /* for so many more rows and gifts */
isize pool_row(struct pool *p, u32 item);               /* makes it where it is not there */
isize pool_find(const struct pool *p, u32 item);        /* -1: not there */
static inline u32 item_hash(u32 item) { return (item * 2654435761U) >> 7; }

/* What adding to a column takes, by value: so the compiler sees that nothing else writes it. There
 * is room for what will be added. */
struct adding { u32 *slots, *item, *gifts; f32 *score; struct gift *gift; u32 mask, n, gift_n; };
static inline struct adding pool_adding(const struct pool *p, isize column)
{
    return (struct adding){
        p->slots,     p->item,   p->gifts,      p->column[column], p->silent ? NULL : p->gift,
        (u32)p->mask, (u32)p->n, (u32)p->gift_n
    };
}
static inline void pool_added(struct pool *p, struct adding adding)
{
    p->n = adding.n;
    p->gift_n = adding.gift_n;
}
/* Whether an item is new nobody can guess, so nothing branches on it: the row before the first,
 * which is where no row leads, has it. */
static inline void pool_add(struct adding *to, u32 item, f32 much, u32 from)
{
    u32 i = item_hash(item) & to->mask, row = to->slots[i];
    to->item[-1] = item;
    while (to->item[(isize)row - 1] != item) row = to->slots[i = (i + 1) & to->mask];
    to->n += row == 0;
    row = row ? row : to->n;
    to->slots[i] = row;
    to->item[row - 1] = item;
    to->score[row - 1] += much;
    if (!to->gift) return;
    to->gift[to->gift_n] = (struct gift){ much, to->gifts[row - 1], from };
    to->gifts[row - 1] = ++to->gift_n;
}

/* Scores by row or by item, drawn highest first, of equal ones the lowest item: the most of each
 * block of them is kept, so that a draw looks at those, at one block, and at no more. `item` null:
 * the place is the item. Scores are taken out as they are drawn. */
struct heights { f32 *at, *tallest; isize blocks; const u32 *item; };
/* the rest of the last block is cleared */
struct heights heights_of(f32 *at, isize n, const u32 *item, arena *a);
/* its place; -1: none is above zero */
isize heights_top(const struct heights *h, f32 *score);
void heights_drop(struct heights *h, isize place);

/* ---- sessions like this one (sknn.c) --------------------------------------------------------- */

/* The part of a like session that is read: up to DISTANCE_MAX items either side of where it meets
 * us, and how far each is from there. A basket of a hundred lines is not a hundred times as
 * telling, and would cost so. ago: how many items ago of ours it meets. */
struct stretch { const u32 *items; const f32 *distance, *idf; f32 weight; u8 n, ago; };
/* items: of all of them */
struct neighbours { struct stretch *at; isize n, items; };

/* `items`: what the session asked about holds, latest first, distinct. The `wanted` likest of the
 * model's sessions and of those since, or as many as there are. fresh: null where there are none. */
struct neighbours sknn_neighbours(const struct model *m, const struct model *fresh,
                                  const u32 *items, isize n, isize wanted, arena *a);
/* Adds to the column what the neighbours give each of their items. m says what is content. */
void sknn_score(const struct model *m, const struct neighbours *near, bool content,
                struct pool *pool, isize column);

#endif
