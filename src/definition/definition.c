/* SPDX-License-Identifier: Apache-2.0 */
#include "definition/definition.h"

struct kept {
    struct definition def;
    struct { struct revision *at; isize n, cap; } revisions;
    struct { u32 *at; isize n, cap; } publishes;
    bool dirty;
};

struct definitions {
    struct { struct kept **at; isize n, cap; } all;
    struct map *by_key;
    struct { u32 *at; isize n, cap; } dirty;
    isize dirty_at;
    struct hash128 digest;
};

struct definitions *definitions_new(void)
{
    struct definitions *d = mem_new(sizeof *d);
    d->by_key = map_new(64);
    return d;
}

void definitions_free(struct definitions *d)
{
    if (!d) return;
    for (isize i = 0; i < d->all.n; i++) {
        struct kept *k = d->all.at[i];
        for (isize j = 0; j < k->revisions.n; j++) {
            mem_free_str(k->revisions.at[j].document);
            mem_free_str(k->revisions.at[j].author);
        }
        mem_free_str(k->def.kind);
        mem_free_str(k->def.key);
        vec_fini(&k->revisions);
        vec_fini(&k->publishes);
        mem_free(k);
    }
    vec_fini(&d->all);
    vec_fini(&d->dirty);
    map_free(d->by_key);
    mem_free(d);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void visit_change(struct codec *c, struct definition_change *v)
{
    codec_u8(c, &v->op);
    codec_str(c, &v->kind);
    codec_str(c, &v->key);
    codec_str(c, &v->document);
    codec_str(c, &v->author);
    codec_u32(c, &v->revision);
}

void definition_change_encode(const struct definition_change *change, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct definition_change copy = *change;
    visit_change(&c, &copy);
}

enum err definition_change_decode(str bytes, struct definition_change *out)
{
    struct codec c = codec_reader(bytes, NULL);
    *out = (struct definition_change){ 0 };
    visit_change(&c, out);
    return c.failed || c.in.len || out->op > DEFINITION_ARCHIVE ? ERR_DAMAGED : ERR_OK;
}

static bool well_formed(str key)
{
    if (key.len == 0 || key.len > DEFINITION_KEY_BYTES_MAX) return false;
    for (isize i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'
                    || c == '.' || c == '@';
        if (!fits) return false;
    }
    return true;
}

static struct hash128 name_hash(str kind, str key)
{
    struct hash128 k = hash128(kind, 1), v = hash128(key, 2);
    return (struct hash128){ k.hi ^ v.lo, k.lo + v.hi };
}

static struct kept *find(const struct definitions *d, str kind, str key)
{
    u64 at = map_get(d->by_key, name_hash(kind, key), 0);
    return at ? d->all.at[at - 1] : NULL;
}

const struct definition *definition_find(const struct definitions *d, str kind, str key)
{
    struct kept *k = find(d, kind, key);
    return k ? &k->def : NULL;
}

enum err definition_check(const struct definitions *d, const struct definition_change *change, u32 expected,
                          struct diag *diag)
{
    const struct definition *def = definition_find(d, change->kind, change->key);
    if (!well_formed(change->kind) || !well_formed(change->key))
        return diag_set(diag, ERR_BAD_INPUT, "a key is 1 to %d of a-z 0-9 _ - . @, not \"%.*s\"",
                        DEFINITION_KEY_BYTES_MAX, STR_FMT(change->key));
    u32 latest = def ? (u32)def->revisions_n : 0;
    if (expected && expected != latest)
        return diag_set(diag, ERR_CONFLICT, "%.*s is at revision %u, not %u", STR_FMT(change->key),
                        latest, expected);
    if (change->op == DEFINITION_DRAFT) {
        if (change->document.len > DEFINITION_BYTES_MAX)
            return diag_set(diag, ERR_TOO_BIG, "a definition is at most %d bytes, this one is %lld",
                            DEFINITION_BYTES_MAX, (long long)change->document.len);
        if (latest >= REVISIONS_MAX)
            return diag_set(diag, ERR_REFUSED,
                            "it has %d revisions, the most one definition can have", REVISIONS_MAX);
        return ERR_OK;
    }
    if (!def)
        return diag_set(diag, ERR_NOT_FOUND, "there is no %.*s \"%.*s\"", STR_FMT(change->kind),
                        STR_FMT(change->key));
    if (change->op == DEFINITION_PUBLISH && change->revision > latest)
        return diag_set(diag, ERR_NOT_FOUND, "%.*s has %u revisions", STR_FMT(change->key), latest);
    return ERR_OK;
}

static struct hash128 def_hash(const struct definition *def)
{
    struct buf bytes = { 0 };
    definition_encode(def, &bytes);
    struct hash128 h = hash128(buf_str(&bytes), 0);
    buf_fini(&bytes);
    return h;
}

static void digest_add(struct definitions *d, const struct definition *def, bool add)
{
    struct hash128 h = def_hash(def);
    hash128_sum(&d->digest, h, add);
}

static struct kept *make(struct definitions *d, str kind, str key)
{
    struct kept *k = mem_new(sizeof *k);
    vec_push(&d->all, k);
    k->def = (struct definition){
        .id = (u32)d->all.n, .number = 1, .kind = mem_str(kind), .key = mem_str(key)
    };
    for (isize i = 0; i < d->all.n - 1; i++)
        if (str_eq(d->all.at[i]->def.kind, kind)) k->def.number++;
    map_put(d->by_key, name_hash(kind, key), (u64)d->all.n);
    return k;
}

static void mark(struct definitions *d, struct kept *k)
{
    if (!k->dirty) vec_push(&d->dirty, k->def.id);
    k->dirty = true;
}

void definition_apply(struct definitions *d, const struct definition_change *change, i64 at_ms)
{
    if (definition_check(d, change, 0, NULL)) return;
    struct kept *k = find(d, change->kind, change->key);
    if (k) digest_add(d, &k->def, false);
    else k = make(d, change->kind, change->key);
    switch ((enum definition_op)change->op) {
    case DEFINITION_DRAFT:
        vec_push(&k->revisions,
                 (struct revision){ mem_str(change->document), mem_str(change->author), at_ms });
        k->def.revisions = k->revisions.at;
        k->def.revisions_n = k->revisions.n;
        break;
    case DEFINITION_PUBLISH:
        k->def.published = change->revision ? change->revision : (u32)k->revisions.n;
        if (k->publishes.n < REVISIONS_MAX) vec_push(&k->publishes, k->def.published);
        k->def.publishes = k->publishes.at;
        k->def.publishes_n = k->publishes.n;
        k->def.archived = false;
        break;
    case DEFINITION_PAUSE: k->def.paused = true; break;
    case DEFINITION_RESUME: k->def.paused = false; break;
    case DEFINITION_ARCHIVE: k->def.archived = true; break;
    }
    k->def.changed_at_ms = at_ms;
    digest_add(d, &k->def, true);
    mark(d, k);
}

const struct definition *definition_next(const struct definitions *d, str kind, isize *at)
{
    for (; *at < d->all.n; (*at)++)
        if (kind.len == 0 || str_eq(d->all.at[*at]->def.kind, kind)) return &d->all.at[(*at)++]->def;
    return NULL;
}

str definition_published(const struct definition *def)
{
    bool live = def && def->published > 0 && !def->archived;
    return live ? def->revisions[def->published - 1].document : S("");
}

str definition_latest(const struct definition *def)
{
    return def && def->revisions_n ? def->revisions[def->revisions_n - 1].document : S("");
}

/* ---- state ----------------------------------------------------------------------------------- */

static void visit_revision(struct codec *c, struct revision *v)
{
    codec_str(c, &v->document);
    codec_str(c, &v->author);
    codec_i64(c, &v->at_ms);
}

static void visit(struct codec *c, struct definition *v, struct revision **revisions, u32 **publishes)
{
    codec_u32(c, &v->id);
    codec_u16(c, &v->number);
    codec_str(c, &v->kind);
    codec_str(c, &v->key);
    codec_list(c, struct revision, *revisions, v->revisions_n, REVISIONS_MAX, visit_revision);
    codec_u32(c, &v->published);
    codec_list(c, u32, *publishes, v->publishes_n, REVISIONS_MAX, codec_u32);
    codec_bool(c, &v->archived);
    codec_bool(c, &v->paused);
    codec_i64(c, &v->changed_at_ms);
}

void definition_encode(const struct definition *def, struct buf *out)
{
    struct codec c = codec_writer(out);
    struct definition copy = *def;
    struct revision *revisions = (struct revision *)(uintptr_t)def->revisions;
    u32 *publishes = (u32 *)(uintptr_t)def->publishes;
    visit(&c, &copy, &revisions, &publishes);
}

enum err definition_load(struct definitions *d, str bytes, arena *scratch)
{
    struct codec c = codec_reader(bytes, scratch);
    struct definition v = { 0 };
    struct revision *revisions = NULL;
    u32 *publishes = NULL;
    visit(&c, &v, &revisions, &publishes);
    if (c.failed || c.in.len || v.id != (u32)d->all.n + 1) return ERR_DAMAGED;
    struct kept *k = make(d, v.kind, v.key);
    for (isize i = 0; i < v.revisions_n; i++)
        vec_push(&k->revisions,
                 (struct revision){ mem_str(revisions[i].document), mem_str(revisions[i].author),
                                    revisions[i].at_ms });
    for (isize i = 0; i < v.publishes_n; i++) vec_push(&k->publishes, publishes[i]);
    k->def.publishes = k->publishes.at;
    k->def.publishes_n = k->publishes.n;
    k->def.revisions = k->revisions.at;
    k->def.revisions_n = k->revisions.n;
    k->def.published = v.published;
    k->def.archived = v.archived;
    k->def.paused = v.paused;
    k->def.changed_at_ms = v.changed_at_ms;
    if (k->def.number != v.number || v.published > (u32)k->revisions.n) return ERR_DAMAGED;
    digest_add(d, &k->def, true);
    return ERR_OK;
}

u32 definition_dirty_next(struct definitions *d)
{
    if (d->dirty_at == d->dirty.n) {
        d->dirty.n = d->dirty_at = 0;
        return 0;
    }
    u32 id = d->dirty.at[d->dirty_at++];
    d->all.at[id - 1]->dirty = false;
    return id;
}

const struct definition *definition_by_id(const struct definitions *d, u32 id)
{
    return id > 0 && id <= (u32)d->all.n ? &d->all.at[id - 1]->def : NULL;
}

struct hash128 definitions_digest(const struct definitions *d) { return d->digest; }
