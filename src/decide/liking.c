/* SPDX-License-Identifier: Apache-2.0
 *
 * liking.c - what a person likes, for search: from the history this caller may see, so that the
 * click before this request counts.
 *
 * What they did in this visit counts for more than half of what is inferred; what they chose
 * themselves counts whole. */
#include "decide/inside.h"

#include <math.h>

enum { LIKINGS_MAX = 64, LOOKED_BACK_MAX = 500 };
/* the most an inferred liking counts beside a chosen one */
static const f64 chosen_over = 0.5;
/* of a liking that comes from this visit, when there was anything in it */
static const f64 visit_share = 0.6;

struct liked { struct search_liking at[LIKINGS_MAX]; f64 visit[LIKINGS_MAX]; isize n; f64 all[3]; };

static const char *const liked_names[] = { "category", "brand", "colour" };

static void like(struct liked *l, int dimension, str value, f64 in_visit)
{
    isize i = 0;
    if (value.len == 0) return;
    while (i < l->n
           && !(str_eq(l->at[i].dimension, str_of(liked_names[dimension]))
                && str_eq_nocase(l->at[i].value, value)))
        i++;
    if (i == LIKINGS_MAX) return;
    if (i == l->n) {
        l->at[l->n] = (struct search_liking){ str_of(liked_names[dimension]), value, 0 };
        l->visit[l->n++] = 0;
    }
    l->visit[i] += in_visit;
    l->all[dimension] += in_visit;
}

static void like_wholly(struct liked *l, int dimension, str value)
{
    like(l, dimension, value, 0);
    for (isize i = 0; i < l->n; i++)
        if (str_eq_nocase(l->at[i].value, value)
            && str_eq(l->at[i].dimension, str_of(liked_names[dimension])))
            l->at[i].share = 1;
}

/* What was chosen counts whole, and what was inferred in the same dimension at most half, this
 * visit included. A category is those below it, too. */
static void like_chosen(struct liked *l, const struct profile *p, const struct catalog *catalog, arena *a)
{
    struct affinity *chosen;
    isize n = p ? profile_choices(p, a, &chosen) : 0;
    for (int d = 0; d < countof(liked_names); d++) {
        bool any = false;
        for (isize i = 0; i < n; i++) any |= str_eq(chosen[i].dimension, str_of(liked_names[d]));
        for (isize i = 0; any && i < l->n; i++)
            if (str_eq(l->at[i].dimension, str_of(liked_names[d])))
                l->at[i].share = fmin(l->at[i].share, chosen_over);
        for (isize i = 0; any && i < n; i++) {
            if (!str_eq(chosen[i].dimension, str_of(liked_names[d]))) continue;
            like_wholly(l, d, chosen[i].value);
            category_id top = d == 0 ? catalog_category(catalog, chosen[i].value) : (category_id){ 0 };
            for (u32 c = 1; top.v && c <= (u32)catalog_categories(catalog); c++) {
                category_id at = { c };
                while (at.v && at.v != top.v) at = catalog_category_parent(catalog, at);
                if (at.v) like_wholly(l, 0, catalog_category_path(catalog, (category_id){ c }));
            }
        }
    }
}

isize decide_likings(const struct decide_world *world, const struct decide_who *who, i64 now_ms,
                     i64 gap_ms, arena *a, const struct search_liking **out)
{
    const struct rule_facts *f = &who->facts;
    struct liked *l = arena_new(a, struct liked, 1);
    const struct catalog *catalog = world->catalog;
    i64 later_ms = now_ms;
    bool visit = true;
    isize looked = 0;
    for (isize i = f->history_n; i-- > 0 && looked < LOOKED_BACK_MAX;) {
        const struct history_entry *e = &f->history[i];
        if (e->at_ms > now_ms) continue;
        visit = visit && later_ms - e->at_ms <= gap_ms;
        later_ms = e->at_ms;
        if (!profile_is_liking(e)) continue;
        looked++;
        const struct item *item = catalog_item(catalog, (item_id){ e->item });
        if (!item) continue;
        f64 weight = visit ? 1 : 0;
        like(l, 0, item->category, weight);
        like(l, 1, item->brand, weight);
        like(l, 2, item->colour, weight);
    }
    for (isize i = 0; i < l->n; i++) {
        int dimension = str_eq(l->at[i].dimension, S("category")) ? 0
                        : str_eq(l->at[i].dimension, S("brand"))  ? 1
                                                                  : 2;
        struct value ever = f->affinity
                                ? f->affinity(f->ctx, l->at[i].dimension, l->at[i].value, now_ms)
                                : (struct value){ 0 };
        f64 share = ever.kind == VALUE_NUMBER ? ever.n : 0;
        l->at[i].share = l->all[dimension] > 0 ? visit_share * l->visit[i] / l->all[dimension]
                                                     + (1 - visit_share) * share
                                               : share;
    }
    like_chosen(l, who->profile, catalog, a);
    *out = l->at;
    return l->n;
}
