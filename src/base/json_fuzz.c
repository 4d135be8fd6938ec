/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all: they are refused, or they are a tree that prints to text which reads back as
 * a tree that prints to the same text. And any bytes as a string print to JSON that is taken. */
#include "base/json.h"

static str printed(arena *a, const struct json *v)
{
    struct buf b = { .arena = a };
    struct jsonw w = { &b, false };
    jsonw_value(&w, v);
    return buf_str(&b);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    arena a = { 0 };
    str text = { (const char *)data, (isize)len };
    struct diag diag = { .arena = &a };
    const struct json *v;
    enum err err = json_parse(&a, text, &v, &diag);
    assert(err == ERR_OK || err == ERR_BAD_INPUT);
    if (err == ERR_OK) {
        str once = printed(&a, v);
        const struct json *again;
        assert(json_parse(&a, once, &again, &diag) == ERR_OK);
        assert(str_eq(once, printed(&a, again)));
        json_each(child, v) assert(json_get(v, child->key) || v->kind == JSON_ARR);
    } else {
        assert(diag.what.len > 0);
    }
    struct buf b = { .arena = &a };
    struct jsonw w = { &b, false };
    jsonw_str(&w, text);
    assert(json_parse(&a, buf_str(&b), &v, &diag) == ERR_OK);
    assert(json_is(v, JSON_STR));
    if (str_is_utf8(text)) assert(str_eq(v->s, text));
    arena_fini(&a);
    return 0;
}
