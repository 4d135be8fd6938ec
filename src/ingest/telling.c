/* SPDX-License-Identifier: Apache-2.0
 *
 * telling.c - what the tellers of this room share. */
#include "ingest/telling.h"

#include <stdarg.h>
#include <stdio.h>

enum { BATCH_EVENTS = 2500 };

struct telling telling_of(arena *a, const struct ingest_envelope *envelope, const struct ingest_sink *sink)
{
    return (struct telling){ .a = a, .envelope = *envelope, .sink = sink };
}

static void begin(struct telling *t)
{
    t->text = (struct buf){ .arena = t->a };
    t->w = (struct jsonw){ .out = &t->text };
    jsonw_begin(&t->w, '{');
}

void tell(struct telling *t, const char *type, str name)
{
    begin(t);
    jsonw_key_str(&t->w, "type", str_of(type));
    if (name.len) jsonw_key_str(&t->w, "event", name);
}

void tell_end(struct telling *t)
{
    const struct json *call;
    struct event e;
    struct diag why = { .arena = t->a };
    jsonw_end(&t->w, '}');
    t->told++;
    enum err err = json_parse(t->a, buf_str(&t->text), &call, &why);
    if (err) {                                          /* deeper than we read, once told */
        static const struct json nothing = { .kind = JSON_NULL };
        t->sink->refused(t->sink->ctx, t->index, err, why.what, &nothing);
        return;
    }
    err = ingest_event(t->a, call, &t->envelope, &e, &why);
    if (err) t->sink->refused(t->sink->ctx, t->index, err, why.what, call);
    else t->sink->event(t->sink->ctx, t->index, &e);
}

void tell_refused(struct telling *t, const struct json *sent, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->told++;
    t->sink->refused(t->sink->ctx, t->index, ERR_BAD_INPUT, arena_str(t->a, str_of(text)), sent);
}

void tell_item(struct telling *t, const struct json *sent)
{
    const struct json *doc;
    struct item_change change;
    struct diag why = { .arena = t->a };
    t->told++;
    enum err err = json_parse(t->a, buf_str(&t->text), &doc, &why);
    if (!err) err = item_change_from_json(t->a, doc, &change, &why);
    if (err) t->sink->refused(t->sink->ctx, t->index, err, why.what, sent);
    else if (t->sink->item) t->sink->item(t->sink->ctx, &change);
}

void tell_text(struct telling *t, const char *key, str text)
{
    if (text.len) jsonw_key_str(&t->w, key, text);
}

void tell_id(struct telling *t, const char *key, const struct json *v)
{
    tell_text(t, key, str_trim(json_text(t->a, v)));
}

void tell_value(struct telling *t, const char *key, const struct json *v)
{
    if (!v || v->kind == JSON_NULL || (v->kind == JSON_STR && v->s.len == 0)) return;
    jsonw_key(&t->w, str_of(key));
    jsonw_value(&t->w, v);
}

void tell_object(struct telling *t, const char *key, const struct json *from,
                 const struct told_field *fields, isize n)
{
    bool begun = false;
    for (isize i = 0; i < n; i++) {
        const struct json *v = json_path(from, fields[i].theirs);
        if (!v || v->kind == JSON_NULL || (v->kind == JSON_STR && v->s.len == 0)) continue;
        if (!begun) jsonw_key_begin(&t->w, key, '{');
        begun = true;
        tell_value(t, fields[i].ours, v);
    }
    if (begun) jsonw_end(&t->w, '}');
}

enum err calls_of(const struct json *body, const struct json *list, const struct ingest_envelope *envelope,
                  struct calls *out, struct diag *why)
{
    isize most = envelope->batch_events ? envelope->batch_events : BATCH_EVENTS;
    if (!list && json_is(body, JSON_ARR)) list = body;
    if (list && list->kind != JSON_ARR) return diag_set(why, ERR_BAD_INPUT, "expected a list of events");
    if (!list && !json_is(body, JSON_OBJ))
        return diag_set(why, ERR_BAD_INPUT, "expected an event or a list of events");
    *out = list ? (struct calls){ list->list.at, list->list.n } : (struct calls){ body, 1 };
    if (out->n > most)
        return diag_set(why, ERR_TOO_BIG, "there are %td events, the limit is %td", out->n, most);
    return ERR_OK;
}

enum err tell_by_topic(struct telling *t, const struct topic *topics, isize n,
                       const struct json *body, struct diag *why)
{
    str topic = t->envelope.type;
    t->envelope.type = S("");
    if (!json_is(body, JSON_OBJ)) return diag_set(why, ERR_BAD_INPUT, "expected an object");
    for (isize i = 0; i < n; i++)
        if (str_eq(topic, topics[i].name)) {
            topics[i].tell(t, body);
            return ERR_OK;
        }
    tell_refused(t, body, "the topic \"%.*s\" is none that is used here",
                 (int)min_isize(topic.len, 80), topic.ptr);
    return ERR_OK;
}
