/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all, in any pieces: the requests seen are the same, nothing is read outside the buffer, and
 * what is taken for a request obeys the policy of wire.c.
 *
 * Input: one byte that seeds the pieces, then what a client sends. The whole of it is read twice, at once
 * and in pieces, each time from memory of exactly the right size. */
#include <stdint.h>
#include <stdlib.h>

#include "http/wire.h"

enum { HEAD_MAX = 512, BODY_MAX = 256 };

struct seen { u64 requests, sum; bool refused; };

static u64 mix(u64 sum, str s)
{
    for (isize i = 0; i < s.len; i++) sum = (sum ^ (u8)s.ptr[i]) * 0x100000001b3u;
    return (sum ^ (u64)s.len) * 0x100000001b3u;
}

static void check(const struct wire *w, const char *bytes, isize len, struct seen *seen)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct http_request req = { 0 };
    wire_request(w, bytes, headers, &req);
    assert(w->consumed > 0 && w->consumed <= len);
    assert(req.body.len <= BODY_MAX);
    assert(req.path.len > 0);
    isize hosts = 0, framings = 0;
    seen->sum = mix(mix(mix(seen->sum, req.path), req.query), req.body);
    for (isize i = 0; i < req.headers_n; i++) {
        str name = headers[i].name, value = headers[i].value;
        hosts += str_eq_nocase(name, S("host"));
        framings += str_eq_nocase(name, S("content-length")) || str_eq_nocase(name, S("transfer-encoding"));
        for (isize k = 0; k < value.len; k++) assert((u8)value.ptr[k] >= 0x20 || value.ptr[k] == '\t');
        seen->sum = mix(mix(seen->sum, name), value);
    }
    assert(hosts == 1 || (hosts == 0 && w->minor_0));
    assert(framings <= 1);
    seen->requests++;

    if (w->gzip && req.body.len > 0) {
        struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
        char *out = mem_new(BODY_MAX);
        isize n;
        err_ignore(wire_gunzip(d, req.body, out, BODY_MAX, &n), "any answer will do");
        assert(n <= BODY_MAX);
        mem_free(out);
        libdeflate_free_decompressor(d);
    }
}

/* As the connection does it: bytes come, whole requests go, the rest moves to the front. */
static struct seen run(const u8 *data, isize size, struct rng *pieces)
{
    struct seen seen = { 0 };
    struct wire_limits limits = { HEAD_MAX, BODY_MAX };
    struct wire w;
    memset(&w, 0xa5, sizeof w);                         /* wire_begin must not lean on zeroes */
    wire_begin(&w, limits);
    char *bytes = NULL;
    isize len = 0;
    while (size > 0 && !seen.refused) {
        isize n = pieces ? 1 + rng_below(pieces, (u32)min_isize(size, 40)) : size;
        char *moved = mem_new(len + n);
        if (len) memcpy(moved, bytes, (size_t)len);
        memcpy(moved + len, data, (size_t)n);
        mem_free(bytes);
        bytes = moved;
        len += n;
        data += n;
        size -= n;
        for (enum wire_state state = WIRE_HEAD; state != WIRE_MORE && len > 0;) {
            state = wire_feed(&w, bytes, &len);
            if (state == WIRE_REFUSED) {
                assert(w.refusal < HTTP_REFUSALS_N);
                seen.refused = true;
                break;
            }
            if (state != WIRE_READY) continue;
            check(&w, bytes, len, &seen);
            len -= w.consumed;
            memmove(bytes, bytes + w.consumed, (size_t)len);
            wire_begin(&w, limits);
        }
    }
    mem_free(bytes);
    return seen;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size == 0) return 0;
    struct rng pieces = rng_seed(data[0]);
    struct seen whole = run(data + 1, (isize)size - 1, NULL);
    struct seen split = run(data + 1, (isize)size - 1, &pieces);
    assert(whole.requests == split.requests);
    assert(whole.sum == split.sum);
    assert(whole.refused == split.refused);
    return 0;
}
