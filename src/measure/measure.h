/* SPDX-License-Identifier: Apache-2.0
 *
 * measure.h - what it was all worth: the statistics of experiments.
 *
 *   reads    base/, math/, experiment/ (shares)
 *   feeds    api/, `opmaat stats`
 *   threads  stats.h: pure functions
 *   memory   stats.h: none; measure_stats_json uses an arena of its own and gives it back
 */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "measure/stats.h"

#endif
