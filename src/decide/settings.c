/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.c - what a shop says of itself: currency and rates, time zone, who is held out, how
 * often people are written to, who is nobody. */
#include "decide/inside.h"
#include "ingest/ingest.h"

/* A fixed table, and a definition: a result must not change because a market did. */
static void read_rates(struct building *b, const struct json *doc, struct settings *s)
{
    json_each(row, json_get(doc, S("rates"))) {
        struct rate rate = { currency_of(row->key), json_num(row, 0) };
        if (rate.of.v == 0 || !(rate.rate > 0))
            building_refuse(b, "rates", 0,
                            "expected what one unit is worth here, such as {\"USD\": 0.92}");
        else if (s->rates_n == countof(s->rates))
            building_refuse(b, "rates", 0, "there are at most %d", (int)countof(s->rates));
        else s->rates[s->rates_n++] = rate;
    }
    const struct json *cost = json_get(doc, S("programme_cost"));
    f64 units = json_num(cost, 0);
    if (cost && !json_is(cost, JSON_INT) && !json_is(cost, JSON_NUM)
        && !str_to_f64(json_str(cost, S("")), &units))
        building_refuse(b, "programme_cost", 0,
                        "expected an amount such as \"1200.00\", in the shop's currency");
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
    if (!period_read(json_str(json_get(contacts, S("per")), S("1 day")), &s->contact_period_ms)
        || s->contact_period_ms == TIME_NEVER)
        building_refuse(b, "contacts.per", 0, "expected a time span such as \"24 hours\" or \"7 days\"");
    json_each(channel, json_get(contacts, S("channels"))) {
        if (s->contact_channels_n < countof(s->contact_channels))
            s->contact_channels[s->contact_channels_n++] = json_str(channel, S(""));
        else building_refuse(b, "contacts.channels", 0, "at most 8 channels");
    }
}

void settings_build(struct building *b)
{
    struct settings *s = &b->book->settings;
    *s = (struct settings){ .holdout = 500, .discount_quiet_days = 14, .repurchase_days = 180, .currency = currency_of(S("EUR")) };
    isize at = 0;
    const struct json *doc;
    while ((doc = building_next(b, "settings", &at))) {
        if (!str_eq(b->def->key, S("shop"))) continue;
        s->holdout = building_share(b, json_get(doc, S("holdout")), s->holdout, "holdout");
        s->discount_quiet_days =
            (i32)json_int(json_get(doc, S("discount_quiet_days")), s->discount_quiet_days);
        s->repurchase_days = (i32)json_int(json_get(doc, S("repurchase_days")), s->repurchase_days);
        s->zone_minutes = (i32)json_int(json_get(doc, S("zone_minutes")), 0);
        str code = json_get_str(doc, "currency");
        if (code.len && currency_of(code).v == 0)
            building_refuse(b, "currency", 0, "expected three letters such as EUR");
        if (code.len) s->currency = currency_of(code);
        read_rates(b, doc, s);
        read_contacts(b, json_get(doc, S("contacts")), s);
        s->path_prefix = json_get_str(doc, "path_prefix");
        s->no_root_aliases = !json_bool(json_get(doc, S("root_aliases")), true);
        str unknown = json_get_str(doc, "unknown_keys");
        s->ignore_unknown_keys = str_eq(unknown, S("ignore"));
        if (unknown.len && !s->ignore_unknown_keys && !str_eq(unknown, S("refuse")))
            building_refuse(b, "unknown_keys", 0, "expected \"refuse\" or \"ignore\"");
        if (s->path_prefix.len && (s->path_prefix.ptr[0] != '/' || str_ends(s->path_prefix, S("/"))))
            building_refuse(b, "path_prefix", 0,
                            "expected a path such as \"/px\", without a slash at its end");
        if (s->holdout > 5000) building_refuse(b, "holdout", 0, "at most 50%% can be held out");
    }
}

/* As ingest would keep them, so that they compare. */
void blocked_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    book->blocked = arena_new(b->a, struct blocked, SEGMENTS_MAX);
    while ((doc = building_next(b, "settings", &at))) {
        if (!str_eq(b->def->key, S("identity"))) continue;
        json_each(list, json_get(doc, S("blocked"))) {
            u8 kind;
            if (!identifier_kind_of(list->key, &kind)) {
                building_refuse(b, "blocked", 0, "there is no identifier kind \"%.*s\"",
                                STR_FMT(list->key));
                continue;
            }
            json_each(one, list) {
                str value = ingest_identifier(b->a, kind, json_text(b->a, one));
                if (value.len == 0 || book->blocked_n == SEGMENTS_MAX) {
                    building_refuse(b, "blocked", 0,
                                    "\"%.*s\" identifies nobody anyway, or there are too many",
                                    STR_FMT(json_str(one, S(""))));
                    continue;
                }
                book->blocked[book->blocked_n++] = (struct blocked){ kind, value };
            }
        }
    }
}
