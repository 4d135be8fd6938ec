/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket.c - what a client gives back to say "seen" or "clicked", and the tokens of a preview link and of a block in a letter.
 *
 * A token is URL-safe base64 of the varint fields and eight bytes of keyed BLAKE2b over a purpose
 * byte and the fields. All that attribution needs stands in it, so a decision whose record was lost in the
 * last second before a crash still counts.
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

static str seal(arena *a, const u8 secret[32], u8 purpose, struct buf *body)
{
    u8 mac[16];
    mac_of(secret, purpose, buf_str(body), mac);
    buf_add(body, (str){ (const char *)mac, MAC_BYTES });
    size_t cap = sodium_base64_encoded_len((size_t)body->len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_new(a, char, (isize)cap);
    sodium_bin2base64(text, cap, (const u8 *)body->ptr, (size_t)body->len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return (str){ text, (isize)cap - 1 };
}

static bool unseal(const u8 secret[32], u8 purpose, str text, u8 *bytes, str *body)
{
    size_t n;
    u8 mac[16];
    if (text.len == 0 || text.len > TOKEN_BYTES_MAX) return false;
    if (sodium_base642bin(bytes, TOKEN_BYTES_MAX, text.ptr, (size_t)text.len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 || n <= MAC_BYTES) return false;
    *body = (str){ (const char *)bytes, (isize)n - MAC_BYTES };
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

str ticket_make(arena *a, const u8 secret[32], const struct ticket *ticket)
{
    struct buf body = { .arena = a };
    struct codec c = codec_writer(&body);
    struct ticket copy = *ticket;
    visit_ticket(&c, &copy);
    return seal(a, secret, FOR_TICKET, &body);
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
