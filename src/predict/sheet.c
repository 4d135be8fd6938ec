/* SPDX-License-Identifier: Apache-2.0
 *
 * sheet.c - a file of rows and columns as numbers, and rows as features.
 *
 * A column is numeric when each of its values reads as a number (empty: not known). As features a
 * number becomes its tenth among the rows learnt from, one feature each, so that the model is not
 * bound to a straight line, and its size on a scale of logarithms, centred; a kind becomes a
 * feature by itself. Kinds and cuts that the learning rows did not have count as nothing. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "ingest/ingest.h"
#include "predict/predict.h"

enum { ROWS_MAX = 20 << 20, SPREADS_MOST = 4 };

struct cells { str *at; isize n, cap; };

static enum err read_cells(const char *path, struct csv *csv, arena *a, struct sheet *out,
                           struct cells *cells, struct diag *diag)
{
    struct csv_row row;
    bool found;
    enum err err = csv_next(csv, a, &row, &found, diag);
    if (err) return err;
    if (!found || row.n < 2)
        return diag_set(diag, ERR_BAD_INPUT, "%s: the first line should name two columns or more",
                        path);
    if (!out->columns) {
        out->columns_n = row.n;
        out->columns = arena_new(a, struct column, row.n);
        for (isize i = 0; i < row.n; i++) out->columns[i].name = arena_str(a, str_trim(row.fields[i]));
    }
    bool same = row.n == out->columns_n;
    for (isize i = 0; same && i < row.n; i++) same = str_eq(out->columns[i].name, str_trim(row.fields[i]));
    if (!same) return diag_set(diag, ERR_BAD_INPUT, "%s: its columns are not those of the first file", path);
    while (!(err = csv_next(csv, a, &row, &found, diag)) && found) {
        if (row.n == 1 && row.fields[0].len == 0) continue;
        if (row.n != out->columns_n)
            return diag_set(diag, ERR_BAD_INPUT, "%s line %" PRId64 ": %td values for %td columns",
                            path, row.line, row.n, out->columns_n);
        if (out->rows == ROWS_MAX)
            return diag_set(diag, ERR_TOO_BIG, "%s: more than %d rows", path, ROWS_MAX);
        for (isize i = 0; i < row.n; i++) vec_push(cells, arena_str(a, str_trim(row.fields[i])));
        out->rows++;
    }
    return err;
}

static void column_fill(struct sheet *s, isize column, const struct cells *cells, arena *a)
{
    struct column *c = &s->columns[column];
    c->values = arena_new(a, f64, s->rows);
    c->numeric = true;
    for (isize i = 0; c->numeric && i < s->rows; i++) {
        str text = cells->at[i * s->columns_n + column];
        if (text.len == 0) c->values[i] = (f64)NAN;
        else c->numeric = str_to_f64(text, &c->values[i]) && isfinite(c->values[i]);
    }
    if (c->numeric) return;
    struct map *kinds = map_new(64);
    for (isize i = 0; i < s->rows; i++) {
        struct hash128 key = hash128(cells->at[i * s->columns_n + column], 0);
        u64 kind = map_get(kinds, key, 0);
        if (kind == 0) {
            static const char *const words[] = { "true", "yes", "y", "t" };
            (void)map_put(kinds, key, kind = ++c->kinds);
            bool says = false;
            for (isize k = 0; k < countof(words); k++)
                says |= str_eq_nocase(cells->at[i * s->columns_n + column], str_of(words[k]));
            if (says) c->yes = (u32)kind - 1;
        }
        c->values[i] = (f64)(kind - 1);
    }
    map_free(kinds);
}

static enum err read_file(const char *path, arena *a, struct sheet *out, struct cells *cells,
                          struct diag *diag)
{
    struct gz *gz = NULL;
    str head;
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    err = csv_peek(csv, 4096, &head, diag);
    if (!err) {
        str line = str_cut(head, '\n').head;
        if (str_find_char(line, '\t') >= 0) csv_separator(csv, '\t');
        err = read_cells(path, csv, a, out, cells, diag);
    }
    csv_free(csv);
    gz_close(gz);
    return err;
}

enum err sheet_read(const char *path, const char *more, arena *a, struct sheet *out, struct diag *diag)
{
    struct cells cells = { 0 };
    *out = (struct sheet){ 0 };
    enum err err = read_file(path, a, out, &cells, diag);
    out->first = out->rows;
    if (!err && more) err = read_file(more, a, out, &cells, diag);
    for (isize i = 0; !err && i < out->columns_n; i++) column_fill(out, i, &cells, a);
    vec_fini(&cells);
    return err;
}

isize sheet_column(const struct sheet *s, str name)
{
    for (isize i = 0; i < s->columns_n; i++)
        if (str_eq_nocase(s->columns[i].name, name)) return i;
    return -1;
}

/* ---- features -------------------------------------------------------------------------------- */

struct coding {
    isize column;
    u32 first;
    bool numeric;
    f64 cuts[ENCODER_CUTS_MAX];
    int cuts_n;
    f64 mean, spread;
    u32 kinds;
};
struct encoder { struct coding *codings; isize n, dims; };

static f64 scaled(f64 v) { return copysign(log1p(fabs(v)), v); }

static int ascending(const void *left, const void *right)
{
    f64 a = *(const f64 *)left, b = *(const f64 *)right;
    return (a > b) - (a < b);
}

static void learn_cuts(struct coding *c, f64 *known, isize n, int cuts)
{
    if (n == 0) return;
    qsort(known, (size_t)n, sizeof *known, ascending);
    f64 squares = 0;
    for (isize i = 0; i < n; i++) c->mean += scaled(known[i]) / (f64)n;
    for (isize i = 0; i < n; i++) squares += (scaled(known[i]) - c->mean) * (scaled(known[i]) - c->mean);
    c->spread = sqrt(squares / (f64)n);
    for (int k = 1; k < cuts; k++) {                    /* few different values make fewer cuts */
        f64 cut = known[n * k / cuts];
        if (cut > known[0] && (c->cuts_n == 0 || cut > c->cuts[c->cuts_n - 1])) c->cuts[c->cuts_n++] = cut;
    }
}

struct encoder *encoder_new(const struct sheet *s, const bool *skip, const u32 *rows, isize n,
                            int cuts, arena *a)
{
    assert(cuts > 0 && cuts <= ENCODER_CUTS_MAX);
    struct encoder *e = arena_new(a, struct encoder, 1);
    e->codings = arena_new(a, struct coding, s->columns_n);
    e->dims = 1;                                        /* feature 0 is always there */
    f64 *known = arena_new(a, f64, n + 1);
    for (isize i = 0; i < s->columns_n; i++) {
        if (skip[i]) continue;
        const struct column *column = &s->columns[i];
        struct coding *c = &e->codings[e->n++];
        *c = (struct coding){ .column = i, .first = (u32)e->dims, .numeric = column->numeric, .kinds = column->kinds };
        isize known_n = 0;
        for (isize k = 0; column->numeric && k < n; k++)
            if (!isnan(column->values[rows[k]])) known[known_n++] = column->values[rows[k]];
        if (column->numeric) learn_cuts(c, known, known_n, cuts);
        e->dims += column->numeric ? c->cuts_n + 3 : (isize)c->kinds;   /* tenths, size, not known */
    }
    return e;
}

isize encoder_dims(const struct encoder *e) { return e->dims; }
isize encoder_width(const struct encoder *e) { return 1 + 2 * e->n; }

isize encoder_column(const struct encoder *e, u32 feature)
{
    isize at = -1;
    for (isize i = 0; i < e->n && e->codings[i].first <= feature; i++) at = e->codings[i].column;
    return at;
}

isize encode_row(const struct encoder *e, const struct sheet *s, isize row, struct feature *out)
{
    isize n = 0;
    out[n++] = (struct feature){ 0, 1 };
    for (isize i = 0; i < e->n; i++) {
        const struct coding *c = &e->codings[i];
        f64 v = s->columns[c->column].values[row];
        if (!c->numeric) { out[n++] = (struct feature){ c->first + (u32)v, 1 }; continue; }
        if (isnan(v)) { out[n++] = (struct feature){ c->first + 1, 1 }; continue; }
        u32 place = 0;
        while ((int)place < c->cuts_n && v >= c->cuts[place]) place++;
        out[n++] = (struct feature){ c->first + 2 + place, 1 };
        /* Held within what was met: one who is far outside is not taken to be that much more of it. */
        if (c->spread > 0)
            out[n++] =
                (struct feature){ c->first,
                                  (f32)fmin(fmax((scaled(v) - c->mean) / c->spread, -SPREADS_MOST),
                                            SPREADS_MOST) };
    }
    return n;
}
