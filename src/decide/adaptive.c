/* SPDX-License-Identifier: Apache-2.0
 *
 * adaptive.c - experiences whose shares are learnt: how they are written, and what was learnt put
 * into a book.
 *
 *   "choose": "bandit",            "bandit": {"goal": "reward|learning", "floor": "2%", "control_share": "10%"}
 *   "choose": "contextual_bandit", "bandit": {…, "context": ["device", "trait.gender", "hour"],
 *                                             "policy": "tree|linear_thompson|linear_ucb"}
 *
 * Until something is learnt the variations' own shares hold. What is learnt comes as ranges (or a
 * policy) through the log, is kept by the fold and put into every book it makes; a decision only
 * reads. Ranges grow and shrink like an experiment's, so few people change, and who has seen an arm
 * keeps it.
 */
#include "decide/decide.h"

#include "base/clock.h"

enum { CONTEXT_TEXT_MAX = 64 };

static enum err read_part(const struct json *v, f64 otherwise, const char *name, f64 *out, struct diag *diag)
{
    i32 parts;
    *out = otherwise;
    if (!v) return ERR_OK;
    if (!share_parse(json_str(v, S("")), &parts))
        return diag_set(diag, ERR_BAD_INPUT, "bandit.%s is a share such as \"5%%\"", name);
    *out = (f64)parts / BUCKETS;
    return ERR_OK;
}

static enum err read_context(arena *a, const struct json *names, struct adaptive *to, struct diag *diag)
{
    if (json_len(names) < 1 || json_len(names) > BANDIT_FEATURES_MAX)
        return diag_set(diag, ERR_BAD_INPUT,
                        "a contextual bandit names 1 to %d facts in bandit.context",
                        BANDIT_FEATURES_MAX);
    json_each(name, names) {
        str text = json_str(name, S(""));
        if (text.len == 0 || text.len > CONTEXT_TEXT_MAX)
            return diag_set(
                diag, ERR_BAD_INPUT,
                "bandit.context holds names such as \"device\", \"weather\" or \"trait.gender\"");
        to->context[to->context_n++] = arena_str(a, text);
    }
    return ERR_OK;
}

enum err adaptive_read(arena *a, const struct json *experience, const struct experience *x,
                       struct adaptive **out, struct diag *diag)
{
    static const str kinds[] = { S_INIT("tree"), S_INIT("linear_thompson"), S_INIT("linear_ucb") };
    const struct json *doc = json_get(experience, S("bandit"));
    struct adaptive *to = arena_new(a, struct adaptive, 1);
    str goal = json_str(json_get(doc, S("goal")), S("reward")),
        kind = json_str(json_get(doc, S("policy")), S("tree"));
    *out = to;
    *to = (struct adaptive){ .settings = { .goal = str_eq(goal, S("learning")) ? BANDIT_LEARNING : BANDIT_REWARD, .control = -1 } };
    if (!str_eq(goal, S("learning")) && !str_eq(goal, S("reward")))
        return diag_set(diag, ERR_BAD_INPUT, "bandit.goal is reward or learning, not \"%.*s\"",
                        STR_FMT(goal));
    enum err err = read_part(json_get(doc, S("floor")), 0.02, "floor", &to->settings.floor, diag);
    if (!err)
        err = read_part(json_get(doc, S("control_share")), 0, "control_share",
                        &to->settings.control_share, diag);
    if (err) return err;
    if (to->settings.floor * (f64)x->variations_n > 1)
        return diag_set(diag, ERR_BAD_INPUT,
                        "bandit.floor times %td variations is more than everybody",
                        x->variations_n);
    for (isize i = 0; i < x->variations_n; i++)
        if (x->variations[i].control) to->settings.control = i;
    if (x->choose != CHOOSE_CONTEXTUAL) return ERR_OK;
    isize k = 0;
    while (k < countof(kinds) && !str_eq(kind, kinds[k])) k++;
    if (k == countof(kinds))
        return diag_set(diag, ERR_BAD_INPUT,
                        "bandit.policy is tree, linear_thompson or linear_ucb, not \"%.*s\"",
                        STR_FMT(kind));
    to->kind = (enum bandit_kind)k;
    return read_context(a, json_get(doc, S("context")), to, diag);
}

struct experience *book_experience(struct book *book, u32 campaign, u8 experience)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        if (book->campaigns[i].id == campaign && experience < book->campaigns[i].experiences_n)
            return &book->campaigns[i].experiences[experience];
    return NULL;
}

bool experience_allot(struct book *book, struct experience *x, const struct allotment *learnt)
{
    struct bandit_policy *policy = NULL;
    const struct json *json;
    if (!x->adaptive || learnt->arms != x->variations_n || learnt->ranges_n > RANGES_MAX) return false;
    i32 all = 0;
    for (isize i = 0; i < learnt->ranges_n; i++) {
        const struct range *r = &learnt->ranges[i];
        if (r->start < 0 || r->end < r->start || r->end > BUCKETS || r->variation < 0
            || r->variation >= x->variations_n)
            return false;
        all += r->end - r->start;
    }
    if (all > BUCKETS) return false;
    if (learnt->policy.len && x->choose == CHOOSE_CONTEXTUAL) {
        bool read = !json_parse(&book->arena, learnt->policy, &json, NULL)
                    && !bandit_policy_read(&book->arena, json, &policy, NULL);
        if (!read || policy->arms != x->variations_n
            || policy->features_n != x->adaptive->context_n)
            return false;
        x->adaptive->policy = policy;
    }
    struct range *at = arena_new(&book->arena, struct range, learnt->ranges_n);
    if (learnt->ranges_n) memcpy(at, learnt->ranges, (size_t)learnt->ranges_n * sizeof *at);
    x->allocation = (struct allocation){ at, learnt->ranges_n };
    for (isize i = 0; i < x->variations_n; i++)
        x->variations[i].share = experiment_share(x->allocation, (i32)i);
    return true;
}

static void visit_range(struct codec *c, struct range *v)
{
    codec_i32(c, &v->start);
    codec_i32(c, &v->end);
    codec_i32(c, &v->variation);
}

void allotment_visit(struct codec *c, struct allotment *v)
{
    codec_u32(c, &v->campaign);
    codec_u8(c, &v->experience);
    codec_u8(c, &v->arms);
    codec_list(c, struct range, v->ranges, v->ranges_n, RANGES_MAX, visit_range);
    codec_str(c, &v->policy);
}

/* ---- what a context is, as texts ------------------------------------------------------------- */

static str trait_text(const struct profile *p, str name, arena *a)
{
    for (isize i = 0; p && i < p->traits_n; i++) {
        const struct fact *f = &p->traits[i].fact;
        if (!str_eq(f->name, name)) continue;
        if (f->kind == FACT_TEXT) return f->text;
        if (f->kind == FACT_NUMBER) return arena_printf(a, "%g", f->n);
        if (f->kind == FACT_BOOL) return f->b ? S("true") : S("false");
    }
    return S("");
}

str adaptive_fact(str name, const struct decide_request *r, const struct profile *p,
                  i32 zone_minutes, arena *a)
{
    const struct {
        str name, value;
    } own[] = { { S("device"), r->device },
                { S("channel"), r->channel },
                { S("market"), r->market },
                { S("locale"), r->locale },
                { S("store"), r->store } };
    str text = S("");
    if (str_starts(name, S("context."))) name = str_from(name, 8);
    if (str_starts(name, S("trait."))) {
        text = trait_text(p, str_from(name, 6), a);
    } else if (str_eq(name, S("hour"))) {
        i64 day_ms = 24 * (i64)HOUR_MS, at = r->now_ms + zone_minutes * (i64)MINUTE_MS;
        text = arena_printf(a, "%lld", (long long)(((at % day_ms) + day_ms) % day_ms / HOUR_MS));
    } else {
        const struct json *v = json_path(r->context, arena_z(a, name));
        text = json_is(v, JSON_BOOL)  ? (v->b ? S("true") : S("false"))
               : json_is(v, JSON_NUM) ? arena_printf(a, "%g", v->n)
                                      : json_text(a, v);
        for (isize i = 0; i < countof(own) && text.len == 0; i++)
            if (str_eq(own[i].name, name)) text = own[i].value;
    }
    return text.len > CONTEXT_TEXT_MAX ? S("") : text;
}

isize adaptive_choose(const struct experience *x, struct bucket_key key, const str *texts,
                      i32 *share, i32 *leaf)
{
    const struct bandit_policy *policy = x->adaptive ? x->adaptive->policy : NULL;
    f64 at[BANDIT_FEATURES_MAX];
    i32 shares[BANDIT_ARMS_MAX], below = 0, bucket = experiment_bucket(key);
    *leaf = -1;
    if (!policy) {                                      /* nothing learnt yet, or no context to learn from */
        struct assignment assigned = experiment_assign(key, x->allocation);
        *share = assigned.share;
        return assigned.variation;
    }
    for (isize f = 0; f < policy->features_n; f++) at[f] = bandit_code(&policy->features[f], texts[f]);
    bandit_policy_shares(policy, at, shares, leaf);
    isize arm = 0;
    while (arm + 1 < x->variations_n && bucket >= below + shares[arm]) below += shares[arm++];
    *share = shares[arm];
    return arm;
}
