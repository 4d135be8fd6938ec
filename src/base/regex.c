/* SPDX-License-Identifier: Apache-2.0
 *
 * regex.c - the arena's hold on what the C++ library allocates: it is given back with the arena. */
#include "base/regex.h"

#include "base/regex_face.h"

struct regex { void *face; };

enum err regex_new(arena *a, str pattern, struct regex **out, struct diag *diag)
{
    if (pattern.len > REGEX_BYTES_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "a pattern has at most %d bytes", REGEX_BYTES_MAX);
    char why[200];
    void *face = regex_face_new(pattern.len ? pattern.ptr : "", pattern.len, why, countof(why));
    if (!face) return diag_set(diag, ERR_BAD_INPUT, "%s", why);
    struct regex *regex = arena_new(a, struct regex, 1);
    regex->face = face;
    arena_defer(a, regex_face_free, face);
    *out = regex;
    return ERR_OK;
}

bool regex_finds(const struct regex *regex, str text)
{
    return regex_face_finds(regex->face, text.len ? text.ptr : "", text.len) != 0;
}
