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
    definition_error_add(b->errors, (struct definition_error){
                                        b->def->kind, b->def->key, arena_str(b->a, str_of(path)),
                                        arena_str(b->a, str_of(text)), column });
}

static str standing(const struct building *b, const struct definition *def)
{
    bool is_candidate = b->candidate && str_eq(def->kind, b->candidate->kind)
                        && str_eq(def->key, b->candidate->key);
    return is_candidate ? b->candidate->document : definition_published(def);
}

isize building_room(struct building *b, const char *kind, isize max)
{
    const struct definition *def;
    isize at = 0, n = 0;
    while ((def = definition_next(b->definitions, str_of(kind), &at))) {
        if (standing(b, def).len == 0) continue;
        b->def = def;
        n++;
    }
    if (n > max)
        building_refuse(b, "", 0,
                        "there can be at most %lld definitions of this kind, and %lld stand",
                        (long long)max, (long long)n);
    return min_isize(n, max);
}

const struct json *building_next(struct building *b, const char *kind, isize *at)
{
    const struct definition *def;
    while ((def = definition_next(b->definitions, str_of(kind), at))) {
        str text = standing(b, def);
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
        building_refuse(b, path, wrong.at[i].column, "%.*s%s%.*s", STR_FMT(wrong.at[i].message),
                        wrong.at[i].hint.len ? "; " : "", STR_FMT(wrong.at[i].hint));
    return NULL;
}

const struct rule *building_rule_of(struct building *b, const struct json *text,
                                    enum rule_place place, const char *path)
{
    if (!text) return NULL;
    if (json_is(text, JSON_STR)) return building_rule(b, text->s, place, path);
    building_refuse(b, path, 0, "expected a rule as text");
    return NULL;
}

i32 building_share(struct building *b, const struct json *v, i32 otherwise, const char *path)
{
    i32 parts = otherwise;
    if (v && !share_parse(json_str(v, S("")), &parts))
        building_refuse(b, path, 0, "expected a share such as \"34%%\"");
    return parts;
}
