/* SPDX-License-Identifier: Apache-2.0
 *
 * logline.h - one line an event on standard error: name first, then key=value.
 *
 * error: someone must act. note: state changed. trace: off unless asked for. Ids yes, values of
 * traits never. */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_NOTE, LOG_TRACE };
void logline_level(enum log_level most);
void logline(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
#define log_error(...) logline(LOG_ERROR, __VA_ARGS__)
#define log_note(...) logline(LOG_NOTE, __VA_ARGS__)
#define log_trace(...) logline(LOG_TRACE, __VA_ARGS__)

#endif
