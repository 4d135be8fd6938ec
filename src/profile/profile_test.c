/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "profile/profile.h"

#define T0 1760000000000ll

static void put(struct catalog *c, arena *a, str json)
{
    const struct json *doc;
    struct item_change change;
    struct diag diag = { .arena = a };
    assert_int_equal(json_parse(a, json, &doc, &diag), ERR_OK);
    assert_int_equal(item_change_from_json(a, doc, &change, &diag), ERR_OK);
    (void)catalog_apply(c, &change, T0);
}

static bool near(f64 got, f64 wanted) { return got > wanted - 1e-12 && got < wanted + 1e-12; }

/* Weights by hand: a view counts 1, an addition 3, and half of it a half-life of 30 days later. */
static void likings_fade_by_half_in_30_days_and_are_shares(void **state)
{
    (void)state;
    arena a = { 0 };
    struct catalog *c = catalog_new();
    put(c, &a,
        S("{\"product_key\":\"j\",\"title\":\"Jeans\",\"category\":\"Women > Jeans\",\"brand\":\"Acme\"}"));
    put(c, &a,
        S("{\"product_key\":\"s\",\"title\":\"Shoe\",\"category\":\"Women > Shoes\",\"brand\":\"Fjord\"}"));
    u32 jeans = catalog_find(c, S("j")).v, shoe = catalog_find(c, S("s")).v;
    const struct history_entry history[] = {
        { .at_ms = T0 - 30 * DAY_MS, .type = EVENT_PRODUCT_VIEWED, .item = shoe, .quantity = 1 },
        { .at_ms = T0 - 10, .type = EVENT_PAGE_VIEWED },
        { .at_ms = T0 - 5, .type = EVENT_PRODUCT_VIEWED, .item = shoe, .quantity = 1, .flags = HISTORY_BOT },
        { .at_ms = T0, .type = EVENT_PRODUCT_VIEWED, .item = jeans, .quantity = 1 },
        { .at_ms = T0 + DAY_MS, .type = EVENT_PRODUCT_ADDED, .item = shoe, .quantity = 1 },
    };
    struct profile p = { .history = history, .history_n = countof(history) };
    assert_true(near(profile_affinity(&p, c, S("category"), S("jeans"), T0), 1 / 1.5));
    assert_true(near(profile_affinity(&p, c, S("category"), S("Women"), T0), 1));
    assert_true(near(profile_affinity(&p, c, S("brand"), S("fjord"), T0), .5 / 1.5));
    assert_true(near(profile_affinity(&p, c, S("category"), S("hats"), T0), 0));
    assert_true(profile_affinity(&p, c, S("category"), S("shoes"), T0 + DAY_MS) > .7);

    struct likings l = profile_likings(&p, c, T0, &a);
    assert_int_equal(l.each_n, 2);
    assert_int_equal(l.categories_n, 2);
    struct profile_world world = { .profile = &p, .catalog = c, .now_ms = T0, .likings = &l };
    struct rule_facts facts = profile_facts(&world);
    assert_false(facts.affinity_lasts);                 /* an entry of tomorrow is there */
    assert_true(near(facts.affinity(facts.ctx, S("category"), S("Jeans"), T0).n, 1 / 1.5));
    assert_true(facts.affinity(facts.ctx, S("category"), S("shoes"), T0 + DAY_MS).n > .7);
    static const str asked[] = { S_INIT("Jeans"), S_INIT("WOMEN"), S_INIT("Women > Jeans"), S_INIT("shoes"), S_INIT("hats"), S_INIT("") };
    for (isize i = 0; i < countof(asked); i++) {        /* looked up by name, the same to the bit */
        l.names = NULL;
        f64 walked = facts.affinity(facts.ctx, S("category"), asked[i], T0).n;
        l.names = likings_names(&l, c, &a);
        assert_true(facts.affinity(facts.ctx, S("category"), asked[i], T0).n == walked);
    }
    world.now_ms = T0 + DAY_MS;
    assert_true(profile_facts(&world).affinity_lasts);
    catalog_free(c);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(likings_fade_by_half_in_30_days_and_are_shares) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
