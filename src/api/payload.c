/* SPDX-License-Identifier: Apache-2.0
 *
 * payload.c - what clients that evaluate by themselves are sent, and the streams that tell them
 * when it changed.
 *
 * One thread looks at the book's version a hundred times a second. When it has changed, the
 * payloads are made anew, once, and published by one pointer; each loop then writes the same bytes
 * to all of its streams. A request for a payload never waits: it is sent what is published, or
 * makes what it needs for itself in the few milliseconds before.
 *
 * Optimizely's SDKs know only If-Modified-Since and compare by the second, so the date of a payload
 * is its time of making or a second more than the last one's, whichever is later.
 */
#include "api/flags.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rcu.h"
#include "base/thread.h"

enum {
    LOOK_US = 10000,
    BEAT_LOOKS = 1500,
    RAMP_LOOKS = 100,
    STREAMS_PER_LOOP_MAX = 20000,
    LOOPS_MAX = 64,
    KEYS_EXPORTED_MAX = 1024
};

struct watcher { struct http_request *req; struct watcher *next, **back; u8 kind; };

/* One loop's streams, touched on that loop alone. */
struct seat { struct flag_service *service; struct http_loop *loop; struct watcher *first; isize n; };

struct flag_service {
    struct api *api;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic(struct flag_payload *) payload;
    struct seat seats[LOOPS_MAX];
};

/* ---- making ---------------------------------------------------------------------------------- */

static void free_payload(void *p)
{
    struct flag_payload *payload = p;
    arena_fini(&payload->arena);
    mem_free(payload);
}

static void add_name(struct export_where *where, str *names, isize *n, str name)
{
    (void)where;
    for (isize i = 0; i < *n; i++)
        if (str_eq(names[i], name)) return;
    if (*n < KEYS_EXPORTED_MAX && name.len) names[(*n)++] = name;
}

/* The attributes that targets ask for. */
static void tree_names(const struct json *tree, struct export_where *where, str *names, isize *n)
{
    json_each(child, tree) {
        if (str_eq(child->key, S("context")) || str_eq(child->key, S("trait")))
            add_name(where, names, n, json_str(child, S("")));
        else if (child->kind >= JSON_ARR) tree_names(child, where, names, n);
    }
}

static void name_keys(const struct book *book, arena *a, struct export_where *where)
{
    str *attributes = arena_new(a, str, KEYS_EXPORTED_MAX), *events = arena_new(a, str, KEYS_EXPORTED_MAX);
    for (isize f = 0; f < book->flags_n; f++) {
        for (isize i = 0; i < book->flags[f].flag->rules_n; i++) {
            struct buf text = { .arena = a };
            struct jsonw w = { .out = &text };
            const struct json *tree;
            if (!book->flags[f].targets[i]) continue;
            rule_to_json(book->flags[f].targets[i], &w);
            if (json_parse(a, buf_str(&text), &tree, NULL) == ERR_OK)
                tree_names(tree, where, attributes, &where->attributes_n);
        }
    }
    for (isize i = 0; i < book->campaigns_n; i++)
        for (isize k = 0; k < book->campaigns[i].experiences_n; k++) {
            const struct experience *x = &book->campaigns[i].experiences[k];
            for (isize f = 0; x->adaptive && f < x->adaptive->context_n; f++)
                add_name(where, attributes, &where->attributes_n, book_cmab_attribute(x, f));
        }
    for (u16 type = 1; type < EVENT_TYPES; type++)
        add_name(where, events, &where->events_n, str_of(event_type_name(type)));
    for (isize i = 0; i < book->event_names_n; i++)
        add_name(where, events, &where->events_n, book->event_names[i]);
    where->attributes = attributes;
    where->events = events;
}

static void write_growthbook(const struct book *book, arena *a, str features, str date, struct buf *out)
{
    struct jsonw w = { .out = out };
    (void)a;
    jsonw_begin(&w, '{');
    jsonw_key_int(&w, "status", 200);
    jsonw_key(&w, S("features"));
    jsonw_raw(&w, features);
    jsonw_key_begin(&w, "experiments", '['), jsonw_end(&w, ']');
    static const char *const parts[] = { "savedGroups", "contextualBandits" };
    for (isize i = 0; i < countof(parts); i++) {
        jsonw_key_begin(&w, parts[i], '{');
        for (isize f = 0; f < book->flag_files_n; f++) {
            if (book->flag_files[f].dialect != DIALECT_GROWTHBOOK) continue;
            json_each(v, json_get(book->flag_files[f].json, str_of(parts[i]))) {
                jsonw_key(&w, v->key);
                jsonw_value(&w, v);
            }
        }
        jsonw_end(&w, '}');
    }
    jsonw_key_str(&w, "dateUpdated", date);
    jsonw_end(&w, '}');
}

static struct flag_payload *make(struct api *api, const struct book *book, const struct flag_payload *before)
{
    struct flag_payload *p = mem_new(sizeof *p);
    arena *a = &p->arena;
    struct export_notes notes = { 0 };
    struct export_where where = { .host = S(PAYLOAD_HOST),
                                  .key = S(PAYLOAD_KEY),
                                  .revision = S("@@revision@@") };
    struct buf features = { .arena = a }, datafile = { .arena = a }, growthbook = { .arena = a };
    struct jsonw w = { .out = &features };
    name_keys(book, a, &where);
    book_export_growthbook(book, a, &w, &notes);
    w = (struct jsonw){ .out = &datafile };
    book_export_optimizely(book, a, &where, &w, &notes);
    u64 digest = hash64(buf_str(&features), hash64(buf_str(&datafile), 1));
    /* what is left out of both changes what OFREP says, too */
    for (isize i = 0; i < book->flags_n; i++) {
        digest = hash64(json_print(a, book->flags[i].document), digest + book->flags[i].paused);
    }
    i64 now_s = clock_now(api->clock) / 1000;
    p->version = book->version;
    p->digest = digest;
    p->modified_s = before && before->digest == digest ? before->modified_s
                    : before                           ? max_i64(before->modified_s + 1, now_s)
                                                       : now_s;
    p->etag = arena_printf(a, "\"%016llx\"", (unsigned long long)digest);
    str revision = arena_printf(a, "%lld", (long long)p->modified_s), mark = S("@@revision@@");
    isize at = str_find(buf_str(&datafile), mark);
    struct buf whole = { .arena = a };
    buf_add(&whole, str_slice(buf_str(&datafile), 0, at));
    buf_add(&whole, revision);
    buf_add(&whole, str_from(buf_str(&datafile), at + mark.len));
    p->datafile = buf_str(&whole);
    write_growthbook(book, a, buf_str(&features), time_print(a, p->modified_s * 1000), &growthbook);
    p->growthbook = buf_str(&growthbook);
    ofrep_prepare(p, book);
    return p;
}

const struct flag_payload *flag_payload(struct api *api)
{
    struct flag_service *s = api->flags;
    const struct book *book = atomic_load(&api->live->book);
    struct flag_payload *now = atomic_load(&s->payload);
    while (!now || now->version != book->version) {
        struct flag_payload *made = make(api, book, now);
        if (atomic_compare_exchange_strong(&s->payload, &now, made)) {
            if (now) rcu_defer(free_payload, now);
            return made;
        }
        free_payload(made);
        if (now && now->version > book->version) break;
    }
    return now;
}

/* ---- streams --------------------------------------------------------------------------------- */

struct push { struct seat *seat; str text[2]; bool end; };

static void unlink_watcher(struct seat *seat, struct watcher *w)
{
    *w->back = w->next;
    if (w->next) w->next->back = w->back;
    seat->n--;
}

static void gone(void *ctx, struct http_request *req)
{
    unlink_watcher(ctx, req->own);
    mem_free(req->own);
    http_stream_end(req);
}

static void deliver(void *arg)
{
    struct push *push = arg;
    struct seat *seat = push->seat;
    for (struct watcher *w = seat->first, *next; w; w = next) {
        next = w->next;
        struct http_request *req = w->req;
        if (push->end) gone(seat, req);
        else (void)http_stream_write(req, push->text[w->kind]);
    }
    mem_free_str(push->text[0]);
    mem_free_str(push->text[1]);
    mem_free(push);
}

static void send_all(struct flag_service *s, str ofrep, str growthbook, bool end)
{
    isize loops = s->api->server ? http_server_loops(s->api->server) : 0;
    for (isize i = 0; i < loops && i < LOOPS_MAX; i++) {
        struct push *push = mem_new(sizeof *push);
        *push = (struct push){ &s->seats[i], { mem_str(ofrep), mem_str(growthbook) }, end };
        if (http_post(http_server_loop(s->api->server, i), deliver, push)) continue;
        mem_free_str(push->text[0]);
        mem_free_str(push->text[1]);
        mem_free(push);
    }
}

static void tell_change(struct flag_service *s, const struct flag_payload *p)
{
    struct buf ofrep = { 0 }, growthbook = { 0 };
    buf_printf(&ofrep,
               "data: {\"type\":\"refetchEvaluation\",\"etag\":%.*s,\"lastModified\":%lld}\n\n",
               STR_FMT(p->etag), (long long)p->modified_s);
    buf_add(&growthbook, S("event: features\ndata: "));
    buf_add(&growthbook, p->growthbook);
    buf_add(&growthbook, S("\n\n"));
    send_all(s, buf_str(&ofrep), buf_str(&growthbook), false);
    buf_fini(&ofrep);
    buf_fini(&growthbook);
}

static void *watch(void *ctx)
{
    thread_is("flags", THREAD_ANSWERS);
    struct flag_service *s = ctx;
    u64 digest = 0, version = 0;
    rcu_thread_start();
    for (isize look = 0; !atomic_load(&s->stopping); look++) {
        (void)usleep(LOOK_US);
        rcu_read_begin();
        const struct book *book = atomic_load(&s->api->live->book);
        if (book && book->version != version) {
            const struct flag_payload *p = flag_payload(s->api);
            version = book->version;
            if (digest && p->digest != digest) tell_change(s, p);
            digest = p->digest;
        }
        rcu_read_end();
        if (look % RAMP_LOOKS == 0 && atomic_load(&s->api->ready)) flag_ramps(s->api);
        if (look % BEAT_LOOKS == BEAT_LOOKS - 1) send_all(s, S(": beat\n\n"), S(": beat\n\n"), false);
    }
    send_all(s, S(""), S(""), true);
    rcu_thread_stop();
    return NULL;
}

struct flag_service *flag_service_new(struct api *api)
{
    struct flag_service *s = mem_new(sizeof *s);
    s->api = api;
    for (isize i = 0; i < LOOPS_MAX; i++) s->seats[i].service = s;
    /* the thread asks for it, and may be there before we have answered */
    api->flags = s;
    pthread_create(&s->thread, NULL, watch, s);
    return s;
}

void flag_service_stop(struct flag_service *service)
{
    if (atomic_exchange(&service->stopping, true)) return;
    pthread_join(service->thread, NULL);
}

void flag_service_free(struct flag_service *service)
{
    struct flag_payload *p = atomic_load(&service->payload);
    flag_service_stop(service);
    if (p) free_payload(p);
    mem_free(service);
}

void flag_stream(struct call *call, enum flag_stream kind)
{
    struct flag_service *s = call->api->flags;
    isize number = http_loop_number(call->req->loop);
    struct seat *seat = &s->seats[number];
    if (call->req->method == METHOD_HEAD) { reply_bytes(call, 200, S("text/event-stream"), S("")); return; }
    if (number >= LOOPS_MAX || seat->n == STREAMS_PER_LOOP_MAX) {
        reply_problem(call, ERR_OVERLOADED, "%d streams are open on this thread already",
                      STREAMS_PER_LOOP_MAX);
        return;
    }
    struct watcher *w = mem_new(sizeof *w);
    *w = (struct watcher){ .req = call->req, .next = seat->first, .back = &seat->first, .kind = kind };
    if (seat->first) seat->first->back = &w->next;
    seat->first = w;
    seat->n++;
    call->req->own = w;
    const struct http_header extra[] = { { S("Cache-Control"), S("no-store") },
                                         { S("X-Accel-Buffering"), S("no") },
                                         { S("Access-Control-Allow-Origin"), S("*") } };
    http_stream_begin(call->req, 200, S("text/event-stream"), extra, countof(extra));
    http_stream_bare(call->req);
    http_on_gone(call->req, gone, seat);
    (void)http_stream_write(call->req, S(": open\n\n"));
}

/* ---- small words ----------------------------------------------------------------------------- */

str http_date(arena *a, i64 at_s)
{
    static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct civil c = time_civil(at_s * 1000, 0);
    return arena_printf(a, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[c.weekday - 1], c.day,
                        months[c.month - 1], c.year, c.hour, c.minute, c.second);
}

str own_host(struct call *call)
{
    str forwarded = header_of(call, S("x-forwarded-proto")), host = header_of(call, S("host"));
    bool safe = host.len > 0 && host.len < 256;
    for (isize i = 0; i < host.len; i++)
        safe = safe && host.ptr[i] > ' ' && host.ptr[i] < 127 && host.ptr[i] != '"'
               && host.ptr[i] != '\\';
    return arena_printf(call->a, "%s://%.*s", str_eq(forwarded, S("https")) ? "https" : "http",
                        STR_FMT(safe ? host : S("127.0.0.1")));
}

bool path_key(struct call *call, str key)
{
    rcu_read_begin();
    const struct api_key *known = book_key(atomic_load(&call->api->live->book), key);
    if (known) {
        call->who = known->secret ? WHO_ADMIN : WHO_WRITE;
        call->secret = known->secret;
        call->source_key = arena_str(call->a, known->source->key);
        call->author = arena_str(call->a, known->author);
        key_use(call->api, known);
    }
    rcu_read_end();
    if (!known) reply_problem(call, ERR_UNAUTHORISED, "the key in the path is not known");
    return known != NULL;
}
