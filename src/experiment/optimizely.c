/* SPDX-License-Identifier: Apache-2.0
 *
 * optimizely.c - an Optimizely datafile means here what it means to Optimizely's SDKs.
 *
 * Version 4 (2 and 3 are subsets). Order of a flag's decision: global holdouts, the flag's experiments
 * in order {local holdouts, running, whitelist, sticky map, audience, group, bucket}, then the rollout's
 * rules, where whoever matches an audience but falls outside its traffic goes straight to the last
 * rule. Audiences are three-valued: a missing attribute or one of another type is unknown, and unknown
 * at the root is no. Contextual bandits need an answer from elsewhere and are passed over, as the SDK's
 * synchronous calls do.
 *
 * Ids are looked up by maps made when reading: of two things with one id the last counts, as there.
 */
#include "experiment/file.h"

#include <math.h>

#include "base/hash.h"
#include "experiment/js.h"

enum tri { TRI_NO, TRI_YES, TRI_UNKNOWN };
enum { AUDIENCE_DEPTH_MAX = 64 };

struct slot { str key; const void *value; };
struct table { struct slot *at; isize cap; };           /* open addressing, twice as big as what is in it */

struct rule { const struct json *json; str id, key, group; const struct json **variations; isize variations_n;
              const struct json *everyone_else; };
struct feature {
    const struct json *json;
    const struct rule **experiments;
    isize experiments_n;
    const struct json *rollout;
};

struct optimizely {
    struct table audiences;             /* id -> conditions */
    struct table rules;                 /* id -> struct rule, experiments and rollout rules */
    struct table statuses;              /* experiment key -> status, of the last with that key */
    struct table variations, used;      /* id -> variation; used: those whose variables count */
    struct table groups, rollouts, features;
    const struct json *holdouts, *local_holdouts;
};

/* ---- maps ------------------------------------------------------------------------------------ */

static struct table table_new(arena *a, isize n)
{
    isize cap = 8;
    while (cap < 2 * n) cap *= 2;
    return (struct table){ arena_new(a, struct slot, cap), cap };
}

static struct slot *slot_of(const struct table *t, str key)
{
    isize i = (isize)(hash64(key, 0) & (u64)(t->cap - 1));
    while (t->at[i].value && !str_eq(t->at[i].key, key)) i = (i + 1) & (t->cap - 1);
    return &t->at[i];
}

static void table_put(struct table *t, str key, const void *value)
{
    *slot_of(t, key) = (struct slot){ key, value };
}

static const void *table_get(const struct table *t, str key)
{
    return t->cap ? slot_of(t, key)->value : NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

static str text_of(arena *a, const struct json *v, const char *field)
{
    return json_text(a, json_get(v, str_of(field)));
}

static isize count_rules(const struct json *file, isize *variations)
{
    isize n = 0;
    const struct json *lists[] = { json_get(file, S("groups")), json_get(file, S("rollouts")) };
    json_each(x, json_get(file, S("experiments"))) n++, *variations += json_len(json_get(x, S("variations")));
    for (isize i = 0; i < countof(lists); i++)
        json_each(outer, lists[i])
            json_each (x, json_get(outer, S("experiments")))
                n++, *variations += json_len(json_get(x, S("variations")));
    const struct json *holdouts[] = { json_get(file, S("holdouts")), json_get(file, S("localHoldouts")) };
    for (isize i = 0; i < countof(holdouts); i++)
        json_each(x, holdouts[i]) *variations += json_len(json_get(x, S("variations")));
    return n;
}

static enum err read_audiences(arena *a, const struct json *file, struct optimizely *o, struct diag *diag)
{
    const struct json *plain = json_get(file, S("audiences")), *typed = json_get(file, S("typedAudiences"));
    o->audiences = table_new(a, json_len(plain) + json_len(typed));
    json_each(audience, plain) {
        const struct json *conditions = json_get(audience, S("conditions"));
        struct diag why = { .arena = a };
        if (json_is(conditions, JSON_STR) && json_parse(a, conditions->s, &conditions, &why))
            return diag_set(diag, ERR_BAD_INPUT, "the conditions of audience %.*s: %.*s",
                            STR_FMT(text_of(a, audience, "id")), STR_FMT(why.what));
        if (conditions) table_put(&o->audiences, text_of(a, audience, "id"), conditions);
    }
    json_each(audience, typed)
        if (json_get(audience, S("conditions")))
            table_put(&o->audiences, text_of(a, audience, "id"),
                      json_get(audience, S("conditions")));
    return ERR_OK;
}

static void read_rule(arena *a, struct optimizely *o, const struct json *x, str group)
{
    const struct json *variations = json_get(x, S("variations"));
    struct rule *rule = arena_new(a, struct rule, 1);
    *rule = (struct rule){ .json = x, .id = text_of(a, x, "id"), .key = text_of(a, x, "key"), .group = group };
    if (group.len == 0) rule->group = text_of(a, x, "groupId");
    rule->variations = arena_new(a, const struct json *, json_len(variations));
    json_each(v, variations) {
        rule->variations[rule->variations_n++] = v;
        table_put(&o->variations, text_of(a, v, "id"), v);
        if (js_truthy(json_get(v, S("variables")))) table_put(&o->used, text_of(a, v, "id"), v);
    }
    table_put(&o->rules, rule->id, rule);
    table_put(&o->statuses, rule->key, json_get(x, S("status")) ? json_get(x, S("status")) : x);
}

static void read_rules(arena *a, const struct json *file, struct optimizely *o)
{
    isize variations = 0, rules = count_rules(file, &variations);
    const struct json *groups = json_get(file, S("groups")), *rollouts = json_get(file, S("rollouts"));
    o->rules = table_new(a, rules);
    o->statuses = table_new(a, rules);
    o->variations = table_new(a, variations);
    o->used = table_new(a, variations);
    o->groups = table_new(a, json_len(groups));
    o->rollouts = table_new(a, json_len(rollouts));
    json_each(x, json_get(file, S("experiments"))) read_rule(a, o, x, S(""));
    json_each(group, groups) {
        table_put(&o->groups, text_of(a, group, "id"), group);
        json_each(x, json_get(group, S("experiments"))) read_rule(a, o, x, text_of(a, group, "id"));
    }
    json_each(rollout, rollouts) {
        table_put(&o->rollouts, text_of(a, rollout, "id"), rollout);
        json_each(x, json_get(rollout, S("experiments"))) read_rule(a, o, x, S(""));
    }
    o->holdouts = json_get(file, S("holdouts"));
    o->local_holdouts = json_get(file, S("localHoldouts"));
    json_each(x, o->holdouts)
        json_each(v, json_get(x, S("variations"))) table_put(&o->variations, text_of(a, v, "id"), v);
    json_each(x, o->local_holdouts)
        json_each(v, json_len(json_get(x, S("includedRules"))) ? json_get(x, S("variations")) : NULL)
            table_put(&o->variations, text_of(a, v, "id"), v);
}

/* A "feature rollout" gives those it does not take what everyone else gets. */
static const struct json *everyone_else(const struct json *rollout)
{
    const struct json *rules = json_get(rollout, S("experiments"));
    const struct json *variations =
        json_len(rules) ? json_get(&rules->list.at[rules->list.n - 1], S("variations")) : NULL;
    return json_len(variations) ? &variations->list.at[0] : NULL;
}

static void read_feature(arena *a, struct optimizely *o, const struct json *from, struct flag_file *file)
{
    struct feature *f = arena_new(a, struct feature, 1);
    const struct json *ids = json_get(from, S("experimentIds"));
    str key = text_of(a, from, "key");
    f->json = from;
    f->rollout = table_get(&o->rollouts, text_of(a, from, "rolloutId"));
    f->experiments = arena_new(a, const struct rule *, json_len(ids));
    json_each(id, ids) {
        struct rule *rule = (struct rule *)(uintptr_t)table_get(&o->rules, json_text(a, id));
        f->experiments[f->experiments_n++] = rule;
        const struct json *rest = everyone_else(f->rollout);
        if (!rule || !rest || !str_eq(json_str(json_get(rule->json, S("type")), S("")), S("fr"))) continue;
        const struct json **more = arena_new(a, const struct json *, rule->variations_n + 1);
        memcpy(more, rule->variations, (size_t)rule->variations_n * sizeof *more);
        more[rule->variations_n++] = rest;
        rule->variations = more;
        if (!rule->everyone_else) rule->everyone_else = rest;
    }
    if (!table_get(&o->features, key)) file->flags[file->flags_n++] = key;
    table_put(&o->features, key, f);
}

enum err optimizely_read(arena *a, const struct json *from, struct flag_file *file, struct diag *diag)
{
    str version = text_of(a, from, "version");
    const struct json *features = json_get(from, S("featureFlags"));
    if (!str_eq(version, S("2")) && !str_eq(version, S("3")) && !str_eq(version, S("4")))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "an Optimizely datafile says \"version\": \"2\", \"3\" or \"4\"; this says \"%.*s\"",
            STR_FMT(version));
    struct optimizely *o = arena_new(a, struct optimizely, 1);
    file->optimizely = o;
    file->flags = arena_new(a, str, json_len(features));
    enum err err = read_audiences(a, from, o, diag);
    if (err) return err;
    read_rules(a, from, o);
    o->features = table_new(a, json_len(features));
    json_each(feature, features) read_feature(a, o, feature, file);
    return ERR_OK;
}

/* ---- audiences ------------------------------------------------------------------------------- */

struct asking { const struct optimizely *o; const struct file_request *r; arena *a; str bucketing_id; };

static enum tri tri_of(bool b) { return b ? TRI_YES : TRI_NO; }

static bool safe_number(const struct json *v)
{
    return js_type(v) == JS_NUMBER && fabs(json_num(v, 0)) <= 9007199254740992.0;
}

static bool exactable(const struct json *v)
{
    return js_type(v) == JS_STRING || js_type(v) == JS_BOOL || safe_number(v);
}

static bool digits(str s)
{
    for (isize i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return s.len > 0;
}

static bool has_space(str s)
{
    for (isize i = 0; i < s.len; i++)
        if (s.ptr[i] == ' ' || (s.ptr[i] >= '\t' && s.ptr[i] <= '\r')) return true;
    return str_find(s, S("\xc2\xa0")) >= 0;
}

struct version { str parts[4]; isize n; bool pre, build; };

/* "1.2.3-beta" -> 1, 2, 3, beta. False: more than two dots, white space, or a part that is no number. */
static bool version_of(str s, struct version *out)
{
    isize pre = str_find_char(s, '-'), build = str_find_char(s, '+');
    *out = (struct version){ .pre = pre >= 0 && (build < 0 || pre < build), .build = build >= 0 && (pre < 0 || build < pre) };
    isize cut = out->pre ? pre : out->build ? build : s.len;
    str suffix = cut < s.len ? str_from(s, cut + 1) : S("");
    if (has_space(s)) return false;
    str head = str_slice(s, 0, cut);
    for (struct str_cut part = str_cut(head, '.');; part = str_cut(part.tail, '.')) {
        if (out->n == 3 || !digits(part.head)) return false;
        out->parts[out->n++] = part.head;
        if (!part.found) break;
    }
    if (suffix.len) out->parts[out->n++] = suffix;
    return true;
}

/* Only as far as the condition's version goes: "2.1.9" is "2.1". */
static bool version_compare(str condition, str given, int *order)
{
    struct version c, g;
    if (!version_of(given, &g) || !version_of(condition, &c)) return false;
    for (isize i = 0; i < c.n; i++) {
        if (g.n <= i) {
            *order = c.pre || c.build ? 1 : -1;
            return true;
        }
        if (!digits(g.parts[i])) {
            *order = js_compare_text(g.parts[i], c.parts[i]);
            if (*order < 0) *order = c.pre && !g.pre ? 1 : -1;
            else if (*order > 0) *order = !c.pre && g.pre ? -1 : 1;
            if (*order != 0) return true;
            continue;
        }
        f64 x = js_parse_int(g.parts[i]), y = js_parse_int(c.parts[i]);
        *order = x > y ? 1 : x < y ? -1 : 0;
        if (*order != 0) return true;
    }
    *order = g.pre && !c.pre ? -1 : 0;
    return true;
}

/* gt ge lt le eq of an order; unknown for another word. */
static enum tri by_order(str word, int order)
{
    if (str_eq(word, S("eq"))) return tri_of(order == 0);
    if (str_eq(word, S("gt"))) return tri_of(order > 0);
    if (str_eq(word, S("ge"))) return tri_of(order >= 0);
    if (str_eq(word, S("lt"))) return tri_of(order < 0);
    if (str_eq(word, S("le"))) return tri_of(order <= 0);
    return TRI_UNKNOWN;
}

static enum tri attribute_holds(struct asking *q, const struct json *leaf)
{
    const struct json *match = json_get(leaf, S("match")), *expected = json_get(leaf, S("value"));
    const struct json *given = json_get(q->r->attributes, json_str(json_get(leaf, S("name")), S("")));
    if (match && !json_is(match, JSON_STR)) return TRI_UNKNOWN;
    str word = match ? match->s : S("exact");
    if (str_eq(word, S("exists"))) return tri_of(js_type(given) != JS_NULL);
    if (js_type(given) == JS_NULL) return TRI_UNKNOWN;
    if (str_eq(word, S("exact"))) {
        if (!exactable(expected) || !exactable(given) || js_type(expected) != js_type(given))
            return TRI_UNKNOWN;
        return tri_of(js_same(expected, given));
    }
    if (str_starts(word, S("semver_"))) {
        int order;
        if (js_type(expected) != JS_STRING || js_type(given) != JS_STRING) return TRI_UNKNOWN;
        return version_compare(expected->s, given->s, &order) ? by_order(str_from(word, 7), order)
                                                              : TRI_UNKNOWN;
    }
    if (str_eq(word, S("substring"))) {
        if (js_type(expected) != JS_STRING || js_type(given) != JS_STRING) return TRI_UNKNOWN;
        return tri_of(expected->s.len == 0 || str_find(given->s, expected->s) >= 0);
    }
    if (str_eq(word, S("eq")) || !safe_number(expected) || !safe_number(given)) return TRI_UNKNOWN;
    f64 x = json_num(given, 0), y = json_num(expected, 0);
    return by_order(word, (x > y) - (x < y));
}

static enum tri leaf_holds(struct asking *q, const struct json *leaf)
{
    str type = json_str(json_get(leaf, S("type")), S(""));
    if (str_eq(type, S("custom_attribute"))) return attribute_holds(q, leaf);
    const struct json *match = json_get(leaf, S("match"));
    if (!str_eq(type, S("third_party_dimension"))
        || (match && !str_eq(json_str(match, S("")), S("qualified"))))
        return TRI_UNKNOWN;
    str segment = json_str(json_get(leaf, S("value")), S(""));
    for (isize i = 0; i < q->r->segments_n; i++)
        if (str_eq(q->r->segments[i], segment)) return TRI_YES;
    return TRI_NO;
}

/* A tree of ["and"|"or"|"not", …]; its leaves are audience ids at the top level, conditions within one. */
static enum tri tree_holds(struct asking *q, const struct json *tree, bool audiences, int depth)
{
    if (depth == AUDIENCE_DEPTH_MAX) return TRI_UNKNOWN;
    if (!json_is(tree, JSON_ARR)) {
        if (!audiences) return leaf_holds(q, tree);
        const struct json *conditions = table_get(&q->o->audiences, json_text(q->a, tree));
        return conditions ? tree_holds(q, conditions, false, depth + 1) : TRI_UNKNOWN;
    }
    str word = tree->list.n ? json_str(&tree->list.at[0], S("")) : S("");
    bool is_and = str_eq(word, S("and")), is_not = str_eq(word, S("not")), is_or = str_eq(word, S("or"));
    /* Without an operator it is "or". What is no text in the operator's place is lost, in the SDK too. */
    isize from = is_and || is_not || is_or || !(tree->list.n && json_is(&tree->list.at[0], JSON_STR)) ? 1 : 0;
    bool unknown = false;
    if (is_not) {
        enum tri of = tree->list.n > 1 ? tree_holds(q, &tree->list.at[1], audiences, depth + 1) : TRI_UNKNOWN;
        return of == TRI_UNKNOWN ? TRI_UNKNOWN : tri_of(of == TRI_NO);
    }
    for (isize i = from; i < tree->list.n; i++) {
        enum tri each = tree_holds(q, &tree->list.at[i], audiences, depth + 1);
        if (each == (is_and ? TRI_NO : TRI_YES)) return each;
        unknown = unknown || each == TRI_UNKNOWN;
    }
    return unknown ? TRI_UNKNOWN : tri_of(is_and);
}

static bool in_audience(struct asking *q, const struct json *rule)
{
    const struct json *conditions = json_get(rule, S("audienceConditions"));
    if (!js_truthy(conditions)) conditions = json_get(rule, S("audienceIds"));
    if (!js_truthy(conditions) || (json_is(conditions, JSON_ARR) && conditions->list.n == 0)) return true;
    return tree_holds(q, conditions, true, 0) == TRI_YES;
}

/* ---- bucketing ------------------------------------------------------------------------------- */

/* The first entry whose end lies beyond; false when none. Its id may be empty: a hole. */
static bool find_bucket(struct asking *q, str id, const struct json *traffic, str *entity)
{
    i32 bucket = experiment_bucket((struct bucket_key){ q->bucketing_id, id });
    json_each(entry, traffic) {
        if (!(bucket < js_number(q->a, json_get(entry, S("endOfRange"))))) continue;
        *entity = json_text(q->a, json_get(entry, S("entityId")));
        return true;
    }
    return false;
}

static const struct json *bucketed(struct asking *q, const struct json *rule, str id, str group_id,
                                   const struct json *rest)
{
    str entity = S("");
    const struct json *group = group_id.len ? table_get(&q->o->groups, group_id) : NULL;
    if (group && str_eq(json_str(json_get(group, S("policy")), S("")), S("random"))) {
        if (!find_bucket(q, group_id, json_get(group, S("trafficAllocation")), &entity)
            || !str_eq(entity, id))
            return NULL;
    }
    if (find_bucket(q, id, json_get(rule, S("trafficAllocation")), &entity))
        return table_get(&q->o->variations, entity);
    return rest ? table_get(&q->o->variations, text_of(q->a, rest, "id")) : NULL;
}

static bool running(const struct json *status) { return str_eq(json_str(status, S("")), S("Running")); }

static const struct json *held_out(struct asking *q, const struct json *holdout)
{
    if (!running(json_get(holdout, S("status"))) || !in_audience(q, holdout)) return NULL;
    return bucketed(q, holdout, text_of(q->a, holdout, "id"), S(""), NULL);
}

/* ---- a flag ---------------------------------------------------------------------------------- */

struct found { const struct json *rule, *variation; const char *reason; bool done; };

static bool local_holdout(struct asking *q, str rule_id, struct found *out)
{
    json_each(holdout, q->o->local_holdouts) {
        bool named = false;
        json_each (id, json_get(holdout, S("includedRules")))
            named = named || str_eq(json_text(q->a, id), rule_id);
        const struct json *variation = named ? held_out(q, holdout) : NULL;
        if (!variation) continue;
        *out = (struct found){ holdout, variation, "holdout", true };
        return true;
    }
    return false;
}

/* The rule's variation of that key: the last, as an object's fields would have it. */
static const struct json *variation_of(struct asking *q, const struct rule *rule, str key)
{
    const struct json *result = NULL;
    for (isize i = 0; i < rule->variations_n; i++)
        if (str_eq(text_of(q->a, rule->variations[i], "key"), key)) result = rule->variations[i];
    return result;
}

static const struct json *flag_variation(struct asking *q, const struct feature *f, str key)
{
    for (isize i = 0; i < f->experiments_n; i++)
        for (isize k = 0; f->experiments[i] && k < f->experiments[i]->variations_n; k++)
            if (str_eq(text_of(q->a, f->experiments[i]->variations[k], "key"), key))
                return f->experiments[i]->variations[k];
    json_each(x, json_get(f->rollout, S("experiments")))
        json_each(v, json_get(x, S("variations")))
            if (str_eq(text_of(q->a, v, "key"), key)) return v;
    return NULL;
}

/* The key of the variation the experiment gives; empty when none. */
static str experiment_variation(struct asking *q, const struct rule *rule, const char **reason)
{
    str forced = json_text(q->a, json_get(json_get(rule->json, S("forcedVariations")), q->r->user_id));
    if (!running(table_get(&q->o->statuses, rule->key))) return S("");
    if (forced.len && variation_of(q, rule, forced)) {
        *reason = "forced";
        return forced;
    }
    const struct json *kept = json_get(json_get(q->r->attributes, S("$opt_experiment_bucket_map")), rule->id);
    if (!kept) kept = json_get(q->r->sticky, rule->id);
    const struct json *variation =
        kept ? table_get(&q->o->variations, text_of(q->a, kept, "variation_id")) : NULL;
    *reason = variation ? "sticky" : "experiment";
    if (!variation && in_audience(q, rule->json) && !js_truthy(json_get(rule->json, S("cmab"))))
        variation = bucketed(q, rule->json, rule->id, rule->group, rule->everyone_else);
    return variation ? text_of(q->a, variation, "key") : S("");
}

static void by_experiments(struct asking *q, const struct feature *f, struct found *out)
{
    for (isize i = 0; i < f->experiments_n; i++) {
        const struct rule *rule = f->experiments[i];
        const char *reason = "experiment";
        if (!rule) continue;
        if (local_holdout(q, rule->id, out)) return;
        str key = experiment_variation(q, rule, &reason);
        if (key.len == 0) continue;
        const struct json *variation = variation_of(q, rule, key);
        if (!variation) variation = flag_variation(q, f, key);
        *out = (struct found){ rule->json, variation, reason, variation != NULL };
        return;
    }
}

static void by_rollout(struct asking *q, const struct feature *f, struct found *out)
{
    const struct json *rules = json_get(f->rollout, S("experiments"));
    isize last = json_len(rules) - 1;
    for (isize i = 0; i <= last;) {
        const struct json *json = &rules->list.at[i];
        str id = text_of(q->a, json, "id");
        const struct rule *rule = table_get(&q->o->rules, id);
        if (local_holdout(q, id, out)) return;
        bool matches = in_audience(q, json);
        const struct json *variation =
            matches ? bucketed(q, json, id, rule ? rule->group : S(""), NULL) : NULL;
        if (variation) {
            *out = (struct found){ rule->json, variation, "rollout", true };
            return;
        }
        i = matches && i < last ? last : i + 1;
    }
}

static struct found decide_flag(struct asking *q, const struct feature *f)
{
    struct found found = { .reason = "default" };
    bool experiments = true;
    json_each(holdout, q->o->holdouts) {
        const struct json *variation = held_out(q, holdout);
        if (!variation) continue;
        if (!js_truthy(json_get(holdout, S("excludeTargetedDeliveries"))))
            return (struct found){ holdout, variation, "holdout", true };
        experiments = false;                            /* deliveries still go on */
        break;
    }
    if (experiments) by_experiments(q, f, &found);
    if (!found.done) {
        found = (struct found){ .reason = "default" };
        by_rollout(q, f, &found);
    }
    return found;
}

/* ---- variables ------------------------------------------------------------------------------- */

static struct json typed(struct asking *q, const struct json *variable, const struct json *value)
{
    str type = json_str(json_get(variable, S("type")), S(""));
    bool json = str_eq(type, S("json"))
                || (str_eq(type, S("string"))
                    && str_eq(json_str(json_get(variable, S("subType")), S("")), S("json")));
    struct json out = { .kind = JSON_NULL };
    if (str_eq(type, S("boolean"))) {
        str s = json_str(value, S(""));
        if (str_eq(s, S("true")) || str_eq(s, S("false")))
            out = (struct json){ .kind = JSON_BOOL, .b = s.len == 4 };
    } else if (str_eq(type, S("integer")) || str_eq(type, S("double"))) {
        f64 n = str_eq(type, S("double")) ? js_parse_float(js_string(q->a, value))
                                          : js_parse_int(js_string(q->a, value));
        if (isfinite(n)) out = (struct json){ .kind = JSON_NUM, .n = n };
        if (isfinite(n) && n == floor(n) && fabs(n) < 9e15)
            out = (struct json){ .kind = JSON_INT, .i = (i64)n };
    } else if (json) {
        const struct json *parsed;
        if (!json_parse(q->a, js_string(q->a, value), &parsed, NULL)) out = *parsed;
    } else if (value) {
        out = *value;
    }
    out.key = text_of(q->a, variable, "key");
    return out;
}

static const struct json *variables_of(struct asking *q, const struct feature *f,
                                       const struct json *variation, bool enabled)
{
    const struct json *list = json_get(f->json, S("variables"));
    const struct json *used = variation ? table_get(&q->o->used, text_of(q->a, variation, "id")) : NULL;
    struct json *at = arena_new(q->a, struct json, json_len(list)), *out = arena_new(q->a, struct json, 1);
    isize n = 0;
    json_each(variable, list) {
        const struct json *value = json_get(variable, S("defaultValue"));
        str id = text_of(q->a, variable, "id");
        json_each(usage, enabled ? json_get(used, S("variables")) : NULL)
            if (str_eq(text_of(q->a, usage, "id"), id)
                && js_type(json_get(usage, S("value"))) != JS_NULL)
                value = json_get(usage, S("value"));
        at[n++] = typed(q, variable, value);
    }
    *out = (struct json){ .kind = JSON_OBJ, .list = { at, n } };
    return out;
}

void optimizely_evaluate(const struct flag_file *file, str flag, const struct file_request *request, arena *a,
                         struct file_answer *out)
{
    struct asking q = { .o = file->optimizely, .r = request, .a = a };
    const struct feature *f = table_get(&q.o->features, flag);
    *out = (struct file_answer){ .flag = flag, .variation_index = -1, .reason = S("unknown") };
    if (!f) return;
    q.bucketing_id = json_str(json_get(request->attributes, S("$opt_bucketing_id")), request->user_id);
    struct found found = decide_flag(&q, f);
    out->reason = str_of(found.reason);
    out->enabled = json_bool(json_get(found.variation, S("featureEnabled")), false);
    out->variables = variables_of(&q, f, found.variation, out->enabled);
    out->from = found.rule;
    if (found.variation) out->variation = text_of(a, found.variation, "key");
    if (found.rule) {
        out->rule = text_of(a, found.rule, "key");
        out->experiment = text_of(a, found.rule, "id");
    }
    struct json *on = arena_new(a, struct json, 1);
    *on = (struct json){ .kind = JSON_BOOL, .b = out->enabled };
    out->value = json_len(out->variables) ? out->variables : on;
}
