/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - file:DIR, the log as files in a folder.
 *
 * A log file is named after the number of its first entry, twenty digits and ".log", and holds
 * records (record.c) one after another from byte 0. Only the last one is written to. It is given
 * its whole size at once, log_file_bytes of zeros, so that a commit changes data and no
 * metadata: that is worth 1.5 times on the sync. When the next append would not fit, the file is
 * cut to what it holds, synced, and a new one begun; an append never spans two files, so one
 * fdatasync makes it durable. An append larger than a whole file makes that one file larger.
 *
 * What may be found on opening, and what is done:
 *
 *   zeros after the last record             room that was not used
 *   an invalid tail in the last file        what a crash tore: zeroed, and the bytes said. Nobody was
 *                                           told that it was safe
 *   an invalid record, and after it a       ERR_DAMAGED. What comes after proves that it once was whole:
 *   whole one of a later append             an append is only written when the one before was synced
 *   a record that does not follow the one   ERR_DAMAGED
 *   before, a file missing in between
 *   NAME.log.new                            a rewrite that was not finished: removed
 *
 * Opening reads the last two files and whatever else fits in OPEN_BYTES, since a start must not
 * take longer the older the shop is; of the older ones it checks the first record. Everything
 * read later is checked when it is read, and log_verify checks all.
 *
 * The last append is written once more when the log is opened, then synced. After a failed
 * fdatasync the kernel may hold pages that it believes written and that are not on disk; we
 * abort then, and on the restart a mere sync would say all is well. Everything before the last
 * append was synced before that one was written.
 *
 * Entries are found by marks: the number and place of one record every MARK_BYTES, kept in
 * memory for the file being written and made by walking for an older one, when it is first read.
 * A reader holds the file it reads (refs), so that trimming and rewriting never wait for it.
 * Order of locks: maintain, put, lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/logline.h"
#include "log/medium.h"
#include "log/window.h"

enum { MARK_BYTES = 64 << 10, COPY_BYTES = 1 << 20, OPEN_BYTES = 256 << 20, NAME_DIGITS = 20 };

struct mark { u64 first; i64 at; };

struct log_file {
    u64 first, ordinal;             /* of its first record */
    int fd, refs; /* fd: -1 while nobody reads it, so that a long history needs no more of them */
    bool retired;                   /* trimmed or replaced: only those who hold it know it */
    i64 end;                        /* bytes of records; what follows is zeros */
    struct { struct mark *at; isize n, cap; } marks;
};

struct file_medium {
    struct medium medium;
    const char *dir;
    int dir_fd;
    bool owns;                      /* may write */
    i64 file_bytes;
    pthread_mutex_t maintain;       /* trim and rewrite, one at a time */
    pthread_mutex_t put; /* the file that is written, and what comes next in it: entry and record */
    struct log_file *active;
    u64 next, next_ordinal;
    bool bulk;                      /* puts are not synced */
    pthread_mutex_t lock;           /* everything below; held for a few instructions */
    struct { struct log_file **at; isize n, cap; } files;
    struct { u64 first; struct log_file *file; i64 at; } hint;      /* where the next read in order begins */
};

/* ---- names ---------------------------------------------------------------------------------- */
struct name { char z[32]; };

static struct name file_name(u64 first, const char *suffix)
{
    struct name name;
    (void)snprintf(name.z, sizeof name.z, "%020" PRIu64 ".log%s", first, suffix);
    return name;
}

static bool name_parse(str name, u64 *first)
{
    if (name.len != NAME_DIGITS + 4 || !str_ends(name, S(".log"))) return false;
    *first = 0;
    for (isize i = 0; i < NAME_DIGITS; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(*first, 10u, first)
            || __builtin_add_overflow(*first, (u64)(name.ptr[i] - '0'), first)) return false;
    }
    return *first > 0;
}

static enum err disk_err(struct diag *diag, const char *dir, const char *what, const char *name)
{
    return diag_set(diag, ERR_DISK, "%s/%s: cannot %s: %s", dir, name, what, strerror(errno));
}

/* ---- one file, from its beginning ----------------------------------------------------------- */
struct scan {
    const char *dir;
    struct log_file *file;
    struct chain chain;             /* before, then after */
    struct { struct log_file *file; i64 at; u64 first; } append;    /* the last one: where it begins */
    i64 torn;                       /* bytes after the last record, up to where only zeros follow */
    bool last, prove;
};

static void mark_add(struct log_file *file, u64 first, i64 at)
{
    if (file->marks.n > 0 && at < file->marks.at[file->marks.n - 1].at + MARK_BYTES) return;
    vec_push(&file->marks, ((struct mark){ first, at }));
}

static enum err scan_damaged(struct scan *s, const char *why, struct diag *diag)
{
    return diag_set(diag, ERR_DAMAGED,
                    "%s/%s: the record of entry %" PRIu64 " at byte %" PRId64 " %s", s->dir,
                    file_name(s->file->first, "").z,
                    s->chain.known ? s->chain.tail : s->file->first, s->file->end, why);
}

static enum err scan_records(struct scan *s, struct window *w, struct diag *diag)
{
    struct log_file *file = s->file;
    struct record_head head;
    str bytes;
    for (file->end = 0; file->end < w->size; file->end += head.bytes) {
        enum record_state state = window_record(w, file->end, &head, &bytes);
        if (state == RECORD_NEWER)
            return diag_set(diag, ERR_REFUSED,
                            "%s/%s: byte %" PRId64
                            " is in a format of a newer version of this program",
                            s->dir, file_name(file->first, "").z, file->end);
        if (state != RECORD_VALID) break;
        if (!chain_fits(&s->chain, &head) || (file->end == 0 && head.first != file->first))
            return scan_damaged(s, "does not follow the one before it", diag);
        if (s->prove && !record_prove(bytes)) return scan_damaged(s, "does not agree with its hash", diag);
        if (file->end == 0) file->ordinal = head.ordinal;
        if (s->append.file != file || s->append.first != head.commit) {
            s->append.file = file;
            s->append.at = file->end;
            s->append.first = head.commit;
        }
        mark_add(file, head.first, file->end);
        chain_step(&s->chain, &head);
    }
    return ERR_OK;
}

/* Reads every record of a file and says where it ends. */
static enum err scan_file(struct scan *s, struct diag *diag)
{
    struct stat st;
    if (fstat(s->file->fd, &st) < 0)
        return disk_err(diag, s->dir, "look at it", file_name(s->file->first, "").z);
    struct window w = { .fd = s->file->fd, .size = st.st_size };
    if (s->chain.known && s->chain.tail != s->file->first) {
        s->file->end = 0;
        return scan_damaged(s, "is missing: the file before this one ends there", diag);
    }
    enum err err = scan_records(s, &w, diag);
    if (!err && s->file->end < w.size) {
        u64 tail = s->chain.known ? s->chain.tail : s->file->first;
        s->torn = window_used(&w, s->file->end) - s->file->end;
        if (s->torn > 0 && !s->last) err = scan_damaged(s, "is not whole, and a later file exists", diag);
        else if (s->torn > 0 && window_holds_later(&w, s->file->end + 1, tail))
            err = scan_damaged(s, "is not whole, and whole records come after it", diag);
    }
    if (!err && s->file->end == 0 && !s->last)
        err = scan_damaged(s, "is not whole, and a later file exists", diag);
    if (w.failed) err = disk_err(diag, s->dir, "read", file_name(s->file->first, "").z);
    buf_fini(&w.held);
    return err;
}

/* Of an old file: that it begins with the record its name says. */
static enum err glance(const char *dir, struct log_file *file, struct diag *diag)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0) return disk_err(diag, dir, "look at it", file_name(file->first, "").z);
    struct window w = { .fd = file->fd, .size = st.st_size };
    struct record_head head;
    str bytes;
    enum record_state state = w.size ? window_record(&w, 0, &head, &bytes) : RECORD_INVALID;
    buf_fini(&w.held);
    if (w.failed) return disk_err(diag, dir, "read", file_name(file->first, "").z);
    if (state != RECORD_VALID || head.first != file->first)
        return diag_set(diag, ERR_DAMAGED,
                        "%s/%s: the record of entry %" PRIu64 " at byte 0 is not whole", dir,
                        file_name(file->first, "").z, file->first);
    file->ordinal = head.ordinal;
    file->end = st.st_size;
    mark_add(file, head.first, 0);
    return ERR_OK;
}

/* ---- the folder ----------------------------------------------------------------------------- */
static int by_first(const void *a, const void *b)
{
    u64 x = (*(struct log_file *const *)a)->first, y = (*(struct log_file *const *)b)->first;
    return (x > y) - (x < y);
}

/* With the lock held. */
static struct log_file *last_file(struct file_medium *m)
{
    return m->files.n ? m->files.at[m->files.n - 1] : NULL;
}

static struct log_file *file_new(u64 first, int fd)
{
    struct log_file *file = mem_new(sizeof *file);
    file->first = first;
    file->fd = fd;
    file->refs = 1;
    return file;
}

static void file_free(struct log_file *file)
{
    if (file->fd >= 0) (void)close(file->fd);
    vec_fini(&file->marks);
    mem_free(file);
}

/* With the lock held. Closes what nobody reads, but not what is written or about to be read on. */
static void file_rest(struct file_medium *m, struct log_file *file)
{
    /* One hold is the table's, unless it is retired: then it is a reader's. */
    if (file->retired || file->refs != 1 || file->fd < 0 || file == last_file(m)
        || file == m->hint.file)
        return;
    (void)close(file->fd);
    file->fd = -1;
}

/* With the lock held. False when it cannot be opened; then it is not held. */
static bool file_hold(struct file_medium *m, struct log_file *file)
{
    if (file->fd < 0)
        file->fd = openat(m->dir_fd, file_name(file->first, "").z, (m->owns ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    file->refs += file->fd >= 0;
    return file->fd >= 0;
}

static void file_leave(struct file_medium *m, struct log_file *file)
{
    (void)pthread_mutex_lock(&m->lock);
    bool last = --file->refs == 0;
    if (!last) file_rest(m, file);
    (void)pthread_mutex_unlock(&m->lock);
    if (last) file_free(file);
}

/* With the lock held: the table no longer knows it, its readers still do. */
static void file_retire(struct file_medium *m, struct log_file *file)
{
    file->retired = true;
    if (m->hint.file == file) m->hint.file = NULL;
}

/* The i-th file, held, and where it ended at that moment. Null after the last. */
static enum err nth_file(struct file_medium *m, isize i, struct log_file **file, i64 *end, struct diag *diag)
{
    enum err err = ERR_OK;
    (void)pthread_mutex_lock(&m->lock);
    *file = i < m->files.n ? m->files.at[i] : NULL;
    if (*file) {
        *end = (*file)->end;
        if (!file_hold(m, *file)) {
            err = disk_err(diag, m->dir, "open", file_name((*file)->first, "").z);
            *file = NULL;
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    return err;
}

/* Knows every log file, oldest first; an owner clears away what an unfinished rewrite left. */
static enum err folder_list(struct file_medium *m, struct diag *diag)
{
    int fd = openat(m->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) (void)close(fd);
        return disk_err(diag, m->dir, "list", ".");
    }
    enum err err = ERR_OK;
    for (struct dirent *e; !err && (e = readdir(dir));) {
        u64 first;
        str name = str_of(e->d_name);
        if (m->owns && str_ends(name, S(".log.new")) && unlinkat(m->dir_fd, e->d_name, 0) < 0)
            err = disk_err(diag, m->dir, "remove", e->d_name);
        if (!err && name_parse(name, &first)) vec_push(&m->files, file_new(first, -1));
    }
    (void)closedir(dir);
    if (m->files.n > 1) qsort(m->files.at, (size_t)m->files.n, sizeof *m->files.at, by_first);
    return err;
}

static bool folder_sync(struct file_medium *m) { return fsync(m->dir_fd) == 0; }

static enum err folder_open(struct file_medium *m, str dir, bool owns, struct diag *diag)
{
    char *path = mem_new(dir.len + 1);
    memcpy(path, dir.ptr, (size_t)dir.len);
    m->dir = path;
    m->dir_fd = -1;
    m->owns = owns;
    (void)pthread_mutex_init(&m->maintain, NULL);
    (void)pthread_mutex_init(&m->put, NULL);
    (void)pthread_mutex_init(&m->lock, NULL);
    bool made = owns && mkdir(path, 0700) == 0;
    if (owns && !made && errno != EEXIST) return disk_err(diag, path, "make the folder", "");
    m->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->dir_fd < 0) return disk_err(diag, path, "open the folder", "");
    if (made) {
        int above = openat(m->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool synced = above >= 0 && fsync(above) == 0;
        if (above >= 0) (void)close(above);
        if (!synced) return disk_err(diag, path, "sync the folder above", "");
    }
    if (owns && flock(m->dir_fd, LOCK_EX | LOCK_NB) < 0)
        return diag_set(diag, ERR_CONFLICT, "%s: another process writes this log", path);
    return folder_list(m, diag);
}

static void file_close(struct medium *medium)
{
    struct file_medium *m = (struct file_medium *)medium;
    for (isize i = 0; i < m->files.n; i++) file_free(m->files.at[i]);
    vec_fini(&m->files);
    if (m->dir_fd >= 0) (void)close(m->dir_fd);
    (void)pthread_mutex_destroy(&m->maintain);
    (void)pthread_mutex_destroy(&m->put);
    (void)pthread_mutex_destroy(&m->lock);
    mem_free((char *)(uintptr_t)m->dir);
    mem_free(m);
}

/* ---- writing -------------------------------------------------------------------------------- */
static bool write_all(int fd, str bytes, i64 at)
{
    while (bytes.len > 0) {
        isize put = pwrite(fd, bytes.ptr, (size_t)bytes.len, at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        bytes = str_from(bytes, put);
        at += put;
    }
    return true;
}

/* Gives a file its zeros. A file system that cannot do so in advance makes commits slower, not
 * wrong. */
static bool allocate(int fd, i64 bytes)
{
    int failed;
    do failed = fallocate(fd, 0, 0, bytes) < 0 ? errno : 0; while (failed == EINTR);
    if (failed == EOPNOTSUPP || failed == ENOSYS) failed = ftruncate(fd, bytes) < 0 ? errno : 0;
    errno = failed;
    return !failed;
}

/* What follows the last record becomes zeros again. */
static bool clear_after(struct file_medium *m, struct log_file *file)
{
    return ftruncate(file->fd, file->end) == 0 && allocate(file->fd, max_i64(m->file_bytes, file->end))
        && fsync(file->fd) == 0;
}

/* No room, or no descriptor, is a thing that passes; anything else a disk says about a write
 * does not. */
static enum log_appended put_failed(const char *what)
{
    bool passes = errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE;
    log_error("log.%s error=%s", what, strerror(errno));
    return passes ? LOG_RETRY : LOG_FATAL;
}

static enum log_appended sync_failed(void)
{
    log_error("log.sync error=%s", strerror(errno));
    return LOG_FATAL;
}

/* Ends the last file where its records end, and begins one that takes `bytes` at least. */
static enum log_appended roll(struct file_medium *m, i64 bytes)
{
    struct log_file *before = m->active;
    if (before && ftruncate(before->fd, before->end) < 0) return put_failed("truncate");
    if (before && fsync(before->fd) < 0) return sync_failed();
    struct name name = file_name(m->next, "");
    int fd = openat(m->dir_fd, name.z, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return put_failed("create");
    if (!allocate(fd, max_i64(m->file_bytes, bytes))) {
        enum log_appended failed = put_failed("allocate");
        (void)close(fd);
        return unlinkat(m->dir_fd, name.z, 0) == 0 ? failed : LOG_FATAL;
    }
    struct log_file *file = file_new(m->next, fd);
    file->ordinal = m->next_ordinal;
    (void)pthread_mutex_lock(&m->lock);
    vec_push(&m->files, file);
    if (before) file_rest(m, before);
    (void)pthread_mutex_unlock(&m->lock);
    m->active = file;
    return fsync(fd) == 0 && folder_sync(m) ? LOG_OK : sync_failed();
}

static enum log_appended put_bytes(struct file_medium *m, const struct put *put)
{
    assert(put->places[0].first == m->next && put->n > 0);
    struct log_file *file = m->active;
    if (!file || (file->end > 0 && file->end + put->bytes.len > m->file_bytes)) {
        enum log_appended rolled = roll(m, put->bytes.len);
        if (rolled != LOG_OK) return rolled;
        file = m->active;
    }
    if (!write_all(file->fd, put->bytes, file->end)) {
        enum log_appended failed = put_failed("write");
        return failed == LOG_RETRY && clear_after(m, file) ? LOG_RETRY : LOG_FATAL;
    }
    if (!m->bulk && fdatasync(file->fd) < 0) return sync_failed();
    (void)pthread_mutex_lock(&m->lock);
    if (file->end == 0) file->ordinal = m->next_ordinal;
    for (isize i = 0; i < put->n; i++) mark_add(file, put->places[i].first, file->end + put->places[i].at);
    file->end += put->bytes.len;
    (void)pthread_mutex_unlock(&m->lock);
    m->next = put->next;
    m->next_ordinal += (u64)put->n;
    return LOG_OK;
}

static enum log_appended file_put(struct medium *medium, const struct put *put)
{
    struct file_medium *m = (struct file_medium *)medium;
    (void)pthread_mutex_lock(&m->put);
    enum log_appended did = put_bytes(m, put);
    (void)pthread_mutex_unlock(&m->put);
    return did;
}

/* ---- opening -------------------------------------------------------------------------------- */
/* Writes the last append once more and syncs it: the head of this file says why. */
static enum err settle(struct file_medium *m, const struct scan *s, struct diag *diag)
{
    struct log_file *file = s->append.file;
    struct buf again = { 0 };
    isize n = file->end - s->append.at;
    buf_reserve(&again, n);
    bool done = read_all(file->fd, again.ptr, n, s->append.at)
                && write_all(file->fd, (str){ again.ptr, n }, s->append.at) && fsync(file->fd) == 0
                && folder_sync(m);
    buf_fini(&again);
    return done ? ERR_OK : disk_err(diag, m->dir, "settle", file_name(file->first, "").z);
}

static enum err cut(struct file_medium *m, struct log_file *file, i64 torn, struct diag *diag)
{
    log_error("log.cut file=%s at=%" PRId64 " bytes=%" PRId64, file_name(file->first, "").z, file->end, torn);
    return clear_after(m, file) ? ERR_OK : disk_err(diag, m->dir, "cut", file_name(file->first, "").z);
}

/* How many of the oldest files opening does not read whole. */
static isize unread(struct file_medium *m)
{
    i64 bytes = 0;
    isize n = m->files.n;
    for (; n > 0; n--) {
        struct stat st;
        if (fstatat(m->dir_fd, file_name(m->files.at[n - 1]->first, "").z, &st, 0) == 0) bytes += st.st_size;
        if (bytes > OPEN_BYTES && m->files.n - n >= 2) break;
    }
    return n;
}

/* Reads the files that opening reads; `prove`: every file, and all its hashes. */
static enum err scan_all(struct file_medium *m, struct scan *s, struct diag *diag)
{
    isize from = s->prove ? 0 : unread(m);
    if (from == 0 && m->files.n > 0 && m->files.at[0]->first == 1) s->chain = chain_start();
    enum err err = ERR_OK;
    for (isize i = 0; i < m->files.n && !err; i++) {
        struct log_file *file;
        i64 end;
        err = nth_file(m, i, &file, &end, diag);
        if (err) return err;
        s->file = file;
        s->last = i == m->files.n - 1;
        err = i < from ? glance(m->dir, file, diag) : scan_file(s, diag);
        file_leave(m, file);
    }
    if (err || s->chain.known) return err;
    if (m->files.n > 0)
        return diag_set(diag, ERR_DAMAGED,
                        "%s/%s: the record of entry %" PRIu64
                        " at byte 0 is not whole, and what came "
                        "before it is not here",
                        m->dir, file_name(s->file->first, "").z, s->file->first);
    s->chain = chain_start();
    return ERR_OK;
}

static enum err recover(struct file_medium *m, struct log_end *end, struct diag *diag)
{
    struct scan s = { .dir = m->dir };
    enum err err = scan_all(m, &s, diag);
    for (isize i = max_isize(m->files.n - 2, 0); i < m->files.n && !err; i++) {
        /* The last stays open to be written; the one before may hold the last append. */
        (void)pthread_mutex_lock(&m->lock);
        if (!file_hold(m, m->files.at[i]))
            err = disk_err(diag, m->dir, "open", file_name(m->files.at[i]->first, "").z);
        (void)pthread_mutex_unlock(&m->lock);
    }
    if (err) return err;
    if (s.torn > 0) err = cut(m, last_file(m), s.torn, diag);
    if (!err && s.append.file) err = settle(m, &s, diag);
    for (isize i = max_isize(m->files.n - 2, 0); i < m->files.n; i++) file_leave(m, m->files.at[i]);
    m->active = last_file(m);
    m->next = s.chain.tail;
    m->next_ordinal = s.chain.ordinal + 1;
    *end = (struct log_end){ s.chain.tail, s.chain.ordinal, s.chain.hash, s.chain.at_ms, s.torn };
    return err;
}

/* ---- reading one record --------------------------------------------------------------------- */
/* The file that holds entry `from`, held, and the nearest place at or before it that is known.
 * Null when it was trimmed or cannot be opened. */
static struct log_file *find(struct file_medium *m, u64 from, i64 *at, i64 *end)
{
    struct log_file *file = NULL;
    (void)pthread_mutex_lock(&m->lock);
    isize low = 0, high = m->files.n;
    while (low < high) {
        isize mid = low + (high - low) / 2;
        if (m->files.at[mid]->first <= from) low = mid + 1;
        else high = mid;
    }
    if (low > 0 && file_hold(m, m->files.at[low - 1])) {
        file = m->files.at[low - 1];
        *end = file->end;
        *at = 0;
        if (m->hint.file == file && m->hint.first == from) {
            *at = m->hint.at;
        } else if (file->marks.n > 0) {
            isize a = 0, b = file->marks.n;
            while (b - a > 1) {
                isize mid = a + (b - a) / 2;
                if (file->marks.at[mid].first <= from) a = mid;
                else b = mid;
            }
            *at = file->marks.at[a].at;
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    return file;
}

static void remember(struct file_medium *m, struct log_file *file, const struct record_head *head, i64 at)
{
    (void)pthread_mutex_lock(&m->lock);
    if (!file->retired) {
        struct log_file *left = m->hint.file;
        mark_add(file, head->first, at);
        m->hint.file = file;
        m->hint.first = head->first + head->entries_n;
        m->hint.at = at + head->bytes;
        if (left && left != file) file_rest(m, left);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

static enum err get_from(struct file_medium *m, struct log_file *file, u64 from, i64 at, i64 end,
                         arena *a, str *bytes, struct diag *diag)
{
    char top[RECORD_HEADER];
    struct record_head head;
    struct name name = file_name(file->first, "");
    for (i64 marked = at;; at += head.bytes) {
        if (end - at < RECORD_HEADER) goto damaged;
        if (!read_all(file->fd, top, sizeof top, at)) return disk_err(diag, m->dir, "read", name.z);
        if (!record_peek(top, &head) || head.bytes > end - at || head.first > from) goto damaged;
        if (from < head.first + head.entries_n) break;
        if (at - marked >= MARK_BYTES) {
            remember(m, file, &head, at);
            marked = at;
        }
    }
    char *p = arena_new(a, char, head.bytes);
    if (!read_all(file->fd, p, head.bytes, at)) return disk_err(diag, m->dir, "read", name.z);
    *bytes = (str){ p, head.bytes };
    if (record_check(*bytes, &head) != RECORD_VALID) goto damaged;
    remember(m, file, &head, at);
    return ERR_OK;
damaged:
    return diag_set(diag, ERR_DAMAGED, "%s/%s: the record at byte %" PRId64 ", on the way to entry %" PRIu64
                    ", does not agree with its checksum", m->dir, name.z, at, from);
}

static enum err file_get(struct medium *medium, u64 from, arena *a, str *bytes, struct diag *diag)
{
    struct file_medium *m = (struct file_medium *)medium;
    i64 at, end;
    struct log_file *file = find(m, from, &at, &end);
    if (!file)
        return diag_set(diag, ERR_NOT_FOUND, "%s: the file with entry %" PRIu64 " is not there",
                        m->dir, from);
    enum err err = get_from(m, file, from, at, end, a, bytes, diag);
    file_leave(m, file);
    return err;
}

/* ---- trimming and rewriting ----------------------------------------------------------------- */
static enum err file_trim(struct medium *medium, u64 before)
{
    struct file_medium *m = (struct file_medium *)medium;
    enum err err = ERR_OK;
    bool any = false;
    (void)pthread_mutex_lock(&m->maintain);
    while (!err) {
        struct log_file *file = NULL;
        (void)pthread_mutex_lock(&m->lock);
        /* The last file that has a record stays: the chain goes on from it. */
        if (m->files.n > 1 && m->files.at[1]->first <= before && m->files.at[1]->end > 0) {
            file = m->files.at[0];
            m->files.n--;
            memmove(m->files.at, m->files.at + 1, (size_t)m->files.n * sizeof *m->files.at);
            file_retire(m, file);
        }
        (void)pthread_mutex_unlock(&m->lock);
        if (!file) break;
        any = true;
        if (unlinkat(m->dir_fd, file_name(file->first, "").z, 0) < 0) err = ERR_DISK;
        file_leave(m, file);
    }
    if (any && !folder_sync(m)) err = ERR_DISK;
    (void)pthread_mutex_unlock(&m->maintain);
    return err;
}

isize erase_ask(str bytes, u64 tail, log_erase *erase, void *ctx, arena *scratch, bool **gone, str **stubs)
{
    struct record record;
    isize n = 0;
    bool read = record_read(bytes, scratch, &record);
    assert(read);
    *gone = arena_new(scratch, bool, record.entries_n);
    *stubs = arena_new(scratch, str, record.entries_n);
    for (isize i = 0; i < record.entries_n; i++) {
        u64 number = record.first + (u64)i;
        const struct entry *entry = &record.entries[i];
        struct buf stub = { .arena = scratch };
        if ((entry->kind == ENTRY_ERASED && entry->bytes.len == 0) || number >= tail) continue;
        (*gone)[i] = erase(ctx, number, record.at_ms, entry, &stub);
        if ((*gone)[i]) (*stubs)[i] = buf_str(&stub);
        n += (*gone)[i];
    }
    return n;
}

/* Entries of one file that are to go, as ascending numbers, and what comes in their places, in the
 * same order. */
struct doomed { u64 *at; isize n, cap; struct { isize *at; isize n, cap; } ends; struct buf stubs; };

static enum err doom(struct file_medium *m, struct log_file *file, i64 end, u64 tail,
                     log_erase *erase, void *ctx, struct doomed *doomed, struct diag *diag)
{
    struct window w = { .fd = file->fd, .size = end };
    struct record_head head;
    str bytes;
    arena scratch = { 0 };
    enum err err = ERR_OK;
    for (i64 at = 0; at < end && !err; at += head.bytes) {
        if (window_record(&w, at, &head, &bytes) != RECORD_VALID) {
            err = w.failed
                      ? disk_err(diag, m->dir, "read", file_name(file->first, "").z)
                      : diag_set(diag, ERR_DAMAGED,
                                 "%s/%s: the record at byte %" PRId64 " does not agree with its "
                                 "checksum",
                                 m->dir, file_name(file->first, "").z, at);
            break;
        }
        bool *gone;
        str *stubs;
        arena_clear(&scratch);
        if (erase_ask(bytes, tail, erase, ctx, &scratch, &gone, &stubs) == 0) continue;
        for (u32 i = 0; i < head.entries_n; i++) {
            if (!gone[i]) continue;
            vec_push(doomed, head.first + i);
            buf_add(&doomed->stubs, stubs[i]);
            vec_push(&doomed->ends, doomed->stubs.len);
        }
    }
    arena_fini(&scratch);
    buf_fini(&w.held);
    return err;
}

/* Copies the file without the doomed entries to `fd`; the new file's end and marks in `to`. */
static bool copy_without(struct log_file *from, const struct doomed *doomed, struct log_file *to)
{
    struct window w = { .fd = from->fd, .size = from->end };
    struct buf out = { 0 };
    struct record_head head;
    str bytes;
    arena scratch = { 0 };
    bool well = true;
    isize next = 0;
    i64 written = 0;
    for (i64 at = 0; at < from->end && well; at += head.bytes) {
        well = window_record(&w, at, &head, &bytes) == RECORD_VALID;
        if (!well) break;
        mark_add(to, head.first, written + out.len);
        arena_clear(&scratch);
        bool *gone = arena_new(&scratch, bool, head.entries_n), any = false;
        str *stubs = arena_new(&scratch, str, head.entries_n);
        for (; next < doomed->n && doomed->at[next] < head.first + head.entries_n; next++) {
            isize from_byte = next ? doomed->ends.at[next - 1] : 0;
            any = gone[doomed->at[next] - head.first] = true;
            stubs[doomed->at[next] - head.first] =
                str_slice(buf_str(&doomed->stubs), from_byte, doomed->ends.at[next]);
        }
        if (any) record_erase(&out, bytes, gone, stubs);
        else buf_add(&out, bytes);
        if (out.len < COPY_BYTES && at + head.bytes < from->end) continue;
        well = write_all(to->fd, buf_str(&out), written);
        written += out.len;
        out.len = 0;
    }
    to->end = written;
    arena_fini(&scratch);
    buf_fini(&out);
    buf_fini(&w.held);
    return well;
}

static enum err replace(struct file_medium *m, struct log_file *file, const struct doomed *doomed,
                        struct diag *diag)
{
    struct name name = file_name(file->first, ""), made = file_name(file->first, ".new");
    int fd = openat(m->dir_fd, made.z, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return disk_err(diag, m->dir, "create", made.z);
    struct log_file *fresh = file_new(file->first, fd);
    fresh->ordinal = file->ordinal;
    if (!copy_without(file, doomed, fresh) || fsync(fd) < 0
        || renameat(m->dir_fd, made.z, m->dir_fd, name.z) < 0) {
        enum err err = disk_err(diag, m->dir, "rewrite", name.z);
        (void)unlinkat(m->dir_fd, made.z, 0);
        file_free(fresh);
        return err;
    }
    (void)pthread_mutex_lock(&m->lock);
    for (isize i = 0; i < m->files.n; i++)
        if (m->files.at[i] == file) m->files.at[i] = fresh;
    file_retire(m, file);
    file_rest(m, fresh);
    (void)pthread_mutex_unlock(&m->lock);
    file_leave(m, file);            /* the table's hold; the caller has one of its own */
    return folder_sync(m) ? ERR_OK : disk_err(diag, m->dir, "sync", ".");
}

/* Ends the file that is being written, so that it can be replaced while the writer goes on in
 * the next one. */
static enum err step_aside(struct file_medium *m, struct log_file *file, struct diag *diag)
{
    enum log_appended rolled = LOG_OK;
    (void)pthread_mutex_lock(&m->put);
    if (m->active == file) rolled = roll(m, 0);
    (void)pthread_mutex_unlock(&m->put);
    if (rolled == LOG_FATAL) abort(); /* as the writer would: a sync failed, nobody tries again */
    return rolled == LOG_OK
               ? ERR_OK
               : disk_err(diag, m->dir, "begin a new file after", file_name(file->first, "").z);
}

static enum err file_rewrite(struct medium *medium, u64 tail, log_erase *erase, void *ctx,
                             i64 *erased, struct diag *diag)
{
    struct file_medium *m = (struct file_medium *)medium;
    enum err err = ERR_OK;
    *erased = 0;
    (void)pthread_mutex_lock(&m->maintain);
    for (isize i = 0; !err; i++) {
        struct log_file *file;
        i64 end;
        struct doomed doomed = { 0 };
        err = nth_file(m, i, &file, &end, diag);
        if (!file) break;
        if (file->first < tail) err = doom(m, file, end, tail, erase, ctx, &doomed, diag);
        if (!err && doomed.n > 0) err = step_aside(m, file, diag);
        if (!err && doomed.n > 0) err = replace(m, file, &doomed, diag);
        if (!err) *erased += doomed.n;
        vec_fini(&doomed);
        vec_fini(&doomed.ends);
        buf_fini(&doomed.stubs);
        file_leave(m, file);
    }
    (void)pthread_mutex_unlock(&m->maintain);
    return err;
}

/* ---- the rest ------------------------------------------------------------------------------- */
static i64 file_disk_free(struct medium *medium)
{
    struct file_medium *m = (struct file_medium *)medium;
    struct statvfs s;
    return fstatvfs(m->dir_fd, &s) == 0 ? (i64)s.f_bavail * (i64)s.f_frsize : 0;
}

static struct log_totals file_totals(struct medium *medium)
{
    struct file_medium *m = (struct file_medium *)medium;
    struct log_totals t = { 0 };
    (void)pthread_mutex_lock(&m->lock);
    for (isize i = 0; i < m->files.n; i++) t.bytes += m->files.at[i]->end;
    t.files = m->files.n;
    if (m->files.n > 0) {
        t.records = (i64)m->files.at[0]->ordinal;
        t.entries = (i64)m->files.at[0]->first;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return t;
}

/* Files before the active one were synced when it was begun. */
static enum log_appended file_bulk(struct medium *medium, bool on)
{
    struct file_medium *m = (struct file_medium *)medium;
    (void)pthread_mutex_lock(&m->put);
    bool synced = on || !m->active || fdatasync(m->active->fd) == 0;
    m->bulk = on;
    (void)pthread_mutex_unlock(&m->put);
    return synced ? LOG_OK : sync_failed();
}

static const struct medium_ops file_ops = {
    file_put, file_get, file_trim, file_rewrite, file_disk_free, file_bulk, file_totals, file_close,
};

enum err file_open(str dir, const struct config *config, struct medium **out, struct log_end *end,
                   struct diag *diag)
{
    struct file_medium *m = mem_new(sizeof *m);
    m->medium.ops = &file_ops;
    m->file_bytes = config->log_file_bytes;
    enum err err = folder_open(m, dir, true, diag);
    if (!err) err = recover(m, end, diag);
    if (err) {
        file_close(&m->medium);
        return err;
    }
    *out = &m->medium;
    return ERR_OK;
}

enum err file_verify(str dir, struct log_totals *totals, struct diag *diag)
{
    struct file_medium *m = mem_new(sizeof *m);
    struct scan s = { .prove = true };
    enum err err = folder_open(m, dir, false, diag);
    s.dir = m->dir;
    if (!err) err = scan_all(m, &s, diag);
    *totals = (struct log_totals){ .files = m->files.n };
    for (isize i = 0; i < m->files.n; i++) totals->bytes += m->files.at[i]->end;
    if (!err && m->files.n > 0) totals->entries = (i64)(s.chain.tail - m->files.at[0]->first);
    if (totals->entries > 0) totals->records = (i64)(s.chain.ordinal - m->files.at[0]->ordinal + 1);
    file_close(&m->medium);
    return err;
}
