/* SPDX-License-Identifier: Apache-2.0
 *
 * tested.c - how much of what is live is tested: which rules have somebody to be compared with.
 *
 * A rule is an experience of a campaign or a rule of a flag that is in force now. It is tested when
 * chance decides who gets it and who does not: an experiment of two arms or more, a share below
 * all, a holdout of its own. The programme holdout measures everything together and no rule by
 * itself, so it does not count here. */
#include "api/flags.h"
#include "api/results.h"
#include "base/rcu.h"
#include "measure/measure.h"

struct tally { struct jsonw *w; isize rules, tested; };

static void tell(struct tally *t, const char *kind, str key, str rule, const char *by)
{
    t->rules++;
    t->tested += by[0] != 0;
    jsonw_begin(t->w, '{');
    jsonw_key_str(t->w, "kind", str_of(kind));
    jsonw_key_str(t->w, "key", key);
    jsonw_key_str(t->w, "rule", rule);
    jsonw_key_bool(t->w, "tested", by[0] != 0);
    if (by[0]) jsonw_key_str(t->w, "by", str_of(by));
    jsonw_end(t->w, '}');
}

static const char *by_campaign(const struct experience *x)
{
    isize arms = 0;
    for (isize i = 0; i < x->variations_n; i++) arms += x->variations[i].share > 0;
    if (x->choose != CHOOSE_FIXED && arms >= 2)
        return x->choose == CHOOSE_EXPERIMENT ? "experiment" : "bandit";
    return x->holdout > 0 ? "holdout" : "";
}

static const char *by_flag(const struct flag_rule *rule)
{
    isize arms = 0;
    for (isize i = 0; i < rule->variations_n; i++) arms += rule->variations[i].share > 0;
    if (rule->kind == FLAG_EXPERIMENT && arms >= 2) return "experiment";
    if (rule->kind == FLAG_ROLLOUT && rule->share > 0 && rule->share < BUCKETS) return "share";
    return rule->kind != FLAG_FORCE && rule->holdout_share > 0 ? "holdout" : "";
}

void tests_coverage(struct call *call)
{
    struct tally t = { .w = &call->w };
    i64 now = clock_now(call->api->clock);
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "rules", '[');
    for (isize i = 0; i < book->campaigns_n; i++) {
        const struct campaign *c = &book->campaigns[i];
        if (c->paused || c->starts_at_ms > now || (c->ends_at_ms && c->ends_at_ms <= now)) continue;
        for (isize k = 0; k < c->experiences_n; k++)
            tell(&t, "campaign", c->key, c->experiences[k].key, by_campaign(&c->experiences[k]));
    }
    for (isize i = 0; i < book->flags_n; i++) {
        const struct flag *flag = book->flags[i].flag;
        for (isize k = 0; k < flag->rules_n && !flag->paused; k++)
            tell(&t, "flag", book->flags[i].key, flag->rules[k].key, by_flag(&flag->rules[k]));
    }
    jsonw_end(&call->w, ']');
    jsonw_key_int(&call->w, "live", t.rules);
    jsonw_key_int(&call->w, "with_control", t.tested);
    jsonw_key_num(&call->w, "share", t.rules ? (f64)t.tested / (f64)t.rules : 1);
    jsonw_end(&call->w, '}');
    rcu_read_end();
    reply_json(call);
}

/* ---- factorial tests ------------------------------------------------------------------------- */

static f64 variance_of(int metric, const struct result_arm *arm)
{
    f64 mean = metric_value(arm, metric), n = (f64)arm->exposed;
    return metric == METRIC_REVENUE ? (n > 1 ? (arm->revenue_sq - n * mean * mean) / (n - 1) : 0)
                                    : mean * (1 - mean);
}

static void print_effect(struct jsonw *w, const struct flag_rule *rule, const struct factorial_effect *e)
{
    const struct flag_factor *f = &rule->factors[e->factor];
    jsonw_begin(w, '{');
    jsonw_key_str(w, "kind", e->other < 0 ? S("main") : S("interaction"));
    jsonw_key_str(w, "factor", f->key);
    jsonw_key_str(w, "level", f->levels[e->level]);
    jsonw_key_str(w, "against", f->levels[0]);
    if (e->other >= 0) {
        jsonw_key_str(w, "with", rule->factors[e->other].key);
        jsonw_key_str(w, "with_level", rule->factors[e->other].levels[e->other_level]);
    }
    jsonw_key_num(w, "effect", e->estimate);
    jsonw_key_num(w, "low", e->low);
    jsonw_key_num(w, "high", e->high);
    jsonw_key_num(w, "p", e->p_corrected);
    jsonw_end(w, '}');
}

static void print_rule_effects(struct call *call, const struct flag_rule *rule, isize index,
                               const struct result_arm *arms, isize n)
{
    struct factorial_effect *effects = arena_new(call->a, struct factorial_effect, FACTORIAL_EFFECTS_MAX);
    struct factorial_arm *of = arena_new(call->a, struct factorial_arm, rule->variations_n);
    u8 levels[FLAG_FACTORS_MAX] = { 0 };
    for (isize i = 0; i < rule->factors_n; i++) levels[i] = (u8)rule->factors[i].levels_n;
    for (int metric = 0; metric < METRICS; metric++) {
        for (isize v = 0; v < rule->variations_n; v++) {
            of[v] = (struct factorial_arm){ .n = 0 };
            memcpy(of[v].levels, rule->variations[v].levels, sizeof of[v].levels);
            for (isize i = 0; i < n; i++) {
                if (arms[i].experience != index || arms[i].variation != v) continue;
                of[v].n = (f64)arms[i].exposed;
                of[v].mean = metric_value(&arms[i], metric);
                of[v].variance = variance_of(metric, &arms[i]);
            }
        }
        isize count = factorial_effects(of, rule->variations_n, levels, rule->factors_n, .05, 5000,
                                        effects, call->a);
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "rule", rule->key);
        jsonw_key_str(&call->w, "metric", str_of(metric_name(metric)));
        jsonw_key_bool(&call->w, "enough", count > 0);
        jsonw_key_begin(&call->w, "effects", '[');
        for (isize i = 0; i < count; i++) print_effect(&call->w, rule, &effects[i]);
        jsonw_end(&call->w, ']');
        jsonw_end(&call->w, '}');
    }
}

static void answer_factors(struct call *call, struct fold *fold)
{
    isize cells_n;
    struct result_arm *arms;
    const struct cell *cells = fold_cells(fold, &cells_n);
    const struct book *book = atomic_load(&call->api->live->book);
    const struct book_flag *flag = book_flag(book, call->params[0]);
    if (!flag) {
        call->err = ERR_NOT_FOUND;
        buf_add(&call->out, S("there is no published flag by that name"));
        return;
    }
    currency in = results_currency(cells, cells_n, flag->id, book->settings.currency);
    isize n = results_arms(cells, cells_n, flag->id, in, call->a, &arms);
    char code[4];
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "flag", flag->key);
    jsonw_key_str(&call->w, "currency", currency_code(in, code));
    jsonw_key_begin(&call->w, "factors", '[');
    for (isize i = 0; i < flag->flag->rules_n; i++)
        if (flag->flag->rules[i].factors_n) print_rule_effects(call, &flag->flag->rules[i], i, arms, n);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
}

void flag_factors(struct call *call) { ask_fold(call, answer_factors); }
