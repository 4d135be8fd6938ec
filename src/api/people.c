/* SPDX-License-Identifier: Apache-2.0
 *
 * people.c - everybody, and one person: who they are, what they did, what they were shown and why.
 *
 * A list is picked on the jobs thread, under an rcu bracket, so that a million people do not hold
 * up the fold; what needs the identity ledger (names, identifiers, merges) is then read on the
 * fold's thread for those picked alone.
 */
#include "api/admin.h"

#include <stdio.h>

#include "base/rcu.h"

enum { PEOPLE_PAGE_MAX = 500, HISTORY_PAGE_MAX = 1000, DECISIONS_PAGE_MAX = 1000 };

/* The person the path names, as it is now; null after call_fail(). */
static const struct profile *person_named(struct call *call, struct fold *fold)
{
    person_id id;
    struct live *live = fold_live(fold);
    const struct profile *p = NULL;
    if (person_id_read(call->params[0], &id) && (isize)id.v <= identity_people(live->identity))
        p = people_get(live->people, identity_person(live->identity, id.v), call->a);
    if (!p) call_fail(call, ERR_NOT_FOUND, "there is no such person");
    return p;
}

/* Facts as they were, of one person; call->context while the fold is asked. */
struct facts_then { struct past_facts *facts; i64 from_ms; };

/* A question about a person: ?at= an instant, what was said again since is read from the log first,
 * on the jobs thread. */
static void ask_then(struct call *call, void (*answer)(struct call *call, struct fold *fold))
{
    i64 at_ms;
    person_id id;
    struct facts_then then = { 0 };
    struct diag diag = { .arena = call->a };
    if (!query_instant(call, "at", clock_now(call->api->clock), &at_ms)) return;
    if (http_query(call->req, S("at"), S("")).len && person_id_read(call->params[0], &id)) {
        then.facts = past_facts_new(at_ms);
        rcu_read_begin();
        const struct profile *p = people_get(
            call->api->live->people, identity_person(call->api->live->identity, id.v), call->a);
        if (p) past_facts_want(then.facts, p);
        rcu_read_end();
        enum err err = fold_past_facts(call->api->fold, then.facts, &then.from_ms, &diag);
        if (err) call_fail(call, err, "%.*s", STR_FMT(diag.what));
    }
    call->context = &then;
    if (!call->err) on_fold(call, answer);
    call->context = NULL;
    past_facts_free(then.facts);
}

/* Of now: on the fold's thread at once. */
static void ask_as_of(struct call *call, void (*job)(struct call *call),
                      void (*answer)(struct call *call, struct fold *fold))
{
    if (http_query(call->req, S("at"), S("")).len) ask_jobs(call, job);
    else ask_fold(call, answer);
}

static const struct past_facts *facts_then(const struct call *call)
{
    const struct facts_then *then = call->context;
    return then ? then->facts : NULL;
}

/* The same as they stood ?at= an instant, of all parts that are theirs today; null after call_fail(). */
static const struct profile *person_then(struct call *call, const struct profile *p, i64 *at_ms)
{
    if (!query_instant(call, "at", clock_now(call->api->clock), at_ms)) return NULL;
    if (http_query(call->req, S("at"), S("")).len == 0) return p;
    const struct profile *then = profile_then_by(p, *at_ms, NULL, 0, facts_then(call), call->a);
    if (!then) call_fail(call, ERR_NOT_FOUND, "nothing was known of this person then");
    call->at_ms = *at_ms;
    return then;
}

/* What is told of a person is told as of this instant. */
static i64 instant(const struct call *call)
{
    return call->at_ms ? call->at_ms : clock_now(call->api->clock);
}

/* ---- all ------------------------------------------------------------------------------------ */

struct page { u32 *ids; f64 *at; isize n; bool more; };

static void print_segments_of(struct call *call, const struct profile *p)
{
    const struct book *book = atomic_load(&call->api->live->book);
    jsonw_key_begin(&call->w, "segments", '[');
    for (isize i = 0; i < p->memberships_n; i++) {
        const struct segment *s =
            p->memberships[i].member ? book->segments->by_id[p->memberships[i].segment] : NULL;
        if (s) jsonw_str(&call->w, s->key);
    }
    jsonw_end(&call->w, ']');
}

static void print_row(struct call *call, const struct profile *p)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    print_person_id(w, "person_id", p->id);
    jsonw_key_str(w, "display", person_display(call->api->live, p, call->a));
    jsonw_key_bool(w, "known", p->known);
    jsonw_key_time(w, "last_at", p->last_at_ms);
    jsonw_key_int(w, "orders", profile_orders(p, INT64_MAX).orders);
    print_segments_of(call, p);
    jsonw_end(w, '}');
}

static void print_page(struct call *call, struct fold *fold)
{
    const struct page *page = call->own;
    struct jsonw *w = &call->w;
    (void)fold;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "people", '[');
    for (isize i = 0; i < page->n; i++) {
        const struct profile *p = people_get(call->api->live->people, (person_id){ page->ids[i] }, call->a);
        if (p) print_row(call, p);
    }
    jsonw_end(w, ']');
    jsonw_key(w, S("next"));
    if (page->more)
        jsonw_str(w, arena_printf(call->a, "%lld-%u", (long long)page->at[page->n - 1],
                                  page->ids[page->n - 1]));
    else jsonw_null(w);
    jsonw_end(w, '}');
}

/* The latest seen first; equal instants by id. `after` is the last row's "last_at-id". */
static void list_people(struct call *call)
{
    struct str_cut after = str_cut(http_query(call->req, S("after"), S("")), '-');
    i64 at = INT64_MAX, id = 0;
    isize limit = query_limit(call, 50, PEOPLE_PAGE_MAX);
    bool from_start = !str_to_i64(after.head, &at) || !str_to_i64(after.tail, &id);
    const struct people *people = call->api->live->people;
    struct topk best = topk_new(call->a, limit + 1);
    u32 most = (u32)people_most(people);
    arena a = { 0 };
    for (u32 i = 1; i <= most; i++) {
        rcu_read_begin();
        const struct profile *p = people_read(people, (person_id){ i }, PEOPLE_CONSENTS, &a);
        i64 last = p ? p->last_at_ms : 0;
        rcu_read_end();
        arena_clear(&a);
        if (p && (from_start || last < at || (last == at && (i64)i > id))) topk_add(&best, i, (f64)last);
    }
    arena_fini(&a);
    struct page page = { .n = topk_finish(&best) };
    page.more = page.n > limit;
    page.n = min_isize(page.n, limit);
    page.ids = arena_new(call->a, u32, page.n);
    page.at = arena_new(call->a, f64, page.n);
    for (isize i = 0; i < page.n; i++) {
        page.ids[i] = best.at[i].id;
        page.at[i] = best.at[i].score;
    }
    call->own = &page;
    on_fold(call, print_page);
}

void people_list(struct call *call) { ask_jobs(call, list_people); }

/* Identifiers never stand in an address. */
void people_lookup(struct call *call)
{
    const struct live *live = call->api->live;
    person_id found = { 0 }, named;
    bool asked = false;
    rcu_read_begin();
    json_each(field, call->body) {
        u8 kind;
        if (found.v) break;
        if (str_eq(field->key, S("person_id")) && person_id_read(json_str(field, S("")), &named)) {
            asked = true;
            if (people_has(live->people, named)) found = named;
            continue;
        }
        if (!identifier_kind_of(field->key, &kind)) continue;
        asked = true;
        str value = ingest_identifier(call->a, kind, json_text(call->a, field));
        if (value.len) found = identity_find(live->identity, (struct identifier){ kind, true, value });
    }
    bool there = found.v && people_has(live->people, found);
    rcu_read_end();
    if (!asked) {
        reply_problem(call, ERR_BAD_INPUT,
                      "expected {\"email\": …}, or another identifier, or {\"person_id\": …}");
        return;
    }
    if (!there) { reply_problem(call, ERR_NOT_FOUND, "nobody has that identifier"); return; }
    jsonw_begin(&call->w, '{');
    print_person_id(&call->w, "person_id", found);
    jsonw_end(&call->w, '}');
    reply_json(call);
}

/* ---- one ------------------------------------------------------------------------------------ */

static void print_identifiers(struct call *call, const struct profile *p)
{
    struct jsonw *w = &call->w;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(call->api->live->identity, p->id, links, countof(links));
    jsonw_key_begin(w, "identifiers", '[');
    for (isize i = 0; i < n; i++) {
        if (call->at_ms && links[i].at_ms > call->at_ms) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "kind", str_of(identifier_name(links[i].identifier.kind)));
        jsonw_key_str(w, "value", links[i].identifier.value);
        jsonw_key_str(w, "trust", links[i].verified ? S("verified") : S("claimed"));
        jsonw_key_time(w, "at", links[i].at_ms);
        jsonw_key_str(w, "source", links[i].source);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void print_traits(struct call *call, const struct profile *p)
{
    static const char *const origins[] = { "given", "declared", "observed" };
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "traits", '[');
    for (isize i = 0; i < p->traits_n; i++) {
        const struct trait *t = &p->traits[i];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "name", t->fact.name);
        jsonw_key(w, S("value"));
        fact_print_value(&t->fact, w);
        jsonw_key_str(w, "source", t->source);
        jsonw_key_str(w, "origin", str_of(origins[t->origin]));
        jsonw_key_time(w, "at", t->at_ms);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* The basis a purpose stands on: of the source that said it; when a banner said it, what the
 * sources agree on. */
static u8 basis_for(const struct book *book, const struct consent_entry *c)
{
    const struct source *said = book_source(book, c->source);
    if (said) return said->basis.of[c->purpose];
    u8 basis = BASIS_NONE;
    for (isize i = 0; i < book->sources_n; i++) {
        u8 of = book->sources[i].basis.of[c->purpose];
        if (basis != BASIS_NONE && of != BASIS_NONE && of != basis) return BASIS_NONE;
        if (of != BASIS_NONE) basis = of;
    }
    return basis;
}

static void print_consents(struct call *call, const struct profile *p)
{
    static const char *const states[] = { "unknown", "granted", "denied" };
    const struct book *book = atomic_load(&call->api->live->book);
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "consent", '[');
    for (isize i = 0; i < p->consents_n; i++) {
        const struct consent_entry *c = &p->consents[i];
        u8 basis = basis_for(book, c);
        jsonw_begin(w, '{');
        jsonw_key_str(w, "purpose", str_of(purpose_name(c->purpose)));
        jsonw_key_str(w, "state", str_of(states[c->state]));
        jsonw_key_str(w, "source", c->source);
        jsonw_key_time(w, "at", c->at_ms);
        if (basis != BASIS_NONE) jsonw_key_str(w, "basis", str_of(basis_name(basis)));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void print_counters(struct call *call, const struct profile *p)
{
    struct order_totals t = profile_orders(p, INT64_MAX);
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "counters", '{');
    jsonw_key_int(w, "orders", t.orders);
    jsonw_key_begin(w, "revenue", '[');
    for (isize i = 0; i < t.revenues_n; i++) print_money(w, t.revenue[i]);
    jsonw_end(w, ']');
    isize moves = 0;                                    /* what segments said of them is nothing they did */
    for (isize i = 0; i < p->history_n; i++) moves += history_is_move(&p->history[i]);
    jsonw_key_int(w, "events", p->history_n - moves + p->older_events);
    jsonw_key_time(w, "first_at", p->created_at_ms);
    jsonw_key_time(w, "last_at", p->last_at_ms);
    jsonw_end(w, '}');
}

static void print_affinities(struct call *call, const struct profile *p)
{
    struct affinity *list;
    isize n = profile_affinities(p, call->api->live->catalog, instant(call), call->a, &list);
    jsonw_key_begin(&call->w, "affinities", '[');
    for (isize i = 0; i < min_isize(n, 24); i++) {
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "dimension", list[i].dimension);
        jsonw_key_str(&call->w, "value", list[i].value);
        jsonw_key_num(&call->w, "score", list[i].score);
        if (list[i].declared) jsonw_key_bool(&call->w, "declared", true);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
}

/* What made somebody a member: newest first. */
void print_matches(const struct live *live, const struct profile *p, segment_id segment, i64 at_ms,
                   struct jsonw *w)
{
    struct match matches[MATCHES_PER_SEGMENT_MAX];
    isize n = segment_matches(atomic_load(&live->book)->segments, live->catalog, p, segment, at_ms, matches);
    if (n == 0) return;
    jsonw_key_begin(w, "matched", '[');
    for (isize i = 0; i < n; i++) {
        str cart = profile_cart(p, matches[i].node, matches[i].cart, matches[i].at_ms);
        jsonw_begin(w, '{');
        item_print_named(live->catalog, (item_id){ matches[i].item }, w);
        if (cart.len) jsonw_key_str(w, "cart", cart);
        jsonw_key_time(w, "at", matches[i].at_ms);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* Today's rules, asked of the person as they stood. When they came in is only known as far as their
 * history noted it. */
static void print_memberships_then(struct call *call, const struct profile *p, const struct segment_set *set)
{
    struct jsonw *w = &call->w;
    bool *in = arena_new(call->a, bool, set->n + 1);
    past_segments(set, call->api->live->catalog, p, call->at_ms, call->a, in);
    for (isize i = 0; i < set->n; i++) {
        if (!in[i]) continue;
        i64 entered = 0;
        for (isize k = 0; k < p->history_n; k++)
            if (p->history[k].type == EVENT_SEGMENT_ENTERED
                && p->history[k].quantity == set->at[i].id.v)
                entered = p->history[k].at_ms;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", set->at[i].key);
        jsonw_key_str(w, "title", set->at[i].title);
        jsonw_key_time(w, "entered_at", entered);
        jsonw_end(w, '}');
    }
}

static void print_memberships(struct call *call, const struct profile *p)
{
    const struct book *book = atomic_load(&call->api->live->book);
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "segments", '[');
    if (call->at_ms) print_memberships_then(call, p, book->segments);
    for (isize i = 0; !call->at_ms && i < p->memberships_n; i++) {
        const struct membership *m = &p->memberships[i];
        const struct segment *s = m->member ? book->segments->by_id[m->segment] : NULL;
        if (!s) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", s->key);
        jsonw_key_str(w, "title", s->title);
        jsonw_key_time(w, "entered_at", m->entered_at_ms);
        jsonw_key_time(w, "may_leave_at", m->next_change_at_ms);
        print_matches(call->api->live, p, s->id, clock_now(call->api->clock), w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* Each word that rules decide, with the part of the history that decided it. */
static void print_ladder(struct call *call, const struct fold *fold, const struct profile *p,
                         const char *name)
{
    struct jsonw *w = &call->w;
    struct profile_world world = { .profile = p,
                                   .catalog = call->api->live->catalog,
                                   .now_ms = instant(call) };
    struct standing s;
    jsonw_key(w, str_of(name));
    if (!profile_standing(&world, str_of(name), call->a, &s)) { jsonw_null(w); return; }
    jsonw_begin(w, '{');
    jsonw_key_str(w, "is", s.rung->word);
    jsonw_key_str(w, "help", s.rung->help);
    jsonw_key_time(w, "may_change_at", s.next_change_at_ms);
    jsonw_key(w, S("why"));
    struct trace_names names = trace_names(call, fold);
    decide_print_why(&names, s.why, w);
    jsonw_end(w, '}');
}

/* What they are worth, each currency by itself. */
static void print_worth(struct call *call, const struct profile *p)
{
    struct jsonw *w = &call->w;
    struct worth worth = profile_worth(p, instant(call));
    jsonw_key_begin(w, "worth", '{');
    jsonw_key_int(w, "orders", worth.orders);
    jsonw_key_begin(w, "in", '[');
    for (isize i = 0; i < worth.n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "currency", currency_code(worth.in[i].currency, (char[4]){ 0 }));
        jsonw_key_int(w, "orders", worth.in[i].orders);
        jsonw_key(w, S("lifetime_value"));
        print_money(w, (struct money){ worth.in[i].revenue_minor, worth.in[i].currency });
        jsonw_key(w, S("average_order_value"));
        if (worth.in[i].orders)
            print_money(w, (struct money){ worth.in[i].average_minor, worth.in[i].currency });
        else jsonw_null(w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "orders_a_year", worth.orders_a_year);
    jsonw_key(w, S("days_between_orders"));
    if (worth.orders > 1) jsonw_num(w, worth.days_between);
    else jsonw_null(w);
    if (worth.orders) {
        jsonw_key_time(w, "first_order_at", worth.first_at_ms);
        jsonw_key_time(w, "last_order_at", worth.last_at_ms);
    }
    jsonw_end(w, '}');
}

static void print_wishes(struct call *call, const struct profile *p)
{
    struct jsonw *w = &call->w;
    struct wish *wishes;
    isize n = profile_wishes(p, instant(call), call->a, &wishes);
    jsonw_key_begin(w, "wishlist", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        item_print_named(call->api->live->catalog, wishes[i].item, w);
        jsonw_key_time(w, "added_at", wishes[i].at_ms);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static str why_linked(const struct link *link, arena *a)
{
    str kind = str_of(identifier_name(link->identifier.kind));
    switch ((enum link_reason)link->reason) {
    case LINK_SAME_EVENT:
        return arena_printf(a, "one event of %.*s named both (%.*s)", STR_FMT(link->source),
                            STR_FMT(kind));
    case LINK_ALIAS: return arena_printf(a, "an alias call of %.*s", STR_FMT(link->source));
    case LINK_ORDERED: return arena_printf(a, "ordered by %.*s", STR_FMT(link->source));
    case LINK_CLAIMED:
        return arena_printf(a, "%.*s was only claimed, by %.*s", STR_FMT(kind),
                            STR_FMT(link->source));
    case LINK_OVER_LIMIT: return arena_printf(a, "too many of %.*s for one person", STR_FMT(kind));
    case LINK_OTHER_PERSON: return arena_printf(a, "%.*s belongs to somebody else", STR_FMT(kind));
    case LINK_TOO_MANY: return S("too many parts for one person");
    }
    return S("");
}

static void print_links(struct call *call, const struct profile *p, const char *name, u8 kind)
{
    struct jsonw *w = &call->w;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_links(call->api->live->identity, p->id, links, countof(links));
    jsonw_key_begin(w, name, '[');
    for (isize i = 0; i < n; i++) {
        if (links[i].kind != kind) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "merge_id", arena_printf(call->a, "m_%u", links[i].id));
        jsonw_key_time(w, "at", links[i].at_ms);
        print_person_id(w, "into", (person_id){ links[i].a });
        print_person_id(w, "from", (person_id){ links[i].b });
        jsonw_key_str(w, "why", why_linked(&links[i], call->a));
        if (links[i].undone) jsonw_key_bool(w, "undone", true);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

/* What holds of the answer: today's identity, whoever they were then, and a history that may be cut. */
static void print_then(struct call *call, const struct profile *p)
{
    struct past_identity past = past_of(call->api->live->identity, call->at_ms, call->a);
    const struct profile *now = people_get(call->api->live->people, p->id, call->a),
                         *parts[NODES_PER_PERSON_MAX];
    jsonw_key_time(&call->w, "at", call->at_ms);
    jsonw_key_int(&call->w, "people_then",
                  now ? past_people(&past, &(struct swept){ .id = now->id, .now = now }, call->a,
                                    parts, countof(parts))
                      : 1);
    jsonw_key_int(&call->w, "older", p->older_events);
    const struct facts_then *then = call->context;
    if (then) print_facts_from(&call->w, then->facts, then->from_ms);
}

void print_person(struct call *call, const struct fold *fold, const struct profile *p)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    print_person_id(w, "person_id", p->id);
    jsonw_key_str(w, "display", person_display(call->api->live, p, call->a));
    jsonw_key_bool(w, "known", p->known);
    if (call->at_ms) print_then(call, p);
    print_identifiers(call, p);
    print_traits(call, p);
    print_consents(call, p);
    print_counters(call, p);
    print_worth(call, p);
    print_ladder(call, fold, p, "stage");
    print_ladder(call, fold, p, "intent");
    print_ladder(call, fold, p, "retention");
    print_wishes(call, p);
    print_affinities(call, p);
    print_memberships(call, p);
    print_predictions(call, p);
    print_links(call, p, "merges", LINK_MERGE);
    print_links(call, p, "refused_merges", LINK_REFUSED);
    jsonw_end(w, '}');
}


static void answer_person(struct call *call, struct fold *fold)
{
    i64 at_ms;
    const struct profile *p = person_named(call, fold);
    if (p) p = person_then(call, p, &at_ms);
    if (p) print_person(call, fold, p);
}

static void person_job(struct call *call) { ask_then(call, answer_person); }
void person_get(struct call *call) { ask_as_of(call, person_job, answer_person); }

/* ---- what they did -------------------------------------------------------------------------- */

static void print_order_of(struct call *call, const struct fold *fold, const struct history_entry *e)
{
    const struct order *order =
        e->flags & HISTORY_ORDER ? fold_order(fold, (order_id){ (u32)e->ref }, call->a) : NULL;
    if (!order) return;
    struct str_cut key = str_cut(order->key, ':');
    jsonw_key_str(&call->w, "order", key.tail);
    jsonw_key_str(&call->w, "source", key.head);
}

static void print_entry(struct call *call, const struct fold *fold, const struct history_entry *e)
{
    struct jsonw *w = &call->w;
    bool decided = e->type == EVENT_DECISION_VIEWED || e->type == EVENT_DECISION_CLICKED;
    bool moved = e->type == EVENT_SEGMENT_ENTERED || e->type == EVENT_SEGMENT_LEFT;
    jsonw_begin(w, '{');
    jsonw_key_time(w, "at", e->at_ms);
    jsonw_key_str(w, "type", fold_event_name(fold, e->type));
    item_print_named(call->api->live->catalog, (item_id){ e->item }, w);
    if (e->quantity && !decided && !moved) jsonw_key_int(w, "quantity", e->quantity);
    if (e->currency && e->value_minor) {
        jsonw_key(w, S("value"));
        print_money(w, (struct money){ e->value_minor, { e->currency } });
    }
    jsonw_key_str(w, "channel", str_of(channel_name(e->channel)));
    print_order_of(call, fold, e);
    const struct book *book = atomic_load(&call->api->live->book);
    const struct segment *of =
        moved && e->quantity < SEGMENTS_MAX ? book->segments->by_id[e->quantity] : NULL;
    if (of) jsonw_key_str(w, "segment", of->key);
    for (isize i = 0; decided && i < book->campaigns_n; i++)
        if (book->campaigns[i].number == e->quantity) jsonw_key_str(w, "campaign", book->campaigns[i].key);
    if (e->flags & HISTORY_BOT) jsonw_key_bool(w, "bot", true);
    jsonw_end(w, '}');
}

/* Newest first. `before` is "<at_ms>.<how many of that instant were shown>": it stays right while
 * events arrive. */
static void answer_history(struct call *call, struct fold *fold)
{
    const struct profile *p = person_named(call, fold);
    if (!p) return;
    struct str_cut before = str_cut(http_query(call->req, S("before"), S("")), '.');
    i64 at = INT64_MAX, shown = 0, last = 0, of_last = 0;
    if (!str_to_i64(before.head, &at) || !str_to_i64(before.tail, &shown)) { at = INT64_MAX; shown = 0; }
    isize i = p->history_n - 1, left = query_limit(call, 50, HISTORY_PAGE_MAX);
    while (i >= 0 && p->history[i].at_ms > at) i--;
    for (i64 skip = shown; skip > 0 && i >= 0 && p->history[i].at_ms == at; skip--) i--;
    last = at;
    of_last = shown;
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "events", '[');
    for (; i >= 0 && left > 0; i--, left--) {
        print_entry(call, fold, &p->history[i]);
        of_last = p->history[i].at_ms == last ? of_last + 1 : 1;
        last = p->history[i].at_ms;
    }
    jsonw_end(&call->w, ']');
    jsonw_key(&call->w, S("next"));
    if (i >= 0)
        jsonw_str(&call->w,
                  arena_printf(call->a, "%lld.%lld", (long long)last, (long long)of_last));
    else jsonw_null(&call->w);
    jsonw_key_int(&call->w, "older", p->older_events);
    jsonw_end(&call->w, '}');
}

void person_history(struct call *call) { ask_fold(call, answer_history); }

/* ---- what they were shown ------------------------------------------------------------------- */

static const struct placement *placement_by_number(const struct book *book, u16 number)
{
    for (isize i = 0; i < book->placements_n; i++)
        if (book->placements[i].number == number) return &book->placements[i];
    return NULL;
}

static const struct campaign *campaign_by_id(const struct book *book, u32 id)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        if (book->campaigns[i].id == id) return &book->campaigns[i];
    return NULL;
}

static void print_decision(struct call *call, const struct fold *fold, const struct decision *of)
{
    static const char *const renders[] = { "content", "default", "passthrough" };
    const struct book *book = atomic_load(&call->api->live->book);
    const struct placement *placement = placement_by_number(book, of->placement);
    const struct campaign *campaign = campaign_by_id(book, of->campaign);
    const struct definition *def =
        of->campaign ? definition_by_id(fold_definitions(fold), of->campaign) : NULL;
    struct jsonw *w = &call->w;
    jsonw_key_str(w, "decision_key", arena_printf(call->a, "d_%016llx", (unsigned long long)of->key));
    jsonw_key_time(w, "at", of->at_ms);
    jsonw_key_str(w, "placement", placement ? placement->key : S("(archived)"));
    if (def) jsonw_key_str(w, "campaign", def->key);
    const struct experience *x = campaign && of->experience < campaign->experiences_n
                                     ? &campaign->experiences[of->experience]
                                     : NULL;
    if (x) jsonw_key_str(w, "experience", x->key);
    if (x && of->variation < x->variations_n)
        jsonw_key_str(w, "variation", x->variations[of->variation].key);
    jsonw_key_str(w, "reason", str_of(decide_reason_name(of->reason)));
    jsonw_key_str(w, "render", str_of(renders[of->render < countof(renders) ? of->render : 0]));
}

static void print_decided(struct call *call, const struct fold *fold, const struct decided *d)
{
    print_decision(call, fold, &d->decision);
    jsonw_key_bool(&call->w, "viewed", d->viewed || d->clicked);
    jsonw_key_bool(&call->w, "clicked", d->clicked);
}

static void answer_decisions(struct call *call, struct fold *fold)
{
    const struct profile *p = person_named(call, fold);
    if (!p) return;
    isize limit = query_limit(call, 50, DECISIONS_PAGE_MAX);
    const struct decided **list = arena_new(call->a, const struct decided *, limit);
    isize n = fold_decided_of(fold, p->id, list, limit);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "decisions", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(&call->w, '{');
        print_decided(call, fold, list[i]);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void person_decisions(struct call *call) { ask_fold(call, answer_decisions); }

static void print_candidates(struct call *call, const struct decision *d)
{
    struct jsonw *w = &call->w;
    jsonw_key_begin(w, "items", '[');
    for (isize i = 0; i < d->items_n; i++) {
        const struct decided_item *it = &d->items[i];
        jsonw_begin(w, '{');
        item_print_named(call->api->live->catalog, it->item, w);
        jsonw_key_num(w, "score", it->score);
        jsonw_key_str(w, "source", str_of(decide_source_name(it->source)));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

void print_decision_whole(struct call *call, const struct fold *fold, const struct decision *d)
{
    jsonw_begin(&call->w, '{');
    print_decision(call, fold, d);
    print_candidates(call, d);
    jsonw_end(&call->w, '}');
}

/* The targets are asked again as of then. What the request's context said is not kept, so
 * conditions on it are unknown. */
static void answer_decision(struct call *call, struct fold *fold)
{
    str key = call->params[0];
    u64 number = 0;
    bool whole = str_starts(key, S("d_")) && key.len == 18;
    for (isize i = 2; whole && i < key.len; i++) {
        char c = key.ptr[i];
        whole = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        number = number << 4 | (u64)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    const struct decided *found = whole ? fold_decided(fold, number) : NULL;
    struct decision d;
    if (!found || decision_decode(found->bytes, call->a, &d)) {
        call_fail(call, ERR_NOT_FOUND, "that decision is not kept (the latest 100,000 are)");
        return;
    }
    struct live *live = fold_live(fold);
    struct decide_world world = live_world(live);
    person_id person = d.person.v ? identity_person(live->identity, d.person.v) : d.person;
    struct as_of at = { { .profile = person.v ? people_get(live->people, person, call->a) : NULL,
                          .catalog = live->catalog,
                          .now_ms = d.at_ms,
                          .impersonal = !d.personal },
                        world.book->segments,
                        0 };
    struct rule_facts facts = facts_as_of(&at);
    jsonw_begin(&call->w, '{');
    print_decided(call, fold, found);
    print_person_id(&call->w, "person_id", person);
    jsonw_key_num(&call->w, "propensity", (f64)d.propensity / 10000);
    jsonw_key_int(&call->w, "version", (i64)d.book_version);
    print_candidates(call, &d);
    jsonw_key(&call->w, S("trace"));
    struct trace_names names = trace_names(call, fold);
    decide_print_trace(&world, &names, &facts, &d, call->a, &call->w);
    jsonw_end(&call->w, '}');
}

void decision_get(struct call *call) { ask_fold(call, answer_decision); }

/* ---- segments and why ----------------------------------------------------------------------- */

static void answer_segments(struct call *call, struct fold *fold)
{
    i64 at_ms;
    const struct profile *p = person_named(call, fold);
    if (!p || !query_instant(call, "at", clock_now(call->api->clock), &at_ms)) return;
    /* null: they were not there yet, and in nothing */
    p = profile_then_by(p, at_ms, NULL, 0, facts_then(call), call->a);
    const struct book *book = atomic_load(&call->api->live->book);
    struct as_of at = { { .profile = p, .catalog = call->api->live->catalog, .now_ms = at_ms },
                        book->segments,
                        0 };
    struct rule_facts facts = facts_as_of(&at);
    jsonw_begin(&call->w, '{');
    jsonw_key_time(&call->w, "at", at_ms);
    jsonw_key_begin(&call->w, "segments", '[');
    for (isize i = 0; p && i < book->segments->n; i++) {
        const struct segment *s = &book->segments->at[i];
        struct rule_result r = rule_run(s->rule, &facts);
        if (!rule_holds(r)) continue;
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "key", s->key);
        jsonw_key_str(&call->w, "title", s->title);
        jsonw_key_time(&call->w, "may_leave_at", r.next_change_at_ms);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

static void segments_job(struct call *call) { ask_then(call, answer_segments); }
void person_segments(struct call *call) { ask_as_of(call, segments_job, answer_segments); }

static void answer_explain(struct call *call, struct fold *fold)
{
    i64 at_ms;
    const struct profile *p = person_named(call, fold);
    if (!p || !query_instant(call, "at", clock_now(call->api->clock), &at_ms)) return;
    const struct profile *then = profile_then_by(p, at_ms, NULL, 0, facts_then(call), call->a);
    const struct book *book = atomic_load(&call->api->live->book);
    str key = http_query(call->req, S("segment"), S("")), text = http_query(call->req, S("rule"), S(""));
    const struct rule *rule = NULL;
    segment_id id = segment_find(book->segments, key);
    if (id.v) rule = book->segments->by_id[id.v]->rule;
    if (!rule && text.len) {
        struct rule_names names = fold_names(fold);
        struct rule_errors errors = { 0 };
        if (rule_compile(call->a, text, RULE_SEGMENT, &names, &rule, &errors)) {
            call_fail(call, ERR_REFUSED, "column %lld: %.*s", (long long)errors.at[0].column,
                      STR_FMT(errors.at[0].message));
            return;
        }
    }
    if (!rule) {
        call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(key));
        return;
    }
    struct as_of at = { { .profile = then, .catalog = call->api->live->catalog, .now_ms = at_ms },
                        book->segments,
                        0 };
    struct rule_facts facts = facts_as_of(&at);
    const struct rule_trace *trace = rule_explain(call->a, rule, &facts, 20);
    jsonw_begin(&call->w, '{');
    jsonw_key_bool(&call->w, "member", trace->is == TRI_TRUE);
    if (id.v) print_matches(call->api->live, then, id, at_ms, &call->w);
    jsonw_key(&call->w, S("tree"));
    struct trace_names names = trace_names(call, fold);
    decide_print_why(&names, trace, &call->w);
    jsonw_end(&call->w, '}');
}

static void explain_job(struct call *call) { ask_then(call, answer_explain); }
void person_explain(struct call *call) { ask_as_of(call, explain_job, answer_explain); }

/* ---- merge and split ------------------------------------------------------------------------ */

static void check_merge(struct call *call, struct fold *fold)
{
    struct people_order *order = call->own;
    person_id other;
    const struct profile *p = person_named(call, fold);
    const struct identity *identity = call->api->live->identity;
    if (!p) return;
    bool there = person_id_read(body_text(call, "with"), &other)
                 && (isize)other.v <= identity_people(identity);
    if (!there || !people_has(call->api->live->people, identity_person(identity, other.v))) {
        call_fail(call, ERR_NOT_FOUND, "with: there is no such person");
        return;
    }
    *order = (struct people_order){ .op = PEOPLE_MERGE, .a = p->id.v, .b = identity_person(identity, other.v).v, .who = call->author };
    u32 nodes[NODES_PER_PERSON_MAX];
    isize n = identity_nodes(identity, p->id, nodes, countof(nodes))
              + identity_nodes(identity, (person_id){ order->b }, nodes, countof(nodes));
    if (order->a == order->b) call_fail(call, ERR_CONFLICT, "they are one person already");
    else if (n > NODES_PER_PERSON_MAX)
        call_fail(call, ERR_REFUSED, "together they would have %lld parts, the most is %d",
                  (long long)n, NODES_PER_PERSON_MAX);
}

static void check_split(struct call *call, struct fold *fold)
{
    struct people_order *order = call->own;
    const struct profile *p = person_named(call, fold);
    const struct identity *identity = call->api->live->identity;
    str text = body_text(call, "merge_id");
    i64 id = 0;
    if (!p) return;
    bool named = str_starts(text, S("m_")) && str_to_i64(str_from(text, 2), &id) && id > 0
                 && id <= identity_links_n(identity);
    struct link link;
    bool own = named && identity_link(identity, (u32)id, &link) && link.kind == LINK_MERGE
               && identity_person(identity, link.a).v == p->id.v;
    *order = (struct people_order){ .op = PEOPLE_SPLIT, .link = (u32)id, .who = call->author };
    if (!own) call_fail(call, ERR_NOT_FOUND, "merge_id: this person has no such merge");
    else if (link.undone) call_fail(call, ERR_CONFLICT, "that merge was undone already");
}

static void answer_ordered(struct call *call, struct fold *fold)
{
    const struct people_order *order = call->own;
    const struct identity *identity = fold_live(fold)->identity;
    u32 a = order->a, b = order->b;
    struct link link;
    if (order->op == PEOPLE_SPLIT && identity_link(identity, order->link, &link)) {
        a = link.a;
        b = link.b;
    }
    jsonw_begin(&call->w, '{');
    print_person_id(&call->w, "person_id", identity_person(identity, a));
    jsonw_key_begin(&call->w, "people", '[');
    const person_id both[] = { identity_person(identity, a), identity_person(identity, b) };
    for (isize i = 0; i < (both[0].v == both[1].v ? 1 : 2); i++)
        jsonw_str(&call->w, arena_printf(call->a, "p_%u", both[i].v));
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

static void order_people(struct call *call, void (*check)(struct call *call, struct fold *fold))
{
    struct people_order order = { 0 };
    struct buf bytes = { .arena = call->a };
    call->own = &order;
    on_fold(call, check);
    if (call->err) return;
    people_order_encode(&order, &bytes);
    struct entry entry = { ENTRY_PEOPLE, buf_str(&bytes) };
    enum err err = fold_submit_wait(call->api->fold, &entry, 1, NULL);
    if (err) { call_fail(call, err, "the log could not take it"); return; }
    note_deed(call->api->admin, clock_now(call->api->clock), call->author,
              order.op == PEOPLE_MERGE ? "merge" : "split", call->params[0]);
    on_fold(call, answer_ordered);
}

static void merge(struct call *call) { order_people(call, check_merge); }
static void split(struct call *call) { order_people(call, check_split); }

/* {"with": "p_7"}, and {"merge_id": "m_4"} to undo exactly that. */
void person_merge(struct call *call) { ask_jobs(call, merge); }
void person_split(struct call *call) { ask_jobs(call, split); }
