/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.c - what the console's routes share: people's names, as-of facts, and the list of what was
 * done. */
#include "api/admin.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/rcu.h"

enum { DEEDS_MAX = 1000 };

struct deeds { pthread_mutex_t lock; struct deed at[DEEDS_MAX]; isize n; /* ever */ };

struct admin *admin_new(struct api *api)
{
    struct admin *admin = mem_new(sizeof *admin);
    admin->deeds = mem_new(sizeof *admin->deeds);
    pthread_mutex_init(&admin->deeds->lock, NULL);
    admin->imports = imports_new(api);
    admin->streams = streams_new(api);
    return admin;
}

void admin_stop(struct admin *admin)
{
    streams_stop(admin->streams);
    imports_stop(admin->imports);
}

void admin_free(struct admin *admin)
{
    if (!admin) return;
    streams_free(admin->streams);
    imports_free(admin->imports);
    pthread_mutex_destroy(&admin->deeds->lock);
    mem_free(admin->deeds);
    mem_free(admin);
}

/* ---- deeds ---------------------------------------------------------------------------------- */

static void copy_text(char *to, isize size, str s)
{
    isize n = min_isize(s.len, size - 1);
    while (n > 0 && n < s.len && ((u8)s.ptr[n] & 0xc0) == 0x80) n--;        /* not inside a letter */
    if (n) memcpy(to, s.ptr, (size_t)n);
    to[n] = 0;
}

void note_deed(struct admin *admin, i64 at_ms, str who, const char *what, str object)
{
    struct deeds *deeds = admin->deeds;
    pthread_mutex_lock(&deeds->lock);
    struct deed *d = &deeds->at[deeds->n++ % DEEDS_MAX];
    d->at_ms = at_ms;
    copy_text(d->who, sizeof d->who, who);
    copy_text(d->what, sizeof d->what, str_of(what));
    copy_text(d->object, sizeof d->object, object);
    pthread_mutex_unlock(&deeds->lock);
}

isize deeds_of(struct admin *admin, arena *a, const struct deed **out)
{
    struct deeds *deeds = admin->deeds;
    pthread_mutex_lock(&deeds->lock);
    isize n = min_isize(deeds->n, DEEDS_MAX);
    struct deed *list = arena_new(a, struct deed, n);
    for (isize i = 0; i < n; i++) list[i] = deeds->at[(deeds->n - 1 - i) % DEEDS_MAX];
    pthread_mutex_unlock(&deeds->lock);
    *out = list;
    return n;
}

/* ---- calls ---------------------------------------------------------------------------------- */

void call_fail(struct call *call, enum err err, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    call->err = err;
    call->out.len = 0;
    buf_add(&call->out, str_of(text));
}

struct visit { struct call *call; void (*answer)(struct call *call, struct fold *fold); };

static void run_visit(void *ctx, struct fold *fold)
{
    struct visit *visit = ctx;
    visit->answer(visit->call, fold);
}

void on_fold(struct call *call, void (*answer)(struct call *call, struct fold *fold))
{
    struct visit visit = { call, answer };
    fold_ask_wait(call->api->fold, run_visit, &visit);
}

isize query_limit(struct call *call, isize otherwise, isize most)
{
    i64 n;
    if (!str_to_i64(http_query(call->req, S("limit"), S("")), &n)) return otherwise;
    return (isize)min_i64(max_i64(n, 1), most);
}

str body_text(const struct call *call, const char *name)
{
    return json_str(json_get(call->body, str_of(name)), S(""));
}

/* ---- words ---------------------------------------------------------------------------------- */

void print_money(struct jsonw *w, struct money money)
{
    char code[4];
    jsonw_begin(w, '{');
    jsonw_key_int(w, "minor", money.minor);
    jsonw_key_str(w, "currency", currency_code(money.currency, code));
    jsonw_end(w, '}');
}

void print_person_id(struct jsonw *w, const char *key, person_id id)
{
    char text[16];
    int n = snprintf(text, sizeof text, "p_%u", id.v);
    jsonw_key(w, str_of(key));
    if (id.v) jsonw_str(w, (str){ text, n });
    else jsonw_null(w);
}

bool person_id_read(str text, person_id *out)
{
    i64 n;
    if (!str_starts(text, S("p_")) || !str_to_i64(str_from(text, 2), &n) || n < 1 || n > UINT32_MAX)
        return false;
    out->v = (u32)n;
    return true;
}

static str text_trait(const struct profile *p, str name)
{
    const struct trait *t = profile_trait(p, name);
    return t && t->fact.kind == FACT_TEXT ? str_trim(t->fact.text) : S("");
}

static isize first_letter(str s)
{
    isize n = s.len ? 1 : 0;
    while (n < s.len && ((u8)s.ptr[n] & 0xc0) == 0x80) n++;
    return n;
}

static str email_of(const struct live *live, person_id id)
{
    struct link links[IDENTIFIERS_PER_PERSON_MAX];
    isize n = identity_identifiers(live->identity, id, links, countof(links));
    for (isize i = 0; i < n; i++)
        if (links[i].verified && links[i].identifier.kind == IDENTIFIER_EMAIL)
            return links[i].identifier.value;
    return S("");
}

str person_display(const struct live *live, const struct profile *p, arena *a)
{
    str first = text_trait(p, S("first_name")), last = text_trait(p, S("last_name"));
    if (p->known && first.len && last.len)
        return arena_printf(a, "%.*s %.*s.", STR_FMT(first), (int)first_letter(last), last.ptr);
    if (p->known && first.len) return first;
    if (p->known && last.len) return last;
    str local = p->known ? str_cut(email_of(live, p->id), '@').head : S("");
    if (local.len) return local;
    u32 id = p->id.v;
    return arena_printf(a, "anonymous %04x",
                        (u32)(hash64((str){ (const char *)&id, sizeof id }, 0) & 0xffff));
}

/* ---- rules ---------------------------------------------------------------------------------- */

static str event_name(const void *fold, u16 type) { return fold_event_name(fold, type); }

struct trace_names trace_names(const struct call *call, const struct fold *fold)
{
    return (struct trace_names){ call->api->live->catalog, fold, event_name };
}
