/* SPDX-License-Identifier: Apache-2.0
 *
 * words.c - a text as the words it is found by.
 *
 * A word is a run of letters and digits, in lower case, stemmed by the language of its text
 * (Snowball) and then without accents, so that what was typed without them is found as well. A
 * language that is not written with spaces gives one word a character; that neighbours stand side
 * by side then does what spaces would.
 *
 * Numbers keep their decimals: "15,6" and "15.6" are one word, "1,024" is 1024. A number and a unit
 * give one more word, in a base unit: "2 m" and "200cm" both 2000mm, "16 GB" and "16gb" both
 * 16000mb. Runs joined by a hyphen or a dot give one more word without it: "TN-2110" is also
 * tn2110, "wi-fi" also wifi. These extras take no place in the text and count for no length.
 *
 * What a title is about is its last noun before it says more: "scanner" in "HP L2683A scanner 600 x
 * 600 dpi", and not in "scanner shelf", nor in "roller for scanner". Without knowing nouns, a word
 * ends its run when nothing, a number, a mark or a small word follows; a colour too, which only the
 * catalogue knows (the caller judges by `next`). Words behind "for" and its like relate.
 */
#include "search/inside.h"

#include <libstemmer.h>

/* ---- letters -------------------------------------------------------------------------------- */

/* The code point at *at of checked UTF-8, and the place behind it. Bytes that make none count as a space. */
static u32 decode(str s, isize *at)
{
    const u8 *p = (const u8 *)s.ptr + *at;
    isize left = s.len - *at;
    isize more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : -1;
    bool sound = more >= 0 && more < left;
    for (isize i = 1; sound && i <= more; i++) sound = (p[i] & 0xc0) == 0x80;
    if (!sound) { *at += 1; return ' '; }
    u32 c = more == 0 ? p[0] : p[0] & (0x3fU >> more);
    for (isize i = 1; i <= more; i++) c = c << 6 | (p[i] & 0x3f);
    *at += more + 1;
    return c;
}

static u32 lower(u32 c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
    if (c >= 0x100 && c <= 0x137) return c | 1;
    if (c >= 0x139 && c <= 0x148) return (c & 1) ? c + 1 : c;
    if (c >= 0x14a && c <= 0x177) return c | 1;
    if (c == 0x178) return 0xff;
    if (c >= 0x179 && c <= 0x17e) return (c & 1) ? c + 1 : c;
    if (c >= 0x391 && c <= 0x3a9) return c + 32;
    if (c >= 0x410 && c <= 0x42f) return c + 32;
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    return c;
}

static bool is_letter(u32 c)
{
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c < 0xc0) return c == 0xb5;
    if (c == 0xd7 || c == 0xf7 || c == 0xfffd) return false;
    /* punctuation, currency, letterlike, arrows, shapes */
    if (c >= 0x2000 && c <= 0x2bff) return false;
    return !(c >= 0x3000 && c <= 0x303f) && !(c >= 0xfe00 && c <= 0xfe6f) && !(c >= 0xff00 && c <= 0xff0f);
}

static bool is_digit(u32 c) { return c >= '0' && c <= '9'; }
/* Scripts without spaces: every character is a word. */
static bool stands_alone(u32 c)
{
    return (c >= 0x3040 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3)
           || (c >= 0x20000 && c <= 0x3ffff);
}

static isize encode(u32 c, char out[4])
{
    if (c < 0x80) { out[0] = (char)c; return 1; }
    if (c < 0x800) { out[0] = (char)(0xc0 | c >> 6); out[1] = (char)(0x80 | (c & 63)); return 2; }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Latin-1 supplement and Latin extended A, lower case, without their marks; two letters where one
 * stands for two. */
static const char *plain(u32 c)
{
    static const char *const latin1[] = { "a", "a",  "a", "a", "a", "a", "ae", "c", "e",  "e", "e",
                                          "e", "i",  "i", "i", "i", "d", "n",  "o", "o",  "o", "o",
                                          "o", NULL, "o", "u", "u", "u", "u",  "y", "th", "y" };
    static const char extended[] = "aaaaaa"
                                   "cccccccc"
                                   "dddd"
                                   "eeeeeeeeee"
                                   "gggggggg"
                                   "hhhh"
                                   "iiiiiiiiii"
                                   "ii"
                                   "jj"
                                   "kkk"
                                   "llllllllll"
                                   "nnnnnnnnn"
                                   "oooooo"
                                   "oo"
                                   "rrrrrr"
                                   "ssssssss"
                                   "tttttt"
                                   "uuuuuuuuuuuu"
                                   "ww"
                                   "yyy"
                                   "zzzzzz"
                                   "s";
    static const char letters[] =
        "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z";
    static_assert(sizeof extended == 128 + 1, "U+0100 to U+017F");
    if (c == 0xdf) return "ss";
    if (c >= 0xe0 && c <= 0xff) return latin1[c - 0xe0];
    if (c == 0x153) return "oe";
    if (c < 0x100 || c > 0x17f) return NULL;
    return letters + (isize)(extended[c - 0x100] - 'a') * 2;
}

static str without_marks(arena *a, str text)
{
    bool ascii = true;
    for (isize i = 0; i < text.len; i++) ascii = ascii && (u8)text.ptr[i] < 0x80;
    if (ascii) return text;
    char *out = arena_new(a, char, 2 * text.len + 1);
    isize n = 0;
    for (isize at = 0; at < text.len;) {
        u32 c = decode(text, &at);
        const char *p = plain(c);
        if (!p) { n += encode(c, out + n); continue; }
        while (*p) out[n++] = *p++;
    }
    return (str){ out, n };
}

str word_fold(arena *a, str text)
{
    char *out = arena_new(a, char, text.len + 1);
    isize n = 0;
    for (isize at = 0; at < text.len;) {
        u32 c = decode(text, &at);
        bool space = !is_letter(c) && !is_digit(c);
        if (space && (n == 0 || out[n - 1] == ' ')) continue;
        if (space) out[n++] = ' ';
        else n += encode(lower(c), out + n);
    }
    while (n > 0 && out[n - 1] == ' ') n--;
    return without_marks(a, (str){ out, n });
}

/* A bit a letter, and one a pair of halves of the alphabet: two words an edit apart differ in at
 * most a few. */
u64 word_letters(str text)
{
    u64 bits = 0;
    for (isize i = 0; i < text.len; i++) {
        u8 c = (u8)text.ptr[i];
        bits |= (u64)1 << (c >= 'a' && c <= 'z'   ? c - 'a'
                           : c >= '0' && c <= '9' ? 26 + c - '0'
                                                  : 36 + c % 28);
    }
    return bits;
}

/* ---- languages ------------------------------------------------------------------------------- */

static void stemmer_free(void *stemmer) { sb_stemmer_delete(stemmer); }

void languages_init(struct languages *languages, arena *a) { *languages = (struct languages){ .arena = a }; }

/* By the first two letters of a locale; null when there is no stemmer for it. */
static struct sb_stemmer *stemmer_of(struct languages *l, str locale)
{
    static const struct { const char *code, *name; } known[] = {
        { "en", "english" }, { "nb", "norwegian" }, { "nn", "norwegian" }, { "no", "norwegian" }, { "sv", "swedish" }, { "da", "danish" },
        { "de", "german" }, { "nl", "dutch" }, { "fr", "french" }, { "es", "spanish" }, { "it", "italian" }, { "pt", "portuguese" },
        { "fi", "finnish" }, { "hu", "hungarian" }, { "ro", "romanian" }, { "ru", "russian" }, { "tr", "turkish" }, { "ar", "arabic" },
    };
    str code = str_slice(locale, 0, min_isize(2, locale.len));
    for (isize i = 0; i < l->n; i++)
        if (str_eq_nocase(l->codes[i], code)) return l->stemmers[i];
    struct sb_stemmer *made = NULL;
    for (isize i = 0; i < countof(known) && !made; i++)
        if (str_eq_nocase(code, str_of(known[i].code))) made = sb_stemmer_new(known[i].name, "UTF_8");
    if (made) arena_defer(l->arena, stemmer_free, made);
    if (l->n < LANGUAGES_MAX) {
        l->codes[l->n] = arena_str(l->arena, code);
        l->stemmers[l->n++] = made;
    }
    return made;
}

static str stem(struct sb_stemmer *stemmer, str text, arena *a)
{
    if (!stemmer || text.len < 3) return text;
    const sb_symbol *s = sb_stemmer_stem(stemmer, (const sb_symbol *)text.ptr, (int)text.len);
    return s ? arena_str(a, (str){ (const char *)s, sb_stemmer_length(stemmer) }) : text;
}

/* ---- numbers and units ----------------------------------------------------------------------- */

static const struct { const char *written, *base; f64 factor; } units[] = {
    { "mm", "mm", 1 }, { "cm", "mm", 10 }, { "m", "mm", 1000 }, { "inch", "inch", 1 }, { "inches", "inch", 1 }, { "in", "inch", 1 },
    { "\"", "inch", 1 }, { "\xe2\x80\xb3", "inch", 1 }, { "\xe2\x80\x9d", "inch", 1 }, { "''", "inch", 1 }, { "tommer", "inch", 1 }, { "tum", "inch", 1 }, { "zoll", "inch", 1 },
    { "mg", "mg", 1 }, { "g", "mg", 1e3 }, { "gram", "mg", 1e3 }, { "kg", "mg", 1e6 }, { "ml", "ml", 1 }, { "cl", "ml", 10 },
    { "dl", "ml", 100 }, { "l", "ml", 1000 }, { "liter", "ml", 1000 }, { "litre", "ml", 1000 }, { "kb", "kb", 1 }, { "mb", "kb", 1e3 },
    { "gb", "kb", 1e6 }, { "tb", "kb", 1e9 }, { "mah", "mah", 1 }, { "ah", "mah", 1000 }, { "w", "w", 1 }, { "watt", "w", 1 }, { "kw", "w", 1000 },
    { "v", "v", 1 }, { "volt", "v", 1 }, { "hz", "hz", 1 }, { "khz", "hz", 1e3 }, { "mhz", "hz", 1e6 }, { "ghz", "hz", 1e9 },
    { "mp", "mp", 1 }, { "megapixel", "mp", 1 }, { "pcs", "pcs", 1 }, { "stk", "pcs", 1 }, { "pk", "pcs", 1 },
};

bool word_measure(str number, str unit, arena *a, str *out)
{
    f64 v;
    for (isize i = 0; i < countof(units); i++) {
        if (!str_eq(unit, str_of(units[i].written))) continue;
        if (!str_to_f64(number, &v)) return false;
        *out = arena_printf(a, "%.10g%s", v * units[i].factor, units[i].base);
        return true;
    }
    return false;
}

/* ---- small words ----------------------------------------------------------------------------- */

static bool among(str s, const char *const *list, isize n)
{
    for (isize i = 0; i < n; i++)
        if (str_eq(s, str_of(list[i]))) return true;
    return false;
}

static bool relates(str s)
{
    static const char *const list[] = { "for",  "f",          "of",        "to",
                                        "fits", "compatible", "til",       "f\xc3\xbcr",
                                        "pour", "voor",       "f\xc3\xb6r" };
    return among(s, list, countof(list));
}

static bool is_small(str s)
{
    static const char *const list[] = {
        "w",   "with", "and", "or",  "in",   "from", "by",   "incl", "including", "without", "the",
        "a",   "an",   "on",  "at",  "plus", "per",  "med",  "og",   "eller",     "av",      "i",
        "fra", "uten", "mit", "und", "oder", "von",  "avec", "et",   "de"
    };
    return relates(s) || among(s, list, countof(list));
}

/* ---- splitting ------------------------------------------------------------------------------- */

struct splitter {
    struct words *words;
    struct sb_stemmer *stemmer;
    arena *a;
    isize cap;
    bool relating;
};

static struct word *push(struct splitter *s, str text, str term, u8 flags)
{
    struct words *w = s->words;
    if (w->n >= WORDS_PER_TEXT_MAX || text.len == 0 || term.len == 0) return NULL;
    if (w->n == s->cap) {
        isize cap = s->cap ? 2 * s->cap : 32;
        struct word *more = arena_new(s->a, struct word, cap);
        if (w->n) memcpy(more, w->at, (size_t)w->n * sizeof *more);
        w->at = more;
        s->cap = cap;
    }
    bool extra = flags & WORD_EXTRA;
    u16 at = (u16)(extra ? max_isize(0, w->places - 1) : w->places++);
    w->at[w->n] = (struct word){ text, term, at, flags, S("") };
    return &w->at[w->n++];
}

/* "1,024" -> 1024, "15,6" -> 15.6 */
static str number_of(arena *a, str raw)
{
    isize comma = str_find_char(raw, ',');
    if (comma < 0) return raw;
    char *out = arena_new(a, char, raw.len + 1);
    isize n = 0;
    bool thousands = raw.len - comma == 4;
    for (isize i = 0; i < raw.len; i++) {
        if (raw.ptr[i] != ',') out[n++] = raw.ptr[i];
        else if (!thousands) out[n++] = '.';
    }
    return (str){ out, n };
}

/* The next run of letters and digits from *at on, in lower case; `mark` is the first mark that
 * stands before it, 0 for none. Numbers keep a comma or a point between digits; a letter after
 * digits, and a digit after letters, goes on with the run. */
static str next_run(struct splitter *s, str text, isize *at, u32 *mark, bool *number)
{
    char *out = NULL;
    isize n = 0;
    *mark = 0;
    *number = true;
    while (*at < text.len) {
        isize here = *at;
        u32 c = decode(text, at);
        bool inside = n > 0 && *number && (c == '.' || c == ',') && *at < text.len
                      && is_digit((u8)text.ptr[*at]);
        if (!is_letter(c) && !is_digit(c) && !inside) {
            if (n > 0) { *at = here; break; }
            if (c > ' ' && !*mark) *mark = c;
            continue;
        }
        if (n > 0 && stands_alone(c)) { *at = here; break; }
        if (!out) out = arena_new(s->a, char, WORD_BYTES_MAX + 8);
        *number = *number && (is_digit(c) || inside);
        if (n < WORD_BYTES_MAX) n += encode(lower(c), out + n);
        if (stands_alone(c)) break;
    }
    return (str){ out ? out : "", n };
}

/* "16gb" as 16 and gb */
static bool split_measure(str run, str *number, str *unit)
{
    isize digits = 0;
    while (digits < run.len && (is_digit((u8)run.ptr[digits]) || run.ptr[digits] == '.')) digits++;
    if (digits == 0 || digits == run.len) return false;
    *number = str_slice(run, 0, digits);
    *unit = str_from(run, digits);
    return true;
}

static bool has_digit(str s)
{
    for (isize i = 0; i < s.len; i++)
        if (is_digit((u8)s.ptr[i])) return true;
    return false;
}

struct words words_of(struct languages *languages, str text, str locale, arena *a)
{
    struct words words = { 0 };
    struct splitter s = { .words = &words, .stemmer = stemmer_of(languages, locale), .a = a };
    isize before = -1;                                  /* where the last word stands */
    str joined = { 0 }, last_number = { 0 }, made, number, unit;
    bool last_was_number = false;
    for (isize at = 0; at < text.len && words.n < WORDS_PER_TEXT_MAX - 4;) {
        isize start = at;
        u32 mark;
        bool is_number;
        str run = next_run(&s, text, &at, &mark, &is_number);
        bool quoted = last_was_number
                      && (mark == '"' || mark == 0x2033 || mark == 0x201d
                          || (mark == '\'' && str_find(str_slice(text, start, at), S("''")) >= 0));
        if (quoted && word_measure(last_number, S("\""), a, &made))
            (void)push(&s, made, made, WORD_EXTRA | WORD_NUMBER);
        if (mark == ',' || mark == ';' || mark == '-' || mark == '|' || mark == '.'
            || mark == 0x2013)
            s.relating = false;
        bool breaks = mark && mark != '/' && mark != '&' && mark != '-' && mark != 0xae && mark != 0x2122;
        bool digits = run.len > 0 && has_digit(run);
        if (before >= 0) {
            bool trademark = mark == 0xae || mark == 0x2122;
            words.at[before].next = mark ? S("") : run;
            if (run.len == 0 || ((digits || is_small(run) || breaks) && !trademark))
                words.at[before].flags |= WORD_ENDS;
        }
        if (run.len == 0) break;
        if (is_number) run = number_of(a, run);
        str term = is_number ? run : without_marks(a, stem(s.stemmer, run, a));
        str folded = without_marks(a, run);
        if (relates(run)) s.relating = true;
        u8 flags = (u8)((is_number ? WORD_NUMBER : 0) | (digits ? WORD_CONTAINS_DIGIT : 0)
                        | (s.relating ? WORD_RELATES : 0));
        isize index = words.n;
        (void)push(&s, folded, term, flags);
        bool touches = start > 0 && at - run.len == start + 1
                       && (mark == '-' || mark == '.' || mark == '/') && joined.len > 0;
        if (touches && joined.len + folded.len <= WORD_BYTES_MAX && mark != '/') {
            joined = arena_printf(a, "%.*s%.*s", STR_FMT(joined), STR_FMT(folded));
            (void)push(&s, joined, joined, WORD_EXTRA);
        } else joined = folded;
        if (last_was_number && !mark && !is_number && word_measure(last_number, run, a, &made))
            (void)push(&s, made, made, WORD_EXTRA | WORD_NUMBER);
        if (split_measure(run, &number, &unit) && word_measure(number, unit, a, &made))
            (void)push(&s, made, made, WORD_EXTRA | WORD_NUMBER);
        last_was_number = is_number;
        last_number = run;
        if (index < words.n) before = index;
    }
    if (before >= 0) words.at[before].flags |= WORD_ENDS;
    return words;
}
