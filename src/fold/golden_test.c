/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: nobody changes what a log folds to without raising STATE_FORM, since folders of an older
 * form would keep what the older program made of it. Method: one log of every kind of entry, made
 * here with fixed keys and times, folded; its digest is compared with the one that stands beside
 * STATE_FORM.
 *
 * When it differs: is it meant? If not, mend it. If it is, raise STATE_FORM, say there what
 * changed, and put what this test prints in the place of STATE_GOLDEN. Never the digest alone. When
 * another change got there first, raise the form above theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#undef assert

#include "fold/inside.h"

#define T0 ((i64)1767261600000)                         /* 2026-01-01T10:00:00Z */

static arena a;
static struct log *kept;
static struct { struct entry *at; isize n, cap; } entries;
static i64 at_ms;

static i64 fixed(void *ctx) { (void)ctx; return T0 + 400 * DAY_MS; }

static void entry(u8 kind, const struct buf *bytes)
{
    vec_push(&entries, ((struct entry){ kind, buf_str(bytes) }));
}

/* What was added since is one record. */
static void record(i64 later_ms)
{
    at_ms += later_ms;
    struct record r = { .at_ms = at_ms, .fold_version = 1, .entries = entries.at, .entries_n = entries.n };
    assert_int_equal(log_append(kept, log_tail(kept), &r, 1), LOG_OK);
    entries.n = 0;
}

static void define(const char *kind, const char *key, const char *document)
{
    struct definition_change change = { .op = DEFINITION_DRAFT,
                                        .kind = str_of(kind),
                                        .key = str_of(key),
                                        .document = str_of(document),
                                        .author = S("kari") };
    struct buf draft = { .arena = &a }, publish = { .arena = &a };
    definition_change_encode(&change, &draft);
    change.op = DEFINITION_PUBLISH;
    change.document = S("");
    change.revision = 1;
    definition_change_encode(&change, &publish);
    entry(ENTRY_DEFINITION, &draft);
    entry(ENTRY_DEFINITION, &publish);
}

static void happens(struct event e)
{
    static i32 keys;
    struct buf bytes = { .arena = &a };
    e.source = S("web");
    e.key = arena_printf(&a, "key-%d", ++keys);
    e.at_ms = at_ms;
    e.consent_granted = 0xffff;
    event_encode(&e, &bytes);
    entry(ENTRY_EVENT, &bytes);
}

static void story(void)
{
    static struct identifier ana[] = { { IDENTIFIER_USER_ID, true, S_INIT("ana") }, { IDENTIFIER_ANONYMOUS_ID, false, S_INIT("browser-1") } };
    static struct identifier ben[] = { { IDENTIFIER_EMAIL, true, S_INIT("ben@example.com") } };
    static struct identifier claim[] = { { IDENTIFIER_ANONYMOUS_ID, false, S_INIT("browser-2") }, { IDENTIFIER_USER_ID, false, S_INIT("ana") } };
    static struct event_item jeans[] = { { .product_key = S_INIT("jeans"), .title = S_INIT("Slim jeans"), .category = S_INIT("Women > Jeans"),
                                           .priced = true, .price_minor = 4900, .quantity = 2 } };
    static struct fact traits[] = { { .name = S_INIT("city"), .kind = FACT_TEXT, .text = S_INIT("Oslo") },
                                    { .name = S_INIT("age"), .kind = FACT_NUMBER, .n = 41 } };
    currency eur = currency_of(S("EUR"));
    at_ms = T0;
    define("settings", "secret",
           "{\"ticket\":\"0102030405060708091011121314151617181920212223242526272829303132\","
           "\"denial\":\"3132333435363738394041424344454647484950515253545556575859606162\"}");
    record(0);
    define(
        "source", "web",
        "{\"title\":\"Web\",\"owner\":\"kari\",\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\"}}");
    define(
        "segment", "viewers",
        "{\"title\":\"Viewers\",\"owner\":\"kari\",\"rule\":\"count(product_viewed, last 30 days) >= 1\"}");
    define("segment", "buyers",
           "{\"title\":\"Buyers\",\"owner\":\"kari\",\"rule\":\"count(order_completed) >= 1\"}");
    record(SECOND_MS);
    happens((struct event){ .type = EVENT_PRODUCT_VIEWED,
                            .name = S("Product Viewed"),
                            .identifiers = ana + 1,
                            .identifiers_n = 1,
                            .items = jeans,
                            .items_n = 1,
                            .currency = eur });
    happens((struct event){ .type = EVENT_IDENTIFIED,
                            .name = S("identify"),
                            .identifiers = ana,
                            .identifiers_n = 2,
                            .traits = traits,
                            .traits_n = 2 });
    record(MINUTE_MS);
    happens((struct event){ .type = EVENT_PRODUCT_VIEWED,
                            .name = S("Product Viewed"),
                            .identifiers = claim,
                            .identifiers_n = 2,
                            .items = jeans,
                            .items_n = 1 });
    happens((struct event){
        .type = EVENT_NONE, .name = S("Bike Fitted"), .identifiers = ben, .identifiers_n = 1 });
    happens((struct event){ .type = EVENT_ORDER_COMPLETED,
                            .name = S("Order Completed"),
                            .identifiers = ben,
                            .identifiers_n = 1,
                            .order_key = S("1001"),
                            .items = jeans,
                            .items_n = 1,
                            .currency = eur,
                            .valued = true,
                            .value_minor = 9800 });
    record(HOUR_MS);
    happens((struct event){ .type = EVENT_ORDER_REFUNDED,
                            .name = S("Order Refunded"),
                            .order_key = S("1001"),
                            .currency = eur,
                            .valued = true,
                            .value_minor = 1000 });
    struct buf refusal = { .arena = &a }, letter = { .arena = &a }, merge = { .arena = &a },
               tick = { .arena = &a }, item = { .arena = &a };
    refusal_encode(
        &(struct refusal){
            .source = 1, .no_consent = 2, .denials = { { { 5, 6 }, 3 } }, .denials_n = 1 },
        &refusal);
    dead_letter_encode(
        &(struct dead_letter){ .source = S("web"), .reason = S("no time"), .raw = S("{}") },
        &letter);
    people_order_encode(
        &(struct people_order){ .op = PEOPLE_MERGE, .a = 1, .b = 4, .who = S("kari") }, &merge);
    item_change_encode(&(struct item_change){ ITEM_PUT,
                                              { .kind = ITEM_PRODUCT,
                                                .key = S("shirt"),
                                                .brand = S("Acme"),
                                                .category = S("Men > Shirts") } },
                       &item);
    entry(ENTRY_REFUSAL, &refusal);
    entry(ENTRY_DEAD, &letter);
    entry(ENTRY_PEOPLE, &merge);
    entry(ENTRY_CATALOG, &item);
    record(DAY_MS);
    entry(ENTRY_TICK, &tick);
    record(40 * DAY_MS);                                /* who had looked has not for long */
}

static void the_same_log_folds_to_what_it_did(void **state)
{
    (void)state;
    struct config config = config_default();
    struct diag diag = { .arena = &a };
    struct fold *fold = NULL;
    struct fold_options options = { .config = &config, .clock = { fixed, NULL }, .log_uri = "mem:golden" };
    assert_int_equal(log_open("mem:golden", &config, &kept, &diag), ERR_OK);
    story();
    log_close(kept);
    if (fold_open(&options, &fold, &diag)) fail_msg("fold_open: %.*s", STR_FMT(diag.what));
    assert_int_equal(orders_n(&fold->orders), 1);            /* the story was taken, not refused */
    assert_int_equal(identity_people(fold->live.identity), 4);
    assert_int_equal(fold->names.n, 1);
    assert_int_equal(fold->totals.dead, 1);
    struct hash128 h = fold_digest(fold).all;
    char digest[40];
    (void)snprintf(digest, sizeof digest, "%016llx%016llx", (unsigned long long)h.hi,
                   (unsigned long long)h.lo);
    if (strcmp(digest, STATE_GOLDEN) != 0)
        fail_msg(
            "a log folds to something else than it did. If that is meant, raise STATE_FORM (now %d) in fold/inside.h, say there what changed, and put "
            "STATE_GOLDEN beside it to \"%s\"",
            STATE_FORM, digest);
    fold_close(fold);
    vec_fini(&entries);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_log_folds_to_what_it_did) };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
