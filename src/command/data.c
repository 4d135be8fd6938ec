/* SPDX-License-Identifier: Apache-2.0
 *
 * data.c - commands that work on a data folder with no server on it: load, count, ask, check. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rcu.h"
#include "command/inside.h"
#include "ingest/ingest.h"

/* ---- import ------------------------------------------------------------------------------------------ */

enum { ENTRIES_PER_RECORD = 2000, BYTES_PER_RECORD = 2 << 20 };

struct importing {
    struct args *args;
    struct folder *folder;
    struct basis_set basis;
    bool dry;
    FILE *refusals;
    arena batch;
    struct { struct entry *at; isize n, cap; } entries;
    isize bytes;
    i64 no_consent, shown, items;
    str source;
    currency currency;
    enum err err;
    i64 printed_us;
    bool terminal;
};

static void import_commit(struct importing *im)
{
    if (im->items) {
        struct buf bytes = { .arena = &im->batch };
        delivery_encode(&(struct delivery){ im->source, im->items }, &bytes);
        vec_push(&im->entries, (struct entry){ ENTRY_DELIVERY, buf_str(&bytes) });
        im->items = 0;
    }
    if (im->entries.n && !im->err && !im->dry) im->err = fold_submit_wait(im->folder->fold, im->entries.at, im->entries.n, NULL);
    im->entries.n = 0;
    im->bytes = 0;
    arena_clear(&im->batch);
}

static void import_entry(struct importing *im, u8 kind, str bytes)
{
    vec_push(&im->entries, (struct entry){ kind, arena_str(&im->batch, bytes) });
    im->bytes += bytes.len;
    if (im->entries.n >= ENTRIES_PER_RECORD || im->bytes >= BYTES_PER_RECORD) import_commit(im);
}

static void import_event(void *ctx, const struct event *e)
{
    struct importing *im = ctx;
    struct buf bytes = { 0 };
    struct event kept = *e;
    if (!consent_allows(im->basis.of[PURPOSE_ADS_SHARING], consent_said(e, PURPOSE_ADS_SHARING))) ingest_forget_click(&im->batch, &kept);
    switch (consent_collect(&im->basis, e, CONSENT_UNKNOWN, CONSENT_UNKNOWN)) {
    case COLLECT_NOTHING: im->no_consent++; return;
    case COLLECT_WITHOUT_PERSON: kept.identifiers_n = kept.traits_n = 0; break;
    case COLLECT_WHOLE: break;
    }
    event_encode(&kept, &bytes);
    import_entry(im, ENTRY_EVENT, buf_str(&bytes));
    buf_fini(&bytes);
}

static void import_item(void *ctx, const struct item_change *change)
{
    struct importing *im = ctx;
    struct buf bytes = { 0 };
    struct item_change said = *change;
    if (str_eq(option(im->args, "mode", ""), S("delta")) && im->folder->fold) {
        if (im->entries.n) import_commit(im);           /* a product may stand in the file twice: each adds to what is there */
        import_delta(fold_live(im->folder->fold)->catalog, &said, &im->batch);
    }
    item_change_encode(&said, &bytes);
    im->items++;
    import_entry(ctx, ENTRY_CATALOG, buf_str(&bytes));
    buf_fini(&bytes);
}

/* The same line, refused for the same, is one letter however often its file comes. */
static void import_letter(void *ctx, i64 line, str reason, str raw)
{
    struct importing *im = ctx;
    struct buf bytes = { .arena = &im->batch }, said = { .arena = &im->batch };
    buf_add(&said, raw);
    buf_add(&said, reason);
    struct hash128 h = hash128(buf_str(&said), 0);
    struct dead_letter letter = { .source = im->source, .raw = raw, .verified = true,
                                  .reason = arena_printf(&im->batch, "line %lld: %.*s", (long long)line, STR_FMT(reason)),
                                  .key = arena_printf(&im->batch, "line-%016" PRIx64 "%016" PRIx64, h.hi, h.lo) };
    dead_letter_encode(&letter, &bytes);
    import_entry(im, ENTRY_DEAD, buf_str(&bytes));
}

static void import_refused(void *ctx, i64 line, str reason, i64 amount_micro)
{
    struct importing *im = ctx;
    FILE *to = im->refusals ? im->refusals : stderr;
    if (!im->refusals && im->shown++ >= 20) return;
    (void)fprintf(to, "line %lld: %.*s", (long long)line, STR_FMT(reason));
    if (amount_micro) (void)fprintf(to, " (%.2f)", (f64)amount_micro / IMPORT_MICRO);
    (void)fputc('\n', to);
    if (!im->refusals && im->shown == 20) (void)fprintf(to, "… more; --refusals FILE writes all of them\n");
}

static void import_progress(void *ctx, struct gz_progress at)
{
    struct importing *im = ctx;
    i64 now = clock_monotonic_us();
    if (!im->terminal || now - im->printed_us < 100000) return;
    im->printed_us = now;
    f64 share = at.total > 0 ? (f64)at.done / (f64)at.total : 0;
    char bar[41];
    for (int i = 0; i < 40; i++) bar[i] = i < (int)(share * 40) ? '#' : '.';
    bar[40] = 0;
    (void)fprintf(stderr, "\r[%s] %3.0f %%", bar, share * 100);
}

/* A file's source: declared by the import itself when nobody has, on the basis of contract: these are the shop's own books. */
static enum err need_source(struct importing *im, str key, struct diag *diag)
{
    const struct source *known = im->folder->fold ? book_source(atomic_load(&fold_live(im->folder->fold)->book), key) : NULL;
    if (known) {
        im->basis = known->basis;
        im->currency = known->currency;
        return ERR_OK;
    }
    im->basis = basis_default();
    im->basis.of[PURPOSE_ANALYTICS] = im->basis.of[PURPOSE_PERSONALISATION] = im->basis.of[PURPOSE_MODEL_TRAINING] = BASIS_CONTRACT;
    if (im->dry) return ERR_OK;
    return api_define(im->folder->fold, S("source"), key,
                      S("{\"title\":\"Imported files\",\"channel\":\"server\",\"expected_every\":\"never\",\"basis\":{\"analytics\":\"contract\",\"personalisation\":\"contract\","
                        "\"model_training\":\"contract\"}}"), S("import"), diag);
}

static void print_totals(const struct args *args, const struct import_totals *t, const struct importing *im, i64 took_ms)
{
    if (flag(args, "json")) {
        (void)printf("{\"lines\":%lld,\"accepted\":%lld,\"refused\":%lld,\"accepted_sum\":\"%.2f\",\"refused_sum\":\"%.2f\",\"sum\":\"%.2f\","
                     "\"repeated\":%lld,\"orders\":%lld,\"refunds\":%lld,\"people\":%lld,\"guests\":%lld,\"events\":%lld,\"items\":%lld,"
                     "\"no_consent\":%lld,\"ms\":%lld}\n",
                     (long long)t->lines, (long long)t->accepted, (long long)t->refused, (f64)t->accepted_micro / IMPORT_MICRO,
                     (f64)t->refused_micro / IMPORT_MICRO, (f64)(t->accepted_micro + t->refused_micro) / IMPORT_MICRO, (long long)t->repeated,
                     (long long)t->orders, (long long)t->refunds, (long long)t->people, (long long)t->guests, (long long)t->events,
                     (long long)t->items, (long long)im->no_consent, (long long)took_ms);
        return;
    }
    (void)printf("%lld lines: %lld accepted, %lld refused\n", (long long)t->lines, (long long)t->accepted, (long long)t->refused);
    if (t->orders || t->refunds)
        (void)printf("sum %.2f accepted + %.2f refused = %.2f; %lld lines repeat another exactly\n"
                     "%lld orders, %lld refunds, of %lld people; %lld by guests\n",
                     (f64)t->accepted_micro / IMPORT_MICRO, (f64)t->refused_micro / IMPORT_MICRO,
                     (f64)(t->accepted_micro + t->refused_micro) / IMPORT_MICRO, (long long)t->repeated, (long long)t->orders,
                     (long long)t->refunds, (long long)t->people, (long long)t->guests);
    if (t->items) (void)printf("%lld items\n", (long long)t->items);
    if (im->no_consent) (void)printf("%lld events refused: the source declares no basis for them\n", (long long)im->no_consent);
    (void)printf("%s in %.1f s\n", im->dry ? "dry run: nothing was written" : "done", (f64)took_ms / 1000);
}

/* People are counted file by file: who stands in two files is counted twice. */
static void add_totals(struct import_totals *all, const struct import_totals *one)
{
    all->lines += one->lines;
    all->accepted += one->accepted;
    all->refused += one->refused;
    all->accepted_micro += one->accepted_micro;
    all->refused_micro += one->refused_micro;
    all->repeated += one->repeated;
    all->orders += one->orders;
    all->refunds += one->refunds;
    all->people += one->people;
    all->guests += one->guests;
    all->events += one->events;
    all->items += one->items;
}

static enum err import_file(struct importing *im, const struct import *import, str path, struct import_totals *all, struct diag *diag)
{
    struct gz *gz;
    enum err err = gz_open(arena_z(im->args->a, path), &gz, diag);
    if (err) return err;
    struct import_sink sink = { im, import_event, import_item, import_refused, import_progress, import_letter };
    struct import_totals totals = { 0 };
    struct replacement dropped = { 0 };
    if (str_eq(option(im->args, "mode", ""), S("replace"))) {
        struct gz *look;
        err = im->folder->fold ? gz_open(arena_z(im->args->a, path), &look, diag) : diag_set(diag, ERR_REFUSED, "there is nothing to replace yet");
        if (!err) {
            err = import_replacement(look, import, fold_live(im->folder->fold)->catalog, flag(im->args, "force"), im->args->a, &dropped, diag);
            gz_close(look);
        }
    }
    if (!err) err = import_run(gz, import, &sink, &totals, diag);
    gz_close(gz);
    for (isize i = 0; !err && i < dropped.n; i++) import_item(im, &dropped.at[i]);
    if (!err) import_commit(im);
    add_totals(all, &totals);
    if (err) err = diag_set(diag, err, "%.*s: %.*s", STR_FMT(path), STR_FMT(arena_str(im->args->a, diag->what)));
    if (im->terminal) (void)fprintf(stderr, "\r%60s\r", "");
    return err ? err : im->err;
}

int command_import(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct folder folder = { .lock_fd = -1 };           /* no fold in it until it is opened */
    struct importing im = { .args = args, .folder = &folder, .dry = flag(args, "dry-run"), .terminal = isatty(STDERR_FILENO) };
    struct import import = { .kind = args->words_n ? args->words[0] : S(""), .source = option(args, "source", ""),
                             .received_ms = clock_now(clock_system()) };
    if (args->words_n < 1) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (str_eq(import.kind, S("all"))) return import_archive(args);
    if (str_eq(import.kind, S("growthbook")) || str_eq(import.kind, S("optimizely"))) return import_flags(args);
    if (!import_kind_known(import.kind))
        return command_fail(USAGE, "there is no import kind \"%.*s\": orders products customers events prices stock content growthbook optimizely", STR_FMT(import.kind));
    if (args->words_n < 2) return command_fail(USAGE, "which file?\nusage: opmaat %s", args->usage);
    str map = option(args, "map", ""), mode = option(args, "mode", "upsert");
    bool catalogue = str_eq(import.kind, S("products")) || str_eq(import.kind, S("content")) || str_eq(import.kind, S("stock"));
    bool fits = str_eq(mode, S("upsert")) || (str_eq(mode, S("replace")) && catalogue) || (str_eq(mode, S("delta")) && str_eq(import.kind, S("stock")));
    if (!fits) return command_fail(USAGE, "--mode is upsert; replace for products, content and stock; delta for stock");
    if (map.len) {
        bool found;
        str text = read_file(args->a, arena_z(args->a, map), &found);
        if (!found) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(map));
        if (json_parse(args->a, text, &import.map, &diag)) return command_fail(FAILED, "%.*s: %.*s", STR_FMT(map), STR_FMT(diag.what));
    }
    if (import.source.len == 0) import.source = json_str(json_get(import.map, S("source")), S("import"));
    str refusals = option(args, "refusals", "");
    if (refusals.len && !(im.refusals = fopen(arena_z(args->a, refusals), "we"))) return command_fail(FAILED, "%.*s cannot be written", STR_FMT(refusals));
    for (isize i = 1; i < args->words_n; i++)           /* before the folder is made */
        if (access(arena_z(args->a, args->words[i]), R_OK) != 0) return command_fail(FAILED, "%.*s cannot be read", STR_FMT(args->words[i]));
    /* A dry run opens the folder that is there, for what its source declares, and makes none. */
    bool opens = !im.dry || access(arena_printf(args->a, "%.*s/opmaat.db", STR_FMT(option(args, "data", "data"))).ptr, R_OK) == 0;
    if (opens && !folder_open(args, &folder)) return FAILED;
    if (!im.dry) fold_start(folder.fold);
    i64 began = clock_monotonic_us();
    struct import_totals totals = { 0 };
    im.source = import.source;
    enum err err = need_source(&im, import.source, &diag);
    if (!import.currency.v && !json_get(import.map, S("currency"))) import.currency = im.currency;
    for (isize i = 1; !err && i < args->words_n; i++) err = import_file(&im, &import, args->words[i], &totals, &diag);
    if (!im.dry) fold_stop(folder.fold);
    if (opens) folder_close(&folder);
    if (im.refusals) (void)fclose(im.refusals);
    arena_fini(&im.batch);
    vec_fini(&im.entries);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what.len ? diag.what : str_of(err_title(err))));
    print_totals(args, &totals, &im, (clock_monotonic_us() - began) / 1000);
    return totals.accepted == 0 && totals.refused > 0 ? command_fail(FAILED, "every line was refused") : DONE;
}

/* ---- segment, rule -------------------------------------------------------------------------------------- */

static void print_rule_errors(str text, const struct rule_errors *errors)
{
    for (isize i = 0; i < errors->n; i++) {
        const struct rule_error *e = &errors->at[i];
        (void)fprintf(stderr, "%.*s\n%*s^ column %lld: %.*s", STR_FMT(text), (int)(e->column - 1), "", (long long)e->column, STR_FMT(e->message));
        if (e->hint.len) (void)fprintf(stderr, " (%.*s)", STR_FMT(e->hint));
        (void)fputc('\n', stderr);
    }
}

/* {"ok":true,"text":"…"} or {"ok":false,"errors":[{"column","length","message","hint"}]}, as POST /v1/rules/check says it. */
static void print_checked(struct args *args, const struct rule *rule, const struct rule_errors *errors)
{
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_bool(&w, "ok", rule != NULL);
    if (rule) jsonw_key_str(&w, "text", rule_print(args->a, rule));
    else jsonw_key_begin(&w, "errors", '[');
    for (isize i = 0; !rule && i < errors->n; i++) {
        jsonw_begin(&w, '{');
        jsonw_key_int(&w, "column", errors->at[i].column);
        jsonw_key_int(&w, "length", errors->at[i].length);
        jsonw_key_str(&w, "message", errors->at[i].message);
        if (errors->at[i].hint.len) jsonw_key_str(&w, "hint", errors->at[i].hint);
        jsonw_end(&w, '}');
    }
    if (!rule) jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
}

/* A published segment's rule by its key, or the text itself as a rule. */
static const struct rule *rule_of(struct args *args, struct fold *fold, str text)
{
    const struct rule *rule;
    struct rule_errors errors = { 0 };
    struct rule_names names = fold_names(fold);
    str document = definition_published(definition_find(fold_definitions(fold), S("segment"), text));
    const struct json *doc;
    if (document.len && json_parse(args->a, document, &doc, NULL) == ERR_OK) text = json_str(json_get(doc, S("rule")), S(""));
    if (rule_compile(args->a, text, RULE_SEGMENT, &names, &rule, &errors) == ERR_OK) return rule;
    print_rule_errors(text, &errors);
    return NULL;
}

static void print_member(void *ctx, person_id id)
{
    struct fold *fold = ctx;
    const struct link *links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(fold_live(fold)->identity, id, links, countof(links));
    (void)printf("{\"person_id\":\"p_%u\",\"identifiers\":{", id.v);
    struct buf out = { 0 };
    struct jsonw w = { .out = &out };
    for (isize i = 0; i < n; i++) jsonw_key_str(&w, identifier_name(links[i]->identifier.kind), links[i]->identifier.value);
    (void)printf("%.*s}}\n", STR_FMT(buf_str(&out)));
    buf_fini(&out);
}

int command_segment(struct args *args)
{
    struct folder folder;
    i64 at_ms;
    bool members = args->words_n == 2 && str_eq(args->words[0], S("members"));
    if (args->words_n != 2 || (!members && !str_eq(args->words[0], S("count"))))
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!time_option(args, &at_ms)) return USAGE;
    if (!folder_open(args, &folder)) return FAILED;
    struct live *live = fold_live(folder.fold);
    const struct rule *rule = rule_of(args, folder.fold, args->words[1]);
    if (rule) {
        i64 count = segment_walk(live->people, live->catalog, rule, atomic_load(&live->book)->segments, at_ms,
                                 members ? print_member : NULL, folder.fold);
        if (!members) (void)printf(flag(args, "json") ? "{\"count\":%lld}\n" : "%lld\n", (long long)count);
    }
    folder_close(&folder);
    return rule ? DONE : FAILED;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the rule parser let it be
static void print_trace(const struct rule_trace *t, int depth)
{
    static const char *const is[] = { "no", "yes", "unknown" };
    (void)printf("%*s%-8s %.*s", depth * 2, "", is[t->is], STR_FMT(t->text));
    if (t->value.len) (void)printf("  = %.*s", STR_FMT(t->value));
    if (t->next_change_at_ms != TIME_NEVER) {
        arena a = { 0 };
        (void)printf("  may change %.*s", STR_FMT(time_print(&a, t->next_change_at_ms)));
        arena_fini(&a);
    }
    (void)fputc('\n', stdout);
    for (isize i = 0; i < t->children_n; i++) print_trace(&t->children[i], depth + 1);
}

static int rule_explain_for(struct args *args, struct folder *folder, const struct rule *rule, i64 at_ms)
{
    struct live *live = fold_live(folder->fold);
    struct identifier who;
    if (!person_option(args, &who)) return command_fail(USAGE, "explain needs --person KIND:VALUE");
    struct decide_world world = live_world(live);
    struct decide_request request = { .identifiers = &who, .identifiers_n = 1, .secret = true, .now_ms = at_ms, .as_of = true,
                                      .consent_granted = 0xffff };
    if (identity_find(live->identity, who).v == 0) return command_fail(FAILED, "nobody is known by %.*s", STR_FMT(who.value));
    struct rule_facts facts = decide_facts(&world, &request, args->a);
    print_trace(rule_explain(args->a, rule, &facts, 5), 0);
    return DONE;
}

int command_rule(struct args *args)
{
    struct folder folder;
    i64 at_ms;
    bool explain = args->words_n == 2 && str_eq(args->words[0], S("explain"));
    if (args->words_n != 2 || (!explain && !str_eq(args->words[0], S("check"))))
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!time_option(args, &at_ms)) return USAGE;
    /* Checking reads a folder for its names and makes none; explaining is about somebody in it. */
    bool there = folder_there(args);
    if (!there && (explain || option(args, "data", "").len)) return command_fail(FAILED, "there is no folder %.*s", STR_FMT(option(args, "data", "data")));
    if (!(there ? folder_open(args, &folder) : folder_none(args, &folder))) return FAILED;
    struct rule_errors errors = { 0 };
    struct rule_names names = fold_names(folder.fold);
    const struct rule *rule = NULL;
    /* Any rule may be checked: a segment's if it can be one, else a filter's. */
    enum err err = rule_compile(args->a, args->words[1], RULE_FILTER, &names, &rule, &errors);
    int code = err ? FAILED : DONE;
    if (flag(args, "json") && !explain) print_checked(args, err ? NULL : rule, &errors);
    else if (err) print_rule_errors(args->words[1], &errors);
    else if (explain) code = rule_explain_for(args, &folder, rule, at_ms);
    else (void)printf("ok: %.*s\n", STR_FMT(rule_print(args->a, rule)));
    folder_close(&folder);
    return code;
}

/* ---- decide ------------------------------------------------------------------------------------------------ */

int command_decide(struct args *args)
{
    struct folder folder;
    struct identifier who;
    i64 at_ms;
    str placement = option(args, "placement", "");
    if (!person_option(args, &who) || placement.len == 0) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!time_option(args, &at_ms)) return USAGE;
    if (!folder_open(args, &folder)) return FAILED;
    rcu_thread_start();
    fold_train(folder.fold);
    struct live *live = fold_live(folder.fold);
    struct decide_world world = live_world(live);
    struct decide_request request = {
        .identifiers = &who, .identifiers_n = 1, .secret = true, .placements = &placement, .placements_n = 1, .now_ms = at_ms,
        .as_of = option(args, "at", "").len > 0, .limit = 10, .explain = flag(args, "explain"), .consent_granted = 0xffff,
        .source = world.book->sources_n ? &world.book->sources[0] : NULL, .locale = option(args, "locale", "en"),
    };
    struct decision decision;
    decide(&world, &request, args->a, &decision);
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    decide_print(&world, &request, &decision, 1, args->a, &w);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    rcu_thread_stop();
    folder_close(&folder);
    return DONE;
}

/* ---- keys and accounts ------------------------------------------------------------------------------------------ */

/* "analytics=contract,personalisation=consent" -> a source's document. */
static bool source_document(struct args *args, str key, str *out)
{
    struct buf text = { .arena = args->a };
    struct jsonw w = { .out = &text };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "title", key);
    jsonw_key_str(&w, "channel", option(args, "channel", "web"));
    str secret = option(args, "identity_secret", "");
    if (secret.len) jsonw_key_str(&w, "identity_secret", secret);
    jsonw_key_begin(&w, "basis", '{');
    for (str rest = option(args, "basis", ""); rest.len > 0;) {
        struct str_cut row = str_cut(rest, ',');
        struct str_cut pair = str_cut(row.head, '=');
        if (!pair.found) return false;
        jsonw_key(&w, str_trim(pair.head));
        jsonw_str(&w, str_trim(pair.tail));
        rest = row.tail;
    }
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    *out = buf_str(&text);
    return true;
}

static int key_create(struct args *args, struct folder *folder)
{
    struct diag diag = { .arena = args->a };
    str kind = option(args, "kind", "write"), source = option(args, "source", "web"), document, prefix;
    bool secret = str_eq(kind, S("secret"));
    if (!secret && !str_eq(kind, S("write"))) return command_fail(USAGE, "--kind is write or secret");
    struct live *live = fold_live(folder->fold);
    bool known = book_source(atomic_load(&live->book), source) != NULL;
    bool says = option(args, "basis", "").len > 0;
    if (!known || says) {
        if (!source_document(args, source, &document)) return command_fail(USAGE, "--basis takes PURPOSE=BASIS,…");
        if (api_define(folder->fold, S("source"), source, document, S("command line"), &diag)) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    }
    if (!known && !says)
        (void)fprintf(stderr, "opmaat: the source \"%.*s\" declares no legal basis, so only events that carry a person's consent are taken; "
                      "--basis analytics=contract,personalisation=contract,model_training=contract declares one\n", STR_FMT(source));
    str key = api_key_make(args->a, secret, &prefix);
    document = key_document(args->a, key, secret, source, S("command line"));
    if (api_define(folder->fold, S("key"), prefix, document, S("command line"), &diag)) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (flag(args, "json")) (void)printf("{\"key\":\"%.*s\",\"prefix\":\"%.*s\",\"kind\":\"%s\",\"source\":\"%.*s\"}\n", STR_FMT(key), STR_FMT(prefix),
                                         secret ? "secret" : "write", STR_FMT(source));
    else (void)printf("%.*s\n", STR_FMT(key));
    return DONE;
}

static int step(struct folder *folder, u8 op, str kind, str key, arena *a)
{
    struct buf bytes = { .arena = a };
    definition_change_encode(&(struct definition_change){ .op = op, .kind = kind, .key = key, .author = S("command line") }, &bytes);
    struct entry entry = { ENTRY_DEFINITION, buf_str(&bytes) };
    return fold_submit_wait(folder->fold, &entry, 1, NULL) ? FAILED : DONE;
}

static int list(struct folder *folder, const char *kind)
{
    isize at = 0;
    const struct definition *def;
    while ((def = definition_next(fold_definitions(folder->fold), str_of(kind), &at)))
        (void)printf("%-32.*s %s\n", STR_FMT(def->key), def->archived ? "revoked" : "live");
    return DONE;
}

int command_key(struct args *args)
{
    struct folder folder;
    str what = args->words_n ? args->words[0] : S("");
    int code;
    if (!folder_open(args, &folder)) return FAILED;
    fold_start(folder.fold);
    if (str_eq(what, S("create"))) code = key_create(args, &folder);
    else if (str_eq(what, S("list"))) code = list(&folder, "key");
    else if (str_eq(what, S("revoke")) && args->words_n == 2) code = step(&folder, DEFINITION_ARCHIVE, S("key"), args->words[1], args->a);
    else code = command_fail(USAGE, "usage: opmaat %s", args->usage);
    fold_stop(folder.fold);
    folder_close(&folder);
    return code;
}

int command_account(struct args *args)
{
    struct folder folder;
    struct diag diag = { .arena = args->a };
    str what = args->words_n ? args->words[0] : S(""), document;
    int code = DONE;
    if (!folder_open(args, &folder)) return FAILED;
    fold_start(folder.fold);
    if (str_eq(what, S("list"))) code = list(&folder, "account");
    else if (str_eq(what, S("add")) && args->words_n == 2) {
        str password = option(args, "password", "");
        enum err err = password.len < 8 ? diag_set(&diag, ERR_BAD_INPUT, "--password needs at least 8 letters")
                     : api_account_document(args->a, args->words[1], option(args, "role", "viewer"), password, &document, &diag);
        if (!err) err = api_define(folder.fold, S("account"), args->words[1], document, S("command line"), &diag);
        code = err ? command_fail(FAILED, "%.*s", STR_FMT(diag.what)) : DONE;
    } else code = command_fail(USAGE, "usage: opmaat %s", args->usage);
    fold_stop(folder.fold);
    folder_close(&folder);
    return code;
}

/* ---- checking --------------------------------------------------------------------------------------------------- */

int command_verify(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct buf report = { .arena = args->a };
    int fd;
    str path = option(args, "data", "data");
    if (!folder_lock(path, args->a, &fd)) return FAILED;
    struct fold_options options = folder_options(args, path);
    enum err err = fold_verify(&options, &report, &diag);
    (void)printf("%.*s", STR_FMT(buf_str(&report)));
    (void)close(fd);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    (void)puts("a replay of the log gives the same state");
    return DONE;
}

static void print_entry(arena *a, u64 number, i64 at_ms, const struct entry *e)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    struct event event;
    struct definition_change change;
    struct item_change item;
    jsonw_begin(&w, '{');
    jsonw_key_int(&w, "ref", (i64)number);
    jsonw_key_time(&w, "at", at_ms);
    jsonw_key_str(&w, "kind", str_of(entry_kind_name(e->kind)));
    if (e->kind == ENTRY_EVENT && event_decode(e->bytes, a, &event) == ERR_OK) {
        jsonw_key(&w, S("event"));
        event_print(&event, &w);
    } else if (e->kind == ENTRY_DEFINITION && definition_change_decode(e->bytes, &change) == ERR_OK) {
        jsonw_key_str(&w, "of", change.kind);
        jsonw_key_str(&w, "key", change.key);
        jsonw_key_str(&w, "document", change.document);
    } else if (e->kind == ENTRY_CATALOG && item_change_decode(e->bytes, a, &item) == ERR_OK) {
        jsonw_key_str(&w, "item", item.item.key);
    } else {
        jsonw_key_str(&w, "bytes", e->bytes);
    }
    jsonw_end(&w, '}');
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
}

static enum err log_cat(struct args *args, const char *uri, struct diag *diag)
{
    struct log *log;
    i64 from = 1, count = INT64_MAX;
    (void)str_to_i64(option(args, "from", "1"), &from);
    if (option(args, "count", "").len) (void)str_to_i64(option(args, "count", ""), &count);
    enum err err = log_open(uri, &args->config, &log, diag);
    bool found = !err;
    arena a = { 0 };
    for (u64 at = (u64)from; !err && found && count > 0;) {
        struct record record;
        arena_clear(&a);
        err = log_read(log, at, &a, &record, &found, diag);
        for (isize i = 0; !err && found && i < record.entries_n; i++) {
            if (record.first + (u64)i < at || count-- <= 0) continue;
            print_entry(&a, record.first + (u64)i, record.at_ms, &record.entries[i]);
        }
        if (!err && found) at = record.first + (u64)record.entries_n;
    }
    arena_fini(&a);
    if (log) log_close(log);
    return err;
}

int command_log(struct args *args)
{
    struct diag diag = { .arena = args->a };
    struct log_totals totals;
    int fd;
    str what = args->words_n ? args->words[0] : S("stat"), path = option(args, "data", "data");
    if (!folder_lock(path, args->a, &fd)) return FAILED;
    struct fold_options options = folder_options(args, path);
    enum err err = str_eq(what, S("cat")) ? log_cat(args, options.log_uri, &diag)
                                          : log_verify(options.log_uri, &args->config, &totals, &diag);
    (void)close(fd);
    if (err) return command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    if (!str_eq(what, S("cat")))
        (void)printf("records %lld\nentries %lld\nbytes   %lld\nfiles   %lld\n", (long long)totals.records, (long long)totals.entries,
                     (long long)totals.bytes, (long long)totals.files);
    return DONE;
}
