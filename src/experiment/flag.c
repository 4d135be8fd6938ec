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
    [FLAG_BY_FORCE] = S_INIT("forced"),          [FLAG_BY_PREVIEW] = S_INIT("preview"),
};
static const str hashes[] = {
    [HASH_OPT3] = S_INIT("opt3"), [HASH_GB2] = S_INIT("gb2"), [HASH_GB1] = S_INIT("gb1"),
};

str flag_reason_name(enum flag_reason reason)
{
    return reasons[reason];
}

str flag_hash_name(enum flag_hash hash)
{
    return hashes[hash];
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
    *out = json_print(c->a, v);
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

/* {"headline": ["old", "new"], ...} */
static enum err factors_of(const struct compiling *c, const struct json *from, str where,
                           struct flag_rule *rule)
{
    if (!from) return ERR_OK;
    isize n = json_len(from);
    if (!json_is(from, JSON_OBJ) || n < 2 || n > FLAG_FACTORS_MAX) {
        return diag_set(c->diag, ERR_BAD_INPUT,
                        "%.*s: factors is an object of 2 to %d lists of levels", STR_FMT(where),
                        FLAG_FACTORS_MAX);
    }
    struct flag_factor *at = arena_new(c->a, struct flag_factor, n);
    rule->factors = at;
    json_each(factor, from) {
        isize levels = json_len(factor);
        if (!json_is(factor, JSON_ARR) || levels < 2 || levels > VARIATIONS_MAX) {
            return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: the factor %.*s has 2 or more levels",
                            STR_FMT(where), STR_FMT(factor->key));
        }
        str *names = arena_new(c->a, str, levels);
        for (isize i = 0; i < levels; i++) names[i] = arena_str(c->a, json_str(&factor->list.at[i], S("")));
        at[rule->factors_n++] = (struct flag_factor){ arena_str(c->a, factor->key), names, levels };
    }
    return ERR_OK;
}

static enum err levels_of(const struct compiling *c, const struct json *levels, str where,
                          const struct flag_rule *rule, struct flag_variation *v)
{
    for (isize f = 0; f < rule->factors_n; f++) {
        isize which;
        const struct flag_factor *factor = &rule->factors[f];
        if (!is_one_of(json_str(json_get(levels, factor->key), S("")), factor->levels,
                       factor->levels_n, &which)) {
            return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: variation %.*s says no level of %.*s",
                            STR_FMT(where), STR_FMT(v->key), STR_FMT(factor->key));
        }
        v->levels[f] = (u8)which;
    }
    return ERR_OK;
}

static enum err layer_of(const struct compiling *c, const struct json *from, str where,
                         struct flag_rule *rule)
{
    if (!from) return ERR_OK;
    struct flag_layer *layer = &rule->layer;
    layer->key = arena_str(c->a, json_str(json_get(from, S("key")), S("")));
    bool ok = layer->key.len > 0 && share_parse(json_str(json_get(from, S("from")), S("")), &layer->from)
           && share_parse(json_str(json_get(from, S("to")), S("")), &layer->to) && layer->from < layer->to;
    if (!ok) {
        return diag_set(
            c->diag, ERR_BAD_INPUT,
            "%.*s: layer is {\"key\": \"checkout\", \"from\": \"0%%\", \"to\": \"50%%\"}",
            STR_FMT(where));
    }
    layer->id = experiment_id_of(c->a, arena_printf(c->a, "layer/%.*s", STR_FMT(layer->key)));
    return ERR_OK;
}

static enum err forced_of(const struct compiling *c, const struct json *from, str where,
                          struct flag_rule *rule)
{
    isize n = json_len(from);
    if (!from) return ERR_OK;
    if (!json_is(from, JSON_OBJ) || n > FLAG_FORCED_MAX) {
        return diag_set(c->diag, ERR_BAD_INPUT,
                        "%.*s: forced names at most %d ids, {\"ana-77\": \"b\"}", STR_FMT(where),
                        FLAG_FORCED_MAX);
    }
    struct flag_forced *at = arena_new(c->a, struct flag_forced, n);
    rule->forced = at;
    json_each(field, from) {
        i32 which = -1;
        for (isize i = 0; i < rule->variations_n; i++)
            if (str_eq(rule->variations[i].key, json_str(field, S("")))) which = (i32)i;
        if (which < 0) {
            return diag_set(c->diag, ERR_BAD_INPUT,
                            "%.*s: %.*s is forced into a variation that is not there",
                            STR_FMT(where), STR_FMT(field->key));
        }
        at[rule->forced_n++] = (struct flag_forced){ arena_str(c->a, field->key), which };
    }
    return ERR_OK;
}

static enum err requires_of(const struct compiling *c, const struct json *from, str where,
                            struct flag_rule *rule)
{
    isize n = json_len(from);
    if (!from) return ERR_OK;
    if (!json_is(from, JSON_ARR) || n > FLAG_REQUIREMENTS_MAX) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: requires is a list of at most %d flags",
                        STR_FMT(where), FLAG_REQUIREMENTS_MAX);
    }
    struct flag_requirement *at = arena_new(c->a, struct flag_requirement, n);
    rule->requires = at;
    json_each(one, from) {
        const struct json *value = json_get(one, S("value"));
        struct buf text = { .arena = c->a };
        struct jsonw w = { .out = &text };
        str flag = json_str(json_get(one, S("flag")), S(""));
        if (flag.len == 0 || !value) {
            return diag_set(c->diag, ERR_BAD_INPUT,
                            "%.*s: requires is [{\"flag\": \"new_checkout\", \"value\": true}]",
                            STR_FMT(where));
        }
        jsonw_value(&w, value);
        at[rule->requires_n++] = (struct flag_requirement){ arena_str(c->a, flag), buf_str(&text) };
    }
    return ERR_OK;
}

/* What rollouts and experiments have and forced values do not: a hash, a layer, a holdout. */
static enum err assignment_of(const struct compiling *c, const struct json *from, str where,
                              struct flag_rule *rule)
{
    const struct json *hash = json_get(from, S("hash")), *holdout = json_get(from, S("holdout"));
    isize which = HASH_OPT3;
    if (hash && !is_one_of(json_str(hash, S("")), hashes, countof(hashes), &which)) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: hash is opt3, gb2 or gb1", STR_FMT(where));
    }
    rule->hash = (enum flag_hash)which;
    if (holdout && !share_parse(json_str(holdout, S("")), &rule->holdout_share)) {
        return diag_set(c->diag, ERR_BAD_INPUT,
                        "%.*s: holdout is a percentage in quotes, such as \"10%%\"",
                        STR_FMT(where));
    }
    rule->holdout_id = experiment_id_of(
        c->a, arena_printf(c->a, "holdout/%.*s/%.*s", STR_FMT(c->flag->key), STR_FMT(rule->key)));
    return layer_of(c, json_get(from, S("layer")), where, rule);
}

static enum err compile_variations(const struct compiling *c, const struct json *list, str where,
                                   struct flag_rule *rule)
{
    static const str known[] = { S_INIT("key"), S_INIT("share"), S_INIT("value"), S_INIT("title"), S_INIT("levels") };
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
        err = levels_of(c, json_get(v, S("levels")), where, rule, &at[i]);
        if (err) return err;
        i++;
    }
    rule->variations = at;
    rule->variations_n = n;
    return ERR_OK;
}

static enum err compile_rule(const struct compiling *c, const struct json *from, isize index,
                             struct flag_rule *rule)
{
    /* A forced value knows the first six, a rollout the first twelve. */
    static const str known[] = {
        S_INIT("key"), S_INIT("kind"), S_INIT("target"), S_INIT("title"), S_INIT("requires"), S_INIT("value"), S_INIT("share"),
        S_INIT("id"), S_INIT("hash"), S_INIT("layer"), S_INIT("holdout"), S_INIT("ramp"), S_INIT("variations"), S_INIT("ranges"),
        S_INIT("forced"), S_INIT("sticky"), S_INIT("factors"), S_INIT("metric"), S_INIT("control"),
    };
    static const isize known_n[] = {
        [FLAG_FORCE] = 6, [FLAG_ROLLOUT] = 12, [FLAG_EXPERIMENT] = countof(known)
    };
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
    enum err err = check_fields(c, from, known, known_n[kind], where);
    if (err) return err;
    const struct json *target = json_get(from, S("target"));
    if (target && !json_is(target, JSON_STR)) {
        return diag_set(c->diag, ERR_BAD_INPUT, "%.*s: target is a rule in text", STR_FMT(where));
    }
    rule->target = arena_str(c->a, str_trim(json_str(target, S(""))));
    err = id_of(c, json_get(from, S("id")), where, rule);
    if (!err) err = requires_of(c, json_get(from, S("requires")), where, rule);
    if (!err && rule->kind != FLAG_FORCE) err = assignment_of(c, from, where, rule);
    if (err) return err;
    switch (rule->kind) {
    case FLAG_FORCE:
        return value_of(c, json_get(from, S("value")), where, &rule->value);
    case FLAG_ROLLOUT:
        err = share_of(c, json_get(from, S("share")), where, &rule->share);
        return err ? err : value_of(c, json_get(from, S("value")), where, &rule->value);
    case FLAG_EXPERIMENT:
        rule->sticky = json_bool(json_get(from, S("sticky")), false);
        err = factors_of(c, json_get(from, S("factors")), where, rule);
        if (!err) err = compile_variations(c, json_get(from, S("variations")), where, rule);
        if (!err) err = forced_of(c, json_get(from, S("forced")), where, rule);
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

i32 flag_bucket(enum flag_hash hash, struct bucket_key key)
{
    f64 n = 0;
    if (hash == HASH_OPT3) return experiment_bucket(key);
    (void)growthbook_hash(key.experiment_id, key.bucketing_id, hash == HASH_GB2 ? 2 : 1, &n);
    /* a whole number of ten thousandths, made a double by dividing */
    return (i32)(n * BUCKETS + 0.5);
}

static i32 forced_variation(const struct flag_rule *rule, const struct flag_asker *who)
{
    for (isize i = 0; i < rule->forced_n; i++)
        if (str_eq(rule->forced[i].id, who->id)) return rule->forced[i].variation;
    return -1;
}

static void give(const struct flag_rule *rule, i32 variation, enum flag_reason reason,
                 struct flag_answer *answer)
{
    answer->value = rule->variations[variation].value;
    answer->variation = rule->variations[variation].key;
    answer->variation_index = variation;
    answer->experiment_id = rule->id;
    answer->reason = reason;
}

static bool target_holds(const struct flag_rule *rule, isize index, const struct flag_asker *who)
{
    if (rule->target.len > 0 && !(who->matches && who->matches(who->ctx, index, rule->target))) return false;
    for (isize i = 0; i < rule->requires_n; i++)
        if (!who->has || !who->has(who->ctx, &rule->requires[i])) return false;
    return true;
}

static bool roll_out(const struct flag_rule *rule, const struct flag_asker *who, struct flag_answer *answer)
{
    i32 bucket = flag_bucket(rule->hash, (struct bucket_key){ who->id, rule->id });
    if (bucket >= rule->share) return false;
    answer->value = rule->value;
    answer->reason = FLAG_BY_ROLLOUT;
    answer->bucket = bucket;
    answer->propensity = (f64)rule->share / BUCKETS;
    return true;
}

static bool assign(const struct flag_rule *rule, const struct flag_asker *who, struct flag_answer *answer)
{
    i32 bucket = flag_bucket(rule->hash, (struct bucket_key){ who->id, rule->id });
    for (isize i = 0; i < rule->allocation.n; i++) {
        const struct range *r = &rule->allocation.at[i];
        if (bucket < r->start || bucket >= r->end) continue;
        give(rule, r->variation, FLAG_BY_EXPERIMENT, answer);
        answer->bucket = bucket;
        answer->propensity = (f64)rule->variations[r->variation].share / BUCKETS;
        return true;
    }
    return false;
}

static bool applies(const struct flag_rule *rule, isize index, const struct flag_asker *who,
                    struct flag_answer *answer)
{
    if (rule->kind == FLAG_FORCE) {
        if (!target_holds(rule, index, who)) return false;
        answer->value = rule->value;
        answer->reason = FLAG_BY_TARGET;
        return true;
    }
    if (who->id.len == 0) {
        answer->no_bucketing_id = true;
        return false;
    }
    /* the target is asked once, and only when it matters */
    bool known = false, holds = false;
    if (rule->holdout_share > 0) {
        holds = target_holds(rule, index, who);
        known = true;
        if (holds
            && holdout_scope_contains((struct bucket_key){ who->id, rule->holdout_id },
                                      rule->holdout_share)) {
            answer->reason = FLAG_BY_HOLDOUT;
            return true;
        }
    }
    i32 variation = rule->forced_n ? forced_variation(rule, who) : -1;
    if (variation >= 0) {
        give(rule, variation, FLAG_BY_FORCE, answer);
        return true;
    }
    variation = rule->sticky && who->kept ? who->kept(who->ctx, index) : -1;
    if (variation >= 0 && variation < rule->variations_n && rule->variations[variation].share > 0) {
        give(rule, variation, FLAG_BY_EXPERIMENT, answer);
        answer->kept = true;
        return true;
    }
    if (!(known ? holds : target_holds(rule, index, who))) return false;
    if (rule->layer.key.len > 0) {
        i32 at = flag_bucket(rule->hash, (struct bucket_key){ who->id, rule->layer.id });
        if (at < rule->layer.from || at >= rule->layer.to) return false;
    }
    return rule->kind == FLAG_ROLLOUT ? roll_out(rule, who, answer) : assign(rule, who, answer);
}

struct flag_answer experiment_flag_evaluate(const struct flag *flag, const struct flag_asker *who)
{
    struct flag_answer answer = {
        .value = flag->value,
        .reason = FLAG_BY_DEFAULT,
        .bucket = -1,
        .propensity = 1,
        .rule_index = -1,
        .variation_index = -1,
    };
    if (who->preview && who->preview_rule < flag->rules_n) {
        const struct flag_rule *rule = &flag->rules[who->preview_rule];
        if (rule->kind == FLAG_EXPERIMENT && who->preview_variation < rule->variations_n) {
            give(rule, who->preview_variation, FLAG_BY_PREVIEW, &answer);
            answer.rule = rule->key;
            answer.rule_index = (i32)who->preview_rule;
            return answer;
        }
    }
    if (flag->paused) {
        answer.reason = FLAG_BY_PAUSE;
        return answer;
    }
    /* Somebody without an id cannot be shown to be outside the holdout, and is not counted either:
     * they get what needs no assignment. */
    if (flag->holdout_share > 0 && who->id.len > 0 && holdout_contains(who->id, flag->holdout_share)) {
        answer.reason = FLAG_BY_HOLDOUT;
        return answer;
    }
    for (isize i = 0; i < flag->rules_n; i++) {
        if (!applies(&flag->rules[i], i, who, &answer)) continue;
        answer.rule = flag->rules[i].key;
        answer.rule_index = (i32)i;
        return answer;
    }
    return answer;
}
