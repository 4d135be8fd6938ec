/* SPDX-License-Identifier: Apache-2.0
 *
 * results.c - what a campaign was worth, and the programme as a whole.
 *
 * Cells are the fold's sums by campaign, experience, variation, currency and day of first
 * exposure; everything here follows from them. Comparisons are always-valid (stats_sequential), so
 * a look a day costs nothing. Each experience is an experiment of its own: its variations are
 * compared with its own control. "versus_holdout" is the same for every page: everybody treated by
 * any campaign against the people the programme holds out.
 */
#include "api/results.h"

#include <math.h>
#include <stdlib.h>

#include "api/admin.h"
#include "api/findings.h"

/* ---- sums ----------------------------------------------------------------------------------- */

currency results_currency(const struct cell *cells, isize n, u32 campaign, currency otherwise)
{
    struct { u16 of; i64 buyers; } seen[8] = { 0 };
    isize kinds = 0;
    for (isize i = 0; i < n; i++) {
        if (cells[i].campaign != campaign || cells[i].currency == 0) continue;
        isize k = 0;
        while (k < kinds && seen[k].of != cells[i].currency) k++;
        if (k == countof(seen)) continue;
        if (k == kinds) seen[kinds++].of = cells[i].currency;
        seen[k].buyers += cells[i].buyers;
    }
    currency best = otherwise;
    i64 most = 0;
    for (isize k = 0; k < kinds; k++)
        if (seen[k].buyers > most) { most = seen[k].buyers; best.v = seen[k].of; }
    return best;
}

static int by_arm(const void *x, const void *y)
{
    const struct result_arm *a = x, *b = y;
    return a->experience != b->experience ? a->experience - b->experience : a->variation - b->variation;
}

isize results_arms(const struct cell *cells, isize n, u32 campaign, currency in, arena *a,
                   struct result_arm **out)
{
    struct result_arm *arms = arena_new(a, struct result_arm, RESULT_ARMS_MAX);
    isize count = 0;
    for (isize i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        if (c->campaign != campaign) continue;
        isize k = 0;
        while (k < count && (arms[k].experience != c->experience || arms[k].variation != c->variation)) k++;
        if (k == RESULT_ARMS_MAX) continue;
        if (k == count)
            arms[count++] =
                (struct result_arm){ .experience = c->experience, .variation = c->variation };
        arms[k].exposed += c->exposed;
        arms[k].clicked += c->clicked;
        arms[k].clicks += c->clicks;
        arms[k].buyers += c->buyers;
        arms[k].orders += c->orders;
        if (c->currency == in.v) {
            arms[k].revenue_minor += c->revenue_minor;
            arms[k].revenue_sq += (f64)c->revenue_sq;
        } else {
            arms[k].other_currency += c->buyers;
        }
    }
    if (count) qsort(arms, (size_t)count, sizeof *arms, by_arm);
    *out = arms;
    return count;
}

/* ---- judgement ------------------------------------------------------------------------------ */

const char *metric_name(int metric)
{
    static const char *const names[] = { "order_rate", "click_rate", "revenue_per_person" };
    return names[metric];
}

static f64 metric_sum(const struct result_arm *arm, int metric)
{
    return (f64)(metric == METRIC_ORDER_RATE   ? arm->buyers
                 : metric == METRIC_CLICK_RATE ? arm->clicked
                                               : arm->revenue_minor);
}

f64 metric_value(const struct result_arm *arm, int metric)
{
    return arm->exposed ? metric_sum(arm, metric) / (f64)arm->exposed : 0;
}

struct comparison results_compare(int metric, const struct result_arm *control,
                                  const struct result_arm *variation)
{
    struct stats_settings s = { .kind = metric == METRIC_REVENUE ? STATS_MEAN : STATS_PROPORTION,
                                .alpha = RESULT_ALPHA,
                                .tuning_n = RESULT_TUNING_N };
    const struct stats_sums a = { .n = (f64)control->exposed,
                                  .sum = metric_sum(control, metric),
                                  .sum_sq = control->revenue_sq };
    const struct stats_sums b = { .n = (f64)variation->exposed,
                                  .sum = metric_sum(variation, metric),
                                  .sum_sq = variation->revenue_sq };
    struct stats_effect effect =
        stats_effect(&s, (struct stats_arm){ &a, 1 }, (struct stats_arm){ &b, 1 }, NULL, 0);
    struct comparison c = { .problem = effect.problem, .p = 1 };
    if (effect.problem) return c;
    struct stats_interval interval = stats_sequential(&s, &effect);
    c.estimate = effect.effect;
    c.low = interval.low;
    c.high = interval.high;
    c.p = interval.p;
    c.significant = interval.p <= RESULT_ALPHA
                    && min_i64(control->exposed, variation->exposed) >= RESULT_PEOPLE_MIN;
    s.relative = true;
    effect = stats_effect(&s, (struct stats_arm){ &a, 1 }, (struct stats_arm){ &b, 1 }, NULL, 0);
    c.relative = c.relative_low = c.relative_high = (f64)NAN;
    if (effect.problem) return c;
    interval = stats_sequential(&s, &effect);
    c.relative = effect.effect;
    c.relative_low = interval.low;
    c.relative_high = interval.high;
    return c;
}

struct stats_srm results_srm(const struct result_arm *const *arms, const i32 *shares, isize n)
{
    f64 people[STATS_ARMS_MAX], expected[STATS_ARMS_MAX];
    assert(n <= STATS_ARMS_MAX);
    for (isize i = 0; i < n; i++) {
        people[i] = (f64)arms[i]->exposed;
        expected[i] = (f64)shares[i];
    }
    return stats_srm(people, expected, n, 1);
}

/* ---- printing ------------------------------------------------------------------------------- */

struct showing {
    struct call *call;
    const struct cell *cells; isize cells_n;
    u32 campaign;
    const struct campaign *compiled;    /* null: archived, or the programme */
    currency in;
    struct result_arm *arms; isize arms_n;
};

static const struct experience *experience_of(const struct showing *s, const struct result_arm *arm)
{
    return s->compiled && arm->experience < s->compiled->experiences_n
               ? &s->compiled->experiences[arm->experience]
               : NULL;
}

static str arm_key(const struct showing *s, const struct result_arm *arm)
{
    const struct experience *x = experience_of(s, arm);
    if (s->campaign == 0) return arm->variation ? S("holdout") : S("treated");
    if (x && arm->variation < x->variations_n) return x->variations[arm->variation].key;
    return arena_printf(s->call->a, "#%d", arm->variation + 1);
}

static str experience_key(const struct showing *s, const struct result_arm *arm)
{
    const struct experience *x = experience_of(s, arm);
    return s->campaign == 0 ? S("programme")
           : x              ? x->key
                            : arena_printf(s->call->a, "#%d", arm->experience + 1);
}

static bool is_control(const struct showing *s, const struct result_arm *arm)
{
    const struct experience *x = experience_of(s, arm);
    if (s->campaign == 0) return arm->variation == 1;
    return x && arm->variation < x->variations_n ? x->variations[arm->variation].control
                                                 : arm->variation == 0;
}

static void print_arms(const struct showing *s)
{
    struct jsonw *w = &s->call->w;
    jsonw_key_begin(w, "arms", '[');
    for (isize i = 0; i < s->arms_n; i++) {
        const struct result_arm *arm = &s->arms[i];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "experience", experience_key(s, arm));
        jsonw_key_str(w, "variation", arm_key(s, arm));
        jsonw_key_bool(w, "is_control", is_control(s, arm));
        jsonw_key_int(w, "exposed", arm->exposed);
        jsonw_key_int(w, "clicks", arm->clicks);
        jsonw_key_int(w, "clicked", arm->clicked);
        jsonw_key_int(w, "orders", arm->orders);
        jsonw_key_int(w, "buyers", arm->buyers);
        jsonw_key(w, S("revenue"));
        print_money(w, (struct money){ arm->revenue_minor, s->in });
        if (arm->other_currency) jsonw_key_int(w, "other_currency", arm->other_currency);
        for (int m = 0; m < METRICS; m++) jsonw_key_num(w, metric_name(m), metric_value(arm, m));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void print_comparison(struct jsonw *w, int metric, str experience, str variation,
                             str against, const struct comparison *c)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "metric", str_of(metric_name(metric)));
    if (experience.len) jsonw_key_str(w, "experience", experience);
    jsonw_key_str(w, "variation", variation);
    jsonw_key_str(w, "against", against);
    jsonw_key_num(w, "estimate", c->estimate);
    jsonw_key_num(w, "relative", c->relative);
    jsonw_key_num(w, "low", c->low);
    jsonw_key_num(w, "high", c->high);
    jsonw_key_num(w, "relative_low", c->relative_low);
    jsonw_key_num(w, "relative_high", c->relative_high);
    jsonw_key_num(w, "p", c->p);
    jsonw_key_bool(w, "significant", c->significant);
    jsonw_end(w, '}');
}

static void compare_with_control(const struct showing *s, const struct result_arm *control, bool judged)
{
    struct jsonw *w = &s->call->w;
    for (int m = 0; m < METRICS; m++)
        for (isize i = 0; i < s->arms_n; i++) {
            const struct result_arm *arm = &s->arms[i];
            if (arm == control || arm->experience != control->experience) continue;
            struct comparison c = results_compare(m, control, arm);
            if (!c.problem != judged) continue;
            str experience = s->campaign ? experience_key(s, arm) : S("");
            if (judged) {
                print_comparison(w, m, experience, arm_key(s, arm), arm_key(s, control), &c);
                continue;
            }
            jsonw_begin(w, '{');
            jsonw_key_str(w, "metric", str_of(metric_name(m)));
            jsonw_key_str(w, "variation", arm_key(s, arm));
            jsonw_key_str(w, "why", str_of(stats_problem_text(c.problem)));
            jsonw_end(w, '}');
        }
}

/* What can be judged, and beside it what cannot yet and why. */
static void print_comparisons(const struct showing *s, const char *name, bool judged)
{
    jsonw_key_begin(&s->call->w, name, '[');
    for (isize i = 0; i < s->arms_n; i++)
        if (is_control(s, &s->arms[i])) compare_with_control(s, &s->arms[i], judged);
    jsonw_end(&s->call->w, ']');
}

static void print_srm(struct jsonw *w, f64 p, f64 p_sequential)
{
    jsonw_begin(w, '{');
    jsonw_key_num(w, "p", p);
    jsonw_key_num(w, "p_sequential", p_sequential);
    jsonw_key_bool(w, "alarm", p_sequential < RESULT_SRM_ALARM);
    jsonw_end(w, '}');
}

static void print_programme_srm(const struct showing *s, i32 holdout)
{
    static const struct result_arm none;
    const struct result_arm *arms[2] = { &none, &none };
    const i32 shares[2] = { 10000 - holdout, holdout };
    for (isize i = 0; i < s->arms_n; i++) arms[s->arms[i].variation & 1] = &s->arms[i];
    jsonw_key(&s->call->w, S("srm"));
    if (holdout == 0 || arms[0]->exposed + arms[1]->exposed == 0) { jsonw_null(&s->call->w); return; }
    struct stats_srm srm = results_srm(arms, shares, 2);
    print_srm(&s->call->w, srm.p, srm.p_sequential);
}

static int by_day(const void *x, const void *y)
{
    const struct cell *const *a = x, *const *b = y;
    if ((*a)->day != (*b)->day) return (*a)->day < (*b)->day ? -1 : 1;
    if ((*a)->experience != (*b)->experience) return (*a)->experience - (*b)->experience;
    return (*a)->variation - (*b)->variation;
}

/* People by the day they were first exposed. "orders" are people who ordered, so that orders /
 * exposed is the order rate. */
static void print_series(const struct showing *s)
{
    struct jsonw *w = &s->call->w;
    const struct cell **own = arena_new(s->call->a, const struct cell *, s->cells_n);
    isize n = 0;
    bool one = !s->compiled || s->compiled->experiences_n == 1;
    for (isize i = 0; i < s->cells_n; i++)
        if (s->cells[i].campaign == s->campaign && s->cells[i].exposed) own[n++] = &s->cells[i];
    if (n) qsort(own, (size_t)n, sizeof *own, by_day);
    jsonw_key_begin(w, "series", '[');
    for (isize i = 0; i < n;) {
        i32 day = own[i]->day;
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", day * DAY_MS);
        jsonw_key_begin(w, "arms", '{');
        while (i < n && own[i]->day == day) {
            struct result_arm arm = { .experience = own[i]->experience, .variation = own[i]->variation };
            for (; i < n && own[i]->day == day && own[i]->experience == arm.experience
                   && own[i]->variation == arm.variation;
                 i++) {
                arm.exposed += own[i]->exposed;             /* one cell a currency */
                arm.buyers += own[i]->buyers;
            }
            str key = arm_key(s, &arm);
            if (!one)
                key = arena_printf(s->call->a, "%.*s/%.*s", STR_FMT(experience_key(s, &arm)),
                                   STR_FMT(key));
            jsonw_key(w, key);
            jsonw_begin(w, '{');
            jsonw_key_int(w, "exposed", arm.exposed);
            jsonw_key_int(w, "orders", arm.buyers);
            jsonw_end(w, '}');
        }
        jsonw_end(w, '}');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static i64 since(const struct showing *s, i64 otherwise)
{
    i64 at = TIME_NEVER;
    for (isize i = 0; i < s->cells_n; i++)
        if (s->cells[i].campaign == s->campaign && s->cells[i].exposed)
            at = min_i64(at, s->cells[i].day * DAY_MS);
    return at == TIME_NEVER ? otherwise : at;
}

static struct showing showing_of(struct call *call, struct fold *fold, u32 campaign,
                                 const struct campaign *compiled)
{
    const struct book *book = atomic_load(&call->api->live->book);
    struct showing s = { .call = call, .campaign = campaign, .compiled = compiled };
    s.cells = fold_cells(fold, &s.cells_n);
    s.in = results_currency(s.cells, s.cells_n, campaign, book->settings.currency);
    s.arms_n = results_arms(s.cells, s.cells_n, campaign, s.in, call->a, &s.arms);
    return s;
}

static void print_minor(struct jsonw *w, const char *name, f64 minor, currency in)
{
    jsonw_key(w, str_of(name));
    if (!isfinite(minor)) { jsonw_null(w); return; }
    print_money(w, (struct money){ (i64)llround(minor), in });
}

/* What the programme brought: the difference a person makes, times the people who were treated; and
 * for each unit of what it cost. */
static void print_incremental(const struct showing *programme)
{
    static const struct result_arm none;
    const struct result_arm *arms[2] = { &none, &none };
    struct jsonw *w = &programme->call->w;
    i64 cost = atomic_load(&programme->call->api->live->book)->settings.programme_cost_minor;
    for (isize i = 0; i < programme->arms_n; i++)
        arms[programme->arms[i].variation & 1] = &programme->arms[i];
    struct comparison c = results_compare(METRIC_REVENUE, arms[1], arms[0]);
    jsonw_key(w, S("incremental"));
    if (c.problem) { jsonw_null(w); return; }
    f64 people = (f64)arms[0]->exposed;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "people", arms[0]->exposed);
    print_minor(w, "revenue", people * c.estimate, programme->in);
    print_minor(w, "low", people * c.low, programme->in);
    print_minor(w, "high", people * c.high, programme->in);
    if (cost > 0) {
        print_minor(w, "cost", (f64)cost, programme->in);
        jsonw_key_num(w, "return", people * c.estimate / (f64)cost);
        jsonw_key_num(w, "return_low", people * c.low / (f64)cost);
        jsonw_key_num(w, "return_high", people * c.high / (f64)cost);
    }
    jsonw_end(w, '}');
}

static void print_rest(const struct showing *s, const struct showing *programme)
{
    struct jsonw *w = &s->call->w;
    print_comparisons(programme, "versus_holdout", true);
    print_comparisons(programme, "versus_holdout_waiting", false);
    print_incremental(programme);
    jsonw_key_str(w, "method", S("always-valid (asymptotic confidence sequence)"));
    jsonw_key_num(w, "alpha", RESULT_ALPHA);
    print_series(s);
}

static str running_state(const struct definition *def, const struct campaign *c, i64 now_ms)
{
    if (def->archived || !def->published) return definition_state(def);
    if (def->paused) return S("paused");
    if (c && c->ends_at_ms && c->ends_at_ms <= now_ms) return S("over");
    return c && c->starts_at_ms > now_ms ? S("not_yet") : S("published");
}

static void answer_campaign(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    const struct definition *def = results_definition(fold, call->params[0]);
    /* findings_of() has found it, and none is ever removed */
    assert(def);
    const struct campaign *c = results_compiled(atomic_load(&call->api->live->book), def, call->a);
    struct showing s = showing_of(call, fold, def->id, c), programme = showing_of(call, fold, 0, NULL);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "campaign", def->key);
    jsonw_key_time(w, "since", since(&s, def->revisions_n ? def->revisions[0].at_ms : 0));
    jsonw_key_str(w, "state", running_state(def, c, clock_now(call->api->clock)));
    print_arms(&s);
    findings_print(call, call->own);
    print_rest(&s, &programme);
    jsonw_end(w, '}');
}

static void work_campaign(struct call *call)
{
    struct findings found;
    if (!findings_of(call, &found)) return;
    if (str_eq(http_query(call->req, S("format"), S("")), S("csv"))) {
        call->type = S("text/csv; charset=utf-8");
        findings_csv(&found, &call->out);
    } else {
        call->own = &found;
        on_fold(call, answer_campaign);
    }
    findings_free(&found);
}

void results_campaign(struct call *call) { ask_jobs(call, work_campaign); }

static void answer_programme(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    struct showing s = showing_of(call, fold, 0, NULL);
    jsonw_begin(w, '{');
    jsonw_key_time(w, "since", since(&s, call->api->started_at_ms));
    jsonw_key_str(w, "state", S("published"));
    print_programme_srm(&s, atomic_load(&call->api->live->book)->settings.holdout);
    print_arms(&s);
    jsonw_key_begin(w, "comparisons", '[');
    jsonw_end(w, ']');
    jsonw_key_int(w, "mixed", fold_totals(fold)->mixed);
    print_rest(&s, &s);
    jsonw_end(w, '}');
}

void results_programme(struct call *call) { ask_fold(call, answer_programme); }

void metric_get(struct call *call) { ask_jobs(call, findings_metric); }
