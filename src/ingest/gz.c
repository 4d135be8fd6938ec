/* SPDX-License-Identifier: Apache-2.0
 *
 * gz.c - a file or a run of bytes, unpacked on the way if it is gzipped. */
#include "ingest/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { IN_BYTES = 64 << 10 };

struct gz {
    int fd;                         /* -1: memory */
    str memory;
    u8 *in;                         /* what was read of the file and not yet used */
    isize at, end;
    struct gz_progress progress;
    bool begun, packed, member_done, ended;
    z_stream z;
};

enum err gz_open(const char *path, struct gz **out, struct diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0)
        return diag_set(diag, errno == ENOENT ? ERR_NOT_FOUND : ERR_DISK, "%s cannot be opened",
                        path);
    if (fstat(fd, &about) != 0 || S_ISDIR(about.st_mode)) {
        (void)close(fd);
        return diag_set(diag, ERR_BAD_INPUT, "%s is no file", path);
    }
    struct gz *gz = mem_new(sizeof *gz);
    gz->fd = fd;
    gz->in = mem_new(IN_BYTES);
    gz->progress.total = about.st_size;
    *out = gz;
    return ERR_OK;
}

struct gz *gz_memory(str bytes)
{
    struct gz *gz = mem_new(sizeof *gz);
    gz->fd = -1;
    gz->memory = bytes;
    gz->in = mem_new(IN_BYTES);
    gz->progress.total = bytes.len;
    return gz;
}

void gz_close(struct gz *gz)
{
    if (!gz) return;
    if (gz->fd >= 0) (void)close(gz->fd);
    if (gz->packed) (void)inflateEnd(&gz->z);
    mem_free(gz->in);
    mem_free(gz);
}

struct gz_progress gz_progress(const struct gz *gz) { return gz->progress; }

/* Makes sure something stands in `in`, unless the file ends. */
static enum err fill(struct gz *gz, struct diag *diag)
{
    if (gz->at < gz->end) return ERR_OK;
    isize n;
    if (gz->fd < 0) {
        n = min_isize(gz->memory.len, IN_BYTES);
        if (n) memcpy(gz->in, gz->memory.ptr, (size_t)n);
        gz->memory = str_from(gz->memory, n);
    } else {
        do n = read(gz->fd, gz->in, IN_BYTES); while (n < 0 && errno == EINTR);
        if (n < 0) return diag_set(diag, ERR_DISK, "the file cannot be read");
    }
    gz->at = 0;
    gz->end = n;
    gz->progress.done += n;
    return ERR_OK;
}

static enum err begin(struct gz *gz, struct diag *diag)
{
    enum err err = fill(gz, diag);
    if (err) return err;
    gz->begun = true;
    bool magic = gz->end - gz->at >= 2 && gz->in[gz->at] == 0x1f && gz->in[gz->at + 1] == 0x8b;
    if (!magic) return ERR_OK;
    if (inflateInit2(&gz->z, 15 + 16) != Z_OK) return diag_set(diag, ERR_INTERNAL, "zlib cannot start");
    gz->packed = true;
    return ERR_OK;
}

static enum err read_packed(struct gz *gz, void *to, isize n, isize *got, struct diag *diag)
{
    gz->z.next_out = to;
    gz->z.avail_out = (uInt)min_isize(n, 1 << 30);
    uInt room = gz->z.avail_out;
    while (!gz->ended && gz->z.avail_out == room) {
        enum err err = fill(gz, diag);
        if (err) return err;
        if (gz->at == gz->end) {
            if (!gz->member_done) return diag_set(diag, ERR_BAD_INPUT, "the gzip file is cut short");
            gz->ended = true;
            break;
        }
        if (gz->member_done) {
            if (gz->in[gz->at] != 0x1f) { gz->ended = true; break; }    /* padding behind the last member */
            (void)inflateReset(&gz->z);
            gz->member_done = false;
        }
        gz->z.next_in = gz->in + gz->at;
        gz->z.avail_in = (uInt)(gz->end - gz->at);
        int z = inflate(&gz->z, Z_NO_FLUSH);
        gz->at = gz->end - (isize)gz->z.avail_in;
        gz->member_done = z == Z_STREAM_END;
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
            return diag_set(diag, ERR_BAD_INPUT, "the gzip file is damaged");
    }
    *got = (isize)(room - gz->z.avail_out);
    return ERR_OK;
}

enum err gz_read(struct gz *gz, void *to, isize n, isize *got, struct diag *diag)
{
    assert(n > 0);
    *got = 0;
    enum err err = gz->begun ? ERR_OK : begin(gz, diag);
    if (err) return err;
    if (gz->packed) return read_packed(gz, to, n, got, diag);
    err = fill(gz, diag);
    if (err) return err;
    *got = min_isize(n, gz->end - gz->at);
    if (*got) memcpy(to, gz->in + gz->at, (size_t)*got);
    gz->at += *got;
    return ERR_OK;
}
