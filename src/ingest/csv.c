/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.c - rows of separated values, and plain lines, from a file of any length.
 *
 * A window of the file is kept that holds at least the row being read. A row is found by one walk
 * (quotes open at the start of a field only), then cut into fields. When a quote never closes, the
 * row is refused and reading goes on with the line after the one it began on, so that one stray
 * quote costs one line and not the rest of the file.
 */
#include "ingest/ingest.h"

enum { WINDOW_BYTES = 256 << 10 };
static_assert((isize)WINDOW_BYTES <= CSV_ROW_BYTES_MAX, "the window grows up to a row");

struct csv {
    struct gz *gz;
    char *window;
    isize at, end, cap;
    i64 line;
    char separator;
    bool ended, begun;
};

struct csv *csv_new(struct gz *gz)
{
    struct csv *csv = mem_new(sizeof *csv);
    *csv = (struct csv){
        .gz = gz, .window = mem_new(WINDOW_BYTES), .cap = WINDOW_BYTES, .line = 1, .separator = ','
    };
    return csv;
}

void csv_free(struct csv *csv)
{
    if (!csv) return;
    mem_free(csv->window);
    mem_free(csv);
}

void csv_separator(struct csv *csv, char separator) { csv->separator = separator; }
i64 csv_line_number(const struct csv *csv) { return csv->line; }

/* One more read into the window. */
static enum err more(struct csv *csv, struct diag *diag)
{
    if (csv->at > 0) {
        memmove(csv->window, csv->window + csv->at, (size_t)(csv->end - csv->at));
        csv->end -= csv->at;
        csv->at = 0;
    }
    if (csv->end == csv->cap) {
        csv->cap *= 2;
        csv->window = mem_grow(csv->window, csv->cap);
    }
    isize got;
    enum err err = gz_read(csv->gz, csv->window + csv->end, csv->cap - csv->end, &got, diag);
    if (err) return err;
    csv->end += got;
    csv->ended = got == 0;
    return ERR_OK;
}

static enum err begin(struct csv *csv, struct diag *diag)
{
    while (!csv->begun && !csv->ended && csv->end - csv->at < 3) {
        enum err err = more(csv, diag);
        if (err) return err;
    }
    if (!csv->begun && str_starts((str){ csv->window, csv->end }, S("\xef\xbb\xbf"))) csv->at = 3;
    csv->begun = true;
    return ERR_OK;
}

enum err csv_peek(struct csv *csv, isize n, str *out, struct diag *diag)
{
    enum err err = begin(csv, diag);
    while (!err && !csv->ended && csv->end - csv->at < n) err = more(csv, diag);
    if (!err) *out = (str){ csv->window + csv->at, min_isize(n, csv->end - csv->at) };
    return err;
}

enum err csv_take(struct csv *csv, str *out, struct diag *diag)
{
    enum err err = csv_peek(csv, 1, out, diag);
    if (!err) csv->at += out->len = csv->end - csv->at;
    return err;
}

/* ---- finding a row ------------------------------------------------------------------------- */

/* A walk over one row that can stop for want of bytes and go on. `n` counts from the row's start. */
enum walk_in { FIELD_START, PLAIN, QUOTED, AFTER_QUOTE };
struct walk { isize n, breaks; enum walk_in in; bool done; const char *wrong; };

static void walk_on(struct walk *w, const char *p, isize end, char separator)
{
    for (; w->n < end && !w->done; w->n++) {
        char c = p[w->n];
        if (w->in == QUOTED) {
            if (c == '"') w->in = AFTER_QUOTE;
            else if (c == '\n') w->breaks++;
            continue;
        }
        if (c == '\n') { w->done = true; w->breaks++; continue; }
        if (c == separator) { w->in = FIELD_START; continue; }
        if (c == '"' && w->in == FIELD_START) { w->in = QUOTED; continue; }
        if (w->in == AFTER_QUOTE) {
            if (c == '"') { w->in = QUOTED; continue; }
            if (c == '\r') continue;
            w->wrong = "there is text after a closing quote";
        }
        w->in = PLAIN;
    }
}

/* After a row that cannot be read: on to the line after the one it began on. */
static void skip_line(struct csv *csv)
{
    str rest = { csv->window + csv->at, csv->end - csv->at };
    isize end = str_find_char(rest, '\n');
    csv->at += end < 0 ? rest.len : end + 1;
    csv->line++;
}

static str field_text(arena *a, str raw)
{
    if (raw.len == 0 || raw.ptr[0] != '"') return arena_str(a, raw);
    char *text = arena_new(a, char, raw.len);
    isize n = 0;
    for (isize i = 1; i < raw.len; i++) {
        if (raw.ptr[i] != '"') { text[n++] = raw.ptr[i]; continue; }
        if (i + 1 < raw.len && raw.ptr[i + 1] == '"') text[n++] = raw.ptr[++i];
    }
    return (str){ text, n };
}

static str without_break(str row)
{
    if (row.len && row.ptr[row.len - 1] == '\n') row.len--;
    if (row.len && row.ptr[row.len - 1] == '\r') row.len--;
    return row;
}

static enum err cut_row(struct csv *csv, str row, arena *a, struct csv_row *out, struct diag *diag)
{
    str fields[CSV_COLUMNS_MAX];
    isize n = 0, start = 0;
    bool quoted = false;
    for (isize i = 0; i <= row.len; i++) {
        if (i < row.len && row.ptr[i] == '"' && (quoted || i == start)) quoted = !quoted;
        else if (i < row.len && row.ptr[i] == '"' && row.ptr[start] == '"')
            quoted = !quoted; /* the second of two */
        if (i < row.len && (quoted || row.ptr[i] != csv->separator)) continue;
        if (n == CSV_COLUMNS_MAX)
            return diag_set(diag, ERR_BAD_INPUT, "there are more than %d columns", CSV_COLUMNS_MAX);
        fields[n++] = field_text(a, str_slice(row, start, i));
        start = i + 1;
    }
    out->fields = arena_new(a, str, n);
    for (isize i = 0; i < n; i++) out->fields[i] = fields[i];
    out->n = n;
    return ERR_OK;
}

enum err csv_next(struct csv *csv, arena *a, struct csv_row *out, bool *found, struct diag *diag)
{
    *found = false;
    enum err err = begin(csv, diag);
    if (err) return err;
    struct walk w = { 0 };
    for (;;) {
        walk_on(&w, csv->window + csv->at, csv->end - csv->at, csv->separator);
        if (w.done || csv->ended || w.n > CSV_ROW_BYTES_MAX) break;
        err = more(csv, diag);
        if (err) return err;
    }
    if (w.n == 0 && csv->ended) return ERR_OK;
    i64 line = csv->line;
    *out = (struct csv_row){ .line = line };
    *found = true;
    diag->line = line;
    const char *wrong = w.wrong;
    if (w.n > CSV_ROW_BYTES_MAX) wrong = "the row is longer than 1 MiB; a quote may be missing";
    else if (!w.done && w.in == QUOTED) wrong = "a quote is opened and never closed";
    if (wrong) {
        skip_line(csv);
        return diag_set(diag, ERR_BAD_INPUT, "%s", wrong);
    }
    str row = without_break((str){ csv->window + csv->at, w.n });
    err = str_is_utf8(row) ? cut_row(csv, row, a, out, diag)
                           : diag_set(diag, ERR_BAD_INPUT, "the line is not UTF-8");
    csv->at += w.n;
    csv->line += w.breaks;
    return err;
}

enum err csv_line(struct csv *csv, str *out, i64 *line, bool *found, struct diag *diag)
{
    *found = false;
    enum err err = begin(csv, diag);
    if (err) return err;
    isize seen = 0, end = -1;
    for (;;) {
        str rest = { csv->window + csv->at + seen, csv->end - csv->at - seen };
        end = str_find_char(rest, '\n');
        if (end >= 0) end += seen + 1;
        seen = csv->end - csv->at;
        if (end >= 0 || csv->ended || seen > CSV_ROW_BYTES_MAX) break;
        err = more(csv, diag);
        if (err) return err;
    }
    if (end < 0 && seen == 0) return ERR_OK;
    *found = true;
    *line = diag->line = csv->line;
    if (end < 0 && !csv->ended) {                       /* too long: let the rest of it go by */
        while (end < 0 && !csv->ended) {
            csv->at = csv->end;
            err = more(csv, diag);
            if (err) return err;
            end = str_find_char((str){ csv->window, csv->end }, '\n');
        }
        csv->at = end < 0 ? csv->end : end + 1;
        csv->line++;
        return diag_set(diag, ERR_BAD_INPUT, "the line is longer than 1 MiB");
    }
    isize n = end < 0 ? seen : end;
    *out = without_break((str){ csv->window + csv->at, n });
    csv->at += n;
    csv->line++;
    return ERR_OK;
}
