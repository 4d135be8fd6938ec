/* SPDX-License-Identifier: Apache-2.0
 *
 * consent.h - the gate: may this be done with what is known of this person?
 *
 * Asked at collect (before the log), at the profile, at decide and at send; it fails closed. A
 * source declares its legal basis per purpose; where it declares none, or consent, only a
 * person's yes opens the gate. On the basis of contract or legitimate interest it stands open
 * until the person says no.
 *
 *   reads    base/, event/, identity/
 *   feeds    profile/, decide/, api/
 *   threads  pure functions; struct denials: fold writes, any thread reads
 */
#ifndef CONSENT_CONSENT_H
#define CONSENT_CONSENT_H

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "event/event.h"

enum consent_state { CONSENT_UNKNOWN, CONSENT_GRANTED, CONSENT_DENIED };
enum basis { BASIS_NONE, BASIS_CONSENT, BASIS_CONTRACT, BASIS_LEGITIMATE_INTEREST };

struct consent_entry { u8 purpose, state; u32 node; i64 at_ms; str source; };

/* What a source declares. `necessary` is contract unless said otherwise. */
struct basis_set { u8 of[PURPOSES]; };
struct basis_set basis_default(void);
/* {"analytics":"consent","personalisation":"contract"}; ERR_BAD_INPUT names the purpose or basis that is not known. */
MUST_USE enum err basis_from_json(const struct json *doc, struct basis_set *out, struct diag *diag);
const char *basis_name(u8 basis);
bool basis_of(str name, u8 *out);

bool consent_allows(enum basis basis, enum consent_state state);
/* May models learn from what a person does who was never asked about model_training? As their
 * source declares; where it declares nothing of it, learning goes with analytics: who may be
 * counted may be counted in what goes with what. */
bool consent_teaches(const struct basis_set *basis, enum consent_state analytics);
/* The purpose that collecting such an event needs: orders and what concerns consent itself are
 * necessary, the rest analytics. */
enum purpose consent_purpose_of(u16 event_type);

/* What one event says of a purpose. */
enum consent_state consent_said(const struct event *e, int purpose);

/* The collect gate. `stored` is what the person has said before (unknown for strangers). */
enum collect { COLLECT_WHOLE, COLLECT_WITHOUT_PERSON, COLLECT_NOTHING };
enum collect consent_collect(const struct basis_set *basis, const struct event *e,
                             enum consent_state stored_analytics, enum consent_state stored_necessary);

/* ---- denials: keyed hashes of identifiers whose owner said no ------------------------------- */
/* A refusal leaves nothing of a stranger but this, so that a later event without a consent object
 * stays refused. */
struct denials;
struct denials *denials_new(void);
void denials_free(struct denials *denials);
/* BLAKE2b-128 with the data folder's key */
struct hash128 denial_hash(const u8 key[32], struct identifier identifier);
/* fold only; 0 takes it away */
void denials_set(struct denials *denials, struct hash128 who, u16 denied);
u16 denials_get(const struct denials *denials, struct hash128 who);             /* bit set of purposes */
isize denials_count(const struct denials *denials);
struct hash128 denials_digest(const struct denials *denials);
/* fold only */
bool denials_next(const struct denials *denials, isize *at, struct hash128 *who, u16 *denied);

#endif
