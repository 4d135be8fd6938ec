/* SPDX-License-Identifier: Apache-2.0
 *
 * found.c - the page of search results, asked of the engine as any shop would: POST /v1/search.
 *
 * All of a choice stands in the address (q, brand, colour, category, from, to, sort, all, page), so
 * that a result can be sent to somebody. `all` asks for the order everybody gets. What the visitor
 * may not say of themselves, the request does not say: no consent, no identifiers. */
#include "demo/page.h"

enum { FOUND_ITEMS = 24, FACET_SHOWN = 8 };

static const char *const parameters[] = { "q", "category", "brand", "colour", "from", "to", "sort", "all" };

static void add_encoded(struct buf *out, str text)
{
    for (isize i = 0; i < text.len; i++) buf_printf(out, "%%%02X", (unsigned)(u8)text.ptr[i]);
}

/* This page's address with some parameters changed; an empty value leaves one out. */
static str address(const struct view *v, const char *const *names, const str *values, isize n)
{
    struct buf out = { .arena = v->scratch };
    buf_add(&out, S("/shop/search?"));
    for (isize i = 0; i < countof(parameters); i++) {
        str value = page_query(v, parameters[i]);
        for (isize k = 0; k < n; k++)
            if (str_eq(str_of(parameters[i]), str_of(names[k]))) value = values[k];
        if (value.len == 0) continue;
        if (out.ptr[out.len - 1] != '?') buf_byte(&out, '&');
        buf_printf(&out, "%s=", parameters[i]);
        add_encoded(&out, value);
    }
    return buf_str(&out);
}

/* A rule must not be broken out of by a value of an address. */
static str quoted(const struct view *v, str value)
{
    struct buf out = { .arena = v->scratch };
    for (isize i = 0; i < value.len; i++)
        if (value.ptr[i] != '"' && value.ptr[i] != '\\' && (u8)value.ptr[i] >= ' ')
            buf_byte(&out, value.ptr[i]);
    return buf_str(&out);
}

static str filter_of(const struct view *v)
{
    struct buf out = { .arena = v->scratch };
    static const char *const fields[] = { "brand", "colour" };
    const char *currency = v->currency == DEMO_NOK ? "NOK" : "EUR";
    for (isize i = 0; i < countof(fields); i++) {
        str value = quoted(v, page_query(v, fields[i]));
        if (value.len)
            buf_printf(&out, "%sitem.%s = \"%.*s\"", out.len ? " and " : "", fields[i],
                       STR_FMT(value));
    }
    i64 price;
    if (str_to_i64(page_query(v, "from"), &price))
        buf_printf(&out, "%sitem.price >= %lld %s", out.len ? " and " : "", (long long)price,
                   currency);
    if (str_to_i64(page_query(v, "to"), &price))
        buf_printf(&out, "%sitem.price < %lld %s", out.len ? " and " : "", (long long)price,
                   currency);
    return buf_str(&out);
}

static str anonymous_of(const struct view *v)
{
    str rest = v->request->cookies;
    while (rest.len > 0) {
        struct str_cut part = str_cut(rest, ';'), pair = str_cut(str_trim(part.head), '=');
        if (str_eq(pair.head, S("opmaat_id")) && str_is_utf8(pair.tail)) return pair.tail;
        rest = part.tail;
    }
    return S("");
}

static i64 page_number(const struct view *v)
{
    i64 page = 1;
    return str_to_i64(page_query(v, "page"), &page) && page >= 1 && page <= 40 ? page : 1;
}

/* Who asks and where, as far as they allow it to be said. */
void page_asker(const struct view *v, struct jsonw *w)
{
    str anonymous = anonymous_of(v);
    jsonw_key_begin(w, "person", '{');
    if (v->consent == CHOICE_YES) {
        if (anonymous.len) jsonw_key_str(w, "anonymous_id", anonymous);
        if (v->person) {
            str id = str_of(v->person->user_id);
            jsonw_key_str(w, "user_id", id);
            jsonw_key_str(w, "user_hash", demo_user_hash(v->shop, id, v->scratch));
        }
    }
    jsonw_end(w, '}');
    jsonw_key_begin(w, "context", '{');
    jsonw_key_str(w, "locale", say(v, "en", "nb-NO"));
    jsonw_key_str(w, "market", v->currency == DEMO_NOK ? S("no") : S("eu"));
    jsonw_key_begin(w, "consent", '{');
    jsonw_key_begin(w, "categoryPreferences", '{');
    jsonw_key_bool(w, "analytics", v->consent == CHOICE_YES);
    jsonw_key_bool(w, "personalisation", v->consent == CHOICE_YES);
    jsonw_key_bool(w, "model_training", v->consent == CHOICE_YES);
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    jsonw_end(w, '}');
}

static str request_of(const struct view *v, str query)
{
    static const char *const sorts[][2] = { { "new", "newest" },
                                            { "price", "price_asc" },
                                            { "price-down", "price_desc" } };
    struct buf out = { .arena = v->scratch };
    struct jsonw w = { .out = &out };
    str filter = filter_of(v), sort = page_query(v, "sort");
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "q", query);
    jsonw_key_str(&w, "category", page_query(v, "category"));
    jsonw_key_str(&w, "facets", S("category,brand,colour,price"));
    jsonw_key_int(&w, "limit", FOUND_ITEMS);
    jsonw_key_int(&w, "offset", (page_number(v) - 1) * FOUND_ITEMS);
    if (filter.len) jsonw_key_str(&w, "filter", filter);
    for (isize i = 0; i < countof(sorts); i++)
        if (str_eq(sort, str_of(sorts[i][0]))) jsonw_key_str(&w, "sort", str_of(sorts[i][1]));
    if (page_query(v, "all").len) jsonw_key_bool(&w, "personalise", false);
    page_asker(v, &w);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

/* ---- lists that are not a search ------------------------------------------------------------- */

isize page_ranked(struct view *v, str category, const struct demo_product **at, isize max)
{
    struct buf out = { .arena = v->scratch };
    struct jsonw w = { .out = &out };
    const struct json *answer = NULL;
    str text;
    isize n = 0;
    if (!v->shop->search) return 0;
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "q", S(""));
    jsonw_key_str(&w, "category", category);
    jsonw_key_int(&w, "limit", max);
    page_asker(v, &w);
    jsonw_end(&w, '}');
    if (!v->shop->search(v->shop->search_ctx, buf_str(&out), v->scratch, &text)
        || json_parse(v->scratch, text, &answer, NULL))
        return 0;
    json_each(item, json_get(answer, S("items"))) {
        const struct demo_product *p = demo_product_by_key(
            v->shop->catalogue, json_str(json_get(item, S("product_key")), S("")));
        if (p && n < max) at[n++] = p;
    }
    return n;
}

bool page_departments(struct view *v, isize *kind, isize n)
{
    struct buf out = { .arena = v->scratch };
    struct jsonw w = { .out = &out };
    const struct json *answer = NULL;
    str text;
    isize found = 0;
    if (!v->shop->menu || v->consent != CHOICE_YES) return false;
    jsonw_begin(&w, '{');
    page_asker(v, &w);
    jsonw_end(&w, '}');
    if (!v->shop->menu(v->shop->search_ctx, buf_str(&out), v->scratch, &text)
        || json_parse(v->scratch, text, &answer, NULL))
        return false;
    json_each(one, json_get(answer, S("categories")))
        for (isize i = found; i < n; i++) {
            isize k = kind[i];
            if (!str_eq(json_str(json_get(one, S("category")), S("")),
                        str_of(kinds[k].path[0].in[DEMO_EN])))
                continue;
            memmove(kind + found + 1, kind + found, (size_t)(i - found) * sizeof *kind);
            kind[found++] = k;
            break;
        }
    return found > 0;
}

/* ---- the page -------------------------------------------------------------------------------- */

static void add_value(struct view *v, const char *name, str value, str text, i64 count)
{
    bool chosen = str_eq(page_query(v, name), value);
    str to = chosen ? S("") : value;
    html(&v->out, "<li><a href=\"{}\"", address(v, &name, &to, 1));
    if (chosen) html(&v->out, " aria-current=\"true\"");
    html(&v->out, "><span>{}{}</span><small>{}</small></a></li>", chosen ? S("× ") : S(""), text, html_number(v->scratch, (isize)count));
}

/* A value as the shop says it: colours and departments have words in both languages. */
static str facet_text(struct view *v, const char *name, str value)
{
    for (isize c = 0; c < colours_n && strcmp(name, "colour") == 0; c++)
        if (str_eq(str_of(colours[c].key), value)) return say_phrase(v, colours[c].name);
    for (isize k = 0; k < KINDS && strcmp(name, "category") == 0; k++) {
        const struct phrase *path = kinds[k].path;
        if (str_eq(str_of(path[0].in[DEMO_EN]), value)) return say_phrase(v, path[0]);
        if (str_eq(arena_printf(v->scratch, "%s > %s", path[0].in[DEMO_EN], path[1].in[DEMO_EN]), value))
            return arena_printf(v->scratch, "%.*s, %.*s", STR_FMT(say_phrase(v, path[1])),
                                STR_FMT(say_phrase(v, path[0])));
    }
    return value;
}

static void add_facet(struct view *v, const struct json *answer, const char *name, str title)
{
    const struct json *values = json_get(json_get(answer, S("facets")), str_of(name));
    isize n = 0;
    if (json_len(values) == 0) return;
    html(&v->out, "<h2>{}</h2><ul role=\"list\">", title);
    json_each(one, values) {
        str value = json_str(json_get(one, S("value")), S(""));
        if (n++ == FACET_SHOWN) break;
        add_value(v, name, value, facet_text(v, name, value), json_int(json_get(one, S("count")), 0));
    }
    html(&v->out, "</ul>");
}

static str whole_money(const struct view *v, i64 whole)
{
    return v->currency == DEMO_NOK ? view_money(v, whole * 100)
                                   : arena_printf(v->scratch, "€%lld", (long long)whole);
}

static void add_prices(struct view *v, const struct json *answer)
{
    static const char *const names[] = { "from", "to" };
    const struct json *values = json_path(answer, "facets.price");
    if (json_len(values) < 2 && page_query(v, "from").len == 0) return;
    html(&v->out, "<h2>{}</h2><ul role=\"list\">", say(v, "Price", "Pris"));
    json_each(one, values) {
        i64 from = json_int(json_get(one, S("from")), 0), to = json_int(json_get(one, S("to")), 0);
        str range[] = { arena_printf(v->scratch, "%lld", (long long)from),
                        arena_printf(v->scratch, "%lld", (long long)to) };
        if (to == 0) continue;
        html(&v->out, "<li><a href=\"{}\"><span>{} – {}</span><small>{}</small></a></li>", address(v, names, range, 2),
             whole_money(v, from), whole_money(v, to),
             html_number(v->scratch, (isize)json_int(json_get(one, S("count")), 0)));
    }
    str none[] = { S(""), S("") };
    if (page_query(v, "from").len) html(&v->out, "<li><a href=\"{}\" aria-current=\"true\"><span>× {}–{}</span></a></li>", address(v, names, none, 2), page_query(v, "from"), page_query(v, "to"));
    html(&v->out, "</ul>");
}

static void add_cards(struct view *v, const struct json *items)
{
    isize n = 0;
    html(&v->out, "<ul class=\"grid\" role=\"list\">");
    json_each(item, items) {
        const struct demo_product *p = demo_product_by_key(
            v->shop->catalogue, json_str(json_get(item, S("product_key")), S("")));
        if (p) page_card(v, p, n++ < 8 ? "eager" : "lazy");
    }
    html(&v->out, "</ul>");
}

static void add_pages(struct view *v, i64 total)
{
    i64 pages = (total + FOUND_ITEMS - 1) / FOUND_ITEMS;
    if (pages < 2) return;
    html(&v->out, "<nav class=\"chips\" aria-label=\"{}\">", say(v, "Pages", "Sider"));
    for (i64 i = 1; i <= pages && i <= 10; i++) {
        html(&v->out, "<a class=\"chip\" href=\"{}&amp;page={}\"", address(v, NULL, NULL, 0), html_number(v->scratch, (isize)i));
        if (i == page_number(v)) html(&v->out, " aria-current=\"page\"");
        html(&v->out, ">{}</a>", html_number(v->scratch, (isize)i));
    }
    html(&v->out, "</nav>");
}

static void add_sorts(struct view *v, bool personal)
{
    static const char *const names[] = { "", "new", "price", "price-down" };
    str texts[] = { say(v, "Best match", "Best treff"), say(v, "Newest", "Nyeste"),
                    say(v, "Lowest price", "Lavest pris"), say(v, "Highest price", "Høyest pris") };
    const char *sort = "sort", *all = "all";
    html(&v->out, "<div class=\"chips\" role=\"group\" aria-label=\"{}\">", say(v, "Sort", "Sorter"));
    for (isize i = 0; i < countof(names); i++) {
        str to = str_of(names[i]);
        html(&v->out, "<a class=\"chip\" href=\"{}\"", address(v, &sort, &to, 1));
        if (str_eq(page_query(v, "sort"), to)) html(&v->out, " aria-current=\"true\"");
        html(&v->out, ">{}</a>", texts[i]);
    }
    bool reset = page_query(v, "all").len > 0;
    str to = reset ? S("") : S("1");
    if (personal || reset) html(&v->out, "<a class=\"chip\" href=\"{}\">{}</a>", address(v, &all, &to, 1), reset ? say(v, "In my order", "I min rekkefølge") : say(v, "In everybody's order", "I alles rekkefølge"));
    html(&v->out, "</div>");
}

str page_found(struct view *v)
{
    str query = str_trim(page_query(v, "q")), text;
    const struct json *answer = NULL;
    query.len = min_isize(query.len, 100);
    while (query.len > 0 && !str_is_utf8(query)) query.len--;
    html(&v->out, "<h1>{} “{}”</h1>", say(v, "Search for", "Søk etter"), query);
    if (!v->shop->search(v->shop->search_ctx, request_of(v, query), v->scratch, &text)
        || json_parse(v->scratch, text, &answer, NULL)) {
        html(&v->out, "<p>{}</p>", say(v, "The search is not ready. Try again in a moment.", "Søket er ikke klart. Prøv igjen om et øyeblikk."));
        return say(v, "Search", "Søk");
    }
    i64 total = json_int(json_get(answer, S("total")), 0);
    str corrected = json_str(json_get(answer, S("corrected")), S(""));
    if (corrected.len) html(&v->out, "<p>{} “{}”.</p>", say(v, "We looked for", "Vi lette etter"), corrected);
    if (total == 0) {
        html(&v->out, "<p>{}</p><section class=\"shelf\"><h2>{}</h2>", say(v, "Nothing was found.", "Vi fant ingenting."), say(v, "Perhaps one of these", "Kanskje noe av dette"));
        add_cards(v, json_get(answer, S("fallback")));
        html(&v->out, "</section>");
        return say(v, "Search", "Søk");
    }
    html(&v->out, "<p class=\"count\">{} {}</p>", html_number(v->scratch, (isize)total), say(v, "products", "varer"));
    add_sorts(v, json_bool(json_get(answer, S("personalised")), false));
    html(&v->out, "<div class=\"results\"><aside class=\"facets\" aria-label=\"{}\">", say(v, "Narrow down", "Avgrens"));
    add_facet(v, answer, "category", say(v, "Category", "Kategori"));
    add_facet(v, answer, "brand", say(v, "Brand", "Merke"));
    add_facet(v, answer, "colour", say(v, "Colour", "Farge"));
    add_prices(v, answer);
    html(&v->out, "</aside><div>");
    add_cards(v, json_get(answer, S("items")));
    add_pages(v, total);
    html(&v->out, "</div></div>");
    page_row(v, "search_recs", say(v, "Perhaps this", "Kanskje dette"));
    return say(v, "Search", "Søk");
}
