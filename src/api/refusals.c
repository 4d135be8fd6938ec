/* SPDX-License-Identifier: Apache-2.0
 *
 * refusals.c - every no that stands, as a list that names nobody, and such a list taken again.
 *
 * A folder that comes back from a copy has forgotten who said no since. So what `opmaat export
 * erasures` writes holds, beside the receipts, a row for each identifier whose owner refuses
 * something: its hash under the folder's key, the purposes, and when. Rows of people say when they
 * said so; a stranger's denial keeps no time, so its row says when the list was made. A suppression
 * is both, and needs no row of its own.
 *
 * Taken again, a row is a no at that time: of whoever has the identifier, unless they said yes
 * after it, and of nobody yet otherwise. Somebody who merely claimed a name said no for that claim
 * and for nobody who proved it; and a stranger's denial is a person's no only for an anonymous id,
 * which nobody else knows. A list that is taken twice changes nothing the second time.
 *
 * Whose row it is, is found by going through all identifiers once for each request, on the fold's
 * thread: so a request carries thousands. */
#include <stdlib.h>

#include "api/admin.h"

enum { REFUSALS_MAX = 10000, SUBMIT_AT_ONCE = 200 };

struct row { struct hash128 whom; i64 at_ms; u16 purposes; bool claimed, stranger, found; };

struct refusing {
    struct row *rows;
    isize rows_n, people, denials;
    str source;
    struct { struct entry *at; isize n, cap; } entries;
};

/* ---- out ------------------------------------------------------------------------------------- */

static void print_row(struct call *call, const struct row *r)
{
    struct jsonw *w = &call->w;
    w->comma = false;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "regulation", S("refuse"));
    jsonw_key_str(w, "whom",
                  arena_printf(call->a, "%016llx%016llx", (unsigned long long)r->whom.hi,
                               (unsigned long long)r->whom.lo));
    if (r->claimed) jsonw_key_bool(w, "claimed", true);
    if (r->stranger) jsonw_key_bool(w, "stranger", true);
    jsonw_key_begin(w, "purposes", '[');
    for (int i = 0; i < PURPOSES; i++)
        if (r->purposes >> i & 1) jsonw_str(w, str_of(purpose_name(i)));
    jsonw_end(w, ']');
    jsonw_key_time(w, "asked_at", r->at_ms);
    jsonw_end(w, '}');
    buf_byte(&call->out, '\n');
}

/* What was said last of a purpose, and when. */
static enum consent_state said_last(const struct profile *p, int purpose, i64 *at_ms)
{
    enum consent_state state = profile_consent(p, purpose);
    *at_ms = 0;
    for (isize i = 0; i < p->consents_n; i++)
        if (p->consents[i].purpose == purpose && p->consents[i].state == state)
            *at_ms = max_i64(*at_ms, p->consents[i].at_ms);
    return state;
}

isize print_refusals_of(struct call *call, const struct live *live, person_id id, arena *a)
{
    const struct profile *p = people_consented(live->people, id, a);
    struct row rows[PURPOSES];
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = 0, printed = 0;
    for (int purpose = 0; p && purpose < PURPOSES; purpose++) {
        i64 at_ms;
        isize i = 0;
        if (said_last(p, purpose, &at_ms) != CONSENT_DENIED) continue;
        while (i < n && rows[i].at_ms != at_ms) i++;
        if (i == n) rows[n++] = (struct row){ .at_ms = at_ms };
        rows[i].purposes |= (u16)(1u << purpose);
    }
    isize links_n = n ? identity_identifiers(live->identity, id, links, countof(links)) : 0;
    for (isize k = 0; k < links_n; k++) {
        for (isize i = 0; i < n; i++, printed++) {
            rows[i].whom = denial_hash(live->denial_key, links[k].identifier);
            rows[i].claimed = !identifier_may_speak(links[k].identifier);
            print_row(call, &rows[i]);
        }
    }
    return printed;
}

isize print_denials(struct call *call, const struct live *live, isize part)
{
    struct row row = { .at_ms = clock_now(call->api->clock), .stranger = true };
    isize printed = 0;
    for (isize at = 0; denials_next(live->denials, &at, &row.whom, &row.purposes);) {
        if ((isize)(row.whom.hi >> 56) != part || row.purposes == 0) continue;
        print_row(call, &row);
        printed++;
    }
    return printed;
}

/* ---- and in again ---------------------------------------------------------------------------- */

static int by_whom(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    if (a->whom.hi != b->whom.hi) return a->whom.hi < b->whom.hi ? -1 : 1;
    return a->whom.lo < b->whom.lo ? -1 : a->whom.lo > b->whom.lo;
}

/* Its first row; null when no row is of that hash. */
static struct row *rows_of(struct refusing *r, struct hash128 whom)
{
    isize low = 0, high = r->rows_n;
    const struct row sought = { .whom = whom };
    while (low < high) {
        isize at = (low + high) / 2;
        if (by_whom(&r->rows[at], &sought) < 0) low = at + 1;
        else high = at;
    }
    return low < r->rows_n && hash128_eq(r->rows[low].whom, whom) ? &r->rows[low] : NULL;
}

/* Is the row their own no: said by who has this identifier as they have it? */
static bool is_theirs(const struct row *row, struct identifier v)
{
    if (row->stranger) return !identifier_is_strong(v.kind);
    return row->claimed == !identifier_may_speak(v);
}

/* What they did not say themselves already, at that time or later. */
static u16 still_open(const struct profile *p, const struct row *row)
{
    u16 open = 0;
    for (int purpose = 0; purpose < PURPOSES; purpose++) {
        i64 at_ms;
        if ((row->purposes >> purpose & 1) == 0) continue;
        enum consent_state said = said_last(p, purpose, &at_ms);
        if (said == CONSENT_UNKNOWN || (said == CONSENT_GRANTED && at_ms <= row->at_ms))
            open |= (u16)(1u << purpose);
    }
    return open;
}

static void say_no(struct call *call, struct refusing *r, struct identifier v, u16 purposes, i64 at_ms)
{
    struct buf bytes = { .arena = call->a };
    const struct event said = { .type = EVENT_CONSENT_CHANGED,
                                .name = S("Consent Changed"),
                                .at_ms = at_ms,
                                .source = r->source,
                                .identifiers = &v,
                                .identifiers_n = 1,
                                .flags = EVENT_CHECKED,
                                .consent_denied = purposes,
                                .consent_source = S("list of erasures") };
    event_encode(&said, &bytes);
    vec_push(&r->entries, ((struct entry){ ENTRY_EVENT, buf_str(&bytes) }));
    r->people++;
}

static void refuse_of(struct call *call, struct refusing *r, const struct live *live, person_id id,
                      struct identifier v)
{
    struct hash128 whom = denial_hash(live->denial_key, v);
    struct row *row = rows_of(r, whom);
    const struct profile *p = row ? people_read(live->people, id, PEOPLE_CONSENTS, call->a) : NULL;
    for (; p && row < r->rows + r->rows_n && hash128_eq(row->whom, whom); row++) {
        if (!is_theirs(row, v)) continue;
        u16 open = still_open(p, row);
        if (!row->stranger) row->found = true;
        if (open) say_no(call, r, v, open, row->at_ms);
    }
}

/* Nobody has it: whoever comes under it is refused, as if they had said so as a stranger. */
static void deny(struct call *call, struct refusing *r, const struct live *live, const struct row *row)
{
    struct refusal refusal = { .denials_n = 1 };
    struct buf bytes = { .arena = call->a };
    if ((denials_get(live->denials, row->whom) & row->purposes) == row->purposes) return;
    refusal.denials[0].who = row->whom;
    refusal.denials[0].denied = row->purposes;
    refusal_encode(&refusal, &bytes);
    vec_push(&r->entries, ((struct entry){ ENTRY_REFUSAL, buf_str(&bytes) }));
    r->denials++;
}

static void find_refused(struct call *call, struct fold *fold)
{
    struct refusing *r = call->context;
    const struct live *live = fold_live(fold);
    const struct book *book = atomic_load(&live->book);
    isize people = identity_people(live->identity);
    r->source = call->source_key.len ? call->source_key
                : book->sources_n    ? arena_str(call->a, book->sources[0].key)
                                     : S("");
    for (isize id = 1; id <= people; id++) {
        struct link links[IDENTIFIERS_PER_PERSON_MAX];
        isize n = identity_identifiers(live->identity, (person_id){ (u32)id }, links, countof(links));
        for (isize i = 0; i < n; i++) refuse_of(call, r, live, (person_id){ (u32)id }, links[i].identifier);
    }
    for (isize i = 0; i < r->rows_n; i++)
        if (!r->rows[i].found) deny(call, r, live, &r->rows[i]);
}

static bool read_row(struct call *call, const struct json *from, struct row *out)
{
    *out = (struct row){ .claimed = json_bool(json_get(from, S("claimed")), false), .stranger = json_bool(json_get(from, S("stranger")), false) };
    json_each(one, json_get(from, S("purposes"))) {
        u8 purpose;
        if (purpose_of(json_str(one, S("")), &purpose)) out->purposes |= (u16)(1u << purpose);
    }
    if (receipt_hash(json_get_str(from, "whom"), &out->whom) && out->purposes
        && time_parse(json_get_str(from, "asked_at"), &out->at_ms))
        return true;
    call_fail(
        call, ERR_BAD_INPUT,
        "refusals: each is {\"whom\": 32 letters, \"purposes\": […], \"asked_at\": …}, as `opmaat export erasures` writes them");
    return false;
}

static bool read_rows(struct call *call, struct refusing *r)
{
    const struct json *list = json_get(call->body, S("refusals"));
    isize n = json_len(list);
    if (n == 0 || n > REFUSALS_MAX) {
        call_fail(call, ERR_BAD_INPUT, "refusals: a list of 1 to %d, these are %td", REFUSALS_MAX, n);
        return false;
    }
    r->rows = arena_new(call->a, struct row, n);
    json_each(one, list)
        if (!read_row(call, one, &r->rows[r->rows_n++])) return false;
    qsort(r->rows, (size_t)r->rows_n, sizeof *r->rows, by_whom);
    return true;
}

void refuse_again(struct call *call)
{
    struct refusing r = { 0 };
    enum err err = ERR_OK;
    if (!read_rows(call, &r)) return;
    call->context = &r;
    on_fold(call, find_refused);
    call->context = NULL;
    for (isize i = 0; !err && i < r.entries.n; i += SUBMIT_AT_ONCE)
        err = fold_submit_wait(call->api->fold, r.entries.at + i,
                               min_isize(SUBMIT_AT_ONCE, r.entries.n - i), NULL);
    vec_fini(&r.entries);
    if (err) {
        call_fail(
            call, err,
            "the log could not be written; what of the list was taken does not hurt to be taken again");
        return;
    }
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, "refuse",
              arena_printf(call->a, "%td of a list", r.people + r.denials));
    jsonw_begin(&call->w, '{');
    jsonw_key_int(&call->w, "people", r.people);
    jsonw_key_int(&call->w, "identifiers", r.denials);
    jsonw_end(&call->w, '}');
}
