/* SPDX-License-Identifier: Apache-2.0
 *
 * portrait.c - what sets a group of people apart: the most valuable, and the persona of a segment.
 *
 * Each attribute's share in the group stands beside its share among the others, with the lift (the
 * one over the other, less one), its interval at 95 % and a p that is corrected for having looked
 * at many (Benjamini and Hochberg). An attribute that nobody else has, has no lift: its counts say
 * it. What people did is of the last 365 days.
 */
#include <math.h>
#include <stdlib.h>

#include "api/admin.h"
#include "base/rcu.h"

enum { LEAST_PEOPLE = 5, LIFTED_MAX = 20, VALUED_MAX = 50 };

/* ---- worth ----------------------------------------------------------------------------------- */

/* In the shop's currency by its own rates; what has none is left out and counted. */
static i64 worth_of(const struct book *book, const struct profile *p, i64 now_ms, i64 *orders,
                    i64 *without_rate)
{
    struct worth worth = profile_worth(p, now_ms);
    f64 sum = 0;
    *orders = worth.orders;
    for (isize i = 0; i < worth.n; i++) {
        f64 rate = worth.in[i].currency.v == book->settings.currency.v ? 1 : 0;
        for (isize k = 0; rate == 0 && k < book->settings.rates_n; k++)
            if (book->settings.rates[k].of.v == worth.in[i].currency.v) rate = book->settings.rates[k].rate;
        if (rate == 0) ++*without_rate;
        sum += (f64)worth.in[i].revenue_minor * rate;
    }
    return (i64)llround(sum);
}

/* ---- shares ---------------------------------------------------------------------------------- */

struct tallied { i64 in, out; };
struct portrait {
    struct attributes *attributes;
    struct tallied *at; isize cap;
    i64 in, out;
};

static void portrait_add(struct portrait *t, const struct catalog *catalog, const struct profile *p,
                         bool in, i64 now_ms, arena *a)
{
    const u32 *of;
    isize n = attributes_of(t->attributes, catalog, p, now_ms - 365 * DAY_MS, now_ms, &of);
    if (attributes_n(t->attributes) > t->cap) {
        isize cap = 2 * attributes_n(t->attributes);
        struct tallied *more = arena_new(a, struct tallied, cap);
        if (t->cap) memcpy(more, t->at, (size_t)t->cap * sizeof *more);
        t->at = more;
        t->cap = cap;
    }
    for (isize i = 0; i < n; i++) {
        t->at[of[i]].in += in;
        t->at[of[i]].out += !in;
    }
    t->in += in;
    t->out += !in;
}

struct lifted { struct attribute attribute; struct tallied n; f64 lift, low, high, p, share; bool told; };

static int by_p(const void *x, const void *y)
{
    const struct lifted *a = x, *b = y;
    if (a->p != b->p) return a->p < b->p ? -1 : 1;
    return a->n.in != b->n.in ? (a->n.in > b->n.in ? -1 : 1)
                              : str_cmp(a->attribute.value, b->attribute.value);
}

static int by_share(const void *x, const void *y)
{
    const struct lifted *a = x, *b = y;
    return a->n.in != b->n.in ? (a->n.in > b->n.in ? -1 : 1)
                              : str_cmp(a->attribute.value, b->attribute.value);
}

static isize compare(const struct portrait *t, arena *a, struct lifted **out)
{
    struct stats_settings s = { .kind = STATS_PROPORTION, .relative = true, .alpha = 0.05 };
    isize n = 0, most = attributes_n(t->attributes);
    struct lifted *list = arena_new(a, struct lifted, most + 1);
    f64 *p = arena_new(a, f64, most + 1);
    for (isize i = 0; i < most; i++) {
        struct lifted x = { .n = i < t->cap ? t->at[i] : (struct tallied){ 0 } };
        if (!attribute_at(t->attributes, i, &x.attribute) || x.n.in + x.n.out < LEAST_PEOPLE) continue;
        struct stats_sums in = { .n = (f64)t->in, .sum = (f64)x.n.in, .sum_sq = (f64)x.n.in },
                          others = { .n = (f64)t->out, .sum = (f64)x.n.out, .sum_sq = (f64)x.n.out };
        struct stats_effect e = stats_effect(&s, (struct stats_arm){ &others, 1 },
                                             (struct stats_arm){ &in, 1 }, NULL, 0);
        struct stats_interval interval = stats_fixed(&s, &e);
        x.told = e.problem == STATS_FINE;
        x.lift = x.told ? e.effect : (f64)NAN;
        x.low = interval.low;
        x.high = interval.high;
        x.share = t->in ? (f64)x.n.in / (f64)t->in : 0;
        p[n] = x.told ? interval.p : (f64)NAN;
        list[n++] = x;
    }
    stats_correct(p, n, STATS_BH, a);
    for (isize i = 0; i < n; i++) list[i].p = isnan(p[i]) ? 1 : p[i];
    *out = list;
    return n;
}

static void print_lifted(struct call *call, const struct lifted *x, const struct portrait *t)
{
    struct jsonw *w = &call->w;
    static const char *const kinds[] = { "trait", "viewed", "bought", "channel" };
    jsonw_begin(w, '{');
    jsonw_key_str(w, "kind", str_of(kinds[x->attribute.kind]));
    jsonw_key_str(w, "name", x->attribute.name);
    jsonw_key_str(w, "value", x->attribute.value);
    jsonw_key_str(w, "text", attribute_print(call->a, x->attribute));
    jsonw_key_int(w, "people", x->n.in);
    jsonw_key_num(w, "share", x->share);
    jsonw_key_int(w, "others", x->n.out);
    jsonw_key_num(w, "others_share", t->out ? (f64)x->n.out / (f64)t->out : 0);
    jsonw_key_num(w, "lift", x->lift);
    jsonw_key_num(w, "low", x->told ? x->low : (f64)NAN);
    jsonw_key_num(w, "high", x->told ? x->high : (f64)NAN);
    jsonw_key_num(w, "p", x->told ? x->p : (f64)NAN);
    jsonw_key_bool(w, "sure", x->told && x->p < 0.05);
    jsonw_end(w, '}');
}

static void print_attributes(struct call *call, const struct portrait *t)
{
    struct lifted *list;
    isize n = compare(t, call->a, &list), shown = 0;
    qsort(list, (size_t)n, sizeof *list, by_p);
    jsonw_key_begin(&call->w, "attributes", '[');
    for (isize i = 0; i < n && shown < LIFTED_MAX; i++) {
        if (!(list[i].lift > 0) && !(list[i].n.out == 0)) continue;
        print_lifted(call, &list[i], t);
        shown++;
    }
    jsonw_end(&call->w, ']');
    qsort(list, (size_t)n, sizeof *list, by_share);
    shown = 0;
    jsonw_key_begin(&call->w, "preferences", '[');
    for (isize i = 0; i < n && shown < LIFTED_MAX; i++) {
        bool chosen = list[i].attribute.kind == ATTRIBUTE_TRAIT
                      && str_starts(list[i].attribute.name, S(PREFERENCE_TRAIT));
        bool dealt = list[i].attribute.kind == ATTRIBUTE_VIEWED || list[i].attribute.kind == ATTRIBUTE_BOUGHT;
        if ((!chosen && !dealt) || list[i].n.in == 0) continue;
        print_lifted(call, &list[i], t);
        shown++;
    }
    jsonw_end(&call->w, ']');
}

/* ---- the most valuable ----------------------------------------------------------------------- */

struct valued { u32 person; i64 minor, orders; };
struct valuable { struct valued *at; isize n, shown; currency currency; };

static int by_value(const void *x, const void *y)
{
    const struct valued *a = x, *b = y;
    if (a->minor != b->minor) return a->minor > b->minor ? -1 : 1;
    return a->person < b->person ? -1 : a->person > b->person;
}

static void answer_valued(struct call *call, struct fold *fold)
{
    const struct valuable *v = call->own;
    const struct live *live = fold_live(fold);
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "people", '[');
    for (isize i = 0; i < v->shown; i++) {
        const struct profile *p = people_get(live->people, (person_id){ v->at[i].person }, call->a);
        if (!p) continue;
        jsonw_begin(w, '{');
        print_person_id(w, "person_id", p->id);
        jsonw_key_str(w, "display", person_display(live, p, call->a));
        jsonw_key(w, S("value"));
        print_money(w, (struct money){ v->at[i].minor, v->currency });
        jsonw_key_int(w, "orders", v->at[i].orders);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void valuable(struct call *call)
{
    f64 share = 0.1;
    str said = http_query(call->req, S("share"), S(""));
    if (said.len && (!str_to_f64(said, &share) || !(share > 0 && share <= 0.5))) {
        call_fail(call, ERR_BAD_INPUT, "share is above 0 and at most 0.5");
        return;
    }
    const struct live *live = call->api->live;
    struct jsonw *w = &call->w;
    i64 now_ms = clock_now(call->api->clock), all = 0, top = 0, without_rate = 0;
    struct valuable v = { 0 };
    struct portrait t = { .attributes = attributes_new(false) };
    arena a = { 0 };
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    u32 most = (u32)people_most(live->people);
    v.currency = book->settings.currency;
    v.at = arena_new(call->a, struct valued, most + 1);
    for (u32 id = 1; id <= most; id++) {
        const struct profile *p = people_read(live->people, (person_id){ id }, PEOPLE_HISTORY, &a);
        i64 orders = 0, minor = p ? worth_of(book, p, now_ms, &orders, &without_rate) : 0;
        arena_clear(&a);
        if (minor <= 0) continue;
        v.at[v.n++] = (struct valued){ id, minor, orders };
        all += minor;
    }
    qsort(v.at, (size_t)v.n, sizeof *v.at, by_value);
    isize n = v.n ? max_isize(1, (isize)ceil((f64)v.n * share)) : 0;
    for (isize i = 0; i < v.n; i++) {
        const struct profile *p = people_get(live->people, (person_id){ v.at[i].person }, &a);
        if (i < n) top += v.at[i].minor;
        if (p) portrait_add(&t, live->catalog, p, i < n, now_ms, call->a);
        arena_clear(&a);
    }
    arena_fini(&a);
    jsonw_begin(w, '{');
    jsonw_key_num(w, "share", share);
    jsonw_key_int(w, "buyers", v.n);
    jsonw_key_int(w, "count", n);
    jsonw_key(w, S("from"));
    if (n) print_money(w, (struct money){ v.at[n - 1].minor, v.currency });
    else jsonw_null(w);
    jsonw_key(w, S("revenue"));
    print_money(w, (struct money){ top, v.currency });
    jsonw_key_num(w, "revenue_share", all ? (f64)top / (f64)all : 0);
    jsonw_key_int(w, "without_rate", without_rate);
    jsonw_key_str(w, "others", S("the other buyers"));
    print_attributes(call, &t);
    rcu_read_end();
    attributes_free(t.attributes);
    v.shown = min_isize(n, query_limit(call, 20, VALUED_MAX));
    call->own = &v;
    on_fold(call, answer_valued);
}

void people_valuable(struct call *call) { ask_jobs(call, valuable); }

/* ---- personas -------------------------------------------------------------------------------- */

struct side { i64 people, buyers, orders, minor; };

static void print_side(struct jsonw *w, const char *key, const struct side *s, currency of)
{
    jsonw_key_begin(w, key, '{');
    jsonw_key_int(w, "people", s->people);
    jsonw_key_int(w, "buyers", s->buyers);
    jsonw_key_int(w, "orders", s->orders);
    jsonw_key(w, S("revenue"));
    print_money(w, (struct money){ s->minor, of });
    jsonw_key(w, S("a_person"));
    if (s->people) print_money(w, (struct money){ (s->minor + s->people / 2) / s->people, of });
    else jsonw_null(w);
    jsonw_key(w, S("an_order"));
    if (s->orders) print_money(w, (struct money){ (s->minor + s->orders / 2) / s->orders, of });
    else jsonw_null(w);
    jsonw_end(w, '}');
}

static void persona(struct call *call)
{
    const struct live *live = call->api->live;
    struct jsonw *w = &call->w;
    i64 now_ms = clock_now(call->api->clock), without_rate = 0;
    struct portrait t = { .attributes = attributes_new(false) };
    struct side members = { 0 }, others = { 0 };
    arena a = { 0 };
    rcu_read_begin();
    const struct book *book = atomic_load(&live->book);
    segment_id id = segment_find(book->segments, call->params[0]);
    if (!id.v)
        call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"",
                  STR_FMT(call->params[0]));
    u32 most = id.v ? (u32)people_most(live->people) : 0;
    for (u32 i = 1; i <= most; i++) {
        const struct profile *p = people_get(live->people, (person_id){ i }, &a);
        if (!p) continue;
        bool in = segment_member(book->segments, live->catalog, p, id, now_ms);
        struct side *s = in ? &members : &others;
        i64 orders = 0, minor = worth_of(book, p, now_ms, &orders, &without_rate);
        s->people++;
        s->buyers += orders > 0;
        s->orders += orders;
        s->minor += minor;
        portrait_add(&t, live->catalog, p, in, now_ms, call->a);
        arena_clear(&a);
    }
    arena_fini(&a);
    if (!call->err) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", call->params[0]);
        jsonw_key_str(w, "title", book->segments->by_id[id.v]->title);
        jsonw_key_int(w, "size", members.people);
        i64 all = members.people + others.people;
        jsonw_key_num(w, "share", all ? (f64)members.people / (f64)all : 0);
        print_side(w, "value", &members, book->settings.currency);
        print_side(w, "others", &others, book->settings.currency);
        jsonw_key_int(w, "without_rate", without_rate);
        print_attributes(call, &t);
        jsonw_end(w, '}');
    }
    rcu_read_end();
    attributes_free(t.attributes);
}

void segment_persona(struct call *call) { ask_jobs(call, persona); }
