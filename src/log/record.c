/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c - the bytes of one record: everything that was received in one group commit.
 *
 * All integers are little-endian. A record is a header and its entries, without padding:
 *
 *    offset  size  field
 *         0     4  FF 4F 50 FE. FF and FE never stand in UTF-8, so no text that a stranger
 *                     sent looks like a record
 *         4     2  format, 1
 *         6     2  kind of record, 1: a batch of entries
 *         8     4  partition
 *        12     4  epoch of the partition's owner
 *        16     4  version of the fold that was running when it was written
 *        20     4  how many entries, at least 1
 *        24     8  number of the first entry
 *        32     8  when it came in, ms since 1970, by the writer's clock
 *        40     8  ordinal: how many records there are up to and with this one
 *        48    16  hash of the record before; zeros for the first
 *        64    16  own hash: BLAKE2b-128 of bytes 0 to 63 and the entries' hashes in order
 *        80     8  number of the first entry of the append this record was written by
 *        88     4  bytes of the whole record, header included
 *        92     4  zero
 *        96     8  checksum: XXH3-64 of the entries, seeded with XXH3-64 of bytes 0 to 95
 *       104     -  the entries, each:
 *
 *         0     4  bytes of its body
 *         4     1  flags, 1: erased; the body is what was left in its place, and no hash guards it
 *         5     3  zero
 *         8    16  hash: BLAKE2b-128 of the salt, the kind and the body
 *        24     8  salt, random
 *        32     1  kind
 *        33     n  body
 *
 * A record is valid if and only if (1) it begins with the four bytes, (2) its length is that of
 * a header and one entry at least, within RECORD_BYTES_MAX and within what there is, (3) the
 * checksum agrees, (4) the format and kind are known and (5) the entries' lengths add up to the
 * record's. It follows the one before if its first number and ordinal are the next ones and it
 * names that record's hash. Every later format keeps the first six bytes, the length and the
 * checksum where they are, so that an older program can tell "newer" from "damaged".
 *
 * There are two sums because there are two questions. "Was it written whole?" is asked of each
 * record at every start and read, so it must cost nothing: XXH3, over everything. "Is it what
 * was acknowledged?" is asked by `opmaat verify`: a chain of BLAKE2b hashes. That chain is over
 * the entries' hashes and not their bytes, so an erased entry (body, kind and salt gone, hash
 * kept) leaves every hash of the chain as it was; and because 64 random bits went into that hash
 * and are gone with the body, trying out all likely bodies does not tell what it was. The own
 * hash leaves out what erasing changes (length, checksum) and what storage alone cares about
 * (the append).
 *
 * Why the append's first number: its records are made durable by one sync, which may fail at any
 * byte of any of them. Recovery must not take a whole later record of the same append for proof
 * that an earlier torn one is damage. */
#include "log/record.h"

#include <sodium.h>

enum { MAGIC = 4, KIND_BATCH = 1, CHAINED = 64, SUMMED = 96, FLAG_ERASED = 1 };

static void store_hash(void *p, struct hash128 h)
{
    store_u64le(p, h.hi);
    store_u64le((u8 *)p + 8, h.lo);
}

static struct hash128 load_hash(const void *p)
{
    return (struct hash128){ load_u64le(p), load_u64le((const u8 *)p + 8) };
}

i64 record_size(const struct record *record)
{
    i64 size = RECORD_HEADER + record->entries_n * ENTRY_HEADER;
    for (isize i = 0; i < record->entries_n; i++) size += record->entries[i].bytes.len;
    return size;
}

static u64 checksum(const char *p, isize bytes)
{
    u64 seed = hash64((str){ p, SUMMED }, 0);
    return hash64((str){ p + RECORD_HEADER, bytes - RECORD_HEADER }, seed);
}

static void entry_hash(u8 *to, const u8 *salt_kind_body, isize body)
{
    int failed = crypto_generichash(to, 16, salt_kind_body, (u64)(9 + body), NULL, 0);
    assert(failed == 0);
}

/* Over the header's first bytes and the entries' hashes where they stand. */
static struct hash128 own_hash(const u8 *record, isize bytes)
{
    crypto_generichash_state state;
    u8 hash[16];
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    (void)crypto_generichash_update(&state, record, CHAINED);
    for (isize at = RECORD_HEADER; at < bytes; at += ENTRY_HEADER + load_u32le(record + at))
        (void)crypto_generichash_update(&state, record + at + 8, 16);
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    return load_hash(hash);
}

static void seal(u8 *p, isize bytes)
{
    store_u32le(p + 88, (u32)bytes);
    store_u64le(p + 96, checksum((const char *)p, bytes));
}

void record_write(struct buf *out, struct record *record, struct record_link link, const u8 *salts)
{
    i64 size = record_size(record);
    assert(record->entries_n > 0 && size <= RECORD_BYTES_MAX);
    buf_reserve(out, size);
    u8 *p = (u8 *)out->ptr + out->len;
    memset(p, 0, RECORD_HEADER);
    store_u32le(p, 0xfe504fffu);
    store_u16le(p + 4, RECORD_FORMAT);
    store_u16le(p + 6, KIND_BATCH);
    store_u32le(p + 8, record->partition);
    store_u32le(p + 12, record->epoch);
    store_u32le(p + 16, record->fold_version);
    store_u32le(p + 20, (u32)record->entries_n);
    store_u64le(p + 24, record->first);
    store_u64le(p + 32, (u64)record->at_ms);
    store_u64le(p + 40, link.ordinal);
    store_hash(p + 48, link.before);
    store_u64le(p + 80, link.commit);

    u8 *at = p + RECORD_HEADER;
    for (isize i = 0; i < record->entries_n; i++) {
        const struct entry *e = &record->entries[i];
        assert(e->kind < ENTRY_KINDS);
        store_u32le(at, (u32)e->bytes.len);
        memset(at + 4, 0, 4);
        memcpy(at + 24, salts + 8 * i, 8);
        at[32] = e->kind;
        if (e->bytes.len) memcpy(at + ENTRY_HEADER, e->bytes.ptr, (size_t)e->bytes.len);
        entry_hash(at + 8, at + 24, e->bytes.len);
        /* copied from another log: what its hash was made of is not told here either */
        if (e->kind == ENTRY_ERASED) {
            at[4] = FLAG_ERASED;
            memset(at + 24, 0, 8);
        }
        at += ENTRY_HEADER + e->bytes.len;
    }
    assert(at - p == size);
    record->hash = own_hash(p, size);
    store_hash(p + 64, record->hash);
    seal(p, size);
    out->len += size;
}

bool record_peek(const char *p, struct record_head *head)
{
    *head = (struct record_head){
        .first = load_u64le(p + 24), .ordinal = load_u64le(p + 40), .commit = load_u64le(p + 80),
        .at_ms = (i64)load_u64le(p + 32), .partition = load_u32le(p + 8), .epoch = load_u32le(p + 12),
        .fold_version = load_u32le(p + 16), .entries_n = load_u32le(p + 20), .bytes = load_u32le(p + 88),
        .before = load_hash(p + 48), .hash = load_hash(p + 64),
    };
    return record_begins(p) && head->bytes >= RECORD_HEADER + ENTRY_HEADER && head->bytes <= RECORD_BYTES_MAX;
}

static bool lengths_add_up(const char *p, const struct record_head *head)
{
    isize at = RECORD_HEADER, end = head->bytes;
    for (u32 i = 0; i < head->entries_n; i++) {
        if (end - at < ENTRY_HEADER) return false;
        isize body = load_u32le(p + at);
        if (body > end - at - ENTRY_HEADER) return false;
        at += ENTRY_HEADER + body;
    }
    return at == end && head->entries_n > 0;
}

enum record_state record_check(str bytes, struct record_head *head)
{
    *head = (struct record_head){ 0 };
    if (bytes.len < MAGIC) return RECORD_SHORT;
    if (!record_begins(bytes.ptr)) return RECORD_INVALID;
    if (bytes.len < RECORD_HEADER) return RECORD_SHORT;
    if (!record_peek(bytes.ptr, head)) return RECORD_INVALID;
    if (bytes.len < head->bytes) return RECORD_SHORT;
    if (load_u64le(bytes.ptr + 96) != checksum(bytes.ptr, head->bytes)) return RECORD_INVALID;
    if (load_u16le(bytes.ptr + 4) > RECORD_FORMAT || load_u16le(bytes.ptr + 6) > KIND_BATCH)
        return RECORD_NEWER;
    if (load_u16le(bytes.ptr + 4) == 0 || load_u16le(bytes.ptr + 6) == 0) return RECORD_INVALID;
    return lengths_add_up(bytes.ptr, head) ? RECORD_VALID : RECORD_INVALID;
}

bool record_read(str bytes, arena *a, struct record *out)
{
    struct record_head head;
    if (bytes.len < RECORD_HEADER || !record_peek(bytes.ptr, &head) || bytes.len < head.bytes
        || !lengths_add_up(bytes.ptr, &head)) return false;
    *out = (struct record){
        .first = head.first, .at_ms = head.at_ms, .partition = head.partition, .epoch = head.epoch,
        .fold_version = head.fold_version, .hash = head.hash, .entries_n = head.entries_n,
        .entries = arena_new(a, struct entry, head.entries_n),
    };
    const char *at = bytes.ptr + RECORD_HEADER;
    for (u32 i = 0; i < head.entries_n; i++) {
        isize body = load_u32le(at);
        out->entries[i] = (struct entry){ (u8)at[32], { at + ENTRY_HEADER, body } };
        at += ENTRY_HEADER + body;
    }
    return true;
}

bool record_prove(str bytes)
{
    const u8 *p = (const u8 *)bytes.ptr;
    for (isize at = RECORD_HEADER; at < bytes.len; at += ENTRY_HEADER + load_u32le(p + at)) {
        if (p[at + 4] & FLAG_ERASED) continue;
        u8 hash[16];
        entry_hash(hash, p + at + 24, load_u32le(p + at));
        if (memcmp(hash, p + at + 8, sizeof hash) != 0) return false;
    }
    return hash128_eq(own_hash(p, bytes.len), load_hash(p + 64));
}

void record_erase(struct buf *out, str bytes, const bool *gone, const str *stubs)
{
    struct record_head head;
    bool whole = record_peek(bytes.ptr, &head);
    assert(whole);
    isize room = bytes.len;
    for (u32 i = 0; stubs && i < head.entries_n; i++) room += stubs[i].len;
    buf_reserve(out, room);
    u8 *p = (u8 *)out->ptr + out->len;
    isize from = RECORD_HEADER, to = RECORD_HEADER;
    memcpy(p, bytes.ptr, RECORD_HEADER);
    for (isize i = 0; from < bytes.len; i++) {
        isize size = ENTRY_HEADER + load_u32le(bytes.ptr + from);
        isize kept = gone[i] ? ENTRY_HEADER : size;
        memcpy(p + to, bytes.ptr + from, (size_t)kept);
        if (gone[i]) {
            str stub = stubs ? stubs[i] : S("");
            store_u32le(p + to, (u32)stub.len);
            p[to + 4] = FLAG_ERASED;
            memset(p + to + 24, 0, 9);                  /* salt, and kind: ENTRY_ERASED */
            if (stub.len) memcpy(p + to + kept, stub.ptr, (size_t)stub.len);
            kept += stub.len;
        }
        from += size;
        to += kept;
    }
    seal(p, to);
    out->len += to;
}
