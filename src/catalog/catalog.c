/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.c - the items, their keys and the category tree; one writer, readers without locks.
 *
 * Items stand in chunks of atomic pointers to immutable blocks: a change builds a new block,
 * releases the pointer and defers the old block's free. Keys are two maps from a seeded 128-bit
 * hash: an item's own key, for ever; and a variant's key, which belongs to one item at a time (the
 * last to claim it). A variant's key wins over an item that was only seen under that key.
 *
 * Everything here is a function of the items' own states, so that items loaded from the store in
 * any order, or folded from the log, give the same catalogue: that is why each item carries the
 * categories it was the first to name (their numbers live on in affinities), and why an item is
 * never dropped, only marked removed.
 *
 * Stock: once a variant keeps stock, the item's is the sum of its variants', store by store, and
 * what is said of the item itself is ignored. Prices: an item without prices whose variants have
 * some shows the lowest of them per market. A PUT that brings no prices, or no stock, leaves those
 * known: they have feeds of their own.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "catalog/item.h"

enum {
    CHUNK = 4096, CHUNKS = 1024, ITEMS_MAX = CHUNK * CHUNKS,
    CATEGORY_CHUNK = 256, CATEGORY_CHUNKS = 256, CATEGORIES_MAX = CATEGORY_CHUNK * CATEGORY_CHUNKS - 1,
    NAME_MAX_BYTES = 255, TITLE_MAX = 1000, URL_MAX = 2048,
};

struct slot { _Atomic(struct held *) held; bool dirty; };
struct category {
    category_id parent;
    str name, slug, path;
    u32 name_sign, slug_sign;
    _Atomic(struct item_names *) names;
};

/* Differs for most names that differ, however their letters are cased: asked before the names are
 * compared. */
static u32 sign_of(str name)
{
    if (name.len == 0) return 0;
    u8 first = (u8)(name.ptr[0] | 32), middle = (u8)(name.ptr[name.len / 2] | 32),
       last = (u8)(name.ptr[name.len - 1] | 32);
    return (u32)(name.len & 255) << 24 | (u32)first << 16 | (u32)middle << 8 | last;
}

struct catalog {
    _Atomic(struct slot *) chunks[CHUNKS];
    _Atomic u32 count, described;
    _Atomic u64 changes;
    /* a ring: the item of change n stands at n % CATALOG_CHANGES_KEPT */
    _Atomic u32 changed[CATALOG_CHANGES_KEPT];
    u64 seed;
    struct map *keys, *variants, *paths;
    _Atomic(_Atomic(struct category *) *) categories[CATEGORY_CHUNKS];
    _Atomic u32 categories_n;
    struct { item_id *at; isize n, cap; } dirty;
    struct hash128 digest;
    arena scratch;
};

struct catalog *catalog_new(void)
{
    struct catalog *c = mem_new(sizeof *c);
    rng_system(&c->seed, sizeof c->seed);               /* places keys in tables; no state depends on it */
    c->keys = map_new(1024);
    c->variants = map_new(1024);
    c->paths = map_new(64);
    return c;
}

void catalog_free(struct catalog *c)
{
    if (!c) return;
    for (isize i = 0; i < CHUNKS; i++) {
        struct slot *chunk = atomic_load(&c->chunks[i]);
        for (isize k = 0; chunk && k < CHUNK; k++) held_free(atomic_load(&chunk[k].held));
        mem_free(chunk);
    }
    for (isize i = 0; i < CATEGORY_CHUNKS; i++) {
        _Atomic(struct category *) *chunk = atomic_load(&c->categories[i]);
        for (isize k = 0; chunk && k < CATEGORY_CHUNK; k++) {
            struct category *one = atomic_load(&chunk[k]);
            if (one) mem_free(atomic_load(&one->names));
            mem_free(one);
        }
        mem_free(chunk);
    }
    map_free(c->keys);
    map_free(c->variants);
    map_free(c->paths);
    vec_fini(&c->dirty);
    arena_fini(&c->scratch);
    mem_free(c);
}

/* ---- categories ---------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Any case, any spacing around ">": what two spellings of one path share. */
static struct hash128 path_hash(const struct catalog *c, str path)
{
    u64 state = c->seed;
    struct hash128 h = { 0, 0 };
    while (path.len > 0) {
        struct str_cut cut = str_cut(path, '>');
        path = cut.tail;
        str name = str_trim(cut.head);
        if (name.len == 0) continue;
        char folded[NAME_MAX_BYTES];
        name.len = min_isize(name.len, NAME_MAX_BYTES);
        for (isize i = 0; i < name.len; i++) folded[i] = lower(name.ptr[i]);
        h = hash128((str){ folded, name.len }, state);
        state = h.hi ^ h.lo;
    }
    return h;
}

static const struct category *category_of(const struct catalog *c, category_id id)
{
    if (id.v == 0 || id.v > CATEGORIES_MAX) return NULL;
    _Atomic(struct category *) *chunk =
        atomic_load_explicit(&c->categories[id.v / CATEGORY_CHUNK], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk[id.v % CATEGORY_CHUNK], memory_order_acquire) : NULL;
}

/* "T-Shirts & Tops" -> "t-shirts-tops"; letters beyond ASCII stay. */
static str slug_of(arena *a, str name)
{
    char *text = arena_new(a, char, name.len + 1);
    isize n = 0;
    for (isize i = 0; i < name.len; i++) {
        char x = lower(name.ptr[i]);
        bool keeps = (x >= 'a' && x <= 'z') || (x >= '0' && x <= '9') || (u8)x >= 0x80;
        if (keeps) text[n++] = x;
        else if (n > 0 && text[n - 1] != '-') text[n++] = '-';
    }
    while (n > 0 && text[n - 1] == '-') n--;
    return (str){ text, n };
}

static str copy_into(char **at, str s)
{
    if (s.len) memcpy(*at, s.ptr, (size_t)s.len);
    str copy = { *at, s.len };
    *at += s.len;
    return copy;
}

static void category_place(struct catalog *c, const struct born *born)
{
    if (born->id.v == 0 || born->id.v > CATEGORIES_MAX || category_of(c, born->id)) return;
    str name = born->path;
    for (isize at; (at = str_find_char(name, '>')) >= 0;) name = str_trim(str_from(name, at + 1));
    str slug = slug_of(&c->scratch, name);
    struct category *made = mem_new((isize)sizeof *made + name.len + slug.len + born->path.len);
    char *at = (char *)(made + 1);
    made->parent = born->parent;
    made->name = copy_into(&at, name);
    made->slug = copy_into(&at, slug);
    made->path = copy_into(&at, born->path);
    made->name_sign = sign_of(name);
    made->slug_sign = sign_of(slug);
    u32 chunk_at = born->id.v / CATEGORY_CHUNK;
    _Atomic(struct category *) *chunk = atomic_load(&c->categories[chunk_at]);
    if (!chunk) {
        chunk = mem_new(CATEGORY_CHUNK * (isize)sizeof *chunk);
        atomic_store_explicit(&c->categories[chunk_at], chunk, memory_order_release);
    }
    atomic_store_explicit(&chunk[born->id.v % CATEGORY_CHUNK], made, memory_order_release);
    (void)map_put(c->paths, path_hash(c, born->path), born->id.v);
    if (born->id.v > atomic_load(&c->categories_n))
        atomic_store_explicit(&c->categories_n, born->id.v, memory_order_release);
}

category_id catalog_category(const struct catalog *c, str path)
{
    if (path.len == 0) return (category_id){ 0 };
    return (category_id){ (u32)map_get(c->paths, path_hash(c, path), 0) };
}

category_id catalog_category_parent(const struct catalog *c, category_id id)
{
    const struct category *it = category_of(c, id);
    return it ? it->parent : (category_id){ 0 };
}

str catalog_category_name(const struct catalog *c, category_id id)
{
    const struct category *it = category_of(c, id);
    return it ? it->name : S("");
}

str catalog_category_path(const struct catalog *c, category_id id)
{
    const struct category *it = category_of(c, id);
    return it ? it->path : S("");
}

isize catalog_categories(const struct catalog *c)
{
    return atomic_load_explicit(&c->categories_n, memory_order_acquire);
}

/* Finds or makes each level of item.category; what is new is remembered by the item. */
static void category_settle(struct catalog *c, struct item_state *state)
{
    str rest = state->item.category;
    category_id at = { 0 };
    struct born *born = arena_new(&c->scratch, struct born, state->born_n + CATEGORY_DEPTH_MAX);
    for (isize i = 0; i < state->born_n; i++) born[i] = state->born[i];
    for (isize depth = 0; rest.len > 0 && depth < CATEGORY_DEPTH_MAX;) {
        struct str_cut cut = str_cut(rest, '>');
        rest = cut.tail;
        str name = str_trim(cut.head);
        if (name.len == 0) continue;
        name.len = min_isize(name.len, NAME_MAX_BYTES);
        const struct category *parent = category_of(c, at);
        str path =
            parent ? arena_printf(&c->scratch, "%.*s > %.*s", STR_FMT(parent->path), STR_FMT(name))
                   : name;
        category_id found = catalog_category(c, path);
        if (found.v == 0) {
            if (catalog_categories(c) >= CATEGORIES_MAX) break;
            found.v = (u32)catalog_categories(c) + 1;
            born[state->born_n] = (struct born){ found, at, path };
            category_place(c, &born[state->born_n++]);
        }
        at = found;
        depth++;
    }
    state->born = born;
    state->item.category_id = at;
    state->item.category = catalog_category_path(c, at);
}

struct category_name catalog_name(const struct catalog *c, str category)
{
    bool is_path = str_find_char(category, '>') >= 0;
    return (struct category_name){ category, sign_of(category),
                                   is_path ? catalog_category(c, category) : (category_id){ 0 },
                                   is_path };
}

bool item_within(const struct catalog *c, const struct item *item, const struct category_name *name)
{
    const struct category *at = category_of(c, item->category_id);
    category_id id = item->category_id;
    for (isize depth = 0; at && depth < CATEGORY_DEPTH_MAX; depth++) {
        if (name->is_path ? id.v == name->path.v
                          : (at->name_sign == name->sign && str_eq_nocase(at->name, name->text))
                            || (at->slug_sign == name->sign && str_eq_nocase(at->slug, name->text)))
            return true;
        id = at->parent;
        at = category_of(c, id);
    }
    return false;
}

bool item_named(const struct item_names *names, const struct category_name *name)
{
    for (isize i = 0; i < names->n; i++)
        if (names->at[i].sign == name->sign && str_eq_nocase(names->at[i].text, name->text)) return true;
    return false;
}

static void name_add(struct item_names *names, u32 sign, str text)
{
    if (text.len == 0 || item_named(names, &(struct category_name){ .text = text, .sign = sign })) return;
    names->at[names->n].sign = sign;
    names->at[names->n++].text = text;
}

static struct item_names *names_new(const struct catalog *c, const struct category *at)
{
    static_assert(ITEM_NAMES_MAX >= 2 * CATEGORY_DEPTH_MAX, "a name and a slug of each level");
    struct item_names *names = mem_new((isize)sizeof *names + ITEM_NAMES_MAX * (isize)sizeof *names->at);
    for (isize depth = 0; at && depth < CATEGORY_DEPTH_MAX; depth++, at = category_of(c, at->parent)) {
        name_add(names, at->name_sign, at->name);
        name_add(names, at->slug_sign, at->slug);
    }
    return mem_grow(names, (isize)sizeof *names + names->n * (isize)sizeof *names->at);
}

/* Of a category they never change; made when first asked for, by whoever asks. */
const struct item_names *item_names(const struct catalog *c, const struct item *item)
{
    static const struct item_names none = { 0 };
    struct category *at = (struct category *)(uintptr_t)category_of(c, item->category_id);
    if (!at) return &none;
    struct item_names *names = atomic_load_explicit(&at->names, memory_order_acquire);
    if (names) return names;
    struct item_names *made = names_new(c, at);
    if (atomic_compare_exchange_strong(&at->names, &names, made)) return made;
    mem_free(made);
    return names;
}

bool item_under(const struct catalog *c, const struct item *item, str category)
{
    struct category_name name = catalog_name(c, category);
    return item_within(c, item, &name);
}

/* ---- items --------------------------------------------------------------------------------- */

static struct slot *slot_of(const struct catalog *c, item_id id)
{
    if (id.v == 0 || id.v >= ITEMS_MAX) return NULL;
    struct slot *chunk = atomic_load_explicit(&c->chunks[id.v / CHUNK], memory_order_acquire);
    return chunk ? &chunk[id.v % CHUNK] : NULL;
}

static const struct held *held_of(const struct catalog *c, item_id id)
{
    struct slot *slot = slot_of(c, id);
    return slot ? atomic_load_explicit(&slot->held, memory_order_acquire) : NULL;
}

const struct item *catalog_item(const struct catalog *c, item_id id)
{
    const struct held *held = held_of(c, id);
    return held ? &held->state.item : NULL;
}

void catalog_expect(const struct catalog *c, const u32 *ids, isize n)
{
    for (isize i = 0; i < n; i++) __builtin_prefetch(slot_of(c, (item_id){ ids[i] }));
    for (isize i = 0; i < n; i++) {
        const struct held *held = held_of(c, (item_id){ ids[i] });
        if (!held) continue;
        __builtin_prefetch(held);
        /* on the next line where blocks do not begin with one */
        __builtin_prefetch(&held->state.item.category_id);
    }
}

isize catalog_count(const struct catalog *c) { return atomic_load_explicit(&c->count, memory_order_acquire); }
bool catalog_described(const struct catalog *c)
{
    return atomic_load_explicit(&c->described, memory_order_acquire) > 0;
}

item_id catalog_find(const struct catalog *c, str key)
{
    if (key.len == 0) return (item_id){ 0 };
    struct hash128 h = hash128(key, c->seed);
    item_id own = { (u32)map_get(c->keys, h, 0) };
    const struct item *item = catalog_item(c, own);
    if (item && item->kind != ITEM_SEEN) return own;
    item_id of = { (u32)map_get(c->variants, h, 0) };
    return of.v ? of : own;
}

str catalog_lacks(const struct catalog *catalog, const struct event *e)
{
    bool about_products = e->type >= EVENT_PRODUCT_LIST_VIEWED && e->type <= EVENT_PRODUCT_REVIEWED;
    if (!about_products || !catalog_described(catalog)) return S("");
    for (isize i = 0; i < e->items_n; i++) {
        str key = e->items[i].product_key.len ? e->items[i].product_key : e->items[i].variant_key;
        const struct item *item = key.len ? catalog_item(catalog, catalog_find(catalog, key)) : NULL;
        if (key.len && (!item || item->kind == ITEM_SEEN)) return key;
    }
    return S("");
}

bool item_showable(const struct catalog *c, const struct item *item)
{
    return !item->hidden && !item->removed && (item->kind != ITEM_SEEN || !catalog_described(c));
}

void item_encode(const struct catalog *c, item_id id, struct buf *out)
{
    const struct held *held = held_of(c, id);
    assert(held);
    struct item_state copy = held->state;               /* writing leaves it be */
    struct codec codec = codec_writer(out);
    item_state_visit(&codec, &copy);
}

struct hash128 catalog_digest(const struct catalog *c) { return c->digest; }

static void dirty_mark(struct catalog *c, item_id id)
{
    struct slot *slot = slot_of(c, id);
    if (slot->dirty) return;
    slot->dirty = true;
    vec_push(&c->dirty, id);
}

item_id catalog_dirty_next(struct catalog *c)
{
    if (c->dirty.n == 0) return (item_id){ 0 };
    item_id id = c->dirty.at[--c->dirty.n];
    slot_of(c, id)->dirty = false;
    return id;
}

static bool counts_as_described(const struct item *item)
{
    return item->kind == ITEM_PRODUCT && !item->hidden;
}

static void variants_unclaim(struct catalog *c, const struct item *before, const struct item *now)
{
    for (isize i = 0; i < before->variants_n; i++) {
        bool kept = false;
        for (isize k = 0; k < now->variants_n && !kept; k++)
            kept = str_eq(before->variants[i].key, now->variants[k].key);
        struct hash128 h = hash128(before->variants[i].key, c->seed);
        if (!kept && map_get(c->variants, h, 0) == before->id.v) (void)map_remove(c->variants, h);
    }
}

u64 catalog_changes(const struct catalog *c)
{
    return atomic_load_explicit(&c->changes, memory_order_acquire);
}

item_id catalog_change(const struct catalog *c, u64 n)
{
    u64 now = catalog_changes(c);
    if (n == 0 || n > now || now - n >= CATALOG_CHANGES_KEPT) return (item_id){ 0 };
    u32 item = atomic_load_explicit(&c->changed[n % CATALOG_CHANGES_KEPT], memory_order_acquire);
    /* not overwritten meanwhile */
    return (item_id){ catalog_changes(c) - n < CATALOG_CHANGES_KEPT ? item : 0 };
}

/* Behind the change itself, so that who reads the number sees it. */
static void note_change(struct catalog *c, item_id id)
{
    u64 n = atomic_load_explicit(&c->changes, memory_order_relaxed) + 1;
    atomic_store_explicit(&c->changed[n % CATALOG_CHANGES_KEPT], id.v, memory_order_release);
    atomic_store_explicit(&c->changes, n, memory_order_release);
}

/* Makes the state what readers see. The digest follows. */
static void publish(struct catalog *c, const struct item_state *state)
{
    item_id id = state->item.id;
    assert(id.v > 0);
    assert(id.v < ITEMS_MAX);
    struct slot *chunk = atomic_load(&c->chunks[id.v / CHUNK]);
    if (!chunk) {
        chunk = mem_new(CHUNK * (isize)sizeof *chunk);
        atomic_store_explicit(&c->chunks[id.v / CHUNK], chunk, memory_order_release);
    }
    struct held *held = item_hold(state);
    struct slot *slot = slot_of(c, id);
    struct held *old = atomic_load(&slot->held);
    if (old) {
        c->digest.hi -= old->digest.hi;
        c->digest.lo -= old->digest.lo;
        if (counts_as_described(&old->state.item)) atomic_fetch_sub(&c->described, 1);
    }
    atomic_store_explicit(&slot->held, held, memory_order_release);

    struct buf bytes = { .arena = &c->scratch };
    item_encode(c, id, &bytes);
    held->digest = hash128(buf_str(&bytes), 0);
    c->digest.hi += held->digest.hi;
    c->digest.lo += held->digest.lo;
    if (counts_as_described(&held->state.item)) atomic_fetch_add(&c->described, 1);
    for (isize i = 0; i < held->state.item.variants_n; i++)
        (void)map_put(c->variants, hash128(held->state.item.variants[i].key, c->seed), id.v);
    if (old) variants_unclaim(c, &old->state.item, &held->state.item);
    (void)map_put(c->keys, hash128(held->state.item.key, c->seed), id.v);
    if (id.v > atomic_load(&c->count)) atomic_store_explicit(&c->count, id.v, memory_order_release);
    note_change(c, id);
    if (old) rcu_defer(held_free, old);
}

static void commit(struct catalog *c, const struct item_state *state)
{
    publish(c, state);
    dirty_mark(c, state->item.id);
    arena_clear(&c->scratch);
}

enum err catalog_load(struct catalog *c, str bytes)
{
    struct item_state state = { 0 };
    struct codec codec = codec_reader(bytes, &c->scratch);
    item_state_visit(&codec, &state);
    u32 id = state.item.id.v;
    bool sound = !codec.failed && codec.in.len == 0 && id > 0 && id < ITEMS_MAX && state.item.key.len > 0
              && !held_of(c, state.item.id);
    if (sound) {
        for (isize i = 0; i < state.born_n; i++) category_place(c, &state.born[i]);
        publish(c, &state);
    }
    arena_clear(&c->scratch);
    return sound ? ERR_OK : ERR_DAMAGED;
}

/* A new item's number, or what is there. False when the catalogue is full. */
static bool state_open(struct catalog *c, str key, item_id found, struct item_state *out)
{
    const struct held *held = held_of(c, found);
    if (held) {
        *out = held->state;
        return true;
    }
    isize n = catalog_count(c);
    if (n + 1 >= ITEMS_MAX || key.len > ITEM_KEY_MAX) return false;
    *out = (struct item_state){ .item = { .id = { (u32)n + 1 }, .kind = ITEM_SEEN, .key = key } };
    return true;
}

/* ---- what events say ----------------------------------------------------------------------- */

/* An address from a public event may end in somebody's page: web addresses and paths only. */
static str safe_url(str url)
{
    bool web = str_starts(url, S("https://")) || str_starts(url, S("http://"))
            || (url.len > 0 && url.ptr[0] == '/');
    return web && url.len <= URL_MAX ? url : S("");
}

static bool fill(str *field, str said)
{
    if (field->len > 0 || said.len == 0 || said.len > URL_MAX) return false;
    *field = said;
    return true;
}

static bool seen_fill(struct catalog *c, struct item_state *state, const struct event_item *seen, currency in)
{
    struct item *it = &state->item;
    bool changed = fill(&it->url, safe_url(seen->url));
    changed |= fill(&it->image, safe_url(seen->image));
    changed |= fill(&it->brand, seen->brand);
    if (it->titles_n == 0 && seen->title.len > 0 && seen->title.len <= TITLE_MAX) {
        it->titles = arena_new(&c->scratch, struct text, 1);
        it->titles[0] = (struct text){ S(""), seen->title };
        it->titles_n = 1;
        changed = true;
    }
    if (it->category.len == 0 && seen->category.len > 0 && seen->category.len <= URL_MAX) {
        it->category = seen->category;
        category_settle(c, state);
        changed |= it->category.len > 0;
    }
    if (it->prices_n == 0 && seen->priced && seen->price_minor > 0 && in.v) {
        it->prices = arena_new(&c->scratch, struct price, 1);
        it->prices[0] = (struct price){ .currency = in, .minor = seen->price_minor };
        it->prices_n = 1;
        changed = true;
    }
    return changed;
}

item_id catalog_see(struct catalog *c, const struct event_item *seen, currency in, i64 at_ms, u64 ref)
{
    str key = seen->product_key.len ? seen->product_key : seen->variant_key;
    if (key.len == 0) return (item_id){ 0 };
    item_id found = catalog_find(c, key);
    if (found.v == 0) found = catalog_find(c, seen->variant_key);
    const struct item *known = catalog_item(c, found);
    if (known && known->kind != ITEM_SEEN) return found;
    struct item_state state;
    if (!state_open(c, key, found, &state)) return (item_id){ 0 };
    bool changed = seen_fill(c, &state, seen, in);
    if (!known) state.item.published_at_ms = at_ms;
    /* each fills one field at least, and there are six */
    if ((changed || !known) && state.said_n < SAID_MAX) state.said[state.said_n++] = ref;
    if (changed || !known) commit(c, &state);
    arena_clear(&c->scratch);
    return state.item.id;
}

bool catalog_said(const struct catalog *c, item_id id, isize at, u64 *ref)
{
    const struct held *held = held_of(c, id);
    if (!held || at >= held->state.said_n) return false;
    *ref = held->state.said[at];
    return true;
}

/* ---- what feeds say ------------------------------------------------------------------------ */

static struct variant *variant_of(struct item *item, str key)
{
    for (isize i = 0; i < item->variants_n; i++)
        if (str_eq(item->variants[i].key, key)) return &item->variants[i];
    return NULL;
}

/* A copy of the list that the writer may change; blocks never are. */
static void variants_own(struct catalog *c, struct item *item)
{
    struct variant *own = arena_new(&c->scratch, struct variant, item->variants_n);
    for (isize i = 0; i < item->variants_n; i++) own[i] = item->variants[i];
    item->variants = own;
}

static struct price *prices_copy(struct catalog *c, const struct price *list, isize n)
{
    struct price *own = arena_new(&c->scratch, struct price, n);
    for (isize i = 0; i < n; i++) own[i] = list[i];
    return own;
}

static void prices_own(struct catalog *c, struct item *item)
{
    item->prices = prices_copy(c, item->prices, item->prices_n);
    variants_own(c, item);
    for (isize i = 0; i < item->variants_n; i++)
        item->variants[i].prices = prices_copy(c, item->variants[i].prices, item->variants[i].prices_n);
}

static void variant_drop(struct catalog *c, struct item *item, str key)
{
    variants_own(c, item);
    isize n = 0;
    for (isize i = 0; i < item->variants_n; i++)
        if (!str_eq(item->variants[i].key, key)) item->variants[n++] = item->variants[i];
    item->variants_n = n;
}

static void stock_sum(struct catalog *c, struct item *item)
{
    isize most = 0;
    for (isize i = 0; i < item->variants_n; i++) most += item->variants[i].stock_n;
    if (most == 0) return;
    struct stock *sum = arena_new(&c->scratch, struct stock, most);
    isize n = 0;
    for (isize i = 0; i < item->variants_n; i++) {
        const struct variant *v = &item->variants[i];
        for (isize k = 0; k < v->stock_n; k++) {
            isize at = 0;
            while (at < n && !str_eq(sum[at].store, v->stock[k].store)) at++;
            if (at == n && n == STOCK_MAX) continue;
            if (at == n) sum[n++].store = v->stock[k].store;
            i64 total = (i64)sum[at].quantity + v->stock[k].quantity;
            sum[at].quantity = (i32)max_i64(min_i64(total, INT32_MAX - 1), INT32_MIN);
        }
    }
    item->stock = sum;
    item->stock_n = n;
}

static void prices_merge(struct catalog *c, struct price **list, isize *n, const struct price *more,
                         isize more_n)
{
    struct price *merged = arena_new(&c->scratch, struct price, *n + more_n);
    isize total = 0;
    for (; total < *n; total++) merged[total] = (*list)[total];
    for (isize i = 0; i < more_n; i++) {
        isize at = 0;
        while (at < total && !str_eq(merged[at].market, more[i].market)) at++;
        if (at == total && total == PRICES_MAX) continue;
        if (at == total) total++;
        merged[at] = more[i];
    }
    *list = merged;
    *n = total;
}

static void stock_merge(struct catalog *c, struct stock **list, isize *n, const struct stock *more,
                        isize more_n)
{
    struct stock *merged = arena_new(&c->scratch, struct stock, *n + more_n);
    isize total = 0;
    for (; total < *n; total++) merged[total] = (*list)[total];
    for (isize i = 0; i < more_n; i++) {
        isize at = 0;
        while (at < total && !str_eq(merged[at].store, more[i].store)) at++;
        if (at == total && total == STOCK_MAX) continue;
        if (at == total) total++;
        merged[at] = more[i];
    }
    *list = merged;
    *n = total;
}

/* An item whose variants alone are priced shows the lowest of them in each market. */
static void prices_from_variants(struct catalog *c, struct item *item)
{
    if (item->prices_n > 0) return;
    for (isize i = 0; i < item->variants_n; i++) {
        const struct variant *v = &item->variants[i];
        for (isize k = 0; k < v->prices_n; k++) {
            const struct price *p = &v->prices[k];
            const struct price *known = NULL;
            for (isize m = 0; m < item->prices_n; m++)
                if (str_eq(item->prices[m].market, p->market)) known = &item->prices[m];
            if (!known || (known->currency.v == p->currency.v && p->minor < known->minor))
                prices_merge(c, &item->prices, &item->prices_n, p, 1);
        }
    }
}

/* Are the item's prices no more than what its variants' come to? */
static bool prices_are_derived(struct catalog *c, const struct item *item)
{
    struct item derived = *item;
    derived.prices_n = 0;
    prices_from_variants(c, &derived);
    bool same = derived.prices_n == item->prices_n;
    for (isize i = 0; i < item->prices_n && same; i++) {
        const struct price *a = &item->prices[i], *b = &derived.prices[i];
        same = str_eq(a->market, b->market) && a->currency.v == b->currency.v && a->minor == b->minor
            && a->list_minor == b->list_minor;
    }
    return same;
}

/* A variant's key names one item: whoever claims it last. */
static void variants_claim(struct catalog *c, const struct item *item)
{
    for (isize i = 0; i < item->variants_n; i++) {
        item_id of = { (u32)map_get(c->variants, hash128(item->variants[i].key, c->seed), 0) };
        if (of.v == 0 || of.v == item->id.v) continue;
        struct item_state other = held_of(c, of)->state;
        variant_drop(c, &other.item, item->variants[i].key);
        publish(c, &other);
        dirty_mark(c, of);
    }
}

static void variants_unique(struct catalog *c, struct item *item)
{
    variants_own(c, item);
    isize n = 0;
    for (isize i = 0; i < item->variants_n; i++) {
        bool repeated = item->variants[i].key.len == 0;
        for (isize k = 0; k < n && !repeated; k++)
            repeated = str_eq(item->variants[k].key, item->variants[i].key);
        if (!repeated) item->variants[n++] = item->variants[i];
    }
    item->variants_n = n;
}

static void put(struct catalog *c, struct item_state *state, const struct item *said)
{
    struct item before = state->item;
    bool own_prices = before.kind != ITEM_SEEN && !prices_are_derived(c, &before);
    state->item = *said;
    struct item *it = &state->item;
    it->id = before.id;
    it->key = before.key;
    it->removed = false;
    if (it->kind == ITEM_SEEN) it->kind = ITEM_PRODUCT;
    if (it->published_at_ms == 0) it->published_at_ms = before.published_at_ms;
    variants_unique(c, it);
    for (isize i = 0; i < it->variants_n; i++) {
        struct variant *v = &it->variants[i];
        const struct variant *old = variant_of(&before, v->key);
        if (old && v->stock_n == 0) { v->stock = old->stock; v->stock_n = old->stock_n; }
        if (old && v->prices_n == 0 && it->prices_n == 0) {
            v->prices = old->prices;
            v->prices_n = old->prices_n;
        }
    }
    if (it->stock_n == 0) { it->stock = before.stock; it->stock_n = before.stock_n; }
    if (it->prices_n == 0 && own_prices) { it->prices = before.prices; it->prices_n = before.prices_n; }
    category_settle(c, state);
    variants_claim(c, it);
}

static void change_prices(struct catalog *c, struct item *item, const struct item *said)
{
    variants_own(c, item);
    struct variant *v = variant_of(item, said->key);
    if (!v) {
        prices_merge(c, &item->prices, &item->prices_n, said->prices, said->prices_n);
        return;
    }
    bool derived = prices_are_derived(c, item);
    prices_merge(c, &v->prices, &v->prices_n, said->prices, said->prices_n);
    if (derived) item->prices_n = 0;                    /* was made from the variants: make it anew */
}

static void change_stock(struct catalog *c, struct item *item, const struct item *said)
{
    variants_own(c, item);
    struct variant *v = variant_of(item, said->key);
    if (v) stock_merge(c, &v->stock, &v->stock_n, said->stock, said->stock_n);
    else stock_merge(c, &item->stock, &item->stock_n, said->stock, said->stock_n);
}

item_id catalog_apply(struct catalog *c, const struct item_change *change, i64 at_ms)
{
    const struct item *said = &change->item;
    struct hash128 h = hash128(said->key, c->seed);
    item_id found = change->kind == ITEM_PUT ? (item_id){ (u32)map_get(c->keys, h, 0) }
                                             : catalog_find(c, said->key);
    if (said->key.len == 0 || (change->kind == ITEM_REMOVE && found.v == 0)) return (item_id){ 0 };
    struct item_state state;
    if (!state_open(c, said->key, found, &state)) return (item_id){ 0 };
    switch ((enum item_change_kind)change->kind) {
    case ITEM_PUT:
        put(c, &state, said);
        if (state.item.published_at_ms == 0) state.item.published_at_ms = at_ms;
        break;
    case ITEM_PRICES: change_prices(c, &state.item, said); break;
    case ITEM_STOCK: change_stock(c, &state.item, said); break;
    case ITEM_REMOVE:
        if (str_eq(state.item.key, said->key)) state.item.removed = true;
        else variant_drop(c, &state.item, said->key);
        break;
    }
    stock_sum(c, &state.item);
    prices_from_variants(c, &state.item);
    if (state.item.kind != ITEM_SEEN) {
        prices_own(c, &state.item);
        item_prices_settle(&state, at_ms, &c->scratch);
    }
    commit(c, &state);
    return state.item.id;
}
