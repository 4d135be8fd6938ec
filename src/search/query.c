/* SPDX-License-Identifier: Apache-2.0
 *
 * query.c - what was typed, read into units to look for.
 *
 * A unit is one thing the item must hold, with its alternatives: the word's stem in the language of
 * the question and in the shop's, a number with its unit in one word, the words it stands for by
 * synonym. "Words in quotes" must stand side by side; -word must not stand at all.
 *
 * A word nobody wrote is first taken for the beginning of one (when it is the last and still being
 * typed, or could be), then for a slip: of the words that are written in the catalogue those within
 * one edit, two from eight letters on (Damerau's edits: a letter more, less, other, or two swapped),
 * the nearer first, then the more used. A slip in the first letter is rare and would double the
 * work of reading; it is found all the same. Words that differ in more letters than such edits could
 * change are passed over by comparing two sets of letters, so that tens of thousands of words cost
 * some tens of microseconds.
 */
#include "search/inside.h"

#include <math.h>

enum { PREFIXES_MAX = 32 };
static const f32 synonym_weight = 0.8F, prefix_weight = 0.8F, slip_weight = 0.7F;

struct reader {
    const struct search_index *index;
    const struct search_request *request;
    arena *a;
    struct query *out;
    struct languages languages;
    str language;                                       /* of the question */
    struct buf corrected;
    bool changed;
};

static isize uses(const struct alternative *alt) { return alt->lists[0].n + alt->lists[1].n; }

static f32 rarity_of(const struct search_index *index, isize in)
{
    f64 all = (f64)(index->large->docs_n + (index->small ? index->small->docs_n : 0));
    return (f32)log(1 + fmax(0, all - (f64)in + 0.5) / ((f64)in + 0.5));
}

static struct alternative lists_of(const struct reader *r, str term)
{
    return (struct alternative){ .lists = { part_postings(r->index->large, term),
                                            part_postings(r->index->small, term) } };
}

/* False when no item has the term, or the unit has it already. */
static bool add_term(struct reader *r, struct unit *u, str term, f32 weight)
{
    struct alternative alt = lists_of(r, term);
    if (uses(&alt) == 0 || u->n == ALTERNATIVES_MAX) return false;
    for (isize i = 0; i < u->n; i++)
        if (u->at[i].lists[0].at == alt.lists[0].at && u->at[i].lists[1].at == alt.lists[1].at) return true;
    f32 rarity = rarity_of(r->index, uses(&alt));
    alt.weight = weight * rarity;
    u->at[u->n++] = alt;
    if (weight >= 1 || u->rarity <= 0) u->rarity = rarity > u->rarity ? rarity : u->rarity;
    return true;
}

/* ---- synonyms -------------------------------------------------------------------------------- */

static isize advance(struct postings p, isize at, u32 doc)
{
    isize step = 1, low = at;
    while (low + step < p.n && p.at[low + step].doc < doc) { low += step; step *= 2; }
    isize high = min_isize(p.n, low + step + 1);
    while (low < high) {
        isize middle = low + (high - low) / 2;
        if (p.at[middle].doc < doc) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Items that hold both, the second right behind the first where places are known. */
static struct postings both(struct postings x, struct postings y, arena *a)
{
    struct posting *out = arena_new(a, struct posting, min_isize(x.n, y.n));
    isize n = 0, k = 0;
    for (isize i = 0; i < x.n && k < y.n; i++) {
        k = advance(y, k, x.at[i].doc);
        if (k == y.n || y.at[k].doc != x.at[i].doc) continue;
        u32 beside = (x.at[i].mask << 1) & y.at[k].mask;
        if (!beside && x.at[i].mask && y.at[k].mask) continue;
        struct posting p = y.at[k];
        p.mask = beside ? beside : p.mask;
        p.impact = x.at[i].impact < p.impact ? x.at[i].impact : p.impact;
        out[n++] = p;
    }
    return (struct postings){ out, n };
}

/* A phrase of one word or more as one alternative. */
static void add_phrase(struct reader *r, struct unit *u, str text, f32 weight)
{
    struct words words = words_of(&r->languages, text, r->language, r->a);
    struct alternative alt = { 0 };
    isize taken = 0;
    for (isize i = 0; i < words.n; i++) {
        if (words.at[i].flags & WORD_EXTRA) continue;
        struct alternative next = lists_of(r, words.at[i].term);
        for (int part = 0; part < 2; part++)
            alt.lists[part] =
                taken ? both(alt.lists[part], next.lists[part], r->a) : next.lists[part];
        taken++;
    }
    if (uses(&alt) == 0 || u->n == ALTERNATIVES_MAX) return;
    f32 rarity = rarity_of(r->index, uses(&alt));
    alt.weight = weight * rarity;
    u->at[u->n++] = alt;
    if (u->rarity <= 0) u->rarity = rarity;
}

static bool words_agree(const struct words *said, isize at, const struct words *phrase, isize *used)
{
    isize k = at;
    for (isize i = 0; i < phrase->n; i++) {
        if (phrase->at[i].flags & WORD_EXTRA) continue;
        while (k < said->n && (said->at[k].flags & WORD_EXTRA)) k++;
        if (k == said->n || !str_eq(said->at[k].term, phrase->at[i].term)) return false;
        k++;
    }
    *used = k - at;
    return *used > 0;
}

/* The longest group member that stands at `at`; its group, or null. */
static const struct search_synonyms *synonyms_at(struct reader *r, const struct words *said,
                                                 isize at, isize *used, isize *member)
{
    const struct search_rules *rules = r->request->rules;
    const struct search_synonyms *best = NULL;
    *used = 0;
    for (isize g = 0; rules && g < rules->synonyms_n; g++)
        for (isize i = 0; i < rules->synonyms[g].n; i++) {
            struct words phrase = words_of(&r->languages, rules->synonyms[g].texts[i], r->language, r->a);
            isize n;
            if (words_agree(said, at, &phrase, &n) && n > *used) {
                best = &rules->synonyms[g];
                *used = n;
                *member = i;
            }
        }
    return best;
}

/* ---- unfinished words and slips -------------------------------------------------------------- */

/* The most used words that begin so, into best[0 .. n-1] of `max`, where some may stand already;
 * returns how many there are. */
static isize words_beginning(const struct part *p, str prefix, const struct written **best, isize n,
                             isize max)
{
    isize low = 0, high = p ? p->words_n : 0;
    while (low < high) {
        isize middle = low + (high - low) / 2;
        if (str_cmp(p->words[middle].text, prefix) < 0) low = middle + 1;
        else high = middle;
    }
    for (; p && low < p->words_n && str_starts(p->words[low].text, prefix); low++) {
        const struct written *w = &p->words[low];
        if (n == max && best[n - 1]->uses >= w->uses) continue;
        isize at = n < max ? n++ : n - 1;
        for (; at > 0 && best[at - 1]->uses < w->uses; at--) best[at] = best[at - 1];
        best[at] = w;
    }
    return n;
}

static void add_prefixes(struct reader *r, struct unit *u, str prefix)
{
    const struct written *best[PREFIXES_MAX];
    isize n = words_beginning(r->index->large, prefix, best, 0, PREFIXES_MAX);
    n = words_beginning(r->index->small, prefix, best, n, PREFIXES_MAX);
    for (isize i = 0; i < n; i++) {
        struct words w = words_of(&r->languages, best[i]->text, r->index->language, r->a);
        if (w.n) (void)add_term(r, u, w.at[0].term, prefix_weight);
    }
}

/* Damerau's distance (optimal string alignment), at most `most`; most + 1 when it is more. */
static isize edits(str x, str y, isize most)
{
    u8 rows[3][WORD_BYTES_MAX * 2 + 1];
    if (x.len > WORD_BYTES_MAX * 2 || y.len > WORD_BYTES_MAX * 2) return most + 1;
    isize difference = x.len > y.len ? x.len - y.len : y.len - x.len;
    if (difference > most) return most + 1;
    u8 *before = rows[0], *last = rows[1], *row = rows[2];
    for (isize k = 0; k <= y.len; k++) last[k] = (u8)k;
    for (isize i = 1; i <= x.len; i++) {
        isize least = row[0] = (u8)i;
        for (isize k = 1; k <= y.len; k++) {
            isize d = last[k - 1] + (x.ptr[i - 1] != y.ptr[k - 1]);
            d = min_isize(d, min_isize(last[k], row[k - 1]) + 1);
            bool swapped = i > 1 && k > 1 && x.ptr[i - 1] == y.ptr[k - 2] && x.ptr[i - 2] == y.ptr[k - 1];
            if (swapped) d = min_isize(d, before[k - 2] + 1);
            row[k] = (u8)d;
            least = min_isize(least, d);
        }
        if (least > most) return most + 1;
        u8 *swap = before;
        before = last;
        last = row;
        row = swap;
    }
    return last[y.len];
}

static str correct(struct reader *r, str text)
{
    isize most = text.len >= 8 ? 2 : text.len >= 4 ? 1 : 0;
    const struct written *best = NULL;
    isize best_edits = most + 1;
    u64 letters = word_letters(text);
    const struct part *parts[] = { r->index->large, r->index->small };
    if (text.len + most > SPELLED_MAX) return S("");
    for (int k = 0; k < 2 && most; k++) {
        const struct part *p = parts[k];
        u32 from = p ? p->spelled_from[text.len - most] : 0,
            to = p ? p->spelled_from[text.len + most + 1] : 0;
        for (u32 i = from; i < to; i++) {
            if (__builtin_popcountll(letters ^ p->spelled_letters[i]) > 2 * best_edits) continue;
            const struct written *w = &p->words[p->spelled[i]];
            isize n = edits(text, w->text, min_isize(best_edits, most));
            if (n > most || n > best_edits || (n == best_edits && best && w->uses <= best->uses)) continue;
            best = w;
            best_edits = n;
        }
    }
    return best ? best->text : S("");
}

/* ---- units ----------------------------------------------------------------------------------- */

static void note(struct reader *r, str text)
{
    if (r->corrected.len) buf_byte(&r->corrected, ' ');
    buf_add(&r->corrected, text);
}

static void add_word(struct reader *r, struct unit *u, const struct word *w)
{
    str shop = r->index->language;
    (void)add_term(r, u, w->term, 1);
    if (!str_eq(r->language, shop)) {
        struct words again = words_of(&r->languages, w->text, shop, r->a);
        if (again.n) (void)add_term(r, u, again.at[0].term, 1);
    }
}

static void finish_unknown(struct reader *r, struct unit *u, const struct word *w, bool last)
{
    if (w->flags & WORD_CONTAINS_DIGIT) { if (last) add_prefixes(r, u, w->text); return; }
    if (last && w->text.len >= 2) add_prefixes(r, u, w->text);
    if (u->n) return;
    str better = correct(r, w->text);
    if (better.len == 0) return;
    struct words words = words_of(&r->languages, better, r->index->language, r->a);
    if (words.n == 0 || !add_term(r, u, words.at[0].term, slip_weight)) return;
    u->text = better;
    r->changed = true;
}

/* One unit from words.at[at] on; returns how many words it took. */
static isize read_unit(struct reader *r, const struct words *words, isize at, bool last_run,
                       bool excluded, bool quoted)
{
    struct query *q = r->out;
    struct unit *u = &q->units[q->n];
    const struct word *w = &words->at[at];
    isize used = 1, member = 0, synonyms_used;
    *u = (struct unit){ .text = w->text, .excluded = excluded };
    const struct search_synonyms *group = quoted ? NULL : synonyms_at(r, words, at, &synonyms_used, &member);
    if (group && synonyms_used > 1) {
        add_phrase(r, u, group->texts[member], 1);
        u->text = group->texts[member];
        used = synonyms_used;
    } else add_word(r, u, w);
    for (isize i = 0; group && i < group->n; i++)
        if (i != member) add_phrase(r, u, group->texts[i], synonym_weight);
    isize next = at + used;
    bool number = w->flags & WORD_CONTAINS_DIGIT;
    for (isize k = next; !quoted && number && k < words->n && k < next + 3; k++) {
        bool measure = (words->at[k].flags & (WORD_EXTRA | WORD_NUMBER)) == (WORD_EXTRA | WORD_NUMBER);
        struct alternative alt = measure ? lists_of(r, words->at[k].term) : (struct alternative){ 0 };
        if (uses(&alt) == 0) continue;
        /* "16 gb" is one thing to look for */
        *u = (struct unit){ .text = words->at[k].term, .excluded = excluded };
        (void)add_term(r, u, words->at[k].term, 1);
        next = k + 1;
        note(r, str_slice(w->text, 0, w->text.len));
        if (k > at + 1) { buf_byte(&r->corrected, ' '); buf_add(&r->corrected, words->at[at + 1].text); }
        q->n++;
        return next - at;
    }
    if (u->n == 0 && number)                            /* "tn2110" as it stands joined in the catalogue */
        for (isize k = next; k < words->n && (words->at[k].flags & WORD_EXTRA); k++)
            (void)add_term(r, u, words->at[k].term, 1);
    bool last = last_run && next >= words->n;
    if (u->n == 0 && !excluded) finish_unknown(r, u, w, last);
    else if (last && r->request->typing && !excluded && w->text.len >= 2) add_prefixes(r, u, w->text);
    if (!excluded) note(r, u->text);
    q->n++;
    return next - at;
}

static void read_run(struct reader *r, str text, bool excluded, bool quoted, bool last)
{
    struct words words = words_of(&r->languages, text, r->language, r->a);
    isize first = r->out->n;
    for (isize at = 0; at < words.n && r->out->n < SEARCH_WORDS_MAX;) {
        if (words.at[at].flags & WORD_EXTRA) { at++; continue; }
        at += read_unit(r, &words, at, last, excluded, quoted);
        if (quoted && r->out->n - 1 > first) r->out->units[r->out->n - 1].joined = true;
    }
}

/* Splits off what stands in quotes or behind a minus; the rest is read in runs, so that numbers
 * meet their units. */
static void read_text(struct reader *r, str text)
{
    isize from = 0;
    for (isize i = 0; i < text.len && r->out->n < SEARCH_WORDS_MAX; i++) {
        bool opens = text.ptr[i] == '"' && (i == 0 || text.ptr[i - 1] == ' ' || text.ptr[i - 1] == '-');
        isize length = opens ? str_find_char(str_from(text, i + 1), '"') : -1;
        bool minus = text.ptr[i] == '-' && (i == 0 || text.ptr[i - 1] == ' ') && i + 1 < text.len
                     && text.ptr[i + 1] != ' ';
        bool minus_quoted = minus && text.ptr[i + 1] == '"';
        if (length < 0 && !(minus && !minus_quoted)) continue;
        bool excluded = opens ? i > 0 && text.ptr[i - 1] == '-' : true;
        read_run(r, str_slice(text, from, excluded && opens ? i - 1 : i), false, false, false);
        str run;
        if (opens) {
            run = str_slice(text, i + 1, i + 1 + length);
            i += length + 1;
        } else {
            isize space = str_find_char(str_from(text, i), ' ');
            isize end = space < 0 ? text.len : i + space;
            run = str_slice(text, i + 1, end);
            i = end - 1;
        }
        read_run(r, run, excluded, opens, false);
        from = i + 1;
    }
    if (from < text.len) read_run(r, str_from(text, from), false, false, true);
}

void query_read(const struct search_index *index, const struct search_request *request, arena *a,
                struct query *out)
{
    struct reader r = { .index = index, .request = request, .a = a, .out = out, .corrected.arena = a };
    memset(out, 0, sizeof *out);
    languages_init(&r.languages, a);
    r.language = request->locale.len ? request->locale : index->language;
    str text = str_slice(request->text, 0, min_isize(request->text.len, SEARCH_QUERY_MAX));
    while (text.len > 0 && !str_is_utf8(text)) text.len--;      /* a letter cut in two by the limit */
    read_text(&r, text);
    for (isize i = 0; i < out->n; i++) {
        if (out->units[i].excluded) continue;
        if (out->units[i].rarity <= 0) out->units[i].rarity = rarity_of(index, 0);
        out->rarity += (f64)out->units[i].rarity;
        out->positive++;
    }
    out->corrected = r.changed ? buf_str(&r.corrected) : S("");
}

isize search_complete(const struct search_index *index, str text, arena *a, str *out, isize max)
{
    if (!index || text.len == 0) return 0;
    isize space = -1;
    for (isize i = 0; i < text.len; i++)
        if (text.ptr[i] == ' ') space = i;
    str head = str_slice(text, 0, space + 1), prefix = word_fold(a, str_from(text, space + 1));
    if (prefix.len < 2) return 0;
    const struct written **best = arena_new(a, const struct written *, max);
    isize n = words_beginning(index->large, prefix, best, 0, max);
    n = words_beginning(index->small, prefix, best, n, max);
    for (isize i = 0; i < n; i++) out[i] = arena_printf(a, "%.*s%.*s", STR_FMT(head), STR_FMT(best[i]->text));
    return n;
}
