/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket_test.c - the hash against published vectors, its evenness, shares, the holdout.
 *
 * Vectors: Optimizely's JavaScript SDK unit tests (Apache-2.0) and values taken from the SDK's own
 * hash function, non-ASCII ids among them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "math/math.h"
#include "experiment/experiment.h"

static void R80_buckets_equal_the_published_vectors(void **state)
{
    (void)state;
    static const struct { str who, experiment; i32 bucket; } rows[] = {
        { S_INIT("ppid1"), S_INIT("1886780721"), 5254 }, { S_INIT("ppid2"), S_INIT("1886780721"), 4299 },
        { S_INIT("ppid2"), S_INIT("1886780722"), 2434 }, { S_INIT("ppid3"), S_INIT("1886780721"), 5439 },
        { S_INIT("user-1"), S_INIT("8001"), 8748 },
        { S_INIT("\xC5\xBC-\xC3\xB3\xC5\x82\xC4\x87"), S_INIT("8001"), 8712 },
        { S_INIT("\xF0\x9F\x98\x80"), S_INIT("8001"), 1145 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        assert_int_equal(experiment_bucket((struct bucket_key){ rows[i].who, rows[i].experiment }),
                         rows[i].bucket);
    }
    static const struct { str text; u32 hash; } hashes[] = {
        { S_INIT(""), 1364076727u }, { S_INIT("a"), 1485495528u }, { S_INIT("user-18001"), 3757503971u },
        { S_INIT("\xC5\xBC-\xC3\xB3\xC5\x82\xC4\x87" "8001"), 3742049457u },
        { S_INIT("\xF0\x9F\x98\x80" "8001"), 491784807u },
    };
    for (isize i = 0; i < countof(hashes); i++) {
        /* Wherever the text is cut in two, the hash is that of the whole. */
        for (isize cut = 0; cut <= hashes[i].text.len; cut++) {
            struct bucket_key key = { str_slice(hashes[i].text, 0, cut), str_from(hashes[i].text, cut) };
            assert_int_equal(experiment_hash(key), hashes[i].hash);
        }
    }
}

/* Chi-square of 100 cells, 99 degrees of freedom: deterministic, so the bound only has to hold
 * once; p > 0.001. */
static void buckets_are_even_and_two_experiments_independent(void **state)
{
    (void)state;
    arena a = { 0 };
    enum { N = 200000 };
    str first = experiment_id_of(&a, S("flag/a/x")), second = experiment_id_of(&a, S("flag/b/x"));
    f64 cell[10][10] = { { 0 } };
    for (int i = 0; i < N; i++) {
        struct arena_mark mark = arena_mark(&a);
        str who = arena_printf(&a, "person-%d", i);
        i32 x = experiment_bucket((struct bucket_key){ who, first }) / 1000;
        i32 y = experiment_bucket((struct bucket_key){ who, second }) / 1000;
        cell[x][y]++;
        arena_reset(&a, mark);
    }
    f64 chi = 0;
    for (int x = 0; x < 10; x++) {
        for (int y = 0; y < 10; y++) chi += (cell[x][y] - N / 100) * (cell[x][y] - N / 100) / (N / 100);
    }
    assert_true(chi_square_sf(chi, 99) > 0.001);
    arena_fini(&a);
}

/* Changing it would move everyone in every experiment. */
#define ID_ON_RECORD "400747828715566"

static void ids_are_fifteen_digits_and_stay_the_same(void **state)
{
    (void)state;
    arena a = { 0 };
    str id = experiment_id_of(&a, S("flag/new_checkout/ramp"));
    assert_int_equal(id.len, 15);
    assert_true(str_eq(id, S(ID_ON_RECORD)));
    for (int i = 0; i < 20000; i++) {
        struct arena_mark mark = arena_mark(&a);
        str one = experiment_id_of(&a, arena_printf(&a, "campaign/%d", i));
        assert_int_equal(one.len, 15);
        assert_true(one.ptr[0] >= '1' && str_cmp(one, holdout_experiment_id) > 0);
        arena_reset(&a, mark);
    }
    arena_fini(&a);
}

static void shares_are_read_exactly_and_nothing_else_is(void **state)
{
    (void)state;
    arena a = { 0 };
    static const struct { str text; i32 share; } good[] = {
        { S_INIT("34%"), 3400 }, { S_INIT("33.5%"), 3350 }, { S_INIT("0.01%"), 1 }, { S_INIT("100%"), 10000 },
        { S_INIT("0%"), 0 }, { S_INIT("33.33%"), 3333 }, { S_INIT("5.00%"), 500 }, { S_INIT("1.500%"), 150 },
        { S_INIT("100.00%"), 10000 }, { S_INIT("007%"), 700 },
    };
    for (isize i = 0; i < countof(good); i++) {
        i32 share = -1;
        assert_true(share_parse(good[i].text, &share));
        assert_int_equal(share, good[i].share);
    }
    static const str bad[] = {
        S_INIT(""),        S_INIT("%"),     S_INIT("34"),     S_INIT("-1%"), S_INIT("+1%"),
        S_INIT("100.01%"), S_INIT("101%"),  S_INIT("0.001%"), S_INIT(".5%"), S_INIT("5.%"),
        S_INIT("1e1%"),    S_INIT(" 5%"),   S_INIT("5 %"),    S_INIT("5%%"), S_INIT("0005%"),
        S_INIT("1.2.3%"),  S_INIT("50,5%"),
    };
    for (isize i = 0; i < countof(bad); i++) {
        i32 share = -7;
        assert_false(share_parse(bad[i], &share));
        assert_int_equal(share, -7);
    }
    for (i32 share = 0; share <= BUCKETS; share++) {
        i32 again = -1;
        assert_true(share_parse(share_print(&a, share), &again));
        assert_int_equal(again, share);
    }
    assert_true(str_eq(share_print(&a, 3350), S("33.5%")));
    assert_true(str_eq(share_print(&a, 5), S("0.05%")));
    arena_fini(&a);
}

/* Nothing is stored: who is held out is a function of the id, so it lasts as long as the id does. */
static void R105_the_holdout_is_persistent_and_raising_it_only_adds(void **state)
{
    (void)state;
    arena a = { 0 };
    enum { N = 100000 };
    isize held = 0, held_in_arm[2] = { 0 }, arm_n[2] = { 0 };
    str experiment = experiment_id_of(&a, S("campaign/spring/women"));
    for (int i = 0; i < N; i++) {
        struct arena_mark mark = arena_mark(&a);
        str who = arena_printf(&a, "person-%d", i);
        bool before = false;
        for (i32 share = 0; share <= BUCKETS; share += 500) {
            bool now = holdout_contains(who, share);
            assert_true(now || !before);
            before = now;
        }
        assert_true(before);                            /* at 100 % everybody */
        assert_false(holdout_contains(who, 0));
        bool in = holdout_contains(who, 500);
        assert_int_equal(in, holdout_contains(arena_str(&a, who), 500));
        int arm = experiment_bucket((struct bucket_key){ who, experiment }) >= BUCKETS / 2;
        held += in;
        held_in_arm[arm] += in;
        arm_n[arm]++;
        arena_reset(&a, mark);
    }
    /* 5 % within four standard deviations, and the same 5 % of either arm of an experiment. */
    f64 deviation = sqrt(N * 0.05 * 0.95);
    assert_true(fabs((f64)held - N * 0.05) < 4 * deviation);
    f64 p0 = (f64)held_in_arm[0] / (f64)arm_n[0], p1 = (f64)held_in_arm[1] / (f64)arm_n[1];
    assert_true(fabs(p0 - p1) < 4 * sqrt(0.05 * 0.95 * (1 / (f64)arm_n[0] + 1 / (f64)arm_n[1])));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R80_buckets_equal_the_published_vectors),
        cmocka_unit_test(buckets_are_even_and_two_experiments_independent),
        cmocka_unit_test(ids_are_fifteen_digits_and_stay_the_same),
        cmocka_unit_test(shares_are_read_exactly_and_nothing_else_is),
        cmocka_unit_test(R105_the_holdout_is_persistent_and_raising_it_only_adds),
    };
    return cmocka_run_group_tests_name("experiment/bucket", tests, NULL, NULL);
}
