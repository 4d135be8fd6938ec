/* SPDX-License-Identifier: Apache-2.0
 *
 * quality.c - is what an event says plausible, before it counts.
 *
 * The source's definition says what is looked at: its tracking plan, products nobody described,
 * orders that another source has reported. A finding is counted as a warning, which the source's
 * page lists, or the event goes to the dead letters as the call that would send it again. It all
 * follows from the record and the state, so a replay finds the same.
 */
#include "base/rcu.h"
#include "fold/inside.h"

enum { SAME_ORDER_DAYS = 7 };

/* ---- warnings: a line a source and finding --------------------------------------------------- */

static struct hash128 warning_key(u16 source, str what) { return hash128(what, 0x77 + (u64)source * 131); }

struct warning *warning_put(struct fold *fold, u16 source, str what)
{
    struct hash128 key = warning_key(source, what);
    u64 at = map_get(fold->warnings_by_key, key, 0);
    if (at) return &fold->warnings.at[at - 1];
    if (fold->warnings.n >= WARNINGS_MAX && !str_eq(what, S("other warnings")))
        return warning_put(fold, source, S("other warnings"));
    if (fold->warnings.n >= 2 * WARNINGS_MAX) return &fold->warnings.at[fold->warnings.n - 1];
    vec_push(&fold->warnings, (struct warning){ .source = source, .what = mem_str(what) });
    map_put(fold->warnings_by_key, key, (u64)fold->warnings.n);
    return &fold->warnings.at[fold->warnings.n - 1];
}

static void warn(struct fold *fold, const struct source *source, str what, u64 ref, i64 now_ms)
{
    struct warning *w = warning_put(fold, source->number, what);
    if (w->count++ == 0) w->first_at_ms = now_ms;
    w->last_at_ms = now_ms;
    w->ref = ref;
    source_slot(fold, source->key)->warnings++;
    fold->warnings_dirty = true;
}

void warnings_fini(struct fold *fold)
{
    for (isize i = 0; i < fold->warnings.n; i++) mem_free_str(fold->warnings.at[i].what);
    vec_fini(&fold->warnings);
    map_free(fold->warnings_by_key);
}

/* ---- the checks ------------------------------------------------------------------------------ */

static str unknown_product(const struct fold *fold, const struct event *e, arena *a)
{
    str key = catalog_lacks(fold->live.catalog, e);
    return key.len ? arena_printf(a, "the catalogue has no product \"%.*s\"",
                                  (int)min_isize(key.len, 100), key.ptr)
                   : S("");
}

/* Two systems tell of one order: the same number, money and week. */
static str duplicate_order(const struct fold *fold, const struct event *e, arena *a)
{
    if (e->type != EVENT_ORDER_COMPLETED || e->order_key.len == 0) return S("");
    const struct order **list;
    isize n = orders_numbered(&fold->orders, e->order_key, a, &list);
    for (isize i = 0; i < n; i++) {
        const struct order *o = list[i];
        struct str_cut key = str_cut(o->key, ':');
        i64 apart_ms = o->at_ms > e->at_ms ? o->at_ms - e->at_ms : e->at_ms - o->at_ms;
        if (str_eq(key.head, e->source) || o->state != ORDER_COMPLETED
            || o->currency.v != e->currency.v || o->value_minor != e->value_minor)
            continue;
        if (apart_ms <= SAME_ORDER_DAYS * DAY_MS)
            return arena_printf(a, "the order was reported by %.*s already", STR_FMT(key.head));
    }
    return S("");
}

static void quarantine(struct fold *fold, const struct event *e, str reason, u64 ref, i64 now_ms)
{
    arena *a = &fold->scratch;
    struct buf raw = { .arena = a };
    struct jsonw w = { .out = &raw };
    /* The key it came with counts as seen, so that a resend is no second letter; it goes out again
     * under another. */
    event_print_call(e,
                     arena_printf(a, "%.*s~%llu", (int)min_isize(e->key.len, 200), e->key.ptr,
                                  (unsigned long long)ref),
                     a, &w);
    /* a user id that was proved by its hash alone goes out as a claim */
    bool verified = e->identifiers_n > 0;
    for (isize i = 0; i < e->identifiers_n; i++) verified &= e->identifiers[i].verified;
    letter_add(fold, &(struct dead_letter){ .ref = ref,
                                            .at_ms = now_ms,
                                            .source = e->source,
                                            .reason = reason,
                                            .raw = buf_str(&raw),
                                            .verified = verified });
}

/* Values the shop knows to be shared, such as the till's own e-mail: off the event, before they
 * join strangers. Their kind, or empty. */
static str drop_blocked(const struct book *book, struct event *e)
{
    str what = S("");
    isize n = 0;
    for (isize i = 0; i < e->identifiers_n; i++) {
        bool blocked = false;
        for (isize k = 0; k < book->blocked_n; k++)
            blocked |= book->blocked[k].kind == e->identifiers[i].kind
                       && str_eq(book->blocked[k].value, e->identifiers[i].value);
        if (blocked) what = str_of(identifier_name(e->identifiers[i].kind));
        else e->identifiers[n++] = e->identifiers[i];
    }
    e->identifiers_n = n;
    return what;
}

bool quality_check(struct fold *fold, struct event *e, u64 ref, i64 now_ms)
{
    arena *a = &fold->scratch;
    const struct book *book = atomic_load(&fold->live.book);
    str blocked = book->blocked_n ? drop_blocked(book, e) : S("");
    const struct source *source = e->flags & EVENT_CHECKED ? NULL : book_source(book, e->source);
    if (!source) return true;
    if (blocked.len)
        warn(fold, source, arena_printf(a, "a blocked %.*s was left out", STR_FMT(blocked)), ref,
             now_ms);
    const struct { u8 check; str what; } findings[] = {
        { plan_refuses(source->plan) ? CHECK_QUARANTINE : CHECK_WARN, source->plan ? plan_check(source->plan, e, a) : S("") },
        { source->checks.unknown_products, source->checks.unknown_products ? unknown_product(fold, e, a) : S("") },
        { source->checks.duplicate_orders, source->checks.duplicate_orders ? duplicate_order(fold, e, a) : S("") },
    };
    for (isize i = 0; i < countof(findings); i++)
        if (findings[i].what.len && findings[i].check == CHECK_QUARANTINE) {
            quarantine(fold, e, findings[i].what, ref, now_ms);
            return false;
        }
    for (isize i = 0; i < countof(findings); i++)
        if (findings[i].what.len) warn(fold, source, findings[i].what, ref, now_ms);
    return true;
}
