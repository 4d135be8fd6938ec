/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c - reads out of the log what facts were that were said again since.
 *
 * On the thread of whoever asks. Events are read from PAST_FACTS_DAYS before the instant to the
 * end, as what comes late belongs to the past as well; each is put down to the node that spoke for
 * it, which is the node of its strongest identifier for ever, and says the facts it said when it
 * was folded. What the fold did not take, for want of consent or as no plausible event, is not
 * there either. */
#include "base/rcu.h"
#include "fold/inside.h"

enum { PEOPLE_PER_BRACKET = 2000 };

/* The first entry whose record is of `at_ms` or later. The log's time never runs back, so it is
 * found by halves. */
static enum err entry_at(const struct fold *fold, i64 at_ms, u64 most, u64 *out, struct diag *diag)
{
    u64 low = 1, high = most + 1;
    arena a = { 0 };
    enum err err = ERR_OK;
    while (!err && low < high) {
        struct record record;
        bool found;
        u64 mid = low + (high - low) / 2;
        arena_clear(&a);
        err = log_read(fold->log, mid, &a, &record, &found, diag);
        if (err) break;
        /* the record that holds mid */
        if (found && record.at_ms < at_ms) low = record.first + (u64)record.entries_n;
        else high = found ? record.first : mid;
    }
    arena_fini(&a);
    *out = low;
    return err;
}

/* Whether the fold took the event as this person's: what it takes leaves its number in the history,
 * but for orders, which have one of their own, and what says nothing but consent or names. What has
 * left the hot history is believed. */
static bool was_taken(const struct profile *p, const struct event *e, u64 ref)
{
    bool leaves_none = e->type == EVENT_CONSENT_CHANGED || e->type == EVENT_ALIASED
                       || e->type == EVENT_ORDER_COMPLETED || e->type == EVENT_ORDER_UPDATED
                       || e->type == EVENT_ORDER_REFUNDED || e->type == EVENT_ORDER_CANCELLED
                       || e->type == EVENT_DECISION_VIEWED || e->type == EVENT_DECISION_CLICKED;
    if (leaves_none || (p->older_events && (p->history_n == 0 || p->history[0].at_ms >= e->at_ms)))
        return true;
    isize low = 0, high = p->history_n;
    while (low < high) {
        isize mid = low + (high - low) / 2;
        if (p->history[mid].at_ms < e->at_ms) low = mid + 1;
        else high = mid;
    }
    for (; low < p->history_n && p->history[low].at_ms == e->at_ms; low++)
        if (p->history[low].ref == ref && !(p->history[low].flags & HISTORY_ORDER)) return true;
    return false;
}

static void offer(const struct fold *fold, struct past_facts *facts, str bytes, u64 ref, arena *a)
{
    struct event e;
    const struct trait *said;
    if (event_decode(bytes, a, &e) || e.at_ms > past_facts_at(facts)
        || consent_said(&e, PURPOSE_ANALYTICS) == CONSENT_DENIED)
        return;
    rcu_read_begin();
    u32 node = identity_speaks(fold->live.identity, &e);
    const struct profile *p =
        node ? people_read(fold->live.people, identity_person(fold->live.identity, node),
                           PEOPLE_HISTORY, a)
             : NULL;
    bool taken = p && was_taken(p, &e, ref);
    rcu_read_end();
    if (!taken) return;
    isize n = event_facts(&e, node, a, &said);
    for (isize i = 0; i < n; i++) past_facts_offer(facts, &said[i], ref);
}

enum err fold_past_facts(struct fold *fold, struct past_facts *facts, i64 *from_ms, struct diag *diag)
{
    u64 most = atomic_load(&fold->live.folded), at = 1;
    i64 since_ms = past_facts_at(facts) - PAST_FACTS_DAYS * DAY_MS;
    bool found = true;
    arena a = { 0 };
    *from_ms = 0;
    enum err err = past_facts_wanted(facts) ? entry_at(fold, since_ms, most, &at, diag) : ERR_OK;
    if (at > 1) *from_ms = since_ms;
    while (!err && past_facts_wanted(facts) && at <= most) {
        struct record record;
        arena_clear(&a);
        err = log_read(fold->log, at, &a, &record, &found, diag);
        if (err || !found) break;
        arena each = { 0 };
        for (isize i = 0; i < record.entries_n; i++) {
            if (record.entries[i].kind == ENTRY_EVENT)
                offer(fold, facts, record.entries[i].bytes, record.first + (u64)i, &each);
            if (each.used > 1 << 20) arena_clear(&each);
        }
        arena_fini(&each);
        at = record.first + (u64)record.entries_n;
    }
    arena_fini(&a);
    return err;
}

void fold_want_facts(struct fold *fold, struct past_facts *facts)
{
    u32 most = (u32)people_most(fold->live.people);
    arena a = { 0 };
    for (u32 id = 1; id <= most;) {
        rcu_read_begin();
        for (u32 end = id + PEOPLE_PER_BRACKET; id < end && id <= most; id++) {
            const struct profile *p = people_read(fold->live.people, (person_id){ id }, PEOPLE_FACTS, &a);
            if (p && p->created_at_ms <= past_facts_at(facts)) past_facts_want(facts, p);
            arena_clear(&a);
        }
        rcu_read_end();
    }
    arena_fini(&a);
}
