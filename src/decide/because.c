/* SPDX-License-Identifier: Apache-2.0
 *
 * because.c - the sentences of because.def, in the language of a locale. */
#include "decide/decide.h"

static const char *const languages[] = { "en", "nb", "sv", "da", "de", "nl", "fr", "es", "it", "fi" };

static const str phrases[PHRASES][countof(languages)] = {
#define PHRASE(name, en, nb, sv, da, de, nl, fr, es, it, fi) \
    [PHRASE_##name] = { S_INIT(en), S_INIT(nb), S_INIT(sv), S_INIT(da), S_INIT(de), S_INIT(nl), S_INIT(fr), S_INIT(es), S_INIT(it), S_INIT(fi) },
#include "decide/because.def"
#undef PHRASE
};

u8 because_language(str locale)
{
    if (str_starts(locale, S("no")) || str_starts(locale, S("nn"))) return because_language(S("nb"));
    for (u8 i = 1; i < countof(languages); i++)
        if (str_starts(locale, str_of(languages[i])) && (locale.len == 2 || locale.ptr[2] == '-' || locale.ptr[2] == '_')) return i;
    return 0;
}

str because_phrase(enum phrase phrase, u8 language, str name, arena *a)
{
    str text = phrases[phrase][language];
    isize at = str_find(text, S("{}"));
    if (at < 0) return text;
    struct buf out = { .arena = a };
    buf_reserve(&out, text.len + name.len);
    buf_add(&out, (str){ text.ptr, at });
    buf_add(&out, name);
    buf_add(&out, str_from(text, at + 2));
    return buf_str(&out);
}
