/* SPDX-License-Identifier: Apache-2.0
 *
 * attributes.c - what can be said of a person in words: traits that many share, and what they dealt with.
 *
 * Each attribute gets a number when it is first met. Traits that name one person, or have more
 * values than anybody could read, say nothing of a group: a name is given up once it has 40 values.
 * Ages are told in bands. */
#include "segment/segment.h"

enum { ATTRIBUTES_MAX = 2048, VALUES_A_NAME_MAX = 40, OF_A_PERSON_MAX = 256 };

struct attributes {
    bool behaviour_only;
    arena a;
    struct map *by_text;
    struct attribute at[ATTRIBUTES_MAX]; isize n;
    struct { str name; isize values; bool given_up; } names[256]; isize names_n;
    u32 met[ATTRIBUTES_MAX], round;
    u32 of[OF_A_PERSON_MAX]; isize of_n;
    arena scratch;
};

struct attributes *attributes_new(bool behaviour_only)
{
    struct attributes *t = mem_new(sizeof *t);
    t->behaviour_only = behaviour_only;
    t->by_text = map_new(256);
    return t;
}

void attributes_free(struct attributes *t)
{
    map_free(t->by_text);
    arena_fini(&t->a);
    arena_fini(&t->scratch);
    mem_free(t);
}

isize attributes_n(const struct attributes *t) { return t->n; }

bool attribute_at(const struct attributes *t, isize i, struct attribute *out)
{
    *out = t->at[i];
    if (t->at[i].kind != ATTRIBUTE_TRAIT) return true;
    for (isize k = 0; k < t->names_n; k++)
        if (str_eq(t->names[k].name, t->at[i].name)) return !t->names[k].given_up;
    return true;
}

/* False when the name is given up, or will be with this value. */
static bool name_takes(struct attributes *t, str name)
{
    isize i = 0;
    while (i < t->names_n && !str_eq(t->names[i].name, name)) i++;
    if (i == countof(t->names)) return false;
    if (i == t->names_n) {
        t->names[i].name = arena_str(&t->a, name);
        t->names_n++;
    }
    t->names[i].given_up |= ++t->names[i].values > VALUES_A_NAME_MAX;
    return !t->names[i].given_up;
}

static void meet(struct attributes *t, u8 kind, str name, str value)
{
    if (value.len == 0 || value.len > 80 || t->of_n == OF_A_PERSON_MAX) return;
    str text = arena_printf(&t->scratch, "%d\x1f%.*s\x1f%.*s", kind, STR_FMT(name), STR_FMT(value));
    struct hash128 key = hash128(text, 7);
    u64 i = map_get(t->by_text, key, ATTRIBUTES_MAX);
    if (i == ATTRIBUTES_MAX) {
        if (t->n == ATTRIBUTES_MAX || (kind == ATTRIBUTE_TRAIT && !name_takes(t, name))) return;
        i = (u64)t->n++;
        t->at[i] = (struct attribute){ kind, arena_str(&t->a, name), arena_str(&t->a, value) };
        map_put(t->by_text, key, i);
    }
    if (t->met[i] == t->round) return;
    t->met[i] = t->round;
    t->of[t->of_n++] = (u32)i;
}

/* Names, addresses, dates: of one person alone. */
static bool names_somebody(str name)
{
    static const str parts[] = { S_INIT("name"), S_INIT("mail"), S_INIT("phone"), S_INIT("birth"), S_INIT("street"), S_INIT("address"),
                                 S_INIT("cart."), S_INIT("token"), S_INIT("avatar"), S_INIT("_id"), S_INIT("ip") };
    for (isize i = 0; i < countof(parts); i++)
        if (str_eq(parts[i], S("ip")) ? str_eq(name, S("ip")) : str_find(name, parts[i]) >= 0) return true;
    return false;
}

str age_band(f64 age)
{
    return age < 25   ? S("under 25")
           : age < 35 ? S("25 to 34")
           : age < 50 ? S("35 to 49")
           : age < 65 ? S("50 to 64")
                      : S("65 and over");
}

static void meet_traits(struct attributes *t, const struct profile *p)
{
    for (isize i = 0; i < p->traits_n; i++) {
        str name = p->traits[i].fact.name;
        if (names_somebody(name) || profile_trait(p, name) != &p->traits[i]) continue;
        struct value v = trait_value(&p->traits[i]);
        if (v.kind == VALUE_NUMBER && str_eq(name, S("age"))) meet(t, ATTRIBUTE_TRAIT, name, age_band(v.n));
        else if (v.kind == VALUE_NUMBER)
            meet(t, ATTRIBUTE_TRAIT, name, arena_printf(&t->scratch, "%.6g", v.n));
        else if (v.kind == VALUE_BOOL) meet(t, ATTRIBUTE_TRAIT, name, v.b ? S("true") : S("false"));
        else if (v.kind == VALUE_TEXT && v.s.len && v.s.ptr[0] != '[') meet(t, ATTRIBUTE_TRAIT, name, v.s);
    }
}

static str leaf_of(str category)
{
    str leaf = category;
    for (isize at; (at = str_find_char(leaf, '>')) >= 0;) leaf = str_from(leaf, at + 1);
    return str_trim(leaf);
}

static void meet_history(struct attributes *t, const struct catalog *catalog,
                         const struct profile *p, i64 since_ms, i64 now_ms)
{
    for (isize i = p->history_n - 1; i >= 0 && p->history[i].at_ms >= since_ms; i--) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms > now_ms || history_is_move(e)) continue;
        if (e->channel) meet(t, ATTRIBUTE_CHANNEL, S("channel"), str_of(channel_name(e->channel)));
        bool viewed = e->type == EVENT_PRODUCT_VIEWED,
             bought = e->type == EVENT_PRODUCT_PURCHASED && e->quantity > 0;
        const struct item *item =
            e->item && (viewed || bought) ? catalog_item(catalog, (item_id){ e->item }) : NULL;
        if (!item) continue;
        meet(t, viewed ? ATTRIBUTE_VIEWED : ATTRIBUTE_BOUGHT, S("category"), leaf_of(item->category));
        meet(t, viewed ? ATTRIBUTE_VIEWED : ATTRIBUTE_BOUGHT, S("brand"), item->brand);
        if (viewed) meet(t, ATTRIBUTE_VIEWED, S("colour"), item->colour);
    }
}

isize attributes_of(struct attributes *t, const struct catalog *catalog, const struct profile *p,
                    i64 since_ms, i64 now_ms, const u32 **out)
{
    t->round++;
    t->of_n = 0;
    if (!t->behaviour_only) meet_traits(t, p);
    meet_history(t, catalog, p, since_ms, now_ms);
    arena_clear(&t->scratch);
    *out = t->of;
    return t->of_n;
}

str attribute_print(arena *a, struct attribute x)
{
    static const char *const verbs[] = { "", "viewed ", "bought ", "came by " };
    if (x.kind == ATTRIBUTE_CHANNEL) return arena_printf(a, "came by %.*s", STR_FMT(x.value));
    return arena_printf(a, "%s%.*s: %.*s", verbs[x.kind], STR_FMT(x.name), STR_FMT(x.value));
}
