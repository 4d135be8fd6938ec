/* SPDX-License-Identifier: Apache-2.0
 *
 * regex.h - regular expressions in linear time (RE2), whatever the pattern and the text.
 *
 * A compiled pattern lives as long as the arena it was made for, and any thread may match with it.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/err.h"

enum { REGEX_BYTES_MAX = 1024 };

struct regex;

/* RE2 syntax over UTF-8. ERR_BAD_INPUT with the reason in diag: malformed, too long or too large
 * once compiled. */
MUST_USE enum err regex_new(arena *a, str pattern, struct regex **out, struct diag *diag);
/* Found anywhere in the text; ^ and $ are its ends. */
bool regex_finds(const struct regex *regex, str text);

#endif
