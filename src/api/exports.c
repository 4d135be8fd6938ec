/* SPDX-License-Identifier: Apache-2.0
 *
 * exports.c - what we hold, out as NDJSON.
 *
 * Products, people, orders and definitions are state, printed on the fold's thread a page at a
 * time, so that a long export holds up nobody. Events and the log itself are read from the log's
 * files, where they stand still; "log" is the exact form, the one that `opmaat import all` takes.
 */
#include "api/admin.h"
#include "base/rcu.h"

enum {
    EXPORT_AT_ONCE = 500,
    EXPORT_ROWS_MAX = 100000,
    EXPORT_BYTES_MAX = 256 << 20,
    EXPORT_PAGE_BYTES = 1 << 20
};

static const isize DENIALS_FROM = (isize)1 << 40;       /* above every person's number */

struct exporting {
    const struct kind *kind;
    isize next, left;               /* of state: the last id printed; of the log: the last entry read */
    isize through;                  /* of the log: nothing after this entry; 0: all */
    i64 since_ms;                   /* of the log: records of that instant or later */
    bool more;
    arena a;                        /* one record, or one person */
};

static void row_end(struct call *call, struct exporting *x)
{
    buf_byte(&call->out, '\n');
    call->w.comma = false;
    x->left--;
}

static void print_texts(struct jsonw *w, const char *key, const struct text *texts, isize n)
{
    if (n == 0) return;
    if (n == 1 && texts[0].locale.len == 0) { jsonw_key_str(w, key, texts[0].value); return; }
    jsonw_key_begin(w, key, '{');
    for (isize i = 0; i < n; i++) {
        jsonw_key(w, texts[i].locale.len ? texts[i].locale : S("en"));
        jsonw_str(w, texts[i].value);
    }
    jsonw_end(w, '}');
}

static void print_stock(struct jsonw *w, const struct stock *stock, isize n)
{
    if (n == 0) return;
    jsonw_key_begin(w, "stock", '{');
    for (isize i = 0; i < n; i++) {
        jsonw_key(w, stock[i].store);
        jsonw_int(w, stock[i].quantity);
    }
    jsonw_end(w, '}');
}

static void print_prices(struct jsonw *w, const struct price *prices, isize n)
{
    if (n == 0) return;
    jsonw_key_begin(w, "prices", '[');
    for (isize i = 0; i < n; i++) {
        jsonw_begin(w, '{');
        if (prices[i].market.len) jsonw_key_str(w, "market", prices[i].market);
        jsonw_key(w, S("price"));
        print_money(w, (struct money){ prices[i].minor, prices[i].currency });
        if (prices[i].list_minor) {
            jsonw_key(w, S("list"));
            print_money(w, (struct money){ prices[i].list_minor, prices[i].currency });
        }
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void print_words(struct jsonw *w, const struct item *item)
{
    const struct { const char *name; str value;
    } words[] = {
        { "url", item->url },       { "image", item->image },   { "brand", item->brand },
        { "colour", item->colour }, { "gender", item->gender }, { "category", item->category },
    };
    for (isize i = 0; i < countof(words); i++)
        if (words[i].value.len) jsonw_key_str(w, words[i].name, words[i].value);
}

/* As the products import takes it, so that what goes out comes in again. */
static void print_product(struct jsonw *w, const struct item *item)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, item->kind == ITEM_CONTENT ? "content_key" : "product_key", item->key);
    print_texts(w, "title", item->titles, item->titles_n);
    print_texts(w, "description", item->descriptions, item->descriptions_n);
    print_words(w, item);
    print_prices(w, item->prices, item->prices_n);
    if (item->variants_n == 0) print_stock(w, item->stock, item->stock_n);
    if (item->cost_minor && item->prices_n) {
        jsonw_key(w, S("cost"));
        print_money(w, (struct money){ item->cost_minor, item->prices[0].currency });
    }
    if (item->variants_n) jsonw_key_begin(w, "variants", '[');
    for (isize i = 0; i < item->variants_n; i++) {
        const struct variant *v = &item->variants[i];
        jsonw_begin(w, '{');
        jsonw_key_str(w, "variant_key", v->key);
        if (v->size.len) jsonw_key_str(w, "size", v->size);
        if (v->colour.len) jsonw_key_str(w, "colour", v->colour);
        print_stock(w, v->stock, v->stock_n);
        print_prices(w, v->prices, v->prices_n);
        jsonw_end(w, '}');
    }
    if (item->variants_n) jsonw_end(w, ']');
    if (item->attributes_n) jsonw_key_begin(w, "attributes", '{');
    for (isize i = 0; i < item->attributes_n; i++) fact_print(&item->attributes[i], w);
    if (item->attributes_n) jsonw_end(w, '}');
    if (item->repurchase_days) jsonw_key_int(w, "repurchase_days", item->repurchase_days);
    if (item->published_at_ms) jsonw_key_time(w, "published_at", item->published_at_ms);
    if (item->hidden) jsonw_key_bool(w, "hidden", true);
    if (item->removed) jsonw_key_bool(w, "removed", true);
    jsonw_end(w, '}');
}

static void export_products(struct call *call, struct fold *fold, struct exporting *x)
{
    const struct catalog *catalog = fold_live(fold)->catalog;
    isize n = EXPORT_AT_ONCE, most = catalog_count(catalog);
    for (; n > 0 && x->left > 0 && x->next < most; n--) {
        const struct item *item = catalog_item(catalog, (item_id){ (u32)++x->next });
        if (!item || item->kind == ITEM_SEEN) continue;
        print_product(&call->w, item);
        row_end(call, x);
    }
    x->more = x->next < most;
}

static void export_people(struct call *call, struct fold *fold, struct exporting *x)
{
    const struct people *people = fold_live(fold)->people;
    isize n = EXPORT_AT_ONCE, most = people_most(people);
    for (; n > 0 && x->left > 0 && x->next < most; n--) {
        const struct profile *p = people_get(people, (person_id){ (u32)++x->next }, call->a);
        if (!p) continue;
        print_person(call, fold, p);
        row_end(call, x);
    }
    x->more = x->next < most;
}

void print_order(struct call *call, const struct order *order)
{
    static const char *const states[] = { "completed", "cancelled", "return" };
    struct jsonw *w = &call->w;
    struct str_cut key = str_cut(order->key, ':');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "order_key", key.tail);
    jsonw_key_str(w, "source", key.head);
    jsonw_key_str(w, "state", str_of(states[order->state]));
    jsonw_key_time(w, "at", order->at_ms);
    jsonw_key_str(w, "channel", str_of(channel_name(order->channel)));
    print_person_id(w, "person_id",
                    order->node ? identity_person(call->api->live->identity, order->node)
                                : (person_id){ 0 });
    jsonw_key(w, S("value"));
    print_money(w, (struct money){ order->value_minor, order->currency });
    jsonw_key(w, S("refunded"));
    print_money(w, (struct money){ order->refunded_minor, order->currency });
    jsonw_key_begin(w, "lines", '[');
    for (isize i = 0; i < order->lines_n; i++) {
        const struct order_line *line = &order->lines[i];
        jsonw_begin(w, '{');
        item_print_named(call->api->live->catalog, (item_id){ line->item }, w);
        jsonw_key_int(w, "quantity", line->quantity);
        jsonw_key(w, S("value"));
        print_money(w, (struct money){ line->value_minor, order->currency });
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

static void export_orders(struct call *call, struct fold *fold, struct exporting *x)
{
    isize n = EXPORT_AT_ONCE, most = fold_orders(fold);
    for (; n > 0 && x->left > 0 && x->next < most; n--) {
        print_order(call, fold_order(fold, (order_id){ (u32)++x->next }, call->a));
        row_end(call, x);
    }
    x->more = x->next < most;
}

static void export_definitions(struct call *call, struct fold *fold, struct exporting *x)
{
    const struct definition *def;
    isize n = EXPORT_AT_ONCE;
    for (;
         n > 0 && x->left > 0 && (def = definition_by_id(fold_definitions(fold), (u32)x->next + 1));
         n--) {
        x->next++;
        if (definition_is_hidden(def->kind, def->key)) continue;
        print_definition(call, def);
        row_end(call, x);
    }
    x->more = definition_by_id(fold_definitions(fold), (u32)x->next + 1) != NULL;
}

/* Receipts of erasures and suppressions, then every refusal that stands: whom by a keyed hash
 * alone, so that the list can lie outside of the folder and its copies. First by person, then, from
 * DENIALS_FROM on, strangers' in parts. */
static void export_erasures(struct call *call, struct fold *fold, struct exporting *x)
{
    const struct live *live = fold_live(fold);
    isize n = EXPORT_AT_ONCE, most = people_most(live->people);
    if (x->next == 0) print_receipts(call, fold);
    for (; n > 0 && x->left > 0 && x->next < most; n--) {
        arena_clear(&x->a);
        x->left -= print_refusals_of(call, live, (person_id){ (u32)++x->next }, &x->a);
    }
    if (x->next >= most && x->next < DENIALS_FROM) x->next = DENIALS_FROM;
    for (; n > 0 && x->left > 0 && x->next >= DENIALS_FROM && x->next < DENIALS_FROM + DENIAL_PARTS; n--)
        x->left -= print_denials(call, live, x->next++ - DENIALS_FROM);
    x->more = x->next < DENIALS_FROM + DENIAL_PARTS;
}

/* ---- from the log ---------------------------------------------------------------------------- */

static void export_events(struct call *call, const struct record *record, struct exporting *x)
{
    for (isize i = 0; i < record->entries_n; i++) {
        struct event e;
        const struct entry *entry = &record->entries[i];
        if (entry->kind != ENTRY_EVENT || event_decode(entry->bytes, &x->a, &e)) continue;
        event_print(&e, &call->w);
        row_end(call, x);
    }
}

static void export_log(struct call *call, const struct record *record, struct exporting *x)
{
    archive_print(record, &call->out);
    x->left -= record->entries_n;
}

/* ---- the kinds ------------------------------------------------------------------------------- */

static const struct kind {
    str name;
    /* of state, on the fold's thread */
    void (*page)(struct call *call, struct fold *fold, struct exporting *x);
    void (*records)(struct call *call, const struct record *record, struct exporting *x);    /* of the log */
} kinds[] = {
    { S_INIT("products"), export_products, NULL }, { S_INIT("people"), export_people, NULL },
    { S_INIT("orders"), export_orders, NULL },     { S_INIT("definitions"), export_definitions, NULL },
    { S_INIT("events"), NULL, export_events },     { S_INIT("log"), NULL, export_log },
    { S_INIT("erasures"), export_erasures, NULL },
};

static const struct kind *kind_named(str name)
{
    for (isize i = 0; i < countof(kinds); i++)
        if (str_eq(name, kinds[i].name)) return &kinds[i];
    return NULL;
}

/* A page of whole records. */
static enum err page_of_log(struct call *call, struct exporting *x, struct diag *diag)
{
    bool found = true;
    for (isize bytes = call->out.len; x->left > 0 && call->out.len - bytes < EXPORT_PAGE_BYTES;) {
        struct record record;
        arena_clear(&x->a);
        enum err err = fold_read(call->api->fold, (u64)x->next + 1, &x->a, &record, &found, diag);
        if (err) return err;
        x->more = found;
        if (!found) return ERR_OK;
        if (record.at_ms >= x->since_ms) x->kind->records(call, &record, x);
        x->next = (isize)record.first + record.entries_n - 1;
        x->more = x->through == 0 || x->next < x->through;
        if (!x->more) return ERR_OK;
    }
    return ERR_OK;
}

static void answer_export(struct call *call, struct fold *fold)
{
    struct exporting *x = call->own;
    x->kind->page(call, fold, x);
}

static enum err export_page(struct call *call, struct exporting *x, struct diag *diag)
{
    call->own = x;
    if (x->kind->records) return page_of_log(call, x, diag);
    on_fold(call, answer_export);
    return ERR_OK;
}

/* At most limit rows (100,000; the log by whole records, up to the one that ends with ?through=); when there are more the last line is
 * {"next": "…"}, for ?after=. */
static void export(struct call *call)
{
    struct exporting *x = call->own;
    struct diag diag = { .arena = call->a };
    enum err err;
    call->type = S("application/x-ndjson");
    do err = export_page(call, x, &diag);
    while (!err && x->more && x->left > 0 && call->out.len < EXPORT_BYTES_MAX);
    arena_fini(&x->a);
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    if (x->more) buf_printf(&call->out, "{\"next\":\"%lld\"}\n", (long long)x->next);
    note_deed(call->api->admin, clock_now(call->api->clock), call->author, "export", call->params[0]);
}

void export_get(struct call *call)
{
    struct exporting *x = arena_new(call->a, struct exporting, 1);
    i64 after;
    x->kind = kind_named(call->params[0]);
    if (!x->kind) {
        reply_problem(
            call, ERR_NOT_FOUND,
            "products, people, orders, definitions, events, log and erasures can be exported");
        return;
    }
    str since = http_query(call->req, S("since"), S(""));
    if (since.len && !time_parse(since, &x->since_ms)) {
        reply_problem(call, ERR_BAD_INPUT, "since is no time");
        return;
    }
    x->left = query_limit(call, EXPORT_ROWS_MAX, EXPORT_ROWS_MAX);
    if (str_to_i64(http_query(call->req, S("after"), S("")), &after))
        x->next = (isize)max_i64(min_i64(after, INT64_MAX - 1), 0);
    i64 through;
    if (str_to_i64(http_query(call->req, S("through"), S("")), &through))
        x->through = (isize)max_i64(min_i64(through, INT64_MAX - 1), 0);
    call->own = x;
    ask_jobs(call, export);
}
