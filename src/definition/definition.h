/* SPDX-License-Identifier: Apache-2.0
 *
 * definition.h - everything people author: kind, key, owner, revisions, state.
 *
 * One mechanism for sources, segments, placements, campaigns, strategies, keys and accounts: a
 * JSON document that is drafted, published, paused, archived and rolled back, each step by an
 * entry of the log. This room keeps documents and their states; what a document means is compiled
 * by the room that owns its kind.
 *
 *   reads    base/
 *   feeds    segment/, decide/, fold/, api/
 *   threads  the fold only (others ask it, or read what was compiled)
 *   memory   own blocks, for the process
 */
#ifndef DEFINITION_DEFINITION_H
#define DEFINITION_DEFINITION_H

#include "base/codec.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"

enum { DEFINITION_BYTES_MAX = 256 << 10, DEFINITION_KEY_BYTES_MAX = 64, REVISIONS_MAX = 1000 };

enum definition_op {
    DEFINITION_DRAFT,
    DEFINITION_PUBLISH,
    DEFINITION_PAUSE,
    DEFINITION_RESUME,
    DEFINITION_ARCHIVE
};

/* A step, as it stands in the log. DRAFT carries the document; PUBLISH names the revision (0: the
 * latest), so publishing an older one is a rollback. */
struct definition_change {
    u8 op;
    str kind, key, document, author;
    u32 revision;
};
void definition_change_encode(const struct definition_change *change, struct buf *out);
MUST_USE enum err definition_change_decode(str bytes, struct definition_change *out);

struct revision { str document, author; i64 at_ms; };
struct definition {
    u32 id;                         /* over all kinds, from 1: what other systems see, as decimal text */
    /* within its kind, from 1, never reused: a segment's bit, a campaign's slot */
    u16 number;
    str kind, key;
    const struct revision *revisions; isize revisions_n;    /* revision 1 is [0] */
    u32 published;                  /* revision; 0: never */
    /* every revision that was ever put in force, in that order */
    const u32 *publishes; isize publishes_n;
    bool archived, paused;
    i64 changed_at_ms;
};

struct definitions;
struct definitions *definitions_new(void);
void definitions_free(struct definitions *d);

/* Whether the step makes sense now: the kind and key are well formed (lower-case letters, digits, _
 * - .), the revision exists. ERR_NOT_FOUND, ERR_BAD_INPUT, ERR_CONFLICT (expected != 0 and not the
 * latest revision), with the reason. */
MUST_USE enum err definition_check(const struct definitions *d,
                                   const struct definition_change *change, u32 expected,
                                   struct diag *diag);
/* Applies a step that checks out; anything else is left out. */
void definition_apply(struct definitions *d, const struct definition_change *change, i64 at_ms);

const struct definition *definition_find(const struct definitions *d, str kind, str key);
/* Walks all, or one kind (kind empty: all), in the order they were made; *at starts at 0; null ends. */
const struct definition *definition_next(const struct definitions *d, str kind, isize *at);
/* The published document; empty when it is not published or archived. */
str definition_published(const struct definition *def);
str definition_latest(const struct definition *def);

void definition_encode(const struct definition *def, struct buf *out);
MUST_USE enum err definition_load(struct definitions *d, str bytes, arena *scratch);
u32 definition_dirty_next(struct definitions *d);       /* ids changed since last asked; 0 ends */
const struct definition *definition_by_id(const struct definitions *d, u32 id);

/* Accounts, keys and the data folder's secrets are definitions that nobody is shown. Of the others,
 * fields that hold a secret are shown as DEFINITION_SECRET_KEPT; a document that says so keeps what
 * the one before it (may be null) had. */
#define DEFINITION_SECRET_KEPT "(kept)"
bool definition_is_hidden(str kind, str key);
bool definition_is_secret(str field);
/* an object, without secrets */
void definition_print(const struct json *document, struct jsonw *w);
/* kind and key first, then the rest */
const struct json *definition_as_file(arena *a, str kind, str key, const struct json *document);
/* with the secrets of before */
void definition_print_kept(const struct json *document, const struct json *before, struct jsonw *w);
/* What changes from one document to another (null: none), as lines of them without secrets, at most
 * 3,000 of each. op: ' ' both have it, '-', '+'. */
struct diff_line { char op; str text; };
isize definition_lines(arena *a, const struct json *before, const struct json *after, struct diff_line **out);

struct hash128 definitions_digest(const struct definitions *d);

#endif
