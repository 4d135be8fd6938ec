/* SPDX-License-Identifier: Apache-2.0
 *
 * book.c - all published definitions, compiled into one immutable struct, or refused with reasons.
 *
 * A definition is compiled against the whole: a campaign names a placement and perhaps segments, a
 * key names a source. So publishing one is building the book anew with it in place, and the
 * reasons name the definition, the path in its document and, in a rule, the column.
 */
#include "decide/inside.h"

#include <stdatomic.h>

/* ---- strategies ------------------------------------------------------------------------------ */

/* One number a book, so that no answer given for one counts for another. A book that is only being
 * tried keeps nothing: it would push out what the published one has. */
static void keep_answers(const struct building *b)
{
    static _Atomic u32 books;
    struct book *book = b->book;
    u32 number = atomic_fetch_add(&books, 1) + 1;
    u8 place = 0;
    for (isize i = 0; !b->candidate && i < book->strategies_n && place < KEPT_PLACES; i++) {
        struct strategy *s = &book->strategies[i];
        if (s->filter && rule_is_of_item(s->filter, item_field_is_fixed))
            s->kept = (struct kept_answers){ number, ++place };
    }
}

static void build_strategies(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "strategy", PLACEMENTS_MAX);
    book->strategies = arena_new(b->a, struct strategy, room);
    while (book->strategies_n < room && (doc = building_next(b, "strategy", &at)))
        strategy_build(b, doc, &book->strategies[book->strategies_n++]);
    for (isize i = 0; i < book->strategies_n; i++)
        book->recommenders |= query_recommenders(&book->strategies[i].query);
    keep_answers(b);
}

/* ---- connectors, quizzes --------------------------------------------------------------------- */

static void build_connectors(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "connector", CONNECTORS_MAX);
    book->connectors = arena_new(b->a, struct connector, room);
    while (book->connectors_n < room && (doc = building_next(b, "connector", &at))) {
        struct diag diag = { .arena = b->a };
        struct connector *c = &book->connectors[book->connectors_n++];
        if (connector_read(doc, book->segments, c, &diag))
            building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        c->id = b->def->id;
        c->number = b->def->number;
        c->key = b->def->key;
        c->paused = b->def->paused;
    }
}

static void build_quizzes(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "quiz", QUIZZES_MAX);
    book->quizzes = arena_new(b->a, struct quiz, room);
    while (book->quizzes_n < room && (doc = building_next(b, "quiz", &at))) {
        struct diag diag = { .arena = b->a };
        struct quiz *quiz = &book->quizzes[book->quizzes_n++];
        if (quiz_read(doc, quiz, &diag)) building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        quiz->key = b->def->key;
        quiz->paused = b->def->paused;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum err book_build(const struct definitions *definitions, const struct definition_candidate *candidate,
                    const struct rule_names *names, const u8 secret[32], u64 version, struct book **out,
                    struct definition_errors *errors)
{
    struct book *book = mem_new(sizeof *book);
    struct building b = { .book = book,
                          .a = &book->arena,
                          .definitions = definitions,
                          .candidate = candidate,
                          .names = names,
                          .errors = errors };
    *out = book;
    book->version = version;
    memcpy(book->secret, secret, sizeof book->secret);
    book->ticket_key = ticket_key(secret);
    if (segment_set_build(&book->arena, definitions, candidate, names, &book->segments, errors))
        return ERR_REFUSED;
    if (search_rules_build(&book->arena, definitions, candidate, names, &book->search, errors))
        return ERR_REFUSED;
    b.known = map_new(64);
    settings_build(&b);
    sources_build(&b);
    keys_build(&b);
    blocked_build(&b);
    mappings_build(&b);
    feeds_build(&b);
    build_strategies(&b);
    placements_build(&b);
    campaigns_build(&b);
    build_connectors(&b);
    build_quizzes(&b);
    flags_build(&b);
    map_free(b.known);
    vec_fini(&b.targets);
    return b.failed ? ERR_REFUSED : ERR_OK;
}

void book_free(struct book *book)
{
    if (!book) return;
    arena_fini(&book->arena);
    mem_free(book);
}

/* ---- looking up ------------------------------------------------------------------------------ */

const struct source *book_source(const struct book *book, str key)
{
    for (isize i = 0; i < book->sources_n; i++)
        if (str_eq(book->sources[i].key, key)) return &book->sources[i];
    return NULL;
}

const struct placement *book_placement(const struct book *book, str key)
{
    for (isize i = 0; i < book->placements_n; i++)
        if (str_eq(book->placements[i].key, key)) return &book->placements[i];
    return NULL;
}

const struct campaign *book_campaign(const struct book *book, str key)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        if (str_eq(book->campaigns[i].key, key)) return &book->campaigns[i];
    return NULL;
}

const struct strategy *book_strategy(const struct book *book, str key)
{
    for (isize i = 0; i < book->strategies_n; i++)
        if (str_eq(book->strategies[i].key, key)) return &book->strategies[i];
    return NULL;
}

const struct connector *book_connector(const struct book *book, str key)
{
    for (isize i = 0; i < book->connectors_n; i++)
        if (str_eq(book->connectors[i].key, key)) return &book->connectors[i];
    return NULL;
}

const struct mapping *book_mapping(const struct book *book, str key)
{
    for (isize i = 0; i < book->mappings_n; i++)
        if (str_eq(book->mappings[i].key, key)) return &book->mappings[i];
    return NULL;
}

const struct quiz *book_quiz(const struct book *book, str key)
{
    for (isize i = 0; i < book->quizzes_n; i++)
        if (str_eq(book->quizzes[i].key, key)) return &book->quizzes[i];
    return NULL;
}
