/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/html.h"

#include <stdarg.h>

void html_escape(struct buf *out, str text)
{
    for (isize i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&': buf_add(out, S("&amp;")); break;
        case '<': buf_add(out, S("&lt;")); break;
        case '>': buf_add(out, S("&gt;")); break;
        case '"': buf_add(out, S("&quot;")); break;
        case '\'': buf_add(out, S("&#39;")); break;
        default: buf_byte(out, text.ptr[i]);
        }
    }
}

void html(struct buf *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at; at++) {
        if (at[0] == '{' && at[1] == '}') {
            html_escape(out, va_arg(args, str));
            at += 1;
        } else if (at[0] == '{' && at[1] == '!' && at[2] == '}') {
            buf_add(out, va_arg(args, str));
            at += 2;
        } else {
            buf_byte(out, *at);
        }
    }
    va_end(args);
}

void html_json(struct buf *out, str json)
{
    for (isize i = 0; i < json.len; i++) {
        if (json.ptr[i] == '<') buf_add(out, S("\\u003c"));
        else buf_byte(out, json.ptr[i]);
    }
}

str html_number(arena *scratch, i64 n) { return arena_printf(scratch, "%" PRId64, n); }
