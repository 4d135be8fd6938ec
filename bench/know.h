/* SPDX-License-Identifier: Apache-2.0
 *
 * know.h - knowing people, measured: the same crowd given to Opmaat, to SQLite and to PostgreSQL, and the same questions asked of all.
 *
 *   crowd.c      the people and what they did: seeded, long-tailed, the same on every machine
 *   question.c   the questions, each as a rule and as SQL
 *   sql.c        the two databases: loading, asking, counting
 *   flips.c      everybody's membership lapses in one minute
 *   know.c       the fold, the questions, memory, and the report
 */
#ifndef BENCH_KNOW_H
#define BENCH_KNOW_H

#include "bench.h"
#include "fold/fold.h"

/* ---- the crowd -------------------------------------------------------------------------------------------- */

enum { CROWD_CATEGORIES = 100, CROWD_DAYS = 180 };

/* One thing somebody did. An order is one ORDER_COMPLETED with its value, and behind it a PRODUCT_PURCHASED for each line. */
struct deed { i64 at_ms; u32 person, item, order; i32 value_minor; u16 type, quantity; };
struct body { bool known; u8 gender, town, age; };      /* gender 0: not said, 1 female, 2 male; age 0: not said */
struct crowd {
    u32 people, items;                                  /* people 1 .. people, items 1 .. items - 1; 0: none */
    i64 now_ms;
    const struct body *body;                            /* by person; [0] is nobody */
    const struct deed *deed; isize deeds;               /* in order of time */
    isize calls;                                        /* deeds that are events of their own: all but the lines of orders */
};

/* About `calls` deeds; `a` holds it. */
struct crowd crowd_make(u32 people, u32 items, isize calls, u64 seed, arena *a);
i32 crowd_price(u32 item);                              /* minor units */
/* Its log: the settings, `segments` segments, the items, the deeds (at most `calls` of them), and at last a segment of each of these rules, published
 * at the crowd's now. Two entries a rule, the second
 * puts it in force. Returns the number of the last entry. */
u64 crowd_log(const struct crowd *crowd, const char *folder, isize segments, isize calls, const str *keys, const str *rules, isize n);
/* person.csv, item.csv, event.csv */
void crowd_csv(const struct crowd *crowd, const char *folder);

/* ---- the questions ---------------------------------------------------------------------------------------- */

/* Who the rule held for, `ago` days before the crowd's now; and_rule: of them, whom that held for too; since: who is another one now. */
enum question_kind { QUESTION_NOW, QUESTION_THEN, QUESTION_BOTH_THEN, QUESTION_MOVED };
struct question { const char *name; u8 kind; i32 ago_days; str rule, and_rule, sql, and_sql; };
extern const struct question questions[];
extern const isize questions_n;
/* One statement that answers with one number. */
str question_sql(const struct question *q, i64 now_ms, arena *a);

/* ---- databases -------------------------------------------------------------------------------------------- */

struct asked { i64 count; f64 ms; };
struct sqlite_side;
struct sqlite_side *sqlite_side_open(const struct crowd *crowd, const char *folder, f64 *load_s);
struct asked sqlite_side_ask(struct sqlite_side *s, str sql);
void sqlite_side_close(struct sqlite_side *s);

/* A cluster of its own, on a socket in its folder. False, and why, when PostgreSQL is not there. */
struct postgres { const char *bin, *folder; bool as_other; };
bool postgres_open(struct postgres *p, const char *csv_folder, arena *a, f64 *load_s, str *why);
void postgres_ask(const struct postgres *p, const str *sql, isize n, isize rounds, struct asked *out, arena *a);       /* out[round * n + question] */
void postgres_close(struct postgres *p, arena *a);

/* ---- a minute in which much is due ------------------------------------------------------------------------ */

/* Decisions at `rate` a second while each of `people` lapses within `minute_ms`, and as long before. Prints its line. */
void flips_run(struct server *server, const char *work, u32 people, f64 rate, i64 minute_ms, arena *a);

#endif
