/* SPDX-License-Identifier: Apache-2.0
 *
 * tools.c - commands that need no data folder: pure functions over files, and the program's own tables. */
#include <stdio.h>
#include <unistd.h>

#include "command/inside.h"
#include "measure/measure.h"

static str all_of_stdin(arena *a)
{
    struct buf out = { .arena = a };
    char block[65536];
    for (isize n; (n = read(STDIN_FILENO, block, sizeof block)) > 0;) buf_add(&out, (str){ block, n });
    return buf_str(&out);
}

int command_stats(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct buf out = { .arena = args->a };
    const struct json *in;
    enum err err = json_parse(args->a, all_of_stdin(args->a), &in, &diag);
    if (!err) err = measure_stats_json(in, &out, &diag);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    return DONE;
}

int command_config(struct args *args)
{
    for (isize i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        i64 value = config_get(&args->config, i);
        (void)printf("%-20s = %-12lld %-7s %lld … %lld%s\n    %s\n", row->name, (long long)value,
                     row->unit, (long long)row->least, (long long)row->most,
                     value == row->value ? "" : "  (set)", row->text);
    }
    return DONE;
}

int command_routes(struct args *args)
{
    struct buf out = { .arena = args->a };
    if (flag(args, "openapi")) api_print_openapi(&out);
    else api_print_routes(&out);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    return DONE;
}
