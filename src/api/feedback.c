/* SPDX-License-Identifier: Apache-2.0
 *
 * feedback.c - GET /v1/feedback: what people say, by what they were shown, by segment and by the
 * stage they stood on.
 *
 * Read from the log on the jobs thread: Feedback Given (rating, comment, and the ticket of what it
 * is about) and Product Reviewed, the last FEEDBACK_DAYS days unless ?days= says otherwise; and
 * answers of surveys that are numbers, each on the stage of the journey its person stood on when
 * they gave it. Segments are those the person is in now. What was said without a person counts in
 * the whole and in its experience.
 */
#include <stdlib.h>

#include "api/admin.h"
#include "base/rcu.h"

enum {
    FEEDBACK_DAYS = 90,
    FEEDBACK_ENTRIES = 2000000,
    GROUPS_MAX = 20000,
    COMMENTS_KEPT = 5,
    COMMENT_BYTES_MAX = 1000,
    PARTS = 4
};

struct comment { f64 rating; i64 at_ms; person_id person; str text; };
/* One line of the report: what it is called, in up to four parts, and the answers in it. */
struct group {
    str part[PARTS];
    i64 n;
    f64 sum;
    struct comment comments[COMMENTS_KEPT]; isize comments_n;      /* ever; the latest are kept */
};
struct groups { struct { struct group *at; isize n, cap; } all; struct map *by_name; };

struct reading {
    struct call *call;
    const struct live *live;
    struct group whole;
    struct groups experiences, segments, stages, questions;
    i64 from_ms;
    arena kept;
};

static struct group *group_of(struct reading *r, struct groups *groups, const str *part, isize parts_n)
{
    struct hash128 h = { 0 };
    for (isize i = 0; i < parts_n; i++) {
        struct hash128 one = hash128(part[i], (u64)i + 1);
        h = (struct hash128){ h.hi + one.hi, h.lo + one.lo };
    }
    u64 at = map_get(groups->by_name, h, UINT64_MAX);
    if (at != UINT64_MAX) return &groups->all.at[at];
    if (groups->all.n == GROUPS_MAX) return NULL;
    struct group fresh = { 0 };
    for (isize i = 0; i < parts_n; i++) fresh.part[i] = arena_str(&r->kept, part[i]);
    vec_push(&groups->all, fresh);
    (void)map_put(groups->by_name, h, (u64)groups->all.n - 1);
    return &groups->all.at[groups->all.n - 1];
}

static void count(struct group *group, const struct comment *c)
{
    if (!group) return;
    group->n++;
    group->sum += c->rating;
    if (c->text.len) group->comments[group->comments_n++ % COMMENTS_KEPT] = *c;
}

/* A number, or a text that is one. */
static bool number_of(const struct json *v, f64 *out)
{
    if (json_is(v, JSON_INT) || json_is(v, JSON_NUM)) { *out = json_num(v, 0); return true; }
    return json_is(v, JSON_STR) && str_to_f64(str_trim(v->s), out);
}

static void count_experience(struct reading *r, const struct event *e, const struct comment *c)
{
    struct ticket ticket;
    const struct book *book = atomic_load(&r->live->book);
    if (e->ticket.len == 0 || !ticket_read(r->live->secret, e->ticket, &ticket)) return;
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *campaign = &book->campaigns[i];
        if (campaign->id != ticket.campaign || ticket.experience >= campaign->experiences_n) continue;
        const struct experience *x = &campaign->experiences[ticket.experience];
        if (ticket.variation >= x->variations_n) return;
        const str name[] = { campaign->key, x->key, x->variations[ticket.variation].key };
        count(group_of(r, &r->experiences, name, countof(name)), c);
    }
}

static const struct profile *who_said(const struct reading *r, const struct event *e, arena *a)
{
    const struct profile *p = NULL;
    for (isize i = 0; i < e->identifiers_n && !p; i++)
        if (identifier_may_speak(e->identifiers[i]))
            p = people_get(r->live->people, identity_find(r->live->identity, e->identifiers[i]), a);
    return p;
}

static str stage_then(const struct reading *r, const struct profile *p, i64 at_ms, arena *a)
{
    struct profile_world world = { .profile = p, .catalog = r->live->catalog, .now_ms = at_ms };
    struct standing s;
    return profile_standing(&world, S("stage"), a, &s) ? s.rung->word : S("none");
}

static void take_feedback(struct reading *r, const struct event *e, arena *a)
{
    const struct json *doc;
    struct comment c = { .at_ms = e->at_ms };
    if (e->flags & (EVENT_BOT | EVENT_TEST)
        || json_parse(a, e->properties.len ? e->properties : S("{}"), &doc, NULL))
        return;
    bool survey = e->type == EVENT_QUIZ_ANSWERED;
    if (!number_of(json_get(doc, survey ? S("answer") : S("rating")), &c.rating)) return;
    str text = json_str(json_get(doc, S("comment")), json_str(json_get(doc, S("review_body")), S("")));
    c.text = arena_str(&r->kept, str_slice(text, 0, min_isize(text.len, COMMENT_BYTES_MAX)));
    const struct profile *p = who_said(r, e, a);
    if (p) c.person = p->id;
    str stage = p ? stage_then(r, p, e->at_ms, a) : S("unknown");
    if (survey) {
        const str name[] = { stage, json_str(json_get(doc, S("quiz")), S("")),
                             json_str(json_get(doc, S("question")), S("")) };
        count(group_of(r, &r->questions, name, countof(name)), &c);
        return;
    }
    count(&r->whole, &c);
    count(group_of(r, &r->stages, &stage, 1), &c);
    count_experience(r, e, &c);
    const struct book *book = atomic_load(&r->live->book);
    for (isize i = 0; p && i < p->memberships_n; i++) {
        const struct segment *s =
            p->memberships[i].member ? book->segments->by_id[p->memberships[i].segment] : NULL;
        if (s) count(group_of(r, &r->segments, &s->key, 1), &c);
    }
}

static void read_log(struct reading *r)
{
    arena a = { 0 };
    struct record record;
    bool found = true;
    u64 tail = atomic_load(&r->live->folded) + 1, at = tail > FEEDBACK_ENTRIES ? tail - FEEDBACK_ENTRIES : 1;
    while (at < tail && found
           && fold_read(r->call->api->fold, at, &a, &record, &found, NULL) == ERR_OK && found) {
        rcu_read_begin();
        for (isize i = 0; i < record.entries_n; i++) {
            struct event e;
            if (record.entries[i].kind != ENTRY_EVENT
                || event_decode(record.entries[i].bytes, &a, &e) || e.at_ms < r->from_ms)
                continue;
            bool said = e.type == EVENT_FEEDBACK_GIVEN || e.type == EVENT_PRODUCT_REVIEWED
                        || e.type == EVENT_QUIZ_ANSWERED;
            if (said) take_feedback(r, &e, &a);
        }
        rcu_read_end();
        at = record.first + (u64)record.entries_n;
        arena_clear(&a);
    }
    arena_fini(&a);
}

/* ---- the report ------------------------------------------------------------------------------ */

static void print_group(struct jsonw *w, const struct group *g, const char *const *names)
{
    for (isize i = 0; names && i < PARTS && names[i]; i++) jsonw_key_str(w, names[i], g->part[i]);
    jsonw_key_int(w, "answers", g->n);
    if (g->n) jsonw_key_num(w, "average", g->sum / (f64)g->n);
    jsonw_key_begin(w, "comments", '[');
    for (isize i = g->comments_n - 1; i >= max_isize(0, g->comments_n - COMMENTS_KEPT); i--) {
        const struct comment *c = &g->comments[i % COMMENTS_KEPT];
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", c->at_ms);
        jsonw_key_num(w, "rating", c->rating);
        if (c->person.v) print_person_id(w, "person_id", c->person);
        jsonw_key_str(w, "text", c->text);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static int by_name(const void *x, const void *y)
{
    const struct group *a = x, *b = y;
    int order = 0;
    for (isize i = 0; i < PARTS && order == 0; i++) order = str_cmp(a->part[i], b->part[i]);
    return order;
}

static void print_groups(struct jsonw *w, const char *name, struct groups *groups, const char *const *names)
{
    if (groups->all.n) qsort(groups->all.at, (size_t)groups->all.n, sizeof *groups->all.at, by_name);
    jsonw_key_begin(w, name, '[');
    for (isize i = 0; i < groups->all.n; i++) {
        jsonw_begin(w, '{');
        print_group(w, &groups->all.at[i], names);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    vec_fini(&groups->all);
    map_free(groups->by_name);
}

static void report(struct call *call)
{
    static const char *const experience[PARTS] = { "campaign", "experience", "variation" },
                             *const segment[PARTS] = { "segment" },
                             *const stage[PARTS] = { "stage" },
                             *const question[PARTS] = { "stage", "survey", "question" };
    struct reading r = { .call = call, .live = call->api->live };
    struct groups *const lists[] = { &r.experiences, &r.segments, &r.stages, &r.questions };
    for (isize i = 0; i < countof(lists); i++) lists[i]->by_name = map_new(64);
    i64 days = FEEDBACK_DAYS;
    str asked = http_query(call->req, S("days"), S("90"));
    if (!str_to_i64(asked, &days) || days < 1 || days > 3650) {
        for (isize i = 0; i < countof(lists); i++) map_free(lists[i]->by_name);
        call_fail(call, ERR_BAD_INPUT, "days is a whole number from 1 to 3650");
        return;
    }
    r.from_ms = clock_now(call->api->clock) - days * DAY_MS;
    read_log(&r);
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "days", days);
    print_group(w, &r.whole, NULL);
    print_groups(w, "experiences", &r.experiences, experience);
    print_groups(w, "segments", &r.segments, segment);
    print_groups(w, "stages", &r.stages, stage);
    print_groups(w, "surveys", &r.questions, question);
    jsonw_end(w, '}');
    arena_fini(&r.kept);
}

void feedback_get(struct call *call) { ask_jobs(call, report); }
