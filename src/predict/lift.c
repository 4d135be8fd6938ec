/* SPDX-License-Identifier: Apache-2.0
 *
 * lift.c - what a campaign changes for one person, learnt from the shop's own experiment.
 *
 * Everybody who was exposed to the campaign is a row: what was known of them just before, whether
 * they were treated or in the control, and whether the outcome came in the days after. Two learners
 * compete (uplift.c): a model of the outcome for each arm, whose difference is the score, and the
 * model of the treated arm alone. Each is judged by Qini on folds it had not seen; the better one
 * is kept, and its scores are brought to the scale of the outcome by a straight line through the
 * effect: of y (t - p) / (p (1 - p)), whose mean given anything known before is the effect of
 * treatment (t: treated, p: the share treated), on the score. The slope is drawn towards 0 by as
 * much of it as chance would make, so that where effects do not differ everybody gets the same. The
 * chart is made crosswise, the line of one half asked for the other. */
#include <math.h>
#include <stdlib.h>

#include "predict/inside.h"

enum { FOLDS = 5, RESAMPLES = 200, SEED = 1, CURVE_POINTS = 20, CUTS = 5, L2 = 1000 };

static const struct { const char *name; u8 kinds; u8 reason; } columns[LIFT_COLUMNS] = {
    [LIFT_ORDERS] = { "orders", 0, REASON_CODE_LIFT_ORDERS },
    [LIFT_SINCE_ORDER] = { "days_since_order", 0, REASON_CODE_LIFT_SINCE_ORDER },
    [LIFT_ORDER_VALUE] = { "order_value", 0, REASON_CODE_LIFT_ORDER_VALUE },
    [LIFT_EVENTS_30] = { "events_30", 0, REASON_CODE_LIFT_EVENTS },
    [LIFT_VIEWS_30] = { "views_30", 0, REASON_CODE_LIFT_VIEWS },
    [LIFT_ADDED_30] = { "added_30", 0, REASON_CODE_LIFT_ADDED },
    [LIFT_SINCE_FIRST] = { "days_since_first", 0, REASON_CODE_LIFT_SINCE_FIRST },
    [LIFT_SINCE_LAST] = { "days_since_last", 0, REASON_CODE_LIFT_SINCE_LAST },
    [LIFT_AGE] = { "age", 0, REASON_CODE_LIFT_AGE },
    [LIFT_GENDER] = { "gender", 4, REASON_CODE_LIFT_GENDER },
    [LIFT_DEVICE] = { "device", 4, REASON_CODE_LIFT_DEVICE },
    [LIFT_CHANNEL] = { "channel", CHANNELS, REASON_CODE_LIFT_CHANNEL },
    [LIFT_KNOWN] = { "known", 2, REASON_CODE_LIFT_KNOWN },
};

/* ---- what was known -------------------------------------------------------------------------- */

static f32 kind_of(const struct profile *p, const char *trait, const str *words, isize n)
{
    struct value v = trait_value(profile_trait(p, str_of(trait)));
    for (isize i = 0; v.kind == VALUE_TEXT && i < n; i++)
        if (str_eq_nocase(str_slice(v.s, 0, min_isize(v.s.len, words[i].len)), words[i])) return (f32)(i + 1);
    return 0;
}

void lift_features(const struct profile *then, i64 at_ms, f32 x[LIFT_COLUMNS])
{
    static const str genders[] = { S_INIT("f"), S_INIT("m"), S_INIT("o") };
    static const str devices[] = { S_INIT("mobile"), S_INIT("desktop"), S_INIT("tablet") };
    const f32 unknown = __builtin_nanf("");
    f64 orders = 0, value = 0, events = 0, views = 0, added = 0;
    i64 ordered_at = 0, last_at = 0;
    u8 channel = 0;
    for (isize i = 0; i < then->history_n && then->history[i].at_ms <= at_ms; i++) {
        const struct history_entry *e = &then->history[i];
        bool lately = e->at_ms > at_ms - 30 * DAY_MS;
        if (e->flags & HISTORY_BOT || history_is_move(e)) continue;
        if (e->type == EVENT_ORDER_COMPLETED) {
            orders++;
            value += (f64)e->value_minor;
            ordered_at = e->at_ms;
        }
        bool shown = e->type == EVENT_DECISION_VIEWED || e->type == EVENT_DECISION_CLICKED;
        if (shown || e->type == EVENT_PRODUCT_PURCHASED) continue;
        events += lately;
        views += lately && e->type == EVENT_PRODUCT_VIEWED;
        added += lately && e->type == EVENT_PRODUCT_ADDED;
        last_at = e->at_ms;
        channel = e->channel;
    }
    struct value age = trait_value(profile_trait(then, S("age")));
    x[LIFT_ORDERS] = (f32)orders;
    x[LIFT_SINCE_ORDER] = ordered_at ? (f32)(at_ms - ordered_at) / (f32)DAY_MS : unknown;
    x[LIFT_ORDER_VALUE] = orders > 0 ? (f32)(value / orders) : unknown;
    x[LIFT_EVENTS_30] = (f32)events;
    x[LIFT_VIEWS_30] = (f32)views;
    x[LIFT_ADDED_30] = (f32)added;
    x[LIFT_SINCE_FIRST] = (f32)(at_ms - then->created_at_ms) / (f32)DAY_MS;
    x[LIFT_SINCE_LAST] = last_at ? (f32)(at_ms - last_at) / (f32)DAY_MS : unknown;
    x[LIFT_AGE] = age.kind == VALUE_NUMBER ? (f32)age.n : unknown;
    x[LIFT_GENDER] = kind_of(then, "gender", genders, countof(genders));
    x[LIFT_DEVICE] = kind_of(then, "device", devices, countof(devices));
    x[LIFT_CHANNEL] = channel < CHANNELS ? channel : 0;
    x[LIFT_KNOWN] = then->known;
}

/* ---- as a sheet ------------------------------------------------------------------------------ */

static struct sheet sheet_of(const struct lift_row *at, isize n, arena *a)
{
    struct sheet s = { .columns = arena_new(a, struct column, LIFT_COLUMNS),
                       .columns_n = LIFT_COLUMNS,
                       .rows = n,
                       .first = n };
    for (isize c = 0; c < LIFT_COLUMNS; c++) {
        s.columns[c] = (struct column){ .name = str_of(columns[c].name),
                                        .numeric = columns[c].kinds == 0,
                                        .kinds = columns[c].kinds,
                                        .values = arena_new(a, f64, n + 1) };
        for (isize i = 0; i < n; i++) s.columns[c].values[i] = (f64)at[i].x[c];
    }
    return s;
}

/* ---- learning -------------------------------------------------------------------------------- */

struct line { f64 level, slope; };
struct lift {
    arena a;
    struct encoder *encoder;
    struct ftrl *with, *without;    /* without: null when the response model was chosen */
    struct line line;
    u8 learner;
    bool sure;
    struct lift_counts counts;
    struct estimates measures;
    struct calibration chart;
    struct point { f64 share, extra, random; } curve[CURVE_POINTS + 1];
};

/* half: rows of that parity alone; 2: all. */
static struct line line_of(const struct uplift_row *at, isize n, isize half)
{
    struct line line = { 0 };
    f64 rows = 0, treated = 0, hits = 0, other_hits = 0, x = 0, y = 0, xx = 0, xy = 0, off = 0;
    for (isize i = 0; i < n; i++) {
        if (half < 2 && i % 2 != half) continue;
        rows++;
        treated += at[i].treated;
        *(at[i].treated ? &hits : &other_hits) += at[i].outcome;
    }
    if (treated == 0 || treated == rows) return line;
    f64 share = treated / rows, effect = hits / treated - other_hits / (rows - treated);
    for (int pass = 0; pass < 2; pass++)                /* sums, then what is left about the line */
        for (isize i = 0; i < n; i++) {
            if (half < 2 && i % 2 != half) continue;
            f64 seen =
                    at[i].outcome ? ((at[i].treated ? 1 : 0) - share) / (share * (1 - share)) : 0,
                s = at[i].score;
            if (pass == 0) { x += s / rows; y += seen / rows; continue; }
            xx += (s - x) * (s - x);
            xy += (s - x) * (seen - y);
            off += (seen - y) * (seen - y);
        }
    f64 slope = xx > 0 ? xy / xx : 0, noise = xx > 0 && rows > 2 ? (off - slope * xy) / (rows - 2) / xx : 0;
    line.slope = slope > 0 ? slope * fmax(0, 1 - noise / (slope * slope)) : 0;
    line.level = effect - line.slope * x;
    return line;
}

static int by_score(const void *left, const void *right)
{
    f64 a = ((const struct uplift_row *)left)->score, b = ((const struct uplift_row *)right)->score;
    return (a > b) - (a < b);
}

static struct bin bin_of(const struct uplift_row *at, isize n)
{
    struct bin b = { .n = n };
    f64 treated = 0, hits = 0, other_hits = 0;
    for (isize i = 0; i < n; i++) {
        b.predicted += at[i].score / (f64)n;
        treated += at[i].treated;
        *(at[i].treated ? &hits : &other_hits) += at[i].outcome;
    }
    f64 others = (f64)n - treated;
    f64 with = treated > 0 ? hits / treated : 0, without = others > 0 ? other_hits / others : 0;
    f64 half =
        1.959963984540054
        * sqrt(with * (1 - with) / fmax(treated, 1) + without * (1 - without) / fmax(others, 1));
    b.observed = with - without;
    b.low = b.observed - half;
    b.high = b.observed + half;
    return b;
}

static void chart(struct lift *m, struct uplift_row *at, isize n)
{
    struct line halves[2] = { line_of(at, n, 0), line_of(at, n, 1) };
    for (isize i = 0; i < n; i++)
        at[i].score = halves[1 - i % 2].level + halves[1 - i % 2].slope * at[i].score;
    qsort(at, (size_t)n, sizeof *at, by_score);
    for (isize i = 0; i < CALIBRATION_BINS; i++) {
        isize from = n * i / CALIBRATION_BINS, to = n * (i + 1) / CALIBRATION_BINS;
        if (to > from) m->chart.bins[m->chart.bins_n++] = bin_of(at + from, to - from);
    }
}

/* Extra outcomes a treated person, best first, against those of as many taken at random. */
static void draw_curve(struct lift *m, const struct uplift_row *at, isize n, const u32 *order)
{
    f64 treated = 0, others = 0, hits = 0, other_hits = 0, all = 0;
    isize point = 1;
    for (isize i = 0; i < n; i++) all += at[i].treated;
    for (isize i = 0; i < n; i++) {
        const struct uplift_row *row = &at[order[i]];
        treated += row->treated;
        others += !row->treated;
        *(row->treated ? &hits : &other_hits) += row->outcome;
        for (; point <= CURVE_POINTS && (i + 1) * CURVE_POINTS >= n * point; point++)
            m->curve[point] =
                (struct point){ (f64)point / CURVE_POINTS,
                                (hits - (others > 0 ? other_hits * treated / others : 0)) / all,
                                0 };
    }
    for (isize k = 0; k <= CURVE_POINTS; k++)
        m->curve[k].random = m->curve[CURVE_POINTS].extra * (f64)k / CURVE_POINTS;
}

static void learn_whole(struct lift *m, const struct sheet *s, const bool *skip,
                        const bool *treated, const bool *outcome, arena *a)
{
    u32 *with = arena_new(a, u32, s->rows + 1), *without = arena_new(a, u32, s->rows + 1),
        *all = arena_new(a, u32, s->rows + 1);
    isize with_n = 0, without_n = 0;
    for (isize i = 0; i < s->rows; i++) {
        all[i] = (u32)i;
        if (treated[i]) with[with_n++] = (u32)i;
        else without[without_n++] = (u32)i;
    }
    m->encoder = encoder_new(s, skip, all, s->rows, CUTS, &m->a);
    m->with = logistic_learn(m->encoder, s, outcome, with, with_n, SEED, L2);
    if (m->learner == UPLIFT_TWO_MODEL)
        m->without = logistic_learn(m->encoder, s, outcome, without, without_n, SEED, L2);
}

enum err lift_fit(const struct lift_rows *rows, struct lift **out, struct lift_counts *counts,
                  struct diag *diag)
{
    arena a = { 0 };
    struct lift_counts c = { 0 };
    isize n = rows->n;
    bool skip[LIFT_COLUMNS] = { 0 }, *treated = arena_new(&a, bool, n + 1),
         *outcome = arena_new(&a, bool, n + 1);
    u8 *strata = arena_new(&a, u8, n + 1), *fold = arena_new(&a, u8, n + 1);
    for (isize i = 0; i < n; i++) {
        bool t = treated[i] = rows->at[i].treated, y = outcome[i] = rows->at[i].outcome;
        strata[i] = (u8)(t * 2 + y);
        *(t ? &c.treated : &c.control) += 1;
        *(t ? &c.treated_outcomes : &c.control_outcomes) += y;
    }
    *counts = c;
    *out = NULL;
    enum err err = ERR_OK;
    isize people = min_isize(c.treated, c.control),
          outcomes = min_isize(c.treated_outcomes, c.control_outcomes);
    if (people < LIFT_PEOPLE_MIN || outcomes < LIFT_OUTCOMES_MIN)
        err = diag_set(
            diag, ERR_REFUSED,
            "not enough data: %td treated and %td in the control, of whom %td and %td with the outcome; %d people and %d "
            "outcomes of each are needed",
            c.treated, c.control, c.treated_outcomes, c.control_outcomes, LIFT_PEOPLE_MIN,
            LIFT_OUTCOMES_MIN);
    if (!err) {
        struct sheet s = sheet_of(rows->at, n, &a);
        deal_folds(strata, n, FOLDS, SEED, fold, &a);
        struct uplift_question q = { &s, skip, treated, outcome, fold, FOLDS, SEED, RESAMPLES, { L2, CUTS } };
        struct uplift_judgement j = uplift_judge(&q, &a);
        struct lift *m = mem_new(sizeof *m);
        *m = (struct lift){ .learner = j.chosen, .sure = j.sure, .counts = c, .measures = j.measures };
        m->line = line_of(j.rows[j.chosen], j.n, 2);
        draw_curve(m, j.rows[j.chosen], j.n, j.order[j.chosen]);
        chart(m, j.rows[j.chosen], j.n);                /* last: it puts the rows in another order */
        learn_whole(m, &s, skip, treated, outcome, &a);
        *out = m;
    }
    arena_fini(&a);
    return err;
}

void lift_free(struct lift *m)
{
    if (!m) return;
    ftrl_free(m->with);
    ftrl_free(m->without);
    arena_fini(&m->a);
    mem_free(m);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The columns that move the score most, with what they held. */
static void because(const struct lift *m, const struct feature *x, isize n,
                    const f32 known[LIFT_COLUMNS], struct uplift_score *out)
{
    f64 moved[LIFT_COLUMNS] = { 0 };
    for (isize i = 0; i < n; i++) {
        isize column = encoder_column(m->encoder, x[i].at);
        f64 weight = ftrl_weight(m->with, x[i].at) - (m->without ? ftrl_weight(m->without, x[i].at) : 0);
        if (column >= 0) moved[column] += weight * (f64)x[i].value;
    }
    for (isize k = 0; k < countof(out->because); k++) {
        isize most = 0;
        for (isize c = 1; c < LIFT_COLUMNS; c++)
            if (fabs(moved[c]) > fabs(moved[most])) most = c;
        f32 number = isnan(known[most]) ? -1 : known[most];
        if (moved[most] == 0) { out->because[k].code = REASON_CODE_LIFT_ALL_ALIKE; continue; }
        out->because[k].code = isnan(known[most]) ? REASON_CODE_LIFT_NOT_KNOWN : columns[most].reason;
        out->because[k].number = number;
        moved[most] = 0;
    }
}

struct uplift_score lift_score(const struct lift *m, const f32 known[LIFT_COLUMNS])
{
    f64 values[LIFT_COLUMNS];
    struct column row[LIFT_COLUMNS];
    struct feature x[1 + 2 * LIFT_COLUMNS];
    struct sheet s = { .columns = row, .columns_n = LIFT_COLUMNS, .rows = 1 };
    struct uplift_score out = { 0 };
    for (isize c = 0; c < LIFT_COLUMNS; c++) {
        values[c] = (f64)known[c];
        row[c] = (struct column){ .numeric = columns[c].kinds == 0,
                                  .kinds = columns[c].kinds,
                                  .values = &values[c] };
    }
    assert(encoder_width(m->encoder) <= countof(x));
    isize n = encode_row(m->encoder, &s, 0, x);
    f64 score = ftrl_predict(m->with, x, n) - (m->without ? ftrl_predict(m->without, x, n) : 0);
    out.value = (f32)fmin(fmax(m->line.level + m->line.slope * score, -1), 1);
    if (m->line.slope > 0) because(m, x, n, known, &out);
    else out.because[0].code = out.because[1].code = REASON_CODE_LIFT_ALL_ALIKE;
    return out;
}

/* ---- the card -------------------------------------------------------------------------------- */

void lift_card(const struct lift *m, str score, str title, u32 version, i64 at_ms, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "score", score);
    jsonw_key_str(w, "title", title);
    jsonw_key_bool(w, "enough", true);
    jsonw_key_str(w, "model", str_of(uplift_learner_name(m->learner)));
    jsonw_key_bool(w, "sure", m->sure);
    jsonw_key_int(w, "version", version);
    jsonw_key_time(w, "made_at", at_ms);
    lift_counts_print(&m->counts, w);
    jsonw_key_begin(w, "measures", '{');
    for (isize i = 0; i < m->measures.n; i++) {
        const struct estimate *e = &m->measures.at[i];
        jsonw_key_begin(w, m->measures.names[i], '{');
        jsonw_key_num(w, "value", e->value);
        jsonw_key_num(w, "low", e->low);
        jsonw_key_num(w, "high", e->high);
        jsonw_end(w, '}');
    }
    jsonw_end(w, '}');
    jsonw_key_begin(w, "qini", '[');
    for (isize k = 0; k <= CURVE_POINTS; k++) {
        jsonw_begin(w, '{');
        jsonw_key_num(w, "share", m->curve[k].share);
        jsonw_key_num(w, "extra", m->curve[k].extra);
        jsonw_key_num(w, "random", m->curve[k].random);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_str(
        w, "chart_of",
        S("the effect said of people not learnt from, and the difference of the arms among them"));
    jsonw_key_int(w, "judged", m->counts.treated + m->counts.control);
    jsonw_key(w, S("calibration"));
    calibration_print(&m->chart, w);
    jsonw_end(w, '}');
}

void lift_counts_print(const struct lift_counts *c, struct jsonw *w)
{
    jsonw_key_begin(w, "learnt_from", '{');
    jsonw_key_int(w, "treated", c->treated);
    jsonw_key_int(w, "control", c->control);
    jsonw_key_int(w, "treated_outcomes", c->treated_outcomes);
    jsonw_key_int(w, "control_outcomes", c->control_outcomes);
    jsonw_end(w, '}');
}
