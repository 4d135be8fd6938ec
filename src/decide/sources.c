/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c - where data comes from: sources with what is expected of them, and files with what
 * their columns mean and where they are fetched. */
#include "decide/inside.h"
#include "ingest/ingest.h"

bool period_read(str text, i64 *ms)
{
    struct str_cut cut = str_cut(text, ' ');
    i64 n;
    static const struct {
        const char *unit;
        i64 ms;
    } units[] = { { "second", SECOND_MS },
                  { "minute", MINUTE_MS },
                  { "hour", HOUR_MS },
                  { "day", DAY_MS },
                  { "week", 7 * DAY_MS } };
    *ms = TIME_NEVER;
    if (str_eq(text, S("never"))) return true;
    if (!str_to_i64(cut.head, &n) || n < 1 || n > 1000000) return false;
    for (isize i = 0; i < countof(units); i++)
        if (str_starts(cut.tail, str_of(units[i].unit))) { *ms = n * units[i].ms; return true; }
    return false;
}

static void read_period(struct building *b, const struct json *doc, const char *name, i64 *ms)
{
    const struct json *v = json_get(doc, str_of(name));
    if (v && !period_read(json_str(v, S("")), ms))
        building_refuse(
            b, name, 0,
            "expected a time span such as \"90 seconds\", \"1 minute\", \"25 hours\" or \"never\"");
}

static void read_check(struct building *b, const struct json *doc, const char *name, u8 *check)
{
    static const char *const words[] = { "allow", "warn", "quarantine" };
    const struct json *v = json_get(doc, str_of(name));
    u8 at = 0;
    while (v && at < countof(words) && !str_eq(json_str(v, S("")), str_of(words[at]))) at++;
    if (v && at == countof(words)) building_refuse(b, name, 0, "expected allow, warn or quarantine");
    else if (v) *check = at;
}

/* What is expected of a source, and what its events are checked for. */
static void build_registry(struct building *b, const struct json *doc, struct source *s)
{
    const struct json *plan = json_get(doc, S("plan")), *checks = json_get(doc, S("checks"));
    struct diag diag = { .arena = b->a };
    s->purpose = json_get_str(doc, "purpose");
    s->expected_ms = MINUTE_MS;
    s->checks = (struct source_checks){ CHECK_WARN, CHECK_QUARANTINE, DAY_MS, TIME_NEVER };
    read_period(b, doc, "expected_every", &s->expected_ms);
    read_check(b, checks, "unknown_products", &s->checks.unknown_products);
    read_check(b, checks, "duplicate_orders", &s->checks.duplicate_orders);
    read_period(b, checks, "clock_ahead", &s->checks.clock_ahead_ms);
    read_period(b, checks, "clock_behind", &s->checks.clock_behind_ms);
    if (plan && plan_read(b->a, plan, &s->plan, &diag))
        building_refuse(b, "plan", 0, "%.*s", STR_FMT(diag.what));
}

void sources_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "source", SEGMENTS_MAX);
    book->sources = arena_new(b->a, struct source, room);
    while (book->sources_n < room && (doc = building_next(b, "source", &at))) {
        struct source *s = &book->sources[book->sources_n++];
        struct diag diag = { .arena = b->a };
        *s = (struct source){ .key = b->def->key,
                              .title = json_str(json_get(doc, S("title")), b->def->key),
                              .owner = json_get_str(doc, "owner"),
                              .identity_secret = json_get_str(doc, "identity_secret"),
                              .test = str_eq(json_get_str(doc, "environment"), S("test")),
                              .number = b->def->number,
                              .currency = currency_of(json_get_str(doc, "currency")),
                              .channel = CHANNEL_UNKNOWN };
        s->webhook = json_get_str(doc, "webhook");
        s->webhook_secrets[0] = json_get_str(doc, "webhook_secret");
        s->webhook_secrets[1] = json_get_str(doc, "webhook_secret_old");
        if (s->webhook.len && !str_eq(s->webhook, S("shopify")) && !str_eq(s->webhook, S("woocommerce")))
            building_refuse(b, "webhook", 0, "expected \"shopify\" or \"woocommerce\"");
        if (s->webhook.len && s->webhook_secrets[0].len == 0)
            building_refuse(b, "webhook_secret", 0,
                            "webhooks need the secret they are signed with");
        str channel = json_get_str(doc, "channel");
        if (channel.len && !channel_of(channel, &s->channel))
            building_refuse(b, "channel", 0, "there is no channel \"%.*s\"", STR_FMT(channel));
        if (basis_from_json(json_get(doc, S("basis")), &s->basis, &diag))
            building_refuse(b, "basis", 0, "%.*s", STR_FMT(diag.what));
        if (s->currency.v == 0) s->currency = book->settings.currency;
        build_registry(b, doc, s);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool is_file_kind(str kind)
{
    static const char *const kinds[] = { "orders", "customers", "events", "products",
                                         "prices", "stock",     "content" };
    for (isize i = 0; i < countof(kinds); i++)
        if (str_eq(kind, str_of(kinds[i]))) return true;
    return false;
}

void mappings_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "mapping", SEGMENTS_MAX);
    book->mappings = arena_new(b->a, struct mapping, room);
    while (book->mappings_n < room && (doc = building_next(b, "mapping", &at))) {
        struct mapping *m = &book->mappings[book->mappings_n++];
        *m = (struct mapping){ b->def->key, json_get_str(doc, "of"), doc };
        if (!is_file_kind(m->of))
            building_refuse(b, "of", 0,
                            "of is orders, customers, events, products, prices, stock or content");
        if (json_get(doc, S("columns")) && !json_is(json_get(doc, S("columns")), JSON_OBJ))
            building_refuse(b, "columns", 0, "columns is an object");
    }
}

void feeds_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "feed", SEGMENTS_MAX);
    book->feeds = arena_new(b->a, struct feed, room);
    while (book->feeds_n < room && (doc = building_next(b, "feed", &at))) {
        struct feed *f = &book->feeds[book->feeds_n++];
        *f = (struct feed){ .key = b->def->key,
                            .url = json_get_str(doc, "url"),
                            .of = json_str(json_get(doc, S("of")), S("products")),
                            .source = json_str(json_get(doc, S("source")), b->def->key),
                            .mode = json_str(json_get(doc, S("mode")), S("upsert")),
                            .map = json_get_str(doc, "map"),
                            .every_ms = DAY_MS,
                            .paused = b->def->paused };
        read_period(b, doc, "every", &f->every_ms);
        if (!str_starts(f->url, S("http://")) && !str_starts(f->url, S("https://")))
            building_refuse(b, "url", 0, "expected an http or https address");
        if (!is_file_kind(f->of))
            building_refuse(b, "of", 0,
                            "of is orders, customers, events, products, prices, stock or content");
        if (!str_eq(f->mode, S("upsert")) && !str_eq(f->mode, S("replace")) && !str_eq(f->mode, S("delta")))
            building_refuse(b, "mode", 0, "mode is upsert, replace or delta");
        if (!book_source(book, f->source))
            building_refuse(b, "source", 0, "there is no source \"%.*s\"", STR_FMT(f->source));
        if (f->map.len && !book_mapping(book, f->map))
            building_refuse(b, "map", 0, "there is no mapping \"%.*s\"", STR_FMT(f->map));
    }
}
