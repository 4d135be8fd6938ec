/* SPDX-License-Identifier: Apache-2.0
 *
 * identity.h - who is who: identifiers, the merge ledger, and its undoing.
 *
 * A node is what one identifier was first seen as; a person is the nodes that links have joined.
 * Facts remember their node, so a merge only joins and a split only parts: both are exact. The
 * person's id is the lowest of its nodes' ids; merged ids resolve for ever.
 *
 * Trust: a verified identifier (secret key, or HMAC-signed identify) may merge; a claimed one
 * (anyone holding the public key can type it) never joins two people and never opens another
 * person's history: events that carry nothing but claims gather under that claimed name, apart from the
 * person who proves to bear it. What is refused is kept in the ledger with its reason.
 *
 *   reads    base/, event/
 *   feeds    consent/, profile/, fold/
 *   threads  the fold writes; what says so from any thread inside rcu_read_begin/end; the rest fold only
 *   memory   own tables, for the process
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "base/codec.h"
#include "base/err.h"
#include "base/hash.h"
#include "event/event.h"

enum { NODES_PER_PERSON_MAX = 200, IDENTIFIERS_PER_PERSON_MAX = 400 };

enum link_kind { LINK_ATTACH, LINK_MERGE, LINK_REFUSED, LINK_SPLIT, LINK_ERASED };
enum link_reason {
    LINK_SAME_EVENT,
    LINK_ALIAS,
    LINK_ORDERED,
    LINK_CLAIMED,
    LINK_OVER_LIMIT,
    LINK_OTHER_PERSON,
    LINK_TOO_MANY
};

/* A line of the ledger. Attach: an identifier became known as node a. Merge: nodes a and b are one
 * person. Refused: they are not, for this reason. Split: link `undoes` no longer holds. Erased: its
 * number, its ref, and the node it made, if it made one. */
struct link {
    u32 id;                         /* 1, 2, 3 … */
    u8 kind, reason;
    bool verified, undone;
    u32 a, b;                       /* nodes */
    u32 undoes;
    u64 ref;                        /* the log entry that said so */
    i64 at_ms;
    struct identifier identifier;   /* attach and refused: which */
    str source;
    str memo;                       /* merge: what the caller will want back at a split (identity_memo) */
};

struct identity;
struct identity *identity_new(u64 seed);
void identity_free(struct identity *identity);

/* The person an identifier leads to; 0 when unknown. A verified one that nobody has proved finds
 * what was claimed under it. Any thread. */
person_id identity_find(const struct identity *identity, struct identifier identifier);
/* into the cache: it is looked for soon */
void identity_call_for(const struct identity *identity, struct identifier identifier);
/* the node itself; 0 when unknown */
u32 identity_node(const struct identity *identity, struct identifier identifier);
/* The person that a node (or a merged-away person's id) now belongs to. Any thread. */
person_id identity_person(const struct identity *identity, u32 node);

/* The node that an event which was resolved once is put down to: that of its strongest identifier,
 * which never changes; 0: nobody's. Any thread. */
u32 identity_speaks(const struct identity *identity, const struct event *e);

/* What resolving an event came to. */
struct resolved {
    person_id person;               /* 0: the event names nobody */
    u32 node;                       /* where its facts belong */
    bool created;
    person_id merged[EVENT_IDENTIFIERS_MAX];    /* people that ceased, joined into `person`, in order */
    u32 links[EVENT_IDENTIFIERS_MAX];           /* the ledger lines that say so */
    isize merged_n;
};
/* Fold only. Makes a node when no identifier is known, attaches new ones, merges what verified ones join. */
struct resolved identity_resolve(struct identity *identity, const struct event *e, u64 ref, i64 at_ms);

/* Fold only. Joins two people by order (a person with the right to). ERR_NOT_FOUND, or ERR_REFUSED
 * over the node limit. */
MUST_USE enum err identity_merge(struct identity *identity, person_id a, person_id b, u64 ref,
                                 i64 at_ms, str who, struct resolved *out);
/* Fold only. Keeps bytes with a merge's ledger line; they are part of the state. */
void identity_memo(struct identity *identity, u32 link, str memo);

/* Fold only. Undoes a merge link. The parts: the nodes of each person that results, the first keeping the id.
 * ERR_NOT_FOUND when there is no such merge, ERR_CONFLICT when it was undone already. */
struct parting { person_id people[NODES_PER_PERSON_MAX]; isize n; };
MUST_USE enum err identity_split(struct identity *identity, u32 link, u64 ref, i64 at_ms, str who,
                                 struct parting *out);

/* Fold only, for showing: a person's nodes, ascending; its identifiers; its ledger lines. Counts
 * returned. Their texts stay where they are kept: inside rcu brackets until they close, for the
 * fold until it goes on. */
isize identity_nodes(const struct identity *identity, person_id person, u32 *out, isize max);
/* any thread */
isize identity_identifiers(const struct identity *identity, person_id person, struct link *out, isize max);
isize identity_links(const struct identity *identity, person_id person, struct link *out, isize max);
isize identity_people(const struct identity *identity);        /* nodes ever made: ids 1 .. n */
isize identity_links_n(const struct identity *identity);
/* the first line that attached an identifier to a node; false: none does */
bool identity_began(const struct identity *identity, u32 node, struct link *out);
bool identity_link(const struct identity *identity, u32 id, struct link *out);     /* false: there is none */

/* ---- erasing: numbers stay taken, so that nobody else's change ------------------------------- */
/* Fold only. A line says nothing any more; its identifier leads nowhere. Lines first, then the
 * nodes that were theirs. */
void identity_erase_link(struct identity *identity, u32 link);
/* Fold only. The node is nobody's, for ever. */
void identity_erase_node(struct identity *identity, u32 node);
/* Fold only. What an entry that was erased once made: lines by their numbers, ascending, with the
 * node that each made, or 0. They are added when their numbers come, in between what the rest of
 * the entry makes; identity_burnt adds those that are left. `list` stays until then. */
struct burnt { u32 link, node; };
void identity_burn(struct identity *identity, const struct burnt *list, isize n, u64 ref);
void identity_burnt(struct identity *identity);
/* Fold only. The lines that stand on a node, as either of its two; and those that refuse an
 * identifier nobody had. */
isize identity_lines(const struct identity *identity, u32 node, u32 *out, isize max);
isize identity_loose(const struct identity *identity, const u32 **out);
/* Fold only. The entry that attached an identifier; 0: none did, or it is erased. */
u64 identity_attached(const struct identity *identity, struct identifier identifier);
/* Which identifier spoke for an event when entry `ref` was resolved, by when each became known (as
 * identity_attached). Null: it names nobody. */
const struct identifier *identity_spoke(const struct event *e, u64 ref,
                                        u64 (*attached)(void *ctx, struct identifier v), void *ctx);

/* State: each link encodes to a row; loading them in order rebuilds everything. */
void link_encode(const struct link *link, struct buf *out);
MUST_USE enum err identity_load(struct identity *identity, str link_bytes);
u32 identity_dirty_next(struct identity *identity);     /* link ids changed since last asked; 0 ends */
struct hash128 identity_digest(const struct identity *identity);

#endif
