/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - what is known of one person.
 *
 * One immutable run of bytes behind an RCU pointer, which readers unpack into a struct of their own.
 * The fold makes the next version from the present one; readers see one version whole.
 *
 *   reads    base/, math/, event/, rule/, identity/, consent/, catalog/
 *   feeds    segment/, recommend/, decide/, fold/
 *   threads  the fold writes; anyone reads inside rcu_read_begin/end
 *   memory   a block a person, given back after a grace period; what is unpacked is its reader's
 */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include "base/codec.h"
#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "consent/consent.h"
#include "event/event.h"
#include "identity/identity.h"
#include "rule/rule.h"

/* A lasting fact: given (traits of identify), declared (quiz answers, preferences) or observed
 * (acquisition). */
enum trait_origin { TRAIT_GIVEN, TRAIT_DECLARED, TRAIT_OBSERVED };
struct trait { struct fact fact; str source; i64 at_ms; u32 node; u8 origin; };

/* What a run of the predictions said of a person (predict/): of every score below SCORE_INTENT,
 * those in `known`. Money is in minor units of `currency`. Only the fold writes it, from the log: a
 * replay gives the same. */
enum { SCORE_REASONS_MAX = 6 };
struct score_reason { u8 score, code; f32 number; };    /* code: predict/reason.def */
/* By how much a campaign raises the chance of its outcome; of the campaign by a hash of its key. */
enum { UPLIFTS_MAX = 4 };
struct uplift_score { u32 campaign; f32 value; struct { u8 code; f32 number; } because[2]; };
u32 uplift_campaign(str key);
struct scores {
    i64 at_ms;                      /* when it was worked out */
    u32 version;                    /* of the models: the number of their card */
    u16 known, currency;
    f32 value[SCORE_INTENT];
    struct score_reason reasons[SCORE_REASONS_MAX]; u8 reasons_n;
    struct uplift_score uplifts[UPLIFTS_MAX]; isize uplifts_n;
};
void scores_visit(struct codec *c, struct scores *v);

/* Traits that are more than one fact about a person: carts by number (history_cart), what they
 * chose themselves, their account's. */
#define CART_TRAIT "cart."
#define PREFERENCE_TRAIT "preferences."
#define ACCOUNT_TRAIT "account."

struct membership { u16 segment; bool member; i64 entered_at_ms, next_change_at_ms; };

/* What a person was shown of a campaign and what came of it. campaign 0 is the whole programme:
 * variation 0 treated, 1 holdout. */
/* a merge joined two different variations: out of the analysis */
enum exposure_flag { EXPOSURE_MIXED = 1 };
struct exposure {
    u32 campaign;                   /* definition id */
    u8 experience, variation, flags;
    u32 node;
    i64 first_at_ms, last_at_ms;
    u32 views, clicks, orders;      /* orders: inside the exposure window */
    i64 revenue_minor;
    u16 currency;
};
/* One person's part in one campaign: all their exposures to it (n >= 1 of them) as one. False when
 * they disagree. */
bool exposures_whole(const struct exposure *list, isize n, struct exposure *out);

struct profile {
    person_id id;
    i64 created_at_ms, last_at_ms;
    str bucketing_id;               /* what experiments assign by: the identifier that made the first node */
    const u32 *nodes; isize nodes_n;                    /* ascending; history_entry.node indexes them */
    const struct trait *traits; isize traits_n;         /* by name, then node, origin */
    const struct consent_entry *consents; isize consents_n;
    const struct history_entry *history; isize history_n;
    const struct membership *memberships; isize memberships_n;  /* by segment */
    const struct exposure *exposures; isize exposures_n;        /* by campaign, then node */
    const struct scores *scores;    /* null: nothing predicted */
    i64 next_change_at_ms;          /* earliest of the memberships'; TIME_NEVER */
    i64 older_events;               /* moved out of the hot history */
    bool known;                     /* holds more than anonymous and device identifiers */
};

/* The newest value of a trait; declared before given before observed. Null when there is none. */
const struct trait *profile_trait(const struct profile *p, str name);
struct value trait_value(const struct trait *t);
const struct membership *profile_membership(const struct profile *p, segment_id segment);
/* The key of a cart by its number among those of a node, as it was at an instant; empty when it is
 * not known any more. */
str profile_cart(const struct profile *p, u32 node, u8 cart, i64 at_ms);
/* What the person has said about a purpose, latest first, deny before grant at the same instant. */
enum consent_state profile_consent(const struct profile *p, int purpose);
/* May models learn from this line of the person's history? Their yes and their no to model_training
 * count for all of it; who was never asked about it teaches by what HISTORY_TEACHES marks. A no to
 * analytics is a no to this. */
bool profile_teaches(const struct profile *p, const struct history_entry *e);
/* The same of everything they did: for models that look at whole people. */
bool profile_teaches_all(const struct profile *p);

/* Decayed share of one value in what the person dealt with, by dimension: category, brand, colour,
 * gender, price (a band such as "50-100"). Weights: viewed 1, added 3, wished 3, purchased 5;
 * half-life 30 days. 0..1; computed from the hot history up to now_ms. What the person chose
 * themselves (the trait preferences.DIMENSION: a value or a list) is 1; where they chose, what is
 * inferred counts half, so that it never outranks what they said. */
f64 profile_affinity(const struct profile *p, const struct catalog *catalog, str dimension,
                     str value, i64 now_ms);
struct affinity { str dimension, value; f64 score; bool declared; };
isize profile_affinities(const struct profile *p, const struct catalog *catalog, i64 now_ms,
                         arena *a, struct affinity **out);
/* Only what they chose, each 1; at most 64. */
isize profile_choices(const struct profile *p, arena *a, struct affinity **out);
/* In how many dimensions an item is what was chosen there, and the choice of the first of them; a
 * category holds those below it. */
isize choices_fit(const struct affinity *choices, isize n, const struct catalog *catalog,
                  const struct item *item, const struct affinity **first);

/* What shares are computed from, when many of the same person are asked for: the entries up to
 * now_ms that say what they like, oldest first, and their sums by category, each with an item of
 * it. Weights are as of the last entry. */
struct liking { const struct item *item; f64 weight; };
/* The sums again by the name of each category and of those above it, each liking once a name: what
 * a question about one looks up. */
struct liked_names {
    struct liked_name {
        u32 sign;
        i32 next;
        str text;
        f64 weight;
    } * at;
    isize n;
    f64 all;
    i32 heads[CATEGORY_HEADS];
};
/* names: may be null */
struct likings {
    i64 now_ms;
    struct liking *each, *categories;
    isize each_n, categories_n;
    const struct liked_names *names;
};
struct likings profile_likings(const struct profile *p, const struct catalog *catalog, i64 now_ms, arena *a);
const struct liked_names *likings_names(const struct likings *l, const struct catalog *catalog, arena *a);
bool profile_is_liking(const struct history_entry *e);

struct order_totals {
    i64 orders, items;
    struct money revenue[4];
    isize revenues_n;
    i64 first_at_ms, last_at_ms;
};
struct order_totals profile_orders(const struct profile *p, i64 now_ms);

/* ---- as the world a rule asks -------------------------------------------------------------- */
/* Fill it, then take facts from it; both stay put while the facts are used. */
struct profile_world {
    const struct profile *profile;          /* null: a stranger with no history */
    const struct catalog *catalog;
    const struct json *context;             /* the request's context object; null: none */
    str market;
    i64 now_ms;
    struct zone zone;
    /* no consent to personalise: history, traits and segments stay unknown */
    bool impersonal;
    /* The chance that the visit under way ends in an order, below 0 when that cannot be said; null:
     * nobody asks. */
    f64 (*intent)(const void *model, const struct profile *p, i64 now_ms);
    const void *intent_model;
    /* of the profile at now_ms, or null: for asking often */
    const struct likings *likings;
};
struct rule_facts profile_facts(const struct profile_world *world);

/* ---- where somebody stands (standing.c) ------------------------------------------------------ */
/* The rung of a ladder (rule.h) the person stands on, what decided it, and when that may change;
 * false when on none. Names of ladders are stage, intent and retention. */
struct standing { const struct rule_rung *rung; const struct rule_trace *why; i64 next_change_at_ms; };
bool profile_standing(const struct profile_world *world, str name, arena *a, struct standing *out);

/* Of the orders up to now_ms, returns taken off; per currency, the first eight of them. An average
 * is rounded to the smallest coin, a half away from zero. */
struct worth_in { currency currency; i64 orders, revenue_minor, average_minor; };
struct worth {
    i64 orders, orders_a_year, first_at_ms, last_at_ms;
    f64 days_between;
    struct worth_in in[8];
    isize n;
};
struct worth profile_worth(const struct profile *p, i64 now_ms);

/* What is on the wish list at now_ms, newest first: added, and since then neither removed, added
 * again nor bought. */
struct wish { item_id item; i64 at_ms; };
isize profile_wishes(const struct profile *p, i64 now_ms, arena *a, struct wish **out);

/* ---- as they stood (then.c) ------------------------------------------------------------------ */
/* The person at an instant, of all their parts or of these nodes alone: the history, facts and
 * consents that were there by then, and nobody's membership. p itself when nothing is later; null
 * when nothing of them was there. A fact said again since is unknown. */
const struct profile *profile_then(const struct profile *p, i64 at_ms, const u32 *nodes,
                                   isize nodes_n, arena *a);
/* The same with what was read of those facts, null: nothing. */
struct past_facts;
const struct profile *profile_then_by(const struct profile *p, i64 at_ms, const u32 *nodes,
                                      isize nodes_n, const struct past_facts *facts, arena *a);

/* ---- facts that were said again since an instant (facts.c) ----------------------------------- */
enum { PAST_FACTS_MAX = 1 << 20, PAST_FACTS_DAYS = 400 };
struct past_facts *past_facts_new(i64 at_ms);
void past_facts_free(struct past_facts *f);
/* notes what of a person is later than the instant */
void past_facts_want(struct past_facts *f, const struct profile *p);
/* a fact as it was said once; kept when it is what was wanted */
void past_facts_offer(struct past_facts *f, const struct trait *t, u64 ref);
/* null: not known, or f is null. Any thread, once all was offered */
const struct trait *past_facts_get(const struct past_facts *f, const struct trait *now);
isize past_facts_wanted(const struct past_facts *f);
isize past_facts_found(const struct past_facts *f);
/* more than PAST_FACTS_MAX were wanted: the rest stay unknown */
bool past_facts_full(const struct past_facts *f);
i64 past_facts_at(const struct past_facts *f);

/* ---- all people ----------------------------------------------------------------------------- */
/* They are kept packed (pack.c). Who reads one inside a bracket unpacks what they ask for into an
 * arena; strings stay where they are. */
struct people;
enum people_depth {
    /* who they are, when seen, nodes and consents; the rest reads as none */
    PEOPLE_CONSENTS,
    PEOPLE_FACTS,                                       /* and traits, exposures and scores */
    /* and the history: all but memberships, and so no next_change_at_ms */
    PEOPLE_HISTORY,
    PEOPLE_WHOLE,
};
struct people *people_new(void);
void people_free(struct people *people);
/* whole; null if there is none */
const struct profile *people_get(const struct people *people, person_id id, arena *a);
const struct profile *people_read(const struct people *people, person_id id,
                                  enum people_depth depth, arena *a);
/* Makes one of PEOPLE_HISTORY whole, where it stands: for who finds out on the way that memberships
 * are asked for. Such a one as people_read gave, no copy of it, in the same bracket. */
void people_read_on(const struct profile *p, arena *a);
/* To PEOPLE_CONSENTS; null also for who never said anything of any consent, which is most people
 * and told at a glance. */
const struct profile *people_consented(const struct people *people, person_id id, arena *a);
/* As profile_consent; unknown of nobody. */
enum consent_state people_consent(const struct people *people, person_id id, int purpose);
bool people_has(const struct people *people, person_id id);
/* their next_change_at_ms; TIME_NEVER of nobody. Fold only */
i64 people_due(const struct people *people, person_id id);
/* into the cache: people_call_for soon, and then they are read */
void people_call(const struct people *people, person_id id);
void people_call_for(const struct people *people, person_id id);
/* Whether somebody's history may hold an entry of one of these types (rule_type_bit) later than
 * since_ms: never a wrong no. */
bool people_may(const struct people *people, person_id id, u64 types, i64 since_ms);
/* Somebody is decided for: who was made cold is warm again soon. Any thread, inside a bracket. */
void people_want(const struct people *people, person_id id);
/* What all of them take that are as they are read, and as they are when nothing was heard of them
 * for a while. */
struct people_bytes { i64 plain, cold; };
struct people_bytes people_bytes(const struct people *people);
isize people_most(const struct people *people);         /* highest id that ever had a profile */
isize people_count(const struct people *people);        /* profiles now */
isize people_known(const struct people *people);

/* Fold only. Take an edit of a person (a new one when there is none), change it, commit. Arrays in
 * the edit are the arena's. */
struct unpacked;
struct profile_edit {
    person_id id;
    arena *arena;
    i64 created_at_ms, last_at_ms, older_events;
    str bucketing_id;
    struct { u32 *at; isize n, cap; } nodes;
    struct { struct trait *at; isize n, cap; } traits;
    struct { struct consent_entry *at; isize n, cap; } consents;
    /* new entries, to be merged in by history_cmp */
    struct { struct history_entry *at; isize n, cap; } added;
    struct { struct membership *at; isize n, cap; } memberships;
    struct { struct exposure *at; isize n, cap; } exposures;
    struct scores *scores;          /* the arena's */
    bool known;
    bool history_replaced;
    const struct profile *before;
    const struct unpacked *unpacked;                    /* the same */
    struct { struct history_entry *at; isize n, cap; } history;     /* the whole history, when replaced */
    struct history_entry *made; isize made_n, made_cap; /* people_draft's history, for the commit */
    /* so many of them, from the first, are those of before */
    isize kept;
    u64 followed;                   /* types of what people_follow added */
};
void people_edit(struct people *people, person_id id, arena *a, struct profile_edit *out);
u8 edit_node(struct profile_edit *edit, u32 node, arena *a);        /* its index, added when new */
void edit_trait(struct profile_edit *edit, arena *a, struct trait trait);
void edit_consent(struct profile_edit *edit, arena *a, struct consent_entry entry);
/* as profile_consent */
enum consent_state edit_consent_said(const struct profile_edit *edit, int purpose);
void edit_entry(struct profile_edit *edit, arena *a, struct history_entry entry);
void edit_scores(struct profile_edit *edit, arena *a, const struct scores *scores);
/* Takes the whole history into the edit, so that entries can be removed. */
void edit_history(struct profile_edit *edit, arena *a);
/* The next version as it will be read, before anybody can: for asking which segments it belongs to.
 * The history is settled; the edit may still change its memberships and exposures. Lives in `a`. */
const struct profile *people_draft(struct people *people, struct profile_edit *edit, isize history_max);
/* After people_draft: one more line of history, which nobody has seen yet. The next draft holds it. */
void people_follow(struct profile_edit *edit, struct history_entry entry);
const struct profile *people_commit(struct people *people, struct profile_edit *edit, isize history_max);
void people_remove(struct people *people, person_id id);
/* Makes people cold who rest, while those who are not take more than plain_most bytes; looks at so
 * many at most. now_ms is the log's. True: there are more. Fold only; the digest does not know. */
bool people_cool(struct people *people, i64 now_ms, i64 plain_most, isize looks);
/* Learns what cold people are told by, when people_cool found that to be due: some hundred
 * milliseconds, on one thread aside that is known to rcu. */
void people_learn(struct people *people);
/* Joins b's facts into a's edit; and the reverse: leaves in the edit only what belongs to these nodes. */
void edit_absorb(struct profile_edit *into, const struct profile *other, arena *a);
void edit_keep_nodes(struct profile_edit *edit, const u32 *nodes, isize nodes_n, arena *a);

/* A list of memberships alone, for keeping one aside. */
void memberships_visit(struct codec *c, struct membership **at, isize *n);
void profile_encode(const struct profile *p, struct buf *out);
/* Such bytes unpacked; null when they are not. */
const struct profile *profile_read(str bytes, enum people_depth depth, arena *a);
MUST_USE enum err people_load(struct people *people, str bytes, arena *scratch);
isize people_dirty(const struct people *people);        /* how many people_take would give */
/* Who changed since it was last asked, each as the version they are now (none: removed), by rising
 * id; in `a`. Fold only, but one other thread may then encode them while the fold goes on: until it
 * has encoded all of them nobody settles what waits (rcu_settle), and nobody asks for the digest. */
struct packed;
/* counted: the digest has them already */
struct person_change { person_id id; const struct packed *packed; bool counted; };
isize people_take(struct people *people, arena *a, struct person_change **out);
/* The bytes for the store, where they stand: none for who was removed. The digest takes note on the way. */
str people_encode(struct people *people, const struct person_change *change);
/* the digest when the last were taken, once all of those are encoded */
struct hash128 people_digest_taken(const struct people *people);
/* Entries that commits moved out of the hot history since last asked; false ends. The caller frees
 * `entries` (mem_free). */
struct history_page { person_id person; struct history_entry *entries; isize entries_n; };
bool people_page_next(struct people *people, struct history_page *out);
struct hash128 people_digest(struct people *people);    /* brings itself up to date first: fold only */

#endif
