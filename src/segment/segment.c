/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.c - compiling the set, and moving one person in and out.
 *
 * After an event only segments that it can have moved are asked again: the set knows them by the
 * type of the entry; those that count whatever is of that type are asked at once, and rule_touched_by
 * refuses most others by the item, which is what makes 200 segments cost little more than 20.
 * The order of the set makes one pass enough: a segment that refers to others comes after them.
 */
#include "segment/segment.h"

#include "base/clock.h"

void definition_error_add(struct definition_errors *errors, struct definition_error error)
{
    if (errors->n < countof(errors->at)) errors->at[errors->n++] = error;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static bool same_definition(const struct definition *def, const struct definition_candidate *c)
{
    return c && str_eq(c->kind, S("segment")) && str_eq(def->key, c->key);
}

/* The settings of the shop: {"time_zone": "Europe/Oslo"}, or {"zone_minutes": 60} for one without summer time. */
static enum err read_zone(arena *a, const struct definitions *definitions,
                          const struct definition_candidate *candidate, struct zone *out,
                          struct definition_errors *errors)
{
    bool tried = candidate && str_eq(candidate->kind, S("settings")) && str_eq(candidate->key, S("shop"));
    str document =
        tried ? candidate->document
              : definition_published(definition_find(definitions, S("settings"), S("shop")));
    const struct json *doc;
    if (document.len == 0 || json_parse(a, document, &doc, NULL)) return ERR_OK;
    str name = json_str(json_get(doc, S("time_zone")), S(""));
    *out = (struct zone){ .minutes = (i32)json_int(json_get(doc, S("zone_minutes")), 0) };
    if (name.len == 0 || zone_of(name, out)) return ERR_OK;
    definition_error_add(
        errors,
        (struct definition_error){
            .kind = S("settings"),
            .key = S("shop"),
            .path = S("time_zone"),
            .message = S("expected a zone such as Europe/Oslo, or an offset such as +01:00") });
    return ERR_REFUSED;
}

static enum err compile_one(arena *a, const struct definition *def, str document,
                            const struct rule_names *names, struct segment *out,
                            struct definition_errors *errors)
{
    const struct json *doc;
    struct diag diag = { .arena = a };
    struct definition_error error = { .kind = S("segment"), .key = def->key };
    if (json_parse(a, document, &doc, &diag)) {
        error.message = diag.what;
        definition_error_add(errors, error);
        return ERR_REFUSED;
    }
    struct rule_errors wrong = { 0 };
    error.path = S("rule");
    enum err err = rule_compile(a, json_str(json_get(doc, S("rule")), S("")), RULE_SEGMENT, names,
                                &out->rule, &wrong);
    for (isize i = 0; i < wrong.n; i++) {
        error.column = wrong.at[i].column;
        error.message = wrong.at[i].hint.len
                            ? arena_printf(a, "%.*s; %.*s", STR_FMT(wrong.at[i].message),
                                           STR_FMT(wrong.at[i].hint))
                            : wrong.at[i].message;
        definition_error_add(errors, error);
    }
    if (err) return ERR_REFUSED;
    out->id = (segment_id){ def->number };
    out->key = def->key;
    out->title = json_str(json_get(doc, S("title")), def->key);
    out->depends = rule_depends_on(out->rule);
    out->types = rule_types(out->rule);
    return ERR_OK;
}

/* Depth-first: a segment is placed after those its rule names. 1 on the way, 2 placed. */
struct placing {
    struct segment *from;
    isize n;
    struct segment *to;
    isize placed;
    u8 *mark;
    struct definition_errors *errors;
};

// NOLINTNEXTLINE(misc-no-recursion): as deep as segments refer to each other, SEGMENTS_MAX at most
static enum err place(struct placing *p, isize i)
{
    if (p->mark[i] == 2) return ERR_OK;
    if (p->mark[i] == 1) {
        definition_error_add(p->errors, (struct definition_error){ S("segment"), p->from[i].key, S("rule"),
                             S("segments refer to each other in a circle"), 0 });
        return ERR_REFUSED;
    }
    p->mark[i] = 1;
    segment_id named[64];
    isize named_n = rule_segments(p->from[i].rule, named, countof(named));
    for (isize k = 0; k < named_n; k++)
        for (isize j = 0; j < p->n; j++)
            if (p->from[j].id.v == named[k].v && place(p, j)) return ERR_REFUSED;
    p->mark[i] = 2;
    p->to[p->placed++] = p->from[i];
    return ERR_OK;
}

static void bit_set(u64 *bits, isize i) { bits[i / 64] |= (u64)1 << (i & 63); }
static bool bit_get(const u64 *bits, isize i) { return bits[i / 64] >> (i & 63) & 1; }

enum { CATEGORIES_A_RULE = 8 };

/* The segments that only what lies under certain categories can move, by the names of those; true
 * for such a one. */
static bool ask_by_category(struct segment_set *set, struct category_ask *asks, isize *n, isize i)
{
    str names[CATEGORIES_A_RULE];
    isize names_n = rule_categories(set->at[i].rule, names, countof(names));
    for (isize k = 0; k < names_n; k++)
        if (str_find_char(names[k], '>') >= 0) return false;        /* a path is no name: its rule is asked */
    for (isize k = 0; k < names_n; k++) {
        struct category_name name = catalog_name(NULL, names[k]);
        i32 *head = &set->ask_heads[category_head(name.sign)];
        asks[*n] = (struct category_ask){ name, (u16)i, *head };
        *head = (i32)(*n)++;
    }
    return names_n > 0;
}

/* The same of a segment for which somebody must like a category. */
static bool ask_by_liking(struct segment_set *set, struct category_ask *likes, isize *n, isize i)
{
    str category;
    if (!rule_must_like(set->at[i].rule, &category) || str_find_char(category, '>') >= 0) return false;
    struct category_name name = catalog_name(NULL, category);
    i32 *head = &set->like_heads[category_head(name.sign)];
    likes[*n] = (struct category_ask){ name, (u16)i, *head };
    *head = (i32)(*n)++;
    return true;
}

/* The set by what may move its segments. */
static void index_set(arena *a, struct segment_set *set)
{
    enum { TYPES = countof(set->on_type) };
    isize words = set->words = (set->n + 63) / 64, asks_n = 0, likes_n = 0;
    u64 *rows = arena_new(a, u64, words * (3 * TYPES + 3)), *bare = rows + words * TYPES,
        *any = bare + words * TYPES, *facts = any + words * TYPES;
    u64 *likings = facts + words, *must_like = likings + words;
    struct category_ask *asks = arena_new(a, struct category_ask, set->n * CATEGORIES_A_RULE);
    struct category_ask *likes = arena_new(a, struct category_ask, set->n);
    for (isize h = 0; h < countof(set->ask_heads); h++) set->ask_heads[h] = set->like_heads[h] = -1;
    set->asks = asks;
    set->likes = likes;
    u64 **named_by = arena_new(a, u64 *, set->n + 1);
    for (isize i = 0; i < set->n; i++) {
        const struct segment *segment = &set->at[i];
        segment_id named[64];
        isize named_n = segment->depends & RULE_ON_SEGMENTS
                            ? rule_segments(segment->rule, named, countof(named))
                            : 0;
        bool by_category = ask_by_category(set, asks, &asks_n, i);
        for (isize t = 0; t < TYPES; t++) {
            if (segment->types >> t & 1) bit_set(rows + words * t, i);
            if (segment->types >> t & 1 && !by_category) bit_set(bare + words * t, i);
            if (rule_counts(segment->rule, (u16)t)) bit_set(any + words * t, i);
        }
        if (segment->depends & (RULE_ON_TRAITS | RULE_ON_QUIZ | RULE_ON_AFFINITY)) bit_set(facts, i);
        if (segment->depends & RULE_ON_AFFINITY) bit_set(likings, i);
        if (segment->depends & RULE_ON_AFFINITY && ask_by_liking(set, likes, &likes_n, i))
            bit_set(must_like, i);
        for (isize k = 0; k < min_isize(named_n, countof(named)); k++) {
            const struct segment *of = named[k].v < SEGMENTS_MAX ? set->by_id[named[k].v] : NULL;
            if (!of) continue;
            u64 **row = &named_by[of - set->at];
            if (!*row) *row = arena_new(a, u64, words);
            bit_set(*row, i);
        }
    }
    for (isize t = 0; t < TYPES; t++) {
        set->on_type[t] = rows + words * t;
        set->on_bare_type[t] = bare + words * t;
        set->on_any[t] = any + words * t;
    }
    set->on_facts = facts;
    set->on_likings = likings;
    set->on_named_likings = must_like;
    set->named_by = (const u64 *const *)named_by;
}

enum err segment_set_build(arena *a, const struct definitions *definitions,
                           const struct definition_candidate *candidate,
                           const struct rule_names *names, const struct segment_set **out,
                           struct definition_errors *errors)
{
    struct segment_set *set = arena_new(a, struct segment_set, 1);
    struct segment *found = arena_new(a, struct segment, SEGMENTS_MAX);
    enum err err = ERR_OK;
    isize n = 0, at = 0;
    const struct definition *def;
    while ((def = definition_next(definitions, S("segment"), &at))) {
        str document = same_definition(def, candidate) ? candidate->document : definition_published(def);
        if (document.len == 0 || def->number >= SEGMENTS_MAX) continue;
        if (compile_one(a, def, document, names, &found[n], errors)) err = ERR_REFUSED;
        else n++;
    }
    if (read_zone(a, definitions, candidate, &set->zone, errors)) err = ERR_REFUSED;
    if (err) return err;
    struct placing p = { found, n, arena_new(a, struct segment, n + 1), 0, arena_new(a, u8, n + 1), errors };
    for (isize i = 0; i < n; i++)
        if (place(&p, i)) return ERR_REFUSED;
    set->at = p.to;
    set->n = n;
    for (isize i = 0; i < n; i++) set->by_id[p.to[i].id.v] = &p.to[i];
    u16 *by_number = arena_new(a, u16, n + 1);
    for (isize id = 0, k = 0; id < SEGMENTS_MAX; id++)
        if (set->by_id[id]) by_number[k++] = (u16)(set->by_id[id] - set->at);
    set->by_number = by_number;
    u64 moves = rule_type_bit(EVENT_SEGMENT_ENTERED) | rule_type_bit(EVENT_SEGMENT_LEFT);
    for (isize i = 0; i < n; i++) set->hears_moves |= (p.to[i].types & moves) != 0;
    index_set(a, set);
    *out = set;
    return ERR_OK;
}

segment_id segment_find(const struct segment_set *set, str key)
{
    for (isize i = 0; i < set->n; i++)
        if (str_eq(set->at[i].key, key)) return set->at[i].id;
    return (segment_id){ 0 };
}

/* ---- one person ------------------------------------------------------------------------------ */

/* One person's memberships while they are brought up to date: rows as they will be stored, found by
 * index of the set. */
struct state {
    const struct segment_ask *ask;
    struct membership *rows; isize n;
    u16 *row;                       /* of each segment, from 1; 0: it has none */
    u64 *must, *may;                /* to be asked; to be asked if an entry touches it */
    bool added, liked;              /* liked: an entry changes what they like */
};

static isize position(const struct segment_set *set, u16 id)
{
    const struct segment *s = id < SEGMENTS_MAX ? set->by_id[id] : NULL;
    return s ? s - set->at : -1;
}

static enum tri in_segment(const void *ctx, segment_id id)
{
    const struct state *s = ctx;
    isize at = position(s->ask->set, id.v);
    return at >= 0 && s->row[at] && s->rows[s->row[at] - 1].member ? TRI_TRUE : TRI_FALSE;
}

static void bits_add(u64 *to, const u64 *from, isize words)
{
    for (isize w = 0; from && w < words; w++) to[w] |= from[w];
}

static bool bits_meet(const u64 *x, const u64 *y, isize words)
{
    for (isize w = 0; w < words; w++)
        if (x[w] & y[w]) return true;
    return false;
}

/* Whom one entry may move. */
static void add_touched(struct state *s, const struct history_entry *e)
{
    const struct segment_set *set = s->ask->set;
    const struct item *item = e->item ? catalog_item(s->ask->catalog, (item_id){ e->item }) : NULL;
    if (e->flags & HISTORY_BOT) return;
    if (e->type < countof(set->on_any)) bits_add(s->must, set->on_any[e->type], set->words);
    bits_add(s->may, item ? set->on_bare_type[e->type & 63] : set->on_type[e->type & 63], set->words);
    if (!item) return;
    const struct item_names *names = item_names(s->ask->catalog, item);
    for (isize k = 0; k < names->n; k++)
        for (i32 i = set->ask_heads[category_head(names->at[k].sign)]; i >= 0; i = set->asks[i].next)
            if (item_named(names, &set->asks[i].name)) bit_set(s->may, set->asks[i].segment);
}

/* What there was, without segments that are gone, and who is to be asked. */
static struct state state_begin(const struct segment_ask *ask, const struct profile_edit *edit, arena *a)
{
    const struct segment_set *set = ask->set;
    struct state s = { .ask = ask,
                       .rows = arena_room(a, struct membership, edit->memberships.n + set->n),
                       .row = arena_new(a, u16, set->n),
                       .must = arena_new(a, u64, 2 * set->words) };
    s.may = s.must + set->words;
    for (isize i = 0; i < edit->memberships.n; i++) {
        isize at = position(set, edit->memberships.at[i].segment);
        if (at < 0) continue;
        s.rows[s.n++] = edit->memberships.at[i];
        s.row[at] = (u16)s.n;
        if (edit->memberships.at[i].next_change_at_ms <= ask->now_ms) bit_set(s.must, at);
    }
    for (isize i = 0; ask->all && i < set->n; i++) bit_set(s.must, i);
    for (isize i = 0; i < ask->touched_n; i++) {
        add_touched(&s, &ask->touched[i]);
        s.liked |= profile_is_liking(&ask->touched[i]);
    }
    if (position(set, ask->only.v) >= 0) bit_set(s.must, position(set, ask->only.v));
    if (ask->facts) bits_add(s.must, set->on_facts, set->words);
    return s;
}

/* Rules that read likings. One that holds for nobody who likes nothing of a category stays as it is
 * for who is not in it and likes nothing of that, as long as they chose none and nothing of later
 * on (`later`) stands in the history. */
static void add_liked(struct state *s, const struct liked_names *names, bool later)
{
    const struct segment_set *set = s->ask->set;
    bool all = later || profile_trait(s->ask->profile, S(PREFERENCE_TRAIT "category"));
    for (isize w = 0; w < set->words; w++)
        s->must[w] |= all ? set->on_likings[w] : set->on_likings[w] & ~set->on_named_likings[w];
    for (isize i = 0; i < s->n; i++) {
        isize at = position(set, s->rows[i].segment);
        if (bit_get(set->on_named_likings, at)) bit_set(s->must, at);
    }
    for (isize k = 0; k < names->n; k++)
        for (i32 i = set->like_heads[category_head(names->at[k].sign)]; i >= 0; i = set->likes[i].next)
            if (set->likes[i].name.sign == names->at[k].sign
                && str_eq_nocase(set->likes[i].name.text, names->at[k].text))
                bit_set(s->must, set->likes[i].segment);
}

/* The next segment that may have to be asked, from i on; set->n: none. */
static isize next_asked(const struct state *s, isize i)
{
    const struct segment_set *set = s->ask->set;
    for (isize w = i / 64; w < set->words; w++) {
        u64 bits = s->must[w] | s->may[w];
        if (w == i / 64) bits &= ~(u64)0 << (i & 63);
        if (bits) return w * 64 + __builtin_ctzll(bits);
    }
    return set->n;
}

static bool must_ask(const struct state *s, isize i, const struct rule_facts *facts)
{
    const struct segment_ask *ask = s->ask;
    if (bit_get(s->must, i)) return true;
    for (isize k = 0; k < ask->touched_n; k++)
        if (rule_touched_by(ask->set->at[i].rule, &ask->touched[k], facts)) return true;
    return false;
}

static bool has_future(const struct membership *m) { return m->member || m->next_change_at_ms != TIME_NEVER; }

static void row_put(struct state *s, isize i, struct membership m)
{
    if (s->row[i]) {
        s->rows[s->row[i] - 1] = m;
    } else if (has_future(&m)) {
        s->rows[s->n++] = m;
        s->row[i] = (u16)s->n;
        s->added = true;
    }
}

/* By segment, so that the bytes are always the same; what came new stands behind, and comes in
 * nearly that order. */
static void rows_settle(struct state *s, struct profile_edit *edit)
{
    isize n = 0;
    for (isize i = 0; i < s->n; i++)
        if (has_future(&s->rows[i])) s->rows[n++] = s->rows[i];
    for (isize i = 1; s->added && i < n; i++) {
        struct membership m = s->rows[i];
        isize j = i;
        for (; j > 0 && s->rows[j - 1].segment > m.segment; j--) s->rows[j] = s->rows[j - 1];
        s->rows[j] = m;
    }
    edit->memberships.at = s->rows;
    edit->memberships.n = edit->memberships.cap = n;
}

/* The newest item that made somebody a member. */
static u32 item_of_entry(const struct segment *segment, const struct rule_facts *facts)
{
    const struct history_entry *made[MATCHES_PER_SEGMENT_MAX];
    isize n = segment->depends & RULE_ON_HISTORY
                  ? rule_matched(segment->rule, facts, made, countof(made))
                  : 0;
    for (isize i = 0; i < n; i++)
        if (made[i]->item) return made[i]->item;
    return 0;
}

isize segment_update(const struct segment_ask *ask, arena *a, struct profile_edit *edit,
                     struct segment_change *out)
{
    const struct segment_set *set = ask->set;
    if (set->n == 0) { edit->memberships.n = 0; return 0; }
    struct state s = state_begin(ask, edit, a);
    struct profile_world world = {
        .profile = ask->profile, .catalog = ask->catalog, .now_ms = ask->now_ms, .zone = set->zone
    };
    struct likings likings;
    struct rule_index index;
    if (s.liked || bits_meet(s.must, set->on_likings, set->words)) {
        likings = profile_likings(ask->profile, ask->catalog, ask->now_ms, a);
        likings.names = likings_names(&likings, ask->catalog, a);
        world.likings = &likings;
    }
    struct rule_facts facts = profile_facts(&world);
    if (s.liked) add_liked(&s, likings.names, !facts.affinity_lasts);
    rule_index_build(facts.history, facts.history_n, a, &index);
    facts.index = &index;
    facts.segment_ctx = &s;
    facts.in_segment = in_segment;
    isize changes = 0;
    for (isize i = next_asked(&s, 0); i < set->n; i = next_asked(&s, i + 1)) {
        if (!must_ask(&s, i, &facts)) continue;
        struct rule_result r = rule_run(set->at[i].rule, &facts);
        const struct membership *row = s.row[i] ? &s.rows[s.row[i] - 1] : NULL;
        bool was = row && row->member, member = rule_holds(r);
        if (!row && !member && r.next_change_at_ms == TIME_NEVER) continue;             /* as most are */
        struct membership m = { set->at[i].id.v, member, was ? row->entered_at_ms : 0,
                                max_i64(r.next_change_at_ms, ask->now_ms + 1) };
        if (member != was) {
            m.entered_at_ms = member ? ask->now_ms : 0;
            bits_add(s.must, set->named_by[i], set->words);
            out[changes++] =
                (struct segment_change){ set->at[i].id, member,
                                         member ? item_of_entry(&set->at[i], &facts) : 0 };
        }
        row_put(&s, i, m);
    }
    rows_settle(&s, edit);
    return changes;
}

isize segment_matches(const struct segment_set *set, const struct catalog *catalog,
                      const struct profile *p, segment_id id, i64 now_ms,
                      struct match out[MATCHES_PER_SEGMENT_MAX])
{
    const struct segment *segment = id.v < SEGMENTS_MAX ? set->by_id[id.v] : NULL;
    if (!segment || !(segment->depends & RULE_ON_HISTORY)
        || !segment_member(set, catalog, p, id, now_ms))
        return 0;
    struct profile_world world = { .profile = p, .catalog = catalog, .now_ms = now_ms, .zone = set->zone };
    struct rule_facts facts = profile_facts(&world);
    const struct history_entry *made[MATCHES_PER_SEGMENT_MAX];
    isize n = rule_matched(segment->rule, &facts, made, countof(made));
    for (isize i = 0; i < n; i++)
        out[i] = (struct match){ p->nodes[made[i]->node], made[i]->item, made[i]->at_ms,
                                 history_cart(made[i]) };
    return n;
}

bool segment_leaves(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, segment_id id, i64 now_ms)
{
    const struct segment *segment = id.v < SEGMENTS_MAX ? set->by_id[id.v] : NULL;
    const struct membership *m = profile_membership(p, id);
    if (p->next_change_at_ms <= now_ms) return false;
    if (!segment) return !m;
    struct profile_world world = { .profile = p, .catalog = catalog, .now_ms = now_ms, .zone = set->zone };
    struct rule_facts facts = profile_facts(&world);
    struct rule_result r = rule_run(segment->rule, &facts);
    return rule_holds(r) == (m && m->member)
           && r.next_change_at_ms == (m ? m->next_change_at_ms : TIME_NEVER);
}

bool segment_stands(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, const struct membership *m, i64 now_ms)
{
    const struct segment *segment = m->segment < SEGMENTS_MAX ? set->by_id[m->segment] : NULL;
    if (!segment) return false;
    if (now_ms < m->next_change_at_ms) return m->member;
    struct profile_world world = { .profile = p, .catalog = catalog, .now_ms = now_ms, .zone = set->zone };
    struct rule_facts facts = profile_facts(&world);
    return rule_holds(rule_run(segment->rule, &facts));
}

bool segment_member(const struct segment_set *set, const struct catalog *catalog,
                    const struct profile *p, segment_id id, i64 now_ms)
{
    const struct membership *m = p ? profile_membership(p, id) : NULL;
    return m && segment_stands(set, catalog, p, m, now_ms);
}

/* ---- all people ------------------------------------------------------------------------------ */

/* A question to everybody: what each of them is asked. */
struct question {
    const struct catalog *catalog;
    const struct rule *rule;
    const struct segment_set *set;
    i64 now_ms;
};
struct found { i64 count; person_id sample[10]; isize sample_n; };

static bool holds_for(const struct question *q, const struct swept *who, arena *a)
{
    const struct profile *p = profile_then(who->now, q->now_ms, who->nodes, who->nodes_n, a);
    if (!p) return false;
    struct as_of at = { { .profile = p, .catalog = q->catalog, .now_ms = q->now_ms }, q->set, 0 };
    struct rule_facts facts = facts_as_of(&at);
    facts.no_timer = true;
    return rule_holds(rule_run(q->rule, &facts));
}

i64 segment_walk(const struct people *people, const struct catalog *catalog,
                 const struct rule *rule, const struct segment_set *set, i64 now_ms,
                 void (*member)(void *ctx, person_id id), void *ctx)
{
    struct question q = { catalog, rule, set, now_ms };
    i64 count = 0;
    u32 most = (u32)people_most(people);
    arena a = { 0 };
    for (u32 id = 1; id <= most; id++) {
        struct swept who = { .id = { id },
                             .now = people_read(people, (person_id){ id }, PEOPLE_HISTORY, &a) };
        bool holds = who.now && holds_for(&q, &who, &a);
        arena_clear(&a);
        if (!holds) continue;
        count++;
        if (member) member(ctx, (person_id){ id });
    }
    arena_fini(&a);
    return count;
}

static void count_one(void *ctx, void *answer, const struct swept *who, arena *a)
{
    struct found *found = answer;
    if (!holds_for(ctx, who, a)) return;
    found->count++;
    if (found->sample_n < countof(found->sample)) found->sample[found->sample_n++] = who->id;
}

/* The sample stays in order: each thread met its people by rising id, but not all of them. */
static void take_sample(struct segment_preview *preview, person_id id)
{
    isize at = preview->sample_n;
    while (at > 0 && preview->sample[at - 1].v > id.v) at--;
    if (at == countof(preview->sample)) return;
    if (preview->sample_n < countof(preview->sample)) preview->sample_n++;
    for (isize i = preview->sample_n - 1; i > at; i--) preview->sample[i] = preview->sample[i - 1];
    preview->sample[at] = id;
}

struct segment_preview segment_preview(const struct sweep *people, const struct catalog *catalog,
                                       const struct rule *rule, const struct segment_set *set,
                                       i64 now_ms)
{
    struct segment_preview preview = { 0 };
    struct question q = { catalog, rule, set, now_ms };
    struct sweep s = *people;
    void *answers[SWEEP_ANSWERS_MAX];
    arena a = { 0 };
    i64 began = clock_monotonic_us();
    s.answer_size = sizeof(struct found);
    s.each = count_one;
    s.need = rule_needs(rule, now_ms);
    s.ctx = &q;
    isize n = sweep_run(&s, &a, answers);
    for (isize i = 0; i < n; i++) {
        const struct found *found = answers[i];
        preview.count += found->count;
        for (isize k = 0; k < found->sample_n; k++) take_sample(&preview, found->sample[k]);
    }
    arena_fini(&a);
    preview.took_us = clock_monotonic_us() - began;
    return preview;
}

struct course { struct question q; const struct segment_point *points; isize n; };

static void follow_one(void *ctx, void *answer, const struct swept *who, arena *a)
{
    const struct course *c = ctx;
    struct segment_point *counts = answer;
    bool was = false;
    for (isize i = 0; i < c->n; i++) {
        struct question q = c->q;
        q.now_ms = c->points[i].at_ms;
        bool is = holds_for(&q, who, a);
        counts[i].count += is;
        counts[i].entered += is && !was;
        counts[i].left += was && !is;
        was = is;
    }
}

void segment_course(const struct sweep *people, const struct catalog *catalog,
                    const struct rule *rule, const struct segment_set *set,
                    struct segment_point *points, isize n)
{
    struct course c = { { catalog, rule, set, 0 }, points, n };
    struct sweep s = *people;
    void *answers[SWEEP_ANSWERS_MAX];
    arena a = { 0 };
    assert(n >= 1);
    s.answer_size = n * (isize)sizeof *points;
    s.each = follow_one;
    s.ctx = &c;
    isize k = sweep_run(&s, &a, answers);
    for (isize i = 0; i < n; i++) points[i].count = points[i].entered = points[i].left = 0;
    for (isize t = 0; t < k; t++) {
        const struct segment_point *counts = answers[t];
        for (isize i = 0; i < n; i++) {
            points[i].count += counts[i].count;
            points[i].entered += counts[i].entered;
            points[i].left += counts[i].left;
        }
    }
    points[0].entered = 0;
    arena_fini(&a);
}

/* ---- the roll -------------------------------------------------------------------------------- */

struct roll { _Atomic(struct bitset *) at[SEGMENTS_MAX]; };

struct roll *roll_new(void) { return mem_new(sizeof(struct roll)); }

void roll_free(struct roll *roll)
{
    if (!roll) return;
    for (isize i = 0; i < SEGMENTS_MAX; i++) bitset_free(roll->at[i]);
    mem_free(roll);
}

void roll_put(struct roll *roll, segment_id segment, person_id person, bool member)
{
    assert(segment.v < SEGMENTS_MAX);
    if (!roll->at[segment.v]) {
        if (!member) return;
        roll->at[segment.v] = bitset_new(1024);
    }
    if (member) bitset_set(roll->at[segment.v], person.v);
    else bitset_clear(roll->at[segment.v], person.v);
}

isize roll_count(const struct roll *roll, segment_id segment)
{
    const struct bitset *b = segment.v < SEGMENTS_MAX ? roll->at[segment.v] : NULL;
    return b ? bitset_count(b) : 0;
}

isize roll_overlap(const struct roll *roll, const segment_id *segments, isize n)
{
    const struct bitset *sets[BITSET_AND_MAX];
    assert(n <= BITSET_AND_MAX);
    for (isize i = 0; i < n; i++) {
        sets[i] = segments[i].v < SEGMENTS_MAX ? roll->at[segments[i].v] : NULL;
        if (!sets[i]) return 0;
    }
    return n ? bitset_and_count(sets, n) : 0;
}

i64 roll_next(const struct roll *roll, segment_id segment, u32 from)
{
    const struct bitset *b = segment.v < SEGMENTS_MAX ? roll->at[segment.v] : NULL;
    return b ? bitset_next(b, from) : -1;
}
