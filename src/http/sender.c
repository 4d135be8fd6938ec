/* SPDX-License-Identifier: Apache-2.0
 *
 * sender.c - libcurl's multi interface behind our own words.
 *
 * A transfer owns copies of all it was given, so a caller's arena may go as soon as it has started.
 * Connections are kept by libcurl between transfers, a few in all. */
#include <curl/curl.h>

#include "base/clock.h"
#include "http/sender.h"

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    str body;
    void (*done)(void *ctx, const struct sent *sent);
    void *ctx;
    i64 began_us;
    char answer[SENDER_ANSWER_BYTES_MAX];
    isize answer_n;
    char failure[CURL_ERROR_SIZE];
    struct transfer *next, *before;
};

struct sender {
    CURLM *multi;
    struct transfer *first;
    isize n;
};

struct sender *sender_new(void)
{
    struct sender *sender = mem_new(sizeof *sender);
    CURLcode begun = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(begun == CURLE_OK);
    sender->multi = curl_multi_init();
    assert(sender->multi);
    (void)curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, 32L);
    return sender;
}

static void transfer_free(struct sender *sender, struct transfer *t)
{
    (void)curl_multi_remove_handle(sender->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    if (t->before) t->before->next = t->next;
    else sender->first = t->next;
    if (t->next) t->next->before = t->before;
    sender->n--;
    mem_free_str(t->body);
    mem_free(t);
}

void sender_free(struct sender *sender)
{
    if (!sender) return;
    while (sender->first) transfer_free(sender, sender->first);
    (void)curl_multi_cleanup(sender->multi);
    mem_free(sender);
}

isize sender_under_way(const struct sender *sender) { return sender->n; }
void sender_wake(struct sender *sender) { (void)curl_multi_wakeup(sender->multi); }

static size_t take_answer(char *bytes, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    isize room = (isize)sizeof t->answer - t->answer_n, came = (isize)(size * n),
          kept = min_isize(room, came);
    if (kept > 0) memcpy(t->answer + t->answer_n, bytes, (size_t)kept);
    t->answer_n += max_isize(kept, 0);
    return size * n;
}

static void add_header(struct transfer *t, arena *a, str name, str value)
{
    struct curl_slist *longer = curl_slist_append(
        t->headers, arena_printf(a, "%.*s: %.*s", STR_FMT(name), STR_FMT(value)).ptr);
    assert(longer);
    t->headers = longer;
}

enum err sender_start(struct sender *sender, const struct sending *sending)
{
    if (!str_starts(sending->url, S("http://")) && !str_starts(sending->url, S("https://")))
        return ERR_BAD_INPUT;
    if (sender->n >= SENDER_UNDER_WAY_MAX) return ERR_OVERLOADED;
    struct transfer *t = mem_new(sizeof *t);
    arena a = { 0 };
    t->easy = curl_easy_init();
    assert(t->easy);
    t->body = mem_str(sending->body);
    t->done = sending->done;
    t->ctx = sending->ctx;
    t->began_us = clock_monotonic_us();
    for (isize i = 0; i < sending->headers_n; i++)
        add_header(t, &a, sending->headers[i].name, sending->headers[i].value);
    add_header(t, &a, S("Expect"), S(""));              /* no round trip before the body */
    CURLcode bad = curl_easy_setopt(t->easy, CURLOPT_URL, arena_z(&a, sending->url));
    (void)curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body.ptr);
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    (void)curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)sending->timeout_ms);
    (void)curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)min_i64(sending->timeout_ms, 10 * SECOND_MS));
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_answer);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->failure);
    (void)curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "Opmaat");
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    arena_fini(&a);
    t->next = sender->first;
    if (t->next) t->next->before = t;
    sender->first = t;
    sender->n++;
    if (!bad && curl_multi_add_handle(sender->multi, t->easy) == CURLM_OK) return ERR_OK;
    transfer_free(sender, t);
    return ERR_BAD_INPUT;
}

static void finish(struct sender *sender, struct transfer *t, CURLcode how)
{
    long status = 0;
    curl_off_t wait = 0;
    if (how == CURLE_OK) (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait);
    struct sent sent = {
        .status = (i32)status,
        .body = { t->answer, t->answer_n },
        .took_us = clock_monotonic_us() - t->began_us,
        .retry_after_s = (i64)wait,
        .failure = how == CURLE_OK ? ""
                   : t->failure[0] ? t->failure
                                   : curl_easy_strerror(how),
    };
    t->done(t->ctx, &sent);
    transfer_free(sender, t);
}

void sender_run(struct sender *sender, i64 wait_ms)
{
    int running, left;
    (void)curl_multi_poll(sender->multi, NULL, 0, (int)min_i64(wait_ms, 60 * SECOND_MS), NULL);
    (void)curl_multi_perform(sender->multi, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(sender->multi, &left));) {
        struct transfer *t = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode how = message->data.result;            /* gone once the handle is */
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        finish(sender, t, how);
    }
}
