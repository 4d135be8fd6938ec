/* SPDX-License-Identifier: Apache-2.0
 *
 * book.c - all published definitions, compiled into one immutable struct, or refused with reasons.
 *
 * A definition is compiled against the whole: a campaign names a placement and perhaps segments, a
 * key names a source. So publishing one is building the book anew with it in place, and the
 * reasons name the definition, the path in its document and, in a rule, the column.
 */
#include "decide/inside.h"
#include "ingest/ingest.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

static const struct rule *compile_rule(struct building *b, const struct json *text, enum rule_place place, const char *path)
{
    if (!text) return NULL;
    if (json_is(text, JSON_STR)) return building_rule(b, text->s, place, path);
    building_refuse(b, path, 0, "expected a rule as text");
    return NULL;
}

static i32 share(struct building *b, const struct json *v, i32 otherwise, const char *path)
{
    i32 parts = otherwise;
    if (v && !share_parse(json_str(v, S("")), &parts)) building_refuse(b, path, 0, "expected a share such as \"34%%\"");
    return parts;
}

static i64 instant(struct building *b, const struct json *v, const char *path)
{
    i64 at = 0;
    if (json_is(v, JSON_STR) && v->s.len && !time_parse(v->s, &at)) building_refuse(b, path, 0, "expected a time such as 2026-11-21T08:00:00Z");
    if (json_is(v, JSON_INT)) at = v->i;
    return at;
}

static str text_of(const struct json *doc, const char *name) { return json_str(json_get(doc, str_of(name)), S("")); }

/* ---- settings, sources, keys ------------------------------------------------------------------------ */

/* A fixed table, and a definition: a result must not change because a market did. */
static void read_rates(struct building *b, const struct json *doc, struct settings *s)
{
    json_each(row, json_get(doc, S("rates"))) {
        struct rate rate = { currency_of(row->key), json_num(row, 0) };
        if (rate.of.v == 0 || !(rate.rate > 0)) building_refuse(b, "rates", 0, "expected what one unit is worth here, such as {\"USD\": 0.92}");
        else if (s->rates_n == countof(s->rates)) building_refuse(b, "rates", 0, "there are at most %d", (int)countof(s->rates));
        else s->rates[s->rates_n++] = rate;
    }
    const struct json *cost = json_get(doc, S("programme_cost"));
    f64 units = json_num(cost, 0);
    if (cost && !json_is(cost, JSON_INT) && !json_is(cost, JSON_NUM) && !str_to_f64(json_str(cost, S("")), &units))
        building_refuse(b, "programme_cost", 0, "expected an amount such as \"1200.00\", in the shop's currency");
    s->programme_cost_minor = (i64)(units * 100 + 0.5);
}

/* "contacts": {"times": 3, "per": "7 days", "channels": ["email", "push"]}: at most so many of all campaigns together, a person. */
static void read_contacts(struct building *b, const struct json *contacts, struct settings *s)
{
    if (!contacts) return;
    i64 times = json_int(json_get(contacts, S("times")), 0);
    if (times < 1 || times > 200) building_refuse(b, "contacts.times", 0, "expected 1 to 200");
    s->contact_times = (i32)times;
    s->contact_period_ms = DAY_MS;
    if (!period_read(json_str(json_get(contacts, S("per")), S("1 day")), &s->contact_period_ms) || s->contact_period_ms == TIME_NEVER)
        building_refuse(b, "contacts.per", 0, "expected a time span such as \"24 hours\" or \"7 days\"");
    json_each(channel, json_get(contacts, S("channels"))) {
        if (s->contact_channels_n < countof(s->contact_channels)) s->contact_channels[s->contact_channels_n++] = json_str(channel, S(""));
        else building_refuse(b, "contacts.channels", 0, "at most 8 channels");
    }
}

static void build_settings(struct building *b)
{
    struct settings *s = &b->book->settings;
    *s = (struct settings){ .holdout = 500, .discount_quiet_days = 14, .repurchase_days = 180, .currency = currency_of(S("EUR")) };
    isize at = 0;
    const struct json *doc;
    while ((doc = building_next(b, "settings", &at))) {
        if (!str_eq(b->def->key, S("shop"))) continue;
        s->holdout = share(b, json_get(doc, S("holdout")), s->holdout, "holdout");
        s->discount_quiet_days = (i32)json_int(json_get(doc, S("discount_quiet_days")), s->discount_quiet_days);
        s->repurchase_days = (i32)json_int(json_get(doc, S("repurchase_days")), s->repurchase_days);
        s->zone_minutes = (i32)json_int(json_get(doc, S("zone_minutes")), 0);
        str code = text_of(doc, "currency");
        if (code.len && currency_of(code).v == 0) building_refuse(b, "currency", 0, "expected three letters such as EUR");
        if (code.len) s->currency = currency_of(code);
        read_rates(b, doc, s);
        read_contacts(b, json_get(doc, S("contacts")), s);
        s->path_prefix = text_of(doc, "path_prefix");
        s->no_root_aliases = !json_bool(json_get(doc, S("root_aliases")), true);
        str unknown = text_of(doc, "unknown_keys");
        s->ignore_unknown_keys = str_eq(unknown, S("ignore"));
        if (unknown.len && !s->ignore_unknown_keys && !str_eq(unknown, S("refuse"))) building_refuse(b, "unknown_keys", 0, "expected \"refuse\" or \"ignore\"");
        if (s->path_prefix.len && (s->path_prefix.ptr[0] != '/' || str_ends(s->path_prefix, S("/"))))
            building_refuse(b, "path_prefix", 0, "expected a path such as \"/px\", without a slash at its end");
        if (s->holdout > 5000) building_refuse(b, "holdout", 0, "at most 50%% can be held out");
    }
}

bool period_read(str text, i64 *ms)
{
    struct str_cut cut = str_cut(text, ' ');
    i64 n;
    static const struct { const char *unit; i64 ms; } units[] = { { "second", SECOND_MS }, { "minute", MINUTE_MS }, { "hour", HOUR_MS },
                                                                  { "day", DAY_MS }, { "week", 7 * DAY_MS } };
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
    if (v && !period_read(json_str(v, S("")), ms)) building_refuse(b, name, 0, "expected a time span such as \"90 seconds\", \"1 minute\", \"25 hours\" or \"never\"");
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
    s->purpose = text_of(doc, "purpose");
    s->expected_ms = MINUTE_MS;
    s->checks = (struct source_checks){ CHECK_WARN, CHECK_QUARANTINE, DAY_MS, TIME_NEVER };
    read_period(b, doc, "expected_every", &s->expected_ms);
    read_check(b, checks, "unknown_products", &s->checks.unknown_products);
    read_check(b, checks, "duplicate_orders", &s->checks.duplicate_orders);
    read_period(b, checks, "clock_ahead", &s->checks.clock_ahead_ms);
    read_period(b, checks, "clock_behind", &s->checks.clock_behind_ms);
    if (plan && plan_read(b->a, plan, &s->plan, &diag)) building_refuse(b, "plan", 0, "%.*s", STR_FMT(diag.what));
}

static void build_sources(struct building *b)
{
    struct book *book = b->book;
    book->sources = arena_new(b->a, struct source, SEGMENTS_MAX);
    isize at = 0;
    const struct json *doc;
    while ((doc = building_next(b, "source", &at)) && book->sources_n < SEGMENTS_MAX) {
        struct source *s = &book->sources[book->sources_n++];
        struct diag diag = { .arena = b->a };
        *s = (struct source){ .key = b->def->key, .title = json_str(json_get(doc, S("title")), b->def->key),
                              .owner = text_of(doc, "owner"), .identity_secret = text_of(doc, "identity_secret"),
                              .test = str_eq(text_of(doc, "environment"), S("test")), .number = b->def->number,
                              .currency = currency_of(text_of(doc, "currency")), .channel = CHANNEL_UNKNOWN };
        s->webhook = text_of(doc, "webhook");
        s->webhook_secrets[0] = text_of(doc, "webhook_secret");
        s->webhook_secrets[1] = text_of(doc, "webhook_secret_old");
        if (s->webhook.len && !str_eq(s->webhook, S("shopify")) && !str_eq(s->webhook, S("woocommerce")))
            building_refuse(b, "webhook", 0, "expected \"shopify\" or \"woocommerce\"");
        if (s->webhook.len && s->webhook_secrets[0].len == 0) building_refuse(b, "webhook_secret", 0, "webhooks need the secret they are signed with");
        str channel = text_of(doc, "channel");
        if (channel.len && !channel_of(channel, &s->channel)) building_refuse(b, "channel", 0, "there is no channel \"%.*s\"", STR_FMT(channel));
        if (basis_from_json(json_get(doc, S("basis")), &s->basis, &diag)) building_refuse(b, "basis", 0, "%.*s", STR_FMT(diag.what));
        if (s->currency.v == 0) s->currency = book->settings.currency;
        build_registry(b, doc, s);
    }
}

/* ---- files: what their columns mean, and where they are fetched --------------------------------------- */

static bool is_file_kind(str kind)
{
    static const char *const kinds[] = { "orders", "customers", "events", "products", "prices", "stock", "content" };
    for (isize i = 0; i < countof(kinds); i++)
        if (str_eq(kind, str_of(kinds[i]))) return true;
    return false;
}

/* As ingest would keep them, so that they compare. */
static void build_blocked(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->blocked = arena_new(b->a, struct blocked, SEGMENTS_MAX);
    while ((doc = building_next(b, "settings", &at))) {
        if (!str_eq(b->def->key, S("identity"))) continue;
        json_each(list, json_get(doc, S("blocked"))) {
            u8 kind;
            if (!identifier_kind_of(list->key, &kind)) { building_refuse(b, "blocked", 0, "there is no identifier kind \"%.*s\"", STR_FMT(list->key)); continue; }
            json_each(one, list) {
                str value = ingest_identifier(b->a, kind, json_text(b->a, one));
                if (value.len == 0 || book->blocked_n == SEGMENTS_MAX) { building_refuse(b, "blocked", 0, "\"%.*s\" identifies nobody anyway, or there are too many", STR_FMT(json_str(one, S("")))); continue; }
                book->blocked[book->blocked_n++] = (struct blocked){ kind, value };
            }
        }
    }
}

static void build_mappings(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->mappings = arena_new(b->a, struct mapping, SEGMENTS_MAX);
    while ((doc = building_next(b, "mapping", &at)) && book->mappings_n < SEGMENTS_MAX) {
        struct mapping *m = &book->mappings[book->mappings_n++];
        *m = (struct mapping){ b->def->key, text_of(doc, "of"), doc };
        if (!is_file_kind(m->of)) building_refuse(b, "of", 0, "of is orders, customers, events, products, prices, stock or content");
        if (json_get(doc, S("columns")) && !json_is(json_get(doc, S("columns")), JSON_OBJ)) building_refuse(b, "columns", 0, "columns is an object");
    }
}

static void build_feeds(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->feeds = arena_new(b->a, struct feed, SEGMENTS_MAX);
    while ((doc = building_next(b, "feed", &at)) && book->feeds_n < SEGMENTS_MAX) {
        struct feed *f = &book->feeds[book->feeds_n++];
        *f = (struct feed){ .key = b->def->key, .url = text_of(doc, "url"), .of = json_str(json_get(doc, S("of")), S("products")),
                            .source = json_str(json_get(doc, S("source")), b->def->key), .mode = json_str(json_get(doc, S("mode")), S("upsert")),
                            .map = text_of(doc, "map"), .every_ms = DAY_MS, .paused = b->def->paused };
        read_period(b, doc, "every", &f->every_ms);
        if (!str_starts(f->url, S("http://")) && !str_starts(f->url, S("https://"))) building_refuse(b, "url", 0, "expected an http or https address");
        if (!is_file_kind(f->of)) building_refuse(b, "of", 0, "of is orders, customers, events, products, prices, stock or content");
        if (!str_eq(f->mode, S("upsert")) && !str_eq(f->mode, S("replace")) && !str_eq(f->mode, S("delta")))
            building_refuse(b, "mode", 0, "mode is upsert, replace or delta");
        if (!book_source(book, f->source)) building_refuse(b, "source", 0, "there is no source \"%.*s\"", STR_FMT(f->source));
        if (f->map.len && !book_mapping(book, f->map)) building_refuse(b, "map", 0, "there is no mapping \"%.*s\"", STR_FMT(f->map));
    }
}

static struct hash128 key_hash(str key)
{
    u8 out[16];
    crypto_generichash(out, sizeof out, (const u8 *)key.ptr, (unsigned long long)key.len, NULL, 0);
    return (struct hash128){ load_u64le(out), load_u64le(out + 8) };
}

static bool hash_parse(str hex, struct hash128 *out)
{
    u8 bytes[16];
    size_t got;
    if (sodium_hex2bin(bytes, sizeof bytes, hex.ptr, (size_t)hex.len, NULL, &got, NULL) != 0 || got != sizeof bytes) return false;
    *out = (struct hash128){ load_u64le(bytes), load_u64le(bytes + 8) };
    return true;
}

str key_document(arena *a, str key, bool secret, str source, str owner)
{
    u8 bytes[16];
    struct hash128 h = key_hash(key);
    store_u64le(bytes, h.hi);
    store_u64le(bytes + 8, h.lo);
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    char hex[33];
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "hash", (str){ hex, 32 });
    jsonw_key_str(&w, "kind", secret ? S("secret") : S("write"));
    jsonw_key_str(&w, "source", source);
    jsonw_key_str(&w, "owner", owner);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void build_keys(struct building *b)
{
    struct book *book = b->book;
    book->keys = arena_new(b->a, struct api_key, KEYS_MAX);
    isize at = 0;
    const struct json *doc;
    while ((doc = building_next(b, "key", &at))) {
        if (book->keys_n == KEYS_MAX) { building_refuse(b, "", 0, "there are %d keys already, the most there can be", KEYS_MAX); return; }
        struct api_key *k = &book->keys[book->keys_n++];
        *k = (struct api_key){ .secret = str_eq(text_of(doc, "kind"), S("secret")), .prefix = b->def->key,
                               .owner = text_of(doc, "owner"), .paused = b->def->paused,
                               .source = book_source(book, text_of(doc, "source")) };
        if (!hash_parse(text_of(doc, "hash"), &k->hash)) building_refuse(b, "hash", 0, "expected 32 hexadecimal digits");
        if (!k->source) building_refuse(b, "source", 0, "there is no source \"%.*s\"", STR_FMT(text_of(doc, "source")));
    }
}

/* ---- strategies, placements, campaigns ----------------------------------------------------------------- */

/* One number a book, so that no answer given for one counts for another. A book that is only being tried keeps nothing: it would push out
 * what the published one has. */
static void keep_answers(const struct building *b)
{
    static _Atomic u32 books;
    struct book *book = b->book;
    u32 number = atomic_fetch_add(&books, 1) + 1;
    u8 place = 0;
    for (isize i = 0; !b->candidate && i < book->strategies_n && place < KEPT_PLACES; i++) {
        struct strategy *s = &book->strategies[i];
        if (s->filter && rule_is_of_item(s->filter, item_field_is_fixed)) s->kept = (struct kept_answers){ number, ++place };
    }
}

static void build_strategies(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->strategies = arena_new(b->a, struct strategy, PLACEMENTS_MAX);
    while ((doc = building_next(b, "strategy", &at)) && book->strategies_n < PLACEMENTS_MAX)
        b->failed |= strategy_read(b->a, doc, b->def->key, b->names, &book->strategies[book->strategies_n++], b->errors) != ERR_OK;
    keep_answers(b);
}

static bool has_strategy(const struct book *book, str key)
{
    return str_eq(key, S("for_you")) || str_eq(key, S("")) || book_strategy(book, key) != NULL;
}

static void build_placements(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->placements = arena_new(b->a, struct placement, PLACEMENTS_MAX);
    while ((doc = building_next(b, "placement", &at)) && book->placements_n < PLACEMENTS_MAX) {
        struct placement *p = &book->placements[book->placements_n++];
        *p = (struct placement){
            .id = b->def->id, .number = b->def->number, .key = b->def->key, .title = json_str(json_get(doc, S("title")), b->def->key),
            .channel = json_str(json_get(doc, S("channel")), S("web")), .family = json_str(json_get(doc, S("family")), b->def->key),
            .selector = text_of(doc, "selector"), .paused = b->def->paused || str_eq(text_of(doc, "state"), S("paused")),
            .schema = json_get(doc, S("schema")), .content = json_get(doc, S("default")), .strategy = text_of(doc, "strategy"),
            .min_items = (i32)json_int(json_get(doc, S("min_items")), 0), .hide_seen = json_bool(json_get(doc, S("hide_seen")), false),
        };
        if (!has_strategy(book, p->strategy)) building_refuse(b, "strategy", 0, "there is no strategy \"%.*s\"", STR_FMT(p->strategy));
    }
}

/* Content must answer to the placement's schema: each field known, of its kind; "?" marks one that may be missing. */
static void check_content(struct building *b, const struct placement *p, const struct json *content, const char *path)
{
    json_each(field, content)
        if (json_is(p->schema, JSON_OBJ) && !json_get(p->schema, field->key))
            building_refuse(b, path, 0, "placement %.*s has no field \"%.*s\"", STR_FMT(p->key), STR_FMT(field->key));
    json_each(field, p->schema) {
        bool optional = str_ends(json_str(field, S("")), S("?"));
        if (!optional && !json_get(content, field->key))
            building_refuse(b, path, 0, "the field \"%.*s\" is missing", STR_FMT(field->key));
    }
}

static void build_variation(struct building *b, const struct json *doc, const struct placement *p, struct variation *v, const char *path)
{
    static const char *const renders[] = { "content", "default", "passthrough" };
    str render = text_of(doc, "render");
    *v = (struct variation){ .key = text_of(doc, "key"), .content = json_get(doc, S("content")), .strategy = text_of(doc, "strategy"),
                             .control = json_bool(json_get(doc, S("control")), false) };
    for (u8 i = 0; i < countof(renders); i++)
        if (str_eq(render, str_of(renders[i]))) v->render = i;
    if (render.len && !str_eq(render, str_of(renders[v->render])))
        building_refuse(b, path, 0, "render is content, default or passthrough, not \"%.*s\"", STR_FMT(render));
    if (v->key.len == 0) building_refuse(b, path, 0, "a variation needs a key");
    v->share = share(b, json_get(doc, S("share")), -1, path);
    if (!has_strategy(b->book, v->strategy)) building_refuse(b, path, 0, "there is no strategy \"%.*s\"", STR_FMT(v->strategy));
    if (v->render == RENDER_CONTENT && p && v->strategy.len == 0) check_content(b, p, v->content, path);
}

/* What each arm gets; those that say nothing divide what is left. */
static isize read_shares(const struct json *variations, i32 *shares)
{
    isize n = 0, silent = 0;
    i32 left = BUCKETS;
    json_each(v, variations) {
        if (n == EXPERIENCE_VARIATIONS_MAX) break;
        if (!share_parse(json_str(json_get(v, S("share")), S("")), &shares[n])) shares[n] = -1;
        silent += shares[n] < 0;
        if (shares[n] > 0) left -= shares[n];
        n++;
    }
    for (isize i = 0; i < n; i++)
        if (shares[i] < 0) shares[i] = left > 0 ? left / (i32)silent : 0;
    return n;
}

static const struct json *experience_in(const struct json *doc, str key)
{
    json_each(x, json_get(doc, S("experiences")))
        if (str_eq(text_of(x, "key"), key)) return x;
    return NULL;
}

/* An arm's range keeps its start through every revision that was ever in force, so that a ramp moves only who must move. */
static void allocate(struct building *b, struct experience *x, const struct json *now, const char *path)
{
    i32 shares[EXPERIENCE_VARIATIONS_MAX];
    struct diag diag = { .arena = b->a };
    const struct json *before = NULL;
    enum err err = ERR_OK;
    for (isize i = 0; i <= b->def->publishes_n; i++) {
        const struct json *doc, *variations = now;
        if (i < b->def->publishes_n) {
            str text = b->def->revisions[b->def->publishes[i] - 1].document;
            if (json_parse(b->a, text, &doc, NULL)) continue;
            variations = json_get(experience_in(doc, x->key), S("variations"));
            if (!variations) continue;
        }
        isize n = read_shares(variations, shares);
        struct allocation old = x->allocation;
        err = experiment_continues(before, variations) ? experiment_reallocate(b->a, old, shares, n, &x->allocation, &diag)
                                                      : experiment_allocate(b->a, shares, n, &x->allocation, &diag);
        if (err && i < b->def->publishes_n) x->allocation = old;
        else before = variations;
    }
    if (err) { building_refuse(b, path, 0, "%.*s", STR_FMT(diag.what)); return; }
    (void)read_shares(now, shares);
    for (isize i = 0; i < x->variations_n; i++) x->variations[i].share = shares[i];
}

static void build_experience(struct building *b, const struct json *doc, const struct campaign *c, const struct placement *p,
                             struct experience *x, isize index)
{
    const char *path = arena_printf(b->a, "experiences[%lld]", (long long)index).ptr;
    const struct json *variations = json_get(doc, S("variations"));
    str choose = json_str(json_get(doc, S("choose")), S("fixed"));
    static const char *const ways[] = { "fixed", "experiment", "bandit", "contextual_bandit" };
    *x = (struct experience){ .key = text_of(doc, "key") };
    while (x->choose < countof(ways) && !str_eq(choose, str_of(ways[x->choose]))) x->choose++;
    if (x->choose == countof(ways)) {
        x->choose = CHOOSE_FIXED;
        building_refuse(b, path, 0, "choose is fixed, experiment, bandit or contextual_bandit, not \"%.*s\"", STR_FMT(choose));
    }
    if (x->key.len == 0) building_refuse(b, path, 0, "an experience needs a key");
    x->target = compile_rule(b, json_get(doc, S("target")), RULE_TARGET, arena_printf(b->a, "%s.target", path).ptr);
    x->holdout = share(b, json_get(doc, S("holdout")), 0, path);
    x->experiment_key = experiment_id_of(b->a, arena_printf(b->a, "campaign/%.*s/%.*s", STR_FMT(c->key), STR_FMT(x->key)));
    x->variations = arena_new(b->a, struct variation, EXPERIENCE_VARIATIONS_MAX);
    if (json_len(variations) < 1 || json_len(variations) > EXPERIENCE_VARIATIONS_MAX)
        building_refuse(b, path, 0, "an experience has 1 to %d variations", EXPERIENCE_VARIATIONS_MAX);
    json_each(v, variations) {
        if (x->variations_n == EXPERIENCE_VARIATIONS_MAX) break;
        str vpath = arena_printf(b->a, "%s.variations[%lld]", path, (long long)x->variations_n);
        build_variation(b, v, p, &x->variations[x->variations_n++], vpath.ptr);
    }
    if (x->choose != CHOOSE_FIXED && !b->failed) allocate(b, x, variations, path);
    bool control_said = false;
    for (isize i = 0; i < x->variations_n; i++) control_said |= x->variations[i].control;
    if (!control_said && x->variations_n) x->variations[0].control = true;
    if (x->choose != CHOOSE_BANDIT && x->choose != CHOOSE_CONTEXTUAL) return;
    struct diag diag = { .arena = b->a };
    if (adaptive_read(b->a, doc, x, &x->adaptive, &diag)) building_refuse(b, path, 0, "%.*s", STR_FMT(diag.what));
}

/* At most UPLIFTS_MAX campaigns have theirs, as each costs every person some bytes; it takes an experiment. */
static void build_uplift(struct building *b, const struct json *doc, struct campaign *c)
{
    const struct json *said = json_get(doc, S("uplift"));
    str outcome = json_str(json_get(said, S("outcome")), S("order"));
    isize wanted = 1;
    bool tests = false;
    if (!said || (json_is(said, JSON_BOOL) && !said->b)) return;
    c->uplift = (struct uplift_plan){ true, str_eq(outcome, S("click")), (i32)json_int(json_get(said, S("days")), 14) };
    if (!json_is(said, JSON_BOOL) && !json_is(said, JSON_OBJ)) building_refuse(b, "uplift", 0, "expected true, or {\"outcome\": \"order\", \"days\": 14}");
    if (!c->uplift.clicks && !str_eq(outcome, S("order"))) building_refuse(b, "uplift.outcome", 0, "outcome is order or click");
    if (c->uplift.days < 1 || c->uplift.days > 90) building_refuse(b, "uplift.days", 0, "days is 1 to 90");
    for (isize i = 0; i < c->experiences_n; i++) tests |= c->experiences[i].choose == CHOOSE_EXPERIMENT && c->experiences[i].variations_n > 1;
    if (!tests) building_refuse(b, "uplift", 0, "what a campaign changes is learnt from an experience that chooses by experiment, and this one has none");
    for (const struct campaign *other = b->book->campaigns; other < c; other++) wanted += other->uplift.wanted;
    if (wanted > UPLIFTS_MAX) building_refuse(b, "uplift", 0, "%d campaigns have theirs learnt already, the most there can be", UPLIFTS_MAX);
}

static void build_campaign(struct building *b, const struct json *doc, struct campaign *c)
{
    struct book *book = b->book;
    *c = (struct campaign){
        .id = b->def->id, .number = b->def->number, .key = b->def->key, .title = json_str(json_get(doc, S("title")), b->def->key),
        .goal = text_of(doc, "goal"), .metric = json_str(json_get(doc, S("metric")), S("order_rate")), .market = text_of(doc, "market"),
        .paused = b->def->paused, .discount = json_bool(json_get(doc, S("discount")), false),
        .discount_override = text_of(doc, "discount_override"), .starts_at_ms = instant(b, json_get(doc, S("starts_at")), "starts_at"),
        .ends_at_ms = instant(b, json_get(doc, S("ends_at")), "ends_at"), .priority = (i32)json_int(json_get(doc, S("priority")), 0),
    };
    str placement = text_of(doc, "placement");
    const struct placement *p = book_placement(book, placement);
    if (!p) building_refuse(b, "placement", 0, "there is no placement \"%.*s\"", STR_FMT(placement));
    else c->placement = (u16)(p - book->placements);
    if (c->goal.len == 0) building_refuse(b, "goal", 0, "say in a few words what the shopper gains from it");
    if (json_get(doc, S("discount_override")) && str_trim(c->discount_override).len == 0)
        building_refuse(b, "discount_override", 0, "say in a few words why this discount may follow a purchase");
    const struct json *cap = json_get(doc, S("cap"));
    if (cap) {
        c->cap_times = (i32)json_int(json_get(cap, S("times")), 0);
        if (c->cap_times < 1 || !period_read(json_str(json_get(cap, S("per")), S("1 day")), &c->cap_period_ms))
            building_refuse(b, "cap", 0, "expected {\"times\": 3, \"per\": \"1 day\"}");
    }
    const struct json *experiences = json_get(doc, S("experiences"));
    if (json_len(experiences) < 1 || json_len(experiences) > EXPERIENCES_MAX)
        building_refuse(b, "experiences", 0, "a campaign has 1 to %d experiences", EXPERIENCES_MAX);
    c->experiences = arena_new(b->a, struct experience, EXPERIENCES_MAX);
    json_each(x, experiences) {
        if (c->experiences_n == EXPERIENCES_MAX) break;
        build_experience(b, x, c, p, &c->experiences[c->experiences_n], c->experiences_n);
        c->experiences_n++;
    }
    build_uplift(b, doc, c);
}

static int by_priority(const void *x, const void *y)
{
    const struct campaign *a = x, *b = y;
    if (a->priority != b->priority) return a->priority > b->priority ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void build_campaigns(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->campaigns = arena_new(b->a, struct campaign, CAMPAIGNS_MAX);
    while ((doc = building_next(b, "campaign", &at)) && book->campaigns_n < CAMPAIGNS_MAX)
        build_campaign(b, doc, &book->campaigns[book->campaigns_n++]);
    qsort(book->campaigns, (size_t)book->campaigns_n, sizeof *book->campaigns, by_priority);
}

/* ---- connectors ------------------------------------------------------------------------------------------ */

static void build_connectors(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->connectors = arena_new(b->a, struct connector, CONNECTORS_MAX);
    while ((doc = building_next(b, "connector", &at))) {
        struct diag diag = { .arena = b->a };
        if (book->connectors_n == CONNECTORS_MAX) { building_refuse(b, "", 0, "there are %d connectors already, the most there can be", CONNECTORS_MAX); return; }
        struct connector *c = &book->connectors[book->connectors_n++];
        if (connector_read(doc, book->segments, c, &diag)) building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        c->id = b->def->id;
        c->number = b->def->number;
        c->key = b->def->key;
        c->paused = b->def->paused;
    }
}

static void build_quizzes(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->quizzes = arena_new(b->a, struct quiz, QUIZZES_MAX);
    while ((doc = building_next(b, "quiz", &at))) {
        struct diag diag = { .arena = b->a };
        if (book->quizzes_n == QUIZZES_MAX) { building_refuse(b, "", 0, "there are %d quizzes already, the most there can be", QUIZZES_MAX); return; }
        struct quiz *quiz = &book->quizzes[book->quizzes_n++];
        if (quiz_read(doc, quiz, &diag)) building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        quiz->key = b->def->key;
        quiz->paused = b->def->paused;
    }
}

enum err book_build(const struct definitions *definitions, const struct definition_candidate *candidate,
                    const struct rule_names *names, const u8 secret[32], u64 version, struct book **out,
                    struct definition_errors *errors)
{
    struct book *book = mem_new(sizeof *book);
    struct building b = { .book = book, .a = &book->arena, .definitions = definitions, .candidate = candidate, .names = names,
                          .errors = errors };
    *out = book;
    book->version = version;
    memcpy(book->secret, secret, sizeof book->secret);
    if (segment_set_build(&book->arena, definitions, candidate, names, &book->segments, errors)) return ERR_REFUSED;
    if (search_rules_build(&book->arena, definitions, candidate, names, &book->search, errors)) return ERR_REFUSED;
    build_settings(&b);
    build_sources(&b);
    build_keys(&b);
    build_blocked(&b);
    build_mappings(&b);
    build_feeds(&b);
    build_strategies(&b);
    build_placements(&b);
    build_campaigns(&b);
    build_connectors(&b);
    build_quizzes(&b);
    if (!book_build_flags(book, definitions, candidate, names, errors)) b.failed = true;
    return b.failed ? ERR_REFUSED : ERR_OK;
}

void book_free(struct book *book)
{
    if (!book) return;
    arena_fini(&book->arena);
    mem_free(book);
}

/* ---- looking up ------------------------------------------------------------------------------------------ */

const struct source *book_source(const struct book *book, str key)
{
    for (isize i = 0; i < book->sources_n; i++)
        if (str_eq(book->sources[i].key, key)) return &book->sources[i];
    return NULL;
}

const struct api_key *book_key(const struct book *book, str key)
{
    if (key.len == 0 || key.len > 200) return NULL;
    struct hash128 h = key_hash(key);
    for (isize i = 0; i < book->keys_n; i++)
        if (hash128_eq(book->keys[i].hash, h) && !book->keys[i].paused) return &book->keys[i];
    return NULL;
}

const struct placement *book_placement(const struct book *book, str key)
{
    for (isize i = 0; i < book->placements_n; i++)
        if (str_eq(book->placements[i].key, key)) return &book->placements[i];
    return NULL;
}

const struct campaign *book_campaign(const struct book *book, str key)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        if (str_eq(book->campaigns[i].key, key)) return &book->campaigns[i];
    return NULL;
}

const struct strategy *book_strategy(const struct book *book, str key)
{
    for (isize i = 0; i < book->strategies_n; i++)
        if (str_eq(book->strategies[i].key, key)) return &book->strategies[i];
    return NULL;
}

const struct connector *book_connector(const struct book *book, str key)
{
    for (isize i = 0; i < book->connectors_n; i++)
        if (str_eq(book->connectors[i].key, key)) return &book->connectors[i];
    return NULL;
}

const struct mapping *book_mapping(const struct book *book, str key)
{
    for (isize i = 0; i < book->mappings_n; i++)
        if (str_eq(book->mappings[i].key, key)) return &book->mappings[i];
    return NULL;
}

const struct quiz *book_quiz(const struct book *book, str key)
{
    for (isize i = 0; i < book->quizzes_n; i++)
        if (str_eq(book->quizzes[i].key, key)) return &book->quizzes[i];
    return NULL;
}
