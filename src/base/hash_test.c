/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the hash table answers what was put in, and a reader on another thread never meets a
 * value that was never put there. Method: random calls against the dullest model (an array), with
 * few keys, so that removing, putting again and growing all happen often; and one writer beside
 * readers that can tell a right value from a wrong one by its key. */
#include "base/hash.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"

static struct hash128 key_of(u64 n) { return hash128((str){ (const char *)&n, (isize)sizeof n }, 7); }

static void a_hash_depends_on_text_and_seed(void **state)
{
    (void)state;
    assert_true(hash64(S("ana"), 1) == hash64(S("ana"), 1));
    assert_true(hash64(S("ana"), 1) != hash64(S("ana"), 2));
    assert_true(hash64(S("ana"), 1) != hash64(S("anb"), 1));
    assert_true(hash128_eq(hash128(S("ana"), 1), hash128(S("ana"), 1)));
    assert_false(hash128_eq(hash128(S("ana"), 1), hash128(S("ana"), 2)));
    assert_true(hash64((str){ 0 }, 3) == hash64(S(""), 3));
    assert_true(hash64(S(""), 0) == 0x2d06800538d394c2u);       /* XXH3 of nothing, by its specification */
}

static void the_map_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 700, CALLS = 200000 };
    static u64 model[KEYS];                                     /* 0: absent */
    isize count = 0;
    struct map *m = map_new(0);
    struct rng rng = rng_seed(8);
    for (int i = 0; i < CALLS; i++) {
        u32 n = rng_below(&rng, i < CALLS / 2 ? 40 : KEYS);     /* small first, so that it sweeps too */
        u64 value = 1 + rng_below(&rng, 1000);
        switch (rng_below(&rng, 3)) {
        case 0:
            assert_int_equal(map_put(m, key_of(n), value), model[n] == 0);
            count += model[n] == 0;
            model[n] = value;
            break;
        case 1:
            assert_int_equal(map_remove(m, key_of(n)), model[n] != 0);
            count -= model[n] != 0;
            model[n] = 0;
            break;
        default:
            assert_true(map_get(m, key_of(n), 0) == model[n]);
        }
        assert_int_equal(map_count(m), count);
    }
    isize at = 0, seen = 0;
    struct hash128 key;
    u64 value;
    while (map_next(m, &at, &key, &value)) {
        assert_true(map_get(m, key, 0) == value);
        assert_true(map_remove(m, key));
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(map_count(m), 0);
    map_free(m);
    rcu_settle();
}

static void a_map_takes_what_it_was_not_told_to_expect(void **state)
{
    (void)state;
    struct map *m = map_new(10);
    for (u64 n = 0; n < 100000; n++) assert_true(map_put(m, key_of(n), n));
    for (u64 n = 0; n < 100000; n++) assert_true(map_get(m, key_of(n), UINT64_MAX) == n);
    assert_true(map_get(m, key_of(100000), UINT64_MAX) == UINT64_MAX);
    map_free(m);
    map_free(NULL);
    rcu_settle();
}

/* Keys that fall on one slot, and one that differs in its high half only. */
static void keys_that_collide_stay_apart(void **state)
{
    (void)state;
    struct map *m = map_new(0);
    for (u64 n = 0; n < 200; n++) assert_true(map_put(m, (struct hash128){ n, 16 }, n));
    for (u64 n = 0; n < 200; n += 2) assert_true(map_remove(m, (struct hash128){ n, 16 }));
    for (u64 n = 0; n < 200; n++)
        assert_true(map_get(m, (struct hash128){ n, 16 }, 999) == (n % 2 ? n : 999));
    map_free(m);
    rcu_settle();
}

/* ---- one writer, two readers ---------------------------------------------------------------- */

enum { SHARED_KEYS = 20000 };
static struct map *shared_map;
static _Atomic bool finished;
static _Atomic u64 wrong, reads;

/* A value is right for its key when its low half is the key's number. */
static void *read_on(void *ctx)
{
    struct rng rng = rng_seed((u64)(uintptr_t)ctx);
    rcu_thread_start();
    while (!atomic_load(&finished)) {
        rcu_read_begin();
        for (int i = 0; i < 64; i++) {
            u64 n = rng_below(&rng, SHARED_KEYS);
            u64 v = map_get(shared_map, key_of(n), UINT64_MAX);
            bool always = n < 10;                               /* put before the start, never removed */
            if (v == UINT64_MAX ? always : (v & 0xffffffff) != n) atomic_fetch_add(&wrong, 1);
        }
        rcu_read_end();
        atomic_fetch_add(&reads, 64);
    }
    rcu_thread_stop();
    return NULL;
}

static void a_reader_beside_the_writer_sees_only_what_was_put(void **state)
{
    (void)state;
    shared_map = map_new(0);
    atomic_store(&finished, false);
    for (u64 n = 0; n < 10; n++) (void)map_put(shared_map, key_of(n), n);
    pthread_t readers[2];
    for (u64 i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, (void *)(uintptr_t)(i + 1)), 0);
    struct rng rng = rng_seed(11);
    for (u64 round = 1; round < 400000 || atomic_load(&reads) < 20000; round++) {
        u64 n = rng_below(&rng, SHARED_KEYS);
        if (n >= 10 && rng_below(&rng, 2)) (void)map_remove(shared_map, key_of(n));
        else (void)map_put(shared_map, key_of(n), (round & 0xffffff) << 32 | n);
        if (round % 50000 == 0) rcu_settle();
    }
    atomic_store(&finished, true);
    for (int i = 0; i < 2; i++) pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    map_free(shared_map);
    rcu_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_depends_on_text_and_seed),
        cmocka_unit_test(the_map_agrees_with_an_array),
        cmocka_unit_test(a_map_takes_what_it_was_not_told_to_expect),
        cmocka_unit_test(keys_that_collide_stay_apart),
        cmocka_unit_test(a_reader_beside_the_writer_sees_only_what_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
