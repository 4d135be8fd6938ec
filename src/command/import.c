/* SPDX-License-Identifier: Apache-2.0
 *
 * import.c - files in: into a folder that no server runs on, as fast as it goes; else through the
 * server, which imports on a thread of its own. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/inside.h"
#include "ingest/ingest.h"

/* ---- import ---------------------------------------------------------------------------------- */

enum { ENTRIES_PER_RECORD = 2000, BYTES_PER_RECORD = 2 << 20, JOB_LOOK_US = 50000 };

struct importing {
    struct args *args;
    struct folder *folder;
    struct basis_set basis;
    bool dry;
    FILE *refusals;
    arena batch;
    struct { struct entry *at; isize n, cap; } entries;
    isize bytes;
    i64 no_consent, shown, items;
    str source;
    currency currency;
    enum err err;
    i64 printed_us;
    bool terminal;
};

static void import_commit(struct importing *im)
{
    if (im->items) {
        struct buf bytes = { .arena = &im->batch };
        delivery_encode(&(struct delivery){ im->source, im->items }, &bytes);
        vec_push(&im->entries, (struct entry){ ENTRY_DELIVERY, buf_str(&bytes) });
        im->items = 0;
    }
    if (im->entries.n && !im->err && !im->dry)
        im->err = fold_submit_wait(im->folder->fold, im->entries.at, im->entries.n, NULL);
    im->entries.n = 0;
    im->bytes = 0;
    arena_clear(&im->batch);
}

static void import_entry(struct importing *im, u8 kind, str bytes)
{
    vec_push(&im->entries, (struct entry){ kind, arena_str(&im->batch, bytes) });
    im->bytes += bytes.len;
    if (im->entries.n >= ENTRIES_PER_RECORD || im->bytes >= BYTES_PER_RECORD) import_commit(im);
}

static void import_event(void *ctx, const struct event *e)
{
    struct importing *im = ctx;
    struct buf bytes = { 0 };
    struct event kept = *e;
    if (!consent_allows(im->basis.of[PURPOSE_ADS_SHARING], consent_said(e, PURPOSE_ADS_SHARING)))
        ingest_forget_click(&im->batch, &kept);
    switch (consent_collect(&im->basis, e, CONSENT_UNKNOWN, CONSENT_UNKNOWN)) {
    case COLLECT_NOTHING: im->no_consent++; return;
    case COLLECT_WITHOUT_PERSON: kept.identifiers_n = kept.traits_n = 0; break;
    case COLLECT_WHOLE: break;
    }
    event_encode(&kept, &bytes);
    import_entry(im, ENTRY_EVENT, buf_str(&bytes));
    buf_fini(&bytes);
}

static void import_item(void *ctx, const struct item_change *change)
{
    struct importing *im = ctx;
    struct buf bytes = { 0 };
    struct item_change said = *change;
    if (str_eq(option(im->args, "mode", ""), S("delta")) && im->folder->fold) {
        /* a product may stand in the file twice: each adds to what is there */
        if (im->entries.n) import_commit(im);
        import_delta(fold_live(im->folder->fold)->catalog, &said, &im->batch);
    }
    item_change_encode(&said, &bytes);
    im->items++;
    import_entry(ctx, ENTRY_CATALOG, buf_str(&bytes));
    buf_fini(&bytes);
}

/* The same line, refused for the same, is one letter however often its file comes. */
static void import_letter(void *ctx, i64 line, str reason, str raw)
{
    struct importing *im = ctx;
    struct buf bytes = { .arena = &im->batch }, said = { .arena = &im->batch };
    buf_add(&said, raw);
    buf_add(&said, reason);
    struct hash128 h = hash128(buf_str(&said), 0);
    struct dead_letter letter = {
        .source = im->source,
        .raw = raw,
        .verified = true,
        .reason = arena_printf(&im->batch, "line %lld: %.*s", (long long)line, STR_FMT(reason)),
        .key = arena_printf(&im->batch, "line-%016" PRIx64 "%016" PRIx64, h.hi, h.lo)
    };
    dead_letter_encode(&letter, &bytes);
    import_entry(im, ENTRY_DEAD, buf_str(&bytes));
}

static void import_refused(void *ctx, i64 line, str reason, i64 amount_micro)
{
    struct importing *im = ctx;
    FILE *to = im->refusals ? im->refusals : stderr;
    if (!im->refusals && im->shown++ >= 20) return;
    (void)fprintf(to, "line %lld: %.*s", (long long)line, STR_FMT(reason));
    if (amount_micro) (void)fprintf(to, " (%.2f)", (f64)amount_micro / IMPORT_MICRO);
    (void)fputc('\n', to);
    if (!im->refusals && im->shown == 20) (void)fprintf(to, "… more; --refusals FILE writes all of them\n");
}

static void import_progress(void *ctx, struct gz_progress at)
{
    struct importing *im = ctx;
    i64 now = clock_monotonic_us();
    if (!im->terminal || now - im->printed_us < 100000) return;
    im->printed_us = now;
    f64 share = at.total > 0 ? (f64)at.done / (f64)at.total : 0;
    char bar[41];
    for (int i = 0; i < 40; i++) bar[i] = i < (int)(share * 40) ? '#' : '.';
    bar[40] = 0;
    (void)fprintf(stderr, "\r[%s] %3.0f %%", bar, share * 100);
}

/* A file's source: declared by the import itself when nobody has, on the basis of contract: these
 * are the shop's own books. */
static enum err need_source(struct importing *im, str key, struct diag *diag)
{
    const struct source *known =
        im->folder->fold ? book_source(atomic_load(&fold_live(im->folder->fold)->book), key) : NULL;
    if (known) {
        im->basis = known->basis;
        im->currency = known->currency;
        return ERR_OK;
    }
    im->basis = basis_default();
    im->basis.of[PURPOSE_ANALYTICS] = im->basis.of[PURPOSE_PERSONALISATION] =
        im->basis.of[PURPOSE_MODEL_TRAINING] = BASIS_CONTRACT;
    if (im->dry) return ERR_OK;
    return api_define(
        im->folder->fold, S("source"), key,
        S("{\"title\":\"Imported files\",\"channel\":\"server\",\"expected_every\":\"never\",\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\","
          "\"model_training\":\"contract\"}}"),
        S("import"), diag);
}

static void print_totals(const struct args *args, const struct import_totals *t,
                         const struct importing *im, i64 took_ms)
{
    if (flag(args, "json")) {
        (void)printf(
            "{\"lines\":%lld,\"accepted\":%lld,\"refused\":%lld,\"accepted_sum\":\"%.2f\",\"refused_sum\":\"%.2f\",\"sum\":\"%.2f\","
            "\"repeated\":%lld,\"orders\":%lld,\"refunds\":%lld,\"people\":%lld,\"guests\":%lld,\"events\":%lld,\"items\":%lld,"
            "\"no_consent\":%lld,\"ms\":%lld}\n",
            (long long)t->lines, (long long)t->accepted, (long long)t->refused,
            (f64)t->accepted_micro / IMPORT_MICRO, (f64)t->refused_micro / IMPORT_MICRO,
            (f64)(t->accepted_micro + t->refused_micro) / IMPORT_MICRO, (long long)t->repeated,
            (long long)t->orders, (long long)t->refunds, (long long)t->people, (long long)t->guests,
            (long long)t->events, (long long)t->items, (long long)im->no_consent,
            (long long)took_ms);
        return;
    }
    (void)printf("%lld lines: %lld accepted, %lld refused\n", (long long)t->lines,
                 (long long)t->accepted, (long long)t->refused);
    if (t->orders || t->refunds)
        (void)printf("sum %.2f accepted + %.2f refused = %.2f; %lld lines repeat another exactly\n"
                     "%lld orders, %lld refunds, of %lld people; %lld by guests\n",
                     (f64)t->accepted_micro / IMPORT_MICRO, (f64)t->refused_micro / IMPORT_MICRO,
                     (f64)(t->accepted_micro + t->refused_micro) / IMPORT_MICRO,
                     (long long)t->repeated, (long long)t->orders, (long long)t->refunds,
                     (long long)t->people, (long long)t->guests);
    if (t->items) (void)printf("%lld items\n", (long long)t->items);
    if (im->no_consent)
        (void)printf("%lld events refused: the source declares no basis for them\n",
                     (long long)im->no_consent);
    (void)printf("%s in %.1f s\n", im->dry ? "dry run: nothing was written" : "done", (f64)took_ms / 1000);
}

/* People are counted file by file: who stands in two files is counted twice. */
static void add_totals(struct import_totals *all, const struct import_totals *one)
{
    all->lines += one->lines;
    all->accepted += one->accepted;
    all->refused += one->refused;
    all->accepted_micro += one->accepted_micro;
    all->refused_micro += one->refused_micro;
    all->repeated += one->repeated;
    all->orders += one->orders;
    all->refunds += one->refunds;
    all->people += one->people;
    all->guests += one->guests;
    all->events += one->events;
    all->items += one->items;
}

static enum err import_file(struct importing *im, const struct import *import, str path,
                            struct import_totals *all, struct diag *diag)
{
    struct gz *gz;
    enum err err = gz_open(arena_z(im->args->a, path), &gz, diag);
    if (err) return err;
    struct import_sink sink = {
        im, import_event, import_item, import_refused, import_progress, import_letter
    };
    struct import_totals totals = { 0 };
    struct replacement dropped = { 0 };
    if (str_eq(option(im->args, "mode", ""), S("replace"))) {
        struct gz *look;
        err = im->folder->fold ? gz_open(arena_z(im->args->a, path), &look, diag)
                               : diag_set(diag, ERR_REFUSED, "there is nothing to replace yet");
        if (!err) {
            err = import_replacement(look, import, fold_live(im->folder->fold)->catalog,
                                     flag(im->args, "force"), im->args->a, &dropped, diag);
            gz_close(look);
        }
    }
    if (!err) err = import_run(gz, import, &sink, &totals, diag);
    gz_close(gz);
    for (isize i = 0; !err && i < dropped.n; i++) import_item(im, &dropped.at[i]);
    if (!err) import_commit(im);
    add_totals(all, &totals);
    if (err)
        err = diag_set(diag, err, "%.*s: %.*s", STR_FMT(path),
                       STR_FMT(arena_str(im->args->a, diag->what)));
    if (im->terminal) (void)fprintf(stderr, "\r%60s\r", "");
    return err ? err : im->err;
}

/* ---- through a server ------------------------------------------------------------------------ */

static i64 number(const struct json *job, const char *name)
{
    return json_int(json_get(job, str_of(name)), 0);
}

/* The job's refusals are its first; all of them are dead letters there. */
static void take_job(struct importing *im, const struct json *job, struct import_totals *totals)
{
    json_each (one, json_get(job, S("refusals")))
        import_refused(im, number(one, "line"), json_get_str(one, "reason"), 0);
    if (number(job, "refused") > json_len(json_get(job, S("refusals"))))
        (void)fprintf(
            stderr,
            "opmaat: the first %td lines that were refused are told; all %lld are dead letters of the source \"%.*s\"\n",
            json_len(json_get(job, S("refusals"))), (long long)number(job, "refused"),
            STR_FMT(json_get_str(job, "source")));
    im->no_consent += number(job, "no_consent");
    add_totals(totals, &(struct import_totals){ .lines = number(job, "lines"),
                                                .accepted = number(job, "accepted"),
                                                .refused = number(job, "refused"),
                                                .orders = number(job, "orders"),
                                                .refunds = number(job, "refunds"),
                                                .people = number(job, "people"),
                                                .events = number(job, "events"),
                                                .items = number(job, "items") });
}

static bool await_job(struct importing *im, struct server *server, str id, struct answer *answer)
{
    str path = arena_printf(im->args->a, "/v1/jobs/%.*s", STR_FMT(id));
    for (;;) {
        if (!server_get(server, path, answer)) return false;
        str state = json_get_str(answer->json, "state");
        import_progress(
            im, (struct gz_progress){
                    (i64)(1000 * json_num(json_get(answer->json, S("progress")), 0)), 1000 });
        if (str_eq(state, S("done"))) return true;
        if (str_eq(state, S("failed")))
            return command_fail(false, "%.*s", STR_FMT(json_get_str(answer->json, "error")));
        (void)usleep(JOB_LOOK_US);
    }
}

static bool import_through(struct importing *im, struct server *server, const struct import *import,
                           struct import_totals *totals)
{
    struct args *args = im->args;
    str map = import->map ? json_print(args->a, import->map) : S(""), mode = option(args, "mode", "upsert");
    str path = arena_printf(args->a, "/v1/import/%.*s?source=%.*s&mode=%.*s%s%s%.*s",
                            STR_FMT(import->kind), STR_FMT(escaped(args, import->source)),
                            STR_FMT(mode), flag(args, "force") ? "&force=true" : "",
                            map.len ? "&map=" : "", STR_FMT(escaped(args, map)));
    for (isize i = 1; i < args->words_n; i++) {
        struct answer answer;
        bool found;
        str file = read_file(args->a, arena_z(args->a, args->words[i]), &found);
        if (!found) return command_fail(false, "%.*s cannot be read", STR_FMT(args->words[i]));
        if (!server_post(server, path, file, &answer)
            || !await_job(im, server, json_get_str(answer.json, "job"), &answer))
            return false;
        take_job(im, answer.json, totals);
    }
    return true;
}

/* Whether somebody else works on the folder; false, too, when it cannot be locked, which opening it
 * will say. */
static bool folder_busy(struct args *args)
{
    int fd;
    bool taken = false;
    if (option(args, "url", "").len) return true;
    if (!folder_there(args)) return false;
    if (folder_try_lock(option(args, "data", "data"), args->a, &fd, &taken)) (void)close(fd);
    return taken;
}

int command_import(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct folder folder = { .lock_fd = -1 };           /* no fold in it until it is opened */
    struct importing im = { .args = args,
                            .folder = &folder,
                            .dry = flag(args, "dry-run"),
                            .terminal = isatty(STDERR_FILENO) };
    struct import import = { .kind = args->words_n ? args->words[0] : S(""),
                             .source = option(args, "source", ""),
                             .received_ms = clock_now(clock_system()) };
    if (args->words_n < 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (str_eq(import.kind, S("all"))) return import_archive(args);
    if (str_eq(import.kind, S("growthbook")) || str_eq(import.kind, S("optimizely")))
        return import_flags(args);
    if (!import_kind_known(import.kind))
        return command_fail(
            USAGE,
            "there is no import kind \"%.*s\": orders products customers events prices stock content growthbook optimizely",
            STR_FMT(import.kind));
    if (args->words_n < 2) return command_fail(USAGE, "which file?\nusage: opmaat %s", args->usage);
    str map = option(args, "map", ""), mode = option(args, "mode", "upsert");
    bool catalogue = str_eq(import.kind, S("products")) || str_eq(import.kind, S("content"))
                     || str_eq(import.kind, S("stock"));
    bool fits = str_eq(mode, S("upsert")) || (str_eq(mode, S("replace")) && catalogue)
                || (str_eq(mode, S("delta")) && str_eq(import.kind, S("stock")));
    if (!fits)
        return command_fail(
            USAGE, "--mode is upsert; replace for products, content and stock; delta for stock");
    if (map.len) {
        bool found;
        str text = read_file(args->a, arena_z(args->a, map), &found);
        if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(map));
        if (json_parse(args->a, text, &import.map, &diag))
            return command_fail(FAILED, "%.*s: %.*s", STR_FMT(map), STR_FMT(diag.what));
    }
    if (import.source.len == 0) import.source = json_str(json_get(import.map, S("source")), S("import"));
    str refusals = option(args, "refusals", "");
    if (refusals.len && !(im.refusals = fopen(arena_z(args->a, refusals), "we")))
        return command_fail(FAILED, "%.*s cannot be written", STR_FMT(refusals));
    for (isize i = 1; i < args->words_n; i++)           /* before the folder is made */
        if (access(arena_z(args->a, args->words[i]), R_OK) != 0)
            return command_fail(FAILED, "%.*s cannot be read", STR_FMT(args->words[i]));
    im.source = import.source;
    if (!im.dry && folder_busy(args)) {
        struct server server;
        struct import_totals totals = { 0 };
        i64 began = clock_monotonic_us();
        if (!server_reach(args, &server, 0)) return FAILED;
        bool ok = import_through(&im, &server, &import, &totals);
        server_leave(&server);
        if (im.refusals) (void)fclose(im.refusals);
        if (im.terminal) (void)fprintf(stderr, "\r%60s\r", "");
        if (!ok) return FAILED;
        print_totals(args, &totals, &im, (clock_monotonic_us() - began) / 1000);
        return totals.accepted == 0 && totals.refused > 0
                   ? command_fail(FAILED, "every line was refused")
                   : DONE;
    }
    /* A dry run opens the folder that is there, for what its source declares, and makes none. */
    bool opens =
        !im.dry
        || access(
               arena_printf(args->a, "%.*s/opmaat.db", STR_FMT(option(args, "data", "data"))).ptr,
               R_OK)
               == 0;
    if (opens && !folder_open(args, &folder)) return FAILED;
    if (!im.dry) fold_start(folder.fold);
    i64 began = clock_monotonic_us();
    struct import_totals totals = { 0 };
    im.source = import.source;
    enum err err = need_source(&im, import.source, &diag);
    if (!import.currency.v && !json_get(import.map, S("currency"))) import.currency = im.currency;
    for (isize i = 1; !err && i < args->words_n; i++)
        err = import_file(&im, &import, args->words[i], &totals, &diag);
    if (!im.dry) fold_stop(folder.fold);
    if (opens) folder_close(&folder);
    if (im.refusals) (void)fclose(im.refusals);
    arena_fini(&im.batch);
    vec_fini(&im.entries);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what.len ? diag.what : str_of(err_title(err))));
    print_totals(args, &totals, &im, (clock_monotonic_us() - began) / 1000);
    return totals.accepted == 0 && totals.refused > 0 ? command_fail(FAILED, "every line was refused") : DONE;
}
