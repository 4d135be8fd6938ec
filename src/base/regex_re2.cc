// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include <cstdio>

extern "C" {
#include "base/regex_face.h"
}

// A pattern may take this much once compiled, its automaton included.
static const int64_t memory_max = 1 << 20;

extern "C" void *regex_face_new(const char *pattern, ptrdiff_t len, char *why, ptrdiff_t why_cap)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(memory_max);
    RE2 *regex = new RE2(re2::StringPiece(pattern, (size_t)len), options);
    if (regex->ok()) return regex;
    (void)snprintf(why, (size_t)why_cap, "%s", regex->error().c_str());
    delete regex;
    return NULL;
}

extern "C" int regex_face_finds(const void *regex, const char *text, ptrdiff_t len)
{
    return RE2::PartialMatch(re2::StringPiece(text, (size_t)len), *static_cast<const RE2 *>(regex));
}

extern "C" void regex_face_free(void *regex) { delete static_cast<RE2 *>(regex); }
