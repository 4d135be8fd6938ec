/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.h - records with named fields, whatever file they stand in; between the files of this room. */
#ifndef INGEST_ROWS_H
#define INGEST_ROWS_H

#include "ingest/ingest.h"

/* names belong to the reader (CSV: the same pointer for every record) or, in NDJSON, to the
 * record's arena. */
struct record { const str *names; const str *values; isize n; i64 line; const struct json *doc; };

struct rows;
/* Looks at the first bytes: NDJSON, or a header line separated by tabs, commas or semicolons. */
MUST_USE enum err rows_open(struct csv *csv, arena *keep, struct rows **out, struct diag *diag);
/* As csv_next. doc is the object of an NDJSON line, else null. Empty lines are passed over. */
MUST_USE enum err rows_next(struct rows *rows, arena *a, struct record *out, bool *found, struct diag *diag);
bool rows_has(const struct rows *rows, str name);       /* a column of the header; NDJSON: always */
str rows_form(const struct rows *rows);                 /* "NDJSON", "CSV", "TSV", "CSV with semicolons" */
str rows_header(const struct rows *rows, arena *a);     /* "InvoiceNo, StockCode, …" */

/* What an import is doing; the counting of lines and the sink in one place. */
struct column;
struct importing {
    struct gz *gz;
    const struct import *import;
    const struct import_sink *sink;
    struct import_totals *totals;
    arena *keep;                    /* lives as long as the import */
    arena *scratch;                 /* of one record */
    struct diag *diag;
    i64 shown;                      /* hundredths of the file that progress was told of */
    /* For keeping what is refused: the record under way, and what the map calls its columns. */
    const struct record *record;
    const struct column *columns; const char *const *fields; isize fields_n;
    const struct json *traits;
    str event_line;                 /* of an events file */
};
void import_refuse(struct importing *im, i64 line, str reason, i64 amount_micro);
void import_event(struct importing *im, const struct event *e);
void import_item(struct importing *im, const struct item_change *change);
void import_progress(struct importing *im);
str import_source(const struct importing *im);
currency import_currency(const struct importing *im);

/* The fields a map may name; n of them. */
const char *const *order_fields(isize *n);
const char *const *people_fields(isize *n);
MUST_USE enum err import_calls(struct importing *im, struct rows *rows);       /* calls.c */
/* import.c: one call as JSON */
MUST_USE enum err import_event_line(struct importing *im, str line);
MUST_USE enum err import_orders(struct importing *im, struct rows *rows);      /* orders.c */
MUST_USE enum err import_people(struct importing *im, struct rows *rows);      /* people.c */
MUST_USE enum err import_items(struct importing *im, struct rows *rows);       /* feed.c */
MUST_USE enum err import_xml(struct importing *im, struct csv *csv);           /* feed_xml.c */

/* feed.c, for feed_xml.c: one entry of a feed, and the end of it. */
struct feed;
struct feed *feed_new(struct importing *im);
void feed_free(struct feed *feed);
void feed_take(struct feed *feed, const struct record *record);
void feed_end(struct feed *feed);

/* A column of a map: a header's name, what to do with its text, or a value of its own. */
struct column { str name, value, strip_suffix; bool upper, given; };
/* map.columns: {"order_key": "InvoiceNo", "user_id": {"column": "CustomerID", "strip_suffix": ".0"}, "currency": {"value": "GBP"}};
 * without a map, and for fields it does not name when `loose`, each field's own name. */
MUST_USE enum err columns_read(const struct importing *im, const struct rows *rows,
                               const char *const *fields, isize n, bool loose, struct column *out);
str column_text(const struct column *column, const struct record *record, arena *a);

#endif
