/* SPDX-License-Identifier: Apache-2.0
 *
 * measure.h - what it was all worth: the statistics of experiments, and of policies not tried.
 *
 *   reads    base/, math/, experiment/ (shares), ingest/ (files), profile/, segment/, decide/
 *            (campaigns, settings)
 *   feeds    api/, `opmaat stats`, `opmaat evaluate ope`
 *   threads  pure functions; a census has one owner, who reads people inside rcu brackets
 *   memory   a census and the metrics own theirs; else none; measure_stats_json and ope_run use an
 *            arena of their own and give it back
 */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "measure/metric.h"
#include "measure/ope.h"
#include "measure/factorial.h"
#include "measure/stats.h"

#endif
