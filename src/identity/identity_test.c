/* SPDX-License-Identifier: Apache-2.0
 *
 * identity_test.c - whatever order links come in, the same people come of them. The oracle is a
 * plain union of whatever events name together. */
#include "identity/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

enum { PEOPLE = 12, PER_PERSON = 9, IDS = PEOPLE * PER_PERSON, LINKS = 150 };

static arena a;

/* Of one person: a user id, two of each other strong kind at most, browsers and a device; some of them aliases. */
static struct identifier identifier_of(i32 n)
{
    static const u8 kinds[PER_PERSON] = { IDENTIFIER_USER_ID, IDENTIFIER_EMAIL, IDENTIFIER_EMAIL, IDENTIFIER_PHONE, IDENTIFIER_CARD,
                                          IDENTIFIER_MEMBER_ID, IDENTIFIER_ANONYMOUS_ID, IDENTIFIER_ANONYMOUS_ID, IDENTIFIER_DEVICE_ID };
    return (struct identifier){ kinds[n % PER_PERSON], true, arena_printf(&a, "id-%d", n) };
}

struct pair { i32 x, y; };

static i32 root(i32 *of, i32 n) { while (of[n] != n) n = of[n]; return n; }

static struct resolved meet(struct identity *identity, struct pair link, u64 ref)
{
    struct identifier ids[2] = { identifier_of(link.x), identifier_of(link.y) };
    struct event e = { .source = S("shop"), .identifiers = ids, .identifiers_n = link.x == link.y ? 1 : 2 };
    return identity_resolve(identity, &e, ref, 1000 + (i64)ref);
}

static void shuffle(struct rng *rng, struct pair *links)
{
    for (isize i = LINKS - 1; i > 0; i--) {
        isize j = rng_below(rng, (u32)i + 1);
        struct pair swap = links[i];
        links[i] = links[j];
        links[j] = swap;
    }
}

static void any_order_of_the_same_links_gives_the_same_people(void **state)
{
    (void)state;
    for (u64 round = 0; round < 40; round++) {
        struct rng rng = rng_seed(round + 1);
        struct pair links[LINKS];
        i32 of[IDS];
        bool met[IDS] = { false };
        for (i32 i = 0; i < IDS; i++) of[i] = i;
        for (isize i = 0; i < LINKS; i++) {
            i32 person = (i32)rng_below(&rng, PEOPLE) * PER_PERSON;
            links[i] = (struct pair){ person + (i32)rng_below(&rng, PER_PERSON), person + (i32)rng_below(&rng, PER_PERSON) };
            met[links[i].x] = met[links[i].y] = true;
            of[root(of, links[i].x)] = root(of, links[i].y);
        }
        for (isize order = 0; order < 6; order++) {
            struct identity *identity = identity_new(round);
            shuffle(&rng, links);
            for (isize i = 0; i < LINKS; i++) (void)meet(identity, links[i], (u64)i);
            for (i32 x = 0; x < IDS; x++)
                for (i32 y = 0; y < x; y++) {
                    if (!met[x] || !met[y]) continue;
                    bool one = identity_find(identity, identifier_of(x)).v == identity_find(identity, identifier_of(y)).v;
                    if (one != (root(of, x) == root(of, y))) fail_msg("round %d, order %d: %d and %d", (int)round, (int)order, x, y);
                }
            for (u32 id = 1; id <= (u32)identity_links_n(identity); id++) assert_int_not_equal(identity_link(identity, id)->kind, LINK_REFUSED);
            identity_free(identity);
        }
        arena_clear(&a);
    }
    arena_fini(&a);
}

/* Which people there are, as bytes: of every identifier, whose it is. */
static str picture(const struct identity *identity)
{
    struct buf out = { .arena = &a };
    for (i32 i = 0; i < IDS; i++) buf_printf(&out, "%u ", identity_find(identity, identifier_of(i)).v);
    for (u32 person = 1; person <= (u32)identity_people(identity); person++) {
        u32 nodes[NODES_PER_PERSON_MAX];
        isize n = identity_nodes(identity, (person_id){ person }, nodes, countof(nodes));
        for (isize i = 0; i < n && identity_person(identity, person).v == person; i++) buf_printf(&out, "%u,", nodes[i]);
        buf_byte(&out, ';');
    }
    return buf_str(&out);
}

static void a_split_undoes_its_merge(void **state)
{
    (void)state;
    for (u64 round = 0; round < 40; round++) {
        struct rng rng = rng_seed(round + 100);
        struct identity *identity = identity_new(1);
        for (u64 i = 0; i < LINKS; i++) {
            i32 person = (i32)rng_below(&rng, PEOPLE) * PER_PERSON;
            str before = picture(identity);
            struct pair link = { person + (i32)rng_below(&rng, PER_PERSON), person + (i32)rng_below(&rng, PER_PERSON) };
            struct resolved r = { 0 };
            if (rng_below(&rng, 3)) r = meet(identity, link, i);
            else {
                u32 most = (u32)identity_people(identity);
                if (most < 2 || identity_merge(identity, (person_id){ 1 + rng_below(&rng, most) }, (person_id){ 1 + rng_below(&rng, most) }, i, 1, S("kari"), &r)) continue;
                struct parting parts;
                if (r.merged_n == 0) continue;
                assert_int_equal(r.merged_n, 1);
                assert_int_equal(identity_split(identity, r.links[0], i, 1, S("kari"), &parts), ERR_OK);
                assert_int_equal(parts.n, 2);
                assert_true(str_eq(picture(identity), before));
                assert_int_equal(identity_split(identity, r.links[0], i, 1, S("kari"), &parts), ERR_CONFLICT);
            }
            if (i % 8 == 0) arena_clear(&a);
        }
        identity_free(identity);
        arena_clear(&a);
    }
    arena_fini(&a);
}

static void an_alias_joins_two_user_ids_whether_it_comes_first_or_last(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct identity *identity = identity_new(1);
        struct identifier old[] = { { IDENTIFIER_USER_ID, true, S("ana-old") } }, new[] = { { IDENTIFIER_USER_ID, true, S("ana") } };
        struct event before = { .source = S("shop"), .identifiers = old, .identifiers_n = 1 };
        struct event says = { .source = S("shop"), .type = EVENT_ALIASED, .identifiers = new, .identifiers_n = 1, .previous_id = S("ana-old") };
        if (first) (void)identity_resolve(identity, &says, 1, 1);
        (void)identity_resolve(identity, &before, 2, 2);
        if (!first) (void)identity_resolve(identity, &says, 3, 3);
        assert_int_equal(identity_find(identity, old[0]).v, identity_find(identity, new[0]).v);
        assert_int_equal(identity_find(identity, old[0]).v, 1);
        identity_free(identity);
    }
}

/* Somebody types another's address: nothing is joined, and the ledger says what was refused and why. */
static void what_is_refused_is_in_the_ledger_with_its_reason(void **state)
{
    (void)state;
    struct identity *identity = identity_new(1);
    struct identifier ana[] = { { IDENTIFIER_USER_ID, true, S("ana") }, { IDENTIFIER_ANONYMOUS_ID, true, S("ipad") } };
    struct identifier bo[] = { { IDENTIFIER_USER_ID, true, S("bo") }, { IDENTIFIER_ANONYMOUS_ID, true, S("ipad") } };
    struct identifier thief[] = { { IDENTIFIER_ANONYMOUS_ID, true, S("elsewhere") }, { IDENTIFIER_USER_ID, false, S("ana") } };
    const struct { struct identifier *ids; u8 reason; } rows[] = { { ana, 255 }, { bo, LINK_OTHER_PERSON }, { thief, LINK_CLAIMED } };
    for (isize i = 0; i < countof(rows); i++) {
        struct event e = { .source = S("web"), .identifiers = rows[i].ids, .identifiers_n = 2 };
        (void)identity_resolve(identity, &e, (u64)i + 1, 10 + i);
        (void)identity_resolve(identity, &e, (u64)i + 1, 10 + i);
        const struct link *last = identity_link(identity, (u32)identity_links_n(identity));
        if (rows[i].reason == 255) { assert_int_equal(last->kind, LINK_ATTACH); continue; }
        assert_int_equal(last->kind, LINK_REFUSED);
        assert_int_equal(last->reason, rows[i].reason);
        assert_int_equal(last->ref, i + 1);
        assert_true(str_eq(last->source, S("web")));
    }
    u32 people[3] = { identity_find(identity, ana[0]).v, identity_find(identity, bo[0]).v, identity_find(identity, thief[0]).v };
    assert_true(people[0] != people[1] && people[1] != people[2] && people[0] != people[2]);
    identity_free(identity);
}

/* Eight digits are what customer numbers and cards are made of, and where a hash of few bytes could mistake one for the other. */
static void numbers_of_two_kinds_are_never_one_person(void **state)
{
    static const u8 kinds[] = { IDENTIFIER_USER_ID, IDENTIFIER_CARD, IDENTIFIER_MEMBER_ID, IDENTIFIER_ANONYMOUS_ID };
    (void)state;
    for (u64 seed = 0; seed < 20; seed++) {
        struct identity *identity = identity_new(seed * 0x9e3779b97f4a7c15u);
        u64 ref = 1;
        for (i32 n = 0; n < 100; n++) {
            struct identifier number = { kinds[n % 4], true, arena_printf(&a, "%d123456%d", n / 10, n % 10) };
            for (isize k = 0; k < countof(kinds); k++) {
                struct identifier as = { kinds[k], true, number.value };
                assert_int_equal(identity_find(identity, as).v, 0);
            }
            struct event e = { .source = S("shop"), .identifiers = &number, .identifiers_n = 1 };
            (void)identity_resolve(identity, &e, ref++, 1000);
            assert_int_not_equal(identity_find(identity, number).v, 0);
        }
        identity_free(identity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_the_same_links_gives_the_same_people),
        cmocka_unit_test(a_split_undoes_its_merge),
        cmocka_unit_test(an_alias_joins_two_user_ids_whether_it_comes_first_or_last),
        cmocka_unit_test(what_is_refused_is_in_the_ledger_with_its_reason),
        cmocka_unit_test(numbers_of_two_kinds_are_never_one_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
