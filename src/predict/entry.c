/* SPDX-License-Identifier: Apache-2.0
 *
 * entry.c - scores and cards as they stand in the log, and the words for reasons.
 *
 * An entry is about one person, so that erasing a person erases whole entries: u32 person (0: a card), then the
 * scores, or the card's version and JSON. */
#include "predict/predict.h"

static void visit(struct codec *c, struct prediction *v)
{
    codec_u32(c, &v->person.v);
    if (v->person.v) {
        scores_visit(c, &v->scores);
        return;
    }
    codec_u32(c, &v->scores.version);
    codec_str(c, &v->card);
}

void prediction_encode(const struct prediction *prediction, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct prediction copy = *prediction;
    visit(&c, &copy);
}

enum err prediction_decode(str bytes, arena *a, struct prediction *out)
{
    struct codec c = codec_reader(bytes, a);
    *out = (struct prediction){ 0 };
    visit(&c, out);
    return c.failed || c.in.len ? ERR_DAMAGED : ERR_OK;
}

static const struct { const char *name, *words; } reasons[] = {
#define REASON(id, name, words) { name, words },
#include "predict/reason.def"
#undef REASON
};

const char *score_reason_name(u8 code) { return code < REASON_CODES ? reasons[code].name : "unknown"; }

/* The words come from reason.def alone, each with one %f in it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
str score_reason_text(arena *a, struct score_reason reason)
{
    return reason.code < REASON_CODES ? arena_printf(a, reasons[reason.code].words, (double)reason.number) : S("");
}
#pragma GCC diagnostic pop
