/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_bench.c - a segment over everybody, defined now: how long the count takes. Why it
 * matters: a number beside the rule while it is typed; the budget is one second for a million
 * people. People and events a person are the two arguments, 50,000 and 20 without any. */
#include "base/rcu.h"
#include "segment/segment.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 5, EUR = (5 << 10) | (21 << 5) | 18 };
#define WORLD_NOW ((i64)1785067200000)                  /* 2026-07-26 */

static void fill(struct people *people, u32 n, isize events)
{
    static const u16 types[] = { EVENT_PAGE_VIEWED,    EVENT_PRODUCT_VIEWED,
                                 EVENT_PRODUCT_VIEWED, EVENT_PRODUCT_VIEWED,
                                 EVENT_PRODUCT_ADDED,  EVENT_PRODUCTS_SEARCHED,
                                 EVENT_ORDER_COMPLETED };
    struct rng r = rng_seed(7);
    for (u32 id = 1; id <= n; id++) {
        arena a = { 0 };
        struct profile_edit edit;
        people_edit(people, (person_id){ id }, &a, &edit);
        (void)edit_node(&edit, id, &a);
        edit.created_at_ms = WORLD_NOW - 200 * DAY_MS;
        struct fact sex = { .name = S("gender"),
                            .kind = FACT_TEXT,
                            .text = rng_below(&r, 2) ? S("female") : S("male") };
        edit_trait(&edit, &a, (struct trait){ sex, S("shop"), edit.created_at_ms, id, TRAIT_GIVEN });
        isize mine = rng_below(&r, (u32)events * 2 + 1);
        for (isize i = 0; i < mine; i++)
            edit_entry(
                &edit, &a,
                (struct history_entry){ .at_ms = WORLD_NOW - (i64)rng_below(&r, 90 * 86400) * 1000,
                                        .ref = rng_next(&r) >> 8,
                                        .type = types[rng_below(&r, countof(types))],
                                        .item = 1 + rng_below(&r, 1000),
                                        .quantity = 1,
                                        .value_minor = rng_below(&r, 9000),
                                        .currency = EUR,
                                        .channel = CHANNEL_WEB });
        people_commit(people, &edit, 1000);
        arena_fini(&a);
    }
}

static void fill_catalog(struct catalog *catalog)
{
    static const str categories[] = { S_INIT("Clothes > Jeans"), S_INIT("Clothes > Sweaters"), S_INIT("Kitchen > Kettles"), S_INIT("Shoes") };
    struct rng r = rng_seed(3);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        struct buf name = { .ptr = key, .cap = sizeof key };
        buf_printf(&name, "p-%d", i);
        catalog_see(catalog,
                    &(struct event_item){ .product_key = buf_str(&name),
                                          .category = categories[rng_below(&r, 4)],
                                          .brand = S("Acme") },
                    (currency){ EUR }, WORLD_NOW, 1);
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; str text; } rules[] = {
        { "trait", S_INIT("gender = \"female\"") },
        { "count", S_INIT("count(product_viewed, last 30 days) >= 3") },
        { "jeans", S_INIT("gender = \"female\" and count(product_viewed where category under \"jeans\", last 30 days) >= 3") },
        { "spent", S_INIT("sum(order_completed.revenue, last 365 days) > 100 EUR and days_since(last order_completed) > 14") },
        { "cart", S_INIT("sequence(product_added then not order_completed within 2 hours, last 7 days)") },
        { "stage", S_INIT("stage = \"consideration\"") },
    };
    u32 n = argc > 1 ? (u32)strtoul(argv[1], NULL, 10) : 50000;
    isize events = argc > 2 ? strtol(argv[2], NULL, 10) : 20;
    struct people *people = people_new();
    struct catalog *catalog = catalog_new();
    static struct segment_set none;
    arena a = { 0 };
    fill_catalog(catalog);
    fill(people, n, events);
    struct sweep everybody = { .people = people };
    rcu_thread_start();
    printf("segment_people %u people, events a person %td\n", n, events);
    for (isize k = 0; k < countof(rules); k++) {
        const struct rule *rule;
        struct rule_errors errors;
        if (rule_compile(&a, rules[k].text, RULE_SEGMENT, NULL, &rule, &errors)) return 1;
        i64 all[ROUNDS], one[ROUNDS], count = 0;
        for (int i = 0; i < ROUNDS; i++) {
            struct segment_preview found = segment_preview(&everybody, catalog, rule, &none, WORLD_NOW);
            i64 began = clock_monotonic_us();
            count = segment_walk(people, catalog, rule, &none, WORLD_NOW, NULL, NULL);
            i64 took = clock_monotonic_us() - began;
            if (count != found.count) return 1;
            int x = i, y = i;
            for (; x > 0 && all[x - 1] > found.took_us; x--) all[x] = all[x - 1];
            for (; y > 0 && one[y - 1] > took; y--) one[y] = one[y - 1];
            all[x] = found.took_us;
            one[y] = took;
        }
        printf("segment_preview_%s_ms %.1f ms least %.1f, one thread %.1f, members %lld\n",
               rules[k].name, (f64)all[ROUNDS / 2] / 1e3, (f64)all[0] / 1e3,
               (f64)one[ROUNDS / 2] / 1e3, (long long)count);
    }
    arena_fini(&a);
    rcu_thread_stop();
    people_free(people);
    catalog_free(catalog);
    return 0;
}
