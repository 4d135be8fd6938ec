/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h - what the pages of the storefront share. Inside the room only. */
#ifndef DEMO_PAGE_H
#define DEMO_PAGE_H

#include "demo/demo.h"
#include "demo/html.h"
#include "demo/words.h"

enum { CART_LINES_MAX = 20, CART_QUANTITY_MAX = 9 };

struct cart_line { const struct demo_product *product; const struct demo_variant *variant; i32 quantity; };
struct cart { struct cart_line lines[CART_LINES_MAX]; isize n; };

enum choice { CHOICE_UNKNOWN, CHOICE_YES, CHOICE_NO };

/* One visit of one page: what the request said, and the page as it grows. */
struct view {
    const struct demo_shop *shop;
    const struct demo_request *request;
    arena *scratch;
    enum demo_language language;
    enum demo_currency currency;
    enum choice consent;
    const struct demo_persona *person;                  /* logged in; or null */
    struct cart cart;
    isize store;                                        /* enum demo_place the visitor shops in; 0: none chosen */
    struct buf out;
    struct buf events;                                  /* commands for the tag: JSON arrays, with commas between */
    i32 status;
};

/* The English or the Norwegian of a phrase. */
static inline str say(const struct view *v, const char *en, const char *nb)
{
    return str_of(v->language == DEMO_NB ? nb : en);
}

static inline str say_phrase(const struct view *v, struct phrase p) { return str_of(p.in[v->language]); }

str view_money(const struct view *v, i64 minor);        /* "€ 59.90", "599 kr" */

/* The parameter of a form-encoded text, decoded; `otherwise` when it is absent or badly escaped. */
str form_value(arena *scratch, str form, str name, str otherwise);

/* Pages add themselves to v->out, inside <main>; the storefront puts head and foot around. Each
 * returns its title. A page that finds nothing sets v->status. */
str page_home(struct view *v);
str page_category(struct view *v, str slug);
str page_product(struct view *v, str key);
str page_search(struct view *v);
/* found.c: a category in the order of the search engine, into at[0 .. max-1]; 0 when there is none to ask. */
isize page_ranked(struct view *v, str category, const struct demo_product **at, isize max);
/* found.c: departments in the order for this visitor, as rows of the table of kinds; false: the shop's own order. */
bool page_departments(struct view *v, isize *kind, isize n);
/* A row of cards in a placement, holding these until something better comes. */
void page_row(struct view *v, const char *placement, str heading);
str page_cart(struct view *v);
str page_checkout(struct view *v);
str page_thanks(struct view *v);
str page_login(struct view *v);
str page_privacy(struct view *v);
str page_choices(struct view *v);                       /* what the shopper likes, said by themselves; and a quiz */
str page_guide(struct view *v, str key);
str page_missing(struct view *v);

/* Pieces that pages share. */
void page_card(struct view *v, const struct demo_product *p, const char *loading);
str page_query(const struct view *v, const char *name); /* a parameter of the address */
void page_event(struct view *v, const char *name, const char *property, str value);      /* for the tag to track */
/* found.c: "person" and "context" of a request, as far as the visitor allows them to be said. */
void page_asker(const struct view *v, struct jsonw *w);
/* found.c: what the shop's search answers, with facets beside it. */
str page_found(struct view *v);

/* Before and after the page: the whole document. */
void page_head(struct view *v, struct buf *out, str title);
void page_foot(struct view *v, struct buf *out);
extern const char page_script[];                        /* the one inline script, the same on every page */

/* Made from page/shop.css. */
extern const char demo_style[];
extern const isize demo_style_n;

#endif
