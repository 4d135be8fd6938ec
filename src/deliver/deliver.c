/* SPDX-License-Identifier: Apache-2.0
 *
 * deliver.c - the thread that sends what the outbox holds, each connector in a lane of its own.
 *
 * A lane has at most one request under way, so its receiver sees things in the order they happened;
 * lanes know nothing of each other. An answer of the 2xx moves the lane on. A refusal of the
 * content (400, 413, 415, 422) is looked into row by row, and the row that is refused alone goes to
 * the dead letters. Anything else is tried again, first after a second, then after ever longer, at
 * most an hour; what could not be delivered for `keep_trying_hours` goes to the dead letters too,
 * so that a dead server cannot hold more than that.
 */
#include "deliver/deliver.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/logline.h"
#include "base/rcu.h"
#include "base/thread.h"
#include "http/http.h"
#include "store/store.h"

enum { IDLE_MS = 100, COUNT_MS = 1000, DEAD_MOST = 100000, COMMANDS_MAX = 256, WITHHELD_BATCHES = 16 };

static const struct migration schema[] = {
    { 1,
    "CREATE TABLE lane(connector INTEGER PRIMARY KEY, done INTEGER NOT NULL, delivered INTEGER NOT NULL, withheld INTEGER NOT NULL,"
    " dead INTEGER NOT NULL);"
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, connector INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER, at INTEGER, ref INTEGER,"
    " person INTEGER, segment INTEGER, body BLOB, died_at INTEGER, reason TEXT, again INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX dead_letter_connector ON dead_letter(connector, again, id);" },
};

struct lane {
    struct deliver *deliver;
    struct delivery_state state;
    struct connector connector;     /* as published; its texts live in `texts` */
    struct outbox_row *rows; isize rows_n;      /* of the request under way, in `a` */
    isize told, singly;             /* singly: this many rows to be sent one by one */
    i64 again;                      /* dead letter that is being sent again; 0 */
    i64 failing_since_ms, counted_at_ms;
    bool under_way, present;
    arena a, texts;
};

enum command_kind { COMMAND_REPLAY, COMMAND_AGAIN };
struct command { u8 kind; u16 connector; i64 n; };

struct deliver {
    struct deliver_options options;
    struct store *store, *outbox;
    struct sender *sender;
    struct lane lanes[CONNECTORS_MAX]; isize lanes_n;
    pthread_t thread;
    pthread_mutex_t lock;           /* of what follows, and of lanes[].state */
    struct command commands[COMMANDS_MAX]; isize commands_n;
    _Atomic bool stopping;
    bool started;
};

/* ---- rows in --------------------------------------------------------------------------------- */

static void row_read(struct statement *s, arena *a, struct outbox_row *row)
{
    *row = (struct outbox_row){
        .seq = (u64)column_i64(s, 0),
        .connector = (u16)column_i64(s, 1),
        .kind = (u8)column_i64(s, 2),
        .at_ms = column_i64(s, 3),
        .ref = (u64)column_i64(s, 4),
        .person = { (u32)column_i64(s, 5) },
        .segment = { (u16)column_i64(s, 6) },
        .body = arena_str(a, column_blob(s, 7)),
    };
}

static enum err rows_after(struct store *store, u16 connector, u64 after, isize most, arena *a,
                           struct outbox_row **out, isize *n)
{
    struct statement *s = store_statement(store,
        "SELECT seq, connector, kind, at, ref, person, segment, body FROM outbox WHERE connector = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    bool row;
    enum err err;
    *out = arena_new(a, struct outbox_row, most);
    *n = 0;
    bind_i64(s, 1, connector);
    bind_i64(s, 2, (i64)after);
    bind_i64(s, 3, most);
    while (!(err = statement_step(s, &row)) && row) row_read(s, a, &(*out)[(*n)++]);
    return err;
}

static i64 number_of(struct store *store, const char *sql, i64 one, i64 two)
{
    struct statement *s = store_statement(store, sql);
    bool row = false;
    i64 n = 0;
    bind_i64(s, 1, one);
    bind_i64(s, 2, two);
    if (!statement_step(s, &row) && row) n = column_i64(s, 0);
    statement_reset(s);
    return n;
}

/* ---- a lane's own rows ----------------------------------------------------------------------- */

static struct lane *lane_of(struct deliver *d, u16 connector)
{
    for (isize i = 0; i < d->lanes_n; i++)
        if (d->lanes[i].state.connector == connector) return &d->lanes[i];
    if (d->lanes_n == CONNECTORS_MAX) return NULL;
    struct lane *lane = &d->lanes[d->lanes_n++];
    lane->deliver = d;
    lane->state.connector = connector;
    return lane;
}

static enum err lanes_load(struct deliver *d)
{
    struct statement *s =
        store_statement(d->store, "SELECT connector, done, delivered, withheld, dead FROM lane");
    bool row;
    enum err err;
    while (!(err = statement_step(s, &row)) && row) {
        struct lane *lane = lane_of(d, (u16)column_i64(s, 0));
        if (!lane) continue;
        lane->state.done = (u64)column_i64(s, 1);
        lane->state.delivered = column_i64(s, 2);
        lane->state.withheld = column_i64(s, 3);
        lane->state.dead = column_i64(s, 4);
    }
    return err;
}

/* A full disk passes, and costs a repetition at most: what was not kept of a lane is sent again
 * after the next start. Any other failure is our mistake or a broken file. False: not written. */
static bool kept(enum err err, const char *what)
{
    if (!err) return true;
    log_error("deliver.%s err=%s", what, err_name(err));
    if (err != ERR_DISK && err != ERR_OVERLOADED) abort();
    return false;
}

static void lane_save(struct lane *lane)
{
    struct statement *s = store_statement(lane->deliver->store,
        "INSERT OR REPLACE INTO lane(connector, done, delivered, withheld, dead) VALUES(?1, ?2, ?3, ?4, ?5)");
    bind_i64(s, 1, lane->state.connector);
    bind_i64(s, 2, (i64)lane->state.done);
    bind_i64(s, 3, lane->state.delivered);
    bind_i64(s, 4, lane->state.withheld);
    bind_i64(s, 5, lane->state.dead);
    (void)kept(statement_run(s), "save");
}

/* Whoever was erased meanwhile has no row any more. */
static bool is_waiting(struct lane *lane, const struct outbox_row *row)
{
    return number_of(lane->deliver->outbox,
                     "SELECT count(*) FROM outbox WHERE seq = ?1 AND connector = ?2", (i64)row->seq,
                     row->connector)
           > 0;
}

static bool bury(struct lane *lane, const struct outbox_row *row, i64 now_ms, str reason)
{
    struct store *store = lane->deliver->store;
    if (!is_waiting(lane, row)) { lane->state.withheld++; return true; }
    struct statement *s = store_statement(store,
        "INSERT INTO dead_letter(connector, seq, kind, at, ref, person, segment, body, died_at, reason)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    const i64 numbers[] = { row->connector, (i64)row->seq, row->kind,     row->at_ms,
                            (i64)row->ref,  row->person.v, row->segment.v };
    for (int i = 0; i < countof(numbers); i++) bind_i64(s, i + 1, numbers[i]);
    bind_blob(s, 8, row->body);
    bind_i64(s, 9, now_ms);
    bind_str(s, 10, reason);
    if (!kept(statement_run(s), "bury")) return false;
    s = store_statement(store, "DELETE FROM dead_letter WHERE connector = ?1 AND id <="
                               " (SELECT id FROM dead_letter WHERE connector = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)");
    bind_i64(s, 1, row->connector);
    bind_i64(s, 2, DEAD_MOST);
    (void)kept(statement_run(s), "bury");
    lane->state.dead++;
    /* asked again: deliver_forget looks after it has emptied the outbox */
    if (is_waiting(lane, row)) return true;
    s = store_statement(store, "DELETE FROM dead_letter WHERE connector = ?1 AND seq = ?2");
    bind_i64(s, 1, row->connector);
    bind_i64(s, 2, (i64)row->seq);
    (void)kept(statement_run(s), "bury");
    return true;
}

/* The dead letter that was being sent again: gone, or back with its new reason. */
static void settle_again(struct lane *lane, bool delivered, i64 now_ms, str reason)
{
    struct statement *s =
        delivered ? store_statement(lane->deliver->store, "DELETE FROM dead_letter WHERE id = ?1")
                  : store_statement(
                      lane->deliver->store,
                      "UPDATE dead_letter SET again = 0, died_at = ?2, reason = ?3 WHERE id = ?1");
    bind_i64(s, 1, lane->again);
    if (!delivered) {
        bind_i64(s, 2, now_ms);
        bind_str(s, 3, reason);
    }
    if (kept(statement_run(s), "again") && delivered) lane->state.dead--;
    lane->again = 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool content_refused(i32 status)
{
    return status == 400 || status == 413 || status == 415 || status == 422;
}

static i64 pause_ms(const struct lane *lane, const struct sent *sent)
{
    i64 doubled = lane->state.attempts > 12 ? HOUR_MS : (i64)SECOND_MS << (lane->state.attempts - 1);
    i64 asked = min_i64(sent->retry_after_s, HOUR_MS / SECOND_MS) * SECOND_MS;
    return max_i64(min_i64(doubled, HOUR_MS), asked);
}

static void moved_on(struct lane *lane, i64 delivered, i64 withheld)
{
    lane->state.delivered += delivered;
    lane->state.withheld += withheld;
    if (lane->again) return;
    lane->state.done = lane->rows[lane->rows_n - 1].seq;
    lane->singly = max_isize(lane->singly - lane->rows_n, 0);
}

static void give_up(struct lane *lane, i64 now_ms, str reason)
{
    if (lane->again) { settle_again(lane, false, now_ms, reason); return; }
    for (isize i = 0; i < lane->rows_n; i++) {
        if (bury(lane, &lane->rows[i], now_ms, reason)) continue;
        lane->state.next_at_ms = now_ms + MINUTE_MS;    /* no room for a dead letter: it stays in the queue */
        if (i > 0) lane->state.done = lane->rows[i - 1].seq;
        return;
    }
    moved_on(lane, 0, 0);
}

static void take_failure(struct lane *lane, const struct sent *sent, i64 now_ms)
{
    struct delivery_state *state = &lane->state;
    if (sent->status)
        (void)snprintf(state->problem, sizeof state->problem, "answered %d: %.*s", sent->status,
                       (int)min_isize(sent->body.len, 120), sent->body.ptr);
    else (void)snprintf(state->problem, sizeof state->problem, "no answer: %s", sent->failure);
    if (content_refused(sent->status)) {
        if (lane->rows_n > 1) lane->singly = lane->rows_n;
        else give_up(lane, now_ms, str_of(state->problem));
        return;
    }
    if (lane->failing_since_ms == 0) lane->failing_since_ms = now_ms;
    state->attempts++;
    state->next_at_ms = now_ms + pause_ms(lane, sent);
    bool too_long = now_ms - lane->failing_since_ms >= lane->connector.keep_trying_ms;
    if (too_long || lane->again) give_up(lane, now_ms, str_of(state->problem));
}

static void answered(void *ctx, const struct sent *sent)
{
    struct lane *lane = ctx;
    struct deliver *d = lane->deliver;
    i64 now_ms = clock_now(d->options.clock);
    pthread_mutex_lock(&d->lock);
    lane->under_way = false;
    lane->state.status = sent->status;
    lane->state.last_at_ms = now_ms;
    if (sent->status >= 200 && sent->status < 300) {
        lane->state.attempts = lane->state.next_at_ms = 0;
        lane->failing_since_ms = 0;
        lane->state.problem[0] = 0;
        moved_on(lane, lane->told, lane->rows_n - lane->told);
        /* after moved_on, which asks whether it was one */
        if (lane->again) settle_again(lane, true, now_ms, S(""));
    } else take_failure(lane, sent, now_ms);
    lane_save(lane);
    arena_clear(&lane->a);
    lane->counted_at_ms = 0;
    pthread_mutex_unlock(&d->lock);
}

/* ---- sending --------------------------------------------------------------------------------- */

struct writing { struct lane *lane; struct buf body; isize told; };

static void write_body(void *arg, const struct deliver_view *view)
{
    struct writing *w = arg;
    w->told = deliver_body(view, &w->lane->connector, w->lane->rows, w->lane->rows_n, &w->lane->a, &w->body);
}

/* Standard Webhooks 1.0: HMAC-SHA256 over "id.timestamp.body", base64, after "v1,". A secret that
 * begins with whsec_ is base64 behind it; any other is taken as it stands. */
static str signature(arena *a, str secret, str id, str timestamp, str body)
{
    u8 key[256], mac[crypto_auth_hmacsha256_BYTES];
    size_t key_n = (size_t)min_isize(secret.len, (isize)sizeof key);
    memcpy(key, secret.ptr, key_n);
    if (str_starts(secret, S("whsec_"))) {
        str coded = str_from(secret, 6);
        if (sodium_base642bin(key, sizeof key, coded.ptr, (size_t)coded.len, NULL, &key_n, NULL,
                              sodium_base64_VARIANT_ORIGINAL)
            != 0)
            key_n = 0;
    }
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_n);
    const str parts[] = { id, S("."), timestamp, S("."), body };
    for (isize i = 0; i < countof(parts); i++)
        crypto_auth_hmacsha256_update(&state, (const u8 *)parts[i].ptr, (unsigned long long)parts[i].len);
    crypto_auth_hmacsha256_final(&state, mac);
    char text[sodium_base64_ENCODED_LEN(sizeof mac, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
    return arena_printf(a, "v1,%s", text);
}

/* True when the rows are dealt with already, because none of them may leave. */
static bool send_rows(struct lane *lane, i64 now_ms)
{
    struct deliver *d = lane->deliver;
    const struct connector *c = &lane->connector;
    struct writing w = { .lane = lane, .body = { .arena = &lane->a } };
    if (!d->options.ask(d->options.ctx, write_body, &w)) return false;
    lane->told = w.told;
    if (w.told == 0) {
        pthread_mutex_lock(&d->lock);
        if (lane->again)
            settle_again(lane, false, now_ms,
                         S("its person has not agreed to it, or is no longer there"));
        else moved_on(lane, 0, lane->rows_n);
        lane_save(lane);
        arena_clear(&lane->a);
        pthread_mutex_unlock(&d->lock);
        return true;
    }
    str id = arena_printf(&lane->a, "msg_%u_%llu_%llu", c->id, (unsigned long long)lane->rows[0].seq,
                          (unsigned long long)lane->rows[lane->rows_n - 1].seq);
    str timestamp = arena_printf(&lane->a, "%lld", (long long)now_ms / SECOND_MS);
    struct send_header headers[5] = { { S("Content-Type"), S("application/json") },
                                      { S("webhook-id"), id },
                                      { S("webhook-timestamp"), timestamp } };
    isize n = 3;
    if (c->secret.len)
        headers[n++] =
            (struct send_header){ S("webhook-signature"),
                                  signature(&lane->a, c->secret, id, timestamp, buf_str(&w.body)) };
    if (c->authorization.len) headers[n++] = (struct send_header){ S("Authorization"), c->authorization };
    struct sending sending = { .url = c->url,
                               .headers = headers,
                               .headers_n = n,
                               .body = buf_str(&w.body),
                               .timeout_ms = c->timeout_ms,
                               .done = answered,
                               .ctx = lane };
    enum err err = sender_start(d->sender, &sending);
    lane->under_way = err == ERR_OK;
    struct sent failed = { .failure = "the address is not one of http or https" };
    if (err) answered(lane, &failed);
    return false;
}

static bool find_again(struct lane *lane)
{
    struct statement *s = store_statement(lane->deliver->store,
        "SELECT seq, connector, kind, at, ref, person, segment, body, id FROM dead_letter WHERE connector = ?1 AND again = 1 ORDER BY id LIMIT 1");
    bool row = false;
    bind_i64(s, 1, lane->state.connector);
    if (!kept(statement_step(s, &row), "again")) row = false;
    if (row) {
        lane->rows = arena_new(&lane->a, struct outbox_row, 1);
        row_read(s, &lane->a, lane->rows);
        lane->rows_n = 1;
        lane->again = column_i64(s, 8);
    }
    statement_reset(s);
    return row;
}

static void lane_step(struct lane *lane, i64 now_ms)
{
    const struct connector *c = &lane->connector;
    bool sends = c->type != CONNECTOR_POLL && c->url.len > 0 && !c->paused, more = true;
    if (lane->under_way || !sends || lane->state.next_at_ms > now_ms) return;
    for (int batches = 0; more && batches < WITHHELD_BATCHES; batches++) {
        isize most = lane->singly ? 1 : c->batch;
        enum err err = rows_after(lane->deliver->outbox, lane->state.connector, lane->state.done,
                                  most, &lane->a, &lane->rows, &lane->rows_n);
        if (err) { log_error("deliver.outbox err=%s", err_name(err)); return; }
        more = (lane->rows_n || find_again(lane)) && send_rows(lane, now_ms);
    }
    if (!lane->under_way) arena_clear(&lane->a);
}

static void lane_count(struct lane *lane, i64 now_ms)
{
    struct deliver *d = lane->deliver;
    if (now_ms - lane->counted_at_ms < COUNT_MS) return;
    i64 after = (i64)lane->state.done;
    i64 waiting = number_of(
        d->outbox,
        "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE connector = ?1 AND seq > ?2 LIMIT 100000)",
        lane->state.connector, after);
    i64 oldest = number_of(
        d->outbox, "SELECT at FROM outbox WHERE connector = ?1 AND seq > ?2 ORDER BY seq LIMIT 1",
        lane->state.connector, after);
    i64 dead = lane->state.dead
                   ? number_of(d->store,
                               "SELECT count(*) FROM dead_letter WHERE connector = ?1 AND id > ?2",
                               lane->state.connector, 0)
                   : 0;
    pthread_mutex_lock(&d->lock);
    lane->state.waiting = waiting;
    lane->state.oldest_at_ms = waiting ? oldest : 0;
    lane->state.dead = dead;                            /* fewer, when somebody was erased */
    pthread_mutex_unlock(&d->lock);
    lane->counted_at_ms = now_ms;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void run_command(struct deliver *d, struct command command)
{
    struct lane *lane = lane_of(d, command.connector);
    if (!lane) return;
    lane->state.next_at_ms = 0;
    if (command.kind == COMMAND_REPLAY) {
        lane->state.done = (u64)command.n;
        lane_save(lane);
        return;
    }
    struct statement *s = store_statement(
        d->store, "UPDATE dead_letter SET again = 1 WHERE connector = ?1 AND (id = ?2 OR ?2 = 0)");
    bind_i64(s, 1, command.connector);
    bind_i64(s, 2, command.n);
    (void)kept(statement_run(s), "again");
}

/* A request that is under way would move the lane on from where it was: the command waits for its answer. */
static void run_commands(struct deliver *d)
{
    isize kept = 0;
    pthread_mutex_lock(&d->lock);
    for (isize i = 0; i < d->commands_n; i++) {
        struct lane *lane = lane_of(d, d->commands[i].connector);
        if (lane && lane->under_way) d->commands[kept++] = d->commands[i];
        else run_command(d, d->commands[i]);
    }
    d->commands_n = kept;
    pthread_mutex_unlock(&d->lock);
}

static void copy_texts(struct connector *c, arena *a)
{
    c->key = arena_str(a, c->key);
    c->url = arena_str(a, c->url);
    c->secret = arena_str(a, c->secret);
    c->authorization = arena_str(a, c->authorization);
}

/* What is published now; lanes with a request under way keep what they began it with. */
static void read_connectors(struct deliver *d)
{
    for (isize i = 0; i < d->lanes_n; i++) d->lanes[i].present = false;
    rcu_read_begin();
    const struct book *book = atomic_load(d->options.book);
    for (isize i = 0; i < book->connectors_n; i++) {
        pthread_mutex_lock(&d->lock);
        struct lane *lane = lane_of(d, book->connectors[i].number);
        pthread_mutex_unlock(&d->lock);
        if (!lane) continue;
        lane->present = true;
        if (lane->under_way) continue;
        lane->connector = book->connectors[i];
        arena_clear(&lane->texts);
        copy_texts(&lane->connector, &lane->texts);
    }
    rcu_read_end();
}

static void *deliver_thread(void *ctx)
{
    thread_is("deliver", THREAD_BEHIND);
    struct deliver *d = ctx;
    rcu_thread_start();
    while (!atomic_load(&d->stopping)) {
        i64 now_ms = clock_now(d->options.clock);
        read_connectors(d);
        run_commands(d);
        for (isize i = 0; i < d->lanes_n; i++) {
            if (!d->lanes[i].present) continue;
            lane_step(&d->lanes[i], now_ms);
            lane_count(&d->lanes[i], now_ms);
        }
        sender_run(d->sender, IDLE_MS);
    }
    rcu_thread_stop();
    return NULL;
}

enum err deliver_open(const struct deliver_options *options, struct deliver **out, struct diag *diag)
{
    struct deliver *d = mem_new(sizeof *d);
    *out = d;
    d->options = *options;
    pthread_mutex_init(&d->lock, NULL);
    enum err err = store_open(options->path, STORE_WRITER, &d->store, diag);
    if (!err) err = store_migrate(d->store, schema, countof(schema), diag);
    if (!err) err = lanes_load(d);
    if (!err) err = store_open(options->store_path, STORE_READER, &d->outbox, diag);
    d->sender = sender_new();
    return err;
}

void deliver_start(struct deliver *d)
{
    assert(!d->started);
    d->started = true;
    pthread_create(&d->thread, NULL, deliver_thread, d);
}

void deliver_stop(struct deliver *d)
{
    if (!d || !d->started) return;
    atomic_store(&d->stopping, true);
    sender_wake(d->sender);
    pthread_join(d->thread, NULL);
    d->started = false;
}

void deliver_close(struct deliver *d)
{
    if (!d) return;
    assert(!d->started);
    sender_free(d->sender);
    if (d->outbox) store_close(d->outbox);
    if (d->store) store_close(d->store);
    for (isize i = 0; i < d->lanes_n; i++) {
        arena_fini(&d->lanes[i].a);
        arena_fini(&d->lanes[i].texts);
    }
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

/* ---- from other threads ---------------------------------------------------------------------- */

struct delivery_state deliver_state(struct deliver *d, u16 connector)
{
    struct delivery_state state = { .connector = connector };
    pthread_mutex_lock(&d->lock);
    for (isize i = 0; i < d->lanes_n; i++)
        if (d->lanes[i].state.connector == connector) state = d->lanes[i].state;
    pthread_mutex_unlock(&d->lock);
    return state;
}

static enum err command(struct deliver *d, struct command command)
{
    pthread_mutex_lock(&d->lock);
    bool room = d->commands_n < COMMANDS_MAX;
    if (room) d->commands[d->commands_n++] = command;
    pthread_mutex_unlock(&d->lock);
    if (room) sender_wake(d->sender);
    return room ? ERR_OK : ERR_OVERLOADED;
}

enum err deliver_replay(struct deliver *d, u16 connector, i64 since_ms)
{
    struct store *outbox;
    struct diag diag = { 0 };
    enum err err = store_open(d->options.store_path, STORE_READER, &outbox, &diag);
    if (err) return err;
    i64 first = number_of(outbox, "SELECT min(seq) FROM outbox WHERE connector = ?1 AND at >= ?2",
                          connector, since_ms);
    store_close(outbox);
    if (first == 0) return ERR_NOT_FOUND;
    return command(d, (struct command){ COMMAND_REPLAY, connector, first - 1 });
}

enum err deliver_dead_again(struct deliver *d, u16 connector, i64 id)
{
    return command(d, (struct command){ COMMAND_AGAIN, connector, id });
}

isize deliver_dead(struct deliver *d, u16 connector, isize limit, arena *a, const struct undelivered **out)
{
    struct undelivered *list = arena_new(a, struct undelivered, limit);
    struct store *store;
    struct diag diag = { 0 };
    isize n = 0;
    bool row;
    *out = list;
    if (store_open(d->options.path, STORE_READER, &store, &diag)) return 0;
    struct statement *s = store_statement(store,
        "SELECT id, seq, kind, at, died_at, person, segment, reason, again FROM dead_letter WHERE connector = ?1 ORDER BY id DESC LIMIT ?2");
    bind_i64(s, 1, connector);
    bind_i64(s, 2, limit);
    while (!statement_step(s, &row) && row)
        list[n++] = (struct undelivered){ column_i64(s, 0),          (u64)column_i64(s, 1),
                                          (u8)column_i64(s, 2),      column_i64(s, 3),
                                          column_i64(s, 4),          { (u32)column_i64(s, 5) },
                                          { (u16)column_i64(s, 6) }, arena_str(a, column_str(s, 7)),
                                          column_i64(s, 8) != 0 };
    store_close(store);
    return n;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

struct forgetting {
    bool (*theirs)(void *ctx, const struct outbox_row *row, str reason);
    void *ctx;
    struct {
        i64 *at;
        isize n, cap;
    } ids;
};

static enum err find_theirs(struct store *store, struct forgetting *f)
{
    struct statement *s = store_statement(
        store,
        "SELECT seq, connector, kind, at, ref, person, segment, body, id, reason FROM dead_letter");
    arena a = { 0 };
    bool row;
    enum err err;
    while (!(err = statement_step(s, &row)) && row) {
        struct outbox_row letter;
        arena_clear(&a);
        row_read(s, &a, &letter);
        if (f->theirs(f->ctx, &letter, column_str(s, 9))) vec_push(&f->ids, column_i64(s, 8));
    }
    arena_fini(&a);
    return err;
}

enum err deliver_forget(const char *path,
                        bool (*theirs)(void *ctx, const struct outbox_row *row, str reason),
                        void *ctx, struct diag *diag)
{
    struct forgetting f = { theirs, ctx, { 0 } };
    struct store *store;
    enum err err = store_open(path, STORE_READER, &store, diag);
    if (err == ERR_NOT_FOUND) return ERR_OK;
    if (err) return err;
    store_close(store);
    err = store_open(path, STORE_WRITER, &store, diag);
    if (err) return err;
    err = store_migrate(store, schema, countof(schema), diag);
    if (!err) err = store_begin(store);
    if (!err) err = find_theirs(store, &f);
    for (isize i = 0; !err && i < f.ids.n; i++) {
        struct statement *s = store_statement(store, "DELETE FROM dead_letter WHERE id = ?1");
        bind_i64(s, 1, f.ids.at[i]);
        err = statement_run(s);
    }
    if (!err) err = store_commit(store);
    if (err) store_abort(store);
    if (!err && f.ids.n) err = store_wal_truncate(store, diag);
    store_close(store);
    vec_fini(&f.ids);
    return err;
}

struct polling { const struct connector *c; struct outbox_row *rows; isize n; arena *a; struct buf *out; };

static void write_poll(void *arg, const struct deliver_view *view)
{
    struct polling *p = arg;
    (void)deliver_body(view, p->c, p->rows, p->n, p->a, p->out);
}

enum err deliver_poll(struct deliver *d, const struct connector *c, u64 after, isize limit,
                      arena *a, struct buf *out, u64 *next)
{
    struct store *outbox;
    struct diag diag = { .arena = a };
    struct polling p = { .c = c, .a = a, .out = out };
    enum err err = store_open(d->options.store_path, STORE_READER, &outbox, &diag);
    if (err) return err;
    err = rows_after(outbox, c->number, after, limit, a, &p.rows, &p.n);
    store_close(outbox);
    if (err) return err;
    *next = p.n ? p.rows[p.n - 1].seq : after;
    return d->options.ask(d->options.ctx, write_poll, &p) ? ERR_OK : ERR_NOT_READY;
}
