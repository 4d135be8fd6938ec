/* SPDX-License-Identifier: Apache-2.0
 *
 * consents.c - what somebody agreed to, as they told whoever answers for privacy: by telephone, by
 * letter, at the till.
 *
 * It enters as a Consent Changed event under the one identifier that was named, from the shop's
 * first source, so it is folded, shown with its source and time, and taken back like any other.
 * Whoever has no identifier here yet is not made by it: there is nothing to agree to.
 */
#include "api/admin.h"
#include "base/rcu.h"

struct saying { struct identifier who; u16 granted, denied; str source; };

/* False after call_fail(). */
static bool read_purposes(struct call *call, const char *field, u16 *out)
{
    const struct json *list = json_get(call->body, str_of(field));
    json_each(one, list) {
        u8 purpose;
        str name = json_str(one, S(""));
        if (!purpose_of(name, &purpose) || purpose == PURPOSE_NECESSARY) {
            call_fail(
                call, ERR_BAD_INPUT,
                "\"%.*s\" is no purpose that can be agreed to: analytics, personalisation, marketing_email, marketing_sms, "
                "marketing_push, ads_sharing, model_training",
                STR_FMT(name));
            return false;
        }
        *out |= (u16)(1u << purpose);
    }
    return true;
}

static void find_named(struct call *call, struct fold *fold)
{
    struct saying *s = call->own;
    const struct live *live = fold_live(fold);
    const struct book *book = atomic_load(&live->book);
    s->source = call->source_key.len ? call->source_key
                : book->sources_n    ? arena_str(call->a, book->sources[0].key)
                                     : S("");
    if (!people_has(live->people, identity_find(live->identity, s->who)))
        call_fail(call, ERR_NOT_FOUND, "nobody has that identifier");
}

static void take_consent(struct call *call)
{
    struct saying s = { .who = { .verified = true } };
    struct buf bytes = { .arena = call->a };
    json_each(field, call->body) {
        u8 kind;
        if (s.who.value.len || !identifier_kind_of(field->key, &kind)) continue;
        s.who = (struct identifier){ kind, true,
                                     ingest_identifier(call->a, kind, json_text(call->a, field)) };
    }
    if (!read_purposes(call, "grant", &s.granted) || !read_purposes(call, "deny", &s.denied)) return;
    if (s.who.value.len == 0 || (s.granted | s.denied) == 0 || (s.granted & s.denied)) {
        call_fail(
            call, ERR_BAD_INPUT,
            "expected {\"email\": … or another identifier, \"grant\": [purposes], \"deny\": [purposes]}, each in one of them");
        return;
    }
    call->own = &s;
    on_fold(call, find_named);
    if (call->err) return;
    const struct event said = { .type = EVENT_CONSENT_CHANGED,
                                .name = S("Consent Changed"),
                                .at_ms = clock_now(call->api->clock),
                                .source = s.source,
                                .identifiers = &s.who,
                                .identifiers_n = 1,
                                .flags = EVENT_CHECKED,
                                .consent_granted = s.granted,
                                .consent_denied = s.denied,
                                .consent_source = S("privacy desk") };
    event_encode(&said, &bytes);
    struct entry entry = { ENTRY_EVENT, buf_str(&bytes) };
    if (fold_submit_wait(call->api->fold, &entry, 1, NULL)) {
        call_fail(call, ERR_DISK, "the log could not take it; nothing changed");
        return;
    }
    note_deed(call->api->admin, said.at_ms, call->author, "consent", S("of a person"));
    buf_add(&call->out, S("{}"));
}

void consents_post(struct call *call) { ask_jobs(call, take_consent); }
