/* SPDX-License-Identifier: Apache-2.0
 *
 * base.h - the words every other file is written in: integers, strings, asserts, ids.
 *
 * A str is borrowed bytes and a length, passed by value, not NUL-terminated. Sizes, counts
 * and indexes are signed (isize), so that subtraction means what it says. Ids are structs of
 * one field, so that a person can never be passed for an item. Asserts are on in every build:
 * a caller's mistake is an enum err, ours is an assert.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef float f32;
typedef double f64;
typedef ptrdiff_t isize;
__extension__ typedef __int128 i128;                    /* sums of squares of money, exact */

#define countof(a) ((isize)(sizeof(a) / sizeof((a)[0])))
#define static_assert _Static_assert
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define assert(c) ((c) ? (void)0 : assert_failed(#c, __FILE__, __LINE__))
_Noreturn void assert_failed(const char *what, const char *file, int line);

/* ---- ids: dense numbers inside, 0 means none ---------------------------------------------- */
typedef struct { u32 v; } person_id;
typedef struct { u32 v; } item_id;
typedef struct { u32 v; } category_id;
typedef struct { u32 v; } order_id;
typedef struct { u16 v; } segment_id;

/* ---- str ---------------------------------------------------------------------------------- */
typedef struct { const char *ptr; isize len; } str;

#define S(lit) ((str){ (lit), (isize)sizeof(lit) - 1 })
#define S_INIT(lit) { (lit), (isize)sizeof(lit) - 1 }
#define STR_FMT(s) (int)(s).len, (s).len ? (s).ptr : ""     /* for "%.*s" */

static inline str str_of(const char *z) { return z ? (str){ z, (isize)strlen(z) } : (str){ "", 0 }; }
static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, (size_t)a.len) == 0);
}

/* Shorter first on a common prefix; bytes as unsigned. */
int str_cmp(str a, str b);
bool str_eq_nocase(str a, str b);                   /* ASCII letters only */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
isize str_find(str s, str needle);                  /* -1 if absent */
bool str_holds_nocase(str s, str part);             /* ASCII letters only */
isize str_find_char(str s, char c);                 /* -1 if absent */
str str_trim(str s);                                /* ASCII white space at both ends */
static inline str str_from(str s, isize at) { return (str){ s.ptr + at, s.len - at }; }
static inline str str_slice(str s, isize from, isize to) { return (str){ s.ptr + from, to - from }; }

/* What stands before the first `c`, and what stands after it. Without a `c`, head is all of s,
 * tail is empty and `found` is false. */
struct str_cut { str head, tail; bool found; };
struct str_cut str_cut(str s, char c);

/* The whole of s as a number; false when any byte of it does not belong to one, or on overflow. */
bool str_to_i64(str s, i64 *out);
bool str_to_f64(str s, f64 *out);

/* A decimal amount as integer minor units, exactly: "19.99", 2 digits -> 1999. More digits than
 * `digits` are rounded half away from zero. False when it is no number or does not fit. */
bool str_to_minor(str s, int digits, i64 *out);

/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool str_is_utf8(str s);

/* Edit distance of two short words, at most 255 letters, for "did you mean". */
isize str_distance(str a, str b);

/* ---- bytes, little-endian, never by cast --------------------------------------------------- */
static inline u16 load_u16le(const void *p) { u16 v; memcpy(&v, p, 2); return v; }
static inline u32 load_u32le(const void *p) { u32 v; memcpy(&v, p, 4); return v; }
static inline u64 load_u64le(const void *p) { u64 v; memcpy(&v, p, 8); return v; }
static inline void store_u16le(void *p, u16 v) { memcpy(p, &v, 2); }
static inline void store_u32le(void *p, u32 v) { memcpy(p, &v, 4); }
static inline void store_u64le(void *p, u64 v) { memcpy(p, &v, 8); }

static inline isize min_isize(isize a, isize b) { return a < b ? a : b; }
static inline isize max_isize(isize a, isize b) { return a > b ? a : b; }
static inline i64 min_i64(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max_i64(i64 a, i64 b) { return a > b ? a : b; }

#endif
