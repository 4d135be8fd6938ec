/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket.c - what a client gives back to say "seen" or "clicked", and the tokens of a preview link
 * and of a block in a letter.
 *
 * A token is URL-safe base64 of the varint fields and eight bytes of a keyed hash: BLAKE2b over a
 * purpose byte and the fields; for tickets, of which an answer has a dozen, SipHash-2-4 over the
 * fields, by a key that is made of the secret once a request. Tickets signed as the others, by an
 * older version, are still believed. All that attribution needs stands in it, so a decision whose
 * record was lost in the last second before a crash still counts.
 */
#include <sodium.h>

#include "base/clock.h"
#include "decide/decide.h"

enum { MAC_BYTES = 8, TOKEN_BYTES_MAX = 200, FOR_TICKET = 1, FOR_PREVIEW = 2, FOR_LETTER = 3 };

static void mac_of(const u8 secret[32], u8 purpose, str body, u8 mac[16])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, 32, 16);
    crypto_generichash_update(&state, &purpose, 1);
    crypto_generichash_update(&state, (const u8 *)body.ptr, (unsigned long long)body.len);
    crypto_generichash_final(&state, mac, 16);
}

/* libsodium's takes as long for secrets as for what is none; a ticket is none. */
static str base64_url(arena *a, str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = arena_room(a, char, bytes.len * 4 / 3 + 4), *to = text;
    isize i = 0;
    for (; i + 3 <= bytes.len; i += 3) {
        u32 v = (u32)(u8)bytes.ptr[i] << 16 | (u32)(u8)bytes.ptr[i + 1] << 8 | (u8)bytes.ptr[i + 2];
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = digits[v >> 6 & 63];
        *to++ = digits[v & 63];
    }
    if (i < bytes.len) {
        u32 v = (u32)(u8)bytes.ptr[i] << 16 | (i + 1 < bytes.len ? (u32)(u8)bytes.ptr[i + 1] << 8 : 0);
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        if (i + 1 < bytes.len) *to++ = digits[v >> 6 & 63];
    }
    return (str){ text, to - text };
}

static str seal(arena *a, const u8 secret[32], u8 purpose, struct buf *body)
{
    u8 mac[16];
    mac_of(secret, purpose, buf_str(body), mac);
    buf_add(body, (str){ (const char *)mac, MAC_BYTES });
    return base64_url(a, buf_str(body));
}

struct ticket_key ticket_key(const u8 secret[32])
{
    struct ticket_key key;
    static const char purpose[] = "opmaat ticket";
    static_assert(sizeof key.bytes == crypto_shorthash_siphash24_KEYBYTES
                      && MAC_BYTES == crypto_shorthash_siphash24_BYTES,
                  "as SipHash has them");
    crypto_generichash(key.bytes, sizeof key.bytes, (const u8 *)purpose, sizeof purpose - 1, secret, 32);
    return key;
}

static bool ticket_signed(const u8 secret[32], str body, const u8 *said)
{
    u8 mac[MAC_BYTES];
    struct ticket_key key = ticket_key(secret);
    crypto_shorthash_siphash24(mac, (const u8 *)body.ptr, (unsigned long long)body.len, key.bytes);
    return sodium_memcmp(mac, said, MAC_BYTES) == 0;
}

static bool unseal(const u8 secret[32], u8 purpose, str text, u8 *bytes, str *body)
{
    size_t n;
    u8 mac[16];
    if (text.len == 0 || text.len > TOKEN_BYTES_MAX) return false;
    if (sodium_base642bin(bytes, TOKEN_BYTES_MAX, text.ptr, (size_t)text.len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 || n <= MAC_BYTES) return false;
    *body = (str){ (const char *)bytes, (isize)n - MAC_BYTES };
    if (purpose == FOR_TICKET && ticket_signed(secret, *body, bytes + body->len)) return true;
    mac_of(secret, purpose, *body, mac);
    return sodium_memcmp(mac, bytes + body->len, MAC_BYTES) == 0;
}

static void visit_ticket(struct codec *c, struct ticket *v)
{
    codec_u64(c, &v->decision_key);
    codec_u32(c, &v->campaign);
    codec_u32(c, &v->item);
    codec_u16(c, &v->placement);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_u8(c, &v->reason);
    codec_bool(c, &v->programme_holdout);
    codec_i64(c, &v->at_ms);
}

str ticket_make(arena *a, const struct ticket_key *key, const struct ticket *ticket)
{
    char room[TOKEN_BYTES_MAX];
    struct buf body = { .ptr = room, .cap = sizeof room, .arena = a };
    struct codec c = codec_writer(&body);
    struct ticket copy = *ticket;
    u8 mac[MAC_BYTES];
    visit_ticket(&c, &copy);
    crypto_shorthash_siphash24(mac, (const u8 *)body.ptr, (unsigned long long)body.len, key->bytes);
    buf_add(&body, (str){ (const char *)mac, MAC_BYTES });
    return base64_url(a, buf_str(&body));
}

bool ticket_read(const u8 secret[32], str text, struct ticket *out)
{
    u8 bytes[TOKEN_BYTES_MAX];
    str body;
    if (!unseal(secret, FOR_TICKET, text, bytes, &body)) return false;
    struct codec c = codec_reader(body, NULL);
    *out = (struct ticket){ 0 };
    visit_ticket(&c, out);
    return !c.failed && c.in.len == 0;
}

struct preview { u32 campaign; u8 experience, variation; i64 until_ms; };

static void visit_preview(struct codec *c, struct preview *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_i64(c, &v->until_ms);
}

str preview_make(arena *a, const u8 secret[32], u32 campaign, u8 experience, u8 variation, i64 now_ms)
{
    struct buf body = { .arena = a };
    struct codec c = codec_writer(&body);
    struct preview p = { campaign, experience, variation, now_ms + DAY_MS };
    visit_preview(&c, &p);
    return seal(a, secret, FOR_PREVIEW, &body);
}

bool preview_read(const u8 secret[32], str text, i64 now_ms, u32 *campaign, u8 *experience, u8 *variation)
{
    u8 bytes[TOKEN_BYTES_MAX];
    str body;
    if (!unseal(secret, FOR_PREVIEW, text, bytes, &body)) return false;
    struct codec c = codec_reader(body, NULL);
    struct preview p = { 0 };
    visit_preview(&c, &p);
    if (c.failed || c.in.len || p.until_ms < now_ms) return false;
    *campaign = p.campaign;
    *experience = p.experience;
    *variation = p.variation;
    return true;
}

static void visit_letter(struct codec *c, struct letter_token *v)
{
    codec_u32(c, &v->node);
    codec_str(c, &v->placement);
    codec_str(c, &v->market);
    codec_str(c, &v->locale);
    codec_i64(c, &v->until_ms);
}

str letter_token_make(arena *a, const u8 secret[32], const struct letter_token *token)
{
    struct buf body = { .arena = a };
    struct codec c = codec_writer(&body);
    struct letter_token copy = *token;
    visit_letter(&c, &copy);
    return seal(a, secret, FOR_LETTER, &body);
}

bool letter_token_read(const u8 secret[32], str text, arena *a, struct letter_token *out)
{
    u8 bytes[TOKEN_BYTES_MAX];
    str body;
    if (!unseal(secret, FOR_LETTER, text, bytes, &body)) return false;
    struct codec c = codec_reader(arena_str(a, body), a);
    *out = (struct letter_token){ 0 };
    visit_letter(&c, out);
    return !c.failed && c.in.len == 0;
}
