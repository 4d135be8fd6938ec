/* SPDX-License-Identifier: Apache-2.0
 *
 * storefront.c - one request to the shop, one reply.
 *
 * All state of a visit is in the visitor's own cookies, so the shop keeps none:
 *
 *    ff_cart     variant*quantity, joined by dots       "p-4-m-navy*2.p-9-250g-brown*1"
 *    ff_consent  yes | no                               absent: not chosen yet
 *    ff_lang     en | nb
 *    ff_store    oslo-1 | bergen-1 | trondheim-1        absent: no shop chosen
 *    ff_person   user id . hex HMAC-SHA256 of it        logged in; a forged one is nobody
 *
 * The shop reads the tag's cookie opmaat_id only to say whose order it was, and only after a yes.
 * What changes something is a POST and answers 303, so that reloading repeats nothing. A cookie
 * that does not make sense counts as absent. */
#include "demo/page.h"

#include <sodium.h>

#include "base/hash.h"
#include "http/http.h"

enum { COOKIE_YEAR_S = 365 * 24 * 3600, BACK_MAX = 200 };

/* ---- reading what was sent ---------------------------------------------------------------- */

str form_value(arena *scratch, str form, str name, str otherwise)
{
    while (form.len > 0) {
        struct str_cut part = str_cut(form, '&'), pair = str_cut(part.head, '=');
        str key, value;
        if (percent_decode(scratch, pair.head, true, &key) && str_eq(key, name))
            return percent_decode(scratch, pair.tail, true, &value) && str_is_utf8(value) ? value : otherwise;
        form = part.tail;
    }
    return otherwise;
}

static str cookie_value(str cookies, str name)
{
    while (cookies.len > 0) {
        struct str_cut part = str_cut(cookies, ';'), pair = str_cut(str_trim(part.head), '=');
        if (str_eq(pair.head, name)) return pair.tail;
        cookies = part.tail;
    }
    return S("");
}

str demo_user_hash(const struct demo_shop *shop, str user_id, arena *scratch)
{
    crypto_auth_hmacsha256_state state;
    u8 mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&state, (const u8 *)shop->identity_secret.ptr,
                                (size_t)shop->identity_secret.len);
    crypto_auth_hmacsha256_update(&state, (const u8 *)user_id.ptr, (unsigned long long)user_id.len);
    crypto_auth_hmacsha256_final(&state, mac);
    char *hex = arena_new(scratch, char, 2 * (isize)sizeof mac + 1);
    sodium_bin2hex(hex, 2 * sizeof mac + 1, mac, sizeof mac);
    return (str){ hex, 2 * (isize)sizeof mac };
}

static const struct demo_persona *persona_by_id(str user_id)
{
    for (isize i = 0; i < DEMO_PERSONAS; i++)
        if (str_eq(str_of(demo_personas[i].user_id), user_id)) return &demo_personas[i];
    return NULL;
}

static const struct demo_persona *person_of(const struct demo_shop *shop, str cookie, arena *scratch)
{
    struct str_cut cut = str_cut(cookie, '.');
    const struct demo_persona *person = persona_by_id(cut.head);
    if (!person) return NULL;
    str hash = demo_user_hash(shop, cut.head, scratch);
    bool same = hash.len == cut.tail.len && sodium_memcmp(hash.ptr, cut.tail.ptr, (size_t)hash.len) == 0;
    return same ? person : NULL;
}

/* A variant's key starts with its product's: "p-4-m-navy" is of "p-4". */
static struct cart_line variant_by_key(const struct demo_catalogue *c, str key)
{
    isize end = 2;
    while (end < key.len && key.ptr[end] >= '0' && key.ptr[end] <= '9') end++;
    const struct demo_product *p = key.len > 2 ? demo_product_by_key(c, str_slice(key, 0, end)) : NULL;
    for (isize i = 0; p && i < p->variants_n; i++)
        if (str_eq(p->variants[i].key, key)) return (struct cart_line){ p, &p->variants[i], 1 };
    return (struct cart_line){ 0 };
}

static struct cart_line *cart_find(struct cart *cart, const struct demo_variant *variant)
{
    for (isize i = 0; i < cart->n; i++)
        if (cart->lines[i].variant == variant) return &cart->lines[i];
    return NULL;
}

static struct cart cart_of(const struct demo_catalogue *c, str cookie)
{
    struct cart cart = { .n = 0 };
    while (cookie.len > 0 && cart.n < CART_LINES_MAX) {
        struct str_cut part = str_cut(cookie, '.'), pair = str_cut(part.head, '*');
        struct cart_line line = variant_by_key(c, pair.head);
        i64 quantity = 0;
        if (line.variant && str_to_i64(pair.tail, &quantity) && quantity >= 1
            && quantity <= CART_QUANTITY_MAX && !cart_find(&cart, line.variant)) {
            line.quantity = (i32)quantity;
            cart.lines[cart.n++] = line;
        }
        cookie = part.tail;
    }
    return cart;
}

static isize store_of(str key)
{
    for (isize place = DEMO_OSLO; place < DEMO_PLACES; place++)
        if (str_eq(key, str_of(demo_place_keys[place]))) return place;
    return 0;
}

static struct view view_of(const struct demo_shop *shop, const struct demo_request *request, arena *scratch)
{
    struct view v = { .shop = shop, .request = request, .scratch = scratch, .status = 200 };
    v.out.arena = v.events.arena = scratch;
    str language = cookie_value(request->cookies, S("ff_lang")),
        consent = cookie_value(request->cookies, S("ff_consent"));
    v.language = str_eq(language, S("nb")) ? DEMO_NB : DEMO_EN;
    v.currency = v.language == DEMO_NB ? DEMO_NOK : DEMO_EUR;
    v.consent = str_eq(consent, S("yes"))  ? CHOICE_YES
                : str_eq(consent, S("no")) ? CHOICE_NO
                                           : CHOICE_UNKNOWN;
    v.person = person_of(shop, cookie_value(request->cookies, S("ff_person")), scratch);
    v.store = store_of(cookie_value(request->cookies, S("ff_store")));
    v.cart = cart_of(shop->catalogue, cookie_value(request->cookies, S("ff_cart")));
    return v;
}

/* ---- writing a reply ---------------------------------------------------------------------- */

static void add_header(struct demo_reply *r, const char *name, str value)
{
    assert(r->headers_n < DEMO_HEADERS_MAX);
    r->headers[r->headers_n++] = (struct demo_header){ str_of(name), value };
}

/* An empty value takes the cookie away. */
static void set_cookie(struct demo_reply *r, arena *scratch, const char *name, str value)
{
    add_header(r, "Set-Cookie",
               arena_printf(scratch, "%s=%.*s; Path=/shop; Max-Age=%d; SameSite=Lax; HttpOnly",
                            name, STR_FMT(value), value.len ? COOKIE_YEAR_S : 0));
}

static void set_cart(struct demo_reply *r, arena *scratch, const struct cart *cart)
{
    struct buf value = { .arena = scratch };
    for (isize i = 0; i < cart->n; i++)
        buf_printf(&value, "%s%.*s*%d", i ? "." : "", STR_FMT(cart->lines[i].variant->key),
                   cart->lines[i].quantity);
    set_cookie(r, scratch, "ff_cart", buf_str(&value));
}

static struct demo_reply see_other(str where)
{
    struct demo_reply r = { .status = 303, .type = S("text/plain; charset=utf-8"), .body = S("see other\n") };
    add_header(&r, "Location", where);
    add_header(&r, "Cache-Control", S("no-store"));
    return r;
}

/* Where to go back to: a path of this shop made of harmless characters, or its front page. */
static str back_to(str back)
{
    if (!str_starts(back, S("/shop/")) || back.len > BACK_MAX) return S("/shop/");
    for (isize i = 0; i < back.len; i++) {
        char c = back.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                    || c == '/' || c == '-' || c == '_' || c == '.';
        if (!fine) return S("/shop/");
    }
    return back;
}

/* Only our own script, known by its hash, and the tag may run; nothing is loaded from elsewhere. */
static str content_policy(arena *scratch)
{
    u8 digest[crypto_hash_sha256_BYTES];
    str script = str_of(page_script);
    crypto_hash_sha256(digest, (const u8 *)script.ptr, (unsigned long long)script.len);
    str hash = base64_encode(scratch, (str){ (const char *)digest, sizeof digest });
    return arena_printf(
        scratch,
        "default-src 'self'; script-src 'self' 'sha256-%.*s'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
        STR_FMT(hash));
}

static struct demo_reply page_reply(struct view *v, str title)
{
    struct buf out = { .arena = v->scratch };
    buf_reserve(&out, v->out.len + 16384);
    page_head(v, &out, title);
    buf_add(&out, buf_str(&v->out));
    page_foot(v, &out);
    struct demo_reply r = { .status = v->status,
                            .type = S("text/html; charset=utf-8"),
                            .body = buf_str(&out) };
    add_header(&r, "Cache-Control", S("private, no-store"));
    add_header(&r, "Content-Security-Policy", content_policy(v->scratch));
    add_header(&r, "X-Content-Type-Options", S("nosniff"));
    add_header(&r, "Referrer-Policy", S("same-origin"));
    return r;
}

static struct demo_reply file_reply(str type, str body)
{
    struct demo_reply r = { .status = 200, .type = type, .body = body };
    add_header(&r, "Cache-Control", S("public, max-age=3600"));
    add_header(&r, "X-Content-Type-Options", S("nosniff"));
    return r;
}

/* ---- what changes something --------------------------------------------------------------- */

static str body_value(const struct view *v, const char *name)
{
    return form_value(v->scratch, v->request->body, str_of(name), S(""));
}

static struct demo_reply post_cart(struct view *v)
{
    struct cart_line line = variant_by_key(v->shop->catalogue, body_value(v, "variant"));
    struct cart *cart = &v->cart;
    struct cart_line *held = line.variant ? cart_find(cart, line.variant) : NULL;
    bool adds = str_eq(body_value(v, "action"), S("add"));
    i64 quantity = 0;
    if (line.variant && adds && held) {
        held->quantity = (i32)min_i64(held->quantity + 1, CART_QUANTITY_MAX);
    } else if (line.variant && adds && cart->n < CART_LINES_MAX && line.variant->stock[DEMO_WEB] > 0) {
        cart->lines[cart->n++] = line;
    } else if (held && !adds && str_to_i64(body_value(v, "quantity"), &quantity) && quantity >= 0
               && quantity <= CART_QUANTITY_MAX) {
        held->quantity = (i32)quantity;
        if (quantity == 0) *held = cart->lines[--cart->n];
    }
    struct demo_reply r = see_other(S("/shop/cart"));
    set_cart(&r, v->scratch, cart);
    return r;
}

static void write_order(struct view *v, struct jsonw *w, str order)
{
    i64 total = 0;
    jsonw_key_begin(w, "products", '[');
    for (isize i = 0; i < v->cart.n; i++) {
        const struct cart_line *line = &v->cart.lines[i];
        i64 price = line->variant->money[v->currency].price_minor;
        total += price * line->quantity;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "product_id", line->product->key);
        jsonw_key_str(w, "sku", line->variant->key);
        jsonw_key_str(w, "name", line->product->title[DEMO_EN]);
        jsonw_key_num(w, "price", (f64)price / 100);
        jsonw_key_int(w, "quantity", line->quantity);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_str(w, "order_id", order);
    jsonw_key_num(w, "total", (f64)total / 100);
    jsonw_key_num(w, "revenue", (f64)total / 100);
    jsonw_key_str(w, "currency", v->currency == DEMO_NOK ? S("NOK") : S("EUR"));
}

static str order_event(struct view *v, str order, str anonymous)
{
    struct buf out = { .arena = v->scratch };
    struct jsonw w = { .out = &out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "messageId", arena_printf(v->scratch, "order-%.*s", STR_FMT(order)));
    jsonw_key_str(&w, "type", S("track"));
    jsonw_key_str(&w, "event", S("Order Completed"));
    if (anonymous.len) jsonw_key_str(&w, "anonymousId", anonymous);
    if (v->person) jsonw_key_str(&w, "userId", str_of(v->person->user_id));
    jsonw_key_time(&w, "timestamp", v->request->now_ms);
    jsonw_key_str(&w, "channel", S("web"));
    jsonw_key_begin(&w, "context", '{');
    jsonw_key_str(&w, "locale", say(v, "en", "nb-NO"));
    jsonw_key_str(&w, "market", v->currency == DEMO_NOK ? S("no") : S("eu"));
    jsonw_key_begin(&w, "consent", '{');
    jsonw_key_begin(&w, "categoryPreferences", '{');
    jsonw_key_bool(&w, "analytics", true);
    jsonw_key_bool(&w, "personalisation", true);
    jsonw_key_bool(&w, "model_training", true);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "properties", '{');
    write_order(v, &w, order);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    return buf_str(&out);
}

static struct demo_reply post_checkout(struct view *v)
{
    if (v->cart.n == 0) return see_other(S("/shop/cart"));
    str order = arena_printf(v->scratch, "FF-%012" PRIx64, v->request->chance & 0xffffffffffff),
        anonymous = S("");
    if (!percent_decode(v->scratch, cookie_value(v->request->cookies, S("opmaat_id")), false,
                        &anonymous)
        || !str_is_utf8(anonymous))
        anonymous = S("");
    struct demo_reply r = see_other(arena_printf(v->scratch, "/shop/thanks?order=%.*s", STR_FMT(order)));
    if (v->consent == CHOICE_YES && (v->person || anonymous.len)) r.event = order_event(v, order, anonymous);
    set_cookie(&r, v->scratch, "ff_cart", S(""));
    return r;
}

static struct demo_reply post_login(struct view *v)
{
    const struct demo_persona *person = persona_by_id(body_value(v, "person"));
    struct demo_reply r = see_other(back_to(body_value(v, "back")));
    if (person) {
        str id = str_of(person->user_id);
        set_cookie(&r, v->scratch, "ff_person",
                   arena_printf(v->scratch, "%.*s.%.*s", STR_FMT(id),
                                STR_FMT(demo_user_hash(v->shop, id, v->scratch))));
    }
    return r;
}

static struct demo_reply post_consent(struct view *v)
{
    bool yes = str_eq(body_value(v, "choice"), S("yes"));
    struct demo_reply r = see_other(back_to(body_value(v, "back")));
    set_cookie(&r, v->scratch, "ff_consent", yes ? S("yes") : S("no"));
    if (!yes) add_header(&r, "Set-Cookie", S("opmaat_id=; Path=/; Max-Age=0; SameSite=Lax"));
    return r;
}

/* The same once more lets go of it. */
static struct demo_reply post_store(struct view *v)
{
    isize store = store_of(body_value(v, "store"));
    struct demo_reply r = see_other(back_to(body_value(v, "back")));
    set_cookie(&r, v->scratch, "ff_store",
               store && store != v->store ? str_of(demo_place_keys[store]) : S(""));
    return r;
}

/* The tag takes another anonymous id by itself (page_script); the cart and the one who was logged
 * in are the shop's to let go. */
static struct demo_reply post_start_over(struct view *v)
{
    struct demo_reply r = see_other(S("/shop/"));
    set_cookie(&r, v->scratch, "ff_person", S(""));
    set_cookie(&r, v->scratch, "ff_cart", S(""));
    return r;
}

static struct demo_reply post(struct view *v, str path)
{
    if (str_eq(path, S("cart"))) return post_cart(v);
    if (str_eq(path, S("checkout"))) return post_checkout(v);
    if (str_eq(path, S("login"))) return post_login(v);
    if (str_eq(path, S("consent"))) return post_consent(v);
    if (str_eq(path, S("store"))) return post_store(v);
    if (str_eq(path, S("start-over"))) return post_start_over(v);
    if (str_eq(path, S("logout"))) {
        struct demo_reply r = see_other(S("/shop/"));
        set_cookie(&r, v->scratch, "ff_person", S(""));
        return r;
    }
    return page_reply(v, page_missing(v));
}

/* ---- what only shows ---------------------------------------------------------------------- */

static struct demo_reply get_picture(struct view *v, str name)
{
    str svg = { 0 };
    if (str_ends(name, S(".svg"))) {
        str key = str_slice(name, 0, name.len - 4);
        const struct demo_product *p = demo_product_by_key(v->shop->catalogue, key);
        if (p) svg = demo_picture(v->scratch, p);
        else if (str_starts(key, S("hero-"))) svg = demo_hero(v->scratch, str_from(key, 5));
    }
    return svg.len ? file_reply(S("image/svg+xml"), svg) : page_reply(v, page_missing(v));
}

static struct demo_reply get_language(struct view *v)
{
    str to = form_value(v->scratch, v->request->query, S("to"), S(""));
    struct demo_reply r = see_other(back_to(form_value(v->scratch, v->request->query, S("back"), S(""))));
    set_cookie(&r, v->scratch, "ff_lang", str_eq(to, S("nb")) ? S("nb") : S("en"));
    return r;
}

static str show(struct view *v, str path)
{
    if (path.len == 0) return page_home(v);
    if (str_starts(path, S("c/"))) return page_category(v, str_from(path, 2));
    if (str_starts(path, S("p/"))) return page_product(v, str_from(path, 2));
    if (str_starts(path, S("guide/"))) return page_guide(v, str_from(path, 6));
    if (str_eq(path, S("search"))) return page_search(v);
    if (str_eq(path, S("cart"))) return page_cart(v);
    if (str_eq(path, S("checkout"))) return page_checkout(v);
    if (str_eq(path, S("thanks"))) return page_thanks(v);
    if (str_eq(path, S("login"))) return page_login(v);
    if (str_eq(path, S("privacy"))) return page_privacy(v);
    if (str_eq(path, S("choices"))) return page_choices(v);
    return page_missing(v);
}

struct demo_reply demo_page(const struct demo_shop *shop, const struct demo_request *request, arena *scratch)
{
    struct view v = view_of(shop, request, scratch);
    if (str_eq(request->path, S("/shop"))) return see_other(S("/shop/"));
    if (!str_starts(request->path, S("/shop/"))) return page_reply(&v, page_missing(&v));
    str path = str_from(request->path, 6);
    if (str_eq(request->method, S("POST"))) return post(&v, path);
    if (str_eq(path, S("shop.css")))
        return file_reply(S("text/css; charset=utf-8"), (str){ demo_style, demo_style_n });
    if (str_starts(path, S("img/"))) return get_picture(&v, str_from(path, 4));
    if (str_eq(path, S("lang"))) return get_language(&v);
    return page_reply(&v, show(&v, path));
}
