/* SPDX-License-Identifier: Apache-2.0
 *
 * console/ - the built web console and the web tag, inside the program.
 *
 * reads: nothing. feeds: api, which serves it. Threads: any. Memory: constant data.
 *
 * The files are made from web/ when the program is built (tools/embed); there is no folder to
 * install beside it, and nothing of it is read from disk when it runs.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "base/base.h"

/* For the page at "/": it runs only its own files and talks only to its own server. Pictures of
 * products may be anywhere. */
#define CONSOLE_CSP \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http: https:; " \
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

struct console_asset {
    str bytes;              /* as it is */
    str gzip;               /* the same, gzipped */
    str content_type;
    str etag;               /* with its quotes */
    str cache_control;
};

/* The file at a request's path: "/" is the console, "/tag.js" the web tag, the rest is under
 * "/assets/". False when there is none. */
bool console_asset(str path, struct console_asset *out);

#endif
