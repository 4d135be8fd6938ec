/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load_*le copies bytes as they are");

_Noreturn void assert_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "assert.failed what=\"%s\" at=%s:%d\n", what, file, line);
    abort();
}

int str_cmp(str a, str b)
{
    isize n = min_isize(a.len, b.len);
    int c = n ? memcmp(a.ptr, b.ptr, (size_t)n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool str_eq_nocase(str a, str b)
{
    if (a.len != b.len) return false;
    for (isize i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    return true;
}

bool str_holds_nocase(str s, str part)
{
    for (isize i = 0; i + part.len <= s.len; i++)
        if (str_eq_nocase(str_slice(s, i, i + part.len), part)) return true;
    return false;
}

bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(str s, str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

isize str_find(str s, str needle)
{
    if (needle.len == 0) return 0;
    if (s.len < needle.len) return -1;
    const char *at = memmem(s.ptr, (size_t)s.len, needle.ptr, (size_t)needle.len);
    return at ? at - s.ptr : -1;
}

isize str_find_char(str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, (size_t)s.len) : NULL;
    return at ? at - s.ptr : -1;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

str str_trim(str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) s = str_from(s, 1);
    while (s.len > 0 && is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

struct str_cut str_cut(str s, char c)
{
    isize at = str_find_char(s, c);
    if (at < 0) return (struct str_cut){ s, { s.ptr + s.len, 0 }, false };
    return (struct str_cut){ str_slice(s, 0, at), str_from(s, at + 1), true };
}

bool str_to_i64(str s, i64 *out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    if (negative || (s.len > 0 && s.ptr[0] == '+')) s = str_from(s, 1);
    if (s.len == 0) return false;
    i64 n = 0;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c < '0' || c > '9') return false;
        if (__builtin_mul_overflow(n, 10, &n)) return false;
        if (__builtin_sub_overflow(n, c - '0', &n)) return false;   /* negative: reaches INT64_MIN */
    }
    if (!negative && n == INT64_MIN) return false;
    *out = negative ? n : -n;
    return true;
}

bool str_to_f64(str s, f64 *out)
{
    char z[64];
    if (s.len == 0 || s.len >= countof(z)) return false;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool fits = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
        if (!fits) return false;
    }
    memcpy(z, s.ptr, (size_t)s.len);
    z[s.len] = 0;
    char *end;
    f64 v = strtod(z, &end);
    if (end != z + s.len || !isfinite(v)) return false;
    *out = v;
    return true;
}

bool str_to_minor(str s, int digits, i64 *out)
{
    assert(digits >= 0);
    assert(digits <= 6);
    bool negative = s.len > 0 && s.ptr[0] == '-';
    if (negative || (s.len > 0 && s.ptr[0] == '+')) s = str_from(s, 1);
    i64 n = 0;
    int after = -1;                                     /* digits seen after the point */
    isize seen = 0;
    bool round_up = false;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.') {
            if (after >= 0) return false;
            after = 0;
            continue;
        }
        if (c < '0' || c > '9') return false;
        seen++;
        if (after == digits) {                          /* the first digit too many decides */
            round_up = c >= '5';
            after++;
            continue;
        }
        if (after > digits) continue;
        if (after >= 0) after++;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, c - '0', &n)) return false;
    }
    if (seen == 0) return false;
    for (int i = after < 0 ? 0 : after; i < digits; i++)
        if (__builtin_mul_overflow(n, 10, &n)) return false;
    if (round_up && __builtin_add_overflow(n, 1, &n)) return false;
    *out = negative ? -n : n;
    return true;
}

static isize utf8_length(const u8 *p, isize left)
{
    if (p[0] < 0x80) return 1;
    isize n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (n == 0 || n > left || p[0] > 0xf4) return 0;
    for (isize i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0;          /* overlong */
    if (p[0] == 0xed && p[1] > 0x9f) return 0;          /* surrogate */
    if (p[0] == 0xf0 && p[1] < 0x90) return 0;
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0;
    return n;
}

bool str_is_utf8(str s)
{
    for (isize i = 0; i < s.len;) {
        if (s.len - i >= 8 && !(load_u64le(s.ptr + i) & 0x8080808080808080u)) {
            i += 8;                                     /* eight ASCII letters at once */
            continue;
        }
        isize n = utf8_length((const u8 *)s.ptr + i, s.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

isize str_distance(str a, str b)
{
    enum { LETTERS_MAX = 255 };
    isize row[LETTERS_MAX + 1];
    a.len = min_isize(a.len, LETTERS_MAX);
    b.len = min_isize(b.len, LETTERS_MAX);
    for (isize j = 0; j <= b.len; j++) row[j] = j;
    for (isize i = 1; i <= a.len; i++) {
        isize diagonal = row[0];
        row[0] = i;
        for (isize j = 1; j <= b.len; j++) {
            isize above = row[j];
            isize swap = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            row[j] = min_isize(swap, min_isize(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}
