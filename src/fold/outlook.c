/* SPDX-License-Identifier: Apache-2.0
 *
 * outlook.c - the builder's look ahead: fits the predictions' models, logs what they say of each
 * person, publishes intent.
 *
 * Scores go into the log, one entry a person, and into state only from there, so a rule that asks
 * for one gives the same on a replay. The models do not: they are made anew from what is there. A
 * buyer whose scores moved by less than scores_differ() tells is left as logged, so a quiet day
 * adds little. Models are fitted again when a day has gone by, or a fifth more orders came;
 * between, the same models are asked again. A campaign's uplift is fitted as often, from everybody
 * whose outcome had its days to come; whoever did something in the last 90 days gets its score. Who
 * refused analytics or training is not learnt from, who refused personalisation is not scored. */
#include "base/logline.h"
#include "base/rcu.h"
#include "fold/inside.h"

enum { PEOPLE_PER_BRACKET = 2000, ENTRIES_PER_SUBMIT = 500, REACH_DAYS = 90 };

/* A campaign whose uplift is learnt, as the book had it. `variations`: by experience, a bit for
 * each that is the control. */
struct trial_of {
    u32 campaign, key_hash;
    str key, title;
    struct uplift_plan plan;
    u32 tested, controls[EXPERIENCES_MAX];
    struct lift_rows rows;
    struct lift *lift;              /* null: not enough */
    bool due;                       /* to be fitted in this run */
};

struct foresight {
    struct models *models;
    struct trial_of trials[UPLIFTS_MAX]; isize trials_n;
    u32 version;
    i64 orders, made_day, ran_us;
    u64 ran_ref, book;
    i64 ran_orders;
};

struct look { i64 orders; u32 version; currency currency; u64 ref, book; };

/* On the fold's thread. The currency is the one most of the shop's money is in, by count of minor
 * units; ties to the first. */
static void look_at(void *ctx, struct fold *fold)
{
    struct look *l = ctx;
    i64 most = -1;
    l->orders = fold->totals.orders;
    l->ref = fold->ref;
    l->book = fold->book_ref;
    for (isize i = 0; i < fold->cards.n; i++)
        if (fold->cards.at[i].version > l->version) l->version = fold->cards.at[i].version;
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
    for (isize i = 0; i < o->missing_n; i++) {
        mem_free_str(o->missing[i].key);
        mem_free_str(o->missing[i].why);
    }
    mem_free(o);
}

void outlook_free(struct fold *fold)
{
    struct outlook *o = (struct outlook *)(uintptr_t)atomic_load(&fold->live.outlook);
    if (o) free_outlook(o);
}

static bool refused(const struct profile *p, int purpose)
{
    return profile_consent(p, purpose) == CONSENT_DENIED;
}

/* ---- uplift ---------------------------------------------------------------------------------- */

static void forget_trial(struct trial_of *t)
{
    lift_free(t->lift);
    vec_fini(&t->rows);
    mem_free_str(t->key);
    mem_free_str(t->title);
}

static void forget_trials(struct foresight *f)
{
    for (isize i = 0; i < f->trials_n; i++) forget_trial(&f->trials[i]);
    f->trials_n = 0;
}

static struct trial_of trial_of(const struct campaign *c)
{
    struct trial_of t = { .campaign = c->id,
                          .key_hash = uplift_campaign(c->key),
                          .key = mem_str(c->key),
                          .title = mem_str(c->title),
                          .plan = c->uplift };
    for (isize x = 0; x < c->experiences_n; x++) {
        const struct experience *e = &c->experiences[x];
        if (e->choose != CHOOSE_EXPERIMENT) continue;
        t.tested |= 1u << x;
        for (isize v = 0; v < e->variations_n; v++) t.controls[x] |= e->variations[v].control ? 1u << v : 0;
    }
    return t;
}

static bool same_trial(const struct trial_of *a, const struct trial_of *b)
{
    return a->campaign == b->campaign && a->plan.clicks == b->plan.clicks
           && a->plan.days == b->plan.days && a->tested == b->tested
           && memcmp(a->controls, b->controls, sizeof a->controls) == 0;
}

/* As the book has them now; one that is as it was keeps what it learnt. */
static void list_trials(struct fold *fold)
{
    struct foresight *f = fold->foresight;
    struct trial_of now[UPLIFTS_MAX];
    isize n = 0;
    rcu_read_begin();
    const struct book *book = atomic_load(&fold->live.book);
    for (isize i = 0; i < book->campaigns_n && n < UPLIFTS_MAX; i++)
        if (book->campaigns[i].uplift.wanted) now[n++] = trial_of(&book->campaigns[i]);
    rcu_read_end();
    for (isize i = 0; i < n; i++)
        for (isize k = 0; k < f->trials_n; k++) {
            if (!same_trial(&now[i], &f->trials[k])) continue;
            now[i].lift = f->trials[k].lift;
            f->trials[k].lift = NULL;
        }
    forget_trials(f);
    if (n) memcpy(f->trials, now, (size_t)n * sizeof *now);
    f->trials_n = n;
}

static bool did_order(const struct profile *p, i64 from_ms, i64 to_ms)
{
    for (isize i = p->history_n - 1; i >= 0 && p->history[i].at_ms > from_ms; i--)
        if (p->history[i].type == EVENT_ORDER_COMPLETED && p->history[i].at_ms <= to_ms) return true;
    return false;
}

/* One person's part in the experiment, once the outcome had its days to come; of a row too many the
 * oldest are overwritten. */
static void take_part(struct trial_of *t, const struct profile *p, i64 now_ms, arena *a)
{
    isize from = 0, n = 0;
    struct exposure whole;
    while (from < p->exposures_n && p->exposures[from].campaign != t->campaign) from++;
    while (from + n < p->exposures_n && p->exposures[from + n].campaign == t->campaign) n++;
    if (n == 0 || !exposures_whole(p->exposures + from, n, &whole)) return;
    i64 until_ms = whole.first_at_ms + t->plan.days * DAY_MS;
    bool tested = whole.experience < EXPERIENCES_MAX && t->tested >> whole.experience & 1;
    if (!tested || whole.variation >= 32 || until_ms > now_ms) return;
    struct lift_row row = { .treated = !(t->controls[whole.experience] >> whole.variation & 1),
                            .outcome = t->plan.clicks ? whole.clicks > 0
                                                      : did_order(p, whole.first_at_ms, until_ms) };
    const struct profile *then = profile_then(p, whole.first_at_ms - 1, NULL, 0, a);
    lift_features(then ? then : p, whole.first_at_ms - 1, row.x);
    if (t->rows.n < LIFT_ROWS_MAX) vec_push(&t->rows, row);
    else t->rows.at[hash128((str){ (const char *)&p->id, sizeof p->id }, 13).lo % LIFT_ROWS_MAX] = row;
}

/* Those that are to be fitted, and all for which there is too little. */
static bool fit_trials(struct foresight *f, struct outlook *made)
{
    bool any = false;
    for (isize i = 0; i < f->trials_n; i++) {
        struct trial_of *t = &f->trials[i];
        if (!t->due) continue;
        arena a = { 0 };
        struct diag diag = { .arena = &a };
        struct missing_uplift missing = { 0 };
        lift_free(t->lift);
        if (lift_fit(&t->rows, &t->lift, &missing.counts, &diag)) {
            missing.key = mem_str(t->key);
            missing.why = mem_str(diag.what);
            made->missing[made->missing_n++] = missing;
        }
        any |= t->lift != NULL;
        vec_fini(&t->rows);
        arena_fini(&a);
    }
    return any;
}

static void score_uplifts(const struct foresight *f, const struct profile *p, i64 now_ms, struct scores *out)
{
    f32 x[LIFT_COLUMNS];
    bool known = false;
    if (p->last_at_ms < now_ms - REACH_DAYS * DAY_MS) return;
    for (isize i = 0; i < f->trials_n; i++) {
        if (!f->trials[i].lift) continue;
        if (!known) lift_features(p, now_ms, x);
        known = true;
        out->uplifts[out->uplifts_n] = lift_score(f->trials[i].lift, x);
        out->uplifts[out->uplifts_n++].campaign = f->trials[i].key_hash;
    }
}

/* ---- gathering and saying -------------------------------------------------------------------- */

static void gather(struct fold *fold, struct look look, i64 now_ms, struct buyers *learn,
                   struct buyers *ask, struct intent_trainer *t)
{
    struct foresight *f = fold->foresight;
    u32 most = (u32)people_most(fold->live.people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_get(fold->live.people, (person_id){ id }, &a);
            if (!p) continue;
            bool teaches = profile_teaches_all(p);
            if (teaches) intent_train(t, p->history, p->history_n, now_ms);
            if (teaches) buyers_add(learn, p, look.currency, now_ms);
            for (isize i = 0; teaches && i < f->trials_n; i++)
                if (f->trials[i].due) take_part(&f->trials[i], p, now_ms, &a);
            if (!refused(p, PURPOSE_PERSONALISATION)) buyers_add(ask, p, look.currency, now_ms);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
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

/* Scores are of what was asked a moment ago: who is not there any more, or refuses by now, has none. */
static isize news_of(struct fold *fold, const struct buyers *ask, isize *buyer, u32 from, u32 to,
                     i64 now_ms, struct prediction *out)
{
    const struct foresight *f = fold->foresight;
    isize n = 0;
    arena a = { 0 };
    rcu_read_begin();
    for (u32 id = from; id < to; id++) {
        arena_clear(&a);
        const struct profile *p = people_get(fold->live.people, (person_id){ id }, &a);
        while (*buyer < ask->all.n && ask->all.at[*buyer].person.v < id) ++*buyer;
        if (!p || refused(p, PURPOSE_PERSONALISATION)) continue;
        struct scores s = { 0 };
        bool bought = *buyer < ask->all.n && ask->all.at[*buyer].person.v == id;
        if (bought && f->models) s = models_score(f->models, ask, &ask->all.at[*buyer]);
        score_uplifts(f, p, now_ms, &s);
        s.version = f->version;
        s.at_ms = now_ms;
        bool any = s.known || s.uplifts_n;
        if (any && (!p->scores || scores_differ(p->scores, &s)))
            out[n++] = (struct prediction){ .person = p->id, .scores = s };
    }
    rcu_read_end();
    arena_fini(&a);
    return n;
}

static void mail_card(struct mail *l, u32 version, struct buf *card)
{
    mail_add(l, &(struct prediction){ .scores.version = version, .card = buf_str(card) });
    buf_fini(card);
    *card = (struct buf){ 0 };
}

static void log_cards(struct fold *fold, struct mail *l, bool buyers, i64 now_ms)
{
    struct foresight *f = fold->foresight;
    struct buf card = { 0 };
    struct jsonw w = { .out = &card };
    if (buyers) {
        models_card(f->models, f->version, now_ms, &w);
        mail_card(l, f->version, &card);
    }
    for (isize i = 0; i < f->trials_n; i++) {
        const struct trial_of *t = &f->trials[i];
        if (!t->due || !t->lift) continue;
        w = (struct jsonw){ .out = &card };
        lift_card(t->lift, arena_printf(&l->a, UPLIFT_PREFIX "%.*s", STR_FMT(t->key)),
                  arena_printf(&l->a, "by how much %.*s raises the chance of %s within %d days",
                               STR_FMT(t->title), t->plan.clicks ? "a click" : "an order",
                               t->plan.days),
                  f->version, now_ms, &w);
        mail_card(l, f->version, &card);
    }
}

static isize log_scores(struct fold *fold, const struct buyers *ask, bool buyers, i64 now_ms)
{
    u32 most = (u32)people_most(fold->live.people);
    struct mail *l = mem_new(sizeof *l);
    struct prediction *news = mem_new(PEOPLE_PER_BRACKET * (isize)sizeof *news);
    isize buyer = 0;
    l->fold = fold;
    log_cards(fold, l, buyers, now_ms);
    for (u32 id = 1; id <= most && !l->failed; id += PEOPLE_PER_BRACKET) {
        isize n = news_of(fold, ask, &buyer, id,
                          id + PEOPLE_PER_BRACKET <= most ? id + PEOPLE_PER_BRACKET : most + 1,
                          now_ms, news);
        for (isize i = 0; i < n; i++) mail_add(l, &news[i]);
    }
    mail_send(l);
    isize all = l->all;
    arena_fini(&l->a);
    mem_free(l);
    mem_free(news);
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
    bool renew = now_ms / DAY_MS != f->made_day || look.orders > f->orders + f->orders / 5 + 20,
         buyers = false, any = false;
    if (look.book != f->book) list_trials(fold);
    for (isize i = 0; i < f->trials_n; i++) f->trials[i].due = renew || !f->trials[i].lift;
    gather(fold, look, now_ms, &learn, &ask, t);
    made.intent = intent_learn(t, &made.intent_card);
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    if (renew || !f->models) {
        struct models *models = NULL;
        buyers = models_fit(&learn, now_ms, &models, &diag) == ERR_OK;
        if (buyers) {
            models_free(f->models);
            f->models = models;
        } else {
            made.why = mem_str(diag.what);
        }
    }
    bool lifts = fit_trials(f, &made);
    if (buyers || lifts) f->version = (look.version > f->version ? look.version : f->version) + 1;
    f->made_day = now_ms / DAY_MS;
    if (renew) f->orders = look.orders;
    f->book = look.book;
    for (isize i = 0; i < f->trials_n; i++) any |= f->trials[i].lift != NULL;
    isize said = f->models || any ? log_scores(fold, &ask, buyers, now_ms) : 0;
    publish(fold, made);
    log_trace("outlook.done buyers=%td visits=%td said=%td version=%u ms=%lld", ask.all.n,
              made.intent_card.visits, said, f->version,
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
    bool due = f->ran_us == 0 || now_us - f->ran_us >= fold->config->predict_ms * 1000
               || look.orders > f->ran_orders + f->ran_orders / 5 + 20;
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
    forget_trials(fold->foresight);
    mem_free(fold->foresight);
    fold->foresight = NULL;
}
