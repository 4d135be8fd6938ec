/* SPDX-License-Identifier: Apache-2.0
 *
 * session.h - console log-ins, apart from HTTP; between the files of this room.
 *
 * Any thread. Times are arguments. Nothing here outlives the process: after a restart people log
 * in again. */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "api/inside.h"

enum {
    SESSIONS_MAX = 1000,            /* one more ends the one that was idle longest */
    SESSION_TOKEN_LEN = 64, SESSION_CSRF_LEN = 32, SESSION_EMAIL_MAX = 64,
    ATTEMPTS = 10,                  /* wrong passwords of one account ... */
    ATTEMPTS_KEPT_MAX = 4096,
    LOGINS_AT_ONCE = 16,            /* each takes 64 MiB and a tenth of a second */
};
#define SESSION_MS ((i64)12 * HOUR_MS)                  /* after the log-in */
#define SESSION_IDLE_MS ((i64)4 * HOUR_MS)              /* after the last request */
#define ATTEMPTS_MS ((i64)15 * MINUTE_MS)               /* ... within this long, and there is a pause */

struct seat { enum who role; char email[SESSION_EMAIL_MAX + 1], csrf[SESSION_CSRF_LEN + 1]; };
struct ticket_text { char at[SESSION_TOKEN_LEN + 1]; };

/* A new session of 256 random bits; only its hash is kept. */
struct ticket_text session_open(struct sessions *sessions, str email, enum who role, i64 now_ms,
                                struct seat *out);
bool session_find(struct sessions *sessions, str token, i64 now_ms, struct seat *out);
void session_close(struct sessions *sessions, str token);
void sessions_drop(struct sessions *sessions, str email);       /* the account changed */
/* Counts a try against the account, known or not; false when it must wait. A log-in that succeeds
 * forgets them. */
bool attempt_begin(struct sessions *sessions, str email, i64 now_ms);
void attempt_passed(struct sessions *sessions, str email);
bool login_slot_take(struct sessions *sessions);
void login_slot_give(struct sessions *sessions);

bool role_of(str name, enum who *out);
const char *role_name(enum who role);
/* Whether the page that sent this is our own console: by Sec-Fetch-Site, else by Origin and Host;
 * yes when neither is there. */
bool from_console(const struct http_request *req);
/* Writes the seat when the cookie stands for one and, for anything but GET, X-CSRF agrees with it. */
bool seat_of(struct sessions *sessions, const struct http_request *req, i64 now_ms, struct seat *out);

#endif
