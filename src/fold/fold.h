/* SPDX-License-Identifier: Apache-2.0
 *
 * fold.h - the only writer of live state: records in, state out.
 *
 * Its input is the record and the state, nothing else: the same log gives the same digest. It
 * runs on one thread. Others read what is published (struct live) inside rcu brackets, or ask:
 * fold_ask runs a question on the fold's own thread between two records, where everything may be
 * read and stands still.
 *
 *   reads    every room above
 *   feeds    api/, demo/
 *   threads  one fold thread, one flush thread; fold_ask and fold_submit from any thread
 *   memory   state for the process; a record's arena goes back to the log writer
 */
#ifndef FOLD_FOLD_H
#define FOLD_FOLD_H

#include <stdatomic.h>

#include "base/config.h"
#include "decide/decide.h"
#include "deliver/deliver.h"
#include "log/log.h"
#include "measure/measure.h"
#include "predict/predict.h"

/* ---- orders: upserted entities --------------------------------------------------------------- */
/* RETURN: a refund that stands by itself */
enum order_state { ORDER_COMPLETED, ORDER_CANCELLED, ORDER_RETURN };
struct order_line { u32 item; i32 quantity; i64 value_minor; };
struct order {
    order_id id;
    str key;                        /* source and order key: "web:1001" */
    u32 node;                       /* whose it is; 0: a guest's */
    u8 state, channel;
    u8 cart;                        /* of that node's carts, as in history_cart; 0: none was named */
    currency currency;
    struct place place;             /* where it was made, as it said */
    u64 ref;                        /* the entry that made it */
    i64 at_ms, value_minor, refunded_minor;
    /* how new the newest whole statement and the newest refund were, by the sender's word; 0: never
     * said */
    i64 said_at_ms, refund_at_ms;
    u64 content;                    /* a hash of what the sender said last: the same again changes nothing */
    struct order_line *lines; isize lines_n;
};

/* ---- what a source sent ---------------------------------------------------------------------- */
/* behind_ms: how long after it happened the last event arrived. */
struct source_count {
    u16 source;
    i64 accepted, duplicates, no_consent, dead, warnings, last_at_ms, behind_ms;
};
/* What was found about a source's events and let pass. `ref`: the last such event. */
struct warning { u16 source; str what; i64 count, first_at_ms, last_at_ms; u64 ref; };

/* key: when there is one, the same letter again is no second one. verified: it came by a secret
 * key, so what it says of identity is so; a replay believes it as much. */
struct dead_letter { u64 ref; i64 at_ms; str source, reason, raw; bool replayed, verified; str key; };

/* Items that a source brought. */
struct delivery { str source; i64 items; };
void delivery_encode(const struct delivery *delivery, struct buf *out);

/* What refuses without leaving anything of a person: counts, and keyed hashes of denials. */
struct refusal {
    u16 source;
    u32 no_consent;
    struct { struct hash128 who; u16 denied; } denials[EVENT_IDENTIFIERS_MAX]; isize denials_n;
};
void refusal_encode(const struct refusal *refusal, struct buf *out);

enum people_op { PEOPLE_MERGE, PEOPLE_SPLIT, PEOPLE_ERASE, PEOPLE_ERASED };
struct people_order { u8 op; u32 a, b, link; str who; };
void people_order_encode(const struct people_order *order, struct buf *out);
/* An entry with `replayed` set is no new letter: it says that the letter whose ref stands in `raw`,
 * in decimal, was taken after all. */
void dead_letter_encode(const struct dead_letter *letter, struct buf *out);

/* ---- erasing people (erase.c, forget.c) ------------------------------------------------------ */
/* Whom: their identifiers, in any number; everybody any of them leads to goes, with what was merged
 * into them. */
struct fold;
enum { ERASE_WHO_MAX = 16 };
/* proved: without whoever merely claims one of their names, who may be somebody else. */
/* by: who asked; because: "opmaat person erase", "customers/redact" */
struct erase_request { struct identifier who[ERASE_WHO_MAX]; isize who_n; str by, because; bool proved; };
/* What goes, or went: of the state, then entries of the log. */
#define ERASE_COUNTS(COUNT) \
    COUNT(people) \
    COUNT(identifiers) COUNT(orders) COUNT(segments) COUNT(history) COUNT(events) COUNT(decisions) \
        COUNT(predictions) COUNT(letters) COUNT(others)
struct erase_counts {
#define COUNT(name) i64 name;
    ERASE_COUNTS(COUNT)
#undef COUNT
};      /* events: taken out whole; others: entries that only named them, or joined them */
/* What is kept of an erasure. whom: a keyed hash of the identifier that was named first. */
/* bytes: what is still to be done; empty: nothing */
struct erasure {
    u64 ref;
    i64 at_ms, done_ms;
    struct hash128 whom;
    str by, because;
    struct erase_counts counts;
    str bytes;
};
/* What would go. Reads the whole log; not on the fold's thread. ERR_DISK. */
MUST_USE enum err fold_erase_try(struct fold *fold, const struct erase_request *request,
                                 struct erase_counts *out, struct diag *diag);
/* What the log holds of somebody, in its order: each event and each decision that an erasure would
 * take; an event of somebody else that only names them is not theirs to have. What is handed over
 * lives until the next call. Reads the whole log; not on the fold's thread. ERR_DISK. */
struct held_sink {
    void (*event)(void *ctx, const struct event *e);
    void (*decision)(void *ctx, str bytes);
    void *ctx;
};
MUST_USE enum err fold_held(struct fold *fold, const struct erase_request *request,
                            const struct held_sink *sink, struct diag *diag);
/* They are gone from the live state when this returns, and anything further under these identifiers
 * is refused until it brings a consent; the log and the store follow on a thread of their own,
 * which takes what waits at once. `ref`: of the receipt. Blocks; not on the fold's thread. A fold
 * that was not started does all of it here. ERR_DISK. */
MUST_USE enum err fold_erase(struct fold *fold, const struct erase_request *requests, isize n,
                             u64 *refs, struct diag *diag);
/* What a receipt calls somebody by, `whom`. On the fold's thread. */
struct hash128 fold_whom(const struct fold *fold, struct identifier identifier);
/* On the fold's thread: newest first, at most `max`; and how far the log has been gone through, in
 * thousandths, while one is under way. */
isize fold_erasures(const struct fold *fold, const struct erasure **out, isize max);
i32 fold_erase_progress(const struct fold *fold);

/* ---- what decisions left --------------------------------------------------------------------- */
/* clicks: a bit for each of the first 64 items. teaches: whoever told that it was seen had a basis
 * to be learnt from. */
struct decided { struct decision decision; str bytes; u64 ref, clicks; bool viewed, clicked, teaches; };

/* ---- results: sums per campaign, experience, variation and day of first exposure ------------- */
struct cell {
    u32 campaign; u8 experience, variation; i32 day;    /* days since 1970 */
    i64 exposed, clicked, views, clicks, buyers, orders, revenue_minor;
    i128 revenue_sq;            /* of one person's revenue, in minor units, exact */
    i64 orders_sq;
    u16 currency;
};

struct totals {
    i64 events, duplicates, no_consent, dead, dead_taken, decisions, orders, records, ticks, mixed;
    i64 per_second[60]; i64 second; /* of the clock, for the overview; not state */
    i64 last_at_ms;
    struct money revenue[8]; isize revenues_n;
};

/* What the builder last made of the predictions: intent, which is asked when deciding, and why
 * there are no scores, if there are none. */
/* a campaign's uplift that there is too little to learn from */
struct missing_uplift { str key, why; struct lift_counts counts; };
struct outlook {
    struct intent_model *intent; struct intent_card intent_card;
    i64 made_ms;
    str why;
    struct missing_uplift missing[UPLIFTS_MAX]; isize missing_n;
};

/* What the builder is doing. steps: of BUILD_STEPS, where a model is made; people: read of
 * people_most, where they are read. */
enum training_stage { TRAINING_IDLE, TRAINING_READING, TRAINING_QUICK, TRAINING_WHOLE, TRAINING_MEASURING };
/* since: clock_monotonic_us */
struct training { _Atomic u32 stage, steps, people; _Atomic i64 since_us; };

/* ---- live state, for readers inside rcu brackets --------------------------------------------- */
struct live {
    _Atomic(const struct book *) book;
    _Atomic(const struct model *) model;
    _Atomic(const struct metrics *) metrics;
    /* null until the first is made, soon after the start */
    _Atomic(const struct search_index *) search;
    _Atomic(const struct outlook *) outlook;            /* null until the builder has looked ahead */
    struct training training;
    _Atomic u32 wanted;             /* recommenders that requests named and no strategy, a bit set */
    _Atomic(const struct lessons *) lessons;            /* null until the learner has looked at rows */
    struct identity *identity;
    struct people *people;
    struct catalog *catalog;
    struct denials *denials;
    struct caps *caps;
    struct roll *roll;
    _Atomic u64 folded;             /* the last entry folded */
    u8 secret[32], denial_key[32];  /* zero until the folder's first record is folded */
};
struct decide_world live_world(const struct live *live);        /* inside rcu brackets */

struct fold;

struct fold_options {
    const struct config *config;
    struct clock clock;
    const char *log_uri;            /* "file:DATA/log" */
    const char *store_path;         /* "DATA/opmaat.db"; null: keep nothing (verify, simulation) */
    /* "DATA/deliver.db", whose dead letters an erasure looks through; null: there is none */
    const char *deliver_path;
    /* holds the number of the entry being folded, 0 between two; null: not wanted */
    _Atomic u64 *marker;
    /* an entry that was died of: set aside before anything is replayed; 0: none */
    u64 skip;
};

/* Opens log and store, loads state, replays what the store does not have. A new folder gets its
 * secrets first (from the system's randomness, written to the log). `progress` may be null. */
MUST_USE enum err fold_open(const struct fold_options *options, struct fold **out, struct diag *diag);
/* Starts the writer, fold and flush threads. */
void fold_start(struct fold *fold);
/* The same for one command's questions and steps: nothing happens of its own accord, no ticks, no
 * models, no search index. */
void fold_start_still(struct fold *fold);
/* Everything submitted is folded and flushed; threads end. */
void fold_stop(struct fold *fold);
void fold_close(struct fold *fold);

struct live *fold_live(struct fold *fold);
struct log_writer *fold_writer(struct fold *fold);
/* While on, nothing waits for the disk: for making a new folder that is thrown away if that does
 * not come to its end. Off makes everything so far durable. */
void fold_bulk(struct fold *fold, bool on);

/* Submits entries and waits on another thread's behalf: see log_submit. */
static inline enum err fold_submit(struct fold *fold, struct append *append)
{
    return log_submit(fold_writer(fold), append);
}
/* For tools and jobs: submits and blocks until folded. Never on the fold's or an HTTP thread. */
MUST_USE enum err fold_submit_wait(struct fold *fold, const struct entry *entries, isize n, u64 *first);

/* Runs ask(ctx, fold) on the fold's thread, soon. False once stopping. The functions below are for
 * there (and for when the fold is not started). */
bool fold_ask(struct fold *fold, void (*ask)(void *ctx, struct fold *fold), void *ctx);
/* blocks; from tools and jobs */
void fold_ask_wait(struct fold *fold, void (*ask)(void *ctx, struct fold *fold), void *ctx);

const struct definitions *fold_definitions(const struct fold *fold);
struct rule_names fold_names(const struct fold *fold);
/* Would this step compile? Fills errors; for PUBLISH with the revision it names. */
MUST_USE enum err fold_try(struct fold *fold, const struct definition_change *change,
                           struct definition_errors *errors, arena *a);
const struct totals *fold_totals(const struct fold *fold);
const struct source_count *fold_sources(const struct fold *fold, isize *n);
isize fold_orders(const struct fold *fold);
bool fold_order_known(const struct fold *fold, str source, str order_key);
/* null: there is none. Lives in `a`, its key until the fold goes on */
const struct order *fold_order(const struct fold *fold, order_id id, arena *a);
/* whose one of them is, for going through all; 0: nobody's */
u32 fold_order_node(const struct fold *fold, order_id id);
const struct cell *fold_cells(const struct fold *fold, isize *n);
const struct warning *fold_warnings(const struct fold *fold, isize *n);
const struct decided *fold_decided(const struct fold *fold, u64 key);
/* newest first */
isize fold_decided_of(const struct fold *fold, person_id person, const struct decided **out, isize max);
/* the newest at 0; null beyond those kept */
const struct decided *fold_decided_at(const struct fold *fold, isize back);
/* decisions of that instant or later, of those kept */
i64 fold_decided_since(const struct fold *fold, i64 at_ms);
str fold_event_name(const struct fold *fold, u16 type); /* our names, and a shop's own */
struct latest { i64 at_ms; person_id person; u16 type; u8 channel; u32 item; };
isize fold_latest(const struct fold *fold, struct latest *out, isize max);      /* newest first */
struct log_totals fold_log_totals(const struct fold *fold);
u64 fold_ref(const struct fold *fold);                  /* the last entry folded */
/* The log's record that holds entry `from`, in `a`; at the end *found is false. From any thread. */
MUST_USE enum err fold_read(const struct fold *fold, u64 from, arena *a, struct record *out,
                            bool *found, struct diag *diag);
/* Facts as they were: notes what everybody lacks, and reads it from the log. *from_ms: what was
 * last said before that is not known; 0: the log was read from its beginning. Not on the fold's
 * thread; on one known to rcu. ERR_DISK, ERR_DAMAGED. */
void fold_want_facts(struct fold *fold, struct past_facts *facts);
MUST_USE enum err fold_past_facts(struct fold *fold, struct past_facts *facts, i64 *from_ms,
                                  struct diag *diag);
/* What our tag cost a page: the median of the last TAG_PAGES_MAX pages that said so, milliseconds
 * of main thread; below 0: none did. For the overview; not state. */
enum { TAG_PAGES_MAX = 200 };
f64 fold_tag_ms(const struct fold *fold);

/* Dead letters, newest first: those whose source is this, whose reason and text hold these words
 * (any case). 0 and empty: all. */
enum letters { LETTERS_OPEN, LETTERS_TAKEN, LETTERS_ALL };
struct letter_query { str source, reason, text; i64 since_ms; u64 ref, before; u8 which; isize limit; };
struct letter_group { str source, reason; i64 n; };
struct letter_page {
    struct dead_letter *at;
    isize n;
    i64 total;
    struct letter_group *groups;
    isize groups_n;
};
/* From a jobs thread, never the fold's own. What is made lives in `a`. ERR_DISK. */
MUST_USE enum err fold_letters(struct fold *fold, const struct letter_query *q, arena *a,
                               struct letter_page *out, struct diag *diag);

struct fold_digest {
    struct hash128 all, identity, people, catalog, denials, definitions, orders, cells, rest;
};
struct fold_digest fold_digest(struct fold *fold);

/* ---- trials: epochs of constant shares, and learnt shares (trials.c) ------------------------- */
/* until the next one's at_ms */
struct epoch { i64 at_ms; u64 policy; u8 arms; i32 shares[EXPERIENCE_VARIATIONS_MAX]; };
const struct epoch *fold_epochs(const struct fold *fold, u32 campaign, u8 experience, isize *n);
/* What bandits may learn from what there is now is submitted; fold_start has a thread that does it
 * every learn_ms. Blocks; from tools, and on a thread known to rcu. Returns how many changed. */
isize fold_learn(struct fold *fold);

/* ---- weights of recommenders (weights.c) ----------------------------------------------------- */
/* What the learner last made of a placement's row, by numbers as in struct learnt_mix. */
struct lesson_of_mix { u32 strategy; u16 placement; u32 mix; i64 at_ms; struct weighing weighing; };
enum { LESSONS_MAX = 256 };
struct lessons { struct lesson_of_mix at[LESSONS_MAX]; isize n; };
const struct learnt_mix *fold_weights(const struct fold *fold, isize *n);

/* ---- a changed campaign on what people did (whatif.c) ---------------------------------------- */
/* document: the campaign as it might be; empty: its latest draft */
struct whatif { str campaign, document; i64 since_ms; };
/* covered: of what it would show, the share that was shown */
struct whatif_answer { struct ope ope; isize people; f64 covered; str metric; };
/* ERR_NOT_FOUND, ERR_REFUSED with the reason. Not on the fold's thread; on one known to rcu. */
MUST_USE enum err fold_whatif(struct fold *fold, const struct whatif *ask, arena *a,
                              struct whatif_answer *out, struct diag *diag);
void whatif_print(const struct whatif *ask, const struct whatif_answer *answer, struct jsonw *w);

/* ---- a changed segment on the last days (scenario.c) ----------------------------------------- */
enum { SCENARIO_POINTS_MAX = 92 };
/* document: the segment as it might be */
struct scenario { str segment, document; i64 since_ms, now_ms; };
struct scenario_point { i64 at_ms, was, would; };
/* Decisions that a campaign would have spoken in; low and high of the change, at 95 %. */
struct scenario_campaign { str key; i64 was, would; f64 low, high; };
struct scenario_answer {
    struct scenario_point points[SCENARIO_POINTS_MAX]; isize points_n;
    i64 come, go;                   /* people who would be in now and are not, and the reverse */
    /* decisions asked again, of so many people; with any campaign; with another one */
    i64 decisions, people, was, would, changed;
    f64 seen_share;                 /* of them: what makes contacts of decisions */
    struct scenario_campaign all, *campaigns; isize campaigns_n;
};
/* ERR_NOT_FOUND, ERR_REFUSED with the reason. Not on the fold's thread; on one known to rcu. */
MUST_USE enum err fold_scenario(struct fold *fold, const struct scenario *ask, arena *a,
                                struct scenario_answer *out, struct diag *diag);

/* ---- a placement's mix on what people did next (evaluate.c) ---------------------------------- */
enum { PLACEMENT_OWN, PLACEMENT_USUAL, PLACEMENT_POPULAR, PLACEMENT_ROWS };
struct placement_evaluation {
    str placement, strategy;
    i64 cut_ms;
    isize train, visits, questions;
    struct estimate hr10[PLACEMENT_ROWS], mrr10[PLACEMENT_ROWS];
};
/* ERR_NOT_FOUND; ERR_REFUSED when there is too little to ask. Takes as long as a training. Not on
 * the fold's thread; on one known to rcu. */
MUST_USE enum err fold_evaluate(struct fold *fold, str placement, arena *a,
                                struct placement_evaluation *out, struct diag *diag);
void placement_evaluation_print(const struct placement_evaluation *evaluation, struct jsonw *w);

/* The cards of the latest models that made scores, oldest first: JSON, as predict/ wrote them. */
struct card { u32 version; str json; };
const struct card *fold_cards(const struct fold *fold, isize *n);

/* Builds the recommenders' model from all histories and orders and publishes it. fold_start has a
 * thread that does it every train_ms when something changed; tools call it once, on a thread known
 * to rcu. */
void fold_train(struct fold *fold);
/* Appends to that model the visits that went on since, so that session neighbours know them. The
 * same thread does it between builds. */
void fold_freshen(struct fold *fold);

/* Replays the whole log into fresh state and compares it with what the store says of the same entry. */
MUST_USE enum err fold_verify(const struct fold_options *options, struct buf *report, struct diag *diag);

#endif
