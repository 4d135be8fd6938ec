/* SPDX-License-Identifier: Apache-2.0
 *
 * split.c - one segment into children by a trait, made and published in one action.
 *
 * The values are those of the members at this moment, the most frequent first. One child stands for
 * each, one for all other values when there are more, and one for those of whom it is not known: so
 * the children share nobody, and sum to the parent also when members come later. Text differs by
 * more than the case of its letters, as in the language. Ages are split in bands.
 */
#include <stdlib.h>

#include "api/admin.h"
#include "base/rcu.h"

enum { VALUES_MAX = 12, SEEN_MAX = 4096, CHILDREN_MAX = VALUES_MAX + 2 };

struct found { str value; i64 people; };
struct child { str key, title, rule, value; bool unknown; };
struct splitting {
    str by, parent, title, owner;
    segment_id id;
    struct found *seen; isize seen_n;
    bool more;                                          /* than SEEN_MAX values */
    struct child children[CHILDREN_MAX]; isize n;
    struct definition_change *changes;
};

static const struct { const char *key, *title, *rule; } age_bands[] = {
    { "under_25", "under 25", "age < 25" },
    { "25_34", "25 to 34", "age >= 25 and age < 35" },
    { "35_49", "35 to 49", "age >= 35 and age < 50" },
    { "50_64", "50 to 64", "age >= 50 and age < 65" },
    { "65_over", "65 and over", "age >= 65" },
};

static void look_up(struct call *call, struct fold *fold)
{
    struct splitting *s = call->own;
    const struct book *book = atomic_load(&fold_live(fold)->book);
    s->id = segment_find(book->segments, s->parent);
    if (!s->id.v) {
        call_fail(call, ERR_NOT_FOUND, "there is no published segment \"%.*s\"", STR_FMT(s->parent));
        return;
    }
    s->title = arena_str(call->a, book->segments->by_id[s->id.v]->title);
}

static void see(struct splitting *s, str value, arena *a)
{
    for (isize i = 0; i < s->seen_n; i++)
        if (str_eq_nocase(s->seen[i].value, value)) { s->seen[i].people++; return; }
    if (s->seen_n == SEEN_MAX) s->more = true;
    else s->seen[s->seen_n++] = (struct found){ arena_str(a, value), 1 };
}

static str text_of(struct value v, arena *a)
{
    if (v.kind == VALUE_TEXT) return v.s;
    if (v.kind == VALUE_BOOL) return v.b ? S("true") : S("false");
    return v.kind == VALUE_NUMBER ? arena_printf(a, "%.10g", v.n) : S("");
}

static void look_at_members(struct call *call, struct splitting *s)
{
    const struct live *live = call->api->live;
    s->seen = arena_new(call->a, struct found, SEEN_MAX);
    arena a = { 0 };
    rcu_read_begin();
    for (i64 at = roll_next(live->roll, s->id, 1); at > 0; at = roll_next(live->roll, s->id, (u32)at + 1)) {
        const struct profile *p = people_read(live->people, (person_id){ (u32)at }, PEOPLE_FACTS, &a);
        const struct trait *t = p ? profile_trait(p, s->by) : NULL;
        str value = t ? text_of(trait_value(t), call->a) : S("");
        if (value.len && value.len <= 80) see(s, value, call->a);
        arena_clear(&a);
    }
    rcu_read_end();
    arena_fini(&a);
}

static int found_cmp(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    if (a->people != b->people) return a->people > b->people ? -1 : 1;
    return str_cmp(a->value, b->value);
}

/* "Dark blue" -> "dark_blue"; what keys may hold. */
static str as_key(arena *a, str text)
{
    struct buf out = { .arena = a };
    for (isize i = 0; i < text.len && out.len < 40; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (fits) buf_byte(&out, c);
        else if (out.len && out.ptr[out.len - 1] != '_') buf_byte(&out, '_');
    }
    if (out.len && out.ptr[out.len - 1] == '_') out.len--;
    return out.len ? buf_str(&out) : S("value");
}

static str quoted(arena *a, str text)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_str(&w, text);
    return buf_str(&out);
}

static void add_child(struct call *call, struct splitting *s, str suffix, str title, str condition,
                      str value, bool unknown)
{
    arena *a = call->a;
    str key = arena_printf(a, "%.*s_%.*s", STR_FMT(s->parent), STR_FMT(suffix));
    for (isize i = 0; i < s->n; i++)                    /* "A b" and "a-b" are two values with one key */
        if (str_eq(s->children[i].key, key)) key = arena_printf(a, "%.*s_%td", STR_FMT(key), s->n + 1);
    s->children[s->n++] =
        (struct child){ .key = key,
                        .title = arena_printf(a, "%.*s: %.*s", STR_FMT(s->title), STR_FMT(title)),
                        .rule = arena_printf(a, "in segment %.*s and %.*s",
                                             STR_FMT(quoted(a, s->parent)), STR_FMT(condition)),
                        .value = value,
                        .unknown = unknown };
}

static str word_for(str by, str value, bool title)
{
    if (!str_eq_nocase(by, S("gender"))) return value;
    if (str_eq_nocase(value, S("female"))) return title ? S("Women") : S("women");
    if (str_eq_nocase(value, S("male"))) return title ? S("Men") : S("men");
    return value;
}

static void make_children(struct call *call, struct splitting *s)
{
    arena *a = call->a;
    str trait = arena_printf(a, "trait(%.*s)", STR_FMT(quoted(a, s->by)));
    bool bands = str_eq(s->by, S("age"));
    for (isize i = 0; bands && i < countof(age_bands); i++)
        add_child(call, s, str_of(age_bands[i].key), str_of(age_bands[i].title),
                  arena_printf(a, "(%s)", age_bands[i].rule), str_of(age_bands[i].title), false);
    if (bands) {                                        /* what stands there and is no number is in no band */
        add_child(call, s, S("unknown"), S("age not known"), S("age is unknown"), S(""), true);
        return;
    }
    bool gender = str_eq_nocase(s->by, S("gender"));
    if (gender) {                                       /* both are made, whoever is in there now */
        bool female = false, male = false;
        for (isize i = 0; i < s->seen_n; i++) {
            female |= str_eq_nocase(s->seen[i].value, S("female"));
            male |= str_eq_nocase(s->seen[i].value, S("male"));
        }
        if (!female && s->seen_n < SEEN_MAX) s->seen[s->seen_n++] = (struct found){ S("female"), 0 };
        if (!male && s->seen_n < SEEN_MAX) s->seen[s->seen_n++] = (struct found){ S("male"), 0 };
    }
    qsort(s->seen, (size_t)s->seen_n, sizeof *s->seen, found_cmp);
    isize n = min_isize(s->seen_n, VALUES_MAX);
    struct buf named = { .arena = a };
    for (isize i = 0; i < n; i++) {
        str value = s->seen[i].value;
        buf_printf(&named, "%s%.*s", i ? ", " : "", STR_FMT(quoted(a, value)));
        add_child(call, s, as_key(a, word_for(s->by, value, false)), word_for(s->by, value, true),
                  arena_printf(a, "%.*s = %.*s", STR_FMT(trait), STR_FMT(quoted(a, value))), value, false);
    }
    if (n > 0)
        add_child(call, s, S("other"), S("other"),
                  arena_printf(a, "not %.*s in (%.*s)", STR_FMT(trait), STR_FMT(buf_str(&named))),
                  S("(any other)"), false);
    add_child(call, s, S("unknown"), S("not known"),
              arena_printf(a, "%.*s is unknown", STR_FMT(trait)), S(""), true);
}

/* A key somebody else uses is left alone; a child of an earlier split of this parent gets a new revision. */
static void check_keys(struct call *call, struct fold *fold)
{
    struct splitting *s = call->own;
    for (isize i = 0; i < s->n; i++) {
        const struct definition *def =
            definition_find(fold_definitions(fold), S("segment"), s->children[i].key);
        const struct json *doc;
        if (!def || def->archived) continue;
        bool ours = json_parse(call->a, definition_latest(def), &doc, NULL) == ERR_OK
                 && str_eq(json_str(json_get(doc, S("split_of")), S("")), s->parent);
        if (ours) continue;
        call_fail(call, ERR_CONFLICT,
                  "there is a segment \"%.*s\" already, which is no child of this one",
                  STR_FMT(s->children[i].key));
        return;
    }
}

static str document_of(struct call *call, const struct splitting *s, const struct child *c)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "kind", S("segment"));
    jsonw_key_str(&w, "key", c->key);
    jsonw_key_str(&w, "title", c->title);
    jsonw_key_str(&w, "rule", c->rule);
    jsonw_key_str(&w, "split_of", s->parent);
    jsonw_key_str(&w, "split_by", s->by);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void answer_split(struct call *call, struct fold *fold)
{
    const struct splitting *s = call->own;
    const struct live *live = fold_live(fold);
    const struct book *book = atomic_load(&live->book);
    struct jsonw *w = &call->w;
    i64 sum = 0, unknown = 0;
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", s->parent);
    jsonw_key_str(w, "by", s->by);
    jsonw_key_int(w, "count", roll_count(live->roll, s->id));
    jsonw_key_begin(w, "children", '[');
    for (isize i = 0; i < s->n; i++) {
        const struct child *c = &s->children[i];
        i64 count = roll_count(live->roll, segment_find(book->segments, c->key));
        sum += c->unknown ? 0 : count;
        unknown += c->unknown ? count : 0;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "key", c->key);
        jsonw_key_str(w, "title", c->title);
        jsonw_key_str(w, "rule", c->rule);
        jsonw_key(w, S("value"));
        if (c->unknown) jsonw_null(w);
        else jsonw_str(w, c->value);
        jsonw_key_int(w, "count", count);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_int(w, "sum", sum);
    jsonw_key_int(w, "unknown", unknown);
    jsonw_end(w, '}');
}

static void split_segment(struct call *call)
{
    struct splitting *s = arena_new(call->a, struct splitting, 1);
    s->by = body_text(call, "by");
    s->parent = call->params[0];
    call->own = s;
    if (s->by.len == 0 || s->by.len > 80) {
        call_fail(call, ERR_BAD_INPUT, "by: expected the name of a trait, such as gender");
        return;
    }
    on_fold(call, look_up);
    if (call->err) return;
    look_at_members(call, s);
    if (s->seen_n == 0 && !str_eq_nocase(s->by, S("gender"))) {
        call_fail(call, ERR_REFUSED,
                  "nobody in the segment has a \"%.*s\": there is nothing to split by",
                  STR_FMT(s->by));
        return;
    }
    make_children(call, s);
    on_fold(call, check_keys);
    if (call->err) return;
    s->changes = arena_new(call->a, struct definition_change, s->n);
    for (isize i = 0; i < s->n; i++)
        s->changes[i] =
            (struct definition_change){ .op = DEFINITION_DRAFT,
                                        .kind = S("segment"),
                                        .key = s->children[i].key,
                                        .document = document_of(call, s, &s->children[i]),
                                        .author = call->author };
    if (!define(call, s->changes, s->n)) return;
    for (isize i = 0; i < s->n; i++)
        s->changes[i] = (struct definition_change){ .op = DEFINITION_PUBLISH,
                                                    .kind = S("segment"),
                                                    .key = s->children[i].key,
                                                    .author = call->author };
    if (define(call, s->changes, s->n)) on_fold(call, answer_split);
}

void segment_split(struct call *call) { ask_jobs(call, split_segment); }
