/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const struct { const char *name; int http; bool retry; const char *title; } rows[] = {
#define ERR(name, http, retry, text) [ERR_##name] = { #name, http, retry, text },
#include "base/err.def"
#undef ERR
};

int err_http(enum err err) { return rows[err].http; }
bool err_retry(enum err err) { return rows[err].retry; }
const char *err_title(enum err err) { return rows[err].title; }

const char *err_name(enum err err)
{
    static _Thread_local char name[32];
    isize i = 0;
    for (const char *p = rows[err].name; *p; p++) name[i++] = *p == '_' ? '-' : (char)(*p | 32);
    name[i] = 0;
    return name;
}

enum err diag_set(struct diag *diag, enum err err, const char *format, ...)
{
    if (!diag || !diag->arena) return err;
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    diag->what = arena_str(diag->arena, (str){ text, min_isize(n, (isize)sizeof text - 1) });
    return err;
}
