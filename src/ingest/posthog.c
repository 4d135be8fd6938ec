/* SPDX-License-Identifier: Apache-2.0
 *
 * posthog.c - PostHog's capture calls, told in Segment's words.
 *
 *   {"api_key", "batch": [event], "sent_at"}, a list of events, or one event:
 *   {"event", "distinct_id" or properties.distinct_id, "uuid", "timestamp" or "offset" (ms ago), "properties",
 *    "$set", "$set_once"}
 *
 * What names a person is distinct_id. Clients make one up for a stranger, and say so: by
 * $is_identified or $process_person_profile false, or because it is the $device_id. Then it is our
 * anonymousId; else it is the userId, and the $device_id (or, in $identify, the $anon_distinct_id)
 * stands beside it. Properties that begin with $ are PostHog's own and become context; the rest are
 * the shop's, in whose e-commerce names PostHog follows Segment.
 *
 * $set beside another event changes the person too: that is an identify of its own. $set_once
 * is set where $set does not say, which is not quite PostHog's "unless known already".
 */
#include "ingest/telling.h"

static const struct json *field(const struct json *event, const char *name)
{
    const struct json *v = json_get(event, str_of(name));
    if (!v || v->kind == JSON_NULL) v = json_get(json_get(event, S("properties")), str_of(name));
    return v && v->kind != JSON_NULL ? v : NULL;
}

static void tell_who(struct telling *t, const struct json *event)
{
    const struct json *p = json_get(event, S("properties"));
    str id = str_trim(json_text(t->a, field(event, "distinct_id")));
    str device = str_trim(json_text(t->a, json_get(p, S("$device_id"))));
    bool stranger = !json_bool(json_get(p, S("$is_identified")), true)
                 || !json_bool(json_get(p, S("$process_person_profile")), true)
                 || (device.len && str_eq(id, device));
    str anonymous = stranger ? id : device;
    if (anonymous.len == 0 || str_eq(anonymous, id)) {
        str before = str_trim(json_text(t->a, field(event, "$anon_distinct_id")));
        if (before.len) anonymous = before;
    }
    if (!stranger) tell_text(t, "userId", id);
    tell_text(t, "anonymousId", anonymous);
}

static void tell_time(struct telling *t, const struct json *event)
{
    i64 ago;
    const struct json *offset = json_get(event, S("offset"));
    if (json_get(event, S("timestamp"))) tell_value(t, "timestamp", json_get(event, S("timestamp")));
    else if ((ago = json_int(offset, -1)) >= 0 && ago < t->envelope.received_ms)
        jsonw_key_time(&t->w, "timestamp",
                       (t->envelope.sent_at_ms ? t->envelope.sent_at_ms : t->envelope.received_ms)
                           - ago);
}

static void tell_context(struct telling *t, const struct json *p)
{
    static const struct told_field plain[] = {
        { "userAgent", "$raw_user_agent" }, { "sessionId", "$session_id" }, { "locale", "$browser_language" },
        { "timezone", "$timezone" }, { "country", "$geoip_country_code" },
    }, page[] = {
        { "url", "$current_url" }, { "referrer", "$referrer" }, { "path", "$pathname" }, { "title", "title" },
    }, campaign[] = {
        { "source", "utm_source" }, { "medium", "utm_medium" }, { "name", "utm_campaign" },
        { "gclid", "gclid" }, { "fbclid", "fbclid" }, { "msclkid", "msclkid" },
    };
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "context", '{');
    for (isize i = 0; i < countof(plain); i++)
        tell_value(t, plain[i].ours, json_get(p, str_of(plain[i].theirs)));
    tell_object(t, "page", p, page, countof(page));
    tell_object(t, "campaign", p, campaign, countof(campaign));
    jsonw_key_begin(w, "library", '{');
    str library = json_str(json_get(p, S("$lib")), S(""));
    tell_text(t, "name", str_eq(library, S("web")) ? S("posthog-javascript") : library);
    tell_value(t, "version", json_get(p, S("$lib_version")));
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static void tell_properties(struct telling *t, const struct json *p)
{
    struct jsonw *w = &t->w;
    jsonw_key_begin(w, "properties", '{');
    if (json_is(p, JSON_OBJ))
        json_each(one, p) {
            bool ours = one->key.len && one->key.ptr[0] == '$' && !str_eq(one->key, S("$feature_flag"))
                     && !str_eq(one->key, S("$feature_flag_response"));
            if (ours || str_eq(one->key, S("token")) || str_eq(one->key, S("distinct_id"))) continue;
            jsonw_key(w, one->key);
            jsonw_value(w, one);
        }
    jsonw_end(w, '}');
}

static void tell_traits(struct telling *t, const struct json *first, const struct json *then)
{
    jsonw_key_begin(&t->w, "traits", '{');
    if (json_is(first, JSON_OBJ))
        json_each(one, first) {
            jsonw_key(&t->w, one->key);
            jsonw_value(&t->w, one);
        }
    if (json_is(then, JSON_OBJ))
        json_each(one, then) {
            if (json_get(first, one->key)) continue;
            jsonw_key(&t->w, one->key);
            jsonw_value(&t->w, one);
        }
    jsonw_end(&t->w, '}');
}

static void tell_common(struct telling *t, const struct json *event, str key, const char *more)
{
    tell_who(t, event);
    if (key.len) jsonw_key_str(&t->w, "messageId", arena_printf(t->a, "%.*s%s", STR_FMT(key), more));
    tell_time(t, event);
    tell_context(t, json_get(event, S("properties")));
}

static void tell_event(struct telling *t, const struct json *event)
{
    const struct json *p = json_get(event, S("properties"));
    str name = str_trim(json_str(json_get(event, S("event")), S("")));
    str key = str_trim(json_text(t->a, json_get(event, S("uuid"))));
    if (key.len == 0) key = str_trim(json_text(t->a, json_get(p, S("$insert_id"))));
    const struct json *set = field(event, "$set"), *once = field(event, "$set_once");
    if (!json_is(event, JSON_OBJ)) { tell_refused(t, event, "an event must be an object"); return; }
    if (name.len == 0) { tell_refused(t, event, "event (the name of what happened) is missing"); return; }
    if (str_eq(name, S("$identify")) || str_eq(name, S("$set"))) {
        tell(t, "identify", S(""));
        tell_common(t, event, key, "");
        tell_traits(t, set, once);
        tell_end(t);
        return;
    }
    if (str_eq(name, S("$create_alias")) || str_eq(name, S("$merge_dangerously"))) {
        tell(t, "alias", S(""));
        tell_id(t, "userId", field(event, "distinct_id"));
        tell_id(t, "previousId", json_get(p, S("alias")));
        tell_text(t, "messageId", key);
        tell_time(t, event);
    } else if (str_eq(name, S("$groupidentify"))) {
        tell(t, "group", S(""));
        tell_common(t, event, key, "");
        tell_id(t, "groupId", json_get(p, S("$group_key")));
        tell_traits(t, json_get(p, S("$group_set")), NULL);
    } else {
        bool page = str_eq(name, S("$pageview")), screen = str_eq(name, S("$screen"));
        tell(t, page ? "page" : screen ? "screen" : "track", page || screen ? S("") : name);
        if (screen) tell_value(t, "name", json_get(p, S("$screen_name")));
        if (page) tell_value(t, "name", json_get(p, S("title")));
        tell_common(t, event, key, "");
        tell_properties(t, p);
    }
    tell_end(t);
    if (json_len(set) + json_len(once) == 0) return;
    tell(t, "identify", S(""));
    tell_common(t, event, key, "-set");
    tell_traits(t, set, once);
    tell_end(t);
}

enum err ingest_posthog(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                        const struct ingest_sink *sink, struct diag *why)
{
    struct calls calls;
    struct telling t = telling_of(a, envelope, sink);
    enum err err = calls_of(body, json_get(body, S("batch")), envelope, &calls, why);
    for (; !err && t.index < calls.n; t.index++) tell_event(&t, &calls.at[t.index]);
    return err;
}
