/* SPDX-License-Identifier: Apache-2.0
 *
 * demo.h - a shop of our own making: its catalogue, its pictures, its pages and its shoppers.
 *
 * Fjord & Fern sells some 2,000 invented products in 20 categories, in English and Norwegian,
 * for euros and kroner, on the web and in three shops. Everything comes from a seed and a clock,
 * so two demos with the same seed are the same demo. The room knows the rest of Opmaat only as a
 * shop does: by the JSON it sends and gets back.
 *
 *   reads    base/
 *   feeds    the `demo` command, which serves the pages and carries events and decisions
 *   threads  a catalogue is read by anyone once made; shoppers belong to one thread
 *   memory   the arena given to *_new; pages and pictures go to the caller's scratch
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include "base/clock.h"
#include "base/json.h"

/* ---- catalogue ---------------------------------------------------------------------------- */

enum demo_language { DEMO_EN, DEMO_NB, DEMO_LANGUAGES };        /* "en", "nb-NO" */
enum demo_place { DEMO_WEB, DEMO_OSLO, DEMO_BERGEN, DEMO_TRONDHEIM, DEMO_PLACES };
enum demo_currency { DEMO_EUR, DEMO_NOK, DEMO_CURRENCIES };

extern const char *const demo_place_keys[DEMO_PLACES];          /* "web", "oslo-1", … */

/* price is what it costs today, list what it cost before (0 when it is not reduced); minor units. */
struct demo_money { i64 price_minor, list_minor; };

struct demo_variant {
    str key, size;                                      /* "p-4-m-navy", "m"; size may be empty */
    isize colour;                                       /* a row of the colour table */
    struct demo_money money[DEMO_CURRENCIES];
    i32 stock[DEMO_PLACES];
};

struct demo_product {
    str key, url, image;                                /* "p-1", "/shop/p/p-1", "/shop/img/p-1.svg" */
    isize kind, style, material;                        /* rows of the word tables */
    str title[DEMO_LANGUAGES], description[DEMO_LANGUAGES];
    str brand, name;
    isize colour;
    struct demo_money money[DEMO_CURRENCIES];           /* of the cheapest variant */
    i64 cost_minor;                                     /* EUR */
    i32 stock[DEMO_PLACES], repurchase_days;            /* 0 days: bought once */
    i64 published_at_ms;
    /* how much people like it whoever they are, 0.1 .. 1.1 */
    f64 appeal;
    const struct demo_variant *variants;
    isize variants_n;
};

struct demo_catalogue { u64 seed; const struct demo_product *products; isize products_n; };

/* The same seed and instant give the same catalogue, byte for byte. Publication dates lie within
 * the 400 days before `now_ms`. */
struct demo_catalogue demo_catalogue_new(arena *perm, u64 seed, i64 now_ms);
const struct demo_product *demo_product_by_key(const struct demo_catalogue *c, str key);   /* or null */

/* NDJSON, one product a line / one content item a line, as `opmaat import products|content` reads it. */
void demo_catalogue_write(const struct demo_catalogue *c, struct buf *out);
void demo_content_write(arena *scratch, struct buf *out);

/* ---- what a shop's people would author ------------------------------------------------------- */

/* Flags that the shop's own pages ask, of setup.c. */
#define DEMO_FLAG_DELIVERY "delivery_line"
#define DEMO_FLAG_WAY_OUT "way_out"

/* Definitions in an order in which each finds what it refers to: settings, segments, strategies,
 * placements, campaigns, flags, connectors. */
struct demo_definition { const char *kind, *key, *document; };
extern const struct demo_definition demo_setup[];
extern const isize demo_setup_n;

/* ---- pictures ----------------------------------------------------------------------------- */

/* SVG, 360 x 480, under 3 KB, whole in itself; in `scratch`. */
str demo_picture(arena *scratch, const struct demo_product *p);

/* The wide picture of a banner, 1600 x 640, SVG: "fjord", or a category's slug ("women-jeans",
 * "home"), which puts some of its things before the mountains. Empty when there is none by that name. */
str demo_hero(arena *scratch, str name);

/* ---- people one may log in as ------------------------------------------------------------- */

/* They are also the first of the simulated shoppers, so each has a past to show. */
struct demo_persona {
    const char *user_id, *first_name, *last_name, *email, *gender, *colour, *brand;
    const char *about[DEMO_LANGUAGES];
    isize kinds[3];                                     /* what they come for, best first; -1: none */
};
enum { DEMO_PERSONAS = 6 };
extern const struct demo_persona demo_personas[DEMO_PERSONAS];

/* ---- storefront --------------------------------------------------------------------------- */

/* What one shop needs to know. Borrowed; read by any thread. */
struct demo_shop {
    const struct demo_catalogue *catalogue;
    str write_key;                                      /* public, for the tag */
    str identity_secret;                                /* signs user_hash and the log-in cookie */
    str console_hint;                                   /* shown on the log-in page; may be empty */
    /* Takes the body of POST /v1/search and puts that call's answer into *answer; false when it
     * failed. Null: the shop has no search engine. */
    bool (*search)(void *ctx, str request, arena *scratch, str *answer);
    /* The same for POST /v1/navigation. Null: departments stand in the shop's own order. */
    bool (*menu)(void *ctx, str request, arena *scratch, str *answer);
    /* The same for POST /v1/decide, of flags. Null: every flag is as its default has it. */
    bool (*flags)(void *ctx, str request, arena *scratch, str *answer);
    void *search_ctx;
};

/* What a page depends on, and nothing else: a page is a pure function of it. The path is as sent
 * ("/shop/p/p-1"), query and body are form-encoded, cookies is the Cookie header. `chance` makes an
 * order's number, so give a fresh one to each request. */
struct demo_request { str method, path, query, cookies, body; i64 now_ms; u64 chance; };

struct demo_header { str name, value; };
enum { DEMO_HEADERS_MAX = 12 };

/* `event`: when the request placed an order of somebody who allows being known, one Segment-shaped
 * "Order Completed" to hand in as a trusted source; else empty. */
struct demo_reply {
    i32 status;
    str type, body, event;
    struct demo_header headers[DEMO_HEADERS_MAX];
    isize headers_n;
};

/* Answers everything under /shop. All of the reply is in `scratch`, in tables, or in the shop. */
struct demo_reply demo_page(const struct demo_shop *shop, const struct demo_request *request, arena *scratch);

/* hex HMAC-SHA256 of the user id under the identity secret: what proves a claimed user_id. */
str demo_user_hash(const struct demo_shop *shop, str user_id, arena *scratch);

/* ---- shoppers ----------------------------------------------------------------------------- */

struct demo_shoppers;

/* `null_effect`: what they are shown changes nothing they do (they click at a fixed rate, then go
 * where they would have gone), so any lift reported between variations must cover zero. */
struct demo_shoppers_options { u64 seed; isize people; bool null_effect; i64 start_at_ms; };

/* What the shop around the shoppers does. `emit` takes {"batch": [Segment events]}, whose time
 * stamps need no correcting (there is no sentAt) and whose source is a trusted one. `decide` takes the body of POST /v1/decide (its events are
 * then not emitted) and puts that call's answer into *answer; false when it failed, and the shopper
 * sees the shop's own content. Without `decide` nobody is shown anything: for backfilling.
 * `batch_events`: how many events wait for each other before they are emitted. */
struct demo_sinks {
    void *ctx;
    void (*emit)(void *ctx, str batch, i64 at_ms);
    bool (*decide)(void *ctx, str request, i64 at_ms, arena *scratch, str *answer);
    isize batch_events;
};

/* Counted since the beginning; revenue in EUR minor units, kroner converted. */
struct demo_totals {
    i64 visits, pages, events, decisions, views, clicks, adds, orders, store_orders, revenue_minor;
};

/* The first DEMO_PERSONAS of them are demo_personas. */
struct demo_shoppers *demo_shoppers_new(arena *perm, const struct demo_catalogue *catalogue,
                                        struct demo_shoppers_options options);

/* Lets everything happen that happens up to and including `until_ms`, in order of time, with
 * time stamps of then; all that waited is emitted before it returns. The same options, calls of
 * run and answers of decide give the same events, byte for byte. */
void demo_shoppers_run(struct demo_shoppers *s, i64 until_ms, const struct demo_sinks *sinks, arena *scratch);

/* From now on they come so often that all together make about that many events a second: for
 * watching live, after a backfill at their natural rhythm. */
void demo_shoppers_hurry(struct demo_shoppers *s, i64 now_ms, f64 events_per_second);

struct demo_totals demo_shoppers_totals(const struct demo_shoppers *s);

#endif
