/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/logline.h"
#include "command/inside.h"

struct command {
    const char *name;
    int (*run)(struct args *args);
    const char *usage, *text, *options, *example;
};
static const struct command commands[] = {
#define COMMAND(name, run, usage, text, options, example) { #name, run, usage, text, options, example },
#include "command/command.def"
#undef COMMAND
};

/* Options that take no value. */
static const char *const flags[] = { "json", "dry-run", "null", "help", "explain", "openapi" };
/* What every command takes, beside the settings. */
static const char everywhere[] = "data config json help url key";

int command_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("opmaat: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return code;
}

str option(const struct args *args, const char *name, const char *otherwise)
{
    for (isize i = args->options_n - 1; i >= 0; i--)
        if (str_eq(args->options[i].name, str_of(name))) return args->options[i].value;
    return str_of(otherwise);
}

bool flag(const struct args *args, const char *name)
{
    for (isize i = 0; i < args->options_n; i++)
        if (str_eq(args->options[i].name, str_of(name))) return true;
    return false;
}

static bool is_flag(str name)
{
    for (isize i = 0; i < countof(flags); i++)
        if (str_eq(name, str_of(flags[i]))) return true;
    return false;
}

static bool read_words(struct args *args, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        str word = str_of(argv[i]);
        if (!str_starts(word, S("--")) || word.len == 2) {
            if (args->words_n == countof(args->words)) {
                (void)command_fail(USAGE, "that is more than %d words", (int)countof(args->words));
                return false;
            }
            args->words[args->words_n++] = word;
            continue;
        }
        struct str_cut pair = str_cut(str_from(word, 2), '=');
        if (args->options_n == countof(args->options)) {
            (void)command_fail(USAGE, "that is more than %d options", (int)countof(args->options));
            return false;
        }
        str value = pair.tail;
        if (!pair.found && !is_flag(pair.head)) {
            if (i + 1 == argc) args->lacking = pair.head;
            else value = str_of(argv[++i]);
        }
        args->options[args->options_n].name = pair.head;
        args->options[args->options_n++].value = value;
    }
    return true;
}

static bool among(str name, str list, str *near)
{
    for (struct str_cut cut = str_cut(list, ' ');; cut = str_cut(cut.tail, ' ')) {
        if (cut.head.len && str_eq(cut.head, name)) return true;
        if (cut.head.len && str_distance(name, cut.head) < str_distance(name, *near)) *near = cut.head;
        if (!cut.found) return false;
    }
}

/* An option nobody reads is a mistake in the command line, and is told with the nearest that there is. */
static bool options_known(const struct args *args, const struct command *command)
{
    for (isize i = 0; i < args->options_n; i++) {
        str name = args->options[i].name, near = S("help");
        bool known = among(name, str_of(command->options), &near) || among(name, str_of(everywhere), &near);
        for (isize k = 0; !known && k < config_rows_n; k++)
            known = among(name, str_of(config_rows[k].name), &near);
        if (known) continue;
        (void)command_fail(USAGE, "%s has no option --%.*s; did you mean --%.*s?\nusage: opmaat %s",
                           command->name, STR_FMT(name), STR_FMT(near), command->usage);
        return false;
    }
    return true;
}

str read_file(arena *a, const char *path, bool *found)
{
    struct buf out = { .arena = a };
    FILE *f = fopen(path, "rbe");
    *found = f != NULL;
    if (!f) return S("");
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) buf_add(&out, (str){ block, (isize)n });
    (void)fclose(f);
    return buf_str(&out);
}

/* Flag over environment over file over default. */
static bool read_config(struct args *args)
{
    struct diag diag = { .arena = args->a };
    bool found = true;
    args->config = config_default();
    str path = option(args, "config", "");
    if (path.len) {
        str text = read_file(args->a, arena_z(args->a, path), &found);
        if (!found) { (void)command_fail(USAGE, "%.*s cannot be read", STR_FMT(path)); return false; }
        if (config_file(&args->config, text, &diag)) {
            (void)command_fail(USAGE, "%.*s, line %lld: %.*s", STR_FMT(path), (long long)diag.line,
                               STR_FMT(diag.what));
            return false;
        }
    }
    if (config_environment(&args->config, args->environment, &diag)) {
        (void)command_fail(USAGE, "%.*s", STR_FMT(diag.what));
        return false;
    }
    for (isize i = 0; i < args->options_n; i++) {
        for (isize k = 0; k < config_rows_n; k++) {
            if (!str_eq(args->options[i].name, str_of(config_rows[k].name))) continue;
            if (config_set(&args->config, args->options[i].name, args->options[i].value, &diag)
                == ERR_OK)
                continue;
            (void)command_fail(USAGE, "%.*s", STR_FMT(diag.what));
            return false;
        }
    }
    return true;
}

static void help_of(const struct command *command)
{
    str none = S("");
    (void)printf("opmaat %s\n\n%s\n", command->usage, command->text);
    if (among(S("at"), str_of(command->options), &none))
        (void)puts(
            "\n--at TIME is one instant: RFC 3339 (2011-12-10T00:00:00Z) or epoch seconds or milliseconds. A bare date\n"
            "is the instant at which that day begins in UTC. (Inside a rule a date is a whole day in the market's zone.)");
    if (among(S("person"), str_of(command->options), &none))
        (void)puts(
            "\n--person KIND:VALUE names somebody, as email:ana@shop.example; without KIND: it is a user id, or p_12 of a list.");
    (void)printf("\nexample:\n  %s\n", command->example);
}

static int help(void)
{
    (void)puts("opmaat decides what each shopper sees.\n\nusage: opmaat COMMAND [WORDS] [--OPTIONS]\n");
    for (isize i = 0; i < countof(commands); i++)
        (void)printf("  %-10s %s\n", commands[i].name, commands[i].text);
    (void)puts(
        "\n  opmaat COMMAND --help says more. Any setting (opmaat config) is an option too: --flush_ms=500.\n"
        "  --data DIR is the data folder, ./data unless said: while a server runs on it, a command asks that server.\n"
        "  --url URL --key KEY asks a server elsewhere, with a secret key of it.");
    return DONE;
}

int command_run(int argc, char **argv, char **environment)
{
    arena a = { 0 };
    struct args args = {
        .a = &a, .environment = environment, .program = argv[0], .raw = argv, .raw_n = argc
    };
    if (sodium_init() < 0) return command_fail(FAILED, "libsodium does not start");
    str name = argc > 1 ? str_of(argv[1]) : S("help");
    if (str_eq(name, S("--help")) || str_eq(name, S("-h"))
        || (str_eq(name, S("help")) && argc <= 2))
        return help();
    if (str_eq(name, S("help"))) {                      /* opmaat help import: as opmaat import --help */
        static char asked[] = "--help";
        char *turned[] = { argv[0], argv[2], asked, NULL };
        return command_run(3, turned, environment);
    }
    if (str_eq(name, S("--version")) || str_eq(name, S("version")))
        return puts("opmaat 0.1.0") < 0 ? FAILED : DONE;
    for (isize i = 0; i < countof(commands); i++) {
        if (!str_eq(name, str_of(commands[i].name))) continue;
        args.usage = commands[i].usage;
        if (argc == 3 && str_eq(str_of(argv[2]), S("--help"))) { help_of(&commands[i]); return DONE; }
        if (!read_words(&args, argc, argv)) return USAGE;
        if (flag(&args, "help")) { help_of(&commands[i]); return DONE; }
        if (!options_known(&args, &commands[i])) return USAGE;
        if (args.lacking.len)
            return command_fail(USAGE, "--%.*s needs a value\nusage: opmaat %s",
                                STR_FMT(args.lacking), args.usage);
        if (!read_config(&args)) return USAGE;
        bool serves = commands[i].run == command_serve || commands[i].run == command_demo;
        if (!serves) logline_level(LOG_ERROR);          /* a command says itself what it did */
        int code = commands[i].run(&args);
        arena_fini(&a);
        return code;
    }
    const char *near = commands[0].name;
    for (isize i = 1; i < countof(commands); i++)
        if (str_distance(name, str_of(commands[i].name)) < str_distance(name, str_of(near)))
            near = commands[i].name;
    return command_fail(USAGE, "there is no command \"%.*s\"; did you mean %s?", STR_FMT(name), near);
}

/* ---- data folders ---------------------------------------------------------------------------- */

struct fold_options folder_options(struct args *args, str path)
{
    return (struct fold_options){
        .config = &args->config, .clock = clock_system(),
        .log_uri = arena_printf(args->a, "file:%.*s/log", STR_FMT(path)).ptr,
        .store_path = arena_printf(args->a, "%.*s/opmaat.db", STR_FMT(path)).ptr,
        .deliver_path = arena_printf(args->a, "%.*s/deliver.db", STR_FMT(path)).ptr,
    };
}

/* A new folder is only there for good once its name is on disk. */
bool folder_make(const char *path)
{
    if (mkdir(path, 0700) != 0) return errno == EEXIST;
    int made = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int above = made < 0 ? -1 : openat(made, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = above >= 0 && fsync(above) == 0;
    if (above >= 0) (void)close(above);
    if (made >= 0) (void)close(made);
    return synced;
}

/* Somebody holds the folder for a server's sake, be it that its worker is just being started again. */
bool folder_served(str path, arena *a)
{
    int fd = open(arena_printf(a, "%.*s/serving", STR_FMT(path)).ptr, O_RDONLY | O_CLOEXEC);
    bool served = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0) (void)close(fd);
    return served;
}

bool folder_try_lock(str path, arena *a, int *fd, bool *taken)
{
    const char *file = arena_printf(a, "%.*s/lock", STR_FMT(path)).ptr;
    *taken = !is_worker() && folder_served(path, a);
    if (*taken) return false;
    if (!folder_make(arena_z(a, path))) {
        (void)command_fail(FAILED, "the folder %.*s cannot be made", STR_FMT(path));
        return false;
    }
    *fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) { (void)command_fail(FAILED, "%s cannot be opened", file); return false; }
    *taken = flock(*fd, LOCK_EX | LOCK_NB) != 0;
    if (*taken) (void)close(*fd);
    return !*taken;
}

bool folder_lock(str path, arena *a, int *fd)
{
    bool taken;
    /* A worker that was just killed may still be letting go. */
    for (int i = 0; i < 100; i++) {
        if (folder_try_lock(path, a, fd, &taken)) return true;
        if (!taken) return false;
        (void)usleep(20000);
    }
    (void)command_fail(FAILED, "another process works on %.*s", STR_FMT(path));
    return false;
}

bool folder_open(struct args *args, struct folder *out)
{
    *out = (struct folder){ .path = option(args, "data", "data"), .lock_fd = -1, .a = args->a };
    return folder_lock(out->path, args->a, &out->lock_fd) && folder_load(args, out);
}

bool folder_load(struct args *args, struct folder *out)
{
    struct diag diag = { .arena = args->a };
    out->options = folder_options(args, out->path);
    watch(&out->options);
    enum err err = fold_open(&out->options, &out->fold, &diag);
    if (!err) return true;
    (void)command_fail(FAILED, "%.*s: %.*s", STR_FMT(out->path), STR_FMT(diag.what));
    (void)close(out->lock_fd);
    return false;
}

bool folder_there(const struct args *args)
{
    struct stat st;
    return stat(arena_z(args->a, option(args, "data", "data")), &st) == 0;
}

bool folder_none(struct args *args, struct folder *out)
{
    struct diag diag = { .arena = args->a };
    *out = (struct folder){ .lock_fd = -1, .a = args->a };
    out->options = (struct fold_options){ .config = &args->config,
                                          .clock = clock_system(),
                                          .log_uri = "mem:" };
    if (fold_open(&out->options, &out->fold, &diag) == ERR_OK) return true;
    (void)command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    return false;
}

void folder_close(struct folder *folder)
{
    fold_close(folder->fold);
    if (folder->lock_fd >= 0) (void)close(folder->lock_fd);
}

bool time_option(const struct args *args, i64 *at_ms)
{
    str text = option(args, "at", "");
    *at_ms = clock_now(clock_system());
    if (text.len == 0 || time_parse(text, at_ms)) return true;
    (void)command_fail(
        USAGE,
        "--at %.*s is no time: expected RFC 3339, such as 2011-12-10 or 2011-12-10T09:30:00Z, or epoch milliseconds",
        STR_FMT(text));
    return false;
}
