/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - how good is it, on sessions it has not seen.
 *
 * Protocol: a model is built of all training sessions. Each test session is revealed item by item;
 * after every item but the last, recommend() ranks all training items (it leaves out only the one
 * just seen, as in serving), and the one true next item is looked for. Its rank is one more than
 * the number of other items with at least its score: ties count against us. A next item that
 * training never held is a miss, and so is one that repeats the item just seen.
 *
 *   HR@k    share of predictions with the next item among the first k
 *   MRR@k   mean of 1/rank, 0 beyond k
 *   NDCG@k  mean of 1/log2(1 + rank), 0 beyond k; the ideal is 1, there being one target
 *   coverage@20  share of training items that stood in some list of 20
 *
 * Intervals are percentiles of a bootstrap over test sessions (not predictions: those of one
 * session go together), seeded. Latency is that of recommend() alone, one call a prediction. */
#include "base/hash.h"
#include "ingest/ingest.h"
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>

enum { K_MAX = 20, RESAMPLES = 1000, ALGORITHM_SHOWN = 4 };

static const char protocol[] = "Every prefix of each test session predicts its next item. Full "
                               "ranking of all training items except the one just seen; "
                               "items seen earlier in the session may be recommended. One target "
                               "per prediction; ties are broken against us; targets unknown "
                               "to training count as misses. MRR and NDCG are 0 beyond k. "
                               "Intervals: 95 %, bootstrap over test sessions.";

/* ---- reading ------------------------------------------------------------------------------- */

struct click { u32 session, item; i64 at_ms; isize line; };
struct clicks { struct click *at; isize n, cap; isize sessions; bool timed; };

struct names { struct map *sessions, *items; u32 sessions_n, items_n; };    /* both from 1 */

static u32 number_of(struct map *map, u32 *count, str name)
{
    struct hash128 key = hash128(name, 0);
    u64 known = map_get(map, key, 0);
    if (known) return (u32)known;
    (void)map_put(map, key, ++*count);
    return *count;
}

static bool read_time(str text, i64 *out_ms)
{
    f64 number;
    if (!str_to_f64(text, &number)) return time_parse(text, out_ms);
    if (!(fabs(number) < 1e15)) return false;
    /* Seconds, as these files have it, or milliseconds. */
    *out_ms = (i64)(fabs(number) < 1e11 ? number * 1000 : number);
    return true;
}

static int by_session_and_time(const void *left, const void *right)
{
    const struct click *a = left, *b = right;
    if (a->session != b->session) return a->session < b->session ? -1 : 1;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

struct columns { isize session, item, time; };

static bool columns_read(struct columns *c, const struct csv_row *row)
{
    *c = (struct columns){ -1, -1, -1 };
    for (isize i = 0; i < row->n; i++) {
        str name = str_trim(row->fields[i]);
        if (str_eq_nocase(name, S("SessionId"))) c->session = i;
        if (str_eq_nocase(name, S("ItemId"))) c->item = i;
        if (str_eq_nocase(name, S("Time"))) c->time = i;
    }
    return c->session >= 0 && c->item >= 0;
}

static enum err read_rows(const char *path, struct csv *csv, struct names *names,
                          struct clicks *into, arena *a, struct diag *diag)
{
    struct csv_row row;
    struct columns columns;
    bool found;
    enum err err = csv_next(csv, a, &row, &found, diag);
    if (err) return err;
    if (!found || !columns_read(&columns, &row))
        return diag_set(diag, ERR_BAD_INPUT,
                        "%s: the first line should name the columns SessionId, ItemId and perhaps "
                        "Time, tab separated",
                        path);
    into->timed = columns.time >= 0;
    u32 sessions_before = names->sessions_n;
    for (struct arena_mark mark = arena_mark(a);; arena_reset(a, mark)) {
        err = csv_next(csv, a, &row, &found, diag);
        if (err) return err;
        if (!found) break;
        if (row.n == 1 && row.fields[0].len == 0) continue;
        struct click click = { .line = into->n };
        if (row.n <= max_isize(columns.session, max_isize(columns.item, columns.time)))
            return diag_set(diag, ERR_BAD_INPUT, "%s line %" PRId64 ": a column is missing", path, row.line);
        str session = str_trim(row.fields[columns.session]), item = str_trim(row.fields[columns.item]);
        if (session.len == 0 || item.len == 0)
            return diag_set(diag, ERR_BAD_INPUT, "%s line %" PRId64 ": no session or no item", path,
                            row.line);
        if (into->timed && !read_time(str_trim(row.fields[columns.time]), &click.at_ms))
            return diag_set(diag, ERR_BAD_INPUT,
                            "%s line %" PRId64 ": the time is neither a number nor a date", path,
                            row.line);
        click.session = number_of(names->sessions, &names->sessions_n, session);
        click.item = number_of(names->items, &names->items_n, item);
        vec_push(into, click);
    }
    into->sessions = (isize)(names->sessions_n - sessions_before);
    /* Without times the order of lines stands in: the file then spans 30 days, so that ages mean
     * something. */
    if (!into->timed)
        for (isize i = 0; i < into->n; i++)
            into->at[i].at_ms = (i64)((f64)i * 30 * (f64)DAY_MS / (f64)into->n);
    if (into->n) qsort(into->at, (size_t)into->n, sizeof *into->at, by_session_and_time);
    return ERR_OK;
}

/* Session names of one file mean nothing in the other. */
static enum err read_clicks(const char *path, struct names *names, struct clicks *into, struct diag *diag)
{
    struct gz *gz = NULL;
    arena a = { 0 };
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    csv_separator(csv, '\t');
    names->sessions = map_new(1024);
    err = read_rows(path, csv, names, into, &a, diag);
    map_free(names->sessions);
    csv_free(csv);
    gz_close(gz);
    arena_fini(&a);
    return err;
}

/* ---- measuring ----------------------------------------------------------------------------- */

enum measure { HR_10, HR_20, MRR_10, MRR_20, NDCG_10, NDCG_20, MEASURES };
static const char *const measure_names[MEASURES] = { "hr@10",  "hr@20",   "mrr@10",
                                                     "mrr@20", "ndcg@10", "ndcg@20" };

struct tested { f64 sum[MEASURES]; isize predictions; };        /* of one test session */

static void tested_add(struct tested *t, isize rank)    /* 0: not among the first K_MAX */
{
    t->predictions++;
    if (rank == 0) return;
    f64 gain[MEASURES] = {
        1, 1, 1 / (f64)rank, 1 / (f64)rank, 1 / log2(1 + (f64)rank), 1 / log2(1 + (f64)rank)
    };
    for (isize m = 0; m < MEASURES; m++)
        if (rank <= (m % 2 ? 20 : 10)) t->sum[m] += gain[m];
}

static f64 mean_of(const struct tested *at, isize n, const u32 *chosen, isize m)
{
    f64 sum = 0;
    isize predictions = 0;
    for (isize i = 0; i < n; i++) {
        const struct tested *t = &at[chosen ? chosen[i] : (u32)i];
        sum += t->sum[m];
        predictions += t->predictions;
    }
    return predictions ? sum / (f64)predictions : 0;
}

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

struct estimate { f64 value, low, high; };

static void estimate_all(const struct tested *at, isize n, u64 seed, isize resamples, arena *a,
                         struct estimate *out)
{
    struct rng rng = rng_seed(seed);
    u32 *chosen = arena_new(a, u32, n + 1);
    f64 *found[MEASURES];
    for (isize m = 0; m < MEASURES; m++) found[m] = arena_new(a, f64, resamples);
    for (isize r = 0; r < resamples; r++) {
        for (isize i = 0; i < n; i++) chosen[i] = rng_below(&rng, (u32)n);
        for (isize m = 0; m < MEASURES; m++) found[m][r] = mean_of(at, n, chosen, m);
    }
    for (isize m = 0; m < MEASURES; m++) {
        qsort(found[m], (size_t)resamples, sizeof(f64), ascending);
        out[m].value = mean_of(at, n, NULL, m);
        out[m].low = found[m][(isize)(.025 * (f64)(resamples - 1))];
        out[m].high = found[m][(isize)ceil(.975 * (f64)(resamples - 1))];
    }
}

struct algorithm { const char *name; u8 mix[ALGORITHM_SHOWN]; isize mix_n; };
static const struct algorithm algorithms[] = {
    { "blend", { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING }, 3 },
    { "sknn", { RECOMMENDER_SESSION }, 1 },
    { "cooc", { RECOMMENDER_COOC }, 1 },
    { "pop", { RECOMMENDER_POPULAR }, 1 },
};

struct outcome {
    struct tested *tested; isize tested_n;
    isize predictions, unknown;     /* unknown: targets that training does not hold */
    f64 *took_us;
    struct bitset *shown;
};

static isize rank_of(const struct recommended *list, isize n, u32 target)
{
    isize at = 0;
    while (at < n && list[at].item != target) at++;
    if (at == n) return 0;
    isize rank = 0;                                     /* itself, and all that are no worse */
    for (isize i = 0; i < n; i++) rank += list[i].score >= list[at].score;
    return rank <= K_MAX ? rank : 0;
}

static void test_session(const struct model *model, const struct algorithm *algorithm,
                         const struct click *at, isize n, struct outcome *o, arena *a)
{
    struct arena_mark mark = arena_mark(a);
    struct history_entry *history = arena_new(a, struct history_entry, n);
    struct tested *tested = &o->tested[o->tested_n++];
    /* The file says what a session is: its clicks are given a second apart, so that no pause ends it. */
    for (isize i = 0; i < n; i++)
        history[i] = (struct history_entry){ .at_ms = at[0].at_ms + (i64)i * SECOND_MS,
                                             .item = at[i].item,
                                             .quantity = 1,
                                             .type = EVENT_PRODUCT_VIEWED };
    struct arena_mark inner = arena_mark(a);
    for (isize i = 0; i + 1 < n; i++, arena_reset(a, inner)) {
        struct recommend_query query = {
            .history = history, .history_n = i + 1, .now_ms = history[i].at_ms, .mix_n = algorithm->mix_n,
            .limit = K_MAX + 1,                         /* one more, to see a tie across the end */
        };
        memcpy(query.mix, algorithm->mix, (size_t)algorithm->mix_n);
        struct recommended *list;
        i64 started_us = clock_monotonic_us();
        isize listed = recommend(model, &query, a, &list);
        o->took_us[o->predictions++] = (f64)(clock_monotonic_us() - started_us);
        for (isize l = 0; l < min_isize(listed, K_MAX); l++) (void)bitset_set(o->shown, list[l].item);
        o->unknown += at[i + 1].item >= model->items;
        tested_add(tested, rank_of(list, listed, at[i + 1].item));
    }
    arena_reset(a, mark);
}

static struct model *train_model(const struct clicks *train, u32 items,
                                 const struct recommend_options *options, arena *a)
{
    struct interaction *all = arena_new(a, struct interaction, train->n + 1);
    i64 last_ms = 0;
    for (isize i = 0; i < train->n; i++) {
        const struct click *c = &train->at[i];
        all[i] = (struct interaction){ c->session, c->item, c->at_ms, INTERACTION_VIEWED, 1 };
        /* Clicks of one second keep the order of the file. */
        if (i > 0 && train->at[i - 1].session == c->session)
            all[i].at_ms = max_i64(c->at_ms, all[i - 1].at_ms + 1);
        if (i == 0 || all[i].at_ms > last_ms) last_ms = all[i].at_ms;
    }
    return model_build(all, train->n, items, last_ms, options);
}

/* ---- saying -------------------------------------------------------------------------------- */

struct report {
    const struct algorithm *algorithm;
    const struct clicks *train, *test;
    struct model_card card;
    const struct outcome *outcome;
    struct estimate measures[MEASURES];
    f64 coverage, p50, p99;
    u64 seed;
    isize resamples;
};

static void report_json(const struct report *r, struct buf *out)
{
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(protocol));
    jsonw_key_str(&w, "algorithm", str_of(r->algorithm->name));
    jsonw_key_begin(&w, "train", '{');
    jsonw_key_int(&w, "events", r->train->n);
    jsonw_key_int(&w, "sessions", r->train->sessions);
    jsonw_key_int(&w, "items", r->card.items);
    jsonw_key_bool(&w, "timed", r->train->timed);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "events", r->test->n);
    jsonw_key_int(&w, "sessions", r->test->sessions);
    jsonw_key_int(&w, "predictions", r->outcome->predictions);
    jsonw_key_int(&w, "unknown_targets", r->outcome->unknown);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "metrics", '{');
    for (isize m = 0; m < MEASURES; m++) {
        jsonw_key_begin(&w, measure_names[m], '{');
        jsonw_key_num(&w, "value", r->measures[m].value);
        jsonw_key_num(&w, "low", r->measures[m].low);
        jsonw_key_num(&w, "high", r->measures[m].high);
        jsonw_end(&w, '}');
    }
    jsonw_key_begin(&w, "coverage@20", '{');
    jsonw_key_num(&w, "value", r->coverage);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "bootstrap", '{');
    jsonw_key_int(&w, "seed", (i64)r->seed);
    jsonw_key_int(&w, "resamples", r->resamples);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "seconds", '{');
    jsonw_key_num(&w, "train", (f64)r->card.took_us / 1e6);
    jsonw_end(&w, '}');
    jsonw_key_int(&w, "model_bytes", r->card.bytes);
    jsonw_key_begin(&w, "latency_us", '{');
    jsonw_key_num(&w, "p50", r->p50);
    jsonw_key_num(&w, "p99", r->p99);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    buf_byte(out, '\n');
}

static void report_text(const struct report *r, struct buf *out)
{
    buf_printf(out, "%s\n\nalgorithm    %s\n", protocol, r->algorithm->name);
    buf_printf(out, "train        %td events, %td sessions, %td items%s\n", r->train->n,
               r->train->sessions, r->card.items,
               r->train->timed ? "" : "; no times: the order of lines stands in");
    buf_printf(out,
               "test         %td events, %td sessions, %td predictions, %td with a target unknown "
               "to training\n\n",
               r->test->n, r->test->sessions, r->outcome->predictions, r->outcome->unknown);
    for (isize m = 0; m < MEASURES; m++)
        buf_printf(out, "%-12s %.4f   %.4f to %.4f\n", measure_names[m], r->measures[m].value,
                   r->measures[m].low, r->measures[m].high);
    buf_printf(out, "%-12s %.4f\n\n", "coverage@20", r->coverage);
    buf_printf(out, "bootstrap    %td resamples, seed %" PRIu64 "\n", r->resamples, r->seed);
    buf_printf(out, "model        built in %.2f s, %.1f MB\n", (f64)r->card.took_us / 1e6,
               (f64)r->card.bytes / 1e6);
    buf_printf(out, "latency      p50 %.0f us, p99 %.0f us\n", r->p50, r->p99);
}

enum err evaluate_run(const struct evaluate_options *options, struct buf *out, struct diag *diag)
{
    const struct algorithm *algorithm = options->algorithm.len ? NULL : &algorithms[0];
    for (isize i = 0; i < countof(algorithms); i++)
        if (str_eq(options->algorithm, str_of(algorithms[i].name))) algorithm = &algorithms[i];
    if (!algorithm)
        return diag_set(diag, ERR_REFUSED, "no algorithm %.*s; there are sknn, cooc, pop and blend",
                        STR_FMT(options->algorithm));

    arena a = { 0 };
    struct names names = { .items = map_new(1024) };
    struct clicks train = { 0 }, test = { 0 };
    struct model *model = NULL;
    struct outcome o = { 0 };
    enum err err = read_clicks(options->train, &names, &train, diag);
    u32 items = names.items_n + 1;                      /* what the test file adds is beyond the model */
    if (!err) err = read_clicks(options->test, &names, &test, diag);
    if (err) goto out;

    model = train_model(&train, items, options->options, &a);
    o.tested = arena_new(&a, struct tested, test.sessions + 1);
    o.took_us = arena_new(&a, f64, test.n + 1);
    o.shown = bitset_new(items);
    for (isize from = 0, to; from < test.n; from = to) {
        for (to = from; to < test.n && test.at[to].session == test.at[from].session;) to++;
        test_session(model, algorithm, test.at + from, to - from, &o, &a);
    }
    if (o.predictions == 0) {
        err = diag_set(diag, ERR_REFUSED, "%s: no session has two items: nothing to predict",
                       options->test);
        goto out;
    }

    struct report report = {
        .algorithm = algorithm,
        .train = &train,
        .test = &test,
        .card = model_card(model),
        .outcome = &o,
        .seed = options->seed ? options->seed : 1,
        .resamples = options->resamples > 0 ? options->resamples : RESAMPLES,
    };
    estimate_all(o.tested, o.tested_n, report.seed, report.resamples, &a, report.measures);
    if (report.card.items > 0) report.coverage = (f64)bitset_count(o.shown) / (f64)report.card.items;
    qsort(o.took_us, (size_t)o.predictions, sizeof(f64), ascending);
    report.p50 = o.took_us[o.predictions / 2];
    report.p99 = o.took_us[(isize)(.99 * (f64)(o.predictions - 1))];
    if (options->json) report_json(&report, out);
    else report_text(&report, out);

out:
    if (o.shown) bitset_free(o.shown);
    model_free(model);
    map_free(names.items);
    vec_fini(&train);
    vec_fini(&test);
    arena_fini(&a);
    return err;
}
