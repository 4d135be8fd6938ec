/* SPDX-License-Identifier: Apache-2.0
 *
 * overview.c - the shop as it happens: one object, and the same once a second as a stream.
 *
 * However many watch, the fold is asked once a second: a thread asks while anybody watches, and
 * posts a copy to each stream's own loop. A stream belongs to its loop; the table only says which
 * request sits where, and a number that is never used twice tells a late copy that its reader has
 * gone.
 */
#include "api/admin.h"

#include <math.h>
#include <pthread.h>

#include "base/thread.h"

enum { STREAMS_MAX = 64, LATEST = 20 };

/* ---- the object ----------------------------------------------------------------------------- */

/* The last 60 seconds, oldest first; seconds nothing was folded in are empty. */
static i64 print_seconds(struct jsonw *w, const struct totals *t, i64 now_ms)
{
    i64 now = now_ms / SECOND_MS, sum = 0;
    jsonw_key_begin(w, "per_second", '[');
    for (i64 s = now - 59; s <= now; s++) {
        bool kept = s <= t->second && s > t->second - 60;
        i64 n = kept ? t->per_second[s % 60] : 0;
        sum += n;
        jsonw_int(w, n);
    }
    jsonw_end(w, ']');
    return sum;
}

static void print_latest(const struct fold *fold, const struct live *live, struct jsonw *w)
{
    struct latest latest[LATEST];
    isize n = fold_latest(fold, latest, LATEST);
    jsonw_key_begin(w, "latest", '[');
    for (isize i = 0; i < n; i++) {
        person_id person = latest[i].person.v ? identity_person(live->identity, latest[i].person.v)
                                              : (person_id){ 0 };
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", latest[i].at_ms);
        jsonw_key_str(w, "type", fold_event_name(fold, latest[i].type));
        print_person_id(w, "person_id", person);
        item_print_named(live->catalog, (item_id){ latest[i].item }, w);
        jsonw_key_str(w, "channel", str_of(channel_name(latest[i].channel)));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static isize standing(const struct fold *fold, str kind)
{
    isize n = 0;
    const struct definition *def;
    for (isize at = 0; (def = definition_next(fold_definitions(fold), kind, &at));)
        n += definition_published(def).len > 0;
    return n;
}

static void print_overview(const struct api *api, const struct fold *fold, struct jsonw *w)
{
    const struct totals *t = fold_totals(fold);
    const struct live *live = api->live;
    i64 now_ms = clock_now(api->clock), dead = t->dead - t->dead_taken;
    struct log_totals log = fold_log_totals(fold);
    jsonw_begin(w, '{');
    jsonw_key_time(w, "now", now_ms);
    jsonw_key_begin(w, "events", '{');
    jsonw_key_int(w, "total", t->events);
    i64 minute = print_seconds(w, t, now_ms);
    jsonw_key_int(w, "last_minute", minute);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "people", '{');
    isize known = people_known(live->people);
    jsonw_key_int(w, "known", known);
    jsonw_key_int(w, "anonymous", people_count(live->people) - known);
    jsonw_end(w, '}');
    jsonw_key_int(w, "orders", t->orders);
    jsonw_key_begin(w, "revenue", '[');
    for (isize i = 0; i < t->revenues_n; i++) print_money(w, t->revenue[i]);
    jsonw_end(w, ']');
    jsonw_key_begin(w, "decisions", '{');
    jsonw_key_int(w, "total", t->decisions);
    jsonw_key_int(w, "last_minute", fold_decided_since(fold, now_ms - MINUTE_MS));
    jsonw_end(w, '}');
    jsonw_key_begin(w, "refused", '{');
    jsonw_key_int(w, "no_consent", t->no_consent);
    jsonw_key_int(w, "dead_letters", dead);
    jsonw_key_int(w, "duplicates", t->duplicates);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "log", '{');
    jsonw_key_int(w, "records", log.records);
    jsonw_key_int(w, "bytes", log.bytes);
    jsonw_end(w, '}');
    jsonw_key_int(w, "segments", standing(fold, S("segment")));
    jsonw_key_int(w, "campaigns", standing(fold, S("campaign")));
    jsonw_key_begin(w, "tag", '{');
    f64 tag_ms = fold_tag_ms(fold);
    if (tag_ms >= 0) jsonw_key_num(w, "main_ms", round(tag_ms * 10) / 10);
    jsonw_end(w, '}');
    jsonw_key_time(w, "started_at", api->started_at_ms);
    jsonw_key_str(w, "version", S("0.1.0"));
    print_latest(fold, live, w);
    jsonw_end(w, '}');
}

static void answer_overview(struct call *call, struct fold *fold)
{
    print_overview(call->api, fold, &call->w);
}

void overview_get(struct call *call) { ask_fold(call, answer_overview); }

/* ---- the stream ----------------------------------------------------------------------------- */

#define STREAM_MS ((i64)15 * MINUTE_MS) /* then it ends, and a browser asks again: may it still? */

struct stream {
    struct http_request *req;
    struct http_loop *loop;
    u64 id;
    i64 ends_at_ms;
}; /* id 0: a free seat */

struct streams {
    struct api *api;
    pthread_mutex_t lock;
    struct queue
        *wake; /* of nothing: who sits down pushes, and the thread need not wait out its second */
    pthread_t thread;
    struct stream at[STREAMS_MAX];
    isize n;
    u64 ids;
    struct buf text;                /* the thread's */
};

/* A copy on its way to one stream's loop; without text, its end. */
struct push { struct streams *streams; isize seat; u64 id; str text; };

static void gone(void *ctx, struct http_request *req)
{
    struct streams *streams = ctx;
    pthread_mutex_lock(&streams->lock);
    for (isize i = 0; i < STREAMS_MAX; i++) {
        if (streams->at[i].id == 0 || streams->at[i].req != req) continue;
        streams->at[i] = (struct stream){ 0 };
        streams->n--;
    }
    pthread_mutex_unlock(&streams->lock);
    http_stream_end(req);
}

static void deliver(void *arg)
{
    struct push *push = arg;
    struct streams *streams = push->streams;
    pthread_mutex_lock(&streams->lock);
    struct stream *stream = &streams->at[push->seat];
    struct http_request *req = stream->id == push->id ? stream->req : NULL;
    pthread_mutex_unlock(&streams->lock);
    if (req && push->text.len == 0) gone(streams, req);
    else if (req) (void)http_stream_write(req, push->text);     /* who has gone is told by `gone` */
    mem_free((void *)(uintptr_t)push->text.ptr);
    mem_free(push);
}

static void send_to(struct streams *streams, isize seat, const struct stream *stream, str text)
{
    struct push *push = mem_new(sizeof *push);
    char *copy = mem_new(text.len + 1);
    if (text.len) memcpy(copy, text.ptr, (size_t)text.len);
    *push = (struct push){ streams, seat, stream->id, { copy, text.len } };
    if (http_post(stream->loop, deliver, push)) return;
    mem_free(copy);
    mem_free(push);
}

static void write_text(void *ctx, struct fold *fold)
{
    struct streams *streams = ctx;
    struct jsonw w = { .out = &streams->text };
    streams->text.len = 0;
    buf_add(&streams->text, S("data: "));
    print_overview(streams->api, fold, &w);
    buf_add(&streams->text, S("\n\n"));
}

static void send_all(struct streams *streams)
{
    struct stream now[STREAMS_MAX];
    fold_ask_wait(streams->api->fold, write_text, streams);
    pthread_mutex_lock(&streams->lock);
    memcpy(now, streams->at, sizeof now);
    pthread_mutex_unlock(&streams->lock);
    i64 now_ms = clock_now(streams->api->clock);
    for (isize i = 0; i < STREAMS_MAX; i++)
        if (now[i].id)
            send_to(streams, i, &now[i],
                    now_ms < now[i].ends_at_ms ? buf_str(&streams->text) : S(""));
}

static isize watchers(struct streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    isize n = streams->n;
    pthread_mutex_unlock(&streams->lock);
    return n;
}

static void *streams_thread(void *ctx)
{
    thread_is("overview", THREAD_BEHIND);
    struct streams *streams = ctx;
    void *nothing;
    while (queue_take(streams->wake, &nothing, 1, watchers(streams) ? SECOND_MS : -1) >= 0)
        send_all(streams);
    return NULL;
}

struct streams *streams_new(struct api *api)
{
    struct streams *streams = mem_new(sizeof *streams);
    streams->api = api;
    streams->wake = queue_new(STREAMS_MAX);
    pthread_mutex_init(&streams->lock, NULL);
    pthread_create(&streams->thread, NULL, streams_thread, streams);
    return streams;
}

void streams_stop(struct streams *streams)
{
    queue_close(streams->wake);
    pthread_join(streams->thread, NULL);
}

void streams_free(struct streams *streams)
{
    queue_free(streams->wake);
    pthread_mutex_destroy(&streams->lock);
    buf_fini(&streams->text);
    mem_free(streams);
}

/* Finds a seat before the stream begins: from then on `gone` may run. */
static bool sit_down(struct streams *streams, struct http_request *req, i64 now_ms)
{
    bool found = false;
    pthread_mutex_lock(&streams->lock);
    for (isize i = 0; i < STREAMS_MAX && !found; i++) {
        if (streams->at[i].id) continue;
        streams->at[i] = (struct stream){ req, req->loop, ++streams->ids, now_ms + STREAM_MS };
        streams->n++;
        found = true;
    }
    pthread_mutex_unlock(&streams->lock);
    return found;
}

void stream_get(struct call *call)
{
    struct streams *streams = call->api->admin->streams;
    if (call->req->method == METHOD_HEAD) { reply_bytes(call, 200, S("text/event-stream"), S("")); return; }
    if (!sit_down(streams, call->req, clock_now(call->api->clock))) {
        reply_problem(call, ERR_OVERLOADED, "%d watch already", STREAMS_MAX);
        return;
    }
    const struct http_header extra[] = { { S("Cache-Control"), S("no-store") },
                                         { S("X-Accel-Buffering"), S("no") } };
    http_stream_begin(call->req, 200, S("text/event-stream"), extra, countof(extra));
    http_on_gone(call->req, gone, streams);
    (void)queue_push(streams->wake, streams);           /* full: the thread is woken already */
}
