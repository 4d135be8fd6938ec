/* SPDX-License-Identifier: Apache-2.0
 *
 * item.h - an item as the catalogue holds it; between the files of this room.
 */
#ifndef CATALOG_ITEM_H
#define CATALOG_ITEM_H

#include <stdatomic.h>

#include "catalog/catalog.h"

enum {
    SAID_MAX = 7,
    TEXTS_MAX = 64,
    PRICES_MAX = 256,
    STOCK_MAX = 4096,
    VARIANTS_MAX = 1024,
    ATTRIBUTES_MAX = 300,
    ITEM_KEY_MAX = 255,
    CATEGORY_DEPTH_MAX = 16,
    POINTS_MAX = 65536,
    SERIES_POINTS_MAX = 64,
};

/* From `from_ms` on this price stood; minor -1: not offered. variant "": the item's own. */
struct price_point { str variant, market; currency currency; i64 from_ms, minor, list_minor; };

/* A category that this item was the first to name. */
struct born { category_id id, parent; str path; };

struct item_state {
    struct item item;
    struct price_point *points;
    isize points_n;
    struct born *born;
    isize born_n;
    u64 said[SAID_MAX];             /* the entries of events that made it or filled in what it lacked */
    u8 said_n;
};

/* The block: the state, then everything it points to. The remark and what was printed of it are no
 * part of the state: each block begins without. What candidates for a row are asked, by the dozen a
 * request, stands together: this, and the first fields of the item. */
struct printed;
struct held {
    _Atomic u64 remark;
    _Atomic(struct printed *) printed;
    bool in_stock;                  /* item_stock of the web shop is above 0 */
    struct item_state state;
    struct hash128 digest;
};

void item_state_visit(struct codec *c, struct item_state *state);
struct held *item_hold(const struct item_state *state);
void held_free(void *held);                             /* null is fine */

/* Brings the item's price history up to the prices it now has, at `at_ms`, and fills every
 * lowest_30d_minor. */
void item_prices_settle(struct item_state *state, i64 at_ms, arena *a);

#endif
