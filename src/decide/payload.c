/* SPDX-License-Identifier: Apache-2.0
 *
 * payload.c - our flags as GrowthBook's payload.
 *
 * Rules keep their order. Its hash is not Optimizely's: rules that hash with opt3 answer through remote
 * evaluation only.
 */
#include "decide/export.h"

/* ---- conditions ------------------------------------------------------------------------------ */

static void regex_text(struct jsonw *w, arena *a, const char *before, str text, const char *after)
{
    struct buf out = { .arena = a };
    buf_add(&out, str_of(before));
    for (isize i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr("\\^$.|?*+()[]{}/", text.ptr[i])) buf_byte(&out, '\\');
        buf_byte(&out, text.ptr[i]);
    }
    buf_add(&out, str_of(after));
    jsonw_str(w, buf_str(&out));
}

static void list_out(struct jsonw *w, const struct json *at, isize n)
{
    jsonw_begin(w, '[');
    for (isize i = 0; i < n; i++) jsonw_value(w, &at[i]);
    jsonw_end(w, ']');
}

static bool gb_version(struct exporting *x, str op, const struct json *right)
{
    static const struct { str op; const char *is; } names[] = { { S_INIT("="), "$veq" }, { S_INIT("!="), "$vne" }, { S_INIT("<"), "$vlt" },
        { S_INIT("<="), "$vlte" }, { S_INIT(">"), "$vgt" }, { S_INIT(">="), "$vgte" } };
    for (isize i = 0; i < countof(names); i++) {
        if (!str_eq(op, names[i].op)) continue;
        jsonw_key_str(x->w, names[i].is, json_str(json_get(right, S("version")), S("")));
        export_say(x, "differs", "GrowthBook does not take 2.1 for 2.1.0");
        return true;
    }
    return false;
}

/* Inside {"attribute": {"$exists": true, … }}; what it means when the attribute is there. */
static bool gb_comparison(struct exporting *x, str op, const struct json *right)
{
    static const struct { str op; const char *is; } orders[] = { { S_INIT("<"), "$lt" }, { S_INIT("<="), "$lte" }, { S_INIT(">"), "$gt" },
        { S_INIT(">="), "$gte" } };
    const struct json *at;
    isize n;
    struct jsonw *w = x->w;
    if (json_get(right, S("version"))) return gb_version(x, op, right);
    if (!export_values(right, &at, &n)) return false;
    for (isize i = 0; i < countof(orders); i++) {
        if (!str_eq(op, orders[i].op)) continue;
        jsonw_key(w, str_of(orders[i].is));
        jsonw_value(w, at);
        return true;
    }
    bool list = true;
    if (str_eq(op, S("=")) || str_eq(op, S("in")) || str_eq(op, S("has"))
        || str_eq(op, S("has any of")))
        jsonw_key(w, S("$ini"));
    else if (str_eq(op, S("!=")) || str_eq(op, S("not in")) || str_eq(op, S("has none of")))
        jsonw_key(w, S("$nini"));
    else if (str_eq(op, S("has all of"))) jsonw_key(w, S("$alli"));
    else list = false;
    if (list) { list_out(w, at, n); return true; }
    if (str_eq(op, S("between")) && n == 2) {
        jsonw_key(w, S("$gte"));
        jsonw_value(w, &at[0]);
        jsonw_key(w, S("$lte"));
        jsonw_value(w, &at[1]);
        return true;
    }
    if (str_eq(op, S("is true"))) { jsonw_key_bool(w, "$eq", true); return true; }
    if (n != 1 || !json_is(at, JSON_STR)) return false;
    bool contains = str_eq(op, S("contains")), starts = str_eq(op, S("starts with")),
         ends = str_eq(op, S("ends with"));
    if (!contains && !starts && !ends) return false;
    jsonw_key(w, S("$regexi"));
    regex_text(w, x->a, starts ? "^" : "", at->s, ends ? "$" : "");
    return true;
}

static bool gb_leaf(struct exporting *x, const struct json *leaf, bool negated)
{
    str op = json_str(json_get(leaf, S("test")), S("")), name = export_attribute(leaf);
    if (name.len == 0) return false;
    bool known = str_eq(op, S("is known"));
    jsonw_begin(x->w, '{');
    jsonw_key_begin(x->w, arena_z(x->a, name), '{');
    bool ok = true;
    if (known) {
        jsonw_key_bool(x->w, "$exists", !negated);
    } else {
        jsonw_key_bool(x->w, "$exists", true);          /* what is not known is neither so nor not so */
        if (negated) jsonw_key_begin(x->w, "$not", '{');
        ok = gb_comparison(x, op, json_get(leaf, S("right")));
        if (negated) jsonw_end(x->w, '}');
    }
    jsonw_end(x->w, '}');
    jsonw_end(x->w, '}');
    return ok;
}

/* `not` is carried down to the leaves, where the third value is. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as the rule parser let it be
static bool gb_condition(struct exporting *x, const struct json *tree, bool negated)
{
    const struct json *both = json_get(tree, S("and")), *either = json_get(tree, S("or")),
                      *not = json_get(tree, S("not"));
    if (not) return gb_condition(x, not, !negated);
    if (!both && !either) return gb_leaf(x, tree, negated);
    jsonw_begin(x->w, '{');
    jsonw_key_begin(x->w, (both != NULL) != negated ? "$and" : "$or", '[');
    bool ok = true;
    json_each(part, both ? both : either) ok = ok && gb_condition(x, part, negated);
    jsonw_end(x->w, ']');
    jsonw_end(x->w, '}');
    return ok;
}

/* ---- the payload ----------------------------------------------------------------------------- */

static void gb_range(struct jsonw *w, i32 start, i32 end)
{
    jsonw_begin(w, '[');
    jsonw_num(w, start / (f64)BUCKETS);
    jsonw_num(w, end / (f64)BUCKETS);
    jsonw_end(w, ']');
}

/* An arm of several ranges is told as that many variations of one key: first match, as the SDK does it. */
static void gb_variations(struct exporting *x, const struct flag_rule *rule)
{
    struct jsonw *w = x->w;
    const struct allocation *all = &rule->allocation;
    jsonw_key_begin(w, "variations", '[');
    for (isize i = 0; i < all->n; i++) jsonw_raw(w, rule->variations[all->at[i].variation].value);
    for (isize i = all->n; i < 2; i++) jsonw_raw(w, rule->variations[0].value);
    jsonw_end(w, ']');
    jsonw_key_begin(w, "ranges", '[');
    for (isize i = 0; i < all->n; i++) gb_range(w, all->at[i].start, all->at[i].end);
    for (isize i = all->n; i < 2; i++) gb_range(w, 0, 0);
    jsonw_end(w, ']');
    jsonw_key_begin(w, "meta", '[');
    for (isize i = 0; i < max_isize(all->n, 2); i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", rule->variations[i < all->n ? all->at[i].variation : 0].key);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void gb_forced(struct exporting *x, const struct flag_rule *rule)
{
    for (isize i = 0; i < rule->forced_n; i++) {
        jsonw_begin(x->w, '{');
        jsonw_key_begin(x->w, "condition", '{');
        jsonw_key_str(x->w, "id", rule->forced[i].id);
        jsonw_end(x->w, '}');
        jsonw_key(x->w, S("force"));
        jsonw_raw(x->w, rule->variations[rule->forced[i].variation].value);
        jsonw_end(x->w, '}');
    }
}

static bool gb_rule(struct exporting *x, const struct flag_rule *rule, const struct rule *target)
{
    struct jsonw *w = x->w;
    bool ok = true;
    i64 version = rule->hash == HASH_GB1 ? 1 : 2;
    gb_forced(x, rule);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "id", rule->key);
    const struct json *tree = export_tree(x, target);
    if (tree) {
        jsonw_key(w, S("condition"));
        ok = gb_condition(x, tree, false);
        if (!ok)
            export_say(
                x, "left out",
                "the target asks for more than attributes of the request: use remote evaluation");
    }
    if (rule->requires_n) {
        jsonw_key_begin(w, "parentConditions", '[');
        for (isize i = 0; i < rule->requires_n; i++) {
            jsonw_begin(w, '{');
            jsonw_key_str(w, "id", rule->requires[i].flag);
            jsonw_key_begin(w, "condition", '{');
            jsonw_key(w, S("value"));
            jsonw_raw(w, rule->requires[i].value);
            jsonw_end(w, '}');
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
    }
    if (rule->layer.key.len) {
        jsonw_key_begin(w, "filters", '[');
        jsonw_begin(w, '{');
        jsonw_key_str(w, "seed", rule->layer.id);
        jsonw_key_int(w, "hashVersion", version);
        jsonw_key_begin(w, "ranges", '[');
        gb_range(w, rule->layer.from, rule->layer.to);
        jsonw_end(w, ']');
        jsonw_end(w, '}');
        jsonw_end(w, ']');
    }
    if (rule->kind != FLAG_EXPERIMENT) {
        jsonw_key(w, S("force"));
        jsonw_raw(w, rule->value);
    }
    if (rule->kind != FLAG_FORCE) {
        jsonw_key_str(w, "seed", rule->id);
        jsonw_key_int(w, "hashVersion", version);
    }
    if (rule->kind == FLAG_ROLLOUT) {
        jsonw_key(w, S("range"));
        gb_range(w, 0, rule->share);
    }
    if (rule->kind == FLAG_EXPERIMENT) {
        jsonw_key_str(w, "key", rule->id);
        gb_variations(x, rule);
    }
    jsonw_end(w, '}');
    if (rule->kind != FLAG_FORCE && rule->hash == HASH_OPT3) {
        export_say(
            x, "left out",
            "its hash is opt3, which GrowthBook's SDKs do not have: use remote evaluation, or hash gb2 in a new experiment");
        ok = false;
    }
    if (rule->holdout_share > 0) {
        export_say(x, "left out", "GrowthBook has no holdout of a rule: use remote evaluation");
        ok = false;
    }
    if (rule->sticky)
        export_say(
            x, "note",
            "the server knows who saw which variation; a client keeps it with a sticky bucket service of its own");
    return ok;
}

static bool gb_flag(struct exporting *x)
{
    const struct flag *flag = x->flag->flag;
    bool ok = true;
    x->rule = S("");
    if (flag->holdout_share > 0) {
        export_say(
            x, "left out",
            "the programme holdout hashes with opt3, which GrowthBook's SDKs do not have: use remote evaluation");
        ok = false;
    }
    jsonw_begin(x->w, '{');
    jsonw_key(x->w, S("defaultValue"));
    jsonw_raw(x->w, flag->value);
    jsonw_key_begin(x->w, "rules", '[');
    for (isize i = 0; i < flag->rules_n && !flag->paused; i++) {
        x->rule = flag->rules[i].key;
        ok = gb_rule(x, &flag->rules[i], x->flag->targets[i]) && ok;
    }
    jsonw_end(x->w, ']');
    jsonw_end(x->w, '}');
    return ok;
}

/* Another flag's prerequisites must be there too. */
static bool gb_requires_missing(const struct book *book, const struct flag *flag, const bool *out)
{
    for (isize i = 0; i < flag->rules_n; i++)
        for (isize k = 0; k < flag->rules[i].requires_n; k++) {
            const struct book_flag *f = book_flag(book, flag->rules[i].requires[k].flag);
            if (f && !out[f - book->flags]) return true;
        }
    return false;
}

void book_export_growthbook(const struct book *book, arena *a, struct jsonw *w, struct export_notes *notes)
{
    struct exporting x = { .book = book, .a = a, .notes = notes };
    str *texts = arena_new(a, str, book->flags_n);
    bool *out = arena_new(a, bool, book->flags_n);
    for (isize i = 0; i < book->flags_n; i++) {
        struct buf text = { .arena = a };
        struct jsonw own = { .out = &text };
        x.flag = &book->flags[i];
        x.w = &own;
        out[i] = gb_flag(&x);
        texts[i] = buf_str(&text);
    }
    for (bool again = true; again;) {
        again = false;
        for (isize i = 0; i < book->flags_n; i++) {
            if (!out[i] || !gb_requires_missing(book, book->flags[i].flag, out)) continue;
            x.flag = &book->flags[i];
            x.rule = S("");
            export_say(&x, "left out", "it requires a flag that is left out");
            out[i] = false;
            again = true;
        }
    }
    jsonw_begin(w, '{');
    for (isize i = 0; i < book->flags_n; i++) {
        if (!out[i]) continue;
        jsonw_key(w, book->flags[i].key);
        jsonw_raw(w, texts[i]);
    }
    for (isize f = 0; f < book->flag_files_n; f++) {
        const struct json *features = json_get(book->flag_files[f].json, S("features"));
        if (book->flag_files[f].dialect != DIALECT_GROWTHBOOK) continue;
        json_each(feature, features ? features : book->flag_files[f].json) {
            if (book_flag(book, feature->key)) continue;
            jsonw_key(w, feature->key);
            jsonw_value(w, feature);
        }
    }
    jsonw_end(w, '}');
}
