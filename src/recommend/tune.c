/* SPDX-License-Identifier: Apache-2.0
 *
 * tune.c - which numbers suit this shop: chosen on a slice of its own data, with nothing from outside.
 *
 * What is held out is like what will be asked: the latest sessions or baskets; of a sequence its
 * last item; of a long history every fifth. On the rest models are built, and a recommender's
 * numbers are moved one after the other along short rows of values; a move must pay for itself
 * (pays). Then every recommender answers every held-out question once with a long list, and the
 * weights of the blend are moved the same way on those lists: nothing is built for that.
 *
 * The measure is NDCG@20: it wants the target on the list, and high. All is in a fixed order and
 * seeded: the same data ends in the same numbers. */
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

enum {
    K = 20,
    TARGETS_MAX = 512,
    DEEP = 150,
    DEEP_OF_PEOPLE = 400,
    QUESTIONS_MAX = 1500,
    SESSION_QUESTIONS_MAX = 6000,
    PEOPLE_MAX = 2000
};
enum {
    POSTINGS_MAX = 10000,
    TUNED_HEAD_MAX = 3000,
    TUNED_ROUNDS = 6,
    VALUES_MAX = 7,
    WEIGHED_HEAD_MAX = 8000
};
static const f64 gain_asked = 1.004;
/* of long histories, whose means are rough: standard errors of the gain, person by person */
static const f64 surely = 1.5;
/* of another place for the latest item: nothing is built for it, and all questions are heard */
static const f64 gain_latest = 1.0005;
/* so seldom a next item is the same again, no place is kept for it */
static const f64 rarely = .005;
/* dense algebra that comes so short of the best before it is not worth its time */
static const f64 far_behind = .8;

/* `kind` says what its values are, and what a change of it costs. */
enum knob_kind {
    BUILT,                              /* a model is built for each value */
    /* the same; values are shares of the days that the data spans, 0 for ever */
    DAYS,
    ASKED,                              /* it acts when somebody asks: one model serves all values */
    ASKED_WHOLE,                        /* of them the whole numbers */
    BUILT_WHOLE,
};
struct knob {
    u8 recommender;
    enum knob_kind kind;
    isize offset;
    u32 tasks;
    f64 values[VALUES_MAX];
    isize n;
};
#define AT(field) (isize) offsetof(struct recommend_options, field)
enum {
    SESSIONS = 1 << TASK_SESSION,
    SEQUENCES = 1 << TASK_SEQUENCE,
    BASKETS = 1 << TASK_BASKET,
    TOPNS = 1 << TASK_TOPN,
    ANY = 15
};
static const struct knob knobs[] = {
    { RECOMMENDER_SESSION, ASKED_WHOLE, AT(neighbours), ANY & ~TOPNS, { 100, 500, 1500 }, 3 },
    { RECOMMENDER_SESSION, ASKED, AT(position_decay), ANY & ~TOPNS, { 1, 2, 3, 5 }, 4 },
    { RECOMMENDER_SESSION, ASKED, AT(distance_decay), ANY & ~TOPNS, { 2.5, 5, 10, 20 }, 4 },
    { RECOMMENDER_SESSION, ASKED_WHOLE, AT(sessions_per_item), ANY & ~TOPNS, { 1000, 2500, 5000, POSTINGS_MAX }, 4 },
    { RECOMMENDER_SESSION, BUILT, AT(idf), ANY & ~TOPNS, { .5, 1, 2 }, 3 },
    { RECOMMENDER_SESSION, DAYS, AT(session_decay_days), SESSIONS, { .1, .25, .5, 1, 3, 0 }, 6 },
    { RECOMMENDER_SESSION, BUILT, AT(session_decay_days), SEQUENCES | BASKETS, { 5, 15, 30, 90, 0 }, 5 },
    { RECOMMENDER_SESSION, BUILT, AT(session_length), ANY & ~TOPNS, { 0, .25, .5 }, 3 },
    { RECOMMENDER_COOC, ASKED, AT(cooc_step), ANY & ~BASKETS & ~TOPNS, { .2, .4, .6, .8, 1 }, 5 },
    { RECOMMENDER_COOC, BUILT, AT(cooc_length), ANY, { 0, .5, 1 }, 3 },
    { RECOMMENDER_COOC, BUILT, AT(cooc_norm), ANY, { .1, .3, .4, .5, .6 }, 5 },
    { RECOMMENDER_COOC, BUILT, AT(cooc_shrink), ANY, { .1, 1, 5, 20 }, 4 },
    { RECOMMENDER_COOC, BUILT, AT(cooc_decay_days), BASKETS, { 10, 30, 90, 0 }, 4 },
    { RECOMMENDER_COOC, DAYS, AT(cooc_decay_days), SESSIONS, { .1, .25, .5, 1, 3, 0 }, 6 },
    { RECOMMENDER_RULES, ASKED, AT(rules_step), SESSIONS | SEQUENCES, { .2, .4, .6, .8 }, 4 },
    { RECOMMENDER_RULES, BUILT, AT(rules_norm), SESSIONS | SEQUENCES, { 0, .1, .25, .5 }, 4 },
    { RECOMMENDER_RULES, BUILT, AT(rules_shrink), SESSIONS | SEQUENCES, { 0, 1, 5 }, 3 },
    { RECOMMENDER_SLIST, ASKED, AT(slist_step), SESSIONS | SEQUENCES, { .2, .4, .6, .8 }, 4 },
    { RECOMMENDER_SLIST, BUILT, AT(slist_alpha), SESSIONS, { .2, .4, .6, .8 }, 4 },
    { RECOMMENDER_SLIST, DAYS, AT(slist_decay_days), SESSIONS, { .1, .25, .5, 1, 3, 0 }, 6 },
    { RECOMMENDER_SLIST, BUILT, AT(slist_lambda), SESSIONS, { 3, 10, 30 }, 3 },
    { RECOMMENDER_EASE, BUILT, AT(ease_lambda), ANY, { 20, 50, 100, 200, 500, 1000, 2000 }, 7 },
    { RECOMMENDER_EASE, BUILT, AT(ease_decay_days), SESSIONS | BASKETS, { 30, 90, 0 }, 3 },
    { RECOMMENDER_EASE, ASKED, AT(ease_step), SESSIONS | SEQUENCES, { .3, .6, .8, 1 }, 4 },
    { RECOMMENDER_ALS, BUILT, AT(als_lambda), TOPNS | SEQUENCES, { .0003, .001, .003, .006, .012, .025, .05 }, 7 },
    { RECOMMENDER_ALS, BUILT, AT(als_unseen), TOPNS | SEQUENCES, { 50, 150, 400, 1200 }, 4 },
    { RECOMMENDER_SPECTRAL, BUILT_WHOLE, AT(spectral_dims), TOPNS, { 32, 64, 128, 256 }, 4 },
};

struct recommend_options task_options(enum task task)
{
    struct recommend_options o = recommend_defaults();
    o.memory_bytes = (isize)1 << 30;
    o.ease_items = 8000;
    o.ease_row = 4000;
    o.cooc_row = 300;
    /* reviews and purchases of years: what is old is not worth less */
    if (task == TASK_SEQUENCE) {
        o.cooc_decay_days = o.ease_decay_days = o.session_decay_days = o.slist_decay_days = 0;
        o.cooc_step = o.rules_step = o.ease_step = .6;
        o.ease_lambda = 150;
        o.ease_items = 9216;                            /* the cube of it is what a sequence costs most */
        o.ease_row = 1000;
        o.cooc_shrink = 5;
        o.cooc_row = 600;
    }
    if (task == TASK_BASKET) o.kept = 500;
    if (task == TASK_TOPN) {
        o.cooc_decay_days = o.ease_decay_days = 0;
        o.cooc_step = o.ease_step = o.rules_step = 1;
        o.kept = o.heard = HEARD_MAX;
        o.cooc_row = 600;
        o.cooc_length = 1;
        o.ease_lambda = 500;
        o.spectral_dims = 256;
        o.spectral_row = 200;
        o.spectral_step = 1;
    }
    return o;
}

u32 task_recommenders(enum task task)
{
    u32 all = 1U << RECOMMENDER_COOC | 1U << RECOMMENDER_POPULAR;
    /* there SLIST is it, with an order of clicks */
    if (task != TASK_SESSION) all |= 1U << RECOMMENDER_EASE;
    if (task != TASK_TOPN) all |= 1U << RECOMMENDER_SESSION;
    if (task == TASK_SESSION || task == TASK_SEQUENCE) all |= 1U << RECOMMENDER_RULES;
    if (task == TASK_SESSION || task == TASK_SEQUENCE) all |= 1U << RECOMMENDER_SLIST;
    if (task == TASK_TOPN || task == TASK_SEQUENCE) all |= 1U << RECOMMENDER_ALS;
    if (task == TASK_TOPN) all |= 1U << RECOMMENDER_SPECTRAL;
    return all;
}

/* ---- holding out --------------------------------------------------------------------------- */

struct bench {
    enum task task;
    arena a;
    struct interaction *kept; isize kept_n;
    u32 items;
    i64 now_ms, from_ms;
    f64 *stands, *tried;            /* NDCG by question: of the numbers that stand, and of those tried last */
    /* what the last knobs that act on asking were tried on; null: none stands */
    struct model *built; u8 built_of;
    struct bitset *asked;           /* what stands in a context */
    struct trial *trials; isize trials_n, cap;
};

static void add_trial(struct bench *b, const u32 *items, isize context, const u32 *targets,
                      isize targets_n, u32 group)
{
    struct trial t = { .context_n = context, .targets_n = targets_n, .group = group };
    u32 *held = arena_new(&b->a, u32, context + targets_n + 1);
    if (context) memcpy(held, items, (size_t)context * sizeof *held);
    memcpy(held + context, targets, (size_t)targets_n * sizeof *held);
    t.context = held;
    t.targets = held + context;
    assert(b->trials_n < b->cap);
    b->trials[b->trials_n++] = t;
}

struct run { i64 last_ms; isize from, to; };

static int latest_last(const void *left, const void *right)
{
    const struct run *a = left, *b = right;
    if (a->last_ms != b->last_ms) return a->last_ms < b->last_ms ? -1 : 1;
    return (a->from > b->from) - (a->from < b->from);
}

/* One session of `all`, some of it held out. */
static void hold_out(struct bench *b, const struct interaction *all, struct run run, struct rng *rng)
{
    isize n = run.to - run.from, context = 0, targets_n = 0;
    struct arena_mark mark = arena_mark(&b->a);
    u32 *items = arena_new(&b->a, u32, n), *targets = arena_new(&b->a, u32, n);
    switch (b->task) {
    case TASK_SESSION:
        for (isize i = 0; i < n; i++) items[i] = all[run.from + i].item;
        for (isize i = 1; i < n && b->trials_n < b->cap; i++) add_trial(b, items, i, items + i, 1, 0);
        return;
    case TASK_BASKET:
        for (isize i = max_isize(0, n - 21); i + 1 < n; i++) items[context++] = all[run.from + i].item;
        add_trial(b, items, context, &all[run.to - 1].item, 1, 0);
        return;
    case TASK_SEQUENCE:
    case TASK_TOPN:
        for (isize i = 0; i < n; i++) {
            bool held = b->task == TASK_SEQUENCE ? i == n - 1 : rng_below(rng, 5) == 0;
            if (held) targets[targets_n++] = all[run.from + i].item;
            else { items[context++] = all[run.from + i].item; b->kept[b->kept_n++] = all[run.from + i]; }
        }
        if (targets_n && context) add_trial(b, items, context, targets, targets_n, 0);
        else arena_reset(&b->a, mark);
        return;
    }
}

/* `all` by session and time. False when there is too little to learn from. */
static bool bench_make(struct bench *b, const struct interaction *all, isize n, u64 seed)
{
    struct run *runs = arena_new(&b->a, struct run, n + 1);
    struct rng rng = rng_seed(seed);
    isize runs_n = 0, long_n = 0, least = b->task == TASK_TOPN ? 5 : b->task == TASK_SEQUENCE ? 3 : 2;
    for (isize i = 0, to; i < n; i = to) {
        for (to = i; to < n && all[to].session == all[i].session;) to++;
        runs[runs_n++] = (struct run){ all[to - 1].at_ms, i, to };
        long_n += to - i >= least;
        b->now_ms = max_i64(b->now_ms, all[to - 1].at_ms);
        b->from_ms = i == 0 || all[i].at_ms < b->from_ms ? all[i].at_ms : b->from_ms;
    }
    if (long_n < 50) return false;
    b->kept = arena_new(&b->a, struct interaction, n + 1);
    if (!b->cap)
        b->cap = b->task == TASK_SESSION ? SESSION_QUESTIONS_MAX
                 : b->task == TASK_TOPN  ? PEOPLE_MAX
                                         : QUESTIONS_MAX;
    b->trials = arena_new(&b->a, struct trial, b->cap + 1);
    bool by_time = b->task == TASK_SESSION || b->task == TASK_BASKET;
    if (by_time) qsort(runs, (size_t)runs_n, sizeof *runs, latest_last);
    /* By time: the last tenth is not learnt from, and every so many of it is asked. Else every so
     * many of all. */
    isize tail = by_time ? runs_n - runs_n / 10 : 0, asked = by_time ? 0 : long_n, at = 0;
    if (by_time)
        for (isize r = tail; r < runs_n; r++)
            asked += b->task == TASK_BASKET ? 1 : runs[r].to - runs[r].from - 1;
    isize every = asked / b->cap + 1;
    for (isize r = 0; r < runs_n; r++) {
        bool is_long = runs[r].to - runs[r].from >= least;
        bool asks = is_long && r >= tail && at++ % every == 0 && b->trials_n < b->cap;
        if (asks) hold_out(b, all, runs[r], &rng);
        else if (!by_time || r < tail)
            for (isize i = runs[r].from; i < runs[r].to; i++) b->kept[b->kept_n++] = all[i];
    }
    b->asked = bitset_new(b->items + 1);
    for (isize i = 0; i < b->trials_n; i++)
        for (isize k = 0; k < b->trials[i].context_n; k++)
            (void)bitset_set(b->asked, b->trials[i].context[k]);
    b->stands = arena_new(&b->a, f64, b->trials_n + 1);
    b->tried = arena_new(&b->a, f64, b->trials_n + 1);
    return b->trials_n > 0;
}

static struct model *bench_model(const struct bench *b, const struct recommend_options *options,
                                 u32 only, isize head)
{
    struct recommend_options o = *options;
    o.only = only;
    o.ease_items = min_isize(o.ease_items, head);
    o.als_rounds = min_isize(o.als_rounds, TUNED_ROUNDS);
    return model_build_for(b->kept, b->kept_n, b->items, b->now_ms, &o, NULL, b->asked);
}

struct asking { const struct bench *b; const struct ask *ask; f64 *ndcg; };

static void ask_some(void *ctx, isize from, isize to)
{
    const struct asking *q = ctx;
    arena a = { 0 };
    for (isize i = from; i < to; i++) {
        const struct trial *trial = &q->b->trials[i];
        struct recommended *list;
        isize n = trial_ask(q->ask, trial, K + 1, &a, &list);
        isize *ranks = arena_new(&a, isize, trial->targets_n);
        trial_ranks(trial, list, n, ranks);
        q->ndcg[i] = trial_ndcg(trial, ranks, K);
        arena_clear(&a);
    }
    arena_fini(&a);
}

/* Mean NDCG@20 of what is asked; of each question in b->tried. */
static f64 mean_ndcg(struct bench *b, const struct ask *ask)
{
    struct asking q = { b, ask, b->tried };
    f64 sum = 0;
    share(b->trials_n, ask->model->options.threads, ask_some, &q);
    for (isize i = 0; i < b->trials_n; i++) sum += q.ndcg[i];
    return sum / (f64)b->trials_n;
}

/* From now on what was tried last stands. */
static void stand(struct bench *b)
{
    f64 *was = b->stands;
    b->stands = b->tried;
    b->tried = was;
}

/* Whether what was tried last is worth the move. */
static bool pays(const struct bench *b, f64 score, f64 best)
{
    if (b->task != TASK_TOPN) return score >= best * gain_asked;
    f64 n = (f64)b->trials_n, mean = 0, squares = 0;
    for (isize i = 0; i < b->trials_n; i++) {
        f64 gain = b->tried[i] - b->stands[i];
        mean += gain / n;
        squares += gain * gain / n;
    }
    return mean > 0 && mean > surely * sqrt(fmax(0, squares - mean * mean) / n);
}

/* A model of one recommender with these options. The longest postings are built: how far they are
 * read is asked. */
static struct model *bench_model_of(const struct bench *b, const struct recommend_options *options,
                                    u8 recommender)
{
    struct recommend_options o = *options;
    o.sessions_per_item = max_isize(o.sessions_per_item, POSTINGS_MAX);
    struct model *m = bench_model(b, &o, 1U << recommender, TUNED_HEAD_MAX);
    m->options.sessions_per_item = options->sessions_per_item;
    return m;
}

static f64 mean_alone(struct bench *b, const struct model *m, u8 recommender)
{
    struct ask ask = { .model = m, .task = b->task, .mix = { recommender }, .mix_n = 1 };
    return mean_ndcg(b, &ask);
}

static f64 bench_score(struct bench *b, const struct recommend_options *options, u8 recommender)
{
    struct model *m = bench_model_of(b, options, recommender);
    f64 score = mean_alone(b, m, recommender);
    model_free(m);
    return score;
}

static f64 knob_get(const struct knob *k, const struct recommend_options *o)
{
    const u8 *field = (const u8 *)o + k->offset;
    return k->kind == ASKED_WHOLE || k->kind == BUILT_WHOLE ? (f64) * (const isize *)field
                                                            : *(const f64 *)field;
}

static void knob_set(const struct knob *k, struct recommend_options *o, f64 value)
{
    u8 *field = (u8 *)o + k->offset;
    if (k->kind == ASKED_WHOLE || k->kind == BUILT_WHOLE) *(isize *)field = (isize)value;
    else *(f64 *)field = value;
}

static f64 knob_value(const struct bench *b, const struct knob *k, isize i)
{
    f64 days = fmax(1e-3, (f64)(b->now_ms - b->from_ms) / (f64)DAY_MS);
    return k->kind == DAYS ? k->values[i] * days : k->values[i];
}

/* The model that knobs which act on asking are turned on: with what stands. */
static struct model *standing(struct bench *b, const struct recommend_options *o, u8 recommender)
{
    if (b->built && b->built_of == recommender) return b->built;
    model_free(b->built);
    b->built = bench_model_of(b, o, recommender);
    b->built_of = recommender;
    return b->built;
}

/* From where it stands up the row while that pays; else down. The latest place that paid is kept. */
static void turn(struct bench *b, const struct knob *k, struct recommend_options *o, f64 *best)
{
    isize at = 0;
    bool asked = k->kind == ASKED || k->kind == ASKED_WHOLE, moved = false;
    f64 stands = knob_get(k, o);
    for (isize i = 1; i < k->n; i++)
        if (fabs(knob_value(b, k, i) - stands) < fabs(knob_value(b, k, at) - stands)) at = i;
    for (int way = 1; way >= -1 && !moved; way -= 2)
        for (isize i = at + way, in_vain = 0; i >= 0 && i < k->n; i += way) {
            struct recommend_options tried = *o;
            knob_set(k, &tried, knob_value(b, k, i));
            f64 score;
            if (asked) {
                knob_set(k, &standing(b, o, k->recommender)->options, knob_value(b, k, i));
                model_ask_anew(b->built);
                score = mean_alone(b, b->built, k->recommender);
            }
            else score = bench_score(b, &tried, k->recommender);
            if (!pays(b, score, *best)) {
                /* from for ever to a few days is more than one step */
                if (k->kind == DAYS && in_vain++ == 0) continue;
                break;
            }
            in_vain = 0;
            stand(b);
            *best = score;
            *o = tried;
            moved = true;
        }
    if (asked) {
        knob_set(k, &standing(b, o, k->recommender)->options, knob_get(k, o));
        model_ask_anew(b->built);
    } else if (moved) {
        model_free(b->built);
        b->built = NULL;
    }
}

/* ---- weights of the blend -------------------------------------------------------------------- */

/* Every candidate of a question with its score from each of the blend's recommenders, the targets first. */
struct table_of_scores { isize n; f32 *scores; };
struct weights { u8 of[RECOMMENDERS]; isize of_n; f64 at[RECOMMENDERS]; };      /* at: in the order of `of` */

/* place: by item, where among the candidates + 1. */
static void gather(struct table_of_scores *t, u32 *items, u32 *place,
                   const struct recommended *list, isize n, isize k, isize of_n)
{
    for (isize i = 0; i < n; i++) {
        u32 item = list[i].item;
        if (!place[item]) {
            items[t->n] = item;
            place[item] = (u32)++t->n;
        }
        t->scores[((isize)place[item] - 1) * of_n + k] = (f32)list[i].score;
    }
}

/* Weights the candidates of question i and ranks its targets; who has more than K above is not ranked. */
static f64 blended_ndcg(const struct bench *b, const struct table_of_scores *t, isize i,
                        const struct weights *w, f32 *blended)
{
    isize ranks[TARGETS_MAX];
    struct trial trial = b->trials[i];
    trial.targets_n = min_isize(trial.targets_n, TARGETS_MAX);
    for (isize c = 0; c < t->n; c++) {
        f64 s = 0;
        for (isize k = 0; k < w->of_n; k++) s += w->at[k] * (f64)t->scores[c * w->of_n + k];
        blended[c] = (f32)s;
    }
    for (isize k = 0; k < trial.targets_n; k++) {
        ranks[k] = 0;
        for (isize c = 0; blended[k] > 0 && c < t->n && ranks[k] <= K; c++)
            ranks[k] += blended[c] >= blended[k];
    }
    return trial_ndcg(&trial, ranks, K);
}

static f64 blend_score(const struct bench *b, const struct table_of_scores *tables, const struct weights *w)
{
    f64 sum = 0;
    f32 blended[DEEP_OF_PEOPLE * RECOMMENDERS + TARGETS_MAX];
    for (isize i = 0; i < b->trials_n; i++) sum += b->tried[i] = blended_ndcg(b, &tables[i], i, w, blended);
    return sum / (f64)b->trials_n;
}

/* Many small moves, each taken because it helped a little, may add up to what a few questions like
 * and no more: the blend as a whole has to pay over its lead alone, else the lead it is. */
static void keep_lead(struct bench *b, const struct table_of_scores *tables, struct weights *w, isize lead)
{
    struct weights alone = *w;
    memset(alone.at, 0, sizeof alone.at);
    alone.at[lead] = 1;
    f64 leads = blend_score(b, tables, &alone);
    stand(b);
    if (!pays(b, blend_score(b, tables, w), leads)) *w = alone;
}

/* What was answered without the latest item, and whether that was the target: its place can then be
 * tried without asking again. */
struct answered { f64 scores[K + 1], again; isize n, rank; bool is_latest; };

/* The rank of the target with the latest item put in at `score`; ties against it. */
static isize rank_with_latest(const struct answered *a, f64 score)
{
    if (score <= 0 || (!a->is_latest && a->rank == 0)) return a->rank;
    isize above = 0;
    while (above < a->n && a->scores[above] >= score) above++;
    if (a->is_latest) return above + 1;
    return a->rank + (score >= a->scores[a->rank - 1]);
}

/* Where the latest item itself should stand, if people come back to it at once: 0 where they do
 * not. And how far that follows how often they come back to this very item. */
static f64 place_for_latest(struct bench *b, struct recommend_options *options, const f64 *weight)
{
    static const f64 values[] = { .1, .2, .3, .4, .5, .6, .75, .9, 1.01, 1.25, 1.6, 2.2 },
                     powers[] = { 0, .5, 1 };
    struct ask ask = { .task = b->task };
    u32 only = 0;
    isize again = 0;
    for (isize i = 0; i < b->trials_n; i++)
        again += b->trials[i].targets[0] == b->trials[i].context[b->trials[i].context_n - 1];
    if (b->task != TASK_SESSION || (f64)again < rarely * (f64)b->trials_n) return 0;
    memcpy(ask.weight, weight, sizeof ask.weight);
    for (u8 r = 0; r < RECOMMENDERS; r++)
        if (weight[r] > 0) { ask.mix[ask.mix_n++] = r; only |= 1U << r; }
    struct model *m = bench_model(b, options, only, TUNED_HEAD_MAX);
    ask.model = m;
    struct answered *answers = arena_new(&b->a, struct answered, b->trials_n);
    arena a = { 0 };
    for (isize i = 0; i < b->trials_n; i++) {
        struct answered *answer = &answers[i];
        struct recommended *list;
        u32 latest = b->trials[i].context[b->trials[i].context_n - 1];
        answer->n = trial_ask(&ask, &b->trials[i], K + 1, &a, &list);
        for (isize l = 0; l < answer->n; l++) answer->scores[l] = list[l].score;
        trial_ranks(&b->trials[i], list, answer->n, &answer->rank);
        answer->is_latest = b->trials[i].targets[0] == latest;
        answer->again = m->again && latest < m->items ? (f64)m->again[latest] : 1;
        arena_clear(&a);
    }
    arena_fini(&a);
    model_free(m);
    f64 best = 0, found = 0;
    for (isize p = 0; p < countof(powers); p++)
        for (isize v = p ? 0 : -1; v < countof(values); v++) {
            f64 sum = 0, value = v < 0 ? 0 : values[v];
            for (isize i = 0; i < b->trials_n; i++) {
                isize rank = rank_with_latest(&answers[i], value * pow(answers[i].again, powers[p]));
                sum += trial_ndcg(&b->trials[i], &rank, K);
            }
            if (sum < best * (found > 0 ? gain_latest : gain_asked)) continue;
            best = sum;
            found = value;
            options->again_power = powers[p];
        }
    return found;
}

/* Asks every recommender every question. An item that one puts high and another low counts what the
 * second gives it too, as when it is served: of long histories, where scores fall slowly, lists are
 * longer. */
static struct table_of_scores *ask_each(struct bench *b, const struct model *m, const struct weights *w)
{
    struct table_of_scores *tables = arena_new(&b->a, struct table_of_scores, b->trials_n);
    isize deep = b->task == TASK_TOPN ? DEEP_OF_PEOPLE : DEEP, most = TARGETS_MAX + deep * w->of_n;
    arena lasting = { 0 }, a = { 0 };
    u32 *place = arena_new(&lasting, u32, (isize)b->items + 1), *items = arena_new(&lasting, u32, most);
    f32 *scores = arena_new(&lasting, f32, most * w->of_n);
    for (isize i = 0; i < b->trials_n; i++) {
        const struct trial *trial = &b->trials[i];
        struct table_of_scores *t = &tables[i];
        *t = (struct table_of_scores){ min_isize(trial->targets_n, TARGETS_MAX), scores };
        for (isize k = 0; k < t->n; k++) {
            items[k] = trial->targets[k];
            place[items[k]] = (u32)k + 1;
        }
        for (isize k = 0; k < w->of_n; k++) {
            struct ask ask = { .model = m, .task = b->task, .mix = { w->of[k] }, .mix_n = 1 };
            struct recommended *list;
            isize n = trial_ask(&ask, trial, deep, &a, &list);
            gather(t, items, place, list, n, k, w->of_n);
            arena_clear(&a);
        }
        isize used = t->n * w->of_n;
        t->scores = arena_new(&b->a, f32, used);
        memcpy(t->scores, scores, (size_t)used * sizeof *scores);
        memset(scores, 0, (size_t)used * sizeof *scores);
        for (isize c = 0; c < t->n; c++) place[items[c]] = 0;
    }
    arena_fini(&lasting);
    arena_fini(&a);
    return tables;
}

static void weigh(struct bench *b, const struct recommend_options *o, u32 of_set, f64 *weight)
{
    static const f64 values[] = { 0, .05, .1, .2, .4, .7, 1, 1.5, 2.5, 4 };
    struct weights w = { 0 };
    struct model *m = bench_model(b, o, of_set, WEIGHED_HEAD_MAX);
    for (u8 r = 0; r < RECOMMENDERS; r++)
        if (of_set >> r & 1) w.of[w.of_n++] = r;
    struct table_of_scores *tables = ask_each(b, m, &w);
    model_free(m);
    /* Start from the best alone, and move each weight while that helps. */
    f64 best = 0;
    isize lead = 0;
    for (isize k = 0; k < w.of_n; k++) {
        memset(w.at, 0, sizeof w.at);
        w.at[k] = 1;
        f64 score = blend_score(b, tables, &w);
        if (score > best) { best = score; lead = k; }
    }
    memset(w.at, 0, sizeof w.at);
    w.at[lead] = 1;
    for (int round = 0; round < 3; round++)
        for (isize k = 0; k < w.of_n; k++) {
            if (k == lead) continue;
            f64 stands = w.at[k], found = stands;
            for (isize v = 0; v < countof(values); v++) {
                w.at[k] = values[v];
                f64 score = blend_score(b, tables, &w);
                if (score > best * (values[v] > 0 && stands <= 0 ? 1.002 : 1.0)) {
                    best = score;
                    found = values[v];
                }
            }
            w.at[k] = found;
        }
    keep_lead(b, tables, &w, lead);
    memset(weight, 0, RECOMMENDERS * sizeof *weight);
    for (isize k = 0; k < w.of_n; k++) weight[w.of[k]] = w.at[k];
}

static void say(const struct tune_options *o, const char *doing, const char *of)
{
    arena a = { 0 };
    if (o->said) o->said(o->ctx, arena_printf(&a, "%s%s", doing, of).ptr);
    arena_fini(&a);
}

struct tuning recommend_tune(enum task task, const struct interaction *all, isize n, u32 items,
                             const struct tune_options *options)
{
    u32 only = options->only;
    struct tuning out = { .options = task_options(task) };
    u32 of = task_recommenders(task) & (only ? only : UINT32_MAX);
    struct bench b = { .task = task, .items = items };
    if (only && !(of & only)) of = only;
    out.options.threads = options->threads;
    out.options.seed = options->seed;
    if (bench_make(&b, all, n, options->seed)) {
        f64 most = 0;
        for (u8 r = 0; r < RECOMMENDERS; r++) {
            if (!(of >> r & 1)) continue;
            say(options, "choosing the numbers of ", recommender_name(r));
            /* else its head is too short to tell */
            bool dense = r == RECOMMENDER_EASE && of != 1U << r && (isize)items <= 2 * TUNED_HEAD_MAX;
            if (dense && bench_score(&b, &out.options, r) < far_behind * most) {
                of &= ~(1U << r);
                continue;
            }
            f64 best = -1;
            for (isize k = 0; k < countof(knobs); k++) {
                if (knobs[k].recommender != r || !(knobs[k].tasks >> task & 1)) continue;
                if (best < 0) {
                    best = mean_alone(&b, standing(&b, &out.options, r), r);
                    stand(&b);
                }
                turn(&b, &knobs[k], &out.options, &best);
            }
            most = fmax(most, best);
        }
        say(options, "choosing the weights", "");
        weigh(&b, &out.options, of, out.weight);
        out.latest_score = place_for_latest(&b, &out.options, out.weight);
        out.trials = b.trials_n;
    }
    else {
        for (u8 r = 0; r < RECOMMENDERS; r++)
            out.weight[r] = of >> r & 1 ? (r == RECOMMENDER_POPULAR ? .1 : 1) : 0;
    }
    model_free(b.built);
    bitset_free(b.asked);
    arena_fini(&b.a);
    out.options.only = 0;
    for (u8 r = 0; r < RECOMMENDERS; r++) out.options.only |= (u32)(out.weight[r] > 0) << r;
    return out;
}

static int by_session(const void *left, const void *right)
{
    const struct interaction *a = left, *b = right;
    if (a->session != b->session) return a->session < b->session ? -1 : 1;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return (a->item > b->item) - (a->item < b->item);
}

/* Everything that guesses what comes next from what was done: what can be measured so. Of the bench
 * nothing is known but clicks, so what asks the catalogue or a place cannot. */
enum {
    GUESSERS = 1 << RECOMMENDER_SESSION | 1 << RECOMMENDER_COOC | 1 << RECOMMENDER_RULES
               | 1 << RECOMMENDER_EASE | 1 << RECOMMENDER_ALS | 1 << RECOMMENDER_SLIST
               | 1 << RECOMMENDER_SPECTRAL | 1 << RECOMMENDER_TRENDING
               | 1 << RECOMMENDER_BESTSELLERS | 1 << RECOMMENDER_POPULAR
};

static u32 recommenders_of(const struct mixed *m)
{
    u32 all = 0;
    for (isize i = 0; i < m->mix_n; i++) all |= 1U << m->mix[i];
    return all;
}

static bool is_measured(const struct model *model, const struct mixed *m)
{
    return m->mix_n > 1 && (recommenders_of(m) & ~((u32)GUESSERS & model->card.built)) == 0;
}

/* Each mix beside each of its recommenders alone; those are asked once, whatever number of mixes
 * they are in. */
static void measure_mixes(struct bench *b, const struct model *before, struct model *into,
                          const atomic_bool *stop)
{
    f64 alone[RECOMMENDERS] = { 0 }, *by_question[RECOMMENDERS] = { NULL };
    for (isize i = 0; i < into->mixes_n && !(stop && atomic_load(stop)); i++) {
        struct mixed *m = &into->mixes[i];
        if (!is_measured(into, m)) continue;
        f64 most = -1;
        for (isize k = 0; k < m->mix_n; k++) {
            u8 r = m->mix[k];
            if (!by_question[r]) {
                alone[r] = mean_alone(b, before, r);
                by_question[r] = arena_new(&b->a, f64, b->trials_n);
                memcpy(by_question[r], b->tried, (size_t)b->trials_n * sizeof *b->tried);
            }
            if (alone[r] > most) { most = alone[r]; m->lead = r; }
        }
        struct ask ask = { .model = before, .task = b->task, .mix_n = m->mix_n };
        memcpy(ask.mix, m->mix, (size_t)m->mix_n);
        memcpy(ask.weight, m->weight, sizeof ask.weight);
        memcpy(b->stands, by_question[m->lead], (size_t)b->trials_n * sizeof *b->stands);
        m->ndcg20 = mean_ndcg(b, &ask);
        m->lead_ndcg20 = most;
        m->questions = b->trials_n;
        m->alone = b->trials_n >= GUARD_LEAST && !pays(b, m->ndcg20, most);
    }
}

static void measure_card(const struct bench *b, const struct model *before, struct model_card *card)
{
    struct ask ask = { .model = before,
                       .task = b->task,
                       .mix_n = 3,
                       .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING } };
    arena a = { 0 };
    for (isize i = 0; i < b->trials_n; i++) {
        struct recommended *list;
        isize rank;
        isize listed = trial_ask(&ask, &b->trials[i], K + 1, &a, &list);
        trial_ranks(&b->trials[i], list, listed, &rank);
        card->questions++;
        card->ndcg20 += trial_ndcg(&b->trials[i], &rank, K);
        card->hr20 += rank > 0 && rank <= K;
        card->mrr20 += rank > 0 && rank <= K ? 1 / (f64)rank : 0;
        arena_clear(&a);
    }
    card->ndcg20 /= (f64)card->questions;
    card->hr20 /= (f64)card->questions;
    card->mrr20 /= (f64)card->questions;
    arena_fini(&a);
}

void model_measure(struct model *model, const struct interaction *interactions, isize n,
                   const struct mixed *mixes, isize mixes_n, const atomic_bool *stop)
{
    struct bench b = { .task = TASK_SESSION, .items = model->items, .cap = QUESTIONS_MAX };
    struct interaction *all = arena_new(&b.a, struct interaction, n + 1);
    u32 only = 1U << RECOMMENDER_SESSION | 1U << RECOMMENDER_COOC;
    model->mixes_n = min_isize(mixes_n, MIXES_MAX);
    model->mixes = arena_new(&model->arena, struct mixed, model->mixes_n + 1);
    for (isize i = 0; i < model->mixes_n; i++) {
        model->mixes[i] = mixes[i];
        if (is_measured(model, &mixes[i])) only |= recommenders_of(&mixes[i]);
    }
    for (isize i = 0; i < n; i++) all[i] = interactions[i];
    qsort(all, (size_t)n, sizeof *all, by_session);
    if (bench_make(&b, all, n, model->options.seed)) {
        struct recommend_options options = model->options;
        options.stop = stop;
        struct model *before = bench_model(&b, &options, only, TUNED_HEAD_MAX);
        measure_card(&b, before, &model->card);
        measure_mixes(&b, before, model, stop);
        model_free(before);
    }
    bitset_free(b.asked);
    arena_fini(&b.a);
}

const struct mixed *model_mixed(const struct model *model, const u8 *mix, isize mix_n, const f64 *weight)
{
    for (isize i = 0; model && i < model->mixes_n; i++) {
        const struct mixed *m = &model->mixes[i];
        bool same = m->questions > 0 && m->mix_n == mix_n && memcmp(m->mix, mix, (size_t)mix_n) == 0;
        for (u8 r = 0; same && r < RECOMMENDERS; r++)
            same = !(m->weight[r] < weight[r] || m->weight[r] > weight[r]);
        if (same) return m;
    }
    return NULL;
}

void model_keep_lead(const struct model *model, struct recommend_query *query)
{
    static const f64 hushed = 1e-6;
    const struct mixed *m = model_mixed(model, query->mix, query->mix_n, query->weight);
    for (isize i = 0; m && m->alone && i < query->mix_n; i++)
        query->weight[query->mix[i]] = query->mix[i] == m->lead ? 1 : hushed;
}
