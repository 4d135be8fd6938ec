/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.c - the metrics there are, and what one comes to before any campaign is measured by it.
 *
 * A campaign's number is of the people it was shown to, from their first exposure on. This one is
 * of everybody who did anything in the days that are asked about: it says how large a metric is and
 * how it moves, which is what a test is planned with, and is told as that. A day's value is of
 * whoever did something on it. A mean's extremes are not cut here, and of a click there is no such
 * number.
 */
#include <math.h>
#include <stdlib.h>

#include "api/admin.h"
#include "base/rcu.h"
#include "measure/measure.h"

enum { DAYS_MAX = 92, PEOPLE_AT_ONCE = 1000 };

static const char *const kind_names[] = { "mean", "proportion", "ratio", "quantile" };

static void print_metric(struct jsonw *w, const struct metric *m, str code)
{
    jsonw_key_str(w, "metric", m->key);
    jsonw_key_str(w, "title", m->title);
    jsonw_key_str(w, "definition", m->text);
    jsonw_key_str(w, "type", str_of(kind_names[m->kind]));
    jsonw_key_str(w, "direction", m->down ? S("down") : S("up"));
    jsonw_key_bool(w, "money", m->money);
    if (m->money) jsonw_key_str(w, "currency", code);
}

static void print_metrics(struct call *call, struct fold *fold)
{
    const struct metrics *metrics = atomic_load(&fold_live(fold)->metrics);
    const struct book *book = atomic_load(&fold_live(fold)->book);
    char code[4];
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "metrics", '[');
    for (isize i = 0; i < metrics->n; i++) {
        const struct definition *own =
            definition_find(fold_definitions(fold), S("metric"), metrics->at[i].key);
        jsonw_begin(w, '{');
        print_metric(w, &metrics->at[i], currency_code(book->settings.currency, code));
        jsonw_key_bool(w, "core", definition_published(own).len == 0);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void metrics_list(struct call *call) { ask_fold(call, print_metrics); }

/* ---- one over the last days ------------------------------------------------------------------ */

struct values { f64 *at; isize n, cap; };
struct trying {
    struct metric metric;
    struct definition_errors errors;
    enum err err;
    i64 from_ms, now_ms, unconverted;
    isize days;
    /* the last: of all days */
    struct tally { i64 people; f64 top, bottom; struct values values; } of[DAYS_MAX + 1];
};

static void compile(struct call *call, struct fold *fold)
{
    struct trying *t = call->own;
    struct rule_names names = fold_names(fold);
    const struct json *doc = json_get(call->body, S("document"));
    t->err = metric_read(call->a, json_str(json_get(doc, S("key")), S("preview")), doc, &names,
                         &t->metric, &t->errors);
}

static void add(struct trying *t, struct tally *tally, const struct metric_world *world,
                const struct profile *p, i64 from_ms, i64 to_ms)
{
    struct metric_share share = metric_share(&t->metric, world, p, from_ms, to_ms, &t->unconverted);
    tally->people++;
    tally->top += share.top;
    tally->bottom += share.bottom;
    if (t->metric.kind == STATS_QUANTILE) vec_push(&tally->values, share.top);
}

static void add_person(struct trying *t, const struct metric_world *world, const struct profile *p)
{
    bool on[DAYS_MAX] = { false }, any = false;
    for (isize i = p->history_n - 1; i >= 0 && p->history[i].at_ms >= t->from_ms; i--) {
        if (p->history[i].flags & HISTORY_BOT || p->history[i].at_ms > t->now_ms
            || history_is_move(&p->history[i]))
            continue;
        on[min_i64((p->history[i].at_ms - t->from_ms) / DAY_MS, t->days - 1)] = any = true;
    }
    for (isize d = 0; d < t->days; d++)
        if (on[d])
            add(t, &t->of[d], world, p, t->from_ms + d * DAY_MS,
                min_i64(t->from_ms + (d + 1) * DAY_MS - 1, t->now_ms));
    if (any) add(t, &t->of[t->days], world, p, t->from_ms, t->now_ms);
}

/* A few people a bracket, so that nothing waits for all of them. */
static void add_everybody(struct call *call, struct trying *t)
{
    const struct live *live = call->api->live;
    u32 most = (u32)people_most(live->people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        const struct book *book = atomic_load(&live->book);
        struct metric_world world = { &book->settings, live->catalog, book->segments };
        for (isize n = 0; n < PEOPLE_AT_ONCE && id <= most; n++, id++) {
            const struct profile *p = people_get(live->people, (person_id){ id }, &a);
            if (p && p->last_at_ms >= t->from_ms) add_person(t, &world, p);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
}

static int by_size(const void *x, const void *y)
{
    return (*(const f64 *)x > *(const f64 *)y) - (*(const f64 *)x < *(const f64 *)y);
}

/* NaN, which prints as null, where nobody did anything or there is nothing to divide by. */
static f64 value_of(const struct metric *m, struct tally *tally)
{
    if (m->kind == STATS_RATIO) return tally->bottom > 0 ? tally->top / tally->bottom : (f64)NAN;
    if (tally->people == 0) return (f64)NAN;
    if (m->kind != STATS_QUANTILE) return tally->top / (f64)tally->people;
    qsort(tally->values.at, (size_t)tally->values.n, sizeof *tally->values.at, by_size);
    return tally->values.at[(isize)(m->quantile * (f64)(tally->values.n - 1))];
}

static void print_tried(struct call *call, struct trying *t)
{
    struct jsonw *w = &call->w;
    char code[4];
    rcu_read_begin();
    const currency in = atomic_load(&call->api->live->book)->settings.currency;
    rcu_read_end();
    jsonw_begin(w, '{');
    print_metric(w, &t->metric, currency_code(in, code));
    jsonw_key_int(w, "people", t->of[t->days].people);
    jsonw_key_num(w, "value", value_of(&t->metric, &t->of[t->days]));
    jsonw_key_int(w, "unconverted", t->unconverted);
    jsonw_key_begin(w, "days", '[');
    for (isize d = 0; d < t->days; d++) {
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", t->from_ms + d * DAY_MS);
        jsonw_key_int(w, "people", t->of[d].people);
        jsonw_key_num(w, "value", value_of(&t->metric, &t->of[d]));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void preview(struct call *call)
{
    struct trying *t = arena_new(call->a, struct trying, 1);
    t->now_ms = clock_now(call->api->clock);
    t->days = (isize)min_i64(max_i64(json_int(json_get(call->body, S("days")), 28), 1), DAYS_MAX);
    t->from_ms = (t->now_ms / DAY_MS + 1 - t->days) * DAY_MS;      /* whole days in UTC, today's not over */
    call->own = t;
    on_fold(call, compile);
    if (t->err) {
        const struct definition_error *e = &t->errors.at[0];
        call_fail(call, ERR_REFUSED, "%.*s%s%.*s", STR_FMT(e->path), e->path.len ? ": " : "",
                  STR_FMT(e->message));
        return;
    }
    if (t->metric.top.of == PART_CLICKED) {
        call_fail(call, ERR_REFUSED, "a click belongs to a campaign: it has a number where it is measured");
        return;
    }
    add_everybody(call, t);
    print_tried(call, t);
    for (isize d = 0; d <= t->days; d++) vec_fini(&t->of[d].values);
}

/* {"document": a metric's, published or not, "days": 28} */
void metrics_preview(struct call *call) { ask_jobs(call, preview); }
