/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logline.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* One event is one line, whatever the values contain. */
static void flatten(char *from, const char *to)
{
    for (; from < to; from++)
        if ((u8)*from < 0x20 || *from == 0x7f) *from = '?';
}

static enum log_level most = LOG_NOTE;
static const char *const names[] = { "error", "note", "trace" };

void logline_level(enum log_level level) { most = level; }

void logline(enum log_level level, const char *format, ...)
{
    if (level > most) return;
    char line[2048];
    i64 now = clock_now(clock_system());
    struct civil c = time_civil(now, 0);
    int n = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s ", c.year, c.month, c.day,
                     c.hour, c.minute, c.second, (int)(now % 1000), names[level]);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    n += more < 0 ? 0 : more;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    flatten(line, line + n);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0) return;      /* nobody left to tell */
}
