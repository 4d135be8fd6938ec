/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes at all: they are a question that is read into bounded units, answered with hits that
 * may be shown, no item twice, falling scores, and facets that count what was found. */
#include <stdlib.h>

#include "base/rcu.h"
#include "search/inside.h"

static struct catalog *catalog;
static struct search_index *index_of_all;

static void make(void)
{
    static const char *const titles[] = {
        "Wireless keyboard TN-2110",      "Slim jeans blue 32\"",
        "Wool sweater for men",           "HDMI cable 2 m",
        "Caf\xc3\xa9 cr\xc3\xa8me 250 g", "\xe6\x9d\xb1\xe4\xba\xac"
    };
    catalog = catalog_new();
    for (u32 i = 0; i < 60; i++) {
        struct text text = { S(""), str_of(titles[i % 6]) };
        arena a = { 0 };
        struct item_change change = { .kind = ITEM_PUT,
                                      .item = { .kind = ITEM_PRODUCT,
                                                .key = arena_printf(&a, "i-%u", i),
                                                .titles = &text,
                                                .titles_n = 1,
                                                .brand = i % 2 ? S("Acme") : S("Nordic"),
                                                .hidden = i % 7 == 0 } };
        (void)catalog_apply(catalog, &change, 1);
        arena_fini(&a);
    }
    index_of_all = search_build(catalog, S("en"), NULL, 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    static const str facets[] = { S_INIT("brand") };
    static arena a;
    if (!catalog) { rcu_thread_start(); make(); }
    struct search_answer answer;
    struct search_request r = { .text = { (const char *)data, (isize)len },
                                .locale = len % 3 ? S("en") : S("nb-NO"),
                                .catalog = catalog,
                                .limit = 20,
                                .facets = facets,
                                .facets_n = 1,
                                .typing = len % 2 };
    struct query *q = arena_new(&a, struct query, 1);
    query_read(index_of_all, &r, &a, q);
    assert(q->n <= SEARCH_WORDS_MAX && q->positive <= q->n && q->rarity >= 0);
    search_run(index_of_all, &r, &a, &answer);
    i64 counted = 0;
    for (isize i = 0; i < answer.hits_n; i++) {
        assert(item_showable(catalog, catalog_item(catalog, (item_id){ answer.hits[i].item })));
        assert(i == 0 || answer.hits[i].partial != answer.hits[i - 1].partial
               || answer.hits[i].score <= answer.hits[i - 1].score + 1e-6);
        for (isize k = 0; k < i; k++) assert(answer.hits[k].item != answer.hits[i].item);
    }
    for (isize i = 0; i < answer.facets_n; i++)
        for (isize k = 0; k < answer.facets[i].n; k++) counted += answer.facets[i].at[k].n;
    assert(counted == answer.total && answer.hits_n == min_isize(20, (isize)answer.total));
    arena_clear(&a);
    return 0;
}
