/* SPDX-License-Identifier: Apache-2.0
 *
 * review.c - are the segments any good? Each is held against what people really did.
 *
 *   empty            nobody is in it
 *   stale            nobody came or left in so many days
 *   overlapping      nearly the same people as another (Jaccard: shared over all who are in either)
 *   demographics     its rule asks for nothing that people do
 *   indistinct       its members do nothing more or less than everybody else, as far as can be told
 *
 * Behaviour is what was viewed and bought, by category and brand, by which channel they came and
 * whether they ordered, of the last `days`. A segment is called indistinct when none of that
 * differs at 5 % after Holm's correction. A suggested split is the behaviour that parts the members
 * most evenly. One walk over everybody, on the jobs thread.
 */
#include <math.h>

#include "api/admin.h"
#include "base/rcu.h"

enum { LEAST_MEMBERS = 20, BEHAVIOURS_MAX = 512 };

struct reviewed { i64 in, moved, ordered; i64 *with; };
struct review {
    const struct segment_set *set;
    struct attributes *attributes;
    struct reviewed *of;
    i64 people, ordered, all[BEHAVIOURS_MAX];
    i64 now_ms, days;
    f64 jaccard;
};

static bool ordered_since(const struct profile *p, i64 since_ms)
{
    for (isize i = p->history_n - 1; i >= 0 && p->history[i].at_ms >= since_ms; i--)
        if (p->history[i].type == EVENT_ORDER_COMPLETED) return true;
    return false;
}

static void review_person(struct review *r, const struct live *live, const struct profile *p,
                          bool *in, bool *was, arena *a)
{
    i64 since_ms = r->now_ms - r->days * DAY_MS;
    const struct profile *then = profile_then(p, since_ms, NULL, 0, a);
    past_segments(r->set, live->catalog, p, r->now_ms, a, in);
    if (then) past_segments(r->set, live->catalog, then, since_ms, a, was);
    const u32 *of;
    isize n = attributes_of(r->attributes, live->catalog, p, since_ms, r->now_ms, &of);
    bool ordered = ordered_since(p, since_ms);
    r->people++;
    r->ordered += ordered;
    for (isize k = 0; k < n; k++)
        if (of[k] < BEHAVIOURS_MAX) r->all[of[k]]++;
    for (isize i = 0; i < r->set->n; i++) {
        r->of[i].moved += in[i] != (then && was[i]);
        if (!in[i]) continue;
        r->of[i].in++;
        r->of[i].ordered += ordered;
        for (isize k = 0; k < n; k++)
            if (of[k] < BEHAVIOURS_MAX) r->of[i].with[of[k]]++;
    }
}

static f64 p_of(i64 with, i64 members, i64 all_with, i64 all)
{
    return stats_shares_p((f64)with, (f64)members, (f64)(all_with - with), (f64)(all - members));
}

/* The least corrected p over everything that was compared; 1 when there is nothing to compare. */
static f64 least_p(const struct review *r, isize i, arena *a)
{
    isize n = 0, most = min_isize(attributes_n(r->attributes), BEHAVIOURS_MAX);
    f64 *p = arena_new(a, f64, most + 1), least = 1;
    p[n++] = p_of(r->of[i].ordered, r->of[i].in, r->ordered, r->people);
    for (isize k = 0; k < most; k++)
        if (r->all[k] >= 10) p[n++] = p_of(r->of[i].with[k], r->of[i].in, r->all[k], r->people);
    stats_correct(p, n, STATS_HOLM, a);
    for (isize k = 0; k < n; k++) least = p[k] < least ? p[k] : least;
    return least;
}

static void finding(struct call *call, const struct segment *s, const char *what, str text)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", s->key);
    jsonw_key_str(w, "title", s->title);
    jsonw_key_str(w, "finding", str_of(what));
    jsonw_key_str(w, "text", text);
}

/* The behaviour that parts the members most evenly, as a rule to add. */
static void print_suggestion(struct call *call, const struct review *r, isize i)
{
    isize best = -1, most = min_isize(attributes_n(r->attributes), BEHAVIOURS_MAX);
    f64 evenness = 0;
    for (isize k = 0; k < most; k++) {
        struct attribute x;
        f64 share = r->of[i].in ? (f64)r->of[i].with[k] / (f64)r->of[i].in : 0;
        if (!attribute_at(r->attributes, k, &x) || x.kind == ATTRIBUTE_CHANNEL
            || !str_eq(x.name, S("category")))
            continue;
        if (share * (1 - share) > evenness) { evenness = share * (1 - share); best = k; }
    }
    if (best < 0) return;
    struct attribute x;
    struct jsonw *w = &call->w;
    struct buf quoted = { .arena = call->a };
    struct jsonw q = { .out = &quoted };
    (void)attribute_at(r->attributes, best, &x);
    jsonw_str(&q, x.value);
    const char *event = x.kind == ATTRIBUTE_BOUGHT ? "product_purchased" : "product_viewed";
    jsonw_key_begin(w, "suggestion", '{');
    jsonw_key_str(
        w, "rule",
        arena_printf(
            call->a, "in segment \"%.*s\" and did(%s where category = %.*s, last %lld days)",
            STR_FMT(r->set->at[i].key), event, STR_FMT(buf_str(&quoted)), (long long)r->days));
    jsonw_key_int(w, "people", r->of[i].with[best]);
    jsonw_key_int(w, "others", r->of[i].in - r->of[i].with[best]);
    jsonw_end(w, '}');
}

static void print_finds(struct call *call, const struct review *r, isize i)
{
    const struct segment *s = &r->set->at[i];
    const struct reviewed *of = &r->of[i];
    struct jsonw *w = &call->w;
    if (of->in == 0) {
        finding(call, s, "empty", S("nobody is in it"));
        jsonw_end(w, '}');
        return;
    }
    if (of->moved == 0) {
        finding(call, s, "stale",
                arena_printf(call->a, "nobody came or left in %lld days", (long long)r->days));
        jsonw_end(w, '}');
    }
    if ((s->depends & ~(u32)(RULE_ON_TRAITS | RULE_ON_TIME)) == 0 && s->depends & RULE_ON_TRAITS) {
        finding(call, s, "demographics", S("it asks for nothing that people do"));
        print_suggestion(call, r, i);
        jsonw_end(w, '}');
    }
    if (of->in < LEAST_MEMBERS || r->people - of->in < LEAST_MEMBERS) return;
    f64 p = least_p(r, i, call->a);
    if (p < 0.05) return;
    finding(call, s, "indistinct",
            arena_printf(call->a,
                         "its %lld members do as everybody else does, as far as %lld days can tell",
                         (long long)of->in, (long long)r->days));
    jsonw_key_num(w, "p", p);
    print_suggestion(call, r, i);
    jsonw_end(w, '}');
}

static void print_twins(struct call *call, const struct review *r)
{
    const struct roll *roll = call->api->live->roll;
    struct jsonw *w = &call->w;
    for (isize i = 0; i < r->set->n; i++)
        for (isize k = i + 1; k < r->set->n; k++) {
            const segment_id both[] = { r->set->at[i].id, r->set->at[k].id };
            isize a = roll_count(roll, both[0]), b = roll_count(roll, both[1]),
                  shared = a && b ? roll_overlap(roll, both, 2) : 0;
            f64 likeness = shared ? (f64)shared / (f64)(a + b - shared) : 0;
            if (shared == 0 || likeness < r->jaccard) continue;
            finding(call, &r->set->at[i], "overlapping",
                    arena_printf(call->a, "%td of %td people are in \"%.*s\" too", shared, a,
                                 STR_FMT(r->set->at[k].key)));
            jsonw_key_str(w, "other", r->set->at[k].key);
            jsonw_key_int(w, "shared", shared);
            jsonw_key_num(w, "likeness", likeness);
            jsonw_end(w, '}');
        }
}

static void review(struct call *call)
{
    struct review *r = arena_new(call->a, struct review, 1);
    const struct live *live = call->api->live;
    r->now_ms = clock_now(call->api->clock);
    r->days = 30;
    r->jaccard = 0.8;
    str days = http_query(call->req, S("days"), S("30")),
        likeness = http_query(call->req, S("likeness"), S("0.8"));
    if (!str_to_i64(days, &r->days) || r->days < 1 || r->days > 365) {
        call_fail(call, ERR_BAD_INPUT, "days is 1 to 365");
        return;
    }
    if (!str_to_f64(likeness, &r->jaccard) || !(r->jaccard > 0 && r->jaccard <= 1)) {
        call_fail(call, ERR_BAD_INPUT, "likeness is above 0 and at most 1");
        return;
    }
    r->attributes = attributes_new(true);
    struct jsonw *w = &call->w;
    arena a = { 0 };
    rcu_read_begin();
    r->set = ((const struct book *)atomic_load(&live->book))->segments;
    r->of = arena_new(call->a, struct reviewed, r->set->n + 1);
    for (isize i = 0; i < r->set->n; i++) r->of[i].with = arena_new(call->a, i64, BEHAVIOURS_MAX);
    bool *in = arena_new(call->a, bool, 2 * (r->set->n + 1));
    u32 most = (u32)people_most(live->people);
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_get(live->people, (person_id){ id }, &a);
        if (p) review_person(r, live, p, in, in + r->set->n + 1, &a);
        arena_clear(&a);
    }
    jsonw_begin(w, '{');
    jsonw_key_int(w, "segments", r->set->n);
    jsonw_key_int(w, "people", r->people);
    jsonw_key_int(w, "days", r->days);
    jsonw_key_begin(w, "findings", '[');
    for (isize k = 0; k < r->set->n; k++) print_finds(call, r, r->set->by_number[k]);
    print_twins(call, r);
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    rcu_read_end();
    arena_fini(&a);
    attributes_free(r->attributes);
}

void segments_review(struct call *call) { ask_jobs(call, review); }
