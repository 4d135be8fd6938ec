/* SPDX-License-Identifier: Apache-2.0
 *
 * cmab.c - bandits of campaigns in the words of Optimizely's SDKs: contextual bandits whose arm the
 * server is asked for.
 *
 * Each live experience that learns its shares is a feature of the datafile, "campaign.experience",
 * with one variable, `content`. Its one rule is of type cmab: an SDK asks the prediction endpoint
 * for the arm, with the attributes that the datafile names, and reports the impression under the
 * ids made here. Attributes are a bandit's facts without those that the server knows by itself
 * (traits, the hour).
 */
#include "decide/inside.h"

static str id_of(arena *a, const char *what, const struct campaign *c, const struct experience *x, str name)
{
    return experiment_id_of(a, arena_printf(a, "cmab-%s/%.*s/%.*s/%.*s", what, STR_FMT(c->key),
                                            STR_FMT(x->key), STR_FMT(name)));
}

static str attribute_id(arena *a, str name)
{
    return experiment_id_of(a, arena_printf(a, "attribute/%.*s", STR_FMT(name)));
}

str book_cmab_variation(arena *a, const struct campaign *c, const struct experience *x, isize arm)
{
    return id_of(a, "variation", c, x, x->variations[arm].key);
}

bool book_cmab_rule(const struct book *book, str rule, const struct campaign **campaign, isize *experience)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        for (isize k = 0; k < book->campaigns[i].experiences_n; k++) {
            const struct experience *x = &book->campaigns[i].experiences[k];
            if (!x->adaptive || !str_eq(x->experiment_key, rule)) continue;
            *campaign = &book->campaigns[i];
            *experience = k;
            return true;
        }
    return false;
}

str book_cmab_attribute(const struct experience *x, isize fact)
{
    str name = x->adaptive->context[fact];
    if (str_starts(name, S("context."))) name = str_from(name, 8);
    return str_starts(name, S("trait.")) || str_eq(name, S("hour")) ? S("") : name;
}

const struct json *book_cmab_context(const struct experience *x, const struct json *attributes, arena *a)
{
    struct json *fields = arena_new(a, struct json, x->adaptive->context_n),
                *context = arena_new(a, struct json, 1);
    isize n = 0;
    for (isize i = 0; i < x->adaptive->context_n; i++) {
        str name = book_cmab_attribute(x, i);
        json_each(given, name.len && json_is(attributes, JSON_ARR) ? attributes : NULL) {
            const struct json *value = json_get(given, S("value"));
            if (!value || value->kind >= JSON_ARR
                || !str_eq(json_str(json_get(given, S("id")), S("")), attribute_id(a, name)))
                continue;
            fields[n] = *value;
            fields[n++].key = name;
            break;
        }
    }
    *context = (struct json){ .kind = JSON_OBJ, .list = { fields, n } };
    return context;
}

/* What it cannot be sent with; null when it can. */
static const char *hindrance(const struct experience *x)
{
    if (x->target) return "a bandit with a target is decided by the server alone: ask /v1/decide";
    if (x->holdout > 0)
        return "a bandit with a holdout of its own is decided by the server alone: ask /v1/decide";
    return NULL;
}

static void print_experiment(arena *a, const struct campaign *c, const struct experience *x, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", x->experiment_key);
    jsonw_key_str(w, "key", arena_printf(a, "%.*s.%.*s", STR_FMT(c->key), STR_FMT(x->key)));
    jsonw_key_str(w, "status", S("Running"));
    jsonw_key_str(w, "layerId", id_of(a, "layer", c, x, S("")));
    jsonw_key_str(w, "type", S("cmab"));
    jsonw_key_begin(w, "audienceIds", '['), jsonw_end(w, ']');
    jsonw_key_begin(w, "forcedVariations", '{'), jsonw_end(w, '}');
    jsonw_key_begin(w, "trafficAllocation", '['), jsonw_end(w, ']');
    jsonw_key_begin(w, "cmab", '{');
    /* the SDK reads one, its check of the file the other */
    static const char *const lists[] = { "attributeIds", "attributes" };
    for (isize l = 0; l < countof(lists); l++) {
        jsonw_key_begin(w, lists[l], '[');
        for (isize i = 0; i < x->adaptive->context_n; i++)
            if (book_cmab_attribute(x, i).len) jsonw_str(w, attribute_id(a, book_cmab_attribute(x, i)));
        jsonw_end(w, ']');
    }
    jsonw_key_int(w, "trafficAllocation", BUCKETS);
    jsonw_end(w, '}');
    jsonw_key_begin(w, "variations", '[');
    for (isize i = 0; i < x->variations_n; i++) {
        struct buf text = { .arena = a };
        struct jsonw content = { .out = &text };
        if (x->variations[i].content) jsonw_value(&content, x->variations[i].content);
        else jsonw_null(&content);
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", book_cmab_variation(a, c, x, i));
        jsonw_key_str(w, "key", x->variations[i].key);
        jsonw_key_bool(w, "featureEnabled", true);
        jsonw_key_begin(w, "variables", '[');
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", id_of(a, "variable", c, x, S("content")));
        jsonw_key_str(w, "value", buf_str(&text));
        jsonw_end(w, '}');
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void print_feature(arena *a, const struct campaign *c, const struct experience *x, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", id_of(a, "flag", c, x, S("")));
    jsonw_key_str(w, "key", arena_printf(a, "%.*s.%.*s", STR_FMT(c->key), STR_FMT(x->key)));
    jsonw_key_begin(w, "experimentIds", '[');
    jsonw_str(w, x->experiment_key);
    jsonw_end(w, ']');
    jsonw_key_str(w, "rolloutId", S(""));
    jsonw_key_begin(w, "variables", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", id_of(a, "variable", c, x, S("content")));
    jsonw_key_str(w, "key", S("content"));
    jsonw_key_str(w, "type", S("string"));
    jsonw_key_str(w, "subType", S("json"));
    jsonw_key_str(w, "defaultValue", S("{}"));
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void cmab_export(const struct book *book, arena *a, struct jsonw *experiments,
                 struct jsonw *features, struct export_notes *notes)
{
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        for (isize k = 0; k < c->experiences_n && !c->paused; k++) {
            const struct experience *x = &c->experiences[k];
            if (!x->adaptive) continue;
            if (hindrance(x)) {
                export_note(
                    notes, a,
                    (struct export_note){ c->key, x->key, "left out", str_of(hindrance(x)) });
                continue;
            }
            print_experiment(a, c, x, experiments);
            print_feature(a, c, x, features);
        }
    }
}
