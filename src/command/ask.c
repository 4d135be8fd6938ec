/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c - questions: whom a rule holds for, why it holds, what somebody would see. */
#include <stdio.h>

#include "command/inside.h"

/* Under the rule, at the column that each is about. */
static void print_rule_errors(str text, const struct json *errors)
{
    json_each(e, errors) {
        str hint = json_get_str(e, "hint");
        i64 column = json_int(json_get(e, S("column")), 1);
        (void)fprintf(stderr, "%.*s\n%*s^ column %lld: %.*s", STR_FMT(text), (int)(column - 1), "",
                      (long long)column, STR_FMT(json_get_str(e, "message")));
        if (hint.len) (void)fprintf(stderr, " (%.*s)", STR_FMT(hint));
        (void)fputc('\n', stderr);
    }
}

/* ---- segment --------------------------------------------------------------------------------- */

/* A key is a published segment's; anything else is a rule. */
static bool is_key(str text)
{
    for (isize i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return false;
    }
    return text.len > 0;
}

static bool segment_there(struct server *server, str key)
{
    struct answer answer;
    return is_key(key)
           && server_ask(server, METHOD_GET,
                         arena_printf(server->args->a, "/v1/segments/%.*s",
                                      STR_FMT(escaped(server->args, key))),
                         S(""), &answer)
           && answer.status == 200;
}

static int ask_segment(struct server *server, bool members)
{
    struct args *args = server->args;
    struct answer answer;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    str text = args->words[1], at = option(args, "at", "");
    bool key = segment_there(server, text);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, key ? "segment" : "rule", text);
    if (at.len) jsonw_key_str(&w, "at", at);
    if (members) jsonw_key_bool(&w, "members", true);
    jsonw_end(&w, '}');
    if (!server_ask(server, METHOD_POST, S("/v1/segments/preview"), buf_str(&out), &answer)) return FAILED;
    const struct json *errors = json_get(answer.json, S("errors"));
    if (answer.status >= 400 && json_len(errors)) { print_rule_errors(text, errors); return FAILED; }
    if (server_said(&answer)) return FAILED;
    i64 count = json_int(json_get(answer.json, S("count")), 0);
    if (members) (void)printf("%.*s", STR_FMT(answer.body));
    else if (flag(args, "json")) (void)printf("{\"count\":%lld}\n", (long long)count);
    else (void)printf("%lld\n", (long long)count);
    return DONE;
}

int command_segment(struct args *args)
{
    struct server server;
    i64 at_ms;
    bool members = args->words_n == 2 && str_eq(args->words[0], S("members"));
    if (args->words_n != 2 || (!members && !str_eq(args->words[0], S("count"))))
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!time_option(args, &at_ms)) return USAGE;
    if (!server_reach(args, &server, 0)) return FAILED;
    int code = ask_segment(&server, members);
    server_leave(&server);
    return code;
}

/* ---- rule ------------------------------------------------------------------------------------ */

// NOLINTNEXTLINE(misc-no-recursion): as deep as the rule parser let it be
static void print_trace(const struct json *t, int depth)
{
    str result = json_get_str(t, "result"), value = json_get_str(t, "value"),
        change = json_get_str(t, "next_change_at");
    str is = str_eq(result, S("true")) ? S("yes") : str_eq(result, S("false")) ? S("no") : result;
    (void)printf("%*s%-8.*s %.*s", depth * 2, "", STR_FMT(is), STR_FMT(json_get_str(t, "text")));
    if (value.len) (void)printf("  = %.*s", STR_FMT(value));
    if (change.len) (void)printf("  may change %.*s", STR_FMT(change));
    (void)fputc('\n', stdout);
    json_each(child, json_get(t, S("children"))) print_trace(child, depth + 1);
}

static int explain(struct server *server)
{
    struct args *args = server->args;
    struct answer answer;
    str who = option(args, "person", ""), at = option(args, "at", ""), id;
    if (who.len == 0) return command_fail(USAGE, "explain needs --person KIND:VALUE");
    if (!person_look_up(server, who, &id)) return FAILED;
    str path = arena_printf(args->a, "/v1/people/%.*s/explain?rule=%.*s%s%.*s", STR_FMT(id),
                            STR_FMT(escaped(args, args->words[1])), at.len ? "&at=" : "",
                            STR_FMT(escaped(args, at)));
    if (!server_get(server, path, &answer)) return FAILED;
    if (flag(args, "json")) (void)printf("%.*s\n", STR_FMT(answer.body));
    else print_trace(json_get(answer.json, S("tree")), 0);
    return DONE;
}

/* Any rule may be checked: a segment's if it can be one, else a filter's. */
static int check(struct server *server)
{
    struct args *args = server->args;
    struct answer answer;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "rule", args->words[1]);
    jsonw_key_str(&w, "in", S("filter"));
    jsonw_end(&w, '}');
    if (!server_post(server, S("/v1/rules/check"), buf_str(&out), &answer)) return FAILED;
    bool ok = json_bool(json_get(answer.json, S("ok")), false);
    if (flag(args, "json")) (void)printf("%.*s\n", STR_FMT(answer.body));
    else if (ok) (void)printf("ok: %.*s\n", STR_FMT(json_get_str(answer.json, "text")));
    else print_rule_errors(args->words[1], json_get(answer.json, S("errors")));
    return ok ? DONE : FAILED;
}

int command_rule(struct args *args)
{
    struct server server;
    i64 at_ms;
    bool explains = args->words_n == 2 && str_eq(args->words[0], S("explain"));
    if (args->words_n != 2 || (!explains && !str_eq(args->words[0], S("check"))))
        return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (!time_option(args, &at_ms)) return USAGE;
    /* Checking is for anybody: without a folder there are our own names alone. */
    bool nowhere = !explains && option(args, "data", "").len == 0 && !folder_there(args);
    if (!server_reach(args, &server, nowhere ? REACH_NOWHERE : 0)) return FAILED;
    int code = explains ? explain(&server) : check(&server);
    server_leave(&server);
    return code;
}

/* ---- decide ---------------------------------------------------------------------------------- */

int command_decide(struct args *args)
{
    struct server server;
    struct answer answer;
    i64 at_ms;
    str who = option(args, "person", ""), placement = option(args, "placement", ""),
        at = option(args, "at", "");
    if (who.len == 0 || placement.len == 0) return command_fail(USAGE, "usage: opmaat %s", args->usage);
    if (person_numbered(who))
        return command_fail(
            USAGE,
            "decide asks as a shop would: --person takes an identifier, such as email:ana@shop.example");
    if (!time_option(args, &at_ms)) return USAGE;
    struct buf out = { .arena = args->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, "person", '{');
    person_json(&w, who);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "placements", '[');
    jsonw_str(&w, placement);
    jsonw_end(&w, ']');
    jsonw_key_begin(&w, "context", '{');
    jsonw_key_str(&w, "locale", option(args, "locale", "en"));
    if (at.len) jsonw_key_time(&w, "now", at_ms);
    jsonw_end(&w, '}');
    jsonw_key_int(&w, "limit", 10);
    jsonw_key_bool(&w, "record", false);                /* a question leaves no trace */
    jsonw_key_bool(&w, "explain", flag(args, "explain"));
    jsonw_end(&w, '}');
    if (!server_reach(args, &server, REACH_TRAINED)) return FAILED;
    bool ok = server_post(&server, S("/v1/decide"), buf_str(&out), &answer);
    server_leave(&server);
    if (ok) (void)printf("%.*s\n", STR_FMT(answer.body));
    return ok ? DONE : FAILED;
}
