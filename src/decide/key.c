/* SPDX-License-Identifier: Apache-2.0
 *
 * key.c - the keys a request comes with. Only a hash of each is kept. */
#include "decide/inside.h"

#include <sodium.h>

static struct hash128 key_hash(str key)
{
    u8 out[16];
    crypto_generichash(out, sizeof out, (const u8 *)key.ptr, (unsigned long long)key.len, NULL, 0);
    return (struct hash128){ load_u64le(out), load_u64le(out + 8) };
}

static bool hash_parse(str hex, struct hash128 *out)
{
    u8 bytes[16];
    size_t got;
    if (sodium_hex2bin(bytes, sizeof bytes, hex.ptr, (size_t)hex.len, NULL, &got, NULL) != 0
        || got != sizeof bytes)
        return false;
    *out = (struct hash128){ load_u64le(bytes), load_u64le(bytes + 8) };
    return true;
}

str key_document(arena *a, str key, bool secret, str source, str owner)
{
    u8 bytes[16];
    struct hash128 h = key_hash(key);
    store_u64le(bytes, h.hi);
    store_u64le(bytes + 8, h.lo);
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    char hex[33];
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "hash", (str){ hex, 32 });
    jsonw_key_str(&w, "kind", secret ? S("secret") : S("write"));
    jsonw_key_str(&w, "source", source);
    jsonw_key_str(&w, "owner", owner);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

void keys_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "key", KEYS_MAX);
    book->keys = arena_new(b->a, struct api_key, room);
    while (book->keys_n < room && (doc = building_next(b, "key", &at))) {
        struct api_key *k = &book->keys[book->keys_n++];
        *k = (struct api_key){ .secret = str_eq(json_get_str(doc, "kind"), S("secret")), .prefix = b->def->key,
                               .owner = json_get_str(doc, "owner"), .paused = b->def->paused,
                               .source = book_source(book, json_get_str(doc, "source")),
                               .author = arena_printf(b->a, "key %.*s", STR_FMT(b->def->key)) };
        if (!hash_parse(json_get_str(doc, "hash"), &k->hash))
            building_refuse(b, "hash", 0, "expected 32 hexadecimal digits");
        if (!k->source)
            building_refuse(b, "source", 0, "there is no source \"%.*s\"",
                            STR_FMT(json_get_str(doc, "source")));
    }
}

const struct api_key *book_key(const struct book *book, str key)
{
    if (key.len == 0 || key.len > 200) return NULL;
    struct hash128 h = key_hash(key);
    for (isize i = 0; i < book->keys_n; i++)
        if (hash128_eq(book->keys[i].hash, h) && !book->keys[i].paused) return &book->keys[i];
    return NULL;
}
