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
bool folder_make(const char *path);
bool folder_served(str path, arena *a);
bool folder_lock(str path, arena *a, int *fd);
/* One try. *taken: another process has it; else false is said. */
bool folder_try_lock(str path, arena *a, int *fd, bool *taken);
/* The folder is locked by lock_fd already; opens what is in it, or says why not and gives the lock back. */
bool folder_load(struct args *args, struct folder *folder);

/* server.c: whoever answers for a data folder. A running server, over the socket DIR/control; the
 * one that --url and --key name; or, when none runs on the folder, this process itself, for as long
 * as the command takes. Commands ask it over HTTP, the same whichever it is. */
struct server {
    struct args *args;
    str url, key;                   /* of one elsewhere */
    str file;                       /* the socket, else */
    int dir_fd;
    str nowhere;                    /* a folder for the socket alone */
    bool own;                       /* it is this process, and these are its parts */
    struct folder folder;
    struct api *api;
    struct http_server *http;
    int listen_fd;
};
/* A folder that is not there is made; models are made before anything is asked; an empty shop in
 * memory will do. */
enum { REACH_MAKES = 1, REACH_TRAINED = 2, REACH_NOWHERE = 4 };
/* Says why and returns false when nobody can be had. */
bool server_reach(struct args *args, struct server *out, int how);
void server_leave(struct server *server);
struct answer { i32 status; str body; const struct json *json; };      /* json: null when the body is none */
/* An answer of any status; false, and said why, when there is none. */
bool server_ask(struct server *server, enum http_method method, str path, str body, struct answer *out);
/* The same, but a problem is said and is false too. */
bool server_get(struct server *server, str path, struct answer *out);
bool server_post(struct server *server, str path, str body, struct answer *out);
bool server_said(const struct answer *answer);          /* says the problem, if it is one */
/* Draft and publish; says what is wrong with it. */
bool server_publish(struct server *server, str kind, str key, str document);
str escaped(const struct args *args, str text);         /* for a path or a query */
/* DIR/control, where a running server listens for commands: made before its first worker, given to
 * each, removed after the last. */
MUST_USE enum err control_open(arena *a, str path, int *fd, struct diag *diag);
void control_remove(arena *a, str path);
bool control_serve(struct config *config, int fd, struct api *api, struct http_server **out,
                   struct diag *diag);

bool person_numbered(str text);
/* "email:ana@shop.example" as {"email": "ana@shop.example"}, within an object; p_12 is a person's number, any other bare value a user id. */
void person_json(struct jsonw *w, str text);
/* "p_12" of "email:ana@example.com"; said when there is nobody */
MUST_USE bool person_look_up(struct server *server, str who, str *id);
bool time_option(const struct args *args, i64 *at_ms);

#define COMMAND(name, run, usage, text, options, example) int run(struct args *args);
#include "command/command.def"
#undef COMMAND

/* log.c: an answer in pages ends with {"next": …} while there are more; the rows without it. */
bool page_next(struct args *args, str page, str *rows, i64 *next);
/* backup.c: a checked copy of the folder --data, whoever works on it, in a new folder; and away with one. */
int backup_to(struct args *args, str path);
void backup_remove(struct args *args, str path);

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
/* Holds the listening socket and keeps one worker running behind it: returns -1 in a worker (go
 * on), else the exit code. */
int supervise(struct args *args);
bool is_worker(void);

#endif
