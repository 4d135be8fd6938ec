/* SPDX-License-Identifier: Apache-2.0
 *
 * backup.c - a copy of a data folder that is whole, and a folder of it again.
 *
 * A copy is made by reading, beside whatever server runs: the stored state first, as of one moment
 * (store_backup), then the log, which by then goes further. Opening the copy replays the rest, as
 * after a crash. Of the log's last file nothing beyond its last whole record counts; what a commit
 * was writing just then is cut off, as after a crash, too. An erasure writes old log files anew;
 * when one did so meanwhile, the copy is begun again, so that none holds half of what was taken
 * out.
 *
 * It is made under another name, NAME.part, checked by replaying all of it, and only then renamed:
 * what has the name is whole. A copy that was broken off leaves NAME.part, which the next one
 * removes.
 *
 * backup.json says of each file how long it is and its hash, so that `restore` knows what it was
 * given. A copy holds whoever was in it then, and somebody may have been erased since, or have
 * taken a consent back: --erasures takes the list of both (`opmaat export erasures`, kept
 * elsewhere), which names nobody, and has those that the copy does not know carried out again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "command/inside.h"
#include "store/store.h"

enum { FILES_MAX = 100000, COPY_BYTES = 1 << 20, TRIES_MAX = 10, REFUSALS_AT_ONCE = 5000 };
#define MANIFEST "backup.json"

struct file { str name; u64 inode; i64 bytes; struct hash128 hash; };
struct files { struct file *at; isize n; };

static str within(arena *a, str dir, str name)
{
    return arena_printf(a, "%.*s/%.*s", STR_FMT(dir), STR_FMT(name));
}

static bool fails(const char *what, str path)
{
    return command_fail(false, "%.*s cannot be %s: %s", STR_FMT(path), what, strerror(errno));
}

/* ---- files ----------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y)
{
    const struct file *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

/* Plain files of a folder, by name; none when there is no folder. */
static struct files list(arena *a, str dir)
{
    struct files out = { arena_new(a, struct file, FILES_MAX), 0 };
    DIR *listing = opendir(arena_z(a, dir));
    struct stat st;
    if (!listing) return out;
    for (const struct dirent *one; out.n < FILES_MAX && (one = readdir(listing)) != NULL;) {
        if (fstatat(dirfd(listing), one->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) continue;
        out.at[out.n++] = (struct file){ .name = arena_printf(a, "%s", one->d_name),
                                         .inode = (u64)st.st_ino,
                                         .bytes = (i64)st.st_size };
    }
    (void)closedir(listing);
    if (out.n) qsort(out.at, (size_t)out.n, sizeof *out.at, by_name);
    return out;
}

static bool sync_dir(arena *a, str dir)
{
    int fd = open(arena_z(a, dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) (void)close(fd);
    return ok;
}

static bool is_zero(str block)
{
    for (isize i = 0; i < block.len; i++)
        if (block.ptr[i]) return false;
    return true;
}

/* A log file has room set aside, zeros that need no room in a copy. */
static bool copy_file(arena *a, str from, str to)
{
    int in = open(arena_z(a, from), O_RDONLY | O_CLOEXEC),
        out = open(arena_z(a, to), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *block = mem_new(COPY_BYTES);
    bool ok = in >= 0 && out >= 0;
    i64 at = 0;
    for (isize n = 1; ok && n > 0; at += n) {
        n = pread(in, block, COPY_BYTES, at);
        ok = n >= 0 && (n == 0 || is_zero((str){ block, n }) || pwrite(out, block, (size_t)n, at) == n);
        if (n <= 0) break;
    }
    ok = ok && ftruncate(out, at) == 0 && fsync(out) == 0;
    if (!ok) (void)fails("copied", from);
    if (in >= 0) (void)close(in);
    if (out >= 0) (void)close(out);
    mem_free(block);
    return ok;
}

static bool hash_file(arena *a, str path, struct file *out)
{
    bool found;
    arena own = { 0 };
    str text = read_file(&own, arena_z(a, path), &found);
    out->bytes = text.len;
    out->hash = hash128(text, 0);
    arena_fini(&own);
    return found;
}

/* Of a folder of ours: its files, its log's files, and itself. Anything else in it stays, and then
 * so does the folder. */
void backup_remove(struct args *args, str path)
{
    str log = within(args->a, path, S("log"));
    struct files inner = list(args->a, log), outer = list(args->a, path);
    for (isize i = 0; i < inner.n; i++)
        (void)unlink(arena_z(args->a, within(args->a, log, inner.at[i].name)));
    (void)rmdir(arena_z(args->a, log));
    for (isize i = 0; i < outer.n; i++)
        (void)unlink(arena_z(args->a, within(args->a, path, outer.at[i].name)));
    (void)rmdir(arena_z(args->a, path));
}

/* ---- copying --------------------------------------------------------------------------------- */

static bool copy_store(struct args *args, str from, str to)
{
    struct diag diag = { .arena = args->a };
    struct store *store;
    enum err err = store_open(arena_z(args->a, from), STORE_READER, &store, &diag);
    if (err == ERR_NOT_FOUND) return true;
    if (!err) {
        err = store_backup(store, arena_z(args->a, to), (struct store_progress){ 0 }, &diag);
        store_close(store);
    }
    return err ? command_fail(false, "%.*s: %.*s", STR_FMT(from), STR_FMT(diag.what)) : true;
}

/* Files in order, and those that were begun meanwhile. *moved: one of them was written anew, or went. */
static bool copy_log(struct args *args, str from, str to, bool *moved)
{
    arena *a = args->a;
    str source = within(a, from, S("log")), target = within(a, to, S("log"));
    struct files before = list(a, source), after;
    *moved = false;
    if (mkdir(arena_z(a, target), 0700)) return fails("made", target);
    for (isize done = 0; done < before.n && !*moved;) {
        for (; done < before.n && !*moved; done++) {
            str name = before.at[done].name;
            if (!str_ends(name, S(".log"))) continue;
            *moved = access(arena_z(a, within(a, source, name)), R_OK) != 0;
            if (!*moved && !copy_file(a, within(a, source, name), within(a, target, name))) return false;
        }
        after = list(a, source);
        for (isize i = 0; i < before.n && !*moved; i++) {
            if (!str_ends(before.at[i].name, S(".log"))) continue;
            isize k = 0;
            while (k < after.n && !str_eq(after.at[k].name, before.at[i].name)) k++;
            *moved = k == after.n || after.at[k].inode != before.at[i].inode;
        }
        /* The last one was still being written: when another has begun, it is taken again, as it is
         * now that it is full. */
        if (!*moved && after.n > before.n && before.n) {
            done = before.n - 1;
            (void)unlink(arena_z(a, within(a, target, before.at[done].name)));
        }
        before = after;
    }
    return sync_dir(a, target);
}

/* What a commit was writing is cut from the log's copy. False when it is damaged. */
static bool settle_log(struct args *args, str path, struct diag *diag)
{
    struct log *log;
    struct fold_options options = folder_options(args, path);
    if (log_open(options.log_uri, &args->config, &log, diag)) return false;
    log_close(log);
    return true;
}

static bool copy_once(struct args *args, str from, str to, bool *again)
{
    static const char *const stores[] = { "opmaat.db", "deliver.db" };
    struct diag diag = { .arena = args->a };
    backup_remove(args, to);
    if (mkdir(arena_z(args->a, to), 0700)) return fails("made", to);
    for (isize i = 0; i < countof(stores); i++)
        if (!copy_store(args, within(args->a, from, str_of(stores[i])),
                        within(args->a, to, str_of(stores[i]))))
            return false;
    if (!copy_log(args, from, to, again)) return false;
    if (*again) return true;
    *again = !settle_log(args, to, &diag);
    if (*again) (void)fprintf(stderr, "opmaat: %.*s; copied again\n", STR_FMT(diag.what));
    return true;
}

/* A copy in a folder that no more than a name stands for yet; not checked, not listed. */
int backup_to(struct args *args, str path)
{
    str from = option(args, "data", "data");
    bool again = true;
    for (int i = 0; i < TRIES_MAX && again; i++)
        if (!copy_once(args, from, path, &again)) return FAILED;
    return again ? command_fail(FAILED,
                                "the log was written anew or damaged %d times while it was copied",
                                TRIES_MAX)
                 : DONE;
}

/* ---- the list of what is in it --------------------------------------------------------------- */

static bool files_of(arena *a, str dir, struct files *out)
{
    struct files outer = list(a, dir), inner = list(a, within(a, dir, S("log")));
    out->at = arena_new(a, struct file, outer.n + inner.n);
    for (isize i = 0; i < outer.n + inner.n; i++) {
        const struct file *f = i < outer.n ? &outer.at[i] : &inner.at[i - outer.n];
        /* made by looking into it */
        if (str_eq(f->name, S(MANIFEST)) || str_eq(f->name, S("lock"))) continue;
        struct file *one = &out->at[out->n++];
        *one = *f;
        if (i >= outer.n) one->name = arena_printf(a, "log/%.*s", STR_FMT(f->name));
        if (!hash_file(a, within(a, dir, one->name), one)) return fails("read", within(a, dir, one->name));
    }
    return true;
}

static str hex(arena *a, struct hash128 h)
{
    return arena_printf(a, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

static bool write_manifest(struct args *args, str dir)
{
    struct files files = { 0 };
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    if (!files_of(args->a, dir, &files)) return false;
    jsonw_begin(&w, '{');
    jsonw_key_time(&w, "made_at", clock_now(clock_system()));
    jsonw_key_begin(&w, "files", '[');
    for (isize i = 0; i < files.n; i++) {
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "name", files.at[i].name);
        jsonw_key_int(&w, "bytes", files.at[i].bytes);
        jsonw_key_str(&w, "hash", hex(args->a, files.at[i].hash));
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    buf_byte(&out, '\n');
    str path = within(args->a, dir, S(MANIFEST));
    int fd = open(arena_z(args->a, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, out.ptr, (size_t)out.len) == out.len && fsync(fd) == 0;
    if (fd >= 0) (void)close(fd);
    return ok && sync_dir(args->a, dir) ? true : fails("written", path);
}

/* Every file that the list names is there and says the same; *made_at is when. */
static bool check_manifest(struct args *args, str dir, str *made_at)
{
    arena *a = args->a;
    bool found;
    const struct json *doc = NULL;
    str path = within(a, dir, S(MANIFEST)), text = read_file(a, arena_z(a, path), &found);
    if (!found) return command_fail(false, "%.*s is no backup: it has no " MANIFEST, STR_FMT(dir));
    if (json_parse(a, text, &doc, NULL)) return command_fail(false, "%.*s does not read", STR_FMT(path));
    json_each(one, json_get(doc, S("files"))) {
        struct file is;
        str name = json_get_str(one, "name");
        if (str_find(name, S("..")) >= 0)
            return command_fail(false, "%.*s names a file outside of it", STR_FMT(path));
        if (!hash_file(a, within(a, dir, name), &is))
            return command_fail(false, "%.*s/%.*s is missing", STR_FMT(dir), STR_FMT(name));
        if (is.bytes != json_int(json_get(one, S("bytes")), -1)
            || !str_eq(hex(a, is.hash), json_get_str(one, "hash")))
            return command_fail(false, "%.*s/%.*s is not as it was copied", STR_FMT(dir), STR_FMT(name));
    }
    *made_at = json_get_str(doc, "made_at");
    return true;
}

static bool is_empty(arena *a, str dir)
{
    DIR *listing = opendir(arena_z(a, dir));
    isize n = 0;
    if (!listing) return errno == ENOENT;
    for (const struct dirent *one; (one = readdir(listing)) != NULL;)
        n += !str_eq(str_of(one->d_name), S(".")) && !str_eq(str_of(one->d_name), S(".."));
    (void)closedir(listing);
    return n == 0;
}

static str without_slash(str path)
{
    return path.len > 1 && str_ends(path, S("/")) ? str_slice(path, 0, path.len - 1) : path;
}

/* Into place, in one step. */
static bool put_in_place(arena *a, str made, str path)
{
    isize slash = path.len;
    while (slash > 0 && path.ptr[slash - 1] != '/') slash--;
    if (rename(arena_z(a, made), arena_z(a, path))) return fails("put in place", path);
    return sync_dir(a, slash ? str_slice(path, 0, slash) : S(".")) ? true : fails("made durable", path);
}

/* ---- the commands ---------------------------------------------------------------------------- */

static bool checked(struct args *args, str path)
{
    struct diag diag = { .arena = args->a };
    struct buf report = { .arena = args->a };
    struct fold_options options = folder_options(args, path);
    if (fold_verify(&options, &report, &diag))
        return command_fail(false, "%.*s: %.*s", STR_FMT(path), STR_FMT(diag.what));
    return true;
}

int command_backup(struct args *args)
{
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    str to = without_slash(args->words[0]), from = option(args, "data", "data");
    str part = arena_printf(args->a, "%.*s.part", STR_FMT(to));
    if (!folder_there(args)) return command_fail(FAILED, "there is no folder %.*s", STR_FMT(from));
    if (list(args->a, within(args->a, from, S("log"))).n == 0)
        return command_fail(FAILED, "%.*s is no data folder", STR_FMT(from));
    if (!is_empty(args->a, to))
        return command_fail(FAILED, "%.*s holds something already: a backup is a new folder",
                            STR_FMT(to));
    int code = backup_to(args, part);
    if (code == DONE
        && (!checked(args, part) || !write_manifest(args, part)
            || !put_in_place(args->a, part, to)))
        code = FAILED;
    if (code != DONE) { backup_remove(args, part); return code; }
    (void)printf("%.*s is whole: a replay of its log gives the same state\n", STR_FMT(to));
    return DONE;
}

/* Of a list: what was done, what was known here or concerns nobody, and whose no was taken. */
struct listed { isize done, known, people, identifiers; struct buf refusals; isize refusals_n; };

static bool send_refusals(struct server *server, struct listed *l)
{
    struct answer answer;
    arena own = { 0 }, *whole = server->args->a;
    if (l->refusals_n == 0) return true;
    server->args->a = &own;                             /* a list may be long */
    str body = arena_printf(&own, "{\"regulation\":\"refuse\",\"refusals\":[%.*s]}",
                            STR_FMT(buf_str(&l->refusals)));
    bool ok = server_post(server, S("/v1/regulations"), body, &answer);
    if (ok) {
        l->people += json_int(json_get(answer.json, S("people")), 0);
        l->identifiers += json_int(json_get(answer.json, S("identifiers")), 0);
    }
    server->args->a = whole;
    arena_fini(&own);
    l->refusals.len = l->refusals_n = 0;
    return ok;
}

static bool refused(struct server *server, str line, struct listed *l)
{
    if (l->refusals_n++) buf_byte(&l->refusals, ',');
    buf_add(&l->refusals, line);
    return l->refusals_n < REFUSALS_AT_ONCE || send_refusals(server, l);
}

static bool again(struct server *server, const struct json *receipt, struct listed *l)
{
    struct answer answer;
    struct buf out = { .arena = server->args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "regulation", json_get_str(receipt, "regulation"));
    jsonw_key_str(&w, "whom", json_get_str(receipt, "whom"));
    jsonw_key_str(&w, "asked_at", json_get_str(receipt, "asked_at"));
    jsonw_end(&w, '}');
    if (!server_ask(server, METHOD_POST, S("/v1/regulations"), buf_str(&out), &answer)) return false;
    l->known += answer.status == 404;
    l->done += answer.status < 300;
    return answer.status == 404 || !server_said(&answer);
}

static bool erase_again(struct args *args, str list_path)
{
    struct server server;
    struct listed l = { 0 };
    arena one = { 0 };                                  /* line */
    bool found;
    str text = read_file(args->a, arena_z(args->a, list_path), &found);
    if (!found) return command_fail(false, "%.*s cannot be read", STR_FMT(list_path));
    if (!server_reach(args, &server, 0)) return false;
    bool ok = true;
    for (str rest = text; ok && rest.len > 0;) {
        struct str_cut line = str_cut(rest, '\n');
        const struct json *receipt = NULL;
        rest = line.tail;
        if (str_trim(line.head).len == 0) continue;
        arena_clear(&one);
        ok = json_parse(&one, str_trim(line.head), &receipt, NULL) == ERR_OK;
        if (!ok)
            (void)command_fail(false,
                               "%.*s is no list of erasures, which `opmaat export erasures` writes",
                               STR_FMT(list_path));
        str regulation = ok ? json_get_str(receipt, "regulation") : S("");
        /* What a suppression came to stands in the list as refusals, unless they have consented since. */
        if (str_eq(regulation, S("refuse"))) ok = refused(&server, str_trim(line.head), &l);
        else if (ok && !str_eq(regulation, S("suppress"))) ok = again(&server, receipt, &l);
    }
    arena_fini(&one);
    ok = ok && send_refusals(&server, &l);
    server_leave(&server);
    buf_fini(&l.refusals);
    if (ok)
        (void)printf("%td erased again; %td of the list were known, or nobody has them\n", l.done,
                     l.known);
    if (ok && l.people + l.identifiers > 0)
        (void)printf("refused again: by %td people, and under %td identifiers that nobody has\n",
                     l.people, l.identifiers);
    return ok;
}

int command_restore(struct args *args)
{
    if (args->words_n != 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    arena *a = args->a;
    str from = without_slash(args->words[0]), to = without_slash(option(args, "data", "data")),
        erasures = option(args, "erasures", ""), made_at;
    str part = arena_printf(a, "%.*s.part", STR_FMT(to));
    if (erasures.len && access(arena_z(a, erasures), R_OK))
        return command_fail(FAILED, "%.*s cannot be read", STR_FMT(erasures));
    if (!is_empty(a, to))
        return command_fail(FAILED, "%.*s holds something already: it is not written over",
                            STR_FMT(to));
    if (!check_manifest(args, from, &made_at)) return FAILED;
    struct files files = { 0 };
    if (!files_of(a, from, &files)) return FAILED;
    backup_remove(args, part);
    if (mkdir(arena_z(a, part), 0700) || mkdir(arena_z(a, within(a, part, S("log"))), 0700)) {
        (void)fails("made", part);
        return FAILED;
    }
    bool ok = true;
    for (isize i = 0; ok && i < files.n; i++)
        ok = copy_file(a, within(a, from, files.at[i].name), within(a, part, files.at[i].name));
    ok = ok && sync_dir(a, within(a, part, S("log"))) && sync_dir(a, part);
    ok = ok && checked(args, part) && put_in_place(a, part, to);
    if (!ok) { backup_remove(args, part); return FAILED; }
    (void)printf("%.*s is as it was at %.*s\n", STR_FMT(to), STR_FMT(made_at));
    if (erasures.len) return erase_again(args, erasures) ? DONE : FAILED;
    (void)fprintf(
        stderr,
        "opmaat: whoever was erased after that is in it again, and a no that was said after it is forgotten; no list was given to see who:\n"
        "--erasures FILE takes what `opmaat export erasures` wrote. Without one, ask the people's requests you keep elsewhere, before a\n"
        "server runs on it.\n");
    return DONE;
}
