/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/rows.h"

struct rows { struct csv *csv; str *names; isize n; bool ndjson; char separator; };

static char separator_of(str line)
{
    isize tabs = 0, commas = 0, semicolons = 0;
    for (isize i = 0; i < line.len && line.ptr[i] != '\n'; i++) {
        tabs += line.ptr[i] == '\t';
        commas += line.ptr[i] == ',';
        semicolons += line.ptr[i] == ';';
    }
    return tabs > 0 && tabs >= commas ? '\t' : semicolons > commas ? ';' : ',';
}

enum err rows_open(struct csv *csv, arena *keep, struct rows **out, struct diag *diag)
{
    str head;
    enum err err = csv_peek(csv, 64 << 10, &head, diag);
    if (err) return err;
    if (str_starts(head, S("\xff\xfe")) || str_starts(head, S("\xfe\xff")))
        return diag_set(diag, ERR_BAD_INPUT, "the file is UTF-16; save it as UTF-8");
    struct rows *rows = arena_new(keep, struct rows, 1);
    rows->csv = csv;
    rows->ndjson = str_trim(head).len > 0 && str_trim(head).ptr[0] == '{';
    *out = rows;
    if (rows->ndjson) return ERR_OK;
    rows->separator = separator_of(head);
    csv_separator(csv, rows->separator);
    struct csv_row header;
    bool found;
    err = csv_next(csv, keep, &header, &found, diag);
    if (err) return err;
    if (!found) return diag_set(diag, ERR_BAD_INPUT, "the file is empty");
    for (isize i = 0; i < header.n; i++) {
        header.fields[i] = str_trim(header.fields[i]);
        for (isize k = 0; k < i; k++)
            if (header.fields[i].len && str_eq(header.fields[i], header.fields[k]))
                return diag_set(diag, ERR_BAD_INPUT,
                                "the column \"%.*s\" stands in the header twice",
                                STR_FMT(header.fields[i]));
    }
    rows->names = header.fields;
    rows->n = header.n;
    return ERR_OK;
}

static enum err next_object(struct rows *rows, arena *a, struct record *out, bool *found, struct diag *diag)
{
    str line;
    i64 number;
    do {
        enum err err = csv_line(rows->csv, &line, &number, found, diag);
        out->line = diag->line;
        if (err || !*found) return err;
    } while (str_trim(line).len == 0);
    out->line = number;
    const struct json *doc;
    enum err err = json_parse(a, line, &doc, diag);
    if (!err && doc->kind != JSON_OBJ) err = diag_set(diag, ERR_BAD_INPUT, "expected an object");
    if (err) return err;
    str *names = arena_new(a, str, doc->list.n), *values = arena_new(a, str, doc->list.n);
    isize i = 0;
    json_each(field, doc) {
        names[i] = field->key;
        values[i++] = json_text(a, field);
    }
    *out = (struct record){ names, values, i, number, doc };
    return ERR_OK;
}

enum err rows_next(struct rows *rows, arena *a, struct record *out, bool *found, struct diag *diag)
{
    *out = (struct record){ 0 };
    if (rows->ndjson) return next_object(rows, a, out, found, diag);
    struct csv_row row;
    do {
        enum err err = csv_next(rows->csv, a, &row, found, diag);
        out->line = diag->line;
        if (err || !*found) return err;
    } while (row.n == 1 && str_trim(row.fields[0]).len == 0);
    *out = (struct record){ rows->names, row.fields, rows->n, row.line, NULL };
    if (row.n == rows->n) return ERR_OK;
    out->n = min_isize(row.n, rows->n);
    return diag_set(diag, ERR_BAD_INPUT, "the line has %td fields, the header %td", row.n, rows->n);
}

bool rows_has(const struct rows *rows, str name)
{
    if (rows->ndjson) return true;
    for (isize i = 0; i < rows->n; i++)
        if (str_eq(rows->names[i], name)) return true;
    return false;
}

str rows_form(const struct rows *rows)
{
    if (rows->ndjson) return S("NDJSON");
    return rows->separator == '\t' ? S("TSV") : rows->separator == ';' ? S("CSV with semicolons") : S("CSV");
}

str rows_header(const struct rows *rows, arena *a)
{
    struct buf out = { .arena = a };
    for (isize i = 0; i < rows->n; i++) {
        if (i) buf_add(&out, S(", "));
        buf_add(&out, rows->names[i]);
    }
    return buf_str(&out);
}

/* ---- columns ------------------------------------------------------------------------------- */

static enum err column_read(const struct importing *im, const struct rows *rows,
                            const struct json *v, struct column *out)
{
    *out = (struct column){ .given = true };
    if (json_is(v, JSON_STR)) {
        out->name = v->s;
    } else {
        out->name = json_str(json_get(v, S("column")), S(""));
        out->value = json_text(im->keep, json_get(v, S("value")));
        out->strip_suffix = json_str(json_get(v, S("strip_suffix")), S(""));
        out->upper = json_bool(json_get(v, S("upper")), false);
    }
    if (out->name.len == 0 && out->value.len == 0)
        return diag_set(im->diag, ERR_BAD_INPUT,
                        "map: columns.%.*s names neither a column nor a value", STR_FMT(v->key));
    if (out->name.len && !rows_has(rows, out->name))
        return diag_set(im->diag, ERR_BAD_INPUT, "the file has no column \"%.*s\"; it has %.*s",
                        STR_FMT(out->name), STR_FMT(rows_header(rows, im->keep)));
    return ERR_OK;
}

static enum err columns_known(const struct importing *im, const struct json *columns,
                              const char *const *fields, isize n)
{
    json_each(one, columns) {
        isize near = 0;
        for (isize i = 0; i < n; i++)
            if (str_distance(one->key, str_of(fields[i]))
                < str_distance(one->key, str_of(fields[near])))
                near = i;
        if (!str_eq(one->key, str_of(fields[near])))
            return diag_set(im->diag, ERR_BAD_INPUT,
                            "map: there is no field \"%.*s\"; did you mean %s?", STR_FMT(one->key),
                            fields[near]);
    }
    return ERR_OK;
}

enum err columns_read(const struct importing *im, const struct rows *rows,
                      const char *const *fields, isize n, bool loose, struct column *out)
{
    const struct json *columns = json_get(im->import->map, S("columns"));
    enum err err = columns_known(im, columns, fields, n);
    for (isize i = 0; i < n && !err; i++) {
        out[i] = (struct column){ 0 };
        str field = str_of(fields[i]);
        const struct json *v = json_get(columns, field);
        if (v) err = column_read(im, rows, v, &out[i]);
        else if ((!columns || loose) && rows_has(rows, field))
            out[i] = (struct column){ .name = field, .given = true };
    }
    return err;
}

str column_text(const struct column *column, const struct record *record, arena *a)
{
    if (!column->given) return S("");
    str text = column->value;
    for (isize i = 0; column->name.len && i < record->n; i++)
        if (str_eq(record->names[i], column->name)) { text = str_trim(record->values[i]); break; }
    if (column->strip_suffix.len && str_ends(text, column->strip_suffix))
        text.len -= column->strip_suffix.len;
    if (!column->upper) return text;
    char *up = arena_new(a, char, text.len + 1);
    for (isize i = 0; i < text.len; i++)
        up[i] = text.ptr[i] >= 'a' && text.ptr[i] <= 'z' ? (char)(text.ptr[i] - 32) : text.ptr[i];
    return (str){ up, text.len };
}
