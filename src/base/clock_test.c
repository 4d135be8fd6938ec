/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an instant is read as RFC 3339 means it or not at all, and prints so that it reads back.
 * Method: a table of texts, every day of 800 years against a dull calendar, and for random
 * numbers the published first outputs of the generator. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define AT(day, ms) ((day) * DAY_MS + (ms))

static void instants_are_taken_in_the_forms_senders_use(void **state)
{
    (void)state;
    static const struct { str in; i64 want; } rows[] = {
        { S_INIT("1970-01-01T00:00:00Z"), 0 },
        { S_INIT("1970-01-01t00:00:00z"), 0 },
        { S_INIT("1970-01-01"), 0 },
        { S_INIT("1970-01-02 03:04"), 97440000 },
        { S_INIT("1970-01-02 03:04:05"), 97445000 },
        { S_INIT("1970-01-02 03:04:05.6"), 97445600 },
        { S_INIT("1970-01-02T03:04:05.678901234Z"), 97445678 },
        { S_INIT("1970-01-02T05:04:05+02:00"), 97445000 },
        { S_INIT("1970-01-02T05:04:05+0200"), 97445000 },
        { S_INIT("1970-01-02T05:04:05+02"), 97445000 },
        { S_INIT("1970-01-01T21:34:05-05:30"), 97445000 },
        { S_INIT("1969-12-31T23:59:59.999Z"), -1 },
        { S_INIT("2000-02-29T00:00:00Z"), 951782400000 },
        { S_INIT("2010-12-01 08:26:00"), 1291191960000 },
        { S_INIT("2016-12-31T23:59:60Z"), 1483228800000 },          /* a leap second */
        { S_INIT("9999-12-31T23:59:59.999Z"), 253402300799999 },
        { S_INIT("0000-01-01"), -62167219200000 },
        { S_INIT("1291191960"), 1291191960000 },
        { S_INIT("1291191960123"), 1291191960123 },
        { S_INIT("0"), 0 },
    };
    for (isize i = 0; i < countof(rows); i++) {
        i64 got = 1;
        bool taken = time_parse(rows[i].in, &got);
        if (!taken || got != rows[i].want) print_error("%.*s is %lld\n", STR_FMT(rows[i].in), (long long)got);
        assert_true(taken);
        assert_true(got == rows[i].want);
    }
}

static void what_is_no_instant_is_refused(void **state)
{
    (void)state;
    static const str rows[] = {
        S_INIT(""), S_INIT("now"), S_INIT("2026 01-01"), S_INIT("2026-13-01"), S_INIT("2026-00-10"),
        S_INIT("2026-02-29"), S_INIT("2026-02-31"), S_INIT("2100-02-29"), S_INIT("2026-04-31"),
        S_INIT("2026-01-00"), S_INIT("2026-01-32"), S_INIT("2026-1-1"), S_INIT("26-01-01"),
        S_INIT("2026-01-01T"), S_INIT("2026-01-01T24:00:00Z"), S_INIT("2026-01-01T23:60:00Z"),
        S_INIT("2026-01-01T23:59:61Z"), S_INIT("2026-01-01T1:00:00Z"), S_INIT("2026-01-01T10Z"),
        S_INIT("2026-01-01T10:00:00.Z"), S_INIT("2026-01-01T10:00:00+"), S_INIT("2026-01-01T10:00:00+2"),
        S_INIT("2026-01-01T10:00:00+24:00"), S_INIT("2026-01-01T10:00:00+02:60"),
        S_INIT("2026-01-01T10:00:00Zjunk"), S_INIT("2026-01-01T10:00:00Z "), S_INIT("2026-01-01X10:00:00"),
        S_INIT("0000-01-01T00:00:00+00:01"), S_INIT("9999-12-31T23:59:59-00:01"),
        S_INIT("9223372036854775807"), S_INIT("-9223372036854775808"), S_INIT("253402300800000"),
        S_INIT("1e9"), S_INIT("1291191960.5"), S_INIT("99999999999999999999"),
    };
    for (isize i = 0; i < countof(rows); i++) {
        i64 got;
        bool taken = time_parse(rows[i], &got);
        if (taken) print_error("%.*s was taken\n", STR_FMT(rows[i]));
        assert_false(taken);
    }
}

/* The dull calendar: count on from 1900-01-01, a Monday, day by day. */
static void every_day_of_eight_hundred_years_is_its_own(void **state)
{
    (void)state;
    static const i32 lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    i32 year = 1900, month = 1, day = 1, weekday = 1;
    for (i64 at = -25567; year < 2700; at++) {
        struct civil c = time_civil(AT(at, 86399999), 0);
        assert_true(c.year == year && c.month == month && c.day == day && c.weekday == weekday);
        assert_true(c.hour == 23 && c.minute == 59 && c.second == 59);
        c = time_civil(AT(at, 0), 0);
        assert_true(c.day == day && c.hour == 0 && c.minute == 0 && c.second == 0);
        assert_true(time_from_civil(c) == AT(at, 0));
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        weekday = weekday % 7 + 1;
        if (day++ < lengths[month - 1] + (month == 2 && leap)) continue;
        day = 1;
        if (month++ < 12) continue;
        month = 1;
        year++;
    }
}

static void an_offset_moves_the_clock_on_the_wall(void **state)
{
    (void)state;
    struct civil c = time_civil(-1, 60);
    assert_true(c.year == 1970 && c.hour == 0 && c.minute == 59 && c.second == 59 && c.weekday == 4);
    c = time_civil(0, -1);
    assert_true(c.year == 1969 && c.month == 12 && c.day == 31 && c.hour == 23 && c.minute == 59);
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    struct rng rng = rng_seed(3);
    arena a = { 0 };
    for (int i = 0; i < 20000; i++) {
        u64 span = 253402300799999 + (u64)62167219200000;
        i64 at = (i64)(rng_next(&rng) % span) - 62167219200000;
        i64 back;
        assert_true(time_parse(time_print(&a, at), &back));
        assert_true(back == at);
        arena_clear(&a);
    }
    assert_true(str_eq(time_print(&a, -1), S("1969-12-31T23:59:59.999Z")));
    arena_fini(&a);
}

static void a_clock_is_whatever_was_handed_in(void **state)
{
    (void)state;
    i64 first = clock_monotonic_us();
    assert_true(clock_now(clock_system()) > 1577836800000);     /* after 2020 */
    assert_true(clock_monotonic_us() >= first);
}

/* xoshiro256** from the state {1, 2, 3, 4}: 11520, 0, 1509978240, 1215971899390074240, as in the
 * reference implementation and in the tests of several languages that carry it. */
static void random_numbers_are_the_published_ones(void **state)
{
    (void)state;
    static const u64 want[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct rng rng = { { 1, 2, 3, 4 } };
    for (isize i = 0; i < countof(want); i++) assert_true(rng_next(&rng) == want[i]);
    struct rng one = rng_seed(9), same = rng_seed(9), other = rng_seed(10);
    assert_true(rng_next(&one) == rng_next(&same));
    assert_true(rng_next(&one) != rng_next(&other));
}

/* 120,000 draws of a die: each face has mean 20,000 and deviation 129; six deviations are chance
 * 1 in 10^8, and the seed is fixed besides. */
static void a_bounded_draw_is_even_and_within_bounds(void **state)
{
    (void)state;
    struct rng rng = rng_seed(4);
    i32 faces[6] = { 0 };
    for (int i = 0; i < 120000; i++) {
        faces[rng_below(&rng, 6)]++;
        f64 u = rng_unit(&rng);
        assert_true(u >= 0 && u < 1);
    }
    for (isize i = 0; i < 6; i++) assert_in_range(faces[i], 20000 - 6 * 129, 20000 + 6 * 129);
    for (int i = 0; i < 100; i++) assert_int_equal(rng_below(&rng, 1), 0);
    u8 a[600], b[600];
    rng_system(a, sizeof a);
    rng_system(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_taken_in_the_forms_senders_use),
        cmocka_unit_test(what_is_no_instant_is_refused),
        cmocka_unit_test(every_day_of_eight_hundred_years_is_its_own),
        cmocka_unit_test(an_offset_moves_the_clock_on_the_wall),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(a_clock_is_whatever_was_handed_in),
        cmocka_unit_test(random_numbers_are_the_published_ones),
        cmocka_unit_test(a_bounded_draw_is_even_and_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
