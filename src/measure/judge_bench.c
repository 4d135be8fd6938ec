/* SPDX-License-Identifier: Apache-2.0
 *
 * judge_bench.c - a results page of 50 metrics and 5 arms: judging sums, and the walk over people
 * before it. Medians of five rounds. The budget of judging is 50 ms. */
#include <stdio.h>

#include "base/clock.h"
#include "measure/measure.h"

enum { ROUNDS = 5, METRICS = 50, ARMS = 5, PEOPLE = 100000, ENTRIES = 10 };

static const struct segment_set no_segments;
static const struct settings settings;

struct made { struct profile profile; struct exposure exposure; struct history_entry entries[ENTRIES]; };

static f64 median(f64 *at)
{
    for (int i = 1; i < ROUNDS; i++)
        for (int k = i; k > 0 && at[k - 1] > at[k]; k--) {
            f64 swap = at[k];
            at[k] = at[k - 1];
            at[k - 1] = swap;
        }
    return at[ROUNDS / 2];
}

int main(void)
{
    arena a = { 0 };
    struct rng rng = rng_seed(1);
    struct made *people = arena_new(&a, struct made, PEOPLE);
    struct metric metric[METRICS];
    const struct metric *asked[METRICS];
    u8 tiers[METRICS];
    isize controls[ARMS] = { 0 };
    for (isize i = 0; i < PEOPLE; i++) {
        struct made *m = &people[i];
        i64 at_ms = DAY_MS * (1 + rng_below(&rng, 30));
        m->exposure = (struct exposure){ .campaign = 1,
                                         .variation = (u8)rng_below(&rng, ARMS),
                                         .first_at_ms = at_ms };
        for (isize k = 0; k < ENTRIES; k++)
            m->entries[k] = (struct history_entry){ .at_ms = at_ms + k * HOUR_MS,
                                                    .type = (u16)(1 + rng_below(&rng, 20)),
                                                    .value_minor = rng_below(&rng, 5000) };
        m->profile = (struct profile){
            .exposures = &m->exposure, .exposures_n = 1, .history = m->entries, .history_n = ENTRIES
        };
    }
    for (isize i = 0; i < METRICS; i++) {
        metric[i] = (struct metric){ .kind = i % 3 == 2 ? STATS_RATIO
                                             : i % 3    ? STATS_MEAN
                                                        : STATS_PROPORTION,
                                     .top = { .of = (u8)(i % 3 == 0 ? PART_ANY : PART_VALUE),
                                              .type = (u16)(1 + i % 20) },
                                     .bottom = { .of = PART_COUNT, .type = (u16)(1 + i % 20) } };
        asked[i] = &metric[i];
        tiers[i] = i ? TIER_SECONDARY : TIER_PRIMARY;
    }
    struct census_epoch epochs[10];
    for (isize i = 0; i < 10; i++)
        epochs[i] = (struct census_epoch){ i * 3 * DAY_MS, { 2000, 2000, 2000, 2000, 2000 } };
    struct census_ask ask = { .campaign = 1,
                              .metrics = asked,
                              .metrics_n = METRICS,
                              .epochs = { epochs },
                              .epochs_n = { 10 },
                              .set = &no_segments,
                              .settings = &settings,
                              .window_ms = 14 * DAY_MS,
                              .now_ms = 60 * DAY_MS };
    f64 walk_ms[ROUNDS], judge_ms[ROUNDS];
    isize rows_n = 0;
    for (int round = 0; round < ROUNDS; round++) {
        i64 began = clock_monotonic_us();
        struct census *t = census_new(&ask);
        for (isize i = 0; i < PEOPLE; i++) census_count(t, &people[i].profile);
        census_settle(t);
        for (isize i = 0; i < PEOPLE; i++) census_sum(t, &people[i].profile);
        census_finish(t);
        walk_ms[round] = (f64)(clock_monotonic_us() - began) / 1e3;
        struct judging j = { .census = t,
                             .metrics = asked,
                             .metrics_n = METRICS,
                             .tiers = tiers,
                             .controls = controls,
                             .correction = STATS_BH,
                             .alpha = .05,
                             .tuning_n = 5000,
                             .power = .8,
                             .mde = .05 };
        struct judged *rows;
        arena scratch = { 0 };
        began = clock_monotonic_us();
        rows_n = judge(&j, &scratch, &rows);
        judge_ms[round] = (f64)(clock_monotonic_us() - began) / 1e3;
        arena_fini(&scratch);
        census_free(t);
    }
    printf(
        "judge %.2f ms, %td comparisons of %d metrics and %d arms in 10 epochs\ncensus %.1f ms, %d people with %d entries each\n",
        median(judge_ms), rows_n, METRICS, ARMS, median(walk_ms), PEOPLE, ENTRIES);
    arena_fini(&a);
    return 0;
}
