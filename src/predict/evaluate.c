/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - `opmaat evaluate clv|propensity|uplift`: how good the models are on a file, on what
 * they have not seen.
 *
 * Each report says the protocol, the sizes, the measures with 95 % intervals (percentiles of a
 * seeded bootstrap over people or rows, of the same forecasts) and the time taken. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "ingest/ingest.h"
#include "predict/inside.h"

enum { RESAMPLES = 1000, FOLDS = 5 };

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_estimates(const struct estimates *e, struct jsonw *w)
{
    jsonw_key_begin(w, "metrics", '{');
    for (isize m = 0; m < e->n; m++) {
        jsonw_key_begin(w, e->names[m], '{');
        jsonw_key_num(w, "value", e->at[m].value);
        jsonw_key_num(w, "low", e->at[m].low);
        jsonw_key_num(w, "high", e->at[m].high);
        jsonw_end(w, '}');
    }
    jsonw_end(w, '}');
}

static void text_estimates(const struct estimates *e, struct buf *out)
{
    for (isize m = 0; m < e->n; m++)
        buf_printf(out, "%-20s %10.4f   %.4f to %.4f\n", e->names[m], e->at[m].value, e->at[m].low,
                   e->at[m].high);
}

static void print_end(struct jsonw *w, const struct predict_evaluation *o, f64 seconds, struct buf *out)
{
    jsonw_key_begin(w, "bootstrap", '{');
    jsonw_key_int(w, "seed", (i64)o->seed);
    jsonw_key_int(w, "resamples", o->resamples);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "seconds", '{');
    jsonw_key_num(w, "train", seconds);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    buf_byte(out, '\n');
}

static struct predict_evaluation filled(const struct predict_evaluation *options)
{
    struct predict_evaluation o = *options;
    if (o.resamples <= 0) o.resamples = RESAMPLES;
    if (o.folds <= 0) o.folds = FOLDS;
    return o;
}

static void text_calibration(struct calibration c, struct buf *out)
{
    buf_printf(out, "\npredicted   observed   from       to         n\n");
    for (isize i = 0; i < c.bins_n; i++)
        buf_printf(out, "%-11.4f %-10.4f %-10.4f %-10.4f %td\n", c.bins[i].predicted,
                   c.bins[i].observed, c.bins[i].low, c.bins[i].high, c.bins[i].n);
}

/* Forecasts in order of what was predicted. AUC of the chance of `actual` > 0, by pairs, ties a half. */
static f64 auc_of(const struct forecast *at, isize n, const u32 *times)
{
    f64 hits = 0, misses = 0, won = 0;
    for (isize from = 0, to; from < n; from = to) {
        f64 here_hits = 0, here_misses = 0;
        for (to = from; to < n && at[to].predicted == at[from].predicted; to++)
            *(at[to].actual > 0 ? &here_hits : &here_misses) += times[to];
        won += here_hits * (misses + here_misses / 2);
        hits += here_hits;
        misses += here_misses;
    }
    return hits > 0 && misses > 0 ? won / hits / misses : .5;
}

static int by_predicted(const void *left, const void *right)
{
    return ascending(&((const struct forecast *)left)->predicted,
                     &((const struct forecast *)right)->predicted);
}

/* ---- clv ------------------------------------------------------------------------------------- */

static const char clv_protocol[] =
    "Orders of one day are one; rows below 0 are returns, taken off the money. Models are fitted on days up to the calibration's last "
    "and forecast the orders of each person known then in the hold-out. Time in weeks. auc: of ordering at all. value_: money, "
    "Gamma-Gamma on repeat orders times expected orders. Intervals: 95 %, bootstrap over people, models held fixed.";

struct sale { u32 person; i32 day; f64 value; };
struct sales { struct sale *at; isize n, cap; u32 people; };

static bool read_day(str text, i32 *out)
{
    i64 number, at_ms;
    if (text.len == 8 && str_to_i64(text, &number)) {   /* 19970101 */
        struct civil c = { .year = (i32)(number / 10000),
                           .month = (i32)(number / 100 % 100),
                           .day = (i32)(number % 100) };
        if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31) return false;
        at_ms = time_from_civil(c);
    } else if (!time_parse(text, &at_ms)) {
        return false;
    }
    *out = (i32)((at_ms - (at_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS);
    return true;
}

static str day_text(arena *a, i32 day) { return str_slice(time_print(a, (i64)day * DAY_MS), 0, 10); }

static int sale_order(const void *left, const void *right)
{
    const struct sale *a = left, *b = right;
    if (a->person != b->person) return a->person < b->person ? -1 : 1;
    return (a->day > b->day) - (a->day < b->day);
}

static enum err read_sales(const char *path, struct csv *csv, struct sales *out, struct map *people,
                           arena *a, struct diag *diag)
{
    static const char *const names[] = { "customer_id", "date", "value" };
    struct csv_row row;
    bool found;
    isize at[3] = { -1, -1, -1 };
    enum err err = csv_next(csv, a, &row, &found, diag);
    if (err) return err;
    for (isize i = 0; found && i < row.n; i++)
        for (int k = 0; k < 3; k++)
            if (str_eq_nocase(str_trim(row.fields[i]), str_of(names[k]))) at[k] = i;
    if (at[0] < 0 || at[1] < 0 || at[2] < 0)
        return diag_set(diag, ERR_BAD_INPUT,
                        "%s: the first line should name the columns customer_id, date and value",
                        path);
    for (struct arena_mark mark = arena_mark(a);
         !(err = csv_next(csv, a, &row, &found, diag)) && found; arena_reset(a, mark)) {
        struct sale sale = { 0 };
        if (row.n == 1 && row.fields[0].len == 0) continue;
        bool whole = row.n > max_isize(at[0], max_isize(at[1], at[2]))
                     && read_day(str_trim(row.fields[at[1]]), &sale.day)
                     && str_to_f64(str_trim(row.fields[at[2]]), &sale.value)
                     && isfinite(sale.value);
        if (!whole) {
            err = diag_set(diag, ERR_BAD_INPUT,
                           "%s line %" PRId64 ": expected a customer, a date and a number", path,
                           row.line);
            break;
        }
        str person = str_trim(row.fields[at[0]]);
        if (person.len == 0) continue;                  /* a guest: nobody to come back */
        u64 known = map_get(people, hash128(person, 0), 0);
        if (known == 0) (void)map_put(people, hash128(person, 0), known = ++out->people);
        sale.person = (u32)known;
        vec_push(out, sale);
    }
    return err;
}

/* Days of one person become one row; what is below 0 is taken off the day or, when nothing else was
 * bought on it, left out. */
static void merge_days(struct sales *s)
{
    isize n = 0;
    if (s->n) qsort(s->at, (size_t)s->n, sizeof *s->at, sale_order);
    for (isize from = 0, to; from < s->n; from = to) {
        struct sale day = s->at[from];
        bool bought = false;
        day.value = 0;
        for (to = from; to < s->n && sale_order(&s->at[to], &s->at[from]) == 0; to++) {
            day.value += s->at[to].value;
            bought |= s->at[to].value >= 0;
        }
        if (bought) s->at[n++] = day;
    }
    s->n = n;
}

struct clv_person {
    struct purchases p;
    struct spending spending;
    f64 orders, value, predicted, predicted_value;
};
struct clv {
    struct predict_evaluation o;
    struct sales sales;
    i32 from, until, end;
    struct clv_person *people; isize n, repeats;
    f64 ahead;                      /* weeks */
    struct buying tried[BUYING_MODELS], chosen;
    bool fitted[BUYING_MODELS], spent;
    struct spend spend;
    struct forecast *forecasts;     /* by what was predicted; of orders */
    u32 *order;                     /* the person of each */
};

static void clv_people(struct clv *c, arena *a)
{
    const struct sale *s = c->sales.at;
    c->people = arena_new(a, struct clv_person, c->sales.people + 1);
    for (isize from = 0, to; from < c->sales.n; from = to) {
        struct clv_person *p = &c->people[c->n];
        i32 first = s[from].day, last = first;
        f64 spent = 0;
        *p = (struct clv_person){ 0 };
        for (to = from; to < c->sales.n && s[to].person == s[from].person; to++) {
            if (s[to].day > c->end) continue;
            if (s[to].day > c->until) { p->orders++; p->value += s[to].value; continue; }
            if (to == from) continue;
            p->p.repeats++;
            last = s[to].day;
            spent += s[to].value;
        }
        if (first > c->until) continue;
        p->p.last = (f64)(last - first) / 7;
        p->p.seen = (f64)(c->until - first) / 7;
        if (p->p.repeats && spent > 0) p->spending = (struct spending){ spent / p->p.repeats, p->p.repeats };
        c->repeats += p->p.repeats;
        c->n++;
    }
}

enum {
    CLV_MAE,
    CLV_RMSE,
    CLV_CORR,
    CLV_TOTAL,
    CLV_ACTUAL,
    CLV_RATIO,
    CLV_AUC,
    CLV_VALUE_TOTAL,
    CLV_VALUE_ACTUAL,
    CLV_VALUE_MAE,
    CLV_MEASURES
};
static const char *const clv_names[] = { "mae",           "rmse",
                                         "corr",          "orders_predicted",
                                         "orders_actual", "orders_ratio",
                                         "auc",           "value_predicted",
                                         "value_actual",  "value_mae" };

static void clv_measure(const void *ctx, const u32 *times, f64 *out)
{
    const struct clv *c = ctx;
    f64 n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0, off = 0, value_off = 0;
    memset(out, 0, CLV_MEASURES * sizeof *out);
    for (isize i = 0; i < c->n; i++) {
        const struct clv_person *p = &c->people[c->order[i]];
        f64 t = times[i];
        n += t;
        x += t * p->predicted, y += t * p->orders;
        xx += t * p->predicted * p->predicted, yy += t * p->orders * p->orders,
            xy += t * p->predicted * p->orders;
        off += t * fabs(p->predicted - p->orders);
        out[CLV_VALUE_TOTAL] += t * p->predicted_value;
        out[CLV_VALUE_ACTUAL] += t * p->value;
        value_off += t * fabs(p->predicted_value - p->value);
    }
    f64 spread = sqrt((xx / n - x / n * x / n) * (yy / n - y / n * y / n));
    out[CLV_MAE] = off / n;
    out[CLV_RMSE] = sqrt((xx - 2 * xy + yy) / n);
    out[CLV_CORR] = spread > 0 ? (xy / n - x / n * y / n) / spread : 0;
    out[CLV_TOTAL] = x;
    out[CLV_ACTUAL] = y;
    out[CLV_RATIO] = y > 0 ? x / y : 0;
    out[CLV_AUC] = auc_of(c->forecasts, c->n, times);
    out[CLV_VALUE_MAE] = value_off / n;
}

static enum err clv_fit(struct clv *c, arena *a, struct diag *diag)
{
    struct purchases *all = arena_new(a, struct purchases, c->n + 1);
    struct spending *spent = arena_new(a, struct spending, c->n + 1);
    isize spent_n = 0;
    for (isize i = 0; i < c->n; i++) {
        all[i] = c->people[i].p;
        if (c->people[i].spending.orders) spent[spent_n++] = c->people[i].spending;
    }
    enum err err = buying_choose(all, c->n, a, &c->chosen, c->tried, diag);
    if (!err) err = buying_fit(BUYING_PARETO, all, c->n, a, &c->tried[BUYING_PARETO], diag);
    if (err) return err;
    for (u8 m = 0; m < BUYING_MODELS; m++) {
        c->fitted[m] = true;
        if (str_eq(c->o.algorithm, str_of(buying_name(m)))) c->chosen = c->tried[m];
    }
    c->spent = spend_fit(spent, spent_n, &c->spend, NULL) == ERR_OK;
    return ERR_OK;
}

/* for by_forecast; one evaluation at a time in a process */
static const struct clv_person *sorting;
static int by_forecast(const void *left, const void *right)
{
    return ascending(&sorting[*(const u32 *)left].predicted, &sorting[*(const u32 *)right].predicted);
}

static void clv_forecast(struct clv *c, arena *a)
{
    c->forecasts = arena_new(a, struct forecast, c->n + 1);
    c->order = arena_new(a, u32, c->n + 1);
    for (isize i = 0; i < c->n; i++) {
        struct clv_person *p = &c->people[i];
        p->predicted = buying_expected(&c->chosen, &p->p, c->ahead);
        p->predicted_value = c->spent ? p->predicted * spend_expected(&c->spend, p->spending) : 0;
        c->order[i] = (u32)i;
    }
    sorting = c->people;
    qsort(c->order, (size_t)c->n, sizeof *c->order, by_forecast);
    for (isize i = 0; i < c->n; i++) {
        const struct clv_person *p = &c->people[c->order[i]];
        c->forecasts[i] = (struct forecast){ p->predicted, p->orders };
    }
}

/* Of the orders by known people in the same days a year before, against what they ordered a day in
 * the year around: 0 when the file does not reach back far enough to say. */
static f64 clv_season(const struct clv *c)
{
    f64 window = 0, year = 0;
    i32 from = c->until + 1 - 364, to = c->end - 364;
    if (c->from > from || c->until - c->from < 364) return 0;
    for (isize i = 1; i < c->sales.n; i++) {
        const struct sale *s = &c->sales.at[i];
        bool repeat = s->person == s[-1].person;
        if (!repeat || s->day <= c->until - 364 || s->day > c->until) continue;
        year++;
        window += s->day >= from && s->day <= to;
    }
    f64 share = year > 0 ? window / year : 0, even = (f64)(to - from + 1) / 364;
    return year > 0 && even > 0 ? share / even : 0;
}

static void print_buying(const struct buying *b, const struct clv *c, struct jsonw *w)
{
    static const char *const parameters[BUYING_MODELS][4] = { { "r", "alpha", "a", "b" },
                                                              { "r", "alpha", "a", "b" },
                                                              { "r", "alpha", "s", "beta" },
                                                              { "r", "alpha" } };
    f64 total = 0, alive = 0;
    jsonw_key_begin(w, buying_name(b->model), '{');
    for (int i = 0; i < 4 && parameters[b->model][i]; i++)
        jsonw_key_num(w, parameters[b->model][i], b->param[i]);
    for (isize i = 0; i < c->n; i++) {
        total += buying_expected(b, &c->people[i].p, c->ahead);
        alive += buying_alive(b, &c->people[i].p) / (f64)c->n;
    }
    jsonw_key_num(w, "log_likelihood", b->log_likelihood);
    jsonw_key_num(w, "holdout_orders", total);
    jsonw_key_num(w, "mean_alive", alive);
    if (b->edge) jsonw_key_str(w, "edge", str_of(b->edge));
    jsonw_end(w, '}');
}

static const char *fallback_words(const struct clv *c)
{
    const struct buying *likelier = &c->tried[BUYING_BG];
    if (c->tried[BUYING_MBG].log_likelihood > likelier->log_likelihood) likelier = &c->tried[BUYING_MBG];
    return c->chosen.model == BUYING_NBD && likelier->edge ? likelier->edge : NULL;
}

static void clv_json(struct clv *c, const struct estimates *e, f64 seconds, struct buf *out, arena *a)
{
    struct jsonw w = { .out = out };
    const char *edge = fallback_words(c);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(clv_protocol));
    jsonw_key_str(&w, "algorithm", str_of(buying_name(c->chosen.model)));
    if (edge)
        jsonw_key_str(
            &w, "fallback",
            arena_printf(a, "%s: the models with leaving ran to an edge, nbd stands in", edge));
    jsonw_key_begin(&w, "train", '{');
    jsonw_key_int(&w, "people", c->n);
    jsonw_key_int(&w, "repeats", c->repeats);
    jsonw_key_int(&w, "spenders", c->spend.people);
    jsonw_key_str(&w, "from", day_text(a, c->from));
    jsonw_key_str(&w, "until", day_text(a, c->until));
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "people", c->n);
    jsonw_key_str(&w, "end", day_text(a, c->end));
    jsonw_key_num(&w, "weeks", c->ahead);
    f64 season = clv_season(c);
    if (season > 0) jsonw_key_num(&w, "season", season);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "models", '{');
    for (u8 m = 0; m < BUYING_MODELS; m++) print_buying(&c->tried[m], c, &w);
    if (c->spent) {
        jsonw_key_begin(&w, "gamma_gamma", '{');
        jsonw_key_num(&w, "p", c->spend.p);
        jsonw_key_num(&w, "q", c->spend.q);
        jsonw_key_num(&w, "v", c->spend.v);
        jsonw_key_num(&w, "log_likelihood", c->spend.log_likelihood);
        jsonw_key_num(&w, "mean", spend_expected(&c->spend, (struct spending){ 0, 0 }));
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, '}');
    print_estimates(e, &w);
    struct calibration chart = calibrate(c->forecasts, c->n, true);
    jsonw_key(&w, S("calibration"));
    calibration_print(&chart, &w);
    print_end(&w, &c->o, seconds, out);
}

static void clv_text(struct clv *c, const struct estimates *e, f64 seconds, struct buf *out, arena *a)
{
    const char *edge = fallback_words(c);
    buf_printf(out, "%s\n\nmodel        %s\n", clv_protocol, buying_name(c->chosen.model));
    if (edge) buf_printf(out, "             fallback: %s, so the models with leaving say nothing\n", edge);
    buf_printf(out, "calibration  %.*s to %.*s: %td people, %td repeat orders\n",
               STR_FMT(day_text(a, c->from)), STR_FMT(day_text(a, c->until)), c->n, c->repeats);
    buf_printf(out, "hold-out     to %.*s: %.1f weeks\n", STR_FMT(day_text(a, c->end)), c->ahead);
    f64 season = clv_season(c);
    if (season > 0)
        buf_printf(
            out,
            "season       these weeks a year before had %.2f times the orders of an even year\n",
            season);
    for (u8 m = 0; m < BUYING_MODELS; m++) {
        const struct buying *b = &c->tried[m];
        buf_printf(out, "%-12s %.4f %.4f %.4f %.4f  log-likelihood %.2f%s%s\n", buying_name(m),
                   b->param[0], b->param[1], b->param[2], b->param[3], b->log_likelihood,
                   b->edge ? "  EDGE: " : "", b->edge ? b->edge : "");
    }
    if (c->spent)
        buf_printf(out, "gamma_gamma  p %.4f q %.4f v %.4f  log-likelihood %.2f, %td people\n",
                   c->spend.p, c->spend.q, c->spend.v, c->spend.log_likelihood, c->spend.people);
    buf_byte(out, '\n');
    text_estimates(e, out);
    text_calibration(calibrate(c->forecasts, c->n, true), out);
    buf_printf(out, "\nfitted in %.2f s\n", seconds);
}

static enum err read_sales_file(const char *path, struct sales *out, struct map *people, arena *a,
                                struct diag *diag)
{
    struct gz *gz = NULL;
    str head;
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    err = csv_peek(csv, 4096, &head, diag);
    if (!err && str_find_char(str_cut(head, '\n').head, '\t') >= 0) csv_separator(csv, '\t');
    if (!err) err = read_sales(path, csv, out, people, a, diag);
    csv_free(csv);
    gz_close(gz);
    return err;
}

/* With two files the first is the calibration, to its last day. */
static enum err clv_read(struct clv *c, arena *a, struct diag *diag)
{
    struct map *people = map_new(1024);
    enum err err = read_sales_file(c->o.train, &c->sales, people, a, diag);
    c->until = INT32_MIN;
    for (isize i = 0; i < c->sales.n; i++)
        c->until = c->sales.at[i].day > c->until ? c->sales.at[i].day : c->until;
    if (!err && c->o.test) err = read_sales_file(c->o.test, &c->sales, people, a, diag);
    map_free(people);
    return err;
}

static enum err clv_run(struct clv *c, arena *a, struct buf *out, struct diag *diag)
{
    bool known = c->o.algorithm.len == 0;
    for (u8 m = 0; m < BUYING_MODELS; m++) known |= str_eq(c->o.algorithm, str_of(buying_name(m)));
    if (!known)
        return diag_set(diag, ERR_REFUSED,
                        "no algorithm %.*s; there are bg_nbd, mbg_nbd, pareto_nbd and nbd",
                        STR_FMT(c->o.algorithm));
    enum err err = clv_read(c, a, diag);
    if (err) return err;
    merge_days(&c->sales);
    if (c->sales.n == 0) return diag_set(diag, ERR_REFUSED, "%s: no orders of anybody", c->o.train);
    c->from = INT32_MAX;
    c->end = INT32_MIN;
    for (isize i = 0; i < c->sales.n; i++) {
        c->from = c->sales.at[i].day < c->from ? c->sales.at[i].day : c->from;
        c->end = c->sales.at[i].day > c->end ? c->sales.at[i].day : c->end;
    }
    if (!c->o.test) c->until = c->from + (c->end - c->from) * 2 / 3;
    if ((c->o.until.len && !read_day(c->o.until, &c->until))
        || (c->o.end.len && !read_day(c->o.end, &c->end)) || c->until >= c->end)
        return diag_set(diag, ERR_BAD_INPUT, "expected --until DATE before --end DATE, both within the file");
    c->ahead = (f64)(c->end - c->until) / 7;
    clv_people(c, a);
    i64 began = clock_monotonic_us();
    err = clv_fit(c, a, diag);
    if (err) return err;
    f64 seconds = (f64)(clock_monotonic_us() - began) / 1e6;
    clv_forecast(c, a);
    struct estimates e = { .names = clv_names, .n = CLV_MEASURES };
    bootstrap(clv_measure, c, c->n, c->o.seed, c->o.resamples, e.n, e.at, a);
    if (!c->spent) e.n = CLV_VALUE_TOTAL;
    if (c->o.json) clv_json(c, &e, seconds, out, a);
    else clv_text(c, &e, seconds, out, a);
    return ERR_OK;
}

enum err evaluate_clv(const struct predict_evaluation *options, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct clv c = { .o = filled(options) };
    enum err err = clv_run(&c, &a, out, diag);
    vec_fini(&c.sales);
    arena_fini(&a);
    return err;
}

/* ---- sheets: folds, columns ------------------------------------------------------------------ */

static enum err skipped(const struct sheet *s, const struct predict_evaluation *o, bool *skip,
                        struct diag *diag)
{
    for (str rest = o->skip; rest.len;) {
        struct str_cut cut = str_cut(rest, ',');
        isize at = sheet_column(s, str_trim(cut.head));
        if (at < 0)
            return diag_set(diag, ERR_BAD_INPUT, "%s has no column %.*s", o->train,
                            STR_FMT(cut.head));
        skip[at] = true;
        rest = cut.found ? cut.tail : S("");
    }
    return ERR_OK;
}

/* A column of yes and no: 1 and 0, or two kinds of which the one that reads as yes is. */
static enum err yes_column(const struct sheet *s, const char *path, const char *option, str name,
                           bool *out, bool *skip, struct diag *diag)
{
    isize at = sheet_column(s, name);
    if (name.len == 0 || at < 0)
        return diag_set(diag, ERR_BAD_INPUT, "%s has no column \"%.*s\" for --%s", path,
                        STR_FMT(name), option);
    const struct column *c = &s->columns[at];
    skip[at] = true;
    for (isize i = 0; i < s->rows; i++) {
        f64 v = c->values[i];
        if (c->numeric ? v != 0 && v != 1 : v > 1)
            return diag_set(diag, ERR_BAD_INPUT,
                            "%s: column \"%.*s\" should hold 1 and 0, or true and false", path,
                            STR_FMT(name));
        out[i] = c->numeric ? v == 1 : v == c->yes;
    }
    return ERR_OK;
}

/* With a test file its rows are the one fold that is forecast; how many there are. */
static isize fold_rows(const u8 *strata, const struct sheet *s, const struct predict_evaluation *o,
                       u8 *fold, arena *a)
{
    if (!o->test) {
        deal_folds(strata, s->rows, o->folds, o->seed, fold, a);
        return o->folds;
    }
    for (isize i = 0; i < s->rows; i++) fold[i] = i < s->first;
    return 1;
}

/* ---- propensity ------------------------------------------------------------------------------ */

static const char propensity_protocol[] =
    "Stratified folds, drawn with the seed; each fold is forecast by a model of the others, and the forecasts are judged together. "
    "brier_base and log_loss_base are of always saying the rate. Intervals: 95 %, bootstrap over rows.";

enum { P_AUC, P_AP, P_LOG_LOSS, P_BRIER, P_ACCURACY, P_BASE_LOG_LOSS, P_BASE_BRIER, P_MEASURES };
static const char *const propensity_names[] = { "auc",       "average_precision", "log_loss",
                                                "brier",     "accuracy",          "log_loss_base",
                                                "brier_base" };

struct propensity_case { struct forecast *at; isize n; };

static void propensity_measure(const void *ctx, const u32 *times, f64 *out)
{
    const struct propensity_case *c = ctx;
    f64 n = 0, hits = 0, above = 0, hits_above = 0;
    memset(out, 0, P_MEASURES * sizeof *out);
    out[P_AUC] = auc_of(c->at, c->n, times);
    for (isize i = 0; i < c->n; i++) {
        f64 t = times[i], p = fmin(fmax(c->at[i].predicted, 1e-15), 1 - 1e-15), y = c->at[i].actual;
        n += t;
        hits += t * y;
        out[P_LOG_LOSS] -= t * (y > 0 ? log(p) : log1p(-p));
        out[P_BRIER] += t * (p - y) * (p - y);
        out[P_ACCURACY] += t * ((p >= .5) == (y > 0));
    }
    for (isize to = c->n, from; to > 0; to = from) {
        f64 here = 0;
        for (from = to; from > 0 && c->at[from - 1].predicted == c->at[to - 1].predicted; from--) {
            above += times[from - 1];
            here += times[from - 1] * c->at[from - 1].actual;
        }
        hits_above += here;
        if (above > 0) out[P_AP] += here * hits_above / above;
    }
    f64 rate = hits / n;
    out[P_AP] /= hits > 0 ? hits : 1;
    out[P_LOG_LOSS] /= n;
    out[P_BRIER] /= n;
    out[P_ACCURACY] /= n;
    out[P_BASE_BRIER] = rate * (1 - rate);
    out[P_BASE_LOG_LOSS] = rate > 0 && rate < 1 ? -rate * log(rate) - (1 - rate) * log1p(-rate) : 0;
}

static enum err propensity_folds(const struct sheet *s, const bool *skip, const bool *label,
                                 const struct predict_evaluation *o, u8 learner,
                                 struct propensity_case *out, arena *a, struct diag *diag)
{
    u8 *strata = arena_new(a, u8, s->rows + 1), *fold = arena_new(a, u8, s->rows + 1);
    u32 *train = arena_new(a, u32, s->rows + 1), *test = arena_new(a, u32, s->rows + 1);
    f64 *said = arena_new(a, f64, s->rows + 1);
    for (isize i = 0; i < s->rows; i++) strata[i] = label[i];
    isize folds = fold_rows(strata, s, o, fold, a);
    for (isize k = 0; k < folds; k++) {
        isize train_n = 0, test_n = 0;
        for (isize i = 0; i < s->rows; i++) {
            if (fold[i] == k) test[test_n++] = (u32)i;
            else train[train_n++] = (u32)i;
        }
        enum err err = propensity_run(learner, s, skip, label, train, train_n, test, test_n,
                                      o->seed, said, diag);
        if (err) return err;
        for (isize i = 0; i < test_n; i++)
            out->at[out->n++] = (struct forecast){ said[i], label[test[i]] ? 1 : 0 };
    }
    return ERR_OK;
}

static enum err propensity_case_run(const struct predict_evaluation *o, arena *a, struct buf *out,
                                    struct diag *diag)
{
    struct sheet s;
    u8 learner = str_eq(o->algorithm, S("trees")) ? PROPENSITY_TREES : PROPENSITY_LOGISTIC;
    if (o->algorithm.len && learner == PROPENSITY_LOGISTIC && !str_eq(o->algorithm, S("logistic")))
        return diag_set(diag, ERR_REFUSED, "no algorithm %.*s; there are logistic and trees",
                        STR_FMT(o->algorithm));
    enum err err = sheet_read(o->train, o->test, a, &s, diag);
    if (err) return err;
    bool *skip = arena_new(a, bool, s.columns_n), *label = arena_new(a, bool, s.rows + 1);
    err = skipped(&s, o, skip, diag);
    if (!err) err = yes_column(&s, o->train, "label", o->label, label, skip, diag);
    if (err) return err;
    isize yes = 0;
    for (isize i = 0; i < s.rows; i++) yes += label[i];
    if (yes < 2 * o->folds || s.rows - yes < 2 * o->folds)
        return diag_set(
            diag, ERR_REFUSED,
            "not enough data: %td rows with a yes and %td with a no; %td of each are needed", yes,
            s.rows - yes, 2 * o->folds);
    struct propensity_case c = { arena_new(a, struct forecast, s.rows), 0 };
    i64 began = clock_monotonic_us();
    err = propensity_folds(&s, skip, label, o, learner, &c, a, diag);
    if (err) return err;
    f64 seconds = (f64)(clock_monotonic_us() - began) / 1e6;
    qsort(c.at, (size_t)c.n, sizeof *c.at, by_predicted);
    struct estimates e = { .names = propensity_names, .n = P_MEASURES };
    bootstrap(propensity_measure, &c, c.n, o->seed, o->resamples, e.n, e.at, a);
    struct calibration chart = calibrate(c.at, c.n, false);
    const char *name = learner == PROPENSITY_TREES ? "trees" : "logistic";
    if (!o->json) {
        buf_printf(
            out,
            "%s\n\nalgorithm    %s\nrows         %td, %td of them a yes; %td forecast; %td folds, seed %" PRIu64
            "\n\n",
            propensity_protocol, name, s.rows, yes, c.n, o->test ? 1 : o->folds, o->seed);
        text_estimates(&e, out);
        text_calibration(chart, out);
        buf_printf(out, "\nlearnt and asked in %.2f s\n", seconds);
        return ERR_OK;
    }
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(propensity_protocol));
    jsonw_key_str(&w, "algorithm", str_of(name));
    jsonw_key_begin(&w, "train", '{');
    jsonw_key_int(&w, "rows", o->test ? s.first : s.rows);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "rows", c.n);
    jsonw_key_int(&w, "yes", yes);
    jsonw_key_int(&w, "folds", o->test ? 1 : o->folds);
    jsonw_end(&w, '}');
    print_estimates(&e, &w);
    jsonw_key(&w, S("calibration"));
    calibration_print(&chart, &w);
    print_end(&w, o, seconds, out);
    return ERR_OK;
}

enum err evaluate_propensity(const struct predict_evaluation *options, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct predict_evaluation o = filled(options);
    enum err err = propensity_case_run(&o, &a, out, diag);
    arena_fini(&a);
    return err;
}

/* ---- uplift ---------------------------------------------------------------------------------- */

static const char uplift_protocol[] =
    "Folds stratified by treatment and outcome; each is scored by models of the others. two_model: chance of the outcome with treatment less "
    "that without, a model each. response: chance with treatment. Qini: area between the curve of extra outcomes, best first, and random "
    "order, in outcomes a treated row. The learner with the higher Qini is chosen; `sure` says whether the interval of the "
    "difference leaves 0 out. Intervals: 95 %, bootstrap over rows.";

static enum err uplift_case_run(const struct predict_evaluation *o, arena *a, struct buf *out,
                                struct diag *diag)
{
    struct sheet s;
    enum err err = sheet_read(o->train, o->test, a, &s, diag);
    if (err) return err;
    bool *skip = arena_new(a, bool, s.columns_n), *treated = arena_new(a, bool, s.rows + 1),
         *outcome = arena_new(a, bool, s.rows + 1);
    err = skipped(&s, o, skip, diag);
    if (!err) err = yes_column(&s, o->train, "treatment", o->treatment, treated, skip, diag);
    if (!err) err = yes_column(&s, o->train, "outcome", o->outcome, outcome, skip, diag);
    if (err) return err;
    isize arm[2] = { 0 }, hits[2] = { 0 };
    for (isize i = 0; i < s.rows; i++) { arm[treated[i]]++; hits[treated[i]] += outcome[i]; }
    if (hits[0] < 2 * o->folds || hits[1] < 2 * o->folds)
        return diag_set(
            diag, ERR_REFUSED,
            "not enough data: %td outcomes with treatment and %td without; %td of each are needed",
            hits[1], hits[0], 2 * o->folds);
    u8 *strata = arena_new(a, u8, s.rows + 1), *fold = arena_new(a, u8, s.rows + 1);
    for (isize i = 0; i < s.rows; i++) strata[i] = (u8)(treated[i] * 2 + outcome[i]);
    i64 began = clock_monotonic_us();
    struct uplift_question q = { &s,      skip,         treated,
                                 outcome, fold,         fold_rows(strata, &s, o, fold, a),
                                 o->seed, o->resamples, { 1, ENCODER_CUTS_MAX } };
    struct uplift_judgement j = uplift_judge(&q, a);
    f64 seconds = (f64)(clock_monotonic_us() - began) / 1e6;
    const char *chosen = uplift_learner_name(j.chosen);
    if (!o->json) {
        buf_printf(
            out,
            "%s\n\nrows         %td treated, %td not; %td and %td outcomes\nchosen       %s%s\n\n",
            uplift_protocol, arm[1], arm[0], hits[1], hits[0], chosen,
            j.sure ? "" : " (the interval of the difference holds 0: either may be better)");
        text_estimates(&j.measures, out);
        buf_printf(out, "\nlearnt and asked in %.2f s\n", seconds);
        return ERR_OK;
    }
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(uplift_protocol));
    jsonw_key_str(&w, "algorithm", str_of(chosen));
    jsonw_key_bool(&w, "sure", j.sure);
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "rows", j.n);
    jsonw_key_int(&w, "treated", arm[1]);
    jsonw_key_int(&w, "untreated", arm[0]);
    jsonw_key_int(&w, "treated_outcomes", hits[1]);
    jsonw_key_int(&w, "untreated_outcomes", hits[0]);
    jsonw_key_int(&w, "folds", o->folds);
    jsonw_end(&w, '}');
    print_estimates(&j.measures, &w);
    print_end(&w, o, seconds, out);
    return ERR_OK;
}

enum err evaluate_uplift(const struct predict_evaluation *options, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct predict_evaluation o = filled(options);
    enum err err = uplift_case_run(&o, &a, out, diag);
    arena_fini(&a);
    return err;
}
