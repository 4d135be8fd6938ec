/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the files of this room share. */
#ifndef DECIDE_INSIDE_H
#define DECIDE_INSIDE_H

#include "decide/decide.h"

/* flags.c: fills the book's flags and flag files; false when something was refused. */
bool book_build_flags(struct book *book, const struct definitions *definitions, const struct definition_candidate *candidate,
                      const struct rule_names *names, struct definition_errors *errors);

#endif
