/* SPDX-License-Identifier: Apache-2.0
 *
 * allocation_test.c - ranges, and that changing shares moves only those who must move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"
#include "experiment/experiment.h"

static struct allocation allocate(arena *a, const i32 *shares, isize n)
{
    struct allocation got = { 0 };
    assert_int_equal(experiment_allocate(a, shares, n, &got, NULL), ERR_OK);
    return got;
}

static struct allocation reallocate(arena *a, struct allocation old, const i32 *shares, isize n)
{
    struct allocation got = { 0 };
    assert_int_equal(experiment_reallocate(a, old, shares, n, &got, NULL), ERR_OK);
    return got;
}

/* The owner of every bucket, read through the ranges; fails on an overlap. */
static void owners(struct allocation of, i32 *owner)
{
    for (i32 b = 0; b < BUCKETS; b++) owner[b] = -1;
    for (isize i = 0; i < of.n; i++) {
        assert_true(of.at[i].start >= 0 && of.at[i].end <= BUCKETS && of.at[i].start <= of.at[i].end);
        for (i32 b = of.at[i].start; b < of.at[i].end; b++) {
            assert_int_equal(owner[b], -1);
            owner[b] = of.at[i].variation;
        }
    }
}

static void range_is(struct allocation of, isize i, i32 start, i32 end, i32 variation)
{
    assert_true(i < of.n);
    assert_int_equal(of.at[i].start, start);
    assert_int_equal(of.at[i].end, end);
    assert_int_equal(of.at[i].variation, variation);
}

static void a_first_allocation_leaves_room_behind_each_arm(void **state)
{
    (void)state;
    arena a = { 0 };
    struct allocation full = allocate(&a, (i32[]){ 3400, 3300, 3300 }, 3);
    range_is(full, 0, 0, 3400, 0);
    range_is(full, 1, 3400, 6700, 1);
    range_is(full, 2, 6700, 10000, 2);
    struct allocation tenth = allocate(&a, (i32[]){ 1000, 1000 }, 2);
    range_is(tenth, 0, 0, 1000, 0);
    range_is(tenth, 1, 5000, 6000, 1);
    range_is(allocate(&a, (i32[]){ 5000, 5000, 0 }, 3), 2, 9999, 9999, 2);
    range_is(allocate(&a, (i32[]){ 0, 0 }, 2), 1, 5000, 5000, 1);
    arena_fini(&a);
}

static void a_ramp_of_everybody_grows_in_place(void **state)
{
    (void)state;
    arena a = { 0 };
    struct allocation of = allocate(&a, (i32[]){ 500, 500 }, 2);
    for (i32 share = 1000; share <= 5000; share += 1000) {
        of = reallocate(&a, of, (i32[]){ share, share }, 2);
        assert_int_equal(of.n, 2);
        range_is(of, 0, 0, share, 0);
        range_is(of, 1, 5000, 5000 + share, 1);
    }
    arena_fini(&a);
}

static void an_arm_that_went_to_nothing_comes_back_to_the_same_people(void **state)
{
    (void)state;
    arena a = { 0 };
    struct allocation before = allocate(&a, (i32[]){ 2000, 3000, 1000 }, 3);
    struct allocation off = reallocate(&a, before, (i32[]){ 2000, 0, 1000 }, 3);
    assert_int_equal(experiment_share(off, 1), 0);
    struct allocation after = reallocate(&a, off, (i32[]){ 2000, 3000, 1000 }, 3);
    assert_int_equal(after.n, before.n);
    for (isize i = 0; i < before.n; i++) {
        range_is(after, i, before.at[i].start, before.at[i].end, before.at[i].variation);
    }
    arena_fini(&a);
}

static void a_new_weight_moves_only_the_difference(void **state)
{
    (void)state;
    arena a = { 0 };
    struct allocation half = allocate(&a, (i32[]){ 5000, 5000 }, 2);
    struct allocation tenth = reallocate(&a, half, (i32[]){ 1000, 9000 }, 2);
    range_is(tenth, 0, 0, 1000, 0);
    range_is(tenth, 1, 5000, 10000, 1);                 /* who was in b stays in b */
    range_is(tenth, 2, 1000, 5000, 1);
    arena_fini(&a);
}

/* Random histories of shares: whatever came before, shares are exact, no bucket has two owners, no
 * start moves, and nobody leaves an arm that did not shrink; from one that did, exactly the
 * difference leaves. */
static void no_history_of_changes_moves_anyone_without_need(void **state)
{
    (void)state;
    arena a = { 0 };
    struct rng rng = rng_seed(42);
    static i32 before[BUCKETS], after[BUCKETS];
    for (int history = 0; history < 150; history++) {
        arena_clear(&a);
        isize n = 1 + rng_below(&rng, 5);
        i32 shares[8], was[8] = { 0 }, first[8], now[8];
        for (int v = 0; v < 8; v++) first[v] = now[v] = -1;
        struct allocation of = { 0 };
        for (int step = 0; step < 12; step++) {
            if (step && n < 8 && rng_below(&rng, 6) == 0) n++;
            i32 left = BUCKETS;
            for (isize v = 0; v < n; v++) {
                shares[v] = rng_below(&rng, 4) ? (i32)rng_below(&rng, (u32)(2 * left / n) + 1) : 0;
                if (shares[v] > left) shares[v] = left;
                left -= shares[v];
            }
            if (step == 0) {
                of = allocate(&a, shares, n);
                for (isize v = 0; v < n; v++) first[v] = of.at[v].start;
                owners(of, before);
                memcpy(was, shares, sizeof was);
                continue;
            }
            struct allocation next = reallocate(&a, of, shares, n);
            owners(next, after);
            i32 left_arm[8] = { 0 };
            for (i32 b = 0; b < BUCKETS; b++) {
                if (before[b] >= 0 && after[b] != before[b]) left_arm[before[b]]++;
            }
            for (isize i = next.n - 1; i >= 0; i--) now[next.at[i].variation] = next.at[i].start;
            for (isize v = 0; v < n; v++) {
                if (first[v] >= 0) assert_int_equal(now[v], first[v]);
                first[v] = now[v];
                now[v] = -1;
            }
            for (isize v = 0; v < n; v++) {
                assert_int_equal(experiment_share(next, (i32)v), shares[v]);
                assert_int_equal(left_arm[v], shares[v] < was[v] ? was[v] - shares[v] : 0);
            }
            of = next;
            memcpy(before, after, sizeof before);
            memcpy(was, shares, sizeof was);
        }
    }
    arena_fini(&a);
}

static void shares_that_cannot_be_are_refused_with_the_reason(void **state)
{
    (void)state;
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct allocation got;
    assert_int_equal(experiment_allocate(&a, (i32[]){ 6000, 5000 }, 2, &got, &diag), ERR_BAD_INPUT);
    assert_true(str_find(diag.what, S("110%")) >= 0);
    assert_int_equal(experiment_allocate(&a, (i32[]){ -1 }, 1, &got, &diag), ERR_BAD_INPUT);
    assert_int_equal(experiment_allocate(&a, (i32[]){ 0 }, 0, &got, &diag), ERR_BAD_INPUT);
    struct allocation two = allocate(&a, (i32[]){ 100, 100 }, 2);
    assert_int_equal(experiment_reallocate(&a, two, (i32[]){ 100 }, 1, &got, &diag), ERR_BAD_INPUT);
    assert_true(str_find(diag.what, S("share of 0%")) >= 0);
    arena_fini(&a);
}

static void ranges_survive_json_and_bad_ones_are_refused(void **state)
{
    (void)state;
    arena a = { 0 };
    struct allocation of = reallocate(&a, allocate(&a, (i32[]){ 5000, 5000 }, 2), (i32[]){ 100, 9000 }, 2);
    struct buf b = { .arena = &a };
    struct jsonw w = { .out = &b };
    experiment_allocation_write(&w, of);
    const struct json *json = NULL;
    assert_int_equal(json_parse(&a, buf_str(&b), &json, NULL), ERR_OK);
    struct allocation again;
    assert_int_equal(experiment_allocation_read(&a, json, 2, &again, NULL), ERR_OK);
    assert_int_equal(again.n, of.n);
    for (isize i = 0; i < of.n; i++) range_is(again, i, of.at[i].start, of.at[i].end, of.at[i].variation);
    static const str bad[] = {
        S_INIT("{}"),
        S_INIT("[{}]"),
        S_INIT("[{\"start\": 0, \"end\": 10001, \"variation\": 0}]"),
        S_INIT("[{\"start\": 5, \"end\": 4, \"variation\": 0}]"),
        S_INIT("[{\"start\": 0, \"end\": 4, \"variation\": 2}]"),
        S_INIT(
            "[{\"start\": 0, \"end\": 4, \"variation\": 0}, {\"start\": 3, \"end\": 9, \"variation\": 1}]"),
    };
    for (isize i = 0; i < countof(bad); i++) {
        assert_int_equal(json_parse(&a, bad[i], &json, NULL), ERR_OK);
        assert_int_equal(experiment_allocation_read(&a, json, 2, &again, NULL), ERR_BAD_INPUT);
    }
    arena_fini(&a);
}

/* The same ids in another order, from another copy of the ids and of the ranges, get the same arm;
 * the arms are as large as their shares (chi-square of the sample ratio, p > 0.001). */
static void R80_assignment_is_deterministic_and_as_large_as_its_share(void **state)
{
    (void)state;
    arena a = { 0 };
    enum { N = 100000 };
    i32 shares[] = { 3400, 3300, 2300 };
    struct allocation of = allocate(&a, shares, 3), other = allocate(&a, shares, 3);
    str id = experiment_id_of(&a, S("campaign/spring/women"));
    i32 *first = arena_new(&a, i32, N);
    f64 count[4] = { 0 };
    for (int i = 0; i < N; i++) {
        struct arena_mark mark = arena_mark(&a);
        struct assignment got = experiment_assign((struct bucket_key){ arena_printf(&a, "p-%d", i), id }, of);
        first[i] = got.variation;
        count[got.variation < 0 ? 3 : got.variation]++;
        i32 share = got.variation < 0 ? 1000 : shares[got.variation];
        assert_int_equal(got.share, share);
        assert_true(got.propensity == (f64)share / 10000);
        arena_reset(&a, mark);
    }
    for (int i = N - 1; i >= 0; i--) {
        struct arena_mark mark = arena_mark(&a);
        struct bucket_key key = { arena_printf(&a, "p-%d", i), arena_str(&a, id) };
        assert_int_equal(experiment_assign(key, other).variation, first[i]);
        arena_reset(&a, mark);
    }
    f64 chi = 0;
    for (int k = 0; k < 4; k++) {
        f64 expected = N * (k < 3 ? (f64)shares[k] : 1000) / BUCKETS;
        chi += (count[k] - expected) * (count[k] - expected) / expected;
    }
    assert_true(chi_square_sf(chi, 3) > 0.001);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_allocation_leaves_room_behind_each_arm),
        cmocka_unit_test(a_ramp_of_everybody_grows_in_place),
        cmocka_unit_test(an_arm_that_went_to_nothing_comes_back_to_the_same_people),
        cmocka_unit_test(a_new_weight_moves_only_the_difference),
        cmocka_unit_test(no_history_of_changes_moves_anyone_without_need),
        cmocka_unit_test(shares_that_cannot_be_are_refused_with_the_reason),
        cmocka_unit_test(ranges_survive_json_and_bad_ones_are_refused),
        cmocka_unit_test(R80_assignment_is_deterministic_and_as_large_as_its_share),
    };
    return cmocka_run_group_tests_name("experiment/allocation", tests, NULL, NULL);
}
