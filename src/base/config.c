/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#define YES true
#define NO false
const struct config_row config_rows[] = {
#define CONFIG(name, value, least, most, unit, reload, text) { #name, unit, text, value, least, most, reload },
#include "base/config.def"
#undef CONFIG
};
const isize config_rows_n = countof(config_rows);

static_assert(sizeof(struct config) == sizeof config_rows / sizeof *config_rows * sizeof(i64),
              "a config is its rows, in order, each an i64");

static i64 *slot(struct config *c, isize row) { return (i64 *)(void *)c + row; }
i64 config_get(const struct config *c, isize row) { return ((const i64 *)(const void *)c)[row]; }

struct config config_default(void)
{
    struct config c;
    for (isize i = 0; i < config_rows_n; i++) *slot(&c, i) = config_rows[i].value;
    return c;
}

static enum err unknown(str name, struct diag *diag)
{
    const char *near = config_rows[0].name;
    for (isize i = 1; i < config_rows_n; i++)
        if (str_distance(name, str_of(config_rows[i].name)) < str_distance(name, str_of(near)))
            near = config_rows[i].name;
    return diag_set(diag, ERR_BAD_INPUT, "there is no setting \"%.*s\"; did you mean %s?",
                    STR_FMT(name), near);
}

enum err config_set(struct config *c, str name, str value, struct diag *diag)
{
    for (isize i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        if (!str_eq(name, str_of(row->name))) continue;
        i64 v;
        if (!str_to_i64(str_trim(value), &v) || v < row->least || v > row->most)
            return diag_set(diag, ERR_BAD_INPUT,
                            "%s takes a whole number from %lld to %lld %s, not \"%.*s\"", row->name,
                            (long long)row->least, (long long)row->most, row->unit, STR_FMT(value));
        *slot(c, i) = v;
        return ERR_OK;
    }
    return unknown(name, diag);
}

enum err config_file(struct config *c, str text, struct diag *diag)
{
    for (diag->line = 1; text.len > 0; diag->line++) {
        struct str_cut line = str_cut(text, '\n');
        text = line.tail;
        str content = str_trim(str_cut(line.head, '#').head);
        if (content.len == 0) continue;
        struct str_cut pair = str_cut(content, '=');
        if (!pair.found) return diag_set(diag, ERR_BAD_INPUT, "expected name = value");
        enum err err = config_set(c, str_trim(pair.head), pair.tail, diag);
        if (err) return err;
    }
    return ERR_OK;
}

enum err config_environment(struct config *c, char **environment, struct diag *diag)
{
    for (char **at = environment; *at; at++) {
        struct str_cut pair = str_cut(str_of(*at), '=');
        if (!str_starts(pair.head, S("OPMAAT_"))) continue;
        char name[64];
        str upper = str_from(pair.head, 7);
        if (upper.len >= countof(name)) return unknown(upper, diag);
        for (isize i = 0; i < upper.len; i++) {
            char x = upper.ptr[i];
            name[i] = x >= 'A' && x <= 'Z' ? (char)(x + 32) : x;
        }
        enum err err = config_set(c, (str){ name, upper.len }, pair.tail, diag);
        if (err) return err;
    }
    return ERR_OK;
}
