/* SPDX-License-Identifier: Apache-2.0
 *
 * overlap.c - people who are in several segments at once: how many, and who speaks to them.
 *
 * Counts are of the roll, exact. For the people who are in all of them each placement's campaigns
 * are asked in the order in which a decision asks them (priority, then age): the first whose target
 * holds wins, the others that would have spoken are said with it. What a request's context would
 * have said is unknown here, and what depends on it does not hold.
 */
#include "api/admin.h"
#include "base/rcu.h"

enum { SHARED_MAX = 20000, WINNERS_MAX = 64 };

struct winner {
    const struct campaign *campaign;
    isize experience;
    i64 people;
    const struct campaign *over;
    i64 over_people;
};
struct contest {
    const struct book *book;
    const struct live *live;
    i64 now_ms;
    struct winner at[WINNERS_MAX];
    isize n;
    i64 nobody;
};

static isize experience_for(const struct contest *c, const struct campaign *campaign, const struct profile *p)
{
    struct profile_world world = { .profile = p,
                                   .catalog = c->live->catalog,
                                   .now_ms = c->now_ms,
                                   .zone = c->book->segments->zone,
                                   .market = campaign->market };
    struct rule_facts facts = profile_facts(&world);
    facts.no_timer = true;
    for (isize i = 0; i < campaign->experiences_n; i++)
        if (!campaign->experiences[i].target
            || rule_holds(rule_run(campaign->experiences[i].target, &facts)))
            return i;
    return -1;
}

static bool in_force(const struct campaign *c, i64 now_ms)
{
    return !c->paused && (c->starts_at_ms == 0 || c->starts_at_ms <= now_ms)
           && (c->ends_at_ms == 0 || now_ms < c->ends_at_ms);
}

static void ask_person(struct contest *c, str family, const struct profile *p)
{
    const struct campaign *won = NULL, *over = NULL;
    isize by = 0;
    for (isize i = 0; i < c->book->campaigns_n && !over; i++) {
        const struct campaign *campaign = &c->book->campaigns[i];
        if (!str_eq(c->book->placements[campaign->placement].family, family)
            || !in_force(campaign, c->now_ms))
            continue;
        isize x = experience_for(c, campaign, p);
        if (x < 0) continue;
        if (!won) { won = campaign; by = x; }
        else over = campaign;
    }
    if (!won) { c->nobody++; return; }
    isize i = 0;
    while (i < c->n && !(c->at[i].campaign == won && c->at[i].experience == by && c->at[i].over == over)) i++;
    if (i == WINNERS_MAX) return;
    if (i == c->n) c->at[c->n++] = (struct winner){ .campaign = won, .experience = by, .over = over };
    c->at[i].people++;
}

static void print_winner(struct call *call, const struct winner *x)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "campaign", x->campaign->key);
    jsonw_key_str(w, "experience", x->campaign->experiences[x->experience].key);
    jsonw_key_int(w, "people", x->people);
    if (x->over) jsonw_key_str(w, "over", x->over->key);
    str why = !x->over ? S("nobody else speaks to them here")
              : x->campaign->priority != x->over->priority
                  ? arena_printf(call->a, "priority %d goes before %d", x->campaign->priority,
                                 x->over->priority)
                  : arena_printf(call->a, "both have priority %d; the older campaign goes first",
                                 x->campaign->priority);
    jsonw_key_str(w, "why", why);
    jsonw_end(w, '}');
}

/* Of each family of placements with a campaign in it. */
static void print_winners(struct call *call, const struct book *book, const segment_id *ids, isize n)
{
    struct jsonw *w = &call->w;
    const struct live *live = call->api->live;
    i64 asked = 0;
    jsonw_key_begin(w, "winners", '[');
    for (isize i = 0; i < book->placements_n; i++) {
        const struct placement *placement = &book->placements[i];
        bool first = true, speaks = false;
        for (isize k = 0; k < i; k++) first &= !str_eq(book->placements[k].family, placement->family);
        for (isize k = 0; k < book->campaigns_n; k++)
            speaks |= str_eq(book->placements[book->campaigns[k].placement].family, placement->family);
        if (!first || !speaks) continue;
        struct contest *c = arena_new(call->a, struct contest, 1);
        *c = (struct contest){ .book = book, .live = live, .now_ms = clock_now(call->api->clock) };
        asked = 0;
        for (i64 at = roll_next(live->roll, ids[0], 1); at > 0 && asked < SHARED_MAX;
             at = roll_next(live->roll, ids[0], (u32)at + 1)) {
            struct arena_mark mark = arena_mark(call->a);
            const struct profile *p = people_get(live->people, (person_id){ (u32)at }, call->a);
            bool all = p != NULL;
            for (isize k = 1; all && k < n; k++) {
                const struct membership *m = profile_membership(p, ids[k]);
                all = m && m->member;
            }
            asked += all;
            if (all) ask_person(c, placement->family, p);
            arena_reset(call->a, mark);
        }
        jsonw_begin(w, '{');
        jsonw_key_str(w, "placement", placement->key);
        jsonw_key_begin(w, "won_by", '[');
        for (isize k = 0; k < c->n; k++) print_winner(call, &c->at[k]);
        jsonw_end(w, ']');
        jsonw_key_int(w, "nobody", c->nobody);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "winners_of", asked);              /* below `all` when there were too many to ask */
}

static void print_pairs(struct call *call, const str *keys, const segment_id *ids, isize n)
{
    struct jsonw *w = &call->w;
    const struct roll *roll = call->api->live->roll;
    jsonw_key_begin(w, "segments", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", keys[i]);
        jsonw_key_int(w, "count", roll_count(roll, ids[i]));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "pairs", '[');
    for (isize i = 0; i < n; i++)
        for (isize k = i + 1; k < n; k++) {
            const segment_id pair[] = { ids[i], ids[k] };
            jsonw_begin(w, '{');
            jsonw_key_begin(w, "keys", '[');
            jsonw_str(w, keys[i]);
            jsonw_str(w, keys[k]);
            jsonw_end(w, ']');
            jsonw_key_int(w, "count", roll_overlap(roll, pair, 2));
            jsonw_end(w, '}');
        }
    jsonw_end(w, ']');
    jsonw_key_int(w, "all", roll_overlap(roll, ids, n));
}

static void overlap(struct call *call)
{
    const struct live *live = call->api->live;
    str keys[BITSET_AND_MAX];
    segment_id ids[BITSET_AND_MAX];
    isize n = 0;
    for (struct str_cut cut = str_cut(http_query(call->req, S("keys"), S("")), ',');;
         cut = str_cut(cut.tail, ',')) {
        if (n == BITSET_AND_MAX) {
            call_fail(call, ERR_BAD_INPUT, "keys: at most %d segments at once", BITSET_AND_MAX);
            return;
        }
        keys[n++] = str_trim(cut.head);
        if (!cut.found) break;
    }
    if (http_query(call->req, S("at"), S("")).len) { overlap_then(call, keys, n); return; }
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    for (isize i = 0; i < n && !call->err; i++) {
        ids[i] = segment_find(book->segments, keys[i]);
        if (!ids[i].v)
            call_fail(call, ERR_NOT_FOUND, "keys: there is no published segment \"%.*s\"",
                      STR_FMT(keys[i]));
    }
    if (!call->err) {
        jsonw_begin(&call->w, '{');
        print_pairs(call, keys, ids, n);
        if (n > 1) print_winners(call, book, ids, n);
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
}

void segments_overlap(struct call *call) { ask_jobs(call, overlap); }
