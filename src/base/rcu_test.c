/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a reader holds is never given back under its feet, and what nobody holds is given
 * back. Method: readers check a block that its freeing poisons; a counter of what was freed. */
#include "base/rcu.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/arena.h"

struct block { _Atomic u64 left, right; };

static _Atomic(struct block *) published;
static _Atomic bool finished;
static _Atomic u64 torn, reads, freed;

static void poison(void *p)
{
    struct block *block = p;
    atomic_store(&block->left, 1);
    atomic_store(&block->right, 2);
    atomic_fetch_add(&freed, 1);
    mem_free(p);
}

static void *read_on(void *ctx)
{
    (void)ctx;
    rcu_thread_start();
    while (!atomic_load(&finished)) {
        rcu_read_begin();
        struct block *block = atomic_load_explicit(&published, memory_order_acquire);
        for (int i = 0; i < 20; i++)
            if (atomic_load(&block->left) != atomic_load(&block->right)) atomic_fetch_add(&torn, 1);
        rcu_read_end();
        atomic_fetch_add(&reads, 1);
    }
    rcu_thread_stop();
    return NULL;
}

static struct block *block_new(u64 v)
{
    struct block *block = mem_new(sizeof *block);
    atomic_init(&block->left, v);
    atomic_init(&block->right, v);
    return block;
}

static void a_reader_never_holds_what_was_given_back(void **state)
{
    (void)state;
    enum { ROUNDS = 30000 };
    atomic_store(&published, block_new(7));
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    u64 rounds = 0;
    rcu_thread_start();
    for (; rounds < ROUNDS || atomic_load(&reads) < 1000; rounds++) {
        struct block *old = atomic_exchange(&published, block_new(rounds + 10));
        rcu_defer(poison, old);
        if (rounds % 100 == 0) (void)rcu_settle_some(150);
        if (rounds % 10000 == 0) rcu_settle();
    }
    rcu_thread_stop();
    atomic_store(&finished, true);
    for (int i = 0; i < 2; i++) pthread_join(readers[i], NULL);
    rcu_settle();
    assert_int_equal(atomic_load(&torn), 0);
    assert_true(atomic_load(&freed) == rounds);
    mem_free(atomic_load(&published));
}

static void settling_gives_everything_back(void **state)
{
    (void)state;
    u64 before = atomic_load(&freed);
    for (u64 i = 0; i < 10; i++) rcu_defer(poison, block_new(i));
    rcu_defer_free(mem_new(100));
    rcu_defer_free(NULL);
    rcu_settle();
    assert_true(atomic_load(&freed) == before + 10);
    rcu_settle();
}

static void little_by_little_comes_to_the_same(void **state)
{
    (void)state;
    enum { BLOCKS = 1000, MOST = 64 };
    rcu_thread_start();
    while (rcu_settle_some(MOST)) {}                    /* a grace period of another test may be under way */
    u64 before = atomic_load(&freed), was = before;
    for (u64 i = 0; i < BLOCKS; i++) rcu_defer(poison, block_new(i));
    assert_true(rcu_settle_some(MOST));
    rcu_defer(poison, block_new(1));                    /* came later: waits for the next time */
    while (rcu_settle_some(MOST)) {
        assert_true(atomic_load(&freed) - was <= MOST);
        was = atomic_load(&freed);
    }
    assert_true(atomic_load(&freed) == before + BLOCKS);
    assert_int_equal(rcu_waiting(), 1);
    assert_true(rcu_settle_some(MOST));
    rcu_settle();                                       /* does not wait for its turn */
    assert_int_equal(rcu_waiting(), 0);
    while (rcu_settle_some(MOST)) {}
    rcu_thread_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_never_holds_what_was_given_back),
        cmocka_unit_test(settling_gives_everything_back),
        cmocka_unit_test(little_by_little_comes_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
