/* SPDX-License-Identifier: Apache-2.0
 *
 * index.c - keeps the search index up with the catalogue, beside the fold and never in its way.
 *
 * Every search_ms it looks whether an item changed. A few changes make the index's small part anew
 * (milliseconds); many, another language, or a recommenders' model that knows what is popular when
 * the index does not, make all of it anew. Then it rests: twice as long as the build took when
 * items changed, ten times when only order would.
 *
 * What is popular comes from the model and only orders; so a new model by itself rebuilds an index that is
 * POPULARITY_MS old, or one that was made before there was a model.
 */
#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "fold/inside.h"

enum { POPULARITY_MS = 5 * MINUTE_MS };

struct indexer {
    pthread_t thread;
    struct queue *stop;                                 /* nothing is ever queued; closing it ends the wait */
    /* the one that popularity was taken from; compared, never read */
    const struct model *model;
    char language[16];
    i64 built_at_us, build_us;
};

static void free_index(void *index) { search_free(index); }

static void publish(struct fold *fold, struct search_index *index)
{
    struct search_index *old = (struct search_index *)(uintptr_t)atomic_exchange(&fold->live.search, index);
    if (old) rcu_defer(free_index, old);
}

/* On this thread alone an index is replaced, so it may be read here without a bracket. */
static const struct search_index *current(const struct fold *fold) { return atomic_load(&fold->live.search); }

static void build(struct fold *fold, struct indexer *x, str language)
{
    isize items = catalog_count(fold->live.catalog) + 1;
    f32 *popularity = mem_new(items * (isize)sizeof *popularity);
    rcu_read_begin();
    x->model = atomic_load(&fold->live.model);
    if (x->model) model_popularity(x->model, popularity, items);
    rcu_read_end();
    x->built_at_us = clock_monotonic_us();
    struct search_index *index = search_build(fold->live.catalog, language, popularity, items);
    mem_free(popularity);
    x->build_us = clock_monotonic_us() - x->built_at_us;
    publish(fold, index);
    log_trace("index.build items=%lld ms=%lld", (long long)search_card(index).items,
              (long long)x->build_us / 1000);
}

static void keep_up(struct fold *fold, struct indexer *x)
{
    char language[16] = "en";
    rcu_read_begin();
    const struct book *book = atomic_load(&fold->live.book);
    isize n = book ? min_isize(book->search->language.len, (isize)sizeof language - 1) : 0;
    if (n) { memcpy(language, book->search->language.ptr, (size_t)n); language[n] = 0; }
    rcu_read_end();
    const struct search_index *index = current(fold);
    const struct model *model = atomic_load(&fold->live.model);
    i64 age_us = clock_monotonic_us() - x->built_at_us;
    bool rested = age_us > 10 * x->build_us;
    bool spoken = strcmp(language, x->language) != 0;
    bool popular = model && model != x->model && (!x->model || age_us > (i64)POPULARITY_MS * 1000);
    bool stale = index && search_stale(index, fold->live.catalog);
    if (!index || (rested && (spoken || popular))) {
        memcpy(x->language, language, sizeof language);
        build(fold, x, str_of(language));
    } else if (stale) {
        struct search_index *fresh = search_refresh(index, fold->live.catalog);
        if (fresh) publish(fold, fresh);
        else if (age_us > 2 * x->build_us) build(fold, x, str_of(x->language));
    }
}

static void *indexer_thread(void *ctx)
{
    thread_is("indexer", THREAD_BEHIND);
    struct fold *fold = ctx;
    struct indexer *x = fold->indexer;
    rcu_thread_start();
    void *nothing;
    do keep_up(fold, x);
    while (queue_take(x->stop, &nothing, 1, fold->config->search_ms) >= 0);
    rcu_thread_stop();
    return NULL;
}

void indexer_start(struct fold *fold)
{
    struct indexer *x = mem_new(sizeof *x);
    x->stop = queue_new(1);
    fold->indexer = x;
    pthread_create(&x->thread, NULL, indexer_thread, fold);
}

void indexer_stop(struct fold *fold)
{
    struct indexer *x = fold->indexer;
    queue_close(x->stop);
    pthread_join(x->thread, NULL);
    queue_free(x->stop);
    mem_free(x);
    fold->indexer = NULL;
}
