/* SPDX-License-Identifier: Apache-2.0
 *
 * known.c - words of a shop that stand for questions the language has already.
 *
 * An alias is a value: orders.count is count(order_completed). A ladder is a fact that rules decide:
 * the word of the first rung whose rule holds. Both are written in the language itself, so they are
 * explained, timed and priced like anything else; only their printing is the short word. */
#include "rule/inside.h"

/* net: returns are taken off, as sums do it, before the average is drawn. */
static const struct { str name, means; bool net; } aliases[] = {
    { S_INIT("orders.count"), S_INIT("count(order_completed)"), false },
    { S_INIT("orders.revenue"), S_INIT("sum(order_completed.revenue)"), false },
    { S_INIT("orders.average"), S_INIT("average(order_completed.revenue)"), true },
    { S_INIT("orders.largest"), S_INIT("max(order_completed.revenue)"), false },
    { S_INIT("orders.items"), S_INIT("sum(product_purchased.quantity)"), false },
    { S_INIT("orders.frequency"), S_INIT("count(order_completed, last 365 days)"), false },
    { S_INIT("orders.first"), S_INIT("at(first order_completed)"), false },
    { S_INIT("orders.last"), S_INIT("at(last order_completed)"), false },
    { S_INIT("cart.count"), S_INIT("count(in_cart)"), false },
    { S_INIT("cart.value"), S_INIT("sum(in_cart.value)"), false },
    { S_INIT("wishlist.count"), S_INIT("count(in_wishlist)"), false },
};

static const struct rule_rung stages[] = {
    { S_INIT("loyal"), S_INIT("count(order_completed, last 365 days) >= 3"),
      S_INIT("Thank them: early access, what goes with what they have, a reason to tell others.") },
    { S_INIT("purchase"), S_INIT("did(order_completed, last 30 days)"),
      S_INIT("Help with what was bought: delivery, care, returns. No discount on it now.") },
    { S_INIT("intent"), S_INIT("did(in_cart, last 14 days) or did(in_wishlist, last 30 days) or did(checkout_started, last 7 days)"),
      S_INIT("Take doubts away: stock, delivery date, returns, and the way back to the cart.") },
    { S_INIT("consideration"),
      S_INIT("count(product_viewed, last 30 days) >= 3 or did(products_searched, last 14 days) or did(product_list_filtered, last 14 days)"),
      S_INIT("Help to choose: comparisons, guides, reviews, and what others took in the end.") },
    { S_INIT("awareness"), S_INIT("did(anything)"),
      S_INIT("Show what the shop is good at, and ask what they are looking for.") },
};

static const struct rule_rung intents[] = {
    { S_INIT("buy"), S_INIT("did(in_cart, last 7 days) or did(checkout_started, last 1 day)"),
      S_INIT("Keep the way to the till short.") },
    { S_INIT("compare"), S_INIT("distinct(product_viewed.product, last 7 days) >= 3"),
      S_INIT("Put side by side what they looked at.") },
    { S_INIT("find"), S_INIT("did(products_searched, last 1 day)"),
      S_INIT("Answer the search: close matches, sizes and colours in stock.") },
    { S_INIT("browse"), S_INIT("did(anything, last 7 days)"),
      S_INIT("Inspire: what is new and what is popular.") },
};

static const struct rule_rung retentions[] = {
    { S_INIT("kept"), S_INIT("did(order_completed, last 365 days) and did(order_completed, between 365 and 730 days ago)"),
      S_INIT("They came back within a year.") },
    { S_INIT("new"), S_INIT("did(order_completed, last 365 days)"),
      S_INIT("Their second order matters most.") },
    { S_INIT("lost"), S_INIT("did(order_completed)"),
      S_INIT("A year without an order: ask why, or let them be.") },
};

static const struct { str name; const struct rule_rung *rungs; isize n; } ladders[] = {
    { S_INIT("stage"), stages, countof(stages) },
    { S_INIT("intent"), intents, countof(intents) },
    { S_INIT("retention"), retentions, countof(retentions) },
};

const struct rule_rung *rule_ladder(str name, isize *n)
{
    for (isize i = 0; i < countof(ladders); i++) {
        if (!str_eq(name, ladders[i].name)) continue;
        *n = ladders[i].n;
        return ladders[i].rungs;
    }
    *n = 0;
    return NULL;
}

static struct node *parse_own(arena *a, str text)
{
    struct tokens tokens;
    struct rule_errors errors = { 0 };
    rule_lex(a, a, text, &tokens, &errors);
    struct node *n = rule_parse(a, tokens, &errors);
    assert(errors.n == 0);
    return n;
}

str rule_alias_name(isize at) { return at < countof(aliases) ? aliases[at].name : S(""); }

struct node *rule_alias(arena *a, str name)
{
    for (isize i = 0; i < countof(aliases); i++) {
        if (!str_eq(name, aliases[i].name)) continue;
        struct node *n = parse_own(a, aliases[i].means)->kids[0];   /* a value alone reads as a test of it */
        n->name = aliases[i].name;
        n->scans->nets_returns = aliases[i].net;
        return n;
    }
    return NULL;
}

struct node *rule_ladder_parse(arena *a, str name)
{
    isize n;
    const struct rule_rung *rungs = rule_ladder(name, &n);
    if (!rungs) return NULL;
    struct node *ladder = arena_new(a, struct node, 1);
    ladder->kind = NODE_LADDER;
    ladder->name = name;
    ladder->kids = arena_new(a, struct node *, n);
    for (isize i = 0; i < n; i++) ladder->kids[ladder->kids_n++] = parse_own(a, rungs[i].rule);
    return ladder;
}
