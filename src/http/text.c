/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c - what a handler looks up in a request, and the two encodings HTTP uses for that. */
#include "http/http.h"

str http_header(const struct http_request *req, str name)
{
    for (isize i = 0; i < req->headers_n; i++) {
        if (str_eq_nocase(req->headers[i].name, name)) return req->headers[i].value;
    }
    return S("");
}

/* ---- percent ------------------------------------------------------------------------------- */
static i32 hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool percent_decode(arena *a, str s, bool plus_is_space, str *out)
{
    *out = s;
    bool escaped = str_find_char(s, '%') >= 0 || (plus_is_space && str_find_char(s, '+') >= 0);
    if (!escaped) return true;

    char *text = arena_new(a, char, s.len);
    isize n = 0;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            if (s.len - i < 3) return false;
            i32 high = hex_digit(s.ptr[i + 1]), low = hex_digit(s.ptr[i + 2]);
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        text[n++] = c;
    }
    *out = (str){ text, n };
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
        || c == '.' || c == '_' || c == '~';
}

str percent_encode(arena *a, str s)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_new(a, char, s.len * 3);
    isize n = 0;
    for (isize i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        if (is_unreserved((char)c)) {
            text[n++] = (char)c;
        } else {
            text[n++] = '%';
            text[n++] = digits[c >> 4];
            text[n++] = digits[c & 15];
        }
    }
    return (str){ text, n };
}

/* ---- base64 (RFC 4648) --------------------------------------------------------------------- */
static i32 base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

bool base64_decode(arena *a, str s, str *out)
{
    isize padding = 0;
    while (padding < 2 && s.len > 0 && s.ptr[s.len - 1] == '=') {
        s.len--;
        padding++;
    }
    if (s.len % 4 == 1 || (padding > 0 && (s.len + padding) % 4 != 0)) return false;

    u8 *bytes = arena_new(a, u8, s.len / 4 * 3 + 3);
    isize n = 0;
    u32 bits = 0;
    for (isize i = 0; i < s.len; i++) {
        i32 digit = base64_digit(s.ptr[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (u32)digit;
        if (i % 4 == 0) continue;
        bytes[n++] = (u8)(bits >> (6 - 2 * (i % 4)));
    }
    isize over = s.len % 4;                             /* bits of the last digit that say nothing are 0 */
    if (over > 0 && (bits & (over == 2 ? 15u : 3u)) != 0) return false;
    *out = (str){ (const char *)bytes, n };
    return true;
}

str base64_encode(arena *a, str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = arena_new(a, char, (s.len + 2) / 3 * 4);
    isize n = 0;
    for (isize i = 0; i < s.len; i += 3) {
        isize left = s.len - i;
        u32 bits = (u32)(u8)s.ptr[i] << 16;
        if (left > 1) bits |= (u32)(u8)s.ptr[i + 1] << 8;
        if (left > 2) bits |= (u32)(u8)s.ptr[i + 2];
        text[n++] = digits[bits >> 18];
        text[n++] = digits[bits >> 12 & 63];
        text[n++] = left > 1 ? digits[bits >> 6 & 63] : '=';
        text[n++] = left > 2 ? digits[bits & 63] : '=';
    }
    return (str){ text, n };
}

/* ---- in a request -------------------------------------------------------------------------- */
str http_query(const struct http_request *req, str name, str otherwise)
{
    for (str rest = req->query; rest.len > 0;) {
        struct str_cut pair = str_cut(rest, '&');
        rest = pair.tail;
        struct str_cut part = str_cut(pair.head, '=');
        str key, value;
        if (!percent_decode(req->scratch, part.head, true, &key) || !str_eq(key, name)) continue;
        if (!part.found) return S("");
        return percent_decode(req->scratch, part.tail, true, &value) ? value : otherwise;
    }
    return otherwise;
}

str http_cookie(const struct http_request *req, str name)
{
    for (isize i = 0; i < req->headers_n; i++) {
        if (!str_eq_nocase(req->headers[i].name, S("cookie"))) continue;
        for (str rest = req->headers[i].value; rest.len > 0;) {
            struct str_cut pair = str_cut(rest, ';');
            rest = pair.tail;
            struct str_cut part = str_cut(str_trim(pair.head), '=');
            if (!part.found || !str_eq(part.head, name)) continue;
            str value = part.tail;
            bool quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
            return quoted ? str_slice(value, 1, value.len - 1) : value;
        }
    }
    return S("");
}

/* What follows the scheme, empty when the header names another one. */
static str authorization(const struct http_request *req, str scheme)
{
    struct str_cut cut = str_cut(http_header(req, S("authorization")), ' ');
    return cut.found && str_eq_nocase(cut.head, scheme) ? str_trim(cut.tail) : S("");
}

bool http_basic(const struct http_request *req, str *name, str *password)
{
    str text = authorization(req, S("basic"));
    if (text.len == 0 || !base64_decode(req->scratch, text, &text)) return false;
    struct str_cut cut = str_cut(text, ':');
    *name = cut.head;
    *password = cut.found ? cut.tail : S("");
    return true;
}

str http_bearer(const struct http_request *req) { return authorization(req, S("bearer")); }
