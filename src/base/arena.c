/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 64 << 10 };

struct arena_block { struct arena_block *before; isize cap; _Alignas(16) u8 bytes[]; };
struct arena_later { struct arena_later *before; void (*give_back)(void *what); void *what; };

static void block_push(arena *a, isize need)
{
    isize cap = max_isize(BLOCK_BYTES, need);
    struct arena_block *block = malloc(sizeof *block + (size_t)cap);
    assert(block);
    block->before = a->block;
    block->cap = cap;
    a->block = block;
    a->at = block->bytes;
    a->end = block->bytes + cap;
}

void *arena_take(arena *a, isize size, isize align, isize count)
{
    assert(size > 0);
    assert(count >= 0);
    assert(align > 0 && (align & (align - 1)) == 0);

    isize bytes;
    assert(!__builtin_mul_overflow(size, count, &bytes));
    isize pad = (isize)(-(uintptr_t)a->at & (uintptr_t)(align - 1));
    if (!a->block || bytes > a->end - a->at - pad) {
        block_push(a, bytes + align);
        pad = (isize)(-(uintptr_t)a->at & (uintptr_t)(align - 1));
    }
    u8 *p = a->at + pad;
    a->at = p + bytes;
    a->used += pad + bytes;
    return p;
}

void *arena_alloc(arena *a, isize size, isize align, isize count)
{
    void *p = arena_take(a, size, align, count);
    memset(p, 0, (size_t)(size * count));
    return p;
}

str arena_str(arena *a, str s)
{
    char *copy = arena_room(a, char, s.len + 1);
    if (s.len) memcpy(copy, s.ptr, (size_t)s.len);
    copy[s.len] = 0;
    return (str){ copy, s.len };
}

const char *arena_z(arena *a, str s) { return arena_str(a, s).ptr; }

str arena_printf(arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    char *text = arena_room(a, char, n + 1);
    (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return (str){ text, n };
}

struct arena_mark arena_mark(const arena *a)
{
    return (struct arena_mark){ a->block, a->at, a->used, a->later };
}

void arena_defer(arena *a, void (*give_back)(void *what), void *what)
{
    struct arena_later *later = arena_new(a, struct arena_later, 1);
    *later = (struct arena_later){ a->later, give_back, what };
    a->later = later;
}

static void give_back(arena *a, const struct arena_later *until)
{
    for (; a->later != until; a->later = a->later->before) a->later->give_back(a->later->what);
}

void arena_reset(arena *a, struct arena_mark to)
{
    give_back(a, to.later);
    while (a->block != to.block) {
        assert(a->block);
        struct arena_block *before = a->block->before;
        free(a->block);
        a->block = before;
    }
    a->at = to.at;
    a->end = a->block ? a->block->bytes + a->block->cap : NULL;
    a->used = to.used;
}

void arena_clear(arena *a)
{
    if (!a->block) return;
    give_back(a, NULL);
    while (a->block->before) {
        struct arena_block *before = a->block->before;
        free(a->block);
        a->block = before;
    }
    a->at = a->block->bytes;
    a->end = a->block->bytes + a->block->cap;
    a->used = 0;
}

void arena_fini(arena *a) { arena_reset(a, (struct arena_mark){ 0 }); }

void *mem_new(isize size)
{
    assert(size > 0);
    void *p = calloc(1, (size_t)size);
    assert(p);
    return p;
}

void *mem_grow(void *p, isize size)
{
    assert(size > 0);
    p = realloc(p, (size_t)size);
    assert(p);
    return p;
}

void mem_free(void *p) { free(p); }

str mem_str(str s)
{
    char *copy = mem_new(s.len + 1);
    if (s.len) memcpy(copy, s.ptr, (size_t)s.len);
    return (str){ copy, s.len };
}

void buf_grow(struct buf *b, isize more)
{
    assert(more >= 0);
    isize cap = max_isize(b->cap * 2, max_isize(256, b->len + more));
    if (b->arena) {
        char *moved = arena_room(b->arena, char, cap);
        if (b->len) memcpy(moved, b->ptr, (size_t)b->len);
        b->ptr = moved;
    } else {
        b->ptr = mem_grow(b->ptr, cap);
    }
    b->cap = cap;
}

void buf_int(struct buf *b, i64 v)
{
    char text[24], *end = text + sizeof text, *at = end;
    u64 left = v < 0 ? -(u64)v : (u64)v;
    do *--at = (char)('0' + left % 10); while (left /= 10);
    if (v < 0) *--at = '-';
    buf_add(b, (str){ at, end - at });
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    buf_reserve(b, n + 1);
    (void)vsnprintf(b->ptr + b->len, (size_t)n + 1, format, again);
    va_end(again);
    b->len += n;
}

void buf_fini(struct buf *b)
{
    if (!b->arena) mem_free(b->ptr);
    *b = (struct buf){ .arena = b->arena };
}
