/* SPDX-License-Identifier: Apache-2.0
 *
 * clicks.c - the files that evaluation reads: a line says who (or which session, which basket),
 * what, perhaps when. */
#include "base/hash.h"
#include "ingest/ingest.h"
#include "recommend/inside.h"

#include <math.h>
#include <stdlib.h>


static u32 number_of(struct map *map, u32 *count, str name)
{
    struct hash128 key = hash128(name, 0);
    u64 known = map_get(map, key, 0);
    if (known) return (u32)known;
    (void)map_put(map, key, ++*count);
    return *count;
}

static bool read_time(str text, i64 *out_ms)
{
    f64 number;
    if (!str_to_f64(text, &number)) return time_parse(text, out_ms);
    if (!(fabs(number) < 1e15)) return false;
    /* Seconds, as these files have it, or milliseconds. */
    *out_ms = (i64)(fabs(number) < 1e11 ? number * 1000 : number);
    return true;
}

static int by_session_and_time(const void *left, const void *right)
{
    const struct click *a = left, *b = right;
    if (a->session != b->session) return a->session < b->session ? -1 : 1;
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

/* "SessionId", "sessionid", "session_id" and "Session Id" are one name; a byte order mark before
 * the first is nothing. */
static bool is_called(str said, const char *want)
{
    isize at = 0;
    for (isize i = str_starts(said, S("\xEF\xBB\xBF")) ? 3 : 0; i < said.len; i++) {
        u8 letter = (u8)said.ptr[i];
        if (letter == '_' || letter == '-' || letter == ' ') continue;
        if (want[at] == 0 || (letter | 32) != (want[at] | 32)) return false;
        at++;
    }
    return want[at] == 0;
}

struct columns { isize session, item, time; };

static bool columns_read(struct columns *c, const struct csv_row *row, str group, arena *a)
{
    *c = (struct columns){ -1, -1, -1 };
    for (isize i = 0; i < row->n; i++) {
        str name = str_trim(row->fields[i]);
        if (is_called(name, arena_z(a, group))) c->session = i;
        if (is_called(name, "ItemId")) c->item = i;
        if (is_called(name, "Time")) c->time = i;
    }
    return c->session >= 0 && c->item >= 0;
}

static enum err read_rows(const char *path, struct csv *csv, str group, struct names *names,
                          struct clicks *into, arena *a, struct diag *diag)
{
    struct csv_row row;
    struct columns columns;
    bool found;
    enum err err = csv_next(csv, a, &row, &found, diag);
    if (err) return err;
    if (!found || !columns_read(&columns, &row, group, a))
        return diag_set(diag, ERR_BAD_INPUT,
                        "%s: the first line should name the columns %.*s, ItemId and perhaps "
                        "Time, tab separated",
                        path, STR_FMT(group));
    into->timed = columns.time >= 0;
    for (struct arena_mark mark = arena_mark(a);; arena_reset(a, mark)) {
        err = csv_next(csv, a, &row, &found, diag);
        if (err) return err;
        if (!found) break;
        if (row.n == 1 && row.fields[0].len == 0) continue;
        struct click click = { .line = into->n };
        if (row.n <= max_isize(columns.session, max_isize(columns.item, columns.time)))
            return diag_set(diag, ERR_BAD_INPUT, "%s line %" PRId64 ": a column is missing", path, row.line);
        str session = str_trim(row.fields[columns.session]), item = str_trim(row.fields[columns.item]);
        if (session.len == 0 || item.len == 0)
            return diag_set(diag, ERR_BAD_INPUT, "%s line %" PRId64 ": no %.*s or no item", path,
                            row.line, STR_FMT(group));
        if (into->timed && !read_time(str_trim(row.fields[columns.time]), &click.at_ms))
            return diag_set(diag, ERR_BAD_INPUT,
                            "%s line %" PRId64 ": the time is neither a number nor a date", path,
                            row.line);
        click.session = number_of(names->sessions, &names->sessions_n, session);
        click.item = number_of(names->items, &names->items_n, item);
        vec_push(into, click);
    }
    /* Without times the order of lines stands in: the file then spans 30 days, so that ages mean
     * something. */
    if (!into->timed)
        for (isize i = 0; i < into->n; i++)
            into->at[i].at_ms = (i64)((f64)i * 30 * (f64)DAY_MS / (f64)into->n);
    if (into->n) qsort(into->at, (size_t)into->n, sizeof *into->at, by_session_and_time);
    for (isize i = 0; i < into->n; i++)
        into->groups += i == 0 || into->at[i].session != into->at[i - 1].session;
    return ERR_OK;
}

enum err clicks_read(const char *path, str group, struct names *names, struct clicks *into, struct diag *diag)
{
    struct gz *gz = NULL;
    arena a = { 0 };
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    csv_separator(csv, '\t');
    err = read_rows(path, csv, group, names, into, &a, diag);
    csv_free(csv);
    gz_close(gz);
    arena_fini(&a);
    return err;
}
