/* SPDX-License-Identifier: Apache-2.0
 *
 * export.h - what the writers of datafile.c and payload.c share. */
#ifndef DECIDE_EXPORT_H
#define DECIDE_EXPORT_H

#include "decide/inside.h"

/* One flag being told; w is where to. */
struct exporting {
    const struct book *book;
    arena *a;
    struct jsonw *w;
    struct export_notes *notes;
    const struct book_flag *flag;
    str rule;
};

/* Notes something of the flag and rule at hand. `kind`: "left out", "differs" or "note". */
void export_say(struct exporting *x, const char *kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* The tree of a target, as rule_to_json has it; null for everyone. */
const struct json *export_tree(struct exporting *x, const struct rule *target);
/* What a leaf asks of: a name of the context or a trait; empty when it is something else. */
str export_attribute(const struct json *leaf);
/* What a leaf compares with, as a list. False when it is no plain value: money, a date, another fact. */
bool export_values(const struct json *right, const struct json **at, isize *n);

#endif
