/* SPDX-License-Identifier: Apache-2.0
 *
 * trials.c - since when which shares hold, and what bandits learnt.
 *
 * An epoch is a time of constant shares. Results compare inside each and add up (measure/), so a
 * ramp, an edit or a bandit's move biases nothing. Epochs follow from the book: whenever one is
 * made, shares that are not the last epoch's open a new one at the record's time. What a bandit
 * learnt came as a record and is put into every book from then on, as long as the experience has
 * the arms it was learnt for.
 */
#include "fold/inside.h"

/* A bandit's epochs grow longer with its age (learn.c) and stay far below. */
enum { EPOCHS_MAX = 2000 };

static struct trial *trial_of(struct fold *fold, u32 campaign, u8 experience)
{
    for (isize i = 0; i < fold->trials.n; i++)
        if (fold->trials.at[i].campaign == campaign && fold->trials.at[i].experience == experience)
            return &fold->trials.at[i];
    return NULL;
}

static struct trial *trial_need(struct fold *fold, u32 campaign, u8 experience)
{
    struct trial *t = trial_of(fold, campaign, experience);
    if (t) return t;
    vec_push(&fold->trials,
             (struct trial){ .campaign = campaign,
                             .experience = experience,
                             .learnt = { campaign, experience, 0, NULL, 0, { 0 } } });
    fold->trials_dirty = true;
    return &fold->trials.at[fold->trials.n - 1];
}

static void allotment_free(struct allotment *a)
{
    mem_free(a->ranges);
    mem_free_str(a->policy);
    *a = (struct allotment){ 0 };
}

static void keep(struct trial *t, const struct allotment *learnt)
{
    allotment_free(&t->learnt);
    t->learnt = *learnt;
    t->learnt.ranges = learnt->ranges_n ? mem_new(learnt->ranges_n * (isize)sizeof *learnt->ranges) : NULL;
    if (learnt->ranges_n)
        memcpy(t->learnt.ranges, learnt->ranges, (size_t)learnt->ranges_n * sizeof *learnt->ranges);
    t->learnt.policy = mem_str(learnt->policy);
}

/* Shares as the book has them; a policy's shares differ by context, so another policy is another epoch. */
static struct epoch epoch_of(const struct experience *x, const struct trial *t, i64 now_ms)
{
    struct epoch e = { .at_ms = now_ms, .arms = (u8)x->variations_n };
    for (isize i = 0; i < x->variations_n; i++) e.shares[i] = x->variations[i].share;
    bool by_policy = x->adaptive && x->adaptive->policy && t;
    e.policy = by_policy ? hash64(t->learnt.policy, 31) : 0;
    return e;
}

static void note_epoch(struct fold *fold, struct trial *t, struct epoch e)
{
    const struct epoch *last = t->epochs.n ? &t->epochs.at[t->epochs.n - 1] : NULL;
    if (last && last->arms == e.arms && last->policy == e.policy
        && !memcmp(last->shares, e.shares, sizeof e.shares))
        return;
    fold->trials_dirty = true;
    if (last && t->epochs.n == EPOCHS_MAX) return;
    /* nobody saw the one in between */
    if (last && last->at_ms == e.at_ms) t->epochs.at[t->epochs.n - 1] = e;
    else vec_push(&t->epochs, e);
}

void trials_follow(struct fold *fold, struct book *book)
{
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        for (u8 k = 0; k < c->experiences_n; k++) {
            struct experience *x = &c->experiences[k];
            if (x->choose == CHOOSE_FIXED) continue;
            struct trial *t = trial_need(fold, c->id, k);
            if (t->learnt.arms) (void)experience_allot(book, x, &t->learnt);
            note_epoch(fold, t, epoch_of(x, t, fold->now_ms));
        }
    }
}

void trials_show(struct fold *fold, struct book *book)
{
    for (isize i = 0; i < fold->trials.n; i++) {
        const struct trial *t = &fold->trials.at[i];
        struct experience *x = t->learnt.arms ? book_experience(book, t->campaign, t->experience) : NULL;
        if (x) (void)experience_allot(book, x, &t->learnt);
    }
}

void apply_allotment(struct fold *fold, str bytes)
{
    struct codec c = codec_reader(bytes, &fold->scratch);
    struct allotment learnt = { 0 };
    allotment_visit(&c, &learnt);
    if (c.failed || c.in.len || learnt.arms == 0) return;
    struct trial *t = trial_of(fold, learnt.campaign, learnt.experience);
    if (!t) return;
    keep(t, &learnt);
    fold->trials_dirty = true;
    fold->book_ref = fold->ref;
    fold_rebuild_book(fold);
}

static void visit_epoch(struct codec *c, struct epoch *v)
{
    codec_i64(c, &v->at_ms);
    codec_u64(c, &v->policy);
    codec_u8(c, &v->arms);
    if (v->arms > EXPERIENCE_VARIATIONS_MAX) { c->failed = true; v->arms = 0; }
    for (isize i = 0; i < v->arms; i++) codec_i32(c, &v->shares[i]);
}

void trials_encode(const struct fold *fold, struct buf *out)
{
    struct codec c = codec_writer(out);
    for (isize i = 0; i < fold->trials.n; i++) {
        struct trial t = fold->trials.at[i];
        allotment_visit(&c, &t.learnt);
        codec_list(&c, struct epoch, t.epochs.at, t.epochs.n, EPOCHS_MAX, visit_epoch);
    }
}

enum err trials_load(struct fold *fold, str bytes, arena *a)
{
    struct codec c = codec_reader(bytes, a);
    while (c.in.len && !c.failed) {
        struct allotment learnt = { 0 };
        struct epoch *epochs = NULL;
        isize n = 0;
        allotment_visit(&c, &learnt);
        codec_list(&c, struct epoch, epochs, n, EPOCHS_MAX, visit_epoch);
        if (c.failed) break;
        struct trial *t = trial_need(fold, learnt.campaign, learnt.experience);
        keep(t, &learnt);
        for (isize i = 0; i < n; i++) vec_push(&t->epochs, epochs[i]);
    }
    fold->trials_dirty = false;
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

void trials_fini(struct fold *fold)
{
    for (isize i = 0; i < fold->trials.n; i++) {
        allotment_free(&fold->trials.at[i].learnt);
        vec_fini(&fold->trials.at[i].epochs);
    }
    vec_fini(&fold->trials);
}

const struct epoch *fold_epochs(const struct fold *fold, u32 campaign, u8 experience, isize *n)
{
    for (isize i = 0; i < fold->trials.n; i++) {
        const struct trial *t = &fold->trials.at[i];
        if (t->campaign != campaign || t->experience != experience) continue;
        *n = t->epochs.n;
        return t->epochs.at;
    }
    *n = 0;
    return NULL;
}
