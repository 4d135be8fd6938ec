/* SPDX-License-Identifier: Apache-2.0
 *
 * import.c - a whole file: what kind it is, its lines, its refusals, its progress. */
#include "base/hash.h"
#include "ingest/rows.h"

static const str kinds[] = {
    S_INIT("orders"), S_INIT("customers"), S_INIT("events"),  S_INIT("products"),
    S_INIT("prices"), S_INIT("stock"),     S_INIT("content"),
};

bool import_kind_known(str kind)
{
    for (isize i = 0; i < countof(kinds); i++)
        if (str_eq(kind, kinds[i])) return true;
    return false;
}

/* ---- what is refused ------------------------------------------------------------------------- */

enum { LETTER_BYTES_MAX = 32 << 10 };

static void print_field(struct jsonw *w, str name, str value)
{
    if (name.len == 0 || value.len == 0) return;
    jsonw_key(w, name);
    jsonw_str(w, value);
}

static bool is_mapped(const struct importing *im, str column)
{
    for (isize i = 0; i < im->fields_n; i++)
        if (im->columns[i].given && str_eq(im->columns[i].name, column)) return true;
    json_each(one, im->traits)
        if (str_eq(json_str(one, S("")), column)) return true;
    return false;
}

/* The record under our names, so that it can come in again without its map. */
static str letter_text(struct importing *im)
{
    struct buf out = { .arena = im->scratch };
    struct jsonw w = { .out = &out };
    const struct record *r = im->record;
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "import", im->import->kind);
    jsonw_key_begin(&w, "row", '{');
    for (isize i = 0; r && i < im->fields_n; i++)
        print_field(&w, str_of(im->fields[i]), column_text(&im->columns[i], r, im->scratch));
    json_each(trait, im->traits)
        for (isize i = 0; r && i < r->n; i++)
            if (str_eq(r->names[i], json_str(trait, S(""))))
                print_field(&w, trait->key, str_trim(r->values[i]));
    bool doc = r && r->doc && im->fields_n == 0;
    if (doc) json_each(one, r->doc) { jsonw_key(&w, one->key); jsonw_value(&w, one); }
    for (isize i = 0; r && !doc && i < r->n; i++)
        if (!is_mapped(im, r->names[i])) print_field(&w, r->names[i], str_trim(r->values[i]));
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    return out.len <= LETTER_BYTES_MAX ? buf_str(&out) : S("");
}

bool import_row(const struct json *letter, str *kind, const struct json **row)
{
    *kind = json_str(json_get(letter, S("import")), S(""));
    *row = json_get(letter, S("row"));
    return import_kind_known(*kind) && json_is(*row, JSON_OBJ);
}

void import_refuse(struct importing *im, i64 line, str reason, i64 amount_micro)
{
    im->totals->refused++;
    im->totals->refused_micro += amount_micro;
    if (im->sink->letter && im->event_line.len <= LETTER_BYTES_MAX)
        im->sink->letter(im->sink->ctx, line, reason, im->event_line.len ? im->event_line : letter_text(im));
    if (im->sink->refused) im->sink->refused(im->sink->ctx, line, reason, amount_micro);
}

void import_event(struct importing *im, const struct event *e)
{
    im->totals->events++;
    if (im->sink->event) im->sink->event(im->sink->ctx, e);
}

void import_item(struct importing *im, const struct item_change *change)
{
    im->totals->items++;
    if (im->sink->item) im->sink->item(im->sink->ctx, change);
}

void import_progress(struct importing *im)
{
    if (!im->sink->progress) return;
    struct gz_progress at = gz_progress(im->gz);
    i64 share = at.total > 0 ? at.done * 100 / at.total : 0;
    if (share == im->shown) return;
    im->shown = share;
    im->sink->progress(im->sink->ctx, at);
}

str import_source(const struct importing *im)
{
    return im->import->source.len ? im->import->source
                                  : json_str(json_get(im->import->map, S("source")), S("import"));
}

currency import_currency(const struct importing *im)
{
    if (im->import->currency.v) return im->import->currency;
    return currency_of(json_str(json_get(im->import->map, S("currency")), S("")));
}

/* ---- events: a call a line, as /v1/batch takes them ------------------------------------------ */

enum err import_event_line(struct importing *im, str line)
{
    struct ingest_envelope v = {
        .received_ms = im->import->received_ms,
        .source = import_source(im),
        .currency = import_currency(im),
        .verified = true,
        .imported = true,
        .test = im->import->test,
        .event_bytes = CSV_ROW_BYTES_MAX,
    };
    const struct json *doc;
    struct event e;
    enum err err = json_parse(im->scratch, line, &doc, im->diag);
    if (!err) err = ingest_event(im->scratch, doc, &v, &e, im->diag);
    if (err) return err;
    if (e.key.len == 0) {                               /* the same line is the same event */
        struct hash128 h = hash128(line, 0);
        e.key = arena_printf(im->scratch, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
    }
    im->totals->accepted++;
    import_event(im, &e);
    return ERR_OK;
}

static enum err import_events(struct importing *im, struct csv *csv)
{
    for (;;) {
        str line;
        i64 number;
        bool found;
        enum err err = csv_line(csv, &line, &number, &found, im->diag);
        if (!found) return err;
        if (!err && str_trim(line).len == 0) continue;
        im->totals->lines++;
        if (!err) err = import_event_line(im, str_trim(line));
        if (err == ERR_DISK) return err;
        im->event_line = str_trim(line);
        if (err) import_refuse(im, number, im->diag->what, 0);
        im->event_line = S("");
        arena_clear(im->scratch);
        import_progress(im);
    }
}

enum err import_run(struct gz *gz, const struct import *import, const struct import_sink *sink,
                    struct import_totals *totals, struct diag *diag)
{
    assert(import->received_ms > 0);
    *totals = (struct import_totals){ 0 };
    if (!import_kind_known(import->kind))
        return diag_set(diag, ERR_BAD_INPUT, "there is no import kind \"%.*s\"",
                        STR_FMT(import->kind));
    if (import->map && import->map->kind != JSON_OBJ)
        return diag_set(diag, ERR_BAD_INPUT, "a map is an object");
    arena keep = { 0 }, scratch = { 0 };
    struct diag inside = { .arena = &scratch };
    struct importing im = { .gz = gz,
                            .import = import,
                            .sink = sink,
                            .totals = totals,
                            .keep = &keep,
                            .scratch = &scratch,
                            .diag = &inside,
                            .shown = -1 };
    struct csv *csv = csv_new(gz);
    struct rows *rows;
    str head = S("");
    enum err err = csv_peek(csv, 64, &head, &inside);
    bool xml = str_trim(head).len && str_trim(head).ptr[0] == '<';
    if (!err) {
        bool json = str_trim(head).len == 0 || str_trim(head).ptr[0] == '{' || str_trim(head).ptr[0] == '[';
        bool events = str_eq(import->kind, S("events"));
        if (events && json) err = import_events(&im, csv);
        else if (xml) err = import_xml(&im, csv);
        else if (!(err = rows_open(csv, &keep, &rows, &inside))) {
            if (events) err = import_calls(&im, rows);
            else if (str_eq(import->kind, S("orders"))) err = import_orders(&im, rows);
            else if (str_eq(import->kind, S("customers"))) err = import_people(&im, rows);
            else err = import_items(&im, rows);
        }
    }
    if (!err && sink->progress) sink->progress(sink->ctx, gz_progress(gz));
    if (err) {
        diag->line = inside.line;
        err = diag_set(diag, err, "%.*s", STR_FMT(inside.what));
    }
    csv_free(csv);
    arena_fini(&scratch);
    arena_fini(&keep);
    return err;
}
