/* SPDX-License-Identifier: Apache-2.0
 *
 * flag_bench.c - prints flag evaluations a second on one core: five rounds, the median told.
 * The budget is 5,000,000. */
#include <stdio.h>

#include "experiment/experiment.h"

enum { ROUNDS = 5, ROUND_US = 200000 };

int main(void)
{
    f64 rate[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        f64 got = experiment_flag_speed(ROUND_US);
        int at = i;
        for (; at > 0 && rate[at - 1] > got; at--) rate[at] = rate[at - 1];
        rate[at] = got;
    }
    printf("flag_evaluations_per_s %.0f\nleast %.0f\nmost %.0f\n", rate[ROUNDS / 2], rate[0],
           rate[ROUNDS - 1]);
    return 0;
}
