/* SPDX-License-Identifier: Apache-2.0
 *
 * definitions.c - what people author, as files: one a definition, to keep in git, look through and bring to another shop.
 *
 * A file is what is published. Drafts, pauses and revisions stay in the folder, and so do accounts and keys; secrets within a document are
 * written as "(kept)", which keeps what the folder has. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rcu.h"
#include "command/inside.h"

enum { DOCUMENTS_MAX = 10000 };

struct document { str path, kind, key; const struct json *doc; int rank; bool done; };
struct documents { struct document *at; isize n; };

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int read_document(struct args *args, str path, struct document *out)
{
    /* Kinds that others refer to come first. */
    static const char *const order[] = { "settings", "source", "mapping", "feed", "segment", "strategy", "search", "placement", "metric", "campaign", "flag", "flag_file" };
    bool found;
    struct diag diag = { .arena = args->a };
    str text = read_file(args->a, arena_z(args->a, path), &found);
    *out = (struct document){ .path = path };
    if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(path));
    if (json_parse(args->a, text, &out->doc, &diag)) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(path), STR_FMT(diag.what));
    out->kind = json_get_str(out->doc, "kind");
    out->key = json_get_str(out->doc, "key");
    if (out->kind.len == 0 || out->key.len == 0) return command_fail(FAILED, "%.*s: a definition needs \"kind\" and \"key\"", STR_FMT(path));
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
        if (out->n == DOCUMENTS_MAX) { code = command_fail(FAILED, "%.*s has more than %d documents", STR_FMT(dir), DOCUMENTS_MAX); break; }
        code = read_document(args, arena_printf(args->a, "%.*s/%s", STR_FMT(dir), one->d_name), &d);
        const struct document *other = code ? NULL : find(out, d.kind, d.key);
        if (other) code = command_fail(FAILED, "%.*s and %.*s are both %.*s/%.*s", STR_FMT(other->path), STR_FMT(d.path), STR_FMT(d.kind), STR_FMT(d.key));
        if (code == DONE) out->at[out->n++] = d;
    }
    (void)closedir(listing);
    qsort(out->at, (size_t)out->n, sizeof *out->at, by_rank);
    return code;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

/* Kind and key first, then the rest, as a file has it. */
static const struct json *whole(arena *a, str kind, str key, const struct json *doc)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    const struct json *parsed = NULL;
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "kind", kind);
    jsonw_key_str(&w, "key", key);
    json_each(field, doc) {
        if (str_eq(field->key, S("kind")) || str_eq(field->key, S("key"))) continue;
        jsonw_key(&w, field->key);
        jsonw_value(&w, field);
    }
    jsonw_end(&w, '}');
    err_ignore(json_parse(a, buf_str(&out), &parsed, NULL), "what was just printed parses");
    return parsed;
}

static const struct json *standing(arena *a, const struct definition *def)
{
    const struct json *doc = NULL;
    if (!def || definition_published(def).len == 0 || json_parse(a, definition_published(def), &doc, NULL)) return NULL;
    return whole(a, def->kind, def->key, doc);
}

static str text_of(arena *a, const struct json *doc)
{
    struct buf out = { .arena = a };
    if (doc) json_pretty(doc, &out);
    return buf_str(&out);
}

/* What applying the file would publish: secrets that it keeps stand in it. */
static const struct json *meant(arena *a, const struct document *d, const struct json *before)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    const struct json *doc = NULL;
    definition_print_kept(whole(a, d->kind, d->key, d->doc), before, &w);
    err_ignore(json_parse(a, buf_str(&out), &doc, NULL), "what was just printed parses");
    return doc;
}

/* ---- apply -------------------------------------------------------------------------------------------------------- */

struct asking { arena *a; const struct document *of; const struct json *standing; };

static void ask_standing(void *ctx, struct fold *fold)
{
    struct asking *asking = ctx;
    asking->standing = standing(asking->a, definition_find(fold_definitions(fold), asking->of->kind, asking->of->key));
}

/* A file may need another that stands after it; so what is refused is tried again as long as anything else goes through. */
static int apply(struct args *args, struct folder *folder, struct documents *files)
{
    struct diag diag = { .arena = args->a };
    isize left = files->n, before = left + 1, unchanged = 0;
    str refused = S("");
    while (left && left < before) {
        before = left;
        for (isize i = 0; i < files->n; i++) {
            struct document *d = &files->at[i];
            struct asking asking = { args->a, d, NULL };
            if (d->done) continue;
            fold_ask_wait(folder->fold, ask_standing, &asking);
            str text = text_of(args->a, meant(args->a, d, asking.standing));
            d->done = str_eq(text, text_of(args->a, asking.standing));
            unchanged += d->done;
            if (!d->done && api_define(folder->fold, d->kind, d->key, text, S("apply"), &diag)) {
                refused = arena_printf(args->a, "%.*s: %.*s", STR_FMT(d->path), STR_FMT(diag.what));
                continue;
            }
            if (!d->done) (void)printf("%.*s %.*s\n", STR_FMT(d->kind), STR_FMT(d->key));
            d->done = true;
            left--;
        }
    }
    if (unchanged) (void)printf("%lld unchanged\n", (long long)unchanged);
    return left ? command_fail(FAILED, "%.*s", STR_FMT(refused)) : DONE;
}

int command_apply(struct args *args)
{
    struct folder folder;
    struct documents files = { 0 };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    int code = read_documents(args, args->words[0], &files);
    if (code == DONE && files.n == 0) code = command_fail(FAILED, "there is no *.json in %.*s", STR_FMT(args->words[0]));
    if (code) return code;
    if (!folder_open(args, &folder)) return FAILED;
    fold_start(folder.fold);
    code = apply(args, &folder, &files);
    fold_stop(folder.fold);
    folder_close(&folder);
    return code;
}

/* ---- the other way, and between the two --------------------------------------------------------------------------- */

struct walking {
    struct args *args;
    struct documents *files;
    void (*each)(struct walking *, const struct definition *, struct document *file);       /* file: null when there is none */
    isize count;
    bool failed;
};

static void each_standing(void *ctx, struct fold *fold)
{
    struct walking *walking = ctx;
    const struct definition *def;
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S(""), &at));) {
        if (definition_published(def).len == 0 || definition_is_hidden(def->kind, def->key)) continue;
        struct document *file = find(walking->files, def->kind, def->key);
        if (file) file->done = true;
        walking->each(walking, def, file);
    }
}

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

static void write_one(struct walking *walking, const struct definition *def, struct document *file)
{
    arena *a = walking->args->a;
    str path = file ? file->path : arena_printf(a, "%.*s/%.*s.%.*s.json", STR_FMT(walking->args->words[0]), STR_FMT(def->kind), STR_FMT(def->key));
    const struct json *doc = standing(a, def), *shown = NULL;
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    if (!doc || walking->failed) return;
    definition_print(doc, &w);
    err_ignore(json_parse(a, buf_str(&out), &shown, NULL), "what was just printed parses");
    walking->failed = !write_file(a, path, text_of(a, shown));
    if (walking->failed) (void)command_fail(FAILED, "%.*s cannot be written: %s", STR_FMT(path), strerror(errno));
    walking->count++;
}

/* One line a definition that differs, and under it the lines that do. */
static void show_difference(struct walking *walking, str kind, str key, const struct json *before, const struct json *after)
{
    arena *a = walking->args->a;
    struct diff_line *lines;
    if (str_eq(text_of(a, before), text_of(a, after))) return;
    isize n = definition_lines(a, before, after, &lines), shown = 0;
    walking->count++;
    (void)printf("%s %.*s %.*s\n", !before ? "only in the files:" : !after ? "only in the folder:" : "differs:", STR_FMT(kind), STR_FMT(key));
    if (!before || !after) return;
    for (isize i = 0; i < n; i++) {
        if (lines[i].op == ' ') continue;
        (void)printf("    %c %.*s\n", lines[i].op, STR_FMT(lines[i].text));
        shown++;
    }
    if (shown == 0) (void)printf("    a secret\n");
}

static void compare_one(struct walking *walking, const struct definition *def, struct document *file)
{
    const struct json *before = standing(walking->args->a, def);
    show_difference(walking, def->kind, def->key, before, file ? meant(walking->args->a, file, before) : NULL);
}

static int walk(struct args *args, struct walking *walking)
{
    struct folder folder;
    if (!folder_open(args, &folder)) return FAILED;
    fold_start(folder.fold);
    fold_ask_wait(folder.fold, each_standing, walking);
    fold_stop(folder.fold);
    folder_close(&folder);
    return DONE;
}

int command_export_definitions(struct args *args)
{
    struct documents files = { 0 };
    struct walking walking = { .args = args, .files = &files, .each = write_one };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (mkdir(arena_z(args->a, args->words[0]), 0755) && errno != EEXIST)
        return command_fail(FAILED, "%.*s cannot be made: %s", STR_FMT(args->words[0]), strerror(errno));
    int code = read_documents(args, args->words[0], &files);
    if (code == DONE) code = walk(args, &walking);
    if (code) return code;
    if (walking.failed) return FAILED;
    for (isize i = 0; i < files.n; i++)
        if (!files.at[i].done) (void)fprintf(stderr, "opmaat: %.*s: %.*s/%.*s is not published here; the file was left\n", STR_FMT(files.at[i].path),
                                             STR_FMT(files.at[i].kind), STR_FMT(files.at[i].key));
    (void)printf("%lld definitions\n", (long long)walking.count);
    return DONE;
}

int command_diff(struct args *args)
{
    struct documents files = { 0 };
    struct walking walking = { .args = args, .files = &files, .each = compare_one };
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    int code = read_documents(args, args->words[0], &files);
    if (code == DONE) code = walk(args, &walking);
    if (code) return code;
    for (isize i = 0; i < files.n; i++)
        if (!files.at[i].done) show_difference(&walking, files.at[i].kind, files.at[i].key, NULL, files.at[i].doc);
    if (walking.count == 0) (void)printf("the files say what is published\n");
    return walking.count ? FAILED : DONE;
}
