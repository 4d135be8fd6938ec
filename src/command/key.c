/* SPDX-License-Identifier: Apache-2.0
 *
 * key.c - who may come in: keys for programs, accounts for people. */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "command/inside.h"

struct deed { const char *word; isize words; bool (*run)(struct server *server); };

/* The one that the first word names; the first of them makes a folder where there is none. */
static int do_one(struct args *args, const struct deed *deeds, isize n)
{
    struct server server;
    for (isize i = 0; i < n; i++) {
        if (args->words_n != deeds[i].words || !str_eq(args->words[0], str_of(deeds[i].word))) continue;
        if (!server_reach(args, &server, i == 0 ? REACH_MAKES : 0)) return FAILED;
        bool done = deeds[i].run(&server);
        server_leave(&server);
        return done ? DONE : FAILED;
    }
    return command_fail(USAGE, "usage: opmaat %s", args->usage);
}

/* ---- keys ------------------------------------------------------------------------------------ */

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

/* The source is made, or told its basis anew, when there is something to say. */
static bool need_source(struct server *server, str source)
{
    struct args *args = server->args;
    struct answer answer;
    str document, path = arena_printf(args->a, "/v1/definitions/source/%.*s", STR_FMT(escaped(args, source)));
    bool says = option(args, "basis", "").len > 0;
    if (!server_ask(server, METHOD_GET, path, S(""), &answer)) return false;
    bool known = answer.status == 200 && str_eq(json_get_str(answer.json, "state"), S("published"));
    if (known && !says) return true;
    if (!known && !says)
        (void)fprintf(
            stderr,
            "opmaat: the source \"%.*s\" declares no legal basis, so only events that carry a person's consent are taken; "
            "--basis analytics=contract,personalisation=contract,model_training=contract declares one\n",
            STR_FMT(source));
    if (!source_document(args, source, &document))
        return command_fail(false, "--basis takes PURPOSE=BASIS,…");
    return server_publish(server, S("source"), source, document);
}

static bool key_create(struct server *server)
{
    struct args *args = server->args;
    struct answer answer;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    str kind = option(args, "kind", "write"), source = option(args, "source", "web");
    if (!need_source(server, source)) return false;
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "kind", kind);
    jsonw_key_str(&w, "source", source);
    jsonw_end(&w, '}');
    if (!server_post(server, S("/v1/keys"), buf_str(&out), &answer)) return false;
    str key = json_get_str(answer.json, "key"), prefix = json_get_str(answer.json, "id");
    if (flag(args, "json"))
        (void)printf(
            "{\"key\":\"%.*s\",\"prefix\":\"%.*s\",\"kind\":\"%.*s\",\"source\":\"%.*s\"}\n",
            STR_FMT(key), STR_FMT(prefix), STR_FMT(kind), STR_FMT(source));
    else (void)printf("%.*s\n", STR_FMT(key));
    return true;
}

static bool key_list(struct server *server)
{
    struct answer answer;
    if (!server_get(server, S("/v1/keys?revoked=true"), &answer)) return false;
    if (flag(server->args, "json")) return printf("%.*s\n", STR_FMT(answer.body)) > 0;
    json_each(key, json_get(answer.json, S("keys"))) {
        str used = json_get_str(key, "used_at");
        bool revoked = json_bool(json_get(key, S("revoked")), false);
        (void)printf("%-20.*s %-7.*s %-20.*s %-8s %.*s\n", STR_FMT(json_get_str(key, "id")),
                     STR_FMT(json_get_str(key, "kind")), STR_FMT(json_get_str(key, "source")),
                     revoked ? "revoked" : "live", STR_FMT(used.len ? used : S("")));
    }
    return true;
}

static bool key_revoke(struct server *server)
{
    struct answer answer;
    str path = arena_printf(server->args->a, "/v1/keys/%.*s",
                            STR_FMT(escaped(server->args, server->args->words[1])));
    return server_ask(server, METHOD_DELETE, path, S(""), &answer) && !server_said(&answer);
}

int command_key(struct args *args)
{
    static const struct deed deeds[] = {
        { "create", 1, key_create }, { "list", 1, key_list }, { "revoke", 2, key_revoke },
    };
    str kind = option(args, "kind", "write");
    if (!str_eq(kind, S("write")) && !str_eq(kind, S("secret")))
        return command_fail(USAGE, "--kind is write or secret");
    return do_one(args, deeds, countof(deeds));
}

/* ---- accounts -------------------------------------------------------------------------------- */

static str read_line(struct args *args)
{
    struct buf line = { .arena = args->a };
    for (char c; read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) buf_byte(&line, c);
    return buf_str(&line);
}

/* Of --password; else asked for, without showing what is typed: a command line stands in histories
 * and process lists. */
static str password(struct args *args)
{
    struct termios shown, hidden;
    str said = option(args, "password", "");
    if (said.len) return said;
    if (tcgetattr(STDIN_FILENO, &shown) != 0) return read_line(args);
    hidden = shown;
    hidden.c_lflag &= (tcflag_t)~ECHO;
    (void)fprintf(stderr, "password: ");
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    said = read_line(args);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    (void)fputc('\n', stderr);
    return said;
}

static bool account_write(struct server *server, str role, str word)
{
    struct args *args = server->args;
    struct answer answer;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "email", args->words[1]);
    if (role.len) jsonw_key_str(&w, "role", role);
    if (word.len) jsonw_key_str(&w, "password", word);
    jsonw_end(&w, '}');
    return server_post(server, S("/v1/accounts"), buf_str(&out), &answer);
}

static bool user_add(struct server *server)
{
    return account_write(server, option(server->args, "role", "viewer"), password(server->args));
}

static bool user_role(struct server *server) { return account_write(server, server->args->words[2], S("")); }

static bool user_passwd(struct server *server)
{
    str word = password(server->args);
    return word.len ? account_write(server, S(""), word)
                    : command_fail(false, "a password has at least 8 letters");
}

static bool user_remove(struct server *server)
{
    struct answer answer;
    str path = arena_printf(server->args->a, "/v1/accounts/%.*s",
                            STR_FMT(escaped(server->args, server->args->words[1])));
    return server_ask(server, METHOD_DELETE, path, S(""), &answer) && !server_said(&answer);
}

static bool user_list(struct server *server)
{
    struct answer answer;
    if (!server_get(server, S("/v1/accounts"), &answer)) return false;
    if (flag(server->args, "json")) return printf("%.*s\n", STR_FMT(answer.body)) > 0;
    json_each(account, json_get(answer.json, S("accounts")))
        (void)printf("%-40.*s %.*s\n", STR_FMT(json_get_str(account, "email")),
                     STR_FMT(json_get_str(account, "role")));
    return true;
}

int command_user(struct args *args)
{
    static const struct deed deeds[] = {
        { "add", 2, user_add }, { "list", 1, user_list }, { "role", 3, user_role }, { "passwd", 2, user_passwd }, { "remove", 2, user_remove },
    };
    return do_one(args, deeds, countof(deeds));
}
