/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - a tracking plan: which events a source may send, and what they hold.
 *
 *   {"outside": "warn",
 *    "events": {"Product Viewed": {"owner": "web team", "purpose": "recommendations",
 *               "properties": {"product_id": "text", "price": {"type": "number", "min": 0}, "list": "text?"}},
 *               "identify": {"owner": "crm", "purpose": "greeting", "properties": {"first_name": "text?"}}}}
 *
 * Events are named as they are sent, in any spelling; identify, page, screen, group and alias are
 * events too, and the properties of identify are its traits. "?" marks what may be missing. What
 * the plan does not name of an event's properties is nobody's business. A finding holds no value
 * of the event, so that it can be counted and shown to anybody.
 */
#include "base/clock.h"
#include "event/event.h"

#include "base/json.h"

enum { PLAN_EVENTS_MAX = 500, PLAN_PROPERTIES_MAX = 200 };

enum sort { SORT_TEXT, SORT_NUMBER, SORT_WHOLE, SORT_BOOL, SORT_TIME, SORT_LIST, SORT_OBJECT, SORT_ANY };
static const char *const sorts[] = { "text", "number", "whole", "bool", "time", "list", "object", "any" };
static const char *const sort_words[] = { "a text", "a number", "a whole number", "true or false",
                                          "a time", "a list",   "an object",      "anything" };

struct property {
    str name;
    u8 sort;
    bool optional, has_min, has_max;
    f64 min, max;
    const struct json *one_of;
};
struct planned { str name; u16 type; struct property *properties; isize properties_n; };
struct plan { bool refuses; struct planned *events; isize events_n; };

/* ---- reading --------------------------------------------------------------------------------- */

static const struct { const char *call; u16 type; } calls[] = {
    { "identify", EVENT_IDENTIFIED }, { "page", EVENT_PAGE_VIEWED }, { "screen", EVENT_SCREEN_VIEWED },
    { "group", EVENT_GROUPED },       { "alias", EVENT_ALIASED },
};

static u16 planned_type(str name)
{
    for (isize i = 0; i < countof(calls); i++)
        if (str_eq(name, str_of(calls[i].call))) return calls[i].type;
    u16 type = event_type_of(name);
    return type == EVENT_NONE ? EVENT_CUSTOM_FIRST : type;
}

static enum err read_sort(str name, str said, u8 *out, bool *optional, struct diag *diag)
{
    *optional = str_ends(said, S("?"));
    if (*optional) said.len--;
    for (u8 i = 0; i < countof(sorts); i++)
        if (str_eq(said, str_of(sorts[i]))) { *out = i; return ERR_OK; }
    return diag_set(
        diag, ERR_BAD_INPUT,
        "%.*s is text, number, whole, bool, time, list, object or any, with ? when it may be missing",
        STR_FMT(name));
}

static enum err read_property(const struct json *v, struct property *out, struct diag *diag)
{
    *out = (struct property){ .name = v->key };
    if (json_is(v, JSON_STR)) return read_sort(v->key, v->s, &out->sort, &out->optional, diag);
    const struct json *min = json_get(v, S("min")), *max = json_get(v, S("max"));
    enum err err = read_sort(v->key, json_str(json_get(v, S("type")), S("")), &out->sort,
                             &out->optional, diag);
    out->optional |= json_bool(json_get(v, S("optional")), false);
    out->has_min = min != NULL;
    out->has_max = max != NULL;
    out->min = json_num(min, 0);
    out->max = json_num(max, 0);
    out->one_of = json_get(v, S("one_of"));
    if (!err && out->one_of && out->one_of->kind != JSON_ARR)
        return diag_set(diag, ERR_BAD_INPUT, "one_of of %.*s is a list", STR_FMT(v->key));
    return err;
}

static enum err read_event(arena *a, const struct json *v, struct planned *out, struct diag *diag)
{
    const struct json *properties = json_get(v, S("properties"));
    *out = (struct planned){ .name = v->key, .type = planned_type(v->key) };
    if (!json_is(v, JSON_OBJ) || json_str(json_get(v, S("owner")), S("")).len == 0
        || json_str(json_get(v, S("purpose")), S("")).len == 0)
        return diag_set(diag, ERR_BAD_INPUT, "\"%.*s\" needs an owner and a purpose", STR_FMT(v->key));
    if (json_len(properties) > PLAN_PROPERTIES_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "\"%.*s\" has more than %d properties",
                        STR_FMT(v->key), PLAN_PROPERTIES_MAX);
    out->properties = arena_new(a, struct property, json_len(properties));
    json_each(one, properties) {
        enum err err = read_property(one, &out->properties[out->properties_n++], diag);
        if (err) return err;
    }
    return ERR_OK;
}

enum err plan_read(arena *a, const struct json *doc, const struct plan **out, struct diag *diag)
{
    struct plan *plan = arena_new(a, struct plan, 1);
    const struct json *events = json_get(doc, S("events"));
    str outside = json_str(json_get(doc, S("outside")), S("warn"));
    *out = NULL;
    plan->refuses = str_eq(outside, S("refuse"));
    if (!plan->refuses && !str_eq(outside, S("warn")))
        return diag_set(diag, ERR_BAD_INPUT, "outside is warn or refuse");
    if (!json_is(events, JSON_OBJ) || json_len(events) > PLAN_EVENTS_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "events is an object of at most %d event names",
                        PLAN_EVENTS_MAX);
    plan->events = arena_new(a, struct planned, json_len(events));
    json_each(one, events) {
        enum err err = read_event(a, one, &plan->events[plan->events_n++], diag);
        if (err) return err;
    }
    *out = plan;
    return ERR_OK;
}

bool plan_refuses(const struct plan *plan) { return plan && plan->refuses; }

/* ---- checking -------------------------------------------------------------------------------- */

/* A property of an event, whether it came as JSON or, in identify, as a trait. */
struct held { bool there; u8 kind; str text; f64 n; };

static struct held held_json(const struct json *v)
{
    if (!v || v->kind == JSON_NULL) return (struct held){ 0 };
    return (struct held){ true, (u8)v->kind, json_str(v, S("")), json_num(v, 0) };
}

static struct held held_trait(const struct event *e, str name)
{
    for (isize i = 0; i < e->traits_n; i++) {
        const struct fact *f = &e->traits[i];
        if (!str_eq(f->name, name)) continue;
        switch ((enum fact_kind)f->kind) {
        case FACT_NULL: return (struct held){ 0 };
        case FACT_BOOL: return (struct held){ true, JSON_BOOL, S(""), 0 };
        case FACT_NUMBER: return (struct held){ true, JSON_NUM, S(""), f->n };
        case FACT_TEXT: return (struct held){ true, JSON_STR, f->text, 0 };
        case FACT_JSON:
            return (struct held){ true, str_starts(f->text, S("[")) ? JSON_ARR : JSON_OBJ, f->text,
                                  0 };
        }
    }
    return (struct held){ 0 };
}

/* A number may come as text ("19.90"): shops' systems do that, and so do we read it. */
static bool number_of(const struct held *h, f64 *n)
{
    *n = h->n;
    return h->kind == JSON_INT || h->kind == JSON_NUM
           || (h->kind == JSON_STR && str_to_f64(str_trim(h->text), n));
}

static bool is_sort(const struct held *h, u8 sort)
{
    f64 n;
    i64 at;
    switch ((enum sort)sort) {
    case SORT_TEXT: return h->kind == JSON_STR || h->kind == JSON_INT;      /* ids come as either */
    case SORT_NUMBER: return number_of(h, &n);
    case SORT_WHOLE: return number_of(h, &n) && n >= -9e15 && n <= 9e15 && (f64)(i64)n == n;
    case SORT_BOOL: return h->kind == JSON_BOOL;
    case SORT_TIME: return (h->kind == JSON_STR && time_parse(str_trim(h->text), &at)) || h->kind == JSON_INT;
    case SORT_LIST: return h->kind == JSON_ARR;
    case SORT_OBJECT: return h->kind == JSON_OBJ;
    case SORT_ANY: return true;
    }
    return false;
}

static bool is_one_of(const struct held *h, const struct json *list)
{
    json_each(one, list) {
        if (one->kind == JSON_STR && h->kind == JSON_STR && str_eq(one->s, h->text)) return true;
        bool numbers = (one->kind == JSON_INT || one->kind == JSON_NUM)
                       && (h->kind == JSON_INT || h->kind == JSON_NUM);
        if (numbers && json_num(one, 0) == h->n) return true;
    }
    return false;
}

static str wrong_with(const struct planned *planned, const struct property *p, const struct held *h, arena *a)
{
    f64 n;
    if (!h->there)
        return p->optional ? S("")
                           : arena_printf(a, "%.*s: %.*s is missing", STR_FMT(planned->name),
                                          STR_FMT(p->name));
    if (!is_sort(h, p->sort))
        return arena_printf(a, "%.*s: %.*s is not %s", STR_FMT(planned->name), STR_FMT(p->name),
                            sort_words[p->sort]);
    if (p->has_min && number_of(h, &n) && n < p->min)
        return arena_printf(a, "%.*s: %.*s is below %g", STR_FMT(planned->name), STR_FMT(p->name), p->min);
    if (p->has_max && number_of(h, &n) && n > p->max)
        return arena_printf(a, "%.*s: %.*s is above %g", STR_FMT(planned->name), STR_FMT(p->name), p->max);
    if (p->one_of && !is_one_of(h, p->one_of))
        return arena_printf(a, "%.*s: %.*s is none of the values in the plan",
                            STR_FMT(planned->name), STR_FMT(p->name));
    return S("");
}

static bool names_it(const struct planned *planned, const struct event *e)
{
    if (planned->type != EVENT_CUSTOM_FIRST) return planned->type == e->type;
    return (e->type == EVENT_NONE || e->type >= EVENT_CUSTOM_FIRST) && str_eq_nocase(planned->name, e->name);
}

static str sent_as(const struct event *e)
{
    for (isize i = 0; i < countof(calls); i++)
        if (calls[i].type == e->type) return str_of(calls[i].call);
    return e->name.len ? e->name : str_of(event_type_name(e->type));
}

str plan_check(const struct plan *plan, const struct event *e, arena *a)
{
    const struct planned *planned = NULL;
    for (isize i = 0; plan && i < plan->events_n && !planned; i++)
        if (names_it(&plan->events[i], e)) planned = &plan->events[i];
    if (!plan) return S("");
    if (!planned) return arena_printf(a, "%.*s is not in the plan", STR_FMT(sent_as(e)));
    const struct json *properties = NULL;
    /* what stood in columns is fields by now */
    bool from_file = e->flags & EVENT_IMPORTED && e->properties.len == 0;
    if (e->properties.len && json_parse(a, e->properties, &properties, NULL)) return S("");
    for (isize i = 0; i < planned->properties_n; i++) {
        const struct property *p = &planned->properties[i];
        if (e->type != EVENT_IDENTIFIED && from_file) break;
        struct held h = e->type == EVENT_IDENTIFIED ? held_trait(e, p->name)
                                                    : held_json(json_get(properties, p->name));
        str wrong = wrong_with(planned, p, &h, a);
        if (wrong.len) return wrong;
    }
    return S("");
}
