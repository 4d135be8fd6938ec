/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_spec.c - one call in Segment's or RudderStack's shape -> struct event.
 *
 * Both say the same with small differences: RudderStack's anonymous userId is "", its identify
 * carries traits in context.traits only, its clock is originalTimestamp. The time is corrected by
 * the sender's own clock error, received - (sentAt - timestamp), which is the receive time less
 * how long the event waited; what then still lies ahead of us is set to our time and flagged.
 */
#include "base/clock.h"
#include "ingest/reading.h"

enum { EVENT_BYTES = 32 << 10, BATCH_EVENTS = 2500, NAME_BYTES_MAX = 255 };

const struct json *json_either(const struct json *a, const struct json *b)
{
    return a && a->kind != JSON_NULL ? a : b && b->kind != JSON_NULL ? b : NULL;
}

const struct json *json_any(const struct json *obj, const char *names)
{
    if (!json_is(obj, JSON_OBJ)) return NULL;
    while (*names) {
        const char *end = names;
        while (*end && *end != ' ') end++;
        const struct json *v = json_get(obj, (str){ names, end - names });
        if (v && v->kind != JSON_NULL) return v;
        names = *end ? end + 1 : end;
    }
    return NULL;
}

const struct json *context_get(const struct reading *r, const char *dotted)
{
    const struct json *own = json_path(r->context, dotted);
    return r->envelope->context ? json_either(own, json_path(r->envelope->context, dotted))
                                : json_either(own, NULL);
}

str text_of(const struct reading *r, const struct json *v) { return str_trim(json_text(r->a, v)); }

void reading_count(const struct reading *r, isize offset)
{
    if (r->envelope->counts) ++*(i64 *)(void *)((char *)r->envelope->counts + offset);
}

static isize digits(i64 i)
{
    isize n = i < 0 ? 2 : 1;
    while (i /= 10) n++;
    return n;
}

/* Bytes of the event as JSON, without spaces, near enough for a limit, without printing it. */
static isize json_bytes(const struct json *v)
{
    switch (v->kind) {
    case JSON_NULL: return 4;
    case JSON_BOOL: return v->b ? 4 : 5;
    case JSON_INT: return digits(v->i);
    case JSON_NUM: return 8;
    case JSON_STR: return v->s.len + 2;
    case JSON_ARR: case JSON_OBJ: break;
    }
    isize n = 2, count = 0;
    json_each(child, v) {
        n += json_bytes(child) + (count++ > 0);
        if (v->kind == JSON_OBJ) n += child->key.len + 3;
    }
    return n;                                           /* as deep as json_parse let it be */
}

/* ---- type and name ------------------------------------------------------------------------- */

static const struct { str name, letter; u16 type;
} calls[] = {
    { S_INIT("track"), S_INIT("t"), EVENT_NONE },
    { S_INIT("identify"), S_INIT("i"), EVENT_IDENTIFIED },
    { S_INIT("page"), S_INIT("p"), EVENT_PAGE_VIEWED },
    { S_INIT("screen"), S_INIT("s"), EVENT_SCREEN_VIEWED },
    { S_INIT("group"), S_INIT("g"), EVENT_GROUPED },
    { S_INIT("alias"), S_INIT("a"), EVENT_ALIASED },
};

/* Ours to make: a sender who uses such a name means something of their own. */
static bool is_derived(u16 type)
{
    return type == EVENT_PRODUCT_PURCHASED || type == EVENT_SEGMENT_ENTERED || type == EVENT_SEGMENT_LEFT
        || type == EVENT_IDENTIFIED || type == EVENT_GROUPED || type == EVENT_ALIASED;
}

static enum err read_type(struct reading *r)
{
    str said = text_of(r, json_get(r->event, S("type")));
    if (said.len == 0) said = r->envelope->type;
    isize at = 0;
    while (at < countof(calls) && !str_eq(said, calls[at].name) && !str_eq(said, calls[at].letter)) at++;
    if (said.len == 0) return reading_refuse(r, "type is missing");
    if (at == countof(calls))
        return reading_refuse(
            r, "type \"%.*s\" is none of track, identify, page, screen, group, alias",
            (int)min_isize(said.len, 40), said.ptr);
    struct event *e = r->out;
    e->type = calls[at].type;
    if (e->type == EVENT_PAGE_VIEWED || e->type == EVENT_SCREEN_VIEWED) {
        e->name = text_of(r, json_either(json_get(r->event, S("name")), json_get(r->properties, S("name"))));
    } else if (e->type == EVENT_NONE) {
        const struct json *name = json_get(r->event, S("event"));
        e->name = str_trim(json_str(name, S("")));
        if (e->name.len == 0) return reading_refuse(r, "event (the name of what happened) is missing");
        e->type = event_type_of(e->name);
        if (e->type == EVENT_NONE || is_derived(e->type)) e->type = EVENT_CUSTOM_FIRST;
    }
    if (e->name.len > NAME_BYTES_MAX)
        return reading_refuse(r, "the event's name is %td bytes, the limit is %d", e->name.len,
                              NAME_BYTES_MAX);
    return ERR_OK;
}

/* ---- time ---------------------------------------------------------------------------------- */

static enum err read_time(struct reading *r, const struct json *v, const char *path, i64 *out)
{
    if (!v || v->kind == JSON_NULL) return ERR_OK;
    str text = text_of(r, v);
    if (text.len == 0 && v->kind == JSON_STR) return ERR_OK;
    if (time_parse(text, out) && *out > 0) return ERR_OK;
    return reading_refuse(r, "%s \"%.*s\" is not a time", path, (int)min_isize(text.len, 40), text.ptr);
}

static enum err read_at(struct reading *r)
{
    const struct ingest_envelope *v = r->envelope;
    i64 at_ms = 0, sent_ms = v->sent_at_ms;
    enum err err = read_time(r, json_any(r->event, "originalTimestamp timestamp"), "timestamp", &at_ms);
    if (!err) err = read_time(r, json_any(r->event, "sentAt sent_at"), "sentAt", &sent_ms);
    if (err) return err;
    i64 waited = 0;
    if (at_ms == 0) at_ms = v->received_ms;
    else if (sent_ms > 0 && !v->imported) {
        bool absurd = __builtin_sub_overflow(sent_ms, at_ms, &waited)
                   || __builtin_sub_overflow(v->received_ms, waited, &at_ms);
        if (absurd) return reading_refuse(r, "timestamp and sentAt lie too far apart");
    }
    if (at_ms <= 0) return reading_refuse(r, "timestamp lies before 1970 once corrected by sentAt");
    i64 ahead_ms = at_ms - v->received_ms;
    if (v->clock_ahead_ms && ahead_ms > v->clock_ahead_ms)
        return reading_refuse(r, "its clock is %.1f hours ahead of ours; the source allows %.1f",
                              (f64)ahead_ms / HOUR_MS, (f64)v->clock_ahead_ms / HOUR_MS);
    if (v->clock_behind_ms && -ahead_ms > v->clock_behind_ms)
        return reading_refuse(r, "it is %.1f days old; the source allows %.1f", (f64)-ahead_ms / (f64)DAY_MS,
                              (f64)v->clock_behind_ms / (f64)DAY_MS);
    if (at_ms > v->received_ms) {
        at_ms = v->received_ms;
        r->out->flags |= EVENT_CLAMPED;
        count_one(r, clocks_clamped);
    }
    r->out->at_ms = at_ms;
    return ERR_OK;
}

/* ---- one event ----------------------------------------------------------------------------- */

static enum err read_key(struct reading *r)
{
    r->out->key = text_of(r, json_any(r->event, "messageId message_id"));
    if (r->out->key.len <= EVENT_KEY_BYTES_MAX) return ERR_OK;
    return reading_refuse(r, "messageId is %td bytes, the limit is %d", r->out->key.len, EVENT_KEY_BYTES_MAX);
}

static void keep_properties(struct reading *r)
{
    if (json_len(r->properties) == 0) return;
    struct buf out = { .arena = r->a };
    struct jsonw w = { .out = &out };
    jsonw_value(&w, r->properties);
    r->out->properties = buf_str(&out);
}

/* Sender says: not for this system (Segment's integrations object, with our name in it). */
static bool opted_out(struct reading *r)
{
    str us = S("Opmaat");
    const struct json *own = json_get(json_get(r->event, S("integrations")), us);
    return !json_bool(json_either(own, json_get(r->envelope->integrations, us)), true);
}

enum err ingest_event(arena *a, const struct json *event, const struct ingest_envelope *envelope,
                      struct event *out, struct diag *why)
{
    assert(envelope->received_ms > 0);
    *out = (struct event){ .source = envelope->source };
    struct reading reading = { a, event, json_get(event, S("context")), NULL, envelope, out, why };
    struct reading *r = &reading;
    if (!json_is(event, JSON_OBJ)) return reading_refuse(r, "an event must be an object");
    isize bytes = json_bytes(event), most = envelope->event_bytes ? envelope->event_bytes : EVENT_BYTES;
    if (bytes > most)
        return diag_set(why, ERR_TOO_BIG, "the event is %td bytes, the limit is %td", bytes, most);
    if (opted_out(r)) return diag_set(why, ERR_REFUSED, "its integrations.Opmaat is false");
    r->properties = json_get(event, S("properties"));
    if (r->properties && r->properties->kind == JSON_NULL) r->properties = NULL;
    if (r->properties && r->properties->kind != JSON_OBJ)
        return reading_refuse(r, "properties must be an object");
    if (envelope->test) out->flags |= EVENT_TEST;
    if (envelope->imported) out->flags |= EVENT_IMPORTED;

    enum err err = read_type(r);
    if (!err) err = read_at(r);
    if (!err) err = read_key(r);
    if (!err) err = read_who(r);
    if (!err) err = read_commerce(r);
    if (err) return err;
    if (out->type
        == EVENT_GROUPED) { /* the group and what is said of it, for whoever reads properties */
        struct buf text = { .arena = a };
        struct jsonw w = { .out = &text };
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "group_id", text_of(r, json_any(event, "groupId group_id")));
        jsonw_key(&w, S("traits"));
        const struct json *traits = json_get(event, S("traits"));
        jsonw_value(&w, traits);
        jsonw_end(&w, '}');
        out->properties = buf_str(&text);
        if (text_of(r, json_any(event, "groupId group_id")).len == 0)
            return reading_refuse(r, "groupId is missing");
    }
    read_surroundings(r);
    if (out->type != EVENT_GROUPED) keep_properties(r);
    return ERR_OK;
}

/* ---- a body -------------------------------------------------------------------------------- */

enum err ingest_batch(arena *a, const struct json *body, const struct ingest_envelope *envelope,
                      const struct ingest_sink *sink, struct diag *why)
{
    struct ingest_envelope inside = *envelope;
    const struct json *batch = json_get(body, S("batch"));
    const struct json *events = body;
    isize n = 1;
    if (json_is(body, JSON_ARR) || batch) {
        const struct json *list = batch ? batch : body;
        if (list->kind != JSON_ARR) return diag_set(why, ERR_BAD_INPUT, "batch must be a list of events");
        events = list->list.at;
        n = list->list.n;
    } else if (!json_is(body, JSON_OBJ)) {
        return diag_set(why, ERR_BAD_INPUT, "expected an event, or {\"batch\": [events]}");
    }
    if (batch) {
        inside.context = json_either(json_get(body, S("context")), envelope->context);
        inside.integrations = json_either(json_get(body, S("integrations")), envelope->integrations);
        str sent = str_trim(json_text(a, json_any(body, "sentAt sent_at")));
        i64 at_ms;
        if (sent.len && time_parse(sent, &at_ms) && at_ms > 0) inside.sent_at_ms = at_ms;
    }
    isize most = envelope->batch_events ? envelope->batch_events : BATCH_EVENTS;
    if (n > most) return diag_set(why, ERR_TOO_BIG, "the batch has %td events, the limit is %td", n, most);
    for (isize i = 0; i < n; i++) {
        struct event e;
        struct diag reason = { .arena = a };
        enum err err = ingest_event(a, &events[i], &inside, &e, &reason);
        if (err) sink->refused(sink->ctx, i, err, reason.what, &events[i]);
        else sink->event(sink->ctx, i, &e);
    }
    return ERR_OK;
}

str ingest_write_key(const struct json *body)
{
    static const char names[] = "writeKey write_key api_key token";
    const struct json *key = json_any(body, names);
    const struct json *batch = json_is(body, JSON_ARR) ? body : json_get(body, S("batch"));
    const struct json *first = json_is(batch, JSON_ARR) && batch->list.n ? batch->list.at : body;
    if (!key) key = json_any(first, names);
    if (!key) key = json_get(json_get(first, S("properties")), S("token"));     /* posthog-js says it there */
    return json_str(key, S(""));
}
