/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c - who sits at the console: log-in, cookie, CSRF, and the accounts.
 *
 * An account is a definition of kind "account", {"email","role","hash"}, hash an argon2id string
 * (64 MiB, two passes). A password is checked on the jobs thread; for an account that is not there
 * the same work is done against a hash nobody has the password of, so that the answer's time does
 * not tell them apart, and the same tries are counted.
 *
 * A session is 256 random bits in a cookie that scripts cannot read and other sites cannot send;
 * in RAM stands only its hash. What changes anything must carry X-CSRF too, and come from our own
 * pages: a shop on a neighbouring host name is the same site to a browser, so the cookie alone
 * proves nothing.
 */
#include "api/session.h"

#include <pthread.h>
#include <sodium.h>

#include "api/admin.h"

enum { PASSWORD_BYTES_MIN = 8, PASSWORD_BYTES_MAX = 1024 };

/* Of 32 random bytes that were never written down. */
static const char nobody[] =
    "$argon2id$v=19$m=65536,t=2,p=1$M3zeK0/TV73AsZQbsYnArw$B87JC5bEVwKrZKIQhXLmHkctqFyNFodfHUnvzZONXOg";

struct session { u8 hash[32]; bool used; i64 began_ms, last_ms; struct seat seat; };
struct attempt { u64 who; i64 began_ms; i32 n; };

struct sessions {
    pthread_mutex_t lock;
    struct session at[SESSIONS_MAX];
    struct attempt attempts[ATTEMPTS_KEPT_MAX];
    u64 seed;
    i32 logins;
};

struct sessions *sessions_new(void)
{
    int sodium = sodium_init();
    assert(sodium >= 0);
    struct sessions *sessions = mem_new(sizeof *sessions);
    pthread_mutex_init(&sessions->lock, NULL);
    rng_system(&sessions->seed, sizeof sessions->seed);
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    if (!sessions) return;
    pthread_mutex_destroy(&sessions->lock);
    sodium_memzero(sessions, sizeof *sessions);
    mem_free(sessions);
}

bool role_of(str name, enum who *out)
{
    for (enum who role = WHO_VIEWER; role <= WHO_ADMIN; role++)
        if (str_eq(name, str_of(role_name(role)))) { *out = role; return true; }
    return false;
}

const char *role_name(enum who role)
{
    static const char *const names[] = { "", "", "viewer", "editor", "admin" };
    return names[role];
}

/* ---- sessions ------------------------------------------------------------------------------- */

static void hash_token(str token, u8 out[32])
{
    crypto_generichash(out, 32, (const u8 *)token.ptr, (unsigned long long)token.len, NULL, 0);
}

static void random_hex(char *out, isize len)
{
    u8 bytes[32];
    assert(len <= 64);
    rng_system(bytes, len / 2);
    sodium_bin2hex(out, (size_t)len + 1, bytes, (size_t)len / 2);
}

static bool alive(const struct session *s, i64 now_ms)
{
    return s->used && now_ms < s->began_ms + SESSION_MS && now_ms < s->last_ms + SESSION_IDLE_MS;
}

static struct session *find(struct sessions *sessions, str token, i64 now_ms)
{
    u8 hash[32];
    if (token.len != SESSION_TOKEN_LEN) return NULL;
    hash_token(token, hash);
    for (isize i = 0; i < SESSIONS_MAX; i++)
        if (alive(&sessions->at[i], now_ms) && sodium_memcmp(sessions->at[i].hash, hash, 32) == 0)
            return &sessions->at[i];
    return NULL;
}

struct ticket_text session_open(struct sessions *sessions, str email, enum who role, i64 now_ms,
                                struct seat *out)
{
    struct ticket_text token;
    assert(email.len <= SESSION_EMAIL_MAX);
    random_hex(token.at, SESSION_TOKEN_LEN);
    struct session made = { .used = true, .began_ms = now_ms, .last_ms = now_ms, .seat = { .role = role } };
    random_hex(made.seat.csrf, SESSION_CSRF_LEN);
    memcpy(made.seat.email, email.ptr, (size_t)email.len);
    hash_token((str){ token.at, SESSION_TOKEN_LEN }, made.hash);
    pthread_mutex_lock(&sessions->lock);
    struct session *slot = &sessions->at[0];
    for (isize i = 1; i < SESSIONS_MAX && alive(slot, now_ms); i++)
        if (!alive(&sessions->at[i], now_ms) || sessions->at[i].last_ms < slot->last_ms)
            slot = &sessions->at[i];
    *slot = made;
    pthread_mutex_unlock(&sessions->lock);
    *out = made.seat;
    return token;
}

bool session_find(struct sessions *sessions, str token, i64 now_ms, struct seat *out)
{
    pthread_mutex_lock(&sessions->lock);
    struct session *s = find(sessions, token, now_ms);
    if (s) {
        s->last_ms = max_i64(s->last_ms, now_ms);
        *out = s->seat;
    }
    pthread_mutex_unlock(&sessions->lock);
    return s != NULL;
}

void session_close(struct sessions *sessions, str token)
{
    u8 hash[32];
    hash_token(token, hash);
    pthread_mutex_lock(&sessions->lock);
    for (isize i = 0; i < SESSIONS_MAX; i++)
        if (sessions->at[i].used && sodium_memcmp(sessions->at[i].hash, hash, 32) == 0)
            sodium_memzero(&sessions->at[i], sizeof sessions->at[i]);
    pthread_mutex_unlock(&sessions->lock);
}

void sessions_drop(struct sessions *sessions, str email)
{
    pthread_mutex_lock(&sessions->lock);
    for (isize i = 0; i < SESSIONS_MAX; i++)
        if (str_eq(str_of(sessions->at[i].seat.email), email))
            sodium_memzero(&sessions->at[i], sizeof sessions->at[i]);
    pthread_mutex_unlock(&sessions->lock);
}

/* ---- tries ---------------------------------------------------------------------------------- */

static struct attempt *attempt_of(struct sessions *sessions, u64 who, i64 now_ms)
{
    struct attempt *oldest = &sessions->attempts[0];
    for (isize i = 0; i < ATTEMPTS_KEPT_MAX; i++) {
        struct attempt *a = &sessions->attempts[i];
        if (a->n && a->who == who) return a;
        if (a->n && now_ms >= a->began_ms + ATTEMPTS_MS) a->n = 0;
        bool better = oldest->n && (a->n == 0 || a->began_ms < oldest->began_ms);
        if (better) oldest = a;
    }
    *oldest = (struct attempt){ .who = who, .began_ms = now_ms };
    return oldest;
}

bool attempt_begin(struct sessions *sessions, str email, i64 now_ms)
{
    pthread_mutex_lock(&sessions->lock);
    struct attempt *a = attempt_of(sessions, hash64(email, sessions->seed), now_ms);
    if (now_ms >= a->began_ms + ATTEMPTS_MS) { a->began_ms = now_ms; a->n = 0; }
    bool may = a->n < ATTEMPTS;
    if (may) a->n++;
    pthread_mutex_unlock(&sessions->lock);
    return may;
}

void attempt_passed(struct sessions *sessions, str email)
{
    u64 who = hash64(email, sessions->seed);
    pthread_mutex_lock(&sessions->lock);
    for (isize i = 0; i < ATTEMPTS_KEPT_MAX; i++)
        if (sessions->attempts[i].who == who) sessions->attempts[i].n = 0;
    pthread_mutex_unlock(&sessions->lock);
}

bool login_slot_take(struct sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    bool free_one = sessions->logins < LOGINS_AT_ONCE;
    if (free_one) sessions->logins++;
    pthread_mutex_unlock(&sessions->lock);
    return free_one;
}

void login_slot_give(struct sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    sessions->logins--;
    pthread_mutex_unlock(&sessions->lock);
}

/* ---- a request's ---------------------------------------------------------------------------- */

bool from_console(const struct http_request *req)
{
    str site = http_header(req, S("sec-fetch-site"));
    if (site.len) return str_eq(site, S("same-origin")) || str_eq(site, S("none"));
    str origin = http_header(req, S("origin"));
    if (origin.len == 0) return true;
    isize at = str_find(origin, S("://"));
    return at >= 0 && str_eq_nocase(str_from(origin, at + 3), http_header(req, S("host")));
}

bool seat_of(struct sessions *sessions, const struct http_request *req, i64 now_ms, struct seat *out)
{
    str token = http_cookie(req, S("opmaat_session"));
    if (token.len == 0 || !from_console(req) || !session_find(sessions, token, now_ms, out)) return false;
    if (req->method == METHOD_GET || req->method == METHOD_HEAD) return true;
    str csrf = http_header(req, S("x-csrf"));
    return csrf.len == SESSION_CSRF_LEN && sodium_memcmp(csrf.ptr, out->csrf, SESSION_CSRF_LEN) == 0;
}

bool session_of(struct api *api, struct http_request *req, enum who *role, str *email)
{
    struct seat seat;
    if (!seat_of(api->sessions, req, clock_now(api->clock), &seat)) return false;
    *role = seat.role;
    *email = arena_str(req->scratch, str_of(seat.email));
    return true;
}

/* ---- the routes ----------------------------------------------------------------------------- */

static str lower(arena *a, str s)
{
    char *out = arena_new(a, char, s.len + 1);
    for (isize i = 0; i < s.len; i++)
        out[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] | 32 : s.ptr[i]);
    return (str){ out, s.len };
}

static void set_cookie(struct call *call, str token, i64 seconds)
{
    bool secure = str_eq_nocase(http_header(call->req, S("x-forwarded-proto")), S("https"));
    call->cookie = arena_printf(
        call->a, "opmaat_session=%.*s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
        STR_FMT(token), (long long)seconds, secure ? "; Secure" : "");
}

static void print_seat(struct call *call, const struct seat *seat)
{
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "email", str_of(seat->email));
    jsonw_key_str(&call->w, "role", str_of(role_name(seat->role)));
    jsonw_key_str(&call->w, "csrf", str_of(seat->csrf));
    jsonw_end(&call->w, '}');
}

struct login { str email, password, hash; enum who role; bool found; };

static void read_account(struct call *call, struct fold *fold)
{
    struct login *login = call->own;
    const struct definition *def = definition_find(fold_definitions(fold), S("account"), login->email);
    str text = definition_published(def);
    const struct json *doc;
    if (text.len == 0 || def->paused || json_parse(call->a, text, &doc, NULL)) return;
    login->hash = json_str(json_get(doc, S("hash")), S(""));
    login->found = role_of(json_str(json_get(doc, S("role")), S("")), &login->role)
                   && login->hash.len < crypto_pwhash_STRBYTES;
}

static void check_password(struct call *call)
{
    struct login *login = call->own;
    i64 now_ms = clock_now(call->api->clock);
    on_fold(call, read_account);
    const char *hash = login->found ? arena_z(call->a, login->hash) : nobody;
    bool right =
        crypto_pwhash_str_verify(hash, login->password.ptr, (unsigned long long)login->password.len)
        == 0;
    login_slot_give(call->api->sessions);
    if (!right || !login->found) {
        str who = login->found ? login->email : S("(unknown)");  /* what was typed there may be anything */
        note_deed(call->api->admin, now_ms, who, "sign_in_refused", who);
        call_fail(call, ERR_UNAUTHORISED, "that e-mail address and password do not belong together");
        return;
    }
    struct seat seat;
    attempt_passed(call->api->sessions, login->email);
    struct ticket_text token = session_open(call->api->sessions, login->email, login->role, now_ms, &seat);
    set_cookie(call, arena_str(call->a, str_of(token.at)), SESSION_MS / SECOND_MS);
    note_deed(call->api->admin, now_ms, login->email, "sign_in", login->email);
    print_seat(call, &seat);
}

void login_post(struct call *call)
{
    struct login *login = arena_new(call->a, struct login, 1);
    struct sessions *sessions = call->api->sessions;
    login->email = lower(call->a, str_trim(body_text(call, "email")));
    login->password = body_text(call, "password");
    call->own = login;
    if (!from_console(call->req)) {
        reply_problem(call, ERR_FORBIDDEN, "log in from the console's own page");
        return;
    }
    bool fits = login->email.len && login->email.len <= SESSION_EMAIL_MAX && login->password.len
                && login->password.len <= PASSWORD_BYTES_MAX;
    if (!fits) { reply_problem(call, ERR_BAD_INPUT, "expected {\"email\", \"password\"}"); return; }
    if (!attempt_begin(sessions, login->email, clock_now(call->api->clock))) {
        reply_problem(call, ERR_OVERLOADED, "%d wrong passwords; try again in a quarter of an hour",
                      ATTEMPTS);
        return;
    }
    if (!login_slot_take(sessions)) {
        reply_problem(call, ERR_OVERLOADED, "many people are logging in; try again");
        return;
    }
    ask_jobs(call, check_password);
}

void session_get(struct call *call)
{
    struct seat seat;
    if (!seat_of(call->api->sessions, call->req, clock_now(call->api->clock), &seat)) {
        reply_problem(call, ERR_UNAUTHORISED, "nobody is logged in");
        return;
    }
    print_seat(call, &seat);
    reply_json(call);
}

void logout_post(struct call *call)
{
    struct seat seat;
    i64 now_ms = clock_now(call->api->clock);
    if (!seat_of(call->api->sessions, call->req, now_ms, &seat)) {
        reply_problem(call, ERR_UNAUTHORISED, "nobody is logged in");
        return;
    }
    session_close(call->api->sessions, http_cookie(call->req, S("opmaat_session")));
    note_deed(call->api->admin, now_ms, str_of(seat.email), "sign_out", str_of(seat.email));
    set_cookie(call, S(""), 0);
    buf_add(&call->out, S("{}"));
    reply_json(call);
}

/* ---- accounts ------------------------------------------------------------------------------- */

static bool email_fits(str email)
{
    isize at = str_find_char(email, '@');
    if (at < 1 || at == email.len - 1 || email.len > SESSION_EMAIL_MAX) return false;
    for (isize i = 0; i < email.len; i++) {
        char c = email.ptr[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'
                    || c == '.' || (c == '@' && i == at);
        if (!fits) return false;
    }
    return true;
}

enum err api_account_document(arena *a, str email, str role, str password, str *document, struct diag *diag)
{
    char hash[crypto_pwhash_STRBYTES];
    enum who who;
    str key = lower(a, email);
    if (!email_fits(key))
        return diag_set(
            diag, ERR_BAD_INPUT,
            "\"%.*s\" is no e-mail address we can keep (letters, digits, . _ - and one @; at most %d bytes)",
            STR_FMT(email), SESSION_EMAIL_MAX);
    if (!role_of(role, &who))
        return diag_set(diag, ERR_BAD_INPUT, "a role is viewer, editor or admin, not \"%.*s\"",
                        STR_FMT(role));
    if (password.len < PASSWORD_BYTES_MIN || password.len > PASSWORD_BYTES_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "a password has %d to %d bytes", PASSWORD_BYTES_MIN,
                        PASSWORD_BYTES_MAX);
    if (sodium_init() < 0) return diag_set(diag, ERR_INTERNAL, "no randomness");
    int done =
        crypto_pwhash_str(hash, password.ptr, (unsigned long long)password.len,
                          crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE);
    if (done != 0) return diag_set(diag, ERR_OVERLOADED, "there is no memory to hash a password with");
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "email", key);
    jsonw_key_str(&w, "role", role);
    jsonw_key_str(&w, "hash", str_of(hash));
    jsonw_end(&w, '}');
    *document = buf_str(&out);
    return ERR_OK;
}

static void print_accounts(struct call *call, struct fold *fold)
{
    struct jsonw *w = &call->w;
    const struct definition *def;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "accounts", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("account"), &at));) {
        const struct json *doc;
        if (definition_published(def).len == 0
            || json_parse(call->a, definition_published(def), &doc, NULL))
            continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "email", def->key);
        jsonw_key_str(w, "role", json_str(json_get(doc, S("role")), S("")));
        jsonw_key_bool(w, "paused", def->paused);
        jsonw_key_time(w, "updated_at", def->changed_at_ms);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void accounts_get(struct call *call) { ask_fold(call, print_accounts); }

/* What the account has, with another role: the password stays. */
static str account_kept(arena *a, const struct login *login, str role)
{
    struct buf out = { .arena = a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "email", login->email);
    jsonw_key_str(&w, "role", role);
    jsonw_key_str(&w, "hash", login->hash);
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void make_account(struct call *call)
{
    struct diag diag = { .arena = call->a };
    str email = lower(call->a, str_trim(body_text(call, "email"))), role = body_text(call, "role"), document;
    struct login login = { .email = email };
    enum who known;
    call->own = &login;
    on_fold(call, read_account);
    if (role.len == 0 && login.found) role = str_of(role_name(login.role));
    bool keeps = login.found && body_text(call, "password").len == 0;
    enum err err = ERR_OK;
    if (keeps && !role_of(role, &known))
        err = diag_set(&diag, ERR_BAD_INPUT, "a role is viewer, editor or admin, not \"%.*s\"",
                       STR_FMT(role));
    else if (keeps) document = account_kept(call->a, &login, role);
    else if (role.len == 0 || body_text(call, "password").len == 0)
        err = diag_set(&diag, ERR_NOT_FOUND,
                       "there is no account \"%.*s\"; a new one takes a role and a password",
                       STR_FMT(email));
    else err = api_account_document(call->a, email, role, body_text(call, "password"), &document, &diag);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    struct definition_change changes[] = {
        { .op = DEFINITION_DRAFT,
          .kind = S("account"),
          .key = email,
          .document = document,
          .author = call->author },
        { .op = DEFINITION_PUBLISH, .kind = S("account"), .key = email, .author = call->author },
    };
    if (!define(call, changes, countof(changes))) return;
    sessions_drop(call->api->sessions, email);
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "email", email);
    jsonw_key_str(&call->w, "role", role);
    jsonw_end(&call->w, '}');
}

/* {"email","role","password"}: a new account; or another role, another password or both for one that is there.
 * Its sessions end. */
void accounts_post(struct call *call) { ask_jobs(call, make_account); }

static void end_account(struct call *call)
{
    str email = lower(call->a, call->params[0]);
    struct definition_change change = {
        .op = DEFINITION_ARCHIVE, .kind = S("account"), .key = email, .author = call->author
    };
    if (!define(call, &change, 1)) return;
    sessions_drop(call->api->sessions, email);
    buf_add(&call->out, S("{}"));
}

void accounts_delete(struct call *call) { ask_jobs(call, end_account); }
