/* SPDX-License-Identifier: Apache-2.0
 *
 * deliver.h - what leaves for other systems, and what became of it.
 *
 * The fold writes down what each connector wants (outbox rows, in the same transaction as the state
 * they come from); this room's thread reads them behind it and sends them on, in order, a batch at a
 * time. How far a connector has come is kept in a file of its own (deliver.db), so a crash repeats
 * at most the batch that was under way: its webhook-id is then the same.
 *
 * Each connector waits for its own server alone. What cannot be delivered goes to its dead letters,
 * with the reason, and can be sent again.
 *
 *   reads    base/, http/, store/, event/, identity/, consent/, profile/, segment/, decide/
 *   feeds    fold/ (the rows), api/
 *   threads  one of its own; deliver_* below from any other
 *   memory   the batches under way
 */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include "base/clock.h"
#include "decide/decide.h"

/* ---- rows ------------------------------------------------------------------------------------ */
/* AGAIN: look at the person once more; they may no longer (or only now) be told about. */
enum outbox_kind { OUTBOX_EVENT, OUTBOX_ENTERED, OUTBOX_LEFT, OUTBOX_PROFILE, OUTBOX_AGAIN };
const char *outbox_kind_name(u8 kind);                  /* "event", "segment_entered", … */
struct outbox_row {
    u64 seq;                        /* over all connectors, from 1, without gaps */
    u16 connector;                  /* number of its definition */
    u8 kind;
    i64 at_ms;
    u64 ref;                        /* the log entry that said so */
    person_id person;               /* 0: an event that names nobody */
    segment_id segment;
    str body;                       /* EVENT: event_encode's bytes */
};

/* ---- saying it in a receiver's words (render.c, ads.c) --------------------------------------- */
struct deliver_view {
    const struct book *book;
    const struct identity *identity;
    const struct people *people;
    i64 now_ms;
};
/* One row as a JSON value. False, with nothing written, when it must not leave: its person has not
 * said yes to the connector's purpose, or is no longer there. On the fold's thread, where all of it
 * stands still. */
bool deliver_render(const struct deliver_view *view, const struct connector *c,
                    const struct outbox_row *row, arena *a, struct jsonw *w);
/* The body of one request for these rows: {"deliveries": […]} or Segment's {"batch": […]}; for ads {"segment", "add", "remove"} lists.
 * Returns how many rows it tells of. */
isize deliver_body(const struct deliver_view *view, const struct connector *c,
                   const struct outbox_row *rows, isize n, arena *a, struct buf *out);

/* What advertising platforms match people by: SHA-256, in lower-case hex, of an e-mail address
 * (trimmed, lower case; for Google's own addresses without the dots before the @) or a phone number
 * (E.164: a plus and digits; a leading 00 is a plus). Empty when the text is neither. The rules are
 * those Google Customer Match and Meta Custom Audiences publish. */
str ads_hash(arena *a, u8 identifier_kind, str value, bool google);
enum ads_format { ADS_GOOGLE, ADS_META };
/* A file of the consenting members of a segment, for uploading by hand: header and a line a person.
 * Returns how many lines. */
isize ads_file(const struct deliver_view *view, const struct roll *roll, segment_id segment,
               u8 format, struct buf *out);

/* ---- the thread ------------------------------------------------------------------------------ */
struct deliver;
struct deliver_options {
    struct clock clock;
    const char *store_path;         /* the fold's: its outbox is read */
    const char *path;               /* deliver.db */
    const _Atomic(const struct book *) *book;
    /* Runs `run` where all state stands still, and waits for it; false once stopping. */
    bool (*ask)(void *ctx, void (*run)(void *arg, const struct deliver_view *view), void *arg);
    void *ctx;
};
MUST_USE enum err deliver_open(const struct deliver_options *options, struct deliver **out,
                               struct diag *diag);
void deliver_start(struct deliver *deliver);
/* what is under way is given up, and sent again after the next start */
void deliver_stop(struct deliver *deliver);
void deliver_close(struct deliver *deliver);

/* How a connector fares. */
struct delivery_state {
    u16 connector;
    u64 done;                       /* the last row that is dealt with */
    /* withheld: no consent; oldest: of those waiting */
    i64 waiting, delivered, withheld, dead, attempts, next_at_ms, last_at_ms, oldest_at_ms;
    i32 status;                     /* of the last answer; 0: none */
    char problem[200];              /* empty: it goes well */
};
struct delivery_state deliver_state(struct deliver *deliver, u16 connector);

/* Sends again everything kept in the outbox of that instant or later. ERR_NOT_FOUND: nothing is kept. */
MUST_USE enum err deliver_replay(struct deliver *deliver, u16 connector, i64 since_ms);
/* Dead letters of a connector, newest first; each may be sent again, or all (id 0). */
struct undelivered {
    i64 id;
    u64 seq;
    u8 kind;
    i64 at_ms, died_at_ms;
    person_id person;
    segment_id segment;
    str reason;
    bool again;
};
isize deliver_dead(struct deliver *deliver, u16 connector, isize limit, arena *a,
                   const struct undelivered **out);
MUST_USE enum err deliver_dead_again(struct deliver *deliver, u16 connector, i64 id);

/* The dead letters in the file at `path` that `theirs` says yes to are gone, from its write-ahead
 * log, too; no file is no letters. Beside a thread that sends, and without one: what it has under
 * way for somebody whose rows the outbox has no more becomes no dead letter. ERR_OVERLOADED:
 * somebody reads the file; try again. */
MUST_USE enum err deliver_forget(const char *path,
                                 bool (*theirs)(void *ctx, const struct outbox_row *row,
                                                str reason),
                                 void *ctx, struct diag *diag);

/* For a poll connector: the rows after a sequence number, rendered; *next is where to go on. */
MUST_USE enum err deliver_poll(struct deliver *deliver, const struct connector *c, u64 after,
                               isize limit, arena *a, struct buf *out, u64 *next);

#endif
