/* SPDX-License-Identifier: Apache-2.0
 *
 * contacts.c - how often people hear from the shop, and who is served: contact pressure, and
 * coverage by gender and age.
 *
 * A contact is a campaign's decision that was seen; which channels count is a setting (settings
 * shop, "contacts"). What caps refused is counted from the decisions that are kept. Coverage is of
 * those decisions too: the share that was chosen for the person (a target, an experiment, a bandit
 * or a strategy) of all that were asked for them. Uplift is of the programme: everybody treated
 * against the holdout.
 */
#include <math.h>
#include <stdlib.h>

#include "api/admin.h"
#include "base/rcu.h"

enum { BARS = 21, MOST_CONTACTED = 20, SEEN_ROWS_MAX = 100000 };

static bool read_days(struct call *call, i64 otherwise, i64 *days)
{
    *days = otherwise;
    str said = http_query(call->req, S("days"), S(""));
    if (said.len == 0 || (str_to_i64(said, days) && *days >= 1 && *days <= 365)) return true;
    call_fail(call, ERR_BAD_INPUT, "days is 1 to 365");
    return false;
}

/* ---- contact pressure ------------------------------------------------------------------------ */

struct refused { u32 campaign; i64 by_all, by_own; };
struct pressure {
    i64 since_ms, now_ms, days, people, contacts, at_limit, bars[BARS];
    struct topk most;
    struct refused refused[64]; isize refused_n;
    i64 decisions;
};

static struct refused *refused_of(struct pressure *x, u32 campaign)
{
    for (isize i = 0; i < x->refused_n; i++)
        if (x->refused[i].campaign == campaign) return &x->refused[i];
    if (x->refused_n == countof(x->refused)) return NULL;
    x->refused[x->refused_n] = (struct refused){ .campaign = campaign };
    return &x->refused[x->refused_n++];
}

/* A decision may have gone on to another campaign after a cap refused one, so all are looked into. */
static void answer_pressure(struct call *call, struct fold *fold)
{
    struct pressure *x = call->own;
    const struct live *live = fold_live(fold);
    const struct book *book = atomic_load(&live->book);
    const struct settings *s = &book->settings;
    struct jsonw *w = &call->w;
    arena a = { 0 };
    const struct decided *d;
    for (isize back = 0; (d = fold_decided_at(fold, back)) && d->decision.at_ms >= x->since_ms; back++) {
        struct decision whole;
        x->decisions++;
        if (decision_decode(d->bytes, &a, &whole) == ERR_OK)
            for (isize i = 0; i < whole.considered_n; i++) {
                u8 outcome = whole.considered[i].outcome;
                struct refused *r = outcome == OUTCOME_CONTACTS || outcome == OUTCOME_CAPPED
                                        ? refused_of(x, whole.considered[i].campaign)
                                        : NULL;
                if (r) { r->by_all += outcome == OUTCOME_CONTACTS; r->by_own += outcome == OUTCOME_CAPPED; }
            }
        arena_clear(&a);
    }
    arena_fini(&a);
    jsonw_begin(w, '{');
    jsonw_key_int(w, "days", x->days);
    jsonw_key(w, S("limit"));
    if (s->contact_times) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "times", s->contact_times);
        jsonw_key_int(w, "per_seconds", s->contact_period_ms / SECOND_MS);
        jsonw_key_begin(w, "channels", '[');
        for (isize i = 0; i < s->contact_channels_n; i++) jsonw_str(w, s->contact_channels[i]);
        jsonw_end(w, ']');
        jsonw_key_int(w, "people_at_it", x->at_limit);
        jsonw_end(w, '}');
    } else jsonw_null(w);
    jsonw_key_int(w, "people", x->people);
    jsonw_key_int(w, "contacts", x->contacts);
    jsonw_key_num(w, "a_person", x->people ? (f64)x->contacts / (f64)x->people : 0);
    /* [i]: people with i contacts; the last: with 20 or more */
    jsonw_key_begin(w, "people_by_contacts", '[');
    for (isize i = 0; i < BARS; i++) jsonw_int(w, x->bars[i]);
    jsonw_end(w, ']');
    jsonw_key_begin(w, "most_contacted", '[');
    isize n = topk_finish(&x->most);
    for (isize i = 0; i < n; i++) {
        const struct profile *p = people_get(live->people, (person_id){ x->most.at[i].id }, call->a);
        if (!p) continue;
        jsonw_begin(w, '{');
        print_person_id(w, "person_id", p->id);
        jsonw_key_str(w, "display", person_display(live, p, call->a));
        jsonw_key_int(w, "contacts", (i64)x->most.at[i].score);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "decisions_looked_into", x->decisions);
    jsonw_key_begin(w, "refused", '[');
    for (isize i = 0; i < x->refused_n; i++) {
        const struct definition *def = definition_by_id(fold_definitions(fold), x->refused[i].campaign);
        jsonw_begin(w, '{');
        jsonw_key_str(w, "campaign", def ? def->key : S("(gone)"));
        jsonw_key_int(w, "contact_cap", x->refused[i].by_all);
        jsonw_key_int(w, "own_cap", x->refused[i].by_own);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void pressure(struct call *call)
{
    struct pressure *x = arena_new(call->a, struct pressure, 1);
    const struct live *live = call->api->live;
    if (!read_days(call, 7, &x->days)) return;
    x->now_ms = clock_now(call->api->clock);
    x->since_ms = x->now_ms - x->days * DAY_MS;
    x->most = topk_new(call->a, MOST_CONTACTED);
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    u32 most = (u32)people_most(live->people);
    arena a = { 0 };
    for (u32 id = 1; id <= most; id++) {
        arena_clear(&a);
        const struct profile *p = people_read(live->people, (person_id){ id }, PEOPLE_HISTORY, &a);
        if (!p) continue;
        i32 n = contacts_since(book, p, x->since_ms, x->now_ms);
        x->people++;
        x->contacts += n;
        x->bars[n < BARS ? n : BARS - 1]++;
        x->at_limit +=
            book->settings.contact_times
            && contacts_since(book, p, x->now_ms - book->settings.contact_period_ms, x->now_ms)
                   >= book->settings.contact_times;
        if (n) topk_add(&x->most, id, (f64)n);
    }
    arena_fini(&a);
    rcu_read_end();
    call->own = x;
    on_fold(call, answer_pressure);
}

void contacts_get(struct call *call) { ask_jobs(call, pressure); }

/* ---- coverage by gender and age -------------------------------------------------------------- */

struct served { u32 person; bool personal; };
struct group {
    str by, value;
    i64 people, decisions, personal, treated, treated_buyers, held, held_buyers;
    f64 p;
};
struct serving {
    i64 since_ms, days;
    struct served *rows;
    isize rows_n;
    struct group at[16];
    isize n;
    struct group all;
};

static void gather_served(struct call *call, struct fold *fold)
{
    struct serving *s = call->own;
    const struct decided *d;
    s->rows = arena_new(call->a, struct served, SEEN_ROWS_MAX);
    const struct identity *identity = fold_live(fold)->identity;
    for (isize back = 0; s->rows_n < SEEN_ROWS_MAX && (d = fold_decided_at(fold, back))
                         && d->decision.at_ms >= s->since_ms;
         back++) {
        u8 why = d->decision.reason;
        if (!d->decision.person.v || d->decision.programme_holdout || why == REASON_PREVIEW
            || why == REASON_UNKNOWN_PLACEMENT)
            continue;
        bool chosen = why == REASON_TARGET || why == REASON_EXPERIMENT || why == REASON_BANDIT
                      || why == REASON_STRATEGY;
        s->rows[s->rows_n++] = (struct served){ identity_person(identity, d->decision.person.v).v, chosen };
    }
}

static struct group *group_of(struct serving *s, str by, str value, arena *a)
{
    for (isize i = 0; i < s->n; i++)
        if (str_eq(s->at[i].by, by) && str_eq_nocase(s->at[i].value, value)) return &s->at[i];
    if (s->n == countof(s->at)) return NULL;
    s->at[s->n] = (struct group){ .by = by, .value = arena_str(a, value) };
    return &s->at[s->n++];
}

static isize groups_of(struct serving *s, const struct profile *p, arena *a, struct group **out)
{
    const struct trait *gender = profile_trait(p, S("gender")), *age = profile_trait(p, S("age"));
    struct value g = gender ? trait_value(gender) : (struct value){ 0 },
                 y = age ? trait_value(age) : (struct value){ 0 };
    f64 years = y.kind == VALUE_NUMBER ? y.n : -1;
    if (y.kind == VALUE_TEXT && !str_to_f64(y.s, &years)) years = -1;
    str said = g.kind == VALUE_TEXT && g.s.len ? g.s : S("unknown");
    if (!str_eq_nocase(said, S("female")) && !str_eq_nocase(said, S("male"))
        && !str_eq(said, S("unknown")))
        said = S("other");
    out[0] = group_of(s, S("gender"), said, a);
    out[1] = group_of(s, S("age"), years >= 0 ? age_band(years) : S("unknown"), a);
    out[2] = &s->all;
    return 3;
}

static void count_programme(struct group *g, const struct profile *p)
{
    for (isize i = 0; i < p->exposures_n; i++) {
        const struct exposure *x = &p->exposures[i];
        if (x->campaign != 0 || x->flags & EXPOSURE_MIXED) continue;
        g->treated += x->variation == 0;
        g->treated_buyers += x->variation == 0 && x->orders > 0;
        g->held += x->variation == 1;
        g->held_buyers += x->variation == 1 && x->orders > 0;
        return;
    }
}

static struct stats_effect effect_of(i64 with, i64 n, i64 other_with, i64 other_n,
                                     struct stats_interval *interval)
{
    struct stats_settings s = { .kind = STATS_PROPORTION, .relative = true, .alpha = 0.05 };
    struct stats_sums one = { .n = (f64)n, .sum = (f64)with },
                      other = { .n = (f64)other_n, .sum = (f64)other_with };
    struct stats_effect e =
        stats_effect(&s, (struct stats_arm){ &other, 1 }, (struct stats_arm){ &one, 1 }, NULL, 0);
    *interval = stats_fixed(&s, &e);
    return e;
}

static void print_group(struct call *call, const struct serving *s, const struct group *g)
{
    struct jsonw *w = &call->w;
    struct stats_interval uplift;
    struct stats_effect e = effect_of(g->treated_buyers, g->treated, g->held_buyers, g->held, &uplift);
    i64 others = s->all.decisions - g->decisions, others_personal = s->all.personal - g->personal;
    bool told = g->decisions > 0 && others_personal > 0;
    f64 against =
        told ? (f64)g->personal / (f64)g->decisions / ((f64)others_personal / (f64)others) - 1
             : (f64)NAN;
    bool under = told && against <= -0.1 && g->p < 0.05;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "by", g->by);
    jsonw_key_str(w, "value", g->value);
    jsonw_key_int(w, "people", g->people);
    jsonw_key_int(w, "decisions", g->decisions);
    jsonw_key_int(w, "personalised", g->personal);
    jsonw_key_num(w, "rate", g->decisions ? (f64)g->personal / (f64)g->decisions : (f64)NAN);
    jsonw_key_num(w, "against_others", against);
    jsonw_key_num(w, "p", told ? g->p : (f64)NAN);
    jsonw_key_bool(w, "under_served", under);
    jsonw_key_begin(w, "uplift", '{');
    jsonw_key_int(w, "treated", g->treated);
    jsonw_key_int(w, "treated_buyers", g->treated_buyers);
    jsonw_key_int(w, "held_out", g->held);
    jsonw_key_int(w, "held_out_buyers", g->held_buyers);
    bool fine = e.problem == STATS_FINE;
    jsonw_key_num(w, "lift", fine ? e.effect : (f64)NAN);
    jsonw_key_num(w, "low", fine ? uplift.low : (f64)NAN);
    jsonw_key_num(w, "high", fine ? uplift.high : (f64)NAN);
    if (!fine) jsonw_key_str(w, "why_not", str_of(stats_problem_text(e.problem)));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static void serving(struct call *call)
{
    struct serving *s = arena_new(call->a, struct serving, 1);
    const struct live *live = call->api->live;
    struct jsonw *w = &call->w;
    if (!read_days(call, 30, &s->days)) return;
    s->since_ms = clock_now(call->api->clock) - s->days * DAY_MS;
    call->own = s;
    on_fold(call, gather_served);
    rcu_read_begin();
    struct group *of[3];
    arena a = { 0 };
    u32 most = (u32)people_most(live->people);
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_get(live->people, (person_id){ id }, &a);
        isize n = p ? groups_of(s, p, call->a, of) : 0;
        for (isize k = 0; k < n; k++)
            if (of[k]) { of[k]->people++; count_programme(of[k], p); }
        arena_clear(&a);
    }
    for (isize i = 0; i < s->rows_n; i++) {
        const struct profile *p = people_get(live->people, (person_id){ s->rows[i].person }, &a);
        isize n = p ? groups_of(s, p, call->a, of) : 0;
        for (isize k = 0; k < n; k++)
            if (of[k]) { of[k]->decisions++; of[k]->personal += s->rows[i].personal; }
        arena_clear(&a);
    }
    arena_fini(&a);
    rcu_read_end();
    f64 p[16];
    for (isize i = 0; i < s->n; i++) {
        const struct group *g = &s->at[i];
        p[i] = stats_shares_p((f64)g->personal, (f64)g->decisions, (f64)(s->all.personal - g->personal),
                              (f64)(s->all.decisions - g->decisions));
    }
    stats_correct(p, s->n, STATS_HOLM, call->a);
    for (isize i = 0; i < s->n; i++) s->at[i].p = p[i];
    s->all.by = S("all");
    s->all.value = S("everybody");
    s->all.p = (f64)NAN;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "days", s->days);
    jsonw_key(w, S("all"));
    print_group(call, s, &s->all);
    jsonw_key_begin(w, "groups", '[');
    for (isize i = 0; i < s->n; i++) print_group(call, s, &s->at[i]);
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void people_coverage(struct call *call) { ask_jobs(call, serving); }
