/* SPDX-License-Identifier: Apache-2.0
 *
 * unsynced.c - a power cut for processes: preloaded, it notes how to take back every write that
 * was not synced.
 *
 *   LD_PRELOAD=.../unsynced.so UNSYNCED_DIR=DIR program ...
 *   kill -9 the program, then: unsynced-rollback DIR
 *
 * kill -9 alone proves little about disks, because what a process wrote is in the kernel's
 * memory and outlives it. With this library the program sees its own writes as always, while
 * undo.h's folder gathers the bytes that they replaced. fsync and fdatasync of a file forget
 * them; fsync of a folder forgets the names changed in it. After a kill the rollback puts back
 * what is still there, which leaves exactly what was synced: the least that a disk may keep.
 *
 * Strict where POSIX is: a new file whose folder was not synced is gone, synced or not. Writes
 * through mmap and stdio are not seen; SQLite's -shm is the only mapped file, and it is derived.
 *
 * Calls are told apart by asking the kernel each time (fstat, /proc/self/fd), not by keeping a
 * table of descriptors, so that dup, fork and exec need no care. Real calls are made with
 * syscall(), so nothing here can meet itself. One lock a slot of inodes is held from the note to
 * the end of the write, and through a sync, else a write could slip in between the sync and the
 * forgetting. It is a mutex for our threads and a record lock for other processes. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "undo.h"

enum { SLOTS = 64, NAMES = SLOTS, PATH_BYTES = 4096 };

static char root[PATH_BYTES], undo[PATH_BYTES];         /* empty root: asleep */
static int lock_fd = -1;
static pthread_mutex_t locks[SLOTS + 1];
static _Atomic unsigned saved_count;

static _Noreturn void give_up(const char *what)
{
    char line[256];
    int n = snprintf(line, sizeof line, "unsynced: %s: %s\n", what, strerror(errno));
    (void)syscall(SYS_write, 2, line, n);
    abort();
}

static void start(void) __attribute__((constructor));
static void start(void)
{
    const char *dir = getenv("UNSYNCED_DIR"), *where = getenv("UNSYNCED_UNDO");
    char path[PATH_BYTES];
    for (int i = 0; i <= SLOTS; i++) (void)pthread_mutex_init(&locks[i], NULL);
    if (!dir || !realpath(dir, path)) return;
    int n = where ? snprintf(undo, sizeof undo, "%s", where)
                  : snprintf(undo, sizeof undo, "%.4000s.undo", path);
    if (n >= (int)sizeof undo - 64) give_up("the name of the undo folder is too long");
    if (syscall(SYS_mkdirat, AT_FDCWD, undo, 0700) < 0 && errno != EEXIST) give_up(undo);
    char lock[PATH_BYTES + 8];
    (void)snprintf(lock, sizeof lock, "%s/lock", undo);
    lock_fd = (int)syscall(SYS_openat, AT_FDCWD, lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_fd < 0) give_up(lock);
    (void)snprintf(root, sizeof root, "%s", path);
    errno = 0;
}

/* ---- locks ---------------------------------------------------------------------------------- */
static void hold(int slot)
{
    (void)pthread_mutex_lock(&locks[slot]);
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
    /* EDEADLK: the kernel counts processes, and two threads each of two processes may look like
     * a circle to it. */
    while (syscall(SYS_fcntl, lock_fd, F_SETLKW, &l) < 0)
        if (errno != EINTR && errno != EDEADLK) give_up("lock");
}

static void let_go(int slot)
{
    struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
    (void)syscall(SYS_fcntl, lock_fd, F_SETLK, &l);
    (void)pthread_mutex_unlock(&locks[slot]);
}

static bool inside(const char *path)
{
    size_t n = strlen(root);
    return n > 0 && strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static bool fd_path(int fd, char *path)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_BYTES - 1);
    if (n <= 0) return false;
    path[n] = 0;
    return true;
}

static void write_out(int fd, const void *bytes, size_t n)
{
    for (const char *p = bytes; n > 0;) {
        long put = syscall(SYS_write, fd, p, n);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) give_up("undo");
        p += put;
        n -= (size_t)put;
    }
}

/* ---- a file's bytes ------------------------------------------------------------------------- */
/* A file of ours that is about to change, with its slot held. */
struct change { int fd, read_fd, undo_fd, slot; struct stat st; uint64_t base; };

static void undo_name(char *to, size_t n, ino_t inode)
{
    (void)snprintf(to, n, "%s/%ju", undo, (uintmax_t)inode);
}

/* False: not ours, nothing is held. errno is as it was. */
static bool is_ours(int fd, struct stat *st)
{
    int keep = errno;
    char path[PATH_BYTES];
    bool ours = root[0] && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && fd_path(fd, path) && inside(path)
             && !undo_derived(path) && st->st_nlink > 0;
    errno = keep;
    return ours;
}

static bool change_begin(struct change *c, int fd)
{
    int keep = errno;
    *c = (struct change){ .fd = fd, .read_fd = fd, .undo_fd = -1 };
    if (!is_ours(fd, &c->st)) return false;
    c->slot = (int)(c->st.st_ino % SLOTS);
    hold(c->slot);
    if (fstat(fd, &c->st) < 0) give_up("fstat");
    char name[PATH_BYTES + 32], own[64];
    undo_name(name, sizeof name, c->st.st_ino);
    c->undo_fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (c->undo_fd < 0) give_up(name);
    struct undo base;
    if (syscall(SYS_pread64, c->undo_fd, &base, sizeof base, 0) == sizeof base) {
        c->base = base.length;
    } else {
        c->base = (uint64_t)c->st.st_size;
        base = (struct undo){ UNDO_MAGIC, UNDO_BASE, 0, c->base };
        if (syscall(SYS_ftruncate, c->undo_fd, 0) < 0) give_up(name);
        write_out(c->undo_fd, &base, sizeof base);
    }
    /* A descriptor of our own only where the caller's cannot read: closing it would drop the
     * record locks that the process has on the file, which SQLite lives by. SQLite's can read. */
    if ((syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        (void)snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
        c->read_fd = (int)syscall(SYS_openat, AT_FDCWD, own, O_RDONLY | O_CLOEXEC);
        if (c->read_fd < 0) give_up("read what is there");
    }
    errno = keep;
    return true;
}

static void change_end(struct change *c)
{
    int keep = errno;
    (void)syscall(SYS_close, c->undo_fd);
    if (c->read_fd != c->fd) (void)syscall(SYS_close, c->read_fd);
    let_go(c->slot);
    errno = keep;
}

/* Notes what stands in [from, to), as far as the file now reaches and reached at its last sync. */
static void note(struct change *c, uint64_t from, uint64_t to)
{
    static _Thread_local struct { struct undo head; char bytes[UNDO_CHUNK]; } u;
    int keep = errno;
    uint64_t size = (uint64_t)c->st.st_size;
    if (to > size) to = size;
    if (to > c->base) to = c->base;
    while (from < to) {
        size_t want = to - from < UNDO_CHUNK ? (size_t)(to - from) : UNDO_CHUNK;
        long got = syscall(SYS_pread64, c->read_fd, u.bytes, want, from);
        if (got <= 0) give_up("read what is there");
        if (u.bytes[0] == 0 && memcmp(u.bytes, u.bytes + 1, (size_t)got - 1) == 0) {
            u.head = (struct undo){ UNDO_MAGIC, UNDO_ZERO, from, (uint64_t)got };
            write_out(c->undo_fd, &u, sizeof u.head);
        } else {
            u.head = (struct undo){ UNDO_MAGIC, UNDO_OLD, from, (uint64_t)got };
            write_out(c->undo_fd, &u, sizeof u.head + (size_t)got);
        }
        from += (uint64_t)got;
    }
    errno = keep;
}

static void forget_file(ino_t inode)
{
    char name[PATH_BYTES + 32];
    undo_name(name, sizeof name, inode);
    (void)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
}

/* ---- names ---------------------------------------------------------------------------------- */
struct place { char path[2 * PATH_BYTES]; ino_t folder; struct stat st; bool ours, exists; };

/* Where `path` as seen from `dir_fd` really is. */
static void find(struct place *p, int dir_fd, const char *path)
{
    int keep = errno;
    char parent[PATH_BYTES];
    struct stat st;
    memset(p, 0, sizeof *p);
    size_t n = root[0] && path ? strlen(path) : 0;
    while (n > 1 && path[n - 1] == '/') n--;
    size_t slash = n;
    while (slash > 0 && path[slash - 1] != '/') slash--;
    if (n == 0 || n - slash == 0 || slash >= sizeof parent) goto out;
    (void)snprintf(parent, sizeof parent, "%.*s", (int)slash, path);
    int fd = (int)syscall(SYS_openat, dir_fd, slash ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) goto out;
    if (fd_path(fd, parent) && inside(parent) && fstat(fd, &st) == 0) {
        p->folder = st.st_ino;
        (void)snprintf(p->path, sizeof p->path, "%s/%.*s", parent, (int)(n - slash), path + slash);
        p->exists = fstatat(AT_FDCWD, p->path, &p->st, AT_SYMLINK_NOFOLLOW) == 0;
        p->ours = !undo_derived(p->path);
    }
    (void)syscall(SYS_close, fd);
out:
    errno = keep;
}

static void note_name(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note_name(const char *format, ...)
{
    int keep = errno;
    char line[UNDO_LINE], names[PATH_BYTES + 8];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n <= 0 || n >= (int)sizeof line) give_up("a name is too long");
    (void)snprintf(names, sizeof names, "%s/names", undo);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, names, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) give_up(names);
    write_out(fd, line, (size_t)n);
    (void)syscall(SYS_close, fd);
    errno = keep;
}

/* Keeps a file that is about to lose its name. */
static void save_link(const struct place *p, char *to, size_t n)
{
    int keep = errno;
    (void)snprintf(to, n, "%s/saved-%d-%u", undo, (int)getpid(), saved_count++);
    if (syscall(SYS_linkat, AT_FDCWD, p->path, AT_FDCWD, to, 0) < 0) give_up(p->path);
    errno = keep;
}

/* Field `i` of a line, in place: ends it with NUL. */
static char *field(char *line, int i)
{
    for (; i > 0; i--) {
        line = strchr(line, '\t');
        if (!line) return NULL;
        line++;
    }
    char *end = strpbrk(line, "\t\n");
    if (end) *end = 0;
    return line;
}

static void forget_saved(const char *line)
{
    char copy[UNDO_LINE];
    (void)snprintf(copy, sizeof copy, "%s", line);
    const char *saved = line[0] == 'U' ? field(copy, 3) : line[0] == 'R' ? field(copy, 5) : NULL;
    struct stat st;
    if (!saved || saved[0] == '-' || fstatat(AT_FDCWD, saved, &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (st.st_nlink == 1) forget_file(st.st_ino);
    (void)syscall(SYS_unlinkat, AT_FDCWD, saved, 0);
}

/* The folder was synced: its lines go. */
static void forget_names(ino_t folder)
{
    char names[PATH_BYTES + 8], fresh[PATH_BYTES + 16];
    (void)snprintf(names, sizeof names, "%s/names", undo);
    (void)snprintf(fresh, sizeof fresh, "%s/names.new", undo);
    FILE *in = fopen(names, "re");
    if (!in) return;
    FILE *out = fopen(fresh, "we");
    if (!out) give_up(fresh);
    char line[UNDO_LINE];
    while (fgets(line, sizeof line, in)) {
        if (strtoumax(line + 2, NULL, 10) == (uintmax_t)folder) forget_saved(line);
        else (void)fputs(line, out);
    }
    (void)fclose(in);
    if (fclose(out) != 0 || syscall(SYS_renameat, AT_FDCWD, fresh, AT_FDCWD, names) < 0) give_up(names);
}

/* ---- the calls: opening --------------------------------------------------------------------- */
static int opening(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct place p = { 0 };
    struct change c;
    if (!root[0] || !(flags & (O_CREAT | O_TRUNC)) || (flags & __O_TMPFILE) == __O_TMPFILE)
        return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    hold(NAMES);
    find(&p, dir_fd, path);
    bool makes = p.ours && !p.exists && (flags & O_CREAT);
    if (makes) note_name("C\t%ju\t%s\n", (uintmax_t)p.folder, p.path);
    if (p.ours && p.exists && (flags & O_TRUNC) && S_ISREG(p.st.st_mode)) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, p.path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            if (change_begin(&c, fd)) {
                note(&c, 0, (uint64_t)c.st.st_size);
                change_end(&c);
            }
            (void)syscall(SYS_close, fd);
        }
    }
    int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    int keep = errno;
    struct stat st;
    if (makes && fd >= 0 && fstat(fd, &st) == 0)
        forget_file(st.st_ino); /* of another file that had this inode */
    let_go(NAMES);
    errno = keep;
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & O_CREAT) || (flags & __O_TMPFILE) == __O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...)                                  \
    {                                                                           \
        va_list args;                                                           \
        va_start(args, flags);                                                  \
        mode_t mode = mode_of(flags, args);                                     \
        va_end(args);                                                           \
        return opening(AT_FDCWD, path, flags, mode);                            \
    }
#define OPENAT(name)                                                            \
    int name(int dir_fd, const char *path, int flags, ...)                      \
    {                                                                           \
        va_list args;                                                           \
        va_start(args, flags);                                                  \
        mode_t mode = mode_of(flags, args);                                     \
        va_end(args);                                                           \
        return opening(dir_fd, path, flags, mode);                              \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags);
int __openat64_2(int dir_fd, const char *path, int flags);
int __open_2(const char *path, int flags) { return opening(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opening(AT_FDCWD, path, flags, 0); }
int __openat_2(int dir_fd, const char *path, int flags) { return opening(dir_fd, path, flags, 0); }
int __openat64_2(int dir_fd, const char *path, int flags) { return opening(dir_fd, path, flags, 0); }
int creat(const char *path, mode_t mode)
{
    return opening(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode)
{
    return opening(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* ---- writing -------------------------------------------------------------------------------- */
static uint64_t position(const struct change *c)
{
    long flags = syscall(SYS_fcntl, c->fd, F_GETFL), at = syscall(SYS_lseek, c->fd, 0, SEEK_CUR);
    return flags >= 0 && (flags & O_APPEND) ? (uint64_t)c->st.st_size : at < 0 ? 0 : (uint64_t)at;
}

static size_t total(const struct iovec *v, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += v[i].iov_len;
    return bytes;
}

/* Makes `call`, a change of [from, to) of fd, after noting what stood there. */
#define CHANGING(T, from, to, call)                                             \
    struct change c;                                                            \
    if (!change_begin(&c, fd)) return (T)(call);                                \
    note(&c, (from), (to));                                                     \
    T did = (T)(call);                                                          \
    change_end(&c);                                                             \
    return did

ssize_t write(int fd, const void *bytes, size_t n)
{
    CHANGING(ssize_t, position(&c), position(&c) + n, syscall(SYS_write, fd, bytes, n));
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    CHANGING(ssize_t, position(&c), position(&c) + total(v, n), syscall(SYS_writev, fd, v, n));
}

static ssize_t pwriting(int fd, const void *bytes, size_t n, off_t at)
{
    CHANGING(ssize_t, (uint64_t)at, (uint64_t)at + n, syscall(SYS_pwrite64, fd, bytes, n, at));
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return pwriting(fd, bytes, n, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return pwriting(fd, bytes, n, at); }

static ssize_t pwritingv(int fd, const struct iovec *v, int n, off_t at)
{
    CHANGING(ssize_t, (uint64_t)at, (uint64_t)at + total(v, n), syscall(SYS_pwritev, fd, v, n, at, 0L));
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return pwritingv(fd, v, n, at); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at) { return pwritingv(fd, v, n, at); }

static int truncating(int fd, off_t size)
{
    CHANGING(int, (uint64_t)size, UINT64_MAX, syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size) { return truncating(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncating(fd, size); }

static int truncating_path(const char *path, off_t size)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int did = truncating(fd, size), keep = errno;
    (void)syscall(SYS_close, fd);
    errno = keep;
    return did;
}

int truncate(const char *path, off_t size) { return truncating_path(path, size); }
int truncate64(const char *path, off64_t size) { return truncating_path(path, size); }

static int allocating(int fd, int mode, off_t from, off_t n)
{
    /* Plain allocation changes no byte; punching, zeroing, collapsing do, the last up to the
     * end. */
    bool plain = (mode & ~FALLOC_FL_KEEP_SIZE) == 0;
    uint64_t start = plain ? UINT64_MAX : (uint64_t)from;
    CHANGING(int, start, UINT64_MAX, syscall(SYS_fallocate, fd, mode, from, n));
}

int fallocate(int fd, int mode, off_t from, off_t n) { return allocating(fd, mode, from, n); }
int fallocate64(int fd, int mode, off64_t from, off64_t n) { return allocating(fd, mode, from, n); }

static int allocating_posix(int fd, off_t from, off_t n)
{
    int keep = errno, did = allocating(fd, 0, from, n) == 0 ? 0 : errno;
    errno = keep;
    return did;
}

int posix_fallocate(int fd, off_t from, off_t n) { return allocating_posix(fd, from, n); }
int posix_fallocate64(int fd, off64_t from, off64_t n) { return allocating_posix(fd, from, n); }

/* ---- syncing -------------------------------------------------------------------------------- */
static int syncing(int fd, long number)
{
    struct stat st;
    char path[PATH_BYTES];
    int keep = errno;
    if (is_ours(fd, &st)) {
        int slot = (int)(st.st_ino % SLOTS);
        hold(slot);
        int did = (int)syscall(number, fd);
        keep = errno;
        if (did == 0) forget_file(st.st_ino);
        let_go(slot);
        errno = keep;
        return did;
    }
    bool folder = root[0] && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && fd_path(fd, path) && inside(path);
    if (!folder) {
        errno = keep;
        return (int)syscall(number, fd);
    }
    hold(NAMES);
    int did = (int)syscall(number, fd);
    keep = errno;
    if (did == 0) forget_names(st.st_ino);
    let_go(NAMES);
    errno = keep;
    return did;
}

int fsync(int fd) { return syncing(fd, SYS_fsync); }
int fdatasync(int fd) { return syncing(fd, SYS_fdatasync); }

/* ---- names ---------------------------------------------------------------------------------- */
static int renaming(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    struct place a, b;
    if (!root[0]) return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    hold(NAMES);
    find(&a, from_fd, from);
    find(&b, to_fd, to);
    if (a.ours != b.ours || (a.ours && (flags & RENAME_EXCHANGE))) {
        errno = ENOTSUP;
        give_up("a rename into or out of the folder, or an exchange");
    }
    if (a.ours && a.exists) {
        char saved[PATH_BYTES + 64] = "-";
        if (b.exists && S_ISREG(b.st.st_mode) && b.st.st_ino != a.st.st_ino)
            save_link(&b, saved, sizeof saved);
        note_name("R\t%ju\t%ju\t%s\t%s\t%s\n", (uintmax_t)b.folder, (uintmax_t)a.st.st_ino, a.path,
                  b.path, saved);
    }
    int did = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags), keep = errno;
    let_go(NAMES);
    errno = keep;
    return did;
}

int rename(const char *from, const char *to) { return renaming(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renaming(from_fd, from, to_fd, to, 0);
}
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return renaming(from_fd, from, to_fd, to, flags);
}

static int removing(int dir_fd, const char *path, int flags)
{
    struct place p;
    if (!root[0]) return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    hold(NAMES);
    find(&p, dir_fd, path);
    if (p.ours && p.exists && (flags & AT_REMOVEDIR)) note_name("D\t%ju\t%s\n", (uintmax_t)p.folder, p.path);
    if (p.ours && p.exists && !(flags & AT_REMOVEDIR) && !S_ISDIR(p.st.st_mode)) {
        char saved[PATH_BYTES + 64];
        save_link(&p, saved, sizeof saved);
        note_name("U\t%ju\t%s\t%s\n", (uintmax_t)p.folder, p.path, saved);
    }
    int did = (int)syscall(SYS_unlinkat, dir_fd, path, flags), keep = errno;
    let_go(NAMES);
    errno = keep;
    return did;
}

int unlink(const char *path) { return removing(AT_FDCWD, path, 0); }
int unlinkat(int dir_fd, const char *path, int flags) { return removing(dir_fd, path, flags); }
int rmdir(const char *path) { return removing(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path)
{
    int did = removing(AT_FDCWD, path, 0);
    return did < 0 && errno == EISDIR ? removing(AT_FDCWD, path, AT_REMOVEDIR) : did;
}

/* Makes `call`, which makes `name`. */
#define MAKING(seen_from, name, call)                                           \
    struct place p;                                                             \
    if (!root[0]) return (int)(call);                                           \
    hold(NAMES);                                                                \
    find(&p, (seen_from), (name));                                              \
    if (p.ours && !p.exists) note_name("C\t%ju\t%s\n", (uintmax_t)p.folder, p.path); \
    int did = (int)(call), keep = errno;                                        \
    let_go(NAMES);                                                              \
    errno = keep;                                                               \
    return did

static int making(int dir_fd, const char *path, mode_t mode)
{
    MAKING(dir_fd, path, syscall(SYS_mkdirat, dir_fd, path, mode));
}

static int linking(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    MAKING(to_fd, to, syscall(SYS_linkat, from_fd, from, to_fd, to, flags));
}

int mkdir(const char *path, mode_t mode) { return making(AT_FDCWD, path, mode); }
int mkdirat(int dir_fd, const char *path, mode_t mode) { return making(dir_fd, path, mode); }
int link(const char *from, const char *to) { return linking(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return linking(from_fd, from, to_fd, to, flags);
}
