/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a session ends when it should, its cookie alone changes nothing, and nobody guesses long.
 * Method: sessions with times as arguments, and requests made by hand. */
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#undef assert

#include <stdio.h>

#include "api/session.h"

#define NOW ((i64)1785067200000)

struct bench { struct sessions *sessions; arena a; struct seat seat; struct ticket_text token; };

static int set_up(void **state)
{
    struct bench *b = mem_new(sizeof *b);
    b->sessions = sessions_new();
    b->token = session_open(b->sessions, S("kari@shop.test"), WHO_EDITOR, NOW, &b->seat);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    sessions_free(b->sessions);
    arena_fini(&b->a);
    mem_free(b);
    return 0;
}

static str token_of(const struct bench *b) { return (str){ b->token.at, SESSION_TOKEN_LEN }; }

static void a_session_gives_back_who_opened_it(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    assert_true(session_find(b->sessions, token_of(b), NOW + 1, &seat));
    assert_string_equal(seat.email, "kari@shop.test");
    assert_int_equal(seat.role, WHO_EDITOR);
    assert_string_equal(seat.csrf, b->seat.csrf);
    assert_int_equal(strlen(seat.csrf), SESSION_CSRF_LEN);
    assert_int_equal(strlen(b->token.at), SESSION_TOKEN_LEN);
    assert_null(strstr(b->token.at, seat.csrf));
}

static void a_token_that_differs_in_one_letter_opens_nothing(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    for (isize i = 0; i < SESSION_TOKEN_LEN; i++) {
        struct ticket_text other = b->token;
        other.at[i] = other.at[i] == '0' ? '1' : '0';
        assert_false(session_find(b->sessions, (str){ other.at, SESSION_TOKEN_LEN }, NOW, &seat));
    }
    assert_false(session_find(b->sessions, (str){ b->token.at, SESSION_TOKEN_LEN - 1 }, NOW, &seat));
    assert_false(session_find(b->sessions, S(""), NOW, &seat));
}

static void a_session_ends_twelve_hours_after_the_log_in_however_busy(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    for (i64 at = 0; at < SESSION_MS; at += HOUR_MS)
        assert_true(session_find(b->sessions, token_of(b), NOW + at, &seat));
    assert_true(session_find(b->sessions, token_of(b), NOW + SESSION_MS - 1, &seat));
    assert_false(session_find(b->sessions, token_of(b), NOW + SESSION_MS, &seat));
}

static void a_session_ends_after_four_hours_without_a_request(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    assert_true(session_find(b->sessions, token_of(b), NOW + SESSION_IDLE_MS - 1, &seat));
    assert_true(session_find(b->sessions, token_of(b), NOW + 2 * SESSION_IDLE_MS - 2, &seat));
    assert_false(session_find(b->sessions, token_of(b), NOW + 3 * SESSION_IDLE_MS - 2, &seat));
}

static void a_log_out_ends_one_session_and_a_changed_account_all_of_its_own(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    struct ticket_text second = session_open(b->sessions, S("kari@shop.test"), WHO_EDITOR, NOW, &seat);
    struct ticket_text other = session_open(b->sessions, S("per@shop.test"), WHO_VIEWER, NOW, &seat);
    struct ticket_text third = session_open(b->sessions, S("kari@shop.test"), WHO_EDITOR, NOW, &seat);
    session_close(b->sessions, token_of(b));
    assert_false(session_find(b->sessions, token_of(b), NOW, &seat));
    assert_true(session_find(b->sessions, (str){ second.at, SESSION_TOKEN_LEN }, NOW, &seat));
    sessions_drop(b->sessions, S("kari@shop.test"));
    assert_false(session_find(b->sessions, (str){ second.at, SESSION_TOKEN_LEN }, NOW, &seat));
    assert_false(session_find(b->sessions, (str){ third.at, SESSION_TOKEN_LEN }, NOW, &seat));
    assert_true(session_find(b->sessions, (str){ other.at, SESSION_TOKEN_LEN }, NOW, &seat));
}

static void one_session_too_many_ends_the_one_idle_longest(void **state)
{
    struct bench *b = *state;
    struct seat seat;
    struct ticket_text tokens[SESSIONS_MAX];
    for (isize i = 0; i < SESSIONS_MAX - 1; i++)
        tokens[i] = session_open(b->sessions, S("per@shop.test"), WHO_VIEWER, NOW + 1 + i, &seat);
    assert_true(session_find(b->sessions, token_of(b), NOW + SESSIONS_MAX,
                             &seat)); /* the oldest is in use */
    (void)session_open(b->sessions, S("new@shop.test"), WHO_VIEWER, NOW + SESSIONS_MAX + 1, &seat);
    assert_true(session_find(b->sessions, token_of(b), NOW + SESSIONS_MAX + 2, &seat));
    assert_false(session_find(b->sessions, (str){ tokens[0].at, SESSION_TOKEN_LEN },
                              NOW + SESSIONS_MAX + 2, &seat));
    assert_true(session_find(b->sessions, (str){ tokens[1].at, SESSION_TOKEN_LEN },
                             NOW + SESSIONS_MAX + 2, &seat));
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool seated(struct bench *b, enum http_method method, const char *csrf, const char *name,
                   const char *value)
{
    struct http_header headers[4] = {
        { S("Cookie"), arena_printf(&b->a, "theme=dark; opmaat_session=%s", b->token.at) },
        { S("Host"), S("opmaat.shop.test") },
    };
    isize n = 2;
    if (csrf) headers[n++] = (struct http_header){ S("X-CSRF"), str_of(csrf) };
    if (name) headers[n++] = (struct http_header){ str_of(name), str_of(value) };
    struct http_request req = { .method = method, .headers = headers, .headers_n = n, .scratch = &b->a };
    struct seat seat;
    return seat_of(b->sessions, &req, NOW, &seat);
}

static void reading_needs_the_cookie_and_writing_the_csrf_token_too(void **state)
{
    struct bench *b = *state;
    assert_true(seated(b, METHOD_GET, NULL, NULL, NULL));
    assert_true(seated(b, METHOD_HEAD, NULL, NULL, NULL));
    const enum http_method writes[] = { METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE };
    for (isize i = 0; i < countof(writes); i++) {
        assert_true(seated(b, writes[i], b->seat.csrf, NULL, NULL));
        assert_false(seated(b, writes[i], NULL, NULL, NULL));
        assert_false(seated(b, writes[i], "", NULL, NULL));
        assert_false(seated(b, writes[i], "00000000000000000000000000000000", NULL, NULL));
    }
}

static void the_csrf_token_of_another_session_does_not_serve(void **state)
{
    struct bench *b = *state;
    struct seat other;
    (void)session_open(b->sessions, S("per@shop.test"), WHO_ADMIN, NOW, &other);
    assert_false(seated(b, METHOD_POST, other.csrf, NULL, NULL));
}

static void a_page_of_another_origin_is_refused_even_to_read(void **state)
{
    struct bench *b = *state;
    assert_true(seated(b, METHOD_GET, NULL, "Sec-Fetch-Site", "same-origin"));
    assert_true(seated(b, METHOD_GET, NULL, "Sec-Fetch-Site", "none"));
    assert_false(seated(b, METHOD_GET, NULL, "Sec-Fetch-Site", "same-site"));
    assert_false(seated(b, METHOD_GET, NULL, "Sec-Fetch-Site", "cross-site"));
    assert_true(seated(b, METHOD_GET, NULL, "Origin", "https://opmaat.shop.test"));
    assert_false(seated(b, METHOD_GET, NULL, "Origin", "https://www.shop.test"));
    assert_false(seated(b, METHOD_GET, NULL, "Origin", "https://opmaat.shop.test.evil.test"));
    assert_false(seated(b, METHOD_GET, NULL, "Origin", "null"));
    assert_false(seated(b, METHOD_POST, b->seat.csrf, "Origin", "https://www.shop.test"));
}

/* ---- tries ---------------------------------------------------------------------------------- */

static void ten_tries_in_a_quarter_of_an_hour_and_a_success_forgets_them(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < ATTEMPTS; i++) assert_true(attempt_begin(b->sessions, S("a@shop.test"), NOW + i));
    assert_false(attempt_begin(b->sessions, S("a@shop.test"), NOW + ATTEMPTS_MS - 1));
    assert_true(attempt_begin(b->sessions, S("b@shop.test"), NOW));
    assert_true(attempt_begin(b->sessions, S("a@shop.test"), NOW + ATTEMPTS_MS));
    for (int i = 0; i < ATTEMPTS - 1; i++)
        assert_true(attempt_begin(b->sessions, S("a@shop.test"), NOW + ATTEMPTS_MS));
    assert_false(attempt_begin(b->sessions, S("a@shop.test"), NOW + ATTEMPTS_MS));
    attempt_passed(b->sessions, S("a@shop.test"));
    assert_true(attempt_begin(b->sessions, S("a@shop.test"), NOW + ATTEMPTS_MS));
}

static void a_flood_of_other_names_takes_no_more_room(void **state)
{
    struct bench *b = *state;
    char name[32];
    for (int i = 0; i < 3 * ATTEMPTS_KEPT_MAX; i++) {
        int n = snprintf(name, sizeof name, "p%d@shop.test", i);
        assert_true(attempt_begin(b->sessions, (str){ name, n }, NOW + i));
    }
}

static void so_many_log_ins_at_once_and_no_more(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < LOGINS_AT_ONCE; i++) assert_true(login_slot_take(b->sessions));
    assert_false(login_slot_take(b->sessions));
    login_slot_give(b->sessions);
    assert_true(login_slot_take(b->sessions));
}

static void roles_have_an_order_and_a_name(void **state)
{
    enum who role;
    (void)state;
    assert_true(WHO_VIEWER < WHO_EDITOR && WHO_EDITOR < WHO_ADMIN && WHO_WRITE < WHO_VIEWER);
    assert_true(role_of(S("editor"), &role));
    assert_int_equal(role, WHO_EDITOR);
    assert_false(role_of(S("king"), &role));
    assert_false(role_of(S(""), &role));
}

static void an_account_keeps_no_password(void **state)
{
    struct bench *b = *state;
    struct diag diag = { .arena = &b->a };
    str doc;
    assert_int_equal(api_account_document(&b->a, S("Kari@Shop.test"), S("admin"),
                                          S("correct horse"), &doc, &diag),
                     ERR_OK);
    assert_true(str_find(doc, S("\"email\":\"kari@shop.test\"")) >= 0);
    assert_true(str_find(doc, S("$argon2id$")) >= 0);
    assert_true(str_find(doc, S("horse")) < 0);
    const str wrong[][3] = { { S_INIT("kari"), S_INIT("admin"), S_INIT("correct horse") },
                             { S_INIT("a+b@shop.test"), S_INIT("admin"), S_INIT("correct horse") },
                             { S_INIT("a@shop.test"), S_INIT("boss"), S_INIT("correct horse") },
                             { S_INIT("a@shop.test"), S_INIT("admin"), S_INIT("short") } };
    for (isize i = 0; i < countof(wrong); i++)
        assert_int_equal(
            api_account_document(&b->a, wrong[i][0], wrong[i][1], wrong[i][2], &doc, &diag),
            ERR_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_gives_back_who_opened_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_that_differs_in_one_letter_opens_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_session_ends_twelve_hours_after_the_log_in_however_busy,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_ends_after_four_hours_without_a_request, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_log_out_ends_one_session_and_a_changed_account_all_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_session_too_many_ends_the_one_idle_longest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reading_needs_the_cookie_and_writing_the_csrf_token_too,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_csrf_token_of_another_session_does_not_serve, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_page_of_another_origin_is_refused_even_to_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            ten_tries_in_a_quarter_of_an_hour_and_a_success_forgets_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_other_names_takes_no_more_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(so_many_log_ins_at_once_and_no_more, set_up, tear_down),
        cmocka_unit_test(roles_have_an_order_and_a_name),
        cmocka_unit_test_setup_teardown(an_account_keeps_no_password, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
