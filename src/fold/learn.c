/* SPDX-License-Identifier: Apache-2.0
 *
 * learn.c - bandits learn: beside the fold, from people's exposures, into the log.
 *
 * What is to be learnt is asked of the fold (which experiences, with which shares, since when);
 * what came of it is read from profiles as the builder reads them; what follows is submitted like
 * any fact. So a replay meets the same shares at the same entries and computes nothing.
 *
 * An arm's mean is taken over strata: neighbouring epochs, joined until every arm has a hundred
 * people in each. Between strata shares differ and so may the season; each stratum weighs by its
 * people, and an arm that was favoured on a good day gains nothing by it. Shares move only when
 * every arm has a hundred people, by half a percent or more, and no sooner than a hundredth of the
 * bandit's age after the last move: moves grow rarer, and a year of them is some hundreds.
 */
#include <math.h>
#include <stdlib.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "fold/inside.h"

enum {
    PEOPLE_PER_BRACKET = 2000,
    PEOPLE_LEAST = 100,
    MOVED_LEAST = 50,
    ROWS_MAX = 20000,
    BANDITS_MAX = 256,
    LEAVES_MAX = 12
};

struct learner { pthread_t thread; struct queue *stop; };

enum reward { REWARD_ORDER, REWARD_CLICK, REWARD_REVENUE };

struct seen_decision { u32 person; str bytes; bool clicked; };
struct bandit {
    struct allotment now;
    struct bandit_settings settings;
    enum bandit_kind kind;
    bool contextual;
    u8 reward;
    str context[BANDIT_FEATURES_MAX]; isize context_n;
    struct epoch *epochs; isize epochs_n;
    struct { f64 n, sum, sum_sq; } (*sums)[BANDIT_ARMS_MAX];    /* by epoch */
    struct seen_decision *rows; isize rows_n;
};
struct lesson { arena a; struct bandit *at; isize n; i64 now_ms; };

/* ---- what is to be learnt: on the fold's thread ---------------------------------------------- */

static u8 reward_of(str metric)
{
    if (str_eq(metric, S("click_rate"))) return REWARD_CLICK;
    return str_eq(metric, S("revenue_per_person")) ? REWARD_REVENUE : REWARD_ORDER;
}

/* The latest decisions of it that were seen, a person's first one last: the copy is short, decoding
 * comes later. */
static void copy_decisions(struct fold *fold, struct lesson *l, struct bandit *b)
{
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX);
    b->rows = arena_new(&l->a, struct seen_decision, ROWS_MAX);
    for (isize i = fold->decided_n - 1; i >= oldest && b->rows_n < ROWS_MAX; i--) {
        const struct decided *d = &fold->decided[i % DECIDED_MAX];
        bool own = d->decision.campaign == b->now.campaign && d->decision.experience == b->now.experience;
        if (!own || !d->viewed || !d->decision.person.v || d->decision.reason != REASON_BANDIT) continue;
        b->rows[b->rows_n++] =
            (struct seen_decision){ d->decision.person.v, arena_str(&l->a, d->bytes), d->clicked };
    }
}

static void add_bandit(struct fold *fold, struct lesson *l, const struct campaign *c, u8 index)
{
    const struct experience *x = &c->experiences[index];
    struct bandit *b = &l->at[l->n++];
    isize n;
    const struct epoch *epochs = fold_epochs(fold, c->id, index, &n);
    *b = (struct bandit){ .settings = x->adaptive->settings,
                          .kind = x->adaptive->kind,
                          .contextual = x->choose == CHOOSE_CONTEXTUAL,
                          .reward = reward_of(c->metric),
                          .context_n = x->adaptive->context_n,
                          .epochs_n = n,
                          .epochs = arena_new(&l->a, struct epoch, n),
                          .sums = arena_alloc(&l->a, sizeof *b->sums, 8, n) };
    if (n) memcpy(b->epochs, epochs, (size_t)n * sizeof *epochs);
    for (isize i = 0; i < b->context_n; i++) b->context[i] = arena_str(&l->a, x->adaptive->context[i]);
    b->now = (struct allotment){ .campaign = c->id,
                                 .experience = index,
                                 .arms = (u8)x->variations_n,
                                 .ranges_n = x->allocation.n,
                                 .ranges = arena_new(&l->a, struct range, x->allocation.n) };
    if (x->allocation.n)
        memcpy(b->now.ranges, x->allocation.at, (size_t)x->allocation.n * sizeof *b->now.ranges);
    if (b->contextual) copy_decisions(fold, l, b);
}

static void ask_lesson(void *ctx, struct fold *fold)
{
    struct lesson *l = ctx;
    const struct book *book = atomic_load(&fold->live.book);
    l->now_ms = fold->now_ms;
    l->at = arena_new(&l->a, struct bandit, BANDITS_MAX);
    for (isize i = 0; i < book->campaigns_n; i++)
        for (u8 k = 0; k < book->campaigns[i].experiences_n && l->n < BANDITS_MAX; k++) {
            const struct campaign *c = &book->campaigns[i];
            bool runs = !c->paused && (!c->ends_at_ms || c->ends_at_ms > l->now_ms)
                        && c->experiences[k].adaptive && c->experiences[k].variations_n > 1;
            if (runs) add_bandit(fold, l, c, k);
        }
}

/* ---- what came of it: from profiles ---------------------------------------------------------- */

static f64 reward_in(u8 kind, const struct exposure *x)
{
    switch ((enum reward)kind) {
    case REWARD_ORDER: return x->orders > 0;
    case REWARD_CLICK: return x->clicks > 0;
    case REWARD_REVENUE: break;
    }
    return (f64)x->revenue_minor / 100;
}

/* The person's whole exposure to the campaign, of the experience. */
static bool part_of(const struct profile *p, const struct bandit *b, struct exposure *out)
{
    isize from = 0;
    while (from < p->exposures_n && p->exposures[from].campaign < b->now.campaign) from++;
    isize to = from;
    while (to < p->exposures_n && p->exposures[to].campaign == b->now.campaign) to++;
    return to > from && exposures_whole(p->exposures + from, to - from, out)
           && out->experience == b->now.experience && out->variation < b->now.arms;
}

static void count_person(struct lesson *l, const struct profile *p)
{
    for (isize i = 0; i < l->n && p->exposures_n; i++) {
        struct bandit *b = &l->at[i];
        struct exposure x;
        if (!part_of(p, b, &x)) continue;
        isize e = b->epochs_n - 1;
        while (e > 0 && b->epochs[e].at_ms > x.first_at_ms) e--;
        if (e < 0) continue;
        f64 reward = reward_in(b->reward, &x);
        b->sums[e][x.variation].n++;
        b->sums[e][x.variation].sum += reward;
        b->sums[e][x.variation].sum_sq += reward * reward;
    }
}

static void count_people(struct fold *fold, struct lesson *l)
{
    u32 most = (u32)people_most(fold->live.people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_read(fold->live.people, (person_id){ id }, PEOPLE_FACTS, &a);
            if (p) count_person(l, p);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
}

/* ---- what follows ---------------------------------------------------------------------------- */

struct strata { f64 n[BANDIT_ARMS_MAX], sum[BANDIT_ARMS_MAX], sum_sq[BANDIT_ARMS_MAX]; };

/* Means and errors over strata; false while an arm has too few. */
static bool believe(const struct bandit *b, struct bandit_belief *out)
{
    f64 means[BANDIT_ARMS_MAX] = { 0 }, variances[BANDIT_ARMS_MAX] = { 0 }, all = 0;
    struct strata s = { 0 };
    isize closed = 0;
    struct strata *strata = mem_new((b->epochs_n + 1) * (isize)sizeof *strata);
    for (isize e = 0; e < b->epochs_n; e++) {
        bool full = true;
        for (isize k = 0; k < b->now.arms; k++) {
            s.n[k] += b->sums[e][k].n, s.sum[k] += b->sums[e][k].sum, s.sum_sq[k] += b->sums[e][k].sum_sq;
            full &= s.n[k] >= PEOPLE_LEAST;
        }
        if (full) strata[closed++] = s, s = (struct strata){ 0 };
    }
    if (closed) {                                       /* what is left over joins the last one */
        struct strata *last = &strata[closed - 1];
        for (isize k = 0; k < b->now.arms; k++)
            last->n[k] += s.n[k], last->sum[k] += s.sum[k], last->sum_sq[k] += s.sum_sq[k];
    }
    for (isize i = 0; i < closed; i++)
        for (isize k = 0; k < b->now.arms; k++) all += strata[i].n[k];
    for (isize i = 0; i < closed; i++) {
        f64 weight = 0;
        for (isize k = 0; k < b->now.arms; k++) weight += strata[i].n[k] / all;
        for (isize k = 0; k < b->now.arms; k++) {
            struct bandit_belief one = bandit_belief_of(
                strata[i].n[k], strata[i].sum[k], strata[i].sum_sq[k], b->reward != REWARD_REVENUE);
            means[k] += weight * one.mean;
            variances[k] += weight * weight * one.sd * one.sd;
        }
    }
    for (isize k = 0; k < b->now.arms; k++) out[k] = (struct bandit_belief){ means[k], sqrt(variances[k]) };
    mem_free(strata);
    return closed > 0;
}

static bool rested(const struct bandit *b, i64 now_ms)
{
    if (b->epochs_n < 2) return true;
    i64 age = now_ms - b->epochs[0].at_ms, since = now_ms - b->epochs[b->epochs_n - 1].at_ms;
    return since >= age / 100;
}

/* Ranges that give these shares, as near as may be to what is; cut anew when so many moves have
 * frayed them. */
static void allot(struct bandit *b, const i32 *shares, arena *a)
{
    struct allocation old = { b->now.ranges, b->now.ranges_n }, made;
    if (experiment_reallocate(a, old, shares, b->now.arms, &made, NULL)
        && experiment_allocate(a, shares, b->now.arms, &made, NULL))
        return;
    b->now.ranges = (struct range *)(uintptr_t)made.at;
    b->now.ranges_n = made.n;
}

static bool learn_shares(struct bandit *b, arena *a)
{
    struct bandit_belief beliefs[BANDIT_ARMS_MAX];
    i32 shares[BANDIT_ARMS_MAX];
    if (b->now.arms > BANDIT_ARMS_MAX || !believe(b, beliefs)) return false;
    bandit_shares(&b->settings, beliefs, b->now.arms, shares);
    i32 moved = 0;
    for (i32 k = 0; k < b->now.arms; k++) {
        i32 by = shares[k] - experiment_share((struct allocation){ b->now.ranges, b->now.ranges_n }, k);
        if (abs(by) > moved) moved = abs(by);
    }
    if (moved < MOVED_LEAST) return false;
    allot(b, shares, a);
    return true;
}

/* A person's first decision and what came of it. Rows come newest first, so a later one of the same
 * person replaces it. */
static bool learn_policy(struct fold *fold, struct bandit *b, arena *a)
{
    str *texts = arena_new(a, str, b->rows_n * b->context_n + 1);
    i32 *arms = arena_new(a, i32, b->rows_n + 1), shares[BANDIT_ARMS_MAX];
    f64 *rewards = arena_new(a, f64, b->rows_n + 1), people[BANDIT_ARMS_MAX] = { 0 },
        mean[BANDIT_ARMS_MAX] = { 0 };
    struct map *row_of = map_new(b->rows_n + 16);
    isize n = 0;
    for (isize i = 0; i < b->rows_n; i++) {
        struct decision d;
        const struct seen_decision *row = &b->rows[i];
        if (decision_decode(row->bytes, a, &d) || d.context_n != b->context_n
            || d.variation >= b->now.arms)
            continue;
        struct arena_mark mark = arena_mark(a);
        rcu_read_begin();
        const struct profile *p = people_read(fold->live.people, (person_id){ row->person }, PEOPLE_FACTS, a);
        struct exposure x;
        bool there = p && part_of(p, b, &x) && x.variation == d.variation;
        f64 reward = there ? b->reward == REWARD_CLICK ? row->clicked : reward_in(b->reward, &x) : 0;
        rcu_read_end();
        arena_reset(a, mark);
        if (!there) continue;
        struct hash128 key = { row->person, 0 };
        isize at = (isize)map_get(row_of, key, (u64)n);
        if (at == n) map_put(row_of, key, (u64)n++);
        for (isize f = 0; f < b->context_n; f++) texts[at * b->context_n + f] = d.context[f];
        arms[at] = d.variation;
        rewards[at] = b->reward == REWARD_CLICK ? fmax(reward, rewards[at]) : reward;
    }
    map_free(row_of);
    for (isize i = 0; i < n; i++) people[arms[i]]++;
    for (isize k = 0; k < b->now.arms; k++)
        if (people[k] < PEOPLE_LEAST) return false;
    struct bandit_data data = bandit_data_of(a, b->context, b->context_n, texts, arms, rewards, n,
                                             b->now.arms, b->reward != REWARD_REVENUE);
    struct bandit_tree_options options = { .units = PEOPLE_LEAST, .leaves_max = LEAVES_MAX, .gain = 6 };
    struct bandit_policy *policy = b->kind == BANDIT_TREE
                                       ? bandit_tree_learn(a, &data, &b->settings, &options)
                                       : bandit_linear_learn(a, &data, &b->settings, b->kind, 0);
    /* the shares everybody has together: what a stranger's page and the results show */
    for (isize i = 0; i < n; i++) {
        i32 at[BANDIT_ARMS_MAX], leaf;
        bandit_policy_shares(policy, data.rows[i].x, at, &leaf);
        for (isize k = 0; k < b->now.arms; k++) mean[k] += at[k];
    }
    bandit_round(mean, b->now.arms, shares);
    allot(b, shares, a);
    struct buf json = { .arena = a };
    struct jsonw w = { .out = &json };
    bandit_policy_write(policy, &w);
    b->now.policy = buf_str(&json);
    return true;
}

isize fold_learn(struct fold *fold)
{
    struct lesson l = { 0 };
    isize changed = 0;
    i64 began = clock_monotonic_us();
    fold_ask_wait(fold, ask_lesson, &l);
    if (l.n) count_people(fold, &l);
    for (isize i = 0; i < l.n; i++) {
        struct bandit *b = &l.at[i];
        if (!rested(b, l.now_ms)) continue;
        bool learnt = b->contextual ? learn_policy(fold, b, &l.a) : learn_shares(b, &l.a);
        if (!learnt) continue;
        struct buf bytes = { .arena = &l.a };
        struct codec c = codec_writer(&bytes);
        allotment_visit(&c, &b->now);
        struct entry entry = { ENTRY_ALLOTMENT, buf_str(&bytes) };
        changed += fold_submit_wait(fold, &entry, 1, NULL) == ERR_OK;
    }
    if (l.n)
        log_trace("learn.done bandits=%td changed=%td ms=%lld", l.n, changed,
                  (long long)(clock_monotonic_us() - began) / 1000);
    arena_fini(&l.a);
    return changed + learn_weights(fold);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *learner_thread(void *ctx)
{
    thread_is("learner", THREAD_ASIDE);
    struct fold *fold = ctx;
    void *nothing;
    i64 wait_ms = fold->config->learn_ms;
    rcu_thread_start();
    while (queue_take(fold->learner->stop, &nothing, 1, wait_ms) >= 0) {
        i64 began = clock_monotonic_us();
        (void)fold_learn(fold);
        /* a tenth of one core at most */
        wait_ms = max_i64(fold->config->learn_ms, (clock_monotonic_us() - began) / 100);
    }
    rcu_thread_stop();
    return NULL;
}

void learner_start(struct fold *fold)
{
    fold->learner = mem_new(sizeof *fold->learner);
    fold->learner->stop = queue_new(1);
    pthread_create(&fold->learner->thread, NULL, learner_thread, fold);
}

void learner_stop(struct fold *fold)
{
    queue_close(fold->learner->stop);
    pthread_join(fold->learner->thread, NULL);
    queue_free(fold->learner->stop);
    mem_free(fold->learner);
    fold->learner = NULL;
}
