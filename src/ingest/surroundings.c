/* SPDX-License-Identifier: Apache-2.0
 *
 * surroundings.c - where and how an event happened: page, campaign, device, channel, consent.
 *
 * Consent. Three dialects are understood, by purpose_alias.def: Segment's
 * context.consent.categoryPreferences {category: bool}, RudderStack's context.consentManagement
 * {allowedConsentIds, deniedConsentIds}, and Google's consent mode v2 {ad_storage: "granted", …} in
 * context.consent.google or in context.consent itself. A name that is none of ours says nothing.
 * Several names of one purpose, or several dialects: a single no is a no. Sec-GPC is a no to
 * ads_sharing.
 */
#include "ingest/reading.h"

/* ---- consent ------------------------------------------------------------------------------- */

static isize squeeze(str name, char *out, isize cap)
{
    isize n = 0;
    for (isize i = 0; i < name.len && n < cap; i++) {
        char c = name.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
    }
    return n;
}

static u16 purpose_bit(str name)
{
    static const struct { const char *name; u8 purpose; } aliases[] = {
#define ALIAS(name, purpose) { name, PURPOSE_##purpose },
#include "ingest/purpose_alias.def"
#undef ALIAS
    };
    char sent[48], known[48];
    str s = { sent, squeeze(name, sent, countof(sent)) };
    for (isize i = 0; s.len && i < countof(aliases); i++)
        if (str_eq(s, (str){ known, squeeze(str_of(aliases[i].name), known, countof(known)) })) return (u16)(1 << aliases[i].purpose);
    return 0;
}

/* 1 yes, -1 no, 0 says nothing. */
static int answer_of(const struct json *v)
{
    if (json_is(v, JSON_BOOL)) return v->b ? 1 : -1;
    str word = json_str(v, S(""));
    if (str_eq_nocase(word, S("granted")) || str_eq_nocase(word, S("true")) || str_eq_nocase(word, S("yes"))) return 1;
    if (str_eq_nocase(word, S("denied")) || str_eq_nocase(word, S("false")) || str_eq_nocase(word, S("no"))) return -1;
    return 0;
}

static bool by_answers(const struct json *object, u16 *granted, u16 *denied)
{
    bool said = false;
    if (!json_is(object, JSON_OBJ)) return false;
    json_each(one, object) {
        u16 bit = purpose_bit(one->key);
        int answer = answer_of(one);
        if (!bit || !answer) continue;
        *(answer > 0 ? granted : denied) |= bit;
        said = true;
    }
    return said;
}

static bool by_names(const struct json *list, u16 *set)
{
    bool said = false;
    if (!json_is(list, JSON_ARR)) return false;
    json_each(one, list) {
        u16 bit = purpose_bit(json_str(one, S("")));
        *set |= bit;
        said |= bit != 0;
    }
    return said;
}

str ingest_consent(const struct json *context, u16 *granted, u16 *denied)
{
    str dialect = S("");
    const struct json *consent = json_get(context, S("consent")), *management = json_get(context, S("consentManagement"));
    if (by_answers(json_get(consent, S("google")), granted, denied)) dialect = S("google");
    if (by_answers(consent, granted, denied)) dialect = S("google");
    bool named = by_names(json_get(management, S("allowedConsentIds")), granted);
    named |= by_names(json_get(management, S("deniedConsentIds")), denied);
    if (named) dialect = S("rudderstack");
    if (by_answers(json_get(consent, S("categoryPreferences")), granted, denied)) dialect = S("segment");
    *granted &= (u16)~*denied;
    return dialect;
}

static void read_consent(struct reading *r)
{
    struct event *e = r->out;
    str dialect = ingest_consent(r->context, &e->consent_granted, &e->consent_denied);
    if (dialect.len == 0) dialect = ingest_consent(r->envelope->context, &e->consent_granted, &e->consent_denied);
    bool ours = str_starts(json_str(context_get(r, "library.name"), S("")), S("opmaat"));
    e->consent_source = dialect.len && ours ? S("tag") : dialect;
    if (!r->envelope->sec_gpc) return;
    u16 ads = 1 << PURPOSE_ADS_SHARING;
    e->consent_denied |= ads;
    e->consent_granted &= (u16)~ads;
    if (e->consent_source.len == 0) e->consent_source = S("gpc");
}

/* ---- who is asking ------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static isize find_nocase(str s, str needle, isize from)
{
    for (isize i = from; i + needle.len <= s.len; i++) {
        isize k = 0;
        while (k < needle.len && lower(s.ptr[i + k]) == needle.ptr[k]) k++;
        if (k == needle.len) return i;
    }
    return -1;
}

bool ingest_is_bot(str agent)
{
    static const str words[] = {
        S_INIT("crawler"), S_INIT("spider"), S_INIT("slurp"), S_INIT("facebookexternalhit"), S_INIT("mediapartners-google"),
        S_INIT("lighthouse"), S_INIT("pingdom"), S_INIT("bingpreview"), S_INIT("google-read-aloud"), S_INIT("feedfetcher"),
    };
    for (isize i = 0; i < countof(words); i++)
        if (find_nocase(agent, words[i], 0) >= 0) return true;
    /* "Googlebot/2.1", "GPTBot;": the word ends there; and "CUBOT" is a telephone. */
    for (isize at = 0; (at = find_nocase(agent, S("bot"), at)) >= 0; at += 3) {
        char next = at + 3 < agent.len ? lower(agent.ptr[at + 3]) : ' ';
        bool telephone = at >= 2 && find_nocase(str_slice(agent, at - 2, at), S("cu"), 0) == 0;
        if (!(next >= 'a' && next <= 'z') && !telephone) return true;
    }
    return false;
}

static str device_of(str agent)
{
    if (agent.len == 0) return S("");
    if (find_nocase(agent, S("ipad"), 0) >= 0 || find_nocase(agent, S("tablet"), 0) >= 0) return S("tablet");
    if (find_nocase(agent, S("mobi"), 0) >= 0 || find_nocase(agent, S("iphone"), 0) >= 0) return S("mobile");
    if (find_nocase(agent, S("android"), 0) >= 0) return S("tablet");   /* Android without "Mobile" */
    return find_nocase(agent, S("mozilla/"), 0) == 0 ? S("desktop") : S("");
}

static bool channel_named(str name, u8 *out)
{
    static const struct { str name; u8 channel; } more[] = {
        { S_INIT("mobile"), CHANNEL_APP }, { S_INIT("browser"), CHANNEL_WEB }, { S_INIT("in_store"), CHANNEL_POS },
        { S_INIT("store"), CHANNEL_POS }, { S_INIT("client"), CHANNEL_WEB },
    };
    if (name.len == 0) return false;
    if (channel_of(name, out) && *out != CHANNEL_UNKNOWN) return true;
    for (isize i = 0; i < countof(more); i++)
        if (str_eq_nocase(name, more[i].name)) { *out = more[i].channel; return true; }
    return false;
}

/* By what SDKs call themselves in context.library.name. */
static u8 channel_of_library(str library)
{
    static const struct { str part; u8 channel; } known[] = {
        { S_INIT("node"), CHANNEL_SERVER }, { S_INIT("python"), CHANNEL_SERVER }, { S_INIT("java-"), CHANNEL_SERVER },
        { S_INIT("ruby"), CHANNEL_SERVER }, { S_INIT("php"), CHANNEL_SERVER }, { S_INIT("analytics-go"), CHANNEL_SERVER },
        { S_INIT("ios"), CHANNEL_APP }, { S_INIT("android"), CHANNEL_APP }, { S_INIT("react-native"), CHANNEL_APP },
        { S_INIT("flutter"), CHANNEL_APP }, { S_INIT("swift"), CHANNEL_APP }, { S_INIT("kotlin"), CHANNEL_APP },
        { S_INIT("javascript"), CHANNEL_WEB }, { S_INIT("analytics.js"), CHANNEL_WEB }, { S_INIT("analytics-next"), CHANNEL_WEB },
        { S_INIT("opmaat-tag"), CHANNEL_WEB },
    };
    for (isize i = 0; i < countof(known); i++)
        if (find_nocase(library, known[i].part, 0) >= 0) return known[i].channel;
    return CHANNEL_UNKNOWN;
}

static u8 channel_of_event(struct reading *r)
{
    u8 channel;
    if (channel_named(text_of(r, json_get(r->properties, S("channel"))), &channel)) return channel;
    if (channel_named(text_of(r, context_get(r, "channel")), &channel)) return channel;
    if (r->envelope->channel != CHANNEL_UNKNOWN) return r->envelope->channel;
    if (channel_named(text_of(r, json_get(r->event, S("channel"))), &channel)) return channel;
    channel = channel_of_library(json_str(context_get(r, "library.name"), S("")));
    if (channel != CHANNEL_UNKNOWN) return channel;
    if (r->out->type == EVENT_SCREEN_VIEWED) return CHANNEL_APP;
    return context_get(r, "page") ? CHANNEL_WEB : CHANNEL_UNKNOWN;
}

/* ---- where they came from ------------------------------------------------------------------ */

/* The value of a name in an address' query, percent-decoded. */
static str query_value(struct reading *r, str url, str name)
{
    str rest = str_cut(str_cut(url, '#').head, '?').tail;
    while (rest.len > 0) {
        struct str_cut pair = str_cut(rest, '&');
        rest = pair.tail;
        struct str_cut one = str_cut(pair.head, '=');
        if (!str_eq(one.head, name)) continue;
        char *text = arena_new(r->a, char, one.tail.len + 1);
        isize n = 0;
        for (isize i = 0; i < one.tail.len; i++) {
            char c = one.tail.ptr[i];
            int hi = 0, lo = 0;
            bool escape = c == '%' && i + 2 < one.tail.len;
            for (int k = 1; escape && k <= 2; k++) {
                char x = lower(one.tail.ptr[i + k]);
                int digit = x >= '0' && x <= '9' ? x - '0' : x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
                if (digit < 0) escape = false;
                if (k == 1) hi = digit; else lo = digit;
            }
            text[n++] = escape ? (char)(hi * 16 + lo) : c == '+' ? ' ' : c;
            if (escape) i += 2;
        }
        return str_is_utf8((str){ text, n }) ? (str){ text, n } : S("");
    }
    return S("");
}

static void read_campaign(struct reading *r)
{
    struct event *e = r->out;
    struct { const char *path; str name; str *to; } utm[] = {
        { "campaign.source", S("utm_source"), &e->utm_source },
        { "campaign.medium", S("utm_medium"), &e->utm_medium },
        { "campaign.name", S("utm_campaign"), &e->utm_campaign },
    };
    for (isize i = 0; i < countof(utm); i++) {
        *utm[i].to = text_of(r, context_get(r, utm[i].path));
        if (utm[i].to->len == 0) *utm[i].to = query_value(r, e->url, utm[i].name);
    }
    static const char *const clicks[] = { "gclid", "fbclid", "msclkid", "ttclid", "wbraid", "gbraid" };
    for (isize i = 0; i < countof(clicks) && e->click_id.len == 0; i++) {
        str id = query_value(r, e->url, str_of(clicks[i]));
        if (id.len == 0) id = text_of(r, json_either(json_get(r->properties, str_of(clicks[i])),
                                                     context_get(r, arena_printf(r->a, "campaign.%s", clicks[i]).ptr)));
        if (id.len) e->click_id = arena_printf(r->a, "%s=%.*s", clicks[i], STR_FMT(id));
    }
}

void read_surroundings(struct reading *r)
{
    struct event *e = r->out;
    const struct json *p = r->properties;
    bool page = e->type == EVENT_PAGE_VIEWED;
    str own = text_of(r, json_get(p, S("url"))), around = text_of(r, context_get(r, "page.url"));
    e->url = page && own.len ? own : around;            /* a product event's own url is the product's */
    if (e->url.len == 0 && e->items_n == 0) e->url = own;
    e->referrer = text_of(r, json_either(page ? json_get(p, S("referrer")) : NULL, context_get(r, "page.referrer")));
    if (str_eq(e->referrer, S("$direct"))) e->referrer = S("");
    read_campaign(r);
    e->session = text_of(r, json_either(context_get(r, "sessionId"), context_get(r, "session_id")));
    e->locale = text_of(r, context_get(r, "locale"));
    e->market = text_of(r, json_either(context_get(r, "market"), json_get(p, S("market"))));
    e->country = text_of(r, json_either(context_get(r, "location.country"), context_get(r, "country")));
    if (e->country.len == 0 && e->type == EVENT_IDENTIFIED) e->country = text_of(r, json_path(r->event, "traits.address.country"));
    e->store = text_of(r, json_either(context_get(r, "store"), json_any(p, "store store_id")));
    e->channel = channel_of_event(r);

    str agent = json_str(context_get(r, "userAgent"), S(""));
    str kind = text_of(r, context_get(r, "device.type"));
    bool ours = str_eq(kind, S("mobile")) || str_eq(kind, S("tablet")) || str_eq(kind, S("desktop"));
    e->device = ours ? kind : kind.len ? S("mobile") : device_of(agent);    /* mobile SDKs say "ios", "android" */
    if (agent.len == 0 && !r->envelope->verified) agent = r->envelope->user_agent;
    if (ingest_is_bot(agent)) {
        e->flags |= EVENT_BOT;
        count_one(r, bots);
    }
    read_consent(r);
}
