/* SPDX-License-Identifier: Apache-2.0
 *
 * search.c - /v1/search, /v1/search/complete and /v1/navigation.
 *
 *   {"q": "slim jeans", "person": {…}, "context": {…}, "filter": "item.price < 50 EUR", "category": "Women > Jeans",
 *    "facets": ["category", "brand", "price"] or "category,brand,price", "sort": "price_asc", "limit": 20, "offset": 0,
 *    "personalise": true, false or 0..100, "typing": false, "in_stock": false, "record": true, "explain": false}
 *
 * What a person likes is read from the history this caller may see, so that the click before this
 * request counts; what they did in this visit counts for more than half. It moves items up and
 * never in or out. With "personalise" false, without consent and in the programme's holdout,
 * everybody has the same order: that is also how a reset works.
 *
 * A question that was really asked (not while typing, not a further page) leaves a Products
 * Searched event with how many items it found, through the consent gate like any other event, and
 * nobody waits for it. */
#include "api/inside.h"
#include "base/rcu.h"

enum { LIMIT_DEFAULT = 20, LIMIT_MOST = 100, COMPLETIONS = 8, NAVIGATION_MAX = 200 };

struct searching {
    struct asked asked;
    struct search_request request;
    struct search_answer answer;
    struct rule_facts facts;
    const struct rule *filter;
    const struct search_rules *rules;
    bool personal, held_out;
    i64 took_us;
};

/* ---- reading --------------------------------------------------------------------------------- */

static isize read_facets(struct call *call, const struct json *v, const str **out)
{
    str *at = arena_new(call->a, str, SEARCH_FACETS_MAX);
    isize n = 0;
    json_each(one, v)
        if (n < SEARCH_FACETS_MAX && json_str(one, S("")).len) at[n++] = one->s;
    for (str rest = json_str(v, S("")); rest.len > 0 && n < SEARCH_FACETS_MAX;) {
        struct str_cut cut = str_cut(rest, ',');
        rest = cut.tail;
        if (str_trim(cut.head).len) at[n++] = str_trim(cut.head);
    }
    *out = at;
    return n;
}

static bool read_sort(str name, u8 *out)
{
    static const struct { const char *name; u8 sort; } sorts[] = {
        { "", SORT_RANK }, { "relevance", SORT_RANK }, { "price_asc", SORT_PRICE_UP }, { "price_desc", SORT_PRICE_DOWN }, { "newest", SORT_NEWEST },
    };
    for (isize i = 0; i < countof(sorts); i++)
        if (str_eq(name, str_of(sorts[i].name))) { *out = sorts[i].sort; return true; }
    return false;
}

static enum err read_search(struct call *call, struct searching *s, struct diag *diag)
{
    const struct json *body = call->body, *dial = json_get(body, S("personalise"));
    struct search_request *r = &s->request;
    enum err err = ask_read(call, &s->asked, diag);
    if (err) return err;
    r->text = str_trim(json_text(call->a, json_get(body, S("q"))));
    r->category = str_trim(json_str(json_get(body, S("category")), S("")));
    r->locale = s->asked.request.locale;
    r->market = s->asked.request.market;
    r->now_ms = s->asked.request.now_ms;
    r->facets_n = read_facets(call, json_get(body, S("facets")), &r->facets);
    r->limit = json_int(json_get(body, S("limit")), LIMIT_DEFAULT);
    r->offset = json_int(json_get(body, S("offset")), 0);
    r->typing = json_bool(json_get(body, S("typing")), false);
    r->in_stock_only = json_bool(json_get(body, S("in_stock")), false);
    r->dial = -1;                                       /* as the shop says */
    if (json_is(dial, JSON_BOOL) && !dial->b) r->dial = 0;
    if (json_is(dial, JSON_INT) || json_is(dial, JSON_NUM)) r->dial = (i32)json_int(dial, -2);
    if (r->dial < -1 || r->dial > 100)
        return diag_set(diag, ERR_BAD_INPUT, "personalise is true, false or a dial from 0 to 100");
    if (r->text.len > SEARCH_QUERY_MAX)
        return diag_set(diag, ERR_TOO_BIG, "q is %td bytes, the limit is %d", r->text.len,
                        SEARCH_QUERY_MAX);
    if (r->limit < 0 || r->limit > LIMIT_MOST)
        return diag_set(diag, ERR_BAD_INPUT, "limit is 0 to %d", LIMIT_MOST);
    if (r->offset < 0 || r->offset + r->limit > SEARCH_LIMIT_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "offset and limit together reach at most %d", SEARCH_LIMIT_MAX);
    if (!read_sort(json_str(json_get(body, S("sort")), S("")), &r->sort))
        return diag_set(diag, ERR_BAD_INPUT, "sort is relevance, price_asc, price_desc or newest");
    return ERR_OK;
}

/* ---- who asks -------------------------------------------------------------------------------- */

static void know_person(struct call *call, struct searching *s, const struct decide_world *world)
{
    ask_bind(call, &s->asked, world->book);
    struct decide_who who = decide_who(world, &s->asked.request, call->a);
    s->facts = who.facts;
    s->personal = who.personal && !who.held_out;
    s->held_out = who.held_out;
    s->rules = world->book->search;
    if (s->request.dial < 0) s->request.dial = s->rules->dial;
    i64 gap_ms = call->api->config->session_gap_ms;
    if (s->personal)
        s->request.likings_n =
            decide_likings(world, &who, s->request.now_ms, gap_ms, call->a, &s->request.likings);
    else s->request.dial = 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool eligible(void *ctx, u32 item)
{
    struct searching *s = ctx;
    s->facts.candidate = (item_id){ item };
    return rule_holds(rule_run(s->filter, &s->facts));
}

static f64 boost(void *ctx, u32 item)
{
    struct searching *s = ctx;
    f64 by = 1;
    s->facts.candidate = (item_id){ item };
    for (isize i = 0; i < s->rules->boosts_n; i++)
        if (rule_holds(rule_run(s->rules->boosts[i].rule, &s->facts))) by *= s->rules->boosts[i].by;
    return by;
}

static void run(struct call *call, struct searching *s, const struct decide_world *world)
{
    struct search_request *r = &s->request;
    r->catalog = world->catalog;
    r->rules = s->rules;
    r->eligible = s->filter ? eligible : NULL;
    r->boost = s->rules->boosts_n ? boost : NULL;
    r->ctx = s;
    i64 began = clock_monotonic_us();
    search_run(world->search, r, call->a, &s->answer);
    s->took_us = clock_monotonic_us() - began;
}

/* ---- answering ------------------------------------------------------------------------------- */

static void print_parts(struct jsonw *w, const struct search_parts *p)
{
    jsonw_key_begin(w, "explain", '{');
    jsonw_key_num(w, "text", p->text);
    jsonw_key_num(w, "coverage", p->coverage);
    jsonw_key_num(w, "head", p->head);
    jsonw_key_num(w, "phrase", p->phrase);
    jsonw_key_num(w, "popularity", p->popularity);
    jsonw_key_num(w, "boost", p->boost);
    jsonw_key_num(w, "personal", p->personal);
    jsonw_end(w, '}');
}

/* The liking that moved an item most, in words; the item object's usual "because". */
static void print_because(struct call *call, const struct searching *s, const struct item *item,
                          const struct search_hit *hit)
{
    static const char *const names[] = { "category", "brand", "colour" };
    const struct search_liking *most = NULL;
    for (isize i = 0; i < s->request.likings_n && hit->parts.personal > 1; i++) {
        const struct search_liking *l = &s->request.likings[i];
        str has = str_eq(l->dimension, str_of(names[0]))   ? item->category
                  : str_eq(l->dimension, str_of(names[1])) ? item->brand
                                                           : item->colour;
        if (str_eq_nocase(has, l->value) && (!most || l->share > most->share)) most = l;
    }
    str leaf = most ? most->value : S("");
    for (isize at; (at = str_find_char(leaf, '>')) >= 0;) leaf = str_trim(str_from(leaf, at + 1));
    if (!hit->pinned && !most) return;
    str text = because_phrase(hit->pinned ? PHRASE_PICKED : PHRASE_LOOK_AT,
                              because_language(s->request.locale), leaf, call->a);
    jsonw_key_begin(&call->w, "because", '{');
    jsonw_key_str(&call->w, "text", text);
    jsonw_key_str(&call->w, "source", hit->pinned ? S("pin") : S("liking"));
    jsonw_end(&call->w, '}');
}

static void print_hits(struct call *call, const struct searching *s)
{
    struct jsonw *w = &call->w;
    bool explain = s->asked.request.explain && call->secret;
    jsonw_key_begin(w, "items", '[');
    for (isize i = 0; i < s->answer.hits_n; i++) {
        const struct search_hit *hit = &s->answer.hits[i];
        const struct item *item = catalog_item(call->api->live->catalog, (item_id){ hit->item });
        if (!item) continue;
        jsonw_begin(w, '{');
        item_print(item, s->request.market, s->request.locale, w);
        jsonw_key_num(w, "score", hit->score);
        if (hit->pinned) jsonw_key_bool(w, "pinned", true);
        if (hit->partial) jsonw_key_bool(w, "partial", true);
        print_because(call, s, item, hit);
        if (explain) print_parts(w, &hit->parts);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void print_facets(struct jsonw *w, const struct search_answer *answer)
{
    jsonw_key_begin(w, "facets", '{');
    for (isize i = 0; i < answer->facets_n; i++) {
        const struct search_facet *f = &answer->facets[i];
        jsonw_key(w, f->name);
        jsonw_begin(w, '[');
        for (isize k = 0; k < f->n; k++) {
            jsonw_begin(w, '{');
            if (f->at[k].value.len) jsonw_key_str(w, "value", f->at[k].value);
            else { jsonw_key_num(w, "from", f->at[k].from); jsonw_key_num(w, "to", f->at[k].to); }
            jsonw_key_int(w, "count", f->at[k].n);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
    }
    jsonw_end(w, '}');
}

/* What to show when nothing was found: never an empty page. */
static void print_fallback(struct call *call, const struct decide_world *world, struct searching *s)
{
    struct decided_item *items;
    s->asked.request.limit = s->request.limit;
    isize n = decide_recommend(world, &s->asked.request, NULL, s->filter, call->a, &items);
    jsonw_key_begin(&call->w, "fallback", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(&call->w, '{');
        decide_print_item(world, &s->asked.request, &items[i], call->a, &call->w);
        jsonw_end(&call->w, '}');
    }
    jsonw_end(&call->w, ']');
}

static void print_answer(struct call *call, const struct decide_world *world, struct searching *s)
{
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_int(w, "total", s->answer.total);
    print_hits(call, s);
    print_facets(w, &s->answer);
    if (s->answer.corrected.len) jsonw_key_str(w, "corrected", s->answer.corrected);
    if (s->answer.redirect.len) jsonw_key_str(w, "redirect", s->answer.redirect);
    if (s->answer.partial) jsonw_key_bool(w, "partial", true);
    if (s->answer.total == 0 && s->request.limit > 0) print_fallback(call, world, s);
    jsonw_key_bool(w, "personalised", s->request.dial > 0 && s->request.likings_n > 0);
    if (call->secret && s->held_out) jsonw_key_bool(w, "holdout", true);
    jsonw_key_int(w, "took_us", s->took_us);
    jsonw_end(w, '}');
}

/* ---- the record ------------------------------------------------------------------------------ */

static str event_of(struct call *call, const struct searching *s, str key)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    const struct json *person = json_get(call->body, S("person"));
    jsonw_begin(&w, '{');
    jsonw_key_begin(&w, "batch", '[');
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "type", S("track"));
    jsonw_key_str(&w, "event", S("Products Searched"));
    jsonw_key_str(&w, "messageId", key);
    str anonymous = json_text(call->a, json_get(person, S("anonymous_id"))),
        known = json_text(call->a, json_get(person, S("user_id")));
    if (anonymous.len) jsonw_key_str(&w, "anonymousId", anonymous);
    if (known.len) jsonw_key_str(&w, "userId", known);
    const struct json *context = s->asked.request.context;
    if (context) { jsonw_key(&w, S("context")); jsonw_value(&w, context); }
    jsonw_key_begin(&w, "properties", '{');
    jsonw_key_str(&w, "query", s->request.text);
    jsonw_key_int(&w, "results", s->answer.total);
    jsonw_key_bool(&w, "zero_results", s->answer.total == 0);
    jsonw_key_bool(&w, "partial", s->answer.partial);
    if (s->answer.corrected.len) jsonw_key_str(&w, "corrected", s->answer.corrected);
    str hash = json_text(call->a, json_get(person, S("user_hash")));
    if (hash.len) jsonw_key_str(&w, "user_hash", hash);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_end(&w, ']');
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static void record(struct call *call, struct searching *s)
{
    const struct json *person = json_get(call->body, S("person")), *event;
    bool someone = json_get(person, S("anonymous_id")) || json_get(person, S("user_id"));
    bool asked = s->request.text.len > 0 && !s->request.typing && s->request.offset == 0
                 && s->asked.request.record;
    if (!someone || !asked || call->source_key.len == 0) return;
    struct diag diag = { .arena = call->a };
    str key = arena_printf(call->a, "search-%016llx", (unsigned long long)s->asked.request.decision_seed);
    if (json_parse(call->a, event_of(call, s, key), &event, &diag)) return;
    if (collect_events(call, S(""), event, &s->asked.collected, &diag)
        || s->asked.collected.entries_n == 0)
        return;
    struct append append = { .entries = s->asked.collected.entries,
                             .entries_n = s->asked.collected.entries_n };
    err_ignore(fold_submit(call->api->fold, &append), "an answer is not refused because its record is");
}

static enum err answer(struct call *call, struct diag *diag)
{
    struct searching *s = arena_new(call->a, struct searching, 1);
    struct rule_errors errors = { 0 };
    enum err err = read_search(call, s, diag);
    if (err) return err;
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    bool ready = world.search != NULL;
    if (ready) err = ask_filter(call, world.book, &s->filter, &errors);
    if (ready && !err) {
        know_person(call, s, &world);
        run(call, s, &world);
        print_answer(call, &world, s);
    }
    rcu_read_end();
    if (!ready)
        return diag_set(diag, ERR_NOT_READY,
                        "the search index is being made for the first time; ask again in a moment");
    if (err)
        return diag_set(diag, err, "filter, column %lld: %.*s", (long long)errors.at[0].column,
                        STR_FMT(errors.at[0].message));
    record(call, s);
    return ERR_OK;
}

static void search_now(struct call *call)
{
    struct diag diag = { .arena = call->a };
    /* who may look at people in the console may ask as any of them */
    call->secret = call->secret || call->who >= WHO_VIEWER;
    enum err err = answer(call, &diag);
    if (err) reply_problem(call, err, "%.*s", STR_FMT(diag.what));
    else reply_json(call);
}

static enum err inside_call(const struct api_inside *inside, const struct json *body,
                            enum err (*work)(struct call *, struct diag *), arena *a,
                            struct buf *out, struct diag *diag)
{
    struct api api;
    struct call call;
    call_inside(inside, body, a, &api, &call);
    enum err err = work(&call, diag);
    if (!err) buf_add(out, buf_str(&call.out));
    return err;
}

enum err api_search(const struct api_inside *inside, const struct json *body, arena *a,
                    struct buf *out, struct diag *diag)
{
    return inside_call(inside, body, answer, a, out, diag);
}

void search_post(struct call *call)
{
    if (!call->body) { reply_problem(call, ERR_BAD_INPUT, "expected {\"q\": …}"); return; }
    search_now(call);
}

/* A query string as the body a POST would have: texts by name, those of the context under "context". */
static bool body_of_query(struct call *call, const char *const *top, isize top_n)
{
    static const char *const numbers[] = { "limit", "offset", "personalise" };
    static const char *const switches[] = { "typing", "in_stock", "explain", "record", "personalise" };
    static const char *const context[] = { "market", "locale", "store", "channel", "device", "url" };
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    struct diag diag = { .arena = call->a };
    jsonw_begin(&w, '{');
    for (isize i = 0; i < top_n; i++) {
        str v = http_query(call->req, str_of(top[i]), S(""));
        if (v.len) jsonw_key_str(&w, top[i], v);
    }
    for (isize i = 0; i < countof(numbers); i++) {
        i64 n;
        if (str_to_i64(http_query(call->req, str_of(numbers[i]), S("")), &n))
            jsonw_key_int(&w, numbers[i], n);
    }
    for (isize i = 0; i < countof(switches); i++) {
        str v = http_query(call->req, str_of(switches[i]), S(""));
        if (str_eq(v, S("true")) || str_eq(v, S("false")))
            jsonw_key_bool(&w, switches[i], str_eq(v, S("true")));
    }
    str anonymous = http_query(call->req, S("anonymous_id"), S(""));
    if (anonymous.len) {
        jsonw_key_begin(&w, "person", '{');
        jsonw_key_str(&w, "anonymous_id", anonymous);
        jsonw_end(&w, '}');
    }
    jsonw_key_begin(&w, "context", '{');
    for (isize i = 0; i < countof(context); i++) {
        str v = http_query(call->req, str_of(context[i]), S(""));
        if (v.len) jsonw_key_str(&w, context[i], v);
    }
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    if (json_parse(call->a, buf_str(&out), &call->body, &diag) == ERR_OK) return true;
    reply_problem(call, ERR_BAD_INPUT, "%.*s", STR_FMT(diag.what));
    return false;
}

void search_get(struct call *call)
{
    static const char *const top[] = { "q", "filter", "facets", "sort", "category" };
    if (body_of_query(call, top, countof(top))) search_now(call);
}

void search_words(struct call *call)
{
    str out[COMPLETIONS];
    rcu_read_begin();
    isize n = search_complete(live_world(call->api->live).search,
                              http_query(call->req, S("q"), S("")), call->a, out, COMPLETIONS);
    jsonw_begin(&call->w, '{');
    jsonw_key_begin(&call->w, "words", '[');
    for (isize i = 0; i < n; i++) jsonw_str(&call->w, out[i]);
    jsonw_end(&call->w, ']');
    jsonw_end(&call->w, '}');
    rcu_read_end();
    reply_json(call);
}

/* ---- navigation ------------------------------------------------------------------------------ */

struct entry_of_menu { category_id id; i64 items; f64 share; };

/* Without a liking, in the order the catalogue first named them: the shop's own. */
static void order_menu(struct entry_of_menu *at, isize n)
{
    for (isize i = 1; i < n; i++)
        for (isize k = i; k > 0 && at[k - 1].share < at[k].share; k--) {
            struct entry_of_menu swap = at[k];
            at[k] = at[k - 1];
            at[k - 1] = swap;
        }
}

static isize menu_of(struct call *call, struct searching *s, const struct decide_world *world,
                     struct entry_of_menu *out)
{
    static const str facet = S_INIT("category");
    const struct catalog *catalog = world->catalog;
    category_id parent = catalog_category(catalog, s->request.category);
    isize n = 0;
    s->request.facets = &facet;
    s->request.facets_n = 1;
    s->request.limit = 0;
    s->request.text = S("");
    run(call, s, world);
    for (u32 c = 1; c <= (u32)catalog_categories(catalog) && n < NAVIGATION_MAX; c++) {
        if (catalog_category_parent(catalog, (category_id){ c }).v != parent.v) continue;
        struct entry_of_menu e = { .id = { c } };
        str path = catalog_category_path(catalog, e.id);
        for (isize i = 0; i < s->answer.facets[0].n; i++)
            if (str_eq(s->answer.facets[0].at[i].value, path)) e.items = s->answer.facets[0].at[i].n;
        bool may = s->request.dial > 0 && s->facts.affinity && s->personal;
        for (isize i = 0; may && i < s->request.likings_n; i++) {
            const struct search_liking *l = &s->request.likings[i];
            bool under = str_eq(l->dimension, S("category")) && str_starts(l->value, path)
                      && (l->value.len == path.len || str_starts(str_from(l->value, path.len), S(" > ")));
            if (under) e.share += l->share;
        }
        if (e.items) out[n++] = e;
    }
    order_menu(out, n);
    return n;
}

static enum err answer_navigation(struct call *call, struct diag *diag)
{
    struct searching *s = arena_new(call->a, struct searching, 1);
    struct entry_of_menu *menu = arena_new(call->a, struct entry_of_menu, NAVIGATION_MAX);
    enum err err = read_search(call, s, diag);
    if (err) return err;
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    bool ready = world.search != NULL;
    if (ready) {
        know_person(call, s, &world);
        isize n = menu_of(call, s, &world, menu);
        jsonw_begin(&call->w, '{');
        jsonw_key_begin(&call->w, "categories", '[');
        for (isize i = 0; i < n; i++) {
            jsonw_begin(&call->w, '{');
            jsonw_key_str(&call->w, "category", catalog_category_path(world.catalog, menu[i].id));
            jsonw_key_str(&call->w, "title", catalog_category_name(world.catalog, menu[i].id));
            jsonw_key_int(&call->w, "items", menu[i].items);
            jsonw_key_num(&call->w, "share", menu[i].share);
            jsonw_end(&call->w, '}');
        }
        jsonw_end(&call->w, ']');
        jsonw_key_bool(&call->w, "personalised", n > 0 && menu[0].share > 0);
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
    return ready ? ERR_OK
                 : diag_set(
                     diag, ERR_NOT_READY,
                     "the search index is being made for the first time; ask again in a moment");
}

static void navigation_now(struct call *call)
{
    struct diag diag = { .arena = call->a };
    enum err err = answer_navigation(call, &diag);
    if (err) reply_problem(call, err, "%.*s", STR_FMT(diag.what));
    else reply_json(call);
}

enum err api_navigation(const struct api_inside *inside, const struct json *body, arena *a,
                        struct buf *out, struct diag *diag)
{
    return inside_call(inside, body, answer_navigation, a, out, diag);
}

void navigation_post(struct call *call)
{
    if (!call->body) { reply_problem(call, ERR_BAD_INPUT, "expected {\"person\": …}"); return; }
    navigation_now(call);
}

void navigation_get(struct call *call)
{
    static const char *const top[] = { "category" };
    if (body_of_query(call, top, countof(top))) navigation_now(call);
}
