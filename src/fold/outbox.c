/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.c - what connectors want is written down in the transaction of the state it comes from.
 *
 * So a replay after a crash writes the same rows under the same numbers, and the thread that sends
 * them (deliver/) needs no ear in here: it reads behind the flush. Rows stay some days, for sending again.
 */
#include "fold/inside.h"

void outbox_fini(struct outbox *outbox)
{
    for (isize i = 0; i < outbox->added.n; i++) mem_free_str(outbox->added.at[i].body);
    vec_fini(&outbox->added);
}

static void visit_row(struct codec *c, struct outbox_row *row)
{
    u32 person = row->person.v;
    u16 segment = row->segment.v;
    codec_u64(c, &row->seq);
    codec_u16(c, &row->connector);
    codec_u8(c, &row->kind);
    codec_i64(c, &row->at_ms);
    codec_u64(c, &row->ref);
    codec_u32(c, &person);
    codec_u16(c, &segment);
    codec_str(c, &row->body);
}

static void put(struct fold *fold, const struct connector *c, struct outbox_row row)
{
    struct outbox *outbox = &fold->outbox;
    struct buf bytes = { .arena = &fold->scratch };
    struct codec w = codec_writer(&bytes);
    row.seq = ++outbox->seq;
    row.connector = c->number;
    row.ref = fold->ref;
    visit_row(&w, &row);
    struct hash128 h = hash128(buf_str(&bytes), outbox->seq);
    outbox->digest = (struct hash128){ outbox->digest.hi + h.hi, outbox->digest.lo + h.lo };
    row.body = mem_str(row.body);
    if (fold->store) vec_push(&outbox->added, row);
    else mem_free_str(row.body);
}

void outbox_event(struct fold *fold, const struct event *e, person_id person)
{
    const struct book *book = atomic_load(&fold->live.book);
    str body = S("");
    for (isize i = 0; i < book->connectors_n; i++) {
        const struct connector *c = &book->connectors[i];
        if (c->profiles && person.v && e->traits_n)
            put(fold, c, (struct outbox_row){ .kind = OUTBOX_PROFILE, .at_ms = e->at_ms, .person = person });
        if (!connector_wants_event(c, e)) continue;
        struct buf bytes = { .arena = &fold->scratch };
        if (body.len == 0) {
            event_encode(e, &bytes);
            body = buf_str(&bytes);
        }
        put(fold, c,
            (struct outbox_row){
                .kind = OUTBOX_EVENT, .at_ms = e->at_ms, .person = person, .body = body });
    }
}

void outbox_moves(struct fold *fold, person_id person, const struct segment_change *moves, isize n,
                  i64 now_ms)
{
    const struct book *book = atomic_load(&fold->live.book);
    for (isize i = 0; i < book->connectors_n; i++)
        for (isize k = 0; k < n; k++)
            if (connector_wants_segment(&book->connectors[i], moves[k].segment))
                put(fold, &book->connectors[i],
                    (struct outbox_row){ .kind = moves[k].entered ? OUTBOX_ENTERED : OUTBOX_LEFT,
                                         .at_ms = now_ms,
                                         .person = person,
                                         .segment = moves[k].segment });
}

void outbox_consent(struct fold *fold, const struct profile *p, i64 now_ms)
{
    const struct book *book = atomic_load(&fold->live.book);
    for (isize i = 0; i < book->connectors_n; i++) {
        const struct connector *c = &book->connectors[i];
        for (isize k = 0; c->type == CONNECTOR_ADS && k < c->segments_n; k++) {
            const struct membership *m = profile_membership(p, c->segments[k]);
            if (m && m->member)
                put(fold, c,
                    (struct outbox_row){ .kind = OUTBOX_AGAIN,
                                         .at_ms = now_ms,
                                         .person = p->id,
                                         .segment = c->segments[k] });
        }
    }
}
