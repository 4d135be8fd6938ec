/* SPDX-License-Identifier: Apache-2.0
 *
 * building.c - definitions on their way into a book: which documents stand, and what is wrong with them. */
#include "decide/inside.h"

#include <stdarg.h>
#include <stdio.h>

void building_refuse(struct building *b, const char *path, isize column, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->failed = true;
    definition_error_add(b->errors, (struct definition_error){ b->def->kind, b->def->key, arena_str(b->a, str_of(path)),
                                                              arena_str(b->a, str_of(text)), column });
}

const struct json *building_next(struct building *b, const char *kind, isize *at)
{
    const struct definition *def;
    while ((def = definition_next(b->definitions, str_of(kind), at))) {
        bool is_candidate = b->candidate && str_eq(def->kind, b->candidate->kind) && str_eq(def->key, b->candidate->key);
        str text = is_candidate ? b->candidate->document : definition_published(def);
        if (text.len == 0) continue;
        struct diag diag = { .arena = b->a };
        const struct json *doc;
        b->def = def;
        if (json_parse(b->a, text, &doc, &diag)) building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        else if (!json_is(doc, JSON_OBJ)) building_refuse(b, "", 0, "expected a JSON object");
        else return doc;
    }
    return NULL;
}

const struct rule *building_rule(struct building *b, str text, enum rule_place place, const char *path)
{
    const struct rule *rule = NULL;
    struct rule_errors wrong = { 0 };
    if (rule_compile(b->a, text, place, b->names, &rule, &wrong) == ERR_OK) return rule;
    for (isize i = 0; i < wrong.n; i++)
        building_refuse(b, path, wrong.at[i].column, "%.*s%s%.*s", STR_FMT(wrong.at[i].message), wrong.at[i].hint.len ? "; " : "",
                        STR_FMT(wrong.at[i].hint));
    return NULL;
}
