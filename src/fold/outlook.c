/* SPDX-License-Identifier: Apache-2.0
 *
 * outlook.c - the builder's look ahead: fits the predictions' models, logs what they say of each buyer, publishes intent.
 *
 * Scores go into the log, one entry a person, and into state only from there, so a rule that asks for one gives the same on a replay.
 * The models do not: they are made anew from what is there. A buyer whose scores moved by less than scores_differ() tells is left as
 * logged, so a quiet day adds little. Models are fitted again when a day has gone by, or a fifth more orders came; between, the
 * same models are asked again. Who refused analytics or training is not learnt from, who refused personalisation is not scored. */
#include "base/logline.h"
#include "base/rcu.h"
#include "fold/inside.h"

enum { PEOPLE_PER_BRACKET = 2000, ENTRIES_PER_SUBMIT = 500 };

struct foresight {
    struct models *models;
    u32 version;
    i64 orders, made_day, ran_us;
    u64 ran_ref;
    i64 ran_orders;
};

struct look { i64 orders; u32 version; currency currency; u64 ref; };

/* On the fold's thread. The currency is the one most of the shop's money is in, by count of minor units; ties to the first. */
static void look_at(void *ctx, struct fold *fold)
{
    struct look *l = ctx;
    i64 most = -1;
    l->orders = fold->totals.orders;
    l->ref = fold->ref;
    l->version = fold->cards.n ? fold->cards.at[fold->cards.n - 1].version : 0;
    for (isize i = 0; i < fold->totals.revenues_n; i++)
        if (fold->totals.revenue[i].minor > most) {
            most = fold->totals.revenue[i].minor;
            l->currency = fold->totals.revenue[i].currency;
        }
}

static void free_outlook(void *at)
{
    struct outlook *o = at;
    intent_free(o->intent);
    mem_free_str(o->why);
    mem_free(o);
}

void outlook_free(struct fold *fold)
{
    struct outlook *o = (struct outlook *)(uintptr_t)atomic_load(&fold->live.outlook);
    if (o) free_outlook(o);
}

static bool refused(const struct profile *p, int purpose) { return profile_consent(p, purpose) == CONSENT_DENIED; }

static void gather(struct fold *fold, struct look look, i64 now_ms, struct buyers *learn, struct buyers *ask, struct intent_trainer *t)
{
    u32 most = (u32)people_most(fold->live.people);
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_get(fold->live.people, (person_id){ id });
            if (!p) continue;
            bool teaches = profile_teaches_all(p);
            if (teaches) intent_train(t, p->history, p->history_n, now_ms);
            if (teaches) buyers_add(learn, p, look.currency, now_ms);
            if (!refused(p, PURPOSE_PERSONALISATION)) buyers_add(ask, p, look.currency, now_ms);
        }
        rcu_read_end();
    }
}

struct mail { struct fold *fold; arena a; struct entry at[ENTRIES_PER_SUBMIT]; isize n, all; bool failed; };

static void mail_send(struct mail *l)
{
    u64 first;
    if (l->n && !l->failed) l->failed = fold_submit_wait(l->fold, l->at, l->n, &first) != ERR_OK;
    l->all += l->failed ? 0 : l->n;
    l->n = 0;
    arena_clear(&l->a);
}

static void mail_add(struct mail *l, const struct prediction *p)
{
    struct buf bytes = { .arena = &l->a };
    prediction_encode(p, &bytes);
    l->at[l->n++] = (struct entry){ ENTRY_PREDICTION, buf_str(&bytes) };
    if (l->n == ENTRIES_PER_SUBMIT) mail_send(l);
}

static bool is_news(const struct fold *fold, person_id person, const struct scores *scores)
{
    rcu_read_begin();
    const struct profile *p = people_get(fold->live.people, person);
    bool news = p && scores->known && (!p->scores || scores_differ(p->scores, scores));
    rcu_read_end();
    return news;
}

static isize log_scores(struct fold *fold, const struct buyers *ask, bool fresh, i64 now_ms)
{
    struct foresight *f = fold->foresight;
    struct mail *l = mem_new(sizeof *l);
    l->fold = fold;
    if (fresh) {
        struct buf card = { 0 };
        struct jsonw w = { .out = &card };
        models_card(f->models, f->version, now_ms, &w);
        mail_add(l, &(struct prediction){ .scores.version = f->version, .card = buf_str(&card) });
        buf_fini(&card);
    }
    for (isize i = 0; i < ask->all.n && !l->failed; i++) {
        struct prediction p = { .person = ask->all.at[i].person, .scores = models_score(f->models, ask, &ask->all.at[i]) };
        p.scores.version = f->version;
        p.scores.at_ms = now_ms;
        if (is_news(fold, p.person, &p.scores)) mail_add(l, &p);
    }
    mail_send(l);
    isize all = l->all;
    arena_fini(&l->a);
    mem_free(l);
    return all;
}

static void publish(struct fold *fold, struct outlook made)
{
    struct outlook *o = mem_new(sizeof *o);
    *o = made;
    struct outlook *old = (struct outlook *)(uintptr_t)atomic_exchange(&fold->live.outlook, o);
    if (old) rcu_defer(free_outlook, old);
}

static void look_ahead(struct fold *fold, struct look look)
{
    struct foresight *f = fold->foresight;
    i64 began = clock_monotonic_us(), now_ms = clock_now(fold->clock);
    struct buyers learn = { 0 }, ask = { 0 };
    struct intent_trainer *t = intent_trainer_new(fold->config->session_gap_ms);
    struct outlook made = { .made_ms = now_ms };
    gather(fold, look, now_ms, &learn, &ask, t);
    made.intent = intent_learn(t, &made.intent_card);
    bool fresh = !f->models || now_ms / DAY_MS != f->made_day || look.orders > f->orders + f->orders / 5 + 20;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    if (fresh) {
        struct models *models = NULL;
        if (models_fit(&learn, now_ms, &models, &diag)) {
            made.why = mem_str(diag.what);
            fresh = false;
        } else {
            models_free(f->models);
            f->models = models;
            f->version = (look.version > f->version ? look.version : f->version) + 1;
            f->made_day = now_ms / DAY_MS;
            f->orders = look.orders;
        }
    }
    isize said = f->models ? log_scores(fold, &ask, fresh, now_ms) : 0;
    publish(fold, made);
    log_trace("outlook.done buyers=%td visits=%td said=%td version=%u ms=%lld", ask.all.n, made.intent_card.visits, said, f->version,
              (long long)(clock_monotonic_us() - began) / 1000);
    buyers_fini(&learn);
    buyers_fini(&ask);
    arena_fini(&a);
}

/* Due after predict_ms, or sooner once a fifth more orders came than the last run saw. */
void outlook_step(struct fold *fold)
{
    struct foresight *f = fold->foresight;
    struct look look = { 0 };
    i64 now_us = clock_monotonic_us();
    if (f->ran_us && atomic_load(&fold->live.folded) == f->ran_ref) return;
    fold_ask_wait(fold, look_at, &look);
    bool due = f->ran_us == 0 || now_us - f->ran_us >= fold->config->predict_ms * 1000 || look.orders > f->ran_orders + f->ran_orders / 5 + 20;
    if (!due) return;
    look_ahead(fold, look);
    f->ran_us = now_us;
    f->ran_orders = look.orders;
    f->ran_ref = look.ref;
}

void outlook_start(struct fold *fold) { fold->foresight = mem_new(sizeof *fold->foresight); }

void outlook_stop(struct fold *fold)
{
    models_free(fold->foresight->models);
    mem_free(fold->foresight);
    fold->foresight = NULL;
}
