/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/demo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "demo/words.h"
#include "ingest/ingest.h"

static const i64 start_ms = 1789000000000;              /* 2026-09-10 */
enum { PER_KIND = 100, SHOWN = 8 };

/* A shop around the shoppers: counts and digests what it hears, and shows either things of the
 * category this device looked at last, or things of a category picked by a hash. */
struct shop {
    arena perm, scratch;
    struct demo_catalogue catalogue;
    struct map *last_kind;                              /* anonymous id -> kind */
    bool follows, keeps;
    u64 digest, plain_digest;                           /* plain: without views and clicks of decisions */
    isize events, batches, decided;
    isize type[8];
    i64 first_ms, last_ms;
    isize out_of_order;
    struct buf heard;
};

enum {
    HEARD_PAGE,
    HEARD_VIEW,
    HEARD_ADD,
    HEARD_ORDER,
    HEARD_IDENTIFY,
    HEARD_DECISION,
    HEARD_DENIED,
    HEARD_STORE
};

static void hear_event(struct shop *shop, const struct json *e)
{
    struct buf text = { .arena = &shop->scratch };
    struct jsonw w = { .out = &text };
    jsonw_value(&w, e);
    str type = json_str(json_get(e, S("type")), S("")), event = json_str(json_get(e, S("event")), S(""));
    bool decision = str_starts(event, S("Decision "));
    shop->events++;
    shop->digest += hash64(buf_str(&text), 1);
    if (!decision) shop->plain_digest += hash64(buf_str(&text), 1);
    assert_true(json_str(json_get(e, S("messageId")), S("")).len > 0);
    shop->type[HEARD_PAGE] += str_eq(type, S("page"));
    shop->type[HEARD_VIEW] += str_eq(event, S("Product Viewed"));
    shop->type[HEARD_ADD] += str_eq(event, S("Product Added"));
    shop->type[HEARD_ORDER] += str_eq(event, S("Order Completed"));
    shop->type[HEARD_IDENTIFY] += str_eq(type, S("identify"));
    shop->type[HEARD_DECISION] += decision;
    shop->type[HEARD_DENIED] +=
        !json_bool(json_path(e, "context.consent.categoryPreferences.personalisation"), true);
    shop->type[HEARD_STORE] += str_eq(json_str(json_get(e, S("channel")), S("")), S("pos"));
    str who = json_str(json_get(e, S("anonymousId")), S("")),
        product = json_str(json_path(e, "properties.product_id"), S(""));
    const struct demo_product *p = demo_product_by_key(&shop->catalogue, product);
    if (p && !decision) map_put(shop->last_kind, hash128(who, 0), (u64)p->kind);
}

static void hear(void *ctx, str batch, i64 at_ms)
{
    struct shop *shop = ctx;
    const struct json *root;
    assert_int_equal(json_parse(&shop->scratch, batch, &root, NULL), ERR_OK);
    json_each(e, json_get(root, S("batch"))) hear_event(shop, e);
    if (at_ms < shop->last_ms) shop->out_of_order++;
    if (shop->first_ms == 0) shop->first_ms = at_ms;
    shop->last_ms = at_ms;
    shop->batches++;
    arena_clear(&shop->scratch);
}

static bool show(void *ctx, str request, i64 at_ms, arena *scratch, str *answer)
{
    struct shop *shop = ctx;
    const struct json *root;
    (void)at_ms;
    assert_int_equal(json_parse(scratch, request, &root, NULL), ERR_OK);
    json_each(e, json_get(root, S("events"))) hear_event(shop, e);
    shop->decided++;
    str who = json_str(json_path(root, "person.anonymous_id"), S("stranger"));
    u64 chosen = hash64(who, (u64)shop->decided) % KINDS;
    if (shop->follows) chosen = map_get(shop->last_kind, hash128(who, 0), chosen);
    struct buf out = { .arena = scratch };
    buf_printf(
        &out,
        "{\"decisions\":{\"home_hero\":{\"status\":\"ok\",\"ticket\":\"t-h%td\",\"content\":{\"headline\":\"New\",\"link\":\"/shop/c/%s\"}}",
        shop->decided, kinds[chosen].slug);
    json_each(placement, json_get(root, S("placements"))) {
        if (str_eq(json_str(placement, S("")), S("home_hero"))) continue;
        buf_printf(&out, ",\"%.*s\":{\"status\":\"ok\",\"ticket\":\"t-r%td\",\"items\":[",
                   STR_FMT(json_str(placement, S(""))), shop->decided);
        for (isize i = 0; i < SHOWN; i++)
            buf_printf(&out, "%s{\"product_key\":\"p-%td\",\"ticket\":\"t-i%td\"}", i ? "," : "",
                       (isize)chosen * PER_KIND + 1
                           + (isize)(hash64(who, (u64)(shop->decided * SHOWN + i)) % PER_KIND),
                       i);
        buf_printf(&out, "]}");
    }
    buf_printf(&out, "}}");
    *answer = buf_str(&out);
    arena_clear(&shop->scratch);
    return true;
}

struct run { bool null_effect, shows, follows; u64 seed; isize people; i32 days; isize slices; isize batch; };

/* One run of the simulation; the shop is the caller's to close. */
static struct demo_totals run(struct shop *shop, struct run r)
{
    *shop = (struct shop){ .follows = r.follows, .last_kind = map_new(1024) };
    shop->catalogue = demo_catalogue_new(&shop->perm, 1, start_ms);
    struct demo_shoppers *s = demo_shoppers_new(&shop->perm, &shop->catalogue,
        (struct demo_shoppers_options){ r.seed, r.people, r.null_effect, start_ms });
    struct demo_sinks sinks = { shop, hear, r.shows ? show : NULL, r.batch ? r.batch : 200 };
    arena scratch = { 0 };
    isize slices = r.slices ? r.slices : 1;
    for (isize i = 1; i <= slices; i++)
        demo_shoppers_run(s, start_ms + r.days * DAY_MS * i / slices, &sinks, &scratch);
    struct demo_totals totals = demo_shoppers_totals(s);
    arena_fini(&scratch);
    return totals;
}

static void close_shop(struct shop *shop)
{
    map_free(shop->last_kind);
    arena_fini(&shop->scratch);
    arena_fini(&shop->perm);
}

static void the_same_seed_gives_the_same_events_however_time_is_sliced(void **state)
{
    (void)state;
    struct shop one, two, other;
    run(&one, (struct run){ .seed = 4, .people = 100, .days = 20, .shows = true, .follows = true });
    run(&two, (struct run){ .seed = 4,
                            .people = 100,
                            .days = 20,
                            .shows = true,
                            .follows = true,
                            .slices = 50,
                            .batch = 1 });
    run(&other, (struct run){ .seed = 5, .people = 100, .days = 20, .shows = true, .follows = true });
    assert_true(one.events > 1000);
    assert_true(one.digest == two.digest);
    assert_false(one.digest == other.digest);
    close_shop(&one);
    close_shop(&two);
    close_shop(&other);
}

static void two_months_of_two_thousand_people_look_like_a_shop(void **state)
{
    (void)state;
    struct shop shop;
    struct demo_totals t = run(&shop, (struct run){ .seed = 1, .people = 2000, .days = 60, .batch = 500 });
    print_message("# visits %" PRId64 " pages %" PRId64 " events %" PRId64 " adds %" PRId64
                  " orders %" PRId64 " (store %" PRId64 ") revenue %" PRId64 "\n",
                  t.visits, t.pages, t.events, t.adds, t.orders, t.store_orders,
                  t.revenue_minor / 100);
    assert_int_equal(t.events, shop.events);
    assert_int_equal(t.orders, shop.type[HEARD_ORDER]);
    assert_int_equal(shop.out_of_order, 0);
    assert_in_range(t.events, 100000, 600000);
    f64 online = (f64)(t.orders - t.store_orders) / (f64)t.visits,
        denied = (f64)shop.type[HEARD_DENIED] / (f64)shop.events;
    assert_true(online > 0.01 && online < 0.08);
    assert_true(denied > 0.05 && denied < 0.16);
    assert_true(shop.type[HEARD_VIEW] > 10 * shop.type[HEARD_ADD]);
    assert_true(shop.type[HEARD_ADD] > shop.type[HEARD_ORDER] - shop.type[HEARD_STORE]);
    assert_true(shop.type[HEARD_IDENTIFY] > 500);
    assert_in_range(shop.type[HEARD_STORE], 200, 1500);
    assert_true(shop.last_ms <= start_ms + 60 * DAY_MS);
    close_shop(&shop);
}

static void showing_what_suits_pays(void **state)
{
    (void)state;
    struct shop random, right;
    struct demo_totals a = run(&random, (struct run){ .seed = 2, .people = 1500, .days = 30, .shows = true });
    struct demo_totals b =
        run(&right,
            (struct run){ .seed = 2, .people = 1500, .days = 30, .shows = true, .follows = true });
    i64 web_a = a.orders - a.store_orders, web_b = b.orders - b.store_orders;
    print_message("# at random: %" PRId64 " visits %" PRId64 " orders %" PRId64
                  " clicks; following: %" PRId64 " visits %" PRId64 " orders %" PRId64 " clicks\n",
                  a.visits, web_a, a.clicks, b.visits, web_b, b.clicks);
    assert_true(web_b * 100 > web_a * 115);
    assert_true(b.clicks * 100 > a.clicks * 130);
    close_shop(&random);
    close_shop(&right);
}

static void with_null_effect_nothing_they_do_depends_on_what_they_are_shown(void **state)
{
    (void)state;
    struct shop none, random, right;
    struct run r = { .seed = 3, .people = 300, .days = 30, .null_effect = true };
    struct demo_totals a = run(&none, r);
    r.shows = true;
    struct demo_totals b = run(&random, r);
    r.follows = true;
    struct demo_totals c = run(&right, r);
    assert_true(none.plain_digest == random.plain_digest);
    assert_true(none.plain_digest == right.plain_digest);
    assert_int_equal(a.revenue_minor, c.revenue_minor);
    assert_int_equal(b.clicks, c.clicks);
    assert_true(c.clicks > 100);
    close_shop(&none);
    close_shop(&random);
    close_shop(&right);
}

static void hurrying_gives_about_the_rate_asked_for(void **state)
{
    (void)state;
    struct shop shop = { .last_kind = map_new(1024) };
    shop.catalogue = demo_catalogue_new(&shop.perm, 1, start_ms);
    struct demo_shoppers *s = demo_shoppers_new(
        &shop.perm, &shop.catalogue, (struct demo_shoppers_options){ 9, 2000, false, start_ms });
    struct demo_sinks sinks = { &shop, hear, show, 1 };
    arena scratch = { 0 };
    demo_shoppers_hurry(s, start_ms, 5);
    demo_shoppers_run(s, start_ms + 30 * MINUTE_MS, &sinks, &scratch);
    isize before = shop.events;
    demo_shoppers_run(s, start_ms + 90 * MINUTE_MS, &sinks, &scratch);
    f64 rate = (f64)(shop.events - before) / 3600;
    print_message("# asked for 5 events a second, got %.2f\n", rate);
    assert_true(rate > 2.5 && rate < 10);
    arena_fini(&scratch);
    close_shop(&shop);
}

/* ---- what they say, as the engine reads it ------------------------------------------------ */

struct reader { arena a; isize taken, orders, lines, in_store, bad; i64 earliest_ms, latest_ms; };

static void take(void *ctx, isize index, const struct event *e)
{
    struct reader *r = ctx;
    (void)index;
    r->taken++;
    assert_true(e->key.len > 0);
    assert_true(e->identifiers_n > 0);
    assert_true((e->consent_granted | e->consent_denied) != 0);
    if (e->type == EVENT_NONE || e->type >= EVENT_CUSTOM_FIRST) r->bad++;
    if (r->earliest_ms == 0 || e->at_ms < r->earliest_ms) r->earliest_ms = e->at_ms;
    r->latest_ms = max_i64(r->latest_ms, e->at_ms);
    if (e->type != EVENT_ORDER_COMPLETED) return;
    r->orders++;
    assert_true(e->valued && e->value_minor > 0 && e->order_key.len > 0);
    r->in_store += e->channel == CHANNEL_POS && e->store.len > 0;
    for (isize i = 0; i < e->items_n; i++) {
        assert_true(e->items[i].product_key.len > 0 && e->items[i].variant_key.len > 0);
        r->lines++;
    }
}

static void refuse(void *ctx, isize index, enum err err, str reason, const struct json *event)
{
    (void)ctx, (void)index, (void)err, (void)event;
    fail_msg("refused: %.*s", STR_FMT(reason));
}

static void read_batch(void *ctx, str batch, i64 at_ms)
{
    struct reader *r = ctx;
    const struct json *body;
    (void)at_ms;
    assert_int_equal(json_parse(&r->a, batch, &body, NULL), ERR_OK);
    struct ingest_envelope envelope = { .received_ms = start_ms + 90 * DAY_MS,
                                        .source = S("demo"),
                                        .verified = true };
    struct ingest_sink sink = { .ctx = r, .event = take, .refused = refuse };
    assert_int_equal(ingest_batch(&r->a, body, &envelope, &sink, NULL), ERR_OK);
    arena_clear(&r->a);
}

static void the_engine_reads_all_they_say_with_the_times_they_say(void **state)
{
    (void)state;
    arena perm = { 0 }, scratch = { 0 };
    struct reader r = { .bad = 0 };
    struct demo_catalogue c = demo_catalogue_new(&perm, 1, start_ms);
    struct demo_shoppers *s =
        demo_shoppers_new(&perm, &c, (struct demo_shoppers_options){ 6, 300, false, start_ms });
    struct demo_sinks sinks = { &r, read_batch, NULL, 500 };
    demo_shoppers_run(s, start_ms + 30 * DAY_MS, &sinks, &scratch);
    struct demo_totals t = demo_shoppers_totals(s);
    assert_int_equal(r.taken, t.events);
    assert_int_equal(r.orders, t.orders);
    assert_int_equal(r.in_store, t.store_orders);
    assert_true(r.lines >= r.orders && r.orders > 20);
    assert_int_equal(r.bad, 0);
    assert_true(r.earliest_ms >= start_ms && r.latest_ms <= start_ms + 30 * DAY_MS);
    assert_true(r.latest_ms - r.earliest_ms > 28 * DAY_MS);
    arena_fini(&r.a);
    arena_fini(&scratch);
    arena_fini(&perm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_events_however_time_is_sliced),
        cmocka_unit_test(two_months_of_two_thousand_people_look_like_a_shop),
        cmocka_unit_test(showing_what_suits_pays),
        cmocka_unit_test(with_null_effect_nothing_they_do_depends_on_what_they_are_shown),
        cmocka_unit_test(the_engine_reads_all_they_say_with_the_times_they_say),
        cmocka_unit_test(hurrying_gives_about_the_rate_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
