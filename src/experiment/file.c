/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - one door to other products' flag files, and how an answer from one is told. */
#include "experiment/file.h"

enum err flag_file_read(arena *a, enum flag_dialect dialect, const struct json *from,
                        const struct flag_file **out, struct diag *diag)
{
    struct flag_file *file = arena_new(a, struct flag_file, 1);
    *out = file;
    file->dialect = dialect;
    if (!json_is(from, JSON_OBJ)) return diag_set(diag, ERR_BAD_INPUT, "a flag file is one JSON object");
    return dialect == DIALECT_GROWTHBOOK ? growthbook_read(a, from, file, diag)
                                         : optimizely_read(a, from, file, diag);
}

isize flag_file_flags(const struct flag_file *file, const str **out)
{
    *out = file->flags;
    return file->flags_n;
}

isize flag_file_notes(const struct flag_file *file, const str **out)
{
    *out = file->notes;
    return file->notes_n;
}

struct file_answer flag_file_evaluate(const struct flag_file *file, str flag,
                                      const struct file_request *request, arena *a)
{
    struct file_answer answer;
    if (file->dialect == DIALECT_GROWTHBOOK) growthbook_evaluate(file, flag, request, a, &answer);
    else optimizely_evaluate(file, flag, request, a, &answer);
    return answer;
}

static void key_str_or_null(struct jsonw *w, const char *key, str s)
{
    jsonw_key(w, str_of(key));
    if (s.len) jsonw_str(w, s);
    else jsonw_null(w);
}

void flag_file_print(const struct flag_file *file, const struct file_answer *answer, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "flag", answer->flag);
    jsonw_key(w, S("value"));
    if (answer->value) jsonw_value(w, answer->value);
    else jsonw_null(w);
    key_str_or_null(w, "variation", answer->variation);
    if (answer->variation_index >= 0) jsonw_key_int(w, "variation_index", answer->variation_index);
    jsonw_key_bool(w, "enabled", answer->enabled);
    if (answer->variables) {
        jsonw_key(w, S("variables"));
        jsonw_value(w, answer->variables);
    }
    jsonw_key_str(w, "reason", answer->reason);
    key_str_or_null(w, "rule", answer->rule);
    if (file->dialect == DIALECT_GROWTHBOOK) key_str_or_null(w, "experiment", answer->experiment);
    jsonw_end(w, '}');
}
