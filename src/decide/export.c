/* SPDX-License-Identifier: Apache-2.0
 *
 * export.c - our flags in the words of Optimizely's datafile and GrowthBook's payload, and what
 * neither can say.
 *
 * A client that evaluates by itself must come to the answer the server would give, or must not be
 * sent the flag at all: what a protocol cannot express is left out and noted, never approximated in
 * silence. Three kinds of notes: `left out` (the flag is not in the file), `differs` (it is, and
 * there are people for whom the answers differ), `note` (the answers agree; something else is to be
 * known).
 */
#include "decide/export.h"

#include <stdarg.h>
#include <stdio.h>

enum { NOTES_MAX = 1000 };

void export_note(struct export_notes *n, arena *a, struct export_note note)
{
    if (!n->at) n->at = arena_new(a, struct export_note, NOTES_MAX);
    for (isize i = 0; i < n->n; i++)
        if (str_eq(n->at[i].flag, note.flag) && str_eq(n->at[i].rule, note.rule)
            && str_eq(n->at[i].text, note.text))
            return;
    if (n->n < NOTES_MAX) n->at[n->n++] = note;
}

void export_say(struct exporting *x, const char *kind, const char *format, ...)
{
    va_list args;
    char text[400];
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    export_note(x->notes, x->a,
                (struct export_note){ x->flag->key, x->rule, kind, arena_str(x->a, str_of(text)) });
}

const struct json *export_tree(struct exporting *x, const struct rule *target)
{
    struct buf text = { .arena = x->a };
    struct jsonw w = { .out = &text };
    const struct json *tree = NULL;
    if (!target) return NULL;
    rule_to_json(target, &w);
    enum err err = json_parse(x->a, buf_str(&text), &tree, NULL);
    assert(!err);
    return tree;
}

str export_attribute(const struct json *leaf)
{
    const struct json *left = json_get(leaf, S("left"));
    str name = json_str(json_get(left, S("context")), S(""));
    return name.len ? name : json_str(json_get(left, S("trait")), S(""));
}

static bool is_plain(const struct json *v)
{
    return json_is(v, JSON_STR) || json_is(v, JSON_BOOL) || json_is(v, JSON_INT) || json_is(v, JSON_NUM);
}

bool export_values(const struct json *right, const struct json **at, isize *n)
{
    *at = json_is(right, JSON_ARR) ? right->list.at : right;
    *n = json_is(right, JSON_ARR) ? right->list.n : right ? 1 : 0;
    for (isize i = 0; i < *n; i++)
        if (!is_plain(&(*at)[i])) return false;
    return true;
}

/* ---- what each of them cannot say ------------------------------------------------------------ */

static void print_notes(struct jsonw *w, const char *key, const struct export_notes *notes, str flag)
{
    jsonw_key_begin(w, key, '[');
    for (isize i = 0; i < notes->n; i++) {
        const struct export_note *n = &notes->at[i];
        if (flag.len && !str_eq(n->flag, flag)) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "flag", n->flag);
        if (n->rule.len) jsonw_key_str(w, "rule", n->rule);
        jsonw_key_str(w, "kind", str_of(n->kind));
        jsonw_key_str(w, "text", n->text);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

void book_lint(const struct book *book, str flag, arena *a, struct jsonw *w)
{
    struct export_notes growthbook = { 0 }, optimizely = { 0 };
    struct buf text = { .arena = a };
    struct jsonw unread = { .out = &text };
    struct export_where where = { .revision = S("0") };
    book_export_growthbook(book, a, &unread, &growthbook);
    unread = (struct jsonw){ .out = &text };
    book_export_optimizely(book, a, &where, &unread, &optimizely);
    jsonw_begin(w, '{');
    print_notes(w, "optimizely", &optimizely, flag);
    print_notes(w, "growthbook", &growthbook, flag);
    jsonw_key_begin(w, "ofrep", '[');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}
