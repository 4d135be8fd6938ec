/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.c - what the shop says of search, compiled with all other definitions; and synonyms the
 * catalogue suggests.
 *
 * A suggestion is two ways to write one thing that somebody put side by side in an attribute:
 * "Grey/Gray", "Mobile phone / Smartphone", "Solid state drive (SSD)". It is seen in at least two
 * items, and is only offered: "Scanner/Printer" looks the same and is not one thing.
 */
#include "search/inside.h"

#include <stdlib.h>

#include "base/rcu.h"

enum { LISTS_MAX = 10000, SYNONYMS_IN_GROUP_MAX = 32, SUGGESTIONS_SEEN_MAX = 5000, SUGGESTED_BYTES_MAX = 40 };

struct compiling {
    arena *a;
    struct search_rules *rules;
    const struct rule_names *names;
    struct definition_errors *errors;
    str key;
    bool failed;
};

static void refuse(struct compiling *c, const char *path, isize column, str message)
{
    c->failed = true;
    definition_error_add(
        c->errors, (struct definition_error){ S("search"), c->key, str_of(path), message, column });
}

static str text_of(const struct json *doc, const char *name)
{
    return str_trim(json_str(json_get(doc, str_of(name)), S("")));
}

static isize room_for(struct compiling *c, const struct json *list, const char *path, isize have)
{
    if (have + json_len(list) <= LISTS_MAX) return json_len(list);
    refuse(c, path, 0,
           arena_printf(c->a, "%td entries in all, the limit is %d", have + json_len(list),
                        LISTS_MAX));
    return 0;
}

/* A longer copy of a list in the arena. */
#define widen(c, T, list, n, more)                                                          \
    do {                                                                                    \
        T *wider_ = arena_new((c)->a, T, (n) + (more));                                     \
        if (n) memcpy(wider_, (list), (size_t)(n) * sizeof(T));                             \
        (list) = wider_;                                                                    \
    } while (0)

static void read_synonyms(struct compiling *c, const struct json *list)
{
    struct search_rules *r = c->rules;
    widen(c, struct search_synonyms, r->synonyms, r->synonyms_n,
          room_for(c, list, "synonyms", r->synonyms_n));
    if (c->failed) return;
    json_each(group, list) {
        isize n = json_len(group);
        if (!json_is(group, JSON_ARR) || n < 2 || n > SYNONYMS_IN_GROUP_MAX) {
            refuse(c, "synonyms", 0,
                   arena_printf(c->a, "a group is a list of 2 to %d words or phrases",
                                SYNONYMS_IN_GROUP_MAX));
            return;
        }
        struct search_synonyms *g = &r->synonyms[r->synonyms_n++];
        g->texts = arena_new(c->a, str, n);
        json_each(one, group) {
            str text = str_trim(json_str(one, S("")));
            if (text.len == 0 || text.len > SEARCH_QUERY_MAX)
                refuse(c, "synonyms", 0,
                       S("every member of a group is a text of at most 256 bytes"));
            g->texts[g->n++] = text;
        }
    }
}

static void read_redirects(struct compiling *c, const struct json *list)
{
    struct search_rules *r = c->rules;
    widen(c, struct search_redirect, r->redirects, r->redirects_n,
          room_for(c, list, "redirects", r->redirects_n));
    if (c->failed) return;
    json_each(one, list) {
        struct search_redirect it = { text_of(one, "query"), text_of(one, "url") };
        bool safe = str_starts(it.url, S("/")) || str_starts(it.url, S("https://"))
                    || str_starts(it.url, S("http://"));
        if (it.query.len == 0 || !safe)
            refuse(
                c, "redirects", 0,
                S("expected {\"query\": \"returns\", \"url\": \"/help/returns\"}; an address starts with / or http"));
        r->redirects[r->redirects_n++] = it;
    }
}

static void read_pins(struct compiling *c, const struct json *list)
{
    struct search_rules *r = c->rules;
    widen(c, struct search_pin, r->pins, r->pins_n, room_for(c, list, "pins", r->pins_n));
    if (c->failed) return;
    json_each(one, list) {
        struct search_pin it = { text_of(one, "query"), text_of(one, "category"),
                                 text_of(one, "item"),
                                 (i32)json_int(json_get(one, S("position")), 1) };
        if (it.item.len == 0 || (it.query.len == 0) == (it.category.len == 0) || it.position < 1
            || it.position > 100)
            refuse(
                c, "pins", 0,
                S("expected {\"query\" or \"category\": …, \"item\": \"p-4\", \"position\": 1}, position 1 to 100"));
        r->pins[r->pins_n++] = it;
    }
}

static void read_boosts(struct compiling *c, const struct json *list)
{
    struct search_rules *r = c->rules;
    widen(c, struct search_boost, r->boosts, r->boosts_n, room_for(c, list, "boosts", r->boosts_n));
    if (c->failed) return;
    json_each(one, list) {
        struct rule_errors wrong = { 0 };
        struct search_boost it = { NULL, json_num(json_get(one, S("by")), 0) };
        if (it.by <= 0 || it.by > 100)
            refuse(c, "boosts", 0, S("by is a factor above 0 and at most 100 (below 1 buries)"));
        enum err err = rule_compile(c->a, text_of(one, "rule"), RULE_FILTER, c->names, &it.rule, &wrong);
        if (err && wrong.n) refuse(c, "boosts", wrong.at[0].column, wrong.at[0].message);
        else r->boosts[r->boosts_n++] = it;
    }
}

static void read_document(struct compiling *c, str document)
{
    const struct json *doc;
    struct diag diag = { .arena = c->a };
    if (json_parse(c->a, document, &doc, &diag)) { refuse(c, "", 0, diag.what); return; }
    str language = text_of(doc, "language");
    if (language.len) c->rules->language = language;
    i64 dial = json_int(json_get(doc, S("dial")), c->rules->dial);
    if (dial < 0 || dial > 100)
        refuse(c, "dial", 0, S("the dial goes from 0 (for everybody the same) to 100"));
    c->rules->dial = (i32)dial;
    read_synonyms(c, json_get(doc, S("synonyms")));
    read_redirects(c, json_get(doc, S("redirects")));
    read_pins(c, json_get(doc, S("pins")));
    read_boosts(c, json_get(doc, S("boosts")));
}

enum err search_rules_build(arena *a, const struct definitions *definitions,
                            const struct definition_candidate *candidate,
                            const struct rule_names *names, const struct search_rules **out,
                            struct definition_errors *errors)
{
    struct search_rules *rules = arena_new(a, struct search_rules, 1);
    struct compiling c = { .a = a, .rules = rules, .names = names, .errors = errors };
    *rules = (struct search_rules){ .language = S("en"), .dial = 50 };
    *out = rules;
    isize at = 0;
    const struct definition *def;
    while ((def = definition_next(definitions, S("search"), &at))) {
        bool asked = candidate && str_eq(candidate->kind, S("search")) && str_eq(candidate->key, def->key);
        str document = asked ? candidate->document : def->paused ? S("") : definition_published(def);
        c.key = def->key;
        if (document.len) read_document(&c, document);
    }
    return c.failed ? ERR_REFUSED : ERR_OK;
}

/* ---- what the catalogue suggests ------------------------------------------------------------- */

struct suggesting {
    arena *a;
    struct map *seen;
    struct search_suggestion *at; isize n;
};

static bool worth(str s)
{
    bool letter = false;
    for (isize i = 0; i < s.len; i++) {
        letter |= (u8)s.ptr[i] >= 0x80 || (s.ptr[i] >= 'a' && s.ptr[i] <= 'z')
                  || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z');
        if (s.ptr[i] >= '0' && s.ptr[i] <= '9') return false;
    }
    return letter && s.len >= 2 && s.len <= SUGGESTED_BYTES_MAX;
}

static void suggest(struct suggesting *s, str a, str b)
{
    a = word_fold(s->a, a);
    b = word_fold(s->a, b);
    if (!worth(a) || !worth(b) || str_eq(a, b)) return;
    if (str_cmp(a, b) > 0) { str swap = a; a = b; b = swap; }
    str both = arena_printf(s->a, "%.*s\n%.*s", STR_FMT(a), STR_FMT(b));
    u64 at = map_get(s->seen, term_hash(both), UINT64_MAX);
    if (at == UINT64_MAX) {
        if (s->n == SUGGESTIONS_SEEN_MAX) return;
        at = (u64)s->n++;
        s->at[at] = (struct search_suggestion){ a, b, 0 };
        (void)map_put(s->seen, term_hash(both), at);
    }
    s->at[at].items++;
}

static void suggest_from(struct suggesting *s, str text)
{
    if (text.len > 2 * SUGGESTED_BYTES_MAX) return;
    struct str_cut slash = str_cut(text, '/');
    if (slash.found && str_find_char(slash.tail, '/') < 0) { suggest(s, slash.head, slash.tail); return; }
    struct str_cut open = str_cut(text, '(');
    if (open.found && str_ends(open.tail, S(")")))
        suggest(s, open.head, str_slice(open.tail, 0, open.tail.len - 1));
}

static int most_seen(const void *x, const void *y)
{
    const struct search_suggestion *a = x, *b = y;
    if (a->items != b->items) return a->items > b->items ? -1 : 1;
    return str_cmp(a->a, b->a);
}

isize search_suggest_synonyms(const struct catalog *catalog, arena *a,
                              struct search_suggestion *out, isize max)
{
    struct suggesting s = { .a = a,
                            .seen = map_new(256),
                            .at = arena_new(a, struct search_suggestion, SUGGESTIONS_SEEN_MAX) };
    isize items = catalog_count(catalog), n = 0;
    for (isize id = 1; id <= items;) {
        rcu_read_begin();
        for (isize end = id + 256; id <= items && id < end; id++) {
            const struct item *item = catalog_item(catalog, (item_id){ (u32)id });
            for (isize i = 0; item && i < item->attributes_n; i++)
                if (item->attributes[i].kind == FACT_TEXT) suggest_from(&s, item->attributes[i].text);
            if (item) suggest_from(&s, item->colour);
        }
        rcu_read_end();
    }
    qsort(s.at, (size_t)s.n, sizeof *s.at, most_seen);
    for (; n < s.n && n < max && s.at[n].items >= 2; n++) out[n] = s.at[n];
    map_free(s.seen);
    return n;
}
