/* SPDX-License-Identifier: Apache-2.0
 *
 * preview.c - what a file looks like before anybody imports it.
 *
 * From its first bytes: the form, the header, a map made by comparing the header with the words
 * shops' systems use for our fields, some rows, and what an import of that much would take and
 * refuse. The map is a proposal for a person to read; nothing is imported by guess.
 */
#include "ingest/rows.h"

enum { ROWS_SHOWN = 10, REFUSALS_SHOWN = 20, SAMPLE_BYTES = 256 << 10 };

/* What others call our fields, squeezed to letters and digits; the first that fits is taken. */
static const struct { const char *field, *words; } synonyms[] = {
    { "order_key", "orderid ordernumber orderno order invoiceno invoicenumber invoice receiptno receiptnumber receipt transactionid bon" },
    { "product_key", "productid productnumber productno product itemid itemno item articleno articlenumber article stockcode sku gtin ean" },
    { "variant_key", "variantid variant variantsku" },
    { "title", "productname itemname articlename description name" },
    { "category", "productcategory categorypath productgroup department" },
    { "brand", "manufacturer vendor" },
    { "quantity", "qty pieces amount units count antall" },
    { "at", "orderdate invoicedate date datetime time createdat timestamp soldat boughtat answeredat" },
    { "price", "unitprice each priceeach itemprice" },
    { "currency", "currencycode" },
    { "user_id", "userid customerid customer accountid" },
    { "member_id", "memberid membernumber memberno loyaltyid loyaltynumber loyaltyno" },
    { "erp_id", "erpid customernumber customerno debtor debtorno" },
    { "email", "emailaddress mail customeremail" },
    { "phone", "phonenumber mobile mobilephone telephone tel" },
    { "card", "cardtoken cardhash paymentcard" },
    { "anonymous_id", "anonymousid cookie cookieid visitorid" },
    { "device_id", "deviceid" },
    { "country", "countrycode shipcountry" },
    { "channel", "saleschannel" },
    { "store", "storeid shop branch outlet" },
    { "coupon", "couponcode voucher promocode" },
};

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

static bool means(str column, str field)
{
    char said[64], ours[64];
    str squeezed = { said, squeeze(column, said, sizeof said) };
    if (squeezed.len == 0) return false;
    if (str_eq(squeezed, (str){ ours, squeeze(field, ours, sizeof ours) })) return true;
    for (isize i = 0; i < countof(synonyms); i++) {
        if (!str_eq(field, str_of(synonyms[i].field))) continue;
        for (str rest = str_of(synonyms[i].words); rest.len;) {
            struct str_cut cut = str_cut(rest, ' ');
            if (str_eq(cut.head, squeezed)) return true;
            rest = cut.tail;
        }
    }
    return false;
}

static const char *const *fields_of(str kind, isize *n)
{
    *n = 0;
    if (str_eq(kind, S("orders"))) return order_fields(n);
    if (str_eq(kind, S("customers"))) return people_fields(n);
    return NULL;
}

/* {"order_key": "InvoiceNo", …}: each column is taken once. */
static void print_map(struct jsonw *w, str kind, const struct record *first)
{
    bool used[CSV_COLUMNS_MAX] = { 0 };
    isize n;
    const char *const *fields = fields_of(kind, &n);
    jsonw_begin(w, '{');
    for (int exact = 1; exact >= 0; exact--)            /* our own names first, then what may mean the same */
        for (isize i = 0; i < n; i++) {
            str field = str_of(fields[i]);
            for (isize k = 0; k < first->n && k < CSV_COLUMNS_MAX; k++) {
                bool same = str_eq(first->names[k], field);
                if (used[k] || (exact ? !same : same || !means(first->names[k], field))) continue;
                bool had = false;
                for (isize m = 0; !exact && m < first->n; m++) had |= str_eq(first->names[m], field);
                if (had) break;
                used[k] = true;
                jsonw_key(w, field);
                jsonw_str(w, first->names[k]);
                break;
            }
        }
    jsonw_end(w, '}');
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum err print_rows(struct jsonw *w, str sample, str kind, str *map, arena *a, struct diag *diag)
{
    struct gz *gz = gz_memory(sample);
    struct csv *csv = csv_new(gz);
    struct rows *rows = NULL;
    struct buf proposal = { .arena = a };
    enum err err = rows_open(csv, a, &rows, diag);
    isize shown = 0;
    jsonw_key_begin(w, "rows", '[');
    for (bool found = true; !err && found && shown < ROWS_SHOWN;) {
        struct record record;
        struct diag row = { .arena = a };
        enum err bad = rows_next(rows, a, &record, &found, &row);
        if (!found || (bad && bad != ERR_BAD_INPUT)) break;
        if (shown++ == 0) {
            struct jsonw p = { .out = &proposal };
            print_map(&p, kind, &record);
        }
        jsonw_begin(w, '{');
        for (isize i = 0; i < record.n; i++) {
            jsonw_key(w, record.names[i]);
            jsonw_str(w, record.values[i]);
        }
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    if (!err && rows) {
        jsonw_key_str(w, "form", rows_form(rows));
        jsonw_key_str(w, "header", rows_header(rows, a));
    }
    *map = buf_str(&proposal);
    csv_free(csv);
    gz_close(gz);
    return err;
}

/* ---- what an import would say ---------------------------------------------------------------- */

struct trial { struct jsonw *w; isize shown; };

static void on_refused(void *ctx, i64 line, str reason, i64 amount_micro)
{
    struct trial *t = ctx;
    (void)amount_micro;
    if (t->shown++ >= REFUSALS_SHOWN) return;
    jsonw_begin(t->w, '{');
    jsonw_key_int(t->w, "line", line);
    jsonw_key_str(t->w, "reason", reason);
    jsonw_end(t->w, '}');
}

static enum err print_trial(struct jsonw *w, str sample, const struct import *import, struct diag *diag)
{
    struct trial trial = { .w = w };
    struct import_sink sink = { .ctx = &trial, .refused = on_refused };
    struct import_totals t;
    struct gz *gz = gz_memory(sample);
    jsonw_key_begin(w, "refusals", '[');
    enum err err = import_run(gz, import, &sink, &t, diag);
    jsonw_end(w, ']');
    gz_close(gz);
    if (err) return err;
    jsonw_key_int(w, "lines", t.lines);
    jsonw_key_int(w, "accepted", t.accepted);
    jsonw_key_int(w, "refused", t.refused);
    jsonw_key_int(w, "events", t.events);
    jsonw_key_int(w, "items", t.items);
    return ERR_OK;
}

/* The first bytes, to the end of their last line. */
static enum err read_sample(struct gz *gz, arena *a, str *out, bool *whole, struct diag *diag)
{
    char *bytes = arena_new(a, char, SAMPLE_BYTES);
    isize n = 0, got = 1;
    while (n < SAMPLE_BYTES && got > 0) {
        enum err err = gz_read(gz, bytes + n, SAMPLE_BYTES - n, &got, diag);
        if (err) return err;
        n += got;
    }
    *whole = n < SAMPLE_BYTES;
    while (!*whole && n > 0 && bytes[n - 1] != '\n') n--;
    *out = (str){ bytes, n };
    return n ? ERR_OK : diag_set(diag, ERR_BAD_INPUT, "the file is empty");
}

enum err import_preview(struct gz *gz, const struct import *import, arena *a, struct jsonw *w,
                        struct diag *diag)
{
    str sample = S(""), proposal = S("");
    bool whole = true;
    struct import trial = *import;
    const struct json *columns;
    enum err err = read_sample(gz, a, &sample, &whole, diag);
    if (err) return err;
    bool xml = str_trim(sample).len && str_trim(sample).ptr[0] == '<';
    jsonw_begin(w, '{');
    jsonw_key_bool(w, "whole_file", whole);
    if (xml) jsonw_key_str(w, "form", S("XML"));
    else err = print_rows(w, sample, import->kind, &proposal, a, diag);
    if (!err && proposal.len > 2) {
        jsonw_key(w, S("columns"));
        jsonw_raw(w, proposal);
        if (!trial.map
            && json_parse(a, arena_printf(a, "{\"columns\":%.*s}", STR_FMT(proposal)), &columns,
                          NULL)
                   == ERR_OK)
            trial.map = columns;
    }
    struct diag why = { .arena = a };
    if (!err && (!xml || whole) && print_trial(w, sample, &trial, &why)) jsonw_key_str(w, "error", why.what);
    jsonw_end(w, '}');
    return err;
}
