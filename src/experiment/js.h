/* SPDX-License-Identifier: Apache-2.0
 *
 * js.h - what JavaScript makes of a JSON value, for files whose meaning is JavaScript's.
 *
 * Inside the room. GrowthBook's and Optimizely's evaluators are written in it, and their files lean
 * on its coercions ("5" * 1, null + "", [1] < "2"). A null pointer stands for null, as it does
 * there for a path that leads nowhere. Comparisons of text go by UTF-16 code units, as strings do
 * there.
 */
#ifndef EXPERIMENT_JS_H
#define EXPERIMENT_JS_H

#include "base/json.h"

enum js_type { JS_NULL, JS_BOOL, JS_NUMBER, JS_STRING, JS_ARRAY, JS_OBJECT };
enum js_type js_type(const struct json *v);
bool js_truthy(const struct json *v);
str js_string(arena *a, const struct json *v);          /* v + "" */
f64 js_number(arena *a, const struct json *v);          /* v * 1; NaN when it is none */
str js_number_text(arena *a, f64 n);                    /* n + "" */
f64 js_parse_number(str text);                          /* Number(text) */
f64 js_parse_int(str text);                             /* parseInt(text, 10) */
f64 js_parse_float(str text);
str js_lower(arena *a, str s);                          /* ASCII, Latin, Greek and Cyrillic letters */

bool js_same(const struct json *x, const struct json *y);       /* ===; two objects are never the same one */
/* x < y, ==, >: -1, 0, 1; 2 when neither (a NaN). */
int js_compare(arena *a, const struct json *x, const struct json *y);
int js_compare_text(str x, str y);
/* JSON.stringify(x) === JSON.stringify(y): fields in their order. */
bool js_alike(const struct json *x, const struct json *y);

/* The next UTF-16 code unit; `pending` holds the second half of a pair. False at the end. */
struct js_units { str left; u32 pending; };
bool js_unit(struct js_units *units, u32 *unit);

#endif
