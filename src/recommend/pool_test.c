/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is added to the pool is what a plain array would hold, whatever the order and however
 * often it grows; gifts add up to the scores; heights come highest first, of equal ones the lowest
 * item; like sessions and their scores are those of the definition. Method: seeded random sums
 * beside plain arrays; session neighbours beside a loop over all sessions, with many equally like,
 * long sessions and more sessions than are met. */
#include "recommend/inside.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 700 };

static void sums_are_those_of_a_plain_array(void **state)
{
    (void)state;
    struct rng rng = rng_seed(5);
    arena a = { 0 };
    for (int round = 0; round < 20; round++) {
        static f32 plain[3][ITEMS];
        memset(plain, 0, sizeof plain);
        struct pool p = pool_new(&a, 10, round % 4 == 3);
        for (u8 c = 0; c < 3; c++) {
            isize column = pool_open(&p);
            for (u32 run = 0; run < 12; run++) {
                isize n = rng_below(&rng, 90);
                pool_room(&p, n);
                struct adding to = pool_adding(&p, column);
                for (isize i = 0; i < n; i++) {
                    u32 item = 1 + rng_below(&rng, ITEMS - 1);
                    /* whole numbers: sums are exact in any order */
                    f32 much = (f32)rng_below(&rng, 1000);
                    plain[c][item] += much;
                    pool_add(&to, item, much, gift_from(c, (isize)run));
                }
                pool_added(&p, to);
            }
            (void)pool_row(&p, ITEMS + c);              /* as of a list: a row that nothing was added to */
        }
        isize rows = 0;
        for (u32 item = 1; item < ITEMS + 3; item++) {
            isize row = pool_find(&p, item);
            rows += row >= 0;
            f32 given[3] = { 0 };
            for (u32 at = row < 0 || p.silent ? 0 : p.gifts[row]; at; at = p.gift[at - 1].before)
                given[p.gift[at - 1].from >> 16] += p.gift[at - 1].much;
            for (isize c = 0; c < 3; c++) {
                f32 is = item < ITEMS ? plain[c][item] : 0;
                assert_true(row >= 0 ? p.column[c][row] >= is && p.column[c][row] <= is : is <= 0);
                if (!p.silent) assert_true(given[c] >= is && given[c] <= is);
            }
            if (row >= 0) assert_int_equal(p.item[row], item);
        }
        assert_int_equal(rows, p.n);
        arena_clear(&a);
    }
    arena_fini(&a);
}

struct at_height { f32 score; u32 item; };

static int highest_first(const void *left, const void *right)
{
    const struct at_height *a = left, *b = right;
    if (a->score > b->score || a->score < b->score) return a->score > b->score ? -1 : 1;
    return (a->item > b->item) - (a->item < b->item);
}

static void heights_come_highest_first(void **state)
{
    (void)state;
    struct rng rng = rng_seed(6);
    arena a = { 0 };
    for (isize n = 0; n < 300; n += 1 + n / 9) {
        struct at_height *sorted = arena_new(&a, struct at_height, n);
        f32 *at = arena_room(&a, f32, n + POOL_BLOCK), score;
        u32 *item = arena_new(&a, u32, n);
        isize above = 0;
        for (isize i = 0; i < n; i++) {
            item[i] = (u32)(1 + (i * 379 + 17) % 1009);
            at[i] = (f32)rng_below(&rng, 40) - 5;       /* many equal ones, some below zero */
            sorted[i] = (struct at_height){ at[i], item[i] };
            above += at[i] > 0;
        }
        qsort(sorted, (size_t)n, sizeof *sorted, highest_first);
        struct heights h = heights_of(at, n, item, &a);
        for (isize i = 0; i < above; i++) {
            isize top = heights_top(&h, &score);
            assert_int_equal(item[top], sorted[i].item);
            assert_true(score >= sorted[i].score && score <= sorted[i].score);
            heights_drop(&h, top);
        }
        assert_int_equal(heights_top(&h, &score), -1);
        arena_clear(&a);
    }
    arena_fini(&a);
}

/* ---- like sessions --------------------------------------------------------------------------- */

enum { SESSIONS = 600, SESSION_MOST = 900 };

/* Room for all; n of them. */
static struct interaction *some_sessions(struct rng *rng, bool aged, isize *n)
{
    struct interaction *at = mem_new((isize)SESSIONS * SESSION_MOST * (isize)sizeof *at);
    *n = 0;
    for (u32 s = 1; s <= SESSIONS; s++) {
        isize length = s % 97 == 0 ? SESSION_MOST : 2 + rng_below(rng, 12);
        for (isize i = 0; i < length; i++) {
            u32 far = rng_below(rng, ITEMS - 1);
            at[(*n)++] = (struct interaction){
                s, 1 + far * far / (ITEMS - 1), (aged ? (i64)s * 4000 * SECOND_MS : 0) + i,
                0, INTERACTION_VIEWED,          1,
                0
            };
        }
    }
    return at;
}

static struct model *model_of(const struct interaction *at, isize n, isize met, f64 decay_days)
{
    struct recommend_options o = recommend_defaults();
    o.only = 1U << RECOMMENDER_SESSION;
    o.kept = 1000;
    o.sessions_per_item = met;
    o.session_decay_days = decay_days;
    return model_build(at, n, ITEMS, (i64)(SESSIONS + 1) * 4000 * SECOND_MS, &o, NULL);
}

static struct model *some_model(struct rng *rng, isize met, bool aged)
{
    isize n;
    struct interaction *at = some_sessions(rng, aged, &n);
    struct model *m = model_of(at, n, met, recommend_defaults().session_decay_days);
    mem_free(at);
    return m;
}

/* Some sought, some seldom; distinct. */
static void some_items(struct rng *rng, u32 *items, isize n)
{
    for (isize i = 0, known = 0; i < n; known = 0) {
        items[i] = 1 + rng_below(rng, i % 2 ? 40 : ITEMS - 1);
        for (isize k = 0; k < i; k++) known += items[k] == items[i];
        i += known == 0;
    }
}

struct like { u32 session; f32 similarity; isize anchor, ago; };

static int likest_first(const void *left, const void *right)
{
    const struct like *a = left, *b = right;
    if (a->similarity > b->similarity || a->similarity < b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    return (a->session > b->session) - (a->session < b->session);
}

static isize held_at(const struct model *m, u32 session, u32 item)
{
    for (u32 at = m->session_from[session]; at < m->session_from[session + 1]; at++)
        if (m->session_items[at] == item) return (isize)(at - m->session_from[session]);
    return -1;
}

/* Item by item's newest sessions, as postings are cut; of them the newest `met`; of them the likest. */
static void like_sessions_are_those_of_the_definition(void **state)
{
    (void)state;
    struct rng rng = rng_seed(7);
    arena a = { 0 };
    for (int round = 0; round < 60; round++) {
        isize met = round % 3 == 0   ? 30
                    : round % 3 == 1 ? 150
                                     : 1000,
              wanted = 1 + rng_below(&rng, 120), n = 1 + rng_below(&rng, 10);
        struct model *m = some_model(&rng, met, round % 2);
        u32 items[10];
        some_items(&rng, items, n);
        struct like *like = arena_new(&a, struct like, SESSIONS);
        isize like_n = 0;
        for (u32 s = 0; s < SESSIONS && like_n < met; s++) {
            struct like l = { s, 0, -1, -1 };
            for (isize p = 0; p < n; p++) {
                f32 left = -1;
                for (u32 at = m->posting_from[items[p]]; at < m->posting_from[items[p] + 1]; at++)
                    if (m->postings[at].from == m->session_from[s])
                        left = weight_unpacked(m->postings[at].weight);
                if (left < 0) continue;
                l.similarity += m->position_weight[p] * left;
                if (l.ago < 0) { l.ago = p; l.anchor = held_at(m, s, items[p]); }
            }
            if (l.ago < 0) continue;
            like[like_n++] = l;
        }
        qsort(like, (size_t)like_n, sizeof *like, likest_first);
        static f64 expected[ITEMS];
        memset(expected, 0, sizeof expected);
        for (isize i = 0; i < min_isize(like_n, wanted); i++)
            for (u32 at = m->session_from[like[i].session]; at < m->session_from[like[i].session + 1]; at++) {
                isize distance =
                    labs((long)((isize)(at - m->session_from[like[i].session]) - like[i].anchor));
                if (distance > DISTANCE_MAX) continue;
                expected[m->session_items[at]] +=
                    (f64)(like[i].similarity * m->position_weight[like[i].ago]
                          * m->idf[m->session_items[at]])
                    * exp(-(f64)distance / m->options.distance_decay);
            }
        struct neighbours near = sknn_neighbours(m, NULL, items, n, wanted, &a);
        struct pool p = pool_new(&a, 10, false);
        isize column = pool_open(&p);
        sknn_score(m, &near, false, &p, column);
        assert_int_equal(near.n, min_isize(like_n, wanted));
        for (u32 item = 1; item < ITEMS; item++) {
            isize row = pool_find(&p, item);
            f64 is = row < 0 ? 0 : (f64)p.column[column][row];
            /* Sums of up to 120 numbers of 24 bits, in another order. */
            assert_true(fabs(is - expected[item]) <= 1e-5 * expected[item]);
        }
        arena_clear(&a);
        model_free(m);
    }
    arena_fini(&a);
}

static int heaviest_first(const void *left, const void *right)
{
    const struct stretch *a = left, *b = right;
    return (a->weight < b->weight) - (a->weight > b->weight);
}

/* What was built and what is new are asked as one: the same likeness as if all were built at once,
 * digit for digit, for nothing of it depends on when that was. */
static void sessions_since_the_build_are_likest_among_all(void **state)
{
    (void)state;
    struct rng rng = rng_seed(8);
    arena a = { 0 };
    for (int round = 0; round < 40; round++) {
        isize met = round % 2 ? 1000 : 50, wanted = 1 + rng_below(&rng, 120), n = 1 + rng_below(&rng, 10);
        isize all, built = 0;
        struct interaction *at = some_sessions(&rng, true, &all);
        u32 last = rng_below(&rng, SESSIONS), items[10];
        while (built < all && at[built].session <= last) built++;
        struct model *whole = model_of(at, all, met, 0), *m = model_of(at, built, met, 0),
                     *fresh = model_of(at + built, all - built, met, 0);
        mem_free(at);
        some_items(&rng, items, n);
        struct neighbours expected = sknn_neighbours(whole, NULL, items, n, wanted, &a),
                          is = sknn_neighbours(m, fresh, items, n, wanted, &a);
        assert_int_equal(is.n, expected.n);
        qsort(expected.at, (size_t)expected.n, sizeof *expected.at, heaviest_first);
        qsort(is.at, (size_t)is.n, sizeof *is.at, heaviest_first);
        for (isize i = 0; i < is.n; i++) assert_true(heaviest_first(&is.at[i], &expected.at[i]) == 0);
        arena_clear(&a);
        model_free(whole);
        model_free(m);
        model_free(fresh);
    }
    arena_fini(&a);
}

static void a_weight_is_kept_to_a_thousandth(void **state)
{
    (void)state;
    for (f64 w = 1; w > 1e-30; w *= .97)
        assert_true(fabs((f64)weight_unpacked(weight_packed((f32)w)) - w) <= w / 1000);
    assert_true(weight_unpacked(weight_packed(1)) >= 1 && weight_unpacked(weight_packed(1)) <= 1);
    assert_true(weight_unpacked(weight_packed(0)) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_a_plain_array),
        cmocka_unit_test(heights_come_highest_first),
        cmocka_unit_test(a_weight_is_kept_to_a_thousandth),
        cmocka_unit_test(like_sessions_are_those_of_the_definition),
        cmocka_unit_test(sessions_since_the_build_are_likest_among_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
