/* SPDX-License-Identifier: Apache-2.0
 *
 * unsynced-rollback [--torn SEED] DIR - after a kill, leaves in DIR what a power cut may have
 * left.
 *
 * Takes back all that undo.h's folder knows of: first the bytes of each file, last to first,
 * then the names, last to first, then removes what is derived (-shm). With --torn each 4 KiB
 * page that was written and not synced, and each file's size, is taken back or not by the seed,
 * as a disk does that was in the middle of it; names are all taken back. Prints what it did.
 * Nothing may run in DIR. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "undo.h"

enum { PATH_BYTES = 4096, PAGE = 4096, FILES_MAX = 65536, LINES_MAX = 65536 };

static char undo[PATH_BYTES];
static bool torn;
static uint64_t seed;
static struct { long files, names; uint64_t bytes; } did;

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "unsynced-rollback: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- which file an inode is ------------------------------------------------------------------ */
static struct { ino_t inode; char *path; } files[FILES_MAX];
static int files_n;

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    if (kind != FTW_F || !S_ISREG(st->st_mode)) return 0;
    if (undo_derived(path)) return unlink(path);
    if (files_n == FILES_MAX) die("too many files");
    files[files_n].inode = st->st_ino;
    files[files_n].path = strdup(path);
    if (!files[files_n++].path) die("memory");
    return 0;
}

static const char *path_of(ino_t inode)
{
    for (int i = 0; i < files_n; i++)
        if (files[i].inode == inode) return files[i].path;
    return NULL;
}

/* ---- bytes ----------------------------------------------------------------------------------- */
static bool takes_back(ino_t inode, uint64_t page)
{
    if (!torn) return true;
    uint64_t z = seed + (uint64_t)inode * 0x9e3779b97f4a7c15u + page * 0xd1342543de82ef95u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;          /* splitmix64 */
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((z ^ (z >> 31)) & 1) != 0;
}

/* Null bytes: zeros. */
static void put_back(int fd, ino_t inode, uint64_t at, const char *bytes, uint64_t n)
{
    static const char zeros[PAGE];
    while (n > 0) {
        uint64_t left = PAGE - at % PAGE, now = n < left ? n : left;
        if (takes_back(inode, at / PAGE)) {
            if (pwrite(fd, bytes ? bytes : zeros, now, (off_t)at) != (ssize_t)now) die("write");
            did.bytes += now;
        }
        at += now;
        n -= now;
        if (bytes) bytes += now;
    }
}

static void take_back_file(ino_t inode, const char *name)
{
    char path[PATH_BYTES + 300];
    const char *file = path_of(inode);
    struct stat st;
    if (!file) return;
    (void)snprintf(path, sizeof path, "%s/%s", undo, name);
    int in = open(path, O_RDONLY), out = open(file, O_RDWR);
    if (in < 0 || fstat(in, &st) < 0) die(path);
    if (out < 0) die(file);
    char *all = malloc((size_t)st.st_size + 1);
    if (!all || read(in, all, (size_t)st.st_size) != st.st_size) die(path);

    size_t n = 0, cap = 0, *at = NULL;
    for (size_t i = 0; (size_t)st.st_size - i >= sizeof(struct undo);) {
        struct undo u;
        memcpy(&u, all + i, sizeof u);
        size_t size = sizeof u + (u.kind == UNDO_OLD ? u.length : 0);
        if (u.magic != UNDO_MAGIC) die("an undo file that is none");
        if (size > (size_t)st.st_size - i) break;       /* not finished: nor was the write it is for begun */
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            at = realloc(at, cap * sizeof *at);
            if (!at) die("memory");
        }
        at[n++] = i;
        i += size;
    }
    for (size_t i = n; i-- > 0;) {
        struct undo u;
        memcpy(&u, all + at[i], sizeof u);
        if (u.kind != UNDO_BASE)
            put_back(out, inode, u.offset, u.kind == UNDO_OLD ? all + at[i] + sizeof u : NULL,
                     u.length);
        else if (takes_back(inode, UINT64_MAX) && ftruncate(out, (off_t)u.length) < 0) die(file);
    }
    did.files += n > 0;
    free(at);
    free(all);
    (void)close(in);
    if (fsync(out) < 0 || close(out) < 0) die(file);
}

static void take_back_files(void)
{
    DIR *dir = opendir(undo);
    if (!dir) die(undo);
    for (struct dirent *e; (e = readdir(dir));) {
        char *end;
        uintmax_t inode = strtoumax(e->d_name, &end, 10);
        if (end != e->d_name && *end == 0) take_back_file((ino_t)inode, e->d_name);
    }
    (void)closedir(dir);
}

/* ---- names ----------------------------------------------------------------------------------- */
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void take_back_name(char *line)
{
    char *f[6] = { 0 };
    int n = 0;
    for (char *p = line; p && n < 6; n++) f[n] = strsep(&p, "\t\n");
    struct stat st;
    if (n < 3) die("a line of names that is none");
    did.names++;
    switch (line[0]) {
    case 'C':
        if (lstat(f[2], &st) == 0 && nftw(f[2], remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) die(f[2]);
        break;
    case 'U':
        if (rename(f[3], f[2]) < 0 && errno != ENOENT) die(f[2]);
        break;
    case 'R':
        if (lstat(f[4], &st) < 0 || st.st_ino != strtoumax(f[2], NULL, 10)) break;      /* was not done */
        if (rename(f[4], f[3]) < 0) die(f[3]);
        if (strcmp(f[5], "-") != 0 && rename(f[5], f[4]) < 0) die(f[4]);
        break;
    case 'D':
        if (mkdir(f[2], 0700) < 0 && errno != EEXIST) die(f[2]);
        break;
    default: die("a line of names that is none");
    }
}

static void take_back_names(void)
{
    static char *lines[LINES_MAX];
    char path[PATH_BYTES + 8], line[UNDO_LINE];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/names", undo);
    FILE *in = fopen(path, "r");
    if (!in) return;
    while (fgets(line, sizeof line, in)) {
        if (!strchr(line, '\n')) break;
        if (n == LINES_MAX || !(lines[n++] = strdup(line))) die("memory");
    }
    (void)fclose(in);
    while (n-- > 0) {
        take_back_name(lines[n]);
        free(lines[n]);
    }
}

int main(int n, char **arguments)
{
    char root[PATH_BYTES];
    const char *where = getenv("UNSYNCED_UNDO");
    torn = n == 4 && strcmp(arguments[1], "--torn") == 0;
    if (torn) seed = strtoull(arguments[2], NULL, 10);
    if (n != 2 && !torn) {
        (void)fprintf(stderr, "usage: unsynced-rollback [--torn SEED] DIR\n");
        return 2;
    }
    if (!realpath(arguments[n - 1], root)) die(arguments[n - 1]);
    if ((where ? snprintf(undo, sizeof undo, "%s", where)
               : snprintf(undo, sizeof undo, "%s.undo", root))
        >= PATH_BYTES - 300)
        die("the name of the undo folder is too long");
    struct stat st;
    if (stat(undo, &st) == 0) {
        if (nftw(root, add_file, 16, FTW_PHYS) != 0 || nftw(undo, add_file, 16, FTW_PHYS) != 0) die(root);
        take_back_files();
        take_back_names();
        if (nftw(undo, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) die(undo);
    }
    (void)printf("files %ld bytes %" PRIu64 " names %ld\n", did.files, did.bytes, did.names);
    return 0;
}
