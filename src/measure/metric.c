/* SPDX-License-Identifier: Apache-2.0
 *
 * metric.c - metrics as definitions.
 *
 * The core ones are rows of the same form a shop writes, so that a number on any screen comes from
 * a definition somebody can read. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "measure/metric.h"

static const char *const core[] = {
    "{\"key\":\"order_rate\",\"title\":\"Order rate\",\"type\":\"proportion\",\"numerator\":{\"event\":\"order_completed\",\"of\":\"any\"},"
    "\"text\":\"people who ordered inside the exposure window, of the people exposed\"}",
    "{\"key\":\"click_rate\",\"title\":\"Click rate\",\"type\":\"proportion\",\"numerator\":{\"of\":\"clicked\"},"
    "\"text\":\"people who clicked, of the people exposed\"}",
    "{\"key\":\"revenue_per_person\",\"title\":\"Revenue a person\",\"type\":\"mean\",\"numerator\":{\"event\":\"order_completed\",\"of\":\"value\"},"
    "\"text\":\"revenue inside the exposure window, in minor units, by the people exposed\"}",
    "{\"key\":\"orders_per_person\",\"title\":\"Orders a person\",\"type\":\"mean\",\"numerator\":{\"event\":\"order_completed\",\"of\":\"count\"},"
    "\"text\":\"orders inside the exposure window, by the people exposed\"}",
    "{\"key\":\"average_order_value\",\"title\":\"Average order value\",\"type\":\"ratio\",\"numerator\":{\"event\":\"order_completed\",\"of\":\"value\"},"
    "\"denominator\":{\"event\":\"order_completed\",\"of\":\"count\"},\"text\":\"revenue by orders, in minor units\"}",
    "{\"key\":\"cart_rate\",\"title\":\"Cart rate\",\"type\":\"proportion\",\"numerator\":{\"event\":\"product_added\",\"of\":\"any\"},"
    "\"text\":\"people who put something in the cart, of the people exposed\"}",
    "{\"key\":\"cart_abandonment\",\"title\":\"Cart abandonment\",\"type\":\"ratio\",\"direction\":\"down\","
    "\"numerator\":{\"event\":\"product_added\",\"of\":\"any\",\"without\":\"order_completed\"},"
    "\"denominator\":{\"event\":\"product_added\",\"of\":\"any\"},\"text\":\"people with a cart and no order, of the people with a cart\"}",
};

struct building {
    arena *a;
    const struct rule_names *names;
    struct definition_errors *errors;
    str kind, key;
    bool failed;
};

static void PRINTF_LIKE(3, 4) refuse(struct building *b, const char *path, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->failed = true;
    definition_error_add(b->errors, (struct definition_error){ S("metric"), b->key,
                                                               arena_str(b->a, str_of(path)),
                                                               arena_str(b->a, str_of(text)), 0 });
}


static u16 type_of(struct building *b, str name, const char *path)
{
    i32 type = event_type_of(name);
    if (type == EVENT_NONE && b->names->event_type) type = b->names->event_type(b->names->ctx, name);
    if (type > 0) return (u16)type;
    refuse(b, path, "no event is called \"%.*s\"", STR_FMT(name));
    return 0;
}

static struct metric_part read_part(struct building *b, const struct json *v, const char *path)
{
    static const char *const ofs[] = { "", "any", "count", "value", "quantity", "clicked" };
    struct metric_part part = { 0 };
    str of = json_str(json_get(v, S("of")), S("count")), without = json_get_str(v, "without");
    while (part.of < countof(ofs) && !str_eq(of, str_of(ofs[part.of]))) part.of++;
    if (part.of == countof(ofs) || of.len == 0) {
        refuse(b, path, "of is any, count, value, quantity or clicked, not \"%.*s\"", STR_FMT(of));
        part.of = PART_NONE;
        return part;
    }
    if (part.of == PART_CLICKED) return part;
    part.type = type_of(b, json_get_str(v, "event"), path);
    if (without.len) {
        part.of = PART_WITHOUT;
        part.without = type_of(b, without, path);
    }
    return part;
}

static i64 days_of(struct building *b, const struct json *v, const char *path)
{
    i64 n;
    str text = json_str(v, S(""));
    if (!v) return 0;
    struct str_cut cut = str_cut(text, ' ');
    bool sound = str_to_i64(cut.head, &n) && n >= 1 && n <= 365
                 && (str_eq(cut.tail, S("days")) || str_eq(cut.tail, S("day")));
    if (!sound) refuse(b, path, "expected 1 to 365 days, such as \"14 days\"");
    return sound ? n * 24 * (i64)HOUR_MS : 0;
}

static void read_metric(struct building *b, const struct json *doc, struct metric *m)
{
    static const char *const types[] = { "mean", "proportion", "ratio", "quantile" };
    str type = json_str(json_get(doc, S("type")), S("mean"));
    isize kind = 0;
    while (kind < countof(types) && !str_eq(type, str_of(types[kind]))) kind++;
    if (kind == countof(types)) {
        refuse(b, "type", "type is mean, proportion, ratio or quantile, not \"%.*s\"", STR_FMT(type));
        kind = STATS_MEAN;
    }
    *m = (struct metric){ .key = b->key,
                          .title = json_str(json_get(doc, S("title")), b->key),
                          .text = json_get_str(doc, "text"),
                          .kind = (enum stats_kind)kind,
                          .down = str_eq(json_get_str(doc, "direction"), S("down")),
                          .winsorise = json_num(json_get(doc, S("winsorise")), 0),
                          .window_ms = days_of(b, json_get(doc, S("window")), "window"),
                          .before_ms = days_of(b, json_get(doc, S("cuped")), "cuped") };
    const struct json *rule = json_get(doc, S("rule"));
    if (m->text.len == 0) m->text = json_get_str(doc, "description");
    if (rule) {
        struct rule_errors wrong = { 0 };
        m->kind = STATS_PROPORTION;
        m->top.of = PART_RULE;
        if (rule_compile(b->a, json_str(rule, S("")), RULE_TARGET, b->names, &m->top.rule, &wrong))
            refuse(b, "rule", "%.*s", STR_FMT(wrong.at[0].message));
    } else {
        m->top = read_part(b, json_get(doc, S("numerator")), "numerator");
    }
    if (m->kind == STATS_RATIO) m->bottom = read_part(b, json_get(doc, S("denominator")), "denominator");
    if (m->kind == STATS_QUANTILE) m->quantile = json_num(json_get(doc, S("quantile")), 0.5);
    if (m->kind == STATS_QUANTILE && !(m->quantile > 0 && m->quantile < 1))
        refuse(b, "quantile", "lies between 0 and 1");
    if (!(m->winsorise >= 0 && m->winsorise < 1))
        refuse(b, "winsorise", "lies between 0 and 1, such as 0.99");
    if (m->winsorise > 0 && m->kind != STATS_MEAN)
        refuse(b, "winsorise", "only means are cut; a ratio's parts move together");
    m->money = m->top.of == PART_VALUE;
    bool binary = m->top.of == PART_ANY || m->top.of == PART_CLICKED || m->top.of == PART_WITHOUT
                  || m->top.of == PART_RULE;
    if (m->kind == STATS_PROPORTION && !binary && !b->failed)
        refuse(b, "numerator", "a proportion counts people: of is any or clicked");
}

static void add(struct building *b, struct metrics *metrics, struct metric *room, const struct json *doc)
{
    isize at = 0;
    while (at < metrics->n && !str_eq(room[at].key, b->key)) at++;
    if (at == METRICS_MAX_OWN) {
        refuse(b, "", "there are %d metrics already, the most there can be", METRICS_MAX_OWN);
        return;
    }
    read_metric(b, doc, &room[at]);
    if (at == metrics->n) metrics->n++;
}

enum err metrics_build(const struct definitions *definitions, const struct definition_candidate *candidate,
                       const struct rule_names *names, struct metrics **out, struct definition_errors *errors)
{
    struct metrics *metrics = mem_new(sizeof *metrics);
    struct building b = { .a = &metrics->arena, .names = names, .errors = errors };
    struct metric *room = arena_new(b.a, struct metric, METRICS_MAX_OWN);
    *out = metrics;
    metrics->at = room;
    const struct json *doc;
    for (isize i = 0; i < countof(core); i++) {
        enum err err = json_parse(b.a, str_of(core[i]), &doc, NULL);
        assert(!err);
        b.key = json_str(json_get(doc, S("key")), S(""));
        add(&b, metrics, room, doc);
    }
    assert(!b.failed);
    const struct definition *def;
    for (isize at = 0; (def = definition_next(definitions, S("metric"), &at));) {
        bool is_candidate =
            candidate && str_eq(candidate->kind, S("metric")) && str_eq(candidate->key, def->key);
        str text = is_candidate ? candidate->document : definition_published(def);
        if (text.len == 0) continue;
        b.key = arena_str(b.a, def->key);
        if (json_parse(b.a, text, &doc, NULL) || !json_is(doc, JSON_OBJ))
            refuse(&b, "", "expected a JSON object");
        else add(&b, metrics, room, doc);
    }
    return b.failed ? ERR_REFUSED : ERR_OK;
}

enum err metric_read(arena *a, str key, const struct json *doc, const struct rule_names *names,
                     struct metric *out, struct definition_errors *errors)
{
    struct building b = { .a = a, .names = names, .errors = errors, .key = key };
    *out = (struct metric){ .key = key };
    if (!json_is(doc, JSON_OBJ)) refuse(&b, "", "expected a JSON object");
    else read_metric(&b, doc, out);
    return b.failed ? ERR_REFUSED : ERR_OK;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics) return;
    arena_fini(&metrics->arena);
    mem_free(metrics);
}

const struct metric *metric_find(const struct metrics *metrics, str key)
{
    for (isize i = 0; metrics && i < metrics->n; i++)
        if (str_eq(metrics->at[i].key, key)) return &metrics->at[i];
    return NULL;
}
