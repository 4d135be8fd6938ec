/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h - what the two evaluators of other products' files share. Inside the room. */
#ifndef EXPERIMENT_FILE_H
#define EXPERIMENT_FILE_H

#include "experiment/experiment.h"

enum { FILE_NOTES_MAX = 100 };

struct flag_file {
    enum flag_dialect dialect;
    str *flags; isize flags_n;
    str *notes; isize notes_n;          /* what of it we cannot do */
    struct growthbook *growthbook;
    struct optimizely *optimizely;
};

MUST_USE enum err growthbook_read(arena *a, const struct json *from, struct flag_file *file,
                                  struct diag *diag);
void growthbook_evaluate(const struct flag_file *file, str flag, const struct file_request *request, arena *a,
                         struct file_answer *out);
MUST_USE enum err optimizely_read(arena *a, const struct json *from, struct flag_file *file,
                                  struct diag *diag);
void optimizely_evaluate(const struct flag_file *file, str flag, const struct file_request *request, arena *a,
                         struct file_answer *out);

#endif
