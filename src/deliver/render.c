/* SPDX-License-Identifier: Apache-2.0
 *
 * render.c - a row of the outbox in its receiver's words.
 *
 * Two formats. Ours says what happened and to whom in the words of the API. Segment's is a batch
 * that any Segment-compatible receiver takes, another Opmaat too: entered and left become track calls.
 * Permission is asked here, at the moment of sending, and not when the row was written.
 */
#include "deliver/deliver.h"

static const char *const kinds[] = { "event", "segment_entered", "segment_left", "profile", "again" };

const char *outbox_kind_name(u8 kind) { return kind < countof(kinds) ? kinds[kind] : "unknown"; }

static str segment_key(const struct deliver_view *view, segment_id id)
{
    const struct segment *s = id.v && id.v < SEGMENTS_MAX ? view->book->segments->by_id[id.v] : NULL;
    return s ? s->key : S("");
}

static const struct profile *profile_of(const struct deliver_view *view, person_id person, arena *a)
{
    /* merged since: the survivor */
    person_id now = person.v ? identity_person(view->identity, person.v) : (person_id){ 0 };
    return now.v ? people_get(view->people, now, a) : NULL;
}

static bool may_leave(const struct connector *c, const struct outbox_row *row, const struct profile *p)
{
    if (row->kind != OUTBOX_EVENT && !p) return false;
    return consent_allows(c->basis, p ? profile_consent(p, c->purpose) : CONSENT_UNKNOWN);
}

/* The traits a person has now, each once: profile_trait says which of several speaks. */
static void print_traits(struct jsonw *w, const struct profile *p)
{
    jsonw_key_begin(w, "traits", '{');
    for (isize i = 0; i < p->traits_n; i++) {
        bool first = i == 0 || !str_eq(p->traits[i].fact.name, p->traits[i - 1].fact.name);
        const struct trait *t = first ? profile_trait(p, p->traits[i].fact.name) : NULL;
        if (t) fact_print(&t->fact, w);
    }
    jsonw_end(w, '}');
}

static void print_person(const struct deliver_view *view, const struct profile *p, arena *a, struct jsonw *w)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(view->identity, p->id, links, countof(links));
    jsonw_key_begin(w, "person", '{');
    jsonw_key_str(w, "person_id", arena_printf(a, "p_%u", p->id.v));
    jsonw_key_begin(w, "identifiers", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "kind", str_of(identifier_name(links[i].identifier.kind)));
        jsonw_key_str(w, "value", links[i].identifier.value);
        jsonw_key_bool(w, "verified", links[i].verified);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    print_traits(w, p);
    jsonw_end(w, '}');
}

static void render_ours(const struct deliver_view *view, const struct outbox_row *row, const struct event *e,
                        const struct profile *p, arena *a, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_int(w, "sequence", (i64)row->seq);
    jsonw_key_str(w, "kind", str_of(outbox_kind_name(row->kind)));
    jsonw_key_time(w, "at", row->at_ms);
    if (row->segment.v) jsonw_key_str(w, "segment", segment_key(view, row->segment));
    if (p && e) jsonw_key_str(w, "person_id", arena_printf(a, "p_%u", p->id.v));
    else if (p) print_person(view, p, a, w);
    if (e) {
        jsonw_key(w, S("event"));
        event_print(e, w);
    }
    jsonw_end(w, '}');
}

/* The first of a kind a person bears; empty when there is none. */
static str identifier_of(const struct deliver_view *view, const struct profile *p,
                         const struct event *e, u8 kind)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    for (isize i = 0; e && i < e->identifiers_n; i++)
        if (e->identifiers[i].kind == kind) return e->identifiers[i].value;
    isize n = p ? identity_identifiers(view->identity, p->id, links, countof(links)) : 0;
    for (isize i = 0; i < n; i++)
        if (links[i].identifier.kind == kind) return links[i].identifier.value;
    return S("");
}

static const char *segment_call(u16 type)
{
    switch (type) {
    case EVENT_PAGE_VIEWED: return "page";
    case EVENT_SCREEN_VIEWED: return "screen";
    case EVENT_IDENTIFIED: return "identify";
    case EVENT_GROUPED: return "group";
    case EVENT_ALIASED: return "alias";
    default: return "track";
    }
}

static void render_segment(const struct deliver_view *view, const struct connector *c,
                           const struct outbox_row *row, const struct event *e,
                           const struct profile *p, arena *a, struct jsonw *w)
{
    static const char *const names[] = { "", "Segment Entered", "Segment Left", "", "" };
    const char *call = e ? segment_call(e->type) : row->kind == OUTBOX_PROFILE ? "identify" : "track";
    str user = identifier_of(view, p, e, IDENTIFIER_USER_ID),
        anonymous = identifier_of(view, p, e, IDENTIFIER_ANONYMOUS_ID);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "type", str_of(call));
    jsonw_key_str(
        w, "messageId",
        arena_printf(a, "opmaat-%.*s-%llu", STR_FMT(c->key), (unsigned long long)row->seq));
    jsonw_key_time(w, "timestamp", row->at_ms);
    if (user.len) jsonw_key_str(w, "userId", user);
    if (anonymous.len) jsonw_key_str(w, "anonymousId", anonymous);
    else if (!user.len) jsonw_key_str(w, "anonymousId", arena_printf(a, "p_%u", p ? p->id.v : 0));
    if (str_eq(str_of(call), S("track"))) jsonw_key_str(w, "event", e ? e->name : str_of(names[row->kind]));
    if (e && e->properties.len) {
        jsonw_key(w, S("properties"));
        jsonw_raw(w, e->properties);
    } else if (row->segment.v) {
        jsonw_key_begin(w, "properties", '{');
        jsonw_key_str(w, "segment", segment_key(view, row->segment));
        jsonw_end(w, '}');
    }
    if (row->kind == OUTBOX_PROFILE) print_traits(w, p);
    if (e && e->traits_n) {
        jsonw_key_begin(w, "traits", '{');
        for (isize i = 0; i < e->traits_n; i++) fact_print(&e->traits[i], w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, '}');
}

bool deliver_render(const struct deliver_view *view, const struct connector *c,
                    const struct outbox_row *row, arena *a, struct jsonw *w)
{
    struct event decoded;
    const struct event *e = NULL;
    const struct profile *p = profile_of(view, row->person, a);
    if (row->kind == OUTBOX_AGAIN || !may_leave(c, row, p)) return false;
    if (row->kind == OUTBOX_EVENT) {
        if (event_decode(row->body, a, &decoded)) return false;
        e = &decoded;
    }
    if (c->format == FORMAT_SEGMENT) render_segment(view, c, row, e, p, a, w);
    else render_ours(view, row, e, p, a, w);
    return true;
}

/* ---- advertising platforms: who is in, who is out -------------------------------------------- */

/* A list as it is now, whatever the rows said once: each person whom a row names stands in exactly
 * one of the two. */
static isize ads_list(const struct deliver_view *view, const struct connector *c,
                      const struct outbox_row *rows, isize n, segment_id segment, bool add,
                      arena *a, struct jsonw *w)
{
    isize told = 0;
    jsonw_key_begin(w, add ? "add" : "remove", '[');
    for (isize i = 0; i < n; i++) {
        bool again = false;
        const struct profile *p = rows[i].segment.v == segment.v ? profile_of(view, rows[i].person, a) : NULL;
        for (isize k = 0; k < i; k++)
            again |= rows[k].segment.v == segment.v && rows[k].person.v == rows[i].person.v;
        if (!p || again) continue;
        const struct membership *m = profile_membership(p, segment);
        bool in = m && m->member && consent_allows(c->basis, profile_consent(p, c->purpose));
        if (in != add) continue;
        struct link links[IDENTIFIERS_PER_PERSON_MAX];
        isize links_n = identity_identifiers(view->identity, p->id, links, countof(links)), hashes = 0;
        for (isize k = 0; k < links_n; k++) {
            str hash = ads_hash(a, links[k].identifier.kind, links[k].identifier.value, false);
            if (hash.len == 0) continue;
            if (hashes++ == 0) jsonw_begin(w, '{');
            jsonw_key_str(
                w, links[k].identifier.kind == IDENTIFIER_EMAIL ? "email_sha256" : "phone_sha256",
                hash);
        }
        if (hashes) jsonw_end(w, '}');
        told += hashes > 0;
    }
    jsonw_end(w, ']');
    return told;
}

static isize ads_body(const struct deliver_view *view, const struct connector *c,
                      const struct outbox_row *rows, isize n, arena *a, struct jsonw *w)
{
    isize told = 0;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "segments", '[');
    for (isize s = 0; s < c->segments_n; s++) {
        bool named = false;
        for (isize i = 0; i < n; i++) named |= rows[i].segment.v == c->segments[s].v;
        if (!named) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "segment", segment_key(view, c->segments[s]));
        told += ads_list(view, c, rows, n, c->segments[s], true, a, w);
        told += ads_list(view, c, rows, n, c->segments[s], false, a, w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    return told;
}

isize deliver_body(const struct deliver_view *view, const struct connector *c,
                   const struct outbox_row *rows, isize n, arena *a, struct buf *out)
{
    struct jsonw w = { .out = out };
    isize told = 0;
    if (c->type == CONNECTOR_ADS) return ads_body(view, c, rows, n, a, &w);
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, c->format == FORMAT_SEGMENT ? "batch" : "deliveries", '[');
    for (isize i = 0; i < n; i++) told += deliver_render(view, c, &rows[i], a, &w);
    jsonw_end(&w, ']');
    jsonw_key_time(&w, c->format == FORMAT_SEGMENT ? "sentAt" : "sent_at", view->now_ms);
    jsonw_end(&w, '}');
    return told;
}
