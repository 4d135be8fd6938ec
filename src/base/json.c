/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_face.h"

/* ---- in ------------------------------------------------------------------------------------ */

/* Where strings go: all of them, with a zero behind each, are shorter than the text, where each has
 * two quotes. */
struct reader { arena *a; char *at; };

static void *face_list(void *ctx, void *at, int is_object, ptrdiff_t n)
{
    const struct reader *r = ctx;
    struct json *node = at;
    struct json *children = n ? arena_room(r->a, struct json, n) : NULL;
    for (ptrdiff_t i = 0; !is_object && i < n; i++) children[i].key = (str){ 0 };
    node->kind = is_object ? JSON_OBJ : JSON_ARR;
    node->lacks = ~(u32)0;
    node->list.at = children;
    node->list.n = n;
    return children;
}

static str kept(struct reader *r, const char *ptr, ptrdiff_t len)
{
    str copy = { r->at, len };
    memcpy(r->at, ptr, (size_t)len);
    r->at[len] = 0;
    r->at += len + 1;
    return copy;
}

static void face_key(void *ctx, void *of, void *at, const char *ptr, ptrdiff_t len)
{
    struct json *node = at;
    node->key = kept(ctx, ptr, len);
    ((struct json *)of)->lacks &= ~json_key_bit(node->key);
}

static void face_text(void *ctx, void *at, const char *ptr, ptrdiff_t len)
{
    struct json *node = at;
    node->kind = JSON_STR;
    node->s = kept(ctx, ptr, len);
}

static void face_integer(void *at, int64_t v)
{
    struct json *node = at;
    node->kind = JSON_INT;
    node->i = v;
}

static void face_number(void *at, double v)
{
    struct json *node = at;
    node->kind = JSON_NUM;
    node->n = v;
}

static void face_boolean(void *at, int v)
{
    struct json *node = at;
    node->kind = JSON_BOOL;
    node->b = v != 0;
}

static void face_null(void *at) { ((struct json *)at)->kind = JSON_NULL; }

enum err json_parse(arena *a, str text, const struct json **out, struct diag *diag)
{
    struct reader reader = { a, NULL };
    struct json_face face = {
        &reader, (ptrdiff_t)sizeof(struct json), face_list, face_key, face_text,
        face_integer, face_number, face_boolean, face_null,
    };
    struct json *root = arena_new(a, struct json, 1);
    *out = root;
    if (str_trim(text).len == 0) return diag_set(diag, ERR_BAD_INPUT, "expected JSON, got nothing");
    char *room = reader.at = arena_room(a, char, text.len);
    const char *why = json_face_parse(&face, text.ptr, text.len, JSON_DEPTH_MAX, root);
    if (why)
        return diag_set(diag, ERR_BAD_INPUT, "this is not JSON: %s (at most %d levels deep)", why,
                        JSON_DEPTH_MAX);
    assert(reader.at <= room + text.len);
    return ERR_OK;
}

/* A key is compared only where its length and first letter agree. */
const struct json *json_find(const struct json *obj, str key)
{
    for (const struct json *v = obj->list.at, *end = v + obj->list.n; v < end; v++) {
        if (v->key.len != key.len) continue;
        if (key.len == 0
            || (*v->key.ptr == *key.ptr && memcmp(v->key.ptr, key.ptr, (size_t)key.len) == 0))
            return v;
    }
    return NULL;
}

const struct json *json_path(const struct json *obj, const char *dotted)
{
    while (obj && *dotted) {
        const char *end = dotted;
        while (*end && *end != '.') end++;
        obj = json_get(obj, (str){ dotted, end - dotted });
        dotted = *end ? end + 1 : end;
    }
    return obj;
}

bool json_is(const struct json *v, enum json_kind kind) { return v && v->kind == kind; }
str json_get_str(const struct json *obj, const char *key)
{
    return json_str(json_get(obj, str_of(key)), S(""));
}
str json_str(const struct json *v, str otherwise) { return json_is(v, JSON_STR) ? v->s : otherwise; }
bool json_bool(const struct json *v, bool otherwise) { return json_is(v, JSON_BOOL) ? v->b : otherwise; }

i64 json_int(const struct json *v, i64 otherwise)
{
    if (json_is(v, JSON_INT)) return v->i;
    if (json_is(v, JSON_NUM) && v->n == floor(v->n) && fabs(v->n) < 9e15) return (i64)v->n;
    return otherwise;
}

f64 json_num(const struct json *v, f64 otherwise)
{
    if (json_is(v, JSON_INT)) return (f64)v->i;
    return json_is(v, JSON_NUM) ? v->n : otherwise;
}

isize json_len(const struct json *v)
{
    return json_is(v, JSON_ARR) || json_is(v, JSON_OBJ) ? v->list.n : 0;
}

enum { DECIMALS_MAX = 6, DECIMAL_BYTES_MAX = 24 };

static char *put_pair(char *to, u32 n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
        "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
        "9899";
    memcpy(to, pairs + 2 * n, 2);
    return to + 2;
}

/* whole.millionths, without zeros behind it. Returns where it ends. */
static char *put_decimal(char *to, u64 whole, u32 millionths)
{
    char digits[DECIMAL_BYTES_MAX], *end = digits + sizeof digits, *at = end;
    for (; whole >= 10; whole /= 10) *--at = (char)('0' + whole % 10);
    *to++ = (char)('0' + whole);
    while (at < end) *to++ = *at++;
    if (millionths == 0) return to;
    *to++ = '.';
    to = put_pair(to, millionths / 10000);
    to = put_pair(to, millionths / 100 % 100);
    to = put_pair(to, millionths % 100);
    while (to[-1] == '0') to--;
    return to;
}

/* A number of up to six decimals, which most are: n / 10^6 is rounded correctly when both are
 * exact, so if that is v, the decimal reads back as v; below 10^8 no other one of six decimals
 * does. 0 when it is not one of those. */
static isize print_decimal(char *text, f64 v)
{
    f64 size = fabs(v);
    if (size < 1e-4 || size >= 1e8) return 0;
    u64 left = (u64)(size * 1e6 + .5);
    if ((f64)left / 1e6 != size) return 0;
    char *to = text;
    if (v < 0) *to++ = '-';
    return put_decimal(to, left / 1000000, (u32)(left % 1000000)) - text;
}

static isize print_num(char *text, isize cap, f64 v)
{
    assert(cap >= 24);
    isize quick = print_decimal(text, v);
    if (quick) return quick;
    for (int precision = 15; precision <= 17; precision++) {
        int n = snprintf(text, (size_t)cap, "%.*g", precision, v);
        if (precision == 17 || strtod(text, NULL) == v) return n;
    }
    return 0;
}

str json_text(arena *a, const struct json *v)
{
    if (json_is(v, JSON_STR)) return v->s;
    if (json_is(v, JSON_INT)) return arena_printf(a, "%lld", (long long)v->i);
    if (!json_is(v, JSON_NUM)) return S("");
    char text[40];
    return arena_str(a, (str){ text, print_num(text, countof(text), v->n) });
}

/* ---- out ----------------------------------------------------------------------------------- */

static void before_value(struct jsonw *w)
{
    if (w->comma) buf_byte(w->out, ',');
    w->comma = true;
}

static const char hex[] = "0123456789abcdef";

static void escaped(struct buf *out, char c)
{
    buf_byte(out, '\\');
    switch (c) {
    case '"': case '\\': buf_byte(out, c); return;
    case '\n': buf_byte(out, 'n'); return;
    case '\r': buf_byte(out, 'r'); return;
    case '\t': buf_byte(out, 't'); return;
    default:
        buf_add(out, S("u00"));
        buf_byte(out, hex[(u8)c >> 4]);
        buf_byte(out, hex[(u8)c & 15]);
    }
}

/* Whether eight bytes hold nothing below a space, no quote, no backslash and only ASCII. May say no
 * to what does (a borrow runs up from a hit), never yes to what does not. */
static bool plain(u64 x)
{
    const u64 each = 0x0101010101010101u;
    u64 hits = x | (x - each * 0x20) | ((x ^ each * '"') - each) | ((x ^ each * '\\') - each);
    return !(hits & each * 0x80);
}

static bool eight_plain(const char *p) { return plain(load_u64le(p)); }

/* Most texts are keys, names and addresses: nothing in them needs looking at twice. What is no
 * multiple of eight has its last bytes looked at with some before them. */
static inline bool is_plain(str s)
{
    isize i = 0;
    for (; s.len - i >= 8; i += 8)
        if (!eight_plain(s.ptr + i)) return false;
    if (i == s.len) return true;
    if (s.len >= 8) return eight_plain(s.ptr + s.len - 8);
    if (s.len >= 4) return plain(load_u32le(s.ptr) | (u64)load_u32le(s.ptr + s.len - 4) << 32);
    for (; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') return false;
    }
    return true;
}

/* Quoted, at a place with room for it; returns where it ends. */
static char *put_plain(char *to, str s)
{
    *to++ = '"';
    if (s.len) memcpy(to, s.ptr, (size_t)s.len);
    to[s.len] = '"';
    return to + s.len + 1;
}

/* The inside of a quoted text. */
static void escape(struct buf *out, str s)
{
    if (is_plain(s)) { buf_add(out, s); return; }
    bool valid = str_is_utf8(s);
    buf_reserve(out, s.len);
    isize run = 0;
    for (isize i = 0; i < s.len; i++) {
        while (s.len - i >= 8 && eight_plain(s.ptr + i)) i += 8;
        if (i == s.len) break;
        char c = s.ptr[i];
        bool as_is = (u8)c >= 0x20 && c != '"' && c != '\\' && (valid || (u8)c < 0x80);
        if (as_is) continue;
        if (i > run) buf_add(out, str_slice(s, run, i));
        if (!valid && (u8)c >= 0x80) buf_add(out, S("\xef\xbf\xbd"));
        else escaped(out, c);
        run = i + 1;
    }
    if (s.len > run) buf_add(out, str_from(s, run));
}

static void quoted(struct buf *out, str s)
{
    if (is_plain(s)) {
        buf_reserve(out, s.len + 2);
        out->len = put_plain(out->ptr + out->len, s) - out->ptr;
        return;
    }
    buf_byte(out, '"');
    escape(out, s);
    buf_byte(out, '"');
}

void jsonw_key(struct jsonw *w, str key)
{
    struct buf *out = w->out;
    if (is_plain(key)) {
        buf_reserve(out, key.len + 4);
        char *to = out->ptr + out->len;
        if (w->comma) *to++ = ',';
        to = put_plain(to, key);
        *to++ = ':';
        out->len = to - out->ptr;
    } else {
        before_value(w);
        quoted(out, key);
        buf_byte(out, ':');
    }
    w->comma = false;
}

void jsonw_str(struct jsonw *w, str s)
{
    before_value(w);
    quoted(w->out, s);
}

void jsonw_strs(struct jsonw *w, const str *parts, isize n)
{
    isize bytes = 2;
    before_value(w);
    for (isize i = 0; i < n; i++) bytes += parts[i].len;
    buf_reserve(w->out, bytes);
    buf_byte(w->out, '"');
    for (isize i = 0; i < n; i++) escape(w->out, parts[i]);
    buf_byte(w->out, '"');
}

void jsonw_int(struct jsonw *w, i64 v)
{
    before_value(w);
    buf_int(w->out, v);
}

void jsonw_num(struct jsonw *w, f64 v)
{
    if (!isfinite(v)) { jsonw_null(w); return; }
    if (v == floor(v) && fabs(v) < 1e15) { jsonw_int(w, (i64)v); return; }
    before_value(w);
    char text[40];
    buf_add(w->out, (str){ text, print_num(text, countof(text), v) });
}

/* As round() does it, a half away from zero, but in the few instructions that printing the rest
 * takes as well. */
void jsonw_decimal(struct jsonw *w, f64 v, int decimals)
{
    static const u32 powers[DECIMALS_MAX + 1] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };
    assert(decimals >= 0 && decimals <= DECIMALS_MAX);
    u32 power = powers[decimals];
    f64 size = fabs(v) * power;
    if (!(size < 1e14)) { jsonw_num(w, round(v * power) / power); return; }
    i64 parts = (i64)size;
    parts += size - (f64)parts >= .5;
    if (parts > 0 && (f64)parts < power * 1e-4) { jsonw_num(w, round(v * power) / power); return; }
    before_value(w);
    buf_reserve(w->out, DECIMAL_BYTES_MAX);
    char *to = w->out->ptr + w->out->len;
    if (v < 0 && parts) *to++ = '-';
    u64 whole = parts < power ? 0 : (u64)parts / power;
    w->out->len = put_decimal(to, whole,
                              ((u32)((u64)parts - whole * power)) * powers[DECIMALS_MAX - decimals])
                  - w->out->ptr;
}

void jsonw_bool(struct jsonw *w, bool v)
{
    before_value(w);
    buf_add(w->out, v ? S("true") : S("false"));
}

void jsonw_null(struct jsonw *w)
{
    before_value(w);
    buf_add(w->out, S("null"));
}

void jsonw_raw(struct jsonw *w, str json)
{
    before_value(w);
    buf_add(w->out, json);
}

static void list(struct jsonw *w, const struct json *v)
{
    bool object = v->kind == JSON_OBJ;
    jsonw_begin(w, object ? '{' : '[');
    json_each(child, v) {
        if (object) jsonw_key(w, child->key);
        jsonw_value(w, child);
    }
    jsonw_end(w, object ? '}' : ']');
}

void jsonw_value(struct jsonw *w, const struct json *v)
{
    if (!v) { jsonw_null(w); return; }
    switch (v->kind) {
    case JSON_NULL: jsonw_null(w); break;
    case JSON_BOOL: jsonw_bool(w, v->b); break;
    case JSON_INT: jsonw_int(w, v->i); break;
    case JSON_NUM: jsonw_num(w, v->n); break;
    case JSON_STR: jsonw_str(w, v->s); break;
    case JSON_ARR: case JSON_OBJ: list(w, v); break;        /* as deep as json_parse let it be */
    }
}

str json_print(arena *a, const struct json *v)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_value(&w, v);
    return buf_str(&out);
}

void jsonw_time(struct jsonw *w, i64 at_ms)
{
    if (at_ms == 0 || at_ms == TIME_NEVER) { jsonw_null(w); return; }
    struct civil c = time_civil(at_ms, 0);
    char text[40];
    int n = snprintf(text, sizeof text, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", c.year, c.month, c.day,
                     c.hour, c.minute, c.second, (int)(((at_ms % 1000) + 1000) % 1000));
    jsonw_raw(w, (str){ text, n });
}

/* ---- for people ------------------------------------------------------------------------------ */

static void indent(struct buf *out, isize depth)
{
    buf_byte(out, '\n');
    for (isize i = 0; i < depth; i++) buf_add(out, S("  "));
}

// NOLINTNEXTLINE(misc-no-recursion): JSON_DEPTH_MAX
static void print_pretty(struct buf *out, const struct json *v, isize depth)
{
    bool list = json_is(v, JSON_ARR), object = json_is(v, JSON_OBJ);
    if ((!list && !object) || v->list.n == 0) {
        struct jsonw w = { .out = out };
        jsonw_value(&w, v);
        return;
    }
    buf_byte(out, list ? '[' : '{');
    for (isize i = 0; i < v->list.n; i++) {
        if (i) buf_byte(out, ',');
        indent(out, depth + 1);
        struct jsonw w = { .out = out };
        if (object) {
            jsonw_str(&w, v->list.at[i].key);
            buf_add(out, S(": "));
        }
        print_pretty(out, &v->list.at[i], depth + 1);
    }
    indent(out, depth);
    buf_byte(out, list ? ']' : '}');
}

void json_pretty(const struct json *v, struct buf *out) { print_pretty(out, v, 0); }
