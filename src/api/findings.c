/* SPDX-License-Identifier: Apache-2.0
 *
 * findings.c - what a campaign was worth, from people's histories.
 *
 * Runs as a job: epochs are asked of the fold, people are walked twice in one rcu bracket, and what
 * comes out is printed from copies. The tiers: the campaign's own "metric" is primary; "guardrails"
 * share a correction; "metrics" and the other core metrics are secondary. Segments ("segments" of
 * the campaign, or ?segments=) are asked as of each person's first exposure, for the primary metric
 * and the guardrails.
 */
#include "api/findings.h"

#include <math.h>

#include "api/admin.h"
#include "api/results.h"
#include "base/rcu.h"

#define POWER 0.8

/* ---- what is asked: on the fold's thread ----------------------------------------------------- */

struct preparing { struct findings *found; const struct json *doc; str kind; };

static void prepare(struct call *call, struct fold *fold)
{
    struct preparing *p = call->own;
    struct findings *w = p->found;
    const struct definition *def = results_definition(fold, call->params[0]);
    if (!def) {
        call_fail(call, ERR_NOT_FOUND, "there is no campaign \"%.*s\"", STR_FMT(call->params[0]));
        return;
    }
    str text = definition_published(def).len ? definition_published(def) : definition_latest(def);
    w->campaign = def->id;
    p->kind = arena_str(call->a, def->kind);
    w->key = arena_str(call->a, def->key);
    if (json_parse(call->a, text, &p->doc, NULL)) p->doc = NULL;
    for (u8 k = 0; k < EXPERIENCES_MAX; k++) {
        const struct epoch *epochs = fold_epochs(fold, def->id, k, &w->epochs_n[k]);
        w->epochs[k] = arena_new(call->a, struct census_epoch, w->epochs_n[k]);
        for (isize i = 0; i < w->epochs_n[k]; i++) {
            w->epochs[k][i].at_ms = epochs[i].at_ms;
            memcpy(w->epochs[k][i].shares, epochs[i].shares, sizeof w->epochs[k][i].shares);
        }
    }
}

/* ---- inside the bracket ---------------------------------------------------------------------- */

static void want(struct findings *w, arena *a, const struct metric *m, u8 tier)
{
    for (isize i = 0; i < w->metrics_n; i++)
        if (str_eq(w->metrics[i]->key, m->key)) return;
    if (w->metrics_n == FINDINGS_METRICS_MAX) return;
    struct metric *copy = arena_new(a, struct metric, 1);
    *copy = *m;
    copy->key = arena_str(a, m->key);
    copy->title = arena_str(a, m->title);
    copy->text = arena_str(a, m->text);
    w->metrics[w->metrics_n] = copy;
    w->tiers[w->metrics_n++] = tier;
}

static void want_all(struct call *call, struct findings *w, const struct metrics *metrics,
                     const struct json *doc)
{
    const struct metric *primary = metric_find(
                            metrics, json_str(json_get(doc, S("metric")), S("order_rate"))),
                        *m;
    want(w, call->a, primary ? primary : &metrics->at[0], TIER_PRIMARY);
    json_each(name, json_get(doc, S("guardrails")))
        if ((m = metric_find(metrics, json_str(name, S(""))))) want(w, call->a, m, TIER_GUARDRAIL);
    json_each(name, json_get(doc, S("metrics")))
        if ((m = metric_find(metrics, json_str(name, S(""))))) want(w, call->a, m, TIER_SECONDARY);
    for (isize i = 0; i < metrics->n; i++) want(w, call->a, &metrics->at[i], TIER_SECONDARY);
}

static void want_segment(struct call *call, struct findings *w, const struct segment_set *set, str key)
{
    segment_id id = segment_find(set, str_trim(key));
    if (id.v == 0 || w->segments_n == CENSUS_SEGMENTS_MAX) return;
    w->segment_ids[w->segments_n] = id;
    w->segments[w->segments_n++] = arena_str(call->a, str_trim(key));
}

static void name_arms(struct call *call, struct findings *w, const struct campaign *c)
{
    const struct census_arm *arms;
    isize n = census_arms(w->census, &arms);
    for (isize i = 0; i < n; i++) {
        const struct experience *x =
            c && arms[i].experience < c->experiences_n ? &c->experiences[arms[i].experience] : NULL;
        bool known = x && arms[i].variation < x->variations_n;
        w->experience_keys[i] =
            x ? arena_str(call->a, x->key) : arena_printf(call->a, "#%d", arms[i].experience + 1);
        w->arm_keys[i] = known ? arena_str(call->a, x->variations[arms[i].variation].key)
                               : arena_printf(call->a, "#%d", arms[i].variation + 1);
        w->controls[i] = -1;
        for (isize k = 0; k < n; k++) {
            bool control = x && arms[k].variation < x->variations_n
                               ? x->variations[arms[k].variation].control
                               : arms[k].variation == 0;
            if (arms[k].experience == arms[i].experience && control) w->controls[i] = k;
        }
    }
}

static void check_split(struct findings *w, const struct campaign *c)
{
    w->srm_p = w->srm_sequential = 1;
    for (isize i = 0; c && i < c->experiences_n; i++) {
        if (c->experiences[i].choose == CHOOSE_FIXED || c->experiences[i].variations_n < 2
            || w->epochs_n[i] == 0)
            continue;
        struct stats_srm srm = census_srm(w->census, (u8)i, &c->experiences[i]);
        w->srm_p = fmin(w->srm_p, srm.p);
        w->srm_sequential = fmin(w->srm_sequential, srm.p_sequential);
        w->srm_n++;
    }
    w->srm_p = fmin(1, w->srm_p * (f64)w->srm_n);
    w->srm_sequential = fmin(1, w->srm_sequential * (f64)w->srm_n);
}

static void walk(const struct live *live, struct census *t,
                 void (*each)(struct census *t, const struct profile *p))
{
    u32 most = (u32)people_most(live->people);
    arena a = { 0 };
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_get(live->people, (person_id){ id }, &a);
        if (p) each(t, p);
        arena_clear(&a);
    }
    arena_fini(&a);
}

/* The primary metric's rows as the last look left them: significant by the bound and by nothing
 * else, so that whoever looks in between is told nothing that the plan has not paid for. */
static void judge_by_plan(struct call *call, struct findings *w, const struct looks_plan *plan)
{
    if (w->metrics[0]->kind == STATS_QUANTILE) return;   /* kept as it stands now, not by the day */
    isize tried = 0;
    for (isize i = 0; i < w->rows_n; i++) tried += w->rows[i].metric == 0 && w->rows[i].group == 0;
    w->looks = (struct look_plan){ (f64)plan->people, plan->times,
                                   plan->pocock ? STATS_POCOCK : STATS_OBRIEN_FLEMING,
                                   RESULT_ALPHA / (f64)max_isize(1, tried) };
    w->planned = arena_new(call->a, struct planned, tried + 1);
    for (isize i = 0; i < w->rows_n; i++) {
        struct judged *row = &w->rows[i];
        if (row->metric != 0 || row->group != 0) continue;
        struct planned *p = &w->planned[w->planned_n++];
        p->row = i;
        p->held_n = judge_looks(&w->judging, row, &w->looks,
                                (i32)(clock_now(call->api->clock) / DAY_MS), p->held);
        const struct held_look *last = p->held_n ? &p->held[p->held_n - 1] : NULL;
        const struct stats_interval none = { -(f64)INFINITY, (f64)INFINITY, 1 };
        row->absolute = row->absolute_adjusted = last ? last->absolute : none;
        row->relative = row->relative_adjusted = last ? last->relative : none;
        row->p_adjusted = fmin(1, row->absolute.p * (f64)tried);
        row->significant = last && last->stops;
        if (!last) continue;
        row->effect.effect = last->estimate;
        row->lift.effect = last->lift;
    }
}

bool findings_of(struct call *call, struct findings *w)
{
    struct preparing p = { .found = w };
    *w = (struct findings){ 0 };
    call->own = &p;
    on_fold(call, prepare);
    if (call->err) return false;
    const struct live *live = call->api->live;
    i32 mde;
    if (share_parse(json_str(json_get(p.doc, S("mde")), S("")), &mde)) w->mde = (f64)mde / BUCKETS;
    w->self_check = json_bool(json_get(p.doc, S("self_check")), false);
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    const struct definition of = { .kind = p.kind, .key = w->key };
    const struct campaign *c = results_compiled(book, &of, call->a);
    want_all(call, w, atomic_load(&live->metrics), p.doc);
    json_each (name, json_get(p.doc, S("segments")))
        want_segment(call, w, book->segments, json_str(name, S("")));
    for (struct str_cut cut = str_cut(http_query(call->req, S("segments"), S("")), ',');
         cut.head.len; cut = str_cut(cut.tail, ','))
        want_segment(call, w, book->segments, cut.head);
    struct census_ask ask = { .campaign = w->campaign,
                              .metrics = w->metrics,
                              .metrics_n = w->metrics_n,
                              .segments = w->segment_ids,
                              .segments_n = w->segments_n,
                              .set = book->segments,
                              .catalog = live->catalog,
                              .settings = &book->settings,
                              .window_ms = call->api->config->exposure_days * DAY_MS,
                              .now_ms = clock_now(call->api->clock) };
    for (isize k = 0; k < EXPERIENCES_MAX; k++)
        ask.epochs[k] = w->epochs[k], ask.epochs_n[k] = w->epochs_n[k];
    w->census = census_new(&ask);
    walk(live, w->census, census_count);
    census_settle(w->census);
    walk(live, w->census, census_sum);
    census_finish(w->census);
    name_arms(call, w, c);
    check_split(w, c);
    w->currency = book->settings.currency;
    w->judging = (struct judging){ .census = w->census,
                                   .metrics = w->metrics,
                                   .metrics_n = w->metrics_n,
                                   .tiers = w->tiers,
                                   .controls = w->controls,
                                   .segments_n = w->segments_n,
                                   .correction = STATS_BH,
                                   .alpha = RESULT_ALPHA,
                                   .tuning_n = RESULT_TUNING_N,
                                   .power = POWER,
                                   .mde = w->mde > 0 ? w->mde : 0.05 };
    w->rows_n = judge(&w->judging, call->a, &w->rows);
    if (c && c->looks.times) judge_by_plan(call, w, &c->looks);
    rcu_read_end();
    return true;
}

void findings_free(struct findings *w) { census_free(w->census); }

/* ---- printing -------------------------------------------------------------------------------- */

static const char *const tier_names[] = { "primary", "guardrail", "secondary", "segment" };
static const char *const kind_names[] = { "mean", "proportion", "ratio", "quantile" };

static void print_interval(struct jsonw *w, const char *low, const char *high, struct stats_interval i)
{
    jsonw_key_num(w, low, i.low);
    jsonw_key_num(w, high, i.high);
}

static void print_names(struct jsonw *out, const struct findings *w, const struct judged *r)
{
    jsonw_key_str(out, "metric", w->metrics[r->metric]->key);
    jsonw_key_str(out, "experience", w->experience_keys[r->arm]);
    jsonw_key_str(out, "variation", w->arm_keys[r->arm]);
    jsonw_key_str(out, "against", w->arm_keys[r->control]);
}

/* A guardrail is broken when what was tried is worse for certain. */
static const char *verdict_of(const struct findings *w, const struct judged *r)
{
    if (!r->significant) return "open";
    bool better = (r->effect.effect > 0) != w->metrics[r->metric]->down;
    return w->self_check ? "fault" : better ? "better" : "worse";
}

static void print_row(struct jsonw *out, const struct findings *w, const struct judged *r)
{
    jsonw_begin(out, '{');
    print_names(out, w, r);
    jsonw_key_str(out, "tier", str_of(tier_names[r->tier]));
    jsonw_key_num(out, "estimate", r->effect.effect);
    jsonw_key_num(out, "relative", r->lift.effect);
    print_interval(out, "low", "high", r->absolute);
    print_interval(out, "relative_low", "relative_high", r->relative);
    print_interval(out, "relative_low_adjusted", "relative_high_adjusted", r->relative_adjusted);
    jsonw_key_num(out, "p", r->absolute.p);
    jsonw_key_num(out, "p_adjusted", r->p_adjusted);
    jsonw_key_bool(out, "significant", r->significant);
    jsonw_key_str(out, "verdict", str_of(verdict_of(w, r)));
    jsonw_key_num(out, "chance_to_win",
                  w->metrics[r->metric]->down ? 1 - r->belief.chance_to_win
                                              : r->belief.chance_to_win);
    jsonw_key_num(out, "least_lift", r->least_lift);
    jsonw_key_num(out, "people_per_arm", r->people_per_arm);
    jsonw_key_num(out, "days_left", r->days);
    jsonw_key_bool(out, "cuped", r->cuped);
    jsonw_end(out, '}');
}

static void print_rows(struct jsonw *out, const struct findings *w, isize group)
{
    jsonw_key_begin(out, "comparisons", '[');
    for (isize i = 0; i < w->rows_n; i++)
        if (w->rows[i].group == group && !w->rows[i].effect.problem) print_row(out, w, &w->rows[i]);
    jsonw_end(out, ']');
    jsonw_key_begin(out, "waiting", '[');
    for (isize i = 0; i < w->rows_n; i++) {
        const struct judged *r = &w->rows[i];
        if (r->group != group || !r->effect.problem) continue;
        jsonw_begin(out, '{');
        print_names(out, w, r);
        jsonw_key_str(out, "why", str_of(stats_problem_text(r->effect.problem)));
        jsonw_end(out, '}');
    }
    jsonw_end(out, ']');
}

static struct stats_sums whole(const struct findings *w, isize arm, isize group, isize metric)
{
    const struct census_arm *arms;
    (void)census_arms(w->census, &arms);
    struct stats_sums all = { 0 };
    const struct stats_sums *at = census_sums(w->census, arm, group, metric);
    if (w->metrics[metric]->kind == STATS_QUANTILE) return at[0];
    for (isize s = 0; s < census_strata(w->census, arms[arm].experience); s++) stats_sums_add(&all, &at[s]);
    return all;
}

static f64 value_of(const struct metric *m, const struct stats_sums *s)
{
    if (m->kind == STATS_QUANTILE) return s->quantile;
    f64 by = m->kind == STATS_RATIO ? s->den_sum : s->n;
    return by > 0 || by < 0 ? s->sum / by : 0;
}

static void print_values(struct jsonw *out, const struct findings *w, isize group, isize metric)
{
    const struct census_arm *arms;
    isize n = census_arms(w->census, &arms);
    jsonw_key_begin(out, "arms", '[');
    for (isize k = 0; k < n; k++) {
        struct stats_sums s = whole(w, k, group, metric);
        jsonw_begin(out, '{');
        jsonw_key_str(out, "experience", w->experience_keys[k]);
        jsonw_key_str(out, "variation", w->arm_keys[k]);
        jsonw_key_num(out, "people", s.n);
        jsonw_key_num(out, "value", value_of(w->metrics[metric], &s));
        jsonw_end(out, '}');
    }
    jsonw_end(out, ']');
}

static void print_metrics(struct jsonw *out, const struct findings *w)
{
    jsonw_key_begin(out, "metrics", '[');
    for (isize m = 0; m < w->metrics_n; m++) {
        const struct metric *metric = w->metrics[m];
        jsonw_begin(out, '{');
        jsonw_key_str(out, "key", metric->key);
        jsonw_key_str(out, "title", metric->title);
        jsonw_key_str(out, "definition", metric->text);
        jsonw_key_str(out, "type", str_of(kind_names[metric->kind]));
        jsonw_key_str(out, "tier", str_of(tier_names[w->tiers[m]]));
        jsonw_key_str(out, "direction", metric->down ? S("down") : S("up"));
        jsonw_key_bool(out, "money", metric->money);
        char code[4];
        if (metric->money) jsonw_key_str(out, "currency", currency_code(w->currency, code));
        print_values(out, w, 0, m);
        jsonw_end(out, '}');
    }
    jsonw_end(out, ']');
}

static void print_epochs(struct jsonw *out, const struct findings *w)
{
    jsonw_key_begin(out, "epochs", '[');
    for (isize x = 0; x < EXPERIENCES_MAX; x++)
        for (isize e = 0; e < w->epochs_n[x]; e++) {
            jsonw_begin(out, '{');
            jsonw_key_int(out, "experience", x + 1);
            jsonw_key_time(out, "at", w->epochs[x][e].at_ms);
            jsonw_key_begin(out, "shares", '[');
            for (isize v = 0; v < EXPERIENCE_VARIATIONS_MAX; v++)
                if (w->epochs[x][e].shares[v] || v < 2)
                    jsonw_num(out, (f64)w->epochs[x][e].shares[v] / BUCKETS);
            jsonw_end(out, ']');
            jsonw_end(out, '}');
        }
    jsonw_end(out, ']');
}

/* The primary metric's lift as it stood at the end of each day, with its interval: what a watcher saw. */
static void print_days(struct jsonw *out, const struct findings *w)
{
    const struct census_arm *arms;
    (void)census_arms(w->census, &arms);
    jsonw_key_begin(out, "intervals", '[');
    for (isize i = 0; i < w->rows_n; i++) {
        const struct judged *r = &w->rows[i];
        if (r->metric != 0 || r->group != 0 || w->metrics[0]->kind == STATS_QUANTILE) continue;
        const i32 *days;
        isize n = census_days(w->census, arms[r->arm].experience, &days);
        for (isize k = max_isize(0, n - 365); k < n; k++) {
            f64 lift;
            struct stats_interval at = judge_day(&w->judging, r, days[k], &lift);
            jsonw_begin(out, '{');
            jsonw_key_time(out, "at", days[k] * DAY_MS);
            jsonw_key_str(out, "experience", w->experience_keys[r->arm]);
            jsonw_key_str(out, "variation", w->arm_keys[r->arm]);
            jsonw_key_num(out, "relative", lift);
            print_interval(out, "low", "high", at);
            jsonw_end(out, '}');
        }
    }
    jsonw_end(out, ']');
}

static void print_look(struct jsonw *out, const struct held_look *l)
{
    jsonw_begin(out, '{');
    jsonw_key_int(out, "look", l->number);
    jsonw_key_time(out, "at", l->day * DAY_MS);
    jsonw_key_num(out, "people", l->people);
    jsonw_key_num(out, "information", l->information);
    jsonw_key_num(out, "z", l->z);
    jsonw_key_num(out, "bound", l->bound);
    jsonw_key_num(out, "alpha_spent", l->spent);
    jsonw_key_num(out, "relative", l->lift);
    print_interval(out, "low", "high", l->relative);
    jsonw_key_bool(out, "stops", l->stops);
    jsonw_end(out, '}');
}

/* The looks that were held and the bounds of those to come. */
static void print_planned(struct jsonw *out, const struct findings *w)
{
    jsonw_key(out, S("group_sequential"));
    if (w->looks.n == 0) { jsonw_null(out); return; }
    jsonw_begin(out, '{');
    jsonw_key_str(out, "spending", w->looks.spending == STATS_POCOCK ? S("pocock") : S("obrien_fleming"));
    jsonw_key_num(out, "people", w->looks.people);
    jsonw_key_int(out, "times", w->looks.n);
    jsonw_key_num(out, "alpha", w->looks.alpha);
    jsonw_key_begin(out, "comparisons", '[');
    for (isize i = 0; i < w->planned_n; i++) {
        const struct planned *p = &w->planned[i];
        f64 bounds[LOOKS_MAX];
        isize done = p->held_n ? p->held[p->held_n - 1].number : 0;
        bool over = done == w->looks.n || (p->held_n && p->held[p->held_n - 1].stops);
        look_bounds(&w->looks, p->held, p->held_n, bounds);
        jsonw_begin(out, '{');
        print_names(out, w, &w->rows[p->row]);
        jsonw_key_bool(out, "over", over);
        jsonw_key_begin(out, "held", '[');
        for (isize k = 0; k < p->held_n; k++) print_look(out, &p->held[k]);
        jsonw_end(out, ']');
        jsonw_key_begin(out, "ahead", '[');
        for (isize k = done; k < w->looks.n && !over; k++) {
            jsonw_begin(out, '{');
            jsonw_key_int(out, "look", k + 1);
            jsonw_key_num(out, "people", ceil(w->looks.people * (f64)(k + 1) / (f64)w->looks.n));
            jsonw_key_num(out, "bound", bounds[k - done]);
            jsonw_end(out, '}');
        }
        jsonw_end(out, ']');
        jsonw_end(out, '}');
    }
    jsonw_end(out, ']');
    jsonw_end(out, '}');
}

static void print_segments(struct jsonw *out, const struct findings *w)
{
    jsonw_key_begin(out, "segments", '[');
    for (isize g = 0; g < w->segments_n; g++) {
        jsonw_begin(out, '{');
        jsonw_key_str(out, "segment", w->segments[g]);
        print_values(out, w, g + 1, 0);
        print_rows(out, w, g + 1);
        jsonw_end(out, '}');
    }
    jsonw_end(out, ']');
}

void findings_print(struct call *call, const struct findings *w)
{
    struct jsonw *out = &call->w;
    jsonw_key(out, S("srm"));
    if (w->srm_n) {
        jsonw_begin(out, '{');
        jsonw_key_num(out, "p", w->srm_p);
        jsonw_key_num(out, "p_sequential", w->srm_sequential);
        jsonw_key_bool(out, "alarm", w->srm_sequential < RESULT_SRM_ALARM);
        jsonw_end(out, '}');
    } else {
        jsonw_null(out);
    }
    print_rows(out, w, 0);
    print_metrics(out, w);
    print_segments(out, w);
    print_epochs(out, w);
    print_days(out, w);
    print_planned(out, w);
    jsonw_key_str(out, "correction", S("benjamini-hochberg within each tier"));
    jsonw_key_num(out, "mde", w->judging.mde);
    jsonw_key_bool(out, "self_check", w->self_check);
    jsonw_key_int(out, "money_without_rate", census_unconverted(w->census));
}

void findings_csv(const struct findings *w, struct buf *out)
{
    buf_add(
        out,
        S("segment,metric,tier,experience,variation,against,estimate,low,high,relative,relative_low,relative_high,p,p_adjusted,"
          "significant\n"));
    for (isize i = 0; i < w->rows_n; i++) {
        const struct judged *r = &w->rows[i];
        if (r->effect.problem) continue;
        str segment = r->group ? w->segments[r->group - 1] : S("");
        buf_printf(out, "%.*s,%.*s,%s,%.*s,%.*s,%.*s", STR_FMT(segment),
                   STR_FMT(w->metrics[r->metric]->key), tier_names[r->tier],
                   STR_FMT(w->experience_keys[r->arm]), STR_FMT(w->arm_keys[r->arm]),
                   STR_FMT(w->arm_keys[r->control]));
        const f64 numbers[] = { r->effect.effect, r->absolute.low, r->absolute.high,
                                r->lift.effect,   r->relative.low, r->relative.high,
                                r->absolute.p,    r->p_adjusted };
        for (isize k = 0; k < countof(numbers); k++) {
            struct jsonw num = { .out = out };
            buf_byte(out, ',');
            if (isfinite(numbers[k])) jsonw_num(&num, numbers[k]);
        }
        buf_printf(out, ",%s\n", r->significant ? "true" : "false");
    }
}

/* ---- one metric over everything -------------------------------------------------------------- */

enum { CAMPAIGNS_ASKED_MAX = 200 };
struct listed { struct { u32 id; str key; } at[CAMPAIGNS_ASKED_MAX]; isize n; };

static void list_campaigns(struct call *call, struct fold *fold)
{
    struct listed *listed = call->own;
    const struct definition *def;
    listed->n = 1;                                       /* the programme */
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("campaign"), &at))
                       && listed->n < CAMPAIGNS_ASKED_MAX;) {
        if (!definition_published(def).len) continue;
        listed->at[listed->n].id = def->id;
        listed->at[listed->n++].key = arena_str(call->a, def->key);
    }
}

static void print_of_campaign(struct call *call, const struct metric *metric, u32 campaign, str key)
{
    const struct live *live = call->api->live;
    const struct book *book = atomic_load(&live->book);
    struct census_ask ask = { .campaign = campaign,
                              .metrics = &metric,
                              .metrics_n = 1,
                              .set = book->segments,
                              .catalog = live->catalog,
                              .settings = &book->settings,
                              .window_ms = call->api->config->exposure_days * DAY_MS,
                              .now_ms = clock_now(call->api->clock) };
    struct findings w = {
        .campaign = campaign, .census = census_new(&ask), .metrics = { metric }, .metrics_n = 1
    };
    const struct census_arm *arms;
    walk(live, w.census, census_count);
    census_settle(w.census);
    walk(live, w.census, census_sum);
    census_finish(w.census);
    name_arms(call, &w, campaign ? book_campaign(book, key) : NULL);
    isize n = census_arms(w.census, &arms);
    for (isize k = 0; k < n; k++) {
        struct stats_sums sums = whole(&w, k, 0, 0);
        jsonw_begin(&call->w, '{');
        if (campaign) jsonw_key_str(&call->w, "campaign", key);
        jsonw_key_str(&call->w, "experience", campaign ? w.experience_keys[k] : S("programme"));
        jsonw_key_str(&call->w, "variation",
                      campaign            ? w.arm_keys[k]
                      : arms[k].variation ? S("holdout")
                                          : S("treated"));
        jsonw_key_num(&call->w, "people", sums.n);
        jsonw_key_num(&call->w, "value", value_of(metric, &sums));
        jsonw_end(&call->w, '}');
    }
    findings_free(&w);
}

void findings_metric(struct call *call)
{
    struct listed listed = { 0 };
    call->own = &listed;
    on_fold(call, list_campaigns);
    rcu_read_begin();
    const struct metrics *metrics = atomic_load(&call->api->live->metrics);
    const struct metric *metric = metric_find(metrics, call->params[0]);
    if (metric) {
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "metric", metric->key);
        jsonw_key_str(&call->w, "title", metric->title);
        jsonw_key_str(&call->w, "definition", metric->text);
        jsonw_key_str(&call->w, "type", str_of(kind_names[metric->kind]));
        jsonw_key_str(&call->w, "direction", metric->down ? S("down") : S("up"));
        jsonw_key_begin(&call->w, "values", '[');
        for (isize i = 0; i < listed.n; i++)
            print_of_campaign(call, metric, listed.at[i].id, listed.at[i].key);
        jsonw_end(&call->w, ']');
        jsonw_end(&call->w, '}');
    } else {
        struct buf names = { .arena = call->a };
        for (isize i = 0; i < metrics->n; i++)
            buf_printf(&names, "%s%.*s", i ? ", " : "", STR_FMT(metrics->at[i].key));
        call_fail(call, ERR_NOT_FOUND, "there is no metric \"%.*s\"; there are %.*s",
                  STR_FMT(call->params[0]), STR_FMT(buf_str(&names)));
    }
    rcu_read_end();
}
