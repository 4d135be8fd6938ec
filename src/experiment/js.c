/* SPDX-License-Identifier: Apache-2.0
 *
 * js.c - ECMAScript's ToString, ToNumber and comparisons (ECMA-262, 7.1 and 7.2), over JSON values. */
#include "experiment/js.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum js_type js_type(const struct json *v)
{
    if (!v) return JS_NULL;
    switch (v->kind) {
    case JSON_NULL: return JS_NULL;
    case JSON_BOOL: return JS_BOOL;
    case JSON_INT:
    case JSON_NUM: return JS_NUMBER;
    case JSON_STR: return JS_STRING;
    case JSON_ARR: return JS_ARRAY;
    case JSON_OBJ: return JS_OBJECT;
    }
    return JS_NULL;
}

static f64 number_of(const struct json *v)
{
    return v->kind == JSON_INT ? (f64)v->i : v->n;
}

bool js_truthy(const struct json *v)
{
    switch (js_type(v)) {
    case JS_NULL: return false;
    case JS_BOOL: return v->b;
    case JS_NUMBER: return number_of(v) != 0;
    case JS_STRING: return v->s.len > 0;
    case JS_ARRAY:
    case JS_OBJECT: return true;
    }
    return false;
}

/* The shortest digits that read back, laid out as Number::toString says: plain from 1e-6 to 1e21. */
str js_number_text(arena *a, f64 n)
{
    if (isnan(n)) return S("NaN");
    if (isinf(n)) return n < 0 ? S("-Infinity") : S("Infinity");
    if (n == 0) return S("0");
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, fabs(n));
        if (strtod(text, NULL) == fabs(n)) break;
    }
    struct str_cut cut = str_cut(str_of(text), 'e');
    char digits[20];
    int k = 0;
    for (isize i = 0; i < cut.head.len && k < 19; i++)
        if (cut.head.ptr[i] != '.') digits[k++] = cut.head.ptr[i];
    while (k > 1 && digits[k - 1] == '0') k--;
    i64 power = 0;
    bool read = str_to_i64(cut.tail.ptr[0] == '+' ? str_from(cut.tail, 1) : cut.tail, &power);
    assert(read);
    int point = (int)power + 1;                         /* digits before the decimal point */
    struct buf out = { .arena = a };
    if (n < 0) buf_byte(&out, '-');
    if (point > 21 || point < -5) {
        buf_byte(&out, digits[0]);
        if (k > 1) buf_printf(&out, ".%.*s", k - 1, digits + 1);
        buf_printf(&out, "e%c%d", point > 0 ? '+' : '-', abs(point - 1));
        return buf_str(&out);
    }
    if (point <= 0) buf_add(&out, S("0."));
    for (int i = point; i < 0; i++) buf_byte(&out, '0');
    for (int i = 0; i < k || i < point; i++) {
        if (i == point && point > 0) buf_byte(&out, '.');
        buf_byte(&out, i < k ? digits[i] : '0');
    }
    return buf_str(&out);
}

str js_string(arena *a, const struct json *v)
{
    switch (js_type(v)) {
    case JS_NULL: return S("null");
    case JS_BOOL: return v->b ? S("true") : S("false");
    case JS_NUMBER: return js_number_text(a, number_of(v));
    case JS_STRING: return v->s;
    case JS_OBJECT: return S("[object Object]");
    case JS_ARRAY: break;
    }
    struct buf out = { .arena = a };
    for (isize i = 0; i < v->list.n; i++) {
        if (i > 0) buf_byte(&out, ',');
        if (js_type(&v->list.at[i]) != JS_NULL) buf_add(&out, js_string(a, &v->list.at[i]));
    }
    return buf_str(&out);
}

/* White space and line ends of the language: the length of the one at the front, or 0. */
static isize space_at(str s)
{
    static const char *const wide[] = { "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                        "\xe3\x80\x80", "\xef\xbb\xbf" };
    if (s.len == 0) return 0;
    if (s.ptr[0] == ' ' || (s.ptr[0] >= '\t' && s.ptr[0] <= '\r')) return 1;
    for (isize i = 0; i < countof(wide); i++)
        if (str_starts(s, str_of(wide[i]))) return (isize)strlen(wide[i]);
    if (s.len >= 3 && str_starts(s, S("\xe2\x80")) && (u8)s.ptr[2] >= 0x80 && (u8)s.ptr[2] <= 0x8a) return 3;
    return 0;
}

static str trim(str s)
{
    for (isize n; (n = space_at(s)) > 0;) s = str_from(s, n);
    for (;;) {
        isize n = 0;
        for (isize back = 1; back <= 3 && back <= s.len && n == 0; back++)
            if (space_at(str_from(s, s.len - back)) == back) n = back;
        if (n == 0) return s;
        s.len -= n;
    }
}

/* How much of s is a decimal literal, without its sign. */
static isize decimal_len(str s)
{
    isize i = 0, digits = 0;
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') i++, digits++;
    if (i < s.len && s.ptr[i] == '.') {
        isize after = i + 1;
        while (after < s.len && s.ptr[after] >= '0' && s.ptr[after] <= '9') after++, digits++;
        if (digits > 0) i = after;
    }
    if (digits == 0) return 0;
    if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
        isize e = i + 1;
        if (e < s.len && (s.ptr[e] == '+' || s.ptr[e] == '-')) e++;
        isize from = e;
        while (e < s.len && s.ptr[e] >= '0' && s.ptr[e] <= '9') e++;
        if (e > from) i = e;
    }
    return i;
}

static f64 decimal(str s)
{
    char text[400];
    isize n = min_isize(s.len, (isize)sizeof text - 1);
    memcpy(text, s.ptr, (size_t)n);
    text[n] = 0;
    return strtod(text, NULL);
}

static str signless(str s, f64 *sign)
{
    *sign = s.len && s.ptr[0] == '-' ? -1 : 1;
    return s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? str_from(s, 1) : s;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

f64 js_parse_number(str text)
{
    str s = trim(text);
    if (s.len == 0) return 0;
    if (s.len > 2 && s.ptr[0] == '0'
        && ((s.ptr[1] | 0x20) == 'x' || (s.ptr[1] | 0x20) == 'o' || (s.ptr[1] | 0x20) == 'b')) {
        int base = (s.ptr[1] | 0x20) == 'x' ? 16 : (s.ptr[1] | 0x20) == 'o' ? 8 : 2;
        f64 n = 0;
        for (isize i = 2; i < s.len; i++) {
            if (digit_of(s.ptr[i]) >= base) return (f64)NAN;
            n = n * base + digit_of(s.ptr[i]);
        }
        return n;
    }
    f64 sign;
    str digits = signless(s, &sign);
    if (str_eq(digits, S("Infinity"))) return sign * (f64)INFINITY;
    if (digits.len == 0 || decimal_len(digits) != digits.len) return (f64)NAN;
    return sign * decimal(digits);
}

f64 js_parse_int(str text)
{
    f64 sign;
    str s = signless(trim(text), &sign);
    isize n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') n++;
    if (n == 0) return (f64)NAN;
    return sign * decimal(str_slice(s, 0, n));
}

f64 js_parse_float(str text)
{
    f64 sign;
    str s = signless(trim(text), &sign);
    if (str_starts(s, S("Infinity"))) return sign * (f64)INFINITY;
    isize n = decimal_len(s);
    if (n == 0) return (f64)NAN;
    return sign * decimal(str_slice(s, 0, n));
}

f64 js_number(arena *a, const struct json *v)
{
    switch (js_type(v)) {
    case JS_NULL: return 0;
    case JS_BOOL: return v->b;
    case JS_NUMBER: return number_of(v);
    case JS_STRING: return js_parse_number(v->s);
    case JS_ARRAY: return js_parse_number(js_string(a, v));
    case JS_OBJECT: return (f64)NAN;
    }
    return (f64)NAN;
}

str js_lower(arena *a, str s)
{
    struct buf out = { .arena = a };
    for (isize i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i], d = i + 1 < s.len ? (u8)s.ptr[i + 1] : 0;
        if (c < 0x80) {
            buf_byte(&out, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
            continue;
        }
        u32 code = (c & 0xe0) == 0xc0 ? (u32)(c & 0x1f) << 6 | (d & 0x3f) : 0;
        if ((code >= 0xc0 && code <= 0xde && code != 0xd7)
            || (code >= 0x391 && code <= 0x3ab && code != 0x3a2)
            || (code >= 0x410 && code <= 0x42f))
            code += 32;
        else if (code >= 0x400 && code <= 0x40f) code += 80;
        else if (((code >= 0x100 && code <= 0x137 && code != 0x130)
                  || (code >= 0x14a && code <= 0x177))
                 && code % 2 == 0)
            code++;
        else if (((code >= 0x139 && code <= 0x148) || (code >= 0x179 && code <= 0x17e))
                 && code % 2 == 1)
            code++;
        if (code) {
            buf_byte(&out, (char)(0xc0 | code >> 6));
            buf_byte(&out, (char)(0x80 | (code & 0x3f)));
            i++;
        } else buf_byte(&out, (char)c);
    }
    return buf_str(&out);
}

bool js_same(const struct json *x, const struct json *y)
{
    enum js_type type = js_type(x);
    if (type != js_type(y)) return false;
    switch (type) {
    case JS_NULL: return true;
    case JS_BOOL: return x->b == y->b;
    case JS_NUMBER: return number_of(x) == number_of(y);
    case JS_STRING: return str_eq(x->s, y->s);
    case JS_ARRAY:
    case JS_OBJECT: return false;
    }
    return false;
}

/* UTF-8 bytes sort as code points do, and code points as code units, but for one thing: what takes
 * four bytes is a pair of surrogates, which come before U+E000. */
int js_compare_text(str x, str y)
{
    for (isize i = 0; i < x.len && i < y.len; i++) {
        u8 a = (u8)x.ptr[i], b = (u8)y.ptr[i];
        if (a == b) continue;
        if (a >= 0xf0 && (b == 0xee || b == 0xef)) return -1;
        if (b >= 0xf0 && (a == 0xee || a == 0xef)) return 1;
        return a < b ? -1 : 1;
    }
    return (x.len > y.len) - (x.len < y.len);
}

int js_compare(arena *a, const struct json *x, const struct json *y)
{
    /* objects become text first */
    bool text_x = js_type(x) >= JS_STRING, text_y = js_type(y) >= JS_STRING;
    if (text_x && text_y) return js_compare_text(js_string(a, x), js_string(a, y));
    f64 m = js_number(a, x), n = js_number(a, y);
    if (isnan(m) || isnan(n)) return 2;
    return (m > n) - (m < n);
}

bool js_alike(const struct json *x, const struct json *y)
{
    enum js_type type = js_type(x);
    if (type < JS_ARRAY || type != js_type(y)) return js_same(x, y);
    if (x->list.n != y->list.n) return false;
    for (isize i = 0; i < x->list.n; i++) {
        const struct json *p = &x->list.at[i], *q = &y->list.at[i];
        if (type == JS_OBJECT && !str_eq(p->key, q->key)) return false;
        if (!js_alike(p, q)) return false;
    }
    return true;
}

bool js_unit(struct js_units *units, u32 *unit)
{
    if (units->pending) {
        *unit = units->pending;
        units->pending = 0;
        return true;
    }
    str s = units->left;
    if (s.len == 0) return false;
    u8 c = (u8)s.ptr[0];
    isize n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    n = min_isize(n, s.len);
    u32 code = n == 1 ? c : n == 2 ? c & 0x1fu : n == 3 ? c & 0x0fu : c & 0x07u;
    for (isize i = 1; i < n; i++) code = code << 6 | ((u8)s.ptr[i] & 0x3fu);
    units->left = str_from(s, n);
    if (code >= 0x10000) {
        units->pending = 0xdc00 + ((code - 0x10000) & 0x3ff);
        code = 0xd800 + ((code - 0x10000) >> 10);
    }
    *unit = code;
    return true;
}
