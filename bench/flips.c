/* SPDX-License-Identifier: Apache-2.0
 *
 * flips.c - everybody's membership lapses in one minute: what a decision waits for then.
 *
 * Each person of a data folder looked at something a day before their own moment of that minute, and a segment is of those who did in the
 * last day. A server is started on the folder. Decisions are asked for in an open loop at a steady rate, first in a minute in which nothing
 * is due, then in that one; after it the count must come to nothing without another event. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/http.h"
#include "know.h"

enum { CONNECTIONS = 32, RECORD = 200, SETTLE_MS = 5000 };

static void write_file(arena *a, const char *folder, const char *name, const char *text)
{
    FILE *f = fopen(arena_printf(a, "%s/%s", folder, name).ptr, "we");
    if (!f || fputs(text, f) < 0 || fclose(f)) give_up("%s/%s cannot be written", folder, name);
}

/* What each did, a day before `from_ms` + their share of `minute_ms`; received now. */
static void write_views(arena *a, const char *folder, u32 people, i64 from_ms, i64 minute_ms)
{
    struct config config = config_default();
    struct diag diag = { .arena = a };
    struct log *log;
    struct buf bytes = { 0 };
    struct entry entries[RECORD];
    isize offset[RECORD + 1] = { 0 }, n = 0;
    arena scratch = { 0 };
    if (log_open(arena_printf(a, "file:%s/log", folder).ptr, &config, &log, &diag)) give_up("%.*s", STR_FMT(diag.what));
    if (log_bulk(log, true) != LOG_OK) give_up("the log cannot be written");
    i64 now_ms = max_i64(clock_now(clock_system()), log_last_ms(log));
    for (u32 i = 0; i < people; i++) {
        struct identifier id = { IDENTIFIER_USER_ID, true, arena_printf(&scratch, "u%08u", i) };
        struct event_item item = { .product_key = arena_printf(&scratch, "p%06u", i % 20000) };
        struct event e = { .type = EVENT_PRODUCT_VIEWED, .channel = CHANNEL_WEB, .at_ms = from_ms + minute_ms * i / people - DAY_MS, .source = S("shop"),
                           .key = arena_printf(&scratch, "v-%u", i), .identifiers = &id, .identifiers_n = 1, .items = &item, .items_n = 1,
                           .consent_granted = 1 << PURPOSE_ANALYTICS | 1 << PURPOSE_PERSONALISATION };
        event_encode(&e, &bytes);
        entries[n] = (struct entry){ .kind = ENTRY_EVENT };
        offset[++n] = bytes.len;
        arena_clear(&scratch);
        if (n < RECORD && i + 1 < people) continue;
        for (isize k = 0; k < n; k++) entries[k].bytes = (str){ bytes.ptr + offset[k], offset[k + 1] - offset[k] };
        struct record record = { .at_ms = now_ms, .fold_version = 1, .entries = entries, .entries_n = n };
        if (log_append(log, log_tail(log), &record, 1) != LOG_OK) give_up("the log cannot be written");
        n = bytes.len = 0;
    }
    if (log_bulk(log, false) != LOG_OK) give_up("the log cannot be written");
    log_close(log);
    buf_fini(&bytes);
    arena_fini(&scratch);
}

static i64 members(const struct server *server, str key, arena *a)
{
    struct http_header auth = { S("Authorization"), arena_printf(a, "Bearer %.*s", STR_FMT(key)) };
    struct http_fetch ask = { .url = arena_printf(a, "http://127.0.0.1:%d/v1/segments", server->port), .headers = &auth, .headers_n = 1,
                              .bytes_max = 1 << 20, .timeout_ms = 10000, .method = METHOD_GET };
    struct http_fetched got;
    struct diag diag = { .arena = a };
    if (http_fetch(&ask, a, &got, &diag)) give_up("the segments cannot be read: %.*s", STR_FMT(diag.what));
    isize at = str_find(got.body, S("\"count\":"));
    i64 count = -1;
    if (at < 0) give_up("no count among the segments: %.*s", STR_FMT(got.body));
    count = strtoll(got.body.ptr + at + 8, NULL, 10);
    return count;
}

static void wait_until_ms(i64 at_ms)
{
    i64 left = at_ms - clock_now(clock_system());
    if (left > 0) (void)usleep((useconds_t)(left * 1000));
}

void flips_run(struct server *server, const char *work, u32 people, f64 rate, i64 minute_ms, arena *a)
{
    const char *data = arena_printf(a, "%s/data", work).ptr, *definitions = arena_printf(a, "%s/definitions", work).ptr;
    (void)mkdir(definitions, 0700);
    write_file(a, definitions, "settings.json", "{\"kind\":\"settings\",\"key\":\"shop\",\"currency\":\"EUR\"}");
    write_file(a, definitions, "segment.json", "{\"kind\":\"segment\",\"key\":\"today\",\"rule\":\"did(product_viewed, last 1 days)\"}");
    write_file(a, definitions, "placement.json", "{\"kind\":\"placement\",\"key\":\"hero\",\"title\":\"Hero\",\"channel\":\"web\","
               "\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":\"Welcome\"}}");
    write_file(a, definitions, "campaign.json", "{\"kind\":\"campaign\",\"key\":\"back\",\"title\":\"Back\",\"placement\":\"hero\",\"owner\":\"shop@example.com\","
               "\"goal\":\"bring them back\",\"metric\":\"order_rate\",\"experiences\":[{\"key\":\"them\",\"target\":\"in segment \\\"today\\\"\",\"choose\":\"fixed\","
               "\"variations\":[{\"key\":\"only\",\"content\":{\"headline\":\"Hello again\"}}]}]}");
    server->folder = data;
    str key = str_trim(run_program(a, (const char *const[]){ server->program, "key", "create", "--data", data, "--kind", "secret", "--source", "shop", "--basis",
                                   "analytics=contract,personalisation=contract", NULL }));
    (void)run_program(a, (const char *const[]){ server->program, "apply", definitions, "--data", data, NULL });
    i64 from_ms = clock_now(clock_system()) + 2 * SETTLE_MS + 2 * minute_ms + people / 12;       /* loading them takes less than 80 us each */
    write_views(a, data, people, from_ms, minute_ms);
    (void)server_start(server);
    str body = S("{\"person\":{\"user_id\":\"u" A_PERSON "\"},\"placements\":[\"hero\"]}");
    str request = arena_printf(a, "POST /v1/decide HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\n"
                               "Content-Length: %lld\r\n\r\n%.*s", STR_FMT(key), (long long)body.len, STR_FMT(body));
    struct load load = { request, server->port, CONNECTIONS, minute_ms * 1000, rate, people, 20000 };
    i64 quiet_ms = from_ms - minute_ms - SETTLE_MS / 2;
    if (clock_now(clock_system()) > quiet_ms) give_up("the server took too long to load %u people: the quiet minute is over", people);
    i64 before = members(server, key, a);
    if (before != people) give_up("%lld of %u people are in the segment before it lapses", (long long)before, people);
    keep_processors_awake();
    wait_until_ms(quiet_ms);
    f64 cpu = cpu_s(server->worker);
    struct loaded quiet = load_run(&load, a);
    f64 quiet_cpu = cpu_s(server->worker) - cpu;
    wait_until_ms(from_ms);
    cpu = cpu_s(server->worker);
    struct loaded flips = load_run(&load, a);
    f64 flips_cpu = cpu_s(server->worker) - cpu;
    i64 left = members(server, key, a), waited_ms = 0;
    for (; left && waited_ms < 120000; waited_ms += 200) {
        (void)usleep(200000);
        left = members(server, key, a);
    }
    if (left) give_up("%lld people are still in the segment", (long long)left);
    if (quiet.refused + flips.refused) give_up("%lld decisions were refused", (long long)(quiet.refused + flips.refused));
    (void)printf("know_flips_p99 %.2f ms p99 of decisions at %.0f/s while %u memberships lapse in %.0f s, p50 %.2f ms, server CPU %.1f s; %.2f ms, p50 %.2f ms and %.1f s "
                 "in as long without any; counts right %lld ms after it; budget 2 ms\n", flips.p99_ms, rate, people, (f64)minute_ms / 1e3, flips.p50_ms, flips_cpu,
                 quiet.p99_ms, quiet.p50_ms, quiet_cpu, (long long)waited_ms);
    server_stop(server);
}
