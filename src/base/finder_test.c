/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what was added is among the candidates until it is removed, and only then; a reader on
 * another thread misses nothing that was there before it began. Method: random calls against an
 * array, with keys that several numbers share; and one writer beside a reader. */
#include "base/finder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"

enum { NUMBERS = 5000, SHARE = 3, CALLS = 400000 };

static struct hash128 key_of(u64 n) { return hash128((str){ (const char *)&n, (isize)sizeof n }, 7); }

static bool has(const struct finder *f, struct hash128 key, u32 number)
{
    isize met = 0;
    for (struct finder_at at = { 0 };;) {
        u32 found = finder_next(f, key, &at);
        if (found == 0) break;
        met += found == number;
    }
    assert_true(met <= 1);
    return met == 1;
}

static void candidates_are_what_an_array_says(void **state)
{
    (void)state;
    static bool model[NUMBERS + 1];
    struct finder *f = finder_new();
    struct rng rng = rng_seed(3);
    for (int i = 0; i < CALLS; i++) {
        /* small first, so that removed slots are met */
        u32 n = 1 + rng_below(&rng, i < CALLS / 4 ? 50 : NUMBERS);
        struct hash128 key = key_of(n / SHARE);
        switch (rng_below(&rng, 3)) {
        case 0:
            if (!model[n]) finder_add(f, key, n);
            model[n] = true;
            break;
        case 1:
            assert_int_equal(finder_remove(f, key, n), model[n]);
            model[n] = false;
            break;
        default: assert_int_equal(has(f, key, n), model[n]);
        }
        if (rcu_waiting() > 1000) rcu_settle();
    }
    for (u32 n = 1; n <= NUMBERS; n++) assert_int_equal(has(f, key_of(n / SHARE), n), model[n]);
    finder_free(f);
    rcu_settle();
}

static _Atomic u32 there;
static void *look_up(void *ctx)
{
    const struct finder *f = ctx;
    struct rng rng = rng_seed(9);
    isize missed = 0;
    rcu_thread_start();
    while (atomic_load(&there) < NUMBERS) {
        rcu_read_begin();
        u32 most = atomic_load(&there), n = most ? 1 + rng_below(&rng, most) : 0;
        missed += n && !has(f, key_of(n), n);
        rcu_read_end();
    }
    rcu_thread_stop();
    return (void *)missed;
}

static void a_reader_finds_what_is_there(void **state)
{
    (void)state;
    struct finder *f = finder_new();
    pthread_t reader;
    void *missed;
    pthread_create(&reader, NULL, look_up, f);
    for (u32 n = 1; n <= NUMBERS; n++) {
        finder_add(f, key_of(n), n);
        atomic_store(&there, n);
        if (n % 100 == 0) rcu_settle();
    }
    pthread_join(reader, &missed);
    assert_int_equal((isize)missed, 0);
    finder_free(f);
    rcu_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(candidates_are_what_an_array_says),
                                        cmocka_unit_test(a_reader_finds_what_is_there) };
    rcu_thread_start();
    int failed = cmocka_run_group_tests_name("finder", tests, NULL, NULL);
    rcu_thread_stop();
    return failed;
}
