/* SPDX-License-Identifier: Apache-2.0
 *
 * backup.c - a copy of the file while it is used.
 *
 * SQLite's backup starts over whenever somebody else writes, which here is every second. So the
 * source connection keeps one read transaction open from the first page to the last: in WAL mode
 * that is a view of one moment, which nobody's writing changes. The price: the WAL cannot begin
 * anew until the copy is made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/logline.h"
#include "store/connection.h"

enum { PAGES_A_STEP = 1024 };

static enum err copy(sqlite3 *from, sqlite3 *to, struct store_progress progress, struct diag *diag)
{
    enum err err = execute(from, "BEGIN; SELECT count(*) FROM sqlite_schema", diag);
    if (err) return err;
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup) return store_fail(to, sqlite3_errcode(to), diag);
    int code;
    bool go_on = true;
    do {
        code = sqlite3_backup_step(backup, PAGES_A_STEP);
        i64 pages = sqlite3_backup_pagecount(backup);
        if (progress.report)
            go_on = progress.report(progress.ctx, pages - sqlite3_backup_remaining(backup), pages);
    } while (go_on && code == SQLITE_OK);
    int finished = sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE) return store_fail(to, finished, diag);
    if (code == SQLITE_OK) return diag_set(diag, ERR_CONFLICT, "the backup was stopped");
    return store_fail(to, code, diag);
}

/* The copy is whole and on disk before it gets its name. */
static enum err settle(const char *made, const char *path, struct diag *diag)
{
    str whole = str_of(path);
    isize slash = whole.len;
    while (slash > 0 && path[slash - 1] != '/') slash--;
    char *folder = mem_new(slash + 2);
    memcpy(folder, slash ? path : ".", (size_t)(slash ? slash : 1));
    int file = open(made, O_RDONLY | O_CLOEXEC), above = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = file >= 0 && above >= 0 && fsync(file) == 0 && rename(made, path) == 0 && fsync(above) == 0;
    enum err err = done ? ERR_OK : diag_set(diag, ERR_DISK, "%s: %s", path, strerror(errno));
    if (file >= 0) (void)close(file);
    if (above >= 0) (void)close(above);
    mem_free(folder);
    return err;
}

enum err store_backup(struct store *store, const char *path, struct store_progress progress,
                      struct diag *diag)
{
    sqlite3 *from = NULL, *to = NULL;
    isize n = (isize)strlen(path);
    char *made = mem_new(n + 5);
    (void)snprintf(made, (size_t)n + 5, "%s.new", path);
    (void)unlink(made);
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum err err = fd >= 0 ? ERR_OK : diag_set(diag, ERR_DISK, "%s: %s", made, strerror(errno));
    if (fd >= 0) (void)close(fd);

    if (!err) err = connect_to(store->path, SQLITE_OPEN_READWRITE, &from, diag);
    if (!err) err = connect_to(made, SQLITE_OPEN_READWRITE, &to, diag);
    if (!err) err = copy(from, to, progress, diag);
    /* As one file, so that it can be moved: without this it would be opened with a WAL beside
     * it. */
    if (!err) err = execute(to, "PRAGMA journal_mode = DELETE", diag);
    (void)sqlite3_close(to);
    (void)sqlite3_close(from);
    if (!err) err = settle(made, path, diag);
    if (err) (void)unlink(made);
    mem_free(made);
    return err;
}
