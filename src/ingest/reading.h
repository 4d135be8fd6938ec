/* SPDX-License-Identifier: Apache-2.0
 *
 * reading.h - one live event being read; between the files of this room. */
#ifndef INGEST_READING_H
#define INGEST_READING_H

#include "ingest/ingest.h"

struct reading {
    arena *a;
    const struct json *event, *context, *properties;
    const struct ingest_envelope *envelope;
    struct event *out;
    struct diag *why;
};

#define reading_refuse(r, ...) diag_set((r)->why, ERR_BAD_INPUT, __VA_ARGS__)

/* The first of two that is there and not null. */
const struct json *json_either(const struct json *a, const struct json *b);
/* The first of a field's spellings (separated by spaces) that is there and not null. */
const struct json *json_any(const struct json *obj, const char *names);
/* From the event's context, else the batch's. */
const struct json *context_get(const struct reading *r, const char *dotted);
/* A string or a number as text, trimmed; empty for everything else. */
str text_of(const struct reading *r, const struct json *v);
void reading_count(const struct reading *r, isize offset);
#define count_one(r, field) reading_count((r), (isize)offsetof(struct ingest_counts, field))

MUST_USE enum err read_who(struct reading *r);              /* who.c: identifiers, traits */
MUST_USE enum err read_commerce(struct reading *r);         /* commerce.c: items, money, orders */
/* surroundings.c: page, campaign, device, channel, consent */
void read_surroundings(struct reading *r);

#endif
