/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - whether what is kept is whole: the log looked into, and replayed.
 *
 * `log verify` reads the files and nothing else, so it does beside a server what it does without
 * one. `verify` compares with the stored state, which moves while a server runs: there it looks at
 * a copy, made as `backup` makes one, beside the folder and gone afterwards.
 */
#include <stdio.h>
#include <unistd.h>

#include "command/inside.h"

/* ---- verify ---------------------------------------------------------------------------------- */

static int verify_at(struct args *args, str path)
{
    struct diag diag = { .arena = args->a };
    struct buf report = { .arena = args->a };
    struct fold_options options = folder_options(args, path);
    enum err err = fold_verify(&options, &report, &diag);
    (void)printf("%.*s", STR_FMT(buf_str(&report)));
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    (void)puts("a replay of the log gives the same state");
    return DONE;
}

int command_verify(struct args *args)
{
    int fd;
    bool taken;
    str path = option(args, "data", "data");
    if (!folder_there(args)) return command_fail(FAILED, "there is no folder %.*s", STR_FMT(path));
    if (folder_try_lock(path, args->a, &fd, &taken)) {
        int code = verify_at(args, path);
        (void)close(fd);
        return code;
    }
    if (!taken) return FAILED;
    str copy = arena_printf(args->a, "%.*s/verify.%d", STR_FMT(path), (int)getpid());
    int code = backup_to(args, copy);
    if (code == DONE) code = verify_at(args, copy);
    backup_remove(args, copy);
    return code;
}

/* ---- log ------------------------------------------------------------------------------------- */

static int log_check(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct log_totals totals;
    struct fold_options options = folder_options(args, option(args, "data", "data"));
    if (log_verify(options.log_uri, &args->config, &totals, &diag))
        return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    (void)printf("records %lld\nentries %lld\nbytes   %lld\nfiles   %lld\n",
                 (long long)totals.records, (long long)totals.entries, (long long)totals.bytes,
                 (long long)totals.files);
    return DONE;
}

/* {"next": 12} at the end of an answer that is not all of it. */
bool page_next(struct args *args, str page, str *rows, i64 *next)
{
    isize begin = page.len;
    const struct json *last = NULL;
    while (begin > 1 && page.ptr[begin - 2] != '\n') begin--;
    if (begin > 0) begin--;
    str line = str_trim(str_from(page, begin));
    *rows = page;
    if (!str_starts(line, S("{\"next\":")) || json_parse(args->a, line, &last, NULL)) return false;
    *rows = str_slice(page, 0, begin);
    const struct json *at = json_get(last, S("next"));
    return str_to_i64(json_text(args->a, at), next);
}

static int log_cat(struct args *args)
{
    struct server server;
    struct answer answer;
    i64 from = 1, left = INT64_MAX;
    bool more = true, ok = true;
    (void)str_to_i64(option(args, "from", "1"), &from);
    if (option(args, "count", "").len) (void)str_to_i64(option(args, "count", ""), &left);
    if (!server_reach(args, &server, 0)) return FAILED;
    while (more && ok && left > 0) {
        str rows;
        i64 before = from;
        ok = server_get(&server,
                        arena_printf(args->a, "/v1/log?from=%lld&limit=%lld", (long long)from,
                                     (long long)min_i64(left, 100000)),
                        &answer);
        more = ok && page_next(args, answer.body, &rows, &from);
        if (ok) (void)fwrite(rows.ptr, 1, (size_t)rows.len, stdout);
        left -= more ? from - before : left;
    }
    server_leave(&server);
    return ok ? DONE : FAILED;
}

static int log_stat(struct args *args)
{
    struct server server;
    struct answer answer;
    static const char *const names[] = { "records", "entries", "bytes", "files" };
    if (!server_reach(args, &server, 0)) return FAILED;
    bool ok = server_get(&server, S("/v1/digest"), &answer);
    server_leave(&server);
    for (isize i = 0; ok && i < countof(names); i++)
        (void)printf(
            "%-7s %lld\n", names[i],
            (long long)json_int(json_get(json_get(answer.json, S("log")), str_of(names[i])), 0));
    return ok ? DONE : FAILED;
}

int command_log(struct args *args)
{
    static const struct {
        const char *word;
        int (*run)(struct args *args);
    } deeds[] = { { "stat", log_stat }, { "cat", log_cat }, { "verify", log_check } };
    str what = args->words_n ? args->words[0] : S("stat");
    for (isize i = 0; i < countof(deeds); i++) {
        if (!str_eq(what, str_of(deeds[i].word))) continue;
        if (option(args, "url", "").len == 0 && !folder_there(args))
            return command_fail(FAILED, "there is no folder %.*s",
                                STR_FMT(option(args, "data", "data")));
        return deeds[i].run(args);
    }
    return command_fail(USAGE, "usage: opmaat %s", args->usage);
}
