/* SPDX-License-Identifier: Apache-2.0
 *
 * sender.h - requests to other servers, many under way at once on one thread.
 *
 * A slow or dead server holds up nobody but who waits for it: requests are independent, each with a
 * deadline of its own. Only http and https, no redirects (where a shop's data goes is what its
 * definition says), and of an answer no more than its first bytes are kept.
 *
 *   reads    base/
 *   feeds    deliver/
 *   threads  one thread runs it and gets the answers; sender_wake from any thread
 *   memory   a request's bytes are copied until it is answered
 */
#ifndef HTTP_SENDER_H
#define HTTP_SENDER_H

#include "base/err.h"

enum { SENDER_UNDER_WAY_MAX = 256, SENDER_ANSWER_BYTES_MAX = 4096 };

/* What came of a request. status 0: no answer came, and `failure` says why. */
struct sent {
    i32 status;
    str body;                       /* its first SENDER_ANSWER_BYTES_MAX bytes; valid during the call */
    const char *failure;
    i64 took_us;
    i64 retry_after_s;              /* what the server asked for; 0: nothing */
};

struct send_header { str name, value; };
struct sending {
    str url;
    const struct send_header *headers; isize headers_n;
    str body;                       /* POSTed */
    i64 timeout_ms;
    void (*done)(void *ctx, const struct sent *sent);   /* from sender_run */
    void *ctx;
};

struct sender;
struct sender *sender_new(void);
/* what is under way is given up, without its `done` */
void sender_free(struct sender *sender);
/* ERR_BAD_INPUT: no address of http or https. ERR_OVERLOADED: SENDER_UNDER_WAY_MAX are under way. */
MUST_USE enum err sender_start(struct sender *sender, const struct sending *sending);
/* Moves bytes and calls `done` for what was answered; waits at most wait_ms for something to happen. */
void sender_run(struct sender *sender, i64 wait_ms);
void sender_wake(struct sender *sender);                /* ends a wait; from any thread */
isize sender_under_way(const struct sender *sender);

#endif
