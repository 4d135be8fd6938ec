/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h - bytes to requests, as a pure function: no sockets, no time, no allocation.
 *
 * Inside the room. The caller keeps the bytes of one request in one run of memory, which it may
 * move between calls; everything here is offsets from the request's first byte.
 */
#ifndef HTTP_WIRE_H
#define HTTP_WIRE_H

#include <libdeflate.h>
#include <llhttp.h>

#include "http/http.h"

enum { WIRE_HEADERS_MAX = 96 };

struct wire_limits { isize header_bytes_max, body_bytes_max; };
struct wire_span { u32 at, len; };

struct wire {
    llhttp_t parser;
    struct wire_limits limits;                  /* the body's may be changed at WIRE_HEAD */
    enum { WIRE_IN_HEAD, WIRE_HEAD_DONE, WIRE_IN_BODY, WIRE_IN_CHUNKS, WIRE_IN_END, WIRE_DONE } phase;
    enum { WIRE_NO_PART, WIRE_IN_NAME, WIRE_IN_VALUE } part;

    u32 start;                                  /* of the request line: 2 after an empty line */
    u32 line, scanned;                          /* of the head: its current line, bytes looked at */
    u32 head_len;
    struct wire_span target;
    struct wire_span names[WIRE_HEADERS_MAX], values[WIRE_HEADERS_MAX];
    isize headers_n;

    /* Known from WIRE_HEAD on. */
    enum http_method method;
    bool minor_0, keep_alive, gzip, expects_continue, chunked;
    i64 content_length;
    u64 length_parsed;                          /* what llhttp makes of it */

    /* Known from WIRE_READY on. */
    struct wire_span body;
    isize consumed;                             /* bytes of this request; the next one starts there */

    enum http_refusal refusal;                  /* at WIRE_REFUSED */
    const char *bytes;                          /* only while a call runs */
};

enum wire_state {
    WIRE_MORE,                                  /* call again with more bytes after these */
    WIRE_HEAD,                                  /* once a request: look, then call again at once */
    WIRE_READY,
    WIRE_REFUSED,                               /* nothing after this can be trusted */
};

void wire_begin(struct wire *w, struct wire_limits limits);

/* bytes[0 .. *len) are all bytes from the request's first on. A chunked body is closed up in place,
 * so *len may shrink at WIRE_MORE; new bytes then go to bytes + *len. */
enum wire_state wire_feed(struct wire *w, char *bytes, isize *len);

/* How many bytes the whole request will have, as far as is known. */
isize wire_need(const struct wire *w);

/* Fills in what came over the wire; headers has room for WIRE_HEADERS_MAX. The body is as sent. */
void wire_request(const struct wire *w, const char *bytes, struct http_header *headers,
                  struct http_request *req);

/* Every member of a gzip file. ERR_BAD_INPUT when it is none, ERR_TOO_BIG when `room` is too little. */
MUST_USE enum err wire_gunzip(struct libdeflate_decompressor *d, str in, char *out, isize room, isize *n);
/* What a gzip file says its size is: exact for one member that does not lie. */
isize wire_gunzip_hint(str in);

#endif
