/* SPDX-License-Identifier: Apache-2.0
 *
 * recommend.c - /v1/recommend: a row for a page of one's own making, and the bench on which
 * strategies are tried.
 *
 * Whoever may look people up may write the strategy into the call instead of naming one, and with
 * "explain" gets the algorithm's own order beside what is shown, with the pins, boosts and buries
 * that made the difference and the notes people wrote.
 */
#include "api/inside.h"
#include "base/rcu.h"

static i32 no_event(const void *ctx, str name) { (void)ctx; u16 t = event_type_of(name); return t ? t : -1; }

static i32 book_segment(const void *ctx, str key)
{
    segment_id id = segment_find(((const struct book *)ctx)->segments, key);
    return id.v ? id.v : -1;
}

static bool no_names(const void *ctx, enum rule_name sort, isize at, str *out)
{
    (void)ctx; (void)sort; (void)at; (void)out;
    return false;
}

/* The one named, the placement's, or the one written out in the call by who may try things.
 * ERR_REFUSED with what is wrong with that. */
static enum err strategy_asked(struct call *call, const struct book *book,
                               const struct strategy **out, struct diag *diag)
{
    const struct json *tried = json_get(call->body, S("strategy"));
    if (json_is(tried, JSON_OBJ)) {
        struct definition_errors errors = { 0 };
        struct rule_names names = { book, no_event, book_segment, no_names };
        struct strategy *s = arena_new(call->a, struct strategy, 1);
        if (!call->secret)
            return diag_set(
                diag, ERR_FORBIDDEN,
                "a strategy written out in the call needs a secret key or a console account");
        const struct strategy *published = book_strategy(book, json_str(json_get(tried, S("key")), S("")));
        *out = s;
        if (strategy_read(call->a, tried, S("(tried)"), &names, s, &errors) == ERR_OK) {
            /* as it would be once published */
            if (published) { s->learnt = published->learnt; s->learnt_n = published->learnt_n; }
            return ERR_OK;
        }
        const struct definition_error *e = &errors.at[0];
        return diag_set(diag, ERR_BAD_INPUT, "strategy, %.*s: %.*s", STR_FMT(e->path), STR_FMT(e->message));
    }
    str key = json_str(json_get(call->body, S("strategy")), S(""));
    str placement = json_str(json_get(call->body, S("placement")), S(""));
    const struct placement *p = placement.len ? book_placement(book, placement) : NULL;
    *out = book_strategy(book, key.len ? key : p ? p->strategy : S(""));
    return ERR_OK;
}

enum err ask_filter(struct call *call, const struct book *book, const struct rule **out,
                    struct rule_errors *errors)
{
    str text = json_str(json_get(call->body, S("filter")), S(""));
    struct rule_names names = { book, no_event, book_segment, no_names };
    return text.len ? rule_compile(call->a, text, RULE_FILTER, &names, out, errors) : ERR_OK;
}

/* ---- what the shop's people did to the list -------------------------------------------------- */

static void print_effects(struct call *call, const struct strategy *s, const struct decided_item *it)
{
    jsonw_key_begin(&call->w, "effects", '[');
    for (isize i = 0; it->pinned && i < s->pins_n; i++) {
        if (s->pins[i].position != it->pinned) continue;
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "what", S("pin"));
        jsonw_key_int(&call->w, "position", it->pinned);
        if (s->pins[i].note.len) jsonw_key_str(&call->w, "note", s->pins[i].note);
        jsonw_end(&call->w, '}');
        break;
    }
    for (isize i = 0; i < min_isize(64, s->boosts_n); i++) {
        const struct boost *b = &s->boosts[i];
        if (!(it->boosted >> i & 1)) continue;
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "what", b->bury || b->by < 1 ? S("bury") : S("boost"));
        jsonw_key_str(&call->w, "rule", b->text);
        if (!b->bury) jsonw_key_num(&call->w, "by", b->by);
        if (b->note.len) jsonw_key_str(&call->w, "note", b->note);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
}

static isize place_of(const struct decided_item *items, isize n, item_id item)
{
    for (isize i = 0; i < n; i++)
        if (items[i].item.v == item.v) return i + 1;
    return 0;
}

/* The algorithm's own order beside the one shown: what pins, boosts and buries changed. */
static void print_algorithm(struct call *call, const struct catalog *catalog,
                            const struct decided_item *alone, isize n)
{
    jsonw_key_begin(&call->w, "algorithm", '[');
    for (isize i = 0; i < n; i++) {
        const struct item *item = catalog_item(catalog, alone[i].item);
        if (!item) continue;
        jsonw_begin(&call->w, '{');
        jsonw_key_str(&call->w, "product_key", item->key);
        jsonw_key_str(&call->w, "title", item_text(item->titles, item->titles_n, S("en")));
        jsonw_key_num(&call->w, "score", alone[i].score);
        jsonw_key_str(&call->w, "source", str_of(decide_source_name(alone[i].source)));
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
}

static void print_notes(struct call *call, const struct strategy *s)
{
    if (json_len(s->notes) == 0) return;
    jsonw_key(&call->w, S("notes"));
    jsonw_value(&call->w, s->notes);
}

enum { ALONE_MAX = 100 };           /* how far down its own order is looked for what is shown */

static void print_recommended(struct call *call, const struct decide_world *world,
                              struct asked *asked, const struct strategy *strategy,
                              const struct rule *filter)
{
    struct decided_item *items, *alone = NULL;
    bool explain = asked->request.explain && call->secret && strategy;
    isize n = decide_recommend(world, &asked->request, strategy, filter, call->a, &items), alone_n = 0;
    if (explain) {
        struct decide_request whole = asked->request;
        whole.limit = ALONE_MAX;
        alone_n = decide_recommend(world, &whole, strategy_bare(strategy, call->a), filter, call->a, &alone);
    }
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "strategy", strategy ? strategy->key : S("for_you"));
    jsonw_key_begin(&call->w, "items", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(&call->w, '{');
        decide_print_item(world, &asked->request, &items[i], call->a, &call->w);
        if (explain) {
            isize was = place_of(alone, alone_n, items[i].item);
            jsonw_key(&call->w, S("algorithm_position"));
            if (was) jsonw_int(&call->w, was);
            else jsonw_null(&call->w);
            print_effects(call, strategy, &items[i]);
        }
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
    decide_print_unbuilt(world, strategy, &call->w);
    decide_print_rows(world, strategy, items, n, &call->w);
    if (explain) {
        print_algorithm(call, world->catalog, alone, min_isize(n, alone_n));
        print_notes(call, strategy);
    }
    jsonw_end(&call->w, '}');
}

static void recommend_now(struct call *call)
{
    struct asked *asked = arena_new(call->a, struct asked, 1);
    const struct rule *filter = NULL;
    struct rule_errors errors = { 0 };
    const struct strategy *strategy = NULL;
    struct diag diag = { .arena = call->a };
    /* who may look people up may ask as anybody: nothing is recorded here */
    call->secret |= call->who >= WHO_VIEWER;
    enum err err = ask_read(call, asked, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    err = ask_filter(call, world.book, &filter, &errors);
    if (err)
        (void)diag_set(&diag, err, "filter, column %lld: %.*s", (long long)errors.at[0].column,
                       STR_FMT(errors.at[0].message));
    else err = strategy_asked(call, world.book, &strategy, &diag);
    if (!err) {
        const struct placement *place =
            book_placement(world.book, json_str(json_get(call->body, S("placement")), S("")));
        asked->request.hide_seen = place && place->hide_seen;
        asked->request.placements = place ? &place->key : NULL;         /* whose learnt weights count */
        asked->request.placements_n = place != NULL;
        ask_bind(call, asked, world.book);
        print_recommended(call, &world, asked, strategy, filter);
    }
    rcu_read_end();
    if (err) reply_problem(call, err, "%.*s", STR_FMT(diag.what));
    else reply_json(call);
}

void recommend_post(struct call *call)
{
    if (!call->body) {
        reply_problem(call, ERR_BAD_INPUT,
                      "expected {\"person\": …, \"strategy\" or \"placement\": …}");
        return;
    }
    recommend_now(call);
}

/* ?strategy=&anonymous_id=&product=&limit=&filter=: the same call with everything in the address
 * but identifiers of known people. */
void recommend_get(struct call *call)
{
    static const char *const top[] = { "strategy", "placement", "filter" };
    static const char *const context[] = { "product", "market",  "locale", "store",
                                           "country", "channel", "weather" };
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    for (isize i = 0; i < countof(top); i++) {
        str v = http_query(call->req, str_of(top[i]), S(""));
        if (v.len) jsonw_key_str(&w, top[i], v);
    }
    i64 limit;
    if (str_to_i64(http_query(call->req, S("limit"), S("")), &limit)) jsonw_key_int(&w, "limit", limit);
    jsonw_key_begin(&w, "person", '{');
    jsonw_key_str(&w, "anonymous_id", http_query(call->req, S("anonymous_id"), S("")));
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "context", '{');
    for (isize i = 0; i < countof(context); i++) {
        str v = http_query(call->req, str_of(context[i]), S(""));
        if (v.len) jsonw_key_str(&w, context[i], v);
    }
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    struct diag diag = { .arena = call->a };
    if (json_parse(call->a, buf_str(&out), &call->body, &diag)) {
        reply_problem(call, ERR_BAD_INPUT, "%.*s", STR_FMT(diag.what));
        return;
    }
    recommend_now(call);
}
