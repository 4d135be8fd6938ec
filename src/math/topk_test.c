/* SPDX-License-Identifier: Apache-2.0
 *
 * topk_test.c - the best k against a full sort. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "math/math.h"

static int by_rank(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Scores from a set of 20 values, so that ties at the border are the rule. */
static void equals_the_head_of_a_full_sort_in_any_order_of_arrival(void **state)
{
    (void)state;
    arena a = { 0 };
    struct rng rng = rng_seed(3);
    for (int round = 0; round < 500; round++) {
        arena_clear(&a);
        isize n = rng_below(&rng, 200), k = 1 + rng_below(&rng, 60);
        struct scored *all = arena_new(&a, struct scored, n + 1);
        for (isize i = 0; i < n; i++) all[i] = (struct scored){ (f64)rng_below(&rng, 20) / 7, (u32)i };
        for (isize i = n - 1; i > 0; i--) {
            isize j = rng_below(&rng, (u32)i + 1);
            struct scored t = all[i];
            all[i] = all[j];
            all[j] = t;
        }
        struct topk top = topk_new(&a, k);
        for (isize i = 0; i < n; i++) topk_add(&top, all[i].id, all[i].score);
        isize kept = topk_finish(&top);
        qsort(all, (size_t)n, sizeof *all, by_rank);
        assert_int_equal(kept, min_isize(n, k));
        for (isize i = 0; i < kept; i++) {
            assert_int_equal(top.at[i].id, all[i].id);
            assert_true(top.at[i].score == all[i].score);
        }
    }
    arena_fini(&a);
}

static void nan_is_never_kept_and_infinities_are(void **state)
{
    (void)state;
    arena a = { 0 };
    struct topk top = topk_new(&a, 2);
    topk_add(&top, 1, (f64)NAN);
    topk_add(&top, 2, -(f64)INFINITY);
    topk_add(&top, 3, (f64)INFINITY);
    topk_add(&top, 4, (f64)NAN);
    topk_add(&top, 5, 0);
    assert_int_equal(topk_finish(&top), 2);
    assert_int_equal(top.at[0].id, 3);
    assert_int_equal(top.at[1].id, 5);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_head_of_a_full_sort_in_any_order_of_arrival),
        cmocka_unit_test(nan_is_never_kept_and_infinities_are),
    };
    return cmocka_run_group_tests_name("math/topk", tests, NULL, NULL);
}
