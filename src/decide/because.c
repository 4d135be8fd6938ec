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

/* Asked once an item. */
u8 because_language(str locale)
{
    enum { NORWEGIAN = 1 };
    if (locale.len < 2) return 0;
    char first = locale.ptr[0], second = locale.ptr[1];
    if (first == 'n' && (second == 'o' || second == 'n')) return NORWEGIAN;
    if (locale.len > 2 && locale.ptr[2] != '-' && locale.ptr[2] != '_') return 0;
    for (u8 i = 1; i < countof(languages); i++)
        if (languages[i][0] == first && languages[i][1] == second) return i;
    return 0;
}

isize because_parts(enum phrase phrase, u8 language, str name, str parts[BECAUSE_PARTS])
{
    str text = phrases[phrase][language];
    isize at = str_find_char(text, '{');
    parts[0] = at < 0 ? text : str_slice(text, 0, at);
    if (at < 0) return 1;
    parts[1] = name;
    parts[2] = str_from(text, at + 2);
    return BECAUSE_PARTS;
}

str because_phrase(enum phrase phrase, u8 language, str name, arena *a)
{
    str parts[BECAUSE_PARTS];
    isize n = because_parts(phrase, language, name, parts);
    if (n == 1) return parts[0];
    struct buf out = { .arena = a };
    buf_reserve(&out, parts[0].len + parts[1].len + parts[2].len);
    for (isize i = 0; i < n; i++) buf_add(&out, parts[i]);
    return buf_str(&out);
}
