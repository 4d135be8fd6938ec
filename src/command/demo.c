/* SPDX-License-Identifier: Apache-2.0
 *
 * demo.c - `opmaat demo`: the demo shop, set up like any shop and served by the same program.
 *
 * The first start makes everything a shop's developer and marketer would make: sources, keys, an
 * account, placements, segments, strategies and campaigns (demo/setup/ holds the documents), the
 * catalogue, and sixty days of shoppers. In the last fourteen days of those the shoppers were shown
 * what Opmaat decided for them then, so results are there to look at. Then they go on living, some
 * events a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "command/inside.h"
#include "demo/demo.h"
#include "ingest/ingest.h"

enum { PEOPLE = 2000, DECIDED_DAYS = 14, LIVE_MS = 200, SEED = 7 };

/* What the demo knows of itself between starts: DATA/demo.json, readable by its owner alone. */
struct notes { str write_key, secret_key, identity_secret, password; };

struct demo {
    struct args *args;
    struct folder *folder;
    arena perm;
    struct demo_catalogue catalogue;
    struct demo_shop shop;
    struct notes notes;
    struct demo_shoppers *shoppers;
    struct api *api;
    pthread_t thread;
    _Atomic bool stopping;
    bool live;
    i64 done_events;
};

/* ---- notes ----------------------------------------------------------------------------------- */

static const char *notes_path(struct demo *d)
{
    return arena_printf(&d->perm, "%.*s/demo.json", STR_FMT(d->folder->path)).ptr;
}

static bool read_notes(struct demo *d)
{
    char text[4096];
    const struct json *doc;
    int fd = open(notes_path(d), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    isize n = read(fd, text, sizeof text);
    (void)close(fd);
    if (n <= 0 || json_parse(&d->perm, (str){ text, n }, &doc, NULL)) return false;
    d->notes = (struct notes){ json_str(json_get(doc, S("write_key")), S("")),
                               json_str(json_get(doc, S("secret_key")), S("")),
                               json_str(json_get(doc, S("identity_secret")), S("")),
                               json_str(json_get(doc, S("password")), S("")) };
    return d->notes.write_key.len && d->notes.identity_secret.len;
}

static bool write_notes(struct demo *d)
{
    struct buf out = { .arena = &d->perm };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "write_key", d->notes.write_key);
    jsonw_key_str(&w, "secret_key", d->notes.secret_key);
    jsonw_key_str(&w, "identity_secret", d->notes.identity_secret);
    jsonw_key_str(&w, "account", S("kari@demo.shop"));
    jsonw_key_str(&w, "password", d->notes.password);
    jsonw_end(&w, '}');
    int fd = open(notes_path(d), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool whole = write(fd, out.ptr, (size_t)out.len) == out.len && fsync(fd) == 0;
    return close(fd) == 0 && whole;
}

static str random_hex(arena *a, isize bytes)
{
    u8 raw[64];
    char hex[129];
    assert(bytes <= (isize)sizeof raw);
    rng_system(raw, bytes);
    sodium_bin2hex(hex, sizeof hex, raw, (size_t)bytes);
    return arena_str(a, (str){ hex, 2 * bytes });
}

/* ---- setting up ------------------------------------------------------------------------------ */

static enum err define(struct demo *d, const char *kind, str key, str document, struct diag *diag)
{
    enum err err = api_define(d->folder->fold, str_of(kind), key, document, S("demo"), diag);
    if (err) (void)command_fail(FAILED, "%s %.*s: %.*s", kind, STR_FMT(key), STR_FMT(diag->what));
    return err;
}

static enum err make_keys(struct demo *d, struct diag *diag)
{
    str prefix;
    d->notes.identity_secret = random_hex(&d->perm, 32);
    d->notes.password = random_hex(&d->perm, 6);
    str web = arena_printf(
        &d->perm,
        "{\"title\":\"Web shop\",\"owner\":\"kari@demo.shop\",\"channel\":\"web\",\"currency\":\"EUR\",\"identity_secret\":\"%.*s\","
        "\"basis\":{\"analytics\":\"consent\",\"personalisation\":\"consent\",\"model_training\":\"consent\"}}",
        STR_FMT(d->notes.identity_secret));
    str shop = S("{\"title\":\"Shop systems\",\"owner\":\"kari@demo.shop\",\"currency\":\"EUR\","
                 "\"basis\":{\"analytics\":\"consent\",\"personalisation\":\"consent\",\"model_training\":\"consent\"}}");
    enum err err = define(d, "source", S("web"), web, diag);
    if (!err) err = define(d, "source", S("shop"), shop, diag);
    d->notes.write_key = api_key_make(&d->perm, false, &prefix);
    if (!err)
        err = define(
            d, "key", prefix,
            key_document(&d->perm, d->notes.write_key, false, S("web"), S("kari@demo.shop")), diag);
    d->notes.secret_key = api_key_make(&d->perm, true, &prefix);
    if (!err)
        err = define(
            d, "key", prefix,
            key_document(&d->perm, d->notes.secret_key, true, S("shop"), S("kari@demo.shop")),
            diag);
    str account;
    if (!err)
        err = api_account_document(&d->perm, S("kari@demo.shop"), S("admin"), d->notes.password,
                                   &account, diag);
    if (!err) err = define(d, "account", S("kari@demo.shop"), account, diag);
    return err;
}

static enum err submit_items(struct demo *d, str ndjson, struct diag *diag)
{
    arena a = { 0 };
    enum err err = ERR_OK;
    struct entry entries[200];
    isize n = 0;
    while (!err && ndjson.len > 0) {
        struct str_cut line = str_cut(ndjson, '\n');
        const struct json *doc;
        struct item_change change;
        ndjson = line.tail;
        if (line.head.len == 0) continue;
        err = json_parse(&a, line.head, &doc, diag);
        if (!err) err = item_change_from_json(&a, doc, &change, diag);
        if (err) break;
        struct buf bytes = { .arena = &a };
        item_change_encode(&change, &bytes);
        entries[n++] = (struct entry){ ENTRY_CATALOG, buf_str(&bytes) };
        if (n < countof(entries) && ndjson.len > 0) continue;
        err = fold_submit_wait(d->folder->fold, entries, n, NULL);
        n = 0;
        arena_clear(&a);
    }
    arena_fini(&a);
    return err;
}

static enum err make_shop(struct demo *d, struct diag *diag)
{
    struct buf out = { 0 };
    demo_catalogue_write(&d->catalogue, &out);
    enum err err = submit_items(d, buf_str(&out), diag);
    out.len = 0;
    demo_content_write(&d->perm, &out);
    if (!err) err = submit_items(d, buf_str(&out), diag);
    buf_fini(&out);
    for (isize i = 0; !err && i < demo_setup_n; i++)
        err = define(d, demo_setup[i].kind, str_of(demo_setup[i].key), str_of(demo_setup[i].document), diag);
    return err;
}

/* ---- shoppers -------------------------------------------------------------------------------- */

static struct api_inside inside_of(const struct demo *d)
{
    return (struct api_inside){ d->folder->fold, &d->args->config, clock_system(), S("shop"), true, true };
}

static void emit(void *ctx, str batch, i64 at_ms)
{
    struct demo *d = ctx;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    const struct json *body;
    struct api_taken taken = { 0 };
    struct api_inside inside = inside_of(d);
    (void)at_ms;
    enum err err = json_parse(&a, batch, &body, &diag);
    if (!err) err = api_collect(&inside, body, &a, &taken, &diag);
    if (err || taken.refused)
        log_error("demo.refused events=%lld why=\"%.*s%.*s\"", (long long)taken.refused,
                  STR_FMT(diag.what), STR_FMT(taken.first_reason));
    d->done_events += taken.accepted;
    arena_fini(&a);
}

static bool decide_for(void *ctx, str request, i64 at_ms, arena *scratch, str *answer)
{
    struct demo *d = ctx;
    struct diag diag = { .arena = scratch };
    const struct json *body;
    struct buf out = { .arena = scratch };
    struct api_inside inside = inside_of(d);
    enum err err = json_parse(scratch, request, &body, &diag);
    if (!err) err = api_decide(&inside, body, at_ms, scratch, &out, &diag);
    *answer = buf_str(&out);
    return !err;
}

/* As the shop's own pages ask: a claimed identity is not believed, a signed one is. */
static bool asked_by_page(void *ctx, str request, arena *scratch, str *answer,
                          enum err (*api)(const struct api_inside *, const struct json *, arena *,
                                          struct buf *, struct diag *))
{
    struct diag diag = { .arena = scratch };
    const struct json *body;
    struct buf out = { .arena = scratch };
    struct api_inside inside = inside_of(ctx);
    inside.verified = false;
    inside.imported = false;
    enum err err = json_parse(scratch, request, &body, &diag);
    if (!err) err = api(&inside, body, scratch, &out, &diag);
    *answer = buf_str(&out);
    return !err;
}

static bool search_for(void *ctx, str request, arena *scratch, str *answer)
{
    return asked_by_page(ctx, request, scratch, answer, api_search);
}

static enum err decide_flags(const struct api_inside *inside, const struct json *body, arena *a,
                             struct buf *out, struct diag *diag)
{
    return api_decide(inside, body, 0, a, out, diag);
}

static bool flags_for(void *ctx, str request, arena *scratch, str *answer)
{
    return asked_by_page(ctx, request, scratch, answer, decide_flags);
}
static bool menu_for(void *ctx, str request, arena *scratch, str *answer)
{
    return asked_by_page(ctx, request, scratch, answer, api_navigation);
}

static void shoppers_until(struct demo *d, i64 until_ms, bool decide, isize batch)
{
    arena scratch = { 0 };
    struct demo_sinks sinks = { d, emit, decide ? decide_for : NULL, batch };
    demo_shoppers_run(d->shoppers, until_ms, &sinks, &scratch);
    arena_fini(&scratch);
}

static void live_past(struct demo *d, i64 from_ms, i64 now_ms)
{
    bool terminal = isatty(STDERR_FILENO);
    i64 decided_from = now_ms - DECIDED_DAYS * DAY_MS;
    i64 days = max_i64(1, (now_ms - from_ms) / DAY_MS);
    for (i64 day = 1; day <= days; day++) {
        i64 until = min_i64(from_ms + day * DAY_MS, now_ms);
        bool decides = until > decided_from;
        if (decides && day % 3 == 0) fold_train(d->folder->fold);
        if (decides && until - DAY_MS <= decided_from) fold_train(d->folder->fold);
        shoppers_until(d, until, decides, decides ? 20 : 500);
        if (terminal)
            (void)fprintf(stderr, "\rday %lld of %lld, %lld events", (long long)day,
                          (long long)days, (long long)d->done_events);
    }
    (void)fprintf(stderr, "%s%lld days of history: %lld events\n", terminal ? "\r" : "",
                  (long long)days, (long long)d->done_events);
}

static void *live_thread(void *ctx)
{
    (void)pthread_setname_np(pthread_self(), "shoppers");
    struct demo *d = ctx;
    rcu_thread_start();
    demo_shoppers_hurry(d->shoppers, clock_now(clock_system()), 5);
    while (!atomic_load(&d->stopping)) {
        shoppers_until(d, clock_now(clock_system()), true, 1);
        (void)usleep(LIVE_MS * 1000);
    }
    rcu_thread_stop();
    return NULL;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* An order placed in the demo shop goes in as the shop's own systems would send it, and the page
 * waits for it: what was bought must be gone from the very next page. */
struct page { struct demo_reply reply; };

static void send_page(void *ctx, struct http_request *req)
{
    const struct demo_reply *reply = &((const struct page *)ctx)->reply;
    struct http_header extra[DEMO_HEADERS_MAX];
    for (isize i = 0; i < reply->headers_n; i++)
        extra[i] = (struct http_header){ reply->headers[i].name, reply->headers[i].value };
    http_reply(req, reply->status, reply->type, reply->body, extra, reply->headers_n);
}

static bool shop_page(void *ctx, struct http_request *req)
{
    struct demo *d = ctx;
    if (!str_eq(req->path, S("/shop")) && !str_starts(req->path, S("/shop/"))) return false;
    u64 chance;
    rng_system(&chance, sizeof chance);
    struct demo_request request = { http_method_name(req->method),
                                    req->path,
                                    req->query,
                                    http_header(req, S("cookie")),
                                    req->body,
                                    clock_now(req->clock),
                                    chance };
    struct page *page = arena_new(req->scratch, struct page, 1);
    page->reply = demo_page(&d->shop, &request, req->scratch);
    if (page->reply.event.len) api_collect_then(d->api, req, page->reply.event, S("shop"), send_page, page);
    else send_page(page, req);
    return true;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void started(void *ctx, struct api *api)
{
    struct demo *d = ctx;
    d->api = api;
    d->live = pthread_create(&d->thread, NULL, live_thread, d) == 0;
    str listen = option(d->args, "listen", "127.0.0.1:8080");
    (void)printf(
        "\n  shop      http://%.*s/shop/\n  console   http://%.*s/   (kari@demo.shop, password %.*s)\n  write key %.*s\n\n",
        STR_FMT(listen), STR_FMT(listen), STR_FMT(d->notes.password), STR_FMT(d->notes.write_key));
    (void)fflush(stdout);
}

static void stopping(void *ctx)
{
    struct demo *d = ctx;
    atomic_store(&d->stopping, true);
    if (d->live) pthread_join(d->thread, NULL);
}

static i64 first_day(const struct demo *d, i64 now_ms)
{
    i64 days = 60;
    (void)str_to_i64(option(d->args, "days", "60"), &days);
    return (now_ms / DAY_MS - (days < 1 ? 1 : days > 400 ? 400 : days)) * DAY_MS;
}

/* Somebody's data, or a demo that was interrupted while it was made. */
static bool holds_something(const struct demo *d)
{
    isize at = 0;
    return definition_next(fold_definitions(d->folder->fold), S("source"), &at) != NULL;
}

static enum err set_up(struct demo *d, i64 now_ms)
{
    struct diag diag = { .arena = &d->perm };
    if (holds_something(d)) {
        (void)command_fail(
            FAILED,
            "%.*s holds something already that is no whole demo: remove it, or give another folder with --data",
            STR_FMT(d->folder->path));
        return ERR_CONFLICT;
    }
    (void)fprintf(stderr, "making the demo shop in %.*s\n", STR_FMT(d->folder->path));
    fold_start(d->folder->fold);
    /* who finds no demo.json begins with an empty folder */
    fold_bulk(d->folder->fold, true);
    rcu_thread_start();
    enum err err = make_keys(d, &diag);
    if (!err) err = make_shop(d, &diag);
    if (!err) live_past(d, first_day(d, now_ms), now_ms);
    fold_bulk(d->folder->fold, false);
    if (!err && !write_notes(d)) err = diag_set(&diag, ERR_DISK, "demo.json cannot be written");
    rcu_thread_stop();
    fold_stop(d->folder->fold);
    if (err) (void)command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    return err;
}

int command_demo(struct args *args)
{
    if (option(args, "data", "").len == 0) {
        args->options[args->options_n].name = S("data");
        args->options[args->options_n++].value = S("demo-data");
    }
    int code = supervise(args);
    if (code >= 0) return code;
    struct folder folder;
    struct demo d = { .args = args, .folder = &folder };
    i64 now_ms = clock_now(clock_system());
    if (!folder_open(args, &folder)) return FAILED;
    d.catalogue = demo_catalogue_new(&d.perm, SEED, now_ms / DAY_MS * DAY_MS);
    bool known = read_notes(&d);
    struct demo_shoppers_options options = { .seed = known ? (u64)now_ms : SEED,
                                             .people = PEOPLE,
                                             .null_effect = flag(args, "null"),
                                             .start_at_ms =
                                                 known ? now_ms : first_day(&d, now_ms) };
    d.shoppers = demo_shoppers_new(&d.perm, &d.catalogue, options);
    if (!known && set_up(&d, now_ms)) return FAILED;
    d.shop = (struct demo_shop){ .catalogue = &d.catalogue,
                                 .write_key = d.notes.write_key,
                                 .identity_secret = d.notes.identity_secret,
                                 .console_hint = arena_printf(&d.perm, "kari@demo.shop / %.*s",
                                                              STR_FMT(d.notes.password)),
                                 .search = search_for,
                                 .menu = menu_for,
                                 .flags = flags_for,
                                 .search_ctx = &d };
    code = serve_until_stopped(&(struct serving){ .args = args,
                                                  .folder = &folder,
                                                  .other = shop_page,
                                                  .ctx = &d,
                                                  .started = started,
                                                  .stopping = stopping });
    folder_close(&folder);
    arena_fini(&d.perm);
    return code;
}
