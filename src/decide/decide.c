/* SPDX-License-Identifier: Apache-2.0
 *
 * decide.c - one request, from identifiers to decisions.
 *
 * First who asks and how much of them may speak: nothing without consent to personalise, the
 * browser's own history alone without proof of who they are, else the whole profile. Then each
 * placement in turn, down one list: preview, holdout, campaigns by priority, the placement's own
 * strategy, its default. What was tried and why it lost is written down on the way, because the
 * explanation must be what happened and not a second opinion.
 */
#include "decide/inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static const char *const reasons[] = {
    "target", "experiment", "strategy", "holdout", "no_consent", "capped", "guarded", "fallback", "default",
    "unknown_placement", "paused", "preview", "error", "bandit",
};
static_assert(sizeof reasons / sizeof *reasons == REASONS, "a name for each");
const char *decide_reason_name(u8 reason) { return reason < REASONS ? reasons[reason] : "error"; }

/* ---- who asks -------------------------------------------------------------------------------- */

struct asker {
    const struct decide_world *world;
    const struct decide_request *request;
    struct profile_world facts;     /* first use: profile null for strangers, impersonal without consent */
    /* as it was read, whoever may speak; its memberships are read when the first is asked for */
    const struct profile *found;
    struct profile restricted;      /* what the browser's own node knows, when no more may speak */
    person_id person;
    str bucketing_id;
    bool personal, stored;          /* stored: memberships kept on the profile are true at now_ms */
    int depth;
    arena *a;
    u32 *given; isize given_n;      /* items answered so far in this request */
    u16 placement;                  /* where what is picked will stand; 0: nowhere we know */
    u32 asked;                      /* the recommenders blended for it */
    str *answers;                   /* of quizzes, as the query to the model numbers them */
    str store, country;             /* where the person is */
};

/* The strongest identifier that may open a profile and leads to one, with the node it leads to; and
 * the strongest of all, to bucket strangers by. */
static const struct identifier *best_identifier(const struct decide_request *r,
                                                const struct identity *identity,
                                                const struct identifier **any, u32 *node)
{
    const struct identifier *best = NULL, *opening = NULL;
    *any = NULL;
    *node = 0;
    for (isize i = 0; i < r->identifiers_n; i++) {
        const struct identifier *v = &r->identifiers[i];
        if (!*any || identifier_strength(v->kind) > identifier_strength((*any)->kind)) *any = v;
        if (!identifier_may_speak(*v)) continue;
        if (!opening || identifier_strength(v->kind) > identifier_strength(opening->kind)) opening = v;
        if (best && identifier_strength(v->kind) <= identifier_strength(best->kind)) continue;
        u32 found = identity_node(identity, *v);
        if (!identity_person(identity, found).v) continue;
        best = v;
        *node = found;
    }
    if (opening) *any = opening;
    return best;
}

/* Only what one node did and said: an anonymous browser that once logged in must not open the
 * account's history. */
static void restrict_to(struct asker *q, const struct profile *p, u32 node)
{
    struct history_entry *own = arena_new(q->a, struct history_entry, p->history_n);
    struct trait *traits = arena_new(q->a, struct trait, p->traits_n);
    isize n = 0, traits_n = 0;
    for (isize i = 0; i < p->history_n; i++)
        if (p->nodes[p->history[i].node] == node) own[n++] = p->history[i];
    for (isize i = 0; i < p->traits_n; i++)
        if (p->traits[i].node == node) traits[traits_n++] = p->traits[i];
    q->restricted = *p;
    q->restricted.history = own;
    q->restricted.history_n = n;
    q->restricted.traits = traits;
    q->restricted.traits_n = traits_n;
    q->restricted.scores = NULL;
    q->restricted.memberships = NULL;
    q->restricted.memberships_n = 0;
    q->facts.profile = &q->restricted;
    q->stored = false;
}

static enum consent_state consent_of(const struct asker *q, const struct profile *p, int purpose)
{
    const struct decide_request *r = q->request;
    if (r->consent_denied >> purpose & 1) return CONSENT_DENIED;
    if (r->consent_granted >> purpose & 1) return CONSENT_GRANTED;
    enum consent_state state = profile_consent(p, purpose);
    if (state != CONSENT_UNKNOWN) return state;
    for (isize i = 0; i < r->identifiers_n && denials_count(q->world->denials); i++) {
        struct hash128 who = denial_hash(q->world->denial_key, r->identifiers[i]);
        if (denials_get(q->world->denials, who) >> purpose & 1) return CONSENT_DENIED;
    }
    return CONSENT_UNKNOWN;
}

static void ask_who(struct asker *q)
{
    const struct decide_request *r = q->request;
    const struct identifier *any;
    const struct profile *p = NULL;
    u32 node;
    const struct identifier *best = best_identifier(r, q->world->identity, &any, &node);
    if (best) {
        q->person = identity_person(q->world->identity, node);
        p = people_read(q->world->people, q->person, PEOPLE_HISTORY, q->a);
        people_want(q->world->people, q->person);
    }
    q->found = p;
    q->bucketing_id = p ? p->bucketing_id : any ? any->value : S("");
    q->facts = (struct profile_world){ .profile = p,
                                       .catalog = q->world->catalog,
                                       .context = r->context,
                                       .market = r->market,
                                       .now_ms = r->now_ms,
                                       .intent = intent_of_person,
                                       .intent_model = q->world->intent };
    bool verified = best && best->verified;
    if (p && !verified && p->known) restrict_to(q, p, node);
    enum basis basis = r->source ? r->source->basis.of[PURPOSE_PERSONALISATION] : BASIS_NONE;
    q->personal = consent_allows(basis, consent_of(q, p, PURPOSE_PERSONALISATION)) && q->bucketing_id.len > 0;
    if (q->personal) return;
    q->facts.impersonal = true;
    q->facts.profile = NULL;
    q->person = (person_id){ 0 };
    q->bucketing_id = S("");
}

static enum tri in_segment(const void *ctx, segment_id id)
{
    const struct asker *q = ctx;
    const struct segment_set *set = q->world->book->segments;
    const struct segment *segment = id.v < SEGMENTS_MAX ? set->by_id[id.v] : NULL;
    if (!segment || q->facts.impersonal || q->depth > 16) return TRI_FALSE;
    if (q->stored && q->facts.profile) {
        people_read_on(q->found, q->a);
        return segment_member(set, q->world->catalog, q->facts.profile, id, q->request->now_ms)
                   ? TRI_TRUE
                   : TRI_FALSE;
    }
    struct asker deeper = *q;
    deeper.depth++;
    struct rule_facts facts = profile_facts(&deeper.facts);
    facts.segment_ctx = &deeper;
    facts.in_segment = in_segment;
    return rule_run(segment->rule, &facts).is;
}

static struct rule_facts facts_of(const struct asker *q, item_id candidate)
{
    struct rule_facts facts = profile_facts(&q->facts);
    facts.segment_ctx = q;
    facts.in_segment = in_segment;
    facts.candidate = candidate;
    facts.zone = q->world->book->segments->zone;
    return facts;
}

static bool holds(const struct asker *q, const struct rule *rule, item_id candidate)
{
    if (!rule) return true;
    struct rule_facts facts = facts_of(q, candidate);
    facts.no_timer = true;
    return rule_holds(rule_run(rule, &facts));
}

/* ---- guards ---------------------------------------------------------------------------------- */

static bool bought_since(const struct asker *q, i64 since_ms)
{
    const struct profile *p = q->facts.profile;
    for (isize i = p ? p->history_n - 1 : -1; i >= 0; i--) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms > q->request->now_ms) continue;
        if (e->at_ms < since_ms) return false;
        if (e->type == EVENT_ORDER_COMPLETED) return true;
    }
    return false;
}

static bool discount_guarded(const struct asker *q, const struct campaign *c)
{
    i64 quiet = q->world->book->settings.discount_quiet_days * DAY_MS;
    return c->discount && c->discount_override.len == 0 && bought_since(q, q->request->now_ms - quiet);
}

/* Of all campaigns together. What is reserved of it is given back when the campaign's own cap refuses. */
static bool contacts_allow(const struct asker *q, const struct campaign *c)
{
    const struct settings *s = &q->world->book->settings;
    if (s->contact_times == 0 || !contact_counts(q->world->book, c)) return true;
    i32 had = contacts_since(q->world->book, q->facts.profile,
                             q->request->now_ms - s->contact_period_ms, q->request->now_ms);
    if (had >= s->contact_times) return false;
    return !q->request->record
           || caps_reserve(q->world->caps, q->bucketing_id, 0, had, s->contact_times,
                           q->request->now_ms);
}

static void contact_release(const struct asker *q, const struct campaign *c)
{
    const struct book *book = q->world->book;
    if (book->settings.contact_times && q->request->record && contact_counts(book, c))
        caps_release(q->world->caps, q->bucketing_id, 0);
}

static bool cap_allows(const struct asker *q, const struct campaign *c)
{
    if (c->cap_times == 0) return true;
    const struct profile *p = q->facts.profile;
    i32 viewed = 0;
    for (isize i = p ? p->history_n - 1 : -1; i >= 0; i--) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms < q->request->now_ms - c->cap_period_ms) break;
        viewed += e->type == EVENT_DECISION_VIEWED && e->quantity == c->number && e->item == 0;
    }
    if (viewed >= c->cap_times) return false;
    if (!q->request->record) return true;               /* a prefetch burns nothing */
    return caps_reserve(q->world->caps, q->bucketing_id, c->id, viewed, c->cap_times, q->request->now_ms);
}

/* ---- variations ------------------------------------------------------------------------------ */

static const struct exposure *shown_before(const struct asker *q, u32 campaign)
{
    const struct profile *p = q->facts.profile;
    const struct exposure *first = NULL;
    for (isize i = 0; p && i < p->exposures_n; i++) {
        const struct exposure *x = &p->exposures[i];
        if (x->campaign == campaign && (!first || x->first_at_ms < first->first_at_ms)) first = x;
    }
    return first;
}

static isize by_context(struct asker *q, const struct experience *x, struct bucket_key key,
                        struct decision *d)
{
    const struct adaptive *adaptive = x->adaptive;
    i32 leaf;
    d->context_n = adaptive->context_n;
    d->context = arena_new(q->a, str, adaptive->context_n);
    for (isize i = 0; i < adaptive->context_n; i++)
        d->context[i] = adaptive_fact(adaptive->context[i], q->request, q->facts.profile,
                                      q->world->book->settings.zone_minutes, q->a);
    return adaptive_choose(x, key, d->context, &d->propensity, &leaf);
}

/* Who has seen a variation keeps it while it lives; others are bucketed. -1: in none. */
static isize choose_variation(struct asker *q, const struct campaign *c, const struct experience *x,
                              isize index, struct decision *d)
{
    d->propensity = BUCKETS;
    if (x->choose == CHOOSE_FIXED) return 0;
    const struct exposure *before = shown_before(q, c->id);
    struct bucket_key key = { q->bucketing_id, x->experiment_key };
    isize chosen = x->choose == CHOOSE_CONTEXTUAL ? by_context(q, x, key, d)
                                                  : experiment_assign(key, x->allocation).variation;
    bool sticks = before && before->experience == index && before->variation < x->variations_n
               && x->variations[before->variation].share > 0;
    bool moved = sticks && chosen != before->variation;
    if (sticks) chosen = before->variation;
    if (chosen >= 0 && (x->choose != CHOOSE_CONTEXTUAL || moved)) d->propensity = x->variations[chosen].share;
    return chosen;
}

/* ---- items ----------------------------------------------------------------------------------- */

enum { CATALOGUE_WALKED_MAX = 5000, VARIED_OF = 3, ROWS_OF = 5, DIMENSIONS_MOST = 5 };

struct picking {
    const struct asker *q;
    const struct strategy *strategy;
    const struct rule *filter;
    struct rule_facts facts;        /* of the person; the candidate is whoever is asked of next */
    bool content, hide_seen;
    u32 *bought; i64 *bought_at; isize bought_n;
    str *sizes; isize sizes_n;      /* the person's, when the row shows what fits */
    struct affinity *likings; isize likings_n;          /* the person's, when the strategy weighs them */
    struct affinity *chosen; isize chosen_n;            /* what the person chose themselves */
    bool only_chosen;                                   /* no item that is none of it */
};

static bool has(const u32 *list, isize n, u32 v)
{
    for (isize i = 0; i < n; i++)
        if (list[i] == v) return true;
    return false;
}

/* Bought so lately that it is not due again: its own repurchase interval, the one orders show, or
 * the shop's. */
static bool just_bought(const struct picking *p, const struct item *item)
{
    const struct decide_world *world = p->q->world;
    for (isize i = 0; i < p->bought_n; i++) {
        if (p->bought[i] != item->id.v) continue;
        f64 days = item->repurchase_days > 0 ? item->repurchase_days
                                             : model_repurchase_days(world->model, item->id.v);
        i64 quiet = (i64)((days > 0 ? days : (f64)world->book->settings.repurchase_days) * (f64)DAY_MS);
        if (p->q->request->now_ms - p->bought_at[i] < quiet) return true;
    }
    return false;
}

static bool excluded(const struct decide_request *r, const struct item *item)
{
    for (isize i = 0; i < r->exclude_n; i++)
        if (str_eq(r->exclude[i], item->key)) return true;
    return false;
}

static bool seen_before(const struct picking *p, u32 id)
{
    const struct profile *profile = p->q->facts.profile;
    for (isize i = 0; profile && i < profile->history_n; i++) {
        const struct history_entry *e = &profile->history[i];
        bool seen = e->type == EVENT_PRODUCT_VIEWED || e->type == EVENT_CONTENT_VIEWED;
        if (seen && e->item == id && e->at_ms <= p->q->request->now_ms) return true;
    }
    return false;
}

/* Letters and numbers are two systems: who wears an M may still take shoes of any number. */
static bool same_system(str a, str b)
{
    bool numbers_a = a.len && a.ptr[0] >= '0' && a.ptr[0] <= '9',
         numbers_b = b.len && b.ptr[0] >= '0' && b.ptr[0] <= '9';
    return numbers_a == numbers_b;
}

/* One of the person's sizes is in stock; or the item has none of a system in which their size is known. */
static bool in_size(const struct picking *p, const struct item *item)
{
    bool asked = false;
    for (isize v = 0; v < item->variants_n; v++)
        for (isize s = 0; s < p->sizes_n && item->variants[v].size.len; s++) {
            if (!same_system(p->sizes[s], item->variants[v].size)) continue;
            asked = true;
            i32 left = 0;
            for (isize k = 0; k < item->variants[v].stock_n; k++) left += item->variants[v].stock[k].quantity;
            if (str_eq_nocase(p->sizes[s], item->variants[v].size)
                && (left > 0 || item->variants[v].stock_n == 0))
                return true;
        }
    return !asked;
}

static bool holds_of(struct picking *p, const struct rule *rule, u32 id)
{
    if (!rule) return true;
    p->facts.candidate = (item_id){ id };
    return rule_holds(rule_run(rule, &p->facts));
}

/* A filter that asks of nothing but the item has one answer an item until that changes, or what is
 * published does. The item's remark holds it: the book it was asked for above, then two bits a
 * place, whether it was asked and whether it holds. Threads that ask at once may each lose what the
 * other left: it is asked again. Asked of the item as it is or newer, never older than what the
 * remark is gone with. */
static bool filter_holds(struct picking *p, const struct item *item)
{
    const struct strategy *s = p->strategy;
    if (s->kept.place == 0) return holds_of(p, s->filter, item->id.v);
    u64 remark = item_remark(item), asked = (u64)1 << 2 * (s->kept.place - 1), held = asked << 1;
    if (remark >> 32 != s->kept.book) remark = (u64)s->kept.book << 32;
    if (remark & asked) return remark & held;
    bool is = holds_of(p, s->filter, item->id.v);
    item_remark_set(item, remark | asked | (is ? held : 0));
    return is;
}

static bool eligible(void *ctx, u32 id)
{
    struct picking *p = ctx;
    const struct asker *q = p->q;
    const struct item *item = catalog_item(q->world->catalog, (item_id){ id });
    if (!item || !item_showable(q->world->catalog, item)) return false;
    if ((item->kind == ITEM_CONTENT) != p->content) return false;
    if (!p->content && !arrange_in_store(item, q->request->store)) return false;
    if (has(q->given, q->given_n, id) || excluded(q->request, item) || just_bought(p, item)) return false;
    if (p->sizes_n && !in_size(p, item)) return false;
    if (p->hide_seen && seen_before(p, id)) return false;
    const struct affinity *choice;
    if (p->only_chosen
        && choices_fit(p->chosen, p->chosen_n, q->world->catalog, item, &choice) == 0)
        return false;
    if (p->strategy && !filter_holds(p, item)) return false;
    return holds_of(p, p->filter, id);
}

static void expect(void *ctx, const u32 *items, isize n)
{
    const struct picking *p = ctx;
    catalog_expect(p->q->world->catalog, items, n);
}

/* How often it was shown in a row, since the person last dealt with it. Rows that turn are
 * remembered by item (fold/apply.c). */
static isize shown_in_vain(const struct picking *p, u32 id)
{
    const struct profile *profile = p->q->facts.profile;
    isize times = 0;
    for (isize i = 0; profile && i < profile->history_n; i++) {
        const struct history_entry *e = &profile->history[i];
        if (e->item != id || e->at_ms > p->q->request->now_ms) continue;
        times = e->type == EVENT_DECISION_VIEWED ? times + 1 : 0;
    }
    return min_isize(times, ROTATED_MOST);
}

static f64 boost(void *ctx, u32 id)
{
    struct picking *p = ctx;
    f64 by = 1;
    for (isize i = 0; i < p->strategy->boosts_n; i++)
        if (holds_of(p, p->strategy->boosts[i].rule, id)) by *= p->strategy->boosts[i].by;
    if (p->strategy->rotate < 1)
        for (isize n = shown_in_vain(p, id); n > 0; n--) by *= p->strategy->rotate;
    if (p->likings_n == 0) return by;
    u8 as;
    str liked;
    const struct item *item = catalog_item(p->q->world->catalog, (item_id){ id });
    return item ? by * arrange_lift(p->strategy, p->likings, p->likings_n, item, &as, &liked) : by;
}

static u32 group(void *ctx, isize grouping, u32 id)
{
    const struct picking *p = ctx;
    return arrange_group(p->q->world->catalog, id, grouping);
}

static void know_bought(struct picking *p, arena *a)
{
    const struct profile *profile = p->q->facts.profile;
    isize most = profile ? profile->history_n : 0;
    p->bought = arena_room(a, u32, most);
    p->bought_at = arena_room(a, i64, most);
    for (isize i = 0; i < most; i++) {
        const struct history_entry *e = &profile->history[i];
        if (e->type != EVENT_PRODUCT_PURCHASED || e->at_ms > p->q->request->now_ms
            || e->quantity <= 0)
            continue;
        p->bought[p->bought_n] = e->item;
        p->bought_at[p->bought_n++] = e->at_ms;
    }
}

/* context.size (one, or a list), else traits named size, size_shoes, quiz.size … */
static void know_sizes(struct picking *p, arena *a)
{
    enum { SIZES_MAX = 16 };
    const struct profile *profile = p->q->facts.profile;
    const struct json *said = json_get(p->q->request->context, S("size"));
    p->sizes = arena_new(a, str, SIZES_MAX);
    if (json_str(said, S("")).len) p->sizes[p->sizes_n++] = json_str(said, S(""));
    json_each(one, said)
        if (p->sizes_n < SIZES_MAX && json_str(one, S("")).len) p->sizes[p->sizes_n++] = json_str(one, S(""));
    for (isize i = 0; profile && i < profile->traits_n && p->sizes_n < SIZES_MAX; i++) {
        const struct fact *f = &profile->traits[i].fact;
        str name = str_starts(f->name, S("quiz.")) ? str_from(f->name, 5) : f->name;
        if (f->kind == FACT_TEXT && (str_eq(name, S("size")) || str_starts(name, S("size_"))))
            p->sizes[p->sizes_n++] = f->text;
    }
}

/* What quizzes were answered, as the model knows attributes. `said` has the same in words. */
static void know_answers(struct asker *q, struct recommend_query *query, arena *a)
{
    const struct profile *profile = q->facts.profile;
    isize most = profile ? profile->traits_n : 0;
    u64 *facets = arena_new(a, u64, most);
    q->answers = arena_new(a, str, most);
    for (isize i = 0; i < most; i++) {
        const struct fact *f = &profile->traits[i].fact;
        if (!str_starts(f->name, S("quiz.")) || f->kind != FACT_TEXT) continue;
        facets[query->answers_n] = recommend_facet(str_from(f->name, 5), f->text);
        q->answers[query->answers_n++] = f->text;
    }
    query->answers = facets;
}

static str fact_text(const struct asker *q, str name)
{
    const struct trait *t = q->facts.profile ? profile_trait(q->facts.profile, name) : NULL;
    return t && t->fact.kind == FACT_TEXT ? t->fact.text : S("");
}

/* Where the request says, else where the person is by what is known of them. */
static void know_place(struct asker *q, struct recommend_query *query)
{
    q->store = q->request->store.len ? q->request->store : fact_text(q, S("store"));
    q->country = q->request->country.len ? q->request->country : fact_text(q, S("country"));
    query->store = recommend_place(q->store);
    query->country = recommend_place(q->country);
}

static u32 item_of(const struct asker *q, str key)
{
    return key.len ? catalog_find(q->world->catalog, key).v : 0;
}

/* What was ever looked at at all: the last that is asked, so that a row is short only when the
 * catalogue is. */
static void fall_back_on(struct recommend_query *query, u8 last)
{
    for (isize i = 0; i < query->fallback_n; i++)
        if (query->fallback[i] == last) return;
    if (query->fallback_n < RECOMMENDERS) query->fallback[query->fallback_n++] = last;
}

/* What is asked and not built is built next; the flag is set once, so that asking goes on costing a read. */
static void want(const struct decide_world *world, u32 recommenders)
{
    u32 missing = world->model ? recommenders & ~model_card(world->model).built : 0;
    if (missing && world->wanted && missing & ~atomic_load_explicit(world->wanted, memory_order_relaxed))
        atomic_fetch_or_explicit(world->wanted, missing, memory_order_relaxed);
}

static struct recommend_query query_of(struct asker *q, struct picking *p,
                                       const struct strategy *strategy, isize limit)
{
    static const u8 mix[] = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING };
    static const u8 fallback[] = { RECOMMENDER_TRENDING, RECOMMENDER_BESTSELLERS };
    static const u8 impersonal[] = { RECOMMENDER_TRENDING, RECOMMENDER_BESTSELLERS };
    const struct profile *profile = q->facts.profile;
    struct recommend_query query = strategy ? strategy->query : (struct recommend_query){ 0 };
    if (query.mix_n == 0) { memcpy(query.mix, mix, sizeof mix); query.mix_n = countof(mix); }
    if (query.fallback_n == 0) {
        memcpy(query.fallback, fallback, sizeof fallback);
        query.fallback_n = countof(fallback);
    }
    fall_back_on(&query, RECOMMENDER_POPULAR);
    const struct learnt_mix *learnt = strategy_learnt(strategy, q->placement);
    for (u8 r = 0; learnt && r < RECOMMENDERS; r++)
        if (learnt->mix >> r & 1) query.weight[r] = fmax((f64)learnt->parts[r] / 1e4, 1e-6);
    if (!q->personal && q->request->product.len == 0 && q->request->cart_n == 0) {
        /* What is popular where the request comes from needs nobody's consent. */
        isize kept = 0;
        for (isize i = 0; i < query.mix_n; i++)
            if (recommender_is_here(query.mix[i])) query.mix[kept++] = query.mix[i];
        query.mix_n = kept;
        if (kept == 0) {
            memcpy(query.mix, impersonal, sizeof impersonal);
            query.mix_n = countof(impersonal);
            memset(query.weight, 0, sizeof query.weight);
        }
    }
    if (!learnt && !(strategy && strategy->by_hand)) model_keep_lead(q->world->model, &query);
    want(q->world, query_recommenders(&query));
    q->asked = 0;
    for (isize i = 0; i < query.mix_n; i++) q->asked |= 1U << query.mix[i];
    query.history = profile ? profile->history : NULL;
    query.history_n = profile ? profile->history_n : 0;
    query.now_ms = q->request->now_ms;
    query.product = item_of(q, q->request->product);
    u32 *cart = arena_new(q->a, u32, q->request->cart_n);
    for (isize i = 0; i < q->request->cart_n; i++) cart[i] = item_of(q, q->request->cart[i]);
    query.cart = cart;
    query.cart_n = q->request->cart_n;
    know_answers(q, &query, q->a);
    know_place(q, &query);
    query.limit = limit;
    query.eligible = eligible;
    query.expect = expect;
    query.boost = strategy && (strategy->boosts_n || p->likings_n || strategy->rotate < 1) ? boost : NULL;
    query.group = strategy && strategy->capped ? group : NULL;
    query.ctx = p;
    return query;
}

/* What the person did with an item that is given as a reason: bought it, and never merely looked. */
static bool bought_only(const struct asker *q, u32 item)
{
    const struct profile *p = q->facts.profile;
    bool bought = false;
    for (isize i = 0; p && i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        if (e->item != item || e->at_ms > q->request->now_ms) continue;
        if (e->type == EVENT_PRODUCT_VIEWED) return false;
        bought |= e->type == EVENT_PRODUCT_PURCHASED;
    }
    return bought;
}

static isize put_pins(struct asker *q, struct picking *p, struct decided_item *items, isize n, isize limit)
{
    for (isize i = 0; p->strategy && i < p->strategy->pins_n; i++) {
        const struct pin *pin = &p->strategy->pins[i];
        u32 id = item_of(q, pin->item);
        if (!id || pin->position > limit || !eligible(p, id)) continue;
        isize at = 0;
        while (at < n && items[at].item.v != id) at++;
        if (at < n) { memmove(items + at, items + at + 1, (size_t)(n - at - 1) * sizeof *items); n--; }
        isize place = min_isize(pin->position - 1, n);
        isize keep = min_isize(n, limit - 1);
        memmove(items + place + 1, items + place, (size_t)max_isize(0, keep - place) * sizeof *items);
        items[place] = (struct decided_item){ .item = { id }, .source = SOURCE_PIN, .pinned = pin->position };
        n = keep + 1;
    }
    return n;
}

/* One more of this item's category, brand or seller would be too many. */
static bool group_is_full(const struct picking *p, const struct decided_item *items, isize n, u32 id)
{
    const struct catalog *catalog = p->q->world->catalog;
    for (isize g = 0; p->strategy && p->strategy->capped && g < GROUPINGS; g++) {
        isize most = p->strategy->query.max_per_group[g], in = 0;
        u32 group = most > 0 ? arrange_group(catalog, id, g) : 0;
        for (isize i = 0; group && i < n; i++) in += arrange_group(catalog, items[i].item.v, g) == group;
        if (group && in >= most) return true;
    }
    return false;
}

/* Fills what is left: in a shop's first hour there is a catalogue and nobody has done anything, and
 * where nobody lets models learn from them that is how it stays. The latest of it, looked at no
 * further than CATALOGUE_WALKED_MAX, so that a filter which lets nothing through costs little. */
static isize from_catalogue(const struct asker *q, struct picking *p,
                            const struct recommend_query *query, struct decided_item *items,
                            isize n, isize limit)
{
    isize most = catalog_count(q->world->catalog),
          least = max_isize(0, most - CATALOGUE_WALKED_MAX), found = n;
    for (isize id = most; id > least && n < limit; id--) {
        bool there = (u32)id == query->product || has(query->cart, query->cart_n, (u32)id);
        for (isize i = 0; i < found && !there; i++) there = items[i].item.v == (u32)id;
        if (there || group_is_full(p, items, n, (u32)id) || !eligible(p, (u32)id)) continue;
        items[n++] = (struct decided_item){ .item = { (u32)id }, .source = SOURCE_CATALOGUE };
    }
    return n;
}

/* What lifted an item that is on the list: the liking to be named, and, for those who ask, which of
 * the shop's wishes held. */
static void say_why(const struct asker *q, const struct picking *p, struct decided_item *it)
{
    const struct item *item = catalog_item(q->world->catalog, it->item);
    if (item && p->likings_n)
        (void)arrange_lift(p->strategy, p->likings, p->likings_n, item, &it->liked_as, &it->liked);
    const struct affinity *choice = NULL;
    if (it->chosen && item && choices_fit(p->chosen, p->chosen_n, q->world->catalog, item, &choice)) {
        it->liked = choice->value;
        it->liked_as = TASTE_OTHER;
        for (u8 t = 0; t < TASTES; t++)
            if (str_eq(taste_name(t), choice->dimension)) it->liked_as = t;
    }
    for (isize i = 0; q->request->explain && p->strategy && i < min_isize(64, p->strategy->boosts_n); i++)
        if (holds(q, p->strategy->boosts[i].rule, it->item)) it->boosted |= (u64)1 << i;
}

/* At most `limit` items, best first, before the shop's pins. `items` has room for ARRANGED_MAX or
 * more when the strategy varies them. */
static isize find_items(struct asker *q, struct picking *p, isize limit, struct decided_item *items)
{
    const struct strategy *strategy = p->strategy;
    struct recommended *found = NULL;
    bool varied = strategy && strategy->lambda < 1;
    isize most = varied ? min_isize(VARIED_OF * limit, ARRANGED_MAX) : limit;
    struct recommend_query query = query_of(q, p, strategy, most);
    isize n = q->world->model ? recommend(q->world->model, &query, q->a, &found) : 0;
    for (isize i = 0; i < n; i++) {
        items[i] = (struct decided_item){ .item = { found[i].item },
                                          .score = found[i].score,
                                          .source = found[i].source,
                                          .because_n = found[i].because_n };
        memcpy(items[i].because, found[i].because, sizeof items[i].because);
        if (found[i].answer) items[i].answer = q->answers[found[i].answer - 1];
        items[i].near = found[i].near;
        if (found[i].near) items[i].place = found[i].near == PLACE_STORE ? q->store : q->country;
        memcpy(items[i].parts, found[i].parts, sizeof items[i].parts);
        memcpy(items[i].heights, found[i].heights, sizeof items[i].heights);
        items[i].bought = items[i].because_n > 0 && bought_only(q, items[i].because[0]);
    }
    if (varied) n = arrange_diverse(q->world->catalog, items, n, limit, strategy->lambda);
    return n < limit ? from_catalogue(q, p, &query, items, n, limit) : n;
}

/* What somebody chose comes before what is inferred of them: what fits most of their choices first,
 * else in the order there was. A row about nothing but the person is also searched for what fits,
 * so that it is there even if nothing they ever did leads to it. */
static isize put_chosen(struct asker *q, struct picking *p, struct decided_item *items, isize n, isize limit)
{
    if (p->chosen_n == 0) return n;
    struct decided_item *all = arena_room(q->a, struct decided_item, limit + ARRANGED_MAX + n + 1),
                        *at = items;
    isize m = 0, sought;
    if (q->request->product.len == 0 && q->request->cart_n == 0) {
        p->only_chosen = true;
        m = find_items(q, p, min_isize(VARIED_OF * limit, ARRANGED_MAX), all);
        p->only_chosen = false;
    }
    sought = m;
    for (isize i = 0; i < n; i++) {
        isize k = 0;
        while (k < sought && all[k].item.v != items[i].item.v) k++;
        if (k == sought) all[m++] = items[i];
    }
    for (isize i = 0; i < m; i++) {
        const struct item *item = catalog_item(q->world->catalog, all[i].item);
        const struct affinity *choice = NULL;
        all[i].chosen = item ? (u8)choices_fit(p->chosen, p->chosen_n, q->world->catalog, item, &choice) : 0;
    }
    for (isize fits = DIMENSIONS_MOST; fits >= 0; fits--)
        for (isize i = 0; i < m && at - items < limit; i++)
            if (all[i].chosen == fits) *at++ = all[i];
    return at - items;
}

/* What is printed of them and of the items that are reasons is sent for while there is still
 * something else to do. */
static void expect_printing(const struct asker *q, const struct decided_item *items, isize n)
{
    u32 *why = arena_room(q->a, u32, n * countof(items->because));
    isize why_n = 0;
    for (isize i = 0; i < n; i++) {
        const struct item *item = catalog_item(q->world->catalog, items[i].item);
        if (item) item_print_expect(item);
        for (isize k = 0; k < items[i].because_n; k++) why[why_n++] = items[i].because[k];
    }
    catalog_expect(q->world->catalog, why, why_n);
}

static isize pick_items(struct asker *q, const struct strategy *strategy, const struct rule *filter,
                        bool hide_seen, isize limit, struct decided_item **out)
{
    struct picking p = { .q = q, .strategy = strategy, .filter = filter, .hide_seen = hide_seen,
                         .content = strategy && strategy->query.content };
    know_bought(&p, q->a);
    if (strategy && strategy->in_size) know_sizes(&p, q->a);
    if (strategy && strategy->has_tastes && q->facts.profile)
        p.likings_n = profile_affinities(q->facts.profile, q->world->catalog, q->request->now_ms,
                                         q->a, &p.likings);
    if (q->personal && q->facts.profile && !p.content)
        p.chosen_n = profile_choices(q->facts.profile, q->a, &p.chosen);
    p.facts = facts_of(q, (item_id){ 0 });
    p.facts.no_timer = true;
    bool varied = strategy && strategy->lambda < 1, rows = strategy && strategy->rows_by != ROWS_NONE;
    isize most = rows ? min_isize(ROWS_OF * limit, ARRANGED_MAX) : limit;
    struct decided_item *items =
        arena_room(q->a, struct decided_item, most + (varied ? ARRANGED_MAX : 0) + 1);
    isize n = find_items(q, &p, most, items);
    n = put_chosen(q, &p, items, n, most);
    n = rows ? rows_arrange(q->world->catalog, strategy, items, n, limit, q->a)
             : put_pins(q, &p, items, n, limit);
    expect_printing(q, items, n);
    for (isize i = 0; i < n; i++) say_why(q, &p, &items[i]);
    for (isize i = 0; i < n; i++) q->given[q->given_n++] = items[i].item.v;
    *out = items;
    return n;
}

/* ---- one placement --------------------------------------------------------------------------- */

static void consider(struct decision *d, const struct campaign *c, isize experience, u8 outcome)
{
    d->considered[d->considered_n++] = (struct considered){ c->id, (u8)experience, outcome };
}

static u8 scheduled(const struct asker *q, const struct campaign *c)
{
    if (c->paused) return OUTCOME_PAUSED;
    if (c->starts_at_ms && q->request->now_ms < c->starts_at_ms) return OUTCOME_NOT_YET;
    if (c->ends_at_ms && q->request->now_ms >= c->ends_at_ms) return OUTCOME_OVER;
    if (c->market.len && !str_eq(c->market, q->request->market)) return OUTCOME_OTHER_MARKET;
    return OUTCOME_WON;
}

static isize limit_of(const struct decide_request *r) { return r->limit > 0 ? min_isize(r->limit, 100) : 10; }

static void fill_row(struct asker *q, struct decision *d)
{
    q->placement = d->placement;
    d->items_n = pick_items(q, d->strategy, NULL, d->placed->hide_seen, limit_of(q->request), &d->items);
    d->strategy_hash = d->strategy ? strategy_hash(d->strategy->key) : 0;
    d->asked = d->strategy ? q->asked : 0;
}

static void show(struct asker *q, struct decision *d, const struct variation *v)
{
    d->render = v->render;
    d->varied = v;
    d->content = v->render == RENDER_CONTENT   ? v->content
                 : v->render == RENDER_DEFAULT ? d->placed->content
                                               : NULL;
    if (v->render != RENDER_CONTENT || v->strategy.len == 0) return;
    d->strategy = book_strategy(q->world->book, v->strategy);
    fill_row(q, d);
}

/* A campaign speaks in its placement and in the others of its family: the same offer at the till as
 * on the web. */
static bool speaks_in(const struct book *book, const struct campaign *c, const struct placement *p)
{
    return str_eq(book->placements[c->placement].family, p->family);
}

/* True when the campaign speaks for this placement. Guards and caps come after the target, so that
 * what is recorded as guarded or capped is what the person would have seen. */
static bool try_campaign(struct asker *q, struct decision *d, const struct campaign *c)
{
    u8 outcome = scheduled(q, c);
    isize i = 0;
    if (outcome == OUTCOME_WON) {
        while (i < c->experiences_n && !holds(q, c->experiences[i].target, (item_id){ 0 })) i++;
        if (i == c->experiences_n) outcome = OUTCOME_TARGET;
    }
    if (outcome != OUTCOME_WON) { consider(d, c, 0, outcome); return false; }
    const struct experience *x = &c->experiences[i];
    bool chance = x->choose != CHOOSE_FIXED || x->holdout > 0;
    if (chance && !q->personal) outcome = OUTCOME_NO_CONSENT;
    else if (discount_guarded(q, c)) outcome = OUTCOME_GUARD_DISCOUNT;
    else if (x->holdout
             && holdout_scope_contains((struct bucket_key){ q->bucketing_id, x->experiment_key },
                                       x->holdout))
        outcome = OUTCOME_HOLDOUT;
    isize chosen = -1;
    if (outcome == OUTCOME_WON) {
        chosen = choose_variation(q, c, x, i, d);
        if (chosen < 0) outcome = OUTCOME_LOST;
        else if (!contacts_allow(q, c)) outcome = OUTCOME_CONTACTS;
        else if (!cap_allows(q, c)) { outcome = OUTCOME_CAPPED; contact_release(q, c); }
    }
    consider(d, c, i, outcome);
    if (outcome != OUTCOME_WON) { d->propensity = BUCKETS; return false; }
    d->campaign = c->id;
    d->campaigned = c;
    d->experience = (u8)i;
    d->variation = (u8)chosen;
    d->reason = x->choose == CHOOSE_FIXED        ? REASON_TARGET
                : x->choose == CHOOSE_EXPERIMENT ? REASON_EXPERIMENT
                                                 : REASON_BANDIT;
    show(q, d, &x->variations[chosen]);
    return true;
}

static bool previewed(struct asker *q, struct decision *d)
{
    u32 campaign;
    u8 experience, variation;
    const struct book *book = q->world->book;
    if (!preview_read(book->secret, q->request->preview, q->request->now_ms, &campaign, &experience,
                      &variation))
        return false;
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        bool here = c->id == campaign && speaks_in(book, c, d->placed) && experience < c->experiences_n
                 && variation < c->experiences[experience].variations_n;
        if (!here) continue;
        d->campaign = c->id;
        d->campaigned = c;
        d->experience = experience;
        d->variation = variation;
        d->reason = REASON_PREVIEW;
        d->preview = true;
        show(q, d, &c->experiences[experience].variations[variation]);
        return true;
    }
    return false;
}

static void show_default(struct decision *d, u8 reason)
{
    d->reason = reason;
    d->render = RENDER_DEFAULT;
    d->content = d->placed ? d->placed->content : NULL;
}

/* Why nothing was chosen, in one word: the first campaign that would have spoken but for a guard,
 * cap or consent. */
static u8 why_default(const struct decision *d)
{
    for (isize i = 0; i < d->considered_n; i++) {
        switch ((enum outcome)d->considered[i].outcome) {
        case OUTCOME_CAPPED: case OUTCOME_CONTACTS: return REASON_CAPPED;
        case OUTCOME_GUARD_DISCOUNT: return REASON_GUARDED;
        case OUTCOME_NO_CONSENT: return REASON_NO_CONSENT;
        case OUTCOME_HOLDOUT: return REASON_HOLDOUT;
        case OUTCOME_PAUSED: return REASON_PAUSED;
        case OUTCOME_WON: case OUTCOME_NOT_YET: case OUTCOME_OVER: case OUTCOME_OTHER_MARKET:
        case OUTCOME_TARGET: case OUTCOME_LOST: break;
        }
    }
    return d->personal ? REASON_DEFAULT : REASON_NO_CONSENT;
}

static void decide_one(struct asker *q, struct decision *d)
{
    const struct book *book = q->world->book;
    d->placed = book_placement(book, d->placement_key);
    d->propensity = BUCKETS;
    if (!d->placed) { show_default(d, REASON_UNKNOWN_PLACEMENT); return; }
    d->placement = d->placed->number;
    if (d->placed->paused) { show_default(d, REASON_PAUSED); return; }
    if (q->request->preview.len && previewed(q, d)) return;
    if (d->programme_holdout) { show_default(d, REASON_HOLDOUT); return; }
    d->considered = arena_new(q->a, struct considered, book->campaigns_n + 1);
    bool won = false;
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        if (!speaks_in(book, c, d->placed)) continue;
        if (!won) won = try_campaign(q, d, c);
        else consider(d, c, 0, OUTCOME_LOST);
    }
    if (won) return;
    if (d->placed->strategy.len == 0) { show_default(d, why_default(d)); return; }
    d->strategy = book_strategy(book, d->placed->strategy);
    fill_row(q, d);
    bool enough = d->items_n > 0 && d->items_n >= min_isize(d->placed->min_items, limit_of(q->request));
    if (!enough) { d->items_n = 0; show_default(d, REASON_FALLBACK); return; }
    d->reason = REASON_STRATEGY;
    d->render = RENDER_CONTENT;
    d->content = d->placed->content;
}

static void give_tickets(struct asker *q, struct decision *d)
{
    const struct ticket_key *key = &q->world->book->ticket_key;
    if (d->preview || !q->request->record || !d->placed) return;
    struct ticket t = { .decision_key = d->key,
                        .campaign = d->campaign,
                        .placement = d->placement,
                        .experience = d->experience,
                        .variation = d->variation,
                        .reason = d->reason,
                        .programme_holdout = d->programme_holdout,
                        .at_ms = d->at_ms };
    d->ticket = ticket_make(q->a, key, &t);
    for (isize i = 0; i < d->items_n; i++) {
        t.item = d->items[i].item.v;
        d->items[i].ticket = ticket_make(q->a, key, &t);
    }
}

/* In place: it points into itself. */
static void asker_init(struct asker *q, const struct decide_world *world,
                       const struct decide_request *request, arena *a)
{
    *q = (struct asker){ .world = world, .request = request, .a = a, .stored = !request->as_of };
    ask_who(q);
}

const struct profile *decide(const struct decide_world *world, const struct decide_request *request,
                             arena *a, struct decision *out)
{
    struct asker q;
    asker_init(&q, world, request, a);
    q.given = arena_new(a, u32, request->placements_n * (limit_of(request) + 1));
    bool held_out = q.personal && holdout_contains(q.bucketing_id, world->book->settings.holdout);
    for (isize i = 0; i < request->placements_n; i++) {
        struct decision *d = &out[i];
        u64 seed[2] = { request->decision_seed, (u64)i };
        *d = (struct decision){
            .key = hash64((str){ (const char *)seed, sizeof seed }, 11),
            .person = q.person,
            .at_ms = request->now_ms,
            .book_version = world->book->version,
            .placement_key = request->placements[i],
            .programme_holdout = held_out,
            .personal = q.personal,
            .exposed = request->exposed,
            .recorded = request->record,
        };
        decide_one(&q, d);
        d->recorded &= !d->preview;
        give_tickets(&q, d);
    }
    return q.found;
}

isize decide_recommend(const struct decide_world *world, const struct decide_request *request,
                       const struct strategy *strategy, const struct rule *filter, arena *a,
                       struct decided_item **out)
{
    struct asker q;
    asker_init(&q, world, request, a);
    q.given = arena_new(a, u32, limit_of(request) + 1);
    const struct placement *placed =
        request->placements_n == 1 ? book_placement(world->book, request->placements[0]) : NULL;
    q.placement = placed ? placed->number : 0;
    return pick_items(&q, strategy, filter, request->hide_seen, limit_of(request), out);
}

struct rule_facts decide_facts(const struct decide_world *world,
                               const struct decide_request *request, arena *a)
{
    struct asker *q = arena_new(a, struct asker, 1);
    asker_init(q, world, request, a);
    return facts_of(q, (item_id){ 0 });
}

struct decide_who decide_who(const struct decide_world *world, const struct decide_request *request, arena *a)
{
    struct asker *q = arena_new(a, struct asker, 1);
    asker_init(q, world, request, a);
    return (struct decide_who){
        facts_of(q, (item_id){ 0 }), q->facts.profile, q->personal,
        q->personal && holdout_contains(q->bucketing_id, world->book->settings.holdout)
    };
}

/* ---- the record ------------------------------------------------------------------------------ */

static void visit_considered(struct codec *c, struct considered *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->outcome);
}

static void visit_item(struct codec *c, struct decided_item *v)
{
    codec_u32(c, &v->item.v);
    codec_f64(c, &v->score);
    codec_u8(c, &v->source);
}

static void visit_decision(struct codec *c, struct decision *v)
{
    codec_u64(c, &v->key);
    codec_u32(c, &v->person.v);
    codec_i64(c, &v->at_ms);
    codec_u64(c, &v->book_version);
    codec_u16(c, &v->placement);
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_u8(c, &v->reason);
    codec_u8(c, &v->render);
    codec_i32(c, &v->propensity);
    codec_bool(c, &v->programme_holdout);
    codec_bool(c, &v->personal);
    codec_bool(c, &v->exposed);
    codec_list(c, struct considered, v->considered, v->considered_n, CAMPAIGNS_MAX, visit_considered);
    codec_list(c, struct decided_item, v->items, v->items_n, 200, visit_item);
    codec_list(c, str, v->context, v->context_n, BANDIT_FEATURES_MAX, codec_str);
    if (codec_reads(c) && c->in.len == 0) return;       /* logs of before these were told have none */
    codec_u32(c, &v->strategy_hash);
    codec_u32(c, &v->asked);
    codec_str(c, &v->heights);
}

void decision_encode(const struct decision *decision, struct buf *out)
{
    enum { ITEMS_MOST = 200 };
    char heights[ITEMS_MOST * RECOMMENDERS];
    struct codec c = codec_writer(out);
    struct decision copy = *decision;
    isize n = 0;
    for (isize i = 0; i < min_isize(copy.items_n, ITEMS_MOST); i++)
        for (u8 r = 0; r < RECOMMENDERS; r++)
            if (copy.asked >> r & 1) heights[n++] = (char)copy.items[i].heights[r];
    copy.heights = (str){ heights, n };
    visit_decision(&c, &copy);
}

enum err decision_decode(str bytes, arena *a, struct decision *out)
{
    struct codec c = codec_reader(bytes, a);
    *out = (struct decision){ 0 };
    visit_decision(&c, out);
    if (out->heights.len != out->items_n * __builtin_popcount(out->asked)) c.failed = true;
    return c.failed || c.in.len ? ERR_DAMAGED : ERR_OK;
}
