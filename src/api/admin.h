/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h - what the console's routes share. */
#ifndef API_ADMIN_H
#define API_ADMIN_H

#include "api/inside.h"

/* ---- admin.c -------------------------------------------------------------------------------- */

/* Sets the call's error and its reason in place of what was written. On any thread, for ask_fold
 * and ask_jobs. */
void PRINTF_LIKE(3, 4) call_fail(struct call *call, enum err err, const char *format, ...);
/* From a job: runs `answer` on the fold's thread and waits for it. */
void on_fold(struct call *call, void (*answer)(struct call *call, struct fold *fold));
/* A whole number of the query, 1 to `most`. */
isize query_limit(struct call *call, isize otherwise, isize most);
str body_text(const struct call *call, const char *name);

/* For the audit: log-ins and steps since the start. Kept: the latest 1,000. */
void note_deed(struct admin *admin, i64 at_ms, str who, const char *what, str object);
struct deed { i64 at_ms; char who[72], what[24], object[144]; };
isize deeds_of(struct admin *admin, arena *a, const struct deed **out);        /* a copy, newest first */

void print_money(struct jsonw *w, struct money money);
void print_person_id(struct jsonw *w, const char *key, person_id id);
bool person_id_read(str text, person_id *out);          /* "p_12" */
/* "Ana B.", else an e-mail's local part; who is not known is "anonymous 4f2a". On the fold's thread. */
str person_display(const struct live *live, const struct profile *p, arena *a);
/* For decide_print_why. On the fold's thread. */
struct trace_names trace_names(const struct call *call, const struct fold *fold);

/* ---- past.c ---------------------------------------------------------------------------------- */
/* A time of the query that is not to come; false after call_fail(). */
bool query_instant(struct call *call, const char *name, i64 otherwise, i64 *at_ms);
/* "facts_from": how far back facts that were said again since are known; facts may be null. */
void print_facts_from(struct jsonw *w, const struct past_facts *facts, i64 from_ms);
/* On the jobs thread: counts of all segments, or of the one the path names, ?at=; and of several,
 * with their overlap. */
void segments_then(struct call *call);
void overlap_then(struct call *call, const str *keys, isize n);

/* ---- definitions.c -------------------------------------------------------------------------- */
/* Steps of definitions, tried and then taken, from a job; false after call_fail(), or after a 422
 * with its reasons was written. */
bool define(struct call *call, const struct definition_change *changes, isize n);
str definition_state(const struct definition *def);
void print_definition(struct call *call, const struct definition *def);         /* without its secrets */

/* ---- exports.c: as GET /v1/export/orders gives it. On the fold's thread. --------------------- */
void print_order(struct call *call, const struct order *order);

/* ---- held.c ---------------------------------------------------------------------------------- */
/* On a jobs thread, or where the fold is not started: all that is held of one person, as a JSON
 * object. call_fail() when there is no such person, or too much for one answer. */
void print_held(struct call *call, const struct identifier *who);

/* ---- regulations.c -------------------------------------------------------------------------- */
/* From a job, inside an object: somebody is erased, and "id" is the receipt's. False after call_fail(). */
bool erase_now(struct call *call, const struct erase_request *request);
/* Every receipt, a line each. On the fold's thread. */
void print_receipts(struct call *call, const struct fold *fold);
bool receipt_hash(str text, struct hash128 *out);       /* the 32 letters of a receipt's "whom" */

/* ---- refusals.c: what people refused, a line an identifier; on the fold's thread. How many lines were printed. ---- */
enum { DENIAL_PARTS = 256 };
/* a: for the while */
isize print_refusals_of(struct call *call, const struct live *live, person_id id, arena *a);
/* of strangers, 0 <= part < DENIAL_PARTS */
isize print_denials(struct call *call, const struct live *live, isize part);
void refuse_again(struct call *call);                   /* from a job: such lines, taken again */

/* ---- people.c: the whole person, as GET /v1/people/{id} answers. On the fold's thread. ------ */
void print_person(struct call *call, const struct fold *fold, const struct profile *p);
/* What was decided, with its items; whether it was seen is told by the history. */
void print_decision_whole(struct call *call, const struct fold *fold, const struct decision *d);
void print_matches(const struct live *live, const struct profile *p, segment_id segment, i64 at_ms,
                   struct jsonw *w);

/* ---- predictions.c: "predictions": […] of a person. ---------------------------------------- */
void print_predictions(struct call *call, const struct profile *p);

/* ---- imports.c ------------------------------------------------------------------------------ */
struct imports;
struct imports *imports_new(struct api *api);
void imports_stop(struct imports *imports);
void imports_free(struct imports *imports);
/* One row of a refused line again, as NDJSON under our names; from a job. The reason it is refused
 * for once more is in diag. */
MUST_USE enum err import_again(struct api *api, str source, str kind, str row, str author,
                               i64 *accepted, struct diag *diag);

/* ---- overview.c ----------------------------------------------------------------------------- */
struct streams;
struct streams *streams_new(struct api *api);
void streams_stop(struct streams *streams);
void streams_free(struct streams *streams);

struct admin { struct deeds *deeds; struct imports *imports; struct streams *streams; };

#endif
