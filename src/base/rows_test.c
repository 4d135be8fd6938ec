/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a row is what was put there last, whatever happens to its neighbours; and what a reader got
 * stays as it was while its bracket is open. Method: rows of random lengths, empty ones and long
 * ones among them, added and set at random beside an array. */
#include "base/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/rcu.h"

enum { ROWS = 3000, CALLS = 60000, LONGEST = 400 };

/* Of a seed: its length and its bytes. */
static str row_of(u64 seed, char text[LONGEST])
{
    struct rng rng = rng_seed(seed);
    isize n = rng_below(&rng, 4) == 0 ? rng_below(&rng, LONGEST) : rng_below(&rng, 20);
    for (isize i = 0; i < n; i++) text[i] = (char)rng_below(&rng, 256);
    return (str){ text, n };
}

static void rows_are_what_an_array_says(void **state)
{
    (void)state;
    static u64 model[ROWS + 1];
    char text[LONGEST];
    struct rows *r = rows_new();
    struct rng rng = rng_seed(4);
    i64 bytes = 0;
    for (u64 i = 1; i <= CALLS; i++) {
        u32 n = rows_n(r), at = 1 + rng_below(&rng, n + 1 < ROWS ? n + 1 : ROWS);
        str row = row_of(i, text);
        if (at <= n) rows_set(r, at, row);
        else assert_int_equal(rows_add(r, row), at);
        model[at] = i;
        u32 other = 1 + rng_below(&rng, rows_n(r));
        assert_true(str_eq(rows_get(r, other), row_of(model[other], text)));
        if (rcu_waiting() > 1000) rcu_settle();
    }
    for (u32 n = 1; n <= rows_n(r); n++) {
        assert_true(str_eq(rows_get(r, n), row_of(model[n], text)));
        bytes += row_of(model[n], text).len;
    }
    assert_int_equal(rows_bytes(r), bytes);
    rows_free(r);
    rcu_settle();
}

static void what_was_read_stays_until_it_is_settled(void **state)
{
    (void)state;
    struct rows *r = rows_new();
    for (int i = 0; i < 20; i++) (void)rows_add(r, S("before"));
    str was = rows_get(r, 3);
    rows_set(r, 3, S("something longer"));
    rows_set(r, 4, S(""));
    assert_true(str_eq(was, S("before")));
    assert_true(str_eq(rows_get(r, 3), S("something longer")));
    assert_true(str_eq(rows_get(r, 5), S("before")));
    rcu_settle();
    rows_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_are_what_an_array_says),
                                        cmocka_unit_test(what_was_read_stays_until_it_is_settled) };
    rcu_thread_start();
    int failed = cmocka_run_group_tests_name("rows", tests, NULL, NULL);
    rcu_thread_stop();
    return failed;
}
