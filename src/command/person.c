/* SPDX-License-Identifier: Apache-2.0
 *
 * person.c - the privacy desk: what is held of somebody, what they agreed to, and to forget them. */
#include <stdio.h>
#include <unistd.h>

#include "command/inside.h"

enum { POLL_US = 100000 };

/* "p_12", as lists of members name somebody. */
bool person_numbered(str text)
{
    i64 n;
    return str_starts(text, S("p_")) && str_to_i64(str_from(text, 2), &n);
}

/* "email:ana@shop.example" -> {"email": "ana@shop.example"}, in an object that is open. */
void person_json(struct jsonw *w, str text)
{
    struct str_cut cut = str_cut(text, ':');
    u8 kind = IDENTIFIER_USER_ID;
    if (person_numbered(text)) {
        jsonw_key_str(w, "person_id", text);
        return;
    }
    if (cut.found && identifier_kind_of(cut.head, &kind)) text = cut.tail;
    jsonw_key_str(w, identifier_name(kind), text);
}

static str request(struct args *args, const char *regulation, bool dry)
{
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "regulation", str_of(regulation));
    person_json(&w, args->words[1]);
    if (dry) jsonw_key_bool(&w, "dry_run", true);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void print_counts(const struct json *counts)
{
    json_each(one, counts) (void)printf("%-12.*s %lld\n", STR_FMT(one->key), (long long)json_int(one, 0));
}

/* They are gone from what is live when the first answer comes; log and store follow. */
static bool wait_done(struct server *server, str id, struct answer *answer)
{
    str path = arena_printf(server->args->a, "/v1/regulations/%.*s", STR_FMT(id));
    for (;;) {
        if (!server_get(server, path, answer)) return false;
        if (str_eq(json_get_str(answer->json, "state"), S("done"))) return true;
        (void)usleep(POLL_US);
    }
}

static bool erase(struct server *server)
{
    struct answer answer;
    if (!server_post(server, S("/v1/regulations"), request(server->args, "erase", false), &answer))
        return false;
    str id = json_get_str(answer.json, "id");
    if (!wait_done(server, id, &answer)) return false;
    (void)printf("receipt      %.*s\n", STR_FMT(id));
    print_counts(json_get(answer.json, S("counts")));
    return true;
}

static bool show(struct server *server)
{
    struct answer answer;
    if (!server_post(server, S("/v1/regulations"), request(server->args, "erase", true), &answer))
        return false;
    print_counts(json_get(answer.json, S("counts")));
    return true;
}

static bool export(struct server *server)
{
    struct answer answer;
    if (!server_post(server, S("/v1/regulations"), request(server->args, "export", false), &answer))
        return false;
    bool whole =
        fwrite(answer.body.ptr, 1, (size_t)answer.body.len, stdout) == (size_t)answer.body.len
        && putchar('\n') != EOF;
    return whole && fflush(stdout) == 0 ? true : command_fail(false, "the output could not be written");
}

bool person_look_up(struct server *server, str who, str *id)
{
    struct answer answer;
    struct buf out = { .arena = server->args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    person_json(&w, who);
    jsonw_end(&w, '}');
    if (!server_post(server, S("/v1/people/lookup"), buf_str(&out), &answer)) return false;
    *id = json_get_str(answer.json, "person_id");
    return true;
}

/* ---- consent --------------------------------------------------------------------------------- */

static bool consent_show(struct server *server)
{
    struct args *args = server->args;
    struct answer answer;
    str id;
    if (!person_look_up(server, args->words[1], &id)) return false;
    if (!server_get(server, arena_printf(args->a, "/v1/people/%.*s", STR_FMT(id)), &answer)) return false;
    const struct json *list = json_get(answer.json, S("consent"));
    if (flag(args, "json")) return printf("%.*s\n", STR_FMT(json_print(args->a, list))) > 0;
    json_each(one, list)
        (void)printf("%-16.*s %-8.*s %-20.*s %.*s\n", STR_FMT(json_get_str(one, "purpose")),
                     STR_FMT(json_get_str(one, "state")), STR_FMT(json_get_str(one, "at")),
                     STR_FMT(json_get_str(one, "source")));
    if (json_len(list) == 0) (void)puts("they said nothing: what each source declares holds");
    return true;
}

static bool consent_say(struct server *server)
{
    struct args *args = server->args;
    struct answer answer;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    person_json(&w, args->words[1]);
    jsonw_key_begin(&w, str_eq(args->words[0], S("grant")) ? "grant" : "deny", '[');
    for (isize i = 2; i < args->words_n; i++) jsonw_str(&w, args->words[i]);
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    return server_post(server, S("/v1/consents"), buf_str(&out), &answer) && consent_show(server);
}

int command_consent(struct args *args)
{
    struct server server;
    str what = args->words_n ? args->words[0] : S("");
    bool shows = str_eq(what, S("show")) && args->words_n == 2;
    bool says = (str_eq(what, S("grant")) || str_eq(what, S("deny"))) && args->words_n >= 3;
    if (!shows && !says) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!server_reach(args, &server, 0)) return FAILED;
    bool done = shows ? consent_show(&server) : consent_say(&server);
    server_leave(&server);
    return done ? DONE : FAILED;
}

/* ---- person ---------------------------------------------------------------------------------- */

int command_person(struct args *args)
{
    static const struct { const char *word; bool (*run)(struct server *server); } deeds[] = {
        { "show", show }, { "export", export }, { "erase", erase },
    };
    struct server server;
    for (isize i = 0; args->words_n == 2 && i < countof(deeds); i++) {
        if (!str_eq(args->words[0], str_of(deeds[i].word))) continue;
        if (!server_reach(args, &server, 0)) return FAILED;
        bool done = flag(args, "dry-run") ? show(&server) : deeds[i].run(&server);
        server_leave(&server);
        return done ? DONE : FAILED;
    }
    return command_fail(USAGE, "usage: opmaat %s", args->usage);
}
