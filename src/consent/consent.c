/* SPDX-License-Identifier: Apache-2.0 */
#include "consent/consent.h"

#include <sodium.h>

static const char *const names[] = { "none", "consent", "contract", "legitimate_interest" };

const char *basis_name(u8 basis) { return basis < countof(names) ? names[basis] : "none"; }

bool basis_of(str name, u8 *out)
{
    for (u8 i = 0; i < countof(names); i++)
        if (str_eq(name, str_of(names[i]))) { *out = i; return true; }
    return false;
}

struct basis_set basis_default(void)
{
    struct basis_set set = { 0 };
    set.of[PURPOSE_NECESSARY] = BASIS_CONTRACT;
    return set;
}

enum err basis_from_json(const struct json *doc, struct basis_set *out, struct diag *diag)
{
    *out = basis_default();
    json_each(row, doc) {
        u8 purpose;
        if (!purpose_of(row->key, &purpose))
            return diag_set(diag, ERR_BAD_INPUT, "basis: there is no purpose \"%.*s\"", STR_FMT(row->key));
        if (!basis_of(json_str(row, S("")), &out->of[purpose]))
            return diag_set(diag, ERR_BAD_INPUT,
                            "basis of %s: expected none, consent, contract or legitimate_interest", purpose_name(purpose));
    }
    return ERR_OK;
}

bool consent_allows(enum basis basis, enum consent_state state)
{
    switch (basis) {
    case BASIS_NONE: case BASIS_CONSENT: return state == CONSENT_GRANTED;
    case BASIS_CONTRACT: case BASIS_LEGITIMATE_INTEREST: return state != CONSENT_DENIED;
    }
    return false;
}

bool consent_teaches(const struct basis_set *basis, enum consent_state analytics)
{
    u8 own = basis->of[PURPOSE_MODEL_TRAINING];
    return own == BASIS_NONE ? consent_allows(basis->of[PURPOSE_ANALYTICS], analytics)
                             : consent_allows(own, CONSENT_UNKNOWN);
}

enum purpose consent_purpose_of(u16 event_type)
{
    switch (event_type) {
    case EVENT_ORDER_COMPLETED: case EVENT_ORDER_UPDATED: case EVENT_ORDER_REFUNDED:
    case EVENT_ORDER_CANCELLED:
    case EVENT_CONSENT_CHANGED:
        return PURPOSE_NECESSARY;
    default:
        return PURPOSE_ANALYTICS;
    }
}

enum consent_state consent_said(const struct event *e, int purpose)
{
    if (e->consent_denied >> purpose & 1) return CONSENT_DENIED;
    return e->consent_granted >> purpose & 1 ? CONSENT_GRANTED : CONSENT_UNKNOWN;
}

static enum consent_state latest(enum consent_state said, enum consent_state stored)
{
    return said != CONSENT_UNKNOWN ? said : stored;
}

enum collect consent_collect(const struct basis_set *basis, const struct event *e,
                             enum consent_state stored_analytics, enum consent_state stored_necessary)
{
    enum consent_state analytics = latest(consent_said(e, PURPOSE_ANALYTICS), stored_analytics);
    enum consent_state necessary = latest(consent_said(e, PURPOSE_NECESSARY), stored_necessary);
    bool whole = consent_allows(basis->of[PURPOSE_ANALYTICS], analytics);
    if (whole) return COLLECT_WHOLE;
    if (consent_purpose_of(e->type) != PURPOSE_NECESSARY) return COLLECT_NOTHING;
    if (!consent_allows(basis->of[PURPOSE_NECESSARY], necessary)) return COLLECT_NOTHING;
    /* The shop must know that something was sold; whose basket it was is analytics. Who said no
     * stays out of it. */
    if (e->type == EVENT_CONSENT_CHANGED) return COLLECT_NOTHING;
    return analytics == CONSENT_DENIED ? COLLECT_WITHOUT_PERSON : COLLECT_WHOLE;
}

/* ---- denials -------------------------------------------------------------------------------- */

struct denials { struct map *purposes; struct hash128 digest; };

struct denials *denials_new(void)
{
    struct denials *d = mem_new(sizeof *d);
    d->purposes = map_new(64);
    return d;
}

void denials_free(struct denials *d)
{
    if (!d) return;
    map_free(d->purposes);
    mem_free(d);
}

struct hash128 denial_hash(const u8 key[32], struct identifier identifier)
{
    crypto_generichash_state state;
    u8 out[16];
    u8 kind = identifier.kind;
    crypto_generichash_init(&state, key, 32, sizeof out);
    crypto_generichash_update(&state, &kind, 1);
    crypto_generichash_update(&state, (const u8 *)identifier.value.ptr,
                              (unsigned long long)identifier.value.len);
    crypto_generichash_final(&state, out, sizeof out);
    return (struct hash128){ load_u64le(out), load_u64le(out + 8) };
}

static void digest_row(struct denials *d, struct hash128 who, u16 denied, bool add)
{
    char row[18];
    store_u64le(row, who.hi);
    store_u64le(row + 8, who.lo);
    store_u16le(row + 16, denied);
    struct hash128 h = hash128((str){ row, sizeof row }, 0);
    hash128_sum(&d->digest, h, add);
}

void denials_set(struct denials *d, struct hash128 who, u16 denied)
{
    u16 before = denials_get(d, who);
    if (before == denied) return;
    if (before) digest_row(d, who, before, false);
    if (denied) {
        digest_row(d, who, denied, true);
        map_put(d->purposes, who, denied);
    } else {
        map_remove(d->purposes, who);
    }
}

u16 denials_get(const struct denials *d, struct hash128 who) { return (u16)map_get(d->purposes, who, 0); }
isize denials_count(const struct denials *d) { return map_count(d->purposes); }
struct hash128 denials_digest(const struct denials *d) { return d->digest; }

bool denials_next(const struct denials *d, isize *at, struct hash128 *who, u16 *denied)
{
    u64 value;
    if (!map_next(d->purposes, at, who, &value)) return false;
    *denied = (u16)value;
    return true;
}
