/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the same doings and the same seed make the same model, in whatever order they are read and
 * however many threads build it: every recommender, of products and of content, lists, scores,
 * parts, heights and reasons to the last bit, and the same card but for its seconds. Method: a
 * seeded shop with a catalogue, people, visits, baskets, articles, stores and countries, built
 * again and again; all of its recommenders asked alone and together, of the same people, and the
 * bytes of what they answer compared. */
#include "recommend/recommend.h"

#include "base/rcu.h"
#include "math/math.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define NOW ((i64)1700000000000)
enum {
    PRODUCTS = 240,
    ARTICLES = 30,
    ITEMS = PRODUCTS + ARTICLES + 1,
    SESSIONS = 2500,
    ASKED = 40,
    PLACES_N = 9,
    LIMIT = 25
};

struct shop {
    arena a;
    struct catalog *catalog;
    struct interaction *at;
    isize n;
    struct place places[PLACES_N];
};

static void fill_catalog(struct shop *s)
{
    static const char *const colours[] = { "blue", "red", "green", "black", "white" };
    s->catalog = catalog_new();
    for (int i = 1; i < ITEMS; i++) {
        str text = arena_printf(
            &s->a,
            "{\"%s\": \"i-%d\", \"title\": \"Thing number %d of %s\", \"category\": \"Shelf %d > Row %d\", \"brand\": \"Brand %d\","
            " \"colour\": \"%s\", \"price\": \"%d\", \"currency\": \"EUR\", %s\"attributes\": {\"skin-type\": \"%s\"}}",
            i > PRODUCTS ? "content_key" : "product_key", i, i, colours[i % 3], i % 6, i % 18,
            i % 11, colours[i % 5], 10 + i % 70, i % 2 ? "\"repurchase_days\": 60, " : "",
            i % 4 ? "dry" : "oily");
        const struct json *doc;
        struct item_change change;
        assert_int_equal(json_parse(&s->a, text, &doc, NULL), ERR_OK);
        assert_int_equal(item_change_from_json(&s->a, doc, &change, NULL), ERR_OK);
        assert_int_equal(catalog_apply(s->catalog, &change, NOW - DAY_MS).v, i);
    }
}

/* Tastes by shelf, so that there is something to learn; one in five sessions is a basket, one in
 * eight is of articles; what is bought is bought again. */
static void fill_doings(struct shop *s)
{
    struct rng rng = rng_seed(11);
    s->at = arena_new(&s->a, struct interaction, SESSIONS * 8);
    for (u16 p = 1; p < PLACES_N; p++)
        s->places[p] =
            (struct place){ recommend_place(p % 2 ? S("NO") : S("SE")),
                            p > 2 ? recommend_place(arena_printf(&s->a, "store %d", p)) : 0 };
    for (u32 session = 1; session <= SESSIONS; session++) {
        bool basket = session % 5 == 0, articles = session % 8 == 1;
        u32 person = 1 + rng_below(&rng, 500), shelf = person % 6, length = 2 + rng_below(&rng, 5);
        i64 at_ms = NOW - (i64)rng_below(&rng, 60 * 24 * 60) * MINUTE_MS;
        for (u32 k = 0; k < length; k++) {
            u32 product = 1 + rng_below(&rng, 5) * 48 + shelf + 6 * rng_below(&rng, 8),
                article = PRODUCTS + 1 + rng_below(&rng, ARTICLES);
            s->at[s->n++] = (struct interaction){
                .session = session,
                .item = articles ? article : product,
                .at_ms = basket ? at_ms : at_ms + k * SECOND_MS,
                .person = person,
                .kind = articles     ? INTERACTION_CONTENT
                        : basket     ? INTERACTION_PURCHASED
                        : k % 3 == 2 ? INTERACTION_ADDED
                                     : INTERACTION_VIEWED,
                .weight = basket ? 5 : 1,
                .place = (u16)(person % PLACES_N),
            };
        }
    }
}

static void shuffle(struct interaction *at, isize n, u64 seed)
{
    struct rng rng = rng_seed(seed);
    for (isize i = n - 1; i > 0; i--) {
        isize j = (isize)rng_below(&rng, (u32)i + 1);
        struct interaction swap = at[i];
        at[i] = at[j];
        at[j] = swap;
    }
}

static const struct mixed usual = {
    .mix = { RECOMMENDER_SESSION, RECOMMENDER_COOC, RECOMMENDER_EASE }, .mix_n = 3
};

static struct model *built(const struct shop *s, isize threads, u64 seed)
{
    struct recommend_options options = recommend_defaults();
    options.threads = threads;
    options.seed = seed;
    options.als_dims = options.spectral_dims = 16;
    options.places = s->places;
    options.places_n = PLACES_N;
    struct model *m = model_build(s->at, s->n, ITEMS, NOW, &options, s->catalog);
    model_measure(m, s->at, s->n, &usual, 1, NULL);
    /* the first hundreds of them once more, as what came since */
    model_append(m, s->at, s->n / 50, ITEMS);
    return m;
}

/* What is asked for the n-th time: another person's history, cart, product in view, quiz and place. */
static struct recommend_query question(u32 n, arena *a)
{
    struct rng rng = rng_seed(n + 1);
    struct history_entry *history = arena_new(a, struct history_entry, 12);
    u32 *cart = arena_new(a, u32, 2);
    u64 *answers = arena_new(a, u64, 1);
    for (isize i = 0; i < 12; i++)
        history[i] =
            (struct history_entry){ .at_ms = NOW - (12 - i) * (i < 6 ? 20 * DAY_MS : MINUTE_MS),
                                    .quantity = 1,
                                    .item = 1 + rng_below(&rng, PRODUCTS),
                                    .type = i % 4 == 0   ? EVENT_PRODUCT_PURCHASED
                                            : i % 4 == 1 ? EVENT_WISHLIST_ADDED
                                                         : EVENT_PRODUCT_VIEWED };
    cart[0] = 1 + rng_below(&rng, PRODUCTS);
    cart[1] = 1 + rng_below(&rng, PRODUCTS);
    answers[0] = recommend_facet(S("skin-type"), n % 2 ? S("dry") : S("oily"));
    return (struct recommend_query){
        .history = history,
        .history_n = 12,
        .cart = cart,
        .cart_n = n % 3 ? 0 : 2,
        .product = n % 4 ? 0 : 1 + rng_below(&rng, PRODUCTS),
        .answers = answers,
        .answers_n = 1,
        .now_ms = NOW,
        .limit = LIMIT,
        .content = n % 7 == 6,
        .store = n % 2 ? recommend_place(arena_printf(a, "store %d", (int)(3 + n % 6))) : 0,
        .country = recommend_place(S("SE"))
    };
}

static void the_answers_are_the_same(const struct model *one, const struct model *two)
{
    arena a = { 0 };
    isize answered[RECOMMENDERS + 1] = { 0 };
    for (u32 n = 0; n < ASKED; n++)
        for (u8 r = 0; r <= RECOMMENDERS; r++) {        /* each alone, and at the end all at once */
            struct recommend_query q = question(n, &a);
            struct recommended *first, *second;
            for (u8 k = 0; k < RECOMMENDERS; k++)
                if (k == r || r == RECOMMENDERS) q.mix[q.mix_n++] = k;
            isize found = recommend(one, &q, &a, &first);
            assert_int_equal(found, recommend(two, &q, &a, &second));
            answered[r] += found;
            for (isize i = 0; i < found; i++) {
                assert_int_equal(first[i].item, second[i].item);
                assert_memory_equal(&first[i].score, &second[i].score, sizeof first[i].score);
                assert_memory_equal(first[i].parts, second[i].parts, sizeof first[i].parts);
                assert_memory_equal(first[i].heights, second[i].heights, sizeof first[i].heights);
                assert_memory_equal(first[i].because, second[i].because, sizeof first[i].because);
                assert_int_equal(first[i].source, second[i].source);
                assert_int_equal(first[i].near, second[i].near);
                assert_int_equal(first[i].answer, second[i].answer);
            }
            arena_clear(&a);
        }
    for (u8 r = 0; r <= RECOMMENDERS; r++)
        if (answered[r] == 0)
            fail_msg("%s never answered: nothing was compared",
                     r < RECOMMENDERS ? recommender_name(r) : "all");
    struct model_card a_card = model_card(one), b_card = model_card(two);
    a_card.took_us = b_card.took_us = 0;
    a_card.bytes = b_card.bytes;                        /* of threads' own rooms */
    assert_memory_equal(&a_card, &b_card, sizeof a_card);
    const struct mixed *m = model_mixed(one, usual.mix, usual.mix_n, usual.weight),
                       *same = model_mixed(two, usual.mix, usual.mix_n, usual.weight);
    assert_non_null(m);
    assert_memory_equal(m, same, sizeof *m);
    for (u32 i = 1; i < ITEMS; i++) {
        f64 days = model_repurchase_days(one, i), again = model_repurchase_days(two, i);
        assert_memory_equal(&days, &again, sizeof days);
    }
    arena_fini(&a);
}

static void the_same_doings_make_the_same_model(void **state)
{
    (void)state;
    struct shop *s = mem_new(sizeof *s);
    fill_catalog(s);
    fill_doings(s);
    struct model *first = built(s, 1, 1), *again = built(s, 1, 1);
    the_answers_are_the_same(first, again);
    model_free(again);
    for (isize threads = 2; threads <= 3; threads++) {
        again = built(s, threads, 1);
        the_answers_are_the_same(first, again);
        model_free(again);
    }
    model_free(first);
    catalog_free(s->catalog);
    arena_fini(&s->a);
    mem_free(s);
}

/* But for what hangs on them afterwards: what is appended here is the first of the list, so that is
 * left out. */
static void the_order_they_are_read_in_is_nothing(void **state)
{
    (void)state;
    struct shop *s = mem_new(sizeof *s);
    fill_catalog(s);
    fill_doings(s);
    struct model *first = built(s, 1, 1);
    model_append(first, NULL, 0, ITEMS);
    shuffle(s->at, s->n, 3);
    struct model *again = built(s, 2, 1);
    model_append(again, NULL, 0, ITEMS);
    the_answers_are_the_same(first, again);
    model_free(first);
    model_free(again);
    catalog_free(s->catalog);
    arena_fini(&s->a);
    mem_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_doings_make_the_same_model),
        cmocka_unit_test(the_order_they_are_read_in_is_nothing),
    };
    rcu_thread_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_settle();
    rcu_thread_stop();
    return failed;
}
