/* SPDX-License-Identifier: Apache-2.0
 *
 * window.c - a stretch of a log file in memory, that slides as records are looked at.
 *
 * Reading with pread and not mmap: a disk that fails under a map is a signal, here it is an
 * answer. */
#include "log/window.h"

#include <errno.h>
#include <unistd.h>

enum { WINDOW_BYTES = 1 << 20 };

bool read_all(int fd, char *to, isize n, i64 at)
{
    while (n > 0) {
        isize got = pread(fd, to, (size_t)n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        at += got;
        n -= got;
    }
    return true;
}

/* At least `n` bytes at `at`, which the file has; more when at hand. */
static str window_at(struct window *w, i64 at, isize n)
{
    assert(at >= 0 && at + n <= w->size);
    if (at < w->at || at + n > w->at + w->held.len) {
        isize want = min_i64(max_isize(n, WINDOW_BYTES), w->size - at);
        w->held.len = 0;
        buf_reserve(&w->held, want);
        w->failed |= !read_all(w->fd, w->held.ptr, want, at);
        if (w->failed) return (str){ 0 };
        w->at = at;
        w->held.len = want;
    }
    return str_from(buf_str(&w->held), at - w->at);
}

enum record_state window_record(struct window *w, i64 at, struct record_head *head, str *bytes)
{
    isize left = w->size - at;
    str s = window_at(w, at, min_isize(left, RECORD_HEADER));
    if (w->failed || s.len < RECORD_HEADER || !record_peek(s.ptr, head) || head->bytes > left)
        return RECORD_INVALID;
    isize size = head->bytes;
    s = window_at(w, at, size);
    if (w->failed) return RECORD_INVALID;
    *bytes = str_slice(s, 0, size);
    return record_check(*bytes, head);
}

static bool all_zeros(str s)
{
    return s.len == 0 || (s.ptr[0] == 0 && memcmp(s.ptr, s.ptr + 1, (size_t)s.len - 1) == 0);
}

i64 window_used(struct window *w, i64 at)
{
    i64 used = at;
    while (at < w->size && !w->failed) {
        str s = window_at(w, at, 1);
        for (isize i = all_zeros(s) ? 0 : s.len; i > 0; i--)
            if (s.ptr[i - 1]) {
                used = at + i;
                break;
            }
        at += s.len;
    }
    return used;
}

bool window_holds_later(struct window *w, i64 at, u64 tail)
{
    static const char magic[] = { '\xff', 'O', 'P', '\xfe' };
    while (w->size - at >= RECORD_HEADER + ENTRY_HEADER && !w->failed) {
        str s = window_at(w, at, RECORD_HEADER);
        const char *hit = memmem(s.ptr, (size_t)s.len, magic, sizeof magic);
        if (!hit) {
            at += s.len - (isize)sizeof magic + 1;
            continue;
        }
        at += hit - s.ptr;
        struct record_head head;
        str bytes;
        enum record_state state = window_record(w, at, &head, &bytes);
        if (state == RECORD_NEWER || (state == RECORD_VALID && head.commit > tail)) return true;
        at++;
    }
    return false;
}
