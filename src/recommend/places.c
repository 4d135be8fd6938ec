/* SPDX-License-Identifier: Apache-2.0
 *
 * places.c - what is popular, sells and rises in a country and in a store.
 *
 * An interaction may say where it was. Of each store and each country the same decayed counts are
 * kept as of everybody (model.c), and as few of them say little, they lean on those of the place
 * around it: a store's on its country's (the one most of its interactions are of), a country's on
 * everybody's. A count n(i) of a place becomes
 *
 *   N(i) = n(i) + k * N'(i) / sum N'
 *
 * with N' that of the place around it: a Dirichlet prior worth k of weight (Zhai & Lafferty 2004; k
 * below). Trending leans the same way: the prior of its rate is Gamma(a, a / r) with r what the
 * rate is around it, so that it becomes (a * r + s) / (a + e), and its size log(1 + S(i)), S being
 * s + e smoothed as above. Where nothing is known of a place its list is that of the one around it.
 *
 * On Online Retail (baskets outside Britain, four cuts in time) the twenty most bought of the
 * country so smoothed hold 13.4 of 100 later lines, those of everybody 8.2; k may be anything from
 * 250 to 10,000 there (13.2 to 13.7).
 *
 * Kept are the top LOCAL_MOST of each list, of the COUNTRIES_MAX countries and STORES_MAX stores
 * where most was done. */
#include "recommend/inside.h"

#include <stdlib.h>

static const f64 k_prior = 1000;                        /* as much as forty purchases */

u32 recommend_place(str name)
{
    u32 hash = (u32)recommend_facet(S("place"), str_trim(name));
    return str_trim(name).len == 0 ? 0 : hash ? hash : 1;
}

/* ---- which places there are ------------------------------------------------------------------ */

struct spot { u32 hash, country; isize n; };            /* country: of a store, the one most of it is of */

struct pairing { u32 store, country; isize n; };

static int by_store(const void *left, const void *right)
{
    const struct pairing *a = left, *b = right;
    if (a->store != b->store) return a->store < b->store ? -1 : 1;
    if ((a->country == 0) != (b->country == 0)) return a->country ? -1 : 1;
    if (a->n != b->n) return a->n > b->n ? -1 : 1;
    return (a->country > b->country) - (a->country < b->country);
}

static int most_done(const void *left, const void *right)
{
    const struct spot *a = left, *b = right;
    if (a->n != b->n) return a->n > b->n ? -1 : 1;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

/* Stores, or countries, of places where something was done; the `most` with most of it. */
static isize spots(const struct build *b, bool stores, isize most, arena *a, struct spot **out)
{
    const struct recommend_options *o = &b->m->options;
    struct pairing *pairs = arena_new(a, struct pairing, o->places_n);
    for (isize p = 0; p < o->places_n; p++) {
        const struct place *place = &o->places[p];
        pairs[p] = (struct pairing){ stores ? place->store : place->country, stores ? place->country : 0, 0 };
    }
    for (isize i = 0; i < b->n; i++) pairs[b->all[i].place].n++;
    qsort(pairs, (size_t)o->places_n, sizeof *pairs, by_store);
    struct spot *at = arena_new(a, struct spot, o->places_n);
    isize n = 0;
    for (isize p = 0; p < o->places_n; p++) {
        if (pairs[p].store == 0 || pairs[p].n == 0) continue;
        if (n == 0 || at[n - 1].hash != pairs[p].store)
            at[n++] = (struct spot){ pairs[p].store, pairs[p].country, 0 };
        at[n - 1].n += pairs[p].n;
    }
    qsort(at, (size_t)n, sizeof *at, most_done);
    *out = at;
    return min_isize(n, most);
}

/* ---- counts, and what they become ------------------------------------------------------------ */

/* By item. Products and content are two worlds, each with its sums. */
enum measure { POPULAR, BOUGHT, SIZE, SMOOTHED };
struct smoothed { f64 *of[SMOOTHED], sum[SMOOTHED][2], *rise; };

static struct smoothed smoothed_room(arena *a, isize items)
{
    struct smoothed s = { .rise = arena_new(a, f64, items + 1) };
    for (isize k = 0; k < SMOOTHED; k++) s.of[k] = arena_new(a, f64, items + 1);
    return s;
}

/* around null: everybody. own: what was counted there. */
static void smoothe(const struct model *m, const struct counts *own, const struct smoothed *around,
                    struct smoothed *out)
{
    for (isize k = 0; k < SMOOTHED; k++) out->sum[k][0] = out->sum[k][1] = 0;
    for (u32 i = 1; i < m->items; i++) {
        bool content = model_is_content(m, i);
        f64 promised = own->all_popular[content] > 0
                           ? own->popular[i] * own->all_lately[content] / own->all_popular[content]
                           : 0;
        f64 now[SMOOTHED] = { own->popular[i], own->bought[i], own->lately[i] + promised };
        for (isize k = 0; k < SMOOTHED; k++) {
            if (around && around->sum[k][content] > 0)
                now[k] += k_prior * around->of[k][i] / around->sum[k][content];
            out->of[k][i] = now[k];
            out->sum[k][content] += now[k];
        }
        f64 usual = around ? around->rise[i] : 1;
        out->rise[i] = (trending_prior * usual + own->lately[i]) / (trending_prior + promised);
    }
}

static f64 height_of(const struct smoothed *s, enum ranking_kind kind, u32 item)
{
    if (kind == RANKING_TRENDING) return s->rise[item] * log1p(s->of[SIZE][item]);
    return s->of[kind == RANKING_BESTSELLERS ? BOUGHT : POPULAR][item];
}

static int best_first(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    if (a->score > b->score || a->score < b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* By item, how near it was dealt with, and how near bought. */
struct nearness { u8 *dealt, *bought; };

static struct local_list top_of(struct build *b, const struct smoothed *s, enum ranking_kind kind,
                                bool content, struct nearness nearness)
{
    const u8 *near = kind == RANKING_BESTSELLERS ? nearness.bought : nearness.dealt;
    struct model *m = b->m;
    struct arena_mark mark = arena_mark(&b->scratch);
    f32 *scores = arena_new(&b->scratch, f32, (isize)m->items + 1);
    isize n = 0;
    for (u32 i = 1; i < m->items; i++) {
        f64 score = model_is_content(m, i) == content ? height_of(s, kind, i) : 0;
        if (score > 0) scores[n++] = (f32)score;
    }
    f32 least = n > LOCAL_MOST ? largest(scores, n, LOCAL_MOST) : 0;
    struct scored *all = arena_new(&b->scratch, struct scored, n + 1);
    n = 0;
    for (u32 i = 1; i < m->items; i++) {
        f64 score = model_is_content(m, i) == content ? height_of(s, kind, i) : 0;
        if (score > 0 && (f32)score >= least) all[n++] = (struct scored){ score, i };
    }
    qsort(all, (size_t)n, sizeof *all, best_first);
    n = min_isize(n, LOCAL_MOST);
    struct local_list list = { .found = tally_new(&m->arena, n), .near = arena_new(&m->arena, u8, n + 1) };
    for (isize i = 0; i < n; i++) {
        tally_add(&list.found, all[i].id, all[i].score);
        list.near[i] = near[all[i].id];
    }
    arena_reset(&b->scratch, mark);
    return list;
}

static struct local local_of(struct build *b, struct spot spot, bool store,
                             const struct smoothed *s, struct nearness near)
{
    struct local local = { .hash = spot.hash, .store = store };
    for (isize content = 0; content < 2; content++)
        for (int kind = 0; kind < RANKINGS && (content == 0 || b->m->contents > 0); kind++)
            local.lists[content][kind] = top_of(b, s, (enum ranking_kind)kind, content, near);
    return local;
}

static struct nearness nearness_room(arena *a, isize items)
{
    return (struct nearness){ arena_new(a, u8, items + 1), arena_new(a, u8, items + 1) };
}

/* of null: nothing is near. */
static void nearness_copy(struct nearness *to, const struct nearness *of, isize items)
{
    if (!of) memset(to->dealt, 0, (size_t)items), memset(to->bought, 0, (size_t)items);
    else memcpy(to->dealt, of->dealt, (size_t)items), memcpy(to->bought, of->bought, (size_t)items);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Interactions by a number of their place: of number k those of at[from[k]] .. at[from[k + 1] - 1],
 * in the order there was. */
struct shelf { u32 *from, *at; };

static struct shelf shelve(struct build *b, const u32 *number_of_place, isize numbers)
{
    struct shelf s = { arena_new(&b->scratch, u32, numbers + 2), NULL };
    isize n = 0;
    for (isize i = 0; i < b->n; i++) {
        u32 number = number_of_place[b->all[i].place];
        if (number) { s.from[number + 1]++; n++; }
    }
    for (isize k = 1; k <= numbers; k++) s.from[k + 1] += s.from[k];
    u32 *next = arena_new(&b->scratch, u32, numbers + 2);
    s.at = arena_new(&b->scratch, u32, n + 1);
    for (isize i = 0; i < b->n; i++) {
        u32 number = number_of_place[b->all[i].place];
        if (number) s.at[s.from[number] + next[number]++] = (u32)i;
    }
    return s;
}

static isize find_spot(const struct spot *at, isize n, u32 hash)
{
    for (isize i = 0; i < n; i++)
        if (at[i].hash == hash) return i;
    return -1;
}

/* number: by place, which of these spots it belongs to, from 1. */
static u32 *numbered(struct build *b, const struct spot *at, isize n, bool stores)
{
    const struct recommend_options *o = &b->m->options;
    u32 *number = arena_new(&b->scratch, u32, o->places_n + 1);
    for (isize p = 0; p < o->places_n; p++)
        number[p] = (u32)(1 + find_spot(at, n, stores ? o->places[p].store : o->places[p].country));
    return number;
}

static void count_spot(const struct build *b, const struct shelf *shelf, isize spot, i64 now_ms,
                       struct counts *out, struct nearness near, u8 as)
{
    counts_clear(out, (isize)b->m->items);
    for (u32 i = shelf->from[spot + 1]; i < shelf->from[spot + 2]; i++) {
        const struct interaction *it = &b->all[shelf->at[i]];
        count_one(b->m, it, now_ms, out);
        near.dealt[it->item] = as;
        if (it->kind == INTERACTION_PURCHASED) near.bought[it->item] = as;
    }
}

static int by_place(const void *left, const void *right)
{
    const struct local *a = left, *b = right;
    if (a->store != b->store) return a->store ? -1 : 1;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

void build_places(struct build *b, i64 now_ms)
{
    struct model *m = b->m;
    isize items = (isize)m->items;
    u32 these = 1U << RECOMMENDER_TRENDING_HERE | 1U << RECOMMENDER_BESTSELLERS_HERE
                | 1U << RECOMMENDER_POPULAR_HERE;
    if (!builds_any(b, these) || m->options.places_n == 0) return;
    struct arena_mark mark = arena_mark(&b->scratch);
    struct spot *countries, *stores;
    isize countries_n = spots(b, false, COUNTRIES_MAX, &b->scratch, &countries),
          stores_n = spots(b, true, STORES_MAX, &b->scratch, &stores);
    struct shelf of_country = shelve(b, numbered(b, countries, countries_n, false), countries_n);
    struct shelf of_store = shelve(b, numbered(b, stores, stores_n, true), stores_n);
    struct counts own = counts_room(&b->scratch, items);
    struct smoothed everywhere = smoothed_room(&b->scratch, items),
                    country = smoothed_room(&b->scratch, items),
                    store = smoothed_room(&b->scratch, items);
    struct nearness near_country = nearness_room(&b->scratch, items),
                    near = nearness_room(&b->scratch, items);
    smoothe(m, &b->counts, NULL, &everywhere);
    m->locals = arena_new(&m->arena, struct local, countries_n + stores_n + 1);
    /* One country after the other, each with its stores; at the end the stores of none. */
    for (isize c = 0; c <= countries_n && !told_to_stop(b); c++) {
        const struct smoothed *around = c < countries_n ? &country : &everywhere;
        nearness_copy(&near_country, NULL, items);
        if (c < countries_n) {
            count_spot(b, &of_country, c, now_ms, &own, near_country, PLACE_COUNTRY);
            smoothe(m, &own, &everywhere, &country);
            m->locals[m->locals_n++] = local_of(b, countries[c], false, &country, near_country);
        }
        for (isize s = 0; s < stores_n && !told_to_stop(b); s++) {
            isize in = find_spot(countries, countries_n, stores[s].country);
            if ((in < 0 ? countries_n : in) != c) continue;
            nearness_copy(&near, &near_country, items);
            count_spot(b, &of_store, s, now_ms, &own, near, PLACE_STORE);
            smoothe(m, &own, around, &store);
            m->locals[m->locals_n++] = local_of(b, stores[s], true, &store, near);
        }
    }
    qsort(m->locals, (size_t)m->locals_n, sizeof *m->locals, by_place);
    m->card.countries = countries_n;
    m->card.stores = stores_n;
    arena_reset(&b->scratch, mark);
}

const struct local *local_find(const struct model *m, u32 store, u32 country)
{
    for (int as_store = 1; as_store >= 0; as_store--) {
        struct local wanted = { .hash = as_store ? store : country, .store = as_store };
        isize low = 0, high = m->locals_n;
        while (low < high && wanted.hash) {
            isize middle = (low + high) / 2;
            int way = by_place(&wanted, &m->locals[middle]);
            if (way == 0) return &m->locals[middle];
            if (way < 0) high = middle;
            else low = middle + 1;
        }
    }
    return NULL;
}
