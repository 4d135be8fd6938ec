/* SPDX-License-Identifier: Apache-2.0
 *
 * rule_bench.c - how long one rule takes for one person, nanoseconds, the median of five rounds.
 * Why it matters: each event asks the rules of the segments it touches, some ten of 200, and ingest
 * is to take 100,000 events a second on two cores: 20 us an event for everything. A question over
 * 100 entries in 300 ns leaves most of that to others. */
#include "rule/rule.h"

#include <stdio.h>

#include "rule/rule_world.h"

enum { ROUNDS = 5, CALLS = 200000, ENTRIES = 100 };

static struct history_entry history[ENTRIES];

static void fill(void)
{
    static const u16 types[] = { EVENT_PRODUCT_VIEWED, EVENT_PRODUCT_VIEWED, EVENT_PAGE_VIEWED,
                                 EVENT_PRODUCT_ADDED, EVENT_ORDER_COMPLETED };
    struct rng r = rng_seed(1);
    for (isize i = 0; i < ENTRIES; i++)
        history[i] = (struct history_entry){
            .at_ms = WORLD_NOW - (ENTRIES - i) * 9 * HOUR_MS,
            .ref = (u64)i,
            .type = types[rng_below(&r, countof(types))],
            .item = 1 + rng_below(&r, 4),
            .quantity = 1,
            .value_minor = (i64)rng_below(&r, 9000),
            .currency = EUR,
        };
}

static void bench(arena *a, const char *name, str text)
{
    const struct rule *rule;
    struct rule_errors errors;
    if (rule_compile(a, text, RULE_FILTER, &world_names, &rule, &errors)) {
        printf("%s does not compile\n", name);
        return;
    }
    struct rule_facts facts = world_facts();
    f64 ns[ROUNDS];
    i64 check = 0;
    facts.history = history;
    facts.history_n = ENTRIES;
    for (int i = 0; i < ROUNDS; i++) {
        i64 start = clock_monotonic_us();
        for (int call = 0; call < CALLS; call++) {
            facts.now_ms = WORLD_NOW + call;
            check += rule_run(rule, &facts).is;
        }
        f64 got = (f64)(clock_monotonic_us() - start) * 1e3 / CALLS;
        int at = i;
        for (; at > 0 && ns[at - 1] > got; at--) ns[at] = ns[at - 1];
        ns[at] = got;
    }
    printf("rule_%s_ns %.0f ns least %.0f most %.0f check %lld\n", name, ns[ROUNDS / 2], ns[0],
           ns[ROUNDS - 1], (long long)check);
}

int main(void)
{
    arena a = { 0 };
    fill();
    bench(&a, "trait", S("gender = \"female\" and age > 30"));
    bench(&a, "did", S("did(order_completed, last 14 days)"));
    bench(
        &a, "count_where",
        S("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3"));
    bench(
        &a, "sum_since",
        S("sum(order_completed.revenue, last 365 days) > 500 EUR and days_since(last order_completed) > 60"));
    bench(&a, "sequence", S("sequence(product_added then not order_completed within 2 hours)"));
    bench(&a, "distinct", S("distinct(product_viewed.brand, last 30 days) >= 3"));
    bench(
        &a, "filter",
        S("item.price < 50 EUR and item.brand in (\"Acme\", \"Nordic\") and not purchased(item, last 180 days)"));
    i64 start = clock_monotonic_us();
    const struct rule *rule;
    struct rule_errors errors;
    for (int i = 0; i < 2000; i++) {
        struct arena_mark mark = arena_mark(&a);
        if (rule_compile(
                &a,
                S("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3"),
                RULE_SEGMENT, &world_names, &rule, &errors))
            return 1;
        arena_reset(&a, mark);
    }
    printf("rule_compile_us %.1f us\n", (f64)(clock_monotonic_us() - start) / 2000);
    arena_fini(&a);
    return 0;
}
