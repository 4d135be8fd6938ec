/* SPDX-License-Identifier: Apache-2.0
 *
 * inside.h - the state, whole, for the files of this room. */
#ifndef FOLD_INSIDE_H
#define FOLD_INSIDE_H

#include <pthread.h>

#include "base/finder.h"
#include "base/queue.h"
#include "base/rows.h"
#include "fold/fold.h"

/* Goes up with every change of what the same log folds to, or of the bytes it is kept in: state of
 * an older form is folded anew. 1: before forms were told; 2: a person keeps no matches, history
 * says what models may learn from; 3: an order keeps where it was made; 4: what events made knows
 * the entry that made it, and time moves people on their own; 5: a person is packed
 * (profile/pack.c); 6: an order tells its node first, and keeps 64 bits of what was said; 7: a line
 * of the ledger begins with its identifier; 8: times of memberships are told in days. */
enum { STATE_FORM = 8 };
/* What golden_test.c's log folds to in this form. Never changed without the form: that test says how. */
#define STATE_GOLDEN "7892f09189a82d10c8098421a812d8a6"

enum {
    DECIDED_MAX = 100000,
    DEAD_KEPT = 1000,
    WARNINGS_MAX = 1000,
    LATEST_MAX = 64,
    CUSTOM_NAMES_MAX = 4096,
    CARDS_MAX = 32
};

/* Each as bytes (order_encode), the same that the store has. */
struct orders {
    struct rows *all;                                   /* by id */
    /* by order key alone, whatever the source; erased ones are not there */
    struct finder *by_number;
    struct buf work;
    struct { u32 *at; isize n, cap; } dirty;
    isize dirty_at;
    struct hash128 digest;
};

struct cells {
    struct { struct cell *at; isize n, cap; } all;
    struct map *by_key;
    struct { u32 *at; isize n, cap; } dirty;
    struct hash128 digest;
};

/* Event keys seen, each with the day it came: de-duplication for dedup_days. Keys for the store
 * wait in `added`, whole. */
enum { SEEN_PARTS = 1 << 13 };
/* late: what came since the others were packed, in whose block those are too. packed_on: the day
 * from which their ages count. */
struct seen_part { u64 *late; u32 late_n, cap, packed; i32 packed_on; u8 group_bits, age_bits; };
struct seen_day { i32 day; struct hash128 sum; };
struct seen_key { struct hash128 key; i32 day; };
struct seen {
    struct seen_part *parts;
    struct { struct seen_key *at; isize n, cap; } added;
    struct { struct seen_day *at; isize n, cap; } days; /* the digest, by day */
    /* what is older than the oldest counts as not there */
    i32 today, oldest;
    struct { u64 *at; isize n, cap; } work;             /* a part that is made anew */
    isize next_part;                                    /* whose turn it is to be rid of that */
    struct hash128 digest;
};

/* Rows for connectors, numbered over all of them; the digest is the sum over every row there ever was. */
struct outbox {
    u64 seq;
    struct hash128 digest;
    struct { struct outbox_row *at; isize n, cap; } added;      /* for the store */
};

struct due { i64 at_ms; u32 person; };
struct due_place { u32 low, high, person; };            /* the same in 12 bytes */
/* later: how many of them are passed over when their time comes, since the person is in it for a
 * sooner one. */
struct timers { struct due_place *at; isize n, cap, later; struct { i64 *at; isize n, cap; } queued; };

/* One experience that is not fixed. learnt.arms 0: nothing learnt. */
struct trial {
    u32 campaign;
    u8 experience;
    struct allotment learnt;
    struct {
        struct epoch *at;
        isize n, cap;
    } epochs;
};

struct flush;
struct purge;
struct eraser;
struct builder;
struct foresight;
struct learner;
struct indexer;

struct fold {
    const struct config *config;
    struct clock clock;
    struct log *log;
    struct log_writer *writer;
    struct store *store;
    struct live live;
    struct definitions *definitions;
    struct orders orders;
    struct cells cells;
    struct seen seen;
    struct outbox outbox;
    struct timers timers;
    struct totals totals;
    struct { struct source_count *at; isize n, cap; } sources;
    /* custom event names: type EVENT_CUSTOM_FIRST + index */
    struct { str *at; isize n, cap; } names;
    struct { u64 *at; isize n, cap; } name_refs;        /* the entry that said each first */
    struct map *names_by_text;
    struct { struct card *at; isize n, cap; } cards;    /* of the predictions' models, oldest first */
    struct { struct trial *at; isize n, cap; } trials;
    struct { struct learnt_mix *at; isize n, cap; } weights;
    bool names_dirty, sources_dirty, cards_dirty, trials_dirty, weights_dirty, rest_dirty;
    struct { struct dead_letter *at; isize n, cap; } dead;
    /* handed to the flush thread; known to be in the store */
    isize dead_flushed, dead_stored;
    /* refs of letters taken after all, until the store knows */
    struct { u64 *at; isize n, cap; } dead_taken;
    isize dead_taken_flushed;
    struct { struct warning *at; isize n, cap; } warnings;
    struct map *warnings_by_key;
    bool warnings_dirty;
    const char *store_path;                             /* null: nothing is kept */
    const char *deliver_path;                           /* null: nothing is sent */
    struct decided *decided;                            /* ring of DECIDED_MAX, allocated when first used */
    isize decided_n, decided_flushed;                   /* ever */
    struct map *decided_by_key;
    struct { u64 *at; isize n, cap; } decided_touched;  /* keys seen or clicked since the last flush */
    struct latest latest[LATEST_MAX];
    isize latest_n;                                     /* ever */
    f32 tag_ms[TAG_PAGES_MAX]; isize tag_pages;         /* a ring; ever */
    u64 ref;
    /* since the last time that what waits was given back; it is being given back */
    bool book_replaced, settling;
    /* of the entry that last changed what is published: the book's version */
    u64 book_ref;
    i64 now_ms;
    u64 flushed_ref;
    i64 flushed_at_us;
    /* the entry being folded, for whoever survives us; null: nobody does */
    _Atomic u64 *marker;
    arena scratch;                                      /* one entry */
    arena ahead;                                        /* events that are read before their turn */
    arena batch;                                        /* one flush */
    struct flush *flush;
    struct queue *queue;
    void *taken[256]; isize taken_n, taken_at;          /* of the queue: what is being worked on */
    bool told_to_stop, still;
    pthread_t thread;
    bool started;
    /* without room on the disk the writer says so, on its own thread */
    _Atomic bool tick_asked;
    struct append tick_append;
    struct builder *builder;
    u64 trained_ref;                /* the builder's: the last entry that the model certainly knows */
    struct foresight *foresight;
    struct learner *learner;
    struct indexer *indexer;
    struct eraser *eraser;
    struct { struct erasure **at; isize n, cap; } erasures;     /* oldest first */
    isize erasures_dirty;                               /* the first that the store does not have as it is */
    struct { u32 *at; isize n, cap; } gone;             /* nodes whose rows the store is to drop */
    _Atomic(struct purge *) purge;                      /* what the store is to be searched for */
    _Atomic i32 erase_progress;
};

/* apply.c */
void fold_apply(struct fold *fold, const struct record *record);
void fold_rebuild_book(struct fold *fold);
void fold_drain(struct fold *fold);         /* on the fold's thread: what waits for it now */
void apply_event(struct fold *fold, str bytes, u64 ref, i64 now_ms);
/* A decision that is not there any more takes its place among those kept. */
void decided_blank(struct fold *fold);
void order_gone(struct fold *fold, order_id id, i64 now_ms);    /* out of the history of whoever has it */
/* ref: the entry that says it, kept when it is the first */
u16 fold_name_of(struct fold *fold, str name, u64 ref);

/* The facts an event says of whoever it is, as the fold takes them; the count. */
isize event_facts(const struct event *e, u32 node, arena *a, const struct trait **out);

/* carts.c: the number of the event's cart among those of its node, put among the person's traits
 * when new; 0: none was named. */
u8 cart_number(struct profile_edit *edit, arena *a, const struct event *e, u32 node);

struct source_count *source_slot(struct fold *fold, str source);

/* letters.c */
void letter_apply(struct fold *fold, str bytes, u64 ref, i64 now_ms);
void letter_add(struct fold *fold, const struct dead_letter *letter);      /* copies */
void letters_fini(struct fold *fold);
MUST_USE enum err dead_letter_decode(str bytes, struct dead_letter *out);

/* quality.c: false when the event went to the dead letters instead. */
bool quality_check(struct fold *fold, struct event *e, u64 ref, i64 now_ms);
struct warning *warning_put(struct fold *fold, u16 source, str what);
void warnings_fini(struct fold *fold);

/* orders.c: applies an order event; `changed` when anything did. The entity as it stood before is
 * in `before` (lines in a). */
struct order_effect { const struct order *order; bool changed, created; struct order before; };
struct whose { u32 node; u8 cart; };                    /* 0, 0: nobody's */
struct order_effect orders_apply(struct fold *fold, const struct event *e, const u32 *items,
                                 struct whose whose, u64 ref, arena *a);
void orders_init(struct orders *orders);
void orders_fini(struct orders *orders);
void order_encode(const struct order *order, struct buf *out);
enum err orders_load(struct orders *orders, str bytes, arena *scratch);
u32 orders_dirty_next(struct orders *orders);
/* Of somebody who is erased nothing stays but the number; and the number alone is used up, in a
 * replay without them. */
void orders_erase(struct orders *orders, order_id id);
void orders_burn(struct orders *orders, u64 ref);
isize orders_n(const struct orders *orders);
const struct order *orders_get(const struct orders *orders, order_id id, arena *a);     /* as fold_order */
u32 orders_node(const struct orders *orders, order_id id);
/* Of whatever source, the latest made first; the count. */
isize orders_numbered(const struct orders *orders, str order_key, arena *a, const struct order ***out);
/* The history entries that stand for an order. */
isize order_entries(const struct order *order, u8 node_index, arena *a, struct history_entry **out);

/* results.c */
void cells_init(struct cells *cells);
void cells_fini(struct cells *cells);
/* Takes away what a person's exposures put in, or puts it in. */
void cells_count(struct fold *fold, const struct exposure *exposures, isize n, int sign);
void exposures_recount(struct profile_edit *edit, const struct history_entry *history,
                       isize history_n, i64 window_ms);
void cell_encode(const struct cell *cell, struct buf *out);
enum err cells_load(struct cells *cells, str bytes);
u32 cells_dirty_next(struct cells *cells);
void exposure_viewed(struct profile_edit *edit, arena *a, const struct ticket *ticket, u32 node,
                     i64 at_ms, bool clicked);

/* timers.c */
void timers_push(struct timers *timers, i64 at_ms, u32 person);
i64 timers_next(const struct timers *timers);           /* TIME_NEVER when empty */
bool timers_pop(struct timers *timers, i64 now_ms, struct due *out);

/* seen.c */
void seen_init(struct seen *seen);
void seen_fini(struct seen *seen);
isize seen_count(const struct seen *seen);              /* goes through all of them */
struct hash128 seen_key(str source, str key);
void seen_call_for(const struct seen *seen, struct hash128 key);        /* into the cache: it is put soon */
/* false: it was seen within dedup_days */
bool seen_put(struct fold *fold, struct hash128 key, i64 now_ms);
void seen_day(struct fold *fold, i64 now_ms);           /* what seen_put does when a day begins */
void seen_load(struct seen *seen, struct hash128 key, i32 day);

/* outbox.c: what an event, moves between segments, and a change of consent mean for connectors. */
void outbox_fini(struct outbox *outbox);
void outbox_event(struct fold *fold, const struct event *e, person_id person);
void outbox_moves(struct fold *fold, person_id person, const struct segment_change *moves, isize n,
                  i64 now_ms);
void outbox_consent(struct fold *fold, const struct profile *p, i64 now_ms);

/* erase.c: who is erased, and what that does to the state. */
/* What can be told of somebody without saying who: hashes under the folder's key. */
/* of an identifier; since: the entry that attached it; denied: it is refused from now on */
struct theirs { struct hash128 hash; u64 since; bool denied; };
struct erasing {
    struct erasure is;
    u32 *nodes, *links, *orders; isize nodes_n, links_n, orders_n;
    struct theirs *theirs; isize theirs_n;
    /* their identifiers as they may stand in a text; keys of their orders */
    struct hash128 *words, *order_keys; isize words_n, order_keys_n;
    /* counts as they were right before, which no replay without them would come to; empty: another
     * entry has them */
    str rest;
};
enum err erasing_read(str bytes, arena *a, struct erasing *out);
struct hash128 erase_hash(const struct fold *fold, struct identifier v);
struct hash128 erase_word(const struct fold *fold, str text);
struct hash128 erase_order_key(const struct fold *fold, str key);
void erase_collect(const struct fold *fold, const struct erase_request *request, arena *a,
                   struct erasing *out);
/* On the fold's thread, with nothing being written: one record that tells of all of them, folded. */
enum err erase_submit(struct fold *fold, const struct erase_request *requests, isize n, u64 *refs);
void apply_erase(struct fold *fold, str bytes, u64 ref, i64 now_ms);
void apply_erased(struct fold *fold, str bytes);
/* the entry that says it is done, with its counts */
void erased_encode(const struct erasure *of, i64 at_ms, struct buf *out);
void erasure_encode(const struct erasure *erasure, struct buf *out);
enum err erasures_load(struct fold *fold, str bytes, arena *a);
void erasures_fini(struct fold *fold);

/* forget.c: the log and the store without them. */
enum err stub_check(str bytes, arena *a);               /* whether a stub reads; ERR_DAMAGED */
void apply_stub(struct fold *fold, str bytes, u64 ref, i64 now_ms);
enum err erase_finish(struct fold *fold, struct diag *diag);    /* what is still to be done of all erasures */
struct store;
/* on the flush thread, behind the batch that has them gone; false: again later */
bool purge_run(struct purge *purge, struct store *store);
void eraser_start(struct fold *fold);
void eraser_stop(struct fold *fold);

/* skip.c: before replaying; the entry must not be folded yet. */
MUST_USE enum err fold_skip(struct log *log, u64 ref, i64 now_ms, struct diag *diag);

/* fold.c: the digest without its people, and what is to be done when they are in it. */
struct fold_digest fold_digest_parts(const struct fold *fold);
void fold_digest_seal(struct fold_digest *digest, u64 ref);

/* build.c */
/* What models learn from, as it is now, and where it was done. On a thread known to rcu. */
struct lessons_of_all { struct interaction *at; isize n; struct place *places; isize places_n; };
struct lessons_of_all builder_interactions(struct fold *fold);
void lessons_of_all_free(struct lessons_of_all *all);
void builder_start(struct fold *fold);
void builder_stop(struct fold *fold);

/* trials.c */
/* puts what was learnt into a new book, and notes its shares */
void trials_follow(struct fold *fold, struct book *book);
/* puts what was learnt into a book that is only asked */
void trials_show(struct fold *fold, struct book *book);
void apply_allotment(struct fold *fold, str bytes);
void trials_encode(const struct fold *fold, struct buf *out);
enum err trials_load(struct fold *fold, str bytes, arena *a);
void trials_fini(struct fold *fold);

/* weights.c */
void weights_follow(const struct fold *fold, struct book *book);
void apply_weights(struct fold *fold, str bytes);
void weights_encode(const struct fold *fold, struct buf *out);
enum err weights_load(struct fold *fold, str bytes);
isize learn_weights(struct fold *fold);                 /* on the learner's thread: how many were submitted */
void weights_fini(struct fold *fold);

/* learn.c */
void learner_start(struct fold *fold);
void learner_stop(struct fold *fold);

/* index.c */
void indexer_start(struct fold *fold);
void indexer_stop(struct fold *fold);

/* outlook.c: on the builder's thread; the last when nobody reads any more */
void outlook_start(struct fold *fold);
void outlook_step(struct fold *fold);
void outlook_stop(struct fold *fold);
void outlook_free(struct fold *fold);

/* save.c */
enum err save_open(struct fold *fold, const char *path, struct diag *diag);
enum err save_load(struct fold *fold, struct diag *diag);
void save_start(struct fold *fold);
/* hands what changed to the flush thread when it is time */
void save_tick(struct fold *fold, bool now);
/* the flush thread still reads versions that may have been replaced */
bool save_reads(const struct fold *fold);
void save_read_wait(const struct fold *fold);
void save_stop(struct fold *fold);
/* The counts that do not follow from what stands in the log when somebody is erased, whole. */
void rest_encode(const struct fold *fold, struct buf *out);
enum err rest_load(struct fold *fold, str bytes, arena *a);

#endif
