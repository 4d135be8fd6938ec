/* SPDX-License-Identifier: Apache-2.0
 *
 * pack.c - a person as bytes: in RAM, in the store and in the digest, the same ones.
 *
 * People are many and mostly not looked at, so what is kept of one is a run of bytes in one block;
 * who reads them unpacks what they ask for into an arena of their own, which costs less than the
 * cache lines that the unpacked form took. The sections stand in the order in which readers need
 * them (enum people_depth), so that an unpacking can stop, or pass over the memberships:
 *
 *   head         format, id, first and last seen, what moved out, known, the bucketing id, nodes
 *   consents, traits, exposures, scores
 *   memberships  their bytes counted, so that they can be passed over
 *   history      a count, then entries to the end
 *
 * Nothing but the facts decides the bytes: the same person is the same bytes, whatever way they
 * came to be. An entry depends on those before it alone, so that one more is added behind the bytes
 * there are.
 *
 * An entry's tag. 0sssstiv: shape s (what entries of a kind agree in, by the order they first came;
 * 14: no entry, only another instant; 15: told here), at the instant and of the ref before (t),
 * with an item (i), with a value (v). An instant alone is followed by moves; with v they are time's
 * own and name no ref. What t, i and v ask for follows, and times and refs as differences. 1liinnnn
 * nnnnnnnn: came into segment n or left it (l), at the instant and of the ref before, because of no
 * item (ii 0), the item before (1), or the item that follows (2). 1n11nnnn: the same as the move
 * before, of the segment n + 1 after that one's.
 *
 * A membership is how far its segment is from the one before, what kind of row it is (enum row),
 * and its times. They lie whole hours and days from what somebody did, so a time is the number of
 * its place within an hour, by the order those first came (that of the change before goes without
 * saying), and the hours or days since the first time in that place. */
#include "profile/inside.h"

enum { FORMAT = 5, VARINT_MAX = 10, ENTRY_BYTES_MAX = 64 };
enum {
    TAG_MOVE = 0x80,
    MOVE_LEFT = 0x40,
    MOVE_ITEM = 4,
    TAG_SHAPE = 3,
    TAG_SAME = 4,
    TAG_ITEM = 2,
    TAG_VALUE = 1,
    TAG_TIMED = 1,
    SHAPE_INSTANT = 14,
    SHAPE_TOLD = 15
};
enum {
    MOVE_ITEM_NONE,
    MOVE_ITEM_SAME,
    MOVE_ITEM_TOLD,
    MOVE_AGAIN,
    MOVE_STEP_MAX = 32,
    MOVE_SEGMENTS = 1 << 12
};
static_assert((int)HISTORY_SHAPES == (int)SHAPE_INSTANT, "numbers that are left for shapes");

/* ---- numbers --------------------------------------------------------------------------------- */

static u64 zigzag(i64 v) { return ((u64)v << 1) ^ (u64)(v >> 63); }
static i64 unzigzag(u64 v) { return (i64)(v >> 1) ^ -(i64)(v & 1); }

static inline char *put(char *at, u64 v)
{
    for (; v >= 0x80; v >>= 7) *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    return at;
}

struct reader { const u8 *at, *end; bool failed; };

static u64 get_long(struct reader *r)
{
    u64 v = 0;
    for (int shift = 0; shift < 7 * VARINT_MAX && r->at < r->end; shift += 7) {
        u8 byte = *r->at++;
        v |= (u64)(byte & 0x7f) << shift;
        if (byte < 0x80) return v;
    }
    r->failed = true;
    return 0;
}

/* Nearly all are of one byte or two. */
static inline u64 get(struct reader *r)
{
    const u8 *at = r->at;
    if (r->end - at < 2) return get_long(r);
    if (at[0] < 0x80) { r->at = at + 1; return at[0]; }
    if (at[1] >= 0x80) return get_long(r);
    r->at = at + 2;
    return (u64)(at[0] & 0x7f) | (u64)at[1] << 7;
}

static inline u64 get_most(struct reader *r, u64 most)
{
    u64 v = get(r);
    if (v <= most) return v;
    r->failed = true;
    return 0;
}

/* ---- history --------------------------------------------------------------------------------- */

static bool shape_eq(const struct entry_shape *x, const struct entry_shape *y)
{
    return x->type == y->type && x->quantity == y->quantity && x->currency == y->currency
           && x->flags == y->flags && x->channel == y->channel && x->node == y->node;
}

static int shape_of(const struct history_coder *c, const struct entry_shape *shape)
{
    for (int i = 0; i < c->shapes_n; i++)
        if (shape_eq(&c->shapes[i], shape)) return i;
    return SHAPE_TOLD;
}

static bool is_plain_move(const struct history_entry *e)
{
    return history_is_move(e) && e->quantity >= 0 && e->quantity < MOVE_SEGMENTS && !e->value_minor
           && !e->currency && !e->channel && !e->node && !e->flags;
}

static char *put_instant(struct history_coder *c, char *at, const struct history_entry *e, int order)
{
    at = put(at, (u64)e->at_ms - (u64)c->at_ms);
    at = put(at, zigzag((i64)(e->ref - c->ref[order])));
    c->at_ms = e->at_ms;
    c->ref[order] = e->ref;
    c->timed = false;
    return at;
}

static void note_move(struct history_coder *c, const struct history_entry *e)
{
    c->move_type = e->type;
    c->move_segment = (u16)e->quantity;
    c->move_item = e->item;
}

static char *put_move(struct history_coder *c, char *at, const struct history_entry *e)
{
    bool timed = e->ref == 0;
    int step = e->quantity - c->move_segment - 1;
    if (e->type == c->move_type && e->item == c->move_item && step >= 0 && step < MOVE_STEP_MAX
        && e->at_ms == c->at_ms && timed == c->timed && (timed || e->ref == c->ref[0])) {
        *at++ = (char)(TAG_MOVE | (step & 16 ? MOVE_LEFT : 0) | MOVE_AGAIN << MOVE_ITEM | (step & 15));
        c->move_segment = (u16)e->quantity;
        return at;
    }
    note_move(c, e);
    if (timed && (!c->timed || e->at_ms != c->at_ms)) {
        *at++ = (char)(SHAPE_INSTANT << TAG_SHAPE | TAG_TIMED);
        at = put(at, (u64)e->at_ms - (u64)c->at_ms);
        c->at_ms = e->at_ms;
        c->timed = true;
    } else if (!timed && (c->timed || e->at_ms != c->at_ms || e->ref != c->ref[0])) {
        *at++ = (char)(SHAPE_INSTANT << TAG_SHAPE);
        at = put_instant(c, at, e, 0);
    }
    int item = e->item == 0 ? MOVE_ITEM_NONE : e->item == c->item ? MOVE_ITEM_SAME : MOVE_ITEM_TOLD;
    *at++ = (char)(TAG_MOVE | (e->type == EVENT_SEGMENT_LEFT ? MOVE_LEFT : 0) | item << MOVE_ITEM | e->quantity >> 8);
    *at++ = (char)(e->quantity & 0xff);
    if (item == MOVE_ITEM_TOLD) at = put(at, c->item = e->item);
    return at;
}

static char *put_entry(struct history_coder *c, char *at, const struct history_entry *e)
{
    if (is_plain_move(e)) return put_move(c, at, e);
    c->move_type = 0;
    struct entry_shape shape = { e->quantity, e->type, e->currency, e->flags, e->channel, e->node };
    int number = shape_of(c, &shape), order = (e->flags & HISTORY_ORDER) != 0;
    bool same = e->at_ms == c->at_ms && e->ref == c->ref[order];
    *at++ = (char)(number << TAG_SHAPE | (same ? TAG_SAME : 0) | (e->item ? TAG_ITEM : 0) | (e->value_minor ? TAG_VALUE : 0));
    if (number == SHAPE_TOLD) {
        const u64 told[] = { e->type, zigzag(e->quantity), e->currency, e->flags, e->channel, e->node };
        for (isize i = 0; i < countof(told); i++) at = put(at, told[i]);
        if (c->shapes_n < HISTORY_SHAPES) c->shapes[c->shapes_n++] = shape;
    }
    if (!same) at = put_instant(c, at, e, order);
    if (e->item) at = put(at, c->item = e->item);
    if (e->value_minor) at = put(at, zigzag(e->value_minor));
    return at;
}

void history_pack(struct history_coder *c, const struct history_entry *entries, isize n, struct buf *out)
{
    buf_reserve(out, n * ENTRY_BYTES_MAX);
    char *at = out->ptr + out->len;
    for (isize i = 0; i < n; i++) at = put_entry(c, at, &entries[i]);
    out->len = at - out->ptr;
}

static struct entry_shape get_shape(struct reader *r)
{
    struct entry_shape s = { 0 };
    s.type = (u16)get_most(r, UINT16_MAX);
    i64 quantity = unzigzag(get_most(r, UINT32_MAX));
    s.quantity = (i32)quantity;
    s.currency = (u16)get_most(r, UINT16_MAX);
    s.flags = (u16)get_most(r, UINT16_MAX);
    s.channel = (u8)get_most(r, UINT8_MAX);
    s.node = (u8)get_most(r, UINT8_MAX);
    return s;
}

static void get_instant(struct reader *r, struct history_coder *c, int order)
{
    c->at_ms = (i64)((u64)c->at_ms + get(r));
    c->ref[order] += (u64)unzigzag(get(r));
    c->timed = false;
}

static void get_moment(struct reader *r, struct history_coder *c, u8 tag)
{
    if (!(tag & TAG_TIMED)) { get_instant(r, c, 0); return; }
    c->at_ms = (i64)((u64)c->at_ms + get(r));
    c->timed = true;
}

static void get_move(struct reader *r, struct history_coder *c, u8 tag, struct history_entry *out)
{
    if ((tag >> MOVE_ITEM & 3) == MOVE_AGAIN) {
        int segment = c->move_segment + 1 + (tag & 15) + (tag & MOVE_LEFT ? 16 : 0);
        r->failed |= c->move_type == 0 || segment >= MOVE_SEGMENTS;
        c->move_segment = (u16)segment;
        *out = (struct history_entry){ .at_ms = c->at_ms, .ref = c->timed ? 0 : c->ref[0], .quantity = segment, .item = c->move_item, .type = c->move_type };
        return;
    }
    r->failed |= r->at == r->end;
    u8 low = r->at < r->end ? *r->at++ : 0;
    int item = tag >> MOVE_ITEM & 3;
    *out = (struct history_entry){ .at_ms = c->at_ms, .ref = c->timed ? 0 : c->ref[0], .quantity = (tag & 15) << 8 | low,
                                   .type = tag & MOVE_LEFT ? EVENT_SEGMENT_LEFT : EVENT_SEGMENT_ENTERED };
    if (item == MOVE_ITEM_TOLD) c->item = (u32)get_most(r, UINT32_MAX);
    if (item != MOVE_ITEM_NONE) out->item = c->item;
    note_move(c, out);
}

static void get_entry(struct reader *r, struct history_coder *c, u8 tag, struct history_entry *out)
{
    int number = tag >> TAG_SHAPE;
    struct entry_shape s = { 0 };
    c->move_type = 0;
    if (number < c->shapes_n) {
        s = c->shapes[number];
    } else if (number == SHAPE_TOLD) {
        s = get_shape(r);
        if (c->shapes_n < HISTORY_SHAPES) c->shapes[c->shapes_n++] = s;
    } else {
        r->failed = true;
    }
    int order = (s.flags & HISTORY_ORDER) != 0;
    if (!(tag & TAG_SAME)) get_instant(r, c, order);
    if (tag & TAG_ITEM) c->item = (u32)get_most(r, UINT32_MAX);
    *out = (struct history_entry){ .at_ms = c->at_ms,
                                   .ref = c->ref[order],
                                   .item = tag & TAG_ITEM ? c->item : 0,
                                   .quantity = s.quantity,
                                   .type = s.type,
                                   .currency = s.currency,
                                   .channel = s.channel,
                                   .node = s.node,
                                   .flags = s.flags };
    if (tag & TAG_VALUE) out->value_minor = unzigzag(get(r));
}

/* As many entries as there are; false unless they are all the bytes. */
static bool history_unpack(str bytes, struct history_coder *c, struct history_entry *out, isize n)
{
    struct reader r = { (const u8 *)bytes.ptr, (const u8 *)bytes.ptr + bytes.len, false };
    *c = (struct history_coder){ 0 };
    for (isize i = 0; i < n && !r.failed;) {
        u8 tag = r.at < r.end ? *r.at++ : SHAPE_INSTANT << TAG_SHAPE;
        if (tag & TAG_MOVE) get_move(&r, c, tag, &out[i++]);
        else if (tag >> TAG_SHAPE == SHAPE_INSTANT) get_moment(&r, c, tag);
        else get_entry(&r, c, tag, &out[i++]);
    }
    return !r.failed && r.at == r.end;
}

/* ---- memberships ----------------------------------------------------------------------------- */

enum { PLACES_MAX = 64, ROW_BYTES_MAX = 64 };
/* A row's head: 8 times the step to its segment, and 3 times whether they are in (since a time at
 * the place of the last change), and the next change. Any other row has a byte more: whether they
 * are in, twice since when, 8 times the change. Changes come first. */
enum row { ROW_IN = 3, ROW_OTHER = 6, ROW_STEP = 3, ROW_SINCE = 1, ROW_CHANGE = 3 };
enum at { AT_NO_TIME, AT_SAME, AT_TOLD, ATS };          /* a time's place: that of the last change, or told */
/* first: time there; last: of the change before; -1: none */
struct places { i64 first[PLACES_MAX + 1], began_hour; u32 ms[PLACES_MAX + 1]; int n, last; };
enum { HOURS_MAX = 1 << 30 };

static i64 hour_of(i64 at_ms) { return at_ms / HOUR_MS - (at_ms % HOUR_MS < 0); }
static u32 place_of(i64 at_ms) { return (u32)(at_ms % HOUR_MS + (at_ms % HOUR_MS < 0 ? HOUR_MS : 0)); }

static int place_find(const struct places *p, u32 ms)
{
    int i = 0;
    while (i < p->n && p->ms[i] != ms) i++;
    return i;
}

static char *put_span(char *at, i64 ms)
{
    return put(at, ms % DAY_MS == 0 ? zigzag(ms / DAY_MS) << 1 | 1 : zigzag(ms / HOUR_MS) << 1);
}

/* At place i, which may be one that was not met yet; `tells` says which. */
static char *put_time(struct places *p, char *at, i64 at_ms, int i, bool tells)
{
    if (tells) at = put(at, (u64)i);
    if (i < p->n) return put_span(at, at_ms - p->first[i]);
    assert(at_ms > -(i64)HOURS_MAX / 2 * HOUR_MS && at_ms < (i64)HOURS_MAX / 2 * HOUR_MS);
    u32 ms = place_of(at_ms);
    p->ms[i] = ms;
    p->first[i] = at_ms;
    p->n += i < PLACES_MAX;
    return put_span(put(at, ms), at_ms - (i64)ms - p->began_hour * HOUR_MS);
}

static inline i64 get_span(struct reader *r)
{
    u64 told = get_most(r, (u64)HOURS_MAX * 4);
    return unzigzag(told >> 1) * (told & 1 ? DAY_MS : HOUR_MS);
}

static i64 get_new(struct reader *r, struct places *p)
{
    u32 ms = (u32)get_most(r, HOUR_MS - 1);
    i64 at_ms = p->began_hour * HOUR_MS + ms + get_span(r);
    p->ms[p->n] = ms;
    p->first[p->n] = at_ms;
    p->n += p->n < PLACES_MAX;
    return at_ms;
}

static inline i64 get_time(struct reader *r, struct places *p, int i)
{
    return i < p->n ? p->first[i] + get_span(r) : get_new(r, p);
}

static enum at at_of(const struct places *p, int place)
{
    return place == p->last && place < p->n ? AT_SAME : AT_TOLD;
}

/* Behind their length, which is known last. */
static void memberships_pack(const struct profile *p, struct buf *out)
{
    const struct membership *rows = p->memberships;
    isize n = p->memberships_n;
    struct places places;
    places.n = 0;
    places.last = -1;
    places.began_hour = hour_of(p->created_at_ms);
    u16 before = 0;
    buf_reserve(out, 2 * VARINT_MAX + n * ROW_BYTES_MAX);
    char *length = out->ptr + out->len, *from = length + VARINT_MAX, *at = put(from, (u64)n);
    for (isize i = 0; i < n; i++) {
        const struct membership *m = &rows[i];
        bool changes = m->next_change_at_ms != TIME_NEVER;
        u32 ms = changes ? place_of(m->next_change_at_ms) : 0, since_ms = 0;
        int place = !changes                                           ? places.last
                    : places.last >= 0 && places.ms[places.last] == ms ? places.last
                                                                       : place_find(&places, ms);
        int change = changes ? (int)at_of(&places, place) : AT_NO_TIME, since = AT_NO_TIME;
        /* as if the change were written, so that its place is met */
        if (m->entered_at_ms) {
            since_ms = place_of(m->entered_at_ms);
            if (changes) since = since_ms == ms && place < PLACES_MAX ? AT_SAME : AT_TOLD;
            else since = (int)at_of(&places, place_find(&places, since_ms));
        }
        bool usual = since == (m->member ? AT_SAME : AT_NO_TIME);
        at = put(at, (u64)(u16)(m->segment - before) << ROW_STEP
                         | (u64)(usual ? (m->member ? ROW_IN : 0) + change : ROW_OTHER));
        if (!usual) *at++ = (char)((m->member ? 1 : 0) | since << ROW_SINCE | change << ROW_CHANGE);
        if (changes) at = put_time(&places, at, m->next_change_at_ms, place, change == AT_TOLD);
        places.last = place;
        if (since)
            at = put_time(&places, at, m->entered_at_ms,
                          since == AT_SAME ? place : place_find(&places, since_ms),
                          since == AT_TOLD);
        before = m->segment;
    }
    char *to = put(length, (u64)(at - from));
    memmove(to, from, (size_t)(at - from));
    out->len = to + (at - from) - out->ptr;
}

static inline i64 get_told(struct reader *r, struct places *p, int *place)
{
    *place = (int)get_most(r, (u64)p->n);
    return get_time(r, p, *place);
}

static bool memberships_unpack(str bytes, arena *a, struct profile *out)
{
    struct reader whole = { (const u8 *)bytes.ptr, (const u8 *)bytes.ptr + bytes.len, false }, *r = &whole;
    struct places places;
    places.n = 0;
    places.last = -1;
    places.began_hour = hour_of(out->created_at_ms);
    u16 before = 0;
    isize n = (isize)get_most(r, min_isize(bytes.len, UINT16_MAX));
    struct membership *rows = arena_room(a, struct membership, n);
    for (isize i = 0; i < n; i++) {
        u64 head = get_most(r, (UINT64_C(1) << (16 + ROW_STEP)) - 1);
        int kind = head & 7, told, change = kind % ROW_IN, since = kind >= ROW_IN ? AT_SAME : AT_NO_TIME;
        struct membership m = { .segment = (u16)(before + (head >> ROW_STEP)),
                                .member = kind >= ROW_IN,
                                .next_change_at_ms = TIME_NEVER };
        if (kind >= ROW_OTHER) {
            u64 more = get_most(r, UINT8_MAX);
            m.member = more & 1;
            since = more >> ROW_SINCE & 3;
            change = more >> ROW_CHANGE & 3;
            r->failed |= kind > ROW_OTHER || since >= ATS || change >= ATS;
        }
        r->failed |= (change == AT_SAME || (since == AT_SAME && change == AT_NO_TIME)) && places.last < 0;
        if (r->failed) break;
        if (change == AT_SAME) m.next_change_at_ms = get_time(r, &places, places.last);
        if (change == AT_TOLD) m.next_change_at_ms = get_told(r, &places, &places.last);
        if (since == AT_SAME) m.entered_at_ms = get_time(r, &places, places.last);
        if (since == AT_TOLD) m.entered_at_ms = get_told(r, &places, &told);
        before = m.segment;
        out->next_change_at_ms = min_i64(out->next_change_at_ms, m.next_change_at_ms);
        rows[i] = m;
    }
    if (r->failed || r->at != r->end) return false;
    out->memberships = rows;
    out->memberships_n = n;
    return true;
}

/* ---- facts ----------------------------------------------------------------------------------- */

enum {
    TRAIT_KIND = 7,
    TRAIT_ORIGIN = 3,
    TRAIT_B = 1 << 5,
    TRAIT_N = 1 << 6,
    TRAIT_TEXT = 1 << 7,
    TRAIT_SAME_SOURCE = 1 << 8,
    TRAIT_SAME_NODE = 1 << 9
};

/* A fact beside the one before it, of which there mostly is one source and one node: the first
 * beside nobody, at the first node. */
static void visit_trait(struct codec *c, struct trait *v, const struct trait *before, i64 since_ms)
{
    bool writes = !codec_reads(c);
    u16 head = 0;
    if (writes) {
        assert(v->fact.kind <= TRAIT_KIND);
        assert(v->origin <= 3);
        head = (u16)(v->fact.kind | v->origin << TRAIT_ORIGIN | (v->fact.b ? TRAIT_B : 0)
                     | (memcmp(&v->fact.n, &(f64){ 0 }, sizeof v->fact.n) ? TRAIT_N : 0)
                     | (v->fact.text.len ? TRAIT_TEXT : 0)
                     | (str_eq(before->source, v->source) ? TRAIT_SAME_SOURCE : 0)
                     | (before->node == v->node ? TRAIT_SAME_NODE : 0));
    }
    codec_u16(c, &head);
    codec_str(c, &v->fact.name);
    i64 at_ms = writes ? (i64)((u64)v->at_ms - (u64)since_ms) : 0;
    codec_i64(c, &at_ms);
    if (head & TRAIT_N) codec_f64(c, &v->fact.n);
    if (head & TRAIT_TEXT) codec_str(c, &v->fact.text);
    if (!(head & TRAIT_SAME_SOURCE)) codec_str(c, &v->source);
    if (!(head & TRAIT_SAME_NODE)) codec_u32(c, &v->node);
    if (writes) return;
    if (head & TRAIT_SAME_SOURCE) v->source = before->source;
    if (head & TRAIT_SAME_NODE) v->node = before->node;
    v->fact.kind = head & TRAIT_KIND;
    v->origin = head >> TRAIT_ORIGIN & 3;
    v->fact.b = (head & TRAIT_B) != 0;
    v->at_ms = (i64)((u64)at_ms + (u64)since_ms);
}

static void visit_traits(struct codec *c, struct profile *v)
{
    const struct trait first = { .node = v->nodes_n ? v->nodes[0] : 0 };
    struct trait *traits = (struct trait *)(uintptr_t)v->traits;
    v->traits_n = codec_count(c, v->traits_n, 1 << 16);
    if (codec_reads(c))
        v->traits = traits = v->traits_n ? arena_new(c->arena, struct trait, v->traits_n) : NULL;
    for (isize i = 0; i < v->traits_n; i++)
        visit_trait(c, &traits[i], i ? &traits[i - 1] : &first, v->created_at_ms);
}

enum {
    CONSENT_STATE = 4,
    CONSENT_SAME_SOURCE = 1 << 6,
    CONSENT_SAME_NODE = 1 << 7,
    CONSENT_SAME_TIME = 1 << 8
};

/* As a fact: they mostly come together. */
static void visit_consent(struct codec *c, struct consent_entry *v, const struct consent_entry *before)
{
    bool writes = !codec_reads(c);
    u16 head = 0;
    if (writes) {
        assert(v->purpose <= 15 && v->state <= 3);
        head = (u16)(v->purpose | v->state << CONSENT_STATE
                     | (str_eq(before->source, v->source) ? CONSENT_SAME_SOURCE : 0)
                     | (before->node == v->node ? CONSENT_SAME_NODE : 0)
                     | (before->at_ms == v->at_ms ? CONSENT_SAME_TIME : 0));
    }
    codec_u16(c, &head);
    i64 at_ms = writes ? (i64)((u64)v->at_ms - (u64)before->at_ms) : 0;
    if (!(head & CONSENT_SAME_NODE)) codec_u32(c, &v->node);
    if (!(head & CONSENT_SAME_TIME)) codec_i64(c, &at_ms);
    if (!(head & CONSENT_SAME_SOURCE)) codec_str(c, &v->source);
    if (writes) return;
    if (head & CONSENT_SAME_SOURCE) v->source = before->source;
    if (head & CONSENT_SAME_NODE) v->node = before->node;
    v->purpose = head & 15;
    v->state = head >> CONSENT_STATE & 3;
    v->at_ms = (i64)((u64)at_ms + (u64)before->at_ms);
}

static void visit_consents(struct codec *c, struct profile *v)
{
    const struct consent_entry first = { .node = v->nodes_n ? v->nodes[0] : 0, .at_ms = v->created_at_ms };
    struct consent_entry *consents = (struct consent_entry *)(uintptr_t)v->consents;
    v->consents_n = codec_count(c, v->consents_n, 1 << 16);
    if (codec_reads(c))
        v->consents = consents =
            v->consents_n ? arena_new(c->arena, struct consent_entry, v->consents_n) : NULL;
    for (isize i = 0; i < v->consents_n; i++) visit_consent(c, &consents[i], i ? &consents[i - 1] : &first);
}

/* They rise; the first mostly is the person's own number. */
static void visit_nodes(struct codec *c, struct profile *v)
{
    u32 *nodes = (u32 *)(uintptr_t)v->nodes;
    i64 before = v->id.v;
    v->nodes_n = codec_count(c, v->nodes_n, NODES_PER_PERSON_MAX);
    if (codec_reads(c)) v->nodes = nodes = v->nodes_n ? arena_new(c->arena, u32, v->nodes_n) : NULL;
    for (isize i = 0; i < v->nodes_n; i++) {
        i64 step = codec_reads(c) ? 0 : nodes[i] - before;
        codec_i64(c, &step);
        if (codec_reads(c)) nodes[i] = (u32)((u64)before + (u64)step);
        before = nodes[i];
    }
}

static void visit_exposure(struct codec *c, struct exposure *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->variation);
    codec_u8(c, &v->flags);
    codec_u32(c, &v->node);
    codec_i64(c, &v->first_at_ms);
    codec_i64(c, &v->last_at_ms);
    codec_u32(c, &v->views);
    codec_u32(c, &v->clicks);
    codec_u32(c, &v->orders);
    codec_i64(c, &v->revenue_minor);
    codec_u16(c, &v->currency);
}

/* Lists are read into rooms of the arena and written from where they stand: so the pointers may
 * lose their const. */
static void visit_head(struct codec *c, struct profile *v)
{
    u8 format = FORMAT;
    i64 lasted_ms = codec_reads(c) ? 0 : (i64)((u64)v->last_at_ms - (u64)v->created_at_ms);
    codec_u8(c, &format);
    if (format != FORMAT) c->failed = true;
    codec_u32(c, &v->id.v);
    codec_i64(c, &v->created_at_ms);
    codec_i64(c, &lasted_ms);
    if (codec_reads(c)) v->last_at_ms = (i64)((u64)lasted_ms + (u64)v->created_at_ms);
    codec_i64(c, &v->older_events);
    codec_bool(c, &v->known);
    codec_str(c, &v->bucketing_id);
    visit_nodes(c, v);
    visit_consents(c, v);
}

static void visit_facts(struct codec *c, struct profile *v)
{
    struct exposure *exposures = (struct exposure *)(uintptr_t)v->exposures;
    struct scores *scores = (struct scores *)(uintptr_t)v->scores;
    struct buf bytes = { 0 };
    str packed = { 0 };
    visit_traits(c, v);
    codec_list(c, struct exposure, exposures, v->exposures_n, 1 << 16, visit_exposure);
    v->exposures = exposures;
    /* bytes of their own: what is last in them shows by their end */
    if (scores) {
        struct codec w = codec_writer(&bytes);
        scores_visit(&w, scores);
        packed = buf_str(&bytes);
    }
    codec_str(c, &packed);
    buf_fini(&bytes);
    if (!codec_reads(c) || packed.len == 0) return;
    struct codec r = codec_reader(packed, c->arena);
    v->scores = scores = arena_new(c->arena, struct scores, 1);
    scores_visit(&r, scores);
    c->failed |= r.failed || r.in.len > 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void profile_pack(const struct profile *p, const struct unpacked *old, isize kept, struct buf *out)
{
    struct profile copy = *p;
    struct codec c = codec_writer(out);
    visit_head(&c, &copy);
    visit_facts(&c, &copy);
    /* what times are told from */
    bool same = old && p->memberships_n == old->profile.memberships_n
                && p->created_at_ms == old->profile.created_at_ms;
    for (isize i = 0; same && i < p->memberships_n; i++) {
        const struct membership *m = &p->memberships[i], *o = &old->profile.memberships[i];
        same = m->segment == o->segment && m->member == o->member
               && m->entered_at_ms == o->entered_at_ms
               && m->next_change_at_ms == o->next_change_at_ms;
    }
    if (same) {
        str memberships = old->memberships;
        codec_str(&c, &memberships);
    } else {
        memberships_pack(p, out);
    }
    (void)codec_count(&c, p->history_n, HISTORY_MAX);
    struct history_coder coder = { 0 };
    if (old && kept == old->profile.history_n) {
        coder = old->coder;
        buf_add(out, old->history);
    } else {
        kept = 0;
    }
    history_pack(&coder, p->history + kept, p->history_n - kept, out);
}

bool profile_unpack_rest(struct unpacked *u, arena *a)
{
    if (u->whole) return true;
    u->whole = true;
    return memberships_unpack(u->memberships, a, &u->profile);
}

bool profile_unpack(str bytes, enum people_depth depth, isize spare, arena *a, struct unpacked *out)
{
    struct codec c = codec_reader(bytes, a);
    struct profile *p = &out->profile;
    *p = (struct profile){ .next_change_at_ms = TIME_NEVER };
    out->whole = false;
    visit_head(&c, p);
    if (depth == PEOPLE_CONSENTS || c.failed) return !c.failed;
    visit_facts(&c, p);
    codec_str(&c, &out->memberships);
    if (depth == PEOPLE_FACTS || c.failed) return !c.failed;
    if (depth == PEOPLE_WHOLE && !profile_unpack_rest(out, a)) return false;
    p->history_n = codec_count(&c, 0, HISTORY_MAX);
    if (c.failed) return false;
    out->history = c.in;
    struct history_entry *entries = arena_room(a, struct history_entry, p->history_n + spare);
    p->history = entries;
    return history_unpack(c.in, &out->coder, entries, p->history_n);
}

void profile_encode(const struct profile *p, struct buf *out) { profile_pack(p, NULL, 0, out); }
