/* SPDX-License-Identifier: Apache-2.0
 *
 * seen_test.c - keys beside a plain table of all of them, over days that pass one by one and many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fold/inside.h"

enum { KEYS = 300000, EVENTS = 2000000, DAYS = 7, FIRST_DAY = 20000 };

static void a_key_is_known_for_its_days_and_no_longer(void **state)
{
    (void)state;
    struct config config = config_default();
    struct fold fold = { .config = &config };
    struct seen loaded = { 0 };
    struct rng r = rng_seed(5);
    i32 *day_of = mem_new(KEYS * (isize)sizeof *day_of), day = FIRST_DAY;
    config.dedup_days = DAYS;
    seen_init(&fold.seen);
    for (int i = 0; i < EVENTS; i++) {
        static const i32 leaps[] = { 1, 1, 1, 2, 6, 7, 8, 9, 30, 247, 248, 255, 256, 300 };
        if (rng_below(&r, 50000) == 0) day += leaps[rng_below(&r, countof(leaps))];
        u32 k = rng_below(&r, KEYS);
        bool live = day_of[k] && day_of[k] >= day - DAYS;
        assert_int_equal(seen_put(&fold, hash128((str){ (const char *)&k, sizeof k }, 9),
                                  day * DAY_MS + i % 1000),
                         !live);
        if (!live) day_of[k] = day;
    }
    isize live = 0;
    seen_init(&loaded);
    for (u32 k = 0; k < KEYS; k++) {
        if (!day_of[k] || day_of[k] < day - DAYS) continue;
        seen_load(&loaded, hash128((str){ (const char *)&k, sizeof k }, 9), day_of[k]);
        live++;
    }
    assert_int_equal(seen_count(&fold.seen), live);
    assert_int_equal(seen_count(&loaded), live);
    assert_true(hash128_eq(fold.seen.digest, loaded.digest));
    seen_fini(&fold.seen);
    seen_fini(&loaded);
    mem_free(day_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_key_is_known_for_its_days_and_no_longer) };
    return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}
