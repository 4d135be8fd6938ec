/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a queue keeps order, says when it is full, wakes who waits, and loses nothing between
 * threads. Method: small cases, then producers and takers that count. */
#include "base/queue.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/clock.h"

static void order_is_kept_and_full_is_an_answer(void **state)
{
    (void)state;
    int things[5];
    void *out[5];
    struct queue *q = queue_new(3);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) assert_true(queue_push(q, &things[i]));
        assert_false(queue_push(q, &things[3]));
        assert_int_equal(queue_count(q), 3);
        assert_int_equal(queue_take(q, out, 2, -1), 2);
        assert_true(queue_push(q, &things[3]));
        assert_int_equal(queue_take(q, out + 2, 3, -1), 2);
        for (int i = 0; i < 4; i++) assert_ptr_equal(out[i], &things[i]);
    }
    queue_free(q);
    queue_free(NULL);
}

static void waiting_ends_when_the_time_is_up(void **state)
{
    (void)state;
    void *out[1];
    struct queue *q = queue_new(1);
    i64 start = clock_monotonic_us();
    assert_int_equal(queue_take(q, out, 1, 0), 0);
    assert_int_equal(queue_take(q, out, 1, 20), 0);
    assert_true(clock_monotonic_us() - start >= 20000);
    queue_free(q);
}

static void a_closed_queue_gives_out_what_it_has_and_takes_no_more(void **state)
{
    (void)state;
    int thing;
    void *out[2];
    struct queue *q = queue_new(2);
    assert_true(queue_push(q, &thing));
    queue_close(q);
    assert_false(queue_push(q, &thing));
    assert_int_equal(queue_take(q, out, 2, -1), 1);
    assert_int_equal(queue_take(q, out, 2, -1), -1);
    assert_int_equal(queue_take(q, out, 2, 5), -1);
    queue_free(q);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { PRODUCERS = 3, TAKERS = 3, EACH = 20000 };
static struct queue *between;
static u8 seen[PRODUCERS * EACH];
static _Atomic i64 taken;

static void *produce(void *ctx)
{
    isize from = (isize)(uintptr_t)ctx * EACH;
    for (isize i = from; i < from + EACH; i++)
        while (!queue_push(between, &seen[i])) (void)sched_yield();
    return NULL;
}

static void *take(void *ctx)
{
    isize max = (isize)(uintptr_t)ctx;
    void *out[16];
    for (;;) {
        isize n = queue_take(between, out, max, -1);
        if (n < 0) return NULL;
        for (isize i = 0; i < n; i++) ++*(u8 *)out[i];
        atomic_fetch_add(&taken, n);
    }
}

static void every_thing_arrives_once(void **state)
{
    (void)state;
    pthread_t producers[PRODUCERS], takers[TAKERS];
    between = queue_new(64);
    for (uintptr_t i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take, (void *)(i * 7 + 1)), 0);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, produce, (void *)i), 0);
    for (int i = 0; i < PRODUCERS; i++) pthread_join(producers[i], NULL);
    queue_close(between);
    for (int i = 0; i < TAKERS; i++) pthread_join(takers[i], NULL);
    assert_int_equal(atomic_load(&taken), PRODUCERS * EACH);
    for (isize i = 0; i < countof(seen); i++) assert_int_equal(seen[i], 1);
    queue_free(between);
}

/* Two things pushed while two takers sleep, each taking one: both must wake, though the second
 * push found the queue not empty. */
static struct queue *two;
static _Atomic int awake;

static void *take_one_and_stay(void *ctx)
{
    (void)ctx;
    void *out[1];
    assert_int_equal(queue_take(two, out, 1, -1), 1);
    atomic_fetch_add(&awake, 1);
    i64 until = clock_monotonic_us() + 5000000;
    while (atomic_load(&awake) < 2 && clock_monotonic_us() < until) (void)sched_yield();
    return NULL;
}

static void two_pushes_wake_two_takers(void **state)
{
    (void)state;
    int things[2];
    for (int round = 0; round < 50; round++) {
        atomic_store(&awake, 0);
        two = queue_new(4);
        pthread_t takers[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&takers[i], NULL, take_one_and_stay, NULL), 0);
        i64 until = clock_monotonic_us() + 500;                 /* let them fall asleep, mostly */
        while (clock_monotonic_us() < until) (void)sched_yield();
        assert_true(queue_push(two, &things[0]));
        assert_true(queue_push(two, &things[1]));
        for (int i = 0; i < 2; i++) pthread_join(takers[i], NULL);
        assert_int_equal(atomic_load(&awake), 2);
        queue_free(two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept_and_full_is_an_answer),
        cmocka_unit_test(waiting_ends_when_the_time_is_up),
        cmocka_unit_test(a_closed_queue_gives_out_what_it_has_and_takes_no_more),
        cmocka_unit_test(every_thing_arrives_once),
        cmocka_unit_test(two_pushes_wake_two_takers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
