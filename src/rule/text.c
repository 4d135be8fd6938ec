/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c - comparing what is written: lists, and versions.
 *
 * A list comes as JSON text ("[\"M\",\"L\"]", a trait that was sent as a list), parsed already (a
 * list in the request's context), or as one value, which is a list of one.
 *
 * Versions are ordered as Semantic Versioning 2.0.0 says (semver.org, section 11): numbers of major,
 * minor and patch, then a pre-release before the release, its parts compared one by one, numbers
 * before words. What is behind a + does not count, a leading v neither, and missing numbers are 0. */
#include "rule/inside.h"

/* ---- lists --------------------------------------------------------------------------------- */

static bool one_is(const struct json *one, struct value v)
{
    f64 n;
    switch (v.kind) {
    case VALUE_TEXT: return json_is(one, JSON_STR) && str_eq_nocase(one->s, v.s);
    case VALUE_BOOL: return json_is(one, JSON_BOOL) && one->b == v.b;
    case VALUE_NUMBER:
        if (json_is(one, JSON_STR)) return str_to_f64(str_trim(one->s), &n) && n == v.n;
        return (json_is(one, JSON_INT) || json_is(one, JSON_NUM)) && json_num(one, 0) == v.n;
    case VALUE_UNKNOWN: case VALUE_MONEY: case VALUE_TIME: case VALUE_LIST: break;
    }
    return false;
}

static bool list_has(const struct json *list, struct value v)
{
    json_each(one, list)
        if (one_is(one, v)) return true;
    return false;
}

bool rule_list_begin(arena *a, struct value v, const struct json **list)
{
    struct json *only;
    switch (v.kind) {
    case VALUE_LIST: *list = v.list; return true;
    case VALUE_TEXT:
        if (v.s.len && v.s.ptr[0] == '[' && !json_parse(a, v.s, list, NULL)) return json_is(*list, JSON_ARR);
        break;
    case VALUE_BOOL: case VALUE_NUMBER: break;
    case VALUE_UNKNOWN: case VALUE_MONEY: case VALUE_TIME: return false;
    }
    only = arena_new(a, struct json, 2);
    only[1].kind = v.kind == VALUE_TEXT ? JSON_STR : v.kind == VALUE_BOOL ? JSON_BOOL : JSON_NUM;
    if (v.kind == VALUE_TEXT) only[1].s = v.s;
    else if (v.kind == VALUE_BOOL) only[1].b = v.b;
    else only[1].n = v.n;
    only[0].kind = JSON_ARR;
    only[0].list.at = &only[1];
    only[0].list.n = 1;
    *list = only;
    return true;
}

enum tri rule_list_test(enum op op, const struct json *list, const struct value *wanted, isize n)
{
    isize found = 0;
    for (isize i = 0; i < n; i++) {
        if (wanted[i].kind == VALUE_UNKNOWN) return TRI_UNKNOWN;
        found += list_has(list, wanted[i]);
    }
    bool is = op == OP_HAS_ALL ? found == n : op == OP_HAS_NONE ? found == 0 : found > 0;
    return is ? TRI_TRUE : TRI_FALSE;
}

/* ---- versions ------------------------------------------------------------------------------ */

struct version { i64 number[3]; str before; };          /* before: the pre-release, without its - */

static bool digits_of(str s, i64 *out)
{
    if (s.len == 0 || s.len > 18) return false;
    for (isize i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return str_to_i64(s, out);
}

static bool version_read(str s, struct version *out)
{
    *out = (struct version){ 0 };
    s = str_trim(s);
    if (s.len && (s.ptr[0] | 32) == 'v') s = str_from(s, 1);
    s = str_cut(s, '+').head;
    struct str_cut dash = str_cut(s, '-');
    if (dash.found && dash.tail.len == 0) return false;
    out->before = dash.tail;
    struct str_cut part = { .tail = dash.head, .found = true };
    for (isize i = 0; part.found; i++) {
        part = str_cut(part.tail, '.');
        if (i == countof(out->number) || !digits_of(part.head, &out->number[i])) return false;
    }
    return true;
}

bool rule_is_version(str s)
{
    struct version v;
    return version_read(s, &v);
}

static int part_cmp(str a, str b)
{
    i64 x, y;
    bool nx = digits_of(a, &x), ny = digits_of(b, &y);
    if (nx && ny) return (x > y) - (x < y);
    if (nx != ny) return nx ? -1 : 1;
    int c = str_cmp(a, b);
    return (c > 0) - (c < 0);
}

static int before_cmp(str a, str b)
{
    if (a.len == 0 || b.len == 0) return (b.len > 0) - (a.len > 0);    /* the release comes after */
    while (true) {
        struct str_cut x = str_cut(a, '.'), y = str_cut(b, '.');
        int c = part_cmp(x.head, y.head);
        if (c) return c;
        if (!x.found || !y.found) return x.found - y.found;
        a = x.tail;
        b = y.tail;
    }
}

bool rule_version_cmp(str a, str b, int *order)
{
    struct version x, y;
    if (!version_read(a, &x) || !version_read(b, &y)) return false;
    for (isize i = 0; i < countof(x.number); i++) {
        *order = (x.number[i] > y.number[i]) - (x.number[i] < y.number[i]);
        if (*order) return true;
    }
    *order = before_cmp(x.before, y.before);
    return true;
}
