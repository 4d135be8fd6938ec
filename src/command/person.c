/* SPDX-License-Identifier: Apache-2.0
 *
 * person.c - the privacy desk without a server: what is held of somebody, and to forget them. */
#include "command/inside.h"
#include "ingest/ingest.h"

#include <stdio.h>

static bool named(struct args *args, str text, struct identifier *out)
{
    struct str_cut cut = str_cut(text, ':');
    *out = (struct identifier){ IDENTIFIER_USER_ID, true, text };
    if (cut.found && identifier_kind_of(cut.head, &out->kind)) out->value = cut.tail;
    out->value = ingest_identifier(args->a, out->kind, out->value);
    return out->value.len > 0;
}

static void print_counts(const struct erase_counts *counts)
{
#define COUNT(name) (void)printf("%-12s %lld\n", #name, (long long)counts->name);
    ERASE_COUNTS(COUNT)
#undef COUNT
}

static enum err show(struct fold *fold, const struct erase_request *request, struct diag *diag)
{
    struct erase_counts counts;
    enum err err = fold_erase_try(fold, request, &counts, diag);
    if (!err) print_counts(&counts);
    return err;
}

static enum err erase(struct fold *fold, const struct erase_request *request, struct diag *diag)
{
    u64 ref;
    const struct erasure *receipt;
    enum err err = fold_erase(fold, request, 1, &ref, diag);
    if (err || fold_erasures(fold, &receipt, 1) != 1) return err;
    (void)printf("receipt      e_%llu\n", (unsigned long long)ref);
    print_counts(&receipt->counts);
    return err;
}

static enum err tell(struct args *args, struct fold *fold, const struct erase_request *request, struct diag *diag)
{
    struct api_inside inside = { .fold = fold, .config = &args->config, .clock = clock_system() };
    struct buf out = { .arena = args->a };
    enum err err = api_held(&inside, &request->who[0], args->a, &out, diag);
    if (err) return err;
    buf_byte(&out, '\n');
    str text = buf_str(&out);
    bool whole = fwrite(text.ptr, 1, (size_t)text.len, stdout) == (size_t)text.len && fflush(stdout) == 0;
    return whole ? ERR_OK : diag_set(diag, ERR_DISK, "the output could not be written");
}

int command_person(struct args *args)
{
    struct folder folder;
    struct erase_request request = { .who_n = 1, .by = S("opmaat"), .because = S("opmaat person erase") };
    struct diag diag = { .arena = args->a };
    bool erases = args->words_n == 2 && str_eq(args->words[0], S("erase")), tells = args->words_n == 2 && str_eq(args->words[0], S("export"));
    bool asked = args->words_n == 2 && (erases || tells || str_eq(args->words[0], S("show"))) && named(args, args->words[1], &request.who[0]);
    if (!asked) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!folder_open(args, &folder)) return FAILED;
    enum err err = tells ? tell(args, folder.fold, &request, &diag)
        : erases && !flag(args, "dry-run") ? erase(folder.fold, &request, &diag) : show(folder.fold, &request, &diag);
    folder_close(&folder);
    return err ? command_fail(FAILED, "%.*s", STR_FMT(diag.what)) : DONE;
}
