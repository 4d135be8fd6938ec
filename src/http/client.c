/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c - one request to somebody else's server, by libcurl, waiting for its answer.
 *
 * http and https alone, five redirects, a limit on the bytes of the answer and on the time it all
 * may take. It blocks, so it is for threads that may: never an HTTP loop or the fold.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#include "http/http.h"

enum { REDIRECTS_MAX = 5, CONNECT_MS = 10000 };

static void begin(void) { (void)curl_global_init(CURL_GLOBAL_DEFAULT); }

struct taking { struct buf *body; isize most; bool over; };

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct taking *t = ctx;
    isize more = (isize)(size * n);
    t->over |= t->body->len + more > t->most;
    if (t->over) return 0;
    buf_add(t->body, (str){ bytes, more });
    return (size_t)more;
}

static struct curl_slist *header_list(const struct http_fetch *ask, arena *a)
{
    struct curl_slist *list = NULL;
    for (isize i = 0; i < ask->headers_n; i++)
        list = curl_slist_append(list, arena_printf(a, "%.*s: %.*s", STR_FMT(ask->headers[i].name),
                                                    STR_FMT(ask->headers[i].value))
                                           .ptr);
    return list;
}

static enum err why_not(CURLcode code, const struct http_fetch *ask, const struct taking *t,
                        const char *said, struct diag *diag)
{
    if (t->over) return diag_set(diag, ERR_TOO_BIG, "the answer is bigger than %td bytes", t->most);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return diag_set(diag, ERR_TIMEOUT, "no whole answer within %lld ms",
                        (long long)ask->timeout_ms);
    return diag_set(diag, ERR_REFUSED, "%s", said[0] ? said : curl_easy_strerror(code));
}

enum err http_fetch(const struct http_fetch *ask, arena *a, struct http_fetched *out, struct diag *diag)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char said[CURL_ERROR_SIZE] = { 0 };
    struct buf body = { .arena = a };
    struct taking taking = { &body, ask->bytes_max, false };
    assert(ask->bytes_max > 0 && ask->timeout_ms > 0);
    (void)pthread_once(&once, begin);
    *out = (struct http_fetched){ 0 };
    CURL *curl = curl_easy_init();
    if (!curl) return diag_set(diag, ERR_INTERNAL, "libcurl does not start");
    struct curl_slist *headers = header_list(ask, a);
    (void)curl_easy_setopt(curl, CURLOPT_URL, arena_z(a, ask->url));
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, ask->method == METHOD_GET ? 1L : 0L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ask->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)min_i64(CONNECT_MS, ask->timeout_ms));
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "opmaat");
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, said);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taking);
    if (ask->file) {
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ask->file);
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    }
    if (ask->method != METHOD_GET)
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST,
                               arena_z(a, http_method_name(ask->method)));
    if (ask->method == METHOD_POST || ask->method == METHOD_PUT) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body.len ? ask->body.ptr : "");
    }
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) return why_not(code, ask, &taking, said, diag);
    *out = (struct http_fetched){ (i32)status, buf_str(&body) };
    return ERR_OK;
}
