/* SPDX-License-Identifier: Apache-2.0
 *
 * event.h - the noun everyone shares: one thing that happened.
 *
 * Every format a shop can send becomes a struct event at the edge (ingest/); the log keeps it
 * encoded; the fold turns it into state. All strings are borrowed: from the request while it is
 * handled, from the record while it is folded.
 *
 *   reads    base/
 *   feeds    everyone
 *   threads  plain data
 *   memory   the caller's arena
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/codec.h"
#include "base/err.h"

enum event_type {
    EVENT_NONE,
#define TYPE(id, name, spelled) EVENT_##id,
#include "event/event.def"
#undef TYPE
    EVENT_TYPES,
    EVENT_CUSTOM_FIRST = 256        /* a shop's own event names: 256 + the number the fold gave the name */
};

enum identifier_kind {
#define IDENTIFIER(id, name, strength, limit) IDENTIFIER_##id,
#include "event/identifier.def"
#undef IDENTIFIER
    IDENTIFIER_KINDS
};

enum purpose {
#define PURPOSE(id, name, text) PURPOSE_##id,
#include "event/purpose.def"
#undef PURPOSE
    PURPOSES
};

enum score {
#define SCORE(id, name, kind, text) SCORE_##id,
#include "event/score.def"
#undef SCORE
    SCORES
};

enum channel {
#define CHANNEL(id, name) CHANNEL_##id,
#include "event/channel.def"
#undef CHANNEL
    CHANNELS
};

enum {
    EVENT_IDENTIFIERS_MAX = 16,
    EVENT_ITEMS_MAX = 20000,        /* an imported order may be long; a request is bounded by its bytes */
    EVENT_TRAITS_MAX = 300,
    IDENTIFIER_BYTES_MAX = 255,
    EVENT_KEY_BYTES_MAX = 255,
};

/* Integer minor units of an ISO 4217 currency; currency 0: none said. */
typedef struct { u16 v; } currency;
struct money { i64 minor; currency currency; };

currency currency_of(str code);                         /* "EUR"; 0 when it is not three letters */
str currency_code(currency c, char text[4]);            /* the text lives in `text` */
int currency_digits(currency c);                        /* 2; 0 for JPY, KRW, ISK…; 3 for KWD, BHD… */

struct identifier { u8 kind; bool verified; str value; };

/* A typed fact as it came. `text` holds a string, or the JSON of a list or an object. */
enum fact_kind { FACT_NULL, FACT_BOOL, FACT_NUMBER, FACT_TEXT, FACT_JSON };
struct fact { str name; u8 kind; bool b; f64 n; str text; };

struct event_item {
    str product_key, variant_key, title, category, brand, url, image;
    bool priced;
    i64 price_minor;                                    /* of one piece, in the event's currency */
    i32 quantity;                                       /* 0 when none was said */
    i32 position;
};

enum event_flag {
    EVENT_BOT = 1,                  /* declared or behavioural: kept apart from models and metrics */
    EVENT_TEST = 2,                 /* came by a key of the test environment */
    EVENT_CLAMPED = 4,              /* its clock was ahead of ours; at_ms was set to our time */
    EVENT_IMPORTED = 8,             /* loaded from a file: at_ms is the file's, however old */
    EVENT_REPLACES = 16,            /* an order's lines replace the ones known, rather than add to them */
    /* somebody looked at it and takes it: the checks of its source are passed over */
    EVENT_CHECKED = 32,
};

struct event {
    u16 type;                       /* enum event_type; EVENT_CUSTOM_FIRST until the fold knows the name */
    u8 channel, flags;
    i64 at_ms;                      /* when it happened, by the corrected clock of the sender */
    str name;                       /* as sent: "Product Viewed" */
    str key;                        /* the sender's messageId; with `source` it says "the same event" */
    str source;                     /* key of the source definition it came through */
    struct identifier *identifiers;
    isize identifiers_n;
    str previous_id;                /* alias: the user id or anonymous id from before */
    u16 consent_granted, consent_denied;    /* bit sets over enum purpose, as this event says */
    str consent_source;             /* "tag", "gpc", "segment", "rudderstack", "api" */
    str session;
    str order_key;
    currency currency;
    bool valued;
    /* revenue of an order, value of a cart, whatever the type means by worth */
    i64 value_minor;
    i64 tax_minor, shipping_minor, discount_minor;
    /* orders: how new what is said is (the sender's updated_at); 0: not said */
    i64 said_at_ms;
    str coupon, cart;
    struct event_item *items;
    isize items_n;
    struct fact *traits;            /* identify: what is said about the person */
    isize traits_n;
    str ticket;                     /* decision_viewed, decision_clicked */
    str query;                      /* products_searched */
    str category;                   /* product_list_viewed */
    str url, referrer, utm_source, utm_medium, utm_campaign, click_id;
    str locale, market, country, device, store;
    str properties;                 /* the sender's own properties, as JSON text, whole */
};

/* The strongest identifier on the event, by identifier.def; null when it has none. */
const struct identifier *event_strongest(const struct event *e);

/* "product_viewed"; "custom" from EVENT_CUSTOM_FIRST on */
const char *event_type_name(u16 type);
/* Any spelling: "Product Viewed", "product_viewed", "ProductViewed". EVENT_NONE when it is none of ours. */
u16 event_type_of(str name);
const char *identifier_name(u8 kind);
bool identifier_kind_of(str name, u8 *out);
int identifier_strength(u8 kind);
/* Names a person wherever they are; not a browser or a device. */
static inline bool identifier_is_strong(u8 kind)
{
    return kind != IDENTIFIER_ANONYMOUS_ID && kind != IDENTIFIER_DEVICE_ID;
}
/* May decide whose an event is: proved, or a browser's own. A strong one that is only claimed may not. */
static inline bool identifier_may_speak(struct identifier v)
{
    return v.verified || !identifier_is_strong(v.kind);
}
int identifier_limit(u8 kind);
const char *purpose_name(int purpose);
const char *purpose_text(int purpose);
bool purpose_of(str name, u8 *out);
const char *score_name(int score);
const char *score_text(int score);
bool score_is_money(int score);                         /* else a number */
bool score_of(str name, u8 *out);
const char *channel_name(u8 channel);
bool channel_of(str name, u8 *out);

void event_encode(const struct event *e, struct buf *out);
/* Borrows strings from `bytes`. ERR_DAMAGED when they are not an event of this or the last format. */
MUST_USE enum err event_decode(str bytes, arena *a, struct event *out);

struct json;
struct jsonw;
/* strings of `v` are borrowed, a list or an object is printed in `a` */
struct fact fact_read(arena *a, str name, const struct json *v);
void fact_print_value(const struct fact *f, struct jsonw *w);   /* the value alone */
void fact_print(const struct fact *f, struct jsonw *w);         /* with its name as the key */

/* The event as JSON in our own words, for the console, dead letters and exports. */
void event_print(const struct event *e, struct jsonw *w);

/* The event as the call that sends it again under another messageId (call.c); what it holds is made
 * in `a`. */
void event_print_call(const struct event *e, str key, arena *a, struct jsonw *w);

/* ---- a tracking plan: which events a source may send, and what they hold (plan.c) ------------ */
struct json;
struct plan;
/* Borrows from `doc`. ERR_BAD_INPUT with the reason. */
MUST_USE enum err plan_read(arena *a, const struct json *doc, const struct plan **out, struct diag *diag);
/* What of the event is outside the plan, in words without its values, made in `a`; empty: nothing,
 * or there is no plan. */
str plan_check(const struct plan *plan, const struct event *e, arena *a);
bool plan_refuses(const struct plan *plan);             /* what is outside is refused, not only counted */

/* ---- one line of a person's compact history ------------------------------------------------
 *
 * 40 bytes, the same in RAM, in SQLite and under a rule's eye. An order is one ORDER_COMPLETED
 * entry with its value and one PRODUCT_PURCHASED entry for each line; returns are negative. */
struct history_entry {
    i64 at_ms;
    u64 ref;                        /* the log's event number; for order entries the order's id */
    i64 value_minor;
    u32 item;                       /* item_id, 0: none */
    i32 quantity;
    u16 type;
    u16 currency;
    u8 channel;
    u8 node;                        /* which of the person's merged parts it belongs to */
    u16 flags;                      /* enum history_flag */
};
static_assert(sizeof(struct history_entry) == 40, "stored as it is");
/* TEACHES: when it came, models might learn from it until the person says no to that (consent_teaches). */
enum history_flag { HISTORY_ORDER = 1, HISTORY_CONTENT = 2, HISTORY_BOT = 4, HISTORY_TEACHES = 8 };
/* The upper half of the flags: which of the carts of its node it was done with, from 1; 0 when no
 * cart was named. */
enum { HISTORY_CART_SHIFT = 8 };
/* Our own note that somebody came into a segment or left it (quantity: its number); nothing that they did. */
static inline bool history_is_move(const struct history_entry *e)
{
    return e->type == EVENT_SEGMENT_ENTERED || e->type == EVENT_SEGMENT_LEFT;
}
static inline u8 history_cart(const struct history_entry *e) { return (u8)(e->flags >> HISTORY_CART_SHIFT); }

/* By time, then ref, then type, item and the rest: one order only, whoever merges. */
int history_cmp(const struct history_entry *a, const struct history_entry *b);

#endif
