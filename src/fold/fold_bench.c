/* SPDX-License-Identifier: Apache-2.0
 *
 * fold_bench.c - what an event costs from its JSON to its place in the state, and what a person weighs.
 * Why it matters: one thread folds, so its time an event is the server's ceiling; and all people live in RAM.
 *
 *   fold_fold_bench [people] [events] [segments]     events: a person, before those that are timed
 *   fold_fold_bench memory [people] [anonymous|known]    when all of them rest: an hour after their
 *   last event
 *
 * The calls and the segments are those of the whole-server bench (bench/shop.c). Events come from
 * people at random, which is harder on caches than visits are. No socket and no log on a disk takes
 * part. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rcu.h"
#include "fold/inside.h"
#include "ingest/ingest.h"

enum {
    ITEMS = 20000,
    CATEGORIES = 100,
    A_BATCH = 40,
    A_RECORD = 400,
    TIMED_MAX = 100000,
    SETTLE_AT = 4000,
    A_FLUSH = 2000
};
#define BEGAN ((i64)1767261600000)                      /* 2026-01-01T10:00:00Z */

struct bench {
    struct fold *fold;
    struct rng rng;
    arena a;
    i64 now_ms;
    u32 people;
    bool anonymous;
    i64 number;
    struct entry entries[A_RECORD];
    isize entries_n;
    i64 read_us, fold_us, store_us, events;
};

static struct config config;

static void fold_record(struct bench *b)
{
    struct record record = { .first = b->fold->ref + 1,
                             .at_ms = b->now_ms,
                             .fold_version = 1,
                             .entries = b->entries,
                             .entries_n = b->entries_n };
    i64 began = clock_cpu_us();
    fold_apply(b->fold, &record);
    if (rcu_waiting() > SETTLE_AT) rcu_settle();
    b->fold_us += clock_cpu_us() - began;
    b->entries_n = 0;
    if (b->fold->store) {
        if (people_dirty(b->fold->live.people) < A_FLUSH) return;
        began = clock_cpu_us();
        save_tick(b->fold, true);
        b->store_us += clock_cpu_us() - began;
        return;
    }
    b->fold->seen.added.n = 0;                          /* no flush takes them */
    struct person_change *changed;
    (void)people_take(b->fold->live.people, &b->a, &changed);
    while (identity_dirty_next(b->fold->live.identity)) {}
    while (orders_dirty_next(&b->fold->orders)) {}
    for (struct history_page page; people_page_next(b->fold->live.people, &page);) mem_free(page.entries);
}

/* ---- the shop -------------------------------------------------------------------------------- */

static void define(struct bench *b, const char *kind, const char *key, str document)
{
    struct buf draft = { .arena = &b->a }, publish = { .arena = &b->a };
    struct definition_change change = { .op = DEFINITION_DRAFT,
                                        .kind = str_of(kind),
                                        .key = str_of(key),
                                        .document = document,
                                        .author = S("bench") };
    definition_change_encode(&change, &draft);
    change.op = DEFINITION_PUBLISH;
    change.document = S("");
    definition_change_encode(&change, &publish);
    b->entries[b->entries_n++] = (struct entry){ ENTRY_DEFINITION, buf_str(&draft) };
    b->entries[b->entries_n++] = (struct entry){ ENTRY_DEFINITION, buf_str(&publish) };
    fold_record(b);
}

static str segment_rule(arena *a, int i)
{
    int category = i % CATEGORIES;
    switch (i % 8) {
    case 0:
        return arena_printf(
            a, "count(product_viewed where category under \\\"c%02d\\\", last 30 days) >= 3",
            category);
    case 1: return arena_printf(a, "did(order_completed, last %d days)", 7 + i);
    case 2:
        return arena_printf(
            a,
            "count(product_viewed, last %d days) >= 5 and not did(order_completed, last 60 days)",
            1 + i / 8);
    case 3: return arena_printf(a, "sum(order_completed.revenue, last 365 days) > %d EUR", 10 + 5 * i);
    case 4:
        return arena_printf(a, "sequence(product_added then not order_completed within %d hours)",
                            2 + i / 8);
    case 5: return arena_printf(a, "affinity(category, \\\"c%02d\\\") > 0.3", category);
    case 6:
        return arena_printf(
            a,
            "city = \\\"town%02d\\\" and did(product_viewed where category under \\\"c%02d\\\", last 90 days)",
            category, (category + 7) % CATEGORIES);
    default: return arena_printf(a, "in segment \\\"s%03d\\\" and did(product_viewed, last 1 days)", i - 7);
    }
}

static void open_shop(struct bench *b, int segments)
{
    for (int i = 0; i < ITEMS; i++) {
        str text = arena_printf(
            &b->a,
            "{\"product_key\":\"p%06d\",\"title\":\"Thing number %d\",\"category\":\"c%02d > d%d\",\"brand\":\"Brand %d\"}",
            i, i, i * CATEGORIES / ITEMS, i % 10, i % 37);
        const struct json *doc;
        struct item_change change;
        struct buf bytes = { .arena = &b->a };
        bool ok = json_parse(&b->a, text, &doc, NULL) == ERR_OK
                  && item_change_from_json(&b->a, doc, &change, NULL) == ERR_OK;
        assert(ok);
        item_change_encode(&change, &bytes);
        b->entries[b->entries_n++] = (struct entry){ ENTRY_CATALOG, buf_str(&bytes) };
        if (b->entries_n == A_RECORD) fold_record(b);
    }
    fold_record(b);
    define(b, "source", "shop", S("{\"title\":\"Shop\"}"));
    for (int i = 0; i < segments; i++) {
        str rule = segment_rule(&b->a, i);
        define(
            b, "segment", arena_printf(&b->a, "s%03d", i).ptr,
            arena_printf(
                &b->a,
                "{\"kind\":\"segment\",\"key\":\"s%03d\",\"title\":\"Segment %d\",\"rule\":\"%.*s\"}",
                i, i, STR_FMT(rule)));
    }
    arena_clear(&b->a);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Everybody has a corner of the shop, and goes less often the further from it. */
static u32 item_for(struct bench *b, u32 person)
{
    f64 far = rng_unit(&b->rng);
    return (person * 2654435761u + (u32)(far * far * 400)) % ITEMS;
}

static void product(struct bench *b, struct buf *out, u32 person)
{
    buf_printf(
        out,
        "\"product_id\":\"p%06u\",\"price\":19.99,\"quantity\":1,\"name\":\"Thing\",\"currency\":\"EUR\"",
        item_for(b, person));
}

static void call(struct bench *b, struct buf *out, u32 person, str at)
{
    u32 item = item_for(b, person);
    int kind = (int)(b->number % 20);
    buf_printf(out, "{\"%s\":\"u%08u\",", b->anonymous ? "anonymousId" : "userId", person);
    switch (kind) {
    case 0:
        buf_printf(
            out,
            "\"type\":\"track\",\"event\":\"Order Completed\",\"properties\":{\"order_id\":\"o%lld\",\"total\":39.98,\"revenue\":39.98,"
            "\"currency\":\"EUR\",\"products\":[{",
            (long long)b->number);
        product(b, out, person);
        buf_add(out, S("},{"));
        product(b, out, person);
        buf_add(out, S("}]}"));
        break;
    case 1:
        buf_add(out,
                S("\"type\":\"identify\",\"traits\":{\"city\":\"town07\",\"plan\":\"basic\"}"));
        break;
    case 2:
        buf_add(
            out,
            S("\"type\":\"track\",\"event\":\"Products Searched\",\"properties\":{\"query\":\"blue thing\"}"));
        break;
    case 5: case 6: case 7:
    case 8: buf_add(out, S("\"type\":\"page\",\"name\":\"Home\",\"properties\":{\"path\":\"/\"}")); break;
    default:
        buf_printf(out, "\"type\":\"track\",\"event\":\"%s\",\"properties\":{",
                   kind == 3 || kind == 4 ? "Product Added" : "Product Viewed");
        product(b, out, person);
        buf_add(out, S("}"));
    }
    buf_printf(
        out,
        ",\"messageId\":\"node-%012lld\",\"timestamp\":\"%.*s\",\"context\":{\"library\":{\"name\":\"analytics-node\",\"version\":\"2.0\"},"
        "\"locale\":\"en-GB\",\"page\":{\"url\":\"https://shop.example/p/p%06u\",\"title\":\"A page\"}}}",
        (long long)b->number, STR_FMT(at), item);
    b->number++;
}

static void take(void *ctx, isize index, const struct event *e)
{
    struct bench *b = ctx;
    struct buf bytes = { .arena = &b->a };
    (void)index;
    event_encode(e, &bytes);
    b->entries[b->entries_n++] = (struct entry){ ENTRY_EVENT, buf_str(&bytes) };
}

static void refused(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    (void)ctx, (void)err, (void)event;
    (void)fprintf(stderr, "call %td was refused: %.*s\n", index, STR_FMT(reason));
    exit(1);
}

static void read_batch(struct bench *b, str body)
{
    const struct json *doc;
    struct ingest_envelope envelope = { .received_ms = b->now_ms,
                                        .source = S("shop"),
                                        .verified = !b->anonymous };
    struct ingest_sink sink = { b, take, refused, NULL };
    i64 began = clock_cpu_us();
    enum err err = json_parse(&b->a, body, &doc, NULL);
    if (!err) err = ingest_batch(&b->a, doc, &envelope, &sink, NULL);
    b->read_us += clock_cpu_us() - began;
    assert(!err);
}

/* In turn (so that everybody has as many), or at random. */
static void happen(struct bench *b, i64 events, i64 step_ms, bool in_turn)
{
    struct buf body = { 0 };
    i64 until = b->events + events;
    b->read_us = b->fold_us = b->store_us = 0;
    while (b->events < until) {
        b->now_ms += step_ms;
        str at = time_print(&b->a, b->now_ms);
        body.len = 0;
        buf_add(&body, S("{\"batch\":["));
        for (int i = 0; i < A_BATCH; i++, b->events++) {
            if (i) buf_add(&body, S(","));
            call(b, &body, in_turn ? (u32)(b->events % b->people) : rng_below(&b->rng, b->people), at);
        }
        buf_printf(&body, "],\"sentAt\":\"%.*s\"}", STR_FMT(at));
        read_batch(b, buf_str(&body));
        if (b->entries_n + A_BATCH <= A_RECORD) continue;
        fold_record(b);
        arena_clear(&b->a);
    }
    if (b->entries_n) fold_record(b);
    buf_fini(&body);
    rcu_settle();
}

/* ---- the two of them ------------------------------------------------------------------------- */

static bool bench_open(struct bench *b, int segments, const char *store)
{
    static int opened;
    struct diag diag = { .arena = &b->a };
    str log = arena_printf(&b->a, "mem:fold-bench-%d", opened++);
    struct fold_options options = {
        .config = &config, .clock = clock_system(), .log_uri = log.ptr, .store_path = store
    };
    b->rng = rng_seed(7);
    b->now_ms = BEGAN;
    if (fold_open(&options, &b->fold, &diag)) return false;
    open_shop(b, segments);
    return true;
}

static int bench_speed(u32 people, i64 events, int segments)
{
    struct bench b = { .people = people };
    char folder[] = "/tmp/opmaat-bench-XXXXXX", store[64];
    if (!mkdtemp(folder)) return 1;
    (void)snprintf(store, sizeof store, "%s/state.db", folder);
    if (!bench_open(&b, segments, store)) return 1;
    i64 timed = min_i64(people * events, TIMED_MAX);
    happen(&b, people * events, 1, false);
    happen(&b, timed, 1, false);
    struct hash128 digest = fold_digest(b.fold).all;
    (void)printf("# %u people with %lld events each, %d segments, digest %016llx\n", people,
                 (long long)events, segments, (unsigned long long)digest.hi);
    (void)printf("fold_read_us %.2f us of CPU an event, from JSON to the log's bytes\n",
                 (f64)b.read_us / (f64)timed);
    (void)printf("fold_event_us %.2f us of CPU an event, from the log's bytes to the state\n",
                 (f64)b.fold_us / (f64)timed);
    (void)printf(
        "fold_store_us %.2f us of CPU an event, from the state to SQLite, %d people at a time\n",
        (f64)b.store_us / (f64)timed, A_FLUSH);
    fold_close(b.fold);
    arena_fini(&b.a);
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (isize i = 0; i < countof(ends); i++) {
        (void)snprintf(store, sizeof store, "%s/state.db%s", folder, ends[i]);
        (void)unlink(store);
    }
    (void)rmdir(folder);
    return 0;
}

static i64 allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return (i64)(m.uordblks + m.hblkhd);
}

/* What it goes to, as far as blocks tell: by person. */
static void bench_parts(const struct fold *fold, u32 people)
{
    i64 bytes = 0, entries = 0, memberships = 0, traits = 0, links = 0, orders = 0;
    struct buf packed = { 0 };
    arena a = { 0 };
    for (u32 id = 1; id <= (u32)people_most(fold->live.people); id++) {
        const struct profile *p = people_get(fold->live.people, (person_id){ id }, &a);
        if (!p) continue;
        packed.len = 0;
        profile_encode(p, &packed);
        bytes += packed.len;
        entries += p->history_n;
        memberships += p->memberships_n;
        traits += p->traits_n;
        arena_clear(&a);
    }
    for (u32 id = 1; id <= (u32)identity_links_n(fold->live.identity); id++) {
        struct link link;
        packed.len = 0;
        if (identity_link(fold->live.identity, id, &link)) link_encode(&link, &packed);
        links += packed.len;
    }
    orders = rows_bytes(fold->orders.all);
    f64 n = people;
    (void)printf(
        "# a person: profile %.0f bytes (%.1f entries, %.1f memberships, %.1f facts), ledger %.0f (%.1f links), orders %.0f (%.1f), %.0f event keys, %.1f timers\n",
        (f64)bytes / n, (f64)entries / n, (f64)memberships / n, (f64)traits / n, (f64)links / n,
        (f64)identity_links_n(fold->live.identity) / n, (f64)orders / n,
        (f64)orders_n(&fold->orders) / n, (f64)seen_count(&fold->seen) / n,
        (f64)fold->timers.n / n);
    buf_fini(&packed);
    arena_fini(&a);
}

/* As many plain as a million of them would leave each, the rest cold. */
static void rest(struct bench *b)
{
    struct people *people = b->fold->live.people;
    i64 later_ms = b->now_ms + HOUR_MS, plain_most = (config.people_plain_mb << 20) * b->people / 1000000;
    while (people_cool(people, later_ms, plain_most, A_FLUSH)) {}
    people_learn(people);
    while (people_cool(people, later_ms, plain_most, A_FLUSH)) rcu_settle();
    rcu_settle();
}

static int bench_memory(const char *name, u32 people, i64 events, bool anonymous, int segments, i64 budget)
{
    struct bench b = { .people = people, .anonymous = anonymous };
    if (!bench_open(&b, segments, NULL)) return 1;
    arena_fini(&b.a);
    rcu_settle();                                       /* the books of before */
    i64 before = allocated();
    happen(&b, people * events, 50, true);
    arena_fini(&b.a);
    arena_fini(&b.fold->scratch);
    i64 awake = allocated() - before;
    rest(&b);
    struct people_bytes held = people_bytes(b.fold->live.people);
    (void)printf(
        "# %.0f bytes a person before they rest; then %.0f of people who are plain and %.0f of those who are cold, with what heads them\n",
        (f64)awake / people, (f64)held.plain / people, (f64)held.cold / people);
    (void)printf(
        "memory_%s_million %.0f MB a million, of %u with %lld events each in %d segments; budget %lld\n",
        name, (f64)(allocated() - before) / people, people, (long long)events, segments,
        (long long)budget);
    bench_parts(b.fold, people);
    fold_close(b.fold);
    arena_fini(&b.a);
    return 0;
}

int main(int argc, char **argv)
{
    config = config_default();
    rcu_thread_start();
    int failed;
    if (argc > 1 && str_eq(str_of(argv[1]), S("memory"))) {
        u32 people = argc > 2 ? (u32)strtoul(argv[2], NULL, 10) : 20000;
        str only = argc > 3 ? str_of(argv[3]) : S("");
        failed = str_eq(only, S("known")) ? 0 : bench_memory("anonymous", people, 10, true, 200, 400);
        failed |= str_eq(only, S("anonymous")) ? 0 : bench_memory("known", people, 100, false, 200, 1500);
    } else {
        failed = bench_speed(argc > 1 ? (u32)strtoul(argv[1], NULL, 10) : 5000,
                             argc > 2 ? strtoll(argv[2], NULL, 10) : 20,
                             argc > 3 ? (int)strtol(argv[3], NULL, 10) : 200);
    }
    rcu_thread_stop();
    return failed;
}
