/* SPDX-License-Identifier: Apache-2.0
 *
 * flag.c - a flag is a list of rules, the first that applies answers.
 *
 * Compiling does everything that can be done once: values become JSON text, shares become ranges,
 * ids are made. Evaluating is then a hash and a few comparisons per rule and allocates nothing;
 * the budget is 200 ns for a flag of two rules.
 *
 * The programme holdout stands before the rules, not among them, so that no rule, however written,
 * can show something to those held out.
 */
#include "experiment/experiment.h"

static const struct { str name; enum json_kind kind; const char *article; } types[] = {
    [FLAG_BOOL] = { S_INIT("bool"), JSON_BOOL, "true or false" },
    [FLAG_STRING] = { S_INIT("string"), JSON_STR, "a string" },
    [FLAG_NUMBER] = { S_INIT("number"), JSON_NUM, "a number" },
    [FLAG_JSON] = { S_INIT("json"), JSON_NULL, "any JSON" },
};
static const str kinds[] = {
    [FLAG_FORCE] = S_INIT("force"),
    [FLAG_ROLLOUT] = S_INIT("rollout"),
    [FLAG_EXPERIMENT] = S_INIT("experiment"),
};
static const str reasons[] = {
    [FLAG_BY_DEFAULT] = S_INIT("default"),       [FLAG_BY_TARGET] = S_INIT("target"),
    [FLAG_BY_ROLLOUT] = S_INIT("rollout"),       [FLAG_BY_EXPERIMENT] = S_INIT("experiment"),
    [FLAG_BY_HOLDOUT] = S_INIT("holdout"),       [FLAG_BY_PAUSE] = S_INIT("paused"),
};

str flag_reason_name(enum flag_reason reason)
{
    return reasons[reason];
}

/* ---- compiling ------------------------------------------------------------------------------ */

struct compiling { arena *a; struct flag *flag; struct diag *diag; };

static bool is_one_of(str s, const str *of, isize n, isize *which)
{
    for (*which = 0; *which < n; ++*which) {
        if (str_eq(s, of[*which])) return true;
    }
    return false;
}

/* `where` names the place for a person: "the default", "rule ramp". */
static enum err value_of(const struct compiling *c, const struct json *v, str where, str *out)
{
    enum flag_type type = c->flag->type;
    bool fits = v && (type == FLAG_JSON || v->kind == types[type].kind
                      || (type == FLAG_NUMBER && v->kind == JSON_INT));
    if (!fits) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: the value of a %.*s flag is %s", STR_FMT(where),
                        STR_FMT(types[type].name), types[type].article);
    }
    struct buf b = { .arena = c->a };
    struct jsonw w = { .out = &b };
    jsonw_value(&w, v);
    *out = buf_str(&b);
    return ERR_OK;
}

static enum err share_of(const struct compiling *c, const struct json *v, str where, i32 *out)
{
    if (share_parse(json_str(v, S("")), out)) return ERR_OK;
    return diag_set(c->diag, ERR_BAD_INPUT,
                    "%.*s: share is a percentage in quotes, such as \"33.5%%\", of 0 to 100", STR_FMT(where));
}

static enum err check_fields(const struct compiling *c, const struct json *v, const str *known, isize n,
                             str where)
{
    json_each(field, v) {
        isize which;
        if (is_one_of(field->key, known, n, &which)) continue;
        isize nearest = 0;
        for (isize i = 1; i < n; i++) {
            if (str_distance(field->key, known[i]) < str_distance(field->key, known[nearest])) nearest = i;
        }
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: there is no field \"%.*s\"; did you mean \"%.*s\"?",
                        STR_FMT(where), STR_FMT(field->key), STR_FMT(known[nearest]));
    }
    return ERR_OK;
}

static enum err id_of(const struct compiling *c, const struct json *v, str where, struct flag_rule *rule)
{
    if (!v) {
        rule->id = experiment_id_of(c->a, arena_printf(c->a, "flag/%.*s/%.*s", STR_FMT(c->flag->key),
                                                       STR_FMT(rule->key)));
        return ERR_OK;
    }
    str id = json_str(v, S(""));
    bool digits = id.len >= 1 && id.len <= 19;
    for (isize i = 0; i < id.len && digits; i++) digits = id.ptr[i] >= '0' && id.ptr[i] <= '9';
    if (!digits) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: id is a string of 1 to 19 decimal digits",
                        STR_FMT(where));
    }
    rule->id = arena_str(c->a, id);
    return ERR_OK;
}

static enum err allocation_of(const struct compiling *c, const struct json *ranges, str where,
                              struct flag_rule *rule)
{
    i32 shares[VARIATIONS_MAX];
    for (isize i = 0; i < rule->variations_n; i++) shares[i] = rule->variations[i].share;
    if (!ranges) return experiment_allocate(c->a, shares, rule->variations_n, &rule->allocation, c->diag);
    enum err err = experiment_allocation_read(c->a, ranges, rule->variations_n, &rule->allocation, c->diag);
    if (err) return err;
    for (isize i = 0; i < rule->variations_n; i++) {
        if (experiment_share(rule->allocation, (i32)i) == shares[i]) continue;
        return diag_set(c->diag, ERR_BAD_INPUT,
                        "%.*s: the ranges of variation %.*s do not add up to its share", STR_FMT(where),
                        STR_FMT(rule->variations[i].key));
    }
    return ERR_OK;
}

static enum err compile_variations(const struct compiling *c, const struct json *list, str where,
                                   struct flag_rule *rule)
{
    static const str known[] = { S_INIT("key"), S_INIT("share"), S_INIT("value"), S_INIT("title") };
    isize n = json_len(list);
    if (!json_is(list, JSON_ARR) || n < 1 || n > VARIATIONS_MAX) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: variations is a list of 1 to %d", STR_FMT(where),
                        VARIATIONS_MAX);
    }
    struct flag_variation *at = arena_new(c->a, struct flag_variation, n);
    isize i = 0;
    json_each(v, list) {
        enum err err = check_fields(c, v, known, countof(known), where);
        if (!err) err = value_of(c, json_get(v, S("value")), where, &at[i].value);
        if (!err) err = share_of(c, json_get(v, S("share")), where, &at[i].share);
        if (err) return err;
        at[i].key = arena_str(c->a, json_str(json_get(v, S("key")), S("")));
        bool repeated = at[i].key.len == 0;
        for (isize j = 0; j < i; j++) repeated = repeated || str_eq(at[j].key, at[i].key);
        if (repeated) {
            return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: each variation has a key of its own",
                            STR_FMT(where));
        }
        i++;
    }
    rule->variations = at;
    rule->variations_n = n;
    return ERR_OK;
}

static enum err compile_rule(const struct compiling *c, const struct json *from, isize index,
                             struct flag_rule *rule)
{
    static const str known[][8] = {
        [FLAG_FORCE] = { S_INIT("key"), S_INIT("kind"), S_INIT("target"), S_INIT("title"), S_INIT("value") },
        [FLAG_ROLLOUT] = { S_INIT("key"), S_INIT("kind"), S_INIT("target"), S_INIT("title"), S_INIT("value"),
                           S_INIT("share"), S_INIT("id") },
        [FLAG_EXPERIMENT] = { S_INIT("key"), S_INIT("kind"), S_INIT("target"), S_INIT("title"),
                              S_INIT("variations"), S_INIT("id"), S_INIT("ranges") },
    };
    static const isize known_n[] = { [FLAG_FORCE] = 5, [FLAG_ROLLOUT] = 7, [FLAG_EXPERIMENT] = 7 };
    rule->key = arena_str(c->a, json_str(json_get(from, S("key")), S("")));
    if (rule->key.len == 0) return diag_set(c->diag, ERR_BAD_INPUT, "rule %td has no key", index + 1);
    for (isize i = 0; i < index; i++) {
        if (!str_eq(c->flag->rules[i].key, rule->key)) continue;
        return diag_set(c->diag, ERR_BAD_INPUT, "two rules have the key %.*s", STR_FMT(rule->key));
    }
    str where = arena_printf(c->a, "rule %.*s", STR_FMT(rule->key));
    isize kind;
    if (!is_one_of(json_str(json_get(from, S("kind")), S("")), kinds, countof(kinds), &kind)) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: kind is force, rollout or experiment", STR_FMT(where));
    }
    rule->kind = (enum flag_rule_kind)kind;
    enum err err = check_fields(c, from, known[kind], known_n[kind], where);
    if (err) return err;
    const struct json *target = json_get(from, S("target"));
    if (target && !json_is(target, JSON_STR)) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: target is a rule in text", STR_FMT(where));
    }
    rule->target = arena_str(c->a, str_trim(json_str(target, S(""))));
    err = id_of(c, json_get(from, S("id")), where, rule);
    if (err) return err;
    switch (rule->kind) {
    case FLAG_FORCE:
        return value_of(c, json_get(from, S("value")), where, &rule->value);
    case FLAG_ROLLOUT:
        err = share_of(c, json_get(from, S("share")), where, &rule->share);
        return err ? err : value_of(c, json_get(from, S("value")), where, &rule->value);
    case FLAG_EXPERIMENT:
        err = compile_variations(c, json_get(from, S("variations")), where, rule);
        return err ? err : allocation_of(c, json_get(from, S("ranges")), where, rule);
    }
    return ERR_OK;
}

enum err experiment_flag_compile(arena *a, const struct json *definition, i32 holdout_share,
                                 const struct flag **out, struct diag *diag)
{
    assert(holdout_share >= 0 && holdout_share <= BUCKETS);
    struct flag *flag = arena_new(a, struct flag, 1);
    struct compiling c = { a, flag, diag };
    flag->key = arena_str(a, json_str(json_get(definition, S("key")), S("")));
    if (flag->key.len == 0) return diag_set(diag, ERR_BAD_INPUT, "a flag has a key");
    isize type = 0;
    str type_name = json_str(json_get(definition, S("type")), S(""));
    while (type < countof(types) && !str_eq(type_name, types[type].name)) type++;
    if (type == countof(types)) return diag_set(diag, ERR_BAD_INPUT, "type is bool, string, number or json");
    flag->type = (enum flag_type)type;
    flag->paused = json_bool(json_get(definition, S("paused")), false);
    flag->holdout_share = holdout_share;
    enum err err = value_of(&c, json_get(definition, S("default")), S("the default"), &flag->value);
    if (err) return err;

    const struct json *rules = json_get(definition, S("rules"));
    isize n = json_len(rules);
    if ((rules && !json_is(rules, JSON_ARR)) || n > FLAG_RULES_MAX) {
        return diag_set(diag, ERR_BAD_INPUT, "rules is a list of at most %d", FLAG_RULES_MAX);
    }
    struct flag_rule *at = arena_new(a, struct flag_rule, n);
    flag->rules = at;
    json_each(rule, rules) {
        err = compile_rule(&c, rule, flag->rules_n, &at[flag->rules_n]);
        if (err) return err;
        flag->rules_n++;
    }
    *out = flag;
    return ERR_OK;
}

/* ---- evaluating ----------------------------------------------------------------------------- */

static bool applies(const struct flag_rule *rule, str bucketing_id, struct flag_answer *answer)
{
    if (rule->kind == FLAG_FORCE) {
        answer->value = rule->value;
        answer->reason = FLAG_BY_TARGET;
        return true;
    }
    if (bucketing_id.len == 0) {
        answer->no_bucketing_id = true;
        return false;
    }
    struct bucket_key key = { bucketing_id, rule->id };
    if (rule->kind == FLAG_ROLLOUT) {
        i32 bucket = experiment_bucket(key);
        if (bucket >= rule->share) return false;
        answer->value = rule->value;
        answer->reason = FLAG_BY_ROLLOUT;
        answer->bucket = bucket;
        answer->propensity = (f64)rule->share / BUCKETS;
        return true;
    }
    struct assignment got = experiment_assign(key, rule->allocation);
    if (got.variation < 0) return false;
    answer->value = rule->variations[got.variation].value;
    answer->variation = rule->variations[got.variation].key;
    answer->reason = FLAG_BY_EXPERIMENT;
    answer->experiment_id = rule->id;
    answer->bucket = got.bucket;
    answer->propensity = got.propensity;
    return true;
}

struct flag_answer experiment_flag_evaluate(const struct flag *flag, str bucketing_id,
                                            flag_matches *matches, void *ctx)
{
    struct flag_answer answer = {
        .value = flag->value, .reason = FLAG_BY_DEFAULT, .bucket = -1, .propensity = 1
    };
    if (flag->paused) {
        answer.reason = FLAG_BY_PAUSE;
        return answer;
    }
    /* Somebody without an id cannot be shown to be outside the holdout, and is not counted either:
     * they get what needs no assignment. */
    if (flag->holdout_share > 0 && bucketing_id.len > 0
        && holdout_contains(bucketing_id, flag->holdout_share)) {
        answer.reason = FLAG_BY_HOLDOUT;
        return answer;
    }
    for (isize i = 0; i < flag->rules_n; i++) {
        const struct flag_rule *rule = &flag->rules[i];
        if (rule->target.len > 0 && !(matches && matches(ctx, i, rule->target))) continue;
        if (!applies(rule, bucketing_id, &answer)) continue;
        answer.rule = rule->key;
        return answer;
    }
    return answer;
}
