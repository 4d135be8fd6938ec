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

/* Of one person: a user id, two of each other strong kind at most, browsers and a device; some of
 * them aliases. */
static struct identifier identifier_of(i32 n)
{
    static const u8 kinds[PER_PERSON] = { IDENTIFIER_USER_ID,      IDENTIFIER_EMAIL,
                                          IDENTIFIER_EMAIL,        IDENTIFIER_PHONE,
                                          IDENTIFIER_CARD,         IDENTIFIER_MEMBER_ID,
                                          IDENTIFIER_ANONYMOUS_ID, IDENTIFIER_ANONYMOUS_ID,
                                          IDENTIFIER_DEVICE_ID };
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
            links[i] = (struct pair){ person + (i32)rng_below(&rng, PER_PERSON),
                                      person + (i32)rng_below(&rng, PER_PERSON) };
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
                    bool one = identity_find(identity, identifier_of(x)).v
                               == identity_find(identity, identifier_of(y)).v;
                    if (one != (root(of, x) == root(of, y)))
                        fail_msg("round %d, order %d: %d and %d", (int)round, (int)order, x, y);
                }
            for (u32 id = 1; id <= (u32)identity_links_n(identity); id++) {
                struct link line;
                assert_true(identity_link(identity, id, &line));
                assert_int_not_equal(line.kind, LINK_REFUSED);
            }
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
        for (isize i = 0; i < n && identity_person(identity, person).v == person; i++)
            buf_printf(&out, "%u,", nodes[i]);
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
            struct pair link = { person + (i32)rng_below(&rng, PER_PERSON),
                                 person + (i32)rng_below(&rng, PER_PERSON) };
            struct resolved r = { 0 };
            if (rng_below(&rng, 3)) r = meet(identity, link, i);
            else {
                u32 most = (u32)identity_people(identity);
                if (most < 2
                    || identity_merge(identity, (person_id){ 1 + rng_below(&rng, most) },
                                      (person_id){ 1 + rng_below(&rng, most) }, i, 1, S("kari"),
                                      &r))
                    continue;
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
        struct identifier old[] = { { IDENTIFIER_USER_ID, true, S("ana-old") } },
                          new[] = { { IDENTIFIER_USER_ID, true, S("ana") } };
        struct event before = { .source = S("shop"), .identifiers = old, .identifiers_n = 1 };
        struct event says = { .source = S("shop"),
                              .type = EVENT_ALIASED,
                              .identifiers = new,
                              .identifiers_n = 1,
                              .previous_id = S("ana-old") };
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
    struct identifier ana[] = { { IDENTIFIER_USER_ID, true, S("ana") },
                                { IDENTIFIER_ANONYMOUS_ID, true, S("ipad") } };
    struct identifier bo[] = { { IDENTIFIER_USER_ID, true, S("bo") },
                               { IDENTIFIER_ANONYMOUS_ID, true, S("ipad") } };
    struct identifier thief[] = { { IDENTIFIER_ANONYMOUS_ID, true, S("elsewhere") },
                                  { IDENTIFIER_USER_ID, false, S("ana") } };
    const struct {
        struct identifier *ids;
        u8 reason;
    } rows[] = { { ana, 255 }, { bo, LINK_OTHER_PERSON }, { thief, LINK_CLAIMED } };
    for (isize i = 0; i < countof(rows); i++) {
        struct event e = { .source = S("web"), .identifiers = rows[i].ids, .identifiers_n = 2 };
        (void)identity_resolve(identity, &e, (u64)i + 1, 10 + i);
        (void)identity_resolve(identity, &e, (u64)i + 1, 10 + i);
        struct link line, *last = &line;
        assert_true(identity_link(identity, (u32)identity_links_n(identity), &line));
        if (rows[i].reason == 255) { assert_int_equal(last->kind, LINK_ATTACH); continue; }
        assert_int_equal(last->kind, LINK_REFUSED);
        assert_int_equal(last->reason, rows[i].reason);
        assert_int_equal(last->ref, i + 1);
        assert_true(str_eq(last->source, S("web")));
    }
    u32 people[3] = { identity_find(identity, ana[0]).v, identity_find(identity, bo[0]).v,
                      identity_find(identity, thief[0]).v };
    assert_true(people[0] != people[1] && people[1] != people[2] && people[0] != people[2]);
    identity_free(identity);
}

/* Eight digits are what customer numbers and cards are made of, and where a hash of few bytes could
 * mistake one for the other. */
static void numbers_of_two_kinds_are_never_one_person(void **state)
{
    static const u8 kinds[] = { IDENTIFIER_USER_ID, IDENTIFIER_CARD, IDENTIFIER_MEMBER_ID,
                                IDENTIFIER_ANONYMOUS_ID };
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

/* ---- erasing --------------------------------------------------------------------------------- */

enum { CROWD = 5, SAID = 90 };

struct said { struct identifier ids[3]; isize n; };

static bool same(struct identifier x, struct identifier y)
{
    return x.kind == y.kind && str_eq(x.value, y.value) && identifier_may_speak(x) == identifier_may_speak(y);
}

/* Whose identifiers go, which lines and which nodes: as fold/ finds them. */
struct doomed {
    const struct identity *identity;
    struct identifier ids[400];
    u64 since[400];
    bool *links, nodes[4000];
    isize n;
};

static void doom_person(struct identity *identity, person_id person, struct doomed *d)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    u32 nodes[NODES_PER_PERSON_MAX];
    isize n = identity_identifiers(identity, person, links, countof(links));
    for (isize i = 0; i < n; i++) {
        d->since[d->n] = links[i].ref;
        d->ids[d->n] = links[i].identifier;
        d->ids[d->n].value = arena_str(&a, links[i].identifier.value);
        d->n++;
    }
    n = identity_nodes(identity, person, nodes, countof(nodes));
    for (isize i = 0; i < n; i++) d->nodes[nodes[i]] = true;
}

static bool is_doomed(const struct doomed *d, struct identifier v)
{
    for (isize i = 0; i < d->n; i++)
        if (same(d->ids[i], v)) return true;
    return false;
}

static void doom(struct identity *identity, struct identifier who, struct doomed *d)
{
    doom_person(identity, identity_find(identity, who), d);
    for (isize i = d->n - 1; i >= 0; i--) {             /* who claimed to be them */
        struct identifier claim = d->ids[i];
        if (!claim.verified || !identifier_is_strong(claim.kind)) continue;
        claim.verified = false;
        if (is_doomed(d, claim)) continue;
        d->since[d->n] = identity_attached(identity, claim);
        d->ids[d->n++] = claim;
        doom_person(identity, identity_find(identity, claim), d);
    }
    for (u32 id = 1; id <= (u32)identity_links_n(identity); id++) {
        struct link line, *l = &line;
        assert_true(identity_link(identity, id, &line));
        d->links[id] = d->nodes[l->a] || d->nodes[l->b]
                       || (l->kind == LINK_REFUSED && is_doomed(d, l->identifier));
    }
}

static void say(struct identity *identity, const struct said *said, u64 ref)
{
    struct event e = { .source = S("shop"),
                       .identifiers = (struct identifier *)(uintptr_t)said->ids,
                       .identifiers_n = said->n };
    (void)identity_resolve(identity, &e, ref, 1000 + (i64)ref);
}

static u64 since(void *ctx, struct identifier v)
{
    const struct doomed *d = ctx;
    for (isize i = 0; i < d->n; i++)
        if (same(d->ids[i], v)) return d->since[i];
    return identity_attached(d->identity, v);
}

static bool is_theirs(struct doomed *d, const struct said *said, u64 ref)
{
    struct event e = { .identifiers = (struct identifier *)(uintptr_t)said->ids, .identifiers_n = said->n };
    return is_doomed(d, *identity_spoke(&e, ref, since, d));
}

/* Erasing somebody at the end, and replaying what is left with their numbers burnt, come to the
 * same ledger. */
static void a_replay_without_somebody_is_the_ledger_they_were_erased_from(void **state)
{
    (void)state;
    static const u8 kinds[] = { IDENTIFIER_USER_ID, IDENTIFIER_EMAIL, IDENTIFIER_ANONYMOUS_ID,
                                IDENTIFIER_DEVICE_ID };
    isize erased = 0;
    for (u64 round = 0; round < 300; round++) {
        struct rng rng = rng_seed(round + 77);
        struct identity *live = identity_new(3), *again = identity_new(3), *stored = identity_new(3);
        struct said all[SAID];
        for (u64 ref = 1; ref <= SAID; ref++) {
            struct said *said = &all[ref - 1];
            said->n = 1 + rng_below(&rng, 3);
            for (isize i = 0; i < said->n; i++) {
                u8 kind = kinds[rng_below(&rng, countof(kinds))];
                /* now and then two people share a browser */
                bool mine = i == 0 || rng_below(&rng, 6);
                i32 whose = mine ? (i32)(ref * 7 + round) % CROWD : (i32)rng_below(&rng, CROWD);
                said->ids[i] =
                    (struct identifier){ kind,
                                         rng_below(&rng, 3) != 0 || !identifier_is_strong(kind),
                                         arena_printf(&a, "%d-%d", kind, whose) };
            }
            say(live, said, ref);
        }
        struct doomed d = { .identity = live, .links = arena_new(&a, bool, identity_links_n(live) + 1) };
        struct identifier who = { IDENTIFIER_USER_ID, true,
                                  arena_printf(&a, "%d-%d", IDENTIFIER_USER_ID,
                                               (int)(round % CROWD)) };
        doom(live, who, &d);
        for (u32 id = 1; id <= (u32)identity_links_n(live); id++)
            if (d.links[id]) identity_erase_link(live, id);
        for (u32 node = 1; node <= (u32)identity_people(live); node++)
            if (d.nodes[node]) identity_erase_node(live, node);
        assert_int_equal(identity_find(live, who).v, 0);
        for (u64 ref = 1; ref <= SAID; ref++) {
            struct burnt burnt[32];
            isize n = 0;
            struct said left = { .n = 0 };
            for (u32 id = 1; id <= (u32)identity_links_n(live); id++) {
                struct link line, *l = &line;
                assert_true(identity_link(live, id, &line));
                if (l->kind == LINK_ERASED && l->ref == ref) burnt[n++] = (struct burnt){ id, l->a };
            }
            erased += n;
            identity_burn(again, burnt, n, ref);
            bool theirs = is_theirs(&d, &all[ref - 1], ref);
            for (isize i = 0; i < all[ref - 1].n && !theirs; i++)
                if (!is_doomed(&d, all[ref - 1].ids[i])) left.ids[left.n++] = all[ref - 1].ids[i];
            if (left.n) say(again, &left, ref);
            identity_burnt(again);
        }
        struct buf row = { .arena = &a };
        for (u32 id = 1; id <= (u32)identity_links_n(live); id++) {
            row.len = 0;
            struct link line;
            assert_true(identity_link(live, id, &line));
            link_encode(&line, &row);
            assert_int_equal(identity_load(stored, buf_str(&row)), ERR_OK);
        }
        assert_int_equal(identity_links_n(again), identity_links_n(live));
        assert_int_equal(identity_people(again), identity_people(live));
        assert_int_equal(identity_people(stored), identity_people(live));
        assert_true(hash128_eq(identity_digest(again), identity_digest(live)));
        assert_true(hash128_eq(identity_digest(stored), identity_digest(live)));
        for (u32 node = 1; node <= (u32)identity_people(live); node++) {
            assert_int_equal(identity_person(again, node).v, identity_person(live, node).v);
            assert_int_equal(identity_person(stored, node).v, identity_person(live, node).v);
        }
        identity_free(live);
        identity_free(again);
        identity_free(stored);
        arena_clear(&a);
    }
    assert_true(erased > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_the_same_links_gives_the_same_people),
        cmocka_unit_test(a_split_undoes_its_merge),
        cmocka_unit_test(an_alias_joins_two_user_ids_whether_it_comes_first_or_last),
        cmocka_unit_test(what_is_refused_is_in_the_ledger_with_its_reason),
        cmocka_unit_test(numbers_of_two_kinds_are_never_one_person),
        cmocka_unit_test(a_replay_without_somebody_is_the_ledger_they_were_erased_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
