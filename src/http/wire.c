/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - where one request ends and the next begins, without any doubt.
 *
 * llhttp parses; around it stands our own policy, so that no framing decision rests on one piece of
 * code and on no parser mode:
 *
 *   1. The head is scanned as it comes: lines end in CR LF, no other control character but tab, no
 *      line begins with a blank, and the whole is capped. Only a complete head is given to llhttp,
 *      in one call, so a slow sender costs no parsing.
 *   2. The request line is METHOD SP target SP HTTP/1.0 or HTTP/1.1, with exactly two blanks.
 *   3. At most one Content-Length (digits alone, and llhttp read the same number) or one
 *      Transfer-Encoding (exactly "chunked", and not with 1.0), never both. One Host (1.0: at most one).
 *   4. A body with a length is only counted, never parsed. Chunks are read by llhttp in its strict
 *      mode, which insists on the CR LF after each; extensions are refused, since none of our clients
 *      sends them and others have hidden requests there. After the last chunk we take over again:
 *      llhttp would let a bare LF end it, and for us there are no trailers, only CR LF.
 *
 * Chunk data is moved up behind the head as it is read, so a body is always one run of bytes and the
 * framing around it never fills the buffer.
 */
#include "http/wire.h"

static_assert(LLHTTP_STRICT_MODE == 1, "the check of the CR LF after a chunk is compiled in");

static struct wire *wire_of(llhttp_t *parser) { return parser->data; }

static int refuse(struct wire *w, enum http_refusal refusal)
{
    w->refusal = refusal;
    return HPE_USER;
}

/* ---- what llhttp tells us ------------------------------------------------------------------ */
static void span_add(struct wire *w, struct wire_span *span, const char *at, size_t n)
{
    u32 from = (u32)(at - w->bytes);
    if (span->len == 0) span->at = from;
    span->len = from + (u32)n - span->at;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    span_add(wire_of(parser), &wire_of(parser)->target, at, n);
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
    struct wire *w = wire_of(parser);
    if (w->phase == WIRE_IN_CHUNKS) return refuse(w, REFUSED_CHUNK);
    if (w->part != WIRE_IN_NAME) {
        if (w->headers_n == WIRE_HEADERS_MAX) return refuse(w, REFUSED_HEAD_SIZE);
        w->names[w->headers_n] = w->values[w->headers_n] = (struct wire_span){ 0 };
        w->headers_n++;
        w->part = WIRE_IN_NAME;
    }
    span_add(w, &w->names[w->headers_n - 1], at, n);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct wire *w = wire_of(parser);
    if (w->phase == WIRE_IN_CHUNKS) return refuse(w, REFUSED_CHUNK);
    assert(w->headers_n > 0);
    w->part = WIRE_IN_VALUE;
    span_add(w, &w->values[w->headers_n - 1], at, n);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    wire_of(parser)->part = WIRE_NO_PART;
    return 0;
}

/* 1 tells llhttp that there is no body: one with a length is counted by us. */
static int on_headers_complete(llhttp_t *parser)
{
    struct wire *w = wire_of(parser);
    w->keep_alive = llhttp_should_keep_alive(parser) != 0;
    w->chunked = (parser->flags & F_CHUNKED) != 0;
    w->length_parsed = parser->content_length;
    w->phase = WIRE_HEAD_DONE;
    return w->chunked ? 0 : 1;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct wire *w = wire_of(parser);
    if (parser->content_length == 0) {
        w->phase = WIRE_IN_END;
        return HPE_PAUSED;
    }
    u64 room = (u64)(w->limits.body_bytes_max - (isize)w->body.len);
    return parser->content_length > room ? refuse(w, REFUSED_BODY_SIZE) : 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t n)
{
    (void)at;
    (void)n;
    return refuse(wire_of(parser), REFUSED_CHUNK);
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct wire *w = wire_of(parser);
    assert(w->phase == WIRE_IN_CHUNKS);
    if ((isize)n > w->limits.body_bytes_max - (isize)w->body.len) return refuse(w, REFUSED_BODY_SIZE);
    char *to = (char *)(uintptr_t)w->bytes + w->body.at + w->body.len;
    assert(to <= at);
    memmove(to, at, n);
    w->body.len += (u32)n;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_body = on_body,
};

/* ---- the head ------------------------------------------------------------------------------ */

/* Written so that the compiler can look at many bytes at a time. */
static bool has_control(const char *p, isize n)
{
    unsigned bad = 0;
    for (isize i = 0; i < n; i++) {
        u8 c = (u8)p[i];
        bad |= (unsigned)((c < 0x20) & (c != '\t')) | (unsigned)(c == 0x7f);
    }
    return bad != 0;
}

/* Looks at the bytes that are new. WIRE_HEAD: the head is bytes[start .. head_len). */
static enum wire_state scan_head(struct wire *w, const char *bytes, isize len)
{
    for (;;) {
        const char *lf = memchr(bytes + w->scanned, '\n', (size_t)(len - w->scanned));
        isize end = lf ? lf - bytes : len;
        isize stop = end > w->scanned && bytes[end - 1] == '\r' ? end - 1 : end;
        if (has_control(bytes + w->scanned, stop - w->scanned)) {
            w->refusal = REFUSED_LINE_END;
            return WIRE_REFUSED;
        }
        if (!lf) {
            w->scanned = (u32)stop;                     /* a last CR is looked at again */
            if (len <= w->limits.header_bytes_max) return WIRE_MORE;
            w->refusal = REFUSED_HEAD_SIZE;
            return WIRE_REFUSED;
        }
        if (end == w->line || bytes[end - 1] != '\r') {
            w->refusal = REFUSED_LINE_END;
            return WIRE_REFUSED;
        }
        if (end + 1 > w->limits.header_bytes_max) {
            w->refusal = REFUSED_HEAD_SIZE;
            return WIRE_REFUSED;
        }

        bool first = w->line == w->start;
        bool empty = end - 1 == w->line;
        char begins = bytes[w->line];
        w->line = w->scanned = (u32)end + 1;
        if (empty && !first) {
            w->head_len = (u32)end + 1;
            return WIRE_HEAD;
        }
        if (empty && w->start == 0) {
            w->start = (u32)end + 1;                    /* RFC 9112 2.2: one empty line before is forgiven */
        } else if (empty) {
            w->refusal = REFUSED_SYNTAX;
            return WIRE_REFUSED;
        } else if (begins == ' ' || begins == '\t') {
            w->refusal = first ? REFUSED_SYNTAX : REFUSED_FOLDED;
            return WIRE_REFUSED;
        }
    }
}

static const str methods[] = {
    [METHOD_GET] = S_INIT("GET"), [METHOD_HEAD] = S_INIT("HEAD"), [METHOD_POST] = S_INIT("POST"),
    [METHOD_PUT] = S_INIT("PUT"), [METHOD_PATCH] = S_INIT("PATCH"), [METHOD_DELETE] = S_INIT("DELETE"),
    [METHOD_OPTIONS] = S_INIT("OPTIONS"),
};

str http_method_name(enum http_method method)
{
    assert(method >= 0 && method < countof(methods));
    return methods[method];
}

static bool is_token(str s)
{
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr("!#$%&'*+-.^_`|~", c, 15)) return false;
    }
    return s.len > 0;
}

static bool check_request_line(struct wire *w, str line)
{
    struct str_cut method = str_cut(line, ' ');
    struct str_cut target = str_cut(method.tail, ' ');
    w->refusal = REFUSED_SYNTAX;
    if (!target.found || target.head.len == 0 || !is_token(method.head)) return false;
    if (str_find_char(target.tail, ' ') >= 0 || str_find_char(line, '\t') >= 0) return false;
    if (!str_starts(target.tail, S("HTTP/"))) return false;

    w->minor_0 = str_eq(target.tail, S("HTTP/1.0"));
    if (!w->minor_0 && !str_eq(target.tail, S("HTTP/1.1"))) {
        w->refusal = REFUSED_VERSION;
        return false;
    }
    for (isize i = 0; i < countof(methods); i++) {
        if (!str_eq(method.head, methods[i])) continue;
        w->method = (enum http_method)i;
        return true;
    }
    w->refusal = REFUSED_METHOD;
    return false;
}

static str span_str(const char *bytes, struct wire_span span)
{
    return (str){ bytes + span.at, span.len };
}

static bool host_is_valid(str host)
{
    for (isize i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (c <= ' ' || (u8)c >= 0x7f || memchr("/?#@,<>\\^`{|}\"", c, 14)) return false;
    }
    return true;
}

static bool length_is_valid(struct wire *w, str value)
{
    if (value.len == 0 || value.len > 18) return false;
    i64 n = 0;
    for (isize i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') return false;
        n = n * 10 + (value.ptr[i] - '0');
    }
    w->content_length = n;
    return (u64)n == w->length_parsed;
}

static bool check_headers(struct wire *w, const char *bytes)
{
    i32 hosts = 0, lengths = 0, encodings = 0;
    for (isize i = 0; i < w->headers_n; i++) {
        str name = span_str(bytes, w->names[i]);
        str value = str_trim(span_str(bytes, w->values[i]));
        if (!is_token(name)) {
            w->refusal = REFUSED_SYNTAX;
            return false;
        }
        if (name.len == 4 && str_eq_nocase(name, S("host"))) {
            w->refusal = REFUSED_HOST;
            if (hosts++ > 0 || !host_is_valid(value)) return false;
        } else if (name.len == 14 && str_eq_nocase(name, S("content-length"))) {
            w->refusal = REFUSED_LENGTH;
            if (lengths++ > 0 || !length_is_valid(w, value)) return false;
        } else if (name.len == 17 && str_eq_nocase(name, S("transfer-encoding"))) {
            w->refusal = REFUSED_LENGTH;
            if (encodings++ > 0 || w->minor_0 || !str_eq_nocase(value, S("chunked"))) return false;
        } else if (name.len == 16 && str_eq_nocase(name, S("content-encoding"))) {
            bool gzip = str_eq_nocase(value, S("gzip")) || str_eq_nocase(value, S("x-gzip"));
            bool plain = value.len == 0 || str_eq_nocase(value, S("identity"));
            w->refusal = REFUSED_ENCODING;
            if ((!gzip && !plain) || (gzip && w->gzip)) return false;
            w->gzip |= gzip;
        } else if (name.len == 6 && !w->minor_0 && str_eq_nocase(name, S("expect"))) {
            w->refusal = REFUSED_EXPECTATION;
            if (!str_eq_nocase(value, S("100-continue"))) return false;
            w->expects_continue = true;
        }
    }
    if (hosts == 0 && !w->minor_0) {
        w->refusal = REFUSED_HOST;
        return false;
    }
    if ((lengths > 0 && encodings > 0) || w->chunked != (encodings > 0)) {
        w->refusal = REFUSED_LENGTH;
        return false;
    }
    return true;
}

/* "/path?query", "http://host/path" (RFC 9112 3.2.2), or "*" for OPTIONS. */
static bool target_split(enum http_method method, str target, str *path, str *query)
{
    if (str_find_char(target, '#') >= 0) return false;
    if (str_eq(target, S("*")) && method == METHOD_OPTIONS) {
        *path = target;
        *query = S("");
        return true;
    }
    if (target.len >= 7 && str_eq_nocase(str_slice(target, 0, 7), S("http://"))) {
        target = str_from(target, 7);
        isize authority = 0;
        while (authority < target.len && target.ptr[authority] != '/' && target.ptr[authority] != '?') {
            authority++;
        }
        if (authority == 0) return false;
        target = str_from(target, authority);
        if (target.len == 0 || target.ptr[0] == '?') {
            *path = S("/");
            *query = target.len ? str_from(target, 1) : S("");
            return true;
        }
    }
    if (target.len == 0 || target.ptr[0] != '/') return false;
    struct str_cut cut = str_cut(target, '?');
    *path = cut.head;
    *query = cut.found ? cut.tail : S("");
    return true;
}

static enum http_refusal refusal_of_head(llhttp_errno_t err)
{
    switch ((int)err) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING: return REFUSED_LENGTH;
    case HPE_INVALID_VERSION: return REFUSED_VERSION;
    default: return REFUSED_SYNTAX;
    }
}

static enum wire_state parse_head(struct wire *w, const char *bytes)
{
    const char *from = bytes + w->start;
    isize len = (isize)w->head_len - w->start;
    const char *line_end = memchr(from, '\r', (size_t)len);
    assert(line_end);
    if (!check_request_line(w, (str){ from, line_end - from })) return WIRE_REFUSED;

    w->refusal = HTTP_REFUSALS_N;
    llhttp_errno_t err = llhttp_execute(&w->parser, from, (size_t)len);
    if (w->phase != WIRE_HEAD_DONE || (w->chunked ? err != HPE_OK : err == HPE_USER)) {
        if (w->refusal == HTTP_REFUSALS_N) w->refusal = refusal_of_head(err);
        return WIRE_REFUSED;
    }
    str path, query;
    if (!target_split(w->method, span_str(bytes, w->target), &path, &query)) {
        w->refusal = REFUSED_SYNTAX;
        return WIRE_REFUSED;
    }
    if (!check_headers(w, bytes)) return WIRE_REFUSED;
    w->body = (struct wire_span){ w->head_len, 0 };
    return WIRE_HEAD;
}

/* ---- the body ------------------------------------------------------------------------------ */
/* bytes[from .. *len) follow the line of the last chunk. */
static enum wire_state feed_end(struct wire *w, char *bytes, isize from, isize *len)
{
    static const char end[] = "\r\n";
    isize n = min_isize(*len - from, 2);
    if (memcmp(bytes + from, end, (size_t)n) != 0) {
        w->refusal = REFUSED_CHUNK;
        return WIRE_REFUSED;
    }
    if (n == 2) {
        w->consumed = from + 2;
        w->phase = WIRE_DONE;
        return WIRE_READY;
    }
    isize body_end = (isize)w->body.at + w->body.len;
    memmove(bytes + body_end, bytes + from, (size_t)n);
    *len = body_end + n;
    return WIRE_MORE;
}

static enum wire_state feed_chunks(struct wire *w, char *bytes, isize *len)
{
    isize from = (isize)w->body.at + w->body.len;
    assert(from <= *len);
    if (w->phase == WIRE_IN_END) return feed_end(w, bytes, from, len);

    w->refusal = HTTP_REFUSALS_N;
    llhttp_errno_t err = llhttp_execute(&w->parser, bytes + from, (size_t)(*len - from));
    if (w->phase == WIRE_IN_END) {
        assert(err == HPE_PAUSED);
        return feed_end(w, bytes, llhttp_get_error_pos(&w->parser) - bytes, len);
    }
    if (err != HPE_OK) {
        if (w->refusal == HTTP_REFUSALS_N) w->refusal = REFUSED_CHUNK;
        return WIRE_REFUSED;
    }
    *len = (isize)w->body.at + w->body.len;
    return WIRE_MORE;
}

static enum wire_state begin_body(struct wire *w)
{
    if (w->content_length > w->limits.body_bytes_max) {
        w->refusal = REFUSED_BODY_SIZE;
        return WIRE_REFUSED;
    }
    w->phase = w->chunked ? WIRE_IN_CHUNKS : WIRE_IN_BODY;
    return WIRE_MORE;
}

static enum wire_state feed(struct wire *w, char *bytes, isize *len)
{
    if (w->phase == WIRE_IN_HEAD) {
        enum wire_state state = scan_head(w, bytes, *len);
        return state == WIRE_HEAD ? parse_head(w, bytes) : state;
    }
    if (w->phase == WIRE_HEAD_DONE && begin_body(w) == WIRE_REFUSED) return WIRE_REFUSED;
    if (w->chunked) return feed_chunks(w, bytes, len);

    assert(w->phase == WIRE_IN_BODY);
    isize need = (isize)w->head_len + (isize)w->content_length;
    if (*len < need) return WIRE_MORE;
    w->body.len = (u32)w->content_length;
    w->consumed = need;
    w->phase = WIRE_DONE;
    return WIRE_READY;
}

enum wire_state wire_feed(struct wire *w, char *bytes, isize *len)
{
    assert(*len >= 0 && *len < (isize)UINT32_MAX);
    assert(w->phase != WIRE_DONE);
    w->bytes = bytes;
    enum wire_state state = feed(w, bytes, len);
    assert(state != WIRE_REFUSED || w->refusal < HTTP_REFUSALS_N);
    w->bytes = NULL;
    return state;
}

void wire_begin(struct wire *w, struct wire_limits limits)
{
    /* The header spans are as many as headers_n says: clearing them would cost more than parsing. */
    memset(w, 0, offsetof(struct wire, names));
    memset((char *)w + offsetof(struct wire, headers_n), 0, sizeof *w - offsetof(struct wire, headers_n));
    w->limits = limits;
    llhttp_init(&w->parser, HTTP_REQUEST, &settings);
    w->parser.data = w;
}

isize wire_need(const struct wire *w)
{
    if (w->phase == WIRE_IN_HEAD) return 0;
    return (isize)w->head_len + (w->chunked ? (isize)w->body.len : (isize)w->content_length);
}

void wire_request(const struct wire *w, const char *bytes, struct http_header *headers,
                  struct http_request *req)
{
    assert(w->phase >= WIRE_HEAD_DONE);
    for (isize i = 0; i < w->headers_n; i++) {
        headers[i].name = span_str(bytes, w->names[i]);
        headers[i].value = str_trim(span_str(bytes, w->values[i]));
    }
    req->method = w->method;
    req->headers = headers;
    req->headers_n = w->headers_n;
    req->keep_alive = w->keep_alive;
    req->body = span_str(bytes, w->body);
    bool split = target_split(w->method, span_str(bytes, w->target), &req->path, &req->query);
    assert(split);
}

/* ---- gzip ---------------------------------------------------------------------------------- */
enum { GZIP_BYTES_LEAST = 18 };

enum err wire_gunzip(struct libdeflate_decompressor *d, str in, char *out, isize room, isize *n)
{
    assert(room > 0);
    *n = 0;
    do {
        size_t used = 0, made = 0;
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(
            d, in.ptr, (size_t)in.len, out + *n, (size_t)(room - *n), &used, &made);
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE) return ERR_TOO_BIG;
        if (result != LIBDEFLATE_SUCCESS) return ERR_BAD_INPUT;
        *n += (isize)made;
        in = str_from(in, (isize)used);
    } while (in.len > 0);
    return ERR_OK;
}

isize wire_gunzip_hint(str in)
{
    return in.len < GZIP_BYTES_LEAST ? 0 : (isize)load_u32le(in.ptr + in.len - 4);
}
