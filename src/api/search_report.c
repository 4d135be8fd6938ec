/* SPDX-License-Identifier: Apache-2.0
 *
 * search_report.c - questions about the past that search and navigation raise; all run on the jobs thread.
 *
 * /v1/search/report    what was searched for and what found nothing, read from the log's Products
 * Searched events of the last
 *                      REPORT_DAYS days, at most REPORT_ENTRIES entries back; and how soon people
 *                      reach a product, those of the programme's holdout beside all others.
 *
 * A visit is what happens without a pause of session_gap_ms. Its steps are the pages, lists,
 * searches and clicks up to and with its first product view; what happens within a second is one
 * step (a product's page and its view). A visit without a product view has no steps to count, and
 * is counted as such. Who reaches a product sooner is told by the share of visits that do, the
 * median and the mean; the interval of the difference of means is a bootstrap over people, whose
 * visits go together.
 */
#include <math.h>
#include <stdlib.h>

#include "api/inside.h"
#include "base/rcu.h"

enum {
    REPORT_DAYS = 30,
    REPORT_ENTRIES = 2000000,
    QUERIES_SHOWN = 50,
    QUERIES_MAX = 100000,
    PEOPLE_PER_BRACKET = 1000,
    VISITS_MAX = 1000000,
    RESAMPLES = 300,
    SUGGESTIONS = 100
};

/* ---- what was searched for ------------------------------------------------------------------- */

struct asked_for { str query; i64 n, told, zero, last_zero_ms; f64 results; };
struct questions {
    struct { struct asked_for *at; isize n, cap; } all;
    struct map *by_query;
    i64 searches, zero, from_ms;
    arena kept;
};

static void take_search(struct questions *q, const struct event *e, arena *a)
{
    const struct json *properties;
    if (e->query.len == 0
        || json_parse(a, e->properties.len ? e->properties : S("{}"), &properties, NULL))
        return;
    i64 results = json_int(json_get(properties, S("results")), -1);
    bool none = results == 0 || json_bool(json_get(properties, S("zero_results")), false);
    q->searches++;
    q->zero += none;
    str query = str_trim(e->query);
    struct hash128 h = hash128(query, 1);
    u64 at = map_get(q->by_query, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        if (q->all.n == QUERIES_MAX) return;
        at = (u64)q->all.n;
        vec_push(&q->all, (struct asked_for){ .query = arena_str(&q->kept, query) });
        (void)map_put(q->by_query, h, at);
    }
    struct asked_for *it = &q->all.at[at];
    it->n++;
    it->zero += none;
    it->told += results >= 0;                           /* how many were found is not always said */
    it->results += (f64)max_i64(0, results);
    if (none) it->last_zero_ms = max_i64(it->last_zero_ms, e->at_ms);
}

static void read_searches(struct call *call, struct questions *q)
{
    arena a = { 0 };
    struct record record;
    bool found = true;
    u64 tail = atomic_load(&call->api->live->folded) + 1,
        at = tail > REPORT_ENTRIES ? tail - REPORT_ENTRIES : 1;
    q->from_ms = clock_now(call->api->clock) - REPORT_DAYS * DAY_MS;
    while (at < tail && found && fold_read(call->api->fold, at, &a, &record, &found, NULL) == ERR_OK
           && found) {
        for (isize i = 0; i < record.entries_n && record.at_ms >= q->from_ms; i++) {
            struct event e;
            if (record.entries[i].kind != ENTRY_EVENT
                || event_decode(record.entries[i].bytes, &a, &e))
                continue;
            if (e.type == EVENT_PRODUCTS_SEARCHED && !(e.flags & (EVENT_BOT | EVENT_TEST)))
                take_search(q, &e, &a);
        }
        at = record.first + (u64)record.entries_n;
        arena_clear(&a);
    }
    arena_fini(&a);
}

static int by_zero(const void *x, const void *y)
{
    const struct asked_for *a = x, *b = y;
    return a->zero != b->zero ? (a->zero > b->zero ? -1 : 1) : str_cmp(a->query, b->query);
}

static int by_count(const void *x, const void *y)
{
    const struct asked_for *a = x, *b = y;
    return a->n != b->n ? (a->n > b->n ? -1 : 1) : str_cmp(a->query, b->query);
}

static void print_questions(struct jsonw *w, const char *name, const struct asked_for *at, isize n, bool zero)
{
    jsonw_key_begin(w, name, '[');
    for (isize i = 0; i < n && i < QUERIES_SHOWN && (!zero || at[i].zero); i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "query", at[i].query);
        jsonw_key_int(w, "searches", at[i].n);
        jsonw_key_int(w, "zero_results", at[i].zero);
        if (zero) jsonw_key_time(w, "last_at", at[i].last_zero_ms);
        else if (at[i].told) jsonw_key_num(w, "results", at[i].results / (f64)at[i].told);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* ---- how soon a product is reached ----------------------------------------------------------- */

struct visit { u32 person; u16 steps; f32 seconds; };   /* steps 0: no product view */
struct arm { struct { struct visit *at; isize n, cap; } visits; i64 reached; };

static bool is_step(u16 type)
{
    switch (type) {
    case EVENT_PAGE_VIEWED: case EVENT_SCREEN_VIEWED: case EVENT_PRODUCT_LIST_VIEWED:
    case EVENT_PRODUCTS_SEARCHED: case EVENT_PRODUCT_CLICKED:
    case EVENT_CONTENT_VIEWED: case EVENT_PRODUCT_VIEWED: return true;
    default: return false;
    }
}

static void add_visit(struct arm *arm, struct visit v)
{
    if (arm->visits.n >= VISITS_MAX) return;
    vec_push(&arm->visits, v);
    arm->reached += v.steps > 0;
}

static void take_visits(struct arm *arm, const struct profile *p, i64 from_ms, i64 gap_ms)
{
    i64 last_ms = 0, entry_ms = 0, step_ms = 0;
    struct visit v = { p->id.v, 0, 0 };
    u16 steps = 0;
    bool open = false, done = false;
    for (isize i = 0; i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms < from_ms || !is_step(e->type) || e->flags & HISTORY_BOT) continue;
        if (open && e->at_ms - last_ms > gap_ms) { add_visit(arm, v); open = false; }
        if (!open) {
            entry_ms = e->at_ms;
            step_ms = 0;
            steps = 0;
            done = false;
            open = true;
            v.steps = 0;
            v.seconds = 0;
        }
        last_ms = e->at_ms;
        if (done) continue;
        if (step_ms == 0 || e->at_ms - step_ms > SECOND_MS) {
            steps = (u16)min_i64(steps + 1, 1000);
            step_ms = e->at_ms;
        }
        if (e->type != EVENT_PRODUCT_VIEWED) continue;
        done = true;
        v.steps = steps;
        v.seconds = (f32)((f64)(e->at_ms - entry_ms) / 1000);
    }
    if (open) add_visit(arm, v);
}

static void read_visits(struct call *call, struct arm arms[2], i64 from_ms)
{
    struct people *people = call->api->live->people;
    u32 most = (u32)people_most(people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        i32 share = atomic_load(&call->api->live->book)->settings.holdout;
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_read(people, (person_id){ id }, PEOPLE_HISTORY, &a);
            if (p)
                take_visits(&arms[holdout_contains(p->bucketing_id, share)], p, from_ms,
                            call->api->config->session_gap_ms);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
}

static int rising(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return (a > b) - (a < b);
}

static isize values_of(const struct arm *arm, bool seconds, f64 *out)
{
    isize n = 0;
    for (isize i = 0; i < arm->visits.n; i++)
        if (arm->visits.at[i].steps)
            out[n++] = seconds ? (f64)arm->visits.at[i].seconds : arm->visits.at[i].steps;
    qsort(out, (size_t)n, sizeof *out, rising);
    return n;
}

static f64 mean_of(const f64 *at, isize n)
{
    f64 sum = 0;
    for (isize i = 0; i < n; i++) sum += at[i];
    return n ? sum / (f64)n : 0;
}

static f64 median_of(const f64 *at, isize n)
{
    return n == 0 ? 0 : n % 2 ? at[n / 2] : (at[n / 2 - 1] + at[n / 2]) / 2;
}

static void print_arm(struct jsonw *w, const char *name, const struct arm *arm, arena *a)
{
    f64 *values = arena_new(a, f64, arm->visits.n + 1);
    isize n = values_of(arm, false, values);
    jsonw_key_begin(w, name, '{');
    jsonw_key_int(w, "visits", arm->visits.n);
    jsonw_key_int(w, "reached_product", arm->reached);
    if (n) {
        jsonw_key_num(w, "median_steps", median_of(values, n));
        jsonw_key_num(w, "mean_steps", mean_of(values, n));
        n = values_of(arm, true, values);
        jsonw_key_num(w, "median_seconds", median_of(values, n));
    }
    jsonw_end(w, '}');
}

/* A person's sums; visits come person by person. */
struct of_person { f64 steps; i64 visits; };

static isize people_of(const struct arm *arm, struct of_person *out)
{
    isize n = 0;
    u32 last = 0;
    for (isize i = 0; i < arm->visits.n; i++) {
        const struct visit *v = &arm->visits.at[i];
        if (v->steps == 0) continue;
        if (v->person != last) out[n++] = (struct of_person){ 0 };
        last = v->person;
        out[n - 1].steps += v->steps;
        out[n - 1].visits++;
    }
    return n;
}

static f64 drawn_mean(const struct of_person *at, isize n, struct rng *rng)
{
    f64 steps = 0;
    i64 visits = 0;
    for (isize i = 0; i < n; i++) {
        const struct of_person *p = &at[rng ? rng_below(rng, (u32)n) : (u32)i];
        steps += p->steps;
        visits += p->visits;
    }
    return visits ? steps / (f64)visits : 0;
}

static void print_difference(struct jsonw *w, const struct arm arms[2], arena *a)
{
    struct of_person *people[2];
    isize n[2];
    for (int i = 0; i < 2; i++) {
        people[i] = arena_new(a, struct of_person, arms[i].visits.n + 1);
        n[i] = people_of(&arms[i], people[i]);
    }
    if (n[0] < 2 || n[1] < 2) return;
    struct rng rng = rng_seed(1);
    f64 drawn[RESAMPLES];
    for (isize r = 0; r < RESAMPLES; r++)
        drawn[r] = drawn_mean(people[0], n[0], &rng) - drawn_mean(people[1], n[1], &rng);
    struct estimate e = estimate_of(
        drawn_mean(people[0], n[0], NULL) - drawn_mean(people[1], n[1], NULL), drawn, RESAMPLES);
    jsonw_key_begin(w, "difference_of_mean_steps", '{');
    jsonw_key_num(w, "value", e.value);
    jsonw_key_num(w, "low", e.low);
    jsonw_key_num(w, "high", e.high);
    jsonw_end(w, '}');
}

static void report(struct call *call)
{
    struct questions q = { .by_query = map_new(1024) };
    struct arm arms[2] = { 0 };                         /* all others, the holdout */
    struct jsonw *w = &call->w;
    read_searches(call, &q);
    read_visits(call, arms, q.from_ms);
    jsonw_begin(w, '{');
    jsonw_key_time(w, "from", q.from_ms);
    jsonw_key_int(w, "searches", q.searches);
    jsonw_key_int(w, "zero_results", q.zero);
    jsonw_key_num(w, "zero_rate", q.searches ? (f64)q.zero / (f64)q.searches : 0);
    if (q.all.n) qsort(q.all.at, (size_t)q.all.n, sizeof *q.all.at, by_zero);
    print_questions(w, "nothing_found", q.all.at, q.all.n, true);
    if (q.all.n) qsort(q.all.at, (size_t)q.all.n, sizeof *q.all.at, by_count);
    print_questions(w, "queries", q.all.at, q.all.n, false);
    jsonw_key_begin(w, "time_to_product", '{');
    print_arm(w, "treated", &arms[0], call->a);
    print_arm(w, "holdout", &arms[1], call->a);
    print_difference(w, arms, call->a);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    map_free(q.by_query);
    vec_fini(&q.all);
    arena_fini(&q.kept);
    vec_fini(&arms[0].visits);
    vec_fini(&arms[1].visits);
}

void search_report(struct call *call) { ask_jobs(call, report); }

/* ---- synonyms the catalogue suggests --------------------------------------------------------- */

static void suggestions(struct call *call)
{
    struct search_suggestion at[SUGGESTIONS];
    isize n = search_suggest_synonyms(call->api->live->catalog, call->a, at, SUGGESTIONS);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "suggestions", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(&call->w, '{');
        jsonw_key_begin(&call->w, "words", '[');
        jsonw_str(&call->w, at[i].a);
        jsonw_str(&call->w, at[i].b);
        jsonw_end(&call->w, ']');
        jsonw_key_int(&call->w, "items", at[i].items);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void search_synonyms(struct call *call) { ask_jobs(call, suggestions); }
