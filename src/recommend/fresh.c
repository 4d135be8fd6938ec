/* SPDX-License-Identifier: Apache-2.0
 *
 * fresh.c - what people did since the model was built.
 *
 * Session kNN needs no training, only an index; so between two builds the latest sessions get a
 * small index of their own, which is made anew as a whole in milliseconds and hangs on the model by
 * one pointer. A question asks both as one, the new sessions first. An item launched minutes ago is
 * found through the sessions that hold it, and leads to what stands beside it there.
 *
 * In so few sessions everything is rare or frequent by chance: how much an item says is taken from
 * the model where that knows it, and else counted against all sessions. */
#include "base/rcu.h"
#include "recommend/inside.h"

static void free_fresh(void *model) { model_free(model); }

/* What is left of a build that session kNN alone will ask. */
static struct model *index_of(const struct model *m, const struct interaction *interactions,
                              isize n, u32 items)
{
    struct recommend_options options = m->options;
    options.only = 1U << RECOMMENDER_SESSION;
    struct model *fresh = model_build(interactions, n, items, m->card.built_at_ms, &options, NULL);
    f64 sessions = (f64)(m->card.sessions + fresh->card.sessions);
    for (u32 i = 1; i < items; i++) {
        u32 in = fresh->posting_from[i + 1] - fresh->posting_from[i];
        if (in == 0) continue;
        bool known = i < m->items && m->idf[i] > 0;
        fresh->idf[i] = known ? m->idf[i] : (f32)pow(1 + log(sessions / (f64)in), options.idf);
    }
    return fresh;
}

void model_append(struct model *model, const struct interaction *interactions, isize n, u32 items)
{
    struct model *fresh = n > 0 ? index_of(model, interactions, n, items) : NULL;
    struct model *old = (struct model *)(uintptr_t)atomic_exchange(&model->fresh, fresh);
    if (old) rcu_defer(free_fresh, old);
}
