/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h - everything that may go wrong for a caller, in one closed table (err.def). */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/arena.h"

enum err {
#define ERR(name, http, retry, text) ERR_##name,
#include "base/err.def"
#undef ERR
};

int err_http(enum err err);
bool err_retry(enum err err);
const char *err_name(enum err err);                     /* "too-big": stands in /problems/too-big */
const char *err_title(enum err err);

/* Why, for the person who wrote the input: one sentence, made in `arena`. */
struct diag { str what; i64 line; arena *arena; };
/* Sets diag->what (when diag is given) and returns err, so a check is one line. */
enum err diag_set(struct diag *diag, enum err err, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says why an error does not matter here; both compilers accept it. */
static inline void err_ignore(enum err err, const char *why) { (void)err; (void)why; }

#endif
