/* SPDX-License-Identifier: Apache-2.0
 *
 * people.c - a file of people -> one identify event a line.
 *
 * Columns that identify are named as identifiers are (or mapped); every other column is a trait by
 * its header's name, or by map.traits {"first_name": "First name"} only, when that is there. Texts
 * that read as a number or as true and false become one; "0150" keeps its zero and stays text.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "ingest/rows.h"

enum { AT, FIRST_ID, FIELDS = FIRST_ID + 8 };
static const char *const names[FIELDS] = {
    "at", "user_id", "member_id", "erp_id", "email", "phone", "card", "device_id", "anonymous_id",
};

const char *const *people_fields(isize *n)
{
    *n = FIELDS;
    return names;
}

struct people { struct importing *im; struct column columns[FIELDS]; const struct json *traits; };

static struct fact fact_of(str name, str text)
{
    struct fact f = { .name = name, .kind = FACT_TEXT, .text = text };
    bool plain = text.len <= 15 && !(text.len > 1 && text.ptr[0] == '0' && text.ptr[1] != '.')
                 && text.ptr[0] != '+';
    if (str_eq(text, S("true")) || str_eq(text, S("false"))) {
        f.kind = FACT_BOOL;
        f.b = text.len == 4;
    } else if (plain && str_to_f64(text, &f.n)) {
        f.kind = FACT_NUMBER;
    }
    return f;
}

static bool is_identifying(const struct people *p, str header)
{
    for (isize i = 0; i < FIELDS; i++)
        if (p->columns[i].given && str_eq(p->columns[i].name, header)) return true;
    return false;
}

static void read_traits(const struct people *p, const struct record *record, struct event *e)
{
    e->traits = arena_new(p->im->scratch, struct fact, record->n);
    for (isize i = 0; i < record->n; i++) {
        str name = record->names[i], text = str_trim(record->values[i]);
        bool wanted = !p->traits && !is_identifying(p, name);
        json_each(one, p->traits)
            if (str_eq(json_str(one, S("")), record->names[i])) { name = one->key; wanted = true; }
        if (wanted && name.len && text.len && e->traits_n < EVENT_TRAITS_MAX)
            e->traits[e->traits_n++] = fact_of(name, text);
    }
}

static str person_take(struct people *p, const struct record *record)
{
    struct importing *im = p->im;
    arena *a = im->scratch;
    struct event e = {
        .type = EVENT_IDENTIFIED,
        .flags = EVENT_IMPORTED | (im->import->test ? EVENT_TEST : 0),
        .at_ms = im->import->received_ms,
        .source = import_source(im),
        .channel = CHANNEL_SERVER,
    };
    e.identifiers = arena_new(a, struct identifier, FIELDS);
    for (isize i = FIRST_ID; i < FIELDS; i++) {
        u8 kind;
        str value = column_text(&p->columns[i], record, a);
        if (value.len == 0 || !identifier_kind_of(str_of(names[i]), &kind)) continue;
        str id = ingest_identifier(a, kind, value);
        if (id.len == 0)
            return arena_printf(a, "%s \"%.*s\" identifies nobody", names[i],
                                (int)min_isize(value.len, 60), value.ptr);
        if (id.len > IDENTIFIER_BYTES_MAX)
            return arena_printf(a, "%s is longer than %d bytes", names[i], IDENTIFIER_BYTES_MAX);
        e.identifiers[e.identifiers_n++] = (struct identifier){ kind, true, id };
    }
    if (e.identifiers_n == 0) return S("the line has no identifier");
    str at = column_text(&p->columns[AT], record, a);
    if (at.len && (!time_parse(at, &e.at_ms) || e.at_ms <= 0))
        return arena_printf(a, "at \"%.*s\" is not a time", (int)min_isize(at.len, 60), at.ptr);
    e.at_ms = min_i64(e.at_ms, im->import->received_ms);
    read_traits(p, record, &e);
    struct buf content = { .arena = a };
    for (isize i = 0; i < record->n; i++) {
        buf_add(&content, record->names[i]);
        buf_byte(&content, '\x1f');
        buf_add(&content, record->values[i]);
        buf_byte(&content, '\x1f');
    }
    struct hash128 h = hash128(buf_str(&content), 0);
    e.key = arena_printf(a, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
    im->totals->accepted++;
    im->totals->people++;
    import_event(im, &e);
    return S("");
}

enum err import_people(struct importing *im, struct rows *rows)
{
    struct people p = { .im = im, .traits = json_get(im->import->map, S("traits")) };
    enum err err = columns_read(im, rows, names, FIELDS, true, p.columns);
    im->columns = p.columns;
    im->fields = names;
    im->fields_n = FIELDS;
    im->traits = p.traits;
    while (!err) {
        struct record record;
        bool found;
        im->record = &record;
        err = rows_next(rows, im->scratch, &record, &found, im->diag);
        if (!found) return err;
        im->totals->lines++;
        if (err && err != ERR_BAD_INPUT) return err;
        str wrong = err ? im->diag->what : person_take(&p, &record);
        err = ERR_OK;
        if (wrong.len) import_refuse(im, record.line, wrong, 0);
        arena_clear(im->scratch);
        import_progress(im);
    }
    return err;
}
