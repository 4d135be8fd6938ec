/* SPDX-License-Identifier: Apache-2.0
 *
 * census.c - a walk over people becomes sums by arm, stratum, segment and metric.
 *
 * Sums suffice for everything but quantiles and winsorised means, for which each person's value is
 * kept until the end. The first metric is also summed by day, for the interval over time; a day's
 * slice is of one stratum, so that the last day's interval is the page's. Segments are asked as of
 * the first exposure: who is in a segment because of what they were shown must not choose it.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "math/math.h"
#include "measure/metric.h"

enum { SUMS_MAX = 500000 };

struct kept { u16 arm, stratum; u32 groups; f64 y, x; };
struct slice { u16 arm, stratum; i32 day; struct stats_sums sums; };
struct census {
    struct census_ask ask;
    arena a;
    struct census_arm arms[CENSUS_ARMS_MAX]; isize arms_n;
    f64 (*counts[EXPERIENCES_MAX])[EXPERIENCE_VARIATIONS_MAX];         /* people by epoch and variation */
    u16 *stratum_of[EXPERIENCES_MAX];                   /* by epoch */
    isize strata[EXPERIENCES_MAX];
    struct stats_sums *sums;                            /* [arm][group][metric][stratum] */
    struct { struct kept *at; isize n, cap; } *values; /* by metric that needs them */
    struct { struct slice *at; isize n, cap; } slices;
    i32 *days[EXPERIENCES_MAX]; isize days_n[EXPERIENCES_MAX];
    isize stride;                       /* strata there is room for in sums */
    i64 unconverted;
};

struct census *census_new(const struct census_ask *ask)
{
    struct census *t = mem_new(sizeof *t);
    t->ask = *ask;
    t->values = mem_new(max_isize(1, ask->metrics_n) * (isize)sizeof *t->values);
    assert(ask->segments_n <= CENSUS_SEGMENTS_MAX);
    for (isize i = 0; i < EXPERIENCES_MAX; i++) {
        t->counts[i] = arena_alloc(&t->a, sizeof *t->counts[i], 8, max_isize(1, ask->epochs_n[i]));
        t->stratum_of[i] = arena_new(&t->a, u16, max_isize(1, ask->epochs_n[i]));
        t->strata[i] = 1;
    }
    return t;
}

void census_free(struct census *t)
{
    if (!t) return;
    for (isize i = 0; i < t->ask.metrics_n; i++) vec_fini(&t->values[i]);
    mem_free(t->values);
    vec_fini(&t->slices);
    arena_fini(&t->a);
    mem_free(t);
}

/* ---- who, and since when --------------------------------------------------------------------- */

static bool part_of(const struct census *t, const struct profile *p, struct exposure *out)
{
    isize from = 0;
    while (from < p->exposures_n && p->exposures[from].campaign < t->ask.campaign) from++;
    isize to = from;
    while (to < p->exposures_n && p->exposures[to].campaign == t->ask.campaign) to++;
    return to > from && exposures_whole(p->exposures + from, to - from, out)
           && out->experience < EXPERIENCES_MAX && out->variation < EXPERIENCE_VARIATIONS_MAX;
}

static isize epoch_of(const struct census *t, const struct exposure *x)
{
    isize e = t->ask.epochs_n[x->experience] - 1;
    while (e > 0 && t->ask.epochs[x->experience][e].at_ms > x->first_at_ms) e--;
    return max_isize(e, 0);
}

static isize arm_of(const struct census *t, const struct exposure *x)
{
    isize i = 0;
    while (i < t->arms_n
           && (t->arms[i].experience != x->experience || t->arms[i].variation != x->variation))
        i++;
    return i;
}

void census_count(struct census *t, const struct profile *p)
{
    struct exposure x;
    if (p->exposures_n == 0 || !part_of(t, p, &x)) return;
    isize arm = arm_of(t, &x);
    if (arm == CENSUS_ARMS_MAX) return;
    if (arm == t->arms_n)
        t->arms[t->arms_n++] =
            (struct census_arm){ .experience = x.experience, .variation = x.variation };
    t->arms[arm].people++;
    t->arms[arm].lately += x.first_at_ms > t->ask.now_ms - 7 * DAY_MS;
    t->counts[x.experience][epoch_of(t, &x)][x.variation]++;
}

static int by_arm(const void *x, const void *y)
{
    const struct census_arm *a = x, *b = y;
    return a->experience != b->experience ? a->experience - b->experience : a->variation - b->variation;
}

/* Joins neighbours until each stratum has `least` people in every arm that anybody is in. */
static isize join(struct census *t, isize experience, f64 least)
{
    isize n = t->ask.epochs_n[experience], stratum = 0;
    f64 all[EXPERIENCE_VARIATIONS_MAX] = { 0 }, have[EXPERIENCE_VARIATIONS_MAX] = { 0 };
    for (isize e = 0; e < n; e++)
        for (isize v = 0; v < EXPERIENCE_VARIATIONS_MAX; v++) all[v] += t->counts[experience][e][v];
    for (isize e = 0; e < n; e++) {
        bool full = true;
        t->stratum_of[experience][e] = (u16)stratum;
        for (isize v = 0; v < EXPERIENCE_VARIATIONS_MAX; v++) {
            have[v] += t->counts[experience][e][v];
            full &= all[v] == 0 || have[v] >= least;
        }
        if (!full) continue;
        stratum++;
        memset(have, 0, sizeof have);
    }
    bool open = false;
    for (isize v = 0; v < EXPERIENCE_VARIATIONS_MAX; v++) open |= have[v] > 0;
    if (open && stratum > 0) {                          /* what is left over joins the one before */
        for (isize e = 0; e < n; e++)
            if (t->stratum_of[experience][e] == stratum) t->stratum_of[experience][e] = (u16)(stratum - 1);
        open = false;
    }
    return max_isize(1, stratum + open);
}

/* Sums by stratum are bounded: with many arms, segments and metrics there are fewer strata. */
void census_settle(struct census *t)
{
    isize rows = max_isize(1, t->arms_n * (1 + t->ask.segments_n) * t->ask.metrics_n);
    isize most = min_isize(CENSUS_STRATA_MAX, max_isize(1, SUMS_MAX / rows));
    if (t->arms_n) qsort(t->arms, (size_t)t->arms_n, sizeof *t->arms, by_arm);
    t->stride = 1;
    for (isize i = 0; i < EXPERIENCES_MAX; i++) {
        f64 least = PEOPLE_LEAST_TO_JUDGE;
        for (t->strata[i] = most + 1; t->strata[i] > most; least *= 2) t->strata[i] = join(t, i, least);
        t->stride = max_isize(t->stride, t->strata[i]);
    }
    t->sums = arena_new(&t->a, struct stats_sums, rows * t->stride);
}

/* ---- what a person adds ---------------------------------------------------------------------- */

/* In what a person adds is counted: the shop's settings, and how much money had no rate. */
struct counting { const struct settings *settings; i64 *unconverted; };

static f64 in_shop_currency(const struct counting *in, i64 minor, u16 of)
{
    const struct settings *s = in->settings;
    if (of == s->currency.v || of == 0 || minor == 0) return (f64)minor;
    for (isize i = 0; i < s->rates_n; i++)
        if (s->rates[i].of.v == of) return (f64)minor * s->rates[i].rate;
    ++*in->unconverted;
    return 0;
}

/* Of one part between two instants; orders' refunds are entries of their own with a value below 0. */
static f64 part_value(const struct counting *in, const struct metric_part *part,
                      const struct profile *p, i64 from_ms, i64 to_ms)
{
    f64 value = 0;
    bool has = false, other = false;
    for (isize i = p->history_n - 1; i >= 0; i--) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms < from_ms) break;
        if (e->at_ms > to_ms || e->flags & HISTORY_BOT) continue;
        bool own = e->type == part->type,
             back = part->type == EVENT_ORDER_COMPLETED && e->type == EVENT_ORDER_REFUNDED;
        other |= part->of == PART_WITHOUT && e->type == part->without;
        if (part->of == PART_VALUE && (own || back))
            value += in_shop_currency(in, e->value_minor, e->currency);
        else if (own && part->of == PART_QUANTITY) value += e->quantity;
        else if (own && part->of == PART_COUNT) value++;
        has |= own;
    }
    if (part->of == PART_ANY) return has;
    if (part->of == PART_WITHOUT) return has && !other;
    return value;
}

static f64 rule_value(const struct metric_part *part, const struct catalog *catalog,
                      const struct segment_set *set, const struct profile *p, i64 at_ms)
{
    struct as_of at = { .world = { .profile = p, .catalog = catalog, .now_ms = at_ms }, .set = set };
    struct rule_facts facts = facts_as_of(&at);
    return rule_holds(rule_run(part->rule, &facts));
}

struct metric_share metric_share(const struct metric *m, const struct metric_world *world,
                                 const struct profile *p, i64 from_ms, i64 to_ms, i64 *unconverted)
{
    struct counting in = { world->settings, unconverted };
    struct metric_share share = { 0 };
    if (m->top.of == PART_RULE) share.top = rule_value(&m->top, world->catalog, world->set, p, to_ms);
    else if (m->top.of != PART_CLICKED) share.top = part_value(&in, &m->top, p, from_ms, to_ms);
    if (m->kind == STATS_RATIO) share.bottom = part_value(&in, &m->bottom, p, from_ms, to_ms);
    return share;
}

static f64 value_of(struct census *t, const struct metric *m, const struct metric_part *part,
                    const struct profile *p, const struct exposure *x)
{
    struct counting in = { t->ask.settings, &t->unconverted };
    i64 to_ms = x->first_at_ms + (m->window_ms ? m->window_ms : t->ask.window_ms);
    if (part->of == PART_CLICKED) return x->clicks > 0;
    if (part->of != PART_RULE) return part_value(&in, part, p, x->first_at_ms, to_ms);
    return rule_value(part, t->ask.catalog, t->ask.set, p, min_i64(to_ms, t->ask.now_ms));
}

static struct stats_sums *sums_at(const struct census *t, isize arm, isize group, isize metric)
{
    return &t->sums[((arm * (1 + t->ask.segments_n) + group) * t->ask.metrics_n + metric) * t->stride];
}

static bool keeps_values(const struct metric *m) { return m->kind == STATS_QUANTILE || m->winsorise > 0; }

static u32 groups_of(const struct census *t, const struct profile *p, const struct exposure *x)
{
    u32 groups = 1;
    for (isize i = 0; i < t->ask.segments_n; i++) {
        const struct segment *segment =
            t->ask.segments[i].v < SEGMENTS_MAX ? t->ask.set->by_id[t->ask.segments[i].v] : NULL;
        struct as_of at = {
            .world = { .profile = p, .catalog = t->ask.catalog, .now_ms = x->first_at_ms },
            .set = t->ask.set
        };
        struct rule_facts facts = facts_as_of(&at);
        if (segment && rule_holds(rule_run(segment->rule, &facts))) groups |= 2U << i;
    }
    return groups;
}

static void add_slice(struct census *t, isize arm, isize stratum, i32 day, const struct stats_sums *one)
{
    isize i = t->slices.n - 1;
    while (i >= 0
           && (t->slices.at[i].arm != arm || t->slices.at[i].stratum != stratum
               || t->slices.at[i].day != day))
        i--;
    if (i < 0) {
        if (t->slices.n == (isize)CENSUS_SLICES_MAX * 16) return;
        vec_push(&t->slices, (struct slice){ .arm = (u16)arm, .stratum = (u16)stratum, .day = day });
        i = t->slices.n - 1;
    }
    stats_sums_add(&t->slices.at[i].sums, one);
}

void census_sum(struct census *t, const struct profile *p)
{
    struct exposure x;
    if (p->exposures_n == 0 || !part_of(t, p, &x)) return;
    isize arm = arm_of(t, &x);
    if (arm == t->arms_n) return;
    isize stratum = t->ask.epochs_n[x.experience] ? t->stratum_of[x.experience][epoch_of(t, &x)] : 0;
    u32 groups = groups_of(t, p, &x);
    for (isize m = 0; m < t->ask.metrics_n; m++) {
        const struct metric *metric = t->ask.metrics[m];
        f64 y = value_of(t, metric, &metric->top, p, &x), d = 0, before = 0;
        if (metric->kind == STATS_RATIO) d = value_of(t, metric, &metric->bottom, p, &x);
        bool past = metric->before_ms > 0 && metric->top.of != PART_CLICKED && metric->top.of != PART_RULE;
        struct counting in = { t->ask.settings, &t->unconverted };
        if (past)
            before = part_value(&in, &metric->top, p, x.first_at_ms - metric->before_ms,
                                x.first_at_ms - 1);
        if (keeps_values(metric)) {
            vec_push(&t->values[m], (struct kept){ .arm = (u16)arm,
                                                   .stratum = (u16)stratum,
                                                   .y = y,
                                                   .x = before,
                                                   .groups = groups });
            continue;
        }
        struct stats_sums one = { .n = 1,
                                  .sum = y,
                                  .sum_sq = y * y,
                                  .den_sum = d,
                                  .den_sum_sq = d * d,
                                  .cross = y * d,
                                  .pre_sum = before,
                                  .pre_sum_sq = before * before,
                                  .pre_cross = before * y,
                                  .den_pre_cross = before * d };
        for (isize g = 0; g <= t->ask.segments_n; g++)
            if (groups >> g & 1) stats_sums_add(&sums_at(t, arm, g, m)[stratum], &one);
        if (m == 0) add_slice(t, arm, stratum, (i32)(x.first_at_ms / DAY_MS), &one);
    }
}

static void finish_values(struct census *t, isize m)
{
    const struct metric *metric = t->ask.metrics[m];
    isize n = t->values[m].n;
    struct stats_counted *all = arena_new(&t->a, struct stats_counted, n + 1);
    f64 cap = (f64)INFINITY;
    if (metric->winsorise > 0) {
        for (isize i = 0; i < n; i++) all[i] = (struct stats_counted){ t->values[m].at[i].y, 1 };
        stats_counted_sort(all, n);
        if (n) cap = stats_value_at(all, n, metric->winsorise);
        for (isize i = 0; i < n; i++) {
            const struct kept *v = &t->values[m].at[i];
            f64 y = fmin(v->y, cap), x = fmin(v->x, cap);
            struct stats_sums one = { .n = 1,
                                      .sum = y,
                                      .sum_sq = y * y,
                                      .pre_sum = x,
                                      .pre_sum_sq = x * x,
                                      .pre_cross = x * y };
            for (isize g = 0; g <= t->ask.segments_n; g++)
                if (v->groups >> g & 1) stats_sums_add(&sums_at(t, v->arm, g, m)[v->stratum], &one);
        }
        return;
    }
    for (isize arm = 0; arm < t->arms_n; arm++)
        for (isize g = 0; g <= t->ask.segments_n; g++) {
            isize k = 0;
            for (isize i = 0; i < n; i++)
                if (t->values[m].at[i].arm == arm && t->values[m].at[i].groups >> g & 1)
                    all[k++] = (struct stats_counted){ t->values[m].at[i].y, 1 };
            stats_counted_sort(all, k);
            /* Without an error it stays 0 and nothing is judged (stats.h). One stratum: quantiles
             * do not add up. */
            if (k) (void)stats_quantile(all, k, metric->quantile, sums_at(t, arm, g, m));
        }
}

static int by_day(const void *x, const void *y)
{
    i32 a = *(const i32 *)x, b = *(const i32 *)y;
    return a < b ? -1 : a > b;
}

void census_finish(struct census *t)
{
    for (isize m = 0; m < t->ask.metrics_n; m++)
        if (keeps_values(t->ask.metrics[m])) finish_values(t, m);
    for (isize x = 0; x < EXPERIENCES_MAX; x++) {
        t->days[x] = arena_new(&t->a, i32, t->slices.n + 1);
        for (isize i = 0; i < t->slices.n; i++) {
            if (t->arms[t->slices.at[i].arm].experience != x) continue;
            isize k = 0;
            while (k < t->days_n[x] && t->days[x][k] != t->slices.at[i].day) k++;
            if (k == t->days_n[x]) t->days[x][t->days_n[x]++] = t->slices.at[i].day;
        }
        if (t->days_n[x]) qsort(t->days[x], (size_t)t->days_n[x], sizeof(i32), by_day);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

isize census_arms(const struct census *t, const struct census_arm **out)
{
    *out = t->arms;
    return t->arms_n;
}

isize census_strata(const struct census *t, u8 experience) { return t->strata[experience]; }
i64 census_unconverted(const struct census *t) { return t->unconverted; }

const struct stats_sums *census_sums(const struct census *t, isize arm, isize group, isize metric)
{
    return sums_at(t, arm, group, metric);
}

isize census_days(const struct census *t, u8 experience, const i32 **days)
{
    *days = t->days[experience];
    return t->days_n[experience];
}

void census_until(const struct census *t, isize arm, i32 day, struct stats_sums *out)
{
    memset(out, 0, (size_t)t->strata[t->arms[arm].experience] * sizeof *out);
    for (isize i = 0; i < t->slices.n; i++) {
        const struct slice *s = &t->slices.at[i];
        if (s->arm == arm && s->day <= day) stats_sums_add(&out[s->stratum], &s->sums);
    }
}

/* By epoch, so that a changed share raises no alarm; of the arms the experience has now. */
struct stats_srm census_srm(const struct census *t, u8 experience, const struct experience *x)
{
    isize epochs = t->ask.epochs_n[experience], arms = x->variations_n;
    f64 *people = mem_new(max_isize(1, epochs * arms) * (isize)sizeof *people),
        *shares = mem_new(max_isize(1, epochs * arms) * (isize)sizeof *shares);
    for (isize e = 0; e < epochs; e++)
        for (isize v = 0; v < arms; v++) {
            people[e * arms + v] = t->counts[experience][e][v];
            shares[e * arms + v] = t->ask.epochs[experience][e].shares[v];
        }
    struct stats_srm srm = stats_srm(people, shares, arms, epochs);
    mem_free(people);
    mem_free(shares);
    return srm;
}
