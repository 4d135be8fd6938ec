/* SPDX-License-Identifier: Apache-2.0
 *
 * datafile.c - our flags as Optimizely's datafile.
 *
 * A flag's experiments come before its deliveries, and whoever matches a delivery's audience but
 * falls outside its share goes straight to the last one. So a delivery that has an experiment, or
 * another rule, behind it is sent as an experiment of one variation, where neither is so. Layers
 * are groups (the hash is the same); the programme holdout is a global holdout, a rule's is a local
 * one; segments are `qualified` audiences, which the SDK asks us for. Every id is decimal.
 */
#include "decide/export.h"

enum { AUDIENCE_DEEP_MAX = 24 };

/* ---- audiences ------------------------------------------------------------------------------- */

static bool has_letters(str s)
{
    for (isize i = 0; i < s.len; i++)
        if ((u8)(s.ptr[i] | 0x20) >= 'a' && (u8)(s.ptr[i] | 0x20) <= 'z') return true;
    return false;
}

static void opt_leaf(struct exporting *x, str name, const char *match, const struct json *value)
{
    jsonw_begin(x->w, '{');
    jsonw_key_str(x->w, "type", S("custom_attribute"));
    jsonw_key_str(x->w, "name", name);
    jsonw_key_str(x->w, "match", str_of(match));
    jsonw_key(x->w, S("value"));
    if (value) jsonw_value(x->w, value);
    else jsonw_null(x->w);
    jsonw_end(x->w, '}');
    if (json_is(value, JSON_STR) && (!strcmp(match, "exact") || !strcmp(match, "substring"))
        && has_letters(value->s))
        export_say(x, "differs",
                   "\"%.*s\" is compared without letter case here, with it by Optimizely",
                   STR_FMT(value->s));
}

static void opt_word(struct jsonw *w, const char *word)
{
    jsonw_begin(w, '[');
    jsonw_str(w, str_of(word));
}

static bool opt_version(struct exporting *x, str name, str op, const struct json *right)
{
    static const struct { str op; const char *is; } names[] = { { S_INIT("="), "semver_eq" }, { S_INIT("<"), "semver_lt" },
        { S_INIT("<="), "semver_le" }, { S_INIT(">"), "semver_gt" }, { S_INIT(">="), "semver_ge" } };
    for (isize i = 0; i < countof(names); i++) {
        if (!str_eq(op, names[i].op)) continue;
        opt_leaf(x, name, names[i].is, json_get(right, S("version")));
        export_say(
            x, "differs",
            "Optimizely compares versions only as far as the rule's goes: 2.1.9 is 2.1 there");
        return true;
    }
    return false;
}

static bool opt_comparison(struct exporting *x, str name, str op, const struct json *right)
{
    static const struct { str op; const char *is; } plain[] = { { S_INIT("="), "exact" }, { S_INIT("<"), "lt" }, { S_INIT("<="), "le" },
        { S_INIT(">"), "gt" }, { S_INIT(">="), "ge" }, { S_INIT("contains"), "substring" } };
    static const struct json yes = { .kind = JSON_BOOL, .b = true };
    const struct json *at;
    isize n;
    if (str_eq(op, S("is known"))) { opt_leaf(x, name, "exists", NULL); return true; }
    if (json_get(right, S("version"))) return opt_version(x, name, op, right);
    if (!export_values(right, &at, &n)) return false;
    if (str_eq(op, S("is true"))) { opt_leaf(x, name, "exact", &yes); return true; }
    for (isize i = 0; i < countof(plain); i++) {
        if (!str_eq(op, plain[i].op) || n != 1) continue;
        opt_leaf(x, name, plain[i].is, at);
        return true;
    }
    bool in = str_eq(op, S("in")), between = str_eq(op, S("between")) && n == 2;
    if (!in && !between) return false;
    opt_word(x->w, in ? "or" : "and");
    for (isize i = 0; i < n; i++) opt_leaf(x, name, in ? "exact" : i == 0 ? "ge" : "le", &at[i]);
    jsonw_end(x->w, ']');
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the rule parser let it be
static bool opt_condition(struct exporting *x, const struct json *tree)
{
    const struct json *both = json_get(tree, S("and")), *either = json_get(tree, S("or")),
                      *not = json_get(tree, S("not"));
    str segment = json_str(json_get(tree, S("in_segment")), S(""));
    if (segment.len) {
        jsonw_begin(x->w, '{');
        jsonw_key_str(x->w, "type", S("third_party_dimension"));
        jsonw_key_str(x->w, "name", S("odp.audiences"));
        jsonw_key_str(x->w, "match", S("qualified"));
        jsonw_key_str(x->w, "value", segment);
        jsonw_end(x->w, '}');
        export_say(
            x, "note",
            "segment \"%.*s\" is asked for by fetchQualifiedSegments(), which the client has to call",
            STR_FMT(segment));
        return true;
    }
    if (both || either || not) {
        bool ok = true;
        opt_word(x->w, both ? "and" : either ? "or" : "not");
        if (not) ok = opt_condition(x, not);
        json_each(part, both ? both : either) ok = ok && opt_condition(x, part);
        jsonw_end(x->w, ']');
        return ok;
    }
    str op = json_str(json_get(tree, S("test")), S("")), name = export_attribute(tree);
    if (name.len == 0) return false;
    bool negated = str_eq(op, S("not in")) || str_eq(op, S("!="));
    if (negated) op = op.len == 2 ? S("=") : S("in");
    if (!negated) return opt_comparison(x, name, op, json_get(tree, S("right")));
    opt_word(x->w, "not");
    bool ok = opt_comparison(x, name, op, json_get(tree, S("right")));
    jsonw_end(x->w, ']');
    return ok;
}

/* ---- the file -------------------------------------------------------------------------------- */

static str id_of(struct exporting *x, const char *what, str rule, str name)
{
    return experiment_id_of(x->a,
                            arena_printf(x->a, "%s/%.*s/%.*s/%.*s", what, STR_FMT(x->flag->key),
                                         STR_FMT(rule), STR_FMT(name)));
}

static bool is_bool(const struct exporting *x) { return x->flag->flag->type == FLAG_BOOL; }

/* Strings bare, all else as JSON. */
static str variable_text(struct exporting *x, str value)
{
    const struct json *v = NULL;
    if (x->flag->flag->type != FLAG_STRING || json_parse(x->a, value, &v, NULL)) return value;
    return json_str(v, S(""));
}

static void opt_variation(struct exporting *x, str id, str key, str value, bool held_out)
{
    struct jsonw *w = x->w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", id);
    jsonw_key_str(w, "key", key);
    jsonw_key_bool(w, "featureEnabled", held_out ? false : is_bool(x) ? str_eq(value, S("true")) : true);
    jsonw_key_begin(w, "variables", '[');
    if (!held_out && !is_bool(x)) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "id", id_of(x, "variable", S(""), S("value")));
        jsonw_key_str(w, "value", variable_text(x, value));
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void opt_entity(struct jsonw *w, str id, i32 end)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "entityId", id);
    jsonw_key_int(w, "endOfRange", end);
    jsonw_end(w, '}');
}

/* Ranges in order of their starts, holes as empty ids. */
static void opt_traffic(struct exporting *x, const struct flag_rule *rule)
{
    i32 at = 0;
    jsonw_key_begin(x->w, "trafficAllocation", '[');
    while (at < BUCKETS) {
        const struct range *next = NULL;
        for (isize i = 0; i < rule->allocation.n; i++) {
            const struct range *r = &rule->allocation.at[i];
            if (r->start >= at && r->end > r->start && (!next || r->start < next->start)) next = r;
        }
        if (!next) break;
        if (next->start > at) opt_entity(x->w, S(""), next->start);
        opt_entity(x->w, id_of(x, "variation", rule->key, rule->variations[next->variation].key), next->end);
        at = next->end;
    }
    jsonw_end(x->w, ']');
}

/* Written beside the rest of the datafile: audiences and local holdouts of the rules. */
struct datafile {
    struct jsonw audiences, holdouts, experiments, flags, rollouts, groups;
    struct buf text[6];
};

static str audience_id(struct exporting *x, const struct flag_rule *rule)
{
    return id_of(x, "audience", rule->key, S(""));
}

static void opt_audience_of(struct exporting *x, const struct flag_rule *rule)
{
    jsonw_key_begin(x->w, "audienceIds", '[');
    if (rule->target.len) jsonw_str(x->w, audience_id(x, rule));
    jsonw_end(x->w, ']');
}

static void opt_rule(struct exporting *x, const struct flag_rule *rule, bool delivery)
{
    struct jsonw *w = x->w;
    bool experiment = rule->kind == FLAG_EXPERIMENT;
    str only = id_of(x, "variation", rule->key, rule->key);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", rule->id);
    jsonw_key_str(w, "key", arena_printf(x->a, "%.*s.%.*s", STR_FMT(x->flag->key), STR_FMT(rule->key)));
    jsonw_key_str(w, "status", S("Running"));
    jsonw_key_str(w, "layerId", id_of(x, "layer", rule->key, S("")));
    jsonw_key_str(w, "type", delivery ? S("td") : S("ab"));
    opt_audience_of(x, rule);
    jsonw_key_begin(w, "forcedVariations", '{');
    for (isize i = 0; i < rule->forced_n; i++) {
        jsonw_key(w, rule->forced[i].id);
        jsonw_str(w, rule->variations[rule->forced[i].variation].key);
    }
    jsonw_end(w, '}');
    jsonw_key_begin(w, "variations", '[');
    for (isize i = 0; i < rule->variations_n; i++)
        opt_variation(x, id_of(x, "variation", rule->key, rule->variations[i].key),
                      rule->variations[i].key, rule->variations[i].value, false);
    if (!experiment) opt_variation(x, only, rule->key, rule->value, false);
    jsonw_end(w, ']');
    if (experiment) {
        opt_traffic(x, rule);
    } else {
        jsonw_key_begin(w, "trafficAllocation", '[');
        opt_entity(w, only, rule->kind == FLAG_FORCE ? BUCKETS : rule->share);
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

static void opt_holdout(struct exporting *x, str id, str key, i32 share, const struct flag_rule *rule)
{
    struct jsonw *w = x->w;
    str variation = experiment_id_of(x->a, arena_printf(x->a, "holdout/%.*s", STR_FMT(id)));
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", id);
    jsonw_key_str(w, "key", key);
    jsonw_key_str(w, "status", S("Running"));
    if (rule) opt_audience_of(x, rule);
    else jsonw_key_begin(w, "audienceIds", '['), jsonw_end(w, ']');
    jsonw_key_begin(w, "variations", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", variation);
    jsonw_key_str(w, "key", S("holdout"));
    jsonw_key_bool(w, "featureEnabled", false);
    jsonw_key_begin(w, "variables", '[');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_key_begin(w, "trafficAllocation", '[');
    opt_entity(w, variation, share);
    jsonw_end(w, ']');
    if (rule) {
        jsonw_key_begin(w, "includedRules", '[');
        jsonw_str(w, rule->id);
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

bool book_flag_arm(const struct book *book, arena *a, str rule_id, str variation,
                   const struct book_flag **flag, isize *rule, isize *arm)
{
    struct exporting x = { .book = book, .a = a };
    *arm = -1;
    for (isize f = 0; f < book->flags_n; f++) {
        const struct flag *of = book->flags[f].flag;
        for (isize i = 0; i < of->rules_n; i++) {
            if (!str_eq(of->rules[i].id, rule_id)) continue;
            x.flag = *flag = &book->flags[f];
            *rule = i;
            for (*arm = 0; *arm < of->rules[i].variations_n; ++*arm) {
                str key = of->rules[i].variations[*arm].key;
                if (str_eq(key, variation)
                    || str_eq(id_of(&x, "variation", of->rules[i].key, key), variation))
                    return true;
            }
            return false;
        }
    }
    return false;
}

str book_flag_arm_id(arena *a, const struct book_flag *flag, str rule, str variation)
{
    struct exporting x = { .a = a, .flag = flag };
    return id_of(&x, "variation", rule, variation);
}

/* Can the whole flag be told? Notes say what cannot. */
static bool opt_fits(struct exporting *x)
{
    const struct flag *flag = x->flag->flag;
    bool ok = true;
    for (isize i = 0; i < flag->rules_n; i++) {
        const struct flag_rule *rule = &flag->rules[i];
        struct buf text = { .arena = x->a };
        struct jsonw w = { .out = &text };
        struct exporting trial = *x;
        const struct json *tree = export_tree(x, x->flag->targets[i]);
        trial.w = &w;
        x->rule = trial.rule = rule->key;
        if (tree && !opt_condition(&trial, tree)) {
            export_say(
                x, "left out",
                "Optimizely has no condition for the target; make it a segment and say in segment \"…\"");
            ok = false;
        }
        if (rule->kind != FLAG_FORCE && rule->hash != HASH_OPT3) {
            export_say(x, "left out", "its hash is %.*s, and Optimizely's SDKs have opt3 alone",
                       STR_FMT(flag_hash_name(rule->hash)));
            ok = false;
        }
        if (rule->requires_n) {
            export_say(x, "left out", "Optimizely has no prerequisites");
            ok = false;
        }
        if (rule->sticky)
            export_say(
                x, "note",
                "the server knows who saw which variation; a client keeps it with a user profile service of its own");
        if (rule->holdout_share > 0 && flag->type == FLAG_BOOL && str_eq(flag->value, S("true"))) {
            export_say(
                x, "left out",
                "Optimizely turns a flag off for who is held out, and this one is on by default");
            ok = false;
        }
    }
    x->rule = S("");
    if (flag->holdout_share > 0 && flag->type == FLAG_BOOL && str_eq(flag->value, S("true"))) {
        export_say(
            x, "left out",
            "Optimizely turns a flag off for who is held out by the programme, and this one is on by default");
        ok = false;
    }
    return ok;
}

/* From which rule on all are deliveries that the "last rule" semantics cannot harm. */
static isize first_delivery(const struct flag *flag)
{
    isize from = flag->rules_n;
    while (from > 0) {
        const struct flag_rule *rule = &flag->rules[from - 1];
        bool whole = rule->kind == FLAG_FORCE || (rule->kind == FLAG_ROLLOUT && rule->share == BUCKETS);
        bool last = from == flag->rules_n && rule->kind == FLAG_ROLLOUT;
        if ((!whole && !last) || rule->layer.key.len) break;
        from--;
    }
    return from;
}

static void opt_flag(struct exporting *x, struct datafile *d)
{
    const struct flag *flag = x->flag->flag;
    static const str types[] = { [FLAG_BOOL] = S_INIT("boolean"), [FLAG_STRING] = S_INIT("string"), [FLAG_NUMBER] = S_INIT("double"),
                                 [FLAG_JSON] = S_INIT("string") };
    isize rules = flag->paused ? 0 : flag->rules_n, deliveries = flag->paused ? 0 : first_delivery(flag);
    bool on = flag->type == FLAG_BOOL && str_eq(flag->value, S("true"));
    str rollout = id_of(x, "rollout", S(""), S(""));
    for (isize i = 0; i < rules; i++) {
        const struct flag_rule *rule = &flag->rules[i];
        x->rule = rule->key;
        if (rule->target.len) {
            x->w = &d->audiences;
            jsonw_begin(x->w, '{');
            jsonw_key_str(x->w, "id", audience_id(x, rule));
            jsonw_key_str(x->w, "name", rule->target);
            jsonw_key(x->w, S("conditions"));
            jsonw_begin(x->w, '[');
            jsonw_str(x->w, S("or"));
            (void)opt_condition(x, export_tree(x, x->flag->targets[i]));
            jsonw_end(x->w, ']');
            jsonw_end(x->w, '}');
        }
        x->w = &d->holdouts;
        if (rule->holdout_share > 0)
            opt_holdout(x, rule->holdout_id,
                        arena_printf(x->a, "%.*s.%.*s", STR_FMT(x->flag->key), STR_FMT(rule->key)),
                        rule->holdout_share, rule);
        x->w = &d->experiments;
        if (i < deliveries && rule->layer.key.len == 0) opt_rule(x, rule, false);
        if (i < deliveries && rule->kind != FLAG_EXPERIMENT)
            export_say(
                x, "note",
                "sent as an experiment, because another rule comes after it; the client reports impressions of it, which are not counted");
    }
    x->rule = S("");
    x->w = &d->flags;
    jsonw_begin(x->w, '{');
    jsonw_key_str(x->w, "id", id_of(x, "flag", S(""), S("")));
    jsonw_key_str(x->w, "key", x->flag->key);
    jsonw_key_begin(x->w, "experimentIds", '[');
    for (isize i = 0; i < deliveries; i++) jsonw_str(x->w, flag->rules[i].id);
    jsonw_end(x->w, ']');
    jsonw_key_str(x->w, "rolloutId", rollout);
    jsonw_key_begin(x->w, "variables", '[');
    if (flag->type != FLAG_BOOL) {
        jsonw_begin(x->w, '{');
        jsonw_key_str(x->w, "id", id_of(x, "variable", S(""), S("value")));
        jsonw_key_str(x->w, "key", S("value"));
        jsonw_key_str(x->w, "type", types[flag->type]);
        if (flag->type == FLAG_JSON) jsonw_key_str(x->w, "subType", S("json"));
        jsonw_key_str(x->w, "defaultValue", variable_text(x, flag->value));
        jsonw_end(x->w, '}');
    }
    jsonw_end(x->w, ']');
    jsonw_end(x->w, '}');
    x->w = &d->rollouts;
    jsonw_begin(x->w, '{');
    jsonw_key_str(x->w, "id", rollout);
    jsonw_key_begin(x->w, "experiments", '[');
    for (isize i = deliveries; i < rules; i++) opt_rule(x, &flag->rules[i], true);
    if (on) {                                           /* everyone else: what the flag says by itself */
        struct flag_rule rest = { .kind = FLAG_FORCE,
                                  .key = S("default"),
                                  .id = id_of(x, "default", S(""), S("")),
                                  .value = S("true") };
        opt_rule(x, &rest, true);
    }
    jsonw_end(x->w, ']');
    jsonw_end(x->w, '}');
}

struct member { const struct book_flag *flag; const struct flag_rule *rule; };

/* One group for each layer; its ranges are the layer's. */
static void opt_groups(struct exporting *x, struct datafile *d, const bool *in)
{
    struct member members[256];
    isize n = 0;
    for (isize f = 0; f < x->book->flags_n; f++) {
        const struct flag *flag = x->book->flags[f].flag;
        isize deliveries = flag->paused || !in[f] ? 0 : first_delivery(flag);
        for (isize i = 0; i < deliveries && n < countof(members); i++)
            if (flag->rules[i].layer.key.len)
                members[n++] = (struct member){ &x->book->flags[f], &flag->rules[i] };
    }
    for (isize i = 1; i < n; i++)                       /* by layer, then by start */
        for (isize k = i; k > 0; k--) {
            int order = str_cmp(members[k - 1].rule->layer.key, members[k].rule->layer.key);
            if (order < 0
                || (order == 0 && members[k - 1].rule->layer.from <= members[k].rule->layer.from))
                break;
            struct member other = members[k];
            members[k] = members[k - 1];
            members[k - 1] = other;
        }
    x->w = &d->groups;
    for (isize i = 0, end; i < n; i = end) {
        str layer = members[i].rule->layer.key;
        i32 at = 0;
        for (end = i; end < n && str_eq(members[end].rule->layer.key, layer);) end++;
        jsonw_begin(x->w, '{');
        jsonw_key_str(x->w, "id", members[i].rule->layer.id);
        jsonw_key_str(x->w, "policy", S("random"));
        jsonw_key_begin(x->w, "trafficAllocation", '[');
        for (isize k = i; k < end; k++) {
            if (members[k].rule->layer.from > at) opt_entity(x->w, S(""), members[k].rule->layer.from);
            at = members[k].rule->layer.to;
            opt_entity(x->w, members[k].rule->id, at);
        }
        jsonw_end(x->w, ']');
        jsonw_key_begin(x->w, "experiments", '[');
        for (isize k = i; k < end; k++) {
            x->flag = members[k].flag;
            opt_rule(x, members[k].rule, false);
        }
        jsonw_end(x->w, ']');
        jsonw_end(x->w, '}');
    }
}

/* What SDKs leave out of their reports when the datafile does not list it: events and attributes, by key. */
static void opt_keys(struct exporting *x, const char *field, const char *what, const str *names, isize n)
{
    jsonw_key_begin(x->w, field, '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(x->w, '{');
        jsonw_key_str(
            x->w, "id",
            experiment_id_of(x->a, arena_printf(x->a, "%s/%.*s", what, STR_FMT(names[i]))));
        jsonw_key_str(x->w, "key", names[i]);
        if (str_eq(str_of(field), S("events")))
            jsonw_key_begin(x->w, "experimentIds", '['), jsonw_end(x->w, ']');
        jsonw_end(x->w, '}');
    }
    jsonw_end(x->w, ']');
}

static void opt_list(struct jsonw *w, const char *key, const struct jsonw *list, const struct json *more)
{
    bool some = list && list->out->len > 0;
    jsonw_key_begin(w, key, '[');
    if (some) jsonw_raw(w, buf_str(list->out));
    json_each(v, json_is(more, JSON_ARR) ? more : NULL) jsonw_value(w, v);
    jsonw_end(w, ']');
}

void book_export_optimizely(const struct book *book, arena *a, const struct export_where *where,
                            struct jsonw *w, struct export_notes *notes)
{
    struct exporting x = { .book = book, .a = a, .notes = notes };
    struct datafile *d = arena_new(a, struct datafile, 1);
    struct jsonw *lists[] = { &d->audiences, &d->holdouts, &d->experiments,
                              &d->flags,     &d->rollouts, &d->groups };
    bool *in = arena_new(a, bool, book->flags_n);
    const struct json *file = NULL;
    i32 holdout = book->settings.holdout;
    for (isize i = 0; i < countof(lists); i++) {
        d->text[i].arena = a;
        lists[i]->out = &d->text[i];
    }
    for (isize i = 0; i < book->flag_files_n && !file; i++)
        if (book->flag_files[i].dialect == DIALECT_OPTIMIZELY) file = book->flag_files[i].json;
    for (isize i = 0; i < book->flags_n; i++) {
        x.flag = &book->flags[i];
        in[i] = opt_fits(&x);
        if (in[i]) opt_flag(&x, d);
    }
    opt_groups(&x, d, in);
    cmab_export(book, a, &d->experiments, &d->flags, notes);
    x.w = w;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "version", S("4"));
    jsonw_key_str(w, "revision", where->revision);
    jsonw_key_str(w, "projectId", S("1"));
    jsonw_key_str(w, "accountId", where->key);
    jsonw_key_str(w, "sdkKey", where->key);
    jsonw_key_str(w, "environmentKey", S("live"));
    jsonw_key_bool(w, "anonymizeIP", true);
    jsonw_key_bool(w, "botFiltering", false);
    jsonw_key_bool(w, "sendFlagDecisions", true);
    opt_keys(&x, "attributes", "attribute", where->attributes, where->attributes_n);
    opt_keys(&x, "events", "event", where->events, where->events_n);
    opt_list(w, "audiences", NULL, json_get(file, S("audiences")));
    opt_list(w, "typedAudiences", &d->audiences, json_get(file, S("typedAudiences")));
    opt_list(w, "groups", &d->groups, json_get(file, S("groups")));
    opt_list(w, "experiments", &d->experiments, json_get(file, S("experiments")));
    opt_list(w, "featureFlags", &d->flags, json_get(file, S("featureFlags")));
    opt_list(w, "rollouts", &d->rollouts, json_get(file, S("rollouts")));
    jsonw_key_begin(w, "holdouts", '[');
    if (holdout > 0) opt_holdout(&x, holdout_experiment_id, S("programme"), holdout, NULL);
    json_each(v, json_get(file, S("holdouts"))) jsonw_value(w, v);
    jsonw_end(w, ']');
    opt_list(w, "localHoldouts", &d->holdouts, json_get(file, S("localHoldouts")));
    jsonw_key_begin(w, "integrations", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", S("odp"));
    jsonw_key_str(w, "host", where->host);
    jsonw_key_str(w, "publicKey", where->key);
    jsonw_key_str(w, "pixelUrl", where->host);
    jsonw_end(w, '}');
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}
