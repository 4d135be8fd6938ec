/* SPDX-License-Identifier: Apache-2.0
 *
 * calls.c - calls as a table, for tools that export no JSON: a column is a field of the call
 * ("event", "userId", "timestamp"), or of its properties, traits or context ("properties.answer").
 *
 * In those, what is written like a number is one; a zero in front or a plus makes a text, as of a
 * postal code or a telephone. An empty cell says nothing. Each row becomes the line that the same
 * call would be in NDJSON, and goes the same way.
 */
#include "ingest/rows.h"

static bool is_number(str text)
{
    f64 n;
    bool begins = text.len > 0 && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
    bool padded = text.len > 1 && text.ptr[0] == '0' && text.ptr[1] != '.';
    bool plain = text.len > 0 && text.ptr[text.len - 1] >= '0' && text.ptr[text.len - 1] <= '9';
    for (isize i = 1; i < text.len; i++)
        plain &=
            (text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] == '.' && i + 1 < text.len);
    return begins && !padded && plain && text.len <= 15 && str_to_f64(text, &n);
}

static void write_part(struct jsonw *w, const struct record *record, const char *part)
{
    bool any = false;
    for (isize i = 0; i < record->n; i++) {
        struct str_cut cut = str_cut(record->names[i], '.');
        if (!cut.found || !str_eq(cut.head, str_of(part)) || record->values[i].len == 0) continue;
        if (!any) jsonw_key_begin(w, part, '{');
        any = true;
        jsonw_key(w, cut.tail);
        if (is_number(record->values[i])) jsonw_raw(w, record->values[i]);
        else jsonw_str(w, record->values[i]);
    }
    if (any) jsonw_end(w, '}');
}

static str line_of(const struct record *record, arena *a)
{
    static const char *const parts[] = { "properties", "traits", "context" };
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    bool typed = false;
    jsonw_begin(&w, '{');
    for (isize i = 0; i < record->n; i++) {
        if (str_find_char(record->names[i], '.') >= 0 || record->values[i].len == 0) continue;
        typed |= str_eq(record->names[i], S("type"));
        jsonw_key(&w, record->names[i]);
        jsonw_str(&w, record->values[i]);
    }
    if (!typed) jsonw_key_str(&w, "type", S("track"));
    for (isize i = 0; i < countof(parts); i++) write_part(&w, record, parts[i]);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

enum err import_calls(struct importing *im, struct rows *rows)
{
    if (!rows_has(rows, S("event")) && !rows_has(rows, S("type")))
        return diag_set(im->diag, ERR_BAD_INPUT,
                        "a table of events has a column \"event\" or \"type\"; the header is: %.*s",
                        STR_FMT(rows_header(rows, im->keep)));
    for (;;) {
        struct record record;
        bool found;
        enum err err = rows_next(rows, im->scratch, &record, &found, im->diag);
        if (!found) return err;
        im->totals->lines++;
        if (!err) {
            im->event_line = line_of(&record, im->scratch);
            err = import_event_line(im, im->event_line);
        }
        if (err == ERR_DISK) return err;
        if (err) import_refuse(im, record.line, im->diag->what, 0);
        im->event_line = S("");
        arena_clear(im->scratch);
        import_progress(im);
    }
}
