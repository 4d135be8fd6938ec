/* SPDX-License-Identifier: Apache-2.0
 *
 * bitset_test.c - the bitset against an array of bool, and growing under readers. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "math/math.h"

enum { IDS = 3000 };

static void agrees_with_an_array_of_bool(void **state)
{
    (void)state;
    struct rng rng = rng_seed(1);
    struct bitset *b = bitset_new(10);
    bool *want = mem_new(IDS);
    isize count = 0;
    for (int i = 0; i < 40000; i++) {
        u32 id = rng_below(&rng, IDS);
        if (rng_below(&rng, 3)) {
            assert_int_equal(bitset_set(b, id), !want[id]);
            count += !want[id];
            want[id] = true;
        } else if (id / 64 < (u32)bitset_words(b)) {
            assert_int_equal(bitset_clear(b, id), want[id]);
            count -= want[id];
            want[id] = false;
        }
    }
    assert_int_equal(bitset_count(b), count);
    i64 next = bitset_next(b, 0);
    for (u32 id = 0; id < IDS; id++) {
        assert_int_equal(bitset_test(b, id), want[id]);
        if (!want[id]) continue;
        assert_int_equal(next, id);
        next = bitset_next(b, id + 1);
    }
    assert_int_equal(next, -1);
    bitset_none(b);
    assert_int_equal(bitset_count(b), 0);
    assert_int_equal(bitset_next(b, 0), -1);
    assert_true(bitset_set(b, IDS - 1));
    assert_int_equal(bitset_next(b, 0), IDS - 1);
    mem_free(want);
    bitset_free(b);
}

static void and_count_is_the_size_of_the_intersection(void **state)
{
    (void)state;
    struct bitset *sets[3] = { bitset_new(0), bitset_new(100000), bitset_new(64) };
    for (u32 id = 0; id < 90000; id++) {
        if (id % 2 == 0) bitset_set(sets[0], id);
        if (id % 3 == 0) bitset_set(sets[1], id);
        if (id % 5 == 0) bitset_set(sets[2], id);
    }
    const struct bitset *const all[] = { sets[0], sets[1], sets[2] };
    assert_int_equal(bitset_and_count(all, 1), 45000);
    assert_int_equal(bitset_and_count(all, 2), 15000);
    assert_int_equal(bitset_and_count(all, 3), 3000);
    for (int i = 0; i < 3; i++) bitset_free(sets[i]);
}

static void edges(void **state)
{
    (void)state;
    struct bitset *b = bitset_new(0);
    assert_false(bitset_test(b, UINT32_MAX));
    assert_false(bitset_clear(b, 63));
    assert_false(bitset_clear(b, 4000000000u));         /* past the end: already clear */
    assert_int_equal(bitset_next(b, 1000000), -1);
    assert_int_equal(bitset_word(b, 1000), 0);
    assert_true(bitset_set(b, 64));
    assert_int_equal(bitset_word(b, 1), 1);
    assert_int_equal(bitset_count(b), 1);
    bitset_grow(b, 1);                                  /* never shrinks */
    assert_true(bitset_test(b, 64));
    bitset_free(b);
}

struct shared { struct bitset *b; _Atomic bool stop; _Atomic u32 published; };

static void *read_all(void *ctx)
{
    struct shared *s = ctx;
    rcu_thread_start();
    i64 missing = 0;
    while (!atomic_load(&s->stop)) {
        u32 published = atomic_load_explicit(&s->published, memory_order_acquire);
        rcu_read_begin();
        for (u32 id = 0; id < published; id++) missing += !bitset_test(s->b, id);
        rcu_read_end();
    }
    rcu_thread_stop();
    return (void *)(intptr_t)missing;
}

static void a_reader_never_misses_a_bit_while_the_writer_grows(void **state)
{
    (void)state;
    struct shared s = { .b = bitset_new(1) };
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, &s), 0);
    for (u32 id = 0; id < 60000; id++) {
        bitset_set(s.b, id);
        atomic_store_explicit(&s.published, id + 1, memory_order_release);
    }
    atomic_store(&s.stop, true);
    void *missing = NULL;
    pthread_join(reader, &missing);
    assert_null(missing);
    bitset_free(s.b);
    rcu_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array_of_bool),
        cmocka_unit_test(and_count_is_the_size_of_the_intersection),
        cmocka_unit_test(edges),
        cmocka_unit_test(a_reader_never_misses_a_bit_while_the_writer_grows),
    };
    return cmocka_run_group_tests_name("math/bitset", tests, NULL, NULL);
}
