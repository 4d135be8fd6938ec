/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.h - what can be shown and sold: products with variants, prices and stock, and content.
 *
 * An item is one immutable struct behind a pointer; a change makes a new one and swaps the
 * pointer, so a price or a stock level acts on the next request and readers never wait. Ids are
 * dense and never reused. An event may name a product nobody has described: it gets an id at
 * once (kind ITEM_SEEN) and its description when the feed brings it.
 *
 *   reads    base/, event/
 *   feeds    profile/, segment/, recommend/, decide/
 *   threads  the fold writes; anyone reads inside rcu_read_begin/end
 *   memory   one block an item, freed after a grace period
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/codec.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "event/event.h"

enum item_kind { ITEM_SEEN, ITEM_PRODUCT, ITEM_CONTENT };

struct text { str locale, value; };                     /* locale "": for all */
/* list 0: none; market "": everywhere */
struct price { str market; currency currency; i64 minor, list_minor, lowest_30d_minor; };
struct stock { str store; i32 quantity; };              /* "web" or a shop's key */
struct variant {
    str key, size, colour;
    struct stock *stock; isize stock_n;
    struct price *prices; isize prices_n;
};

struct item {
    item_id id;
    u8 kind;                                            /* enum item_kind */
    bool hidden, removed;
    category_id category_id;
    str key, url, image, brand, colour, gender;
    struct text *titles; isize titles_n;
    struct text *descriptions; isize descriptions_n;
    str category;                                       /* "Women > Jeans", leaf last; empty: none */
    struct price *prices; isize prices_n;
    /* of the item and, summed, its variants; none: not tracked */
    struct stock *stock; isize stock_n;
    struct variant *variants; isize variants_n;
    struct fact *attributes; isize attributes_n;
    i64 cost_minor;                                     /* in the first price's currency; 0 unknown */
    /* 0: bought once; else due again after so many days */
    i32 repurchase_days;
    i64 published_at_ms;
};

/* ---- a change, as it stands in the log ------------------------------------------------------- */
enum item_change_kind { ITEM_PUT, ITEM_PRICES, ITEM_STOCK, ITEM_REMOVE };
/* PRICES and STOCK use key (or a variant's key) and those lists only */
struct item_change { u8 kind; struct item item; };
void item_change_encode(const struct item_change *change, struct buf *out);
MUST_USE enum err item_change_decode(str bytes, arena *a, struct item_change *out);

/* Our NDJSON shape (api.md's names; item_json.c states it whole): one product or content object ->
 * a change. ERR_BAD_INPUT with the field in diag. */
MUST_USE enum err item_change_from_json(arena *a, const struct json *doc, struct item_change *out,
                                        struct diag *diag);

/* ---- the catalogue --------------------------------------------------------------------------- */
struct catalog;
struct catalog *catalog_new(void);
void catalog_free(struct catalog *catalog);

/* Fold only. The id of a key, made (ITEM_SEEN, with what the event says of it) when new. */
item_id catalog_see(struct catalog *catalog, const struct event_item *seen, currency in, i64 at_ms, u64 ref);
/* The entries of events that made an item or filled in what it lacked, from 0; false at the end. */
bool catalog_said(const struct catalog *catalog, item_id id, isize at, u64 *ref);
/* Fold only. Applies a change at a time; lowest_30d is kept from the price's own history. */
item_id catalog_apply(struct catalog *catalog, const struct item_change *change, i64 at_ms);
/* Fold only: loads what item_encode wrote (start-up). */
MUST_USE enum err catalog_load(struct catalog *catalog, str bytes);
/* The whole state of one item (its 30-day price history included), for SQLite and the digest. */
void item_encode(const struct catalog *catalog, item_id id, struct buf *out);
/* Walk what changed since the last call and clear it (for the flush and the digest); 0 ends. */
item_id catalog_dirty_next(struct catalog *catalog);
struct hash128 catalog_digest(const struct catalog *catalog);      /* sum over items; kept incrementally */

/* Readers. */
/* Every change has a number, from 1: how many there were, and which item the n-th was of; 0 when
 * that is longer ago than CATALOG_CHANGES_KEPT. For those who keep something made of items: what
 * did I miss? Loading counts as change. */
enum { CATALOG_CHANGES_KEPT = 1 << 16 };
u64 catalog_changes(const struct catalog *catalog);
item_id catalog_change(const struct catalog *catalog, u64 n);
isize catalog_count(const struct catalog *catalog);     /* ids 1 .. count exist */
/* product, variant or content key; 0 if unknown */
item_id catalog_find(const struct catalog *catalog, str key);
const struct item *catalog_item(const struct catalog *catalog, item_id id);    /* null for 0 and unknown */
/* Sends for what is read of items when they are asked about one after the other, so that the waits
 * are one wait. Inside a bracket. */
void catalog_expect(const struct catalog *catalog, const u32 *ids, isize n);
bool catalog_described(const struct catalog *catalog);  /* true once any product was described by a feed */
/* The first product an event names that nobody has described; empty: none, or the shop describes no
 * catalogue. */
str catalog_lacks(const struct catalog *catalog, const struct event *e);
/* Kind, hidden, removed; and, when the shop describes its catalogue, described. Stock is asked apart. */
bool item_showable(const struct catalog *catalog, const struct item *item);
/* Web stock, or that of `store`; INT32_MAX when stock is not tracked. */
i32 item_stock(const struct item *item, str store);
/* the web shop has it; only of one that catalog_item gave */
bool item_in_stock(const struct item *item);
/* the market's, else the general one, else null */
const struct price *item_price(const struct item *item, str market);
/* "nb-NO" -> "nb-NO", "nb", "", "en", the first */
str item_text(const struct text *texts, isize n, str locale);
category_id catalog_category(const struct catalog *catalog, str path);         /* 0 if unknown */
category_id catalog_category_parent(const struct catalog *catalog, category_id id);
str catalog_category_name(const struct catalog *catalog, category_id id);      /* the leaf's name */
str catalog_category_path(const struct catalog *catalog, category_id id);     /* "Women > Jeans" */
isize catalog_categories(const struct catalog *catalog);
/* The item's category or one above it bears this name (any case), its slug ("t-shirts") or is this path. */
bool item_under(const struct catalog *catalog, const struct item *item, str category);
/* The same, the name looked at once for asking about many items. */
struct category_name { str text; u32 sign; category_id path; bool is_path; };
struct category_name catalog_name(const struct catalog *catalog, str category);
bool item_within(const struct catalog *catalog, const struct item *item, const struct category_name *name);
/* What an item is within, its own category first: names and slugs, each once. For asking about many
 * names; paths are asked apart. */
enum { ITEM_NAMES_MAX = 32, CATEGORY_HEADS = 64 };
/* for a table of CATEGORY_HEADS chains of names */
static inline isize category_head(u32 sign) { return (sign * 0x9e3779b1u) >> 26; }
struct item_names { isize n; struct { u32 sign; str text; } at[]; };
const struct item_names *item_names(const struct catalog *catalog, const struct item *item);
bool item_named(const struct item_names *names, const struct category_name *name);
/* A field by name, for rules: price, list_price, brand, colour, gender, category, in_stock, stock
 * (key = store), margin, age_days, title, kind, product, any attribute. */
struct item_field { enum fact_kind kind; f64 n; bool b; str text; struct money money; bool is_money; };
struct item_field item_field(const struct catalog *catalog, const struct item *item, str name,
                             str key, str market, i64 now_ms);
/* False for a field that is one thing in one market or at one time and another elsewhere: what
 * price it has, how old it is. */
bool item_field_is_fixed(str name);
/* A word that a reader leaves with an item as it now is (of catalog_item), and that is gone with
 * it: 0 once it changed. Any thread; the last one left stays. */
u64 item_remark(const struct item *item);
void item_remark_set(const struct item *item, u64 remark);
/* The keys "item" and "title", such as "p-1" and "Slim jeans"; nothing for item 0. */
void item_print_named(const struct catalog *catalog, item_id item, struct jsonw *w);
/* The item object of api.md (product_key, title, url, image, price …) without score and because;
 * opens no brace: caller does. */
void item_print(const struct item *item, str market, str locale, struct jsonw *w);
/* it is printed soon: sends for what is kept of that */
void item_print_expect(const struct item *item);

#endif
