/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.h - what the routes of flags share: who asks, what was shown, what is sent to whom
 * evaluates by themselves. Inside the room. */
#ifndef API_FLAGS_H
#define API_FLAGS_H

#include "api/inside.h"

/* ---- asking (flags.c) ---- */
/* One request's questions, inside rcu brackets. `context` is OFREP's context, GrowthBook's
 * attributes, decide's context. */
struct flag_call {
    struct flag_asking asking;
    struct decide_world world;
    struct decide_request request;
    struct identifier identifiers[1];
};
void flag_call_init(struct call *call, str id, const struct json *context, struct flag_call *out);
/* Hands an exposure to the log, without waiting; the same one again within the hour is not told twice. */
void flag_exposed(struct call *call, const struct book_flag *flag, const struct flag_answer *answer, str id);
/* "flags": {"key": {"value", "variation", "reason", "ticket", …}} of POST /v1/decide. */
void print_decide_flags(struct call *call, const struct decide_world *world,
                        const struct decide_request *request, const struct json *keys);

/* ---- payloads (payload.c) ---- */
/* What clients that evaluate by themselves are sent, made once for each change of the book. A
 * payload that comes out the same keeps its date. */
struct flag_payload {
    str growthbook;                 /* {"status", "features", "savedGroups", …} */
    str datafile;                   /* with HOST and KEY where those go */
    str etag;                       /* of the configuration: changes whenever a flag does */
    i64 modified_s;                 /* strictly more than that of the one before */
    u64 version;                    /* of the book it was made from */
    u64 digest;
    const struct ofrep_said *said;  /* of each flag of the book */
    bool context_only;              /* no flag asks about anything but a request's context */
    arena arena;
};
/* ofrep.c: `said` and `context_only`. */
void ofrep_prepare(struct flag_payload *payload, const struct book *book);
#define PAYLOAD_HOST "@@opmaat-host@@"
#define PAYLOAD_KEY "@@opmaat-key@@"
struct flag_service;
struct flag_service *flag_service_new(struct api *api);
void flag_service_stop(struct flag_service *service);       /* its thread and streams end */
void flag_service_free(struct flag_service *service);
/* Inside rcu brackets; of the book as it is now. */
const struct flag_payload *flag_payload(struct api *api);
/* An event stream that is told of every change, in the words of its protocol. */
enum flag_stream { STREAM_OFREP, STREAM_GROWTHBOOK };
void flag_stream(struct call *call, enum flag_stream kind);
/* ramp.c: advances or stops what is due. Not on the fold's or an HTTP thread. */
void flag_ramps(struct api *api);
str http_date(arena *a, i64 at_s);
/* Where the caller reaches us: "http://shop.example:8080". */
str own_host(struct call *call);
/* Takes a key that stands in the path; answers and is false when it is none. */
bool path_key(struct call *call, str key);

#endif
