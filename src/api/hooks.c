/* SPDX-License-Identifier: Apache-2.0
 *
 * hooks.c - webhooks of shop systems: signed deliveries, each to the source its address names.
 *
 * A delivery is believed because of its signature: base64 of HMAC-SHA256 of the body as it came,
 * under the source's webhook_secret, or webhook_secret_old while a new one takes over. So what it
 * says of identity is verified.
 *
 * What their senders do with our answer decides what we answer. Shopify repeats for four hours and
 * then ends the subscription; WooCommerce never repeats, and switches a webhook off after five
 * failures. So only what the sender can mend is refused (a wrong signature, a body that is no JSON);
 * a delivery that says something we cannot use is a dead letter and answered 200.
 *
 *   Shopify      X-Shopify-Hmac-Sha256, -Topic, -Webhook-Id (the same on a repeat); newer deliveries
 *                have these names without "X-"
 *   WooCommerce  X-WC-Webhook-Signature, -Topic. Its delivery id is not unique, so a delivery is told
 *                by its topic and the hash of its body. When a webhook is made it sends an unsigned
 *                form, webhook_id=N, and wants exactly 200
 *
 * Compliance. customers/redact erases the person at once (regulations.c). customers/data_request
 * and shop/redact become definitions of the kind "regulation", which wait for somebody (GET
 * /v1/regulations); they hold the shop's customer id and no address.
 */
#include <sodium.h>

#include "api/admin.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rcu.h"

struct hook { ingest_reader *reader; str kind, topic, signature; };

static bool is_signed(str secret, str body, str signature)
{
    u8 mac[crypto_auth_hmacsha256_BYTES];
    char text[64];
    crypto_auth_hmacsha256_state state;
    static_assert(sizeof text
                      >= sodium_base64_ENCODED_LEN(sizeof mac, sodium_base64_VARIANT_ORIGINAL),
                  "44 letters and NUL");
    if (secret.len == 0) return false;
    crypto_auth_hmacsha256_init(&state, (const u8 *)secret.ptr, (size_t)secret.len);
    crypto_auth_hmacsha256_update(&state, (const u8 *)body.ptr, (unsigned long long)body.len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
    str expected = str_of(text);
    return signature.len == expected.len
           && sodium_memcmp(signature.ptr, expected.ptr, (size_t)expected.len) == 0;
}

/* Both secrets are tried whichever fits, so that the time taken says nothing of them. */
static bool is_ours(struct call *call, const struct hook *hook)
{
    bool found = false, fits = false;
    rcu_read_begin();
    const struct source *source = book_source(atomic_load(&call->api->live->book), call->params[0]);
    found = source && str_eq(source->webhook, hook->kind);
    for (isize i = 0; found && i < countof(source->webhook_secrets); i++)
        fits |= is_signed(source->webhook_secrets[i], call->req->body, hook->signature);
    rcu_read_end();
    if (!found) {
        reply_problem(call, ERR_NOT_FOUND,
                      "there is no source \"%.*s\" that takes webhooks of %.*s",
                      STR_FMT(call->params[0]), STR_FMT(hook->kind));
        return false;
    }
    if (!fits)
        reply_problem(call, ERR_UNAUTHORISED,
                      "the signature does not fit the body and the source's webhook_secret");
    return fits;
}

static void taken(struct call *call)
{
    const struct collected *c = call->own;
    jsonw_begin(&call->w, '{');
    jsonw_key_bool(&call->w, "success", true);
    jsonw_key_int(&call->w, "accepted", c->accepted);
    if (c->refused) {
        jsonw_key_int(&call->w, "refused", c->refused);
        jsonw_key_str(&call->w, "reason", c->reasons[0].reason);
    }
    jsonw_end(&call->w, '}');
    reply_json(call);
}

/* ---- requests by law ------------------------------------------------------------------------- */

static str regulation_of(str topic)
{
    if (str_eq(topic, S("customers/redact"))) return S("erase");
    if (str_eq(topic, S("customers/data_request"))) return S("export");
    if (str_eq(topic, S("shop/redact"))) return S("erase_shop");
    return S("");
}

static void note_regulation(struct call *call, const struct hook *hook, str regulation)
{
    struct buf out = { .arena = call->a };
    struct jsonw w = { .out = &out };
    i64 now_ms = clock_now(call->api->clock);
    struct hash128 h = hash128(call->req->body, 8);
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "title", arena_printf(call->a, "%.*s %.*s", STR_FMT(hook->kind), STR_FMT(hook->topic)));
    jsonw_key_str(&w, "regulation", regulation);
    jsonw_key_str(&w, "source", call->source_key);
    jsonw_key_str(&w, "user_id", json_text(call->a, json_path(call->body, "customer.id")));
    jsonw_key_time(&w, "asked_at", now_ms);
    jsonw_key_time(&w, "due_at", now_ms + 30 * DAY_MS);
    jsonw_end(&w, '}');
    struct definition_change change = {
        .op = DEFINITION_DRAFT,
        .kind = S("regulation"),
        .document = buf_str(&out),
        .author = call->author,
        .key = arena_printf(call->a, "%.*s-%016llx", (int)min_isize(call->source_key.len, 40),
                            call->source_key.ptr, (unsigned long long)(h.hi ^ h.lo)),
    };
    struct buf bytes = { .arena = call->a };
    definition_change_encode(&change, &bytes);
    struct entry entry = { ENTRY_DEFINITION, buf_str(&bytes) };
    struct collected *c = arena_new(call->a, struct collected, 1);
    struct entry *entries = arena_new(call->a, struct entry, 1);
    entries[0] = entry;
    c->accepted = 1;
    call->own = c;
    submit_then(call, entries, 1, taken);
}

/* The shop's customer id, and the addresses that stand beside it. */
static void redact(struct call *call)
{
    static const struct { u8 kind; const char *path; } said[] = {
        { IDENTIFIER_USER_ID, "customer.id" }, { IDENTIFIER_EMAIL, "customer.email" }, { IDENTIFIER_PHONE, "customer.phone" },
    };
    const struct hook *hook = call->context;
    struct erase_request request = {
        .by = call->author,
        .because = arena_printf(call->a, "%.*s %.*s", STR_FMT(hook->kind), STR_FMT(hook->topic))
    };
    for (isize i = 0; i < countof(said); i++) {
        str value = ingest_identifier(call->a, said[i].kind,
                                      json_text(call->a, json_path(call->body, said[i].path)));
        if (value.len) request.who[request.who_n++] = (struct identifier){ said[i].kind, true, value };
    }
    if (request.who_n == 0) {
        call_fail(call, ERR_BAD_INPUT, "customer: expected an id, an e-mail or a phone number");
        return;
    }
    jsonw_begin(&call->w, '{');
    jsonw_key_bool(&call->w, "success", true);
    jsonw_key_int(&call->w, "accepted", 1);
    if (erase_now(call, &request)) jsonw_end(&call->w, '}');
}

/* ---- a delivery ------------------------------------------------------------------------------ */

static void deliver(struct call *call, struct hook *hook)
{
    struct diag diag = { .arena = call->a };
    if (!is_ours(call, hook)) return;
    call->source_key = call->params[0];
    call->secret = true;
    call->author = arena_printf(call->a, "webhook %.*s", STR_FMT(call->source_key));
    if (json_parse(call->a, call->req->body, &call->body, &diag)) {
        reply_problem(call, ERR_BAD_INPUT, "%.*s", STR_FMT(diag.what));
        return;
    }
    str regulation = regulation_of(hook->topic);
    if (regulation.len == 0) { collect_by(call, hook->reader, hook->topic, taken); return; }
    call->context = hook;
    bool person = str_eq(regulation, S("erase"));
    if (person) ask_jobs(call, redact);
    else note_regulation(call, hook, regulation);
}

static str shopify_header(const struct call *call, const char *name)
{
    str said = http_header(call->req, arena_printf(call->a, "x-shopify-%s", name));
    return said.len ? said : http_header(call->req, arena_printf(call->a, "shopify-%s", name));
}

static str by_body(struct call *call, str topic)
{
    struct hash128 h = hash128(call->req->body, 9);
    return arena_printf(call->a, "%.*s-%016llx%016llx", (int)min_isize(topic.len, 60), topic.ptr,
                        (unsigned long long)h.hi, (unsigned long long)h.lo);
}

void hook_shopify(struct call *call)
{
    struct hook *hook = arena_new(call->a, struct hook, 1);
    *hook = (struct hook){ ingest_shopify, S("shopify"), shopify_header(call, "topic"), shopify_header(call, "hmac-sha256") };
    str id = shopify_header(call, "webhook-id");
    call->delivery = id.len && id.len <= 100 ? arena_printf(call->a, "shopify-%.*s", STR_FMT(id))
                                             : by_body(call, hook->topic);
    deliver(call, hook);
}

void hook_woocommerce(struct call *call)
{
    struct hook *hook = arena_new(call->a, struct hook, 1);
    *hook = (struct hook){ ingest_woocommerce, S("woocommerce"), http_header(call->req, S("x-wc-webhook-topic")),
                           http_header(call->req, S("x-wc-webhook-signature")) };
    if (hook->signature.len == 0 && str_starts(call->req->body, S("webhook_id="))) {
        buf_add(&call->out, S("{\"success\":true}"));
        reply_json(call);
        return;
    }
    call->delivery = by_body(call, hook->topic);
    deliver(call, hook);
}
