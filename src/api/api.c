/* SPDX-License-Identifier: Apache-2.0
 *
 * api.c - from a request to its handler and back.
 *
 * route.def is the whole surface. A route says who may call it: anyone, a holder of a write key
 * (public: it collects, and decides for the caller's own browser), or console accounts by role; a
 * secret key may do all. A path that a caller may not use looks like any other path that is not
 * there.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/flags.h"
#include "base/rcu.h"
#include "base/thread.h"

struct route { enum http_method method; str path; handler *run; enum who who; const char *text; };

static const struct route routes[] = {
#define PUBLIC WHO_PUBLIC
#define WRITE WHO_WRITE
#define VIEWER WHO_VIEWER
#define EDITOR WHO_EDITOR
#define ADMIN WHO_ADMIN
#define ROUTE(method, path, run, who, text) { METHOD_##method, S_INIT(path), run, who, text },
#define ALSO ROUTE
#include "api/route.def"
#undef ALSO
#undef ROUTE
};

struct api *api_new(const struct api_options *options)
{
    struct api *api = mem_new(sizeof *api);
    api->options = *options;
    api->fold = options->fold;
    api->live = fold_live(options->fold);
    api->clock = options->clock;
    api->config = options->config;
    api->started_at_ms = clock_now(options->clock);
    u64 seed;
    rng_system(&seed, sizeof seed);
    atomic_init(&api->seed, seed);
    api->jobs = jobs_new();
    api->sessions = sessions_new();
    api->admin = admin_new(api);
    (void)flag_service_new(api);
    return api;
}

void call_inside(const struct api_inside *inside, const struct json *body, arena *a,
                 struct api *api, struct call *out)
{
    u64 seed;
    rng_system(&seed, sizeof seed);
    *api = (struct api){ .fold = inside->fold,
                         .live = fold_live(inside->fold),
                         .clock = inside->clock,
                         .config = inside->config };
    atomic_init(&api->seed, seed);
    *out = (struct call){ .api = api,
                          .a = a,
                          .source_key = inside->source,
                          .secret = inside->verified,
                          .imported = inside->imported,
                          .body = body };
    out->out = (struct buf){ .arena = a };
    out->w = (struct jsonw){ .out = &out->out };
}

void api_stop(struct api *api)
{
    if (!api->jobs) return;
    flag_service_stop(api->flags);
    admin_stop(api->admin);
    jobs_free(api->jobs);
    api->jobs = NULL;
}

void api_free(struct api *api)
{
    if (!api) return;
    api_stop(api);
    flag_service_free(api->flags);
    admin_free(api->admin);
    sessions_free(api->sessions);
    mem_free(api);
}

void api_ready(struct api *api, bool ready) { atomic_store(&api->ready, ready); }
void api_server(struct api *api, struct http_server *server) { api->server = server; }
u64 next_seed(struct api *api) { return atomic_fetch_add(&api->seed, 0x9e3779b97f4a7c15u); }

/* ---- answering ------------------------------------------------------------------------------- */

enum { EXTRA_MAX = 10 };

static isize cors(struct call *call, struct http_header *extra)
{
    str origin = http_header(call->req, S("origin"));
    isize n = 0;
    extra[n++] = (struct http_header){ S("Cache-Control"), S("private, no-store") };
    if (origin.len == 0) return n;
    extra[n++] = (struct http_header){ S("Access-Control-Allow-Origin"), origin };
    extra[n++] = (struct http_header){ S("Access-Control-Allow-Credentials"), S("true") };
    extra[n++] = (struct http_header){ S("Access-Control-Expose-Headers"), S("Retry-After") };
    extra[n++] = (struct http_header){ S("Vary"), S("Origin") };
    return n;
}

static void preflight(struct call *call)
{
    struct http_header extra[EXTRA_MAX];
    isize n = cors(call, extra);
    str asked = http_header(call->req, S("access-control-request-headers"));
    extra[n++] = (struct http_header){ S("Access-Control-Allow-Methods"),
                                       S("GET, HEAD, POST, PUT, DELETE, OPTIONS") };
    extra[n++] = (struct http_header){ S("Access-Control-Allow-Headers"), asked.len ? asked :
        S("authorization, content-type, x-retry-count, anonymousid, sentat, x-api-key") };
    extra[n++] = (struct http_header){ S("Access-Control-Max-Age"), S("7200") };
    http_reply(call->req, 204, S(""), S(""), extra, n);
}

void reply_bytes(struct call *call, i32 status, str type, str bytes)
{
    struct http_header extra[EXTRA_MAX];
    isize n = cors(call, extra);
    if (call->cookie.len) extra[n++] = (struct http_header){ S("Set-Cookie"), call->cookie };
    http_reply(call->req, status, type, bytes, extra, n);
}

void reply_json(struct call *call)
{
    i32 status = call->status ? call->status : 200;
    str json = status >= 400 ? S("application/problem+json") : S("application/json");
    reply_bytes(call, status, call->type.len ? call->type : json, buf_str(&call->out));
}

static void problem(struct call *call, enum err err, str detail)
{
    struct http_header extra[EXTRA_MAX];
    isize n = cors(call, extra);
    if (err_retry(err)) extra[n++] = (struct http_header){ S("Retry-After"), S("1") };
    http_reply_problem(call->req, err, detail, extra, n);
}

void reply_problem(struct call *call, enum err err, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problem(call, err, str_of(text));
}

bool need_body(struct call *call)
{
    struct diag diag = { .arena = call->a };
    enum err err = json_parse(call->a, call->req->body, &call->body, &diag);
    if (!err && !json_is(call->body, JSON_OBJ) && !json_is(call->body, JSON_ARR))
        err = diag_set(&diag, ERR_BAD_INPUT, "expected a JSON object");
    if (err) problem(call, err, diag.what);
    return !err;
}

static void answered(void *arg)
{
    struct call *call = arg;
    if (call->err) problem(call, call->err, buf_str(&call->out));
    else reply_json(call);
}

static void run_then(void *arg)
{
    struct call *call = arg;
    /* senders try again */
    if (call->err == ERR_DISK) problem(call, ERR_OVERLOADED, S("the disk has no room; nothing was taken"));
    else if (call->err) problem(call, call->err, S("the log could not take it"));
    else call->then(call);
}

/* On the fold's thread. */
static void folded(struct append *append, enum err err, u64 first)
{
    struct call *call = append->ctx;
    call->err = err;
    append->first = first;
    (void)http_post(call->req->loop, run_then, call);
}

void submit_then(struct call *call, const struct entry *entries, isize n, void (*then)(struct call *call))
{
    call->then = then;
    call->append = (struct append){ .entries = entries, .entries_n = n, .done = folded, .ctx = call };
    http_hold(call->req);
    enum err err = fold_submit(call->api->fold, &call->append);
    if (err)
        problem(call, err,
                err == ERR_OVERLOADED ? S("the queue or the disk is full; nothing was taken")
                                      : S("the server is stopping"));
}

static void run_answer(void *ctx, struct fold *fold)
{
    struct call *call = ctx;
    call->answer(call, fold);
    (void)http_post(call->req->loop, answered, call);
}

void ask_fold(struct call *call, void (*answer)(struct call *call, struct fold *fold))
{
    call->answer = answer;
    http_hold(call->req);
    if (!fold_ask(call->api->fold, run_answer, call))
        reply_problem(call, ERR_NOT_READY, "the server is stopping");
}

/* ---- jobs: what is slow on purpose or by size ------------------------------------------------ */

struct jobs { struct queue *queue; pthread_t thread; };

static void *jobs_thread(void *ctx)
{
    thread_is("jobs", THREAD_BEHIND);
    struct jobs *jobs = ctx;
    void *call;
    rcu_thread_start();
    while (queue_take(jobs->queue, &call, 1, -1) >= 0) {
        struct call *c = call;
        c->work(c);
        (void)http_post(c->req->loop, answered, c);
    }
    rcu_thread_stop();
    return NULL;
}

struct jobs *jobs_new(void)
{
    struct jobs *jobs = mem_new(sizeof *jobs);
    jobs->queue = queue_new(256);
    pthread_create(&jobs->thread, NULL, jobs_thread, jobs);
    return jobs;
}

void jobs_free(struct jobs *jobs)
{
    queue_close(jobs->queue);
    pthread_join(jobs->thread, NULL);
    queue_free(jobs->queue);
    mem_free(jobs);
}

void ask_jobs(struct call *call, void (*work)(struct call *call))
{
    call->work = work;
    http_hold(call->req);
    if (!queue_push(call->api->jobs->queue, call))
        reply_problem(call, ERR_OVERLOADED, "256 jobs wait already");
}

/* ---- who calls ------------------------------------------------------------------------------- */

static str key_of(struct call *call)
{
    str name, password;
    if (http_basic(call->req, &name, &password)) return name;
    str token = http_bearer(call->req);
    if (token.len) return token;
    static const str headers[] = { S_INIT("x-write-key"), S_INIT("x-api-key") };
    for (isize i = 0; i < countof(headers); i++) {
        token = http_header(call->req, headers[i]);
        if (token.len) return token;
    }
    token = http_query(call->req, S("writeKey"), S(""));
    if (token.len) return token;
    token = http_query(call->req, S("write_key"), S(""));
    /* as Google's Measurement Protocol calls it */
    if (token.len == 0) token = http_query(call->req, S("api_secret"), S(""));
    return token.len || !call->body ? token : ingest_write_key(call->body);
}

void recognise(struct call *call)
{
    str email;
    if (call->owner) {
        call->who = WHO_ADMIN;
        call->secret = true;
        call->author = S("command line");
        return;
    }
    str key = key_of(call);
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    const struct api_key *known = book_key(book, key);
    if (known) {
        call->who = known->secret ? WHO_ADMIN : WHO_WRITE;
        call->secret = known->secret;
        call->source_key = arena_str(call->a, known->source->key);
        call->author = arena_str(call->a, known->author);
        key_use(call->api, known);
    }
    rcu_read_end();
    if (known) return;
    if (session_of(call->api, call->req, &call->who, &email)) call->author = arena_str(call->a, email);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static bool path_matches(str pattern, str path, struct call *call)
{
    call->params_n = 0;
    while (pattern.len > 0) {
        if (pattern.ptr[0] != '{') {
            if (path.len == 0 || path.ptr[0] != pattern.ptr[0]) return false;
            pattern = str_from(pattern, 1);
            path = str_from(path, 1);
            continue;
        }
        isize end = str_find_char(path, '/');
        str part = end < 0 ? path : str_slice(path, 0, end);
        if (part.len == 0 || call->params_n == countof(call->params)) return false;
        if (!percent_decode(call->a, part, false, &call->params[call->params_n++])) return false;
        pattern = str_from(pattern, str_find_char(pattern, '}') + 1);
        path = str_from(path, part.len);
    }
    return path.len == 0;
}

static bool collects(handler *run)
{
    static handler *const all[] = { collect_batch,  collect_track, collect_identify, collect_page,
                                    collect_screen, collect_group, collect_alias,    ga4_collect };
    for (isize i = 0; i < countof(all); i++)
        if (run == all[i]) return true;
    return false;
}

/* Files and webhooks are read as they are, and so is what clients of PostHog, ODP and OFREP send:
 * packed in ways of their own, no JSON, or with errors that have a form of their own. */
static bool reads_itself(str path)
{
    static const str own[] = { S_INIT("/v1/import/"), S_INIT("/hooks/"), S_INIT("/posthog/"), S_INIT("/v3/"), S_INIT("/optimizely/v3/"),
                                S_INIT("/ofrep/") };
    for (isize i = 0; i < countof(own); i++)
        if (str_starts(path, own[i])) return true;
    return false;
}

static void handle(struct api *api, struct http_request *req, bool owner)
{
    struct call *call = arena_new(req->scratch, struct call, 1);
    *call = (struct call){ .api = api, .req = req, .a = req->scratch, .owner = owner, .out = { .arena = req->scratch } };
    call->w = (struct jsonw){ .out = &call->out };
    if (req->method == METHOD_OPTIONS) { preflight(call); return; }
    str path = mounted(call, req->path);
    bool path_known = false;
    for (isize i = 0; i < countof(routes); i++) {
        const struct route *route = &routes[i];
        if (!path_matches(route->path, path, call)) continue;
        path_known = true;
        bool same = route->method == req->method
                    || (route->method == METHOD_GET && req->method == METHOD_HEAD);
        if (!same) continue;
        bool takes_body = route->method == METHOD_POST || route->method == METHOD_PUT;
        if (takes_body && req->body.len && !reads_itself(path) && !need_body(call)) return;
        if (route->who != WHO_PUBLIC) recognise(call);
        if (call->who < route->who && collects(route->run)) { collect_no_key(call); return; }
        if (call->who < route->who) {
            reply_problem(
                call, call->who >= WHO_VIEWER ? ERR_FORBIDDEN : ERR_UNAUTHORISED,
                route->who <= WHO_WRITE
                    ? "this call needs a write key or a secret key"
                    : "this call needs a secret key, or a console account with the right role");
            return;
        }
        route->run(call);
        return;
    }
    if (api->options.other && api->options.other(api->options.ctx, req)) return;
    if (path_known)
        reply_problem(call, ERR_BAD_METHOD, "%.*s does not take %.*s", STR_FMT(path),
                      STR_FMT(http_method_name(req->method)));
    else reply_problem(call, ERR_NOT_FOUND, "there is no %.*s", STR_FMT(path));
}

void api_handle(void *api, struct http_request *req) { handle(api, req, false); }
void api_handle_owner(void *api, struct http_request *req) { handle(api, req, true); }

/* ---- the small ones -------------------------------------------------------------------------- */

void health_get(struct call *call)
{
    buf_add(&call->out, S("{\"status\":\"ok\"}"));
    reply_json(call);
}

void ready_get(struct call *call)
{
    if (!atomic_load(&call->api->ready)) {
        reply_problem(call, ERR_NOT_READY, "state is being loaded");
        return;
    }
    buf_add(&call->out, S("{\"status\":\"ready\"}"));
    reply_json(call);
}

void gpc_get(struct call *call)
{
    buf_add(&call->out, S("{\"gpc\":true,\"lastUpdate\":\"2026-11-21\"}"));
    reply_json(call);
}

void api_print_routes(struct buf *out)
{
    static const char *const who[] = { "anyone", "write key", "viewer", "editor", "admin" };
    for (isize i = 0; i < countof(routes); i++)
        buf_printf(out, "%-7.*s %-48.*s %-10s %s\n", STR_FMT(http_method_name(routes[i].method)),
                   STR_FMT(routes[i].path), who[routes[i].who], routes[i].text);
}

static void openapi_operation(struct jsonw *w, const struct route *route)
{
    static const char *const who[] = { "", "write_key", "secret_key", "secret_key", "secret_key" };
    arena a = { 0 };
    str method = http_method_name(route->method);
    char *lower = arena_new(&a, char, method.len + 1);
    for (isize i = 0; i < method.len; i++) lower[i] = (char)(method.ptr[i] | 32);
    jsonw_key(w, (str){ lower, method.len });
    jsonw_begin(w, '{');
    jsonw_key_str(w, "summary", str_of(route->text));
    if (route->who != WHO_PUBLIC) {
        jsonw_key_begin(w, "security", '[');
        jsonw_begin(w, '{');
        jsonw_key_begin(w, who[route->who], '[');
        jsonw_end(w, ']');
        jsonw_end(w, '}');
        jsonw_end(w, ']');
    }
    isize open = str_find_char(route->path, '{');
    if (open >= 0) {
        jsonw_key_begin(w, "parameters", '[');
        for (str rest = route->path; (open = str_find_char(rest, '{')) >= 0;) {
            isize close = str_find_char(rest, '}');
            jsonw_begin(w, '{');
            jsonw_key_str(w, "name", str_slice(rest, open + 1, close));
            jsonw_key_str(w, "in", S("path"));
            jsonw_key_bool(w, "required", true);
            jsonw_key(w, S("schema"));
            jsonw_raw(w, S("{\"type\":\"string\"}"));
            jsonw_end(w, '}');
            rest = str_from(rest, close + 1);
        }
        jsonw_end(w, ']');
    }
    jsonw_key(w, S("responses"));
    jsonw_raw(
        w,
        S("{\"200\":{\"description\":\"done\"},\"default\":{\"description\":\"a problem document (RFC 9457)\"}}"));
    jsonw_end(w, '}');
    arena_fini(&a);
}

void api_print_openapi(struct buf *out)
{
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "openapi", S("3.1.0"));
    jsonw_key(&w, S("info"));
    jsonw_raw(&w, S("{\"title\":\"Opmaat\",\"version\":\"0.1.0\"}"));
    jsonw_key(&w, S("components"));
    jsonw_raw(
        &w,
        S("{\"securitySchemes\":{\"write_key\":{\"type\":\"http\",\"scheme\":\"basic\"},\"secret_key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}}"));
    jsonw_key_begin(&w, "paths", '{');
    bool done[countof(routes)] = { false };
    for (isize i = 0; i < countof(routes); i++) {
        if (done[i]) continue;
        jsonw_key(&w, routes[i].path);
        jsonw_begin(&w, '{');
        for (isize k = i; k < countof(routes); k++) {
            if (done[k] || !str_eq(routes[k].path, routes[i].path)) continue;
            done[k] = true;
            openapi_operation(&w, &routes[k]);
        }
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
}

void openapi_get(struct call *call)
{
    api_print_openapi(&call->out);
    reply_json(call);
}
