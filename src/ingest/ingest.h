/* SPDX-License-Identifier: Apache-2.0
 *
 * ingest.h - other people's formats -> our nouns: events, item changes.
 *
 * Live calls come as JSON in the shapes of Segment and RudderStack, PostHog, Google Analytics 4,
 * Optimizely's ODP and the webhooks of Shopify and WooCommerce; files come as CSV, TSV,
 * NDJSON and product-feed XML, plain or gzipped. Everything is checked here, once: what is taken
 * is whole and within limits, and what is not is handed to a sink with the reason.
 *
 *   reads    base/, http/ (text in addresses), event/, catalog/ (struct item_change)
 *   feeds    api/, demo/, main.c (import)
 *   threads  functions of their arguments; file readers belong to one thread
 *   memory   the caller's arena; events borrow from it and from the parsed JSON
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "base/err.h"
#include "base/zone.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "event/event.h"

/* ---- live events: Segment and RudderStack shapes --------------------------------------------- */

/* What was put right or left out without refusing the event. */
struct ingest_counts {
    i64 ids_illegal;                /* "guest", "null", "0" … : no identifier at all */
    i64 ids_long;                   /* over IDENTIFIER_BYTES_MAX */
    i64 ids_surplus;                /* over EVENT_IDENTIFIERS_MAX, or an externalIds type we do not know */
    i64 clocks_clamped;             /* ahead of ours */
    i64 bots;
    i64 lines_without_product;      /* entries of products[] without product_id and sku */
};

struct ingest_envelope {
    str type;                       /* from the route: "track", "t", …; empty: each event says its own */
    const struct json *context;     /* of the batch: what an event's own context lacks */
    const struct json *integrations;
    i64 sent_at_ms;                 /* of the batch; 0: not said */
    i64 received_ms;
    str delivery;                   /* webhooks: what tells one delivery from another; empty otherwise */
    str source;                     /* key of the source definition */
    currency currency;              /* of the source, for events that name none */
    u8 channel;                     /* of the source; CHANNEL_UNKNOWN: as the event says */
    bool verified;                  /* came with a secret key: what it says of identity is so */
    bool test;                      /* a key of the test environment */
    bool sec_gpc;                   /* the browser sent Sec-GPC: 1 */
    /* from a file: its timestamp is taken as it is, however long ago it was sent */
    bool imported;
    str user_agent;                 /* the request's, for events that carry none */
    /* a corrected time further off than that is refused; 0: any is taken */
    i64 clock_ahead_ms, clock_behind_ms;
    isize event_bytes, batch_events;    /* limits, from the settings; 0: 32 KiB, 2,500 */
    /* Does `hash` (the event's context.userHash or user_hash) prove user_id? Null: nothing is
     * proved that way. */
    bool (*proves)(const void *ctx, str user_id, str hash);
    const void *ctx;
    struct ingest_counts *counts;   /* null: nobody counts */
};

/* One call -> one event. ERR_BAD_INPUT, ERR_TOO_BIG or ERR_REFUSED with the reason in `why`. The key stays empty when the
 * sender gave no messageId. */
MUST_USE enum err ingest_event(arena *a, const struct json *event, const struct ingest_envelope *envelope,
                               struct event *out, struct diag *why);

struct ingest_sink {
    void *ctx;
    void (*event)(void *ctx, isize index, const struct event *e);
    void (*refused)(void *ctx, isize index, enum err err, str reason, const struct json *event);
    /* null: changes of the catalogue are let go */
    void (*item)(void *ctx, const struct item_change *change);
};

/* A body: one event, {"batch": […], "sentAt", "context"} or a bare list. Bad events go to sink->refused and do not harm the
 * others. ERR_TOO_BIG (nothing handed out) when there are more than batch_events; ERR_BAD_INPUT when the body is
 * neither. */
MUST_USE enum err ingest_batch(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                               const struct ingest_sink *sink, struct diag *why);

/* ---- live events: other products' shapes, told in Segment's (telling.h) ---------------------- */

/* Each reads a body as ingest_batch does: bad events go to the sink and do not harm the others. */
typedef enum err ingest_reader(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                               const struct ingest_sink *sink, struct diag *why);
MUST_USE ingest_reader ingest_posthog;      /* /batch, /capture, /e: a batch, a list or one event */
MUST_USE ingest_reader ingest_ga4;          /* Measurement Protocol */
MUST_USE ingest_reader ingest_odp;          /* Optimizely Data Platform's /v3/events */
/* Webhooks: envelope->type is the topic, envelope->delivery the delivery's id. */
MUST_USE ingest_reader ingest_shopify;
MUST_USE ingest_reader ingest_woocommerce;

/* A pixel's query string (the bytes after '?') -> the call it stands for, in Segment's shape. */
MUST_USE enum err ingest_pixel(arena *a, str query, const struct json **out, struct diag *why);

/* ODP's question: is the customer `name` = `id` in these audiences? Readings of a body, one or two
 * when it can be read in two ways (odp.c); 0: it is no such question. Borrows from the body. */
enum { ODP_SUBSET_MAX = 100 };
/* all: no subset was named */
struct odp_question { str name, id; str subset[ODP_SUBSET_MAX]; isize subset_n; bool all; };
isize ingest_odp_question(arena *a, str body, struct odp_question out[2]);

/* Where a body may carry its write key: "writeKey" or "write_key" (PostHog: "api_key", "token") of
 * the batch, else of its first event; empty. */
str ingest_write_key(const struct json *body);

/* An identifier as it will be kept: e-mail in lower case, phone as + and digits. Empty when it
 * identifies nobody. */
str ingest_identifier(arena *a, u8 kind, str value);

/* What a consent object says (Segment's categoryPreferences, RudderStack's consentManagement,
 * Google's consent mode), found in a context. Adds to the sets; where both are said, denied wins.
 * The name of the dialect, or empty when it says nothing. */
str ingest_consent(const struct json *context, u16 *granted, u16 *denied);

/* Takes out which ad was clicked: the field, and what the address, the referrer and the properties
 * hold of it. */
void ingest_forget_click(arena *a, struct event *e);

/* "Slurp", "Googlebot/2.1", … : programs that say so themselves. */
bool ingest_is_bot(str user_agent);

/* ---- files ----------------------------------------------------------------------------------- */

/* A run of bytes, plain or gzipped (told by its first bytes; several members in a row are one file). */
struct gz;
MUST_USE enum err gz_open(const char *path, struct gz **out, struct diag *diag);
struct gz *gz_memory(str bytes);                        /* borrows them */
void gz_close(struct gz *gz);
/* Up to n bytes, unpacked; *got 0 at the end. ERR_DISK, or ERR_BAD_INPUT when the packing is broken
 * or cut short. */
MUST_USE enum err gz_read(struct gz *gz, void *to, isize n, isize *got, struct diag *diag);
struct gz_progress { i64 done, total; };                /* bytes of the file as it lies there */
struct gz_progress gz_progress(const struct gz *gz);

/* RFC 4180, and what it leaves open: CR LF or LF, a byte order mark, a quote inside an unquoted
 * field is itself, the last line may lack its end. Does not own the gz. */
enum { CSV_COLUMNS_MAX = 1000, CSV_ROW_BYTES_MAX = 1 << 20 };
struct csv;
struct csv_row { str *fields; isize n; i64 line; };     /* line: where the row begins, from 1 */
struct csv *csv_new(struct gz *gz);
void csv_free(struct csv *csv);
void csv_separator(struct csv *csv, char separator);    /* ',' unless said */
/* What comes next, without taking it: at most n bytes, more than 0 unless the file ends. */
MUST_USE enum err csv_peek(struct csv *csv, isize n, str *out, struct diag *diag);
/* A piece as it comes, until the next call; empty at the end. */
MUST_USE enum err csv_take(struct csv *csv, str *out, struct diag *diag);
/* ERR_BAD_INPUT is about one row (its line in diag, the reason too): the next call goes on with the
 * line after it. */
MUST_USE enum err csv_next(struct csv *csv, arena *a, struct csv_row *out, bool *found, struct diag *diag);
/* A line as it is, without its end; for NDJSON. */
MUST_USE enum err csv_line(struct csv *csv, str *out, i64 *line, bool *found, struct diag *diag);
i64 csv_line_number(const struct csv *csv);             /* of what comes next */

/* ---- imports --------------------------------------------------------------------------------- */

/* Money of a file is added up in millionths of a currency's unit, so that prices finer than a penny
 * stay exact; an event's value_minor is the order's exact sum, rounded once, half away from zero. */
#define IMPORT_MICRO 1000000

struct import_totals {
    i64 lines;                      /* of data: header and empty lines are none */
    i64 accepted, refused;          /* lines; their sum is `lines` */
    i64 accepted_micro, refused_micro;  /* orders: the lines' amounts, where they can be read */
    /* orders: accepted or refused lines that say exactly what an earlier one said */
    i64 repeated;
    i64 orders, refunds, people, guests;    /* orders: events by type; distinct people; events without one */
    i64 events, items;              /* handed out */
};

/* What mode=replace takes out of the catalogue (replace.c): products or content that the file lacks
 * are removed, for stock all that it lacks is out of stock. Reads the file once before it is
 * imported. ERR_REFUSED for other kinds, and when more than 20 % of what is there would go, unless
 * forced. Inside rcu brackets of its own. */
struct replacement { struct item_change *at; isize n; i64 there; };
struct import;
MUST_USE enum err import_replacement(struct gz *gz, const struct import *import,
                                     const struct catalog *catalog, bool forced, arena *a,
                                     struct replacement *out, struct diag *diag);
/* mode=delta: the pieces of a stock change are added to what the catalogue has. The change's list
 * is made anew in `a`. */
void import_delta(const struct catalog *catalog, struct item_change *change, arena *a);

struct import_sink {
    void *ctx;
    void (*event)(void *ctx, const struct event *e);            /* null: only counted */
    void (*item)(void *ctx, const struct item_change *change);  /* null: only counted */
    void (*refused)(void *ctx, i64 line, str reason, i64 amount_micro);     /* null: only counted */
    /* some hundred times a file; null: nobody looks */
    void (*progress)(void *ctx, struct gz_progress at);
    /* As refused, for keeping it: the line as JSON, for events the call itself, else {"import": KIND, "row": {fields by our names}}, which
     * import_row takes. Null: it is not kept. */
    void (*letter)(void *ctx, i64 line, str reason, str raw);
};

struct import {
    str kind;                       /* orders customers events products prices stock content */
    const struct json *map;         /* a mapping file's document; null: columns are named as we name them */
    str source;                     /* key of the source; the map's `source` when empty */
    currency currency;              /* for what names none; the map's `currency` when 0 */
    i64 received_ms;                /* now */
    bool test;
};

/* Reads the whole file. Lines that cannot be taken are refused one by one; an error is about the
 * file or the map as a whole. Orders come out after the last line was read, by time and order key;
 * the rest as they come. */
MUST_USE enum err import_run(struct gz *gz, const struct import *import, const struct import_sink *sink,
                             struct import_totals *totals, struct diag *diag);
/* What stands in a file's first 256 KiB, as a JSON object: form, header, rows, a proposed map's `columns`, and what an import of that much
 * would take and refuse (by import->map, else by the proposal). Nothing is handed out. */
MUST_USE enum err import_preview(struct gz *gz, const struct import *import, arena *a,
                                 struct jsonw *w, struct diag *diag);
bool import_kind_known(str kind);
/* The kind and row of what `letter` was given; false when it is no such thing. */
bool import_row(const struct json *letter, str *kind, const struct json **row);


#endif
