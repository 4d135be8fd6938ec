/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is published compiles whole or is refused with the place; a running experiment keeps
 * people where they are. Method: definitions drafted and published as the log would, a thousand ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "decide/decide.h"

struct world { struct definitions *definitions; struct book *book; struct definition_errors errors; };

static i32 no_event(const void *ctx, str name)
{
    (void)ctx;
    u16 type = event_type_of(name);
    return type ? type : -1;
}

static i32 segment_number(const void *ctx, str key)
{
    const struct definition *def =
        definition_find(((const struct world *)ctx)->definitions, S("segment"), key);
    return def ? def->number : -1;
}

static bool no_names(const void *ctx, enum rule_name sort, isize at, str *out)
{
    (void)ctx;
    (void)sort;
    (void)at;
    (void)out;
    return false;
}

static enum err build(struct world *w)
{
    static const u8 secret[32] = { 1 };
    struct rule_names names = { w, no_event, segment_number, no_names };
    book_free(w->book);
    w->errors.n = 0;
    return book_build(w->definitions, NULL, &names, secret, 1, &w->book, &w->errors);
}

static void publish(struct world *w, const char *kind, const char *key, const char *document)
{
    struct definition_change change = { .op = DEFINITION_DRAFT,
                                        .kind = str_of(kind),
                                        .key = str_of(key),
                                        .document = str_of(document) };
    definition_apply(w->definitions, &change, 1);
    change.op = DEFINITION_PUBLISH;
    definition_apply(w->definitions, &change, 2);
}

static void world_fini(struct world *w)
{
    book_free(w->book);
    definitions_free(w->definitions);
}

static const char placement[] = "{\"schema\":{\"headline\":\"text\"},\"default\":{\"headline\":\"Hello\"}}";

static void publish_experiment(struct world *w, const char *a, const char *b)
{
    struct buf text = { 0 };
    buf_printf(
        &text,
        "{\"placement\":\"hero\",\"goal\":\"g\",\"experiences\":[{\"key\":\"x\",\"choose\":\"experiment\",\"variations\":["
        "{\"key\":\"a\",\"share\":\"%s\",\"content\":{\"headline\":\"A\"}},{\"key\":\"b\",\"share\":\"%s\",\"content\":{\"headline\":\"B\"}}]}]}%c",
        a, b, 0);
    publish(w, "campaign", "c", text.ptr);
    buf_fini(&text);
    assert_int_equal(build(w), ERR_OK);
}

enum { PEOPLE = 1000 };

static void assign_all(const struct world *w, isize *out)
{
    const struct experience *x = &w->book->campaigns[0].experiences[0];
    for (int i = 0; i < PEOPLE; i++) {
        char id[16];
        int n = snprintf(id, sizeof id, "person-%d", i);
        out[i] =
            experiment_assign((struct bucket_key){ { id, n }, x->experiment_key }, x->allocation)
                .variation;
    }
}

/* Everybody who was in an arm stays in it while both arms grow, through every step of the ramp. */
static void R80_a_ramp_moves_nobody_who_is_in(void **state)
{
    (void)state;
    static const char *const steps[][2] = {
        { "5%", "5%" }, { "20%", "10%" }, { "30%", "30%" }, { "50%", "50%" }
    };
    struct world w = { .definitions = definitions_new() };
    isize before[PEOPLE], now[PEOPLE];
    publish(&w, "placement", "hero", placement);
    for (isize step = 0; step < countof(steps); step++) {
        isize in = 0;
        publish_experiment(&w, steps[step][0], steps[step][1]);
        assign_all(&w, now);
        for (int i = 0; i < PEOPLE; i++) {
            in += now[i] >= 0;
            if (step && before[i] >= 0) assert_int_equal(now[i], before[i]);
        }
        assert_true(step == 0 || in > 0);
        memcpy(before, now, sizeof now);
    }
    for (int i = 0; i < PEOPLE; i++) assert_true(now[i] >= 0);
    world_fini(&w);
}

static void R80_the_same_person_is_always_assigned_the_same(void **state)
{
    (void)state;
    struct world w = { .definitions = definitions_new() };
    isize first[PEOPLE], again[PEOPLE], of_a = 0;
    publish(&w, "placement", "hero", placement);
    publish_experiment(&w, "50%", "50%");
    assign_all(&w, first);
    assert_int_equal(build(&w), ERR_OK);
    assign_all(&w, again);
    for (int i = 0; i < PEOPLE; i++) {
        assert_int_equal(first[i], again[i]);
        of_a += first[i] == 0;
    }
    assert_in_range(of_a, 430, 570);                    /* 500 expected, standard deviation 16 */
    world_fini(&w);
}

static void what_does_not_compile_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct { const char *kind, *document, *path, *says; } rows[] = {
        { "campaign", "{\"placement\":\"nowhere\",\"goal\":\"g\",\"experiences\":[{\"key\":\"x\",\"variations\":[{\"key\":\"a\",\"render\":\"default\"}]}]}",
          "placement", "nowhere" },
        { "campaign", "{\"placement\":\"hero\",\"experiences\":[{\"key\":\"x\",\"variations\":[{\"key\":\"a\",\"render\":\"default\"}]}]}", "goal", "gains" },
        { "campaign", "{\"placement\":\"hero\",\"goal\":\"g\",\"experiences\":[{\"key\":\"x\",\"target\":\"gendr = \",\"variations\":[{\"key\":\"a\",\"render\":\"default\"}]}]}",
          "experiences[0].target", "" },
        { "campaign", "{\"placement\":\"hero\",\"goal\":\"g\",\"experiences\":[{\"key\":\"x\",\"variations\":[{\"key\":\"a\",\"content\":{\"headlin\":\"t\"}}]}]}",
          "experiences[0].variations[0]", "headlin" },
        { "segment", "{\"rule\":\"count(product_viewd, last 3 days) >= 1\"}", "rule", "product_viewd" },
        { "strategy", "{\"mix\":[\"magic\"]}", "mix", "magic" },
        { "source", "{\"basis\":{\"analytic\":\"consent\"}}", "basis", "analytic" },
        { "key", "{\"hash\":\"00\",\"source\":\"none\"}", "hash", "hexadecimal" },
        { "placement", "not json", "", "JSON" },
    };
    for (isize i = 0; i < countof(rows); i++) {
        struct world w = { .definitions = definitions_new() };
        publish(&w, "placement", "hero", placement);
        publish(&w, rows[i].kind, "mistaken", rows[i].document);
        assert_int_equal(build(&w), ERR_REFUSED);
        assert_true(w.errors.n >= 1);
        assert_true(str_eq(w.errors.at[0].path, str_of(rows[i].path)));
        assert_true(str_find(w.errors.at[0].message, str_of(rows[i].says)) >= 0);
        assert_true(str_eq(w.errors.at[0].key, S("mistaken")));
        world_fini(&w);
    }
}

static void one_connector_more_than_there_can_be_is_refused(void **state)
{
    (void)state;
    struct world w = { .definitions = definitions_new() };
    arena a = { 0 };
    for (isize i = 0; i <= CONNECTORS_MAX; i++) {
        assert_int_equal(build(&w), ERR_OK);
        publish(&w, "connector", arena_printf(&a, "c%03lld", (long long)i).ptr,
                "{\"type\":\"poll\",\"purpose\":\"analytics\",\"events\":[\"*\"]}");
    }
    assert_int_equal(build(&w), ERR_REFUSED);
    assert_true(str_find(w.errors.at[0].message, S("at most 64")) >= 0);
    assert_true(str_eq(w.errors.at[0].kind, S("connector")));
    world_fini(&w);
    arena_fini(&a);
}

static void segments_in_a_circle_are_refused(void **state)
{
    (void)state;
    struct world w = { .definitions = definitions_new() };
    publish(&w, "segment", "one", "{\"rule\":\"in segment \\\"two\\\"\"}");
    publish(&w, "segment", "two", "{\"rule\":\"in segment \\\"one\\\"\"}");
    assert_int_equal(build(&w), ERR_REFUSED);
    assert_true(str_find(w.errors.at[0].message, S("circle")) >= 0);
    world_fini(&w);
}

static void a_ticket_comes_back_whole_or_not_at_all(void **state)
{
    (void)state;
    static const u8 secret[32] = { 7 }, other[32] = { 8 };
    arena a = { 0 };
    struct ticket t = { .decision_key = 0x123456789abcdef0,
                        .campaign = 9,
                        .item = 77,
                        .placement = 3,
                        .experience = 1,
                        .variation = 2,
                        .reason = REASON_EXPERIMENT,
                        .programme_holdout = true,
                        .at_ms = 1700000000000 };
    struct ticket back;
    struct ticket_key key = ticket_key(secret);
    str text = ticket_make(&a, &key, &t);
    /* as an older version signed it */
    assert_true(ticket_read(secret, S("8L3z1YnPlZoSCU0DAQIBAYCgq_75YnNp8ewPpLEX"), &back));
    assert_true(back.decision_key == t.decision_key && back.item == 77);
    assert_true(ticket_read(secret, text, &back));
    assert_true(back.decision_key == t.decision_key && back.campaign == 9 && back.item == 77
                && back.variation == 2);
    assert_true(back.programme_holdout && back.at_ms == t.at_ms);
    assert_false(ticket_read(other, text, &back));
    for (isize i = 0; i < text.len; i++) {              /* one letter changed anywhere */
        str forged = arena_str(&a, text);
        ((char *)(uintptr_t)forged.ptr)[i] = forged.ptr[i] == 'A' ? 'B' : 'A';
        struct ticket wrong;
        bool read = ticket_read(secret, forged, &wrong);
        assert_true(!read || memcmp(&wrong, &back, sizeof wrong) != 0 || i == text.len - 1);
    }
    u32 campaign;
    u8 experience, variation;
    str preview = preview_make(&a, secret, 5, 1, 2, 1000);
    assert_true(preview_read(secret, preview, 2000, &campaign, &experience, &variation));
    assert_true(campaign == 5 && experience == 1 && variation == 2);
    assert_false(preview_read(secret, preview, 1000 + 2 * DAY_MS, &campaign, &experience, &variation));
    assert_false(ticket_read(secret, preview, &back));
    arena_fini(&a);
}

static void a_cap_holds_and_is_given_back_after_half_an_hour(void **state)
{
    (void)state;
    struct caps *caps = caps_new();
    i64 now = 1700000000000;
    for (int i = 0; i < 3; i++) assert_true(caps_reserve(caps, S("ana"), 4, 0, 3, now));
    assert_false(caps_reserve(caps, S("ana"), 4, 0, 3, now + 1000));
    assert_true(caps_reserve(caps, S("ana"), 5, 0, 3, now));
    assert_true(caps_reserve(caps, S("bo"), 4, 0, 3, now));
    assert_true(caps_reserve(caps, S("ana"), 4, 2, 3, now + 31 * MINUTE_MS));
    assert_false(caps_reserve(caps, S("ana"), 4, 3, 3, now + 62 * MINUTE_MS));
    caps_free(caps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R80_a_ramp_moves_nobody_who_is_in),
        cmocka_unit_test(R80_the_same_person_is_always_assigned_the_same),
        cmocka_unit_test(what_does_not_compile_is_refused_with_its_place),
        cmocka_unit_test(one_connector_more_than_there_can_be_is_refused),
        cmocka_unit_test(segments_in_a_circle_are_refused),
        cmocka_unit_test(a_ticket_comes_back_whole_or_not_at_all),
        cmocka_unit_test(a_cap_holds_and_is_given_back_after_half_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
