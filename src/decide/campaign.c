/* SPDX-License-Identifier: Apache-2.0
 *
 * campaign.c - placements, and the campaigns that fill them: experiences, variations, shares. */
#include "decide/inside.h"

#include <stdlib.h>

static i64 instant(struct building *b, const struct json *v, const char *path)
{
    i64 at = 0;
    if (json_is(v, JSON_STR) && v->s.len && !time_parse(v->s, &at))
        building_refuse(b, path, 0, "expected a time such as 2026-11-21T08:00:00Z");
    if (json_is(v, JSON_INT)) at = v->i;
    return at;
}

static bool has_strategy(const struct book *book, str key)
{
    return str_eq(key, S("for_you")) || str_eq(key, S("")) || book_strategy(book, key) != NULL;
}

void placements_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "placement", PLACEMENTS_MAX);
    book->placements = arena_new(b->a, struct placement, room);
    while (book->placements_n < room && (doc = building_next(b, "placement", &at))) {
        struct placement *p = &book->placements[book->placements_n++];
        *p = (struct placement){
            .id = b->def->id,
            .number = b->def->number,
            .key = b->def->key,
            .title = json_str(json_get(doc, S("title")), b->def->key),
            .channel = json_str(json_get(doc, S("channel")), S("web")),
            .family = json_str(json_get(doc, S("family")), b->def->key),
            .selector = json_get_str(doc, "selector"),
            .paused = b->def->paused || str_eq(json_get_str(doc, "state"), S("paused")),
            .schema = json_get(doc, S("schema")),
            .content = json_get(doc, S("default")),
            .strategy = json_get_str(doc, "strategy"),
            .min_items = (i32)json_int(json_get(doc, S("min_items")), 0),
            .hide_seen = json_bool(json_get(doc, S("hide_seen")), false),
        };
        if (!has_strategy(book, p->strategy))
            building_refuse(b, "strategy", 0, "there is no strategy \"%.*s\"",
                            STR_FMT(p->strategy));
    }
}

/* Content must answer to the placement's schema: each field known, of its kind; "?" marks one that
 * may be missing. */
static void check_content(struct building *b, const struct placement *p, const struct json *content,
                          const char *path)
{
    json_each(field, content)
        if (json_is(p->schema, JSON_OBJ) && !json_get(p->schema, field->key))
            building_refuse(b, path, 0, "placement %.*s has no field \"%.*s\"", STR_FMT(p->key),
                            STR_FMT(field->key));
    json_each(field, p->schema) {
        bool optional = str_ends(json_str(field, S("")), S("?"));
        if (!optional && !json_get(content, field->key))
            building_refuse(b, path, 0, "the field \"%.*s\" is missing", STR_FMT(field->key));
    }
}

static void build_variation(struct building *b, const struct json *doc, const struct placement *p,
                            struct variation *v, const char *path)
{
    static const char *const renders[] = { "content", "default", "passthrough" };
    str render = json_get_str(doc, "render");
    *v = (struct variation){ .key = json_get_str(doc, "key"), .content = json_get(doc, S("content")), .strategy = json_get_str(doc, "strategy"),
                             .control = json_bool(json_get(doc, S("control")), false) };
    for (u8 i = 0; i < countof(renders); i++)
        if (str_eq(render, str_of(renders[i]))) v->render = i;
    if (render.len && !str_eq(render, str_of(renders[v->render])))
        building_refuse(b, path, 0, "render is content, default or passthrough, not \"%.*s\"",
                        STR_FMT(render));
    if (v->key.len == 0) building_refuse(b, path, 0, "a variation needs a key");
    v->share = building_share(b, json_get(doc, S("share")), -1, path);
    if (!has_strategy(b->book, v->strategy))
        building_refuse(b, path, 0, "there is no strategy \"%.*s\"", STR_FMT(v->strategy));
    if (v->render == RENDER_CONTENT && p && v->strategy.len == 0) check_content(b, p, v->content, path);
}

/* What each arm gets; those that say nothing divide what is left. */
static isize read_shares(const struct json *variations, i32 *shares)
{
    isize n = 0, silent = 0;
    i32 left = BUCKETS;
    json_each(v, variations) {
        if (n == EXPERIENCE_VARIATIONS_MAX) break;
        if (!share_parse(json_str(json_get(v, S("share")), S("")), &shares[n])) shares[n] = -1;
        silent += shares[n] < 0;
        if (shares[n] > 0) left -= shares[n];
        n++;
    }
    for (isize i = 0; i < n; i++)
        if (shares[i] < 0) shares[i] = left > 0 ? left / (i32)silent : 0;
    return n;
}

static const struct json *experience_in(const struct json *doc, str key)
{
    json_each(x, json_get(doc, S("experiences")))
        if (str_eq(json_get_str(x, "key"), key)) return x;
    return NULL;
}

/* An arm's range keeps its start through every revision that was ever in force, so that a ramp
 * moves only who must move. */
static void allocate(struct building *b, struct experience *x, const struct json *now, const char *path)
{
    i32 shares[EXPERIENCE_VARIATIONS_MAX];
    struct diag diag = { .arena = b->a };
    const struct json *before = NULL;
    enum err err = ERR_OK;
    for (isize i = 0; i <= b->def->publishes_n; i++) {
        const struct json *doc, *variations = now;
        if (i < b->def->publishes_n) {
            str text = b->def->revisions[b->def->publishes[i] - 1].document;
            if (json_parse(b->a, text, &doc, NULL)) continue;
            variations = json_get(experience_in(doc, x->key), S("variations"));
            if (!variations) continue;
        }
        isize n = read_shares(variations, shares);
        struct allocation old = x->allocation;
        err = experiment_continues(before, variations)
                  ? experiment_reallocate(b->a, old, shares, n, &x->allocation, &diag)
                  : experiment_allocate(b->a, shares, n, &x->allocation, &diag);
        if (err && i < b->def->publishes_n) x->allocation = old;
        else before = variations;
    }
    if (err) { building_refuse(b, path, 0, "%.*s", STR_FMT(diag.what)); return; }
    (void)read_shares(now, shares);
    for (isize i = 0; i < x->variations_n; i++) x->variations[i].share = shares[i];
}

static void build_experience(struct building *b, const struct json *doc, const struct campaign *c,
                             const struct placement *p, struct experience *x, isize index)
{
    const char *path = arena_printf(b->a, "experiences[%lld]", (long long)index).ptr;
    const struct json *variations = json_get(doc, S("variations"));
    str choose = json_str(json_get(doc, S("choose")), S("fixed"));
    static const char *const ways[] = { "fixed", "experiment", "bandit", "contextual_bandit" };
    *x = (struct experience){ .key = json_get_str(doc, "key") };
    while (x->choose < countof(ways) && !str_eq(choose, str_of(ways[x->choose]))) x->choose++;
    if (x->choose == countof(ways)) {
        x->choose = CHOOSE_FIXED;
        building_refuse(b, path, 0,
                        "choose is fixed, experiment, bandit or contextual_bandit, not \"%.*s\"",
                        STR_FMT(choose));
    }
    if (x->key.len == 0) building_refuse(b, path, 0, "an experience needs a key");
    x->target = building_rule_of(b, json_get(doc, S("target")), RULE_TARGET,
                                 arena_printf(b->a, "%s.target", path).ptr);
    x->holdout = building_share(b, json_get(doc, S("holdout")), 0, path);
    x->experiment_key = experiment_id_of(
        b->a, arena_printf(b->a, "campaign/%.*s/%.*s", STR_FMT(c->key), STR_FMT(x->key)));
    x->variations = arena_new(b->a, struct variation, EXPERIENCE_VARIATIONS_MAX);
    if (json_len(variations) < 1 || json_len(variations) > EXPERIENCE_VARIATIONS_MAX)
        building_refuse(b, path, 0, "an experience has 1 to %d variations", EXPERIENCE_VARIATIONS_MAX);
    json_each(v, variations) {
        if (x->variations_n == EXPERIENCE_VARIATIONS_MAX) break;
        str vpath = arena_printf(b->a, "%s.variations[%lld]", path, (long long)x->variations_n);
        build_variation(b, v, p, &x->variations[x->variations_n++], vpath.ptr);
    }
    if (x->choose != CHOOSE_FIXED && !b->failed) allocate(b, x, variations, path);
    bool control_said = false;
    for (isize i = 0; i < x->variations_n; i++) control_said |= x->variations[i].control;
    if (!control_said && x->variations_n) x->variations[0].control = true;
    if (x->choose != CHOOSE_BANDIT && x->choose != CHOOSE_CONTEXTUAL) return;
    struct diag diag = { .arena = b->a };
    if (adaptive_read(b->a, doc, x, &x->adaptive, &diag))
        building_refuse(b, path, 0, "%.*s", STR_FMT(diag.what));
}

/* At most UPLIFTS_MAX campaigns have theirs, as each costs every person some bytes; it takes an
 * experiment. */
static void build_looks(struct building *b, const struct json *doc, struct campaign *c)
{
    const struct json *said = json_get(doc, S("looks"));
    str spending = json_str(json_get(said, S("spending")), S("obrien_fleming"));
    if (!said) return;
    c->looks = (struct looks_plan){ json_int(json_get(said, S("people")), 0),
                                    (i32)json_int(json_get(said, S("times")), 5),
                                    str_eq(spending, S("pocock")) };
    if (!json_is(said, JSON_OBJ))
        building_refuse(
            b, "looks", 0,
            "expected {\"people\": 40000, \"times\": 5, \"spending\": \"obrien_fleming\"}");
    if (c->looks.people < 200 || c->looks.people > 1000000000)
        building_refuse(b, "looks.people", 0,
                        "people is 200 to 1,000,000,000: of all variations, at the last look");
    if (c->looks.times < 1 || c->looks.times > LOOKS_PLANNED_MAX)
        building_refuse(b, "looks.times", 0, "times is 1 to %d", LOOKS_PLANNED_MAX);
    if (!c->looks.pocock && !str_eq(spending, S("obrien_fleming")))
        building_refuse(b, "looks.spending", 0, "spending is obrien_fleming or pocock");
}

static void build_uplift(struct building *b, const struct json *doc, struct campaign *c)
{
    const struct json *said = json_get(doc, S("uplift"));
    str outcome = json_str(json_get(said, S("outcome")), S("order"));
    isize wanted = 1;
    bool tests = false;
    if (!said || (json_is(said, JSON_BOOL) && !said->b)) return;
    c->uplift = (struct uplift_plan){ true, str_eq(outcome, S("click")),
                                      (i32)json_int(json_get(said, S("days")), 14) };
    if (!json_is(said, JSON_BOOL) && !json_is(said, JSON_OBJ))
        building_refuse(b, "uplift", 0, "expected true, or {\"outcome\": \"order\", \"days\": 14}");
    if (!c->uplift.clicks && !str_eq(outcome, S("order")))
        building_refuse(b, "uplift.outcome", 0, "outcome is order or click");
    if (c->uplift.days < 1 || c->uplift.days > 90) building_refuse(b, "uplift.days", 0, "days is 1 to 90");
    for (isize i = 0; i < c->experiences_n; i++)
        tests |=
            c->experiences[i].choose == CHOOSE_EXPERIMENT && c->experiences[i].variations_n > 1;
    if (!tests)
        building_refuse(
            b, "uplift", 0,
            "what a campaign changes is learnt from an experience that chooses by experiment, and this one has none");
    for (const struct campaign *other = b->book->campaigns; other < c; other++)
        wanted += other->uplift.wanted;
    if (wanted > UPLIFTS_MAX)
        building_refuse(b, "uplift", 0,
                        "%d campaigns have theirs learnt already, the most there can be",
                        UPLIFTS_MAX);
}

static void build_campaign(struct building *b, const struct json *doc, struct campaign *c)
{
    struct book *book = b->book;
    *c = (struct campaign){
        .id = b->def->id,
        .number = b->def->number,
        .key = b->def->key,
        .title = json_str(json_get(doc, S("title")), b->def->key),
        .goal = json_get_str(doc, "goal"),
        .metric = json_str(json_get(doc, S("metric")), S("order_rate")),
        .market = json_get_str(doc, "market"),
        .paused = b->def->paused,
        .discount = json_bool(json_get(doc, S("discount")), false),
        .discount_override = json_get_str(doc, "discount_override"),
        .starts_at_ms = instant(b, json_get(doc, S("starts_at")), "starts_at"),
        .ends_at_ms = instant(b, json_get(doc, S("ends_at")), "ends_at"),
        .priority = (i32)json_int(json_get(doc, S("priority")), 0),
    };
    str placement = json_get_str(doc, "placement");
    const struct placement *p = book_placement(book, placement);
    if (!p) building_refuse(b, "placement", 0, "there is no placement \"%.*s\"", STR_FMT(placement));
    else c->placement = (u16)(p - book->placements);
    if (c->goal.len == 0) building_refuse(b, "goal", 0, "say in a few words what the shopper gains from it");
    if (json_get(doc, S("discount_override")) && str_trim(c->discount_override).len == 0)
        building_refuse(b, "discount_override", 0,
                        "say in a few words why this discount may follow a purchase");
    const struct json *cap = json_get(doc, S("cap"));
    if (cap) {
        c->cap_times = (i32)json_int(json_get(cap, S("times")), 0);
        if (c->cap_times < 1
            || !period_read(json_str(json_get(cap, S("per")), S("1 day")), &c->cap_period_ms))
            building_refuse(b, "cap", 0, "expected {\"times\": 3, \"per\": \"1 day\"}");
    }
    const struct json *experiences = json_get(doc, S("experiences"));
    if (json_len(experiences) < 1 || json_len(experiences) > EXPERIENCES_MAX)
        building_refuse(b, "experiences", 0, "a campaign has 1 to %d experiences", EXPERIENCES_MAX);
    c->experiences = arena_new(b->a, struct experience, EXPERIENCES_MAX);
    json_each(x, experiences) {
        if (c->experiences_n == EXPERIENCES_MAX) break;
        build_experience(b, x, c, p, &c->experiences[c->experiences_n], c->experiences_n);
        c->experiences_n++;
    }
    build_uplift(b, doc, c);
    build_looks(b, doc, c);
}

static int by_priority(const void *x, const void *y)
{
    const struct campaign *a = x, *b = y;
    if (a->priority != b->priority) return a->priority > b->priority ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

void campaigns_build(struct building *b)
{
    struct book *book = b->book;
    isize at = 0;
    const struct json *doc;
    isize room = building_room(b, "campaign", CAMPAIGNS_MAX);
    book->campaigns = arena_new(b->a, struct campaign, room);
    while (book->campaigns_n < room && (doc = building_next(b, "campaign", &at)))
        build_campaign(b, doc, &book->campaigns[book->campaigns_n++]);
    qsort(book->campaigns, (size_t)book->campaigns_n, sizeof *book->campaigns, by_priority);
}
