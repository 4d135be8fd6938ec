/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c - the pages of Fjord & Fern.
 *
 * Each page is whole without the tag: a placement holds what the shop shows everyone, in the very
 * markup (opmaat-row, opmaat-card, opmaat-banner) and the very box that a decision will fill. So
 * nothing moves when one arrives, and nothing is missing when none does. */
#include "demo/page.h"

enum { PAGE_ITEMS = 24, ROW_ITEMS = 8 };
static const char *const place_names[DEMO_PLACES][2] = { { "Web shop", "Nettbutikk" }, { "Oslo", "Oslo" }, { "Bergen", "Bergen" }, { "Trondheim", "Trondheim" } };

/* ---- pieces ------------------------------------------------------------------------------- */

str view_money(const struct view *v, i64 minor)
{
    if (v->currency == DEMO_NOK) {
        i64 kroner = minor / 100;
        if (kroner >= 1000)
            return arena_printf(v->scratch, "%" PRId64 "\u00a0%03" PRId64 " kr", kroner / 1000, kroner % 1000);
        return arena_printf(v->scratch, "%" PRId64 " kr", kroner);
    }
    return arena_printf(v->scratch, "\u20ac%" PRId64 ".%02" PRId64, minor / 100, minor % 100);
}

static void add_price(struct view *v, const struct demo_money *m)
{
    html(&v->out, "{}", view_money(v, m->price_minor));
    if (m->list_minor) html(&v->out, " <s>{}</s>", view_money(v, m->list_minor));
}

/* Price and currency as the tag reports them. */
static str decimal_price(const struct view *v, const struct demo_money *m)
{
    return arena_printf(v->scratch, "%" PRId64 ".%02" PRId64, m->price_minor / 100, m->price_minor % 100);
}

static str currency_code(const struct view *v) { return v->currency == DEMO_NOK ? S("NOK") : S("EUR"); }

static str category_text(const struct view *v, const struct demo_product *p)
{
    const struct kind *k = &kinds[p->kind];
    return arena_printf(v->scratch, "%s > %s", k->path[0].in[DEMO_EN], k->path[1].in[DEMO_EN]);
}

void page_card(struct view *v, const struct demo_product *p, const char *loading)
{
    html(&v->out, "<li class=\"opmaat-card\"><a href=\"{}\" data-opmaat-product=\"{}\">"
        "<img src=\"{}\" alt=\"\" width=\"360\" height=\"480\" loading=\"{}\">"
        "<span class=\"opmaat-title\">{}</span><span class=\"opmaat-price\">",
        p->url, p->key, p->image, str_of(loading), p->title[v->language]);
    add_price(v, &p->money[v->currency]);
    html(&v->out, "</span></a></li>");
}

/* What stands over a box says what is in it: what everybody sees, and another thing once it was filled for this visitor. */
struct heading { str text, yours; };

static void add_shelf(struct view *v, struct heading heading)
{
    html(&v->out, "<section class=\"shelf\"><h2");
    if (heading.yours.len) html(&v->out, " data-yours=\"{}\"", heading.yours);
    html(&v->out, ">{}</h2>", heading.text);
}

/* "Picked for you" is never said to who did not ask to be known. */
static struct heading heading_of(const struct view *v, str text, str yours)
{
    return (struct heading){ text, v->consent == CHOICE_YES ? yours : S("") };
}

static struct heading liked_or_picked(const struct view *v)
{
    return heading_of(v, say(v, "Liked by many", "Mange liker"), say(v, "Picked for you", "Plukket ut til deg"));
}

/* A row of cards in a box that keeps its height whatever is put into it. */
static void add_row(struct view *v, const char *placement, struct heading heading, const struct demo_product *const *items, isize n)
{
    add_shelf(v, heading);
    html(&v->out, "<div class=\"row-box\" data-opmaat-placement=\"{}\"><ul class=\"opmaat-row\" role=\"list\">", str_of(placement));
    for (isize i = 0; i < n; i++) page_card(v, items[i], i < 4 ? "eager" : "lazy");
    html(&v->out, "</ul></div></section>");
}

/* ---- choosing products -------------------------------------------------------------------- */

enum order { BY_APPEAL, BY_PRICE, BY_PRICE_DOWN, BY_NEWEST };

static bool goes_before(const struct demo_product *a, const struct demo_product *b, enum order order)
{
    switch (order) {
    case BY_APPEAL: return a->appeal > b->appeal;
    case BY_PRICE: return a->money[0].price_minor < b->money[0].price_minor;
    case BY_PRICE_DOWN: return a->money[0].price_minor > b->money[0].price_minor;
    case BY_NEWEST: return a->published_at_ms > b->published_at_ms;
    }
    return false;
}

struct found { const struct demo_product **at; isize n; };

/* Heap sort, in place; ties keep no order, so the key decides. */
static bool less(const struct demo_product *a, const struct demo_product *b, enum order order)
{
    if (goes_before(a, b, order)) return true;
    return !goes_before(b, a, order) && a < b;
}

static void sift(struct found f, isize at, enum order order)
{
    for (;;) {
        isize child = at * 2 + 1;
        if (child >= f.n) return;
        if (child + 1 < f.n && less(f.at[child], f.at[child + 1], order)) child++;
        if (!less(f.at[at], f.at[child], order)) return;
        const struct demo_product *p = f.at[at];
        f.at[at] = f.at[child];
        f.at[child] = p;
        at = child;
    }
}

static void sort(struct found f, enum order order)
{
    for (isize i = f.n / 2 - 1; i >= 0; i--) sift(f, i, order);
    for (struct found rest = f; rest.n > 1;) {
        rest.n--;
        const struct demo_product *p = rest.at[0];
        rest.at[0] = rest.at[rest.n];
        rest.at[rest.n] = p;
        sift(rest, 0, order);
    }
}

static struct found found_new(const struct view *v)
{
    return (struct found){ arena_new(v->scratch, const struct demo_product *, v->shop->catalogue->products_n), 0 };
}

/* The best liked in stock, at most one of a kind when `kind` is -1, else of that kind without `but`. */
static struct found best_liked(const struct view *v, isize kind, const struct demo_product *but)
{
    const struct demo_catalogue *c = v->shop->catalogue;
    struct found all = found_new(v);
    for (isize i = 0; i < c->products_n; i++) {
        const struct demo_product *p = &c->products[i];
        if (p != but && p->stock[DEMO_WEB] > 0 && (kind < 0 || p->kind == kind)) all.at[all.n++] = p;
    }
    sort(all, BY_APPEAL);
    bool taken[KINDS] = { false };
    struct found best = { all.at, 0 };
    for (isize i = 0; i < all.n && best.n < ROW_ITEMS; i++) {
        if (kind < 0 && taken[all.at[i]->kind]) continue;
        taken[all.at[i]->kind] = true;
        best.at[best.n++] = all.at[i];
    }
    return best;
}

static void add_liked(struct view *v, const char *placement, struct heading heading)
{
    struct found best = best_liked(v, -1, NULL);
    add_row(v, placement, heading, best.at, best.n);
}

void page_row(struct view *v, const char *placement, str heading) { add_liked(v, placement, (struct heading){ heading, S("") }); }

/* Rows of kinds, each under its name, until the visitor's own come: as many as the tag puts there. */
static void add_rows(struct view *v, const char *placement, struct heading heading, const isize *of, isize n)
{
    enum { IN_ROW = 5 };                                /* as the strategies of rows have it (setup.c) */
    add_shelf(v, heading);
    html(&v->out, "<div class=\"rows-box\" data-opmaat-placement=\"{}\">", str_of(placement));
    for (isize i = 0; i < n; i++) {
        struct found best = best_liked(v, of[i], NULL);
        html(&v->out, "<strong class=\"opmaat-headline\">{}</strong><ul class=\"opmaat-row\" role=\"list\">", say_phrase(v, kinds[of[i]].path[1]));
        for (isize k = 0; k < min_isize(IN_ROW, best.n); k++) page_card(v, best.at[k], "lazy");
        html(&v->out, "</ul>");
    }
    html(&v->out, "</div></section>");
}

static void add_guides(struct view *v, const char *placement)
{
    static const isize shown[] = { 0, 7, 13, 20 };
    html(&v->out, "<section class=\"shelf\"><h2>{}</h2><div class=\"guide-box\" data-opmaat-placement=\"{}\"><ul class=\"guides\" role=\"list\">",
        say(v, "Worth reading", "Verdt å lese"), str_of(placement));
    for (isize i = 0; i < countof(shown); i++)
        html(&v->out, "<li><a href=\"/shop/guide/a-{}\"><strong>{}</strong><span>{}</span></a></li>", html_number(v->scratch, shown[i] + 1),
            say_phrase(v, articles[shown[i]].title), say_phrase(v, articles[shown[i]].teaser));
    html(&v->out, "</ul></div></section>");
}

/* What rises in the shop the visitor goes to; and which shop that is. */
static void add_store(struct view *v)
{
    page_row(v, "store_recs", v->store ? arena_printf(v->scratch, v->language == DEMO_NB ? "Populært i %s" : "Popular in %s", place_names[v->store][v->language])
                                       : say(v, "Popular in our shops", "Populært i butikkene våre"));
    html(&v->out, "<form method=\"post\" action=\"/shop/store\" class=\"chips\" aria-label=\"{}\"><input type=\"hidden\" name=\"back\" value=\"{}\"><span class=\"hint\">{}</span>",
        say(v, "Your shop", "Din butikk"), v->request->path, say(v, "The one you go to:", "Den du går til:"));
    for (isize place = DEMO_OSLO; place < DEMO_PLACES; place++)
        html(&v->out, "<button class=\"chip\" name=\"store\" value=\"{}\" aria-pressed=\"{}\">{}</button>", str_of(demo_place_keys[place]),
            v->store == place ? S("true") : S("false"), str_of(place_names[place][v->language]));
    html(&v->out, "</form>");
}

/* ---- home --------------------------------------------------------------------------------- */

static void add_hero(struct view *v)
{
    html(&v->out, "<section class=\"hero\" aria-label=\"{}\"><div class=\"hero-box\" data-opmaat-placement=\"home_hero\">"
        "<a class=\"opmaat-banner\" href=\"/shop/c/women-jackets\"><img src=\"/shop/img/hero-fjord.svg\" alt=\"\" width=\"1600\" height=\"640\">"
        "<span class=\"opmaat-text\"><strong class=\"opmaat-headline\">{}</strong><span class=\"opmaat-body\">{}</span></span></a></div></section>",
        say(v, "Highlight", "Utvalgt"), say(v, "Things that last, from the coast and the forest", "Ting som varer, fra kysten og skogen"),
        say(v, "Clothes, home and good coffee. Free delivery over €50.", "Klær, hjem og god kaffe. Fri frakt over 500 kr."));
}

/* As somebody new: what the shop knows stays with whom it knew, and this browser is not them any more. */
static void add_start_over(struct view *v)
{
    html(&v->out, "<form method=\"post\" action=\"/shop/start-over\" class=\"inline\"><button name=\"choice\" value=\"new\">{}</button></form>",
         say(v, "Start over as somebody new", "Begynn på nytt som en annen"));
}

/* Whoever said yes is told that this page is theirs, why, and how to have it otherwise. */
static void add_why(struct view *v)
{
    html(&v->out, "<div class=\"why\"><p data-held=\"{}\"><strong>{}</strong> {} <a href=\"/shop/choices\">{}</a></p>",
         say(v, "You see the shop as it is for everybody: one visitor in ten is held out, so that the shop can tell what choosing for the others is worth.",
                "Du ser butikken slik den er for alle: én av ti besøkende holdes utenfor, så butikken kan se hva det er verdt å velge for de andre."),
         v->person ? say(v, "This page is made for you.", "Denne siden er laget til deg.")
                   : say(v, "This page follows what you look at.", "Denne siden følger det du ser på."),
         say(v, "Under each thing stands why it is here.", "Under hver ting står hvorfor den er her."), say(v, "What I like", "Det jeg liker"));
    add_start_over(v);
    html(&v->out, "</div>");
}

str page_home(struct view *v)
{
    add_hero(v);
    if (v->consent == CHOICE_YES) add_why(v);
    add_liked(v, "home_recs", liked_or_picked(v));
    html(&v->out, "<section class=\"shelf\"><h2>{}</h2><ul class=\"tiles\" role=\"list\">", say(v, "Departments", "Avdelinger"));
    for (isize k = 0; k < KINDS; k++) {
        html(&v->out, "<li><a href=\"/shop/c/{}\"><img src=\"/shop/img/p-{}.svg\" alt=\"\" width=\"360\" height=\"480\" loading=\"lazy\"><span>{}</span>"
            "<small>{}</small></a></li>", str_of(kinds[k].slug), html_number(v->scratch, k * 100 + 3),
            say_phrase(v, kinds[k].path[1]), say_phrase(v, kinds[k].path[0]));
    }
    html(&v->out, "</ul></section>");
    static const isize departments[] = { 0, 18 };
    add_rows(v, "home_rows", heading_of(v, say(v, "From our departments", "Fra avdelingene våre"), say(v, "Your departments", "Dine avdelinger")), departments, countof(departments));
    add_guides(v, "home_guides");
    return say(v, "Things that last", "Ting som varer");
}

/* ---- lists -------------------------------------------------------------------------------- */

str page_query(const struct view *v, const char *name)
{
    return form_value(v->scratch, v->request->query, str_of(name), S(""));
}

/* A link to this list with one thing changed. Values come from our own tables. */
static void add_choice(struct view *v, str base, str colour, str order, bool chosen, str text)
{
    html(&v->out, "<a class=\"chip\" href=\"{}?colour={}&amp;sort={}\"", base, colour, order);
    if (chosen) html(&v->out, " aria-current=\"true\"");
    html(&v->out, ">{}</a>", text);
}

static enum order order_of(str name)
{
    if (str_eq(name, S("price"))) return BY_PRICE;
    if (str_eq(name, S("price-down"))) return BY_PRICE_DOWN;
    if (str_eq(name, S("new"))) return BY_NEWEST;
    return BY_APPEAL;
}

static void add_list_choices(struct view *v, str base, isize kind, str colour, str order)
{
    html(&v->out, "<div class=\"chips\" role=\"group\" aria-label=\"{}\">", say(v, "Sort", "Sorter"));
    add_choice(v, base, colour, S(""), order.len == 0, say(v, "Popular", "Populært"));
    add_choice(v, base, colour, S("new"), str_eq(order, S("new")), say(v, "Newest", "Nyeste"));
    add_choice(v, base, colour, S("price"), str_eq(order, S("price")), say(v, "Lowest price", "Lavest pris"));
    add_choice(v, base, colour, S("price-down"), str_eq(order, S("price-down")), say(v, "Highest price", "Høyest pris"));
    html(&v->out, "</div>");
    if (kind < 0) return;
    html(&v->out, "<div class=\"chips\" role=\"group\" aria-label=\"{}\">", say(v, "Colour", "Farge"));
    add_choice(v, base, S(""), order, colour.len == 0, say(v, "All colours", "Alle farger"));
    str rest = str_of(kinds[kind].colours);
    while (rest.len > 0) {
        struct str_cut cut = str_cut(rest, ' ');
        rest = cut.tail;
        for (isize c = 0; c < colours_n; c++)
            if (str_eq(str_of(colours[c].key), cut.head))
                add_choice(v, base, cut.head, order, str_eq(colour, cut.head), say_phrase(v, colours[c].name));
    }
    html(&v->out, "</div>");
}

/* The products of one page, and links to the pages beside it. `base` ends so that "page=2" may follow. */
static void add_grid(struct view *v, struct found f, str base)
{
    i64 page = 1;
    if (!str_to_i64(page_query(v, "page"), &page) || page < 1) page = 1;
    isize pages = max_isize(1, (f.n + PAGE_ITEMS - 1) / PAGE_ITEMS), first = min_isize((isize)page, pages) * PAGE_ITEMS - PAGE_ITEMS;
    html(&v->out, "<p class=\"count\">{} {}</p><ul class=\"grid\" role=\"list\">", html_number(v->scratch, f.n), say(v, "products", "varer"));
    for (isize i = first; i < min_isize(f.n, first + PAGE_ITEMS); i++) page_card(v, f.at[i], i - first < 8 ? "eager" : "lazy");
    html(&v->out, "</ul>");
    if (pages == 1) return;
    html(&v->out, "<nav class=\"chips\" aria-label=\"{}\">", say(v, "Pages", "Sider"));
    for (isize i = 1; i <= pages; i++) {
        html(&v->out, "<a class=\"chip\" href=\"{}page={}\"", base, html_number(v->scratch, i));
        if ((i - 1) * PAGE_ITEMS == first) html(&v->out, " aria-current=\"page\"");
        html(&v->out, ">{}</a>", html_number(v->scratch, i));
    }
    html(&v->out, "</nav>");
}

void page_event(struct view *v, const char *name, const char *property, str value)
{
    struct jsonw w = { .out = &v->events };
    if (v->events.len) buf_byte(&v->events, ',');
    jsonw_begin(&w, '[');
    jsonw_str(&w, S("track"));
    jsonw_str(&w, str_of(name));
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, property, value);
    jsonw_end(&w, '}');
    jsonw_end(&w, ']');
}

/* The first of the list in the order for this visitor, within what the shop's merchandisers have pinned; the rest as they were. */
static void put_ranked_first(struct view *v, struct found f, str category)
{
    enum { RANKED = 96 };
    const struct demo_product **ranked = arena_new(v->scratch, const struct demo_product *, RANKED);
    isize n = page_ranked(v, category, ranked, RANKED), placed = 0;
    for (isize r = 0; r < n; r++)
        for (isize i = placed; i < f.n; i++) {
            if (f.at[i] != ranked[r]) continue;
            memmove(f.at + placed + 1, f.at + placed, (size_t)(i - placed) * sizeof *f.at);
            f.at[placed++] = ranked[r];
            break;
        }
}

str page_category(struct view *v, str slug)
{
    isize leaf = -1, parent = -1;
    for (isize k = 0; k < KINDS; k++) {
        if (str_eq(slug, str_of(kinds[k].slug))) leaf = k;
        if (parent < 0 && str_eq(slug, str_of(kinds[k].parent_slug))) parent = k;
    }
    if (leaf < 0 && parent < 0) return page_missing(v);
    const struct kind *k = &kinds[leaf >= 0 ? leaf : parent];
    str title = say_phrase(v, k->path[leaf >= 0 ? 1 : 0]), base = arena_printf(v->scratch, "/shop/c/%.*s", STR_FMT(slug));
    str colour = page_query(v, "colour"), order = page_query(v, "sort");

    html(&v->out, "<nav class=\"crumbs\" aria-label=\"{}\"><a href=\"/shop/\">{}</a>", say(v, "You are here", "Du er her"), say(v, "Shop", "Butikken"));
    if (leaf >= 0) html(&v->out, " / <a href=\"/shop/c/{}\">{}</a>", str_of(k->parent_slug), say_phrase(v, k->path[0]));
    html(&v->out, "</nav><h1>{}</h1>", title);
    if (leaf < 0) {
        html(&v->out, "<div class=\"chips\">");
        for (isize i = 0; i < KINDS; i++)
            if (str_eq(slug, str_of(kinds[i].parent_slug)))
                html(&v->out, "<a class=\"chip\" href=\"/shop/c/{}\">{}</a>", str_of(kinds[i].slug), say_phrase(v, kinds[i].path[1]));
        html(&v->out, "</div>");
    }
    add_list_choices(v, base, leaf, colour, order);

    const struct demo_catalogue *c = v->shop->catalogue;
    struct found f = found_new(v);
    for (isize i = 0; i < c->products_n; i++) {
        const struct demo_product *p = &c->products[i];
        if (leaf >= 0 ? p->kind != leaf : !str_eq(slug, str_of(kinds[p->kind].parent_slug))) continue;
        if (colour.len == 0 || str_eq(colour, str_of(colours[p->colour].key))) f.at[f.n++] = p;
    }
    sort(f, order_of(order));
    str path = leaf >= 0 ? arena_printf(v->scratch, "%s > %s", k->path[0].in[DEMO_EN], k->path[1].in[DEMO_EN]) : str_of(k->path[0].in[DEMO_EN]);
    if (order_of(order) == BY_APPEAL) put_ranked_first(v, f, path);
    struct buf link = { .arena = v->scratch };
    buf_printf(&link, "%.*s?", STR_FMT(base));
    if (colour.len && f.n) buf_printf(&link, "colour=%.*s&", STR_FMT(colour));
    if (order.len && order_of(order) != BY_APPEAL) buf_printf(&link, "sort=%.*s&", STR_FMT(order));
    add_grid(v, f, buf_str(&link));
    add_liked(v, "category_recs", liked_or_picked(v));
    add_store(v);
    isize kind = k - kinds;
    add_rows(v, "brand_rows", heading_of(v, say(v, "More of this", "Mer av dette"), say(v, "Your brands", "Dine merker")), &kind, 1);
    add_guides(v, "category_guides");
    page_event(v, "Product List Viewed", "category", path);
    return title;
}

/* Every word of the query must stand in the title, brand, category or colour, in either language. */
static bool speaks_of(const struct demo_product *p, str word)
{
    const struct kind *k = &kinds[p->kind];
    const struct phrase *colour = &colours[p->colour].name;
    str texts[] = { p->title[0], p->title[1], p->brand, str_of(k->path[0].in[0]), str_of(k->path[0].in[1]), str_of(k->path[1].in[0]),
        str_of(k->path[1].in[1]), str_of(colour->in[0]), str_of(colour->in[1]) };
    for (isize t = 0; t < countof(texts); t++)
        for (isize at = 0; at + word.len <= texts[t].len; at++)
            if (str_eq_nocase(str_slice(texts[t], at, at + word.len), word)) return true;
    return false;
}

/* Without a search engine behind it the shop looks through its own titles. */
str page_search(struct view *v)
{
    if (v->shop->search) return page_found(v);
    str query = str_trim(page_query(v, "q"));
    if (query.len > 100) query.len = 100;
    const struct demo_catalogue *c = v->shop->catalogue;
    struct found f = found_new(v);
    for (isize i = 0; i < c->products_n && query.len; i++) {
        bool all = true;
        for (str rest = query; rest.len && all;) {
            struct str_cut cut = str_cut(rest, ' ');
            all = speaks_of(&c->products[i], cut.head);
            rest = str_trim(cut.tail);
        }
        if (all) f.at[f.n++] = &c->products[i];
    }
    sort(f, BY_APPEAL);
    html(&v->out, "<h1>{} “{}”</h1>", say(v, "Search for", "Søk etter"), query);
    struct buf link = { .arena = v->scratch };
    buf_add(&link, S("/shop/search?q="));
    for (isize i = 0; i < query.len; i++) buf_printf(&link, "%%%02X", (unsigned)(u8)query.ptr[i]);
    buf_byte(&link, '&');
    add_grid(v, f, buf_str(&link));
    if (query.len && str_is_utf8(query)) page_event(v, "Products Searched", "query", query);
    return say(v, "Search", "Søk");
}

/* ---- product ------------------------------------------------------------------------------ */

static void add_variants(struct view *v, const struct demo_product *p)
{
    bool chosen = false;
    for (isize at = 0; at < p->variants_n;) {
        isize colour = p->variants[at].colour;
        html(&v->out, "<fieldset><legend>{}</legend>", say_phrase(v, colours[colour].name));
        for (; at < p->variants_n && p->variants[at].colour == colour; at++) {
            const struct demo_variant *variant = &p->variants[at];
            bool sold_out = variant->stock[DEMO_WEB] <= 0, check = !sold_out && !chosen;
            chosen |= check;
            html(&v->out, "<label class=\"size\"><input type=\"radio\" name=\"variant\" value=\"{}\"{!}{!} required><span>{}", variant->key,
                check ? S(" checked") : S(""), sold_out ? S(" disabled") : S(""), variant->size.len ? variant->size : say(v, "one size", "én størrelse"));
            if (variant->money[v->currency].price_minor != p->money[v->currency].price_minor)
                html(&v->out, " · {}", view_money(v, variant->money[v->currency].price_minor));
            html(&v->out, "</span></label>");
        }
        html(&v->out, "</fieldset>");
    }
}

static void add_stock(struct view *v, const struct demo_product *p)
{
    html(&v->out, "<table class=\"stock\"><caption>{}</caption><tbody>", say(v, "In stock", "På lager"));
    for (isize place = 0; place < DEMO_PLACES; place++) {
        i32 n = p->stock[place];
        str how = n == 0 ? say(v, "sold out", "utsolgt") : n < 5 ? say(v, "a few left", "få igjen") : say(v, "in stock", "på lager");
        html(&v->out, "<tr><th scope=\"row\">{}</th><td class=\"{}\">{}</td></tr>", str_of(place_names[place][v->language]), n ? S("yes") : S("no"), how);
    }
    html(&v->out, "</tbody></table>");
}

str page_product(struct view *v, str key)
{
    const struct demo_product *p = demo_product_by_key(v->shop->catalogue, key);
    if (!p) return page_missing(v);
    const struct kind *k = &kinds[p->kind];
    const struct demo_money *m = &p->money[v->currency];
    html(&v->out, "<nav class=\"crumbs\" aria-label=\"{}\"><a href=\"/shop/\">{}</a> / <a href=\"/shop/c/{}\">{}</a> / <a href=\"/shop/c/{}\">{}</a></nav>",
        say(v, "You are here", "Du er her"), say(v, "Shop", "Butikken"), str_of(k->parent_slug), say_phrase(v, k->path[0]), str_of(k->slug), say_phrase(v, k->path[1]));
    html(&v->out, "<article class=\"product\" data-opmaat-product=\"{}\" data-opmaat-name=\"{}\" data-opmaat-price=\"{}\" data-opmaat-currency=\"{}\" data-opmaat-category=\"{}\">",
        p->key, p->title[DEMO_EN], decimal_price(v, m), currency_code(v), category_text(v, p));
    html(&v->out, "<img class=\"photo\" src=\"{}\" alt=\"{}\" width=\"360\" height=\"480\"><div class=\"facts\"><p class=\"brand\">{}</p><h1>{}</h1><p class=\"price\">",
        p->image, p->title[v->language], p->brand, p->title[v->language]);
    add_price(v, m);
    html(&v->out, "</p><p>{}</p><form method=\"post\" action=\"/shop/cart\"><input type=\"hidden\" name=\"action\" value=\"add\">", p->description[v->language]);
    add_variants(v, p);
    if (p->stock[DEMO_WEB] > 0) html(&v->out, "<button class=\"big\" data-opmaat-track=\"Product Added\">{}</button>", say(v, "Add to cart", "Legg i handlekurven"));
    else html(&v->out, "<button class=\"big\" disabled>{}</button>", say(v, "Sold out on the web", "Utsolgt på nett"));
    html(&v->out, "</form>");
    add_stock(v, p);
    html(&v->out, "</div></article>");
    struct found best = best_liked(v, p->kind, p);
    add_row(v, "product_recs", (struct heading){ say(v, "You may also like", "Du liker kanskje også"), S("") }, best.at, best.n);
    return p->title[v->language];
}

/* ---- cart, checkout ----------------------------------------------------------------------- */

static i64 cart_total(const struct view *v)
{
    i64 total = 0;
    for (isize i = 0; i < v->cart.n; i++)
        total += v->cart.lines[i].variant->money[v->currency].price_minor * v->cart.lines[i].quantity;
    return total;
}

static void add_line(struct view *v, const struct cart_line *line, bool editable)
{
    const struct demo_product *p = line->product;
    html(&v->out, "<li class=\"line\"><img src=\"{}\" alt=\"\" width=\"90\" height=\"120\"><div><a href=\"{}\">{}</a><small>{}{}{}</small></div>",
        p->image, p->url, p->title[v->language], line->variant->size, line->variant->size.len ? S(" · ") : S(""),
        say_phrase(v, colours[line->variant->colour].name));
    if (editable) {
        html(&v->out, "<form method=\"post\" action=\"/shop/cart\"><input type=\"hidden\" name=\"action\" value=\"set\"><input type=\"hidden\" name=\"variant\" value=\"{}\">"
            "<label class=\"hidden\" for=\"n-{}\">{}</label><input id=\"n-{}\" type=\"number\" name=\"quantity\" min=\"0\" max=\"9\" value=\"{}\"><button>{}</button></form>",
            line->variant->key, line->variant->key, say(v, "Quantity", "Antall"), line->variant->key, html_number(v->scratch, line->quantity), say(v, "Update", "Oppdater"));
    } else {
        html(&v->out, "<span>{} ×</span>", html_number(v->scratch, line->quantity));
    }
    html(&v->out, "<strong>{}</strong></li>", view_money(v, line->variant->money[v->currency].price_minor * line->quantity));
}

static void add_lines(struct view *v, bool editable)
{
    html(&v->out, "<ul class=\"lines\" role=\"list\">");
    for (isize i = 0; i < v->cart.n; i++) add_line(v, &v->cart.lines[i], editable);
    html(&v->out, "</ul><p class=\"total\">{} <strong>{}</strong></p>", say(v, "Total", "Sum"), view_money(v, cart_total(v)));
}

/* What the shop's own code asks: two flags (setup.c). The tag tells that the test was seen, with the ticket. */
static const struct json *cart_flags(struct view *v)
{
    static const char *const keys[] = { DEMO_FLAG_DELIVERY, DEMO_FLAG_WAY_OUT };
    struct buf body = { .arena = v->scratch };
    struct jsonw w = { .out = &body };
    const struct json *answer = NULL;
    str text;
    if (!v->shop->flags) return NULL;
    jsonw_begin(&w, '{');
    page_asker(v, &w);
    jsonw_key_begin(&w, "flags", '[');
    for (isize i = 0; i < countof(keys); i++) jsonw_str(&w, str_of(keys[i]));
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    if (!v->shop->flags(v->shop->search_ctx, buf_str(&body), v->scratch, &text) || json_parse(v->scratch, text, &answer, NULL)) return NULL;
    return json_get(answer, S("flags"));
}

static void add_delivery(struct view *v)
{
    i64 missing = (v->currency == DEMO_NOK ? 50000 : 5000) - cart_total(v);
    if (missing > 0) html(&v->out, "<p class=\"delivery\">{} {}</p>", view_money(v, missing), say(v, "more, and delivery is free.", "til, så er frakten gratis."));
    else html(&v->out, "<p class=\"delivery\">{}</p>", say(v, "Delivery is free.", "Frakten er gratis."));
}

/* The way to the order: what it says, and what is promised under it, are what the test tries (setup.c). */
static void add_way_out(struct view *v, const struct json *flags)
{
    const struct json *flag = json_get(flags, S(DEMO_FLAG_WAY_OUT)), *value = json_get(flag, S("value"));
    bool buy = str_eq(json_get_str(value, "button"), S("buy")), returns = str_eq(json_get_str(value, "promise"), S("returns"));
    html(&v->out, "<p><a class=\"button big\" href=\"/shop/checkout\">{}</a></p>", buy ? say(v, "Buy now", "Kjøp nå") : say(v, "To checkout", "Til kassen"));
    if (returns) html(&v->out, "<p class=\"hint\">{}</p>", say(v, "Thirty days to change your mind.", "Tretti dagers åpent kjøp."));
    str ticket = json_get_str(flag, "ticket");
    if (ticket.len) page_event(v, "Decision Viewed", "ticket", ticket);
}

str page_cart(struct view *v)
{
    html(&v->out, "<h1>{}</h1>", say(v, "Cart", "Handlekurv"));
    if (v->cart.n == 0) {
        html(&v->out, "<p>{} <a href=\"/shop/\">{}</a></p>", say(v, "There is nothing in it yet.", "Den er tom ennå."), say(v, "Have a look around", "Se deg rundt"));
    } else {
        const struct json *flags = cart_flags(v);
        add_lines(v, true);
        if (json_bool(json_path(flags, DEMO_FLAG_DELIVERY ".value"), false)) add_delivery(v);
        add_way_out(v, flags);
    }
    /* What goes with a cart is known without knowing whose it is. */
    add_liked(v, "cart_recs", (struct heading){ say(v, "Liked by many", "Mange liker"), v->cart.n ? say(v, "Goes well with it", "Passer godt til") : S("") });
    return say(v, "Cart", "Handlekurv");
}

str page_checkout(struct view *v)
{
    if (v->cart.n == 0) return page_cart(v);
    html(&v->out, "<h1>{}</h1>", say(v, "Checkout", "Kasse"));
    add_lines(v, false);
    html(&v->out, "<form class=\"form\" method=\"post\" action=\"/shop/checkout\"><p>{}</p>", say(v,
        "This is a demo shop: nothing is charged and nothing is sent. What you type here stays in your browser.",
        "Dette er en demobutikk: ingenting belastes og ingenting sendes. Det du skriver her, blir i nettleseren din."));
    if (v->person) html(&v->out, "<p>{} <strong>{} {}</strong></p>", say(v, "Ordering as", "Bestiller som"), str_of(v->person->first_name), str_of(v->person->last_name));
    else html(&v->out, "<p><a href=\"/shop/login?back=/shop/checkout\">{}</a> {}</p>", say(v, "Log in", "Logg inn"), say(v, "or order as a guest.", "eller bestill som gjest."));
    html(&v->out, "<fieldset><legend>{}</legend><label class=\"size\"><input type=\"radio\" name=\"delivery\" value=\"home\" checked><span>{}</span></label>"
        "<label class=\"size\"><input type=\"radio\" name=\"delivery\" value=\"oslo-1\"><span>{}</span></label><label class=\"size\"><input type=\"radio\" name=\"delivery\" value=\"bergen-1\"><span>{}</span></label></fieldset>"
        "<button class=\"big\">{}</button></form>", say(v, "Delivery", "Levering"), say(v, "By post", "Med post"), say(v, "Collect in Oslo", "Hent i Oslo"),
        say(v, "Collect in Bergen", "Hent i Bergen"), say(v, "Place the order", "Fullfør bestillingen"));
    page_event(v, "Checkout Started", "currency", currency_code(v));
    return say(v, "Checkout", "Kasse");
}

str page_thanks(struct view *v)
{
    html(&v->out, "<h1>{}</h1><p>{}: <strong>{}</strong></p><p>{}</p>", say(v, "Thank you!", "Tusen takk!"), say(v, "Your order number", "Ordrenummeret ditt"),
        page_query(v, "order"), say(v, "We have started packing.", "Vi har begynt å pakke."));
    struct found best = best_liked(v, -1, NULL);
    add_row(v, "thanks_recs", (struct heading){ say(v, "For next time", "Til neste gang"), S("") }, best.at, best.n);
    return say(v, "Thank you", "Takk");
}

/* ---- the rest ----------------------------------------------------------------------------- */

str page_login(struct view *v)
{
    html(&v->out, "<h1>{}</h1><p>{}</p><form method=\"post\" action=\"/shop/login\"><input type=\"hidden\" name=\"back\" value=\"{}\"><ul class=\"people\" role=\"list\">",
        say(v, "Who would you like to be?", "Hvem vil du være?"),
        say(v, "These people are invented. Each has been shopping here for a while.", "Disse personene er oppdiktet. Alle har handlet her en stund."), page_query(v, "back"));
    for (isize i = 0; i < DEMO_PERSONAS; i++) {
        const struct demo_persona *p = &demo_personas[i];
        html(&v->out, "<li><button name=\"person\" value=\"{}\"><strong>{} {}</strong><span>{}</span></button></li>", str_of(p->user_id),
            str_of(p->first_name), str_of(p->last_name), str_of(p->about[v->language]));
    }
    html(&v->out, "</ul></form>");
    if (v->person) html(&v->out, "<form method=\"post\" action=\"/shop/logout\"><button>{}</button></form>", say(v, "Log out", "Logg ut"));
    if (v->shop->console_hint.len) html(&v->out, "<p class=\"hint\">{}<a href=\"/\">{}</a>{}{}</p>", say(v, "The shop's own people see all of this in ", "Butikkens egne folk ser alt dette i "),
        say(v, "the console", "konsollen"), S(": "), v->shop->console_hint);
    return say(v, "Log in", "Logg inn");
}

static void add_consent_buttons(struct view *v, str back)
{
    html(&v->out, "<form method=\"post\" action=\"/shop/consent\" class=\"choice\"><input type=\"hidden\" name=\"back\" value=\"{}\">"
        "<button name=\"choice\" value=\"yes\">{}</button><button name=\"choice\" value=\"no\">{}</button></form>",
        back, say(v, "Yes, please", "Ja, gjerne"), say(v, "No, thank you", "Nei takk"));
}

str page_privacy(struct view *v)
{
    html(&v->out, "<h1>{}</h1><div class=\"prose\"><p>{}</p><p>{}</p><p>{}</p><p><strong>{}</strong></p>", say(v, "Your choice about data", "Ditt valg om data"),
        say(v, "If you say yes, we remember what you look at and buy, and use it to show you things in your taste: your size first, no advertising for what you already own. What goes together in many people's baskets helps others to find it.",
            "Sier du ja, husker vi hva du ser på og kjøper, og bruker det til å vise deg ting i din smak: din størrelse først, ingen reklame for det du allerede har. Det mange handler sammen, hjelper andre å finne det."),
        say(v, "If you say no, the shop works just as well. Your cart and language stay in cookies in your own browser; nothing else is kept.",
            "Sier du nei, virker butikken like godt. Handlekurven og språket ligger i informasjonskapsler i din egen nettleser; ingenting annet lagres."),
        say(v, "You may change your mind here at any time, and what we knew is then no longer used.", "Du kan ombestemme deg her når som helst, og det vi visste blir da ikke lenger brukt."),
        v->consent == CHOICE_YES ? say(v, "You have said yes.", "Du har sagt ja.") : v->consent == CHOICE_NO ? say(v, "You have said no.", "Du har sagt nei.")
            : say(v, "You have not chosen yet.", "Du har ikke valgt ennå."));
    add_consent_buttons(v, S("/shop/privacy"));
    if (v->consent == CHOICE_YES) {
        html(&v->out, "<h2>{}</h2><p>{}</p>", say(v, "Reset", "Nullstill"),
             say(v, "The shop forgets that this browser is you: everything is as everybody sees it, until you look around again.",
                 "Butikken glemmer at denne nettleseren er deg: alt er slik alle ser det, til du ser deg rundt igjen."));
        add_start_over(v);
    }
    html(&v->out, "</div>");
    return say(v, "Privacy", "Personvern");
}

static void add_box(struct view *v, const char *name, str value, str text)
{
    html(&v->out, "<label class=\"size\"><input type=\"checkbox\" name=\"{}\" value=\"{}\"><span>{}</span></label>", str_of(name), value, text);
}

/* The boxes are ticked, and what is ticked is kept, by the script: the shop itself knows nothing of anybody. */
str page_choices(struct view *v)
{
    html(&v->out, "<h1>{}</h1><p class=\"lead\">{}</p>", say(v, "Your shop", "Din butikk"),
        say(v, "Say what you like, and it comes first everywhere: before anything we might guess.", "Si hva du liker, så kommer det først overalt: før alt vi måtte gjette."));
    if (v->consent != CHOICE_YES)
        html(&v->out, "<p><strong>{}</strong> <a href=\"/shop/privacy\">{}</a></p>", say(v, "Nothing is kept before you allow it.", "Ingenting lagres før du tillater det."),
            say(v, "Your choice about data", "Ditt valg om data"));
    html(&v->out, "<form id=\"choices\"><fieldset><legend>{}</legend>", say(v, "Departments", "Avdelinger"));
    for (isize k = 0; k < KINDS; k++)
        if (k == 0 || !str_eq(str_of(kinds[k].parent_slug), str_of(kinds[k - 1].parent_slug)))
            add_box(v, "category", str_of(kinds[k].path[0].in[DEMO_EN]), say_phrase(v, kinds[k].path[0]));
    html(&v->out, "</fieldset><fieldset><legend>{}</legend>", say(v, "Colours", "Farger"));
    for (isize i = 0; i < colours_n; i++) add_box(v, "colour", str_of(colours[i].key), say_phrase(v, colours[i].name));
    html(&v->out, "</fieldset><p id=\"kept\" role=\"status\" data-kept=\"{}\" data-lost=\"{}\">&nbsp;</p></form>", say(v, "Kept.", "Lagret."),
        say(v, "This could not be kept.", "Dette kunne ikke lagres."));
    html(&v->out, "<section class=\"prose\" data-opmaat-quiz=\"style\"></section>");
    return say(v, "Your shop", "Din butikk");
}

str page_guide(struct view *v, str key)
{
    i64 number = 0;
    if (!str_starts(key, S("a-")) || !str_to_i64(str_from(key, 2), &number) || number < 1 || number > CONTENTS) return page_missing(v);
    const struct article *a = &articles[number - 1];
    const struct kind *k = &kinds[a->kind];
    html(&v->out, "<article class=\"prose\" data-opmaat-content=\"{}\"><p class=\"brand\">{}</p><h1>{}</h1><p class=\"lead\">{}</p>", key, say_phrase(v, k->path[1]), say_phrase(v, a->title), say_phrase(v, a->teaser));
    for (isize i = 0; i < SENTENCES; i++) html(&v->out, "<p>{}</p>", say_phrase(v, k->openers[(i + number) % SENTENCES]));
    html(&v->out, "<p>{}</p><p><a class=\"button\" href=\"/shop/c/{}\">{}</a></p></article>", say_phrase(v, care_sentences[k->care][number % CARE_SENTENCES]),
        str_of(k->slug), say_phrase(v, k->path[1]));
    struct found best = best_liked(v, a->kind, NULL);
    add_row(v, "guide_recs", heading_of(v, say(v, "From this guide", "Fra denne guiden"), say(v, "Picked for you", "Plukket ut til deg")), best.at, best.n);
    html(&v->out, "<section class=\"shelf\"><h2>{}</h2><div class=\"guide-box\" data-opmaat-placement=\"guide_more\"><ul class=\"guides\" role=\"list\">",
         say(v, "More to read", "Mer å lese"));
    for (isize i = 1; i <= 4; i++) {
        isize other = (isize)((number - 1 + 7 * i) % CONTENTS);
        html(&v->out, "<li><a href=\"/shop/guide/a-{}\"><strong>{}</strong><span>{}</span></a></li>", html_number(v->scratch, other + 1),
             say_phrase(v, articles[other].title), say_phrase(v, articles[other].teaser));
    }
    html(&v->out, "</ul></div></section>");
    return say_phrase(v, a->title);
}

str page_missing(struct view *v)
{
    v->status = 404;
    html(&v->out, "<h1>{}</h1><p>{} <a href=\"/shop/\">{}</a></p>", say(v, "Nothing here", "Ingenting her"),
        say(v, "The tide has taken this page.", "Tidevannet har tatt denne siden."), say(v, "Back to the shop", "Tilbake til butikken"));
    return say(v, "Not found", "Ikke funnet");
}

/* ---- around every page -------------------------------------------------------------------- */

/* Tells the tag what the shop knows, before the tag is there: the choice about consent, who is
 * logged in (once a visit; a page that was left before the tag came has not told it), what this
 * page is about. Then it makes a change of mind reach the tag before the page is left. Data comes
 * from the JSON block, so the script itself never changes. */
const char page_script[] =
    "(function(){var o=window.opmaat=window.opmaat||[],d=JSON.parse(document.getElementById('shop').textContent),"
    "c=function(y){o.push(['consent',{analytics:y,personalisation:y,model_training:y}])},s=function(){try{return sessionStorage}catch(e){return{}}}();"
    "if(d.consent!=null)c(d.consent);"
    "if(d.consent){var u=d.identify?d.identify[0]:'';if(u!==(s.ff_person||'')){"
    "o.push(u?['identify'].concat(d.identify):['reset']);"
    "addEventListener('pagehide',function(){if(window.opmaat.tag){if(u)s.ff_person=u;else delete s.ff_person}})}}"
    "else if(d.consent===false&&s.ff_person)delete s.ff_person;"
    "d.events.forEach(function(e){o.push(e)});"
    "document.addEventListener('submit',function(e){var b=e.submitter;"
    "if(b&&b.name==='choice'){if(b.value==='new'){window.opmaat.push(['reset']);delete s.ff_person}else window.opmaat.push(['consent',{analytics:b.value==='yes',personalisation:b.value==='yes',model_training:b.value==='yes'}])}});"
    /* Headings say what stands under them; whoever is held out is told so. */
    "document.addEventListener('opmaat:decision',function(e){var d=e.detail,s=e.target.closest('.shelf'),h=s&&s.querySelector('[data-yours]'),w=document.querySelector('[data-held]');"
    "if(h&&d.items&&d.items.length)h.textContent=h.dataset.yours;if(w&&d.reason==='holdout')w.textContent=w.dataset.held});"
    /* As one types: the first few products under the box. Only the last question's answer is shown. */
    "addEventListener('DOMContentLoaded',function(){var q=document.getElementById('q'),l=document.getElementById('found'),n=0,w;"
    "if(!q||!l||!d.key)return;q.addEventListener('input',function(){clearTimeout(w);w=setTimeout(function(){var t=q.value.trim(),i=++n;"
    "if(t.length<2){l.hidden=true;return}"
    "var a=d.consent&&(document.cookie.match(/(?:^|; )opmaat_id=([^;]+)/)||[])[1];"
    "fetch('/v1/search?typing=true&limit=6&write_key='+encodeURIComponent(d.key)+'&locale='+document.documentElement.lang+'&q='+encodeURIComponent(t)"
    "+(a?'&anonymous_id='+a:'')).then(function(r){return r.ok?r.json():{items:[]}}).then(function(r){if(i!==n)return;l.textContent='';"
    "r.items.forEach(function(p){var o=document.createElement('li'),h=document.createElement('a');h.href=p.url;h.textContent=p.title;"
    "o.appendChild(h);l.appendChild(o)});l.hidden=!r.items.length},function(){})},120)});"
    "document.addEventListener('click',function(e){if(!q.form.contains(e.target))l.hidden=true});"
    "q.addEventListener('keydown',function(e){if(e.key==='Escape')l.hidden=true})});"
    /* What the shopper chose: asked once, and kept at each change. */
    "addEventListener('DOMContentLoaded',function(){var f=document.getElementById('choices'),k=document.getElementById('kept'),"
    "a=decodeURIComponent((document.cookie.match(/(?:^|; )opmaat_id=([^;]+)/)||[])[1]||''),u=d.identify||[],p={};"
    "if(!f||!d.key||!d.consent)return;if(a)p.anonymous_id=a;if(u[0]){p.user_id=u[0];p.user_hash=u[1]}"
    "fetch('/v1/preferences?'+new URLSearchParams(Object.assign({write_key:d.key},p))).then(function(r){return r.json()}).then(function(r){"
    "for(var n in r.preferences)[].concat(r.preferences[n]).forEach(function(v){[].forEach.call(f.elements,function(e){if(e.name===n&&e.value===v)e.checked=true})})});"
    "f.addEventListener('change',function(){var c={category:[],colour:[]};new FormData(f).forEach(function(v,n){c[n].push(v)});"
    "for(var n in c)if(!c[n].length)c[n]=null;"
    "fetch('/v1/preferences',{method:'POST',body:JSON.stringify({write_key:d.key,person:p,preferences:c,"
    "context:{consent:{categoryPreferences:{analytics:true,personalisation:true,model_training:true}}}})}).then(function(r){"
    "k.textContent=r.ok?k.dataset.kept:k.dataset.lost},function(){k.textContent=k.dataset.lost})})})})()";

static void add_data(struct view *v, struct buf *out)
{
    struct buf json = { .arena = v->scratch };
    struct jsonw w = { .out = &json };
    jsonw_begin(&w, '{');
    jsonw_key(&w, S("consent"));
    if (v->consent == CHOICE_UNKNOWN) jsonw_null(&w);
    else jsonw_bool(&w, v->consent == CHOICE_YES);
    if (v->person) {
        str id = str_of(v->person->user_id);
        jsonw_key_begin(&w, "identify", '[');
        jsonw_str(&w, id);
        jsonw_str(&w, demo_user_hash(v->shop, id, v->scratch));
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "email", str_of(v->person->email));
        jsonw_key_str(&w, "first_name", str_of(v->person->first_name));
        jsonw_key_str(&w, "gender", str_of(v->person->gender));
        jsonw_end(&w, '}');
        jsonw_end(&w, ']');
    }
    jsonw_key_str(&w, "key", v->shop->search ? v->shop->write_key : S(""));
    jsonw_key(&w, S("events"));
    jsonw_raw(&w, arena_printf(v->scratch, "[%.*s]", STR_FMT(buf_str(&v->events))));
    jsonw_end(&w, '}');
    html(out, "<script type=\"application/json\" id=\"shop\">");
    html_json(out, buf_str(&json));
    html(out, "</script><script>{!}</script>", str_of(page_script));
}

static str cart_keys(const struct view *v)
{
    struct buf keys = { .arena = v->scratch };
    for (isize i = 0; i < v->cart.n; i++) {
        if (i) buf_byte(&keys, ',');
        buf_add(&keys, v->cart.lines[i].product->key);
    }
    return buf_str(&keys);
}

static void add_header(struct view *v, struct buf *out)
{
    html(out, "<header class=\"top\"><a class=\"logo\" href=\"/shop/\"><svg viewBox=\"0 0 32 32\" width=\"30\" height=\"30\" aria-hidden=\"true\"><path fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.4\" stroke-linecap=\"round\""
        " d=\"M8 29C10 18 15 9 25 4M11 21l-6-4M11 21l7 1M14 15l-6-4M14 15l8 1M18 10l-4-4M18 10l7 0\"/></svg>Fjord &amp; Fern</a>"
        "<form class=\"search\" action=\"/shop/search\" role=\"search\"><label class=\"hidden\" for=\"q\">{}</label><input id=\"q\" name=\"q\" type=\"search\" maxlength=\"100\" autocomplete=\"off\" value=\"{}\" placeholder=\"{}\"><ul id=\"found\" class=\"found\" role=\"list\" hidden></ul></form>"
        "<nav class=\"tools\" aria-label=\"{}\"><a href=\"/shop/lang?to={}&amp;back={}\" lang=\"{}\">{}</a><a href=\"/shop/login\">{}</a><a href=\"/shop/cart\" data-opmaat-cart=\"{}\">{} ({})</a></nav>",
        say(v, "Search", "Søk"), page_query(v, "q"), say(v, "Search for jeans, lamps, coffee …", "Søk etter jeans, lamper, kaffe …"), say(v, "Your shop", "Din butikk"),
        say(v, "nb", "en"), v->request->path, say(v, "nb-NO", "en"), say(v, "Norsk", "English"),
        v->person ? str_of(v->person->first_name) : say(v, "Log in", "Logg inn"), cart_keys(v), say(v, "Cart", "Kurv"),
        html_number(v->scratch, v->cart.n));
    html(out, "<nav class=\"departments\" aria-label=\"{}\">", say(v, "Departments", "Avdelinger"));
    isize departments[KINDS], n = 0;
    for (isize k = 0; k < KINDS; k++)
        if (k == 0 || !str_eq(str_of(kinds[k].parent_slug), str_of(kinds[k - 1].parent_slug))) departments[n++] = k;
    (void)page_departments(v, departments, n);
    for (isize i = 0; i < n; i++)
        html(out, "<a href=\"/shop/c/{}\">{}</a>", str_of(kinds[departments[i]].parent_slug), say_phrase(v, kinds[departments[i]].path[0]));
    html(out, "</nav></header>");
}

void page_head(struct view *v, struct buf *out, str title)
{
    html(out, "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<title>{} – Fjord &amp; Fern</title><link rel=\"stylesheet\" href=\"/shop/shop.css\"><meta name=\"color-scheme\" content=\"light dark\">"
        "<link rel=\"icon\" href=\"/shop/img/p-3.svg\">", say(v, "en", "nb-NO"), title);
    add_data(v, out);
    html(out, "<script async src=\"/tag.js\" data-key=\"{}\" data-market=\"{}\" data-store=\"{}\"></script></head><body><a class=\"skip\" href=\"#main\">{}</a>",
        v->shop->write_key, v->currency == DEMO_NOK ? S("no") : S("eu"), v->store ? str_of(demo_place_keys[v->store]) : S(""), say(v, "Skip to the content", "Hopp til innholdet"));
    add_header(v, out);
    html(out, "<main id=\"main\">");
}

void page_foot(struct view *v, struct buf *out)
{
    html(out, "</main><footer><p>Fjord &amp; Fern · {}</p><p><a href=\"/shop/choices\">{}</a> · <a href=\"/shop/privacy\">{}</a> · <a href=\"/\">{}</a></p></footer>",
        say(v, "a demo shop; nothing here is for sale", "en demobutikk; ingenting her er til salgs"), say(v, "What I like", "Det jeg liker"), say(v, "Your choice about data", "Ditt valg om data"),
        say(v, "Behind the scenes", "Bak kulissene"));
    if (v->consent == CHOICE_UNKNOWN) {
        html(out, "<aside class=\"consent\" role=\"region\" aria-label=\"{}\"><p><strong>{}</strong> {} <a href=\"/shop/privacy\">{}</a></p>", say(v, "Consent", "Samtykke"),
            say(v, "May we remember what you like?", "Får vi huske hva du liker?"),
            say(v, "Then the shop shows you things in your taste, and never what you just bought.", "Da viser butikken deg ting i din smak, og aldri det du nettopp kjøpte."),
            say(v, "What this means", "Hva det betyr"));
        struct buf held = v->out;
        v->out = *out;
        add_consent_buttons(v, v->request->path);
        *out = v->out;
        v->out = held;
        html(out, "</aside>");
    }
    html(out, "</body></html>");
}
