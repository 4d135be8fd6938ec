/* SPDX-License-Identifier: Apache-2.0
 *
 * identity.c - the ledger to look at: links that were refused, and a person's identifiers in the
 * shape of Segment's Profile API, for whoever asks that today.
 */
#include "api/admin.h"

enum { LINKS_LOOKED_AT = 1000000, EXTERNAL_IDS_MAX = 100 };

/* ---- what was refused ------------------------------------------------------------------------ */

static const struct { u8 reason; const char *name; } reasons[] = {
    { LINK_CLAIMED, "claimed" }, { LINK_OVER_LIMIT, "over_limit" }, { LINK_OTHER_PERSON, "other_person" }, { LINK_TOO_MANY, "too_many" },
};

static const char *reason_name(u8 reason)
{
    for (isize i = 0; i < countof(reasons); i++)
        if (reasons[i].reason == reason) return reasons[i].name;
    return "other";
}

static void print_refusal(struct call *call, const struct link *link)
{
    struct jsonw *w = &call->w;
    const struct identity *identity = call->api->live->identity;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", arena_printf(call->a, "l_%u", link->id));
    jsonw_key_time(w, "at", link->at_ms);
    jsonw_key_str(w, "reason", str_of(reason_name(link->reason)));
    jsonw_key_str(w, "kind", str_of(identifier_name(link->identifier.kind)));
    jsonw_key_str(w, "value", link->identifier.value);
    jsonw_key_str(w, "trust", link->identifier.verified ? S("verified") : S("claimed"));
    jsonw_key_str(w, "source", link->source);
    jsonw_key_int(w, "ref", (i64)link->ref);
    print_person_id(w, "person", identity_person(identity, link->a));
    print_person_id(w, "other", link->b ? identity_person(identity, link->b) : (person_id){ 0 });
    jsonw_end(w, '}');
}

/* Newest first: ?reason= ?source= ?since= ?before= (the last page's next) ?limit= */
static void answer_refusals(struct call *call, struct fold *fold)
{
    const struct identity *identity = fold_live(fold)->identity;
    str reason = http_query(call->req, S("reason"), S("")),
        source = http_query(call->req, S("source"), S("")),
        since = http_query(call->req, S("since"), S(""));
    isize left = query_limit(call, 50, 1000);
    i64 since_ms = 0, before = 0;
    if (since.len && !time_parse(since, &since_ms)) {
        call_fail(call, ERR_BAD_INPUT, "since is no time");
        return;
    }
    str from = http_query(call->req, S("before"), S(""));
    if (from.len && (!str_starts(from, S("l_")) || !str_to_i64(str_from(from, 2), &before))) {
        call_fail(call, ERR_BAD_INPUT, "before is a refusal's id");
        return;
    }
    u32 id = before > 0 ? (u32)min_i64(before - 1, identity_links_n(identity))
                        : (u32)identity_links_n(identity);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "refusals", '[');
    for (isize looked = 0; left > 0 && id > 0 && looked < LINKS_LOOKED_AT; id--, looked++) {
        struct link line, *link = &line;
        if (!identity_link(identity, id, link) || link->kind != LINK_REFUSED
            || link->at_ms < since_ms || (source.len && !str_eq(source, link->source))
            || (reason.len && !str_eq(reason, str_of(reason_name(link->reason)))))
            continue;
        print_refusal(call, link);
        left--;
    }
    jsonw_end(&call->w, ']');
    jsonw_key(&call->w, S("next"));
    if (id > 0) jsonw_str(&call->w, arena_printf(call->a, "l_%u", id + 1));
    else jsonw_null(&call->w);
    jsonw_end(&call->w, '}');
}

void identity_refusals(struct call *call) { ask_fold(call, answer_refusals); }

/* ---- Segment's external ids ------------------------------------------------------------------ */

/* "user_id:ana", or our own "p_12". */
static person_id person_of(struct call *call, str text)
{
    person_id id = { 0 };
    struct str_cut cut = str_cut(text, ':');
    u8 kind;
    const struct live *live = call->api->live;
    if (!cut.found)
        return person_id_read(text, &id) && (isize)id.v <= identity_people(live->identity)
                   ? identity_person(live->identity, id.v)
                   : (person_id){ 0 };
    if (!identifier_kind_of(cut.head, &kind)) {
        call_fail(call, ERR_BAD_INPUT, "unsupported_eid_type: there is no identifier kind \"%.*s\"",
                  STR_FMT(cut.head));
        return id;
    }
    str value = ingest_identifier(call->a, kind, cut.tail);
    return value.len ? identity_find(live->identity, (struct identifier){ kind, true, value }) : id;
}

static void answer_external_ids(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    person_id person = person_of(call, call->params[1]);
    if (call->err) return;
    if (!person.v) { call_fail(call, ERR_NOT_FOUND, "eid_not_found: nobody has that identifier"); return; }
    isize n = identity_identifiers(fold_live(fold)->identity, person, links, countof(links)),
          limit = query_limit(call, EXTERNAL_IDS_MAX, EXTERNAL_IDS_MAX);
    i64 next = 0;
    (void)str_to_i64(http_query(call->req, S("next"), S("0")), &next);
    isize from = (isize)max_i64(0, min_i64(next, n)), to = min_isize(n, from + limit);
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "data", '[');
    for (isize i = from; i < to; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", links[i].identifier.value);
        jsonw_key_str(w, "type", str_of(identifier_name(links[i].identifier.kind)));
        jsonw_key_str(w, "source_id", links[i].source);
        jsonw_key_str(w, "collection", S("users"));
        jsonw_key_time(w, "created_at", links[i].at_ms);
        jsonw_key_str(w, "encoding", S("none"));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "cursor", '{');
    jsonw_key_str(w, "url", call->req->path);
    jsonw_key_bool(w, "has_more", to < n);
    jsonw_key_str(w, "next", to < n ? arena_printf(call->a, "%td", to) : S(""));
    jsonw_key_int(w, "limit", limit);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

void external_ids_get(struct call *call) { ask_fold(call, answer_external_ids); }
