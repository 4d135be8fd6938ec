/* SPDX-License-Identifier: Apache-2.0
 *
 * ingest.h - other people's formats -> our nouns: events, item changes.
 *
 * Live calls come as JSON in the shapes of Segment and RudderStack; files come as CSV, TSV,
 * NDJSON and product-feed XML, plain or gzipped. Everything is checked here, once: what is taken
 * is whole and within limits, and what is not is handed to a sink with the reason.
 *
 *   reads    base/, event/, catalog/ (struct item_change)
 *   feeds    api/, demo/, main.c (import)
 *   threads  functions of their arguments; file readers belong to one thread
 *   memory   the caller's arena; events borrow from it and from the parsed JSON
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "base/err.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "event/event.h"

/* ---- live events: Segment and RudderStack shapes ---------------------------------------------- */

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
    str source;                     /* key of the source definition */
    currency currency;              /* of the source, for events that name none */
    u8 channel;                     /* of the source; CHANNEL_UNKNOWN: as the event says */
    bool verified;                  /* came with a secret key: what it says of identity is so */
    bool test;                      /* a key of the test environment */
    bool sec_gpc;                   /* the browser sent Sec-GPC: 1 */
    str user_agent;                 /* the request's, for events that carry none */
    isize event_bytes, batch_events;    /* limits, from the settings; 0: 32 KiB, 2,500 */
    /* Does `hash` (the event's context.userHash or user_hash) prove user_id? Null: nothing is proved that way. */
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
};

/* A body: one event, {"batch": […], "sentAt", "context"} or a bare list. Bad events go to sink->refused and do not harm the
 * others. ERR_TOO_BIG (nothing handed out) when there are more than batch_events; ERR_BAD_INPUT when the body is neither. */
MUST_USE enum err ingest_batch(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                               const struct ingest_sink *sink, struct diag *why);

/* Where a body may carry its write key: "writeKey" or "write_key" of the batch, else of its first event; empty. */
str ingest_write_key(const struct json *body);

/* An identifier as it will be kept: e-mail in lower case, phone as + and digits. Empty when it identifies nobody. */
str ingest_identifier(arena *a, u8 kind, str value);

/* What a consent object says (Segment's categoryPreferences, RudderStack's consentManagement, Google's consent mode), found in a
 * context. Adds to the sets; where both are said, denied wins. The name of the dialect, or empty when it says nothing. */
str ingest_consent(const struct json *context, u16 *granted, u16 *denied);

/* "Slurp", "Googlebot/2.1", … : programs that say so themselves. */
bool ingest_is_bot(str user_agent);

#endif
