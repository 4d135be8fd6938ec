/* SPDX-License-Identifier: Apache-2.0
 *
 * regex_face.h - what regex.c calls of the C++ library, in regex_re2.cc. */
#ifndef BASE_REGEX_FACE_H
#define BASE_REGEX_FACE_H

#include <stddef.h>

/* Null when the pattern is refused, with the reason copied into `why` (NUL at its end). */
void *regex_face_new(const char *pattern, ptrdiff_t len, char *why, ptrdiff_t why_cap);
int regex_face_finds(const void *regex, const char *text, ptrdiff_t len);
void regex_face_free(void *regex);

#endif
