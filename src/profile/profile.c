/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c - reading one person: traits, consent, affinities, order totals, and the answers a
 * rule asks for. Nothing here is stored: it is all computed from the compact history, so it is
 * as true of last Tuesday as of now. */
#include "profile/profile.h"

#include "math/math.h"

const struct trait *profile_trait(const struct profile *p, str name)
{
    static const int rank[] = { [TRAIT_GIVEN] = 1, [TRAIT_DECLARED] = 2, [TRAIT_OBSERVED] = 0 };
    const struct trait *best = NULL;
    for (isize i = 0; i < p->traits_n; i++) {
        const struct trait *t = &p->traits[i];
        if (!str_eq(t->fact.name, name)) continue;
        bool better = !best || rank[t->origin] > rank[best->origin]
                   || (t->origin == best->origin && t->at_ms >= best->at_ms);
        if (better) best = t;
    }
    return best;
}

struct value trait_value(const struct trait *t)
{
    if (!t) return (struct value){ VALUE_UNKNOWN };
    switch ((enum fact_kind)t->fact.kind) {
    case FACT_BOOL: return (struct value){ VALUE_BOOL, .b = t->fact.b };
    case FACT_NUMBER: return (struct value){ VALUE_NUMBER, .n = t->fact.n };
    case FACT_TEXT: case FACT_JSON: return (struct value){ VALUE_TEXT, .s = t->fact.text };
    case FACT_NULL: break;
    }
    return (struct value){ VALUE_UNKNOWN };
}

const struct membership *profile_membership(const struct profile *p, segment_id segment)
{
    isize from = 0, to = p->memberships_n;
    while (from < to) {                                 /* they stand by segment */
        isize mid = from + (to - from) / 2;
        if (p->memberships[mid].segment < segment.v) from = mid + 1;
        else to = mid;
    }
    return from < p->memberships_n && p->memberships[from].segment == segment.v
               ? &p->memberships[from]
               : NULL;
}

str profile_cart(const struct profile *p, u32 node, u8 cart, i64 at_ms)
{
    char name[16];
    struct buf out = { .ptr = name, .cap = sizeof name };
    if (cart == 0) return S("");
    buf_printf(&out, CART_TRAIT "%u", cart);
    for (isize i = 0; i < p->traits_n; i++) {
        const struct trait *t = &p->traits[i];
        if (t->node == node && t->origin == TRAIT_OBSERVED && at_ms >= t->at_ms
            && str_eq(t->fact.name, buf_str(&out)))
            return t->fact.text;
    }
    return S("");
}

static enum consent_state latest_said(const struct consent_entry *at, isize n, int purpose)
{
    const struct consent_entry *best = NULL;
    for (isize i = 0; i < n; i++) {
        const struct consent_entry *c = &at[i];
        if (c->purpose != purpose) continue;
        bool later = !best || c->at_ms > best->at_ms
                     || (c->at_ms == best->at_ms && c->state == CONSENT_DENIED);
        if (later) best = c;
    }
    return best ? (enum consent_state)best->state : CONSENT_UNKNOWN;
}

enum consent_state profile_consent(const struct profile *p, int purpose)
{
    return p ? latest_said(p->consents, p->consents_n, purpose) : CONSENT_UNKNOWN;
}

enum consent_state edit_consent_said(const struct profile_edit *edit, int purpose)
{
    return latest_said(edit->consents.at, edit->consents.n, purpose);
}

bool profile_teaches(const struct profile *p, const struct history_entry *e)
{
    if (profile_consent(p, PURPOSE_ANALYTICS) == CONSENT_DENIED) return false;
    return consent_allows(e->flags & HISTORY_TEACHES ? BASIS_CONTRACT : BASIS_CONSENT,
                          profile_consent(p, PURPOSE_MODEL_TRAINING));
}

bool profile_teaches_all(const struct profile *p)
{
    for (isize i = 0; i < p->history_n; i++)
        if (!history_is_move(&p->history[i]) && !profile_teaches(p, &p->history[i])) return false;
    return true;
}

/* ---- affinities ------------------------------------------------------------------------------ */

static f64 type_weight(u16 type)
{
    switch (type) {
    case EVENT_PRODUCT_VIEWED: case EVENT_PRODUCT_CLICKED: case EVENT_CONTENT_VIEWED: return 1;
    case EVENT_PRODUCT_ADDED: case EVENT_WISHLIST_ADDED: return 3;
    case EVENT_PRODUCT_PURCHASED: return 5;
    default: return 0;
    }
}

enum dimension {
    DIMENSION_CATEGORY,
    DIMENSION_BRAND,
    DIMENSION_COLOUR,
    DIMENSION_GENDER,
    DIMENSION_PRICE,
    DIMENSIONS
};
static const char *const dimension_names[] = { "category", "brand", "colour", "gender", "price" };

static int dimension_of(str name)
{
    for (int i = 0; i < DIMENSIONS; i++)
        if (str_eq(name, str_of(dimension_names[i]))) return i;
    return str_eq(name, S("color")) ? DIMENSION_COLOUR : -1;
}

/* Bands of the general price, in whole units of its currency: they stay what they are when the
 * range of the shop changes. */
static str price_band(const struct item *item)
{
    static const struct { i64 below; str name; } bands[] = {
        { 10, S_INIT("under 10") }, { 25, S_INIT("10-25") }, { 50, S_INIT("25-50") }, { 100, S_INIT("50-100") },
        { 250, S_INIT("100-250") }, { 500, S_INIT("250-500") }, { 1000, S_INIT("500-1000") }, { 2500, S_INIT("1000-2500") },
    };
    const struct price *price = item_price(item, S(""));
    if (!price || price->minor <= 0) return S("");
    i64 unit = 1;
    for (int i = currency_digits(price->currency); i > 0; i--) unit *= 10;
    for (isize i = 0; i < countof(bands); i++)
        if (price->minor < bands[i].below * unit) return bands[i].name;
    return S("over 2500");
}

static str item_value(const struct item *item, int dimension)
{
    switch (dimension) {
    case DIMENSION_CATEGORY: return item->category;
    case DIMENSION_BRAND: return item->brand;
    case DIMENSION_COLOUR: return item->colour;
    case DIMENSION_PRICE: return price_band(item);
    default: return item->gender;
    }
}

#define AFFINITY_HALF_LIFE_MS (30 * DAY_MS)

bool profile_is_liking(const struct history_entry *e)
{
    return e->item && e->quantity >= 0 && !(e->flags & HISTORY_BOT) && type_weight(e->type) > 0;
}

/* All fade alike, so shares are the same whichever instant weights are counted back from: the last
 * entry's. */

static void add_to_category(struct likings *l, const struct liking *one)
{
    isize k = 0;
    while (k < l->categories_n && l->categories[k].item->category_id.v != one->item->category_id.v) k++;
    if (k == l->categories_n) l->categories[l->categories_n++] = (struct liking){ one->item, 0 };
    l->categories[k].weight += one->weight;
}

struct likings profile_likings(const struct profile *p, const struct catalog *catalog, i64 now_ms, arena *a)
{
    struct likings l = { .now_ms = now_ms,
                         .each = arena_room(a, struct liking, p->history_n + 1),
                         .categories = arena_room(a, struct liking, p->history_n + 1) };
    i64 last_ms = p->history_n ? p->history[p->history_n - 1].at_ms : 0;
    for (isize i = 0; i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        if (!profile_is_liking(e) || e->at_ms > now_ms) continue;
        const struct item *item = catalog_item(catalog, (item_id){ e->item });
        if (!item) continue;
        /* items lie all over the memory: the waits are one, and weights are worked out meanwhile */
        __builtin_prefetch(&item->category);
        l.each[l.each_n++] = (struct liking){ item, decay(type_weight(e->type), last_ms - e->at_ms,
                                                          AFFINITY_HALF_LIFE_MS) };
    }
    for (isize i = 0; i < l.each_n; i++)
        if (l.each[i].item->category.len) add_to_category(&l, &l.each[i]);
    return l;
}

static struct liked_name *liked_name(const struct liked_names *names, u32 sign, str text)
{
    for (i32 i = names->heads[category_head(sign)]; i >= 0; i = names->at[i].next)
        if (names->at[i].sign == sign && str_eq_nocase(names->at[i].text, text)) return &names->at[i];
    return NULL;
}

const struct liked_names *likings_names(const struct likings *l, const struct catalog *catalog, arena *a)
{
    struct liked_names *names = arena_room(a, struct liked_names, 1);
    isize room = 0;
    *names = (struct liked_names){ 0 };
    for (isize i = 0; i < CATEGORY_HEADS; i++) names->heads[i] = -1;
    for (isize i = 0; i < l->categories_n; i++) {
        const struct item_names *of = item_names(catalog, l->categories[i].item);
        names->all += l->categories[i].weight;
        for (isize k = 0; k < of->n; k++) {
            struct liked_name *name = liked_name(names, of->at[k].sign, of->at[k].text);
            if (name) { name->weight += l->categories[i].weight; continue; }
            if (names->n == room) {
                room = room ? room * 2 : 32;
                struct liked_name *wide = arena_room(a, struct liked_name, room);
                if (names->n) memcpy(wide, names->at, (size_t)names->n * sizeof *wide);
                names->at = wide;
            }
            i32 *head = &names->heads[category_head(of->at[k].sign)];
            names->at[names->n] = (struct liked_name){ of->at[k].sign, *head, of->at[k].text,
                                                       l->categories[i].weight };
            *head = (i32)names->n++;
        }
    }
    return names;
}

static f64 share_of_category(const struct likings *l, const struct catalog *catalog, str category)
{
    struct category_name name = catalog_name(catalog, category);
    f64 all = 0, matching = 0;
    if (l->names && !name.is_path) {
        const struct liked_name *liked = liked_name(l->names, name.sign, category);
        return liked && l->names->all > 0 ? liked->weight / l->names->all : 0;
    }
    for (isize i = 0; i < l->categories_n; i++) {
        all += l->categories[i].weight;
        if (item_within(catalog, l->categories[i].item, &name)) matching += l->categories[i].weight;
    }
    return all > 0 ? matching / all : 0;
}

static f64 share_of(const struct likings *l, const struct catalog *catalog, str dimension, str value)
{
    int d = dimension_of(dimension);
    f64 all = 0, matching = 0;
    if (d == DIMENSION_CATEGORY) return share_of_category(l, catalog, value);
    for (isize i = 0; d >= 0 && i < l->each_n; i++) {
        str has = item_value(l->each[i].item, d);
        if (has.len == 0) continue;
        all += l->each[i].weight;
        if (str_eq_nocase(has, value)) matching += l->each[i].weight;
    }
    return all > 0 ? matching / all : 0;
}

/* The trait in which somebody says what they like of a dimension; null when they said nothing.
 * Asked for every liking of every rule. */
static const struct trait *preference(const struct profile *p, str dimension)
{
    static const str names[] = { S_INIT(PREFERENCE_TRAIT "category"), S_INIT(PREFERENCE_TRAIT "brand"), S_INIT(PREFERENCE_TRAIT "colour"),
                                 S_INIT(PREFERENCE_TRAIT "gender"), S_INIT(PREFERENCE_TRAIT "price") };
    static_assert(countof(names) == DIMENSIONS, "one for each dimension");
    int d = dimension_of(dimension);
    const struct trait *t = d < 0 ? NULL : profile_trait(p, names[d]);
    return t && t->origin == TRAIT_DECLARED ? t : NULL;
}

enum { AFFINITIES_MAX = 64 };

/* A text, or a list of them. */
static const struct json *chosen_texts(const struct trait *t, arena *a)
{
    const struct json *said = NULL;
    if (t->fact.kind == FACT_JSON && json_parse(a, t->fact.text, &said, NULL) == ERR_OK
        && json_is(said, JSON_ARR))
        return said;
    struct json *one = arena_new(a, struct json, 1), *list = arena_new(a, struct json, 1);
    *one = (struct json){ .kind = JSON_STR };
    *list = (struct json){ .kind = JSON_ARR };
    one->s = t->fact.text;
    list->list.at = one;
    list->list.n = t->fact.kind == FACT_TEXT;
    return list;
}

/* A category that was chosen holds those below it, and is itself among those above it. */
static bool is_chosen(const struct catalog *catalog, str dimension, str chosen, str value)
{
    if (str_eq_nocase(chosen, value)) return true;
    if (dimension_of(dimension) != DIMENSION_CATEGORY) return false;
    struct item within = { .category_id = catalog_category(catalog, chosen) };
    return within.category_id.v && item_under(catalog, &within, value);
}

/* Whether somebody chose in a dimension, and whether it was this. */
enum choice { CHOICE_NONE, CHOICE_OTHER, CHOICE_THIS };
static enum choice choice_of(const struct profile *p, const struct catalog *catalog, str dimension, str value)
{
    const struct trait *t = preference(p, dimension);
    arena a = { 0 };
    enum choice choice = CHOICE_NONE;
    if (!t) return choice;
    json_each(one, chosen_texts(t, &a)) {
        str chosen = json_str(one, S(""));
        if (chosen.len && choice != CHOICE_THIS)
            choice = is_chosen(catalog, dimension, chosen, value) ? CHOICE_THIS : CHOICE_OTHER;
    }
    arena_fini(&a);
    return choice;
}

/* Where somebody chose, what was merely inferred counts half: it can never reach what they said. */
static f64 affinity_from(const struct profile *p, const struct likings *l,
                         const struct catalog *catalog, str dimension, str value)
{
    enum choice choice = choice_of(p, catalog, dimension, value);
    if (choice == CHOICE_THIS) return 1;
    f64 share = share_of(l, catalog, dimension, value);
    return choice == CHOICE_OTHER ? share / 2 : share;
}

f64 profile_affinity(const struct profile *p, const struct catalog *catalog, str dimension,
                     str value, i64 now_ms)
{
    arena a = { 0 };
    struct likings l = profile_likings(p, catalog, now_ms, &a);
    f64 share = affinity_from(p, &l, catalog, dimension, value);
    arena_fini(&a);
    return share;
}

static bool stronger(const struct affinity *a, const struct affinity *b)
{
    return a->score != b->score ? a->score > b->score : a->declared && !b->declared;
}

isize profile_choices(const struct profile *p, arena *a, struct affinity **out)
{
    isize n = 0;
    *out = NULL;
    for (int d = 0; d < DIMENSIONS; d++) {
        str dimension = str_of(dimension_names[d]);
        const struct trait *t = preference(p, dimension);
        if (!t) continue;
        if (!*out) *out = arena_new(a, struct affinity, AFFINITIES_MAX);
        const struct json *texts = chosen_texts(t, a);
        json_each(v, texts) {
            str value = json_str(v, S(""));
            if (value.len && n < AFFINITIES_MAX) (*out)[n++] = (struct affinity){ dimension, value, 1, true };
        }
    }
    return n;
}

isize choices_fit(const struct affinity *choices, isize n, const struct catalog *catalog,
                  const struct item *item, const struct affinity **first)
{
    isize fits = 0;
    u32 fitting = 0;
    *first = NULL;
    for (isize i = 0; i < n; i++) {
        int d = dimension_of(choices[i].dimension);
        if (d < 0 || fitting >> d & 1) continue;
        bool is = d == DIMENSION_CATEGORY ? item_under(catalog, item, choices[i].value)
                                          : str_eq_nocase(item_value(item, d), choices[i].value);
        if (!is) continue;
        if (!*first) *first = &choices[i];
        fitting |= 1U << d;
        fits++;
    }
    return fits;
}

/* Said before inferred: a chosen value is 1, whether or not it was ever dealt with. */
static isize add_preferences(const struct profile *p, arena *a, struct affinity *list, isize n, isize max)
{
    struct affinity *chosen;
    isize chosen_n = profile_choices(p, a, &chosen);
    for (isize k = 0; k < n; k++) {
        bool any = false;
        for (isize i = 0; i < chosen_n; i++) any |= str_eq(chosen[i].dimension, list[k].dimension);
        if (any) list[k].score /= 2;
    }
    for (isize i = 0; i < chosen_n; i++) {
        isize k = 0;
        while (k < n
               && !(str_eq(list[k].dimension, chosen[i].dimension)
                    && str_eq_nocase(list[k].value, chosen[i].value)))
            k++;
        if (k == max) continue;
        list[k] = chosen[i];
        if (k == n) n++;
    }
    return n;
}

isize profile_affinities(const struct profile *p, const struct catalog *catalog, i64 now_ms,
                         arena *a, struct affinity **out)
{
    enum { MAX = AFFINITIES_MAX };
    struct likings likings = profile_likings(p, catalog, now_ms, a);
    struct affinity *list = arena_new(a, struct affinity, MAX);
    f64 all[DIMENSIONS] = { 0 };
    isize n = 0;
    for (isize i = likings.each_n - 1; i >= 0; i--) {
        const struct liking *l = &likings.each[i];
        for (int d = 0; d < DIMENSIONS; d++) {
            str value = item_value(l->item, d);
            if (value.len == 0) continue;
            all[d] += l->weight;
            isize k = 0;
            while (k < n
                   && !(str_eq(list[k].dimension, str_of(dimension_names[d]))
                        && str_eq(list[k].value, value)))
                k++;
            if (k == MAX) continue;
            if (k == n) list[n++] = (struct affinity){ str_of(dimension_names[d]), value, 0, false };
            list[k].score += l->weight;
        }
    }
    for (isize k = 0; k < n; k++) list[k].score /= all[dimension_of(list[k].dimension)];
    n = add_preferences(p, a, list, n, MAX);
    for (isize i = 1; i < n; i++)                       /* strongest first */
        for (isize j = i; j > 0 && stronger(&list[j], &list[j - 1]); j--) {
            struct affinity swap = list[j];
            list[j] = list[j - 1];
            list[j - 1] = swap;
        }
    *out = list;
    return n;
}

struct order_totals profile_orders(const struct profile *p, i64 now_ms)
{
    struct order_totals t = { 0 };
    for (isize i = 0; i < p->history_n; i++) {
        const struct history_entry *e = &p->history[i];
        if (e->at_ms > now_ms) break;
        if (e->type == EVENT_PRODUCT_PURCHASED) t.items += e->quantity;
        if (e->type != EVENT_ORDER_COMPLETED && e->type != EVENT_ORDER_REFUNDED) continue;
        isize k = 0;
        while (k < t.revenues_n && t.revenue[k].currency.v != e->currency) k++;
        if (k < countof(t.revenue)) {
            if (k == t.revenues_n) t.revenue[t.revenues_n++] = (struct money){ 0, { e->currency } };
            t.revenue[k].minor += e->value_minor;
        }
        if (e->type != EVENT_ORDER_COMPLETED) continue;
        if (t.orders++ == 0) t.first_at_ms = e->at_ms;
        t.last_at_ms = e->at_ms;
    }
    return t;
}

/* ---- what a rule asks ------------------------------------------------------------------------ */

static const struct profile *speaking(const struct profile_world *w)
{
    return w->impersonal ? NULL : w->profile;
}

static struct value ask_trait(const void *ctx, str name)
{
    const struct profile *p = speaking(ctx);
    return p ? trait_value(profile_trait(p, name)) : (struct value){ VALUE_UNKNOWN };
}

static enum tri ask_segment(const void *ctx, segment_id segment)
{
    const struct profile *p = speaking(ctx);
    if (!p) return TRI_FALSE;
    const struct membership *m = profile_membership(p, segment);
    return m && m->member ? TRI_TRUE : TRI_FALSE;
}

static struct value json_value(const struct json *v)
{
    if (json_is(v, JSON_STR)) return (struct value){ VALUE_TEXT, .s = v->s };
    if (json_is(v, JSON_BOOL)) return (struct value){ VALUE_BOOL, .b = v->b };
    if (json_is(v, JSON_INT) || json_is(v, JSON_NUM))
        return (struct value){ VALUE_NUMBER, .n = json_num(v, 0) };
    if (json_is(v, JSON_ARR)) return (struct value){ VALUE_LIST, .list = v };
    return (struct value){ VALUE_UNKNOWN };
}

static struct value ask_context(const void *ctx, str name)
{
    const struct profile_world *w = ctx;
    return json_value(json_get(w->context, name));
}

static struct value ask_affinity(const void *ctx, str dimension, str value, i64 now_ms)
{
    const struct profile_world *w = ctx;
    const struct profile *p = speaking(w);
    if (!p) return (struct value){ VALUE_UNKNOWN };
    f64 share = w->likings && w->likings->now_ms == now_ms
                    ? affinity_from(p, w->likings, w->catalog, dimension, value)
                    : profile_affinity(p, w->catalog, dimension, value, now_ms);
    return (struct value){ VALUE_NUMBER, .n = share };
}

static struct value ask_quiz(const void *ctx, str question)
{
    const struct profile *p = speaking(ctx);
    char name[300];
    if (!p || question.len > 250) return (struct value){ VALUE_UNKNOWN };
    memcpy(name, "quiz.", 5);
    memcpy(name + 5, question.ptr, (size_t)question.len);
    return trait_value(profile_trait(p, (str){ name, question.len + 5 }));
}

static struct value ask_predicted(const void *ctx, u8 score)
{
    const struct profile_world *w = ctx;
    const struct profile *p = speaking(w);
    if (!p) return (struct value){ VALUE_UNKNOWN };
    if (score == SCORE_INTENT) {
        f64 chance = w->intent ? w->intent(w->intent_model, p, w->now_ms) : -1;
        return chance < 0 ? (struct value){ VALUE_UNKNOWN } : (struct value){ VALUE_NUMBER, .n = chance };
    }
    const struct scores *s = p->scores;
    if (!s || !(s->known >> score & 1) || s->at_ms > w->now_ms) return (struct value){ VALUE_UNKNOWN };
    f64 value = (f64)s->value[score];
    if (!score_is_money(score)) return (struct value){ VALUE_NUMBER, .n = value };
    return (struct value){ VALUE_MONEY, .money = { (i64)value, { s->currency } } };
}

u32 uplift_campaign(str key) { return (u32)hash128(key, 12).lo; }

static struct value ask_uplift(const void *ctx, str campaign)
{
    const struct profile_world *w = ctx;
    const struct profile *p = speaking(w);
    const struct scores *s = p ? p->scores : NULL;
    for (isize i = 0; s && s->at_ms <= w->now_ms && i < s->uplifts_n; i++)
        if (s->uplifts[i].campaign == uplift_campaign(campaign))
            return (struct value){ VALUE_NUMBER, .n = (f64)s->uplifts[i].value };
    return (struct value){ VALUE_UNKNOWN };
}

static struct value ask_cart(const void *ctx, const struct history_entry *e)
{
    const struct profile *p = speaking(ctx);
    if (!p || history_cart(e) == 0 || e->node >= p->nodes_n) return (struct value){ VALUE_UNKNOWN };
    str key = profile_cart(p, p->nodes[e->node], history_cart(e), e->at_ms);
    return key.len ? (struct value){ VALUE_TEXT, .s = key } : (struct value){ VALUE_UNKNOWN };
}

static struct value ask_item(const void *ctx, item_id id, str field, str key)
{
    const struct profile_world *w = ctx;
    const struct item *item = catalog_item(w->catalog, id);
    if (!item) return (struct value){ VALUE_UNKNOWN };
    struct item_field f = item_field(w->catalog, item, field, key, w->market, w->now_ms);
    if (f.is_money) return (struct value){ VALUE_MONEY, .money = f.money };
    switch (f.kind) {
    case FACT_BOOL: return (struct value){ VALUE_BOOL, .b = f.b };
    case FACT_NUMBER: return (struct value){ VALUE_NUMBER, .n = f.n };
    case FACT_TEXT: case FACT_JSON: return (struct value){ VALUE_TEXT, .s = f.text };
    case FACT_NULL: break;
    }
    return (struct value){ VALUE_UNKNOWN };
}

static bool ask_under(const void *ctx, item_id id, str category)
{
    const struct profile_world *w = ctx;
    const struct item *item = catalog_item(w->catalog, id);
    return item && item_under(w->catalog, item, category);
}

struct rule_facts profile_facts(const struct profile_world *w)
{
    const struct profile *p = speaking(w);
    return (struct rule_facts){
        .now_ms = w->now_ms,
        .zone = w->zone,
        .history = p ? p->history : NULL,
        .history_n = p ? p->history_n : 0,
        .ctx = w,
        .segment_ctx = w,
        .trait = ask_trait,
        .in_segment = ask_segment,
        .context = ask_context,
        .affinity = ask_affinity,
        .affinity_lasts =
            !p || p->history_n == 0 || p->history[p->history_n - 1].at_ms <= w->now_ms,
        .quiz = ask_quiz,
        .cart = ask_cart,
        .predicted = ask_predicted,
        .uplift = ask_uplift,
        .item = ask_item,
        .item_under = ask_under,
    };
}

/* ---- exposures ------------------------------------------------------------------------------- */

bool exposures_whole(const struct exposure *list, isize n, struct exposure *out)
{
    *out = list[0];
    bool one = !(list[0].flags & EXPOSURE_MIXED);
    for (isize i = 1; i < n; i++) {
        const struct exposure *x = &list[i];
        one &= x->experience == out->experience && x->variation == out->variation
               && !(x->flags & EXPOSURE_MIXED);
        out->views += x->views;
        out->clicks += x->clicks;
        if (x->first_at_ms >= out->first_at_ms) continue;
        out->first_at_ms = x->first_at_ms;
        out->orders = x->orders;
        out->revenue_minor = x->revenue_minor;
        out->currency = x->currency;
    }
    return one;
}
