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

/* ---- out ------------------------------------------------------------------------------------- */

/* Counts, settings and digest, as GET /v1/digest says them: the last line. */
static str last_line(struct args *args, const struct json *whole)
{
    static const char *const parts[] = { "counts", "settings", "digest" };
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_bool(&w, "end", true);
    for (isize i = 0; i < countof(parts); i++) {
        jsonw_key(&w, str_of(parts[i]));
        jsonw_value(&w, json_get(whole, str_of(parts[i])));
    }
    jsonw_end(&w, '}');
    buf_byte(&out, '\n');
    return buf_str(&out);
}

static bool write_out(str bytes)
{
    return bytes.len == 0 || fwrite(bytes.ptr, 1, (size_t)bytes.len, stdout) == (size_t)bytes.len;
}

/* Page by page; a page's memory goes with the next one's. */
static bool export_kind(struct server *server, str kind, str since, i64 through)
{
    struct args *args = server->args;
    arena *whole = args->a;
    arena page = { 0 };
    i64 after = 0;
    bool ok = true;
    args->a = &page;
    for (bool more = true; ok && more;) {
        struct answer answer;
        str rows;
        arena_clear(&page);
        ok = server_get(server,
                        arena_printf(&page, "/v1/export/%.*s?after=%lld&through=%lld%s%.*s",
                                     STR_FMT(kind), (long long)after, (long long)through,
                                     since.len ? "&since=" : "", STR_FMT(escaped(args, since))),
                        &answer);
        more = ok && page_next(args, answer.body, &rows, &after);
        if (ok && !write_out(rows)) ok = command_fail(false, "the output could not be written");
    }
    args->a = whole;
    arena_fini(&page);
    return ok;
}

static i64 erasures_of(const struct json *whole)
{
    return json_int(json_get(whole, S("erasures")), 0) * 2
           + (json_int(json_get(whole, S("erasures_running")), 0) > 0);
}

/* The log up to the entry that the digest is of. An erasure takes entries out, so one in between
 * would make the two differ. */
static bool export_all(struct server *server)
{
    struct answer before, after;
    if (!server_get(server, S("/v1/digest"), &before)) return false;
    if (json_int(json_get(before.json, S("erasures_running")), 0) > 0)
        return command_fail(
            false,
            "somebody is being erased just now: try again when GET /v1/regulations says that it is done");
    i64 through = json_int(json_get(json_get(before.json, S("counts")), S("entries")), 0);
    if (through > 0 && !export_kind(server, S("log"), S(""), through)) return false;
    if (!server_get(server, S("/v1/digest"), &after)) return false;
    if (erasures_of(before.json) != erasures_of(after.json))
        return command_fail(false, "somebody was erased meanwhile: export again");
    return write_out(last_line(server->args, before.json))
           || command_fail(false, "the output could not be written");
}

int command_export(struct args *args)
{
    struct server server;
    i64 since_ms = 0;
    str since = option(args, "since", "");
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    bool all = str_eq(args->words[0], S("all"));
    if (since.len && (all || !time_parse(since, &since_ms)))
        return command_fail(USAGE, all ? "--since is for events and log: all is all"
                                       : "--since takes a time");
    if (!server_reach(args, &server, 0)) return FAILED;
    bool ok = all ? export_all(&server) : export_kind(&server, args->words[0], since, 0);
    server_leave(&server);
    if (!ok) return FAILED;
    return fflush(stdout) == 0 ? DONE : command_fail(FAILED, "the output could not be written");
}

/* ---- in -------------------------------------------------------------------------------------- */

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
        if (in->text.len > LINE_BYTES_MAX)
            return diag_set(diag, ERR_TOO_BIG, "line %lld is over %d bytes",
                            (long long)in->number + 1, LINE_BYTES_MAX);
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
        if (err)
            return diag_set(diag, err, "line %lld: %.*s", (long long)in->number,
                            STR_FMT(arena_str(a, diag->what)));
    }
}

static enum err fill_log(struct args *args, const char *uri, struct gz *gz, str *end, struct diag *diag)
{
    struct log *log;
    enum err err = log_open(uri, &args->config, &log, diag);
    if (err) return err;
    if (log_tail(log) != 1)
        err =
            diag_set(diag, ERR_REFUSED, "the data folder is not empty: import all makes a new one");
    struct lines in = { .gz = gz };
    struct archive *archive = archive_new(log);
    bool bulk = !err && log_bulk(log, true) == LOG_OK;
    if (!err) err = take_lines(&in, archive, args->a, end, diag);
    if (bulk && log_bulk(log, false) != LOG_OK && !err)
        err = diag_set(diag, ERR_DISK, "the log could not be made durable");
    archive_free(archive);
    buf_fini(&in.text);
    log_close(log);
    return err;
}

/* The folder is opened, which folds the log, and says the same of itself as the other did. */
static int compare(struct args *args, str end)
{
    struct server server;
    struct answer answer;
    if (!server_reach(args, &server, 0)) return FAILED;
    bool ok = server_get(&server, S("/v1/digest"), &answer);
    server_leave(&server);
    if (!ok) return FAILED;
    str mine = last_line(args, answer.json);
    (void)printf("%.*s", STR_FMT(mine));
    if (str_eq(str_trim(mine), str_trim(end))) return DONE;
    return command_fail(FAILED, "this is not what the export said of itself:\n%.*s", STR_FMT(end));
}

int import_archive(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct gz *gz;
    int lock;
    str end, path = option(args, "data", "data");
    if (args->words_n != 2) return command_fail(USAGE, "usage: opmaat import all FILE --data NEW_FOLDER");
    if (gz_open(arena_z(args->a, args->words[1]), &gz, &diag))
        return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (!folder_lock(path, args->a, &lock)) { gz_close(gz); return FAILED; }
    struct fold_options options = folder_options(args, path);
    enum err err = fill_log(args, options.log_uri, gz, &end, &diag);
    gz_close(gz);
    (void)close(lock);
    if (err) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(args->words[1]), STR_FMT(diag.what));
    return compare(args, end);
}
