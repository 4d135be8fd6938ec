/* SPDX-License-Identifier: Apache-2.0
 *
 * feed_xml.c - product feeds in XML: RSS 2.0 <item> and Atom <entry>, Google's attributes with g:.
 *
 * libexpat reads a piece at a time; the texts of an entry's own children become a record's fields
 * (deeper ones, such as g:shipping's, are left out; of a repeated one the first stands). A document
 * that declares entities is refused: five lines of them can unfold to gigabytes, and no feed needs
 * any.
 */
#include <expat.h>

#include "ingest/rows.h"

enum { DEPTH_MAX = 32, FIELDS_MAX = 500, ENTRY_BYTES_MAX = 1 << 20 };

struct reader {
    struct importing *im;
    struct feed *feed;
    XML_Parser parser;
    int depth, entry_depth;         /* 0: outside an entry */
    str names[FIELDS_MAX], values[FIELDS_MAX];
    isize n, bytes;
    i64 line;
    struct buf text;
    bool too_big;
    const char *wrong;              /* about the file as a whole */
};

static str local_name(const XML_Char *name)
{
    str s = str_of(name);
    for (isize at; (at = str_find_char(s, '|')) >= 0;) s = str_from(s, at + 1);
    return s;
}

static void stop(struct reader *r, const char *why)
{
    r->wrong = why;
    XML_StopParser(r->parser, XML_FALSE);
}

static void keep_field(struct reader *r, str name, str value)
{
    value = str_trim(value);
    for (isize i = 0; i < r->n; i++)
        if (str_eq(r->names[i], name)) return;
    if (value.len == 0) return;
    if (r->n == FIELDS_MAX) { r->too_big = true; return; }
    r->names[r->n] = arena_str(r->im->scratch, name);
    r->values[r->n++] = arena_str(r->im->scratch, value);
}

static void XMLCALL on_start(void *ctx, const XML_Char *element, const XML_Char **attributes)
{
    struct reader *r = ctx;
    str name = local_name(element);
    if (++r->depth > DEPTH_MAX) { stop(r, "the XML is nested more than 32 levels deep"); return; }
    bool begins =
        r->entry_depth == 0
        && (str_eq(name, S("item")) || str_eq(name, S("entry")) || str_eq(name, S("product")));
    if (begins) {
        r->entry_depth = r->depth;
        r->n = r->bytes = 0;
        r->too_big = false;
        r->line = (i64)XML_GetCurrentLineNumber(r->parser);
    }
    if (r->entry_depth == 0 || r->depth != r->entry_depth + 1) return;
    r->text.len = 0;
    if (!str_eq(name, S("link"))) return;
    for (; *attributes; attributes += 2)                /* Atom: <link href="…"/> */
        if (str_eq(local_name(attributes[0]), S("href"))) keep_field(r, S("link"), str_of(attributes[1]));
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int n)
{
    struct reader *r = ctx;
    if (r->entry_depth == 0 || r->depth != r->entry_depth + 1) return;
    r->bytes += n;
    if (r->bytes > ENTRY_BYTES_MAX) { r->too_big = true; return; }
    buf_add(&r->text, (str){ text, n });
}

static void XMLCALL on_end(void *ctx, const XML_Char *element)
{
    struct reader *r = ctx;
    str name = local_name(element);
    if (r->entry_depth && r->depth == r->entry_depth + 1) {
        if (str_eq(name, S("summary")) || str_eq(name, S("content"))) name = S("description");
        keep_field(r, name, buf_str(&r->text));
        r->text.len = 0;
    }
    if (r->entry_depth && r->depth == r->entry_depth) {
        struct record record = { r->names, r->values, r->n, r->line, NULL };
        if (r->too_big) {
            r->im->totals->lines++;
            import_refuse(r->im, r->line, S("the entry is longer than 1 MiB or has more than 500 fields"), 0);
        } else {
            feed_take(r->feed, &record);
        }
        arena_clear(r->im->scratch);
        import_progress(r->im);
        r->entry_depth = 0;
    }
    r->depth--;
}

static void XMLCALL on_entity(void *ctx, const XML_Char *name, int is_parameter,
                              const XML_Char *value, int n, const XML_Char *base,
                              const XML_Char *system_id, const XML_Char *public_id,
                              const XML_Char *notation)
{
    (void)name;
    (void)is_parameter;
    (void)value;
    (void)n;
    (void)base;
    (void)system_id;
    (void)public_id;
    (void)notation;
    stop(ctx, "the XML declares entities, which is refused");
}

static enum err parse_all(struct reader *r, struct csv *csv)
{
    struct importing *im = r->im;
    for (;;) {
        str piece;
        enum err err = csv_take(csv, &piece, im->diag);
        if (err) return err;
        enum XML_Status status = XML_Parse(r->parser, piece.ptr, (int)piece.len, piece.len == 0);
        im->diag->line = (i64)XML_GetCurrentLineNumber(r->parser);
        if (r->wrong) return diag_set(im->diag, ERR_BAD_INPUT, "%s", r->wrong);
        if (status != XML_STATUS_OK)
            return diag_set(im->diag, ERR_BAD_INPUT, "the XML is broken: %s",
                            XML_ErrorString(XML_GetErrorCode(r->parser)));
        if (piece.len == 0) return ERR_OK;
    }
}

enum err import_xml(struct importing *im, struct csv *csv)
{
    if (str_eq(im->import->kind, S("orders")) || str_eq(im->import->kind, S("customers")))
        return diag_set(im->diag, ERR_BAD_INPUT, "only product feeds come as XML");
    struct reader *r = mem_new(sizeof *r);
    r->im = im;
    r->feed = feed_new(im);
    r->parser = XML_ParserCreateNS(NULL, '|');
    assert(r->parser);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetEntityDeclHandler(r->parser, on_entity);
    enum err err = parse_all(r, csv);
    if (!err) feed_end(r->feed);
    XML_ParserFree(r->parser);
    feed_free(r->feed);
    buf_fini(&r->text);
    mem_free(r);
    return err;
}
