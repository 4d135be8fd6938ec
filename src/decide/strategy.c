/* SPDX-License-Identifier: Apache-2.0
 *
 * strategy.c - reads one strategy: which recommenders, how they are mixed, and what people of the
 * shop say on top of it.
 *
 *   {"mix": ["session", "cooc"] | {"session": 1, "cooc": 0.5}, "weights": "learnt" | "defaults" | {"session": 1, …}, "fallback": ["trending"], "filter": "item.in_stock",
 *    "boosts": [{"rule": …, "by": 2, "note"}], "buries": [{"rule": …, "note"}], "pins": [{"item", "position", "note"}],
 *    "likes": {"colour": 1, "brand": 0.5}, "notes": [{"text", "author", "at"}], "rotate": 0.7, "in_size": true, "kind_of_item": "content", "rows": {"by": "category", "items": 4},
 *    "diversity": {"max_per_category": 3, "max_per_brand": 4, "max_per_seller": 4, "lambda": 0.7}}
 *
 * The same reader serves what is published and what somebody tries in the console, so that the two
 * cannot differ.
 */
#include "decide/inside.h"

enum { BOOSTS_MAX = 200, PINS_MAX = 100, NOTES_MAX = 200, NOTE_BYTES_MAX = 2000 };

static const f64 least_rotation = .01;
static const f64 buried = 1e-6;     /* what is buried stands behind all that is not, in its own order */

/* ["session", "cooc"], in order of preference; or {"session": 1, "cooc": 0.5}, by weight. Each once. */
static isize recommenders(struct building *b, const struct json *list, u8 *out, f64 *weight, const char *path)
{
    isize n = 0;
    u32 seen = 0;
    bool weighed = json_is(list, JSON_OBJ);
    json_each(row, list) {
        u8 one;
        str name = weighed ? row->key : json_str(row, S(""));
        f64 by = weighed ? json_num(row, -1) : 1;
        if (!recommender_of(name, &one))
            building_refuse(b, path, 0, "there is no recommender \"%.*s\"", STR_FMT(name));
        else if (weighed && !(by > 0 && by <= 1000))
            building_refuse(b, path, 0, "%.*s: a weight is above 0 and at most 1000",
                            STR_FMT(name));
        else if (!(seen >> one & 1)) {
            out[n++] = one;
            seen |= 1U << one;
            if (weighed && weight) weight[one] = by;
        }
    }
    return n;
}

/* Learnt from what was clicked, unless somebody says by hand how much each counts or that nothing
 * is to be learnt. */
static void read_weights(struct building *b, const struct json *weights, bool weighed, struct strategy *s)
{
    u8 named[RECOMMENDERS];
    isize n = 0;
    s->by_hand = weighed || json_is(weights, JSON_OBJ);
    s->learns = !s->by_hand;
    if (json_is(weights, JSON_OBJ)) n = recommenders(b, weights, named, s->query.weight, "weights");
    else if (json_is(weights, JSON_STR) && str_eq(weights->s, S("learnt"))) {
        s->learns = true;
        s->by_hand = false;
    } /* from what the mix says, if it says */
    else if (json_is(weights, JSON_STR) && str_eq(weights->s, S("defaults")))
        s->learns = false;
    else if (weights)
        building_refuse(
            b, "weights", 0,
            "expected \"learnt\", \"defaults\" or an object such as {\"session\": 1, \"cooc\": 0.5}");
    for (isize i = 0; i < n; i++)
        if (!(strategy_mix(s) >> named[i] & 1))
            building_refuse(b, "weights", 0, "%s is not in the mix", recommender_name(named[i]));
}

static f64 fraction(struct building *b, const struct json *v, f64 otherwise, const char *path)
{
    f64 n = json_num(v, otherwise);
    if (!(n >= 0 && n <= 1)) {
        building_refuse(b, path, 0, "expected a number from 0 to 1");
        return otherwise;
    }
    return n;
}

static str note_of(struct building *b, const struct json *row, const char *path)
{
    str note = json_get_str(row, "note");
    if (note.len > NOTE_BYTES_MAX) building_refuse(b, path, 0, "a note has at most %d bytes", NOTE_BYTES_MAX);
    return note;
}

static void read_boosts(struct building *b, const struct json *list, bool bury, struct strategy *s)
{
    const char *path = bury ? "buries" : "boosts";
    if (s->boosts_n + json_len(list) > BOOSTS_MAX) {
        building_refuse(b, path, 0, "at most %d boosts and buries", BOOSTS_MAX);
        return;
    }
    json_each(row, list) {
        const struct rule *rule = building_rule_of(b, json_get(row, S("rule")), RULE_FILTER, path);
        f64 by = bury ? buried : json_num(json_get(row, S("by")), 1);
        if (by <= 0 || by > 100)
            building_refuse(b, path, 0, "by is a factor above 0 and at most 100 (below 1 buries)");
        if (rule)
            s->boosts[s->boosts_n++] =
                (struct boost){ rule, by, json_get_str(row, "rule"), note_of(b, row, path), bury };
    }
}

static void read_pins(struct building *b, const struct json *list, struct strategy *s)
{
    if (json_len(list) > PINS_MAX) { building_refuse(b, "pins", 0, "at most %d pins", PINS_MAX); return; }
    s->pins = arena_new(b->a, struct pin, json_len(list));
    json_each(row, list) {
        i32 position = (i32)json_int(json_get(row, S("position")), 0);
        if (position < 1) building_refuse(b, "pins", 0, "position counts from 1");
        s->pins[s->pins_n++] = (struct pin){ json_str(json_get(row, S("item")), S("")), position,
                                             note_of(b, row, "pins") };
    }
}

static void read_likes(struct building *b, const struct json *likes, struct strategy *s)
{
    json_each(row, likes) {
        isize d = 0;
        f64 by = json_num(row, -1);
        while (d < TASTES && !str_eq(row->key, taste_name(d))) d++;
        if (d == TASTES)
            building_refuse(b, "likes", 0, "\"%.*s\" is none of category, brand, colour, gender",
                            STR_FMT(row->key));
        else if (!(by >= 0 && by <= 10))
            building_refuse(b, "likes", 0, "%.*s: expected a number from 0 to 10",
                            STR_FMT(row->key));
        else s->tastes[d] = by;
        if (d < TASTES && by > 0) s->has_tastes = true;
    }
}

static void read_rows(struct building *b, const struct json *rows, struct strategy *s)
{
    enum { ITEMS_USUAL = 4, ITEMS_MOST = 20 };
    str by = json_get_str(rows, "by");
    if (!rows) return;
    s->rows_by = str_eq(by, S("category")) ? ROWS_CATEGORY : str_eq(by, S("brand")) ? ROWS_BRAND : ROWS_NONE;
    s->rows_items = (isize)json_int(json_get(rows, S("items")), ITEMS_USUAL);
    if (s->rows_by == ROWS_NONE)
        building_refuse(b, "rows", 0, "expected {\"by\": \"category\" or \"brand\", \"items\": 4}");
    if (s->rows_items < 1 || s->rows_items > ITEMS_MOST)
        building_refuse(b, "rows", 0, "items: 1 to %d in a row", ITEMS_MOST);
}

static void read_notes(struct building *b, const struct json *list, struct strategy *s)
{
    if (json_len(list) > NOTES_MAX) { building_refuse(b, "notes", 0, "at most %d notes", NOTES_MAX); return; }
    s->notes = list;
    json_each(row, list) {
        str text = json_get_str(row, "text");
        if (text.len == 0 || text.len > NOTE_BYTES_MAX)
            building_refuse(b, "notes", 0,
                            "a note is {\"text\", \"author\"}; its text has 1 to %d bytes",
                            NOTE_BYTES_MAX);
        if (json_get_str(row, "author").len == 0)
            building_refuse(b, "notes", 0, "a note says who wrote it: \"author\"");
    }
}

void strategy_build(struct building *b, const struct json *doc, struct strategy *s)
{
    static const u8 usual[] = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_TRENDING };
    static const char *const caps[GROUPINGS] = { "max_per_category", "max_per_brand", "max_per_seller" };
    const struct json *diversity = json_get(doc, S("diversity")),
                      *boosts = json_get(doc, S("boosts")), *buries = json_get(doc, S("buries"));
    *s = (struct strategy){ .key = b->def->key };
    s->query.mix_n = recommenders(b, json_get(doc, S("mix")), s->query.mix, s->query.weight, "mix");
    if (s->query.mix_n == 0) { memcpy(s->query.mix, usual, sizeof usual); s->query.mix_n = countof(usual); }
    read_weights(b, json_get(doc, S("weights")), json_is(json_get(doc, S("mix")), JSON_OBJ), s);
    s->query.fallback_n = recommenders(b, json_get(doc, S("fallback")), s->query.fallback, NULL, "fallback");
    for (isize g = 0; g < GROUPINGS; g++) {
        s->query.max_per_group[g] = json_int(json_get(diversity, str_of(caps[g])), 0);
        s->capped |= s->query.max_per_group[g] > 0;
    }
    s->lambda = fraction(b, json_get(diversity, S("lambda")), 1, "diversity.lambda");
    s->rotate = fraction(b, json_get(doc, S("rotate")), 1, "rotate");
    if (s->rotate < least_rotation)
        building_refuse(b, "rotate", 0, "at least %g: an item may come back", least_rotation);
    s->query.content = str_eq(json_get_str(doc, "kind_of_item"), S("content"));
    s->in_size = json_bool(json_get(doc, S("in_size")), false);
    s->filter = building_rule_of(b, json_get(doc, S("filter")), RULE_FILTER, "filter");
    s->boosts = arena_new(b->a, struct boost, min_isize(BOOSTS_MAX, json_len(boosts) + json_len(buries)));
    read_boosts(b, boosts, false, s);
    read_boosts(b, buries, true, s);
    read_pins(b, json_get(doc, S("pins")), s);
    read_likes(b, json_get(doc, S("likes")), s);
    read_notes(b, json_get(doc, S("notes")), s);
    read_rows(b, json_get(doc, S("rows")), s);
}

enum err strategy_read(arena *a, const struct json *doc, str key, const struct rule_names *names,
                       struct strategy *s, struct definition_errors *errors)
{
    struct definition def = { .kind = S("strategy"), .key = key };
    struct building b = { .a = a, .names = names, .errors = errors, .def = &def };
    strategy_build(&b, doc, s);
    return b.failed ? ERR_REFUSED : ERR_OK;
}

const struct strategy *strategy_bare(const struct strategy *strategy, arena *a)
{
    struct strategy *bare = arena_new(a, struct strategy, 1);
    *bare = *strategy;
    bare->boosts_n = bare->pins_n = 0;
    return bare;
}

u32 strategy_hash(str key)
{
    u32 h = (u32)hash64(key, 23);
    return h ? h : 1;
}

u32 strategy_mix(const struct strategy *strategy)
{
    u32 mix = 0;
    for (isize i = 0; i < strategy->query.mix_n; i++) mix |= 1U << strategy->query.mix[i];
    return mix;
}

u32 query_recommenders(const struct recommend_query *query)
{
    u32 all = 0;
    for (isize i = 0; i < query->mix_n; i++) all |= 1U << query->mix[i];
    for (isize i = 0; i < query->fallback_n; i++) all |= 1U << query->fallback[i];
    return all;
}

const struct learnt_mix *strategy_learnt(const struct strategy *strategy, u16 placement)
{
    for (isize i = 0; strategy && placement && strategy->learns && i < strategy->learnt_n; i++)
        if (strategy->learnt[i].placement == placement
            && strategy->learnt[i].mix == strategy_mix(strategy))
            return &strategy->learnt[i];
    return NULL;
}

void learnt_mix_visit(struct codec *c, struct learnt_mix *v)
{
    codec_u32(c, &v->strategy);
    codec_u16(c, &v->placement);
    codec_u32(c, &v->mix);
    codec_u32(c, &v->version);
    for (u8 r = 0; r < RECOMMENDERS; r++)
        if (v->mix >> r & 1) codec_u16(c, &v->parts[r]);
    codec_i64(c, &v->at_ms);
    codec_i64(c, &v->from_ms);
    codec_i64(c, &v->to_ms);
    codec_i64(c, &v->showings);
    codec_i64(c, &v->clicks);
    codec_f64(c, &v->loss_defaults);
    codec_f64(c, &v->loss_learnt);
    codec_f64(c, &v->sureness);
}
