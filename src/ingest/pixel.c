/* SPDX-License-Identifier: Apache-2.0
 *
 * pixel.c - a call in the address of a picture, for e-mails and pages without scripts.
 *
 *   ?data=BASE64                      Segment's: the call as JSON
 *   ?writeKey=…&userId=…&event=…&properties.product_id=…   RudderStack's: a field a parameter
 *
 * In the second form a dotted name is a field of properties, traits or context, and a name that is
 * neither dotted nor one of a call's own is a property. Deeper than that no address should go.
 */
#include "http/http.h"
#include "ingest/ingest.h"

enum { PARAMETERS_MAX = 200 };

struct parameter { str name, value; };

static isize parameters(arena *a, str query, struct parameter out[PARAMETERS_MAX])
{
    isize n = 0;
    while (query.len && n < PARAMETERS_MAX) {
        struct str_cut pair = str_cut(query, '&');
        struct str_cut one = str_cut(pair.head, '=');
        query = pair.tail;
        bool read = percent_decode(a, one.head, true, &out[n].name)
                    && percent_decode(a, one.tail, true, &out[n].value);
        if (read && out[n].name.len && str_is_utf8(out[n].name) && str_is_utf8(out[n].value)) n++;
    }
    return n;
}

static bool is_own(str name)
{
    static const char *const own[] = { "userId",   "anonymousId", "event",     "name",
                                       "category", "messageId",   "timestamp", "originalTimestamp",
                                       "sentAt",   "previousId",  "groupId",   "type" };
    for (isize i = 0; i < countof(own); i++)
        if (str_eq(name, str_of(own[i]))) return true;
    return false;
}

static void write_part(struct jsonw *w, const char *part, const struct parameter *list, isize n, bool rest)
{
    str prefix = str_of(part);
    jsonw_key_begin(w, part, '{');
    for (isize i = 0; i < n; i++) {
        str name = list[i].name;
        bool dotted = str_find_char(name, '.') >= 0;
        bool ours = str_starts(name, prefix) && name.len > prefix.len + 1 && name.ptr[prefix.len] == '.';
        bool left = rest && !dotted && !is_own(name) && !str_eq(name, S("writeKey"))
                    && !str_eq(name, S("write_key"));
        if (!ours && !left) continue;
        jsonw_key(w, ours ? str_from(name, prefix.len + 1) : name);
        jsonw_str(w, list[i].value);
    }
    jsonw_end(w, '}');
}

enum err ingest_pixel(arena *a, str query, const struct json **out, struct diag *why)
{
    struct parameter *list = arena_new(a, struct parameter, PARAMETERS_MAX);
    isize n = parameters(a, query, list);
    for (isize i = 0; i < n; i++) {
        str text;
        if (!str_eq(list[i].name, S("data"))) continue;
        /* A '+' of the base64 that was not escaped has become a blank. */
        char *plain = arena_new(a, char, list[i].value.len + 1);
        for (isize k = 0; k < list[i].value.len; k++)
            plain[k] = list[i].value.ptr[k] == ' ' ? '+' : list[i].value.ptr[k];
        if (!base64_decode(a, (str){ plain, list[i].value.len }, &text))
            return diag_set(why, ERR_BAD_INPUT, "data is not base64");
        return json_parse(a, text, out, why);
    }
    struct buf text = { .arena = a };
    struct jsonw w = { .out = &text };
    jsonw_begin(&w, '{');
    for (isize i = 0; i < n; i++)
        if (is_own(list[i].name) && list[i].value.len) {
            jsonw_key(&w, list[i].name);
            jsonw_str(&w, list[i].value);
        }
    write_part(&w, "properties", list, n, true);
    write_part(&w, "traits", list, n, false);
    write_part(&w, "context", list, n, false);
    jsonw_end(&w, '}');
    return json_parse(a, buf_str(&text), out, why);
}
