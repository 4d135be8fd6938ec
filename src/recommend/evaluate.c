/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - how good is it, on what it has not seen.
 *
 *   session    each test session is revealed item by item; after every item but the last, all
 *   training items are ranked
 *              (the one just seen where the training file has repeats), and the next is the target
 *   sequence   one file: of everybody's items the last is the target, what stands before it is
 *   history and training alike.
 *              With a second file the last of its items is the target
 *   basket     the last line of a test basket is the target, up to twenty known items before it are the cart
 *   topn       everything a person has in the test file is a target, what they have in training is history
 *
 * Whatever the kind, recommend() itself answers, and its numbers and weights are chosen on a
 * held-out slice of the training file (tune.c): nothing is fitted to the test file. Per question,
 * with its targets T and a list cut at k:
 *
 *   hr@k      1 when a target is on the list          recall@k   share of T on the list
 *   mrr@k     1 / the rank of the first target        ndcg@k     sum over targets of 1 / log2(1 +
 *   rank), over the best possible
 *   coverage@20  share of training items that stood in some list of 20
 *
 * Ties are broken against us; a target that training does not hold is a miss. Intervals are
 * percentiles of a bootstrap over test sessions, people or baskets (not predictions: those of one
 * session go together), seeded. Latency is that of recommend() alone, one call a prediction. */
#include "base/hash.h"
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { K_MAX = 50, RESAMPLES = 1000, BASKET_CONTEXT = 20 };

static const struct kind {
    const char *name, *group, *protocol;
    enum task task;
    bool one_file, same_people;
    isize deep;
} kinds[] = {
    { "session", "SessionId",
      "Every prefix of each test session predicts its next item. Full ranking of all training items; "
      "items seen earlier in the session may be recommended, the one just seen only where the training file shows people looking at one "
      "item twice running. One target per prediction.",
      TASK_SESSION, false, false, 20 },
    { "sequence", "UserId",
      "Leave the last out: of each person with at least two items the last is the target, all before it are history and training. "
      "Full ranking of all training items that are not in the person's history. One target per person.",
      TASK_SEQUENCE, true, true, 20 },
    { "basket", "BasketId",
      "The last line of each test basket of at least two lines is the target; the up to 20 items before it that training knows are "
      "the cart. Full ranking of all training items that are not in the cart. One target per basket.",
      TASK_BASKET, false, false, 20 },
    { "topn", "UserId",
      "Everything a person has in the test file is a target; what they have in the training file is history. Full ranking of all "
      "training items that are not in the person's history. recall@k is hits / all targets of the person.",
      TASK_TOPN, false, true, 50 },
};
static const char common[] =
    " Ties are broken against us; targets unknown to training count as misses. MRR and NDCG are 0 beyond k. "
    "Numbers and weights are chosen on a held-out slice of the training file. Intervals: 95 %, bootstrap over ";

static const struct { const char *name; u8 recommender; } algorithms[] = {
    { "sknn", RECOMMENDER_SESSION }, { "cooc", RECOMMENDER_COOC }, { "rules", RECOMMENDER_RULES }, { "slist", RECOMMENDER_SLIST },
    { "ease", RECOMMENDER_EASE },    { "als", RECOMMENDER_ALS },      { "pop", RECOMMENDER_POPULAR },
    { "spectral", RECOMMENDER_SPECTRAL },
};

/* ---- measuring ----------------------------------------------------------------------------- */

enum family { HR, MRR, RECALL, NDCG };
static const struct measure { const char *name; enum family family; isize k; } measures[] = {
    { "hr@10", HR, 10 },         { "hr@20", HR, 20 },         { "mrr@10", MRR, 10 },   { "mrr@20", MRR, 20 },   { "recall@10", RECALL, 10 },
    { "recall@20", RECALL, 20 }, { "recall@50", RECALL, 50 }, { "ndcg@10", NDCG, 10 }, { "ndcg@20", NDCG, 20 }, { "ndcg@50", NDCG, 50 },
};
enum { MEASURES = sizeof measures / sizeof *measures };

struct tested { f64 sum[MEASURES]; isize predictions; };        /* of one test session, person or basket */
struct groups { const struct tested *at; isize n; };

static void tested_add(struct tested *t, const struct trial *trial, const isize *ranks)
{
    t->predictions++;
    for (isize m = 0; m < MEASURES; m++) {
        isize k = measures[m].k, hits = 0, first = 0;
        for (isize i = 0; i < trial->targets_n; i++) {
            if (ranks[i] == 0 || ranks[i] > k) continue;
            hits++;
            if (first == 0 || ranks[i] < first) first = ranks[i];
        }
        switch (measures[m].family) {
        case HR: t->sum[m] += hits > 0; break;
        case MRR: t->sum[m] += first ? 1 / (f64)first : 0; break;
        case RECALL: t->sum[m] += (f64)hits / (f64)trial->targets_n; break;
        case NDCG: t->sum[m] += trial_ndcg(trial, ranks, k); break;
        }
    }
}

static void take_means(const void *ctx, const u32 *times, f64 *out)
{
    const struct groups *g = ctx;
    f64 predictions = 0;
    for (isize i = 0; i < g->n; i++) {
        predictions += (f64)times[i] * (f64)g->at[i].predictions;
        for (isize m = 0; m < MEASURES && times[i]; m++) out[m] += times[i] * g->at[i].sum[m];
    }
    for (isize m = 0; m < MEASURES && predictions > 0; m++) out[m] /= predictions;
}

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

/* ---- from files to questions ----------------------------------------------------------------- */

struct questions { struct trial *at; isize n; isize unknown; };

/* The test lines of one group, its training lines (of the same person; else none) before them. */
static void ask_group(struct questions *q, const struct kind *kind, const struct click *test,
                      isize n, const struct click *train, isize train_n, u32 known, arena *a)
{
    u32 group = n ? test[0].session : 0;
    u32 *items = arena_new(a, u32, train_n + n + 1), *targets = arena_new(a, u32, n + 1);
    isize held = 0, targets_n = 0;
    for (isize i = 0; i < train_n; i++) items[held++] = train[i].item;
    switch (kind->task) {
    case TASK_SESSION:
        for (isize i = 0; i < n; i++) items[i] = test[i].item;
        for (isize i = 1; i < n; i++) q->at[q->n++] = (struct trial){ items, items + i, i, 1, group };
        return;
    case TASK_SEQUENCE:
        if (train_n + n < 2 || n < 1) return;
        for (isize i = 0; i + 1 < n; i++) items[held++] = test[i].item;
        targets[targets_n++] = test[n - 1].item;
        break;
    case TASK_BASKET:
        if (n < 2) return;
        for (isize i = n - 1; i-- > 0 && held < BASKET_CONTEXT;) {
            bool again = test[i].item == test[n - 1].item || test[i].item >= known;
            for (isize k = 0; k < held && !again; k++) again = items[k] == test[i].item;
            if (!again) items[held++] = test[i].item;
        }
        for (isize i = 0; i < held / 2; i++) {          /* oldest first */
            u32 swap = items[i];
            items[i] = items[held - 1 - i];
            items[held - 1 - i] = swap;
        }
        targets[targets_n++] = test[n - 1].item;
        break;
    case TASK_TOPN:
        for (isize i = 0; i < n; i++) {
            bool again = false;
            for (isize k = 0; k < targets_n && !again; k++) again = targets[k] == test[i].item;
            if (!again) targets[targets_n++] = test[i].item;
        }
        break;
    }
    if (targets_n) q->at[q->n++] = (struct trial){ items, targets, held, targets_n, group };
}

static isize group_end(const struct clicks *c, isize from)
{
    isize to = from;
    while (to < c->n && c->at[to].session == c->at[from].session) to++;
    return to;
}

static void ask_all(struct questions *q, const struct kind *kind, const struct clicks *test,
                    const struct clicks *train, u32 known, arena *a)
{
    q->at = arena_new(a, struct trial, test->n + 1);
    for (isize from = 0, to, before = 0; from < test->n; from = to) {
        to = group_end(test, from);
        isize before_n = 0;
        if (kind->same_people) {
            while (before < train->n && train->at[before].session < test->at[from].session) before++;
            while (before + before_n < train->n
                   && train->at[before + before_n].session == test->at[from].session)
                before_n++;
        }
        ask_group(q, kind, test->at + from, to - from, train->at + before, before_n, known, a);
    }
    for (isize i = 0; i < q->n; i++)
        for (isize t = 0; t < q->at[i].targets_n; t++) q->unknown += q->at[i].targets[t] >= known;
}

/* Takes the last of each group of two and more out of `all`. */
static void leave_last_out(struct clicks *all, struct clicks *last)
{
    isize kept = 0;
    last->timed = all->timed;
    for (isize from = 0, to; from < all->n; from = to) {
        to = group_end(all, from);
        bool leaves = to - from >= 2;
        if (leaves) { vec_push(last, all->at[to - 1]); last->groups++; }
        for (isize i = from; i < to - leaves; i++) all->at[kept++] = all->at[i];
    }
    all->n = kept;
}

static isize interactions_of(const struct kind *kind, const struct clicks *train, arena *a,
                             struct interaction **out, i64 *last_ms)
{
    struct interaction *all = arena_new(a, struct interaction, train->n + 1);
    for (isize i = 0; i < train->n; i++) {
        const struct click *c = &train->at[i];
        u8 what = kind->task == TASK_BASKET ? INTERACTION_PURCHASED : INTERACTION_VIEWED;
        all[i] = (struct interaction){
            .session = c->session, .item = c->item, .at_ms = c->at_ms, .kind = what, .weight = 1
        };
        /* Clicks of one second keep the order of the file. */
        if (i > 0 && train->at[i - 1].session == c->session)
            all[i].at_ms = max_i64(c->at_ms, all[i - 1].at_ms + 1);
        *last_ms = max_i64(*last_ms, all[i].at_ms);
    }
    *out = all;
    return train->n;
}

/* ---- saying -------------------------------------------------------------------------------- */

struct report {
    const struct kind *kind;
    const char *algorithm;
    isize train_n, train_groups, test_n, test_groups;
    bool timed;
    struct model_card card;
    struct tuning tuning;
    const struct questions *questions;
    isize targets, groups;
    struct estimate measures[MEASURES];
    f64 coverage, p50, p99, tune_seconds, test_seconds;
    u64 seed;
    isize resamples;
};

static const char *protocol_of(const struct report *r, arena *a)
{
    const char *over = r->kind->task == TASK_SESSION  ? "test sessions."
                       : r->kind->task == TASK_BASKET ? "test baskets."
                                                      : "people.";
    return arena_printf(a, "%s%s%s", r->kind->protocol, common, over).ptr;
}

static void report_json(const struct report *r, struct buf *out, arena *a)
{
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(protocol_of(r, a)));
    jsonw_key_str(&w, "kind", str_of(r->kind->name));
    jsonw_key_str(&w, "algorithm", str_of(r->algorithm));
    jsonw_key_begin(&w, "weights", '{');
    for (u8 i = 0; i < RECOMMENDERS; i++)
        if (r->tuning.weight[i] > 0) jsonw_key_num(&w, recommender_name(i), r->tuning.weight[i]);
    jsonw_end(&w, '}');
    if (r->kind->task == TASK_SESSION) jsonw_key_num(&w, "latest_score", r->tuning.latest_score);
    jsonw_key_begin(&w, "train", '{');
    jsonw_key_int(&w, "events", r->train_n);
    jsonw_key_int(&w, "sessions", r->train_groups);
    jsonw_key_int(&w, "items", r->card.items);
    jsonw_key_bool(&w, "timed", r->timed);
    jsonw_key_int(&w, "held_out_questions", r->tuning.trials);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "events", r->test_n);
    jsonw_key_int(&w, "sessions", r->test_groups);
    jsonw_key_int(&w, "predictions", r->questions->n);
    jsonw_key_int(&w, "targets", r->targets);
    jsonw_key_int(&w, "unknown_targets", r->questions->unknown);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "metrics", '{');
    for (isize m = 0; m < MEASURES; m++) {
        if (measures[m].k > r->kind->deep) continue;
        jsonw_key_begin(&w, measures[m].name, '{');
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
    jsonw_key_num(&w, "tune", r->tune_seconds);
    jsonw_key_num(&w, "train", (f64)r->card.took_us / 1e6);
    jsonw_key_num(&w, "test", r->test_seconds);
    jsonw_end(&w, '}');
    jsonw_key_int(&w, "model_bytes", r->card.bytes);
    jsonw_key_begin(&w, "latency_us", '{');
    jsonw_key_num(&w, "p50", r->p50);
    jsonw_key_num(&w, "p99", r->p99);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    buf_byte(out, '\n');
}

static void report_text(const struct report *r, struct buf *out, arena *a)
{
    buf_printf(out, "%s\n\nalgorithm    %s", protocol_of(r, a), r->algorithm);
    for (u8 i = 0, first = 1; i < RECOMMENDERS; i++)
        if (r->tuning.weight[i] > 0) {
            buf_printf(out, "%s%s %.2f", first ? ": " : ", ", recommender_name(i),
                       r->tuning.weight[i]);
            first = 0;
        }
    if (r->tuning.latest_score > 0) buf_printf(out, ", the item just seen at %.2f", r->tuning.latest_score);
    buf_printf(out, "\ntrain        %td events, %td groups, %td items%s\n", r->train_n,
               r->train_groups, r->card.items,
               r->timed ? "" : "; no times: the order of lines stands in");
    buf_printf(out, "chosen on    %td held-out questions of it, in %.1f s\n", r->tuning.trials,
               r->tune_seconds);
    buf_printf(
        out,
        "test         %td events, %td groups, %td predictions of %td targets, %td of them unknown to training\n\n",
        r->test_n, r->test_groups, r->questions->n, r->targets, r->questions->unknown);
    for (isize m = 0; m < MEASURES; m++)
        if (measures[m].k <= r->kind->deep)
            buf_printf(out, "%-12s %.4f   %.4f to %.4f\n", measures[m].name, r->measures[m].value,
                       r->measures[m].low, r->measures[m].high);
    buf_printf(out, "%-12s %.4f\n\n", "coverage@20", r->coverage);
    buf_printf(out, "bootstrap    %td resamples, seed %" PRIu64 "\n", r->resamples, r->seed);
    buf_printf(out, "model        built in %.2f s, %.1f MB\n", (f64)r->card.took_us / 1e6,
               (f64)r->card.bytes / 1e6);
    buf_printf(out, "latency      p50 %.0f us, p99 %.0f us\n", r->p50, r->p99);
}

/* ---- the run --------------------------------------------------------------------------------- */

enum { SHOWN = 20 };

struct answering {
    const struct report *r;
    const struct ask *ask;
    const struct trial *at;
    f64 *took_us;
    isize **ranks;
    u32 (*shown)[SHOWN];
};

static void answer_some(void *ctx, isize from, isize to)
{
    const struct answering *q = ctx;
    arena scratch = { 0 };
    for (isize i = from; i < to; i++) {
        const struct trial *trial = &q->at[i];
        struct recommended *list;
        i64 started_us = clock_monotonic_us();
        /* one more, to see a tie across the end */
        isize n = trial_ask(q->ask, trial, q->r->kind->deep + 1, &scratch, &list);
        q->took_us[i] = (f64)(clock_monotonic_us() - started_us);
        for (isize l = 0; l < min_isize(n, SHOWN); l++) q->shown[i][l] = list[l].item;
        trial_ranks(trial, list, n, q->ranks[i]);
        arena_clear(&scratch);
    }
    arena_fini(&scratch);
}

/* Of n rising values the least that `percent` of them do not pass: the nearest rank. 0 of none. */
static f64 percentile(const f64 *rising, isize n, isize percent)
{
    return n > 0 ? rising[(n * percent + 99) / 100 - 1] : 0;
}

static void answer(struct report *r, const struct ask *ask, const struct questions *q,
                   isize threads, arena *a)
{
    i64 began_us = clock_monotonic_us();
    struct answering all = {
        r, ask, q->at, arena_new(a, f64, q->n + 1), arena_new(a, isize *, q->n + 1), NULL
    };
    all.shown = arena_alloc(a, (isize)sizeof *all.shown, (isize)_Alignof(u32), q->n + 1);
    for (isize i = 0; i < q->n; i++) all.ranks[i] = arena_new(a, isize, q->at[i].targets_n);
    share(q->n, threads, answer_some, &all);
    struct tested *tested = arena_new(a, struct tested, q->n + 1);
    struct bitset *shown = bitset_new(ask->model->items + 1);
    for (isize i = 0; i < q->n; i++) {
        for (isize l = 0; l < SHOWN && all.shown[i][l]; l++) (void)bitset_set(shown, all.shown[i][l]);
        if (i == 0 || q->at[i].group != q->at[i - 1].group) r->groups++;
        tested_add(&tested[r->groups - 1], &q->at[i], all.ranks[i]);
        r->targets += q->at[i].targets_n;
    }
    struct groups groups = { tested, r->groups };
    bootstrap(take_means, &groups, groups.n, r->seed, r->resamples, MEASURES, r->measures, a);
    if (r->card.items > 0) r->coverage = (f64)bitset_count(shown) / (f64)r->card.items;
    qsort(all.took_us, (size_t)q->n, sizeof(f64), ascending);
    r->p50 = percentile(all.took_us, q->n, 50);
    r->p99 = percentile(all.took_us, q->n, 99);
    r->test_seconds = (f64)(clock_monotonic_us() - began_us) / 1e6;
    bitset_free(shown);
}

/* Reads both files, or the one of which the last is left out. */
static enum err read_files(const struct evaluate_options *o, const struct kind *kind,
                           struct names *names, struct clicks *train, struct clicks *test,
                           u32 *known, struct diag *diag)
{
    bool one = !o->test || strcmp(o->train, o->test) == 0;
    names->sessions = map_new(1024);
    enum err err = clicks_read(o->train, str_of(kind->group), names, train, diag);
    if (!err && kind->one_file && one) {
        leave_last_out(train, test);
        *known = names->items_n + 1;                    /* what nobody else has is in no row, and so a miss */
    }
    else if (!err) {
        *known = names->items_n + 1;                    /* what the test file adds is beyond the model */
        /* names of groups of one file mean nothing in the other */
        if (!kind->same_people) {
            map_free(names->sessions);
            names->sessions = map_new(1024);
        }
        err = clicks_read(o->test, str_of(kind->group), names, test, diag);
    }
    map_free(names->sessions);
    return err;
}

static enum err find_algorithm(str name, u32 *only, const char **said, struct diag *diag)
{
    *said = "blend";
    if (name.len == 0 || str_eq(name, S("blend"))) return ERR_OK;
    for (isize i = 0; i < countof(algorithms); i++)
        if (str_eq(name, str_of(algorithms[i].name))) {
            *only = 1U << algorithms[i].recommender;
            *said = algorithms[i].name;
            return ERR_OK;
        }
    return diag_set(
        diag, ERR_REFUSED,
        "no algorithm %.*s; there are sknn, cooc, rules, slist, ease, als, pop and blend",
        STR_FMT(name));
}

enum err evaluate_run(const struct evaluate_options *options, struct buf *out, struct diag *diag)
{
    const struct kind *kind = &kinds[0];
    u32 only = 0;
    struct report report = { .seed = options->seed ? options->seed : 1,
                             .resamples = options->resamples > 0 ? options->resamples : RESAMPLES };
    for (isize i = 0; i < countof(kinds); i++)
        if (str_eq(options->kind, str_of(kinds[i].name))) kind = &kinds[i];
    enum err err = find_algorithm(options->algorithm, &only, &report.algorithm, diag);
    if (err) return err;
    if (!options->test && !kind->one_file)
        return diag_set(diag, ERR_BAD_INPUT, "evaluate %s needs a test file", kind->name);

    arena a = { 0 };
    struct names names = { .items = map_new(1024) };
    struct clicks train = { 0 }, test = { 0 };
    struct questions questions = { 0 };
    struct model *model = NULL;
    u32 known = 0;
    err = read_files(options, kind, &names, &train, &test, &known, diag);
    if (err) goto out;
    ask_all(&questions, kind, &test, &train, known, &a);
    if (questions.n == 0) {
        err = diag_set(diag, ERR_REFUSED, "%s: no %s has two items: nothing to predict",
                       options->test ? options->test : options->train, kind->group);
        goto out;
    }

    struct interaction *all;
    i64 last_ms = 0, began_us = clock_monotonic_us();
    isize all_n = interactions_of(kind, &train, &a, &all, &last_ms);
    report.kind = kind;
    report.timed = train.timed;
    report.train_n = train.n;
    report.train_groups = train.groups;
    report.test_n = test.n;
    report.test_groups = test.groups;
    report.questions = &questions;
    isize threads = (isize)sysconf(_SC_NPROCESSORS_ONLN);
    report.tuning = recommend_tune(
        kind->task, all, all_n, known,
        &(struct tune_options){ only, report.seed, threads, options->said, options->ctx });
    report.tune_seconds = (f64)(clock_monotonic_us() - began_us) / 1e6;
    if (options->said) options->said(options->ctx, "building the model");
    model = model_build(all, all_n, known, last_ms, &report.tuning.options, NULL);
    report.card = model_card(model);

    struct ask ask = { .model = model, .task = kind->task };
    memcpy(ask.weight, report.tuning.weight, sizeof ask.weight);
    ask.latest_score = report.tuning.latest_score;
    for (u8 r = 0; r < RECOMMENDERS; r++)
        if (ask.weight[r] > 0) ask.mix[ask.mix_n++] = r;
    if (options->said) options->said(options->ctx, "asking");
    /* Where latency is what is looked at, one question at a time. */
    answer(&report, &ask, &questions, kind->same_people ? threads : 1, &a);
    if (options->json) report_json(&report, out, &a);
    else report_text(&report, out, &a);

out:
    model_free(model);
    map_free(names.items);
    vec_fini(&train);
    vec_fini(&test);
    arena_fini(&a);
    return err;
}
