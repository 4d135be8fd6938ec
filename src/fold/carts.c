/* SPDX-License-Identifier: Apache-2.0
 *
 * carts.c - which cart something was done with.
 *
 * A line of history has no room for a cart's key, so it bears a number, and an observed trait of the
 * same node, "cart.7", says which key that is. Numbers go round: a node keeps CARTS_PER_NODE_MAX
 * carts, the oldest makes room, and a line older than the trait of its number is of a cart that was
 * forgotten. Traits know their node, so merging and parting people needs no more than it does anyway. */
#include "fold/inside.h"

enum { CARTS_PER_NODE_MAX = 32 };

u8 cart_number(struct profile_edit *edit, arena *a, const struct event *e, u32 node)
{
    const struct trait *oldest = NULL;
    i64 number = 0, known = 0;
    if (e->cart.len == 0 || e->cart.len > EVENT_KEY_BYTES_MAX) return 0;
    for (isize i = 0; i < edit->traits.n; i++) {
        const struct trait *t = &edit->traits.at[i];
        if (t->node != node || t->origin != TRAIT_OBSERVED
            || !str_starts(t->fact.name, S(CART_TRAIT)))
            continue;
        if (!str_to_i64(str_from(t->fact.name, S(CART_TRAIT).len), &number)) continue;
        if (str_eq(t->fact.text, e->cart)) return (u8)number;
        known++;
        if (!oldest || t->at_ms < oldest->at_ms) oldest = t;
    }
    if (known < CARTS_PER_NODE_MAX) number = known + 1;
    else if (oldest->at_ms > e->at_ms
             || !str_to_i64(str_from(oldest->fact.name, S(CART_TRAIT).len), &number))
        return 0;
    struct fact fact = { .name = arena_printf(a, CART_TRAIT "%lld", (long long)number),
                         .kind = FACT_TEXT,
                         .text = e->cart };
    edit_trait(edit, a, (struct trait){ fact, e->source, e->at_ms, node, TRAIT_OBSERVED });
    return (u8)number;
}
