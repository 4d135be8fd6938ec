/* SPDX-License-Identifier: Apache-2.0
 *
 * held.c - everything that is held of somebody, to be handed to them.
 *
 * What they did and were shown is read from the log, where it stands whole, however long ago: each
 * event as it was told, each decision with its items. It is what an erasure would take, found the
 * same way (fold_held), so nothing can be held that is not told. Only what was proved to be theirs
 * is: whoever merely claimed their name may be somebody else. Who they are now, their orders and
 * their segments are state.
 */
#include "api/admin.h"

enum { HELD_BYTES_MAX = 256 << 20, DECISIONS_AT_ONCE = 500 };

struct held {
    const struct identifier *who;
    person_id person;
    /* bytes of each: their names are found on the fold's thread */
    struct { str *at; isize n, cap; } decisions;
    isize next, bytes;
    bool too_much;
};

static void print_orders(struct call *call, struct fold *fold)
{
    const struct held *held = call->context;
    const struct identity *identity = fold_live(fold)->identity;
    isize n = fold_orders(fold);
    jsonw_key_begin(&call->w, "orders", '[');
    for (isize i = 1; i <= n; i++) {
        u32 node = fold_order_node(fold, (order_id){ (u32)i });
        if (node && identity_person(identity, node).v == held->person.v)
            print_order(call, fold_order(fold, (order_id){ (u32)i }, call->a));
    }
    jsonw_end(&call->w, ']');
}

static void print_state(struct call *call, struct fold *fold)
{
    struct held *held = call->context;
    const struct live *live = fold_live(fold);
    const struct profile *p = people_get(live->people, identity_find(live->identity, *held->who), call->a);
    if (!p) { call_fail(call, ERR_NOT_FOUND, "nobody has that identifier"); return; }
    held->person = p->id;
    jsonw_key(&call->w, S("person"));
    print_person(call, fold, p);
    print_orders(call, fold);
}

static void take_event(void *ctx, const struct event *e)
{
    struct call *call = ctx;
    struct held *held = call->context;
    held->too_much |= call->out.len + held->bytes > HELD_BYTES_MAX;
    if (!held->too_much) event_print(e, &call->w);
}

static void take_decision(void *ctx, str bytes)
{
    struct call *call = ctx;
    struct held *held = call->context;
    held->bytes += bytes.len;
    held->too_much |= call->out.len + held->bytes > HELD_BYTES_MAX;
    if (!held->too_much) vec_push(&held->decisions, arena_str(call->a, bytes));
}

static void print_some_decisions(struct call *call, struct fold *fold)
{
    struct held *held = call->context;
    for (isize left = DECISIONS_AT_ONCE; left > 0 && held->next < held->decisions.n; left--) {
        struct decision d;
        if (decision_decode(held->decisions.at[held->next++], call->a, &d) == ERR_OK)
            print_decision_whole(call, fold, &d);
    }
}

static void print_log(struct call *call, struct held *held)
{
    const struct erase_request request = { .who = { *held->who }, .who_n = 1, .proved = true };
    const struct held_sink sink = { take_event, take_decision, call };
    struct diag diag = { .arena = call->a };
    jsonw_key_begin(&call->w, "history", '[');
    enum err err = fold_held(call->api->fold, &request, &sink, &diag);
    jsonw_end(&call->w, ']');
    if (err) { call_fail(call, err, "%.*s", STR_FMT(diag.what)); return; }
    if (held->too_much) {
        call_fail(call, ERR_TOO_BIG, "more than %d MB are held of this person", HELD_BYTES_MAX >> 20);
        return;
    }
    jsonw_key_begin(&call->w, "decisions", '[');
    while (held->next < held->decisions.n) on_fold(call, print_some_decisions);
    jsonw_end(&call->w, ']');
}

void print_held(struct call *call, const struct identifier *who)
{
    struct held held = { .who = who };
    void *before = call->context;
    call->context = &held;
    jsonw_begin(&call->w, '{');
    on_fold(call, print_state);
    if (!call->err) print_log(call, &held);
    if (!call->err) jsonw_end(&call->w, '}');
    call->context = before;
    vec_fini(&held.decisions);
}
