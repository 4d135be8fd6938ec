/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/ingest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Reading always ends, lines only go forward, and rows stay within their limits. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size == 0) return 0;
    static arena a;
    static const char separators[] = { ',', '\t', ';' };
    struct gz *gz = gz_memory((str){ (const char *)data + 1, (isize)size - 1 });
    struct csv *csv = csv_new(gz);
    csv_separator(csv, separators[data[0] % 3]);
    i64 line = 0;
    bool found = true;
    while (found) {
        struct diag diag = { .arena = &a };
        struct csv_row row;
        if (data[0] & 0x80) {
            str text;
            i64 at;
            err_ignore(csv_line(csv, &text, &at, &found, &diag), "only crashes matter");
        } else {
            enum err err = csv_next(csv, &a, &row, &found, &diag);
            for (isize i = 0; found && !err && i < row.n; i++) assert(row.fields[i].len <= CSV_ROW_BYTES_MAX);
        }
        if (found) assert(csv_line_number(csv) >= line);
        line = csv_line_number(csv);
        arena_clear(&a);
    }
    csv_free(csv);
    gz_close(gz);
    return 0;
}
