/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all as a number, an instant, an amount of money, a word, a settings file: taken or
 * refused, and what is taken prints so that it reads back the same. */
#include "base/clock.h"
#include "base/config.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    arena a = { 0 };
    str text = { (const char *)data, (isize)len };

    i64 n, back;
    if (str_to_i64(text, &n)) {
        assert(str_to_i64(arena_printf(&a, "%lld", (long long)n), &back));
        assert(back == n);
    }
    f64 x;
    if (str_to_f64(text, &x)) assert(x - x == 0);
    for (int digits = 0; digits <= 6; digits++) {
        if (!str_to_minor(text, digits, &n)) continue;
        if (digits == 0) assert(str_to_minor(arena_printf(&a, "%lld", (long long)n), 0, &back) && back == n);
    }
    if (time_parse(text, &n)) {
        assert(time_parse(time_print(&a, n), &back));
        assert(back == n);
        struct civil c = time_civil(n, 0);
        assert(c.year >= 0 && c.year <= 9999 && c.weekday >= 1 && c.weekday <= 7);
    }
    struct str_cut cut = str_cut(text, '=');
    assert(cut.head.len + cut.tail.len + cut.found == text.len);
    assert(str_distance(cut.head, cut.tail) == str_distance(cut.tail, cut.head));
    (void)str_is_utf8(text);

    struct diag diag = { .arena = &a };
    struct config c = config_default();
    enum err err = config_file(&c, text, &diag);
    assert(err == ERR_OK || err == ERR_BAD_INPUT);
    for (isize i = 0; i < config_rows_n; i++)
        assert(config_get(&c, i) >= config_rows[i].least && config_get(&c, i) <= config_rows[i].most);
    arena_fini(&a);
    return 0;
}
