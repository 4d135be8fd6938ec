/* SPDX-License-Identifier: Apache-2.0 */
#include "base/codec.h"

u64 codec_get_long(struct codec *c)
{
    u64 sum = 0;
    isize most = min_isize(c->in.len, CODEC_U64_BYTES_MAX);
    for (isize i = 0; i < most; i++) {
        u8 byte = (u8)c->in.ptr[i];
        sum |= (u64)(byte & 0x7f) << 7 * i;
        if (byte >= 0x80) continue;
        c->in = str_from(c->in, i + 1);
        return sum;
    }
    c->in = str_from(c->in, most);
    c->failed = true;
    return 0;
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
