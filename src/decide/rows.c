/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.c - rows of categories or of brands: "categories for you", each with a handful of its items.
 *
 *   "rows": {"by": "category" | "brand", "items": 4}
 *
 * The strategy's list is made as always, longer than asked for, and then cut by what its items
 * belong to. A row counts what its first items count together, so one item that fits well does not
 * beat three; rows stand in that order, items in theirs. An item that belongs to none is left out.
 * The answer's items stay one list, row after row, each with its ticket: what was seen and clicked
 * is told as in any other row, and an old client shows them still. */
#include "decide/inside.h"

struct row { u32 group; f64 score; isize n, first; };

isize rows_arrange(const struct catalog *catalog, const struct strategy *s,
                   struct decided_item *items, isize n, isize limit, arena *a)
{
    struct row *rows = arena_new(a, struct row, n + 1);
    u32 *group = arena_new(a, u32, n + 1);
    struct decided_item *out = arena_new(a, struct decided_item, n + 1);
    isize rows_n = 0, kept = 0;
    for (isize i = 0; i < n; i++) {
        isize r = 0;
        group[i] = arrange_group(catalog, items[i].item.v, s->rows_by == ROWS_CATEGORY ? 0 : 1);
        while (r < rows_n && rows[r].group != group[i]) r++;
        if (r == rows_n) rows[rows_n++] = (struct row){ group[i], 0, 0, i };
        if (rows[r].n++ < s->rows_items) rows[r].score += items[i].score;
    }
    for (i32 number = 1; kept < limit; number++) {
        isize best = -1;
        for (isize r = 0; r < rows_n; r++) {
            bool better = best < 0 || rows[r].score > rows[best].score
                       || (!(rows[r].score < rows[best].score) && rows[r].first < rows[best].first);
            if (rows[r].n > 0 && rows[r].group && better) best = r;
        }
        if (best < 0) break;
        isize taken = 0;
        for (isize i = 0; i < n && taken < s->rows_items && kept < limit; i++) {
            if (group[i] != rows[best].group) continue;
            out[kept] = items[i];
            out[kept++].row = number;
            taken++;
        }
        rows[best].n = 0;
    }
    if (kept) memcpy(items, out, (size_t)kept * sizeof *out);
    return kept;
}

void decide_print_rows(const struct decide_world *world, const struct strategy *s,
                       const struct decided_item *items, isize n, struct jsonw *w)
{
    if (!s || s->rows_by == ROWS_NONE) return;
    jsonw_key_begin(w, "rows", '[');
    for (isize i = 0, to; i < n; i = to) {
        const struct item *first = catalog_item(world->catalog, items[i].item);
        for (to = i; to < n && items[to].row == items[i].row;) to++;
        if (!first) continue;
        jsonw_begin(w, '{');
        if (s->rows_by == ROWS_CATEGORY) {
            jsonw_key_str(w, "category", catalog_category_path(world->catalog, first->category_id));
            jsonw_key_str(w, "title", catalog_category_name(world->catalog, first->category_id));
        } else {
            jsonw_key_str(w, "brand", first->brand);
            jsonw_key_str(w, "title", first->brand);
        }
        /* products that led here, those of its first items first */
        jsonw_key_begin(w, "because", '[');
        isize said = 0;
        for (isize k = i; k < to; k++) {
            const struct item *why =
                items[k].because_n ? catalog_item(world->catalog, (item_id){ items[k].because[0] })
                                   : NULL;
            bool again = k > i && items[k - 1].because_n && items[k].because_n
                         && items[k - 1].because[0] == items[k].because[0];
            if (why && !again && said++ < 3) jsonw_str(w, why->key);
        }
        jsonw_end(w, ']');
        jsonw_key_begin(w, "items", '[');
        for (isize k = i; k < to; k++) {
            const struct item *item = catalog_item(world->catalog, items[k].item);
            if (item) jsonw_str(w, item->key);
        }
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}
