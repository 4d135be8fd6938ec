/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c - flags in the book, and what a flag says to whoever asks.
 *
 * A flag's rules are compiled in two rooms: what hashes and shares say in experiment/, what targets
 * say in rule/. Here they meet. An experiment keeps its ranges through every revision that was ever
 * in force, so that new shares move only those who must move; and what belongs to several flags at
 * once is checked here: requirements that go round in a circle, and two rules of one layer that
 * would share people.
 *
 * The programme holdout is asked twice, by the id that is hashed and by the one the person is known
 * by, so that nobody who is held out is reached through another of their ids.
 */
#include "decide/inside.h"

#include <stdlib.h>

enum { FLAGS_MAX = 4096, FLAG_FILES_MAX = 16, REQUIRED_DEEP_MAX = 16, EVENT_NAMES_MAX = 512 };

/* ---- ranges through revisions ---------------------------------------------------------------- */

static const struct json *rule_in(const struct json *doc, str key)
{
    json_each(rule, json_get(doc, S("rules")))
        if (str_eq(json_str(json_get(rule, S("key")), S("")), key)) return rule;
    return NULL;
}

static isize shares_of(const struct json *variations, i32 *shares)
{
    isize n = 0;
    json_each(v, variations) {
        if (n == VARIATIONS_MAX
            || !share_parse(json_str(json_get(v, S("share")), S("")), &shares[n]))
            return 0;
        n++;
    }
    return n;
}

static void allocate(struct building *b, struct flag_rule *rule, const struct json *now)
{
    arena *a = &b->book->arena;
    const struct json *before = NULL, *doc;
    struct allocation allocation = { 0 }, next;
    for (isize i = 0; i <= b->def->publishes_n; i++) {
        const struct json *variations = json_get(now, S("variations"));
        i32 shares[VARIATIONS_MAX];
        if (i < b->def->publishes_n) {
            if (json_parse(a, b->def->revisions[b->def->publishes[i] - 1].document, &doc, NULL)) continue;
            variations = json_get(rule_in(doc, rule->key), S("variations"));
        }
        isize n = shares_of(variations, shares);
        if (n == 0) continue;
        struct diag diag = { .arena = a };
        enum err err = experiment_continues(before, variations)
                           ? experiment_reallocate(a, allocation, shares, n, &next, &diag)
                           : experiment_allocate(a, shares, n, &next, &diag);
        if (err) continue;
        allocation = next;
        before = variations;
    }
    rule->allocation = allocation;
}

/* ---- one flag -------------------------------------------------------------------------------- */

/* Once for all rules that say the same: a shop asks for the same country in a hundred flags. */
static const struct rule *compile_target(struct building *b, const struct flag_rule *rule, u32 *asks)
{
    if (rule->target.len == 0) return NULL;
    struct hash128 says = hash128(rule->target, 0);
    u64 known = map_get(b->known, says, 0);
    *asks = (u32)(known ? known - 1 : (u64)b->targets.n);
    if (known) return b->targets.at[known - 1];
    const struct rule *out =
        building_rule(b, rule->target, RULE_TARGET,
                      arena_printf(b->a, "rules.%.*s.target", STR_FMT(rule->key)).ptr);
    if (!out) return NULL;
    vec_push(&b->targets, out);
    (void)map_put(b->known, says, (u64)b->targets.n);
    return out;
}

/* The key is the definition's, whatever the document says. */
static const struct json *with_key(arena *a, const struct json *doc, str key)
{
    struct json *fields = arena_new(a, struct json, json_len(doc) + 1), *out = arena_new(a, struct json, 1);
    isize n = 0;
    fields[n++] = (struct json){ .kind = JSON_STR, .key = S("key"), .s = key };
    json_each(field, doc)
        if (!str_eq(field->key, S("key"))) fields[n++] = *field;
    *out = (struct json){ .kind = JSON_OBJ, .list = { fields, n } };
    return out;
}

/* {"steps": ["1%", "5%"], "every": "1 day", "guardrail"?: "order_rate"}: who acts on it is told the same by the same words. */
static void check_ramp(struct building *b, const struct flag_rule *rule, const struct json *ramp)
{
    static const str metrics[] = { S_INIT("order_rate"), S_INIT("click_rate"), S_INIT("revenue_per_person") };
    i64 every;
    str guardrail = json_str(json_get(ramp, S("guardrail")), S(""));
    bool known = guardrail.len == 0, whole = json_len(json_get(ramp, S("steps"))) > 0;
    for (isize i = 0; i < countof(metrics); i++) known = known || str_eq(guardrail, metrics[i]);
    json_each(step, json_get(ramp, S("steps"))) {
        i32 share;
        whole = whole && share_parse(json_str(step, S("")), &share) && share * rule->variations_n <= BUCKETS;
    }
    if (rule->kind != FLAG_EXPERIMENT)
        building_refuse(b, "ramp", 0,
                        "rule %.*s: a ramp is of an experiment, which has a control to stop by",
                        STR_FMT(rule->key));
    else if (!whole)
        building_refuse(
            b, "ramp", 0,
            "rule %.*s: steps are each arm's shares, such as [\"1%%\", \"10%%\", \"50%%\"], all arms together at most 100%%",
            STR_FMT(rule->key));
    else if (!period_read(json_str(json_get(ramp, S("every")), S("")), &every))
        building_refuse(b, "ramp", 0, "rule %.*s: every is a time, such as \"1 day\"",
                        STR_FMT(rule->key));
    else if (!known)
        building_refuse(b, "ramp", 0,
                        "rule %.*s: guardrail is order_rate, click_rate or revenue_per_person",
                        STR_FMT(rule->key));
}

static void build_flag(struct building *b, const struct json *doc)
{
    arena *a = &b->book->arena;
    struct diag diag = { .arena = a };
    const struct flag *flag;
    doc = with_key(a, doc, b->def->key);
    if (experiment_flag_compile(a, doc, b->book->settings.holdout, &flag, &diag)) {
        building_refuse(b, "", 0, "%.*s", STR_FMT(diag.what));
        return;
    }
    struct book_flag *f = &b->book->flags[b->book->flags_n++];
    *f = (struct book_flag){ .id = b->def->id,
                             .number = b->def->number,
                             .key = b->def->key,
                             .flag = flag,
                             .document = doc,
                             .title = json_str(json_get(doc, S("title")), b->def->key),
                             .paused = b->def->paused };
    f->targets = arena_new(a, const struct rule *, flag->rules_n);
    f->asks = arena_new(a, u32, flag->rules_n);
    ((struct flag *)(uintptr_t)flag)->paused |= b->def->paused;
    for (isize i = 0; i < flag->rules_n; i++) {
        struct flag_rule *rule = (struct flag_rule *)(uintptr_t)&flag->rules[i];
        const struct json *from = rule_in(doc, rule->key);
        f->targets[i] = compile_target(b, rule, &f->asks[i]);
        if (json_get(from, S("ramp"))) check_ramp(b, rule, json_get(from, S("ramp")));
        if (rule->kind == FLAG_EXPERIMENT
            && (i >= EXPERIENCES_MAX || rule->variations_n > EXPERIENCE_VARIATIONS_MAX))
            building_refuse(
                b, "rules", 0,
                "rule %.*s: an experiment is among the first %d rules and has at most %d variations, so that it can be measured",
                STR_FMT(rule->key), EXPERIENCES_MAX, EXPERIENCE_VARIATIONS_MAX);
        if (rule->kind == FLAG_EXPERIMENT && !json_get(from, S("ranges"))) allocate(b, rule, from);
    }
}

static void build_file(struct building *b, const struct json *doc)
{
    str dialect = json_str(json_get(doc, S("dialect")), S(""));
    bool growthbook = str_eq(dialect, S("growthbook"));
    struct diag diag = { .arena = &b->book->arena };
    struct book_flag_file f = { .key = b->def->key,
                                .dialect = growthbook ? DIALECT_GROWTHBOOK : DIALECT_OPTIMIZELY,
                                .json = json_get(doc, S("file")) };
    if (!growthbook && !str_eq(dialect, S("optimizely")))
        building_refuse(b, "dialect", 0, "dialect is growthbook or optimizely");
    else if (flag_file_read(&b->book->arena, f.dialect, f.json, &f.file, &diag))
        building_refuse(b, "file", 0, "%.*s", STR_FMT(diag.what));
    else b->book->flag_files[b->book->flag_files_n++] = f;
}

/* ---- between flags --------------------------------------------------------------------------- */

static int by_key(const void *x, const void *y)
{
    return str_cmp(((const struct book_flag *)x)->key, ((const struct book_flag *)y)->key);
}

const struct book_flag *book_flag(const struct book *book, str key)
{
    struct book_flag wanted = { .key = key };
    return book->flags_n ? bsearch(&wanted, book->flags, (size_t)book->flags_n, sizeof wanted, by_key) : NULL;
}

static bool reaches(const struct book *book, const struct book_flag *from, str key, isize deep)
{
    if (deep == REQUIRED_DEEP_MAX) return true;
    for (isize i = 0; i < from->flag->rules_n; i++) {
        const struct flag_rule *rule = &from->flag->rules[i];
        for (isize k = 0; k < rule->requires_n; k++) {
            const struct book_flag *next = book_flag(book, rule->requires[k].flag);
            if (str_eq(rule->requires[k].flag, key) || (next && reaches(book, next, key, deep + 1)))
                return true;
        }
    }
    return false;
}

static void check_requirements(struct building *b, const struct book_flag *f)
{
    bool any = false;
    for (isize i = 0; i < f->flag->rules_n; i++) {
        const struct flag_rule *rule = &f->flag->rules[i];
        for (isize k = 0; k < rule->requires_n; k++) {
            any = true;
            if (!book_flag(b->book, rule->requires[k].flag))
                building_refuse(b, "requires", 0, "rule %.*s: there is no flag \"%.*s\"",
                                STR_FMT(rule->key), STR_FMT(rule->requires[k].flag));
        }
    }
    if (any && reaches(b->book, f, f->key, 0))
        building_refuse(b, "requires", 0, "what the flag requires leads back to it");
}

static void check_layers(struct building *b, const struct book_flag *f, const struct flag_rule *rule)
{
    for (isize i = 0; i < b->book->flags_n; i++) {
        const struct book_flag *other = &b->book->flags[i];
        for (isize k = 0; k < other->flag->rules_n; k++) {
            const struct flag_rule *r = &other->flag->rules[k];
            if (r == rule || !str_eq(r->layer.key, rule->layer.key)) continue;
            if (r->layer.to <= rule->layer.from || rule->layer.to <= r->layer.from) continue;
            building_refuse(
                b, "layer", 0, "rule %.*s shares a part of layer %.*s with rule %.*s of flag %.*s",
                STR_FMT(rule->key), STR_FMT(rule->layer.key), STR_FMT(r->key), STR_FMT(other->key));
            return;
        }
    }
    (void)f;
}

static void check_between(struct building *b)
{
    for (isize i = 0; i < b->book->flags_n; i++) {
        const struct book_flag *f = &b->book->flags[i];
        b->def = definition_find(b->definitions, S("flag"), f->key);
        check_requirements(b, f);
        for (isize k = 0; k < f->flag->rules_n; k++)
            if (f->flag->rules[k].layer.key.len) check_layers(b, f, &f->flag->rules[k]);
    }
}

static void name_events(struct building *b)
{
    struct book *book = b->book;
    str name;
    book->event_names = arena_new(&book->arena, str, EVENT_NAMES_MAX);
    for (isize at = 0; b->names->each && book->event_names_n < EVENT_NAMES_MAX
                       && b->names->each(b->names->ctx, RULE_NAME_EVENT, at, &name);
         at++)
        book->event_names[book->event_names_n++] = arena_str(&book->arena, name);
}

void flags_build(struct building *b)
{
    struct book *book = b->book;
    const struct json *doc;
    isize at = 0, room = building_room(b, "flag", FLAGS_MAX);
    book->flags = arena_new(b->a, struct book_flag, room);
    while (book->flags_n < room && (doc = building_next(b, "flag", &at))) build_flag(b, doc);
    qsort(book->flags, (size_t)book->flags_n, sizeof *book->flags, by_key);
    at = 0;
    room = building_room(b, "flag_file", FLAG_FILES_MAX);
    book->flag_files = arena_new(b->a, struct book_flag_file, room);
    while (book->flag_files_n < room && (doc = building_next(b, "flag_file", &at))) build_file(b, doc);
    check_between(b);
    name_events(b);
    book->flag_targets_n = b->targets.n;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static const struct rule_facts *facts_of(struct flag_asking *q)
{
    if (!q->have_facts) q->facts = decide_facts(q->world, q->request, q->a);
    q->have_facts = true;
    return &q->facts;
}

static const struct profile *profile_of(struct flag_asking *q)
{
    const struct profile_world *w = facts_of(q)->ctx;
    return w->profile;
}

/* Asked once of each target, in however many flags it stands: the facts are the same for all flags
 * of a request. */
static bool matches(void *ctx, isize rule, str target)
{
    struct flag_asking *q = ctx;
    const struct rule *compiled = q->flag->targets[rule];
    (void)target;
    if (!compiled) return false;
    if (!q->answers) q->answers = arena_new(q->a, u8, q->world->book->flag_targets_n);
    u8 *answer = &q->answers[q->flag->asks[rule]];
    if (*answer == 0) *answer = 1 + rule_holds(rule_run(compiled, facts_of(q)));
    return *answer == 2;
}

static bool has(void *ctx, const struct flag_requirement *requirement)
{
    struct flag_asking *q = ctx;
    const struct book_flag *required = book_flag(q->world->book, requirement->flag), *asked = q->flag;
    if (!required || q->deep == REQUIRED_DEEP_MAX) return false;
    q->deep++;
    bool same = str_eq(decide_flag(q, required).value, requirement->value);
    q->deep--;
    q->flag = asked;
    return same;
}

/* What they saw first of this rule. */
static i32 kept(void *ctx, isize rule)
{
    struct flag_asking *q = ctx;
    const struct profile *p = profile_of(q);
    const struct exposure *first = NULL;
    for (isize i = 0; p && i < p->exposures_n; i++) {
        const struct exposure *x = &p->exposures[i];
        if (x->campaign == q->flag->id && x->experience == rule
            && (!first || x->first_at_ms < first->first_at_ms))
            first = x;
    }
    return first ? first->variation : -1;
}

struct flag_answer decide_flag(struct flag_asking *q, const struct book_flag *flag)
{
    struct flag_asker who = { .id = q->id, .matches = matches, .has = has, .kept = kept, .ctx = q };
    u32 campaign;
    u8 rule, variation;
    q->flag = flag;
    if (q->request->preview.len
        && preview_read(q->world->book->secret, q->request->preview, q->request->now_ms, &campaign,
                        &rule, &variation)
        && campaign == flag->id) {
        who.preview = true;
        who.preview_rule = rule;
        who.preview_variation = variation;
    } else if (flag->flag->holdout_share > 0 && !flag->flag->paused
               && q->request->identifiers_n > 0) {
        const struct profile *p = profile_of(q);
        if (p && holdout_contains(p->bucketing_id, flag->flag->holdout_share))
            return (struct flag_answer){ .value = flag->flag->value,
                                         .reason = FLAG_BY_HOLDOUT,
                                         .bucket = -1,
                                         .propensity = 1,
                                         .rule_index = -1,
                                         .variation_index = -1 };
    }
    return experiment_flag_evaluate(flag->flag, &who);
}
