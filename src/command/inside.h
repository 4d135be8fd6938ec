/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - what the commands share: arguments, settings, and a data folder opened and locked. */
#ifndef COMMAND_INSIDE_H
#define COMMAND_INSIDE_H

#include "api/api.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };

struct args {
    arena *a;
    char **environment;
    const char *program;            /* argv[0] */
    char **raw; int raw_n;          /* all of argv, for starting a worker with the same words */
    const char *usage;
    str words[64]; isize words_n;   /* what is no option */
    struct { str name, value; } options[64]; isize options_n;
    str lacking;                    /* the option at the very end that was given no value; empty: none */
    struct config config;
};

/* --name VALUE or --name=VALUE; empty when not given. */
str option(const struct args *args, const char *name, const char *otherwise);
bool flag(const struct args *args, const char *name);
int PRINTF_LIKE(2, 3) command_fail(int code, const char *format, ...);

/* All of a file; *found false when it cannot be opened. */
str read_file(arena *a, const char *path, bool *found);

/* A data folder, locked against a second process. */
struct folder { str path; int lock_fd; struct fold *fold; struct fold_options options; arena *a; };
/* Makes the folder when it is not there. Says why and returns false when it cannot be had. */
bool folder_open(struct args *args, struct folder *out);
/* Whether --data names a folder that is there; and an empty one in memory, for what needs no data. */
bool folder_there(const struct args *args);
bool folder_none(struct args *args, struct folder *out);
void folder_close(struct folder *folder);
/* "file:DATA/log" and "DATA/opmaat.db" of a folder. */
struct fold_options folder_options(struct args *args, str path);
bool folder_lock(str path, arena *a, int *fd);

/* "user_id:ana-77", "email:…", or a bare value: a user id. */
bool person_option(const struct args *args, struct identifier *out);
bool time_option(const struct args *args, i64 *at_ms);

#define COMMAND(name, run, usage, text, options, example) int run(struct args *args);
#include "command/command.def"
#undef COMMAND

/* archive.c: `import all FILE`. */
int import_archive(struct args *args);
int import_flags(struct args *args);     /* flag.c: growthbook, optimizely */

/* serve.c: runs an HTTP server over a fold until told to stop, then closes all. `other` as api.h's. */
struct serving {
    struct args *args;
    struct folder *folder;
    bool (*other)(void *ctx, struct http_request *req);
    void *ctx;
    void (*started)(void *ctx, struct api *api);        /* null: nothing to start beside it */
    void (*stopping)(void *ctx);
};
int serve_until_stopped(const struct serving *serving);
/* In a worker: where to leave a mark for the parent, and what it says to set aside. Elsewhere: nothing. */
void watch(struct fold_options *options);
/* Holds the listening socket and keeps one worker running behind it: returns -1 in a worker (go on), else the exit code. */
int supervise(struct args *args);

#endif
