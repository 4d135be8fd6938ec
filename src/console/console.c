/* SPDX-License-Identifier: Apache-2.0
 *
 * console.c - a path to its file. There are half a dozen files, so the search is a walk.
 */
#include "console/console.h"

#include "console/files.h"

bool console_asset(str path, struct console_asset *out)
{
    for (isize i = 0; i < console_files_n; i++) {
        if (!str_eq(console_files[i].path, path))
            continue;
        *out = console_files[i].asset;
        return true;
    }
    return false;
}
