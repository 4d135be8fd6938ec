/* SPDX-License-Identifier: Apache-2.0
 *
 * shoppers.c - people who come, look, choose and buy.
 *
 * A shopper has a hidden taste (gender, up to three categories, a colour, a brand, a price level),
 * a rhythm, one or two devices, perhaps an account, and a choice about consent. Nothing of the
 * taste is ever said to the shop; it shows only in what they do. A visit is a walk over pages:
 *
 *    home -> list -> product -> cart -> checkout -> thanks,   with ways back and a way out each time
 *
 * How much a product suits a shopper is a number from 0 to 1 (`suits`). Left to themselves they find
 * things by looking through a list: a few at random, weighted by how well liked they are, and of
 * these the one that suits best. A recommendation that suits better than that, or a banner of the
 * right category, is clicked more, and what suits is bought more: so showing the right thing pays,
 * in clicks and in orders, by as much as it is right. That is the whole effect there is to find.
 *
 * With null_effect the draws are the same in number and meaning whatever is shown: clicks happen at
 * a fixed rate and lead where the shopper was going anyway. Two runs that differ in what was shown
 * then differ in nothing but the reports of views and clicks, which have message ids of their own.
 *
 * Time is a heap of (instant, shopper): each entry is one page, or the start of the next visit.
 * Each shopper draws from their own random sequence, so one does not disturb another. */
#include "demo/demo.h"

#include "base/hash.h"
#include "demo/words.h"

enum {
    PER_KIND = 100,
    ITEMS_SHOWN_MAX = 16,
    OWNED_MAX = 24,
    BASKET_MAX = 4,
    PAGES_MAX = 24,
    DEVICES_MAX = 2
};
enum { AGE_SEED = 7 };
enum { EVENTS_A_VISIT = 8 };                            /* about, for demo_shoppers_hurry */

enum page {
    PAGE_AWAY,
    PAGE_HOME,
    PAGE_LIST,
    PAGE_SEARCH,
    PAGE_PRODUCT,
    PAGE_CART,
    PAGE_CHECKOUT,
    PAGE_THANKS,
    PAGE_STORE
};

struct piece { i32 product, variant; };

struct shopper {
    struct rng rng;
    i64 next_at_ms, rhythm_ms;
    u32 number, told, reported;                         /* message counters: events, and views and clicks */
    const char *gender, *brand;
    const struct demo_persona *persona;
    i32 kinds[3], colour;
    f64 price_level;                                    /* 0 the cheapest of a category .. 1 the dearest */
    bool has_account, says_yes, norwegian;
    i32 devices, store;
    bool logged_in[DEVICES_MAX];

    /* The visit under way. */
    enum page page;
    i32 device, pages, intent, product;                 /* intent is a kind; product -1: none */
    f64 inspired;                                       /* 1, up to 2 when what is shown is to their taste */
    bool assured;                                       /* the cart said that things may be sent back */
    struct piece basket[BASKET_MAX];
    i32 basket_n;

    i32 owned[OWNED_MAX], owned_n;                      /* a ring of what was bought last */
    i32 refill;                                         /* a consumable to buy again; -1: none */
    i64 refill_at_ms;
};

struct demo_shoppers {
    const struct demo_catalogue *catalogue;
    struct demo_shoppers_options options;
    struct shopper *people;
    i32 *heap;                                          /* shoppers, the next to act first */
    isize people_n;
    f64 hurry;                                          /* rhythm is divided by this */
    struct demo_totals totals;
    /* events waiting to be emitted, with commas between */
    struct buf batch;
    isize batch_n;
};

/* ---- the order of time -------------------------------------------------------------------- */

static bool comes_first(const struct demo_shoppers *s, i32 a, i32 b)
{
    i64 x = s->people[a].next_at_ms, y = s->people[b].next_at_ms;
    return x < y || (x == y && a < b);
}

static void settle(struct demo_shoppers *s, isize at)
{
    for (;;) {
        isize child = at * 2 + 1;
        if (child >= s->people_n) return;
        if (child + 1 < s->people_n && comes_first(s, s->heap[child + 1], s->heap[child])) child++;
        if (!comes_first(s, s->heap[child], s->heap[at])) return;
        i32 moved = s->heap[at];
        s->heap[at] = s->heap[child];
        s->heap[child] = moved;
        at = child;
    }
}

static void settle_all(struct demo_shoppers *s)
{
    for (isize at = s->people_n / 2 - 1; at >= 0; at--) settle(s, at);
}

/* ---- taste -------------------------------------------------------------------------------- */

static bool chance(struct rng *r, f64 p) { return rng_unit(r) < p; }
static f64 clamp(f64 v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

static bool is_other_gender(const struct shopper *p, i32 kind)
{
    str of = str_of(kinds[kind].gender);
    return !str_eq(of, S("unisex")) && !str_eq(of, str_of(p->gender));
}

/* People come for one thing most, and sometimes for another of theirs. */
static i32 weighted_kind(struct rng *r, const struct shopper *p)
{
    i32 total = 0;
    for (i32 k = 0; k < KINDS; k++) total += is_other_gender(p, k) ? 0 : kinds[k].weight;
    i32 at = (i32)rng_below(r, (u32)total);
    for (i32 k = 0; k < KINDS; k++) {
        if (is_other_gender(p, k)) continue;
        at -= kinds[k].weight;
        if (at < 0) return k;
    }
    return 0;
}

static bool owns(const struct shopper *p, i32 product)
{
    for (i32 i = 0; i < OWNED_MAX && i < p->owned_n; i++)
        if (p->owned[i] == product) return true;
    return false;
}

/* How much a product suits a shopper, 0 .. 1. What one has suits no more, unless it gets used up. */
static f64 suits(const struct demo_shoppers *s, const struct shopper *p, i32 product)
{
    const struct demo_product *item = &s->catalogue->products[product];
    const struct kind *k = &kinds[item->kind];
    if (item->repurchase_days == 0 && owns(p, product)) return 0;
    f64 much = item->kind == p->kinds[0]   ? 0.5
               : item->kind == p->kinds[1] ? 0.42
               : item->kind == p->kinds[2] ? 0.36
                                           : 0.04;
    if (is_other_gender(p, (i32)item->kind)) return 0.02;
    if (much > 0.1) {
        f64 span = (f64)(k->price_high - k->price_low),
            level = (f64)(item->money[DEMO_EUR].price_minor - k->price_low) / span;
        f64 off = level > p->price_level ? level - p->price_level : p->price_level - level;
        if (item->colour == p->colour) much += 0.14;
        if (str_eq(item->brand, str_of(p->brand))) much += 0.14;
        much += 0.22 * (1 - clamp(off * 1.6));
    }
    return clamp(much);
}

/* What someone comes upon in a list: a few, better liked ones more often, and of these the best. */
static i32 found_in_list(const struct demo_shoppers *s, struct shopper *p, i32 kind, i32 looks)
{
    i32 best = kind * PER_KIND;
    f64 best_suits = -1;
    for (i32 i = 0; i < looks; i++) {
        i32 a = kind * PER_KIND + (i32)rng_below(&p->rng, PER_KIND),
            b = kind * PER_KIND + (i32)rng_below(&p->rng, PER_KIND);
        const struct demo_product *all = s->catalogue->products;
        i32 seen = all[a].appeal > all[b].appeal ? a : b;
        f64 much = suits(s, p, seen) + 0.1 * rng_unit(&p->rng);
        if (much > best_suits) {
            best = seen;
            best_suits = much;
        }
    }
    return best;
}

/* ---- making people ------------------------------------------------------------------------ */

static const char *brand_of_kind(struct rng *r, i32 kind) { return kinds[kind].brands[rng_below(r, 4)]; }

static i32 colour_of_kind(struct rng *r, i32 kind)
{
    str list[KIND_COLOURS_MAX], rest = str_of(kinds[kind].colours);
    isize n = 0;
    while (rest.len > 0 && n < KIND_COLOURS_MAX) {
        struct str_cut cut = str_cut(rest, ' ');
        list[n++] = cut.head;
        rest = cut.tail;
    }
    str key = list[rng_below(r, (u32)n)];
    for (i32 c = 0; c < (i32)colours_n; c++)
        if (str_eq(str_of(colours[c].key), key)) return c;
    return 0;
}

static void become(struct shopper *p, const struct demo_persona *persona)
{
    p->persona = persona;
    p->gender = persona->gender;
    p->brand = persona->brand;
    for (i32 i = 0; i < 3; i++) p->kinds[i] = (i32)persona->kinds[i];
    for (i32 c = 0; c < (i32)colours_n; c++)
        if (str_eq(str_of(colours[c].key), str_of(persona->colour))) p->colour = c;
    p->has_account = p->says_yes = true;
    p->rhythm_ms = 2 * DAY_MS;
}

static void make_person(struct demo_shoppers *s, u32 number)
{
    struct shopper *p = &s->people[number];
    struct rng *r = &p->rng;
    *r = rng_seed(s->options.seed * 1000003 + number + 1);
    p->number = number;
    p->gender = chance(r, 0.55) ? "female" : "male";
    p->kinds[0] = weighted_kind(r, p);
    p->kinds[1] = chance(r, 0.75) ? weighted_kind(r, p) : -1;
    p->kinds[2] = chance(r, 0.45) ? weighted_kind(r, p) : -1;
    p->colour = colour_of_kind(r, p->kinds[0]);
    p->brand = brand_of_kind(r, p->kinds[0]);
    f64 level = rng_unit(r);
    p->price_level = level * level;
    p->has_account = chance(r, 0.55);
    p->says_yes = chance(r, 0.9);
    p->norwegian = chance(r, 0.6);
    p->devices = chance(r, 0.3) ? 2 : 1;
    p->store = (i32)rng_below(r, DEMO_PLACES - 1) + DEMO_OSLO;
    f64 often = rng_unit(r);
    p->rhythm_ms = (i64)((1.2 + 12.0 * often * often) * (f64)DAY_MS);
    p->refill = -1;
    if (number < DEMO_PERSONAS) become(p, &demo_personas[number]);
    p->next_at_ms = s->options.start_at_ms + (i64)(rng_unit(r) * 1.5 * (f64)p->rhythm_ms);
}

struct demo_shoppers *demo_shoppers_new(arena *perm, const struct demo_catalogue *catalogue,
                                        struct demo_shoppers_options options)
{
    assert(options.people > 0);
    assert(catalogue->products_n == KINDS * PER_KIND);
    struct demo_shoppers *s = arena_new(perm, struct demo_shoppers, 1);
    s->catalogue = catalogue;
    s->options = options;
    s->people = arena_new(perm, struct shopper, options.people);
    s->heap = arena_new(perm, i32, options.people);
    s->people_n = options.people;
    s->hurry = 1;
    s->batch.arena = perm;
    for (isize i = 0; i < options.people; i++) {
        make_person(s, (u32)i);
        s->heap[i] = (i32)i;
    }
    settle_all(s);
    return s;
}

struct demo_totals demo_shoppers_totals(const struct demo_shoppers *s) { return s->totals; }

void demo_shoppers_hurry(struct demo_shoppers *s, i64 now_ms, f64 events_per_second)
{
    assert(events_per_second > 0);
    f64 visits_a_ms = 0;
    for (isize i = 0; i < s->people_n; i++) visits_a_ms += 1.0 / (f64)s->people[i].rhythm_ms;
    s->hurry = events_per_second / (EVENTS_A_VISIT * visits_a_ms * 1000.0);
    for (isize i = 0; i < s->people_n; i++) {
        struct shopper *p = &s->people[i];
        if (p->page == PAGE_AWAY)
            p->next_at_ms = now_ms + (i64)(rng_unit(&p->rng) * (f64)p->rhythm_ms / s->hurry);
    }
    settle_all(s);
}

/* ---- events ------------------------------------------------------------------------------- */

struct moment {
    struct demo_shoppers *s;
    struct shopper *p;
    i64 at_ms;
    arena *scratch;
    struct buf events;
    isize n;
};

static str user_id(const struct shopper *p, arena *scratch)
{
    return p->persona ? str_of(p->persona->user_id) : arena_printf(scratch, "shopper-%u", p->number + 1);
}

static str anonymous_id(const struct demo_shoppers *s, const struct shopper *p, arena *scratch)
{
    u64 seed = s->options.seed;
    u64 a = hash64((str){ (const char *)&p->number, sizeof p->number }, seed + (u64)p->device);
    return arena_printf(scratch, "anon-%016" PRIx64, a);
}

static const char *first_name(const struct shopper *p)
{
    if (p->persona) return p->persona->first_name;
    bool woman = str_eq(str_of(p->gender), S("female"));
    return (woman ? names_woman : names_man)[p->number % NAMES];
}

static void write_consent(struct jsonw *w, bool yes)
{
    jsonw_key_begin(w, "consent", '{');
    jsonw_key_begin(w, "categoryPreferences", '{');
    jsonw_key_bool(w, "analytics", yes);
    jsonw_key_bool(w, "personalisation", yes);
    jsonw_key_bool(w, "model_training", yes);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static str market_of(const struct shopper *p) { return p->norwegian ? S("no") : S("eu"); }
static str locale_of(const struct shopper *p) { return p->norwegian ? S("nb-NO") : S("en"); }
static str device_of(const struct shopper *p)
{
    return (p->number + (u32)p->device) % 2 ? S("mobile") : S("desktop");
}

static str path_of(const struct moment *m, enum page page)
{
    const struct shopper *p = m->p;
    switch (page) {
    case PAGE_LIST: return arena_printf(m->scratch, "/shop/c/%s", kinds[p->intent].slug);
    case PAGE_SEARCH: return S("/shop/search");
    case PAGE_PRODUCT: return m->s->catalogue->products[p->product].url;
    case PAGE_CART: return S("/shop/cart");
    case PAGE_CHECKOUT: return S("/shop/checkout");
    case PAGE_THANKS: return S("/shop/thanks");
    case PAGE_HOME: case PAGE_STORE: case PAGE_AWAY: return S("/shop/");
    }
    return S("/shop/");
}

/* Everything of an event but its properties, which the caller adds: the object is left open at
 * "properties": {. `reported` events have ids of their own, see the head of this file. */
static struct jsonw event_begin(struct moment *m, const char *type, const char *name, bool reported)
{
    struct shopper *p = m->p;
    if (m->n++) buf_byte(&m->events, ',');
    struct jsonw w = { .out = &m->events };
    bool known = p->has_account && (p->logged_in[p->device] || p->page == PAGE_STORE);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "messageId",
                  reported ? arena_printf(m->scratch, "demo-%" PRIx64 "-%u-r%u", m->s->options.seed,
                                          p->number, p->reported++)
                           : arena_printf(m->scratch, "demo-%" PRIx64 "-%u-%u", m->s->options.seed,
                                          p->number, p->told++));
    jsonw_key_str(&w, "type", str_of(type));
    if (name) jsonw_key_str(&w, "event", str_of(name));
    if (p->page != PAGE_STORE) jsonw_key_str(&w, "anonymousId", anonymous_id(m->s, p, m->scratch));
    if (known) jsonw_key_str(&w, "userId", user_id(p, m->scratch));
    jsonw_key_time(&w, "timestamp", m->at_ms);
    jsonw_key_str(&w, "channel", p->page == PAGE_STORE ? S("pos") : S("web"));
    jsonw_key_begin(&w, "context", '{');
    if (p->page == PAGE_STORE) {
        jsonw_key_str(&w, "store", str_of(demo_place_keys[p->store]));
    } else {
        jsonw_key_begin(&w, "page", '{');
        jsonw_key_str(&w, "url", path_of(m, p->page));
        jsonw_end(&w, '}');
        jsonw_key_begin(&w, "device", '{');
        jsonw_key_str(&w, "type", device_of(p));
        jsonw_end(&w, '}');
    }
    jsonw_key_str(&w, "locale", locale_of(p));
    jsonw_key_str(&w, "market", market_of(p));
    write_consent(&w, p->says_yes);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, str_eq(str_of(type), S("identify")) ? "traits" : "properties", '{');
    m->s->totals.events++;
    return w;
}

static void event_end(struct jsonw *w)
{
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static const struct demo_money *money_of(const struct moment *m, struct piece piece)
{
    const struct demo_product *item = &m->s->catalogue->products[piece.product];
    const struct demo_money *money = piece.variant >= 0 ? item->variants[piece.variant].money : item->money;
    return &money[m->p->norwegian ? DEMO_NOK : DEMO_EUR];
}

static void write_piece(struct moment *m, struct jsonw *w, struct piece piece)
{
    const struct demo_product *item = &m->s->catalogue->products[piece.product];
    const struct kind *k = &kinds[item->kind];
    jsonw_key_str(w, "product_id", item->key);
    if (piece.variant >= 0) jsonw_key_str(w, "sku", item->variants[piece.variant].key);
    jsonw_key_str(w, "name", item->title[DEMO_EN]);
    jsonw_key_str(w, "brand", item->brand);
    jsonw_key_str(
        w, "category",
        arena_printf(m->scratch, "%s > %s", k->path[0].in[DEMO_EN], k->path[1].in[DEMO_EN]));
    jsonw_key_num(w, "price", (f64)money_of(m, piece)->price_minor / 100);
    jsonw_key_str(w, "currency", m->p->norwegian ? S("NOK") : S("EUR"));
    jsonw_key_int(w, "quantity", 1);
}

static void say_product(struct moment *m, const char *name, struct piece piece)
{
    struct jsonw w = event_begin(m, "track", name, false);
    write_piece(m, &w, piece);
    event_end(&w);
}

static void say_text(struct moment *m, const char *name, const char *property, str value)
{
    struct jsonw w = event_begin(m, "track", name, false);
    jsonw_key_str(&w, property, value);
    event_end(&w);
}

/* What people look for in vain. */
static const struct phrase not_sold[] = {
    { { "umbrella", "paraply" } }, { { "gift card", "gavekort" } }, { { "sunglasses", "solbriller" } }, { { "toaster", "brødrister" } },
    { { "ski goggles", "skibriller" } },
};
enum { IN_VAIN_EVERY = 29, READS_EVERY = 11 };

/* A kind and style by its name, and how many the shop has of them; now and then something it does
 * not sell. Which is told by the clock, so that the shopper's own chances stay what they are. */
static void say_search(struct moment *m, u32 style)
{
    const struct shopper *p = m->p;
    const struct demo_catalogue *c = m->s->catalogue;
    i64 second = m->at_ms / 1000;
    bool in_vain = second % IN_VAIN_EVERY == 0;
    const struct phrase *words = in_vain ? &not_sold[second / IN_VAIN_EVERY % countof(not_sold)] : NULL;
    i64 found = 0;
    for (isize i = 0; i < c->products_n && !in_vain; i++)
        found += c->products[i].kind == p->intent && c->products[i].style == (isize)style;
    struct jsonw w = event_begin(m, "track", "Products Searched", false);
    jsonw_key_str(
        &w, "query",
        str_of(words ? words->in[p->norwegian] : kinds[p->intent].styles[style].in[p->norwegian]));
    jsonw_key_int(&w, "results", found);
    event_end(&w);
}

/* Some of those who look through a list read the guide beside it first. Told by the clock, too. */
static void say_guide(struct moment *m)
{
    i64 second = m->at_ms / 1000;
    isize first = second / READS_EVERY % CONTENTS;
    if (second % READS_EVERY) return;
    for (isize i = 0; i < CONTENTS; i++) {
        isize at = (first + i) % CONTENTS;
        if (articles[at].kind != m->p->intent) continue;
        say_text(m, "Content Viewed", "content_id", arena_printf(m->scratch, "a-%td", at + 1));
        return;
    }
}

static void say_page(struct moment *m)
{
    struct jsonw w = event_begin(m, "page", NULL, false);
    jsonw_key_str(&w, "url", path_of(m, m->p->page));
    event_end(&w);
    m->s->totals.pages++;
}

static void log_in(struct moment *m)
{
    struct shopper *p = m->p;
    if (!p->has_account || p->logged_in[p->device]) return;
    p->logged_in[p->device] = true;
    struct jsonw w = event_begin(m, "identify", NULL, false);
    str id = user_id(p, m->scratch);
    jsonw_key_str(&w, "email",
                  p->persona ? str_of(p->persona->email)
                             : arena_printf(m->scratch, "%.*s@example.com", STR_FMT(id)));
    jsonw_key_str(&w, "first_name", str_of(first_name(p)));
    jsonw_key_str(&w, "gender", str_of(p->gender));
    u64 years = hash64(id, AGE_SEED);                   /* 18 to 76, most about 47 */
    jsonw_key_int(&w, "age", (i64)(18 + years % 30 + (years >> 32) % 30));
    jsonw_key_str(&w, "store", str_of(demo_place_keys[p->store]));
    event_end(&w);
}

static void remember_bought(struct moment *m, i32 product)
{
    struct shopper *p = m->p;
    const struct demo_product *item = &m->s->catalogue->products[product];
    p->owned[p->owned_n++ % OWNED_MAX] = product;
    if (item->repurchase_days) {
        p->refill = product;
        p->refill_at_ms =
            m->at_ms
            + (i64)((0.8 + 0.4 * rng_unit(&p->rng)) * (f64)item->repurchase_days * (f64)DAY_MS);
    }
}

static void say_order(struct moment *m)
{
    struct shopper *p = m->p;
    i64 total = 0, eur = 0;
    for (i32 i = 0; i < p->basket_n; i++) {
        const struct demo_product *item = &m->s->catalogue->products[p->basket[i].product];
        total += money_of(m, p->basket[i])->price_minor;
        eur += item->variants[p->basket[i].variant].money[DEMO_EUR].price_minor;
    }
    str order = arena_printf(m->scratch, "%s-%u-%u", p->page == PAGE_STORE ? "T" : "W",
                             p->number + 1, p->told);
    struct jsonw w = event_begin(m, "track", "Order Completed", false);
    jsonw_key_str(&w, "order_id", order);
    jsonw_key_num(&w, "total", (f64)total / 100);
    jsonw_key_num(&w, "revenue", (f64)total / 100);
    jsonw_key_str(&w, "currency", p->norwegian ? S("NOK") : S("EUR"));
    jsonw_key_begin(&w, "products", '[');
    for (i32 i = 0; i < p->basket_n; i++) {
        jsonw_begin(&w, '{');
        write_piece(m, &w, p->basket[i]);
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, ']');
    event_end(&w);
    m->s->totals.orders++;
    m->s->totals.store_orders += p->page == PAGE_STORE;
    m->s->totals.revenue_minor += eur;
    for (i32 i = 0; i < p->basket_n; i++) remember_bought(m, p->basket[i].product);
    p->basket_n = 0;
}

/* ---- being shown something ---------------------------------------------------------------- */

struct shown_items { i32 products[ITEMS_SHOWN_MAX]; str tickets[ITEMS_SHOWN_MAX]; isize n; str ticket; };
struct shown {
    struct shown_items row;
    str banner_ticket, way_out_ticket;
    i32 banner_kind;
    bool has_banner, promised;
};

static const char *const row_placements[] = {
    [PAGE_HOME] = "home_recs", [PAGE_PRODUCT] = "product_recs", [PAGE_CART] = "cart_recs"
};

static const char *row_placement(enum page page)
{
    return page < countof(row_placements) ? row_placements[page] : NULL;
}

static str decide_request(struct moment *m)
{
    struct shopper *p = m->p;
    struct buf out = { .arena = m->scratch };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    if (p->says_yes) {
        jsonw_key_begin(&w, "person", '{');
        jsonw_key_str(&w, "anonymous_id", anonymous_id(m->s, p, m->scratch));
        if (p->logged_in[p->device]) jsonw_key_str(&w, "user_id", user_id(p, m->scratch));
        jsonw_end(&w, '}');
    }
    jsonw_key_begin(&w, "placements", '[');
    if (p->page == PAGE_HOME) jsonw_str(&w, S("home_hero"));
    jsonw_str(&w, str_of(row_placement(p->page)));
    jsonw_end(&w, ']');
    jsonw_key_begin(&w, "context", '{');
    jsonw_key_str(&w, "url", path_of(m, p->page));
    jsonw_key_str(&w, "market", market_of(p));
    jsonw_key_str(&w, "locale", locale_of(p));
    jsonw_key_str(&w, "channel", S("web"));
    jsonw_key_str(&w, "device", device_of(p));
    jsonw_key_time(&w, "now", m->at_ms);
    if (p->page == PAGE_PRODUCT) jsonw_key_str(&w, "product", m->s->catalogue->products[p->product].key);
    jsonw_key_begin(&w, "cart", '[');
    for (i32 i = 0; i < p->basket_n; i++) jsonw_str(&w, m->s->catalogue->products[p->basket[i].product].key);
    jsonw_end(&w, ']');
    write_consent(&w, p->says_yes);
    jsonw_end(&w, '}');
    jsonw_key(&w, S("events"));
    jsonw_raw(&w, arena_printf(m->scratch, "[%.*s]", STR_FMT(buf_str(&m->events))));
    jsonw_key_int(&w, "limit", 8);
    if (p->page == PAGE_CART) {
        jsonw_key_begin(&w, "flags", '[');
        jsonw_str(&w, S(DEMO_FLAG_WAY_OUT));
        jsonw_end(&w, ']');
    }
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static bool has_word(str text, str word)
{
    for (isize at = 0; at + word.len <= text.len; at++)
        if (str_eq_nocase(str_slice(text, at, at + word.len), word)) return true;
    return false;
}

/* Which category a banner is about: its link says it, else its headline may. -1: none of them. */
static i32 banner_kind(const struct shopper *p, str link, str headline)
{
    isize at = str_find(link, S("/shop/c/"));
    str slug = at < 0 ? S("") : str_cut(str_from(link, at + 8), '?').head;
    i32 parent = -1;
    for (i32 k = 0; k < KINDS; k++) {
        if (str_eq(slug, str_of(kinds[k].slug))) return k;
        bool mine = k == p->kinds[0] || k == p->kinds[1] || k == p->kinds[2];
        if (str_eq(slug, str_of(kinds[k].parent_slug)) && (parent < 0 || mine)) parent = k;
    }
    if (parent >= 0) return parent;
    for (i32 k = 0; k < KINDS; k++)
        if (!is_other_gender(p, k) && has_word(headline, str_of(kinds[k].path[1].in[p->norwegian]))) return k;
    return -1;
}

static void read_shown(struct moment *m, str answer, struct shown *shown)
{
    const struct json *root, *row, *banner;
    if (json_parse(m->scratch, answer, &root, NULL)) return;
    const struct json *decisions = json_get(root, S("decisions"));
    banner = json_get(decisions, S("home_hero"));
    row = json_get(decisions, str_of(row_placement(m->p->page)));
    const struct json *content = json_get(banner, S("content"));
    shown->banner_ticket = json_str(json_get(banner, S("ticket")), S(""));
    shown->has_banner = json_is(content, JSON_OBJ);
    shown->banner_kind = banner_kind(m->p, json_str(json_get(content, S("link")), S("")),
                                     json_str(json_get(content, S("headline")), S("")));
    shown->way_out_ticket = json_str(json_path(root, "flags." DEMO_FLAG_WAY_OUT ".ticket"), S(""));
    shown->promised =
        str_eq(json_str(json_path(root, "flags." DEMO_FLAG_WAY_OUT ".value.promise"), S("")),
               S("returns"));
    shown->row.ticket = json_str(json_get(row, S("ticket")), S(""));
    json_each(item, json_get(row, S("items"))) {
        const struct demo_product *product =
            demo_product_by_key(m->s->catalogue, json_str(json_get(item, S("product_key")), S("")));
        if (!product || shown->row.n == ITEMS_SHOWN_MAX) continue;
        shown->row.tickets[shown->row.n] = json_str(json_get(item, S("ticket")), shown->row.ticket);
        shown->row.products[shown->row.n++] = (i32)(product - m->s->catalogue->products);
    }
}

static void report(struct moment *m, const char *name, str ticket, i32 product)
{
    if (!ticket.len || !m->p->says_yes) return;
    struct jsonw w = event_begin(m, "track", name, true);
    jsonw_key_str(&w, "ticket", ticket);
    if (product >= 0) jsonw_key_str(&w, "product_id", m->s->catalogue->products[product].key);
    event_end(&w);
    m->s->totals.views += str_eq(str_of(name), S("Decision Viewed"));
    m->s->totals.clicks += str_eq(str_of(name), S("Decision Clicked"));
}

/* A first few things that suit make people stay in the mood to buy: 0 .. 0.25. */
static f64 feels_known(const struct moment *m, const struct shown_items *row)
{
    f64 sum = 0;
    isize n = min_isize(row->n, 4);
    for (isize i = 0; i < n; i++) sum += suits(m->s, m->p, row->products[i]);
    return n && m->p->inspired < 2 ? 0.25 * sum / (f64)n : 0;
}

/* What the shopper does about what they see: where a click leads, or PAGE_AWAY when there was none.
 * Five draws whatever is shown, then one an item; with null_effect the five alone. */
static enum page react(struct moment *m, const struct shown *shown)
{
    struct shopper *p = m->p;
    f64 sees_banner = rng_unit(&p->rng), clicks_banner = rng_unit(&p->rng),
        sees_row = rng_unit(&p->rng), clicks_row = rng_unit(&p->rng), where = rng_unit(&p->rng);
    bool null_effect = m->s->options.null_effect, at_home = p->page == PAGE_HOME;
    enum page next = PAGE_AWAY;
    if (at_home && sees_banner < 0.95) {
        report(m, "Decision Viewed", shown->banner_ticket, -1);
        bool mine = shown->has_banner && shown->banner_kind >= 0
                    && (shown->banner_kind == p->kinds[0] || shown->banner_kind == p->kinds[1]
                        || shown->banner_kind == p->kinds[2]);
        if (clicks_banner < (null_effect ? 0.06 : mine ? 0.24 : 0.03)) {
            report(m, "Decision Clicked", shown->banner_ticket, -1);
            if (!null_effect && shown->has_banner && shown->banner_kind >= 0) {
                p->intent = shown->banner_kind;
                next = PAGE_LIST;
            }
        }
        if (!null_effect && mine) p->inspired = 1.4;
    }
    report(m, "Decision Viewed", shown->way_out_ticket, -1);
    p->assured = !null_effect && shown->promised;
    if (sees_row >= 0.8) return next;
    report(m, "Decision Viewed", shown->row.ticket, -1);
    /* the shop's own row: the tag reports clicks on that too */
    if (shown->row.n == 0) {
        if (clicks_row < (null_effect ? 0.12 : 0.04)) report(m, "Decision Clicked", shown->row.ticket, -1);
        return next;
    }
    if (null_effect) {
        isize at = (isize)(where * (f64)shown->row.n);
        if (clicks_row < 0.12) report(m, "Decision Clicked", shown->row.tickets[at], shown->row.products[at]);
        return PAGE_AWAY;
    }
    p->inspired += feels_known(m, &shown->row);
    f64 looks = 1;
    for (isize i = 0; i < shown->row.n && next == PAGE_AWAY; i++, looks *= 0.86) {
        f64 much = suits(m->s, p, shown->row.products[i]);
        if (!chance(&p->rng, looks * (0.004 + 0.24 * much * much * much))) continue;
        report(m, "Decision Clicked", shown->row.tickets[i], shown->row.products[i]);
        p->product = shown->row.products[i];
        p->intent = p->product / PER_KIND;
        next = PAGE_PRODUCT;
    }
    return next;
}

/* ---- one page ----------------------------------------------------------------------------- */

static void emit_waiting(struct demo_shoppers *s, const struct demo_sinks *sinks, i64 at_ms, arena *scratch)
{
    if (s->batch_n == 0) return;
    struct buf out = { .arena = scratch };
    buf_reserve(&out, s->batch.len + 64);
    buf_add(&out, S("{\"batch\":["));
    buf_add(&out, buf_str(&s->batch));
    buf_add(&out, S("]}"));
    sinks->emit(sinks->ctx, buf_str(&out), at_ms);
    s->batch.len = 0;
    s->batch_n = 0;
}

static void wait_to_emit(struct moment *m)
{
    if (m->n == 0) return;
    if (m->s->batch_n) buf_byte(&m->s->batch, ',');
    buf_add(&m->s->batch, buf_str(&m->events));
    m->s->batch_n += m->n;
    m->events.len = 0;
    m->n = 0;
}

static struct piece choose_variant(struct shopper *p, const struct demo_shoppers *s, i32 product)
{
    const struct demo_product *item = &s->catalogue->products[product];
    isize first = (isize)rng_below(&p->rng, (u32)item->variants_n);
    for (isize i = 0; i < item->variants_n; i++) {
        isize at = (first + i) % item->variants_n;
        if (item->variants[at].stock[DEMO_WEB] > 0) return (struct piece){ product, (i32)at };
    }
    return (struct piece){ product, -1 };
}

/* Where the shopper goes when nothing shown tempts them. */
static enum page go_on(struct moment *m)
{
    struct shopper *p = m->p;
    f64 u = rng_unit(&p->rng);
    switch (p->page) {
    case PAGE_HOME: return u < 0.5 ? PAGE_LIST : u < 0.68 ? PAGE_SEARCH : PAGE_AWAY;
    case PAGE_LIST: case PAGE_SEARCH:
        p->product = found_in_list(m->s, p, p->intent, 2);
        return u < 0.74 ? PAGE_PRODUCT : u < 0.8 ? PAGE_HOME : PAGE_AWAY;
    case PAGE_PRODUCT: {
        f64 much = suits(m->s, p, p->product), buys = (0.006 + 0.2 * much * much * much) * p->inspired;
        if (p->refill == p->product) buys = 0.8;
        bool there = m->s->catalogue->products[p->product].stock[DEMO_WEB] > 0;
        if (there && p->basket_n < BASKET_MAX && u < buys) return PAGE_CART;
        u = rng_unit(&p->rng);
        if (u < 0.42) p->product = found_in_list(m->s, p, p->intent, 2);
        return u < 0.42                 ? PAGE_PRODUCT
               : u < 0.52               ? PAGE_HOME
               : u < 0.6                ? PAGE_LIST
               : p->basket_n && u < 0.7 ? PAGE_CHECKOUT
                                        : PAGE_AWAY;
    }
    case PAGE_CART:
        if (p->basket_n == 0) return u < 0.5 ? PAGE_LIST : PAGE_AWAY;
        return u < (p->assured ? 0.66 : 0.58) ? PAGE_CHECKOUT
               : u < 0.72                     ? PAGE_LIST
               : u < 0.78                     ? PAGE_HOME
                                              : PAGE_AWAY;
    case PAGE_CHECKOUT: return u < 0.82 ? PAGE_THANKS : PAGE_AWAY;
    case PAGE_THANKS: case PAGE_STORE: case PAGE_AWAY: return PAGE_AWAY;
    }
    return PAGE_AWAY;
}

static void begin_visit(struct moment *m)
{
    struct shopper *p = m->p;
    struct rng *r = &p->rng;
    m->s->totals.visits++;
    p->pages = 0;
    p->basket_n = 0;
    p->inspired = 1;
    p->product = -1;
    p->device = p->devices == 2 && chance(r, 0.4);
    f64 why = rng_unit(r);
    p->intent = why < 0.5 || p->kinds[1] < 0    ? p->kinds[0]
                : why < 0.75 || p->kinds[2] < 0 ? p->kinds[1]
                                                : p->kinds[2];
    if (chance(r, 0.1)) p->intent = (i32)rng_below(r, KINDS);
    f64 start = rng_unit(r);
    p->page = start < 0.62 ? PAGE_HOME : start < 0.8 ? PAGE_LIST : PAGE_SEARCH;
    if (p->refill >= 0 && m->at_ms >= p->refill_at_ms) {
        p->intent = p->refill / PER_KIND;
        p->product = p->refill;
        p->page = PAGE_PRODUCT;
    } else if (p->has_account && chance(r, 0.03)) {
        p->page = PAGE_STORE;
    }
    if (p->page != PAGE_STORE && chance(r, 0.3)) log_in(m);
}

/* What is said on arriving at a page. */
static void arrive(struct moment *m)
{
    struct shopper *p = m->p;
    switch (p->page) {
    case PAGE_STORE: {
        struct piece piece = { found_in_list(m->s, p, p->intent, 6), 0 };
        p->basket[0] = piece;
        p->basket_n = 1;
        say_order(m);
        return;
    }
    case PAGE_HOME: say_page(m); return;
    case PAGE_LIST:
        say_page(m);
        say_text(m, "Product List Viewed", "category",
                 arena_printf(m->scratch, "%s > %s", kinds[p->intent].path[0].in[0],
                              kinds[p->intent].path[1].in[0]));
        say_guide(m);
        return;
    case PAGE_SEARCH: {
        u32 style = rng_below(&p->rng, STYLES_MAX);
        say_page(m);
        say_search(m, style);
        return;
    }
    case PAGE_PRODUCT:
        say_page(m);
        say_product(m, "Product Viewed", (struct piece){ p->product, -1 });
        return;
    case PAGE_CART: {
        struct piece piece = choose_variant(p, m->s, p->product);
        if (piece.variant >= 0) {
            p->basket[p->basket_n++] = piece;
            m->s->totals.adds++;
            if (p->refill == p->product) p->refill = -1;
            say_product(m, "Product Added", piece);
        }
        say_page(m);
        return;
    }
    case PAGE_CHECKOUT:
        say_page(m);
        if (p->has_account && chance(&p->rng, 0.75)) log_in(m);
        say_text(m, "Checkout Started", "currency", p->norwegian ? S("NOK") : S("EUR"));
        return;
    case PAGE_THANKS:
        say_page(m);
        if (p->basket_n) say_order(m);
        return;
    case PAGE_AWAY: return;
    }
}

/* The hours of the night are left out, except when somebody watches and time is short. */
static void go_away(struct demo_shoppers *s, struct shopper *p, i64 at_ms)
{
    f64 gap = (0.3 + 1.4 * rng_unit(&p->rng)) * (f64)p->rhythm_ms / s->hurry;
    p->page = PAGE_AWAY;
    p->next_at_ms = at_ms + max_i64((i64)gap, MINUTE_MS);
    if (s->hurry > 1) return;
    struct civil c = time_civil(p->next_at_ms, 60);
    if (c.hour < 6) p->next_at_ms += 7 * HOUR_MS + (i64)rng_below(&p->rng, 8) * HOUR_MS;
}

static void act(struct demo_shoppers *s, struct shopper *p, const struct demo_sinks *sinks, arena *scratch)
{
    struct moment m = { .s = s, .p = p, .at_ms = p->next_at_ms, .scratch = scratch, .events.arena = scratch };
    struct shown shown = { .banner_kind = -1 };
    if (p->page == PAGE_AWAY) begin_visit(&m);
    arrive(&m);
    p->pages++;
    enum page next = PAGE_AWAY;
    if (row_placement(p->page)) {
        str answer;
        if (sinks->decide) {
            s->totals.decisions++;
            if (sinks->decide(sinks->ctx, decide_request(&m), m.at_ms, scratch, &answer)) {
                m.events.len = 0;
                m.n = 0;
                read_shown(&m, answer, &shown);
            }
        }
        next = react(&m, &shown);
    }
    wait_to_emit(&m);
    if (s->batch_n >= sinks->batch_events || sinks->decide) emit_waiting(s, sinks, m.at_ms, scratch);
    if (next == PAGE_AWAY) next = go_on(&m);
    if (next == PAGE_AWAY || p->pages >= PAGES_MAX) {
        go_away(s, p, m.at_ms);
    } else {
        p->page = next;
        p->next_at_ms = m.at_ms + (i64)(6 + rng_below(&p->rng, 60)) * SECOND_MS;
    }
}

void demo_shoppers_run(struct demo_shoppers *s, i64 until_ms, const struct demo_sinks *sinks, arena *scratch)
{
    assert(sinks->emit);
    while (s->people[s->heap[0]].next_at_ms <= until_ms) {
        struct arena_mark mark = arena_mark(scratch);
        act(s, &s->people[s->heap[0]], sinks, scratch);
        settle(s, 0);
        arena_reset(scratch, mark);
    }
    struct arena_mark mark = arena_mark(scratch);
    emit_waiting(s, sinks, until_ms, scratch);
    arena_reset(scratch, mark);
}
