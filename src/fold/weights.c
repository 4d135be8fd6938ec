/* SPDX-License-Identifier: Apache-2.0
 *
 * weights.c - what each recommender of a mix is worth in a placement: learnt from rows that were
 * seen, kept as a fact.
 *
 * The learner reads the ring of latest decisions, as bandits do (learn.c): of each row that was
 * seen, how high every recommender had placed each item and which items were clicked. Rows of one
 * strategy in one placement, blended from the mix it has now, go together; the latest ROWS_MOST of
 * them. Only who may be learnt from is: the person's yes, or a basis of whoever told that the row
 * was seen; a stranger's rows are left out, and so are those of people who were erased. What
 * follows is submitted like any fact: a replay meets the same weights at the same entries and
 * computes nothing, and a past decision can be taken again with the weights of then. Why the ring
 * and not a sample of the fold's own: decisions/010.
 *
 * The weights of a mix that the strategy no longer has wait here until it has it again. */
#include <math.h>
#include <stdlib.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "fold/inside.h"

enum { WEIGHTS_MAX = 1024, ROWS_MOST = 5000, ROWS_ALL_MOST = 40000, PEOPLE_PER_BRACKET = 2000 };
static const f64 worth_saying = .005;                   /* a weight that moves less stays */

/* ---- state ----------------------------------------------------------------------------------- */

static struct learnt_mix *find(const struct fold *fold, u32 strategy, u16 placement)
{
    for (isize i = 0; i < fold->weights.n; i++)
        if (fold->weights.at[i].strategy == strategy && fold->weights.at[i].placement == placement)
            return &fold->weights.at[i];
    return NULL;
}

void weights_follow(const struct fold *fold, struct book *book)
{
    for (isize i = 0; i < book->strategies_n && fold->weights.n; i++) {
        struct strategy *s = &book->strategies[i];
        struct learnt_mix *own = arena_new(&book->arena, struct learnt_mix, fold->weights.n);
        u32 hash = strategy_hash(s->key);
        s->learnt = own;
        for (isize k = 0; k < fold->weights.n; k++)
            if (fold->weights.at[k].strategy == hash) own[s->learnt_n++] = fold->weights.at[k];
    }
}

void apply_weights(struct fold *fold, str bytes)
{
    struct codec c = codec_reader(bytes, &fold->scratch);
    struct learnt_mix learnt = { 0 };
    learnt_mix_visit(&c, &learnt);
    if (c.failed || c.in.len) return;
    struct learnt_mix *known = find(fold, learnt.strategy, learnt.placement);
    learnt.version = known ? known->version + 1 : 1;
    learnt.at_ms = fold->now_ms;
    if (known) *known = learnt;
    else if (fold->weights.n < WEIGHTS_MAX) vec_push(&fold->weights, learnt);
    else return;
    fold->weights_dirty = true;
    fold->book_ref = fold->ref;
    fold_rebuild_book(fold);
}

void weights_encode(const struct fold *fold, struct buf *out)
{
    struct codec c = codec_writer(out);
    for (isize i = 0; i < fold->weights.n; i++) {
        struct learnt_mix v = fold->weights.at[i];
        learnt_mix_visit(&c, &v);
    }
}

enum err weights_load(struct fold *fold, str bytes)
{
    struct codec c = codec_reader(bytes, NULL);
    while (c.in.len && !c.failed) {
        struct learnt_mix v = { 0 };
        learnt_mix_visit(&c, &v);
        if (!c.failed) vec_push(&fold->weights, v);
    }
    return c.failed ? ERR_DAMAGED : ERR_OK;
}

void weights_fini(struct fold *fold)
{
    vec_fini(&fold->weights);
    mem_free((void *)(uintptr_t)atomic_load(&fold->live.lessons));
}

const struct learnt_mix *fold_weights(const struct fold *fold, isize *n)
{
    *n = fold->weights.n;
    return fold->weights.at;
}

/* ---- what there is to learn from: on the fold's thread --------------------------------------- */

struct row { str bytes; u32 person; u64 clicks; bool teaches; i64 at_ms; };
struct subject {
    u32 strategy, mix;
    u16 placement;
    u8 order[RECOMMENDERS]; isize order_n;
    f64 defaults[RECOMMENDERS], now[RECOMMENDERS];
    struct row *rows; isize n;
};
struct rows { arena a; struct subject *at; isize n, all; i64 now_ms; };

static struct subject *subject_of(struct rows *r, const struct book *book, const struct decision *d)
{
    for (isize i = 0; i < r->n; i++)
        if (r->at[i].strategy == d->strategy_hash && r->at[i].placement == d->placement) return &r->at[i];
    if (r->n == LESSONS_MAX) return NULL;
    for (isize i = 0; i < book->strategies_n; i++) {
        const struct strategy *s = &book->strategies[i];
        if (!s->learns || strategy_hash(s->key) != d->strategy_hash) continue;
        struct subject *made = &r->at[r->n++];
        *made = (struct subject){ .strategy = d->strategy_hash, .mix = strategy_mix(s), .placement = d->placement, .order_n = s->query.mix_n,
                                  .rows = arena_new(&r->a, struct row, ROWS_MOST) };
        memcpy(made->order, s->query.mix, sizeof made->order);
        recommend_weights(made->order, made->order_n, s->query.weight, made->defaults);
        memcpy(made->now, made->defaults, sizeof made->now);
        const struct learnt_mix *learnt = strategy_learnt(s, d->placement);
        for (u8 k = 0; learnt && k < RECOMMENDERS; k++) made->now[k] = (f64)learnt->parts[k];
        return made;
    }
    return NULL;
}

static void ask_rows(void *ctx, struct fold *fold)
{
    struct rows *r = ctx;
    const struct book *book = atomic_load(&fold->live.book);
    isize oldest = max_isize(0, fold->decided_n - DECIDED_MAX);
    r->now_ms = fold->now_ms;
    r->at = arena_new(&r->a, struct subject, LESSONS_MAX);
    for (isize i = fold->decided_n - 1; i >= oldest && r->all < ROWS_ALL_MOST; i--) {
        const struct decided *d = &fold->decided[i % DECIDED_MAX];
        if (!d->viewed || !d->decision.person.v || !d->decision.asked || !d->decision.placement) continue;
        struct subject *s = subject_of(r, book, &d->decision);
        if (!s || s->mix != d->decision.asked || s->n == ROWS_MOST) continue;
        s->rows[s->n++] = (struct row){ arena_str(&r->a, d->bytes), d->decision.person.v, d->clicks,
                                        d->teaches, d->decision.at_ms };
        r->all++;
    }
}

/* ---- learning: on the learner's -------------------------------------------------------------- */

static bool may_teach(struct fold *fold, const struct row *row)
{
    const struct people *people = fold->live.people;
    person_id id = { row->person };
    if (!people_has(people, id) || people_consent(people, id, PURPOSE_ANALYTICS) == CONSENT_DENIED)
        return false;
    return consent_allows(row->teaches ? BASIS_CONTRACT : BASIS_CONSENT,
                          people_consent(people, id, PURPOSE_MODEL_TRAINING));
}

static isize showings_of(struct fold *fold, const struct subject *s, struct shown_item **out)
{
    struct { struct shown_item *at; isize n, cap; } all = { 0 };
    arena scratch = { 0 };
    for (isize i = 0; i < s->n;) {
        rcu_read_begin();
        for (isize end = i + PEOPLE_PER_BRACKET; i < end && i < s->n; i++) {
            struct decision d;
            arena_clear(&scratch);
            if (!may_teach(fold, &s->rows[i]) || decision_decode(s->rows[i].bytes, &scratch, &d)) continue;
            const u8 *height = (const u8 *)d.heights.ptr;
            for (isize k = 0; k < min_isize(d.items_n, 64); k++) {
                struct shown_item one = { .person = s->rows[i].person,
                                          .at_ms = s->rows[i].at_ms,
                                          .place = (u8)k,
                                          .clicked = s->rows[i].clicks >> k & 1 };
                u8 highest = 0;
                for (u8 r = 0; r < RECOMMENDERS; r++) {
                    if (!(d.asked >> r & 1)) continue;
                    one.heights[r] = *height++;
                    highest = one.heights[r] > highest ? one.heights[r] : highest;
                }
                if (highest) vec_push(&all, one);       /* a pin or a fallback says nothing of the mix */
            }
        }
        rcu_read_end();
    }
    arena_fini(&scratch);
    *out = all.at;
    return all.n;
}

static bool submit(struct fold *fold, const struct subject *s, const struct weighing *w, arena *a)
{
    struct learnt_mix v = { .strategy = s->strategy,
                            .placement = s->placement,
                            .mix = s->mix,
                            .from_ms = w->from_ms,
                            .to_ms = w->to_ms,
                            .showings = w->showings,
                            .clicks = w->clicks,
                            .loss_defaults = w->loss_defaults,
                            .loss_learnt = w->loss_learnt,
                            .sureness = w->sureness };
    f64 sum = 0, most = 0;
    for (isize i = 0; i < s->order_n; i++) sum += s->now[s->order[i]];
    for (isize i = 0; i < s->order_n; i++) {
        u8 r = s->order[i];
        v.parts[r] = (u16)lround(w->weight[r] * 1e4);
        most = fmax(most, fabs(w->weight[r] - s->now[r] / sum));
    }
    if (most < worth_saying) return false;
    struct buf bytes = { .arena = a };
    struct codec c = codec_writer(&bytes);
    learnt_mix_visit(&c, &v);
    struct entry entry = { ENTRY_WEIGHTS, buf_str(&bytes) };
    return fold_submit_wait(fold, &entry, 1, NULL) == ERR_OK;
}

static void free_lessons(void *lessons) { mem_free(lessons); }

isize learn_weights(struct fold *fold)
{
    struct rows r = { 0 };
    isize changed = 0;
    fold_ask_wait(fold, ask_rows, &r);
    struct lessons *lessons = mem_new(sizeof *lessons);
    for (isize i = 0; i < r.n; i++) {
        struct subject *s = &r.at[i];
        struct lesson_of_mix *lesson = &lessons->at[lessons->n++];
        struct shown_item *showings;
        isize n = showings_of(fold, s, &showings);
        *lesson = (struct lesson_of_mix){ s->strategy, s->placement, s->mix, r.now_ms, { 0 } };
        recommend_weigh(showings, n, s->order, s->order_n, s->defaults, s->now, &lesson->weighing);
        mem_free(showings);
        if (lesson->weighing.verdict != WEIGHING_TOO_LITTLE)
            changed += submit(fold, s, &lesson->weighing, &r.a);
    }
    struct lessons *old = (struct lessons *)(uintptr_t)atomic_exchange(&fold->live.lessons, lessons);
    if (old) rcu_defer(free_lessons, old);
    if (changed) log_note("weights.learnt rows=%td subjects=%td changed=%td", r.all, r.n, changed);
    arena_fini(&r.a);
    return changed;
}
