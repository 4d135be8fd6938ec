/* SPDX-License-Identifier: Apache-2.0
 *
 * replace.c - a file that says all there is, and one that says only what changed.
 *
 * A feed that came cut short looks like a shop that gave up half its goods. So what a replacement
 * would take away is counted before anything is written, and more than a fifth is refused.
 */
#include "base/hash.h"
#include "base/rcu.h"
#include "ingest/ingest.h"

enum { DROP_PERCENT = 20 };

struct named { struct map *keys; const struct catalog *catalog; };

static void note_item(void *ctx, const struct item_change *change)
{
    struct named *named = ctx;
    rcu_read_begin();
    item_id id = catalog_find(named->catalog, change->item.key);
    rcu_read_end();
    if (id.v && change->kind != ITEM_REMOVE) (void)map_put(named->keys, (struct hash128){ id.v, 1 }, 1);
}

/* Every store that has pieces has none. */
static struct item_change out_of_stock(const struct item *item, arena *a)
{
    struct item_change change = { ITEM_STOCK, { .key = arena_str(a, item->key) } };
    change.item.stock = arena_new(a, struct stock, item->stock_n);
    for (isize i = 0; i < item->stock_n; i++)
        if (item->stock[i].quantity > 0)
            change.item.stock[change.item.stock_n++] =
                (struct stock){ arena_str(a, item->stock[i].store), 0 };
    return change;
}

enum err import_replacement(struct gz *gz, const struct import *import,
                            const struct catalog *catalog, bool forced, arena *a,
                            struct replacement *out, struct diag *diag)
{
    bool content = str_eq(import->kind, S("content")), stock = str_eq(import->kind, S("stock"));
    *out = (struct replacement){ 0 };
    if (!content && !stock && !str_eq(import->kind, S("products")))
        return diag_set(diag, ERR_REFUSED,
                        "mode=replace is for products, content and stock: what happened stays");
    struct named named = { map_new(1024), catalog };
    struct import_sink sink = { .ctx = &named, .item = note_item };
    struct import_totals totals;
    enum err err = import_run(gz, import, &sink, &totals, diag);
    isize most = catalog_count(catalog);
    out->at = arena_new(a, struct item_change, most);
    for (u32 id = 1; !err && id <= (u32)most; id++) {
        rcu_read_begin();
        const struct item *item = catalog_item(catalog, (item_id){ id });
        bool counts = item && !item->removed
                      && item->kind == (content ? ITEM_CONTENT : ITEM_PRODUCT)
                      && (!stock || item_stock(item, S("web")) > 0 || item->stock_n);
        out->there += counts;
        if (counts && !map_get(named.keys, (struct hash128){ id, 1 }, 0))
            out->at[out->n++] =
                stock ? out_of_stock(item, a)
                      : (struct item_change){ ITEM_REMOVE, { .key = arena_str(a, item->key) } };
        rcu_read_end();
    }
    map_free(named.keys);
    if (err) return err;
    if (totals.refused)
        return diag_set(
            diag, ERR_REFUSED,
            "%lld lines cannot be read, so the file does not say all there is; nothing was changed",
            (long long)totals.refused);
    if (!forced && out->n * 100 > out->there * DROP_PERCENT)
        return diag_set(
            diag, ERR_REFUSED,
            "this would drop %td of the %lld that are there, more than %d %%; nothing was changed (force it, if it is meant)",
            out->n, (long long)out->there, DROP_PERCENT);
    return ERR_OK;
}

static i32 pieces_now(const struct item *item, str key, str store)
{
    const struct stock *list = item->stock;
    isize n = item->stock_n;
    for (isize i = 0; i < item->variants_n; i++)
        if (str_eq(item->variants[i].key, key)) {
            list = item->variants[i].stock;
            n = item->variants[i].stock_n;
        }
    for (isize i = 0; i < n; i++)
        if (str_eq(list[i].store, store)) return list[i].quantity;
    return 0;
}

void import_delta(const struct catalog *catalog, struct item_change *change, arena *a)
{
    if (change->kind != ITEM_STOCK) return;
    struct stock *list = arena_new(a, struct stock, change->item.stock_n);
    rcu_read_begin();
    const struct item *item = catalog_item(catalog, catalog_find(catalog, change->item.key));
    for (isize i = 0; i < change->item.stock_n; i++) {
        const struct stock *said = &change->item.stock[i];
        i64 sum = (i64)said->quantity + (item ? pieces_now(item, change->item.key, said->store) : 0);
        list[i] = (struct stock){ said->store, (i32)max_i64(0, min_i64(sum, INT32_MAX)) };
    }
    rcu_read_end();
    change->item.stock = list;
}
