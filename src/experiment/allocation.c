/* SPDX-License-Identifier: Apache-2.0
 *
 * allocation.c - which buckets belong to which variation, and how that changes without a reshuffle.
 *
 * Cutting 0 .. 9999 anew whenever a share changes is what others do: raise one arm from 20 to 30 %
 * and half of everybody sees something else tomorrow, and the experiment has lost its meaning. Here
 * an arm keeps the buckets it has. The map of who owns each bucket is rebuilt at every change
 * (10,000 bytes, once a publish): plainly right beats clever.
 */
#include "experiment/experiment.h"

enum { FREE = -1 };

static_assert(VARIATIONS_MAX < INT8_MAX, "an owner is one byte");

static enum err check_shares(const i32 *shares, isize n, struct diag *diag)
{
    if (n < 1 || n > VARIATIONS_MAX) {
        return diag_set(diag, ERR_BAD_INPUT, "an experiment has 1 to %d variations, not %td",
                        VARIATIONS_MAX, n);
    }
    i64 total = 0;
    for (isize i = 0; i < n; i++) {
        if (shares[i] < 0)
            return diag_set(diag, ERR_BAD_INPUT, "the share of variation %td is negative", i + 1);
        total += shares[i];
    }
    if (total > BUCKETS) {
        return diag_set(diag, ERR_BAD_INPUT, "the shares add up to %g%%, which is more than 100%%",
                        (f64)total / 100);
    }
    return ERR_OK;
}

enum err experiment_allocate(arena *a, const i32 *shares, isize n, struct allocation *out, struct diag *diag)
{
    enum err err = check_shares(shares, n, diag);
    if (err) return err;
    i64 total = 0, before = 0;
    for (isize i = 0; i < n; i++) total += shares[i];
    struct range *at = arena_new(a, struct range, n);
    for (isize i = 0; i < n; i++) {
        /* Rounding down never overlaps: with total <= BUCKETS the next start is at least one share on. */
        i32 start = (i32)(total ? before * BUCKETS / total : i * BUCKETS / n);
        if (start == BUCKETS) start = BUCKETS - 1;      /* an arm at 0 % behind the last one */
        at[i] = (struct range){ start, start + shares[i], (i32)i };
        before += shares[i];
    }
    *out = (struct allocation){ at, n };
    return ERR_OK;
}

/* The state while shares change: ranges in the order they were first taken, and the map. */
struct change {
    struct range at[RANGES_MAX];
    isize n;
    i8 owner[BUCKETS];
};

static i32 length(struct range r)
{
    return r.end - r.start;
}

static i32 share_in(const struct change *c, i32 variation)
{
    return experiment_share((struct allocation){ c->at, c->n }, variation);
}

static void own(struct change *c, struct range r, i32 who)
{
    for (i32 b = r.start; b < r.end; b++) c->owner[b] = (i8)who;
}

static void shrink(struct change *c, i32 variation, i32 surplus)
{
    for (isize i = c->n - 1; i >= 0 && surplus > 0; i--) {
        struct range *r = &c->at[i];
        if (r->variation != variation) continue;
        i32 cut = length(*r) < surplus ? length(*r) : surplus;
        own(c, (struct range){ r->end - cut, r->end, 0 }, FREE);
        r->end -= cut;
        surplus -= cut;
    }
    assert(surplus <= 0);
}

/* An arm at 0 % keeps its place: others grow up to it here, and over it only when pressed. */
static bool starts_at(const struct change *c, i32 bucket)
{
    for (isize i = 0; i < c->n; i++) {
        if (c->at[i].start == bucket) return true;
    }
    return false;
}

/* Into the holes behind the arm's own ranges. */
static void grow_ends(struct change *c, i32 variation, i32 missing)
{
    for (isize i = 0; i < c->n; i++) {
        struct range *r = &c->at[i];
        if (r->variation != variation) continue;
        while (missing > 0 && r->end < BUCKETS && c->owner[r->end] == FREE
               && (r->end == r->start || !starts_at(c, r->end))) {
            c->owner[r->end++] = (i8)variation;
            missing--;
        }
    }
}

static struct range longest_hole(const struct change *c)
{
    struct range longest = { 0 };
    for (i32 from = 0; from < BUCKETS;) {
        i32 to = from;
        while (to < BUCKETS && c->owner[to] == FREE) to++;
        if (to - from > length(longest)) longest = (struct range){ from, to, FREE };
        from = to + 1;
    }
    return longest;
}

/* The ends of the longest holes: whoever stands before the hole keeps room to grow. */
static enum err grow_elsewhere(struct change *c, i32 variation, i32 missing, struct diag *diag)
{
    while (missing > 0) {
        if (c->n == RANGES_MAX) {
            return diag_set(
                diag, ERR_REFUSED,
                "so many changes have cut this experiment into more than %d pieces; start a new one",
                RANGES_MAX);
        }
        struct range hole = longest_hole(c);
        i32 taken = length(hole) < missing ? length(hole) : missing;
        assert(taken > 0);                              /* shares add up to at most all buckets */
        c->at[c->n] = (struct range){ hole.end - taken, hole.end, variation };
        own(c, c->at[c->n++], variation);
        missing -= taken;
    }
    return ERR_OK;
}

/* Empty ranges go, but each arm's first stays as the mark of where it begins. */
static struct allocation kept(arena *a, const struct change *c)
{
    struct range *at = arena_new(a, struct range, c->n);
    bool seen[VARIATIONS_MAX] = { 0 };
    isize n = 0;
    for (isize i = 0; i < c->n; i++) {
        struct range r = c->at[i];
        if (length(r) > 0 || !seen[r.variation]) at[n++] = r;
        seen[r.variation] = true;
    }
    return (struct allocation){ at, n };
}

enum err experiment_reallocate(arena *a, struct allocation old, const i32 *shares, isize n,
                               struct allocation *out, struct diag *diag)
{
    enum err err = check_shares(shares, n, diag);
    if (err) return err;
    assert(old.n <= RANGES_MAX);
    struct change c = { .n = old.n };
    memset(c.owner, FREE, sizeof c.owner);
    for (isize i = 0; i < old.n; i++) {
        if (old.at[i].variation >= n) {
            return diag_set(diag, ERR_BAD_INPUT,
                            "variation %" PRId32
                            " is running; remove it by a share of 0%%, not by leaving it out",
                            old.at[i].variation + 1);
        }
        c.at[i] = old.at[i];
        own(&c, old.at[i], old.at[i].variation);
    }
    for (i32 v = 0; v < n; v++) shrink(&c, v, share_in(&c, v) - shares[v]);
    for (i32 v = 0; v < n; v++) grow_ends(&c, v, shares[v] - share_in(&c, v));
    for (i32 v = 0; v < n; v++) {
        err = grow_elsewhere(&c, v, shares[v] - share_in(&c, v), diag);
        if (err) return err;
    }
    *out = kept(a, &c);
    return ERR_OK;
}

enum err experiment_allocation_read(arena *a, const struct json *ranges, isize n, struct allocation *out,
                                    struct diag *diag)
{
    isize count = json_len(ranges);
    if (!json_is(ranges, JSON_ARR) || count > RANGES_MAX) {
        return diag_set(diag, ERR_BAD_INPUT, "ranges is a list of at most %d ranges", RANGES_MAX);
    }
    struct range *at = arena_new(a, struct range, count);
    i8 owner[BUCKETS];
    memset(owner, FREE, sizeof owner);
    isize i = 0;
    json_each(range, ranges) {
        i64 start = json_int(json_get(range, S("start")), -1), end = json_int(json_get(range, S("end")), -1);
        i64 variation = json_int(json_get(range, S("variation")), -1);
        if (start < 0 || start >= BUCKETS || end < start || end > BUCKETS || variation < 0
            || variation >= n) {
            return diag_set(diag, ERR_BAD_INPUT,
                            "range %td: start and end are buckets of 0 to %d, variation an index below %td",
                            i + 1, BUCKETS, n);
        }
        for (i64 b = start; b < end; b++) {
            if (owner[b] != FREE) return diag_set(diag, ERR_BAD_INPUT, "range %td overlaps another", i + 1);
            owner[b] = (i8)variation;
        }
        at[i++] = (struct range){ (i32)start, (i32)end, (i32)variation };
    }
    *out = (struct allocation){ at, count };
    return ERR_OK;
}

void experiment_allocation_write(struct jsonw *w, struct allocation of)
{
    jsonw_begin(w, '[');
    for (isize i = 0; i < of.n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "start", of.at[i].start);
        jsonw_key_int(w, "end", of.at[i].end);
        jsonw_key_int(w, "variation", of.at[i].variation);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

i32 experiment_share(struct allocation of, i32 variation)
{
    i32 share = 0;
    for (isize i = 0; i < of.n; i++) {
        if (of.at[i].variation == variation) share += length(of.at[i]);
    }
    return share;
}

struct assignment experiment_assign(struct bucket_key key, struct allocation of)
{
    struct assignment got = { .bucket = experiment_bucket(key), .variation = -1, .share = BUCKETS };
    for (isize i = 0; i < of.n; i++) {
        got.share -= length(of.at[i]);
        if (got.bucket >= of.at[i].start && got.bucket < of.at[i].end) got.variation = of.at[i].variation;
    }
    if (got.variation >= 0) got.share = experiment_share(of, got.variation);
    got.propensity = (f64)got.share / BUCKETS;
    return got;
}

bool experiment_continues(const struct json *before, const struct json *now)
{
    if (!before || json_len(before) > json_len(now)) return false;
    for (isize i = 0; i < json_len(before); i++) {
        str was = json_str(json_get(&before->list.at[i], S("key")), S(""));
        if (!str_eq(was, json_str(json_get(&now->list.at[i], S("key")), S("")))) return false;
    }
    return true;
}
