/* SPDX-License-Identifier: Apache-2.0
 *
 * coverage.c - /v1/catalog/coverage: is there enough to show, to everybody, everywhere?
 *
 * For each placement, and each segment's people in it: are there at least so many things to show?
 * Of a row of items those that stand in stock and pass its strategy's filter; of a banner its
 * default and the variations of running campaigns whose target holds. A segment is asked by its
 * first few members, and the one with least counts. Counting stops when there are enough, so that
 * it is gaps that cost time. Runs on the jobs thread, a bracket a placement. */
#include "api/inside.h"
#include "base/rcu.h"

enum { MEMBERS_ASKED = 3, LEAST_DEFAULT = 4 };

struct covering {
    const struct book *book;
    const struct catalog *catalog;
    const struct profile *profile;
    i64 now_ms;
};

static enum tri covered_segment(const void *ctx, segment_id id)
{
    const struct covering *c = ctx;
    if (!c->profile) return TRI_FALSE;
    return segment_member(c->book->segments, c->catalog, c->profile, id, c->now_ms) ? TRI_TRUE : TRI_FALSE;
}

static i64 things_to_show(const struct covering *c, const struct placement *p, isize index, i64 least)
{
    struct profile_world world = { .profile = c->profile, .catalog = c->catalog, .now_ms = c->now_ms };
    struct rule_facts facts = profile_facts(&world);
    const struct strategy *strategy = book_strategy(c->book, p->strategy);
    i64 n = 0;
    facts.segment_ctx = c;
    facts.in_segment = covered_segment;
    if (p->strategy.len == 0) {
        n += json_len(p->content) > 0;
        for (isize i = 0; i < c->book->campaigns_n; i++) {
            const struct campaign *campaign = &c->book->campaigns[i];
            bool runs = campaign->placement == index && !campaign->paused
                        && (!campaign->ends_at_ms || campaign->ends_at_ms > c->now_ms);
            for (isize x = 0; runs && x < campaign->experiences_n; x++) {
                const struct experience *e = &campaign->experiences[x];
                if (!e->target || rule_holds(rule_run(e->target, &facts))) n += e->variations_n;
            }
        }
        return n;
    }
    for (u32 id = 1; id <= (u32)catalog_count(c->catalog) && n < least; id++) {
        const struct item *item = catalog_item(c->catalog, (item_id){ id });
        bool content = strategy && strategy->query.content;
        if (!item || !item_showable(c->catalog, item) || (item->kind == ITEM_CONTENT) != content) continue;
        if (!content && !item_in_stock(item)) continue;
        facts.candidate = item->id;
        n += !strategy || !strategy->filter || rule_holds(rule_run(strategy->filter, &facts));
    }
    return n;
}

static void print_gap(struct jsonw *w, str placement, str segment, i64 items, i64 people)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "placement", placement);
    if (segment.len) jsonw_key_str(w, "segment", segment);
    jsonw_key_int(w, "items", items);
    if (segment.len) jsonw_key_int(w, "people", people);
    jsonw_end(w, '}');
}

struct coverage { i64 placements, placements_covered, pairs, pairs_covered, least; };

static void cover_segments(struct call *call, struct covering *c, isize placement, struct coverage *sum)
{
    const struct live *live = call->api->live;
    for (isize s = 0; s < c->book->segments->n; s++) {
        const struct segment *segment = &c->book->segments->at[s];
        i64 people = roll_count(live->roll, segment->id), items = sum->least, asked = 0;
        for (i64 id = roll_next(live->roll, segment->id, 1); id > 0 && asked < MEMBERS_ASKED;
             id = roll_next(live->roll, segment->id, (u32)id + 1), asked++) {
            struct arena_mark mark = arena_mark(call->a);
            c->profile = people_get(live->people, (person_id){ (u32)id }, call->a);
            items = min_i64(items, things_to_show(c, &c->book->placements[placement], placement, sum->least));
            arena_reset(call->a, mark);
        }
        c->profile = NULL;
        if (asked == 0) continue;                       /* nobody to show anything to */
        sum->pairs++;
        sum->pairs_covered += items >= sum->least;
        if (items < sum->least)
            print_gap(&call->w, c->book->placements[placement].key, segment->key, items, people);
    }
}

static void coverage(struct call *call)
{
    struct jsonw *w = &call->w;
    struct coverage sum = { .least = LEAST_DEFAULT };
    i64 asked;
    if (str_to_i64(http_query(call->req, S("least"), S("")), &asked) && asked > 0 && asked <= 1000)
        sum.least = asked;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "least", sum.least);
    jsonw_key_begin(w, "gaps", '[');
    rcu_read_begin();
    struct covering c = { .book = atomic_load(&call->api->live->book),
                          .catalog = call->api->live->catalog,
                          .now_ms = clock_now(call->api->clock) };
    isize placements = c.book->placements_n;
    rcu_read_end();
    for (isize i = 0; i < placements; i++) {            /* a bracket a placement: none is held for long */
        rcu_read_begin();
        c.book = atomic_load(&call->api->live->book);
        if (i < c.book->placements_n) {
            i64 items = things_to_show(&c, &c.book->placements[i], i, sum.least);
            sum.placements++;
            sum.placements_covered += items >= sum.least;
            if (items < sum.least) print_gap(w, c.book->placements[i].key, S(""), items, 0);
            cover_segments(call, &c, i, &sum);
        }
        rcu_read_end();
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "placements", sum.placements);
    jsonw_key_num(w, "placements_covered",
                  sum.placements ? (f64)sum.placements_covered / (f64)sum.placements : 1);
    jsonw_key_int(w, "segments_in_placements", sum.pairs);
    jsonw_key_num(w, "segments_covered", sum.pairs ? (f64)sum.pairs_covered / (f64)sum.pairs : 1);
    jsonw_end(w, '}');
}

void coverage_get(struct call *call) { ask_jobs(call, coverage); }
