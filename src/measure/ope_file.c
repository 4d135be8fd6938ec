/* SPDX-License-Identifier: Apache-2.0
 *
 * ope_file.c - `opmaat evaluate ope`: a log of choices as a file.
 *
 * The reward model is the plainest there is, the mean reward of each action, learnt from the train
 * file or else from the log itself; DR needs no better one to be unbiased, only to be narrower.
 */
#include <math.h>

#include "base/hash.h"
#include "ingest/ingest.h"
#include "measure/ope.h"

enum { ACTIONS_MAX = 100000, ROWS_MAX = 50000000 };

struct columns { isize action, propensity, reward, target; };
struct logged {
    struct { struct ope_row *at; isize n, cap; } rows;
    isize actions;                      /* seen in this file */
};
struct reading {
    const struct ope_options *options;
    struct map *by_name;                /* action -> its number + 1, over both files */
    u32 names;
    f64 *rewards, *seen;                /* of the model, by action */
    arena *a;
};

static isize column_of(const struct csv_row *header, str given, const char *const *usual, isize n)
{
    for (isize i = 0; i < header->n; i++) {
        str name = str_trim(header->fields[i]);
        if (given.len ? str_eq(name, given) : false) return i;
        for (isize k = 0; given.len == 0 && k < n; k++)
            if (str_eq(name, str_of(usual[k]))) return i;
    }
    return -1;
}

static enum err find_columns(const struct reading *r, const char *path,
                             const struct csv_row *header, bool is_test, struct columns *out,
                             struct diag *diag)
{
    static const char *const actions[] = { "action", "item_id", "action_id", "arm", "variation" };
    static const char *const propensities[] = { "propensity", "propensity_score", "pscore" };
    static const char *const rewards[] = { "reward", "click", "clicked" };
    const struct ope_options *o = r->options;
    str target = str_starts(o->policy, S("column:")) ? str_from(o->policy, 7) : S("");
    out->action = column_of(header, o->action, actions, countof(actions));
    out->propensity = column_of(header, o->propensity, propensities, countof(propensities));
    out->reward = column_of(header, o->reward, rewards, countof(rewards));
    out->target = target.len && is_test ? column_of(header, target, NULL, 0) : -1;
    const char *missing = out->action < 0 ? "action (or item_id)"
                        : out->reward < 0 ? "reward (or click)"
                        : out->propensity < 0 && is_test ? "propensity (or propensity_score, pscore)"
                        : target.len && is_test && out->target < 0 ? "of the policy's name" : NULL;
    if (!missing) return ERR_OK;
    return diag_set(diag, ERR_BAD_INPUT,
                    "%s: there is no column %s; --action, --propensity and --reward name others",
                    path, missing);
}

static u32 action_of(struct reading *r, str name)
{
    struct hash128 key = hash128(name, 21);
    u64 at = map_get(r->by_name, key, 0);
    if (at) return (u32)at - 1;
    map_put(r->by_name, key, ++r->names);
    return r->names - 1;
}

static bool number(const struct csv_row *row, isize column, f64 *out)
{
    return column >= 0 && column < row->n && str_to_f64(str_trim(row->fields[column]), out) && isfinite(*out);
}

static enum err read_row(struct reading *r, const char *path, const struct csv_row *row,
                         const struct columns *c, bool is_test, struct logged *out,
                         struct diag *diag)
{
    struct ope_row one = { .propensity = 1 };
    if (row->n <= max_isize(c->action, c->reward) || !number(row, c->reward, &one.reward))
        return diag_set(diag, ERR_BAD_INPUT, "%s, line %lld: reward is not a number", path,
                        (long long)row->line);
    if (is_test
        && !(number(row, c->propensity, &one.propensity) && one.propensity > 0
             && one.propensity <= 1))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "%s, line %lld: a propensity is above 0 and at most 1: what was chosen was possible",
            path, (long long)row->line);
    if (c->target >= 0 && !(number(row, c->target, &one.target) && one.target >= 0 && one.target <= 1))
        return diag_set(diag, ERR_BAD_INPUT,
                        "%s, line %lld: the policy's probability lies between 0 and 1", path,
                        (long long)row->line);
    one.action = action_of(r, row->fields[c->action]);
    if (r->names > ACTIONS_MAX)
        return diag_set(diag, ERR_TOO_BIG, "%s: more than %d actions", path, ACTIONS_MAX);
    if (out->rows.n == ROWS_MAX) return diag_set(diag, ERR_TOO_BIG, "%s: more than %d rows", path, ROWS_MAX);
    vec_push(&out->rows, one);
    return ERR_OK;
}

static enum err read_log(struct reading *r, const char *path, bool is_test, struct logged *out,
                         struct diag *diag)
{
    struct gz *gz;
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    struct columns columns = { 0 };
    bool found = true, header = true;
    str head = { 0 };
    err = csv_peek(csv, 4096, &head, diag);
    isize line_end = str_find(head, S("\n"));
    if (!err && str_find((str){ head.ptr, line_end < 0 ? head.len : line_end }, S("\t")) >= 0)
        csv_separator(csv, '\t');
    while (!err && found) {
        struct arena_mark mark = arena_mark(r->a);
        struct csv_row row;
        err = csv_next(csv, r->a, &row, &found, diag);
        if (err || !found) break;
        if (header) err = find_columns(r, path, &row, is_test, &columns, diag);
        else err = read_row(r, path, &row, &columns, is_test, out, diag);
        header = false;
        arena_reset(r->a, mark);
    }
    csv_free(csv);
    gz_close(gz);
    if (!err && out->rows.n == 0) err = diag_set(diag, ERR_REFUSED, "%s: there are no rows", path);
    return err;
}

/* What the target policy does, by action: uniform over what the log has seen, or one action. A
 * column says it by row instead, and then what the target earns elsewhere is not known: DM and DR
 * are of the actions it names in the rows. */
static enum err target_policy(struct reading *r, struct logged *log, struct diag *diag)
{
    str policy = r->options->policy.len ? r->options->policy : S("uniform");
    f64 *probability = arena_new(r->a, f64, r->names + 1), value = 0;
    bool by_row = str_starts(policy, S("column:"));
    if (str_starts(policy, S("always:"))) {
        u64 at = map_get(r->by_name, hash128(str_from(policy, 7), 21), 0);
        if (!at)
            return diag_set(diag, ERR_REFUSED, "action \"%.*s\" is not in the log",
                            STR_FMT(str_from(policy, 7)));
        probability[at - 1] = 1;
    } else if (str_eq(policy, S("uniform"))) {
        bool *seen = arena_new(r->a, bool, r->names + 1);
        for (isize i = 0; i < log->rows.n; i++) seen[log->rows.at[i].action] = true;
        isize n = 0;
        for (u32 k = 0; k < r->names; k++) n += seen[k];
        for (u32 k = 0; k < r->names; k++) probability[k] = seen[k] ? 1 / (f64)n : 0;
    } else if (!by_row) {
        return diag_set(diag, ERR_BAD_INPUT, "policy is uniform, always:ACTION or column:NAME");
    }
    f64 *mean = arena_new(r->a, f64, r->names + 1);
    for (u32 k = 0; k < r->names; k++) {
        mean[k] = r->seen[k] > 0 ? r->rewards[k] / r->seen[k] : 0;
        value += probability[k] * mean[k];
    }
    f64 weights = 0, weighted = 0;
    for (isize i = 0; i < log->rows.n; i++) {
        struct ope_row *row = &log->rows.at[i];
        row->model = mean[row->action];
        if (!by_row) row->target = probability[row->action];
        weights += row->target / row->propensity;
        weighted += row->target / row->propensity * row->model;
    }
    if (by_row && weights > 0) value = weighted / weights;
    for (isize i = 0; i < log->rows.n; i++) log->rows.at[i].model_target = value;
    return ERR_OK;
}

static void learn(struct reading *r, const struct logged *from)
{
    r->rewards = arena_new(r->a, f64, ACTIONS_MAX + 1);
    r->seen = arena_new(r->a, f64, ACTIONS_MAX + 1);
    for (isize i = 0; i < from->rows.n; i++) {
        r->rewards[from->rows.at[i].action] += from->rows.at[i].reward;
        r->seen[from->rows.at[i].action]++;
    }
}

static const char protocol[] =
    "off-policy: each logged choice counts target / propensity times; intervals are normal";

static void report(const struct ope *o, const struct reading *r, isize train_n, struct buf *out)
{
    if (r->options->json) {
        struct jsonw w = { .out = out };
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "protocol", str_of(protocol));
        jsonw_key_str(&w, "policy", r->options->policy.len ? r->options->policy : S("uniform"));
        jsonw_key_begin(&w, "train", '{');
        jsonw_key_int(&w, "rows", train_n);
        jsonw_end(&w, '}');
        jsonw_key_begin(&w, "test", '{');
        jsonw_key_int(&w, "rows", o->n);
        jsonw_key_int(&w, "actions", r->names);
        jsonw_key_int(&w, "rewarded", o->rewarded);
        jsonw_end(&w, '}');
        ope_print(o, &w);
        jsonw_end(&w, '}');
        return;
    }
    const struct { const char *name; const struct ope_value *v; } rows[] = {
        { "logged", &o->logged }, { "ips", &o->ips }, { "snips", &o->snips }, { "ips clipped", &o->ips_clipped },
        { "snips clipped", &o->snips_clipped }, { "dm", &o->dm }, { "dr", &o->dr }, { "dr clipped", &o->dr_clipped },
    };
    buf_printf(out, "%s\n\nrows         %td, %u actions, %td rewarded\n", protocol, o->n, r->names,
               o->rewarded);
    buf_printf(out,
               "weights      mean %.6g, max %.6g, effective sample size %.3f, clipped at %g\n\n",
               o->mean_weight, o->max_weight, o->ess, o->clip);
    for (isize i = 0; i < countof(rows); i++) {
        buf_printf(out, "%-14s %.8f", rows[i].name, rows[i].v->value);
        if (isfinite(rows[i].v->se)) buf_printf(out, "   %.8f to %.8f", rows[i].v->low, rows[i].v->high);
        buf_byte(out, '\n');
    }
    for (u32 i = 0; i < OPE_ALARMS; i++)
        if (o->alarms >> i & 1)
            buf_printf(out, "%salarm: %s\n", i ? "" : "\n",
                       ope_alarm_text((enum ope_alarm)(1U << i)));
}

enum err ope_run(const struct ope_options *options, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct reading r = { .options = options, .by_name = map_new(1024), .a = &a };
    struct logged test = { 0 }, train = { 0 };
    enum err err = options->train ? read_log(&r, options->train, false, &train, diag) : ERR_OK;
    if (!err) err = read_log(&r, options->test, true, &test, diag);
    if (!err) {
        learn(&r, options->train ? &train : &test);
        err = target_policy(&r, &test, diag);
    }
    if (!err) {
        struct ope o = ope_evaluate(test.rows.at, test.rows.n, options->clip > 0 ? options->clip : 10,
                                    options->alpha > 0 ? options->alpha : 0.05);
        report(&o, &r, options->train ? train.rows.n : test.rows.n, out);
    }
    vec_fini(&test.rows);
    vec_fini(&train.rows);
    map_free(r.by_name);
    arena_fini(&a);
    return err;
}
