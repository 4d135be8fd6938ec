/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - whoever answers for a data folder, asked over HTTP.
 *
 * A folder has one process that works on it. While a server runs that is the server, and beside its
 * port it listens on DIR/control, a socket that is a file: mode 0600 in a folder of mode 0700, and
 * whoever connects is asked for their user id. Whoever may write the folder owns the shop anyway,
 * so what comes in there may do all. The process that starts workers makes that socket, and holds
 * DIR/serving meanwhile: a command that comes between two workers waits for the next. A command
 * takes the folder's lock; when it gets it, no server runs, and the command becomes one for its own
 * moment: the same routes, on a socket of its own, with nothing happening of its own accord (no
 * ticks, no models, no feeds). When it does not get it, it asks the server that has it. So a
 * command is written once, against the API, and with --url and --key it is the same command for a
 * server far away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/rcu.h"
#include "command/inside.h"

enum {
    /* a worker that was killed may be letting go, the next one reading the log */
    TRIES_MAX = 250, SERVED_TRIES_MAX = 3000, TRY_US = 20000,
    ANSWER_BYTES_MAX = 2047 << 20, BODY_BYTES_MAX = 1 << 30, ASK_MS = 24 * 3600 * 1000, LEAVE_MS = 2000,
};

/* ---- the socket ------------------------------------------------------------------------------ */

/* A socket's name has 107 letters, a folder's may have more: by its descriptor every folder's is short. */
static str socket_at(arena *a, int dir_fd, const char *name)
{
    return arena_printf(a, "/proc/self/fd/%d/%s", dir_fd, name);
}

static int folder_fd(arena *a, str path) { return open(arena_z(a, path), O_PATH | O_DIRECTORY | O_CLOEXEC); }

static bool answers(str file)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (file.len >= (isize)sizeof to.sun_path) return false;
    memcpy(to.sun_path, file.ptr, (size_t)file.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0) (void)close(fd);
    return there;
}

bool control_serve(struct config *config, int fd, struct api *api, struct http_server **out,
                   struct diag *diag)
{
    struct http_options http = http_options(config);
    http.listen_fd = fd;
    http.loops = 1;
    /* whole files: the folder's owner knows what they do */
    http.body_bytes_max = BODY_BYTES_MAX;
    http.memory_bytes_max = (isize)4 * BODY_BYTES_MAX;
    http.request_ms = ASK_MS;
    http.ctx = api;
    http.handle = api_handle_owner;
    return http_server_start(&http, out, diag) == ERR_OK;
}

enum err control_open(arena *a, str path, int *fd, struct diag *diag)
{
    int dir = folder_fd(a, path);
    if (dir < 0) return diag_set(diag, ERR_DISK, "the folder %.*s cannot be opened", STR_FMT(path));
    enum err err = http_listen_file(socket_at(a, dir, "control").ptr, fd, diag);
    (void)close(dir);
    return err;
}

void control_remove(arena *a, str path) { (void)unlink(arena_printf(a, "%.*s/control", STR_FMT(path)).ptr); }

/* ---- reaching -------------------------------------------------------------------------------- */

/* Nobody has the folder: this process answers for it. */
static bool become(struct server *s, int how)
{
    struct diag diag = { .arena = s->args->a };
    if (how & REACH_TRAINED) {
        rcu_thread_start();
        fold_train(s->folder.fold);
        rcu_thread_stop();
    }
    fold_start_still(s->folder.fold);
    s->api = api_new(&(struct api_options){
        .config = &s->args->config, .clock = clock_system(), .fold = s->folder.fold });
    s->file = socket_at(s->args->a, s->dir_fd, "command");
    s->own = true;
    if (http_listen_file(s->file.ptr, &s->listen_fd, &diag) == ERR_OK
        && control_serve(&s->args->config, s->listen_fd, s->api, &s->http, &diag)) return true;
    (void)command_fail(FAILED, "%.*s", STR_FMT(diag.what));
    return false;
}

bool server_reach(struct args *args, struct server *out, int how)
{
    *out = (struct server){ .args = args, .url = option(args, "url", ""), .key = option(args, "key", ""), .dir_fd = -1, .listen_fd = -1 };
    if (out->url.len) {
        if (out->key.len) return true;
        (void)command_fail(USAGE, "--url needs --key: a secret key of that server");
        return false;
    }
    str path = option(args, "data", "data");
    if (how & REACH_NOWHERE) {
        char name[] = "/tmp/opmaat-XXXXXX";
        if (!mkdtemp(name)) { (void)command_fail(FAILED, "no folder can be made in /tmp"); return false; }
        out->nowhere = arena_printf(args->a, "%s", name);
        out->dir_fd = folder_fd(args->a, out->nowhere);
        return folder_none(args, &out->folder) && become(out, how);
    }
    if (!(how & REACH_MAKES) && !folder_there(args)) {
        (void)command_fail(FAILED, "there is no folder %.*s", STR_FMT(path));
        return false;
    }
    out->folder = (struct folder){ .path = path, .lock_fd = -1, .a = args->a };
    for (int i = 0; i < TRIES_MAX || (i < SERVED_TRIES_MAX && folder_served(path, args->a)); i++) {
        bool taken;
        if (folder_try_lock(path, args->a, &out->folder.lock_fd, &taken)) {
            out->dir_fd = folder_fd(args->a, path);
            return folder_load(args, &out->folder) && become(out, how);
        }
        if (!taken) return false;
        if (out->dir_fd < 0) out->dir_fd = folder_fd(args->a, path);
        out->file = socket_at(args->a, out->dir_fd, "control");
        if (answers(out->file)) return true;
        (void)usleep(TRY_US);
    }
    (void)command_fail(FAILED, "another process works on %.*s and does not answer", STR_FMT(path));
    return false;
}

void server_leave(struct server *s)
{
    if (s->own) {
        (void)unlink(s->file.ptr);
        http_server_stop(s->http, LEAVE_MS);
        api_stop(s->api);
        fold_stop(s->folder.fold);
        api_free(s->api);
        http_server_free(s->http);
        (void)close(s->listen_fd);
        folder_close(&s->folder);
    }
    if (s->dir_fd >= 0) (void)close(s->dir_fd);
    if (s->nowhere.len) (void)rmdir(s->nowhere.ptr);
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool server_ask(struct server *s, enum http_method method, str path, str body, struct answer *out)
{
    struct diag diag = { .arena = s->args->a };
    arena *a = s->args->a;
    struct http_header headers[2];
    struct http_fetched got;
    str at = s->url.len && str_ends(s->url, S("/")) ? str_slice(s->url, 0, s->url.len - 1) : s->url;
    struct http_fetch ask = { .method = method,
                              .url = arena_printf(a, "%.*s%.*s",
                                                  STR_FMT(at.len ? at : S("http://opmaat")),
                                                  STR_FMT(path)),
                              .body = body,
                              .headers = headers,
                              .bytes_max = ANSWER_BYTES_MAX,
                              .timeout_ms = ASK_MS,
                              .file = at.len ? NULL : s->file.ptr };
    headers[ask.headers_n++] = (struct http_header){ S("Content-Type"), S("application/json") };
    if (s->key.len && at.len)
        headers[ask.headers_n++] =
            (struct http_header){ S("Authorization"),
                                  arena_printf(a, "Bearer %.*s", STR_FMT(s->key)) };
    *out = (struct answer){ 0 };
    if (http_fetch(&ask, a, &got, &diag)) {
        (void)command_fail(FAILED, "the server does not answer: %.*s", STR_FMT(diag.what));
        return false;
    }
    *out = (struct answer){ got.status, got.body, NULL };
    if (str_starts(got.body, S("{")) && got.body.len < 64 << 20)
        err_ignore(json_parse(a, got.body, &out->json, NULL), "NDJSON is no document");
    return true;
}

bool server_said(const struct answer *answer)
{
    if (answer->status < 400) return false;
    str detail = json_get_str(answer->json, "detail");
    if (detail.len) (void)command_fail(FAILED, "%.*s", STR_FMT(detail));
    else (void)command_fail(FAILED, "the server answered %d", answer->status);
    return true;
}

bool server_get(struct server *s, str path, struct answer *out)
{
    return server_ask(s, METHOD_GET, path, S(""), out) && !server_said(out);
}

bool server_post(struct server *s, str path, str body, struct answer *out)
{
    return server_ask(s, METHOD_POST, path, body, out) && !server_said(out);
}

bool server_publish(struct server *s, str kind, str key, str document)
{
    struct answer answer;
    str path = arena_printf(s->args->a, "/v1/definitions/%.*s/%.*s",
                            STR_FMT(escaped(s->args, kind)), STR_FMT(escaped(s->args, key)));
    if (!server_ask(s, METHOD_PUT, path, document, &answer) || server_said(&answer)) return false;
    return server_post(s, arena_printf(s->args->a, "%.*s/publish", STR_FMT(path)), S(""), &answer);
}

str escaped(const struct args *args, str text) { return percent_encode(args->a, text); }
