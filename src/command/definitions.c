/* SPDX-License-Identifier: Apache-2.0
 *
 * definitions.c - what people author, as files: one a definition, to keep in git, look through and
 * bring to another shop.
 *
 * A file is what is published. Drafts, pauses and revisions stay in the folder, and so do accounts
 * and keys; secrets within a document are written as "(kept)", which keeps what the folder has. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/inside.h"

enum { DOCUMENTS_MAX = 10000 };

struct document { str path, kind, key; const struct json *doc; int rank; bool done; };
struct documents { struct document *at; isize n; };

/* ---- reading --------------------------------------------------------------------------------- */

static int read_document(struct args *args, str path, struct document *out)
{
    /* Kinds that others refer to come first. */
    static const char *const order[] = { "settings", "source",   "mapping", "feed",
                                         "segment",  "strategy", "search",  "placement",
                                         "metric",   "campaign", "flag",    "flag_file" };
    bool found;
    struct diag diag = { .arena = args->a };
    str text = read_file(args->a, arena_z(args->a, path), &found);
    *out = (struct document){ .path = path };
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(path));
    if (json_parse(args->a, text, &out->doc, &diag))
        return command_fail(FAILED, "%.*s: %.*s", STR_FMT(path), STR_FMT(diag.what));
    out->kind = json_get_str(out->doc, "kind");
    out->key = json_get_str(out->doc, "key");
    if (out->kind.len == 0 || out->key.len == 0)
        return command_fail(FAILED, "%.*s: a definition needs \"kind\" and \"key\"", STR_FMT(path));
    while (out->rank < countof(order) && !str_eq(out->kind, str_of(order[out->rank]))) out->rank++;
    return DONE;
}

static int by_rank(const void *x, const void *y)
{
    const struct document *a = x, *b = y;
    return a->rank != b->rank ? a->rank - b->rank : str_cmp(a->path, b->path);
}

static struct document *find(const struct documents *files, str kind, str key)
{
    for (isize i = 0; i < files->n; i++)
        if (str_eq(files->at[i].kind, kind) && str_eq(files->at[i].key, key)) return &files->at[i];
    return NULL;
}

/* All are read before anything is done, so that a file that does not parse leaves everything as it was. */
static int read_documents(struct args *args, str dir, struct documents *out)
{
    DIR *listing = opendir(arena_z(args->a, dir));
    int code = DONE;
    if (!listing) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(dir));
    out->at = arena_new(args->a, struct document, DOCUMENTS_MAX);
    for (const struct dirent *one; code == DONE && (one = readdir(listing)) != NULL;) {
        if (!str_ends(str_of(one->d_name), S(".json"))) continue;
        struct document d;
        if (out->n == DOCUMENTS_MAX) {
            code = command_fail(FAILED, "%.*s has more than %d documents", STR_FMT(dir),
                                DOCUMENTS_MAX);
            break;
        }
        code = read_document(args, arena_printf(args->a, "%.*s/%s", STR_FMT(dir), one->d_name), &d);
        const struct document *other = code ? NULL : find(out, d.kind, d.key);
        if (other)
            code = command_fail(FAILED, "%.*s and %.*s are both %.*s/%.*s", STR_FMT(other->path),
                                STR_FMT(d.path), STR_FMT(d.kind), STR_FMT(d.key));
        if (code == DONE) out->at[out->n++] = d;
    }
    (void)closedir(listing);
    qsort(out->at, (size_t)out->n, sizeof *out->at, by_rank);
    return code;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool is(const struct json *one, const char *state)
{
    return str_eq(json_get_str(one, "state"), str_of(state));
}

/* Of each file, and of what is published and stands in none, how they compare: null after saying why not. */
static const struct json *compare(struct server *server, const struct documents *files)
{
    struct buf out = { .arena = server->args->a };
    struct jsonw w = { .out = &out };
    struct answer answer;
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, "definitions", '[');
    for (isize i = 0; i < files->n; i++) jsonw_value(&w, files->at[i].doc);
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    return server_post(server, S("/v1/definitions/compare"), buf_str(&out), &answer)
               ? json_get(answer.json, S("definitions"))
               : NULL;
}

/* ---- apply ----------------------------------------------------------------------------------- */

static str path_of(const struct args *args, const struct document *d, const char *step)
{
    return arena_printf(args->a, "/v1/definitions/%.*s/%.*s%s", STR_FMT(escaped(args, d->kind)),
                        STR_FMT(escaped(args, d->key)), step);
}

/* "segment/wrong rule: … (column 7)" of an answer with errors, else what the problem says. */
static str why(const struct args *args, const struct answer *answer)
{
    const struct json *errors = json_get(answer->json, S("errors")),
                      *e = json_len(errors) ? errors->list.at : NULL;
    if (!e) return json_get_str(answer->json, "detail");
    return arena_printf(args->a, "%.*s/%.*s %.*s: %.*s (column %lld)",
                        STR_FMT(json_get_str(e, "kind")), STR_FMT(json_get_str(e, "key")),
                        STR_FMT(json_get_str(e, "path")), STR_FMT(json_get_str(e, "message")),
                        (long long)json_int(json_get(e, S("column")), 0));
}

/* Draft and publish. False when nobody answers; *refused is empty when it stands now. */
static bool put(struct server *server, const struct document *d, str *refused)
{
    struct answer answer;
    *refused = S("");
    if (!server_ask(server, METHOD_PUT, path_of(server->args, d, ""),
                    json_print(server->args->a, d->doc), &answer))
        return false;
    if (answer.status < 400
        && !server_ask(server, METHOD_POST, path_of(server->args, d, "/publish"), S(""), &answer))
        return false;
    if (answer.status >= 400) *refused = why(server->args, &answer);
    return true;
}

/* A file may need another that stands after it; so what is refused is tried again as long as
 * anything else goes through. */
static int apply(struct server *server, struct documents *files)
{
    isize left = files->n, before = left + 1, unchanged = 0;
    str refused = S(""), last;
    const struct json *states = compare(server, files);
    if (!states) return FAILED;
    for (isize i = 0; i < files->n; i++) {
        files->at[i].done = is(&states->list.at[i], "same");
        unchanged += files->at[i].done;
    }
    left -= unchanged;
    while (left && left < before) {
        before = left;
        for (isize i = 0; i < files->n; i++) {
            struct document *d = &files->at[i];
            if (d->done) continue;
            if (!put(server, d, &last)) return FAILED;
            if (last.len) {
                refused =
                    arena_printf(server->args->a, "%.*s: %.*s", STR_FMT(d->path), STR_FMT(last));
                continue;
            }
            (void)printf("%.*s %.*s\n", STR_FMT(d->kind), STR_FMT(d->key));
            d->done = true;
            left--;
        }
    }
    if (unchanged) (void)printf("%lld unchanged\n", (long long)unchanged);
    return left ? command_fail(FAILED, "%.*s", STR_FMT(refused)) : DONE;
}

int command_apply(struct args *args)
{
    struct server server;
    struct documents files = { 0 };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    int code = read_documents(args, args->words[0], &files);
    if (code) return code;
    if (!server_reach(args, &server, REACH_MAKES)) return FAILED;
    code = apply(&server, &files);
    server_leave(&server);
    return code;
}

/* ---- the other way, and between the two ------------------------------------------------------ */

/* Written beside and put in place, so that no half of a file stands there. */
static bool write_file(arena *a, str path, str text)
{
    const char *beside = arena_printf(a, "%.*s.new", STR_FMT(path)).ptr;
    FILE *f = fopen(beside, "we");
    bool ok = f && fwrite(text.ptr, 1, (size_t)text.len, f) == (size_t)text.len && fputc('\n', f) != EOF;
    ok = f && fclose(f) == 0 && ok && rename(beside, arena_z(a, path)) == 0;
    if (!ok) (void)unlink(beside);
    return ok;
}

static int write_all(struct args *args, const struct json *list, struct documents *files)
{
    isize count = 0;
    json_each(one, list) {
        str kind = json_get_str(one, "kind"), key = json_get_str(one, "key");
        if (!is(one, "published")) continue;
        struct document *file = find(files, kind, key);
        str path = file ? file->path
                        : arena_printf(args->a, "%.*s/%.*s.%.*s.json", STR_FMT(args->words[0]),
                                       STR_FMT(kind), STR_FMT(key));
        if (file) file->done = true;
        struct buf text = { .arena = args->a };
        json_pretty(definition_as_file(args->a, kind, key, json_get(one, S("document"))), &text);
        if (!write_file(args->a, path, buf_str(&text)))
            return command_fail(FAILED, "%.*s cannot be written: %s", STR_FMT(path), strerror(errno));
        count++;
    }
    for (isize i = 0; i < files->n; i++)
        if (!files->at[i].done)
            (void)fprintf(
                stderr, "opmaat: %.*s: %.*s/%.*s is not published here; the file was left\n",
                STR_FMT(files->at[i].path), STR_FMT(files->at[i].kind), STR_FMT(files->at[i].key));
    (void)printf("%lld definitions\n", (long long)count);
    return DONE;
}

int command_export_definitions(struct args *args)
{
    struct server server;
    struct answer answer;
    struct documents files = { 0 };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (mkdir(arena_z(args->a, args->words[0]), 0755) && errno != EEXIST)
        return command_fail(FAILED, "%.*s cannot be made: %s", STR_FMT(args->words[0]), strerror(errno));
    int code = read_documents(args, args->words[0], &files);
    if (code) return code;
    if (!server_reach(args, &server, 0)) return FAILED;
    code = server_get(&server, S("/v1/definitions"), &answer)
               ? write_all(args, json_get(answer.json, S("definitions")), &files)
               : FAILED;
    server_leave(&server);
    return code;
}

/* One line a definition that differs, and under it the lines that do. */
static isize show_differences(const struct json *list)
{
    isize count = 0;
    json_each(one, list) {
        if (is(one, "same")) continue;
        count++;
        (void)printf("%s %.*s %.*s\n",
                     is(one, "new")      ? "only in the files:"
                     : is(one, "absent") ? "only in the folder:"
                                         : "differs:",
                     STR_FMT(json_get_str(one, "kind")), STR_FMT(json_get_str(one, "key")));
        json_each(line, json_get(one, S("lines")))
            (void)printf("    %.*s %.*s\n", STR_FMT(json_get_str(line, "op")),
                         STR_FMT(json_get_str(line, "text")));
        if (is(one, "differs") && json_len(json_get(one, S("lines"))) == 0) (void)printf("    a secret\n");
    }
    return count;
}

int command_diff(struct args *args)
{
    struct server server;
    struct documents files = { 0 };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    int code = read_documents(args, args->words[0], &files);
    if (code) return code;
    if (!server_reach(args, &server, 0)) return FAILED;
    const struct json *list = compare(&server, &files);
    isize count = show_differences(list);
    server_leave(&server);
    if (!list) return FAILED;
    if (count == 0) (void)printf("the files say what is published\n");
    return count ? FAILED : DONE;
}
