/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - one call on its way through this room. */
#ifndef API_INSIDE_H
#define API_INSIDE_H

#include "api/api.h"
#include "base/queue.h"
#include "ingest/ingest.h"

/* a secret key is WHO_ADMIN; write keys reach WHO_WRITE */
enum who { WHO_PUBLIC, WHO_WRITE, WHO_VIEWER, WHO_EDITOR, WHO_ADMIN };

struct session;                     /* session.c: a console log-in */
enum { KEY_USES_MAX = 1024 };       /* a power of two; of more keys the last use is not known */

struct api {
    struct api_options options;
    struct fold *fold;
    struct live *live;
    struct clock clock;
    const struct config *config;
    struct http_server *server;
    _Atomic bool ready;
    _Atomic u64 seed;
    _Atomic i64 unknown_keys;       /* collecting calls with a key nobody knows */
    /* since the start; data.c */
    struct key_use { _Atomic u64 key; _Atomic i64 at_ms; } key_uses[KEY_USES_MAX];
    i64 started_at_ms;
    struct jobs *jobs;
    struct sessions *sessions;
    struct flag_service *flags;     /* payload.c: what SDKs are sent, and their streams */
    struct admin *admin;            /* admin.c: what was done, open streams, imports */
};

/* A call lives in req->scratch. `source` and `key` point into the book, so they are only good inside the rcu bracket that found them;
 * what must outlive it is copied. */
struct call {
    struct api *api;
    struct http_request *req;
    arena *a;
    str params[4]; isize params_n;
    const struct json *body;        /* parsed when the route takes one */
    enum who who;
    bool secret;
    bool owner;                     /* asked over the data folder's own socket: may do all */
    str source_key;                 /* of the key used; empty for a console session */
    str author;                     /* "key om_live_ab12" or an account's e-mail, for the audit */
    i32 status;
    str type, cookie;               /* of the answer; empty: JSON, none */
    struct buf out;                 /* the answer's body */
    struct jsonw w;
    struct append append;
    void (*then)(struct call *call);                    /* runs on the loop once the append was folded */
    void (*answer)(struct call *call, struct fold *fold);   /* runs on the fold's thread */
    void (*work)(struct call *call);                    /* runs on the jobs thread */
    enum err err;
    i64 at_ms;                      /* what is told is told as of then; 0: now */
    void *own, *context;            /* the handler's */
    /* what is outside a source's plan or checks is refused, and then all of it */
    bool strict;
    bool accepts;                   /* the checks of the source are passed over: a person looked */
    bool imported;                  /* events keep their own time however old */
    str delivery;                   /* of a webhook: what tells it from the next one */
};
/* A request header; empty for calls that come from inside the process and have no request. */
str header_of(const struct call *call, str name);

typedef void handler(struct call *call);

/* api.c */
/* A call that comes from inside the process. Both are the caller's: `api` has what such a call
 * asks of it and no more, and is not freed. */
void call_inside(const struct api_inside *inside, const struct json *body, arena *a,
                 struct api *api, struct call *out);
/* call->out with call->status (200 when 0) and CORS */
void reply_json(struct call *call);
void PRINTF_LIKE(3, 4) reply_problem(struct call *call, enum err err, const char *format, ...);
void reply_bytes(struct call *call, i32 status, str type, str bytes);
/* Parses the body; on a mistake answers and is false. */
bool need_body(struct call *call);
/* Who calls, by key or session. Done before a handler runs, unless its route is PUBLIC. */
void recognise(struct call *call);
/* Submits and, once folded, runs `then` on the request's loop. On refusal answers. */
void submit_then(struct call *call, const struct entry *entries, isize n, void (*then)(struct call *call));
/* Runs `answer` on the fold's thread, then replies with what it wrote: JSON, or a problem when it
 * set call->err (detail in call->out). */
void ask_fold(struct call *call, void (*answer)(struct call *call, struct fold *fold));
/* Runs `work` on the jobs thread, then replies the same way. */
void ask_jobs(struct call *call, void (*work)(struct call *call));
struct jobs *jobs_new(void);
void jobs_free(struct jobs *jobs);
u64 next_seed(struct api *api);

/* data.c: a key was used. On an HTTP loop, inside rcu brackets. */
void key_use(struct api *api, const struct api_key *key);

/* collect.c: events of a body or of decide's "events" -> entries. */
struct collected {
    struct call *call;
    struct entry *entries; isize entries_n, entries_cap;
    isize accepted, refused, no_consent, items;
    struct refusal refusal;
    const struct source *source;
    struct { isize index; str reason; } reasons[20]; isize reasons_n;
    struct { isize index; str what; } warnings[20]; isize warnings_n;   /* outside the source's plan */
};
MUST_USE enum err collect_read(struct call *call, ingest_reader *reader, str type,
                               const struct json *body, struct collected *out, struct diag *diag);
/* The same of a body in Segment's shape. */
MUST_USE enum err collect_events(struct call *call, str type, const struct json *body,
                                 struct collected *out, struct diag *diag);
/* Takes call->body by `reader` and, once it is folded, runs `then` with call->own the struct
 * collected; or answers with what is wrong. */
void collect_by(struct call *call, ingest_reader *reader, str type, void (*then)(struct call *call));
void collect_no_key(struct call *call);                 /* answers a collecting call whose key nobody knows */
bool verify_user(const struct source *source, str user_id, str hash);
/* What was said before of a purpose by whoever the event's identifiers lead to. Inside rcu brackets. */
enum consent_state said_before(struct api *api, const struct event *e, int purpose);

/* mount.c: the path a route is known by; empty: it may not be reached like this. */
str mounted(struct call *call, str path);

/* clients.c */
void reply_gif(struct call *call);                      /* one transparent pixel */

/* decide.c: a body that asks for something for a person in a context. */
struct asked { struct decide_request request; struct collected collected; };
MUST_USE enum err ask_read(struct call *call, struct asked *asked, struct diag *diag);
/* Inside the rcu bracket: what points into the book, and who the person is. */
void ask_bind(struct call *call, struct asked *asked, const struct book *book);
/* Hands those that are to be recorded to the log, and waits for nothing. */
void log_decisions(struct call *call, const struct decision *decisions, isize n);
/* recommend.c: the body's `filter`, compiled; null when there is none. */
MUST_USE enum err ask_filter(struct call *call, const struct book *book, const struct rule **out,
                             struct rule_errors *errors);

/* session.c */
struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);
/* The log-in a cookie stands for: role and e-mail; false when there is none. For anything but GET
 * the CSRF header must agree. */
bool session_of(struct api *api, struct http_request *req, enum who *role, str *email);

/* admin.c */
struct admin *admin_new(struct api *api);
void admin_stop(struct admin *admin);   /* its threads end: the fold must still run */
void admin_free(struct admin *admin);

#define ROUTE(method, path, run, who, text) handler run;
#define ALSO(method, path, run, who, text)
#include "api/route.def"
#undef ALSO
#undef ROUTE

#endif
