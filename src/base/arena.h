/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h - memory with one of three lifetimes, and the one way to grow a buffer.
 *
 *   perm      the process
 *   snapshot  one published view of the rules, models and catalogue
 *   scratch   one request, or one batch of events
 *
 * An arena is a chain of blocks that grows as asked and is given back whole. A function that
 * returns memory takes the arena to put it in; one that needs working space on the way takes a
 * mark and resets to it. Nothing in an arena is freed by itself. What is asked for is bounded by
 * the limits at the door (body sizes, counts), so running out is our mistake: it aborts.
 *
 * mem_* is the only other memory: for state that lives and dies by itself (a person's blob).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena_block;
struct arena_later;
typedef struct { struct arena_block *block; u8 *at, *end; isize used; struct arena_later *later; } arena;

struct arena_mark { struct arena_block *block; u8 *at; isize used; struct arena_later *later; };

#define arena_new(a, T, n) ((T *)arena_alloc((a), (isize)sizeof(T), (isize)_Alignof(T), (n)))
/* The same, for what is written before it is read. */
#define arena_room(a, T, n) ((T *)arena_take((a), (isize)sizeof(T), (isize)_Alignof(T), (n)))

/* Zeroed. Never null. */
void *arena_alloc(arena *a, isize size, isize align, isize count);
void *arena_take(arena *a, isize size, isize align, isize count);       /* not zeroed */
str arena_str(arena *a, str s);                         /* a copy, NUL after the last byte */
const char *arena_z(arena *a, str s);
str arena_printf(arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
struct arena_mark arena_mark(const arena *a);
void arena_reset(arena *a, struct arena_mark to);       /* what came after the mark is gone */
void arena_clear(arena *a);                             /* empties, keeps one block to be quick again */
void arena_fini(arena *a);                              /* gives everything back; usable again */
/* Calls give_back(what) when the memory of this moment goes, newest first: for what a library
 * allocates by itself. */
void arena_defer(arena *a, void (*give_back)(void *what), void *what);

/* Zeroed; abort when the system has none. */
void *mem_new(isize size);
void *mem_grow(void *p, isize size);                    /* what is new is not zeroed */
void mem_free(void *p);
str mem_str(str s);                                     /* a copy of its own, NUL after the last byte */
static inline void mem_free_str(str s) { mem_free((void *)(uintptr_t)s.ptr); }

/* A growing run of bytes. With an arena it grows there; without one it owns its memory. */
struct buf { char *ptr; isize len, cap; arena *arena; };

void buf_grow(struct buf *b, isize more);                /* what buf_reserve does when there is no room */
static inline void buf_reserve(struct buf *b, isize more)
{
    if (__builtin_expect((size_t)(b->cap - b->len) < (size_t)more, 0)) buf_grow(b, more);
}
static inline void buf_add(struct buf *b, str s)
{
    buf_reserve(b, s.len);
    if (s.len) memcpy(b->ptr + b->len, s.ptr, (size_t)s.len);
    b->len += s.len;
}
void buf_int(struct buf *b, i64 v);                      /* its digits */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void buf_byte(struct buf *b, char c)
{
    if (b->len == b->cap) buf_reserve(b, 1);
    b->ptr[b->len++] = c;
}
static inline str buf_str(const struct buf *b) { return (str){ b->ptr, b->len }; }
void buf_fini(struct buf *b);

/* A growing array: struct { T *at; isize n, cap; }. Items may move when one is added. */
#define vec_push(v, ...)                                                                    \
    do {                                                                                    \
        if ((v)->n == (v)->cap) {                                                           \
            (v)->cap = (v)->cap ? (v)->cap * 2 : 8;                                         \
            (v)->at = mem_grow((v)->at, (v)->cap * (isize)sizeof *(v)->at);                 \
        }                                                                                   \
        (v)->at[(v)->n++] = (__VA_ARGS__);                                                  \
    } while (0)
#define vec_fini(v) (mem_free((v)->at), (v)->at = NULL, (v)->n = (v)->cap = 0)

#endif
