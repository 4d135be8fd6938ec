/* SPDX-License-Identifier: Apache-2.0
 *
 * index.c - the index as the world sees it: a large part, and a small one with what changed since.
 *
 * An item that changed is left out of the large part by a bit in `replaced` and stands in the small
 * part instead, or in neither when it went. Rarity and the average lengths stay the large part's,
 * so that a change of one item moves no other. When the small part would grow past an eighth of the
 * large one, or the catalogue no longer remembers all that changed, the whole is made anew:
 * search_refresh says so by null.
 *
 * Between two refreshes, a few tenths of a second apart, an item that changed is still found by its
 * old words, but whether it may be shown is asked of the catalogue itself (rank.c).
 */
#include "search/inside.h"

/* the small part holds an eighth of the large at most, so that averages hold */
enum { SMALL_LEAST = 16, SMALL_SHARE = 8 };

static struct search_index *index_new(struct part *large, struct part *small, str language)
{
    struct search_index *index = mem_new(sizeof *index);
    index->large = large;
    index->small = small;
    language.len = min_isize(language.len, (isize)sizeof index->language_text);
    if (language.len) memcpy(index->language_text, language.ptr, (size_t)language.len);
    index->language = (str){ index->language_text, language.len };
    return index;
}

struct search_index *search_build(const struct catalog *catalog, str language,
                                  const f32 *popularity, isize popularity_n)
{
    u64 changes = catalog_changes(catalog);
    if (language.len == 0) language = S("en");
    struct part_source source = { .catalog = catalog,
                                  .language = language,
                                  .popularity = popularity,
                                  .popularity_n = popularity_n };
    struct part *large = part_build(&source);
    large->changes = changes;
    return index_new(large, NULL, language);
}

static u64 known_changes(const struct search_index *index)
{
    return index->small ? index->small->changes : index->large->changes;
}

bool search_stale(const struct search_index *index, const struct catalog *catalog)
{
    return known_changes(index) != catalog_changes(catalog);
}

struct search_index *search_refresh(const struct search_index *index, const struct catalog *catalog)
{
    struct part *large = index->large;
    u64 now = catalog_changes(catalog);
    isize most = max_isize(SMALL_LEAST, large->docs_n / SMALL_SHARE);
    struct bitset *replaced = bitset_new((u32)catalog_count(catalog) + 1);
    struct { u32 *at; isize n, cap; } items = { 0 };
    bool fits = true;
    for (u64 change = large->changes + 1; change <= now && fits; change++) {
        item_id id = catalog_change(catalog, change);
        if (id.v && bitset_set(replaced, id.v)) vec_push(&items, id.v);
        fits = id.v != 0 && items.n <= most;
    }
    struct search_index *made = NULL;
    if (fits) {
        static const u32 none = 0;
        struct part_source source = { .catalog = catalog,
                                      .language = index->language,
                                      .items = items.n ? items.at : &none,
                                      .items_n = items.n,
                                      .like = large };
        struct part *small = part_build(&source);
        small->changes = now;
        atomic_fetch_add(&large->users, 1);
        made = index_new(large, small, index->language);
        made->replaced = replaced;
        replaced = NULL;
    }
    bitset_free(replaced);
    vec_fini(&items);
    return made;
}

void search_free(struct search_index *index)
{
    if (!index) return;
    part_drop(index->large);
    part_drop(index->small);
    bitset_free(index->replaced);
    mem_free(index);
}

struct search_card search_card(const struct search_index *index)
{
    const struct part *l = index->large, *s = index->small;
    return (struct search_card){ .items = l->docs_n,
                                 .words = l->words_n,
                                 .terms = l->terms,
                                 .postings = l->terms ? (isize)l->from[l->terms] : 0,
                                 .bytes = l->bytes + (s ? s->bytes : 0),
                                 .fresh = s ? s->docs_n : 0,
                                 .took_us = l->took_us };
}
