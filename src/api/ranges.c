/* SPDX-License-Identifier: Apache-2.0
 *
 * ranges.c - what new shares would do to an experiment that runs: the ranges as they would be, and
 * who would move.
 *
 *   {"kind": "flag|campaign", "key", "rule": a rule's or an experience's key, "variations": [{"key", "share"}, ...]}
 *
 * The same reallocation that publishing does, on what is in force now, and nothing is changed by
 * asking. A rule that is not in force yet is allocated afresh. Who moves is counted in buckets, so
 * it is of all whom the rule applies to, not of those who happened to come. */
#include "api/flags.h"
#include "base/rcu.h"

enum { NOBODY = -1 };

struct split { str keys[VARIATIONS_MAX]; isize n; struct allocation at; };

static bool flag_stands(const struct book_flag *flag, str key, struct split *out)
{
    for (isize i = 0; flag && i < flag->flag->rules_n; i++) {
        const struct flag_rule *rule = &flag->flag->rules[i];
        if (!str_eq(rule->key, key) || rule->kind != FLAG_EXPERIMENT) continue;
        for (isize v = 0; v < rule->variations_n; v++) out->keys[out->n++] = rule->variations[v].key;
        out->at = rule->allocation;
        return true;
    }
    return false;
}

static bool campaign_stands(const struct campaign *campaign, str key, struct split *out)
{
    for (isize i = 0; campaign && i < campaign->experiences_n; i++) {
        const struct experience *x = &campaign->experiences[i];
        if (!str_eq(x->key, key)) continue;
        for (isize v = 0; v < x->variations_n; v++) out->keys[out->n++] = x->variations[v].key;
        out->at = x->allocation;
        return true;
    }
    return false;
}

/* The shares asked for, and the same arms in the same places as those that stand, perhaps with new
 * ones behind. */
static enum err wanted(const struct json *variations, struct split *out, i32 *shares, struct diag *diag)
{
    if (!json_is(variations, JSON_ARR) || json_len(variations) < 1 || json_len(variations) > VARIATIONS_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "variations is a list of 1 to %d", VARIATIONS_MAX);
    json_each(v, variations) {
        out->keys[out->n] = json_str(json_get(v, S("key")), S(""));
        if (!share_parse(json_str(json_get(v, S("share")), S("")), &shares[out->n]))
            return diag_set(diag, ERR_BAD_INPUT,
                            "variation %td: share is a percentage in quotes, such as \"33.5%%\"",
                            out->n + 1);
        out->n++;
    }
    return ERR_OK;
}

static bool continues(const struct split *before, const struct split *now)
{
    for (isize i = 0; i < before->n; i++)
        if (i >= now->n || !str_eq(before->keys[i], now->keys[i])) return false;
    return before->n > 0;
}

static void owners(struct allocation of, i8 *owner)
{
    memset(owner, NOBODY, BUCKETS);
    for (isize i = 0; i < of.n; i++)
        for (i32 b = of.at[i].start; b < of.at[i].end; b++) owner[b] = (i8)of.at[i].variation;
}

static void print_key(struct jsonw *w, const char *name, const struct split *of, i32 variation)
{
    if (variation != NOBODY) { jsonw_key_str(w, name, of->keys[variation]); return; }
    jsonw_key(w, str_of(name));
    jsonw_null(w);
}

static bool same_arm(const struct split *a, i32 x, const struct split *b, i32 y)
{
    if (x == NOBODY || y == NOBODY) return x == y;
    return str_eq(a->keys[x], b->keys[y]);
}

/* Stretches of buckets that change hands, each with the arm it leaves and the one it comes to;
 * null: in no arm. */
static void print_moves(struct call *call, const struct split *before, const struct split *now)
{
    i8 *was = arena_new(call->a, i8, BUCKETS), *is = arena_new(call->a, i8, BUCKETS);
    struct jsonw *w = &call->w;
    i32 moved = 0;
    owners(before->at, was);
    owners(now->at, is);
    jsonw_key_begin(w, "moves", '[');
    for (i32 from = 0, to; from < BUCKETS; from = to) {
        for (to = from + 1; to < BUCKETS && was[to] == was[from] && is[to] == is[from];) to++;
        if (same_arm(before, was[from], now, is[from])) continue;
        moved += to - from;
        jsonw_begin(w, '{');
        jsonw_key_int(w, "start", from);
        jsonw_key_int(w, "end", to);
        print_key(w, "from", before, was[from]);
        print_key(w, "to", now, is[from]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_str(w, "moved", share_print(call->a, moved));
}

static void print_split(struct jsonw *w, const char *name, const struct split *s)
{
    jsonw_key_begin(w, name, '[');
    for (isize i = 0; i < s->at.n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_int(w, "start", s->at.at[i].start);
        jsonw_key_int(w, "end", s->at.at[i].end);
        jsonw_key_str(w, "variation", s->keys[s->at.at[i].variation]);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

void ranges_tried(struct call *call)
{
    struct split *before = arena_new(call->a, struct split, 1), *now = arena_new(call->a, struct split, 1);
    struct diag diag = { .arena = call->a };
    i32 shares[VARIATIONS_MAX];
    if (!need_body(call)) return;
    str kind = json_str(json_get(call->body, S("kind")), S("")),
        key = json_str(json_get(call->body, S("key")), S(""));
    str rule = json_str(json_get(call->body, S("rule")), S(""));
    if (!str_eq(kind, S("flag")) && !str_eq(kind, S("campaign"))) {
        reply_problem(call, ERR_BAD_INPUT, "kind is flag or campaign");
        return;
    }
    enum err err = wanted(json_get(call->body, S("variations")), now, shares, &diag);
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    bool live = str_eq(kind, S("flag")) ? flag_stands(book_flag(book, key), rule, before)
                                        : campaign_stands(book_campaign(book, key), rule, before);
    bool grows = live && continues(before, now);
    if (!err && grows) err = experiment_reallocate(call->a, before->at, shares, now->n, &now->at, &diag);
    else if (!err) err = experiment_allocate(call->a, shares, now->n, &now->at, &diag);
    if (!err) {
        jsonw_begin(&call->w, '{');
        jsonw_key_bool(&call->w, "live", live);
        jsonw_key_bool(&call->w, "anew", live && !grows);
        print_split(&call->w, "now", before);
        print_split(&call->w, "then", now);
        print_moves(call, before, now);
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
    if (err) reply_problem(call, err, "%.*s", STR_FMT(diag.what));
    else reply_json(call);
}
