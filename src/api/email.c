/* SPDX-License-Identifier: Apache-2.0
 *
 * email.c - a row of items for an e-mail, whole in itself.
 *
 * Asked for with a secret key at the moment of sending, the answer is the HTML to put into the
 * letter and a signed token that stands for the person. With that token the same block is there for
 * whoever opens the letter later (a web version, a client that loads a part): decided anew, with
 * the stock and prices of that moment. The token opens this one block and nothing else, and lapses
 * after ninety days. Somebody who was erased or has withdrawn meanwhile gets what a stranger gets.
 *
 * Tables and inline styles, because that is what mail programs draw. Each link is a ticket's
 * redirect, its destination inside the signature; one pixel says that the block was seen.
 */
#include "api/flags.h"
#include "base/rcu.h"

enum { ITEMS_USUAL = 4, ITEMS_MOST = 12 };

struct letter { struct asked asked; str placement, base, locale; };

static void escaped(struct buf *out, str text)
{
    for (isize i = 0; i < text.len; i++) switch (text.ptr[i]) {
        case '&': buf_add(out, S("&amp;")); break;
        case '<': buf_add(out, S("&lt;")); break;
        case '>': buf_add(out, S("&gt;")); break;
        case '"': buf_add(out, S("&quot;")); break;
        case '\'': buf_add(out, S("&#39;")); break;
        default: buf_byte(out, text.ptr[i]);
    }
}

static str price_text(arena *a, i64 minor, currency c)
{
    char code[4];
    i64 unit = 1;
    int digits = currency_digits(c);
    for (int i = 0; i < digits; i++) unit *= 10;
    str name = currency_code(c, code);
    return digits ? arena_printf(a, "%lld.%0*lld %.*s", (long long)(minor / unit), digits,
                                 (long long)(minor % unit), STR_FMT(name))
                  : arena_printf(a, "%lld %.*s", (long long)minor, STR_FMT(name));
}

static void item_cell(struct call *call, const struct decide_world *world, const struct letter *l,
                      const struct decided_item *it)
{
    struct buf *out = &call->out;
    const struct item *item = catalog_item(world->catalog, it->item);
    if (!item) return;
    const struct price *price = item_price(item, l->asked.request.market);
    str title = item_text(item->titles, item->titles_n, l->asked.request.locale);
    buf_printf(out, "<td width=\"150\" valign=\"top\" style=\"padding:0 8px 16px 8px\"><a href=\"");
    escaped(out, l->base);
    buf_printf(out, "/v1/c/%.*s\" style=\"color:#222222;text-decoration:none\">", STR_FMT(it->ticket));
    if (item->image.len) {
        buf_add(out, S("<img width=\"150\" border=\"0\" style=\"display:block\" src=\""));
        if (item->image.ptr[0] == '/') escaped(out, l->base);
        escaped(out, item->image);
        buf_add(out, S("\" alt=\""));
        escaped(out, title.len ? title : item->key);
        buf_add(out, S("\">"));
    }
    buf_add(out, S("<span style=\"display:block;padding-top:6px;font:14px/1.4 Arial,sans-serif\">"));
    escaped(out, title.len ? title : item->key);
    buf_add(out, S("</span>"));
    if (price) {
        buf_add(out, S("<strong style=\"font:bold 14px/1.4 Arial,sans-serif\">"));
        escaped(out, price_text(call->a, price->minor, price->currency));
        buf_add(out, S("</strong>"));
        if (price->list_minor > price->minor) {
            buf_add(out, S(" <s style=\"font:13px/1.4 Arial,sans-serif;color:#666666\">"));
            escaped(out, price_text(call->a, price->list_minor, price->currency));
            buf_add(out, S("</s>"));
        }
    }
    buf_add(out, S("</a></td>"));
}

/* One decision of the placement, as HTML into call->out. False when there is no such placement. */
static bool write_block(struct call *call, struct letter *l)
{
    struct decision d;
    rcu_read_begin();
    struct decide_world world = live_world(call->api->live);
    bool known = book_placement(world.book, l->placement) != NULL;
    if (known) {
        ask_bind(call, &l->asked, world.book);
        (void)decide(&world, &l->asked.request, call->a, &d);
        str headline = json_str(json_get(d.content, S("headline")), S(""));
        const struct json *texts = json_get(d.content, S("headline"));
        if (json_is(texts, JSON_OBJ))
            headline = json_str(json_get(texts, l->asked.request.locale),
                                json_str(json_get(texts, S("en")), S("")));
        buf_add(
            &call->out,
            S("<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">"));
        if (headline.len && d.items_n) {
            buf_printf(
                &call->out,
                "<tr><td colspan=\"%td\" style=\"padding:0 8px 12px 8px;font:bold 18px/1.3 Arial,sans-serif;color:#222222\">",
                min_isize(4, d.items_n));
            escaped(&call->out, headline);
            buf_add(&call->out, S("</td></tr>"));
        }
        for (isize i = 0; i < d.items_n; i++) {
            if (i % 4 == 0) buf_add(&call->out, i ? S("</tr><tr>") : S("<tr>"));
            item_cell(call, &world, l, &d.items[i]);
        }
        buf_add(&call->out, d.items_n ? S("</tr></table>") : S("</table>"));
        if (d.ticket.len) {
            buf_add(&call->out, S("<img width=\"1\" height=\"1\" alt=\"\" src=\""));
            escaped(&call->out, l->base);
            buf_printf(&call->out, "/v1/i/%.*s\">", STR_FMT(d.ticket));
        }
    }
    rcu_read_end();
    if (known) log_decisions(call, &d, 1);
    return known;
}

/* Where our own addresses begin: as the call says, else as it reached us. */
static str base_of(struct call *call, str said)
{
    str host = header_of(call, S("host")), scheme = header_of(call, S("x-forwarded-proto"));
    if (said.len) return str_ends(said, S("/")) ? str_slice(said, 0, said.len - 1) : said;
    bool here = str_starts(host, S("127.0.0.1")) || str_starts(host, S("localhost"));
    return arena_printf(call->a, "%s://%.*s",
                        str_eq(scheme, S("http")) || (here && scheme.len == 0) ? "http" : "https",
                        STR_FMT(host));
}

/* A placement as the only one of a body made for decide; the request's own body is put back by the caller. */
static enum err read_letter(struct call *call, struct letter *l, struct diag *diag)
{
    str placement = call->params[0];
    l->placement = str_ends(placement, S(".html")) ? str_slice(placement, 0, placement.len - 5) : placement;
    enum err err = ask_read(call, &l->asked, diag);
    struct decide_request *r = &l->asked.request;
    r->placements = &l->placement;
    r->placements_n = 1;
    r->limit = r->limit > 0 ? min_isize(r->limit, ITEMS_MOST) : ITEMS_USUAL;
    if (r->channel.len == 0) r->channel = S("email");
    return err;
}

void email_block_post(struct call *call)
{
    struct letter l = { 0 };
    struct diag diag = { .arena = call->a };
    if (!call->body) {
        reply_problem(call, ERR_BAD_INPUT, "expected {\"person\": …, \"context\": …, \"base\": …}");
        return;
    }
    enum err err = read_letter(call, &l, &diag);
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    l.base = base_of(call, json_str(json_get(call->body, S("base")), S("")));
    if (!write_block(call, &l)) {
        reply_problem(call, ERR_NOT_FOUND, "there is no placement \"%.*s\"", STR_FMT(l.placement));
        return;
    }
    str html = buf_str(&call->out);
    u32 node = 0;
    rcu_read_begin();
    for (isize i = 0; i < l.asked.request.identifiers_n && !node; i++)
        node = identity_node(call->api->live->identity, l.asked.request.identifiers[i]);
    rcu_read_end();
    struct letter_token token = { node, l.placement, l.asked.request.market, l.asked.request.locale,
                                  clock_now(call->api->clock) + LETTER_DAYS * DAY_MS };
    str signed_token = letter_token_make(call->a, call->api->live->secret, &token);
    call->out = (struct buf){ .arena = call->a };
    call->w = (struct jsonw){ .out = &call->out };
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "html", html);
    jsonw_key_str(&call->w, "open",
                  arena_printf(call->a, "%.*s/v1/email-block/%.*s.html?to=%.*s", STR_FMT(l.base),
                               STR_FMT(l.placement), STR_FMT(signed_token)));
    jsonw_key_time(&call->w, "until", token.until_ms);
    jsonw_end(&call->w, '}');
    reply_json(call);
}

/* The same block for whoever holds the letter: the person and the market stand in the token. */
void email_block_get(struct call *call)
{
    struct letter l = { 0 };
    struct letter_token token;
    struct diag diag = { .arena = call->a };
    str to = http_query(call->req, S("to"), S(""));
    bool good = letter_token_read(call->api->live->secret, to, call->a, &token)
                && token.until_ms >= clock_now(call->api->clock);
    if (!good) {
        reply_problem(call, ERR_FORBIDDEN,
                      "the address of this block is not one of ours, or has lapsed");
        return;
    }
    /* for the token's person and this placement alone: nothing of the call is believed */
    call->secret = true;
    str body = arena_printf(call->a, "{\"person\": {\"person_id\": \"p_%u\"}}", token.node);
    enum err err = json_parse(call->a, body, &call->body, &diag);
    if (!err) err = read_letter(call, &l, &diag);
    l.asked.request.market = token.market;
    l.asked.request.locale = token.locale;
    l.base = base_of(call, S(""));
    if (!err && !str_eq(l.placement, token.placement))
        err = diag_set(&diag, ERR_FORBIDDEN, "this address is of another placement");
    if (err) { reply_problem(call, err, "%.*s", STR_FMT(diag.what)); return; }
    if (!write_block(call, &l)) {
        reply_problem(call, ERR_NOT_FOUND, "there is no placement \"%.*s\"", STR_FMT(l.placement));
        return;
    }
    struct http_header extra[] = { { S("Cache-Control"), S("private, no-store") },
                                   { S("X-Robots-Tag"), S("noindex") } };
    http_reply(call->req, 200, S("text/html; charset=utf-8"), buf_str(&call->out), extra, countof(extra));
}
