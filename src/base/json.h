/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - JSON in (simdjson's DOM, which validates what is skipped too) and out (our buffer).
 *
 * In: one tree in the caller's arena. An object's children carry their key, in the order they came;
 * of a repeated key json_get finds the first. Strict RFC 8259 and UTF-8, at most JSON_DEPTH_MAX
 * levels deep. Integers that fit i64 are JSON_INT, all other numbers JSON_NUM; a number that no f64
 * can hold, and an integer of 2^64 or more, is refused.
 *
 * Out: calls in document order; commas and escapes are made here.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/err.h"

enum { JSON_DEPTH_MAX = 64 };
enum json_kind { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUM, JSON_STR, JSON_ARR, JSON_OBJ };

struct json {
    enum json_kind kind;
    /* of an object: bits (json_key_bit) that none of its keys has; 0: not known */
    u32 lacks;
    str key;                                            /* when the parent is an object */
    union { bool b; i64 i; f64 n; str s; struct { const struct json *at; isize n; } list; };
};

/* ERR_BAD_INPUT with the reason in diag. Strings are copied to the arena. */
MUST_USE enum err json_parse(arena *a, str text, const struct json **out, struct diag *diag);

/* All of these take null, and a value of another kind, for absent. */
static inline u32 json_key_bit(str key) { return (u32)1 << ((key.len * 5 + (key.len ? *key.ptr : 0)) & 31); }
/* of an object: what json_get comes to */
const struct json *json_find(const struct json *obj, str key);
/* Asked some hundred times an event, mostly for what is not there. */
static inline const struct json *json_get(const struct json *obj, str key)
{
    return obj && obj->kind == JSON_OBJ && !(obj->lacks & json_key_bit(key)) ? json_find(obj, key) : NULL;
}
const struct json *json_path(const struct json *obj, const char *dotted);    /* "context.page.url" */
str json_str(const struct json *v, str otherwise);
str json_get_str(const struct json *obj, const char *key);       /* empty when there is none */
i64 json_int(const struct json *v, i64 otherwise);      /* takes 3.0 for 3 */
f64 json_num(const struct json *v, f64 otherwise);      /* takes integers; not text */
bool json_bool(const struct json *v, bool otherwise);
bool json_is(const struct json *v, enum json_kind kind);
isize json_len(const struct json *v);                   /* of arrays and objects, else 0 */
#define json_each(child, parent)                                                            \
    for (const struct json *child = json_len(parent) ? (parent)->list.at : NULL,            \
         *child##_end = child ? child + (parent)->list.n : NULL; child != child##_end; child++)

/* A string, or a number as its text ("17850"): ids come as either. Empty when it is neither. */
str json_text(arena *a, const struct json *v);

struct jsonw { struct buf *out; bool comma; };

static inline void jsonw_begin(struct jsonw *w, char bracket)      /* '{' or '[' */
{
    struct buf *out = w->out;
    buf_reserve(out, 2);
    if (w->comma) out->ptr[out->len++] = ',';
    out->ptr[out->len++] = bracket;
    w->comma = false;
}
static inline void jsonw_end(struct jsonw *w, char bracket)        /* '}' or ']' */
{
    buf_byte(w->out, bracket);
    w->comma = true;
}
void jsonw_key(struct jsonw *w, str key);
void jsonw_str(struct jsonw *w, str s);                 /* bytes that are no UTF-8 become U+FFFD */
void jsonw_strs(struct jsonw *w, const str *parts, isize n);      /* one text of several */
void jsonw_int(struct jsonw *w, i64 v);
/* rounded to so many at most, 0 to 6; otherwise as jsonw_num */
void jsonw_decimal(struct jsonw *w, f64 v, int decimals);
void jsonw_num(struct jsonw *w, f64 v);                 /* shortest that reads back; null if not finite */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, str json);              /* already JSON */
void jsonw_value(struct jsonw *w, const struct json *v);
/* over lines, two spaces a level, for people */
void json_pretty(const struct json *v, struct buf *out);
str json_print(arena *a, const struct json *v);         /* the text of a value, in `a` */
void jsonw_time(struct jsonw *w, i64 at_ms);            /* RFC 3339; null for TIME_NEVER and 0 */

/* A key that the program says itself, in which nothing needs escaping. */
static inline void jsonw_name(struct jsonw *w, str name)
{
    struct buf *out = w->out;
    buf_reserve(out, name.len + 4);
    char *to = out->ptr + out->len;
    if (w->comma) *to++ = ',';
    *to++ = '"';
    memcpy(to, name.ptr, (size_t)name.len);
    to[name.len] = '"';
    to[name.len + 1] = ':';
    out->len = to + name.len + 2 - out->ptr;
    w->comma = false;
}

/* Key and value in one call; inline, so that a key's length is known when compiled, and that it is
 * one of the program's own. */
static inline void jsonw_key_z(struct jsonw *w, const char *key)
{
    if (__builtin_constant_p(strlen(key))) jsonw_name(w, str_of(key));
    else jsonw_key(w, str_of(key));
}
static inline void jsonw_key_str(struct jsonw *w, const char *key, str v)
{
    jsonw_key_z(w, key);
    jsonw_str(w, v);
}
static inline void jsonw_key_int(struct jsonw *w, const char *key, i64 v)
{
    jsonw_key_z(w, key);
    jsonw_int(w, v);
}
static inline void jsonw_key_num(struct jsonw *w, const char *key, f64 v)
{
    jsonw_key_z(w, key);
    jsonw_num(w, v);
}
static inline void jsonw_key_bool(struct jsonw *w, const char *key, bool v)
{
    jsonw_key_z(w, key);
    jsonw_bool(w, v);
}
static inline void jsonw_key_decimal(struct jsonw *w, const char *key, f64 v, int decimals)
{
    jsonw_key_z(w, key);
    jsonw_decimal(w, v, decimals);
}
static inline void jsonw_key_time(struct jsonw *w, const char *key, i64 at_ms)
{
    jsonw_key_z(w, key);
    jsonw_time(w, at_ms);
}
static inline void jsonw_key_begin(struct jsonw *w, const char *key, char bracket)
{
    jsonw_key_z(w, key);
    jsonw_begin(w, bracket);
}

#endif
