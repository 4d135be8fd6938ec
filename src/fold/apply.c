/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.c - one entry of the log becomes state.
 *
 * An event: seen before? -> whose (identity) -> which items (catalogue) -> what it says of consent, traits,
 * history, orders, exposures -> which segments move -> the next version of the person is published.
 * Every step reads the record and the state only. The record's own time is "now".
 */
#include <sodium.h>
#include <stdlib.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "fold/inside.h"

/* ---- names ----------------------------------------------------------------------------------- */

u16 fold_name_of(struct fold *fold, str name, u64 ref)
{
    struct hash128 key = hash128(name, 8);
    u64 at = map_get(fold->names_by_text, key, 0);
    if (at) return (u16)(EVENT_CUSTOM_FIRST + at - 1);
    /* "other" from here on */
    if (fold->names.n >= CUSTOM_NAMES_MAX) return EVENT_CUSTOM_FIRST + CUSTOM_NAMES_MAX;
    vec_push(&fold->names, mem_str(name));
    vec_push(&fold->name_refs, ref);
    map_put(fold->names_by_text, key, (u64)fold->names.n);
    fold->names_dirty = true;
    return (u16)(EVENT_CUSTOM_FIRST + fold->names.n - 1);
}

static i32 name_event(const void *ctx, str name)
{
    const struct fold *fold = ctx;
    u16 type = event_type_of(name);
    if (type != EVENT_NONE) return type;
    u64 at = map_get(fold->names_by_text, hash128(name, 8), 0);
    return at ? (i32)(EVENT_CUSTOM_FIRST + at - 1) : -1;
}

static i32 name_segment(const void *ctx, str key)
{
    const struct fold *fold = ctx;
    const struct definition *def = definition_find(fold->definitions, S("segment"), key);
    return def && definition_published(def).len ? def->number : -1;
}

static bool name_each(const void *ctx, enum rule_name sort, isize at, str *out)
{
    const struct fold *fold = ctx;
    isize walk = at;
    const struct definition *def;
    switch (sort) {
    case RULE_NAME_EVENT:
        if (at + 1 < EVENT_TYPES) { *out = str_of(event_type_name((u16)(at + 1))); return true; }
        at -= EVENT_TYPES - 1;
        if (at >= fold->names.n) return false;
        *out = fold->names.at[at];
        return true;
    case RULE_NAME_SEGMENT:
        for (isize i = 0, cursor = 0; (def = definition_next(fold->definitions, S("segment"), &cursor)); i++)
            if (i == walk) { *out = def->key; return true; }
        return false;
    case RULE_NAME_CATEGORY:
        if (at >= catalog_categories(fold->live.catalog)) return false;
        *out = catalog_category_name(fold->live.catalog, (category_id){ (u32)at + 1 });
        return true;
    case RULE_NAME_UPLIFT:
        for (isize i = 0, cursor = 0; (def = definition_next(fold->definitions, S("campaign"), &cursor)); i++)
            if (i == walk) { *out = def->key; return true; }
        return false;
    case RULE_NAME_TRAIT: return false;
    }
    return false;
}

struct rule_names fold_names(const struct fold *fold)
{
    return (struct rule_names){ fold, name_event, name_segment, name_each };
}

/* ---- a person's next version ----------------------------------------------------------------- */

/* One person being changed by one entry. */
struct change {
    struct fold *fold;
    arena *a;
    i64 now_ms;
    struct profile_edit edit;
    bool facts, all, orders, exposures, consents;
    bool teaches;                   /* models may learn from what is added, unless the person says no */
    segment_id only;                /* this one's rule is another one now; 0: none is */
    u64 moves_ref;                  /* the entry that moves them between segments; 0: time did */
    /* segments fill without saying so: a definition changed, not the person */
    bool quiet;
    struct { struct history_entry *at; isize n, cap; } touched;
};

static void change_open(struct change *c, struct fold *fold, person_id person, i64 now_ms)
{
    *c = (struct change){ .fold = fold, .a = &fold->scratch, .now_ms = now_ms, .moves_ref = fold->ref };
    people_edit(fold->live.people, person, c->a, &c->edit);
}

static void touch(struct change *c, struct history_entry entry)
{
    if (c->touched.n == c->touched.cap) {
        isize cap = c->touched.cap ? c->touched.cap * 2 : 4;
        struct history_entry *wide = arena_new(c->a, struct history_entry, cap);
        if (c->touched.n) memcpy(wide, c->touched.at, (size_t)c->touched.n * sizeof *wide);
        c->touched.at = wide;
        c->touched.cap = cap;
    }
    c->touched.at[c->touched.n++] = entry;
}

static bool teaches(const struct change *c, str source)
{
    const struct source *s = book_source(atomic_load(&c->fold->live.book), source);
    return s && consent_teaches(&s->basis, edit_consent_said(&c->edit, PURPOSE_ANALYTICS));
}

static void add_entry(struct change *c, struct history_entry entry)
{
    if (c->teaches) entry.flags |= HISTORY_TEACHES;
    edit_entry(&c->edit, c->a, entry);
    touch(c, entry);
    bool first = c->edit.created_at_ms == 0 || entry.at_ms < c->edit.created_at_ms;
    if (first) c->edit.created_at_ms = entry.at_ms;
}

static int exposure_order(const void *x, const void *y)
{
    const struct exposure *a = x, *b = y;
    if (a->campaign != b->campaign) return a->campaign < b->campaign ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

/* What a split cannot tell from what is left: when each of two people was first and last seen, and
 * since when in which segments. */
struct memo {
    struct remembered {
        u32 person;
        i64 created_at_ms, last_at_ms, older_events;
        struct membership *memberships;
        isize n;
    } of[2];
};

static void visit_memo(struct codec *c, struct memo *v)
{
    for (isize i = 0; i < countof(v->of); i++) {
        struct remembered *r = &v->of[i];
        codec_u32(c, &r->person);
        codec_i64(c, &r->created_at_ms);
        codec_i64(c, &r->last_at_ms);
        codec_i64(c, &r->older_events);
        memberships_visit(c, &r->memberships, &r->n);
    }
}

static void remember(struct change *c, const struct profile *other, u32 link)
{
    struct buf bytes = { .arena = c->a };
    struct codec w = codec_writer(&bytes);
    const struct profile_edit *mine = &c->edit;
    struct memo memo = { {
        { mine->id.v, mine->created_at_ms, mine->last_at_ms, mine->older_events, mine->memberships.at, mine->memberships.n },
        { other->id.v, other->created_at_ms, other->last_at_ms, other->older_events,
          (struct membership *)(uintptr_t)other->memberships, other->memberships_n },
    } };
    visit_memo(&w, &memo);
    identity_memo(c->fold->live.identity, link, buf_str(&bytes));
}

/* Gives a part back what it was, and what came since. */
static void recall(struct change *c, const struct remembered *r)
{
    struct profile_edit *edit = &c->edit;
    edit->created_at_ms = r->created_at_ms;
    edit->last_at_ms = r->last_at_ms;
    edit->older_events = r->older_events;
    for (isize i = 0; i < edit->history.n + edit->added.n; i++) {
        const struct history_entry *e =
            i < edit->history.n ? &edit->history.at[i] : &edit->added.at[i - edit->history.n];
        i64 at_ms = e->at_ms;
        if (history_is_move(e)) continue;
        edit->created_at_ms = min_i64(edit->created_at_ms, at_ms);
        edit->last_at_ms = max_i64(edit->last_at_ms, at_ms);
    }
    edit->memberships.at = r->memberships;
    edit->memberships.n = edit->memberships.cap = r->n;
}

/* A person who ceased: what they were counted for goes, what they are goes into this one. */
static void absorb(struct change *c, person_id gone, u32 link)
{
    struct fold *fold = c->fold;
    const struct profile *other = people_get(fold->live.people, gone, c->a);
    if (!other) return;
    remember(c, other, link);
    cells_count(fold, other->exposures, other->exposures_n, -1);
    for (isize i = 0; i < other->memberships_n; i++)
        roll_put(fold->live.roll, (segment_id){ other->memberships[i].segment }, gone, false);
    edit_absorb(&c->edit, other, c->a);
    if (c->edit.exposures.n)
        qsort(c->edit.exposures.at, (size_t)c->edit.exposures.n, sizeof *c->edit.exposures.at,
              exposure_order);
    people_remove(fold->live.people, gone);
    c->all = c->facts = c->exposures = true;
}

enum { MOVES_ROUNDS_MAX = 4 };

/* Who came in and who left, as lines of the history; what rules say of those is asked in another round. */
static void tell_moves(struct change *c, const struct segment_change *moves, isize n)
{
    c->touched.n = 0;
    for (isize i = 0; i < n && !c->quiet && c->edit.nodes.n; i++) {
        struct history_entry entry = { .at_ms = c->now_ms,
                                       .ref = c->moves_ref,
                                       .quantity = moves[i].segment.v,
                                       .item = moves[i].item,
                                       .type = moves[i].entered ? EVENT_SEGMENT_ENTERED
                                                                : EVENT_SEGMENT_LEFT };
        people_follow(&c->edit, entry);
        touch(c, entry);
    }
}

/* Brings the memberships up to date. A rule that asks who entered or left a segment is asked again
 * when somebody did. */
static void update_segments(struct change *c, const struct profile *draft)
{
    struct fold *fold = c->fold;
    const struct book *book = atomic_load(&fold->live.book);
    struct segment_change *moves = arena_new(c->a, struct segment_change, book->segments->n + 1);
    struct segment_ask ask = { .set = book->segments,
                               .catalog = fold->live.catalog,
                               .profile = draft,
                               .now_ms = c->now_ms,
                               .touched = c->touched.at,
                               .touched_n = c->touched.n,
                               .all = c->all || !c->edit.before,
                               .facts = c->facts,
                               .only = c->only };
    for (isize round = 0; round < MOVES_ROUNDS_MAX; round++) {
        isize n = segment_update(&ask, c->a, &c->edit, moves);
        for (isize i = 0; i < n; i++)
            roll_put(fold->live.roll, moves[i].segment, c->edit.id, moves[i].entered);
        if (n == 0) return;
        outbox_moves(fold, c->edit.id, moves, n, c->now_ms);
        tell_moves(c, moves, n);
        if (!book->segments->hears_moves || c->touched.n == 0) return;
        ask.profile = people_draft(fold->live.people, &c->edit, fold->config->history_events);
        ask.touched = c->touched.at;
        ask.touched_n = c->touched.n;
        ask.all = ask.facts = false;
        ask.only.v = 0;
    }
}

static void change_commit(struct change *c)
{
    struct fold *fold = c->fold;
    const struct profile *before = c->edit.before;
    bool recount = c->exposures || (c->orders && c->edit.exposures.n);
    struct exposure *counted =
        before && recount ? arena_new(c->a, struct exposure, before->exposures_n) : NULL;
    isize counted_n = counted ? before->exposures_n : 0;
    if (counted_n) memcpy(counted, before->exposures, (size_t)counted_n * sizeof *counted);
    const struct profile *draft = people_draft(fold->live.people, &c->edit, fold->config->history_events);
    if (recount)
        exposures_recount(&c->edit, draft->history, draft->history_n, fold->config->exposure_days * DAY_MS);
    update_segments(c, draft);
    i64 due_before = before ? before->next_change_at_ms : TIME_NEVER;
    const struct profile *after = people_commit(fold->live.people, &c->edit, fold->config->history_events);
    if (c->consents) outbox_consent(fold, after, c->now_ms);
    if (after->next_change_at_ms != due_before)
        timers_push(&fold->timers, after->next_change_at_ms, after->id.v);
    if (!recount) return;
    cells_count(fold, counted, counted_n, -1);
    cells_count(fold, after->exposures, after->exposures_n, 1);
}

/* Time moves somebody between segments when it is due, and not when their turn comes: see apply_tick. */
static void time_passes(struct fold *fold, person_id person, i64 due_ms)
{
    struct change c;
    change_open(&c, fold, person, due_ms);
    c.moves_ref = 0;
    change_commit(&c);
}

/* Whoever is due and waits for their turn yet is brought up to date before anything else happens to
 * them, so that it does not matter how many others were due. */
enum { CATCH_UP_MAX = 64 };

static void catch_up(struct fold *fold, person_id person, i64 now_ms)
{
    for (int i = 0; i < CATCH_UP_MAX && people_due(fold->live.people, person) <= now_ms; i++)
        time_passes(fold, person, people_due(fold->live.people, person));
}

static void change_begin(struct change *c, struct fold *fold, person_id person, i64 now_ms)
{
    catch_up(fold, person, now_ms);
    change_open(c, fold, person, now_ms);
}

/* ---- what an event says of a person ---------------------------------------------------------- */

static void take_consent(struct change *c, const struct event *e, u32 node)
{
    for (u8 purpose = 0; purpose < PURPOSES; purpose++) {
        enum consent_state said = consent_said(e, purpose);
        if (said == CONSENT_UNKNOWN) continue;
        bool known = false;
        for (isize i = 0; i < c->edit.consents.n; i++) {
            const struct consent_entry *old = &c->edit.consents.at[i];
            known |= old->purpose == purpose && old->node == node && old->state == said;
        }
        if (known) continue;                            /* each event repeats it; only a change is a fact */
        edit_consent(
            &c->edit, c->a,
            (struct consent_entry){ purpose, (u8)said, node, e->at_ms,
                                    e->consent_source.len ? e->consent_source : e->source });
        c->facts = c->consents = true;
    }
}

static void observe(struct change *c, const struct event *e, u32 node, const char *name, str text, bool once)
{
    if (text.len == 0) return;
    for (isize i = 0; i < c->edit.traits.n; i++) {
        const struct trait *t = &c->edit.traits.at[i];
        bool same = t->node == node && t->origin == TRAIT_OBSERVED && str_eq(t->fact.name, str_of(name));
        if (same && (once || str_eq(t->fact.text, text))) return;
    }
    struct fact fact = { .name = str_of(name), .kind = FACT_TEXT, .text = text };
    edit_trait(&c->edit, c->a, (struct trait){ fact, e->source, e->at_ms, node, TRAIT_OBSERVED });
    c->facts = true;
}

static void set_trait(struct change *c, const struct event *e, u32 node, struct fact fact, u8 origin)
{
    edit_trait(&c->edit, c->a, (struct trait){ fact, e->source, e->at_ms, node, origin });
    c->facts = true;
}

/* The members of an object, under PREFIX.name: what rules can ask for. A list stays one fact, as JSON. */
static void take_members(struct change *c, const struct event *e, u32 node, str prefix,
                         const struct json *object, u8 origin)
{
    json_each(v, object) {
        str name = arena_printf(c->a, "%.*s%.*s", STR_FMT(prefix), STR_FMT(v->key));
        if (name.len > IDENTIFIER_BYTES_MAX || json_is(v, JSON_OBJ)) continue;
        set_trait(c, e, node, fact_read(c->a, name, v), origin);
    }
}

static bool observed_already(const struct change *c, u32 node, const struct fact *fact)
{
    for (isize i = 0; i < c->edit.traits.n; i++) {
        const struct trait *t = &c->edit.traits.at[i];
        if (t->node == node && t->origin == TRAIT_OBSERVED && str_eq(t->fact.name, fact->name))
            return t->fact.kind == fact->kind && t->fact.n == fact->n && str_eq(t->fact.text, fact->text);
    }
    return false;
}

/* What somebody chose or answered is declared; where they are is seen; the rest is given. */
static void take_fact(struct change *c, const struct event *e, u32 node, struct fact fact)
{
    static const str seen = S_INIT("seen.");
    const struct json *object;
    bool chosen = str_eq(fact.name, S("preferences")) || str_starts(fact.name, S(PREFERENCE_TRAIT));
    u8 origin = e->type == EVENT_QUIZ_ANSWERED || chosen ? TRAIT_DECLARED : TRAIT_GIVEN;
    if (str_starts(fact.name, seen)) {
        fact.name = str_from(fact.name, seen.len);
        origin = TRAIT_OBSERVED;
        if (observed_already(c, node, &fact)) return;
    }
    set_trait(c, e, node, fact, origin);
    if (fact.kind != FACT_JSON || json_parse(c->a, fact.text, &object, NULL)
        || !json_is(object, JSON_OBJ))
        return;
    take_members(c, e, node, arena_printf(c->a, "%.*s.", STR_FMT(fact.name)), object, origin);
}

/* A group call: the account somebody acts for, and what is said of it. */
static void take_account(struct change *c, const struct event *e, u32 node)
{
    const struct json *said;
    if (json_parse(c->a, e->properties, &said, NULL)) return;
    struct fact id = { .name = S(ACCOUNT_TRAIT "id"),
                       .kind = FACT_TEXT,
                       .text = json_str(json_get(said, S("group_id")), S("")) };
    if (id.text.len == 0) return;
    set_trait(c, e, node, id, TRAIT_GIVEN);
    take_members(c, e, node, S(ACCOUNT_TRAIT), json_get(said, S("traits")), TRAIT_GIVEN);
}

static void take_traits(struct change *c, const struct event *e, u32 node)
{
    for (isize i = 0; i < e->traits_n; i++) take_fact(c, e, node, e->traits[i]);
    if (e->type == EVENT_GROUPED) take_account(c, e, node);
    bool ads = consent_said(e, PURPOSE_ADS_SHARING) == CONSENT_GRANTED;
    bool arrived = e->utm_source.len || e->utm_campaign.len || (ads && e->click_id.len);
    observe(c, e, node, "language", e->locale, false);
    observe(c, e, node, "country", e->country, false);
    observe(c, e, node, "device", e->device, false);
    observe(c, e, node, "store", e->store, false);
    if (!arrived) return;
    observe(c, e, node, "first_source", e->utm_source, true);
    observe(c, e, node, "first_campaign", e->utm_campaign, true);
    observe(c, e, node, "first_page", e->url, true);
    observe(c, e, node, "latest_source", e->utm_source, false);
    observe(c, e, node, "latest_campaign", e->utm_campaign, false);
    observe(c, e, node, "latest_page", e->url, false);
    if (ads) observe(c, e, node, "ads_click", e->click_id, false);
}

isize event_facts(const struct event *e, u32 node, arena *a, const struct trait **out)
{
    struct change c = { .a = a };
    take_traits(&c, e, node);
    *out = c.edit.traits.at;
    return c.edit.traits.n;
}

static bool is_order(u16 type)
{
    return type == EVENT_ORDER_COMPLETED || type == EVENT_ORDER_UPDATED || type == EVENT_ORDER_REFUNDED
        || type == EVENT_ORDER_CANCELLED;
}

static u32 *see_items(struct fold *fold, const struct event *e, u64 ref, arena *a)
{
    u32 *items = arena_new(a, u32, e->items_n);
    for (isize i = 0; i < e->items_n; i++)
        items[i] = e->items[i].product_key.len || e->items[i].variant_key.len
                 ? catalog_see(fold->live.catalog, &e->items[i], e->currency, e->at_ms, ref).v : 0;
    return items;
}

static void take_history(struct change *c, const struct event *e, const u32 *items, u64 ref, u8 node, u8 cart)
{
    struct history_entry entry = {
        .at_ms = e->at_ms,
        .ref = ref,
        .type = e->type,
        .currency = e->currency.v,
        .channel = e->channel,
        .node = node,
        .value_minor = e->value_minor,
        .flags = e->flags & EVENT_BOT ? HISTORY_BOT : 0,
    };
    if (e->items_n == 1) {
        entry.item = items[0];
        entry.quantity = e->items[0].quantity ? e->items[0].quantity : 1;
        if (!e->valued && e->items[0].priced) entry.value_minor = e->items[0].price_minor * entry.quantity;
    }
    if (e->type == EVENT_CONTENT_VIEWED) entry.flags |= HISTORY_CONTENT;
    entry.flags |= (u16)(cart << HISTORY_CART_SHIFT);
    add_entry(c, entry);
}

/* Takes an order's old entries out of the edit. */
static void order_out(struct change *c, order_id id)
{
    isize n = 0;
    edit_history(&c->edit, c->a);
    for (isize i = 0; i < c->edit.history.n; i++) {
        struct history_entry entry = c->edit.history.at[i];
        if (entry.flags & HISTORY_ORDER && entry.ref == id.v) touch(c, entry);
        else c->edit.history.at[n++] = entry;
    }
    c->edit.history.n = n;
    c->orders = true;
}

static void order_in(struct change *c, const struct order *order)
{
    struct history_entry *entries = NULL;
    bool before = c->teaches;
    c->teaches = teaches(c, str_cut(order->key, ':').head);     /* a refund may be another source's word */
    isize n = order_entries(order, edit_node(&c->edit, order->node, c->a), c->a, &entries);
    for (isize i = 0; i < n; i++) add_entry(c, entries[i]);
    c->teaches = before;
    c->orders = true;
}

/* Histories follow an order: out of its owner's before, into its owner's now. `here` is the change
 * under way of whoever the event names; null when it names nobody, as a refund does that the back
 * office keys in. */
static void order_moves(struct fold *fold, const struct order_effect *effect, struct change *here, i64 now_ms)
{
    person_id here_id = here ? here->edit.id : (person_id){ 0 };
    person_id was = { 0 }, is = identity_person(fold->live.identity, effect->order->node);
    if (!effect->created) was = identity_person(fold->live.identity, effect->before.node);
    person_id others[] = { was, is };
    for (isize i = was.v == is.v; i < countof(others); i++) {
        if (others[i].v == 0 || others[i].v == here_id.v
            || !people_has(fold->live.people, others[i]))
            continue;
        struct change c;
        change_begin(&c, fold, others[i], now_ms);
        if (others[i].v == was.v) order_out(&c, effect->order->id);
        if (others[i].v == is.v) order_in(&c, effect->order);
        change_commit(&c);
    }
    if (!here) return;
    if (here_id.v == was.v) order_out(here, effect->order->id);
    if (here_id.v == is.v) order_in(here, effect->order);
}

void order_gone(struct fold *fold, order_id id, i64 now_ms)
{
    arena a = { 0 };
    const struct order *order = fold_order(fold, id, &a);
    person_id owner = order ? identity_person(fold->live.identity, order->node) : (person_id){ 0 };
    arena_fini(&a);
    if (!people_has(fold->live.people, owner)) return;
    struct change c;
    change_begin(&c, fold, owner, now_ms);
    order_out(&c, id);
    change_commit(&c);
}

static struct decided *decided_slot(struct fold *fold, u64 key)
{
    u64 at = fold->decided_by_key ? map_get(fold->decided_by_key, (struct hash128){ key, key }, 0) : 0;
    if (at == 0 || (isize)at + DECIDED_MAX <= fold->decided_n) return NULL;
    struct decided *d = &fold->decided[(at - 1) % DECIDED_MAX];
    return d->decision.key == key ? d : NULL;
}

/* Where the shop has rows turn, each item of a row that was seen is remembered as shown; elsewhere
 * only the row is. */
static void note_shown(struct change *c, const struct decided *d, struct history_entry row)
{
    const struct book *book = atomic_load(&c->fold->live.book);
    const struct placement *p = NULL;
    struct decision whole;
    for (isize i = 0; i < book->placements_n; i++)
        if (book->placements[i].number == d->decision.placement) p = &book->placements[i];
    const struct strategy *s = p ? book_strategy(book, p->strategy) : NULL;
    if (!s || s->rotate >= 1 || decision_decode(d->bytes, c->a, &whole)) return;
    for (isize i = 0; i < min_isize(whole.items_n, ROTATED_MOST); i++) {
        row.item = whole.items[i].item.v;
        add_entry(c, row);
    }
}

static void note_clicked(struct change *c, struct decided *d, u32 item)
{
    struct decision whole;
    if (decision_decode(d->bytes, c->a, &whole)) return;
    for (isize i = 0; i < min_isize(whole.items_n, 64); i++)
        if (whole.items[i].item.v == item) d->clicks |= (u64)1 << i;
}

static void take_ticket(struct change *c, const struct event *e, u64 ref, u32 node, u8 index)
{
    struct fold *fold = c->fold;
    struct ticket ticket;
    if (!ticket_read(fold->live.secret, e->ticket, &ticket) || e->flags & EVENT_BOT) return;
    bool clicked = e->type == EVENT_DECISION_CLICKED;
    const struct definition *def = definition_by_id(fold->definitions, ticket.campaign);
    struct history_entry entry = { .at_ms = e->at_ms,
                                   .ref = ref,
                                   .type = e->type,
                                   .channel = e->channel,
                                   .node = index,
                                   .item = ticket.item,
                                   .quantity = def ? def->number : 0 };
    add_entry(c, entry);
    exposure_viewed(&c->edit, c->a, &ticket, node, e->at_ms, clicked);
    c->exposures = true;
    struct decided *d = decided_slot(fold, ticket.decision_key);
    if (!d) return;
    if (!clicked && !ticket.item && !ticket.campaign && !d->viewed) note_shown(c, d, entry);
    d->viewed = true;
    d->teaches |= c->teaches;
    d->clicked |= clicked;
    if (clicked && ticket.item) note_clicked(c, d, ticket.item);
    /* a stranger when it was taken, somebody now */
    if (d->decision.person.v == 0) d->decision.person = c->edit.id;
    vec_push(&fold->decided_touched, ticket.decision_key);
}

/* ---- events ---------------------------------------------------------------------------------- */

struct source_count *source_slot(struct fold *fold, str source)
{
    const struct definition *def = definition_find(fold->definitions, S("source"), source);
    u16 number = def ? def->number : 0;
    fold->sources_dirty = true;
    for (isize i = 0; i < fold->sources.n; i++)
        if (fold->sources.at[i].source == number) return &fold->sources.at[i];
    vec_push(&fold->sources, (struct source_count){ .source = number });
    return &fold->sources.at[fold->sources.n - 1];
}

/* The tag says with each page view what the page before cost. What a browser says is bounded, not
 * believed. */
static void count_cost(struct fold *fold, const struct event *e)
{
    const struct json *properties;
    if (e->type != EVENT_PAGE_VIEWED || str_find(e->properties, S("\"opmaat_main_ms\"")) < 0) return;
    if (json_parse(&fold->scratch, e->properties, &properties, NULL)) return;
    f64 ms = json_num(json_get(properties, S("opmaat_main_ms")), -1);
    if (ms >= 0 && ms <= 60000) fold->tag_ms[fold->tag_pages++ % TAG_PAGES_MAX] = (f32)ms;
}

static void count_event(struct fold *fold, const struct event *e, person_id person,
                        const u32 *items, i64 now_ms)
{
    i64 second = now_ms / SECOND_MS;
    for (; fold->totals.second < second; fold->totals.second++) {
        if (second - fold->totals.second > 60) fold->totals.second = second - 61;
        fold->totals.per_second[(fold->totals.second + 1) % 60] = 0;
    }
    fold->totals.per_second[second % 60]++;
    fold->totals.events++;
    fold->totals.last_at_ms = now_ms;
    fold->rest_dirty = true;
    count_cost(fold, e);
    fold->latest[fold->latest_n++ % LATEST_MAX] =
        (struct latest){ e->at_ms, person, e->type, e->channel, e->items_n ? items[0] : 0 };
}

static void count_order(struct fold *fold, const struct order_effect *effect)
{
    const struct order *o = effect->order;
    i64 worth = o->state == ORDER_CANCELLED ? 0 : o->value_minor - o->refunded_minor;
    i64 before = effect->created || effect->before.state == ORDER_CANCELLED ? 0
               : effect->before.value_minor - effect->before.refunded_minor;
    if (effect->created) fold->totals.orders++;
    isize k = 0;
    while (k < fold->totals.revenues_n && fold->totals.revenue[k].currency.v != o->currency.v) k++;
    if (k == countof(fold->totals.revenue)) return;
    if (k == fold->totals.revenues_n)
        fold->totals.revenue[fold->totals.revenues_n++] = (struct money){ 0, o->currency };
    fold->totals.revenue[k].minor += worth - before;
}

static void lift_denials(struct fold *fold, const struct event *e)
{
    for (isize i = 0; i < e->identifiers_n; i++) {
        struct hash128 who = denial_hash(fold->live.denial_key, e->identifiers[i]);
        u16 denied = denials_get(fold->live.denials, who);
        if (denied & e->consent_granted) {
            denials_set(fold->live.denials, who, (u16)(denied & ~e->consent_granted));
            fold->rest_dirty = true;
        }
    }
}

static bool has_verified_strong(const struct event *e)
{
    for (isize i = 0; i < e->identifiers_n; i++)
        if (e->identifiers[i].verified && identifier_is_strong(e->identifiers[i].kind)) return true;
    return false;
}

/* What experiments assign by: the identifier that made the person's first node. */
static str bucketing_id(const struct fold *fold, person_id person)
{
    struct link first;
    return identity_began(fold->live.identity, person.v, &first) ? first.identifier.value : S("");
}

static void event_of_person(struct fold *fold, const struct event *e, const struct resolved *who,
                            const u32 *items, u64 ref, i64 now_ms)
{
    struct change c;
    for (isize i = 0; i < who->merged_n; i++) catch_up(fold, who->merged[i], now_ms);
    change_begin(&c, fold, who->person, now_ms);
    for (isize i = 0; i < who->merged_n; i++)
        if (who->merged[i].v != who->person.v) absorb(&c, who->merged[i], who->links[i]);
    u8 index = edit_node(&c.edit, who->node, c.a);
    if (c.edit.bucketing_id.len == 0 || who->merged_n) c.edit.bucketing_id = bucketing_id(fold, who->person);
    bool known = has_verified_strong(e);
    c.facts |= known && !c.edit.known;
    c.edit.known |= known;
    take_consent(&c, e, who->node);
    c.teaches = teaches(&c, e->source);
    take_traits(&c, e, who->node);
    u8 cart = cart_number(&c.edit, c.a, e, who->node);
    if (is_order(e->type)) {
        struct whose whose = { who->node, cart };
        struct order_effect effect = orders_apply(fold, e, items, whose, ref, c.a);
        if (effect.changed) {
            order_moves(fold, &effect, &c, now_ms);
            count_order(fold, &effect);
        }
    } else if (e->type == EVENT_DECISION_VIEWED || e->type == EVENT_DECISION_CLICKED) {
        take_ticket(&c, e, ref, who->node, index);
    } else if (e->type != EVENT_CONSENT_CHANGED && e->type != EVENT_ALIASED) {
        take_history(&c, e, items, ref, index, cart);
    }
    if (c.edit.created_at_ms == 0) c.edit.created_at_ms = e->at_ms;
    change_commit(&c);
}

/* Somebody of that name has said no to being recorded, and the event itself does not say yes. */
static bool said_no(const struct fold *fold, const struct event *e)
{
    enum consent_state said = consent_said(e, PURPOSE_ANALYTICS);
    for (isize i = 0; said == CONSENT_UNKNOWN && i < e->identifiers_n; i++) {
        enum consent_state own =
            people_consent(fold->live.people, identity_find(fold->live.identity, e->identifiers[i]),
                           PURPOSE_ANALYTICS);
        if (own == CONSENT_UNKNOWN && denials_count(fold->live.denials)
            && denials_get(fold->live.denials,
                           denial_hash(fold->live.denial_key, e->identifiers[i]))
                       >> PURPOSE_ANALYTICS
                   & 1)
            own = CONSENT_DENIED;
        if (own == CONSENT_DENIED) return true;
    }
    return said == CONSENT_DENIED;
}

/* The gate again, for what had passed it at the door before a no came in, and for files. False: the
 * event is not taken. An order stays the shop's, without the person. */
static bool passes_gate(struct fold *fold, struct event *e)
{
    if (e->type == EVENT_CONSENT_CHANGED || !said_no(fold, e)) return true;
    if (!is_order(e->type)) return false;
    e->identifiers_n = e->traits_n = 0;
    e->previous_id = S("");
    return true;
}

/* A pixel in a letter names nobody, but the decision it belongs to was taken for somebody. */
static struct resolved decided_for(struct fold *fold, const struct event *e)
{
    struct ticket ticket;
    struct resolved nobody = { 0 };
    if (e->ticket.len == 0 || e->identifiers_n
        || !ticket_read(fold->live.secret, e->ticket, &ticket))
        return nobody;
    const struct decided *d = decided_slot(fold, ticket.decision_key);
    if (!d || !d->decision.person.v) return nobody;
    person_id person = identity_person(fold->live.identity, d->decision.person.v);
    if (!people_has(fold->live.people, person)
        || people_consent(fold->live.people, person, PURPOSE_ANALYTICS) == CONSENT_DENIED)
        return nobody;
    return (struct resolved){ .person = person, .node = d->decision.person.v };
}

/* An event that was read ahead of its turn. */
struct coming { bool is, damaged; struct event e; struct hash128 key; person_id person; };

static void come(struct coming *c, str bytes, arena *a)
{
    *c = (struct coming){ .is = true };
    c->damaged = event_decode(bytes, a, &c->e) != ERR_OK;
    if (!c->damaged && c->e.key.len) c->key = seen_key(c->e.source, c->e.key);
}

static void apply_coming(struct fold *fold, const struct coming *coming, u64 ref, i64 now_ms)
{
    struct event e = coming->e;
    if (coming->damaged) {
        log_error("fold.undecodable ref=%llu", (unsigned long long)ref);
        return;
    }
    struct source_count *source = source_slot(fold, e.source);
    source->last_at_ms = now_ms;
    if (e.key.len && !seen_put(fold, coming->key, now_ms)) {
        source->duplicates++;
        fold->totals.duplicates++;
        fold->rest_dirty = true;
        return;
    }
    if (!passes_gate(fold, &e)) {
        source->no_consent++;
        fold->totals.no_consent++;
        fold->rest_dirty = true;
        return;
    }
    isize slot = source - fold->sources.at;             /* the list may move */
    if (!quality_check(fold, &e, ref, now_ms)) return;
    source = &fold->sources.at[slot];
    source->accepted++;
    source->behind_ms = now_ms - e.at_ms;
    if (e.type == EVENT_NONE || e.type >= EVENT_CUSTOM_FIRST) e.type = fold_name_of(fold, e.name, ref);
    if (e.consent_granted && denials_count(fold->live.denials)) lift_denials(fold, &e);
    u32 *items = see_items(fold, &e, ref, &fold->scratch);
    struct resolved who = identity_resolve(fold->live.identity, &e, ref, now_ms);
    count_event(fold, &e, who.person, items, now_ms);
    outbox_event(fold, &e, who.person);
    if (!who.person.v) who = decided_for(fold, &e);
    if (who.person.v) {
        event_of_person(fold, &e, &who, items, ref, now_ms);
        return;
    }
    if (!is_order(e.type)) return;
    struct order_effect effect = orders_apply(fold, &e, items, (struct whose){ 0, 0 }, ref, &fold->scratch);
    if (!effect.changed) return;
    order_moves(fold, &effect, NULL, now_ms);
    count_order(fold, &effect);
}

void apply_event(struct fold *fold, str bytes, u64 ref, i64 now_ms)
{
    struct coming one;
    come(&one, bytes, &fold->scratch);
    apply_coming(fold, &one, ref, now_ms);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A record brings at most so many people up to date, so that an event never waits for everybody
 * whose day ends now; who is left is due with the next record, and a tick that is asked for at once
 * is one. Meanwhile whoever reads a membership asks its rule again, by the clock. What moves is
 * dated when it was due, however late its turn comes: nothing happened to that person since, or
 * they would have been brought up to date by it. */
enum { FLIPS_A_RECORD = 256 };

static void apply_tick(struct fold *fold, i64 now_ms)
{
    struct due due;
    fold->totals.ticks++;
    for (int n = 0; n < FLIPS_A_RECORD && timers_pop(&fold->timers, now_ms, &due);) {
        struct arena_mark mark = arena_mark(&fold->scratch);
        person_id person = { due.person };
        if (people_due(fold->live.people, person) == due.at_ms) {
            time_passes(fold, person, due.at_ms);
            n++;
        } else {
            /* it moved on meanwhile */
            timers_push(&fold->timers, people_due(fold->live.people, person), due.person);
        }
        arena_reset(&fold->scratch, mark);
    }
}

/* ---- definitions ----------------------------------------------------------------------------- */

static bool hex_bytes(str text, u8 *out, size_t n)
{
    size_t got;
    return sodium_hex2bin(out, n, text.ptr, (size_t)text.len, NULL, &got, NULL) == 0 && got == n;
}

static void take_secrets(struct fold *fold)
{
    const struct json *doc;
    str text = definition_published(definition_find(fold->definitions, S("settings"), S("secret")));
    if (text.len == 0 || json_parse(&fold->scratch, text, &doc, NULL)) return;
    bool whole = hex_bytes(json_str(json_get(doc, S("ticket")), S("")), fold->live.secret, 32)
              && hex_bytes(json_str(json_get(doc, S("denial")), S("")), fold->live.denial_key, 32);
    assert(whole);
}

static void free_book(void *book) { book_free(book); }

static void free_metrics(void *metrics) { metrics_free(metrics); }

static void rebuild_metrics(struct fold *fold, const struct rule_names *names)
{
    struct metrics *metrics;
    struct definition_errors errors = { 0 };
    if (metrics_build(fold->definitions, NULL, names, &metrics, &errors)) {
        log_error("definition.refused kind=metric key=%.*s why=\"%.*s\"", STR_FMT(errors.at[0].key),
                  STR_FMT(errors.at[0].message));
        metrics_free(metrics);
        return;
    }
    struct metrics *old = (struct metrics *)(uintptr_t)atomic_exchange(&fold->live.metrics, metrics);
    if (old) rcu_defer(free_metrics, old);
}

void fold_rebuild_book(struct fold *fold)
{
    struct book *book;
    struct definition_errors errors = { 0 };
    struct rule_names names = fold_names(fold);
    take_secrets(fold);
    enum err err = book_build(fold->definitions, NULL, &names, fold->live.secret, fold->book_ref,
                              &book, &errors);
    if (err) {                                          /* what did compile stays in force */
        log_error("definition.refused kind=%.*s key=%.*s why=\"%.*s\"", STR_FMT(errors.at[0].kind),
                  STR_FMT(errors.at[0].key), STR_FMT(errors.at[0].message));
        book_free(book);
        return;
    }
    trials_follow(fold, book);
    weights_follow(fold, book);
    rebuild_metrics(fold, &names);
    struct book *old = (struct book *)(uintptr_t)atomic_exchange(&fold->live.book, book);
    if (old) rcu_defer(free_book, old);
    fold->book_replaced = old != NULL;
}

struct asking_who { struct fold *fold; segment_id only; i64 now_ms; };
struct who { u32 *at; isize n, cap; };

static void ask_who(void *ctx, void *answer, const struct swept *one, arena *a)
{
    const struct asking_who *q = ctx;
    struct who *who = answer;
    const struct book *book = atomic_load(&q->fold->live.book);
    (void)a;
    if (q->only.v
        && segment_leaves(book->segments, q->fold->live.catalog, one->now, q->only, q->now_ms))
        return;
    vec_push(who, one->id.v);
}

static int id_order(const void *x, const void *y)
{
    u32 a = *(const u32 *)x, b = *(const u32 *)y;
    return (a > b) - (a < b);
}

static void recompute_person(struct fold *fold, u32 id, segment_id only, i64 now_ms)
{
    struct arena_mark mark = arena_mark(&fold->scratch);
    const struct profile *p = people_get(fold->live.people, (person_id){ id }, &fold->scratch);
    const struct book *book = atomic_load(&fold->live.book);
    for (isize i = 0; i < p->memberships_n; i++) {
        u16 segment = p->memberships[i].segment;
        if (!book->segments->by_id[segment]) roll_put(fold->live.roll, (segment_id){ segment }, p->id, false);
    }
    struct change c;
    change_open(&c, fold, p->id, now_ms);
    c.all = only.v == 0;
    c.only = only;
    c.quiet = true;
    change_commit(&c);
    arena_reset(&fold->scratch, mark);
}

/* Everybody is asked again: about the segment that is new (fresh: nobody was ever in it), changed
 * or gone, or (0) about all of them. Most are neither in it nor were, nor will come to be by
 * themselves: that is found out by all cores, and then those who are left are changed by this
 * thread, in the order of their ids. */
static void recompute_segments(struct fold *fold, segment_id only, bool fresh, i64 now_ms)
{
    const struct book *book = atomic_load(&fold->live.book);
    const struct segment *segment = book && only.v < SEGMENTS_MAX ? book->segments->by_id[only.v] : NULL;
    struct asking_who q = { fold, only, now_ms };
    struct sweep everybody = { .people = fold->live.people,
                               .answer_size = sizeof(struct who),
                               .each = ask_who,
                               .ctx = &q,
                               .still = true,
                               .memberships = true };
    if (fresh && segment) everybody.need = rule_needs(segment->rule, now_ms);
    void *answers[SWEEP_ANSWERS_MAX];
    struct who all = { 0 };
    arena a = { 0 };
    isize n = sweep_run(&everybody, &a, answers);
    for (isize i = 0; i < n; i++) {
        struct who *who = answers[i];
        for (isize k = 0; k < who->n; k++) vec_push(&all, who->at[k]);
        vec_fini(who);
    }
    if (all.n) qsort(all.at, (size_t)all.n, sizeof *all.at, id_order);
    for (isize i = 0; i < all.n; i++) recompute_person(fold, all.at[i], only, now_ms);
    vec_fini(&all);
    arena_fini(&a);
}

/* Days begin elsewhere when the shop's zone changes. */
static struct zone fold_zone(const struct fold *fold)
{
    const struct book *book = atomic_load(&fold->live.book);
    return book ? book->segments->zone : (struct zone){ 0 };
}

static void apply_definition(struct fold *fold, str bytes, i64 now_ms)
{
    struct definition_change change;
    if (definition_change_decode(bytes, &change)
        || definition_check(fold->definitions, &change, 0, NULL))
        return;
    definition_apply(fold->definitions, &change, now_ms);
    if (change.op == DEFINITION_DRAFT) return;
    fold->book_ref = fold->ref;
    struct zone before = fold_zone(fold);
    fold_rebuild_book(fold);
    struct zone after = fold_zone(fold);
    bool zone = before.minutes != after.minutes || before.summer != after.summer;
    const struct definition *def = definition_find(fold->definitions, change.kind, change.key);
    if (zone) recompute_segments(fold, (segment_id){ 0 }, false, now_ms);
    else if (str_eq(change.kind, S("segment")))
        recompute_segments(fold, (segment_id){ def->number }, def->publishes_n == 1, now_ms);
}

enum err fold_try(struct fold *fold, const struct definition_change *change,
                  struct definition_errors *errors, arena *a)
{
    const struct definition *def = definition_find(fold->definitions, change->kind, change->key);
    str document = change->document;
    if (document.len == 0 && def) {
        u32 revision = change->revision ? change->revision : (u32)def->revisions_n;
        if (revision >= 1 && revision <= (u32)def->revisions_n)
            document = def->revisions[revision - 1].document;
    }
    struct definition_candidate candidate = { change->kind, change->key, document };
    struct rule_names names = fold_names(fold);
    struct book *book = NULL;
    enum err err = book_build(fold->definitions, &candidate, &names, fold->live.secret, fold->ref,
                              &book, errors);
    struct metrics *metrics = NULL;
    if (!err && str_eq(change->kind, S("metric")))
        err = metrics_build(fold->definitions, &candidate, &names, &metrics, errors);
    for (isize i = 0; i < errors->n; i++) {             /* the book's arena goes; the reasons stay */
        struct definition_error *e = &errors->at[i];
        str *const parts[] = { &e->kind, &e->key, &e->path, &e->message };
        for (isize k = 0; k < countof(parts); k++) *parts[k] = arena_str(a, *parts[k]);
    }
    book_free(book);
    metrics_free(metrics);
    return err;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* The place of the next decision, emptied. */
static struct decided *decided_next(struct fold *fold)
{
    if (!fold->decided) {
        fold->decided = mem_new(DECIDED_MAX * (isize)sizeof *fold->decided);
        fold->decided_by_key = map_new(1024);
    }
    struct decided *slot = &fold->decided[fold->decided_n % DECIDED_MAX];
    if (slot->bytes.len) {
        map_remove(fold->decided_by_key, (struct hash128){ slot->decision.key, slot->decision.key });
        mem_free_str(slot->bytes);
    }
    *slot = (struct decided){ 0 };
    return slot;
}

void decided_blank(struct fold *fold)
{
    (void)decided_next(fold);
    fold->decided_n++;
}

static void apply_decision(struct fold *fold, str bytes, u64 ref)
{
    struct decision d;
    if (decision_decode(bytes, &fold->scratch, &d)) return;
    struct decided *slot = decided_next(fold);
    *slot = (struct decided){ .decision = d, .bytes = mem_str(bytes), .ref = ref, .viewed = d.exposed };
    slot->decision.considered = NULL;
    slot->decision.items = NULL;
    slot->decision.context = NULL;
    slot->decision.heights = S("");
    slot->decision.considered_n = slot->decision.items_n = slot->decision.context_n = 0;
    map_put(fold->decided_by_key, (struct hash128){ d.key, d.key }, (u64)++fold->decided_n);
    fold->totals.decisions++;
    fold->rest_dirty = true;
    /* rendered by the shop's server: seen */
    if (d.exposed && d.person.v && people_has(fold->live.people, d.person)) {
        struct change c;
        change_begin(&c, fold, identity_person(fold->live.identity, d.person.v), d.at_ms);
        struct ticket ticket = { .decision_key = d.key,
                                 .campaign = d.campaign,
                                 .placement = d.placement,
                                 .experience = d.experience,
                                 .variation = d.variation,
                                 .programme_holdout = d.programme_holdout };
        exposure_viewed(&c.edit, c.a, &ticket, d.person.v, d.at_ms, false);
        c.exposures = true;
        change_commit(&c);
    }
}

static void visit_refusal(struct codec *c, struct refusal *v)
{
    u64 n = (u64)v->denials_n;
    codec_u16(c, &v->source);
    codec_u32(c, &v->no_consent);
    codec_u64(c, &n);
    if (n > countof(v->denials)) { c->failed = true; n = 0; }
    v->denials_n = (isize)n;
    for (isize i = 0; i < v->denials_n; i++) {
        codec_u64(c, &v->denials[i].who.hi);
        codec_u64(c, &v->denials[i].who.lo);
        codec_u16(c, &v->denials[i].denied);
    }
}

void refusal_encode(const struct refusal *refusal, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct refusal copy = *refusal;
    visit_refusal(&c, &copy);
}

static void apply_refusal(struct fold *fold, str bytes, i64 now_ms)
{
    struct codec c = codec_reader(bytes, NULL);
    struct refusal r = { 0 };
    visit_refusal(&c, &r);
    if (c.failed) return;
    isize i = 0;
    while (i < fold->sources.n && fold->sources.at[i].source != r.source) i++;
    if (i == fold->sources.n) vec_push(&fold->sources, (struct source_count){ .source = r.source });
    fold->sources.at[i].no_consent += r.no_consent;
    fold->sources.at[i].last_at_ms = now_ms;
    fold->totals.no_consent += r.no_consent;
    for (isize k = 0; k < r.denials_n; k++) {
        u16 before = denials_get(fold->live.denials, r.denials[k].who);
        denials_set(fold->live.denials, r.denials[k].who, before | r.denials[k].denied);
    }
    fold->sources_dirty = fold->rest_dirty = true;
}

static void visit_delivery(struct codec *c, struct delivery *v)
{
    codec_str(c, &v->source);
    codec_i64(c, &v->items);
}

void delivery_encode(const struct delivery *delivery, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct delivery copy = *delivery;
    visit_delivery(&c, &copy);
}

static void apply_delivery(struct fold *fold, str bytes, i64 now_ms)
{
    struct codec c = codec_reader(bytes, NULL);
    struct delivery v = { 0 };
    visit_delivery(&c, &v);
    if (c.failed) return;
    struct source_count *source = source_slot(fold, v.source);
    source->accepted += v.items;
    source->last_at_ms = now_ms;
}

static void visit_order_of_people(struct codec *c, struct people_order *v)
{
    codec_u8(c, &v->op);
    codec_u32(c, &v->a);
    codec_u32(c, &v->b);
    codec_u32(c, &v->link);
    codec_str(c, &v->who);
}

void people_order_encode(const struct people_order *order, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct people_order copy = *order;
    visit_order_of_people(&c, &copy);
}

static void merge_people(struct fold *fold, const struct people_order *order, u64 ref, i64 now_ms)
{
    struct resolved r;
    if (identity_merge(fold->live.identity, (person_id){ order->a }, (person_id){ order->b }, ref,
                       now_ms, order->who, &r))
        return;
    if (r.merged_n == 0) return;
    struct change c;
    catch_up(fold, r.merged[0], now_ms);
    change_begin(&c, fold, r.person, now_ms);
    absorb(&c, r.merged[0], r.links[0]);
    change_commit(&c);
}

/* The moves of the person that was made by the merge, and of nobody who is left. */
static isize drop_moves(struct history_entry *at, isize n, u64 since, i64 since_ms)
{
    isize kept = 0;
    for (isize i = 0; i < n; i++) {
        /* time had moved them before the merge was folded */
        bool before = at[i].ref ? at[i].ref < since : at[i].at_ms <= since_ms;
        if (!history_is_move(&at[i]) || before) at[kept++] = at[i];
    }
    return kept;
}

/* What is said of the whole person follows from its parts: when it began, and whether it is known. */
static void person_facts(struct fold *fold, struct profile_edit *edit)
{
    i64 began = TIME_NEVER;
    for (isize i = 0; i < edit->history.n; i++)
        if (!history_is_move(&edit->history.at[i])) began = min_i64(began, edit->history.at[i].at_ms);
    for (isize i = 0; i < edit->added.n; i++)
        if (!history_is_move(&edit->added.at[i])) began = min_i64(began, edit->added.at[i].at_ms);
    for (isize i = 0; i < edit->traits.n; i++) began = min_i64(began, edit->traits.at[i].at_ms);
    for (isize i = 0; i < edit->consents.n; i++) began = min_i64(began, edit->consents.at[i].at_ms);
    edit->created_at_ms = began == TIME_NEVER ? edit->created_at_ms : began;
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(fold->live.identity, edit->id, links, countof(links));
    edit->known = false;
    for (isize i = 0; i < n; i++)
        edit->known |= links[i].verified && identifier_is_strong(links[i].identifier.kind);
    edit->bucketing_id = bucketing_id(fold, edit->id);
}

/* The one person becomes the people that its parts are again. The parts that leave are made from
 * the same version, so that together they hold exactly what the one held. */
static void split_people(struct fold *fold, const struct people_order *order, u64 ref, i64 now_ms)
{
    struct parting parts;
    if (identity_split(fold->live.identity, order->link, ref, now_ms, order->who, &parts)
        || parts.n < 2)
        return;
    const struct profile *whole = people_get(fold->live.people, parts.people[0], &fold->scratch);
    if (!whole) return;
    struct memo memo = { 0 };
    struct link link = { 0 };
    (void)identity_link(fold->live.identity, order->link, &link);
    u64 merged = link.ref;
    i64 merged_ms = link.at_ms;
    struct codec reader = codec_reader(link.memo, &fold->scratch);
    visit_memo(&reader, &memo);
    for (isize i = 0; i < whole->memberships_n; i++)
        roll_put(fold->live.roll, (segment_id){ whole->memberships[i].segment }, whole->id, false);
    /* the one that keeps the id goes last: `whole` is its version */
    for (isize i = parts.n - 1; i >= 0; i--) {
        struct change c;
        u32 nodes[NODES_PER_PERSON_MAX];
        isize n = identity_nodes(fold->live.identity, parts.people[i], nodes, countof(nodes));
        change_begin(&c, fold, parts.people[i], now_ms);
        if (!c.edit.before) edit_absorb(&c.edit, whole, c.a);
        edit_keep_nodes(&c.edit, nodes, n, c.a);
        c.edit.history.n = drop_moves(c.edit.history.at, c.edit.history.n, merged, merged_ms);
        c.edit.added.n = drop_moves(c.edit.added.at, c.edit.added.n, merged, merged_ms);
        person_facts(fold, &c.edit);
        for (isize k = 0; k < countof(memo.of); k++)
            if (memo.of[k].person == parts.people[i].v) recall(&c, &memo.of[k]);
        c.all = c.facts = c.exposures = c.quiet = true;
        change_commit(&c);
        const struct profile *part = people_get(fold->live.people, parts.people[i], &fold->scratch);
        for (isize k = 0; k < part->memberships_n; k++)
            roll_put(fold->live.roll, (segment_id){ part->memberships[k].segment }, part->id,
                     part->memberships[k].member);
    }
}

static void apply_people(struct fold *fold, str bytes, u64 ref, i64 now_ms)
{
    struct codec c = codec_reader(bytes, NULL);
    struct people_order order = { 0 };
    visit_order_of_people(&c, &order);
    if (bytes.len && bytes.ptr[0] == PEOPLE_ERASE) { apply_erase(fold, bytes, ref, now_ms); return; }
    if (bytes.len && bytes.ptr[0] == PEOPLE_ERASED) { apply_erased(fold, bytes); return; }
    if (c.failed) return;
    switch ((enum people_op)order.op) {
    case PEOPLE_MERGE: merge_people(fold, &order, ref, now_ms); break;
    case PEOPLE_SPLIT: split_people(fold, &order, ref, now_ms); break;
    case PEOPLE_ERASE: case PEOPLE_ERASED: break;
    }
}

static bool card_same(str left, str right, arena *a)
{
    const struct json *x, *y;
    if (!str_starts(left, S("{")) || !str_starts(right, S("{")) || json_parse(a, left, &x, NULL)
        || json_parse(a, right, &y, NULL))
        return false;
    return str_eq(json_str(json_get(x, S("score")), S("")), json_str(json_get(y, S("score")), S("")));
}

/* The card of a campaign's uplift is an object, with its score; the others come as one list. The
 * latest of each is what counts, so an older one of the same campaign makes room first. */
static void take_card(struct fold *fold, const struct prediction *p)
{
    for (isize i = 0; i < fold->cards.n; i++) {
        if (!card_same(fold->cards.at[i].json, p->card, &fold->scratch)) continue;
        mem_free_str(fold->cards.at[i].json);
        memmove(fold->cards.at + i, fold->cards.at + i + 1,
                (size_t)(fold->cards.n - i - 1) * sizeof *fold->cards.at);
        fold->cards.n--;
        break;
    }
    if (fold->cards.n == CARDS_MAX) {
        mem_free_str(fold->cards.at[0].json);
        memmove(fold->cards.at, fold->cards.at + 1, (CARDS_MAX - 1) * sizeof *fold->cards.at);
        fold->cards.n--;
    }
    vec_push(&fold->cards, (struct card){ p->scores.version, mem_str(p->card) });
    fold->cards_dirty = true;
}

/* A score is a fact like any other: it was logged, so whoever replays the log knows it from the
 * same entry on. */
static void apply_prediction(struct fold *fold, str bytes, i64 now_ms)
{
    struct prediction p;
    if (prediction_decode(bytes, &fold->scratch, &p)) return;
    if (p.person.v == 0) { take_card(fold, &p); return; }
    if ((isize)p.person.v > identity_people(fold->live.identity)) return;
    person_id person = identity_person(fold->live.identity, p.person.v);
    if (!people_has(fold->live.people, person)) return;
    struct change c;
    change_begin(&c, fold, person, now_ms);
    edit_scores(&c.edit, c.a, &p.scores);
    c.facts = true;
    change_commit(&c);
}

static void apply_catalog(struct fold *fold, str bytes, i64 now_ms)
{
    struct item_change change;
    if (item_change_decode(bytes, &fold->scratch, &change)) return;
    (void)catalog_apply(fold->live.catalog, &change, now_ms);
}

/* What is being folded, for whoever survives us. */
static void folding(const struct fold *fold, u64 ref)
{
    if (fold->marker) atomic_store_explicit(fold->marker, ref, memory_order_relaxed);
}

/* Events come from people in no order, and people lie all over the memory: what an event is folded
 * into is called for some events ahead, step by step, as each place is known only from the one
 * before it. */
enum { READ_AHEAD = 16 };

static void read_ahead(struct fold *fold, const struct entry *entries, isize n, u64 first, struct coming *out)
{
    arena_clear(&fold->ahead);
    for (isize i = 0; i < n; i++) {
        out[i] = (struct coming){ 0 };
        if (entries[i].kind != ENTRY_EVENT) continue;
        folding(fold, first + (u64)i);                     /* it may be died of here, too */
        come(&out[i], entries[i].bytes, &fold->ahead);
        if (out[i].damaged) continue;
        if (out[i].e.key.len) seen_call_for(&fold->seen, out[i].key);
        if (out[i].e.identifiers_n) identity_call_for(fold->live.identity, out[i].e.identifiers[0]);
    }
    for (isize i = 0; i < n; i++) {
        if (!out[i].is || out[i].damaged || !out[i].e.identifiers_n) continue;
        out[i].person = identity_find(fold->live.identity, out[i].e.identifiers[0]);
        people_call(fold->live.people, out[i].person);
        if (!out[i].e.items_n) continue;
        u32 item = catalog_find(fold->live.catalog, out[i].e.items[0].product_key).v;
        catalog_expect(fold->live.catalog, &item, 1);
    }
    folding(fold, 0);
    for (isize i = 0; i < n; i++)
        if (out[i].person.v) people_call_for(fold->live.people, out[i].person);
}

static void fold_entry(struct fold *fold, const struct entry *entry, const struct coming *coming,
                       u64 ref, i64 now_ms)
{
    struct arena_mark mark = arena_mark(&fold->scratch);
    assert(ref == fold->ref + 1);
    fold->ref = ref;
    fold->now_ms = now_ms;
    folding(fold, ref);
    switch ((enum entry_kind)entry->kind) {
    case ENTRY_EVENT: apply_coming(fold, coming, ref, now_ms); break;
    case ENTRY_TICK: break;                             /* below: any entry moves time */
    case ENTRY_DEFINITION: apply_definition(fold, entry->bytes, now_ms); break;
    case ENTRY_CATALOG: apply_catalog(fold, entry->bytes, now_ms); break;
    case ENTRY_DECISION: apply_decision(fold, entry->bytes, ref); break;
    case ENTRY_REFUSAL: apply_refusal(fold, entry->bytes, now_ms); break;
    case ENTRY_DEAD: letter_apply(fold, entry->bytes, ref, now_ms); break;
    case ENTRY_DELIVERY: apply_delivery(fold, entry->bytes, now_ms); break;
    case ENTRY_PEOPLE: apply_people(fold, entry->bytes, ref, now_ms); break;
    case ENTRY_PREDICTION: apply_prediction(fold, entry->bytes, now_ms); break;
    case ENTRY_ALLOTMENT: apply_allotment(fold, entry->bytes); break;
    case ENTRY_WEIGHTS: apply_weights(fold, entry->bytes); break;
    case ENTRY_ERASED: apply_stub(fold, entry->bytes, ref, now_ms); break;
    case ENTRY_SKIP: case ENTRY_DIGEST: case ENTRY_KINDS: break;
    }
    if (mark.used) arena_reset(&fold->scratch, mark);
    else arena_clear(&fold->scratch);                   /* keeps a block for the next */
    folding(fold, 0);
}

void fold_apply(struct fold *fold, const struct record *record)
{
    if (timers_next(&fold->timers) <= record->at_ms) apply_tick(fold, record->at_ms);
    for (isize from = 0; from < record->entries_n; from += READ_AHEAD) {
        struct coming coming[READ_AHEAD];
        isize n = min_isize(READ_AHEAD, record->entries_n - from);
        read_ahead(fold, record->entries + from, n, record->first + (u64)from, coming);
        for (isize i = 0; i < n; i++)
            fold_entry(fold, &record->entries[from + i], &coming[i],
                       record->first + (u64)(from + i), record->at_ms);
    }
    fold->totals.records++;
    atomic_store_explicit(&fold->live.folded, fold->ref, memory_order_release);
    if (fold->scratch.used == 0) arena_clear(&fold->scratch);
}
