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

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* ---- consent ------------------------------------------------------------------------------- */

/* Letters and digits the same, any case, whatever stands between them. */
static bool same_word(const char *known, str sent)
{
    isize at = 0;
    for (;; known++) {
        char c = lower(*known);
        bool counts = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (*known && !counts) continue;
        char other = 0;
        for (; at < sent.len && !other; at++) {
            char x = lower(sent.ptr[at]);
            if ((x >= 'a' && x <= 'z') || (x >= '0' && x <= '9')) other = x;
        }
        if (!*known || other != c) return !*known && !other;
    }
}

static u16 purpose_bit(str name)
{
    static const struct { const char *name; u8 purpose; } aliases[] = {
#define ALIAS(name, purpose) { name, PURPOSE_##purpose },
#include "ingest/purpose_alias.def"
#undef ALIAS
    };
    for (isize i = 0; name.len && i < countof(aliases); i++)
        if (lower(aliases[i].name[0]) == lower(name.ptr[0]) && same_word(aliases[i].name, name))
            return (u16)(1 << aliases[i].purpose);
    return 0;
}

/* 1 yes, -1 no, 0 says nothing. */
static int answer_of(const struct json *v)
{
    if (json_is(v, JSON_BOOL)) return v->b ? 1 : -1;
    str word = json_str(v, S(""));
    if (str_eq_nocase(word, S("granted")) || str_eq_nocase(word, S("true"))
        || str_eq_nocase(word, S("yes")))
        return 1;
    if (str_eq_nocase(word, S("denied")) || str_eq_nocase(word, S("false"))
        || str_eq_nocase(word, S("no")))
        return -1;
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
    const struct json *consent = json_get(context, S("consent")),
                      *management = json_get(context, S("consentManagement"));
    if (by_answers(json_get(consent, S("google")), granted, denied)) dialect = S("google");
    if (by_answers(consent, granted, denied)) dialect = S("google");
    bool named = by_names(json_get(management, S("allowedConsentIds")), granted);
    named |= by_names(json_get(management, S("deniedConsentIds")), denied);
    if (named) dialect = S("rudderstack");
    if (by_answers(json_get(consent, S("categoryPreferences")), granted, denied)) dialect = S("segment");
    *granted &= (u16)~*denied;
    return dialect;
}

/* Where it happened, nearer than the country: facts of the person that are seen, not said. */
static void read_place(struct reading *r)
{
    static const struct { const char *path, *name; bool number; f64 most; } places[] = {
        { "location.region", "seen.region", false, 0 }, { "location.city", "seen.city", false, 0 },
        { "location.latitude", "seen.latitude", true, 90 }, { "location.longitude", "seen.longitude", true, 180 },
    };
    struct event *e = r->out;
    struct fact *wide = NULL;
    if (!context_get(r, "location")) return;
    for (isize i = 0; i < countof(places) && e->traits_n < EVENT_TRAITS_MAX; i++) {
        const struct json *v = context_get(r, places[i].path);
        struct fact fact = { .name = str_of(places[i].name),
                             .kind = places[i].number ? FACT_NUMBER : FACT_TEXT };
        fact.n = json_num(v, 1e9);
        fact.text = places[i].number ? S("") : text_of(r, v);
        if (places[i].number ? !(fact.n >= -places[i].most && fact.n <= places[i].most)
                             : fact.text.len == 0)
            continue;
        if (!wide) {
            wide = arena_new(r->a, struct fact, e->traits_n + countof(places));
            if (e->traits_n) memcpy(wide, e->traits, (size_t)e->traits_n * sizeof *wide);
            e->traits = wide;
        }
        e->traits[e->traits_n++] = fact;
    }
}

static void read_consent(struct reading *r)
{
    struct event *e = r->out;
    str dialect = ingest_consent(r->context, &e->consent_granted, &e->consent_denied);
    if (dialect.len == 0)
        dialect = ingest_consent(r->envelope->context, &e->consent_granted, &e->consent_denied);
    bool ours = str_starts(json_str(context_get(r, "library.name"), S("")), S("opmaat"));
    e->consent_source = dialect.len && ours ? S("tag") : dialect;
    if (!r->envelope->sec_gpc) return;
    u16 ads = 1 << PURPOSE_ADS_SHARING;
    e->consent_denied |= ads;
    e->consent_granted &= (u16)~ads;
    if (e->consent_source.len == 0) e->consent_source = S("gpc");
}

/* ---- who is asking ------------------------------------------------------------------------- */

enum { AGENT_BYTES_MAX = 512 };

/* The first bytes in lower case, to look for words in. */
static str lowered(str s, char out[AGENT_BYTES_MAX])
{
    isize n = min_isize(s.len, AGENT_BYTES_MAX);
    for (isize i = 0; i < n; i++) out[i] = lower(s.ptr[i]);
    return (str){ out, n };
}

enum agent_says { SAYS_BOT = 1, SAYS_TABLET = 2, SAYS_MOBILE = 4, SAYS_ANDROID = 8 };

static const struct { str word; u32 says;
} agent_words[] = {
    { S_INIT("crawler"), SAYS_BOT },
    { S_INIT("spider"), SAYS_BOT },
    { S_INIT("slurp"), SAYS_BOT },
    { S_INIT("facebookexternalhit"), SAYS_BOT },
    { S_INIT("mediapartners-google"), SAYS_BOT },
    { S_INIT("lighthouse"), SAYS_BOT },
    { S_INIT("pingdom"), SAYS_BOT },
    { S_INIT("bingpreview"), SAYS_BOT },
    { S_INIT("google-read-aloud"), SAYS_BOT },
    { S_INIT("feedfetcher"), SAYS_BOT },
    { S_INIT("bot"), SAYS_BOT },
    { S_INIT("ipad"), SAYS_TABLET },
    { S_INIT("tablet"), SAYS_TABLET },
    { S_INIT("mobi"), SAYS_MOBILE },
    { S_INIT("iphone"), SAYS_MOBILE },
    { S_INIT("android"), SAYS_ANDROID },
};

/* "googlebot/2.1", "gptbot;": the word ends there; and "cubot" is a telephone. */
static bool ends_as_bot(str agent, isize at)
{
    char next = at + 3 < agent.len ? agent.ptr[at + 3] : ' ';
    return !(next >= 'a' && next <= 'z') && !str_ends(str_slice(agent, 0, at), S("cu"));
}

/* One walk for all the words. */
static u32 agent_says(str agent)
{
    u32 says = 0, begins = 0;
    for (isize k = 0; k < countof(agent_words); k++) begins |= 1u << (agent_words[k].word.ptr[0] - 'a');
    for (isize i = 0; i + 2 < agent.len; i++) {
        char c = agent.ptr[i];
        if (c < 'a' || c > 'z' || !(begins >> (c - 'a') & 1)) continue;
        for (isize k = 0; k < countof(agent_words); k++) {
            str word = agent_words[k].word;
            if (word.ptr[0] != c || word.ptr[1] != agent.ptr[i + 1]
                || !str_starts(str_from(agent, i), word))
                continue;
            if (word.len > 3 || ends_as_bot(agent, i)) says |= agent_words[k].says;
        }
    }
    return says;
}

bool ingest_is_bot(str user_agent)
{
    char text[AGENT_BYTES_MAX];
    return (agent_says(lowered(user_agent, text)) & SAYS_BOT) != 0;
}

static str device_of(str agent, u32 says)
{
    if (says & SAYS_TABLET) return S("tablet");
    if (says & SAYS_MOBILE) return S("mobile");
    if (says & SAYS_ANDROID) return S("tablet");            /* Android without "Mobile" */
    return str_starts(agent, S("mozilla/")) ? S("desktop") : S("");
}

static bool channel_named(str name, u8 *out)
{
    static const struct { str name; u8 channel;
    } more[] = {
        { S_INIT("mobile"), CHANNEL_APP },   { S_INIT("browser"), CHANNEL_WEB },
        { S_INIT("in_store"), CHANNEL_POS }, { S_INIT("store"), CHANNEL_POS },
        { S_INIT("client"), CHANNEL_WEB },
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
    static const struct { str part; u8 channel;
    } known[] = {
        { S_INIT("node"), CHANNEL_SERVER },
        { S_INIT("python"), CHANNEL_SERVER },
        { S_INIT("java-"), CHANNEL_SERVER },
        { S_INIT("ruby"), CHANNEL_SERVER },
        { S_INIT("php"), CHANNEL_SERVER },
        { S_INIT("analytics-go"), CHANNEL_SERVER },
        { S_INIT("ios"), CHANNEL_APP },
        { S_INIT("android"), CHANNEL_APP },
        { S_INIT("react-native"), CHANNEL_APP },
        { S_INIT("flutter"), CHANNEL_APP },
        { S_INIT("swift"), CHANNEL_APP },
        { S_INIT("kotlin"), CHANNEL_APP },
        { S_INIT("javascript"), CHANNEL_WEB },
        { S_INIT("analytics.js"), CHANNEL_WEB },
        { S_INIT("analytics-next"), CHANNEL_WEB },
        { S_INIT("opmaat-tag"), CHANNEL_WEB },
    };
    char text[AGENT_BYTES_MAX];
    library = lowered(library, text);
    for (isize i = 0; i < countof(known); i++)
        if (str_find(library, known[i].part) >= 0) return known[i].channel;
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

static int hex_digit(char c)
{
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static str percent_decoded(arena *a, str s)
{
    char *text = arena_new(a, char, s.len + 1);
    isize n = 0;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool escape = c == '%' && i + 2 < s.len && hex_digit(s.ptr[i + 1]) >= 0
                      && hex_digit(s.ptr[i + 2]) >= 0;
        text[n++] = escape     ? (char)(hex_digit(s.ptr[i + 1]) * 16 + hex_digit(s.ptr[i + 2]))
                    : c == '+' ? ' '
                               : c;
        if (escape) i += 2;
    }
    return str_is_utf8((str){ text, n }) ? (str){ text, n } : S("");
}

static const str clicks[] = {
    S_INIT("gclid"),  S_INIT("fbclid"), S_INIT("msclkid"),
    S_INIT("ttclid"), S_INIT("wbraid"), S_INIT("gbraid"),
};

static void click_said(struct reading *r, str kind, str id)
{
    if (id.len && r->out->click_id.len == 0)
        r->out->click_id = arena_printf(r->a, "%.*s=%.*s", STR_FMT(kind), STR_FMT(id));
}

/* What the page's address carries of a campaign, where the context did not say. */
static void read_query(struct reading *r)
{
    struct event *e = r->out;
    struct { str name; str *to;
    } utm[] = {
        { S("utm_source"), &e->utm_source },
        { S("utm_medium"), &e->utm_medium },
        { S("utm_campaign"), &e->utm_campaign },
    };
    str rest = str_cut(str_cut(e->url, '#').head, '?').tail;
    while (rest.len > 0) {
        struct str_cut pair = str_cut(rest, '&');
        rest = pair.tail;
        struct str_cut one = str_cut(pair.head, '=');
        for (isize i = 0; i < countof(utm); i++)
            if (utm[i].to->len == 0 && str_eq(one.head, utm[i].name))
                *utm[i].to = percent_decoded(r->a, one.tail);
        for (isize i = 0; i < countof(clicks); i++)
            if (str_eq(one.head, clicks[i])) click_said(r, clicks[i], percent_decoded(r->a, one.tail));
    }
}

/* How many bytes at `i` name a click: "gclid=" of an address, or "gclid":" of an object; 0: none. */
static isize click_named(str s, isize i)
{
    char before = i ? s.ptr[i - 1] : '?';
    if (before != '?' && before != '&' && before != '#' && before != '"') return 0;
    for (isize k = 0; k < countof(clicks); k++) {
        isize n = clicks[k].len, at = i + n;
        if (!str_starts(str_from(s, i), clicks[k]) || at >= s.len) continue;
        if (s.ptr[at] == '=') return n + 1;
        if (before != '"' || s.ptr[at] != '"') continue;
        for (at++; at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == ':'); at++) continue;
        if (at < s.len && s.ptr[at] == '"') return at + 1 - i;
    }
    return 0;
}

static str without_clicks(arena *a, str s)
{
    struct buf out = { .arena = a };
    isize copied = 0;
    for (isize i = 0; i < s.len; i++) {
        isize named = click_named(s, i);
        if (named == 0) continue;
        isize end = i += named;
        while (end < s.len && !strchr("&#\" \\", s.ptr[end])) end++;
        buf_add(&out, str_slice(s, copied, i));
        copied = i = end;
    }
    if (copied == 0) return s;
    buf_add(&out, str_from(s, copied));
    return buf_str(&out);
}

void ingest_forget_click(arena *a, struct event *e)
{
    bool referred = str_find(e->referrer, S("clid=")) >= 0 || str_find(e->referrer, S("braid=")) >= 0;
    if (e->click_id.len == 0 && !referred) return;
    e->click_id = S("");
    e->url = without_clicks(a, e->url);
    e->referrer = without_clicks(a, e->referrer);
    e->properties = without_clicks(a, e->properties);
}

static void read_campaign(struct reading *r)
{
    struct event *e = r->out;
    const struct json *campaign = context_get(r, "campaign");
    e->utm_source = text_of(r, json_get(campaign, S("source")));
    e->utm_medium = text_of(r, json_get(campaign, S("medium")));
    e->utm_campaign = text_of(r, json_get(campaign, S("name")));
    read_query(r);
    for (isize i = 0; i < countof(clicks) && e->click_id.len == 0; i++)
        click_said(r, clicks[i],
                   text_of(r, json_either(json_get(r->properties, clicks[i]),
                                          json_get(campaign, clicks[i]))));
}

void read_surroundings(struct reading *r)
{
    struct event *e = r->out;
    const struct json *p = r->properties;
    bool page = e->type == EVENT_PAGE_VIEWED;
    str own = text_of(r, json_get(p, S("url"))), around = text_of(r, context_get(r, "page.url"));
    e->url = page && own.len ? own : around;            /* a product event's own url is the product's */
    if (e->url.len == 0 && e->items_n == 0) e->url = own;
    e->referrer = text_of(
        r, json_either(page ? json_get(p, S("referrer")) : NULL, context_get(r, "page.referrer")));
    if (str_eq(e->referrer, S("$direct"))) e->referrer = S("");
    read_campaign(r);
    e->session = text_of(r, json_either(context_get(r, "sessionId"), context_get(r, "session_id")));
    e->locale = text_of(r, context_get(r, "locale"));
    e->market = text_of(r, json_either(context_get(r, "market"), json_get(p, S("market"))));
    e->country = text_of(r, json_either(context_get(r, "location.country"), context_get(r, "country")));
    if (e->country.len == 0 && e->type == EVENT_IDENTIFIED)
        e->country = text_of(r, json_path(r->event, "traits.address.country"));
    e->store = text_of(r, json_either(context_get(r, "store"), json_any(p, "store store_id")));
    read_place(r);
    e->channel = channel_of_event(r);

    char text[AGENT_BYTES_MAX];
    str agent = lowered(json_str(context_get(r, "userAgent"), S("")), text);
    str kind = text_of(r, context_get(r, "device.type"));
    bool ours = str_eq(kind, S("mobile")) || str_eq(kind, S("tablet")) || str_eq(kind, S("desktop"));
    u32 says = agent_says(agent);
    e->device = ours       ? kind
                : kind.len ? S("mobile")
                           : device_of(agent, says); /* mobile SDKs say "ios", "android" */
    if (agent.len == 0 && !r->envelope->verified) says = agent_says(lowered(r->envelope->user_agent, text));
    if (says & SAYS_BOT) {
        e->flags |= EVENT_BOT;
        count_one(r, bots);
    }
    read_consent(r);
}
