/* SPDX-License-Identifier: Apache-2.0
 *
 * growthbook.c - a GrowthBook payload means here what it means to GrowthBook's SDKs.
 *
 * A payload is {"features": {key: {"defaultValue", "rules": [...]}}, "savedGroups", "contextualBandits"},
 * or the features alone. It is evaluated as it lies there, rule by rule, and not translated into our
 * own flags: its conditions are two-valued, compare as JavaScript does, and hash UTF-16 code units,
 * so a translation would be exact for nobody. Whoever moves here keeps every assignment.
 *
 * What cannot be had: regular expressions with look-around or back references, which RE2 does not do
 * in linear time. Such a condition fails, and flag_file_read names it among the file's notes.
 *
 * Prerequisites may branch at every rule, so one evaluation takes at most STEPS_MAX of them.
 */
#include "experiment/file.h"

#include <math.h>

#include "base/regex.h"
#include "experiment/js.h"

enum { STEPS_MAX = 4096, PATH_MAX_FLAGS = 64, GROUPS_DEEP_MAX = 32 };

struct pattern { const struct json *at; struct regex *regex; };

struct growthbook {
    const struct json *features, *groups, *bandits;
    struct pattern *patterns; isize patterns_n, patterns_cap;
    arena *a;
};

/* ---- reading: every pattern is compiled once ------------------------------------------------- */

static void note(struct flag_file *file, arena *a, str sentence)
{
    if (file->notes_n == FILE_NOTES_MAX) return;
    if (!file->notes) file->notes = arena_new(a, str, FILE_NOTES_MAX);
    file->notes[file->notes_n++] = sentence;
}

/* JavaScript's \u00e9, (?<name> and [^] as RE2 writes them. */
static str pattern_text(arena *a, str from, bool fold)
{
    struct buf out = { .arena = a };
    if (fold) buf_add(&out, S("(?i)"));
    for (isize i = 0; i < from.len; i++) {
        str rest = str_from(from, i);
        if (str_starts(rest, S("\\u")) && rest.len >= 6) {
            buf_printf(&out, "\\x{%.4s}", rest.ptr + 2);
            i += 5;
        } else if (rest.ptr[0] == '\\' && rest.len > 1) {
            if (rest.ptr[1] == '/' || rest.ptr[1] == '-') buf_byte(&out, rest.ptr[1]);
            else buf_add(&out, str_slice(rest, 0, 2));
            i++;
        } else if (str_starts(rest, S("(?<")) && rest.len > 3 && rest.ptr[3] != '=' && rest.ptr[3] != '!') {
            buf_add(&out, S("(?P<"));
            i += 2;
        } else if (str_starts(rest, S("[^]"))) {
            buf_add(&out, S("(?s:.)"));
            i += 2;
        } else buf_byte(&out, rest.ptr[0]);
    }
    return buf_str(&out);
}

static void find_patterns(struct flag_file *file, struct growthbook *g, const struct json *v)
{
    if (!v || v->kind < JSON_ARR) return;
    json_each(child, v) {
        bool fold = str_eq(child->key, S("$regexi"));
        if (v->kind != JSON_OBJ || (!fold && !str_eq(child->key, S("$regex"))) || !json_is(child, JSON_STR)) {
            find_patterns(file, g, child);
            continue;
        }
        struct diag diag = { .arena = g->a };
        struct pattern p = { .at = child };
        if (regex_new(g->a, pattern_text(g->a, child->s, fold), &p.regex, &diag))
            note(file, g->a,
                 arena_printf(g->a, "the pattern %.*s is never matched: %.*s", STR_FMT(child->s),
                              STR_FMT(diag.what)));
        if (g->patterns_n == g->patterns_cap) {
            isize cap = g->patterns_cap ? g->patterns_cap * 2 : 16;
            struct pattern *more = arena_new(g->a, struct pattern, cap);
            if (g->patterns_n) memcpy(more, g->patterns, (size_t)g->patterns_n * sizeof *more);
            g->patterns = more;
            g->patterns_cap = cap;
        }
        g->patterns[g->patterns_n++] = p;
    }
}

enum err growthbook_read(arena *a, const struct json *from, struct flag_file *file, struct diag *diag)
{
    if (json_get(from, S("encryptedFeatures")) && !json_get(from, S("features")))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "this payload is encrypted: take the one without encryption from the same endpoint");
    struct growthbook *g = arena_new(a, struct growthbook, 1);
    const struct json *features = json_get(from, S("features"));
    g->a = a;
    g->features = features ? features : from;
    g->groups = json_get(from, S("savedGroups"));
    g->bandits = json_get(from, S("contextualBandits"));
    if (!json_is(g->features, JSON_OBJ))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "a GrowthBook file is {\"features\": {…}}, as /api/features answers, or the features alone");
    file->growthbook = g;
    file->flags = arena_new(a, str, json_len(g->features));
    json_each(feature, g->features) {
        const struct json *rules = json_get(feature, S("rules"));
        if (!json_is(feature, JSON_OBJ) && !json_is(feature, JSON_NULL))
            return diag_set(diag, ERR_BAD_INPUT,
                            "the feature \"%.*s\" is an object with defaultValue and rules",
                            STR_FMT(feature->key));
        if (rules && !json_is(rules, JSON_ARR) && !json_is(rules, JSON_NULL))
            return diag_set(diag, ERR_BAD_INPUT, "the feature \"%.*s\": rules is a list",
                            STR_FMT(feature->key));
        file->flags[file->flags_n++] = feature->key;
    }
    find_patterns(file, g, g->features);
    find_patterns(file, g, g->groups);
    find_patterns(file, g, g->bandits);
    return ERR_OK;
}

/* ---- conditions ------------------------------------------------------------------------------ */

struct asking {
    const struct growthbook *g;
    const struct file_request *r;
    arena *a;
    str groups[GROUPS_DEEP_MAX]; isize groups_n;        /* saved groups being resolved */
    str path[PATH_MAX_FLAGS]; isize path_n;             /* flags being evaluated */
    isize steps;
};

static bool holds(struct asking *q, const struct json *obj, const struct json *condition);
static bool value_holds(struct asking *q, const struct json *condition, const struct json *value, bool fold);

/* "a.b.0", "tags.length"; null when it leads nowhere. */
static const struct json *at_path(struct asking *q, const struct json *obj, str path)
{
    for (struct str_cut cut = str_cut(path, '.');; cut = str_cut(cut.tail, '.')) {
        i64 index;
        if (json_is(obj, JSON_OBJ)) obj = json_get(obj, cut.head);
        else if (!json_is(obj, JSON_ARR)) return NULL;
        else if (str_eq(cut.head, S("length"))) {
            struct json *n = arena_new(q->a, struct json, 1);
            *n = (struct json){ .kind = JSON_INT, .i = obj->list.n };
            obj = n;
        } else if (str_to_i64(cut.head, &index) && index >= 0 && index < obj->list.n)
            obj = &obj->list.at[index];
        else return NULL;
        if (!obj || !cut.found) return obj;
    }
}

static bool is_operators(const struct json *v)
{
    json_each(field, v)
        if (!str_starts(field->key, S("$"))) return false;
    return json_is(v, JSON_OBJ) && v->list.n > 0;
}

static bool equal_folded(struct asking *q, const struct json *x, const struct json *y)
{
    if (js_type(x) == JS_STRING && js_type(y) == JS_STRING)
        return str_eq(js_lower(q->a, x->s), js_lower(q->a, y->s));
    return js_same(x, y);
}

static bool among(struct asking *q, const struct json *actual, const struct json *expected, bool fold)
{
    if (json_is(actual, JSON_ARR)) {
        json_each(element, actual)
            json_each(e, expected)
                if (fold ? equal_folded(q, element, e) : js_same(element, e)) return true;
        return false;
    }
    json_each(e, expected)
        if (fold ? equal_folded(q, actual, e) : js_same(actual, e)) return true;
    return false;
}

static const struct json nobody = { .kind = JSON_ARR };

/* The values of a group named by $inGroup: none known is an empty list, one that is no list is null. */
static const struct json *group_values(struct asking *q, const struct json *name)
{
    const struct json *entry = json_get(q->g->groups, js_string(q->a, name));
    if (!entry) return &nobody;
    if (json_is(entry, JSON_ARR)) return entry;
    const struct json *values = json_get(entry, S("values"));
    return str_eq(json_str(json_get(entry, S("type")), S("")), S("list"))
                   && json_is(values, JSON_ARR)
               ? values
               : NULL;
}

static bool saved_group(struct asking *q, const struct json *obj, const struct json *reference)
{
    const struct json *name = json_get(reference, S("id")),
                      *attribute = json_get(reference, S("attributeKey"));
    if (!json_is(name, JSON_STR) || (attribute && !json_is(attribute, JSON_STR))) return false;
    for (isize i = 0; i < q->groups_n; i++)
        if (str_eq(q->groups[i], name->s)) return false;
    const struct json *entry = json_get(q->g->groups, name->s);
    str type = json_str(json_get(entry, S("type")), S(""));
    if (str_eq(type, S("list"))) {
        const struct json *key = attribute ? attribute : json_get(entry, S("attributeKey")),
                          *values = json_get(entry, S("values"));
        return json_is(key, JSON_STR) && json_is(values, JSON_ARR)
               && among(q, at_path(q, obj, key->s), values, false);
    }
    const struct json *condition = json_get(entry, S("condition"));
    if (!str_eq(type, S("condition")) || !condition || condition->kind < JSON_ARR
        || q->groups_n == GROUPS_DEEP_MAX)
        return false;
    q->groups[q->groups_n++] = name->s;
    bool result = holds(q, obj, condition);
    q->groups_n--;
    return result;
}

/* "v1.2.3-rc.1+b7" -> "    1-    2-    3-rc-    1", which compares as text. */
static str version_text(struct asking *q, const struct json *v)
{
    str s = js_type(v) == JS_NUMBER ? js_string(q->a, v) : json_str(v, S(""));
    if (s.len == 0) s = S("0");
    if (s.ptr[0] == 'v') s = str_from(s, 1);
    isize plus = str_find_char(s, '+');
    if (plus >= 0) s = str_slice(s, 0, plus);
    struct buf out = { .arena = q->a };
    isize parts = 0;
    for (isize from = 0, i = 0; i <= s.len; i++) {
        if (i < s.len && s.ptr[i] != '-' && s.ptr[i] != '.') continue;
        str part = str_slice(s, from, i);
        bool digits = part.len > 0;
        for (isize k = 0; k < part.len; k++) digits = digits && part.ptr[k] >= '0' && part.ptr[k] <= '9';
        if (parts++ > 0) buf_byte(&out, '-');
        for (isize pad = part.len; digits && pad < 5; pad++) buf_byte(&out, ' ');
        buf_add(&out, part);
        from = i + 1;
    }
    if (parts == 3) buf_add(&out, S("-~"));
    return buf_str(&out);
}

static bool matches_pattern(struct asking *q, const struct json *pattern, const struct json *actual)
{
    for (isize i = 0; i < q->g->patterns_n; i++)
        if (q->g->patterns[i].at == pattern)
            return q->g->patterns[i].regex && regex_finds(q->g->patterns[i].regex, js_string(q->a, actual));
    return false;
}

static bool any_element(struct asking *q, const struct json *actual, const struct json *expected)
{
    bool operators = is_operators(expected);
    if (!json_is(actual, JSON_ARR)) return false;
    json_each(element, actual) {
        if (js_type(element) == JS_NULL) continue;
        if (operators ? value_holds(q, expected, element, false) : holds(q, element, expected)) return true;
    }
    return false;
}

static bool all_in(struct asking *q, const struct json *actual, const struct json *expected, bool fold)
{
    if (!json_is(actual, JSON_ARR) || !json_is(expected, JSON_ARR)) return false;
    json_each(e, expected) {
        bool passed = false;
        json_each(element, actual) passed = passed || value_holds(q, e, element, fold);
        if (!passed) return false;
    }
    return true;
}

static str type_name(const struct json *v)
{
    static const str names[] = { [JS_NULL] = S_INIT("null"), [JS_BOOL] = S_INIT("boolean"), [JS_NUMBER] = S_INIT("number"),
                                 [JS_STRING] = S_INIT("string"), [JS_ARRAY] = S_INIT("array"), [JS_OBJECT] = S_INIT("object") };
    return names[js_type(v)];
}

static bool compares(struct asking *q, str op, const struct json *actual,
                     const struct json *expected, bool *known)
{
    bool version = str_starts(op, S("$v"));
    str word = str_from(op, version ? 2 : 1);
    *known = true;
    if (!version && str_eq(word, S("eq"))) return js_same(actual, expected);
    if (!version && str_eq(word, S("ne"))) return !js_same(actual, expected);
    int order = version ? js_compare_text(version_text(q, actual), version_text(q, expected))
                        : js_compare(q->a, actual, expected);
    if (str_eq(word, S("eq"))) return order == 0;
    if (str_eq(word, S("ne"))) return order != 0;
    if (str_eq(word, S("lt"))) return order == -1;
    if (str_eq(word, S("lte"))) return order == -1 || order == 0;
    if (str_eq(word, S("gt"))) return order == 1;
    if (str_eq(word, S("gte"))) return order == 1 || order == 0;
    *known = false;
    return false;
}

static bool operator_holds(struct asking *q, str op, const struct json *actual, const struct json *expected)
{
    bool known, list = json_is(expected, JSON_ARR);
    bool result = compares(q, op, actual, expected, &known);
    if (known) return result;
    if (str_eq(op, S("$exists"))) return js_truthy(expected) == (js_type(actual) != JS_NULL);
    if (str_eq(op, S("$in"))) return list && among(q, actual, expected, false);
    if (str_eq(op, S("$ini"))) return list && among(q, actual, expected, true);
    if (str_eq(op, S("$nin"))) return list && !among(q, actual, expected, false);
    if (str_eq(op, S("$nini"))) return list && !among(q, actual, expected, true);
    if (str_eq(op, S("$inGroup")) || str_eq(op, S("$notInGroup"))) {
        const struct json *values = group_values(q, expected);
        return values && among(q, actual, values, false) == str_eq(op, S("$inGroup"));
    }
    if (str_eq(op, S("$not"))) return !value_holds(q, expected, actual, false);
    if (str_eq(op, S("$size"))) {
        struct json n = { .kind = JSON_INT, .i = json_len(actual) };
        return json_is(actual, JSON_ARR) && value_holds(q, expected, &n, false);
    }
    if (str_eq(op, S("$elemMatch"))) return any_element(q, actual, expected);
    if (str_eq(op, S("$all")) || str_eq(op, S("$alli"))) return all_in(q, actual, expected, op.len == 5);
    if (str_eq(op, S("$regex")) || str_eq(op, S("$regexi"))) return matches_pattern(q, expected, actual);
    if (str_eq(op, S("$type"))) return json_is(expected, JSON_STR) && str_eq(type_name(actual), expected->s);
    return false;                                       /* an operator younger than this evaluator */
}

static bool value_holds(struct asking *q, const struct json *condition, const struct json *value, bool fold)
{
    switch (js_type(condition)) {
    case JS_STRING:
        if (fold) return str_eq(js_lower(q->a, js_string(q->a, value)), js_lower(q->a, condition->s));
        return str_eq(js_string(q->a, value), condition->s);
    case JS_NUMBER: return js_number(q->a, value) == js_number(q->a, condition);
    case JS_BOOL: return js_type(value) != JS_NULL && js_truthy(value) == condition->b;
    case JS_NULL: return js_type(value) == JS_NULL;
    case JS_ARRAY: return js_alike(value, condition);
    case JS_OBJECT: break;
    }
    if (!is_operators(condition)) return js_alike(value, condition);
    json_each(field, condition)
        if (!operator_holds(q, field->key, value, field)) return false;
    return true;
}

static bool any_holds(struct asking *q, const struct json *obj, const struct json *list)
{
    json_each(condition, json_is(list, JSON_ARR) ? list : NULL)
        if (holds(q, obj, condition)) return true;
    return json_len(list) == 0 || !json_is(list, JSON_ARR);
}

static bool holds(struct asking *q, const struct json *obj, const struct json *condition)
{
    if (!json_is(condition, JSON_OBJ)) return true;
    json_each(field, condition) {
        bool result = true;
        if (str_eq(field->key, S("$or"))) result = any_holds(q, obj, field);
        else if (str_eq(field->key, S("$nor"))) result = !any_holds(q, obj, field);
        else if (str_eq(field->key, S("$and"))) {
            json_each(each, json_is(field, JSON_ARR) ? field : NULL) result = result && holds(q, obj, each);
        } else if (str_eq(field->key, S("$not"))) result = !holds(q, obj, field);
        else if (str_eq(field->key, S("$savedGroup"))) result = saved_group(q, obj, field);
        else result = value_holds(q, field, at_path(q, obj, field->key), false);
        if (!result) return false;
    }
    return true;
}

/* ---- hashing --------------------------------------------------------------------------------- */

/* FNV-1a over UTF-16 code units of two texts, one after the other. */
static u32 fnv(str x, str y)
{
    u32 h = 0x811c9dc5u, unit;
    str texts[] = { x, y };
    for (int i = 0; i < 2; i++) {
        /* a unit is a byte there, and most ids are nothing else */
        isize ascii = 0;
        for (; ascii < texts[i].len && (u8)texts[i].ptr[ascii] < 0x80; ascii++)
            h = (h ^ (u8)texts[i].ptr[ascii]) * 0x01000193u;
        struct js_units rest = { str_from(texts[i], ascii), 0 };
        while (js_unit(&rest, &unit)) h = (h ^ unit) * 0x01000193u;
    }
    return h;
}

bool growthbook_hash(str seed, str value, i64 version, f64 *out)
{
    if (version == 1) {
        *out = fnv(value, seed) % 1000 / 1000.0;
        return true;
    }
    if (version != 2) return false;
    char digits[12];
    isize n = 0;
    u32 first = fnv(seed, value);
    for (u32 left = first; left > 0 || n == 0; left /= 10)
        digits[countof(digits) - ++n] = (char)('0' + left % 10);
    *out = fnv((str){ digits + countof(digits) - n, n }, S("")) % 10000 / 10000.0;
    return true;
}

static bool hash_of(struct asking *q, str seed, const struct json *value,
                    const struct json *version, i64 otherwise, f64 *out)
{
    f64 v = js_truthy(version) && js_type(version) == JS_NUMBER ? js_number(q->a, version) : (f64)otherwise;
    if (js_truthy(version) && js_type(version) != JS_NUMBER) return false;
    return (v == 1 || v == 2) && growthbook_hash(seed, js_string(q->a, value), (i64)v, out);
}

/* The value to hash, null when there is none, and by which attribute it was found. */
static const struct json *hash_value(struct asking *q, const struct json *attribute,
                                     const struct json *fallback, str *by)
{
    *by = js_truthy(attribute) ? js_string(q->a, attribute) : S("id");
    const struct json *v = json_get(q->r->attributes, *by);
    if (js_truthy(v)) return v;
    if (!js_truthy(fallback)) return NULL;
    v = json_get(q->r->attributes, js_string(q->a, fallback));
    if (!js_truthy(v)) return NULL;
    *by = js_string(q->a, fallback);
    return v;
}

static f64 element(struct asking *q, const struct json *list, isize i)
{
    return json_is(list, JSON_ARR) && i < list->list.n ? js_number(q->a, &list->list.at[i]) : (f64)NAN;
}

static bool in_range(struct asking *q, f64 n, const struct json *range)
{
    return n >= element(q, range, 0) && n < element(q, range, 1);
}

static bool filtered_out(struct asking *q, const struct json *filters)
{
    json_each(filter, json_is(filters, JSON_ARR) ? filters : NULL) {
        str by;
        f64 n;
        bool in = false;
        const struct json *value = hash_value(q, json_get(filter, S("attribute")), NULL, &by);
        str seed = js_string(q->a, json_get(filter, S("seed")));
        if (!value || !hash_of(q, seed, value, json_get(filter, S("hashVersion")), 2, &n)) return true;
        json_each(range, json_get(filter, S("ranges"))) in = in || in_range(q, n, range);
        if (!in) return true;
    }
    return false;
}

static bool in_rollout(struct asking *q, const struct json *rule, str flag)
{
    const struct json *range = json_get(rule, S("range")),
                      *coverage = json_get(rule, S("coverage")), *seed = json_get(rule, S("seed"));
    bool ranged = js_truthy(range);
    if (!ranged && !coverage) return true;
    if (!ranged && js_type(coverage) == JS_NUMBER && js_number(q->a, coverage) == 0) return false;
    bool sticky = q->r->sticky && !js_truthy(json_get(rule, S("disableStickyBucketing")));
    str by;
    f64 n;
    const struct json *value =
        hash_value(q, json_get(rule, S("hashAttribute")),
                   sticky ? json_get(rule, S("fallbackAttribute")) : NULL, &by);
    if (!value) return false;
    if (!hash_of(q, js_truthy(seed) ? js_string(q->a, seed) : flag, value,
                 json_get(rule, S("hashVersion")), 1, &n))
        return false;
    return ranged ? in_range(q, n, range) : n <= js_number(q->a, coverage);
}

/* ---- experiments ----------------------------------------------------------------------------- */

struct experiment {
    const struct json *rule, *variations, *weights, *meta;
    str key;
    bool sticky;
};

static isize cap_variations(const struct json *variations)
{
    return min_isize(json_len(variations), VARIATIONS_MAX);
}

/* The rule's own ranges, or those that weights and coverage make, added up left to right in doubles. */
static isize choose(struct asking *q, const struct experiment *x, f64 n)
{
    const struct json *ranges = json_get(x->rule, S("ranges"));
    if (js_truthy(ranges)) {
        for (isize i = 0; i < json_len(ranges); i++)
            if (in_range(q, n, &ranges->list.at[i])) return i;
        return -1;
    }
    isize count = cap_variations(x->variations);
    const struct json *given = json_get(x->rule, S("coverage"));
    f64 coverage = given ? js_number(q->a, given) : 1, total = 0, start = 0;
    if (coverage < 0) coverage = 0;
    if (coverage > 1) coverage = 1;
    bool equal = !js_truthy(x->weights) || json_len(x->weights) != count;
    for (isize i = 0; i < count && !equal; i++) total += element(q, x->weights, i);
    if (!equal && (total < 0.99 || total > 1.01)) equal = true;
    for (isize i = 0; i < count; i++) {
        f64 w = equal ? 1.0 / (f64)count : element(q, x->weights, i);
        if (n >= start && n < start + coverage * w) return i;
        start += w;
    }
    return -1;
}

static str meta_key(struct asking *q, const struct experiment *x, isize i)
{
    const struct json *meta = json_is(x->meta, JSON_ARR) && i < x->meta->list.n ? &x->meta->list.at[i] : NULL;
    const struct json *key = json_get(meta, S("key"));
    return js_truthy(key) ? js_string(q->a, key) : arena_printf(q->a, "%td", i);
}

/* ?key=2 in the page's address. parseInt of it, as the SDKs do. */
static isize forced_by_url(struct asking *q, const struct experiment *x)
{
    struct str_cut cut = str_cut(q->r->url, '?');
    if (!cut.found) return -1;
    str search = str_cut(str_cut(cut.tail, '?').head, '#').head;
    for (struct str_cut pair = str_cut(search, '&'); search.len > 0; pair = str_cut(pair.tail, '&')) {
        struct str_cut kv = str_cut(pair.head, '=');
        if (str_eq(kv.head, x->key)) {
            f64 n = js_parse_int(str_cut(kv.tail, '=').head);
            return n >= 0 && n < (f64)json_len(x->variations) ? (isize)n : -1;
        }
        if (!pair.found) break;
    }
    return -1;
}

static const struct json *sticky_assignments(struct asking *q, const struct json *attribute, bool or_id)
{
    str by;
    const struct json *value = hash_value(q, attribute, NULL, &by);
    if (!value && !or_id) return NULL;
    str text = !value ? S("") : js_string(q->a, value);
    return json_get(
        json_get(q->r->sticky, arena_printf(q->a, "%.*s||%.*s", STR_FMT(by), STR_FMT(text))),
        S("assignments"));
}

/* What was assigned before, by "key__version"; blocked when an assignment of too old a version is there. */
static isize sticky_variation(struct asking *q, const struct experiment *x, bool *blocked)
{
    const struct json *docs[] = { sticky_assignments(q, json_get(x->rule, S("hashAttribute")), true),
                                  sticky_assignments(q, json_get(x->rule, S("fallbackAttribute")), false) };
    i64 version = json_int(json_get(x->rule, S("bucketVersion")), 0),
        least = json_int(json_get(x->rule, S("minBucketVersion")), 0);
    for (i64 v = 0; v < least && v < 1000; v++) {
        str key = arena_printf(q->a, "%.*s__%lld", STR_FMT(x->key), (long long)v);
        *blocked = *blocked || json_get(docs[0], key) || json_get(docs[1], key);
    }
    if (*blocked) return -1;
    str key = arena_printf(q->a, "%.*s__%lld", STR_FMT(x->key), (long long)version);
    const struct json *found = json_get(docs[0], key) ? json_get(docs[0], key) : json_get(docs[1], key);
    for (isize i = 0; found && i < json_len(x->meta); i++)
        if (js_same(json_get(&x->meta->list.at[i], S("key")), found)) return i;
    return -1;
}

static bool passes_gates(struct asking *q, const struct experiment *x, const struct json *value)
{
    const struct json *filters = json_get(x->rule, S("filters")), *space = json_get(x->rule, S("namespace"));
    const struct json *condition = json_get(x->rule, S("condition"));
    if (js_truthy(filters)) {
        if (filtered_out(q, filters)) return false;
    } else if (js_truthy(space)) {
        f64 n;
        str seed = arena_printf(
            q->a, "__%.*s",
            STR_FMT(json_len(space) ? js_string(q->a, &space->list.at[0]) : S("undefined")));
        (void)growthbook_hash(seed, js_string(q->a, value), 1, &n);
        if (!(n >= element(q, space, 1) && n < element(q, space, 2))) return false;
    }
    return !js_truthy(condition) || holds(q, q->r->attributes, condition);
}

/* The variation, or -1: not in the experiment. Fills in how it came about. */
static isize assigned(struct asking *q, const struct experiment *x, struct file_answer *out)
{
    isize count = json_len(x->variations);
    if (count < 2) return -1;
    isize forced = forced_by_url(q, x);
    const struct json *said = json_get(q->r->forced_variations, x->key);
    if (forced < 0 && said) forced = js_type(said) == JS_NUMBER ? (isize)js_number(q->a, said) : -2;
    if (forced >= 0 || said) return forced < count ? forced : -1;
    const struct json *value = hash_value(
        q, json_get(x->rule, S("hashAttribute")),
        x->sticky ? json_get(x->rule, S("fallbackAttribute")) : NULL, &out->hash_attribute);
    if (!value) return -1;
    out->hash_value = js_string(q->a, value);
    bool blocked = false;
    isize found = x->sticky ? sticky_variation(q, x, &blocked) : -1;
    if (found < 0 && !passes_gates(q, x, value)) return -1;
    const struct json *seed = json_get(x->rule, S("seed"));
    if (!hash_of(q, js_truthy(seed) ? js_string(q->a, seed) : x->key, value,
                 json_get(x->rule, S("hashVersion")), 1, &out->bucket))
        return -1;
    out->sticky = found >= 0;
    if (found < 0) found = choose(q, x, out->bucket);
    out->hashed = found >= 0 && !blocked && found < count;
    return out->hashed ? found : -1;
}

/* A contextual bandit's first leaf that holds gives the weights. */
static const struct json *bandit_weights(struct asking *q, const struct json *rule)
{
    const struct json *ref = json_get(rule, S("contextualBanditRef")),
                      *weights = json_get(rule, S("weights"));
    if (!js_truthy(ref)) return weights;
    json_each(leaf, json_get(json_get(q->g->bandits, js_string(q->a, ref)), S("contexts")))
        if (holds(q, q->r->attributes, json_get(leaf, S("condition")))) return json_get(leaf, S("weights"));
    return weights;
}

/* True when the rule's experiment answers. */
static bool run_experiment(struct asking *q, const struct json *rule, str flag, struct file_answer *out)
{
    const struct json *contextual = json_get(rule, S("contextualVariations")),
                      *key = json_get(rule, S("key"));
    struct experiment x = { .rule = rule,
                            .meta = json_get(rule, S("meta")),
                            .key = js_truthy(key) ? js_string(q->a, key) : flag };
    x.variations = js_type(contextual) != JS_NULL ? contextual : json_get(rule, S("variations"));
    if (!js_truthy(x.variations)) return false;
    x.sticky = q->r->sticky && !js_truthy(json_get(rule, S("disableStickyBucketing")));
    x.weights = bandit_weights(q, rule);
    struct file_answer answer = *out;
    isize i = assigned(q, &x, &answer);
    if (i < 0) return false;
    const struct json *meta = json_is(x.meta, JSON_ARR) && i < x.meta->list.n ? &x.meta->list.at[i] : NULL;
    if (js_truthy(json_get(meta, S("passthrough")))) return false;
    *out = answer;
    out->value = &x.variations->list.at[i];
    out->variation = meta_key(q, &x, i);
    out->variation_index = (i32)i;
    out->experiment = x.key;
    out->reason = S("experiment");
    return true;
}

/* ---- a flag ---------------------------------------------------------------------------------- */

enum gate { GATE_PASSES, GATE_SKIPS, GATE_BLOCKS, GATE_CYCLE };

static void evaluate(struct asking *q, str flag, struct file_answer *out);

static enum gate prerequisites(struct asking *q, const struct json *rule)
{
    json_each(parent, json_get(rule, S("parentConditions"))) {
        struct file_answer answer;
        evaluate(q, js_string(q->a, json_get(parent, S("id"))), &answer);
        if (str_eq(answer.reason, S("cyclicPrerequisite"))) return GATE_CYCLE;
        struct json value = answer.value ? *answer.value : (struct json){ .kind = JSON_NULL };
        value.key = S("value");
        struct json obj = { .kind = JSON_OBJ, .list = { &value, 1 } };
        if (holds(q, &obj, json_get(parent, S("condition")))) continue;
        return js_truthy(json_get(parent, S("gate"))) ? GATE_BLOCKS : GATE_SKIPS;
    }
    return GATE_PASSES;
}

/* True when the rule answers. */
static bool apply_rule(struct asking *q, const struct json *rule, str flag, struct file_answer *out)
{
    const struct json *id = json_get(rule, S("id")), *condition = json_get(rule, S("condition"));
    enum gate gate = prerequisites(q, rule);
    if (gate == GATE_BLOCKS || gate == GATE_CYCLE) {
        out->value = NULL;
        out->reason = gate == GATE_BLOCKS ? S("prerequisite") : S("cyclicPrerequisite");
        return true;
    }
    if (gate == GATE_SKIPS) return false;
    const struct json *filters = json_get(rule, S("filters")), *force = json_get(rule, S("force"));
    if (js_truthy(filters) && filtered_out(q, filters)) return false;
    if (!force) {
        if (!run_experiment(q, rule, flag, out)) return false;
    } else {
        if (js_truthy(condition) && !holds(q, q->r->attributes, condition)) return false;
        if (!in_rollout(q, rule, flag)) return false;
        out->value = force;
        out->reason = S("force");
    }
    out->rule = js_truthy(id) ? js_string(q->a, id) : S("");
    out->from = rule;
    return true;
}

static const struct json *forced_value(const struct json *forced, str flag)
{
    if (json_is(forced, JSON_OBJ)) return json_get(forced, flag);
    json_each(pair, forced)                             /* a Map, as SDKs send one: [["flag", value]] */
        if (json_len(pair) == 2 && str_eq(json_str(&pair->list.at[0], S("")), flag)) return &pair->list.at[1];
    return NULL;
}

static void evaluate(struct asking *q, str flag, struct file_answer *out)
{
    *out = (struct file_answer){ .flag = flag, .variation_index = -1, .reason = S("defaultValue") };
    bool cycle = q->path_n == PATH_MAX_FLAGS || ++q->steps > STEPS_MAX;
    for (isize i = 0; i < q->path_n; i++) cycle = cycle || str_eq(q->path[i], flag);
    if (cycle) {
        out->reason = S("cyclicPrerequisite");
        return;
    }
    const struct json *feature = json_get(q->g->features, flag),
                      *forced = forced_value(q->r->forced_flags, flag);
    if (forced) {
        out->value = forced;
        out->reason = S("override");
    } else if (!json_is(feature, JSON_OBJ)) {
        out->reason = S("unknownFeature");
    } else {
        q->path[q->path_n++] = flag;
        out->value = json_get(feature, S("defaultValue"));
        json_each(rule, json_get(feature, S("rules")))
            if (apply_rule(q, rule, flag, out)) break;
        q->path_n--;
    }
    out->enabled = js_truthy(out->value);
}

void growthbook_evaluate(const struct flag_file *file, str flag, const struct file_request *request, arena *a,
                         struct file_answer *out)
{
    struct asking q = { .g = file->growthbook, .r = request, .a = a };
    evaluate(&q, flag, out);
}
