/* SPDX-License-Identifier: Apache-2.0
 *
 * whatif.c - a campaign as it might be, tried on what people did.
 *
 * Each person's first seen decision of the campaign is a row: the variation they were given, how
 * likely that was, and what came of it. The changed campaign is compiled as publishing would
 * compile it, and asked, for the person as they stood then, how likely it makes the same variation
 * (by key). What it would show that was never shown cannot be told: `covered` says how much of it
 * can.
 *
 * Facts of the request are not kept, so a target that needs them (a page, the weather) is asked
 * without; a contextual bandit's own context is kept with its decisions.
 */
#include <stdlib.h>

#include "base/rcu.h"
#include "fold/inside.h"

enum { ARMS_MAX = EXPERIENCES_MAX * EXPERIENCE_VARIATIONS_MAX };

struct past { struct decided d; };
struct asking {
    const struct whatif *ask;
    struct whatif_answer *answer;
    arena *a;
    struct diag *diag;
    enum err err;
    struct book *now, *then;            /* in force, and with the change */
    struct past *rows; isize rows_n;    /* oldest first, one a person */
};

/* ---- on the fold's thread -------------------------------------------------------------------- */

static struct book *built(struct fold *fold, const struct definition_candidate *candidate, struct asking *q)
{
    struct definition_errors errors = { 0 };
    struct rule_names names = fold_names(fold);
    struct book *book = NULL;
    if (book_build(fold->definitions, candidate, &names, fold->live.secret, fold->ref, &book,
                   &errors)
        == ERR_OK) {
        trials_show(fold, book);
        return book;
    }
    const struct definition_error *e = &errors.at[0];
    q->err = diag_set(q->diag, ERR_REFUSED, "%.*s \"%.*s\": %.*s %.*s", STR_FMT(e->kind),
                      STR_FMT(e->key), STR_FMT(e->path), STR_FMT(e->message));
    book_free(book);
    return NULL;
}

static void gather(void *ctx, struct fold *fold)
{
    struct asking *q = ctx;
    const struct definition *def = definition_find(fold->definitions, S("campaign"), q->ask->campaign);
    if (!def || !def->published) {
        q->err = diag_set(q->diag, ERR_NOT_FOUND, "there is no published campaign \"%.*s\"",
                          STR_FMT(q->ask->campaign));
        return;
    }
    str document = q->ask->document.len ? q->ask->document : definition_latest(def);
    struct definition_candidate candidate = { S("campaign"), def->key, arena_str(q->a, document) };
    q->now = built(fold, NULL, q);
    if (q->now) q->then = built(fold, &candidate, q);
    if (!q->then) return;
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX),
          most = min_isize(fold->decided_n, DECIDED_MAX);
    struct map *seen = map_new(1024);
    q->rows = arena_new(q->a, struct past, most);
    for (isize i = oldest; i < fold->decided_n; i++) {
        const struct decided *d = &fold->decided[i % DECIDED_MAX];
        u8 why = d->decision.reason;
        bool chosen = why == REASON_EXPERIMENT || why == REASON_BANDIT || why == REASON_TARGET;
        if (d->decision.campaign != def->id || d->decision.at_ms < q->ask->since_ms || !d->viewed
            || !chosen || !d->decision.person.v)
            continue;
        if (!map_put(seen, (struct hash128){ d->decision.person.v, 1 }, 1)) continue;
        q->rows[q->rows_n] = (struct past){ *d };
        q->rows[q->rows_n++].d.bytes = arena_str(q->a, d->bytes);
    }
    map_free(seen);
}

/* ---- beside it ------------------------------------------------------------------------------- */

static const struct experience *experience_for(const struct asking *q, struct fold *fold,
                                               const struct campaign *c, const struct profile *p,
                                               i64 at_ms)
{
    for (isize i = 0; i < c->experiences_n; i++) {
        const struct rule *target = c->experiences[i].target;
        struct as_of then = { .world = { .profile = p,
                                         .catalog = fold->live.catalog,
                                         .now_ms = at_ms,
                                         .market = c->market },
                              .set = q->then->segments };
        struct rule_facts facts = facts_as_of(&then);
        if (!target || rule_holds(rule_run(target, &facts))) return &c->experiences[i];
    }
    return NULL;
}

/* The chance of each variation for somebody the experience speaks to. */
static void chances(const struct experience *x, const struct decision *logged, f64 *out)
{
    i32 shares[BANDIT_ARMS_MAX], leaf;
    f64 at[BANDIT_FEATURES_MAX], reached = 1 - (f64)x->holdout / BUCKETS;
    const struct bandit_policy *policy = x->adaptive ? x->adaptive->policy : NULL;
    bool by_policy = policy && policy->features_n == logged->context_n;
    for (isize f = 0; by_policy && f < policy->features_n; f++)
        at[f] = bandit_code(&policy->features[f], logged->context[f]);
    if (by_policy) bandit_policy_shares(policy, at, shares, &leaf);
    for (isize i = 0; i < x->variations_n; i++) {
        i32 share = by_policy                   ? shares[i]
                    : x->choose == CHOOSE_FIXED ? (i == 0 ? BUCKETS : 0)
                                                : x->variations[i].share;
        out[i] = reached * (f64)share / BUCKETS;
    }
}

static f64 reward_of(const struct campaign *c, const struct past *row, const struct profile *p)
{
    if (str_eq(c->metric, S("click_rate"))) return row->d.clicked;
    f64 reward = 0;
    for (isize i = 0; i < p->exposures_n; i++) {
        const struct exposure *x = &p->exposures[i];
        if (x->campaign != c->id) continue;
        if (str_eq(c->metric, S("revenue_per_person"))) reward += (f64)x->revenue_minor / 100;
        else if (x->orders > 0) reward = 1;
    }
    return reward;
}

/* The number of a variation over both campaigns, by its key: what "the same variation" means. */
static u32 arm_of(str *keys, isize *n, str key)
{
    for (isize i = 0; i < *n; i++)
        if (str_eq(keys[i], key)) return (u32)i;
    if (*n < ARMS_MAX) keys[(*n)++] = key;
    return (u32)*n - 1;
}

static void evaluate(struct asking *q, struct fold *fold)
{
    const struct campaign *now = book_campaign(q->now, q->ask->campaign),
                          *then = book_campaign(q->then, q->ask->campaign);
    if (!now || !then) {
        q->err = diag_set(q->diag, ERR_REFUSED, "the campaign is not in force");
        return;
    }
    struct whatif_answer *answer = q->answer;
    struct ope_row *rows = arena_new(q->a, struct ope_row, q->rows_n + 1);
    f64(*target)[ARMS_MAX] = arena_alloc(q->a, sizeof *target, 8, q->rows_n + 1),
    *sums = arena_new(q->a, f64, ARMS_MAX), *seen = arena_new(q->a, f64, ARMS_MAX);
    str *keys = arena_new(q->a, str, ARMS_MAX);
    isize arms = 0, n = 0;
    for (isize i = 0; i < q->rows_n; i++) {
        struct decision logged;
        f64 chance[EXPERIENCE_VARIATIONS_MAX];
        if (decision_decode(q->rows[i].d.bytes, q->a, &logged)
            || logged.experience >= now->experiences_n
            || logged.variation >= now->experiences[logged.experience].variations_n
            || logged.propensity <= 0)
            continue;
        struct arena_mark mark = arena_mark(q->a);
        rcu_read_begin();
        const struct profile *p = people_get(fold->live.people, q->rows[i].d.decision.person, q->a);
        const struct experience *x = p ? experience_for(q, fold, then, p, logged.at_ms) : NULL;
        f64 reward = p ? reward_of(then, &q->rows[i], p) : 0;
        rcu_read_end();
        arena_reset(q->a, mark);
        if (!p) continue;
        u32 arm = arm_of(keys, &arms, now->experiences[logged.experience].variations[logged.variation].key);
        if (x) chances(x, &logged, chance);
        for (isize v = 0; x && v < x->variations_n; v++)
            target[n][arm_of(keys, &arms, x->variations[v].key)] += chance[v];
        rows[n++] = (struct ope_row){ .action = arm,
                                      .propensity = (f64)logged.propensity / BUCKETS,
                                      .reward = reward };
        sums[arm] += reward;
        seen[arm]++;
    }
    for (isize i = 0; i < n; i++) {
        f64 covered = 0;
        rows[i].target = target[i][rows[i].action];
        rows[i].model = sums[rows[i].action] / seen[rows[i].action];
        for (isize k = 0; k < arms; k++) {
            if (seen[k] > 0) rows[i].model_target += target[i][k] * sums[k] / seen[k];
            if (seen[k] > 0) covered += target[i][k];
        }
        answer->covered += covered;
    }
    answer->people = n;
    answer->covered /= n ? (f64)n : 1;
    answer->metric = arena_str(q->a, then->metric);
    if (n == 0)
        q->err =
            diag_set(q->diag, ERR_REFUSED,
                     "nobody has seen the campaign since then, of the decisions that are kept");
    else answer->ope = ope_evaluate(rows, n, 10, 0.05);
}

enum err fold_whatif(struct fold *fold, const struct whatif *ask, arena *a,
                     struct whatif_answer *out, struct diag *diag)
{
    struct asking q = { .ask = ask, .answer = out, .a = a, .diag = diag };
    *out = (struct whatif_answer){ 0 };
    fold_ask_wait(fold, gather, &q);
    if (!q.err) evaluate(&q, fold);
    book_free(q.now);
    book_free(q.then);
    return q.err;
}

void whatif_print(const struct whatif *ask, const struct whatif_answer *answer, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "campaign", ask->campaign);
    jsonw_key_time(w, "since", ask->since_ms);
    jsonw_key_str(w, "metric", answer->metric);
    jsonw_key_int(w, "people", answer->people);
    jsonw_key_int(w, "rows", answer->ope.n);
    jsonw_key_num(w, "covered", answer->covered);
    ope_print(&answer->ope, w);
    jsonw_end(w, '}');
}
