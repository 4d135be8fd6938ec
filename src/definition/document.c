/* SPDX-License-Identifier: Apache-2.0
 *
 * document.c - which documents people see, and what they see of them. */
#include "definition/definition.h"

enum { DIFF_LINES_MAX = 3000 };

static const str kinds_shown[] = {
    S_INIT("source"),   S_INIT("segment"),  S_INIT("placement"),
    S_INIT("strategy"), S_INIT("search"),   S_INIT("metric"),   S_INIT("campaign"), S_INIT("settings"), S_INIT("connector"),
    S_INIT("mapping"),  S_INIT("feed"),     S_INIT("quiz"),
    S_INIT("flag"),     S_INIT("flag_file"),
};

static const str secret_fields[] = {
    S_INIT("identity_secret"), S_INIT("webhook_secret"), S_INIT("webhook_secret_old"),
    S_INIT("secret"), S_INIT("previous_secret"), S_INIT("authorization"),
};

bool definition_is_secret(str field)
{
    for (isize i = 0; i < countof(secret_fields); i++)
        if (str_eq(field, secret_fields[i])) return true;
    return false;
}

bool definition_is_hidden(str kind, str key)
{
    for (isize i = 0; i < countof(kinds_shown); i++)
        if (str_eq(kind, kinds_shown[i])) return str_eq(kind, S("settings")) && str_eq(key, S("secret"));
    return true;
}

void definition_print(const struct json *document, struct jsonw *w)
{
    jsonw_begin(w, '{');
    json_each(field, document) {
        jsonw_key(w, field->key);
        bool hidden = definition_is_secret(field->key) && json_str(field, S("")).len > 0;
        if (hidden) jsonw_str(w, S(DEFINITION_SECRET_KEPT));
        else jsonw_value(w, field);
    }
    jsonw_end(w, '}');
}

void definition_print_kept(const struct json *document, const struct json *before, struct jsonw *w)
{
    jsonw_begin(w, '{');
    json_each(field, document) {
        jsonw_key(w, field->key);
        bool kept = definition_is_secret(field->key)
                    && str_eq(json_str(field, S("")), S(DEFINITION_SECRET_KEPT));
        if (kept) jsonw_str(w, json_str(json_get(before, field->key), S("")));
        else jsonw_value(w, field);
    }
    jsonw_end(w, '}');
}

const struct json *definition_as_file(arena *a, str kind, str key, const struct json *document)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    const struct json *parsed = NULL;
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "kind", kind);
    jsonw_key_str(&w, "key", key);
    json_each(field, document) {
        if (str_eq(field->key, S("kind")) || str_eq(field->key, S("key"))) continue;
        jsonw_key(&w, field->key);
        jsonw_value(&w, field);
    }
    jsonw_end(&w, '}');
    err_ignore(json_parse(a, buf_str(&out), &parsed, NULL), "what was just printed parses");
    return parsed;
}

/* ---- differences ----------------------------------------------------------------------------- */

static isize lines_of(arena *a, const struct json *document, str **out)
{
    struct buf shown = { .arena = a }, text = { .arena = a };
    struct jsonw w = { .out = &shown };
    const struct json *doc;
    isize n = 0;
    *out = NULL;
    if (!document) return 0;
    definition_print(document, &w);
    if (json_parse(a, buf_str(&shown), &doc, NULL)) return 0;
    json_pretty(doc, &text);
    str *lines = arena_new(a, str, DIFF_LINES_MAX);
    for (struct str_cut cut = str_cut(buf_str(&text), '\n'); n < DIFF_LINES_MAX;
         cut = str_cut(cut.tail, '\n')) {
        lines[n++] = cut.head;
        if (!cut.found) break;
    }
    *out = lines;
    return n;
}

/* The longest common subsequence of lines. same[i][j]: of what stands from line i and line j on. */
isize definition_lines(arena *a, const struct json *before, const struct json *after, struct diff_line **out)
{
    str *old, *new;
    isize an = lines_of(a, before, &old), bn = lines_of(a, after, &new), stride = bn + 1, n = 0;
    u16 *same = arena_new(a, u16, (an + 1) * stride);
    struct diff_line *lines = arena_new(a, struct diff_line, an + bn);
    for (isize i = an - 1; i >= 0; i--)
        for (isize j = bn - 1; j >= 0; j--) {
            u16 down = same[(i + 1) * stride + j], right = same[i * stride + j + 1];
            same[i * stride + j] = str_eq(old[i], new[j])
                                       ? (u16)(same[(i + 1) * stride + j + 1] + 1)
                                   : down > right ? down
                                                  : right;
        }
    for (isize i = 0, j = 0; i < an || j < bn;) {
        if (i < an && j < bn && str_eq(old[i], new[j])) {
            lines[n++] = (struct diff_line){ ' ', old[i++] };
            j++;
        } else if (j == bn || (i < an && same[(i + 1) * stride + j] >= same[i * stride + j + 1]))
            lines[n++] = (struct diff_line){ '-', old[i++] };
        else lines[n++] = (struct diff_line){ '+', new[j++] };
    }
    *out = lines;
    return n;
}
