/* SPDX-License-Identifier: Apache-2.0
 *
 * flag.c - `opmaat flag eval`: what a flag file says to somebody. A pure function of files; no data folder is opened.
 *
 * --attributes - reads one JSON object a line from standard input and answers each in turn, so that thousands can be
 * asked without starting a program for each. */
#include <stdio.h>

#include "command/inside.h"
#include "experiment/experiment.h"

enum { ASKED_SEGMENTS_MAX = 256 };

struct eval {
    struct args *args;
    const struct flag_file *file;
    str flag;                       /* empty: all */
    struct file_request request;
    str segments[ASKED_SEGMENTS_MAX];
};

static enum err read_json(arena *a, str text, const char *what, const struct json **out, struct diag *diag)
{
    struct diag why = { .arena = a };
    if (!json_parse(a, text, out, &why)) return ERR_OK;
    return diag_set(diag, ERR_BAD_INPUT, "%s: %.*s", what, STR_FMT(why.what));
}

/* Who is asked about: --user, or the first of the attributes that names somebody. */
static str user_of(const struct eval *e, const struct json *attributes)
{
    static const char *const names[] = { "user_id", "userId", "id", "anonymous_id", "targetingKey" };
    str given = option(e->args, "user", "");
    for (isize i = 0; i < countof(names) && given.len == 0; i++) given = json_text(e->args->a, json_get(attributes, str_of(names[i])));
    return given;
}

static void answer_one(const struct eval *e, str flag)
{
    arena *a = e->args->a;
    struct file_answer answer = flag_file_evaluate(e->file, flag, &e->request, a);
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    flag_file_print(e->file, &answer, &w);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
}

static enum err answer_all(struct eval *e, str attributes, struct diag *diag)
{
    struct arena_mark mark = arena_mark(e->args->a);
    const str *flags;
    isize n = flag_file_flags(e->file, &flags);
    enum err err = read_json(e->args->a, attributes, "--attributes", &e->request.attributes, diag);
    if (err) return err;
    if (!json_is(e->request.attributes, JSON_OBJ)) return diag_set(diag, ERR_BAD_INPUT, "--attributes is a JSON object, such as {\"id\": \"ana-77\"}");
    e->request.user_id = user_of(e, e->request.attributes);
    for (isize i = 0; i < n; i++)
        if (e->flag.len == 0 || str_eq(e->flag, flags[i])) answer_one(e, flags[i]);
    arena_reset(e->args->a, mark);
    return ERR_OK;
}

static enum err answer_lines(struct eval *e, struct diag *diag)
{
    static char line[1 << 20];
    enum err err = ERR_OK;
    while (!err && fgets(line, sizeof line, stdin)) {
        str text = str_trim(str_of(line));
        if (text.len) err = answer_all(e, text, diag);
    }
    return err;
}

static enum err check_flag(const struct eval *e, struct diag *diag)
{
    const str *flags;
    isize n = flag_file_flags(e->file, &flags), nearest = 0;
    for (isize i = 0; i < n; i++) {
        if (e->flag.len == 0 || str_eq(flags[i], e->flag)) return ERR_OK;
        if (str_distance(flags[i], e->flag) < str_distance(flags[nearest], e->flag)) nearest = i;
    }
    if (e->flag.len == 0) return ERR_OK;
    if (n == 0) return diag_set(diag, ERR_NOT_FOUND, "the file has no flags");
    return diag_set(diag, ERR_NOT_FOUND, "the file has no flag \"%.*s\"; did you mean \"%.*s\"?", STR_FMT(e->flag), STR_FMT(flags[nearest]));
}

static enum err read_options(struct eval *e, struct diag *diag)
{
    str segments = option(e->args, "segments", ""), sticky = option(e->args, "sticky", "");
    e->flag = option(e->args, "flag", "");
    e->request.url = option(e->args, "url", "");
    e->request.segments = e->segments;
    for (struct str_cut cut = str_cut(segments, ','); segments.len && e->request.segments_n < ASKED_SEGMENTS_MAX; cut = str_cut(cut.tail, ',')) {
        e->segments[e->request.segments_n++] = str_trim(cut.head);
        if (!cut.found) break;
    }
    return sticky.len ? read_json(e->args->a, sticky, "--sticky", &e->request.sticky, diag) : ERR_OK;
}

static int evaluate(struct args *args, enum flag_dialect dialect, str text)
{
    struct diag diag = { .arena = args->a };
    struct eval *e = arena_new(args->a, struct eval, 1);
    const struct json *json;
    const str *notes;
    e->args = args;
    enum err err = read_json(args->a, text, "the file", &json, &diag);
    if (!err) err = flag_file_read(args->a, dialect, json, &e->file, &diag);
    if (!err) err = read_options(e, &diag);
    if (!err) err = check_flag(e, &diag);
    if (err) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(args->words[1]), STR_FMT(diag.what));
    isize n = flag_file_notes(e->file, &notes);
    for (isize i = 0; i < n; i++) (void)fprintf(stderr, "opmaat: %.*s\n", STR_FMT(notes[i]));
    str attributes = option(args, "attributes", "{}");
    err = str_eq(attributes, S("-")) ? answer_lines(e, &diag) : answer_all(e, attributes, &diag);
    return err ? command_fail(FAILED, "%.*s", STR_FMT(diag.what)) : DONE;
}

int command_flag(struct args *args)
{
    static const str dialects[] = { [DIALECT_GROWTHBOOK] = S_INIT("growthbook"), [DIALECT_OPTIMIZELY] = S_INIT("optimizely") };
    str from = option(args, "from", "");
    if (args->words_n != 2 || !str_eq(args->words[0], S("eval")) || from.len == 0)
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    bool found;
    str text = read_file(args->a, arena_z(args->a, args->words[1]), &found);
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(args->words[1]));
    for (isize i = 0; i < countof(dialects); i++)
        if (str_eq(from, dialects[i])) return evaluate(args, (enum flag_dialect)i, text);
    return command_fail(USAGE, "--from is growthbook or optimizely, not \"%.*s\"", STR_FMT(from));
}
