/* SPDX-License-Identifier: Apache-2.0
 *
 * api.h - the only room that knows HTTP and shops: who may call, what a call means, what it answers.
 *
 *   reads    http/, ingest/, fold/, decide/, measure/, console/ is handed in
 *   feeds    demo/, main.c
 *   threads  api_handle on the HTTP loops; questions to the fold run there; slow work on a jobs thread
 *   memory   a call lives in its request's scratch until it is answered
 */
#ifndef API_API_H
#define API_API_H

#include "fold/fold.h"
#include "http/http.h"

struct api_options {
    const struct config *config;
    struct clock clock;
    struct fold *fold;
    struct deliver *deliver;        /* what sends for connectors */
    /* Called for a path no route knows; true when it answered (the console's files, the demo shop).
     * Null: 404. */
    bool (*other)(void *ctx, struct http_request *req);
    void *ctx;
};

struct api;
struct api *api_new(const struct api_options *options);
/* After the HTTP server has stopped and while the fold still runs: ends the threads that ask it. */
void api_stop(struct api *api);
void api_free(struct api *api);                         /* after the HTTP server has stopped */
void api_handle(void *api, struct http_request *req);   /* for http_options.handle */
/* The same for a socket that only the data folder's owner reaches: whoever asks may do all, as a
 * secret key may. */
void api_handle_owner(void *api, struct http_request *req);
void api_ready(struct api *api, bool ready);            /* what /readyz says */
struct http_server;
void api_server(struct api *api, struct http_server *server);   /* for /metrics; may be null */

/* The reference of routes: one line each, from route.def. */
void api_print_routes(struct buf *out);
void api_print_openapi(struct buf *out);

/* Accounts (roles viewer, editor, admin) and keys are definitions; these make the documents.
 * argon2id: slow on purpose. */
MUST_USE enum err api_account_document(arena *a, str email, str role, str password, str *document,
                                       struct diag *diag);
/* a new random key, and the part of it that names it */
str api_key_make(arena *a, bool secret, str *prefix);
/* The same paths a request takes, for callers inside the process (the demo's shoppers, imports): a
 * body in Segment's shape through the consent gate into the log, waiting for the fold; and
 * /v1/decide's body to its answer, at `at_ms` (0: now), recorded like any other. What carries
 * events is not for an HTTP thread; a decision without any waits for nothing. */
struct api_inside {
    struct fold *fold;
    const struct config *config;
    struct clock clock;
    str source;
    bool verified, imported;
};
struct api_taken { isize accepted, refused, no_consent; str first_reason; };
MUST_USE enum err api_collect(const struct api_inside *inside, const struct json *body, arena *a,
                              struct api_taken *out, struct diag *diag);
MUST_USE enum err api_decide(const struct api_inside *inside, const struct json *body, i64 at_ms,
                             arena *a, struct buf *out, struct diag *diag);
/* /v1/search's body to its answer. From any thread known to rcu; waits for nothing. */
MUST_USE enum err api_search(const struct api_inside *inside, const struct json *body, arena *a,
                             struct buf *out, struct diag *diag);
/* What /v1/navigation answers. */
MUST_USE enum err api_navigation(const struct api_inside *inside, const struct json *body, arena *a,
                                 struct buf *out, struct diag *diag);
/* On an HTTP thread: takes the events of `body` as a trusted source's and runs then(ctx, req) on
 * the request's loop once they are folded, whatever became of them. The request is held meanwhile. */
void api_collect_then(struct api *api, struct http_request *req, str body, str source,
                      void (*then)(void *ctx, struct http_request *req), void *ctx);
/* Drafts and publishes in one go, for tools (not on an HTTP thread). */
MUST_USE enum err api_define(struct fold *fold, str kind, str key, str document, str author,
                             struct diag *diag);

#endif
