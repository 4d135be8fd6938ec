/* SPDX-License-Identifier: Apache-2.0
 *
 * entry.c - scores and cards as they stand in the log, and the words for reasons.
 *
 * An entry is about one person, so that erasing a person erases whole entries: u32 person (0: a
 * card), then the scores, or the card's version and JSON. */
#include "predict/predict.h"

#include <math.h>

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

static str picked(str words, f32 number)
{
    struct str_cut cut = str_cut(words, '|');
    for (isize i = 0; i < (isize)number && cut.tail.len; i++) cut = str_cut(cut.tail, '|');
    return cut.head;
}

static str with_money(arena *a, str words, f64 number, currency in)
{
    struct str_cut before = str_cut(words, '{'), after = str_cut(before.tail, '}');
    char code[4];
    int digits = in.v ? currency_digits(in) : 2;
    if (str_eq(after.head, S("minor"))) number /= pow(10, digits);
    str unit = in.v ? currency_code(in, code) : S("");
    return arena_printf(a, "%.*s%.*s%s%.*f%.*s", STR_FMT(before.head), STR_FMT(unit),
                        unit.len ? " " : "", digits, number, STR_FMT(after.tail));
}

/* The formats come from reason.def alone, each with one %f in it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
str score_reason_text(arena *a, struct score_reason reason, currency in)
{
    if (reason.code >= REASON_CODES) return S("");
    str words = str_of(reasons[reason.code].words);
    if (str_cut(words, '|').found) return picked(words, reason.number);
    if (str_cut(words, '{').found) return with_money(a, words, (f64)reason.number, in);
    return arena_printf(a, reasons[reason.code].words, (double)reason.number);
}
#pragma GCC diagnostic pop
