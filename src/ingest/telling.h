/* SPDX-License-Identifier: Apache-2.0
 *
 * telling.h - another product's call, told in Segment's words; between the files of this room.
 *
 * One place knows what an event may say and how to complain: segment_spec.c. So a call of another
 * product is written down as the call that Segment's client would have made, and that is read. What
 * such a call cannot be told as is refused by itself; what is refused after having been told lies
 * with the dead letters as it was told, so that it can be mended and replayed like any other. */
#ifndef INGEST_TELLING_H
#define INGEST_TELLING_H

#include "ingest/ingest.h"

struct telling {
    arena *a;
    struct ingest_envelope envelope;
    const struct ingest_sink *sink;
    struct buf text;
    struct jsonw w;
    isize index;                    /* of the call in its body */
    isize told;                     /* calls made of the body so far */
};

struct telling telling_of(arena *a, const struct ingest_envelope *envelope, const struct ingest_sink *sink);

/* Begins {"type": type, "event": name; name may be empty}. Fields follow, by t->w; tell_end closes it and hands it on. */
void tell(struct telling *t, const char *type, str name);
void tell_end(struct telling *t);
void tell_refused(struct telling *t, const struct json *sent, const char *format, ...) PRINTF_LIKE(3, 4);
/* Our NDJSON of an item, written to t->w between '{' and '}' by the caller, as a change of the catalogue. */
void tell_item(struct telling *t, const struct json *sent);

/* Written when there is something to write: a text or a number that is not empty, as text. */
void tell_text(struct telling *t, const char *key, str text);
void tell_id(struct telling *t, const char *key, const struct json *v);
/* An object under `key` of those of our fields that `from` has under their name (dots lead inside);
 * nothing when it has none. */
struct told_field { const char *ours, *theirs; };
void tell_object(struct telling *t, const char *key, const struct json *from,
                 const struct told_field *fields, isize n);
/* As it came, unless it is absent, null or an empty text. */
void tell_value(struct telling *t, const char *key, const struct json *v);

/* A webhook says by its topic what its body is. One that no row names is refused; ERR_BAD_INPUT
 * when the body is no object. */
struct topic { str name; void (*tell)(struct telling *t, const struct json *body); };
MUST_USE enum err tell_by_topic(struct telling *t, const struct topic *topics, isize n,
                                const struct json *body, struct diag *why);

/* The calls of a body: its list, or itself as a list of one. ERR_TOO_BIG over the limit of the envelope. */
struct calls { const struct json *at; isize n; };
MUST_USE enum err calls_of(const struct json *body, const struct json *list,
                           const struct ingest_envelope *envelope, struct calls *out,
                           struct diag *why);

#endif
