/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a store's and a country's lists are what the formulas of places.c say, fall back from the
 * store to the country to everybody, say how near what they name was, and stay bounded. Method:
 * five piles of purchases whose scores were worked out apart from this code (by hand, in Python,
 * from the formulas alone); compared to a billionth, since both sum a handful of exact halves. Then
 * many places. */
#include "recommend/recommend.h"

#include <stdarg.h>
#include <setjmp.h>
#include <math.h>
#include <cmocka.h>

#define NOW ((i64)1700000000000)
enum { ITEMS = 10, NORWAY = 1, SWEDEN, OSLO, BERGEN, PLACES_N = 5 };

static void place_names(struct place *places)
{
    u32 no = recommend_place(S("NO")), se = recommend_place(S("SE"));
    places[0] = (struct place){ 0 };
    places[NORWAY] = (struct place){ .country = no };
    places[SWEDEN] = (struct place){ .country = se };
    places[OSLO] = (struct place){ no, recommend_place(S("oslo-1")) };
    places[BERGEN] = (struct place){ no, recommend_place(S("bergen-2")) };
}

struct pile { u32 item; u16 place; isize n; i64 days_ago; };

static struct model *model_of(const struct pile *piles, isize n)
{
    struct interaction at[1000];
    struct place places[PLACES_N];
    isize all = 0;
    place_names(places);
    for (isize p = 0; p < n; p++)
        for (isize i = 0; i < piles[p].n; i++) {
            assert_true(all < countof(at));
            at[all] = (struct interaction){ .session = (u32)all + 1,
                                            .item = piles[p].item,
                                            .at_ms = NOW - piles[p].days_ago * DAY_MS,
                                            .kind = INTERACTION_PURCHASED,
                                            .weight = 1,
                                            .place = piles[p].place };
            all++;
        }
    struct recommend_options options = recommend_defaults();
    options.places = places;
    options.places_n = countof(places);
    return model_build(at, all, ITEMS, NOW, &options, NULL);
}

static struct model *norway_and_sweden(void)
{
    static const struct pile piles[] = {
        { 1, OSLO, 100, 0 }, { 2, OSLO, 10, 0 }, { 3, OSLO, 1, 14 }, { 2, BERGEN, 80, 0 }, { 3, SWEDEN, 100, 0 }, { 4, SWEDEN, 20, 0 },
    };
    return model_of(piles, countof(piles));
}

static isize asked(const struct model *m, u8 recommender, str store, str country, arena *a,
                   struct recommended **list)
{
    struct recommend_query q = { .now_ms = NOW, .limit = 10, .mix = { recommender }, .mix_n = 1,
                                 .store = recommend_place(store), .country = recommend_place(country) };
    return recommend(m, &q, a, list);
}

struct expected { u32 item; f64 score; u8 near; };

static void the_list_is(const struct model *m, u8 recommender, str store, str country,
                        const struct expected *expected, isize n)
{
    arena a = { 0 };
    struct recommended *list;
    assert_int_equal(asked(m, recommender, store, country, &a, &list), n);
    for (isize i = 0; i < n; i++) {
        assert_int_equal(list[i].item, expected[i].item);
        assert_true(fabs(list[i].score - expected[i].score) < 1e-8);
        assert_int_equal(list[i].near, expected[i].near);
        assert_int_equal(list[i].source, recommender);
    }
    arena_fini(&a);
}

static void a_place_leans_on_the_one_around_it(void **state)
{
    (void)state;
    struct model *m = norway_and_sweden();
    const u8 s = PLACE_STORE, c = PLACE_COUNTRY, e = PLACE_EVERYWHERE;
    the_list_is(m, RECOMMENDER_POPULAR_HERE, S("oslo-1"), S("NO"),
                (struct expected[]){
                    { 1, 1, s }, { 2, .465703643, s }, { 3, .184090912, s }, { 4, .035818182, e } },
                4);
    the_list_is(m, RECOMMENDER_BESTSELLERS_HERE, S("bergen-2"), S(""),
                (struct expected[]){
                    { 2, 1, s }, { 1, .54052566, c }, { 3, .214465864, c }, { 4, .042352647, e } },
                4);
    the_list_is(m, RECOMMENDER_POPULAR_HERE, S(""), S("no"),
                (struct expected[]){
                    { 1, 1, c }, { 2, .9, c }, { 3, .396772772, c }, { 4, .078354554, e } },
                4);
    the_list_is(m, RECOMMENDER_TRENDING_HERE, S("OSLO-1"), S(""),
                (struct expected[]){
                    { 1, 1, s }, { 2, .856175646, s }, { 4, .430655249, e }, { 3, .294115031, s } },
                4);
    the_list_is(m, RECOMMENDER_TRENDING_HERE, S(""), S("NO"),
                (struct expected[]){
                    { 1, 1, c }, { 2, .985350546, c }, { 4, .581199624, e }, { 3, .538495528, c } },
                4);
    assert_int_equal(model_card(m).countries, 2);
    assert_int_equal(model_card(m).stores, 2);
    model_free(m);
}

static void an_unknown_store_is_its_country_and_an_unknown_country_is_everywhere(void **state)
{
    (void)state;
    struct model *m = norway_and_sweden();
    const u8 c = PLACE_COUNTRY, e = PLACE_EVERYWHERE;
    the_list_is(m, RECOMMENDER_POPULAR_HERE, S("new-store"), S("NO"),
                (struct expected[]){
                    { 1, 1, c }, { 2, .9, c }, { 3, .396772772, c }, { 4, .078354554, e } },
                4);
    const struct expected everywhere[] = {
        { 3, 1, e }, { 1, .995024876, e }, { 2, .895522388, e }, { 4, .199004975, e }
    };
    the_list_is(m, RECOMMENDER_POPULAR_HERE, S("new-store"), S("FI"), everywhere, 4);
    the_list_is(m, RECOMMENDER_POPULAR_HERE, S(""), S(""), everywhere, 4);
    the_list_is(m, RECOMMENDER_POPULAR, S("oslo-1"), S("NO"), everywhere, 4);
    model_free(m);
}

static bool is_not_the_first(void *ctx, u32 item) { (void)ctx; return item != 1; }

/* As every recommender: the filter costs no place, and its part in a blend is its own score over its best. */
static void it_is_filtered_and_blended_like_any_other(void **state)
{
    (void)state;
    struct model *m = norway_and_sweden();
    arena a = { 0 };
    struct recommended *list;
    struct recommend_query q = {
        .now_ms = NOW,
        .limit = 10,
        .mix = { RECOMMENDER_POPULAR_HERE, RECOMMENDER_POPULAR },
        .mix_n = 2,
        .weight = { [RECOMMENDER_POPULAR_HERE] = 1, [RECOMMENDER_POPULAR] = 1 },
        .store = recommend_place(S("oslo-1"))
    };
    assert_int_equal(recommend(m, &q, &a, &list), 4);
    for (isize i = 0; i < 4; i++)
        if (list[i].item == 2) {
            assert_true(fabs(list[i].parts[RECOMMENDER_POPULAR_HERE] - .465703643) < 1e-8);
            assert_true(fabs(list[i].parts[RECOMMENDER_POPULAR] - .895522388) < 1e-8);
        }
    q.mix_n = 1;
    q.eligible = is_not_the_first;
    assert_int_equal(recommend(m, &q, &a, &list), 3);
    assert_int_equal(list[0].item, 2);
    assert_true(fabs(list[0].score - 1) < 1e-12);
    arena_fini(&a);
    model_free(m);
}

/* More stores, countries and items than are kept: those where most is done stay. */
static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    enum { MANY_STORES = 560, MANY_COUNTRIES = 280, MANY_ITEMS = 400, N = MANY_STORES * 3 + MANY_ITEMS };
    arena a = { 0 };
    struct place *places = arena_new(&a, struct place, MANY_STORES + 1);
    struct interaction *at = arena_new(&a, struct interaction, N);
    isize n = 0;
    for (u16 s = 1; s <= MANY_STORES; s++) {
        places[s] =
            (struct place){ recommend_place(arena_printf(&a, "country %d", s % MANY_COUNTRIES)),
                            recommend_place(arena_printf(&a, "store %d", s)) };
        for (isize i = 0; i < (s <= 500 ? 3 : 1); i++, n++)
            at[n] = (struct interaction){ .session = (u32)n + 1,
                                          .item = 1 + s % 9U,
                                          .at_ms = NOW,
                                          .kind = INTERACTION_PURCHASED,
                                          .weight = 1,
                                          .place = s };
    }
    for (u32 item = 1; item < MANY_ITEMS; item++, n++)
        at[n] = (struct interaction){ .session = (u32)n + 1,
                                      .item = item,
                                      .at_ms = NOW,
                                      .kind = INTERACTION_PURCHASED,
                                      .weight = 1,
                                      .place = 7 };
    struct recommend_options options = recommend_defaults();
    options.places = places;
    options.places_n = MANY_STORES + 1;
    struct model *m = model_build(at, n, MANY_ITEMS, NOW, &options, NULL);
    assert_int_equal(model_card(m).stores, 500);
    assert_int_equal(model_card(m).countries, 250);
    struct recommended *list;
    struct recommend_query q = { .now_ms = NOW,
                                 .limit = 1000,
                                 .mix = { RECOMMENDER_POPULAR_HERE },
                                 .mix_n = 1,
                                 .store = recommend_place(S("store 7")) };
    assert_int_equal(recommend(m, &q, &a, &list), 300);
    /* one sale, as many as the others that were left out */
    q.store = recommend_place(S("store 501"));
    assert_int_equal(recommend(m, &q, &a, &list), MANY_ITEMS - 1);
    model_free(m);
    arena_fini(&a);
}

static void names_are_the_same_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(recommend_place(S("Norway")), recommend_place(S(" norway ")));
    assert_int_not_equal(recommend_place(S("Norway")), recommend_place(S("Sweden")));
    assert_int_equal(recommend_place(S("")), 0);
    assert_int_equal(recommend_place(S("  ")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_leans_on_the_one_around_it),
        cmocka_unit_test(an_unknown_store_is_its_country_and_an_unknown_country_is_everywhere),
        cmocka_unit_test(it_is_filtered_and_blended_like_any_other),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(names_are_the_same_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
