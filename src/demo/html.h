/* SPDX-License-Identifier: Apache-2.0
 *
 * html.h - HTML written so that escaping cannot be forgotten. Inside the room only. */
#ifndef DEMO_HTML_H
#define DEMO_HTML_H

#include "base/arena.h"

/* Appends `format`. Each {} takes one str and escapes it for text and for quoted attributes; each
 * {!} takes one str that is HTML already. Arguments are str and nothing else. */
void html(struct buf *out, const char *format, ...);
void html_escape(struct buf *out, str text);

/* JSON for a <script> data block: no '<' is left that could end it. */
void html_json(struct buf *out, str json);

str html_number(arena *scratch, i64 n);

#endif
