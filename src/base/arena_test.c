/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what an arena hands out is zeroed, aligned, apart from everything else handed out, and
 * gone after a reset; buffers grow without losing a byte. Method: random requests filled with a
 * pattern of their own and looked at again at the end; the address sanitizer watches the edges. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/clock.h"

static void what_is_handed_out_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    static struct { u8 *p; isize n; } given[ROUNDS];
    struct rng rng = rng_seed(1);
    arena a = { 0 };
    for (isize i = 0; i < ROUNDS; i++) {
        isize align = (isize)1 << rng_below(&rng, 5);
        isize n = rng_below(&rng, 100) == 0 ? 200000 : rng_below(&rng, 400);
        u8 *p = arena_alloc(&a, 1, align, n);
        assert_true(((uintptr_t)p & (uintptr_t)(align - 1)) == 0);
        for (isize j = 0; j < n; j++) assert_int_equal(p[j], 0);
        memset(p, (int)(i & 0xff), (size_t)n);
        given[i].p = p;
        given[i].n = n;
    }
    for (isize i = 0; i < ROUNDS; i++)
        for (isize j = 0; j < given[i].n; j++) assert_int_equal(given[i].p[j], i & 0xff);
    arena_fini(&a);
    assert_int_equal(a.used, 0);
}

static void a_reset_takes_back_what_came_after_the_mark(void **state)
{
    (void)state;
    arena a = { 0 };
    str kept = arena_str(&a, S("kept"));
    struct arena_mark mark = arena_mark(&a);
    isize used = a.used;
    for (int i = 0; i < 100; i++) (void)arena_new(&a, u8, 5000);
    assert_true(a.used > used);
    arena_reset(&a, mark);
    assert_int_equal(a.used, used);
    u8 *again = arena_new(&a, u8, 60000);
    for (isize i = 0; i < 60000; i++) assert_int_equal(again[i], 0);
    assert_true(str_eq(kept, S("kept")));
    arena_fini(&a);
}

static void a_mark_of_an_empty_arena_resets_to_empty(void **state)
{
    (void)state;
    arena a = { 0 };
    struct arena_mark mark = arena_mark(&a);
    (void)arena_new(&a, u64, 10);
    arena_reset(&a, mark);
    assert_null(a.block);
    (void)arena_new(&a, u64, 0);
    arena_clear(&a);
    arena_fini(&a);
    arena_clear(&a);
    arena_fini(&a);
}

static void clearing_keeps_the_arena_ready(void **state)
{
    (void)state;
    arena a = { 0 };
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 50; i++) {
            u64 *p = arena_new(&a, u64, 1000);
            assert_true(p[0] == 0 && p[999] == 0);
            p[0] = p[999] = UINT64_MAX;
        }
        arena_clear(&a);
        assert_int_equal(a.used, 0);
    }
    arena_fini(&a);
}

static void text_in_an_arena_ends_in_a_nul(void **state)
{
    (void)state;
    arena a = { 0 };
    str copy = arena_str(&a, (str){ "abcdef", 3 });
    assert_int_equal(copy.len, 3);
    assert_int_equal(copy.ptr[3], 0);
    assert_string_equal(arena_z(&a, (str){ 0 }), "");
    str text = arena_printf(&a, "%s-%05d", "x", 42);
    assert_true(str_eq(text, S("x-00042")));
    assert_int_equal(text.ptr[text.len], 0);
    arena_fini(&a);
}

/* The same calls on a buffer in an arena, on one of its own, and on a plain array. */
static void a_buffer_keeps_every_byte_as_it_grows(void **state)
{
    (void)state;
    static char model[200000];
    isize n = 0;
    arena a = { 0 };
    struct buf in_arena = { .arena = &a }, own = { 0 };
    struct rng rng = rng_seed(2);
    while (n < 150000) {
        isize len = rng_below(&rng, 300);
        char piece[300];
        for (isize i = 0; i < len; i++) piece[i] = (char)rng_next(&rng);
        memcpy(model + n, piece, (size_t)len);
        n += len;
        buf_add(&in_arena, (str){ piece, len });
        buf_add(&own, (str){ piece, len });
        model[n++] = 'x';
        buf_byte(&in_arena, 'x');
        buf_byte(&own, 'x');
        memcpy(model + n, "7;", 2);
        n += 2;
        buf_printf(&in_arena, "%d;", 7);
        buf_printf(&own, "%d;", 7);
    }
    assert_true(str_eq(buf_str(&in_arena), (str){ model, n }));
    assert_true(str_eq(buf_str(&own), (str){ model, n }));
    buf_fini(&own);
    buf_fini(&in_arena);
    assert_int_equal(own.len, 0);
    buf_add(&own, S("again"));
    assert_true(str_eq(buf_str(&own), S("again")));
    buf_fini(&own);
    arena_fini(&a);
}

static void a_vec_holds_what_was_pushed(void **state)
{
    (void)state;
    struct pair { i32 a, b; };
    struct { struct pair *at; isize n, cap; } v = { 0 };
    for (i32 i = 0; i < 1000; i++) vec_push(&v, (struct pair){ i, -i });
    for (i32 i = 0; i < 1000; i++) assert_true(v.at[i].a == i && v.at[i].b == -i);
    vec_fini(&v);
    assert_null(v.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_out_is_zeroed_aligned_and_apart),
        cmocka_unit_test(a_reset_takes_back_what_came_after_the_mark),
        cmocka_unit_test(a_mark_of_an_empty_arena_resets_to_empty),
        cmocka_unit_test(clearing_keeps_the_arena_ready),
        cmocka_unit_test(text_in_an_arena_ends_in_a_nul),
        cmocka_unit_test(a_buffer_keeps_every_byte_as_it_grows),
        cmocka_unit_test(a_vec_holds_what_was_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
