/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const i64 now_ms = 1795000000000;                /* 2026-11-18 */

struct bench { arena perm, scratch; struct demo_catalogue catalogue; struct demo_shop shop; };

static int open_bench(void **state)
{
    struct bench *b = mem_new((isize)sizeof *b);
    b->catalogue = demo_catalogue_new(&b->perm, 1, now_ms);
    b->shop = (struct demo_shop){ .catalogue = &b->catalogue,
                                  .write_key = S("wk_demo"),
                                  .identity_secret = S("a secret of the shop"),
                                  .console_hint = S("") };
    *state = b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;
    arena_fini(&b->scratch);
    arena_fini(&b->perm);
    mem_free(b);
    return 0;
}

static struct demo_reply ask(struct bench *b, struct demo_request r)
{
    if (!r.method.len) r.method = S("GET");
    r.now_ms = now_ms;
    r.chance = 0xabcdef;
    return demo_page(&b->shop, &r, &b->scratch);
}

static struct demo_reply get(struct bench *b, const char *path, const char *cookies)
{
    struct str_cut cut = str_cut(str_of(path), '?');
    return ask(b, (struct demo_request){ .path = cut.head, .query = cut.tail, .cookies = str_of(cookies) });
}

static struct demo_reply post(struct bench *b, const char *path, const char *body, const char *cookies)
{
    return ask(b, (struct demo_request){ .method = S("POST"),
                                         .path = str_of(path),
                                         .body = str_of(body),
                                         .cookies = str_of(cookies) });
}

static bool has(str text, const char *part) { return str_find(text, str_of(part)) >= 0; }

static str header(const struct demo_reply *r, const char *name, const char *start)
{
    for (isize i = 0; i < r->headers_n; i++)
        if (str_eq(r->headers[i].name, str_of(name))
            && str_starts(r->headers[i].value, str_of(start)))
            return r->headers[i].value;
    return S("");
}

/* "ff_cart=…" of the reply's Set-Cookie, to send back. */
static const char *cookie(struct bench *b, const struct demo_reply *r, const char *name)
{
    return arena_z(&b->scratch, str_cut(header(r, "Set-Cookie", name), ';').head);
}

static void each_page_answers_whole_in_both_languages(void **state)
{
    struct bench *b = *state;
    const char *const paths[] = {
        "/shop/",      "/shop/c/women",  "/shop/c/women-jeans?colour=indigo&sort=price",
        "/shop/p/p-1", "/shop/p/p-1850", "/shop/search?q=jeans",
        "/shop/cart",  "/shop/checkout", "/shop/thanks?order=FF-1",
        "/shop/login", "/shop/privacy",  "/shop/guide/a-1"
    };
    for (isize i = 0; i < countof(paths); i++) {
        for (isize nb = 0; nb < 2; nb++) {
            struct demo_reply r = get(b, paths[i], nb ? "ff_lang=nb" : "");
            assert_int_equal(r.status, 200);
            assert_true(str_starts(r.body, S("<!doctype html>")));
            assert_true(str_ends(r.body, S("</body></html>")));
            assert_true(has(r.body, nb ? "<html lang=\"nb-NO\">" : "<html lang=\"en\">"));
            assert_true(has(r.body, "<script async src=\"/tag.js\" data-key=\"wk_demo\""));
            assert_true(r.body.len < 80000);
            assert_true(str_is_utf8(r.body));
            arena_clear(&b->scratch);
        }
    }
}

static void placements_hold_default_content(void **state)
{
    struct bench *b = *state;
    struct demo_reply home = get(b, "/shop/", ""), product = get(b, "/shop/p/p-7", "");
    assert_true(has(home.body, "data-opmaat-placement=\"home_hero\"><a class=\"opmaat-banner\""));
    assert_true(has(
        home.body,
        "data-opmaat-placement=\"home_recs\"><ul class=\"opmaat-row\" role=\"list\"><li class=\"opmaat-card\">"));
    assert_true(has(
        product.body,
        "data-opmaat-placement=\"product_recs\"><ul class=\"opmaat-row\" role=\"list\"><li class=\"opmaat-card\">"));
    assert_true(has(product.body, "<article class=\"product\" data-opmaat-product=\"p-7\""));
    assert_true(has(product.body, "Trondheim"));
    struct demo_reply list = get(b, "/shop/c/women-jeans", "");
    assert_true(has(home.body, "data-opmaat-placement=\"home_rows\"><strong class=\"opmaat-headline\">"));
    assert_true(has(list.body, "data-opmaat-placement=\"brand_rows\"><strong class=\"opmaat-headline\">"));
    assert_true(
        has(list.body,
            "data-opmaat-placement=\"category_guides\"><ul class=\"guides\" role=\"list\"><li>"));
    assert_true(has(list.body, "data-opmaat-placement=\"store_recs\""));
    assert_true(has(list.body, "Popular in our shops"));
    list = get(b, "/shop/c/women-jeans", "ff_store=bergen-1");
    assert_true(has(list.body, "Popular in Bergen"));
    assert_true(has(list.body, "data-store=\"bergen-1\""));
    list = get(b, "/shop/c/women-jeans", "ff_store=atlantis-9");
    assert_true(has(list.body, "data-store=\"\""));
}

static void what_is_not_there_is_404(void **state)
{
    struct bench *b = *state;
    const char *const paths[] = { "/shop/p/p-0",      "/shop/p/p-2001",
                                  "/shop/p/",         "/shop/c/none",
                                  "/shop/guide/a-99", "/shop/img/x.svg",
                                  "/shop/nothing",    "/other" };
    for (isize i = 0; i < countof(paths); i++) assert_int_equal(get(b, paths[i], "").status, 404);
}

static void a_cart_lives_in_its_cookie_and_needs_no_consent(void **state)
{
    struct bench *b = *state;
    const struct demo_product *p = demo_product_by_key(&b->catalogue, S("p-2"));
    isize at = 0;
    while (p->variants[at].stock[DEMO_WEB] == 0) at++;
    str key = p->variants[at].key;
    const char *body =
        arena_z(&b->scratch, arena_printf(&b->scratch, "action=add&variant=%.*s", STR_FMT(key)));
    struct demo_reply added = post(b, "/shop/cart", body, "ff_consent=no");
    assert_int_equal(added.status, 303);
    const char *cart = cookie(b, &added, "ff_cart");
    assert_true(has(str_of(cart), arena_z(&b->scratch, arena_printf(&b->scratch, "ff_cart=%.*s*1",
                                                                    STR_FMT(key)))));
    struct demo_reply again = post(b, "/shop/cart", body, cart);
    cart = cookie(b, &again, "ff_cart");
    assert_true(str_ends(str_of(cart), S("*2")));
    struct demo_reply shown = get(b, "/shop/cart", cart);
    assert_true(has(shown.body, "data-opmaat-cart=\"p-2\""));
    assert_true(has(shown.body, "value=\"2\""));
    struct demo_reply none =
        post(b, "/shop/cart",
             arena_z(&b->scratch,
                     arena_printf(&b->scratch, "action=set&variant=%.*s&quantity=0", STR_FMT(key))),
             cart);
    assert_true(str_starts(header(&none, "Set-Cookie", "ff_cart"), S("ff_cart=;")));
}

static void a_cart_cookie_that_makes_no_sense_is_an_empty_cart(void **state)
{
    struct bench *b = *state;
    const char *const cookies[] = { "ff_cart=x",
                                    "ff_cart=p-1*1",
                                    "ff_cart=p-1-26-indigo*0",
                                    "ff_cart=p-1-26-indigo*99",
                                    "ff_cart=p-99999999999*1",
                                    "ff_cart=*.*.*",
                                    "ff_cart=<b>" };
    for (isize i = 0; i < countof(cookies); i++)
        assert_true(has(get(b, "/shop/cart", cookies[i]).body, "data-opmaat-cart=\"\""));
}

static void an_order_is_an_event_only_after_a_yes(void **state)
{
    struct bench *b = *state;
    const struct demo_variant *variant = &b->catalogue.products[0].variants[0];
    const char *const who[] = { "opmaat_id=anon-1", "opmaat_id=anon-1; ff_consent=no",
                                "ff_consent=yes", "opmaat_id=anon-1; ff_consent=yes" };
    for (isize i = 0; i < countof(who); i++) {
        const char *cookies = arena_z(&b->scratch, arena_printf(&b->scratch, "ff_cart=%.*s*2; %s",
                                                                STR_FMT(variant->key), who[i]));
        struct demo_reply r = post(b, "/shop/checkout", "delivery=home", cookies);
        assert_int_equal(r.status, 303);
        assert_true(str_starts(header(&r, "Set-Cookie", "ff_cart"), S("ff_cart=;")));
        assert_int_equal(r.event.len > 0, i == 3);
        if (i < 3) continue;
        const struct json *e;
        assert_int_equal(json_parse(&b->scratch, r.event, &e, NULL), ERR_OK);
        assert_true(str_eq(json_str(json_get(e, S("anonymousId")), S("")), S("anon-1")));
        assert_true(str_eq(json_str(json_get(e, S("event")), S("")), S("Order Completed")));
        assert_true(json_num(json_path(e, "properties.total"), 0) * 100
                    == (f64)(2 * variant->money[DEMO_EUR].price_minor));
        assert_int_equal(json_len(json_path(e, "properties.products")), 1);
    }
    assert_int_equal(post(b, "/shop/checkout", "", "ff_consent=yes; opmaat_id=a").event.len, 0);
}

static void logging_in_signs_the_person_and_a_forged_cookie_is_nobody(void **state)
{
    struct bench *b = *state;
    struct demo_reply in = post(b, "/shop/login", "person=kari-1&back=/shop/cart", "");
    assert_true(str_eq(header(&in, "Location", ""), S("/shop/cart")));
    const char *person = cookie(b, &in, "ff_person");
    struct demo_reply page = get(b, "/shop/", person);
    assert_true(has(page.body, "\"identify\":[\"kari-1\",\""));
    assert_true(has(page.body, arena_z(&b->scratch, demo_user_hash(&b->shop, S("kari-1"), &b->scratch))));
    assert_false(has(get(b, "/shop/", "ff_person=kari-1.00").body, "\"identify\""));
    assert_false(has(get(b, "/shop/", "ff_person=ola-2.00").body, "\"identify\""));
    assert_int_equal(header(&in, "Set-Cookie", "ff_person").len > 0, 1);
    struct demo_reply nobody = post(b, "/shop/login", "person=mallory", "");
    assert_int_equal(header(&nobody, "Set-Cookie", "").len, 0);
}

/* RFC 4231 test case 2. */
static void the_user_hash_is_hex_hmac_sha256(void **state)
{
    struct bench *b = *state;
    struct demo_shop shop = b->shop;
    shop.identity_secret = S("Jefe");
    assert_true(str_eq(demo_user_hash(&shop, S("what do ya want for nothing?"), &b->scratch),
        S("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")));
}

static void consent_is_asked_once_and_a_no_takes_the_tags_cookie_away(void **state)
{
    struct bench *b = *state;
    assert_true(has(get(b, "/shop/", "").body, "class=\"consent\""));
    assert_true(has(get(b, "/shop/", "").body, "\"consent\":null"));
    struct demo_reply yes = post(b, "/shop/consent", "choice=yes&back=/shop/p/p-1", "");
    assert_true(str_eq(header(&yes, "Location", ""), S("/shop/p/p-1")));
    struct demo_reply page = get(b, "/shop/", cookie(b, &yes, "ff_consent"));
    assert_false(has(page.body, "class=\"consent\""));
    assert_true(has(page.body, "\"consent\":true"));
    struct demo_reply anew =
        post(b, "/shop/start-over", "choice=new", "ff_consent=yes; ff_person=ola; ff_cart=p-1*1");
    assert_int_equal(anew.status, 303);
    assert_true(str_eq(header(&anew, "Location", ""), S("/shop/")));
    assert_true(str_starts(header(&anew, "Set-Cookie", "ff_person="), S("ff_person=;")));
    assert_true(str_starts(header(&anew, "Set-Cookie", "ff_cart="), S("ff_cart=;")));
    struct demo_reply no = post(b, "/shop/consent", "choice=no&back=//evil.example/", "");
    assert_true(str_eq(header(&no, "Location", ""), S("/shop/")));
    assert_true(header(&no, "Set-Cookie", "opmaat_id=;").len > 0);
}

static void what_a_stranger_typed_is_escaped(void **state)
{
    struct bench *b = *state;
    struct demo_reply r = get(b, "/shop/search?q=%3Cscript%3Ealert(1)%3C/script%3E", "ff_consent=yes");
    assert_int_equal(r.status, 200);
    assert_false(has(r.body, "<script>alert"));
    assert_false(has(r.body, "</script>alert"));
    r = get(b, "/shop/thanks?order=%22%3E%3Cimg%20src=x%3E", "");
    assert_false(has(r.body, "<img src=x"));
    r = get(b, "/shop/search?q=%FF%FE", "");
    assert_int_equal(r.status, 200);
    assert_true(str_is_utf8(r.body));
    const char *const backs[] = { "http://evil.example", "//evil.example",
                                  "/shop/\r\nSet-Cookie: x=1", "/shop/?a=b", "/other/" };
    for (isize i = 0; i < countof(backs); i++) {
        struct demo_reply lang = get(
            b,
            arena_z(&b->scratch, arena_printf(&b->scratch, "/shop/lang?to=nb&back=%s", backs[i])),
            "");
        assert_true(str_eq(header(&lang, "Location", ""), S("/shop/")));
    }
}

static void search_finds_by_words_of_either_language(void **state)
{
    struct bench *b = *state;
    assert_true(has(get(b, "/shop/search?q=slim+jeans", "").body, "Alma slim jeans"));
    assert_true(has(get(b, "/shop/search?q=kjole", "ff_lang=nb").body, "kjole</span>"));
    assert_true(has(get(b, "/shop/search?q=xyzzy", "").body, "0 products"));
    assert_true(has(get(b, "/shop/search?q=jeans&page=9999999999999", "").body, "products"));
}

static void files_may_be_kept_and_pages_may_not(void **state)
{
    struct bench *b = *state;
    struct demo_reply css = get(b, "/shop/shop.css", ""), svg = get(b, "/shop/img/p-5.svg", ""),
                      hero = get(b, "/shop/img/hero-women-jeans.svg", "");
    struct demo_reply page = get(b, "/shop/", "");
    assert_true(str_starts(header(&css, "Cache-Control", ""), S("public")));
    assert_true(str_eq(svg.type, S("image/svg+xml")));
    assert_true(hero.body.len > 1000 && hero.body.len < 12000);
    assert_true(str_eq(header(&page, "Cache-Control", ""), S("private, no-store")));
    assert_true(has(header(&page, "Content-Security-Policy", ""), "script-src 'self' 'sha256-"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_page_answers_whole_in_both_languages),
        TEST(placements_hold_default_content),
        TEST(what_is_not_there_is_404),
        TEST(a_cart_lives_in_its_cookie_and_needs_no_consent),
        TEST(a_cart_cookie_that_makes_no_sense_is_an_empty_cart),
        TEST(an_order_is_an_event_only_after_a_yes),
        TEST(logging_in_signs_the_person_and_a_forged_cookie_is_nobody),
        TEST(the_user_hash_is_hex_hmac_sha256),
        TEST(consent_is_asked_once_and_a_no_takes_the_tags_cookie_away),
        TEST(what_a_stranger_typed_is_escaped),
        TEST(search_finds_by_words_of_either_language),
        TEST(files_may_be_kept_and_pages_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
