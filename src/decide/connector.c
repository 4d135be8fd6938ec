/* SPDX-License-Identifier: Apache-2.0
 *
 * connector.c - what a connector's definition asks for, and whether an event or a segment is it.
 *
 * Consent fails closed: unless the definition names another basis, a person must have said yes to
 * the connector's purpose. Advertising platforms have a purpose of their own, which cannot be
 * another.
 */
#include "base/clock.h"
#include "decide/decide.h"

static const char *const types[] = { "webhook", "poll", "ads" };
const char *connector_type_name(u8 type) { return type < countof(types) ? types[type] : "unknown"; }

static enum err read_word(str word, const char *what, const char *const *words, isize n, u8 *out,
                          struct diag *diag)
{
    *out = 0;
    if (word.len == 0) return ERR_OK;
    for (isize i = 0; i < n; i++)
        if (str_eq(word, str_of(words[i]))) { *out = (u8)i; return ERR_OK; }
    return diag_set(diag, ERR_BAD_INPUT, "there is no %s \"%.*s\"", what, STR_FMT(word));
}

static enum err read_number(const struct json *doc, const char *name, i64 otherwise, i64 most,
                            i64 *out, struct diag *diag)
{
    const struct json *v = json_get(doc, str_of(name));
    *out = json_int(v, otherwise);
    bool fits = *out >= 1 && *out <= most && (!v || json_is(v, JSON_INT));
    return fits ? ERR_OK
                : diag_set(diag, ERR_BAD_INPUT, "%s is a whole number from 1 to %lld", name,
                           (long long)most);
}

static enum err read_events(const struct json *doc, struct connector *c, struct diag *diag)
{
    const struct json *events = json_get(doc, S("events"));
    if (json_len(events) > CONNECTOR_EVENTS_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "events names at most %d; \"*\" takes all",
                        CONNECTOR_EVENTS_MAX);
    json_each(event, events) {
        str name = json_str(event, S(""));
        u16 type = event_type_of(name);
        if (name.len == 0) return diag_set(diag, ERR_BAD_INPUT, "events is a list of event names");
        if (str_eq(name, S("*"))) c->all_events = true;
        else if (type != EVENT_NONE) c->types[c->types_n++] = type;
        else c->names[c->names_n++] = name;
    }
    return ERR_OK;
}

static enum err read_segments(const struct json *doc, const struct segment_set *set,
                              struct connector *c, struct diag *diag)
{
    const struct json *segments = json_get(doc, S("segments"));
    if (json_len(segments) > CONNECTOR_SEGMENTS_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "segments names at most %d", CONNECTOR_SEGMENTS_MAX);
    json_each(segment, segments) {
        str key = json_str(segment, S(""));
        segment_id id = segment_find(set, key);
        if (id.v == 0)
            return diag_set(diag, ERR_BAD_INPUT, "there is no published segment \"%.*s\"",
                            STR_FMT(key));
        c->segments[c->segments_n++] = id;
    }
    return ERR_OK;
}

static enum err read_permission(const struct json *doc, struct connector *c, struct diag *diag)
{
    str purpose = json_get_str(doc, "purpose"), basis = json_get_str(doc, "basis");
    bool ads = c->type == CONNECTOR_ADS;
    c->purpose = ads ? PURPOSE_ADS_SHARING : PURPOSE_MARKETING_EMAIL;
    c->basis = BASIS_CONSENT;
    if (purpose.len && !purpose_of(purpose, &c->purpose))
        return diag_set(diag, ERR_BAD_INPUT, "there is no purpose \"%.*s\"", STR_FMT(purpose));
    if (!purpose.len && !ads)
        return diag_set(diag, ERR_BAD_INPUT,
                        "say the purpose its data is for, such as marketing_email or analytics");
    if (basis.len && (!basis_of(basis, &c->basis) || c->basis == BASIS_NONE))
        return diag_set(diag, ERR_BAD_INPUT,
                        "basis is consent, contract or legitimate_interest, not \"%.*s\"",
                        STR_FMT(basis));
    if (ads && (c->purpose != PURPOSE_ADS_SHARING || c->basis != BASIS_CONSENT))
        return diag_set(diag, ERR_BAD_INPUT, "advertising platforms are told only by consent to ads_sharing");
    return ERR_OK;
}

enum err connector_read(const struct json *doc, const struct segment_set *segments,
                        struct connector *out, struct diag *diag)
{
    static const char *const formats[] = { "opmaat", "segment" };
    i64 batch, hours;
    *out = (struct connector){
        .title = json_get_str(doc, "title"),
        .owner = json_get_str(doc, "owner"),
        .url = json_get_str(doc, "url"),
        .secret = json_get_str(doc, "secret"),
        .authorization = json_get_str(doc, "authorization"),
        .profiles = json_bool(json_get(doc, S("profiles")), false),
        .imported = json_bool(json_get(doc, S("imported")), false),
    };
    enum err err = read_word(json_get_str(doc, "type"), "type of connector", types, countof(types),
                             &out->type, diag);
    if (!err)
        err = read_word(json_get_str(doc, "format"), "format", formats, countof(formats),
                        &out->format, diag);
    if (!err) err = read_events(doc, out, diag);
    if (!err) err = read_segments(doc, segments, out, diag);
    if (!err) err = read_permission(doc, out, diag);
    if (!err) err = read_number(doc, "batch", 100, CONNECTOR_BATCH_MAX, &batch, diag);
    if (!err) err = read_number(doc, "timeout_ms", 10000, 60000, &out->timeout_ms, diag);
    if (!err) err = read_number(doc, "keep_trying_hours", 24, 24 * 7, &hours, diag);
    if (err) return err;
    out->batch = (isize)batch;
    out->keep_trying_ms = hours * HOUR_MS;
    bool web = str_starts(out->url, S("http://")) || str_starts(out->url, S("https://"));
    if (out->type == CONNECTOR_WEBHOOK && !web)
        return diag_set(diag, ERR_BAD_INPUT, "a webhook needs a url of http or https");
    if (out->url.len && !web) return diag_set(diag, ERR_BAD_INPUT, "url begins with http:// or https://");
    if (out->type == CONNECTOR_ADS
        && (out->segments_n == 0 || out->all_events || out->types_n || out->names_n
            || out->profiles))
        return diag_set(diag, ERR_BAD_INPUT, "ads takes segments, and nothing but segments");
    if (!out->all_events && !out->types_n && !out->names_n && !out->segments_n && !out->profiles)
        return diag_set(diag, ERR_BAD_INPUT, "say what leaves: events, segments or profiles");
    return ERR_OK;
}

bool connector_wants_event(const struct connector *c, const struct event *e)
{
    if (c->type == CONNECTOR_ADS || e->flags & (EVENT_BOT | EVENT_TEST)) return false;
    if (e->flags & EVENT_IMPORTED && !c->imported) return false;
    if (c->all_events) return true;
    for (isize i = 0; i < c->types_n; i++)
        if (c->types[i] == e->type) return true;
    for (isize i = 0; i < c->names_n; i++)
        if (str_eq(c->names[i], e->name)) return true;
    return false;
}

bool connector_wants_segment(const struct connector *c, segment_id segment)
{
    for (isize i = 0; i < c->segments_n; i++)
        if (c->segments[i].v == segment.v) return true;
    return false;
}
