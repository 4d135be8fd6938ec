/* SPDX-License-Identifier: Apache-2.0
 *
 * event.c - names, and the byte form of an event.
 *
 * The byte form is a format number and the fields of struct event in order, by base/codec.h. A
 * new field goes at the end and raises FORMAT; a reader fills what an older format lacks with
 * zeros. An empty string costs one byte, so a page view takes some 200 bytes. */
#include "event/event.h"

#include "base/json.h"

enum { FORMAT = 2 };     /* 2: said_at_ms */

static const char *const type_names[] = {
    "none",
#define TYPE(id, name, spelled) name,
#include "event/event.def"
#undef TYPE
};
static const char *const type_spelled[] = {
    "",
#define TYPE(id, name, spelled) spelled,
#include "event/event.def"
#undef TYPE
};
static const struct { const char *name; int strength, limit; } identifiers[] = {
#define IDENTIFIER(id, name, strength, limit) { name, strength, limit },
#include "event/identifier.def"
#undef IDENTIFIER
};
enum { SCORE_NUMBER, SCORE_MONEY };
static const struct { const char *name; int kind; const char *text; } scores[] = {
#define SCORE(id, name, kind, text) { name, SCORE_##kind, text },
#include "event/score.def"
#undef SCORE
};

static const struct { const char *name, *text; } purposes[] = {
#define PURPOSE(id, name, text) { name, text },
#include "event/purpose.def"
#undef PURPOSE
};
static const char *const channels[] = {
#define CHANNEL(id, name) name,
#include "event/channel.def"
#undef CHANNEL
};

static_assert(EVENT_TYPES < EVENT_CUSTOM_FIRST, "custom types come after ours");
static_assert(PURPOSES <= 16, "consent is a bit set of 16");

const char *event_type_name(u16 type) { return type < EVENT_TYPES ? type_names[type] : "custom"; }

/* Letters and digits only, lower case: what all spellings of a name share. */
static isize squeeze(str name, char *out, isize cap)
{
    isize n = 0;
    for (isize i = 0; i < name.len && n < cap; i++) {
        char c = name.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
    }
    return n;
}

/* Does the known name, squeezed on the way, read the same? Differs early for most. */
static bool same_name(const char *known, str squeezed)
{
    isize n = 0;
    for (; *known; known++) {
        char c = *known;
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        bool counts = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!counts) continue;
        if (n == squeezed.len || squeezed.ptr[n] != c) return false;
        n++;
    }
    return n == squeezed.len;
}

u16 event_type_of(str name)
{
    static const str exactly[][2] = {
        { S_INIT(""), S_INIT("") },
#define TYPE(id, name, spelled) { S_INIT(spelled), S_INIT(name) },
#include "event/event.def"
#undef TYPE
    };
    for (u16 i = 1; i < EVENT_TYPES; i++)               /* as nearly everybody writes it */
        if (str_eq(name, exactly[i][0]) || str_eq(name, exactly[i][1])) return i;
    char text[64];
    str squeezed = { text, squeeze(name, text, countof(text)) };
    if (squeezed.len == 0) return EVENT_NONE;
    for (u16 i = 1; i < EVENT_TYPES; i++)
        if (same_name(type_names[i], squeezed) || same_name(type_spelled[i], squeezed)) return i;
    return EVENT_NONE;
}

const char *identifier_name(u8 kind) { return kind < IDENTIFIER_KINDS ? identifiers[kind].name : "unknown"; }
int identifier_strength(u8 kind) { return kind < IDENTIFIER_KINDS ? identifiers[kind].strength : 0; }
int identifier_limit(u8 kind) { return kind < IDENTIFIER_KINDS ? identifiers[kind].limit : 0; }
const char *purpose_name(int purpose) { return purposes[purpose].name; }
const char *purpose_text(int purpose) { return purposes[purpose].text; }
const char *score_name(int score) { return scores[score].name; }
const char *score_text(int score) { return scores[score].text; }
bool score_is_money(int score) { return scores[score].kind == SCORE_MONEY; }
const char *channel_name(u8 channel) { return channel < CHANNELS ? channels[channel] : "unknown"; }

bool identifier_kind_of(str name, u8 *out)
{
    for (u8 i = 0; i < IDENTIFIER_KINDS; i++)
        if (str_eq(name, str_of(identifiers[i].name))) { *out = i; return true; }
    return false;
}

bool score_of(str name, u8 *out)
{
    for (u8 i = 0; i < SCORES; i++)
        if (str_eq(name, str_of(scores[i].name))) { *out = i; return true; }
    return false;
}

bool purpose_of(str name, u8 *out)
{
    for (u8 i = 0; i < PURPOSES; i++)
        if (str_eq_nocase(name, str_of(purposes[i].name))) { *out = i; return true; }
    return false;
}

bool channel_of(str name, u8 *out)
{
    for (u8 i = 0; i < CHANNELS; i++)
        if (str_eq_nocase(name, str_of(channels[i]))) { *out = i; return true; }
    return false;
}

/* Three letters in 15 bits, 1..26 each. */
currency currency_of(str code)
{
    if (code.len != 3) return (currency){ 0 };
    u16 v = 0;
    for (isize i = 0; i < 3; i++) {
        char c = code.ptr[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 32);
        if (c < 'A' || c > 'Z') return (currency){ 0 };
        v = (u16)(v << 5 | (c - 'A' + 1));
    }
    return (currency){ v };
}

str currency_code(currency c, char text[4])
{
    if (c.v == 0) return S("");
    for (int i = 0; i < 3; i++) text[i] = (char)('A' - 1 + (c.v >> (10 - 5 * i) & 31));
    text[3] = 0;
    return (str){ text, 3 };
}

int currency_digits(currency c)
{
    static const char none[][4] = { "JPY", "KRW", "ISK", "VND", "CLP", "PYG", "UGX", "XAF", "XOF", "XPF" };
    static const char three[][4] = { "KWD", "BHD", "OMR", "JOD", "TND", "IQD", "LYD" };
    char text[4];
    str code = currency_code(c, text);
    for (isize i = 0; i < countof(none); i++)
        if (str_eq(code, str_of(none[i]))) return 0;
    for (isize i = 0; i < countof(three); i++)
        if (str_eq(code, str_of(three[i]))) return 3;
    return 2;
}

const struct identifier *event_strongest(const struct event *e)
{
    const struct identifier *best = NULL;
    for (isize i = 0; i < e->identifiers_n; i++) {
        const struct identifier *it = &e->identifiers[i];
        if (!best || identifier_strength(it->kind) > identifier_strength(best->kind)) best = it;
    }
    return best;
}

/* ---- byte form ----------------------------------------------------------------------------- */

static void visit_identifier(struct codec *c, struct identifier *v)
{
    codec_u8(c, &v->kind);
    codec_bool(c, &v->verified);
    codec_str(c, &v->value);
}

static void visit_fact(struct codec *c, struct fact *v)
{
    codec_str(c, &v->name);
    codec_u8(c, &v->kind);
    if (v->kind == FACT_BOOL) codec_bool(c, &v->b);
    if (v->kind == FACT_NUMBER) codec_f64(c, &v->n);
    if (v->kind >= FACT_TEXT) codec_str(c, &v->text);
}

static void visit_item(struct codec *c, struct event_item *v)
{
    codec_str(c, &v->product_key);
    codec_str(c, &v->variant_key);
    codec_str(c, &v->title);
    codec_str(c, &v->category);
    codec_str(c, &v->brand);
    codec_str(c, &v->url);
    codec_str(c, &v->image);
    codec_bool(c, &v->priced);
    codec_i64(c, &v->price_minor);
    codec_i32(c, &v->quantity);
    codec_i32(c, &v->position);
}

static void visit_strings(struct codec *c, struct event *e)
{
    str *const fields[] = {
        &e->previous_id, &e->consent_source, &e->session, &e->order_key, &e->coupon, &e->cart, &e->ticket,
        &e->query, &e->category, &e->url, &e->referrer, &e->utm_source, &e->utm_medium, &e->utm_campaign,
        &e->click_id, &e->locale, &e->market, &e->country, &e->device, &e->store, &e->properties,
    };
    for (isize i = 0; i < countof(fields); i++) codec_str(c, fields[i]);
}

static void visit_event(struct codec *c, struct event *e, u8 format)
{
    codec_u16(c, &e->type);
    codec_u8(c, &e->channel);
    codec_u8(c, &e->flags);
    codec_i64(c, &e->at_ms);
    codec_str(c, &e->name);
    codec_str(c, &e->key);
    codec_str(c, &e->source);
    codec_list(c, struct identifier, e->identifiers, e->identifiers_n, EVENT_IDENTIFIERS_MAX,
               visit_identifier);
    codec_u16(c, &e->consent_granted);
    codec_u16(c, &e->consent_denied);
    codec_u16(c, &e->currency.v);
    codec_bool(c, &e->valued);
    codec_i64(c, &e->value_minor);
    codec_i64(c, &e->tax_minor);
    codec_i64(c, &e->shipping_minor);
    codec_i64(c, &e->discount_minor);
    codec_list(c, struct event_item, e->items, e->items_n, EVENT_ITEMS_MAX, visit_item);
    codec_list(c, struct fact, e->traits, e->traits_n, EVENT_TRAITS_MAX, visit_fact);
    visit_strings(c, e);
    if (format >= 2) codec_i64(c, &e->said_at_ms);
}

void event_encode(const struct event *e, struct buf *out)
{
    struct codec c = codec_writer(out);
    u8 format = FORMAT;
    /* the visitor takes it writable; writing leaves it be */
    struct event copy = *e;
    codec_u8(&c, &format);
    visit_event(&c, &copy, format);
}

enum err event_decode(str bytes, arena *a, struct event *out)
{
    struct codec c = codec_reader(bytes, a);
    u8 format = 0;
    *out = (struct event){ 0 };
    codec_u8(&c, &format);
    if (c.failed || format < FORMAT - 1 || format > FORMAT) return ERR_DAMAGED;
    visit_event(&c, out, format);
    return c.failed || c.in.len != 0 ? ERR_DAMAGED : ERR_OK;
}

int history_cmp(const struct history_entry *a, const struct history_entry *b)
{
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    if (a->ref != b->ref) return a->ref < b->ref ? -1 : 1;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->item != b->item) return a->item < b->item ? -1 : 1;
    return memcmp(a, b, sizeof *a);
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static void print_text(struct jsonw *w, const char *key, str v)
{
    if (v.len) jsonw_key_str(w, key, v);
}

struct fact fact_read(arena *a, str name, const struct json *v)
{
    struct fact f = { .name = name };
    switch (v->kind) {
    case JSON_NULL: f.kind = FACT_NULL; break;
    case JSON_BOOL: f.kind = FACT_BOOL; f.b = v->b; break;
    case JSON_INT: f.kind = FACT_NUMBER; f.n = (f64)v->i; break;
    case JSON_NUM: f.kind = FACT_NUMBER; f.n = v->n; break;
    case JSON_STR: f.kind = FACT_TEXT; f.text = v->s; break;
    case JSON_ARR: case JSON_OBJ: f.kind = FACT_JSON; f.text = json_print(a, v); break;
    }
    return f;
}

void fact_print_value(const struct fact *f, struct jsonw *w)
{
    switch ((enum fact_kind)f->kind) {
    case FACT_NULL: jsonw_null(w); break;
    case FACT_BOOL: jsonw_bool(w, f->b); break;
    case FACT_NUMBER: jsonw_num(w, f->n); break;
    case FACT_TEXT: jsonw_str(w, f->text); break;
    case FACT_JSON: jsonw_raw(w, f->text); break;
    }
}

void fact_print(const struct fact *f, struct jsonw *w)
{
    jsonw_key(w, f->name);
    fact_print_value(f, w);
}

static void print_item(struct jsonw *w, const struct event_item *it)
{
    jsonw_begin(w, '{');
    print_text(w, "product_key", it->product_key);
    print_text(w, "variant_key", it->variant_key);
    print_text(w, "title", it->title);
    print_text(w, "category", it->category);
    print_text(w, "brand", it->brand);
    if (it->priced) jsonw_key_int(w, "price_minor", it->price_minor);
    if (it->quantity) jsonw_key_int(w, "quantity", it->quantity);
    jsonw_end(w, '}');
}

static void print_purposes(struct jsonw *w, const char *key, u16 set)
{
    if (!set) return;
    jsonw_key_begin(w, key, '[');
    for (int p = 0; p < PURPOSES; p++)
        if (set >> p & 1) jsonw_str(w, str_of(purposes[p].name));
    jsonw_end(w, ']');
}

void event_print(const struct event *e, struct jsonw *w)
{
    char code[4];
    jsonw_begin(w, '{');
    jsonw_key_str(w, "type", str_of(event_type_name(e->type)));
    print_text(w, "name", e->name);
    print_text(w, "event_key", e->key);
    print_text(w, "source", e->source);
    jsonw_key_time(w, "at", e->at_ms);
    jsonw_key_str(w, "channel", str_of(channel_name(e->channel)));
    jsonw_key_begin(w, "identifiers", '[');
    for (isize i = 0; i < e->identifiers_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_str(w, "kind", str_of(identifier_name(e->identifiers[i].kind)));
        jsonw_key_str(w, "value", e->identifiers[i].value);
        jsonw_key_bool(w, "verified", e->identifiers[i].verified);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    print_purposes(w, "consent_granted", e->consent_granted);
    print_purposes(w, "consent_denied", e->consent_denied);
    print_text(w, "order_key", e->order_key);
    print_text(w, "currency", currency_code(e->currency, code));
    if (e->valued) jsonw_key_int(w, "value_minor", e->value_minor);
    print_text(w, "coupon", e->coupon);
    print_text(w, "query", e->query);
    print_text(w, "category", e->category);
    print_text(w, "ticket", e->ticket);
    print_text(w, "url", e->url);
    if (e->items_n) {
        jsonw_key_begin(w, "items", '[');
        for (isize i = 0; i < e->items_n; i++) print_item(w, &e->items[i]);
        jsonw_end(w, ']');
    }
    if (e->traits_n) {
        jsonw_key_begin(w, "traits", '{');
        for (isize i = 0; i < e->traits_n; i++) fact_print(&e->traits[i], w);
        jsonw_end(w, '}');
    }
    if (e->properties.len) {
        jsonw_key(w, S("properties"));
        jsonw_raw(w, e->properties);
    }
    jsonw_end(w, '}');
}
