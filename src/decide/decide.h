/* SPDX-License-Identifier: Apache-2.0
 *
 * decide.h - what this person sees here, now, and why.
 *
 *   identify -> consent -> holdout -> eligible campaigns (schedule, target, guards, caps)
 *   -> arbitration -> variation (propensity) -> content (template, strategy, price, locale) -> decision with reason and ticket
 *
 * Definitions are compiled into one immutable book; a decision reads the book, the person's
 * profile, the catalogue and the recommenders' model, and nothing else: no disk, no lock. It never
 * comes back empty: each placement ends in its default.
 *
 *   reads    base/, math/, event/, rule/, definition/, identity/, consent/, catalog/, profile/,
 *            segment/, search/ (rules), recommend/, experiment/
 *   feeds    fold/, api/
 *   threads  the fold builds books; decide from any thread inside rcu brackets; struct caps is atomic
 *   memory   a book in its own arena; a decision in the request's
 */
#ifndef DECIDE_DECIDE_H
#define DECIDE_DECIDE_H

#include "base/codec.h"
#include "base/config.h"
#include "catalog/catalog.h"
#include "consent/consent.h"
#include "definition/definition.h"
#include "experiment/experiment.h"
#include "identity/identity.h"
#include "profile/profile.h"
#include "predict/predict.h"
#include "recommend/recommend.h"
#include "search/search.h"
#include "segment/segment.h"

/* ---- the book: all published definitions, compiled ------------------------------------------- */

enum {
    PLACEMENTS_MAX = 1024,
    CAMPAIGNS_MAX = 1024,
    EXPERIENCES_MAX = 16,
    EXPERIENCE_VARIATIONS_MAX = 16,
    KEYS_MAX = 1024
};

/* What is looked at before an event of a source counts: let it be, count it as a warning, or put it
 * to the dead letters. Defaults: warn of unknown products, quarantine what two sources report of
 * one order, and clocks a day ahead of ours. */
enum check { CHECK_ALLOW, CHECK_WARN, CHECK_QUARANTINE };
/* TIME_NEVER: any */
struct source_checks { u8 unknown_products, duplicate_orders; i64 clock_ahead_ms, clock_behind_ms; };
/* Kind "source": {"title","owner","purpose","basis":{"analytics":"consent",…},"channel":"web","currency":"EUR","environment":"live",
 * "identity_secret":"…"(hex; HMAC of user_id),"expected_every":"1 minute","plan":{…}(event/plan.c),"checks":{"unknown_products":"warn",
 * "duplicate_orders":"quarantine","clock_ahead":"1 day","clock_behind":"never"},
 * "webhook":"shopify|woocommerce","webhook_secret":"…","webhook_secret_old":"…"} */
struct source {
    str key, title, owner, identity_secret;
    /* whose webhooks come in by it, and what they are signed with: the present secret, the one
     * before */
    str webhook, webhook_secrets[2];
    struct basis_set basis;
    u8 channel;                     /* unknown: as each event says */
    currency currency;
    bool test;
    u16 number;                     /* of its definition: slot for counters */
    str purpose;                    /* why we collect it, in words */
    i64 expected_ms;                /* silent for longer it is red; TIME_NEVER: nothing is expected of it */
    const struct plan *plan;        /* null: it may send anything */
    struct source_checks checks;
};
/* Kind "key": {"hash":"<hex BLAKE2b-256 of the key>","prefix":"om_live_ab12","kind":"write|secret","source":"web","scopes":["collect",…]}; the key
 * itself is shown once and never stored. Definition key: the prefix. */
/* author: "key om_live_ab12", for the audit */
struct api_key {
    struct hash128 hash;
    bool secret, paused;
    const struct source *source;
    str prefix, owner, author;
};

/* Kind "mapping": what a file's columns mean, saved under a name; the document is ingest's map. Kind "feed": a file to fetch:
 * {"url", "of": "products", "source", "map", "mode", "every": "6 hours"}. */
/* Settings "identity": {"blocked": {"email": ["kiosk@shop.example"], "phone": ["+4722000000"]}}: values that many people share, and so name nobody. */
struct blocked { u8 kind; str value; };
struct mapping { str key, of; const struct json *doc; };
struct feed { str key, url, of, source, mode, map; i64 every_ms; bool paused; };

enum variation_render { RENDER_CONTENT, RENDER_DEFAULT, RENDER_PASSTHROUGH };
/* share: parts per 10,000 */
struct variation { str key; u8 render; i32 share; const struct json *content; str strategy; bool control; };
enum choose { CHOOSE_FIXED, CHOOSE_EXPERIMENT, CHOOSE_BANDIT, CHOOSE_CONTEXTUAL };
/* How shares are learnt (adaptive.c says how it is written). */
struct adaptive {
    struct bandit_settings settings;
    enum bandit_kind kind;          /* contextual: of its policy */
    str context[BANDIT_FEATURES_MAX]; isize context_n;
    /* contextual; null: nothing learnt yet, the allocation speaks */
    const struct bandit_policy *policy;
};
struct experience {
    str key;
    const struct rule *target;      /* null: everyone */
    u8 choose;
    i32 holdout;                    /* parts per 10,000 kept out of this experience alone */
    /* what assignments hash with: campaign id + experience, fixed-width decimal */
    str experiment_key;
    struct variation *variations; isize variations_n;
    struct allocation allocation;   /* of variations, by index */
    struct adaptive *adaptive;      /* of bandits; else null */
};
/* "uplift": {"outcome": "order" | "click", "days": 14}, or true: what it changes for each person is learnt from its experiments, and is
 * predicted("uplift.CAMPAIGN"). The outcome counts in so many days after the first exposure. */
struct uplift_plan { bool wanted, clicks; i32 days; };
/* "looks": {"people": 40000, "times": 5, "spending": "obrien_fleming" | "pocock"}: the primary metric is judged at so many looks by
 * plan, the last when so many people have come, instead of at any time. times 0: at any time. */
struct looks_plan { i64 people; i32 times; bool pocock; };
enum { LOOKS_PLANNED_MAX = 20 };
struct campaign {
    u32 id; u16 number;
    str key, title, goal, metric, market;
    u16 placement;                  /* index in the book */
    /* discount: an offer, kept away after a purchase (R74) unless overridden with a reason */
    bool paused, discount;
    str discount_override;
    i64 starts_at_ms, ends_at_ms;   /* 0: open */
    i32 priority;
    i32 cap_times; i64 cap_period_ms;       /* views a person; 0: none */
    struct experience *experiences; isize experiences_n;
    struct uplift_plan uplift;
    struct looks_plan looks;
};
struct placement {
    u32 id; u16 number;
    str key, title, channel, family, selector;
    bool paused;
    const struct json *schema, *content;    /* `default` of the definition */
    str strategy;                   /* for rows of items without a campaign */
    i32 min_items;
    bool hide_seen;                 /* rows leave out what the person has looked at */
};
/* What a strategy may weigh by the person's liking (profile_affinities). */
enum taste { TASTE_CATEGORY, TASTE_BRAND, TASTE_COLOUR, TASTE_GENDER, TASTES, TASTE_OTHER = TASTES };
/* items of a seen row that are remembered, and showings in vain that count */
enum { ROTATED_MOST = 10 };
enum rows_by { ROWS_NONE, ROWS_CATEGORY, ROWS_BRAND };
/* What was learnt of a strategy where it fills one placement, as it stands in the log: parts per
 * 10,000 of each recommender of the mix (a bit set), and what they were learnt from (recommend.h,
 * struct weighing). */
struct learnt_mix {
    u32 strategy;                   /* strategy_hash of its key */
    u16 placement;
    u32 mix, version;
    u16 parts[RECOMMENDERS];
    i64 at_ms, from_ms, to_ms, showings, clicks;
    f64 loss_defaults, loss_learnt, sureness;
};
void learnt_mix_visit(struct codec *c, struct learnt_mix *v);
u32 strategy_hash(str key);         /* never 0 */
/* Where items keep their answers to a rule that asks of nothing but the item: under this book, in
 * this place, from 1. 0: nowhere. */
enum { KEPT_PLACES = 16 };
struct kept_answers { u32 book; u8 place; };
/* `strategy.c` has the document. */
struct strategy {
    str key;
    /* its weights may be learnt; else they are what the document or the engine says */
    bool learns;
    bool by_hand;                   /* the document says them */
    const struct learnt_mix *learnt; isize learnt_n;    /* of this mix, by placement */
    struct recommend_query query;   /* mix, fallback, weights, caps; the callbacks are set per request */
    bool capped;                    /* some cap of the query is set */
    /* only what is in stock in one of the person's sizes, where those are known */
    bool in_size;
    bool has_tastes;
    f64 lambda;                     /* of maximal marginal relevance; 1: by score alone */
    /* factor for each time an item was shown and not clicked; 1: shown again as before */
    f64 rotate;
    u8 rows_by; isize rows_items;   /* rows.c: enum rows_by, and how many of each */
    f64 tastes[TASTES];             /* score * (1 + this * liking); 0: not weighed */
    const struct rule *filter;
    struct kept_answers kept;       /* of the filter: each item keeps its own */
    struct boost { const struct rule *rule; f64 by; str text, note; bool bury; } *boosts; isize boosts_n;
    struct pin { str item; i32 position; str note; } *pins; isize pins_n;
    const struct json *notes;       /* [{"text", "author", "at"}], as written; may be null */
};
str taste_name(isize taste);        /* "category", … as profile_affinities calls them */
/* Reads one, published or tried. `key` and texts of `doc` are pointed into. ERR_REFUSED with the
 * reasons added. */
MUST_USE enum err strategy_read(arena *a, const struct json *doc, str key,
                                const struct rule_names *names, struct strategy *out,
                                struct definition_errors *errors);
u32 strategy_mix(const struct strategy *strategy);      /* what it blends, as a bit set */
u32 query_recommenders(const struct recommend_query *query);    /* and what it falls back on */
/* What was learnt where it fills this placement; null: nothing. */
const struct learnt_mix *strategy_learnt(const struct strategy *strategy, u16 placement);
/* Kind "connector": what leaves for another system, as it happens.
 *   {"type": "webhook" | "poll" | "ads", "url", "secret"?, "authorization"?, "format": "opmaat" | "segment",
 *    "events": ["order_completed", …] | ["*"], "segments": ["vip", …], "profiles": true, "imported": false,
 *    "purpose": "marketing_email", "basis": "consent", "batch": 100, "timeout_ms": 10000, "keep_trying_hours": 24}
 * A webhook is sent to, a poll is fetched by its reader, ads gets hashed identifiers and nothing else. */
enum connector_type { CONNECTOR_WEBHOOK, CONNECTOR_POLL, CONNECTOR_ADS };
enum connector_format { FORMAT_OPMAAT, FORMAT_SEGMENT };
enum {
    CONNECTORS_MAX = 64,
    CONNECTOR_EVENTS_MAX = 64,
    CONNECTOR_SEGMENTS_MAX = 64,
    CONNECTOR_BATCH_MAX = 1000
};
struct connector {
    u32 id; u16 number;
    str key, title, owner, url, secret, authorization;
    u8 type, format, purpose, basis;
    bool paused, all_events, profiles, imported;
    u16 types[CONNECTOR_EVENTS_MAX]; isize types_n;     /* our own event types */
    str names[CONNECTOR_EVENTS_MAX]; isize names_n;     /* a shop's own names */
    segment_id segments[CONNECTOR_SEGMENTS_MAX]; isize segments_n;
    isize batch;
    i64 timeout_ms, keep_trying_ms;
};
/* Reads one. ERR_BAD_INPUT with the reason. Texts stay the document's. */
MUST_USE enum err connector_read(const struct json *doc, const struct segment_set *segments,
                                 struct connector *out, struct diag *diag);
/* A paused one goes on wanting, so that nothing is missed once it is resumed. */
bool connector_wants_event(const struct connector *c, const struct event *e);
const char *connector_type_name(u8 type);
bool connector_wants_segment(const struct connector *c, segment_id segment);

/* Kind "quiz": what shoppers are asked. Each answer is a declared fact: quiz("QUESTION") = "ANSWER", by their keys.
 *   {"title", "thanks"?, "questions": [{"key": "skin-type", "text", "answers": [{"key": "dry", "text"}, …]}, …]}
 * Texts are one text, or one a language. */
enum { QUIZZES_MAX = 256, QUIZ_QUESTIONS_MAX = 50, QUIZ_ANSWERS_MAX = 50, QUIZ_KEY_BYTES_MAX = 64 };
struct quiz { str key; bool paused; const struct json *document; };
/* ERR_BAD_INPUT with the reason. */
MUST_USE enum err quiz_read(const struct json *doc, struct quiz *out, struct diag *diag);
/* As a shopper sees it: the texts in their language. Opens and closes its brace. */
void quiz_print(const struct quiz *quiz, str locale, struct jsonw *w);

/* Kind "settings", key "shop": {"holdout":"5%","discount_quiet_days":14,"repurchase_days":180,"currency":"EUR","time_zone":"Europe/Oslo","markets":{…},
 *
 * "rates":{"USD":0.92},"programme_cost":"1200.00","path_prefix":"/px","root_aliases":true,"unknown_keys":"refuse|ignore"} */
struct settings {
    i32 holdout; i32 discount_quiet_days, repurchase_days, zone_minutes; currency currency;
    /* into the shop's currency, for results */
    struct rate { currency of; f64 rate; } rates[32]; isize rates_n;
    i64 programme_cost_minor;       /* what the programme has cost so far, for its return */
    i32 contact_times; i64 contact_period_ms;           /* of all campaigns together, a person; 0: no limit */
    str contact_channels[8]; isize contact_channels_n;  /* of placements; none: everywhere */
    str path_prefix;                /* every route is there also behind this; empty: none */
    bool no_root_aliases;           /* Segment's short paths (/t, /p, …) are found behind /segment alone */
    bool ignore_unknown_keys;       /* collecting with a key nobody knows is answered 200, and let go */
};
/* Kind "flag": experiment.h has the document. Its definition id is what its exposures count under,
 * a rule its experience. */
struct book_flag {
    u32 id; u16 number;
    str key, title;
    bool paused;
    const struct flag *flag;
    /* of each rule; null: everyone. Flags whose targets say the same share the rule */
    const struct rule **targets;
    /* of each rule with a target: its number among all that are asked, from 0 */
    u32 *asks;
    const struct json *document;
};
/* Kind "flag_file": {"dialect": "growthbook|optimizely", "file": {…}}: another product's flags, answered as that product would. */
struct book_flag_file {
    str key;
    enum flag_dialect dialect;
    const struct flag_file *file;
    const struct json *json;
};

struct ticket_key { u8 bytes[16]; };

struct book {
    /* of the log entry that made it: "one version number" on every decision */
    u64 version;
    const struct segment_set *segments;
    struct source *sources; isize sources_n;
    struct api_key *keys; isize keys_n;
    struct placement *placements; isize placements_n;
    struct campaign *campaigns; isize campaigns_n;      /* by priority, then id */
    struct strategy *strategies; isize strategies_n;
    u32 recommenders;               /* that they name, a bit set */
    struct connector *connectors; isize connectors_n;
    struct quiz *quizzes; isize quizzes_n;
    struct blocked *blocked; isize blocked_n;
    struct mapping *mappings; isize mappings_n;
    struct feed *feeds; isize feeds_n;
    const struct search_rules *search;                  /* never null */
    struct book_flag *flags; isize flags_n;             /* by key */
    isize flag_targets_n;                               /* how many targets that differ */
    struct book_flag_file *flag_files; isize flag_files_n;
    /* ours by type, then a shop's own by theirs: for SDKs that report only what they were told of */
    str *event_names; isize event_names_n;
    struct settings settings;
    /* tickets and previews are signed with it; from definition "settings"/"secret" */
    u8 secret[32];
    struct ticket_key ticket_key;   /* of the same */
    arena arena;
};

/* Compiles everything published, with `candidate` (may be null) in place of the definition of its
 * kind and key. ERR_REFUSED with reasons. A book with no definitions works: every placement is
 * unknown. `secret` comes from the data folder's first record. */
MUST_USE enum err book_build(const struct definitions *definitions,
                             const struct definition_candidate *candidate,
                             const struct rule_names *names, const u8 secret[32], u64 version,
                             struct book **out, struct definition_errors *errors);
void book_free(struct book *book);
/* "90 seconds", "1 minute", "25 hours", "2 days", "3 weeks"; "never" is TIME_NEVER. */
bool period_read(str text, i64 *ms);
const struct source *book_source(const struct book *book, str key);
/* constant time on the hash; null if unknown, paused or archived */
const struct api_key *book_key(const struct book *book, str key);
const struct placement *book_placement(const struct book *book, str key);
const struct campaign *book_campaign(const struct book *book, str key);
const struct strategy *book_strategy(const struct book *book, str key);
const struct connector *book_connector(const struct book *book, str key);
const struct mapping *book_mapping(const struct book *book, str key);
const struct quiz *book_quiz(const struct book *book, str key);
const struct book_flag *book_flag(const struct book *book, str key);
/* The document of a "key" definition: only the key's hash is in it. */
str key_document(arena *a, str key, bool secret, str source, str owner);

/* ---- learnt shares (adaptive.c) -------------------------------------------------------------- */
/* What a bandit was found to do: ranges of its arms, and of a contextual one the policy as JSON. As
 * it stands in the log. */
struct allotment { u32 campaign; u8 experience, arms; struct range *ranges; isize ranges_n; str policy; };
void allotment_visit(struct codec *c, struct allotment *v);
/* "bandit" of an experience, whose variations are read. */
MUST_USE enum err adaptive_read(arena *a, const struct json *experience, const struct experience *x,
                                struct adaptive **out, struct diag *diag);
/* While a book is made: null if there is none; false when it does not fit the experience as it now
 * is (other arms, other context). */
struct experience *book_experience(struct book *book, u32 campaign, u8 experience);
bool experience_allot(struct book *book, struct experience *x, const struct allotment *learnt);

/* ---- frequency caps: reserved atomically before the answer, kept by the view, given back after 30 minutes ---- */
struct caps;
struct caps *caps_new(void);
void caps_free(struct caps *caps);
/* True when one more fits under `times` besides `viewed`; then it is reserved. Lock-free. */
bool caps_reserve(struct caps *caps, str bucketing_id, u32 campaign, i32 viewed, i32 times, i64 now_ms);
/* Gives one back that was reserved a moment ago and will not be used. */
void caps_release(struct caps *caps, str bucketing_id, u32 campaign);
/* Whether seeing this campaign is a contact in the meaning of the shop's limit, and how many
 * contacts a history holds since. */
bool contact_counts(const struct book *book, const struct campaign *c);
i32 contacts_since(const struct book *book, const struct profile *p, i64 since_ms, i64 now_ms);

/* ---- a decision ------------------------------------------------------------------------------ */

struct decide_world {
    const struct book *book;
    const struct identity *identity;
    const struct people *people;
    const struct catalog *catalog;
    const struct denials *denials;
    const u8 *denial_key;
    const struct model *model;      /* null: none built yet */
    const struct search_index *search;      /* likewise */
    struct caps *caps;
    const struct intent_model *intent;                  /* null: none learnt yet */
    /* recommenders that were asked and the model has not, a bit set: the builder's; null: nobody
     * listens */
    _Atomic u32 *wanted;
};

struct decide_request {
    /* verified flags say which may open a profile (identity.h) */
    const struct identifier *identifiers; isize identifiers_n;
    const struct source *source;    /* whose basis counts */
    bool secret;                    /* asked with a secret key */
    u16 consent_granted, consent_denied;
    const str *placements; isize placements_n;
    const struct json *context;
    str market, locale, channel, device, store, country, product;
    const str *cart; isize cart_n;
    const str *exclude; isize exclude_n;
    i64 now_ms;                     /* the clock's, or context.now with a secret key */
    /* now_ms is not the present: stored memberships say nothing, segments are worked out */
    bool as_of;
    isize limit;
    bool exposed, record, explain;
    bool hide_seen;                 /* of a recommendation: leave out what the person has looked at */
    str preview;                    /* token of a preview link; empty: none */
    u64 decision_seed;              /* unique: makes decision keys */
};

enum decide_reason {
    REASON_TARGET,
    REASON_EXPERIMENT,
    REASON_STRATEGY,
    REASON_HOLDOUT,
    REASON_NO_CONSENT,
    REASON_CAPPED,
    REASON_GUARDED,
    REASON_FALLBACK,
    REASON_DEFAULT,
    REASON_UNKNOWN_PLACEMENT,
    REASON_PAUSED,
    REASON_PREVIEW,
    REASON_ERROR,
    REASON_BANDIT,
    REASONS
};
const char *decide_reason_name(u8 reason);

/* Why a campaign was not chosen, in the order it was asked. */
enum outcome {
    OUTCOME_WON,
    OUTCOME_PAUSED,
    OUTCOME_NOT_YET,
    OUTCOME_OVER,
    OUTCOME_OTHER_MARKET,
    OUTCOME_TARGET,
    OUTCOME_HOLDOUT,
    OUTCOME_GUARD_DISCOUNT,
    OUTCOME_CAPPED,
    OUTCOME_LOST,
    OUTCOME_NO_CONSENT,
    OUTCOME_CONTACTS
};
struct considered { u32 campaign; u8 experience, outcome; };

enum { SOURCE_PIN = 64, SOURCE_CATALOGUE = 65 };        /* these numbers stand in the log too: append only */
const char *decide_source_name(u8 source);      /* "session", …, "pin", "catalogue" */
struct decided_item {
    item_id item;
    f64 score;
    u8 source;                      /* enum recommender, or one of the above */
    u32 because[2]; isize because_n;
    /* what a quiz was answered that brought it; with the parts, not in the log either */
    str answer;
    f64 parts[RECOMMENDERS];        /* of each recommender in the score, before boosts */
    u8 heights[RECOMMENDERS];       /* as in struct recommended */
    /* of a list of places: the store or country that brought it, and enum place_kind; not in the
     * log */
    str place; u8 near;
    /* because of a purchase, not of a look; for the words only, not in the log */
    bool bought;
    /* the colour, brand … the person likes that lifted it most; not in the log */
    str liked;
    u8 liked_as;                    /* enum taste */
    /* in how many dimensions it is what the person chose themselves; not in the log */
    u8 chosen;
    i32 row;                        /* of a strategy of rows: which, from 1 */
    i32 pinned;                     /* the place it was pinned to; 0: it was not */
    /* a bit for each of the strategy's first 64 boosts that held, when explaining */
    u64 boosted;
    str ticket;
};
struct decision {
    u64 key;                        /* shown as "d_" + hex */
    person_id person;               /* 0 for a stranger or without consent */
    i64 at_ms;
    u64 book_version;
    u16 placement;                  /* number; 0 unknown */
    u32 campaign;                   /* definition id; 0 none */
    u8 experience, variation, reason, render;
    /* parts per 10,000 of the chosen variation, 10,000 when there was no chance in it */
    i32 propensity;
    bool programme_holdout, personal, exposed, recorded, preview;
    struct considered *considered; isize considered_n;
    struct decided_item *items; isize items_n;
    /* of a row: what filled it, and the recommenders that were blended for it, a bit set */
    u32 strategy_hash, asked;
    str heights;                    /* of each item in turn, a byte for each bit of `asked` */
    str *context; isize context_n;  /* what a contextual bandit saw, in the order its experience names it */
    /* for the answer only, not in the log */
    str placement_key;
    const struct placement *placed;
    const struct campaign *campaigned;
    const struct variation *varied;
    const struct strategy *strategy;
    const struct json *content;
    str ticket;
};

/* One fact of a context as text; empty when it is not known or longer than 64 bytes. */
str adaptive_fact(str name, const struct decide_request *request, const struct profile *profile,
                  i32 zone_minutes, arena *a);
/* The arm for whom the key buckets, in a context whose facts are texts in the order the experience
 * names them; the share it has there, and a tree's leaf (else -1). Without a policy by the
 * allocation, and then -1 for those in no arm. For an SDK's own prediction call as well: nothing
 * but its arguments is read. */
isize adaptive_choose(const struct experience *x, struct bucket_key key, const str *texts,
                      i32 *share, i32 *leaf);

/* One decision for each placement asked, in order; items are never repeated between them. Returns
 * who was found to be asking, whether or not they may speak: read on (people_read_on) for their
 * memberships; null for a stranger. */
const struct profile *decide(const struct decide_world *world, const struct decide_request *request,
                             arena *a, struct decision *out);
/* {"home_hero": {...}, …}: api.md's answer, tickets and explain included. {{name|otherwise}} shows verified facts only.
 * Content is text, escaped for JSON and nothing else: whoever makes HTML of it escapes it there (print.c). */
void decide_print(const struct decide_world *world, const struct decide_request *request,
                  const struct decision *decisions, isize n, arena *a, struct jsonw *w);
/* The strategy as the algorithm alone would have it: without boosts, buries and pins. In `a`. */
const struct strategy *strategy_bare(const struct strategy *strategy, arena *a);
/* What /v1/recommend answers: a strategy, a mix and filter given in the request, or a placement's. */
isize decide_recommend(const struct decide_world *world, const struct decide_request *request,
                       const struct strategy *strategy, const struct rule *filter, arena *a,
                       struct decided_item **out);
/* One of them; opens no brace: the caller does. */
void decide_print_item(const struct decide_world *world, const struct decide_request *request,
                       const struct decided_item *item, arena *a, struct jsonw *w);

/* "not_built_yet": recommenders that the strategy names and the model has not, because nobody named
 * them when it was built; else nothing. */
void decide_print_unbuilt(const struct decide_world *world, const struct strategy *strategy, struct jsonw *w);
/* "rows": [{"category" or "brand", "title", "because", "items": keys}], of a strategy of rows; else nothing. */
void decide_print_rows(const struct decide_world *world, const struct strategy *strategy,
                       const struct decided_item *items, isize n, struct jsonw *w);

/* The facts a request's rules are asked with, for explaining them; live in `a`. */
struct rule_facts decide_facts(const struct decide_world *world,
                               const struct decide_request *request, arena *a);
/* Whether what a person likes may order what they are shown: not without consent, and not in the
 * programme's holdout. */
/* profile: what this caller may know, or null */
struct decide_who { struct rule_facts facts; const struct profile *profile; bool personal, held_out; };
struct decide_who decide_who(const struct decide_world *world, const struct decide_request *request,
                             arena *a);
/* Shares by category, brand and colour: of the visit that lasts until now (no pause of gap_ms in
 * it), and of everything; what was chosen over both. */
isize decide_likings(const struct decide_world *world, const struct decide_who *who, i64 now_ms,
                     i64 gap_ms, arena *a, const struct search_liking **out);
/* Why an item is shown, in a shopper's words (because.def). Language: of a locale such as "nb-NO";
 * English where it is none of ours. `name` stands where the sentence has {}. The text lives in `a`,
 * or for ever. */
enum phrase {
#define PHRASE(name, ...) PHRASE_##name,
#include "decide/because.def"
#undef PHRASE
    PHRASES
};
u8 because_language(str locale);
str because_phrase(enum phrase phrase, u8 language, str name, arena *a);
/* The same in parts, without putting them together: what stands before the name, the name, what
 * stands behind it. How many there are. */
enum { BECAUSE_PARTS = 3 };
isize because_parts(enum phrase phrase, u8 language, str name, str parts[BECAUSE_PARTS]);
/* An explained rule as a tree: text, result, value, the events that made it so with their items'
 * keys and titles, children. A shop names events of its own. */
struct trace_names {
    const struct catalog *catalog;
    const void *ctx;
    str (*event)(const void *ctx, u16 type);
};
void decide_print_why(const struct trace_names *names, const struct rule_trace *trace, struct jsonw *w);
/* What was considered and why each lost, with the targets asked again against `facts` (null: left out). */
void decide_print_trace(const struct decide_world *world, const struct trace_names *names,
                        const struct rule_facts *facts, const struct decision *d, arena *a,
                        struct jsonw *w);
const char *decide_outcome_name(u8 outcome);

void decision_encode(const struct decision *decision, struct buf *out);
MUST_USE enum err decision_decode(str bytes, arena *a, struct decision *out);

/* ---- flags ----------------------------------------------------------------------------------- */
/* Who asks for flags. `id` is hashed; the request's identifiers say whose profile targets, sticky
 * variations and the holdout are asked of, and its context what else is known. One for all flags of
 * a request: the profile is looked up once. */
struct flag_asking {
    const struct decide_world *world;
    const struct decide_request *request;
    str id;
    arena *a;
    struct rule_facts facts; bool have_facts;           /* decide_flag's own, and what it found out */
    /* to each target of the book: 0 not asked yet, else 1 + whether it holds */
    u8 *answers;
    const struct book_flag *flag;
    isize deep;
};
struct flag_answer decide_flag(struct flag_asking *asking, const struct book_flag *flag);

/* What a protocol cannot say of a flag (export.c). kind: "left out", "differs", "note". */
struct export_note { str flag, rule; const char *kind; str text; };
struct export_notes { struct export_note *at; isize n; };
/* {"flag": {"defaultValue", "rules"}, …}, as GrowthBook's SDKs evaluate them by themselves. */
void book_export_growthbook(const struct book *book, arena *a, struct jsonw *w, struct export_notes *notes);
struct export_where {
    str host, key, revision;
    const str *attributes;
    isize attributes_n;
    const str *events;
    isize events_n;
};
/* A datafile, version 4. host: where segments are asked for; key: the SDK key, which is the account
 * id of its reports too. */
void book_export_optimizely(const struct book *book, arena *a, const struct export_where *where,
                            struct jsonw *w, struct export_notes *notes);
/* {"optimizely": [{"flag", "rule", "kind", "text"}], "growthbook": […], "ofrep": []}: what each protocol cannot say of the flags, or of
 * the one flag named. OFREP asks the server, so it can say all. */
void book_lint(const struct book *book, str flag, arena *a, struct jsonw *w);

/* The flag, rule and variation that a client's report names: the rule by its id, the variation by
 * its key or exported id. False when there is no such variation: *arm is -1 when there is no such
 * rule either. */
bool book_flag_arm(const struct book *book, arena *a, str rule_id, str variation,
                   const struct book_flag **flag, isize *rule, isize *arm);
str book_flag_arm_id(arena *a, const struct book_flag *flag, str rule, str variation);

/* What campaigns learn, as the datafile's rules of type cmab (cmab.c). The experience that a rule's
 * id means; false when there is none. */
bool book_cmab_rule(const struct book *book, str rule, const struct campaign **campaign, isize *experience);
/* its exported id */
str book_cmab_variation(arena *a, const struct campaign *c, const struct experience *x, isize arm);
/* The attribute that a client says a fact of its context by; empty for what the server knows by itself. */
str book_cmab_attribute(const struct experience *x, isize fact);
/* [{"id", "value"}] of a prediction call -> the context that adaptive_fact reads. */
const struct json *book_cmab_context(const struct experience *x, const struct json *attributes, arena *a);

/* ---- tickets: what a client gives back to say "seen" or "clicked" ---------------------------- */
/* Signed (8 bytes, keyed) and opaque: all that attribution needs, whatever became of the decision's
 * record. */
struct ticket {
    u64 decision_key;
    u32 campaign, item;
    u16 placement;
    u8 experience, variation, reason;
    bool programme_holdout;
    i64 at_ms;
};
struct ticket_key ticket_key(const u8 secret[32]);      /* made once for many tickets; a book has it */
str ticket_make(arena *a, const struct ticket_key *key, const struct ticket *ticket);
bool ticket_read(const u8 secret[32], str text, struct ticket *out);

/* A preview token forces one variation and expires after a day. */
str preview_make(arena *a, const u8 secret[32], u32 campaign, u8 experience, u8 variation, i64 now_ms);
bool preview_read(const u8 secret[32], str text, i64 now_ms, u32 *campaign, u8 *experience, u8 *variation);

/* What the address of a block in a letter stands for: a person by one of their nodes, and nothing
 * but this placement. */
enum { LETTER_DAYS = 90 };
struct letter_token { u32 node; str placement, market, locale; i64 until_ms; };
str letter_token_make(arena *a, const u8 secret[32], const struct letter_token *token);
/* Texts in `a`. Whether it has lapsed is the caller's to ask. */
bool letter_token_read(const u8 secret[32], str text, arena *a, struct letter_token *out);

#endif
