/* SPDX-License-Identifier: Apache-2.0
 *
 * flag.c - `opmaat flag eval`: what a flag file says to somebody. A pure function of files; no data
 * folder is opened. `opmaat flag lint`: what each SDK's protocol cannot say of the flags published
 * in a data folder.
 *
 * --attributes - reads one JSON object a line from standard input and answers each in turn, so that
 * thousands can be asked without starting a program for each. */
#include <stdio.h>

#include "base/rcu.h"
#include "command/inside.h"
#include "experiment/experiment.h"
#include "rule/rule.h"

enum { ASKED_SEGMENTS_MAX = 256, FILE_FLAGS_MAX = 4096, REQUIRED_DEEP_MAX = 16 };

struct own_flag { const struct flag *flag; const struct rule **targets; };

struct eval {
    struct args *args;
    const struct flag_file *file;   /* another product's; else our own: */
    struct own_flag *own; isize own_n;
    str *flags; isize flags_n;
    /* segments that targets speak of; their number is 1 more than the place */
    str named[ASKED_SEGMENTS_MAX]; isize named_n;
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
    for (isize i = 0; i < countof(names) && given.len == 0; i++)
        given = json_text(e->args->a, json_get(attributes, str_of(names[i])));
    return given;
}

/* ---- our own flags --------------------------------------------------------------------------- */

static i32 known_event(const void *ctx, str name)
{
    (void)ctx;
    u16 type = event_type_of(name);
    return type ? type : -1;
}

/* Any segment may be spoken of; who is in it is said by --segments. */
static i32 named_segment(const void *ctx, str key)
{
    struct eval *e = (struct eval *)(uintptr_t)ctx;
    isize i = 0;
    while (i < e->named_n && !str_eq(e->named[i], key)) i++;
    if (i == ASKED_SEGMENTS_MAX) return -1;
    if (i == e->named_n) e->named[e->named_n++] = arena_str(e->args->a, key);
    return (i32)i + 1;
}

static bool no_names(const void *ctx, enum rule_name sort, isize at, str *out)
{
    (void)ctx; (void)sort; (void)at; (void)out;
    return false;
}

static enum err read_own(struct eval *e, const struct json *from, i32 holdout, struct diag *diag)
{
    arena *a = e->args->a;
    struct rule_names names = { e, known_event, named_segment, no_names };
    struct own_flag *own = &e->own[e->own_n];
    if (e->own_n == FILE_FLAGS_MAX) return diag_set(diag, ERR_TOO_BIG, "at most %d flags", FILE_FLAGS_MAX);
    enum err err = experiment_flag_compile(a, from, holdout, &own->flag, diag);
    if (err) return err;
    own->targets = arena_new(a, const struct rule *, own->flag->rules_n);
    for (isize i = 0; i < own->flag->rules_n; i++) {
        const struct flag_rule *rule = &own->flag->rules[i];
        struct rule_errors wrong = { 0 };
        if (rule->target.len && rule_compile(a, rule->target, RULE_TARGET, &names, &own->targets[i], &wrong))
            return diag_set(diag, ERR_BAD_INPUT, "flag %.*s, rule %.*s, column %td: %.*s",
                            STR_FMT(own->flag->key), STR_FMT(rule->key), wrong.at[0].column,
                            STR_FMT(wrong.at[0].message));
    }
    e->flags[e->flags_n++] = own->flag->key;
    e->own_n++;
    return ERR_OK;
}

/* One definition, a list of them, or {"holdout": "5%", "flags": [...]}. */
static enum err read_own_file(struct eval *e, const struct json *from, struct diag *diag)
{
    const struct json *flags = json_get(from, S("flags")), *share = json_get(from, S("holdout"));
    const struct json *list = flags ? flags : from;
    i32 holdout = 0;
    enum err err = ERR_OK;
    e->own = arena_new(e->args->a, struct own_flag, FILE_FLAGS_MAX);
    e->flags = arena_new(e->args->a, str, FILE_FLAGS_MAX);
    if (share && !share_parse(json_str(share, S("")), &holdout))
        return diag_set(diag, ERR_BAD_INPUT, "holdout is a percentage in quotes, such as \"5%%\"");
    if (!flags && json_is(from, JSON_OBJ)) return read_own(e, from, holdout, diag);
    json_each(flag, list)
        if (!err) err = read_own(e, flag, holdout, diag);
    return err;
}

static struct value value_of(const struct json *v)
{
    if (json_is(v, JSON_STR)) return (struct value){ VALUE_TEXT, .s = v->s };
    if (json_is(v, JSON_BOOL)) return (struct value){ VALUE_BOOL, .b = v->b };
    if (json_is(v, JSON_INT) || json_is(v, JSON_NUM))
        return (struct value){ VALUE_NUMBER, .n = json_num(v, 0) };
    return (struct value){ VALUE_UNKNOWN };
}

/* An attribute speaks for the trait and for the field of the context of its name. */
static struct value attribute(const void *ctx, str name)
{
    const struct eval *e = ctx;
    const struct json *v = json_get(json_get(e->request.attributes, S("context")), name);
    return value_of(v ? v : json_get(e->request.attributes, name));
}

static enum tri in_segment(const void *ctx, segment_id id)
{
    const struct eval *e = ctx;
    for (isize i = 0; i < e->request.segments_n; i++)
        if (str_eq(e->request.segments[i], e->named[id.v - 1])) return TRI_TRUE;
    return TRI_FALSE;
}

struct own_asking { const struct eval *e; const struct own_flag *flag; isize deep; };

static struct flag_answer ask_own(const struct eval *e, const struct own_flag *own, isize deep);

static bool matches(void *ctx, isize rule, str target)
{
    const struct own_asking *q = ctx;
    struct rule_facts facts = { .now_ms = clock_now(clock_system()),
                                .ctx = q->e,
                                .segment_ctx = q->e,
                                .trait = attribute,
                                .context = attribute,
                                .in_segment = in_segment };
    (void)target;
    return rule_holds(rule_run(q->flag->targets[rule], &facts));
}

static bool has(void *ctx, const struct flag_requirement *requirement)
{
    const struct own_asking *q = ctx;
    for (isize i = 0; i < q->e->own_n && q->deep < REQUIRED_DEEP_MAX; i++)
        if (str_eq(q->e->own[i].flag->key, requirement->flag))
            return str_eq(ask_own(q->e, &q->e->own[i], q->deep + 1).value, requirement->value);
    return false;
}

static struct flag_answer ask_own(const struct eval *e, const struct own_flag *own, isize deep)
{
    struct own_asking asking = { e, own, deep };
    struct flag_asker who = { .id = e->request.user_id, .matches = matches, .has = has, .ctx = &asking };
    return experiment_flag_evaluate(own->flag, &who);
}

static void answer_own(const struct eval *e, const struct own_flag *own)
{
    arena *a = e->args->a;
    struct flag_answer answer = ask_own(e, own, 0);
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    bool off = str_eq(answer.value, S("false")) || str_eq(answer.value, S("null"))
               || str_eq(answer.value, S("0")) || str_eq(answer.value, S("\"\""));
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "flag", own->flag->key);
    jsonw_key(&w, S("value"));
    jsonw_raw(&w, answer.value);
    jsonw_key(&w, S("variation"));
    if (answer.variation.len) jsonw_str(&w, answer.variation);
    else jsonw_null(&w);
    if (answer.variation_index >= 0) jsonw_key_int(&w, "variation_index", answer.variation_index);
    jsonw_key_bool(&w, "enabled", !off);
    jsonw_key_str(&w, "reason", flag_reason_name(answer.reason));
    jsonw_key(&w, S("rule"));
    if (answer.rule.len) jsonw_str(&w, answer.rule);
    else jsonw_null(&w);
    jsonw_end(&w, '}');
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
}

/* ---- answering ------------------------------------------------------------------------------- */

static void answer_one(const struct eval *e, isize i)
{
    arena *a = e->args->a;
    str flag = e->flags[i];
    if (!e->file) {
        answer_own(e, &e->own[i]);
        return;
    }
    struct file_answer answer = flag_file_evaluate(e->file, flag, &e->request, a);
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    flag_file_print(e->file, &answer, &w);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
}

static enum err answer_all(struct eval *e, str attributes, struct diag *diag)
{
    struct arena_mark mark = arena_mark(e->args->a);
    enum err err = read_json(e->args->a, attributes, "--attributes", &e->request.attributes, diag);
    if (err) return err;
    if (!json_is(e->request.attributes, JSON_OBJ))
        return diag_set(diag, ERR_BAD_INPUT,
                        "--attributes is a JSON object, such as {\"id\": \"ana-77\"}");
    e->request.user_id = user_of(e, e->request.attributes);
    for (isize i = 0; i < e->flags_n; i++)
        if (e->flag.len == 0 || str_eq(e->flag, e->flags[i])) answer_one(e, i);
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
    const str *flags = e->flags;
    isize n = e->flags_n, nearest = 0;
    for (isize i = 0; i < n; i++) {
        if (e->flag.len == 0 || str_eq(flags[i], e->flag)) return ERR_OK;
        if (str_distance(flags[i], e->flag) < str_distance(flags[nearest], e->flag)) nearest = i;
    }
    if (e->flag.len == 0) return ERR_OK;
    if (n == 0) return diag_set(diag, ERR_NOT_FOUND, "the file has no flags");
    return diag_set(diag, ERR_NOT_FOUND, "the file has no flag \"%.*s\"; did you mean \"%.*s\"?",
                    STR_FMT(e->flag), STR_FMT(flags[nearest]));
}

static enum err read_options(struct eval *e, struct diag *diag)
{
    str segments = option(e->args, "segments", ""), sticky = option(e->args, "sticky", "");
    e->flag = option(e->args, "flag", "");
    e->request.url = option(e->args, "url", "");
    e->request.segments = e->segments;
    for (struct str_cut cut = str_cut(segments, ',');
         segments.len && e->request.segments_n < ASKED_SEGMENTS_MAX; cut = str_cut(cut.tail, ',')) {
        e->segments[e->request.segments_n++] = str_trim(cut.head);
        if (!cut.found) break;
    }
    return sticky.len ? read_json(e->args->a, sticky, "--sticky", &e->request.sticky, diag) : ERR_OK;
}

/* dialect below 0: our own. */
static enum err read_flags(struct eval *e, int dialect, str text, struct diag *diag)
{
    const struct json *json;
    const str *flags, *notes;
    enum err err = read_json(e->args->a, text, "the file", &json, diag);
    if (err) return err;
    if (dialect < 0) return read_own_file(e, json, diag);
    err = flag_file_read(e->args->a, (enum flag_dialect)dialect, json, &e->file, diag);
    if (err) return err;
    e->flags_n = flag_file_flags(e->file, &flags);
    e->flags = (str *)(uintptr_t)flags;
    isize n = flag_file_notes(e->file, &notes);
    for (isize i = 0; i < n; i++) (void)fprintf(stderr, "opmaat: %.*s\n", STR_FMT(notes[i]));
    return ERR_OK;
}

static int evaluate(struct args *args, int dialect, str text)
{
    struct diag diag = { .arena = args->a };
    struct eval *e = arena_new(args->a, struct eval, 1);
    e->args = args;
    enum err err = read_flags(e, dialect, text, &diag);
    if (!err) err = read_options(e, &diag);
    if (!err) err = check_flag(e, &diag);
    if (err) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(args->words[1]), STR_FMT(diag.what));
    str attributes = option(args, "attributes", "{}");
    err = str_eq(attributes, S("-")) ? answer_lines(e, &diag) : answer_all(e, attributes, &diag);
    return err ? command_fail(FAILED, "%.*s", STR_FMT(diag.what)) : DONE;
}

/* ---- what protocols cannot say --------------------------------------------------------------- */

/* How many are more than remarks. */
static isize print_lint(str protocol, const struct json *notes, bool quiet)
{
    isize n = 0;
    json_each(note, notes) {
        str rule = json_str(json_get(note, S("rule")), S("")),
            kind = json_str(json_get(note, S("kind")), S(""));
        if (!quiet)
            (void)printf("%.*s: %.*s%s%.*s: %.*s: %.*s\n", STR_FMT(protocol),
                         STR_FMT(json_str(json_get(note, S("flag")), S(""))), rule.len ? "/" : "",
                         STR_FMT(rule), STR_FMT(kind),
                         STR_FMT(json_str(json_get(note, S("text")), S(""))));
        n += !str_eq(kind, S("note"));
    }
    return n;
}

/* Fails when --for names a protocol that something cannot be said in, so that a pipeline can stop by it. */
static int lint(struct args *args)
{
    struct server server;
    struct answer answer;
    str only = option(args, "for", "");
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (only.len && !str_eq(only, S("optimizely")) && !str_eq(only, S("growthbook")))
        return command_fail(USAGE, "--for is optimizely or growthbook, not \"%.*s\"", STR_FMT(only));
    if (!server_reach(args, &server, 0)) return FAILED;
    bool ok = server_get(&server,
                         arena_printf(args->a, "/v1/flags/lint?flag=%.*s",
                                      STR_FMT(escaped(args, option(args, "flag", "")))),
                         &answer);
    server_leave(&server);
    if (!ok) return FAILED;
    const struct json *found = answer.json;
    isize wrong = 0;
    if (flag(args, "json")) (void)printf("%.*s\n", STR_FMT(answer.body));
    json_each(protocol, found) {
        if (only.len && !str_eq(only, protocol->key)) continue;
        wrong += print_lint(protocol->key, protocol, flag(args, "json"));
    }
    if (wrong == 0 && !flag(args, "json")) (void)fprintf(stderr, "nothing is lost on the way to an SDK\n");
    return only.len && wrong ? FAILED : DONE;
}

int command_flag(struct args *args)
{
    static const struct { str name; int dialect; } dialects[] = {
        { S_INIT("opmaat"), -1 }, { S_INIT("growthbook"), DIALECT_GROWTHBOOK }, { S_INIT("optimizely"), DIALECT_OPTIMIZELY },
    };
    str from = option(args, "from", "");
    if (args->words_n > 0 && str_eq(args->words[0], S("lint"))) return lint(args);
    if (args->words_n != 2 || !str_eq(args->words[0], S("eval")) || from.len == 0)
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    bool found;
    str text = read_file(args->a, arena_z(args->a, args->words[1]), &found);
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(args->words[1]));
    for (isize i = 0; i < countof(dialects); i++)
        if (str_eq(from, dialects[i].name)) return evaluate(args, dialects[i].dialect, text);
    return command_fail(USAGE, "--from is opmaat, growthbook or optimizely, not \"%.*s\"", STR_FMT(from));
}

/* ---- taking such a file over ----------------------------------------------------------------- */

static str flag_file_document(arena *a, str dialect, const struct json *file)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "title", arena_printf(a, "Flags of %.*s", STR_FMT(dialect)));
    jsonw_key_str(&w, "dialect", dialect);
    jsonw_key(&w, S("file"));
    jsonw_value(&w, file);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

int import_flags(struct args *args)
{
    struct server server;
    struct diag diag = { .arena = args->a };
    const struct json *json = NULL;
    const struct flag_file *file = NULL;
    const str *flags, *notes;
    str kind = args->words[0];
    bool found, growthbook = str_eq(kind, S("growthbook"));
    if (args->words_n != 2)
        return command_fail(USAGE, "which file? one at a time\nusage: opmaat %s", args->usage);
    str text = read_file(args->a, arena_z(args->a, args->words[1]), &found);
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(args->words[1]));
    enum err err = read_json(args->a, text, "the file", &json, &diag);
    if (!err)
        err = flag_file_read(args->a, growthbook ? DIALECT_GROWTHBOOK : DIALECT_OPTIMIZELY, json,
                             &file, &diag);
    if (err) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(args->words[1]), STR_FMT(diag.what));
    isize n = flag_file_flags(file, &flags), notes_n = flag_file_notes(file, &notes);
    for (isize i = 0; i < notes_n; i++) (void)fprintf(stderr, "opmaat: %.*s\n", STR_FMT(notes[i]));
    if (!flag(args, "dry-run")) {
        if (!server_reach(args, &server, REACH_MAKES)) return FAILED;
        bool stands = server_publish(&server, S("flag_file"), kind, flag_file_document(args->a, kind, json));
        server_leave(&server);
        if (!stands) return FAILED;
    }
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    (void)printf("%td flags %s\n", n,
                 flag(args, "dry-run")
                     ? "would be taken"
                     : "taken: answered as before, and sent on to the product's own SDKs");
    return DONE;
}
