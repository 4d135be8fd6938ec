/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c - flags asked of the server: who asks, exposures, /v1/decide, and what the console's editor needs.
 */
#include "api/flags.h"
#include "api/results.h"

#include <math.h>

#include "base/hash.h"
#include "base/rcu.h"

enum { EXPOSURES_REMEMBERED = 1 << 15 };

/* ---- who asks -------------------------------------------------------------------------------- */

void flag_call_init(struct call *call, str id, const struct json *context, struct flag_call *out)
{
    *out = (struct flag_call){ .world = live_world(call->api->live) };
    out->request =
        (struct decide_request){ .identifiers = out->identifiers,
                                 .secret = call->secret,
                                 .context = context,
                                 .market = json_str(json_get(context, S("market")), S("")),
                                 .preview = json_str(json_get(context, S("opmaat_preview")), S("")),
                                 .now_ms = clock_now(call->api->clock) };
    out->request.source = book_source(out->world.book, call->source_key);
    if (!out->request.source && out->world.book->sources_n)
        out->request.source = &out->world.book->sources[0];
    if (id.len > 0 && id.len <= IDENTIFIER_BYTES_MAX) {
        bool proven = call->secret
                      || verify_user(out->request.source, id,
                                     json_str(json_get(context, S("user_hash")), S("")));
        out->identifiers[0] =
            (struct identifier){ proven ? IDENTIFIER_USER_ID : IDENTIFIER_ANONYMOUS_ID, proven,
                                 id };
        out->request.identifiers_n = 1;
    }
    out->asking = (struct flag_asking){
        .world = &out->world, .request = &out->request, .id = id, .a = call->a
    };
}

/* ---- exposures ------------------------------------------------------------------------------- */

/* Of one person, arm and hour; all of it in the bytes that are hashed (hash.h says why not in the seed). */
static struct hash128 exposure_hash(arena *a, const struct book_flag *flag,
                                    const struct flag_answer *answer, str id, i64 now_ms)
{
    return hash128(arena_printf(a, "%u/%d/%d/%lld/%.*s", (unsigned)flag->id,
                                (int)answer->rule_index, (int)answer->variation_index,
                                (long long)(now_ms / HOUR_MS), STR_FMT(id)),
                   0);
}

/* Lossy on purpose: who falls out is told again, and counted once all the same. */
static bool told_before(struct hash128 what)
{
    static _Atomic u64 seen[EXPOSURES_REMEMBERED];
    return atomic_exchange_explicit(&seen[what.lo % EXPOSURES_REMEMBERED], what.hi,
                                    memory_order_relaxed)
           == what.hi;
}

/* False: nothing was chosen by chance for somebody, so there is nothing to be counted. */
static bool is_counted(const struct flag_answer *answer, str id)
{
    return answer->variation_index >= 0 && answer->reason != FLAG_BY_PREVIEW && id.len > 0;
}

static str flag_ticket(struct call *call, const struct book_flag *flag,
                       const struct flag_answer *answer, i64 now_ms)
{
    struct ticket ticket = { .decision_key = next_seed(call->api),
                             .campaign = flag->id,
                             .experience = (u8)answer->rule_index,
                             .variation = (u8)answer->variation_index,
                             .reason = REASON_EXPERIMENT,
                             .at_ms = now_ms };
    struct ticket_key sign = ticket_key(call->api->live->secret);
    return ticket_make(call->a, &sign, &ticket);
}

static void print_exposure(struct call *call, const struct book_flag *flag,
                           const struct flag_answer *answer, str id, str key, i64 now_ms,
                           struct buf *out)
{
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '[');
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "type", S("track"));
    jsonw_key_str(&w, "event", S("Decision Viewed"));
    jsonw_key_str(&w, "messageId", key);
    jsonw_key_str(&w, call->secret ? "userId" : "anonymousId", id);
    jsonw_key_begin(&w, "properties", '{');
    jsonw_key_str(&w, "ticket", flag_ticket(call, flag, answer, now_ms));
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    jsonw_end(&w, ']');
}

void flag_exposed(struct call *call, const struct book_flag *flag, const struct flag_answer *answer, str id)
{
    if (!is_counted(answer, id) || call->source_key.len == 0) return;
    i64 now_ms = clock_now(call->api->clock);
    struct hash128 what = exposure_hash(call->a, flag, answer, id, now_ms);
    if (told_before(what)) return;
    struct buf text = { .arena = call->a };
    struct collected collected = { 0 };
    struct diag diag = { .arena = call->a };
    const struct json *events;
    print_exposure(call, flag, answer, id,
                   arena_printf(call->a, "flag-%016llx%016llx", (unsigned long long)what.hi,
                                (unsigned long long)what.lo),
                   now_ms, &text);
    if (json_parse(call->a, buf_str(&text), &events, NULL)) return;
    if (collect_events(call, S(""), events, &collected, &diag) || collected.entries_n == 0) return;
    struct append append = { .entries = collected.entries, .entries_n = collected.entries_n };
    err_ignore(fold_submit(call->api->fold, &append), "an answer is not refused because its exposure is");
}

/* ---- /v1/decide ------------------------------------------------------------------------------ */

/* With a ticket for whom it is not counted yet: it comes back with Decision Viewed, like a placement's. */
static void decided_flag(struct call *call, const struct book_flag *flag,
                         const struct flag_answer *answer, str ticket)
{
    struct jsonw *w = &call->w;
    jsonw_key(w, flag->key);
    jsonw_begin(w, '{');
    jsonw_key(w, S("value"));
    jsonw_raw(w, answer->value);
    if (answer->variation.len) jsonw_key_str(w, "variation", answer->variation);
    if (answer->rule.len) jsonw_key_str(w, "rule", answer->rule);
    jsonw_key_str(w, "reason", flag_reason_name(answer->reason));
    if (ticket.len) jsonw_key_str(w, "ticket", ticket);
    jsonw_end(w, '}');
}

void print_decide_flags(struct call *call, const struct decide_world *world,
                        const struct decide_request *request, const struct json *keys)
{
    const struct json *person = json_get(call->body, S("person"));
    str id = json_text(call->a, json_get(person, S("user_id")));
    if (id.len == 0) id = json_text(call->a, json_get(person, S("anonymous_id")));
    struct flag_asking asking = { .world = world, .request = request, .id = id, .a = call->a };
    jsonw_key_begin(&call->w, "flags", '{');
    json_each(key, keys) {
        const struct book_flag *flag = book_flag(world->book, json_str(key, S("")));
        if (!flag) continue;
        struct flag_answer answer = decide_flag(&asking, flag);
        bool counts = request->record && is_counted(&answer, id);
        decided_flag(call, flag, &answer,
                     counts && !request->exposed ? flag_ticket(call, flag, &answer, request->now_ms)
                                                 : S(""));
        if (counts && request->exposed) flag_exposed(call, flag, &answer, id);
    }
    jsonw_end(&call->w, '}');
}

/* A flag's rules are to its results what experiences are to a campaign's: its exposures count under
 * the same three numbers. */
static const struct campaign *flag_as_campaign(arena *a, const struct book_flag *flag)
{
    if (!flag) return NULL;
    struct campaign *c = arena_new(a, struct campaign, 1);
    *c = (struct campaign){ .id = flag->id, .number = flag->number, .key = flag->key, .title = flag->title, .paused = flag->paused };
    c->experiences_n = min_isize(flag->flag->rules_n, EXPERIENCES_MAX);
    c->experiences = arena_new(a, struct experience, c->experiences_n);
    for (isize i = 0; i < c->experiences_n; i++) {
        const struct flag_rule *rule = &flag->flag->rules[i];
        struct experience *x = &c->experiences[i];
        *x = (struct experience){ .key = rule->key,
                                  .choose = rule->kind == FLAG_EXPERIMENT ? CHOOSE_EXPERIMENT
                                                                          : CHOOSE_FIXED,
                                  .experiment_key = rule->id,
                                  .holdout = rule->holdout_share,
                                  .allocation = rule->allocation };
        x->variations = arena_new(a, struct variation, rule->variations_n);
        x->variations_n = rule->variations_n;
        for (isize v = 0; v < rule->variations_n; v++)
            x->variations[v] = (struct variation){ .key = rule->variations[v].key,
                                                   .share = rule->variations[v].share,
                                                   .control = v == 0 };
    }
    return c;
}

const struct definition *results_definition(const struct fold *fold, str key)
{
    const struct definition *def = definition_find(fold_definitions(fold), S("campaign"), key);
    return def ? def : definition_find(fold_definitions(fold), S("flag"), key);
}

const struct campaign *results_compiled(const struct book *book, const struct definition *def, arena *a)
{
    if (str_eq(def->kind, S("campaign"))) return book_campaign(book, def->key);
    return flag_as_campaign(a, book_flag(book, def->key));
}

/* ---- for the editor -------------------------------------------------------------------------- */

/* What each protocol cannot say of the published flags, or of ?flag=. */
void flags_lint(struct call *call)
{
    rcu_read_begin();
    book_lint(atomic_load(&call->api->live->book), http_query(call->req, S("flag"), S("")), call->a,
              &call->w);
    rcu_read_end();
    reply_json(call);
}

/* The ranges of each experiment as they stand, for the bar: {"rules": [{"key", "id", "ranges": […]}]}. */
void flag_ranges(struct call *call)
{
    rcu_read_begin();
    const struct book_flag *flag = book_flag(atomic_load(&call->api->live->book), call->params[0]);
    if (flag) {
        jsonw_begin(&call->w, '{');
        jsonw_key_int(&call->w, "id", flag->id);
        jsonw_key_begin(&call->w, "rules", '[');
        for (isize i = 0; i < flag->flag->rules_n; i++) {
            const struct flag_rule *rule = &flag->flag->rules[i];
            jsonw_begin(&call->w, '{');
            jsonw_key_str(&call->w, "key", rule->key);
            jsonw_key_str(&call->w, "id", rule->id);
            if (rule->kind == FLAG_EXPERIMENT) {
                jsonw_key(&call->w, S("ranges"));
                experiment_allocation_write(&call->w, rule->allocation);
            }
            jsonw_end(&call->w, '}');
        }
        jsonw_end(&call->w, ']');
        jsonw_end(&call->w, '}');
    }
    rcu_read_end();
    if (flag) reply_json(call);
    else reply_problem(call, ERR_NOT_FOUND, "there is no published flag by that name");
}

/* {"flag", "rule", "variation"} -> a token that shows the variation for a day, as `opmaat_preview` in the context. */
void flag_preview(struct call *call)
{
    str token = S(""), key = json_str(json_get(call->body, S("flag")), S("")),
        rule = json_str(json_get(call->body, S("rule")), S(""));
    str variation = json_str(json_get(call->body, S("variation")), S(""));
    rcu_read_begin();
    const struct book_flag *flag = book_flag(atomic_load(&call->api->live->book), key);
    for (isize i = 0; flag && i < min_isize(flag->flag->rules_n, 256); i++)
        for (isize k = 0;
             str_eq(flag->flag->rules[i].key, rule) && k < flag->flag->rules[i].variations_n; k++)
            if (str_eq(flag->flag->rules[i].variations[k].key, variation))
                token = preview_make(call->a, call->api->live->secret, flag->id, (u8)i, (u8)k,
                                     clock_now(call->api->clock));
    rcu_read_end();
    if (token.len == 0) {
        reply_problem(call, ERR_NOT_FOUND, "no published flag has that rule and variation");
        return;
    }
    jsonw_begin(&call->w, '{');
    jsonw_key_str(&call->w, "token", token);
    jsonw_key_str(
        &call->w, "query",
        arena_printf(call->a, "opmaat_preview=%.*s", STR_FMT(percent_encode(call->a, token))));
    jsonw_end(&call->w, '}');
    reply_json(call);
}
