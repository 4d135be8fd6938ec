/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c - the register of what sends us data: what it may send, why, and how well it goes.
 *
 * A source is green when something of it was folded within the time its definition expects
 * (expected_every, a minute unless said), red when it has been silent for longer, and idle when
 * nothing ever came, or nothing is expected of it and nothing came today.
 */
#include "api/admin.h"
#include "base/rcu.h"

static void print_basis(struct jsonw *w, const struct source *source)
{
    jsonw_key_begin(w, "basis", '{');
    for (int p = 0; source && p < PURPOSES; p++)
        if (source->basis.of[p] != BASIS_NONE)
            jsonw_key_str(w, purpose_name(p), str_of(basis_name(source->basis.of[p])));
    jsonw_end(w, '}');
}

static const char *state_of(const struct source *source, struct source_count n, i64 now_ms)
{
    i64 expected_ms = source ? source->expected_ms : MINUTE_MS, silent_ms = now_ms - n.last_at_ms;
    if (n.last_at_ms == 0) return "idle";
    if (expected_ms == TIME_NEVER) return silent_ms <= DAY_MS ? "green" : "idle";
    return silent_ms <= expected_ms ? "green" : "red";
}

static void print_health(struct call *call, str key, str title, str owner,
                         const struct source *source, struct source_count n)
{
    struct jsonw *w = &call->w;
    i64 now_ms = clock_now(call->api->clock);
    jsonw_key_str(w, "key", key);
    jsonw_key_str(w, "title", title);
    jsonw_key_str(w, "owner", owner);
    if (source && source->purpose.len) jsonw_key_str(w, "purpose", source->purpose);
    if (source && source->channel) jsonw_key_str(w, "channel", str_of(channel_name(source->channel)));
    jsonw_key_str(w, "state", str_of(state_of(source, n, now_ms)));
    jsonw_key_time(w, "last_at", n.last_at_ms);
    jsonw_key_int(w, "lag_ms", n.last_at_ms ? max_i64(now_ms - n.last_at_ms, 0) : 0);
    jsonw_key_int(w, "behind_ms", n.behind_ms);
    if (source && source->expected_ms != TIME_NEVER) jsonw_key_int(w, "expected_ms", source->expected_ms);
    jsonw_key_int(w, "accepted", n.accepted);
    jsonw_key_int(w, "refused", n.dead);
    jsonw_key_int(w, "duplicates", n.duplicates);
    jsonw_key_int(w, "no_consent", n.no_consent);
    jsonw_key_int(w, "warnings", n.warnings);
    print_basis(w, source);
}

static struct source_count count_of(const struct fold *fold, u16 number)
{
    isize n;
    const struct source_count *counts = fold_sources(fold, &n);
    for (isize i = 0; i < n; i++)
        if (counts[i].source == number) return counts[i];
    return (struct source_count){ .source = number };
}

static void answer_sources(struct call *call, struct fold *fold)
{
    const struct book *book = atomic_load(&call->api->live->book);
    const struct definition *def;
    struct jsonw *w = &call->w;
    jsonw_begin(w, '{');
    jsonw_key_begin(w, "sources", '[');
    for (isize at = 0; (def = definition_next(fold_definitions(fold), S("source"), &at));) {
        if (def->archived) continue;
        const struct source *s = book_source(book, def->key);
        jsonw_begin(w, '{');
        print_health(call, def->key, s ? s->title : def->key, s ? s->owner : S(""), s,
                     count_of(fold, def->number));
        jsonw_end(w, '}');
    }
    struct source_count other = count_of(fold, 0);
    if (other.last_at_ms) {
        jsonw_begin(w, '{');
        print_health(call, S("(unnamed)"), S("Without a source definition"), S(""), NULL, other);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void sources_get(struct call *call) { ask_fold(call, answer_sources); }

/* ---- one: its plan, and what was found beside it --------------------------------------------- */

static void print_warnings(struct call *call, const struct fold *fold, u16 number)
{
    isize n;
    struct jsonw *w = &call->w;
    const struct warning *all = fold_warnings(fold, &n);
    jsonw_key_begin(w, "found", '[');
    for (isize i = 0; i < n; i++) {
        if (all[i].source != number) continue;
        jsonw_begin(w, '{');
        jsonw_key_str(w, "what", all[i].what);
        jsonw_key_int(w, "count", all[i].count);
        jsonw_key_time(w, "first_at", all[i].first_at_ms);
        jsonw_key_time(w, "last_at", all[i].last_at_ms);
        jsonw_key_int(w, "ref", (i64)all[i].ref);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
}

static void answer_source(struct call *call, struct fold *fold)
{
    static const char *const checks[] = { "allow", "warn", "quarantine" };
    const struct source *s = book_source(atomic_load(&call->api->live->book), call->params[0]);
    const struct definition *def = definition_find(fold_definitions(fold), S("source"), call->params[0]);
    const struct json *doc = NULL;
    struct jsonw *w = &call->w;
    if (!s || !def) {
        call_fail(call, ERR_NOT_FOUND, "there is no published source \"%.*s\"", STR_FMT(call->params[0]));
        return;
    }
    err_ignore(json_parse(call->a, definition_published(def), &doc, NULL),
               "a published document has been parsed before");
    jsonw_begin(w, '{');
    print_health(call, s->key, s->title, s->owner, s, count_of(fold, s->number));
    jsonw_key_begin(w, "checks", '{');
    jsonw_key_str(w, "unknown_products", str_of(checks[s->checks.unknown_products]));
    jsonw_key_str(w, "duplicate_orders", str_of(checks[s->checks.duplicate_orders]));
    if (s->checks.clock_ahead_ms != TIME_NEVER) jsonw_key_int(w, "clock_ahead_ms", s->checks.clock_ahead_ms);
    if (s->checks.clock_behind_ms != TIME_NEVER)
        jsonw_key_int(w, "clock_behind_ms", s->checks.clock_behind_ms);
    jsonw_end(w, '}');
    const struct json *plan = json_get(doc, S("plan"));
    jsonw_key(w, S("plan"));
    if (plan) jsonw_value(w, plan);
    else jsonw_null(w);
    print_warnings(call, fold, s->number);
    jsonw_end(w, '}');
}

void source_get(struct call *call) { ask_fold(call, answer_source); }
