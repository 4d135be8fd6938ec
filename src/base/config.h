/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - the settings, from one table (config.def).
 *
 * Precedence: flag --name=value, then environment OPMAAT_NAME, then the file, then the default.
 * A file is lines of `name = value`, with # comments. Unknown names refuse to start. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/err.h"

struct config {
#define CONFIG(name, value, least, most, unit, reload, text) i64 name;
#include "base/config.def"
#undef CONFIG
};

struct config_row {
    const char *name, *unit, *text;
    i64 value, least, most;
    bool reload;
};
extern const struct config_row config_rows[];
extern const isize config_rows_n;

struct config config_default(void);
/* ERR_BAD_INPUT names the setting, its bounds, and for a name that is not known the nearest one. */
MUST_USE enum err config_set(struct config *c, str name, str value, struct diag *diag);
MUST_USE enum err config_file(struct config *c, str text, struct diag *diag);
MUST_USE enum err config_environment(struct config *c, char **environment, struct diag *diag);
i64 config_get(const struct config *c, isize row);

#endif
