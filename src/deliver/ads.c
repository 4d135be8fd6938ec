/* SPDX-License-Identifier: Apache-2.0
 *
 * ads.c - people as advertising platforms may know them: by hashes of what they share already.
 *
 * Both big platforms match by SHA-256 of a normalised e-mail address or phone number. A person
 * without either, or without a yes to ads_sharing, is not in the file at all.
 */
#include <sodium.h>

#include "deliver/deliver.h"

static bool normal_email(str value, bool google, struct buf *out)
{
    str text = str_trim(value);
    isize at = str_find_char(text, '@');
    if (at < 1 || at + 3 > text.len) return false;
    str domain = str_from(text, at + 1);
    bool dots_mean_nothing =
        google
        && (str_eq_nocase(domain, S("gmail.com")) || str_eq_nocase(domain, S("googlemail.com")));
    for (isize i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (dots_mean_nothing && c == '.' && i < at) continue;
        buf_byte(out, c >= 'A' && c <= 'Z' ? (char)(c | 32) : c);
    }
    return true;
}

/* E.164. A number without a country is nobody's: it hashes to something that matches a stranger or no one. */
static bool normal_phone(str value, struct buf *out)
{
    str text = str_trim(value);
    if (str_starts(text, S("00"))) text = str_from(text, 2);
    else if (str_starts(text, S("+"))) text = str_from(text, 1);
    else return false;
    buf_byte(out, '+');
    isize digits = 0;
    for (isize i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9') { buf_byte(out, c); digits++; }
        else if (!memchr(" -().", c, 5)) return false;
    }
    return digits >= 8 && digits <= 15;
}

str ads_hash(arena *a, u8 identifier_kind, str value, bool google)
{
    struct buf normal = { .arena = a };
    u8 hash[crypto_hash_sha256_BYTES];
    char *hex = arena_new(a, char, 2 * crypto_hash_sha256_BYTES + 1);
    bool ok = identifier_kind == IDENTIFIER_EMAIL   ? normal_email(value, google, &normal)
              : identifier_kind == IDENTIFIER_PHONE ? normal_phone(value, &normal)
                                                    : false;
    if (!ok) return S("");
    crypto_hash_sha256(hash, (const u8 *)normal.ptr, (unsigned long long)normal.len);
    sodium_bin2hex(hex, 2 * sizeof hash + 1, hash, sizeof hash);
    return (str){ hex, 2 * (isize)sizeof hash };
}

isize ads_file(const struct deliver_view *view, const struct roll *roll, segment_id segment,
               u8 format, struct buf *out)
{
    isize lines = 0;
    bool google = format == ADS_GOOGLE;
    arena a = { 0 };
    buf_add(out, google ? S("Email,Phone\n") : S("email,phone\n"));
    for (i64 id = roll_next(roll, segment, 1); id >= 0; id = roll_next(roll, segment, (u32)id + 1)) {
        arena_clear(&a);
        const struct profile *p = people_read(view->people, (person_id){ (u32)id }, PEOPLE_CONSENTS, &a);
        if (!p || profile_consent(p, PURPOSE_ADS_SHARING) != CONSENT_GRANTED) continue;
        struct link links[IDENTIFIERS_PER_PERSON_MAX];
        isize n = identity_identifiers(view->identity, p->id, links, countof(links));
        str email = S(""), phone = S("");
        for (isize i = 0; i < n; i++) {
            str hash = ads_hash(&a, links[i].identifier.kind, links[i].identifier.value, google);
            if (hash.len == 0) continue;
            if (links[i].identifier.kind == IDENTIFIER_EMAIL) email = hash;
            else phone = hash;
        }
        if (email.len == 0 && phone.len == 0) continue;
        buf_printf(out, "%.*s,%.*s\n", STR_FMT(email), STR_FMT(phone));
        lines++;
    }
    arena_fini(&a);
    return lines;
}
