/* SPDX-License-Identifier: Apache-2.0
 *
 * archive.c - everything out of one data folder, and into an empty one.
 *
 * State is a fold of the log, so the log is the whole: `export all` writes its entries as they are
 * and, on the last line, how many of what they come to and the digest of the state. `import all`
 * writes them into an empty folder, folds them and compares. The settings that the fold reads
 * (dedup_days, history_events, exposure_days) must be the same on both sides; they stand in the
 * last line too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "command/inside.h"
#include "ingest/ingest.h"

enum { PIECE = 64 << 10, LINE_BYTES_MAX = 512 << 20 };

static bool write_out(void *ctx, str bytes)
{
    bool *whole = ctx;
    if (bytes.len && fwrite(bytes.ptr, 1, (size_t)bytes.len, stdout) != (size_t)bytes.len) *whole = false;
    return *whole;
}

static void write_piece(void *ctx, str bytes) { (void)write_out(ctx, bytes); }

/* ---- the last line ---------------------------------------------------------------------------- */

static str hex_digest(arena *a, struct hash128 h)
{
    return arena_printf(a, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

static isize definitions_count(const struct fold *fold)
{
    isize n = 0;
    while (definition_by_id(fold_definitions(fold), (u32)n + 1)) n++;
    return n;
}

static void print_end(struct args *args, struct fold *fold, struct buf *out)
{
    const struct totals *t = fold_totals(fold);
    const struct live *live = fold_live(fold);
    struct jsonw w = { .out = out };
    const struct { const char *name; i64 n; } counts[] = {
        { "entries", (i64)fold_ref(fold) }, { "events", t->events },         { "people", people_count(live->people) },
        { "orders", fold_orders(fold) },    { "items", catalog_count(live->catalog) },
        { "decisions", t->decisions },      { "dead_letters", t->dead },     { "definitions", definitions_count(fold) },
    };
    jsonw_begin(&w, '{');
    jsonw_key_bool(&w, "end", true);
    jsonw_key_begin(&w, "counts", '{');
    for (isize i = 0; i < countof(counts); i++) jsonw_key_int(&w, counts[i].name, counts[i].n);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "settings", '{');
    jsonw_key_int(&w, "dedup_days", args->config.dedup_days);
    jsonw_key_int(&w, "history_events", args->config.history_events);
    jsonw_key_int(&w, "exposure_days", args->config.exposure_days);
    jsonw_end(&w, '}');
    jsonw_key_str(&w, "digest", hex_digest(args->a, fold_digest(fold).all));
    jsonw_end(&w, '}');
    buf_byte(out, '\n');
}

int command_export(struct args *args)
{
    struct folder folder;
    struct diag diag = { .arena = args->a };
    bool whole = true;
    i64 since_ms = 0;
    str since = option(args, "since", "");
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    bool all = str_eq(args->words[0], S("all"));
    if (since.len && (all || !time_parse(since, &since_ms)))
        return command_fail(USAGE, all ? "--since is for events and log: all is all" : "--since takes a time");
    if (!folder_open(args, &folder)) return FAILED;
    struct api_inside inside = { .fold = folder.fold, .config = &args->config, .clock = clock_system() };
    enum err err = api_export(&inside, all ? S("log") : args->words[0], since_ms, write_piece, &whole, &diag);
    if (!err && all) {
        struct buf end = { .arena = args->a };
        print_end(args, folder.fold, &end);
        (void)write_out(&whole, buf_str(&end));
    }
    folder_close(&folder);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    return whole && fflush(stdout) == 0 ? DONE : command_fail(FAILED, "the output could not be written");
}

/* ---- in ---------------------------------------------------------------------------------------- */

/* Lines of a file, however long: an entry may be a whole catalogue. */
struct lines { struct gz *gz; struct buf text; isize at; i64 number; bool ended; };

static enum err line_next(struct lines *in, str *line, bool *found, struct diag *diag)
{
    isize looked = in->at;
    for (;;) {
        str rest = str_from(buf_str(&in->text), looked);
        isize end = rest.len ? str_find_char(rest, '\n') : -1;
        *found = end >= 0 || (in->ended && in->text.len > in->at);
        if (*found || in->ended) {
            isize to = end >= 0 ? looked + end : in->text.len;
            *line = str_slice(buf_str(&in->text), in->at, to);
            in->at = min_isize(to + 1, in->text.len);
            in->number++;
            return ERR_OK;
        }
        if (in->at) memmove(in->text.ptr, in->text.ptr + in->at, (size_t)(in->text.len - in->at));
        in->text.len -= in->at;
        in->at = 0;
        looked = in->text.len;
        if (in->text.len > LINE_BYTES_MAX) return diag_set(diag, ERR_TOO_BIG, "line %lld is over %d bytes", (long long)in->number + 1, LINE_BYTES_MAX);
        buf_reserve(&in->text, PIECE);
        isize got;
        enum err err = gz_read(in->gz, in->text.ptr + in->text.len, PIECE, &got, diag);
        if (err) return err;
        in->text.len += got;
        in->ended = got == 0;
    }
}

/* All entries into the log; the last line stays in `end`. */
static enum err take_lines(struct lines *in, struct archive *archive, arena *a, str *end, struct diag *diag)
{
    bool found;
    str line;
    *end = S("");
    for (;;) {
        enum err err = line_next(in, &line, &found, diag);
        if (err) return err;
        if (!found) return diag_set(diag, ERR_BAD_INPUT, "the export is cut short: its last line is missing");
        if (str_starts(line, S("{\"end\":true"))) {
            *end = arena_str(a, line);
            return archive_end(archive, diag);
        }
        err = archive_take(archive, line, diag);
        if (err) return diag_set(diag, err, "line %lld: %.*s", (long long)in->number, STR_FMT(arena_str(a, diag->what)));
    }
}

static enum err fill_log(struct args *args, const char *uri, struct gz *gz, str *end, struct diag *diag)
{
    struct log *log;
    enum err err = log_open(uri, &args->config, &log, diag);
    if (err) return err;
    if (log_tail(log) != 1) err = diag_set(diag, ERR_REFUSED, "the data folder is not empty: import all makes a new one");
    struct lines in = { .gz = gz };
    struct archive *archive = archive_new(log);
    bool bulk = !err && log_bulk(log, true) == LOG_OK;
    if (!err) err = take_lines(&in, archive, args->a, end, diag);
    if (bulk && log_bulk(log, false) != LOG_OK && !err) err = diag_set(diag, ERR_DISK, "the log could not be made durable");
    archive_free(archive);
    buf_fini(&in.text);
    log_close(log);
    return err;
}

/* The folder is opened, which folds the log, and says the same of itself as the other did. */
static int compare(struct args *args, str end)
{
    struct folder folder;
    struct buf mine = { .arena = args->a };
    if (!folder_open(args, &folder)) return FAILED;
    print_end(args, folder.fold, &mine);
    folder_close(&folder);
    (void)printf("%.*s", STR_FMT(buf_str(&mine)));
    if (str_eq(str_trim(buf_str(&mine)), str_trim(end))) return DONE;
    return command_fail(FAILED, "this is not what the export said of itself:\n%.*s", STR_FMT(end));
}

int import_archive(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct gz *gz;
    int lock;
    str end, path = option(args, "data", "data");
    if (args->words_n != 2) return command_fail(USAGE, "usage: opmaat import all FILE --data NEW_FOLDER");
    if (gz_open(arena_z(args->a, args->words[1]), &gz, &diag)) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (!folder_lock(path, args->a, &lock)) { gz_close(gz); return FAILED; }
    struct fold_options options = folder_options(args, path);
    enum err err = fill_log(args, options.log_uri, gz, &end, &diag);
    gz_close(gz);
    (void)close(lock);
    if (err) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(args->words[1]), STR_FMT(diag.what));
    return compare(args, end);
}
