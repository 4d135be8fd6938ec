/* SPDX-License-Identifier: Apache-2.0
 *
 * files.h - the table that tools/embed makes: sorted by path.
 */
#ifndef CONSOLE_FILES_H
#define CONSOLE_FILES_H

#include "console/console.h"

struct console_file { str path; struct console_asset asset; };

extern const struct console_file console_files[];
extern const isize console_files_n;

#endif
