/* SPDX-License-Identifier: Apache-2.0 */
#include "base/codec.h"

enum { U64_BYTES_MAX = 10 };                            /* seven bits a byte */

void codec_u64(struct codec *c, u64 *v)
{
    if (c->out) {
        u64 left = *v;
        if (c->out->cap - c->out->len < U64_BYTES_MAX) buf_reserve(c->out, U64_BYTES_MAX);
        char *at = c->out->ptr + c->out->len;
        for (; left >= 0x80; left >>= 7) *at++ = (char)(left | 0x80);
        *at++ = (char)left;
        c->out->len = at - c->out->ptr;
        return;
    }
    u64 sum = 0;
    isize most = c->in.len < U64_BYTES_MAX ? c->in.len : U64_BYTES_MAX;
    for (isize i = 0; i < most; i++) {
        u8 byte = (u8)c->in.ptr[i];
        sum |= (u64)(byte & 0x7f) << 7 * i;
        if (byte >= 0x80) continue;
        c->in = str_from(c->in, i + 1);
        *v = sum;
        return;
    }
    *v = 0;
    c->in = str_from(c->in, most);
    c->failed = true;
}

static u64 bounded(struct codec *c, u64 v, u64 most)
{
    codec_u64(c, &v);
    if (v <= most) return v;
    c->failed = true;
    return 0;
}

/* What is written may be read by others at this moment, so writing stores nothing: not even the same value. */
#define CODEC_SMALL(name, T, most)                                                          \
    void name(struct codec *c, T *v)                                                        \
    {                                                                                       \
        u64 wide = bounded(c, codec_reads(c) ? 0 : *v, most);                               \
        if (codec_reads(c)) *v = (T)wide;                                                   \
    }
CODEC_SMALL(codec_u8, u8, UINT8_MAX)
CODEC_SMALL(codec_u16, u16, UINT16_MAX)
CODEC_SMALL(codec_u32, u32, UINT32_MAX)
CODEC_SMALL(codec_bool, bool, 1)

void codec_i64(struct codec *c, i64 *v)
{
    i64 from = codec_reads(c) ? 0 : *v;
    u64 zigzag = ((u64)from << 1) ^ (u64)(from >> 63);
    codec_u64(c, &zigzag);
    if (codec_reads(c)) *v = (i64)(zigzag >> 1) ^ -(i64)(zigzag & 1);
}

void codec_i32(struct codec *c, i32 *v)
{
    i64 wide = codec_reads(c) ? 0 : *v;
    codec_i64(c, &wide);
    if (!codec_reads(c)) return;
    if (wide < INT32_MIN || wide > INT32_MAX) {
        c->failed = true;
        wide = 0;
    }
    *v = (i32)wide;
}

static void as_it_is(struct codec *c, void *v, isize size)
{
    if (c->out) {
        buf_add(c->out, (str){ v, size });
        return;
    }
    if (c->in.len < size) {
        c->failed = true;
        c->in = S("");
        memset(v, 0, (size_t)size);
        return;
    }
    memcpy(v, c->in.ptr, (size_t)size);
    c->in = str_from(c->in, size);
}

void codec_f64(struct codec *c, f64 *v) { as_it_is(c, v, sizeof *v); }
void codec_word(struct codec *c, u64 *v) { as_it_is(c, v, sizeof *v); }

void codec_str(struct codec *c, str *v)
{
    u64 n = (u64)v->len;
    codec_u64(c, &n);
    if (c->out) {
        buf_add(c->out, *v);
        return;
    }
    if (n > (u64)c->in.len) {
        c->failed = true;
        n = 0;
        c->in = S("");
    }
    *v = str_slice(c->in, 0, (isize)n);
    c->in = str_from(c->in, (isize)n);
}

isize codec_count(struct codec *c, isize n, isize most)
{
    assert(n >= 0);
    assert(codec_reads(c) || n <= most);
    u64 v = (u64)n;
    codec_u64(c, &v);
    bool plausible = v <= (u64)most && (c->out || v <= (u64)c->in.len);  /* each item takes a byte at least */
    if (plausible) return (isize)v;
    c->failed = true;
    return 0;
}
