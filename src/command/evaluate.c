/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - `opmaat evaluate KIND`: one row a kind, each a pure function of files in the room
 * that serves what it measures. */
#include <stdio.h>
#include <unistd.h>

#include "command/inside.h"
#include "measure/measure.h"
#include "predict/predict.h"
#include "recommend/recommend.h"
#include "search/search.h"

/* Fills `out` with a report, or one JSON object under --json. ERR_BAD_INPUT with usage when an
 * option it needs is missing. */
typedef enum err evaluation(struct args *args, struct buf *out, struct diag *diag);

enum { COMMAND_LINE = -1 };         /* diag->line: what is wrong stands in no file */

static enum err needs(struct args *args, const char *what, struct diag *diag)
{
    diag->line = COMMAND_LINE;
    return diag_set(diag, ERR_BAD_INPUT, "evaluate %.*s needs %s; usage: opmaat %s",
                    STR_FMT(args->words[0]), what, args->usage);
}

/* What is being done, on a terminal: a line that is written over. Into a file or a pipe nothing
 * goes but the report. */
static void doing(void *ctx, const char *what)
{
    bool *said = ctx;
    *said = true;
    (void)fprintf(stderr, "\r%s\033[K", what);
    (void)fflush(stderr);
}

/* One file is given by --train or as a word; a second by --test. */
static enum err lists(struct args *args, struct buf *out, struct diag *diag)
{
    str kind = args->words[0],
        train = option(args, "train", args->words_n > 1 ? arena_z(args->a, args->words[1]) : "");
    str test = option(args, "test", args->words_n > 2 ? arena_z(args->a, args->words[2]) : "");
    bool one_file = str_eq(kind, S("sequence"));
    if (train.len == 0 || (test.len == 0 && !one_file))
        return needs(args, one_file ? "--train" : "--train and --test", diag);
    struct evaluate_options options = { .kind = kind,
                                        .train = arena_z(args->a, train),
                                        .test = test.len ? arena_z(args->a, test) : NULL,
                                        .algorithm = option(args, "algorithm", ""),
                                        .json = flag(args, "json") };
    bool said = false;
    if (isatty(STDERR_FILENO)) {
        options.said = doing;
        options.ctx = &said;
    }
    enum err err = evaluate_run(&options, out, diag);
    if (said) (void)fprintf(stderr, "\r\033[K");
    return err;
}

static enum err ope(struct args *args, struct buf *out, struct diag *diag)
{
    str test = option(args, "test", ""), train = option(args, "train", ""), clip = option(args, "clip", "10");
    if (test.len == 0) return needs(args, "--test", diag);
    struct ope_options options = { .test = arena_z(args->a, test),
                                   .train = train.len ? arena_z(args->a, train) : NULL,
                                   .policy = option(args, "policy", "uniform"),
                                   .action = option(args, "action", ""),
                                   .propensity = option(args, "propensity", ""),
                                   .reward = option(args, "reward", ""),
                                   .json = flag(args, "json") };
    if (!str_to_f64(clip, &options.clip) || !(options.clip > 0))
        return diag_set(diag, ERR_BAD_INPUT, "--clip is a weight above 0");
    return ope_run(&options, out, diag);
}

static enum err search(struct args *args, struct buf *out, struct diag *diag)
{
    str catalogue = option(args, "catalogue", ""), judgments = option(args, "judgments", "");
    if (catalogue.len == 0) catalogue = option(args, "train", "");
    if (judgments.len == 0) judgments = option(args, "test", "");
    if (catalogue.len == 0 || judgments.len == 0) return needs(args, "--catalogue and --judgments", diag);
    struct search_evaluate options = { .catalogue = arena_z(args->a, catalogue),
                                       .judgments = arena_z(args->a, judgments),
                                       .json = flag(args, "json") };
    return search_evaluate_run(&options, out, diag);
}

static struct predict_evaluation prediction(struct args *args)
{
    str train = option(args, "train", ""), test = option(args, "test", "");
    i64 seed = 0, folds = 0, resamples = 0;
    (void)str_to_i64(option(args, "seed", ""), &seed);
    (void)str_to_i64(option(args, "folds", ""), &folds);
    (void)str_to_i64(option(args, "resamples", ""), &resamples);
    return (struct predict_evaluation){
        .train = arena_z(args->a, train.len ? train : test),
        .test = train.len && test.len ? arena_z(args->a, test) : NULL,
        .json = flag(args, "json"),
        .seed = (u64)seed,
        .folds = (isize)folds,
        .resamples = (isize)resamples,
        .label = option(args, "label", ""),
        .treatment = option(args, "treatment", ""),
        .outcome = option(args, "outcome", ""),
        .algorithm = option(args, "algorithm", ""),
        .skip = option(args, "skip", ""),
        .until = option(args, "until", ""),
        .end = option(args, "end", ""),
    };
}

static enum err clv(struct args *args, struct buf *out, struct diag *diag)
{
    struct predict_evaluation o = prediction(args);
    return *o.train ? evaluate_clv(&o, out, diag) : needs(args, "--train", diag);
}

static enum err propensity(struct args *args, struct buf *out, struct diag *diag)
{
    struct predict_evaluation o = prediction(args);
    return *o.train && o.label.len ? evaluate_propensity(&o, out, diag)
                                   : needs(args, "--train and --label", diag);
}

static enum err uplift(struct args *args, struct buf *out, struct diag *diag)
{
    struct predict_evaluation o = prediction(args);
    bool whole = *o.train && o.treatment.len && o.outcome.len;
    return whole ? evaluate_uplift(&o, out, diag) : needs(args, "--train, --treatment and --outcome", diag);
}

static long long whole(const struct json *of, const char *name)
{
    return (long long)json_int(json_get(of, str_of(name)), 0);
}
static f64 num(const struct json *of, const char *name) { return json_num(json_get(of, str_of(name)), 0); }

/* On the shop's own log, so it is asked of whoever works on its data folder. */
static enum err placement(struct args *args, struct buf *out, struct diag *diag)
{
    str key = option(args, "placement", "");
    struct server server;
    struct answer answer;
    if (key.len == 0) return needs(args, "--placement and --data", diag);
    if (!server_reach(args, &server, 0))
        return diag_set(diag, ERR_NOT_FOUND, "the data folder cannot be had");
    bool ok = server_ask(
        &server, METHOD_GET,
        arena_printf(args->a, "/v1/placements/%.*s/evaluation", STR_FMT(escaped(args, key))), S(""),
        &answer);
    server_leave(&server);
    if (!ok || answer.status >= 400)
        return diag_set(diag, ERR_REFUSED, "%.*s", STR_FMT(json_get_str(answer.json, "detail")));
    if (flag(args, "json")) {
        buf_add(out, answer.body);
        return ERR_OK;
    }
    const struct json *e = answer.json;
    buf_printf(
        out,
        "placement %.*s, strategy %.*s: learnt from %lld interactions, %lld next items of %lld later visits\n\n%-12s %10s %22s %10s %22s\n",
        STR_FMT(key), STR_FMT(json_get_str(e, "strategy")), whole(e, "train_interactions"),
        whole(e, "questions"), whole(e, "test_visits"), "", "hr@10", "95 % interval", "mrr@10",
        "95 % interval");
    json_each(row, json_get(e, S("metrics"))) {
        const struct json *hr = json_get(row, S("hr@10")), *mrr = json_get(row, S("mrr@10"));
        buf_printf(out, "%-12.*s %10.4f     %.4f to %.4f %10.4f     %.4f to %.4f\n",
                   STR_FMT(row->key), num(hr, "value"), num(hr, "low"), num(hr, "high"),
                   num(mrr, "value"), num(mrr, "low"), num(mrr, "high"));
    }
    return ERR_OK;
}

static const struct { const char *name; evaluation *run; } kinds[] = {
    { "placement", placement },
    { "ope", ope },
    { "search", search },
    { "clv", clv },
    { "propensity", propensity },
    { "uplift", uplift },
    { "session", lists }, { "sequence", lists }, { "basket", lists }, { "topn", lists },
};

int command_evaluate(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct buf out = { .arena = args->a };
    for (isize i = 0; args->words_n > 0 && i < (isize)(sizeof kinds / sizeof kinds[0]); i++) {
        if (!str_eq(args->words[0], str_of(kinds[i].name))) continue;
        if (kinds[i].run(args, &out, &diag))
            return command_fail(diag.line == COMMAND_LINE ? USAGE : FAILED, "%.*s",
                                STR_FMT(diag.what));
        (void)printf("%.*s\n", STR_FMT(str_trim(buf_str(&out))));
        return DONE;
    }
    return command_fail(USAGE, "usage: opmaat %s", args->usage);
}
