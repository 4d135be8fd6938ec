/* SPDX-License-Identifier: Apache-2.0
 *
 * build.c - the builder: learns from everybody's histories, beside the fold and never in its way.
 *
 * It reads profiles as decisions do, inside rcu brackets, a few thousand at a time so that nobody's
 * old version is held back for long; guests' baskets, which no profile has, it asks the fold for.
 * The model is made anew from what is there, so a person who withdrew or was erased is not in the
 * next one. Who was never asked is left out, too, but for what came on a basis of its own
 * (profile_teaches).
 *
 * Between two builds the visits that went on since the last are read by themselves and appended to
 * it: they are found by looking at everybody's latest lines, which is cheap, and again as a whole,
 * so what is appended is always what profiles hold now.
 */
#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "fold/inside.h"

enum {
    PEOPLE_PER_BRACKET = 2000,
    PLACES_MAX = 4096,
    FRESH_MAX = 500000,
    VISIT_MAX = 200,
    LATE_MS = HOUR_MS,
    INTERACTIONS_MAX = 50 << 20,
    LOOK_MS = 1000
};

/* Nothing is ever queued; closing it ends the wait. `stopping` ends a build that goes on. */
struct builder { pthread_t thread; struct queue *stop; atomic_bool stopping; };

struct learning {
    struct fold *fold;
    struct { struct interaction *at; isize n, cap; } all;
    u32 sessions;
    u32 person;                     /* whose history is being read; 0: a guest's order */
    u16 place;                      /* where; of `places` */
    /* nowhere first; pairs of country and store that were met */
    struct { struct place *at; isize n, cap; } places;
    struct map *place_of;           /* a pair -> its number; null: nobody asks where */
    struct { struct place *at; isize n, cap; } order_places;    /* by order */
    u64 ref;
};

/* A country or a store beyond PLACES_MAX pairs is nowhere; the country alone may still be known. */
static u16 place_number(struct learning *l, struct place place)
{
    struct hash128 key = { place.country, place.store };
    if (!l->place_of || (!place.country && !place.store)) return 0;
    u64 known = map_get(l->place_of, key, 0);
    if (known) return (u16)known;
    if (l->places.n == PLACES_MAX)
        return place.store ? place_number(l, (struct place){ .country = place.country }) : 0;
    vec_push(&l->places, place);
    map_put(l->place_of, key, (u64)l->places.n - 1);
    return (u16)(l->places.n - 1);
}

static void learn_where(struct learning *l)
{
    l->place_of = map_new(64);
    vec_push(&l->places, (struct place){ 0 });
}

static void learning_fini(struct learning *l)
{
    vec_fini(&l->all);
    vec_fini(&l->places);
    vec_fini(&l->order_places);
    if (l->place_of) map_free(l->place_of);
}

static u32 place_said(const struct profile *p, str fact)
{
    const struct trait *t = profile_trait(p, fact);
    return t && t->fact.kind == FACT_TEXT ? recommend_place(t->fact.text) : 0;
}

static int kind_of(u16 type, u16 flags)
{
    if (flags & HISTORY_CONTENT) return INTERACTION_CONTENT;
    switch (type) {
    case EVENT_PRODUCT_VIEWED: case EVENT_PRODUCT_CLICKED: return INTERACTION_VIEWED;
    case EVENT_PRODUCT_ADDED: case EVENT_WISHLIST_ADDED: return INTERACTION_ADDED;
    case EVENT_PRODUCT_PURCHASED: return INTERACTION_PURCHASED;
    default: return -1;
    }
}

static void learn_entry(struct learning *l, const struct history_entry *e, u32 session)
{
    static const u8 weights[] = { [INTERACTION_VIEWED] = 1,
                                  [INTERACTION_ADDED] = 3,
                                  [INTERACTION_PURCHASED] = 5,
                                  [INTERACTION_CONTENT] = 1 };
    int kind = kind_of(e->type, e->flags);
    if (kind < 0 || e->item == 0 || e->quantity < 0 || e->flags & HISTORY_BOT
        || l->all.n >= INTERACTIONS_MAX)
        return;
    vec_push(&l->all, (struct interaction){ session, e->item, e->at_ms, l->person, (u8)kind,
                                            weights[kind], l->place });
}

/* A visit is a session; so is each order's basket. What is bought counts for the store and the
 * country of its order; whatever else a person does, and a country no order told, for where the
 * person is by what is known of them. */
static void learn_person(struct learning *l, const struct profile *p, i64 gap_ms)
{
    u32 visit = 0, basket = 0;
    struct place home = { 0 };
    l->person = p->id.v;
    if (l->place_of && p->history_n)
        home = (struct place){ place_said(p, S("country")), place_said(p, S("store")) };
    u16 at_home = place_number(l, home);
    i64 last_ms = 0;
    u64 order = 0;
    for (isize i = 0; i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        if (!profile_teaches(p, e)) continue;
        if (e->type == EVENT_PRODUCT_PURCHASED) {
            if (basket == 0 || order != e->ref) basket = ++l->sessions;
            order = e->ref;
            struct place made = (isize)order <= l->order_places.n && order > 0
                                    ? l->order_places.at[order - 1]
                                    : (struct place){ 0 };
            if (!made.country) made.country = home.country;
            l->place = place_number(l, made);
            learn_entry(l, e, basket);
            continue;
        }
        if (visit == 0 || e->at_ms - last_ms > gap_ms) visit = ++l->sessions;
        last_ms = e->at_ms;
        l->place = at_home;
        learn_entry(l, e, visit);
    }
    l->place = 0;
}

/* On the fold's thread. */
static void learn_guests(void *ctx, struct fold *fold)
{
    struct learning *l = ctx;
    l->ref = fold->ref;
    arena a = { 0 };
    for (u32 id = 1; id <= (u32)orders_n(&fold->orders); id++, arena_clear(&a)) {
        const struct order *o = orders_get(&fold->orders, (order_id){ id }, &a);
        if (l->place_of) vec_push(&l->order_places, o->place);
        if (o->node || o->state != ORDER_COMPLETED) continue;
        l->sessions++;
        l->place = place_number(l, o->place);
        for (isize k = 0; k < o->lines_n; k++)
            learn_entry(l,
                        &(struct history_entry){ .at_ms = o->at_ms,
                                                 .item = o->lines[k].item,
                                                 .quantity = o->lines[k].quantity,
                                                 .type = EVENT_PRODUCT_PURCHASED },
                        l->sessions);
    }
    arena_fini(&a);
}

static void free_model(void *model) { model_free(model); }

static void publish(struct fold *fold, struct model *model)
{
    struct model *old = (struct model *)(uintptr_t)atomic_exchange(&fold->live.model, model);
    if (old) rcu_defer(free_model, old);
}

static void learn_all(struct learning *l)
{
    struct fold *fold = l->fold;
    fold_ask_wait(fold, learn_guests, l);
    u32 most = (u32)people_most(fold->live.people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_read(fold->live.people, (person_id){ id }, PEOPLE_HISTORY, &a);
            if (p) learn_person(l, p, fold->config->session_gap_ms);
            arena_clear(&a);
        }
        rcu_read_end();
        atomic_store_explicit(&fold->live.training.people, id < most ? id : most, memory_order_relaxed);
    }
    arena_fini(&a);
}

static void stage(struct fold *fold, enum training_stage stage)
{
    atomic_store(&fold->live.training.steps, 0);
    atomic_store(&fold->live.training.stage, stage);
}

struct lessons_of_all builder_interactions(struct fold *fold)
{
    struct learning l = { .fold = fold };
    learn_where(&l);
    learn_all(&l);
    struct lessons_of_all out = { l.all.at, l.all.n, l.places.at, l.places.n };
    map_free(l.place_of);
    vec_fini(&l.order_places);
    return out;
}

void lessons_of_all_free(struct lessons_of_all *all)
{
    mem_free(all->at);
    mem_free(all->places);
}

/* Recommenders that strategies or requests name, besides those that every model has. The rest is
 * not built: a linear model of all visits takes minutes in a large shop, and none may ever ask it. */
static u32 wanted(const struct fold *fold)
{
    rcu_read_begin();
    const struct book *book = atomic_load(&fold->live.book);
    u32 named = book ? book->recommenders : 0;
    rcu_read_end();
    return RECOMMENDERS_ALWAYS | named | atomic_load(&fold->live.wanted);
}

/* The mixes of strategies that are not weighed by hand, each once, and the engine's own: which of
 * them pay is measured. */
static isize mixes_named(const struct fold *fold, struct mixed *out)
{
    isize n = 1;
    out[0] = (struct mixed){ .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING },
                             .mix_n = 3 };
    rcu_read_begin();
    const struct book *book = atomic_load(&fold->live.book);
    for (isize i = 0; book && i < book->strategies_n && n < MIXES_MAX; i++) {
        const struct strategy *s = &book->strategies[i];
        if (s->by_hand || s->query.content) continue;
        struct mixed m = { .mix_n = s->query.mix_n };
        memcpy(m.mix, s->query.mix, sizeof m.mix);
        memcpy(m.weight, s->query.weight, sizeof m.weight);
        bool known = false;
        for (isize k = 0; k < n && !known; k++)
            known = out[k].mix_n == m.mix_n && memcmp(out[k].mix, m.mix, (size_t)m.mix_n) == 0
                    && memcmp(out[k].weight, m.weight, sizeof m.weight) == 0;
        if (!known) out[n++] = m;
    }
    rcu_read_end();
    return n;
}

void fold_train(struct fold *fold)
{
    struct learning l = { .fold = fold };
    i64 began = clock_monotonic_us();
    atomic_store(&fold->live.training.since_us, began);
    stage(fold, TRAINING_READING);
    learn_where(&l);
    learn_all(&l);
    i64 now_ms = 0;                                     /* decay counts from the latest thing anybody did */
    for (isize i = 0; i < l.all.n; i++) now_ms = max_i64(now_ms, l.all.at[i].at_ms);
    struct recommend_options options = recommend_defaults();
    options.memory_bytes = (isize)fold->config->train_mb << 20;
    options.progress = &fold->live.training.steps;
    options.stop = fold->builder ? &fold->builder->stopping : NULL;
    options.places = l.places.at;
    options.places_n = l.places.n;
    options.only = wanted(fold);
    u32 items = (u32)catalog_count(fold->live.catalog) + 1;
    const struct model *before = atomic_load(&fold->live.model);
    /* What needs dense algebra may take minutes: where there is none of it to lose, the rest does
     * not wait for it. */
    u32 dense = options.only & ~(u32)(RECOMMENDERS_QUICK | RECOMMENDERS_ALWAYS);
    if (dense && (!before || !(model_card(before).built & dense))) {
        struct recommend_options quick = options;
        quick.only &= RECOMMENDERS_QUICK;
        stage(fold, TRAINING_QUICK);
        publish(fold, model_build(l.all.at, l.all.n, items, now_ms, &quick, fold->live.catalog));
    }
    stage(fold, TRAINING_WHOLE);
    struct model *model = model_build(l.all.at, l.all.n, items, now_ms, &options, fold->live.catalog);
    if (options.stop && atomic_load(options.stop)) {
        model_free(model);
        learning_fini(&l);
        return;
    }
    stage(fold, TRAINING_MEASURING);
    struct mixed mixes[MIXES_MAX];
    model_measure(model, l.all.at, l.all.n, mixes, mixes_named(fold, mixes), options.stop);
    publish(fold, model);
    stage(fold, TRAINING_IDLE);
    learning_fini(&l);
    log_trace("train.done interactions=%lld sessions=%u ms=%lld",
              (long long)model_card(model).interactions, l.sessions,
              (long long)(clock_monotonic_us() - began) / 1000);
    fold->trained_ref = l.ref;
}

/* The person's latest visit, if it went on after `since`. What was bought is left to the next build. */
static void learn_visit(struct learning *l, const struct profile *p, u64 since, i64 gap_ms)
{
    isize from = p->history_n;
    bool goes_on = false;
    l->person = p->id.v;
    for (i64 later_ms = 0; from > 0 && p->history_n - from < VISIT_MAX; from--) {
        const struct history_entry *e = &p->history[from - 1];
        if (from < p->history_n && later_ms - e->at_ms > gap_ms) break;
        later_ms = e->at_ms;
        goes_on |= e->type != EVENT_PRODUCT_PURCHASED && e->ref > since;
    }
    if (!goes_on) return;
    l->sessions++;
    for (isize i = from; i < p->history_n; i++)
        if (p->history[i].type != EVENT_PRODUCT_PURCHASED && profile_teaches(p, &p->history[i]))
            learn_entry(l, &p->history[i], l->sessions);
}

void fold_freshen(struct fold *fold)
{
    struct model *model = (struct model *)(uintptr_t)atomic_load(&fold->live.model);
    if (!model) return;
    struct learning l = { .fold = fold };
    i64 since_ms = model_card(model).to_ms - LATE_MS;
    arena a = { 0 };
    u32 most = (u32)people_most(fold->live.people);
    for (u32 id = 1; id <= most && l.all.n < FRESH_MAX;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            bool lately = people_may(fold->live.people, (person_id){ id }, UINT64_MAX, since_ms - 1);
            const struct profile *p =
                lately ? people_read(fold->live.people, (person_id){ id }, PEOPLE_HISTORY, &a)
                       : NULL;
            if (p && p->last_at_ms >= since_ms)
                learn_visit(&l, p, fold->trained_ref, fold->config->session_gap_ms);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
    model_append(model, l.all.at, l.all.n, (u32)catalog_count(fold->live.catalog) + 1);
    vec_fini(&l.all);
}

/* Somebody asked what the model has not. That is not waited with: it happens once for each
 * recommender there is. */
static bool lacks(const struct fold *fold)
{
    const struct model *model = atomic_load(&fold->live.model);         /* replaced by this thread alone */
    return model && wanted(fold) & ~model_card(model).built;
}

static void *builder_thread(void *ctx)
{
    thread_is("builder", THREAD_ASIDE);
    struct fold *fold = ctx;
    struct builder *b = fold->builder;
    rcu_thread_start();
    outlook_start(fold);
    i64 wait_ms = 0, due_us = 0, fresh_us = 0;
    u64 known_ref = 0;                                  /* to the model and what was appended to it */
    void *nothing;
    while (queue_take(b->stop, &nothing, 1, wait_ms) >= 0) {
        people_learn(fold->live.people);
        i64 began = clock_monotonic_us();
        u64 seen = atomic_load(&fold->live.folded);
        bool due = began >= due_us, asked = lacks(fold);
        if (due || asked) {
            if (asked || seen != fold->trained_ref) fold_train(fold);
            /* not at once: a tool that opens the folder is gone by then */
            if (due && due_us > 0) outlook_step(fold);
            known_ref = fold->trained_ref;
            i64 took_ms = (clock_monotonic_us() - began) / 1000;
            /* a tenth of one core at most */
            due_us = clock_monotonic_us() + 1000 * max_i64(fold->config->train_ms, 10 * took_ms);
            fresh_us = 0;
        }
        began = clock_monotonic_us();
        if (began >= fresh_us) {
            seen = atomic_load(&fold->live.folded);
            if (seen != known_ref) fold_freshen(fold);
            known_ref = seen;
            i64 took_ms = (clock_monotonic_us() - began) / 1000;
            fresh_us = clock_monotonic_us() + 1000 * max_i64(fold->config->train_ms, 10 * took_ms);
        }
        wait_ms = (min_i64(due_us, fresh_us) - clock_monotonic_us()) / 1000;
        wait_ms = max_i64(1, min_i64(wait_ms, LOOK_MS));
    }
    outlook_stop(fold);
    rcu_thread_stop();
    return NULL;
}

void builder_start(struct fold *fold)
{
    struct builder *b = mem_new(sizeof *b);
    b->stop = queue_new(1);
    fold->builder = b;
    pthread_create(&b->thread, NULL, builder_thread, fold);
}

void builder_stop(struct fold *fold)
{
    struct builder *b = fold->builder;
    atomic_store(&b->stopping, true);
    queue_close(b->stop);
    pthread_join(b->thread, NULL);
    queue_free(b->stop);
    mem_free(b);
    fold->builder = NULL;
}
