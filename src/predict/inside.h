/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share. */
#ifndef PREDICT_INSIDE_H
#define PREDICT_INSIDE_H

#include "predict/predict.h"

/* The model of repeat buying that serving uses: the likelier of MBG and BG that did not run to an edge, else NBD. `tried` gets what
 * was fitted, NBD included, by model. */
MUST_USE enum err buying_choose(const struct purchases *at, isize n, arena *a, struct buying *out, struct buying tried[BUYING_MODELS],
                                struct diag *diag);

#endif
