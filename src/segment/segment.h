/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.h - who is in which segment, right now.
 *
 * A segment is a rule about one person. The set of published segments is compiled into one
 * immutable struct, in an order in which a segment comes after those it refers to. A person's
 * memberships stand in their profile, with the instant each can next change by itself; this room
 * says when they change, and keeps one bit a person for counting and overlaps.
 *
 *   reads    math/, event/, rule/, definition/, catalog/, profile/
 *   feeds    decide/, fold/, api/
 *   threads  the set is immutable; evaluation is pure; struct roll is the fold's, readable inside
 *            rcu brackets
 *   memory   the set in its own arena
 */
#ifndef SEGMENT_SEGMENT_H
#define SEGMENT_SEGMENT_H

#include "definition/definition.h"
#include "math/math.h"
#include "profile/profile.h"
#include "rule/rule.h"

enum { SEGMENTS_MAX = 4096 };

struct segment { segment_id id; str key, title; const struct rule *rule; u32 depends; u64 types; };
struct segment_set {
    const struct segment *at; isize n;                  /* in evaluation order */
    const u16 *by_number;                               /* the same n, as indexes of `at`: by rising id */
    const struct segment *by_id[SEGMENTS_MAX];          /* null: no such published segment */
    /* the shop's, in which days begin: settings shop, time_zone or zone_minutes */
    struct zone zone;
    bool hears_moves;               /* a rule asks about segment_entered or segment_left */
    /* Who may be moved by what: a bit for each of `at`, in `words` words. */
    isize words;
    /* rules that an entry of that type (& 63) may touch */
    const u64 *on_type[64];
    /* the same, without those that only entries under certain categories touch */
    const u64 *on_bare_type[64];
    /* rules that every entry of exactly that type touches */
    const u64 *on_any[64];
    /* those, by category */
    const struct category_ask { struct category_name name; u16 segment; i32 next; } *asks;
    i32 ask_heads[CATEGORY_HEADS];                      /* by category_head of the name; -1: none */
    /* rules that read facts of the person, likings among them; likings alone */
    const u64 *on_facts, *on_likings;
    /* of those: rules that hold for nobody who likes nothing of a category; they stand among
     * `likes` by it */
    const u64 *on_named_likings;
    const struct category_ask *likes;
    i32 like_heads[CATEGORY_HEADS];
    /* of each segment: those whose rules name it; null: none does */
    const u64 *const *named_by;
};

/* A mistake in a definition: where in the document, and in a rule which column. */
struct definition_error { str kind, key, path, message; isize column; };
struct definition_errors { struct definition_error at[16]; isize n; };
void definition_error_add(struct definition_errors *errors, struct definition_error error);

/* Compiles the published segments; `candidate` (may be null) stands in for the definition of its
 * kind and key. ERR_REFUSED and the reasons when one does not compile or segments refer to each
 * other in a circle. Everything lives in `a`. */
struct definition_candidate { str kind, key, document; };
MUST_USE enum err segment_set_build(arena *a, const struct definitions *definitions,
                                    const struct definition_candidate *candidate,
                                    const struct rule_names *names, const struct segment_set **out,
                                    struct definition_errors *errors);
segment_id segment_find(const struct segment_set *set, str key);        /* 0 if there is none */

/* ---- one person ------------------------------------------------------------------------------ */
/* item: the newest that brought them in; 0: none */
struct segment_change { segment_id segment; bool entered; u32 item; };

/* Brings memberships up to date for now. `touched` null: all segments are asked; else only those that one of these entries, or
 * another change (facts: traits, consent, affinity inputs), may have moved, `only` (0: none; its rule is another one now), those whose
 * instant has come, and those that depend on a segment that moved. Works on edit->memberships; changes are listed in `out` (room for
 * SEGMENTS_MAX). Returns how many. */
struct segment_ask {
    const struct segment_set *set;
    const struct catalog *catalog;
    const struct profile *profile;                      /* its new facts and history */
    i64 now_ms;
    const struct history_entry *touched; isize touched_n; bool all, facts; segment_id only;
};
isize segment_update(const struct segment_ask *ask, arena *a, struct profile_edit *edit,
                     struct segment_change *out);

/* What makes a member one: a product, a cart, or both, the newest first. The count; 0 for who is no
 * member at now_ms. */
enum { MATCHES_PER_SEGMENT_MAX = 3 };
struct match { u32 node, item; i64 at_ms; u8 cart; };
isize segment_matches(const struct segment_set *set, const struct catalog *catalog,
                      const struct profile *p, segment_id id, i64 now_ms,
                      struct match out[MATCHES_PER_SEGMENT_MAX]);

/* Whether nothing of a person changes when one segment's rule is another one now, or is gone: then
 * they need not be touched. */
bool segment_leaves(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, segment_id id, i64 now_ms);

/* Whether a person is a member at now_ms, asking the rule again when the stored answer's instant
 * has passed. */
bool segment_member(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, segment_id id, i64 now_ms);
/* The same of one of their memberships. */
bool segment_stands(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, const struct membership *m, i64 now_ms);

/* The facts of a person at another instant (world.now_ms): segments a rule names are worked out
 * too. Stays put while the facts are used. */
struct as_of { struct profile_world world; const struct segment_set *set; int depth; };
struct rule_facts facts_as_of(const struct as_of *at);

/* ---- people as they stood (past.c) ----------------------------------------------------------- */
/* Identity at an instant, from the merge ledger: who was more than one person then. Joins that held
 * then and were undone since are counted (undone_since) and not rebuilt: those people are apart
 * now, and so they are asked apart. */
struct join { u32 person, a, b; };                      /* of people joined later: a join that held by then */
struct past_identity {
    i64 at_ms;
    /* by person; one with a = 0 says only that the person was joined later */
    const struct join *joins; isize joins_n;
    i64 joined_since, undone_since;
    /* what was said again since, as the log has it; null: unknown */
    const struct past_facts *facts;
    /* whose the nodes 1 .. people were when this was read (past_owners); null: not read */
    const u32 *owner; u32 people;
};
/* Fold only (the ledger). Lives in `a`. */
struct past_identity past_of(const struct identity *identity, i64 at_ms, arena *a);
/* for a sweep: 4 bytes a node */
void past_owners(struct past_identity *past, const struct identity *identity, arena *a);

/* ---- everybody (sweep.c) --------------------------------------------------------------------- */
/* A person as they were when owners were read: `now` as they are, of whom these nodes are theirs;
 * nodes null: all of them. */
struct swept { person_id id; const struct profile *now; const u32 *nodes; isize nodes_n; };
enum { SWEEP_ANSWERS_MAX = 8 };
struct sweep {
    const struct people *people;
    const struct identity *identity;
    /* with owners; null: nobody is joined or split meanwhile, or it does not matter */
    const struct past_identity *past;
    isize answer_size;
    /* Called for each person, inside a bracket, on one of several threads, each with an answer of
     * its own; `a` is cleared behind it. */
    void (*each)(void *ctx, void *answer, const struct swept *who, arena *a);
    void *ctx;
    /* whose history cannot hold it is passed over; types 0: nobody is */
    struct rule_need need;
    bool memberships;                                   /* are read too */
    /* the fold itself asks, and waits: no brackets are needed */
    bool still;
};
/* Everybody once, in short rcu brackets of its own: outside one, on a thread known to rcu. The
 * answers began as zeroes and live in `a`; what is in them is to be added up. Each met people of
 * rising ids. Returns how many answers, SWEEP_ANSWERS_MAX at most. */
isize sweep_run(const struct sweep *s, arena *a, void **answers);
/* one of them, inside a bracket; false: not there any more */
bool sweep_meet(const struct sweep *s, u32 id, arena *a, struct swept *out);

/* The people that a person was at that instant, each as they stood: at most `max`; the count.
 * Inside rcu brackets; lives in `a`. */
isize past_people(const struct past_identity *past, const struct swept *who, arena *a,
                  const struct profile **out, isize max);
/* How many people were in each of the chosen segments (indexes of set->at) at past->at_ms, with `pairs` in each two of them (pair[i * n + k],
 * i < k), and in all; `people` there were; `beyond`: of how many so much has left the hot history that it may have mattered. Sweeps; lives in
 * `a`. */
struct past_counts { i64 people, beyond, all, *of, *pair; };
struct past_counts past_count(const struct sweep *people, const struct segment_set *set,
                              const struct catalog *catalog, const isize *chosen, isize n,
                              bool pairs, arena *a);
/* Whom a rule holds for at one of two instants and not at the other, by rising id. Of a person who
 * was several then, one is enough. Sweeps over the people of `to`, as that was read last. The
 * caller frees `ids` (mem_free). */
struct past_moved { i64 before, after, stayed, entered, left; u32 *ids; isize n; };
struct past_moved past_move(const struct sweep *people, const struct past_identity *from,
                            const struct past_identity *to, const struct segment_set *set,
                            const struct catalog *catalog, const struct rule *rule, arena *a);
/* Whether a rule held for any of the people that somebody was, and as whom: the first of whom it
 * did, or null. Inside a bracket. */
bool past_held(const struct past_identity *past, const struct segment_set *set,
               const struct catalog *catalog, const struct rule *rule, const struct swept *who,
               arena *a, const struct profile **as);
/* Which published segments a profile is in at an instant, all asked again in order: in[i] of
 * set->at[i]. `p` as it stood then. `a` is worked in. */
void past_segments(const struct segment_set *set, const struct catalog *catalog,
                   const struct profile *p, i64 at_ms, arena *a, bool *in);

/* Why an answer changed between two instants: each leaf that answers otherwise and pulls the way
 * the whole went. Lives in `a`. */
struct turn { const struct rule_trace *was, *is; };     /* one may be null: it was not asked */
isize rule_turns(const struct rule_trace *was, const struct rule_trace *is, arena *a,
                 const struct turn **out);

/* ---- what can be said of somebody (attributes.c) --------------------------------------------- */
enum attribute_kind { ATTRIBUTE_TRAIT, ATTRIBUTE_VIEWED, ATTRIBUTE_BOUGHT, ATTRIBUTE_CHANNEL };
/* viewed, "category", "Jeans"; trait, "gender", "female" */
struct attribute { u8 kind; str name, value; };
struct attributes;                                      /* one owner; it reads people inside rcu brackets */
struct attributes *attributes_new(bool behaviour_only);
void attributes_free(struct attributes *t);
/* The numbers of what holds for a person, each once; until the next call. */
isize attributes_of(struct attributes *t, const struct catalog *catalog, const struct profile *p,
                    i64 since_ms, i64 now_ms, const u32 **out);
isize attributes_n(const struct attributes *t);
/* false: it has too many values to say anything */
bool attribute_at(const struct attributes *t, isize i, struct attribute *out);
str attribute_print(arena *a, struct attribute x);      /* "viewed category: Jeans" */
str age_band(f64 age);

/* Count and a sample (the lowest ids) of the people a rule holds for at an instant, over all
 * profiles. Sweeps. */
struct segment_preview { i64 count; person_id sample[10]; isize sample_n; i64 took_us; };
struct segment_preview segment_preview(const struct sweep *people, const struct catalog *catalog,
                                       const struct rule *rule, const struct segment_set *set,
                                       i64 now_ms);
/* The same on this thread, each member handed to `member`, and inside the caller's bracket if there
 * is one. */
i64 segment_walk(const struct people *people, const struct catalog *catalog,
                 const struct rule *rule, const struct segment_set *set, i64 now_ms,
                 void (*member)(void *ctx, person_id id), void *ctx);
/* How many it held for at each of n instants, n >= 1, in order; and from the second on who came and
 * who left since the one before. The caller sets at_ms. Each person is met once, so the points
 * agree: count[i] = count[i-1] + entered[i] - left[i]. Sweeps. */
struct segment_point { i64 at_ms, count, entered, left; };
void segment_course(const struct sweep *people, const struct catalog *catalog,
                    const struct rule *rule, const struct segment_set *set,
                    struct segment_point *points, isize n);

/* ---- the roll: one bit a person and segment -------------------------------------------------- */
struct roll;
struct roll *roll_new(void);
void roll_free(struct roll *roll);
void roll_put(struct roll *roll, segment_id segment, person_id person, bool member);    /* fold only */
isize roll_count(const struct roll *roll, segment_id segment);
/* in all of them; n <= BITSET_AND_MAX */
isize roll_overlap(const struct roll *roll, const segment_id *segments, isize n);
/* next member id >= from; -1 ends */
i64 roll_next(const struct roll *roll, segment_id segment, u32 from);

#endif
